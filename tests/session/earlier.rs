//! Requests that name an earlier message: replace_sm judged as a new message to the original's
//! recipient, cancel_sm and query_sm of one's own alone; and broadcasts, which only a code for the
//! public interest may send.

use std::net::SocketAddr;

use consentry::content::Reader;
use consentry::policy::{Mode, Modes, Rule};
use consentry::session::{
    Desk, Knowledge, Moment, Session, Side, StatusStyle, Statuses, Texts, Timeouts,
};
use consentry::smpp::message::WireAddress;
use consentry::smpp::tlv::Tag;
use consentry::smpp::write::{self, BindFields, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header};

const SECOND: u64 = 1_000_000;
const MIXED: &[u8] = b"106900001234";
const COMMERCIAL: &[u8] = b"106900005678";
const PUBLIC: &[u8] = b"106990001234";
const OTHERS: &[u8] = b"106900009999";
const CODE: &str = "【测试】验证码123456，五分钟内有效。";
const ADVERTISING: &str = "【测试】全场五折，拒收请回复R";

fn knowledge(off: &[Rule]) -> Knowledge {
    let text = "[[provider]]\nname = \"一\"\nsystem_ids = [\"t\"]\nidentity = \"verified\"\n\
         licence = { number = \"1\", valid_until = 2099-12-31 }\n\
         [[provider.code]]\nnumber = \"106900001234\"\n\
         [[provider.code]]\nnumber = \"106900005678\"\npurpose = \"commercial\"\n\
         [[provider.code]]\nnumber = \"106990001234\"\npurpose = \"public\"\n\
         [[provider]]\nname = \"二\"\nsystem_ids = [\"u\"]\nidentity = \"verified\"\n\
         licence = { number = \"2\", valid_until = 2099-12-31 }\n\
         [[provider.code]]\nnumber = \"106900009999\"\n";
    let registry = consentry::registry::parse(text, "registry.toml").expect("a registry");
    let mut modes = Modes::default();
    off.iter().for_each(|rule| modes.set(*rule, Mode::Off).expect("a rule that may be off"));
    let reader = Reader::built_in().expect("weights");
    let texts = Texts::new(reader, Default::default(), Vec::new(), &modes);
    let statuses = Statuses::new(StatusStyle::Precise);
    Knowledge { statuses, ..Knowledge::new(registry, texts, modes) }
}

fn at(seconds: u64) -> Moment {
    Moment { wall_us: (1_790_000_000 + seconds) * SECOND, steady_us: seconds * SECOND }
}

fn bound(knowledge: &Knowledge, system_id: &[u8]) -> Session {
    let timeouts =
        Timeouts { bind_us: 30 * SECOND, idle_us: 600 * SECOND, response_us: 60 * SECOND };
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut session = Session::new(1, peer, "test", timeouts, Default::default(), at(0));
    let mut bind = Vec::new();
    let (password, system_type): (&[u8], &[u8]) = (b"", b"");
    let fields = BindFields { system_id, password, system_type, interface_version: 0x50 };
    write::bind(&mut bind, Command::BindTransceiver, 1, fields);
    give(&mut session, knowledge, &bind);
    answer(&mut session, knowledge, Command::BindTransceiver, 1, b"smsc");
    session
}

/// `None` when it went on as it came, else the status that refused it.
fn give(session: &mut Session, knowledge: &Knowledge, pdu: &[u8]) -> Option<CommandStatus> {
    session.receive(Side::Esme, pdu, at(1));
    session.judge(knowledge, &mut Desk::default(), &mut |_, _| {}, at(1));
    session.recorded();
    let cleared: Vec<u8> = session.cleared().flat_map(|one| one.octets().to_vec()).collect();
    let mut replies = Vec::new();
    session.take_replies(&mut replies);
    session.release();
    assert!(cleared.is_empty() || (cleared == pdu && replies.is_empty()));
    Header::of(&replies).map(|header| header.command_status)
}

fn answer(session: &mut Session, knowledge: &Knowledge, to: Command, sequence: u32, id: &[u8]) {
    answer_at(at(1), session, knowledge, (to, sequence, id));
}

