//! What a node asks of the budgets: what a turn took lately at most, and a quarter more.

use std::collections::{HashMap, VecDeque};

use super::budget::Ask;
use crate::registry::ProviderId;
use crate::session::Rates;

/// Turns whose greatest demand is leased for: who is silent for longer has nothing leased.
const TURNS: usize = 10;

/// One provider's.
#[derive(Debug, Default)]
struct Demand {
    /// What was left after the last turn.
    left: i64,
    /// Messages that came in each of the last turns.
    came: VecDeque<u64>,
}

/// What a node asks, by provider.
#[derive(Debug, Default)]
pub struct Demands {
    by_provider: HashMap<ProviderId, Demand>,
}

impl Demands {
    /// Settles all leases and says what is asked for: nothing for who is silent. Every ask is to be followed by
    /// [`Demands::grant`], or the budget does not have what it says; what is owed is then asked again.
    pub fn asks(&mut self, rates: &Rates) -> Vec<(ProviderId, Ask)> {
        let mut asks = Vec::new();
        for (provider, rate) in rates.limited() {
            let settled = rates.settle(provider);
            let is_silent = settled == Default::default();
            if is_silent && !self.by_provider.contains_key(&provider) {
                continue;
            }
            let demand = self.by_provider.entry(provider).or_default();
            let signed = |messages: u64| i64::try_from(messages).unwrap_or(i64::MAX);
            let left = signed(settled.unused).saturating_sub(signed(settled.owed));
            let used = u64::try_from(demand.left.saturating_sub(left)).unwrap_or(0);
            demand.left = left.min(0);
            if demand.came.len() >= TURNS {
                demand.came.pop_front();
            }
            demand.came.push_back(used.saturating_add(settled.missed));
            let most = demand.came.iter().copied().max().unwrap_or(0);
            let wanted = if most > 0 { most + most / 4 + 1 } else { 0 };
            let wanted = wanted.min(rate.get().into());
            if wanted == 0 && is_silent {
                self.by_provider.remove(&provider);
                continue;
            }
            let (unused, owed) = (settled.unused, settled.owed);
            asks.push((provider, Ask { rate, unused, owed, wanted }));
        }
        asks
    }

    /// The budget granted so many messages.
    pub fn grant(&mut self, rates: &Rates, provider: ProviderId, messages: u64) {
        rates.grant(provider, messages);
        if let Some(demand) = self.by_provider.get_mut(&provider) {
            let granted = i64::try_from(messages).unwrap_or(i64::MAX);
            demand.left = demand.left.saturating_add(granted);
        }
    }
}
