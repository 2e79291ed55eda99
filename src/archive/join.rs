//! Messages with what became of them, every other record by itself, in the order of the records.
//!
//! Like a search for everything, but for records that are no message: those are given too. Held at a
//! time: what waits for its answer and what stands behind that, bounded.

use std::collections::{HashMap, VecDeque};

use super::row::{Numbers, Row};
use super::sessions::{Named, Sessions};
use crate::audit::{Entry, Kept, REFUSE, Record, VerdictRecord};

/// Records held at once; beyond it the oldest message is given without its answer.
const HELD_MAX: usize = 1 << 16;
/// command_id of submit_multi (SMPP 3.4 5.1.2.1), which has a verdict for each destination.
const SUBMIT_MULTI: u32 = 0x21;

/// A record and what became of it.
#[derive(Debug)]
pub struct Settled {
    /// Its record.
    pub record: Kept,
    /// Whose session it was.
    pub named: Option<Named>,
    /// Of a message that went on: the record of its answer; none where the journal has none.
    pub answer: Option<Kept>,
    /// Of a submit_multi's message that the SMSC did not take: the record that says so.
    pub unsuccess: Option<Kept>,
    went_on: bool,
}

impl Settled {
    /// Its row.
    pub fn row(&self, numbers: Numbers<'_>) -> Row<'_> {
        let mut row = Row::of_kept(&self.record, numbers);
        if let Some(named) = &self.named {
            row.name(named);
        }
        if self.went_on {
            row.answer(self.answer.as_ref());
        }
        if let Some(unsuccess) = &self.unsuccess {
            row.unsuccess(unsuccess);
        }
        row
    }
}

struct Held {
    settled: Settled,
    open: bool,
}

/// A request that waits for its answer: session, sequence_number, command_id.
pub type Waiting = (u64, u32, u32);

/// A request that went on: its records, of which only a submit_multi has more than one.
struct Request {
    command_id: u32,
    /// Where they are held.
    held: Vec<u64>,
    /// Destinations that the SMSC did not take.
    unsuccess: Vec<Kept>,
}

/// Looks at records in their order and gives them back joined.
#[derive(Default)]
pub struct Join {
    /// The sessions open where it looks.
    pub sessions: Sessions,
    held: VecDeque<Held>,
    /// Index of the front of `held`, counted from the beginning.
    front: u64,
    /// The requests of a session and sequence_number that wait, the oldest first: it is answered first.
    open: HashMap<(u64, u32), VecDeque<Request>>,
}

impl Join {
    /// Goes on where these sessions are open and these requests wait: each takes the answer that is its
    /// own, though nobody asks for it any more.
    pub fn with(sessions: Sessions, waiting: &[Waiting]) -> Join {
        let mut join = Join { sessions, ..Join::default() };
        for (session, sequence_number, command_id) in waiting {
            let request =
                Request { command_id: *command_id, held: Vec::new(), unsuccess: Vec::new() };
            join.open.entry((*session, *sequence_number)).or_default().push_back(request);
        }
        join
    }

    /// The requests that wait where it looks, those with one number in the order of their answers.
    pub fn waiting(&self) -> Vec<Waiting> {
        let mut waiting: Vec<Waiting> = self
            .open
            .iter()
            .flat_map(|((session, sequence_number), requests)| {
                requests.iter().map(|one| (*session, *sequence_number, one.command_id))
            })
            .collect();
        waiting.sort_by_key(|(session, sequence_number, _)| (*session, *sequence_number));
        waiting
    }

    /// Takes the next record.
    pub fn look(&mut self, entry: &Entry<'_>) {
        let record = entry.record();
        self.sessions.look(&record);
        let session = match &record {
            Record::Link(_) => return,
            Record::Response(found) => {
                return self.answered((found.session, found.sequence_number), entry);
            }
            Record::Unanswered(found) => {
                return self.answered((found.session, found.sequence_number), entry);
            }
            Record::Verdict(verdict) => {
                let waits = (verdict.verdict != REFUSE).then_some(verdict);
                return self.hold(entry, verdict.session, waits);
            }
            Record::Unsuccess(found) => {
                let key = (found.session, found.sequence_number);
                if let Some(request) = self.open.get_mut(&key).and_then(VecDeque::front_mut) {
                    request.unsuccess.push(entry.keep());
                }
                found.session
            }
            Record::Start(_) => {
                self.settle_all();
                0
            }
            Record::End(end) => {
                self.settle(end.session);
                0
            }
            Record::Reply(reply) => reply.session,
            Record::Receipt(receipt) => receipt.session,
            _ => 0,
        };
        self.hold(entry, session, None);
    }

