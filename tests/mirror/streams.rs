//! Streams of consent events, against librdkafka's mock broker: what a CRM tells comes into the ledger once,
//! whatever happens to the proxy, and what the ledger takes goes out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use consentry::peer::esme::Esme;
use consentry::peer::smsc::Smsc;
use consentry::smpp::message::WireAddress;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Message};
use serde_json::{Value, json};

use crate::running::{Proxy, ask};
use crate::{config, metric, smsc, within};

const IN: &str = "crm.consents";
const OUT: &str = "consentry.consents";
const REJECTED: &str = "crm.rejected";
const ENTITY: &str = "测试有限公司";
const CODE: &[u8] = b"106900001234";
const PATIENCE: Duration = Duration::from_secs(90);

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> Cluster {
    let cluster = MockCluster::new(1).expect("a mock broker");
    for topic in [IN, OUT, REJECTED] {
        cluster.create_topic(topic, 3, 1).expect("a topic");
    }
    cluster
}

fn stream_in(cluster: &Cluster, more: &str) -> String {
    let broker = cluster.bootstrap_servers();
    format!(
        "[[stream]]\nname = \"crm\"\ndirection = \"in\"\nbrokers = [\"{broker}\"]\n\
         topic = \"{IN}\"\nwait = \"20ms\"\n{more}"
    )
}

fn stream_out(cluster: &Cluster, numbers: &str) -> String {
    let broker = cluster.bootstrap_servers();
    format!(
        "[[stream]]\nname = \"news\"\ndirection = \"out\"\nbrokers = [\"{broker}\"]\n\
         topic = \"{OUT}\"\nwait = \"20ms\"\nnode = \"here\"\nnumbers = \"{numbers}\"\n"
    )
}

fn producer(cluster: &Cluster) -> BaseProducer {
    let servers = cluster.bootstrap_servers();
    ClientConfig::new().set("bootstrap.servers", servers).create().expect("a producer")
}

/// Sends events keyed by their number, and returns when the broker has them.
fn produce(producer: &BaseProducer, events: &[Value]) {
    for event in events {
        let (key, payload) = (event["number"].to_string(), event.to_string());
        let record = BaseRecord::to(IN).key(&key).payload(&payload);
        producer.send(record).map_err(|(error, _)| error).expect("queued");
    }
    producer.flush(Duration::from_secs(30)).expect("the broker has them");
}

/// A message: partition, key, headers, text.
struct Read {
    partition: i32,
    key: String,
    why: Option<String>,
    value: Value,
}

/// Everything in a topic, from the beginning, until it is enough.
fn consume(cluster: &Cluster, topic: &str, enough: impl Fn(&[Read]) -> bool) -> Vec<Read> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", format!("test-{:?}", Instant::now()))
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[topic]).expect("subscribed");
    let (mut read, begun) = (Vec::new(), Instant::now());
    while !enough(&read) {
        assert!(begun.elapsed() < PATIENCE, "{topic} has {} messages only", read.len());
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
        use rdkafka::message::Headers;
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let payload = message.payload().unwrap_or_default();
        read.push(Read {
            partition: message.partition(),
            key: text(message.key().unwrap_or_default()),
            why: message.headers().map(|all| text(all.get(0).value.unwrap_or_default())),
            value: serde_json::from_slice(payload).unwrap_or_else(|_| text(payload).into()),
        });
    }
    read
}

fn number(of: u32) -> String {
    format!("861380000{of:04}")
}

fn grant(id: &str, number: &str, time: &str) -> Value {
    json!({ "id": id, "number": number, "entity": ENTITY, "time": time, "proof": "web",
        "proof_sha256": "cd".repeat(32) })
}

fn post(proxy: &Proxy, path: &str, body: &Value) -> String {
    let admin = proxy.admin.expect("an admin address");
    let what = format!("POST /api/v1/consents{path}");
    let (status, answer) = ask(admin, &what, "", &body.to_string());
    assert_eq!(status, 200, "{answer}");
    answer
}

