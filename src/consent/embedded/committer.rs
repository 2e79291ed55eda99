//! The ledger's thread: writes everything that waits as one batch, synchronises, settles tickets.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Instant;

use super::pending::Queued;
use super::store::Counts;
use super::{Shared, locked};
use crate::consent::files::FileFault;
use crate::consent::format::{write_event, write_short_pair};
use crate::consent::pair::Pair;
use crate::consent::{PairKey, Unavailable};

/// What is written at once.
struct Group {
    queue: Vec<Queued>,
    pairs: Vec<(PairKey, Pair)>,
    counts: Counts,
    /// Position of its last event.
    through: u64,
}

/// Runs until the ledger is closed, or fails.
pub(super) fn run(shared: &Shared) {
    while let Some(group) = next_group(shared) {
        let begun = Instant::now();
        let written = write(shared, &group);
        if let Some(on_sync) = &shared.on_sync {
            on_sync(begun.elapsed());
        }
        match written {
            Ok(()) => settle(shared, group.through),
            Err(fault) => {
                shared.fail(&mut locked(&shared.pending), &fault);
                return;
            }
        }
    }
    shared.end(&mut locked(&shared.pending), Unavailable::Closed);
}

/// Sleeps until something waits; `None` when there is nothing more to come.
fn next_group(shared: &Shared) -> Option<Group> {
    let mut pending = locked(&shared.pending);
    loop {
        if pending.ended.is_some() {
            return None;
        }
        if !pending.queue.is_empty() {
            let queue = std::mem::take(&mut pending.queue);
            let mut keys: Vec<u64> = queue.iter().map(|queued| queued.key.0).collect();
            keys.sort_unstable();
            keys.dedup();
            let pair = |key: u64| Some((PairKey(key), pending.pairs.get(&key)?.0.clone()));
            let pairs = keys.into_iter().filter_map(pair).collect();
            return Some(Group { queue, pairs, counts: pending.counts, through: pending.accepted });
        }
        if pending.is_closing {
            return None;
        }
        pending = shared.bell.wait(pending).unwrap_or_else(PoisonError::into_inner);
    }
}

fn write(shared: &Shared, group: &Group) -> Result<(), FileFault> {
    let store = &shared.store;
    let mut batch = store.batch();
    let mut octets = Vec::new();
    for queued in &group.queue {
        if let Some(sequence) = queued.sequence {
            write_event(&queued.event, queued.recorded_us, &mut octets);
            store.put_event(&mut batch, queued.key, sequence, &octets);
        }
    }
    for (key, pair) in &group.pairs {
        octets.clear();
        write_short_pair(pair, &mut octets);
        store.put_pair(&mut batch, *key, &octets);
    }
    store.put_counts(&mut batch, &group.counts);
    store.commit(batch)
}

/// Everything up to `through` is on the disk.
fn settle(shared: &Shared, through: u64) {
    let mut pending = locked(&shared.pending);
    pending.pairs.retain(|_, (_, position)| *position > through);
    shared.unstored.store(pending.pairs.len(), Ordering::Release);
    shared.completed.store(through, Ordering::Release);
    let mut woken: Vec<Waker> = Vec::new();
    pending.waiters.retain(|(position, waker)| {
        let is_due = *position <= through;
        if is_due {
            woken.push(waker.clone());
        }
        !is_due
    });
    drop(pending);
    woken.into_iter().for_each(Waker::wake);
}
