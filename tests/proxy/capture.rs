//! The proxy's own traces of real sessions, read back by tshark: Wireshark's dissector has nothing to
//! complain of, and the PDUs are those that the ESME sent and was sent.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use consentry::peer::esme::Esme;
use consentry::peer::smsc::{Options, Smsc};
use consentry::replay::{Ending, Happening, Opened, Skipped, Trace, Traces};
use consentry::session::Side;
use consentry::smpp::tlv::Tag;
use consentry::smpp::{Command, CommandStatus, write};

use crate::metrics::wait_for;
use crate::running::{Proxy, ask};
use crate::{OURS, answer, audit, bound, pcapng, smsc, submit, submits};

/// `[capture]` in the proxy's folder, and an [admin].
fn capture(more: &str) -> String {
    audit("written") + "[admin]\naddress = \"127.0.0.1:0\"\n[capture]\npath = \"capture\"\n" + more
}

/// Asks for the capture; status and body.
fn http(admin: SocketAddr, method: &str, headers: &str, body: &str) -> (u16, String) {
    ask(admin, &format!("{method} /api/v1/capture"), headers, body)
}

fn json(body: &str) -> serde_json::Value {
    serde_json::from_str(body).expect("one JSON object")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(folder.join("capture")).expect("the capture's folder");
    let mut files: Vec<_> = listed.map(|file| file.expect("listed").path()).collect();
    files.sort_unstable();
    files
}

/// The SMPP octets of each direction of each connection, by the sender's port.
fn streams(files: &[PathBuf]) -> BTreeMap<u16, Vec<u8>> {
    let mut streams: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    for file in files {
        for packet in pcapng::read(&std::fs::read(file).expect("a file")).packets {
            let port = u16::from_be_bytes([packet.octets[20], packet.octets[21]]);
            streams.entry(port).or_default().extend(packet.tcp().2);
        }
    }
    streams
}

/// tshark's lines on a file; `None`, and said so, where there is no tshark.
fn tshark(file: &Path, port: u16, arguments: &[&str]) -> Option<Vec<String>> {
    let settings = tempfile::tempdir().expect("a temporary folder");
    let done = Process::new("tshark")
        .args(["-n", "-r"])
        .arg(file)
        .args(["-d", &format!("tcp.port=={port},smpp")])
        .args(arguments)
        .env("HOME", settings.path())
        .env("WIRESHARK_CONFIG_DIR", settings.path())
        .output();
    let Ok(done) = done else {
        eprintln!("not shown: there is no tshark here; tests/interop/install brings it");
        return None;
    };
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect())
}

/// One session: messages that pass, one that is only observed, refusals, a PDU of a full payload.
async fn session(proxy: &Proxy) -> Vec<Vec<u8>> {
    let mut esme = bound(proxy).await;
    let callback = |out: &mut Vec<u8>| write::tlv(out, Tag::CALLBACK_NUM, b"\x01\x00\x0010086");
    let long = submit(6, OURS, |out| write::tlv(out, Tag(0x1401), &[b'x'; 65_000]));
    let mut enquire = Vec::new();
    write::header_only(&mut enquire, Command::EnquireLink.id(), CommandStatus::ESME_ROK, 7);
    let mut unbind = Vec::new();
    write::header_only(&mut unbind, Command::Unbind.id(), CommandStatus::ESME_ROK, 8);
    let sent = vec![
        submit(2, OURS, |_| {}),
        submit(3, b"106911119999", |_| {}),
        submit(4, OURS, callback),
        submit(5, b"", |_| {}),
        long,
        enquire,
        unbind,
    ];
    for pdu in &sent {
        esme.send(pdu).await.expect("sent");
        answer(&mut esme).await.expect("an answer");
    }
    sent
}

fn observing(more: &str) -> String {
    capture(more) + "[rules.override]\n\"source.second\" = { mode = \"observe\" }\n"
}

async fn stopped(mut proxy: Proxy) {
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
}

