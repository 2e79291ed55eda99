//! What playing found.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::peer::histogram::Histogram;
use crate::peer::load::Latency;
use crate::smpp::{Command, CommandStatus};

/// Differences that are listed one by one; of more, the kinds and counts are told.
pub const DIFFERENCES_LISTED_MAX: usize = 1_000;

/// Kinds of differences that are counted apart; all others count as one.
const KINDS_MAX: usize = 256;

/// What playing found. Serialises to one JSON object with these keys.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Streams played.
    pub streams: u64,
    /// Requests sent.
    pub sent: u64,
    /// Of those, answered.
    pub answered: u64,
    /// Of those, not answered in time.
    pub unanswered: u64,
    /// Requests that were never sent, since their connection ended.
    pub unsent: u64,
    /// Of those answered: the capture has no answer to compare with.
    pub uncompared: u64,
    /// Requests whose status is another than the captured one, or that were answered then and are not
    /// now.
    pub differing: u64,
    /// From the first connection to the last end, seconds.
    pub seconds: f64,
    /// From a request handed to its connection to its answer read, nanoseconds.
    pub latency_ns: Latency,
    /// How far sending was behind the trace at most, nanoseconds; zero at full speed.
    pub late_ns_max: u64,
    /// deliver_sm and data_sm received and answered.
    pub delivered: u64,
    /// Answers to nothing that was asked, and requests that an ESME cannot answer.
    pub unexpected: u64,
    /// Kinds of differences: captured status, status now, how often.
    pub kinds: Vec<Kind>,
    /// The first [`DIFFERENCES_LISTED_MAX`] differences, by stream and then as they were found.
    pub differences: Vec<Difference>,
    /// Streams that could not connect or bind, or whose connection ended early; a sentence each.
    pub faults: Vec<String>,
    /// Whether one of `faults` is a stream that never bound.
    #[serde(skip)]
    pub never_bound: bool,
}

/// How often one status became another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// By name, as captured.
    pub captured: String,
    /// By name, as answered now; `none` for no answer.
    pub now: String,
    /// How often.
    pub count: u64,
}

/// One request that is answered otherwise than it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The stream's number in the capture.
    pub stream: u32,
    /// The request, counted from 0 in its stream.
    pub index: usize,
    /// What it is.
    pub command: String,
    /// Its sequence_number.
    pub sequence_number: u32,
    /// By name, as captured.
    pub captured: String,
    /// By name, as answered now; `none` for no answer.
    pub now: String,
}

/// What one stream's playing found.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) unanswered: u64,
    pub(super) unsent: u64,
    pub(super) uncompared: u64,
    pub(super) late_ns_max: u64,
    pub(super) delivered: u64,
    pub(super) unexpected: u64,
    pub(super) latency: Histogram,
    kinds: BTreeMap<(u32, Option<u32>), u64>,
    differences: Vec<Difference>,
    pub(super) fault: Option<String>,
    pub(super) never_bound: bool,
}

impl Tally {
    /// Compares what a request was answered with what it is.
    pub(super) fn compare(
        &mut self,
        (stream, index): (u32, usize),
        (command, sequence_number): (Command, u32),
        captured: Option<CommandStatus>,
        now: Option<CommandStatus>,
    ) {
        let Some(captured) = captured else {
            self.uncompared += u64::from(now.is_some());
            return;
        };
        if now == Some(captured) {
            return;
        }
        *self.kinds.entry((captured.0, now.map(|status| status.0))).or_default() += 1;
        if self.differences.len() < DIFFERENCES_LISTED_MAX {
            self.differences.push(Difference {
                stream,
                index,
                command: command.to_string(),
                sequence_number,
                captured: captured.to_string(),
                now: name(now),
            });
        }
    }
}

fn name(status: Option<CommandStatus>) -> String {
    status.map_or_else(|| "none".to_owned(), |status| status.to_string())
}

impl Report {
    pub(super) fn of(tallies: Vec<Tally>, seconds: f64) -> Report {
        let mut latency = Histogram::default();
        let mut kinds: BTreeMap<(u32, Option<u32>), u64> = BTreeMap::new();
        let mut report = Report { streams: tallies.len() as u64, seconds, ..Report::default() };
        for tally in tallies {
            latency.merge(&tally.latency);
            report.sent += tally.sent;
            report.unanswered += tally.unanswered;
            report.unsent += tally.unsent;
            report.uncompared += tally.uncompared;
            report.delivered += tally.delivered;
            report.unexpected += tally.unexpected;
            report.late_ns_max = report.late_ns_max.max(tally.late_ns_max);
            report.never_bound |= tally.never_bound;
            report.faults.extend(tally.fault);
            let room = DIFFERENCES_LISTED_MAX - report.differences.len();
            report.differences.extend(tally.differences.into_iter().take(room));
            for (kind, count) in tally.kinds {
                report.differing += count;
                let full = kinds.len() >= KINDS_MAX && !kinds.contains_key(&kind);
                *kinds.entry(if full { (u32::MAX, None) } else { kind }).or_default() += count;
            }
        }
        report.answered = latency.count();
        report.latency_ns = Latency::of(&latency);
        let kind = |((captured, now), count): ((u32, Option<u32>), u64)| Kind {
            captured: CommandStatus(captured).to_string(),
            now: name(now.map(CommandStatus)),
            count,
        };
        report.kinds = kinds.into_iter().map(kind).collect();
        report.kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
        report
    }

    /// Whether all was sent and answered as it was then.
    pub fn is_as_captured(&self) -> bool {
        self.differing == 0 && self.unsent == 0 && self.unanswered == 0 && self.faults.is_empty()
    }
}
