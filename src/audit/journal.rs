//! The shared side of the journal: pending records, tickets, wakers and states.
//!
//! Two mutexes, always taken in this order: `writer` (the file; held while hashing, writing and,
//! when `synced`, synchronising) and `pending` (the queue; held for a copy, never for IO).
//! Whoever appends takes only `pending`, and under `written` then *tries* `writer`: who gets it
//! writes for everybody, who does not is told later. So every holder must look at `pending` once
//! more after letting `writer` go, or records that came in between are left behind: callers do so
//! in `combine`, the thread because `Pending::waited` makes them due before it sleeps.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Wake, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::disk::{Disk, DiskUse};
use super::flusher;
use super::format::{GROUP_OCTETS_MAX, SESSION_BITS, u64_at};
use super::proof::{Notary, NotaryOptions};
use super::record::StartRecord;
use super::records::Records;
use super::recover::{OpenFault, Recovered, newest_within, recover};
use super::ruling::Ruling;
use super::sealed::Sealing;
use super::writer::{Rotation, Writer};

/// Octets of records that wait for the file; more are refused with [`Unavailable::Backlog`].
pub const PENDING_OCTETS_MAX: usize = 64 << 20;
/// Octets after which a segment is followed by the next.
const SEGMENT_OCTETS: u64 = 64 << 20;
/// How long after a failure writing is tried again.
pub const RETRY: Duration = Duration::from_secs(1);
/// Groups that one caller writes for others before it leaves the rest to the thread.
const COMBINE_GROUPS_MAX: usize = 4;
/// Wakers that wait at once; when one more comes all are woken, and register anew.
const WAITERS_MAX: usize = 1 << 16;
/// Failures whose tickets are told apart from those that succeeded; older tickets count as failed.
const FAILURES_MAX: usize = 256;
/// `queued`: octets pending after which they are written without waiting for the time.
const QUEUED_OCTETS: usize = 256 << 10;
/// `queued`: how long records wait to be written and synchronised.
const QUEUED_WAIT: Duration = Duration::from_millis(100);
/// `written` and `synced`: how long records wait that nobody waits for.
const UNWAITED_WAIT: Duration = Duration::from_millis(10);
/// `written`: how long written records wait to be synchronised.
const WRITTEN_SYNC: Duration = Duration::from_secs(1);

/// How firmly a record must be kept before its ticket is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Taken into memory: lost with the process. On the disk within 100 ms or 256 KiB.
    Queued,
    /// Given to the operating system: survives the process, not the machine. Synchronised within
    /// a second. What the disk then fails to keep of the last second was acknowledged and is lost.
    Written,
    /// On the disk (fdatasync): survives the machine. Many records share one synchronisation.
    Synced,
}

/// What a journal is opened with.
pub struct Options {
    /// When tickets complete.
    pub durability: Durability,
    /// Octets after which a segment is followed by the next; a group may exceed it. Default 64 MiB.
    pub segment_octets: u64,
    /// Octets that may wait for the file. Default [`PENDING_OCTETS_MAX`].
    pub pending_octets_max: usize,
    /// Octets that the journal's folder may take, all files in it counted; nothing judged is taken
    /// beyond it. Default: no limit but the disk's.
    pub disk_octets_max: Option<u64>,
    /// How long after a failure writing is tried again. Default [`RETRY`].
    pub retry: Duration,
    /// SHA-256 of the configuration in force.
    pub config: [u8; 32],
    /// SHA-256 of rules and registry in force.
    pub rules: [u8; 32],
    /// Name of the rule set.
    pub rule_set: String,
    /// Version of the program.
    pub program: String,
    /// What texts are read with: digest of the weights, versions of the lists.
    pub reading: String,
    /// With what numbers and content are encrypted; none writes all in clear.
    pub sealing: Option<Sealing>,
    /// Called after each synchronisation with the time it took, from the journal's own thread.
    pub on_sync: Option<Box<dyn Fn(Duration) + Send + Sync>>,
    /// Who signs checkpoints. Default: nobody.
    pub notary: Option<NotaryOptions>,
}

