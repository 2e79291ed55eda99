//! `consentry audit verify --url`, `--mirror`: is the journal what its node mirrored? Whoever has the node's own
//! key can write a journal anew that verifies by itself; what was mirrored before stands elsewhere.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use serde_json::{Value, json};

use super::super::super::shown::time;
use super::super::{Answer, Failure, Place};
use super::Source;
use crate::audit::keys::PublicKey;
use crate::audit::proof::{Signed, tree};
use crate::audit::{self, Against, ReadFault, Verified};
use crate::mirror::read::{Leaf, Mirrored, MirroredFault};

/// Missing rows that are told one by one.
const GAPS_MAX: usize = 20;

/// A journal that holds, beside what was mirrored of it.
pub(in super::super) struct Held {
    /// What was found of the journal itself.
    pub verified: Verified,
    /// What was compared, a word of a mirrored journal each.
    words: Vec<Word>,
    /// Number of its last record.
    last: u64,
}

/// What was compared with one mirrored journal.
#[derive(Default)]
struct Word {
    node: String,
    journal: String,
    checkpoints: Vec<Signed>,
    page: VecDeque<Leaf>,
    is_over: bool,
    /// First and last row; 0 where there is none.
    first: u64,
    last: u64,
    /// Records that are as they were mirrored.
    same: u64,
    /// Rows that an earlier version mirrored: nobody can tell.
    unknown: u64,
    /// Rows of records that the journal has no more: they were purged.
    purged: u64,
    /// Where rows are missing in the mirror: behind the one, before the other.
    gaps: Vec<(u64, u64)>,
    /// The first record that is another.
    differs: Option<u64>,
    fault: Option<MirroredFault>,
}

impl Word {
    fn front(&mut self, mirrored: &Mirrored) -> Option<Leaf> {
        if self.page.is_empty() && !self.is_over {
            match mirrored.leaves(&self.journal, self.last) {
                Ok(page) => self.page = page.into(),
                Err(fault) => self.fault = Some(fault),
            }
            self.is_over = self.page.is_empty();
        }
        self.page.front().copied()
    }

    fn take(&mut self) {
        let Some(leaf) = self.page.pop_front() else { return };
        let is_known = leaf.previous.is_some();
        if self.last == 0 {
            self.first = leaf.record;
        } else if is_known && leaf.previous != Some(self.last) && self.gaps.len() < GAPS_MAX {
            self.gaps.push((self.last, leaf.record));
        }
        self.last = leaf.record;
    }

    /// Compares what was mirrored up to this record of the journal.
    fn look(&mut self, mirrored: &Mirrored, number: u64, leaf: &[u8; 32]) {
        while self.differs.is_none()
            && let Some(front) = self.front(mirrored)
            && front.record <= number
        {
            match (front.record == number, front.leaf) {
                (false, _) => self.purged += 1,
                (true, None) => self.unknown += 1,
                (true, Some(was)) if was == *leaf => self.same += 1,
                (true, Some(_)) => self.differs = Some(number),
            }
            self.take();
        }
    }

    /// The checkpoint that covers a record and was the first to do so.
    fn covering(&self, record: u64) -> Option<&Signed> {
        let covers = |signed: &&Signed| {
            signed.checkpoint.first <= record && record < signed.checkpoint.end()
        };
        self.checkpoints.iter().filter(covers).min_by_key(|signed| signed.checkpoint.end())
    }

    fn signed_through(&self) -> u64 {
        let ends = self.checkpoints.iter().map(|signed| signed.checkpoint.end().saturating_sub(1));
        ends.max().unwrap_or(0)
    }
}

/// Why the journal is not what was mirrored.
struct Differs {
    why: String,
    node: String,
    journal: String,
    record: Option<u64>,
    checkpoint: Option<Signed>,
}