fn answer_at(
    now: Moment,
    session: &mut Session,
    knowledge: &Knowledge,
    (to, sequence, id): (Command, u32, &[u8]),
) {
    let mut out = Vec::new();
    write::pdu(&mut out, to.response_id(), CommandStatus::ESME_ROK, sequence, |body| {
        write::c_octets(body, id);
    });
    session.receive(Side::Smsc, &out, now);
    let mut crossed = Vec::new();
    session.relay(knowledge, &mut Desk::default(), &mut crossed, now);
    assert_eq!(crossed, out);
}

fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn from(value: &[u8]) -> WireAddress<'_> {
    WireAddress { ton: 0, npi: 1, value }
}

fn submit(source: &[u8], text: &str) -> Vec<u8> {
    let text = ucs2(text);
    let fields = MessageFields {
        source: from(source),
        destination: WireAddress { ton: 1, npi: 1, value: b"8613800138000" },
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: &text,
    };
    let mut out = Vec::new();
    write::message(&mut out, Command::SubmitSm, 2, fields, |_| {});
    out
}

fn request(command: Command, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write::pdu(&mut out, command.id(), CommandStatus::ESME_ROK, 3, fill);
    out
}

fn replace(id: &[u8], source: &[u8], validity: &[u8], text: &[u8]) -> Vec<u8> {
    replace_with(id, source, validity, text, |_| {})
}

fn replace_with(
    id: &[u8],
    source: &[u8],
    validity: &[u8],
    text: &[u8],
    tlvs: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    request(Command::ReplaceSm, |body| {
        write::c_octets(body, id);
        write::address(body, from(source));
        write::c_octets(body, b"");
        write::c_octets(body, validity);
        body.extend_from_slice(&[0, 0, text.len() as u8]);
        body.extend_from_slice(text);
        tlvs(body);
    })
}

fn query(id: &[u8], source: &[u8]) -> Vec<u8> {
    request(Command::QuerySm, |body| {
        write::c_octets(body, id);
        write::address(body, from(source));
    })
}

fn cancel(id: &[u8], source: &[u8]) -> Vec<u8> {
    request(Command::CancelSm, |body| {
        body.push(0);
        write::c_octets(body, id);
        write::address(body, from(source));
        write::address(body, from(b"8613800138000"));
    })
}

const UNKNOWN: Option<CommandStatus> = Some(CommandStatus::ESME_RINVMSGID);
const FORGED: Option<CommandStatus> = Some(CommandStatus(0x0402));

#[test]
fn a_text_in_place_of_another_is_judged_as_new_to_its_recipient() {
    let knowledge = knowledge(&[]);
    let mut session = bound(&knowledge, b"t");
    assert_eq!(give(&mut session, &knowledge, &submit(MIXED, CODE)), None);
    answer(&mut session, &knowledge, Command::SubmitSm, 2, b"7a");
    let (code, advertising) = (ucs2(CODE), ucs2(ADVERTISING));
    // Without a ledger, nobody knows of consent: what needs it may be sent again.
    let full = Some(CommandStatus::ESME_RMSGQFUL);
    let expiry = Some(CommandStatus::ESME_RINVEXPIRY);
    let day: &[u8] = b"000001000000000R";
    let undecodable = Some(CommandStatus(0x0426));
    // What an SMSC does not read in a replace_sm does not make its validity shorter.
    let a_minute = |out: &mut Vec<u8>| write::tlv(out, Tag::QOS_TIME_TO_LIVE, &[0, 0, 0, 60]);
    let month: &[u8] = b"000030000000000R";
    let cases = [
        (
            "for a month, and a minute",
            replace_with(b"7a", MIXED, month, &advertising, a_minute),
            expiry,
        ),
        (
            "as long as the code was valid, and a minute",
            replace_with(b"7a", MIXED, b"", &advertising, a_minute),
            expiry,
        ),
        ("for a day, and a minute", replace_with(b"7a", MIXED, day, &advertising, a_minute), full),
        ("a code for a code", replace(b"7a", MIXED, b"", &code), None),
        ("advertising for a code", replace(b"7a", MIXED, day, &advertising), full),
        ("for as long as the code was valid", replace(b"7a", MIXED, b"", &advertising), expiry),
        ("a text in another alphabet", replace(b"7a", MIXED, b"", b"odd"), undecodable),
        ("an id in another form", replace(b"7A", MIXED, b"", &code), UNKNOWN),
        ("no id", replace(b"", MIXED, b"", &code), UNKNOWN),
        ("under another code of one's own", replace(b"7a", COMMERCIAL, day, &code), UNKNOWN),
        ("under another's code", replace(b"7a", OTHERS, b"", &code), FORGED),
    ];
    for (case, pdu, expected) in cases {
        assert_eq!(give(&mut session, &knowledge, &pdu), expected, "{case}");
    }
    let mut other = bound(&knowledge, b"u");
    let theirs = replace(b"7a", OTHERS, b"", &code);
    assert_eq!(give(&mut other, &knowledge, &theirs), UNKNOWN, "another provider's message");
}

