//! The family `code`: a code is used with the length and scope it was approved for
//! (Order 31 art. 13).

use crate::registry::{Allotment, Purpose, RecipientFault};

use super::nature::{self, is_at_home};
use super::{Facts, Reason, Text};

/// More digits than allotted.
pub(super) fn length(facts: &Facts<'_>) -> Option<Reason> {
    let Allotment::Code(found, code) = facts.allotment else { return None };
    let digits = code.number.len() + usize::from(found.extension_digits);
    (digits > usize::from(code.digits_max)).then_some(Reason::CodeLength)
}

/// A broadcast over a code that is not for the public interest: nobody in the area was asked for
/// consent, and nobody can refuse (Order 31 art. 13, 18).
pub(super) fn broadcast(facts: &Facts<'_>) -> Option<Reason> {
    let is_broadcast = facts.recipient == Err(RecipientFault::Everybody);
    (is_broadcast && nature::purpose(facts) != Purpose::Public).then_some(Reason::CodeBroadcast)
}

/// A text that does not belong on a code of this purpose (Order 31 art. 13, 19).
pub(super) fn purpose(facts: &Facts<'_>) -> Option<Reason> {
    if let Some(reason) = broadcast(facts) {
        return Some(reason);
    }
    let Text::Said(said) = &facts.text else { return None };
    (!is_at_home(said, nature::purpose(facts))).then_some(match said.template {
        Some(_) => Reason::CodeTemplate,
        None => Reason::CodePurpose,
    })
}

/// A recipient outside the code's regions. What is no recipient is for `destination.malformed`.
pub(super) fn region(facts: &Facts<'_>) -> Option<Reason> {
    let (Allotment::Code(_, code), Ok(recipient)) = (facts.allotment, facts.recipient) else {
        return None;
    };
    if code.regions.is_empty() {
        return None;
    }
    let digits = recipient.msisdn.digits();
    let mut regions = code.regions.iter();
    let inside = regions.any(|region| digits.as_bytes().starts_with(region.as_bytes()));
    (!inside).then_some(Reason::CodeRegion)
}
