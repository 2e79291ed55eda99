//! Batches of events: what an outbox delivers, what claims, what the API and commands tell.

use std::time::Duration;

use super::Engine;
use super::fault::EngineFault;
use super::fold::{fold, keys};
use super::lock::{commit, give_up, lock, signed};
use super::nodes::{MOVE, POSITION, position_in};
use super::pairs::read_pairs;
use super::write::Writes;
use crate::consent::hot::SEQUENCE_MAX;
use crate::consent::{Event, EventFault, PairKey};

/// How often a batch is tried when the engine undoes it for the sake of others.
pub(super) const TRIES_MAX: u32 = 4;

/// An event on its way to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// What happened.
    pub event: Event,
    /// When the node took it, by the engine's clock as the node knows it: microseconds since the Unix
    /// epoch. What is more than [`crate::consent::AHEAD_US`] later than this is in the future.
    pub recorded_us: u64,
}

impl Told {
    pub(super) fn key(&self) -> PairKey {
        PairKey::new(self.event.entity, self.event.recipient)
    }
}

/// Which outbox a batch is from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The node's name.
    pub node: &'a str,
    /// Which outbox of that node: a number given by chance when the outbox was made. A new outbox under
    /// an old name begins at 1 again, and must not be taken for what the old one delivered.
    pub outbox: u64,
    /// The position of the batch's first event, from 1; the others follow one by one.
    pub first: u64,
}

/// Events to be taken in one transaction.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// For an outbox: each event is applied once, however often it is delivered. Without it, whoever
    /// asks again after [`EngineFault::Unknown`] may be taken twice.
    pub origin: Option<Origin<'a>>,
    /// The events, in their order.
    pub events: &'a [Told],
    /// Whether an `Asked` is refused ([`EventFault::AskedAgain`]) where the recipient was asked or has
    /// refused, and a `Sent` ([`EventFault::UsedUp`]) where what was promised is used up. Decided under
    /// the lock: of two nodes that claim the last message, one has it.
    pub claims: bool,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has this number in the history.
    Taken(u64),
    /// It was counted; it has no place in the history.
    Counted,
    /// A file stated what was known already.
    Known,
    /// It was applied when it was delivered before.
    Earlier,
}

/// What became of a batch. It is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// One an event, in their order.
    pub outcomes: Vec<Result<Outcome, EventFault>>,
    /// The number of its last change: who has read the changes up to it has seen what the batch did.
    pub change: u64,
    /// How long it kept other writers waiting, at most.
    pub locked: Duration,
}

/// What is left of a delivery that was perhaps applied in part.
fn left<'a>(
    batch: &Batch<'a>,
    applied: Option<u64>,
) -> Result<(&'a [Told], Option<u64>), EngineFault> {
    let Some(Origin { first, .. }) = batch.origin else { return Ok((batch.events, None)) };
    let position = applied.unwrap_or(0);
    if first > position.saturating_add(1) {
        return Err(EngineFault::Behind { position });
    }
    let earlier = usize::try_from(position.saturating_add(1) - first).unwrap_or(usize::MAX);
    let events = batch.events.get(earlier..).unwrap_or_default();
    let last = first.saturating_add(batch.events.len() as u64).saturating_sub(1);
    Ok((events, Some(last.max(position))))
}

impl Engine {
    /// Applies a batch in one transaction: all of it or nothing. Two round trips.
    ///
    /// # Errors
    ///
    /// [`EngineFault::Unknown`]: ask [`Engine::position`]. [`EngineFault::Behind`]: nothing was taken.
    pub async fn apply(&self, batch: &Batch<'_>) -> Result<Applied, EngineFault> {
        let mut tries = 1;
        loop {
            match self.try_apply(batch).await {
                Err(EngineFault::Busy) if tries < TRIES_MAX => tries += 1,
                done => return done,
            }
        }
    }

    async fn try_apply(&self, batch: &Batch<'_>) -> Result<Applied, EngineFault> {
        let lent = self.lend().await?;
        let read = self.prepare_pairs(&lent).await?;
        let (asked, moved, writes) = tokio::try_join!(
            lent.prepare_cached(POSITION),
            lent.prepare_cached(MOVE),
            Writes::prepare(&lent),
        )?;
        let wanted: Vec<i64> = keys(batch.events.iter()).iter().map(|key| key.signed()).collect();
        let node = batch.origin.map(|origin| (origin.node, origin.outbox.cast_signed()));
        let reads = async {
            tokio::try_join!(biased; async { lent.query(&read, &[&wanted]).await }, async {
                match &node {
                    Some((node, outbox)) => lent.query_opt(&asked, &[node, outbox]).await,
                    None => Ok(None),
                }
            })
        };
        let (mut head, since, (pairs, position)) = lock(&lent, reads).await?;
        let (told, last) = left(batch, position.as_ref().map(position_in).transpose()?)?;
        if head.event.saturating_add(told.len() as u64) > SEQUENCE_MAX {
            return Err(EngineFault::Full);
        }
        let mut folded = fold(&mut head, read_pairs(&pairs)?, told, batch.claims);
        let mut outcomes = vec![Ok(Outcome::Earlier); batch.events.len() - told.len()];
        outcomes.append(&mut folded.outcomes);
        if told.is_empty() || (folded.is_empty() && node.is_none()) {
            give_up(&lent).await?;
        } else {
            let writes = async {
                tokio::try_join!(biased; writes.send(&lent, &head, folded), async {
                    match (&node, last.map(signed)) {
                        (Some((node, outbox)), Some(last)) => {
                            lent.execute(&moved, &[node, outbox, &last]).await
                        }
                        _ => Ok(0),
                    }
                })
            };
            commit(&lent, &head, writes).await?;
        }
        let locked = since.elapsed();
        lent.give_back();
        Ok(Applied { outcomes, change: head.change, locked })
    }
}
