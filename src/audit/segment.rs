//! One segment file, walked group by group: every sum and every link checked on the way.
//!
//! Recovery, reading, verifying and searching all walk here, so that none of them believes an
//! octet that another would refuse.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::format::{
    Chain, GROUP_OCTETS_MAX, HEADER_OCTETS, Header, KIND_LINK, LINK_OCTETS, Link,
    RECORD_HEAD_OCTETS, RECORD_OCTETS_MAX, chain_after, chain_of_header, record_sum, segment_first,
    u16_at, u32_at,
};
use super::proof::root_of;
use super::proof::tree::Frontier;

/// Octets asked of the file at once.
const READ_OCTETS: usize = 256 << 10;

/// Where a journal is not what was written, and how that shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{segment}: record {record} at octet {octet}: {what}")]
pub struct Fault {
    /// File name of the segment.
    pub segment: String,
    /// Number of the first record that is not right; of the segment's first one for its header.
    pub record: u64,
    /// Octet of the file where that record begins.
    pub octet: u64,
    /// What is wrong.
    pub what: String,
}

/// Why a segment could not be walked on.
#[derive(Debug)]
pub(super) enum Failed {
    Broken(Fault),
    Io(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::Io(error)
    }
}

/// A segment file by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentFile {
    pub path: PathBuf,
    pub name: String,
    pub first: u64,
}

/// The segments of a directory in the order of their records; other files are passed over.
pub(super) fn list(directory: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if let Some(first) = segment_first(&name) {
            found.push(SegmentFile { path: entry.path(), name, first });
        }
    }
    found.sort_by_key(|file| file.first);
    Ok(found)
}

/// A group of records and the link that covers it.
pub(super) struct Group<'a> {
    /// Octet of the file where the first record begins.
    pub octet: u64,
    /// The records, without the link.
    pub records: &'a [u8],
    /// The octets of the link.
    pub link_octets: &'a [u8],
    pub link: Link,
}

/// What comes next in a segment.
pub(super) enum Next<'a> {
    Group(Group<'a>),
    /// The file ends with a link, or with its header.
    End,
    /// The file ends with records that no link covers.
    Torn(Tail),
}

/// The octets at the end of a segment that were never acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tail {
    /// Octet of the file where the tail begins.
    pub octet: u64,
    /// Number that its first record would have.
    pub record: u64,
    /// Its length.
    pub octets: u64,
}

/// A segment being walked.
pub(super) struct Segment {
    file: File,
    name: String,
    pub header: Header,
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
    /// Octet of the file at `start`.
    octet: u64,
    /// Number of the record at `start`.
    number: u64,
    chain: Chain,
    sealed: bool,
    /// Room for the tree of a group.
    frontier: Frontier,
    /// Whether it reads behind the writer: sums of records and chain values of links are taken as they stand.
    pub reads_behind: bool,
}

/// How the scan of one group ended; positions count from the start of the group.
enum Scan {
    Link { at: usize },
    Partial { at: usize, number: u64 },
}

