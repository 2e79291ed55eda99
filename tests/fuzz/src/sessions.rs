//! A whole session, without sockets: octets from both sides, cut anywhere.

use std::cell::RefCell;
use std::net::SocketAddr;

use consentry::content::Reader;
use consentry::policy::Modes;
use consentry::session::{
    Announced, Desk, Joinings, Knowledge, Moment, Rates, Session, Side, Texts, Timeouts,
};
use consentry::smpp::frame::{PDU_OCTETS_MAX, cut};
use consentry::smpp::write::{self, BindFields};
use consentry::smpp::{Command, CommandStatus, Header};
use consentry::text::Options;
use consentry::text::joining::Limits;

use crate::input::Input;

const SECOND_US: u64 = 1_000_000;
/// 2026-05-02T00:00:00+08:00.
const BEGIN_US: u64 = 1_777_651_200 * SECOND_US;

thread_local! {
    static KNOWLEDGE: RefCell<Knowledge> = RefCell::new(knowledge());
}

fn knowledge() -> Knowledge {
    let text = include_str!("../../../proto-fixtures/policy/registry.toml");
    let registry = consentry::registry::parse(text, "registry.toml").expect("a registry");
    let modes = Modes::default();
    let reader = Reader::built_in().expect("weights");
    let texts = Texts::new(reader, Default::default(), Vec::new(), &modes);
    Knowledge::new(registry, texts, modes)
}

/// What a session made of its octets.
#[derive(Debug, PartialEq)]
struct Outcome {
    to_smsc: Vec<u8>,
    refusals: Vec<u8>,
    to_esme: Vec<u8>,
    end: Option<&'static str>,
}

fn bound(knowledge: &Knowledge) -> Session {
    let timeouts =
        Timeouts { bind_us: 30 * SECOND_US, idle_us: 600 * SECOND_US, response_us: 60 * SECOND_US };
    let peer = SocketAddr::from(([203, 0, 113, 7], 40_000));
    let now = Moment { wall_us: BEGIN_US, steady_us: 0 };
    let mut session = Session::new(1, peer, "fuzz", timeouts, Options::default(), now);
    let mut octets = Vec::new();
    let fields = BindFields {
        system_id: b"shop1",
        password: b"",
        system_type: b"",
        interface_version: 0x34,
    };
    write::bind(&mut octets, Command::BindTransceiver, 1, fields);
    session.receive(Side::Esme, &octets, now);
    assert!(session.judge(knowledge, &mut Desk::default(), &mut |_, _| {}, now));
    session.recorded();
    session.release();
    octets.clear();
    let ok = CommandStatus::ESME_ROK;
    write::header_only(&mut octets, Command::BindTransceiverResp.id(), ok, 1);
    session.receive(Side::Smsc, &octets, now);
    session.relay(knowledge, &mut Desk::default(), &mut Vec::new(), now);
    session
}

/// Plays pieces; `whole` gives each side's octets in one read.
fn play(pieces: &[(Side, &[u8])]) -> Outcome {
    KNOWLEDGE.with_borrow_mut(|knowledge| {
        knowledge.joinings = Joinings::new(knowledge.registry.providers().len(), Limits::default());
        knowledge.rates = Rates::new(&knowledge.registry);
        knowledge.announced = Announced::default().into();
        let (mut session, mut desk) = (bound(knowledge), Desk::default());
        let now = Moment { wall_us: BEGIN_US, steady_us: 0 };
        let mut outcome =
            Outcome { to_smsc: Vec::new(), refusals: Vec::new(), to_esme: Vec::new(), end: None };
        for (side, octets) in pieces {
            session.receive(*side, octets, now);
            session.relay(knowledge, &mut desk, &mut outcome.to_esme, now);
            while !session.heard().0.is_empty() {
                session.heeded();
                session.relay(knowledge, &mut desk, &mut outcome.to_esme, now);
            }
            while session.judge(knowledge, &mut desk, &mut |_, _| {}, now) {
                session.recorded();
                outcome.to_smsc.extend(session.cleared().flat_map(|one| one.octets().to_vec()));
                session.take_replies(&mut outcome.refusals);
                session.release();
            }
            session.take_replies(&mut outcome.refusals);
        }
        outcome.end = session.ending().map(|reason| reason.name());
        if outcome.end == Some("esme_framing") {
            // The sequence_number of a header that was lost is known only when so much of it had come.
            outcome.refusals.truncate(outcome.refusals.len() - 4);
            outcome.refusals.extend([0; 4]);
        }
        outcome
    })
}

fn frames(mut octets: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Ok(Some(length)) = cut(octets, PDU_OCTETS_MAX) {
        let (frame, rest) = octets.split_at(length);
        found.push(frame);
        octets = rest;
    }
    found
}

/// What goes on are whole PDUs of those that came, in their order; every refusal answers one that did not;
/// what the SMSC says crosses as it came; and however the ESME's octets are cut, all that is the same.
pub fn session(octets: &[u8]) {
    let mut input = Input(octets);
    let from_smsc = input.piece();
    let (mut pieces, esme) = (Vec::new(), input.0);
    while !input.0.is_empty() {
        let length = usize::from(input.octet()) + 1;
        pieces.push(length);
        input.octets(length);
    }
    let whole = play(&[(Side::Esme, esme), (Side::Smsc, from_smsc)]);
    let mut cuts = Vec::new();
    let mut rest = esme;
    for length in pieces {
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        cuts.push((Side::Esme, piece));
        rest = behind;
    }
    cuts.push((Side::Esme, rest));
    cuts.push((Side::Smsc, from_smsc));
    assert_eq!(play(&cuts), whole);
    assert!(from_smsc.starts_with(&whole.to_esme), "what the SMSC says crosses as it came");

    let mut came = frames(esme).into_iter();
    for gone in frames(&whole.to_smsc) {
        assert!(came.any(|frame| frame == gone), "nothing goes on that did not come");
    }
    let total: usize = frames(&whole.to_smsc).iter().map(|frame| frame.len()).sum();
    assert_eq!(total, whole.to_smsc.len(), "only whole PDUs go on");
    let refusals = frames(&whole.refusals);
    assert_eq!(refusals.len() * 16, whole.refusals.len(), "a refusal is sixteen octets");
    let lost = usize::from(whole.end.is_some());
    let refused = frames(esme).len().saturating_sub(frames(&whole.to_smsc).len());
    assert!(refusals.len() <= refused + lost, "a PDU that goes on is not refused as well");
    let asked: Vec<u32> = frames(esme)
        .iter()
        .filter_map(|frame| Header::of(frame))
        .map(|h| h.sequence_number)
        .collect();
    for answer in refusals.iter().filter_map(|frame| Header::of(frame)) {
        assert!(lost == 1 || asked.contains(&answer.sequence_number));
    }
}
