//! One record and all that proves it: its octets, what leads from them to the root, and the checkpoint that signs it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::format::{Chain, KIND_LINK, LINK_OCTETS, Link, chain_after, record_sum};
use super::super::keys::PublicKey;
use super::super::kind::Kind;
use super::super::read::{Kept, ReadFault, decode, fault};
use super::super::record::Record;
use super::super::retention::{Purged, PurgedFile, kept};
use super::super::sealed::{FORM_SEALED, Gone, KeyRing, Purpose, RecordKey, disclosed};
use super::super::segment::{Fault, Next, Segment, SegmentFile, list};
use super::checkpoint::{CheckpointFault, Signed};
use super::leaves::{Leaves, Way};
use super::tree::{self, Hash, PATH_MAX};
use super::{hex, unhex, unhex_array};

/// The key of a proof's object that says what it is, and the version of its form.
const TITLE: (&str, u64) = ("consentry_proof", 2);

/// What proves one record to whoever has the public key, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The record's number.
    pub record: u64,
    /// Its octets, head and body.
    pub octets: Vec<u8>,
    /// The link that covers it; none where the record is a link itself.
    pub covered: Option<Covered>,
    /// Which of the segment's links that is, from 0.
    pub group: u64,
    /// Links that the checkpoint covers.
    pub groups: u64,
    /// The hashes beside the link's way to the root, from below.
    pub path: Vec<Hash>,
    /// The root, signed.
    pub checkpoint: Signed,
    /// The key of what is encrypted in this record and in no other, where that is to be shown.
    pub key: Option<RecordKey>,
}

/// The link that covers a record, and what leads from the record to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// The hashes beside the record's way to the root of its group, from below.
    pub path: Vec<Hash>,
    /// The chain value before the group.
    pub before: Chain,
    /// The octets of the link: its chain value is made of that one and the root.
    pub link: [u8; LINK_OCTETS],
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// Not an object as `audit prove` writes it.
    #[error("it is no proof of a record, or one of a later version")]
    Malformed,
    /// One of a journal of format 1.
    #[error(
        "it is a proof of an earlier form, of a journal of format 1: check it with the version that made it"
    )]
    Earlier,
    /// The checkpoint was not signed by any of the keys at hand.
    #[error("its checkpoint is not signed by this key")]
    Signature,
    /// The path does not lead from the record to the root that was signed.
    #[error("the record is not the one that was signed, or not in its place")]
    Path,
    /// The record's own sum does not fit its number.
    #[error("the record's own sum is wrong")]
    Sum,
    /// What is encrypted in the record does not open with the key that comes with it.
    #[error("the key that comes with it does not open the record")]
    Key,
}

impl Proof {
    /// As one JSON object; its keys are stable and stand in the order of the alphabet.
    pub fn to_json(&self) -> Value {
        let path = |path: &[Hash]| path.iter().map(|hash| hex(hash)).collect::<Vec<String>>();
        let mut value = json!({
            TITLE.0: TITLE.1,
            "record": self.record,
            "octets": hex(&self.octets),
            "group": self.group,
            "groups": self.groups,
            "path": path(&self.path),
            "checkpoint": self.checkpoint.to_json(),
        });
        if let Some(Covered { path: way, before, link }) = &self.covered {
            value["covered"] =
                json!({ "path": path(way), "before": hex(before), "link": hex(link) });
        }
        if let Some(key) = &self.key {
            value["record_key"] = hex(&key.0).into();
        }
        value
    }

