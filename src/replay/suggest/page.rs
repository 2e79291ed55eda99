//! The suggested registry.toml. What a human has to decide is marked `FOR A HUMAN`; what was guessed
//! has its evidence beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::group::{self, Group, Stem};
use super::learn::{From, Learned, SIGNATURES_SHOWN, Sent};
use crate::content::Class;
use crate::registry::{
    Address, Allotment, FileFault, Npi, ProviderId, Purpose, Registry, Ton, parse, sender,
};

/// How long the licences of a suggestion run: long enough to look at it, and no longer.
const LICENCE_DAYS: u64 = 31;

/// How often codes are added because a longer code of somebody else takes numbers away.
const ROUNDS_MAX: usize = 4;

/// Texts from which on a purpose is guessed.
const TEXTS_MIN: u64 = 20;

/// Share of texts, in hundredths, from which on a code is called after a class; the share of
/// advertising up to which it is called a service's.
const SHARE_MIN: u64 = 90;
const ADVERTISING_MAX: u64 = 2;

const HEAD: &str = "\
# Written by `consentry replay --suggest-registry` from captured traffic. Everything in it was seen or
# guessed; nothing was verified. Lines that say FOR A HUMAN wait for somebody who knows.
# Identities are written as verified and licences as valid for a month, so that a replay of the same
# traffic shows what the other rules would do. Put in what is true before you run with it.
";

/// Codes of one provider.
type Codes = Vec<(fn(String) -> From, Stem)>;

impl Learned {
    /// The registry as text.
    ///
    /// # Errors
    ///
    /// What a registry cannot hold, such as more providers than there may be.
    pub fn registry(&self) -> Result<String, FileFault> {
        let mut groups = group::groups(&self.system_ids);
        groups.retain(|group| group.system_ids.iter().any(|id| str::from_utf8(id).is_ok()));
        let owners = group::owners(&groups);
        let mut codes: Vec<Codes> = (0..groups.len()).map(|at| codes_of(at, &owners)).collect();
        part_twins(&mut codes);
        for _ in 0..ROUNDS_MAX {
            let registry = parse(&self.write(&groups, &codes, &owners), "registry.toml")?;
            if !add_taken_away(&registry, &owners, &mut codes) {
                break;
            }
        }
        Ok(self.write(&groups, &codes, &owners))
    }

    fn write(
        &self,
        groups: &[Group],
        codes: &[Codes],
        owners: &BTreeMap<From, (usize, Vec<usize>)>,
    ) -> String {
        let mut out = String::from(HEAD);
        let mut note = |count: u64, what: &str| {
            if count > 0 {
                let _ = writeln!(out, "# FOR A HUMAN: {count} {what}");
            }
        };
        note(self.nobodys, "messages of streams whose bind is not in the trace: give --system-id");
        note(self.beyond, "messages of more system_ids than can be told apart here");
        let valid_until = date(self.last_us + LICENCE_DAYS * 86_400_000_000);
        for (at, (group, codes)) in groups.iter().zip(codes).enumerate() {
            provider(&mut out, group, &valid_until);
            alphanumeric(&mut out, at, owners);
            for (kind, stem) in codes {
                code(&mut out, *kind, stem, &group::sent(&group.bound, stem, *kind));
                shared(&mut out, groups, owners, *kind, stem);
            }
        }
        out
    }
}

fn codes_of(group: usize, owners: &BTreeMap<From, (usize, Vec<usize>)>) -> Codes {
    let (mut home, mut abroad) = (BTreeSet::new(), BTreeSet::new());
    for (from, _) in owners.iter().filter(|(_, (owner, _))| *owner == group) {
        match from {
            From::Code(digits) => home.insert(digits.clone()),
            From::International(digits) => abroad.insert(digits.clone()),
            From::Alphanumeric(_) => false,
        };
    }
    let home = group::stems(&home).into_iter().map(|stem| (From::Code as fn(_) -> _, stem));
    // Foreign numbers are nobody's extensions: each stands for itself.
    let abroad = abroad.into_iter().map(|one| (From::International as fn(_) -> _, alone(one)));
    home.chain(abroad).collect()
}

fn alone(number: String) -> Stem {
    Stem { digits: number.clone(), digits_max: number.len(), numbers: vec![number] }
}

