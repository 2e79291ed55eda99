//! Consent around a batch: asked once for all of it, looked at again before anything of it goes on,
//! and told what went on.

use super::desk::Desk;
use super::knowledge::Knowledge;
use super::moment::Moment;
use super::multi::has_outcomes;
use super::prepare::{Frame, Prepared};
use super::session::{Session, StepKind};
use crate::consent::{Claimed, Event, Happened, Question, Source};
use crate::content::reply::Keyword;
use crate::policy::{Consent, Facts, Mode, Nature, Reason, Standing, StandingState, nature};
use crate::registry::{Allotment, Digits};
use crate::text::joining::Part;

/// Asks the consent ledger: one answer a question, in their order. An answer that is missing counts
/// as [`Consent::Unavailable`].
pub type Ask<'a> = dyn FnMut(&[Question], &mut Vec<Consent>) + 'a;

/// Asks for what the ledger could not tell at once; whether it is worth waiting for. At most
/// [`super::QUESTIONS_A_BATCH_MAX`] questions.
pub type LookUp<'a> = dyn FnMut(&[Question]) -> bool + 'a;

/// A message of the batch that passed on the ledger's word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vouched {
    /// Its step.
    pub(super) step: usize,
    /// Which destination of a submit_multi, from 0.
    pub(super) destination: u8,
    question: Question,
    /// Whether it asks for consent; else it advertises.
    asks: bool,
    /// Whether it counts against a promised frequency.
    counts: bool,
    keyword: Option<(Digits, Keyword)>,
    /// Which part of which long message it is.
    part: Option<Part>,
}

/// Puts the ledger's answers into the facts of the messages that need them; whether it had them all.
pub(super) fn answer(frames: &mut [Frame<'_>], desk: &mut Desk, ask: &mut Ask<'_>) -> bool {
    desk.questions.clear();
    desk.answers.clear();
    let questions = frames.iter().filter_map(|frame| frame.message.as_ref()?.question);
    desk.questions.extend(questions);
    if desk.questions.is_empty() {
        return true;
    }
    ask(&desk.questions, &mut desk.answers);
    let mut is_known = desk.answers.len() >= desk.questions.len();
    let asking = frames.iter_mut().filter_map(|frame| frame.message.as_mut());
    let asking = asking.filter(|message| message.question.is_some());
    for (message, answer) in asking.zip(&desk.answers) {
        is_known &= *answer != Consent::Unavailable;
        message.facts.consent = Some(*answer);
    }
    is_known
}

/// What the ledger had no answer to.
pub(super) fn lacking<'d>(frames: &[Frame<'_>], desk: &'d mut Desk) -> &'d [Question] {
    let unknown = |frame: &Frame<'_>| {
        let message = frame.message.as_ref()?;
        message.question.filter(|_| message.facts.consent == Some(Consent::Unavailable))
    };
    desk.questions.clear();
    desk.questions.extend(frames.iter().filter_map(unknown));
    // Parts of one message follow each other.
    desk.questions.dedup();
    &desk.questions
}

/// An empty list of frames in the room of another one.
pub(super) fn recycled<'a>(mut frames: Vec<Frame<'_>>) -> Vec<Frame<'a>> {
    frames.clear();
    // The list is empty: nothing is converted, and the room is kept.
    frames
        .into_iter()
        .map(|frame| Frame {
            octets: &[],
            message: frame.message.and(None),
            destinations: 0,
            due: None,
        })
        .collect()
}

impl Session {
    /// The ledger does not know yet of messages of this batch: they count all the same.
    pub(super) fn count_in_batch(&self, facts: &mut Facts<'_>, question: Option<Question>) {
        let (Some(Consent::Known(standing)), Some(question)) = (&mut facts.consent, question)
        else {
            return;
        };
        let same = self.vouched.iter().filter(|vouched| vouched.question == question);
        if standing.promised.is_some() {
            standing.sent += same.filter(|vouched| vouched.counts).count() as u32;
        } else if standing.state == StandingState::None && same.clone().any(|vouched| vouched.asks)
        {
            standing.state = StandingState::Asked;
        }
    }

    /// Notes that the message at hand passed on the ledger's word.
    /// `destination`: which one of a submit_multi, from 0.
    pub(super) fn note(&mut self, prepared: &Prepared<'_>, question: Question, destination: u8) {
        let Prepared { facts, keyword, part, .. } = prepared;
        let code = match facts.allotment {
            Allotment::Code(_, code) => Some(code.number),
            Allotment::None | Allotment::Alphanumeric(_) => None,
        };
        let promised =
            |standing: &Standing| standing.promised.is_some() && !standing.is_expired(facts.now_us);
        self.vouched.push(Vouched {
            step: self.steps.len(),
            destination,
            question,
            asks: nature(facts) == Nature::Request,
            counts: matches!(&facts.consent, Some(Consent::Known(standing)) if promised(standing)),
            keyword: code.zip(*keyword),
            part: *part,
        });
    }

    /// Whether the batch under way rests on the ledger's word.
    pub fn is_vouched(&self) -> bool {
        !self.vouched.is_empty()
    }

