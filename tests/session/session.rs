//! One pair without sockets: every command in every bind state, and what becomes of a batch.

use std::net::SocketAddr;
use std::sync::LazyLock;

use consentry::audit;
use consentry::consent::{self, CACHE_OCTETS_MIN, Ledger};
use consentry::content::Reader;
use consentry::policy::{Mode, Modes, Rule};
use consentry::session::originals::{Original, mark};
use consentry::session::{
    BindState, Desk, EndReason, Fate, KeepContent, Knowledge, Moment, Parties, Session, Side,
    StatusStyle, Statuses, Texts, Timeouts, UnknownCommand,
};
use consentry::smpp::frame::FrameFault;
use consentry::smpp::message::WireAddress;
use consentry::smpp::multi::Destination;
use consentry::smpp::tlv::Tag;
use consentry::smpp::write::{self, BindFields, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header};
use consentry::text::Options;
use proptest::prelude::*;

#[path = "elsewhere.rs"]
mod elsewhere;
#[path = "lookups.rs"]
mod lookups;
#[path = "probe.rs"]
mod probe;

const SECOND: u64 = 1_000_000;
const OURS: &[u8] = b"106900001234";

fn knowledge(unknown_command: UnknownCommand, window_requests_max: usize) -> Knowledge {
    rated_knowledge(unknown_command, window_requests_max, "")
}

/// `rate` is a line of the provider's table.
fn rated_knowledge(
    unknown_command: UnknownCommand,
    window_requests_max: usize,
    rate: &str,
) -> Knowledge {
    let text = format!(
        "[[provider]]\nname = \"测试有限公司\"\nsystem_ids = [\"t\"]\nidentity = \"verified\"\n\
         licence = {{ number = \"1\", valid_until = 2099-12-31 }}\n{rate}\n\
         [[provider.code]]\nnumber = \"106900001234\"\ndigits_max = 16\n"
    );
    let registry = consentry::registry::parse(&text, "registry.toml").expect("a registry");
    let modes = Modes::default();
    let texts =
        Texts::new(Reader::built_in().expect("weights"), Default::default(), Vec::new(), &modes);
    let knowledge = Knowledge {
        unknown_command,
        window_requests_max,
        ..Knowledge::new(registry, texts, modes)
    };
    // The operations of these tests ask about a message that the provider sent earlier.
    let original = Original::new(mark("测试有限公司".as_bytes()), OURS, None).expect("short");
    knowledge.originals().remember(mark(b"test"), b"id", original);
    knowledge
}

/// Made once: to read the weights of the classifier takes a while.
static REFUSING: LazyLock<Knowledge> = LazyLock::new(|| knowledge(UnknownCommand::Refuse, 100));

fn at(seconds: u64) -> Moment {
    Moment { wall_us: 1_790_000_000 * SECOND + seconds * SECOND, steady_us: seconds * SECOND }
}

fn open() -> Session {
    let timeouts =
        Timeouts { bind_us: 30 * SECOND, idle_us: 600 * SECOND, response_us: 60 * SECOND };
    Session::new(
        1,
        SocketAddr::from(([127, 0, 0, 1], 1)),
        "test",
        timeouts,
        Options::default(),
        at(0),
    )
}

fn bind(command: Command) -> Vec<u8> {
    let mut out = Vec::new();
    let fields = BindFields {
        system_id: b"t",
        password: b"secret",
        system_type: b"",
        interface_version: 0x34,
    };
    write::bind(&mut out, command, 1, fields);
    out
}

fn bare(command_id: u32, status: CommandStatus, sequence: u32) -> Vec<u8> {
    let mut out = Vec::new();
    write::header_only(&mut out, command_id, status, sequence);
    out
}

fn submit(sequence: u32, source: &[u8]) -> Vec<u8> {
    submit_with(sequence, source, |_| {})
}

/// Part `number` of two.
fn part(sequence: u32, number: u8) -> Vec<u8> {
    submit_with(sequence, OURS, |out| {
        write::tlv(out, Tag::SAR_MSG_REF_NUM, &[0, 7]);
        write::tlv(out, Tag::SAR_TOTAL_SEGMENTS, &[2]);
        write::tlv(out, Tag::SAR_SEGMENT_SEQNUM, &[number]);
    })
}

fn submit_with(sequence: u32, source: &[u8], tlvs: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    let address = |value| WireAddress { ton: 0, npi: 1, value };
    let fields = MessageFields {
        source: address(source),
        destination: address(b"8613800138000"),
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 0,
        short_message: b"text",
    };
    write::message(&mut out, Command::SubmitSm, sequence, fields, tlvs);
    out
}

fn binding(knowledge: &Knowledge, command: Command) -> Session {
    let mut session = open();
    let (cleared, replies) = give(&mut session, knowledge, &bind(command), 0);
    assert_eq!((cleared, replies.len()), (bind(command), 0));
    session
}

fn bound(knowledge: &Knowledge, command: Command) -> Session {
    let mut session = binding(knowledge, command);
    let ok = bare(command.response_id(), CommandStatus::ESME_ROK, 1);
    assert_eq!(relay(&mut session, &ok, 0), ok);
    session
}

/// Octets from the ESME, recorded at once: what goes on and what goes back.
fn give(session: &mut Session, knowledge: &Knowledge, octets: &[u8], s: u64) -> (Vec<u8>, Vec<u8>) {
    session.receive(Side::Esme, octets, at(s));
    let (mut cleared, mut replies) = (Vec::new(), Vec::new());
    while session.judge(knowledge, &mut Desk::default(), &mut |_, _| {}, at(s)) {
        session.recorded();
        cleared.extend(session.cleared().flat_map(|one| one.octets().to_vec()));
        session.take_replies(&mut replies);
        session.release();
    }
    session.take_replies(&mut replies);
    (cleared, replies)
}

