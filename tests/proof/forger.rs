//! Somebody who may write every file of a journal, knows its format, and has not the key: whatever is
//! changed, all sums, links and headers are made to fit again.

use std::path::Path;

use sha2::{Digest, Sha256};

/// A segment taken apart: its header, and its groups of records without their links.
#[derive(Clone)]
pub struct Segment {
    header: [u8; 128],
    pub groups: Vec<Vec<Vec<u8>>>,
    /// The links as they were, for their times.
    links: Vec<Vec<u8>>,
}

/// Takes a whole journal apart.
pub fn take_apart(journal: &Path) -> Vec<Segment> {
    super::segments(journal)
        .iter()
        .map(|file| segment(&std::fs::read(file).expect("read")))
        .collect()
}

fn segment(octets: &[u8]) -> Segment {
    let (header, mut rest) = octets.split_first_chunk().expect("a header");
    let mut taken = Segment { header: *header, groups: Vec::new(), links: Vec::new() };
    let mut group = Vec::new();
    while let Some(head) = rest.first_chunk::<3>() {
        let (record, behind) = rest.split_at(usize::from(u16::from_le_bytes([head[0], head[1]])));
        match head[2] {
            1 => {
                taken.groups.push(std::mem::take(&mut group));
                taken.links.push(record.to_vec());
            }
            _ => group.push(record.to_vec()),
        }
        rest = behind;
    }
    taken
}

/// Puts a journal together again, every sum, link, header and file name right.
pub fn put_together(segments: &[Segment], journal: &Path) {
    for file in super::segments(journal) {
        std::fs::remove_file(file).expect("removed");
    }
    let (mut number, mut chain) = (1u64, [0u8; 32]);
    for (sequence, segment) in (1u64..).zip(segments) {
        let first = number;
        let mut header = segment.header;
        header[16..24].copy_from_slice(&sequence.to_le_bytes());
        header[24..32].copy_from_slice(&first.to_le_bytes());
        header[72..104].copy_from_slice(&chain);
        let sum = crc32c::crc32c(&header[..124]).to_le_bytes();
        header[124..].copy_from_slice(&sum);
        chain = Sha256::digest(header).into();
        let mut octets = header.to_vec();
        for (group, link) in segment.groups.iter().zip(&segment.links) {
            let begin = number;
            let (mut covered, mut leaves) = (Vec::new(), Vec::new());
            for record in group {
                let record = summed(record.clone(), number);
                leaves
                    .push(Sha256::new().chain_update([0]).chain_update(&record).finalize().into());
                covered.extend(record);
                number += 1;
            }
            let mut link = link.clone();
            link[16..24].copy_from_slice(&begin.to_le_bytes());
            link[24..28].copy_from_slice(&(group.len() as u32).to_le_bytes());
            let hash =
                Sha256::new().chain_update([3]).chain_update(chain).chain_update(root(&leaves));
            chain = hash.chain_update(&link[0..4]).chain_update(&link[8..32]).finalize().into();
            link[32..].copy_from_slice(&chain);
            octets.extend(covered);
            octets.extend(summed(link, number));
            number += 1;
        }
        std::fs::write(journal.join(format!("journal-{first:020}.seg")), octets).expect("written");
    }
}

/// The root of a list, as the format has it.
pub fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    let mut nodes = leaves.to_vec();
    while nodes.len() > 1 {
        let over = |some: &[[u8; 32]]| Sha256::new().chain_update([1]).chain_update(some.concat());
        nodes = nodes.chunks(16).map(|some| over(some).finalize().into()).collect();
    }
    let size = (leaves.len() as u64).to_le_bytes();
    let highest = nodes.first().copied().unwrap_or_default();
    Sha256::new().chain_update([2]).chain_update(size).chain_update(highest).finalize().into()
}

fn summed(mut record: Vec<u8>, number: u64) -> Vec<u8> {
    let covered = [&number.to_le_bytes()[..], &record[0..4], &record[8..]].concat();
    record[4..8].copy_from_slice(&crc32c::crc32c(&covered).to_le_bytes());
    record
}

impl Segment {
    /// Cuts the segment after so many groups.
    pub fn cut(&mut self, groups: usize) {
        self.groups.truncate(groups);
        self.links.truncate(groups);
    }

    /// Drops one group and its link.
    pub fn drop_group(&mut self, group: usize) {
        self.groups.remove(group);
        self.links.remove(group);
    }
}
