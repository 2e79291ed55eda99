//! Which segments a search has to read.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::read::ReadFault;
use super::super::sealed::KeyRing;
use super::super::search::Query;
use super::super::segment::list;
use super::build::{build, id_tokens, number_token, read, receipt_token, sealed};
use super::segment::{Of, SegmentIndex};
use super::{HAS_REFERENCES, HAS_START, Indexed};

/// How much later than it was judged a message may have been forwarded, microseconds: what a record's
/// way to the disk may take.
const FORWARDED_WITHIN_US: u64 = 60_000_000;

/// The segments of a journal with what is known of them.
pub(in crate::audit) struct Plan<'a> {
    directory: PathBuf,
    key: &'a super::super::keys::IndexKey,
    pub segments: Vec<Planned>,
}

/// A segment, and whether it may hold what is looked for.
pub(in crate::audit) struct Planned {
    pub first: u64,
    /// Name of the rule set in force at its beginning.
    pub rule_set: String,
    /// None of the last one, which is being written.
    index: Option<SegmentIndex>,
    pub may_match: bool,
}

impl<'a> Plan<'a> {
    /// Plans a search; indexes that are missing are made, and written where that is possible.
    pub fn new(
        directory: &Path,
        query: &Query<'_>,
        indexed: &Indexed<'a>,
    ) -> Result<Plan<'a>, ReadFault> {
        let files = list(directory)
            .map_err(|source| ReadFault::Io { path: directory.to_owned(), source })?;
        let nothing = Arc::default();
        let keys: &Arc<KeyRing> = query.keys.unwrap_or(&nothing);
        let mut segments = Vec::with_capacity(files.len());
        let mut rule_set = String::new();
        let sealed = sealed(&files);
        for (file, sealed) in files.iter().zip(sealed.iter().chain([&None])) {
            let index = match sealed {
                None => None,
                Some(sealed) => Some(match read(directory, sealed, indexed.key) {
                    Some(index) => index,
                    None => {
                        let mut index =
                            build(directory, sealed, keys, indexed.key, indexed.canonical)?;
                        // On a medium that cannot be written it is made each time.
                        let _ = index.write(directory);
                        index
                    }
                }),
            };
            let planned_rule_set = rule_set.clone();
            if let Some(index) = index.as_ref().filter(|index| !index.rule_set.is_empty()) {
                rule_set.clone_from(&index.rule_set);
            }
            let (first, rule_set) = (file.first, planned_rule_set);
            segments.push(Planned { first, rule_set, index, may_match: true });
        }
        let mut plan = Plan { directory: directory.to_owned(), key: indexed.key, segments };
        plan.mark(query, indexed);
        Ok(plan)
    }

    fn mark(&mut self, query: &Query<'_>, indexed: &Indexed<'_>) {
        let tokens: Vec<u64> = indexed
            .number
            .map(|raw| number_token(self.key, indexed.canonical, raw))
            .into_iter()
            .collect();
        let ids: Option<Vec<u64>> = query.message_id.map(|id| id_tokens(self.key, id).collect());
        let of_provider = query.provider.map(|name| self.sessions_of(name));
        let directory = self.directory.clone();
        for planned in &mut self.segments {
            let Some(index) = &planned.index else { continue };
            planned.may_match = may_match(index, query, of_provider.as_ref())
                && (query.number.is_none()
                    || tokens.is_empty()
                    || index.may_hold(&directory, Of::Numbers, &tokens))
                && ids.as_ref().is_none_or(|ids| index.may_hold(&directory, Of::Ids, ids));
        }
        if ids.is_some() {
            self.mark_requests(query, of_provider.as_ref());
        }
    }

    /// A message stands before its answer: segments before one that may hold the id are read too, as
    /// far back as what is answered there was forwarded.
    fn mark_requests(&mut self, query: &Query<'_>, of_provider: Option<&HashSet<u64>>) {
        let mut since = None;
        let mut is_next_marked = false;
        for planned in self.segments.iter_mut().rev() {
            let Some(index) = &planned.index else {
                // The open segment answers who knows what: the one before it at least.
                is_next_marked = true;
                continue;
            };
            let is_hit = planned.may_match;
            let reaches = since.is_some_and(|since: u64| {
                index.latest_us >= since.saturating_sub(FORWARDED_WITHIN_US)
            });
            if is_next_marked || reaches {
                planned.may_match |= may_match(index, query, of_provider);
            }
            is_next_marked = is_hit;
            if is_hit {
                let mine = index.answers_since_us;
                since = Some(since.map_or(mine, |since: u64| since.min(mine)));
            }
        }
    }

    /// Whether some segment could not list all its sessions.
    pub fn is_incomplete(&self) -> bool {
        let flags = self.segments.iter().filter_map(|one| one.index.as_ref()).map(|one| one.flags);
        flags.into_iter().any(|flags| flags & super::MANY_SESSIONS != 0)
    }

    /// The sessions of a provider, by all binds.
    pub fn sessions_of(&self, provider: &str) -> HashSet<u64> {
        let binds =
            self.segments.iter().filter_map(|one| one.index.as_ref()).flat_map(|i| &i.binds);
        binds.filter(|(_, name)| name == provider).map(|(session, _)| *session).collect()
    }

    /// Segments that may hold the binds of these sessions.
    pub fn binds_of<'s>(&'s self, sessions: &'s HashSet<u64>) -> impl Iterator<Item = &'s Planned> {
        self.segments.iter().filter(|planned| {
            planned.index.as_ref().is_none_or(|index| {
                index.flags & super::MANY_SESSIONS != 0
                    || index.binds.iter().any(|(session, _)| sessions.contains(session))
            })
        })
    }

    /// Whether the segment may hold the receipt of a message with one of these keys in common.
    pub fn may_have_receipts(&self, planned: &Planned, common: &[u64]) -> bool {
        let tokens: Vec<u64> = common.iter().map(|key| receipt_token(self.key, *key)).collect();
        let holds = |index: &SegmentIndex| index.may_hold(&self.directory, Of::Receipts, &tokens);
        planned.index.as_ref().is_none_or(holds)
    }
}

