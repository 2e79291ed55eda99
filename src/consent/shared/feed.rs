//! The feed: what any node wrote, in the order in which it was written, into this node's cache.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::EngineFault;
use super::disk::Note;
use super::names::NamesFault;
use super::node::Node;
use super::truth::Truth;
use crate::consent::files::FileFault;

/// How long a poll may take; half of the staleness bound when that is less.
const ANSWER: Duration = Duration::from_secs(2);

/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// How often the ledger's figures are asked for.
const COUNT: Duration = Duration::from_secs(1);

/// How often changes that nobody needs any more are forgotten.
const PRUNE: Duration = Duration::from_secs(60);

/// A change of the engine's clock against this node's that is worth a line in the log and on the disk.
const OFFSET_NOTED_US: u64 = 1_000_000;

/// Why a poll failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PollFault {
    #[error(transparent)]
    Engine(#[from] EngineFault),
    #[error(transparent)]
    Names(#[from] NamesFault),
    #[error("the outbox: {0}")]
    Disk(#[from] FileFault),
    #[error("the engine does not answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
}

/// Where the feed stands.
#[derive(Default)]
struct Place {
    number: u64,
    stamp: u64,
}

/// Polls for as long as the node lives.
pub(super) async fn run<T: Truth>(node: Arc<Node>, truth: Arc<T>) {
    let answer = ANSWER.min(node.times.staleness / 2);
    let mut at = Place::default();
    let mut said: Option<String> = None;
    let (mut pruned, mut counted) = (Instant::now(), None);
    loop {
        let began = Instant::now();
        let polled = timeout(answer, poll(&node, &*truth, &mut at, began)).await;
        match polled.map_err(PollFault::from).flatten() {
            Ok(is_all) => {
                let was_up = node.is_up.swap(true, Ordering::AcqRel);
                if said.take().is_some() || !was_up {
                    tracing::info!("the consent engine answers");
                }
                if is_all {
                    sleep_until(began + node.times.poll).await;
                }
            }
            Err(fault) => {
                node.is_up.store(false, Ordering::Release);
                let why = fault.to_string();
                if said.as_ref() != Some(&why) {
                    tracing::error!(why, "the consent engine is not heard");
                    said = Some(why);
                }
                sleep(AGAIN).await;
            }
        }
        if node.is_up.load(Ordering::Acquire)
            && counted.is_none_or(|at: Instant| at.elapsed() >= COUNT)
        {
            counted = Some(Instant::now());
            if let Ok(Ok(counts)) = timeout(answer, truth.counts()).await {
                *super::locked(&node.counts) = Some(counts);
            }
        }
        if pruned.elapsed() >= PRUNE {
            // Where more are old it goes on after the next poll; a fault is another node's business, or
            // the next time's.
            if !matches!(timeout(answer, truth.prune()).await, Ok(Ok(true))) {
                pruned = Instant::now();
            }
        }
    }
}

/// One poll; whether everything that the engine had when it began is known now.
async fn poll<T: Truth>(
    node: &Node,
    truth: &T,
    at: &mut Place,
    began: Instant,
) -> Result<bool, PollFault> {
    let mark = node.outbox.mark();
    let asked_us = (node.wall_us)();
    let (changes, position) = truth.changes((at.number, at.stamp), mark.outbox).await?;
    let answered_us = (node.wall_us)();
    // Names before pairs that mention them, and again when the engine went back: it must still mean the
    // same by the same numbers.
    if let Err(fault) = node.follow(truth, changes.names, changes.back).await {
        if matches!(fault, NamesFault::Others) {
            node.unhear();
        }
        return Err(fault.into());
    }
    // From here on nothing is waited for: a poll takes effect as a whole or not at all. First what this
    // node took and the engine has lost; then what the engine says.
    let still_counts = node.outbox.hear(mark, position)?;
    if !changes.back && !node.outbox.is_current(mark) {
        // It went back unseen: perhaps without the names that it gave last.
        node.names.doubt();
    }
    if !still_counts {
        return Ok(false);
    }
    keep_time(node, changes.engine_now_us, asked_us, answered_us)?;
    if changes.back {
        node.cache.clear();
    }
    let engine_us = node.engine_us(answered_us);
    let is_news = changes.back || !changes.pairs.is_empty();
    for (key, pair) in changes.pairs {
        node.cache.renew(key, pair, engine_us);
    }
    (at.number, at.stamp) = (changes.through, changes.stamp);
    if changes.is_all {
        node.hear(began);
        node.outbox.shown(mark, position);
    }
    if is_news {
        node.change();
    }
    Ok(changes.is_all)
}

/// How far the engine's clock is ahead of this node's.
fn keep_time(
    node: &Node,
    engine_us: u64,
    asked_us: u64,
    answered_us: u64,
) -> Result<(), FileFault> {
    let middle_us = asked_us / 2 + answered_us / 2;
    let offset_us = engine_us.cast_signed().saturating_sub(middle_us.cast_signed());
    let before_us = node.offset_us();
    node.set_offset_us(offset_us);
    if offset_us.abs_diff(before_us) >= OFFSET_NOTED_US {
        let ahead_ms = offset_us / 1000;
        tracing::warn!(ahead_ms, "the consent engine's clock is not this node's; its own counts");
        node.outbox.disk().keep(&[(Note::Offset, offset_us.cast_unsigned())], false)?;
    }
    Ok(())
}