    /// Reads [`Proof::to_json`] back; other keys are passed over.
    pub fn from_json(value: &Value) -> Result<Proof, ProofFault> {
        let form = value.get(TITLE.0).and_then(Value::as_u64);
        if form == Some(1) {
            return Err(ProofFault::Earlier);
        }
        let path = |value: &Value| {
            let path = value.get("path")?.as_array().filter(|path| path.len() <= PATH_MAX)?;
            let path = path.iter().map(|hash| unhex_array(hash.as_str()?));
            path.collect::<Option<Vec<Hash>>>()
        };
        let covered = |value: &Value| {
            Some(Covered {
                path: path(value)?,
                before: unhex_array(value.get("before")?.as_str()?)?,
                link: unhex_array(value.get("link")?.as_str()?)?,
            })
        };
        let read = || {
            (form? == TITLE.1).then_some(Proof {
                record: value.get("record")?.as_u64()?,
                octets: unhex(value.get("octets")?.as_str()?)?,
                covered: match value.get("covered") {
                    Some(value) => Some(covered(value)?),
                    None => None,
                },
                group: value.get("group")?.as_u64()?,
                groups: value.get("groups")?.as_u64()?,
                path: path(value)?,
                checkpoint: Signed::from_json(value.get("checkpoint")?)?,
                key: match value.get("record_key") {
                    Some(key) => Some(RecordKey(unhex_array(key.as_str()?)?)),
                    None => None,
                },
            })
        };
        read().ok_or(ProofFault::Malformed)
    }

    /// Whether the record was in the journal whose checkpoints one of these keys signed, with this
    /// number and these octets.
    pub fn check(&self, keys: &[PublicKey]) -> Result<(), ProofFault> {
        if !keys.iter().any(|key| self.checkpoint.is_by(*key)) {
            return Err(ProofFault::Signature);
        }
        self.check_path()?;
        match &self.key {
            Some(key) if disclosed(&self.octets, self.record, key).is_none() => {
                Err(ProofFault::Key)
            }
            _ => Ok(()),
        }
    }

    /// Adds the key of what is encrypted in the record, so that whoever gets the proof can read it.
    pub fn disclose(mut self, journal: &Path, keys: &KeyRing) -> Result<Proof, Gone> {
        if self.octets.get(3) == Some(&FORM_SEALED) {
            let purpose = match self.octets.get(2) == Some(&(Kind::Content as u8)) {
                true => Purpose::Content,
                false => Purpose::Numbers,
            };
            let first = self.checkpoint.checkpoint.first;
            self.key = Some(keys.record_key(journal, purpose, first, self.record)?);
        }
        Ok(self)
    }

    /// Everything but the signature.
    pub(in crate::audit) fn check_path(&self) -> Result<(), ProofFault> {
        let checkpoint = &self.checkpoint.checkpoint;
        let is_within = (checkpoint.first..checkpoint.end()).contains(&self.record);
        let link = self.link().filter(|_| is_within).ok_or(ProofFault::Path)?;
        let leaf = tree::leaf(&link);
        if !tree::leads(&leaf, self.group, self.groups, &self.path, &checkpoint.root) {
            return Err(ProofFault::Path);
        }
        let sum = self.octets.get(4..8).and_then(<[u8]>::first_chunk).copied();
        let right = record_sum(self.record, &self.octets).to_le_bytes();
        if sum == Some(right) { Ok(()) } else { Err(ProofFault::Sum) }
    }

    /// The link that covers the record, or that it is; none where it does not cover it.
    fn link(&self) -> Option<[u8; LINK_OCTETS]> {
        let is_link = self.octets.get(2) == Some(&KIND_LINK);
        let octets = match &self.covered {
            Some(covered) => covered.link,
            None => <[u8; LINK_OCTETS]>::try_from(&self.octets[..]).ok().filter(|_| is_link)?,
        };
        let link = Link::decode(&octets);
        let index = self.record.checked_sub(link.first)?;
        let count = u64::from(link.count);
        let Some(covered) = &self.covered else { return (index == count).then_some(octets) };
        let leaf = tree::leaf(&self.octets);
        let root = tree::root_by(&leaf, index, count, &covered.path)?;
        (chain_after(&covered.before, &root, &octets) == link.chain).then_some(octets)
    }

    /// The record, to be shown. The rule set of its time is not in a proof.
    pub fn kept(&self) -> Kept {
        let legible = self.key.as_ref().and_then(|key| disclosed(&self.octets, self.record, key));
        match legible {
            Some(octets) => Kept::of(self.record, &octets, None),
            None => {
                let is_sealed = self.octets.get(3) == Some(&FORM_SEALED);
                Kept::of(self.record, &self.octets, is_sealed.then_some(Gone::NoKeys))
            }
        }
    }

