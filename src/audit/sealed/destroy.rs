//! Destroying keys: what was written under them can be read by nobody any more, and the chain holds.
//!
//! An order stands as a file in the folder of keys, `destroy-<key>.order`, until it is carried out by
//! who writes the journal: it is recorded first, and on the disk, then the files are overwritten and removed,
//! then the order is. Who is killed in between goes on with it the next time: of each segment the key of its
//! numbers is removed last, so that it tells what is still to be done.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::index::index_name;
use super::super::journal::{Journal, Unavailable};
use super::super::keys::{KeyFault, NumbersKey};
use super::super::read::segment_firsts;
use super::super::record::KeysRecord;
use super::super::records::Records;
use super::sidecar::{Purpose, Sidecar};

const PREFIX: &str = "destroy-";
const SUFFIX: &str = ".order";

/// Which keys are to be destroyed, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Name of the numbers key: what was written under it is meant.
    pub key: String,
    /// Only the keys of content; the numbers stay legible.
    pub content_only: bool,
    /// Why, in the words of who orders it; at most 255 octets are recorded.
    pub reason: String,
}

/// What was destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destroyed {
    /// Segments whose keys were.
    pub segments: u64,
    /// First record of the first of them; 0 where there is none.
    pub first: u64,
    /// Last record of the last of them.
    pub through: u64,
}

/// Why an order is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DestroyFault {
    /// Records are still written under it.
    #[error(
        "the key {key} is in use; `consentry audit keys rotate` makes the next one, then try again"
    )]
    InUse {
        /// Its name.
        key: String,
    },
    /// The journal does not take the record of it.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// A key cannot be looked at.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// A file cannot be read, written or removed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

fn io_fault(path: &Path) -> impl FnOnce(io::Error) -> DestroyFault {
    let path = path.to_owned();
    move |source| DestroyFault::Io { path, source }
}

impl Order {
    /// Where it stands until it is carried out.
    pub fn file(&self, keys: &Path) -> PathBuf {
        keys.join(format!("{PREFIX}{}{SUFFIX}", self.key))
    }

    /// Puts it where who writes the journal finds it.
    pub fn put(&self, keys: &Path) -> Result<(), DestroyFault> {
        let file = self.file(keys);
        let text = serde_json::to_vec(self).map_err(io::Error::other).map_err(io_fault(&file))?;
        let draft = file.with_extension("draft");
        std::fs::write(&draft, text)
            .and_then(|()| std::fs::rename(&draft, &file))
            .map_err(io_fault(&file))
    }

