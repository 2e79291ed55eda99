//! What a fold changed, on its way into the tables: three statements, however many rows.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Statement};

use super::fold::Folded;
use super::lock::{Head, signed};
use crate::consent::format::write_pair;
use crate::postgres::Lent;

const EVENTS: &str = "INSERT INTO consentry_consent_events (key, number, value) \
                      SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])";

const PAIRS: &str = "INSERT INTO consentry_consent_pairs (key, value) \
                     SELECT * FROM unnest($1::bigint[], $2::bytea[]) \
                     ON CONFLICT (key) DO UPDATE SET value = excluded.value";

const CHANGES: &str = "INSERT INTO consentry_consent_changes (number, key, value, stamp, at) \
                       SELECT new.number, new.key, new.value, $4::bigint, \
                       (extract(epoch from clock_timestamp()) * 1000000)::bigint \
                       FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) \
                       AS new (number, key, value)";

/// The statements, prepared.
pub(super) struct Writes {
    events: Statement,
    pairs: Statement,
    changes: Statement,
}

/// The same as columns.
#[derive(Default)]
struct Rows {
    event_keys: Vec<i64>,
    event_numbers: Vec<i64>,
    event_values: Vec<Vec<u8>>,
    pair_keys: Vec<i64>,
    pair_values: Vec<Vec<u8>>,
    change_numbers: Vec<i64>,
}

impl Writes {
    pub async fn prepare(lent: &Lent) -> Result<Writes, Error> {
        let (events, pairs, changes) = tokio::try_join!(
            lent.prepare_cached(EVENTS),
            lent.prepare_cached(PAIRS),
            lent.prepare_cached(CHANGES)
        )?;
        Ok(Writes { events, pairs, changes })
    }

    /// Sends a fold. `head` is the one after it: its changes are the last ones.
    pub async fn send(&self, lent: &Lent, head: &Head, folded: Folded) -> Result<(), Error> {
        if folded.is_empty() {
            return Ok(());
        }
        let mut rows = Rows::default();
        let first = head.change.saturating_sub(folded.pairs.len() as u64) + 1;
        for (key, number, value) in folded.events {
            rows.event_keys.push(key.signed());
            rows.event_numbers.push(signed(number));
            rows.event_values.push(value);
        }
        for (number, (key, pair)) in (first..).zip(&folded.pairs) {
            let mut value = Vec::new();
            write_pair(pair, &mut value);
            rows.pair_keys.push(key.signed());
            rows.pair_values.push(value);
            rows.change_numbers.push(signed(number));
        }
        let stamp = stamp();
        tokio::try_join!(
            biased;
            async {
                let columns: [&(dyn ToSql + Sync); 3] =
                    [&rows.event_keys, &rows.event_numbers, &rows.event_values];
                lent.execute(&self.events, &columns).await
            },
            async {
                let columns: [&(dyn ToSql + Sync); 2] = [&rows.pair_keys, &rows.pair_values];
                lent.execute(&self.pairs, &columns).await
            },
            async {
                let columns: [&(dyn ToSql + Sync); 4] =
                    [&rows.change_numbers, &rows.pair_keys, &rows.pair_values, &stamp];
                lent.execute(&self.changes, &columns).await
            },
        )?;
        Ok(())
    }
}

/// A number by which the changes of this transaction are told from those of any other under the same
/// numbers, as an engine has them that went back and on again.
pub(super) fn stamp() -> i64 {
    let mut octets = [0; 8];
    // Where the machine gives no random octets, its clock and the address of this are as good as any.
    if aws_lc_rs::rand::fill(&mut octets).is_err() {
        use std::hash::{BuildHasher, RandomState};
        octets = RandomState::new().hash_one(std::time::SystemTime::now()).to_be_bytes();
    }
    i64::from_be_bytes(octets)
}
