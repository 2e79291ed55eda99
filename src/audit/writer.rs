//! The file side of the journal: numbers, sums, links, rotation, rolling back.
//!
//! One thread at a time is here, behind the journal's file mutex.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::format::{
    Chain, GROUP_OCTETS_MAX, HEADER_OCTETS, Header, KIND_RULES, LINK_OCTETS, Link,
    RECORD_HEAD_OCTETS, chain_of_header, record_sum, segment_name, u16_at, u64_at,
};
use super::proof::tree::{self, Frontier};
use super::records::Records;
use super::recover::Last;
use super::sealed::{Sealer, Sealing};

/// Where the journal ends, in every sense that a roll-back has to restore.
#[derive(Clone)]
pub(super) struct Mark {
    /// Octets of the open segment.
    octet: u64,
    /// Number of the next record.
    number: u64,
    chain: Chain,
    /// Digest of rules and registry in force.
    rules: [u8; 32],
    /// Time of the last record.
    pub time_us: u64,
}

/// The open segment.
struct Open {
    file: Arc<File>,
    path: PathBuf,
    /// The mark before its header was written.
    before: Mark,
}

/// Whether a group begins a segment of its own; the first one after a failure does in any case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotation {
    /// If the open one is as long as it may be.
    Due,
    Now,
    Never,
}

pub(super) struct Writer {
    directory: PathBuf,
    /// The directory, open: it carries the lock and is synchronised when a segment is begun.
    lock: File,
    opening: u32,
    segment_octets: u64,
    open: Option<Open>,
    /// Number of the open segment, or of the last one.
    sequence: u64,
    end: Mark,
    /// The end as of the last group that was accepted.
    good: Mark,
    /// Number of the record behind it, for whoever reads behind the writer.
    pub accepted: Arc<AtomicU64>,
    /// Records of the group at hand: not numbered, not covered, so that they can be tried again.
    pub group: Vec<u8>,
    /// As much of the group as one link covers, as it goes into the file.
    chunk: Vec<u8>,
    /// The tree over the records of the chunk.
    frontier: Frontier,
    /// What encrypts, if anything does.
    sealer: Option<Sealer>,
    /// The Keys record of the open segment, until it is written.
    keys: Records,
    /// Segments that were left and are not known to be on the disk.
    retired: Vec<Arc<File>>,
    directory_changed: bool,
    /// Octets written since they were last asked for.
    written: u64,
    /// A segment whose end must be cut off before anything else, as a first try failed.
    cut: Option<(Arc<File>, u64)>,
}

impl Writer {
    /// Goes on after `last`; nothing is written yet.
    pub fn new(
        directory: PathBuf,
        lock: File,
        opening: u32,
        segment_octets: u64,
        rules: [u8; 32],
        sealing: Option<Sealing>,
        last: Option<&Last>,
    ) -> io::Result<Writer> {
        let end = Mark {
            octet: last.map_or(0, |last| last.octets),
            number: last.map_or(1, |last| last.number),
            chain: last.map_or([0; 32], |last| last.chain),
            rules: last.map_or(rules, |last| last.rules),
            time_us: last.map_or(0, |last| last.time_us),
        };
        let mut writer = Writer {
            directory,
            lock,
            opening,
            segment_octets,
            open: None,
            sequence: last.map_or(0, |last| last.sequence),
            good: end.clone(),
            accepted: Arc::default(),
            end,
            group: Vec::new(),
            chunk: Vec::new(),
            frontier: Frontier::default(),
            sealer: sealing.map(Sealer::new),
            keys: Records::new(),
            retired: Vec::new(),
            directory_changed: false,
            written: 0,
            cut: None,
        };
        if let Some(last) = last {
            let file = Arc::new(OpenOptions::new().write(true).open(&last.path)?);
            if last.sealed {
                // Who sealed it may have been killed before the disk had the seal.
                writer.retired.push(file);
            } else {
                let before = writer.end.clone();
                writer.open = Some(Open { file, path: last.path.clone(), before });
                writer.leave_segment()?;
            }
            writer.sync_left()?;
        }
        writer.end.rules = rules;
        writer.good = writer.end.clone();
        Ok(writer)
    }

    /// The time of the last record accepted.
    pub fn last_us(&self) -> u64 {
        self.good.time_us
    }

