//! Captured streams played against an SMSC on loopback: what arrives, what is compared, how long it takes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use consentry::peer::play::{
    DIFFERENCES_LISTED_MAX, Difference, Options, Plan, Report, Speed, play,
};
use consentry::peer::smsc::{self, Deliver, Fault, Smsc};
use consentry::smpp::message::WireAddress;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header};

const OK: CommandStatus = CommandStatus::ESME_ROK;
const FORGED: CommandStatus = CommandStatus::ESME_RINVSRCADR;
const FULL: CommandStatus = CommandStatus::ESME_RMSGQFUL;
/// Of the trace's clock.
const BEGAN_US: u64 = 1_790_000_000_000_000;
const MILLISECOND_US: u64 = 1_000;

fn request(command: Command, sequence: u32) -> Vec<u8> {
    let mut pdu = Vec::new();
    let address = |value| WireAddress { ton: 0, npi: 1, value };
    let fields = MessageFields {
        source: address(b"106900001234"),
        destination: address(b"8613800138000"),
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: b"\x4f\x60\x59\x7d",
    };
    match command {
        Command::SubmitSm => write::message(&mut pdu, command, sequence, fields, |_| {}),
        Command::DataSm => write::data_sm(&mut pdu, sequence, fields, |_| {}),
        bare => write::header_only(&mut pdu, bare.id(), OK, sequence),
    }
    pdu
}

fn bind(kind: Command) -> Vec<u8> {
    let mut pdu = Vec::new();
    let fields = write::BindFields {
        system_id: b"captured",
        password: b"********",
        system_type: b"",
        interface_version: 0x34,
    };
    write::bind(&mut pdu, kind, 1, fields);
    pdu
}

/// A stream that begins at `at_ms`: a bind, then a submit_sm each 10 ms with the status it was answered,
/// numbered from 2. Ends with its last answer.
fn stream(
    plan: &mut Plan,
    number: u32,
    at_ms: u64,
    kind: Command,
    answers: &[Option<CommandStatus>],
) {
    let began_us = BEGAN_US + at_ms * MILLISECOND_US;
    plan.opened(number, began_us);
    plan.sent(number, began_us, &bind(kind)).expect("room");
    let mut answer = Vec::new();
    for (sequence, status) in (2..).zip(answers) {
        let time_us = began_us + u64::from(sequence - 1) * 10 * MILLISECOND_US;
        plan.sent(number, time_us, &request(Command::SubmitSm, sequence)).expect("room");
        if let Some(status) = status {
            answer.clear();
            let id = Command::SubmitSm.response_id();
            write::header_only(&mut answer, id, *status, sequence);
            plan.received(number, time_us + MILLISECOND_US, &answer);
        }
    }
}

fn options(to: SocketAddr, speed: Speed) -> Options {
    Options {
        to,
        system_id: "test".to_owned(),
        password: "secret".to_owned(),
        speed,
        window: 10,
        response_timeout: Duration::from_millis(500),
    }
}

fn smsc(options: smsc::Options) -> Smsc {
    let password = Some("secret".to_owned());
    let received_max = 10_000;
    Smsc::start(smsc::Options { password, received_max, ..options }).expect("an SMSC on loopback")
}

fn played(smsc: &Smsc, plan: Plan, speed: Speed) -> Report {
    play(plan, &options(smsc.address(), speed)).expect("a runtime")
}

fn arrived(smsc: &Smsc, session: u64) -> Vec<Vec<u8>> {
    let received = smsc.received().into_iter();
    received.filter(|one| one.session == session).map(|one| one.octets).collect()
}

