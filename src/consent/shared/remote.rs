//! The engine, as one node asks it.

use super::outbox::Parcel;
use super::truth::Truth;
use super::{Batch, Changes, Counts, Engine, EngineFault, NameKind, Origin, Told};
use crate::consent::pair::Pair;
use crate::consent::{Claimed, EventFault, PairKey};

/// Changes of one poll at most.
const CHANGES_MAX: u32 = 8192;

/// The engine, and who asks.
pub(super) struct Remote {
    pub engine: Engine,
    /// This node's name.
    pub node: String,
}

impl Truth for Remote {
    async fn changes(&self, after: (u64, u64), outbox: u64) -> Result<(Changes, u64), EngineFault> {
        self.engine.changes_for(after, CHANGES_MAX, &self.node, outbox).await
    }

    async fn pairs(
        &self,
        keys: &[PairKey],
        outbox: u64,
    ) -> Result<(Vec<(PairKey, Pair)>, u64), EngineFault> {
        self.engine.pairs_for(keys, &self.node, outbox).await
    }

    async fn position(&self, outbox: u64) -> Result<u64, EngineFault> {
        self.engine.position(&self.node, outbox).await
    }

    async fn deliver(&self, parcel: &Parcel) -> Result<Vec<EventFault>, EngineFault> {
        let (outbox, first) = (parcel.mark.outbox, parcel.first);
        let origin = Some(Origin { node: &self.node, outbox, first });
        let batch = Batch { origin, events: &parcel.events, claims: false };
        let applied = self.engine.apply(&batch).await?;
        Ok(applied.outcomes.into_iter().filter_map(Result::err).collect())
    }

    async fn claim(&self, events: &[Told]) -> Result<Vec<Claimed>, EngineFault> {
        let applied = self.engine.apply(&Batch { origin: None, events, claims: true }).await?;
        let claimed = |outcome: Result<_, EventFault>| match outcome {
            Ok(_) => Claimed::Taken,
            Err(_) => Claimed::Refused,
        };
        Ok(applied.outcomes.into_iter().map(claimed).collect())
    }

    async fn names(&self) -> Result<(Vec<String>, Vec<String>), EngineFault> {
        self.engine.names().await
    }

    async fn give(&self, kind: NameKind, name: &str) -> Result<Option<u16>, EngineFault> {
        Ok(self.engine.give(kind, name).await?.ok())
    }

    async fn counts(&self) -> Result<Counts, EngineFault> {
        self.engine.counts().await
    }

    async fn prune(&self) -> Result<bool, EngineFault> {
        self.engine.prune().await
    }
}
