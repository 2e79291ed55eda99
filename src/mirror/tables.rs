//! Kind `file`, format `parquet`: `records-<first record>.parquet`, under another name until it is whole.
//!
//! A Parquet file cannot be read before its end is written, so the place moves on a file at a time: after
//! a crash the file at hand is written anew.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::place::{create, make};
use super::sink::{Delivered, SinkFault};
use crate::archive::{Row, Table};

/// Octets that a row takes in such files, about: a row group is only measured when it is written.
const ROW_OCTETS: u64 = 40;

/// Files of rows in one folder.
pub(super) struct Tables {
    folder: PathBuf,
    rows_max: u64,
    age_max: Duration,
    notes: [(&'static str, String); 2],
    open: Option<Open>,
}

struct Open {
    table: Table<BufWriter<File>>,
    path: PathBuf,
    rows: u64,
    begun: Instant,
}

impl Tables {
    pub fn new(
        folder: PathBuf,
        octets: u64,
        age_max: Duration,
        node: &str,
        journal: &str,
    ) -> Tables {
        let notes =
            [("consentry.node", node.to_owned()), ("consentry.journal", journal.to_owned())];
        Tables { folder, rows_max: octets / ROW_OCTETS, age_max, notes, open: None }
    }

    /// Removes what was left half done.
    pub fn resume(&mut self) -> Result<(), SinkFault> {
        self.clear();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.to_str().is_some_and(|path| path.ends_with(".parquet.part")) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    pub fn take(&mut self, record: u64, row: &Row<'_>) -> Result<(), SinkFault> {
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                make(&self.folder).map_err(|error| named(&self.folder, &error))?;
                let path = self.folder.join(format!("records-{record:020}.parquet.part"));
                let file = create(&path).map_err(|error| named(&path, &error))?;
                let table = Table::begin(BufWriter::new(file), &self.notes)?;
                self.open.insert(Open { table, path, rows: 0, begun: Instant::now() })
            }
        };
        open.table.push(row).map_err(|error| named(&open.path, &error))?;
        open.rows += 1;
        Ok(())
    }

    pub fn is_due(&self) -> bool {
        let is_due =
            |open: &Open| open.rows >= self.rows_max || open.begun.elapsed() >= self.age_max;
        self.open.as_ref().is_some_and(is_due)
    }

    /// Finishes the file when it is long or old enough.
    pub fn deliver(&mut self) -> Result<Delivered, SinkFault> {
        let is_due = self.is_due();
        let Some(open) = self.open.take_if(|_| is_due) else { return Ok(Delivered::default()) };
        let path = open.path;
        open.table
            .finish()
            .and_then(|(mut out, _)| {
                out.flush()?;
                out.get_ref().sync_all()?;
                fs::rename(&path, path.with_extension(""))?;
                File::open(&self.folder)?.sync_all()
            })
            .map_err(|error| named(&path, &error))?;
        Ok(Delivered { durable: true, ..Delivered::default() })
    }

    pub fn clear(&mut self) {
        self.open = None;
    }
}

fn named(path: &Path, error: &std::io::Error) -> SinkFault {
    SinkFault::Down(format!("{}: {error}", path.display()))
}