    /// The orders that wait in a folder of keys.
    pub fn waiting(keys: &Path) -> Result<Vec<Order>, DestroyFault> {
        let entries = match std::fs::read_dir(keys) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io_fault(keys)(error)),
        };
        let mut orders = Vec::new();
        for entry in entries {
            let path = entry.map_err(io_fault(keys))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
                let octets = std::fs::read(&path).map_err(io_fault(&path))?;
                let order = serde_json::from_slice(&octets).map_err(io::Error::other);
                orders.push(order.map_err(io_fault(&path))?);
            }
        }
        Ok(orders)
    }

    /// Carries it out on a journal, which writes to `directory`, and takes it away.
    pub fn carry_out(
        &self,
        journal: &Journal,
        directory: &Path,
        keys: &Path,
        now_us: u64,
    ) -> Result<Destroyed, DestroyFault> {
        let segments = written_under(directory, &self.key).map_err(io_fault(directory))?;
        let begun = overwritten(directory).map_err(io_fault(directory))?;
        let all = segment_firsts(directory).map_err(io_fault(directory))?;
        let newest = NumbersKey::list(keys)?.pop();
        let is_open = segments.last().is_some_and(|last| all.last() == Some(last));
        if is_open || newest.as_ref() == Some(&self.key) {
            return Err(DestroyFault::InUse { key: self.key.clone() });
        }
        let last = segments.last().copied().unwrap_or(0);
        let destroyed = Destroyed {
            segments: segments.len() as u64,
            first: segments.first().copied().unwrap_or(0),
            through: all.iter().find(|first| **first > last).map_or(0, |next| next - 1),
        };
        self.record(journal, &destroyed, now_us)?;
        for first in begun {
            destroy_all(directory, first)?;
        }
        for first in segments {
            match self.content_only {
                true => destroy(&directory.join(Purpose::Content.name(first)))?,
                false => destroy_all(directory, first)?,
            }
        }
        if !self.content_only {
            destroy(&NumbersKey::file(keys, &self.key))?;
        }
        for folder in [directory, keys] {
            let synced = std::fs::File::open(folder).and_then(|open| open.sync_all());
            synced.map_err(io_fault(folder))?;
        }
        let file = self.file(keys);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_fault(&file)(error)),
            Ok(()) | Err(_) => Ok(destroyed),
        }
    }

    fn record(
        &self,
        journal: &Journal,
        destroyed: &Destroyed,
        now_us: u64,
    ) -> Result<(), DestroyFault> {
        let mut records = Records::new();
        let what = match self.content_only {
            true => KeysRecord::DESTROYED_CONTENT,
            false => KeysRecord::DESTROYED_ALL,
        };
        let record = KeysRecord {
            what,
            key: &self.key,
            numbers: [0; 32],
            content: [0; 32],
            first: destroyed.first,
            through: destroyed.through,
            reason: &self.reason,
        };
        records.keys(now_us, &record);
        // Whatever the durability: what is gone for ever is not gone before the disk says why.
        Ok(journal.append_synced(&mut records)?)
    }
}

/// First records of the segments whose numbers this key opens, in order.
pub fn written_under(directory: &Path, key: &str) -> io::Result<Vec<u64>> {
    segments(directory, |sidecar| sidecar.is_some_and(|sidecar| sidecar.node_key() == Some(key)))
}

/// First records of the segments whose destruction was begun and broken off, in order.
fn overwritten(directory: &Path) -> io::Result<Vec<u64>> {
    segments(directory, |sidecar| sidecar.is_none())
}

/// First records of the segments with such a sidecar of numbers, in order; none is one that was overwritten.
fn segments(directory: &Path, is: impl Fn(Option<Sidecar>) -> bool) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let Some(first) = name.to_str().and_then(|name| Purpose::Numbers.first(name)) else {
            continue;
        };
        match Sidecar::read(directory, Purpose::Numbers, first) {
            Ok(sidecar) => found.extend(is(sidecar).then_some(first)),
            // One that is damaged opens nothing, whatever becomes of it.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Destroys the keys of a segment, and what was made with them.
fn destroy_all(directory: &Path, first: u64) -> Result<(), DestroyFault> {
    let numbers = directory.join(Purpose::Numbers.name(first));
    destroy(&directory.join(Purpose::Content.name(first)))?;
    overwrite(&numbers)?;
    // It would still tell whether a number that somebody names is there; without the key none is made anew
    // that does.
    destroy(&directory.join(index_name(first)))?;
    // On the disk before the last file goes, which tells whoever comes back what is left to do.
    let synced = std::fs::File::open(directory).and_then(|open| open.sync_all());
    synced.map_err(io_fault(directory))?;
    unless_gone(&numbers, std::fs::remove_file(&numbers))
}

/// Overwrites a file with zeros, on the disk, and removes it; one that is not there is destroyed.
fn destroy(file: &Path) -> Result<(), DestroyFault> {
    overwrite(file)?;
    unless_gone(file, std::fs::remove_file(file))
}

fn overwrite(file: &Path) -> Result<(), DestroyFault> {
    let overwritten = (|| {
        let mut open = OpenOptions::new().write(true).open(file)?;
        let octets = usize::try_from(open.metadata()?.len()).unwrap_or(0);
        open.write_all(&vec![0; octets])?;
        open.sync_all()
    })();
    unless_gone(file, overwritten)
}

fn unless_gone(file: &Path, done: io::Result<()>) -> Result<(), DestroyFault> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_fault(file)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