fn relay(session: &mut Session, octets: &[u8], s: u64) -> Vec<u8> {
    session.receive(Side::Smsc, octets, at(s));
    let mut out = Vec::new();
    session.relay(&REFUSING, &mut Desk::default(), &mut out, at(s));
    out
}

#[test]
fn emergencies_go_at_once_and_are_listed_for_filing() {
    let table = |number: &str, more: &str| {
        format!("[[provider.code]]\nnumber = \"{number}\"\npurpose = \"public\"\n{more}\n")
    };
    let filing = "filing = { number = \"F-1\", valid_until = 2099-12-31 }";
    let rows = [
        ("106990001", filing, OK, None),
        ("106990002", "", CommandStatus::ESME_RSUBMITFAIL, Some(audit::REFUSE)),
        ("106990003", "emergency = true", OK, Some(audit::OBSERVE)),
    ];
    let codes: String = rows.iter().map(|(number, more, ..)| table(number, more)).collect();
    let knowledge = rated_knowledge(UnknownCommand::Refuse, 100, &codes);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = audit::Options::new(audit::Durability::Written);
    let (journal, _) = audit::Journal::open(folder.path(), options, 0).expect("a journal");
    let mut session = bound(&knowledge, Command::BindTransmitter);
    let text = "【测试】暴雨红色预警，请市民立即转移到安全地带。";
    let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (sequence, (number, _, expected, _)) in (0..).zip(rows) {
        let frame = message_from(number.as_bytes(), sequence, b"13800138000", &text);
        session.receive(Side::Esme, &frame, at(1));
        assert!(session.judge(&knowledge, &mut Desk::default(), &mut |_, _| {}, at(1)));
        let ticket = journal.append(session.batch_records()).expect("taken");
        journal.wait(ticket).expect("written");
        session.recorded();
        let mut replies = Vec::new();
        session.take_replies(&mut replies);
        session.release();
        let status = statuses(&replies).first().map_or(OK, |(_, status)| *status);
        assert_eq!(status, expected, "{number}");
    }
    journal.close(1).expect("closed");
    for (number, _, _, verdict) in rows {
        let mut found = Vec::new();
        let query = audit::Query { rule: Some(Rule::PublicUnfiled.code()), ..Default::default() };
        audit::search(folder.path(), &query, &mut |one| {
            if let audit::Found::Message { verdict, .. } = one
                && let audit::Record::Verdict(record) = verdict.record()
                && record.source.raw == number.as_bytes()
            {
                found.push(record.verdict);
            }
            std::ops::ControlFlow::Continue(())
        })
        .expect("the journal can be read");
        assert_eq!(found, Vec::from_iter(verdict), "{number}");
    }
}

#[test]
fn ids_in_vendor_parameters_are_on_record_and_prove_nothing() {
    let tags = "vendor_tlv = { entity = 0x1400, template = 0x1401, consent = 0x1402 }";
    let knowledge = rated_knowledge(UnknownCommand::Refuse, 100, tags);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = audit::Options::new(audit::Durability::Written);
    let (journal, _) = audit::Journal::open(folder.path(), options, 0).expect("a journal");
    let mut session = bound(&knowledge, Command::BindTransmitter);
    let ids = |out: &mut Vec<u8>| {
        write::tlv(out, Tag(0x1400), b"1101234567890123456");
        write::tlv(out, Tag(0x1401), b"1107654321\0");
        write::tlv(out, Tag(0x1500), b"another vendor's");
    };
    // One's own entity makes nobody's code one's own, and another's takes nothing away.
    for (sequence, source, expected) in
        [(2, OURS, OK), (3, b"95588" as &[u8], CommandStatus::ESME_RINVSRCADR)]
    {
        let frame = submit_with(sequence, source, ids);
        session.receive(Side::Esme, &frame, at(1));
        assert!(session.judge(&knowledge, &mut Desk::default(), &mut |_, _| {}, at(1)));
        let ticket = journal.append(session.batch_records()).expect("taken");
        journal.wait(ticket).expect("written");
        session.recorded();
        let cleared: Vec<u8> = session.cleared().flat_map(|one| one.octets().to_vec()).collect();
        assert_eq!(cleared, if expected.is_ok() { frame } else { vec![] }, "octet for octet");
        let mut replies = Vec::new();
        session.take_replies(&mut replies);
        session.release();
        assert_eq!(statuses(&replies).first().map_or(OK, |(_, status)| *status), expected);
    }
    journal.close(1).expect("closed");
    let searched: [(&[u8], usize); 4] =
        [(b"1101234567890123456", 2), (b"1107654321", 2), (b"another vendor's", 0), (b"110", 0)];
    for (id, expected) in searched {
        let query = audit::Query { reference: Some(id), ..Default::default() };
        let mut found = 0;
        audit::search(folder.path(), &query, &mut |_| {
            found += 1;
            std::ops::ControlFlow::Continue(())
        })
        .expect("the journal can be read");
        assert_eq!(found, expected, "{}", id.escape_ascii());
    }
}

