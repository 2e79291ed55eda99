//! The newest refusals, read behind the writer: a bounded number of each rule, each with its session's bind.
//!
//! It reads on from where it stopped, only when it is asked, and only until a time that the caller sets.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::read::{Kept, ReadFault, Reader};
use super::recent::Recent;
use super::record::{OBSERVE, REFUSE, Record};
use super::sealed::KeyRing;

/// Refusals held of one rule; of more, the newest.
pub const LATEST_OF_A_RULE_MAX: usize = 100;
/// Records before the end at which it begins. What is older is not shown.
pub const LATEST_RECORDS_MAX: u64 = 200_000;
/// Beyond so many records behind the writer, it leaves out all but the newest of them.
const BEHIND_MAX: u64 = 5 * LATEST_RECORDS_MAX;
/// Binds held; beyond it the older half is let go.
const SESSIONS_MAX: usize = 1 << 14;
/// Records between two looks at the time.
const LOOK_EVERY: u64 = 1_000;

/// What a rule refused, or would have.
#[derive(Debug)]
pub struct Refused {
    /// Its verdict or bind record.
    pub record: Kept,
    /// The bind of its session, where it was read.
    pub bind: Option<Arc<Kept>>,
}

/// The newest refusals of a journal.
pub struct Latest {
    directory: PathBuf,
    keys: Arc<KeyRing>,
    reader: Option<Reader>,
    /// Number of the next record to be read.
    next: u64,
    binds: Recent<u64, Arc<Kept>>,
    /// By the rule's code: at most 256.
    by_rule: BTreeMap<u8, VecDeque<Refused>>,
}

impl Latest {
    /// Of the journal in `directory`; nothing is read yet.
    pub fn new(directory: &Path, keys: Arc<KeyRing>) -> Latest {
        Latest {
            directory: directory.to_owned(),
            keys,
            reader: None,
            next: 0,
            binds: Recent::new(SESSIONS_MAX),
            by_rule: BTreeMap::new(),
        }
    }

    /// Reads on until record `end`, which is not read, or until the time is up. How many records are left
    /// then.
    pub fn catch_up(&mut self, end: u64, until: Instant) -> Result<u64, ReadFault> {
        let read = self.read(end, until);
        if read.is_err() {
            self.begin_anew();
        }
        read.map(|()| end.saturating_sub(self.next))
    }

    fn begin_anew(&mut self) {
        self.reader = None;
        self.binds.clear();
        self.by_rule.clear();
    }

