//! The proxy as a whole: listeners, journal, admin, watch, shutdown. What `run` and `demo` share.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::audit::tokens;
use super::blind::blind_ports;
use super::indexing::{self, Indexing};
use super::knowledge::{self, Loaded};
use super::reloading::{self, Reloader};
use super::retention::{self, Desk};
use super::rewriting::{self, Rewriting};
use super::sockets::Addresses;
use super::traces;
use super::{
    Failure, asked, capture, cluster, console, disk, file_watch, hand_over, key_watch, ledger,
    licences, mirrors, originals, streams, tls, told, upstreams,
};
use crate::admin::{self, Token, Told};
use crate::audit::keys::{Auditor, SigningKey};
use crate::audit::proof::NotaryOptions;
use crate::audit::retention::RetentionFault;
use crate::audit::{
    Durability, Journal, KeyRing, Options, Records, RegistryRecord, Sealing, State,
};
use crate::capture::Figures;
use crate::cluster::Exchange;
use crate::config::{self, Config};
use crate::consent::Ledger;
use crate::metrics::Metrics;
use crate::policy::Rule;
use crate::proxy::{
    Clock, Failures, InForce, Listening, Live, Route, Settings, Shards, Shared, Waiting, listen,
};
use crate::registry::Registry;
use crate::session::{Parties, Timeouts};
use crate::text;

/// How often the journal's state is looked at.
const WATCH: Duration = Duration::from_secs(1);

/// How often it is looked whether something has come about that is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// For who has just connected to bind, before a process that hands over drains.
const BINDS_WAIT: Duration = Duration::from_secs(2);

/// Added to the drain and close times before the process ends all the same.
const LAST_GRACE: Duration = Duration::from_secs(2);

/// A proxy that serves.
pub(super) struct Running {
    /// What its sessions share.
    pub(super) shared: Arc<Shared>,
    /// Who consented.
    ledger: Ledger,
    /// Where ESMEs connect, one for each `[[listen]]`, with the ports that were taken.
    pub(super) listening: Vec<SocketAddr>,
    /// Where the admin API is served.
    pub(super) admin: Option<SocketAddr>,
    /// Ends it: it answers until the last session has ended.
    admin_ends: CancellationToken,
    /// What puts changed files in force.
    pub(super) reloader: Arc<Reloader>,
    /// What accepts connections.
    acceptors: Vec<JoinHandle<()>>,
    /// Who asks through the admin API that another process takes over.
    pub(super) hand_over_asked: mpsc::Receiver<hand_over::Asked>,
    /// Where it is kept what message_ids stand for.
    originals_at: originals::Place,
    /// The journal's folder.
    audit: PathBuf,
    /// What rewrites segments.
    rewriting: Option<Rewriting>,
    _indexing: Indexing,
    /// What goes on to others.
    mirrors: mirrors::Mirrors,
    /// What others tell of consent.
    streams: streams::Streams,
    /// What is exchanged with other nodes.
    exchange: Option<Exchange>,
}

