//! An index as it was made or read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::super::format::{Chain, u16_at, u32_at, u64_at};
use super::super::keys::IndexKey;
use super::filter::{self, BLOCK_OCTETS, BLOCKS_MAX};
use super::{MANY_SESSIONS, NUMBERS_UNREADABLE};

const MAGIC: [u8; 8] = *b"CNSTINDX";
const VERSION: u16 = 2;
/// Octets before the rule set.
const FIXED: usize = 116;
/// Octets of the longest head: [`SESSIONS_MAX`] binds and twice as many sessions.
const HEAD_OCTETS_MAX: usize = 32 << 20;
/// Octets of a head that are read at once: of most, all.
const HEAD_READ: usize = 16 << 10;
/// Binds, and sessions, listed at most.
pub(super) const SESSIONS_MAX: usize = 1 << 16;

/// The index that belongs to the segment beginning with record `first`.
pub fn index_name(first: u64) -> String {
    format!("journal-{first:020}.idx")
}

/// Which of the filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Senders and recipients.
    Numbers,
    /// Message_ids of answers.
    Ids,
    /// Messages of receipts.
    Receipts,
}

/// What is known of a sealed segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentIndex {
    pub flags: u8,
    pub verdicts: u8,
    pub first: u64,
    pub segment_octets: u64,
    pub earliest_us: u64,
    pub latest_us: u64,
    pub answers_since_us: u64,
    pub rules: u64,
    pub chain: Chain,
    pub key: [u8; 8],
    pub blocks: [u32; 3],
    pub rule_set: String,
    pub binds: Vec<(u64, String)>,
    pub asking: Vec<u64>,
    pub answering: Vec<u64>,
    head_octets: u32,
    /// The filters where there is no file with them.
    filters: Option<Vec<u8>>,
}

impl SegmentIndex {
    /// Whether one of these sessions is in a list of this index, sorted.
    pub fn has_one(&self, list: &[u64], sessions: impl IntoIterator<Item = u64>) -> bool {
        self.flags & MANY_SESSIONS != 0
            || sessions.into_iter().any(|session| list.binary_search(&session).is_ok())
    }

    /// Whether one of the tokens may be in a filter; true where that cannot be told.
    pub fn may_hold(&self, directory: &Path, of: Of, tokens: &[u64]) -> bool {
        if of == Of::Numbers && self.flags & NUMBERS_UNREADABLE != 0 {
            return true;
        }
        self.look(directory, of, tokens).unwrap_or(true)
    }

