//! The rules, from outside: the cases of `proto-fixtures/policy`, and what holds of all facts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use consentry::content::Class;
use consentry::policy::{
    BindFacts, Consent, ConsentClass, Decision, Earlier, Facts, Form, Forms, Looked, Mode, Modes,
    Nature, Parts, Period, Promise, Rate, Review, ReviewPolicy, Rule, Said, SecondSender, Signed,
    Standing, StandingState, Stated, Sweep, Text, decide, decide_bind, nature, trace, trace_bind,
};
use consentry::registry::{
    Address, Allotment, Npi, PeerCertificate, Presented, RecipientFault, Registry, Ton, parse,
};
use proptest::prelude::*;
use serde::Deserialize;

const REGISTRY: &str = include_str!("../proto-fixtures/policy/registry.toml");
const CASES: &str = include_str!("../proto-fixtures/policy/cases.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    message: Vec<Case>,
    bind: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Case {
    name: String,
    system_id: String,
    source: String,
    source_ton: u8,
    source_npi: u8,
    destination: String,
    destination_ton: u8,
    destination_npi: u8,
    list: bool,
    everybody: bool,
    earlier: String,
    peer: String,
    /// DNS name of the client certificate that a bind shows; `unseen`, or none.
    certificate: Option<String>,
    at: jiff::Timestamp,
    second_sender: Option<String>,
    two_bodies: bool,
    over_rate: bool,
    sweep: Option<String>,
    no_body: bool,
    stored_body: bool,
    forms: Vec<String>,
    begins_s: Option<u64>,
    ends_s: Option<u64>,
    /// `schedule` or `validity`: which is no time.
    unreadable: String,
    parts: String,
    undecodable: bool,
    data: bool,
    said: Option<SaidCase>,
    consent: Option<ConsentCase>,
    lenient: bool,
    mode: String,
    r#override: BTreeMap<String, String>,
    verdict: String,
    reason: Option<String>,
    observed: Vec<String>,
}

/// What the text says; a whole commercial text that does all it must, where nothing else is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SaidCase {
    class: String,
    template: Option<bool>,
    asks: bool,
    signed: String,
    tells_how_to_refuse: bool,
    is_listed: bool,
    is_whole: bool,
}

impl Default for SaidCase {
    fn default() -> Self {
        Self {
            class: "commercial".to_owned(),
            template: None,
            asks: false,
            signed: "registered".to_owned(),
            tells_how_to_refuse: true,
            is_listed: false,
            is_whole: true,
        }
    }
}

impl SaidCase {
    fn said(&self) -> Said {
        Said {
            class: Class::named(&self.class).expect("a class"),
            template: self.template,
            asks: self.asks,
            signed: match self.signed.as_str() {
                "none" => Signed::None,
                "several" => Signed::Several,
                "elsewhere" => Signed::Elsewhere,
                "registered" => Signed::Registered,
                "unregistered" => Signed::Unregistered,
                other => panic!("nothing is signed {other}"),
            },
            tells_how_to_refuse: self.tells_how_to_refuse,
            is_listed: self.is_listed,
            is_whole: self.is_whole,
        }
    }
}

/// What the ledger says; a reviewed grant without an end, where nothing else is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ConsentCase {
    state: String,
    review: String,
    class: String,
    until: Option<jiff::Timestamp>,
    promised: Option<u16>,
    sent: u32,
}

impl Default for ConsentCase {
    fn default() -> Self {
        let [state, review, class] = ["granted", "reviewed", "commercial"].map(str::to_owned);
        Self { state, review, class, until: None, promised: None, sent: 0 }
    }
}

impl ConsentCase {
    fn consent(&self) -> Consent {
        if self.state == "unavailable" {
            return Consent::Unavailable;
        }
        let state = StandingState::ALL.into_iter().find(|one| one.name() == self.state);
        Consent::Known(Standing {
            state: state.expect("a state"),
            review: Review::from_name(&self.review).expect("a review"),
            class: ConsentClass::from_name(&self.class).expect("a class"),
            until_us: self.until.map_or(Standing::NO_END, |end| end.as_microsecond() as u64),
            promised: self.promised.map(|messages| Promise { messages, period: Period::Month }),
            sent: self.sent,
            ..Standing::NONE
        })
    }
}