/// Opens the journal and begins to serve on these addresses. Who has journal and ledger open is given
/// `patience` to let go of them. Call inside a tokio runtime.
pub(super) async fn start(
    loaded: Loaded,
    addresses: Addresses,
    patience: Duration,
) -> Result<Running, Failure> {
    let capture = capture::capture(&loaded)?;
    let Loaded { file, files, config, mut knowledge, digest } = loaded;
    let rule_names: Vec<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    let mut metrics = Metrics::new(&rule_names);
    if config.metrics.providers {
        metrics.by_provider();
    }
    let metrics = Arc::new(metrics);
    reloading::show(&metrics, &config, &knowledge.registry);
    let tls = tls::read(&config)?;
    let (listeners, admin_listener) = listen_on(&config, addresses, &tls)?;
    let clock = Clock::start();
    metrics.reload_last_success.set((clock.now().wall_us / 1_000_000) as i64);
    let rule_set = knowledge.rule_set.name();
    let reading = knowledge.texts.version();
    let made_with = (rule_set, reading.as_str());
    await_closed(&config.audit.path, patience).await;
    let journal = open_journal(&config, &knowledge.registry, digest, made_with, &metrics, clock)?;
    let ledger = ledger::open(&config, patience)?;
    knowledge.parties = ledger::parties(&ledger, &knowledge.registry, &Parties::default())?;
    cluster::share(&config, &mut knowledge);
    let (keep_keyword, keywords) = cluster::keywords(&config, &knowledge.announced)?.apart();
    let originals_at = originals::Place::new(&config.audit.path, &config.audit.keys);
    originals::load(&originals_at, &mut knowledge.originals())?;
    if knowledge.asks_receipts {
        asked::load(&config.audit.path, &config.audit.keys, &mut knowledge.asked())?;
    }
    let spans = traces::start(&config, &metrics)?;
    let drain = CancellationToken::new();
    let shared = Arc::new(Shared {
        in_force: InForce::new(knowledge, settings(&config), &drain),
        waiting: Waiting::default(),
        journal,
        ledger: Some(ledger.clone()),
        keep_keyword,
        capture: Arc::new(capture),
        metrics,
        spans,
        certificates: tls::together(&tls),
        clock,
        drain,
        shards: Shards::start(threads(&config))?,
        tasks: TaskTracker::new(),
        live: DashMap::new(),
        by_address: DashMap::new(),
        failures: Failures::new(u32::try_from(config.limits.bind_failures).unwrap_or(u32::MAX)),
        buffered_octets: AtomicUsize::new(0),
    });
    capture::show_limits(&shared.metrics, &shared.capture);
    capture::begin(&shared.capture, &config.capture);
    let retention =
        Arc::new(Desk::new(&config, shared.journal.clone(), Some(ledger.clone()), clock)?);
    let listening: Vec<SocketAddr> = listeners.iter().map(|listener| listener.address).collect();
    let upstreams = Arc::new(upstreams::All::new(&listeners, clock));
    tokio::spawn(upstreams::watch(upstreams.clone(), shared.metrics.clone()));
    let mut acceptors = Vec::new();
    for listener in listeners {
        tracing::info!(address = %listener.address, "listening");
        acceptors.push(tokio::spawn(listener.serve(shared.clone())));
    }
    let reloader =
        Arc::new(Reloader::new((file, files), &config, digest, &shared, &ledger, &upstreams));
    let (ask_hand_over, hand_over_asked) = mpsc::channel(1);
    let admin_ends = CancellationToken::new();
    let admin = match admin_listener {
        Some(listener) => {
            let ask = hand_over::by_api(ask_hand_over);
            Some(serve_admin(
                &config,
                listener,
                &shared,
                &ledger,
                &retention,
                (ask, &reloader, &upstreams),
                admin_ends.clone(),
            )?)
        }
        None => None,
    };
    tokio::spawn(watch(shared.clone()));
    tokio::spawn(file_watch::watch(reloader.clone(), shared.drain.clone()));
    tokio::spawn(tls::watch(shared.clone()));
    tokio::spawn(retention::watch(retention));
    tokio::spawn(disk::watch(shared.journal.clone(), shared.metrics.clone()));
    tokio::spawn(key_watch::watch(
        shared.clone(),
        config.audit.path.clone(),
        config.audit.keys.clone(),
    ));
    tokio::spawn(originals::watch(shared.clone(), originals_at.clone()));
    tokio::spawn(asked::watch(shared.clone(), config.audit.path.clone()));
    tokio::spawn(ledger::watch(ledger.clone(), shared.metrics.clone()));
    let exchange = cluster::start(&config, &shared, keywords)?;
    let _indexing = indexing::start(config.audit.path.clone(), config.audit.keys.clone())?;
    let keys = Arc::new(KeyRing::open(&config.audit.keys)?);
    let token = tokens(&config.audit.keys)?;
    let rewriting = match config.audit.parquet {
        true => Some(rewriting::start(config.audit.path.clone(), keys.clone(), token.clone())?),
        false => None,
    };
    let mirrors = mirrors::start(&config, &shared.journal, &shared.metrics, &keys, Some(&token))?;
    let streams = streams::start(&config, &shared.journal, &ledger, &shared.metrics)?;
    let audit = config.audit.path.clone();
    Ok(Running {
        shared,
        ledger,
        listening,
        admin,
        admin_ends,
        reloader,
        acceptors,
        hand_over_asked,
        originals_at,
        audit,
        rewriting,
        _indexing,
        mirrors,
        streams,
        exchange,
    })
}

