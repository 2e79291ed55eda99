//! `consentry audit receipts`: what the SMSC told of messages later, and of which.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;

use super::super::record::{fields, plain};
use super::super::shown::masked;
use super::number::Wanted;
use super::{Answer, Failure, Place, access, micros};
use crate::audit::{self, ReceiptQuery};

/// Results after which the list stops unless told otherwise.
const LIMIT: usize = 1000;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// Only those that belong to no message of this journal.
    #[arg(long)]
    unmatched: bool,
    /// A handset or a code, in any spelling.
    #[arg(long)]
    number: Option<String>,
    /// Not before this time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Before this time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    to: Option<jiff::Timestamp>,
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

/// Runs it.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let folder = args.place.folder()?;
    let number = args.number.as_deref().map(|number| masked(number.as_bytes(), false));
    let asked = match (&number, args.unmatched) {
        (Some(number), _) => format!("number {number}"),
        (None, true) => "unmatched".to_owned(),
        (None, false) => String::new(),
    };
    access::note(&args.place, "receipts", &asked, args.unmask)?;
    let wanted = args.number.as_deref().map(Wanted::new);
    let is_meant = |source: &[u8], destination: &[u8]| {
        wanted.as_ref().is_some_and(|wanted| wanted.is_one_of(source, destination))
    };
    let keys = args.place.keys()?;
    let query = ReceiptQuery {
        keys: Some(&keys),
        since_us: args.from.map(micros),
        until_us: args.to.map(micros),
        number: wanted.is_some().then_some(&is_meant),
        is_unmatched: args.unmatched,
        most: Some(args.limit),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut count = 0;
    let mut failed = None;
    audit::receipts(&folder, &query, &mut |one| {
        let mut line = fields(&one.receipt, args.unmask);
        line["message"] = one.message.into();
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
    if count >= args.limit {
        eprintln!("stopped after {count} results; --limit shows more");
    }
    Ok(if count > 0 { Answer::Yes } else { Answer::No })
}
