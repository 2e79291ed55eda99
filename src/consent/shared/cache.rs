//! What this node has in memory of the engine's pairs: bounded, never older than what it was told last.
//!
//! Most pairs fit into an entry of the hot layer. Those that do not, and promises, stand whole beside
//! it. "Nothing is known of this pair" is an entry too. Who asks for what is not here gets a [`Gap`],
//! which a look-up fills: unless something was dropped meanwhile, because that may have been later.

use std::sync::Arc;

use crate::consent::hot::{self, Answer, Numbered, Table};
use crate::consent::pair::Pair;
use crate::consent::{PairKey, Question};
use crate::policy::Standing;

/// Slots of a shard of whole pairs, and octets of one of them: a pair of two or three grants.
const WHOLE_SLOTS: usize = 256;
const WHOLE_OCTETS: usize = 256;

impl Numbered for Arc<Pair> {
    fn number(&self) -> u64 {
        self.sequence
    }
}

/// A pair that is not here, and how often anything was dropped before it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub key: PairKey,
    hot: u64,
    whole: u64,
}

pub(super) struct Cache {
    hot: Table,
    whole: Table<Arc<Pair>>,
    silent_after_us: u64,
}

impl Cache {
    /// A cache within `octets`, of which an eighth is for whole pairs.
    pub fn new(octets: usize, silent_after_us: u64) -> Self {
        let whole = octets / 8;
        Self {
            hot: Table::new(octets.saturating_sub(whole)),
            whole: Table::of(whole, WHOLE_SLOTS, WHOLE_OCTETS),
            silent_after_us,
        }
    }

    /// How a pair stands, or what must be looked up to know it.
    pub fn standing(&self, question: &Question, now_us: u64) -> Result<Standing, Gap> {
        let key = PairKey::new(question.entity, question.recipient);
        let gap = |hot| Gap { key, hot, whole: self.whole.evictions(key) };
        let entry = self.hot.find(key).map_err(gap)?;
        if let Answer::Standing(standing) =
            hot::answer(entry, question.scope, now_us, self.silent_after_us)
        {
            return Ok(standing);
        }
        match self.whole.find(key) {
            Ok(pair) if pair.sequence >= entry.number() => {
                Ok(pair.standing(question.scope, now_us, self.silent_after_us))
            }
            Ok(_) | Err(_) => Err(gap(self.hot.evictions(key))),
        }
    }

    /// What must be looked up again of a pair that was looked up: what filled its gap is not here, because
    /// something was dropped meanwhile, or it was itself. `None`: it is here.
    pub fn gap_again(&self, key: PairKey, now_us: u64) -> Option<Gap> {
        let gap = Gap { key, hot: self.hot.evictions(key), whole: self.whole.evictions(key) };
        match self.hot.find(key) {
            Ok(entry) if !hot::is_whole_needed(entry, now_us) => None,
            Ok(_) if self.whole.find(key).is_ok() => None,
            Ok(_) | Err(_) => Some(gap),
        }
    }

    /// Takes a pair as the feed says it stands. `now_us`: as for questions.
    pub fn renew(&self, key: PairKey, pair: Pair, now_us: u64) {
        self.put(key, pair, now_us, (None, None));
    }

    /// Fills a gap with what was found; `None`: nothing is known of the pair.
    pub fn fill(&self, gap: Gap, pair: Option<Pair>, now_us: u64) {
        self.put(gap.key, pair.unwrap_or_default(), now_us, (Some(gap.hot), Some(gap.whole)));
    }

    /// First the pair, then the entry that sends to it.
    fn put(&self, key: PairKey, pair: Pair, now_us: u64, (hot, whole): (Option<u64>, Option<u64>)) {
        let (entry, _) = hot::entry(&pair);
        if hot::is_whole_needed(entry, now_us) {
            self.whole.renew(key, Arc::new(pair), whole);
        }
        self.hot.renew(key, entry, hot);
    }

    /// Forgets everything, and what is looked up now.
    pub fn clear(&self) {
        self.hot.clear();
        self.whole.clear();
    }

    /// Pairs held.
    pub fn len(&self) -> usize {
        self.hot.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::{
        CACHE_OCTETS_MIN, Cause, EntityId, Event, Grant, Happened, Proof, ProofKind, Scope, Source,
    };
    use crate::policy::{ConsentClass, Review, StandingState};
    use crate::registry::Msisdn;

    const SECOND: u64 = 1_000_000;

    fn question(scope: u8) -> Question {
        let recipient = Msisdn::new(8_613_800_138_000).unwrap();
        Question { entity: EntityId(0), recipient, scope: Scope(scope) }
    }

    fn pair(happened: &[(u64, Happened)]) -> Pair {
        let mut pair = Pair::default();
        for (number, (second, happened)) in (1..).zip(happened) {
            let Question { entity, recipient, .. } = question(0);
            let (time_us, source) = (second * SECOND, Source::Api);
            let event = Event { entity, recipient, time_us, source, happened: *happened };
            pair.apply(&event, number).unwrap();
        }
        pair
    }

    fn granted(scope: u8) -> Happened {
        let proof = Proof { kind: ProofKind::Web, sha256: [7; 32], review: Review::Reviewed };
        let (class, scope) = (ConsentClass::Commercial, Scope(scope));
        Happened::Granted(Grant { scope, class, until_us: None, promise: None, proof })
    }

    #[test]
    fn every_pair_is_answered_as_it_stands_and_a_gap_is_filled_once() {
        let none: &[(u64, Happened)] = &[];
        let (one, other) = ((10, granted(1)), (20, granted(2)));
        let refused = (30, Happened::Revoked(Cause::Refused));
        for (happened, scope, state) in [
            (none, 0, StandingState::None),
            (&[(10, granted(0))], 0, StandingState::Granted),
            (&[one, other], 2, StandingState::Granted),
            (&[one, other], 3, StandingState::None),
            (&[one, other, refused], 2, StandingState::Revoked),
            (&[one, other, refused, (40, granted(1)), (41, granted(2))], 2, StandingState::Granted),
            // It begins within the second that runs.
            (&[(100, granted(0))], 0, StandingState::Granted),
        ] {
            let cache = Cache::new(CACHE_OCTETS_MIN, SECOND);
            let (now_us, question) = (100 * SECOND + 5, question(scope));
            let gap = cache.standing(&question, now_us).unwrap_err();
            cache.fill(gap, Some(pair(happened)), now_us);
            assert_eq!(cache.standing(&question, now_us).map(|one| one.state), Ok(state));
            // The same by the feed, event by event; what comes late and is older changes nothing.
            let cache = Cache::new(CACHE_OCTETS_MIN, SECOND);
            for end in 0..=happened.len() {
                cache.renew(gap.key, pair(&happened[..end]), now_us);
            }
            cache.fill(gap, Some(pair(&happened[..happened.len() / 2])), now_us);
            cache.renew(gap.key, pair(none), now_us);
            assert_eq!(cache.standing(&question, now_us).map(|one| one.state), Ok(state));
            let gap = {
                cache.clear();
                cache.standing(&question, now_us).unwrap_err()
            };
            cache.clear();
            cache.fill(gap, Some(pair(happened)), now_us);
            assert!(cache.standing(&question, now_us).is_err(), "it was asked for before");
        }
    }
}
