//! How the journal answers: tickets, why it takes nothing, its state and its figures.

use std::sync::Arc;

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
    /// Writing failed; it is tried again every [`super::RETRY`].
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
