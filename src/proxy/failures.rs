//! Failed binds by address: who fails again and again waits before its next connection is served.
//!
//! The first ones are free. Then each failure makes connections from that address wait, twice as long as
//! the one before, up to [`WAIT_MAX`]; a bind that succeeds ends it, and so does [`FORGOTTEN_AFTER`]
//! without a failure. Of IPv6 the first 64 bits count as the address: one subscriber has them all.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

/// What the first failure that is not free costs.
pub const WAIT_MIN: Duration = Duration::from_secs(1);
/// The longest wait.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// Without a failure for so long, an address counts as new.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
/// Addresses that are remembered at a time, some 60 octets each. Where there is no room, the failures of
/// one more are not counted.
pub const ADDRESSES_MAX: usize = 65_536;
/// Connections from one address that wait at a time; one more is refused.
pub const WAITING_MAX: u32 = 16;

/// How often is looked for addresses to forget when there is no room.
const LOOK_US: u64 = 1_000_000;

/// The addresses that failed lately.
#[derive(Debug)]
pub struct Failures {
    addresses: DashMap<IpAddr, Failing>,
    /// Failures that are free; zero for no limit.
    free: u32,
    /// When to look for room again, microseconds of the steady clock.
    look_us: AtomicU64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Failing {
    count: u32,
    waiting: u32,
    last_us: u64,
    until_us: u64,
}

/// A connection that waits; dropped, it waits no more.
#[derive(Debug)]
pub(super) struct Waits<'a> {
    failures: &'a Failures,
    address: IpAddr,
    /// How long.
    pub(super) time: Duration,
}

impl Failures {
    /// `free`: failures from one address that cost nothing; zero for no limit at all.
    pub fn new(free: u32) -> Failures {
        Failures { addresses: DashMap::new(), free, look_us: AtomicU64::new(0) }
    }

    /// A bind from there failed; whether connections from there now wait. Times are of the steady clock.
    pub(super) fn failed(&self, address: IpAddr, now_us: u64) -> bool {
        if self.free == 0 {
            return false;
        }
        let address = counted(address);
        if self.addresses.len() >= ADDRESSES_MAX
            && !self.addresses.contains_key(&address)
            && !self.makes_room(now_us)
        {
            return false;
        }
        let mut one = self.addresses.entry(address).or_default();
        if is_forgotten(&one, now_us) {
            one.count = 0;
        }
        one.count = one.count.saturating_add(1);
        one.last_us = now_us;
        let Some(beyond) = one.count.checked_sub(self.free + 1) else { return false };
        let longer = 1_u32.checked_shl(beyond).unwrap_or(u32::MAX).min(1 << 16);
        let wait = (WAIT_MIN * longer).min(WAIT_MAX);
        one.until_us = now_us + wait.as_micros() as u64;
        true
    }

    /// A bind from there succeeded.
    pub(super) fn succeeded(&self, address: IpAddr) {
        // Almost always there is nobody, and looking takes no lock that others wait for.
        if self.addresses.is_empty() {
            return;
        }
        if let Entry::Occupied(mut one) = self.addresses.entry(counted(address)) {
            match one.get().waiting {
                0 => drop(one.remove()),
                waiting => drop(one.insert(Failing { waiting, ..Failing::default() })),
            }
        }
    }

    /// How a connection from there waits: not at all, or for that time.
    ///
    /// # Errors
    ///
    /// When [`WAITING_MAX`] wait already.
    pub(super) fn wait(&self, address: IpAddr, now_us: u64) -> Result<Option<Waits<'_>>, ()> {
        if self.addresses.is_empty() {
            return Ok(None);
        }
        let address = counted(address);
        let Some(mut one) = self.addresses.get_mut(&address) else { return Ok(None) };
        let left_us = one.until_us.saturating_sub(now_us);
        if left_us == 0 {
            return Ok(None);
        }
        if one.waiting >= WAITING_MAX {
            return Err(());
        }
        one.waiting += 1;
        Ok(Some(Waits { failures: self, address, time: Duration::from_micros(left_us) }))
    }

    /// Forgets whom it may; whether there is room now.
    fn makes_room(&self, now_us: u64) -> bool {
        if now_us >= self.look_us.load(Ordering::Relaxed) {
            self.look_us.store(now_us + LOOK_US, Ordering::Relaxed);
            self.addresses.retain(|_, one| one.waiting > 0 || !is_forgotten(one, now_us));
        }
        self.addresses.len() < ADDRESSES_MAX
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if let Some(mut one) = self.failures.addresses.get_mut(&self.address) {
            one.waiting = one.waiting.saturating_sub(1);
        }
    }
}

