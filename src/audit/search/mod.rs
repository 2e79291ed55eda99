//! Messages and binds by what an inspector asks for, each with all that became of it.
//!
//! The journal is walked once from its beginning. What is found is held until the end of the walk,
//! since a receipt may come days after its message; beyond [`HELD_MAX`] results, a second walk looks for
//! what became of those at hand, and the first goes on behind them. So memory is bounded whatever is
//! asked for: results, the binds of open sessions, and receipts that were earlier than the response.
//! Records of consent that outlived their segments are found in the places where they stood.
//!
//! | file | subject |
//! |---|---|
//! | `join` | what is held, and what became of it |
//! | `outlived` | what is kept of purged segments |

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::events::ConsentRecord;
use super::index::{Indexed, Plan, Planned};
use super::kind::Kind;
use super::message_id::{is_same, is_same_recipient};
use super::read::{Ending, Entry, Kept, ReadFault, Reader};
use super::receipt::ReceiptRecord;
use super::record::ReplyRecord;
use super::sealed::KeyRing;

mod join;
mod outlived;

use join::Join;
use outlived::Outlived;

/// Results held at a time.
pub const HELD_MAX: usize = 1 << 16;

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
    /// The SMSC's message_id, in any form: see [`super::message_id`]. Finds messages only.
    pub message_id: Option<&'a [u8]>,
    /// An id that the message named in its vendor's parameters, octet for octet. Finds messages only.
    pub reference: Option<&'a [u8]>,
    /// The keys to read numbers with. Without them, and where they are gone, no number is found.
    pub keys: Option<&'a Arc<KeyRing>>,
    /// What segments are passed over by; none reads them all.
    pub index: Option<&'a Indexed<'a>>,
    /// Whether what messages say is wanted, where it is recorded and `keys` has an auditor's.
    pub contents: bool,
    /// How many results are wanted, where it is known: no more are held at a time.
    pub most: Option<usize>,
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
    /// The SMSC answered a submit_multi, and did not take this destination.
    Unsuccess {
        /// The response record.
        response: Kept,
        /// The record of the destination.
        unsuccess: Box<Kept>,
    },
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
        /// The bind of its session.
        bind: Option<Arc<Kept>>,
    },
    /// The consent ledger was told of an event.
    Consent {
        /// Its record.
        consent: Kept,
    },
    /// A message.
    Message {
        /// Its verdict record.
        verdict: Kept,
        /// What it says, where that is recorded and was asked for; whether it can be read is in it.
        content: Option<Arc<Kept>>,
        /// What became of it.
        answer: Answer,
        /// The bind of its session.
        bind: Option<Arc<Kept>>,
        /// What the SMSC told of it later, oldest first: at most sixteen.
        receipts: Vec<Kept>,
    },
}

/// What a search went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Searched {
    /// Records read, links counted.
    pub records: u64,
    /// Binds and messages given.
    pub found: u64,
    /// Messages and replies that were not looked at for the number, as it cannot be read.
    pub unreadable: u64,
    /// Segments that the journal had.
    pub segments: u64,
    /// Segments that were read for what is looked for, or for what became of it; some more than once.
    pub segments_read: u64,
    /// How the journal ended; none when the caller broke off or nothing later could match.
    pub ending: Option<Ending>,
}

/// Calls `each` with everything in the journal of `directory` that the query means.
pub fn search(
    directory: &Path,
    query: &Query<'_>,
    each: &mut dyn FnMut(Found) -> ControlFlow<()>,
) -> Result<Searched, ReadFault> {
    let plan = match query.index {
        Some(indexed) => Some(Plan::new(directory, query, indexed)?),
        None => None,
    };
    // Where not all sessions are listed, nobody knows which are a provider's but who reads all binds.
    let plan = plan.filter(|plan| query.provider.is_none() || !plan.is_incomplete());
    let mut search = Search {
        directory,
        query,
        plan: plan.as_ref(),
        join: Join::new(),
        outlived: Outlived::of(directory, query)?,
        held_max: query.most.unwrap_or(HELD_MAX).clamp(1, HELD_MAX),
        searched: Searched::default(),
        each,
    };
    let _ = match &plan {
        Some(plan) => search.planned(plan)?,
        None => search.all()?,
    };
    Ok(search.searched)
}

/// A search on its way. A break says that the caller has enough.
struct Search<'a> {
    directory: &'a Path,
    query: &'a Query<'a>,
    plan: Option<&'a Plan<'a>>,
    join: Join,
    outlived: Outlived,
    held_max: usize,
    searched: Searched,
    each: &'a mut dyn FnMut(Found) -> ControlFlow<()>,
}

