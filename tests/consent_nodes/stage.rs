//! Nodes, a database, and questions that are asked until they are answered as expected.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant, SystemTime};

use consentry::consent::shared::{Engine, EngineFault, NodeOptions};
use consentry::consent::{
    CACHE_OCTETS_MIN, Cause, EntityId, Event, Grant, Happened, Ledger, Proof, ProofKind, Question,
    Refused, Scope, Source,
};
use consentry::policy::{Consent, ConsentClass, Promise, Review, StandingState};
use consentry::postgres;
use consentry::registry::Msisdn;

use super::servers::Server;

/// For what takes a moment; tests on a machine with much to do must not fail.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const STALENESS: Duration = Duration::from_millis(1500);

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A database with its tables, and a folder for outboxes.
pub struct Stage {
    pub address: SocketAddr,
    pub database: String,
    pub folder: tempfile::TempDir,
}

impl Stage {
    pub fn on(server: &Server) -> Stage {
        let database = format!("n{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        server.database(&database);
        let folder = tempfile::tempdir().expect("a folder");
        let stage = Stage { address: server.address(), database, folder };
        stage.run(|engine| async move { engine.migrate().await.map(drop) });
        stage
    }

    pub fn engine(&self, address: SocketAddr) -> Engine {
        let url = format!("postgres://consentry@{address}/{}?connect_timeout=2", self.database);
        let server = postgres::Server::new(url.parse().expect("a URL"), None).expect("a server");
        Engine::new(server.pool(12, Duration::from_secs(2)).expect("a pool"))
    }

    /// Asks the engine past all nodes.
    pub fn run<R: Send, F: Future<Output = Result<R, EngineFault>> + Send>(
        &self,
        ask: impl FnOnce(Engine) -> F,
    ) -> R {
        let asking = ask(self.engine(self.address));
        // A thread of its own: the caller may be inside a runtime.
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(asking).expect("the engine answers")
            });
            asked.join().expect("it does not panic")
        })
    }

    pub fn outbox(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A node of that name, by way of an address. Does not wait for the engine.
    pub fn node_at(&self, name: &str, address: SocketAddr) -> Ledger {
        self.node_of(name, name, address)
    }

    /// The same, under another name than its folder has.
    pub fn node_of(&self, folder: &str, name: &str, address: SocketAddr) -> Ledger {
        let options = NodeOptions {
            engine: self.engine(address),
            node: name.to_owned(),
            outbox: self.outbox(folder),
            staleness: STALENESS,
            deadline: Duration::from_secs(2),
            cache_octets: CACHE_OCTETS_MIN,
            silent_after_us: 3_600_000_000,
            on_sync: None,
        };
        Ledger::share(options).expect("a ledger")
    }

    /// The same, straight to the server; it knows what the engine has.
    pub fn node(&self, name: &str) -> Ledger {
        let ledger = self.node_at(name, self.address);
        assert!(ledger.settle(PATIENCE), "the engine is heard");
        ledger
    }
}

pub fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    now.as_micros() as u64
}

pub fn person(number: u64) -> Msisdn {
    Msisdn::new(8_613_000_000_000 + number).expect("a number")
}

pub fn question(entity: EntityId, number: u64) -> Question {
    Question { entity, recipient: person(number), scope: Scope::ALL }
}

pub fn event(entity: EntityId, number: u64, source: Source, happened: Happened) -> Event {
    Event { entity, recipient: person(number), time_us: now_us(), source, happened }
}

pub fn granted(promise: Option<Promise>) -> Happened {
    let proof = Proof { kind: ProofKind::Web, sha256: [1; 32], review: Review::Reviewed };
    let class = ConsentClass::Commercial;
    Happened::Granted(Grant { scope: Scope::ALL, class, until_us: None, promise, proof })
}

pub const REVOKED: Happened = Happened::Revoked(Cause::Refused);

/// What an operator tells; how many of it wait.
pub fn tell(ledger: &Ledger, events: &[Event]) -> Result<(u64, Vec<Refused>), String> {
    let mut refused = Vec::new();
    let told = ledger.tell(events, ledger.now_us(now_us()), &mut refused, &mut |_, _| {});
    told.map(|waiting| (waiting, refused)).map_err(|why| why.to_string())
}

/// What a handset says at a node; on its disk when this returns.
pub fn reply(ledger: &Ledger, entity: EntityId, number: u64, happened: Happened) {
    let event = event(entity, number, Source::Reply, happened);
    let ticket = ledger.append(&[event], now_us(), &mut Vec::new()).expect("it is taken");
    ledger.wait(ticket).expect("it is kept");
}

/// Polls a future on this thread until it is ready.
pub fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}

/// How a pair stands, as a session asks; `None` = nobody can tell.
pub fn standing(ledger: &Ledger, entity: EntityId, number: u64) -> Option<StandingState> {
    let question = [question(entity, number)];
    if let Some(lookup) = ledger.lacks(&question, now_us()) {
        wait(lookup);
    }
    let mut out = Vec::new();
    ledger.standings(&question, now_us(), &mut out);
    match out[..] {
        [Consent::Known(standing)] => Some(standing.state),
        _ => None,
    }
}

/// Between two looks.
pub const STEP: Duration = Duration::from_millis(20);

/// Waits until a proxy shows these figures.
pub fn series_until(admin: SocketAddr, expected: &[(&str, f64)]) {
    let shows = |text: &str, (name, value): &(&str, f64)| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.and_then(|shown| shown.parse().ok()) == Some(*value)
    };
    until("the figures are so", || {
        let (_, text) = super::running::ask(admin, "GET /metrics", "", "");
        expected.iter().all(|one| shows(&text, one))
    });
}

pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The history of a pair as its kinds of events, in order.
pub fn history(ledger: &Ledger, entity: EntityId, number: u64) -> Vec<&'static str> {
    let kept = ledger.history(entity, person(number)).expect("the engine answers");
    let name = |happened: &Happened| match happened {
        Happened::Granted(_) => "granted",
        Happened::Revoked(_) => "revoked",
        Happened::Reviewed { .. } => "reviewed",
        Happened::Asked { .. } => "asked",
        Happened::Sent { .. } => "sent",
    };
    kept.iter().map(|kept| name(&kept.event.happened)).collect()
}
