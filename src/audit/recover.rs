//! What opening a journal finds on the disk, what it cuts off and what it refuses.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::format::{Chain, HEADER_OCTETS, LINK_OCTETS, Link};
use super::proof::{CheckpointFault, Newest, Signed};
use super::read::{decode, split_record};
use super::record::Record;
use super::retention::{PurgedFile, remove};
use super::sealed::Purpose;
use super::segment::{Failed, Fault, Next, Segment, SegmentFile, list};

/// What a journal held when it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Records in it, links counted.
    pub records: u64,
    /// Segments in it.
    pub segments: u64,
    /// Which opening this is, from 1.
    pub opening: u32,
    /// Octets cut off the end: records that nobody was told were kept.
    pub torn_octets: u64,
    /// The segment they were cut off.
    pub torn_segment: Option<String>,
    /// Digest of rules and registry that were in force at its end; none of a new journal.
    pub rules: Option<[u8; 32]>,
}

/// Why a journal was not opened. None of these is repaired silently.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// Another process writes this journal.
    #[error(
        "the journal {} is being written by another process: stop that one or set audit.path elsewhere",
        path.display()
    )]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The journal is not what was written.
    #[error(
        "the journal {} is broken: {fault}; move the directory aside to begin a new journal and keep it as evidence",
        path.display()
    )]
    Broken {
        /// The directory.
        path: PathBuf,
        /// Where and what.
        fault: Fault,
    },
    /// The newest checkpoint beside the journal cannot be read.
    #[error("{0}; move it aside, and keep it, to go on without")]
    Checkpoint(CheckpointFault),
    /// The operating system refused.
    #[error("the journal {} cannot be opened: {source}", path.display())]
    Io {
        /// The directory, or the file in it.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// The end of what was found, where writing goes on.
pub(super) struct Found {
    pub recovered: Recovered,
    pub last: Option<Last>,
}

/// The last segment that holds records.
pub(super) struct Last {
    pub path: PathBuf,
    pub sequence: u64,
    pub rules: [u8; 32],
    /// Octets of it that links cover.
    pub octets: u64,
    /// Number of the next record.
    pub number: u64,
    pub chain: Chain,
    pub sealed: bool,
    /// Time of its last record.
    pub time_us: u64,
}

/// Checks how the segments follow each other, walks the last one and cuts off its torn tail.
///
/// The segments before the last are not walked: `verify` does that, opening must be quick.
pub(super) fn recover(directory: &Path) -> Result<Found, OpenFault> {
    let io_fault = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenFault::Io { path, source }
    };
    let failed = |path: &Path, failed| match failed {
        Failed::Broken(fault) => OpenFault::Broken { path: directory.to_owned(), fault },
        Failed::Io(source) => OpenFault::Io { path: path.to_owned(), source },
    };
    let mut found = Found { recovered: Recovered::default(), last: None };
    let mut files = list(directory).map_err(io_fault(directory))?;
    let purged = PurgedFile::read(directory).map_err(io_fault(directory))?;
    for file in files.extract_if(.., |file| purged.has(file.first)) {
        // A purge that was recorded and broken off.
        remove(directory, file.first).map_err(io_fault(&file.path))?;
    }
    while let Some(file) = files.last() {
        if holds_records(file, &mut found.recovered).map_err(|error| failed(&file.path, error))? {
            break;
        }
        std::fs::remove_file(&file.path).map_err(io_fault(&file.path))?;
        // Its keys sealed nothing that was kept.
        for purpose in [Purpose::Numbers, Purpose::Content] {
            let _ = std::fs::remove_file(directory.join(purpose.name(file.first)));
        }
        files.pop();
    }
    let mut before: Option<Segment> = None;
    for (at, file) in files.iter().enumerate() {
        let segment = Segment::open(file).map_err(|error| failed(&file.path, error))?;
        let Some(segment) = segment else {
            let fault = Fault {
                segment: file.name.clone(),
                record: file.first,
                octet: 0,
                what: "the header of the segment is not whole".to_owned(),
            };
            return Err(failed(&file.path, Failed::Broken(fault)));
        };
        let previous = at.checked_sub(1).and_then(|previous| files.get(previous));
        follows(&segment, before.as_ref().zip(previous), &purged)
            .map_err(|e| failed(&file.path, e))?;
        before = Some(segment);
    }
    if let (Some(mut segment), Some(file)) = (before, files.last()) {
        let mut rules = segment.header.rules;
        let time_us = cut_tail(&mut segment, file, &mut found.recovered, &mut rules)
            .map_err(|error| failed(&file.path, error))?;
        found.recovered.records = segment.number() - 1;
        found.recovered.segments = files.len() as u64;
        found.recovered.opening = segment.header.opening;
        found.recovered.rules = Some(rules);
        found.last = Some(Last {
            path: file.path.clone(),
            sequence: segment.header.sequence,
            rules,
            octets: segment.octet(),
            number: segment.number(),
            chain: segment.chain(),
            sealed: segment.sealed(),
            time_us,
        });
    }
    found.recovered.opening += 1;
    Ok(found)
}

