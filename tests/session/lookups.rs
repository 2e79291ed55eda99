//! A ledger that cannot tell at once, and one that many share: a batch waits and is then judged as by a ledger
//! that knew, once; what is not this node's to send is taken back.

use std::collections::BTreeMap;
use std::sync::Arc;

use consentry::audit::Record;
use consentry::consent::{Claimed, EntityId, Event, Happened, Question};
use consentry::content::Templates;
use consentry::policy::{Consent, Period, Promise, Review, Standing, StandingState};
use consentry::registry::Msisdn;
use consentry::session::{
    Batch, CodeTemplates, FRAMES_A_TURN, HoldTimes, LongMessages, MultiPolicy,
    QUESTIONS_A_BATCH_MAX,
};

use super::*;

const SHOP: &[u8] = b"106900005678";
const AD: &str = "【测试】周末全场五折，点击选购。拒收请回复R";
const OTHER_AD: &str = "【测试】新品上市，会员专享八折。拒收请回复R";
const REQUEST: &str = "【测试】愿意收到优惠信息吗？同意请回复Y，不回复视为拒绝。";
const NOTICE: &str = "【测试】验证码123456，五分钟内有效。";
const FULL: CommandStatus = CommandStatus::ESME_RMSGQFUL;
const LATE: &str = "ledger.unavailable";
const FAILED: CommandStatus = CommandStatus::ESME_RSUBMITFAIL;
/// Recipients, and how each stands at the beginning.
const FIRST: u64 = 8_613_800_138_000;

pub(super) static READER: LazyLock<Arc<Reader>> =
    LazyLock::new(|| Arc::new(Reader::built_in().expect("weights")));

static TEMPLATES: LazyLock<Arc<Templates>> =
    LazyLock::new(|| Arc::new(Templates::parse("request", REQUEST).expect("a template")));

static ENTITY: LazyLock<EntityId> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (cache_octets, warm, silent_after_us, on_sync) = (CACHE_OCTETS_MIN, false, 1, None);
    let options = consent::Options { cache_octets, warm, silent_after_us, on_sync };
    let ledger = Ledger::open(folder.path(), options).expect("a ledger");
    ledger.entity("测试有限公司").expect("a number for it")
});

fn shop(modes: Modes, submit_multi: MultiPolicy, long_messages: LongMessages) -> Knowledge {
    let text = "[[provider]]\nname = \"测试有限公司\"\nsystem_ids = [\"t\"]\nidentity = \"verified\"\n\
         licence = { number = \"1\", valid_until = 2099-12-31 }\nrate = 9\n\
         [[provider.code]]\nnumber = \"106900001234\"\npurpose = \"service\"\n\
         [[provider.code]]\nnumber = \"106900005678\"\npurpose = \"commercial\"\n";
    let registry = consentry::registry::parse(text, "registry.toml").expect("a registry");
    let requests = Some(TEMPLATES.clone());
    let codes = vec![CodeTemplates::default(), CodeTemplates { service: None, requests }];
    let texts = Texts::new(READER.clone(), Default::default(), codes, &modes);
    let knowledge = Knowledge {
        parties: Parties { entities: vec![*ENTITY], scopes: Vec::new() },
        submit_multi,
        long_messages,
        ..Knowledge::new(registry, texts, modes)
    };
    let mut original =
        Original::new(mark("测试有限公司".as_bytes()), SHOP, Msisdn::new(FIRST)).expect("short");
    original.data_coding = 8;
    knowledge.originals().remember(mark(b"test"), b"known", original);
    knowledge
}

pub(super) fn usual() -> Knowledge {
    shop(Modes::default(), MultiPolicy::Whole, LongMessages::Progressive)
}

fn number(at: u64) -> u64 {
    FIRST + at * 104_729
}

fn standing(state: StandingState) -> Consent {
    Consent::Known(Standing { state, review: Review::Reviewed, ..Standing::NONE })
}

/// A ledger of which this node does not have all at hand.
#[derive(Clone, Default)]
struct Book {
    standings: BTreeMap<u64, Consent>,
    /// What is looked up, and whether in vain.
    lacking: BTreeMap<u64, bool>,
}

