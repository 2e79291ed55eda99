//! Who said yes: how each legal entity stands with each recipient, and the history behind it.

mod event;
mod ledger;

pub use event::{
    Cause, ENTITIES_MAX, EntityId, Event, Grant, Happened, Proof, ProofKind, Question, SCOPES_MAX,
    Scope, Source,
};
pub use ledger::{Ledger, OpenFault, Options, Ticket, Unavailable};
