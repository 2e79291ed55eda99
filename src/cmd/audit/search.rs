//! `consentry audit search`: binds and messages by what an inspector asks for, of a journal or of all nodes.

use super::super::record::line;
use super::filters::{Filters, said};
use super::listing::{Listing, Shown};
use super::nodes::{self, Over};
use super::{Answer, Failure, Place, access};
use crate::audit::{self, Query};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    over: Over,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    shown: Shown,
}

/// Runs it.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let Args { place, over, filters, shown } = args;
    if over.is_given() {
        return nodes::search(place, over, filters, shown);
    }
    let folder = place.folder()?;
    access::note(place, "search", &said(&filters.asked()), shown.unmask)?;
    let keys = place.keys()?;
    let mut listing = Listing::new(shown);
    let searched = filters.query(place, &keys, |query| {
        let query = Query { most: Some(shown.limit), ..query };
        let each = &mut |found| listing.push(&line(&found, shown.unmask));
        Ok(audit::search(&folder, &query, each)?)
    })?;
    let answer = listing.finish()?;
    if searched.unreadable > 0 {
        let unreadable = searched.unreadable;
        eprintln!(
            "{unreadable} messages could not be searched for the number, their keys are not there; \
             `audit show` of one says why"
        );
    }
    Ok(answer)
}