impl Options {
    /// The defaults for a durability: empty names, zero digests.
    pub fn new(durability: Durability) -> Options {
        Options {
            durability,
            segment_octets: SEGMENT_OCTETS,
            pending_octets_max: PENDING_OCTETS_MAX,
            disk_octets_max: None,
            retry: RETRY,
            config: [0; 32],
            rules: [0; 32],
            rule_set: String::new(),
            program: String::new(),
            reading: String::new(),
            sealing: None,
            on_sync: None,
            notary: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("durability", &self.durability)
            .field("segment_octets", &self.segment_octets)
            .field("pending_octets_max", &self.pending_octets_max)
            .finish_non_exhaustive()
    }
}

/// A place in the journal's future: complete when everything up to it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// Records accepted since the journal was opened, up to and with the batch of the ticket.
    pub position: u64,
}

/// Why records cannot be taken or were not kept. Answer with `audit.unavailable`, forward nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The file does not keep up: `pending_octets_max` octets wait already.
    #[error("the journal has too much waiting to be written: is the disk too slow?")]
    Backlog,
    /// Writing failed; it is tried again every [`RETRY`].
    #[error("the journal cannot be written: {0}")]
    Failed(Arc<str>),
    /// The journal's folder takes what it may: `disk_octets_max`.
    #[error(
        "the journal has reached its disk budget of {octets_max} octets: purge what is due, or raise [audit] disk_budget"
    )]
    Budget {
        /// The budget.
        octets_max: u64,
    },
    /// The journal is closed, or closing.
    #[error("the journal is closed")]
    Closed,
}

/// Whether the journal takes records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It does.
    Available,
    /// It does not, and tries by itself until it does.
    Unavailable(Unavailable),
    /// It never will again.
    Closed,
}

/// Figures since the journal was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records written, links and the journal's own not counted.
    pub records: u64,
    /// Octets of them.
    pub octets: u64,
    /// Records that wait to be written.
    pub backlog_records: u64,
    /// Octets of them.
    pub backlog_octets: u64,
    /// Records accepted and then discarded by a failure: their tickets failed.
    pub discarded_records: u64,
    /// Times the journal became unavailable.
    pub failures: u64,
    /// Position of the last record accepted.
    pub accepted: u64,
    /// Position up to which records are kept as firmly as promised, or have failed.
    pub settled: u64,
}

/// A run of positions that failed.
struct Failure {
    /// The last position before it that was kept.
    after: u64,
    through: u64,
    reason: Unavailable,
}

/// What the thread waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleep {
    Awake,
    Until(Instant),
    Long,
}

struct Pending {
    octets: Vec<u8>,
    /// Digest of the rules by which the last of what was judged was judged.
    rules: [u8; 32],
    /// Position of the last record accepted.
    accepted: u64,
    /// Position of the last record taken from the queue, or discarded.
    taken: u64,
    /// When the oldest record came that nobody waits for.
    since: Option<Instant>,
    /// Records are pending that are to be written now.
    flush: bool,
    /// `written`: records are pending that somebody waits for and wanted to write himself. If he
    /// found the thread at the file he left, and the thread must write them before it sleeps.
    waited: bool,
    /// `written`: when the oldest record was written that is not synchronised.
    unsynced_since: Option<Instant>,
    waiters: Vec<(u64, Waker)>,
    state: State,
    retry_at: Option<Instant>,
    failures: VecDeque<Failure>,
    /// Positions up to here count as failed: the failure that says more was forgotten.
    forgotten: u64,
    /// The time of the stop record, once the journal is to close.
    closing: Option<u64>,
    sleep: Sleep,
}

/// What the thread is to do next.
pub(super) enum Work {
    Flush,
    Sync,
    Retry,
    Close(u64),
}

