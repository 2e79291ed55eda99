//! Records as rows: what each column says, what is shown of persons, the same in every format.

use std::net::SocketAddr;

use crate::records::{BIND, VERDICT};
use consentry::archive::{
    Column, Holds, Named, Numbers, Row, Value, csv_header, csv_line, ndjson_line,
};
use consentry::audit::{
    Address, BindRecord, EndRecord, OBSERVE, Part, REFUSE, Record, References, ReplyRecord,
    ResponseRecord, StartRecord, UnansweredRecord, VerdictRecord,
};
use consentry::policy::{Rule, RuleSet};
use serde_json::{Value as Json, json};

/// 2026-09-21T14:13:20Z.
const NOW_US: u64 = 1_790_000_000_000_000;
const CODE: &[u8] = b"106900001234";
const PERSON: &[u8] = b"8613800138000";

fn address(raw: &[u8]) -> Address<'_> {
    Address { ton: 0, npi: 1, raw }
}

fn message() -> VerdictRecord<'static> {
    VerdictRecord {
        session: 1 << 40 | 7,
        sequence_number: 2,
        source: address(CODE),
        destination: address(PERSON),
        esm_class: 0x40,
        part: Some(Part { number: 2, total: 3, reference: 700 }),
        class: 1,
        consent: 99,
        references: References { entity: b"E1\x01", template: b"", consent: b"C1" },
        ..VERDICT
    }
}

fn bind() -> BindRecord<'static> {
    BindRecord {
        session: 7,
        smsc: Some(SocketAddr::from(([192, 0, 2, 1], 2775))),
        provider: "示例商城有限公司",
        ..BIND
    }
}

/// The row as an object, but for the record's number and time.
fn object(record: &Record<'_>, numbers: Numbers<'_>) -> Json {
    let rule_set = RuleSet::CnOrder31_2015.name();
    let mut line = String::new();
    ndjson_line(&Row::of(5, NOW_US, rule_set, record, numbers), &mut line);
    assert!(line.ends_with("}\n") && line.lines().count() == 1);
    let mut object: Json = serde_json::from_str(&line).expect("one object");
    assert_eq!(object["record"], 5);
    assert_eq!(object["time"], "2026-09-21T14:13:20.000000Z");
    for key in ["record", "time"] {
        object.as_object_mut().expect("an object").remove(key);
    }
    object
}

