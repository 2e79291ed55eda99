//! One server for the tests that run at the same time, a database a test, and events made up by chance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use consentry::consent::shared::{Batch, Engine, NameKind, Told};
use consentry::consent::{
    Cause, EntityId, Event, Grant, Happened, Proof, ProofKind, Scope, Source,
};
use consentry::policy::{ConsentClass, Period, Promise, Review};
use consentry::postgres;
use consentry::registry::Msisdn;

use super::servers::{self, Server};

pub const SECOND_US: u64 = 1_000_000;
pub const NOW_US: u64 = 1_795_478_400 * SECOND_US;

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A database of a test's own.
pub struct Stage {
    pub server: &'static Server,
    pub database: String,
}

impl Stage {
    /// None where there is no PostgreSQL, which says so.
    pub fn new() -> Option<Stage> {
        let server = servers::shared()?;
        let database = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        server.database(&database);
        Some(Stage { server, database })
    }

    /// An engine over at most so many connections, straight to the server.
    pub fn engine(&self, connections: usize) -> Engine {
        self.engine_at(self.server.address(), connections)
    }

    /// The same, by way of an address.
    pub fn engine_at(&self, address: std::net::SocketAddr, connections: usize) -> Engine {
        let url = format!("postgres://consentry@{address}/{}", self.database);
        engine_of(&url, connections)
    }

    /// Runs statements in the database; the rows as texts.
    pub fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.server.query_in(&self.database, sql)
    }
}

pub fn engine_of(url: &str, connections: usize) -> Engine {
    let server = postgres::Server::new(url.parse().expect("a URL"), None).expect("a server");
    let patience = std::time::Duration::from_secs(20);
    Engine::new(server.pool(connections, patience).expect("a pool"))
}

/// Runs a test in a database that has its tables and one entity, with a limit of time.
pub fn staged<F: Future<Output = ()>>(run: impl FnOnce(Arc<Stage>, Engine) -> F) {
    let Some(stage) = Stage::new() else { return };
    block_on(async {
        let stage = Arc::new(stage);
        let engine = stage.engine(4);
        engine.migrate().await.expect("migrated");
        assert_eq!(engine.give(NameKind::Entity, "甲").await, Ok(Ok(0)));
        run(stage, engine).await;
    });
}

pub fn block_on(run: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let limit = std::time::Duration::from_secs(120);
        tokio::time::timeout(limit, run).await.expect("the test ends in time");
    });
}

pub fn entity(number: u16) -> EntityId {
    EntityId::new(number).expect("below the limit")
}

pub fn person(number: u64) -> Msisdn {
    Msisdn::new(8_613_000_000_000 + number).expect("a number")
}

pub fn grant(promise: Option<Promise>) -> Happened {
    let proof = Proof { kind: ProofKind::Web, sha256: [1; 32], review: Review::Reviewed };
    let class = ConsentClass::Commercial;
    Happened::Granted(Grant { scope: Scope::ALL, class, until_us: None, promise, proof })
}

pub const REVOKED: Happened = Happened::Revoked(Cause::Refused);
pub const SENT: Happened = Happened::Sent { scope: Scope::ALL };
pub const ASKED: Happened = Happened::Asked { content: 7 };

/// An event of entity 0 so many seconds after [`NOW_US`].
pub fn told(number: u64, second: u64, happened: Happened) -> Told {
    let time_us = NOW_US + second * SECOND_US;
    let (entity, recipient, source) = (entity(0), person(number), Source::Api);
    let event = Event { entity, recipient, time_us, source, happened };
    Told { event, recorded_us: time_us }
}

pub fn batch(events: &[Told]) -> Batch<'_> {
    Batch { origin: None, events, claims: false }
}

/// Chance that prints its seed where a test names it: xorshift64*.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// Any event, of few pairs, so that they meet; some of them cannot be taken.
    pub fn event(&mut self, scopes: &[Scope]) -> Told {
        let scope = self.one(scopes);
        let review = self.one(&[Review::Submitted, Review::Reviewed, Review::Rejected]);
        let time_us = NOW_US - self.below(50) * SECOND_US;
        let happened = match self.below(8) {
            0..=2 => {
                let sha256 = [self.below(3) as u8; 32];
                let proof = Proof { kind: ProofKind::Web, sha256, review };
                let promise = Promise { messages: 1 + self.below(3) as u16, period: Period::Day };
                let promise = (self.below(2) == 0).then_some(promise);
                let until_us = self.below(3).checked_sub(1).map(|end| time_us + end * SECOND_US);
                let class = self.one(&[ConsentClass::Commercial, ConsentClass::Service]);
                Happened::Granted(Grant { scope, class, until_us, promise, proof })
            }
            3 => Happened::Revoked(self.one(&[Cause::Refused, Cause::Recycled])),
            4 => {
                let sha256 = (self.below(2) == 0).then_some([self.below(3) as u8; 32]);
                Happened::Reviewed { scope, sha256, review }
            }
            5 => Happened::Asked { content: 1 + self.below(2) as u32 },
            _ => Happened::Sent { scope },
        };
        let source = self.one(&[Source::Reply, Source::Api, Source::File]);
        let (entity, recipient) = (entity(self.below(2) as u16), person(self.below(6)));
        let ahead = if self.below(20) == 0 { 600 * SECOND_US } else { 0 };
        let event = Event { entity, recipient, time_us: time_us + ahead, source, happened };
        Told { event, recorded_us: NOW_US }
    }
}