    /// The same, legible by the record's own key; none where the key does not open it.
    pub fn kept_with(&self, key: &RecordKey) -> Option<Kept> {
        let octets = disclosed(&self.octets, self.record, key)?;
        Some(Kept::of(self.record, &octets, None))
    }
}

/// Why a record cannot be proved.
#[derive(Debug, thiserror::Error)]
pub enum ProveFault {
    /// There is none with this number.
    #[error("there is no record {0}")]
    NotThere(u64),
    /// It is there, and nothing was signed yet that covers it.
    #[error(
        "no checkpoint covers record {0} yet: one is signed while the proxy runs ([audit] checkpoint) and when it is stopped"
    )]
    NotSigned(u64),
    /// The journal is not what was signed.
    #[error("{0}")]
    Broken(Fault),
    /// The newest checkpoint beside the journal cannot be read.
    #[error("{0}")]
    Checkpoint(#[from] CheckpointFault),
    /// The journal cannot be read.
    #[error("{0}")]
    Read(#[from] ReadFault),
}

/// Proves records of one journal. Those of one segment, one after the other, cost one walk over it.
#[derive(Debug)]
pub struct Prover {
    directory: PathBuf,
    at: Option<Provable>,
    /// A segment that was purged, and the proofs that are kept of it.
    outlived: Option<(Purged, Vec<Proof>)>,
}

/// A segment that was walked, and what was signed of it.
#[derive(Debug)]
struct Provable {
    file: SegmentFile,
    leaves: Leaves,
    /// By size, growing.
    checkpoints: Vec<Signed>,
}

impl Prover {
    /// Proves records of the journal in `directory`; nothing is read yet, and no lock is needed.
    pub fn new(directory: &Path) -> Prover {
        Prover { directory: directory.to_owned(), at: None, outlived: None }
    }

    /// The proof of the record with this number: by the first checkpoint in the journal that covers
    /// it, so that it is the same whenever it is asked for; where none does, by the newest beside it.
    pub fn prove(&mut self, record: u64) -> Result<Proof, ProveFault> {
        if let Some(at) = self.at.as_ref().filter(|at| at.covers(record)) {
            return at.prove(record);
        }
        if let Some(proofs) = self.outlived(record)? {
            let proof = proofs.iter().find(|proof| proof.record == record);
            return proof.cloned().ok_or(ProveFault::NotThere(record));
        }
        let at = self.walk(record)?.ok_or(ProveFault::NotThere(record))?;
        self.at.insert(at).prove(record)
    }

    /// What is kept of the purged segment that held a record, if it was one.
    fn outlived(&mut self, record: u64) -> Result<Option<&[Proof]>, ProveFault> {
        let held = |purged: &Purged| (purged.first..purged.next).contains(&record);
        if !self.outlived.as_ref().is_some_and(|(purged, _)| held(purged)) {
            let io = |source| ReadFault::Io { path: self.directory.clone(), source };
            let purged = PurgedFile::read(&self.directory).map_err(io)?;
            let Some(purged) = purged.segments.into_iter().find(held) else { return Ok(None) };
            let proofs = kept(&self.directory, purged.first).map_err(io)?;
            self.outlived = Some((purged, proofs));
        }
        Ok(self.outlived.as_ref().map(|(_, proofs)| &proofs[..]))
    }

    /// Walks the segment that holds a record.
    fn walk(&self, record: u64) -> Result<Option<Provable>, ProveFault> {
        let io = |source| ReadFault::Io { path: self.directory.clone(), source };
        let files = list(&self.directory).map_err(io)?;
        if files.is_empty() {
            return Err(ReadFault::Empty { path: self.directory.clone() }.into());
        }
        let behind = files.partition_point(|file| file.first <= record);
        let Some((file, later)) =
            files.get(..behind).and_then(<[_]>::last).zip(files.get(behind..))
        else {
            return Ok(None);
        };
        let mut checkpoints = Vec::new();
        let walked = Leaves::of(file, &mut |_, octets| collect(octets, file, &mut checkpoints))
            .map_err(|failed| fault(&file.path, failed))?;
        let Some((leaves, _)) = walked.filter(|(leaves, _)| record - file.first < leaves.size())
        else {
            return Ok(None);
        };
        let purged = PurgedFile::read(&self.directory).map_err(io)?.segments.into_iter();
        let mut purged = purged.filter(|one| one.first > file.first).peekable();
        for next in later {
            while let Some(one) = purged.next_if(|one| one.first < next.first) {
                // Its checkpoint over this segment outlived it.
                for proof in kept(&self.directory, one.first).map_err(io)? {
                    collect(&proof.octets, file, &mut checkpoints);
                }
            }
            if checkpoints.last().is_some_and(|last| last.checkpoint.size == leaves.size()) {
                break;
            }
            collect_from(next, file, &mut checkpoints)
                .map_err(|failed| fault(&next.path, failed))?;
        }
        if let Some(newest) = Signed::newest(&self.directory)?
            && newest.checkpoint.first == file.first
            && checkpoints.last().is_none_or(|last| last.checkpoint.size < newest.checkpoint.size)
        {
            checkpoints.push(newest);
        }
        Ok(Some(Provable { file: file.clone(), leaves, checkpoints }))
    }
}

/// Takes the checkpoints of `file` from another segment, until one covers it whole.
fn collect_from(
    other: &SegmentFile,
    file: &SegmentFile,
    checkpoints: &mut Vec<Signed>,
) -> Result<(), super::super::segment::Failed> {
    let Some(mut segment) = Segment::open(other)? else { return Ok(()) };
    let mut beyond = false;
    while let (false, Next::Group(group)) = (beyond, segment.next()?) {
        let mut rest = group.records;
        while let Some((octets, behind)) = super::super::read::split_record(rest) {
            collect(octets, file, checkpoints);
            // The last checkpoint of a segment comes before the first one of a later segment.
            beyond |= matches!(decode(octets), Record::Checkpoint(signed) if signed.checkpoint.first > file.first);
            rest = behind;
        }
    }
    Ok(())
}

fn collect(octets: &[u8], file: &SegmentFile, checkpoints: &mut Vec<Signed>) {
    if let Record::Checkpoint(signed) = decode(octets)
        && signed.checkpoint.first == file.first
        && checkpoints.last().is_none_or(|last| last.checkpoint.size < signed.checkpoint.size)
    {
        checkpoints.push(signed);
    }
}

impl Provable {
    /// Whether what was walked is enough to prove this record.
    fn covers(&self, record: u64) -> bool {
        let last = self.checkpoints.last().map_or(0, |last| last.checkpoint.end());
        (self.file.first..last).contains(&record)
    }

    fn prove(&self, record: u64) -> Result<Proof, ProveFault> {
        let Provable { file, leaves, checkpoints } = self;
        let at = checkpoints.partition_point(|signed| signed.checkpoint.end() <= record);
        let checkpoint = checkpoints.get(at).ok_or(ProveFault::NotSigned(record))?;
        let io = |source| ReadFault::Io { path: file.path.clone(), source };
        let way = leaves.way(&file.path, record, checkpoint.checkpoint.size).map_err(io)?;
        let proof = way.map(|way| {
            let Way { octets, covered, group, groups, path } = way;
            let checkpoint = checkpoint.clone();
            Proof { record, octets, covered, group, groups, path, checkpoint, key: None }
        });
        match proof.filter(|proof| proof.check_path().is_ok()) {
            Some(proof) => Ok(proof),
            None => Err(ProveFault::Broken(Fault {
                segment: file.name.clone(),
                record: file.first,
                octet: 0,
                what: format!(
                    "the segment's first {} records are not those that were signed",
                    checkpoint.checkpoint.size
                ),
            })),
        }
    }
}
