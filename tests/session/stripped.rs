//! A second sender in the parameters: refused, or taken away where the listener is told to.

use std::net::SocketAddr;

use consentry::audit::{self, Record};
use consentry::content::Reader;
use consentry::policy::{Modes, Rule};
use consentry::session::{Desk, Knowledge, Moment, Session, Side, Texts, Timeouts};
use consentry::smpp::message::WireAddress;
use consentry::smpp::multi::Destination;
use consentry::smpp::tlv::Tag;
use consentry::smpp::write::{self, BindFields, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header};

const SECOND: u64 = 1_000_000;
const CALLBACK: (Tag, &[u8]) = (Tag::CALLBACK_NUM, b"\x01\x01\x0195588");
const SUBADDRESS: (Tag, &[u8]) = (Tag::SOURCE_SUBADDRESS, b"\x88\x011");
const REFERENCE: (Tag, &[u8]) = (Tag::USER_MESSAGE_REFERENCE, &[0, 7]);
const REFUSED: CommandStatus = CommandStatus::ESME_ROPTPARNOTALLWD;

fn knowledge() -> Knowledge {
    let text = "[[provider]]\nname = \"一\"\nsystem_ids = [\"t\"]\nidentity = \"verified\"\n\
         licence = { number = \"1\", valid_until = 2099-12-31 }\n\
         [[provider.code]]\nnumber = \"106900001234\"\n";
    let registry = consentry::registry::parse(text, "registry.toml").expect("a registry");
    let modes = Modes::default();
    let reader = Reader::built_in().expect("weights");
    let texts = Texts::new(reader, Default::default(), Vec::new(), &modes);
    Knowledge::new(registry, texts, modes)
}

fn at(seconds: u64) -> Moment {
    Moment { wall_us: (1_790_000_000 + seconds) * SECOND, steady_us: seconds * SECOND }
}

fn bound(knowledge: &Knowledge, set: impl FnOnce(Session) -> Session) -> Session {
    let timeouts =
        Timeouts { bind_us: 30 * SECOND, idle_us: 600 * SECOND, response_us: 60 * SECOND };
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut session = set(Session::new(1, peer, "test", timeouts, Default::default(), at(0)));
    let mut pdu = Vec::new();
    let (password, system_type): (&[u8], &[u8]) = (b"", b"");
    let fields = BindFields { system_id: b"t", password, system_type, interface_version: 0x34 };
    write::bind(&mut pdu, Command::BindTransceiver, 1, fields);
    give(&mut session, knowledge, &pdu);
    let mut ok = Vec::new();
    let id = Command::BindTransceiver.response_id();
    write::header_only(&mut ok, id, CommandStatus::ESME_ROK, 1);
    session.receive(Side::Smsc, &ok, at(1));
    session.relay(knowledge, &mut Desk::default(), &mut Vec::new(), at(1));
    session
}

/// What goes on, the status of what comes back, and what is recorded: verdict and rule.
struct Came {
    cleared: Vec<u8>,
    status: Option<CommandStatus>,
    recorded: Vec<(u8, u8)>,
}

fn give(session: &mut Session, knowledge: &Knowledge, octets: &[u8]) -> Came {
    session.receive(Side::Esme, octets, at(1));
    session.judge(knowledge, &mut Desk::default(), &mut |_, _| {}, at(1));
    let recorded = recorded(session.batch_records().octets());
    assert_eq!(session.cleared().count(), 0, "nothing before its record");
    session.recorded();
    let cleared = session.cleared().flat_map(|one| one.octets().to_vec()).collect();
    let mut replies = Vec::new();
    session.take_replies(&mut replies);
    session.release();
    assert_eq!(session.cleared().count(), 0, "once");
    let status = Header::of(&replies).map(|header| header.command_status);
    Came { cleared, status, recorded }
}

fn recorded(mut octets: &[u8]) -> Vec<(u8, u8)> {
    let mut verdicts = Vec::new();
    while let Some(&[low, high, kind, form]) = octets.first_chunk() {
        let (record, rest) = octets.split_at(usize::from(u16::from_le_bytes([low, high])));
        octets = rest;
        if let Record::Verdict(verdict) = Record::decode(kind, form, &record[16..]) {
            verdicts.push((verdict.verdict, verdict.rule));
        }
    }
    verdicts
}

