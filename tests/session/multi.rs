//! submit_multi through a session: each recipient judged and recorded on its own, refused to all or
//! narrowed to those that may get it, and what the ESME hears of the others.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use consentry::audit::Record;
use consentry::consent::{self, CACHE_OCTETS_MIN, Event, Ledger, Question};
use consentry::content::Reader;
use consentry::policy::{Consent, Modes, Review, Rule, Standing, StandingState};
use consentry::session::{
    Desk, Knowledge, LEFT_OUT_OCTETS_MAX, Moment, MultiPolicy, Parties, Session, Side, Texts,
    Timeouts,
};
use consentry::smpp::message::WireAddress;
use consentry::smpp::multi::{Destination, SubmitMulti};
use consentry::smpp::response::{SubmitMultiResp, Unsuccess};
use consentry::smpp::tlv::Tag;
use consentry::smpp::write::{self, BindFields, MessageFields};
use consentry::smpp::{Command, CommandStatus, Header};

const SECOND: u64 = 1_000_000;
const SHOP: &[u8] = b"106900005678";
const SAYS_YES: &[u8] = b"8613800138000";
const SAYS_YES_TOO: &[u8] = b"8613800138002";
const SAID_NO: &[u8] = b"8613800138001";
const ADVERTISING: &str = "【测试】全场五折，拒收请回复R";

/// One provider with a commercial code, in a ledger that the tests answer for.
struct Play {
    knowledge: Knowledge,
    desk: Desk,
    /// Who has said no: every recipient whose number ends in an odd digit, and these.
    refused: Vec<u64>,
    _folder: tempfile::TempDir,
}

impl Play {
    fn new(submit_multi: MultiPolicy) -> Play {
        Play::with(submit_multi, "")
    }

    /// `more` are lines of the provider's table.
    fn with(submit_multi: MultiPolicy, more: &str) -> Play {
        let text = format!(
            "[[provider]]\nname = \"测试有限公司\"\nsystem_ids = [\"t\"]\nidentity = \"verified\"\n\
             licence = {{ number = \"1\", valid_until = 2099-12-31 }}\n{more}\n\
             [[provider.code]]\nnumber = \"106900005678\"\npurpose = \"commercial\"\n"
        );
        let registry = consentry::registry::parse(&text, "registry.toml").expect("a registry");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (cache_octets, warm, silent_after_us, on_sync) = (CACHE_OCTETS_MIN, false, 1, None);
        let options = consent::Options { cache_octets, warm, silent_after_us, on_sync };
        let ledger = Ledger::open(folder.path(), options).expect("a ledger");
        let entities = vec![ledger.entity("测试有限公司").expect("a number for it")];
        let modes = Modes::default();
        let reader = Reader::built_in().expect("weights");
        let texts = Texts::new(reader, Default::default(), Vec::new(), &modes);
        let knowledge = Knowledge {
            parties: Parties { entities, scopes: Vec::new() },
            submit_multi,
            ..Knowledge::new(registry, texts, modes)
        };
        Play { knowledge, desk: Desk::default(), refused: Vec::new(), _folder: folder }
    }

    fn bound(&mut self) -> Session {
        let timeouts =
            Timeouts { bind_us: 30 * SECOND, idle_us: 600 * SECOND, response_us: 60 * SECOND };
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut session = Session::new(1, peer, "test", timeouts, Default::default(), at(0));
        let mut bind = Vec::new();
        let fields = BindFields {
            system_id: b"t",
            password: b"",
            system_type: b"",
            interface_version: 0x34,
        };
        write::bind(&mut bind, Command::BindTransceiver, 1, fields);
        self.give(&mut session, &bind);
        let id = Command::BindTransceiver.response_id();
        let mut ok = Vec::new();
        write::header_only(&mut ok, id, CommandStatus::ESME_ROK, 1);
        self.relay(&mut session, &ok);
        session
    }