#[test]
fn numbers_counted_through_over_two_binds_are_refused() {
    let ad = "【测试】周末全场五折，满300减50，点击 shop.example.cn 选购，会员专享。回T退订";
    let code = "【测试】验证码 482913，五分钟内有效，请勿告诉他人。";
    let text = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let to = |n: u64| (8_613_800_130_000 + n * 7).to_string();
    for (sent, expected) in [(text(ad), CommandStatus::ESME_RSUBMITFAIL), (text(code), OK)] {
        let mut modes = Modes::default();
        // Nobody consented to anything here.
        modes.set(Rule::ConsentMissing, Mode::Off).expect("may be off");
        modes.set(Rule::LedgerUnavailable, Mode::Off).expect("may be off");
        let knowledge = Knowledge { modes, ..knowledge(UnknownCommand::Refuse, 100) };
        let mut binds = [0, 1].map(|_| bound(&knowledge, Command::BindTransmitter));
        for n in 0..64 {
            let frame = message(n, to(u64::from(n)).as_bytes(), &sent);
            let session = &mut binds[n as usize % 2];
            let (cleared, replies) = give(session, &knowledge, &frame, 1);
            let status = statuses(&replies).first().map_or(OK, |(_, status)| *status);
            assert_eq!(status, if n < 31 { OK } else { expected }, "message {n}");
            assert_eq!(cleared.is_empty(), !status.is_ok());
            relay(session, &bare(Command::SubmitSm.response_id(), OK, n), 1);
        }
    }
}

const OK: CommandStatus = CommandStatus::ESME_ROK;

/// A message in UCS2.
fn message(sequence: u32, destination: &[u8], short_message: &[u8]) -> Vec<u8> {
    message_from(OURS, sequence, destination, short_message)
}

fn message_from(source: &[u8], sequence: u32, destination: &[u8], short_message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let address = |value| WireAddress { ton: 0, npi: 1, value };
    let fields = MessageFields {
        source: address(source),
        destination: address(destination),
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message,
    };
    write::message(&mut out, Command::SubmitSm, sequence, fields, |_| {});
    out
}

fn statuses(replies: &[u8]) -> Vec<(u32, CommandStatus)> {
    replies
        .chunks(16)
        .filter_map(Header::of)
        .map(|header| (header.sequence_number, header.command_status))
        .collect()
}

/// What is done with a bare frame of a command: `+` goes on, `.` swallowed, `a` answered here, `b`
/// ESME_RINVBNDSTS, `c` ESME_RINVCMDID, `m` a malformed body that is refused, `r` ESME_RALYBND.
fn fate(session: &mut Session, knowledge: &Knowledge, command: Command) -> char {
    let frame = bare(command.id(), CommandStatus::ESME_ROK, 9);
    let (cleared, replies) = give(session, knowledge, &frame, 1);
    if cleared == frame && replies.is_empty() {
        return '+';
    }
    assert!(cleared.is_empty(), "{command}: other octets than came went on");
    match statuses(&replies).as_slice() {
        [] => '.',
        [(9, CommandStatus::ESME_ROK)] => 'a',
        [(9, CommandStatus::ESME_RINVBNDSTS)] => 'b',
        [(9, CommandStatus::ESME_RINVCMDID)] => 'c',
        [(9, CommandStatus::ESME_RALYBND)] => 'r',
        [(9, _)] => 'm',
        other => panic!("{command} was answered {other:?}"),
    }
}

#[test]
fn every_command_has_its_place_in_every_state() {
    let refuse = knowledge(UnknownCommand::Refuse, 100);
    let forward = knowledge(UnknownCommand::Forward, 100);
    // Columns: open, binding, bound as transmitter, receiver, transceiver, unbinding.
    let rows = [
        (Command::BindReceiver, "mrrrrr"),
        (Command::BindTransmitter, "mrrrrr"),
        (Command::BindTransceiver, "mrrrrr"),
        (Command::Outbind, "cccccc"),
        (Command::SubmitSm, "bbmbmb"),
        (Command::DataSm, "bbmbmb"),
        (Command::QuerySm, "bbmbmb"),
        (Command::CancelSm, "bbmbmb"),
        (Command::SubmitMulti, "bbmbmb"),
        (Command::ReplaceSm, "bbmbmb"),
        (Command::BroadcastSm, "bbmbmb"),
        (Command::QueryBroadcastSm, "bbmbmb"),
        (Command::CancelBroadcastSm, "bbmbmb"),
        (Command::DeliverSm, "cccccc"),
        (Command::AlertNotification, "cccccc"),
        (Command::EnquireLink, "a+++++"),
        (Command::Unbind, "a+++++"),
        (Command::DeliverSmResp, ".+++++"),
        (Command::DataSmResp, ".+++++"),
        (Command::EnquireLinkResp, ".+++++"),
        (Command::UnbindResp, ".+++++"),
        (Command::GenericNack, ".+++++"),
        (Command::BindReceiverResp, "......"),
        (Command::BindTransmitterResp, "......"),
        (Command::BindTransceiverResp, "......"),
        (Command::SubmitSmResp, "......"),
        (Command::SubmitMultiResp, "......"),
        (Command::QuerySmResp, "......"),
        (Command::ReplaceSmResp, "......"),
        (Command::CancelSmResp, "......"),
        (Command::BroadcastSmResp, "......"),
        (Command::QueryBroadcastSmResp, "......"),
        (Command::CancelBroadcastSmResp, "......"),
    ];
    assert_eq!(rows.len(), Command::ALL.len(), "every command has a row");
    let sessions: [fn(&Knowledge) -> Session; 6] = [
        |_| open(),
        |k| binding(k, Command::BindTransmitter),
        |k| bound(k, Command::BindTransmitter),
        |k| bound(k, Command::BindReceiver),
        |k| bound(k, Command::BindTransceiver),
        |k| {
            let mut session = bound(k, Command::BindTransceiver);
            give(&mut session, k, &bare(Command::Unbind.id(), CommandStatus::ESME_ROK, 5), 0);
            assert_eq!(session.state(), BindState::Unbinding);
            session
        },
    ];
    let check = |knowledge: &Knowledge, command: Command, expected: &str| {
        let found: String =
            sessions.iter().map(|make| fate(&mut make(knowledge), knowledge, command)).collect();
        assert_eq!(found, expected, "{command}");
    };
    for (command, expected) in rows {
        check(&refuse, command, expected);
    }
    check(&refuse, Command::Unknown(0x0001_0001), "cccccc");
    check(&refuse, Command::Unknown(0x8001_0001), "......");
    check(&forward, Command::Unknown(0x0001_0001), "c+++++");
}

