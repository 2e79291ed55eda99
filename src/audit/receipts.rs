//! Receipts, each with the message that it belongs to; those that belong to none.
//!
//! The journal is walked once. A receipt is looked up among the messages answered lately; what is not
//! found there waits for an answer that comes later, and where messages were forgotten for want of
//! room, a second walk looks at all of them. Memory is bounded: [`MESSAGES_MAX`], [`RECEIPTS_HELD_MAX`].

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::message_id::{self, Tail};
use super::read::{Entry, Kept, ReadFault, Reader};
use super::recent::Recent;
use super::record::{REFUSE, Record};
use super::sealed::KeyRing;
use super::search::{IsMeant, belongs};

/// Messages answered lately that are held, each by at most two keys of 16 octets.
pub const MESSAGES_MAX: usize = 1 << 22;
/// Receipts held at a time.
pub const RECEIPTS_HELD_MAX: usize = 1 << 16;
/// Destinations held of messages that wait for their answer.
const OPEN_MAX: usize = 1 << 20;

/// Which receipts are looked for.
#[derive(Default, Clone, Copy)]
pub struct ReceiptQuery<'a> {
    /// Earliest time, inclusive, microseconds since the Unix epoch.
    pub since_us: Option<u64>,
    /// Latest time, exclusive.
    pub until_us: Option<u64>,
    /// Whether these raw source or destination octets are meant.
    pub number: Option<&'a IsMeant<'a>>,
    /// Only those that belong to no message of this journal.
    pub is_unmatched: bool,
    /// How many are wanted, where it is known: no more are held at a time.
    pub most: Option<usize>,
    /// The keys to read numbers with. Without them, and where they are gone, no receipt belongs to a
    /// message by its recipient.
    pub keys: Option<&'a Arc<KeyRing>>,
}

impl std::fmt::Debug for ReceiptQuery<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiptQuery")
            .field("is_unmatched", &self.is_unmatched)
            .finish_non_exhaustive()
    }
}

/// A receipt and its message.
#[derive(Debug, Clone)]
pub struct Matched {
    /// The receipt record.
    pub receipt: Kept,
    /// Number of the verdict record of its message; none where no message has its id and recipient.
    pub message: Option<u64>,
}

/// Calls `each` with the receipts that the query means, in the order of the records.
pub fn receipts(
    directory: &Path,
    query: &ReceiptQuery<'_>,
    each: &mut dyn FnMut(Matched) -> ControlFlow<()>,
) -> Result<(), ReadFault> {
    let held_max = query.most.unwrap_or(RECEIPTS_HELD_MAX).clamp(1, RECEIPTS_HELD_MAX);
    let mut reader = open(directory, query)?;
    let mut requests = Requests::new();
    let mut known = Recent::new(2 * MESSAGES_MAX);
    let mut held = Held::default();
    while let Some(entry) = reader.next()? {
        for (key, message) in requests.answered_by(&entry) {
            held.came(key, &message);
            known.insert(key, message.verdict);
        }
        if let Record::Receipt(receipt) = entry.record()
            && query.means(&entry)
        {
            let mut keys = receipt.keys();
            let message = keys.find_map(|key| known.find(&key)).copied();
            if message.is_none() || !query.is_unmatched {
                held.put(entry.keep(), message);
            }
        }
        if query.is_unmatched {
            held.drop_matched();
        }
        if held.matched.len() >= held_max {
            held.look_at_all(directory, query)?;
            if held.give(query, each).is_break() {
                return Ok(());
            }
        }
    }
    if known.has_forgotten() {
        held.look_at_all(directory, query)?;
    }
    let _ = held.give(query, each);
    Ok(())
}

fn open(directory: &Path, query: &ReceiptQuery<'_>) -> Result<Reader, ReadFault> {
    let reader = Reader::open(directory)?;
    Ok(match query.keys {
        Some(keys) => reader.with_keys(keys.clone()),
        None => reader,
    })
}

impl ReceiptQuery<'_> {
    fn means(&self, entry: &Entry<'_>) -> bool {
        let Record::Receipt(receipt) = entry.record() else { return false };
        self.since_us.is_none_or(|since| entry.time_us >= since)
            && self.until_us.is_none_or(|until| entry.time_us < until)
            && self.number.is_none_or(|is| is(receipt.source.raw, receipt.destination.raw))
    }
}

