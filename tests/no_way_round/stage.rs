//! Three binds of one provider, over one node or three, and how a few people stand with it.

use std::net::SocketAddr;
use std::sync::Arc;

use consentry::consent::{CACHE_OCTETS_MIN, EntityId, Ledger, Options, Question};
use consentry::content::{Prohibited, Reader, Templates};
use consentry::policy::{Consent, Modes, Period, Promise, Review, Rule, Standing, StandingState};
use consentry::registry::{Address, Npi, Ton, recipient};
use consentry::session::originals::Originals;
use consentry::session::{
    CodeTemplates, Desk, Fate, HoldTimes, Joinings, Knowledge, LongMessages, Moment, MultiPolicy,
    Parties, Rates, Session, Side, Texts, Timeouts,
};
use consentry::smpp::frame::cut;
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

/// What became of one PDU, by its sequence_number.
pub struct Outcome {
    pub sequence: u32,
    /// When, in seconds of the stage's clock.
    pub at_s: u64,
    /// What went on, octet for octet; nothing where it was refused.
    pub cleared: Vec<u8>,
    /// By which rule it was refused.
    pub refused: Option<Rule>,
}

/// What the operator decides of long messages and of several recipients.
#[derive(Debug, Clone, Copy)]
pub struct Configured {
    pub long_messages: LongMessages,
    pub submit_multi: MultiPolicy,
    /// How many nodes the binds are spread over: of what one remembers the others know nothing.
    pub nodes: usize,
}

/// The provider's binds.
pub const BINDS: usize = 3;

/// Longest wait for the parts of a message, seconds.
pub const DEADLINE_S: u64 = 60;

/// Parts wait for each other; a sender that is silent for so long is taken to wait for an answer.
pub fn hold(silence_s: u64) -> LongMessages {
    let (deadline_us, silence_us) = (DEADLINE_S * SECOND_US, silence_s * SECOND_US);
    LongMessages::Hold(HoldTimes { deadline_us, silence_us })
}