impl Book {
    /// How the recipients of these tests stand: yes, no, nothing, twice a day, asked, yes, nothing.
    fn new() -> Book {
        let promised = Some(Promise { messages: 2, period: Period::Day });
        let mut standings: BTreeMap<_, _> = [
            StandingState::Granted,
            StandingState::Revoked,
            StandingState::None,
            StandingState::Granted,
            StandingState::Asked,
            StandingState::Granted,
            StandingState::None,
        ]
        .into_iter()
        .enumerate()
        .map(|(at, state)| (number(at as u64), standing(state)))
        .collect();
        if let Some(Consent::Known(one)) = standings.get_mut(&number(3)) {
            one.promised = promised;
        }
        Book { standings, lacking: BTreeMap::new() }
    }

    fn lacking(mut self, which: &[(u64, bool)]) -> Book {
        self.lacking = which.iter().map(|(at, in_vain)| (number(*at), *in_vain)).collect();
        self
    }

    fn of(&self, question: &Question) -> Consent {
        let number: u64 = question.recipient.unmasked().parse().expect("digits");
        self.standings.get(&number).copied().unwrap_or(standing(StandingState::Granted))
    }

    /// As soon as it is asked.
    fn at_once(&self, questions: &[Question], answers: &mut Vec<Consent>) {
        answers.extend(questions.iter().map(|question| {
            let number: u64 = question.recipient.unmasked().parse().expect("digits");
            let is_here = !self.lacking.contains_key(&number);
            if is_here { self.of(question) } else { Consent::Unavailable }
        }));
    }

    /// When there is no more time.
    fn at_last(&self, questions: &[Question], answers: &mut Vec<Consent>) {
        answers.extend(questions.iter().map(|question| {
            let number: u64 = question.recipient.unmasked().parse().expect("digits");
            let is_late = self.lacking.get(&number) == Some(&true);
            if is_late { Consent::Unavailable } else { self.of(question) }
        }));
    }

    fn told(&mut self, events: &[Event]) {
        for event in events {
            let number: u64 = event.recipient.unmasked().parse().expect("digits");
            let Some(Consent::Known(one)) = self.standings.get_mut(&number) else { continue };
            match event.happened {
                Happened::Asked { .. } if one.state == StandingState::None => {
                    one.state = StandingState::Asked;
                }
                Happened::Asked { .. } => {}
                Happened::Sent { .. } => one.sent += 1,
                Happened::Granted(_) | Happened::Revoked(_) | Happened::Reviewed { .. } => {}
            }
        }
    }
}

/// What the ESME sends.
#[derive(Clone, Debug)]
enum Sent {
    /// Whether it is the other text, in a data_sm; to whom.
    Ad(bool, u64),
    Request(u64),
    Notice(u64),
    Multi(Vec<u64>),
    /// Reference, number of two, to whom.
    Part(u8, u8, u64),
    /// A new text for a message to the first recipient, or for one of which nothing is known.
    Replace(bool),
    Link,
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn address(value: &[u8]) -> WireAddress<'_> {
    WireAddress { ton: 0, npi: 1, value }
}

/// To one recipient; with a reference and the number of a part of two.
fn single(
    sequence: u32,
    (command, source, to): (Command, &[u8], u64),
    text: &[u8],
    part: Option<(u8, u8)>,
) -> Vec<u8> {
    let to = number(to).to_string();
    let fields = MessageFields {
        source: address(source),
        destination: address(to.as_bytes()),
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: text,
    };
    let mut out = Vec::new();
    if command == Command::DataSm {
        write::data_sm(&mut out, sequence, fields, |out| {
            write::tlv(out, Tag::MESSAGE_PAYLOAD, text);
        });
        return out;
    }
    write::message(&mut out, command, sequence, fields, |out| {
        if let Some((reference, number)) = part {
            write::tlv(out, Tag::SAR_MSG_REF_NUM, &[0, reference]);
            write::tlv(out, Tag::SAR_TOTAL_SEGMENTS, &[2]);
            write::tlv(out, Tag::SAR_SEGMENT_SEQNUM, &[number]);
        }
    });
    out
}

