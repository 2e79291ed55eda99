//! What all have of a journal: batches are taken, and written by who comes by; tickets are settled.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::super::disk::Disk;
use super::super::format::u64_at;
use super::super::proof::Notary;
use super::super::records::Records;
use super::super::ruling::Ruling;
use super::super::writer::{Rotation, Unsynced, Writer};
use super::options::{Durability, Options};
use super::pending::Pending;
use super::state::{State, Ticket, Unavailable};

/// Groups that one caller writes for others before it leaves the rest to the thread.
const COMBINE_GROUPS_MAX: usize = 4;
/// `queued`: octets pending after which they are written without waiting for the time.
const QUEUED_OCTETS: usize = 256 << 10;
/// `queued`: how long records wait to be written and synchronised.
pub(super) const QUEUED_WAIT: Duration = Duration::from_millis(100);
/// `written` and `synced`: how long records wait that nobody waits for.
pub(super) const UNWAITED_WAIT: Duration = Duration::from_millis(10);
/// `written`: how long written records wait to be synchronised.
pub(super) const WRITTEN_SYNC: Duration = Duration::from_secs(1);

/// What the handles, the journal's thread and the notary share.
pub(in crate::audit) struct Shared {
    pub(super) path: PathBuf,
    pub(super) disk: Disk,
    /// Who signs, until the journal is closed.
    pub(super) notary: Mutex<Option<Notary>>,
    pub(super) durability: Durability,
    pub(super) pending_octets_max: usize,
    pub(super) retry: Duration,
    pub(super) on_sync: Option<Box<dyn Fn(Duration) + Send + Sync>>,
    pub(super) pending: Mutex<Pending>,
    pub(super) bell: Condvar,
    pub(super) writer: Mutex<Writer>,
    /// Position up to which tickets are settled: kept, or failed.
    pub(super) completed: AtomicU64,
    /// Number of the record after the last that is known to be on the disk.
    pub(super) synced_next: AtomicU64,
    /// Position of the last record that failed.
    pub(super) failed_through: AtomicU64,
    pub(super) rotate: AtomicBool,
    pub(super) sessions: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) octets: AtomicU64,
    pub(super) discarded: AtomicU64,
    pub(super) failures: AtomicU64,
}

