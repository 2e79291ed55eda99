//! A session's counts, added to the process's metrics once a turn.

use std::time::Duration;

use crate::metrics::{BindMode, ForeignProtocol, Metrics, ProviderMetrics, Side, Verdict};
use crate::policy::Rule;
use crate::session::{self, BindKind, Tally};
use crate::smpp::frame::FrameFault;

/// Adds a tally to the metrics, and to those of who bound, and clears it.
pub fn add(metrics: &Metrics, tally: &mut Tally, provider: Option<&ProviderMetrics>) {
    if let Some(provider) = provider {
        add_provider(provider, tally);
    }
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

/// The same verdicts by provider, where the metrics know providers.
fn add_provider(provider: &ProviderMetrics, tally: &Tally) {
    provider.verdicts(Verdict::Pass).inc_by(u64::from(tally.passed));
    for (verdict, counts) in
        [(Verdict::Refuse, &tally.refused), (Verdict::Observe, &tally.observed)]
    {
        let sum = counts.iter().map(|count| u64::from(*count)).sum();
        provider.verdicts(verdict).inc_by(sum);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_verdicts_are_its_own_and_everybodys() {
        let mut metrics = Metrics::new(&Rule::ALL.map(|rule| rule.name()));
        metrics.by_provider();
        let [first, second] = ["first", "second"].map(|name| metrics.provider(name));
        let rule = Rule::SourceForged;
        let tally = || {
            let mut tally = Tally { passed: 5, ..Tally::default() };
            tally.refused[usize::from(rule.code())] = 2;
            tally.refused[usize::from(Rule::RateExceeded.code())] = 1;
            tally.observed[usize::from(rule.code())] = 4;
            tally
        };
        for provider in [second.as_ref(), second.as_ref(), None, None] {
            add(&metrics, &mut tally(), provider);
        }
        let of = |provider: &Option<ProviderMetrics>, verdict| {
            provider.as_ref().map(|one| one.verdicts(verdict).get())
        };
        for (verdict, each) in [(Verdict::Pass, 5), (Verdict::Refuse, 3), (Verdict::Observe, 4)] {
            assert_eq!(of(&first, verdict), Some(0), "{verdict:?}");
            assert_eq!(of(&second, verdict), Some(2 * each), "{verdict:?}");
        }
        assert_eq!(metrics.verdicts(Verdict::Pass, None).get(), 20);
    }
}
