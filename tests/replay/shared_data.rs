//! Every PDU of `../shared/data/pdus`: other implementations' frames against what their own tests
//! and Wireshark say of them; and every capture of `../shared/data/pcaps` against what tshark reads
//! in it. A step of its own, since the data is not part of the project:
//! `cargo test --test replay -- --ignored`.

use std::path::Path;

use consentry::content::Reader;
use consentry::policy::Modes;
use consentry::replay::{Happening, Skipped, Trace, Traces};
use consentry::session::{Desk, Knowledge, Moment, Session, Side, Texts, Timeouts, UnknownCommand};
use consentry::smpp::bind::{Bind, BindResp, Outbind};
use consentry::smpp::frame::{PDU_OCTETS_MAX, cut};
use consentry::smpp::message::Message;
use consentry::smpp::operation::{AlertNotification, CancelSm, QuerySm, ReplaceSm};
use consentry::smpp::{Command, Header, response};
use consentry::text::Options;
use serde_json::Value;

struct Row {
    id: String,
    octets: Vec<u8>,
    frame: String,
    is_smpp_4: bool,
    expected: Value,
    wireshark: Value,
}

fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/pdus/pdus.jsonl");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{} is needed for this test: {error}", path.display()));
    text.lines().map(row).collect()
}

fn row(line: &str) -> Row {
    let value: Value = serde_json::from_str(line).expect("a JSON object a line");
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let octet = |pair: &[u8]| {
        let digits = std::str::from_utf8(pair).expect("ASCII");
        u8::from_str_radix(digits, 16).expect("hexadecimal digits")
    };
    Row {
        id: text("id"),
        octets: text("hex").as_bytes().chunks(2).map(octet).collect(),
        frame: text("frame"),
        is_smpp_4: value.get("note").is_some(),
        expected: value["expected"].clone(),
        wireshark: value["wireshark"].clone(),
    }
}

/// What we read of a frame, by the specification's field names; `None` where it does not parse.
fn fields(frame: &[u8]) -> Option<Vec<(&'static str, Vec<u8>)>> {
    let header = Header::of(frame)?;
    let number = |value: u32| value.to_string().into_bytes();
    let mut found = vec![
        ("command_length", number(header.command_length)),
        ("command_id", number(header.command.id())),
        ("sequence_number", number(header.sequence_number)),
    ];
    match header.command {
        Command::BindReceiver | Command::BindTransmitter | Command::BindTransceiver => {
            let bind = Bind::parse(frame).ok()?;
            found.push(("system_id", bind.system_id.to_vec()));
            found.push(("password", bind.password.to_vec()));
            found.push(("system_type", bind.system_type.to_vec()));
            found.push(("interface_version", number(bind.interface_version.into())));
        }
        Command::BindReceiverResp | Command::BindTransmitterResp | Command::BindTransceiverResp => {
            found.push(("system_id", BindResp::parse(frame).ok()?.system_id.to_vec()));
        }
        Command::Outbind => {
            found.push(("system_id", Outbind::parse(frame).ok()?.system_id.to_vec()));
        }
        Command::SubmitSm | Command::DeliverSm => {
            let message = Message::parse(frame).ok()?;
            found.extend(message_fields(&message));
            found.push(("sm_length", number(message.short_message.len() as u32)));
            found.push(("protocol_id", number(message.protocol_id.into())));
        }
        Command::DataSm => found.extend(message_fields(&Message::parse_data_sm(frame).ok()?)),
        Command::QuerySm => {
            let query = QuerySm::parse(frame).ok()?;
            found.push(("message_id", query.message_id.to_vec()));
            found.push(("source_addr", query.source.value.to_vec()));
        }
        Command::CancelSm => {
            let cancel = CancelSm::parse(frame).ok()?;
            found.push(("message_id", cancel.message_id.to_vec()));
            found.push(("destination_addr", cancel.destination.value.to_vec()));
        }
        Command::ReplaceSm => {
            found.push(("message_id", ReplaceSm::parse(frame).ok()?.message_id.to_vec()));
        }
        Command::AlertNotification => {
            let alert = AlertNotification::parse(frame).ok()?;
            found.push(("source_addr", alert.source.value.to_vec()));
            found.push(("esme_addr", alert.esme.value.to_vec()));
        }
        Command::SubmitSmResp | Command::DataSmResp if header.command_status.is_ok() => {
            found.push(("message_id", response::message_id(frame)?.to_vec()));
        }
        _ => {}
    }
    Some(found)
}

