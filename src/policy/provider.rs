//! The family `provider`: who may bind and send at all. Where there is no provider all of them fire:
//! what nobody is registered for, nobody is licensed for either. Only a certificate is asked of nobody.

use crate::registry::{Identity, Licence, Provider};

use super::{BindFacts, Facts, Reason};

fn is_licensed(provider: &Provider, now_us: u64) -> bool {
    provider.licence.as_ref().is_some_and(|licence: &Licence| licence.is_in_force(now_us))
}

/// A bind whose system_id nobody registered (Order 31 art. 7).
pub(super) fn bind_unknown(facts: &BindFacts<'_>) -> Option<Reason> {
    facts.provider.is_none().then_some(Reason::BindUnknown)
}

/// A bind without a licence in force (Order 31 art. 6).
pub(super) fn bind_licence(facts: &BindFacts<'_>) -> Option<Reason> {
    let licensed = facts.provider.is_some_and(|provider| is_licensed(provider, facts.now_us));
    (!licensed).then_some(Reason::BindLicence)
}

/// A bind from elsewhere (Order 31 art. 7).
pub(super) fn bind_location(facts: &BindFacts<'_>) -> Option<Reason> {
    let from_here = facts.provider.is_some_and(|provider| provider.may_connect_from(facts.peer));
    (!from_here).then_some(Reason::BindLocation)
}

/// A bind without a client certificate that the provider is registered with (Order 31 art. 7).
pub(super) fn bind_certificate(facts: &BindFacts<'_>) -> Option<Reason> {
    let lacks = facts.provider.is_some_and(|provider| !provider.may_bind_with(facts.presented));
    lacks.then_some(Reason::BindCertificate)
}

/// A message over a bind of nobody (Order 31 art. 7).
pub(super) fn unknown(facts: &Facts<'_>) -> Option<Reason> {
    facts.provider.is_none().then_some(Reason::ProviderUnknown)
}

/// A message without a licence in force: it may have expired since the bind (Order 31 art. 6).
pub(super) fn licence(facts: &Facts<'_>) -> Option<Reason> {
    let licensed = facts.provider.is_some_and(|(_, provider)| is_licensed(provider, facts.now_us));
    (!licensed).then_some(Reason::ProviderLicence)
}

/// A sender whose identity is not verified (Order 31 art. 12).
pub(super) fn identity(facts: &Facts<'_>) -> Option<Reason> {
    let verified =
        facts.provider.is_some_and(|(_, provider)| provider.identity == Identity::Verified);
    (!verified).then_some(Reason::ProviderIdentity)
}
