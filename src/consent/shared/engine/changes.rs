//! What is new since a number: what keeps every node's cache fresh, and by what an engine that went back
//! is found out.

use std::time::Duration;

use super::super::schema;
use super::Engine;
use super::fault::EngineFault;
use super::lock::{number, signed};
use super::nodes::{POSITION, position_on};
use super::pairs::pair_in;
use crate::consent::{Pair, PairKey};
use crate::postgres::Lent;

const TABLE: &str = "consentry_consent_changes";

/// How long a change is kept at least. A node that was away for longer begins anew.
pub const KEPT: Duration = Duration::from_secs(3600);

/// Changes that one [`Engine::prune`] forgets at most: who polls does it between two polls.
pub const PRUNE_ROWS: u32 = 5_000;

/// What goes with every poll.
const NOW: &str = "SELECT (extract(epoch from clock_timestamp()) * 1000000)::bigint, change, names, \
                   keywords, (SELECT version FROM consentry_schema WHERE id = 1) \
                   FROM consentry_consent_head WHERE id = 1";

const SINCE: &str = "SELECT number, stamp, key, value FROM consentry_consent_changes \
                     WHERE number >= $1 ORDER BY number LIMIT $2";

const LAST: &str =
    "SELECT number, stamp FROM consentry_consent_changes ORDER BY number DESC LIMIT 1";

/// The last of the oldest rows that is old enough: the rows are looked at in their order and no further
/// than that many.
const OLD: &str = "SELECT max(number) FROM \
                   (SELECT number, at FROM consentry_consent_changes ORDER BY number LIMIT $1) AS oldest \
                   WHERE at < (extract(epoch from clock_timestamp()) * 1000000)::bigint - $2::bigint";

/// The last change of all stays: by it whoever is up to date knows that it is.
const FORGET: &str = "DELETE FROM consentry_consent_changes WHERE number <= $1 \
                      AND number < (SELECT change FROM consentry_consent_head WHERE id = 1)";

/// What a poll found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The engine no longer has the change that the poll went on from, or has another one under its
    /// number: it was pruned, or the engine went back. Whatever was cached is void; `through` and
    /// `stamp` are the engine's last, and there are no pairs.
    pub back: bool,
    /// The number of the last change read: where the next poll goes on from.
    pub through: u64,
    /// Its stamp.
    pub stamp: u64,
    /// Pairs as they stood after their change, in the order of the changes; a pair may be there more
    /// than once.
    pub pairs: Vec<(PairKey, Pair)>,
    /// Whether this was all: what is known is as new as the beginning of the poll. Else poll again at
    /// once, and do not count it as heard.
    pub is_all: bool,
    /// The engine's clock during the poll, microseconds since the Unix epoch.
    pub engine_now_us: u64,
    /// How many names there are: [`Engine::names_from`] has those that are not known yet.
    pub names: u64,
    /// How many announced keywords there are: likewise [`Engine::keywords`].
    pub keywords: u64,
}

impl Engine {
    /// Up to `most` changes after the change `after`, which has the stamp `stamp`. Who knows none begins
    /// with 0 and 0, and hears `back`. One round trip, two when it hears that.
    ///
    /// # Errors
    ///
    /// [`EngineFault::Schema`] as soon as the tables are of a version that this one does not know.
    pub async fn changes(&self, after: u64, stamp: u64, most: u32) -> Result<Changes, EngineFault> {
        let lent = self.lend().await?;
        let changes = changes_on(&lent, after, stamp, most).await?;
        lent.give_back();
        Ok(changes)
    }

    /// The same, and first the position of a node's outbox, as committed last: what was applied up to
    /// it is among the changes. No round trip more.
    pub async fn changes_for(
        &self,
        (after, stamp): (u64, u64),
        most: u32,
        node: &str,
        outbox: u64,
    ) -> Result<(Changes, u64), EngineFault> {
        let lent = self.lend().await?;
        // Prepared first, so that both go out together and in this order.
        tokio::try_join!(
            lent.prepare_cached(POSITION),
            lent.prepare_cached(NOW),
            lent.prepare_cached(SINCE),
        )?;
        let (position, changes) = tokio::try_join!(
            biased;
            position_on(&lent, node, outbox),
            changes_on(&lent, after, stamp, most),
        )?;
        lent.give_back();
        Ok((changes, position))
    }

    /// Forgets changes that are older than [`KEPT`], at most [`PRUNE_ROWS`]; whether there may be more.
    /// Any node may, at any time.
    pub async fn prune(&self) -> Result<bool, EngineFault> {
        self.prune_older(KEPT).await
    }

    /// The same, with another age.
    pub async fn prune_older(&self, age: Duration) -> Result<bool, EngineFault> {
        let lent = self.lend().await?;
        let (old, forget) =
            tokio::try_join!(lent.prepare_cached(OLD), lent.prepare_cached(FORGET))?;
        let age_us = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let row = lent.query_one(&old, &[&i64::from(PRUNE_ROWS), &age_us]).await?;
        let last: Option<i64> = row.try_get(0).map_err(|_| EngineFault::Malformed(TABLE))?;
        let forgotten = match last {
            Some(last) => lent.execute(&forget, &[&last]).await?,
            None => 0,
        };
        lent.give_back();
        Ok(forgotten >= u64::from(PRUNE_ROWS))
    }
}

async fn changes_on(
    lent: &Lent,
    after: u64,
    stamp: u64,
    most: u32,
) -> Result<Changes, EngineFault> {
    let (now, since) = tokio::try_join!(lent.prepare_cached(NOW), lent.prepare_cached(SINCE))?;
    // The one that is known already comes first; one more shows whether that was all.
    let (first, limit) = (signed(after), i64::from(most) + 2);
    let (row, rows) = tokio::try_join!(
        biased;
        async { lent.query_opt(&now, &[]).await },
        async { lent.query(&since, &[&first, &limit]).await },
    )?;
    let row = row.ok_or_else(EngineFault::no_tables)?;
    schema::suits(row.try_get(4).map_err(|_| EngineFault::no_tables())?)?;
    let mut changes = Changes {
        back: true,
        through: after,
        stamp,
        pairs: Vec::new(),
        is_all: true,
        engine_now_us: number(&row, 0, "consentry_consent_head")?,
        names: number(&row, 2, "consentry_consent_head")?,
        keywords: number(&row, 3, "consentry_consent_head")?,
    };
    let numbered = |row| Ok::<_, EngineFault>((number(row, 0, TABLE)?, stamp_in(row)?));
    let known = rows.first().map(numbered).transpose()?;
    if known == Some((after, stamp)) {
        changes.back = false;
        for row in rows.iter().skip(1).take(most as usize) {
            (changes.through, changes.stamp) = numbered(row)?;
            changes.pairs.push(pair_in(row, 2, 3, TABLE)?);
        }
        changes.is_all = rows.len() < limit as usize;
    } else {
        let last = lent.prepare_cached(LAST).await?;
        let last = lent.query_opt(&last, &[]).await?.ok_or_else(EngineFault::no_tables)?;
        (changes.through, changes.stamp) = numbered(&last)?;
    }
    Ok(changes)
}

fn stamp_in(row: &tokio_postgres::Row) -> Result<u64, EngineFault> {
    let stamp: i64 = row.try_get(1).map_err(|_| EngineFault::Malformed(TABLE))?;
    Ok(stamp.cast_unsigned())
}