#[test]
fn only_ones_own_messages_are_asked_after_and_taken_back() {
    let knowledge = knowledge(&[]);
    let mut session = bound(&knowledge, b"t");
    give(&mut session, &knowledge, &submit(MIXED, CODE));
    answer(&mut session, &knowledge, Command::SubmitSm, 2, b"1");
    let mut second_bind = bound(&knowledge, b"t");
    let mut other = bound(&knowledge, b"u");
    let cases = [
        ("one's own", query(b"1", MIXED), cancel(b"1", MIXED), [None, None]),
        ("one that nobody sent", query(b"2", MIXED), cancel(b"2", MIXED), [UNKNOWN, UNKNOWN]),
        ("without an id", query(b"", MIXED), cancel(b"", MIXED), [UNKNOWN, None]),
        ("of another's code", query(b"1", OTHERS), cancel(b"", OTHERS), [FORGED, FORGED]),
    ];
    for (case, query, cancel, expected) in cases {
        for session in [&mut session, &mut second_bind] {
            let found = [give(session, &knowledge, &query), give(session, &knowledge, &cancel)];
            assert_eq!(found, expected, "{case}");
        }
    }
    for pdu in [query(b"1", OTHERS), cancel(b"1", OTHERS)] {
        assert_eq!(give(&mut other, &knowledge, &pdu), UNKNOWN, "another provider's");
    }
}

#[test]
fn a_message_to_several_is_no_original_of_a_replacement() {
    let knowledge = knowledge(&[]);
    let mut session = bound(&knowledge, b"t");
    let text = ucs2(CODE);
    let fields = MessageFields {
        source: from(MIXED),
        destination: from(b""),
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: &text,
    };
    let to = |value| consentry::smpp::multi::Destination::Sme(from(value));
    let mut multi = Vec::new();
    let destinations = [to(b"8613800138000"), to(b"8613800138002")];
    write::submit_multi(&mut multi, 2, fields, &destinations, |_| {});
    assert_eq!(give(&mut session, &knowledge, &multi), None);
    answer(&mut session, &knowledge, Command::SubmitMulti, 2, b"m");
    assert_eq!(give(&mut session, &knowledge, &replace(b"m", MIXED, b"", &text)), UNKNOWN);
    assert_eq!(give(&mut session, &knowledge, &cancel(b"m", MIXED)), None);
}

/// A part of a long message, by header or by SAR parameters.
fn part(sequence: u32, (header, sar): (&[u8], Option<[u8; 2]>), text: &str) -> Vec<u8> {
    let text = [header, &ucs2(text)].concat();
    let fields = MessageFields {
        source: from(MIXED),
        destination: from(b"8613800138000"),
        esm_class: if header.is_empty() { 0 } else { 0x40 },
        registered_delivery: 0,
        data_coding: 8,
        short_message: &text,
    };
    let mut out = Vec::new();
    write::message(&mut out, Command::SubmitSm, sequence, fields, |out| {
        if let Some([total, number]) = sar {
            write::tlv(out, Tag::SAR_MSG_REF_NUM, &[0, 9]);
            write::tlv(out, Tag::SAR_TOTAL_SEGMENTS, &[total]);
            write::tlv(out, Tag::SAR_SEGMENT_SEQNUM, &[number]);
        }
    });
    out
}

