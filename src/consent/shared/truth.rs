//! What a node's tasks need of the engine. The simulation has one of its own.

use std::future::Future;

use super::outbox::Parcel;
use super::{Changes, Counts, EngineFault, NameKind, Told};
use crate::consent::pair::Pair;
use crate::consent::{Claimed, EventFault, PairKey};

pub(super) trait Truth: Send + Sync + 'static {
    /// What is new since a change, and up to which position the events of this node's outbox were
    /// applied when that was read, or before.
    fn changes(
        &self,
        after: (u64, u64),
        outbox: u64,
    ) -> impl Future<Output = Result<(Changes, u64), EngineFault>> + Send;

    /// How pairs stand, and the same position: when that was read, or later.
    fn pairs(
        &self,
        keys: &[PairKey],
        outbox: u64,
    ) -> impl Future<Output = Result<(Vec<(PairKey, Pair)>, u64), EngineFault>> + Send;

    /// The position alone.
    fn position(&self, outbox: u64) -> impl Future<Output = Result<u64, EngineFault>> + Send;

    /// Applies a parcel, each event once however often it is delivered; why some changed nothing.
    fn deliver(
        &self,
        parcel: &Parcel,
    ) -> impl Future<Output = Result<Vec<EventFault>, EngineFault>> + Send;

    /// Counts events that are claimed, as far as they are free.
    fn claim(
        &self,
        events: &[Told],
    ) -> impl Future<Output = Result<Vec<Claimed>, EngineFault>> + Send;

    /// All entities and all scopes, by number.
    fn names(&self)
    -> impl Future<Output = Result<(Vec<String>, Vec<String>), EngineFault>> + Send;

    /// The number of a name, given now if it has none; `None` = it gets none.
    fn give(
        &self,
        kind: NameKind,
        name: &str,
    ) -> impl Future<Output = Result<Option<u16>, EngineFault>> + Send;

    /// Figures.
    fn counts(&self) -> impl Future<Output = Result<Counts, EngineFault>> + Send;

    /// Forgets changes that nobody needs any more, a bounded number; whether there may be more.
    fn prune(&self) -> impl Future<Output = Result<bool, EngineFault>> + Send;
}
