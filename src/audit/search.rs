//! Messages and binds by what an inspector asks for, each with all that became of it.
//!
//! The journal is walked once from its beginning. Held at a time: the binds of open sessions and
//! the messages found whose answer has not come yet, both bounded.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::read::{Ending, Entry, Kept, ReadFault, Reader};
use super::record::{BindRecord, REFUSE, Record, ReplyRecord, VerdictRecord};

/// Sessions whose binds are held; beyond it the oldest is let go, its messages have no bind then.
const SESSIONS_MAX: usize = 1 << 16;
/// Messages found that wait for their answer; beyond it the oldest is given without one.
const OPEN_MAX: usize = 1 << 16;

/// Says of raw source and destination octets whether a message between them is looked for.
pub type IsMeant<'a> = dyn Fn(&[u8], &[u8]) -> bool + 'a;

/// What is looked for. An empty query finds every bind and every message.
#[derive(Default, Clone, Copy)]
pub struct Query<'a> {
    /// Earliest time, inclusive, microseconds since the Unix epoch.
    pub since_us: Option<u64>,
    /// Latest time, exclusive.
    pub until_us: Option<u64>,
    /// Whether these raw source or destination octets are meant: comparing numbers is the
    /// caller's, who knows their canonical form. Finds messages only.
    pub number: Option<&'a IsMeant<'a>>,
    /// The provider's name, whole.
    pub provider: Option<&'a str>,
    /// A rule's code: decided, or observed.
    pub rule: Option<u8>,
    /// `PASS`, `REFUSE` or `OBSERVE`.
    pub verdict: Option<u8>,
    /// A session.
    pub session: Option<u64>,
    /// The SMSC's message_id, octet for octet. Finds messages only.
    pub message_id: Option<&'a [u8]>,
    /// An id that the message named in its vendor's parameters, octet for octet. Finds messages only.
    pub reference: Option<&'a [u8]>,
}

impl std::fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query").field("rule", &self.rule).finish_non_exhaustive()
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was refused: there is nothing to wait for.
    Refused,
    /// The SMSC answered: a response record.
    Response(Kept),
    /// The SMSC did not answer: an unanswered record.
    Unanswered(Kept),
    /// The journal does not say (yet).
    Unknown,
}

/// What was found, in the order of the records.
#[derive(Debug, Clone)]
pub enum Found {
    /// A bind.
    Bind {
        /// Its record.
        bind: Arc<Kept>,
    },
    /// A handset's answer that ends or gives consent.
    Reply {
        /// Its record.
        reply: Kept,
    },
    /// A message.
    Message {
        /// Its verdict record.
        verdict: Kept,
        /// What became of it.
        answer: Answer,
        /// The bind of its session.
        bind: Option<Arc<Kept>>,
    },
}

/// What a search went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Searched {
    /// Records read, links counted.
    pub records: u64,
    /// Binds and messages given.
    pub found: u64,
    /// How the journal ended; none when the caller broke off or nothing later could match.
    pub ending: Option<Ending>,
}

/// Calls `each` with everything in the journal of `directory` that the query means.
pub fn search(
    directory: &Path,
    query: &Query<'_>,
    each: &mut dyn FnMut(Found) -> ControlFlow<()>,
) -> Result<Searched, ReadFault> {
    let mut reader = Reader::open(directory)?;
    let mut join = Join::default();
    let mut searched = Searched { records: 0, found: 0, ending: None };
    while let Some(entry) = reader.next()? {
        searched.records += 1;
        join.look(query, &entry);
        if join.give(query, &mut searched, each).is_break() {
            return Ok(searched);
        }
    }
    searched.ending = reader.ending();
    join.settle_all();
    let _ = join.give(query, &mut searched, each);
    Ok(searched)
}

/// Something found whose place in the order is kept until what precedes it is settled.
struct Held {
    found: Found,
    open: bool,
}

#[derive(Default)]
struct Join {
    binds: HashMap<u64, Arc<Kept>>,
    /// Sessions in the order of their binds; those that ended are passed over.
    sessions: VecDeque<u64>,
    held: VecDeque<Held>,
    /// Index of the front of `held`, counted from the beginning of the search.
    front: u64,
    /// Where the open message of a session and sequence_number is held.
    open: HashMap<(u64, u32), u64>,
}

impl Join {
    fn look(&mut self, query: &Query<'_>, entry: &Entry<'_>) {
        match entry.record() {
            Record::Bind(bind) => self.bind(query, entry, &bind),
            Record::Verdict(verdict) => self.verdict(query, entry, &verdict),
            Record::Response(response) => {
                let answer = || Answer::Response(entry.keep());
                self.answer((response.session, response.sequence_number), answer);
            }
            Record::Unanswered(unanswered) => {
                let answer = || Answer::Unanswered(entry.keep());
                self.answer((unanswered.session, unanswered.sequence_number), answer);
            }
            Record::End(end) => self.end(end.session),
            Record::Reply(reply) => self.reply(query, entry, &reply),
            // No session lives on in the next opening.
            Record::Start(_) => {
                self.binds.clear();
                self.sessions.clear();
                self.settle_all();
            }
            Record::Link(_)
            | Record::Stop
            | Record::Rules(_)
            | Record::Checkpoint(_)
            | Record::Unknown { .. } => {}
        }
    }

