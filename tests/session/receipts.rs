//! What the SMSC tells of messages later: read from every form, recorded, and joined to its message.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::LazyLock;

use consentry::audit::{
    self, Address, Durability, Found, Journal, Options, PASS, Query, REFUSE, ReceiptQuery,
    ReceiptRecord, Record, Records, References, ResponseRecord, UnsuccessRecord, VerdictRecord,
};
use consentry::content::Reader;
use consentry::policy::Modes;
use consentry::session::{Asked, Desk, Knowledge, Moment, Session, Side, Texts, Timeouts};
use consentry::smpp::message::WireAddress;
use consentry::smpp::multi::Destination;
use consentry::smpp::response::Unsuccess;
use consentry::smpp::tlv::Tag;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus};
use proptest::prelude::*;

const NOW_US: u64 = 1_790_000_000_000_000;
const HANDSET: &[u8] = b"8613800138000";
const CODE: &[u8] = b"106900001234";
const TEXT: &str = "id:0000000255 sub:001 dlvrd:001 submit date:2609211413 done date:2609211414 \
     stat:DELIVRD err:000 text:hello";

static KNOWLEDGE: LazyLock<Knowledge> = LazyLock::new(|| {
    let text = "[[provider]]\nname = \"测试有限公司\"\nsystem_ids = [\"t\"]\nidentity = \"verified\"\n\
         licence = { number = \"1\", valid_until = 2099-12-31 }\n\
         [[provider.code]]\nnumber = \"106900001234\"\ndigits_max = 16\n";
    let registry = consentry::registry::parse(text, "registry.toml").expect("a registry");
    let modes = Modes::default();
    let reader = Reader::built_in().expect("weights");
    let texts = Texts::new(reader, Default::default(), Vec::new(), &modes);
    Knowledge::new(registry, texts, modes)
});

fn now() -> Moment {
    Moment { wall_us: NOW_US, steady_us: 0 }
}

fn session() -> Session {
    let timeouts = Timeouts { bind_us: u64::MAX, idle_us: u64::MAX, response_us: u64::MAX };
    let provider = KNOWLEDGE.registry.provider_of(b"t").expect("registered");
    let kind = consentry::session::BindKind::Transceiver;
    let peer = ([127, 0, 0, 1], 1).into();
    Session::new(7, peer, "test", timeouts, Default::default(), now()).resumed(provider, b"t", kind)
}