impl Default for Case {
    fn default() -> Self {
        Self {
            name: String::new(),
            system_id: "shop1".to_owned(),
            source: "106900001234".to_owned(),
            source_ton: 0,
            source_npi: 1,
            destination: "13800138000".to_owned(),
            destination_ton: 0,
            destination_npi: 1,
            list: false,
            everybody: false,
            earlier: String::new(),
            peer: "203.0.113.7".to_owned(),
            certificate: None,
            at: "2026-05-02T00:00:00+08:00".parse().unwrap(),
            second_sender: None,
            two_bodies: false,
            over_rate: false,
            sweep: None,
            no_body: false,
            stored_body: false,
            forms: vec![],
            begins_s: None,
            ends_s: None,
            unreadable: String::new(),
            parts: "sound".to_owned(),
            undecodable: false,
            data: false,
            said: None,
            consent: None,
            lenient: false,
            mode: "enforce".to_owned(),
            r#override: Default::default(),
            verdict: String::new(),
            reason: None,
            observed: vec![],
        }
    }
}

impl Case {
    fn modes(&self) -> Modes {
        let mut modes = Modes::new(Mode::from_name(&self.mode).expect(&self.name));
        for (rule, mode) in &self.r#override {
            let rule = Rule::from_name(rule).expect(&self.name);
            modes.set(rule, Mode::from_name(mode).expect(&self.name)).unwrap();
        }
        modes
    }

    fn now_us(&self) -> u64 {
        self.at.as_microsecond().try_into().unwrap()
    }

    fn check(&self, decision: Decision) {
        let verdict = decision.refused.map_or("pass", |reason| reason.rule().name());
        assert_eq!(verdict, self.verdict, "{}", self.name);
        let reason = decision.refused.map(|reason| format!("{reason:?}"));
        assert_eq!(reason, self.reason, "{}", self.name);
        let observed: Vec<_> = decision.observed.rules().map(Rule::name).collect();
        assert_eq!(observed, self.observed, "{}", self.name);
        let first = decision.observed.first().map(|reason| reason.rule().name());
        assert_eq!(first, self.observed.first().map(String::as_str), "{}", self.name);
    }
}

fn address(ton: u8, npi: u8, value: &str) -> Address<'_> {
    Address { ton: Ton(ton), npi: Npi(npi), value: value.as_bytes() }
}

fn second_sender(name: &str) -> SecondSender {
    match name {
        "callback_num" => SecondSender::CallbackNum,
        "source_subaddress" => SecondSender::SourceSubaddress,
        "reply_address" => SecondSender::ReplyAddress,
        "reply_path" => SecondSender::ReplyPath,
        other => panic!("no second sender is called {other}"),
    }
}

fn forms(names: &[String]) -> Forms {
    let mut forms = Forms::default();
    for name in names {
        let is_it = |form: &Form| format!("{form:?}") == *name;
        forms.add(Form::ALL.into_iter().find(is_it).expect("a form"));
    }
    forms
}

fn stated(seconds: Option<u64>, is_unreadable: bool) -> Stated {
    match seconds {
        _ if is_unreadable => Stated::Unreadable,
        Some(seconds) => Stated::In(seconds * 1_000_000),
        None => Stated::Not,
    }
}

fn registry() -> &'static Registry {
    static PARSED: LazyLock<Registry> = LazyLock::new(|| parse(REGISTRY, "registry.toml").unwrap());
    &PARSED
}

fn cases() -> Cases {
    toml::from_str(CASES).unwrap()
}

