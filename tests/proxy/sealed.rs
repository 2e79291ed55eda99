//! What a running proxy encrypts: no number and no text on the disk, and keys destroyed beside it.

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output};
use std::time::Duration;

use consentry::peer::smsc::Options;
use consentry::smpp::message::WireAddress;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus};
use serde_json::Value;

use crate::running::Proxy;
use crate::{OURS, answer, bound, smsc};

const TEXT: &str = "您的验证码是583920请勿告诉他人";
const NUMBER: &str = "8613912345678";

fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn message(sequence: u32, source: &[u8]) -> Vec<u8> {
    let mut pdu = Vec::new();
    let fields = MessageFields {
        source: WireAddress { ton: 0, npi: 1, value: source },
        destination: WireAddress { ton: 1, npi: 1, value: NUMBER.as_bytes() },
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: &ucs2(TEXT),
    };
    write::message(&mut pdu, Command::SubmitSm, sequence, fields, |_| {});
    pdu
}

fn consentry(args: &[&str]) -> (Option<i32>, String, String) {
    let binary = env!("CARGO_BIN_EXE_consentry");
    let Output { status, stdout, stderr } =
        Process::new(binary).args(args).output().expect("the binary runs");
    let text = |octets| String::from_utf8(octets).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Fails with every file that holds a number or a word of the text, in any coding.
fn holds_nothing_in_clear(folder: &Path) {
    let parts = ["13912345678", "583920", "验证码", "请勿告诉"];
    let secrets: Vec<Vec<u8>> =
        parts.iter().flat_map(|part| [part.as_bytes().to_vec(), ucs2(part)]).collect();
    let mut looked_at = 0;
    for file in files(folder) {
        let octets = std::fs::read(&file).expect("a file");
        looked_at += octets.len();
        for secret in &secrets {
            let stands = octets.windows(secret.len()).any(|window| window == secret);
            assert!(!stands, "{} holds {}", file.display(), secret.escape_ascii());
        }
    }
    assert!(looked_at > 50, "{looked_at} octets");
}

fn shown(config: &str, record: u64, more: &[&str]) -> Value {
    let record = record.to_string();
    let args = [&["audit", "show", "-c", config, &record, "--json", "--unmask"], more].concat();
    let (status, out, said) = consentry(&args);
    assert_eq!(status, Some(0), "{out}{said}");
    serde_json::from_str(&out).expect("one object")
}

/// Numbers of the verdict records.
fn verdicts(config: &str) -> Vec<u64> {
    let (_, out, said) = consentry(&["audit", "search", "-c", config, "--json"]);
    let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).expect(&said));
    lines.filter(|line| line["kind"] == "verdict").filter_map(|l| l["record"].as_u64()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_is_for_auditors_and_ends_with_its_key() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (key, other) = (place("auditor.key"), place("other.key"));
    for file in [&key, &other] {
        assert_eq!(consentry(&["audit", "keys", "new-auditor", file]).0, Some(0));
    }
    let smsc = smsc(Options::default());
    let more = "[audit]\npath = \"state/audit\"\ndurability = \"written\"\n\
                auditors = [\"auditor.pub\"]\ncontent = \"ports\"\n";
    let mut proxy = Proxy::start(folder.path(), smsc.address(), more, "");
    let config = place("consentry.toml");
    let mut esme = bound(&proxy).await;
    for (sequence, source, expected) in
        [(2, OURS, CommandStatus::ESME_ROK), (3, b"95588" as &[u8], CommandStatus::ESME_RINVSRCADR)]
    {
        esme.send(&message(sequence, source)).await.expect("sent");
        let (_, status, ..) = answer(&mut esme).await.expect("an answer");
        assert_eq!(status, expected);
    }
    holds_nothing_in_clear(&folder.path().join("state"));
    let [passed, refused] = verdicts(&config)[..] else { panic!("two messages") };

    // Who runs the proxy reads the number and not the text; the auditor reads both.
    let line = shown(&config, passed, &[]);
    assert_eq!(line["destination"], NUMBER);
    assert!(line["content"]["text"].is_null());
    let says = line["content"]["unreadable"].as_str().expect("why");
    assert!(says.contains("--auditor-key"), "{says}");
    let line = shown(&config, passed, &["--auditor-key", &key]);
    assert_eq!(line["content"]["text"], TEXT);
    let line = shown(&config, passed, &["--auditor-key", &other]);
    let says = line["content"]["unreadable"].as_str().expect("why");
    assert!(says.contains("not written for the auditor"), "{says}");
    assert!(shown(&config, refused, &[])["content"].is_null(), "ports: only what goes on");

    // The key in use is not destroyed; the next one is made, and the proxy destroys the old one.
    let list = |config: &str| consentry(&["audit", "keys", "list", "-c", config, "--json"]).1;
    let listed: Value = serde_json::from_str(list(&config).trim()).expect("one key");
    let name = listed["key"].as_str().expect("a name");
    let destroy = ["audit", "keys", "destroy", "-c", &config, name, "--reason", "its term is over"];
    let (status, _, said) = consentry(&destroy);
    assert_eq!(status, Some(2));
    assert!(said.contains("is in use"), "{said}");
    assert_eq!(consentry(&["audit", "keys", "rotate", "-c", &config]).0, Some(0));
    let segments = || {
        let all = files(&folder.path().join("state/audit"));
        all.iter().filter(|file| file.extension().is_some_and(|kind| kind == "seg")).count()
    };
    let before = segments();
    // Within two seconds the proxy sees the key; the next record begins the segment, and that need
    // not be a message's: one more goes behind it.
    let (mut sequence, mut is_last) = (4, false);
    while !is_last {
        assert!(sequence < 200, "no segment under the next key");
        is_last = segments() > before;
        esme.send(&message(sequence, OURS)).await.expect("sent");
        answer(&mut esme).await.expect("an answer");
        sequence += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (status, out, said) = consentry(&destroy);
    assert_eq!(status, Some(0), "{out}{said}");
    let line = shown(&config, passed, &["--auditor-key", &key]);
    assert!(line["destination"].is_null() && line["content"]["text"].is_null(), "{line}");
    let says = line["unreadable"].as_str().expect("why");
    assert!(says.contains("nobody can read this"), "{says}");
    let last = *verdicts(&config).last().expect("a message");
    assert_eq!(shown(&config, last, &["--auditor-key", &key])["content"]["text"], TEXT);
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
    let (status, out, _) = consentry(&["audit", "verify", "-c", &config, "--json"]);
    assert_eq!(status, Some(0), "{out}");
    let verified: Value = serde_json::from_str(&out).expect("one object");
    assert_eq!(verified["sidecars_missing"], 2);
    for place in ["state/audit", "state/keys"] {
        holds_nothing_in_clear(&folder.path().join(place));
    }
}
