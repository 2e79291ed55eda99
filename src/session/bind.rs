//! A bind is judged: who may bind, from where, and how often.

use super::end::EndReason;
use super::knowledge::Knowledge;
use super::moment::Moment;
use super::originals;
use super::session::{Session, StepKind};
use super::table::{BindKind, BindState};
use super::verdict::verdict_and_rule;
use crate::audit::BindRecord;
use crate::policy::{self, BindFacts, Decision, Rate, Reason};
use crate::smpp::bind::Bind;
use crate::smpp::{CommandStatus, Header};

impl Session {
    pub(super) fn judge_bind(
        &mut self,
        knowledge: &Knowledge,
        header: Header,
        frame: &[u8],
        now: Moment,
    ) -> StepKind {
        let (Some(kind), false) = (BindKind::of(header.command), self.draining) else {
            let status = CommandStatus::ESME_RBINDFAIL;
            self.write_refusal(header.command, status, header.sequence_number);
            self.end(EndReason::Drained);
            return StepKind::Kept;
        };
        let bind = match Bind::parse(frame) {
            Ok(bind) => bind,
            Err(malformed) => {
                let kind = self.refuse_malformed(knowledge, header, malformed, now);
                self.end(EndReason::BindRefused);
                return kind;
            }
        };
        let provider = knowledge.registry.provider_of(bind.system_id);
        // One that it had is free: the SMSC refused the bind before.
        self.seat = None;
        let most = knowledge.sessions_per_provider_max;
        let seat = provider.and_then(|id| knowledge.seats.take(id, most));
        let facts = BindFacts {
            now_us: now.wall_us,
            provider: provider.map(|id| knowledge.registry.provider(id)),
            peer: self.peer.ip(),
            presented: &self.presented,
            rate: if provider.is_some() && seat.is_none() { Rate::Exceeded } else { Rate::Within },
        };
        let decision = policy::decide_bind(&facts, &knowledge.modes);
        let status = decision
            .refused
            .map_or(CommandStatus::ESME_ROK, |reason| knowledge.statuses.of(reason));
        self.system_id = bind.system_id.to_vec();
        self.record_bind(knowledge, header, &bind, &decision, status, now);
        if let Some(reason) = decision.refused {
            let (command, sequence_number) = (header.command, header.sequence_number);
            self.write_refusal(command, status, sequence_number);
            self.end(EndReason::BindRefused);
            self.tally.no_seat = reason == Reason::BindSessions;
            let rule = reason.rule().code();
            return StepKind::Refused { command, sequence_number, rule };
        }
        self.provider = provider;
        self.seat = seat;
        self.owner = provider
            .map_or(0, |id| originals::mark(knowledge.registry.provider(id).name.as_bytes()));
        self.state = BindState::Binding(kind);
        self.bind = Some((header.command, header.sequence_number));
        self.bind_since_us = now.steady_us;
        if self.keeps_bind {
            self.kept_bind.0 = frame.to_vec();
        }
        StepKind::Cross
    }

    fn record_bind(
        &mut self,
        knowledge: &Knowledge,
        header: Header,
        bind: &Bind<'_>,
        decision: &Decision,
        status: CommandStatus,
        now: Moment,
    ) {
        let (verdict, rule) = verdict_and_rule(decision);
        let provider = knowledge.registry.provider_of(bind.system_id);
        let record = BindRecord {
            session: self.id,
            command_id: header.command.id(),
            sequence_number: header.sequence_number,
            verdict,
            rule,
            observed: decision.observed.bits(),
            status: status.0,
            interface_version: bind.interface_version,
            peer: self.peer,
            smsc: None,
            listener: &self.listener,
            provider: provider.map_or("", |id| knowledge.registry.provider(id).name.as_str()),
            system_id: bind.system_id,
        };
        self.batch_records.bind(now.wall_us, &record);
        if !status.is_ok() {
            self.tally.bind = Some((header.command, status));
        }
    }
}
