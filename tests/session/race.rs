//! A refusal against messages that are under way: whatever the order in which two sessions, the
//! journal and the ledger come to their turns, nothing is cleared for who has refused.

use std::net::SocketAddr;

use consentry::consent::{CACHE_OCTETS_MIN, Event, Ledger, Options, Question};
use consentry::content::Reader;
use consentry::policy::{Consent, Modes, Review};
use consentry::registry::{Msisdn, Registry};
use consentry::session::{
    Desk, Knowledge, Moment, Parties, Session, Side, Texts, Timeouts, UnknownCommand,
};
use consentry::smpp::message::WireAddress;
use consentry::smpp::write::{self, BindFields, MessageFields};
use consentry::smpp::{Command, CommandStatus};

/// Orders that are tried.
const INTERLEAVINGS: u64 = 100_000;
const SECOND: u64 = 1_000_000;
const SHOP: &str = "测试有限公司";
const CODE: &[u8] = b"106900001234";
const BEGIN_US: u64 = 1_790_000_000 * SECOND;

fn registry() -> Registry {
    let text = "[[provider]]\nname = \"测试有限公司\"\nsystem_ids = [\"t\"]\nidentity = \"verified\"\nsweep = \"off\"\n\
                licence = { number = \"1\", valid_until = 2099-12-31 }\n\
                [[provider.code]]\nnumber = \"106900001234\"\npurpose = \"commercial\"\n";
    consentry::registry::parse(text, "registry.toml").expect("a registry")
}

/// The same sequence for the same seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }
}

struct Play {
    knowledge: Knowledge,
    ledger: Ledger,
    desk: Desk,
    step: u64,
}

impl Play {
    fn now(&self) -> Moment {
        Moment { wall_us: BEGIN_US + self.step, steady_us: self.step }
    }

    fn bound(&mut self) -> Session {
        let day = 86_400 * SECOND;
        let timeouts = Timeouts { bind_us: day, idle_us: day, response_us: day };
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut session = Session::new(1, peer, "test", timeouts, Default::default(), self.now());
        let mut octets = Vec::new();
        let fields = BindFields {
            system_id: b"t",
            password: b"",
            system_type: b"",
            interface_version: 0x34,
        };
        write::bind(&mut octets, Command::BindTransceiver, 1, fields);
        session.receive(Side::Esme, &octets, self.now());
        assert!(self.judge(&mut session));
        session.recorded();
        session.release();
        let mut answer = Vec::new();
        let id = Command::BindTransceiver.response_id();
        write::header_only(&mut answer, id, CommandStatus::ESME_ROK, 1);
        session.receive(Side::Smsc, &answer, self.now());
        self.relay(&mut session, &mut Vec::new());
        session
    }

    fn relay(&mut self, session: &mut Session, out: &mut Vec<u8>) {
        let now = self.now();
        session.relay(&self.knowledge, &mut self.desk, out, now);
    }

    fn judge(&mut self, session: &mut Session) -> bool {
        let (ledger, now) = (&self.ledger, self.now());
        let mut ask = |questions: &[Question], answers: &mut Vec<Consent>| {
            ledger.standings(questions, now.wall_us, answers);
        };
        session.judge(&self.knowledge, &mut self.desk, &mut ask, now)
    }

    /// The records are kept: what still may, goes on. How many messages do.
    fn release(&mut self, session: &mut Session) -> usize {
        session.recorded();
        let (ledger, now) = (&self.ledger, self.now());
        let mut ask = |questions: &[Question], answers: &mut Vec<Consent>| {
            ledger.standings(questions, now.wall_us, answers);
        };
        session.ask_again(&self.knowledge, &mut self.desk, &mut ask, now);
        let cleared = session.cleared().map(|one| one.octets().len()).sum();
        session.take_replies(&mut Vec::new());
        session.release();
        cleared
    }

    /// The handset refuses; from here on nothing may be cleared.
    fn refuse(&mut self, session: &mut Session, from: &str) {
        session.receive(
            Side::Smsc,
            &message(Command::DeliverSm, 9, from, CODE, "退订"),
            self.now(),
        );
        let mut out = Vec::new();
        self.relay(session, &mut out);
        assert!(out.is_empty(), "it waits for the ledger");
        let events: Vec<Event> = session.heard().0.clone();
        assert_eq!(events.len(), 1);
        self.ledger
            .append(&events, self.now().wall_us, &mut Vec::new())
            .expect("the ledger takes it");
        session.heeded();
        self.relay(session, &mut out);
        assert!(!out.is_empty(), "then it goes on");
    }
}