    /// Keeps a record in its place; `waits`: it is a message that went on and waits for its answer.
    fn hold(&mut self, entry: &Entry<'_>, session: u64, waits: Option<&VerdictRecord<'_>>) {
        if let Some(verdict) = waits {
            let at = self.front + self.held.len() as u64;
            let requests = self.open.entry((session, verdict.sequence_number)).or_default();
            let command_id = verdict.command_id;
            match requests.back_mut() {
                Some(last) if command_id == SUBMIT_MULTI && last.command_id == SUBMIT_MULTI => {
                    last.held.push(at);
                }
                _ => requests.push_back(Request {
                    command_id,
                    held: vec![at],
                    unsuccess: Vec::new(),
                }),
            }
        }
        let settled = Settled {
            record: entry.keep(),
            named: self.sessions.named(session).cloned(),
            answer: None,
            unsuccess: None,
            went_on: waits.is_some(),
        };
        self.held.push_back(Held { settled, open: waits.is_some() });
        if self.held.len() > HELD_MAX
            && let Some(oldest) = self.held.front_mut()
        {
            oldest.open = false;
        }
    }

    /// The next record that is settled, when nothing before it is open. Only records before `end` are
    /// given.
    pub fn give(&mut self, end: u64) -> Option<Settled> {
        let held = self.held.front()?;
        if held.open || held.settled.record.number >= end {
            return None;
        }
        let at = self.front;
        self.front += 1;
        let settled = self.held.pop_front()?.settled;
        if settled.went_on
            && settled.answer.is_none()
            && let Record::Verdict(verdict) = settled.record.record()
        {
            self.forget((verdict.session, verdict.sequence_number), at);
        }
        Some(settled)
    }

    /// Number of the record that is given next.
    pub fn next_number(&self) -> Option<u64> {
        self.held.front().map(|held| held.settled.record.number)
    }

    /// Nothing more comes: what is open stays without an answer.
    pub fn settle_all(&mut self) {
        self.open.clear();
        self.held.iter_mut().for_each(|held| held.open = false);
    }

    fn answered(&mut self, key: (u64, u32), entry: &Entry<'_>) {
        let Some(requests) = self.open.get_mut(&key) else { return };
        let Some(request) = requests.pop_front() else { return };
        if requests.is_empty() {
            self.open.remove(&key);
        }
        let mut unsuccess = request.unsuccess;
        for at in request.held {
            let Some(held) = self.at(at) else { continue };
            held.open = false;
            held.settled.answer = Some(entry.keep());
            // The first of that destination: a submit_multi may name one twice.
            let found = unsuccess.iter().position(|one| is_of(one, &held.settled.record));
            held.settled.unsuccess = found.map(|found| unsuccess.remove(found));
        }
    }

    /// No answer comes after the end of a session.
    fn settle(&mut self, session: u64) {
        let mut over = Vec::new();
        self.open.retain(|(of, _), requests| {
            if *of == session {
                over.extend(requests.iter().flat_map(|request| request.held.iter().copied()));
            }
            *of != session
        });
        for at in over {
            if let Some(held) = self.at(at) {
                held.open = false;
            }
        }
    }

    /// A message given without its answer waits no longer; its request still takes its turn.
    fn forget(&mut self, key: (u64, u32), at: u64) {
        let Some(requests) = self.open.get_mut(&key) else { return };
        for request in requests.iter_mut() {
            request.held.retain(|held| *held != at);
        }
    }

    fn at(&mut self, at: u64) -> Option<&mut Held> {
        let index = at.checked_sub(self.front)?;
        self.held.get_mut(usize::try_from(index).ok()?)
    }
}

/// Whether an unsuccess record is of this message's destination.
fn is_of(unsuccess: &Kept, message: &Kept) -> bool {
    match (unsuccess.record(), message.record()) {
        (Record::Unsuccess(one), Record::Verdict(verdict)) => {
            one.destination.raw == verdict.destination.raw
        }
        _ => false,
    }
}
