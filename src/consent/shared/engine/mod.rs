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
//! | `lock` | the transaction under the lock |
//! | `fold` | a batch of events folded into their pairs; pure |
//! | `apply` | batches of events: an outbox's, claims, what the API tells |
//! | `write` | what a fold changed, on its way into the tables |
//! | `import` | chunks of a file, resumable, each once |
//! | `nodes` | how far each node's outbox was taken |
//! | `changes` | what is new since a number: the feed of the caches |
//! | `pairs` | standings, histories, pages, figures |
//! | `names` | entities and scopes by number |
//! | `keywords` | announced keywords for refusing |
//! | `ids` | ids of events that streams told |

mod apply;
mod changes;
mod fault;
mod fold;
mod ids;
mod import;
mod keywords;
mod lock;
mod names;
mod nodes;
mod pairs;
mod write;

pub use apply::{Applied, Batch, Origin, Outcome, Told};
pub use changes::{Changes, KEPT, PRUNE_ROWS};
pub use fault::EngineFault;
pub use import::{CHUNK_EVENTS_MAX, Imported};
pub use keywords::{KEYWORDS_MAX, Keyword};
pub use lock::{IDLE, LOCK_WAIT};
pub use names::NameKind;
pub use pairs::Counts;

use std::sync::{Arc, OnceLock};

use tokio_postgres::Statement;

use super::schema::{self, Did, Step};
use crate::postgres::{Lent, Pool};

/// The engine. Clones share its connections.
#[derive(Clone)]
pub struct Engine {
    pool: Pool,
    /// Whether the pairs are in parts: read once.
    in_parts: Arc<OnceLock<bool>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// An engine behind these connections. Nothing is asked yet.
    pub fn new(pool: Pool) -> Engine {
        Engine { pool, in_parts: Arc::default() }
    }

    /// Whether the engine answers, can be written to, and has the tables that this version knows.
    pub async fn check(&self) -> Result<(), EngineFault> {
        let lent = self.lend().await?;
        let found = schema::version(&lent).await?;
        lent.give_back();
        schema::suits(found)
    }

    /// Makes the tables, or those that are missing. May run while nodes work, and twice at once.
    pub async fn migrate(&self) -> Result<Vec<Did>, EngineFault> {
        self.migrate_by(schema::STEPS).await
    }

    /// The same, by these steps.
    pub async fn migrate_by(&self, steps: &[Step]) -> Result<Vec<Did>, EngineFault> {
        schema::migrate(&self.lend().await?, steps).await
    }

    /// The statement by which pairs are looked for.
    async fn prepare_pairs(&self, lent: &Lent) -> Result<Statement, EngineFault> {
        let in_parts = match self.in_parts.get() {
            Some(in_parts) => *in_parts,
            None => {
                let in_parts = schema::in_parts(lent).await?;
                *self.in_parts.get_or_init(|| in_parts)
            }
        };
        let sql = if in_parts { pairs::PAIRS_IN_PARTS } else { pairs::PAIRS };
        Ok(lent.prepare_cached(sql).await?)
    }

    async fn lend(&self) -> Result<Lent, EngineFault> {
        Ok(self.pool.get().await?)
    }
}
