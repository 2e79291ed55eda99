//! Which messages are sampled, and names of traces and spans. Good enough to be unlike, not to be secret.

use aws_lc_rs::rand;

use super::span::{SpanId, TraceId};

/// A stream of numbers by chance (SplitMix64, Steele et al. 2014), seeded by the system's generator.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Seeded by the system.
    pub fn new() -> Chance {
        let mut seed = [0; 8];
        // Without the system's generator names may repeat; nothing else goes by them.
        let _ = rand::fill(&mut seed);
        Chance(u64::from_le_bytes(seed))
    }

    /// One that says the same each time, for tests.
    pub fn seeded(seed: u64) -> Chance {
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A span's name, never all zero.
    pub fn span_id(&mut self) -> SpanId {
        self.next().max(1).to_be_bytes()
    }

    /// A trace's name, never all zero.
    pub fn trace_id(&mut self) -> TraceId {
        let number = u128::from(self.next()) << 64 | u128::from(self.next().max(1));
        number.to_be_bytes()
    }

    /// How many messages are passed over until the next sampled one, so that each is sampled with the
    /// probability `sample` (0 to 1) whatever became of the others.
    pub fn gap(&mut self, sample: f64) -> u64 {
        if sample >= 1.0 {
            return 0;
        }
        if sample <= 0.0 {
            return u64::MAX;
        }
        // In (0, 1): 53 bits and a half, so that the logarithm is finite.
        let uniform = ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        (uniform.ln() / (-sample).ln_1p()) as u64
    }
}

impl Default for Chance {
    fn default() -> Chance {
        Chance::new()
    }
}