#[tokio::test]
async fn wireshark_reads_every_pdu_of_a_session_and_its_verdict() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options { password: Some("secret".to_owned()), ..Options::default() });
    let more = observing("enabled = true\ntext = \"whole\"\n");
    let proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
    let port = proxy.address().port();
    let sent = session(&proxy).await;
    stopped(proxy).await;
    let files = files(folder.path());
    assert_eq!(files.len(), 1);
    let streams = streams(&files);
    let (ours, theirs): (Vec<_>, Vec<_>) = streams.iter().partition(|(from, _)| **from == port);
    assert_eq!((ours.len(), theirs.len()), (1, 1), "one connection");
    assert!(theirs[0].1.ends_with(&sent.concat()), "octet for octet, behind the bind");
    let octets = std::fs::read(&files[0]).expect("a file");
    assert!(!octets.windows(6).any(|window| window == b"secret"), "no password");

    let fields = ["smpp.command_id", "smpp.sequence_number", "smpp.command_status"];
    let mut arguments = vec!["-Y", "smpp", "-T", "fields", "-o", "tcp.desegment_tcp_streams:TRUE"];
    fields.iter().for_each(|field| arguments.extend(["-e", field]));
    arguments.extend(["-e", "frame.comment"]);
    let Some(pdus) = tshark(&files[0], port, &arguments) else { return };
    let expected = [
        "0x00000009\t1\t\t",
        "0x80000009\t1\t0x00000000\t",
        "0x00000004\t2\t\tsession 1: pass",
        "0x80000004\t2\t0x00000000\t",
        "0x00000004\t3\t\tsession 1: refuse source.forged",
        "0x80000004\t3\t0x0000000a\tsession 1: answered by the proxy",
        "0x00000004\t4\t\tsession 1: observe source.second",
        "0x80000004\t4\t0x00000000\t",
        "0x00000004\t5\t\tsession 1: refuse source.missing",
        "0x80000004\t5\t0x0000000a\tsession 1: answered by the proxy",
        "0x00000004\t6\t\t",
        "0x80000004\t6\t0x00000000\t",
        "0x00000015\t7\t\t",
        "0x80000015\t7\t0x00000000\t",
        "0x00000006\t8\t\t",
        "0x80000006\t8\t0x00000000\t",
    ];
    let opened = pcapng::read(&octets).packets.swap_remove(0).comment;
    let (session, about) = opened.split_once(": ").expect("whose connection it is");
    let expected = expected.map(|line| line.replace("session 1", session));
    // A long PDU stands in two packets: its comment is the first one's, and the dissection the last's.
    assert_eq!(pdus, expected);
    let complaints = "_ws.malformed or tcp.checksum.status == 0 or ip.checksum.status == 0 \
        or tcp.analysis.flags or _ws.expert.severity >= 0x600000";
    let checked = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"];
    let complaints = [&checked[..], &["-Y", complaints]].concat();
    assert_eq!(tshark(&files[0], port, &complaints), Some(Vec::new()));
    let smsc = smsc.address();
    assert_eq!(about, format!("system_id test, provider 测试有限公司, SMSC {smsc}"));
}

/// What `replay` reads in a file: each stream's ends and whether its start was seen, and the PDUs of
/// each side.
fn reread(file: &Path) -> (Vec<Opened>, Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let input = std::fs::File::open(file).map(|file| Box::new(file) as Box<dyn Read + Send>);
    let trace = Trace { name: "own".to_owned(), input };
    let mut traces = Traces::new(std::iter::once(trace), 70_000);
    let (mut opened, mut esme, mut smsc) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(happening) = traces.next().expect("a trace that can be read") {
        match happening {
            Happening::Opened(one) => opened.push(one),
            Happening::Pdus { side, mut octets, .. } => {
                while let Ok(Some(length)) = consentry::smpp::frame::cut(octets, 70_000) {
                    let pdus = if side == Side::Esme { &mut esme } else { &mut smsc };
                    pdus.push(octets[..length].to_vec());
                    octets = &octets[length..];
                }
            }
            Happening::Closed { ending, .. } => assert_eq!(ending, Ending::Finished),
            other => panic!("{other:?}"),
        }
    }
    let skipped = Skipped {
        packets: traces.skipped().packets,
        streams: opened.len() as u64,
        ..Skipped::default()
    };
    assert_eq!(*traces.skipped(), skipped, "nothing is missing");
    (opened, esme, smsc)
}

#[tokio::test]
async fn replay_reads_what_the_proxy_wrote() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let more = capture("enabled = true\ntext = \"whole\"\n");
    let proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
    let first = session(&proxy).await;
    let second = session(&proxy).await;
    let ours = proxy.address();
    stopped(proxy).await;
    let (opened, esme, smsc) = reread(&files(folder.path())[0]);
    assert!(opened.iter().all(|one| one.smsc == ours && one.from_start), "{opened:?}");
    assert_eq!((opened.len(), smsc.len()), (2, 16));
    let mut expected = vec![esme[0].clone()];
    expected.extend(first);
    expected.push(esme[8].clone());
    expected.extend(second);
    assert_eq!(esme, expected, "behind each bind, octet for octet");
}

