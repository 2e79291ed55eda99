//! Databases in folders: the ledger of one node, and the outbox of a node that shares one, are each a fjall
//! database. How such a folder is opened, what may be wrong with it, and what both have: names by number.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};

use super::OpenFault;

/// Octets of journals before their entries are forced into tables: what opening has to replay.
const JOURNALS_OCTETS: u64 = 64 << 20;

/// Threads that flush and compact. With more than one, fjall 3.1 keeps the first of them spinning
/// for as long as another compacts.
const WORKERS: usize = 1;

/// Why a database failed. What was being written is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileFault {
    /// The database failed.
    #[error("{0}")]
    Database(#[from] fjall::Error),
    /// A value is not as it was written.
    #[error("a record of keyspace {0} is damaged")]
    Damaged(&'static str),
}

/// An open database, whose lock this process has.
pub(super) struct Files {
    database: Database,
    /// Where it is, for errors.
    path: String,
}

impl Files {
    /// Opens or creates the database in `path`, which gets mode 0700 when it is created, and takes its lock.
    /// `cache_octets`: blocks that it keeps in memory.
    pub fn open(path: &Path, cache_octets: u64) -> Result<Self, OpenFault> {
        let shown = path.display().to_string();
        if let Err(error) = create_folder(path).and_then(|()| clear_half_made(path)) {
            return Err(OpenFault::Failed { path: shown, why: error.to_string() });
        }
        let opened = Database::builder(path)
            .cache_size(cache_octets)
            .max_journaling_size(JOURNALS_OCTETS)
            .manual_journal_persist(true)
            .worker_threads(WORKERS)
            .open();
        match opened {
            Ok(database) => Ok(Self { database, path: shown }),
            Err(fjall::Error::Locked) => Err(OpenFault::Locked(shown)),
            Err(error) => Err(OpenFault::Failed { path: shown, why: error.to_string() }),
        }
    }

    /// Opens a keyspace, or creates it with these options; one that is there keeps its own.
    pub fn keyspace(
        &self,
        name: &str,
        options: KeyspaceCreateOptions,
    ) -> Result<Keyspace, OpenFault> {
        let opened = self.database.keyspace(name, || options);
        opened
            .map_err(|error| OpenFault::Failed { path: self.path.clone(), why: error.to_string() })
    }

    /// What is written together; with `durably` it is on the disk when its commit returns.
    pub fn batch(&self, durably: bool) -> OwnedWriteBatch {
        let mode = if durably { PersistMode::SyncData } else { PersistMode::Buffer };
        self.database.batch().durability(Some(mode))
    }

    /// Octets on the disk.
    pub fn octets(&self) -> u64 {
        self.database.disk_space().unwrap_or(0)
    }
}

/// The key of a name in its keyspace: the kind of what it names, and the number.
pub(super) fn name_key(kind: u8, number: u16) -> [u8; 3] {
    let [high, low] = number.to_be_bytes();
    [kind, high, low]
}

/// All names of one kind by their number.
pub(super) fn names(keyspace: &Keyspace, kind: u8) -> Result<Vec<(u16, String)>, FileFault> {
    let mut names = Vec::new();
    for entry in keyspace.prefix([kind]) {
        let (key, value) = entry.into_inner()?;
        let [_, high, low] = *key else { return Err(FileFault::Damaged("names")) };
        let name = String::from_utf8(value.to_vec()).map_err(|_| FileFault::Damaged("names"))?;
        names.push((u16::from_be_bytes([high, low]), name));
    }
    Ok(names)
}

/// Takes away what a process left that was killed while it made the database: fjall 3.1 does not go on with it,
/// and writes the marker of its version last, so nothing was ever kept there.
fn clear_half_made(path: &Path) -> io::Result<()> {
    let marker = path.join("version");
    if fs::metadata(&marker).is_ok_and(|marker| marker.len() > 0) {
        return Ok(());
    }
    let lock = match File::open(path.join("lock")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        lock => lock?,
    };
    // Another process may be making it now.
    if lock.try_lock().is_err() {
        return Ok(());
    }
    for left in [path.join("0.jnl"), marker] {
        match fs::remove_file(left) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    Ok(())
}

fn create_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<(Files, Keyspace), OpenFault> {
        let files = Files::open(path, 1 << 20)?;
        let names = files.keyspace("names", KeyspaceCreateOptions::default())?;
        Ok((files, names))
    }

    #[test]
    fn a_database_whose_making_was_cut_short_is_made_again_and_a_whole_one_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for files in [&["lock"][..], &["lock", "0.jnl"], &["lock", "0.jnl", "version"]] {
            let path = folder.path().join(files.len().to_string());
            fs::create_dir_all(path.join("keyspaces")).unwrap();
            files.iter().for_each(|file| fs::write(path.join(file), "").unwrap());
            let (made, name) = open(&path).unwrap();
            let mut batch = made.batch(true);
            batch.insert(&name, name_key(b'e', 0), "one");
            batch.commit().unwrap();
            assert!(matches!(open(&path), Err(OpenFault::Locked(_))), "{files:?}");
            drop((made, name));
            let (_made, name) = open(&path).unwrap();
            assert_eq!(names(&name, b'e').unwrap(), [(0, "one".to_owned())], "{files:?}");
        }
    }
}