fn several(sequence: u32, to: &[u64], text: &[u8]) -> Vec<u8> {
    let to: Vec<String> = to.iter().map(|to| number(*to).to_string()).collect();
    let to: Vec<_> = to.iter().map(|to| Destination::Sme(address(to.as_bytes()))).collect();
    let fields = MessageFields {
        source: address(SHOP),
        destination: address(b""),
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: text,
    };
    let mut out = Vec::new();
    write::submit_multi(&mut out, sequence, fields, &to, |_| {});
    out
}

fn replacement(sequence: u32, id: &[u8], text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write::pdu(&mut out, Command::ReplaceSm.id(), OK, sequence, |body| {
        write::c_octets(body, id);
        write::address(body, address(SHOP));
        write::c_octets(body, b"");
        write::c_octets(body, b"000000010000000R");
        body.extend_from_slice(&[0, 0, text.len() as u8]);
        body.extend_from_slice(text);
    });
    out
}

fn pdu(sequence: u32, sent: &Sent) -> Vec<u8> {
    let (ad, other) = (utf16(AD), utf16(OTHER_AD));
    let submit = Command::SubmitSm;
    match sent {
        Sent::Ad(false, to) => single(sequence, (submit, SHOP, *to), &ad, None),
        Sent::Ad(true, to) => single(sequence, (Command::DataSm, SHOP, *to), &other, None),
        Sent::Request(to) => single(sequence, (submit, SHOP, *to), &utf16(REQUEST), None),
        Sent::Notice(to) => single(sequence, (submit, OURS, *to), &utf16(NOTICE), None),
        Sent::Part(reference, part, to) => {
            let (first, second) = ad.split_at(20);
            let text = if *part == 1 { first } else { second };
            single(sequence, (submit, SHOP, *to), text, Some((*reference, *part)))
        }
        Sent::Multi(to) => several(sequence, to, &ad),
        Sent::Replace(true) => replacement(sequence, b"known", &other),
        Sent::Replace(false) => replacement(sequence, b"unknown", &other),
        Sent::Link => bare(Command::EnquireLink.id(), OK, sequence),
    }
}

fn pdus(sent: &[Sent], mut sequence: u32) -> Vec<u8> {
    let mut octets = Vec::new();
    for one in sent {
        octets.extend(pdu(sequence, one));
        sequence += 1;
    }
    octets
}

/// All that can be seen of a session.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    records: Vec<u8>,
    later_records: Vec<u8>,
    cleared: Vec<u8>,
    replies: Vec<u8>,
    counts: (u64, u64),
    passed: u32,
    refused: Vec<u32>,
    observed: Vec<u32>,
    from_esme: Vec<u32>,
    open: usize,
    held: usize,
}

/// A session with its ledger.
struct Stage {
    knowledge: Knowledge,
    session: Session,
    desk: Desk,
    book: Book,
    seen: Seen,
    /// Look-ups begun.
    lookups: usize,
}

impl Stage {
    fn new(knowledge: Knowledge, book: Book) -> Stage {
        let session = bound(&knowledge, Command::BindTransceiver);
        let (desk, seen, lookups) = (Desk::default(), Seen::default(), 0);
        Stage { knowledge, session, desk, book, seen, lookups }
    }

    fn receive(&mut self, octets: &[u8]) {
        self.session.receive(Side::Esme, octets, at(1));
    }

    /// By what the ledger has at hand, or by all that it will ever say.
    fn judge(&mut self, is_first: bool) -> Batch {
        let Stage { knowledge, session, desk, book, lookups, .. } = self;
        let mut ask = |questions: &[Question], answers: &mut Vec<Consent>| match is_first {
            true => book.at_once(questions, answers),
            false => book.at_last(questions, answers),
        };
        let mut look_up = |questions: &[Question]| {
            assert!(!questions.is_empty() && questions.len() <= QUESTIONS_A_BATCH_MAX);
            *lookups += 1;
            true
        };
        session.judge_or_wait(knowledge, desk, &mut ask, &mut look_up, at(1))
    }

    /// The journal takes the batch, and it goes on.
    fn carry_out(&mut self) {
        self.seen.records.extend(self.session.batch_records().octets());
        self.session.recorded();
        self.let_go_on();
    }

    fn let_go_on(&mut self) {
        let mut events = Vec::new();
        self.session.tell(at(1), &mut events, &mut Vec::new());
        self.book.told(&events);
        self.seen.cleared.extend(self.session.cleared().flat_map(|one| one.octets().to_vec()));
        self.session.take_replies(&mut self.seen.replies);
        self.session.release();
    }

