//! Which pairs an import is the first to name, without looking into the store for each of them.
//!
//! A filter in memory of the keys of every pair: what it has not seen is not in the store. It begins with an
//! empty store, is told of every pair from then on, and grows by layers, each twice as large as the one
//! before. When it would take more than [`OCTETS_MAX`] it answers nothing any more, and the store is asked.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::consent::PairKey;

/// Octets of all layers together: those of some 130 million pairs.
const OCTETS_MAX: usize = 192 << 20;
/// Keys of the first layer.
const FIRST_KEYS: usize = 2 << 20;
/// Bits for each key; with five set in a block, a layer takes one key in fifty for one that it has seen.
const KEY_BITS: usize = 10;
/// Bits that a key sets in its block.
const SET_BITS: u32 = 5;
/// Octets of a block: a line of the processor's cache.
const BLOCK_OCTETS: usize = size_of::<Block>();

type Block = [u64; 8];

/// The keys that were seen.
pub(super) struct Newcomers {
    layers: Vec<Layer>,
    is_full: bool,
}

struct Layer {
    blocks: Box<[Block]>,
    /// Keys that it takes before the next layer begins.
    room: usize,
}

impl Newcomers {
    /// For a store that has no pair.
    pub fn new() -> Self {
        Self { layers: Vec::new(), is_full: false }
    }

    /// Whether this pair has certainly not been seen.
    pub fn is_new(&self, key: PairKey) -> bool {
        let hash = hash(key);
        !self.is_full && !self.layers.iter().any(|layer| layer.has(hash))
    }

    /// A pair is in the store, or is on its way there.
    pub fn see(&mut self, key: PairKey) {
        if !self.is_full && self.layers.last().is_none_or(|layer| layer.room == 0) {
            self.grow();
        }
        if let Some(layer) = self.layers.last_mut() {
            layer.put(hash(key));
        }
    }

    fn grow(&mut self) {
        let keys = FIRST_KEYS << self.layers.len();
        let blocks = (keys * KEY_BITS).div_ceil(u8::BITS as usize * BLOCK_OCTETS);
        let before: usize = self.layers.iter().map(|layer| layer.blocks.len()).sum();
        if (before + blocks) * BLOCK_OCTETS > OCTETS_MAX {
            *self = Self { layers: Vec::new(), is_full: true };
        } else {
            let blocks = vec![[0; 8]; blocks].into_boxed_slice();
            self.layers.push(Layer { blocks, room: keys });
        }
    }
}

fn hash(key: PairKey) -> u64 {
    let mut hasher = FixedState::with_seed(0x5eed).build_hasher();
    hasher.write_u64(key.0);
    hasher.finish()
}

/// The bits that a hash sets in its block: nine of the hash for each.
fn bits(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    (0..SET_BITS).map(move |at| {
        let bit = (hash >> (at * 9)) as usize % 512;
        (bit / 64, 1 << (bit % 64))
    })
}

impl Layer {
    /// The block of a hash, by its high half; the bits within come from the low one.
    fn place(&self, hash: u64) -> usize {
        let mixed = u64::from(((hash >> 32) as u32).wrapping_mul(0x9e37_79b9));
        ((mixed * self.blocks.len() as u64) >> 32) as usize
    }

    fn has(&self, hash: u64) -> bool {
        let block = self.blocks.get(self.place(hash));
        block.is_some_and(|block| bits(hash).all(|(word, bit)| block[word] & bit != 0))
    }

    fn put(&mut self, hash: u64) {
        let place = self.place(hash);
        if let Some(block) = self.blocks.get_mut(place) {
            bits(hash).for_each(|(word, bit)| block[word] |= bit);
        }
        self.room -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys as they are: an entity and a number, which differ in few bits.
    fn key(number: u64) -> PairKey {
        PairKey((3 << 48) + 8_613_000_000_000 + number * 7)
    }

    #[test]
    fn what_was_seen_is_never_new_and_little_else_is_not() {
        let mut newcomers = Newcomers::new();
        let count = 3 * FIRST_KEYS as u64 / 2;
        for number in 0..count {
            newcomers.see(key(number));
        }
        assert_eq!(newcomers.layers.len(), 2);
        assert!((0..count).step_by(7).all(|number| !newcomers.is_new(key(number))));
        let others = (count..2 * count).step_by(7);
        let asked = others.clone().count();
        let wrongly = others.filter(|number| !newcomers.is_new(key(*number))).count();
        assert!(wrongly < asked / 15, "{wrongly} of {asked}");
    }

    #[test]
    fn a_filter_that_is_full_says_of_nothing_that_it_is_new() {
        let mut newcomers = Newcomers::new();
        newcomers.see(key(1));
        let most = OCTETS_MAX / BLOCK_OCTETS;
        newcomers.layers[0] = Layer { blocks: vec![[0; 8]; most].into_boxed_slice(), room: 0 };
        assert!(newcomers.is_new(key(2)));
        newcomers.see(key(3));
        assert!(!newcomers.is_new(key(2)) && newcomers.layers.is_empty());
    }
}
