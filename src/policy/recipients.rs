//! The family `recipients`: nobody is sent to because his number was made up (Order 31 art. 16).

use super::nature::{Nature, nature};
use super::{Facts, Reason, Sweep};

/// Numbers counted through. Who advertises, or asks for leave to, has been given the number; a
/// service message goes to who asked for it, and is left alone.
pub(super) fn swept(facts: &Facts<'_>) -> Option<Reason> {
    if nature(facts) == Nature::Other {
        return None;
    }
    match facts.sweep {
        Sweep::None => None,
        Sweep::Sequence => Some(Reason::RecipientsSequence),
        Sweep::Block => Some(Reason::RecipientsBlock),
    }
}