#[test]
fn everything_from_the_smsc_crosses_as_it_came() {
    let knowledge = &*REFUSING;
    for command in Command::ALL.iter().copied().chain([Command::Unknown(0x0001_0001)]) {
        let mut session = bound(knowledge, Command::BindTransceiver);
        let frame = bare(command.id(), CommandStatus::ESME_RSYSERR, 3);
        assert_eq!(relay(&mut session, &frame, 1), frame, "{command}");
    }
}

#[test]
fn a_message_behind_its_bind_in_one_write_is_too_early() {
    let knowledge = &*REFUSING;
    let mut session = open();
    let both = [bind(Command::BindTransmitter), submit(2, OURS)].concat();
    let (cleared, replies) = give(&mut session, knowledge, &both, 0);
    assert_eq!(cleared, bind(Command::BindTransmitter));
    assert_eq!(statuses(&replies), [(2, CommandStatus::ESME_RINVBNDSTS)]);
}

#[test]
fn what_cannot_be_recorded_is_answered_so_that_it_is_sent_again() {
    let knowledge = &*REFUSING;
    let mut session = bound(knowledge, Command::BindTransceiver);
    let enquire = bare(Command::EnquireLink.id(), CommandStatus::ESME_ROK, 4);
    let batch = [submit(2, OURS), submit(3, b"106911119999"), enquire.clone()].concat();
    session.receive(Side::Esme, &batch, at(1));
    assert!(session.judge(knowledge, &mut Desk::default(), &mut |_, _| {}, at(1)));
    assert_eq!(session.cleared().count(), 0, "nothing goes on before its record is accepted");
    // The journal may fail turns later, when the counts of this turn were shown long ago.
    assert_eq!(session.tally().passed, 0, "nothing has passed before its record is accepted");
    session.tally().clear();
    session.unrecorded(knowledge);
    assert_eq!(session.tally().passed, 0);
    let cleared: Vec<u8> = session.cleared().flat_map(|one| one.octets().to_vec()).collect();
    assert_eq!(cleared, enquire, "what carries no text crosses all the same");
    let mut replies = Vec::new();
    session.take_replies(&mut replies);
    let full = CommandStatus::ESME_RMSGQFUL;
    assert_eq!(statuses(&replies), [(2, full), (3, full)]);
    assert_eq!(session.open_requests(), 0);
}

#[test]
fn what_is_counted_is_what_became_of_it() {
    let knowledge = &*REFUSING;
    let mut session = binding(knowledge, Command::BindReceiver);
    assert_eq!(session.tally().bind, None, "nobody has answered the bind yet");
    let refused = CommandStatus::ESME_RINVPASWD;
    relay(&mut session, &bare(Command::BindReceiverResp.id(), refused, 1), 0);
    assert_eq!(session.tally().bind, Some((Command::BindReceiver, refused)));

    let mut session = bound(knowledge, Command::BindTransceiver);
    give(&mut session, knowledge, &[submit(2, OURS), submit(3, b"")].concat(), 1);
    let tally = session.tally();
    let missing = usize::from(consentry::policy::Rule::SourceMissing.code());
    assert_eq!((tally.passed, tally.refused[missing]), (1, 1));

    let lost = [0, 0, 0, 15, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9];
    give(&mut session, knowledge, &lost, 2);
    let fault = FrameFault::TooShort(15);
    assert_eq!(session.tally().lost_framing, Some((Side::Esme, fault)));
    session.tally().clear();
    let mut session = bound(knowledge, Command::BindTransceiver);
    relay(&mut session, &lost, 2);
    assert_eq!(session.tally().lost_framing, Some((Side::Smsc, fault)));
    session.tally().clear();
    relay(&mut session, b"", 3);
    assert_eq!(session.tally().lost_framing, None, "counted once");
}

#[test]
fn each_frame_of_a_batch_is_told_with_its_fate() {
    let enquire = bare(Command::EnquireLink.id(), CommandStatus::ESME_ROK, 3);
    let frames = [submit(2, OURS), enquire, submit(4, b"106911119999"), submit(5, b"")];
    let refused = |rule| Fate::Refused(Some(rule));
    let recorded = [
        Fate::Passed(None),
        Fate::Unjudged,
        refused(Rule::SourceForged),
        refused(Rule::SourceMissing),
    ];
    let unavailable = refused(Rule::AuditUnavailable);
    let unrecorded = [unavailable, Fate::Unjudged, unavailable, unavailable];
    for (is_recorded, fates) in [(true, recorded), (false, unrecorded)] {
        let knowledge = &*REFUSING;
        let mut session = bound(knowledge, Command::BindTransmitter);
        session.receive(Side::Esme, &frames.concat(), at(1));
        assert!(session.judge(knowledge, &mut Desk::default(), &mut |_, _| {}, at(1)));
        assert_eq!(session.decided().count(), 0, "nothing is told before it is recorded");
        if is_recorded {
            session.recorded();
        } else {
            session.unrecorded(knowledge);
        }
        let told: Vec<_> = session.decided().map(|(frame, fate)| (frame.to_vec(), fate)).collect();
        let expected: Vec<_> = frames.iter().cloned().zip(fates).collect();
        assert_eq!(told, expected);
        session.release();
        assert_eq!(session.decided().count(), 0);
    }
}