pub(super) struct Shared {
    path: PathBuf,
    disk: Disk,
    /// Who signs, until the journal is closed.
    notary: Mutex<Option<Notary>>,
    durability: Durability,
    pending_octets_max: usize,
    retry: Duration,
    on_sync: Option<Box<dyn Fn(Duration) + Send + Sync>>,
    pending: Mutex<Pending>,
    bell: Condvar,
    writer: Mutex<Writer>,
    /// Position up to which tickets are settled: kept, or failed.
    completed: AtomicU64,
    /// Number of the record after the last that is known to be on the disk.
    synced_next: AtomicU64,
    /// Position of the last record that failed.
    failed_through: AtomicU64,
    rotate: AtomicBool,
    sessions: AtomicU64,
    records: AtomicU64,
    octets: AtomicU64,
    discarded: AtomicU64,
    failures: AtomicU64,
}

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

/// The data of a poisoned mutex is sound here: no code between lock and unlock leaves it halfway.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Pending {
    /// Why records are refused, if they are.
    fn refusal(&self) -> Option<Unavailable> {
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
    fn switch(&mut self, by: &Ruling, time_us: u64) {
        let records = by.switch(self.rules, time_us);
        self.octets.extend_from_slice(records.octets());
        self.accepted += records.len() as u64;
        self.rules = by.rules;
    }

    /// Whether a position that is settled was kept.
    fn settled(&self, position: u64) -> Result<(), Unavailable> {
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
    fn ring(&mut self, bell: &Condvar, when: Option<Instant>) {
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

impl Shared {
    fn new(path: &Path, options: Options, writer: Writer, sessions: u64) -> Shared {
        let synced_next = writer.next_number();
        Shared {
            path: path.to_owned(),
            disk: Disk::new(options.disk_octets_max),
            notary: Mutex::new(None),
            durability: options.durability,
            pending_octets_max: options.pending_octets_max,
            retry: options.retry,
            on_sync: options.on_sync,
            pending: Mutex::new(Pending {
                octets: Vec::new(),
                rules: options.rules,
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
            }),
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
    pub(super) fn accept(
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

    fn switch_to(&self, rules: &Ruling, now_us: u64) -> Result<(), Unavailable> {
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

    fn wait_at_most(&self, pending: &mut Pending, wait: Duration) {
        if pending.since.is_none() {
            let now = Instant::now();
            pending.since = Some(now);
            pending.ring(&self.bell, Some(now + wait));
        }
    }

    /// Writes what is pending unless somebody else is at it, who then does it for us.
    fn combine(&self) {
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
    fn drain(&self, writer: &mut Writer) {
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

    fn write_group(&self, writer: &mut Writer) -> std::io::Result<()> {
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

    fn timed_sync(&self, unsynced: super::writer::Unsynced) -> std::io::Result<()> {
        let begun = Instant::now();
        let synced = unsynced.sync();
        if let Some(on_sync) = &self.on_sync {
            on_sync(begun.elapsed());
        }
        synced
    }

    /// Everything up to `through` is kept as firmly as promised.
    fn publish(&self, through: u64) {
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

    /// Nothing that was not kept will be: rolls back, fails the tickets, refuses from now on.
    ///
    /// Under `queued` the tickets are complete already: the records stay and are tried again.
    fn fail(&self, writer: &mut Writer, error: &std::io::Error) {
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
    fn discard(&self, pending: &mut Pending, reason: &Unavailable) {
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

    fn refuse(&self, pending: &mut Pending, reason: Unavailable) {
        if pending.state == State::Available {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        let at = Instant::now() + self.retry;
        pending.state = State::Unavailable(reason);
        pending.retry_at = Some(at);
        pending.unsynced_since = None;
        pending.ring(&self.bell, Some(at));
    }

    /// Sleeps until there is something to do. Only the journal's thread calls this.
    pub(super) fn next_work(&self) -> Work {
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

    /// Writes everything pending, the checkpoints that are owed and the stop record, and synchronises.
    pub(super) fn finish(&self, stop_us: u64) -> Result<(), Unavailable> {
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

const _: () = assert!(GROUP_OCTETS_MAX < PENDING_OCTETS_MAX);
