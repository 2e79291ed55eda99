//! Which system_ids are one provider, and which numbers one code with its extensions.

use std::collections::{BTreeMap, BTreeSet};

use super::learn::{Bound, From, Sent};

/// Numbers of one length that differ in their last digits only are taken for extensions of one code
/// when there are at least so many.
const EXTENSIONS_MIN: usize = 4;

/// The most last digits in which they may differ.
const EXTENSION_DIGITS_MAX: usize = 4;

/// The fewest digits that a code is cut down to so.
const STEM_DIGITS_MIN: usize = 8;

/// A provider as it looks.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) system_ids: Vec<Vec<u8>>,
    pub(super) bound: Bound,
}

/// A code as it looks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stem {
    /// Its digits: those of a number that was seen, or what several have in common.
    pub(super) digits: String,
    /// The longest number that begins with it.
    pub(super) digits_max: usize,
    /// The numbers that were seen.
    pub(super) numbers: Vec<String>,
}

/// system_ids that bind from one address and send from one number are one provider.
pub(super) fn groups(system_ids: &BTreeMap<Vec<u8>, Bound>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (system_id, bound) in system_ids {
        let same = groups.iter_mut().find(|group| {
            bound.peers.keys().any(|peer| group.bound.peers.contains_key(peer))
                && bound.from.keys().any(|from| group.bound.from.contains_key(from))
        });
        match same {
            Some(group) => {
                group.system_ids.push(system_id.clone());
                join(&mut group.bound, bound);
            }
            None => {
                groups.push(Group { system_ids: vec![system_id.clone()], bound: bound.clone() });
            }
        }
    }
    groups
}

fn join(into: &mut Bound, other: &Bound) {
    for (peer, count) in &other.peers {
        *into.peers.entry(*peer).or_default() += count;
    }
    for (from, sent) in &other.from {
        into.from.entry(from.clone()).or_default().join(sent);
    }
    into.missing += other.missing;
    into.malformed += other.malformed;
    into.beyond += other.beyond;
}

/// Whose each number is: the group that sent most from it, the first of equals. The others that sent
/// from it are named beside.
pub(super) fn owners(groups: &[Group]) -> BTreeMap<From, (usize, Vec<usize>)> {
    let mut by_number: BTreeMap<From, Vec<(usize, u64)>> = BTreeMap::new();
    for (at, group) in groups.iter().enumerate() {
        for (from, sent) in &group.bound.from {
            by_number.entry(from.clone()).or_default().push((at, sent.messages));
        }
    }
    let owned = by_number.into_iter().map(|(from, mut users)| {
        users.sort_by_key(|(at, messages)| (std::cmp::Reverse(*messages), *at));
        let mut users = users.into_iter().map(|(at, _)| at);
        let owner = users.next().unwrap_or_default();
        (from, (owner, users.collect()))
    });
    owned.collect()
}

/// The codes that explain these numbers.
pub(super) fn stems(numbers: &BTreeSet<String>) -> Vec<Stem> {
    // A number that begins with another one that was seen is its extension.
    let mut stems: Vec<Stem> = Vec::new();
    for number in numbers {
        match stems.iter_mut().find(|stem| number.starts_with(&stem.digits)) {
            Some(stem) => {
                stem.digits_max = stem.digits_max.max(number.len());
                stem.numbers.push(number.clone());
            }
            None => stems.push(Stem {
                digits: number.clone(),
                digits_max: number.len(),
                numbers: vec![number.clone()],
            }),
        }
    }
    for cut in 1..=EXTENSION_DIGITS_MAX {
        stems = shortened(stems, cut);
    }
    stems
}