fn message(command: Command, sequence: u32, from: &str, to: &[u8], text: &str) -> Vec<u8> {
    let octets: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let address = |value| WireAddress { ton: 0, npi: 1, value };
    let fields = MessageFields {
        source: address(from.as_bytes()),
        destination: address(to),
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: &octets,
    };
    let mut pdu = Vec::new();
    write::message(&mut pdu, command, sequence, fields, |_| {});
    pdu
}

fn play(folder: &std::path::Path) -> Play {
    let (cache_octets, silent_after_us, on_sync) = (CACHE_OCTETS_MIN, 1, None);
    let options = Options { cache_octets, warm: false, silent_after_us, on_sync };
    let ledger = Ledger::open(&folder.join("consent"), options).expect("a ledger");
    let modes = Modes::default();
    let reader = Reader::built_in().expect("weights");
    let texts = Texts::new(reader, Default::default(), Vec::new(), &modes);
    let mut knowledge = Knowledge::new(registry(), texts, modes);
    knowledge.unknown_command = UnknownCommand::Refuse;
    knowledge.parties = Parties {
        entities: vec![ledger.entity(SHOP).expect("an entity")],
        scopes: vec![ledger.scope("").expect("a scope")],
    };
    Play { knowledge, ledger, desk: Desk::default(), step: 0 }
}

#[test]
fn nothing_is_cleared_for_who_has_refused_in_any_of_a_hundred_thousand_orders() {
    use consentry::consent::{Grant, Happened, Proof, ProofKind, Scope, Source};
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut play = play(folder.path());
    let mut chance = Chance(seed);
    let entity = play.knowledge.parties.entities[0];
    let (mut sender, mut hearer) = (play.bound(), play.bound());
    let advertisement = "【测试】周末全场五折，点击选购。回T退订";
    let (mut passed, mut taken_back) = (0_u64, 0_u64);
    for round in 0..INTERLEAVINGS {
        let number = 8_613_800_000_000 + round;
        let (recipient, written) = (Msisdn::new(number).expect("a number"), number.to_string());
        let proof = Proof { kind: ProofKind::Web, sha256: [7; 32], review: Review::Reviewed };
        let grant = Grant {
            scope: Scope::ALL,
            class: Default::default(),
            until_us: None,
            promise: None,
            proof,
        };
        let (time_us, source) = (play.now().wall_us, Source::Operator);
        let event =
            Event { entity, recipient, time_us, source, happened: Happened::Granted(grant) };
        play.ledger.append(&[event], time_us, &mut Vec::new()).expect("the ledger takes it");
        // Steps of the sender: judge, release; of the hearer: refuse. In any order, twice over.
        let refuse_at = chance.below(5);
        let mut refused = false;
        let mut under_way = false;
        for step in 0..5 {
            play.step += 1 + chance.below(3);
            if step == refuse_at {
                play.refuse(&mut hearer, &written);
                refused = true;
            }
            if under_way {
                let cleared = play.release(&mut sender);
                assert!(!refused || cleared == 0, "seed {seed}, round {round}, step {step}");
                passed += u64::from(cleared > 0);
                taken_back += u64::from(cleared == 0 && step == refuse_at);
                under_way = false;
            } else {
                let sequence = (round * 8 + step + 2) as u32 & 0x3fff_ffff;
                let pdu = message(
                    Command::SubmitSm,
                    sequence,
                    "106900001234",
                    written.as_bytes(),
                    advertisement,
                );
                sender.receive(Side::Esme, &pdu, play.now());
                under_way = play.judge(&mut sender);
            }
        }
        if under_way {
            assert_eq!(play.release(&mut sender), 0, "seed {seed}, round {round}: at the end");
        }
        // The SMSC answers, so that the window stays open.
        let mut answers = Vec::new();
        for step in 0..5 {
            let sequence = (round * 8 + step + 2) as u32 & 0x3fff_ffff;
            let id = Command::SubmitSm.response_id();
            write::header_only(&mut answers, id, CommandStatus::ESME_ROK, sequence);
        }
        sender.receive(Side::Smsc, &answers, play.now());
        play.relay(&mut sender, &mut Vec::new());
        sender.later_records().clear();
        hearer.later_records().clear();
    }
    assert!(passed > INTERLEAVINGS / 10, "{passed} passed before the refusal");
    assert!(taken_back > INTERLEAVINGS / 10, "{taken_back} were taken back under way");
}