impl Running {
    /// Accepts nothing more, and lets who has just come bind, at most [`BINDS_WAIT`]: connections that wait
    /// in the system's queue are another process's.
    pub(super) async fn stop_accepting(&mut self) {
        for acceptor in self.acceptors.drain(..) {
            acceptor.abort();
            // Its end, not how it ended, is waited for.
            let _ = acceptor.await;
        }
        let is_bound = |live: &Live| !matches!(live.named().state, "open" | "binding");
        let until = Instant::now() + BINDS_WAIT;
        while Instant::now() < until {
            let live = &self.shared.live;
            if live.len() == self.shared.tasks.len() && live.iter().all(|one| is_bound(&one)) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Stops accepting, lets open requests finish, unbinds both sides, closes the journal.
    /// Whether everything ended in time.
    pub(super) async fn stop(self) -> Result<bool, Failure> {
        self.shared.drain.cancel();
        self.shared.tasks.close();
        let settings = self.shared.in_force.now().settings;
        let most = settings.drain + 2 * settings.close + LAST_GRACE;
        let in_time = timeout(most, self.shared.tasks.wait()).await.is_ok();
        if let Some(exchange) = self.exchange {
            exchange.stop().await;
        }
        self.admin_ends.cancel();
        self.shared.shards.end();
        let (journal, ledger) = (self.shared.journal.clone(), self.ledger);
        let capture = self.shared.capture.clone();
        let now_us = self.shared.clock.now().wall_us;
        let (shared, path, audit) = (self.shared.clone(), self.originals_at, self.audit);
        let saved = tokio::task::spawn_blocking(move || {
            let terms = shared.in_force.now();
            if let Err(error) = asked::save(&audit, &terms.knowledge) {
                tracing::error!(%error, "receipts may cross that no ESME asked for");
            }
            originals::save(&path, &terms.knowledge, now_us)
        });
        if let Ok(Err(error)) = saved.await {
            tracing::error!(%error, "no message will be known by its message_id");
        }
        let (rewriting, mirrors, streams) = (self.rewriting, self.mirrors, self.streams);
        let shared = self.shared.clone();
        let closed = tokio::task::spawn_blocking(move || {
            if let Some(rewriting) = rewriting {
                rewriting.stop();
            }
            streams.stop();
            mirrors.stop();
            capture.stop();
            traces::stop(&shared.spans);
            ledger.close();
            journal.close(now_us)
        });
        closed
            .await
            .map_err(|error| Failure(format!("the journal could not be closed: {error}")))??;
        Ok(in_time)
    }
}

/// As configured; else one for each core that this process may use.
fn threads(config: &Config) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    config.limits.threads.unwrap_or_else(cores)
}

/// Waits until nobody has the journal open, at most `patience`.
async fn await_closed(journal: &Path, patience: Duration) {
    let until = Instant::now() + patience;
    while Instant::now() < until && Journal::is_open(journal) {
        tokio::time::sleep(LOOK).await;
    }
}

/// What is to be done with each of the addresses.
fn listen_on(
    config: &Config,
    addresses: Addresses,
    tls: &[tls::Legs],
) -> Result<(Vec<Listening>, Option<TcpListener>), Failure> {
    let mut listeners = Vec::new();
    let (sessions, admin) = addresses.sockets();
    let mut sockets = sessions.into_iter();
    for ((one, tls), socket) in config.listen.iter().zip(tls).zip(&mut sockets) {
        let route = Route::ToSmsc(upstreams::of(one), upstreams::times(&config.timeouts));
        let listening = listen(socket, route, knowledge::text_options(one))?
            .leading(tls::entrance(one, tls), tls::outward(one, tls));
        let listening = match one.enquire_link {
            Some(idle) => listening.enquiring_after(idle),
            None => listening,
        };
        let listening = match one.receipts {
            config::Receipts::AsAsked => listening,
            config::Receipts::Ask => listening.asking_for_receipts(),
        };
        listeners.push(match one.second_sender {
            config::SecondSender::Refuse => listening,
            config::SecondSender::Strip => listening.stripping_second_senders(),
        });
    }
    for (one, socket) in config.outbind.iter().zip(&mut sockets) {
        let route = Route::ToEsme(one.esme.clone());
        listeners.push(listen(socket, route, text::Options::default())?);
    }
    Ok((listeners, admin.map(TcpListener::from_std).transpose()?))
}

/// What the journal is opened with, by the proxy and by who writes it while none runs.
pub(super) fn journal_options(
    config: &Config,
    rules: [u8; 32],
    (rule_set, reading): (&str, &str),
) -> Result<Options, Failure> {
    let durability = match config.audit.durability {
        config::Durability::Synced => Durability::Synced,
        config::Durability::Written => Durability::Written,
        config::Durability::Queued => Durability::Queued,
    };
    Ok(Options {
        segment_octets: config.audit.segment_octets as u64,
        disk_octets_max: config.audit.disk_budget_octets.map(|octets| octets as u64),
        config: config.digest,
        rules,
        rule_set: rule_set.to_owned(),
        reading: reading.to_owned(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        sealing: Some(sealing(config)?),
        ..Options::new(durability)
    })
}

/// Opens the journal as the proxy does.
pub(super) fn open_journal(
    config: &Config,
    registry: &Registry,
    rules: [u8; 32],
    (rule_set, reading): (&str, &str),
    metrics: &Arc<Metrics>,
    clock: Clock,
) -> Result<Journal, Failure> {
    let sync_metrics = metrics.clone();
    let options = Options {
        on_sync: Some(Box::new(move |took| sync_metrics.audit_sync.observe(took))),
        notary: Some(NotaryOptions {
            key: SigningKey::open_or_create(&config.audit.keys)?,
            records: config.audit.checkpoint.records as u64,
            every: config.audit.checkpoint.every,
            now_us: Box::new(move || clock.now().wall_us),
            on_fault: Box::new(|why| tracing::error!(why, "no checkpoint is signed")),
        }),
        ..journal_options(config, rules, (rule_set, reading))?
    };
    let (journal, found) = Journal::open(&config.audit.path, options, clock.now().wall_us)?;
    let path = config.audit.path.display();
    tracing::info!(%path, records = found.records, segments = found.segments, "journal opened");
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&config.audit.path)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let mode = format_args!("{mode:o}");
        tracing::warn!(%path, %mode, "others may look into the journal's folder; chmod it to 700");
    }
    if found.torn_octets > 0 {
        let (octets, segment) = (found.torn_octets, found.torn_segment.unwrap_or_default());
        tracing::warn!(octets, segment, "cut unacknowledged records off the end of the journal");
    }
    note_registry(&journal, registry, (found.rules, rules), reading, clock.now().wall_us)?;
    Ok(journal)
}

