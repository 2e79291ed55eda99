//! Where a command acts: on a running proxy through its admin API, or on the store when none runs.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::{Failure, knowledge, ledger, serve, told};
use super::http;
use crate::audit::Journal;
use crate::config::{self, Config};
use crate::consent::desk::{self, Ask, Told};
use crate::consent::{CACHE_OCTETS_MIN, Ledger, OpenFault, Options, Source};
use crate::policy::ReviewPolicy;
use crate::registry::Registry;

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
    /// The store, whose lock is ours, and the journal that keeps a record of what it is told.
    Store(Ledger, Option<Box<Recording>>),
    /// A running proxy.
    Proxy(http::Api),
}

/// The journal of a configuration, while no proxy writes it.
pub(super) struct Recording {
    config: Config,
    /// Where it could be read.
    in_force: Option<InForce>,
}

/// What is in force: digest of rules and registry, rule set, what texts are read with, and who is admitted.
struct InForce {
    rules: [u8; 32],
    rule_set: &'static str,
    reading: String,
    registry: Registry,
}

impl Recording {
    /// Opens the journal: before the ledger is told anything.
    fn open(&self) -> Result<Journal, Failure> {
        let path = &self.config.audit.path;
        let Some(InForce { rules, rule_set, reading, registry }) = &self.in_force else {
            // The next who opens it sees that nobody knew the rules.
            let options = serve::journal_options(&self.config, [0; 32], ("", ""))?;
            return Ok(Journal::open(path, options, now_us())?.0);
        };
        let options = serve::journal_options(&self.config, *rules, (rule_set, reading))?;
        let now_us = now_us();
        let (journal, found) = Journal::open(path, options, now_us)?;
        serve::note_registry(&journal, registry, (found.rules, *rules), reading, now_us)?;
        Ok(journal)
    }
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
            return Ok(Opened { place: Place::Store(store, None), review, providers: None });
        }
        let file = self.config.as_deref().unwrap_or_else(|| "consentry.toml".as_ref());
        let config = knowledge::load_config(file)?;
        let review = match config.consent.review {
            config::Review::Strict => ReviewPolicy::Strict,
            config::Review::Lenient => ReviewPolicy::Lenient,
        };
        let loaded = knowledge::load(file).ok();
        let providers = loaded.as_ref().map(|loaded| {
            let all = loaded.knowledge.registry.providers().iter();
            all.map(|provider| provider.name.clone()).collect()
        });
        let mut place = place(&config)?;
        if let Place::Store(_, recording) = &mut place {
            let in_force = loaded.map(|loaded| InForce {
                rules: loaded.digest,
                rule_set: loaded.knowledge.rule_set.name(),
                reading: loaded.knowledge.texts.version(),
                registry: loaded.knowledge.registry,
            });
            *recording = Some(Box::new(Recording { config, in_force }));
        }
        Ok(Opened { place, review, providers })
    }
}

pub(super) fn place(config: &Config) -> Result<Place, Failure> {
    match ledger::try_open(config, CACHE_OCTETS_MIN, false)? {
        Ok(store) => {
            match &config.consent.place {
                config::Place::Folder(path) => {
                    eprintln!("on the store {}: no proxy runs on it", path.display());
                }
                config::Place::Shared(shared) => {
                    eprintln!("on the engine at {}: no proxy runs here", shared.url);
                }
            }
            if !store.settle(ledger::SETTLE) {
                eprintln!("note: the engine does not answer, or not all of it is known here yet");
            }
            Ok(Place::Store(store, None))
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
            Place::Store(ledger, _) => {
                let journal = match ask {
                    Ask::Events | Ask::Import => self.journal()?,
                    _ => None,
                };
                let (mut told, source) = (Vec::new(), Source::Operator);
                let body = body.as_bytes();
                let answer = desk::answer(ledger, ask, body, source, now_us(), &mut told)?;
                keep(journal, &told)?;
                Ok(answer)
            }
            Place::Proxy(api) => api.post(&format!("/api/v1/consents{}", ask.path()), body),
        }
    }

    /// The journal that is to record what the store is told; none where a running proxy does, or only
    /// the store's folder is named.
    pub fn journal(&self) -> Result<Option<Journal>, Failure> {
        match self {
            Place::Store(_, Some(recording)) => recording.open().map(Some),
            Place::Store(_, None) => {
                eprintln!("note: this leaves no record: --path names no journal, -c does");
                Ok(None)
            }
            Place::Proxy(_) => Ok(None),
        }
    }
}

/// Records what the store has taken, and closes the journal.
pub(super) fn keep(journal: Option<Journal>, told: &[Told]) -> Result<(), Failure> {
    let Some(journal) = journal else { return Ok(()) };
    let now_us = now_us();
    if !told.is_empty() {
        told::keep(&journal, told, now_us).map_err(Failure)?;
    }
    Ok(journal.close(now_us)?)
}

/// Writes lines to standard output; who closed it early has seen enough.
pub(super) fn print(lines: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(lines.as_bytes()).and_then(|()| out.flush()).or_else(|error| {
        if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error.into()) }
    })
}
