//! The octets of the journal, field by field.
//!
//! A journal is a directory (mode 0700) of segment files (mode 0600) called
//! `journal-<number of the first record, 20 digits>.seg`. All integers are little-endian. All
//! times are microseconds since the Unix epoch, UTC. Nothing is ever changed after it is written;
//! octets only come off the end, and only those that no link covers.
//!
//! # Segment header: 128 octets
//!
//! | octets | field | |
//! |---|---|---|
//! | 0..8 | magic | `CNSTJRNL` |
//! | 8..10 | version | [`FORMAT_VERSION`] |
//! | 10..12 | header octets | 128: a later version may be longer |
//! | 12..16 | opening | how many times this journal has been opened, from 1 |
//! | 16..24 | sequence | number of the segment, from 1, without a gap |
//! | 24..32 | first record | number of the first record, also in the file's name |
//! | 32..40 | created | time |
//! | 40..72 | rules | SHA-256 of rules and registry in force when the segment begins |
//! | 72..104 | previous chain | chain value at the end of the segment before, zeros in the first |
//! | 104..124 | reserved | zeros |
//! | 124..128 | sum | CRC-32C of octets 0..124 |
//!
//! # Record: 16 octets of head, then the body
//!
//! | octets | field | |
//! |---|---|---|
//! | 0..2 | length | of the whole record, [`RECORD_HEAD_OCTETS`]..=[`RECORD_OCTETS_MAX`] |
//! | 2 | kind | what the body is: [`super::Kind`]. A reader passes over kinds it does not know |
//! | 3 | form | layout of the body within the kind: 0, or 1 where numbers are covered ([`super::sealed`]) |
//! | 4..8 | sum | CRC-32C of the record's number (u64), then octets 0..4, then octets 8..length |
//! | 8..16 | time | when it happened, as the recorder was told |
//! | 16.. | body | `record.rs` documents each kind |
//!
//! The first record has number 1 and every record, links too, has the next. The number is not
//! stored: the sum knows it, so a record that was dropped, swapped or moved is found where it is.
//!
//! # Link: 64 octets, kind 1
//!
//! Records are written in groups of at most [`GROUP_OCTETS_MAX`]. A link ends each group and
//! covers it. What no link covers was never acknowledged.
//!
//! | octets | field | |
//! |---|---|---|
//! | 0..16 | head | its time is that of the last record covered, so that no clock is read |
//! | 16..24 | first | number of the first record covered; the link's own number is first + count |
//! | 24..28 | count | records covered, 0 when the link only seals |
//! | 28 | ending | 0: more may follow in this segment; 1: sealed, another segment follows |
//! | 29..32 | reserved | zeros |
//! | 32..64 | chain | SHA-256 of 0x03, the chain value before, the root over the records covered ([`super::proof::tree`]: each is a leaf), and the link's own octets 0..4 and 8..32 |
//!
//! The chain value at the start of a segment is the SHA-256 of its header, which holds the chain
//! value of the segment before: no header, record, link, order or segment can change unseen,
//! unless everything after it is written anew. What was written anew as a whole is found by the
//! checkpoints, a kind of record of its own: [`super::proof`].
//!
//! The records of a group come into the chain by the root of their tree, so that each is hashed once for
//! two purposes: who is to be shown one of them gets the hashes beside its way up to the link, and none of
//! the others. The root stands for all of them, in their order and number, as their octets would
//! ([`super::proof::tree`] says why), so the chain covers what it covers in format 1, where the octets themselves
//! were hashed, and a second time for the proofs. A journal of format 1 is refused: the program that
//! wrote it verifies and exports it.
//!
//! # Session identifiers
//!
//! `opening << 40 | n`, n counting from 1 within the opening: unique in a journal for ever.

use sha2::{Digest, Sha256};

use super::proof::tree::Hash;