/// What the session records of a frame from the SMSC, after it crossed as it came.
fn recorded(frame: &[u8], look: impl Fn(&ReceiptRecord<'_>)) -> usize {
    let (mut session, mut out) = (session(), Vec::new());
    session.receive(Side::Smsc, frame, now());
    session.relay(&KNOWLEDGE, &mut Desk::default(), &mut out, now());
    assert_eq!(out, frame, "it crosses as it came");
    let receipts = session.later_records().iter().filter_map(|(time_us, record)| match record {
        Record::Receipt(receipt) => {
            assert_eq!(time_us, NOW_US);
            look(&receipt);
            Some(())
        }
        _ => None,
    });
    receipts.count()
}

fn deliver(
    command: Command,
    esm_class: u8,
    data_coding: u8,
    text: &[u8],
    tlvs: &[(Tag, &[u8])],
) -> Vec<u8> {
    let address = |value| WireAddress { ton: 1, npi: 1, value };
    let fields = MessageFields {
        source: address(HANDSET),
        destination: address(CODE),
        esm_class,
        registered_delivery: 0,
        data_coding,
        short_message: text,
    };
    let mut out = Vec::new();
    let more =
        |out: &mut Vec<u8>| tlvs.iter().for_each(|(tag, value)| write::tlv(out, *tag, value));
    match command {
        Command::DataSm => write::data_sm(&mut out, 9, fields, |out| {
            write::tlv(out, Tag::MESSAGE_PAYLOAD, text);
            more(out);
        }),
        _ => write::message(&mut out, Command::DeliverSm, 9, fields, more),
    }
    out
}

#[test]
fn every_form_of_a_receipt_is_recorded_and_crosses_as_it_came() {
    use Command::{DataSm, DeliverSm};
    const ID: Tag = Tag::RECEIPTED_MESSAGE_ID;
    const STATE: Tag = Tag::MESSAGE_STATE;
    let ucs2: Vec<u8> = TEXT.encode_utf16().flat_map(u16::to_be_bytes).take(254).collect();
    let (ascii, none) = (TEXT.as_bytes(), ReceiptRecord::NO_STATE);
    let (parameter, both) = (ReceiptRecord::BY_PARAMETER, 3);
    // Command, esm_class, data_coding, text, parameters: id, id of the text, state, flags.
    type Row<'a> = (Command, u8, u8, &'a [u8], &'a [(Tag, &'a [u8])], (&'a str, &'a str, u8, u8));
    let rows: &[Row<'_>] = &[
        (DeliverSm, 0x04, 0, ascii, &[], ("0000000255", "", 2, 2)),
        (DataSm, 0x04, 0, ascii, &[], ("0000000255", "", 2, 2)),
        (DeliverSm, 0x20, 0, b"id:1 stat:ENROUTE", &[], ("1", "", 1, 2)),
        (DeliverSm, 0x04, 8, &ucs2, &[], ("0000000255", "", 2, 2)),
        (DeliverSm, 0x04, 0, ascii, &[(ID, b"FF\0")], ("FF", "0000000255", 2, both)),
        (DeliverSm, 0x04, 0, ascii, &[(ID, b"0000000255\0")], ("0000000255", "", 2, both)),
        (DeliverSm, 0x04, 0, b"", &[(ID, b"FF\0"), (STATE, &[5])], ("FF", "", 5, parameter)),
        (DataSm, 0x04, 0, b"", &[(STATE, &[8]), (ID, b"FF")], ("FF", "", 8, parameter)),
        (DeliverSm, 0x00, 0, b"", &[(ID, b"FF\0"), (STATE, &[2])], ("FF", "", 2, parameter)),
        (DeliverSm, 0x04, 0, b"id:7 stat:MK:0001", &[], ("7", "", none, 2)),
        (DeliverSm, 0x04, 0, b"", &[], ("", "", none, 0)),
        (DeliverSm, 0x04, 0, b"\xff\xfe\0", &[(STATE, &[77])], ("", "", none, 0)),
    ];
    for (at, (command, esm_class, data_coding, text, tlvs, expected)) in rows.iter().enumerate() {
        let frame = deliver(*command, *esm_class, *data_coding, text, tlvs);
        let count = recorded(&frame, |receipt| {
            let (id, text_id) = (receipt.message_id, receipt.text_id);
            let (id, text_id) = (id.escape_ascii().to_string(), text_id.escape_ascii().to_string());
            let found = (id.as_str(), text_id.as_str(), receipt.state, receipt.flags);
            assert_eq!(found, *expected, "row {at}");
            assert_eq!((receipt.session, receipt.sequence_number), (7, 9), "row {at}");
            assert_eq!((receipt.source.raw, receipt.destination.raw), (HANDSET, CODE), "row {at}");
            assert_eq!(receipt.command_id, command.id(), "row {at}");
        });
        assert_eq!(count, 1, "row {at}");
    }
    recorded(&deliver(DeliverSm, 4, 0, ascii, &[]), |receipt| {
        assert_eq!(receipt.submitted, [26, 9, 21, 14, 13, 0]);
        assert_eq!(receipt.done, [26, 9, 21, 14, 14, 0]);
        assert_eq!((receipt.stat, receipt.error), (&b"DELIVRD"[..], &b"000"[..]));
    });
}

#[test]
fn what_is_no_receipt_leaves_none() {
    let cases: &[(u8, &[u8])] = &[
        (0x00, b"id:1 stat:DELIVRD"),
        (0x08, b"id:1 stat:DELIVRD"),
        (0x10, b"id:1 stat:DELIVRD"),
        (0x18, b"id:1 stat:DELIVRD"),
    ];
    for (esm_class, text) in cases {
        let frame = deliver(Command::DeliverSm, *esm_class, 0, text, &[]);
        assert_eq!(recorded(&frame, |_| {}), 0, "{esm_class:#x}");
    }
    // Cut in its middle: the ESME's to refuse.
    let mut cut = deliver(Command::DeliverSm, 4, 0, b"id:1", &[]);
    cut.truncate(30);
    cut[3] = 30;
    assert_eq!(recorded(&cut, |_| {}), 0);
}

// The join.

#[derive(Debug, Clone)]
enum Event {
    Verdict { session: u64, number: u32, to: usize, refused: bool },
    Response { session: u64, number: u32, id: String },
    Receipt { number: u32, to: usize, id: String, text_id: String, as_data_sm: bool },
    Restart,
}

/// Recipients, each in two spellings: of the message, and of its receipt.
const PEOPLE: [[&[u8]; 2]; 3] = [
    [b"13800138000", b"8613800138000"],
    [b"8613800138001", b"13800138001"],
    [b"008613911110000", b"+8613911110000"],
];

