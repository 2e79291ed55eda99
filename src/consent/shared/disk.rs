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

use fjall::{Keyspace, KeyspaceCreateOptions};

use super::Told;
use crate::consent::files::{FileFault, Files, name_key, names};
use crate::consent::format::{read_event, write_event};
use crate::consent::{Event, Happened, OpenFault, PairKey, Scope, Source};

/// Octets of data blocks that the database keeps in memory.
const BLOCK_CACHE_OCTETS: u64 = 4 << 20;
/// Octets of one keyspace's newest entries, kept in memory until they are written as a table.
const MEMTABLE_OCTETS: u64 = 8 << 20;

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

/// Where an outbox is kept.
pub(super) enum Disk {
    /// In a folder.
    Folder(Folder),
    /// In memory, for the simulation: what was written outlives its node.
    #[cfg(test)]
    Memory(std::sync::Arc<std::sync::Mutex<super::simulation::Memory>>),
}

pub(super) struct Folder {
    files: Files,
    events: Keyspace,
    names: Keyspace,
    meta: Keyspace,
}

fn number(octets: &[u8], keyspace: &'static str) -> Result<u64, FileFault> {
    octets.try_into().map(u64::from_be_bytes).map_err(|_| FileFault::Damaged(keyspace))
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
        let files = Files::open(path, BLOCK_CACHE_OCTETS)?;
        let keyspace = |name: &str| {
            let options = KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_OCTETS);
            files.keyspace(name, options)
        };
        let (events, names, meta) = (keyspace("events")?, keyspace("names")?, keyspace("meta")?);
        Ok(Self::Folder(Folder { files, events, names, meta }))
    }

    /// The position of the last event that is kept; 0 = none is.
    pub fn last(&self) -> Result<u64, FileFault> {
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
    pub fn after(&self, after: u64, most: usize) -> Result<Vec<(u64, Told)>, FileFault> {
        match self {
            Self::Folder(folder) => {
                let first = after.saturating_add(1).to_be_bytes();
                let entries = folder.events.range(first..).take(most);
                let told = entries.map(|entry| {
                    let (key, value) = entry.into_inner()?;
                    let told = read(&value).ok_or(FileFault::Damaged("events"))?;
                    Ok((number(&key, "events")?, told))
                });
                told.collect()
            }
            #[cfg(test)]
            Self::Memory(memory) => Ok(super::locked(memory).after(after, most)),
        }
    }

    /// Writes events: all of them or none, on the disk when it returns.
    pub fn add(&self, events: &[(u64, Told)]) -> Result<(), FileFault> {
        match self {
            Self::Folder(folder) => {
                let mut batch = folder.files.batch(true);
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
    pub fn remove(&self, first: u64, last: u64) -> Result<(), FileFault> {
        match self {
            Self::Folder(folder) => {
                let mut batch = folder.files.batch(false);
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
    pub fn note(&self, note: Note) -> Result<Option<u64>, FileFault> {
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
    pub fn keep(&self, notes: &[(Note, u64)], durably: bool) -> Result<(), FileFault> {
        match self {
            Self::Folder(folder) => {
                let mut batch = folder.files.batch(durably);
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
    pub fn names(&self, kind: u8) -> Result<Vec<(u16, String)>, FileFault> {
        match self {
            Self::Folder(folder) => names(&folder.names, kind),
            #[cfg(test)]
            Self::Memory(_) => Ok(Vec::new()),
        }
    }

    /// Keeps names and their numbers; on the disk when it returns.
    pub fn add_names(&self, kind: u8, names: &[(u16, &str)]) -> Result<(), FileFault> {
        match self {
            Self::Folder(folder) => {
                let mut batch = folder.files.batch(true);
                for (number, name) in names {
                    batch.insert(&folder.names, name_key(kind, *number), name.as_bytes());
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
            Self::Folder(folder) => folder.files.octets(),
            #[cfg(test)]
            Self::Memory(_) => 0,
        }
    }
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
