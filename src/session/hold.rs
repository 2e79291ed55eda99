//! Long messages in mode `hold`: parts wait, out of the way of everything else, until their message is
//! complete, and are then judged and let go together.
//!
//! A part that came is put aside: it is neither answered nor forwarded, and the frames behind it go
//! their way. When its message is complete, over whichever binds, each session puts its parts in front
//! of what waits from its ESME, by number, and judges them as any other frames: with the whole text,
//! and with consent as it stands by then. `docs/long_messages.md` says what a sender sees of it.
//!
//! | what happens | what becomes of the parts that wait |
//! |---|---|
//! | the last part comes, here or on another bind | judged with the whole text, in order |
//! | the message is refused for another part | refused |
//! | the deadline passes | refused, `Parts::Late`, and all that follow |
//! | the sender says nothing more ([`HoldTimes::silence_us`]) | judged with what is known, as in mode `progressive`: it may wait for an answer before it sends on. Not where other nodes may have the rest |
//! | the proxy drains, or the sender unbinds | refused as any message then |
//! | the connection ends | let go, and its message lacks them again |
//!
//! # One of several nodes
//!
//! What one node has seen of a message another has not: one text could be sent through the one, and a part
//! with other words in it through the other, and each would be judged with a text that no handset shows.
//! So where other nodes serve the same senders ([`super::Knowledge::whole_within_us`]) and the text decides
//! ([`super::Texts::decides`]), parts wait in either mode, and none is judged without all the others.

use std::collections::VecDeque;

use super::knowledge::Knowledge;
use super::moment::Moment;
use super::session::{Session, StepKind};
use super::table::BindState;
use crate::text::joining::{Key, Part, Progress};

/// What becomes of the parts of long messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LongMessages {
    /// Each is judged at once, with all that came before. The default.
    #[default]
    Progressive,
    /// They wait for each other.
    Hold(HoldTimes),
}

/// How long parts wait, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldTimes {
    /// For their message to be complete; beyond it they are refused.
    pub deadline_us: u64,
    /// For anything more from a sender; beyond it the sender is taken to wait for the answer. From
    /// `deadline_us` on this never happens.
    pub silence_us: u64,
}

impl LongMessages {
    /// How long parts wait, where they do.
    pub(super) fn times(self) -> Option<HoldTimes> {
        match self {
            LongMessages::Progressive => None,
            LongMessages::Hold(times) => Some(times),
        }
    }
}

impl HoldTimes {
    /// Of parts that are never judged without the others.
    pub(super) fn whole_within(deadline_us: u64) -> HoldTimes {
        HoldTimes { deadline_us, silence_us: u64::MAX }
    }
}

/// Why a part that waited is judged now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Its message is complete, or refused.
    Settled,
    /// Its time has run out.
    Late,
    /// It is judged with what is known.
    Alone,
}

/// A part that waits.
#[derive(Debug)]
struct Held {
    octets: Vec<u8>,
    part: Part,
    since_us: u64,
    times: HoldTimes,
}

impl Held {
    /// When it is refused for the others' sake, on the steady clock.
    fn late_us(&self) -> u64 {
        self.since_us.saturating_add(self.times.deadline_us)
    }
}

/// The parts of one session that wait. They count against its window and its buffer.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// In the order in which they came.
    parts: Vec<Held>,
    octets: usize,
    /// The frames at the front of what waits from the ESME that were held before.
    released: VecDeque<Due>,
    /// The sender was silent while a part of it waited: it sends one after the other.
    pub(super) is_lockstep: bool,
    /// When a message came last (steady clock).
    message_us: u64,
    /// How often messages of the provider had been settled when it was looked at last.
    changes: u64,
}

impl Hold {
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    /// Why the frame in that place of what waits was held before, if it was.
    pub(super) fn due(&self, place: usize) -> Option<Due> {
        self.released.get(place).copied()
    }

    /// So many frames of what waited have been placed.
    pub(super) fn placed(&mut self, frames: usize) {
        self.released.drain(..frames.min(self.released.len()));
    }

    /// A message came from the ESME; `others` of it are open.
    pub(super) fn heard(&mut self, others: usize, now: Moment) {
        self.message_us = now.steady_us;
        if others > 0 {
            self.is_lockstep = false;
        }
    }

    /// Puts a part aside.
    pub(super) fn put(
        &mut self,
        octets: &[u8],
        part: Part,
        times: HoldTimes,
        now: Moment,
    ) -> StepKind {
        self.octets += octets.len();
        let octets = octets.to_vec();
        self.parts.push(Held { octets, part, since_us: now.steady_us, times });
        StepKind::Kept
    }