fn write_events(folder: &Path, events: &[Event]) {
    let open = || Journal::open(folder, Options::new(Durability::Queued), NOW_US).unwrap().0;
    let mut journal = open();
    let mut records = Records::new();
    for (at, event) in events.iter().enumerate() {
        let time_us = NOW_US + at as u64;
        let address = |raw| Address { ton: 0, npi: 1, raw };
        match event {
            Event::Verdict { session, number, to, refused } => records.verdict(
                time_us,
                &VerdictRecord {
                    session: *session,
                    command_id: 4,
                    sequence_number: *number,
                    verdict: if *refused { REFUSE } else { PASS },
                    rule: 0,
                    observed: 0,
                    status: 0,
                    command_length: 100,
                    source: address(CODE),
                    destination: address(PEOPLE[*to][0]),
                    esm_class: 0,
                    data_coding: 8,
                    part: None,
                    class: 0,
                    consent: 0,
                    asks_receipt: false,
                    references: References::default(),
                },
            ),
            Event::Response { session, number, id } => records.response(
                time_us,
                &ResponseRecord {
                    session: *session,
                    command_id: 0x8000_0004,
                    sequence_number: *number,
                    status: 0,
                    latency_us: 1,
                    flags: 0,
                    message_id: id.as_bytes(),
                },
            ),
            Event::Receipt { number, to, id, text_id, as_data_sm } => records.receipt(
                time_us,
                &ReceiptRecord {
                    session: 99,
                    command_id: if *as_data_sm { 0x103 } else { 5 },
                    sequence_number: *number,
                    esm_class: 4,
                    state: 2,
                    flags: 0,
                    network_error: [0; 3],
                    submitted: [0; 6],
                    done: [26, 9, 21, 14, 13, 0],
                    source: address(PEOPLE[*to][1]),
                    destination: address(CODE),
                    message_id: id.as_bytes(),
                    text_id: text_id.as_bytes(),
                    stat: b"DELIVRD",
                    error: b"000",
                },
            ),
            Event::Restart => {
                if !records.is_empty() {
                    journal.append(&mut records).unwrap();
                }
                journal.close(time_us).unwrap();
                journal = open();
            }
        }
    }
    if !records.is_empty() {
        journal.append(&mut records).unwrap();
    }
    journal.close(NOW_US + 1_000_000).unwrap();
}

