//! The spans of a running proxy: begun, counted, stopped. Without the feature `otlp`: refused.

use std::sync::Arc;

use super::Failure;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::proxy::SpansTo;

/// Whether this program could send what `[traces]` asks for.
pub(super) fn check(config: &Config) -> Result<(), Failure> {
    if config.traces.is_some() && cfg!(not(feature = "otlp")) {
        let why =
            "[traces] needs a program that was built with --features otlp; remove it, or build one";
        return Err(Failure(why.to_owned()));
    }
    Ok(())
}

#[cfg(not(feature = "otlp"))]
pub(super) fn start(config: &Config, _: &Arc<Metrics>) -> Result<SpansTo, Failure> {
    check(config)?;
    Ok(SpansTo)
}

#[cfg(not(feature = "otlp"))]
pub(super) fn stop(_: &SpansTo) {}

#[cfg(feature = "otlp")]
pub(super) use sending::{start, stop};

#[cfg(feature = "otlp")]
mod sending {
    use std::time::Duration;

    use super::*;
    use crate::metrics::SpanOutcome;
    use crate::spans::{Figures, Options, Spans};

    /// How often figures are shown.
    const WATCH: Duration = Duration::from_secs(1);

    /// Begins to send spans, if the configuration says so. The collector need not be there.
    pub(in crate::cmd) fn start(
        config: &Config,
        metrics: &Arc<Metrics>,
    ) -> Result<SpansTo, Failure> {
        let Some(traces) = &config.traces else { return Ok(None) };
        let options = Options {
            host: traces.host.clone(),
            port: traces.port,
            path: traces.path.clone(),
            sample: traces.sample,
            instance: super::super::mirrors::host(),
        };
        let spans = Arc::new(Spans::start(options)?);
        tracing::info!(otlp = traces.url(), sample = traces.sample, "sending spans");
        tokio::spawn(watch(Arc::downgrade(&spans), metrics.clone()));
        Ok(Some(spans))
    }

    /// Sends what waits, and ends. Blocks, for a bounded time.
    pub(in crate::cmd) fn stop(spans: &SpansTo) {
        if let Some(spans) = spans {
            spans.stop();
        }
    }

    async fn watch(spans: std::sync::Weak<Spans>, metrics: Arc<Metrics>) {
        let mut before = Figures::default();
        while let Some(spans) = spans.upgrade() {
            let now = spans.figures();
            for (outcome, now, before) in [
                (SpanOutcome::Sent, now.sent, before.sent),
                (SpanOutcome::Dropped, now.dropped, before.dropped),
                (SpanOutcome::Failed, now.failed, before.failed),
            ] {
                metrics.spans(outcome).inc_by(now.saturating_sub(before));
            }
            before = now;
            drop(spans);
            tokio::time::sleep(WATCH).await;
        }
    }
}