    fn read(&mut self, end: u64, until: Instant) -> Result<(), ReadFault> {
        // A journal that lost its end counts anew.
        if end < self.next || end.saturating_sub(self.next) > BEHIND_MAX {
            self.begin_anew();
        }
        let reader = match &mut self.reader {
            Some(reader) => {
                reader.forget_ahead()?;
                reader
            }
            None => {
                self.next = end.saturating_sub(LATEST_RECORDS_MAX).max(1);
                let reader = Reader::open_at(&self.directory, self.next, "")?;
                self.reader.insert(reader.with_keys(self.keys.clone()))
            }
        };
        let mut since_look = 0;
        while self.next < end {
            let Some(entry) = reader.next()? else { break };
            self.next = entry.number + 1;
            match entry.record() {
                Record::Bind(bind) if bind.verdict == REFUSE => {
                    let refused = Refused { record: entry.keep(), bind: None };
                    keep(&mut self.by_rule, bind.rule, refused);
                }
                Record::Bind(bind) => self.binds.insert(bind.session, Arc::new(entry.keep())),
                Record::Verdict(verdict) if matches!(verdict.verdict, REFUSE | OBSERVE) => {
                    let bind = self.binds.find(&verdict.session).cloned();
                    let refused = Refused { record: entry.keep(), bind };
                    keep(&mut self.by_rule, verdict.rule, refused);
                }
                _ => {}
            }
            since_look += 1;
            if since_look == LOOK_EVERY {
                since_look = 0;
                if Instant::now() >= until {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The newest, newest first: of one rule's code, or of all.
    pub fn newest(&self, rule: Option<u8>, most: usize) -> Vec<&Refused> {
        let meant = self.by_rule.iter().filter(|(code, _)| rule.is_none_or(|rule| rule == **code));
        let mut found: Vec<&Refused> = meant.flat_map(|(_, refused)| refused).collect();
        found.sort_unstable_by_key(|refused| std::cmp::Reverse(refused.record.number));
        found.truncate(most);
        found
    }

    /// The bind of a session, where it was read.
    pub fn bind_of(&self, session: u64) -> Option<&Arc<Kept>> {
        self.binds.find(&session)
    }
}

impl std::fmt::Debug for Latest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Latest").field("next", &self.next).finish_non_exhaustive()
    }
}

fn keep(by_rule: &mut BTreeMap<u8, VecDeque<Refused>>, rule: u8, refused: Refused) {
    let of_rule = by_rule.entry(rule).or_default();
    if of_rule.len() == LATEST_OF_A_RULE_MAX {
        of_rule.pop_front();
    }
    of_rule.push_back(refused);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::record::{Address, BindRecord, PASS, References, VerdictRecord};
    use super::super::{Durability, Journal, Options, Records};
    use super::*;

    fn bind(records: &mut Records, session: u64, verdict: u8) {
        let bind = BindRecord {
            session,
            command_id: 9,
            sequence_number: 1,
            verdict,
            rule: if verdict == REFUSE { 1 } else { 0 },
            observed: 0,
            status: 0,
            interface_version: 0x34,
            peer: ([203, 0, 113, 9], 40_000).into(),
            smsc: None,
            listener: "0.0.0.0:2775",
            provider: "provider",
            system_id: b"shop1",
        };
        records.bind(1, &bind);
    }

    fn message(records: &mut Records, session: u64, (verdict, rule): (u8, u8)) {
        let number = Address { ton: 1, npi: 1, raw: b"8613800000000" };
        let record = VerdictRecord {
            session,
            command_id: 4,
            sequence_number: 2,
            verdict,
            rule,
            observed: 0,
            status: 0,
            command_length: 120,
            source: number,
            destination: number,
            esm_class: 0,
            data_coding: 8,
            part: None,
            class: 0,
            consent: 0,
            asks_receipt: false,
            references: References::default(),
        };
        records.verdict(1, &record);
    }

    #[test]
    fn the_newest_of_each_rule_are_there_with_their_binds_also_of_what_is_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) =
            Journal::open(folder.path(), Options::new(Durability::Synced), 1).unwrap();
        let write = |fill: &dyn Fn(&mut Records)| {
            let mut records = Records::new();
            fill(&mut records);
            let ticket = journal.append(&mut records).unwrap();
            journal.wait(ticket).unwrap();
        };
        let mut latest = Latest::new(folder.path(), Arc::default());
        let patient = || Instant::now() + Duration::from_secs(60);
        let catch_up =
            |latest: &mut Latest| latest.catch_up(journal.synced_next(), patient()).unwrap();
        write(&|records| {
            bind(records, 7, PASS);
            bind(records, 8, REFUSE);
            message(records, 7, (PASS, 0));
            message(records, 7, (REFUSE, 7));
            message(records, 9, (OBSERVE, 24));
        });
        assert_eq!(catch_up(&mut latest), 0);
        let rules = |latest: &Latest, rule| -> Vec<(bool, u8)> {
            let newest = latest.newest(rule, 10);
            let rule = |one: &&Refused| match one.record.record() {
                Record::Verdict(verdict) => (one.bind.is_some(), verdict.rule),
                Record::Bind(bind) => (one.bind.is_some(), bind.rule),
                other => panic!("{other:?}"),
            };
            newest.iter().map(rule).collect()
        };
        assert_eq!(rules(&latest, None), [(false, 24), (true, 7), (false, 1)]);
        assert_eq!(rules(&latest, Some(7)), [(true, 7)]);
        assert!(latest.newest(Some(2), 10).is_empty() && latest.bind_of(7).is_some());
        // A hundred more of one rule drive out that rule's, and no other's.
        write(&|records| {
            for _ in 0..LATEST_OF_A_RULE_MAX {
                message(records, 7, (REFUSE, 24));
            }
        });
        assert_eq!(catch_up(&mut latest), 0);
        assert_eq!(latest.newest(Some(24), 1_000).len(), LATEST_OF_A_RULE_MAX);
        assert!(latest.newest(Some(24), 1_000).iter().all(|one| one.bind.is_some()));
        assert_eq!(latest.newest(None, 1_000).len(), LATEST_OF_A_RULE_MAX + 2);
        // No time: it stops in between, and goes on from there.
        write(&|records| {
            for _ in 0..3 * LOOK_EVERY {
                message(records, 7, (REFUSE, 30));
            }
        });
        let left = latest.catch_up(journal.synced_next(), Instant::now()).unwrap();
        assert!(left > LOOK_EVERY, "{left}");
        assert_eq!(catch_up(&mut latest), 0);
        let newest = latest.newest(None, 1).first().map(|one| one.record.number);
        assert!(newest.is_some_and(|newest| newest > 3 * LOOK_EVERY), "{newest:?}");
        journal.close(2).unwrap();
    }
}