#[test]
fn what_was_captured_arrives_octet_for_octet_under_the_given_credentials() {
    for fault in [Fault::None, Fault::Reverse] {
        let smsc = smsc(smsc::Options { fault, ..Default::default() });
        let mut plan = Plan::default();
        stream(&mut plan, 7, 0, Command::BindTransmitter, &[Some(OK); 35]);
        let mut sent: Vec<Vec<u8>> =
            (2..37).map(|sequence| request(Command::SubmitSm, sequence)).collect();
        for (command, sequence) in [(Command::DataSm, 37), (Command::EnquireLink, 38)] {
            plan.sent(7, BEGAN_US, &request(command, sequence)).expect("room");
            sent.push(request(command, sequence));
        }
        let report = played(&smsc, plan, Speed::Max);
        assert!(report.is_as_captured(), "{report:?}");
        assert_eq!((report.streams, report.sent, report.answered), (1, 37, 37));
        assert_eq!((report.uncompared, report.unexpected), (2, 0), "two have no captured answer");
        assert!(report.latency_ns.p50 > 0 && report.late_ns_max == 0);
        let arrived = arrived(&smsc, 1);
        let (first, rest) = arrived.split_first().expect("a bind");
        let header = Header::of(first).expect("a header");
        assert_eq!(header.command, Command::BindTransmitter, "as captured");
        assert!(first.windows(6).any(|part| part == b"secret"), "and not with what was captured");
        let (last, rest) = rest.split_last().expect("an unbind");
        assert_eq!(Header::of(last).map(|header| header.command), Some(Command::Unbind));
        assert_eq!(rest, sent);
    }
}

#[test]
fn statuses_that_differ_are_counted_and_listed() {
    let every_third = smsc::Options { status: Some((FULL, 3)), ..Default::default() };
    let smsc = smsc(every_third);
    let mut plan = Plan::default();
    let captured = [Some(OK), Some(FORGED), Some(OK), None, Some(OK), Some(FULL)];
    stream(&mut plan, 4, 0, Command::BindTransceiver, &captured);
    let report = played(&smsc, plan, Speed::Max);
    // Now: OK, OK, FULL, OK, OK, FULL.
    let difference = |index: usize, captured: &str, now: &str| Difference {
        stream: 4,
        index,
        command: "submit_sm".to_owned(),
        sequence_number: index as u32 + 2,
        captured: captured.to_owned(),
        now: now.to_owned(),
    };
    assert_eq!(
        report.differences,
        [difference(1, "ESME_RINVSRCADR", "ESME_ROK"), difference(2, "ESME_ROK", "ESME_RMSGQFUL")]
    );
    assert_eq!((report.differing, report.uncompared, report.answered), (2, 1, 6));
    let kinds: Vec<_> = report.kinds.iter().map(|kind| kind.count).collect();
    assert!(!report.is_as_captured() && kinds == [1, 1], "{:?}", report.kinds);
}

#[test]
fn a_listing_has_an_end_and_the_count_has_none() {
    let smsc = smsc(smsc::Options { status: Some((FULL, 1)), ..Default::default() });
    let mut plan = Plan::default();
    for number in 0..3 {
        stream(&mut plan, number, 0, Command::BindTransceiver, &[Some(OK); 500]);
    }
    let report = played(&smsc, plan, Speed::Max);
    assert_eq!((report.differing, report.differences.len()), (1_500, DIFFERENCES_LISTED_MAX));
    assert_eq!(report.kinds.iter().map(|kind| kind.count).collect::<Vec<_>>(), [1_500]);
}

