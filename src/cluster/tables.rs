//! The SQL of what nodes tell each other. Portable: nothing that YugabyteDB or CockroachDB has not.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;

use tokio_postgres::Row;

use super::budget::{Ask, Budget, Members};
use crate::postgres::{Fault, Lent, Pool};

/// How long a node is not seen until it counts as absent, microseconds: nobody knows whether it serves.
pub const ABSENT_AFTER_US: u64 = 2_000_000;

/// How long it is absent until it counts as gone for good.
pub const FORGOTTEN_AFTER_US: u64 = 3_600_000_000;

/// Nodes that are looked at.
pub const MEMBERS_MAX: usize = 1_024;

/// How long what was told is kept, microseconds.
const KEPT_US: u64 = 60_000_000;

/// How much later than its turn a row may show, microseconds.
const LATE_US: u64 = 5_000_000;

/// Rows that are read in one turn; those beyond come in the next.
const ROWS_A_TURN_MAX: i64 = 256;

/// Budgets that are settled in one transaction.
pub(super) const BUDGETS_MAX: usize = 1_000;

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '300ms'; \
                     SET LOCAL idle_in_transaction_session_timeout = '2s'";

const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// What one exchange found of the others.
pub(super) struct Heard {
    /// The database's clock, microseconds since the Unix epoch.
    pub now_us: u64,
    pub members: Members,
}

/// The tables.
pub(super) struct Tables {
    pool: Pool,
    node: String,
    nodes: NonZeroU32,
    /// Providers whose budgets have their row.
    budgets: HashSet<String>,
    /// What was heard already: node and turn.
    heard: HashMap<(String, i64), u64>,
    /// Its own last turn.
    turn: i64,
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(row: &Row, at: usize) -> Result<u64, Fault> {
    let number: i64 = row.try_get(at)?;
    Ok(u64::try_from(number).unwrap_or(0))
}

impl Tables {
    pub fn new(pool: Pool, node: String, nodes: NonZeroU32) -> Tables {
        let (budgets, heard) = Default::default();
        Tables { pool, node, nodes, budgets, heard, turn: 0 }
    }

    /// Says that this node serves, or leaves, and hears who else does.
    pub async fn meet(&self, has_left: bool) -> Result<Heard, Fault> {
        let lent = self.pool.get().await?;
        let say = format!(
            "INSERT INTO consentry_members (node, seen, has_left) VALUES ($1, {NOW}, $2) \
             ON CONFLICT (node) DO UPDATE SET seen = excluded.seen, has_left = excluded.has_left"
        );
        let say = lent.prepare_cached(&say).await?;
        lent.execute(&say, &[&self.node, &has_left]).await?;
        let hear = format!("SELECT node, seen, has_left, {NOW} FROM consentry_members LIMIT $1");
        let hear = lent.prepare_cached(&hear).await?;
        let rows = lent.query(&hear, &[&signed(MEMBERS_MAX as u64)]).await?;
        lent.give_back();
        let mut members = Members { nodes: self.nodes, seen: 0, absent: 0 };
        let mut now_us = 0;
        for row in &rows {
            let (seen_us, has_left): (u64, bool) = (unsigned(row, 1)?, row.try_get(2)?);
            now_us = unsigned(row, 3)?;
            let unseen_us = now_us.saturating_sub(seen_us);
            if !has_left && unseen_us < ABSENT_AFTER_US {
                members.seen += 1;
            } else if !has_left && unseen_us < FORGOTTEN_AFTER_US {
                members.absent += 1;
            }
        }
        Ok(Heard { now_us, members })
    }

