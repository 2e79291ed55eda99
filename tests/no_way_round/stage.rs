//! Two binds of one provider, and how a few people stand with it.

use std::net::SocketAddr;
use std::sync::Arc;

use consentry::consent::{CACHE_OCTETS_MIN, EntityId, Ledger, Options, Question};
use consentry::content::{Prohibited, Reader, Templates};
use consentry::policy::{Consent, Modes, Period, Promise, Review, Rule, Standing, StandingState};
use consentry::registry::{Address, Npi, Ton, recipient};
use consentry::session::{
    CodeTemplates, Desk, Joinings, Knowledge, Moment, Parties, Rates, Session, Side, Texts,
    Timeouts,
};
use consentry::smpp::message::WireAddress;
use consentry::smpp::multi::{Destination, SubmitMulti};
use consentry::smpp::write::{self, BindFields};
use consentry::smpp::{Command, CommandStatus, Header};
use consentry::text;

const SECOND_US: u64 = 1_000_000;
const DAY_US: u64 = 86_400 * SECOND_US;
const BEGIN_US: u64 = 1_790_000_000 * SECOND_US;

const REGISTRY: &str = r#"
[[provider]]
name       = "示例商城有限公司"
system_ids = ["shop1", "shop2"]
identity   = "verified"
licence    = { number = "1", valid_until = 2099-12-31 }
code = [
    { number = "106900005678", digits_max = 16, purpose = "commercial", signatures = ["示例商城"] },
    { number = "106900001111", digits_max = 20, purpose = "service" },
    { number = "106900002222", digits_max = 20, purpose = "service" },
    { number = "106900008888", digits_max = 20, purpose = "mixed" },
    { number = "106990001234", digits_max = 20, purpose = "public", filing = { number = "1", valid_until = 2099-12-31 } },
]

[[provider]]
name       = "示例银行股份有限公司"
system_ids = ["bank"]
identity   = "verified"
licence    = { number = "2", valid_until = 2099-12-31 }
code       = [{ number = "95588", digits_max = 20, purpose = "service" }]
"#;

/// What became of one PDU.
pub struct Fate {
    /// What went on, octet for octet.
    pub cleared: Vec<u8>,
    /// By which rule it was refused.
    pub refused: Option<Rule>,
}

/// What is judged by, and two binds under way.
pub struct Stage {
    knowledge: Knowledge,
    desk: Desk,
    sessions: Vec<Session>,
    now_s: u64,
}

impl Stage {
    pub fn new() -> Stage {
        let registry = consentry::registry::parse(REGISTRY, "registry.toml").expect("a registry");
        let modes = Modes::default();
        let templates =
            Templates::parse("orders.txt", "您的验证码是{digits:4-8}，五分钟内有效。\n");
        let with_templates = CodeTemplates {
            service: Some(Arc::new(templates.expect("templates"))),
            requests: None,
        };
        let templates = vec![CodeTemplates::default(), with_templates];
        let list = Prohibited::parse_all(&[("list.txt", "# version 1\n代开发票\n")]);
        let reader = Reader::built_in().expect("weights");
        let texts = Texts::new(reader, list.expect("a list"), templates, &modes);
        let mut knowledge = Knowledge::new(registry, texts, modes);
        let scopes = Vec::new();
        knowledge.parties = Parties { entities: entities(), scopes };
        Stage { knowledge, desk: Desk::default(), sessions: Vec::new(), now_s: 0 }
    }

    fn now(&self) -> Moment {
        let steady_us = self.now_s * SECOND_US;
        Moment { wall_us: BEGIN_US + steady_us, steady_us }
    }

    pub fn wait(&mut self, seconds: u64) {
        self.now_s += seconds;
    }

    /// Two fresh binds over listeners with these options; nothing is remembered.
    pub fn begin(&mut self, route: text::Options) {
        let providers = self.knowledge.registry.providers().len();
        self.knowledge.joinings = Joinings::new(providers, text::joining::Limits::default());
        self.knowledge.rates = Rates::new(&self.knowledge.registry);
        self.sessions.clear();
        for system_id in [b"shop1", b"shop2"] {
            let timeouts = Timeouts { bind_us: DAY_US, idle_us: DAY_US, response_us: DAY_US };
            let peer = SocketAddr::from(([127, 0, 0, 1], 1));
            let now = self.now();
            self.sessions.push(Session::new(1, peer, "test", timeouts, route, now));
            let bind = self.sessions.len() - 1;
            let mut octets = Vec::new();
            let (password, system_type, interface_version) = (b"".as_slice(), b"".as_slice(), 0x34);
            let fields = BindFields { system_id, password, system_type, interface_version };
            write::bind(&mut octets, Command::BindTransceiver, 1, fields);
            assert_eq!(self.give(bind, &octets).cleared, octets);
            self.answer(bind, Command::BindTransceiver.response_id(), 1);
        }
    }

