//! `consentry replay --to` as a user runs it: a trace of proto-fixtures against an SMSC on loopback.

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output};

use consentry::capture::{self, Capture, Limits, Note, Stream, Wanted, Way};
use consentry::peer::smsc::{Options, Smsc};
use consentry::smpp::message::WireAddress;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header};
use serde_json::{Value, json};

const DAY: &str = "proto-fixtures/traces/day.pcap.gz";

fn smsc(status: Option<(CommandStatus, u64)>) -> Smsc {
    let password = Some("secret".to_owned());
    let options = Options { password, status, received_max: 10_000, ..Default::default() };
    Smsc::start(options).expect("an SMSC on loopback")
}

/// Plays with a password file that holds `password`.
fn play(trace: &Path, to: &str, password: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("password");
    std::fs::write(&file, password).expect("written");
    Process::new(env!("CARGO_BIN_EXE_consentry"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .arg("replay")
        .arg(trace)
        .args(["--to", to, "--system-id", "played"])
        .args(if more.contains(&"--speed") { &[][..] } else { &["--speed", "max"] })
        .arg("--password-file")
        .arg(file)
        .args(more)
        .output()
        .expect("consentry runs")
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("one object")
}

/// A trace of the proxy's own with one stream, each of whose messages was answered ESME_ROK.
fn own_trace(folder: &Path) -> PathBuf {
    let options = capture::Options {
        folder: folder.to_owned(),
        limits: Limits { file_octets: 1 << 20, files: 1 },
        wanted: Wanted::default(),
    };
    let capture = Capture::new(options, capture::Known::default());
    let run = capture.start(Wanted::default()).expect("a folder to write in");
    let esme = "192.0.2.1:40000".parse().expect("an address");
    let mut stream = Stream::new(esme, "192.0.2.2:2775".parse().expect("one"), true, 1);
    stream.open(&run.queue, 1, String::new());
    let mut pdu = Vec::new();
    for sequence in 1..=20 {
        for (way, id) in [(Way::In, 4), (Way::Out, 0x8000_0004)] {
            pdu.clear();
            write::header_only(&mut pdu, id, CommandStatus::ESME_ROK, sequence);
            if way == Way::In {
                pdu.clear();
                let address = |value| WireAddress { ton: 0, npi: 1, value };
                let fields = MessageFields {
                    source: address(b"106900001234"),
                    destination: address(b"8613800138000"),
                    esm_class: 0,
                    registered_delivery: 0,
                    data_coding: 8,
                    short_message: b"\x4f\x60",
                };
                write::message(&mut pdu, Command::SubmitSm, sequence, fields, |_| {});
            }
            stream.pdu(&run.queue, way, u64::from(sequence), Note::None, &pdu);
        }
    }
    assert!(capture.stop());
    folder.join(run.file())
}

#[test]
fn a_trace_of_the_proxys_own_is_answered_as_it_was() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let trace = own_trace(folder.path());
    let smsc = smsc(None);
    let to = smsc.address().to_string();
    let output = play(&trace, &to, "secret\n", &["--json", "--speed", "1000"]);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    for (key, count) in [("streams", 1), ("sent", 20), ("answered", 20), ("differing", 0)] {
        assert_eq!(report[key], count, "{key}");
    }
    let latency = &report["latency_ns"];
    assert!(
        latency["p50"].as_u64() > Some(0) && latency["p99"].as_u64() >= latency["p50"].as_u64()
    );
}

#[test]
fn a_day_is_played_and_what_is_answered_otherwise_is_exit_status_1() {
    // Six of the day's messages were throttled then.
    for (status, kinds) in [
        (None, vec![("ESME_RTHROTTLED", "ESME_ROK", 6)]),
        (Some((CommandStatus::ESME_RTHROTTLED, 1)), vec![("ESME_ROK", "ESME_RTHROTTLED", 389)]),
    ] {
        let smsc = smsc(status);
        let to = smsc.address().to_string();
        let output = play(Path::new(DAY), &to, "secret", &["--json"]);
        let report = report(&output);
        assert_eq!(output.status.code(), Some(1), "{report}");
        let kinds: Vec<Value> = kinds
            .into_iter()
            .map(|(then, now, count)| json!({ "captured": then, "now": now, "count": count }))
            .collect();
        assert_eq!(report["kinds"], Value::from(kinds));
        assert_eq!(
            report["differences"].as_array().map(Vec::len),
            report["differing"].as_u64().map(|n| n as usize)
        );
        let received = smsc.received();
        let requests = received.iter().filter(|one| {
            let command = Header::of(&one.octets).map(|header| header.command);
            let is_ours =
                |command| command == Command::Unbind || command == Command::BindTransceiver;
            one.system_id == "played" && !command.is_none_or(is_ours)
        });
        assert_eq!(Some(requests.count() as u64), report["sent"].as_u64());
    }
}

#[test]
fn a_table_tells_latencies_and_what_differs() {
    let smsc = smsc(None);
    let output = play(Path::new(DAY), &smsc.address().to_string(), "secret", &[]);
    let table = String::from_utf8(output.stdout).expect("text");
    for line in [
        "requests    399 sent in ",
        "latency     p99.9 ",
        "differing   6\n          6  ESME_RTHROTTLED -> ESME_ROK\n  stream 2 submit_sm 18: ",
    ] {
        assert!(table.contains(line), "{line}: {table}");
    }
}

#[test]
fn what_cannot_be_played_is_exit_status_2_and_one_sentence() {
    let smsc = smsc(None);
    let here = smsc.address().to_string();
    let gone = {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        taken.local_addr().expect("an address").to_string()
    };
    for (to, password, more, told) in [
        (&gone, "secret", &[][..], "cannot connect to 127.0.0.1:"),
        (&here, "wrong", &[], "was answered ESME_RINVPASWD"),
        (&here, "nine-octets", &[], "must hold one line of 8 octets at most"),
        (&here, "two\nlines", &[], "must hold one line of 8 octets at most"),
        (&here, "secret", &["--speed", "0"], "a speed is above zero"),
        (&here, "secret", &["--window", "0"], "--window"),
        (&here, "secret", &["--config", "x.toml"], "cannot be used with"),
        (&here, "secret", &["Cargo.toml"], "nothing was played"),
    ] {
        let output = play(Path::new(DAY), to, password, more);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(told), "{told}: {said}");
    }
    let played = smsc.received().iter().any(|one| {
        Header::of(&one.octets).is_some_and(|header| header.command == Command::SubmitSm)
    });
    assert!(!played, "nothing was sent");
}
