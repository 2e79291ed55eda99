//! The files of a node's outbox: a fjall database of three keyspaces. All integers are big-endian.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `events` | position, u64, from 1 | pair, u64; what happened, see [`crate::consent::format`] |
//! | `names` | `e` or `s` and u16 | name of an entity or a scope as the engine gave it, UTF-8 |
//! | `names` | `n` and 0 | the name of the node that made it, UTF-8 |
//! | `meta` | see [`Note`] | u64 |
//!
//! Messages that went on under a promise have no place in a history, so no octets there. Here they are
//! `[255, scope]`, then when they were recorded and sent, us.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::Told;
use crate::consent::format::{read_event, write_event};
use crate::consent::{Event, Happened, OpenFault, PairKey, Scope, Source};

/// Octets of data blocks that the database keeps in memory.
const BLOCK_CACHE_OCTETS: u64 = 4 << 20;
/// Octets of one keyspace's newest entries, kept in memory until they are written as a table.
const MEMTABLE_OCTETS: u64 = 8 << 20;
/// Octets of journals before their entries are forced into tables.
const JOURNALS_OCTETS: u64 = 64 << 20;
/// Threads that flush and compact.
const WORKERS: usize = 1;

/// The first octet of an event that is only counted.
const SENT: u8 = 255;

/// The kind of the node's own name.
pub(super) const NODE: u8 = b'n';

/// A number that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Note {
    /// Which outbox it is, given by chance when it was made.
    Outbox = 1,
    /// The position up to which the engine has its events.
    Delivered = 2,
    /// The position before the first that the engine counts under this number.
    Base = 3,
    /// The engine's clock minus this node's, us, as i64.
    Offset = 4,
}

