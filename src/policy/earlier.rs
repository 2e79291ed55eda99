//! The family `earlier`: nobody asks after, takes back or puts a text in place of another's message
//! (Order 31 art. 10).

use super::{Earlier, Facts, Reason};

/// A message_id that was not given to this provider, or was forgotten.
pub(super) fn unknown(facts: &Facts<'_>) -> Option<Reason> {
    (facts.earlier == Earlier::Unknown).then_some(Reason::EarlierUnknown)
}