#[test]
fn messages_are_judged_as_written() {
    let registry = registry();
    for case in cases().message {
        let source = address(case.source_ton, case.source_npi, &case.source);
        let destination = address(case.destination_ton, case.destination_npi, &case.destination);
        let provider = registry.provider_of(case.system_id.as_bytes());
        let fetched = Facts::fetch(registry, case.now_us(), provider, &source, &destination);
        let facts = Facts {
            recipient: match (case.list, case.everybody) {
                (true, _) => Err(RecipientFault::List),
                (_, true) => Err(RecipientFault::Everybody),
                _ => fetched.recipient,
            },
            earlier: match case.earlier.as_str() {
                "" => Earlier::NotNamed,
                "own" => Earlier::Own,
                "unknown" => Earlier::Unknown,
                other => panic!("no earlier message is {other}"),
            },
            second_sender: case.second_sender.as_deref().map(second_sender),
            two_bodies: case.two_bodies,
            no_body: case.no_body,
            stored_body: case.stored_body,
            forms: forms(&case.forms),
            begins: stated(case.begins_s, case.unreadable == "schedule"),
            ends: stated(case.ends_s, case.unreadable == "validity"),
            parts: match case.parts.as_str() {
                "sound" => Parts::Sound,
                "malformed" => Parts::Malformed,
                "refused" => Parts::Refused,
                "early" => Parts::Early,
                "limit" => Parts::Limit,
                "late" => Parts::Late,
                "taken back" => Parts::TakenBack,
                other => panic!("no part is {other}"),
            },
            text: match &case.said {
                _ if case.undecodable => Text::Undecodable,
                _ if case.data => Text::Binary,
                Some(said) => Text::Said(said.said()),
                None => Text::Unread,
            },
            consent: case.consent.as_ref().map(ConsentCase::consent),
            review: if case.lenient { ReviewPolicy::Lenient } else { ReviewPolicy::Strict },
            sweep: match case.sweep.as_deref() {
                None => Sweep::None,
                Some("sequence") => Sweep::Sequence,
                Some("block") => Sweep::Block,
                Some(other) => panic!("no sweep is called {other}"),
            },
            rate: if case.over_rate { Rate::Exceeded } else { Rate::Within },
            ..fetched
        };
        case.check(decide(&facts, &case.modes()));
    }
}

#[test]
fn binds_are_judged_as_written() {
    let registry = registry();
    for case in cases().bind {
        let provider = registry.provider_of(case.system_id.as_bytes());
        let presented = match case.certificate.clone() {
            None => Presented::Nothing,
            Some(unseen) if unseen == "unseen" => Presented::Unseen,
            Some(name) => {
                Presented::Certificate(PeerCertificate { dns: vec![name], ..Default::default() })
            }
        };
        let facts = BindFacts {
            now_us: case.now_us(),
            provider: provider.map(|id| registry.provider(id)),
            peer: case.peer.parse().unwrap(),
            presented: &presented,
            rate: if case.over_rate { Rate::Exceeded } else { Rate::Within },
        };
        let decision = decide_bind(&facts, &case.modes());
        case.check(decision);
        let traced = trace_bind(&facts, &case.modes());
        let refused = traced.iter().find_map(|look| match (look.mode, look.looked) {
            (Mode::Enforce, Looked::Fired(reason)) => Some(reason),
            _ => None,
        });
        assert_eq!(refused, decision.refused, "{}", case.name);
    }
}

#[test]
fn every_rule_that_is_asked_refuses_in_some_case() {
    let cases = cases();
    let all = cases.message.iter().chain(&cases.bind);
    let refused: BTreeSet<&str> = all.map(|case| case.verdict.as_str()).collect();
    for rule in Rule::ALL.into_iter().filter(|rule| rule.may_be_observed()) {
        assert!(refused.contains(rule.name()), "{} has no case", rule.name());
    }
}

/// One message of many made from pieces that mean something.
#[derive(Debug, Clone)]
struct Pieces {
    system_id: &'static str,
    source: (u8, u8, String),
    destination: (u8, u8, String),
    second: Option<SecondSender>,
    two_bodies: bool,
    over_rate: bool,
    now_us: u64,
    text: Text,
    consent: Option<Consent>,
}

