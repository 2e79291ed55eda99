//! The proxy as its users run it: the binary, real sockets, a small SMSC, faults, kills.

use std::path::Path;
use std::process::Command as Process;
use std::time::{Duration, Instant};

use consentry::audit::{self, Found, Query, Record};
use consentry::peer::esme::Esme;
use consentry::peer::smsc::{Fault, Options, Smsc};
use consentry::smpp::message::{Message, WireAddress};
use consentry::smpp::tlv::Tag;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header};
use running::Proxy;

mod activation;
mod budget;
mod capture;
mod choosing;
mod disks;
mod entrance;
mod hand_over;
mod held;
mod hold;
mod idle;
mod lifetimes;
mod many;
mod metrics;
mod notified;
mod openssl;
mod outbind;
#[path = "../pcapng/mod.rs"]
mod pcapng;
mod receiver;
mod reload;
mod replies;
mod running;
mod sealed;
#[path = "../shim/mod.rs"]
mod shim;
mod sockets;
mod start;
mod tls;
mod unheard;
mod upstreams;
mod wire;

const OURS: &[u8] = b"106900001234";

fn audit(durability: &str) -> String {
    format!("[audit]\npath = \"audit\"\ndurability = \"{durability}\"\n")
}

fn smsc(options: Options) -> Smsc {
    Smsc::start(Options { received_max: 1 << 20, ..options }).expect("an SMSC on loopback")
}

fn submit(sequence: u32, source: &[u8], tlvs: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut pdu = Vec::new();
    let address = |value| WireAddress { ton: 0, npi: 1, value };
    let fields = MessageFields {
        source: address(source),
        destination: address(b"8613800138000"),
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: b"\x4f\x60\x59\x7d",
    };
    write::message(&mut pdu, Command::SubmitSm, sequence, fields, tlvs);
    pdu
}

async fn bound(proxy: &Proxy) -> Esme {
    let mut esme = Esme::connect(proxy.address()).await.expect("the proxy accepts");
    let status = esme.bind(Command::BindTransceiver, "test", "secret").await.expect("an answer");
    assert_eq!(status, CommandStatus::ESME_ROK);
    esme
}

async fn answer(esme: &mut Esme) -> Option<(Command, CommandStatus, u32, usize)> {
    let pdu = esme.next().await.expect("an answer or the end")?;
    let header = Header::of(&pdu)?;
    Some((header.command, header.command_status, header.sequence_number, pdu.len()))
}

/// Reads until the connection closes, whatever comes; false when it stays open.
async fn closes(esme: &mut Esme) -> bool {
    loop {
        match esme.next().await {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(consentry::peer::esme::EsmeFault::Silent(_)) => return false,
            Err(_) => return true,
        }
    }
}

/// How many messages the journal says were let through, and of those unanswered.
fn recorded(folder: &Path) -> (Vec<u32>, usize) {
    let (mut passed, mut unanswered) = (Vec::new(), 0);
    audit::verify(&folder.join("audit")).expect("the journal is whole");
    audit::search(&folder.join("audit"), &Query::default(), &mut |found| {
        if let Found::Message { verdict, answer, .. } = found
            && let Record::Verdict(record) = verdict.record()
            && record.verdict == audit::PASS
        {
            passed.push(record.sequence_number);
            unanswered += usize::from(matches!(answer, audit::Answer::Unanswered(_)));
        }
        std::ops::ControlFlow::Continue(())
    })
    .expect("the journal can be read");
    (passed, unanswered)
}

fn submits(smsc: &Smsc) -> Vec<Vec<u8>> {
    let is_submit = |pdu: &Vec<u8>| Header::of(pdu).is_some_and(|h| h.command == Command::SubmitSm);
    smsc.received().into_iter().map(|received| received.octets).filter(is_submit).collect()
}

#[tokio::test]
async fn what_passes_is_octet_for_octet_and_what_is_refused_never_arrives() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let proxy = Proxy::start(folder.path(), smsc.address(), &audit("written"), "");
    let mut esme = bound(&proxy).await;
    let vendor = |out: &mut Vec<u8>| write::tlv(out, Tag(0x1400), b"entity");
    let callback = |out: &mut Vec<u8>| write::tlv(out, Tag::CALLBACK_NUM, b"\x01\x00\x0010086");
    let cases = [
        (submit(2, OURS, |_| {}), CommandStatus::ESME_ROK),
        (submit(3, OURS, vendor), CommandStatus::ESME_ROK),
        (submit(4, b"", |_| {}), CommandStatus::ESME_RINVSRCADR),
        (submit(5, b"106911119999", |_| {}), CommandStatus::ESME_RINVSRCADR),
        (submit(6, OURS, callback), CommandStatus::ESME_ROPTPARNOTALLWD),
        (submit(7, b"10690000123499", |_| {}), CommandStatus::ESME_ROK),
    ];
    // All in one write, with one octet of the next one hanging behind.
    let mut all: Vec<u8> = cases.iter().flat_map(|(pdu, _)| pdu.clone()).collect();
    all.push(0);
    esme.send(&all).await.expect("the proxy reads");
    let mut answers = Vec::new();
    for _ in &cases {
        answers.push(answer(&mut esme).await.expect("an answer"));
    }
    answers.sort_by_key(|(_, _, sequence, _)| *sequence);
    for ((pdu, expected), (command, status, sequence, octets)) in cases.iter().zip(answers) {
        assert_eq!((command, status), (Command::SubmitSmResp, *expected), "sequence {sequence}");
        assert_eq!(submits(&smsc).contains(pdu), expected.is_ok(), "sequence {sequence}");
        assert!(expected.is_ok() || octets == 16, "a refusal is sixteen octets");
    }
}