    /// All that waits, by a ledger that has all at hand.
    fn at_once(&mut self) {
        loop {
            let Stage { knowledge, session, desk, book, .. } = self;
            let mut ask = |questions: &[Question], answers: &mut Vec<Consent>| {
                book.at_last(questions, answers);
            };
            if !session.judge(knowledge, desk, &mut ask, at(1)) {
                return;
            }
            self.carry_out();
        }
    }

    /// All that waits, by one that has not. `more` comes while it waits.
    fn at_last(&mut self, more: &[u8]) {
        let mut more = Some(more);
        loop {
            let before = self.look();
            match self.judge(true) {
                Batch::None => match more.take() {
                    Some(more) => self.receive(more),
                    None => return,
                },
                Batch::UnderWay => self.carry_out(),
                Batch::Waits => {
                    // Parts whose message is complete wait no more for each other.
                    let held = self.session.held_parts();
                    assert!(self.look() == Seen { held, ..before }, "nothing has happened");
                    if let Some(more) = more.take() {
                        self.receive(more);
                    }
                    assert_eq!(self.judge(false), Batch::UnderWay, "it waits once");
                    self.carry_out();
                }
            }
        }
    }

    /// What can be seen now, without what was seen before.
    fn look(&mut self) -> Seen {
        let session = &mut self.session;
        let mut seen = Seen {
            records: session.batch_records().octets().to_vec(),
            later_records: session.later_records().octets().to_vec(),
            counts: session.counts(),
            open: session.open_requests(),
            held: session.held_parts(),
            ..Seen::default()
        };
        let tally = session.tally();
        seen.passed = tally.passed;
        seen.refused = tally.refused.to_vec();
        seen.observed = tally.observed.to_vec();
        seen.from_esme = tally.from_esme.to_vec();
        seen.cleared = session.cleared().flat_map(|one| one.octets().to_vec()).collect();
        session.take_replies(&mut seen.replies);
        seen
    }

    fn end(mut self) -> Seen {
        let last = self.look();
        assert!(last.records.is_empty() && last.cleared.is_empty());
        let Seen { records, cleared, mut replies, .. } = self.seen;
        replies.extend(&last.replies);
        Seen { records, cleared, replies, ..last }
    }
}

fn verdicts(mut octets: &[u8]) -> Vec<(u32, &'static str)> {
    let mut found = Vec::new();
    while let Some(&[low, high, kind, form]) = octets.first_chunk() {
        let (record, rest) = octets.split_at(usize::from(u16::from_le_bytes([low, high])));
        octets = rest;
        let Record::Verdict(verdict) = Record::decode(kind, form, &record[16..]) else { continue };
        let rule = Rule::from_code(verdict.rule).map_or("pass", Rule::name);
        found.push((verdict.sequence_number, rule));
    }
    found
}

fn numbers(mut octets: &[u8]) -> Vec<u32> {
    let mut numbers = Vec::new();
    while let Some(header) = Header::of(octets) {
        numbers.push(header.sequence_number);
        octets = &octets[header.command_length as usize..];
    }
    numbers
}

