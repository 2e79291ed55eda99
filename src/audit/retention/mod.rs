//! How long records are kept: calendar months, legal holds, and the purge, which is itself recorded.
//!
//! A segment goes as a whole, when the term of its newest record has passed and no hold keeps it.
//! Records of consent may have a longer term; those are kept beside it, each with its proof.
//!
//! | file | subject |
//! |---|---|
//! | `term` | calendar months in a zone |
//! | `clock` | whether the time of day is believed |
//! | `hold` | what must not be purged |
//! | `plan` | which segment may go when, and why not |
//! | `purge` | doing it |
//! | `purged` | what was purged, so that the chain can be walked across it |
//! | `turn` | one change of its files at a time |
//! | `kept` | records that outlive their segment |
//! | `record` | what is recorded of all this |

mod clock;
mod hold;
mod kept;
mod plan;
mod purge;
mod purged;
mod record;
mod term;
mod turn;

pub use clock::{SILENCE_US, Watch};
pub use hold::{HOLD_SEGMENTS_MAX, HOLD_TEXT_OCTETS_MAX, HOLDS_MAX, Hold, NO_END_US};
pub(super) use kept::read as kept;
pub use plan::{Due, Plan, RetentionFault, plan};
pub use purge::{Derived, Ended, Gone, Retention, purged_firsts};
pub(super) use purge::{kept_proof, remove};
pub use purged::Purged;
pub(super) use purged::PurgedFile;
pub use record::{HoldRecord, PurgeRecord};
pub(super) use record::{decode_hold, decode_purge};
pub use term::Term;
pub use turn::Turn;
