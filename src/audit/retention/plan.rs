//! What is due when, what is held, and whether the clock may say so.

use std::path::{Path, PathBuf};

use super::super::read::ReadFault;
use super::super::recover::last_link;
use super::super::segment::{Failed, Segment, SegmentFile, list};
use super::clock::SILENCE_US;
use super::hold::{Hold, Holds};
use super::purged::PurgedFile;
use super::term::Term;

/// How far the clock may be behind the last record, microseconds.
const BEHIND_US: u64 = 60_000_000;

/// Why records cannot be purged, or nobody can tell which.
#[derive(Debug, thiserror::Error)]
pub enum RetentionFault {
    /// The journal cannot be read, or is broken.
    #[error("{0}")]
    Read(#[from] ReadFault),
    /// A file could not be read, written or removed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The journal takes no record of it, so that it is not done.
    #[error("{0}")]
    Unavailable(#[from] super::super::journal::Unavailable),
    /// The clock is not believed.
    #[error("nothing is purged: {0}")]
    Doubt(String),
    /// What was asked for cannot be done.
    #[error("{0}")]
    Refused(String),
}

impl RetentionFault {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> RetentionFault + use<> {
        let path = path.to_owned();
        move |source| RetentionFault::Io { path, source }
    }
}

/// A segment and when it may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its sequence number.
    pub sequence: u64,
    /// Number of its first record.
    pub first: u64,
    /// Number of the first record behind it.
    pub next: u64,
    /// When it was begun, microseconds since the Unix epoch.
    pub oldest_us: u64,
    /// Time of its last record.
    pub newest_us: u64,
    /// From when on it may go.
    pub due_us: u64,
    /// Numbers of the holds that keep it.
    pub holds: Vec<u64>,
    /// Octets of its file.
    pub octets: u64,
}

impl Due {
    /// Whether it may go now.
    pub fn may_go(&self, now_us: u64) -> bool {
        self.due_us <= now_us && self.holds.is_empty()
    }
}

/// The segments of a journal that are finished, in their order; the last one is never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The segments.
    pub segments: Vec<Due>,
    /// The holds in force.
    pub holds: Vec<Hold>,
    /// Segments that were purged.
    pub purged: u64,
    /// Why the clock is not believed, if it is not: nothing is purged then.
    pub doubt: Option<String>,
}

/// What may go when, from the headers and ends of the segments. `now_us` is the time of day.
pub fn plan(journal: &Path, term: &Term, now_us: u64) -> Result<Plan, RetentionFault> {
    let mut files = list(journal).map_err(RetentionFault::io(journal))?;
    let purged = PurgedFile::read(journal).map_err(RetentionFault::io(journal))?;
    let Holds { holds, .. } = Holds::read(journal).map_err(RetentionFault::io(journal))?;
    files.retain(|file| !purged.has(file.first));
    // A moment that is yet to come was trusted by another clock than this one.
    let trusted_us = purged.trusted_us.min(now_us);
    let mut plan =
        Plan { segments: Vec::new(), holds, purged: purged.segments.len() as u64, doubt: None };
    let mut before = None;
    for pair in files.windows(2) {
        let [file, next] = pair else { continue };
        let mut due = due(file, term)?;
        due.next = next.first;
        let kept =
            plan.holds.iter().filter(|hold| hold.keeps(due.first, due.oldest_us, due.newest_us));
        due.holds = kept.map(|hold| hold.id).collect();
        plan.look(&mut before, (due.sequence, due.oldest_us, due.newest_us), trusted_us);
        plan.segments.push(due);
    }
    if let Some(last) = files.last() {
        // It may be written just now: where its end cannot be read, its beginning is taken.
        let due = due(last, term)?;
        plan.look(&mut before, (due.sequence, due.oldest_us, due.newest_us), trusted_us);
        plan.look(&mut before, (due.sequence + 1, now_us, now_us), trusted_us);
    }
    Ok(plan)
}

impl Plan {
    /// Compares the times of a segment, or now, with what came before.
    fn look(
        &mut self,
        last: &mut Option<(u64, u64)>,
        (sequence, from_us, until_us): (u64, u64, u64),
        trusted_us: u64,
    ) {
        let Some((last_sequence, before)) = *last else {
            *last = Some((sequence, until_us));
            return;
        };
        // What was recorded in between may have been purged: that is no silence.
        let follows = sequence == last_sequence + 1;
        let shown = |micros: u64| {
            let time = i64::try_from(micros).ok();
            let time = time.and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
            time.map_or_else(|| micros.to_string(), |time| time.to_string())
        };
        let (at, then) = (shown(from_us), shown(before));
        // What lies before the moment at which an operator trusted the clock was looked at.
        if from_us.saturating_add(BEHIND_US) < before && before > trusted_us {
            self.doubt.get_or_insert(format!(
                "the clock said {at} after it had said {then}: it was set back, or ahead before; from \
                 {then} on, if it is right then, consentry audit purge --trust-clock says so"
            ));
        } else if follows && from_us > before.saturating_add(SILENCE_US) && from_us > trusted_us {
            self.doubt.get_or_insert(format!(
                "nothing was recorded between {then} and {at}, which is what a clock that was set \
                 ahead looks like; if it was right, consentry audit purge --trust-clock says so"
            ));
        }
        *last = Some((sequence, before.max(until_us)));
    }
}

fn due(file: &SegmentFile, term: &Term) -> Result<Due, RetentionFault> {
    let io = || RetentionFault::io(&file.path);
    let segment = match Segment::open(file) {
        Ok(Some(segment)) => segment,
        Ok(None) => return Err(io()(std::io::ErrorKind::UnexpectedEof.into())),
        Err(Failed::Io(source)) => return Err(io()(source)),
        Err(Failed::Broken(fault)) => return Err(ReadFault::Broken(fault).into()),
    };
    let oldest_us = segment.header.created_us;
    let link = last_link(file).map_err(io())?;
    let newest_us = link.map_or(oldest_us, |link| link.time_us).max(oldest_us);
    let octets = std::fs::metadata(&file.path).map_err(io())?.len();
    Ok(Due {
        sequence: segment.header.sequence,
        first: file.first,
        next: file.first,
        oldest_us,
        newest_us,
        due_us: term.due_us(newest_us),
        holds: Vec::new(),
        octets,
    })
}
