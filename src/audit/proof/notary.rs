//! The thread that reads behind the writer and signs what it has read.
//!
//! It reads the segment files as any reader does, a fraction of a second after they were written and
//! so out of the page cache; the path of a message knows nothing of it. It never reads beyond what
//! the writer has accepted, and reads again what was in its buffer beyond that: what a failure rolls back is
//! never signed. It hashes links alone. Sums, the tree over the
//! records of a group and the chain, which the writer has just made, are not made a second time: that is for
//! `verify`. What is signed is so what was written, and not what somebody has made of it since.
//!
//! When a checkpoint is due, its record is appended like any other. When the record is read back it
//! is in the file; the files are then synchronised and the checkpoint becomes the newest one beside
//! the journal. So that file never names a record that the disk could still lose.
//!
//! A segment that was left gets a last checkpoint of its whole size, in a later one. Until that is read
//! back, the file beside the journal says that signing goes on from there. When the journal is closed, what
//! is still owed goes into its last group, before the stop.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::super::format::{KIND_LINK, Link};
use super::super::journal::Shared;
use super::super::keys::SigningKey;
use super::super::kind::Kind;
use super::super::read::{ReadFault, Walk, Walked, decode, split_record};
use super::super::record::Record;
use super::super::records::Records;
use super::checkpoint::{Checkpoint, Newest, Signed};
use super::tree::{self, Frontier};

/// Its priority: where there is more traffic than the machine has time for, messages come first, and
/// checkpoints come later than configured.
const NICE: i32 = 10;
/// How often the notary looks at what was written.
const LOOK: Duration = Duration::from_millis(200);
/// Records that are still read when the journal is closed: some seconds of work. What is left is signed at
/// the next start.
const LAST_RECORDS_MAX: u64 = 1_000_000;

/// Who signs, and how often.
pub struct NotaryOptions {
    /// The key.
    pub key: SigningKey,
    /// Records after which a checkpoint is due; links and checkpoints are not counted.
    pub records: u64,
    /// Time after which one is due if anything was recorded since the last one.
    pub every: Duration,
    /// The time that checkpoints say, microseconds since the Unix epoch.
    pub now_us: Box<dyn Fn() -> u64 + Send>,
    /// Told in one sentence why nothing is signed for now, or any more; from the notary's thread.
    pub on_fault: Box<dyn Fn(&str) + Send>,
}

impl std::fmt::Debug for NotaryOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotaryOptions")
            .field("records", &self.records)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

/// The notary at work.
pub(in crate::audit) struct Notary {
    stop: Arc<Stop>,
    /// What is owed when it was asked to stop.
    owed: Receiver<Records>,
    /// Dropped when the journal has its last record.
    closed: Sender<()>,
    thread: JoinHandle<()>,
}

/// How the notary is asked to stop.
#[derive(Default)]
struct Stop {
    asked: AtomicBool,
    bell: (Mutex<()>, Condvar),
}

impl Notary {
    /// Begins where the newest checkpoint stands; a journal without one is signed from its beginning.
    pub fn start(
        directory: &Path,
        options: NotaryOptions,
        shared: Arc<Shared>,
        accepted: Arc<AtomicU64>,
        newest: Option<Newest>,
    ) -> std::io::Result<Notary> {
        let stop = Arc::new(Stop::default());
        let asked = stop.clone();
        let (owing, owed) = channel();
        let (closed, is_closed) = channel::<()>();
        let directory = directory.to_owned();
        let thread = std::thread::Builder::new().name("notary".to_owned()).spawn(move || {
            // Of Linux's priorities each thread has its own. Without it the notary is only less polite.
            let _ = rustix::process::setpriority_process(None, NICE);
            let mut work = Work::new(directory, options, shared, accepted, newest, asked.clone());
            work.look();
            while !asked.wait() {
                work.look();
            }
            let _ = owing.send(work.last_words());
            // An error is what is waited for: the other end is dropped.
            let _ = is_closed.recv();
            work.finish();
        })?;
        Ok(Notary { stop, owed, closed, thread })
    }

