//! `consentry audit search`: binds and messages by what an inspector asks for.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;

use super::super::record::{line, plain};
use super::{Answer, Failure, Place};
use crate::audit::{self, Query};
use crate::policy::Rule;
use crate::registry::{self, Digits, Npi, Sender, Ton};

/// Results after which a search stops unless told otherwise.
const LIMIT: usize = 1000;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// A sender or recipient, in any spelling.
    #[arg(long)]
    number: Option<String>,
    /// The provider's name.
    #[arg(long)]
    provider: Option<String>,
    /// Not before this time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Before this time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    to: Option<jiff::Timestamp>,
    /// A rule's name: what it refused or observed.
    #[arg(long, value_parser = rule)]
    rule: Option<Rule>,
    /// pass, refuse or observe.
    #[arg(long, value_parser = verdict)]
    verdict: Option<u8>,
    /// A session's number.
    #[arg(long)]
    session: Option<u64>,
    /// The SMSC's message_id.
    #[arg(long)]
    message_id: Option<String>,
    /// An id that a message named in its vendor's parameters: entity, template or consent.
    #[arg(long, value_name = "ID")]
    reference: Option<String>,
    /// Stop after so many results.
    #[arg(long, default_value_t = LIMIT)]
    limit: usize,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Show numbers whole.
    #[arg(long)]
    unmask: bool,
}

fn rule(name: &str) -> Result<Rule, String> {
    Rule::from_name(name).ok_or_else(|| "not a rule; `consentry check` lists them".to_owned())
}

fn verdict(name: &str) -> Result<u8, String> {
    match name {
        "pass" => Ok(audit::PASS),
        "refuse" => Ok(audit::REFUSE),
        "observe" => Ok(audit::OBSERVE),
        _ => Err("pass, refuse or observe".to_owned()),
    }
}

/// Runs it.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let folder = args.place.folder()?;
    let wanted = args.number.as_ref().map(|number| number.trim().as_bytes().to_vec());
    let wanted_canonical = wanted.as_deref().and_then(canonical);
    let is_meant = |source: &[u8], destination: &[u8]| {
        [source, destination].into_iter().any(|octets| {
            Some(octets) == wanted.as_deref()
                || (wanted_canonical.is_some() && canonical(octets) == wanted_canonical)
        })
    };
    let micros = |time: jiff::Timestamp| u64::try_from(time.as_microsecond()).unwrap_or(0);
    let keys = args.place.keys()?;
    let query = Query {
        keys: Some(&keys),
        since_us: args.from.map(micros),
        until_us: args.to.map(micros),
        number: wanted.is_some().then_some(&is_meant),
        provider: args.provider.as_deref(),
        rule: args.rule.map(Rule::code),
        verdict: args.verdict,
        session: args.session,
        message_id: args.message_id.as_deref().map(str::as_bytes),
        reference: args.reference.as_deref().map(str::as_bytes),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut count = 0;
    let mut failed = None;
    let searched = audit::search(&folder, &query, &mut |found| {
        let line = line(&found, args.unmask);
        let written =
            if args.json { writeln!(out, "{line}") } else { writeln!(out, "{}", plain(&line)) };
        failed = written.err();
        count += 1;
        if failed.is_some() || count >= args.limit {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    out.flush()?;
    if searched.unreadable > 0 {
        let unreadable = searched.unreadable;
        eprintln!(
            "{unreadable} messages could not be searched for the number, their keys are not there; \
             `audit show` of one says why"
        );
    }
    if count >= args.limit {
        eprintln!("stopped after {count} results; --limit shows more");
    }
    Ok(if count > 0 { Answer::Yes } else { Answer::No })
}

/// A number in the form in which all its spellings are one: as a recipient, else as a sender.
fn canonical(value: &[u8]) -> Option<Canonical> {
    let one = registry::Address { ton: Ton(0), npi: Npi(0), value };
    let other = registry::Address { ton: Ton(1), ..one };
    [one, other].iter().find_map(|address| match registry::recipient(address) {
        Ok(found) => Some(Canonical::Number(found.msisdn.unmasked().into_bytes())),
        Err(_) => match registry::sender(address).ok()? {
            Sender::Code(digits) => Some(Canonical::Code(digits)),
            Sender::International(digits) => Some(Canonical::Number(digits.as_bytes().to_vec())),
            Sender::Alphanumeric(_) => None,
        },
    })
}

/// A code of the Chinese plan is never the number of the same digits abroad.
#[derive(PartialEq, Eq)]
enum Canonical {
    Code(Digits),
    Number(Vec<u8>),
}
