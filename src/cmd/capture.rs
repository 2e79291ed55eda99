//! `[capture]` to the capture that a proxy has, and its figures to the metrics.

use super::Failure;
use super::knowledge::Loaded;
use super::record::hex;
use crate::capture::{
    Capture, End, Figures, Filter, Known, Limits, Options, Texts, Verdict, Wanted,
};
use crate::config::{self, CaptureText, CaptureVerdict};
use crate::metrics::{CaptureEnd, CaptureOutcome, Metrics};

/// The capture as configured, which does not run yet. A provider that the registry does not have is a
/// [`Failure`].
pub(super) fn capture(loaded: &Loaded) -> Result<Capture, Failure> {
    let config = &loaded.config.capture;
    let options = Options {
        folder: config.path.clone(),
        limits: Limits { file_octets: config.file_octets, files: config.files },
        wanted: wanted(config),
    };
    let capture = Capture::new(options, known(loaded));
    capture
        .check(&capture.options().wanted)
        .map_err(|fault| Failure(format!("[capture] providers or sources: {fault}")))?;
    Ok(capture)
}

/// What captures name of what was loaded.
pub(super) fn known(loaded: &Loaded) -> Known {
    let providers = loaded.knowledge.registry.providers().iter();
    Known {
        providers: providers.map(|provider| provider.name.clone()).collect(),
        rules: format!("{} {}", loaded.knowledge.rule_set.name(), hex(&loaded.digest)),
    }
}

fn wanted(config: &config::Capture) -> Wanted {
    let verdict = |one: &CaptureVerdict| match one {
        CaptureVerdict::Pass => Verdict::Pass,
        CaptureVerdict::Refuse => Verdict::Refuse,
        CaptureVerdict::Observe => Verdict::Observe,
    };
    Wanted {
        filter: Filter {
            providers: config.providers.clone(),
            sources: config.sources.clone(),
            verdicts: config.verdicts.iter().map(verdict).collect(),
        },
        texts: match config.text {
            CaptureText::Redacted => Texts::Redacted,
            CaptureText::Whole => Texts::Whole,
        },
        duration: None,
        octets: None,
    }
}

/// Begins what is enabled. Traffic does not depend on it: what cannot be written is said, once.
pub(super) fn begin(capture: &Capture, config: &config::Capture) {
    if !config.enabled {
        return;
    }
    let path = config.path.display();
    match capture.start(capture.options().wanted.clone()) {
        Ok(_) => tracing::info!(%path, "capturing"),
        Err(error) => tracing::error!(%error, "no capture is written, traffic goes on"),
    }
}

/// Shows how much the files may take.
pub(super) fn show_limits(metrics: &Metrics, capture: &Capture) {
    let Limits { file_octets, files } = capture.options().limits;
    metrics.capture_ring.set(i64::try_from(file_octets.saturating_mul(files)).unwrap_or(i64::MAX));
}

/// Adds to the metrics what came since `before`.
pub(super) fn count(metrics: &Metrics, before: &mut Figures, now: Figures) {
    metrics.capture_running.set(i64::from(now.is_running));
    metrics.capture_backlog.set(i64::try_from(now.backlog).unwrap_or(i64::MAX));
    metrics.capture_octets.inc_by(now.octets.saturating_sub(before.octets));
    for (outcome, now, before) in [
        (CaptureOutcome::Written, now.written, before.written),
        (CaptureOutcome::Dropped, now.dropped, before.dropped),
    ] {
        metrics.capture_frames(outcome).inc_by(now.saturating_sub(before));
    }
    for ((end, now), before) in End::ALL.into_iter().zip(now.ended).zip(before.ended) {
        let reason = match end {
            End::Asked => CaptureEnd::Asked,
            End::Duration => CaptureEnd::Duration,
            End::Size => CaptureEnd::Size,
            End::Storage => CaptureEnd::Storage,
        };
        metrics.capture_ended(reason).inc_by(now.saturating_sub(before));
    }
    *before = now;
}
