//! Receipts that the proxy asked for and not the ESME: which they are, so that they are kept back.
//!
//! On a listener that asks, a submit_sm or data_sm that asks for no receipt goes on with one bit set.
//! This is a bounded memory of the messages that wait for their receipt, by every form of their id
//! together with the recipient, so that the receipt is known over whichever bind it comes. What is not
//! known crosses: an ESME may get a receipt that it did not ask for, and never misses one that it did.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::audit::message_id::{Tail, keys};
use crate::smpp::message::Message;

/// Messages that wait for their receipt; the oldest is forgotten first.
pub const ASKED_MAX: usize = 1_000_000;
/// Messages that got it, remembered in case that the SMSC sends it again.
const DONE_MAX: usize = 1 << 16;

/// registered_delivery: an SMSC's receipt in any case (SMPP 3.4 5.2.17).
pub(super) const ANY_RECEIPT: u8 = 1;
/// The bits that say which receipts of the SMSC are asked for.
const RECEIPT_BITS: u8 = 0b11;

/// Who waits for the receipt of a message to that recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// The recipient.
    pub tail: Tail,
    /// The proxy, and not the ESME.
    pub is_ours: bool,
}

impl Awaited {
    /// Who waits, on a listener that asks. `None`: the recipient has no digit to know it by.
    pub(super) fn of(message: &Message<'_>) -> Option<Awaited> {
        let tail = Tail::of(message.destination.value)?;
        Some(Awaited { tail, is_ours: asks_for_none(message.registered_delivery) })
    }
}

/// Whether a registered_delivery asks for no receipt of the SMSC. One of failures alone, or of
/// successes (SMPP 5.0), is the ESME's wish and stays.
pub(super) fn asks_for_none(registered_delivery: u8) -> bool {
    registered_delivery & RECEIPT_BITS == 0
}

/// A message that waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// The key of its other form; its own where it has one form.
    other: u64,
    is_ours: bool,
}

/// The messages of all sessions.
#[derive(Debug)]
pub struct Asked {
    waiting: HashMap<u64, Waiting>,
    /// In the order in which they came; those that got their receipt are passed over.
    order: VecDeque<u64>,
    /// Keys of ours that got it, in two halves: the older goes when the newer is full.
    done: [HashSet<u64>; 2],
    entries_max: usize,
    changes: u64,
}

impl Asked {
    /// Remembers nothing yet, and at most `entries_max` keys later.
    pub fn new(entries_max: usize) -> Asked {
        Asked {
            waiting: HashMap::new(),
            order: VecDeque::new(),
            done: Default::default(),
            entries_max,
            changes: 0,
        }
    }

    /// The SMSC gave a message this id.
    pub fn remember(&mut self, message_id: &[u8], awaited: Awaited) {
        let mut keys = keys(message_id, Some(awaited.tail));
        let Some(one) = keys.next() else { return };
        let other = keys.next().unwrap_or(one);
        drop(keys);
        self.put(one, other, awaited.is_ours);
        if other != one {
            self.put(other, one, awaited.is_ours);
        }
    }

    /// Remembers one key, as [`Asked::entries`] gave it.
    pub fn put(&mut self, key: u64, other: u64, is_ours: bool) {
        if self.entries_max == 0 {
            return;
        }
        self.changes += 1;
        if self.waiting.insert(key, Waiting { other, is_ours }).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > self.entries_max {
            if self.waiting.len() <= self.entries_max / 2 {
                let waiting = &self.waiting;
                self.order.retain(|key| waiting.contains_key(key));
            }
            while self.order.len() > self.entries_max {
                let Some(oldest) = self.order.pop_front() else { break };
                self.waiting.remove(&oldest);
            }
        }
    }

    /// Who waited for a receipt with one of these keys; `None` where nobody is known to. `is_final`: no
    /// other comes after it.
    pub fn take(&mut self, keys: impl Iterator<Item = u64>, is_final: bool) -> Option<bool> {
        for key in keys {
            if let Some(&Waiting { other, is_ours }) = self.waiting.get(&key) {
                if is_final {
                    self.changes += 1;
                    for key in [key, other] {
                        self.waiting.remove(&key);
                        if is_ours {
                            self.is_done(key);
                        }
                    }
                }
                return Some(is_ours);
            }
            if self.done.iter().any(|half| half.contains(&key)) {
                return Some(true);
            }
        }
        None
    }

    fn is_done(&mut self, key: u64) {
        let [newer, older] = &mut self.done;
        if newer.len() >= DONE_MAX / 2 {
            std::mem::swap(newer, older);
            newer.clear();
        }
        newer.insert(key);
    }

    /// How often something was remembered or came.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What waits, the oldest first: key, key of the other form, whether it is ours. Put into another
    /// memory in this order, it is the same there.
    pub fn entries(&self) -> impl Iterator<Item = (u64, u64, bool)> {
        let waits =
            |key: &u64| self.waiting.get(key).map(|waiting| (*key, waiting.other, waiting.is_ours));
        self.order.iter().filter_map(waits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn awaited(recipient: &[u8], is_ours: bool) -> Awaited {
        Awaited { tail: Tail::of(recipient).expect("digits"), is_ours }
    }

    #[test]
    fn a_receipt_is_known_in_any_form_and_once_more() {
        let (one, other) = (&b"8613800138000"[..], &b"13911110000"[..]);
        let mut asked = Asked::new(10);
        asked.remember(b"255", awaited(one, true));
        asked.remember(b"0300", awaited(other, false));
        let mut take = |id: &[u8], recipient: &[u8], is_final| {
            asked.take(keys(id, Tail::of(recipient)), is_final)
        };
        let cases: &[(&[u8], &[u8], bool, Option<bool>)] = &[
            (b"FF", other, true, None),
            (b"256", one, true, None),
            (b"000000ff", b"13800138000", false, Some(true)),
            (b"FF", one, true, Some(true)),
            (b"FF", one, true, Some(true)),
            (b"255", one, true, Some(true)),
            (b"300", other, true, Some(false)),
            (b"300", other, true, None),
        ];
        for (at, (id, recipient, is_final, expected)) in cases.iter().enumerate() {
            assert_eq!(take(id, recipient, *is_final), *expected, "{at}");
        }
    }

    #[test]
    fn the_oldest_is_forgotten_first_and_what_came_makes_room() {
        let mut asked = Asked::new(4);
        let of = |key: u64| [key].into_iter();
        for key in 1..=4 {
            asked.put(key, key, true);
        }
        assert_eq!(asked.take(of(2), true), Some(true));
        assert_eq!(asked.take(of(3), true), Some(true));
        asked.put(5, 5, true);
        asked.put(6, 6, true);
        let keys: Vec<u64> = asked.entries().map(|one| one.0).collect();
        assert!(keys.ends_with(&[4, 5, 6]) && asked.order.len() <= 4, "{keys:?}");
        for key in 7..100 {
            asked.put(key, key, true);
            assert!(asked.waiting.len() <= 4 && asked.order.len() <= 4);
        }
        let mut other = Asked::new(4);
        asked.entries().for_each(|(key, form, is_ours)| other.put(key, form, is_ours));
        assert!(asked.entries().eq(other.entries()));
        let mut none = Asked::new(0);
        none.put(1, 1, true);
        assert_eq!(none.take(of(1), true), None);
    }
}