/// Why the files failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiskFault {
    /// The database failed.
    #[error("the outbox: {0}")]
    Database(#[from] fjall::Error),
    /// A value is not as it was written.
    #[error("the outbox: a record of keyspace {0} is damaged")]
    Damaged(&'static str),
}

/// Where an outbox is kept.
pub(super) enum Disk {
    /// In a folder.
    Folder(Folder),
    /// In memory, for the simulation: what was written outlives its node.
    #[cfg(test)]
    Memory(std::sync::Arc<std::sync::Mutex<super::simulation::Memory>>),
}

pub(super) struct Folder {
    database: Database,
    events: Keyspace,
    names: Keyspace,
    meta: Keyspace,
}

fn number(octets: &[u8], keyspace: &'static str) -> Result<u64, DiskFault> {
    octets.try_into().map(u64::from_be_bytes).map_err(|_| DiskFault::Damaged(keyspace))
}

fn written(told: &Told) -> Vec<u8> {
    let Told { event, recorded_us } = told;
    let mut value = Vec::new();
    match event.happened {
        Happened::Sent { scope } => {
            value.extend([SENT, scope.0, event.source.code()]);
            value.extend(recorded_us.to_be_bytes());
            value.extend(event.time_us.to_be_bytes());
        }
        _ => write_event(event, *recorded_us, &mut value),
    }
    let key = PairKey::new(event.entity, event.recipient);
    [&key.octets(), value.as_slice()].concat()
}

fn read(octets: &[u8]) -> Option<Told> {
    let (key, value) = octets.split_first_chunk()?;
    if let Some((&SENT, rest)) = value.split_first() {
        let ([scope, source], times) = rest.split_first_chunk()?;
        let (recorded, time) = times.split_first_chunk()?;
        let key = PairKey(u64::from_be_bytes(*key));
        let event = Event {
            entity: key.entity(),
            recipient: key.recipient()?,
            time_us: u64::from_be_bytes(time.try_into().ok()?),
            source: Source::from_code(*source)?,
            happened: Happened::Sent { scope: Scope(*scope) },
        };
        return Some(Told { event, recorded_us: u64::from_be_bytes(*recorded) });
    }
    let kept = read_event(&[key.as_slice(), &[0; 8]].concat(), value)?;
    Some(Told { event: kept.event, recorded_us: kept.recorded_us })
}

impl Disk {
    /// Opens or creates the database in `path`, which gets mode 0700 when it is created, and takes its
    /// lock.
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
        let (events, names, meta) = (keyspace("events")?, keyspace("names")?, keyspace("meta")?);
        Ok(Self::Folder(Folder { database, events, names, meta }))
    }

    /// The position of the last event that is kept; 0 = none is.
    pub fn last(&self) -> Result<u64, DiskFault> {
        match self {
            Self::Folder(folder) => match folder.events.last_key_value() {
                Some(entry) => number(&entry.into_inner()?.0, "events"),
                None => Ok(0),
            },
            #[cfg(test)]
            Self::Memory(memory) => Ok(super::locked(memory).last()),
        }
    }

    /// Up to `most` events after `after`, with their positions.
    pub fn after(&self, after: u64, most: usize) -> Result<Vec<(u64, Told)>, DiskFault> {
        match self {
            Self::Folder(folder) => {
                let first = after.saturating_add(1).to_be_bytes();
                let entries = folder.events.range(first..).take(most);
                let told = entries.map(|entry| {
                    let (key, value) = entry.into_inner()?;
                    let told = read(&value).ok_or(DiskFault::Damaged("events"))?;
                    Ok((number(&key, "events")?, told))
                });
                told.collect()
            }
            #[cfg(test)]
            Self::Memory(memory) => Ok(super::locked(memory).after(after, most)),
        }
    }

    /// Writes events: all of them or none, on the disk when it returns.
    pub fn add(&self, events: &[(u64, Told)]) -> Result<(), DiskFault> {
        match self {
            Self::Folder(folder) => {
                let mut batch = folder.batch(true);
                for (position, told) in events {
                    batch.insert(&folder.events, position.to_be_bytes(), written(told));
                }
                Ok(batch.commit()?)
            }
            #[cfg(test)]
            Self::Memory(memory) => {
                super::locked(memory).events.extend(events.iter().copied());
                Ok(())
            }
        }
    }

    /// Removes the events from `first` to `last`, noting that they are delivered. Not synchronised: at
    /// worst they are there again after a crash.
    pub fn remove(&self, first: u64, last: u64) -> Result<(), DiskFault> {
        match self {
            Self::Folder(folder) => {
                let mut batch = folder.batch(false);
                (first..=last).for_each(|at| batch.remove(&folder.events, at.to_be_bytes()));
                let delivered = self.note(Note::Delivered)?.unwrap_or(0).max(last);
                batch.insert(&folder.meta, [Note::Delivered as u8], delivered.to_be_bytes());
                Ok(batch.commit()?)
            }
            #[cfg(test)]
            Self::Memory(memory) => {
                super::locked(memory).events.retain(|at, _| !(first..=last).contains(at));
                let delivered = self.note(Note::Delivered)?.unwrap_or(0).max(last);
                self.keep(&[(Note::Delivered, delivered)], false)
            }
        }
    }

    /// A number that was kept.
    pub fn note(&self, note: Note) -> Result<Option<u64>, DiskFault> {
        match self {
            Self::Folder(folder) => {
                let octets = folder.meta.get([note as u8])?;
                octets.map(|octets| number(&octets, "meta")).transpose()
            }
            #[cfg(test)]
            Self::Memory(memory) => Ok(super::locked(memory).notes.get(&note).copied()),
        }
    }

    /// Keeps numbers, all or none; on the disk when it returns, if that is asked for.
    pub fn keep(&self, notes: &[(Note, u64)], durably: bool) -> Result<(), DiskFault> {
        match self {
            Self::Folder(folder) => {
                let mut batch = folder.batch(durably);
                for (note, value) in notes {
                    batch.insert(&folder.meta, [*note as u8], value.to_be_bytes());
                }
                Ok(batch.commit()?)
            }
            #[cfg(test)]
            Self::Memory(memory) => {
                super::locked(memory).notes.extend(notes.iter().copied());
                Ok(())
            }
        }
    }

    /// All names of one kind by their number.
    pub fn names(&self, kind: u8) -> Result<Vec<(u16, String)>, DiskFault> {
        let mut names = Vec::new();
        match self {
            Self::Folder(folder) => {
                for entry in folder.names.prefix([kind]) {
                    let (key, value) = entry.into_inner()?;
                    let [_, high, low] = *key else { return Err(DiskFault::Damaged("names")) };
                    let name = String::from_utf8(value.to_vec());
                    let name = name.map_err(|_| DiskFault::Damaged("names"))?;
                    names.push((u16::from_be_bytes([high, low]), name));
                }
            }
            #[cfg(test)]
            Self::Memory(_) => {}
        }
        Ok(names)
    }

    /// Keeps names and their numbers; on the disk when it returns.
    pub fn add_names(&self, kind: u8, names: &[(u16, &str)]) -> Result<(), DiskFault> {
        match self {
            Self::Folder(folder) => {
                let mut batch = folder.batch(true);
                for (number, name) in names {
                    let [high, low] = number.to_be_bytes();
                    batch.insert(&folder.names, [kind, high, low], name.as_bytes());
                }
                Ok(batch.commit()?)
            }
            #[cfg(test)]
            Self::Memory(_) => Ok(()),
        }
    }

    /// Octets on the disk.
    pub fn octets(&self) -> u64 {
        match self {
            Self::Folder(folder) => folder.database.disk_space().unwrap_or(0),
            #[cfg(test)]
            Self::Memory(_) => 0,
        }
    }
}

