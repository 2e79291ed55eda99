//! The tree of one segment: its links are the leaves, in their order, and under each link the records that
//! it covers are a tree of their own, whose root is in the link's chain value.
//!
//! So a record is hashed once, by who writes it: for the chain and for its proof. Held are the hashes of links
//! and what is above them, and where each group begins, some 60 octets a group; records are read from
//! the file again. That gives the root of any earlier size and the proof of any record.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::super::format::{Chain, HEADER_OCTETS, LINK_OCTETS, Link, chain_of_header};
use super::super::read::split_record;
use super::super::segment::{Failed, Next, Segment, SegmentFile};
use super::prove::Covered;
use super::tree::{self, Frontier, Hash, Tree};

/// The tree of a segment as far as it was read.
#[derive(Debug, Clone, Default)]
pub(in crate::audit) struct Leaves {
    links: Tree,
    groups: Vec<Place>,
    /// Where the next group would begin.
    end: Place,
}

/// Where a group begins.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// Octet of the file.
    octet: u64,
    /// Number of its first record, or of its link where it has none.
    first: u64,
}

/// A record, and what leads from it to the root of its segment.
pub(super) struct Way {
    pub octets: Vec<u8>,
    pub covered: Option<Covered>,
    /// Which group it is of, from 0, and how many there are.
    pub group: u64,
    pub groups: u64,
    /// The path of the group's link.
    pub path: Vec<Hash>,
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
            leaves.push_group(group.octet, group.link.first, group.records, group.link_octets);
            let numbers = group.link.first..;
            for (number, octets) in numbers.zip(records(group.records).chain([group.link_octets])) {
                each(number, octets);
            }
        }
        Ok(Some((leaves, segment)))
    }

    /// Adds a group of records and its link, whose chain value was found right. `octet` is where it begins in
    /// the file, `first` the number of its first record.
    pub fn push_group(&mut self, octet: u64, first: u64, group: &[u8], link: &[u8]) {
        self.groups.push(Place { octet, first });
        self.links.push(tree::leaf(link));
        let count = link.first_chunk().map_or(0, |link| Link::decode(link).count);
        self.end = Place {
            octet: octet + (group.len() + link.len()) as u64,
            first: first + u64::from(count) + 1,
        };
    }

    /// Records so far, links too.
    pub fn size(&self) -> u64 {
        self.groups.first().map_or(0, |begin| self.end.first - begin.first)
    }

    /// The root over all of them.
    pub fn root(&self) -> Hash {
        self.links.root()
    }

    /// Root and chain value that there were when there were `size` records. None if there never were so
    /// many, or none, or the last of them is no link.
    pub fn root_at(&self, path: &Path, size: u64) -> io::Result<Option<(Hash, Chain)>> {
        let Some(groups) = self.groups_of(size) else { return Ok(None) };
        let Some(root) = self.links.root_at(groups) else { return Ok(None) };
        let link = self.link(&File::open(path)?, groups - 1)?;
        Ok(Some((root, Link::decode(&link).chain)))
    }

    /// The groups that the first `size` records are.
    fn groups_of(&self, size: u64) -> Option<u64> {
        let next = self.groups.first()?.first.checked_add(size)?;
        let groups = self.groups.partition_point(|group| group.first < next);
        let end = self.groups.get(groups).unwrap_or(&self.end);
        (end.first == next && groups > 0).then_some(groups as u64)
    }

    /// What leads from record `number` to the root when there were `size` records; none where it was not
    /// among them.
    pub(super) fn way(&self, path: &Path, number: u64, size: u64) -> io::Result<Option<Way>> {
        let behind = self.groups.partition_point(|group| group.first <= number);
        let (Some(at), Some(groups)) = (behind.checked_sub(1), self.groups_of(size)) else {
            return Ok(None);
        };
        let Some(way_up) = self.links.path(at as u64, groups) else { return Ok(None) };
        let (Some(begin), end) =
            (self.groups.get(at), self.groups.get(behind).unwrap_or(&self.end))
        else {
            return Ok(None);
        };
        let file = File::open(path)?;
        let mut octets = vec![0; usize::try_from(end.octet - begin.octet).unwrap_or(0)];
        file.read_exact_at(&mut octets, begin.octet)?;
        let Some((group, link)) = octets.split_last_chunk::<LINK_OCTETS>() else { return Ok(None) };
        let index = number - begin.first;
        let mut of_group = Tree::default();
        records(group).for_each(|record| of_group.push(tree::leaf(record)));
        let (octets, covered) =
            match usize::try_from(index).ok().and_then(|n| records(group).nth(n)) {
                None => (link.to_vec(), None),
                Some(record) => {
                    let path = of_group.path(index, of_group.size()).unwrap_or_default();
                    let before = self.before(&file, at as u64)?;
                    (record.to_vec(), Some(Covered { path, before, link: *link }))
                }
            };
        Ok(Some(Way { octets, covered, group: at as u64, groups, path: way_up }))
    }

    /// The chain value before a group.
    fn before(&self, file: &File, group: u64) -> io::Result<Chain> {
        match group.checked_sub(1) {
            Some(previous) => Ok(Link::decode(&self.link(file, previous)?).chain),
            None => {
                let mut header = [0; HEADER_OCTETS];
                file.read_exact_at(&mut header, 0)?;
                Ok(chain_of_header(&header))
            }
        }
    }

    /// The link of a group: the last octets before the next one.
    fn link(&self, file: &File, group: u64) -> io::Result<[u8; LINK_OCTETS]> {
        let next = usize::try_from(group).ok().and_then(|group| self.groups.get(group + 1));
        let octet = next.unwrap_or(&self.end).octet.saturating_sub(LINK_OCTETS as u64);
        let mut link = [0; LINK_OCTETS];
        file.read_exact_at(&mut link, octet)?;
        Ok(link)
    }
}

/// The root over the records of a group, made in `frontier`, which keeps its room for the next one.
pub(in crate::audit) fn root_of(group: &[u8], frontier: &mut Frontier) -> Hash {
    frontier.clear();
    records(group).for_each(|record| frontier.push(tree::leaf(record)));
    frontier.root()
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
