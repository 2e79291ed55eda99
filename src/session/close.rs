//! The end of a session: by its timeouts, at a shutdown, and its last records.

use super::end::EndReason;
use super::moment::Moment;
use super::session::{Session, Side};
use super::table::BindState;
use crate::audit::{EndRecord, UnansweredRecord};
use crate::smpp::{Command, CommandStatus, write};

/// sequence_number of the unbind that we send at shutdown: the last one there is (SMPP 3.4 5.1.4),
/// where no ESME and no SMSC counts to.
const OWN_SEQUENCE_NUMBER: u32 = 0x7fff_ffff;

impl Session {
    /// Marks the session as ending; the first cause stands.
    pub fn end(&mut self, reason: EndReason) {
        self.ending.get_or_insert(reason);
    }

    /// Begins the shutdown: new messages are refused so that they are sent elsewhere, open requests
    /// may still be answered.
    pub fn drain(&mut self) {
        self.draining = true;
        if matches!(self.state, BindState::Open | BindState::Binding(_)) {
            self.end(EndReason::Drained);
        }
    }

    /// Whether the shutdown has begun.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether the shutdown has nothing more to wait for before the unbinds.
    pub fn is_drained(&self) -> bool {
        self.draining
            && self.window.is_empty()
            && !self.under_way
            && self.hold.len() == 0
            && self.kept_answers.is_empty()
    }

    /// Writes our unbind to both sides (SMPP 3.4 4.2.1): to the ESME into `out`, to the SMSC as
    /// the next [`Session::cleared`] frame.
    pub fn unbind(&mut self, out: &mut Vec<u8>) {
        let command_id = Command::Unbind.id();
        let status = CommandStatus::ESME_ROK;
        write::header_only(out, command_id, status, OWN_SEQUENCE_NUMBER);
        write::header_only(&mut self.own_frame, command_id, status, OWN_SEQUENCE_NUMBER);
        self.state = BindState::Unbinding;
    }

    /// Whether this frame answers our own unbind; it is then kept from the other side.
    pub(super) fn answers_own_unbind(&mut self, side: Side, command: Command, number: u32) -> bool {
        let own = self.draining && command == Command::UnbindResp && number == OWN_SEQUENCE_NUMBER;
        if own {
            self.unbound[side as usize] = true;
            if self.unbound == [true; 2] {
                self.end(EndReason::Drained);
            }
        }
        own
    }

    /// Says whether the SMSC is not heard now because of us: what it said is held back, or the ESME does not
    /// take it and so it is not read. That is no silence of its own: no answer of it is overdue meanwhile, and
    /// the time for one begins anew behind it.
    pub fn hold_smsc(&mut self, is_held: bool, now: Moment) {
        if is_held || self.holds_smsc {
            self.held_until_us = now.steady_us;
        }
        self.holds_smsc = is_held;
    }

    /// When the SMSC's answer is overdue that was asked for at `asked_us`, on the steady clock.
    pub(super) fn overdue_us(&self, asked_us: u64) -> u64 {
        match self.holds_smsc {
            true => u64::MAX,
            false => asked_us.max(self.held_until_us).saturating_add(self.timeouts.response_us),
        }
    }

    /// Looks at the clock. Answers nothing: see [`Session::ending`].
    pub fn tick(&mut self, now: Moment) {
        let since = |then: u64| now.steady_us.saturating_sub(then);
        match self.state {
            BindState::Open if since(self.bind_since_us) >= self.timeouts.bind_us => {
                self.end(EndReason::BindTimeout);
            }
            BindState::Binding(_) if since(self.bind_since_us) >= self.timeouts.bind_us => {
                self.unreachable();
                self.ending = Some(EndReason::SmscSilent);
            }
            BindState::Open
            | BindState::Binding(_)
            | BindState::Bound(_)
            | BindState::Unbinding => {}
        }
        if since(self.esme_active_us) >= self.timeouts.idle_us {
            self.end(EndReason::Idle);
        }
        self.tick_probe(now);
        while let Some(oldest) = self.window.oldest() {
            if now.steady_us < self.overdue_us(oldest.asked_us) {
                break;
            }
            // One lost answer among others costs one slot; an SMSC that answers nothing at all
            // is gone, and its session with it.
            if now.steady_us >= self.overdue_us(self.progress_us) {
                self.end(EndReason::SmscSilent);
                break;
            }
            self.give_up_oldest(now);
        }
    }

    /// When [`Session::tick`] has something to do next, on the steady clock.
    pub fn next_deadline_us(&self) -> u64 {
        let idle = self.esme_active_us.saturating_add(self.timeouts.idle_us);
        let bind = match self.state {
            BindState::Open | BindState::Binding(_) => {
                self.bind_since_us.saturating_add(self.timeouts.bind_us)
            }
            BindState::Bound(_) | BindState::Unbinding => u64::MAX,
        };
        let response = self.window.oldest().map_or(u64::MAX, |o| self.overdue_us(o.asked_us));
        idle.min(bind).min(response).min(self.probe_deadline_us())
    }

    pub(super) fn give_up_oldest(&mut self, now: Moment) -> bool {
        let Some(open) = self.window.give_up_oldest() else {
            return false;
        };
        self.unanswered += 1;
        self.tally.unanswered += 1;
        if open.narrowed {
            self.left_outs.give_up(open.sequence_number);
        }
        let record = UnansweredRecord {
            session: self.id,
            command_id: open.command.id(),
            sequence_number: open.sequence_number,
            verdict_us: open.judged_us,
        };
        self.later_records.unanswered(now.wall_us, &record);
        true
    }

    /// Writes the last records: every open request as unanswered, then the end itself. Sessions
    /// that never got as far as a bind leave no record.
    pub fn close(&mut self, now: Moment) {
        while self.give_up_oldest(now) {}
        self.later_records.take_from(&mut self.kept_records);
        if self.system_id.is_empty() && self.forwarded == 0 && self.refused == 0 {
            return;
        }
        let record = EndRecord {
            session: self.id,
            reason: self.ending.map_or(0, |reason| reason as u8),
            forwarded: self.forwarded,
            refused: self.refused,
            unanswered: self.unanswered,
        };
        self.later_records.end(now.wall_us, &record);
    }
}
