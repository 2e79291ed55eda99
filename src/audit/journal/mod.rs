//! The shared side of the journal: pending records, tickets, wakers and states.
//!
//! Two mutexes, always taken in this order: `writer` (the file; held while hashing, writing and,
//! when `synced`, synchronising) and `pending` (the queue; held for a copy, never for IO).
//! Whoever appends takes only `pending`, and under `written` then *tries* `writer`: who gets it
//! writes for everybody, who does not is told later. So every holder must look at `pending` once
//! more after letting `writer` go, or records that came in between are left behind: callers do so
//! in `combine`, the thread because `Pending::waited` makes them due before it sleeps.
//!
//! | file | subject |
//! |---|---|
//! | `options` | what a journal is opened with |
//! | `state` | tickets, reasons, figures |
//! | `pending` | the queue, who waits, what failed |
//! | `shared` | batches taken, written by who comes by, settled |
//! | `failing` | rolling back, refusing, trying again |
//! | `flusher` | the thread that writes what nobody waits for, synchronises, and writes the end |

mod failing;
mod flusher;
mod options;
mod pending;
mod shared;
mod state;

use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::thread::JoinHandle;

use super::disk::DiskUse;
use super::format::SESSION_BITS;
use super::proof::Notary;
use super::record::StartRecord;
use super::records::Records;
use super::recover::{OpenFault, Recovered, newest_within, recover};
use super::ruling::Ruling;
use super::writer::{Rotation, Writer};
pub use options::{Durability, Options, PENDING_OCTETS_MAX, RETRY};
use pending::Sleep;
pub(super) use shared::Shared;
use shared::locked;
pub use state::{State, Stats, Ticket, Unavailable};

/// Wakers that wait at once; when one more comes all are woken, and register anew.
const WAITERS_MAX: usize = 1 << 16;