/// A message that the SMSC gave an id.
struct Message {
    verdict: u64,
    id: Vec<u8>,
    recipient: Vec<u8>,
}

/// The requests that wait for their answer: of each destination its verdict and its number.
struct Requests {
    open: Recent<(u64, u32), Vec<(u64, Vec<u8>)>>,
}

impl Requests {
    fn new() -> Requests {
        Requests { open: Recent::new(OPEN_MAX) }
    }

    /// The messages that a record gives an id, by their keys.
    fn answered_by(&mut self, entry: &Entry<'_>) -> Vec<(u64, Message)> {
        match entry.record() {
            Record::Verdict(verdict) if verdict.verdict != REFUSE => {
                let key = (verdict.session, verdict.sequence_number);
                let one = (entry.number, verdict.destination.raw.to_vec());
                match self.open.find_mut(&key) {
                    // The destinations of a submit_multi, or a number that is used again.
                    Some(open) if open.len() < usize::from(u8::MAX) => open.push(one),
                    Some(_) => {}
                    None => self.open.insert(key, vec![one]),
                }
                Vec::new()
            }
            Record::Response(response) => {
                let key = (response.session, response.sequence_number);
                let open = self.open.remove(&key).unwrap_or_default();
                let messages = open.into_iter().flat_map(|(verdict, recipient)| {
                    let id = response.message_id;
                    let keys: Vec<u64> = message_id::keys(id, Tail::of(&recipient)).collect();
                    keys.into_iter().map(move |key| {
                        (key, Message { verdict, id: id.to_vec(), recipient: recipient.clone() })
                    })
                });
                messages.collect()
            }
            Record::Unanswered(unanswered) => {
                self.open.remove(&(unanswered.session, unanswered.sequence_number));
                Vec::new()
            }
            Record::End(end) => {
                self.open.retain(|(session, _)| *session != end.session);
                Vec::new()
            }
            Record::Start(_) => {
                self.open.clear();
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

/// The receipts at hand.
#[derive(Default)]
struct Held {
    matched: BTreeMap<u64, Matched>,
    /// Those without a message, by their keys.
    waiting: HashMap<u64, Vec<u64>>,
    has_new_match: bool,
}

impl Held {
    fn put(&mut self, receipt: Kept, message: Option<u64>) {
        if let (None, Record::Receipt(record)) = (message, receipt.record()) {
            for key in record.keys() {
                self.waiting.entry(key).or_default().push(receipt.number);
            }
        }
        self.matched.insert(receipt.number, Matched { receipt, message });
    }

    /// A message has this key: it is that of the receipts that wait for it.
    fn came(&mut self, key: u64, message: &Message) {
        for number in self.waiting.remove(&key).unwrap_or_default() {
            if let Some(one) = self.matched.get_mut(&number)
                && let Record::Receipt(receipt) = one.receipt.record()
                && one.message.is_none()
                && belongs(&receipt, &message.id, &message.recipient)
            {
                one.message = Some(message.verdict);
                self.has_new_match = true;
            }
        }
    }

    fn drop_matched(&mut self) {
        if std::mem::take(&mut self.has_new_match) {
            self.matched.retain(|_, one| one.message.is_none());
        }
    }

    /// Looks through the whole journal for the messages of those that wait.
    fn look_at_all(&mut self, directory: &Path, query: &ReceiptQuery<'_>) -> Result<(), ReadFault> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut reader = open(directory, query)?;
        let mut requests = Requests::new();
        while let Some(entry) = reader.next()? {
            for (key, message) in requests.answered_by(&entry) {
                self.came(key, &message);
            }
        }
        Ok(())
    }

    fn give(
        &mut self,
        query: &ReceiptQuery<'_>,
        each: &mut dyn FnMut(Matched) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.waiting.clear();
        for one in std::mem::take(&mut self.matched).into_values() {
            if one.message.is_none() || !query.is_unmatched {
                each(one)?;
            }
        }
        ControlFlow::Continue(())
    }
}
