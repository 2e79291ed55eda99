//! `consentry run`: the proxy.

use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Answer, Failure, knowledge, serve};
use crate::config::{Log, LogFormat};

/// Runs the proxy until SIGTERM or SIGINT. SIGHUP reloads its files.
#[derive(clap::Args)]
pub struct Args {
    /// The consentry.toml.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// Serves until told to stop, then drains: exit status 0 when everything ended in good order, 1
/// when the drain time ran out on something.
pub fn run(args: Args) -> Result<Answer, Failure> {
    let loaded = knowledge::load(&args.config)?;
    begin_log(&loaded.config.log)?;
    raise_open_files(loaded.config.limits.sessions);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let running = serve::start(loaded).await?;
        let reloader = running.reloader.clone();
        let reloads = tokio::spawn(async move {
            // Signals that come meanwhile are one.
            while hang_up.recv().await.is_some() {
                let reloader = reloader.clone();
                let _ = tokio::task::spawn_blocking(move || reloader.reload("SIGHUP")).await;
            }
        });
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
            _ = interrupt.recv() => tracing::info!("SIGINT: draining"),
        }
        reloads.abort();
        let in_time = running.stop().await?;
        tracing::info!(in_time, "stopped");
        Ok(if in_time { Answer::Yes } else { Answer::No })
    })
}

/// Descriptors beside those of sessions: listeners, journal, ledger, admin.
const OTHER_FILES: u64 = 256;

/// A session has two sockets. The system's soft limit is often 1,024: it is raised as far as the hard
/// one lets it, and the log says where that does not do.
fn raise_open_files(sessions: usize) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = 2 * sessions as u64 + OTHER_FILES;
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted.min(most)), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
    }
    if most < wanted {
        let room = most.saturating_sub(OTHER_FILES) / 2;
        tracing::warn!(sessions, room, "the limit of open files is below [limits] sessions");
    }
}

/// One line a session event on standard error. `RUST_LOG` wins over the configured level.
fn begin_log(log: &Log) -> Result<(), Failure> {
    let level = log.level.name();
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(level))
        .map_err(|error| Failure(format!("[log] level: {error}")))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Json => lines.json().init(),
        LogFormat::Text => lines.with_ansi(false).init(),
    }
    Ok(())
}
