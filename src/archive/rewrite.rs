//! Sealed segments of a journal rewritten as Parquet files, one a segment, each once.
//!
//! `<journal>/parquet/records-<first record>.parquet` has a row for every record of its segment but
//! links and answers: an answer stands in the row of its message, also when it is a record of the
//! next segment. So a file is written when each of its messages has its answer or can have none.
//! `place.json` beside them says where the next file begins, and which sessions are open and which requests wait there; it is
//! written after the file. Both come into being under another name and are renamed when they are on
//! the disk: who reads `*.parquet` reads whole files.
//!
//! A file whose segment was purged is removed.

use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::join::{Join, Waiting};
use super::parquet::Table;
use super::row::{Numbers, Token};
use super::sessions::Sessions;
use crate::audit::{KeyRing, ReadFault, Reader, segment_firsts};

/// The folder of the files, below the journal's.
pub const FOLDER: &str = "parquet";

fn file_name(first: u64) -> String {
    format!("records-{first:020}.parquet")
}

/// The file in `folder` of the segment that begins with record `first`.
pub fn file(folder: &Path, first: u64) -> PathBuf {
    folder.join(file_name(first))
}
const PLACE: &str = "place.json";
const LOCK: &str = "lock";
/// Records looked at in one step.
const STEP_RECORDS: usize = 1 << 12;

/// Why nothing can be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum RewriteFault {
    /// Another process does it.
    #[error("{} is being written by another process: the running proxy does it by itself", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadFault),
    /// A file cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A file was finished.
    Wrote {
        /// The file.
        path: PathBuf,
        /// Rows in it.
        rows: u64,
    },
    /// There is more to do now.
    More,
    /// There is nothing to do until a segment is sealed or a message answered.
    Rest,
}

/// Where the file of a segment begins, and what is to be known there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Place {
    /// First record of the segment.
    first: u64,
    /// The rule set in force there.
    rule_set: String,
    sessions: Sessions,
    /// The requests that wait for an answer there.
    waiting: Vec<Waiting>,
}

/// The lock of a folder. Given up by name: closing its file alone would leave it to a process that another thread
/// begins in that moment, until that one runs its program.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Rewrites the segments of one journal; holds a lock in its folder.
pub struct Rewriter {
    journal: PathBuf,
    folder: PathBuf,
    token: Option<Arc<Token<'static>>>,
    keys: Arc<KeyRing>,
    _lock: Lock,
    walk: Option<Walk>,
}

impl std::fmt::Debug for Rewriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rewriter").field("journal", &self.journal).finish_non_exhaustive()
    }
}

/// A walk along the journal that goes on from file to file.
struct Walk {
    reader: Reader,
    join: Join,
    /// The segment whose file is written, and those that were entered since.
    places: VecDeque<Place>,
    table: Option<Table<BufWriter<File>>>,
}

impl Rewriter {
    /// Takes the folder below `journal` and removes what was left half done there.
    pub fn open(
        journal: &Path,
        token: Option<Arc<Token<'static>>>,
    ) -> Result<Rewriter, RewriteFault> {
        let folder = journal.join(FOLDER);
        let lock = take(&folder).map_err(|source| write_fault(&folder, source))?;
        let Some(lock) = lock else { return Err(RewriteFault::Busy { path: folder }) };
        let (journal, keys) = (journal.to_owned(), Arc::default());
        Ok(Rewriter { journal, folder, token, keys, _lock: lock, walk: None })
    }

    /// Reads numbers with these keys; where they are gone a row has none.
    pub fn with_keys(self, keys: Arc<KeyRing>) -> Rewriter {
        Rewriter { keys, ..self }
    }

    /// Does a bounded piece of the work.
    pub fn step(&mut self) -> Result<Step, RewriteFault> {
        let written = self.try_step();
        if written.is_err() {
            // What is in memory may be wrong now: the next step begins with the place on the disk.
            self.walk = None;
        }
        written
    }

    fn try_step(&mut self) -> Result<Step, RewriteFault> {
        let Rewriter { journal, folder, walk, keys, .. } = self;
        let fault = |source| write_fault(folder, source);
        let segments = segment_firsts(journal).map_err(fault)?;
        let walk = match walk {
            Some(walk) => walk,
            None => {
                let place = read_place(folder).map_err(fault)?;
                // A journal whose last segment is its only unwritten one is not even opened.
                if segments.iter().filter(|first| **first >= place.first).count() < 2 {
                    return Ok(Step::Rest);
                }
                walk.insert(Walk::begin(journal, place, keys)?)
            }
        };
        let writing = walk.places.front().map_or(0, |place| place.first);
        if segments.last().is_none_or(|last| *last <= writing) {
            return Ok(Step::Rest);
        }
        let mut at_end = false;
        for _ in 0..STEP_RECORDS {
            if !walk.look()? {
                at_end = true;
                break;
            }
        }
        let numbers = Numbers::Masked(self.token.as_deref());
        if let Some((path, rows)) = walk.write(folder, numbers).map_err(fault)? {
            prune(folder, segments.first().copied().unwrap_or(0)).map_err(fault)?;
            return Ok(Step::Wrote { path, rows });
        }
        Ok(if at_end { Step::Rest } else { Step::More })
    }
}

