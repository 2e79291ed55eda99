//! The room `postgres`, with real servers: TLS, several hosts, passwords, pools, rights; and the servers themselves.

use std::time::{Duration, Instant};

use consentry::postgres::{Connection, Fault, Server as Database};

mod encrypted;
mod hosts;
mod pools;
mod rights;
#[path = "../servers/mod.rs"]
#[allow(dead_code)] // its other users need more of it
mod servers;

/// How long anything may take that does not fail.
const PATIENCE: Duration = Duration::from_secs(30);

fn database(url: &str) -> Database {
    Database::new(url.parse().expect(url), None).expect(url)
}

/// Connects; what it says of a URL never holds the password of these tests.
async fn connect(url: &str) -> Result<Connection, Fault> {
    let connected = tokio::time::timeout(PATIENCE, database(url).connect()).await;
    let connected = connected.expect("within its own limits");
    if let Err(fault) = &connected {
        assert!(!format!("{fault} {fault:?}").contains("hunter2"), "{fault:?}");
    }
    connected
}

/// The only value of the only row.
async fn one(connection: &Connection, sql: &str) -> String {
    let asked = tokio::time::timeout(PATIENCE, connection.query_one(sql, &[])).await;
    asked.expect("an answer").expect(sql).get(0)
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
