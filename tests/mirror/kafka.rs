//! Kind `kafka`, against librdkafka's mock broker: real sockets and the real protocol, in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::Value;

use crate::running::Proxy;
use crate::{caught_up, config, records, same, smsc, traffic, within};

const TOPIC: &str = "consentry.records";

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> Cluster {
    let cluster = MockCluster::new(1).expect("a mock broker");
    cluster.create_topic(TOPIC, 4, 1).expect("a topic");
    cluster
}

fn mirror(cluster: &Cluster) -> String {
    let broker = cluster.bootstrap_servers();
    config(&format!(
        "[[mirror]]\nname = \"stream\"\nkind = \"kafka\"\nbrokers = [\"{broker}\"]\n\
         topic = \"{TOPIC}\"\nwait = \"20ms\"\nbatch = 200\nnode = \"here\"\n"
    ))
}

/// A message: partition, key, row.
type Read = (i32, String, Value);

/// Everything in the topic, from the beginning, until nothing came for two seconds.
fn consume(cluster: &Cluster) -> Vec<Read> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", format!("test-{:?}", Instant::now()))
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[TOPIC]).expect("subscribed");
    let (mut read, mut last, begun) = (Vec::new(), Instant::now(), Instant::now());
    while begun.elapsed() < Duration::from_secs(60) {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            let key = message.key().map(|key| String::from_utf8_lossy(key).into_owned());
            let row = serde_json::from_slice(message.payload().expect("a payload")).expect("JSON");
            read.push((message.partition(), key.unwrap_or_default(), row));
            last = Instant::now();
        } else if !read.is_empty() && last.elapsed() > Duration::from_secs(2) {
            break;
        }
    }
    read
}

/// Requests to produce that a broker cuts the connection on: more than come while it is called away.
const CUT_MAX: usize = 10_000;

/// The broker cuts the connection whenever something is to be produced, until [`comes_back`]. (The
/// mock's own way of going down takes its port anew at once, which not every system grants.)
fn goes_away(cluster: &Cluster) {
    let cut = [RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT; CUT_MAX];
    cluster.request_errors(RDKafkaApiKey::Produce, &cut);
}

fn comes_back(cluster: &Cluster) {
    cluster.clear_request_errors(RDKafkaApiKey::Produce);
}

/// Each row once, as a consumer that goes by journal and record has them.
fn once(read: Vec<Read>) -> Vec<Value> {
    let key = |row: &Value| (row["journal"].to_string(), row["record"].as_u64());
    let rows: BTreeMap<_, _> = read.into_iter().map(|(_, _, row)| (key(&row), row)).collect();
    rows.into_values().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_is_a_message_keyed_by_its_provider_and_in_order() {
    let cluster = cluster();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc();
    let proxy = Proxy::start(folder.path(), smsc.address(), &mirror(&cluster), "");
    traffic(&proxy, 500).await;
    caught_up(&proxy, "stream");
    let through = *records(folder.path()).last_key_value().expect("records").0;
    let read = consume(&cluster);
    let keyed: Vec<_> = read.iter().filter(|(_, key, _)| key == "测试有限公司").collect();
    assert!(keyed.len() > 500, "{}", keyed.len());
    let partitions: BTreeSet<_> = keyed.iter().map(|(partition, _, _)| partition).collect();
    assert_eq!(partitions.len(), 1, "one provider, one partition");
    let order: Vec<_> = keyed.iter().map(|(_, _, row)| row["record"].as_u64()).collect();
    assert!(order.is_sorted(), "in order");
    assert!(keyed.iter().all(|(_, key, row)| row["provider"] == **key));
    let is_leaf = |row: &Value| row["leaf"].as_str().is_some_and(|leaf| leaf.len() == 64);
    assert!(read.iter().all(|(_, _, row)| is_leaf(row) && row["previous"].is_u64()));
    let rows: Vec<Value> = read.into_iter().map(|(_, _, row)| row).collect();
    same(&rows, &records(folder.path()), through);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_goes_away_or_a_killed_proxy_loses_nothing() {
    let cluster = cluster();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc();
    goes_away(&cluster);
    let mut proxy = Proxy::start(folder.path(), smsc.address(), &mirror(&cluster), "");
    let began = Instant::now();
    traffic(&proxy, 300).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let lag = "consentry_mirror_lag_records{mirror=\"stream\"}";
    within("the lag is seen", Duration::from_secs(60), || crate::metric(&proxy, lag) > Some(300.0));
    comes_back(&cluster);
    within("it is caught up", Duration::from_secs(60), || crate::metric(&proxy, lag) < Some(100.0));
    for _ in 0..3 {
        traffic(&proxy, 300).await;
        proxy.signal("-KILL");
        proxy.wait();
        proxy = Proxy::start(folder.path(), smsc.address(), &mirror(&cluster), "");
    }
    caught_up(&proxy, "stream");
    let through = *records(folder.path()).last_key_value().expect("records").0;
    same(&once(consume(&cluster)), &records(folder.path()), through);
    drop(proxy);
}
