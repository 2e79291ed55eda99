//! The family `public`: who sends public-interest messages has filed them; an emergency goes at once and
//! is filed afterwards (draft of 2014 art. 17, from which the class of Order 74 comes).
//!
//! What is a public-interest message, and what an emergency, is the registry's word on the code: a
//! message that calls itself either is judged as what its code may send.

use crate::registry::{Allotment, Purpose};

use super::{Facts, Reason};

/// A public code without a filing in force.
pub(super) fn unfiled(facts: &Facts<'_>) -> Option<Reason> {
    let Allotment::Code(_, code) = facts.allotment else { return None };
    if code.purpose != Purpose::Public {
        return None;
    }
    match &code.filing {
        Some(filing) if filing.is_in_force(facts.now_us) => None,
        Some(_) | None if code.emergency => Some(Reason::PublicEmergency),
        Some(_) => Some(Reason::PublicLapsed),
        None => Some(Reason::PublicUnfiled),
    }
}
