//! Long messages in mode `hold`: parts wait for each other, over all binds of a provider, and nobody
//! waits for ever.

use std::net::SocketAddr;

use consentry::consent::{self, CACHE_OCTETS_MIN, Ledger};
use consentry::content::{Prohibited, Reader};
use consentry::policy::{Consent, Modes, Standing, StandingState};
use consentry::registry;
use consentry::session::{
    Desk, HoldTimes, Joinings, Knowledge, LongMessages, Moment, Parties, Session, Side, Texts,
    Timeouts,
};
use consentry::smpp::message::WireAddress;
use consentry::smpp::tlv::Tag;
use consentry::smpp::write::{self, BindFields, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header};
use consentry::text::Options;
use consentry::text::joining::Limits;

const SECOND: u64 = 1_000_000;
const SERVICE: &[u8] = b"106900001234";
const COMMERCIAL: &[u8] = b"106900005678";
const DEADLINE: u64 = 60;
const SILENCE: u64 = 2;

const OK: CommandStatus = CommandStatus::ESME_ROK;
const REFUSED: CommandStatus = CommandStatus::ESME_RINVESMCLASS;
const FAILED: CommandStatus = CommandStatus::ESME_RSUBMITFAIL;

fn knowledge(limits: Limits) -> Knowledge {
    let text = "[[provider]]\nname = \"测试有限公司\"\nsystem_ids = [\"t\"]\nidentity = \"verified\"\n\
         licence = { number = \"1\", valid_until = 2099-12-31 }\n\
         [[provider.code]]\nnumber = \"106900001234\"\n\
         [[provider.code]]\nnumber = \"106900005678\"\npurpose = \"commercial\"\n";
    let registry = registry::parse(text, "registry.toml").expect("a registry");
    let modes = Modes::default();
    let prohibited = Prohibited::parse_all(&[("list", "赌博")]).expect("a list");
    let reader = Reader::built_in().expect("weights");
    let texts = Texts::new(reader, prohibited, Vec::new(), &modes);
    Knowledge {
        long_messages: LongMessages::Hold(HoldTimes {
            deadline_us: DEADLINE * SECOND,
            silence_us: SILENCE * SECOND,
        }),
        joinings: Joinings::new(1, limits),
        window_requests_max: 8,
        ..Knowledge::new(registry, texts, modes)
    }
}

fn at(seconds: u64) -> Moment {
    Moment { wall_us: (1_790_000_000 + seconds) * SECOND, steady_us: seconds * SECOND }
}

/// One bind of the provider, and who judges it.
struct Bind<'a> {
    session: Session,
    knowledge: &'a Knowledge,
    standing: Standing,
    asked: usize,
}

/// What went on, by sequence_number, and what was answered.
type Outcome = (Vec<u32>, Vec<(u32, CommandStatus)>);

impl Bind<'_> {
    fn new(knowledge: &Knowledge) -> Bind<'_> {
        let timeouts =
            Timeouts { bind_us: 30 * SECOND, idle_us: 600 * SECOND, response_us: 60 * SECOND };
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let session = Session::new(1, peer, "test", timeouts, Options::default(), at(0));
        let standing = Standing { state: StandingState::None, ..Standing::NONE };
        let mut bind = Bind { session, knowledge, standing, asked: 0 };
        let mut pdu = Vec::new();
        let fields = BindFields {
            system_id: b"t",
            password: b"",
            system_type: b"",
            interface_version: 0x34,
        };
        write::bind(&mut pdu, Command::BindTransceiver, 1, fields);
        bind.give(&pdu, 0);
        bind.answer(Command::BindTransceiver, 1);
        bind
    }

    /// The SMSC takes a request.
    fn answer(&mut self, command: Command, sequence: u32) {
        let mut pdu = Vec::new();
        write::header_only(&mut pdu, command.response_id(), OK, sequence);
        self.session.receive(Side::Smsc, &pdu, at(0));
        self.session.relay(self.knowledge, &mut Desk::default(), &mut Vec::new(), at(0));
    }

    fn judge(&mut self, s: u64) -> bool {
        let (standing, asked) = (self.standing, &mut self.asked);
        let mut ask = |questions: &[consent::Question], answers: &mut Vec<Consent>| {
            *asked += questions.len();
            answers.extend(questions.iter().map(|_| Consent::Known(standing)));
        };
        self.session.judge(self.knowledge, &mut Desk::default(), &mut ask, at(s))
    }

    /// Octets from the ESME at that second; all that follows, recorded at once.
    fn give(&mut self, octets: &[u8], s: u64) -> Outcome {
        self.session.receive(Side::Esme, octets, at(s));
        let (mut cleared, mut replies) = (Vec::new(), Vec::new());
        while self.judge(s) {
            self.session.recorded();
            self.session.cleared().for_each(|one| cleared.extend_from_slice(one.octets()));
            self.session.take_replies(&mut replies);
            self.session.release();
        }
        let headers = |mut octets: &[u8]| {
            let mut headers = Vec::new();
            while let Some(header) = Header::of(octets) {
                headers.push(header);
                octets = &octets[header.command_length as usize..];
            }
            headers
        };
        let cleared = headers(&cleared).iter().map(|header| header.sequence_number).collect();
        let replies = headers(&replies);
        (cleared, replies.iter().map(|h| (h.sequence_number, h.command_status)).collect())
    }

    /// Time passes.
    fn wait(&mut self, s: u64) -> Outcome {
        self.give(&[], s)
    }

    fn takes_all(&mut self, outcome: &Outcome) {
        outcome.0.iter().for_each(|sequence| self.answer(Command::SubmitSm, *sequence));
    }
}

