//! What a run found.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::session::Tally;
use crate::peer::cpu;
use crate::peer::histogram::Histogram;
use crate::smpp::CommandStatus;

/// What a run found. Serialises to one JSON object with these keys.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Messages answered that belong to what is measured: without those of the warm-up.
    pub messages: u64,
    /// From the end of the warm-up to the last answer, seconds.
    pub seconds: f64,
    /// `messages` a second.
    pub rate: f64,
    /// How many of `messages` were answered with which command_status, by name.
    pub statuses: BTreeMap<String, u64>,
    /// From when a message was meant to go to when its answer was read, nanoseconds.
    pub latency_ns: Latency,
    /// Messages sent, those of the warm-up too.
    pub sent: u64,
    /// Messages of `sent` that were never answered.
    pub missing: u64,
    /// Messages that were due and never sent.
    pub unsent: u64,
    /// Answers to nothing that was asked, and requests that an ESME cannot answer.
    pub unexpected: u64,
    /// deliver_sm received and answered.
    pub delivered: u64,
    /// CPU time of each process that was asked for, and of this one last.
    pub cpu: Vec<Cpu>,
    /// Why sessions ended early, one sentence each.
    pub faults: Vec<String>,
}

/// Latencies, nanoseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Latency {
    /// The shortest.
    pub min: u64,
    /// The mean.
    pub mean: u64,
    /// The median.
    pub p50: u64,
    /// 90 of 100 are at most this.
    pub p90: u64,
    /// 99 of 100 are at most this.
    pub p99: u64,
    /// 999 of 1,000 are at most this.
    pub p999: u64,
    /// 9,999 of 10,000 are at most this.
    pub p9999: u64,
    /// The longest.
    pub max: u64,
}

/// CPU time of one process over the measured span.
#[derive(Debug, Clone, Serialize)]
pub struct Cpu {
    /// The process.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// CPU time over the span, seconds; `None` when the process could not be read.
    pub seconds: Option<f64>,
    /// CPU time a message, microseconds.
    pub us_per_message: Option<f64>,
}

impl Report {
    pub(super) fn of(tallies: &[Tally], warmup_ns: u64) -> Report {
        let mut latency = Histogram::default();
        let mut statuses = BTreeMap::new();
        for tally in tallies {
            latency.merge(&tally.latency);
            for (&status, &count) in &tally.statuses {
                *statuses.entry(CommandStatus(status).to_string()).or_default() += count;
            }
        }
        let sum = |count: fn(&Tally) -> u64| tallies.iter().map(count).sum();
        let last_ns = tallies.iter().map(|t| t.last_answer_ns).max().unwrap_or(0);
        let seconds = last_ns.saturating_sub(warmup_ns) as f64 / 1e9;
        let messages = latency.count();
        Report {
            messages,
            seconds,
            rate: if seconds > 0.0 { messages as f64 / seconds } else { 0.0 },
            statuses,
            latency_ns: Latency::of(&latency),
            sent: sum(|t| t.sent),
            missing: sum(|t| t.missing),
            unsent: sum(|t| t.unsent),
            unexpected: sum(|t| t.unexpected),
            delivered: sum(|t| t.delivered),
            cpu: Vec::new(),
            faults: tallies.iter().filter_map(|t| t.fault.clone()).collect(),
        }
    }

    pub(super) fn add_cpu(&mut self, pid: u32, used: Option<Duration>) {
        let us_per_message =
            used.map(|used| used.as_secs_f64() * 1e6 / self.messages.max(1) as f64);
        let seconds = used.map(|used| used.as_secs_f64());
        self.cpu.push(Cpu { pid, name: cpu::name(pid), seconds, us_per_message });
    }

    /// Whether everything due was sent and answered, with `expect` where one is given.
    pub fn is_complete(&self, expect: Option<CommandStatus>) -> bool {
        let as_expected = expect.is_none_or(|expect| {
            let expect = expect.to_string();
            self.statuses.keys().all(|status| *status == expect)
        });
        self.missing == 0 && self.unsent == 0 && self.faults.is_empty() && as_expected
    }
}

impl Latency {
    pub(in crate::peer) fn of(histogram: &Histogram) -> Latency {
        Latency {
            min: histogram.min(),
            mean: histogram.mean(),
            p50: histogram.percentile(50.0),
            p90: histogram.percentile(90.0),
            p99: histogram.percentile(99.0),
            p999: histogram.percentile(99.9),
            p9999: histogram.percentile(99.99),
            max: histogram.max(),
        }
    }
}
