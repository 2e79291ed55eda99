//! The waits of a session, as both peers and the journal see them end.

use std::path::Path;
use std::time::{Duration, Instant};

use consentry::audit::{Reader, Record};
use consentry::peer::esme::{Esme, EsmeFault};
use consentry::session::EndReason;
use consentry::smpp::write;
use consentry::smpp::{Command, CommandStatus, Header};

use crate::running::Proxy;
use crate::wire::{Wire, listener};
use crate::{OURS, answer, audit, bound, closes, recorded, smsc, submit};

/// Why the sessions of a journal ended, in the order of their ends, with their unanswered requests.
fn ends(folder: &Path) -> Vec<(Option<EndReason>, u64)> {
    let mut reader = Reader::open(&folder.join("audit")).expect("a journal");
    let mut ends = Vec::new();
    while let Some(entry) = reader.next().expect("it can be read") {
        if let Record::End(end) = entry.record() {
            ends.push((EndReason::from_code(end.reason), end.unanswered));
        }
    }
    ends
}

fn stop(mut proxy: Proxy) {
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
}

#[tokio::test]
async fn an_esme_that_says_nothing_for_the_idle_time_is_closed_and_one_that_enquires_is_not() {
    const IDLE: Duration = Duration::from_secs(10);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Default::default());
    let more = audit("written") + "[timeouts]\nidle = \"10s\"\n";
    let proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
    let began = Instant::now();
    let mut quiet = bound(&proxy).await;
    let mut enquiring = bound(&proxy).await;
    quiet.read_deadline = 2 * IDLE;
    let mut enquire = Vec::new();
    let ok = CommandStatus::ESME_ROK;
    write::header_only(&mut enquire, Command::EnquireLink.id(), ok, 2);
    let keeps_talking = async {
        while began.elapsed() < IDLE + IDLE / 5 {
            enquiring.send(&enquire).await.expect("sent");
            assert!(matches!(enquiring.next().await, Ok(Some(_))), "it lives");
            tokio::time::sleep(IDLE / 4).await;
        }
    };
    let goes = async {
        assert!(matches!(quiet.next().await, Ok(None)), "it is closed");
        began.elapsed()
    };
    let (_, lived) = tokio::join!(keeps_talking, goes);
    assert!(lived >= IDLE && lived < IDLE + IDLE / 2, "it was closed after {lived:?}");
    stop(proxy);
    let ends = ends(folder.path());
    assert_eq!((ends.len(), ends[0]), (2, (Some(EndReason::Idle), 0)));
}

#[tokio::test]
async fn whoever_does_not_bind_in_time_is_closed_whatever_it_dribbles() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Default::default());
    let more = audit("written") + "[timeouts]\nbind = \"1s\"\nclose = \"100ms\"\n";
    let proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
    let began = Instant::now();
    let mut silent = Esme::connect(proxy.address()).await.expect("accepted");
    let mut dribbling = Esme::connect(proxy.address()).await.expect("accepted");
    let dribble = async {
        for octet in [0, 0, 0, 40, 0, 0, 0, 9].into_iter().cycle() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if dribbling.send(&[octet]).await.is_err() || began.elapsed() > 5 * SECOND {
                break;
            }
        }
        began.elapsed()
    };
    let (closed, dribbled) = tokio::join!(closes(&mut silent), dribble);
    assert!(closed && began.elapsed() >= SECOND);
    assert!(dribbled < 4 * SECOND, "octets that are no bind do not hold the connection");
    let mut bound = bound(&proxy).await;
    bound.read_deadline = 2 * SECOND;
    let alive = bound.next().await;
    assert!(matches!(alive, Err(EsmeFault::Silent(_))), "a bound session has no bind deadline");
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_smsc_that_does_not_answer_a_bind_is_answered_for_in_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (listener, address) = listener().await;
    let more = audit("written") + "[timeouts]\nbind = \"1s\"\n";
    let proxy = Proxy::start(folder.path(), address, &more, "");
    let mut esme = Esme::connect(proxy.address()).await.expect("accepted");
    let began = Instant::now();
    let (status, mut smsc) =
        tokio::join!(esme.bind(Command::BindTransceiver, "test", "secret"), async {
            let mut smsc = Wire::accept(&listener).await;
            smsc.expect(Command::BindTransceiver).await;
            smsc
        });
    assert_eq!(status.expect("an answer"), CommandStatus::ESME_RBINDFAIL);
    assert!((SECOND..4 * SECOND).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert!(closes(&mut esme).await);
    assert_eq!(smsc.next().await, None, "the SMSC's side is closed too");
    stop(proxy);
    assert_eq!(ends(folder.path()), [(Some(EndReason::SmscSilent), 0)]);
}

