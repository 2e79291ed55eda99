//! Purging what is due: recorded first, then done, and done again after a crash.
//!
//! For each segment, in this order: what outlives it is written beside it with its proofs; a Purge
//! record is in the journal and on the disk; `purged.json` says so; the files are removed. A crash
//! between any two leaves a journal that is whole: before `purged.json` the segment is there and is
//! purged again, after it the opening of the journal removes what is left of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::format::{segment_name, u64_at};
use super::super::journal::Journal;
use super::super::kind::Kind;
use super::super::proof::{Leaves, Proof, ProveFault, Prover};
use super::super::read::{ReadFault, decode, fault};
use super::super::record::Record;
use super::super::records::Records;
use super::super::sealed::{FORM_SEALED, KeyRing, Purpose, Unsealer};
use super::super::segment::{SegmentFile, list};
use super::hold::{HOLD_SEGMENTS_MAX, HOLD_TEXT_OCTETS_MAX, HOLDS_MAX, Hold, Holds};
use super::kept;
use super::plan::{Due, RetentionFault, plan};
use super::purged::PurgedFile;
use super::record::{HoldRecord, PurgeRecord};
use super::term::Term;
use super::turn::Turn;

/// Of a record of consent and its time: when the relation that it is about ended, if it is known to
/// have; its term begins then.
pub type Ended<'a> = dyn Fn(&Record<'_>, u64) -> Option<u64> + 'a;
/// Removes what was made of the segment that begins with this record; not there is no failure.
pub type Derived<'a> = dyn Fn(u64) -> std::io::Result<()> + 'a;

/// What is needed to purge a journal that is open.
pub struct Retention<'a> {
    /// The journal's folder.
    pub directory: &'a Path,
    /// The journal, which records what is done.
    pub journal: &'a Journal,
    /// Whoever changes `purged.json` or the holds has it meanwhile; a purge for one segment at a time, so that
    /// nobody who sets a hold waits for more.
    pub turn: &'a Turn,
    /// What numbers are read with: of whose relation a record of consent is.
    pub keys: &'a Arc<KeyRing>,
    /// How long records are kept.
    pub term: &'a Term,
    /// When relations ended.
    pub ended: &'a Ended<'a>,
    /// What else is made of segments.
    pub derived: &'a Derived<'a>,
    /// Number of the first record that a mirror has not delivered yet: its segment and those behind it
    /// stay, due or not.
    pub needed_from: Option<u64>,
}

impl std::fmt::Debug for Retention<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Retention").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// A segment that was purged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Number of its first record.
    pub first: u64,
    /// Number of its last record.
    pub last: u64,
    /// Records of it that are kept on their own.
    pub kept: u64,
}

