//! submit_multi: one text to several recipients, each judged on its own.
//!
//! Where some may not get it, it is refused to all, or goes on to the others ([`MultiPolicy`]). Then it is
//! rewritten, and so is its response: nothing else of a peer's ever is.

use super::batch::Vouched;
use super::knowledge::{Knowledge, MultiPolicy};
use super::left_out::DESTINATION_OCTETS_MAX;
use super::moment::Moment;
use super::originals::Original;
use super::prepare::{Frame, Prepared};
use super::session::{Session, StepKind};
use super::verdict::Judged;
use crate::policy::{Decision, Reason};
use crate::smpp::message::Message;
use crate::smpp::multi::SubmitMulti;
use crate::smpp::response::Unsuccess;
use crate::smpp::{Command, CommandStatus, Header, narrow, write};
use crate::text::joining::Part;

/// Most parts of long messages in the open submit_multis of one session, of about 60 octets each. What is
/// beyond is refused, since nobody could say what its SMSC did not take.
pub const MULTI_PARTS_MAX: usize = 16_384;

/// A submit_multi of the batch under way, of which something may go on.
#[derive(Debug)]
pub(super) struct Multi {
    /// Its step.
    pub(super) step: usize,
    /// What became of each destination, in their order.
    pub(super) outcomes: Vec<Outcome>,
    /// The PDU to those that may get it, where they are not all.
    pub(super) narrowed: Vec<u8>,
    /// Of which long messages it is a part, to whom.
    parts: Vec<(u8, Part)>,
}

/// What became of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It gets the message; with the code of the rule that only observed, or 0.
    Passes(u8),
    /// It does not.
    Refused(CommandStatus),
}

impl Outcome {
    fn passes(self) -> bool {
        matches!(self, Outcome::Passes(_))
    }
}

impl Multi {
    /// How many destinations get it.
    pub(super) fn passing(&self) -> u64 {
        self.outcomes.iter().filter(|outcome| outcome.passes()).count() as u64
    }

    /// Whether that destination gets it.
    pub(super) fn passes(&self, destination: u8) -> bool {
        self.outcomes.get(usize::from(destination)).is_some_and(|outcome| outcome.passes())
    }

    /// The parts that go on.
    pub(super) fn passing_parts(&self) -> impl Iterator<Item = &Part> {
        let parts = self.parts.iter().filter(|(destination, _)| self.passes(*destination));
        parts.map(|(_, part)| part)
    }

    /// Writes the PDU to those that get it, out of the one that came.
    fn narrow(&mut self, frame: &[u8]) -> bool {
        self.narrowed.clear();
        let outcomes = &self.outcomes;
        let keep = |at: usize| outcomes.get(at).is_some_and(|outcome| outcome.passes());
        narrow::submit_multi(&mut self.narrowed, frame, keep).is_ok_and(|kept| kept > 0)
    }
}

/// A destination with what was found against it.
struct Weighed<'f, 'a> {
    prepared: &'f Prepared<'a>,
    judged: Judged<'a>,
    decision: Decision,
}

