//! Revocations that this node took and that the feed has not shown yet: in force here whatever the
//! cache says, and for pairs that it lacks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use super::Told;
use crate::consent::{Happened, PairKey, pair};
use crate::policy::{Standing, StandingState};

#[derive(Default)]
pub(super) struct Overlay {
    /// By pair: the position of its last revocation in the outbox, and when that was, us.
    revoked: RwLock<HashMap<u64, (u64, u64)>>,
    /// How many there are: mostly none.
    count: AtomicUsize,
}

impl Overlay {
    /// Takes those of the events that are revocations.
    pub fn add(&self, events: &[(u64, Told)]) {
        let is_revoked = |told: &Told| matches!(told.event.happened, Happened::Revoked(_));
        if !events.iter().any(|(_, told)| is_revoked(told)) {
            return;
        }
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        for (position, told) in events.iter().filter(|(_, told)| is_revoked(told)) {
            let key = PairKey::new(told.event.entity, told.event.recipient);
            let last = revoked.entry(key.0).or_default();
            *last = (*last).max((*position, told.event.time_us));
        }
        self.count.store(revoked.len(), Ordering::Release);
    }

    /// The cache has shown what the engine made of the events up to `position`.
    pub fn pass(&self, position: u64) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        revoked.retain(|_, (last, _)| *last > position);
        self.count.store(revoked.len(), Ordering::Release);
    }

    /// How a pair stands that is revoked here.
    pub fn standing(&self, key: PairKey) -> Option<Standing> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        let (_, time_us) = revoked.get(&key.0)?;
        let from_us = pair::whole_seconds(*time_us);
        Some(Standing { state: StandingState::Revoked, from_us, ..Standing::NONE })
    }
}