#[test]
fn a_full_window_waits_for_answers_and_then_goes_on() {
    let knowledge = knowledge(UnknownCommand::Refuse, 2);
    let mut session = bound(&knowledge, Command::BindTransceiver);
    let three: Vec<u8> = (2..5).flat_map(|n| submit(n, OURS)).collect();
    let (cleared, _) = give(&mut session, &knowledge, &three, 1);
    assert_eq!(cleared, [submit(2, OURS), submit(3, OURS)].concat());
    let answer = bare(Command::SubmitSmResp.id(), CommandStatus::ESME_ROK, 3);
    assert_eq!(relay(&mut session, &answer, 2), answer, "out of order");
    let (cleared, _) = give(&mut session, &knowledge, b"", 2);
    assert_eq!(cleared, submit(4, OURS));
}

#[test]
fn a_window_has_no_room_for_more_operations_either() {
    let knowledge = knowledge(UnknownCommand::Refuse, 2);
    let mut session = bound(&knowledge, Command::BindTransceiver);
    let query = |sequence| {
        let mut out = Vec::new();
        write::pdu(&mut out, Command::QuerySm.id(), CommandStatus::ESME_ROK, sequence, |out| {
            write::c_octets(out, b"id");
            write::address(out, WireAddress { ton: 0, npi: 1, value: OURS });
        });
        out
    };
    let all: Vec<u8> = (2..6).flat_map(query).collect();
    let (cleared, _) = give(&mut session, &knowledge, &all, 1);
    assert_eq!((cleared, session.open_requests()), ([query(2), query(3)].concat(), 2));
}

#[test]
fn a_refusal_is_heard_whatever_stands_beside_its_text() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (cache_octets, warm, silent_after_us, on_sync) = (CACHE_OCTETS_MIN, false, 1, None);
    let options = consent::Options { cache_octets, warm, silent_after_us, on_sync };
    let ledger = Ledger::open(folder.path(), options).expect("a ledger");
    let entities = vec![ledger.entity("测试有限公司").expect("a number for it")];
    let knowledge = Knowledge {
        parties: Parties { entities, scopes: Vec::new() },
        ..knowledge(UnknownCommand::Refuse, 2)
    };
    let sar = |reference: &'static [u8], total, number| {
        move |out: &mut Vec<u8>| {
            write::tlv(out, Tag::SAR_MSG_REF_NUM, reference);
            write::tlv(out, Tag::SAR_TOTAL_SEGMENTS, &[total]);
            write::tlv(out, Tag::SAR_SEGMENT_SEQNUM, &[number]);
        }
    };
    let deliver = |esm_class, short_message, tlvs: &dyn Fn(&mut Vec<u8>)| {
        let address = |value| WireAddress { ton: 1, npi: 1, value };
        let (source, destination) = (address(b"8613800138000"), address(OURS));
        let (registered_delivery, data_coding) = (0, 0);
        let fields = MessageFields {
            source,
            destination,
            esm_class,
            registered_delivery,
            data_coding,
            short_message,
        };
        let mut out = Vec::new();
        write::message(&mut out, Command::DeliverSm, 1, fields, |out| tlvs(out));
        out
    };
    let alone = |out: &mut Vec<u8>| write::tlv(out, Tag::SAR_MSG_REF_NUM, &[0, 7]);
    for (case, pdu, is_heard) in [
        ("a text alone", deliver(0, b"TD", &|_| {}), true),
        ("one part of one", deliver(0, b"TD", &sar(&[0, 1], 1, 1)), true),
        ("a reference and no numbers", deliver(0, b"TD", &alone), true),
        ("part three of two", deliver(0, b"TD", &sar(&[0, 2], 2, 3)), true),
        ("part nought of two", deliver(0x40, b"\x05\x00\x03\x07\x02\x00TD", &|_| {}), true),
        ("the beginning of more", deliver(0, b"TD", &sar(&[0, 3], 2, 1)), false),
        ("a receipt", deliver(4, b"TD", &|_| {}), false),
    ] {
        let mut session = bound(&knowledge, Command::BindTransceiver);
        session.receive(Side::Smsc, &pdu, at(1));
        let mut out = Vec::new();
        session.relay(&knowledge, &mut Desk::default(), &mut out, at(1));
        assert_eq!((session.heard().0.len() == 1, out.is_empty()), (is_heard, is_heard), "{case}");
        session.heeded();
        session.relay(&knowledge, &mut Desk::default(), &mut out, at(1));
        assert_eq!(out, pdu, "{case}");
    }
}

