//! The family `consent`: nobody is advertised to without having said yes, and who said no is left
//! alone (Order 31 art. 18). Bound is the legal entity, not the code.

use super::nature::{Nature, nature};
use super::{Consent, ConsentClass, Facts, Reason, Standing, StandingState};

/// How entity and recipient stand, where that matters for a message of this nature.
fn standing(facts: &Facts<'_>, nature_asked: Nature) -> Option<Standing> {
    match facts.consent {
        Some(Consent::Known(standing)) if nature(facts) == nature_asked => Some(standing),
        Some(Consent::Known(_) | Consent::Unavailable) | None => None,
    }
}

/// Advertising to somebody who refused.
pub(super) fn revoked(facts: &Facts<'_>) -> Option<Reason> {
    let standing = standing(facts, Nature::Commercial)?;
    (standing.state == StandingState::Revoked).then_some(Reason::ConsentRevoked)
}

/// Advertising under a consent that has run out.
pub(super) fn expired(facts: &Facts<'_>) -> Option<Reason> {
    let standing = standing(facts, Nature::Commercial)?;
    standing.is_expired(facts.now_us).then_some(Reason::ConsentExpired)
}

/// Advertising to somebody who never said yes, or whose yes is not proved.
pub(super) fn missing(facts: &Facts<'_>) -> Option<Reason> {
    let standing = standing(facts, Nature::Commercial)?;
    match standing.state {
        StandingState::None | StandingState::Asked => Some(Reason::ConsentMissing),
        StandingState::Silent => Some(Reason::ConsentSilent),
        // For the rule above.
        StandingState::Revoked => None,
        StandingState::Granted if standing.class != ConsentClass::Commercial => {
            Some(Reason::ConsentOther)
        }
        StandingState::Granted => {
            (!facts.review.suffices(standing.review)).then_some(Reason::ConsentUnreviewed)
        }
    }
}

/// More advertising than was promised, or asking again after a refusal, in silence, or before the
/// answer: whatever the words, a second request is one of the same or similar content.
pub(super) fn repeat(facts: &Facts<'_>) -> Option<Reason> {
    if let Some(standing) = standing(facts, Nature::Commercial) {
        let over = standing.state == StandingState::Granted && standing.is_used_up();
        return over.then_some(Reason::ConsentUsedUp);
    }
    let standing = standing(facts, Nature::Request)?;
    match standing.state {
        StandingState::Asked | StandingState::Silent | StandingState::Revoked => {
            Some(Reason::ConsentAskedAgain)
        }
        StandingState::None | StandingState::Granted => None,
    }
}

/// The ledger cannot tell: later it may (`ESME_RMSGQFUL`). Service messages pass.
pub(super) fn unavailable(facts: &Facts<'_>) -> Option<Reason> {
    let asked = matches!(nature(facts), Nature::Commercial | Nature::Request);
    (asked && facts.consent == Some(Consent::Unavailable)).then_some(Reason::LedgerUnavailable)
}
