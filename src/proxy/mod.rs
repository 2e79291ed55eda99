//! Sockets: listening, dialling, the pump of each pair, limits, drain.
//!
//! One task a pair (`pump`); what it does with the octets is decided in
//! [`crate::session`]. This room only waits, reads, writes and counts.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use dashmap::DashMap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::Journal;
use crate::capture::Capture;
use crate::consent::{Ledger, Question};
use crate::content::reply::Keyword;
use crate::metrics::{Metrics, Refused};
use crate::policy::Consent;
use crate::registry::Digits;
use crate::session::{Announced, Moment, Timeouts};

mod agree;
mod certificate;
mod clock;
mod close;
mod count;
mod dial;
mod drain;
mod enter;
mod failures;
pub mod header;
mod heed;
mod hold;
mod in_force;
mod inquiry;
mod lead;
mod listen;
mod live;
mod out;
mod outward;
mod pump;
mod scratch;
mod shards;
mod shown;
mod socket;
mod stream;
mod tap;
pub mod tls;
#[cfg(feature = "otlp")]
mod traced;
#[cfg(not(feature = "otlp"))]
#[path = "untraced.rs"]
mod traced;
mod upstreams;
mod wake;

pub use clock::Clock;
pub use enter::Entrance;
pub use failures::Failures;
pub use hold::Waiting;
pub use in_force::{InForce, Terms};
pub use listen::{ListenFault, Listening, Route, listen, take};
pub use live::{Live, Named};
pub use outward::Outward;
pub use shards::{Shards, THREADS_MAX};
pub use traced::SpansTo;
pub use upstreams::{Listed, Upstreams};

/// Limits and times of this room. Every one has its unit in its name or type.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Most sessions at once.
    pub sessions_max: usize,
    /// Most sessions at once from one address.
    pub sessions_per_address_max: usize,
    /// Octets that may wait in each direction of a session before its peer is not read any more.
    pub session_buffer_octets: usize,
    /// Octets that may wait in all sessions together before ESMEs are not read any more.
    pub buffered_octets_max: usize,
    /// The sessions' own waits.
    pub timeouts: Timeouts,
    /// For one SMSC to take a connection; and, where there is another, to answer the bind.
    pub connect: Duration,
    /// For a PROXY protocol header to come, and for a TLS handshake, of either leg.
    pub handshake: Duration,
    /// For a peer to take anything at all of what waits for it.
    pub write: Duration,
    /// Silence after which TCP probes a peer.
    pub keepalive: Duration,
    /// How long sent octets may stay unacknowledged before TCP gives up (TCP_USER_TIMEOUT).
    pub user_timeout: Duration,
    /// For open requests to be answered after the shutdown began.
    pub drain: Duration,
    /// For the last octets to leave and the peer's close to come.
    pub close: Duration,
}

/// Keeps a keyword that a code's messages announce.
pub type KeepKeyword = Box<dyn Fn(Digits, Keyword) + Send + Sync>;

/// What all sessions share.
pub struct Shared {
    /// What is in force.
    pub in_force: InForce,
    /// Where records go.
    pub journal: Journal,
    /// Who consented; `None` where there is no ledger: then nothing is known of anybody.
    pub ledger: Option<Ledger>,
    /// Keeps a newly announced keyword beyond this process.
    pub keep_keyword: Option<KeepKeyword>,
    /// The traces that are written of it all.
    pub capture: Arc<Capture>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where spans go.
    pub spans: SpansTo,
    /// The certificates of all listeners.
    pub certificates: tls::Certificates,
    /// Time.
    pub clock: Clock,
    /// Cancelled when the shutdown begins.
    pub drain: CancellationToken,
    /// The threads that carry traffic.
    pub shards: Shards,
    /// Every session's task.
    pub tasks: TaskTracker,
    /// Sessions whose parts wait for those of others.
    pub waiting: Waiting,
    /// The sessions that live, by their journal number.
    pub live: DashMap<u64, Arc<Live>>,
    /// Sessions by the ESME's address.
    pub by_address: DashMap<IpAddr, usize>,
    /// Who failed to bind lately.
    pub failures: Failures,
    /// Octets that wait in all sessions.
    pub buffered_octets: AtomicUsize,
}

impl Shared {
    /// How a batch asks the ledger.
    fn ask(&self, now: Moment) -> impl FnMut(&[Question], &mut Vec<Consent>) + '_ {
        move |questions, answers| {
            if let Some(ledger) = &self.ledger {
                ledger.standings(questions, now.wall_us, answers);
            }
        }
    }

    /// Whether one more connection may be looked at.
    fn has_room(&self) -> Result<(), Refused> {
        if self.drain.is_cancelled() {
            return Err(Refused::Draining);
        }
        let settings = self.in_force.now().settings;
        if self.tasks.len() >= settings.sessions_max {
            return Err(Refused::Sessions);
        }
        Ok(())
    }

    /// Whether one more session may begin from that address; it is counted when it may.
    fn admit(&self, from: IpAddr) -> Result<(), Refused> {
        let mut count = self.by_address.entry(from).or_insert(0);
        if *count >= self.in_force.now().settings.sessions_per_address_max {
            return Err(Refused::SessionsPerAddress);
        }
        *count += 1;
        Ok(())
    }

    /// Remembers a keyword that a message announced for refusing.
    fn learn(&self, announced: &Announced, code: Digits, keyword: Keyword) {
        if announced.learn(code, keyword)
            && let Some(keep) = &self.keep_keyword
        {
            keep(code, keyword);
        }
    }

    fn dismiss(&self, from: IpAddr) {
        use dashmap::mapref::entry::Entry;
        if let Entry::Occupied(mut count) = self.by_address.entry(from) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}