    fn ask(&self, questions: &[Question], answers: &mut Vec<Consent>) {
        answers.extend(questions.iter().map(|question| {
            let number: u64 = question.recipient.unmasked().parse().expect("digits");
            let is_refused = number % 2 == 1 || self.refused.contains(&number);
            let state = if is_refused { StandingState::Revoked } else { StandingState::Granted };
            Consent::Known(Standing { state, review: Review::Reviewed, ..Standing::NONE })
        }));
    }

    fn judge(&mut self, session: &mut Session, octets: &[u8]) -> bool {
        session.receive(Side::Esme, octets, at(1));
        let mut desk = std::mem::take(&mut self.desk);
        let judged = session.judge(&self.knowledge, &mut desk, &mut |q, a| self.ask(q, a), at(1));
        self.desk = desk;
        judged
    }

    /// Octets from the ESME, recorded at once: what goes on, what goes back, what was recorded.
    fn give(&mut self, session: &mut Session, octets: &[u8]) -> Came {
        let judged = self.judge(session, octets);
        let verdicts = verdicts(session.batch_records().octets());
        assert!(!judged || session.cleared().count() == 0, "nothing before its record");
        session.recorded();
        self.carry_out(session, verdicts)
    }

    fn carry_out(&mut self, session: &mut Session, verdicts: Vec<Verdict>) -> Came {
        let cleared = session.cleared().flat_map(|one| one.octets().to_vec()).collect();
        let mut replies = Vec::new();
        session.take_replies(&mut replies);
        session.release();
        Came { cleared, replies, verdicts }
    }

    fn relay(&mut self, session: &mut Session, octets: &[u8]) -> Vec<u8> {
        session.receive(Side::Smsc, octets, at(2));
        let mut out = Vec::new();
        session.relay(&self.knowledge, &mut self.desk, &mut out, at(2));
        out
    }
}

struct Came {
    cleared: Vec<u8>,
    replies: Vec<u8>,
    verdicts: Vec<Verdict>,
}

/// Recipient, `pass` or the rule, status.
type Verdict = (String, &'static str, CommandStatus);

fn at(seconds: u64) -> Moment {
    Moment { wall_us: (1_790_000_000 + seconds) * SECOND, steady_us: seconds * SECOND }
}

fn verdicts(mut octets: &[u8]) -> Vec<Verdict> {
    let mut found = Vec::new();
    while let Some(&[low, high, kind, form]) = octets.first_chunk() {
        let (record, rest) = octets.split_at(usize::from(u16::from_le_bytes([low, high])));
        octets = rest;
        let Record::Verdict(verdict) = Record::decode(kind, form, &record[16..]) else { continue };
        let rule = Rule::from_code(verdict.rule).map_or("pass", Rule::name);
        let to = String::from_utf8_lossy(verdict.destination.raw).into_owned();
        found.push((to, rule, CommandStatus(verdict.status)));
    }
    found
}

fn sme(value: &[u8]) -> Destination<'_> {
    // Lists have a name; numbers are digits.
    if value.iter().all(u8::is_ascii_digit) {
        Destination::Sme(WireAddress { ton: 1, npi: 1, value })
    } else {
        Destination::DistributionList(value)
    }
}

fn multi(sequence: u32, source: &[u8], destinations: &[&[u8]]) -> Vec<u8> {
    let text: Vec<u8> = ADVERTISING.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let destinations: Vec<_> = destinations.iter().map(|one| sme(one)).collect();
    let fields = MessageFields {
        source: WireAddress { ton: 0, npi: 1, value: source },
        destination: WireAddress { ton: 0, npi: 0, value: b"" },
        esm_class: 0,
        registered_delivery: 1,
        data_coding: 8,
        short_message: &text,
    };
    let mut out = Vec::new();
    write::submit_multi(&mut out, sequence, fields, &destinations, |out| {
        write::tlv(out, Tag(0x1401), b"kept");
    });
    out
}

