//! Requests that wait for their answers, found by sequence_number without a map.

/// Largest window, requests of one session.
pub const WINDOW_MAX: usize = 1_000_000;
/// Last sequence_number before 1 comes again (SMPP 3.4 5.1.4).
const SEQUENCE_LAST: u32 = 0x7fff_ffff;

/// A ring indexed by the low bits of the sequence_number. A number whose place is still taken by a
/// request without an answer is left out, so one lost answer does not stop the rest.
pub(super) struct Window {
    ring: Vec<Waiting>,
    open: usize,
    size: usize,
    sequence: u32,
}

/// sequence_number zero stands for nobody.
#[derive(Clone, Copy, Default)]
struct Waiting {
    sequence: u32,
    intended_ns: u64,
}

impl Window {
    /// Sequence numbers begin behind `used`.
    pub(super) fn new(size: usize, used: u32) -> Window {
        let ring = vec![Waiting::default(); size.next_power_of_two()];
        Window { ring, open: 0, size, sequence: used }
    }

    pub(super) fn has_room(&self) -> bool {
        self.open < self.size
    }

    /// Requests without an answer.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Enters a request and gives its sequence_number. Only to be called when there is room.
    #[inline]
    pub(super) fn enter(&mut self, intended_ns: u64) -> u32 {
        let mask = self.ring.len() - 1;
        loop {
            self.sequence = if self.sequence >= SEQUENCE_LAST { 1 } else { self.sequence + 1 };
            let waiting = &mut self.ring[self.sequence as usize & mask];
            if waiting.sequence == 0 {
                *waiting = Waiting { sequence: self.sequence, intended_ns };
                self.open += 1;
                return self.sequence;
            }
        }
    }

    /// Takes a request out when its answer has come, and gives the time it was meant to go at;
    /// `None` for an answer to nothing.
    #[inline]
    pub(super) fn leave(&mut self, sequence: u32) -> Option<u64> {
        let mask = self.ring.len() - 1;
        let waiting = &mut self.ring[sequence as usize & mask];
        if waiting.sequence != sequence || sequence == 0 {
            return None;
        }
        waiting.sequence = 0;
        self.open -= 1;
        Some(waiting.intended_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_any_order_find_their_request_once() {
        for size in [1, 2, 3, 100] {
            let mut window = Window::new(size, SEQUENCE_LAST - 150);
            let straggler = window.enter(7);
            for round in 0..200u64 {
                let mut entered = Vec::new();
                while window.has_room() {
                    let intended = round * 1000 + entered.len() as u64;
                    entered.push((window.enter(intended), intended));
                }
                assert_eq!(window.open(), size);
                for (sequence, intended) in entered.into_iter().rev() {
                    assert!((1..=SEQUENCE_LAST).contains(&sequence) && sequence != straggler);
                    assert_eq!(window.leave(sequence), Some(intended));
                    assert_eq!(window.leave(sequence), None);
                }
            }
            assert_eq!((window.leave(0), window.leave(u32::MAX)), (None, None));
            assert_eq!((window.leave(straggler), window.open()), (Some(7), 0));
        }
    }
}
