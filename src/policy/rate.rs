//! The family `rate`: the one refusal that says "later", and so the last to be asked.

use super::{Facts, Rate, Reason};

/// Over the provider's rate.
pub(super) fn exceeded(facts: &Facts<'_>) -> Option<Reason> {
    (facts.rate == Rate::Exceeded).then_some(Reason::RateExceeded)
}