impl Retention<'_> {
    /// Purges every segment that may go at `now_us`; `by` says who. Nothing, where the clock is in doubt
    /// or a record that outlives its segment is not signed yet. One call at a time.
    pub fn purge(&self, now_us: u64, by: &str) -> Result<Vec<Gone>, RetentionFault> {
        let plan = plan(self.directory, self.term, now_us)?;
        if let Some(doubt) = plan.doubt {
            return Err(RetentionFault::Doubt(doubt));
        }
        let mut gone = Vec::new();
        let is_needed = |due: &&Due| self.needed_from.is_some_and(|needed| due.next > needed);
        for due in plan.segments.iter().filter(|due| due.may_go(now_us) && !is_needed(due)) {
            gone.extend(self.purge_one(due, now_us, by)?);
        }
        self.purge_kept(now_us)?;
        Ok(gone)
    }

    /// Says that the clock is right and the silence before now was one.
    pub fn trust(&self, now_us: u64) -> Result<(), RetentionFault> {
        let _turn = self.turn.take();
        let mut file = PurgedFile::read(self.directory).map_err(self.io())?;
        file.trusted_us = now_us;
        file.write(self.directory).map_err(self.io())
    }

    fn io(&self) -> impl FnOnce(std::io::Error) -> RetentionFault + use<> {
        RetentionFault::io(self.directory)
    }

    fn purge_one(&self, due: &Due, now_us: u64, by: &str) -> Result<Option<Gone>, RetentionFault> {
        let _turn = self.turn.take();
        // One may have been set since the plan was made.
        let Holds { holds, .. } = Holds::read(self.directory).map_err(self.io())?;
        if holds.iter().any(|hold| hold.keeps(due.first, due.oldest_us, due.newest_us)) {
            return Ok(None);
        }
        let standing = self.standing()?;
        let name = segment_name(due.first);
        let file = SegmentFile { path: self.directory.join(&name), name, first: due.first };
        let (mut newest_us, mut messages, mut keep) = (0, 0, Vec::new());
        let mut unsealer = self.unsealer();
        let walked = Leaves::of(&file, &mut |number, octets| {
            let time_us = u64_at(octets, 8);
            newest_us = newest_us.max(time_us);
            messages += u64::from(octets.get(2) == Some(&(Kind::Verdict as u8)));
            let signs = signs_another(octets, due.first, &standing);
            if signs || self.outlives(&mut unsealer, due.first, (number, octets), now_us) {
                keep.push(number);
            }
        });
        let walked = walked.map_err(|failed| fault(&file.path, failed))?;
        // The end of the file told a time; a record in it may be later.
        let Some((leaves, segment)) = walked.filter(|_| self.term.due_us(newest_us) <= now_us)
        else {
            return Ok(None);
        };
        let Some(proofs) = self.proofs(&keep)? else { return Ok(None) };
        (self.derived)(due.first).map_err(self.io())?;
        kept::write(self.directory, due.first, &proofs).map_err(self.io())?;
        let record = PurgeRecord {
            sequence: due.sequence,
            first: due.first,
            next: segment.number(),
            previous: segment.header.previous,
            chain: segment.chain(),
            root: leaves.root(),
            newest_us,
            messages,
            kept: proofs.len() as u64,
            by,
        };
        let mut records = Records::new();
        records.purge(now_us, &record);
        self.journal.append_synced(&mut records)?;
        let mut purged = PurgedFile::read(self.directory).map_err(self.io())?;
        purged.segments.push(record.purged());
        purged.segments.sort_by_key(|one| one.sequence);
        purged.write(self.directory).map_err(self.io())?;
        remove(self.directory, due.first).map_err(self.io())?;
        (self.derived)(due.first).map_err(self.io())?;
        Ok(Some(Gone { first: due.first, last: segment.number() - 1, kept: record.kept }))
    }

    /// First records of the segments that are there.
    fn standing(&self) -> Result<Vec<u64>, RetentionFault> {
        let purged = PurgedFile::read(self.directory).map_err(self.io())?;
        let firsts = list(self.directory).map_err(self.io())?.into_iter().map(|file| file.first);
        Ok(firsts.filter(|first| !purged.has(*first)).collect())
    }

    fn unsealer(&self) -> Unsealer {
        let mut unsealer = Unsealer::new(self.directory);
        unsealer.give(self.keys.clone());
        unsealer
    }

    /// Whether a record is kept when its segment goes, which begins with record `first`.
    fn outlives(
        &self,
        unsealer: &mut Unsealer,
        first: u64,
        (number, octets): (u64, &[u8]),
        now_us: u64,
    ) -> bool {
        let kind = octets.get(2).copied().unwrap_or_default();
        if !KEPT_KINDS.contains(&kind) {
            return false;
        }
        let time_us = u64_at(octets, 8);
        // A number that cannot be read is empty: whose relation it was is not known.
        let (legible, _) = unsealer.read(first, number, octets);
        match (self.ended)(&decode(legible), time_us) {
            Some(ended_us) => self.term.due_us(ended_us) > now_us,
            None => true,
        }
    }

    /// The proofs of records; none where one of them is not signed yet.
    fn proofs(&self, numbers: &[u64]) -> Result<Option<Vec<Proof>>, RetentionFault> {
        let mut prover = Prover::new(self.directory);
        let mut proofs = Vec::with_capacity(numbers.len());
        for number in numbers {
            match prover.prove(*number) {
                Ok(proof) => proofs.push(proof),
                Err(ProveFault::NotSigned(_)) => return Ok(None),
                Err(ProveFault::Broken(fault)) => return Err(ReadFault::Broken(fault).into()),
                Err(ProveFault::Read(fault)) => return Err(fault.into()),
                Err(other) => return Err(RetentionFault::Refused(other.to_string())),
            }
        }
        Ok(Some(proofs))
    }

    /// Lets go what was kept of purged segments, is due by now and touched by no hold.
    fn purge_kept(&self, now_us: u64) -> Result<(), RetentionFault> {
        let _turn = self.turn.take();
        let purged = PurgedFile::read(self.directory).map_err(self.io())?;
        let Holds { holds, .. } = Holds::read(self.directory).map_err(self.io())?;
        let standing = self.standing()?;
        let mut unsealer = self.unsealer();
        for one in &purged.segments {
            let proofs = kept::read(self.directory, one.first).map_err(self.io())?;
            let before = proofs.len();
            let mut stays = |proof: &Proof| {
                let time_us = u64_at(&proof.octets, 8);
                holds.iter().any(|hold| hold.keeps(one.first, time_us, time_us))
                    || signs_another(&proof.octets, one.first, &standing)
                    || self.outlives(
                        &mut unsealer,
                        one.first,
                        (proof.record, &proof.octets),
                        now_us,
                    )
            };
            let left: Vec<Proof> = proofs.into_iter().filter(|proof| stays(proof)).collect();
            if left.len() < before {
                kept::write(self.directory, one.first, &left).map_err(self.io())?;
                remove(self.directory, one.first).map_err(self.io())?;
            }
        }
        Ok(())
    }

    /// Sets a hold: recorded, then in force. Its `id` and `set_us` are given here.
    pub fn set_hold(&self, mut hold: Hold, now_us: u64) -> Result<Hold, RetentionFault> {
        let _turn = self.turn.take();
        let mut holds = Holds::read(self.directory).map_err(self.io())?;
        let fits = |text: &str| !text.trim().is_empty() && text.len() <= HOLD_TEXT_OCTETS_MAX;
        if !fits(&hold.reason) || !fits(&hold.by) {
            let says = format!(
                "a hold needs a reason and who sets it, {HOLD_TEXT_OCTETS_MAX} octets each at most"
            );
            return Err(RetentionFault::Refused(says));
        }
        if hold.from_us >= hold.until_us && hold.segments.is_empty() {
            return Err(RetentionFault::Refused("the hold would keep nothing".to_owned()));
        }
        if holds.holds.len() >= HOLDS_MAX || hold.segments.len() > HOLD_SEGMENTS_MAX {
            let says = format!(
                "there may be {HOLDS_MAX} holds of {HOLD_SEGMENTS_MAX} segments each; lift one, or hold a time"
            );
            return Err(RetentionFault::Refused(says));
        }
        (hold.id, hold.set_us) = (holds.next, now_us);
        // In force first: a crash between leaves a hold too many, never one too few.
        holds.next += 1;
        holds.holds.push(hold.clone());
        holds.write(self.directory).map_err(self.io())?;
        let mut records = Records::new();
        records.hold(now_us, HoldRecord::SET, &hold, &hold.by);
        self.journal.append_synced(&mut records)?;
        Ok(hold)
    }

    /// Lifts a hold: recorded, then no longer in force. None if there is none with this number.
    pub fn lift_hold(
        &self,
        id: u64,
        by: &str,
        now_us: u64,
    ) -> Result<Option<Hold>, RetentionFault> {
        let _turn = self.turn.take();
        let mut holds = Holds::read(self.directory).map_err(self.io())?;
        let Some(at) = holds.holds.iter().position(|hold| hold.id == id) else { return Ok(None) };
        let hold = holds.holds.remove(at);
        let mut records = Records::new();
        records.hold(now_us, HoldRecord::LIFTED, &hold, by);
        self.journal.append_synced(&mut records)?;
        holds.write(self.directory).map_err(self.io())?;
        Ok(Some(hold))
    }
}

