//! Kind `file`, format `ndjson`: lines appended to `records-<first record>.ndjson.part`, which loses the
//! `.part` when it is finished. A line is there once, also after a crash: the place says how long the
//! file was, and what is behind that is cut off.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::place::{Growing, create, make};
use super::sink::{Delivered, Seam, SinkFault, object};
use crate::archive::Row;

/// Files of lines in one folder.
pub(super) struct Lines {
    folder: PathBuf,
    head: String,
    octets_max: u64,
    age_max: Duration,
    open: Option<Open>,
    /// Lines that are not delivered.
    lines: String,
    /// Record of the first of them.
    first: u64,
}

struct Open {
    file: File,
    path: PathBuf,
    growing: Growing,
    begun: Instant,
}

impl Lines {
    pub fn new(folder: PathBuf, head: String, octets_max: u64, age_max: Duration) -> Lines {
        Lines { folder, head, octets_max, age_max, open: None, lines: String::new(), first: 0 }
    }

    /// Opens the file again that was being written, cut to what is delivered.
    pub fn resume(&mut self, file: Option<Growing>) -> Result<(), SinkFault> {
        self.clear();
        let Some(growing) = file else { return Ok(()) };
        let path = self.path(growing.first);
        let file = match OpenOptions::new().write(true).open(&path) {
            // It was finished after the place was written.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            file => file.map_err(|error| named(&path, &error))?,
        };
        let octets = file.metadata()?.len().min(growing.octets);
        file.set_len(octets)?;
        let growing = Growing { octets, ..growing };
        self.open = Some(Open { file, path, growing, begun: Instant::now() });
        Ok(())
    }

    pub fn take(&mut self, record: u64, seam: &Seam, row: &Row<'_>) {
        if self.lines.is_empty() {
            self.first = record;
        }
        object(&self.head, seam, row, &mut self.lines);
    }

    pub fn deliver(&mut self) -> Result<Delivered, SinkFault> {
        let done = Delivered { durable: true, ..Delivered::default() };
        if self.lines.is_empty() {
            return Ok(done);
        }
        if self.open.is_none() {
            make(&self.folder).map_err(|error| named(&self.folder, &error))?;
            let path = self.path(self.first);
            let file = create(&path).map_err(|error| named(&path, &error))?;
            File::open(&self.folder)?.sync_all()?;
            let growing = Growing { first: self.first, octets: 0 };
            self.open = Some(Open { file, path, growing, begun: Instant::now() });
        }
        let Some(open) = &mut self.open else { return Ok(done) };
        open.file
            .write_all_at(self.lines.as_bytes(), open.growing.octets)
            .and_then(|()| open.file.sync_data())
            .map_err(|error| named(&open.path, &error))?;
        open.growing.octets += self.lines.len() as u64;
        self.lines.clear();
        Ok(done)
    }

    /// Gives the file its last name when it is long or old enough. The place covers all of it.
    pub fn rotate_if_due(&mut self) -> Result<(), SinkFault> {
        let is_due = self.open.as_ref().is_some_and(|open| {
            open.growing.octets >= self.octets_max
                || (open.growing.octets > 0 && open.begun.elapsed() >= self.age_max)
        });
        let Some(open) = self.open.take_if(|_| is_due) else { return Ok(()) };
        fs::rename(&open.path, open.path.with_extension(""))
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .map_err(|error| named(&open.path, &error))
    }

    pub fn growing(&self) -> Option<Growing> {
        self.open.as_ref().map(|open| open.growing)
    }

    pub fn clear(&mut self) {
        self.lines.clear();
        self.open = None;
    }

    fn path(&self, first: u64) -> PathBuf {
        self.folder.join(format!("records-{first:020}.ndjson.part"))
    }
}

fn named(path: &Path, error: &std::io::Error) -> SinkFault {
    SinkFault::Down(format!("{}: {error}", path.display()))
}
