//! The Merkle tree of one segment: its records are the leaves, links too, in the order of their
//! numbers.
//!
//! Held are the roots of every [`BLOCK`] leaves and of what is above them, some 70 octets a block;
//! what is below is read from the file again. So a tree over millions of records is small, and yet
//! gives the root of any earlier size and the path of any leaf.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::super::format::{RECORD_HEAD_OCTETS, u16_at};
use super::super::read::split_record;
use super::super::segment::{Failed, Next, Segment, SegmentFile};
use super::tree::{self, Frontier, Hash};

/// Level of the lowest subtrees that are held.
const BLOCK_LEVEL: u32 = 8;
/// Leaves of them.
const BLOCK: u64 = 1 << BLOCK_LEVEL;

/// The tree of a segment as far as it was read.
#[derive(Debug, Clone, Default)]
pub(in crate::audit) struct Leaves {
    frontier: Frontier,
    /// Roots of perfect subtrees by level from [`BLOCK_LEVEL`] on, each level from the left.
    nodes: Vec<Vec<Hash>>,
    /// Octet of the file where each block begins.
    octets: Vec<u64>,
}

impl Leaves {
    /// Reads a whole segment, as far as links cover it; `each` gets number and octets of its records.
    pub fn of(
        file: &SegmentFile,
        each: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<Option<(Leaves, Segment)>, Failed> {
        let Some(mut segment) = Segment::open(file)? else { return Ok(None) };
        let mut leaves = Leaves::default();
        while let Next::Group(group) = segment.next()? {
            leaves.push_group(group.octet, group.records, group.link_octets);
            let numbers = group.link.first..;
            for (number, octets) in numbers.zip(records(group.records).chain([group.link_octets])) {
                each(number, octets);
            }
        }
        Ok(Some((leaves, segment)))
    }

    /// Adds a group of records and its link; `octet` is where it begins in the file.
    pub fn push_group(&mut self, octet: u64, group: &[u8], link: &[u8]) {
        let mut octet = octet;
        for record in records(group).chain([link]) {
            self.push(octet, record);
            octet += record.len() as u64;
        }
    }

    fn push(&mut self, octet: u64, record: &[u8]) {
        let Leaves { frontier, nodes, octets } = self;
        if frontier.size().is_multiple_of(BLOCK) {
            octets.push(octet);
        }
        frontier.push(tree::leaf(record), |level, hash| {
            let Some(above) = level.checked_sub(BLOCK_LEVEL) else { return };
            let above = above as usize;
            if nodes.len() <= above {
                nodes.resize(above + 1, Vec::new());
            }
            if let Some(of_level) = nodes.get_mut(above) {
                of_level.push(*hash);
            }
        });
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root over all of them.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The root that the tree had when it had `size` leaves, and the octets of the last of them. None
    /// if it never had so many, or none.
    pub fn root_at(&self, path: &Path, size: u64) -> io::Result<Option<(Hash, Vec<u8>)>> {
        if size == 0 || size > self.size() {
            return Ok(None);
        }
        let last = self.record(path, size - 1)?;
        if size == self.size() {
            return Ok(Some((self.root(), last)));
        }
        let mut blocks = Blocks { leaves: self, path, read: None };
        let mut frontier = Frontier::default();
        for level in (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1) {
            let n = frontier.size() >> level;
            frontier.append_perfect(level, blocks.perfect(level, n)?);
        }
        Ok(Some((frontier.root(), last)))
    }

    /// The path of leaf `index` to the root of the tree when it had `size` leaves.
    pub fn path(&self, path: &Path, index: u64, size: u64) -> io::Result<Vec<Hash>> {
        let mut blocks = Blocks { leaves: self, path, read: None };
        tree::path(index, size, |level, n| blocks.perfect(level, n))
    }

    /// The octets of leaf `index`.
    pub fn record(&self, path: &Path, index: u64) -> io::Result<Vec<u8>> {
        let mut found = Vec::new();
        self.read_block(path, index / BLOCK, index % BLOCK + 1, &mut |record| {
            found.clear();
            found.extend_from_slice(record);
        })?;
        Ok(found)
    }

    /// Reads the first records of a block again.
    fn read_block(
        &self,
        path: &Path,
        block: u64,
        count: u64,
        each: &mut dyn FnMut(&[u8]),
    ) -> io::Result<()> {
        let octet = usize::try_from(block).ok().and_then(|block| self.octets.get(block));
        let Some(octet) = octet else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        let mut file = BufReader::new(File::open(path)?);
        file.seek(SeekFrom::Start(*octet))?;
        let mut record = vec![0; RECORD_HEAD_OCTETS];
        for _ in 0..count {
            record.resize(RECORD_HEAD_OCTETS, 0);
            file.read_exact(&mut record)?;
            record.resize(usize::from(u16_at(&record, 0)).max(RECORD_HEAD_OCTETS), 0);
            file.read_exact(record.get_mut(RECORD_HEAD_OCTETS..).unwrap_or_default())?;
            each(&record);
        }
        Ok(())
    }
}

/// The records of a group, one after the other.
fn records(group: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = group;
    std::iter::from_fn(move || {
        let (record, behind) = split_record(rest)?;
        rest = behind;
        Some(record)
    })
}

/// Perfect subtrees of a tree: held, or made from the records of a block that is read again.
struct Blocks<'a> {
    leaves: &'a Leaves,
    path: &'a Path,
    /// The block read last, and the hashes of its leaves.
    read: Option<(u64, Vec<Hash>)>,
}

impl Blocks<'_> {
    fn perfect(&mut self, level: u32, n: u64) -> io::Result<Hash> {
        let gone = || io::Error::from(io::ErrorKind::UnexpectedEof);
        if let Some(above) = level.checked_sub(BLOCK_LEVEL) {
            let of_level = self.leaves.nodes.get(above as usize).ok_or_else(gone)?;
            let n = usize::try_from(n).map_err(|_| gone())?;
            return of_level.get(n).copied().ok_or_else(gone);
        }
        let block = (n << level) / BLOCK;
        if self.read.as_ref().is_none_or(|(read, _)| *read != block) {
            let count = (self.leaves.size() - (block * BLOCK).min(self.leaves.size())).min(BLOCK);
            let mut hashes = Vec::with_capacity(BLOCK as usize);
            self.leaves.read_block(self.path, block, count, &mut |record| {
                hashes.push(tree::leaf(record));
            })?;
            self.read = Some((block, hashes));
        }
        let (_, hashes) = self.read.as_ref().ok_or_else(gone)?;
        let begin = ((n << level) % BLOCK) as usize;
        let mine = hashes.get(begin..begin + (1 << level)).ok_or_else(gone)?;
        let mut frontier = Frontier::default();
        mine.iter().for_each(|leaf| frontier.push(*leaf, |_, _| ()));
        Ok(frontier.root())
    }
}