/// A message of that command: esm_class, what stands before its text, its parameters.
fn pdu(command: Command, (esm_class, header): (u8, &[u8]), tlvs: &[(Tag, &[u8])]) -> Vec<u8> {
    let text: Vec<u8> = "您好".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let body = [header, &text].concat();
    let address = |value| WireAddress { ton: 0, npi: 1, value };
    let to = address(b"8613800138000");
    let fields = MessageFields {
        source: address(b"106900001234"),
        destination: to,
        esm_class,
        registered_delivery: 0,
        data_coding: 8,
        short_message: if command == Command::DataSm { b"" } else { &body },
    };
    let payload = (command == Command::DataSm).then_some((Tag::MESSAGE_PAYLOAD, &body[..]));
    let parameters = |out: &mut Vec<u8>| {
        tlvs.iter().chain(&payload).for_each(|(tag, value)| write::tlv(out, *tag, value));
    };
    let mut out = Vec::new();
    match command {
        Command::DataSm => write::data_sm(&mut out, 2, fields, parameters),
        Command::SubmitMulti => {
            write::submit_multi(&mut out, 2, fields, &[Destination::Sme(to)], parameters);
        }
        other => write::message(&mut out, other, 2, fields, parameters),
    }
    out
}

const PLAIN: (u8, &[u8]) = (0, b"");
const REPLY_PATH: (u8, &[u8]) = (0x80, b"");
const REPLY_ADDRESS: (u8, &[u8]) = (0x40, b"\x04\x22\x02\x91\x19");

#[test]
fn a_second_sender_in_parameters_is_taken_away_where_it_is_configured() {
    type Row<'a> = (Command, (u8, &'a [u8]), &'a [(Tag, &'a [u8])], Option<&'a [(Tag, &'a [u8])]>);
    let (submit, data, multi) = (Command::SubmitSm, Command::DataSm, Command::SubmitMulti);
    let presentation: (Tag, &[u8]) = (Tag::CALLBACK_NUM_PRES_IND, &[1]);
    let name: (Tag, &[u8]) = (Tag::CALLBACK_NUM_ATAG, b"\x08\x4e\x2d");
    // What is sent, and the parameters that are left; none where it is refused.
    let rows: [Row<'_>; 10] = [
        (submit, PLAIN, &[CALLBACK], Some(&[])),
        (submit, PLAIN, &[REFERENCE, CALLBACK, presentation, name], Some(&[REFERENCE])),
        (submit, PLAIN, &[CALLBACK, REFERENCE, SUBADDRESS, CALLBACK], Some(&[REFERENCE])),
        (data, PLAIN, &[SUBADDRESS, REFERENCE], Some(&[REFERENCE])),
        (data, PLAIN, &[CALLBACK], Some(&[])),
        (submit, REPLY_PATH, &[CALLBACK], None),
        (submit, REPLY_ADDRESS, &[CALLBACK], None),
        (submit, REPLY_PATH, &[], None),
        (multi, PLAIN, &[CALLBACK], None),
        (multi, PLAIN, &[SUBADDRESS], None),
    ];
    let knowledge = knowledge();
    let rule = Rule::SourceSecond.code();
    for (command, form, sent, left) in rows {
        let at = format!("{command} {form:02x?} {sent:02x?}");
        let sent = pdu(command, form, sent);
        let mut session = bound(&knowledge, Session::stripping_second_senders);
        let came = give(&mut session, &knowledge, &sent);
        match left {
            Some(left) => {
                assert_eq!(came.cleared, pdu(command, form, left), "{at}");
                assert_eq!(
                    (came.status, &came.recorded[..]),
                    (None, &[(audit::OBSERVE, rule)][..]),
                    "{at}"
                );
            }
            None => {
                assert!(came.cleared.is_empty(), "{at}");
                assert_eq!(
                    (came.status, &came.recorded[..]),
                    (Some(REFUSED), &[(audit::REFUSE, rule)][..]),
                    "{at}"
                );
            }
        }
        let mut session = bound(&knowledge, |session| session);
        let came = give(&mut session, &knowledge, &sent);
        assert_eq!((came.cleared.len(), came.status), (0, Some(REFUSED)), "{at}: not configured");
    }
}

#[test]
fn what_is_stripped_goes_on_in_its_place_among_others() {
    let knowledge = knowledge();
    let mut session =
        bound(&knowledge, |session| session.stripping_second_senders().asking_for_receipts());
    let plain = pdu(Command::SubmitSm, PLAIN, &[REFERENCE]);
    let second = pdu(Command::SubmitSm, PLAIN, &[CALLBACK, REFERENCE]);
    let refused = pdu(Command::SubmitSm, REPLY_PATH, &[CALLBACK]);
    let sent = [&plain, &second, &refused, &second, &plain].map(Vec::as_slice).concat();
    let came = give(&mut session, &knowledge, &sent);
    // Each is asked for its receipt, too.
    let mut asked = plain.clone();
    // Behind registered_delivery: three octets, the text's length, the text, the reference.
    let place = asked.len() - (1 + 3 + 1 + 4 + 6);
    assert_eq!(asked[place], 0);
    asked[place] = 1;
    assert_eq!(came.cleared, asked.repeat(4));
    assert_eq!(came.status, Some(REFUSED));
    let verdicts: Vec<u8> = came.recorded.iter().map(|(verdict, _)| *verdict).collect();
    let expected = [audit::PASS, audit::OBSERVE, audit::REFUSE, audit::OBSERVE, audit::PASS];
    assert_eq!(verdicts, expected);
}
