//! Streams in: consent events from a Kafka topic into the ledger, by whoever else hears of consent, such as a
//! CRM. What the ledger takes goes out to a topic as a mirror: [`crate::mirror`].
//!
//! At least once, in effect once. Kafka gives a message again that nobody said he had; whoever produces may
//! send an event again. So every event has an id, and the ledger remembers the ids of what it took
//! ([`Ledger::remember`]). A batch goes through these steps, each durable before the next one:
//!
//! 1. the events whose ids are new are told to the ledger, by the same desk as the API's;
//! 2. the journal has a record of each, with its id;
//! 3. what nobody can read, or the ledger refuses, is where rejected messages are kept;
//! 4. the ledger remembers the ids;
//! 5. the group's offsets are committed.
//!
//! Killed between two steps, the batch comes again. What was told in step 1 and is not remembered is known by
//! the pair's history: nothing in it is told twice. Only the messages of one batch can be so, those that come
//! first after a partition was assigned.
//!
//! | file | subject |
//! |---|---|
//! | `intake` | a batch of messages into the ledger and onto record: steps 1, 2 and 4 |
//! | `rejected` | the file of what was rejected |
//! | `consumer` | the thread that reads the topic: a cargo feature |

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::consent::Ledger;
use crate::consent::desk::Told;

#[cfg(feature = "kafka")]
mod consumer;
mod intake;
mod rejected;

#[cfg(feature = "kafka")]
pub use consumer::Stream;
pub use intake::{Done, Intake, IntakeFault, Message};
pub use rejected::{REJECTED_OCTETS_MAX, Rejected, keep};

/// Keeps on record what the ledger took, at that time, microseconds since the Unix epoch; returns when it is
/// kept. The error is a sentence.
pub type Record = dyn Fn(&[Told], u64) -> Result<(), String> + Send + Sync;

/// What a stream is begun with.
#[derive(Clone)]
pub struct Options {
    /// Its name: in metrics, logs and files.
    pub name: String,
    /// `host:port` of brokers.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// The topic of rejected messages; without one they go to the file.
    pub rejected: Option<String>,
    /// The file of rejected messages.
    pub file: PathBuf,
    /// Whom all events are about; without it, each says so.
    pub entity: Option<String>,
    /// Messages taken at once, at most.
    pub batch: usize,
    /// How long messages wait for more of them.
    pub wait: Duration,
    /// Whom it tells.
    pub ledger: Ledger,
    /// Keeps what was told on record.
    pub record: Arc<Record>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("name", &self.name).field("topic", &self.topic).finish()
    }
}

/// Figures since the stream was begun, and how far behind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Messages in its partitions behind what the group has committed, when it was last seen.
    pub lag: u64,
    /// Messages that changed the ledger.
    pub taken: u64,
    /// Messages that the ledger knew.
    pub known: u64,
    /// Messages that nobody can read, or that the ledger refused.
    pub rejected: u64,
    /// What failed and was tried again.
    pub failures: u64,
}
