//! Parts of long messages that do not go on, or do not arrive, after others were read with them.

use consentry::content::Prohibited;
use consentry::policy::{Consent, Review, Standing, StandingState};
use consentry::session::{Batch, HoldTimes, LongMessages};
use consentry::smpp::response::Unsuccess;

use super::*;

const VICTIM: &[u8] = b"8613800138000";
const OTHER: &[u8] = b"8613800138002";
const THROTTLED: CommandStatus = CommandStatus::ESME_RTHROTTLED;
const REFUSED: CommandStatus = CommandStatus::ESME_RINVESMCLASS;
const FAILED: CommandStatus = CommandStatus::ESME_RSUBMITFAIL;
const HOLD: LongMessages =
    LongMessages::Hold(HoldTimes { deadline_us: 60 * SECOND, silence_us: 60 * SECOND });

/// `rate` is a line of the provider's table. One word is listed.
fn strict(rate: &str, long_messages: LongMessages) -> Knowledge {
    let text = format!(
        "[[provider]]\nname = \"测试有限公司\"\nsystem_ids = [\"t\"]\nidentity = \"verified\"\n\
         licence = {{ number = \"1\", valid_until = 2099-12-31 }}\n{rate}\n\
         [[provider.code]]\nnumber = \"106900001234\"\n"
    );
    let registry = consentry::registry::parse(&text, "registry.toml").expect("a registry");
    let modes = Modes::default();
    let list = Prohibited::parse_all(&[("list.txt", "# version 1\n代开发票\n")]).expect("a list");
    let texts = Texts::new(super::lookups::READER.clone(), list, Vec::new(), &modes);
    Knowledge { long_messages, ..Knowledge::new(registry, texts, modes) }
}

fn numbers(out: &mut Vec<u8>, number: u8) {
    write::tlv(out, Tag::SAR_MSG_REF_NUM, &[0, 7]);
    write::tlv(out, Tag::SAR_TOTAL_SEGMENTS, &[2]);
    write::tlv(out, Tag::SAR_SEGMENT_SEQNUM, &[number]);
}

/// Part `number` of two, to some.
fn part_to(sequence: u32, to: &[&[u8]], number: u8, text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let address = |value| WireAddress { ton: 0, npi: 1, value };
    let text = ucs2(text);
    let fields = MessageFields {
        source: address(OURS),
        destination: address(to[0]),
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: &text,
    };
    if let [_] = to {
        write::message(&mut out, Command::SubmitSm, sequence, fields, |out| numbers(out, number));
    } else {
        let to: Vec<_> = to.iter().map(|one| Destination::Sme(address(*one))).collect();
        write::submit_multi(&mut out, sequence, fields, &to, |out| numbers(out, number));
    }
    out
}

fn one(sequence: u32, number: u8, text: &str) -> Vec<u8> {
    part_to(sequence, &[VICTIM], number, text)
}

/// What went on, by sequence_number, and what was answered.
type Outcome = (Vec<u32>, Vec<(u32, CommandStatus)>);

fn send(session: &mut Session, knowledge: &Knowledge, octets: &[u8], s: u64) -> Outcome {
    let (cleared, replies) = give(session, knowledge, octets, s);
    let (mut rest, mut passed) = (cleared.as_slice(), Vec::new());
    while let Some(header) = Header::of(rest) {
        passed.push(header.sequence_number);
        rest = &rest[header.command_length as usize..];
    }
    (passed, statuses(&replies))
}

fn hears(session: &mut Session, knowledge: &Knowledge, octets: &[u8]) {
    session.receive(Side::Smsc, octets, at(1));
    session.relay(knowledge, &mut Desk::default(), &mut Vec::new(), at(1));
}

fn answered(session: &mut Session, knowledge: &Knowledge, sequence: u32, status: CommandStatus) {
    hears(session, knowledge, &bare(Command::SubmitSmResp.id(), status, sequence));
}

