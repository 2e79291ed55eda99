//! The family `body`: what is recorded is what is delivered (Order 31 art. 11).

use super::{Facts, Reason};

/// Two bodies: SMSCs disagree on which of them goes out.
pub(super) fn ambiguous(facts: &Facts<'_>) -> Option<Reason> {
    facts.two_bodies.then_some(Reason::BodyAmbiguous)
}
