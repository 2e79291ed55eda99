//! The small ESME, SMSC and load generator, against each other over loopback.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use consentry::peer::esme::{Esme, EsmeFault};
use consentry::peer::load::{self, Length, LoadFault, Message as LoadMessage};
use consentry::peer::smsc::{Counts, Deliver, Fault, MESSAGE_ID_DIGITS, Options, Smsc};
use consentry::smpp::bind::BindResp;
use consentry::smpp::message::{Message, WireAddress};
use consentry::smpp::response::{QuerySmResp, message_id};
use consentry::smpp::tlv::Tag;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus as Status, Header};

const FIELDS: MessageFields<'_> = MessageFields {
    source: WireAddress { ton: 0, npi: 1, value: b"106900001234" },
    destination: WireAddress { ton: 1, npi: 1, value: b"13800000000" },
    esm_class: 0,
    registered_delivery: 0,
    data_coding: 0,
    short_message: b"hello",
};

fn smsc(options: Options) -> Smsc {
    Smsc::start(options).expect("a free port")
}

async fn bound(smsc: &Smsc, kind: Command) -> Esme {
    let mut esme = Esme::connect(smsc.address()).await.expect("it listens");
    assert_eq!(esme.bind(kind, "shop1", "secret").await.expect("an answer"), Status::ESME_ROK);
    esme
}

async fn answer(esme: &mut Esme) -> Vec<u8> {
    esme.next().await.expect("an answer in time").expect("an open connection")
}

fn status(pdu: &[u8]) -> Option<Status> {
    Header::of(pdu).map(|header| header.command_status)
}

fn sequence(pdu: &[u8]) -> Option<u32> {
    Header::of(pdu).map(|header| header.sequence_number)
}

fn submit_sm(sequence: u32, fields: MessageFields<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write::message(&mut out, Command::SubmitSm, sequence, fields, |_| {});
    out
}

/// One request of each command, about `message_id` where it has that field.
fn request(command: Command, sequence: u32, message_id: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match command {
        Command::SubmitSm | Command::DeliverSm => {
            write::message(&mut out, command, sequence, FIELDS, |_| {});
        }
        Command::DataSm => write::data_sm(&mut out, sequence, FIELDS, |o| {
            write::tlv(o, Tag::MESSAGE_PAYLOAD, b"hello");
        }),
        Command::BindReceiver | Command::BindTransmitter | Command::BindTransceiver => {
            let fields = write::BindFields {
                system_id: b"shop1",
                password: b"secret",
                system_type: b"",
                interface_version: 0x34,
            };
            write::bind(&mut out, command, sequence, fields);
        }
        _ => write::pdu(&mut out, command.id(), Status::ESME_ROK, sequence, |o| {
            body(command, message_id, o);
        }),
    }
    out
}

