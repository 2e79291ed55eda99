//! When the relation of an entity and a recipient ended: what began it is kept until then, and a term
//! longer (Order 31 article 11).
//!
//! A refusal ends it, and so does the end that was promised with a grant, or that a grant counts no
//! more. It lasts while the recipient stands in consent, or a request waits for an answer.

use super::{EntityId, Happened, Kept, Ledger, Unavailable};
use crate::policy::{Standing, StandingState};
use crate::registry::Msisdn;

/// How far a reply's record and its event may be apart, microseconds.
const APART_US: u64 = 1_000_000;

impl Ledger {
    /// When the relation ended that there was at `since_us`, or began there, as it is known at `now_us`;
    /// none while it lasts. A relation that never began ended at once. Reads the disk.
    pub fn relation_ended(
        &self,
        entity: EntityId,
        recipient: Msisdn,
        since_us: u64,
        now_us: u64,
    ) -> Result<Option<u64>, Unavailable> {
        let history = self.history(entity, recipient)?;
        let refused = |kept: &Kept| {
            let is_refusal = matches!(kept.event.happened, Happened::Revoked(_));
            (is_refusal && kept.event.time_us >= since_us).then_some(kept.event.time_us)
        };
        if let Some(refused) = history.iter().filter_map(refused).min() {
            return Ok(Some(refused));
        }
        let standings = self.pair_standings(entity, recipient, now_us)?;
        let standings = standings.iter().map(|(_, standing)| standing);
        Ok(end_of(standings, since_us, now_us))
    }

    /// The entity of whose history a reply at that time is a part; none where it changed nothing. Asks
    /// the store once for each entity.
    pub fn entity_of_reply(
        &self,
        recipient: Msisdn,
        time_us: u64,
    ) -> Result<Option<EntityId>, Unavailable> {
        for entity in self.entities_of(recipient)? {
            let history = self.history(entity, recipient)?;
            if history.iter().any(|kept| kept.event.time_us.abs_diff(time_us) < APART_US) {
                return Ok(Some(entity));
            }
        }
        Ok(None)
    }
}

/// Without a refusal: when the last grant ran out, if none holds and no request waits.
fn end_of<'a>(
    standings: impl Iterator<Item = &'a Standing>,
    since_us: u64,
    now_us: u64,
) -> Option<u64> {
    let mut end = since_us;
    for standing in standings {
        match standing.state {
            StandingState::Asked => return None,
            StandingState::Granted if now_us < standing.until_us => return None,
            StandingState::Granted => end = end.max(standing.until_us),
            StandingState::None | StandingState::Revoked | StandingState::Silent => {}
        }
    }
    Some(end)
}
