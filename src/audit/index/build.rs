//! An index made from its segment.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::super::format::Chain;
use super::super::keys::IndexKey;
use super::super::kind::Kind;
use super::super::message_id;
use super::super::read::{Entry, ReadFault, Reader};
use super::super::record::Record;
use super::super::sealed::KeyRing;
use super::super::segment::{Segment, SegmentFile, list};
use super::segment::{SESSIONS_MAX, SegmentIndex};
use super::{HAS_CONSENT, HAS_REFERENCES, HAS_START, MANY_SESSIONS, NUMBERS_UNREADABLE, filter};

/// Gives the form in which all spellings of a number are one; none where it has no other.
pub type Canonical<'a> = dyn Fn(&[u8]) -> Option<Vec<u8>> + Sync + 'a;

/// Tokens of senders that are remembered: few send, many receive.
const SENDERS_MAX: usize = 1 << 12;

/// The token of an address: of its canonical form, else of its octets.
pub(super) fn number_token(key: &IndexKey, canonical: &Canonical<'_>, raw: &[u8]) -> u64 {
    match canonical(raw) {
        Some(form) => key.number(&form),
        None => key.token(b'r', raw),
    }
}

/// The tokens of a message_id.
pub(super) fn id_tokens(key: &IndexKey, id: &[u8]) -> impl Iterator<Item = u64> {
    message_id::tokens(id).map(|token| key.token(b'i', token.octets()))
}

/// The token of what a receipt and its message have in common ([`message_id::keys`]).
pub(super) fn receipt_token(key: &IndexKey, common: u64) -> u64 {
    key.token(b'm', &common.to_le_bytes())
}

/// A segment that another follows: its length, and the chain value at its end by the next header.
pub(super) struct Sealed<'a> {
    pub file: &'a SegmentFile,
    pub octets: u64,
    pub chain: Chain,
}

/// The segments that others follow, in order.
pub(super) fn sealed(files: &[SegmentFile]) -> Vec<Option<Sealed<'_>>> {
    let pairs = files.iter().zip(files.iter().skip(1));
    pairs
        .map(|(file, next)| {
            let octets = std::fs::metadata(&file.path).ok()?.len();
            let chain = Segment::open(next).ok().flatten()?.header.previous;
            Some(Sealed { file, octets, chain })
        })
        .collect()
}

/// Makes the index of one sealed segment; its filters are in memory.
pub(super) fn build(
    directory: &Path,
    segment: &Sealed<'_>,
    keys: &Arc<KeyRing>,
    key: &IndexKey,
    canonical: &Canonical<'_>,
) -> Result<SegmentIndex, ReadFault> {
    let mut seen = Seen::new(key, canonical);
    let first = segment.file.first;
    let mut reader = Reader::open_at(directory, first, "")?.with_keys(keys.clone());
    while let Some(entry) = reader.next()? {
        if entry.segment_first != first {
            break;
        }
        seen.look(&entry);
    }
    let mut index = seen.index();
    index.first = first;
    index.segment_octets = segment.octets;
    index.chain = segment.chain;
    index.key = key.name();
    Ok(index)
}

struct Seen<'a> {
    key: &'a IndexKey,
    canonical: &'a Canonical<'a>,
    index: SegmentIndex,
    senders: HashMap<Vec<u8>, u64>,
    numbers: HashSet<u64>,
    ids: HashSet<u64>,
    receipts: HashSet<u64>,
    binds: BTreeMap<u64, String>,
    asking: BTreeSet<u64>,
    answering: BTreeSet<u64>,
}

