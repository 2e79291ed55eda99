//! The engine of a shared ledger: how long a look-up, a batch and a poll take, and how much goes through.
//!
//! ```text
//! cargo bench --bench engine                        200,000 pairs, on a server of its own
//! cargo bench --bench engine -- --pairs 1000000     as many as it says
//! ```
//!
//! The server is the newest PostgreSQL below /usr/lib/postgresql, on loopback, with `fsync` on and 512 MB of
//! buffers; then the same with a standby on the same machine that must have applied each commit
//! (`remote_apply`). Each figure is the median of the runs, with the least and the most. Markdown on
//! standard output.

#[path = "../tests/servers/mod.rs"]
#[allow(dead_code)] // its other users need more of it
mod servers;

use std::time::{Duration, Instant};

use bytes::Bytes;
use consentry::consent::shared::engine::CHUNK_EVENTS_MAX;
use consentry::consent::shared::{Batch, Engine, NameKind, Told};
use consentry::consent::{
    Cause, EntityId, Event, Grant, Happened, ImportKey, PairKey, Progress, Proof, ProofKind, Scope,
    Source,
};
use consentry::policy::{ConsentClass, Review};
use consentry::postgres;
use consentry::registry::Msisdn;
use futures_util::SinkExt;

const NOW_US: u64 = 1_790_000_000_000_000;
const RUNS: usize = 5;
/// Keys of one look-up.
const KEYS: usize = 500;

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--pairs").skip(1);
    let pairs = arguments.next().map_or(200_000, |count| count.parse().expect("a number"));
    let settings = ["fsync=on", "shared_buffers=512MB", "max_wal_size=4GB"];
    let Some(server) = servers::Server::start_with(&settings) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    server.database("ledger");
    let url = server.url_of("ledger");
    println!("### The engine of a shared ledger\n\n{pairs} pairs.\n");
    println!("| alone | |\n|---|---:|");
    runtime.block_on(measure(&url, pairs, true));
    let standby = server.standby();
    println!("\n| with a synchronous standby | |\n|---|---:|");
    runtime.block_on(measure(&url, pairs, false));
    server.alone();
    drop(standby);
}

fn engine(url: &str, connections: usize) -> Engine {
    let server = postgres::Server::new(url.parse().expect("a URL"), None).expect("a server");
    Engine::new(server.pool(connections, Duration::from_secs(30)).expect("a pool"))
}

/// Median, least and most.
fn spread(mut all: Vec<f64>, digits: usize) -> String {
    all.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (all.first(), all.last()) else { return "-".to_owned() };
    let median = all.get(all.len() / 2).unwrap_or(least);
    format!("{median:.digits$} ({least:.digits$} - {most:.digits$})")
}

