//! The ledger's face: questions in batches, events with tickets.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use super::embedded::Embedded;
use super::shared::{Figures, NodeOptions, Shared};
use super::{
    Cause, Claim, EntityId, Event, EventFault, IdKey, ImportKey, Kept, Lookup, Progress, Question,
    Scope, hot,
};
use crate::policy::{Consent, Standing};
use crate::registry::Msisdn;

/// The least that the hot layer may be given, octets: room for some 25,000 pairs.
pub const CACHE_OCTETS_MIN: usize = 8 * hot::OCTETS_MIN;

/// What a ledger is opened with.
pub struct Options {
    /// Octets that the hot layer may use; [`CACHE_OCTETS_MIN`] when that is less.
    pub cache_octets: usize,
    /// Whether the hot layer is filled from the store at once, by a thread of its own.
    pub warm: bool,
    /// How long after a request without an answer silence counts as refusal, microseconds.
    pub silent_after_us: u64,
    /// Called after each write with the time it took, from the ledger's own thread.
    pub on_sync: Option<Box<dyn Fn(Duration) + Send + Sync>>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("cache_octets", &self.cache_octets).finish_non_exhaustive()
    }
}

/// A place in the ledger's future: complete when everything up to it is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// Events accepted since the ledger was opened, up to and with the batch of the ticket.
    pub position: u64,
}

/// Why the ledger takes no event, did not keep one, or cannot tell. Answer with
/// `ledger.unavailable`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// [`super::QUEUE_EVENTS_MAX`] events wait already.
    #[error("the consent ledger has too much waiting to be written: is the disk too slow?")]
    Backlog,
    /// Reading or writing failed. It stays so until the process is started again: what a disk that
    /// failed to synchronise has kept, nobody knows.
    #[error("the consent ledger failed and must be opened again: {0}")]
    Failed(Arc<str>),
    /// It is closed, or closing.
    #[error("the consent ledger is closed")]
    Closed,
    /// The engine of a shared ledger does not answer in time. Grants wait: tell it again when it does.
    /// Revocations are taken all the same.
    #[error("{0}; grants wait until it answers: tell it again")]
    Engine(Arc<str>),
}

/// The longest name of an entity or a scope, octets; as for providers in the registry.
pub const NAME_OCTETS_MAX: usize = 256;

/// Why a name gets no number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// Empty, blank or too long.
    #[error("a name has 1 to {NAME_OCTETS_MAX} octets, not all of them blanks")]
    Malformed,
    /// All numbers are given.
    #[error("the ledger has {0} names of this kind already, which is all that it can hold")]
    Max(usize),
    /// The ledger cannot write.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// Another process has it.
    #[error("the consent ledger {0} is in use by another process; is a proxy running?")]
    Locked(String),
    /// The folder or its content cannot be used.
    #[error("the consent ledger {path} cannot be opened: {why}")]
    Failed {
        /// The folder.
        path: String,
        /// What was wrong.
        why: String,
    },
}

/// An event of a batch that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the batch, from 0.
    pub at: usize,
    /// Why.
    pub fault: EventFault,
}

/// Figures of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Pairs that have a history.
    pub pairs: u64,
    /// Events ever taken: granted, revoked, reviewed, asked, sent.
    pub events: [u64; 5],
    /// Revocations taken since it was opened, in the order of [`Cause::ALL`].
    pub revoked: [u64; Cause::ALL.len()],
    /// Legal entities known.
    pub entities: usize,
    /// Events that wait to be written.
    pub backlog_events: u64,
    /// Pairs in the hot layer.
    pub hot_pairs: usize,
    /// Whether the hot layer holds every pair.
    pub is_hot_whole: bool,
    /// Octets on the disk.
    pub octets: u64,
}

/// The names of [`Stats::events`], in their order.
pub const EVENT_KINDS: [&str; 5] = ["granted", "revoked", "reviewed", "asked", "sent"];

