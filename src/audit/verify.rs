//! The whole proof of a journal, or the first place where it fails.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::format::{Chain, HEADER_OCTETS, segment_name, u64_at};
use super::keys::PublicKey;
use super::proof::{Leaves, Signed};
use super::read::{Ending, ReadFault, Walk, Walked, decode, split_record};
use super::record::Record;
use super::recover::cut_off;
use super::retention::{Purged, PurgedFile, kept};
use super::sealed::Sidecars;
use super::segment::{Fault, SegmentFile};

/// What was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Segments walked.
    pub segments: u64,
    /// Records in them, links counted.
    pub records: u64,
    /// Octets of headers, records and links; a torn tail is not counted.
    pub octets: u64,
    /// Records by the number of their kind.
    pub by_kind: [u64; 256],
    /// The earliest time of a record, microseconds since the Unix epoch.
    pub first_us: u64,
    /// The latest time of a record.
    pub last_us: u64,
    /// How the files with the wrapped keys of the segments were found.
    pub sidecars: Sidecars,
    /// The chain value at the end: two journals with the same value are the same.
    pub chain: Chain,
    /// Checkpoints whose root and chain value are those of the records they cover: in the journal, and
    /// those that it was held against.
    pub checkpoints: u64,
    /// Number of the last record that a checkpoint covers whose signature was checked; 0 for none.
    pub signed_through: u64,
    /// Segments that were purged, each with its purge on record.
    pub purged: u64,
    /// Records that outlived their segments and are as they were signed.
    pub kept: u64,
    /// How it ends. Cutting whole groups off the end leaves [`Ending::Open`], which is also what
    /// a running or a killed proxy leaves: only a later checkpoint tells them apart.
    pub ending: Ending,
}

/// What a journal is held against beside itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Against<'a> {
    /// The keys that may have signed its checkpoints. Without any, signatures are not checked.
    pub keys: &'a [PublicKey],
    /// Checkpoints kept elsewhere: what they say must be in the journal.
    pub checkpoints: &'a [Signed],
}

/// Checks every header, sum, link, seam and root of the journal, and the newest checkpoint beside it;
/// also of a journal that is being written. Signatures are not checked.
pub fn verify(directory: &Path) -> Result<Verified, ReadFault> {
    verify_against(directory, &Against::default())
}

/// The same, with the signatures and with what was kept elsewhere.
pub fn verify_against(directory: &Path, against: &Against<'_>) -> Result<Verified, ReadFault> {
    verify_each(directory, against, &mut |_, _| ())
}

/// The same; `each` gets number and octets of every record, links too, as they come by: up to the place where
/// it fails.
pub fn verify_each(
    directory: &Path,
    against: &Against<'_>,
    each: &mut dyn FnMut(u64, &[u8]),
) -> Result<Verified, ReadFault> {
    // Before the walk: a journal that is written meanwhile may have a newer one afterwards.
    let newest = newest(directory)?;
    let mut walk = Walk::open(directory)?;
    let gone = PurgedFile::read(directory)
        .map_err(|source| ReadFault::Io { path: directory.to_owned(), source })?;
    let mut check = Check::new(directory, against, newest, gone);
    let ending = loop {
        let mut held = Ok(());
        let ending = walk.next(&mut |walked| held = check.group(&walked, each))?;
        held?;
        if let Some(ending) = ending {
            break ending;
        }
    };
    check.nothing_is_missing(walk.number())?;
    check.purges_are_recorded(&walk.bridged)?;
    let mut verified = check.verified;
    verified.segments = walk.segments;
    verified.octets += walk.segments * HEADER_OCTETS as u64;
    verified.first_us = verified.first_us.min(verified.last_us);
    verified.chain = walk.chain();
    verified.ending = ending;
    Ok(verified)
}

/// The newest checkpoint beside the journal; one that cannot be read is a fault of the journal.
fn newest(directory: &Path) -> Result<Option<Signed>, ReadFault> {
    Signed::newest(directory).map_err(|unreadable| {
        let file = unreadable.file.file_name().unwrap_or_default();
        ReadFault::Broken(Fault {
            segment: file.to_string_lossy().into_owned(),
            record: 0,
            octet: 0,
            what: unreadable.says,
        })
    })
}

/// A segment and its tree.
#[derive(Default)]
struct Tree {
    sequence: u64,
    first: u64,
    path: PathBuf,
    leaves: Leaves,
}

struct Check<'a> {
    directory: &'a Path,
    keys: &'a [PublicKey],
    verified: Verified,
    /// The segment at hand, and the one before it: a checkpoint is rarely about another.
    at: Tree,
    before: Tree,
    /// What `purged.json` says, read again where a segment vanishes; whether that is on record is looked at in the end.
    gone: PurgedFile,
    /// Checkpoints from outside whose records have not come by, the next one last.
    open: Vec<Signed>,
    /// Those whose segments were purged.
    outlived: Vec<Signed>,
    /// Name of the segment at hand, and octet where the next group begins.
    end: (String, u64),
    /// What the journal says was purged, by sequence number.
    purged: BTreeMap<u64, Purged>,
}