#[tokio::test]
async fn a_redacted_capture_has_the_shape_of_what_was_sent() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let proxy = Proxy::start(folder.path(), smsc.address(), &capture("enabled = true\n"), "");
    let sent = session(&proxy).await;
    let port = proxy.address().port();
    stopped(proxy).await;
    let files = files(folder.path());
    let text = b"\x4f\x60\x59\x7d";
    assert!(sent[0].windows(4).any(|window| window == text), "the text that was sent");
    let octets = std::fs::read(&files[0]).expect("a file");
    assert!(!octets.windows(4).any(|window| window == text));
    assert!(!octets.windows(9).any(|window| window == b"xxxxxxxxx"), "nor a vendor's parameter");
    let theirs = streams(&files).into_iter().find(|(from, _)| *from != port).expect("the ESME's");
    let lengths = |mut octets: &[u8]| {
        let mut lengths = Vec::new();
        while let Ok(Some(length)) = consentry::smpp::frame::cut(octets, usize::MAX) {
            lengths.push(length);
            octets = &octets[length..];
        }
        lengths
    };
    let expected: Vec<usize> = sent.iter().map(Vec::len).collect();
    assert_eq!(lengths(&theirs.1)[1..], expected);
    let malformed = tshark(&files[0], port, &["-Y", "_ws.malformed"]);
    assert!(malformed.is_none_or(|lines| lines.is_empty()));
}

/// What stands in the files of one filter: command_ids with the low bits of both directions in order.
async fn filtered(filter: &str, in_body: bool) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let enabled = format!("enabled = true\n{filter}\n");
    let more = if in_body { observing("") } else { observing(&enabled) };
    let proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
    if in_body {
        let (status, body) = http(proxy.admin.expect("an address"), "POST", "", filter);
        assert_eq!(status, 200, "{body}");
    }
    session(&proxy).await;
    stopped(proxy).await;
    let octets = std::fs::read(&files(folder.path())[0]).expect("a file");
    let mut found = Vec::new();
    for packet in pcapng::read(&octets).packets {
        let (_, _, pdu) = packet.tcp();
        if let Some(header) = consentry::smpp::Header::of(pdu)
            && let Some(name) = Some(header.command.name()).filter(|name| *name != "unknown")
        {
            found.push(format!("{name} {}", header.sequence_number));
        }
    }
    found
}

