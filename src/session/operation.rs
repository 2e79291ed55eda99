//! Requests about earlier messages: to ask after one or to take it back, by its id or by its sender.

use super::facts::address;
use super::knowledge::Knowledge;
use super::moment::Moment;
use super::session::{Session, StepKind};
use super::verdict::{Judged, NO_ADDRESS};
use crate::policy::{self, Earlier, Facts};
use crate::registry::RecipientFault;
use crate::smpp::broadcast::{CancelBroadcastSm, QueryBroadcastSm};
use crate::smpp::message::WireAddress;
use crate::smpp::operation::{CancelSm, QuerySm};
use crate::smpp::tlv::Tlvs;
use crate::smpp::{Command, Header, Malformed, strict};

/// What such a request says.
struct Operation<'a> {
    message_id: &'a [u8],
    source: WireAddress<'a>,
    destination: WireAddress<'a>,
    tlvs: Tlvs<'a>,
    is_broadcast: bool,
}

fn read(command: Command, frame: &[u8]) -> Result<Operation<'_>, Malformed> {
    let destination = NO_ADDRESS;
    let operation = match command {
        Command::CancelSm => {
            let CancelSm { message_id, source, destination, tlvs, .. } = CancelSm::parse(frame)?;
            Operation { message_id, source, destination, tlvs, is_broadcast: false }
        }
        Command::CancelBroadcastSm => {
            let CancelBroadcastSm { message_id, source, tlvs, .. } =
                CancelBroadcastSm::parse(frame)?;
            Operation { message_id, source, destination, tlvs, is_broadcast: true }
        }
        Command::QueryBroadcastSm => {
            let QueryBroadcastSm { message_id, source, tlvs } = QueryBroadcastSm::parse(frame)?;
            Operation { message_id, source, destination, tlvs, is_broadcast: true }
        }
        _ => {
            let QuerySm { message_id, source, tlvs } = QuerySm::parse(frame)?;
            Operation { message_id, source, destination, tlvs, is_broadcast: false }
        }
    };
    strict::check(operation.tlvs)?;
    Ok(operation)
}

impl Session {
    /// Judges a request about an earlier message: its sender must be one's own, and where it names a
    /// message by its id, so must that.
    pub(super) fn judge_operation(
        &mut self,
        knowledge: &Knowledge,
        header: Header,
        frame: &[u8],
        now: Moment,
    ) -> StepKind {
        let operation = match read(header.command, frame) {
            Ok(operation) => operation,
            Err(malformed) => return self.refuse_malformed(knowledge, header, malformed, now),
        };
        let Operation { message_id, source, destination, is_broadcast, .. } = operation;
        let judged = Judged::about(header, source, destination);
        let mut facts = Facts::fetch(
            &knowledge.registry,
            now.wall_us,
            self.provider,
            &address(&source),
            &address(&destination),
        );
        if is_broadcast {
            facts.recipient = Err(RecipientFault::Everybody);
        }
        facts.earlier = match message_id {
            // A cancel_sm without one takes back what its sender sent.
            b"" if header.command != Command::QuerySm => Earlier::NotNamed,
            id if self.original(knowledge, id).is_some() => Earlier::Own,
            _ => Earlier::Unknown,
        };
        let decision = policy::decide_operation(&facts, &knowledge.modes);
        self.carry_out_decision(knowledge, &judged, decision, now)
    }

    /// Whether it is remembered what the id of such a message will stand for.
    pub(super) fn remembers(&self, knowledge: &Knowledge, command: Command) -> bool {
        knowledge.originals_max > 0 && command != Command::ReplaceSm
    }
}
