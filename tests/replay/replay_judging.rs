//! Captured PDUs under the rules: the same verdicts as on the link, by the trace's own clock, and what a
//! trace teaches about its providers.

use std::net::SocketAddr;

use consentry::audit::Record;
use consentry::consent::{Before, Rehearsal};
use consentry::content::{Prohibited, Reader};
use consentry::policy::Modes;
use consentry::registry::{self, Registry};
use consentry::replay::{Decided, Judge, Judged, Learned, Verdict, Way};
use consentry::session::{Knowledge, Side, Texts};
use consentry::smpp::message::WireAddress;
use consentry::smpp::write::{self, BindFields, MessageFields};
use consentry::smpp::{Command, CommandStatus};

const SECOND: u64 = 1_000_000;
const BEGIN_US: u64 = 1_790_000_000 * SECOND;
const REGISTRY: &str = "
[[provider]]
name = \"甲公司\"
system_ids = [\"a\"]
identity = \"verified\"
licence = { number = \"1\", valid_until = 2099-12-31 }
from = [\"192.0.2.0/28\"]
[[provider.code]]
number = \"106900001234\"
purpose = \"commercial\"
[[provider.code]]
number = \"106900005678\"
purpose = \"service\"
[[provider]]
name = \"乙公司\"
system_ids = [\"b\"]
identity = \"verified\"
licence = { number = \"2\", valid_until = 2099-12-31 }
from = [\"192.0.2.16/28\"]
[[provider.code]]
number = \"106900009999\"
purpose = \"service\"
";
const CODE_TEXT: &str = "【甲公司】验证码482913，5分钟内有效，请勿告诉他人。";
const AD_TEXT: &str = "【甲公司】全场五折大促销，限时抢购，点击领券，回T退订";

/// What one side sends.
enum Pdu {
    Bind(&'static str),
    Answer(Command, CommandStatus),
    /// From, to, text.
    Submit(&'static str, &'static str, &'static str),
    Deliver(&'static str, &'static str, &'static str),
    Simple(Command),
}

impl Pdu {
    fn side(&self) -> Side {
        match self {
            Pdu::Answer(..) | Pdu::Deliver(..) => Side::Smsc,
            Pdu::Bind(_) | Pdu::Submit(..) | Pdu::Simple(_) => Side::Esme,
        }
    }

    fn octets(&self, sequence: u32) -> Vec<u8> {
        let mut pdu = Vec::new();
        let mut message = |command, from: &str, to: &str, text: &str| {
            let octets: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let address = |value| WireAddress { ton: 0, npi: 1, value };
            let fields = MessageFields {
                source: address(from.as_bytes()),
                destination: address(to.as_bytes()),
                esm_class: 0,
                registered_delivery: 0,
                data_coding: 8,
                short_message: &octets,
            };
            write::message(&mut pdu, command, sequence, fields, |_| {});
        };
        match self {
            Pdu::Submit(from, to, text) => message(Command::SubmitSm, from, to, text),
            Pdu::Deliver(from, to, text) => message(Command::DeliverSm, from, to, text),
            Pdu::Bind(system_id) => {
                let fields = BindFields {
                    system_id: system_id.as_bytes(),
                    password: b"",
                    system_type: b"",
                    interface_version: 0x34,
                };
                write::bind(&mut pdu, Command::BindTransceiver, sequence, fields);
            }
            Pdu::Answer(command, status) => {
                write::header_only(&mut pdu, command.response_id(), *status, sequence);
            }
            Pdu::Simple(command) => {
                write::header_only(&mut pdu, command.id(), CommandStatus::ESME_ROK, sequence);
            }
        }
        pdu
    }
}

fn registry() -> Registry {
    registry::parse(REGISTRY, "registry.toml").expect("a registry")
}

fn judge(registry: Registry, resumed_as: Option<&str>) -> Judge {
    let mut consent = Rehearsal::new(Before::Nothing, SECOND);
    let modes = Modes::default();
    let reader = Reader::built_in().expect("weights");
    let texts = Texts::new(reader, Prohibited::default(), Vec::new(), &modes);
    let mut knowledge = Knowledge::new(registry, texts, modes);
    for provider in knowledge.registry.providers() {
        knowledge.parties.entities.push(consent.entity(&provider.name).expect("a number"));
    }
    Judge::new(knowledge, consent, resumed_as.map(|id| id.as_bytes().to_vec()), 60 * SECOND)
}

fn way(esme: &str) -> Way {
    let esme: SocketAddr = esme.parse().expect("an address");
    let (listener, text_options) = ("test".to_owned(), Default::default());
    Way { esme, listener, text_options, strips_second_sender: false }
}

fn told(judged: &Judged<'_>) -> String {
    let decided = Decided::of(&judged.record).expect("a decision");
    let command = match &judged.record {
        Record::Bind(bind) => bind.command_id,
        Record::Verdict(message) => message.command_id,
        _ => panic!("no verdict"),
    };
    let rule = decided.rule.map_or("", |rule| rule.name());
    let (command, verdict) = (Command::of(command), decided.verdict.name());
    format!("{} {command} {verdict} {rule}", judged.index).trim_end().to_owned()
}

/// Plays one stream, a second between PDUs; the verdicts as words.
fn play(judge: &mut Judge, stream: u32, esme: &str, from_start: bool, pdus: &[Pdu]) -> Vec<String> {
    judge.opened(stream, way(esme), from_start, BEGIN_US);
    let mut out = Vec::new();
    for (at, pdu) in (0..).zip(pdus) {
        let octets = pdu.octets(u32::try_from(at / 2 + 1).expect("few"));
        judge.frame(stream, pdu.side(), &octets, BEGIN_US + at * SECOND, &mut |judged| {
            assert_eq!(judged.octets, octets);
            out.push(told(judged));
        });
    }
    judge.closed(stream);
    out
}

const OK: CommandStatus = CommandStatus::ESME_ROK;
const BOUND: [Pdu; 2] = [Pdu::Bind("a"), Pdu::Answer(Command::BindTransceiver, OK)];

fn after_bind(more: Vec<Pdu>) -> Vec<Pdu> {
    BOUND.into_iter().chain(more).collect()
}

#[test]
fn traces_are_judged_as_on_the_link() {
    let submitted = || Pdu::Answer(Command::SubmitSm, OK);
    let rows: Vec<(&str, &str, bool, Option<&str>, Vec<Pdu>, Vec<&str>)> = vec![
        (
            "a bind, a code, an advertisement to a stranger, another's number",
            "192.0.2.1:9",
            true,
            None,
            after_bind(vec![
                Pdu::Submit("106900005678", "8613800138000", CODE_TEXT),
                submitted(),
                Pdu::Submit("106900001234", "8613800138000", AD_TEXT),
                submitted(),
                Pdu::Submit("106900009999", "8613800138000", CODE_TEXT),
                submitted(),
            ]),
            vec![
                "0 bind_transceiver pass",
                "2 submit_sm pass",
                "4 submit_sm refuse consent.missing",
                "6 submit_sm refuse source.forged",
            ],
        ),
        (
            "who is not bound yet may not send",
            "192.0.2.1:9",
            true,
            None,
            vec![Pdu::Submit("106900005678", "8613800138000", CODE_TEXT)],
            vec!["0 submit_sm refuse command.refused"],
        ),
        (
            "nothing behind a refused bind is judged",
            "192.0.2.1:9",
            true,
            None,
            vec![
                Pdu::Bind("nobody"),
                Pdu::Answer(Command::BindTransceiver, OK),
                Pdu::Submit("106900005678", "8613800138000", CODE_TEXT),
            ],
            vec!["0 bind_transceiver refuse provider.unknown"],
        ),
        (
            "begun in the middle: whose, the address says",
            "192.0.2.17:9",
            false,
            None,
            vec![
                Pdu::Submit("106900009999", "8613800138000", CODE_TEXT),
                submitted(),
                Pdu::Submit("106900005678", "8613800138000", CODE_TEXT),
            ],
            vec!["0 submit_sm pass", "2 submit_sm refuse source.forged"],
        ),
        (
            "begun in the middle: whose, the caller says",
            "203.0.113.1:9",
            false,
            Some("b"),
            vec![Pdu::Submit("106900009999", "8613800138000", CODE_TEXT)],
            vec!["0 submit_sm pass"],
        ),
        (
            "begun in the middle, and nobody knows whose: until it binds",
            "203.0.113.1:9",
            false,
            None,
            vec![
                Pdu::Submit("106900009999", "8613800138000", CODE_TEXT),
                Pdu::Simple(Command::EnquireLink),
                Pdu::Bind("a"),
            ],
            vec!["2 bind_transceiver refuse provider.location"],
        ),
    ];
    for (what, esme, from_start, resumed_as, pdus, expected) in rows {
        let mut judge = judge(registry(), resumed_as);
        assert_eq!(play(&mut judge, 0, esme, from_start, &pdus), expected, "{what}");
    }
}

#[test]
fn what_is_not_judged_is_counted() {
    let mut judge = judge(registry(), None);
    let submit = || Pdu::Submit("106900005678", "8613800138000", CODE_TEXT);
    play(&mut judge, 0, "192.0.2.1:9", true, &[Pdu::Bind("nobody"), submit(), submit()]);
    play(&mut judge, 1, "203.0.113.1:9", false, &[submit()]);
    assert_eq!(judge.noticed().behind_refused_bind, 2);
    assert_eq!(judge.noticed().without_provider, 1);
    // An SMSC that answers nothing for a minute ends a session; a trace is judged on.
    judge.opened(2, way("192.0.2.1:9"), true, BEGIN_US);
    let mut verdicts = 0;
    for (at, pdu) in (0..).zip(after_bind((0..100).map(|_| submit()).collect())) {
        judge.frame(
            2,
            pdu.side(),
            &pdu.octets(at / 2 + 1),
            BEGIN_US + u64::from(at) * SECOND,
            &mut |judged| {
                let decided = Decided::of(&judged.record).expect("a decision");
                assert_eq!(decided.verdict, Verdict::Pass, "{at}");
                verdicts += 1;
            },
        );
    }
    assert_eq!(verdicts, 101);
    assert_eq!(judge.noticed().ended.get("smsc_silent"), Some(&1));
}

#[test]
fn answers_of_handsets_take_effect_as_they_come() {
    let mut judge = judge(registry(), None);
    let ad = || Pdu::Submit("106900001234", "8613800138000", AD_TEXT);
    let deliver = |text| Pdu::Deliver("8613800138000", "106900001234", text);
    // 同意 gives consent where it was not refused before; 退订 ends it.
    let pdus = after_bind(vec![ad(), deliver("退订"), ad()]);
    let verdicts = play(&mut judge, 0, "192.0.2.1:9", true, &pdus);
    assert_eq!(
        verdicts[1..],
        ["2 submit_sm refuse consent.missing", "4 submit_sm refuse consent.revoked"]
    );
    assert_eq!((judge.noticed().opt_outs, judge.noticed().opt_ins), (1, 0));
    // In a session of another stream too.
    let verdicts = play(&mut judge, 1, "192.0.2.1:9", true, &after_bind(vec![ad()]));
    assert_eq!(verdicts[1..], ["2 submit_sm refuse consent.revoked"]);
}

#[test]
fn a_suggested_registry_knows_every_sender_that_it_saw() {
    let submit = |from, text| Pdu::Submit(from, "8613800138000", text);
    let mut streams: Vec<(&str, Vec<Pdu>)> = vec![
        (
            "192.0.2.1:9",
            vec![
                Pdu::Bind("shop\"1"),
                submit("106900001234", AD_TEXT),
                submit("10690000123401", AD_TEXT),
                // One of those that have much in common is somebody else's.
                submit("1069888811", CODE_TEXT),
                submit("1069888812", CODE_TEXT),
                submit("1069888813", CODE_TEXT),
                submit("1069888814", CODE_TEXT),
                submit("10698888555", CODE_TEXT),
            ],
        ),
        (
            "192.0.2.2:9",
            vec![
                Pdu::Bind("bank"),
                submit("95588", CODE_TEXT),
                submit("106988885", CODE_TEXT),
                submit("106988885", CODE_TEXT),
                // The shop's own.
                submit("106900001234", AD_TEXT),
            ],
        ),
    ];
    // A purpose is guessed from twenty texts on.
    streams[0].1.extend((0..18).map(|_| submit("106900001234", AD_TEXT)));
    let reader = Reader::built_in().expect("weights");
    let mut learned = Learned::new(reader, Default::default(), None);
    for (stream, (esme, pdus)) in (0..).zip(&streams) {
        learned.opened(stream, esme.parse().expect("an address"));
        for (at, pdu) in (0..).zip(pdus) {
            learned.frame(stream, pdu.side(), &pdu.octets(at), BEGIN_US);
        }
        learned.closed(stream);
    }
    let text = learned.registry().expect("a registry");
    let suggested = registry::parse(&text, "registry.toml").expect(&text);
    assert_eq!(suggested.providers().len(), 2, "{text}");
    let mut judge = judge(suggested, None);
    let mut forged = Vec::new();
    for (stream, (esme, pdus)) in (0..).zip(streams) {
        let mut pdus = pdus.into_iter();
        let bind = pdus.next().expect("a bind");
        let answer = Pdu::Answer(Command::BindTransceiver, OK);
        let pdus: Vec<Pdu> = [bind, answer].into_iter().chain(pdus).collect();
        let verdicts = play(&mut judge, stream, esme, true, &pdus);
        forged.extend(verdicts.into_iter().filter(|verdict| verdict.contains("source.forged")));
    }
    // The one that two sent from is marked for a human, and stays.
    assert_eq!(forged, ["5 submit_sm refuse source.forged"], "{text}");
    assert!(text.contains("FOR A HUMAN: bank sent 1 messages from it too"), "{text}");
    assert!(
        text.contains("purpose = \"commercial\"") && text.contains("signatures = [\"甲公司\"]")
    );
    // The same trace, the same suggestion.
    assert_eq!(learned.registry().expect("a registry"), text);
}