    fn bind(&mut self, query: &Query<'_>, entry: &Entry<'_>, bind: &BindRecord<'_>) {
        let kept = Arc::new(entry.keep());
        while self.binds.len() >= SESSIONS_MAX {
            let Some(oldest) = self.sessions.pop_front() else { break };
            self.binds.remove(&oldest);
        }
        if self.sessions.len() >= 2 * SESSIONS_MAX {
            self.sessions.retain(|session| self.binds.contains_key(session));
        }
        if self.binds.insert(bind.session, kept.clone()).is_none() {
            self.sessions.push_back(bind.session);
        }
        let meant = query.number.is_none()
            && query.message_id.is_none()
            && query.reference.is_none()
            && query.means(entry.time_us, bind.session, bind.verdict, bind.rule, bind.observed)
            && query.provider.is_none_or(|name| name == bind.provider);
        if meant {
            self.held.push_back(Held { found: Found::Bind { bind: kept }, open: false });
        }
    }

    fn verdict(&mut self, query: &Query<'_>, entry: &Entry<'_>, verdict: &VerdictRecord<'_>) {
        let (time_us, session) = (entry.time_us, verdict.session);
        if !query.means(time_us, session, verdict.verdict, verdict.rule, verdict.observed)
            || query.number.is_some_and(|is| !is(verdict.source.raw, verdict.destination.raw))
            || query.reference.is_some_and(|id| !verdict.references.contains(id))
        {
            return;
        }
        let bind = self.binds.get(&session).cloned();
        if query.provider.is_some_and(|name| provider(bind.as_deref()) != Some(name)) {
            return;
        }
        let refused = verdict.verdict == REFUSE;
        if !refused {
            let at = self.front + self.held.len() as u64;
            // The sequence_number again: the earlier message keeps waiting without hope.
            if let Some(earlier) = self.open.insert((session, verdict.sequence_number), at) {
                self.close(earlier, None);
            }
        }
        let answer = if refused { Answer::Refused } else { Answer::Unknown };
        let found = Found::Message { verdict: entry.keep(), answer, bind };
        self.held.push_back(Held { found, open: !refused });
        if self.held.len() > OPEN_MAX
            && let Some(oldest) = self.held.front_mut()
        {
            oldest.open = false;
        }
    }

    /// A reply has no verdict: it is found by time, number, session and provider.
    fn reply(&mut self, query: &Query<'_>, entry: &Entry<'_>, reply: &ReplyRecord<'_>) {
        let bind = self.binds.get(&reply.session).map(Arc::as_ref);
        let meant = query.message_id.is_none()
            && query.reference.is_none()
            && query.verdict.is_none()
            && query.rule.is_none()
            && query.means(entry.time_us, reply.session, 0, 0, 0)
            && query.number.is_none_or(|is| is(reply.source.raw, reply.destination.raw))
            && query.provider.is_none_or(|name| provider(bind) == Some(name));
        if meant {
            self.held.push_back(Held { found: Found::Reply { reply: entry.keep() }, open: false });
        }
    }

    fn answer(&mut self, key: (u64, u32), answer: impl FnOnce() -> Answer) {
        if let Some(at) = self.open.remove(&key) {
            self.close(at, Some(answer()));
        }
    }

    /// No answer comes after the end of a session.
    fn end(&mut self, session: u64) {
        self.binds.remove(&session);
        let Join { open, held, front, .. } = self;
        open.retain(|(of, _), at| {
            let index = at.checked_sub(*front).map_or(usize::MAX, |index| index as usize);
            if *of == session
                && let Some(held) = held.get_mut(index)
            {
                held.open = false;
            }
            *of != session
        });
    }

    /// Settles what is held at `at`, if it still is.
    fn close(&mut self, at: u64, came: Option<Answer>) {
        let Some(index) = at.checked_sub(self.front) else { return };
        let Some(held) = self.held.get_mut(index as usize) else { return };
        held.open = false;
        if let (Found::Message { answer, .. }, Some(came)) = (&mut held.found, came) {
            *answer = came;
        }
    }

    fn settle_all(&mut self) {
        self.open.clear();
        self.held.iter_mut().for_each(|held| held.open = false);
    }

    /// Gives what is settled, as far as nothing before it is open.
    fn give(
        &mut self,
        query: &Query<'_>,
        searched: &mut Searched,
        each: &mut dyn FnMut(Found) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        while self.held.front().is_some_and(|held| !held.open) {
            let Some(held) = self.held.pop_front() else { break };
            let at = self.front;
            self.front += 1;
            self.forget(&held.found, at);
            if query.message_id.is_none_or(|id| has_message_id(&held.found, id)) {
                searched.found += 1;
                each(held.found)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// A message given without its answer waits no longer.
    fn forget(&mut self, found: &Found, at: u64) {
        if let Found::Message { verdict, answer: Answer::Unknown, .. } = found
            && let Record::Verdict(record) = verdict.record()
            && let key = (record.session, record.sequence_number)
            && self.open.get(&key) == Some(&at)
        {
            self.open.remove(&key);
        }
    }
}

impl Query<'_> {
    /// Whether what binds and messages have in common is meant.
    fn means(&self, time_us: u64, session: u64, verdict: u8, rule: u8, observed: u64) -> bool {
        let fires =
            |code: u8| rule == code || 1u64.checked_shl(code.into()).unwrap_or(0) & observed != 0;
        self.since_us.is_none_or(|since| time_us >= since)
            && self.until_us.is_none_or(|until| time_us < until)
            && self.session.is_none_or(|wanted| wanted == session)
            && self.verdict.is_none_or(|wanted| wanted == verdict)
            && self.rule.is_none_or(fires)
    }
}

fn provider(bind: Option<&Kept>) -> Option<&str> {
    match bind?.record() {
        Record::Bind(bind) => Some(bind.provider),
        _ => None,
    }
}

fn has_message_id(found: &Found, id: &[u8]) -> bool {
    let Found::Message { answer: Answer::Response(kept), .. } = found else { return false };
    matches!(kept.record(), Record::Response(response) if response.message_id == id)
}
