//! Files in a folder: a new one when one is full, the oldest removed when there are too many.
//!
//! They are named as Wireshark names the files of a set, `consentry_00001_20261126104554.pcapng`: number
//! and time of day in UTC. Numbers go on where those in the folder end. Nothing else in the folder is
//! ever touched. The folder is made for its owner alone (0700), files are too (0600): they hold whole
//! numbers of people.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::pcapng::{self, Figures, Said};

/// Octets that wait for one write: what a full disk costs at most.
const WRITE_OCTETS: usize = 128 << 10;

/// Octets of the block that ends a file, at most.
const END_OCTETS_MAX: usize = 128;

/// How much the ring may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one file.
    pub file_octets: usize,
    /// Files in the folder.
    pub files: usize,
}

/// The ring while it is written.
#[derive(Debug)]
pub struct Ring {
    folder: PathBuf,
    limits: Limits,
    comment: String,
    current: Current,
    /// Octets written to files since the ring was opened.
    written: u64,
}

/// The file that is written.
#[derive(Debug)]
struct Current {
    file: File,
    number: u64,
    name: String,
    /// Octets that the file has.
    octets: usize,
    /// Octets for the file that it does not have yet: whole blocks.
    waiting: Vec<u8>,
    from_us: u64,
    packets: u64,
    dropped: u64,
}

impl Ring {
    /// Opens the first file. `comment` stands in the header of each.
    pub fn open(folder: &Path, limits: Limits, comment: String) -> io::Result<Ring> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let last = numbered(folder)?.last().map_or(0, |(number, _)| *number);
        make_room(folder, limits)?;
        let current = Current::begin(folder, last + 1, &comment)?;
        Ok(Ring { folder: folder.to_owned(), limits, comment, current, written: 0 })
    }

    /// Adds a packet to what waits to be written; begins another file where this one is full.
    pub fn packet(&mut self, octets: &[u8], said: Said<'_>) -> io::Result<()> {
        let before = self.current.waiting.len();
        pcapng::packet(&mut self.current.waiting, octets, said);
        let all = self.current.octets + self.current.waiting.len() + END_OCTETS_MAX;
        if all > self.limits.file_octets && self.current.packets > 0 {
            let block = self.current.waiting.split_off(before.min(self.current.waiting.len()));
            self.next_file(said.time_us)?;
            self.current.waiting.extend_from_slice(&block);
        }
        self.current.packets += 1;
        self.current.dropped += said.dropped;
        if self.current.waiting.len() >= WRITE_OCTETS {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what waits.
    pub fn flush(&mut self) -> io::Result<()> {
        self.written += self.current.flush()?;
        Ok(())
    }

    /// Ends the last file. `dropped` are those lost since its last packet.
    pub fn end(&mut self, time_us: u64, dropped: u64) -> io::Result<()> {
        self.current.dropped += dropped;
        self.current.end(time_us);
        self.flush()
    }

    /// Octets written to files so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The file that is written.
    pub fn file_name(&self) -> &str {
        &self.current.name
    }

    fn next_file(&mut self, time_us: u64) -> io::Result<()> {
        self.end(time_us, 0)?;
        make_room(&self.folder, self.limits)?;
        self.current = Current::begin(&self.folder, self.current.number + 1, &self.comment)?;
        Ok(())
    }
}

impl Current {
    fn begin(folder: &Path, number: u64, comment: &str) -> io::Result<Current> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let from_us = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let name = file_name(number, from_us);
        let path = folder.join(&name);
        // Never through a link, never over a file.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mut waiting = Vec::new();
        pcapng::begin(&mut waiting, concat!("consentry ", env!("CARGO_PKG_VERSION")), comment);
        let mut current =
            Current { file, number, name, octets: 0, waiting, from_us, packets: 0, dropped: 0 };
        current.flush()?;
        Ok(current)
    }

    fn end(&mut self, time_us: u64) {
        let (from_us, dropped) = (self.from_us, self.dropped);
        let packets = self.packets + dropped;
        let to_us = time_us.max(from_us);
        pcapng::end(&mut self.waiting, Figures { from_us, to_us, packets, dropped });
    }

    /// Whole blocks or none: what a full disk took of them is cut off again.
    fn flush(&mut self) -> io::Result<u64> {
        if let Err(error) = self.file.write_all(&self.waiting) {
            // The file stays readable where this works; where it does not, nothing else would.
            let _ = self.file.set_len(self.octets as u64);
            return Err(error);
        }
        let count = self.waiting.len();
        self.octets += count;
        self.waiting.clear();
        Ok(count as u64)
    }
}