impl Pieces {
    fn facts<'a>(&'a self, registry: &'a Registry) -> Facts<'a> {
        let (ton, npi, value) = &self.source;
        let source = address(*ton, *npi, value);
        let (ton, npi, value) = &self.destination;
        let provider = registry.provider_of(self.system_id.as_bytes());
        let destination = address(*ton, *npi, value);
        Facts {
            second_sender: self.second,
            two_bodies: self.two_bodies,
            rate: if self.over_rate { Rate::Exceeded } else { Rate::Within },
            text: self.text,
            consent: self.consent,
            ..Facts::fetch(registry, self.now_us, provider, &source, &destination)
        }
    }
}

fn pieces() -> impl Strategy<Value = Pieces> {
    let system_id = prop::sample::select(vec![
        "shop1",
        "shop1",
        "shop1",
        "bank",
        "bank",
        "pending",
        "suspended",
        "nobody",
    ]);
    let ton = || prop_oneof![6 => Just(0_u8), 1 => 1_u8..8];
    let npi = || prop_oneof![6 => 0_u8..2, 1 => 2_u8..10];
    let source = prop_oneof![
        3 => "(\\+86|86|0086|)(106900001234|10690000123477|10629876|95588|10657000)[0-9]{0,6}",
        1 => "[+0-9 ]{0,21}",
        1 => "SHOP|BANK|\\+?447700900123",
    ];
    let destination = prop_oneof![
        3 => "(\\+86|86|0086|0|17951|)1[3-9][0-9]{9}",
        1 => "[+0-9 ]{0,21}",
    ];
    let second = prop::option::weighted(
        0.2,
        prop::sample::select(vec![SecondSender::CallbackNum, SecondSender::ReplyPath]),
    );
    let expiry = 1_782_835_200_000_000_u64; // The bank's licence: 2026-07-01 in Shanghai.
    (
        system_id,
        (ton(), npi(), source),
        (ton(), npi(), destination),
        second,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        expiry - 2..expiry + 2,
        text(),
        consent(),
    )
        .prop_map(|pieces| {
            let (system_id, source, destination, second, two_bodies, over_rate, ..) =
                pieces.clone();
            let (.., now_us, text, consent) = pieces;
            Pieces {
                system_id,
                source,
                destination,
                second,
                two_bodies,
                over_rate,
                now_us,
                text,
                consent,
            }
        })
}

fn text() -> impl Strategy<Value = Text> {
    let signed = vec![Signed::None, Signed::Several, Signed::Registered, Signed::Unregistered];
    let said = (
        prop::sample::select(Class::ALL.to_vec()),
        any::<Option<bool>>(),
        any::<[bool; 4]>(),
        prop::sample::select(signed),
    );
    let said = said.prop_map(|(class, template, [asks, tells, is_listed, is_whole], signed)| {
        let tells_how_to_refuse = tells;
        Text::Said(Said { class, template, asks, signed, tells_how_to_refuse, is_listed, is_whole })
    });
    prop_oneof![1 => Just(Text::Unread), 1 => Just(Text::Undecodable), 4 => said]
}

fn consent() -> impl Strategy<Value = Option<Consent>> {
    let known = (
        prop::sample::select(StandingState::ALL.to_vec()),
        prop::sample::select(Review::ALL.to_vec()),
        0_u32..3,
    );
    let known = known.prop_map(|(state, review, sent)| {
        let promised = Some(Promise { messages: 1, period: Period::Day });
        Some(Consent::Known(Standing { state, review, promised, sent, ..Standing::NONE }))
    });
    prop_oneof![1 => Just(None), 1 => Just(Some(Consent::Unavailable)), 4 => known]
}

