//! A Bloom filter whose every answer is in one block of 64 octets, so that one read of the disk
//! answers: 60 octets of bits, then the CRC-32C of the block's index (u32) and the bits.

/// Octets of a block.
pub const BLOCK_OCTETS: usize = 64;
/// Bits of a block.
const BITS: u64 = 480;
const BIT_OCTETS: usize = 60;
/// Bits of a filter for each token: about one in a thousand that was not put in is said to be.
const BITS_A_TOKEN: usize = 16;
/// Bits set for a token.
const BITS_SET: usize = 8;
/// Blocks of a filter at most: 64 MiB.
pub const BLOCKS_MAX: usize = 1 << 20;

/// Blocks for so many tokens, at least one.
pub fn blocks_for(tokens: usize) -> usize {
    (tokens * BITS_A_TOKEN).div_ceil(BITS as usize).clamp(1, BLOCKS_MAX)
}

/// The filter of these tokens.
pub fn build(tokens: impl ExactSizeIterator<Item = u64>) -> Vec<u8> {
    let blocks = blocks_for(tokens.len());
    let mut octets = vec![0; blocks * BLOCK_OCTETS];
    for token in tokens {
        let start = block_of(token, blocks) * BLOCK_OCTETS;
        let block = octets.get_mut(start..start + BIT_OCTETS).unwrap_or_default();
        for bit in bits_of(token) {
            if let Some(octet) = block.get_mut(bit / 8) {
                *octet |= 1 << (bit % 8);
            }
        }
    }
    for (at, block) in octets.chunks_exact_mut(BLOCK_OCTETS).enumerate() {
        let (bits, sum) = block.split_at_mut(BIT_OCTETS);
        sum.copy_from_slice(&sum_of(at, bits).to_le_bytes());
    }
    octets
}

/// The block of a token in a filter of so many.
pub fn block_of(token: u64, blocks: usize) -> usize {
    ((u128::from(token) * blocks as u128) >> 64) as usize
}

/// Whether a block may hold the token; none if it is not what was written.
pub fn may_hold(at: usize, block: &[u8; BLOCK_OCTETS], token: u64) -> Option<bool> {
    let (bits, sum) = block.split_at(BIT_OCTETS);
    if sum != sum_of(at, bits).to_le_bytes() {
        return None;
    }
    let is_set = |bit: usize| bits.get(bit / 8).is_some_and(|octet| octet & 1 << (bit % 8) != 0);
    Some(bits_of(token).into_iter().all(is_set))
}

fn sum_of(at: usize, bits: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&(at as u32).to_le_bytes()), bits)
}

/// The bits of a token in its block. The block goes by its high bits, these by all, mixed.
fn bits_of(token: u64) -> [usize; BITS_SET] {
    let mut mixed = token;
    std::array::from_fn(|_| {
        mixed = (mixed ^ mixed >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((u128::from(mixed) * u128::from(BITS)) >> 64) as usize
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(filter: &[u8], token: u64) -> Option<bool> {
        let at = block_of(token, filter.len() / BLOCK_OCTETS);
        let block = filter[at * BLOCK_OCTETS..][..BLOCK_OCTETS].try_into().expect("a block");
        may_hold(at, &block, token)
    }

    fn token(n: u64) -> u64 {
        let mut x = n.wrapping_add(1).wrapping_mul(0x2545_f491_4f6c_dd1d);
        x ^= x >> 32;
        x.wrapping_mul(0xd6e8_feb8_6659_fd93) ^ x << 17
    }

    #[test]
    fn what_was_put_in_is_found_and_hardly_anything_else() {
        for count in [0, 1, 30, 31, 1000, 50_000] {
            let filter = build((0..count).map(token).collect::<Vec<_>>().into_iter());
            assert_eq!(filter.len(), blocks_for(count as usize) * BLOCK_OCTETS);
            assert!((0..count).all(|n| holds(&filter, token(n)) == Some(true)), "{count}");
            let others = (0..20_000).filter(|n| holds(&filter, token(1 << 40 | n)) == Some(true));
            let wrong = others.count();
            assert!(wrong <= 60, "{count}: {wrong} of 20000");
        }
    }

    #[test]
    fn a_block_that_was_changed_or_moved_says_nothing() {
        let filter = build((0..1000).map(token).collect::<Vec<_>>().into_iter());
        let block: [u8; BLOCK_OCTETS] = filter[..BLOCK_OCTETS].try_into().expect("a block");
        assert!(may_hold(0, &block, 1).is_some());
        assert_eq!(may_hold(1, &block, 1), None);
        for bit in 0..8 * BLOCK_OCTETS {
            let mut changed = block;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(may_hold(0, &changed, 1), None, "bit {bit}");
        }
    }
}
