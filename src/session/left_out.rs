//! The destinations that were left out of submit_multis on their way, until the SMSC answers: the
//! ESME is told of them in the SMSC's own response.
//!
//! An answer that comes when nobody waits for it any more still crosses, so its destinations are
//! remembered for as long as there is room.

use std::collections::VecDeque;

use crate::smpp::response::{self, Unsuccess};

/// Octets of left-out destinations that one session remembers, as they stand in a response. A
/// submit_multi that would need more is refused whole.
pub const LEFT_OUT_OCTETS_MAX: usize = 1 << 20;

/// Octets of a destination in a response at most: TON, NPI, an address with its NUL, a status.
pub(super) const DESTINATION_OCTETS_MAX: usize = 2 + crate::smpp::message::ADDRESS_OCTETS_MAX + 4;

/// The destinations left out of one submit_multi.
#[derive(Debug)]
pub(super) struct LeftOut {
    sequence_number: u32,
    /// As they stand in a response.
    octets: Vec<u8>,
    /// The SMSC's answer is not waited for any more.
    is_late: bool,
}

impl LeftOut {
    /// The destinations with their statuses.
    pub(super) fn unsuccess(&self) -> impl Iterator<Item = Unsuccess<'_>> {
        response::unsuccess(&self.octets)
    }
}

/// Those of one session, oldest first.
#[derive(Debug, Default)]
pub(super) struct LeftOuts {
    open: VecDeque<LeftOut>,
    octets: usize,
}

impl LeftOuts {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Makes room for that many octets more, where those whose answer is late can give it; whether
    /// there is room now.
    pub(super) fn has_room(&mut self, octets: usize) -> bool {
        while self.octets + octets > LEFT_OUT_OCTETS_MAX {
            let Some(at) = self.open.iter().position(|one| one.is_late) else { return false };
            self.remove(at);
        }
        true
    }

    /// Remembers those of the request with that number.
    pub(super) fn put(&mut self, sequence_number: u32, octets: Vec<u8>) {
        self.octets += octets.len();
        self.open.push_back(LeftOut { sequence_number, octets, is_late: false });
    }

    /// The answer to that request is not waited for any more.
    pub(super) fn give_up(&mut self, sequence_number: u32) {
        let mut open = self.open.iter_mut();
        if let Some(one) = open.find(|one| one.sequence_number == sequence_number && !one.is_late) {
            one.is_late = true;
        }
    }

    /// Takes out the oldest of that number: those that are waited for, or those that came late.
    pub(super) fn take(&mut self, sequence_number: u32, is_late: bool) -> Option<LeftOut> {
        let is_it =
            |one: &LeftOut| one.sequence_number == sequence_number && one.is_late == is_late;
        self.remove(self.open.iter().position(is_it)?)
    }

    fn remove(&mut self, at: usize) -> Option<LeftOut> {
        let one = self.open.remove(at)?;
        self.octets -= one.octets.len();
        if self.open.is_empty() {
            self.open = VecDeque::new();
        }
        Some(one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_a_number_is_taken_first_and_late_ones_apart() {
        let mut left = LeftOuts::default();
        for (number, octets) in [(7, 1), (7, 2), (8, 3)] {
            left.put(number, vec![0; octets]);
        }
        left.give_up(7);
        let octets = |one: Option<LeftOut>| one.map(|one| one.octets.len());
        assert_eq!(octets(left.take(7, false)), Some(2));
        assert_eq!(octets(left.take(7, false)), None);
        assert_eq!(octets(left.take(7, true)), Some(1));
        assert_eq!(octets(left.take(8, false)), Some(3));
        assert!(left.is_empty() && left.octets == 0);
    }

    #[test]
    fn there_is_room_to_the_limit_and_late_ones_give_way() {
        let mut left = LeftOuts::default();
        left.put(1, vec![0; LEFT_OUT_OCTETS_MAX - 10]);
        assert!(left.has_room(10) && !left.has_room(11));
        left.give_up(1);
        assert!(left.has_room(11) && left.is_empty());
    }
}
