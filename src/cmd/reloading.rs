//! Changed files put in force while sessions go on.
//!
//! Everything is read and built beside what is in force, then put in its place at once: a file that is
//! invalid changes nothing. Certificates are read anew each time. One reload at a time. What was remembered goes on (rates, long messages, sweeps,
//! message_ids, keywords), by the same ids. What cannot change while the proxy runs is named, and stays as it
//! was at the start ([`needs_restart`]).

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::knowledge::{self, Loaded};
use super::record::hex;
use super::{Failure, capture, ledger, needs_restart, serve, upstreams};
use crate::config::Config;
use crate::consent::Ledger;
use crate::metrics::{Metrics, Reloaded};
use crate::proxy::{Shared, Terms};
use crate::registry::Registry;

/// Terms of before that sessions may still judge by, because what they judged is not on record yet; while
/// there are so many, nothing is reloaded.
const RETIRED_MAX: usize = 4;
/// How long sessions are waited for to go over to other terms.
const GOING_OVER: Duration = Duration::from_secs(2);
/// How often they are looked at meanwhile.
const LOOK: Duration = Duration::from_millis(5);

/// Who asks where files are looked at.
pub(super) const WATCH: &str = "file watch";

/// What came of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    /// Whether anything is in force that was not before.
    pub(super) changed: bool,
    /// SHA-256 of all that is in force, as records of the journal name it.
    digest: [u8; 32],
    /// Keys of the configuration that are as they were at the start, and not as they are written now.
    restart_needed: Vec<String>,
    /// Providers that are admitted.
    providers: usize,
}

impl Done {
    /// One JSON object on one line.
    fn line(&self) -> String {
        let Done { changed, digest, restart_needed, providers } = self;
        let digest = hex(digest);
        let line = json!({
            "changed": changed, "digest": digest,
            "restart_needed": restart_needed, "providers": providers,
        });
        format!("{line}\n")
    }
}

/// Reloads the files of a running proxy.
pub(super) struct Reloader {
    file: PathBuf,
    /// As it was at the start.
    started: Config,
    shared: Arc<Shared>,
    ledger: Ledger,
    upstreams: Arc<upstreams::All>,
    now: Mutex<Now>,
}

/// What was loaded last.
struct Now {
    digest: [u8; 32],
    files: Vec<PathBuf>,
    watch: Option<Duration>,
    /// Why the last reload failed, if it did.
    failed: Option<String>,
    /// Terms of before that sessions may still judge by. They are let go here, and not by the thread of a
    /// session, which would stand still for as long as a large registry takes.
    retired: Vec<Arc<Terms>>,
}

