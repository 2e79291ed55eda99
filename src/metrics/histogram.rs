//! A histogram of durations that takes many equal samples at the price of one.
//!
//! A turn of the pump forwards a batch of PDUs that were read and written together: they share one
//! latency. prometheus's own histogram takes samples one at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram as Shown, LabelPair, Metric, MetricFamily, MetricType};

/// Upper bounds of the buckets, microseconds: 10 us to 10 s. Fine around the milliseconds where an
/// added latency begins to matter.
const BOUNDS_US: [u64; 22] = [
    10, 25, 50, 75, 100, 150, 250, 500, 750, 1_000, 1_500, 2_500, 5_000, 10_000, 25_000, 50_000,
    100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
];

/// Counts of durations by size. All its operations are wait-free.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One a bound, and the last for what is longer than all.
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    /// Sum of the samples, nanoseconds: enough for 584 years.
    sum_ns: AtomicU64,
}

impl Histogram {
    /// Takes `count` samples of the same duration.
    pub fn observe_n(&self, sample: Duration, count: u64) {
        let sample_ns = u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX);
        let at = BOUNDS_US.partition_point(|bound| bound.saturating_mul(1_000) < sample_ns);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(count, Ordering::Relaxed);
        }
        self.sum_ns.fetch_add(sample_ns.saturating_mul(count), Ordering::Relaxed);
    }

    /// Takes one sample.
    pub fn observe(&self, sample: Duration) {
        self.observe_n(sample, 1);
    }

    /// How many samples were taken.
    pub fn count(&self) -> u64 {
        self.counts().count()
    }

    /// The upper bound of the bucket in which the sample of this rank (0 to 1) lies; `None` without
    /// samples, or when it is longer than all bounds.
    pub fn quantile(&self, rank: f64) -> Option<Duration> {
        self.counts().quantile(rank)
    }

    /// The counts as they stand now.
    pub fn counts(&self) -> Counts {
        Counts(std::array::from_fn(|at| {
            self.buckets.get(at).map_or(0, |bucket| bucket.load(Ordering::Relaxed))
        }))
    }

    fn shown(&self) -> Shown {
        let mut cumulative = 0;
        let mut buckets = Vec::with_capacity(BOUNDS_US.len());
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS_US) {
            cumulative += bucket.load(Ordering::Relaxed);
            let mut shown = Bucket::default();
            shown.set_cumulative_count(cumulative);
            shown.set_upper_bound(bound as f64 / 1e6);
            buckets.push(shown);
        }
        let longer = self.buckets.last().map_or(0, |bucket| bucket.load(Ordering::Relaxed));
        let mut shown = Shown::default();
        shown.set_bucket(buckets);
        shown.set_sample_count(cumulative + longer);
        shown.set_sample_sum(self.sum_ns.load(Ordering::Relaxed) as f64 / 1e9);
        shown
    }
}

/// How many samples of each size there were at one time, or between two.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts([u64; BOUNDS_US.len() + 1]);

impl Counts {
    /// What was added since `earlier`.
    pub fn since(&self, earlier: &Counts) -> Counts {
        let mut added = *self;
        added.0.iter_mut().zip(earlier.0).for_each(|(now, then)| *now = now.saturating_sub(then));
        added
    }

    /// Both together.
    pub fn and(&self, other: &Counts) -> Counts {
        let mut both = *self;
        both.0.iter_mut().zip(other.0).for_each(|(one, more)| *one = one.saturating_add(more));
        both
    }

    /// How many samples.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// As [`Histogram::quantile`].
    pub fn quantile(&self, rank: f64) -> Option<Duration> {
        let count = self.count();
        let wanted = ((count as f64 * rank).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        self.0.iter().zip(BOUNDS_US).find_map(|(bucket, bound)| {
            seen += bucket;
            (seen >= wanted).then(|| Duration::from_micros(bound))
        })
    }
}

/// A family of histograms for the registry: one for each value of one label, or a single one.
pub(super) struct Family {
    desc: Desc,
    members: Vec<(Vec<LabelPair>, Arc<Histogram>)>,
}

impl Family {
    /// A family without a label.
    pub fn single(name: &str, help: &str) -> prometheus::Result<Family> {
        let desc = Desc::new(name.to_owned(), help.to_owned(), Vec::new(), Default::default())?;
        Ok(Family { desc, members: vec![(Vec::new(), Arc::default())] })
    }

    /// A family with one member for each value of a label.
    pub fn labelled(
        name: &str,
        help: &str,
        label: &str,
        values: &[&str],
    ) -> prometheus::Result<Family> {
        let labels = vec![label.to_owned()];
        let desc = Desc::new(name.to_owned(), help.to_owned(), labels, Default::default())?;
        let member = |value: &&str| {
            let mut pair = LabelPair::default();
            pair.set_name(label.to_owned());
            pair.set_value((*value).to_owned());
            (vec![pair], Arc::default())
        };
        Ok(Family { desc, members: values.iter().map(member).collect() })
    }

    /// The histograms, in the order of the label's values.
    pub fn members(&self) -> Vec<Arc<Histogram>> {
        self.members.iter().map(|(_, histogram)| Arc::clone(histogram)).collect()
    }
}

impl Collector for Family {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let metrics = self.members.iter().map(|(labels, histogram)| {
            let mut metric = Metric::from_label(labels.clone());
            metric.set_histogram(histogram.shown());
            metric
        });
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(metrics.collect());
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_fall_into_the_bucket_that_ends_at_or_above_them() {
        for (ns, bound_us) in [
            (0, Some(10)),
            (10_000, Some(10)),
            (10_001, Some(25)),
            (1_000_000, Some(1_000)),
            (10_000_000_000, Some(10_000_000)),
            (10_000_000_001, None),
            (u64::MAX, None),
        ] {
            let histogram = Histogram::default();
            histogram.observe(Duration::from_nanos(ns));
            assert_eq!(histogram.quantile(0.5), bound_us.map(Duration::from_micros), "{ns} ns");
            assert_eq!(histogram.count(), 1);
        }
    }

    #[test]
    fn what_was_added_between_two_looks_has_its_own_quantiles() {
        let histogram = Histogram::default();
        histogram.observe_n(Duration::from_secs(1), 1_000);
        let before = histogram.counts();
        assert_eq!(histogram.counts().since(&before).quantile(0.5), None);
        histogram.observe_n(Duration::from_micros(40), 3);
        let added = histogram.counts().since(&before);
        assert_eq!((added.count(), histogram.count()), (3, 1_003));
        assert_eq!(added.quantile(0.99), Some(Duration::from_micros(50)));
        assert_eq!(added.and(&before).quantile(0.99), Some(Duration::from_secs(1)));
    }

    #[test]
    fn many_equal_samples_count_as_many() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.99), None);
        histogram.observe_n(Duration::from_micros(40), 98);
        histogram.observe_n(Duration::from_millis(4), 2);
        histogram.observe_n(Duration::from_secs(4), 0);
        let shown = histogram.shown();
        assert_eq!(shown.get_sample_count(), 100);
        assert!((shown.get_sample_sum() - (98.0 * 40e-6 + 2.0 * 4e-3)).abs() < 1e-9);
        assert_eq!(histogram.quantile(0.98), Some(Duration::from_micros(50)));
        assert_eq!(histogram.quantile(0.99), Some(Duration::from_millis(5)));
        assert_eq!(histogram.quantile(1.0), Some(Duration::from_millis(5)));
        assert_eq!(histogram.quantile(0.0), Some(Duration::from_micros(50)));
    }
}
