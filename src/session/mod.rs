//! One ESME-SMSC pair without sockets: the one place where SMPP, text and policy meet.
//!
//! A [`Session`] is given octets and the time, and keeps everything that it may let through until
//! it is told that the records are accepted. It is driven by five verbs:
//!
//! | verb | when |
//! |---|---|
//! | [`Session::receive`] | octets came from one side |
//! | [`Session::judge`] | whole frames from the ESME wait and no batch is under way |
//! | [`Session::recorded`], [`Session::unrecorded`] | the journal took the batch's records, or cannot |
//! | [`Session::relay`] | octets came from the SMSC |
//! | [`Session::tick`] | time passed |
//!
//! What comes out: octets for the ESME, [`Cleared`] octets for the SMSC, records for the journal,
//! counts for the metrics, and at last an [`EndReason`]. The same session, given the same octets
//! and times, makes the same records: that is what replay rests on.

mod announced;
mod asked;
mod batch;
mod bind;
mod cleared;
mod close;
mod desk;
mod elsewhere;
mod end;
mod facts;
mod heard;
mod hold;
mod judge;
mod knowledge;
mod late;
mod leases;
mod left_out;
mod looked;
mod moment;
mod multi;
mod onward;
mod operation;
pub mod originals;
mod parts;
mod prepare;
mod probe;
mod rates;
mod receipts;
mod relay;
mod reply;
mod seats;
#[allow(clippy::module_inception)] // the room is named after the one thing in it
mod session;
mod statuses;
pub mod sweeps;
pub mod table;
mod tally;
mod texts;
mod told;
mod verdict;
mod window;

pub use announced::{Announced, CODES_MAX, KEYWORDS_A_CODE_MAX};
pub use asked::{ASKED_MAX, Asked, Awaited};
pub use batch::{Ask, LookUp};
pub use cleared::Cleared;
pub use desk::Desk;
pub use end::EndReason;
pub use facts::{Gathered, gather};
pub use heard::{HEARD_OCTETS_MAX, HEARDS_MAX, Heard};
pub use hold::{HoldTimes, LongMessages};
pub use judge::Batch;
pub use knowledge::{KeepContent, Knowledge, MultiPolicy, StatusStyle};
pub use leases::{LEASE_US, Settled};
pub use left_out::LEFT_OUT_OCTETS_MAX;
pub use looked::QUESTIONS_A_BATCH_MAX;
pub use moment::Moment;
pub use multi::MULTI_PARTS_MAX;
pub use parts::Joinings;
pub use prepare::Parties;
pub use probe::OWN_NUMBERS;
pub use rates::{BURST_US, LATER_PARTS_US, Rates};
pub use reply::REPLIES_AHEAD_MAX;
pub use seats::{Seat, Seats};
pub use session::{FRAMES_A_TURN, Fate, Session, Side, Timeouts};
pub use statuses::Statuses;
pub use table::{BindKind, BindState, UnknownCommand};
pub use tally::{RULE_CODES, Tally};
pub use texts::{CodeTemplates, Form, Texts, unread};
pub use told::TakenEvent;
pub use window::{Open, WINDOW_REQUESTS_LIMIT, Window};
