//! The thread that indexes sealed segments while the proxy runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use super::Failure;
use super::audit::canonical_octets;
use crate::audit::KeyRing;
use crate::audit::index::index_sealed;
use crate::audit::keys::IndexKey;

/// How long it rests when every sealed segment has its index.
const REST: Duration = Duration::from_secs(10);
/// How long it rests after a failure.
const RETRY: Duration = Duration::from_secs(60);
/// The lowest priority of the system: any message comes first.
const NICE: i32 = 19;

/// The thread, at work. It ends when this is dropped, after the segment at hand or with the process:
/// an index appears whole or not at all.
pub(super) struct Indexing {
    _stop: Sender<()>,
}

/// Begins to index the segments of this journal.
pub(super) fn start(journal: PathBuf, keys: PathBuf) -> Result<Indexing, Failure> {
    let key = IndexKey::open_or_create(&keys)?;
    let ring = Arc::new(KeyRing::open(&keys)?);
    let (stop, stopped) = mpsc::channel();
    std::thread::Builder::new().name("index".to_owned()).spawn(move || {
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::warn!(%error, "segments are indexed at the priority of everything else");
        }
        loop {
            let rest = match index_sealed(&journal, &ring, &key, &canonical_octets) {
                Ok(Some(first)) => {
                    tracing::debug!(first, "segment indexed");
                    Duration::ZERO
                }
                Ok(None) => REST,
                Err(error) => {
                    tracing::warn!(%error, "segments are not indexed; trying again in a minute");
                    RETRY
                }
            };
            if stopped.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    })?;
    Ok(Indexing { _stop: stop })
}
