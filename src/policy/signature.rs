//! The family `signature`: a commercial message names its content provider (Order 31 art. 21), and
//! whoever registered signatures signs with one of them.

use crate::registry::Allotment;

use super::nature::{Nature, nature};
use super::{Facts, Reason, Signed, Text};

/// No signature, several, or one in the middle of the text.
pub(super) fn missing(facts: &Facts<'_>) -> Option<Reason> {
    let Text::Said(said) = &facts.text else { return None };
    if !said.is_whole || !must_be_signed(facts) {
        return None;
    }
    match said.signed {
        Signed::None => Some(Reason::SignatureMissing),
        Signed::Several => Some(Reason::SignatureSeveral),
        Signed::Elsewhere => Some(Reason::SignatureElsewhere),
        Signed::Registered | Signed::Unregistered => None,
    }
}

/// Somebody else's signature.
pub(super) fn unregistered(facts: &Facts<'_>) -> Option<Reason> {
    let Text::Said(said) = &facts.text else { return None };
    (said.signed == Signed::Unregistered).then_some(Reason::SignatureUnregistered)
}

fn must_be_signed(facts: &Facts<'_>) -> bool {
    let registered =
        matches!(facts.allotment, Allotment::Code(_, code) if !code.signatures.is_empty());
    registered || nature(facts) == Nature::Commercial
}
