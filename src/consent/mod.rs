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
//! | `key`, `format`, `store` | the octets on the disk |
//! | `hot` | the standings in memory, bounded |
//! | `warm` | how they get there after opening |
//! | `names` | entities and scopes by number |
//! | `pending`, `committer` | what is not on the disk yet, and how it gets there |
//! | `line`, `csv` | events as people write them |
//! | `intake` | imports: many events at once, resumable |
//! | [`desk`] | what operators ask and tell, as texts |
//! | `ledger` | the face |
//! | `relation` | when what an entity and a recipient had with each other ended |
//! | `rehearsal` | the same face for captured traffic: as of then, and nothing is written |

mod committer;
pub mod csv;
pub mod desk;
mod event;
mod format;
mod hot;
mod intake;
mod key;
mod ledger;
pub mod line;
mod names;
mod pair;
mod pending;
mod rehearsal;
mod relation;
mod store;
mod warm;

pub use event::{
    Cause, ENTITIES_MAX, EntityId, Event, EventFault, Grant, Happened, Kept, Proof, ProofKind,
    Question, SCOPES_MAX, Scope, Source,
};
pub use intake::{CHUNK_EVENTS_MAX, HEAD_OCTETS, ImportKey, Progress};
pub use ledger::{
    CACHE_OCTETS_MIN, EVENT_KINDS, Ledger, OpenFault, Options, Refused, Stats, Ticket, Unavailable,
};
pub use line::{Line, LineFault};
pub use names::{NAME_OCTETS_MAX, NameFault};
pub use pair::{AHEAD_US, GRANTS_MAX};
pub use pending::QUEUE_EVENTS_MAX;
pub use rehearsal::{AskElsewhere, Before, CHANGED_PAIRS_MAX, Rehearsal};

use key::PairKey;
