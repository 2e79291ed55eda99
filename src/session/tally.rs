//! What happened in a session since somebody asked last, in plain numbers.

use super::session::Side;
use crate::smpp::frame::FrameFault;
use crate::smpp::{Command, CommandStatus};

/// Room for every rule code: they stay below 64.
pub const RULE_CODES: usize = 64;

/// Counts of one session since the last [`Tally::clear`]. No labels, no atomics: whoever shows them
/// adds them up once a turn.
#[derive(Debug, Clone)]
pub struct Tally {
    /// PDUs from the ESME, by [`Command::slot`].
    pub from_esme: [u32; Command::SLOTS],
    /// PDUs from the SMSC, by [`Command::slot`].
    pub from_smsc: [u32; Command::SLOTS],
    /// Messages that passed with nothing against them.
    pub passed: u32,
    /// Messages refused, by rule code.
    pub refused: [u32; RULE_CODES],
    /// Messages that passed though a rule in observe mode would have refused them, by the code of
    /// the first such rule.
    pub observed: [u32; RULE_CODES],
    /// A bind that was answered, by us or by the SMSC, and its status.
    pub bind: Option<(Command, CommandStatus)>,
    /// A bind was refused because its provider has as many sessions as it may.
    pub no_seat: bool,
    /// Whose octets cannot be cut into PDUs any more, and why.
    pub lost_framing: Option<(Side, FrameFault)>,
    /// Requests given up unanswered.
    pub unanswered: u32,
    /// Microseconds from judging to the SMSC's answer, one for each answer; read and cleared by
    /// whoever shows them, and bounded by the answers that one turn can bring.
    pub responses_us: Vec<u32>,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            from_esme: [0; Command::SLOTS],
            from_smsc: [0; Command::SLOTS],
            passed: 0,
            refused: [0; RULE_CODES],
            observed: [0; RULE_CODES],
            bind: None,
            no_seat: false,
            lost_framing: None,
            unanswered: 0,
            responses_us: Vec::new(),
        }
    }
}

impl Tally {
    /// Where a message that passed is counted: by the rule that only observed it, or by none.
    pub(super) fn passed_slot(&mut self, observed: u8) -> &mut u32 {
        match observed {
            0 => &mut self.passed,
            code => &mut self.observed[usize::from(code) % RULE_CODES],
        }
    }

    /// Sets everything to zero and keeps the room of the list.
    pub fn clear(&mut self) {
        let mut responses_us = std::mem::take(&mut self.responses_us);
        responses_us.clear();
        *self = Tally { responses_us, ..Tally::default() };
    }
}