/// The journal. Clones are the same journal; the last one dropped closes it.
#[derive(Clone)]
pub struct Journal {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<Result<(), Unavailable>>>>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal in `path`, which is created (mode 0700) if it does not exist.
    ///
    /// Takes an exclusive lock on the directory, checks how the segments follow each other, walks
    /// the last one, cuts off its torn tail, begins a new segment and writes a start record, which
    /// is on the disk when this returns. `now_us` is its time. Blocks; reads at most the last
    /// segment.
    pub fn open(
        path: &Path,
        mut options: Options,
        now_us: u64,
    ) -> Result<(Journal, Recovered), OpenFault> {
        let io_fault = |source| OpenFault::Io { path: path.to_owned(), source };
        let lock = lock_directory(path)?;
        let found = recover(path)?;
        let newest = newest_within(path, &found)?;
        let mut writer = Writer::new(
            path.to_owned(),
            lock,
            found.recovered.opening,
            options.segment_octets,
            options.rules,
            options.sealing.clone(),
            found.last.as_ref(),
        )
        .map_err(io_fault)?;
        let mut start = Records::new();
        start.start(
            now_us,
            &StartRecord {
                config: options.config,
                rules: options.rules,
                program: &options.program,
                rule_set: &options.rule_set,
                reading: &options.reading,
            },
        );
        writer.group.extend_from_slice(start.octets());
        writer.write(Rotation::Due).and_then(|()| writer.unsynced().sync()).map_err(io_fault)?;
        writer.keep();
        // It is in the folder already when that is counted.
        writer.take_written();
        let sessions = u64::from(found.recovered.opening) << SESSION_BITS;
        let accepted = writer.accepted.clone();
        let notary = options.notary.take();
        let shared = Arc::new(Shared::new(path, options, writer, sessions));
        shared.disk.count(path).map_err(io_fault)?;
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || flusher::run(&for_thread))
            .map_err(io_fault)?;
        if let Some(options) = notary {
            let notary = Notary::start(path, options, shared.clone(), accepted, newest);
            *locked(&shared.notary) = Some(notary.map_err(io_fault)?);
        }
        let handle = Arc::new(Handle { shared, thread: Mutex::new(Some(thread)) });
        Ok((Journal { handle }, found.recovered))
    }

    /// A session identifier that this journal has never given and never will again.
    pub fn next_session_id(&self) -> u64 {
        self.handle.shared.sessions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Takes the records and empties the batch; the ticket says when they are kept.
    ///
    /// Never waits for the disk's synchronisation. Under `written` it usually writes at once, so
    /// the ticket is complete when this returns; ask [`Journal::is_complete`]. On an error nothing
    /// was taken, none of the records will ever be in the journal, and the batch is as it was.
    pub fn append(&self, records: &mut Records) -> Result<Ticket, Unavailable> {
        self.append_by(records, None)
    }

    /// The same for a batch that was judged by these rules. Where the one before it was judged by others,
    /// records that say so go in front.
    pub fn append_judged(&self, records: &mut Records, by: &Ruling) -> Result<Ticket, Unavailable> {
        self.append_by(records, Some(by))
    }

    fn append_by(&self, records: &mut Records, by: Option<&Ruling>) -> Result<Ticket, Unavailable> {
        let shared = &self.handle.shared;
        let ticket = shared.accept(records, by, true)?;
        if shared.durability == Durability::Written {
            shared.combine();
        }
        Ok(ticket)
    }

    /// Takes records that nobody waits for: written with the next group, or within 10 ms
    /// (`queued`: 100 ms). A failure before that discards them; [`Stats`] counts it.
    pub fn append_unwaited(&self, records: &mut Records) -> Result<(), Unavailable> {
        self.handle.shared.accept(records, None, false).map(drop)
    }

    /// The same for records among which some were judged by these rules.
    pub fn append_unwaited_judged(
        &self,
        records: &mut Records,
        by: &Ruling,
    ) -> Result<(), Unavailable> {
        self.handle.shared.accept(records, Some(by), false).map(drop)
    }

    /// Records that these rules are in force, where the last of what was judged was judged by others.
    pub fn in_force(&self, rules: &Ruling, now_us: u64) -> Result<(), Unavailable> {
        self.handle.shared.switch_to(rules, now_us)
    }

    /// Takes the records and returns when the disk has them, whatever the durability. Blocks.
    pub fn append_synced(&self, records: &mut Records) -> Result<(), Unavailable> {
        let shared = &self.handle.shared;
        let ticket = shared.accept(records, None, true)?;
        shared.flush();
        shared.sync();
        match self.state() {
            // `queued` completes a ticket before anything is written: only the state tells.
            State::Unavailable(why) => Err(why),
            State::Available | State::Closed => self.wait(ticket),
        }
    }

    /// Whether everything up to the ticket is kept. An error means that its records are not in
    /// the journal and never will be.
    pub fn is_complete(&self, ticket: Ticket) -> Result<bool, Unavailable> {
        let shared = &self.handle.shared;
        if ticket.position > shared.completed.load(Ordering::Acquire) {
            return Ok(false);
        }
        if ticket.position > shared.failed_through.load(Ordering::Acquire) {
            return Ok(true);
        }
        locked(&shared.pending).settled(ticket.position).map(|()| true)
    }

    /// Wakes `waker` once the ticket is settled: complete or failed. At once if it is already.
    ///
    /// Register, then ask [`Journal::is_complete`] again, or rely on the waking: none is lost. It
    /// may also come early, so ask again when woken.
    pub fn on_complete(&self, ticket: Ticket, waker: Waker) {
        let shared = &self.handle.shared;
        let mut pending = locked(&shared.pending);
        // `completed` only moves under this mutex, and whoever moves it then takes the waiters.
        if ticket.position <= shared.completed.load(Ordering::Acquire) {
            drop(pending);
            return waker.wake();
        }
        let crowd = if pending.waiters.len() >= WAITERS_MAX {
            std::mem::take(&mut pending.waiters)
        } else {
            Vec::new()
        };
        pending.waiters.push((ticket.position, waker));
        drop(pending);
        crowd.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Blocks the thread until the ticket is settled. Not for a task of an async runtime.
    pub fn wait(&self, ticket: Ticket) -> Result<(), Unavailable> {
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        while !self.is_complete(ticket)? {
            self.on_complete(ticket, waker.clone());
            if !self.is_complete(ticket)? {
                std::thread::park();
            }
        }
        Ok(())
    }

    /// Asks for a new segment, begun with the next records that are written.
    pub fn rotate(&self) {
        self.handle.shared.rotate.store(true, Ordering::Release);
    }

    /// Whether the journal takes records now.
    pub fn state(&self) -> State {
        let shared = &self.handle.shared;
        let pending = locked(&shared.pending);
        match (&pending.state, shared.disk.exhausted(pending.octets.len())) {
            (State::Available, Some(octets_max)) => {
                State::Unavailable(Unavailable::Budget { octets_max })
            }
            (state, _) => state.clone(),
        }
    }

    /// What the journal's folder takes on the disk, as far as it is known without looking.
    pub fn disk_use(&self) -> DiskUse {
        self.handle.shared.disk.used()
    }

    /// Looks what the folder takes: others put files there, and a purge removes some. Blocks for
    /// as long as it takes to list it.
    pub fn count_disk(&self) -> std::io::Result<DiskUse> {
        let shared = &self.handle.shared;
        shared.disk.count(&shared.path)?;
        Ok(shared.disk.used())
    }

    /// Number of the record after the last that is known to be on the disk: what precedes it will not
    /// be taken back, whatever the disk does next. Under `written` it is up to a second behind.
    pub fn synced_next(&self) -> u64 {
        self.handle.shared.synced_next.load(Ordering::Acquire)
    }

    /// Figures since the opening.
    pub fn stats(&self) -> Stats {
        let shared = &self.handle.shared;
        let (backlog_records, backlog_octets, accepted) = {
            let pending = locked(&shared.pending);
            (pending.accepted - pending.taken, pending.octets.len() as u64, pending.accepted)
        };
        Stats {
            records: shared.records.load(Ordering::Relaxed),
            octets: shared.octets.load(Ordering::Relaxed),
            backlog_records,
            backlog_octets,
            discarded_records: shared.discarded.load(Ordering::Relaxed),
            failures: shared.failures.load(Ordering::Relaxed),
            accepted,
            settled: shared.completed.load(Ordering::Acquire),
        }
    }

    /// Whether somebody has the journal in this folder open.
    pub fn is_open(path: &Path) -> bool {
        matches!(lock_directory(path), Err(OpenFault::Locked { .. }))
    }

    /// Writes what is pending, the checkpoints that are owed and a stop record of `now_us`, synchronises and
    /// lets the lock go. The notary then signs the end, beside the journal.
    ///
    /// Blocks until that is done. Later appends are refused. An error means that the end of the
    /// journal, possibly records that `queued` had accepted, could not be written.
    pub fn close(&self, now_us: u64) -> Result<(), Unavailable> {
        self.handle.close(now_us)
    }
}

impl Handle {
    fn close(&self, now_us: u64) -> Result<(), Unavailable> {
        let mut thread = locked(&self.thread);
        let Some(running) = thread.take() else { return Ok(()) };
        {
            let mut pending = locked(&self.shared.pending);
            pending.closing = Some(now_us);
            pending.sleep = Sleep::Awake;
            self.shared.bell.notify_all();
        }
        running
            .join()
            .unwrap_or_else(|_| Err(Unavailable::Failed("the journal's thread panicked".into())))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let last_us = locked(&self.shared.writer).last_us();
        // Nobody is left to hear of a failure; recovery finds the journal without its stop.
        let _ = self.close(last_us);
    }
}

fn lock_directory(path: &Path) -> Result<std::fs::File, OpenFault> {
    use std::os::unix::fs::DirBuilderExt;
    let io_fault = |source| OpenFault::Io { path: path.to_owned(), source };
    if !path.is_dir() {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path).map_err(io_fault)?;
    }
    let lock = std::fs::File::open(path).map_err(io_fault)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenFault::Locked { path: path.to_owned() }),
        Err(std::fs::TryLockError::Error(source)) => Err(io_fault(source)),
    }
}