/// Of each message found: its sequence_number, what became of it, sequence_numbers of its receipts.
fn searched(folder: &Path, query: &Query<'_>) -> Vec<(u32, &'static str, Vec<u32>)> {
    let mut out = Vec::new();
    audit::search(folder, query, &mut |found| {
        let Found::Message { verdict, answer, receipts, .. } = found else {
            return ControlFlow::Continue(());
        };
        let Record::Verdict(record) = verdict.record() else { unreachable!() };
        let answer = match answer {
            audit::Answer::Refused => "refused",
            audit::Answer::Response(_) => "answered",
            audit::Answer::Unsuccess { .. } => "not taken",
            audit::Answer::Unanswered(_) => "unanswered",
            audit::Answer::Unknown => "unknown",
        };
        let numbers = receipts.iter().map(|one| match one.record() {
            Record::Receipt(receipt) => receipt.sequence_number,
            _ => unreachable!(),
        });
        out.push((record.sequence_number, answer, numbers.collect()));
        if query.most.is_some_and(|most| out.len() >= most && query.number.is_some()) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    out
}

fn unmatched(folder: &Path, most: Option<usize>) -> Vec<u32> {
    let mut out = Vec::new();
    let query = ReceiptQuery { is_unmatched: true, most, ..Default::default() };
    audit::receipts(folder, &query, &mut |one| {
        let Record::Receipt(receipt) = one.receipt.record() else { unreachable!() };
        assert_eq!(one.message, None);
        out.push(receipt.sequence_number);
        ControlFlow::Continue(())
    })
    .unwrap();
    out
}

fn verdict(number: u32, to: usize) -> Event {
    Event::Verdict { session: 1, number, to, refused: false }
}

fn response(number: u32, id: &str) -> Event {
    Event::Response { session: 1, number, id: id.to_owned() }
}

fn receipt(number: u32, to: usize, id: &str) -> Event {
    let (id, text_id) = (id.to_owned(), String::new());
    Event::Receipt { number, to, id, text_id, as_data_sm: false }
}

#[test]
fn a_receipt_finds_its_message_however_it_comes() {
    let by_text = |number, id: &str, text_id: &str| Event::Receipt {
        number,
        to: 0,
        id: id.to_owned(),
        text_id: text_id.to_owned(),
        as_data_sm: true,
    };
    // Events; receipts joined to message 1; receipts of no message.
    let cases: &[(&str, &[Event], &[u32], &[u32])] = &[
        ("octets", &[verdict(1, 0), response(1, "a-1"), receipt(50, 0, "a-1")], &[50], &[]),
        ("case", &[verdict(1, 0), response(1, "a-1"), receipt(50, 0, "A-1")], &[50], &[]),
        (
            "hex",
            &[verdict(1, 0), response(1, "3735928559"), receipt(50, 0, "DEADBEEF")],
            &[50],
            &[],
        ),
        ("padded", &[verdict(1, 0), response(1, "255"), receipt(50, 0, "00000000FF")], &[50], &[]),
        ("text", &[verdict(1, 0), response(1, "9"), by_text(50, "x", "0009")], &[50], &[]),
        ("before", &[verdict(1, 0), receipt(50, 0, "7"), response(1, "7")], &[50], &[]),
        (
            "restart",
            &[verdict(1, 0), response(1, "7"), Event::Restart, receipt(50, 0, "7")],
            &[50],
            &[],
        ),
        (
            "twice",
            &[verdict(1, 0), receipt(49, 0, "7"), response(1, "7"), receipt(50, 0, "7")],
            &[49, 50],
            &[],
        ),
        ("another", &[verdict(1, 0), response(1, "7"), receipt(50, 0, "8")], &[], &[50]),
        ("recipient", &[verdict(1, 0), response(1, "7"), receipt(50, 1, "7")], &[], &[50]),
        ("no id", &[verdict(1, 0), response(1, ""), receipt(50, 0, "")], &[], &[50]),
        ("no answer", &[verdict(1, 0), receipt(50, 0, "7")], &[], &[50]),
    ];
    for (name, events, joined, alone) in cases {
        let folder = tempfile::tempdir().unwrap();
        write_events(folder.path(), events);
        for most in [None, Some(1)] {
            let found = searched(folder.path(), &Query { most, ..Default::default() });
            assert_eq!(found.iter().map(|one| &one.2[..]).collect::<Vec<_>>(), [*joined], "{name}");
            assert_eq!(unmatched(folder.path(), most), *alone, "{name}");
        }
    }
}

#[test]
fn a_message_is_found_by_its_id_in_any_form() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Event::Verdict { session: 1, number: 3, to: 0, refused: true };
    let events =
        [verdict(1, 0), verdict(2, 1), refused, response(2, "000000FF"), response(1, "17")];
    write_events(folder.path(), &events);
    let cases: &[(&str, &[u32])] = &[
        ("255", &[2]),
        ("ff", &[2]),
        ("0xFF", &[2]),
        ("17", &[1]),
        ("0017", &[1]),
        ("11", &[1]),
        ("18", &[]),
        ("", &[]),
    ];
    for (id, expected) in cases {
        let query = Query { message_id: Some(id.as_bytes()), ..Default::default() };
        let found = searched(folder.path(), &query);
        assert_eq!(found.iter().map(|one| one.0).collect::<Vec<_>>(), *expected, "{id:?}");
    }
}

#[test]
fn what_the_smsc_did_not_take_of_a_submit_multi_is_on_record_before_its_answer() {
    let mut asking = Asking { session: session(), desk: Desk::default() };
    let address = |value| WireAddress { ton: 0, npi: 1, value };
    let fields = MessageFields {
        source: address(CODE),
        destination: address(b""),
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: b"\x4f\x60",
    };
    let to = PEOPLE.map(|one| Destination::Sme(address(one[0])));
    let mut frame = Vec::new();
    write::submit_multi(&mut frame, 5, fields, &to, |_| {});
    assert_eq!(asking.submit(&KNOWLEDGE, &frame), frame);
    let mut response = Vec::new();
    let (id, ok) = (Command::SubmitMultiResp.id(), CommandStatus::ESME_ROK);
    write::pdu(&mut response, id, ok, 5, |body| {
        write::c_octets(body, b"m1");
        body.push(2);
        for (at, status) in [(0, CommandStatus::ESME_RINVDSTADR), (2, CommandStatus::ESME_RMSGQFUL)]
        {
            let destination = address(PEOPLE[at][0]);
            write::unsuccess(body, Unsuccess { destination, status });
        }
    });
    assert_eq!(asking.hear(&KNOWLEDGE, &[response.clone()]), response);
    let records: Vec<_> = asking.session.later_records().iter().map(|one| one.1).collect();
    let said: Vec<_> = records
        .iter()
        .map(|record| match record {
            Record::Unsuccess(one) => (one.destination.raw, one.status),
            Record::Response(one) => (one.message_id, one.status),
            other => panic!("{other:?}"),
        })
        .collect();
    let invalid = CommandStatus::ESME_RINVDSTADR.0;
    let full = CommandStatus::ESME_RMSGQFUL.0;
    let expected = [(PEOPLE[0][0], invalid), (PEOPLE[2][0], full), (&b"m1"[..], 0)];
    assert_eq!(said, expected);
}

#[test]
fn a_destination_that_the_smsc_did_not_take_is_told_from_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) =
        Journal::open(folder.path(), Options::new(Durability::Queued), NOW_US).unwrap();
    let mut session = session();
    let mut records = Records::new();
    let address = |raw| Address { ton: 0, npi: 1, raw };
    for to in PEOPLE {
        let verdict = VerdictRecord {
            session: session.id(),
            command_id: 0x21,
            sequence_number: 5,
            verdict: PASS,
            rule: 0,
            observed: 0,
            status: 0,
            command_length: 100,
            source: address(CODE),
            destination: address(to[0]),
            esm_class: 0,
            data_coding: 8,
            part: None,
            class: 0,
            consent: 0,
            asks_receipt: false,
            references: References::default(),
        };
        records.verdict(NOW_US, &verdict);
    }
    let destination = address(PEOPLE[1][0]);
    let status = CommandStatus::ESME_RINVDSTADR.0;
    let unsuccess = UnsuccessRecord { session: 7, sequence_number: 5, status, destination };
    records.unsuccess(NOW_US, &unsuccess);
    let response = ResponseRecord {
        session: 7,
        command_id: 0x8000_0021,
        sequence_number: 5,
        status: 0,
        latency_us: 1,
        flags: 0,
        message_id: b"m1",
    };
    records.response(NOW_US, &response);
    journal.append(&mut records).unwrap();
    journal.close(NOW_US).unwrap();
    let found = searched(folder.path(), &Query::default());
    assert_eq!(
        found.iter().map(|one| one.1).collect::<Vec<_>>(),
        ["answered", "not taken", "answered"]
    );
    session.close(now());
}