#[test]
fn no_part_goes_on_by_one_that_the_same_write_takes_back() {
    let no_address = CommandStatus::ESME_RINVDSTADR;
    let multi = |sequence| part_to(sequence, &[VICTIM, b"abc"], 1, "您的");
    let resent = [one(8, 1, "您的"), one(9, 2, "订单")].concat();
    let rows: [(&str, &str, Vec<Vec<u8>>, Outcome); 5] = [
        (
            "part 1 to one more, who is nobody",
            "",
            vec![multi(2), one(3, 2, "订单")],
            (vec![], vec![(2, no_address), (3, THROTTLED)]),
        ),
        (
            "part 1 too fast, part 2 in its extra second",
            "rate = 1",
            vec![submit(2, OURS), one(3, 1, "您的"), one(4, 2, "订单")],
            (vec![2], vec![(3, THROTTLED), (4, THROTTLED)]),
        ),
        (
            "the same, part 1 twice",
            "rate = 1",
            vec![submit(2, OURS), one(3, 1, "您的"), one(4, 1, "您的"), one(5, 2, "订单")],
            (vec![2], vec![(3, THROTTLED), (4, THROTTLED), (5, THROTTLED)]),
        ),
        (
            "another part 1 of the same reference behind them",
            "rate = 1",
            vec![submit(2, OURS), one(3, 1, "您的"), one(4, 2, "订单"), one(5, 1, "别的")],
            (vec![2], vec![(3, THROTTLED), (4, THROTTLED), (5, THROTTLED)]),
        ),
        (
            "two messages of one reference",
            "",
            vec![one(2, 1, "您的"), one(3, 2, "订单"), one(4, 1, "别的"), one(5, 2, "包裹")],
            (vec![2, 3, 4, 5], vec![]),
        ),
    ];
    for (case, rate, write, expected) in rows {
        for long_messages in [LongMessages::Progressive, HOLD] {
            let is_held = long_messages == HOLD;
            if is_held && (write[0] == multi(2) || write.len() == 4) {
                // A submit_multi does not wait; of one reference twice, parts contradict each other.
                continue;
            }
            let knowledge = strict(rate, long_messages);
            let mut session = bound(&knowledge, Command::BindTransceiver);
            let outcome = send(&mut session, &knowledge, &write.concat(), 1);
            assert_eq!(outcome, expected, "{case}, held: {is_held}");
            let passes = send(&mut session, &knowledge, &resent, 9);
            assert_eq!(passes, (vec![8, 9], vec![]), "{case}, sent again, held: {is_held}");
        }
    }
}

#[test]
fn what_is_forbidden_is_told_as_that_and_not_to_be_sent_again() {
    let knowledge = strict("rate = 1", LongMessages::Progressive);
    let mut session = bound(&knowledge, Command::BindTransceiver);
    let write = [submit(2, OURS), one(3, 1, "请看代开"), one(4, 2, "发票")].concat();
    let (passed, answers) = send(&mut session, &knowledge, &write, 1);
    assert_eq!(passed, [2]);
    assert!(matches!(answers[..], [(3, first), (4, FAILED)] if first.is_retried()), "{answers:?}");
}

#[test]
fn a_part_behind_an_unbind_is_none_for_those_over_other_binds() {
    let unbind = bare(Command::Unbind.id(), OK, 2);
    let too_late = (vec![2], vec![(3, CommandStatus::ESME_RINVBNDSTS)]);
    let after = |long_messages, first: &[Vec<u8>]| {
        let knowledge = strict("", long_messages);
        let [mut going, mut other] = [0, 1].map(|_| bound(&knowledge, Command::BindTransceiver));
        for octets in first {
            let outcome = send(&mut going, &knowledge, octets, 1);
            assert!(outcome == too_late || outcome == (vec![], vec![]), "{outcome:?}");
        }
        send(&mut other, &knowledge, &one(4, 2, "订单"), 1)
    };
    let early = (vec![], vec![(4, REFUSED)]);
    let both = [unbind.clone(), one(3, 1, "您的")].concat();
    assert_eq!(after(LongMessages::Progressive, &[both]), early);
    // Held before the unbind comes: then the rest waits for what is sent again.
    let waits = (vec![], vec![]);
    assert_eq!(after(HOLD, &[one(3, 1, "您的"), unbind]), waits);
}

#[test]
fn what_the_smsc_does_not_take_is_not_there() {
    let taken = |first: &[(u32, CommandStatus)]| {
        let knowledge = strict("", LongMessages::Progressive);
        let mut session = bound(&knowledge, Command::BindTransceiver);
        for &(sequence, _) in first {
            let outcome = send(&mut session, &knowledge, &one(sequence, 1, "您的"), 1);
            assert_eq!(outcome, (vec![sequence], vec![]));
        }
        for &(sequence, status) in first {
            answered(&mut session, &knowledge, sequence, status);
        }
        // Another text in its place.
        send(&mut session, &knowledge, &one(9, 1, "别的"), 1)
    };
    let (passes, contradicts) = ((vec![9], vec![]), (vec![], vec![(9, REFUSED)]));
    let rows: [(&[(u32, CommandStatus)], &Outcome); 6] = [
        (&[(2, FAILED)], &passes),
        (&[(2, THROTTLED)], &passes),
        (&[(2, OK)], &contradicts),
        (&[(2, FAILED), (3, OK)], &contradicts),
        (&[(2, OK), (3, FAILED)], &contradicts),
        (&[(2, FAILED), (3, FAILED)], &passes),
    ];
    for (answers, expected) in rows {
        assert_eq!(&taken(answers), expected, "{answers:?}");
    }

    // What comes in its place is read with the part that is there.
    let knowledge = strict("", LongMessages::Progressive);
    let mut session = bound(&knowledge, Command::BindTransceiver);
    let both = [one(2, 1, "您的"), one(3, 2, "发票")].concat();
    assert_eq!(send(&mut session, &knowledge, &both, 1), (vec![2, 3], vec![]));
    answered(&mut session, &knowledge, 2, FAILED);
    let outcome = send(&mut session, &knowledge, &one(4, 1, "代开"), 1);
    assert_eq!(outcome, (vec![], vec![(4, FAILED)]), "a listed word over the border");
}