impl Search<'_> {
    /// Reads what a plan says may match, and what may tell what became of that.
    fn planned(&mut self, plan: &Plan<'_>) -> Result<ControlFlow<()>, ReadFault> {
        let (directory, query) = (self.directory, self.query);
        self.join.of_provider = query.provider.map(|name| plan.sessions_of(name));
        self.searched.segments = plan.segments.len() as u64;
        for (at, planned) in plan.segments.iter().enumerate() {
            let is_last = at + 1 == plan.segments.len();
            if self.outlived_before(at, planned.first)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if !planned.may_match {
                self.join.go_on(query, directory, planned, 0, &mut self.searched)?;
                continue;
            }
            self.searched.segments_read += 1;
            let mut reader = open_at(directory, planned, query)?;
            while let Some(entry) = reader.next()? {
                if !is_last && entry.segment_first != planned.first {
                    break;
                }
                let number = entry.number;
                self.look(&entry);
                if self.give_if_full(at, number)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            self.join.looked_at.insert(planned.first);
            self.searched.ending = reader.ending();
        }
        let end = (plan.segments.len(), u64::MAX);
        self.join.finish(query, directory, plan, end, &mut self.searched)?;
        Ok(self.join.give(&mut self.searched, query, self.each))
    }

    /// Reads the whole journal.
    fn all(&mut self) -> Result<ControlFlow<()>, ReadFault> {
        let mut reader = Reader::open(self.directory)?;
        if let Some(keys) = self.query.keys {
            reader = reader.with_keys(keys.clone());
        }
        let mut segment = None;
        while let Some(entry) = reader.next()? {
            let (number, first) = (entry.number, entry.segment_first);
            if segment.replace(first) != Some(first) {
                self.searched.segments += 1;
                self.searched.segments_read += 1;
                if self.outlived_before(0, first)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            self.look(&entry);
            if self.give_if_full(0, number)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.searched.ending = reader.ending();
        Ok(self.join.give(&mut self.searched, self.query, self.each))
    }

    fn look(&mut self, entry: &Entry<'_>) {
        self.searched.looks_at(self.query, entry);
        self.join.look(self.query, entry);
    }

    /// Looks at what is kept of the purged segments that stood before record `first`, which begins
    /// segment `at` of the plan.
    fn outlived_before(&mut self, at: usize, first: u64) -> Result<ControlFlow<()>, ReadFault> {
        self.join.ends_segment();
        loop {
            let Search { query, join, outlived, searched, .. } = self;
            while join.held.len() < self.held_max
                && outlived.look(first, query, &mut join.held, searched)?
            {}
            if self.give_if_full(at, first - 1)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if !self.outlived.has_before(first) {
                return Ok(ControlFlow::Continue(()));
            }
        }
    }

    /// Gives what is held once it is as much as may be held, with what became of it behind record
    /// `number` of segment `at` of the plan.
    fn give_if_full(&mut self, at: usize, number: u64) -> Result<ControlFlow<()>, ReadFault> {
        let Search { directory, query, join, searched, .. } = self;
        if !join.is_full(self.held_max, number) {
            return Ok(ControlFlow::Continue(()));
        }
        match self.plan {
            Some(plan) => join.finish(query, directory, plan, (at, number), searched)?,
            None => join.look_ahead(query, directory, number)?,
        }
        Ok(join.give(searched, query, self.each))
    }
}

fn open_at(directory: &Path, planned: &Planned, query: &Query<'_>) -> Result<Reader, ReadFault> {
    let reader = Reader::open_at(directory, planned.first, &planned.rule_set)?;
    Ok(match query.keys {
        Some(keys) => reader.with_keys(keys.clone()),
        None => reader,
    })
}

impl Searched {
    fn looks_at(&mut self, query: &Query<'_>, entry: &Entry<'_>) {
        self.records += 1;
        let is_content = entry.kind() == Kind::Content as u8;
        let is_missed = query.number.is_some() && !is_content && entry.gone().is_some();
        self.unreadable += u64::from(is_missed);
    }
}

/// Whether a receipt is of the message to that recipient with that id.
pub fn belongs(receipt: &ReceiptRecord<'_>, id: &[u8], recipient: &[u8]) -> bool {
    let handsets = [receipt.source.raw, receipt.destination.raw];
    handsets.into_iter().any(|handset| is_same_recipient(handset, recipient))
        && receipt.ids().any(|one| is_same(one, id))
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

    /// A reply has no verdict: it is found by time, number and session, and by the provider whose it is.
    fn means_reply(&self, time_us: u64, reply: &ReplyRecord<'_>) -> bool {
        self.asks_no_message()
            && self.means(time_us, reply.session, 0, 0, 0)
            && self.number.is_none_or(|is| is(reply.source.raw, reply.destination.raw))
    }

    /// An event has no verdict, no session and no bind: it is found by time, recipient and entity, which
    /// is the provider.
    fn means_consent(&self, time_us: u64, consent: &ConsentRecord<'_>) -> bool {
        self.asks_no_message()
            && self.session.is_none()
            && self.provider.is_none_or(|name| name == consent.entity)
            && self.means(time_us, 0, 0, 0, 0)
            && self.number.is_none_or(|is| is(consent.recipient.raw, &[]))
    }

    /// Whether nothing is asked for that only messages have.
    fn asks_no_message(&self) -> bool {
        self.message_id.is_none()
            && self.reference.is_none()
            && self.verdict.is_none()
            && self.rule.is_none()
    }
}
