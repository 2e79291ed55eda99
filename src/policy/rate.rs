//! The family `rate`: the one refusal that says "later", and so the last to be asked.

use super::{BindFacts, Facts, Rate, Reason};

/// One session more than the provider may have.
pub(super) fn bind_sessions(facts: &BindFacts<'_>) -> Option<Reason> {
    (facts.rate == Rate::Exceeded).then_some(Reason::BindSessions)
}

/// Over the provider's rate.
pub(super) fn exceeded(facts: &Facts<'_>) -> Option<Reason> {
    (facts.rate == Rate::Exceeded).then_some(Reason::RateExceeded)
}