/// Stems that differ in their last `cut` digits become what they have in common, where there are many.
fn shortened(stems: Vec<Stem>, cut: usize) -> Vec<Stem> {
    let common = |stem: &Stem| {
        let length =
            stem.digits.len().checked_sub(cut).filter(|length| *length >= STEM_DIGITS_MIN)?;
        let whole = stem.numbers.contains(&stem.digits);
        whole.then(|| stem.digits.get(..length).map(str::to_owned)).flatten()
    };
    let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
    for common in stems.iter().filter_map(common) {
        *sizes.entry(common).or_default() += 1;
    }
    let mut out: Vec<Stem> = Vec::new();
    for stem in stems {
        let many = common(&stem).filter(|common| sizes.get(common) >= Some(&EXTENSIONS_MIN));
        let Some(digits) = many else {
            out.push(stem);
            continue;
        };
        match out.iter_mut().find(|known| known.digits == digits) {
            Some(known) => {
                known.digits_max = known.digits_max.max(stem.digits_max);
                known.numbers.extend(stem.numbers);
            }
            None => out.push(Stem { digits, ..stem }),
        }
    }
    out
}

/// All that was sent from the numbers of a stem.
pub(super) fn sent(bound: &Bound, stem: &Stem, kind: fn(String) -> From) -> Sent {
    let mut sum = Sent::default();
    for number in &stem.numbers {
        if let Some(sent) = bound.from.get(&kind(number.clone())) {
            sum.join(sent);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_codes_with_extensions() {
        let rows: &[(&[&str], &[(&str, usize)])] = &[
            (&[], &[]),
            (&["106900001234"], &[("106900001234", 12)]),
            // Extensions of a code that is used bare.
            (&["106900001234", "10690000123401", "1069000012345678"], &[("106900001234", 16)]),
            // Many that differ in one digit, in two digits.
            (
                &["1069000012341", "1069000012342", "1069000012343", "1069000012344"],
                &[("106900001234", 13)],
            ),
            (
                &["10690000123411", "10690000123422", "10690000123433", "10690000123444"],
                &[("106900001234", 14)],
            ),
            // Three are no evidence.
            (
                &["1069000012341", "1069000012342", "1069000012343"],
                &[("1069000012341", 13), ("1069000012342", 13), ("1069000012343", 13)],
            ),
            // Short codes stay what they are.
            (
                &["95551", "95552", "95553", "95554"],
                &[("95551", 5), ("95552", 5), ("95553", 5), ("95554", 5)],
            ),
        ];
        for (numbers, expected) in rows {
            let numbers = numbers.iter().map(|one| (*one).to_owned()).collect();
            let found = stems(&numbers);
            let found: Vec<_> = found.iter().map(|s| (s.digits.as_str(), s.digits_max)).collect();
            assert_eq!(&found, expected, "{numbers:?}");
        }
    }

    #[test]
    fn one_address_and_one_number_make_one_provider() {
        let bound = |peer: &str, numbers: &[(&str, u64)]| {
            let mut bound = Bound::default();
            bound.peers.insert(peer.parse().expect("an address"), 1);
            for (number, messages) in numbers {
                let sent = Sent { messages: *messages, ..Sent::default() };
                bound.from.insert(From::Code((*number).to_owned()), sent);
            }
            bound
        };
        let system_ids = BTreeMap::from([
            (b"a".to_vec(), bound("192.0.2.1", &[("1069", 5)])),
            (b"b".to_vec(), bound("192.0.2.1", &[("1069", 9), ("95", 1)])),
            (b"c".to_vec(), bound("192.0.2.2", &[("1069", 20)])),
            (b"d".to_vec(), bound("192.0.2.1", &[("12", 1)])),
        ]);
        let groups = groups(&system_ids);
        let names: Vec<Vec<&[u8]>> = groups
            .iter()
            .map(|group| group.system_ids.iter().map(Vec::as_slice).collect())
            .collect();
        assert_eq!(names, [vec![b"a".as_slice(), b"b"], vec![b"c"], vec![b"d"]]);
        let owners = owners(&groups);
        assert_eq!(owners[&From::Code("1069".to_owned())], (1, vec![0]));
        assert_eq!(owners[&From::Code("95".to_owned())], (0, vec![]));
    }
}
