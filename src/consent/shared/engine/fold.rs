//! A batch of events folded into their pairs. Pure: what the engine had goes in, what it shall have
//! comes out.

use std::collections::HashMap;

use super::apply::{Outcome, Told};
use super::lock::Head;
use crate::consent::format::write_event;
use crate::consent::pair::Change;
use crate::consent::{EventFault, Pair, PairKey};

/// What a batch makes of the ledger.
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// One an event, in their order.
    pub outcomes: Vec<Result<Outcome, EventFault>>,
    /// Events with a place in the history: pair, number, octets.
    pub events: Vec<(PairKey, u64, Vec<u8>)>,
    /// Pairs that are not as they were, by key.
    pub pairs: Vec<(PairKey, Pair)>,
}

impl Folded {
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

/// A pair in the course of a batch.
#[derive(Default)]
struct Place {
    pair: Pair,
    is_new: bool,
    is_changed: bool,
}

/// The keys of a batch, each once, in order.
pub(super) fn keys<'a>(told: impl Iterator<Item = &'a Told>) -> Vec<PairKey> {
    let mut keys: Vec<PairKey> = told.map(|told| told.key()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Folds a batch. `found`: all pairs of the batch that the engine has. `head` moves on by what was taken
/// and by one change a changed pair. `claims`: whether an event that claims more than is left is refused.
pub(super) fn fold(
    head: &mut Head,
    found: Vec<(PairKey, Pair)>,
    told: &[Told],
    claims: bool,
) -> Folded {
    let stood = |(key, pair)| (key, Place { pair, is_new: false, is_changed: false });
    let mut places: HashMap<PairKey, Place> = found.into_iter().map(stood).collect();
    let mut folded = Folded::default();
    for told in told {
        let unknown = || Place { is_new: true, ..Place::default() };
        let place = places.entry(told.key()).or_insert_with(unknown);
        let outcome = take(head, place, told, claims);
        if let Ok(Outcome::Taken(number)) = outcome {
            let mut octets = Vec::new();
            write_event(&told.event, told.recorded_us, &mut octets);
            folded.events.push((told.key(), number, octets));
        }
        folded.outcomes.push(outcome);
    }
    for (key, place) in places {
        if place.is_changed {
            head.pairs += u64::from(place.is_new);
            folded.pairs.push((key, place.pair));
        }
    }
    head.change += folded.pairs.len() as u64;
    folded.pairs.sort_unstable_by_key(|(key, _)| *key);
    folded
}

fn take(
    head: &mut Head,
    place: &mut Place,
    told: &Told,
    claims: bool,
) -> Result<Outcome, EventFault> {
    told.event.check(told.recorded_us)?;
    if claims {
        place.pair.claim(&told.event)?;
    }
    let outcome = match place.pair.apply(&told.event, head.event + 1)? {
        Change::None => return Ok(Outcome::Known),
        Change::Count => Outcome::Counted,
        Change::History => {
            head.event += 1;
            Outcome::Taken(head.event)
        }
    };
    if let Some(count) = head.events.get_mut(told.event.happened.kind()) {
        *count += 1;
    }
    place.is_changed = true;
    Ok(outcome)
}