#[test]
fn a_batch_waits_for_what_the_ledger_lacks_and_is_then_judged() {
    use Sent::{Ad, Link, Multi, Notice, Part, Replace, Request};
    type Row = (&'static str, Vec<Sent>, &'static [(u64, bool)], usize, &'static [&'static str]);
    let rows: Vec<Row> = vec![
        ("all at hand", vec![Ad(false, 0), Notice(1)], &[], 0, &["pass", "pass"]),
        ("no question", vec![Notice(0), Link], &[(0, false)], 0, &["pass"]),
        (
            "fetched",
            vec![Notice(1), Ad(false, 0), Ad(true, 1)],
            &[(0, false), (1, false)],
            1,
            &["pass", "pass", "consent.revoked"],
        ),
        (
            "late",
            vec![Ad(false, 0), Notice(0), Ad(false, 5)],
            &[(0, true)],
            1,
            &[LATE, "pass", "pass"],
        ),
        ("a data_sm", vec![Ad(true, 1)], &[(1, false)], 1, &["consent.revoked"]),
        ("a request, late", vec![Request(2)], &[(2, true)], 1, &[LATE]),
        (
            "asked already",
            vec![Request(4), Request(2)],
            &[(4, false), (2, false)],
            1,
            &["consent.repeat", "pass"],
        ),
        (
            "one of several",
            vec![Multi(vec![0, 1, 5])],
            &[(1, false)],
            1,
            &["multi.refused", "consent.revoked", "multi.refused"],
        ),
        ("several, late", vec![Multi(vec![0, 5])], &[(5, true)], 1, &["multi.refused", LATE]),
        (
            "twice a day",
            vec![Ad(false, 3), Ad(true, 3), Ad(false, 3)],
            &[(3, false)],
            1,
            &["pass", "pass", "consent.repeat"],
        ),
        (
            "a replacement",
            vec![Replace(true), Replace(false)],
            &[(0, false)],
            1,
            &["pass", "earlier.unknown"],
        ),
        ("parts", vec![Part(7, 1, 0), Part(7, 2, 0)], &[(0, false)], 1, &["pass", "pass"]),
        ("parts, late", vec![Part(7, 1, 0), Part(7, 2, 0)], &[(0, true)], 1, &[LATE, LATE]),
    ];
    for (what, sent, lacking, lookups, expected) in rows {
        let mut stage = Stage::new(usual(), Book::new().lacking(lacking));
        stage.receive(&pdus(&sent, 2));
        stage.at_last(&[]);
        assert_eq!(stage.lookups, lookups, "{what}");
        let found: Vec<_> = verdicts(&stage.seen.records).iter().map(|(_, rule)| *rule).collect();
        assert_eq!(found, expected, "{what}");
        let is_late = |(_, status): &(u32, CommandStatus)| *status == FULL;
        let retried = statuses(&stage.seen.replies).iter().filter(|one| is_late(one)).count();
        let late_ones = expected.iter().filter(|rule| **rule == LATE).count();
        assert!(retried == late_ones || matches!(sent[0], Multi(_)), "{what}");
    }
}

#[test]
fn what_comes_while_a_batch_waits_is_of_the_next() {
    let mut stage = Stage::new(usual(), Book::new().lacking(&[(0, false), (1, false)]));
    stage.receive(&pdus(&[Sent::Ad(false, 0), Sent::Notice(1)], 2));
    assert_eq!(stage.judge(true), Batch::Waits);
    stage.receive(&pdus(&[Sent::Ad(true, 1), Sent::Link], 4));
    assert_eq!(stage.judge(false), Batch::UnderWay);
    assert_eq!(verdicts(stage.session.batch_records().octets()), [(2, "pass"), (3, "pass")]);
    stage.carry_out();
    assert_eq!((stage.judge(true), stage.lookups), (Batch::Waits, 2), "it has its own time");
    assert_eq!(stage.judge(false), Batch::UnderWay);
    let records = stage.session.batch_records().octets();
    assert_eq!(verdicts(records), [(4, "consent.revoked")]);
}

#[test]
fn a_batch_asks_no_more_than_its_bound() {
    let knowledge = Knowledge { window_requests_max: 4096, ..usual() };
    let lacking: Vec<_> = (0..2_000).map(|at| (at, false)).collect();
    let mut stage = Stage::new(knowledge, Book::new().lacking(&lacking));
    let mut sent: Vec<_> = (0..FRAMES_A_TURN as u64 - 1).map(|to| Sent::Ad(false, to)).collect();
    sent.push(Sent::Multi((700..700 + 254).collect()));
    sent.push(Sent::Ad(true, 1_900));
    stage.receive(&pdus(&sent, 2));
    let (Stage { knowledge, session, desk, book, .. }, mut asked) = (&mut stage, Vec::new());
    let mut ask = |questions: &[Question], answers: &mut Vec<Consent>| {
        book.at_once(questions, answers);
    };
    let mut look_up = |questions: &[Question]| {
        asked.push(questions.len());
        true
    };
    let batch = session.judge_or_wait(knowledge, desk, &mut ask, &mut look_up, at(1));
    assert_eq!((batch, asked), (Batch::Waits, vec![QUESTIONS_A_BATCH_MAX]));
    assert_eq!(stage.judge(false), Batch::UnderWay);
    assert_eq!(verdicts(stage.session.batch_records().octets()).len(), QUESTIONS_A_BATCH_MAX);
}