impl Segment {
    /// Opens a segment and checks its header; `None` if the file is too short to have one.
    pub fn open(found: &SegmentFile) -> Result<Option<Segment>, Failed> {
        let mut file = File::open(&found.path)?;
        let mut octets = [0; HEADER_OCTETS];
        let mut got = 0;
        while let Some(rest) = octets.get_mut(got..).filter(|rest| !rest.is_empty()) {
            match file.read(rest) {
                Ok(0) => return Ok(None),
                Ok(more) => got += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        let fault = |what: &str| {
            Failed::Broken(Fault {
                segment: found.name.clone(),
                record: found.first,
                octet: 0,
                what: what.to_owned(),
            })
        };
        let header = Header::decode(&octets).map_err(fault)?;
        if header.first != found.first {
            return Err(fault("the file's name and its header differ about the first record"));
        }
        Ok(Some(Segment {
            file,
            name: found.name.clone(),
            number: header.first,
            chain: chain_of_header(&octets),
            header,
            buffer: Vec::new(),
            start: 0,
            filled: 0,
            octet: HEADER_OCTETS as u64,
            sealed: false,
            frontier: Frontier::default(),
            reads_behind: false,
        }))
    }

    /// Number of the next record.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Octet of the file that is looked at next.
    pub fn octet(&self) -> u64 {
        self.octet
    }

    /// The chain value up to here.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// Whether the last link sealed the segment.
    pub fn sealed(&self) -> bool {
        self.sealed
    }

    /// A fault at the place that is looked at next.
    pub fn fault_here(&self, what: &str) -> Fault {
        self.fault(0, self.number, what)
    }

    /// Lets go what was read of the file beyond the groups that were taken: it is read again. Whoever stops
    /// before something that the writer may still take back, and write otherwise, calls this before it goes on.
    pub fn forget_ahead(&mut self) -> io::Result<()> {
        (self.start, self.filled) = (0, 0);
        self.file.seek(SeekFrom::Start(self.octet)).map(drop)
    }

    /// The next group. After `End` and `Torn` it may be asked again: the file may have grown.
    pub fn next(&mut self) -> Result<Next<'_>, Failed> {
        match self.scan()? {
            Scan::Link { at } => self.take_group(at).map(Next::Group),
            Scan::Partial { at: 0, .. } if self.filled == self.start => Ok(Next::End),
            Scan::Partial { at, number } => self.tail(at, number).map(Next::Torn),
        }
    }

    /// Walks over records until a link or the end of the file.
    fn scan(&mut self) -> Result<Scan, Failed> {
        let mut at = 0;
        let mut number = self.number;
        loop {
            if self.ensure(at + RECORD_HEAD_OCTETS)? < at + RECORD_HEAD_OCTETS {
                return Ok(Scan::Partial { at, number });
            }
            let length = usize::from(u16_at(self.ahead(), at));
            if length < RECORD_HEAD_OCTETS {
                if length == 0 && self.zeros_to_the_end(at)? {
                    return Ok(Scan::Partial { at, number });
                }
                return Err(self.broken(at, number, "the length of the record is impossible"));
            }
            let is_link = self.ahead().get(at + 2) == Some(&KIND_LINK);
            if is_link && length != LINK_OCTETS {
                return Err(self.broken(at, number, "the length of the link is wrong"));
            }
            if self.ensure(at + length)? < at + length {
                return Ok(Scan::Partial { at, number });
            }
            let record = self.ahead().get(at..at + length).unwrap_or_default();
            let is_believed = self.reads_behind && !is_link;
            if !is_believed && record_sum(number, record) != u32_at(record, 4) {
                let what = "the sum of the record is wrong: changed, dropped or out of its place";
                return Err(self.broken(at, number, what));
            }
            if self.sealed {
                return Err(self.broken(at, number, "a record follows the seal of the segment"));
            }
            if is_link {
                return Ok(Scan::Link { at });
            }
            at += length;
            number += 1;
            if at > GROUP_OCTETS_MAX {
                return Err(self.broken(0, self.number, "no link follows within 1 MiB"));
            }
        }
    }

    /// Checks the link at `at` against the records before it, and moves on behind it.
    fn take_group(&mut self, at: usize) -> Result<Group<'_>, Failed> {
        let mut frontier = std::mem::take(&mut self.frontier);
        let ahead = self.ahead();
        let (records, rest) = ahead.split_at_checked(at).unwrap_or_default();
        let Some(octets) = rest.first_chunk::<LINK_OCTETS>() else {
            return Err(self.broken(at, self.number, "the link is not whole"));
        };
        let link = Link::decode(octets);
        let own = link.first.wrapping_add(u64::from(link.count));
        if link.first != self.number {
            return Err(self.broken(at, own, "the link covers other records than precede it"));
        }
        if !self.reads_behind
            && chain_after(&self.chain, &root_of(records, &mut frontier), octets) != link.chain
        {
            return Err(self.broken(at, own, "the chain does not hold: records were exchanged"));
        }
        if octets[28] > 1 || octets[29..32] != [0; 3] {
            return Err(self.broken(at, own, "the link has an ending that no program wrote"));
        }
        self.frontier = frontier;
        let octet = self.octet;
        let begin = self.start;
        self.start += at + LINK_OCTETS;
        self.octet += (at + LINK_OCTETS) as u64;
        self.number = own + 1;
        self.chain = link.chain;
        self.sealed = link.sealed;
        let records = self.buffer.get(begin..begin + at).unwrap_or_default();
        let link_octets = self.buffer.get(begin + at..self.start).unwrap_or_default();
        Ok(Group { octet, records, link_octets, link })
    }

    /// Judges octets at the end that no link covers: torn off while written, or broken?
    ///
    /// A write that did not finish leaves the beginning of a group, or zeros. If the file ends
    /// with a whole link the group had been finished, and what precedes it was changed since.
    fn tail(&mut self, at: usize, number: u64) -> Result<Tail, Failed> {
        let zeros = self.ahead().get(at..).is_some_and(|rest| rest.iter().all(|octet| *octet == 0));
        let finished = self.ahead().last_chunk().is_some_and(Link::stands_alone);
        if finished && !zeros {
            return Err(self.broken(at, number, "the length of the record is wrong"));
        }
        if self.sealed && !zeros {
            return Err(self.broken(at, number, "octets follow the seal of the segment"));
        }
        let octets = self.file.metadata()?.len().saturating_sub(self.octet);
        Ok(Tail { octet: self.octet, record: self.number, octets })
    }

    /// Whether nothing but zeros follows: what some file systems leave after a power failure.
    fn zeros_to_the_end(&mut self, at: usize) -> io::Result<bool> {
        let all_zero = |octets: &[u8]| octets.iter().all(|octet| *octet == 0);
        if !all_zero(self.ahead().get(at..).unwrap_or_default()) {
            return Ok(false);
        }
        let mut more = vec![0; READ_OCTETS];
        loop {
            match self.file.read(&mut more) {
                Ok(0) => return Ok(true),
                Ok(got) if !all_zero(more.get(..got).unwrap_or_default()) => return Ok(false),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What is in the buffer from the start of the group on.
    fn ahead(&self) -> &[u8] {
        self.buffer.get(self.start..self.filled).unwrap_or_default()
    }

    /// Reads until `octets` are ahead or the file ends; says how many are ahead.
    fn ensure(&mut self, octets: usize) -> io::Result<usize> {
        // A group, its link and one record too many: more is never asked for.
        debug_assert!(octets <= GROUP_OCTETS_MAX + 2 * RECORD_OCTETS_MAX);
        while self.filled - self.start < octets {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.filled, 0);
                self.filled -= self.start;
                self.start = 0;
            }
            let wanted = octets.max(self.filled + READ_OCTETS);
            if self.buffer.len() < wanted {
                self.buffer.resize(wanted, 0);
            }
            match self.file.read(self.buffer.get_mut(self.filled..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(more) => self.filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.filled - self.start)
    }

    fn fault(&self, at: usize, number: u64, what: &str) -> Fault {
        Fault {
            segment: self.name.clone(),
            record: number,
            octet: self.octet + at as u64,
            what: what.to_owned(),
        }
    }

    fn broken(&self, at: usize, number: u64, what: &str) -> Failed {
        Failed::Broken(self.fault(at, number, what))
    }
}