/// Records rules and registry where they are others than before, by their digests.
pub(super) fn note_registry(
    journal: &Journal,
    registry: &Registry,
    (before, rules): (Option<[u8; 32]>, [u8; 32]),
    reading: &str,
    now_us: u64,
) -> Result<(), Failure> {
    if before == Some(rules) {
        return Ok(());
    }
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let providers = registry.providers();
    let mut records = Records::new();
    let record = RegistryRecord {
        before: before.unwrap_or_default(),
        rules,
        registry: *registry.digest(),
        providers: count(providers.len()),
        codes: count(providers.iter().map(|provider| provider.codes.len()).sum()),
        reading,
    };
    records.registry(now_us, &record);
    journal.append(&mut records)?;
    Ok(())
}

/// With what the journal is encrypted.
pub(super) fn sealing(config: &Config) -> Result<Sealing, Failure> {
    let auditors = config.audit.auditors.iter().map(|file| Auditor::read(file));
    Ok(Sealing {
        keys: config.audit.keys.clone(),
        auditors: auditors.collect::<Result<_, _>>()?,
        content: config.audit.content != config::RecordedContent::None,
    })
}

/// Limits and times of the proxy.
pub(super) fn settings(config: &Config) -> Settings {
    let us = |time: Duration| time.as_micros() as u64;
    let (limits, times) = (&config.limits, &config.timeouts);
    Settings {
        sessions_max: limits.sessions,
        sessions_per_address_max: limits.sessions_per_address,
        session_buffer_octets: limits.session_buffer_octets,
        buffered_octets_max: limits.buffered_octets,
        timeouts: Timeouts {
            bind_us: us(times.bind),
            idle_us: us(times.idle),
            response_us: us(times.response),
        },
        connect: times.connect,
        handshake: times.handshake,
        write: times.write,
        keepalive: times.keepalive,
        user_timeout: times.user_timeout,
        drain: times.drain,
        close: times.close,
    }
}

