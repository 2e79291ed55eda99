//! The family `source`: no message whose originating number is missing, false or borrowed
//! (Order 31 art. 10).

use crate::registry::{Allotment, SenderFault};

use super::{Facts, Reason, SecondSender};

/// No sender.
pub(super) fn missing(facts: &Facts<'_>) -> Option<Reason> {
    (facts.sender == Err(SenderFault::Missing)).then_some(Reason::SourceMissing)
}

/// A sender that is no number or code.
pub(super) fn malformed(facts: &Facts<'_>) -> Option<Reason> {
    match facts.sender {
        Ok(_) | Err(SenderFault::Missing) => None,
        Err(SenderFault::Malformed) => Some(Reason::SourceMalformed),
        Err(SenderFault::Ton) => Some(Reason::SourceTon),
        Err(SenderFault::Npi) => Some(Reason::SourceNpi),
    }
}

/// A sender that is not this provider's. One that is no sender at all is for the rules above.
pub(super) fn forged(facts: &Facts<'_>) -> Option<Reason> {
    facts.sender.ok()?;
    let own = facts.provider.is_some_and(|(id, _)| match facts.allotment {
        Allotment::None => false,
        Allotment::Code(found, _) => found.owner == id,
        Allotment::Alphanumeric(owners) => owners.contains(&id),
    });
    (!own).then_some(Reason::SourceForged)
}

/// Another sender beside source_addr.
pub(super) fn second(facts: &Facts<'_>) -> Option<Reason> {
    facts.second_sender.map(|second| match second {
        SecondSender::CallbackNum => Reason::CallbackNumber,
        SecondSender::SourceSubaddress => Reason::SourceSubaddress,
        SecondSender::ReplyAddress => Reason::ReplyAddress,
        SecondSender::ReplyPath => Reason::ReplyPath,
        SecondSender::Stripped => Reason::SenderStripped,
    })
}
