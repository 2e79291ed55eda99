//! Events that are gathered to be told at once: of a batch of a stream, of a body, of a chunk of a file.

use std::collections::BTreeSet;

use super::{EntityId, Event, Ledger, LineFault, Unavailable};
use crate::registry::Msisdn;

/// Events that revocations without an entity may become in one body while nobody can tell which entities
/// know their numbers.
pub const UNSURE_EVENTS_MAX: usize = 4096;

/// Events, in their order.
#[derive(Debug, Default)]
pub struct Gathered {
    /// They.
    pub events: Vec<Event>,
    /// The pairs of the first so many events. Nobody asks for them in most files, so they are not kept
    /// before somebody does.
    pairs: BTreeSet<(Msisdn, EntityId)>,
    paired: usize,
    is_operators: bool,
    /// Why the engine was asked no more, and the events that were taken since for all entities.
    unsure: Option<(Unavailable, usize)>,
}

impl Gathered {
    /// For what an operator tells: while the engine of a shared ledger does not answer, a revocation that
    /// names no entity is for all entities whose names this node knows. The doubt is the recipient's.
    pub fn of_operator() -> Gathered {
        Gathered { is_operators: true, ..Gathered::default() }
    }

    /// Empties it, for the next events.
    pub fn clear(&mut self) {
        self.events.clear();
        self.pairs.clear();
        self.paired = 0;
    }

    /// The entities that know a number: by the ledger, or by what was gathered before.
    pub(super) fn entities_of(
        &mut self,
        ledger: &Ledger,
        recipient: Msisdn,
    ) -> Result<Vec<EntityId>, LineFault> {
        if self.unsure.is_none() {
            match ledger.entities_of(recipient) {
                Ok(known) => return Ok(self.with_gathered(recipient, known)),
                Err(why @ Unavailable::Engine(_)) if self.is_operators => {
                    self.unsure = Some((why, 0));
                }
                Err(why) => return Err(LineFault::Name("number", why.into())),
            }
        }
        self.everybody(ledger)
    }

    fn with_gathered(&mut self, recipient: Msisdn, mut known: Vec<EntityId>) -> Vec<EntityId> {
        let new = self.events.get(self.paired..).unwrap_or_default();
        self.pairs.extend(new.iter().map(|event| (event.recipient, event.entity)));
        self.paired = self.events.len();
        let gathered = (recipient, EntityId(0))..=(recipient, EntityId(u16::MAX));
        known.extend(self.pairs.range(gathered).map(|(_, entity)| *entity));
        known.sort_unstable();
        known.dedup();
        known
    }

    /// All entities whose names are known here.
    fn everybody(&mut self, ledger: &Ledger) -> Result<Vec<EntityId>, LineFault> {
        let all = ledger.entities();
        let Some((why, taken)) = &mut self.unsure else { return Ok(all) };
        if all.is_empty() {
            return Err(LineFault::Name("number", why.clone().into()));
        }
        if *taken + all.len() > UNSURE_EVENTS_MAX {
            let (count, most) = (all.len(), UNSURE_EVENTS_MAX);
            let why = format!(
                "is missing, and the consent engine does not answer: such a line is for all {count} entities \
                 that this node knows, {most} events at most at once; name the entity"
            );
            return Err(LineFault::Field("entity", why));
        }
        *taken += all.len();
        Ok(all)
    }
}
