//! What was counted in the last quarter of an hour, so that a page that is opened now shows what was before.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::audit::State;
use crate::metrics::{Counts, Metrics, Verdict};
use crate::policy::Rule;
use crate::proxy::Shared;

/// Between two samples.
const EVERY: Duration = Duration::from_secs(2);
/// Samples kept: a quarter of an hour of them.
const SAMPLES_MAX: usize = 450;

const RULES: usize = Rule::ALL.len();

/// The counters at one time.
#[derive(Clone)]
struct Sample {
    wall_us: u64,
    steady_us: u64,
    passed: u64,
    refused: [u64; RULES],
    observed: u64,
    unanswered: u64,
    open_requests: i64,
    added: Counts,
    smsc: Counts,
}

impl Sample {
    fn take(metrics: &Metrics, wall_us: u64, steady_us: u64) -> Sample {
        let count = |verdict, rule| metrics.verdicts(verdict, rule).get();
        let of_all = |verdict| -> u64 {
            (0..RULES).map(|rule| count(verdict, Some(rule))).sum::<u64>() + count(verdict, None)
        };
        let added = |verdict| metrics.added_latency(verdict).counts();
        Sample {
            wall_us,
            steady_us,
            passed: of_all(Verdict::Pass),
            refused: std::array::from_fn(|rule| count(Verdict::Refuse, Some(rule))),
            observed: of_all(Verdict::Observe),
            unanswered: metrics.unanswered.get(),
            open_requests: metrics.window_messages.get(),
            added: Verdict::ALL.map(added).iter().fold(Counts::default(), |all, one| all.and(one)),
            smsc: metrics.smsc_response.counts(),
        }
    }
}

/// What came between two samples.
#[derive(Default)]
pub(super) struct Span {
    /// How long it was, seconds.
    pub seconds: f64,
    /// Requests that passed.
    pub passed: u64,
    /// Requests that were refused, by the rule's place in [`Rule::ALL`].
    pub refused: Vec<u64>,
    /// Requests that went on though a rule in observe mode was against it.
    pub observed: u64,
    /// Requests that the SMSC did not answer in time.
    pub unanswered: u64,
    /// Latency added.
    pub added: Counts,
    /// The SMSC's.
    pub smsc: Counts,
}

impl Span {
    fn between(earlier: &Sample, later: &Sample) -> Span {
        let refused = later.refused.iter().zip(earlier.refused);
        Span {
            seconds: later.steady_us.saturating_sub(earlier.steady_us) as f64 / 1e6,
            passed: later.passed.saturating_sub(earlier.passed),
            refused: refused.map(|(now, then)| now.saturating_sub(then)).collect(),
            observed: later.observed.saturating_sub(earlier.observed),
            unanswered: later.unanswered.saturating_sub(earlier.unanswered),
            added: later.added.since(&earlier.added),
            smsc: later.smsc.since(&earlier.smsc),
        }
    }

    /// Refused by all rules.
    pub fn all_refused(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// So many a second, to a tenth.
    pub fn a_second(&self, count: u64) -> f64 {
        if self.seconds <= 0.0 { 0.0 } else { (count as f64 / self.seconds * 10.0).round() / 10.0 }
    }
}

/// A quantile in microseconds.
pub(super) fn micros(counts: &Counts, rank: f64) -> Option<u64> {
    counts.quantile(rank).and_then(|time| u64::try_from(time.as_micros()).ok())
}

/// The samples, oldest first.
#[derive(Default)]
pub(super) struct History {
    samples: Mutex<VecDeque<Sample>>,
}

impl History {
    fn samples(&self) -> MutexGuard<'_, VecDeque<Sample>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, sample: Sample) {
        let mut samples = self.samples();
        if samples.len() == SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// What came in the last `time`, as far as samples go back, and until now.
    pub fn last(&self, time: Duration, metrics: &Metrics, steady_us: u64) -> Span {
        let now = Sample::take(metrics, 0, steady_us);
        let since_us = steady_us.saturating_sub(time.as_micros() as u64);
        let samples = self.samples();
        let first = samples.iter().find(|sample| sample.steady_us >= since_us);
        // The newest sample may be the only one, or just taken: the one before it then.
        let first = match first {
            Some(first) if steady_us.saturating_sub(first.steady_us) >= 1_000_000 => Some(first),
            _ => samples.iter().rev().nth(1),
        };
        first.map(|first| Span::between(first, &now)).unwrap_or_default()
    }