impl Folder {
    fn batch(&self, durably: bool) -> fjall::OwnedWriteBatch {
        let mode = if durably { PersistMode::SyncData } else { PersistMode::Buffer };
        self.database.batch().durability(Some(mode))
    }
}

fn create_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::{Cause, EntityId};
    use crate::registry::Msisdn;

    fn told(happened: Happened) -> Told {
        let recipient = Msisdn::new(8_613_800_138_000).unwrap();
        let (entity, source) = (EntityId(9), Source::Reply);
        Told { event: Event { entity, recipient, time_us: 5, source, happened }, recorded_us: 6 }
    }

    #[test]
    fn what_was_written_is_there_again_and_cut_records_are_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let all = [
            (1, told(Happened::Revoked(Cause::Refused))),
            (2, told(Happened::Sent { scope: Scope(3) })),
            (3, told(Happened::Asked { content: 1 })),
        ];
        let disk = Disk::open(folder.path()).unwrap();
        assert_eq!((disk.last().unwrap(), disk.note(Note::Outbox).unwrap()), (0, None));
        disk.add(&all).unwrap();
        disk.keep(&[(Note::Outbox, 77)], true).unwrap();
        disk.add_names(b'e', &[(0, "a"), (1, "b")]).unwrap();
        assert!(matches!(Disk::open(folder.path()), Err(OpenFault::Locked(_))));
        drop(disk);
        let disk = Disk::open(folder.path()).unwrap();
        assert_eq!(disk.after(0, 9).unwrap(), all);
        assert_eq!(disk.after(1, 1).unwrap(), all[1..2]);
        assert_eq!(disk.note(Note::Outbox).unwrap(), Some(77));
        assert_eq!(disk.names(b'e').unwrap(), [(0, "a".to_owned()), (1, "b".to_owned())]);
        disk.remove(1, 3).unwrap();
        drop(disk);
        let disk = Disk::open(folder.path()).unwrap();
        assert_eq!((disk.last().unwrap(), disk.note(Note::Delivered).unwrap()), (0, Some(3)));
        for (_, told) in all {
            let octets = written(&told);
            assert_eq!(read(&octets), Some(told));
            assert!((0..octets.len()).all(|end| read(&octets[..end]).is_none()));
        }
    }
}
