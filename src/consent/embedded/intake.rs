//! Large numbers of events at once: an import that can be killed at any moment and goes on where it
//! was, nothing lost and nothing twice.
//!
//! A chunk of events is folded in memory and written past the journal, as sorted tables. That is
//! four steps, of which each is durable when it ends:
//!
//! 1. the numbers of its events are taken, and `meta` says that the chunk is on its way;
//! 2. the events are written;
//! 3. the pairs are written;
//! 4. `meta` says that the chunk is done, and how far the import came.
//!
//! Opened after step 1 or 2, the import folds the chunk again and writes the same events under the
//! same numbers. Opened after step 3 it finds the chunk's numbers on its pairs, and does step 4.

use serde::{Deserialize, Serialize};

use super::pending::Pending;
use super::store::Counts;
use super::{Embedded, locked};
use crate::consent::format::{write_event, write_pair};
use crate::consent::hot::SEQUENCE_MAX;
use crate::consent::pair::{Change, Pair};
use crate::consent::{CHUNK_EVENTS_MAX, Event, ImportKey, PairKey, Progress, Refused, Unavailable};

/// Pairs by which it is known whether a chunk was written.
const WITNESSES_MAX: usize = 8;

/// What `meta` holds of an import.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    done: Progress,
    on_its_way: Option<OnItsWay>,
}

/// A chunk between step 1 and step 4.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct OnItsWay {
    /// How far the import is once it is done.
    done: Progress,
    /// The number of its first event; the others follow.
    first: u64,
    count: u64,
    /// What it adds to the counts.
    pairs: u64,
    events: [u64; 5],
    /// Keys of pairs that it changes.
    witnesses: Vec<u64>,
}

/// A chunk after the fold.
#[derive(Default)]
struct Folded {
    /// By key and number: key, number, place in the chunk.
    events: Vec<(PairKey, u64, usize)>,
    /// By key.
    pairs: Vec<(PairKey, Pair)>,
    new_pairs: u64,
    counts: [u64; 5],
    known: u64,
    refused: Vec<Refused>,
}

impl Embedded {
    /// How far an import came, if it ever began. Finishes what a killed one had written but for the
    /// last step. Blocks.
    pub fn import_progress(&self, key: ImportKey) -> Result<Option<Progress>, Unavailable> {
        let shared = self.shared();
        let failed = |fault| Unavailable::failed(&fault);
        let Some(octets) = shared.store.progress(&key.octets()).map_err(failed)? else {
            return Ok(None);
        };
        let kept = read(&octets)?;
        if let Some(chunk) = &kept.on_its_way {
            let mut pending = locked(&shared.pending);
            if self.is_written(chunk, &pending)? {
                self.finish(key, chunk, &mut pending)?;
                return Ok(Some(chunk.done.clone()));
            }
        }
        Ok(Some(kept.done))
    }

    /// Notes how far an import came whose events were appended, not imported. Blocks for one write.
    pub fn note_progress(&self, key: ImportKey, done: &Progress) -> Result<(), Unavailable> {
        let store = &self.shared().store;
        let mut batch = store.batch();
        let kept = Kept { done: done.clone(), on_its_way: None };
        store.put_progress(&mut batch, &key.octets(), &written(&kept));
        store.commit(batch).map_err(|fault| Unavailable::failed(&fault))
    }

    /// Takes a chunk of an import; durable when this returns. `done` says how far the import is with
    /// it, but for the events taken, known and refused here, which are added. `report` is told what
    /// is refused before anything is written. Appends wait meanwhile. Blocks.
    ///
    /// # Errors
    ///
    /// [`Unavailable::Backlog`] for more than [`CHUNK_EVENTS_MAX`] events, and while appended ones
    /// are not on the disk: nothing was taken. After any other the ledger must be opened again.
    pub fn import(
        &self,
        key: ImportKey,
        events: &[Event],
        now_us: u64,
        done: &mut Progress,
        report: &mut dyn FnMut(&[Refused]),
    ) -> Result<(), Unavailable> {
        let shared = self.shared();
        let mut pending = locked(&shared.pending);
        if let Some(why) = &pending.ended {
            return Err(why.clone());
        }
        let last = pending.counts.next.saturating_add(events.len() as u64);
        if !pending.pairs.is_empty() || events.len() > CHUNK_EVENTS_MAX || last > SEQUENCE_MAX {
            return Err(Unavailable::Backlog);
        }
        let chunk = self.take(key, events, now_us, done, report, &mut pending);
        chunk.inspect_err(|why| shared.end(&mut pending, why.clone()))
    }