/// Holds the journal in `folder` against what its node mirrored; what is wrong is told here.
pub(in super::super) fn run(
    place: &Place,
    source: &Source,
    (folder, keys): (&Path, &[PublicKey]),
    checkpoints: &[Signed],
    json: bool,
) -> Result<Result<Held, Answer>, Failure> {
    let mirrored = source.open(place)?;
    let mut words = words(&mirrored, &source.own_names(place)?, keys)?;
    if !source.journal.is_empty() {
        words.retain(|word| source.journal.contains(&word.journal));
        if words.is_empty() {
            let asked = source.journal.join(", ");
            return Err(Failure(format!("the mirror has no journal {asked} of this node")));
        }
    }
    let mut against = checkpoints.to_vec();
    against.extend(words.iter().flat_map(|word| word.checkpoints.iter().cloned()));
    let mut last = 0;
    let walked = audit::verify_each(
        folder,
        &Against { keys, checkpoints: &against },
        &mut |number, octets| {
            last = number;
            let leaf = tree::leaf(octets);
            words.iter_mut().for_each(|word| word.look(&mirrored, number, &leaf));
        },
    );
    let (verified, differs) = match walked {
        Ok(verified) => (Some(verified), differs(&mut words, &mirrored, last)),
        Err(ReadFault::Broken(fault)) => {
            // Where it holds by itself, it is what was mirrored that it does not hold against.
            let alone = audit::verify_against(folder, &Against { keys, checkpoints });
            (None, Some(rewritten(&words, alone.is_ok(), &fault.to_string())))
        }
        Err(other) => return Err(other.into()),
    };
    if let Some(fault) = words.iter_mut().find_map(|word| word.fault.take()) {
        return Err(fault.into());
    }
    Ok(match (verified, differs) {
        (Some(verified), None) => Ok(Held { verified, words, last }),
        (_, differs) => {
            differs.iter().for_each(|differs| tell(differs, json));
            Err(Answer::No)
        }
    })
}

/// The mirrored journals that are this node's: by its name, or because one of its keys signed.
fn words(mirrored: &Mirrored, names: &[String], keys: &[PublicKey]) -> Result<Vec<Word>, Failure> {
    let mut words = Vec::new();
    for (journal, known) in &mirrored.journals {
        let is_named = names.iter().any(|name| known.nodes.contains(name));
        let is_own = |signer: &[u8; 32]| keys.iter().any(|key| key.id() == *signer);
        if is_named || mirrored.signers(journal)?.iter().any(is_own) {
            let checkpoints = mirrored.checkpoints(journal)?;
            let node = known.nodes.iter().cloned().collect::<Vec<_>>().join(", ");
            words.push(Word { node, journal: journal.clone(), checkpoints, ..Word::default() });
        }
    }
    match words.is_empty() {
        true => Err(Failure(format!(
            "the mirror has nothing of node {}, and nothing that one of these keys signed: --node names another",
            names.join(", ")
        ))),
        false => Ok(words),
    }
}

/// The journal holds up to record `last`, with every signature that was mirrored: are its records those that were
/// mirrored?
fn differs(words: &mut [Word], mirrored: &Mirrored, last: u64) -> Option<Differs> {
    for word in words {
        let beyond = word.front(mirrored).map(|leaf| leaf.record);
        let (record, why) = match (word.differs, beyond) {
            (Some(record), _) => match word.covering(record) {
                Some(_) => (
                    record,
                    "is another in the mirror, though the checkpoint that covers it is the same in both: \
                         the mirror was changed, not the journal",
                ),
                None => (
                    record,
                    "is another in the mirror, and no checkpoint that was mirrored covers it: the journal \
                         was written anew behind the last of them, or the mirror was changed",
                ),
            },
            (None, Some(record)) if record > last => {
                (record, "was mirrored, and the journal ends before it: its end was cut off")
            }
            _ => continue,
        };
        return Some(Differs {
            why: format!("record {record} {why}"),
            node: word.node.clone(),
            journal: word.journal.clone(),
            record: Some(record),
            checkpoint: word.covering(record).cloned(),
        });
    }
    None
}