    /// Call when the journal takes nobody's records any more and has but its end to write: the checkpoints
    /// of segments that were left a moment ago, which go before it. Blocks until what was accepted is read.
    pub fn last_words(&self) -> Records {
        self.stop.asked.store(true, Ordering::Release);
        // Under the mutex: a notary between looking at it and sleeping would not hear the bell.
        drop(self.stop.bell.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.stop.bell.1.notify_all();
        self.owed.recv().unwrap_or_default()
    }

    /// Call after that, when the journal has its end: signs it, beside it. Blocks until that is done.
    pub fn finish(self) {
        drop(self.closed);
        let _ = self.thread.join();
    }
}

impl Stop {
    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Waits until it is time to look again; whether the notary is to stop.
    fn wait(&self) -> bool {
        let held = self.bell.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.bell.1.wait_timeout_while(held, LOOK, |()| !self.is_asked());
        self.is_asked()
    }
}

/// Why signing ends, or pauses.
enum Halt {
    /// The journal is not what was signed or written: nothing more of it is signed.
    Broken(String),
    /// The system refused: it is tried again.
    Io(String),
}

impl From<ReadFault> for Halt {
    fn from(fault: ReadFault) -> Halt {
        match fault {
            ReadFault::Broken(_) => Halt::Broken(fault.to_string()),
            ReadFault::Empty { .. } | ReadFault::Io { .. } => Halt::Io(fault.to_string()),
        }
    }
}

struct Work {
    directory: PathBuf,
    options: NotaryOptions,
    shared: Arc<Shared>,
    /// Number of the record behind the last one that the writer accepted.
    accepted: Arc<AtomicU64>,
    /// The newest checkpoint of before: what it says must come by again.
    newest: Option<Newest>,
    /// Sizes of segments that were left and are not signed whole, by their first records.
    left: BTreeMap<u64, u64>,
    walk: Option<Walk>,
    at: At,
    signed_at: Instant,
    /// Checkpoints that were due and could not be appended.
    owed: Vec<Signed>,
    stop: Arc<Stop>,
    /// What was said last, so that it is said once.
    told: String,
    ended: bool,
}

/// The segment at hand, as far as it was read.
#[derive(Default)]
struct At {
    segment: u64,
    path: PathBuf,
    first: u64,
    /// Records, links too.
    size: u64,
    /// The links.
    frontier: Frontier,
    chain: [u8; 32],
    /// Records that no checkpoint covers.
    unsigned: u64,
    /// The last checkpoint of ours that was read back and is not beside the journal yet.
    read_back: Option<Signed>,
}

impl Work {
    fn new(
        directory: PathBuf,
        options: NotaryOptions,
        shared: Arc<Shared>,
        accepted: Arc<AtomicU64>,
        newest: Option<Newest>,
        stop: Arc<Stop>,
    ) -> Work {
        Work {
            directory,
            options,
            shared,
            accepted,
            newest,
            left: BTreeMap::new(),
            walk: None,
            at: At::default(),
            signed_at: Instant::now(),
            owed: Vec::new(),
            stop,
            told: String::new(),
            ended: false,
        }
    }

    /// Reads what is new and signs what is due.
    fn look(&mut self) {
        if self.ended {
            return;
        }
        let looked = self.read().and_then(|()| {
            let due = self.at.unsigned >= self.options.records
                || (self.at.unsigned > 0 && self.signed_at.elapsed() >= self.options.every);
            if due {
                let signed = self.sign();
                self.owed.push(signed);
            }
            self.append();
            self.keep()
        });
        self.tell(looked);
    }

    /// What is owed when the journal is about to close; its end is signed by `finish`.
    fn last_words(&mut self) -> Records {
        if self.ended {
            return Records::new();
        }
        let read = self.read();
        self.tell(read);
        self.owed_records()
    }

    /// Signs the end of a journal that was closed: only beside it, since it takes no record any more.
    fn finish(&mut self) {
        if self.ended {
            return;
        }
        let finished = self.read().and_then(|()| match self.at.size {
            0 => Ok(()),
            _ => {
                self.at.read_back = Some(self.sign());
                self.keep()
            }
        });
        self.tell(finished);
    }

    fn tell(&mut self, looked: Result<(), Halt>) {
        let says = match looked {
            Ok(()) => return self.told.clear(),
            Err(Halt::Io(says)) => says,
            Err(Halt::Broken(says)) => {
                self.ended = true;
                says
            }
        };
        if says != self.told {
            (self.options.on_fault)(&says);
            self.told = says;
        }
    }

    /// Reads every group that was accepted since.
    fn read(&mut self) -> Result<(), Halt> {
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None => {
                let from = self.newest.as_ref().map_or(0, |newest| newest.from);
                let mut walk = Walk::open_at(&self.directory, from)?;
                walk.reads_behind = true;
                walk
            }
        };
        let read = self.read_groups(&mut walk);
        self.walk = Some(walk);
        read
    }

    fn read_groups(&mut self, walk: &mut Walk) -> Result<(), Halt> {
        let mut accepted = 0;
        // A segment that is begun and not accepted may still be undone: it is not entered.
        loop {
            if walk.number() >= accepted {
                accepted = self.accepted.load(Ordering::Acquire);
                if walk.number() >= accepted {
                    return Ok(());
                }
                // What is in the buffer was read when less was accepted: the rest of it may have been undone.
                walk.forget_ahead()?;
            }
            if self.stop.is_asked() && accepted - walk.number() > LAST_RECORDS_MAX {
                let says = "the journal is closed before it was signed to its end: that goes on at the next start";
                return Err(Halt::Io(says.to_owned()));
            }
            let mut halted = Ok(());
            let ending = walk.next(&mut |walked| halted = self.take(&walked))?;
            halted?;
            if ending.is_some() {
                let says = "the journal ends before what was accepted: were its files exchanged?";
                return Err(Halt::Broken(says.to_owned()));
            }
        }
    }

