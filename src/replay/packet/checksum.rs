//! The Internet checksum (RFC 1071): the ones' complement sum of 16-bit words.

/// A sum under way, of an even number of octets but for the last addition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum(u64);

impl Sum {
    #[inline]
    pub(super) fn of(octets: &[u8]) -> Sum {
        Sum(0).and(octets)
    }

    /// Adds octets, the last one padded with zero when they are odd.
    #[inline]
    pub(super) fn and(self, octets: &[u8]) -> Sum {
        // Words of 32 bits into 64: a packet has far fewer than 2^32 of them. That a sum of wider
        // words folds to the same is RFC 1071 2 (C).
        let (words, rest) = octets.as_chunks::<4>();
        let sum: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        Sum(self.0 + sum + u64::from(u32::from_be_bytes(last)))
    }

    #[inline]
    pub(super) fn plus(self, number: u64) -> Sum {
        Sum(self.0 + number)
    }

    /// Whether the octets, their checksum among them, add up.
    #[inline]
    pub(super) fn is_right(self) -> bool {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum == 0xffff
    }
}
