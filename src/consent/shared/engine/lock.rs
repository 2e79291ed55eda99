//! The transaction under the ledger's one lock.

use std::time::{Duration, Instant};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use super::super::schema;
use super::fault::EngineFault;
use crate::postgres::Lent;

/// How long a transaction waits for the head's lock; then it is [`EngineFault::Busy`].
pub const LOCK_WAIT: Duration = Duration::from_secs(2);

/// How long the engine waits for a transaction that was begun to go on, before it undoes it: a node
/// that was cut off in the middle of one keeps the others waiting no longer.
pub const IDLE: Duration = Duration::from_secs(2);

/// Begins a transaction. No limit of time for its statements: one that runs out while COMMIT waits for
/// the standby would make it an answer without the standby.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
                     SET LOCAL lock_timeout = '2s'; \
                     SET LOCAL idle_in_transaction_session_timeout = '2s'";

const LOCK: &str = "SELECT event, change, names, keywords, pairs, granted, revoked, reviewed, asked, \
                    sent, (SELECT version FROM consentry_schema WHERE id = 1) \
                    FROM consentry_consent_head WHERE id = 1 FOR UPDATE";

const UPDATE_HEAD: &str = "UPDATE consentry_consent_head SET event = $1, change = $2, names = $3, \
                           keywords = $4, pairs = $5, granted = $6, revoked = $7, reviewed = $8, \
                           asked = $9, sent = $10 WHERE id = 1";

/// What the head's row says: the ledger's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The last event's number.
    pub event: u64,
    /// The last change's number.
    pub change: u64,
    /// Names given, and keywords announced.
    pub names: u64,
    pub keywords: u64,
    /// Pairs that have a history.
    pub pairs: u64,
    /// Events by kind, as [`crate::consent::EVENT_KINDS`].
    pub events: [u64; 5],
}

impl Head {
    pub fn read(row: &Row) -> Result<Head, EngineFault> {
        let number = |at: usize| number(row, at, "consentry_consent_head");
        Ok(Head {
            event: number(0)?,
            change: number(1)?,
            names: number(2)?,
            keywords: number(3)?,
            pairs: number(4)?,
            events: [number(5)?, number(6)?, number(7)?, number(8)?, number(9)?],
        })
    }
}

/// A column that holds a count.
pub(super) fn number(row: &Row, at: usize, table: &'static str) -> Result<u64, EngineFault> {
    let signed: i64 = row.try_get(at).map_err(|_| EngineFault::Malformed(table))?;
    u64::try_from(signed).map_err(|_| EngineFault::Malformed(table))
}

/// A count as the engine has it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Begins a transaction, takes the lock, and does `reads` under it: one round trip. `reads` sends its
/// statements when it is first polled, so they must be prepared. Then the head, since when the lock is
/// held at most, and what was read.
pub(super) async fn lock<T>(
    lent: &Lent,
    reads: impl Future<Output = Result<T, Error>>,
) -> Result<(Head, Instant, T), EngineFault> {
    // Both now: nothing is prepared while others wait.
    let (lock, _) = tokio::try_join!(lent.prepare_cached(LOCK), lent.prepare_cached(UPDATE_HEAD))?;
    let (_, (row, since), read) = tokio::try_join!(
        biased;
        lent.batch_execute(BEGIN),
        async { lent.query_opt(&lock, &[]).await.map(|row| (row, Instant::now())) },
        reads,
    )?;
    let row = row.ok_or_else(EngineFault::no_tables)?;
    let version: Option<i32> = row.try_get(10).map_err(|_| EngineFault::no_tables())?;
    schema::suits(version)?;
    Ok((Head::read(&row)?, since, read))
}

/// Does `writes`, writes the head and commits: one round trip. As for [`lock`], `writes` are prepared.
/// Where one of them cannot be sent, COMMIT is not either.
pub(super) async fn commit<T>(
    lent: &Lent,
    head: &Head,
    writes: impl Future<Output = Result<T, Error>>,
) -> Result<T, EngineFault> {
    let update = lent.prepare_cached(UPDATE_HEAD).await?;
    let [granted, revoked, reviewed, asked, sent] = head.events.map(signed);
    let (event, change, names) = (signed(head.event), signed(head.change), signed(head.names));
    let (keywords, pairs) = (signed(head.keywords), signed(head.pairs));
    let all: [&(dyn ToSql + Sync); 10] =
        [&event, &change, &names, &keywords, &pairs, &granted, &revoked, &reviewed, &asked, &sent];
    let done = tokio::try_join!(
        biased;
        writes,
        lent.execute(&update, &all),
        lent.batch_execute("COMMIT"),
    );
    let (written, _, _) = done.map_err(EngineFault::of_commit)?;
    Ok(written)
}

/// Ends a transaction that has nothing to write.
pub(super) async fn give_up(lent: &Lent) -> Result<(), EngineFault> {
    Ok(lent.batch_execute("ROLLBACK").await?)
}