impl Now {
    /// Lets go what nobody judges by any more, waiting for those who are about to go over.
    fn let_go(&mut self) {
        let until = Instant::now() + GOING_OVER;
        loop {
            self.retired.retain(|terms| Arc::strong_count(terms) > 1);
            if self.retired.is_empty() || Instant::now() >= until {
                return;
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Reloader {
    /// For a proxy that was started on these files and this configuration.
    pub(super) fn new(
        (file, files): (PathBuf, Vec<PathBuf>),
        config: &Config,
        digest: [u8; 32],
        shared: &Arc<Shared>,
        ledger: &Ledger,
        upstreams: &Arc<upstreams::All>,
    ) -> Reloader {
        Reloader {
            file,
            started: config.clone(),
            shared: shared.clone(),
            ledger: ledger.clone(),
            upstreams: upstreams.clone(),
            now: Mutex::new(Now {
                digest,
                files,
                watch: config.reload.watch,
                failed: None,
                retired: Vec::new(),
            }),
        }
    }

    /// Puts in force what the files say now. `asked_by` is for the log. Blocks for as long as reading takes.
    pub(super) fn reload(&self, asked_by: &'static str) -> Result<Done, Failure> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let reloaded = self.put_in_force(&mut now);
        now.let_go();
        let metrics = &self.shared.metrics;
        match &reloaded {
            Ok(done) => {
                now.failed = None;
                let (digest, providers) = (hex(&done.digest), done.providers);
                let restart_needed = done.restart_needed.join(", ");
                if done.changed {
                    tracing::info!(asked_by, digest, providers, restart_needed, "reloaded");
                } else {
                    tracing::info!(asked_by, digest, restart_needed, "nothing has changed");
                }
                let is = if done.changed { Reloaded::Changed } else { Reloaded::Unchanged };
                metrics.reloads(is).inc();
                let seconds = self.shared.clock.now().wall_us / 1_000_000;
                metrics.reload_last_success.set(i64::try_from(seconds).unwrap_or(i64::MAX));
            }
            // It is tried again at every look, and said once.
            Err(Failure(why)) if asked_by == WATCH && now.failed.as_ref() == Some(why) => {}
            Err(Failure(why)) => {
                now.failed = Some(why.clone());
                metrics.reloads(Reloaded::Failed).inc();
                tracing::error!(asked_by, why, "not reloaded: everything stays as it is");
            }
        }
        reloaded
    }

    fn put_in_force(&self, now: &mut Now) -> Result<Done, Failure> {
        if self.shared.drain.is_cancelled() {
            return Err(Failure("the proxy is shutting down".to_owned()));
        }
        let before = self.shared.in_force.now();
        let loaded = knowledge::load_after(&self.file, Some(before.knowledge.texts.reader()))?;
        // What would keep it from starting again is at fault now.
        capture::capture(&loaded)?;
        let known = capture::known(&loaded);
        let Loaded { files, config, knowledge, digest, .. } = loaded;
        let done = |changed| Done {
            changed,
            digest,
            restart_needed: needs_restart::keys(&self.started, &config),
            providers: knowledge.registry.providers().len(),
        };
        if digest == now.digest {
            self.shared.certificates.reload()?;
            return Ok(done(false));
        }
        let done = done(true);
        if now.retired.len() >= RETIRED_MAX {
            now.let_go();
        }
        if now.retired.len() >= RETIRED_MAX {
            return Err(Failure(format!(
                "sessions judge by the rules of {RETIRED_MAX} reloads ago: their records are not kept \
                 yet; see that the journal is available and reload again"
            )));
        }
        let mut knowledge = knowledge.following(&before.knowledge)?;
        let parties = ledger::parties(&self.ledger, &knowledge.registry, &before.knowledge.parties);
        knowledge.parties = parties?;
        drop(before);
        // The last that can fail; from here on everything is done.
        self.shared.certificates.reload()?;
        show(&self.shared.metrics, &config, &knowledge.registry);
        self.shared.capture.follow(known);
        self.upstreams.judge_by(upstreams::times(&config.timeouts));
        let ruling = knowledge.ruling.clone();
        now.retired.push(self.shared.in_force.replace(knowledge, serve::settings(&config)));
        (now.digest, now.files, now.watch) = (digest, files, config.reload.watch);
        // Where the journal cannot take it, it stands before the first record that was judged so.
        let _ = self.shared.journal.in_force(&ruling, self.shared.clock.now().wall_us);
        Ok(done)
    }

    /// The files in force.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        [self.file.clone()].into_iter().chain(now.files.iter().cloned()).collect()
    }

    /// How often they are to be looked at.
    pub(super) fn watch(&self) -> Option<Duration> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).watch
    }

    /// The same for `POST /api/v1/reload`: the answer, or why nothing changed.
    pub(super) fn by_api(self: Arc<Self>) -> crate::admin::Reload {
        Arc::new(move || match self.reload("API") {
            Ok(done) => Ok(done.line()),
            Err(Failure(why)) => Err(why),
        })
    }
}

/// Shows what is in force.
pub(super) fn show(metrics: &Metrics, config: &Config, registry: &Registry) {
    metrics.config(&config.digest_hex());
    for provider in registry.providers() {
        // Shown before it has sent anything, where providers are counted.
        let _ = metrics.provider(&provider.name);
    }
}
