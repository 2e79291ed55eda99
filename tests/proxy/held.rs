//! A handset's refusal that cannot be kept yet: its message waits, within limits, and is kept once.

use std::path::Path;
use std::process::Command as Process;
use std::time::Duration;

use consentry::audit::{Found, Query, search};
use consentry::consent::{CACHE_OCTETS_MIN, Ledger, Options};
use consentry::peer::esme::Esme;
use consentry::registry::Msisdn;
use consentry::smpp::message::WireAddress;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::budget::within;
use crate::running::Proxy;
use crate::wire::{Wire, listener};
use crate::{OURS, answer, audit, submit};

/// A handset's refusal.
fn refusal() -> Vec<u8> {
    let mut out = Vec::new();
    let address = |value| WireAddress { ton: 1, npi: 1, value };
    let fields = MessageFields {
        source: address(b"8613800138000"),
        destination: address(OURS),
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 0,
        short_message: b"TD",
    };
    write::message(&mut out, Command::DeliverSm, 7, fields, |_| {});
    out
}

async fn bound(proxy: &Proxy, listener: &TcpListener) -> (Esme, Wire) {
    let mut esme = Esme::connect(proxy.address()).await.expect("accepted");
    let (status, smsc) =
        tokio::join!(esme.bind(Command::BindTransceiver, "test", "secret"), async {
            let mut smsc = Wire::accept(listener).await;
            let bind = smsc.expect(Command::BindTransceiver).await;
            smsc.answer(&bind, CommandStatus::ESME_ROK).await;
            smsc
        });
    assert_eq!(status.expect("an answer"), CommandStatus::ESME_ROK);
    (esme, smsc)
}

/// Octets of the longest file in the journal's folder.
fn journal_octets(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder.join("audit")).expect("the journal's folder");
    let length = |file: std::fs::DirEntry| file.metadata().expect("a file").len();
    files.filter_map(Result::ok).map(length).max().expect("a journal")
}

fn limit_files(proxy: &Proxy, octets: &str) {
    let (limit, id) = (format!("--fsize={octets}:unlimited"), proxy.id().to_string());
    let status = Process::new("prlimit").args([&limit, "--pid", &id]).status();
    assert!(status.expect("prlimit of util-linux").success());
}

/// Lets the next write to the journal fail, and none to the ledger. Tried again, the journal begins
/// a new file.
async fn fill_up(proxy: &Proxy, folder: &Path, esme: &mut Esme, smsc: &mut Wire) {
    for sequence in 2..200 {
        esme.send(&submit(sequence, OURS, |_| {})).await.expect("sent");
        let asked = smsc.expect(Command::SubmitSm).await;
        smsc.answer(&asked, CommandStatus::ESME_ROK).await;
        assert!(answer(esme).await.is_some());
    }
    // Records that nobody waits for are written within 10 ms.
    sleep(Duration::from_millis(200)).await;
    limit_files(proxy, &journal_octets(folder).to_string());
}

#[tokio::test]
async fn a_refusal_is_kept_once_by_ledger_and_journal_however_often_it_is_tried() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (listener, address) = listener().await;
    let mut proxy = Proxy::start(folder.path(), address, &audit("written"), "trap '' XFSZ;");
    let (mut esme, mut smsc) = bound(&proxy, &listener).await;
    fill_up(&proxy, folder.path(), &mut esme, &mut smsc).await;
    smsc.send(&refusal()).await;
    let came = timeout(Duration::from_secs(20), esme.next()).await.expect("it goes on");
    assert_eq!(came.expect("a PDU"), Some(refusal()));
    proxy.signal("-TERM");
    drop((esme, smsc));
    assert_eq!(proxy.wait(), Some(0));

    let mut replies = 0;
    search(&folder.path().join("audit"), &Query::default(), &mut |found| {
        replies += usize::from(matches!(found, Found::Reply { .. }));
        std::ops::ControlFlow::Continue(())
    })
    .expect("the journal can be read");
    assert_eq!(replies, 1, "records of the reply");
    let (cache_octets, silent_after_us, on_sync) = (CACHE_OCTETS_MIN, 1, None);
    let options = Options { cache_octets, warm: false, silent_after_us, on_sync };
    let ledger = Ledger::open(&folder.path().join("state/consent"), options).expect("a ledger");
    let entity = ledger.find_entity("测试有限公司").expect("the provider");
    let handset = Msisdn::new(8_613_800_138_000).expect("a number");
    assert_eq!(ledger.history(entity, handset).expect("a history").len(), 1, "revocations");
}

