//! `consentry audit search`: binds and messages by what an inspector asks for.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;

use super::super::record::{line, plain};
use super::number::{Wanted, canonical_octets};
use super::{Answer, Failure, Place, micros};
use crate::audit::index::Indexed;
use crate::audit::{self, Query};
use crate::policy::Rule;

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
    /// The SMSC's message_id, as its response or a receipt wrote it: in any case, with leading zeros or
    /// without, decimal or hexadecimal.
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

pub(super) fn rule(name: &str) -> Result<Rule, String> {
    Rule::from_name(name).ok_or_else(|| "not a rule; `consentry check` lists them".to_owned())
}

pub(super) fn verdict(name: &str) -> Result<u8, String> {
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
    let wanted = args.number.as_deref().map(Wanted::new);
    let is_meant = |source: &[u8], destination: &[u8]| {
        wanted.as_ref().is_some_and(|wanted| wanted.is_one_of(source, destination))
    };
    let keys = args.place.keys()?;
    let index_key = args.place.index_key()?;
    let indexed = index_key.as_ref().map(|key| Indexed {
        key,
        canonical: &canonical_octets,
        number: wanted.as_ref().map(Wanted::written),
    });
    let query = Query {
        keys: Some(&keys),
        index: indexed.as_ref(),
        since_us: args.from.map(micros),
        until_us: args.to.map(micros),
        number: wanted.is_some().then_some(&is_meant),
        provider: args.provider.as_deref(),
        rule: args.rule.map(Rule::code),
        verdict: args.verdict,
        session: args.session,
        message_id: args.message_id.as_deref().map(str::as_bytes),
        reference: args.reference.as_deref().map(str::as_bytes),
        most: Some(args.limit),
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