    /// Digest of the rules in force behind the last record accepted.
    pub fn rules(&self) -> [u8; 32] {
        self.good.rules
    }

    /// Writes `group` behind the end, linked, beginning a new segment first as `rotation` says.
    ///
    /// On an error the caller rolls back.
    pub fn write(&mut self, rotation: Rotation) -> io::Result<()> {
        let due = match rotation {
            Rotation::Due => self.end.octet >= self.segment_octets,
            Rotation::Now => true,
            Rotation::Never => false,
        };
        if due && self.open.is_some() && self.end.octet > HEADER_OCTETS as u64 {
            self.leave_segment()?;
            self.sync_left()?;
        }
        if self.open.is_none() {
            self.begin_segment(u64_at(&self.group, 8))?;
        }
        let group = std::mem::take(&mut self.group);
        let mut chunk = std::mem::take(&mut self.chunk);
        let written = self.write_chunks(&group, &mut chunk);
        (self.group, self.chunk) = (group, chunk);
        written
    }

    fn write_chunks(&mut self, group: &[u8], chunk: &mut Vec<u8>) -> io::Result<()> {
        let mut rest = group;
        while !rest.is_empty() {
            chunk.clear();
            chunk.extend_from_slice(self.keys.octets());
            self.keys.clear();
            let taken = covered_by_one_link(rest, GROUP_OCTETS_MAX - chunk.len());
            let (now, after) = rest.split_at_checked(taken).unwrap_or_default();
            if now.is_empty() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            chunk.extend_from_slice(now);
            if let Some(sealer) = &self.sealer {
                sealer.seal(self.end.number, chunk)?;
            }
            self.write_chunk(chunk)?;
            rest = after;
        }
        Ok(())
    }

    /// Numbers the records of a chunk, links and writes it.
    fn write_chunk(&mut self, chunk: &mut Vec<u8>) -> io::Result<()> {
        let (records, time_us) = self.number(chunk);
        let (first, previous) = (self.end.number, &self.end.chain);
        let root = self.frontier.root();
        let (link, chain) = Link::over(previous, &root, first, records, time_us, false);
        chunk.extend_from_slice(&link);
        self.put(chunk)?;
        self.end.number += u64::from(records) + 1;
        self.end.chain = chain;
        self.end.time_us = time_us;
        Ok(())
    }

    /// Fills in the sums of the records and makes their tree; says how many they are and the time of the last.
    fn number(&mut self, chunk: &mut [u8]) -> (u32, u64) {
        self.frontier.clear();
        let (mut at, mut records, mut time_us) = (0, 0, self.end.time_us);
        while at < chunk.len() {
            let until = at + usize::from(u16_at(chunk, at));
            let Some(record) = chunk.get_mut(at..until) else { break };
            let sum = record_sum(self.end.number + u64::from(records), record);
            record[4..8].copy_from_slice(&sum.to_le_bytes());
            self.frontier.push(tree::leaf(record));
            time_us = u64_at(record, 8);
            if record[2] == KIND_RULES
                && let Some(rules) = record.get(RECORD_HEAD_OCTETS..).and_then(<[u8]>::first_chunk)
            {
                self.end.rules = *rules;
            }
            at = until;
            records += 1;
        }
        (records, time_us)
    }

    fn put(&mut self, octets: &[u8]) -> io::Result<()> {
        let Some(open) = &self.open else { return Err(io::ErrorKind::NotFound.into()) };
        open.file.write_all_at(octets, self.end.octet)?;
        self.end.octet += octets.len() as u64;
        self.written += octets.len() as u64;
        Ok(())
    }

    /// Seals the open segment with a link of its own and leaves it.
    fn leave_segment(&mut self) -> io::Result<()> {
        let (number, time_us) = (self.end.number, self.end.time_us);
        self.frontier.clear();
        let none = self.frontier.root();
        let (link, chain) = Link::over(&self.end.chain, &none, number, 0, time_us, true);
        self.put(&link)?;
        self.end.number += 1;
        self.end.chain = chain;
        self.good = self.end.clone();
        if let Some(open) = self.open.take() {
            self.retired.push(open.file);
        }
        Ok(())
    }