/// The forms in which an id may be written; 13 decimal digits, so that none is another id by its other
/// reading.
fn form(value: u64, form: u8) -> String {
    match form % 4 {
        0 => value.to_string(),
        1 => format!("{value:x}"),
        2 => format!("{value:016X}"),
        _ => format!("{value:020}"),
    }
}

#[derive(Debug, Clone)]
struct Sent {
    session: u64,
    to: usize,
    refused: bool,
    id: u64,
    /// When its response comes after its verdict, if it does, and in which form.
    response: Option<(u8, u8)>,
    receipts: Vec<(u8, u8, bool)>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let receipts = prop::collection::vec((any::<u8>(), any::<u8>(), any::<bool>()), 0..3);
    (
        1_u64..3,
        0_usize..3,
        prop::bool::weighted(0.2),
        0_u64..1_000_000,
        any::<Option<(u8, u8)>>(),
        receipts,
    )
        .prop_map(|(session, to, refused, id, response, receipts)| Sent {
            session,
            to,
            refused,
            id,
            response,
            receipts,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]

    /// Beside a model that knows which receipt is whose.
    #[test]
    fn the_join_is_that_of_the_model(
        messages in prop::collection::vec(sent(), 0..20),
        restart in any::<Option<u16>>(),
        most in 1_usize..8,
    ) {
        let mut events: Vec<(u32, Event)> = Vec::new();
        let mut expected = Vec::new();
        let restart = restart.map(|at| u32::from(at) % 6000);
        let mut receipts_sent = 1000;
        let mut alone = Vec::new();
        for (at, one) in (0_u32..).zip(&messages) {
            // Unique, of 13 digits.
            let id = 1_000_000_000_000 + one.id * 100 + u64::from(at);
            let begin = at * 300;
            let (session, to) = (one.session, one.to);
            events.push((begin, Event::Verdict { session, number: at, to, refused: one.refused }));
            let due = |after: u8| begin + 1 + u32::from(after) * 7;
            let cut = |time: u32| restart.is_some_and(|restart| (begin..time).contains(&restart));
            let response = one.response.filter(|(after, _)| !one.refused && !cut(due(*after)));
            if let Some((after, written)) = response {
                let id = form(id, written);
                events.push((due(after), Event::Response { session, number: at, id }));
            }
            let mut joined = Vec::new();
            for (after, written, as_data_sm) in &one.receipts {
                receipts_sent += 1;
                let (id, text_id) = match after % 3 {
                    0 => (form(id, *written), String::new()),
                    1 => ("another".to_owned(), form(id, *written)),
                    _ => (form(id, *written), form(id, written.wrapping_add(1))),
                };
                let number = receipts_sent;
                let as_data_sm = *as_data_sm;
                events.push((due(*after), Event::Receipt { number, to, id, text_id, as_data_sm }));
                let which = if response.is_some() { &mut joined } else { &mut alone };
                which.push((due(*after), number));
            }
            joined.sort();
            let became = match (one.refused, response) {
                (true, _) => "refused",
                (false, Some(_)) => "answered",
                (false, None) => "unknown",
            };
            let receipts: Vec<u32> = joined.into_iter().map(|(_, number)| number).collect();
            expected.push((at, became, receipts));
        }
        events.extend(restart.map(|restart| (restart, Event::Restart)));
        events.sort_by_key(|(time, event)| (*time, matches!(event, Event::Restart)));
        let events: Vec<Event> = events.into_iter().map(|(_, event)| event).collect();
        let folder = tempfile::tempdir().unwrap();
        write_events(folder.path(), &events);
        let sorted = |mut found: Vec<(u32, &'static str, Vec<u32>)>| {
            found.iter_mut().for_each(|one| one.2.sort_unstable());
            found
        };
        let expected = sorted(expected);
        for most in [None, Some(most)] {
            let found = sorted(searched(folder.path(), &Query { most, ..Default::default() }));
            prop_assert_eq!(&found, &expected, "{:?}", most);
            let mut found = unmatched(folder.path(), most);
            found.sort_unstable();
            let mut alone: Vec<u32> = alone.iter().map(|(_, number)| *number).collect();
            alone.sort_unstable();
            prop_assert_eq!(found, alone, "{:?}", most);
        }
    }
}

// Receipts that the proxy asks for.

/// A session that asks, before an SMSC that this test plays.
struct Asking {
    session: Session,
    desk: Desk,
}

fn asking_knowledge() -> Knowledge {
    let text = "[[provider]]\nname = \"测试有限公司\"\nsystem_ids = [\"t\"]\nidentity = \"verified\"\n\
         licence = { number = \"1\", valid_until = 2099-12-31 }\n\
         [[provider.code]]\nnumber = \"106900001234\"\ndigits_max = 16\n";
    let registry = consentry::registry::parse(text, "registry.toml").expect("a registry");
    let modes = Modes::default();
    let reader = Reader::built_in().expect("weights");
    let texts = Texts::new(reader, Default::default(), Vec::new(), &modes);
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Asked::new(1000)));
    Knowledge { asks_receipts: true, asked, ..Knowledge::new(registry, texts, modes) }
}