/// First octets of every segment.
pub const MAGIC: [u8; 8] = *b"CNSTJRNL";
/// The version this program writes and the only one it reads.
pub const FORMAT_VERSION: u16 = 2;
/// What is said of a journal in the format before.
pub(super) const EARLIER: &str = "it is of format 1, of an earlier version of this program: verify and export it \
     with that version, and begin a new journal in another folder ([audit] path)";
/// Octets of a segment header.
pub const HEADER_OCTETS: usize = 128;
/// Octets of a record before its body.
pub const RECORD_HEAD_OCTETS: usize = 16;
/// Octets of the longest record, head and body.
pub const RECORD_OCTETS_MAX: usize = u16::MAX as usize;
/// Octets of a link.
pub const LINK_OCTETS: usize = 64;
/// Octets of records that one link covers at most.
pub const GROUP_OCTETS_MAX: usize = 1 << 20;
/// The kind of a link, here because the frame of the journal depends on it.
pub const KIND_LINK: u8 = 1;
/// The kind that says that other rules are in force: the writer keeps their digest for headers.
pub(super) const KIND_RULES: u8 = 4;
/// Bits of a session identifier that count within an opening.
pub(super) const SESSION_BITS: u32 = 40;

/// A SHA-256 value that covers everything before it.
pub type Chain = [u8; 32];

/// The header of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// How many times the journal has been opened, from 1.
    pub opening: u32,
    /// Number of the segment, from 1.
    pub sequence: u64,
    /// Number of its first record.
    pub first: u64,
    /// When it was begun, microseconds since the Unix epoch.
    pub created_us: u64,
    /// Digest of rules and registry in force at its beginning.
    pub rules: [u8; 32],
    /// Chain value at the end of the segment before.
    pub previous: Chain,
}

impl Header {
    /// The octets as they stand in the file.
    pub fn encode(&self) -> [u8; HEADER_OCTETS] {
        let mut octets = [0; HEADER_OCTETS];
        octets[0..8].copy_from_slice(&MAGIC);
        octets[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        octets[10..12].copy_from_slice(&(HEADER_OCTETS as u16).to_le_bytes());
        octets[12..16].copy_from_slice(&self.opening.to_le_bytes());
        octets[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        octets[24..32].copy_from_slice(&self.first.to_le_bytes());
        octets[32..40].copy_from_slice(&self.created_us.to_le_bytes());
        octets[40..72].copy_from_slice(&self.rules);
        octets[72..104].copy_from_slice(&self.previous);
        let sum = crc32c::crc32c(&octets[..124]);
        octets[124..128].copy_from_slice(&sum.to_le_bytes());
        octets
    }

    /// Reads a header back; the error says what is wrong with it.
    pub fn decode(octets: &[u8; HEADER_OCTETS]) -> Result<Header, &'static str> {
        if octets[0..8] != MAGIC {
            return Err("the segment does not begin with CNSTJRNL");
        }
        if crc32c::crc32c(&octets[..124]) != u32_at(octets, 124) {
            return Err("the sum of the segment header is wrong");
        }
        if octets[8..10] == 1_u16.to_le_bytes() {
            return Err(EARLIER);
        }
        if octets[8..10] != FORMAT_VERSION.to_le_bytes()
            || octets[10..12] != (HEADER_OCTETS as u16).to_le_bytes()
        {
            return Err("the segment has a format version that this program does not read");
        }
        let mut rules = [0; 32];
        rules.copy_from_slice(&octets[40..72]);
        let mut previous = [0; 32];
        previous.copy_from_slice(&octets[72..104]);
        Ok(Header {
            opening: u32_at(octets, 12),
            sequence: u64_at(octets, 16),
            first: u64_at(octets, 24),
            created_us: u64_at(octets, 32),
            rules,
            previous,
        })
    }
}

/// What a link says, beside its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub time_us: u64,
    pub first: u64,
    pub count: u32,
    pub sealed: bool,
    pub chain: Chain,
}

