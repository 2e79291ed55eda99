//! Three nodes and one database: what they tell each other of their senders arrives, over the real tables.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use consentry::cluster::{self, Exchange, KeywordsFrom, Serving};
use consentry::consent::shared::Engine;
use consentry::content::reply::Keyword;
use consentry::content::{Prohibited, Reader};
use consentry::metrics::{Exchanged, Metrics};
use consentry::policy::{Modes, Sweep};
use consentry::postgres::{Pool, Server as Database};
use consentry::registry::{self, Digits, Msisdn, ProviderId};
use consentry::session::{Knowledge, Texts};
use tokio::sync::mpsc;

mod proxies;
#[path = "../proxy/running.rs"]
#[allow(dead_code)] // its other users need more of it
mod running;
#[path = "../servers/mod.rs"]
#[allow(dead_code)] // its other users need more of it
mod servers;

const PATIENCE: Duration = Duration::from_secs(60);
const RATE: u64 = 60;
const PROVIDER: ProviderId = ProviderId(0);
const BASE: u64 = 8_613_800_130_048;

struct Node {
    knowledge: Arc<Knowledge>,
    begun: Instant,
    metrics: Metrics,
    announce: mpsc::Sender<(Digits, Keyword)>,
    kept: Arc<Mutex<Vec<(Digits, Keyword)>>>,
    exchange: Exchange,
}

fn nodes() -> NonZeroU32 {
    NonZeroU32::new(3).expect("three")
}

fn knowledge() -> Knowledge {
    let text =
        format!("[[provider]]\nname = \"示例商城有限公司\"\nsystem_ids = [\"a\"]\nrate = {RATE}\n");
    let registry = registry::parse(&text, "registry.toml").expect("valid");
    let modes = Modes::default();
    let reader = Reader::built_in().expect("weights");
    let lists = Prohibited::parse_all(&[]).expect("none");
    let mut knowledge =
        Knowledge::new(registry, Texts::new(reader, lists, Vec::new(), &modes), modes);
    knowledge.rates = std::mem::take(&mut knowledge.rates).shared_by(nodes());
    knowledge.sweeps = std::mem::take(&mut knowledge.sweeps).shared();
    knowledge
}

/// A node that knows these keywords from an earlier run.
fn node(pool: &Pool, name: &str, known: Vec<(Digits, Keyword)>) -> Node {
    let (knowledge, metrics, begun) = (Arc::new(knowledge()), Metrics::new(&[]), Instant::now());
    let (announce, announced) = mpsc::channel(10);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let (looked, keeping) = (knowledge.clone(), kept.clone());
    let serving = Serving {
        look: Box::new(move |look| look(&looked)),
        now_us: Box::new(move || begun.elapsed().as_micros() as u64),
        metrics: metrics.cluster(),
    };
    let keywords = KeywordsFrom {
        announced,
        known: Arc::new(move || known.clone()),
        keep: Box::new(move |code, keyword| keeping.lock().expect("kept").push((code, keyword))),
    };
    let exchange = cluster::start(pool, (name, nodes()), &Arc::new(serving), keywords);
    Node { knowledge, begun, metrics, announce, kept, exchange }
}

impl Node {
    fn take(&self) -> bool {
        let now_us = self.begun.elapsed().as_micros() as u64;
        self.knowledge.rates.take(PROVIDER, false, now_us)
    }

    fn see(&self, number: u64) -> Sweep {
        self.knowledge.sweeps.see(PROVIDER, Msisdn::new(BASE + number).expect("a number"))
    }

    fn knows(&self, code: Digits, keyword: Keyword) -> bool {
        let mut known = Vec::new();
        self.knowledge.announced.of(&code, &mut known);
        known.contains(&keyword)
    }

    fn shows(&self, metric: &str) -> bool {
        self.metrics.render().lines().any(|line| line == metric)
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn pool(server: &servers::Server, name: &str) -> Pool {
    let url = server.database(name);
    let database = Database::new(url.parse().expect("a url"), None).expect("no files");
    let pool = database.pool(16, PATIENCE).expect("a pool");
    Engine::new(pool.clone()).migrate().await.expect("tables");
    pool
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nodes_tell_each_other_arrives() {
    let Some(server) = servers::shared() else { return };
    let pool = pool(server, "told").await;
    let code = Digits::new(b"106900001234").expect("digits");
    let [before, word] = ["TDQS", "TDZD"].map(|word| Keyword::new(word).expect("a keyword"));
    let first = node(&pool, "one", vec![(code, before)]);
    let second = node(&pool, "two", Vec::new());
    let third = node(&pool, "three", Vec::new());
    let all = [&first, &second, &third];
    let seen = "consentry_cluster_nodes{state=\"seen\"} 3";
    until("all are seen", || all.iter().all(|one| one.shows(seen))).await;

    // Keywords: of an earlier run, and announced now.
    first.announce.send((code, word)).await.expect("room");
    for word in [before, word] {
        until("keywords are heard", || second.knows(code, word) && third.knows(code, word)).await;
    }
    assert!(third.kept.lock().expect("kept").contains(&(code, word)), "and kept");

    // Numbers of one block over two nodes; the third would send to the same block.
    let shuffled = |place: u64| place * 89 % 256;
    (0..70).for_each(|place| assert_eq!(first.see(shuffled(place)), Sweep::None));
    (70..140).for_each(|place| assert_eq!(second.see(shuffled(place)), Sweep::None));
    until("a block is found", || third.see(1) == Sweep::Block).await;

    // A rate: all three send as fast as they can.
    let (began, mut passed) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(2) {
        passed += all.iter().filter(|one| one.take()).count() as u64;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let most = began.elapsed().as_secs_f64() + 3.0;
    assert!(passed as f64 <= most * RATE as f64 + 6.0, "{passed} in {most} s of {RATE}");
    assert!(passed >= RATE, "{passed}");

    // Who leaves is no absent one.
    first.exchange.stop().await;
    let seen = "consentry_cluster_nodes{state=\"seen\"} 2";
    until("one has left", || second.shows(seen)).await;
    assert!(second.shows("consentry_cluster_nodes{state=\"absent\"} 0"));
    second.exchange.stop().await;
    third.exchange.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_database_is_gone_each_goes_by_its_part_and_tells_later() {
    let Some(mut server) = servers::Server::start() else { return };
    let pool = pool(&server, "gone").await;
    let (first, second) = (node(&pool, "one", Vec::new()), node(&pool, "two", Vec::new()));
    until("both are seen", || first.shows("consentry_cluster_nodes{state=\"seen\"} 2")).await;
    server.down();
    (0..70).for_each(|number| {
        first.see(number);
    });
    let age = first.metrics.render();
    assert!(age.contains(Exchanged::Rates.name()));
    // No lease is good any more: a second brings a third of the rate, and there is no way to owe more.
    until("leases end", || {
        while first.take() {}
        first.begun.elapsed() > Duration::from_secs(4)
    })
    .await;
    let (began, mut passed) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(1) {
        passed += u64::from(first.take());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let most = began.elapsed().as_secs_f64() * RATE as f64 / 3.0 + 2.0;
    assert!(passed as f64 <= most && passed > 0, "{passed}, at most {most}");
    server.up();
    (70..140).for_each(|number| {
        first.see(number);
    });
    until("what happened meanwhile is told", || second.see(1) == Sweep::Block).await;
    first.exchange.stop().await;
    second.exchange.stop().await;
}
