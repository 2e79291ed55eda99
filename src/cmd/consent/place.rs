//! Where a command acts: on a running proxy through its admin API, or on the store when none runs.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::{Failure, knowledge, ledger};
use super::http;
use crate::config::{self, Config};
use crate::consent::desk::{self, Ask};
use crate::consent::{CACHE_OCTETS_MIN, Ledger, OpenFault, Options, Source};
use crate::policy::ReviewPolicy;

/// Days that a request for consent waits when only a folder is named.
const SILENT_AFTER_DAYS: u64 = 7;

/// Which ledger.
#[derive(clap::Args)]
pub(super) struct Where {
    /// The consentry.toml whose [consent] is meant; a proxy that runs on it is asked through its
    /// [admin] address.
    #[arg(short, long, value_name = "FILE", required_unless_present = "path")]
    config: Option<PathBuf>,
    /// The ledger's folder itself, of which no proxy may be running.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    path: Option<PathBuf>,
}

/// The ledger, near or far.
pub(super) enum Place {
    /// The store, whose lock is ours.
    Store(Ledger),
    /// A running proxy.
    Proxy(http::Api),
}

/// What a command works with.
pub(super) struct Opened {
    pub place: Place,
    pub review: ReviewPolicy,
    /// Names of the registry's providers; `None` when it was not read.
    pub providers: Option<Vec<String>>,
}

/// Microseconds since the Unix epoch.
pub(super) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

impl Where {
    /// The ledger of a configuration.
    pub fn of(config: &Path) -> Where {
        Where { config: Some(config.to_owned()), path: None }
    }

    /// Opens the store; if a proxy holds it, turns to that proxy. Says on standard error which.
    pub fn open(&self) -> Result<Opened, Failure> {
        if let Some(path) = &self.path {
            let options = Options {
                cache_octets: CACHE_OCTETS_MIN,
                warm: false,
                silent_after_us: SILENT_AFTER_DAYS * 24 * 3_600_000_000,
                on_sync: None,
            };
            let store = Ledger::open(path, options)?;
            eprintln!("on the store {}: no proxy runs on it", path.display());
            let review = ReviewPolicy::default();
            return Ok(Opened { place: Place::Store(store), review, providers: None });
        }
        let file = self.config.as_deref().unwrap_or_else(|| "consentry.toml".as_ref());
        let config = knowledge::load_config(file)?;
        let review = match config.consent.review {
            config::Review::Strict => ReviewPolicy::Strict,
            config::Review::Lenient => ReviewPolicy::Lenient,
        };
        let providers = knowledge::load(file).ok().map(|loaded| {
            let all = loaded.knowledge.registry.providers().iter();
            all.map(|provider| provider.name.clone()).collect()
        });
        Ok(Opened { place: place(&config)?, review, providers })
    }
}

pub(super) fn place(config: &Config) -> Result<Place, Failure> {
    let config::Place::Folder(path) = &config.consent.place else {
        return Err(Failure("[consent] url is not served by this version; remove it".to_owned()));
    };
    match Ledger::open(path, ledger::options(config, CACHE_OCTETS_MIN, false)) {
        Ok(store) => {
            eprintln!("on the store {}: no proxy runs on it", path.display());
            Ok(Place::Store(store))
        }
        Err(locked @ OpenFault::Locked(_)) => {
            let Some(admin) = &config.admin else {
                let why = format!("{locked} Its [admin] address is needed to ask it");
                return Err(Failure(why));
            };
            if admin.address.port() == 0 {
                let why = format!("{locked} Its [admin] address has port 0; write the port");
                return Err(Failure(why));
            }
            let address = reachable(admin.address);
            let api = http::Api::new(address, admin.token_file.as_deref())?;
            eprintln!("on the running proxy, through its admin API at {address}");
            Ok(Place::Proxy(api))
        }
        Err(fault) => Err(fault.into()),
    }
}

/// Where an address that is listened on is reached from this machine.
pub(in crate::cmd) fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

impl Place {
    /// Asks or tells the ledger; see [`desk`].
    pub fn ask(&self, ask: Ask, body: &str) -> Result<String, Failure> {
        match self {
            Place::Store(ledger) => {
                Ok(desk::answer(ledger, ask, body.as_bytes(), Source::Operator, now_us())?)
            }
            Place::Proxy(api) => api.post(&format!("/api/v1/consents{}", ask.path()), body),
        }
    }
}

/// Writes lines to standard output; who closed it early has seen enough.
pub(super) fn print(lines: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(lines.as_bytes()).and_then(|()| out.flush()).or_else(|error| {
        if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error.into()) }
    })
}
