//! The pair's state and its verbs; judging and relaying have files of their own.

use std::net::SocketAddr;

use super::batch::Vouched;
use super::end::EndReason;
use super::hold::Hold;
use super::knowledge::Knowledge;
use super::left_out::LeftOuts;
use super::looked::Looked;
use super::moment::Moment;
use super::multi::Multi;
use super::originals::mark;
use super::probe::Probe;
use super::seats::Seat;
use super::table::{BindKind, BindState};
use super::tally::Tally;
use super::window::Window;
use crate::audit::Records;
use crate::consent::Event;
use crate::policy::Rule;
use crate::registry::{Presented, ProviderId};
use crate::smpp::frame::FrameBuf;
use crate::smpp::{Command, CommandStatus};
use crate::text;

/// Most frames that one batch holds. What is left waits for the next, in the same turn.
pub const FRAMES_A_TURN: usize = 512;

/// One of the two peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The content provider's side.
    Esme,
    /// The carrier's side.
    Smsc,
}

/// How long a session waits, microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a bind after the connection, and for the SMSC's answer to it.
    pub bind_us: u64,
    /// For anything at all from the ESME.
    pub idle_us: u64,
    /// For the SMSC's answer to a request.
    pub response_us: u64,
}

/// What was decided of one frame of the batch under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) octets: u32,
    pub(super) kind: StepKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepKind {
    /// A judged request that goes on; `observed` is the code of the rule that would have refused
    /// it, or 0. With `asks_receipt` one of its octets is changed, to ask for a receipt; with `strips` it
    /// goes on without the parameters that name another sender.
    Pass { command: Command, sequence_number: u32, observed: u8, asks_receipt: bool, strips: bool },
    /// A submit_multi that goes on to some of its destinations, in octets of its own.
    Narrowed { sequence_number: u32, observed: u8 },
    /// A frame without text that goes on.
    Cross,
    /// A judged request that was answered here; `rule` is the code of the rule that refused it.
    Refused { command: Command, sequence_number: u32, rule: u8 },
    /// Answered or swallowed without a verdict.
    Kept,
}

/// What became of a frame from the ESME. A bind that was let through crosses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It went on without a verdict, or was answered or dropped without one.
    Unjudged,
    /// It went on; in observe mode a rule may have been against it.
    Passed(Option<Rule>),
    /// It was answered here, because of that rule.
    Refused(Option<Rule>),
}

/// The octets of a bind that may have to be sent again; they hold a password and are never shown.
#[derive(Default)]
pub(super) struct KeptBind(pub(super) Vec<u8>);

impl std::fmt::Debug for KeptBind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeptBind({} octets)", self.0.len())
    }
}

/// One ESME-SMSC pair.
#[derive(Debug)]
pub struct Session {
    pub(super) id: u64,
    pub(super) peer: SocketAddr,
    /// What the ESME showed of itself before SMPP began.
    pub(super) presented: Presented,
    pub(super) listener: String,
    pub(super) timeouts: Timeouts,
    pub(super) state: BindState,
    pub(super) provider: Option<ProviderId>,
    /// Whose it was, where the registry does not have him any more.
    pub(super) last_provider: Option<ProviderId>,
    /// Its place among the provider's sessions.
    pub(super) seat: Option<Seat>,
    /// [`mark`] of the provider's name, and of the SMSC: of its address as configured, once there is a
    /// connection; before that, and where nobody says, of the listener.
    pub(super) owner: u64,
    pub(super) smsc_mark: u64,
    pub(super) system_id: Vec<u8>,
    pub(super) bind: Option<(Command, u32)>,
    /// Where there are several SMSCs, the first bind is kept until one of them answers it.
    pub(super) keeps_bind: bool,
    pub(super) kept_bind: KeptBind,
    /// Whether there is another SMSC that it may be sent to.
    pub(super) has_another_smsc: bool,
    /// The SMSC said that it cannot: what it sends more is of no account.
    pub(super) is_bind_lost: bool,
    /// How it answered the bind, until somebody looks.
    pub(super) bind_answer: Option<CommandStatus>,
    /// When the SMSC last answered a request, on the steady clock; 0 before.
    pub(super) answered_us: u64,
    /// What is known of the SMSC leg, where the session enquires of itself.
    pub(super) probe: Option<Probe>,
    pub(super) esme: FrameBuf,
    pub(super) smsc: FrameBuf,
    /// Parts that wait for their message to be complete.
    pub(super) hold: Hold,
    /// The batch that waits for the ledger.
    pub(super) looked: Looked,
    pub(super) steps: Vec<Step>,
    /// Of the messages in `steps`, those that pass on the consent ledger's word.
    pub(super) vouched: Vec<Vouched>,
    /// The submit_multis in `steps`, of which something may go on.
    pub(super) multis: Vec<Multi>,
    /// Of those that went on, the destinations that did not get them.
    pub(super) left_outs: LeftOuts,
    /// How the SMSC reads what the specifications leave to it.
    pub(super) text_options: text::Options,
    pub(super) under_way: bool,
    pub(super) replies: Vec<u8>,
    pub(super) batch_records: Records,
    pub(super) later_records: Records,
    /// What handsets answered: the ledger has to know before their frames go on.
    pub(super) heard: Vec<Event>,
    /// The records of these answers.
    pub(super) reply_records: Records,
    /// Octets from the SMSC, from the front, in which answers were looked for already.
    pub(super) listened_octets: usize,
    /// Whether receipts are asked for that the ESME did not ask for.
    pub(super) asks_receipts: bool,
    /// Whether messages go on without the parameters that name another sender; else they are refused.
    pub(super) strips_second_sender: bool,
    /// The messages of the batch that do, by their steps, as they go on.
    pub(super) stripped: Vec<(usize, Vec<u8>)>,
    /// Our answers to receipts that are kept back, and the records that they wait for.
    pub(super) kept_answers: Vec<u8>,
    pub(super) kept_records: Records,
    pub(super) window: Window,
    pub(super) tally: Tally,
    pub(super) own_frame: Vec<u8>,
    pub(super) draining: bool,
    pub(super) unbound: [bool; 2],
    pub(super) ending: Option<EndReason>,
    /// Of the time of day; those below are of the steady clock.
    pub(super) since_us: u64,
    pub(super) bind_since_us: u64,
    pub(super) esme_active_us: u64,
    pub(super) progress_us: u64,
    /// Whether we do not hear the SMSC, or do not pass on what it said; see [`Session::hold_smsc`].
    pub(super) holds_smsc: bool,
    /// When we last did not.
    pub(super) held_until_us: u64,
    pub(super) forwarded: u64,
    pub(super) refused: u64,
    pub(super) unanswered: u64,
}

