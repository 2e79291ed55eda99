//! `consentry audit receipts`: what the SMSC told of messages later, and of which.

use super::super::record::fields;
use super::filters::{Span, said};
use super::listing::{Listing, Shown};
use super::{Answer, Failure, Place, access};
use crate::audit::{self, ReceiptQuery};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// Only those that belong to no message of this journal.
    #[arg(long)]
    unmatched: bool,
    #[command(flatten)]
    span: Span,
    #[command(flatten)]
    shown: Shown,
}

/// Runs it.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let Args { place, unmatched, span, shown } = args;
    let folder = place.folder()?;
    let asked = said(&span.asked());
    let asked = match (unmatched, asked.is_empty()) {
        (false, _) => asked,
        (true, true) => "unmatched".to_owned(),
        (true, false) => format!("{asked}, unmatched"),
    };
    access::note(place, "receipts", &asked, shown.unmask)?;
    let wanted = span.wanted();
    let is_meant = |source: &[u8], destination: &[u8]| {
        wanted.as_ref().is_some_and(|wanted| wanted.is_one_of(source, destination))
    };
    let keys = place.keys()?;
    let (since_us, until_us) = span.times();
    let query = ReceiptQuery {
        keys: Some(&keys),
        since_us,
        until_us,
        number: wanted.is_some().then_some(&is_meant),
        is_unmatched: *unmatched,
        most: Some(shown.limit),
    };
    let mut listing = Listing::new(shown);
    audit::receipts(&folder, &query, &mut |one| {
        let mut line = fields(&one.receipt, shown.unmask);
        line["message"] = one.message.into();
        listing.push(&line)
    })?;
    listing.finish()
}
