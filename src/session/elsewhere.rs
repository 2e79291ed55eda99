//! The bind and its SMSC: where there are several, one that does not take it is no end of the session.

use super::cleared::Cleared;
use super::end::EndReason;
use super::originals::mark;
use super::session::Session;
use super::table::{BindKind, BindState};
use crate::smpp::frame::FrameBuf;
use crate::smpp::{CommandStatus, write};

impl Session {
    /// The SMSC is reached at that address, as configured. Its ids are its own: of two behind one
    /// listener, each gives the same ones to messages of different people.
    pub fn connected(&mut self, smsc: &str) {
        self.smsc_mark = mark(smsc.as_bytes());
    }

    /// Whether the bind may be sent to another SMSC when this one does not take it.
    pub fn may_bind_elsewhere(&mut self, may: bool) {
        self.has_another_smsc = may;
    }

    /// Whether the bind can be sent to another SMSC: none has answered it, and nothing was sent behind it.
    pub fn can_bind_elsewhere(&self) -> bool {
        self.has_another_smsc
            && !self.kept_bind.0.is_empty()
            && matches!(self.state, BindState::Binding(_))
            && self.ending.is_none()
            && !self.draining
    }

    /// The connection to the SMSC is given up before it took the bind: what came over it is forgotten.
    pub fn disconnected(&mut self) {
        self.smsc = FrameBuf::default();
        self.listened_octets = 0;
        self.is_bind_lost = false;
        self.has_another_smsc = false;
    }

    /// The bind once more, which was judged and is on record: for another SMSC.
    pub fn bind_again(&self) -> Cleared<'_> {
        Cleared::of(&self.kept_bind.0)
    }

    /// How the SMSC answered a bind since somebody last asked.
    pub fn take_bind_answer(&mut self) -> Option<CommandStatus> {
        self.bind_answer.take()
    }

    /// When the bind that is under way has to be answered, on the steady clock.
    pub fn bind_deadline_us(&self) -> u64 {
        self.bind_since_us.saturating_add(self.timeouts.bind_us)
    }

    /// Whether who binds may send messages then.
    pub fn binds_to_send(&self) -> bool {
        !matches!(
            self.state,
            BindState::Binding(BindKind::Receiver) | BindState::Bound(BindKind::Receiver)
        )
    }

    /// No SMSC could be reached for the bind that was let through: it is answered
    /// ESME_RBINDFAIL and the session ends.
    pub fn unreachable(&mut self) {
        if let Some((command, sequence_number)) = self.bind.take() {
            let status = CommandStatus::ESME_RBINDFAIL;
            write::refusal(&mut self.replies, command, status, sequence_number);
            self.tally.bind = Some((command, status));
        }
        self.release();
        self.state = BindState::Open;
        self.end(EndReason::SmscUnreachable);
    }
}