static ASKING: LazyLock<Knowledge> = LazyLock::new(asking_knowledge);

fn submit(command: Command, number: u32, to: &[u8], registered_delivery: u8) -> Vec<u8> {
    let address = |value| WireAddress { ton: 0, npi: 1, value };
    let fields = MessageFields {
        source: address(CODE),
        destination: address(to),
        esm_class: 0,
        registered_delivery,
        data_coding: 8,
        short_message: b"\x4f\x60",
    };
    let mut out = Vec::new();
    match command {
        Command::DataSm => write::data_sm(&mut out, number, fields, |out| {
            write::tlv(out, Tag::MESSAGE_PAYLOAD, b"\x4f\x60");
        }),
        _ => write::message(&mut out, command, number, fields, |_| {}),
    }
    out
}

fn answer(command: Command, number: u32, id: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write::pdu(&mut out, command.response_id(), CommandStatus::ESME_ROK, number, |body| {
        write::c_octets(body, id.as_bytes());
    });
    out
}

fn receipt_from(handset: &[u8], number: u32, id: &str, stat: &str) -> Vec<u8> {
    let address = |value| WireAddress { ton: 1, npi: 1, value };
    let text = format!("id:{id} stat:{stat}");
    let fields = MessageFields {
        source: address(handset),
        destination: address(CODE),
        esm_class: 4,
        registered_delivery: 0,
        data_coding: 0,
        short_message: text.as_bytes(),
    };
    let mut out = Vec::new();
    write::message(&mut out, Command::DeliverSm, number, fields, |_| {});
    out
}

impl Asking {
    fn new() -> Asking {
        Asking { session: session().asking_for_receipts(), desk: Desk::default() }
    }