#[test]
fn parameters_that_two_peers_read_differently_do_not_cross() {
    let knowledge = &*REFUSING;
    let vendor = Tag(0x1401);
    let many: Vec<(Tag, &[u8])> = (0..65).map(|at| (Tag(0x1400 + at), &b"1"[..])).collect();
    let cases: &[(&str, &[(Tag, &[u8])], CommandStatus)] = &[
        ("one", &[(vendor, b"1")], CommandStatus::ESME_ROK),
        ("as many as there may be", &many[1..], CommandStatus::ESME_ROK),
        ("one too many", &many, CommandStatus::ESME_RINVOPTPARSTREAM),
        ("twice", &[(vendor, b"1"), (vendor, b"1")], CommandStatus::ESME_ROPTPARNOTALLWD),
        ("too short", &[(Tag::USER_MESSAGE_REFERENCE, b"1")], CommandStatus::ESME_RINVPARLEN),
    ];
    for (case, parameters, expected) in cases {
        let tlvs = |out: &mut Vec<u8>| {
            parameters.iter().for_each(|(tag, value)| write::tlv(out, *tag, value));
        };
        let (mut data_sm, mut query_sm) = (Vec::new(), Vec::new());
        let address = |value| WireAddress { ton: 0, npi: 1, value };
        let fields = MessageFields {
            source: address(OURS),
            destination: address(b"8613800138000"),
            esm_class: 0,
            registered_delivery: 0,
            data_coding: 0,
            short_message: b"",
        };
        write::data_sm(&mut data_sm, 2, fields, |out| {
            tlvs(out);
            write::tlv(out, Tag::MESSAGE_PAYLOAD, b"text");
        });
        let (command, ok) = (Command::QuerySm.id(), CommandStatus::ESME_ROK);
        write::pdu(&mut query_sm, command, ok, 2, |out| {
            write::c_octets(out, b"id");
            write::address(out, address(OURS));
            tlvs(out);
        });
        // The text of a data_sm is a parameter too.
        let data_sm = (parameters.len() != 64).then_some(data_sm);
        for pdu in [Some(submit_with(2, OURS, tlvs)), data_sm, Some(query_sm)].iter().flatten() {
            let mut session = bound(knowledge, Command::BindTransceiver);
            let (cleared, replies) = give(&mut session, knowledge, pdu, 1);
            if expected.is_ok() {
                assert_eq!((&cleared, replies.len()), (pdu, 0), "{case}");
            } else {
                let refused = (cleared.len(), statuses(&replies));
                assert_eq!(refused, (0, vec![(2, *expected)]), "{case}");
            }
        }
    }
}

/// Codes of several purposes and no consent ledger; statuses tell each cause.
fn purposes() -> Knowledge {
    let text = "[[provider]]\nname = \"测试有限公司\"\nsystem_ids = [\"t\"]\nidentity = \"verified\"\n\
         licence = { number = \"1\", valid_until = 2099-12-31 }\n\
         [[provider.code]]\nnumber = \"106900001234\"\n\
         [[provider.code]]\nnumber = \"106900005678\"\npurpose = \"commercial\"\n\
         [[provider.code]]\nnumber = \"106900007777\"\nbinary = true\n";
    let registry = consentry::registry::parse(text, "registry.toml").expect("a registry");
    let modes = Modes::default();
    let reader = Reader::built_in().expect("weights");
    let texts = Texts::new(reader, Default::default(), Vec::new(), &modes);
    Knowledge {
        statuses: Statuses::new(StatusStyle::Precise),
        ..Knowledge::new(registry, texts, modes)
    }
}

fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

const ADVERTISING: &str = "【测试】全场五折，拒收请回复R";

#[test]
fn what_needs_consent_goes_out_soon_or_not_at_all() {
    let knowledge = purposes();
    let advertising = ucs2(ADVERTISING);
    let submit = |source: &[u8], schedule: &[u8], validity: &[u8]| {
        let mut out = Vec::new();
        let (id, ok) = (Command::SubmitSm.id(), CommandStatus::ESME_ROK);
        write::pdu(&mut out, id, ok, 2, |body| {
            write::c_octets(body, b"");
            write::address(body, WireAddress { ton: 0, npi: 1, value: source });
            write::address(body, WireAddress { ton: 0, npi: 1, value: b"8613800138000" });
            body.extend_from_slice(&[0, 0, 0]);
            write::c_octets(body, schedule);
            write::c_octets(body, validity);
            body.extend_from_slice(&[0, 0, 8, 0, advertising.len() as u8]);
            body.extend_from_slice(&advertising);
        });
        out
    };
    let data_sm = |seconds: u32| {
        let mut out = Vec::new();
        let fields = MessageFields {
            source: WireAddress { ton: 0, npi: 1, value: b"106900005678" },
            destination: WireAddress { ton: 0, npi: 1, value: b"8613800138000" },
            esm_class: 0,
            registered_delivery: 0,
            data_coding: 8,
            short_message: b"",
        };
        write::data_sm(&mut out, 2, fields, |out| {
            write::tlv(out, Tag::QOS_TIME_TO_LIVE, &seconds.to_be_bytes());
            write::tlv(out, Tag::MESSAGE_PAYLOAD, &advertising);
        });
        out
    };
    let ours: &[u8] = b"106900005678";
    // Without a ledger, nobody knows of consent: what is not refused for its times may be sent again.
    let full = CommandStatus::ESME_RMSGQFUL;
    let (late, long) = (CommandStatus::ESME_RINVSCHED, CommandStatus::ESME_RINVEXPIRY);
    // It is 2026-09-21T14:13:21Z.
    let cases = [
        ("at once", submit(ours, b"", b""), full),
        ("in an hour", submit(ours, b"000000010000000R", b""), full),
        ("in an hour and a second", submit(ours, b"000000010001000R", b""), late),
        ("an hour later by the clock", submit(ours, b"260921151321000+", b""), full),
        ("a second after that", submit(ours, b"260921151322000+", b""), late),
        ("the same in Shanghai", submit(ours, b"260921231322032+", b""), late),
        ("for a day", submit(ours, b"", b"000001000000000R"), full),
        ("for more than a day", submit(ours, b"", b"000001000001000R"), long),
        ("until next year", submit(ours, b"", b"270921000000000+"), long),
        ("at no time", submit(ours, b"tomorrow", b""), late),
        ("until no time", submit(ours, b"", b"tomorrow"), long),
        ("data_sm for a day", data_sm(86_400), full),
        ("data_sm for more", data_sm(86_401), long),
    ];
    for (case, pdu, expected) in cases {
        let mut session = bound(&knowledge, Command::BindTransceiver);
        let (cleared, replies) = give(&mut session, &knowledge, &pdu, 1);
        assert_eq!((cleared.len(), statuses(&replies)), (0, vec![(2, expected)]), "{case}");
    }
}

