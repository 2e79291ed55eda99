//! Long messages in mode `hold`, through real sockets.

use std::time::{Duration, Instant};

use consentry::peer::esme::Esme;
use consentry::peer::smsc::Options;
use consentry::smpp::CommandStatus;
use consentry::smpp::tlv::Tag;
use consentry::smpp::write;

use crate::running::Proxy;
use crate::{OURS, answer, audit, bound, smsc, submit, submits};

/// Part `number` of two.
fn part(sequence: u32, reference: u8, number: u8) -> Vec<u8> {
    submit(sequence, OURS, |out| {
        write::tlv(out, Tag::SAR_MSG_REF_NUM, &[0, reference]);
        write::tlv(out, Tag::SAR_TOTAL_SEGMENTS, &[2]);
        write::tlv(out, Tag::SAR_SEGMENT_SEQNUM, &[number]);
    })
}

fn hold(more: &str) -> String {
    format!("{}[long_messages]\nmode = \"hold\"\n{more}\n", audit("written"))
}

async fn status(esme: &mut Esme) -> (u32, CommandStatus) {
    let (_, status, sequence, _) = answer(esme).await.expect("an answer");
    (sequence, status)
}

const OK: CommandStatus = CommandStatus::ESME_ROK;

#[tokio::test]
async fn halves_on_two_binds_go_on_together_and_as_they_came() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let proxy = Proxy::start(
        folder.path(),
        smsc.address(),
        &hold("deadline = \"60s\"\nsilence = \"60s\""),
        "",
    );
    let (mut one, mut other) = (bound(&proxy).await, bound(&proxy).await);
    for round in 0..20 {
        let (first, second) = (part(10 + round, round as u8, 1), part(50 + round, round as u8, 2));
        one.send(&first).await.expect("sent");
        // A message behind a part that waits is answered before it.
        one.send(&submit(100 + round, OURS, |_| {})).await.expect("sent");
        assert_eq!(status(&mut one).await, (100 + round, OK));
        assert!(!submits(&smsc).contains(&first), "it waits");
        other.send(&second).await.expect("sent");
        assert_eq!(status(&mut other).await, (50 + round, OK));
        assert_eq!(status(&mut one).await, (10 + round, OK));
        let received = submits(&smsc);
        assert!(received.contains(&first) && received.contains(&second), "octet for octet");
    }
}

#[tokio::test]
async fn a_part_alone_is_refused_at_the_deadline_and_never_arrives() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let more = hold("deadline = \"500ms\"\nsilence = \"60s\"");
    let proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
    let mut esme = bound(&proxy).await;
    let since = Instant::now();
    esme.send(&part(2, 1, 1)).await.expect("sent");
    assert_eq!(status(&mut esme).await, (2, CommandStatus::ESME_RSUBMITFAIL));
    assert!(since.elapsed() >= Duration::from_millis(500));
    assert_eq!(submits(&smsc), Vec::<Vec<u8>>::new());
}

#[tokio::test]
async fn a_window_of_one_gets_its_message_through() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let proxy = Proxy::start(folder.path(), smsc.address(), &hold("silence = \"200ms\""), "");
    let mut esme = bound(&proxy).await;
    for (sequence, reference, number) in [(2, 1, 1), (3, 1, 2), (4, 2, 1), (5, 2, 2)] {
        esme.send(&part(sequence, reference, number)).await.expect("sent");
        assert_eq!(status(&mut esme).await, (sequence, OK));
    }
    assert_eq!(submits(&smsc).len(), 4);
}

#[tokio::test]
async fn who_goes_leaves_no_part_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let proxy = Proxy::start(folder.path(), smsc.address(), &hold("silence = \"60s\""), "");
    let mut gone = bound(&proxy).await;
    gone.send(&part(2, 1, 1)).await.expect("sent");
    gone.send(&submit(3, OURS, |_| {})).await.expect("sent");
    assert_eq!(status(&mut gone).await, (3, OK), "what came before is looked at");
    drop(gone);
    let mut esme = bound(&proxy).await;
    // Its session ends when the proxy has noticed; until then the part is still known.
    tokio::time::sleep(Duration::from_millis(500)).await;
    esme.send(&part(4, 1, 2)).await.expect("sent");
    esme.send(&submit(5, OURS, |_| {})).await.expect("sent");
    assert_eq!(status(&mut esme).await, (5, OK), "the second part waits for a first");
    esme.send(&part(6, 1, 1)).await.expect("sent");
    let mut answers = [status(&mut esme).await, status(&mut esme).await];
    answers.sort_by_key(|(sequence, _)| *sequence);
    assert_eq!(answers, [(4, OK), (6, OK)]);
}

#[tokio::test]
async fn a_shutdown_answers_what_waits() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let mut proxy = Proxy::start(folder.path(), smsc.address(), &hold("silence = \"60s\""), "");
    let mut esme = bound(&proxy).await;
    esme.send(&part(2, 1, 1)).await.expect("sent");
    esme.send(&submit(3, OURS, |_| {})).await.expect("sent");
    assert_eq!(status(&mut esme).await, (3, OK));
    proxy.signal("-TERM");
    assert_eq!(status(&mut esme).await, (2, CommandStatus::ESME_RTHROTTLED));
    drop(esme);
    assert_eq!(proxy.wait(), Some(0));
}