    /// A column for each figure, of the samples later than `after_us` on the clock of the day: what was counted
    /// between a sample and the one before it, a second.
    pub fn after(&self, after_us: u64) -> Value {
        let samples = self.samples();
        let pairs = samples.iter().zip(samples.iter().skip(1));
        let spans: Vec<(&Sample, Span)> = pairs
            .filter(|(_, later)| later.wall_us > after_us)
            .map(|(earlier, later)| (later, Span::between(earlier, later)))
            .collect();
        let column = |of: &dyn Fn(&Sample, &Span) -> Value| -> Value {
            spans.iter().map(|(sample, span)| of(sample, span)).collect()
        };
        json!({
            "time_us": column(&|sample, _| sample.wall_us.into()),
            "pass": column(&|_, span| span.a_second(span.passed).into()),
            "refuse": column(&|_, span| span.a_second(span.all_refused()).into()),
            "observe": column(&|_, span| span.a_second(span.observed).into()),
            "open_requests": column(&|sample, _| sample.open_requests.into()),
            "added_p50_us": column(&|_, span| micros(&span.added, 0.5).into()),
            "added_p99_us": column(&|_, span| micros(&span.added, 0.99).into()),
            "smsc_p50_us": column(&|_, span| micros(&span.smsc, 0.5).into()),
            "smsc_p99_us": column(&|_, span| micros(&span.smsc, 0.99).into()),
        })
    }
}

/// Takes samples until the journal is closed.
pub(super) async fn watch(history: Arc<History>, shared: Arc<Shared>) {
    while shared.journal.state() != State::Closed {
        let now = shared.clock.now();
        history.add(Sample::take(&shared.metrics, now.wall_us, now.steady_us));
        tokio::time::sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_between_two_samples_and_memory_is_bounded() {
        let metrics = Metrics::new(&Rule::ALL.map(Rule::name));
        let history = History::default();
        for second in 0..2_000 {
            let at_us = second * 2_000_000;
            history.add(Sample::take(&metrics, at_us, at_us));
            metrics.verdicts(Verdict::Pass, None).inc_by(20);
            metrics.verdicts(Verdict::Refuse, Some(6)).inc_by(3);
            metrics.added_latency(Verdict::Pass).observe_n(Duration::from_micros(40), 20);
        }
        assert_eq!(history.samples().len(), SAMPLES_MAX);
        let all = history.after(0);
        assert_eq!(all["pass"].as_array().map(Vec::len), Some(SAMPLES_MAX - 1));
        let newest = history.after(1_998 * 2_000_000);
        assert_eq!(newest["time_us"], json!([1_999_u64 * 2_000_000]));
        assert_eq!((&newest["pass"], &newest["refuse"]), (&json!([10.0]), &json!([1.5])));
        assert_eq!(
            (&newest["added_p99_us"], &newest["smsc_p99_us"]),
            (&json!([50]), &json!([null]))
        );
        let span = history.last(Duration::from_secs(10), &metrics, 2_000 * 2_000_000);
        assert_eq!((span.seconds, span.passed, span.all_refused()), (10.0, 100, 15));
        assert_eq!(span.refused.get(6), Some(&15));
        let empty = History::default().last(Duration::from_secs(10), &metrics, 1);
        assert_eq!((empty.passed, empty.a_second(5)), (0, 0.0));
    }
}