#[test]
fn an_smsc_that_fails_costs_a_bounded_time_and_is_told() {
    for (fault, sent, unanswered, unsent, told) in [
        (Fault::Silent, 20, 20, 0, ""),
        (Fault::CloseAfter(5), 10, 5, 10, "stream 4: the peer closed the connection"),
    ] {
        let smsc = smsc(smsc::Options::default());
        let mut plan = Plan::default();
        stream(&mut plan, 4, 0, Command::BindTransceiver, &[Some(OK); 20]);
        let address = smsc.address();
        let began = Instant::now();
        let report = std::thread::scope(|scope| {
            let playing = scope.spawn(|| {
                // The bind is answered, and then nothing is: the first message comes 50 ms later.
                play(plan, &Options { window: 10, ..options(address, Speed::Times(0.2)) })
            });
            while smsc.counts().binds == 0 && began.elapsed() < Duration::from_secs(10) {
                std::thread::sleep(Duration::from_millis(1));
            }
            smsc.fault(fault);
            playing.join().expect("no panic").expect("a runtime")
        });
        assert!(began.elapsed() < Duration::from_secs(10), "{fault:?}");
        if fault == Fault::Silent {
            assert_eq!((report.sent, report.unanswered, report.unsent), (sent, unanswered, unsent));
            assert_eq!(report.differing, 20);
            assert!(report.differences.iter().all(|one| one.now == "none"));
        } else {
            assert!(report.unsent > 0 && report.faults == [told], "{report:?}");
        }
        assert!(!report.is_as_captured() && !report.never_bound);
    }
}

#[test]
fn who_cannot_connect_or_bind_is_told_apart_from_who_is_answered_otherwise() {
    let gone = {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        taken.local_addr().expect("an address")
    };
    let smsc = smsc(smsc::Options::default());
    for (to, password, told) in [
        (gone, "secret", "stream 4: cannot connect to"),
        (smsc.address(), "wrong", "stream 4: bind_receiver was answered ESME_RINVPASWD"),
    ] {
        let mut plan = Plan::default();
        stream(&mut plan, 4, 0, Command::BindReceiver, &[Some(OK)]);
        let options = Options { password: password.to_owned(), ..options(to, Speed::Max) };
        let report = play(plan, &options).expect("a runtime");
        assert!(report.never_bound && report.faults[0].starts_with(told), "{:?}", report.faults);
        assert_eq!((report.sent, report.unsent), (0, 1));
    }
}

#[test]
fn a_trace_is_played_in_its_time_or_a_part_of_it() {
    for (speed, least_ms, most_ms) in [(1.0, 600, 3_000), (10.0, 60, 550)] {
        let smsc = smsc(smsc::Options::default());
        let mut plan = Plan::default();
        stream(&mut plan, 1, 0, Command::BindTransceiver, &[Some(OK); 20]);
        stream(&mut plan, 2, 399, Command::BindTransceiver, &[Some(OK); 20]);
        let began = Instant::now();
        let report = played(&smsc, plan, Speed::Times(speed));
        let took = began.elapsed().as_millis();
        assert!((least_ms..most_ms).contains(&took), "{speed} times: {took} ms");
        assert!(report.is_as_captured(), "{report:?}");
        let order: Vec<u64> = smsc.received().iter().map(|one| one.session).collect();
        let second = order.iter().position(|session| *session == 2).expect("a second stream");
        assert!(second > 20, "it began when the first was over: {order:?}");
    }
}

#[test]
fn a_stream_that_only_receives_is_there_to_receive() {
    let deliver = Deliver {
        source: "8613800138000".to_owned(),
        destination: "106900001234".to_owned(),
        data_coding: 8,
        text: b"\x4f\x60".to_vec(),
        every: Duration::from_millis(5),
    };
    let smsc = smsc(smsc::Options { deliver: Some(deliver), ..Default::default() });
    let mut plan = Plan::default();
    plan.opened(1, BEGAN_US);
    plan.sent(1, BEGAN_US, &bind(Command::BindReceiver)).expect("room");
    let mut answer = Vec::new();
    write::header_only(&mut answer, Command::DeliverSmResp.id(), OK, 1);
    plan.sent(1, BEGAN_US + 300 * MILLISECOND_US, &answer).expect("room");
    let report = played(&smsc, plan, Speed::Times(1.0));
    assert!(report.delivered > 5 && report.seconds >= 0.3, "{report:?}");
    assert!(report.is_as_captured() && report.sent == 0);
    assert!(smsc.counts().responses > 5, "they are answered");
}
