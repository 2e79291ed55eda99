//! A map that holds a bounded number of entries: when its newer half is full, the older one goes.

use std::collections::HashMap;
use std::hash::Hash;

/// Entries by key, in two halves.
pub(super) struct Recent<K, V> {
    newer: HashMap<K, V>,
    older: HashMap<K, V>,
    half_max: usize,
    forgot: bool,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// Holds at most `entries_max`, and the newest half of that many for certain.
    pub fn new(entries_max: usize) -> Recent<K, V> {
        Recent {
            newer: HashMap::new(),
            older: HashMap::new(),
            half_max: (entries_max / 2).max(1),
            forgot: false,
        }
    }

    /// Keeps an entry, in place of what the key had.
    pub fn insert(&mut self, key: K, value: V) {
        if self.newer.len() >= self.half_max {
            self.older = std::mem::take(&mut self.newer);
            self.forgot = true;
        }
        self.older.remove(&key);
        self.newer.insert(key, value);
    }

    /// The entry of a key.
    pub fn find(&self, key: &K) -> Option<&V> {
        self.newer.get(key).or_else(|| self.older.get(key))
    }

    /// The entry of a key, to be changed.
    pub fn find_mut(&mut self, key: &K) -> Option<&mut V> {
        match self.newer.get_mut(key) {
            Some(value) => Some(value),
            None => self.older.get_mut(key),
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.newer.remove(key).or_else(|| self.older.remove(key))
    }

    /// Keeps the entries that are meant.
    pub fn retain(&mut self, mut is_meant: impl FnMut(&K) -> bool) {
        self.newer.retain(|key, _| is_meant(key));
        self.older.retain(|key, _| is_meant(key));
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.newer.clear();
        self.older.clear();
    }

    /// Whether it may have forgotten an entry for want of room.
    pub fn has_forgotten(&self) -> bool {
        self.forgot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_half_is_there_and_never_more_than_all() {
        let mut recent = Recent::new(8);
        for n in 0_u32..100 {
            recent.insert(n, n);
            let held = recent.newer.len() + recent.older.len();
            assert!(held <= 8, "{n}: {held}");
            assert!((n.saturating_sub(3)..=n).all(|n| recent.find(&n) == Some(&n)), "{n}");
            assert_eq!(recent.has_forgotten(), n >= 4, "{n}");
        }
        recent.insert(97, 1);
        assert_eq!((recent.remove(&97), recent.find(&97)), (Some(1), None), "there once");
    }
}
