//! Mirrors: what the journal records, delivered to others as it grows.
//!
//! Each mirror is a thread of its own that reads the journal behind the writer, at least once and in
//! order. Its place is a file in `<journal>/mirrors/`, moved on only when the other side has what
//! precedes it; so one that is down for hours loses nothing, and no message ever waits for it. Only
//! what is on the disk is delivered: a record that a failing disk takes back was never mirrored.
//!
//! A row is one record; `archive` says its columns. Beside them stand `node`, as configured, and
//! `journal`, a random word that a mirror takes when it begins: `(journal, record)` is the key of a
//! row, also when somebody begins a new journal in the place of the old one. `previous` is the record of
//! the row before, so that a missing row shows, and `leaf` what the record is in the Merkle tree of its
//! segment, so that a record that is written anew shows. (Parquet files have the columns alone.)
//!
//! | file | subject |
//! |---|---|
//! | `worker` | the thread: read, deliver, move on, wait, try again |
//! | `place` | where a mirror is, on the disk; what a purge has to leave |
//! | `sink` | what every other side does: take rows, deliver them |
//! | `lines` | kind `file`: NDJSON files |
//! | `tables` | kind `file`: Parquet files |
//! | `postgres` | kind `postgres`: COPY into a table with a partition a month |
//! | `table` | that table: names, columns, indexes |
//! | [`read`] | what the mirrors of all nodes delivered there: searched, counted, held against a journal |
//! | `kafka` | kind `kafka`, a cargo feature: messages keyed by provider |
//! | `consents` | a stream of consent events: of the records those of consent alone, a cargo feature |
//! | `rejected` | rows that the other side will never take |

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::archive::Token;
use crate::audit::{Journal, KeyRing};
use crate::postgres::Url;

mod consents;
#[cfg(feature = "kafka")]
mod kafka;
mod lines;
mod place;
mod postgres;
pub mod read;
mod rejected;
mod sink;
mod table;
mod tables;
mod worker;

pub use consents::{At, ConsentMessage, consent_message};
pub use place::{FOLDER, needed_from};
pub use rejected::REJECTED_OCTETS_MAX;
pub use sink::SinkFault;

/// Where a mirror goes.
#[derive(Clone, PartialEq, Eq)]
pub enum To {
    /// Files in a folder, each whole when it has its last name.
    Files {
        /// The folder; made if it is not there.
        folder: PathBuf,
        /// What is in them.
        format: Format,
        /// Octets after which the next file is begun.
        octets: u64,
        /// How long a file with rows is written at most.
        age: Duration,
    },
    /// A PostgreSQL table.
    Postgres {
        /// Where it is; it may hold a password.
        url: Url,
        /// The file of the password, where the URL holds none.
        password: Option<PathBuf>,
        /// The table's name, with or without a schema.
        table: String,
    },
    /// A Kafka topic.
    Kafka {
        /// `host:port` of brokers.
        brokers: Vec<String>,
        /// The topic.
        topic: String,
    },
    /// A Kafka topic of the events of consent alone.
    Consents {
        /// `host:port` of brokers.
        brokers: Vec<String>,
        /// The topic.
        topic: String,
    },
}

// The URL may hold a password.
impl fmt::Debug for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            To::Files { .. } => "Files",
            To::Postgres { .. } => "Postgres",
            To::Kafka { .. } => "Kafka",
            To::Consents { .. } => "Consents",
        })
    }
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Parquet.
    Parquet,
}

/// What a mirror is begun with.
#[derive(Clone)]
pub struct Options {
    /// Its name: in metrics, logs and files. Letters, digits, `-` and `_`.
    pub name: String,
    /// Where it goes.
    pub to: To,
    /// Which proxy the rows come from.
    pub node: String,
    /// Whether numbers of persons, and the words of their replies, are whole.
    pub whole_numbers: bool,
    /// Whether what messages say goes along, encrypted as the journal has it, with the wrapped keys that
    /// auditors open.
    pub content: bool,
    /// Reads the numbers of the journal.
    pub keys: Arc<KeyRing>,
    /// Makes tokens of masked numbers.
    pub token: Option<Arc<Token<'static>>>,
    /// What tells the key of tokens from another: hexadecimal digits.
    pub token_key: Option<String>,
    /// Rows of one delivery at most.
    pub batch: usize,
    /// How long records wait for more of them.
    pub wait: Duration,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("name", &self.name).field("to", &self.to).finish()
    }
}

/// Figures since the mirror was begun, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Records of the journal that are on the disk and not delivered, links counted.
    pub lag: u64,
    /// Rows delivered.
    pub delivered: u64,
    /// Deliveries that failed and were tried again.
    pub failures: u64,
    /// Rows that the other side will never take: they are in the mirror's file of rejected rows.
    pub rejected: u64,
    /// Records that were purged before they were delivered.
    pub skipped: u64,
}

#[derive(Default)]
struct Counters {
    /// Number of the next record to be delivered.
    next: AtomicU64,
    delivered: AtomicU64,
    failures: AtomicU64,
    rejected: AtomicU64,
    skipped: AtomicU64,
}

/// Whether a mirror with these options could be begun, as far as that shows without touching anything.
pub fn check(options: &Options) -> Result<(), SinkFault> {
    sink::Sink::new(options, "").map(drop)
}

/// A mirror at work. Dropping it stops it.
#[derive(Debug)]
pub struct Mirror {
    name: String,
    journal: Journal,
    counters: Arc<Counters>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counters")
    }
}

impl Mirror {
    /// Begins to mirror `journal`, whose folder is `folder`, where this mirror was last; a new one at
    /// the oldest record. The other side need not be there.
    pub fn start(journal: Journal, folder: &Path, options: Options) -> Result<Mirror, SinkFault> {
        let counters = Arc::new(Counters::default());
        let stop = CancellationToken::new();
        let name = options.name.clone();
        let made = (counters.clone(), stop.clone());
        let worker = worker::Worker::new(journal.clone(), folder, options, made)?;
        let thread = std::thread::Builder::new()
            .name(format!("mirror {name}"))
            .spawn(move || worker.run())
            .map_err(|error| SinkFault::Down(error.to_string()))?;
        Ok(Mirror { name, journal, counters, stop, thread: Some(thread) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is and what it did.
    pub fn figures(&self) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let next = read(&self.counters.next).max(1);
        Figures {
            lag: self.journal.synced_next().saturating_sub(next),
            delivered: read(&self.counters.delivered),
            failures: read(&self.counters.failures),
            rejected: read(&self.counters.rejected),
            skipped: read(&self.counters.skipped),
        }
    }

    /// Stops it; what is being delivered is delivered again next time. Blocks until its thread ends.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.end();
    }
}