/// A code can be allotted once: of two providers whose numbers have the same stem, each gets its
/// numbers one by one.
fn part_twins(codes: &mut [Codes]) {
    let mut users: BTreeMap<String, usize> = BTreeMap::new();
    for (_, stem) in codes.iter().flatten() {
        *users.entry(stem.digits.clone()).or_default() += 1;
    }
    for own in codes {
        let parted = std::mem::take(own).into_iter().flat_map(|(kind, stem)| {
            if users.get(&stem.digits) > Some(&1) {
                stem.numbers.into_iter().map(|number| (kind, alone(number))).collect()
            } else {
                vec![(kind, stem)]
            }
        });
        *own = parted.collect();
    }
}

/// Adds codes for numbers that the longer code of another provider takes away; whether there were any.
fn add_taken_away(
    registry: &Registry,
    owners: &BTreeMap<From, (usize, Vec<usize>)>,
    codes: &mut [Codes],
) -> bool {
    let mut added = false;
    for (from, (owner, _)) in owners {
        let (kind, digits): (fn(String) -> From, &String) = match from {
            From::Code(digits) => (From::Code, digits),
            From::International(digits) => (From::International, digits),
            From::Alphanumeric(_) => continue,
        };
        let is_foreign = matches!(from, From::International(_));
        let ton = if is_foreign { Ton::INTERNATIONAL } else { Ton::UNKNOWN };
        let address = Address { ton, npi: Npi::UNKNOWN, value: digits.as_bytes() };
        let found = sender(&address).map(|one| match registry.allotment(&one) {
            Allotment::Code(found, _) => Some(found.owner),
            Allotment::None | Allotment::Alphanumeric(_) => None,
        });
        let is_own = found.is_ok_and(|found| found == Some(ProviderId(*owner as u32)));
        if let (false, Some(own)) = (is_own, codes.get_mut(*owner))
            && !own.iter().any(|(_, stem)| stem.digits == *digits)
        {
            own.push((kind, alone(digits.clone())));
            added = true;
        }
    }
    added
}

fn provider(out: &mut String, group: &Group, valid_until: &str) {
    let readable: Vec<&str> =
        group.system_ids.iter().filter_map(|id| str::from_utf8(id).ok()).collect();
    let (name, ids) = (readable.first().copied().unwrap_or_default(), list(&readable));
    let _ = writeln!(out, "\n[[provider]]");
    let _ = writeln!(out, "# FOR A HUMAN: the legal entity that binds so.");
    let _ = writeln!(out, "name = {}", quoted(name));
    if group.system_ids.len() > 1 {
        let _ = writeln!(
            out,
            "# FOR A HUMAN: one provider? They bind from one address and send from the same numbers."
        );
    }
    let _ = writeln!(out, "system_ids = {ids}");
    let _ = writeln!(out, "# FOR A HUMAN: its licence, as printed.");
    let _ = writeln!(out, "licence = {{ number = \"not seen\", valid_until = {valid_until} }}");
    let _ = writeln!(out, "# FOR A HUMAN: nobody verified it.");
    let _ = writeln!(out, "identity = \"verified\"");
    let peers: Vec<String> = group.bound.peers.keys().map(ToString::to_string).collect();
    let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
    let _ = writeln!(out, "from = {}", list(&peers));
    for (count, what) in [
        (group.bound.missing, "messages without a source address"),
        (group.bound.malformed, "messages from what is no code and no number of the plan"),
        (group.bound.beyond, "messages from more numbers than can be told apart here"),
    ] {
        if count > 0 {
            let _ = writeln!(out, "# FOR A HUMAN: {count} {what}: refused whatever stands here.");
        }
    }
}

fn alphanumeric(out: &mut String, group: usize, owners: &BTreeMap<From, (usize, Vec<usize>)>) {
    // Several providers may use one: each that did.
    let names = owners.iter().filter_map(|(from, (owner, others))| match from {
        From::Alphanumeric(raw) if *owner == group || others.contains(&group) => {
            str::from_utf8(raw).ok()
        }
        _ => None,
    });
    let names: Vec<&str> = names.collect();
    if !names.is_empty() {
        let _ = writeln!(out, "alphanumeric = {}", list(&names));
    }
}

