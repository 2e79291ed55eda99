//! All records of a directory in order, in bounded memory, also while a proxy writes it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::events::RegistryRecord;
use super::format::{Chain, Header, LINK_OCTETS, RECORD_HEAD_OCTETS, segment_name, u16_at, u64_at};
use super::kind::Kind;
use super::record::{Record, RulesRecord, StartRecord};
use super::retention::{Purged, PurgedFile, kept_proof};
use super::sealed::{Gone, KeyRing, Unsealer};
use super::segment::{Failed, Fault, Next, Segment, SegmentFile, Tail, list};

/// Why a journal could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadFault {
    /// It is not what was written.
    #[error("{0}")]
    Broken(Fault),
    /// The directory holds no segment.
    #[error("{} holds no journal: is audit.path right?", path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{} cannot be read: {source}", path.display())]
    Io {
        /// The directory, or the file in it.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// How a journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With a stop record: it was closed in good order.
    Stopped,
    /// With a link: it is being written, or its writer was killed.
    Open,
    /// With records that no link covers: its writer was killed, or is just writing them.
    Torn {
        /// Octets of them.
        octets: u64,
    },
    /// With a seal: the segment after it was removed, or the writer was killed just between the
    /// two, which opening the journal once settles.
    NextMissing,
}

/// A group as the walk finds it: records and their link, checked.
pub(super) struct Walked<'a> {
    pub segment: &'a str,
    pub path: &'a Path,
    /// Sequence number of the segment.
    pub sequence: u64,
    /// Octet of the file where the first record begins.
    pub octet: u64,
    /// Number of the first record.
    pub first: u64,
    pub records: &'a [u8],
    pub link: &'a [u8],
}

/// Walks the groups of all segments and checks how the segments follow each other.
pub(super) struct Walk {
    directory: PathBuf,
    files: Vec<SegmentFile>,
    /// The segment at hand is `files[at]`.
    at: usize,
    segment: Option<Segment>,
    /// What the next header must say: sequence, first record, previous chain.
    expect: (u64, u64, Chain),
    stopped: bool,
    /// Whether it reads behind the writer, whose sums and chain values need not be made again at once.
    pub reads_behind: bool,
    pub segments: u64,
    purged: PurgedFile,
    /// Purged segments that the walk went across.
    pub bridged: Vec<Purged>,
}

impl Walk {
    pub fn open(directory: &Path) -> Result<Walk, ReadFault> {
        let io = |source| ReadFault::Io { path: directory.to_owned(), source };
        let mut files = list(directory).map_err(io)?;
        // After the listing: what is purged in between is missing in both.
        let purged = PurgedFile::read(directory).map_err(io)?;
        files.retain(|file| !purged.has(file.first));
        if files.is_empty() {
            return Err(ReadFault::Empty { path: directory.to_owned() });
        }
        Ok(Walk {
            directory: directory.to_owned(),
            files,
            at: 0,
            segment: None,
            expect: (1, 1, [0; 32]),
            stopped: false,
            reads_behind: false,
            segments: 0,
            purged,
            bridged: Vec::new(),
        })
    }

    /// Begins at the segment that holds record `number`, or at the first one there is when all are
    /// later: what precedes it is taken as its header says.
    pub fn open_at(directory: &Path, number: u64) -> Result<Walk, ReadFault> {
        let mut walk = Walk::open(directory)?;
        walk.at = walk.files.iter().rposition(|file| file.first <= number).unwrap_or(0);
        let Some(file) = walk.files.get(walk.at) else { return Ok(walk) };
        let opened = Segment::open(file).map_err(|failed| fault(&file.path, failed))?;
        if let Some(Segment { header, .. }) = opened {
            walk.expect = (header.sequence, header.first, header.previous);
        }
        Ok(walk)
    }

    /// The chain value up to here.
    pub fn chain(&self) -> Chain {
        self.segment.as_ref().map_or(self.expect.2, Segment::chain)
    }

    /// Number of the next record, in this segment or in the one after it.
    pub fn number(&self) -> u64 {
        self.segment.as_ref().map_or(self.expect.1, Segment::number)
    }

    /// The header of the segment at hand.
    pub fn header(&self) -> Option<&Header> {
        self.segment.as_ref().map(|segment| &segment.header)
    }

