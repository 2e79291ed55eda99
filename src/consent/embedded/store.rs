//! The files of the ledger: a fjall database of five keyspaces.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `pairs` | pair, 8 octets | how it stands, see [`crate::consent::format`] |
//! | `events` | pair and event number, 16 octets | one event of its history |
//! | `names` | `e` or `s` and u16 | name of an entity or a scope, UTF-8 |
//! | `ids` | see [`super::ids`] | ids of events that a stream told |
//! | `meta` | `counts`, or `i` and a digest | see [`Counts`]; how far an import came |
//!
//! Whatever belongs together is written in one batch. Imports write large sorted runs instead, see
//! [`Store::ingest_pairs`].
//!
//! A keyspace keeps the options that it was made with: those of releases before have other blocks and
//! filters, and answer the same.

use std::path::Path;
use std::sync::Arc;

use fjall::compaction::Leveled;
use fjall::config::{
    BlockSizePolicy, BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry, PartitioningPolicy,
    PinningPolicy, RestartIntervalPolicy,
};
use fjall::{Keyspace, KeyspaceCreateOptions, OwnedWriteBatch};

use crate::consent::files::{FileFault, Files, name_key, names};
use crate::consent::format::{read_event, read_pair};
use crate::consent::pair::Pair;
use crate::consent::{Kept, OpenFault, PairKey};

/// Octets of data blocks that the database keeps in memory.
const BLOCK_CACHE_OCTETS: u64 = 32 << 20;
/// Octets of one keyspace's newest entries, kept in memory until they are written as a table.
const MEMTABLE_OCTETS: u64 = 16 << 20;
/// Tables that are not merged before they are. fjall lets a writer wait from 20 runs of them on.
const LOOSE_TABLES_MAX: u8 = 16;
/// Octets of the first level of merged tables are this many for each of the loose ones.
const EVENT_TABLE_OCTETS: u64 = 256 << 20;

/// Bits that a pair takes in memory so that a look-up leaves alone the tables that do not have it: one in
/// fifty it looks into for nothing.
const FILTER_BITS: f32 = 8.0;
/// Octets of a block of pairs, a hundred of them: what a look-up beyond the hot layer reads.
const PAIR_BLOCK_OCTETS: u32 = 4 << 10;
/// Pairs of a block that are looked at one after the other, behind the one that is found by halving.
const PAIR_RESTART: u8 = 8;
/// Octets of a block of events, which are read for a history alone.
const EVENT_BLOCK_OCTETS: u32 = 16 << 10;

/// Figures that are kept with the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// The number that the next event takes; from 1.
    pub next: u64,
    /// Pairs that have a history.
    pub pairs: u64,
    /// Events by kind: granted, revoked, reviewed, asked, sent.
    pub events: [u64; 5],
}

const COUNTS_KEY: &[u8] = b"counts";

impl Counts {
    fn octets(&self) -> Vec<u8> {
        let all = [self.next, self.pairs].into_iter().chain(self.events);
        all.flat_map(u64::to_be_bytes).collect()
    }

    fn read(octets: &[u8]) -> Option<Self> {
        let mut fields = octets.as_chunks::<8>().0.iter().map(|eight| u64::from_be_bytes(*eight));
        let (next, pairs) = (fields.next()?, fields.next()?);
        let mut events = [0; 5];
        for event in &mut events {
            *event = fields.next()?;
        }
        Some(Self { next, pairs, events })
    }
}

/// What is written together.
pub(super) struct Batch {
    inner: OwnedWriteBatch,
}

/// Takes the next entry of a sorted run, key and value: its key must be greater than the one before.
pub(super) type Put<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), FileFault>;

pub(super) struct Store {
    files: Files,
    pairs: Keyspace,
    events: Keyspace,
    names: Keyspace,
    meta: Keyspace,
    ids: Keyspace,
}

/// Filters and indexes stay in memory, so that a look-up reads one block. Those of tables that an import
/// writes do not, in parts that are read in the order of the pairs: it looks for its own pairs in that order.
fn pairs_options() -> KeyspaceCreateOptions {
    let filter = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(FILTER_BITS));
    let in_parts = PartitioningPolicy::new([false, true, false]);
    small_options()
        .filter_policy(FilterPolicy::all(filter))
        .filter_block_pinning_policy(PinningPolicy::all(true))
        .filter_block_partitioning_policy(in_parts.clone())
        .index_block_pinning_policy(PinningPolicy::all(true))
        .index_block_partitioning_policy(in_parts)
        .data_block_size_policy(BlockSizePolicy::all(PAIR_BLOCK_OCTETS))
        .data_block_restart_interval_policy(RestartIntervalPolicy::all(PAIR_RESTART))
        .compaction_strategy(Arc::new(Leveled::default().with_l0_threshold(LOOSE_TABLES_MAX)))
}

/// Written all the time and hardly ever read, by the pair and never by one key: no filter, and merged seldom.
fn events_options() -> KeyspaceCreateOptions {
    let merged = Leveled::default()
        .with_l0_threshold(LOOSE_TABLES_MAX)
        .with_table_target_size(EVENT_TABLE_OCTETS);
    small_options()
        .filter_policy(FilterPolicy::disabled())
        .data_block_size_policy(BlockSizePolicy::all(EVENT_BLOCK_OCTETS))
        .compaction_strategy(Arc::new(merged))
}

fn small_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_OCTETS)
}