/// Blocks the thread until what is waited for is settled.
pub(super) fn wait(
    is_complete: impl Fn() -> Result<bool, Unavailable>,
    on_complete: impl Fn(Waker),
) -> Result<(), Unavailable> {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    while !is_complete()? {
        on_complete(waker.clone());
        if !is_complete()? {
            std::thread::park();
        }
    }
    Ok(())
}

/// The ledger. Clones are the same ledger; the last one dropped closes it.
#[derive(Clone, Debug)]
pub enum Ledger {
    /// In a folder of this node.
    Embedded(Embedded),
    /// In an engine that many nodes share.
    Shared(Shared),
}

impl Ledger {
    /// Opens the ledger in `path`, which is created (mode 0700) if it does not exist, and takes its
    /// lock. Blocks: replays the database's journals, and with `warm` does not wait for the hot
    /// layer.
    pub fn open(path: &Path, options: Options) -> Result<Ledger, OpenFault> {
        Embedded::open(path, options).map(Ledger::Embedded)
    }

    /// Opens the ledger that many nodes share, as this one of them: takes the lock of its outbox. Does not
    /// wait for the engine: see [`Ledger::settle`].
    pub fn share(options: NodeOptions) -> Result<Ledger, OpenFault> {
        Shared::open(options).map(Ledger::Shared)
    }

    /// The identifier of a legal entity's name, given now if it never was. Durable when it returns:
    /// blocks for one write at a new name.
    pub fn entity(&self, name: &str) -> Result<EntityId, NameFault> {
        match self {
            Self::Embedded(one) => one.entity(name),
            Self::Shared(one) => one.entity(name),
        }
    }

    /// The identifier of a legal entity's name, if it has one.
    pub fn find_entity(&self, name: &str) -> Option<EntityId> {
        match self {
            Self::Embedded(one) => one.find_entity(name),
            Self::Shared(one) => one.find_entity(name),
        }
    }

    /// The name of a legal entity; "?" for an identifier of another ledger.
    pub fn entity_name(&self, entity: EntityId) -> String {
        match self {
            Self::Embedded(one) => one.entity_name(entity),
            Self::Shared(one) => one.entity_name(entity),
        }
    }

    /// All legal entities.
    pub fn entities(&self) -> Vec<EntityId> {
        match self {
            Self::Embedded(one) => one.entities(),
            Self::Shared(one) => one.entities(),
        }
    }

    /// The identifier of a scope's name, given now if it never was; "" is [`Scope::ALL`].
    pub fn scope(&self, name: &str) -> Result<Scope, NameFault> {
        match self {
            Self::Embedded(one) => one.scope(name),
            Self::Shared(one) => one.scope(name),
        }
    }

    /// The identifier of a scope's name, if it has one; "" is [`Scope::ALL`].
    pub fn find_scope(&self, name: &str) -> Option<Scope> {
        match self {
            Self::Embedded(one) => one.find_scope(name),
            Self::Shared(one) => one.find_scope(name),
        }
    }

    /// The name of a scope; "" for [`Scope::ALL`].
    pub fn scope_name(&self, scope: Scope) -> String {
        match self {
            Self::Embedded(one) => one.scope_name(scope),
            Self::Shared(one) => one.scope_name(scope),
        }
    }

    /// Appends one answer a question to `out`, in their order. Synchronous; where the hot layer
    /// answers it allocates nothing beyond `out`, elsewhere it reads the store, which may mean the
    /// disk. `now_us`: microseconds since the Unix epoch.
    pub fn standings(&self, questions: &[Question], now_us: u64, out: &mut Vec<Consent>) {
        match self {
            Self::Embedded(one) => one.standings(questions, now_us, out),
            Self::Shared(one) => one.standings(questions, now_us, out),
        }
    }