    /// Settles budgets, at most [`BUDGETS_MAX`]; what each is granted, by the place of its ask. One without
    /// was not settled, and nothing is known of it.
    pub async fn settle(
        &mut self,
        asks: &[(&str, Ask)],
        members: Members,
    ) -> Result<Vec<Option<u64>>, Fault> {
        let lent = self.pool.get().await?;
        self.make_budgets(&lent, asks).await?;
        let lock = format!(
            "SELECT provider, empty_at, {NOW} FROM consentry_rates WHERE provider = ANY($1) \
             ORDER BY provider FOR UPDATE"
        );
        let put = "UPDATE consentry_rates AS of SET empty_at = new.empty_at FROM \
                   (SELECT unnest($1::text[]) AS provider, unnest($2::bigint[]) AS empty_at) AS new \
                   WHERE of.provider = new.provider";
        let (lock, put) = (lent.prepare_cached(&lock).await?, lent.prepare_cached(put).await?);
        let names: Vec<&str> = asks.iter().map(|(name, _)| *name).collect();
        lent.batch_execute(BEGIN).await?;
        let rows = lent.query(&lock, &[&names]).await?;
        let mut by_name = HashMap::new();
        for row in &rows {
            let (name, empty_at_ns): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
            let now_ns = signed(unsigned(row, 2)?).saturating_mul(1_000);
            by_name.insert(name, (Budget { empty_at_ns }, now_ns));
        }
        let mut granted = Vec::new();
        for (name, ask) in asks {
            granted.push(by_name.get_mut(name).map(|(one, now)| one.settle(*ask, members, *now)));
            if !by_name.contains_key(name) {
                // The database went back: it is made in the next turn.
                self.budgets.remove(*name);
            }
        }
        let (names, empty_at): (Vec<&str>, Vec<i64>) =
            by_name.iter().map(|(name, (budget, _))| (*name, budget.empty_at_ns)).unzip();
        lent.execute(&put, &[&names, &empty_at]).await?;
        lent.batch_execute("COMMIT").await?;
        lent.give_back();
        Ok(granted)
    }

    async fn make_budgets(&mut self, lent: &Lent, asks: &[(&str, Ask)]) -> Result<(), Fault> {
        let new: Vec<&str> = asks
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| !self.budgets.contains(*name))
            .collect();
        if !new.is_empty() {
            let make = "INSERT INTO consentry_rates (provider, empty_at) \
                        SELECT unnest($1::text[]), 0 ON CONFLICT (provider) DO NOTHING";
            lent.execute(make, &[&new]).await?;
            self.budgets.extend(new.into_iter().map(str::to_owned));
        }
        Ok(())
    }

    /// Tells where messages went, where there is anything to tell, and forgets what everybody has heard.
    pub async fn tell(&mut self, told: &[u8], now_us: u64) -> Result<(), Fault> {
        let lent = self.pool.get().await?;
        self.turn = signed(now_us).max(self.turn.saturating_add(1));
        let tell = "INSERT INTO consentry_sweeps (node, turn, told) VALUES ($1, $2, $3) \
                    ON CONFLICT (node, turn) DO NOTHING";
        let tell = lent.prepare_cached(tell).await?;
        lent.execute(&tell, &[&self.node, &self.turn, &told]).await?;
        let forget = "DELETE FROM consentry_sweeps WHERE node = $1 AND turn < $2";
        let forget = lent.prepare_cached(forget).await?;
        let old = signed(now_us.saturating_sub(KEPT_US));
        lent.execute(&forget, &[&self.node, &old]).await?;
        lent.give_back();
        Ok(())
    }

    /// What other nodes told since it was asked last, and for [`LATE_US`] before: a row shows when its
    /// transaction ends.
    pub async fn hear(&mut self, now_us: u64) -> Result<Vec<Vec<u8>>, Fault> {
        let lent = self.pool.get().await?;
        let latest = self.heard.values().copied().max().unwrap_or(0);
        let since_us = match latest {
            0 => now_us.saturating_sub(KEPT_US),
            // The clock of another database may be behind.
            latest => latest.min(now_us).saturating_sub(LATE_US),
        };
        let list = "SELECT node, turn FROM consentry_sweeps WHERE node <> $1 AND turn > $2 \
                    ORDER BY turn LIMIT $3";
        let list = lent.prepare_cached(list).await?;
        let most = ROWS_A_TURN_MAX.saturating_mul(8);
        let rows = lent.query(&list, &[&self.node, &signed(since_us), &most]).await?;
        let (mut nodes, mut turns) = (Vec::new(), Vec::new());
        for row in rows.iter() {
            let one: (String, i64) = (row.try_get(0)?, row.try_get(1)?);
            if nodes.len() < ROWS_A_TURN_MAX as usize && !self.heard.contains_key(&one) {
                nodes.push(one.0);
                turns.push(one.1);
            }
        }
        let read = "SELECT told FROM consentry_sweeps \
                    WHERE (node, turn) IN (SELECT * FROM unnest($1::text[], $2::bigint[]))";
        let mut told = Vec::new();
        if !nodes.is_empty() {
            let read = lent.prepare_cached(read).await?;
            for row in lent.query(&read, &[&nodes, &turns]).await? {
                told.push(row.try_get(0)?);
            }
        }
        lent.give_back();
        self.heard.retain(|_, turn| *turn > since_us);
        let turn = |turn: i64| u64::try_from(turn).unwrap_or(0);
        self.heard.extend(nodes.into_iter().zip(turns).map(|one| (one.clone(), turn(one.1))));
        Ok(told)
    }
}
