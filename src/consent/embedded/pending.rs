//! What was accepted and is not in the store yet: the queue, tickets and wakers.

use std::collections::HashMap;
use std::task::Waker;

use super::newcomers::Newcomers;
use super::store::{Counts, Store};
use crate::consent::files::FileFault;
use crate::consent::pair::{Change, Pair};
use crate::consent::{Cause, Event, EventFault, Happened, PairKey, Unavailable};

/// Events that wait to be written at most; more are refused with [`Unavailable::Backlog`].
pub const QUEUE_EVENTS_MAX: usize = 1 << 16;

/// Wakers that wait at once; when one more comes all are woken, and register anew.
pub(super) const WAITERS_MAX: usize = 1 << 16;

/// An event on its way to the store.
pub(super) struct Queued {
    pub key: PairKey,
    /// Its number in the history; `None` for a count.
    pub sequence: Option<u64>,
    pub recorded_us: u64,
    pub event: Event,
}

/// What stands under the ledger's one lock.
pub(super) struct Pending {
    pub queue: Vec<Queued>,
    /// Pairs as they stand after the queue, with the position of the last event that changed them.
    pub pairs: HashMap<u64, (Pair, u64)>,
    pub counts: Counts,
    /// The pairs that there are, as long as an import began with none.
    pub newcomers: Option<Newcomers>,
    /// Revocations taken since the ledger was opened, in the order of [`Cause::ALL`].
    pub revoked: [u64; Cause::ALL.len()],
    /// Position of the last event accepted.
    pub accepted: u64,
    pub waiters: Vec<(u64, Waker)>,
    /// Why nothing is taken any more.
    pub ended: Option<Unavailable>,
    pub is_closing: bool,
}

impl Pending {
    pub fn new(counts: Counts) -> Self {
        Self {
            queue: Vec::new(),
            pairs: HashMap::new(),
            counts,
            newcomers: None,
            revoked: [0; Cause::ALL.len()],
            accepted: 0,
            waiters: Vec::new(),
            ended: None,
            is_closing: false,
        }
    }

    /// The pair as it stands after everything accepted; `None` = it has no history.
    pub fn pair(&self, store: &Store, key: PairKey) -> Result<Option<Pair>, FileFault> {
        match self.pairs.get(&key.0) {
            Some((pair, _)) => Ok(Some(pair.clone())),
            None => store.pair(key),
        }
    }

    /// Takes one event; the pair as it stands then, or `None` when it knew it already.
    pub fn take(
        &mut self,
        store: &Store,
        event: &Event,
        now_us: u64,
    ) -> Result<Result<Option<&Pair>, EventFault>, FileFault> {
        if let Err(fault) = event.check(now_us) {
            return Ok(Err(fault));
        }
        let key = PairKey::new(event.entity, event.recipient);
        let found = self.pair(store, key)?;
        let is_new = found.is_none();
        let mut pair = found.unwrap_or_default();
        let sequence = match pair.apply(event, self.counts.next) {
            Err(fault) => return Ok(Err(fault)),
            Ok(Change::None) => return Ok(Ok(None)),
            Ok(Change::Count) => None,
            Ok(Change::History) => Some(self.counts.next),
        };
        if let Some(newcomers) = &mut self.newcomers {
            newcomers.see(key);
        }
        self.counts.next += u64::from(sequence.is_some());
        self.counts.pairs += u64::from(is_new);
        if let Some(count) = self.counts.events.get_mut(event.happened.kind()) {
            *count += 1;
        }
        for (one, count) in Cause::ALL.iter().zip(&mut self.revoked) {
            *count += u64::from(event.happened == Happened::Revoked(*one));
        }
        self.accepted += 1;
        self.queue.push(Queued { key, sequence, recorded_us: now_us, event: *event });
        let place = self.pairs.entry(key.0).insert_entry((pair, self.accepted));
        Ok(Ok(Some(&place.into_mut().0)))
    }
}