/// Removes the oldest files, so that one more may be made.
fn make_room(folder: &Path, limits: Limits) -> io::Result<()> {
    let files = numbered(folder)?;
    let surplus = (files.len() + 1).saturating_sub(limits.files);
    for (_, path) in files.iter().take(surplus) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

fn file_name(number: u64, time_us: u64) -> String {
    let seconds = i64::try_from(time_us / 1_000_000).unwrap_or(0);
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    format!("consentry_{number:05}_{}.pcapng", time.strftime("%Y%m%d%H%M%S"))
}

/// The number in the name of a file of ours.
fn number_of(name: &str) -> Option<u64> {
    let inner = name.strip_prefix("consentry_")?.strip_suffix(".pcapng")?;
    let (number, time) = inner.split_once('_')?;
    let is_digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    let is_ours = number.len() >= 5 && time.len() == 14 && is_digits(number) && is_digits(time);
    if is_ours { number.parse().ok() } else { None }
}

/// Our files in a folder, oldest first.
pub fn numbered(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(number) = name.to_str().and_then(number_of)
            && entry.file_type()?.is_file()
        {
            files.push((number, entry.path()));
        }
    }
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::capture::pcapng::Way;

    const LIMITS: Limits = Limits { file_octets: 1000, files: 3 };

    fn said(time_us: u64) -> Said<'static> {
        Said { time_us, way: Way::In, dropped: 0, comment: "" }
    }

    fn names(folder: &Path) -> Vec<String> {
        let files = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_folder_never_holds_more_than_its_limits() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("a/b");
        let mut ring = Ring::open(&inside, LIMITS, "c".to_owned()).unwrap();
        for other in
            ["mine.pcapng", "consentry_00000_x.pcapng", "consentry_1_20260101000000.pcapng"]
        {
            std::fs::write(inside.join(other), "").unwrap();
        }
        for packet in 0..60 {
            ring.packet(&[7; 100], said(packet)).unwrap();
            ring.flush().unwrap();
            for (_, path) in numbered(&inside).unwrap() {
                assert!(std::fs::metadata(&path).unwrap().len() <= 1000, "{}", path.display());
            }
            assert!(numbered(&inside).unwrap().len() <= 3);
        }
        ring.end(60, 0).unwrap();
        let ours = numbered(&inside).unwrap();
        assert_eq!((ours.len(), names(&inside).len()), (3, 6), "what is not ours is let alone");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&inside), mode(&ours[0].1)), (0o700, 0o600));
        // The next run goes on with the numbers and removes the oldest of the last.
        let ring = Ring::open(&inside, LIMITS, String::new()).unwrap();
        let later: Vec<_> = numbered(&inside).unwrap().iter().map(|(number, _)| *number).collect();
        assert_eq!(later, [ours[1].0, ours[2].0, ours[2].0 + 1]);
        assert!(names(&inside).iter().any(|name| name == ring.file_name()));
    }

    #[test]
    fn a_packet_longer_than_a_file_has_one_for_itself() {
        let folder = tempfile::tempdir().unwrap();
        let mut ring = Ring::open(folder.path(), LIMITS, String::new()).unwrap();
        for packet in 0..3 {
            ring.packet(&[7; 2000], said(packet)).unwrap();
        }
        ring.end(3, 0).unwrap();
        assert_eq!(numbered(folder.path()).unwrap().len(), 3);
        assert!(ring.written() > 6000);
    }
}
