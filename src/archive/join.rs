//! Messages with what became of them, every other record by itself, in the order of the records.
//!
//! Like a search for everything, but for records that are no message: those are given too. Held at a
//! time: what waits for its answer and what stands behind that, bounded.

use std::collections::{HashMap, VecDeque};

use super::row::{Numbers, Row};
use super::sessions::{Named, Sessions};
use crate::audit::{Entry, Kept, REFUSE, Record};

/// Records held at once; beyond it the oldest message is given without its answer.
const HELD_MAX: usize = 1 << 16;

/// A record and what became of it.
#[derive(Debug)]
pub struct Settled {
    /// Its record.
    pub record: Kept,
    /// Whose session it was.
    pub named: Option<Named>,
    /// Of a message that went on: the record of its answer; none where the journal has none.
    pub answer: Option<Kept>,
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
        row
    }
}

struct Held {
    settled: Settled,
    open: bool,
}

/// Looks at records in their order and gives them back joined.
#[derive(Default)]
pub struct Join {
    /// The sessions open where it looks.
    pub sessions: Sessions,
    held: VecDeque<Held>,
    /// Index of the front of `held`, counted from the beginning.
    front: u64,
    /// Where the open message of a session and sequence_number is held.
    open: HashMap<(u64, u32), u64>,
}

impl Join {
    /// Goes on where these sessions are open.
    pub fn with(sessions: Sessions) -> Join {
        Join { sessions, ..Join::default() }
    }

    /// Takes the next record.
    pub fn look(&mut self, entry: &Entry<'_>) {
        let record = entry.record();
        self.sessions.look(&record);
        let (session, waits) = match &record {
            Record::Link(_) => return,
            Record::Response(found) => {
                self.answered((found.session, found.sequence_number), entry);
                return;
            }
            Record::Unanswered(found) => {
                self.answered((found.session, found.sequence_number), entry);
                return;
            }
            Record::Verdict(verdict) => {
                let went_on = verdict.verdict != REFUSE;
                (verdict.session, went_on.then_some(verdict.sequence_number))
            }
            Record::Reply(reply) => (reply.session, None),
            Record::Start(_) => {
                self.settle_all();
                (0, None)
            }
            Record::End(end) => {
                self.settle(end.session);
                (0, None)
            }
            _ => (0, None),
        };
        let named = self.sessions.named(session).cloned();
        let at = self.front + self.held.len() as u64;
        if let Some(sequence_number) = waits
            && let Some(earlier) = self.open.insert((session, sequence_number), at)
        {
            // The sequence_number again: the earlier message keeps waiting without hope.
            self.close(earlier);
        }
        let settled =
            Settled { record: entry.keep(), named, answer: None, went_on: waits.is_some() };
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
            && let key = (verdict.session, verdict.sequence_number)
            && self.open.get(&key) == Some(&at)
        {
            self.open.remove(&key);
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
        let Some(at) = self.open.remove(&key) else { return };
        let Some(held) = at.checked_sub(self.front).and_then(|at| self.held.get_mut(at as usize))
        else {
            return;
        };
        held.open = false;
        held.settled.answer = Some(entry.keep());
    }

    /// No answer comes after the end of a session.
    fn settle(&mut self, session: u64) {
        let Join { open, held, front, .. } = self;
        open.retain(|(of, _), at| {
            if *of == session
                && let Some(held) = at.checked_sub(*front).and_then(|at| held.get_mut(at as usize))
            {
                held.open = false;
            }
            *of != session
        });
    }

    fn close(&mut self, at: u64) {
        if let Some(held) = at.checked_sub(self.front).and_then(|at| self.held.get_mut(at as usize))
        {
            held.open = false;
        }
    }
}