fn is_forgotten(one: &Failing, now_us: u64) -> bool {
    now_us.saturating_sub(one.last_us) >= FORGOTTEN_AFTER.as_micros() as u64
}

fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: u64 = 1_000_000;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn seconds(failures: &Failures, address: &str, now_us: u64) -> Option<u64> {
        let waits = failures.wait(ip(address), now_us).expect("few wait");
        waits.map(|waits| waits.time.as_secs())
    }

    #[test]
    fn each_failure_beyond_the_free_ones_doubles_the_wait() {
        let failures = Failures::new(2);
        let now = 5 * SECOND_US;
        for (number, expected) in
            [None, None, Some(1), Some(2), Some(4), Some(8), Some(16), Some(30), Some(30)]
                .into_iter()
                .enumerate()
        {
            assert_eq!(failures.failed(ip("203.0.113.7"), now), expected.is_some(), "{number}");
            assert_eq!(seconds(&failures, "203.0.113.7", now), expected, "{number}");
        }
        for _ in 0..100 {
            failures.failed(ip("203.0.113.7"), now);
        }
        assert_eq!(seconds(&failures, "203.0.113.7", now), Some(30), "never more than the most");
        assert_eq!(seconds(&failures, "::ffff:203.0.113.7", now), Some(30), "the same in IPv6");
        assert_eq!(seconds(&failures, "203.0.113.8", now), None, "nobody else");
        assert_eq!(seconds(&failures, "203.0.113.7", now + 30 * SECOND_US), None, "it is over");
        failures.succeeded(ip("203.0.113.7"));
        assert_eq!(seconds(&failures, "203.0.113.7", now), None, "a good bind ends it");
        assert!(failures.addresses.is_empty());

        let off = Failures::new(0);
        assert!((0..100).all(|_| !off.failed(ip("203.0.113.7"), now)));
        assert!(off.addresses.is_empty());
    }

    #[test]
    fn an_address_is_forgotten_and_a_subscriber_of_ipv6_has_one() {
        let failures = Failures::new(1);
        assert!(!failures.failed(ip("2001:db8:1:2::1"), 0));
        assert!(failures.failed(ip("2001:db8:1:2:ffff::2"), 0), "the same 64 bits");
        assert!(!failures.failed(ip("2001:db8:1:3::1"), 0), "others");
        let later = FORGOTTEN_AFTER.as_micros() as u64;
        assert!(failures.failed(ip("2001:db8:1:2::1"), later - 1));
        assert!(!failures.failed(ip("2001:db8:1:2::1"), 2 * later - 1), "forgotten");
    }

    #[test]
    fn so_many_wait_and_so_many_are_remembered() {
        let failures = Failures::new(1);
        let one = ip("203.0.113.7");
        failures.failed(one, 0);
        failures.failed(one, 0);
        let waiting: Vec<_> = (0..WAITING_MAX).map(|_| failures.wait(one, 0)).collect();
        assert!(waiting.iter().all(|one| matches!(one, Ok(Some(_)))));
        assert!(failures.wait(one, 0).is_err(), "one past the most");
        failures.succeeded(one);
        drop(waiting);
        failures.failed(one, 0);
        failures.failed(one, 0);
        assert!(failures.wait(one, 0).is_ok(), "those that waited wait no more");

        for number in 1..ADDRESSES_MAX as u32 {
            failures.failed(Ipv4Addr::from_bits(number).into(), 1);
        }
        assert_eq!(failures.addresses.len(), ADDRESSES_MAX);
        let more = ip("203.0.113.9");
        assert!(!failures.failed(more, 2) && !failures.failed(more, 2), "no room");
        assert_eq!(failures.addresses.len(), ADDRESSES_MAX);
        assert!(failures.failed(one, 2), "who is remembered is counted on");
        let later = 1 + FORGOTTEN_AFTER.as_micros() as u64;
        assert!(!failures.failed(more, later) && failures.failed(more, later), "room again");
    }

    use std::net::Ipv4Addr;
}