/// Its handset joins what stands in its place with the other parts, and nobody has read them together.
#[test]
fn a_part_of_a_long_message_is_no_original_of_a_replacement() {
    let code = ucs2("请带好");
    for (case, form) in [
        ("by header", (&b"\x05\x00\x03\x07\x02\x01"[..], None)),
        ("by parameters", (&b""[..], Some([2, 1]))),
        ("of one part", (&b""[..], Some([1, 1]))),
    ] {
        let knowledge = knowledge(&[]);
        let mut session = bound(&knowledge, b"t");
        assert_eq!(give(&mut session, &knowledge, &part(2, form, "请带好")), None, "{case}");
        answer(&mut session, &knowledge, Command::SubmitSm, 2, b"p");
        let again = [form.0, &code].concat();
        for text in [&again, &code] {
            let replaced = give(&mut session, &knowledge, &replace(b"p", MIXED, b"", text));
            assert_eq!(replaced, UNKNOWN, "{case}");
        }
        assert_eq!(give(&mut session, &knowledge, &query(b"p", MIXED)), None, "{case}");
    }
}

/// Its SMSC does not read these parameters in a replace_sm: the whole message would be what was judged
/// as the beginning of one.
#[test]
fn a_replacement_is_no_part_of_a_long_message() {
    let knowledge = knowledge(&[]);
    let mut session = bound(&knowledge, b"t");
    give(&mut session, &knowledge, &submit(MIXED, CODE));
    answer(&mut session, &knowledge, Command::SubmitSm, 2, b"7a");
    let text = ucs2(CODE);
    let replacement = |parameters: &[(Tag, &[u8])]| {
        let mut pdu = replace(b"7a", MIXED, b"", &text);
        parameters.iter().for_each(|(tag, value)| write::tlv(&mut pdu, *tag, value));
        let length = pdu.len() as u32;
        pdu[..4].copy_from_slice(&length.to_be_bytes());
        pdu
    };
    let sar: [(Tag, &[u8]); 3] = [
        (Tag::SAR_MSG_REF_NUM, &[0, 9]),
        (Tag::SAR_TOTAL_SEGMENTS, &[2]),
        (Tag::SAR_SEGMENT_SEQNUM, &[1]),
    ];
    assert_eq!(give(&mut session, &knowledge, &replacement(&[])), None);
    let malformed = Some(CommandStatus(0x0428));
    assert_eq!(give(&mut session, &knowledge, &replacement(&sar)), malformed);
    assert_eq!(give(&mut session, &knowledge, &replacement(&sar[..2])), malformed);
}

/// Whose answer it is is not certain: a text would be judged by the recipient of the other one.
#[test]
fn an_id_that_may_be_another_requests_is_no_original_of_a_replacement() {
    let knowledge = knowledge(&[]);
    let text = ucs2(CODE);
    let replaced = |session: &mut Session, id: &[u8]| {
        give(session, &knowledge, &replace(id, MIXED, b"", &text))
    };
    // Two of one number are outstanding, and either may be answered first.
    let mut session = bound(&knowledge, b"t");
    for _ in 0..2 {
        assert_eq!(give(&mut session, &knowledge, &submit(MIXED, CODE)), None);
    }
    answer(&mut session, &knowledge, Command::SubmitSm, 2, b"a");
    answer(&mut session, &knowledge, Command::SubmitSm, 2, b"b");
    assert_eq!((replaced(&mut session, b"a"), replaced(&mut session, b"b")), (UNKNOWN, UNKNOWN));
    assert_eq!(give(&mut session, &knowledge, &query(b"a", MIXED)), None, "both are its own");
    assert_eq!(give(&mut session, &knowledge, &submit(MIXED, CODE)), None);
    answer(&mut session, &knowledge, Command::SubmitSm, 2, b"c");
    assert_eq!(replaced(&mut session, b"c"), None, "the number is free again");
    // The first was given up, its number used again, and then its answer comes.
    let mut session = bound(&knowledge, b"t");
    assert_eq!(give(&mut session, &knowledge, &submit(MIXED, CODE)), None);
    let others = [part(1, (b"", None), CODE), part(3, (b"", None), CODE)];
    assert_eq!(give(&mut session, &knowledge, &others[1]), None);
    answer_at(at(50), &mut session, &knowledge, (Command::SubmitSm, 3, b"progress"));
    session.tick(at(62));
    assert_eq!(session.open_requests(), 0, "it was given up");
    for pdu in [submit(MIXED, CODE), others[0].clone(), others[1].clone()] {
        assert_eq!(give(&mut session, &knowledge, &pdu), None);
    }
    for (sequence, id, expected) in [(2, b"d", UNKNOWN), (1, b"e", UNKNOWN), (3, b"f", None)] {
        answer(&mut session, &knowledge, Command::SubmitSm, sequence, id);
        assert_eq!(replaced(&mut session, id), expected, "{sequence}");
    }
}

