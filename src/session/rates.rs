//! How many messages a second each provider may send: one bucket a provider, over all its binds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    buckets: Vec<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Nanoseconds that one message takes; zero for no limit.
    message_ns: u64,
    /// Nanoseconds since the Unix epoch at which the bucket will be empty again. Whoever judges by an older
    /// rate takes out of the same one.
    empty_at_ns: Arc<AtomicU64>,
}

impl Rates {
    /// One full bucket for each provider.
    pub fn new(registry: &Registry) -> Rates {
        Rates::following(registry, &Rates::default())
    }

    /// The rates of a registry that follows another, whose buckets are as full as they were.
    pub fn following(registry: &Registry, before: &Rates) -> Rates {
        let fresh = || Bucket { message_ns: 0, empty_at_ns: Arc::default() };
        let mut buckets: Vec<Bucket> = before
            .buckets
            .iter()
            .map(|one| Bucket { message_ns: 0, empty_at_ns: one.empty_at_ns.clone() })
            .collect();
        buckets.resize_with(registry.places().max(buckets.len()), fresh);
        for (id, provider) in registry.ids() {
            if let (Some(bucket), Some(rate)) = (buckets.get_mut(id.0 as usize), provider.rate) {
                bucket.message_ns = 1_000_000_000 / u64::from(rate.get());
            }
        }
        Rates { buckets }
    }

    /// Takes one message out of the provider's bucket; whether there was one to take.
    pub fn take(&self, provider: ProviderId, later_part: bool, now_us: u64) -> bool {
        let Some(bucket) = self.buckets.get(provider.0 as usize) else {
            return true;
        };
        if bucket.message_ns == 0 {
            return true;
        }
        let now_ns = now_us.saturating_mul(1000);
        let ahead_us = if later_part { BURST_US + LATER_PARTS_US } else { BURST_US };
        let most_ns = now_ns.saturating_add(ahead_us * 1000);
        bucket
            .empty_at_ns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |empty_at| {
                let next = empty_at.max(now_ns) + bucket.message_ns;
                (next <= most_ns).then_some(next)
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn rates(rate: u32) -> Rates {
        let message_ns = NonZeroU32::new(rate).map_or(0, |r| 1_000_000_000 / u64::from(r.get()));
        Rates { buckets: vec![Bucket { message_ns, empty_at_ns: Arc::default() }] }
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
}