#[test]
fn what_is_no_plain_text_is_refused_by_its_form() {
    let knowledge = purposes();
    let advertising = ucs2(ADVERTISING);
    let code = ucs2("【测试】验证码123456，五分钟内有效。");
    let (data, port) = (&b"\xff\xfe\xfd\x01"[..], &b"\x06\x05\x04\x0b\x84\x23\xf0\xff\xfe\x01"[..]);
    let full = CommandStatus::ESME_RMSGQFUL;
    let (binary, display) = (CommandStatus(0x042f), CommandStatus(0x0430));
    let undecodable = CommandStatus(0x0426);
    let cases: &[(&str, &[u8], u8, u8, &[u8], CommandStatus)] = &[
        // Without a ledger, nobody knows of consent.
        ("advertising", b"106900005678", 0, 8, &advertising, full),
        ("advertising that flashes", b"106900005678", 0, 0x18, &advertising, display),
        ("advertising to the SIM", b"106900005678", 0, 0x1a, &advertising, display),
        ("advertising with a lamp", b"106900005678", 0, 0xe8, &advertising, display),
        ("a code that flashes", OURS, 0, 0x18, &code, CommandStatus::ESME_ROK),
        ("data", OURS, 0, 4, data, binary),
        ("data in another group", OURS, 0, 0xf5, data, binary),
        ("data from a code for data", b"106900007777", 0, 4, data, CommandStatus::ESME_ROK),
        ("data to a port", b"106900007777", 0x40, 4, port, CommandStatus::ESME_ROK),
        ("the same elsewhere", OURS, 0x40, 4, port, CommandStatus::ESME_RINVESMCLASS),
        ("a text as data", b"106900007777", 0, 4, b"click here", undecodable),
    ];
    for (case, source, esm_class, data_coding, short_message, expected) in cases {
        let address = |value| WireAddress { ton: 0, npi: 1, value };
        let fields = MessageFields {
            source: address(source),
            destination: address(b"8613800138000"),
            esm_class: *esm_class,
            registered_delivery: 0,
            data_coding: *data_coding,
            short_message,
        };
        let mut pdu = Vec::new();
        write::message(&mut pdu, Command::SubmitSm, 2, fields, |_| {});
        let mut session = bound(&knowledge, Command::BindTransceiver);
        let (cleared, replies) = give(&mut session, &knowledge, &pdu, 1);
        let refused: Vec<_> = if expected.is_ok() { vec![] } else { vec![(2, *expected)] };
        assert_eq!((cleared == pdu, statuses(&replies)), (expected.is_ok(), refused), "{case}");
    }
}

#[test]
fn a_part_that_came_too_fast_may_be_sent_again() {
    let knowledge = rated_knowledge(UnknownCommand::Refuse, 100, "rate = 1");
    let mut session = bound(&knowledge, Command::BindTransceiver);
    let (cleared, _) = give(&mut session, &knowledge, &submit(2, OURS), 1);
    assert_eq!(cleared, submit(2, OURS));
    let (cleared, replies) = give(&mut session, &knowledge, &part(3, 1), 1);
    assert!(cleared.is_empty());
    assert_eq!(statuses(&replies), [(3, CommandStatus::ESME_RTHROTTLED)]);
    for (sequence, number) in [(4, 1), (5, 2)] {
        let (cleared, replies) = give(&mut session, &knowledge, &part(sequence, number), 9);
        assert_eq!(statuses(&replies), [], "part {number}");
        assert_eq!(cleared, part(sequence, number));
    }
}

#[test]
fn waits_end_in_the_right_way() {
    let knowledge = &*REFUSING;
    let mut never = open();
    never.tick(at(29));
    assert_eq!(never.ending(), None);
    never.tick(at(30));
    assert_eq!(never.ending(), Some(EndReason::BindTimeout));

    let mut idle = bound(knowledge, Command::BindReceiver);
    idle.tick(at(600));
    assert_eq!(idle.ending(), Some(EndReason::Idle));

    let mut silent = bound(knowledge, Command::BindTransceiver);
    give(&mut silent, knowledge, &submit(2, OURS), 1);
    assert_eq!(silent.next_deadline_us(), 61 * SECOND);
    silent.tick(at(61));
    assert_eq!(silent.ending(), Some(EndReason::SmscSilent));

    // What is not heard because of us is no silence: the time begins anew behind it.
    let mut unheard = bound(knowledge, Command::BindTransceiver);
    give(&mut unheard, knowledge, &submit(2, OURS), 1);
    unheard.hold_smsc(true, at(20));
    assert_eq!((unheard.owed_since_us(), unheard.next_deadline_us()), (None, 601 * SECOND));
    unheard.tick(at(200));
    assert_eq!((unheard.ending(), unheard.open_requests()), (None, 1));
    unheard.hold_smsc(false, at(210));
    assert_eq!(unheard.owed_since_us(), Some(210 * SECOND));
    assert_eq!(unheard.next_deadline_us(), 270 * SECOND);
    unheard.tick(at(269));
    assert_eq!((unheard.ending(), unheard.open_requests()), (None, 1));
    unheard.tick(at(270));
    assert_eq!(unheard.ending(), Some(EndReason::SmscSilent));

    // One answer lost among others costs one slot and not the session.
    let mut lossy = bound(knowledge, Command::BindTransceiver);
    give(&mut lossy, knowledge, &submit(2, OURS), 1);
    give(&mut lossy, knowledge, &submit(3, OURS), 30);
    relay(&mut lossy, &bare(Command::SubmitSmResp.id(), CommandStatus::ESME_ROK, 3), 40);
    lossy.tick(at(61));
    assert_eq!((lossy.ending(), lossy.open_requests()), (None, 0));
}

