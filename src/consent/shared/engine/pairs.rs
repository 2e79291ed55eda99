//! How pairs stand, what happened with them, and figures.

use tokio_postgres::{Row, Statement};

use super::Engine;
use super::fault::EngineFault;
use super::lock::{Head, number};
use super::nodes::{POSITION, position_on};
use crate::consent::format::{read_event, read_pair};
use crate::consent::{EntityId, Kept, Pair, PairKey};
use crate::postgres::Lent;
use crate::registry::Msisdn;

const PAIRS_TABLE: &str = "consentry_consent_pairs";
const EVENTS_TABLE: &str = "consentry_consent_events";

/// One look at all keys: the index is gone through once.
pub(super) const PAIRS: &str = "SELECT key, value FROM consentry_consent_pairs WHERE key = ANY($1)";

/// Where the table is in parts, PostgreSQL would look for every key in every part, or read whole parts
/// where it takes the keys for many. So each is looked for by itself, in its part only; what is not there
/// comes without a value.
pub(super) const PAIRS_IN_PARTS: &str = "SELECT asked.key, (SELECT value FROM consentry_consent_pairs AS pair WHERE pair.key = asked.key) \
     FROM unnest($1::bigint[]) AS asked (key)";

const PAGE: &str =
    "SELECT key, value FROM consentry_consent_pairs WHERE key > $1 ORDER BY key LIMIT $2";

const HISTORY: &str =
    "SELECT number, value FROM consentry_consent_events WHERE key = $1 ORDER BY number";

const FIGURES: &str = "SELECT event, change, names, keywords, pairs, granted, revoked, reviewed, asked, \
                       sent FROM consentry_consent_head WHERE id = 1";

const ENTITIES: &str = "SELECT count(*) FROM consentry_consent_names WHERE kind = 'e'";

/// Entities asked for at once: one statement's keys.
const ENTITIES_ASKED: usize = 1024;

/// Figures of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pairs that have a history.
    pub pairs: u64,
    /// Events ever taken, as [`crate::consent::EVENT_KINDS`].
    pub events: [u64; 5],
    /// The number of the last event.
    pub event: u64,
    /// The number of the last change.
    pub change: u64,
}

pub(super) fn read_pairs(rows: &[Row]) -> Result<Vec<(PairKey, Pair)>, EngineFault> {
    let is_there = |row: &&Row| !matches!(row.try_get::<_, Option<&[u8]>>(1), Ok(None));
    rows.iter().filter(is_there).map(|row| pair_in(row, 0, 1, PAIRS_TABLE)).collect()
}

/// A key and a pair in two columns of a row.
pub(super) fn pair_in(
    row: &Row,
    key: usize,
    value: usize,
    table: &'static str,
) -> Result<(PairKey, Pair), EngineFault> {
    let damaged = || EngineFault::Malformed(table);
    let key: i64 = row.try_get(key).map_err(|_| damaged())?;
    let octets: &[u8] = row.try_get(value).map_err(|_| damaged())?;
    Ok((PairKey::of_signed(key), read_pair(octets).ok_or_else(damaged)?))
}

async fn pairs_on(
    lent: &Lent,
    read: &Statement,
    keys: &[PairKey],
) -> Result<Vec<(PairKey, Pair)>, EngineFault> {
    let keys: Vec<i64> = keys.iter().map(|key| key.signed()).collect();
    read_pairs(&lent.query(read, &[&keys]).await?)
}

impl Engine {
    /// How these pairs stand, in no order; those that have no history are not in it. Keys must not be
    /// there twice. One statement.
    pub async fn pairs(&self, keys: &[PairKey]) -> Result<Vec<(PairKey, Pair)>, EngineFault> {
        let lent = self.lend().await?;
        let found = pairs_on(&lent, &self.prepare_pairs(&lent).await?, keys).await?;
        lent.give_back();
        Ok(found)
    }

    /// The same, and then the position of a node's outbox ([`Engine::position`]): an engine that has less
    /// than it confirmed has gone back, and these pairs with it. No round trip more.
    pub async fn pairs_for(
        &self,
        keys: &[PairKey],
        node: &str,
        outbox: u64,
    ) -> Result<(Vec<(PairKey, Pair)>, u64), EngineFault> {
        let lent = self.lend().await?;
        // Prepared first, so that both go out together and in this order.
        let read = self.prepare_pairs(&lent).await?;
        lent.prepare_cached(POSITION).await?;
        let both = tokio::try_join!(
            biased;
            pairs_on(&lent, &read, keys),
            position_on(&lent, node, outbox),
        )?;
        lent.give_back();
        Ok(both)
    }

    /// Up to `most` pairs after a key, by key.
    pub async fn pairs_after(
        &self,
        after: Option<PairKey>,
        most: u32,
    ) -> Result<Vec<(PairKey, Pair)>, EngineFault> {
        let lent = self.lend().await?;
        let read = lent.prepare_cached(PAGE).await?;
        // No recipient has number 0: nothing stands at the first key.
        let after = after.unwrap_or(PairKey(0)).signed();
        let rows = lent.query(&read, &[&after, &i64::from(most)]).await?;
        lent.give_back();
        read_pairs(&rows)
    }

    /// What happened with a pair, in the ledger's order.
    pub async fn history(&self, key: PairKey) -> Result<Vec<Kept>, EngineFault> {
        let lent = self.lend().await?;
        let read = lent.prepare_cached(HISTORY).await?;
        let rows = lent.query(&read, &[&key.signed()]).await?;
        lent.give_back();
        let kept = |row: &Row| {
            let damaged = || EngineFault::Malformed(EVENTS_TABLE);
            let sequence = number(row, 0, EVENTS_TABLE)?;
            let octets: &[u8] = row.try_get(1).map_err(|_| damaged())?;
            read_event(&key.event_octets(sequence), octets).ok_or_else(damaged)
        };
        rows.iter().map(kept).collect()
    }

    /// How a pair stood at `time_us`, by what had happened by then. Counts of messages sent are not part
    /// of a history.
    pub async fn pair_at(&self, key: PairKey, time_us: u64) -> Result<Pair, EngineFault> {
        Ok(Pair::at(&self.history(key).await?, time_us))
    }

    /// The entities that have a history with a number, by their number.
    pub async fn entities_of(&self, recipient: Msisdn) -> Result<Vec<EntityId>, EngineFault> {
        let lent = self.lend().await?;
        let count = lent.prepare_cached(ENTITIES).await?;
        let row = lent.query_one(&count, &[]).await?;
        lent.give_back();
        let count = number(&row, 0, "consentry_consent_names")?;
        let all: Vec<PairKey> = (0..u16::try_from(count).unwrap_or(u16::MAX))
            .filter_map(|number| Some(PairKey::new(EntityId::new(number)?, recipient)))
            .collect();
        let mut found = Vec::new();
        for keys in all.chunks(ENTITIES_ASKED) {
            found.extend(self.pairs(keys).await?.iter().map(|(key, _)| key.entity()));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Figures.
    pub async fn counts(&self) -> Result<Counts, EngineFault> {
        let lent = self.lend().await?;
        let read = lent.prepare_cached(FIGURES).await?;
        let row = lent.query_opt(&read, &[]).await?;
        lent.give_back();
        let head = Head::read(&row.ok_or_else(EngineFault::no_tables)?)?;
        let Head { pairs, events, event, change, .. } = head;
        Ok(Counts { pairs, events, event, change })
    }
}
