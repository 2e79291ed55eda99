//! Where a mirror is: `<journal>/mirrors/<name>.json`, replaced as a whole each time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::archive::Sessions;

/// The folder of places and rejected rows, below the journal's.
pub const FOLDER: &str = "mirrors";

/// Where a mirror is, and what it has to know to go on from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Number of the next record to be delivered.
    pub record: u64,
    /// The word that, with the number, is the key of a row.
    pub journal: String,
    /// The rule set in force there.
    pub rule_set: String,
    /// Kind `file`: the file that was being written, and how much of it is delivered.
    #[serde(default)]
    pub file: Option<Growing>,
    /// Number of the last record before it that was no link; 0 at the beginning, none where nobody knows.
    #[serde(default)]
    pub last: Option<u64>,
    /// The sessions open there.
    pub sessions: Sessions,
}

/// A file that rows are appended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Growing {
    /// First record in it, also in its name.
    pub first: u64,
    /// Octets of it that are delivered: what is behind them is cut off.
    pub octets: u64,
}

impl Place {
    /// The beginning of the journal, for a mirror that is new.
    fn new() -> io::Result<Place> {
        Ok(Place {
            record: 1,
            journal: word()?,
            rule_set: String::new(),
            file: None,
            last: Some(0),
            sessions: Sessions::default(),
        })
    }

    /// Where the mirror of this name is; that of a new one is written down before it is used.
    pub fn read(folder: &Path, name: &str) -> io::Result<Place> {
        match fs::read(file(folder, name)) {
            Ok(octets) => serde_json::from_slice(&octets).map_err(|error| {
                let path = file(folder, name);
                let says = format!(
                    "{} cannot be read: {error}; remove it to mirror everything once more",
                    path.display()
                );
                io::Error::new(io::ErrorKind::InvalidData, says)
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let place = Place::new()?;
                place.write(folder, name)?;
                Ok(place)
            }
            Err(error) => Err(error),
        }
    }

    /// Replaces what is on the disk, synchronised.
    pub fn write(&self, folder: &Path, name: &str) -> io::Result<()> {
        let part = folder.join(format!("{name}.json.part"));
        let mut out = create(&part)?;
        out.write_all(&serde_json::to_vec(self)?)?;
        out.sync_data()?;
        fs::rename(&part, file(folder, name))?;
        File::open(folder)?.sync_all()
    }

    /// Goes on with other numbers: those behind `record` were given once and will be given again.
    pub fn begin_anew(&mut self, record: u64) -> io::Result<()> {
        self.record = record;
        self.journal = word()?;
        self.last = None;
        self.sessions = Sessions::default();
        Ok(())
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

/// A file for its owner alone, empty.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Makes a folder for its owner alone, if it is not there.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Sixteen hexadecimal digits by chance.
fn word() -> io::Result<String> {
    let mut octets = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut octets)?;
    Ok(format!("{:016x}", u64::from_le_bytes(octets)))
}

/// The lowest record that one of these mirrors has not delivered, in the journal in `journal`; none
/// without mirrors. Segments from that record on are needed still. One that has never run needs all.
pub fn needed_from<'a>(
    journal: &Path,
    names: impl IntoIterator<Item = &'a str>,
) -> io::Result<Option<u64>> {
    let mut lowest = None;
    for name in names {
        let place = match fs::read(file(&journal.join(FOLDER), name)) {
            Ok(octets) => serde_json::from_slice::<Place>(&octets)?.record,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 1,
            Err(error) => return Err(error),
        };
        lowest = Some(lowest.map_or(place, |lowest: u64| lowest.min(place)));
    }
    Ok(lowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_place_is_what_a_purge_has_to_leave() {
        let journal = tempfile::tempdir().expect("a folder");
        let folder = journal.path().join(FOLDER);
        make(&folder).expect("made");
        let needed =
            |names: &[&str]| needed_from(journal.path(), names.iter().copied()).expect("readable");
        assert_eq!((needed(&[]), needed(&["a"])), (None, Some(1)));
        for (name, record) in [("a", 700), ("b", 30)] {
            let mut place = Place::read(&folder, name).expect("a new one");
            assert_eq!(Place::read(&folder, name).expect("the same"), place, "the word is kept");
            place.record = record;
            place.write(&folder, name).expect("written");
        }
        assert_eq!((needed(&["a"]), needed(&["a", "b"])), (Some(700), Some(30)));
        assert_eq!(needed(&["a", "new"]), Some(1));
        fs::write(folder.join("a.json"), b"{").expect("written");
        assert!(needed_from(journal.path(), ["a"]).is_err(), "unknown is not nothing");
        let fault = Place::read(&folder, "a").expect_err("broken").to_string();
        assert!(fault.contains("a.json") && fault.contains("remove it"), "{fault}");
    }
}
