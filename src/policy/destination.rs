//! The family `destination`: a message goes to a number that can be recorded (Order 31 art. 11) and
//! whose person can be known.

use crate::registry::RecipientFault;

use super::{Facts, Reason};

/// No valid recipient.
pub(super) fn malformed(facts: &Facts<'_>) -> Option<Reason> {
    match facts.recipient {
        // For the rule below, and for the code's purpose.
        Ok(_) | Err(RecipientFault::List | RecipientFault::Everybody) => None,
        Err(RecipientFault::Missing) => Some(Reason::DestinationMissing),
        Err(RecipientFault::Malformed) => Some(Reason::DestinationMalformed),
        Err(RecipientFault::Ton) => Some(Reason::DestinationTon),
        Err(RecipientFault::Npi) => Some(Reason::DestinationNpi),
    }
}

/// A distribution list: nobody but the SMSC knows whom it names.
pub(super) fn list(facts: &Facts<'_>) -> Option<Reason> {
    (facts.recipient == Err(RecipientFault::List)).then_some(Reason::DestinationList)
}
