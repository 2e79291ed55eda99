//! What a message counts as. The registry decides first: the purpose of the code, then its
//! templates; the classifier only where these leave it open. So obfuscation can bring about a
//! refusal, never a passage.

use crate::content::Class;
use crate::registry::{Allotment, Purpose};

use super::{Facts, Said, Text};

/// What a message counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Introduces or promotes goods, services or investments: needs consent (Order 31 art. 18).
    Commercial,
    /// Asks the recipient for consent: once (Order 31 art. 18).
    Request,
    /// Everything else.
    Other,
}

/// What the message counts as.
pub fn nature(facts: &Facts<'_>) -> Nature {
    match (purpose(facts), &facts.text) {
        (_, Text::Said(said)) if said.asks => Nature::Request,
        // Whatever a commercial code sends needs consent, read or not.
        (Purpose::Commercial, _) => Nature::Commercial,
        (Purpose::Mixed, Text::Said(said)) if said.template != Some(true) => of_class(said.class),
        (Purpose::Mixed | Purpose::Service | Purpose::Public, _) => Nature::Other,
    }
}

/// Fraud and illicit offers are not called commercial, but nobody consented to them either.
fn of_class(class: Class) -> Nature {
    match class {
        Class::Commercial | Class::Fraud | Class::Illicit => Nature::Commercial,
        Class::Service(_) | Class::Public | Class::Personal => Nature::Other,
    }
}

/// The purpose of the sender's code; a sender that is no code of a purpose is judged by its texts.
pub(super) fn purpose(facts: &Facts<'_>) -> Purpose {
    match facts.allotment {
        Allotment::Code(_, code) => code.purpose,
        Allotment::None | Allotment::Alphanumeric(_) => Purpose::Mixed,
    }
}

/// Whether a text belongs on a code that may not advertise.
pub(super) fn is_at_home(said: &Said, purpose: Purpose) -> bool {
    match purpose {
        Purpose::Commercial | Purpose::Mixed => true,
        _ if said.asks => true,
        Purpose::Service => {
            said.template.unwrap_or_else(|| of_class(said.class) != Nature::Commercial)
        }
        Purpose::Public => {
            said.template == Some(true) || of_class(said.class) != Nature::Commercial
        }
    }
}