impl Walk {
    fn begin(journal: &Path, place: Place, keys: &Arc<KeyRing>) -> Result<Walk, ReadFault> {
        let reader = Reader::open_at(journal, place.first, &place.rule_set)?;
        let reader = reader.with_keys(keys.clone());
        Ok(Walk {
            reader,
            join: Join::with(place.sessions, &place.waiting),
            places: VecDeque::new(),
            table: None,
        })
    }

    /// Takes one record; `false` where there is none yet.
    fn look(&mut self) -> Result<bool, ReadFault> {
        let Walk { reader, join, places, .. } = self;
        let before = reader.rule_set();
        let Some(entry) = reader.next()? else { return Ok(false) };
        if places.back().is_none_or(|place| place.first < entry.segment_first) {
            places.push_back(Place {
                first: entry.segment_first,
                rule_set: before.to_string(),
                sessions: join.sessions.clone(),
                waiting: join.waiting(),
            });
        }
        join.look(&entry);
        Ok(true)
    }

    /// Writes what is settled of the segment at hand; finishes its file when that is all of it.
    fn write(&mut self, folder: &Path, numbers: Numbers<'_>) -> io::Result<Option<(PathBuf, u64)>> {
        let Some(first) = self.places.front().map(|place| place.first) else { return Ok(None) };
        let next = self.places.get(1);
        let end = next.map_or(u64::MAX, |next| next.first);
        let name = file_name(first);
        let part = folder.join(format!("{name}.part"));
        let table = match &mut self.table {
            Some(table) => table,
            None => {
                let notes = [("consentry.first_record", first.to_string())];
                self.table.insert(Table::begin(BufWriter::new(create(&part)?), &notes)?)
            }
        };
        while let Some(settled) = self.join.give(end) {
            table.push(&settled.row(numbers))?;
        }
        let Some(next) = next else { return Ok(None) };
        if self.join.next_number().is_some_and(|number| number < end) {
            return Ok(None);
        }
        let Some(table) = self.table.take() else { return Ok(None) };
        let (out, rows) = table.finish()?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let path = folder.join(name);
        publish(&file, &part, &path, folder)?;
        write_place(folder, next)?;
        self.places.pop_front();
        Ok(Some((path, rows)))
    }
}

/// Makes the folder and takes its lock; none when another process has it.
fn take(folder: &Path) -> io::Result<Option<Lock>> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let lock = Lock(create(&folder.join(LOCK))?);
    match lock.0.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "part") {
            fs::remove_file(path)?;
        }
    }
    Ok(Some(lock))
}

/// Where to go on; the beginning where nothing says so.
fn read_place(folder: &Path) -> io::Result<Place> {
    match fs::read(folder.join(PLACE)) {
        // A place that cannot be read is none: the files are written again, octet for octet.
        Ok(octets) => Ok(serde_json::from_slice(&octets).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Place::default()),
        Err(error) => Err(error),
    }
}

fn write_place(folder: &Path, place: &Place) -> io::Result<()> {
    let part = folder.join(format!("{PLACE}.part"));
    let file = create(&part)?;
    serde_json::to_writer(BufWriter::new(&file), place)?;
    publish(&file, &part, &folder.join(PLACE), folder)
}

fn create(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// The octets first, then the name.
fn publish(file: &File, part: &Path, path: &Path, folder: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(part, path)?;
    File::open(folder)?.sync_all()
}

/// Removes the files of segments before `first`: they were purged.
fn prune(folder: &Path, first: u64) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name
            .strip_prefix("records-")
            .and_then(|name| name.strip_suffix(".parquet"))
            .and_then(|digits| digits.parse::<u64>().ok());
        if number.is_some_and(|number| number < first) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn write_fault(folder: &Path, source: io::Error) -> RewriteFault {
    RewriteFault::Write { path: folder.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_free_though_a_process_that_was_just_begun_has_its_lock_open() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lock = take(folder.path()).expect("taken").expect("free");
        // What that process has between its beginning and its program: the same open file.
        let begun = lock.0.try_clone().expect("a file");
        assert!(take(folder.path()).expect("looked at").is_none(), "it is taken");
        drop(lock);
        assert!(take(folder.path()).expect("looked at").is_some(), "it is free");
        drop(begun);
    }
}