#[test]
fn where_parts_are_held_what_is_sent_again_completes_its_message() {
    for (again, expected) in [("您的", (vec![4], vec![])), ("代开", (vec![], vec![(4, FAILED)]))]
    {
        let knowledge = strict("", HOLD);
        let mut session = bound(&knowledge, Command::BindTransceiver);
        let both = [one(2, 1, "您的"), one(3, 2, "发票")].concat();
        assert_eq!(send(&mut session, &knowledge, &both, 1), (vec![2, 3], vec![]));
        answered(&mut session, &knowledge, 2, THROTTLED);
        assert_eq!(send(&mut session, &knowledge, &one(4, 1, again), 2), expected, "{again}");
    }
}

#[test]
fn of_a_submit_multi_those_parts_count_that_the_smsc_took() {
    let ok = |unsuccess: &[&[u8]]| {
        let (mut out, id) = (Vec::new(), Command::SubmitMulti.response_id());
        write::pdu(&mut out, id, OK, 2, |out| {
            write::c_octets(out, b"id");
            out.push(unsuccess.len() as u8);
            for value in unsuccess {
                let destination = WireAddress { ton: 1, npi: 1, value };
                write::unsuccess(out, Unsuccess { destination, status: FAILED });
            }
        });
        out
    };
    let refused = bare(Command::SubmitMulti.response_id(), FAILED, 2);
    for (answer, expected) in [
        (ok(&[]), [false, false]),
        (ok(&[VICTIM]), [true, false]),
        (ok(&[VICTIM, OTHER]), [true, true]),
        (refused, [true, true]),
    ] {
        let knowledge = strict("", LongMessages::Progressive);
        let mut session = bound(&knowledge, Command::BindTransceiver);
        let multi = part_to(2, &[VICTIM, OTHER], 1, "您的");
        assert_eq!(send(&mut session, &knowledge, &multi, 1), (vec![2], vec![]));
        hears(&mut session, &knowledge, &answer);
        let passes = [VICTIM, OTHER].map(|to| {
            let other_text = part_to(3, &[to], 1, "别的");
            send(&mut session, &knowledge, &other_text, 1) == (vec![3], vec![])
        });
        assert_eq!(passes, expected, "{}", answer.escape_ascii());
    }
}

#[test]
fn what_cannot_be_recorded_is_not_there() {
    for to in [&[VICTIM][..], &[VICTIM, OTHER]] {
        let knowledge = strict("", LongMessages::Progressive);
        let mut session = bound(&knowledge, Command::BindTransceiver);
        session.receive(Side::Esme, &part_to(2, to, 1, "您的"), at(1));
        assert!(session.judge(&knowledge, &mut Desk::default(), &mut |_, _| {}, at(1)));
        session.unrecorded(&knowledge);
        session.take_replies(&mut Vec::new());
        session.release();
        let outcome = send(&mut session, &knowledge, &one(3, 2, "订单"), 1);
        assert_eq!(outcome, (vec![], vec![(3, REFUSED)]), "to {}", to.len());
    }
}

#[test]
fn a_batch_that_waits_for_the_ledger_goes_by_what_was_taken_back_meanwhile() {
    for (status, expected) in
        [(OK, (vec![2, 3], vec![])), (FAILED, (vec![2], vec![(3, THROTTLED)]))]
    {
        let knowledge = super::lookups::usual();
        let [mut first, mut waits] = [0, 1].map(|_| bound(&knowledge, Command::BindTransceiver));
        let outcome = send(&mut first, &knowledge, &one(2, 1, "【测试】您的"), 1);
        assert_eq!(outcome, (vec![2], vec![]));
        let shop = b"106900005678";
        let ad = message_from(shop, 2, OTHER, &ucs2("【测试】周末全场五折，点击选购。拒收请回复R"));
        let both = [ad, one(3, 2, "验证码123456，五分钟内有效。")].concat();
        waits.receive(Side::Esme, &both, at(1));
        let granted =
            Standing { state: StandingState::Granted, review: Review::Reviewed, ..Standing::NONE };
        let mut desk = Desk::default();
        let mut judge = |session: &mut Session, answer: Consent| {
            let mut ask = |questions: &[consent::Question], answers: &mut Vec<Consent>| {
                answers.extend(questions.iter().map(|_| answer));
            };
            session.judge_or_wait(&knowledge, &mut desk, &mut ask, &mut |_| true, at(1))
        };
        assert_eq!(judge(&mut waits, Consent::Unavailable), Batch::Waits);
        answered(&mut first, &knowledge, 2, status);
        assert_eq!(judge(&mut waits, Consent::Known(granted)), Batch::UnderWay);
        waits.recorded();
        let cleared: Vec<u8> = waits.cleared().flat_map(|one| one.octets().to_vec()).collect();
        let mut replies = Vec::new();
        waits.take_replies(&mut replies);
        waits.release();
        let (mut rest, mut passed) = (cleared.as_slice(), Vec::new());
        while let Some(header) = Header::of(rest) {
            passed.push(header.sequence_number);
            rest = &rest[header.command_length as usize..];
        }
        assert_eq!((passed, statuses(&replies)), expected);
    }
}
