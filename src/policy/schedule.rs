//! The family `schedule`: consent is asked for when a message is judged, and must still hold when the
//! handset shows it. So what needs consent goes out soon or not at all: nobody can take it back
//! when the recipient refuses meanwhile (Order 31 art. 18).

use super::nature::{Nature, nature};
use super::{Consent, Facts, Reason, StandingState};

/// When a message may be delivered, as far as it says so itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stated {
    /// It does not say.
    #[default]
    Not,
    /// So many microseconds from now; 0 is now or before.
    In(u64),
    /// It says it in a form that nobody reads.
    Unreadable,
}

/// How far ahead a consent of today vouches, microseconds from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// Until delivery may begin.
    pub begin_us: u64,
    /// Until delivery must have ended.
    pub end_us: u64,
}

impl Default for Horizon {
    /// One hour, and one day.
    fn default() -> Self {
        const HOUR_US: u64 = 3_600_000_000;
        Self { begin_us: HOUR_US, end_us: 24 * HOUR_US }
    }
}

/// A delivery that consent cannot vouch for. A message that does not say when it ends is left to
/// the SMSC's own validity, which the operator knows.
pub(super) fn beyond(facts: &Facts<'_>) -> Option<Reason> {
    if (facts.begins, facts.ends) == (Stated::Not, Stated::Not) || nature(facts) == Nature::Other {
        return None;
    }
    match facts.begins {
        Stated::Unreadable => return Some(Reason::ScheduleUnreadable),
        Stated::In(us) if us > facts.horizon.begin_us => return Some(Reason::ScheduleLate),
        Stated::In(_) | Stated::Not => {}
    }
    match facts.ends {
        Stated::Unreadable => return Some(Reason::ValidityUnreadable),
        Stated::In(us) if us > facts.horizon.end_us => return Some(Reason::ValidityLong),
        Stated::In(_) | Stated::Not => {}
    }
    let outlasts = |stated| matches!(stated, Stated::In(us) if us > held_us(facts));
    (outlasts(facts.begins) || outlasts(facts.ends)).then_some(Reason::ScheduleConsentEnds)
}

/// How long the consent still holds, microseconds.
fn held_us(facts: &Facts<'_>) -> u64 {
    match facts.consent {
        Some(Consent::Known(standing)) if standing.state == StandingState::Granted => {
            standing.until_us.saturating_sub(facts.now_us)
        }
        Some(Consent::Known(_) | Consent::Unavailable) | None => u64::MAX,
    }
}