/// Records that may outlive their segment: of consent, and what retention itself did.
const KEPT_KINDS: [u8; 4] =
    [Kind::Reply as u8, Kind::Consent as u8, Kind::Purge as u8, Kind::Hold as u8];

/// Whether a record of the segment that begins with `first` is a checkpoint over another one that is there. The last
/// records of a segment are often signed in the next one: without that, nothing of the segment could be proved when it goes.
fn signs_another(octets: &[u8], first: u64, standing: &[u64]) -> bool {
    if octets.get(2) != Some(&(Kind::Checkpoint as u8)) {
        return false;
    }
    match decode(octets) {
        Record::Checkpoint(signed) => {
            let of = signed.checkpoint.first;
            of != first && standing.contains(&of)
        }
        _ => false,
    }
}

/// Removes every file of a segment but what is kept of it, and the key of the numbers in that.
pub(in crate::audit) fn remove(journal: &Path, first: u64) -> std::io::Result<()> {
    let name = segment_name(first);
    let is_sealed = |proof: &Proof| proof.octets.get(3) == Some(&FORM_SEALED);
    let numbers = kept::read(journal, first)?.iter().any(is_sealed);
    let numbers = numbers.then(|| Purpose::Numbers.name(first));
    let stem = format!("{}.", name.trim_end_matches(".seg"));
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(journal)? {
        let entry = entry?;
        let mine = entry.file_name().to_str().is_some_and(|name| {
            name.strip_prefix(&stem).is_some_and(|rest| !rest.starts_with("kept"))
                && numbers.as_deref() != Some(name)
        });
        if mine {
            files.push(entry.path());
        }
    }
    // The segment last: as long as it is there, opening the journal comes back for the rest.
    files.sort_by_key(|file| file.extension().is_some_and(|extension| extension == "seg"));
    for file in files {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::File::open(journal)?.sync_all()
}

/// The proof of a record that outlived its segment, if one is kept.
pub(in crate::audit) fn kept_proof(journal: &Path, record: u64) -> std::io::Result<Option<Proof>> {
    let purged = PurgedFile::read(journal)?;
    let of = purged.segments.iter().find(|one| (one.first..one.next).contains(&record));
    let Some(of) = of else { return Ok(None) };
    let proofs = kept::read(journal, of.first)?;
    Ok(proofs.into_iter().find(|proof| proof.record == record))
}

/// The first records of the segments that were purged.
pub fn purged_firsts(journal: &Path) -> std::io::Result<Vec<u64>> {
    Ok(PurgedFile::read(journal)?.segments.iter().map(|one| one.first).collect())
}