fn resp(sequence: u32, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (mut out, id) = (Vec::new(), Command::SubmitMulti.response_id());
    write::pdu(&mut out, id, CommandStatus::ESME_ROK, sequence, fill);
    out
}

/// The recipients that a response names, with their statuses.
fn unsuccess(octets: &[u8]) -> Vec<(String, CommandStatus)> {
    let read = SubmitMultiResp::parse(octets).expect("a submit_multi_resp");
    let told = |one: Unsuccess<'_>| {
        (String::from_utf8_lossy(one.destination.value).into_owned(), one.status)
    };
    read.unsuccess().map(told).collect()
}

const OK: CommandStatus = CommandStatus::ESME_ROK;
const FAIL: CommandStatus = CommandStatus::ESME_RSUBMITFAIL;
const LIST: CommandStatus = CommandStatus::ESME_RCNTSUBDL;
const NOBODY: CommandStatus = CommandStatus::ESME_RINVDSTADR;

#[test]
fn each_recipient_is_judged_and_recorded_on_its_own() {
    let yes = |status| (SAYS_YES, "pass", status);
    // Destinations, then under each policy: who gets it, each record, the status of a refusal.
    type Expected =
        (Vec<&'static [u8]>, Vec<(&'static [u8], &'static str, CommandStatus)>, CommandStatus);
    let refused = |records, status| (vec![], records, status);
    let cases: Vec<(&str, Vec<&[u8]>, Expected, Expected)> = vec![
        (
            "all may",
            vec![SAYS_YES, SAYS_YES_TOO],
            (vec![SAYS_YES, SAYS_YES_TOO], vec![yes(OK), (SAYS_YES_TOO, "pass", OK)], OK),
            (vec![SAYS_YES, SAYS_YES_TOO], vec![yes(OK), (SAYS_YES_TOO, "pass", OK)], OK),
        ),
        (
            "one said no",
            vec![SAYS_YES, SAID_NO, SAYS_YES_TOO],
            refused(
                vec![
                    (SAYS_YES, "multi.refused", FAIL),
                    (SAID_NO, "consent.revoked", FAIL),
                    (SAYS_YES_TOO, "multi.refused", FAIL),
                ],
                FAIL,
            ),
            (
                vec![SAYS_YES, SAYS_YES_TOO],
                vec![yes(OK), (SAID_NO, "consent.revoked", FAIL), (SAYS_YES_TOO, "pass", OK)],
                OK,
            ),
        ),
        (
            "a list, and no number",
            vec![b"customers", SAYS_YES, b"12"],
            refused(
                vec![
                    (b"customers", "destination.list", LIST),
                    (SAYS_YES, "multi.refused", LIST),
                    (b"12", "destination.malformed", LIST),
                ],
                LIST,
            ),
            (
                vec![SAYS_YES],
                vec![
                    (b"customers", "destination.list", LIST),
                    yes(OK),
                    (b"12", "destination.malformed", NOBODY),
                ],
                OK,
            ),
        ),
        (
            "a list that is called like a number's owner",
            vec![b"list"],
            refused(vec![(b"list", "destination.list", LIST)], LIST),
            refused(vec![(b"list", "destination.list", LIST)], LIST),
        ),
        (
            "none may",
            vec![SAID_NO, b"12"],
            refused(
                vec![(SAID_NO, "consent.revoked", FAIL), (b"12", "destination.malformed", FAIL)],
                FAIL,
            ),
            refused(
                vec![(SAID_NO, "consent.revoked", FAIL), (b"12", "destination.malformed", FAIL)],
                FAIL,
            ),
        ),
    ];
    let mut plays = [Play::new(MultiPolicy::Whole), Play::new(MultiPolicy::Narrow)];
    for (case, destinations, whole, narrow) in cases {
        for (play, expected) in plays.iter_mut().zip([whole, narrow]) {
            let case = format!("{case}, {:?}", play.knowledge.submit_multi);
            let mut session = play.bound();
            let pdu = multi(2, SHOP, &destinations);
            let came = play.give(&mut session, &pdu);
            let (gets, records, status) = expected;
            let records: Vec<Verdict> = records
                .into_iter()
                .map(|(to, rule, status)| (String::from_utf8_lossy(to).into_owned(), rule, status))
                .collect();
            assert_eq!(came.verdicts, records, "{case}");
            if gets.is_empty() {
                let mut refusal = Vec::new();
                write::refusal(&mut refusal, Command::SubmitMulti, status, 2);
                assert_eq!((came.cleared.len(), came.replies), (0, refusal), "{case}");
                assert_eq!(session.open_requests(), 0, "{case}");
                continue;
            }
            // Written anew with fewer destinations, it is the same octets.
            assert_eq!(came.cleared, multi(2, SHOP, &gets), "{case}");
            assert_eq!((came.replies.len(), session.open_requests()), (0, 1), "{case}");
        }
    }
}

#[test]
fn the_response_tells_of_those_left_out() {
    let mut play = Play::new(MultiPolicy::Narrow);
    let mut session = play.bound();
    let pdu = multi(2, SHOP, &[SAYS_YES, SAID_NO, b"customers", SAYS_YES_TOO]);
    let left = |ours: &[(&[u8], CommandStatus)]| {
        let own =
            ours.iter().map(|(to, status)| (String::from_utf8_lossy(to).into_owned(), *status));
        own.collect::<Vec<_>>()
    };
    let ours = left(&[(SAID_NO, FAIL), (b"customers", LIST)]);
    let theirs = |out: &mut Vec<u8>| {
        write::c_octets(out, b"id-1");
        out.push(1);
        let destination = WireAddress { ton: 1, npi: 1, value: SAYS_YES };
        write::unsuccess(out, Unsuccess { destination, status: NOBODY });
    };
    let with_theirs = [left(&[(SAYS_YES, NOBODY)]), ours.clone()].concat();
    for (case, answer, expected) in [
        ("the SMSC takes all", resp(2, |out| out.extend_from_slice(b"id-1\0\0")), &ours),
        ("an id and no more", resp(2, |out| out.extend_from_slice(b"id-1\0")), &ours),
        ("the SMSC does not take one", resp(2, theirs), &with_theirs),
    ] {
        play.give(&mut session, &pdu);
        let told = play.relay(&mut session, &answer);
        assert_eq!(&unsuccess(&told), expected, "{case}");
        let id = SubmitMultiResp::parse(&told).expect("it was read").message_id;
        assert_eq!(id, b"id-1", "{case}");
        assert_eq!(play.relay(&mut session, &answer), answer, "{case}: told once");
    }
    // An error tells of all: nothing was taken.
    play.give(&mut session, &pdu);
    let mut error = Vec::new();
    write::refusal(&mut error, Command::SubmitMulti, CommandStatus::ESME_RSYSERR, 2);
    assert_eq!(play.relay(&mut session, &error), error);
    // What goes to all is answered as it came, also under a number that is used twice.
    let both = [multi(2, SHOP, &[SAYS_YES]), pdu.clone()].concat();
    let came = play.give(&mut session, &both);
    assert_eq!(
        came.cleared,
        [multi(2, SHOP, &[SAYS_YES]), multi(2, SHOP, &[SAYS_YES, SAYS_YES_TOO])].concat()
    );
    let answer = resp(2, |out| out.extend_from_slice(b"id-2\0\0"));
    assert_eq!(play.relay(&mut session, &answer), answer);
    assert_eq!(unsuccess(&play.relay(&mut session, &answer)), ours);
}

#[test]
fn an_answer_that_is_late_tells_of_them_too() {
    let mut play = Play::new(MultiPolicy::Narrow);
    let mut session = play.bound();
    play.give(&mut session, &multi(2, SHOP, &[SAYS_YES, SAID_NO]));
    session.tick(at(30));
    play.give(&mut session, &multi(3, SHOP, &[SAYS_YES]));
    play.relay(&mut session, &resp(3, |out| out.extend_from_slice(b"id\0\0")));
    session.tick(at(61));
    assert_eq!(session.open_requests(), 0, "given up");
    let told = play.relay(&mut session, &resp(2, |out| out.extend_from_slice(b"id\0\0")));
    assert_eq!(unsuccess(&told).len(), 1);
}

#[test]
fn who_refuses_while_the_batch_waits_is_taken_out() {
    for (policy, gets) in [(MultiPolicy::Whole, None), (MultiPolicy::Narrow, Some(SAYS_YES_TOO))] {
        let mut play = Play::new(policy);
        let mut session = play.bound();
        let (one, other) =
            (multi(2, SHOP, &[SAYS_YES, SAYS_YES_TOO]), multi(3, SHOP, &[SAYS_YES_TOO]));
        assert!(play.judge(&mut session, &[one, other.clone()].concat()));
        let before = verdicts(session.batch_records().octets());
        assert!(before.iter().all(|(_, rule, _)| *rule == "pass"));
        session.recorded();
        session.later_records().clear();
        play.refused.push(8_613_800_138_000);
        let mut desk = Desk::default();
        session.ask_again(&play.knowledge, &mut desk, &mut |q, a| play.ask(q, a), at(2));
        let later = verdicts(session.later_records().octets());
        let mut events: Vec<Event> = Vec::new();
        session.tell(at(2), &mut events, &mut Vec::new());
        let came = play.carry_out(&mut session, later);
        let second = |to: &[u8], rule| (String::from_utf8_lossy(to).into_owned(), rule, FAIL);
        match gets {
            None => {
                assert_eq!(came.cleared, other);
                assert_eq!(
                    came.verdicts,
                    [second(SAYS_YES, "consent.revoked"), second(SAYS_YES_TOO, "multi.refused")]
                );
                assert_eq!(
                    Header::of(&came.replies).map(|header| header.command_status),
                    Some(FAIL)
                );
                assert_eq!(session.counts(), (1, 2));
            }
            Some(left) => {
                assert_eq!(came.cleared, [multi(2, SHOP, &[left]), other].concat());
                assert_eq!(
                    (came.verdicts, came.replies.len()),
                    (vec![second(SAYS_YES, "consent.revoked")], 0)
                );
                let told =
                    play.relay(&mut session, &resp(2, |out| out.extend_from_slice(b"id\0\0")));
                assert_eq!(unsuccess(&told).len(), 1);
                assert_eq!(session.counts(), (2, 1));
            }
        }
        let mut tally = session.tally().clone();
        let revoked = usize::from(Rule::ConsentRevoked.code());
        assert_eq!(u64::from(tally.passed), session.counts().0, "{policy:?}");
        assert_eq!(tally.refused[revoked], 1, "{policy:?}");
        tally.clear();
    }
}

#[test]
fn what_cannot_be_recorded_goes_to_nobody() {
    let mut play = Play::new(MultiPolicy::Narrow);
    let mut session = play.bound();
    for destinations in [vec![SAYS_YES, SAYS_YES_TOO], vec![SAYS_YES, SAID_NO]] {
        let refused_before = session.counts().1;
        assert!(play.judge(&mut session, &multi(2, SHOP, &destinations)));
        session.unrecorded(&play.knowledge);
        let came = play.carry_out(&mut session, Vec::new());
        let status = Header::of(&came.replies).map(|header| header.command_status);
        assert_eq!(status, Some(CommandStatus::ESME_RMSGQFUL));
        assert_eq!((came.cleared.len(), session.open_requests(), session.counts().0), (0, 0, 0));
        assert!(session.counts().1 > refused_before);
        let answer = resp(2, |out| out.extend_from_slice(b"id\0\0"));
        assert_eq!(play.relay(&mut session, &answer), answer, "nobody was left out");
    }
}

#[test]
fn each_recipient_counts_for_the_rate() {
    let three: Vec<&[u8]> = vec![SAYS_YES, SAYS_YES_TOO, b"8613800138004"];
    let mut play = Play::with(MultiPolicy::Narrow, "rate = 2");
    let mut session = play.bound();
    let came = play.give(&mut session, &multi(2, SHOP, &three));
    assert_eq!(came.cleared, multi(2, SHOP, &three[..2]));
    let rules: Vec<_> = came.verdicts.iter().map(|(_, rule, _)| *rule).collect();
    assert_eq!(rules, ["pass", "pass", "rate.exceeded"]);
}

#[test]
fn a_refusal_for_good_is_not_hidden_behind_one_that_is_retried() {
    let mut play = Play::with(MultiPolicy::Whole, "rate = 1");
    let mut session = play.bound();
    let came = play.give(&mut session, &multi(2, SHOP, &[SAYS_YES, SAYS_YES_TOO, SAID_NO]));
    let rules: Vec<_> = came.verdicts.iter().map(|(_, rule, _)| *rule).collect();
    assert_eq!(rules, ["multi.refused", "rate.exceeded", "consent.revoked"]);
    assert_eq!(Header::of(&came.replies).map(|header| header.command_status), Some(FAIL));
}

/// The most destinations that there may be, scattered as customers are. Every other one said no.
fn customers() -> Vec<String> {
    let scattered = |at: u64| {
        let mixed = (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 32)) % 50_000_000) * 2 + at % 2
    };
    (0..254).map(|at| format!("86138{:08}", scattered(at))).collect()
}