    /// Waits until the disk has the segments that were left, whole. Nothing of the next one is written before:
    /// if the machine lost power and had that one, but not the end of this one, no start would believe either.
    fn sync_left(&mut self) -> io::Result<()> {
        for file in &self.retired {
            file.sync_data()?;
        }
        if self.directory_changed {
            self.lock.sync_all()?;
            self.directory_changed = false;
        }
        self.retired.clear();
        Ok(())
    }

    /// Creates the next segment and writes its header.
    fn begin_segment(&mut self, now_us: u64) -> io::Result<()> {
        let header = Header {
            opening: self.opening,
            sequence: self.sequence + 1,
            first: self.end.number,
            created_us: now_us,
            rules: self.end.rules,
            previous: self.end.chain,
        }
        .encode();
        let path = self.directory.join(segment_name(self.end.number));
        // A segment that was begun and rolled back leaves a file without a record under the very
        // name; one with records is somebody else's and is not touched.
        if std::fs::metadata(&path).is_ok_and(|found| found.len() <= HEADER_OCTETS as u64) {
            std::fs::remove_file(&path)?;
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        self.directory_changed = true;
        if let Some(sealer) = &mut self.sealer {
            // The name was free: sidecars that stand under it are those of a segment that was undone.
            self.keys = sealer.begin(&self.directory, self.end.number, now_us)?;
        }
        self.open = Some(Open { file: Arc::new(file), path, before: self.end.clone() });
        self.sequence += 1;
        self.end.octet = 0;
        self.put(&header)?;
        self.end.chain = chain_of_header(&header);
        Ok(())
    }

    /// The group was accepted: what is written stays.
    pub fn keep(&mut self) {
        self.group.clear();
        self.good = self.end.clone();
        self.accepted.store(self.good.number, Ordering::Release);
    }

    /// Cuts off what was written since the last accepted group and leaves the segment.
    ///
    /// The next group goes to a new segment: a file that failed once is not trusted again.
    pub fn roll_back(&mut self) {
        let Some(open) = self.open.take() else {
            self.end = self.good.clone();
            return;
        };
        if self.good.number > open.before.number {
            if open.file.set_len(self.good.octet).is_err() {
                self.cut = Some((open.file.clone(), self.good.octet));
            }
            self.end = self.good.clone();
            self.retired.push(open.file);
        } else {
            // Nothing in it was accepted: the segment itself is undone, and with it its keys.
            self.keys.clear();
            if std::fs::remove_file(&open.path).is_err() && open.file.set_len(0).is_err() {
                self.cut = Some((open.file, 0));
            }
            self.sequence -= 1;
            self.end = open.before;
            self.good = self.end.clone();
        }
    }

    /// Tries whether writing works again: cuts what is left to cut and begins a new segment.
    pub fn try_again(&mut self, now_us: u64) -> io::Result<()> {
        if let Some((file, octets)) = &self.cut {
            file.set_len(*octets)?;
            self.cut = None;
        }
        // What was accepted and what was cut off before should be so on the disk as well. An answer
        // proves nothing: a file that failed to synchronise once may pretend to succeed now.
        for file in &self.retired {
            let _ = file.sync_all();
        }
        if self.open.is_none() {
            self.begin_segment(now_us)?;
        }
        let synced = self.unsynced_segment().sync();
        if synced.is_ok() {
            self.retired.clear();
        }
        synced
    }

    /// What has to be synchronised for everything written so far to be on the disk.
    pub fn unsynced(&mut self) -> Unsynced {
        let mut unsynced = self.unsynced_segment();
        unsynced.files.append(&mut self.retired);
        unsynced
    }

    /// Number of the record that comes next.
    pub fn next_number(&self) -> u64 {
        self.end.number
    }

    /// Octets written since this was last asked, headers and links with them.
    pub fn take_written(&mut self) -> u64 {
        std::mem::take(&mut self.written)
    }

    /// Lets another process open the journal.
    pub fn unlock(&self) {
        let _ = self.lock.unlock();
    }

    fn unsynced_segment(&mut self) -> Unsynced {
        let files = self.open.iter().map(|open| open.file.clone()).collect();
        let directory = std::mem::take(&mut self.directory_changed);
        Unsynced { files, directory: directory.then(|| self.lock.try_clone()) }
    }
}

/// Octets of the whole records at the beginning that are at most so many, or are one record.
fn covered_by_one_link(records: &[u8], octets_max: usize) -> usize {
    let mut at = 0;
    loop {
        let length = usize::from(u16_at(records, at));
        let until = at + length;
        let full = until > octets_max && at > 0;
        if full || length < RECORD_HEAD_OCTETS || until > records.len() {
            return at;
        }
        at = until;
    }
}

/// Files to synchronise, held apart from the writer so that it can write on meanwhile.
pub(super) struct Unsynced {
    files: Vec<Arc<File>>,
    directory: Option<io::Result<File>>,
}

impl Unsynced {
    pub fn sync(self) -> io::Result<()> {
        for file in &self.files {
            file.sync_data()?;
        }
        match self.directory {
            Some(directory) => directory?.sync_all(),
            None => Ok(()),
        }
    }
}

const _: () = assert!(LINK_OCTETS < GROUP_OCTETS_MAX);

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use super::super::read::Reader;
    use super::super::record::{EndRecord, Record};
    use super::super::segment::list;
    use super::super::verify;
    use super::*;

