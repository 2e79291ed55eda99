//! Who said yes: how each legal entity stands with each recipient, and the history behind it.
//!
//! Consent binds the legal entity, by its name in the registry, not one of its codes. The history
//! only grows; how a pair stands is folded from it, event by event, and kept beside it. Questions
//! come in batches ([`Ledger::standings`]) and are answered from memory where they can be; events
//! ([`Ledger::append`]) are in force at once, and on the disk when their [`Ticket`] is complete.
//!
//! | file | subject |
//! |---|---|
//! | `event` | what can happen, and what is asked |
//! | `pair` | how events fold to a standing; the rules of it |
//! | `key`, `format` | the octets in a store |
//! | `files` | databases in folders |
//! | `hot` | standings in memory, bounded |
//! | `line`, `csv` | events as people write them |
//! | `gathered` | events that are told at once |
//! | `import` | which import, and how far it came |
//! | `id` | ids by which events of a stream are known that were told before |
//! | [`desk`] | what operators ask and tell, as texts |
//! | `ledger` | the face |
//! | `ask` | what of the shared ledger is waited for: look-ups, claims |
//! | `embedded` | the ledger of one node, in a folder |
//! | [`shared`] | the ledger that nodes share, in an engine that speaks PostgreSQL |
//! | `relation` | when what an entity and a recipient had with each other ended |
//! | `rehearsal` | the same face for captured traffic: as of then, and nothing is written |

mod ask;
pub mod csv;
pub mod desk;
mod embedded;
mod event;
mod files;
mod format;
mod gathered;
mod hot;
mod id;
mod import;
mod key;
mod ledger;
pub mod line;
mod pair;
mod rehearsal;
mod relation;
pub mod shared;

pub use ask::{Claim, Claimed, Claiming, Lookup};
pub use embedded::{Embedded, QUEUE_EVENTS_MAX};
pub use event::{
    Cause, ENTITIES_MAX, EntityId, Event, EventFault, Grant, Happened, Kept, Proof, ProofKind,
    Question, SCOPES_MAX, Scope, Source,
};
pub use gathered::{Gathered, UNSURE_EVENTS_MAX};
pub use id::{IDS_MAX, IdKey};
pub use import::{CHUNK_EVENTS_MAX, HEAD_OCTETS, ImportKey, Progress};
pub use key::PairKey;
pub use ledger::{
    CACHE_OCTETS_MIN, EVENT_KINDS, Ledger, NAME_OCTETS_MAX, NameFault, OpenFault, Options, Refused,
    Stats, Ticket, Unavailable,
};
pub use line::{Line, LineFault};
pub use pair::{AHEAD_US, GRANTS_MAX, Pair};
pub use rehearsal::{AskElsewhere, Before, CHANGED_PAIRS_MAX, Rehearsal};