#[test]
fn two_hundred_and_fifty_four_recipients_are_judged_each() {
    let numbers = customers();
    let destinations: Vec<&[u8]> = numbers.iter().map(|number| number.as_bytes()).collect();
    let mut play = Play::new(MultiPolicy::Narrow);
    let mut session = play.bound();
    let came = play.give(&mut session, &multi(2, SHOP, &destinations));
    let rules = came.verdicts.iter().fold(BTreeMap::new(), |mut rules, (_, rule, _)| {
        *rules.entry(*rule).or_insert(0) += 1;
        rules
    });
    assert_eq!(rules, BTreeMap::from([("consent.revoked", 127), ("pass", 127)]));
    let narrowed = SubmitMulti::parse(&came.cleared).expect("a submit_multi");
    assert_eq!(narrowed.number_of_dests, 127);
    let told = play.relay(&mut session, &resp(2, |out| out.extend_from_slice(b"id\0\0")));
    assert_eq!(unsuccess(&told).len(), 127);
}

#[test]
fn what_is_left_out_is_remembered_within_its_limit() {
    let numbers = customers();
    let destinations: Vec<&[u8]> = numbers.iter().map(|number| number.as_bytes()).collect();
    let mut play = Play::new(MultiPolicy::Narrow);
    let mut session = play.bound();
    let mut narrowed = 0_usize;
    let last = (2..).find(|sequence| {
        let came = play.give(&mut session, &multi(*sequence, SHOP, &destinations));
        narrowed += usize::from(!came.cleared.is_empty());
        came.cleared.is_empty()
    });
    // TON, NPI, thirteen digits, NUL and status of half of 254, until all of 254 might not fit.
    let (each, most) = (127 * 20, 254 * 27);
    assert_eq!(narrowed, (LEFT_OUT_OCTETS_MAX - most) / each + 1);
    assert_eq!(last, Some(narrowed as u32 + 2), "then one is refused whole");
    play.relay(&mut session, &resp(2, |out| out.extend_from_slice(b"id\0\0")));
    play.relay(&mut session, &resp(3, |out| out.extend_from_slice(b"id\0\0")));
    play.relay(&mut session, &resp(4, |out| out.extend_from_slice(b"id\0\0")));
    let came = play.give(&mut session, &multi(9_999, SHOP, &destinations));
    assert!(!came.cleared.is_empty(), "an answer makes room");
}
