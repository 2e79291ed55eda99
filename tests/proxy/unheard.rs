//! What an SMSC said and the proxy has not read yet: it counts, though the connection is reset or the ESME is slow.

use std::time::Duration;

use consentry::smpp::tlv::Tag;
use consentry::smpp::write::{self, BindFields};
use consentry::smpp::{Command, CommandStatus, Header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::budget::within;
use crate::metrics::series;
use crate::running::{Proxy, ask};
use crate::wire::{Wire, listener};
use crate::{OURS, audit, recorded, submit};

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);
const OK: CommandStatus = CommandStatus::ESME_ROK;

/// `[limits] session_buffer`, as it is where nobody says.
const BUFFER: f64 = 262_144.0;

/// An [admin], the largest window and these times.
fn config(times: &str) -> String {
    audit("written")
        + "[admin]\naddress = \"127.0.0.1:0\"\n\
           [limits]\nwindow = 65536\n"
        + &format!("[timeouts]\nwrite = \"60s\"\n{times}")
}

/// A session, and the SMSC's end of it.
async fn session(proxy: &Proxy, smsc: &TcpListener) -> (Wire, Wire) {
    let mut esme = Wire::connect(proxy.address()).await;
    let mut bind = Vec::new();
    let fields = BindFields {
        system_id: b"test",
        password: b"secret",
        system_type: b"",
        interface_version: 0x34,
    };
    write::bind(&mut bind, Command::BindTransceiver, 1, fields);
    esme.send(&bind).await;
    let mut smsc = Wire::accept(smsc).await;
    let bind = smsc.expect(Command::BindTransceiver).await;
    smsc.answer(&bind, OK).await;
    esme.expect(Command::BindTransceiverResp).await;
    (esme, smsc)
}

/// Waits until as much waits in the proxy as may: who should take it does not.
fn fills_up(proxy: &Proxy) {
    let admin = proxy.admin.expect("an admin address");
    let is_full =
        || series(admin).get("consentry_buffered_octets").is_some_and(|octets| *octets >= BUFFER);
    within("the buffer is full", PATIENCE, is_full);
}

/// Whether every thread of the process has been stopped.
fn is_stopped(id: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).expect("it lives");
    threads.filter_map(Result::ok).all(|one| {
        let stat = std::fs::read_to_string(one.path().join("stat")).unwrap_or_default();
        stat.contains(") T ")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_smsc_answered_before_it_reset_the_connection_is_heard() {
    const ANSWERED: u32 = 10;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (listener, address) = listener().await;
    let mut proxy = Proxy::start(folder.path(), address, &config("close = \"5s\"\n"), "");
    let (esme, mut smsc) = session(&proxy, &listener).await;
    let (mut answers, mut sends) = esme.stream.into_split();
    let flood = tokio::spawn(async move {
        let mut sequence = 2;
        loop {
            let padded = |out: &mut Vec<u8>| write::tlv(out, Tag(0x1400), &[0; 8_000]);
            let pdus: Vec<u8> =
                (sequence..).take(10).flat_map(|n| submit(n, OURS, padded)).collect();
            sequence += 10;
            if sends.write_all(&pdus).await.is_err() {
                return;
            }
        }
    });
    let mut taken = Vec::new();
    for _ in 0..ANSWERED {
        taken.push(smsc.expect(Command::SubmitSm).await);
    }
    // It takes no more, so that the proxy has to write when it finds the connection reset.
    fills_up(&proxy);
    proxy.signal("-STOP");
    within("the process stands still", PATIENCE, || is_stopped(proxy.id()));
    // In one write: what the system would still hold back is lost with the connection.
    let mut answers_of_it = Vec::new();
    for request in taken.iter().filter_map(|request| Header::of(request)) {
        let id = request.command.response_id();
        write::header_only(&mut answers_of_it, id, OK, request.sequence_number);
    }
    smsc.send(&answers_of_it).await;
    // Closed with octets that were not read, a socket resets its connection.
    drop(smsc);
    proxy.signal("-CONT");
    within("the session ends", PATIENCE, || !proxy.logged("why=\"smsc_closed\"").is_empty());
    flood.abort();
    let mut heard = Vec::new();
    // It may be reset, behind the answers.
    let _ = answers.read_to_end(&mut heard).await;
    assert_eq!(heard.len() / 16, ANSWERED as usize, "answers that the ESME got");
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
    let (passed, unanswered) = recorded(folder.path());
    assert_eq!(passed.len() - unanswered, ANSWERED as usize, "answers on record");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_a_slow_esme_keeps_from_being_read_is_not_overdue() {
    const FLOOD_PDUS: u32 = 400;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (listener, address) = listener().await;
    let proxy = Proxy::start(folder.path(), address, &config("response = \"1s\"\n"), "");
    let (mut esme, mut smsc) = session(&proxy, &listener).await;
    esme.send(&submit(2, OURS, |_| {})).await;
    let request = smsc.expect(Command::SubmitSm).await;
    // More than all sockets and buffers on the way take, and the answer behind it.
    let speaks = tokio::spawn(async move {
        let mut large = Vec::new();
        let id = Command::AlertNotification.id();
        write::pdu(&mut large, id, OK, 8, |out| out.resize(60_000, 0));
        for _ in 0..FLOOD_PDUS {
            smsc.send(&large).await;
        }
        smsc.answer(&request, OK).await;
        smsc
    });
    fills_up(&proxy);
    // Well beyond the response time.
    sleep(Duration::from_millis(2500)).await;
    assert!(!speaks.is_finished(), "the answer has not been sent");
    let (_, sessions) = ask(proxy.admin.expect("an admin address"), "GET /api/v1/sessions", "", "");
    assert!(sessions.contains("\"bound\"") || sessions.contains("bound_trx"), "{sessions}");
    for _ in 0..FLOOD_PDUS {
        esme.expect(Command::AlertNotification).await;
    }
    let answer = esme.expect(Command::SubmitSmResp).await;
    assert_eq!(Header::of(&answer).map(|header| header.sequence_number), Some(2));
    // The session goes on: it had not ended behind what still came.
    let mut smsc = speaks.await.expect("it has said everything");
    esme.send(&submit(3, OURS, |_| {})).await;
    let request = smsc.expect(Command::SubmitSm).await;
    smsc.answer(&request, OK).await;
    esme.expect(Command::SubmitSmResp).await;
}
