//! What the journal's folder takes on the disk, against what it may take.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What the journal's folder takes, octets by the lengths of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskUse {
    /// As last counted, and what was written since.
    pub octets: u64,
    /// `Options::disk_octets_max`.
    pub octets_max: Option<u64>,
}

impl DiskUse {
    /// Whether more than `percent` of the budget is taken; never without a budget.
    pub fn is_above(&self, percent: u64) -> bool {
        let percent = u128::from(percent);
        self.octets_max.is_some_and(|max| u128::from(self.octets) * 100 > u128::from(max) * percent)
    }
}

/// The budget and what is known to be taken of it.
pub(super) struct Disk {
    octets_max: Option<u64>,
    /// Octets of the folder when they were counted, less what had been written by then: files that
    /// others put there or removed come in with the next count.
    counted: AtomicI64,
    /// Octets that the writer has written since the journal was opened.
    written: AtomicU64,
}

impl Disk {
    pub fn new(octets_max: Option<u64>) -> Disk {
        Disk { octets_max, counted: AtomicI64::new(0), written: AtomicU64::new(0) }
    }

    pub fn wrote(&self, octets: u64) {
        self.written.fetch_add(octets, Ordering::Relaxed);
    }

    pub fn used(&self) -> DiskUse {
        let written = self.written.load(Ordering::Relaxed);
        let octets = written.saturating_add_signed(self.counted.load(Ordering::Relaxed));
        DiskUse { octets, octets_max: self.octets_max }
    }

    /// The budget, when it is taken by what is on the disk and `pending_octets` on their way there.
    pub fn exhausted(&self, pending_octets: usize) -> Option<u64> {
        let max = self.octets_max?;
        (self.used().octets.saturating_add(pending_octets as u64) >= max).then_some(max)
    }

    /// Counts the folder. What is written meanwhile may count twice until the next time, never not
    /// at all.
    pub fn count(&self, folder: &Path) -> io::Result<()> {
        let written = self.written.load(Ordering::Relaxed);
        let found = octets_below(folder)?;
        self.counted.store(found.cast_signed().wrapping_sub_unsigned(written), Ordering::Relaxed);
        Ok(())
    }
}

/// Octets of all files in a folder and the folders in it; links are not followed.
fn octets_below(folder: &Path) -> io::Result<u64> {
    let mut octets = 0_u64;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            // Purged or renamed since its folder was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => octets = octets.saturating_add(found.len()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_taken_by_what_was_there_what_is_written_and_what_waits() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("parquet")).expect("a folder");
        std::fs::write(folder.path().join("a"), [0; 100]).expect("written");
        std::fs::write(folder.path().join("parquet/b"), [0; 50]).expect("written");
        let disk = Disk::new(Some(200));
        disk.count(folder.path()).expect("counted");
        assert_eq!(
            (disk.used().octets, disk.exhausted(49), disk.exhausted(50)),
            (150, None, Some(200))
        );
        disk.wrote(50);
        std::fs::write(folder.path().join("c"), [0; 50]).expect("written");
        assert_eq!((disk.used().octets, disk.exhausted(0)), (200, Some(200)));
        assert!(disk.used().is_above(99) && !disk.used().is_above(100));
        disk.count(folder.path()).expect("counted");
        assert_eq!(disk.used().octets, 200, "what was written is not counted twice");
        std::fs::remove_file(folder.path().join("a")).expect("purged");
        disk.count(folder.path()).expect("counted");
        assert_eq!((disk.used().octets, disk.exhausted(99)), (100, None));
        assert_eq!(Disk::new(None).exhausted(usize::MAX), None);
    }
}