impl Session {
    /// A session whose ESME connected at `now`. `id` is the journal's next session id.
    pub fn new(
        id: u64,
        peer: SocketAddr,
        listener: &str,
        timeouts: Timeouts,
        text_options: text::Options,
        now: Moment,
    ) -> Session {
        Session {
            id,
            peer,
            presented: Presented::Nothing,
            listener: listener.to_owned(),
            timeouts,
            state: BindState::Open,
            provider: None,
            last_provider: None,
            seat: None,
            owner: 0,
            smsc_mark: mark(listener.as_bytes()),
            system_id: Vec::new(),
            bind: None,
            keeps_bind: false,
            kept_bind: KeptBind::default(),
            has_another_smsc: false,
            is_bind_lost: false,
            bind_answer: None,
            answered_us: 0,
            probe: None,
            esme: FrameBuf::default(),
            smsc: FrameBuf::default(),
            hold: Hold::default(),
            looked: Looked::default(),
            steps: Vec::new(),
            vouched: Vec::new(),
            multis: Vec::new(),
            left_outs: LeftOuts::default(),
            text_options,
            under_way: false,
            replies: Vec::new(),
            batch_records: Records::new(),
            later_records: Records::new(),
            heard: Vec::new(),
            reply_records: Records::new(),
            listened_octets: 0,
            asks_receipts: false,
            strips_second_sender: false,
            stripped: Vec::new(),
            kept_answers: Vec::new(),
            kept_records: Records::new(),
            window: Window::default(),
            tally: Tally::default(),
            own_frame: Vec::new(),
            draining: false,
            unbound: [false; 2],
            ending: None,
            since_us: now.wall_us,
            bind_since_us: now.steady_us,
            esme_active_us: now.steady_us,
            progress_us: now.steady_us,
            holds_smsc: false,
            held_until_us: 0,
            forwarded: 0,
            refused: 0,
            unanswered: 0,
        }
    }

    /// The session as if this provider had bound before anybody watched: for a trace that begins in the
    /// middle of one.
    pub fn resumed(mut self, provider: ProviderId, system_id: &[u8], kind: BindKind) -> Session {
        self.state = BindState::Bound(kind);
        self.provider = Some(provider);
        self.system_id = system_id.to_vec();
        self
    }

    /// The session of an ESME that showed this before its bind; else it has shown nothing.
    pub fn presenting(mut self, presented: Presented) -> Session {
        self.presented = presented;
        self
    }

    /// The session on a listener that asks the SMSC for receipts that the ESME did not ask for.
    pub fn asking_for_receipts(mut self) -> Session {
        self.asks_receipts = true;
        self
    }

    /// The session on a listener that takes parameters away that name another sender.
    pub fn stripping_second_senders(mut self) -> Session {
        self.strips_second_sender = true;
        self
    }

    /// The session on a listener with several SMSCs: its first bind can be sent to another.
    pub fn keeping_its_bind(mut self) -> Session {
        self.keeps_bind = true;
        self
    }

