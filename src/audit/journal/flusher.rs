//! The journal's thread: writes, synchronises and tries again, as the shared side asks, and writes the end.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::super::proof::Notary;
use super::super::records::Records;
use super::super::writer::{Rotation, Writer};
use super::options::Durability;
use super::pending::{Pending, Sleep};
use super::shared::{QUEUED_WAIT, Shared, UNWAITED_WAIT, WRITTEN_SYNC, locked};
use super::state::{State, Unavailable};

/// What the thread is to do next.
enum Work {
    Flush,
    Sync,
    Retry,
    Close(u64),
}

/// Runs until the journal is closed; the result is that of writing its end.
pub(super) fn run(shared: &Shared) -> Result<(), Unavailable> {
    loop {
        match shared.next_work() {
            Work::Flush => shared.flush(),
            Work::Sync => shared.sync(),
            Work::Retry => shared.retry(),
            Work::Close(stop_us) => return shared.finish(stop_us),
        }
    }
}

impl Shared {
    /// Sleeps until there is something to do. Only the journal's thread calls this.
    fn next_work(&self) -> Work {
        let mut pending = locked(&self.pending);
        loop {
            let now = Instant::now();
            let until = match self.due(&pending, now) {
                Ok(work) => {
                    pending.sleep = Sleep::Awake;
                    return work;
                }
                Err(until) => until,
            };
            pending.sleep = until.map_or(Sleep::Long, Sleep::Until);
            pending = match until {
                None => self.bell.wait(pending).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let wait = until.saturating_duration_since(now);
                    self.bell.wait_timeout(pending, wait).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// What is due now; else when something will be, if anything.
    fn due(&self, pending: &Pending, now: Instant) -> Result<Work, Option<Instant>> {
        if let Some(stop_us) = pending.closing {
            return Ok(Work::Close(stop_us));
        }
        if let (State::Unavailable(_), Some(at)) = (&pending.state, pending.retry_at) {
            return if now >= at { Ok(Work::Retry) } else { Err(Some(at)) };
        }
        if pending.flush || pending.waited {
            return Ok(Work::Flush);
        }
        let wait = if self.durability == Durability::Queued { QUEUED_WAIT } else { UNWAITED_WAIT };
        let flush = pending.since.map(|since| since + wait);
        let sync = pending.unsynced_since.map(|since| since + WRITTEN_SYNC);
        match (flush, sync) {
            (Some(at), _) if now >= at => Ok(Work::Flush),
            (_, Some(at)) if now >= at => Ok(Work::Sync),
            (Some(flush), Some(sync)) => Err(Some(flush.min(sync))),
            (at, None) | (None, at) => Err(at),
        }
    }

    /// Writes what is pending. Only the journal's thread calls this.
    pub(super) fn flush(&self) {
        self.drain(&mut locked(&self.writer));
    }

    /// Synchronises what was written, without keeping others from writing meanwhile.
    pub(super) fn sync(&self) {
        locked(&self.pending).unsynced_since = None;
        let (unsynced, next) = {
            let mut writer = locked(&self.writer);
            (writer.unsynced(), writer.next_number())
        };
        match self.timed_sync(unsynced) {
            Ok(()) => drop(self.synced_next.fetch_max(next, Ordering::AcqRel)),
            Err(error) => self.fail(&mut locked(&self.writer), &error),
        }
    }

    /// Writes everything pending, the checkpoints that are owed and the stop record, and synchronises.
    fn finish(&self, stop_us: u64) -> Result<(), Unavailable> {
        if locked(&self.pending).state != State::Available {
            self.retry();
        }
        let mut writer = locked(&self.writer);
        // At most twice: a group that `queued` kept back, then the queue.
        while self.has_pending(&writer) {
            self.drain(&mut writer);
        }
        // Nothing is accepted while the notary reads up: what it is asked for, it need not append.
        let notary = locked(&self.notary).take();
        let mut end = notary.as_ref().map(Notary::last_words).unwrap_or_default();
        end.stop(stop_us);
        let state = locked(&self.pending).state.clone();
        let finished = match state {
            State::Unavailable(reason) => Err(reason),
            _ => self.write_end(&mut writer, &end),
        };
        let mut pending = locked(&self.pending);
        pending.state = State::Closed;
        self.discard(&mut pending, &Unavailable::Closed);
        let woken = std::mem::take(&mut pending.waiters);
        drop(pending);
        woken.into_iter().for_each(|(_, waker)| waker.wake());
        writer.unlock();
        drop(writer);
        if let Some(notary) = notary {
            notary.finish();
        }
        finished
    }

    fn has_pending(&self, writer: &Writer) -> bool {
        let pending = locked(&self.pending);
        pending.state == State::Available
            && (!pending.octets.is_empty() || !writer.group.is_empty())
    }

    fn write_end(&self, writer: &mut Writer, end: &Records) -> Result<(), Unavailable> {
        writer.group.extend_from_slice(end.octets());
        // A segment that were left now could not be signed whole before the next start.
        let written =
            writer.write(Rotation::Never).and_then(|()| self.timed_sync(writer.unsynced()));
        match written {
            Ok(()) => {
                writer.keep();
                self.synced_next.store(writer.next_number(), Ordering::Release);
                Ok(())
            }
            Err(error) => {
                writer.roll_back();
                Err(Unavailable::Failed(error.to_string().into()))
            }
        }
    }
}
