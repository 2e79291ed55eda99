//! What was judged and then is not to be: the journal does not take it, or the ledger has changed.

use super::end::EndReason;
use super::facts::references;
use super::knowledge::Knowledge;
use super::moment::Moment;
use super::multi::Multi;
use super::prepare::parse;
use super::session::{Session, StepKind};
use super::table::BindState;
use super::verdict::Judged;
use crate::audit::References;
use crate::policy::{self, Decision, Reason};
use crate::smpp::message::Message;
use crate::smpp::{Command, CommandStatus, Header, write};

impl Session {
    /// The journal cannot take the batch's records: nothing that was judged goes on, and everything
    /// judged is answered so that it is sent again. What carries no text crosses all the same.
    pub fn unrecorded(&mut self, knowledge: &Knowledge) {
        let status = knowledge.statuses.of(Reason::AuditUnavailable);
        self.batch_records.clear();
        self.replies.clear();
        self.refuse_kept();
        let mut steps = std::mem::take(&mut self.steps);
        let rule = policy::Rule::AuditUnavailable.code();
        for step in &mut steps {
            match step.kind {
                StepKind::Pass { command: Command::SubmitMulti, sequence_number, .. }
                | StepKind::Narrowed { sequence_number, .. } => {
                    let command = Command::SubmitMulti;
                    self.window.take_back(sequence_number);
                    self.write_unavailable(command, status, sequence_number);
                    step.kind = StepKind::Refused { command, sequence_number, rule };
                }
                StepKind::Pass { command, sequence_number, .. } => {
                    let open = self.window.take_back(sequence_number);
                    if let Some(part) = open.and_then(|open| open.part) {
                        knowledge.joinings.take_back(self.provider, &part);
                    }
                    self.forwarded -= 1;
                    self.write_unavailable(command, status, sequence_number);
                    step.kind = StepKind::Refused { command, sequence_number, rule };
                }
                StepKind::Refused { command, sequence_number, .. } => {
                    self.write_unavailable(command, status, sequence_number);
                    step.kind = StepKind::Refused { command, sequence_number, rule };
                }
                StepKind::Cross | StepKind::Kept => {}
            }
        }
        let passing: u64 = self.multis.iter().map(Multi::passing).sum();
        self.forwarded -= passing;
        for part in self.multis.iter().flat_map(Multi::passing_parts) {
            knowledge.joinings.take_back(self.provider, part);
        }
        self.multis.clear();
        if let Some((command, number)) = self.bind.take() {
            // A bind whose record is not kept is no bind: it counts as never let through.
            let status = CommandStatus::ESME_RBINDFAIL;
            write::refusal(&mut self.replies, command, status, number);
            self.tally.bind = Some((command, status));
            self.state = BindState::Open;
            for step in &mut steps {
                step.kind = StepKind::Kept;
            }
            self.end(EndReason::BindRefused);
        }
        self.steps = steps;
        self.under_way = false;
    }

    /// Answers, counts and records a refusal of a message whose batch is recorded already.
    pub(super) fn refuse_later(
        &mut self,
        knowledge: &Knowledge,
        octets: &[u8],
        reason: Reason,
        now: Moment,
    ) {
        let Some(header) = Header::of(octets) else { return };
        let status = knowledge.statuses.of(reason);
        self.tally.refused[usize::from(reason.rule().code())] += 1;
        self.refused += 1;
        self.write_refusal(header.command, status, header.sequence_number);
        let Ok(message) = parse(header.command, octets) else { return };
        let judged = self.judged_later(knowledge, header, &message);
        self.record_later(&judged, reason, status, now);
    }

    /// What a second record says of a message.
    pub(super) fn judged_later<'a>(
        &self,
        knowledge: &Knowledge,
        header: Header,
        message: &Message<'a>,
    ) -> Judged<'a> {
        Judged {
            source: message.source,
            destination: message.destination,
            esm_class: message.esm_class,
            data_coding: message.data_coding,
            references: self
                .provider
                .and_then(|id| knowledge.registry.provider_by_id(id))
                .map_or(References::default(), |provider| references(message, provider)),
            ..Judged::bare(header)
        }
    }

    /// Records a refusal among the records that nothing waits for.
    pub(super) fn record_later(
        &mut self,
        judged: &Judged<'_>,
        reason: Reason,
        status: CommandStatus,
        now: Moment,
    ) {
        let decision = Decision { refused: Some(reason), ..Decision::default() };
        std::mem::swap(&mut self.batch_records, &mut self.later_records);
        self.record_verdict(judged, &decision, status, now);
        std::mem::swap(&mut self.batch_records, &mut self.later_records);
    }

    fn write_unavailable(&mut self, command: Command, status: CommandStatus, number: u32) {
        self.tally.refused[usize::from(policy::Rule::AuditUnavailable.code())] += 1;
        self.refused += 1;
        self.write_refusal(command, status, number);
    }
}