impl<'a> Seen<'a> {
    fn new(key: &'a IndexKey, canonical: &'a Canonical<'a>) -> Seen<'a> {
        let mut index = SegmentIndex::default();
        (index.earliest_us, index.answers_since_us) = (u64::MAX, u64::MAX);
        Seen {
            key,
            canonical,
            index,
            senders: HashMap::new(),
            numbers: HashSet::new(),
            ids: HashSet::new(),
            receipts: HashSet::new(),
            binds: BTreeMap::new(),
            asking: BTreeSet::new(),
            answering: BTreeSet::new(),
        }
    }

    fn look(&mut self, entry: &Entry<'_>) {
        let time_us = entry.time_us;
        self.index.earliest_us = self.index.earliest_us.min(time_us);
        self.index.latest_us = self.index.latest_us.max(time_us);
        if entry.gone().is_some() && entry.kind() != Kind::Content as u8 {
            self.index.flags |= NUMBERS_UNREADABLE;
        }
        match entry.record() {
            Record::Verdict(verdict) => {
                self.asking.insert(verdict.session);
                self.fires(verdict.verdict, verdict.rule, verdict.observed);
                self.sender(verdict.source.raw);
                self.number(verdict.destination.raw);
                if !verdict.references.is_empty() {
                    self.index.flags |= HAS_REFERENCES;
                }
            }
            Record::Reply(reply) => {
                self.asking.insert(reply.session);
                self.number(reply.source.raw);
                self.sender(reply.destination.raw);
            }
            Record::Bind(bind) => {
                self.fires(bind.verdict, bind.rule, bind.observed);
                self.binds.insert(bind.session, bind.provider.to_owned());
            }
            Record::Response(response) => {
                self.answers(response.session, time_us.saturating_sub(response.latency_us.into()));
                self.ids.extend(id_tokens(self.key, response.message_id));
            }
            Record::Unanswered(record) => self.answers(record.session, record.verdict_us),
            Record::Unsuccess(record) => self.answers(record.session, time_us),
            Record::End(end) => _ = self.answering.insert(end.session),
            Record::Receipt(receipt) => {
                let (key, tokens) = (self.key, &mut self.receipts);
                tokens.extend(receipt.keys().map(|common| receipt_token(key, common)));
            }
            Record::Start(start) => {
                self.index.flags |= HAS_START;
                self.index.rule_set = start.rule_set.to_owned();
            }
            Record::Rules(rules) => self.index.rule_set = rules.rule_set.to_owned(),
            Record::Consent(consent) => {
                self.index.flags |= HAS_CONSENT;
                self.number(consent.recipient.raw);
            }
            Record::Registry(_)
            | Record::Access(_)
            | Record::Link(_)
            | Record::Stop
            | Record::Checkpoint(_)
            | Record::Purge(_)
            | Record::Hold(_)
            | Record::Keys(_)
            | Record::Content(_)
            | Record::Unknown { .. } => {}
        }
    }

    fn fires(&mut self, verdict: u8, rule: u8, observed: u64) {
        self.index.verdicts |= 1_u8.checked_shl(verdict.into()).unwrap_or(u8::MAX);
        self.index.rules |= observed | 1_u64.checked_shl(rule.into()).unwrap_or(u64::MAX);
    }

    fn answers(&mut self, session: u64, forwarded_us: u64) {
        self.answering.insert(session);
        self.index.answers_since_us = self.index.answers_since_us.min(forwarded_us);
    }

    fn number(&mut self, raw: &[u8]) {
        self.numbers.insert(number_token(self.key, self.canonical, raw));
    }

    fn sender(&mut self, raw: &[u8]) {
        if self.senders.contains_key(raw) {
            return;
        }
        let token = number_token(self.key, self.canonical, raw);
        self.numbers.insert(token);
        if self.senders.len() < SENDERS_MAX {
            self.senders.insert(raw.to_vec(), token);
        }
    }

    fn index(self) -> SegmentIndex {
        let mut index = self.index;
        let lists = [self.binds.len(), self.asking.len(), self.answering.len()];
        if lists.iter().any(|length| *length > SESSIONS_MAX) {
            index.flags |= MANY_SESSIONS;
        } else {
            index.binds = self.binds.into_iter().collect();
            index.asking = self.asking.into_iter().collect();
            index.answering = self.answering.into_iter().collect();
        }
        index.fill([
            filter::build(self.numbers.into_iter()),
            filter::build(self.ids.into_iter()),
            filter::build(self.receipts.into_iter()),
        ]);
        index
    }
}

/// The index of a sealed segment, from its file if that is right.
pub(super) fn read(directory: &Path, segment: &Sealed<'_>, key: &IndexKey) -> Option<SegmentIndex> {
    let index = SegmentIndex::read(directory, segment.file.first, key)?;
    let is_its = index.segment_octets == segment.octets && index.chain == segment.chain;
    is_its.then_some(index)
}

/// Indexes the first sealed segment that has no index; its first record, none if all have one.
pub fn index_sealed(
    directory: &Path,
    keys: &Arc<KeyRing>,
    key: &IndexKey,
    canonical: &Canonical<'_>,
) -> Result<Option<u64>, ReadFault> {
    let io_fault = |source: io::Error| ReadFault::Io { path: directory.to_owned(), source };
    let files = list(directory).map_err(io_fault)?;
    for segment in sealed(&files).into_iter().flatten() {
        if read(directory, &segment, key).is_none() {
            let mut index = build(directory, &segment, keys, key, canonical)?;
            index.write(directory).map_err(io_fault)?;
            return Ok(Some(segment.file.first));
        }
    }
    Ok(None)
}
