//! How far each node's outbox was taken: by this each of its events is applied once.

use tokio_postgres::Row;

use super::Engine;
use super::fault::EngineFault;
use super::lock::{commit, give_up, lock, number, signed};
use crate::postgres::Lent;

pub(super) const POSITION: &str =
    "SELECT position FROM consentry_consent_nodes WHERE node = $1 AND outbox = $2";

pub(super) const MOVE: &str = "INSERT INTO consentry_consent_nodes (node, outbox, position, seen) \
                               VALUES ($1, $2, $3, clock_timestamp()) \
                               ON CONFLICT (node, outbox) DO UPDATE \
                               SET position = excluded.position, seen = excluded.seen";

/// The position in a row of [`POSITION`].
pub(super) fn position_in(row: &Row) -> Result<u64, EngineFault> {
    number(row, 0, "consentry_consent_nodes")
}

/// The same of a connection that is lent, as it was committed last.
pub(super) async fn position_on(lent: &Lent, node: &str, outbox: u64) -> Result<u64, EngineFault> {
    let asked = lent.prepare_cached(POSITION).await?;
    let row = lent.query_opt(&asked, &[&node, &outbox.cast_signed()]).await?;
    Ok(row.as_ref().map(position_in).transpose()?.unwrap_or(0))
}

impl Engine {
    /// Up to which position the events of a node's outbox are applied; 0 = none is. See
    /// [`super::Origin`]. Definite: asked under the lock, so that what an earlier connection of the node
    /// has left committing is over.
    pub async fn position(&self, node: &str, outbox: u64) -> Result<u64, EngineFault> {
        let lent = self.lend().await?;
        let asked = lent.prepare_cached(POSITION).await?;
        let outbox = outbox.cast_signed();
        let (_, _, row) = lock(&lent, lent.query_opt(&asked, &[&node, &outbox])).await?;
        give_up(&lent).await?;
        let position = row.as_ref().map(position_in).transpose()?.unwrap_or(0);
        lent.give_back();
        Ok(position)
    }

    /// Gives up what a node can no longer deliver: its next event is the one after `position`. Only for
    /// an engine that went back further than the outbox reaches ([`EngineFault::Behind`]): an operator
    /// must hear of it. A position that is not later than the engine's changes nothing.
    pub async fn pass_over(
        &self,
        node: &str,
        outbox: u64,
        position: u64,
    ) -> Result<(), EngineFault> {
        let lent = self.lend().await?;
        let (asked, moved) =
            tokio::try_join!(lent.prepare_cached(POSITION), lent.prepare_cached(MOVE))?;
        let outbox = outbox.cast_signed();
        let (head, _, row) = lock(&lent, lent.query_opt(&asked, &[&node, &outbox])).await?;
        let found = row.as_ref().map(position_in).transpose()?.unwrap_or(0);
        let last = signed(position.max(found));
        commit(&lent, &head, lent.execute(&moved, &[&node, &outbox, &last])).await?;
        lent.give_back();
        Ok(())
    }
}
