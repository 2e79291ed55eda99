//! The family `body`: what is recorded is what is delivered (Order 31 art. 11).

use super::{Facts, Reason};

/// No body: nothing to read, nothing to send.
pub(super) fn empty(facts: &Facts<'_>) -> Option<Reason> {
    facts.no_body.then_some(Reason::BodyEmpty)
}

/// A text that lies in the SMSC and that nobody judged (SMPP 3.4 5.2.20).
pub(super) fn stored(facts: &Facts<'_>) -> Option<Reason> {
    facts.stored_body.then_some(Reason::BodyStored)
}

/// Two bodies: SMSCs disagree on which of them goes out.
pub(super) fn ambiguous(facts: &Facts<'_>) -> Option<Reason> {
    facts.two_bodies.then_some(Reason::BodyAmbiguous)
}
