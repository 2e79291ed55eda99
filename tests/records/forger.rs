//! Somebody who has a node: its journal, and the key that signs it. Whatever is changed, all sums, links, headers
//! and names are made to fit again, and every checkpoint is signed anew: the journal verifies by itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use consentry::audit::keys::SigningKey;
use consentry::audit::proof::{Checkpoint, Signed, tree};
use sha2::{Digest, Sha256};

use crate::nodes::NOW_US;

const CHECKPOINT: u8 = 13;

/// A segment taken apart: its header, and its groups of records with the links behind them.
#[derive(Clone)]
pub struct Segment {
    header: [u8; 128],
    pub groups: Vec<(Vec<Vec<u8>>, Vec<u8>)>,
}

pub fn segments(journal: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(journal).expect("listed");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "seg"));
    files.sort();
    files
}

/// Takes a whole journal apart.
pub fn take_apart(journal: &Path) -> Vec<Segment> {
    let read = |file: &PathBuf| std::fs::read(file).expect("read");
    segments(journal).iter().map(|file| segment(&read(file))).collect()
}

fn segment(octets: &[u8]) -> Segment {
    let (header, mut rest) = octets.split_first_chunk().expect("a header");
    let mut taken = Segment { header: *header, groups: Vec::new() };
    let mut group = Vec::new();
    while let Some(head) = rest.first_chunk::<3>() {
        let (record, behind) = rest.split_at(usize::from(u16::from_le_bytes([head[0], head[1]])));
        match head[2] {
            1 => taken.groups.push((std::mem::take(&mut group), record.to_vec())),
            _ => group.push(record.to_vec()),
        }
        rest = behind;
    }
    taken
}

/// The tree of a segment as it grows.
#[derive(Default)]
struct Tree {
    first: u64,
    links: tree::Frontier,
    /// Roots and chain values behind links, by the records up to them.
    behind: BTreeMap<u64, ([u8; 32], [u8; 32])>,
}

impl Tree {
    /// What is signed of it at the last link within so many records.
    fn signed(&self, sequence: u64, size: u64, time_us: u64, key: &SigningKey) -> Signed {
        let (size, (root, chain)) = self.behind.range(..=size).next_back().expect("a link");
        let checkpoint = Checkpoint {
            segment: sequence,
            first: self.first,
            size: *size,
            root: *root,
            chain: *chain,
            time_us,
            key: [0; 32],
        };
        Signed::sign(checkpoint, key)
    }
}

/// Puts a journal together again and signs it.
pub fn put_together(segments: &[Segment], journal: &Path, key: &SigningKey) {
    for file in self::segments(journal) {
        std::fs::remove_file(file).expect("removed");
    }
    let (mut number, mut chain) = (1_u64, [0_u8; 32]);
    let mut trees: BTreeMap<u64, Tree> = BTreeMap::new();
    for (sequence, segment) in (1_u64..).zip(segments) {
        let first = number;
        let mut header = segment.header;
        header[16..24].copy_from_slice(&sequence.to_le_bytes());
        header[24..32].copy_from_slice(&first.to_le_bytes());
        header[72..104].copy_from_slice(&chain);
        let sum = crc32c::crc32c(&header[..124]).to_le_bytes();
        header[124..].copy_from_slice(&sum);
        chain = Sha256::digest(header).into();
        trees.insert(sequence, Tree { first, ..Tree::default() });
        let mut octets = header.to_vec();
        for (group, link) in &segment.groups {
            let begin = number;
            let (mut covered, mut records) = (Vec::new(), tree::Frontier::default());
            for record in group {
                let record = summed(signed_anew(record, &trees, key), number);
                records.push(tree::leaf(&record));
                covered.extend(record);
                number += 1;
            }
            let mut link = link.clone();
            link[16..24].copy_from_slice(&begin.to_le_bytes());
            link[24..28].copy_from_slice(&(group.len() as u32).to_le_bytes());
            let hash = Sha256::new().chain_update([3]).chain_update(chain);
            let hash = hash.chain_update(records.root());
            chain = hash.chain_update(&link[0..4]).chain_update(&link[8..32]).finalize().into();
            link[32..].copy_from_slice(&chain);
            let link = summed(link, number);
            let tree = trees.get_mut(&sequence).expect("it");
            tree.links.push(tree::leaf(&link));
            tree.behind.insert(number + 1 - first, (tree.links.root(), chain));
            octets.extend(covered);
            octets.extend(link);
            number += 1;
        }
        std::fs::write(journal.join(format!("journal-{first:020}.seg")), octets).expect("written");
    }
    let (sequence, last) = trees.last_key_value().expect("a segment");
    let newest = last.signed(*sequence, u64::MAX, NOW_US, key);
    let mut newest = newest.to_json();
    newest["from"] = last.first.into();
    std::fs::write(Signed::file(journal), newest.to_string()).expect("written");
}

/// A checkpoint's record says what is there now, signed; every other record is as it was.
fn signed_anew(record: &[u8], trees: &BTreeMap<u64, Tree>, key: &SigningKey) -> Vec<u8> {
    let mut record = record.to_vec();
    if record[2] != CHECKPOINT {
        return record;
    }
    let number = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().expect("octets"));
    let (sequence, size, time_us) = (number(16), number(32), number(104));
    let Some(tree) = trees.get(&sequence) else { return record };
    let Signed { checkpoint, signature } = tree.signed(sequence, size, time_us, key);
    record[24..32].copy_from_slice(&checkpoint.first.to_le_bytes());
    record[32..40].copy_from_slice(&checkpoint.size.to_le_bytes());
    record[40..72].copy_from_slice(&checkpoint.root);
    record[72..104].copy_from_slice(&checkpoint.chain);
    record[112..144].copy_from_slice(&checkpoint.key);
    record[144..208].copy_from_slice(&signature);
    record
}

fn summed(mut record: Vec<u8>, number: u64) -> Vec<u8> {
    let covered = [&number.to_le_bytes()[..], &record[0..4], &record[8..]].concat();
    record[4..8].copy_from_slice(&crc32c::crc32c(&covered).to_le_bytes());
    record
}
