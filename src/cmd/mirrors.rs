//! The mirrors of a running proxy: begun, counted, stopped.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Failure;
use super::record::hex;
use crate::archive::Token;
use crate::audit::keys::IndexKey;
use crate::audit::{Journal, KeyRing};
use crate::config::{Config, MirrorFormat, MirrorKind, MirrorNumbers, Way};
use crate::metrics::{Metrics, MirrorMetrics};
use crate::mirror::{Figures, Format, Mirror, Options, To};

/// How often figures are shown.
const WATCH: Duration = Duration::from_secs(1);

/// The mirrors at work.
#[derive(Clone, Default)]
pub(super) struct Mirrors {
    running: Arc<Mutex<Vec<Mirror>>>,
}

/// Begins every configured mirror. None of them has to be reachable.
pub(super) fn start(
    config: &Config,
    journal: &Journal,
    metrics: &Arc<Metrics>,
    keys: &Arc<KeyRing>,
    token: Option<&Arc<Token<'static>>>,
) -> Result<Mirrors, Failure> {
    let mut running = Vec::new();
    let token_key = IndexKey::open(&config.audit.keys)?.map(|key| hex(&key.name()));
    for (section, options) in options(config, keys, token, token_key.as_deref()) {
        let name = options.name.clone();
        let mirror = Mirror::start(journal.clone(), &config.audit.path, options)
            .map_err(|fault| Failure(format!("[[{section}]] {name}: {fault}")))?;
        tracing::info!(mirror = name, lag = mirror.figures().lag, "mirroring");
        running.push(mirror);
    }
    let any = !running.is_empty();
    let mirrors = Mirrors { running: Arc::new(Mutex::new(running)) };
    if any {
        tokio::spawn(watch(mirrors.clone(), metrics.clone()));
    }
    Ok(mirrors)
}

/// Whether every mirror of the configuration could be begun, as far as that shows without beginning.
pub(super) fn check(config: &Config) -> Result<(), Failure> {
    for (section, options) in options(config, &Arc::new(KeyRing::default()), None, None) {
        crate::mirror::check(&options)
            .map_err(|fault| Failure(format!("[[{section}]] {}: {fault}", options.name)))?;
    }
    Ok(())
}

/// The names of all mirrors: those that are configured, and the streams out, which are mirrors of the events
/// of consent alone.
pub(super) fn names(config: &Config) -> Vec<String> {
    let streams = config.streams.iter().filter(|one| matches!(one.way, Way::Out { .. }));
    let mirrors = config.mirrors.iter().map(|one| one.name.clone());
    mirrors.chain(streams.map(|one| one.name.clone())).collect()
}

impl Mirrors {
    /// Stops them all. Blocks until their threads have ended.
    pub(super) fn stop(&self) {
        let running = std::mem::take(&mut *self.locked());
        running.into_iter().for_each(Mirror::stop);
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Mirror>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each with the section that it is written in.
fn options(
    config: &Config,
    keys: &Arc<KeyRing>,
    token: Option<&Arc<Token<'static>>>,
    token_key: Option<&str>,
) -> Vec<(&'static str, Options)> {
    let stream = |stream: &crate::config::Stream| match &stream.way {
        Way::In { .. } => None,
        Way::Out { numbers, node: named } => Some(Options {
            name: stream.name.clone(),
            to: To::Consents { brokers: stream.brokers.clone(), topic: stream.topic.clone() },
            node: named.clone().unwrap_or_else(|| node(config)),
            whole_numbers: *numbers == MirrorNumbers::Whole,
            content: false,
            keys: keys.clone(),
            token: token.cloned(),
            token_key: token_key.map(str::to_owned),
            batch: stream.batch,
            wait: stream.wait,
        }),
    };
    let one = |mirror: &crate::config::Mirror| Options {
        name: mirror.name.clone(),
        to: to(&mirror.kind),
        node: mirror.node.clone().unwrap_or_else(|| node(config)),
        whole_numbers: mirror.numbers == MirrorNumbers::Whole,
        content: mirror.content,
        keys: keys.clone(),
        token: token.cloned(),
        token_key: token_key.map(str::to_owned),
        batch: mirror.batch,
        wait: mirror.wait,
    };
    let mirrors = config.mirrors.iter().map(|mirror| ("mirror", one(mirror)));
    let streams = config.streams.iter().filter_map(|one| Some(("stream", stream(one)?)));
    mirrors.chain(streams).collect()
}

fn to(kind: &MirrorKind) -> To {
    match kind {
        MirrorKind::File { folder, format, octets, age } => To::Files {
            folder: folder.clone(),
            format: match format {
                MirrorFormat::Ndjson => Format::Ndjson,
                MirrorFormat::Parquet => Format::Parquet,
            },
            octets: *octets as u64,
            age: *age,
        },
        MirrorKind::Postgres { url, password, table } => {
            To::Postgres { url: url.clone(), password: password.clone(), table: table.clone() }
        }
        MirrorKind::Kafka { brokers, topic } => {
            To::Kafka { brokers: brokers.clone(), topic: topic.clone() }
        }
    }
}

/// The name of this node.
pub(super) fn node(config: &Config) -> String {
    config.cluster.node.clone().unwrap_or_else(host)
}

/// The name of this machine.
pub(super) fn host() -> String {
    let name = std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname"));
    name.map(|name| name.trim().to_owned()).unwrap_or_default()
}

async fn watch(mirrors: Mirrors, metrics: Arc<Metrics>) {
    let mut shown: Vec<(MirrorMetrics, Figures)> = {
        let running = mirrors.locked();
        running.iter().map(|one| (metrics.mirror(one.name()), Figures::default())).collect()
    };
    loop {
        let figures: Vec<Figures> = mirrors.locked().iter().map(Mirror::figures).collect();
        if figures.len() < shown.len() {
            return;
        }
        for ((metrics, before), now) in shown.iter_mut().zip(figures) {
            metrics.lag.set(i64::try_from(now.lag).unwrap_or(i64::MAX));
            metrics.delivered.inc_by(now.delivered.saturating_sub(before.delivered));
            metrics.failures.inc_by(now.failures.saturating_sub(before.failures));
            metrics.rejected.inc_by(now.rejected.saturating_sub(before.rejected));
            metrics.skipped.inc_by(now.skipped.saturating_sub(before.skipped));
            *before = now;
        }
        tokio::time::sleep(WATCH).await;
    }
}
