//! The ledger that many nodes share: an engine that speaks PostgreSQL holds the truth.
//!
//! | file | subject |
//! |---|---|
//! | [`schema`] | the tables, their version, and how they get there |
//! | [`engine`] | all that is asked of them |

pub mod engine;
pub mod schema;

pub use engine::{
    Applied, Batch, Changes, Counts, Engine, EngineFault, Imported, Keyword, NameKind, Origin,
    Outcome, Told,
};
