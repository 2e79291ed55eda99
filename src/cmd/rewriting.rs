//! The thread that rewrites sealed segments to Parquet while the proxy runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Failure;
use crate::archive::{RewriteFault, Rewriter, Step, Token};
use crate::audit::KeyRing;

/// How long it rests when there is nothing to rewrite.
const REST: Duration = Duration::from_secs(10);
/// How long it rests after a failure.
const RETRY: Duration = Duration::from_secs(60);
/// The lowest priority of the system: any message comes first.
const NICE: i32 = 19;

/// The thread, at work.
pub(super) struct Rewriting {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// Begins to rewrite the segments of this journal.
pub(super) fn start(
    journal: PathBuf,
    keys: Arc<KeyRing>,
    token: Arc<Token<'static>>,
) -> Result<Rewriting, Failure> {
    let (stop, stopped) = mpsc::channel();
    let thread = std::thread::Builder::new().name("parquet".to_owned()).spawn(move || {
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::warn!(%error, "segments are rewritten at the priority of everything else");
        }
        let mut rewriter = None;
        loop {
            let done = match &mut rewriter {
                None => Rewriter::open(&journal, Some(token.clone())).map(|open| {
                    rewriter = Some(open.with_keys(keys.clone()));
                    Step::More
                }),
                Some(rewriter) => rewriter.step(),
            };
            let rest = rest_after(&done);
            if stopped.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    })?;
    Ok(Rewriting { stop, thread })
}

fn rest_after(done: &Result<Step, RewriteFault>) -> Duration {
    match done {
        Ok(Step::More) => Duration::ZERO,
        Ok(Step::Wrote { path, rows }) => {
            tracing::info!(path = %path.display(), rows, "segment rewritten");
            Duration::ZERO
        }
        Ok(Step::Rest) => REST,
        Err(error) => {
            tracing::warn!(%error, "segments are not rewritten to Parquet; trying again in a minute");
            RETRY
        }
    }
}

impl Rewriting {
    /// Stops within one step: what is half done is begun again by the next.
    pub(super) fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}