    /// Takes a group; the first one of a segment ends the segment before.
    fn take(&mut self, walked: &Walked<'_>) -> Result<(), Halt> {
        if walked.sequence != self.at.segment {
            self.leave()?;
            self.at = At {
                segment: walked.sequence,
                path: walked.path.to_owned(),
                first: walked.first,
                unsigned: self.at.unsigned,
                read_back: self.at.read_back.take(),
                ..At::default()
            };
        }
        let mut rest = walked.records;
        while let Some((record, behind)) = split_record(rest) {
            self.at.size += 1;
            rest = behind;
            let kind = record.get(2).copied().unwrap_or_default();
            if kind == Kind::Checkpoint as u8 {
                self.read_back(record);
            } else if kind != KIND_LINK {
                self.at.unsigned += 1;
            }
        }
        self.at.size += 1;
        self.at.frontier.push(tree::leaf(walked.link));
        self.at.chain =
            walked.link.first_chunk().map(Link::decode).map_or([0; 32], |link| link.chain);
        self.compare()
    }

    fn read_back(&mut self, record: &[u8]) {
        let Record::Checkpoint(signed) = decode(record) else { return };
        if !signed.is_by(self.options.key.public()) {
            return;
        }
        let Checkpoint { first, size, .. } = signed.checkpoint;
        if self.left.get(&first) == Some(&size) {
            self.left.remove(&first);
        }
        let before =
            self.at.read_back.as_ref().or(self.newest.as_ref().map(|newest| &newest.signed));
        if before.is_none_or(|before| before.checkpoint.end() < signed.checkpoint.end()) {
            self.at.read_back = Some(signed);
        }
    }

    /// What was signed in an earlier opening must be what is read now.
    fn compare(&mut self) -> Result<(), Halt> {
        let Some(newest) = &self.newest else { return Ok(()) };
        let was = &newest.signed.checkpoint;
        let now = (self.at.segment, self.at.size);
        if now < (was.segment, was.size) {
            return Ok(());
        }
        let same = now == (was.segment, was.size)
            && self.at.frontier.root() == was.root
            && self.at.chain == was.chain;
        if !same {
            return Err(Halt::Broken(format!(
                "records {} to {} are not those that were signed: nothing more is signed; \
                 consentry audit verify says more",
                was.first,
                was.end().saturating_sub(1)
            )));
        }
        self.newest = None;
        self.at.unsigned = 0;
        Ok(())
    }

    /// Signs a segment that was left, whole, and synchronises it.
    fn leave(&mut self) -> Result<(), Halt> {
        if self.at.size == 0 {
            return Ok(());
        }
        let synced = File::open(&self.at.path).and_then(|file| file.sync_data());
        synced.map_err(|error| Halt::Io(format!("{}: {error}", self.at.path.display())))?;
        self.left.insert(self.at.first, self.at.size);
        let signed = self.sign();
        self.owed.push(signed);
        Ok(())
    }

    fn sign(&mut self) -> Signed {
        self.at.unsigned = 0;
        self.signed_at = Instant::now();
        let checkpoint = Checkpoint {
            segment: self.at.segment,
            first: self.at.first,
            size: self.at.size,
            root: self.at.frontier.root(),
            chain: self.at.chain,
            time_us: (self.options.now_us)(),
            key: [0; 32],
        };
        Signed::sign(checkpoint, &self.options.key)
    }

    /// Appends what is owed. A journal that takes no record now takes it later; one that is closed
    /// gets it with its end.
    fn append(&mut self) {
        let mut records = self.owed_records();
        if records.is_empty() || self.shared.accept(&mut records, None, false).is_ok() {
            self.owed.clear();
        }
    }

    fn owed_records(&mut self) -> Records {
        // One that an earlier opening signed already was read back meanwhile.
        let (at, left) = (self.at.first, &self.left);
        self.owed.retain(|signed| {
            let Checkpoint { first, size, .. } = signed.checkpoint;
            first == at || left.get(&first) == Some(&size)
        });
        let mut records = Records::new();
        self.owed.iter().for_each(|signed| records.checkpoint(signed));
        records
    }

    /// Puts the last checkpoint that was read back beside the journal, once the disk has its records.
    fn keep(&mut self) -> Result<(), Halt> {
        let Some(signed) = self.at.read_back.take() else { return Ok(()) };
        let kept = File::open(&self.at.path).and_then(|file| file.sync_data()).and_then(|()| {
            let from = self.left.keys().next().copied().unwrap_or(self.at.first);
            Newest { signed: signed.clone(), from }.keep(&self.directory)
        });
        kept.map_err(|error| {
            let says = format!("the newest checkpoint cannot be kept beside the journal: {error}");
            self.at.read_back = Some(signed);
            Halt::Io(says)
        })
    }
}