impl Link {
    /// Covers the records of this root, which are numbered from `first` on and already carry their sums.
    pub fn over(
        previous: &Chain,
        root: &Hash,
        first: u64,
        count: u32,
        time_us: u64,
        sealed: bool,
    ) -> ([u8; LINK_OCTETS], Chain) {
        let mut octets = [0; LINK_OCTETS];
        octets[0..2].copy_from_slice(&(LINK_OCTETS as u16).to_le_bytes());
        octets[2] = KIND_LINK;
        octets[8..16].copy_from_slice(&time_us.to_le_bytes());
        octets[16..24].copy_from_slice(&first.to_le_bytes());
        octets[24..28].copy_from_slice(&count.to_le_bytes());
        octets[28] = u8::from(sealed);
        let chain = chain_after(previous, root, &octets);
        octets[32..64].copy_from_slice(&chain);
        let sum = record_sum(first + u64::from(count), &octets);
        octets[4..8].copy_from_slice(&sum.to_le_bytes());
        (octets, chain)
    }

    /// Reads a link whose length, kind and sum were found right.
    pub fn decode(octets: &[u8; LINK_OCTETS]) -> Link {
        let mut chain = [0; 32];
        chain.copy_from_slice(&octets[32..64]);
        Link {
            time_us: u64_at(octets, 8),
            first: u64_at(octets, 16),
            count: u32_at(octets, 24),
            sealed: octets[28] == 1,
            chain,
        }
    }

    /// Whether these octets are a whole link by themselves: a link knows its own number.
    pub fn stands_alone(octets: &[u8; LINK_OCTETS]) -> bool {
        octets[0..2] == (LINK_OCTETS as u16).to_le_bytes()
            && octets[2] == KIND_LINK
            && record_sum(u64_at(octets, 16).wrapping_add(u64::from(u32_at(octets, 24))), octets)
                == u32_at(octets, 4)
    }
}

/// The chain value after a group: the root over its records, then its link but for sum and chain.
pub(super) fn chain_after(previous: &Chain, root: &Hash, link: &[u8; LINK_OCTETS]) -> Chain {
    let mut hash = Sha256::new();
    hash.update([3]);
    hash.update(previous);
    hash.update(root);
    hash.update(&link[0..4]);
    hash.update(&link[8..32]);
    hash.finalize().into()
}

/// The chain value at the beginning of a segment.
pub(super) fn chain_of_header(header: &[u8; HEADER_OCTETS]) -> Chain {
    Sha256::digest(header).into()
}

/// The sum of a record: its number, then all its octets but the sum itself.
///
/// `record` has at least a head; one that is shorter has no sum that could be right.
pub(super) fn record_sum(number: u64, record: &[u8]) -> u32 {
    let (Some(front), Some(rest)) = (record.first_chunk::<4>(), record.get(8..)) else {
        return 0;
    };
    let mut start = [0; 12];
    start[0..8].copy_from_slice(&number.to_le_bytes());
    start[8..12].copy_from_slice(front);
    crc32c::crc32c_append(crc32c::crc32c(&start), rest)
}

/// The name of the segment that begins with record `first`.
pub fn segment_name(first: u64) -> String {
    format!("journal-{first:020}.seg")
}

/// The number in a segment's name; none if the file is not a segment.
pub fn segment_first(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("journal-")?.strip_suffix(".seg")?;
    if digits.len() != 20 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// The little-endian number at `at`; zero where there are no octets.
pub(super) fn u16_at(octets: &[u8], at: usize) -> u16 {
    octets.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |raw| u16::from_le_bytes(*raw))
}

/// The little-endian number at `at`; zero where there are no octets.
pub(super) fn u32_at(octets: &[u8], at: usize) -> u32 {
    octets.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |raw| u32::from_le_bytes(*raw))
}

/// The little-endian number at `at`; zero where there are no octets.
pub(super) fn u64_at(octets: &[u8], at: usize) -> u64 {
    octets.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |raw| u64::from_le_bytes(*raw))
}
