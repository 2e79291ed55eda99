//! Facts in, decision out. Pure: knows no SMPP, clock, store or log.
//!
//! - `rule`: the rules by name and number, and the articles they rest on.
//! - `reason`: the fine cause inside a rule, on which statuses hang.
//! - `standing`, `said`: what a rule may know of consent, and of the text.
//! - `nature`: whether a message is commercial.
//! - `forms`: in what form a message comes that is no plain text.
//! - `facts`: all that a decision may look at, fetched before.
//! - `provider`, `source`, `code`, `destination`, `earlier`, `body`, `form`, `parts`, `text`, `signature`, `consent`,
//!   `public`, `recipients`, `schedule`, `rate`: one file a family of rules.
//! - `modes`: whether a rule refuses, only records, or sleeps.
//! - `decide`: the rules in their order, and what they come to.

mod body;
mod code;
mod consent;
mod decide;
mod destination;
mod earlier;
mod facts;
mod form;
mod forms;
mod modes;
mod nature;
mod parts;
mod provider;
mod public;
mod rate;
mod reason;
mod recipients;
mod rule;
mod said;
mod schedule;
mod signature;
mod source;
mod standing;
mod text;

pub use decide::{
    Decision, Look, Looked, Observed, decide, decide_bind, decide_operation, trace, trace_bind,
};
pub use facts::{BindFacts, Earlier, Facts, Rate, SecondSender, Sweep};
pub use forms::{Form, Forms};
pub use modes::{Mode, ModeFault, Modes};
pub use nature::{Nature, nature};
pub use reason::Reason;
pub use rule::{Rule, RuleSet};
pub use said::{Parts, Said, Signed, Text};
pub use schedule::{Horizon, Stated};
pub use standing::{
    Consent, ConsentClass, Period, Promise, Review, ReviewPolicy, Standing, StandingState,
};