fn history(proxy: &Proxy, number: &str) -> Vec<Value> {
    let answer = post(proxy, "/history", &json!({ "number": number, "entity": ENTITY }));
    answer.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

fn outcome(proxy: &Proxy, outcome: &str) -> f64 {
    let series = format!("consentry_stream_messages_total{{outcome=\"{outcome}\",stream=\"crm\"}}");
    metric(proxy, &series).unwrap_or(0.0)
}

/// A handset's refusal comes in by the SMSC.
async fn refuse(proxy: &Proxy, smsc: &Smsc, number: &str) {
    let mut esme = Esme::connect(proxy.address()).await.expect("the proxy accepts");
    let status = esme.bind(Command::BindTransceiver, "test", "secret").await.expect("an answer");
    assert_eq!(status, CommandStatus::ESME_ROK);
    let address = |value| WireAddress { ton: 1, npi: 1, value };
    let fields = MessageFields {
        source: address(number.as_bytes()),
        destination: WireAddress { ton: 0, npi: 1, value: CODE },
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: b"\0T\0D",
    };
    let mut pdu = Vec::new();
    write::message(&mut pdu, Command::DeliverSm, 7, fields, |_| {});
    assert!(smsc.send("test", &pdu), "a session can receive");
    assert_eq!(esme.next().await.expect("a PDU").as_deref(), Some(pdu.as_slice()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crm_tells_comes_in_and_goes_out_under_its_id() {
    let cluster = cluster();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc();
    let both = format!(
        "{}{}",
        stream_in(&cluster, &format!("rejected = \"{REJECTED}\"\n")),
        stream_out(&cluster, "whole")
    );
    let proxy = Proxy::start(folder.path(), smsc.address(), &config(&both), "");
    let producer = producer(&cluster);
    let (one, two) = (number(1), number(2));
    let revoked = json!({ "id": "crm-3", "number": two, "entity": ENTITY, "event": "revoked",
        "cause": "complaint", "time": "2026-10-02T00:00:00Z" });
    let wrong = json!({ "id": "crm-4", "number": "12", "event": "revoked" });
    let events = [
        grant("crm-1", &one, "2026-10-01T00:00:00Z"),
        grant("crm-2", &two, "2026-10-01T00:00:00Z"),
        revoked,
        wrong,
        grant("crm-1", &one, "2026-10-09T00:00:00Z"),
    ];
    produce(&producer, &events);
    within("all are taken", PATIENCE, || outcome(&proxy, "known") == 1.0);
    within("all are counted", PATIENCE, || outcome(&proxy, "taken") == 3.0);
    assert_eq!(outcome(&proxy, "rejected"), 1.0);
    let lag = "consentry_stream_lag_messages{stream=\"crm\"}";
    within("nothing is left", PATIENCE, || metric(&proxy, lag) == Some(0.0));

    // What nobody can read is where the CRM sees it, with the reason.
    let rejected = consume(&cluster, REJECTED, |read| !read.is_empty());
    assert_eq!(rejected[0].value["id"], "crm-4");
    let why = rejected[0].why.as_deref().expect("a reason");
    assert!(why.starts_with("number: is no subscriber's number"), "{why}");

    // The handset says no: the CRM hears of it.
    refuse(&proxy, &smsc, &one).await;
    let out = consume(&cluster, OUT, |read| read.len() >= 4);
    let of = |number: &str| -> Vec<&Read> {
        out.iter().filter(|read| read.value["number"] == number).collect()
    };
    let said = |read: &&Read| {
        let word = |name: &str| read.value[name].as_str().unwrap_or("-").to_owned();
        [word("event"), word("origin"), word("source"), word("cause")]
    };
    let first: Vec<_> = of(&one).iter().map(said).collect();
    let no = ["revoked", "-", "reply", "refused"].map(str::to_owned);
    assert_eq!(first, [["granted", "crm-1", "stream", "-"].map(str::to_owned), no]);
    let second: Vec<_> = of(&two).iter().map(said).collect();
    let complained = ["revoked", "crm-3", "stream", "complaint"].map(str::to_owned);
    assert_eq!(second, [["granted", "crm-2", "stream", "-"].map(str::to_owned), complained]);
    for read in &out {
        assert_eq!(read.value["entity"], ENTITY);
        assert_eq!(read.key, format!("{ENTITY}/{}", read.value["number"].as_str().unwrap_or("")));
        let id = read.value["id"].as_str().expect("an id");
        assert!(id.starts_with("here/") && id.split('/').count() == 3, "{id}");
    }
    for person in [&one, &two] {
        let partitions: BTreeSet<_> = of(person).iter().map(|read| read.partition).collect();
        assert_eq!(partitions.len(), 1, "one pair, one partition");
    }
    let numbers = of(&one)[1].value["ledger_event"].as_u64();
    assert_eq!(numbers, history(&proxy, &one)[1]["event"].as_u64());
}

#[test]
fn numbers_go_out_masked_unless_whole_ones_are_asked_for() {
    let cluster = cluster();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc();
    let out = stream_out(&cluster, "masked");
    let proxy = Proxy::start(folder.path(), smsc.address(), &config(&out), "");
    post(&proxy, "", &json!({ "number": number(1), "entity": ENTITY, "event": "revoked" }));
    let read = consume(&cluster, OUT, |read| !read.is_empty());
    assert_eq!(read[0].value["number"], "861********01");
    let token = read[0].value["token"].as_str().expect("a token");
    assert_eq!((token.len(), &read[0].key), (16, &format!("{ENTITY}/{token}")));
    assert_eq!((&read[0].value["source"], read[0].value.get("origin")), (&"api".into(), None));
}

/// Numbers by chance, from a seed that is printed.
struct Chance(u64);

impl Chance {
    fn new() -> Chance {
        use std::hash::{BuildHasher, Hasher};
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let seed =
            seed.unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish() | 1);
        println!("SEED={seed}");
        Chance(seed)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// What the pairs are told, in order: each by turns a consent and a refusal.
fn told(pairs: u32, events: u32) -> Vec<Value> {
    let mut all = Vec::new();
    for turn in 0..events {
        for pair in 0..pairs {
            let (id, time) = (format!("{pair}-{turn}"), format!("2026-10-01T00:{turn:02}:00Z"));
            all.push(if turn % 2 == 0 {
                grant(&id, &number(pair), &time)
            } else {
                json!({ "id": id, "number": number(pair), "entity": ENTITY, "event": "revoked",
                    "time": time })
            });
        }
    }
    all
}

#[test]
fn a_proxy_killed_at_any_moment_takes_each_event_once_though_the_producer_repeats_itself() {
    const PAIRS: u32 = 40;
    const TURNS: u32 = 10;
    let mut chance = Chance::new();
    let cluster = cluster();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc();
    let both = format!("{}batch = 7\n{}", stream_in(&cluster, ""), stream_out(&cluster, "whole"));
    let start = || Proxy::start(folder.path(), smsc.address(), &config(&both), "");
    let producer = producer(&cluster);
    let all = told(PAIRS, TURNS);
    let mut proxy = start();
    let kills = 3;
    for part in all.chunks(all.len() / (kills + 1)) {
        let mut repeated = Vec::new();
        for event in part {
            repeated.push(event.clone());
            // Once more at once, or what was sent long ago.
            if chance.below(3) == 0 {
                repeated.push(event.clone());
            }
            if chance.below(5) == 0 {
                let at = all.iter().position(|one| one == event).expect("one of them") as u64;
                repeated.push(all[chance.below(at + 1) as usize].clone());
            }
        }
        let before = outcome(&proxy, "taken");
        produce(&producer, &repeated);
        if part.last() == all.last() {
            break;
        }
        within("some are taken", PATIENCE, || outcome(&proxy, "taken") > before);
        std::thread::sleep(Duration::from_millis(chance.below(40)));
        proxy.signal("-KILL");
        proxy.wait();
        proxy = start();
    }
    let lag = "consentry_stream_lag_messages{stream=\"crm\"}";
    within("all are taken", PATIENCE, || {
        (0..PAIRS).all(|pair| history(&proxy, &number(pair)).len() >= TURNS as usize)
            && metric(&proxy, lag) == Some(0.0)
    });
    for pair in 0..PAIRS {
        let times: Vec<_> = history(&proxy, &number(pair))
            .iter()
            .map(|event| event["time"].as_str().unwrap_or("").to_owned())
            .collect();
        let expected: Vec<_> =
            (0..TURNS).map(|turn| format!("2026-10-01T00:{turn:02}:00Z")).collect();
        assert_eq!(times, expected, "pair {pair}: each once, in order");
    }
    assert_eq!(outcome(&proxy, "rejected"), 0.0, "nothing was refused for having come before");
    // All of them went out, under their ids, and the first time of each in order.
    let ids = |read: &[Read]| -> BTreeSet<String> {
        read.iter().filter_map(|one| one.value["origin"].as_str().map(str::to_owned)).collect()
    };
    let out = consume(&cluster, OUT, |read| ids(read).len() == all.len());
    let mut firsts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for read in &out {
        let origin = read.value["origin"].as_str().expect("an id").to_owned();
        let of_pair = firsts.entry(read.key.clone()).or_default();
        if !of_pair.contains(&origin) {
            of_pair.push(origin);
        }
    }
    assert_eq!(firsts.len(), PAIRS as usize);
    for (pair, origins) in firsts {
        let turns: Vec<u32> =
            origins.iter().filter_map(|origin| origin.split_once('-')?.1.parse().ok()).collect();
        assert_eq!(turns, (0..TURNS).collect::<Vec<_>>(), "{}", pair.len());
    }
}

#[test]
fn while_no_record_can_be_kept_or_no_broker_is_there_the_stream_waits() {
    let cluster = cluster();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc();
    // A file stands where the folder of rejected messages should be.
    std::fs::create_dir(folder.path().join("audit")).expect("made");
    std::fs::write(folder.path().join("audit/streams"), b"").expect("written");
    let crm = stream_in(&cluster, "");
    let proxy = Proxy::start(folder.path(), smsc.address(), &config(&crm), "");
    let producer = producer(&cluster);
    produce(&producer, &[json!({ "id": "crm-1", "number": number(1), "event": "nothing" })]);
    let failures = "consentry_stream_failures_total{stream=\"crm\"}";
    within("it fails", PATIENCE, || metric(&proxy, failures) > Some(1.0));
    produce(&producer, &[grant("crm-2", &number(2), "2026-10-01")]);
    let lag = "consentry_stream_lag_messages{stream=\"crm\"}";
    within("the lag shows", PATIENCE, || metric(&proxy, lag) >= Some(1.0));
    assert_eq!(proxy.logged("the stream stands still").len(), 1, "said once");
    std::fs::remove_file(folder.path().join("audit/streams")).expect("removed");
    within("it goes on", PATIENCE, || outcome(&proxy, "taken") == 1.0);
    assert_eq!(proxy.logged("the stream goes on").len(), 1);
    let kept = folder.path().join("audit/streams/crm.rejected.ndjson");
    let kept = std::fs::read_to_string(kept).expect("what was rejected is kept");
    assert!(kept.contains("crm-1") && kept.lines().count() == 1, "{kept}");

    // The broker cuts whoever fetches: nothing else is slower, and afterwards nothing is lost.
    let cut = [RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT; 10_000];
    cluster.request_errors(RDKafkaApiKey::Fetch, &cut);
    produce(&producer, &[grant("crm-3", &number(3), "2026-10-01")]);
    within("the lag shows again", PATIENCE, || metric(&proxy, lag) >= Some(1.0));
    post(&proxy, "", &json!({ "number": number(4), "entity": ENTITY, "event": "revoked" }));
    cluster.clear_request_errors(RDKafkaApiKey::Fetch);
    within("it is taken", PATIENCE, || outcome(&proxy, "taken") == 2.0);
}