#[test]
fn each_smsc_has_ids_of_its_own() {
    let knowledge = knowledge(&[]);
    let mut sessions = ["one:2775", "other:2775", "one:2775"].map(|address| {
        let mut session = bound(&knowledge, b"t");
        session.connected(address);
        session
    });
    assert_eq!(give(&mut sessions[0], &knowledge, &submit(MIXED, CODE)), None);
    answer(&mut sessions[0], &knowledge, Command::SubmitSm, 2, b"1");
    let asked = sessions.each_mut().map(|session| give(session, &knowledge, &query(b"1", MIXED)));
    assert_eq!(asked, [None, UNKNOWN, None]);
}

#[test]
fn where_nothing_is_remembered_nothing_is_known() {
    let knowledge = Knowledge { originals_max: 0, ..knowledge(&[]) };
    let mut session = bound(&knowledge, b"t");
    give(&mut session, &knowledge, &submit(MIXED, CODE));
    answer(&mut session, &knowledge, Command::SubmitSm, 2, b"1");
    assert_eq!(give(&mut session, &knowledge, &query(b"1", MIXED)), UNKNOWN);
}

#[test]
fn only_a_code_for_the_public_interest_broadcasts() {
    let knowledge = knowledge(&[Rule::PublicUnfiled]);
    let broadcast = |source: &[u8], text: &str| {
        request(Command::BroadcastSm, |body| {
            body.push(0);
            write::address(body, from(source));
            body.extend_from_slice(&[0, 0, 0, 0, 0, 8, 0]);
            write::tlv(body, Tag::BROADCAST_AREA_IDENTIFIER, b"\0Beijing");
            write::tlv(body, Tag::BROADCAST_CONTENT_TYPE, &[0, 0, 2]);
            write::tlv(body, Tag::MESSAGE_PAYLOAD, &ucs2(text));
        })
    };
    let ask = |command: Command, id: &'static [u8], source: &'static [u8]| {
        request(command, |body| {
            if command == Command::CancelBroadcastSm {
                body.push(0);
            }
            write::c_octets(body, id);
            write::address(body, from(source));
        })
    };
    let public = "【测试】气象台发布暴雨红色预警，请注意防范。";
    let prohibited = Some(CommandStatus::ESME_RPROHIBITED);
    let mut session = bound(&knowledge, b"t");
    assert_eq!(give(&mut session, &knowledge, &broadcast(PUBLIC, public)), None);
    answer(&mut session, &knowledge, Command::BroadcastSm, 3, b"b");
    let cases = [
        ("over a code of no purpose", broadcast(MIXED, public), prohibited),
        ("over a commercial code", broadcast(COMMERCIAL, ADVERTISING), prohibited),
        (
            "advertising over a public code",
            broadcast(PUBLIC, ADVERTISING),
            Some(CommandStatus(0x0423)),
        ),
        ("after one's own", ask(Command::QueryBroadcastSm, b"b", PUBLIC), None),
        ("back one's own", ask(Command::CancelBroadcastSm, b"b", PUBLIC), None),
        ("back all of one's code", ask(Command::CancelBroadcastSm, b"", PUBLIC), None),
        ("after another", ask(Command::QueryBroadcastSm, b"c", PUBLIC), UNKNOWN),
        ("back by another code", ask(Command::CancelBroadcastSm, b"", MIXED), prohibited),
    ];
    for (case, pdu, expected) in cases {
        assert_eq!(give(&mut session, &knowledge, &pdu), expected, "{case}");
    }
}