fn code(out: &mut String, kind: fn(String) -> From, stem: &Stem, sent: &Sent) {
    let plus = if matches!(kind(String::new()), From::International(_)) { "+" } else { "" };
    let _ = writeln!(out, "\n[[provider.code]]");
    let lengths = stem.numbers.iter().map(String::len);
    let (shortest, longest) =
        (lengths.clone().min().unwrap_or(0), lengths.max().unwrap_or(stem.digits_max));
    let _ = writeln!(
        out,
        "# Seen: {} messages from {} numbers of {shortest} to {longest} digits.",
        sent.messages,
        stem.numbers.len()
    );
    if !stem.numbers.contains(&stem.digits) {
        let _ = writeln!(
            out,
            "# FOR A HUMAN: is this the code? It is what the numbers have in common."
        );
    }
    let _ = writeln!(out, "number = \"{plus}{}\"", stem.digits);
    let _ = writeln!(out, "digits_max = {}", stem.digits_max);
    let (purpose, evidence) = purpose(sent);
    let _ = writeln!(out, "# {evidence}");
    let _ = writeln!(out, "purpose = \"{}\"", purpose.name());
    signatures(out, sent);
}

fn signatures(out: &mut String, sent: &Sent) {
    let mut seen: Vec<(&String, &u64)> = sent.signatures.iter().collect();
    seen.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
    let (shown, rest) = seen.split_at(seen.len().min(SIGNATURES_SHOWN));
    if !shown.is_empty() {
        let counted: Vec<String> =
            shown.iter().map(|(name, count)| format!("{} {count}", comment(name))).collect();
        let _ = writeln!(out, "# Signatures: {}.", counted.join(", "));
    }
    if !rest.is_empty() {
        let _ = writeln!(out, "# FOR A HUMAN: {} more, each seen more seldom.", rest.len());
    }
    let names: Vec<&str> = shown.iter().map(|(name, _)| name.as_str()).collect();
    let _ = writeln!(out, "signatures = {}", list(&names));
}

/// Other providers that sent from numbers of this code: theirs stay refused as `source.forged`.
fn shared(
    out: &mut String,
    groups: &[Group],
    owners: &BTreeMap<From, (usize, Vec<usize>)>,
    kind: fn(String) -> From,
    stem: &Stem,
) {
    let mut others: BTreeMap<usize, u64> = BTreeMap::new();
    for number in &stem.numbers {
        let from = kind(number.clone());
        for other in owners.get(&from).into_iter().flat_map(|(_, others)| others) {
            let sent = groups.get(*other).and_then(|group| group.bound.from.get(&from));
            *others.entry(*other).or_default() += sent.map_or(0, |sent| sent.messages);
        }
    }
    for (other, messages) in others {
        let id = groups.get(other).and_then(|group| group.system_ids.first());
        let id = id.map(|id| comment(&String::from_utf8_lossy(id))).unwrap_or_default();
        let _ = writeln!(
            out,
            "# FOR A HUMAN: {id} sent {messages} messages from it too; they are source.forged."
        );
    }
}

/// What a code looks approved for, and why.
fn purpose(sent: &Sent) -> (Purpose, String) {
    let read: u64 = sent.classes.iter().sum();
    if read == 0 {
        return (Purpose::Mixed, "Purpose: no text could be read.".to_owned());
    }
    let count = |is: fn(&Class) -> bool| -> u64 {
        let all = Class::ALL.iter().zip(sent.classes);
        all.filter(|(class, _)| is(class)).map(|(_, count)| count).sum()
    };
    let advertising = count(|class| *class == Class::Commercial);
    let public = count(|class| *class == Class::Public);
    let evidence = format!(
        "Purpose, guessed from {read} texts: {advertising} read as advertising, {public} as public interest."
    );
    let purpose = if read < TEXTS_MIN {
        return (Purpose::Mixed, format!("FOR A HUMAN: too few texts to guess by. {evidence}"));
    } else if advertising * 100 >= read * SHARE_MIN {
        Purpose::Commercial
    } else if public * 100 >= read * SHARE_MIN {
        Purpose::Public
    } else if advertising * 100 <= read * ADVERTISING_MAX {
        Purpose::Service
    } else {
        Purpose::Mixed
    };
    (purpose, evidence)
}

/// A string of TOML. JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn list(texts: &[&str]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// Text that cannot end its comment.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The day of a moment, as TOML writes it.
fn date(time_us: u64) -> String {
    i64::try_from(time_us)
        .ok()
        .and_then(|time_us| jiff::Timestamp::from_microsecond(time_us).ok())
        .map_or_else(|| "2099-12-31".to_owned(), |time| time.strftime("%Y-%m-%d").to_string())
}