fn body(command: Command, message_id: &[u8], o: &mut Vec<u8>) {
    match command {
        Command::SubmitMulti => {
            o.push(0);
            write::address(o, FIELDS.source);
            o.extend_from_slice(&[1, 1]);
            write::address(o, FIELDS.destination);
            o.extend_from_slice(&[0; 9]);
            o.extend_from_slice(b"\x02hi");
        }
        Command::QuerySm => {
            write::c_octets(o, message_id);
            write::address(o, FIELDS.source);
        }
        Command::CancelSm => {
            o.push(0);
            write::c_octets(o, message_id);
            write::address(o, FIELDS.source);
            write::address(o, FIELDS.destination);
        }
        Command::ReplaceSm => {
            write::c_octets(o, message_id);
            write::address(o, FIELDS.source);
            o.extend_from_slice(&[0, 0, 0, 0, 0]);
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_command_has_its_answer_in_every_bind_state() {
    use Command::*;
    use Status as S;
    // The status when open, bound as transmitter, as receiver, as transceiver.
    let transmitted = |s| Some([S::ESME_RINVBNDSTS, s, S::ESME_RINVBNDSTS, s]);
    let bind = Some([S::ESME_ROK, S::ESME_RALYBND, S::ESME_RALYBND, S::ESME_RALYBND]);
    let nack = None;
    let rows: &[(Command, Option<[Status; 4]>)] = &[
        (SubmitSm, transmitted(S::ESME_ROK)),
        (DataSm, transmitted(S::ESME_ROK)),
        (SubmitMulti, transmitted(S::ESME_ROK)),
        (QuerySm, transmitted(S::ESME_RQUERYFAIL)),
        (CancelSm, transmitted(S::ESME_RCANCELFAIL)),
        (ReplaceSm, transmitted(S::ESME_RREPLACEFAIL)),
        (EnquireLink, Some([S::ESME_ROK; 4])),
        (Unbind, Some([S::ESME_RINVBNDSTS, S::ESME_ROK, S::ESME_ROK, S::ESME_ROK])),
        (BindTransmitter, bind),
        (BindReceiver, bind),
        (BindTransceiver, bind),
        (DeliverSm, nack),
        (AlertNotification, nack),
        (Outbind, nack),
        (BroadcastSm, nack),
        (Unknown(0x0001_0203), nack),
    ];
    let smsc = smsc(Options::default());
    let states = [None, Some(BindTransmitter), Some(BindReceiver), Some(BindTransceiver)];
    for (index, state) in states.into_iter().enumerate() {
        for (sequence, (command, expected)) in (100..).zip(rows) {
            let mut esme = match state {
                Some(kind) => bound(&smsc, kind).await,
                None => Esme::connect(smsc.address()).await.expect("it listens"),
            };
            esme.send(&request(*command, sequence, b"ff")).await.expect("sent");
            let answered = Header::of(&answer(&mut esme).await).expect("a header");
            let (id, status) = match expected {
                Some(statuses) => (command.response_id(), statuses[index]),
                None => (GenericNack.id(), S::ESME_RINVCMDID),
            };
            let got = (answered.command.id(), answered.command_status, answered.sequence_number);
            assert_eq!(got, (id, status, sequence), "{command} in {state:?}");
        }
    }
}

#[tokio::test]
async fn binds_carry_the_version_and_passwords_are_checked_when_asked_for() {
    let strict = smsc(Options { password: Some("right".to_owned()), ..Options::default() });
    let mut esme = Esme::connect(strict.address()).await.expect("it listens");
    let refused = esme.bind(Command::BindTransmitter, "shop1", "wrong").await.expect("an answer");
    assert_eq!(refused, Status::ESME_RINVPASWD);
    let taken = esme.bind(Command::BindTransmitter, "shop1", "right").await.expect("an answer");
    assert_eq!(taken, Status::ESME_ROK);

    let friendly = smsc(Options::default());
    let mut esme = Esme::connect(friendly.address()).await.expect("it listens");
    esme.send(&request(Command::BindTransceiver, 9, b"")).await.expect("sent");
    let resp = answer(&mut esme).await;
    let resp = BindResp::parse(&resp).expect("a whole response");
    let version = resp.tlvs.find(Tag::SC_INTERFACE_VERSION);
    assert_eq!((resp.system_id, version), (&b"SMSC"[..], Some(&[0x34][..])));
}

#[tokio::test]
async fn message_ids_are_unique_and_known_afterwards() {
    let smsc = smsc(Options::default());
    let mut one = bound(&smsc, Command::BindTransmitter).await;
    let mut two = bound(&smsc, Command::BindTransceiver).await;
    let mut ids = BTreeSet::new();
    for sequence in 1..=300 {
        for esme in [&mut one, &mut two] {
            esme.send(&submit_sm(sequence, FIELDS)).await.expect("sent");
            let resp = answer(esme).await;
            assert_eq!(resp.len(), 16 + MESSAGE_ID_DIGITS + 1);
            let id = message_id(&resp).expect("a message_id");
            assert_eq!(id.len(), MESSAGE_ID_DIGITS);
            assert!(ids.insert(id.to_vec()), "{id:?} came twice");
        }
    }
    let id = ids.first().cloned().unwrap_or_default();
    for command in [Command::QuerySm, Command::CancelSm, Command::ReplaceSm] {
        one.send(&request(command, 7, &id)).await.expect("sent");
        let resp = answer(&mut one).await;
        assert_eq!(status(&resp), Some(Status::ESME_ROK), "{command}");
        if command == Command::QuerySm {
            let read = QuerySmResp::parse(&resp).expect("a whole response");
            let told = (read.message_id, read.final_date.len(), read.message_state);
            assert_eq!(told, (&id[..], 16, 2));
        }
    }
}

#[tokio::test]
async fn receipts_go_to_a_session_that_can_receive() {
    let smsc = smsc(Options { receipts: true, ..Options::default() });
    let wanted = MessageFields { registered_delivery: 1, ..FIELDS };
    let mut transmitter = bound(&smsc, Command::BindTransmitter).await;
    transmitter.send(&submit_sm(2, wanted)).await.expect("sent");
    answer(&mut transmitter).await;
    assert_eq!(smsc.counts().undelivered, 1);

    let mut receiver = bound(&smsc, Command::BindReceiver).await;
    let mut both = bound(&smsc, Command::BindTransceiver).await;
    transmitter.send(&submit_sm(3, FIELDS)).await.expect("sent");
    answer(&mut transmitter).await;
    transmitter.send(&submit_sm(4, wanted)).await.expect("sent");
    let first = (answer(&mut transmitter).await, answer(&mut receiver).await);
    both.send(&submit_sm(5, wanted)).await.expect("sent");
    let second = (answer(&mut both).await, answer(&mut both).await);
    for (resp, receipt) in [first, second] {
        check_receipt(message_id(&resp).expect("a message_id"), &receipt);
    }
}

fn check_receipt(id: &[u8], receipt: &[u8]) {
    assert_eq!(Header::of(receipt).map(|h| h.command), Some(Command::DeliverSm));
    let read = Message::parse(receipt).expect("a whole deliver_sm");
    let told = (read.source, read.destination, read.esm_class);
    assert_eq!(told, (FIELDS.destination, FIELDS.source, 0x04));
    let terminated = [id, b"\0"].concat();
    assert_eq!(read.tlvs.find(Tag::RECEIPTED_MESSAGE_ID), Some(&terminated[..]));
    assert_eq!(read.tlvs.find(Tag::MESSAGE_STATE), Some(&[2][..]));
    let text = String::from_utf8_lossy(read.short_message).into_owned();
    let begin = format!("id:{} sub:001 dlvrd:001 submit date:", String::from_utf8_lossy(id));
    assert!(text.starts_with(&begin), "{text}");
    assert!(text.ends_with(" stat:DELIVRD err:000 text:"), "{text}");
}

#[tokio::test]
async fn messages_reach_those_who_are_bound_to_receive() {
    let deliver = Deliver {
        source: "13900000000".to_owned(),
        destination: "106900001234".to_owned(),
        data_coding: 0,
        text: b"again".to_vec(),
        every: Duration::from_millis(1),
    };
    let smsc = smsc(Options { deliver: Some(deliver), ..Options::default() });
    assert!(!smsc.deliver("shop1", "13800138000", "106900001234", 0, b"TD"));
    let mut esme = bound(&smsc, Command::BindReceiver).await;
    let long = [b'x'; 255];
    assert!(smsc.deliver("shop1", "13800138000", "106900001234", 0, b"TD"));
    assert!(smsc.deliver("shop1", "13800138000", "106900001234", 0, &long));
    assert!(smsc.send("shop1", &request(Command::AlertNotification, 9, b"")));
    let mut missing = vec![b"TD".to_vec(), long.to_vec(), b"again".to_vec(), Vec::new()];
    while !missing.is_empty() {
        let pdu = answer(&mut esme).await;
        let text = match Header::of(&pdu).map(|h| h.command) {
            Some(Command::DeliverSm) => Message::parse(&pdu).expect("whole").text_octets().to_vec(),
            other => {
                assert_eq!(other, Some(Command::AlertNotification));
                Vec::new()
            }
        };
        missing.retain(|wanted| *wanted != text);
    }
}

#[tokio::test]
async fn what_came_is_kept_and_recorded_octet_for_octet() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("record");
    let options = Options { received_max: 3, record: Some(path.clone()), ..Options::default() };
    let smsc = smsc(options);
    let mut esme = bound(&smsc, Command::BindTransmitter).await;
    let mut sent = request(Command::BindTransmitter, 1, b"");
    for sequence in 2..6 {
        let pdu = submit_sm(sequence, FIELDS);
        let (front, back) = pdu.split_at(21);
        esme.send(front).await.expect("sent");
        esme.send(back).await.expect("sent");
        answer(&mut esme).await;
        sent.extend_from_slice(&pdu);
    }
    assert!(std::fs::read(&path).expect("a record") == sent);
    let received = smsc.received();
    assert_eq!(received.len(), 3);
    assert_eq!(received[2].octets, submit_sm(3, FIELDS));
    assert_eq!((received[0].system_id.as_str(), received[2].system_id.as_str()), ("", "shop1"));
    assert!(!format!("{received:?}").contains("octets"));
}

#[tokio::test]
async fn statuses_are_given_to_every_nth_message() {
    let smsc = smsc(Options { status: Some((Status::ESME_RTHROTTLED, 3)), ..Options::default() });
    let mut esme = bound(&smsc, Command::BindTransmitter).await;
    for sequence in 1..=9 {
        esme.send(&submit_sm(sequence, FIELDS)).await.expect("sent");
        let resp = answer(&mut esme).await;
        let refused = (Some(Status::ESME_RTHROTTLED), 16);
        let expected = if sequence % 3 == 0 { refused } else { (Some(Status::ESME_ROK), 33) };
        assert_eq!((status(&resp), resp.len()), expected);
    }
}

#[tokio::test]
async fn faults_are_what_they_say() {
    let smsc = smsc(Options { received_max: 100, ..Options::default() });
    let batch: Vec<u8> = (1..=4).flat_map(|sequence| submit_sm(sequence, FIELDS)).collect();
    let mut esme = bound(&smsc, Command::BindTransmitter).await;
    esme.read_deadline = Duration::from_millis(50);

    smsc.fault(Fault::Silent);
    esme.send(&batch).await.expect("sent");
    assert!(matches!(esme.next().await, Err(EsmeFault::Silent(_))));
    assert_eq!(smsc.received().len(), 5);

    smsc.fault(Fault::StopReading);
    esme.send(&batch).await.expect("sent");
    assert!(matches!(esme.next().await, Err(EsmeFault::Silent(_))));
    assert_eq!(smsc.received().len(), 5);

    esme.read_deadline = Duration::from_secs(5);
    smsc.fault(Fault::Reverse);
    let mut order = Vec::new();
    for _ in 0..4 {
        order.extend(sequence(&answer(&mut esme).await));
    }
    assert_eq!(order, [4, 3, 2, 1]);

    smsc.fault(Fault::CloseAfter(10));
    esme.send(&batch).await.expect("sent");
    let mut answers = 0;
    while esme.next().await.expect("a good end").is_some() {
        answers += 1;
    }
    assert_eq!(answers, 2, "eight came before");

    smsc.fault(Fault::None);
    let mut esme = bound(&smsc, Command::BindTransmitter).await;
    smsc.fault(Fault::CutMidPdu);
    esme.send(&batch).await.expect("sent");
    let mut answers = 0;
    while esme.next().await.expect("a good end").is_some() {
        answers += 1;
    }
    assert_eq!(answers, 3);
}

#[tokio::test]
async fn delayed_answers_come_late_and_in_order() {
    let (delay, jitter) = (Duration::from_millis(20), Duration::from_millis(5));
    let smsc = smsc(Options { delay, delay_jitter: jitter, ..Options::default() });
    let begun = Instant::now();
    let mut esme = bound(&smsc, Command::BindTransmitter).await;
    for number in 2..40 {
        esme.send(&submit_sm(number, FIELDS)).await.expect("sent");
    }
    for number in 2..40 {
        assert_eq!(sequence(&answer(&mut esme).await), Some(number));
    }
    assert!(begun.elapsed() >= 2 * delay);
}

#[tokio::test]
async fn a_stream_that_is_not_smpp_is_closed() {
    let smsc = smsc(Options::default());
    let rows: [(&[u8], Option<Status>); 2] = [
        (b"GET / HTTP/1.1\r\n\r\n", None),
        (&[0, 0, 0, 15, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1], Some(Status::ESME_RINVCMDLEN)),
    ];
    for (octets, nack) in rows {
        let mut esme = Esme::connect(smsc.address()).await.expect("it listens");
        esme.send(octets).await.expect("sent");
        if nack.is_some() {
            assert_eq!(status(&answer(&mut esme).await), nack);
        }
        assert!(!matches!(esme.next().await, Ok(Some(_)) | Err(EsmeFault::Silent(_))));
    }
}

fn load_of(smsc: &Smsc) -> load::Options {
    load::Options {
        to: vec![smsc.address()],
        sessions: 3,
        window: 7,
        length: Length::Count(1000),
        ..load::Options::default()
    }
}

#[test]
fn a_load_reports_exactly_what_happened() {
    let throttled = Some((Status::ESME_RTHROTTLED, 10));
    let smsc = smsc(Options { status: throttled, receipts: true, ..Options::default() });
    let message = LoadMessage { receipt: true, text: vec![0x4e; 300], ..LoadMessage::default() };
    let options = load::Options { message, threads: 2, ..load_of(&smsc) };
    for rate in [None, Some(20_000)] {
        let report = load::run(&load::Options { rate, ..options.clone() }).expect("a run");
        let statuses: Vec<_> = report.statuses.iter().map(|(s, &n)| (s.as_str(), n)).collect();
        // Sessions send 334, 333 and 333, and each has every tenth refused.
        assert_eq!(statuses, [("ESME_ROK", 901), ("ESME_RTHROTTLED", 99)]);
        assert_eq!((report.messages, report.sent), (1000, 1000));
        assert_eq!((report.missing, report.unsent, report.unexpected), (0, 0, 0));
        assert!(report.is_complete(None) && !report.is_complete(Some(Status::ESME_ROK)));
        let l = report.latency_ns;
        assert!(0 < l.min && l.min <= l.p50 && l.p50 <= l.p99 && l.p99 <= l.max, "{l:?}");
        assert!(report.cpu.iter().all(|cpu| cpu.seconds > Some(0.0)), "{:?}", report.cpu);
    }
    let Counts { messages, binds, .. } = smsc.counts();
    assert_eq!((messages, binds), (2000, 6));
}

#[test]
fn a_load_says_what_is_missing() {
    let closing = smsc(Options { fault: Fault::CloseAfter(50), ..Options::default() });
    let report = load::run(&load_of(&closing)).expect("a run");
    assert!(report.messages <= 150, "{}", report.messages);
    assert_eq!(report.faults.len(), 3);
    assert_eq!(report.missing + report.messages, report.sent);
    assert_eq!(report.sent + report.unsent, 1000);
    assert!(!report.is_complete(None));

    let silent = smsc(Options { fault: Fault::Silent, ..Options::default() });
    let options = load::Options { response_timeout: Duration::from_millis(50), ..load_of(&silent) };
    let refused = load::run(&options).expect_err("no answer to the bind");
    assert!(matches!(refused, LoadFault::Connect(_, EsmeFault::Silent(_))), "{refused}");
}

#[test]
fn a_pause_counts_for_every_message_that_was_due_in_it() {
    let smsc = smsc(Options::default());
    let options = load::Options {
        rate: Some(2000),
        length: Length::For(Duration::from_millis(300)),
        pause: Some((Duration::from_millis(100), Duration::from_millis(100))),
        ..load_of(&smsc)
    };
    let report = load::run(&options).expect("a run");
    assert_eq!((report.messages, report.missing, report.unsent), (600, 0, 0));
    // 200 of 600 were due in the pause: a sixth of all waited for half of it or longer.
    let l = report.latency_ns;
    assert!(l.p90 >= 50_000_000 && l.p99 >= 90_000_000, "{l:?}");
}

#[test]
fn a_load_that_cannot_begin_says_why() {
    let smsc = smsc(Options { password: Some("other".to_owned()), ..Options::default() });
    let refused = load::run(&load_of(&smsc)).expect_err("a refusal");
    assert!(matches!(refused, LoadFault::Bind(_, _, Status::ESME_RINVPASWD)), "{refused}");
    let options = load_of(&smsc);
    let rows = [
        load::Options { to: vec![], ..options.clone() },
        load::Options { window: 0, ..options.clone() },
        load::Options { window: load::WINDOW_MAX + 1, ..options.clone() },
        load::Options { rate: Some(0), ..options.clone() },
        load::Options { length: Length::For(Duration::ZERO), ..options.clone() },
    ];
    for options in rows {
        assert!(matches!(load::run(&options), Err(LoadFault::Options(_))));
    }
}
