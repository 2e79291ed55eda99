//! What a running proxy exports after traffic that is known.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use consentry::peer::esme::Esme;
use consentry::peer::smsc::Options;
use consentry::smpp::write;
use consentry::smpp::{Command, CommandStatus};

use crate::running::Proxy;
use crate::wire::{Wire, listener};
use crate::{OURS, answer, audit, bound, closes, smsc, submit};

/// All series with their values.
pub fn series(admin: SocketAddr) -> BTreeMap<String, f64> {
    let mut stream = TcpStream::connect(admin).expect("the admin address listens");
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let samples = body.lines().filter(|line| !line.starts_with('#'));
    let value = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    samples.filter_map(value).collect()
}

/// Asks until every series has its value; the last answer when that does not come.
pub fn wait_for(admin: SocketAddr, expected: &[(&str, f64)]) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let series = series(admin);
        let other = expected.iter().find(|(name, value)| series.get(*name) != Some(value));
        let Some((name, value)) = other else { return };
        let found = series.get(*name);
        assert!(Instant::now() < until, "{name} is {found:?}, not {value}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test]
async fn after_known_traffic_every_family_has_its_value() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options { password: Some("secret".to_owned()), ..Options::default() });
    // Records are counted, and a checkpoint is one: none comes however long this takes.
    let more = audit("synced")
        + "checkpoint = { every = \"1h\" }\n[admin]\naddress = \"127.0.0.1:0\"\n\
           [rules.override]\n\"source.second\" = { mode = \"observe\" }\n";
    let proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
    let admin = proxy.admin.expect("an admin address");

    let mut wrong = Esme::connect(proxy.address()).await.expect("accepted");
    let status = wrong.bind(Command::BindReceiver, "test", "wrong").await.expect("answered");
    assert_eq!(status, CommandStatus::ESME_RINVPASWD);
    drop(wrong);
    let mut stranger = Esme::connect(proxy.address()).await.expect("accepted");
    let status = stranger.bind(Command::BindTransmitter, "stranger", "secret").await;
    assert_eq!(status.expect("answered"), CommandStatus::ESME_RINVSYSID);
    assert!(closes(&mut stranger).await);
    let mut http = Esme::connect(proxy.address()).await.expect("accepted");
    http.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    assert!(closes(&mut http).await);

    let mut esme = bound(&proxy).await;
    let callback = |out: &mut Vec<u8>| {
        write::tlv(out, consentry::smpp::tlv::Tag::CALLBACK_NUM, b"\x01\x00\x0010086");
    };
    let mut sent: Vec<u8> = (2..5).flat_map(|n| submit(n, OURS, |_| {})).collect();
    sent.extend(submit(5, b"", |_| {}));
    sent.extend(submit(6, OURS, callback));
    write::header_only(&mut sent, 0x0001_0001, CommandStatus::ESME_ROK, 7);
    write::header_only(&mut sent, Command::EnquireLink.id(), CommandStatus::ESME_ROK, 8);
    esme.send(&sent).await.expect("sent");
    for _ in 0..7 {
        answer(&mut esme).await.expect("an answer");
    }
    wait_for(
        admin,
        &[
            (r#"consentry_sessions{state="bound_trx"}"#, 1.0),
            (r#"consentry_sessions{state="open"}"#, 0.0),
            (r#"consentry_binds_total{mode="transceiver",status="ESME_ROK"}"#, 1.0),
            (r#"consentry_binds_total{mode="receiver",status="ESME_RINVPASWD"}"#, 1.0),
            (r#"consentry_binds_total{mode="receiver",status="ESME_ROK"}"#, 0.0),
            (r#"consentry_binds_total{mode="transmitter",status="ESME_RINVSYSID"}"#, 1.0),
            (r#"consentry_pdus_total{command="submit_sm",side="esme"}"#, 5.0),
            (r#"consentry_pdus_total{command="submit_sm_resp",side="smsc"}"#, 4.0),
            (r#"consentry_pdus_total{command="unknown",side="esme"}"#, 1.0),
            (r#"consentry_pdus_total{command="enquire_link",side="esme"}"#, 1.0),
            (r#"consentry_pdus_total{command="enquire_link_resp",side="smsc"}"#, 1.0),
            (r#"consentry_verdicts_total{rule="none",verdict="pass"}"#, 3.0),
            (r#"consentry_verdicts_total{rule="source.missing",verdict="refuse"}"#, 1.0),
            (r#"consentry_verdicts_total{rule="source.second",verdict="observe"}"#, 1.0),
            (r#"consentry_verdicts_total{rule="source.second",verdict="refuse"}"#, 0.0),
            (r#"consentry_verdicts_total{rule="command.refused",verdict="refuse"}"#, 1.0),
            (r#"consentry_added_latency_seconds_count{verdict="pass"}"#, 4.0),
            // Two requests and the stranger's bind.
            (r#"consentry_added_latency_seconds_count{verdict="refuse"}"#, 3.0),
            ("consentry_smsc_response_seconds_count", 4.0),
            ("consentry_window_messages", 0.0),
            ("consentry_buffered_octets", 0.0),
            ("consentry_unanswered_total", 0.0),
            ("consentry_audit_backlog_records", 0.0),
            (r#"consentry_foreign_protocol_total{protocol="http"}"#, 1.0),
            (r#"consentry_frame_faults_total{side="esme"}"#, 0.0),
            (r#"consentry_sessions_ended_total{reason="foreign_protocol"}"#, 1.0),
            (r#"consentry_sessions_ended_total{reason="bind_refused"}"#, 1.0),
            (r#"consentry_sessions_ended_total{reason="esme_closed"}"#, 1.0),
            // Three binds, two of them with an answer; six verdicts, four answers; two ends.
            ("consentry_audit_records_total", 17.0),
        ],
    );
    let series = series(admin);
    assert!(series.get("consentry_audit_sync_seconds_count").is_some_and(|count| *count > 0.0));
    for family in
        ["consentry_build_info{", "consentry_config_info{", "process_resident_memory_bytes"]
    {
        assert!(series.keys().any(|name| name.starts_with(family)), "{family} is not exported");
    }

    esme.send(&[0, 0, 0, 15, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9]).await.expect("sent");
    assert!(closes(&mut esme).await);
    wait_for(
        admin,
        &[
            (r#"consentry_frame_faults_total{side="esme"}"#, 1.0),
            (r#"consentry_frame_faults_total{side="smsc"}"#, 0.0),
            (r#"consentry_sessions_ended_total{reason="esme_framing"}"#, 1.0),
            (r#"consentry_sessions{state="bound_trx"}"#, 0.0),
        ],
    );
}

#[tokio::test]
async fn an_smsc_that_is_none_and_requests_left_open_are_counted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (listener, address) = listener().await;
    let more = audit("written")
        + "[admin]\naddress = \"127.0.0.1:0\"\n[limits]\nsessions_per_address = 1\n";
    let proxy = Proxy::start(folder.path(), address, &more, "");
    let admin = proxy.admin.expect("an admin address");
    let mut esme = Esme::connect(proxy.address()).await.expect("accepted");
    let (status, mut smsc) =
        tokio::join!(esme.bind(Command::BindTransmitter, "test", "secret"), async {
            let mut smsc = Wire::accept(&listener).await;
            let bind = smsc.expect(Command::BindTransmitter).await;
            smsc.answer(&bind, CommandStatus::ESME_ROK).await;
            smsc
        });
    assert_eq!(status.expect("an answer"), CommandStatus::ESME_ROK);
    let mut second = Esme::connect(proxy.address()).await.expect("the system accepts");
    assert!(closes(&mut second).await);
    esme.send(&submit(2, OURS, |_| {})).await.expect("sent");
    smsc.expect(Command::SubmitSm).await;
    wait_for(
        admin,
        &[
            (r#"consentry_sessions{state="bound_tx"}"#, 1.0),
            ("consentry_window_messages", 1.0),
            (r#"consentry_connections_refused_total{reason="sessions_per_address"}"#, 1.0),
        ],
    );
    smsc.send(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert!(closes(&mut esme).await);
    wait_for(
        admin,
        &[
            (r#"consentry_frame_faults_total{side="smsc"}"#, 1.0),
            (r#"consentry_foreign_protocol_total{protocol="http"}"#, 0.0),
            (r#"consentry_sessions_ended_total{reason="smsc_framing"}"#, 1.0),
            ("consentry_unanswered_total", 1.0),
            ("consentry_window_messages", 0.0),
        ],
    );
}
