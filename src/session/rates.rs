//! How many messages a second each provider may send: one bucket a provider, over all its binds. Where
//! several nodes serve it, see [`super::leases`].

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::leases::{Lease, Shared};
use crate::registry::{ProviderId, Registry};

/// How far a provider may run ahead of its rate, microseconds: one second's worth at once.
pub const BURST_US: u64 = 1_000_000;

/// How much further the later parts of a long message may run, microseconds: a message whose
/// first part was let through is not cut off in the middle, and nobody gains more than this by
/// calling everything a later part.
pub const LATER_PARTS_US: u64 = 1_000_000;

/// The buckets by [`ProviderId`] (generic cell rate algorithm).
#[derive(Debug, Default)]
pub struct Rates {
    pub(super) buckets: Vec<Bucket>,
    /// `None`: no other node goes by them.
    pub(super) shared: Option<Shared>,
}

#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// Messages a second; `None` for no limit.
    pub(super) rate: Option<NonZeroU32>,
    /// Nanoseconds that one message takes.
    message_ns: u64,
    /// Nanoseconds on the steady clock at which the bucket will be empty again. Whoever judges by an older
    /// rate takes out of the same one.
    empty_at_ns: Arc<AtomicU64>,
    pub(super) lease: Arc<Lease>,
}

impl Rates {
    /// One full bucket for each provider.
    pub fn new(registry: &Registry) -> Rates {
        Rates::following(registry, &Rates::default())
    }

    /// The rates of a registry that follows another, whose buckets are as full as they were.
    pub fn following(registry: &Registry, before: &Rates) -> Rates {
        let mut buckets: Vec<Bucket> = before.buckets.iter().map(Bucket::without_limit).collect();
        buckets.resize_with(registry.places().max(buckets.len()), Bucket::default);
        for (id, provider) in registry.ids() {
            if let Some(bucket) = buckets.get_mut(id.0 as usize) {
                bucket.limit(provider.rate);
            }
        }
        Rates { buckets, shared: before.shared.clone() }
    }

    /// Takes one message out of the provider's bucket; whether there was one to take. `now_us` is of the
    /// steady clock.
    pub fn take(&self, provider: ProviderId, later_part: bool, now_us: u64) -> bool {
        let Some(bucket) = self.buckets.get(provider.0 as usize) else { return true };
        let Some(rate) = bucket.rate else { return true };
        let message_ns = bucket.message_ns;
        let Some(Shared { nodes, until_us }) = &self.shared else {
            return bucket.take(message_ns, later_part, now_us, 0);
        };
        let until_us = until_us.load(Ordering::Relaxed);
        if now_us < until_us {
            let ahead = rate.get().div_ceil(nodes.get());
            return bucket.lease.take(if later_part { ahead.saturating_mul(2) } else { ahead });
        }
        bucket.take(message_ns.saturating_mul(nodes.get().into()), later_part, now_us, until_us)
    }
}

impl Bucket {
    /// The same bucket, as full as it was.
    fn without_limit(&self) -> Bucket {
        let (empty_at_ns, lease) = (self.empty_at_ns.clone(), self.lease.clone());
        Bucket { empty_at_ns, lease, ..Bucket::default() }
    }

    fn limit(&mut self, rate: Option<NonZeroU32>) {
        self.rate = rate;
        self.message_ns = rate.map_or(0, |rate| 1_000_000_000 / u64::from(rate.get()));
    }