#[test]
fn a_shutdown_an_unbind_and_the_end_do_not_wait() {
    let waiting = |sent: &[Sent]| {
        let mut stage = Stage::new(usual(), Book::new().lacking(&[(0, false)]));
        stage.receive(&pdus(sent, 2));
        assert_eq!(stage.judge(true), Batch::Waits);
        stage
    };
    let ad = [Sent::Notice(5), Sent::Ad(false, 0)];
    let mut stage = waiting(&ad);
    stage.session.drain();
    assert_eq!(stage.judge(false), Batch::UnderWay);
    stage.carry_out();
    let draining = vec![(2, "session.draining"), (3, "session.draining")];
    assert_eq!(verdicts(&stage.seen.records), draining);
    let mut stage = waiting(&ad);
    let unbind = bare(Command::Unbind.id(), OK, 9);
    stage.session.receive(Side::Smsc, &unbind, at(1));
    let mut out = Vec::new();
    stage.session.relay(&stage.knowledge, &mut stage.desk, &mut out, at(1));
    assert_eq!(out, unbind, "the other direction goes on");
    assert_eq!(stage.judge(false), Batch::UnderWay);
    stage.carry_out();
    assert_eq!(verdicts(&stage.seen.records), [(2, "command.refused"), (3, "command.refused")]);
    // A part of who is gone counts as never come: what follows it comes too early.
    for let_go in [false, true] {
        let mut stage = waiting(&[Sent::Part(7, 1, 0)]);
        stage.session.end(EndReason::EsmeClosed);
        assert_eq!(stage.judge(false), Batch::None);
        if let_go {
            stage.session.let_go(&stage.knowledge);
        }
        stage.session = bound(&stage.knowledge, Command::BindTransceiver);
        stage.receive(&pdus(&[Sent::Part(7, 2, 0)], 2));
        stage.at_once();
        let expected = if let_go { "parts.malformed" } else { "pass" };
        assert_eq!(verdicts(&stage.seen.records), [(2, expected)], "{let_go}");
    }
}

#[test]
fn a_text_that_takes_a_place_is_read_by_what_is_known_of_it_then() {
    let mut stage = Stage::new(usual(), Book::new().lacking(&[(5, false)]));
    stage.receive(&pdus(&[Sent::Replace(false), Sent::Ad(false, 5)], 2));
    assert_eq!(stage.judge(true), Batch::Waits);
    // The SMSC names the message: to who has refused, in a coding that makes the octets an advertisement.
    let owner = mark("测试有限公司".as_bytes());
    let mut original = Original::new(owner, SHOP, Msisdn::new(number(1))).expect("short");
    original.data_coding = 8;
    stage.knowledge.originals().remember(mark(b"test"), b"unknown", original);
    assert_eq!(stage.judge(false), Batch::UnderWay);
    stage.carry_out();
    assert_eq!(verdicts(&stage.seen.records), [(2, "consent.revoked"), (3, "pass")]);
}

#[test]
fn lost_framing_behind_a_batch_that_waits_is_seen_after_it() {
    let mut stage = Stage::new(usual(), Book::new().lacking(&[(0, false)]));
    let mut octets = pdus(&[Sent::Ad(false, 0)], 2);
    octets.extend([0, 0, 0, 3, 0, 0, 0, 4]);
    stage.receive(&octets);
    assert_eq!(stage.judge(true), Batch::Waits);
    assert_eq!(stage.session.ending(), None);
    assert_eq!(stage.judge(false), Batch::UnderWay);
    stage.carry_out();
    assert_eq!(verdicts(&stage.seen.records), [(2, "pass")]);
    assert_eq!(stage.judge(true), Batch::None);
    assert_eq!(stage.session.ending(), Some(EndReason::EsmeFraming));
}

