//! What an operator sees of a session that lives.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::session::{BindState, Session};

/// One live session: fixed facts, and figures that its task renews once a turn.
#[derive(Debug)]
pub struct Live {
    /// The journal's number of the session.
    pub id: u64,
    /// Where the ESME came from.
    pub peer: SocketAddr,
    /// When, microseconds since the Unix epoch.
    pub since_us: u64,
    named: Mutex<Named>,
    open_requests: AtomicUsize,
    forwarded: AtomicU64,
    refused: AtomicU64,
}

/// What is known of a session once it has bound.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// system_id of the bind, as text.
    pub system_id: String,
    /// The provider's name; empty when unknown.
    pub provider: String,
    /// The SMSC's address, once connected.
    pub smsc: Option<SocketAddr>,
    /// What it bound as, once the SMSC accepted the bind.
    pub bind_mode: Option<&'static str>,
    /// How far it has come, see [`BindState::name`].
    pub state: &'static str,
}

impl Live {
    pub(super) fn new(session: &Session, peer: SocketAddr) -> Live {
        Live {
            id: session.id(),
            peer,
            since_us: session.since_us(),
            named: Mutex::new(Named { state: BindState::Open.name(), ..Named::default() }),
            open_requests: AtomicUsize::new(0),
            forwarded: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    pub(super) fn name(&self, change: impl FnOnce(&mut Named)) {
        change(&mut self.named.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn renew(&self, session: &Session) {
        let (forwarded, refused) = session.counts();
        self.open_requests.store(session.open_requests(), Ordering::Relaxed);
        self.forwarded.store(forwarded, Ordering::Relaxed);
        self.refused.store(refused, Ordering::Relaxed);
    }

    /// What is known since the bind.
    pub fn named(&self) -> Named {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Open requests, messages forwarded, messages refused.
    pub fn figures(&self) -> (usize, u64, u64) {
        (
            self.open_requests.load(Ordering::Relaxed),
            self.forwarded.load(Ordering::Relaxed),
            self.refused.load(Ordering::Relaxed),
        )
    }
}
