//! The ledger's face: questions in batches, events with tickets.

use std::path::Path;
use std::sync::Arc;
use std::task::Waker;

use super::{EntityId, Event, Question, Scope};
use crate::policy::Consent;

/// What a ledger is opened with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Octets that the hot layer may use.
    pub cache_octets: usize,
    /// How long after a request without an answer silence counts as refusal, microseconds.
    pub silent_after_us: u64,
}

/// A place in the ledger's future: complete when everything up to it is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// Events accepted since the ledger was opened, up to and with the batch of the ticket.
    pub position: u64,
}

/// Why the ledger takes no event, or did not keep one. Answer with `ledger.unavailable`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The disk does not keep up.
    #[error("the consent ledger has too much waiting to be written: is the disk too slow?")]
    Backlog,
    /// Writing failed.
    #[error("the consent ledger cannot be written: {0}")]
    Failed(Arc<str>),
    /// It is closed, or closing.
    #[error("the consent ledger is closed")]
    Closed,
}

/// Why a ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// Another process has it.
    #[error("the consent ledger {0} is in use by another process")]
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

/// The ledger. Clones are the same ledger; the last one dropped closes it.
#[derive(Clone, Debug)]
pub struct Ledger {}

impl Ledger {
    /// Opens the ledger in `path`, which is created if it does not exist.
    pub fn open(path: &Path, _options: Options) -> Result<Ledger, OpenFault> {
        let why = "this version has none".to_owned();
        Err(OpenFault::Failed { path: path.display().to_string(), why })
    }

    /// The identifier of a legal entity's name, given now if it never was. Durable when it returns.
    pub fn entity(&self, _name: &str) -> Result<EntityId, Unavailable> {
        Err(Unavailable::Closed)
    }

    /// The identifier of a scope's name, given now if it never was; "" is [`Scope::ALL`].
    pub fn scope(&self, _name: &str) -> Result<Scope, Unavailable> {
        Err(Unavailable::Closed)
    }

    /// Appends one answer a question to `out`, in their order. Synchronous; allocates nothing
    /// beyond `out`.
    pub fn standings(&self, questions: &[Question], _now_us: u64, out: &mut Vec<Consent>) {
        out.extend(questions.iter().map(|_| Consent::Unavailable));
    }

    /// Takes events: they are in force at once, and kept when the ticket is complete.
    pub fn append(&self, _events: &[Event], _now_us: u64) -> Result<Ticket, Unavailable> {
        Err(Unavailable::Closed)
    }

    /// Whether everything up to the ticket is kept.
    pub fn is_complete(&self, _ticket: Ticket) -> Result<bool, Unavailable> {
        Err(Unavailable::Closed)
    }

    /// Wakes `waker` once the ticket is settled: complete or failed. At once if it is already.
    pub fn on_complete(&self, _ticket: Ticket, waker: Waker) {
        waker.wake();
    }
}