impl<'a> Check<'a> {
    fn new(
        directory: &'a Path,
        against: &Against<'a>,
        newest: Option<Signed>,
        gone: PurgedFile,
    ) -> Check<'a> {
        let mut open: Vec<Signed> =
            newest.into_iter().chain(against.checkpoints.iter().cloned()).collect();
        open.sort_by_key(|signed| std::cmp::Reverse(signed.checkpoint.end()));
        Check {
            directory,
            keys: against.keys,
            verified: Verified {
                segments: 0,
                records: 0,
                octets: 0,
                by_kind: [0; 256],
                first_us: u64::MAX,
                last_us: 0,
                sidecars: Sidecars::default(),
                chain: [0; 32],
                checkpoints: 0,
                signed_through: 0,
                purged: 0,
                kept: 0,
                ending: Ending::Open,
            },
            at: Tree::default(),
            before: Tree::default(),
            gone,
            open,
            outlived: Vec::new(),
            end: (String::new(), 0),
            purged: BTreeMap::new(),
        }
    }

    fn group(
        &mut self,
        walked: &Walked<'_>,
        each: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<(), ReadFault> {
        if walked.sequence != self.at.sequence {
            let next = Tree {
                sequence: walked.sequence,
                first: walked.first,
                path: walked.path.to_owned(),
                leaves: Leaves::default(),
            };
            self.before = std::mem::replace(&mut self.at, next);
        }
        self.at.leaves.push_group(walked.octet, walked.first, walked.records, walked.link);
        if let Some((record, _)) = split_record(walked.records)
            && let Record::Keys(keys) = decode(record)
            && walked.first == keys.first
            && let Some(fault) = self.verified.sidecars.look(self.directory, walked, &keys)
        {
            return Err(fault);
        }
        self.verified.octets += (walked.records.len() + walked.link.len()) as u64;
        let mut octet = walked.octet;
        let mut number = walked.first;
        for mut records in [walked.records, walked.link] {
            while let Some((record, rest)) = split_record(records) {
                each(number, record);
                self.verified.count(record);
                if let Record::Checkpoint(signed) = decode(record) {
                    self.checkpoint(&signed).map_err(|what| {
                        let segment = walked.segment.to_owned();
                        ReadFault::Broken(Fault { segment, record: number, octet, what })
                    })?;
                }
                if let Record::Purge(purge) = decode(record) {
                    self.purged.insert(purge.sequence, purge.purged());
                }
                octet += record.len() as u64;
                number += 1;
                records = rest;
            }
        }
        walked.segment.clone_into(&mut self.end.0);
        self.end.1 = octet;
        self.outside(walked.segment, number)
    }

    /// A checkpoint in the journal: of records before it.
    fn checkpoint(&mut self, signed: &Signed) -> Result<(), String> {
        self.signature(signed)?;
        let was = &signed.checkpoint;
        let tree = [&self.at, &self.before].into_iter().find(|tree| tree.sequence == was.segment);
        let right = match tree {
            Some(tree) => tree.first == was.first && is_as_signed(&tree.leaves, &tree.path, signed),
            None if self.gone.has(was.first) => return Ok(()),
            None => self.read_again(signed),
        };
        if !right && self.is_purged(was.first) {
            return Ok(());
        }
        if !right {
            return Err(not_as_signed(signed));
        }
        self.holds(signed);
        Ok(())
    }

    /// Whether a segment, which was there when the walk began, was purged since: its file is not there, and
    /// `purged.json`, which is written before, names it.
    fn is_purged(&mut self, first: u64) -> bool {
        if self.directory.join(segment_name(first)).exists() {
            return false;
        }
        if let Ok(gone) = PurgedFile::read(self.directory) {
            self.gone = gone;
        }
        self.gone.has(first)
    }

    /// A checkpoint of a segment that was passed long ago.
    fn read_again(&self, signed: &Signed) -> bool {
        let (first, name) = (signed.checkpoint.first, segment_name(signed.checkpoint.first));
        let file = SegmentFile { path: self.directory.join(&name), name, first };
        let read = Leaves::of(&file, &mut |_, _| ()).ok().flatten();
        read.is_some_and(|(leaves, segment)| {
            segment.header.sequence == signed.checkpoint.segment
                && is_as_signed(&leaves, &file.path, signed)
        })
    }

    /// Checkpoints from outside that cover the journal up to here.
    fn outside(&mut self, segment: &str, next: u64) -> Result<(), ReadFault> {
        while let Some(signed) = self.open.pop_if(|signed| signed.checkpoint.end() <= next) {
            let was = &signed.checkpoint;
            if self.gone.has(was.first) {
                self.outlived.push(signed);
                continue;
            }
            let here = (was.segment, was.first, was.end())
                == (self.at.sequence, self.at.first, next)
                && is_as_signed(&self.at.leaves, &self.at.path, &signed);
            let fault = |what| {
                let segment = segment.to_owned();
                ReadFault::Broken(Fault { segment, record: was.first, octet: 0, what })
            };
            self.signature(&signed).map_err(fault)?;
            if !here && self.is_purged(was.first) {
                self.outlived.push(signed);
                continue;
            }
            if !here {
                return Err(fault(not_as_signed(&signed)));
            }
            self.holds(&signed);
        }
        Ok(())
    }

    /// At the end: every checkpoint from outside has come by.
    fn nothing_is_missing(&self, next: u64) -> Result<(), ReadFault> {
        let Some(signed) = self.open.iter().max_by_key(|signed| signed.checkpoint.end()) else {
            return Ok(());
        };
        let (segment, octet) = self.end.clone();
        let what = cut_off(signed);
        Err(ReadFault::Broken(Fault { segment, record: next, octet, what }))
    }

    /// At the end: what is not there was purged, and the purge is on record. What outlived it is as it
    /// was signed.
    fn purges_are_recorded(&mut self, bridged: &[Purged]) -> Result<(), ReadFault> {
        for one in bridged {
            let io = |source| ReadFault::Io { path: self.directory.to_owned(), source };
            for proof in kept(self.directory, one.first).map_err(io)? {
                let checked = match self.keys {
                    [] => proof.check_path(),
                    keys => proof.check(keys),
                };
                checked.map_err(|why| {
                    broken(
                        one.first,
                        format!("what is kept of record {} is worth nothing: {why}", proof.record),
                    )
                })?;
                if let Record::Purge(purge) = decode(&proof.octets) {
                    self.purged.insert(purge.sequence, purge.purged());
                }
                self.verified.kept += 1;
            }
        }
        for (at, one) in bridged.iter().enumerate() {
            // The record of an earlier purge may itself have been purged: the chain value at the end of
            // the last segment covers those before it.
            let is_last = bridged.get(at + 1).is_none_or(|next| next.sequence != one.sequence + 1);
            let recorded = self.purged.get(&one.sequence);
            if recorded.map_or(is_last, |recorded| recorded != one) {
                let what = "the segment is missing, and no purge of it is on record".to_owned();
                return Err(broken(one.first, what));
            }
            // Of a segment that was purged the chain value at its end is left.
            let is_of_all = |signed: &&Signed| {
                (signed.checkpoint.first, signed.checkpoint.end()) == (one.first, one.next)
            };
            for signed in self.outlived.iter().filter(is_of_all) {
                self.signature(signed).map_err(|what| broken(one.first, what))?;
                if signed.checkpoint.chain != one.chain {
                    return Err(broken(one.first, not_as_signed(signed)));
                }
            }
        }
        self.verified.purged = bridged.len() as u64;
        Ok(())
    }

    fn signature(&self, signed: &Signed) -> Result<(), String> {
        if self.keys.is_empty() || self.keys.iter().any(|key| signed.is_by(*key)) {
            return Ok(());
        }
        Err(format!(
            "the checkpoint of records {} to {} is not signed by this key",
            signed.checkpoint.first,
            signed.checkpoint.end().saturating_sub(1)
        ))
    }

    fn holds(&mut self, signed: &Signed) {
        self.verified.checkpoints += 1;
        if !self.keys.is_empty() {
            let through = signed.checkpoint.end().saturating_sub(1);
            self.verified.signed_through = self.verified.signed_through.max(through);
        }
    }
}

fn broken(first: u64, what: String) -> ReadFault {
    ReadFault::Broken(Fault { segment: segment_name(first), record: first, octet: 0, what })
}

/// Whether a tree had the root that was signed, and the chain the value, at the size that was signed.
fn is_as_signed(leaves: &Leaves, path: &Path, signed: &Signed) -> bool {
    let was = &signed.checkpoint;
    matches!(leaves.root_at(path, was.size), Ok(Some(found)) if found == (was.root, was.chain))
}

fn not_as_signed(signed: &Signed) -> String {
    format!(
        "records {} to {} are not those that were signed: they were written anew",
        signed.checkpoint.first,
        signed.checkpoint.end().saturating_sub(1)
    )
}

impl Verified {
    fn count(&mut self, record: &[u8]) {
        let kind = record.get(2).copied().unwrap_or_default();
        if let Some(count) = self.by_kind.get_mut(usize::from(kind)) {
            *count += 1;
        }
        let time_us = u64_at(record, 8);
        self.first_us = self.first_us.min(time_us);
        self.last_us = self.last_us.max(time_us);
        self.records += 1;
    }
}