fn percentile(all: &mut [f64], share: f64) -> f64 {
    all.sort_by(f64::total_cmp);
    let at = (all.len() as f64 * share) as usize;
    all.get(at.min(all.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

fn told(number: u64, happened: Happened, source: Source) -> Told {
    let entity = EntityId::new(0).expect("the first");
    let recipient = Msisdn::new(8_613_000_000_000 + number).expect("a number");
    let event = Event { entity, recipient, time_us: NOW_US, source, happened };
    Told { event, recorded_us: NOW_US }
}

fn grant() -> Happened {
    let proof = Proof { kind: ProofKind::Web, sha256: [7; 32], review: Review::Reviewed };
    let class = ConsentClass::Commercial;
    Happened::Granted(Grant { scope: Scope::ALL, class, until_us: None, promise: None, proof })
}

/// Measures everything, and says each figure as soon as it is there.
async fn measure(url: &str, pairs: u64, is_new: bool) {
    let one = engine(url, 1);
    let row = |name: &str, value: String| println!("| {name} | {value} |");
    if is_new {
        one.migrate().await.expect("migrated");
        one.give(NameKind::Entity, "示例商城有限公司").await.expect("it answers").expect("given");
    }
    let (first, step) = if is_new { (0, pairs) } else { (pairs, pairs) };
    let (rates, locked) = imports(&one, first, step).await;
    row("import, events/s, chunks of 4,096", spread(rates, 0));
    row("-- lock held by a chunk, ms", spread(locked, 1));
    row("COPY of as many rows as pairs, rows/s", spread(copies(url, pairs).await, 0));
    let (median, tail) = look_ups(&one, pairs).await;
    row("look-up of 500 pairs that are there, ms", spread(median, 2));
    row("-- 99th percentile, ms", spread(tail, 2));
    row("look-ups of 500 pairs on 4 connections, pairs/s", spread(many(url, pairs).await, 0));
    for events in [1, 100, 1000] {
        let (median, tail, locked, rate) = batches(&one, pairs, events).await;
        row(&format!("batch of {events}, ms"), spread(median, 2));
        row("-- 99th percentile, ms", spread(tail, 2));
        row("-- lock held, ms", spread(locked, 2));
        row("-- events/s of one writer", spread(rate, 0));
    }
    row("8 writers, batches of 100, events/s", spread(writers(url, pairs, 100).await, 0));
    row("8 writers, batches of 1, batches/s", spread(writers(url, pairs, 1).await, 0));
    let (idle, busy) = polls(&one).await;
    row("poll that finds nothing, ms", spread(idle, 2));
    row("poll that reads 1,000 changes, ms", spread(busy, 2));
}

/// Grants of so many people from a number on, as an import: events a second of each part of it.
async fn imports(engine: &Engine, first: u64, count: u64) -> (Vec<f64>, Vec<f64>) {
    let all: Vec<Told> =
        (first..first + count).map(|number| told(number, grant(), Source::File)).collect();
    let key = ImportKey([u8::try_from(first.min(1)).unwrap_or(0); 32]);
    let (mut rates, mut locked) = (Vec::new(), Vec::new());
    let mut before: Option<Progress> = None;
    for part in all.chunks(all.len().div_ceil(RUNS)) {
        let begun = Instant::now();
        for chunk in part.chunks(CHUNK_EVENTS_MAX) {
            let mut done = before.clone().unwrap_or_default();
            done.lines += chunk.len() as u64;
            let imported = engine.import(key, before.as_ref(), chunk, &done, &mut |_| {}).await;
            let imported = imported.expect("taken");
            locked.push(imported.locked.as_secs_f64() * 1e3);
            before = Some(imported.done);
        }
        rates.push(part.len() as f64 / begun.elapsed().as_secs_f64());
    }
    (rates, locked)
}

/// What the server takes at most: rows like pairs into a table in 16 parts.
async fn copies(url: &str, rows: u64) -> Vec<f64> {
    let server = postgres::Server::new(url.parse().expect("a URL"), None).expect("a server");
    let client = server.connect().await.expect("a connection");
    let parts = (0..16).map(|part| {
        format!(
            "CREATE TABLE copied_{part} PARTITION OF copied \
             FOR VALUES WITH (MODULUS 16, REMAINDER {part});"
        )
    });
    let parts: String = parts.collect();
    let value = "\\\\x".to_owned() + &"ab".repeat(71);
    let mut rates = Vec::new();
    for _ in 0..RUNS {
        let make = format!(
            "DROP TABLE IF EXISTS copied; CREATE TABLE copied (key bigint PRIMARY KEY, value bytea) \
             PARTITION BY HASH (key); {parts}"
        );
        client.batch_execute(&make).await.expect("made");
        let text: String = (0..rows).map(|key| format!("{key}\t{value}\n")).collect();
        let text = Bytes::from(text);
        let begun = Instant::now();
        let sink = client.copy_in::<_, Bytes>("COPY copied FROM STDIN").await.expect("begun");
        let mut sink = Box::pin(sink);
        for at in (0..text.len()).step_by(1 << 16) {
            sink.send(text.slice(at..text.len().min(at + (1 << 16)))).await.expect("sent");
        }
        sink.as_mut().finish().await.expect("copied");
        rates.push(rows as f64 / begun.elapsed().as_secs_f64());
    }
    client.batch_execute("DROP TABLE copied").await.expect("dropped");
    rates
}

/// Numbers all over the pairs, another for each look.
fn keys(look: usize, pairs: u64) -> Vec<PairKey> {
    let number = |at: usize| (((look * KEYS + at) as u64) * 7_919) % pairs;
    let key = |at| {
        let told = told(number(at), grant(), Source::File);
        PairKey::new(told.event.entity, told.event.recipient)
    };
    let mut keys: Vec<PairKey> = (0..KEYS).map(key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

async fn look_ups(engine: &Engine, pairs: u64) -> (Vec<f64>, Vec<f64>) {
    let (mut median, mut tail) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let mut all = Vec::new();
        for look in 0..50 {
            let keys = keys(run * 50 + look, pairs);
            let begun = Instant::now();
            let found = engine.pairs(&keys).await.expect("it answers");
            all.push(begun.elapsed().as_secs_f64() * 1e3);
            assert_eq!(found.len(), keys.len());
        }
        median.push(percentile(&mut all, 0.5));
        tail.push(percentile(&mut all, 0.99));
    }
    (median, tail)
}

async fn many(url: &str, pairs: u64) -> Vec<f64> {
    let engine = engine(url, 4);
    let mut rates = Vec::new();
    for run in 0..RUNS {
        let begun = Instant::now();
        let asking = (0..4).map(|one| {
            let engine = engine.clone();
            tokio::spawn(async move {
                for look in 0..25 {
                    let keys = keys((run * 4 + one) * 25 + look, pairs);
                    engine.pairs(&keys).await.expect("it answers");
                }
            })
        });
        for asking in asking.collect::<Vec<_>>() {
            asking.await.expect("done");
        }
        rates.push((4 * 25 * KEYS) as f64 / begun.elapsed().as_secs_f64());
    }
    rates
}

/// Revocations of people who are there, each batch of others.
fn revocations(batch: u64, events: u64, pairs: u64) -> Vec<Told> {
    let number = |at| ((batch * events + at) * 7_919) % pairs;
    let revoked = |at| told(number(at), Happened::Revoked(Cause::Refused), Source::Reply);
    (0..events).map(revoked).collect()
}

async fn apply(engine: &Engine, events: &[Told]) -> Duration {
    let batch = Batch { origin: None, events, claims: false };
    engine.apply(&batch).await.expect("taken").locked
}

async fn batches(
    engine: &Engine,
    pairs: u64,
    events: u64,
) -> (Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>) {
    let (mut median, mut tail, mut locked, mut rate) = (vec![], vec![], vec![], vec![]);
    let count = if events == 1_000 { 10 } else { 100 };
    for run in 0..RUNS as u64 {
        let (mut all, mut held) = (Vec::new(), Vec::new());
        let run_begun = Instant::now();
        for batch in 0..count {
            let told = revocations(run * count + batch, events, pairs);
            let begun = Instant::now();
            held.push(apply(engine, &told).await.as_secs_f64() * 1e3);
            all.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        rate.push((count * events) as f64 / run_begun.elapsed().as_secs_f64());
        median.push(percentile(&mut all, 0.5));
        tail.push(percentile(&mut all, 0.99));
        locked.push(percentile(&mut held, 0.5));
    }
    (median, tail, locked, rate)
}

async fn writers(url: &str, pairs: u64, events: u64) -> Vec<f64> {
    let engine = engine(url, 8);
    let mut rates = Vec::new();
    for run in 0..RUNS as u64 {
        let begun = Instant::now();
        let writing = (0..8).map(|writer| {
            let engine = engine.clone();
            tokio::spawn(async move {
                for batch in 0..20 {
                    let told = revocations((run * 8 + writer) * 20 + batch, events, pairs);
                    apply(&engine, &told).await;
                }
            })
        });
        for writing in writing.collect::<Vec<_>>() {
            writing.await.expect("done");
        }
        rates.push((8 * 20 * events) as f64 / begun.elapsed().as_secs_f64());
    }
    rates
}

async fn polls(engine: &Engine) -> (Vec<f64>, Vec<f64>) {
    let (mut idle, mut busy) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let last = engine.changes(0, 0, 1).await.expect("it answers");
        let mut all = Vec::new();
        for _ in 0..100 {
            let begun = Instant::now();
            let found = engine.changes(last.through, last.stamp, 1_000).await.expect("it answers");
            all.push(begun.elapsed().as_secs_f64() * 1e3);
            assert!(!found.back && found.pairs.is_empty());
        }
        idle.push(percentile(&mut all, 0.5));
        apply(engine, &revocations(0, 1_000, u64::MAX)).await;
        let mut all = Vec::new();
        for _ in 0..20 {
            let begun = Instant::now();
            let found = engine.changes(last.through, last.stamp, 1_000).await.expect("it answers");
            all.push(begun.elapsed().as_secs_f64() * 1e3);
            assert_eq!(found.pairs.len(), 1_000);
        }
        busy.push(percentile(&mut all, 0.5));
    }
    (idle, busy)
}