#[tokio::test]
async fn an_answer_that_waits_behind_a_refusal_is_not_overdue() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (listener, address) = listener().await;
    let more = audit("written") + "[timeouts]\nresponse = \"1s\"\n";
    let proxy = Proxy::start(folder.path(), address, &more, "trap '' XFSZ;");
    let (mut esme, mut smsc) = bound(&proxy, &listener).await;
    esme.send(&submit(2, OURS, |_| {})).await.expect("sent");
    let asked = smsc.expect(Command::SubmitSm).await;
    limit_files(&proxy, "1");
    smsc.send(&refusal()).await;
    smsc.answer(&asked, CommandStatus::ESME_ROK).await;
    // It is tried every second: three times the response time has passed.
    within("it is tried", Duration::from_secs(30), || {
        proxy.logged("a handset's answer is held back until it can be kept").len() >= 4
    });
    assert_eq!(proxy.logged("smsc_silent"), [""; 0]);
    let came = timeout(Duration::from_millis(100), esme.next()).await;
    assert!(came.is_err(), "{came:?} came: neither the answer nor the end is due");
}

#[tokio::test]
async fn an_smsc_whose_messages_are_held_is_read_no_further_than_the_limit() {
    const FLOOD_PDUS: u32 = 1_500;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (listener, address) = listener().await;
    let proxy = Proxy::start(folder.path(), address, &audit("written"), "trap '' XFSZ;");
    let (mut esme, mut smsc) = bound(&proxy, &listener).await;
    limit_files(&proxy, "1");
    smsc.send(&refusal()).await;
    let mut large = Vec::new();
    let (id, ok) = (Command::AlertNotification.id(), CommandStatus::ESME_ROK);
    write::pdu(&mut large, id, ok, 8, |out| out.resize(60_000, 0));
    let flood = async {
        for _ in 0..FLOOD_PDUS {
            smsc.stream.write_all(&large).await.expect("the proxy is there");
        }
    };
    let taken = tokio::select! {
        taken = timeout(Duration::from_secs(3), flood) => taken,
        came = esme.next() => panic!("{came:?} came, and the refusal cannot be kept"),
    };
    assert!(taken.is_err(), "ninety megabytes were taken for an ESME that gets none of them");
}

#[tokio::test]
async fn what_waits_for_a_refusal_reaches_the_esme_though_the_smsc_has_gone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (listener, address) = listener().await;
    let proxy = Proxy::start(folder.path(), address, &audit("synced"), "");
    for round in 0..10 {
        let (mut esme, mut smsc) = bound(&proxy, &listener).await;
        esme.send(&submit(2, OURS, |_| {})).await.expect("sent");
        let asked = smsc.expect(Command::SubmitSm).await;
        let header = Header::of(&asked).expect("a header");
        let mut last = refusal();
        let (id, ok) = (Command::SubmitSmResp.id(), CommandStatus::ESME_ROK);
        write::header_only(&mut last, id, ok, header.sequence_number);
        smsc.send(&last).await;
        drop(smsc);
        let came = esme.next().await.ok().flatten();
        assert_eq!(came, Some(refusal()), "round {round}");
        let came = answer(&mut esme).await.map(|(command, ..)| command);
        assert_eq!(came, Some(Command::SubmitSmResp), "round {round}");
    }
}
