//! A session's counts, added to the process's metrics once a turn.

use std::time::Duration;

use crate::metrics::{BindMode, ForeignProtocol, Metrics, Side, Verdict};
use crate::policy::Rule;
use crate::session::{self, BindKind, Tally};
use crate::smpp::frame::FrameFault;

/// Adds a tally to the metrics and clears it.
pub fn add(metrics: &Metrics, tally: &mut Tally) {
    for (side, counts) in [(Side::Esme, &tally.from_esme), (Side::Smsc, &tally.from_smsc)] {
        for (slot, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            metrics.pdus(side, slot).inc_by(u64::from(count));
        }
    }
    if tally.passed > 0 {
        metrics.verdicts(Verdict::Pass, None).inc_by(u64::from(tally.passed));
    }
    for (at, rule) in Rule::ALL.into_iter().enumerate() {
        let code = usize::from(rule.code());
        let by_verdict = [(Verdict::Refuse, &tally.refused), (Verdict::Observe, &tally.observed)];
        for (verdict, counts) in by_verdict {
            let count = counts.get(code).copied().unwrap_or(0);
            if count > 0 {
                metrics.verdicts(verdict, Some(at)).inc_by(u64::from(count));
            }
        }
    }
    if let Some((command, status)) = tally.bind.take()
        && let Some(kind) = BindKind::of(command)
    {
        metrics.bind(mode(kind), status).inc();
    }
    match tally.lost_framing {
        Some((session::Side::Esme, FrameFault::Foreign(name))) => {
            metrics.foreign_protocol(ForeignProtocol::of(name)).inc();
        }
        Some((session::Side::Esme, _)) => metrics.frame_faults(Side::Esme).inc(),
        Some((session::Side::Smsc, _)) => metrics.frame_faults(Side::Smsc).inc(),
        None => {}
    }
    metrics.unanswered.inc_by(u64::from(tally.unanswered));
    add_responses(metrics, &tally.responses_us);
    tally.clear();
}

/// Answers of one turn took mostly the same time: neighbours within a sixteenth are one sample.
fn add_responses(metrics: &Metrics, responses_us: &[u32]) {
    let mut rest = responses_us;
    while let Some(&first) = rest.first() {
        let near = first / 16;
        let count = rest.iter().take_while(|other| other.abs_diff(first) <= near).count();
        metrics.smsc_response.observe_n(Duration::from_micros(u64::from(first)), count as u64);
        rest = rest.get(count..).unwrap_or(&[]);
    }
}

fn mode(kind: BindKind) -> BindMode {
    match kind {
        BindKind::Transmitter => BindMode::Transmitter,
        BindKind::Receiver => BindMode::Receiver,
        BindKind::Transceiver => BindMode::Transceiver,
    }
}