    /// By the generic cell rate algorithm. Until `since_us` it was empty for another reason.
    fn take(&self, message_ns: u64, later_part: bool, now_us: u64, since_us: u64) -> bool {
        let now_ns = now_us.saturating_mul(1000);
        let burst_ns = (BURST_US * 1000).max(message_ns);
        let later_ns = if later_part { LATER_PARTS_US * 1000 } else { 0 };
        let most_ns = now_ns.saturating_add(burst_ns + later_ns);
        let least_ns = match since_us {
            0 => now_ns,
            since_us => now_ns.max(since_us.saturating_mul(1000).saturating_add(burst_ns)),
        };
        let take = |empty_at: u64| {
            let next = empty_at.max(least_ns) + message_ns;
            (next <= most_ns).then_some(next)
        };
        self.empty_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::LEASE_US;

    fn rates(rate: u32) -> Rates {
        let mut bucket = Bucket::default();
        bucket.limit(NonZeroU32::new(rate));
        Rates { buckets: vec![bucket], shared: None }
    }

    #[test]
    fn a_second_holds_the_rate_and_later_parts_finish_their_message() {
        let cases = [
            ("first parts at once", 10, vec![(false, 0); 12], 10),
            ("later parts run on, bounded", 10, vec![(true, 0); 40], 20),
            (
                "an empty bucket fills with time",
                10,
                [vec![(false, 0); 10], vec![(false, 300_000); 9]].concat(),
                13,
            ),
            ("no limit", 0, vec![(false, 0); 1000], 1000),
        ];
        for (what, rate, takes, expected) in cases {
            let rates = rates(rate);
            let start = 1_700_000_000_000_000;
            let taken =
                takes.iter().filter(|(later, at)| rates.take(ProviderId(0), *later, start + at));
            assert_eq!(taken.count(), expected, "{what}");
        }
    }

    #[test]
    fn another_rate_goes_on_from_the_same_bucket() {
        let registry = |text: &str| crate::registry::parse(text, "registry.toml").expect("valid");
        let provider = |name: &str, rate: &str| {
            format!("[[provider]]\nname = \"{name}\"\nsystem_ids = [\"{name}\"]\n{rate}\n")
        };
        let now = 1_700_000_000_000_000;
        let first = registry(&provider("a", "rate = 10"));
        let rates = Rates::new(&first);
        let taken = |rates: &Rates, id| (0..99).filter(|_| rates.take(id, false, now)).count();
        let (a, b) = (ProviderId(0), ProviderId(1));
        assert_eq!(taken(&rates, a), 10);
        let second = provider("b", "rate = 5") + &provider("a", "rate = 20");
        let second = registry(&second).following(&first).expect("few");
        let later = Rates::following(&second, &rates);
        assert_eq!((taken(&later, a), taken(&later, b)), (0, 5), "a's is empty already");
        let third = registry(&provider("a", "")).following(&second).expect("few");
        assert_eq!(taken(&Rates::following(&third, &later), a), 99, "it has no rate any more");
    }

    #[test]
    fn leased_messages_go_on_and_a_second_of_the_nodes_part_ahead_of_them() {
        let start = 1_700_000_000_000_000;
        let nodes = NonZeroU32::new(3).expect("nodes");
        let take = |rates: &Rates, is_later, at| {
            (0..999).filter(|_| rates.take(ProviderId(0), is_later, start + at)).count()
        };
        // Leased, and what of first and then of later parts goes on.
        for (rate, leased, first, later) in [(30, 0, 10, 10), (30, 7, 17, 10), (1, 0, 1, 1)] {
            let rates = rates(rate).shared_by(nodes);
            rates.keep_leases(start);
            rates.grant(ProviderId(0), leased);
            assert_eq!(take(&rates, false, 0), first, "{rate} {leased}");
            assert_eq!(take(&rates, true, LEASE_US - 1), later, "{rate} {leased}");
            let settled = rates.settle(ProviderId(0));
            let owed = (first + later) as u64 - leased;
            assert_eq!((settled.unused, settled.owed), (0, owed), "{rate} {leased}");
            rates.grant(ProviderId(0), owed + 5);
            let settled = rates.settle(ProviderId(0));
            assert_eq!((settled.unused, settled.owed), (5, 0), "{rate} {leased}");
            assert_eq!(rates.settle(ProviderId(0)), crate::session::Settled::default());
        }
    }

    #[test]
    fn where_no_lease_is_good_each_node_goes_by_its_part() {
        let start = 1_700_000_000_000_000;
        let nodes = NonZeroU32::new(3).expect("nodes");
        let take = |rates: &Rates, at| {
            (0..999).filter(|_| rates.take(ProviderId(0), false, start + at)).count()
        };
        for (rate, at_once, a_second) in [(30, 10, 10), (1, 1, 0)] {
            let rates = rates(rate).shared_by(nodes);
            assert_eq!(take(&rates, 0), at_once, "{rate}: since the start");
            assert_eq!(take(&rates, 1_000_000), a_second, "{rate}");
        }
        // Leases that end leave an empty bucket.
        let rates = rates(30).shared_by(nodes);
        rates.keep_leases(start);
        assert_eq!([0, LEASE_US, LEASE_US + 500_000].map(|at| take(&rates, at)), [10, 0, 5]);
    }
}