    fn answer(&mut self, bind: usize, command_id: u32, sequence: u32) {
        let mut octets = Vec::new();
        write::pdu(&mut octets, command_id, CommandStatus::ESME_ROK, sequence, |body| {
            write::c_octets(body, b"id");
        });
        let now = self.now();
        let session = &mut self.sessions[bind];
        session.receive(Side::Smsc, &octets, now);
        session.relay(&self.knowledge, &mut self.desk, &mut Vec::new(), now);
    }

    /// One PDU from the ESME, recorded at once. What goes on is answered by the SMSC.
    pub fn give(&mut self, bind: usize, octets: &[u8]) -> Fate {
        let now = self.now();
        let session = &mut self.sessions[bind];
        session.tally().clear();
        session.receive(Side::Esme, octets, now);
        let mut cleared = Vec::new();
        while session.judge(&self.knowledge, &mut self.desk, &mut ask, now) {
            session.recorded();
            cleared.extend(session.cleared().flat_map(|one| one.octets().to_vec()));
            session.take_replies(&mut Vec::new());
            session.release();
        }
        let tally = session.tally();
        let refused =
            Rule::ALL.into_iter().find(|rule| tally.refused[usize::from(rule.code())] > 0);
        if let Some(header) = Header::of(&cleared).filter(|header| header.command.carries_message())
        {
            self.answer(bind, header.command.response_id(), header.sequence_number);
        }
        Fate { cleared, refused }
    }
}

/// The entities of a ledger that holds nothing: who is who, in the order of the registry.
fn entities() -> Vec<EntityId> {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        cache_octets: CACHE_OCTETS_MIN,
        warm: false,
        silent_after_us: DAY_US,
        on_sync: None,
    };
    let ledger = Ledger::open(folder.path(), options).expect("a ledger");
    let names = ["示例商城有限公司", "示例银行股份有限公司"];
    names.map(|name| ledger.entity(name).expect("a number for it")).to_vec()
}

/// Stands in for the ledger: everybody whom [`crate`] names, and strangers.
fn ask(questions: &[Question], answers: &mut Vec<Consent>) {
    let granted = Standing {
        state: StandingState::Granted,
        review: Review::Reviewed,
        from_us: 1,
        event: 1,
        ..Standing::NONE
    };
    answers.extend(questions.iter().map(|question| {
        let number = question.recipient.unmasked();
        Consent::Known(match number.trim_start_matches("86") {
            crate::GRANTED | crate::FRIEND => granted,
            crate::REVOKED => Standing { state: StandingState::Revoked, ..granted },
            crate::EXPIRED => Standing { until_us: BEGIN_US - 1, ..granted },
            crate::USED_UP => {
                let promised = Some(Promise { messages: 1, period: Period::Month });
                Standing { promised, sent: 1, ..granted }
            }
            _ => Standing::NONE,
        })
    }));
}

fn is_to(wire: &WireAddress<'_>, person: &str) -> bool {
    let canonical = |ton, npi, value| {
        recipient(&Address { ton: Ton(ton), npi: Npi(npi), value }).map(|one| one.msisdn)
    };
    let meant = canonical(0, 1, person.as_bytes());
    meant.is_ok() && canonical(wire.ton, wire.npi, wire.value) == meant
}

/// Whether what went on goes to that person. What is no submit_multi was sent to nobody else.
pub fn reaches(cleared: &[u8], person: &str) -> bool {
    match Header::of(cleared).map(|header| header.command) {
        Some(Command::SubmitMulti) => {
            let multi = SubmitMulti::parse(cleared).expect("a submit_multi");
            multi.destinations().any(|one| match one {
                Destination::Sme(address) => is_to(&address, person),
                Destination::DistributionList(_) => true,
            })
        }
        Some(_) => true,
        None => false,
    }
}
