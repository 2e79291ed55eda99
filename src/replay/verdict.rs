//! What a record says of a PDU, for who counts and shows verdicts.

use crate::audit::{self, Record};
use crate::content::Class;
use crate::policy::Rule;

/// The three things that can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It goes on although a rule in observe mode would have refused it.
    Observe,
    /// It is answered with a status and goes no further.
    Refuse,
}

impl Verdict {
    /// All of them, in the order in which counts stand.
    pub const ALL: [Verdict; 3] = [Verdict::Pass, Verdict::Observe, Verdict::Refuse];

    /// The word of listings.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Observe => "observe",
            Verdict::Refuse => "refuse",
        }
    }
}

/// The decision of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// What was decided.
    pub verdict: Verdict,
    /// By which rule.
    pub rule: Option<Rule>,
    /// command_status that the ESME would get from the proxy; 0 where the message goes on.
    pub status: u32,
}

impl Decided {
    /// The decision of a bind's or a message's record; other records have none.
    pub fn of(record: &Record<'_>) -> Option<Decided> {
        let (verdict, rule, status) = match record {
            Record::Bind(bind) => (bind.verdict, bind.rule, bind.status),
            Record::Verdict(message) => (message.verdict, message.rule, message.status),
            _ => return None,
        };
        let verdict = match verdict {
            audit::PASS => Verdict::Pass,
            audit::OBSERVE => Verdict::Observe,
            _ => Verdict::Refuse,
        };
        Some(Decided { verdict, rule: Rule::from_code(rule), status })
    }
}

/// The class of a record: 0 is none, then [`Class::ALL`] from 1.
pub fn class(code: u8) -> Option<Class> {
    usize::from(code).checked_sub(1).and_then(|at| Class::ALL.get(at)).copied()
}