#[tokio::test]
async fn what_is_not_a_bound_session_gets_a_short_answer() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let proxy = Proxy::start(folder.path(), smsc.address(), &audit("written"), "");

    let mut early = Esme::connect(proxy.address()).await.expect("accepted");
    early.send(&submit(1, OURS, |_| {})).await.expect("sent");
    let refused = answer(&mut early).await.map(|(_, status, ..)| status);
    assert_eq!(refused, Some(CommandStatus::ESME_RINVBNDSTS));

    let mut http = Esme::connect(proxy.address()).await.expect("accepted");
    http.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    assert!(matches!(http.next().await, Ok(None) | Err(_)), "no SMPP for HTTP");

    let mut huge = Esme::connect(proxy.address()).await.expect("accepted");
    huge.send(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9]).await.expect("sent");
    let nack = answer(&mut huge).await;
    let expected = (Command::GenericNack, CommandStatus::ESME_RINVCMDLEN, 9, 16);
    assert_eq!(nack, Some(expected));
    assert!(closes(&mut huge).await);

    let mut unknown = bound(&proxy).await;
    let mut pdu = Vec::new();
    write::header_only(&mut pdu, 0x0001_0001, CommandStatus::ESME_ROK, 77);
    unknown.send(&pdu).await.expect("sent");
    let nack = answer(&mut unknown).await;
    assert_eq!(nack, Some((Command::GenericNack, CommandStatus::ESME_RINVCMDID, 77, 16)));
    assert!(submits(&smsc).is_empty());
}

#[tokio::test]
async fn an_smsc_that_is_not_there_refuses_the_bind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Taken, so that no other test gets it, and nobody listens.
    let taken = tokio::net::TcpSocket::new_v4().expect("a socket");
    taken.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let gone = taken.local_addr().expect("an address");
    let proxy = Proxy::start(folder.path(), gone, &audit("written"), "");
    let mut esme = Esme::connect(proxy.address()).await.expect("accepted");
    let status = esme.bind(Command::BindTransmitter, "test", "secret").await.expect("answered");
    assert_eq!(status, CommandStatus::ESME_RBINDFAIL);
}

#[tokio::test]
async fn an_smsc_that_fails_ends_the_session_and_leaves_its_requests_on_record() {
    let times = "[timeouts]\nresponse = \"1s\"\nwrite = \"1s\"\nclose = \"1s\"\n";
    for fault in [Fault::Silent, Fault::CutMidPdu] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let smsc = smsc(Options::default());
        let more = audit("synced") + times;
        let mut proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
        let mut esme = bound(&proxy).await;
        smsc.fault(fault);
        let pdus: Vec<u8> = (2..12).flat_map(|n| submit(n, OURS, |_| {})).collect();
        esme.send(&pdus).await.expect("sent");
        assert!(closes(&mut esme).await, "{fault:?}: the ESME is not left waiting");
        proxy.signal("-TERM");
        assert_eq!(proxy.wait(), Some(0));
        let (passed, unanswered) = recorded(folder.path());
        assert_eq!(passed.len(), 10, "{fault:?}");
        let least = if fault == Fault::Silent { 10 } else { 1 };
        assert!(unanswered >= least, "{fault:?}: {unanswered} of 10 are listed as unanswered");
    }
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_lets_nothing_through() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    // The signal is ignored, so that writes fail. Set once it runs: the consent ledger is there then.
    let proxy = Proxy::start(folder.path(), smsc.address(), &audit("written"), "trap '' XFSZ;");
    let limit = Process::new("prlimit")
        .args(["--fsize=16384", "--pid", &proxy.id().to_string()])
        .status()
        .expect("prlimit of util-linux");
    assert!(limit.success());
    let mut esme = bound(&proxy).await;
    let (mut sent_on, mut full) = (0, 0);
    for sequence in 2..600 {
        esme.send(&submit(sequence, OURS, |_| {})).await.expect("sent");
        match answer(&mut esme).await.map(|(_, status, ..)| status) {
            Some(CommandStatus::ESME_ROK) => sent_on += 1,
            Some(CommandStatus::ESME_RMSGQFUL) => full += 1,
            other => panic!("message {sequence} was answered {other:?}"),
        }
    }
    assert!(full > 0, "the limit was reached");
    assert_eq!(submits(&smsc).len(), sent_on);
    let (passed, _) = recorded(folder.path());
    assert_eq!(passed.len(), sent_on, "what was forwarded is on record, and nothing else");
}

