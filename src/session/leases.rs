//! A provider's rate where several nodes serve it: messages leased ahead from a budget that all of them
//! share, so that no message waits for it.
//!
//! Whoever carries leases between nodes and budget asks each turn what is left ([`Rates::settle`]), gives
//! that back, and is granted what the next turn will take ([`Rates::grant`]). A message that comes before
//! what it needs is leased goes ahead of it, at most a second's worth of this node's part of the rate, and is
//! owed to the budget. Where no lease is good any more ([`LEASE_US`]), each node goes by its part of the rate.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::rates::Rates;
use crate::registry::ProviderId;

/// How long leases are good after the turn that brought them began, microseconds.
pub const LEASE_US: u64 = 1_000_000;

/// How many nodes go by one rate, and until when what they leased is good.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) nodes: NonZeroU32,
    /// On the steady clock.
    pub(super) until_us: Arc<AtomicU64>,
}

/// What a node has leased of one provider's rate.
#[derive(Debug, Default)]
pub(super) struct Lease {
    /// Messages that may go on; below zero, those that went ahead of it.
    left: AtomicI64,
    /// Messages that were over it since the last turn.
    missed: AtomicU64,
}

impl Lease {
    /// Takes one message, at most so many ahead of what was leased.
    pub(super) fn take(&self, ahead_max: u32) -> bool {
        let least = -i64::from(ahead_max);
        let take = |left: i64| (left > least).then_some(left - 1);
        let is_taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        if !is_taken {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
        is_taken
    }
}

/// What became of a provider's lease since the last turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Messages that were leased and did not come: they are the budget's again.
    pub unused: u64,
    /// Messages that went ahead of what was leased.
    pub owed: u64,
    /// Messages that were over the rate.
    pub missed: u64,
}

impl Rates {
    /// The same, where that many nodes go by them and lease what they let through.
    pub fn shared_by(mut self, nodes: NonZeroU32) -> Rates {
        self.shared = Some(Shared { nodes, until_us: Arc::default() });
        self
    }

    /// The providers' places for which a turn is due at all: those that have a rate.
    pub fn limited(&self) -> impl Iterator<Item = (ProviderId, NonZeroU32)> + '_ {
        (0..).zip(&self.buckets).filter_map(|(at, bucket)| Some((ProviderId(at), bucket.rate?)))
    }

    /// Takes out what is left of a lease. What is owed stays, until [`Rates::grant`] says how much
    /// of it the budget has.
    pub fn settle(&self, provider: ProviderId) -> Settled {
        let Some(bucket) = self.buckets.get(provider.0 as usize) else { return Settled::default() };
        let give_back = |left: i64| Some(left.min(0));
        let order = Ordering::Relaxed;
        let left = bucket.lease.left.fetch_update(order, order, give_back).unwrap_or_default();
        let missed = bucket.lease.missed.swap(0, order);
        let unused = left.max(0).unsigned_abs();
        Settled { unused, owed: left.min(0).unsigned_abs(), missed }
    }

    /// The budget lets so many messages more go on, those first that went ahead.
    pub fn grant(&self, provider: ProviderId, messages: u64) {
        let Some(bucket) = self.buckets.get(provider.0 as usize) else { return };
        let granted = i64::try_from(messages).unwrap_or(i64::MAX);
        bucket.lease.left.fetch_add(granted, Ordering::Relaxed);
    }

    /// A turn that began then has been carried out: leases are good for [`LEASE_US`] from there.
    pub fn keep_leases(&self, began_us: u64) {
        if let Some(shared) = &self.shared {
            shared.until_us.store(began_us.saturating_add(LEASE_US), Ordering::Relaxed);
        }
    }
}
