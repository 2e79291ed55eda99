//! The streams in of a running proxy: begun, counted, stopped. Those out are mirrors.

use std::sync::Arc;

use super::Failure;
use crate::audit::Journal;
use crate::config::{Config, Way};
use crate::consent::Ledger;
use crate::metrics::Metrics;

/// What a program without the feature says of a stream.
#[cfg(not(feature = "kafka"))]
const WITHOUT: &str = "this program was built without Kafka; build with --features kafka";

/// Whether every stream of the configuration could be begun, as far as that shows without beginning. Of those
/// out the mirrors say so.
pub(super) fn check(config: &Config) -> Result<(), Failure> {
    #[cfg(not(feature = "kafka"))]
    if let Some(stream) = config.streams.iter().find(|one| matches!(one.way, Way::In { .. })) {
        return Err(Failure(format!("[[stream]] {}: {WITHOUT}", stream.name)));
    }
    let _ = config;
    Ok(())
}

#[cfg(feature = "kafka")]
pub(super) use with::{Streams, start};
#[cfg(not(feature = "kafka"))]
pub(super) use without::{Streams, start};

#[cfg(not(feature = "kafka"))]
mod without {
    use super::{Arc, Config, Failure, Journal, Ledger, Metrics};

    /// There are none.
    pub struct Streams;

    /// Begins none: refuses a configuration that has any.
    pub fn start(
        config: &Config,
        _: &Journal,
        _: &Ledger,
        _: &Arc<Metrics>,
    ) -> Result<Streams, Failure> {
        super::check(config).map(|()| Streams)
    }

    impl Streams {
        /// There is nothing to stop.
        pub fn stop(&self) {}
    }
}

#[cfg(feature = "kafka")]
mod with {
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use super::super::told;
    use super::{Arc, Config, Failure, Journal, Ledger, Metrics, Way};
    use crate::metrics::StreamMetrics;
    use crate::stream::{Figures, Options, Stream};

    /// How often figures are shown.
    const WATCH: Duration = Duration::from_secs(1);
    /// Where rejected messages are kept, below the journal's folder.
    const FOLDER: &str = "streams";

    /// The streams at work.
    #[derive(Clone)]
    pub struct Streams {
        running: Arc<Mutex<Vec<Stream>>>,
    }

    /// Begins every configured stream in. No broker has to be there.
    pub fn start(
        config: &Config,
        journal: &Journal,
        ledger: &Ledger,
        metrics: &Arc<Metrics>,
    ) -> Result<Streams, Failure> {
        let mut running = Vec::new();
        for one in &config.streams {
            let Way::In { group, rejected, entity } = &one.way else { continue };
            let journal = journal.clone();
            let folder = config.audit.path.join(FOLDER);
            let options = Options {
                name: one.name.clone(),
                brokers: one.brokers.clone(),
                topic: one.topic.clone(),
                group: group.clone(),
                rejected: rejected.clone(),
                file: folder.join(format!("{}.rejected.ndjson", one.name)),
                entity: entity.clone(),
                batch: one.batch,
                wait: one.wait,
                ledger: ledger.clone(),
                record: Arc::new(move |told, now_us| told::keep(&journal, told, now_us)),
            };
            let stream = Stream::start(options)
                .map_err(|why| Failure(format!("[[stream]] {}: {why}", one.name)))?;
            tracing::info!(stream = one.name, topic = one.topic, "events are taken");
            running.push(stream);
        }
        let any = !running.is_empty();
        let streams = Streams { running: Arc::new(Mutex::new(running)) };
        if any {
            tokio::spawn(watch(streams.clone(), metrics.clone()));
        }
        Ok(streams)
    }

    impl Streams {
        /// Stops them all. Blocks until their threads have ended.
        pub fn stop(&self) {
            let running = std::mem::take(&mut *self.locked());
            running.into_iter().for_each(Stream::stop);
        }

        fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Stream>> {
            self.running.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    async fn watch(streams: Streams, metrics: Arc<Metrics>) {
        let mut shown: Vec<(StreamMetrics, Figures)> = {
            let running = streams.locked();
            running.iter().map(|one| (metrics.stream(one.name()), Figures::default())).collect()
        };
        loop {
            let figures: Vec<Figures> = streams.locked().iter().map(Stream::figures).collect();
            if figures.len() < shown.len() {
                return;
            }
            for ((metrics, before), now) in shown.iter_mut().zip(figures) {
                metrics.lag.set(i64::try_from(now.lag).unwrap_or(i64::MAX));
                metrics.taken.inc_by(now.taken.saturating_sub(before.taken));
                metrics.known.inc_by(now.known.saturating_sub(before.known));
                metrics.rejected.inc_by(now.rejected.saturating_sub(before.rejected));
                metrics.failures.inc_by(now.failures.saturating_sub(before.failures));
                *before = now;
            }
            tokio::time::sleep(WATCH).await;
        }
    }
}
