//! The queue: records that wait to be written, who waits for them, and what failed.

use std::collections::VecDeque;
use std::sync::Condvar;
use std::task::Waker;
use std::time::Instant;

use super::super::ruling::Ruling;
use super::state::{State, Unavailable};

/// A run of positions that failed.
pub(super) struct Failure {
    /// The last position before it that was kept.
    pub after: u64,
    pub through: u64,
    pub reason: Unavailable,
}

/// What the thread waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sleep {
    Awake,
    Until(Instant),
    Long,
}

/// What is behind the mutex `pending`.
pub(super) struct Pending {
    pub octets: Vec<u8>,
    /// Digest of the rules by which the last of what was judged was judged.
    pub rules: [u8; 32],
    /// Position of the last record accepted.
    pub accepted: u64,
    /// Position of the last record taken from the queue, or discarded.
    pub taken: u64,
    /// When the oldest record came that nobody waits for.
    pub since: Option<Instant>,
    /// Records are pending that are to be written now.
    pub flush: bool,
    /// `written`: records are pending that somebody waits for and wanted to write himself. If he
    /// found the thread at the file he left, and the thread must write them before it sleeps.
    pub waited: bool,
    /// `written`: when the oldest record was written that is not synchronised.
    pub unsynced_since: Option<Instant>,
    pub waiters: Vec<(u64, Waker)>,
    pub state: State,
    pub retry_at: Option<Instant>,
    pub failures: VecDeque<Failure>,
    /// Positions up to here count as failed: the failure that says more was forgotten.
    pub forgotten: u64,
    /// The time of the stop record, once the journal is to close.
    pub closing: Option<u64>,
    pub sleep: Sleep,
}

impl Pending {
    /// Nothing waits; `rules` are those in force.
    pub fn new(rules: [u8; 32]) -> Pending {
        Pending {
            octets: Vec::new(),
            rules,
            accepted: 0,
            taken: 0,
            since: None,
            flush: false,
            waited: false,
            unsynced_since: None,
            waiters: Vec::new(),
            state: State::Available,
            retry_at: None,
            failures: VecDeque::new(),
            forgotten: 0,
            closing: None,
            sleep: Sleep::Awake,
        }
    }

    /// Why records are refused, if they are.
    pub fn refusal(&self) -> Option<Unavailable> {
        if self.closing.is_some() {
            return Some(Unavailable::Closed);
        }
        match &self.state {
            State::Available => None,
            State::Unavailable(reason) => Some(reason.clone()),
            State::Closed => Some(Unavailable::Closed),
        }
    }

    /// What follows is judged by other rules.
    pub fn switch(&mut self, by: &Ruling, time_us: u64) {
        let records = by.switch(self.rules, time_us);
        self.octets.extend_from_slice(records.octets());
        self.accepted += records.len() as u64;
        self.rules = by.rules;
    }

    /// Whether a position that is settled was kept.
    pub fn settled(&self, position: u64) -> Result<(), Unavailable> {
        if position <= self.forgotten {
            return Err(Unavailable::Failed("an earlier failure, no longer told apart".into()));
        }
        let failed = |failure: &&Failure| position > failure.after && position <= failure.through;
        match self.failures.iter().find(failed) {
            Some(failure) => Err(failure.reason.clone()),
            None => Ok(()),
        }
    }

    /// Wakes the thread if it would sleep beyond `when`.
    pub fn ring(&mut self, bell: &Condvar, when: Option<Instant>) {
        let late = match (self.sleep, when) {
            (Sleep::Awake, _) => false,
            (Sleep::Long, _) | (_, None) => true,
            (Sleep::Until(until), Some(when)) => until > when,
        };
        if late {
            self.sleep = Sleep::Awake;
            bell.notify_all();
        }
    }
}