    fn look(&self, directory: &Path, of: Of, tokens: &[u64]) -> Option<bool> {
        let before: u64 = self.blocks.iter().take(of as usize).map(|count| u64::from(*count)).sum();
        let blocks = *self.blocks.get(of as usize)? as usize;
        let file = match self.filters {
            Some(_) => None,
            None => Some(File::open(directory.join(index_name(self.first))).ok()?),
        };
        for token in tokens {
            let at = filter::block_of(*token, blocks);
            let octet = (before + at as u64) * BLOCK_OCTETS as u64;
            let mut block = [0; BLOCK_OCTETS];
            match (&file, &self.filters) {
                (Some(file), _) => {
                    file.read_exact_at(&mut block, u64::from(self.head_octets) + octet).ok()?;
                }
                (None, Some(filters)) => {
                    let octet = octet as usize;
                    block.copy_from_slice(filters.get(octet..octet + BLOCK_OCTETS)?);
                }
                (None, None) => return None,
            }
            if filter::may_hold(at, &block, *token)? {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Puts the filters in.
    pub fn fill(&mut self, filters: [Vec<u8>; 3]) {
        for (count, filter) in self.blocks.iter_mut().zip(&filters) {
            *count = (filter.len() / BLOCK_OCTETS) as u32;
        }
        self.filters = Some(filters.concat());
    }

    fn encode_head(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(FIXED);
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&VERSION.to_le_bytes());
        head.extend_from_slice(&[self.flags, self.verdicts, 0, 0, 0, 0]);
        let numbers = [
            self.first,
            self.segment_octets,
            self.earliest_us,
            self.latest_us,
            self.answers_since_us,
            self.rules,
        ];
        numbers.iter().for_each(|number| head.extend_from_slice(&number.to_le_bytes()));
        head.extend_from_slice(&self.chain);
        head.extend_from_slice(&self.key);
        self.blocks.iter().for_each(|count| head.extend_from_slice(&count.to_le_bytes()));
        let text = |head: &mut Vec<u8>, text: &str| {
            let text = text.as_bytes();
            let cut = text.get(..usize::from(u8::MAX)).unwrap_or(text);
            head.push(cut.len() as u8);
            head.extend_from_slice(cut);
        };
        text(&mut head, &self.rule_set);
        head.extend_from_slice(&(self.binds.len() as u32).to_le_bytes());
        for (session, provider) in &self.binds {
            head.extend_from_slice(&session.to_le_bytes());
            text(&mut head, provider);
        }
        for list in [&self.asking, &self.answering] {
            head.extend_from_slice(&(list.len() as u32).to_le_bytes());
            list.iter().for_each(|session| head.extend_from_slice(&session.to_le_bytes()));
        }
        let octets = (head.len() + 4) as u32;
        head[12..16].copy_from_slice(&octets.to_le_bytes());
        let sum = crc32c::crc32c(&head);
        head.extend_from_slice(&sum.to_le_bytes());
        head
    }

    /// Writes it, whole or not at all, and lets go of its filters. It need not be on the disk: it can
    /// be made again.
    pub fn write(&mut self, directory: &Path) -> io::Result<()> {
        let head = self.encode_head();
        let path = directory.join(index_name(self.first));
        let draft = path.with_extension(format!("idx-{}", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        let written = file
            .write_all(&head)
            .and_then(|()| file.write_all(self.filters.as_deref().unwrap_or_default()))
            .and_then(|()| std::fs::rename(&draft, &path));
        if let Err(error) = written {
            let _ = std::fs::remove_file(&draft);
            return Err(error);
        }
        self.head_octets = head.len() as u32;
        self.filters = None;
        Ok(())
    }

    /// Reads the index of a segment; none if there is none, or it is damaged, or of another key.
    pub fn read(directory: &Path, first: u64, key: &IndexKey) -> Option<SegmentIndex> {
        let mut file = File::open(directory.join(index_name(first))).ok()?;
        let mut octets = vec![0; HEAD_READ];
        let got = read_full(&mut file, &mut octets)?;
        octets.truncate(got);
        let head_octets = u32_at(&octets, 12) as usize;
        if octets.len() < FIXED || head_octets > HEAD_OCTETS_MAX {
            return None;
        }
        let had = octets.len();
        octets.resize(head_octets, 0);
        if head_octets > had && read_full(&mut file, octets.get_mut(had..)?)? < head_octets - had {
            return None;
        }
        let index = SegmentIndex::decode(&octets)?;
        let blocks: u64 = index.blocks.iter().map(|count| u64::from(*count)).sum();
        let is_whole =
            file.metadata().ok()?.len() == head_octets as u64 + blocks * BLOCK_OCTETS as u64;
        (is_whole && index.first == first && index.key == key.name()).then_some(index)
    }

    fn decode(octets: &[u8]) -> Option<SegmentIndex> {
        let (head, sum) = octets.split_last_chunk::<4>()?;
        let is_right = crc32c::crc32c(head) == u32_at(sum, 0)
            && head.get(0..8)? == MAGIC
            && u16_at(head, 8) == VERSION;
        if !is_right {
            return None;
        }
        let mut rest = Rest(head.get(FIXED..)?);
        let blocks = [104, 108, 112].map(|at| u32_at(head, at));
        if blocks.iter().any(|count| *count == 0 || *count as usize > BLOCKS_MAX) {
            return None;
        }
        let index = SegmentIndex {
            flags: *head.get(10)?,
            verdicts: *head.get(11)?,
            first: u64_at(head, 16),
            segment_octets: u64_at(head, 24),
            earliest_us: u64_at(head, 32),
            latest_us: u64_at(head, 40),
            answers_since_us: u64_at(head, 48),
            rules: u64_at(head, 56),
            chain: head.get(64..96)?.try_into().ok()?,
            key: head.get(96..104)?.try_into().ok()?,
            blocks,
            rule_set: rest.text()?,
            binds: rest.list(|rest| Some((rest.number()?, rest.text()?)))?,
            asking: rest.list(Rest::number)?,
            answering: rest.list(Rest::number)?,
            head_octets: octets.len() as u32,
            filters: None,
        };
        rest.0.is_empty().then_some(index)
    }
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take(&mut self, octets: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(octets)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take(8).map(|raw| u64_at(raw, 0))
    }

    fn text(&mut self) -> Option<String> {
        let octets = usize::from(*self.take(1)?.first()?);
        Some(String::from_utf8_lossy(self.take(octets)?).into_owned())
    }

    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.take(4).map(|raw| u32_at(raw, 0))? as usize;
        if count > SESSIONS_MAX {
            return None;
        }
        (0..count).map(|_| one(self)).collect()
    }
}

/// Reads until the buffer is full or the file ends; says how much.
fn read_full(file: &mut File, buffer: &mut [u8]) -> Option<usize> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    Some(got)
}