/// The data of a poisoned mutex is sound here: no code between lock and unlock leaves it halfway.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(path: &Path, options: Options, writer: Writer, sessions: u64) -> Shared {
        let synced_next = writer.next_number();
        Shared {
            path: path.to_owned(),
            disk: Disk::new(options.disk_octets_max),
            notary: Mutex::new(None),
            durability: options.durability,
            pending_octets_max: options.pending_octets_max,
            retry: options.retry,
            on_sync: options.on_sync,
            pending: Mutex::new(Pending::new(options.rules)),
            bell: Condvar::new(),
            writer: Mutex::new(writer),
            completed: AtomicU64::new(0),
            synced_next: AtomicU64::new(synced_next),
            failed_through: AtomicU64::new(0),
            rotate: AtomicBool::new(false),
            sessions: AtomicU64::new(sessions),
            records: AtomicU64::new(0),
            octets: AtomicU64::new(0),
            discarded: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// Copies a batch into the queue.
    pub(in crate::audit) fn accept(
        &self,
        records: &mut Records,
        by: Option<&Ruling>,
        waited: bool,
    ) -> Result<Ticket, Unavailable> {
        let mut pending = locked(&self.pending);
        if let Some(refusal) = pending.refusal() {
            return Err(refusal);
        }
        if pending.octets.len() + records.octets().len() > self.pending_octets_max {
            return Err(Unavailable::Backlog);
        }
        if records.holds_judged()
            && let Some(octets_max) = self.disk.exhausted(pending.octets.len())
        {
            return Err(Unavailable::Budget { octets_max });
        }
        if records.is_empty() {
            return Ok(Ticket { position: pending.accepted });
        }
        if let Some(by) = by.filter(|by| records.holds_judged() && by.rules != pending.rules) {
            pending.switch(by, u64_at(records.octets(), 8));
        }
        pending.octets.extend_from_slice(records.octets());
        pending.accepted += records.len() as u64;
        let position = pending.accepted;
        match (self.durability, waited) {
            (Durability::Queued, _) => {
                self.completed.store(position, Ordering::Release);
                if pending.octets.len() >= QUEUED_OCTETS {
                    pending.flush = true;
                    pending.ring(&self.bell, None);
                } else {
                    self.wait_at_most(&mut pending, QUEUED_WAIT);
                }
            }
            (Durability::Written | Durability::Synced, false) => {
                self.wait_at_most(&mut pending, UNWAITED_WAIT);
            }
            // The caller writes it himself, or who holds the file does.
            (Durability::Written, true) => pending.waited = true,
            (Durability::Synced, true) => {
                pending.flush = true;
                pending.ring(&self.bell, None);
            }
        }
        drop(pending);
        records.clear();
        Ok(Ticket { position })
    }

    pub(super) fn switch_to(&self, rules: &Ruling, now_us: u64) -> Result<(), Unavailable> {
        let mut pending = locked(&self.pending);
        if let Some(refusal) = pending.refusal() {
            return Err(refusal);
        }
        if rules.rules != pending.rules {
            pending.switch(rules, now_us);
            if self.durability == Durability::Queued {
                self.completed.store(pending.accepted, Ordering::Release);
            }
            self.wait_at_most(&mut pending, UNWAITED_WAIT);
        }
        Ok(())
    }

    pub(super) fn wait_at_most(&self, pending: &mut Pending, wait: Duration) {
        if pending.since.is_none() {
            let now = Instant::now();
            pending.since = Some(now);
            pending.ring(&self.bell, Some(now + wait));
        }
    }

    /// Writes what is pending unless somebody else is at it, who then does it for us.
    pub(super) fn combine(&self) {
        for _ in 0..COMBINE_GROUPS_MAX {
            let mut writer = match self.writer.try_lock() {
                Ok(writer) => writer,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            self.drain(&mut writer);
            drop(writer);
            let pending = locked(&self.pending);
            if pending.octets.is_empty() || pending.state != State::Available {
                return;
            }
        }
        let mut pending = locked(&self.pending);
        pending.flush = true;
        pending.ring(&self.bell, None);
    }

    /// Takes everything pending, writes it as one group and settles its tickets.
    pub(super) fn drain(&self, writer: &mut Writer) {
        let through = {
            let mut pending = locked(&self.pending);
            if pending.state != State::Available {
                return;
            }
            pending.since = None;
            pending.flush = false;
            pending.waited = false;
            if pending.octets.is_empty() && writer.group.is_empty() {
                return;
            }
            if writer.group.is_empty() {
                std::mem::swap(&mut pending.octets, &mut writer.group);
                pending.taken = pending.accepted;
            } else {
                // A group that `queued` could not write yet goes first, the queue right after.
                pending.flush = !pending.octets.is_empty();
            }
            pending.taken
        };
        match self.write_group(writer) {
            Ok(()) => self.publish(through),
            Err(error) => self.fail(writer, &error),
        }
    }

    pub(super) fn write_group(&self, writer: &mut Writer) -> std::io::Result<()> {
        let octets = writer.group.len() as u64;
        let rotation =
            if self.rotate.swap(false, Ordering::AcqRel) { Rotation::Now } else { Rotation::Due };
        let written = writer.write(rotation);
        self.disk.wrote(writer.take_written());
        written?;
        if self.durability != Durability::Written {
            self.timed_sync(writer.unsynced())?;
            self.synced_next.store(writer.next_number(), Ordering::Release);
        }
        self.octets.fetch_add(octets, Ordering::Relaxed);
        writer.keep();
        Ok(())
    }

    pub(super) fn timed_sync(&self, unsynced: Unsynced) -> std::io::Result<()> {
        let begun = Instant::now();
        let synced = unsynced.sync();
        if let Some(on_sync) = &self.on_sync {
            on_sync(begun.elapsed());
        }
        synced
    }

    /// Everything up to `through` is kept as firmly as promised.
    pub(super) fn publish(&self, through: u64) {
        let mut pending = locked(&self.pending);
        let before = self.records.load(Ordering::Relaxed) + self.discarded.load(Ordering::Relaxed);
        self.records.fetch_add(through.saturating_sub(before), Ordering::Relaxed);
        if self.durability == Durability::Written && pending.unsynced_since.is_none() {
            let now = Instant::now();
            pending.unsynced_since = Some(now);
            pending.ring(&self.bell, Some(now + WRITTEN_SYNC));
        }
        if self.durability != Durability::Queued {
            self.completed.store(through, Ordering::Release);
        }
        if pending.waiters.is_empty() {
            return;
        }
        let mut woken = Vec::new();
        pending.waiters.retain(|(position, waker)| {
            let due = *position <= through;
            if due {
                woken.push(waker.clone());
            }
            !due
        });
        drop(pending);
        woken.into_iter().for_each(Waker::wake);
    }
}
