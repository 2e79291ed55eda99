//! Consent around a batch: asked once for all of it, looked at again before anything of it goes on,
//! and told what went on.

use super::desk::Desk;
use super::knowledge::Knowledge;
use super::moment::Moment;
use super::multi::has_outcomes;
use super::prepare::Frame;
use super::session::{Session, StepKind};
use crate::consent::{Event, Happened, Question, Source};
use crate::content::reply::Keyword;
use crate::policy::{Consent, Facts, Mode, Nature, Reason, Standing, StandingState, nature};
use crate::registry::{Allotment, Digits};

/// Asks the consent ledger: one answer a question, in their order. An answer that is missing counts
/// as [`Consent::Unavailable`].
pub type Ask<'a> = dyn FnMut(&[Question], &mut Vec<Consent>) + 'a;

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
}

/// Puts the ledger's answers into the facts of the messages that need them.
pub(super) fn answer(frames: &mut [Frame<'_>], desk: &mut Desk, ask: &mut Ask<'_>) {
    desk.questions.clear();
    desk.answers.clear();
    let questions = frames.iter().filter_map(|frame| frame.message.as_ref()?.question);
    desk.questions.extend(questions);
    if desk.questions.is_empty() {
        return;
    }
    ask(&desk.questions, &mut desk.answers);
    let asking = frames.iter_mut().filter_map(|frame| frame.message.as_mut());
    let asking = asking.filter(|message| message.question.is_some());
    for (message, answer) in asking.zip(&desk.answers) {
        message.facts.consent = Some(*answer);
    }
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
    pub(super) fn note(
        &mut self,
        facts: &Facts<'_>,
        question: Question,
        keyword: Option<Keyword>,
        destination: u8,
    ) {
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
            keyword: code.zip(keyword),
        });
    }

    /// Whether the batch under way rests on the ledger's word.
    pub fn is_vouched(&self) -> bool {
        !self.vouched.is_empty()
    }

    /// Asks again, because the batch had to wait: what was advertised to somebody who has refused
    /// meanwhile is refused now. Call after [`Session::recorded`] and before anything goes on.
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
        for (vouched, answer) in vouched.iter().zip(&desk.answers) {
            let revoked =
                matches!(answer, Consent::Known(one) if one.state == StandingState::Revoked);
            if revoked {
                let reason =
                    if vouched.asks { Reason::ConsentAskedAgain } else { Reason::ConsentRevoked };
                self.take_back(knowledge, vouched, reason, now);
            }
        }
        self.vouched = vouched;
    }

    /// A message that passed is refused after all. Its second record says so.
    fn take_back(&mut self, knowledge: &Knowledge, vouched: &Vouched, reason: Reason, now: Moment) {
        if knowledge.modes.of(reason.rule()) != Mode::Enforce {
            return;
        }
        let (start, length) = self.place_of(vouched.step);
        let waiting = std::mem::take(&mut self.esme);
        let octets = waiting.octets().get(start..start + length).unwrap_or(&[]);
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

    /// What the ledger has to be told of the batch, and the keywords that it announced. Call when
    /// the batch goes on.
    pub fn tell(
        &self,
        now: Moment,
        events: &mut Vec<Event>,
        keywords: &mut Vec<(Digits, Keyword)>,
    ) {
        let goes_on = |vouched: &&Vouched| {
            let goes = self.steps.get(vouched.step).is_some_and(|step| step.kind.goes_on());
            let multi = self.multi(vouched.step);
            goes && multi.is_none_or(|multi| multi.passes(vouched.destination))
        };
        for vouched in self.vouched.iter().filter(goes_on) {
            keywords.extend(vouched.keyword);
            let happened = if vouched.asks {
                Happened::Asked { content: 1 }
            } else if vouched.counts {
                Happened::Sent { scope: vouched.question.scope }
            } else {
                continue;
            };
            events.push(Event {
                entity: vouched.question.entity,
                recipient: vouched.question.recipient,
                time_us: now.wall_us,
                source: Source::Message,
                happened,
            });
        }
    }
}