    /// Reads again what was read of the file and not taken, as [`Reader::forget_ahead`] says.
    pub fn forget_ahead(&mut self) -> Result<(), ReadFault> {
        let (Some(segment), Some(file)) = (&mut self.segment, self.files.get(self.at)) else {
            return Ok(());
        };
        segment.forget_ahead().map_err(|source| ReadFault::Io { path: file.path.clone(), source })
    }

    /// Calls `each` with the next group; `Some` says that there is none and how the journal ends.
    pub fn next(&mut self, each: &mut dyn FnMut(Walked<'_>)) -> Result<Option<Ending>, ReadFault> {
        let mut looked_again = false;
        loop {
            if self.segment.is_none() && !self.enter()? {
                return Ok(Some(self.ending(None)));
            }
            let (Some(segment), Some(file)) = (&mut self.segment, self.files.get(self.at)) else {
                return Ok(Some(self.ending(None)));
            };
            let name = file.name.clone();
            let path = file.path.clone();
            let sequence = segment.header.sequence;
            let tail = match segment.next().map_err(|failed| fault(&path, failed))? {
                Next::Group(group) => {
                    self.stopped = is_stop(group.records);
                    each(Walked {
                        segment: &name,
                        path: &path,
                        sequence,
                        octet: group.octet,
                        first: group.link.first,
                        records: group.records,
                        link: group.link_octets,
                    });
                    return Ok(None);
                }
                Next::End => None,
                Next::Torn(tail) => Some(tail),
            };
            if self.at + 1 == self.files.len() {
                if !self.list_again()? {
                    return Ok(Some(self.ending(tail)));
                }
            } else if looked_again {
                self.leave(tail)?;
                looked_again = false;
            } else {
                // This look may have been before the writer finished the segment: look once more
                // now that the next one is known to exist.
                looked_again = true;
            }
        }
    }

    /// Opens the segment at hand; `false` if it is the last and was torn off in its header.
    fn enter(&mut self) -> Result<bool, ReadFault> {
        let segment = loop {
            let Some(file) = self.files.get(self.at) else { return Ok(false) };
            match Segment::open(file) {
                Err(Failed::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                    // It was there when the folder was listed: was it purged since?
                    self.pass_over_purged(error)?;
                }
                opened => break opened.map_err(|failed| fault(&file.path, failed))?,
            }
        };
        let Some(file) = self.files.get(self.at) else { return Ok(false) };
        let Some(mut segment) = segment else {
            if self.at + 1 == self.files.len() && self.at > 0 {
                return Ok(false);
            }
            return Err(ReadFault::Broken(Fault {
                segment: file.name.clone(),
                record: file.first,
                octet: 0,
                what: "the header of the segment is not whole".to_owned(),
            }));
        };
        if segment.header.sequence > self.expect.0
            && let Some(run) = self.purged.bridge(&mut self.expect, segment.header.sequence)
        {
            self.bridged.extend_from_slice(run);
        }
        let (sequence, first, previous) = self.expect;
        if segment.header.sequence != sequence {
            return Err(ReadFault::Broken(segment.fault_here(&format!(
                "this is segment {} where segment {sequence}, {}, should be: it is missing",
                segment.header.sequence,
                segment_name(first)
            ))));
        }
        if segment.header.first != first || segment.header.previous != previous {
            let what = "the segment does not continue the one before it: one of them was replaced";
            return Err(ReadFault::Broken(segment.fault_here(what)));
        }
        self.segments += 1;
        segment.reads_behind = self.reads_behind;
        self.segment = Some(segment);
        Ok(true)
    }

    /// Passes over the file at hand, which is gone, if it was purged.
    fn pass_over_purged(&mut self, error: io::Error) -> Result<(), ReadFault> {
        let io = |source| ReadFault::Io { path: self.directory.clone(), source };
        self.purged = PurgedFile::read(&self.directory).map_err(io)?;
        let Some(file) = self.files.get(self.at) else { return Ok(()) };
        if !self.purged.has(file.first) {
            return Err(ReadFault::Io { path: file.path.clone(), source: error });
        }
        self.files.remove(self.at);
        Ok(())
    }

    /// Moves on to the next segment, which exists.
    fn leave(&mut self, tail: Option<Tail>) -> Result<(), ReadFault> {
        let Some(segment) = self.segment.take() else { return Ok(()) };
        if tail.is_some() {
            let what = "the segment does not end with a link, though another follows";
            return Err(ReadFault::Broken(segment.fault_here(what)));
        }
        self.expect = (segment.header.sequence + 1, segment.number(), segment.chain());
        self.at += 1;
        Ok(())
    }

    /// Looks for segments that were begun since; says whether there are any.
    fn list_again(&mut self) -> Result<bool, ReadFault> {
        let last = self.files.last().map_or(0, |file| file.first);
        let listed = list(&self.directory)
            .map_err(|source| ReadFault::Io { path: self.directory.clone(), source })?;
        let before = self.files.len();
        self.files.extend(listed.into_iter().filter(|file| file.first > last));
        Ok(self.files.len() > before)
    }

    fn ending(&self, tail: Option<Tail>) -> Ending {
        match (&self.segment, tail) {
            (_, Some(tail)) => Ending::Torn { octets: tail.octets },
            (None, None) => {
                let path = self.files.get(self.at).map(|file| &file.path);
                let octets = path.and_then(|path| std::fs::metadata(path).ok());
                Ending::Torn { octets: octets.map_or(0, |found| found.len()) }
            }
            (Some(segment), None) if segment.sealed() => Ending::NextMissing,
            (Some(_), None) if self.stopped => Ending::Stopped,
            (Some(_), None) => Ending::Open,
        }
    }
}

pub(super) fn fault(path: &Path, failed: Failed) -> ReadFault {
    match failed {
        Failed::Broken(fault) => ReadFault::Broken(fault),
        Failed::Io(source) => ReadFault::Io { path: path.to_owned(), source },
    }
}

/// Whether the group is a stop record alone, as the journal writes it, but for the keys of a segment
/// that begins with it.
fn is_stop(records: &[u8]) -> bool {
    let begins = |record: &[u8]| record.get(2) == Some(&(Kind::Keys as u8));
    let records = match split_record(records) {
        Some((first, rest)) if begins(first) => rest,
        _ => records,
    };
    records.len() == RECORD_HEAD_OCTETS && records.get(2) == Some(&(Kind::Stop as u8))
}

/// The first record of `octets` and what follows it.
pub(super) fn split_record(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    if octets.is_empty() {
        return None;
    }
    octets.split_at_checked(usize::from(u16_at(octets, 0)).max(RECORD_HEAD_OCTETS))
}

/// A record and where it stands.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Its number in the journal, from 1.
    pub number: u64,
    /// Its time, microseconds since the Unix epoch.
    pub time_us: u64,
    /// File name of its segment.
    pub segment: &'a str,
    /// Number of the first record of its segment.
    pub segment_first: u64,
    /// Octet of the segment where it begins.
    pub octet: u64,
    /// Its octets, head and body.
    pub octets: &'a [u8],
    /// The octets with its numbers legible, if they can be read.
    legible: &'a [u8],
    gone: Option<&'a Gone>,
    rule_set: &'a Arc<str>,
    reading: &'a Arc<str>,
    rules: &'a [u8; 32],
}