/// Waits for the first message to reach the SMSC.
async fn arrives(smsc: &Smsc) {
    let began = Instant::now();
    while submits(smsc).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(30), "no message arrives");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Sends as fast as the window of `esme` allows until the connection breaks; how many were
/// answered ESME_ROK.
async fn load(mut esme: Esme) -> usize {
    const WINDOW: u32 = 50;
    let (mut sequence, mut open, mut accepted) = (2, 0, 0);
    loop {
        let mut batch = Vec::new();
        while open < WINDOW {
            batch.extend(submit(sequence, OURS, |_| {}));
            sequence += 1;
            open += 1;
        }
        if !batch.is_empty() && esme.send(&batch).await.is_err() {
            return accepted;
        }
        match esme.next().await {
            Ok(Some(pdu)) => match Header::of(&pdu) {
                Some(h) if h.command == Command::SubmitSmResp => {
                    accepted += usize::from(h.command_status.is_ok());
                    open -= 1;
                }
                Some(h) if h.command == Command::Unbind => {
                    let mut out = Vec::new();
                    let id = Command::UnbindResp.id();
                    write::header_only(&mut out, id, CommandStatus::ESME_ROK, h.sequence_number);
                    let _ = esme.send(&out).await;
                }
                _ => {}
            },
            Ok(None) | Err(_) => return accepted,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_no_forwarded_message_is_without_its_record() {
    for (durability, after_ms) in
        [("written", 40), ("written", 90), ("written", 160), ("synced", 60), ("synced", 150)]
    {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let smsc = smsc(Options::default());
        let mut proxy = Proxy::start(folder.path(), smsc.address(), &audit(durability), "");
        let esme = bound(&proxy).await;
        let sender = tokio::spawn(load(esme));
        arrives(&smsc).await;
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        proxy.signal("-KILL");
        proxy.wait();
        sender.await.expect("the sender ends when the connection does");
        let arrived = submits(&smsc);
        let (passed, _) = recorded(folder.path());
        for pdu in &arrived {
            let header = Header::of(pdu).expect("a header");
            assert!(passed.contains(&header.sequence_number), "{durability}, {after_ms} ms");
            assert!(Message::parse(pdu).is_ok());
        }
        assert!(!arrived.is_empty(), "{durability}, {after_ms} ms: traffic was running");
        // It opens again, to its last good record.
        let proxy = Proxy::start(folder.path(), smsc.address(), &audit(durability), "");
        drop(bound(&proxy).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_under_load_it_loses_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let mut proxy = Proxy::start(folder.path(), smsc.address(), &audit("written"), "");
    let mut senders = Vec::new();
    for _ in 0..3 {
        senders.push(tokio::spawn(load(bound(&proxy).await)));
    }
    arrives(&smsc).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
    let mut accepted = 0;
    for sender in senders {
        accepted += sender.await.expect("the sender ends");
    }
    let (passed, unanswered) = recorded(folder.path());
    assert!(accepted > 0, "traffic was running");
    assert_eq!((accepted, unanswered), (submits(&smsc).len(), 0));
    assert_eq!(passed.len(), accepted);
    let unbinds = smsc
        .received()
        .into_iter()
        .filter(|r| Header::of(&r.octets).is_some_and(|h| h.command == Command::Unbind));
    assert_eq!(unbinds.count(), 3, "each SMSC session is unbound");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_it_says_so_until_its_sessions_have_ended() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let more = audit("written")
        + "[timeouts]\ndrain = \"60s\"\nresponse = \"60s\"\nclose = \"1s\"\n[admin]\naddress = \"127.0.0.1:0\"\n";
    let mut proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
    let mut esme = bound(&proxy).await;
    smsc.fault(Fault::Silent);
    esme.send(&submit(2, OURS, |_| {})).await.expect("sent");
    let admin = proxy.admin.expect("an admin address");
    budget::within("the message is under way", Duration::from_secs(30), || {
        smsc.counts().messages > 0
    });
    proxy.signal("-TERM");
    budget::within("it is not ready, and says why", Duration::from_secs(30), || {
        let (status, why) = running::ask(admin, "GET /readyz", "", "");
        (status, why.trim()) == (503, "draining")
    });
    drop(esme);
    assert_eq!(proxy.wait(), Some(0));
}

#[tokio::test]
async fn an_smsc_that_stops_reading_does_not_grow_the_proxy() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let times = "[timeouts]\nwrite = \"1s\"\nresponse = \"2s\"\nclose = \"1s\"\n";
    let more = audit("written") + "[limits]\nwindow = 65536\n" + times;
    let proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
    let mut esme = bound(&proxy).await;
    smsc.fault(Fault::StopReading);
    let chunk: Vec<u8> = (2..400).flat_map(|n| submit(n, OURS, |_| {})).collect();
    let ended = tokio::time::timeout(Duration::from_secs(15), async {
        while esme.send(&chunk).await.is_ok() {}
    });
    assert!(ended.await.is_ok(), "a peer that takes nothing ends the session");
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.id()));
    let resident = status.expect("the proxy lives").lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    assert!(resident.is_some_and(|kib| kib < 200 * 1024), "{resident:?} KiB");
}