    /// Asks again, because the batch had to wait: what was advertised to somebody who has refused
    /// meanwhile is refused now, and what the ledger cannot vouch for any more. Call after
    /// [`Session::recorded`] and before anything goes on.
    pub fn ask_again(
        &mut self,
        knowledge: &Knowledge,
        desk: &mut Desk,
        ask: &mut Ask<'_>,
        now: Moment,
    ) {
        desk.questions.clear();
        desk.answers.clear();
        desk.questions.extend(self.vouched.iter().map(|vouched| vouched.question));
        ask(&desk.questions, &mut desk.answers);
        let vouched = std::mem::take(&mut self.vouched);
        let answers = desk.answers.iter().copied().chain(std::iter::repeat(Consent::Unavailable));
        for (vouched, answer) in vouched.iter().zip(answers) {
            let reason = match answer {
                Consent::Known(one) if one.state != StandingState::Revoked => continue,
                Consent::Known(_) if vouched.asks => Reason::ConsentAskedAgain,
                Consent::Known(_) => Reason::ConsentRevoked,
                Consent::Unavailable => Reason::LedgerUnavailable,
            };
            self.take_back(knowledge, vouched, reason, now);
        }
        self.vouched = vouched;
    }

    /// What of the batch other nodes may be sending too, and has to be claimed before it goes on: requests for
    /// consent, and messages under a promised frequency. Call after [`Session::recorded`].
    pub fn claims(&self, now: Moment, events: &mut Vec<Event>) {
        if self.vouched.iter().any(|vouched| vouched.asks || vouched.counts) {
            events.extend(self.going().filter_map(|vouched| vouched.event(now)));
        }
    }

    /// What the claims came to, in the order of [`Session::claims`]: what is not taken does not go on. Those
    /// without an answer are not taken.
    pub fn claimed(&mut self, knowledge: &Knowledge, claimed: &[Claimed], now: Moment) {
        let claims: Vec<Vouched> =
            self.going().filter(|vouched| vouched.event(now).is_some()).copied().collect();
        let answers = claimed.iter().copied().chain(std::iter::repeat(Claimed::Unavailable));
        for (vouched, answer) in claims.iter().zip(answers) {
            let reason = match answer {
                Claimed::Taken => continue,
                Claimed::Refused if vouched.asks => Reason::ConsentAskedAgain,
                Claimed::Refused => Reason::ConsentUsedUp,
                Claimed::Unavailable => Reason::LedgerUnavailable,
            };
            self.take_back(knowledge, vouched, reason, now);
        }
    }

    /// A message that passed is refused after all. Its second record says so.
    fn take_back(&mut self, knowledge: &Knowledge, vouched: &Vouched, reason: Reason, now: Moment) {
        if knowledge.modes.of(reason.rule()) != Mode::Enforce || !self.goes_on(vouched) {
            return;
        }
        let (start, length) = self.place_of(vouched.step);
        let waiting = std::mem::take(&mut self.esme);
        let octets = waiting.octets().get(start..start + length).unwrap_or(&[]);
        if let Some(part) = vouched.part {
            self.settle(knowledge, part, reason);
        }
        let kind = self.steps.get(vouched.step).map(|step| step.kind);
        match kind {
            Some(StepKind::Pass { command, sequence_number, observed, .. })
                if !has_outcomes(command) =>
            {
                let rule = reason.rule().code();
                if let Some(step) = self.steps.get_mut(vouched.step) {
                    step.kind = StepKind::Refused { command, sequence_number, rule };
                }
                self.window.take_back(sequence_number);
                self.forwarded -= 1;
                let passed = self.tally.passed_slot(observed);
                *passed = passed.saturating_sub(1);
                self.refuse_later(knowledge, octets, reason, now);
            }
            Some(StepKind::Pass { .. } | StepKind::Narrowed { .. }) => {
                self.take_back_destination(knowledge, vouched, octets, reason, now);
            }
            Some(StepKind::Cross | StepKind::Refused { .. } | StepKind::Kept) | None => {}
        }
        self.esme = waiting;
    }

    /// A part that was refused will come again, and counts as not seen; or it is the end of its message.
    pub(super) fn settle(&self, knowledge: &Knowledge, part: Part, reason: Reason) {
        if knowledge.statuses.of(reason).is_retried() {
            knowledge.joinings.take_back(self.provider, &part);
        } else {
            knowledge.joinings.refuse(self.provider, &part.key);
        }
    }

    /// Of the messages that passed on the ledger's word, those that go on.
    fn going(&self) -> impl Iterator<Item = &Vouched> {
        self.vouched.iter().filter(|vouched| self.goes_on(vouched))
    }

    fn goes_on(&self, vouched: &Vouched) -> bool {
        let goes = self.steps.get(vouched.step).is_some_and(|step| step.kind.goes_on());
        let multi = self.multi(vouched.step);
        goes && multi.is_none_or(|multi| multi.passes(vouched.destination))
    }

    /// What the ledger has to be told of the batch, and the keywords that it announced. Call when
    /// the batch goes on. What was claimed it knows already.
    pub fn tell(
        &self,
        now: Moment,
        events: &mut Vec<Event>,
        keywords: &mut Vec<(Digits, Keyword)>,
    ) {
        for vouched in self.going() {
            keywords.extend(vouched.keyword);
            events.extend(vouched.event(now));
        }
    }
}

impl Vouched {
    /// What the ledger counts of it.
    fn event(&self, now: Moment) -> Option<Event> {
        let Question { entity, recipient, scope } = self.question;
        let happened = match (self.asks, self.counts) {
            (true, _) => Happened::Asked { content: 1 },
            (false, true) => Happened::Sent { scope },
            (false, false) => return None,
        };
        let (time_us, source) = (now.wall_us, Source::Message);
        Some(Event { entity, recipient, time_us, source, happened })
    }
}