impl<'a> Entry<'a> {
    /// The number of its kind, also when this program does not know it.
    pub fn kind(&self) -> u8 {
        self.octets.get(2).copied().unwrap_or_default()
    }

    /// What it says; numbers that cannot be read are empty, and [`Entry::gone`] says why.
    pub fn record(&self) -> Record<'a> {
        decode(self.legible)
    }

    /// Why its numbers cannot be read, if they cannot.
    pub fn gone(&self) -> Option<&'a Gone> {
        self.gone
    }

    /// Name of the rule set that was in force then, as [`Kept::rule_set`] says.
    pub fn rule_set(&self) -> &'a str {
        self.rule_set
    }

    /// Digest of the rules that were in force then, as [`Kept::rules`] says.
    pub fn rules(&self) -> &'a [u8; 32] {
        self.rules
    }

    /// A copy that outlives the reader.
    pub fn keep(&self) -> Kept {
        Kept {
            number: self.number,
            time_us: self.time_us,
            rule_set: self.rule_set.clone(),
            reading: self.reading.clone(),
            rules: *self.rules,
            octets: self.legible.into(),
            gone: self.gone.cloned(),
        }
    }
}

/// What the record with these octets says.
pub(super) fn decode(octets: &[u8]) -> Record<'_> {
    let kind = octets.get(2).copied().unwrap_or_default();
    let form = octets.get(3).copied().unwrap_or_default();
    Record::decode(kind, form, octets.get(RECORD_HEAD_OCTETS..).unwrap_or_default())
}

