//! Blind ports: commercial codes while the answers to them do not pass through the proxy,
//! because their provider is bound, but nowhere as a receiver or transceiver. Who answers such a code
//! with 退订 is not heard (Order 31 art. 20: no obstacle).

use std::collections::HashMap;

use crate::proxy::Shared;
use crate::registry::{Provider, Purpose};
use crate::session::BindKind;

/// How many codes are blind now. A provider that is not bound at all sends nothing, and counts none.
pub(super) fn blind_ports(shared: &Shared) -> usize {
    // Bound providers, and whether any of their binds hears.
    let mut hears: HashMap<String, bool> = HashMap::new();
    for live in shared.live.iter() {
        let named = live.value().named();
        let Some(mode) = named.bind_mode else { continue };
        *hears.entry(named.provider).or_default() |= mode != BindKind::Transmitter.name();
    }
    let terms = shared.in_force.now();
    let providers = terms.knowledge.registry.providers().iter();
    let blind = providers.filter(|one| hears.get(&one.name) == Some(&false));
    blind.map(commercial_codes).sum()
}

/// How many of a provider's codes are for advertising.
pub(super) fn commercial_codes(provider: &Provider) -> usize {
    provider.codes.iter().filter(|code| code.purpose == Purpose::Commercial).count()
}