    /// Other rules are in force: from here on the session is whose the registry says that its system_id is,
    /// who may be another one, or nobody, than at its bind. Not while a batch is under way.
    pub fn adopt(&mut self, knowledge: &Knowledge, timeouts: Timeouts) {
        self.timeouts = timeouts;
        self.let_looked_go(knowledge);
        let registry = &knowledge.registry;
        let provider = registry.provider_of(&self.system_id);
        if provider == self.provider || self.system_id.is_empty() {
            return;
        }
        // What handsets answer to who is gone still counts for him.
        self.last_provider = self.provider.or(self.last_provider);
        // It is up, and stays up: how many sessions the other may have is asked at binds.
        self.seat = provider.and_then(|id| knowledge.seats.take(id, usize::MAX));
        self.provider = provider;
        self.owner = provider
            .and_then(|id| registry.provider_by_id(id))
            .map_or(0, |one| mark(one.name.as_bytes()));
    }

    /// Takes octets that came from one side.
    pub fn receive(&mut self, side: Side, octets: &[u8], now: Moment) {
        match side {
            Side::Esme => {
                self.esme_active_us = now.steady_us;
                self.esme.extend(octets);
            }
            Side::Smsc => {
                self.smsc_leg_active(now);
                self.smsc.extend(octets);
            }
        }
    }

    /// Octets from both sides that are not yet let go.
    pub fn waiting_octets(&self) -> usize {
        self.waiting_from(Side::Esme) + self.waiting_from(Side::Smsc)
    }

    /// Octets from one side that are not yet let go.
    pub fn waiting_from(&self, side: Side) -> usize {
        match side {
            Side::Esme => self.esme.octets().len() + self.hold.octets(),
            Side::Smsc => {
                let kept = self.kept_answers.len() + self.kept_records.octets().len();
                self.smsc.octets().len() + kept
            }
        }
    }

    /// Records that nothing waits for: answers, requests given up.
    pub fn later_records(&mut self) -> &mut Records {
        &mut self.later_records
    }

    /// What handsets answered, with the records of it. While there is any, nothing goes on to the
    /// ESME: the caller tells journal and ledger, and calls [`Session::heeded`] when both keep it.
    pub fn heard(&mut self) -> (&mut Vec<Event>, &mut Records) {
        (&mut self.heard, &mut self.reply_records)
    }

    /// What handsets answered is kept: their frames may go on.
    pub fn heeded(&mut self) {
        self.heard.clear();
        self.reply_records.clear();
    }

    /// Why the session has to end, once it has to.
    pub fn ending(&self) -> Option<EndReason> {
        self.ending
    }

    /// How far the session has come.
    pub fn state(&self) -> BindState {
        self.state
    }

    /// The journal's number of this session.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// system_id of the bind, as it came; empty before one.
    pub fn system_id(&self) -> &[u8] {
        &self.system_id
    }

    /// The provider that the bind was let through for.
    pub fn provider(&self) -> Option<ProviderId> {
        self.provider
    }

    /// Requests that the SMSC has not answered.
    pub fn open_requests(&self) -> usize {
        self.window.len()
    }

    /// Messages that went on and messages refused so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.forwarded, self.refused)
    }

    /// What happened since the last clear.
    pub fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// When the SMSC last answered a request, on the steady clock; 0 before it answered one.
    pub fn answered_us(&self) -> u64 {
        self.answered_us
    }

    /// Since when the SMSC owes an answer, on the steady clock; `None` where it owes none. What is not heard
    /// because of us it does not owe: it may have been said.
    pub fn owed_since_us(&self) -> Option<u64> {
        let asked_us = self.window.oldest().map(|open| open.asked_us);
        let owed_us = asked_us.into_iter().chain(self.enquired_since_us()).min();
        owed_us.filter(|_| !self.holds_smsc).map(|since_us| since_us.max(self.held_until_us))
    }

    /// Whether a handset's answer, and all that the SMSC said behind it, is held back until it is kept.
    pub fn holds_answers(&self) -> bool {
        !self.heard.is_empty()
    }

    /// Whether nothing is open, held or under way, and no bind is.
    pub fn is_idle(&self) -> bool {
        !matches!(self.state, BindState::Binding(_))
            && self.window.is_empty()
            && !self.under_way
            && self.hold.len() == 0
            && self.waiting_octets() == 0
    }

    /// When the ESME connected, microseconds since the Unix epoch.
    pub fn since_us(&self) -> u64 {
        self.since_us
    }
}

impl StepKind {
    pub(super) fn fate(self) -> Fate {
        match self {
            StepKind::Pass { observed, .. } | StepKind::Narrowed { observed, .. } => {
                Fate::Passed(Rule::from_code(observed))
            }
            StepKind::Refused { rule, .. } => Fate::Refused(Rule::from_code(rule)),
            StepKind::Cross | StepKind::Kept => Fate::Unjudged,
        }
    }

    pub(super) fn goes_on(self) -> bool {
        match self {
            StepKind::Pass { .. } | StepKind::Narrowed { .. } | StepKind::Cross => true,
            StepKind::Refused { .. } | StepKind::Kept => false,
        }
    }

    pub(super) fn goes_on_as_it_came(self) -> bool {
        match self {
            StepKind::Pass { strips, .. } => !strips,
            StepKind::Cross => true,
            StepKind::Narrowed { .. } | StepKind::Refused { .. } | StepKind::Kept => false,
        }
    }
}