#[test]
fn what_is_not_this_nodes_to_send_is_taken_back() {
    use Claimed::{Refused, Taken, Unavailable};
    use Sent::{Ad, Multi, Notice, Request};
    let whole = MultiPolicy::Whole;
    type Row = (
        &'static str,
        (Vec<Sent>, MultiPolicy),
        (usize, &'static [Claimed]),
        &'static [(u32, &'static str)],
        &'static [u32],
    );
    let rows: Vec<Row> = vec![
        ("nothing to claim", (vec![Ad(false, 0), Notice(1)], whole), (0, &[]), &[], &[2, 3]),
        ("taken", (vec![Request(2), Ad(false, 3)], whole), (2, &[Taken, Taken]), &[], &[2, 3]),
        (
            "asked by another node",
            (vec![Request(2), Ad(true, 0)], whole),
            (1, &[Refused]),
            &[(2, "consent.repeat")],
            &[3],
        ),
        (
            "the last of a promise",
            (vec![Ad(false, 3), Ad(true, 3)], whole),
            (2, &[Taken, Refused]),
            &[(3, "consent.repeat")],
            &[2],
        ),
        (
            "late",
            (vec![Request(2), Request(6), Notice(0)], whole),
            (2, &[Taken, Unavailable]),
            &[(3, LATE)],
            &[2, 4],
        ),
        (
            "no answer",
            (vec![Request(2), Ad(false, 3)], whole),
            (2, &[]),
            &[(2, LATE), (3, LATE)],
            &[],
        ),
        (
            "refused to all",
            (vec![Multi(vec![3, 0])], whole),
            (1, &[Refused]),
            &[(2, "consent.repeat"), (2, "multi.refused")],
            &[],
        ),
        (
            "late for one of all",
            (vec![Multi(vec![0, 3])], whole),
            (1, &[Unavailable]),
            &[(2, "multi.refused"), (2, LATE)],
            &[],
        ),
        (
            "to the others",
            (vec![Multi(vec![3, 0])], MultiPolicy::Narrow),
            (1, &[Refused]),
            &[(2, "consent.repeat")],
            &[2],
        ),
    ];
    for (what, (sent, policy), (claims, claimed), again, goes_on) in rows {
        let knowledge = shop(Modes::default(), policy, LongMessages::Progressive);
        let mut stage = Stage::new(knowledge, Book::new());
        stage.receive(&pdus(&sent, 2));
        assert_eq!(stage.judge(true), Batch::UnderWay, "{what}");
        let first = verdicts(stage.session.batch_records().octets());
        assert!(first.iter().all(|(_, rule)| *rule == "pass"), "{what}");
        stage.session.recorded();
        let mut events = Vec::new();
        stage.session.claims(at(1), &mut events);
        assert_eq!(events.len(), claims, "{what}");
        stage.session.claimed(&stage.knowledge, claimed, at(1));
        assert_eq!(verdicts(stage.session.later_records().octets()), again, "{what}");
        stage.let_go_on();
        assert_eq!(numbers(&stage.seen.cleared), goes_on, "{what}");
        let refused = if again.iter().any(|(_, rule)| *rule == LATE) { FULL } else { FAILED };
        for (_, status) in statuses(&stage.seen.replies) {
            assert_eq!(status, refused, "{what}");
        }
        let answered = sent.len() - goes_on.len();
        assert_eq!(statuses(&stage.seen.replies).len(), answered, "{what}");
        assert_eq!(stage.session.open_requests(), goes_on.len(), "{what}");
        let (forwarded, _) = stage.session.counts();
        assert_eq!(u64::from(stage.session.tally().passed), forwarded, "{what}");
        let mut told = Vec::new();
        stage.session.tell(at(1), &mut told, &mut Vec::new());
        assert!(told.is_empty(), "{what}: nothing is left of the batch");
    }
}

#[test]
fn what_is_only_observed_goes_on_whoever_was_first() {
    let knowledge = shop(Modes::new(Mode::Observe), MultiPolicy::Whole, LongMessages::Progressive);
    let mut stage = Stage::new(knowledge, Book::new().lacking(&[(2, true)]));
    let sent = [Sent::Request(2), Sent::Request(6), Sent::Ad(false, 3), Sent::Ad(false, 1)];
    stage.receive(&pdus(&sent, 2));
    assert_eq!(stage.judge(true), Batch::Waits);
    assert_eq!(stage.judge(false), Batch::UnderWay);
    let records = stage.session.batch_records().octets().to_vec();
    let rules: Vec<_> = verdicts(&records).iter().map(|(_, rule)| *rule).collect();
    assert_eq!(rules, ["ledger.unavailable", "pass", "pass", "consent.revoked"]);
    stage.session.recorded();
    stage.session.later_records().clear();
    stage.session.claimed(&stage.knowledge, &[Claimed::Refused; 3], at(1));
    assert!(stage.session.later_records().is_empty());
    stage.let_go_on();
    assert_eq!(numbers(&stage.seen.cleared), [2, 3, 4, 5]);
}