    /// Judges what waits; what goes to the SMSC when its records are kept, or not.
    fn turn(&mut self, knowledge: &Knowledge, is_kept: bool) -> Vec<u8> {
        let mut no = |_: &[consentry::consent::Question], _: &mut Vec<_>| {};
        self.session.judge(knowledge, &mut self.desk, &mut no, now());
        assert_eq!(self.session.cleared().count(), 0, "nothing before its record");
        match is_kept {
            true => self.session.recorded(),
            false => self.session.unrecorded(knowledge),
        }
        let out = self.session.cleared().flat_map(|one| one.octets().to_vec()).collect();
        self.session.release();
        out
    }

    fn submit(&mut self, knowledge: &Knowledge, frame: &[u8]) -> Vec<u8> {
        self.session.receive(Side::Esme, frame, now());
        self.turn(knowledge, true)
    }

    /// What crosses to the ESME.
    fn hear(&mut self, knowledge: &Knowledge, frames: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        self.session.receive(Side::Smsc, &frames.concat(), now());
        self.session.relay(knowledge, &mut self.desk, &mut out, now());
        out
    }
}

#[test]
fn one_octet_asks_for_a_receipt_where_none_was_asked_for() {
    let knowledge = asking_knowledge();
    // registered_delivery as it comes, and as it goes.
    let cases: &[(u8, u8)] = &[(0, 1), (1, 1), (2, 2), (3, 3), (0x10, 0x11), (0x0c, 0x0d)];
    for command in [Command::SubmitSm, Command::DataSm] {
        for (number, (came, goes)) in (1..).zip(cases) {
            let mut asking = Asking::new();
            let frame = submit(command, number, HANDSET, *came);
            asking.session.receive(Side::Esme, &frame, now());
            let mut no = |_: &[consentry::consent::Question], _: &mut Vec<_>| {};
            asking.session.judge(&knowledge, &mut asking.desk, &mut no, now());
            let records = asking.session.batch_records().clone();
            let asks = records
                .iter()
                .any(|(_, record)| matches!(record, Record::Verdict(one) if one.asks_receipt));
            assert_eq!(asks, came != goes, "on record: {came:#x}");
            asking.session.recorded();
            let decided: Vec<u8> =
                asking.session.decided().flat_map(|(frame, _)| frame.to_vec()).collect();
            assert_eq!(decided, frame, "as the ESME sent it");
            let expected = submit(command, number, HANDSET, *goes);
            for _ in 0..2 {
                let cleared: Vec<u8> =
                    asking.session.cleared().flat_map(|one| one.octets().to_vec()).collect();
                assert_eq!(cleared, expected, "{command:?} {came:#x}");
            }
        }
    }
    let mut plain = Asking { session: session(), desk: Desk::default() };
    let frame = submit(Command::SubmitSm, 1, HANDSET, 0);
    assert_eq!(plain.submit(&knowledge, &frame), frame, "a listener that does not ask");
}

#[test]
fn a_receipt_that_only_the_proxy_asked_for_is_answered_when_it_is_recorded() {
    let knowledge = asking_knowledge();
    for is_kept in [true, false] {
        let mut asking = Asking::new();
        asking.submit(&knowledge, &submit(Command::SubmitSm, 5, HANDSET, 0));
        let response = answer(Command::SubmitSm, 5, "255");
        let frames = [response.clone(), receipt_from(HANDSET, 9, "000000FF", "DELIVRD")];
        assert_eq!(asking.hear(&knowledge, &frames), response, "the receipt is kept back");
        assert!(asking.session.waiting_from(Side::Smsc) > 0, "what waits is bounded with the rest");
        assert_eq!(asking.session.later_records().len(), 1, "the response alone");
        let status = if is_kept { 0 } else { CommandStatus::ESME_RX_T_APPN.0 };
        let mut expected = Vec::new();
        let id = Command::DeliverSmResp.id();
        write::pdu(&mut expected, id, CommandStatus(status), 9, |body| body.push(0));
        assert_eq!(asking.turn(&knowledge, is_kept), expected);
        assert_eq!(asking.turn(&knowledge, true), b"", "answered once");
        assert_eq!(asking.session.waiting_from(Side::Smsc), 0);
        // Sent again, as it is where the answer was lost.
        let again = [receipt_from(HANDSET, 10, "255", "DELIVRD")];
        assert_eq!(asking.hear(&knowledge, &again), b"");
    }
}

