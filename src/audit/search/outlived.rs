//! What is kept of purged segments: found as if the segments were there.
//!
//! Of whose session a reply was, nothing is left: a search by provider finds events of consent alone.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use super::super::read::{Kept, ReadFault};
use super::super::record::Record;
use super::super::retention::{PurgedFile, kept};
use super::super::sealed::Unsealer;
use super::{Found, Query, Searched};

/// The purged segments that were not looked at yet.
pub(super) struct Outlived {
    directory: PathBuf,
    /// Their first records, growing.
    firsts: VecDeque<u64>,
    unsealer: Unsealer,
}

impl Outlived {
    /// Of the journal in `directory`; none where the query means no record of a kind that is kept.
    pub fn of(directory: &Path, query: &Query<'_>) -> Result<Outlived, ReadFault> {
        let may_mean = query.asks_no_message();
        let io = |source| ReadFault::Io { path: directory.to_owned(), source };
        let firsts = match may_mean {
            true => PurgedFile::read(directory).map_err(io)?.segments,
            false => Vec::new(),
        };
        let mut unsealer = Unsealer::new(directory);
        if let Some(keys) = query.keys {
            unsealer.give(keys.clone());
        }
        let firsts = firsts.into_iter().map(|purged| purged.first).collect();
        Ok(Outlived { directory: directory.to_owned(), firsts, unsealer })
    }

    /// Whether one is left that stood before record `first`.
    pub fn has_before(&self, first: u64) -> bool {
        self.firsts.front().is_some_and(|purged| *purged < first)
    }

    /// Looks at the next one that stood before record `first`; whether there was one.
    pub fn look(
        &mut self,
        first: u64,
        query: &Query<'_>,
        held: &mut BTreeMap<u64, Found>,
        searched: &mut Searched,
    ) -> Result<bool, ReadFault> {
        let Some(purged) = self.firsts.pop_front_if(|purged| *purged < first) else {
            return Ok(false);
        };
        let io = |source: io::Error| ReadFault::Io { path: self.directory.clone(), source };
        for proof in kept(&self.directory, purged).map_err(io)? {
            let (legible, gone) = self.unsealer.read(purged, proof.record, &proof.octets);
            searched.records += 1;
            searched.unreadable += u64::from(query.number.is_some() && gone.is_some());
            let kept = Kept::of(proof.record, legible, gone.cloned());
            let found = match kept.record() {
                Record::Reply(reply)
                    if query.provider.is_none() && query.means_reply(kept.time_us, &reply) =>
                {
                    Some(Found::Reply { reply: kept.clone(), bind: None })
                }
                Record::Consent(consent) if query.means_consent(kept.time_us, &consent) => {
                    Some(Found::Consent { consent: kept.clone() })
                }
                _ => None,
            };
            held.extend(found.map(|found| (proof.record, found)));
        }
        Ok(true)
    }
}