fn message(source: &[u8], sequence: u32, text: &str, part: Option<(u8, u8, u8)>) -> Vec<u8> {
    let mut pdu = Vec::new();
    let address = |value| WireAddress { ton: 0, npi: 1, value };
    let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let fields = MessageFields {
        source: address(source),
        destination: address(b"8613800138000"),
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: &text,
    };
    write::message(&mut pdu, Command::SubmitSm, sequence, fields, |out| {
        if let Some((reference, total, number)) = part {
            write::tlv(out, Tag::SAR_MSG_REF_NUM, &[0, reference]);
            write::tlv(out, Tag::SAR_TOTAL_SEGMENTS, &[total]);
            write::tlv(out, Tag::SAR_SEGMENT_SEQNUM, &[number]);
        }
    });
    pdu
}

/// A part of a notification, or, where `listed`, of a text with a listed word across the border.
fn part(sequence: u32, reference: u8, number: u8, listed: bool) -> Vec<u8> {
    let texts = if listed {
        ["【测试】您的订单已发货，今晚有赌", "博，请查收。"]
    } else {
        ["【测试】您的订单已发货，", "请注意查收。"]
    };
    message(SERVICE, sequence, texts[usize::from(number) - 1], Some((reference, 2, number)))
}

fn nothing() -> Outcome {
    (vec![], vec![])
}

fn passed(sequences: &[u32]) -> Outcome {
    (sequences.to_vec(), vec![])
}

fn refused(answers: &[(u32, CommandStatus)]) -> Outcome {
    (vec![], answers.to_vec())
}

#[test]
fn parts_wait_for_each_other_and_go_on_in_order() {
    let mut knowledge = knowledge(Limits::default());
    let cases: [(&str, &[Vec<u8>], Outcome); 6] = [
        ("in order", &[part(2, 1, 1, false), part(3, 1, 2, false)], passed(&[2, 3])),
        ("backwards", &[part(2, 1, 2, false), part(3, 1, 1, false)], passed(&[3, 2])),
        (
            "a word across the border",
            &[part(2, 1, 1, true), part(3, 1, 2, true)],
            refused(&[(2, FAILED), (3, REFUSED)]),
        ),
        (
            "a part sent again meanwhile",
            &[part(2, 1, 1, false), part(3, 1, 1, false), part(4, 1, 2, false)],
            passed(&[2, 3, 4]),
        ),
        (
            "a part sent again with other octets",
            &[part(2, 1, 1, false), part(3, 1, 1, true)],
            refused(&[(3, REFUSED), (2, REFUSED)]),
        ),
        (
            "two messages in turn",
            &[
                part(2, 1, 1, false),
                part(3, 2, 1, false),
                part(4, 2, 2, false),
                part(5, 1, 2, true),
            ],
            // A word is listed only where it is whole.
            passed(&[3, 4, 2, 5]),
        ),
    ];
    for (name, parts, expected) in cases {
        knowledge.joinings = Joinings::new(1, Limits::default());
        let mut bind = Bind::new(&knowledge);
        let mut found = bind.give(&parts.concat(), 1);
        if name == "two messages in turn" {
            // What is complete at once goes on by its first part.
            assert_eq!(found.0, [2, 5, 3, 4]);
            found.0 = expected.0.clone();
        }
        assert_eq!(found, expected, "{name}, in one write");

        knowledge.joinings = Joinings::new(1, Limits::default());
        let mut bind = Bind::new(&knowledge);
        let (mut cleared, mut answers) = nothing();
        for (at, part) in parts.iter().enumerate() {
            let (more, replies) = bind.give(part, 1);
            assert!(at > 0 || more.is_empty() && replies.is_empty(), "{name}: the first waits");
            cleared.extend(more);
            answers.extend(replies);
        }
        assert_eq!((cleared, answers), expected, "{name}, one by one");
    }
}