/// A record that was copied out of the journal.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its number in the journal.
    pub number: u64,
    /// Its time, microseconds since the Unix epoch.
    pub time_us: u64,
    /// Name of the rule set that was in force then, by the start or rules record before it; empty
    /// before the first.
    pub rule_set: Arc<str>,
    /// What texts were read with then, alike: digest of the weights, versions of the lists. Empty where the
    /// reading began behind the start record.
    pub reading: Arc<str>,
    /// Digest of the rules that were in force then, alike; all zero where nobody knows.
    pub rules: [u8; 32],
    octets: Box<[u8]>,
    /// Why its numbers cannot be read, if they cannot: they are empty then.
    pub gone: Option<Gone>,
}

impl Kept {
    /// The record with these octets, its rule set unknown; `gone` says why it cannot be read whole.
    pub(super) fn of(number: u64, octets: &[u8], gone: Option<Gone>) -> Kept {
        let time_us = u64_at(octets, 8);
        let unknown: Arc<str> = Arc::from("");
        let (rule_set, reading) = (unknown.clone(), unknown);
        let rules = [0; 32];
        Kept { number, time_us, rule_set, reading, rules, octets: octets.into(), gone }
    }

    /// What it says; numbers that cannot be read are empty.
    pub fn record(&self) -> Record<'_> {
        decode(&self.octets)
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("number", &self.number)
            .field("time_us", &self.time_us)
            .field("record", &self.record())
            .finish()
    }
}

/// Reads the records of a journal from its first segment on; only what a link covers.
pub struct Reader {
    walk: Walk,
    group: Vec<u8>,
    at: usize,
    /// Number of the record at `at`.
    number: u64,
    segment: String,
    /// Octet of the segment where the group begins.
    octet: u64,
    /// Name of the rule set in force.
    rule_set: Arc<str>,
    /// What texts are read with.
    reading: Arc<str>,
    /// Digest of the rules in force.
    rules: [u8; 32],
    unsealer: Unsealer,
    /// Records before this one are passed over.
    from: u64,
    ending: Option<Ending>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens the journal in `directory` for reading; it needs no lock. Numbers that are encrypted
    /// cannot be read unless [`Reader::with_keys`] gives the keys.
    pub fn open(directory: &Path) -> Result<Reader, ReadFault> {
        Reader::over(directory, Walk::open(directory)?, 0, "")
    }

    /// Opens it at record `number`, or at the first there is when that one is gone, without reading the
    /// segments before. `rule_set` is the one in force there, as who stopped there knows it.
    pub fn open_at(directory: &Path, number: u64, rule_set: &str) -> Result<Reader, ReadFault> {
        Reader::over(directory, Walk::open_at(directory, number)?, number, rule_set)
    }

    fn over(directory: &Path, walk: Walk, from: u64, rule_set: &str) -> Result<Reader, ReadFault> {
        Ok(Reader {
            walk,
            group: Vec::new(),
            at: 0,
            number: 0,
            segment: String::new(),
            octet: 0,
            rule_set: Arc::from(rule_set),
            reading: Arc::from(""),
            rules: [0; 32],
            unsealer: Unsealer::new(directory),
            from,
            ending: None,
        })
    }

    /// Reads numbers with these keys.
    pub fn with_keys(mut self, keys: Arc<KeyRing>) -> Reader {
        self.unsealer.give(keys);
        self
    }