#[test]
fn what_the_ledger_cannot_vouch_for_any_more_does_not_go_on() {
    let mut stage = Stage::new(usual(), Book::new());
    let sent = [Sent::Ad(false, 0), Sent::Notice(0), Sent::Part(7, 1, 5), Sent::Part(7, 2, 5)];
    stage.receive(&pdus(&sent, 2));
    assert_eq!(stage.judge(true), Batch::UnderWay);
    stage.session.recorded();
    let Stage { knowledge, session, desk, .. } = &mut stage;
    session.ask_again(knowledge, desk, &mut |_, _| {}, at(1));
    let again = verdicts(session.later_records().octets());
    assert_eq!(again, [2, 4, 5].map(|number| (number, "ledger.unavailable")));
    stage.let_go_on();
    assert_eq!(numbers(&stage.seen.cleared), [3]);
    assert_eq!(statuses(&stage.seen.replies), [2, 4, 5].map(|number| (number, FULL)));
    // Its parts count as not seen: they may come again, and in their order.
    stage.receive(&pdus(&[Sent::Part(7, 2, 5), Sent::Part(7, 1, 5)], 6));
    stage.seen = Seen::default();
    stage.at_once();
    assert_eq!(verdicts(&stage.seen.records), [(6, "parts.malformed"), (7, "parts.malformed")]);
}

fn sent() -> impl Strategy<Value = Sent> {
    let to = || 0_u64..7;
    prop_oneof![
        4 => (any::<bool>(), to()).prop_map(|(other, to)| Sent::Ad(other, to)),
        2 => to().prop_map(Sent::Request),
        2 => to().prop_map(Sent::Notice),
        2 => prop::collection::vec(to(), 1..4).prop_map(Sent::Multi),
        4 => (0_u8..2, 1_u8..=2, to()).prop_map(|(reference, part, to)| Sent::Part(reference, part, to)),
        1 => any::<bool>().prop_map(Sent::Replace),
        1 => Just(Sent::Link),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    /// However the answers are split into those at hand, those that have to be waited for and those that never
    /// come, and whatever comes meanwhile: the same records in the same order, the same octets on and back, the
    /// same counts, as by a ledger that says the same at once.
    #[test]
    fn who_waits_is_judged_as_who_need_not(
        batches in prop::collection::vec(prop::collection::vec(sent(), 1..6), 1..5),
        lacking in prop::collection::vec((0_u64..7, any::<bool>()), 0..5),
        (observes, narrows, holds, is_eager) in any::<(bool, bool, bool, bool)>(),
    ) {
        let modes = if observes { Modes::new(Mode::Observe) } else { Modes::default() };
        let multi = if narrows { MultiPolicy::Narrow } else { MultiPolicy::Whole };
        let times = HoldTimes { deadline_us: 60 * SECOND, silence_us: 60 * SECOND };
        let long = if holds { LongMessages::Hold(times) } else { LongMessages::Progressive };
        let book = Book::new().lacking(&lacking);
        let mut knew = Stage::new(shop(modes, multi, long), book.clone());
        let mut waited = Stage::new(shop(modes, multi, long), book);
        let mut sequence = 2;
        for (at, batch) in batches.iter().enumerate() {
            let octets = pdus(batch, sequence);
            sequence += batch.len() as u32;
            // Some of it comes later: where there is one to wait, while it waits.
            let split = if is_eager { octets.len() / (at + 2) } else { octets.len() };
            let (first, more) = octets.split_at(split);
            for part in [first, more] {
                knew.receive(part);
                knew.at_once();
            }
            waited.receive(first);
            waited.at_last(more);
        }
        let (knew, waited) = (knew.end(), waited.end());
        prop_assert_eq!(verdicts(&knew.records), verdicts(&waited.records));
        prop_assert!(knew == waited, "the same in all");
    }
}