fn serve_admin(
    config: &Config,
    listener: TcpListener,
    shared: &Arc<Shared>,
    ledger: &Ledger,
    retention: &Arc<Desk>,
    (hand_over, reloader, upstreams): (admin::HandOver, &Arc<Reloader>, &Arc<upstreams::All>),
    ends: CancellationToken,
) -> Result<SocketAddr, Failure> {
    let token_file = config.admin.as_ref().and_then(|admin| admin.token_file.as_deref());
    let token = match token_file {
        Some(path) => Some(Arc::new(Token::read(path)?)),
        None => None,
    };
    let (ready, listed, asked) = (shared.clone(), shared.clone(), ledger.clone());
    let recording = shared.clone();
    let (seen, desk) = (shared.clone(), retention.clone());
    let (open, led) = (upstreams.clone(), upstreams.clone());
    let state = admin::State {
        told: Arc::new(move |told, now_us| told::keep(&recording.journal, told, now_us)),
        metrics: shared.metrics.clone(),
        readiness: Arc::new(move || not_ready(&ready, &asked, &open)),
        upstreams: Some(led),
        sessions: Arc::new(move || listed.live.iter().map(|one| shown(one.value())).collect()),
        ledger: Some(ledger.clone()),
        capture: Some(shared.capture.clone()),
        blind_ports: Arc::new(move || blind_ports(&seen)),
        retention: Some(Arc::new(move |ask, body| {
            let answer = desk.answer(ask, body).map(|done| format!("{done}\n"));
            answer.map_err(|why| match why {
                RetentionFault::Refused(_) => Told::Refused(why.to_string()),
                RetentionFault::Doubt(_) => Told::Doubt(why.to_string()),
                RetentionFault::Read(_)
                | RetentionFault::Io { .. }
                | RetentionFault::Unavailable(_) => Told::Unavailable(why.to_string()),
            })
        })),
        reload: Some(reloader.clone().by_api()),
        console: Some(admin::console::Desk::new(console::answers(config, shared, ledger)?)),
        hand_over: Some(hand_over),
        token,
    };
    let address = listener.local_addr()?;
    tracing::info!(%address, "admin");
    tokio::spawn(async move {
        if let Err(error) = admin::serve(listener, state, ends.cancelled_owned()).await {
            tracing::error!(%error, "the admin listener ended");
        }
    });
    Ok(address)
}

fn not_ready(shared: &Shared, ledger: &Ledger, upstreams: &upstreams::All) -> Vec<String> {
    let mut reasons = Vec::new();
    if shared.drain.is_cancelled() {
        reasons.push("draining".to_owned());
    }
    if let State::Unavailable(why) = shared.journal.state() {
        reasons.push(why.to_string());
    }
    reasons.extend(ledger.unavailable().map(|why| why.to_string()));
    reasons.extend(upstreams.closed());
    reasons
}

fn shown(live: &crate::proxy::Live) -> admin::Session {
    let named = live.named();
    let (open_requests, forwarded, refused) = live.figures();
    admin::Session {
        id: live.id,
        provider: (!named.provider.is_empty()).then_some(named.provider),
        system_id: (!named.system_id.is_empty()).then_some(named.system_id),
        esme: live.peer,
        smsc: named.smsc,
        bind_mode: named.bind_mode,
        state: named.state,
        since: live.since_us,
        open_requests: open_requests as u64,
        forwarded,
        refused,
    }
}

/// Shows the journal's state: in the metrics always, in the log when it changes.
async fn watch(shared: Arc<Shared>) {
    let mut was_available = true;
    let mut blind_before = 0;
    let mut counted_records = 0;
    let mut captured = Figures::default();
    loop {
        capture::count(&shared.metrics, &mut captured, shared.capture.figures());
        licences::show(
            &shared.metrics,
            &shared.in_force.now().knowledge.registry,
            shared.clock.now().wall_us,
        );
        let state = shared.journal.state();
        shared.metrics.audit_available.set(i64::from(state == State::Available));
        let stats = shared.journal.stats();
        let blind = blind_ports(&shared);
        shared.metrics.blind_ports.set(i64::try_from(blind).unwrap_or(i64::MAX));
        if blind > blind_before {
            tracing::warn!(codes = blind, "answers to commercial codes do not pass through here");
        }
        blind_before = blind;
        shared.metrics.audit_records.inc_by(stats.records.saturating_sub(counted_records));
        counted_records = stats.records;
        shared.metrics.audit_backlog.set(i64::try_from(stats.backlog_records).unwrap_or(i64::MAX));
        match (&state, was_available) {
            (State::Closed, _) => return,
            (State::Unavailable(why), true) => {
                tracing::error!(%why, "nothing is forwarded: the journal takes no record");
            }
            (State::Available, false) => tracing::info!("the journal takes records again"),
            (State::Available | State::Unavailable(_), _) => {}
        }
        was_available = state == State::Available;
        tokio::time::sleep(WATCH).await;
    }
}