impl Planned {
    /// Whether the segment may hold answers to requests of one of these sessions.
    pub fn may_answer(&self, sessions: impl IntoIterator<Item = u64>) -> bool {
        self.index.as_ref().is_none_or(|index| index.has_one(&index.answering, sessions))
    }

    /// Whether the journal was opened in it.
    pub fn has_start(&self) -> bool {
        self.index.as_ref().is_some_and(|index| index.flags & HAS_START != 0)
    }
}

/// Whether a segment may hold what is looked for, by all but numbers and ids.
fn may_match(index: &SegmentIndex, query: &Query<'_>, of_provider: Option<&HashSet<u64>>) -> bool {
    let fires = |rule: u8| 1_u64.checked_shl(rule.into()).is_none_or(|bit| index.rules & bit != 0);
    let came =
        |verdict: u8| 1_u8.checked_shl(verdict.into()).is_none_or(|bit| index.verdicts & bit != 0);
    let is_here = |session: u64| {
        index.has_one(&index.asking, [session])
            || index.binds.iter().any(|(bound, _)| *bound == session)
    };
    query.since_us.is_none_or(|since| index.latest_us >= since)
        && query.until_us.is_none_or(|until| index.earliest_us < until)
        && query.rule.is_none_or(fires)
        && query.verdict.is_none_or(came)
        && query.session.is_none_or(is_here)
        && (query.reference.is_none() || index.flags & HAS_REFERENCES != 0)
        && of_provider.is_none_or(|sessions| {
            index.flags & (super::MANY_SESSIONS | super::HAS_CONSENT) != 0
                || index.asking.iter().any(|session| sessions.contains(session))
                || index.binds.iter().any(|(session, _)| sessions.contains(session))
        })
}
