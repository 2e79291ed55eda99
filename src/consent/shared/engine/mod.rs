//! All that is asked of the engine of a shared ledger: portable SQL over the PostgreSQL protocol.
//!
//! Every transaction that writes locks the one row of `consentry_consent_head` first. So writers go
//! one after the other: events and changes are numbered without holes, whoever sees a change sees all
//! before it, no two writers can wait for each other, and what a claim finds is still so when it is
//! written. The lock is held for two round trips: one that takes it and reads what the batch is about,
//! one that writes and commits.
//!
//! Every call is a future that may be dropped at any moment: its connection is then closed, and what it
//! had not committed is undone by the engine. No call waits for ever on a lock ([`LOCK_WAIT`]), but the
//! network may be silent: set a deadline.
//!
//! | file | subject |
//! |---|---|
//! | `fault` | what can go wrong, in words without values |
//! | `lent` | a connection, and the transaction under the lock |
//! | `fold` | a batch of events folded into their pairs; pure |
//! | `apply` | batches of events: an outbox's, claims, what the API tells |
//! | `write` | what a fold changed, on its way into the tables |
//! | `import` | chunks of a file, resumable, each once |
//! | `nodes` | how far each node's outbox was taken |
//! | `changes` | what is new since a number: the feed of the caches |
//! | `pairs` | standings, histories, pages, figures |
//! | `names` | entities and scopes by number |
//! | `keywords` | announced keywords for refusing |

mod apply;
mod changes;
mod fault;
mod fold;
mod import;
mod keywords;
mod lent;
mod names;
mod nodes;
mod pairs;
mod write;

pub use apply::{Applied, Batch, Origin, Outcome, Told};
pub use changes::{Changes, KEPT, PRUNE_ROWS};
pub use fault::EngineFault;
pub use import::{CHUNK_EVENTS_MAX, Imported};
pub use keywords::{KEYWORDS_MAX, Keyword};
pub use lent::{IDLE, LOCK_WAIT};
pub use names::NameKind;
pub use pairs::Counts;

use deadpool_postgres::Pool;

pub(super) use lent::Lent;

use super::schema::{self, Did, Step};

/// The engine. Clones share its connections.
#[derive(Clone)]
pub struct Engine {
    pool: Pool,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// An engine behind these connections. Nothing is asked yet.
    pub fn new(pool: Pool) -> Engine {
        Engine { pool }
    }

    /// Whether the engine answers, can be written to, and has the tables that this version knows.
    pub async fn check(&self) -> Result<(), EngineFault> {
        let lent = self.lend().await?;
        let found = schema::version(&lent).await?;
        lent.keep();
        schema::suits(found)
    }

    /// Makes the tables, or those that are missing. May run while nodes work, and twice at once.
    pub async fn migrate(&self) -> Result<Vec<Did>, EngineFault> {
        self.migrate_by(schema::STEPS).await
    }

    /// The same, by these steps.
    pub async fn migrate_by(&self, steps: &[Step]) -> Result<Vec<Did>, EngineFault> {
        let lent = self.lend().await?;
        let did = schema::migrate(&lent, steps).await?;
        lent.keep();
        Ok(did)
    }

    async fn lend(&self) -> Result<Lent, EngineFault> {
        Ok(Lent::new(self.pool.get().await?))
    }
}