impl Session {
    /// Judges a submit_multi; `group` has a frame for each of its destinations.
    pub(super) fn judge_multi(
        &mut self,
        knowledge: &Knowledge,
        header: Header,
        group: &mut [Frame<'_>],
        now: Moment,
    ) -> StepKind {
        let vouched_before = self.vouched.len();
        let octets = group.first().map_or(&[][..], |frame| frame.octets);
        let mut weighed = Vec::with_capacity(group.len());
        for (at, prepared) in (0_u8..).zip(group.iter_mut().filter_map(|one| one.message.as_mut()))
        {
            let (judged, decision) = self.weigh(knowledge, header, prepared, now);
            if let (None, Some(question)) = (decision.refused, prepared.question) {
                self.note(prepared, question, at);
            }
            weighed.push(Weighed { prepared, judged, decision });
        }
        let outcomes = weighed.iter().map(|one| outcome(knowledge, &one.decision)).collect();
        let parts = (0..).zip(&weighed).filter_map(|(at, one)| Some((at, one.prepared.part?)));
        let (step, parts, narrowed) = (self.steps.len(), parts.collect(), Vec::new());
        let mut multi = Multi { step, outcomes, narrowed, parts };
        let is_remembered = self.may_carry(&multi);
        let beyond = (!is_remembered).then_some(Reason::PartsLimit);
        match reason_of_all(knowledge, &weighed).or(beyond) {
            None => {}
            Some(_)
                if is_remembered && self.may_narrow(knowledge, &multi) && multi.narrow(octets) => {}
            Some(reason) => {
                self.vouched.truncate(vouched_before);
                return self.refuse_multi(knowledge, header, weighed, reason, now);
            }
        }
        self.carry_out_multi(knowledge, header, &weighed, multi, now)
    }

    /// Whether there is room to remember which parts it carries.
    fn may_carry(&self, multi: &Multi) -> bool {
        let waiting = self.multis.iter().chain([multi]).map(|multi| multi.parts.len());
        let open = self.multi_parts.iter().map(|(_, parts)| parts.len());
        multi.parts.is_empty() || waiting.chain(open).sum::<usize>() <= MULTI_PARTS_MAX
    }

    /// Whether it may go on to some, and there is room to remember the others.
    fn may_narrow(&mut self, knowledge: &Knowledge, multi: &Multi) -> bool {
        let waiting = self.multis.iter().chain([multi]).map(|multi| multi.outcomes.len());
        let octets = waiting.sum::<usize>() * DESTINATION_OCTETS_MAX;
        knowledge.submit_multi == MultiPolicy::Narrow && self.left_outs.has_room(octets)
    }

    /// Nobody gets it. Those against whom there is nothing are refused for the others' sake.
    fn refuse_multi(
        &mut self,
        knowledge: &Knowledge,
        header: Header,
        weighed: Vec<Weighed<'_, '_>>,
        reason: Reason,
        now: Moment,
    ) -> StepKind {
        let status = knowledge.statuses.of(reason);
        let mut said = None;
        for Weighed { prepared, judged, mut decision } in weighed {
            if decision.refused.is_none() {
                decision.refused = Some(Reason::MultiRefused);
                if let Some(part) = prepared.part {
                    knowledge.joinings.take_back(self.provider, &part);
                }
            }
            self.record_verdict(&judged, &decision, status, now);
            self.count_refused(decision.refused.unwrap_or(reason));
            said.get_or_insert(judged);
        }
        // It says the same to all.
        if let Some(judged) = said {
            self.record_content(&judged, true, now);
        }
        let (command, sequence_number) = (header.command, header.sequence_number);
        self.write_refusal(command, status, sequence_number);
        StepKind::Refused { command, sequence_number, rule: reason.rule().code() }
    }

    /// All get it, or some.
    fn carry_out_multi(
        &mut self,
        knowledge: &Knowledge,
        header: Header,
        weighed: &[Weighed<'_, '_>],
        multi: Multi,
        now: Moment,
    ) -> StepKind {
        let mut observed = None;
        let goes_on = weighed.iter().find(|one| one.decision.refused.is_none());
        for Weighed { judged, decision, .. } in weighed {
            let status = decision
                .refused
                .map_or(CommandStatus::ESME_ROK, |reason| knowledge.statuses.of(reason));
            self.record_verdict(judged, decision, status, now);
            match decision.refused {
                Some(reason) => self.count_refused(reason),
                None => observed = observed.or(decision.observed.first()),
            }
        }
        // It says the same to all.
        if let Some(one) = goes_on {
            self.record_content(&one.judged, false, now);
        }
        let (command, sequence_number) = (header.command, header.sequence_number);
        self.forwarded += multi.passing();
        // To several: an id does not say to whom.
        let original = weighed.first().and_then(|one| one.judged.original);
        let original = original.map(Original::without_recipient);
        self.window.open(command, sequence_number, original, now);
        let is_narrowed = !multi.narrowed.is_empty();
        self.multis.push(multi);
        let observed = observed.map_or(0, |reason| reason.rule().code());
        if is_narrowed {
            StepKind::Narrowed { sequence_number, observed }
        } else {
            StepKind::Pass {
                command,
                sequence_number,
                observed,
                asks_receipt: false,
                strips: false,
            }
        }
    }

    fn count_refused(&mut self, reason: Reason) {
        self.tally.refused[usize::from(reason.rule().code())] += 1;
        self.refused += 1;
    }

    /// The submit_multi of a step.
    pub(super) fn multi(&self, step: usize) -> Option<&Multi> {
        self.multis.iter().find(|multi| multi.step == step)
    }

    /// One destination is refused after all, or all for its sake. Second records say so.
    pub(super) fn take_back_destination(
        &mut self,
        knowledge: &Knowledge,
        vouched: &Vouched,
        frame: &[u8],
        reason: Reason,
        now: Moment,
    ) {
        let (Ok(read), Some(header)) = (SubmitMulti::parse(frame), Header::of(frame)) else {
            return;
        };
        let Some(at) = self.multis.iter().position(|multi| multi.step == vouched.step) else {
            return;
        };
        let mut multi = self.multis.swap_remove(at);
        let status = knowledge.statuses.of(reason);
        let is_whole = knowledge.submit_multi == MultiPolicy::Whole;
        for ((at, outcome), destination) in
            (0_u8..).zip(&mut multi.outcomes).zip(read.destinations())
        {
            let is_it = at == vouched.destination;
            let Outcome::Passes(observed) = *outcome else { continue };
            if !is_it && !is_whole {
                continue;
            }
            let message = Message { destination: destination.named(), ..read.message };
            let why = if is_it { reason } else { Reason::MultiRefused };
            for (_, part) in multi.parts.iter().filter(|(to, _)| *to == at && !is_it) {
                knowledge.joinings.take_back(self.provider, part);
            }
            let judged = self.judged_later(knowledge, header, &message);
            self.record_later(&judged, why, status, now);
            self.count_refused(why);
            self.forwarded -= 1;
            let passed = self.tally.passed_slot(observed);
            *passed = passed.saturating_sub(1);
            *outcome = Outcome::Refused(status);
        }
        let (command, sequence_number) = (header.command, header.sequence_number);
        let kind = if multi.passing() > 0 && multi.narrow(frame) {
            StepKind::Narrowed { sequence_number, observed: 0 }
        } else {
            self.window.take_back(sequence_number);
            self.write_refusal(command, status, sequence_number);
            StepKind::Refused { command, sequence_number, rule: reason.rule().code() }
        };
        if let Some(step) = self.steps.get_mut(vouched.step) {
            step.kind = kind;
        }
        self.multis.push(multi);
    }

    /// Remembers the destinations that the narrowed submit_multis of the batch leave out.
    pub(super) fn remember_left_out(&mut self) {
        for multi in std::mem::take(&mut self.multis) {
            let step = self.steps.get(multi.step).map(|step| step.kind);
            if let Some(
                StepKind::Pass { sequence_number, .. } | StepKind::Narrowed { sequence_number, .. },
            ) = step
                && !multi.parts.is_empty()
            {
                let parts = multi.passing_parts().copied().collect();
                self.multi_parts.push_back((sequence_number, parts));
            }
            let Some(StepKind::Narrowed { sequence_number, .. }) = step else { continue };
            let (start, length) = self.place_of(multi.step);
            let frame = self.esme.octets().get(start..start + length).unwrap_or(&[]);
            let Ok(read) = SubmitMulti::parse(frame) else { continue };
            let mut octets = Vec::new();
            for (outcome, destination) in multi.outcomes.iter().zip(read.destinations()) {
                if let Outcome::Refused(status) = *outcome {
                    let destination = destination.named();
                    write::unsuccess(&mut octets, Unsuccess { destination, status });
                }
            }
            self.window.narrow(sequence_number);
            self.left_outs.put(sequence_number, octets);
        }
    }

    /// The parts that a submit_multi carried which is answered or given up: it is the oldest of that number.
    pub(super) fn carried_parts(&mut self, sequence_number: u32) -> Vec<Part> {
        let is_it = |(number, _): &(u32, Vec<Part>)| *number == sequence_number;
        let at = self.multi_parts.iter().position(is_it);
        at.and_then(|at| self.multi_parts.remove(at)).map_or(Vec::new(), |(_, parts)| parts)
    }

    /// Where the octets of a step begin, and how many they are.
    pub(super) fn place_of(&self, step: usize) -> (usize, usize) {
        let start = self.steps.iter().take(step).map(|step| step.octets as usize).sum();
        (start, self.steps.get(step).map_or(0, |step| step.octets as usize))
    }
}

/// Why all are refused, where any is: by a reason that says no for good, if there is one, so that
/// nothing that the law forbids is answered as if it might pass later.
fn reason_of_all(knowledge: &Knowledge, weighed: &[Weighed<'_, '_>]) -> Option<Reason> {
    let mut reasons = weighed.iter().filter_map(|one| one.decision.refused);
    let first = reasons.clone().next();
    reasons.find(|reason| !knowledge.statuses.of(*reason).is_retried()).or(first)
}

fn outcome(knowledge: &Knowledge, decision: &Decision) -> Outcome {
    match decision.refused {
        Some(reason) => Outcome::Refused(knowledge.statuses.of(reason)),
        None => Outcome::Passes(decision.observed.first().map_or(0, |reason| reason.rule().code())),
    }
}

/// Whether a command is one whose destinations have outcomes of their own.
pub(super) fn has_outcomes(command: Command) -> bool {
    command == Command::SubmitMulti
}