/// The newest checkpoint beside the journal, which must not say more than is there: it was written
/// when the disk had all that it covers.
pub(super) fn newest_within(directory: &Path, found: &Found) -> Result<Option<Newest>, OpenFault> {
    let newest = Newest::read(directory).map_err(OpenFault::Checkpoint)?;
    let next = found.last.as_ref().map_or(1, |last| last.number);
    match &newest {
        Some(Newest { signed, .. }) if signed.checkpoint.end() > next => {
            let last = found.last.as_ref().and_then(|last| last.path.file_name());
            let fault = Fault {
                segment: last.unwrap_or_default().to_string_lossy().into_owned(),
                record: next,
                octet: found.last.as_ref().map_or(0, |last| last.octets),
                what: cut_off(signed),
            };
            Err(OpenFault::Broken { path: directory.to_owned(), fault })
        }
        _ => Ok(newest),
    }
}

/// What to say of records that were signed and are not there.
pub(super) fn cut_off(signed: &Signed) -> String {
    format!(
        "records up to {} were on the disk when a checkpoint of them was kept, and are missing: the journal was cut off",
        signed.checkpoint.end().saturating_sub(1)
    )
}

/// Whether a last segment holds a covered record; if not, it was torn off while it was begun.
fn holds_records(file: &SegmentFile, recovered: &mut Recovered) -> Result<bool, Failed> {
    let octets = std::fs::metadata(&file.path)?.len();
    if octets > HEADER_OCTETS as u64 {
        let Some(mut segment) = Segment::open(file)? else { return Ok(false) };
        if matches!(segment.next()?, Next::Group(_)) {
            return Ok(true);
        }
    }
    recovered.torn_octets += octets;
    recovered.torn_segment = Some(file.name.clone());
    Ok(false)
}

/// Whether a segment continues the one before it, as far as its header and that one's end say.
fn follows(
    segment: &Segment,
    before: Option<(&Segment, &SegmentFile)>,
    purged: &PurgedFile,
) -> Result<(), Failed> {
    let header = &segment.header;
    let mut expect = match before {
        None => (1, 1, [0; 32]),
        Some((before, file)) => {
            let Some(link) = last_link(file)? else {
                let fault = Fault {
                    segment: file.name.clone(),
                    record: before.header.first,
                    octet: std::fs::metadata(&file.path)?.len(),
                    what: "the segment does not end with a link".to_owned(),
                };
                return Err(Failed::Broken(fault));
            };
            let number = link.first.saturating_add(u64::from(link.count)).saturating_add(1);
            (before.header.sequence + 1, number, link.chain)
        }
    };
    if header.sequence > expect.0 {
        let _ = purged.bridge(&mut expect, header.sequence);
    }
    let (sequence, first, previous) = expect;
    if header.sequence != sequence {
        return Err(Failed::Broken(segment.fault_here(&format!(
            "this is segment {} where segment {sequence} should be: one is missing",
            header.sequence
        ))));
    }
    if header.previous != previous || header.first != first {
        let what = "the segment does not continue the one before it: one of them was replaced";
        return Err(Failed::Broken(segment.fault_here(what)));
    }
    Ok(())
}

/// The last that is said in these records of other rules.
fn last_rules(mut records: &[u8], rules: &mut [u8; 32]) {
    while let Some((record, behind)) = split_record(records) {
        if let Record::Rules(record) = decode(record) {
            *rules = record.rules;
        }
        records = behind;
    }
}

/// The link at the very end of a segment.
pub(super) fn last_link(file: &SegmentFile) -> io::Result<Option<Link>> {
    let mut open = std::fs::File::open(&file.path)?;
    if open.metadata()?.len() < (HEADER_OCTETS + LINK_OCTETS) as u64 {
        return Ok(None);
    }
    open.seek(SeekFrom::End(-(LINK_OCTETS as i64)))?;
    let mut octets = [0; LINK_OCTETS];
    open.read_exact(&mut octets)?;
    Ok(Link::stands_alone(&octets).then(|| Link::decode(&octets)))
}

/// Walks the last segment and cuts off what no link covers; returns the time of its last link. `rules` are
/// those that were in force at its end.
fn cut_tail(
    segment: &mut Segment,
    file: &SegmentFile,
    recovered: &mut Recovered,
    rules: &mut [u8; 32],
) -> Result<u64, Failed> {
    let mut time_us = segment.header.created_us;
    let tail = loop {
        match segment.next()? {
            Next::Group(group) => {
                time_us = group.link.time_us;
                last_rules(group.records, rules);
            }
            Next::End => return Ok(time_us),
            Next::Torn(tail) => break tail,
        }
    };
    let open = OpenOptions::new().write(true).open(&file.path)?;
    open.set_len(tail.octet)?;
    open.sync_all()?;
    recovered.torn_octets += tail.octets;
    recovered.torn_segment = Some(file.name.clone());
    Ok(time_us)
}