    /// The next record, links too; `None` at the end as it is now. Asked again later, it goes on
    /// with what was written since.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, ReadFault> {
        loop {
            if self.at >= self.group.len() && !self.next_group()? {
                return Ok(None);
            }
            let rest = self.group.get(self.at..).unwrap_or_default();
            let Some((octets, _)) = split_record(rest) else { return Ok(None) };
            if self.number >= self.from {
                break;
            }
            let octets = octets.len();
            self.look_for_rules();
            self.at += octets;
            self.number += 1;
        }
        self.look_for_rules();
        let rest = self.group.get(self.at..).unwrap_or_default();
        let Some((octets, _)) = split_record(rest) else { return Ok(None) };
        let segment_first = self.walk.header().map_or(0, |header| header.first);
        let (legible, gone) = self.unsealer.read(segment_first, self.number, octets);
        let entry = Entry {
            number: self.number,
            time_us: u64_at(octets, 8),
            segment: &self.segment,
            segment_first: self.walk.header().map_or(0, |header| header.first),
            octet: self.octet + self.at as u64,
            octets,
            legible,
            gone,
            rule_set: &self.rule_set,
            reading: &self.reading,
            rules: &self.rules,
        };
        self.at += octets.len();
        self.number += 1;
        Ok(Some(entry))
    }

    /// Call before reading on towards a later end than before, where the end is how far the journal keeps its
    /// records for certain: what was read ahead beyond the earlier end may have been taken back, and its
    /// numbers used again.
    pub fn forget_ahead(&mut self) -> Result<(), ReadFault> {
        self.walk.forget_ahead()
    }

    /// What the record at hand says of the rules in force, and of the first of a segment its header.
    fn look_for_rules(&mut self) {
        if let Some(header) = self.walk.header().filter(|header| header.first == self.number) {
            self.rules = header.rules;
        }
        let rest = self.group.get(self.at..).unwrap_or_default();
        let Some((octets, _)) = split_record(rest) else { return };
        let kind = octets.get(2).and_then(|code| Kind::from_code(*code));
        if !matches!(kind, Some(Kind::Start | Kind::Rules | Kind::Registry)) {
            return;
        }
        match decode(octets) {
            // Of what is passed over, whoever opened it there knows the rule set already.
            Record::Start(StartRecord { rules, .. }) | Record::Rules(RulesRecord { rules, .. })
                if self.number < self.from =>
            {
                self.rules = rules;
            }
            Record::Registry(_) if self.number < self.from => {}
            Record::Start(StartRecord { rules, rule_set, reading, .. }) => {
                (self.rules, self.rule_set, self.reading) =
                    (rules, rule_set.into(), reading.into());
            }
            Record::Rules(RulesRecord { rules, rule_set }) => {
                (self.rules, self.rule_set) = (rules, rule_set.into());
            }
            Record::Registry(RegistryRecord { reading, .. }) => self.reading = reading.into(),
            _ => {}
        }
    }

    /// Reads the next group; `false` where there is none.
    fn next_group(&mut self) -> Result<bool, ReadFault> {
        let Reader { walk, group, number, segment, octet, .. } = self;
        let ending = walk.next(&mut |walked| {
            group.clear();
            group.extend_from_slice(walked.records);
            group.extend_from_slice(walked.link);
            *number = walked.first;
            segment.clear();
            segment.push_str(walked.segment);
            *octet = walked.octet;
        })?;
        self.ending = ending;
        if ending.is_none() {
            self.at = 0;
        }
        Ok(ending.is_none())
    }

    /// Name of the rule set in force where it stands.
    pub fn rule_set(&self) -> Arc<str> {
        self.rule_set.clone()
    }

    /// How the journal ends; known once `next` has returned `None`.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// The header of the segment that was read last.
    pub fn header(&self) -> Option<&Header> {
        self.walk.header()
    }
}

/// The numbers of the first records of all segments, in their order.
pub fn segment_firsts(directory: &Path) -> io::Result<Vec<u64>> {
    Ok(list(directory)?.iter().map(|file| file.first).collect())
}

/// The record with this number, if the journal has it, or it outlived its segment.
pub fn show(directory: &Path, number: u64, keys: &Arc<KeyRing>) -> Result<Option<Kept>, ReadFault> {
    find(Reader::open(directory)?, directory, number, keys)
}

/// The same, read from the beginning of its segment: what was said before it, its rule set and reading, may not
/// be known.
pub fn look_up(
    directory: &Path,
    number: u64,
    keys: &Arc<KeyRing>,
) -> Result<Option<Kept>, ReadFault> {
    find(Reader::open_at(directory, number, "")?, directory, number, keys)
}

fn find(
    reader: Reader,
    directory: &Path,
    number: u64,
    keys: &Arc<KeyRing>,
) -> Result<Option<Kept>, ReadFault> {
    let mut reader = reader.with_keys(keys.clone());
    while let Some(entry) = reader.next()? {
        if entry.number == number {
            return Ok(Some(entry.keep()));
        }
        if entry.number > number {
            break;
        }
    }
    let io = |source| ReadFault::Io { path: directory.to_owned(), source };
    let Some(proof) = kept_proof(directory, number).map_err(io)? else { return Ok(None) };
    // Without its key it is shown as far as it can be read.
    Ok(Some(proof.clone().disclose(directory, keys).unwrap_or(proof).kept()))
}

const _: () = assert!(LINK_OCTETS > RECORD_HEAD_OCTETS);