#[test]
fn other_messages_do_not_wait() {
    let knowledge = knowledge(Limits::default());
    let mut bind = Bind::new(&knowledge);
    let other = message(SERVICE, 3, "【测试】您的订单已发货。", None);
    assert_eq!(bind.give(&[part(2, 1, 1, false), other].concat(), 1), passed(&[3]));
    assert_eq!(bind.session.held_parts(), 1);
    assert_eq!(bind.give(&part(4, 1, 2, false), 1), passed(&[2, 4]));
    assert_eq!(bind.session.held_parts(), 0);
}

#[test]
fn two_binds_with_half_a_message_each_do_not_wait_for_ever() {
    let mut knowledge = knowledge(Limits::default());
    for listed in [false, true] {
        knowledge.joinings = Joinings::new(1, Limits::default());
        let [mut one, mut other] = [0, 1].map(|_| Bind::new(&knowledge));
        assert_eq!(one.give(&part(2, 1, 1, listed), 1), nothing());
        assert!(!one.session.hold_has_news(&knowledge));
        let expected = if listed { refused(&[(9, FAILED)]) } else { passed(&[9]) };
        assert_eq!(other.give(&part(9, 1, 2, listed), 1), expected);
        assert!(one.session.hold_has_news(&knowledge), "the other bind made it complete");
        let expected = if listed { refused(&[(2, REFUSED)]) } else { passed(&[2]) };
        assert_eq!(one.wait(1), expected);
    }
}

#[test]
fn what_never_comes_is_waited_for_until_the_deadline() {
    let knowledge = knowledge(Limits::default());
    let mut bind = Bind::new(&knowledge);
    assert_eq!(bind.give(&part(2, 1, 1, false), 1), nothing());
    // The sender goes on with others, so it does not wait for an answer.
    for s in 2..=DEADLINE {
        let other = message(SERVICE, s as u32 + 10, "【测试】您的订单已发货。", None);
        let outcome = bind.give(&other, s);
        assert_eq!(outcome, passed(&[s as u32 + 10]), "second {s}");
        bind.takes_all(&outcome);
    }
    assert_eq!(bind.session.hold_deadline_us(), (1 + DEADLINE) * SECOND);
    assert_eq!(bind.wait(1 + DEADLINE), refused(&[(2, FAILED)]));
    assert_eq!(bind.give(&part(3, 1, 2, false), 62), refused(&[(3, REFUSED)]), "nor what follows");
}

#[test]
fn a_sender_that_waits_for_each_answer_gets_one() {
    let knowledge = knowledge(Limits::default());
    let mut bind = Bind::new(&knowledge);
    assert_eq!(bind.give(&part(2, 1, 1, false), 1), nothing());
    assert_eq!(bind.wait(SILENCE), nothing(), "a moment too early");
    let outcome = bind.wait(1 + SILENCE);
    assert_eq!(outcome, passed(&[2]));
    bind.takes_all(&outcome);
    // It is known by now: nothing waits any more.
    for (sequence, reference, number) in [(3, 1, 2), (4, 2, 1), (5, 2, 2)] {
        let outcome = bind.give(&part(sequence, reference, number, false), 4);
        assert_eq!(outcome, passed(&[sequence]));
        bind.takes_all(&outcome);
    }
    // Who sends on before the answer does not wait for it.
    let two = [part(6, 3, 1, false), part(7, 3, 2, false)].concat();
    assert_eq!(bind.give(&two, 5), passed(&[6, 7]));
    assert_eq!(bind.give(&part(8, 4, 1, false), 5), nothing());
}

#[test]
fn one_that_waits_for_answers_gets_no_listed_word_through_whole() {
    let knowledge = knowledge(Limits::default());
    let mut bind = Bind::new(&knowledge);
    bind.give(&part(2, 1, 1, true), 1);
    let outcome = bind.wait(1 + SILENCE);
    assert_eq!(outcome, passed(&[2]));
    bind.takes_all(&outcome);
    assert_eq!(bind.give(&part(3, 1, 2, true), 4), refused(&[(3, FAILED)]));
}