    fn is_silent(&self, part: &Held, now: Moment) -> bool {
        now.steady_us >= self.silent_from_us(part)
    }

    fn silent_from_us(&self, part: &Held) -> u64 {
        self.message_us.max(part.since_us).saturating_add(part.times.silence_us)
    }

    /// When the first of its parts is due by time.
    fn next_us(&self) -> u64 {
        let next = |part: &Held| part.late_us().min(self.silent_from_us(part));
        self.parts.iter().map(next).min().unwrap_or(u64::MAX)
    }
}

impl Session {
    /// Parts that wait for their message to be complete.
    pub fn held_parts(&self) -> usize {
        self.hold.len()
    }

    /// Whether messages have been settled, on any bind of the provider, since parts that wait here
    /// were looked at last.
    pub fn hold_has_news(&self, knowledge: &Knowledge) -> bool {
        self.hold.len() > 0 && self.hold.changes != knowledge.joinings.changes(self.provider)
    }

    /// When [`Session::judge`] has to be called for the sake of parts that wait, on the steady clock.
    pub fn hold_deadline_us(&self) -> u64 {
        self.hold.next_us()
    }

    /// Lets the parts go that still wait, for others or for the ledger: nobody is there to answer any more. They
    /// count as never come.
    pub fn let_go(&mut self, knowledge: &Knowledge) {
        self.let_looked_go(knowledge);
        for held in self.hold.parts.drain(..) {
            knowledge.joinings.take_back(self.provider, &held.part);
        }
        self.hold.octets = 0;
    }

    /// Puts the parts whose time has come in front of what waits from the ESME.
    pub(super) fn release_due(&mut self, knowledge: &Knowledge, now: Moment) {
        let goes_on = !self.draining && matches!(self.state, BindState::Bound(_));
        let is_timed = now.steady_us >= self.hold.next_us();
        if self.hold.len() == 0 || (goes_on && !is_timed && !self.hold_has_news(knowledge)) {
            return;
        }
        // Read first: what is settled meanwhile is news the next time.
        self.hold.changes = knowledge.joinings.changes(self.provider);
        let mut due = Vec::new();
        for at in 0..self.hold.parts.len() {
            let Some(part) = self.hold.parts.get(at) else { break };
            if !goes_on {
                // It is refused: no other part may go on by what it says.
                knowledge.joinings.take_back(self.provider, &part.part);
            }
            let progress = knowledge.joinings.progress(self.provider, &part.part.key);
            let why = match progress {
                _ if !goes_on => Some(Due::Alone),
                Some(Progress::Complete | Progress::Refused) => Some(Due::Settled),
                // Forgotten: it gave way to others.
                None => Some(Due::Late),
                Some(Progress::Incomplete) if now.steady_us >= part.late_us() => Some(Due::Late),
                Some(Progress::Incomplete) if self.hold.is_silent(part, now) => Some(Due::Alone),
                Some(Progress::Incomplete) => None,
            };
            due.extend(why.map(|why| (at, why)));
        }
        if due.iter().any(|(_, why)| *why == Due::Alone) && goes_on {
            self.hold.is_lockstep = true;
        }
        if !due.is_empty() {
            self.put_in_front(due);
        }
    }

    /// Messages in the order of their first part here, each by the numbers of its parts.
    fn put_in_front(&mut self, mut due: Vec<(usize, Due)>) {
        let parts = &self.hold.parts;
        let first_of = |key: &Key| parts.iter().position(|held| held.part.key == *key);
        let place = |held: &Held| (first_of(&held.part.key), held.part.number);
        due.sort_by_key(|(at, _)| parts.get(*at).map(place));
        let mut octets = Vec::new();
        for (at, _) in &due {
            octets.extend_from_slice(parts.get(*at).map_or(&[], |part| part.octets.as_slice()));
        }
        self.esme.put_in_front(&octets);
        self.hold.octets = self.hold.octets.saturating_sub(octets.len());
        for (_, why) in due.iter().rev() {
            self.hold.released.push_front(*why);
        }
        let mut at = 0;
        self.hold.parts.retain(|_| {
            at += 1;
            !due.iter().any(|(one, _)| one + 1 == at)
        });
    }
}

/// Whether a part is to wait: a new one, or the one that makes its message complete, which is put in
/// order with the others.
pub(super) fn waits(total: u8, progress: Progress, is_repeated: bool) -> bool {
    match progress {
        Progress::Incomplete => total > 1,
        Progress::Complete => total > 1 && !is_repeated,
        Progress::Refused => false,
    }
}
