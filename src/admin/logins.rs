//! Wrong tokens, counted by address: whoever guesses is slowed down, in bounded memory.
//!
//! An address may send [`WRONG_MAX`] wrong tokens at once, and one more every [`FORGIVEN_AFTER`]. Beyond that
//! no token of it is looked at, also not the right one, so that guessing tells nothing.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens that an address may send at once.
pub const WRONG_MAX: u32 = 10;
/// After which time one of them is forgiven.
pub const FORGIVEN_AFTER: Duration = Duration::from_secs(6);
/// Addresses that are told apart. Those beyond it count as one.
pub const ADDRESSES_MAX: usize = 4096;

/// The addresses that sent wrong tokens, and when all of these will be forgiven.
#[derive(Default)]
pub(super) struct Logins {
    wrong: Mutex<HashMap<IpAddr, Instant>>,
}

/// Stands for all addresses beyond [`ADDRESSES_MAX`]; nobody comes from it.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

impl Logins {
    /// How long tokens of this address are not looked at; none when they are.
    pub fn wait(&self, peer: IpAddr, now: Instant) -> Option<Duration> {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = wrong.len() >= ADDRESSES_MAX;
        let of_others = if is_full { wrong.get(&OTHERS) } else { None };
        let forgiven = wrong.get(&network(peer)).or(of_others)?;
        let owed = forgiven.saturating_duration_since(now);
        owed.checked_sub(FORGIVEN_AFTER * (WRONG_MAX - 1)).filter(|wait| !wait.is_zero())
    }

    /// Counts a wrong token; whether it was the last that is looked at for now.
    pub fn count(&self, peer: IpAddr, now: Instant) -> bool {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let mut address = network(peer);
        if wrong.len() >= ADDRESSES_MAX && !wrong.contains_key(&address) {
            wrong.retain(|_, forgiven| *forgiven > now);
            if wrong.len() >= ADDRESSES_MAX {
                address = OTHERS;
            }
        }
        let forgiven = wrong.entry(address).or_insert(now);
        *forgiven = (*forgiven).max(now) + FORGIVEN_AFTER;
        forgiven.saturating_duration_since(now) > FORGIVEN_AFTER * (WRONG_MAX - 1)
    }
}

/// One subscriber has a whole /64 of IPv6.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 1))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_guesses_waits_and_others_do_not() {
        let (logins, began) = (Logins::default(), Instant::now());
        let at = |seconds: u64| began + Duration::from_secs(seconds);
        let peer = |text: &str| text.parse::<IpAddr>().unwrap();
        for wrong in 1..=WRONG_MAX {
            assert_eq!(logins.wait(peer("192.0.2.1"), at(0)), None, "{wrong}");
            assert_eq!(logins.count(peer("192.0.2.1"), at(0)), wrong == WRONG_MAX, "{wrong}");
        }
        let wait =
            |address, seconds| logins.wait(peer(address), at(seconds)).map(|wait| wait.as_secs());
        assert_eq!(wait("192.0.2.1", 0), Some(6));
        assert_eq!(wait("::ffff:192.0.2.1", 5), Some(1));
        assert_eq!(wait("192.0.2.1", 6), None, "one is forgiven");
        assert_eq!(wait("192.0.2.2", 0), None);
        assert!(logins.count(peer("192.0.2.1"), at(6)));
        assert_eq!(wait("192.0.2.1", 6), Some(6));
        assert_eq!(wait("192.0.2.1", 100), None);
        for _ in 0..WRONG_MAX {
            logins.count(peer("2001:db8::1"), at(0));
        }
        assert_eq!(wait("2001:db8::2:3", 0), Some(6), "the same /64");
        assert_eq!(wait("2001:db8:0:1::1", 0), None);
    }

    #[test]
    fn addresses_beyond_the_limit_count_as_one_and_memory_does_not_grow() {
        let (logins, began) = (Logins::default(), Instant::now());
        let peer = |n: u32| IpAddr::from(n.to_be_bytes());
        for n in 0..ADDRESSES_MAX as u32 {
            logins.count(peer(n), began);
        }
        for n in 0..WRONG_MAX {
            assert_eq!(logins.wait(peer(1 << 20), began), None);
            logins.count(peer((1 << 21) + n), began);
        }
        assert!(logins.wait(peer(1 << 20), began).is_some(), "never seen, and one of the others");
        assert_eq!(logins.wait(peer(7), began), None, "known by itself");
        assert_eq!(logins.wrong.lock().unwrap().len(), ADDRESSES_MAX + 1);
        // What is forgiven makes room.
        logins.count(peer(1 << 22), began + FORGIVEN_AFTER * 2);
        assert!(logins.wrong.lock().unwrap().len() <= 2);
    }
}