#[test]
fn receipts_cross_to_whom_they_were_asked_by() {
    let other: &[u8] = b"8613911110000";
    // registered_delivery, id of the response, the receipt's handset, id and state; whether it crosses.
    type Row<'a> = (u8, Option<&'a str>, &'a [u8], &'a str, &'a str, bool);
    let rows: &[Row<'_>] = &[
        (0, Some("7"), HANDSET, "7", "DELIVRD", false),
        (0, Some("255"), b"13800138000", "ff", "UNDELIV", false),
        (0, Some("7"), HANDSET, "7", "ENROUTE", false),
        (1, Some("7"), HANDSET, "7", "DELIVRD", true),
        (2, Some("7"), HANDSET, "7", "DELIVRD", true),
        (0, Some("7"), other, "7", "DELIVRD", true),
        (0, Some("7"), HANDSET, "8", "DELIVRD", true),
        // Before the response: whose it is is known by the recipient alone.
        (0, None, HANDSET, "7", "DELIVRD", false),
        (1, None, HANDSET, "7", "DELIVRD", true),
        (0, None, other, "7", "DELIVRD", true),
    ];
    let knowledge = asking_knowledge();
    for (at, (registered, id, handset, of, stat, crosses)) in rows.iter().enumerate() {
        for on_another_bind in [false, true] {
            if id.is_none() && on_another_bind {
                continue;
            }
            *knowledge.asked() = Asked::new(1000);
            let (mut asking, mut another) = (Asking::new(), Asking::new());
            asking.submit(&knowledge, &submit(Command::DataSm, 5, HANDSET, *registered));
            if let Some(id) = id {
                asking.hear(&knowledge, &[answer(Command::DataSm, 5, id)]);
            }
            let receipt = receipt_from(handset, 9, of, stat);
            let bind = if on_another_bind { &mut another } else { &mut asking };
            let out = bind.hear(&knowledge, std::slice::from_ref(&receipt));
            assert_eq!(out, if *crosses { receipt } else { Vec::new() }, "row {at}");
            assert_eq!(bind.turn(&knowledge, true).is_empty(), *crosses, "row {at}");
        }
    }
}

#[test]
fn a_session_that_ends_keeps_the_records_of_what_it_could_not_answer() {
    let knowledge = asking_knowledge();
    let mut asking = Asking::new();
    asking.submit(&knowledge, &submit(Command::SubmitSm, 5, HANDSET, 0));
    let frames = [answer(Command::SubmitSm, 5, "7"), receipt_from(HANDSET, 9, "7", "DELIVRD")];
    asking.hear(&knowledge, &frames);
    assert!(!asking.session.is_drained());
    asking.session.close(now());
    let receipts = asking.session.later_records().iter().filter(|(_, record)| {
        matches!(record, Record::Receipt(one) if one.flags & ReceiptRecord::KEPT_BACK != 0)
    });
    assert_eq!(receipts.count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// Whatever the order: the ESME gets its own receipts and no other, in their order, octet for octet,
    /// and each of ours is answered once.
    #[test]
    fn each_side_gets_what_is_its_own(
        messages in prop::collection::vec((any::<bool>(), 0_usize..3, any::<u8>()), 1..30),
        reads in 1_usize..6,
        first in 1_u64..1_000_000,
    ) {
        let knowledge = &*ASKING;
        let mut asking = Asking::new();
        let mut from_smsc = Vec::new();
        let (mut to_esme, mut answers) = (Vec::new(), Vec::new());
        for (number, (asks, to, _)) in (1_u32..).zip(&messages) {
            let frame = submit(Command::SubmitSm, number, PEOPLE[*to][0], u8::from(*asks));
            let goes = submit(Command::SubmitSm, number, PEOPLE[*to][0], 1);
            prop_assert_eq!(asking.submit(knowledge, &frame), goes);
        }
        for (number, (asks, to, written)) in (1_u32..).zip(&messages) {
            // Of each case its own: the memory is that of all.
            let id = 1_000_000_000_000 + first * 1000 + u64::from(number);
            let response = answer(Command::SubmitSm, number, &form(id, *written));
            to_esme.extend_from_slice(&response);
            from_smsc.push(response);
            let receipt =
                receipt_from(PEOPLE[*to][1], 1000 + number, &form(id, written.wrapping_add(1)), "DELIVRD");
            if *asks {
                to_esme.extend_from_slice(&receipt);
            } else {
                answers.extend(answer(Command::DeliverSm, 1000 + number, ""));
            }
            from_smsc.push(receipt);
        }
        let (mut out, mut to_smsc) = (Vec::new(), Vec::new());
        for read in from_smsc.chunks(reads) {
            out.extend(asking.hear(knowledge, read));
            to_smsc.extend(asking.turn(knowledge, true));
        }
        prop_assert_eq!(out, to_esme);
        prop_assert_eq!(to_smsc, answers);
    }
}
