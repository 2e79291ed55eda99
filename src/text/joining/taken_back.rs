//! Of which messages parts were taken back lately: what was read with such a part was read with one that no
//! handset gets.

use std::collections::VecDeque;

use super::Key;

/// Most parts that were taken back and are remembered, of about 50 octets each: more than one batch can take back.
pub const TAKEN_BACK_MAX: usize = 1024;

#[derive(Default)]
pub(super) struct TakenBack {
    /// How many there were ever.
    pub(super) count: u64,
    /// Their messages, the newest last.
    keys: VecDeque<Key>,
}

impl TakenBack {
    pub(super) fn note(&mut self, key: Key) {
        self.count += 1;
        if self.keys.len() >= TAKEN_BACK_MAX {
            self.keys.pop_front();
        }
        self.keys.push_back(key);
    }

    /// Whether one of that message was taken back after the first `count` of all; also where that is not known
    /// any more.
    pub(super) fn since(&self, count: u64, key: &Key) -> bool {
        match usize::try_from(self.count.saturating_sub(count)) {
            Ok(0) => false,
            Ok(later) if later <= self.keys.len() => {
                self.keys.iter().rev().take(later).any(|one| one == key)
            }
            Ok(_) | Err(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_remembered_counts_as_taken_back() {
        let [ours, other] = [1, 2].map(|reference| Key::new(b"1", b"2", reference).expect("short"));
        let mut taken = TakenBack::default();
        assert!(!taken.since(0, &ours));
        taken.note(ours);
        (1..TAKEN_BACK_MAX).for_each(|_| taken.note(other));
        assert_eq!([0, 1].map(|count| taken.since(count, &ours)), [true, false]);
        taken.note(other);
        assert_eq!([0, 1, 2].map(|count| taken.since(count, &ours)), [true, false, false]);
        assert!(taken.since(0, &Key::new(b"1", b"2", 3).expect("short")), "nobody knows any more");
        assert!(!taken.since(u64::MAX, &other));
        assert_eq!(taken.keys.len(), TAKEN_BACK_MAX);
    }
}