fn modes() -> impl Strategy<Value = Modes> {
    prop::collection::vec(prop::sample::select(Mode::ALL.to_vec()), Rule::ALL.len()).prop_map(
        |list| {
            let mut modes = Modes::default();
            for (rule, mode) in Rule::ALL.into_iter().zip(list) {
                let _ = modes.set(rule, mode); // What is always enforced stays so.
            }
            modes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn the_trace_comes_to_the_decision(pieces in pieces(), modes in modes()) {
        let registry = registry();
        let facts = pieces.facts(registry);
        let decision = decide(&facts, &modes);
        let (mut refused, mut observed, mut first) = (None, 0, None);
        for look in trace(&facts, &modes) {
            prop_assert_eq!(look.mode, modes.of(look.rule));
            prop_assert_eq!(look.looked == Looked::Unreached, refused.is_some());
            if let Looked::Fired(reason) = look.looked {
                prop_assert_eq!(reason.rule(), look.rule);
                match look.mode {
                    Mode::Enforce => refused = Some(reason),
                    Mode::Observe => {
                        observed |= 1 << look.rule.code();
                        first = first.or(Some(reason));
                    }
                    Mode::Off => prop_assert!(false, "a rule that is off fired"),
                }
            }
        }
        prop_assert_eq!(decision.refused, refused);
        prop_assert_eq!(decision.observed.bits(), observed);
        prop_assert_eq!(decision.observed.first(), first);
    }

    #[test]
    fn nothing_passes_with_a_source_outside_the_registry(pieces in pieces()) {
        let registry = registry();
        let facts = pieces.facts(registry);
        if decide(&facts, &Modes::default()).refused.is_none() {
            let (id, provider) = facts.provider.unwrap();
            prop_assert!(facts.recipient.is_ok());
            match facts.allotment {
                Allotment::Code(found, code) => {
                    prop_assert_eq!(found.owner, id);
                    prop_assert!(provider.codes.contains(code));
                }
                Allotment::Alphanumeric(owners) => prop_assert!(owners.contains(&id)),
                Allotment::None => prop_assert!(false, "passed without an allotment"),
            }
        }
    }

    #[test]
    fn the_rate_hides_no_legal_refusal(pieces in pieces(), modes in modes()) {
        let registry = registry();
        let over = Pieces { over_rate: true, ..pieces.clone() };
        let within = Pieces { over_rate: false, ..pieces };
        let legal = decide(&within.facts(registry), &modes).refused;
        let refused = decide(&over.facts(registry), &modes).refused;
        prop_assert!(legal.is_none() || refused == legal);
    }

    #[test]
    fn observing_refuses_nothing_and_sees_what_enforcing_refuses(pieces in pieces()) {
        let registry = registry();
        let facts = pieces.facts(registry);
        let observed = decide(&facts, &Modes::new(Mode::Observe));
        prop_assert_eq!(observed.refused, None);
        prop_assert_eq!(observed.observed.first(), decide(&facts, &Modes::default()).refused);
        let off = decide(&facts, &Modes::new(Mode::Off));
        prop_assert_eq!(off, Decision::default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_000) })]

    #[test]
    fn nobody_is_advertised_to_without_having_said_yes(pieces in pieces()) {
        let registry = registry();
        let facts = pieces.facts(registry);
        let passes = decide(&facts, &Modes::default()).refused.is_none();
        if passes && nature(&facts) == Nature::Commercial && let Some(consent) = facts.consent {
            let Consent::Known(standing) = consent else {
                return Err(TestCaseError::fail("passed without knowing"));
            };
            prop_assert_eq!(standing.state, StandingState::Granted);
            prop_assert_eq!(standing.review, Review::Reviewed);
            prop_assert!(!standing.is_used_up());
        }
    }

    #[test]
    fn a_ledger_that_is_gone_hides_no_legal_refusal_and_stops_no_service(pieces in pieces()) {
        let registry = registry();
        let gone = Pieces { consent: Some(Consent::Unavailable), ..pieces.clone() };
        let facts = gone.facts(registry);
        let refused = decide(&facts, &Modes::default()).refused.map(|reason| reason.rule());
        let silent = Pieces { consent: None, ..pieces };
        let legal = decide(&silent.facts(registry), &Modes::default()).refused.map(|r| r.rule());
        match refused {
            Some(Rule::LedgerUnavailable) => {
                prop_assert!(nature(&facts) != Nature::Other);
                prop_assert!(legal.is_none() || legal == Some(Rule::RateExceeded));
            }
            other => prop_assert_eq!(other, legal),
        }
    }
}