fn message_fields(message: &Message<'_>) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("source_addr", message.source.value.to_vec()),
        ("source_addr_ton", message.source.ton.to_string().into_bytes()),
        ("source_addr_npi", message.source.npi.to_string().into_bytes()),
        ("destination_addr", message.destination.value.to_vec()),
        ("dest_addr_ton", message.destination.ton.to_string().into_bytes()),
        ("dest_addr_npi", message.destination.npi.to_string().into_bytes()),
        ("data_coding", message.data_coding.to_string().into_bytes()),
        ("esm_class", message.esm_class.to_string().into_bytes()),
    ]
}

/// A value of either source as the text of a number or of characters; `None` where its notation is
/// one's own (symbols, lists, objects).
fn plain(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Number(number) => Some(number.to_string().into_bytes()),
        Value::String(text) => Some(match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?.to_string().into_bytes(),
            None => text.clone().into_bytes(),
        }),
        _ => None,
    }
}

/// Fields that are text; the others are numbers.
const TEXTS: [&str; 7] = [
    "system_id",
    "password",
    "system_type",
    "source_addr",
    "destination_addr",
    "esme_addr",
    "message_id",
];

#[test]
#[ignore = "needs ../shared/data, which is not part of the project"]
fn frames_are_cut_where_they_end() {
    for row in rows() {
        let found = cut(&row.octets, PDU_OCTETS_MAX);
        let wrong = match row.frame.as_str() {
            "ok" => found != Ok(Some(row.octets.len())),
            "trailing_bytes" => !matches!(found, Ok(Some(length)) if length < row.octets.len()),
            "bad_length" => found.is_ok(),
            "truncated" | "short" => matches!(found, Ok(Some(_))),
            other => panic!("{}: {other} is not a kind of frame", row.id),
        };
        assert!(!wrong, "{}: {} was cut {found:?}", row.id, row.frame);
    }
}

#[test]
#[ignore = "needs ../shared/data, which is not part of the project"]
fn fields_read_as_others_read_them() {
    let (mut compared, mut unread, mut differ) = (0, Vec::new(), Vec::new());
    for row in rows().iter().filter(|row| row.frame == "ok" && !row.is_smpp_4) {
        let Some(fields) = fields(&row.octets) else {
            unread.push(row.id.clone());
            continue;
        };
        for (name, ours) in fields {
            for (whose, theirs) in [("expected", &row.expected), ("wireshark", &row.wireshark)] {
                // command_id is spelled by name there, and numbers by symbols in some sources.
                let is_text = TEXTS.contains(&name);
                let comparable = |text: &Vec<u8>| {
                    let absent = matches!(text.as_slice(), b"nil" | b"null");
                    !absent && (is_text || text.iter().all(u8::is_ascii_digit))
                };
                let Some(theirs) = plain(&theirs[name]).filter(comparable) else {
                    continue;
                };
                compared += 1;
                if theirs != ours {
                    differ.push(format!("{} {name}: not what {whose} says", row.id));
                }
            }
        }
    }
    assert!(compared > 1500, "only {compared} comparisons were made");
    assert!(differ.is_empty(), "\n{}\n", differ.join("\n"));
    assert!(unread.len() <= 12, "not read: {unread:?}");
}

fn knowledge() -> Knowledge {
    let text = "[[provider]]\nname = \"all\"\nsystem_ids = [\"t\"]\nidentity = \"verified\"\n\
                licence = { number = \"1\", valid_until = 2099-12-31 }\n";
    let registry = consentry::registry::parse(text, "registry.toml").expect("a registry");
    let modes = Modes::new(consentry::policy::Mode::Off);
    let texts =
        Texts::new(Reader::built_in().expect("weights"), Default::default(), Vec::new(), &modes);
    Knowledge { unknown_command: UnknownCommand::Forward, ..Knowledge::new(registry, texts, modes) }
}

const NOW: Moment = Moment { wall_us: 1, steady_us: 1 };

/// A session that is bound as a transceiver.
fn bound(knowledge: &Knowledge) -> Session {
    let timeouts = Timeouts { bind_us: 1 << 40, idle_us: 1 << 40, response_us: 1 << 40 };
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let mut session = Session::new(1, peer, "test", timeouts, Options::default(), NOW);
    let bind = b"\0\0\0\x18\0\0\0\x09\0\0\0\0\0\0\0\x01t\0\0\0\x34\0\0\0";
    session.receive(Side::Esme, &bind[..], NOW);
    assert!(session.judge(knowledge, &mut Desk::default(), &mut |_, _| {}, NOW));
    session.recorded();
    session.release();
    let answer = b"\0\0\0\x11\x80\0\0\x09\0\0\0\0\0\0\0\x01\0";
    session.receive(Side::Smsc, answer, NOW);
    session.relay(knowledge, &mut Desk::default(), &mut Vec::new(), NOW);
    session
}

