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

use super::newcomers::Newcomers;
use super::pending::Pending;
use super::store::Counts;
use super::{Embedded, locked};
use crate::consent::files::FileFault;
use crate::consent::format::{read_pair, write_event, write_short_pair};
use crate::consent::hot::SEQUENCE_MAX;
use crate::consent::pair::Change;
use crate::consent::{CHUNK_EVENTS_MAX, Event, ImportKey, PairKey, Progress, Refused, Unavailable};

/// Pairs by which it is known whether a chunk was written.
const WITNESSES_MAX: usize = 8;

/// Tables of chunks that are not merged, from which on an import ends with merging them: a look-up beyond the
/// hot layer reads a block of each one's filter.
const LOOSE_TABLES: usize = 4;

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
    /// By key and number: key, place in the chunk.
    events: Vec<(PairKey, u32)>,
    /// By key: key, and where its octets end in `octets`.
    pairs: Vec<(PairKey, usize)>,
    /// The pairs as the store has them, one behind the other.
    octets: Vec<u8>,
    new_pairs: u64,
    counts: [u64; 5],
    known: u64,
    refused: Vec<Refused>,
}

impl Folded {
    /// The pairs, each with its octets.
    fn pairs(&self) -> impl Iterator<Item = (PairKey, &[u8])> {
        let mut from = 0;
        self.pairs.iter().map(move |(key, end)| {
            let octets = self.octets.get(from..*end).unwrap_or_default();
            from = *end;
            (*key, octets)
        })
    }
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
        // Of an empty store it is known what comes in; the counts leave out what a killed import wrote.
        if pending.newcomers.is_none() && store.pairs_from(PairKey(0)).next().is_none() {
            pending.newcomers = Some(Newcomers::new());
        }
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
        self.write_chunk(&folded, events, first, now_us).map_err(failed)?;
        if let Some(newcomers) = &mut pending.newcomers {
            folded.pairs.iter().for_each(|(key, _)| newcomers.see(*key));
        }
        self.finish(key, &chunk, pending)
    }

    /// Steps 2 and 3; then the pairs are in force.
    fn write_chunk(
        &self,
        folded: &Folded,
        events: &[Event],
        first: u64,
        now_us: u64,
    ) -> Result<(), FileFault> {
        let shared = self.shared();
        shared.store.ingest_events(|put| {
            let mut octets = Vec::new();
            for (key, at) in &folded.events {
                let Some(event) = events.get(*at as usize) else { continue };
                write_event(event, now_us, &mut octets);
                put(&key.event_octets(first + u64::from(*at)), &octets)?;
            }
            Ok(())
        })?;
        shared.store.ingest_pairs(|put| {
            folded.pairs().try_for_each(|(key, octets)| put(&key.octets(), octets))
        })?;
        for (key, octets) in folded.pairs() {
            let pair = read_pair(octets).ok_or(FileFault::Damaged("pairs"))?;
            shared.put(key, &pair);
        }
        Ok(())
    }

    /// Ends an import, however much of the file was taken: merges the tables of its chunks when they are so
    /// many that look-ups would feel it. That rewrites all pairs, some two million a second. Blocks.
    pub fn end_import(&self) -> Result<(), Unavailable> {
        let shared = self.shared();
        // A proxy that runs on need not keep it.
        locked(&shared.pending).newcomers = None;
        let store = &shared.store;
        if store.loose_tables() < LOOSE_TABLES {
            return Ok(());
        }
        store.merge_pairs().map_err(|fault| Unavailable::failed(&fault))
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
        // CHUNK_EVENTS_MAX of them at most.
        let mut order: Vec<(PairKey, u32)> =
            (0..).zip(events).map(|(at, event)| (key(event), at)).collect();
        order.sort_unstable();
        let mut folded = Folded::default();
        for run in order.chunk_by(|one, next| one.0 == next.0) {
            let Some((key, _)) = run.first() else { continue };
            let is_new = pending.newcomers.as_ref().is_some_and(|all| all.is_new(*key));
            let found = match is_new {
                true => Ok(None),
                false => pending.pair(&self.shared().store, *key),
            };
            let found = found.map_err(|fault| Unavailable::failed(&fault))?;
            let is_new = found.is_none();
            let mut pair = found.unwrap_or_default();
            let before = folded.events.len();
            for (_, at) in run {
                let Some(event) = events.get(*at as usize) else { continue };
                let sequence = first + u64::from(*at);
                let taken = event.check(now_us).and_then(|()| pair.apply(event, sequence));
                match taken {
                    Ok(Change::None) => folded.known += 1,
                    Ok(Change::History | Change::Count) => {
                        folded.events.push((*key, *at));
                        if let Some(count) = folded.counts.get_mut(event.happened.kind()) {
                            *count += 1;
                        }
                    }
                    Err(fault) => folded.refused.push(Refused { at: *at as usize, fault }),
                }
            }
            if folded.events.len() > before {
                folded.new_pairs += u64::from(is_new);
                write_short_pair(&pair, &mut folded.octets);
                folded.pairs.push((*key, folded.octets.len()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::Scope;
    use crate::consent::{CACHE_OCTETS_MIN, Cause, EntityId, Happened, Options, Question, Source};
    use crate::policy::{Consent, StandingState};
    use crate::registry::Msisdn;

    fn open(folder: &std::path::Path) -> Embedded {
        let (cache_octets, silent_after_us, on_sync) = (CACHE_OCTETS_MIN, 1, None);
        Embedded::open(folder, Options { cache_octets, warm: false, silent_after_us, on_sync })
            .unwrap()
    }

    fn recipient(number: u64) -> Msisdn {
        Msisdn::new(8_613_800_000_000 + number).unwrap()
    }

    /// Imports chunks that lie within one another, each of its own time.
    fn import(ledger: &Embedded, chunks: u64) {
        for chunk in 0..chunks {
            let event = |number| Event {
                entity: EntityId(0),
                recipient: recipient(number * chunks + chunk / 2),
                time_us: 1_000_000 + chunk,
                source: Source::File,
                happened: Happened::Revoked(Cause::Refused),
            };
            let events: Vec<Event> = (0..100).map(event).collect();
            let mut done = Progress { offset: chunk, ..Progress::default() };
            let key = ImportKey([7; 32]);
            ledger.import(key, &events, 2_000_000, &mut done, &mut |_| {}).unwrap();
        }
    }

    fn standings(ledger: &Embedded, chunks: u64) -> usize {
        let mut out = Vec::new();
        for number in 0..100 * chunks {
            let (entity, recipient) = (EntityId(0), recipient(number));
            let question = Question { entity, recipient, scope: Scope::ALL };
            ledger.standings(&[question], 2_000_000, &mut out);
        }
        let is_revoked = |one: &&Consent| matches!(one, Consent::Known(standing) if standing.state == StandingState::Revoked);
        out.iter().filter(is_revoked).count()
    }

    #[test]
    fn an_import_of_many_chunks_ends_merged_with_every_pair_and_its_history() {
        let folder = tempfile::tempdir().unwrap();
        for chunks in [2, 3 * LOOSE_TABLES as u64] {
            let folder = folder.path().join(chunks.to_string());
            let ledger = open(&folder);
            import(&ledger, chunks);
            let before = ledger.shared().store.loose_tables();
            ledger.end_import().unwrap();
            let merged = if chunks == 2 { before } else { 0 };
            assert_eq!(ledger.shared().store.loose_tables(), merged, "{chunks} chunks");
            drop(ledger);
            let ledger = open(&folder);
            // Two chunks have each pair.
            assert_eq!(standings(&ledger, chunks) as u64, 100 * chunks / 2);
            assert_eq!(ledger.stats().pairs, 100 * chunks / 2);
            let history = ledger.history(EntityId(0), recipient(0)).unwrap();
            let times: Vec<u64> = history.iter().map(|kept| kept.event.time_us).collect();
            assert_eq!(times, [1_000_000, 1_000_001]);
        }
    }
}
