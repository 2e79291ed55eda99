//! Latencies in fixed space: log-linear buckets that keep three significant digits of every value
//! from one nanosecond to the end of `u64`.
//!
//! Values below 2,048 have a bucket each. Above, every power of two is divided into 1,024 buckets,
//! so a bucket is never wider than a thousandth of the values in it.

/// Values that have a bucket of their own.
const EXACT: u64 = 2048;
/// Buckets in each power of two above [`EXACT`].
const HALF: usize = 1024;
/// Powers of two above [`EXACT`] in a `u64`.
const POWERS: usize = 53;
/// Number of buckets.
const BUCKETS: usize = EXACT as usize + POWERS * HALF;

/// How often each value was met. About 440 KiB, of which only what is written to is resident.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    min: u64,
    max: u64,
    sum: u128,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; BUCKETS], total: 0, min: u64::MAX, max: 0, sum: 0 }
    }
}

fn bucket(value: u64) -> usize {
    if value < EXACT {
        return value as usize;
    }
    let shift = 53 - value.leading_zeros();
    shift as usize * HALF + (value >> shift) as usize
}

/// The largest value that falls into a bucket.
fn largest_in(bucket: usize) -> u64 {
    if bucket < EXACT as usize {
        return bucket as u64;
    }
    let shift = bucket / HALF - 1;
    let first = ((bucket % HALF + HALF) as u64) << shift;
    first + ((1 << shift) - 1)
}

impl Histogram {
    /// Counts one value.
    #[inline]
    pub fn record(&mut self, value: u64) {
        if let Some(count) = self.counts.get_mut(bucket(value)) {
            *count += 1;
        }
        self.total += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum += u128::from(value);
    }

    /// Adds everything that `other` counted.
    pub fn merge(&mut self, other: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The smallest value, exact; zero when nothing was counted.
    pub fn min(&self) -> u64 {
        if self.total == 0 { 0 } else { self.min }
    }

    /// The largest value, exact; zero when nothing was counted.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The mean, exact but for rounding down; zero when nothing was counted.
    pub fn mean(&self) -> u64 {
        (self.sum / u128::from(self.total.max(1))) as u64
    }

    /// The value that `percent` of the values do not exceed (0.0 to 100.0), at most a thousandth
    /// above the true one, never above the largest; zero when nothing was counted.
    pub fn percentile(&self, percent: f64) -> u64 {
        let wanted = (self.total as f64 * percent / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return largest_in(index).min(self.max);
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_are_in_order_and_know_their_largest_value() {
        let mut values: Vec<u64> = (0..64).map(|power| 1u64 << power).collect();
        values.extend((0..64).map(|power| (1u64 << power) - 1));
        values.extend([2047, 2048, 2049, 4095, 4096, 4097, 50_000_000, u64::MAX]);
        for value in values {
            let index = bucket(value);
            assert!(index < BUCKETS, "{value}");
            assert!(largest_in(index) >= value, "{value}");
            assert_eq!(bucket(largest_in(index)), index, "{value}");
            if let Some(next) = largest_in(index).checked_add(1) {
                assert_eq!(bucket(next), index + 1, "{value}");
            }
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn an_empty_one_answers_zero() {
        let empty = Histogram::default();
        assert_eq!((empty.min(), empty.percentile(99.0), empty.max(), empty.mean()), (0, 0, 0, 0));
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_samples(
            samples in prop::collection::vec((0u32..64, any::<u64>()), 1..400),
            percent in 0.0f64..=100.0,
            cut in 0usize..400,
        ) {
            let mut samples: Vec<u64> = samples.into_iter().map(|(s, v)| v >> s).collect();
            let (mut one, mut other) = (Histogram::default(), Histogram::default());
            for (index, &sample) in samples.iter().enumerate() {
                if index < cut { one.record(sample) } else { other.record(sample) }
            }
            one.merge(&other);
            samples.sort_unstable();
            let rank = (samples.len() as f64 * percent / 100.0).ceil().max(1.0) as usize;
            let (exact, told) = (samples[rank - 1], one.percentile(percent));
            prop_assert!(told >= exact && told - exact <= exact / 1000, "{exact} told as {told}");
            prop_assert_eq!(one.min(), samples[0]);
            prop_assert_eq!(one.max(), samples[samples.len() - 1]);
            prop_assert_eq!(one.count(), samples.len() as u64);
        }
    }
}