    fn writer(folder: &Path) -> Writer {
        let lock = File::open(folder).unwrap();
        Writer::new(folder.to_owned(), lock, 1, u64::MAX, [0; 32], None, None).unwrap()
    }

    /// Writes a group of one record and takes it as accepted if that succeeds.
    fn write(writer: &mut Writer, session: u64, rotation: Rotation) -> io::Result<()> {
        put_in(writer, session);
        writer.write(rotation)?;
        writer.keep();
        Ok(())
    }

    fn put_in(writer: &mut Writer, session: u64) {
        let mut records = Records::new();
        let end = EndRecord { session, reason: 0, forwarded: 0, refused: 0, unanswered: 0 };
        records.end(1, &end);
        writer.group.clear();
        writer.group.extend_from_slice(records.octets());
    }

    fn sessions(reader: &mut Reader, until: u64) -> Vec<u64> {
        let mut found = Vec::new();
        let mut next = 0;
        while next < until
            && let Some(entry) = reader.next().unwrap()
        {
            next = entry.number + 1;
            if let Record::End(end) = entry.record() {
                found.push(end.session);
            }
        }
        found
    }

    #[test]
    fn no_segment_is_begun_before_the_disk_has_the_one_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path());
        write(&mut writer, 1, Rotation::Due).unwrap();
        // A disk that refuses: a pipe cannot be synchronised.
        let (_reading, writing) = io::pipe().unwrap();
        writer.retired.push(Arc::new(File::from(OwnedFd::from(writing))));
        write(&mut writer, 2, Rotation::Now).unwrap_err();
        writer.roll_back();
        assert_eq!(list(folder.path()).unwrap().len(), 1, "nothing of the next is there");
        assert_eq!(writer.retired.len(), 2, "it is known what is not on the disk");

        writer.retired.remove(0);
        writer.try_again(1).unwrap();
        write(&mut writer, 3, Rotation::Due).unwrap();
        for session in 4..6 {
            write(&mut writer, session, Rotation::Now).unwrap();
            assert!(writer.retired.is_empty(), "what was left is on the disk already");
        }
        assert_eq!(list(folder.path()).unwrap().len(), 4);
        let mut reader = Reader::open(folder.path()).unwrap();
        assert_eq!(sessions(&mut reader, u64::MAX), [1, 3, 4, 5]);
        verify(folder.path()).unwrap();
    }

    #[test]
    fn who_reads_behind_the_writer_forgets_what_was_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path());
        write(&mut writer, 1, Rotation::Due).unwrap();
        put_in(&mut writer, 2);
        writer.write(Rotation::Due).unwrap();
        // Group 2 is in the file and not accepted: the reader has its octets and stops before it.
        let accepted = writer.accepted.load(Ordering::Acquire);
        let mut reader = Reader::open(folder.path()).unwrap();
        assert_eq!(sessions(&mut reader, accepted), [1]);
        writer.roll_back();
        writer.try_again(1).unwrap();
        write(&mut writer, 3, Rotation::Due).unwrap();
        reader.forget_ahead().unwrap();
        assert_eq!(sessions(&mut reader, writer.accepted.load(Ordering::Acquire)), [3]);
    }
}
