//! An enquire_link of our own on an SMSC leg that has been idle (SMPP 3.4 4.11).
//!
//! It has a sequence_number of a range that is ours by custom: no ESME and no SMSC counts that far in a
//! session. One that does is handled: a number is not taken while a request with it is open, or when the
//! ESME's last enquire_link had it. Should the ESME take ours while it is open, two enquire_link_resp with
//! that number come, which are the same octets: one is kept, one crosses, so that each side has its own.
//!
//! The answer is kept from the ESME. It shows that the SMSC lives, and is no progress: only answers to
//! requests are. One at a time is open; without an answer within the response time the session ends.

use std::ops::RangeInclusive;

use super::end::EndReason;
use super::moment::Moment;
use super::session::{Session, StepKind};
use super::table::BindState;
use crate::smpp::{Command, CommandStatus, Header, write};

/// The sequence_numbers of our own enquire_links. The one behind them is our unbind's.
pub const OWN_NUMBERS: RangeInclusive<u32> = 0x7fff_0000..=0x7fff_fffe;

/// What is known of the SMSC leg of a session that enquires. Times are of the steady clock.
#[derive(Debug)]
pub(super) struct Probe {
    /// How long nothing may be said either way.
    idle_us: u64,
    /// When something was last said.
    active_us: u64,
    /// Number and time of ours that is not answered.
    open: Option<(u32, u64)>,
    /// The number that was used last.
    last: u32,
    /// The last number of our range that an enquire_link of the ESME had.
    esmes: Option<u32>,
}

impl Session {
    /// The session with an enquire_link of its own when nothing was said on the SMSC's leg for so long.
    pub fn enquiring_after(mut self, idle_us: u64) -> Session {
        self.probe = Some(Probe {
            idle_us,
            active_us: self.bind_since_us,
            open: None,
            last: *OWN_NUMBERS.start(),
            esmes: None,
        });
        self
    }

    /// Writes an enquire_link where one is due: it is the only frame of [`Session::cleared`] then, and
    /// [`Session::release`] is to be called behind it. Whether it did.
    pub fn enquires(&mut self, now: Moment) -> bool {
        if now.steady_us < self.probe_due_us() {
            return false;
        }
        let Some(number) = self.own_number() else { return false };
        let Some(probe) = &mut self.probe else { return false };
        probe.open = Some((number, now.steady_us));
        probe.last = number;
        let (id, ok) = (Command::EnquireLink.id(), CommandStatus::ESME_ROK);
        write::header_only(&mut self.own_frame, id, ok, number);
        true
    }

    /// A number of ours that nobody waits for: counted downward. Of as many as there are, some is free,
    /// since no window is as large.
    fn own_number(&self) -> Option<u32> {
        let probe = self.probe.as_ref()?;
        let (first, last) = (*OWN_NUMBERS.start(), *OWN_NUMBERS.end());
        let below = (first..probe.last).rev();
        let mut numbers = below.chain((first..=last).rev());
        numbers.find(|number| !self.window.is_open(*number) && probe.esmes != Some(*number))
    }

    /// When one is due, on the steady clock; never while a batch is under way, or one is open.
    fn probe_due_us(&self) -> u64 {
        let may = matches!(self.state, BindState::Bound(_))
            && !self.under_way
            && !self.draining
            && self.ending.is_none()
            && self.steps.is_empty();
        match &self.probe {
            Some(probe) if may && probe.open.is_none() => {
                probe.active_us.saturating_add(probe.idle_us)
            }
            Some(_) | None => u64::MAX,
        }
    }

    /// When something has to be done about it, on the steady clock.
    pub(super) fn probe_deadline_us(&self) -> u64 {
        let open = self.probe.as_ref().and_then(|probe| probe.open);
        let answer = open.map(|(_, at_us)| self.overdue_us(at_us));
        answer.unwrap_or(u64::MAX).min(self.probe_due_us())
    }

    /// Ends the session where ours was not answered in time.
    pub(super) fn tick_probe(&mut self, now: Moment) {
        let open = self.probe.as_ref().and_then(|probe| probe.open);
        if let Some((_, at_us)) = open
            && now.steady_us >= self.overdue_us(at_us)
        {
            self.end(EndReason::SmscSilent);
        }
    }

    /// Since when ours is not answered; `None` where none is open.
    pub(super) fn enquired_since_us(&self) -> Option<u64> {
        self.probe.as_ref()?.open.map(|(_, at_us)| at_us)
    }

    /// Something is said on the SMSC's leg.
    pub(super) fn smsc_leg_active(&mut self, now: Moment) {
        if let Some(probe) = &mut self.probe {
            probe.active_us = now.steady_us;
        }
    }

    /// The batch was judged: where anything of it goes on, the SMSC's leg is not idle.
    pub(super) fn note_activity(&mut self, now: Moment) {
        if self.probe.is_some() && self.steps.iter().any(|step| StepKind::goes_on(step.kind)) {
            self.smsc_leg_active(now);
        }
    }

    /// The ESME's enquire_link with that number crosses.
    pub(super) fn esme_enquires(&mut self, number: u32) {
        if let Some(probe) = &mut self.probe
            && OWN_NUMBERS.contains(&number)
        {
            probe.esmes = Some(number);
        }
    }

    /// Whether this frame of the SMSC answers our own enquire_link; it is then kept from the ESME. An SMSC
    /// that does not know the command says so with a generic_nack, and lives.
    pub(super) fn answers_own_enquiry(&mut self, header: Header) -> bool {
        let number = header.sequence_number;
        let is_answer = match header.command {
            Command::EnquireLinkResp => true,
            Command::GenericNack => !self.window.is_open(number),
            _ => false,
        };
        match &mut self.probe {
            Some(probe) if is_answer && probe.open.is_some_and(|(open, _)| open == number) => {
                probe.open = None;
                true
            }
            Some(_) | None => false,
        }
    }
}