#[test]
fn consent_counts_as_it_stands_when_the_message_goes_on() {
    let mut knowledge = knowledge(Limits::default());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (cache_octets, warm, silent_after_us, on_sync) = (CACHE_OCTETS_MIN, false, 1, None);
    let options = consent::Options { cache_octets, warm, silent_after_us, on_sync };
    let ledger = Ledger::open(folder.path(), options).expect("a ledger");
    let entities = vec![ledger.entity("测试有限公司").expect("a number for it")];
    knowledge.parties = Parties { entities, scopes: Vec::new() };
    let granted = Standing {
        state: StandingState::Granted,
        review: consentry::policy::Review::Reviewed,
        ..Standing::NONE
    };
    let revoked = Standing { state: StandingState::Revoked, ..Standing::NONE };
    let ad = |sequence, number: u8| {
        let texts = ["【测试】周末全场五折，满300减50，", "会员专享。回T退订"];
        message(COMMERCIAL, sequence, texts[usize::from(number) - 1], Some((1, 2, number)))
    };
    for (then, expected) in
        [(granted, passed(&[2, 3])), (revoked, refused(&[(2, FAILED), (3, REFUSED)]))]
    {
        knowledge.joinings = Joinings::new(1, Limits::default());
        let mut bind = Bind::new(&knowledge);
        bind.standing = granted;
        assert_eq!(bind.give(&ad(2, 1), 1), nothing());
        assert_eq!(bind.asked, 0, "nothing is asked before the message is complete");
        bind.standing = then;
        assert_eq!(bind.give(&ad(3, 2), 1), expected);
    }
}

#[test]
fn what_waits_when_a_sender_goes_counts_as_never_come() {
    let knowledge = knowledge(Limits::default());
    let mut gone = Bind::new(&knowledge);
    gone.give(&part(2, 1, 1, false), 1);
    gone.session.let_go(&knowledge);
    let mut other = Bind::new(&knowledge);
    assert_eq!(other.give(&part(3, 1, 2, false), 1), nothing(), "the first part is with nobody");
    assert_eq!(other.give(&part(4, 1, 1, false), 1), passed(&[4, 3]));
}

#[test]
fn at_a_shutdown_and_at_an_unbind_nothing_is_left_waiting() {
    let knowledge = knowledge(Limits::default());
    let mut bind = Bind::new(&knowledge);
    bind.give(&part(2, 1, 1, false), 1);
    bind.session.drain();
    assert!(!bind.session.is_drained());
    assert_eq!(bind.wait(1), refused(&[(2, CommandStatus::ESME_RTHROTTLED)]));
    assert!(bind.session.is_drained());

    let mut bind = Bind::new(&knowledge);
    bind.give(&part(2, 2, 1, false), 1);
    let mut unbind = Vec::new();
    write::header_only(&mut unbind, Command::Unbind.id(), OK, 3);
    let expected = (vec![3], vec![(2, CommandStatus::ESME_RINVBNDSTS)]);
    assert_eq!(bind.give(&unbind, 1), expected);
}

#[test]
fn what_cannot_be_recorded_is_sent_again_as_a_whole() {
    let knowledge = knowledge(Limits::default());
    let mut bind = Bind::new(&knowledge);
    bind.give(&part(2, 1, 1, false), 1);
    bind.session.receive(Side::Esme, &part(3, 1, 2, false), at(1));
    assert!(bind.judge(1) && bind.session.batch_records().is_empty(), "put aside, in order");
    bind.session.recorded();
    bind.session.release();
    assert!(bind.judge(1) && bind.session.batch_records().len() == 2);
    bind.session.unrecorded(&knowledge);
    assert_eq!(bind.session.cleared().count(), 0);
    let mut replies = Vec::new();
    bind.session.take_replies(&mut replies);
    bind.session.release();
    let full = CommandStatus::ESME_RMSGQFUL;
    let answers: Vec<_> = replies.chunks(16).filter_map(Header::of).collect();
    assert!(answers.iter().all(|header| header.command_status == full) && answers.len() == 2);
    assert_eq!(bind.give(&part(4, 1, 1, false), 2), nothing());
    assert_eq!(bind.give(&part(5, 1, 2, false), 2), passed(&[4, 5]));
}

#[test]
fn parts_that_wait_count_against_the_window_and_the_limits() {
    let limits = Limits { parts_max: 4, messages_max: 9, ..Limits::default() };
    let knowledge = knowledge(limits);
    let mut bind = Bind::new(&knowledge);
    let many: Vec<u8> = (0..9).flat_map(|n| part(10 + n, n as u8, 1, false)).collect();
    assert_eq!(bind.give(&many, 1), nothing());
    assert_eq!(bind.session.held_parts(), 8, "the window is full");
    assert!(bind.session.waiting_from(Side::Esme) >= many.len(), "all of it counts as waiting");
    // It cannot send more, so it is silent: its parts are judged, each with what is known.
    let (cleared, answers) = bind.wait(1 + SILENCE);
    assert_eq!((cleared.len(), answers.len()), (8, 0));

    let mut other = Bind::new(&knowledge);
    let long = message(SERVICE, 2, "【测试】您的订单", Some((100, 5, 1)));
    assert_eq!(other.give(&long, 4), refused(&[(2, REFUSED)]), "more parts than may be");
}
