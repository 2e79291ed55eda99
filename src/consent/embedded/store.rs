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
//! [`Store::ingest`].

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::consent::format::{read_event, read_pair};
use crate::consent::pair::Pair;
use crate::consent::{Kept, OpenFault, PairKey};

/// Octets of data blocks that the database keeps in memory.
const BLOCK_CACHE_OCTETS: u64 = 32 << 20;
/// Octets of one keyspace's newest entries, kept in memory until they are written as a table.
const MEMTABLE_OCTETS: u64 = 16 << 20;
/// Octets of journals before their entries are forced into tables: what opening has to replay.
const JOURNALS_OCTETS: u64 = 64 << 20;

/// Threads that flush and compact. With more than one, fjall 3.1 keeps the first of them spinning
/// for as long as another compacts.
const WORKERS: usize = 1;

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

/// Why the store failed. What was being written is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreFault {
    /// The database failed.
    #[error("{0}")]
    Database(#[from] fjall::Error),
    /// A value is not as it was written.
    #[error("a record of keyspace {0} is damaged")]
    Damaged(&'static str),
}

/// What is written together.
pub(super) struct Batch {
    inner: fjall::OwnedWriteBatch,
}

pub(super) struct Store {
    database: Database,
    pairs: Keyspace,
    events: Keyspace,
    names: Keyspace,
    meta: Keyspace,
    ids: Keyspace,
}

impl Store {
    /// Opens or creates the database in `path`, which gets mode 0700 when it is created.
    pub fn open(path: &Path) -> Result<Self, OpenFault> {
        let shown = || path.display().to_string();
        let failed = |why: String| OpenFault::Failed { path: shown(), why };
        create_folder(path).map_err(|error| failed(error.to_string()))?;
        let opened = Database::builder(path)
            .cache_size(BLOCK_CACHE_OCTETS)
            .max_journaling_size(JOURNALS_OCTETS)
            .manual_journal_persist(true)
            .worker_threads(WORKERS)
            .open();
        let database = match opened {
            Ok(database) => database,
            Err(fjall::Error::Locked) => return Err(OpenFault::Locked(shown())),
            Err(error) => return Err(failed(error.to_string())),
        };
        let keyspace = |name: &str| {
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_OCTETS);
            database.keyspace(name, options).map_err(|error| failed(error.to_string()))
        };
        let (pairs, events) = (keyspace("pairs")?, keyspace("events")?);
        let (names, meta, ids) = (keyspace("names")?, keyspace("meta")?, keyspace("ids")?);
        Ok(Self { pairs, events, names, meta, ids, database })
    }

    pub fn counts(&self) -> Result<Counts, StoreFault> {
        match self.meta.get(COUNTS_KEY)? {
            Some(octets) => Counts::read(&octets).ok_or(StoreFault::Damaged("meta")),
            None => Ok(Counts { next: 1, ..Counts::default() }),
        }
    }

    pub fn pair(&self, key: PairKey) -> Result<Option<Pair>, StoreFault> {
        let Some(octets) = self.pairs.get(key.octets())? else { return Ok(None) };
        read_pair(&octets).map(Some).ok_or(StoreFault::Damaged("pairs"))
    }

    /// The pairs from `from` on, by key.
    pub fn pairs_from(
        &self,
        from: PairKey,
    ) -> impl Iterator<Item = Result<(PairKey, Pair), StoreFault>> + use<> {
        self.pairs.range(from.octets()..).map(|entry| {
            let (key, value) = entry.into_inner()?;
            let key = key.as_ref().try_into().map(u64::from_be_bytes).map(PairKey);
            match (key, read_pair(&value)) {
                (Ok(key), Some(pair)) => Ok((key, pair)),
                _ => Err(StoreFault::Damaged("pairs")),
            }
        })
    }

    /// A pair's events in their order.
    pub fn history(&self, key: PairKey) -> Result<Vec<Kept>, StoreFault> {
        let mut kept = Vec::new();
        for entry in self.events.prefix(key.octets()) {
            let (key, value) = entry.into_inner()?;
            kept.push(read_event(&key, &value).ok_or(StoreFault::Damaged("events"))?);
        }
        Ok(kept)
    }

    /// All names of one kind (`e` or `s`) by their number.
    pub fn names(&self, kind: u8) -> Result<Vec<(u16, String)>, StoreFault> {
        let mut names = Vec::new();
        for entry in self.names.prefix([kind]) {
            let (key, value) = entry.into_inner()?;
            let number = match *key {
                [_, high, low] => u16::from_be_bytes([high, low]),
                _ => return Err(StoreFault::Damaged("names")),
            };
            let name = String::from_utf8(value.to_vec());
            names.push((number, name.map_err(|_| StoreFault::Damaged("names"))?));
        }
        Ok(names)
    }

    /// Gives a name its number; on the disk when it returns.
    pub fn add_name(&self, kind: u8, number: u16, name: &str) -> Result<(), StoreFault> {
        let [high, low] = number.to_be_bytes();
        let mut batch = self.batch();
        batch.inner.insert(&self.names, [kind, high, low], name.as_bytes());
        self.commit(batch)
    }

    /// How far an import came, as it was written.
    pub fn progress(&self, key: &[u8; 33]) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(self.meta.get(key)?.map(|octets| octets.to_vec()))
    }

    /// What stands under a key of the remembered ids.
    pub fn id(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(self.ids.get(key)?.map(|octets| octets.to_vec()))
    }

    pub fn put_id(&self, batch: &mut Batch, key: &[u8], octets: &[u8]) {
        batch.inner.insert(&self.ids, key, octets);
    }

    pub fn remove_id(&self, batch: &mut Batch, key: &[u8]) {
        batch.inner.remove(&self.ids, key);
    }

    pub fn batch(&self) -> Batch {
        Batch { inner: self.database.batch().durability(Some(PersistMode::SyncData)) }
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
    pub fn commit(&self, batch: Batch) -> Result<(), StoreFault> {
        Ok(batch.inner.commit()?)
    }

    /// Writes sorted runs of events and pairs, each as tables of their own, past the journal. Not one
    /// step: the caller makes it repeatable.
    pub fn ingest(
        &self,
        events: impl Iterator<Item = ([u8; 16], Vec<u8>)>,
        pairs: impl Iterator<Item = ([u8; 8], Vec<u8>)>,
    ) -> Result<(), StoreFault> {
        let mut ingestion = self.events.start_ingestion()?;
        for (key, value) in events {
            ingestion.write(key, value)?;
        }
        ingestion.finish()?;
        let mut ingestion = self.pairs.start_ingestion()?;
        for (key, value) in pairs {
            ingestion.write(key, value)?;
        }
        Ok(ingestion.finish()?)
    }

    /// Octets on the disk.
    pub fn octets(&self) -> u64 {
        self.database.disk_space().unwrap_or(0)
    }
}

fn create_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