    /// Asks for what is not in memory, and cannot be read here without blocking: all of a batch at once.
    /// `None` when [`Ledger::standings`] can answer each of them now, as the embedded ledger always can.
    ///
    /// Wait for the [`Lookup`] before asking for standings, and then ask whatever came of it. `now_us`:
    /// microseconds since the Unix epoch. Does not block, and allocates nothing where nothing is lacking.
    pub fn lacks(&self, questions: &[Question], now_us: u64) -> Option<Lookup> {
        match self {
            Self::Embedded(_) => None,
            Self::Shared(one) => one.lacks(questions, now_us),
        }
    }

    /// Whether other nodes write to it, whose events this one hears of a moment later.
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Embedded(_) => false,
            Self::Shared(_) => true,
        }
    }

    /// Counts questions that [`Ledger::standings`] answered without a look-up, for the figures of a node.
    pub fn answered(&self, questions: u64) {
        match self {
            Self::Embedded(_) => {}
            Self::Shared(one) => one.answered(questions),
        }
    }

    /// Claims messages before they go on: requests for consent ([`super::Happened::Asked`]) and messages
    /// under a promised frequency ([`super::Happened::Sent`]), which other nodes may be sending too. The
    /// engine decides who is first. [`Claim::Free`] where this node decides alone, as the embedded ledger
    /// does. Does not block.
    pub fn claim(&self, events: &[Event], now_us: u64) -> Claim {
        match self {
            Self::Embedded(_) => Claim::Free,
            Self::Shared(one) => one.claim(events, now_us),
        }
    }

    /// Takes events. Each is in force when this returns, and on the disk when the ticket is
    /// complete. Events that cannot be taken are left out and appended to `refused`; the others of
    /// the batch are taken. On an error none is. `now_us`: the ledger's time, for the record.
    pub fn append(
        &self,
        events: &[Event],
        now_us: u64,
        refused: &mut Vec<Refused>,
    ) -> Result<Ticket, Unavailable> {
        match self {
            Self::Embedded(one) => one.append(events, now_us, refused),
            Self::Shared(one) => one.append(events, now_us, refused),
        }
    }

    /// The same. `taken` is told of each event whose number is known already: its place in the batch, from 0,
    /// and the number. A shared ledger knows none yet.
    pub fn append_numbered(
        &self,
        events: &[Event],
        now_us: u64,
        refused: &mut Vec<Refused>,
        taken: &mut dyn FnMut(usize, u64),
    ) -> Result<Ticket, Unavailable> {
        match self {
            Self::Embedded(one) => one.append_numbered(events, now_us, refused, taken),
            Self::Shared(one) => one.append(events, now_us, refused),
        }
    }

    /// Takes events that somebody tells: durable and in force when it returns. `taken` is told of each event
    /// that the history has now: its place in the batch, from 0, and its number. Events that cannot be
    /// taken are left out and appended to `refused`. `now_us`: by [`Ledger::now_us`], as the times of the
    /// events. Blocks.
    ///
    /// How many of them wait: where the engine of a shared ledger does not answer, revocations are kept
    /// here, in force on this node, and delivered when it does; their number is 0. The others are refused,
    /// and with [`Unavailable::Engine`] where there is no revocation.
    pub fn tell(
        &self,
        events: &[Event],
        now_us: u64,
        refused: &mut Vec<Refused>,
        taken: &mut dyn FnMut(usize, u64),
    ) -> Result<u64, Unavailable> {
        match self {
            Self::Embedded(one) => {
                let ticket = one.append_numbered(events, now_us, refused, taken)?;
                one.wait(ticket).map(|()| 0)
            }
            Self::Shared(one) => one.tell(events, now_us, refused, taken),
        }
    }

    /// The ledger's time when this node's clock shows `now_us`: the engine's, where many nodes share one.
    /// All other calls take the node's own time.
    pub fn now_us(&self, now_us: u64) -> u64 {
        match self {
            Self::Embedded(_) => now_us,
            Self::Shared(one) => one.now_us(now_us),
        }
    }

    /// How one pair stands, for whom a look-up may block.
    pub fn standing(&self, question: &Question, now_us: u64) -> Result<Standing, Unavailable> {
        match self {
            Self::Embedded(one) => {
                let mut out = Vec::with_capacity(1);
                one.standings(&[*question], now_us, &mut out);
                match out.first() {
                    Some(Consent::Known(standing)) => Ok(*standing),
                    _ => Err(one.unavailable().unwrap_or(Unavailable::Closed)),
                }
            }
            Self::Shared(one) => one.standing(question, now_us),
        }
    }

    /// How a node of a shared ledger is; `None` where this node has the ledger alone.
    pub fn figures(&self) -> Option<Figures> {
        match self {
            Self::Embedded(_) => None,
            Self::Shared(one) => Some(one.figures()),
        }
    }

    /// Waits until a shared ledger knows what its engine has, at most so long; whether it does.
    pub fn settle(&self, patience: Duration) -> bool {
        match self {
            Self::Embedded(_) => true,
            Self::Shared(one) => one.settle(patience),
        }
    }

    /// A number that is another one whenever [`Ledger::append`] has returned with events taken: who
    /// asked for standings after reading it need not ask again while it is the same.
    pub fn changes(&self) -> u64 {
        match self {
            Self::Embedded(one) => one.changes(),
            Self::Shared(one) => one.changes(),
        }
    }

    /// Whether everything up to the ticket is on the disk. An error means that it never will be.
    pub fn is_complete(&self, ticket: Ticket) -> Result<bool, Unavailable> {
        match self {
            Self::Embedded(one) => one.is_complete(ticket),
            Self::Shared(one) => one.is_complete(ticket),
        }
    }

    /// Wakes `waker` once the ticket is settled: complete or failed. At once if it is already.
    ///
    /// Register, then ask [`Ledger::is_complete`] again, or rely on the waking: none is lost. It may
    /// also come early, so ask again when woken.
    pub fn on_complete(&self, ticket: Ticket, waker: Waker) {
        match self {
            Self::Embedded(one) => one.on_complete(ticket, waker),
            Self::Shared(one) => one.on_complete(ticket, waker),
        }
    }

    /// Blocks the thread until the ticket is settled. Not for a task of an async runtime.
    pub fn wait(&self, ticket: Ticket) -> Result<(), Unavailable> {
        match self {
            Self::Embedded(one) => one.wait(ticket),
            Self::Shared(one) => one.wait(ticket),
        }
    }

    /// The pair's history in the ledger's order, as far as it is on the disk. Reads the disk.
    pub fn history(&self, entity: EntityId, recipient: Msisdn) -> Result<Vec<Kept>, Unavailable> {
        match self {
            Self::Embedded(one) => one.history(entity, recipient),
            Self::Shared(one) => one.history(entity, recipient),
        }
    }

    /// How a pair stood at `time_us`: what had happened by then, in the ledger's order. Counts of
    /// messages sent are not part of the history, so [`Standing::sent`] is 0. Reads the disk.
    pub fn standing_at(&self, question: &Question, time_us: u64) -> Result<Standing, Unavailable> {
        match self {
            Self::Embedded(one) => one.standing_at(question, time_us),
            Self::Shared(one) => one.standing_at(question, time_us),
        }
    }

    /// Up to `most` pairs after `after`, by entity and number, as far as they are on the disk. Reads
    /// the disk.
    pub fn pairs_after(
        &self,
        after: Option<(EntityId, Msisdn)>,
        most: usize,
    ) -> Result<Vec<(EntityId, Msisdn)>, Unavailable> {
        match self {
            Self::Embedded(one) => one.pairs_after(after, most),
            Self::Shared(one) => one.pairs_after(after, most),
        }
    }

    /// How a pair stands at `now_us`, for the whole entity and for each scope that has a grant of its
    /// own. Reads the disk.
    pub fn pair_standings(
        &self,
        entity: EntityId,
        recipient: Msisdn,
        now_us: u64,
    ) -> Result<Vec<(Scope, Standing)>, Unavailable> {
        match self {
            Self::Embedded(one) => one.pair_standings(entity, recipient, now_us),
            Self::Shared(one) => one.pair_standings(entity, recipient, now_us),
        }
    }

    /// The entities that have a history with a number. Asks the store once for each entity.
    pub fn entities_of(&self, recipient: Msisdn) -> Result<Vec<EntityId>, Unavailable> {
        match self {
            Self::Embedded(one) => one.entities_of(recipient),
            Self::Shared(one) => one.entities_of(recipient),
        }
    }

    /// Why the ledger takes nothing and answers nothing; `None` when it does.
    pub fn unavailable(&self) -> Option<Unavailable> {
        match self {
            Self::Embedded(one) => one.unavailable(),
            Self::Shared(one) => one.unavailable(),
        }
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        match self {
            Self::Embedded(one) => one.stats(),
            Self::Shared(one) => one.stats(),
        }
    }

    /// Writes what waits and lets the lock go. Blocks. Later appends are refused, and questions are
    /// answered [`Consent::Unavailable`].
    pub fn close(&self) {
        match self {
            Self::Embedded(one) => one.close(),
            Self::Shared(one) => one.close(),
        }
    }

    /// How far an import came, if it ever began. Finishes what a killed one had written but for the
    /// last step. Blocks.
    pub fn import_progress(&self, key: ImportKey) -> Result<Option<Progress>, Unavailable> {
        match self {
            Self::Embedded(one) => one.import_progress(key),
            Self::Shared(one) => one.import_progress(key),
        }
    }

    /// Notes how far an import came whose events were appended, not imported. Blocks for one write.
    pub fn note_progress(&self, key: ImportKey, done: &Progress) -> Result<(), Unavailable> {
        match self {
            Self::Embedded(one) => one.note_progress(key, done),
            Self::Shared(one) => one.note_progress(key, done),
        }
    }

    /// Which of these ids are remembered, in their order. Reads the disk.
    pub fn remembers(&self, ids: &[IdKey]) -> Result<Vec<bool>, Unavailable> {
        match self {
            Self::Embedded(one) => one.remembers(ids),
            Self::Shared(one) => one.remembers(ids),
        }
    }

    /// Remembers ids of events that a stream told; durable when it returns. A ledger of one node remembers the
    /// newest [`IDS_MAX`](super::IDS_MAX), a shared one those of the last thirty days. Blocks.
    pub fn remember(&self, ids: &[IdKey]) -> Result<(), Unavailable> {
        match self {
            Self::Embedded(one) => one.remember(ids),
            Self::Shared(one) => one.remember(ids),
        }
    }

    /// Takes a chunk of an import; durable when this returns. `done` says how far the import is with
    /// it, but for the events taken, known and refused here, which are added. `report` is told what
    /// is refused before anything is written. Appends wait meanwhile. Blocks.
    ///
    /// # Errors
    ///
    /// [`Unavailable::Backlog`] for more than [`super::CHUNK_EVENTS_MAX`] events, and while appended ones
    /// are not on the disk: nothing was taken. After any other the ledger must be opened again.
    pub fn import(
        &self,
        key: ImportKey,
        events: &[Event],
        now_us: u64,
        done: &mut Progress,
        report: &mut dyn FnMut(&[Refused]),
    ) -> Result<(), Unavailable> {
        match self {
            Self::Embedded(one) => one.import(key, events, now_us, done, report),
            Self::Shared(one) => one.import(key, events, now_us, done, report),
        }
    }

    /// Ends an import, however much of the file was taken: a ledger in a folder merges what many chunks left,
    /// for the look-ups' sake, which rewrites its pairs. Blocks.
    pub fn end_import(&self) -> Result<(), Unavailable> {
        match self {
            Self::Embedded(one) => one.end_import(),
            Self::Shared(_) => Ok(()),
        }
    }
}