#[test]
#[ignore = "needs ../shared/data, which is not part of the project"]
fn what_crosses_crosses_octet_for_octet() {
    let knowledge = knowledge();
    let (mut crossed, mut kept) = (0, 0);
    for row in rows().iter().filter(|row| row.frame == "ok") {
        let mut session = bound(&knowledge);
        session.receive(Side::Smsc, &row.octets, NOW);
        let mut relayed = Vec::new();
        session.relay(&knowledge, &mut Desk::default(), &mut relayed, NOW);
        assert_eq!(relayed, row.octets, "{}: from the SMSC", row.id);

        let mut session = bound(&knowledge);
        session.receive(Side::Esme, &row.octets, NOW);
        session.judge(&knowledge, &mut Desk::default(), &mut |_, _| {}, NOW);
        session.recorded();
        let cleared: Vec<u8> = session.cleared().flat_map(|one| one.octets().to_vec()).collect();
        if cleared.is_empty() {
            kept += 1;
        } else {
            crossed += 1;
            assert_eq!(cleared, row.octets, "{}: from the ESME", row.id);
        }
    }
    assert!(crossed > 60 && kept > 0, "{crossed} crossed, {kept} were kept");
}

/// A PDU in a capture: stream, port of its sender, command_length, command_id, sequence_number.
type Found = (u32, u16, u32, u32, u32);

/// What tshark dissects, in its order. It is told the ports; we are not.
fn by_tshark(path: &Path) -> Vec<Found> {
    let fields = ["tcp.stream", "tcp.srcport", "smpp.command_length", "smpp.command_id"];
    let mut tshark = std::process::Command::new("tshark");
    tshark.args(["-d", "tcp.port==9000,smpp", "-Y", "smpp", "-T", "fields"]);
    for field in fields.into_iter().chain(["smpp.sequence_number"]) {
        tshark.args(["-e", field]);
    }
    let said = tshark.arg("-r").arg(path).output().expect("tshark (tests/interop/install)");
    assert!(said.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&said.stderr));
    let text = String::from_utf8(said.stdout).expect("text");
    let mut found = Vec::new();
    for line in text.lines() {
        let columns: Vec<Vec<u32>> =
            line.split('\t').map(|column| column.split(',').map(number).collect()).collect();
        let [stream, port, lengths, ids, sequences] = columns.as_slice() else {
            panic!("{}: {line}", path.display());
        };
        for ((length, id), sequence) in lengths.iter().zip(ids).zip(sequences) {
            found.push((stream[0], port[0] as u16, *length, *id, *sequence));
        }
    }
    found
}

fn number(text: &str) -> u32 {
    let hex = text.strip_prefix("0x").map(|digits| u32::from_str_radix(digits, 16));
    hex.unwrap_or_else(|| text.parse()).expect("a number")
}

/// What we read: whole PDUs and those of which the snap length left the header.
fn by_us(path: &Path) -> (Vec<Found>, Skipped) {
    let input = std::fs::File::open(path).map(|file| Box::new(file) as _);
    let trace = Trace { name: path.display().to_string(), input };
    let mut traces = Traces::new(std::iter::once(trace), PDU_OCTETS_MAX);
    let (mut found, mut ends) = (Vec::new(), std::collections::HashMap::new());
    let mut note =
        |ends: &std::collections::HashMap<u32, [u16; 2]>, stream, side, header: Header| {
            let port = ends[&stream][side as usize];
            let (length, id) = (header.command_length, header.command.id());
            found.push((stream, port, length, id, header.sequence_number));
        };
    while let Some(happening) = traces.next().expect("a whole capture") {
        match happening {
            Happening::Opened(opened) => {
                ends.insert(opened.stream, [opened.esme.port(), opened.smsc.port()]);
            }
            Happening::Pdus { stream, side, mut octets, .. } => {
                while let Some(header) = Header::of(octets) {
                    note(&ends, stream, side, header);
                    octets = &octets[header.command_length as usize..];
                }
                assert!(octets.is_empty(), "only whole PDUs are told");
            }
            Happening::Cut { stream, side, header, .. } => note(&ends, stream, side, header),
            Happening::Gap { .. } | Happening::Closed { .. } => {}
        }
    }
    let skipped = *traces.skipped();
    (found, skipped)
}

#[test]
#[ignore = "needs ../shared/data, which is not part of the project, and tshark"]
fn captures_hold_the_pdus_that_tshark_finds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/pcaps");
    let (mut captures, mut compared) = (0, 0);
    for entry in std::fs::read_dir(&folder).expect("the captures") {
        let path = entry.expect("the captures").path();
        let (ours, skipped) = by_us(&path);
        let theirs = by_tshark(&path);
        assert_eq!(ours, theirs, "{}: {skipped:?}", path.display());
        captures += 1;
        compared += ours.len();
    }
    assert!(captures >= 7 && compared > 100, "{captures} captures, {compared} PDUs");
}
