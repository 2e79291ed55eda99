//! From the ESME to the SMSC: every frame has its place, and what carries a text is judged.

use super::asked::Awaited;
use super::batch::{Ask, LookUp, answer, lacking, recycled};
use super::desk::Desk;
use super::end::EndReason;
use super::knowledge::Knowledge;
use super::moment::Moment;
use super::originals::Original;
use super::prepare::{Frame, Prepared};
use super::session::{FRAMES_A_TURN, Session, Side, Step, StepKind};
use super::table::{self, BindState, Place};
use super::verdict::Judged;
use crate::policy::{
    self, Decision, Earlier, Facts, Mode, Nature, Parts, Rate, Reason, Rule, Sweep,
};
use crate::registry::Watch;
use crate::smpp::cursor::FieldFault;
use crate::smpp::frame::{FrameFault, cut};
use crate::smpp::message::WireAddress;
use crate::smpp::{Command, CommandStatus, HEADER_OCTETS, Header, Malformed, write};

/// What became of the frames that wait from the ESME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// There are none, or none may be judged now.
    None,
    /// They are judged: their records are to be handed to the journal, and nothing goes on or back before
    /// [`Session::recorded`].
    UnderWay,
    /// The ledger is being asked: nothing of them is judged. Call [`Session::judge_or_wait`] again when it
    /// knows, or has no more time.
    Waits,
}

/// Refusals that a peer may provoke, and have recorded, before it has bound.
const REFUSALS_BEFORE_BIND_MAX: u64 = 16;

impl Session {
    /// Judges the whole frames that wait from the ESME as one batch; whether there were any.
    ///
    /// Afterwards the batch is under way: its records are to be handed to the journal, and nothing
    /// goes on or back before [`Session::recorded`]. Stops early where the window is full: what is
    /// left is judged when answers have come.
    pub fn judge(
        &mut self,
        knowledge: &Knowledge,
        desk: &mut Desk,
        ask: &mut Ask<'_>,
        now: Moment,
    ) -> bool {
        self.judge_or_wait(knowledge, desk, ask, &mut |_| false, now) == Batch::UnderWay
    }

    /// The same, unless the ledger cannot tell at once and `look_up` says that it is worth waiting. Called
    /// again, it judges the very frames that waited, by what the ledger knows then; those behind them are
    /// of the next batch.
    pub fn judge_or_wait(
        &mut self,
        knowledge: &Knowledge,
        desk: &mut Desk,
        ask: &mut Ask<'_>,
        look_up: &mut LookUp<'_>,
        now: Moment,
    ) -> Batch {
        if self.under_way || self.ending.is_some() {
            return Batch::None;
        }
        let waited_octets = self.looked_octets();
        if waited_octets > 0 {
            self.recall_looked(knowledge, desk);
        } else {
            self.release_due(knowledge, now);
        }
        let waiting = std::mem::take(&mut self.esme);
        let octets = match waited_octets {
            0 => waiting.octets(),
            waited => waiting.octets().get(..waited).unwrap_or(&[]),
        };
        let mut frames = recycled(std::mem::take(&mut desk.frames));
        let fault = self.look_at_all(knowledge, octets, &mut frames, desk, now);
        let is_known = answer(&mut frames, desk, ask);
        if waited_octets > 0 {
            self.forget_looked(desk);
        } else if !is_known && look_up(lacking(&frames, desk)) {
            self.keep_looked(&frames);
            desk.frames = recycled(frames);
            self.esme = waiting;
            return Batch::Waits;
        }
        let mut octets = 0;
        let mut rest = frames.as_mut_slice();
        while let (Some(frame), None) = (rest.first(), self.ending) {
            let (length, count) = (frame.octets.len(), usize::from(frame.destinations));
            let (group, behind) = rest.split_at_mut(count.clamp(1, rest.len()));
            let kind = self.place(knowledge, group, desk, now);
            self.steps.push(Step { octets: length as u32, kind });
            octets += length;
            rest = behind;
        }
        // Nothing of what is behind the end goes on.
        self.take_back_all(knowledge, rest);
        self.hold.placed(self.steps.len());
        self.answer_kept();
        if let (Some(fault), None) = (fault, self.ending) {
            self.lost_framing(fault, waiting.octets().get(octets..).unwrap_or(&[]));
        }
        desk.frames = recycled(frames);
        self.esme = waiting;
        self.note_activity(now);
        self.under_way = !self.steps.is_empty() || !self.own_frame.is_empty();
        if self.under_way { Batch::UnderWay } else { Batch::None }
    }

