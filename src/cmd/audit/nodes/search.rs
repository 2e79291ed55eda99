//! `consentry audit search --url`, `--mirror`: messages and binds of all nodes.

use super::super::access;
use super::super::filters::{Filters, said};
use super::super::listing::{Listing, Shown};
use super::super::{Answer, Failure, Place};
use super::Over;
use super::line::{is_masked, line};

/// Runs it.
pub(in super::super) fn run(
    place: &Place,
    over: &Over,
    filters: &Filters,
    shown: &Shown,
) -> Result<Answer, Failure> {
    let asked = [said(&filters.asked()), over.source.said()];
    let asked: Vec<&str> =
        asked.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    access::note_over(place, "search", &asked.join(", "), shown.unmask)?;
    let mirrored = over.source.open(place)?;
    let mut listing = Listing::new(shown);
    let (mut masked, mut undecided) = (0_u64, 0);
    over.query(place, filters, &mirrored, |mut query| {
        query.most = Some(shown.limit);
        mirrored.search(&query, &mut |told| {
            masked += u64::from(shown.unmask && is_masked(&told.record));
            undecided += told.undecided;
            Ok(listing.push(&line(&told, shown.unmask)))
        })?;
        Ok(())
    })?;
    let answer = listing.finish()?;
    if masked > 0 {
        eprintln!("{masked} results have masked numbers: the mirror does not have them whole");
    }
    tell_undecided(undecided);
    Ok(answer)
}

/// Says that receipts may be missing.
pub(super) fn tell_undecided(undecided: u64) {
    if undecided > 0 {
        eprintln!(
            "{undecided} receipts have the id of a message here and a number under another index key: nobody \
             can tell whether they are its own, and they are not shown"
        );
    }
}