#[test]
fn each_kind_fills_its_columns() {
    let set = RuleSet::CnOrder31_2015.name();
    let cases: Vec<(Record<'_>, Json)> = vec![
        (
            Record::Verdict(message()),
            json!({
                "kind": "verdict", "session": 1_099_511_627_783_u64, "command": "submit_sm",
                "sequence_number": 2, "source_ton": 0, "source_npi": 1, "source": "106900001234",
                "destination_ton": 0, "destination_npi": 1, "destination": "8613800138000",
                "octets": 120, "esm_class": 64, "data_coding": 8, "part": 2, "parts": 3,
                "part_reference": 700, "class": "commercial", "consent_event": 99,
                "entity_id": "E1\\x01", "consent_id": "C1", "verdict": "pass", "rule_set": set,
                "status": "ESME_ROK",
            }),
        ),
        (
            Record::Verdict(VerdictRecord {
                verdict: REFUSE,
                rule: Rule::SourceMissing.code(),
                status: 0x0a,
                source: Address { ton: 0, npi: 0, raw: b"" },
                part: None,
                class: 0,
                consent: 0,
                asks_receipt: false,
                references: References::default(),
                ..message()
            }),
            json!({
                "kind": "verdict", "session": 1_099_511_627_783_u64, "command": "submit_sm",
                "sequence_number": 2, "source_ton": 0, "source_npi": 0, "destination_ton": 0,
                "destination_npi": 1, "destination": "8613800138000", "octets": 120,
                "esm_class": 64, "data_coding": 8, "verdict": "refuse", "rule": "source.missing",
                "article": Rule::SourceMissing.article(RuleSet::CnOrder31_2015), "rule_set": set,
                "status": "ESME_RINVSRCADR", "became": "refused",
            }),
        ),
        (
            Record::Bind(BindRecord {
                verdict: OBSERVE,
                rule: Rule::ProviderLocation.code(),
                observed: 1 << Rule::ProviderLocation.code() | 1 << Rule::ProviderLicence.code(),
                ..bind()
            }),
            json!({
                "kind": "bind", "session": 7, "provider": "示例商城有限公司", "system_id": "shop1",
                "command": "bind_transceiver", "sequence_number": 1, "verdict": "observe",
                "rule": "provider.location",
                "article": Rule::ProviderLocation.article(RuleSet::CnOrder31_2015), "rule_set": set,
                "observed": "provider.licence provider.location", "status": "ESME_ROK",
                "peer": "203.0.113.9:40000", "smsc": "192.0.2.1:2775", "listener": "0.0.0.0:2775",
            }),
        ),
        (
            Record::Response(ResponseRecord {
                session: 7,
                command_id: 0x8000_0004,
                sequence_number: 2,
                status: 0x45,
                latency_us: 1200,
                flags: 0,
                message_id: b"0a\xff",
            }),
            json!({
                "kind": "response", "session": 7, "command": "submit_sm_resp",
                "sequence_number": 2, "became": "answered", "response_status": "ESME_RSUBMITFAIL",
                "latency_us": 1200, "message_id": "0a\\xff",
            }),
        ),
        (
            Record::Unanswered(UnansweredRecord {
                session: 7,
                command_id: 4,
                sequence_number: 2,
                verdict_us: NOW_US,
            }),
            json!({
                "kind": "unanswered", "session": 7, "command": "submit_sm", "sequence_number": 2,
                "became": "unanswered",
            }),
        ),
        (
            Record::Reply(ReplyRecord {
                session: 7,
                command_id: 5,
                sequence_number: 2,
                reply: ReplyRecord::OPT_OUT,
                source: address(PERSON),
                destination: address(CODE),
                data_coding: 0,
                text: b"TD",
            }),
            json!({
                "kind": "reply", "session": 7, "command": "deliver_sm", "sequence_number": 2,
                "source_ton": 0, "source_npi": 1, "source": "8613800138000", "destination_ton": 0,
                "destination_npi": 1, "destination": "106900001234", "data_coding": 0,
                "says": "opt-out", "text_hex": "5444",
            }),
        ),
        (
            Record::End(EndRecord {
                session: 7,
                reason: 1,
                forwarded: 3,
                refused: 2,
                unanswered: 1,
            }),
            json!({
                "kind": "end", "session": 7,
                "detail": r#"{"forwarded":3,"reason":"unbound","refused":2,"unanswered":1}"#,
            }),
        ),
        (
            Record::Start(StartRecord {
                config: [1; 32],
                rules: [2; 32],
                program: "0.1.0",
                rule_set: "cn-draft-2014",
                reading: "r",
            }),
            json!({
                "kind": "start", "rule_set": "cn-draft-2014",
                "detail": format!(
                    r#"{{"config":"{}","program":"0.1.0","reading":"r","rules":"{}"}}"#,
                    "01".repeat(32), "02".repeat(32)
                ),
            }),
        ),
        (Record::Stop, json!({ "kind": "stop" })),
        (
            Record::Unknown { kind: 200, form: 1, body: b"8613800138000" },
            json!({ "kind": "unknown", "detail": r#"{"code":200,"form":1}"# }),
        ),
    ];
    for (record, expected) in cases {
        assert_eq!(object(&record, Numbers::Whole), expected);
    }
}

/// A person is masked on whichever side he stands, a code never is; the token is of persons alone.
#[test]
fn persons_are_masked_and_codes_are_not() {
    let token = |address: &Address<'_>| address.raw.ends_with(b"8000").then_some(0xab);
    let cases: &[(&[u8], &str, Option<&str>)] = &[
        (CODE, "106900001234", None),
        (b"95588", "95588", None),
        (b"10086", "10086", None),
        (b"+86106900001234", "+86106900001234", None),
        (b"1068881234", "106*****34", None),
        (b"2168881234", "216*****34", None),
        (PERSON, "861********00", Some("00000000000000ab")),
        (b"+8613800138000", "+86*********00", Some("00000000000000ab")),
        (b"13900139001", "139******01", None),
        (b"85291234567", "852******67", None),
        (b"Bank", "**nk", None),
        (b"\xff1380013", "\\xf******13", None),
    ];
    for (raw, shown, keyed) in cases {
        let record = Record::Verdict(VerdictRecord {
            source: address(raw),
            destination: address(raw),
            ..message()
        });
        let object = object(&record, Numbers::Masked(Some(&token)));
        for (number, tokens) in [("source", "source_token"), ("destination", "destination_token")] {
            assert_eq!(object[number], *shown);
            assert_eq!(object.get(tokens).and_then(Json::as_str), *keyed, "{shown}");
        }
    }
}

/// What a reply says is a person's own word, and its sender a person.
#[test]
fn a_masked_reply_says_nothing_of_its_words() {
    let reply = ReplyRecord {
        session: 7,
        command_id: 5,
        sequence_number: 2,
        reply: ReplyRecord::OPT_IN,
        source: address(PERSON),
        destination: address(CODE),
        data_coding: 0,
        text: b"Y",
    };
    let object = object(&Record::Reply(reply), Numbers::Masked(None));
    assert_eq!(object["source"], "861********00");
    assert_eq!(object["destination"], "106900001234");
    assert_eq!(object["says"], "opt-in");
    assert_eq!(object.get("text_hex"), None);
}

/// A value is of the sort that its column promises, and the line of CSV has a cell for each.
#[test]
fn columns_hold_what_they_promise() {
    let named = Named { provider: "示例, \"商城\"".to_owned(), system_id: "=shop1".to_owned() };
    let mut row = Row::of(
        5,
        NOW_US,
        RuleSet::CnDraft2014.name(),
        &Record::Verdict(message()),
        Numbers::Whole,
    );
    row.name(&named);
    row.answer(None);
    for (column, value) in row.values() {
        let right = match value {
            Value::None => true,
            Value::Number(_) => column.holds() == Holds::Number,
            Value::Time(_) => column.holds() == Holds::Time,
            Value::Text(_) => column.holds() == Holds::Text,
        };
        assert!(right, "{}", column.name());
    }
    let header = csv_header();
    let mut line = String::new();
    csv_line(&row, &mut line);
    assert_eq!(header.trim_end().split(',').count(), Column::COUNT);
    let (before, after) =
        line.split_once("\"示例, \"\"商城\"\"\",\"'=shop1\",").expect("both cells");
    assert_eq!(before.matches(',').count(), 4);
    assert_eq!(after.trim_end().matches(',').count() + 1, Column::COUNT - 6);
    assert!(after.contains(",unknown,") && line.ends_with("\r\n"), "{line}");
}
