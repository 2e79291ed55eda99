//! The family `parts`: a long message is judged whole (Order 31 art. 11, 17).

use super::{Facts, Parts, Reason};

/// Parts that no two receivers put together alike, or of a message that was refused.
pub(super) fn malformed(facts: &Facts<'_>) -> Option<Reason> {
    match facts.parts {
        Parts::Malformed => Some(Reason::PartsMalformed),
        Parts::Refused => Some(Reason::PartsRefused),
        Parts::Late => Some(Reason::PartsIncomplete),
        // Where consent decides, every part is decided by it; where the text does, it is read from
        // its beginning. Both keep to the order: a handset keeps a later part for longer than its
        // message is remembered here, and may get the first one after that.
        Parts::Early => Some(Reason::PartsEarly),
        Parts::TakenBack => Some(Reason::PartsTakenBack),
        Parts::Sound | Parts::Limit => None,
    }
}

/// Too many parts, or too many messages of which parts are missing.
pub(super) fn limit(facts: &Facts<'_>) -> Option<Reason> {
    (facts.parts == Parts::Limit).then_some(Reason::PartsLimit)
}