#[tokio::test]
async fn one_lost_answer_costs_one_request_and_an_answer_that_is_late_still_crosses() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (listener, address) = listener().await;
    let more = audit("written") + "[timeouts]\nresponse = \"1s\"\n";
    let proxy = Proxy::start(folder.path(), address, &more, "");
    let mut esme = Esme::connect(proxy.address()).await.expect("accepted");
    let (status, mut smsc) =
        tokio::join!(esme.bind(Command::BindTransceiver, "test", "secret"), async {
            let mut smsc = Wire::accept(&listener).await;
            let bind = smsc.expect(Command::BindTransceiver).await;
            smsc.answer(&bind, CommandStatus::ESME_ROK).await;
            smsc
        });
    assert_eq!(status.expect("an answer"), CommandStatus::ESME_ROK);
    let lost = submit(2, OURS, |_| {});
    esme.send(&lost).await.expect("sent");
    assert_eq!(smsc.next().await, Some(lost.clone()));
    // Others are answered all the while, until the time of the lost one is long over.
    for sequence in 3..11 {
        let pdu = submit(sequence, OURS, |_| {});
        esme.send(&pdu).await.expect("sent");
        assert_eq!(smsc.next().await, Some(pdu.clone()));
        smsc.answer(&pdu, CommandStatus::ESME_ROK).await;
        let answered = answer(&mut esme).await.map(|(_, _, sequence, _)| sequence);
        assert_eq!(answered, Some(sequence), "the session lives");
        tokio::time::sleep(SECOND / 4).await;
    }
    smsc.answer(&lost, CommandStatus::ESME_RSUBMITFAIL).await;
    let late = (Command::SubmitSmResp, CommandStatus::ESME_RSUBMITFAIL, 2, 16);
    assert_eq!(answer(&mut esme).await, Some(late));
    drop(smsc);
    assert!(closes(&mut esme).await);
    stop(proxy);
    assert_eq!(recorded(folder.path()), ((2..11).collect(), 1));
    assert_eq!(ends(folder.path()), [(Some(EndReason::SmscClosed), 1)]);
}

#[tokio::test]
async fn either_side_may_go_and_the_other_goes_with_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (listener, address) = listener().await;
    let proxy = Proxy::start(folder.path(), address, &audit("written"), "");
    let mut reasons = Vec::new();
    // Who goes, and whether it says so first.
    for (esme_goes, unbinds) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut esme = Esme::connect(proxy.address()).await.expect("accepted");
        let (status, mut smsc) =
            tokio::join!(esme.bind(Command::BindTransceiver, "test", "secret"), async {
                let mut smsc = Wire::accept(&listener).await;
                let bind = smsc.expect(Command::BindTransceiver).await;
                smsc.answer(&bind, CommandStatus::ESME_ROK).await;
                smsc
            });
        assert_eq!(status.expect("an answer"), CommandStatus::ESME_ROK);
        esme.send(&submit(2, OURS, |_| {})).await.expect("sent");
        smsc.expect(Command::SubmitSm).await;
        let mut unbind = Vec::new();
        let ok = CommandStatus::ESME_ROK;
        write::header_only(&mut unbind, Command::Unbind.id(), ok, 3);
        if esme_goes {
            if unbinds {
                esme.send(&unbind).await.expect("sent");
                smsc.expect(Command::Unbind).await;
                smsc.answer(&unbind, ok).await;
            }
            drop(esme);
            assert_eq!(smsc.next().await, None, "nothing is sent twice, nothing is made up");
        } else {
            if unbinds {
                smsc.send(&unbind).await;
                let came = esme.next().await.ok().flatten();
                let command = came.as_deref().and_then(Header::of).map(|header| header.command);
                assert_eq!(command, Some(Command::Unbind));
            }
            drop(smsc);
            assert!(matches!(esme.next().await, Ok(None)), "closed, and in good order");
        }
        reasons.push(match (esme_goes, unbinds) {
            (_, true) => EndReason::Unbound,
            (true, false) => EndReason::EsmeClosed,
            (false, false) => EndReason::SmscClosed,
        });
    }
    stop(proxy);
    // A session's end is recorded when its sockets are closed; the next one's may be before it.
    let sorted = |ends: Vec<(Option<EndReason>, u64)>| {
        let mut ends: Vec<_> = ends.into_iter().map(|end| format!("{end:?}")).collect();
        ends.sort();
        ends
    };
    let expected = reasons.into_iter().map(|reason| (Some(reason), 1)).collect();
    let found = ends(folder.path());
    assert_eq!(sorted(found), sorted(expected), "each request without an answer is on record");
}