#[test]
fn a_session_that_drains_refuses_finishes_and_unbinds() {
    let knowledge = &*REFUSING;
    let mut session = bound(knowledge, Command::BindTransceiver);
    give(&mut session, knowledge, &submit(2, OURS), 1);
    session.drain();
    let (cleared, replies) = give(&mut session, knowledge, &submit(3, OURS), 1);
    assert_eq!((cleared.len(), statuses(&replies)), (0, vec![(3, CommandStatus::ESME_RTHROTTLED)]));
    assert!(!session.is_drained());
    relay(&mut session, &bare(Command::SubmitSmResp.id(), CommandStatus::ESME_ROK, 2), 2);
    assert!(session.is_drained());
    let mut to_esme = Vec::new();
    session.unbind(&mut to_esme);
    let to_smsc: Vec<u8> = session.cleared().flat_map(|one| one.octets().to_vec()).collect();
    session.release();
    assert_eq!(to_esme, to_smsc);
    let number = Header::of(&to_esme).map_or(0, |header| header.sequence_number);
    let answer = bare(Command::UnbindResp.id(), CommandStatus::ESME_ROK, number);
    assert!(relay(&mut session, &answer, 3).is_empty(), "the answer to our own unbind is ours");
    assert!(give(&mut session, knowledge, &answer, 3).0.is_empty());
    assert_eq!(session.ending(), Some(EndReason::Drained));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_octets_are_cut_the_outcome_is_one(
        sources in prop::collection::vec(prop::sample::select(vec![OURS, b"", b"1069111"]), 1..8),
        cuts in prop::collection::vec(0usize..600, 0..12),
    ) {
        let knowledge = &*REFUSING;
        let pdus: Vec<Vec<u8>> = (2..).zip(&sources).map(|(n, source)| submit(n, source)).collect();
        let all = pdus.concat();
        let mut at_once = bound(knowledge, Command::BindTransceiver);
        let expected = give(&mut at_once, knowledge, &all, 1);
        let passing = pdus.iter().zip(&sources).filter(|(_, source)| **source == OURS);
        prop_assert_eq!(&expected.0, &passing.flat_map(|(pdu, _)| pdu.clone()).collect::<Vec<u8>>());

        let mut edges: Vec<usize> = cuts.iter().map(|cut| cut % all.len()).collect();
        edges.extend([0, all.len()]);
        edges.sort_unstable();
        let mut in_pieces = bound(knowledge, Command::BindTransceiver);
        let mut found = (Vec::new(), Vec::new());
        for pair in edges.windows(2) {
            let (cleared, replies) = give(&mut in_pieces, knowledge, &all[pair[0]..pair[1]], 1);
            found.0.extend(cleared);
            found.1.extend(replies);
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_octet_changed_is_passed_as_it_is_or_answered(at in 0usize..70, value: u8) {
        let knowledge = &*REFUSING;
        let mut session = bound(knowledge, Command::BindTransceiver);
        let mut pdu = submit(2, OURS);
        let at = 4 + at % (pdu.len() - 4);
        pdu[at] = value;
        let (cleared, replies) = give(&mut session, knowledge, &pdu, 1);
        prop_assert!(cleared.is_empty() || cleared == pdu);
        prop_assert!(cleared.is_empty() || replies.is_empty());
    }
}

#[test]
fn content_is_recorded_once_a_message_of_those_that_it_is_to_be_of() {
    use KeepContent::{All, None, Ports};
    let check = |keep: KeepContent, frame: &[u8], expected: &[&[u8]]| {
        let content = Knowledge { content: keep, ..knowledge(UnknownCommand::Refuse, 100) };
        let mut session = bound(&content, Command::BindTransmitter);
        session.receive(Side::Esme, frame, at(1));
        assert!(session.judge(&content, &mut Desk::default(), &mut |_, _| {}, at(1)));
        let mut said = Vec::new();
        let mut verdicts = 0;
        for (_, record) in session.batch_records().iter() {
            match record {
                audit::Record::Content(record) => {
                    assert_eq!((record.session, record.sequence_number), (1, 2));
                    assert!(verdicts > 0, "the verdict stands before it");
                    said.push(record.octets.to_vec());
                }
                audit::Record::Verdict(_) => verdicts += 1,
                _ => {}
            }
        }
        assert_eq!(said, expected, "{keep:?}");
    };
    let ours = submit(2, OURS);
    let forged = submit(2, b"95588");
    check(None, &ours, &[]);
    check(Ports, &ours, &[b"text"]);
    check(All, &ours, &[b"text"]);
    check(Ports, &forged, &[]);
    check(All, &forged, &[b"text"]);
    let payload = submit_with(2, OURS, |out| write::tlv(out, Tag::MESSAGE_PAYLOAD, b"more"));
    // Two bodies are refused; the one that the specification reads first is kept.
    check(All, &payload, &[b"text"]);
    let mut multi = Vec::new();
    let address = |value| WireAddress { ton: 1, npi: 1, value };
    let fields = MessageFields {
        source: WireAddress { ton: 0, npi: 1, value: OURS },
        destination: address(b""),
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 0,
        short_message: b"to two",
    };
    let to = [address(b"8613800138000"), address(b"8613800138001")];
    write::submit_multi(&mut multi, 2, fields, &to.map(Destination::Sme), |_| {});
    check(Ports, &multi, &[b"to two"]);
}