#[tokio::test]
async fn a_filter_keeps_requests_with_their_answers_and_the_bind() {
    let around = |inner: &[&'static str]| {
        let (before, behind) =
            (["bind_transceiver 1", "bind_transceiver_resp 1"], ["unbind 8", "unbind_resp 8"]);
        [&before, inner, &behind].concat()
    };
    let refused = ["submit_sm 3", "submit_sm_resp 3", "submit_sm 5", "submit_sm_resp 5"];
    let forged = &refused[..2];
    let observed = ["submit_sm 4", "submit_sm_resp 4"];
    for (filter, in_body, expected) in [
        ("verdicts = [\"refuse\"]", false, around(&refused)),
        (r#"{"verdicts":["observe"]}"#, true, around(&observed)),
        (r#"{"verdicts":["refuse"],"sources":["1069111"]}"#, true, around(forged)),
        (r#"{"providers":["测试有限公司"],"verdicts":["observe"]}"#, true, around(&observed)),
    ] {
        assert_eq!(filtered(filter, in_body).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn the_api_begins_and_ends_a_capture_for_who_has_the_token() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "sixteen-octets-0\n").expect("written");
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&token, owner_only).expect("its mode");
    let smsc = smsc(Options::default());
    let more = capture("").replace("[capture]", "token_file = \"token\"\n[capture]");
    let proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
    let admin = proxy.admin.expect("an address");
    for method in ["GET", "POST", "DELETE"] {
        for headers in ["", "Authorization: Bearer sixteen-octets-1\r\n"] {
            assert_eq!(http(admin, method, headers, "").0, 401, "{method} {headers}");
        }
    }
    let ours = "Authorization: Bearer sixteen-octets-0\r\n";
    let (status, body) = http(admin, "GET", ours, "");
    assert_eq!((status, &json(&body)["state"]), (200, &"never".into()));
    assert!(!folder.path().join("capture").exists(), "nothing is made before it is asked for");
    for (body, status) in [
        ("nonsense", 400),
        (r#"{"secs":1}"#, 400),
        (r#"{"seconds":0}"#, 400),
        (r#"{"seconds":86401}"#, 400),
        (r#"{"octets":134217729}"#, 400),
        (r#"{"verdicts":["refused"]}"#, 400),
        (r#"{"providers":["nobody"]}"#, 400),
        (r#"{"text":"whole"}"#, 400),
        (r#"{"seconds":86400,"octets":134217728}"#, 200),
        ("", 409),
    ] {
        assert_eq!(http(admin, "POST", ours, body).0, status, "{body}");
    }
    session(&proxy).await;
    let (status, body) = http(admin, "DELETE", ours, "");
    let state = json(&body);
    assert_eq!(
        (status, &state["state"], &state["reason"]),
        (200, &"ended".into(), &"asked".into())
    );
    assert_eq!((&state["frames"], &state["dropped"]), (&16.into(), &0.into()));
    let file = pcapng::read(&std::fs::read(&files(folder.path())[0]).expect("a file"));
    assert_eq!(file.dropped, Some(0), "the file is whole when the answer comes");
    wait_for(
        admin,
        &[
            ("consentry_capture_running", 0.0),
            ("consentry_capture_frames_total{outcome=\"written\"}", 16.0),
            ("consentry_capture_frames_total{outcome=\"dropped\"}", 0.0),
            ("consentry_capture_ended_total{reason=\"asked\"}", 1.0),
        ],
    );
    assert_eq!(http(admin, "POST", ours, "").0, 200, "another one");
    assert_eq!(files(folder.path()).len(), 2);
}

#[tokio::test]
async fn a_capture_knows_what_a_reload_has_put_in_force() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let proxy = Proxy::start(folder.path(), smsc.address(), &capture(""), "");
    let admin = proxy.admin.expect("an address");
    let wanted = r#"{"providers":["新来有限公司"]}"#;
    assert_eq!(http(admin, "POST", "", wanted).0, 400, "nobody knows him");
    let file = folder.path().join("registry.toml");
    let registry = std::fs::read_to_string(&file).expect("it is there");
    let new = "[[provider]]\nname = \"新来有限公司\"\nsystem_ids = [\"new\"]\n\
               licence = { number = \"B2-2\", valid_until = 2099-12-31 }\nidentity = \"verified\"\n";
    std::fs::write(&file, registry + new).expect("written");
    let (status, said) = ask(admin, "POST /api/v1/reload", "", "");
    assert_eq!(status, 200, "{said}");
    let (status, began) = http(admin, "POST", "", wanted);
    assert_eq!(status, 200, "{began}");
    assert_eq!(http(admin, "DELETE", "", "").0, 200);
    let written = std::fs::read(&files(folder.path())[0]).expect("a file");
    let digest = json(&said)["digest"].as_str().expect("a digest").to_owned();
    let names_rules = written.windows(digest.len()).any(|some| some == digest.as_bytes());
    assert!(names_rules, "its header names the rules in force");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_ends_the_capture_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let more = capture("enabled = true\n");
    // The signal is ignored, so that writes fail. The journal stays far below this limit.
    let proxy = Proxy::start(folder.path(), smsc.address(), &more, "trap '' XFSZ;");
    let limited = Process::new("prlimit")
        .args(["--fsize=1048576", "--pid", &proxy.id().to_string()])
        .status()
        .expect("prlimit of util-linux");
    assert!(limited.success());
    let mut esme = bound(&proxy).await;
    for sequence in 2..42 {
        let long = submit(sequence, OURS, |out| write::tlv(out, Tag(0x1401), &[b'x'; 60_000]));
        esme.send(&long).await.expect("sent");
        let status = answer(&mut esme).await.map(|(_, status, ..)| status);
        assert_eq!(status, Some(CommandStatus::ESME_ROK), "message {sequence}");
    }
    assert_eq!(submits(&smsc).len(), 40);
    let admin = proxy.admin.expect("an address");
    wait_for(
        admin,
        &[
            ("consentry_capture_running", 0.0),
            ("consentry_capture_ended_total{reason=\"storage\"}", 1.0),
        ],
    );
    let state = json(&http(admin, "GET", "", "").1);
    assert_eq!(state["reason"], "storage");
    assert!(state["error"].as_str().is_some_and(|error| error.contains(".pcapng: ")), "{state}");
    // What was written before can be read: whole blocks, without the last one of a file.
    let file = pcapng::read(&std::fs::read(&files(folder.path())[0]).expect("a file"));
    assert!(file.packets.len() > 10 && file.dropped.is_none());
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_does_not_keep_the_proxy_from_starting() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("capture"), "a file").expect("written");
    let smsc: Smsc = smsc(Options::default());
    let proxy = Proxy::start(folder.path(), smsc.address(), &capture("enabled = true\n"), "");
    let said =
        proxy.said.iter().any(|line| line.contains("no capture is written, traffic goes on"));
    assert!(said, "{:?}", proxy.said);
    let mut esme: Esme = bound(&proxy).await;
    esme.send(&submit(2, OURS, |_| {})).await.expect("sent");
    assert_eq!(
        answer(&mut esme).await.map(|(_, status, ..)| status),
        Some(CommandStatus::ESME_ROK)
    );
    let (status, body) = http(proxy.admin.expect("an address"), "POST", "", "");
    assert_eq!(status, 503, "{body}");
}