/// What is judged by on each node, and the binds under way.
pub struct Stage {
    nodes: Vec<Knowledge>,
    /// How many of them there are.
    spread: usize,
    desk: Desk,
    sessions: Vec<Session>,
    now_us: u64,
    /// Messages that the SMSC took: its ids.
    taken: u32,
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
        let (desk, sessions, spread) = (Desk::default(), Vec::new(), 1);
        Stage { nodes: vec![knowledge], spread, desk, sessions, now_us: 0, taken: 0 }
    }

    /// By what a bind is judged.
    fn node(&self, bind: usize) -> &Knowledge {
        &self.nodes[bind % self.spread]
    }

    fn now(&self) -> Moment {
        let steady_us = self.now_us;
        Moment { wall_us: BEGIN_US + steady_us, steady_us }
    }

    /// What becomes meanwhile of parts that wait.
    pub fn wait(&mut self, seconds: u64) -> Vec<Outcome> {
        let until_us = self.now_us + seconds * SECOND_US;
        let mut outcomes = Vec::new();
        loop {
            let deadlines = self.sessions.iter().map(|one| one.hold_deadline_us());
            let next_us = deadlines.min().unwrap_or(u64::MAX);
            if next_us > until_us {
                self.now_us = until_us;
                return outcomes;
            }
            self.now_us = self.now_us.max(next_us);
            outcomes.extend(self.judge_all());
        }
    }

    /// Fresh binds over listeners with these options; nothing is remembered.
    pub fn begin(&mut self, route: text::Options, configured: Configured) {
        self.spread = configured.nodes;
        while self.nodes.len() < self.spread {
            let Stage { nodes, .. } = Stage::new();
            self.nodes.extend(nodes);
        }
        for knowledge in &mut self.nodes {
            knowledge.long_messages = configured.long_messages;
            let deadline_us = DEADLINE_S * SECOND_US;
            knowledge.whole_within_us = (configured.nodes > 1).then_some(deadline_us);
            knowledge.submit_multi = configured.submit_multi;
            *knowledge.originals() = Originals::new(100);
            let providers = knowledge.registry.providers().len();
            knowledge.joinings = Joinings::new(providers, text::joining::Limits::default());
            knowledge.rates = Rates::new(&knowledge.registry);
        }
        self.sessions.clear();
        for system_id in [b"shop1", b"shop2", b"shop1"] {
            let timeouts = Timeouts { bind_us: DAY_US, idle_us: DAY_US, response_us: DAY_US };
            let peer = SocketAddr::from(([127, 0, 0, 1], 1));
            let now = self.now();
            self.sessions.push(Session::new(1, peer, "test", timeouts, route, now));
            let bind = self.sessions.len() - 1;
            let mut octets = Vec::new();
            let (password, system_type, interface_version) = (b"".as_slice(), b"".as_slice(), 0x34);
            let fields = BindFields { system_id, password, system_type, interface_version };
            write::bind(&mut octets, Command::BindTransceiver, 1, fields);
            self.give(bind, &octets);
            self.answer(bind, Command::BindTransceiver.response_id(), 1);
        }
    }

    /// The ids that the SMSC gives to what goes on of these PDUs.
    pub fn ids_of(&mut self, bind: usize, octets: &[u8]) -> Vec<String> {
        let before = self.taken;
        self.give(bind, octets);
        let mut ids = Vec::new();
        // Parts that wait for each other have theirs later.
        self.wait(DEADLINE_S);
        ids.extend((before + 1..=self.taken).map(|taken| format!("id{taken}")));
        ids
    }

    fn answer(&mut self, bind: usize, command_id: u32, sequence: u32) {
        let mut octets = Vec::new();
        self.taken += 1;
        let id = format!("id{}", self.taken);
        write::pdu(&mut octets, command_id, CommandStatus::ESME_ROK, sequence, |body| {
            write::c_octets(body, id.as_bytes());
        });
        let now = self.now();
        let knowledge = &self.nodes[bind % self.spread];
        let session = &mut self.sessions[bind];
        session.receive(Side::Smsc, &octets, now);
        session.relay(knowledge, &mut self.desk, &mut Vec::new(), now);
    }

    /// One PDU from the ESME, recorded at once: what becomes of it, and of parts that waited for it.
    pub fn give(&mut self, bind: usize, octets: &[u8]) -> Vec<Outcome> {
        let now = self.now();
        self.sessions[bind].receive(Side::Esme, octets, now);
        let mut outcomes = self.judge(bind);
        outcomes.extend(self.judge_all());
        outcomes
    }

    /// Wakes all binds until none has anything to judge.
    fn judge_all(&mut self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        loop {
            let before = outcomes.len();
            for bind in 0..self.sessions.len() {
                outcomes.extend(self.judge(bind));
            }
            let mut sessions = self.sessions.iter().enumerate();
            let has_news = sessions.any(|(bind, one)| one.hold_has_news(self.node(bind)));
            if outcomes.len() == before && !has_news {
                return outcomes;
            }
        }
    }

    /// What waits at one bind. What goes on is answered by the SMSC.
    fn judge(&mut self, bind: usize) -> Vec<Outcome> {
        let now = self.now();
        let mut outcomes = Vec::new();
        loop {
            let knowledge = &self.nodes[bind % self.spread];
            if !self.sessions[bind].judge(knowledge, &mut self.desk, &mut ask, now) {
                break;
            }
            let session = &mut self.sessions[bind];
            session.recorded();
            let cleared: Vec<u8> =
                session.cleared().flat_map(|one| one.octets().to_vec()).collect();
            // In their order: a number may be used twice. Binds have no outcome.
            let mut cleared = frames(&cleared).into_iter().filter(|pdu| {
                Header::of(pdu).is_some_and(|header| header.command != Command::BindTransceiver)
            });
            let decided: Vec<_> = session
                .decided()
                .filter_map(|(frame, fate)| Some((Header::of(frame)?, fate)))
                .collect();
            session.take_replies(&mut Vec::new());
            session.release();
            for (header, fate) in decided {
                let sequence = header.sequence_number;
                let (refused, cleared) = match fate {
                    Fate::Refused(rule) => (rule, Vec::new()),
                    Fate::Unjudged => continue,
                    Fate::Passed(_) => {
                        self.answer(bind, header.command.response_id(), sequence);
                        (None, cleared.next().expect("what passes goes on"))
                    }
                };
                let at_s = now.steady_us / SECOND_US;
                outcomes.push(Outcome { sequence, at_s, cleared, refused });
            }
            assert_eq!(cleared.next(), None, "what is refused does not go on");
        }
        outcomes
    }
}

fn frames(mut octets: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Ok(Some(length)) = cut(octets, octets.len()) {
        frames.push(octets[..length].to_vec());
        octets = &octets[length..];
    }
    frames
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