/// Writes what `fill` puts as tables of their own, past the journal: all at once, on the disk when it returns.
fn ingest(
    keyspace: &Keyspace,
    fill: impl FnOnce(Put<'_>) -> Result<(), FileFault>,
) -> Result<(), FileFault> {
    let mut ingestion = keyspace.start_ingestion()?;
    fill(&mut |key, octets| Ok(ingestion.write(key, octets)?))?;
    Ok(ingestion.finish()?)
}

impl Store {
    /// Opens or creates the database in `path`, which gets mode 0700 when it is created.
    pub fn open(path: &Path) -> Result<Self, OpenFault> {
        let files = Files::open(path, BLOCK_CACHE_OCTETS)?;
        let small = |name: &str| files.keyspace(name, small_options());
        let (names, meta, ids) = (small("names")?, small("meta")?, small("ids")?);
        let pairs = files.keyspace("pairs", pairs_options())?;
        let events = files.keyspace("events", events_options())?;
        Ok(Self { files, pairs, events, names, meta, ids })
    }

    pub fn counts(&self) -> Result<Counts, FileFault> {
        match self.meta.get(COUNTS_KEY)? {
            Some(octets) => Counts::read(&octets).ok_or(FileFault::Damaged("meta")),
            None => Ok(Counts { next: 1, ..Counts::default() }),
        }
    }

    pub fn pair(&self, key: PairKey) -> Result<Option<Pair>, FileFault> {
        let Some(octets) = self.pairs.get(key.octets())? else { return Ok(None) };
        read_pair(&octets).map(Some).ok_or(FileFault::Damaged("pairs"))
    }

    /// The pairs from `from` on, by key.
    pub fn pairs_from(
        &self,
        from: PairKey,
    ) -> impl Iterator<Item = Result<(PairKey, Pair), FileFault>> + use<> {
        self.pairs.range(from.octets()..).map(|entry| {
            let (key, value) = entry.into_inner()?;
            let key = key.as_ref().try_into().map(u64::from_be_bytes).map(PairKey);
            match (key, read_pair(&value)) {
                (Ok(key), Some(pair)) => Ok((key, pair)),
                _ => Err(FileFault::Damaged("pairs")),
            }
        })
    }

    /// A pair's events in their order.
    pub fn history(&self, key: PairKey) -> Result<Vec<Kept>, FileFault> {
        let mut kept = Vec::new();
        for entry in self.events.prefix(key.octets()) {
            let (key, value) = entry.into_inner()?;
            kept.push(read_event(&key, &value).ok_or(FileFault::Damaged("events"))?);
        }
        Ok(kept)
    }

    /// All names of one kind (`e` or `s`) by their number.
    pub fn names(&self, kind: u8) -> Result<Vec<(u16, String)>, FileFault> {
        names(&self.names, kind)
    }

    /// Gives a name its number; on the disk when it returns.
    pub fn add_name(&self, kind: u8, number: u16, name: &str) -> Result<(), FileFault> {
        let mut batch = self.batch();
        batch.inner.insert(&self.names, name_key(kind, number), name.as_bytes());
        self.commit(batch)
    }

    /// How far an import came, as it was written.
    pub fn progress(&self, key: &[u8; 33]) -> Result<Option<Vec<u8>>, FileFault> {
        Ok(self.meta.get(key)?.map(|octets| octets.to_vec()))
    }

    /// What stands under a key of the remembered ids.
    pub fn id(&self, key: &[u8]) -> Result<Option<Vec<u8>>, FileFault> {
        Ok(self.ids.get(key)?.map(|octets| octets.to_vec()))
    }

    pub fn put_id(&self, batch: &mut Batch, key: &[u8], octets: &[u8]) {
        batch.inner.insert(&self.ids, key, octets);
    }

    pub fn remove_id(&self, batch: &mut Batch, key: &[u8]) {
        batch.inner.remove(&self.ids, key);
    }

    pub fn batch(&self) -> Batch {
        Batch { inner: self.files.batch(true) }
    }

    pub fn put_pair(&self, batch: &mut Batch, key: PairKey, octets: &[u8]) {
        batch.inner.insert(&self.pairs, key.octets(), octets);
    }

    pub fn put_event(&self, batch: &mut Batch, key: PairKey, sequence: u64, octets: &[u8]) {
        batch.inner.insert(&self.events, key.event_octets(sequence), octets);
    }

    pub fn put_counts(&self, batch: &mut Batch, counts: &Counts) {
        batch.inner.insert(&self.meta, COUNTS_KEY, counts.octets());
    }

    pub fn put_progress(&self, batch: &mut Batch, key: &[u8; 33], octets: &[u8]) {
        batch.inner.insert(&self.meta, key, octets);
    }

    /// Writes a batch: all of it or nothing, on the disk when it returns.
    pub fn commit(&self, batch: Batch) -> Result<(), FileFault> {
        Ok(batch.inner.commit()?)
    }

    /// Writes a sorted run of events past the journal.
    pub fn ingest_events(
        &self,
        fill: impl FnOnce(Put<'_>) -> Result<(), FileFault>,
    ) -> Result<(), FileFault> {
        ingest(&self.events, fill)
    }

    /// Writes a sorted run of pairs past the journal.
    pub fn ingest_pairs(
        &self,
        fill: impl FnOnce(Put<'_>) -> Result<(), FileFault>,
    ) -> Result<(), FileFault> {
        ingest(&self.pairs, fill)
    }

    /// Tables of pairs that are not merged.
    pub fn loose_tables(&self) -> usize {
        self.pairs.l0_table_count()
    }

    /// Merges all tables of pairs, so that a look-up looks into one. Blocks for a rewrite of all pairs.
    pub fn merge_pairs(&self) -> Result<(), FileFault> {
        Ok(self.pairs.major_compact()?)
    }

    /// Octets on the disk.
    pub fn octets(&self) -> u64 {
        self.files.octets()
    }
}
