//! What a failure does: nothing that was not kept will be, and writing is tried again.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::super::writer::Writer;
use super::options::Durability;
use super::pending::{Failure, Pending};
use super::shared::{Shared, locked};
use super::state::{State, Unavailable};

/// Failures whose tickets are told apart from those that succeeded; older tickets count as failed.
const FAILURES_MAX: usize = 256;

impl Shared {
    /// Nothing that was not kept will be: rolls back, fails the tickets, refuses from now on.
    ///
    /// Under `queued` the tickets are complete already: the records stay and are tried again.
    pub(super) fn fail(&self, writer: &mut Writer, error: &std::io::Error) {
        writer.roll_back();
        let reason = Unavailable::Failed(error.to_string().into());
        let mut pending = locked(&self.pending);
        if self.durability != Durability::Queued {
            writer.group.clear();
            self.discard(&mut pending, &reason);
            pending.rules = writer.rules();
        }
        self.refuse(&mut pending, reason);
        let woken = std::mem::take(&mut pending.waiters);
        drop(pending);
        woken.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Fails every ticket that is not settled, with the records that are still pending.
    pub(super) fn discard(&self, pending: &mut Pending, reason: &Unavailable) {
        let after = self.completed.load(Ordering::Acquire);
        let through = pending.accepted;
        pending.octets.clear();
        pending.taken = through;
        pending.since = None;
        pending.flush = false;
        pending.waited = false;
        if through == after {
            return;
        }
        self.discarded.fetch_add(through - after, Ordering::Relaxed);
        if pending.failures.len() >= FAILURES_MAX
            && let Some(oldest) = pending.failures.pop_front()
        {
            pending.forgotten = oldest.through;
        }
        pending.failures.push_back(Failure { after, through, reason: reason.clone() });
        // Before `completed`: who sees the position settled must see that it failed.
        self.failed_through.store(through, Ordering::Release);
        self.completed.store(through, Ordering::Release);
    }

    pub(super) fn refuse(&self, pending: &mut Pending, reason: Unavailable) {
        if pending.state == State::Available {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        let at = Instant::now() + self.retry;
        pending.state = State::Unavailable(reason);
        pending.retry_at = Some(at);
        pending.unsynced_since = None;
        pending.ring(&self.bell, Some(at));
    }

    /// Tries whether writing works again.
    pub(super) fn retry(&self) {
        let mut writer = locked(&self.writer);
        let last_us = writer.last_us();
        match writer.try_again(last_us) {
            Ok(()) => {
                let mut pending = locked(&self.pending);
                pending.state = State::Available;
                pending.retry_at = None;
                // What `queued` kept back is written now.
                pending.flush = !pending.octets.is_empty() || !writer.group.is_empty();
            }
            Err(error) => {
                writer.roll_back();
                let reason = Unavailable::Failed(error.to_string().into());
                self.refuse(&mut locked(&self.pending), reason);
            }
        }
    }
}