    fn take(
        &self,
        key: ImportKey,
        events: &[Event],
        now_us: u64,
        done: &mut Progress,
        report: &mut dyn FnMut(&[Refused]),
        pending: &mut Pending,
    ) -> Result<(), Unavailable> {
        let shared = self.shared();
        let store = &shared.store;
        let failed = |fault| Unavailable::failed(&fault);
        let before = store.progress(&key.octets()).map_err(failed)?;
        let before = before.map(|octets| read(&octets)).transpose()?.unwrap_or_default();
        // The same chunk once more: under the same numbers.
        let again = before.on_its_way.filter(|chunk| {
            let same_file = chunk.done.sha256 == done.sha256 && chunk.done.offset == done.offset;
            same_file && chunk.count == events.len() as u64
        });
        let first = again.map_or(pending.counts.next, |chunk| chunk.first);
        let mut folded = self.fold(events, first, now_us, pending)?;
        folded.refused.sort_by_key(|refused| refused.at);
        report(&folded.refused);
        done.taken += folded.events.len() as u64;
        done.known += folded.known;
        done.refused += folded.refused.len() as u64;
        let chunk = OnItsWay {
            done: done.clone(),
            first,
            count: events.len() as u64,
            pairs: folded.new_pairs,
            events: folded.counts,
            witnesses: folded.pairs.iter().take(WITNESSES_MAX).map(|(key, _)| key.0).collect(),
        };
        pending.counts.next = pending.counts.next.max(first + chunk.count);
        let mut batch = store.batch();
        let kept = Kept { done: before.done, on_its_way: Some(chunk.clone()) };
        store.put_progress(&mut batch, &key.octets(), &written(&kept));
        store.put_counts(&mut batch, &pending.counts);
        store.commit(batch).map_err(failed)?;
        let encoded_events = folded.events.iter().map(|(key, sequence, at)| {
            let mut octets = Vec::new();
            if let Some(event) = events.get(*at) {
                write_event(event, now_us, &mut octets);
            }
            (key.event_octets(*sequence), octets)
        });
        let encoded_pairs = folded.pairs.iter().map(|(key, pair)| {
            let mut octets = Vec::new();
            write_pair(pair, &mut octets);
            (key.octets(), octets)
        });
        store.ingest(encoded_events, encoded_pairs).map_err(failed)?;
        folded.pairs.iter().for_each(|(key, pair)| shared.put(*key, pair));
        self.finish(key, &chunk, pending)
    }

    /// Folds a chunk's events into their pairs, pair by pair and each pair's in the chunk's order.
    fn fold(
        &self,
        events: &[Event],
        first: u64,
        now_us: u64,
        pending: &Pending,
    ) -> Result<Folded, Unavailable> {
        let key = |event: &Event| PairKey::new(event.entity, event.recipient);
        let mut order: Vec<(PairKey, usize)> =
            events.iter().enumerate().map(|(at, event)| (key(event), at)).collect();
        order.sort_unstable();
        let mut folded = Folded::default();
        for run in order.chunk_by(|one, next| one.0 == next.0) {
            let Some((key, _)) = run.first() else { continue };
            let found = pending.pair(&self.shared().store, *key);
            let found = found.map_err(|fault| Unavailable::failed(&fault))?;
            let is_new = found.is_none();
            let mut pair = found.unwrap_or_default();
            let before = folded.events.len();
            for (_, at) in run {
                let Some(event) = events.get(*at) else { continue };
                let sequence = first + *at as u64;
                let taken = event.check(now_us).and_then(|()| pair.apply(event, sequence));
                match taken {
                    Ok(Change::None) => folded.known += 1,
                    Ok(Change::History | Change::Count) => {
                        folded.events.push((*key, sequence, *at));
                        if let Some(count) = folded.counts.get_mut(event.happened.kind()) {
                            *count += 1;
                        }
                    }
                    Err(fault) => folded.refused.push(Refused { at: *at, fault }),
                }
            }
            if folded.events.len() > before {
                folded.new_pairs += u64::from(is_new);
                folded.pairs.push((*key, pair));
            }
        }
        Ok(folded)
    }

    /// Whether step 3 of a chunk was done: one of its pairs bears one of its numbers.
    fn is_written(&self, chunk: &OnItsWay, pending: &Pending) -> Result<bool, Unavailable> {
        let numbers = chunk.first..chunk.first + chunk.count;
        for key in &chunk.witnesses {
            let pair = pending.pair(&self.shared().store, PairKey(*key));
            let pair = pair.map_err(|fault| Unavailable::failed(&fault))?;
            if pair.is_some_and(|pair| numbers.contains(&pair.sequence)) {
                return Ok(true);
            }
        }
        // Nothing was to be written.
        Ok(chunk.witnesses.is_empty())
    }

    /// Step 4.
    fn finish(
        &self,
        key: ImportKey,
        chunk: &OnItsWay,
        pending: &mut Pending,
    ) -> Result<(), Unavailable> {
        let store = &self.shared().store;
        let mut counts = Counts { pairs: pending.counts.pairs + chunk.pairs, ..pending.counts };
        counts.events.iter_mut().zip(chunk.events).for_each(|(all, more)| *all += more);
        let mut batch = store.batch();
        let kept = Kept { done: chunk.done.clone(), on_its_way: None };
        store.put_progress(&mut batch, &key.octets(), &written(&kept));
        store.put_counts(&mut batch, &counts);
        store.commit(batch).map_err(|fault| Unavailable::failed(&fault))?;
        pending.counts = counts;
        Ok(())
    }
}

fn read(octets: &[u8]) -> Result<Kept, Unavailable> {
    serde_json::from_slice(octets)
        .map_err(|_| Unavailable::Failed("a record of keyspace meta is damaged".into()))
}

fn written(kept: &Kept) -> Vec<u8> {
    // Numbers and texts: this cannot fail.
    serde_json::to_vec(kept).unwrap_or_default()
}