/// The journal does not hold: by itself, or against what was mirrored and signed.
fn rewritten(words: &[Word], is_whole_alone: bool, fault: &str) -> Differs {
    let first = words.iter().filter_map(|word| Some((word.differs?, word)));
    let first = first.min_by_key(|(record, _)| *record);
    let alone = match is_whole_alone {
        true => "the journal is whole by itself and is not the one that was mirrored",
        false => "the journal is broken by itself",
    };
    let (record, word) = match first {
        Some((record, word)) => (Some(record), Some(word)),
        None => (None, words.first()),
    };
    let checkpoint = record.and_then(|record| word?.covering(record)).cloned();
    let which = match (record, &checkpoint) {
        (Some(record), Some(signed)) => format!(
            "; the first record that is another is {record}, and the first checkpoint that says so is that of \
                 records {} to {}, signed {}",
            signed.checkpoint.first,
            signed.checkpoint.end().saturating_sub(1),
            time(signed.checkpoint.time_us)
        ),
        (Some(record), None) => format!("; the first record that is another is {record}"),
        (None, _) => String::new(),
    };
    Differs {
        why: format!("{alone}{which}; {fault}"),
        node: word.map_or(String::new(), |word| word.node.clone()),
        journal: word.map_or(String::new(), |word| word.journal.clone()),
        record,
        checkpoint,
    }
}

impl Held {
    /// What was compared and what not, for the object of a whole journal.
    pub(in super::super) fn to_json(&self) -> Value {
        let gap = |(behind, before): &(u64, u64)| json!({ "behind": behind, "before": before });
        let word = |word: &Word| {
            json!({
                "node": word.node, "journal": word.journal, "same": word.same,
                "first": word.first, "last": word.last, "unknown": word.unknown,
                "purged": word.purged, "signed_through": word.signed_through(),
                "gaps": word.gaps.iter().map(gap).collect::<Vec<_>>(),
                "not_mirrored": self.last.saturating_sub(word.last),
            })
        };
        self.words.iter().map(word).collect()
    }

    /// The same in sentences.
    pub(in super::super) fn sentences(&self) -> Vec<String> {
        self.words.iter().flat_map(|word| self.sentences_of(word)).collect()
    }

    fn sentences_of(&self, word: &Word) -> Vec<String> {
        let Word { node, journal, same, first, last, purged, unknown, gaps, .. } = word;
        let signed = word.signed_through();
        let mut said = vec![format!(
            "as mirrored: {same} records of node {node}, journal {journal}, from {first} to {last}; signed in the \
             mirror up to record {signed}"
        )];
        if self.last > *last {
            said.push(format!(
                "not covered: records {} to {} are not mirrored yet: they could be written anew unseen",
                last + 1,
                self.last
            ));
        }
        if *last > signed {
            said.push(format!(
                "not signed in the mirror: records {} to {last}: they are compared with its rows alone",
                signed + 1
            ));
        }
        if *first > 1 {
            said.push(format!("not covered: the mirror begins with record {first}"));
        }
        said.extend(gaps.iter().map(|(behind, before)| {
            format!("not covered: the mirror has no rows between records {behind} and {before}")
        }));
        if *purged > 0 {
            said.push(format!("{purged} mirrored records were purged since, on record"));
        }
        if *unknown > 0 {
            said.push(format!("not covered: {unknown} records that an earlier version mirrored"));
        }
        said
    }
}

fn tell(differs: &Differs, json: bool) {
    let Differs { why, node, journal, record, checkpoint } = differs;
    if !json {
        println!("broken: node {node}, journal {journal}: {why}");
        return;
    }
    let checkpoint = checkpoint.as_ref().map(|signed| {
        let said: BTreeMap<&str, Value> = [
            ("first", signed.checkpoint.first.into()),
            ("last", signed.checkpoint.end().saturating_sub(1).into()),
            ("signed", time(signed.checkpoint.time_us).into()),
        ]
        .into();
        json!(said)
    });
    println!(
        "{}",
        json!({
            "whole": false, "why": why, "node": node, "journal": journal, "record": record,
            "checkpoint": checkpoint,
        })
    );
}
