//! Mirrors of a running proxy: each record is on the other side exactly once in effect, whatever happens
//! to the other side, the way to it, or the proxy.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use consentry::audit::{Reader, Record};
use consentry::peer::esme::Esme;
use consentry::peer::smsc::{Options, Smsc};
use consentry::smpp::message::WireAddress;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header};
use running::Proxy;
use serde_json::Value;

mod check;
mod content;
mod file;
#[allow(dead_code)] // its other users need more of it
mod forward;
#[cfg(feature = "kafka")]
mod kafka;
mod kills;
mod postgres;
#[path = "../proxy/running.rs"]
#[allow(dead_code)] // its other users need more of it
mod running;
#[path = "../servers/mod.rs"]
#[allow(dead_code)] // its other users need more of it
mod servers;
#[path = "../shim/mod.rs"]
mod shim;
#[cfg(feature = "kafka")]
mod streams;

/// Configuration behind the listener: a journal, metrics, and `mirrors`.
fn config(mirrors: &str) -> String {
    format!(
        "[audit]\npath = \"audit\"\ndurability = \"written\"\nsegment = \"1MiB\"\nparquet = false\n\
         [admin]\naddress = \"127.0.0.1:0\"\n{mirrors}"
    )
}

fn smsc() -> Smsc {
    Smsc::start(Options { received_max: 1 << 20, ..Options::default() }).expect("on loopback")
}

/// Sends `count` messages and hears their answers; to different recipients, by turns refused.
async fn traffic(proxy: &Proxy, count: u32) {
    let mut esme = Esme::connect(proxy.address()).await.expect("the proxy accepts");
    let status = esme.bind(Command::BindTransceiver, "test", "secret").await.expect("an answer");
    assert_eq!(status, CommandStatus::ESME_ROK);
    let mut pdus = Vec::new();
    for sequence in 2..count + 2 {
        let source: &[u8] = if sequence % 3 == 0 { b"106911119999" } else { b"106900001234" };
        let recipient = format!("86138{:08}", sequence);
        let address = |value| WireAddress { ton: 0, npi: 1, value };
        let fields = MessageFields {
            source: address(source),
            destination: address(recipient.as_bytes()),
            esm_class: 0,
            registered_delivery: 0,
            data_coding: 8,
            short_message: b"\x4f\x60\x59\x7d",
        };
        write::message(&mut pdus, Command::SubmitSm, sequence, fields, |_| {});
    }
    let mut answers = 0;
    for chunk in pdus.chunks(1 << 14) {
        esme.send(chunk).await.expect("the proxy reads");
    }
    while answers < count {
        let pdu = esme.next().await.expect("an answer").expect("it stays");
        let header = Header::of(&pdu).expect("a header");
        answers += u32::from(header.command == Command::SubmitSmResp);
    }
}

/// Every record of the journal but links, by its number: kind and, of a message, how its row names it.
fn records(folder: &Path) -> BTreeMap<u64, &'static str> {
    let mut found = BTreeMap::new();
    let mut reader = Reader::open(&folder.join("audit")).expect("the journal is there");
    while let Some(entry) = reader.next().expect("the journal is whole") {
        if !matches!(entry.record(), Record::Link(_)) {
            found.insert(entry.number, entry.record().name());
        }
    }
    found
}

/// Looks every 50 ms until it is so.
fn within(what: &str, patience: Duration, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + patience;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A series of the proxy's metrics.
fn metric(proxy: &Proxy, series: &str) -> Option<f64> {
    use std::io::{Read, Write};
    let admin = proxy.admin.expect("an admin address");
    let mut stream = std::net::TcpStream::connect(admin).ok()?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let line = answer.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok())
}

/// Waits until the mirror has everything.
fn caught_up(proxy: &Proxy, mirror: &str) {
    // What was just recorded is on the disk within a second; only then it counts as lag.
    std::thread::sleep(Duration::from_millis(1500));
    let lag = format!("consentry_mirror_lag_records{{mirror=\"{mirror}\"}}");
    within("the mirror has everything", Duration::from_secs(60), || {
        metric(proxy, &lag) == Some(0.0)
    });
}

/// Stops the proxy in good order; what the last second recorded may be on its way still.
fn stop(mut proxy: Proxy) {
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
}

/// Compares rows, each an object, with the journal: those of records up to `through`, each once.
fn same(rows: &[Value], records: &BTreeMap<u64, &'static str>, through: u64) {
    let mut found = BTreeMap::new();
    for row in rows {
        let record = row["record"].as_u64().expect("a number");
        let before = found.insert(record, row["kind"].as_str().expect("a kind").to_owned());
        assert_eq!(before, None, "record {record} is there twice");
    }
    let expected: BTreeMap<u64, String> =
        records.range(..=through).map(|(record, kind)| (*record, (*kind).to_owned())).collect();
    let missing: Vec<_> = expected.keys().filter(|one| !found.contains_key(one)).collect();
    assert!(missing.is_empty(), "not mirrored: {missing:?}");
    let more = found.iter().filter(|(record, kind)| records.get(record) != Some(&kind.as_str()));
    let more: Vec<_> = more.collect();
    assert!(more.is_empty(), "mirrored and not in the journal: {more:?}");
}