    /// Cuts the octets into frames and looks at each, as far as turn and window have room. The
    /// fault is the one behind the last frame.
    fn look_at_all<'a>(
        &self,
        knowledge: &'a Knowledge,
        octets: &'a [u8],
        frames: &mut Vec<Frame<'a>>,
        desk: &mut Desk,
        now: Moment,
    ) -> Option<FrameFault> {
        let mut rest = octets;
        let mut open = self.window.len() + self.hold.len();
        let mut pdus = 0;
        while frames.len() < FRAMES_A_TURN && open < knowledge.window_requests_max {
            match cut(rest, knowledge.pdu_octets_max) {
                Ok(Some(length)) => {
                    let (frame, behind) = rest.split_at_checked(length)?;
                    let before = frames.len();
                    let due = self.hold.due(pdus);
                    pdus += 1;
                    self.look(knowledge, (frame, due), frames, desk, now);
                    open += usize::from(frames.get(before).is_some_and(Frame::may_open));
                    rest = behind;
                }
                Ok(None) => return None,
                Err(fault) => return Some(fault),
            }
        }
        None
    }

    /// Whether frames may wait that a full window kept from being judged, or that a batch is in
    /// the way of.
    pub fn has_waiting_frames(&self) -> bool {
        !self.esme.is_empty()
    }

    /// The stream cannot be cut any more: the ESME is told, unless it speaks something else.
    fn lost_framing(&mut self, fault: FrameFault, rest: &[u8]) {
        self.tally.lost_framing = Some((Side::Esme, fault));
        match fault {
            FrameFault::Foreign(_) => self.end(EndReason::Foreign),
            FrameFault::TooShort(_) | FrameFault::TooLong(_) => {
                let number = Header::of(rest).map_or(0, |header| header.sequence_number);
                write::generic_nack(&mut self.replies, CommandStatus::ESME_RINVCMDLEN, number);
                self.end(EndReason::EsmeFraming);
            }
        }
    }

    /// `group` is a frame, and where that goes to more destinations than one a frame for each.
    fn place<'a>(
        &mut self,
        knowledge: &'a Knowledge,
        group: &mut [Frame<'a>],
        desk: &mut Desk,
        now: Moment,
    ) -> StepKind {
        let Some(&Frame { octets, due, destinations, .. }) = group.first() else {
            return StepKind::Kept;
        };
        let Some(header) = Header::of(octets) else {
            return StepKind::Kept;
        };
        if due.is_none() {
            self.tally.from_esme[header.command.slot()] += 1;
        }
        if self.answers_own_unbind(Side::Esme, header.command, header.sequence_number) {
            return StepKind::Kept;
        }
        let place = table::from_esme(header.command, self.state, knowledge.unknown_command);
        if place != Place::JudgeMessage {
            // It was looked at before the session came to this state.
            self.take_back_all(knowledge, group);
        } else if due.is_none() {
            self.hold.heard(self.window.len() + self.hold.len(), now);
        }
        match place {
            Place::JudgeMessage if destinations > 0 => {
                self.judge_multi(knowledge, header, group, now)
            }
            Place::JudgeMessage => match group.first_mut() {
                Some(frame) => self.judge_message(knowledge, header, frame, desk, now),
                None => StepKind::Kept,
            },
            Place::JudgeOperation => self.judge_operation(knowledge, header, octets, now),
            Place::JudgeBind => self.judge_bind(knowledge, header, octets, now),
            Place::Forward if has_body_of_none(header) => self.keep_back(knowledge, header, now),
            Place::Forward => {
                match header.command {
                    Command::Unbind => self.state = BindState::Unbinding,
                    Command::EnquireLink => self.esme_enquires(header.sequence_number),
                    _ => {}
                }
                // What goes behind a bind that is not answered stays with it.
                self.kept_bind.0.clear();
                StepKind::Cross
            }
            Place::AnswerHere => self.answer_here(header),
            Place::Refuse(status) => self.refuse_command(knowledge, header, status, now),
            Place::Drop => StepKind::Kept,
        }
    }

    /// The parts of long messages among these frames do not go on: they count as never come.
    fn take_back_all(&self, knowledge: &Knowledge, frames: &[Frame<'_>]) {
        for part in frames.iter().filter_map(|frame| frame.message.as_ref()?.part) {
            knowledge.joinings.take_back(self.provider, &part);
        }
    }

    /// A body where none belongs does not cross: an SMSC that takes these commands for sixteen octets,
    /// whatever their length says, would read in it a message that nobody judged.
    fn keep_back(&mut self, knowledge: &Knowledge, header: Header, now: Moment) -> StepKind {
        if header.command.is_response() {
            return StepKind::Kept;
        }
        let left = header.command_length as usize - HEADER_OCTETS;
        let malformed = Malformed { field: "command_length", fault: FieldFault::Trailing(left) };
        self.refuse_malformed(knowledge, header, malformed, now)
    }

    /// enquire_link and unbind before there is an SMSC to ask (SMPP 3.4 4.2, 4.11).
    fn answer_here(&mut self, header: Header) -> StepKind {
        let ok = CommandStatus::ESME_ROK;
        write::refusal(&mut self.replies, header.command, ok, header.sequence_number);
        if header.command == Command::Unbind {
            self.end(EndReason::Unbound);
        }
        StepKind::Kept
    }

    /// A command that may not cross, by its kind or by the session's state. Unknown ones get a
    /// generic_nack, since nobody can say what their response would be (SMPP 3.4 4.3).
    fn refuse_command(
        &mut self,
        knowledge: &Knowledge,
        header: Header,
        status: CommandStatus,
        now: Moment,
    ) -> StepKind {
        if self.system_id.is_empty() && self.refused >= REFUSALS_BEFORE_BIND_MAX {
            self.end(EndReason::NeverBound);
        }
        if self.draining && header.command.carries_message() {
            return self.refuse(knowledge, &Judged::bare(header), Reason::SessionDraining, now);
        }
        let reason = match (header.command, status) {
            (Command::Unknown(_), _) => Reason::CommandUnknown,
            (_, CommandStatus::ESME_RINVBNDSTS | CommandStatus::ESME_RALYBND) => {
                Reason::CommandState
            }
            (_, _) => Reason::CommandNotCarried,
        };
        let decision = Decision { refused: Some(reason), ..Decision::default() };
        self.carry_out(&Judged::bare(header), decision, status, now)
    }

    fn judge_message<'a>(
        &mut self,
        knowledge: &'a Knowledge,
        header: Header,
        frame: &mut Frame<'a>,
        desk: &mut Desk,
        now: Moment,
    ) -> StepKind {
        // Where there is none it is malformed, or the proxy is shutting down.
        if frame.message.is_none() {
            let what = (header.command, frame.octets, frame.due);
            match self.prepare(knowledge, what, desk, now) {
                Ok(prepared) => frame.message = Some(prepared),
                Err(malformed) => return self.refuse_malformed(knowledge, header, malformed, now),
            }
        }
        let Some(prepared) = &mut frame.message else {
            return StepKind::Kept;
        };
        if let (Some(part), Some(times)) = (prepared.part, prepared.waits) {
            return self.hold.put(frame.octets, part, times, now);
        }
        if self.draining {
            if let Some(part) = prepared.part {
                self.settle(knowledge, part, Reason::SessionDraining);
            }
            let Prepared { message, gathered, facts, .. } = prepared;
            let judged = Judged::message(header, message, gathered, facts, knowledge.content);
            return self.refuse(knowledge, &judged, Reason::SessionDraining, now);
        }
        let digits;
        let (mut judged, decision): (Judged<'_>, _) = self.weigh(knowledge, header, prepared, now);
        if let (Earlier::Own, Ok(recipient)) = (prepared.facts.earlier, prepared.facts.recipient) {
            // It does not name its recipient itself.
            digits = recipient.msisdn.digits();
            judged.destination = WireAddress { ton: 1, npi: 1, value: digits.as_bytes() };
        }
        let step = self.carry_out_decision(knowledge, &judged, decision, now);
        if let (StepKind::Pass { .. }, Some(question)) = (step, prepared.question) {
            self.note(prepared, question, 0);
        }
        step
    }

    /// What the rules come to for a message to one recipient, and what its record says beside. What
    /// depends on the messages before it is put into its facts now.
    pub(super) fn weigh<'a>(
        &mut self,
        knowledge: &Knowledge,
        header: Header,
        prepared: &mut Prepared<'a>,
        now: Moment,
    ) -> (Judged<'a>, Decision) {
        let Prepared { message, gathered, facts, question, key, is_stripped, .. } = prepared;
        let (joined, taken_back) = (prepared.part, prepared.taken_back);
        let mut judged = Judged::message(header, message, gathered, facts, knowledge.content);
        if self.remembers(knowledge, header.command) {
            judged.original = Original::of(self.owner, facts, message);
        }
        judged.is_stripped = *is_stripped;
        judged.joined = joined;
        let part = gathered.part();
        if part.is_some() {
            // A handset joins it with others: whoever put another text in its place would change a message
            // that was judged whole, and only this part of it would be judged.
            judged.original = judged.original.map(Original::without_recipient);
        }
        if self.asks_receipts && matches!(header.command, Command::SubmitSm | Command::DataSm) {
            judged.awaited = Awaited::of(message);
        }
        let later_part = part.is_some_and(|part| part.number > 1);
        if let Some(provider) = self.provider
            && !knowledge.rates.take(provider, later_part, now.steady_us)
        {
            facts.rate = Rate::Exceeded;
        }
        facts.sweep = sweep(knowledge, facts);
        self.count_in_batch(facts, *question);
        // What the look found need not hold any more: other parts of the batch, or over other binds, were
        // placed since.
        let since = key.and_then(|key| knowledge.joinings.since(self.provider, &key, taken_back));
        if since == Some(Parts::Refused) {
            facts.parts = Parts::Refused;
        }
        let mut decision = policy::decide(facts, &knowledge.modes);
        // To be sent again it is told only where nothing else is against it.
        if since == Some(Parts::TakenBack) && decision.refused.is_none() {
            facts.parts = Parts::TakenBack;
            decision = policy::decide(facts, &knowledge.modes);
        }
        if let (Some(key), Some(reason)) = (key, decision.refused) {
            match joined {
                Some(part) => self.settle(knowledge, part, reason),
                None if !knowledge.statuses.of(reason).is_retried() => {
                    knowledge.joinings.refuse(self.provider, key);
                }
                None => {}
            }
        }
        (judged, decision)
    }

    pub(super) fn refuse_malformed(
        &mut self,
        knowledge: &Knowledge,
        header: Header,
        malformed: Malformed,
        now: Moment,
    ) -> StepKind {
        let reason = if malformed.field == "tlv" { Reason::PduParameter } else { Reason::PduField };
        let set = knowledge.statuses.of(reason);
        let status = if set == CommandStatus::ESME_RINVCMDLEN { malformed.status() } else { set };
        let decision = Decision { refused: Some(reason), ..Decision::default() };
        self.carry_out(&Judged::bare(header), decision, status, now)
    }

    pub(super) fn refuse(
        &mut self,
        knowledge: &Knowledge,
        judged: &Judged<'_>,
        reason: Reason,
        now: Moment,
    ) -> StepKind {
        let decision = Decision { refused: Some(reason), ..Decision::default() };
        self.carry_out_decision(knowledge, judged, decision, now)
    }

    pub(super) fn carry_out_decision(
        &mut self,
        knowledge: &Knowledge,
        judged: &Judged<'_>,
        decision: Decision,
        now: Moment,
    ) -> StepKind {
        let status = decision
            .refused
            .map_or(CommandStatus::ESME_ROK, |reason| knowledge.statuses.of(reason));
        self.carry_out(judged, decision, status, now)
    }

    /// Records a verdict and prepares its step: on into the window, or back as a refusal.
    fn carry_out(
        &mut self,
        judged: &Judged<'_>,
        decision: Decision,
        status: CommandStatus,
        now: Moment,
    ) -> StepKind {
        let header = judged.header;
        self.record_verdict(judged, &decision, status, now);
        self.record_content(judged, decision.refused.is_some(), now);
        let Some(reason) = decision.refused else {
            let observed = decision.observed.first().map_or(0, |reason| reason.rule().code());
            self.forwarded += 1;
            self.window.open(header.command, header.sequence_number, judged.original, now);
            self.window.await_receipt(judged.awaited);
            self.window.carries(judged.joined);
            let (command, sequence_number) = (header.command, header.sequence_number);
            let asks_receipt = judged.asks_receipt();
            let strips = judged.is_stripped;
            return StepKind::Pass { command, sequence_number, observed, asks_receipt, strips };
        };
        self.tally.refused[usize::from(reason.rule().code())] += 1;
        self.refused += 1;
        self.write_refusal(header.command, status, header.sequence_number);
        StepKind::Refused {
            command: header.command,
            sequence_number: header.sequence_number,
            rule: reason.rule().code(),
        }
    }

    pub(super) fn write_refusal(&mut self, command: Command, status: CommandStatus, number: u32) {
        match command {
            // They have no response of their own (SMPP 3.4 4.1.7, 4.12.1), or one nobody knows.
            Command::Unknown(_) | Command::Outbind | Command::AlertNotification => {
                write::generic_nack(&mut self.replies, status, number);
            }
            known => write::refusal(&mut self.replies, known, status, number),
        }
    }
}

/// Whether the recipient belongs to a sweep. Only of who advertises, or asks for consent, is it
/// remembered where to.
fn sweep(knowledge: &Knowledge, facts: &Facts<'_>) -> Sweep {
    let (Some((id, provider)), Ok(recipient)) = (facts.provider, facts.recipient) else {
        return Sweep::None;
    };
    let is_watched = provider.sweep == Watch::On
        && knowledge.modes.of(Rule::RecipientsSwept) != Mode::Off
        && policy::nature(facts) != Nature::Other;
    if is_watched { knowledge.sweeps.see(id, recipient.msisdn) } else { Sweep::None }
}

/// Whether a command that is its header alone (SMPP 3.4 4.2, 4.3, 4.11) has something behind it.
fn has_body_of_none(header: Header) -> bool {
    let is_header_only = matches!(
        header.command,
        Command::EnquireLink
            | Command::EnquireLinkResp
            | Command::Unbind
            | Command::UnbindResp
            | Command::GenericNack
    );
    is_header_only && header.command_length as usize > HEADER_OCTETS
}
