//! Ids of events that streams told, so that one that is told again is known, whichever node hears it.

use tokio_postgres::Row;

use super::Engine;
use super::fault::EngineFault;
use crate::consent::IdKey;

const TABLE: &str = "consentry_consent_ids";

const KNOWN: &str = "SELECT id FROM consentry_consent_ids WHERE id = ANY($1::bytea[])";

const ADD: &str = "INSERT INTO consentry_consent_ids (id, told) \
                   SELECT unnest($1::bytea[]), clock_timestamp() \
                   ON CONFLICT (id) DO UPDATE SET told = excluded.told";

/// What is older than thirty days goes, a bounded part of it at once.
const FORGET: &str = "DELETE FROM consentry_consent_ids WHERE id IN \
                      (SELECT id FROM consentry_consent_ids \
                       WHERE told < clock_timestamp() - interval '30 days' \
                       ORDER BY told LIMIT 10000)";

impl Engine {
    /// Those of these ids that are remembered, in no order.
    pub async fn ids(&self, asked: &[IdKey]) -> Result<Vec<IdKey>, EngineFault> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let lent = self.lend().await?;
        let known = lent.prepare_cached(KNOWN).await?;
        let ids: Vec<&[u8]> = asked.iter().map(|id| id.0.as_slice()).collect();
        let rows = lent.query(&known, &[&ids]).await?;
        lent.give_back();
        let id = |row: &Row| {
            let octets: &[u8] = row.try_get(0).map_err(|_| EngineFault::Malformed(TABLE))?;
            octets.try_into().map(IdKey).map_err(|_| EngineFault::Malformed(TABLE))
        };
        rows.iter().map(id).collect()
    }

    /// Remembers ids, for thirty days from now.
    pub async fn add_ids(&self, told: &[IdKey]) -> Result<(), EngineFault> {
        let mut told = told.to_vec();
        told.sort_unstable();
        told.dedup();
        let lent = self.lend().await?;
        let (add, forget) = (lent.prepare_cached(ADD).await?, lent.prepare_cached(FORGET).await?);
        let ids: Vec<&[u8]> = told.iter().map(|id| id.0.as_slice()).collect();
        lent.execute(&add, &[&ids]).await?;
        lent.execute(&forget, &[]).await?;
        lent.give_back();
        Ok(())
    }
}
