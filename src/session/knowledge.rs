//! What every session judges by: rules, registry, statuses, rates. Fixed while it is in force; what is
//! remembered goes on under what comes into force after it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::announced::Announced;
use super::asked::Asked;
use super::hold::LongMessages;
use super::originals::{ENTRIES_DEFAULT, Originals};
use super::parts::Joinings;
use super::prepare::Parties;
use super::rates::Rates;
use super::seats::Seats;
use super::statuses::Statuses;
use super::sweeps::Sweeps;
use super::table::UnknownCommand;
use super::texts::Texts;
use super::window::WINDOW_REQUESTS_LIMIT;
use crate::audit::Ruling;
use crate::policy::{Horizon, Modes, ReviewPolicy, RuleSet};
use crate::registry::{PlacesFull, Registry};
use crate::smpp::frame::PDU_OCTETS_MAX;
use crate::text::joining::Limits;

/// Whether refusals use the statuses that every ESME knows or those that say the exact cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatusStyle {
    /// Statuses of SMPP 3.4.
    #[default]
    Compatible,
    /// Codes 0x0401-0x0430 of the vendor range (SMPP 3.4 5.1.3), one for each cause.
    Precise,
}

/// What becomes of a submit_multi of which some recipients may not get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MultiPolicy {
    /// It is refused to all.
    #[default]
    Whole,
    /// It goes on to the others: the one PDU that is rewritten.
    Narrow,
}

/// The rules in force, and all that they look up.
#[derive(Debug)]
pub struct Knowledge {
    /// How the journal names all of it.
    pub ruling: Ruling,
    /// Who is admitted.
    pub registry: Registry,
    /// Which law the verdicts name.
    pub rule_set: RuleSet,
    /// Enforce, observe or off, for each rule.
    pub modes: Modes,
    /// What a refusal answers, for each reason.
    pub statuses: Statuses,
    /// What becomes of command_ids that no specification names.
    pub unknown_command: UnknownCommand,
    /// What becomes of a submit_multi of which some recipients may not get it.
    pub submit_multi: MultiPolicy,
    /// The providers' rates.
    pub rates: Rates,
    /// How many sessions each provider has.
    pub seats: Arc<Seats>,
    /// Most of them at once.
    pub sessions_per_provider_max: usize,
    /// Where the providers' advertising went to lately.
    pub sweeps: Sweeps,
    /// What texts are read with.
    pub texts: Texts,
    /// What becomes of the parts of long messages.
    pub long_messages: LongMessages,
    /// Where other nodes serve the same senders: how long the parts of a message that its text decides wait
    /// for each other at most, microseconds; none is judged without the others. `None`: there is no other
    /// node.
    pub whole_within_us: Option<u64>,
    /// Long messages under way.
    pub joinings: Joinings,
    /// What the ids stand for that SMSCs gave to messages.
    pub originals: Arc<Mutex<Originals>>,
    /// How many of them are remembered; of zero, none.
    pub originals_max: u32,
    /// Messages that wait for a receipt, where a listener asks for them.
    pub asked: Arc<Mutex<Asked>>,
    /// Whether any listener does.
    pub asks_receipts: bool,
    /// The keywords that messages announced for refusing.
    pub announced: Arc<Announced>,
    /// Who everybody is in the consent ledger.
    pub parties: Parties,
    /// Whether a proof of consent must have been reviewed.
    pub review: ReviewPolicy,
    /// Of which messages the content is recorded.
    pub content: KeepContent,
    /// How far ahead consent vouches for a message.
    pub horizon: Horizon,
    /// Longest PDU, octets.
    pub pdu_octets_max: usize,
    /// Most open requests of one session.
    pub window_requests_max: usize,
}

/// Of which messages the content is recorded, for auditors alone to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeepContent {
    /// Of none.
    #[default]
    None,
    /// Of those that go on from a code of the plan (端口类短信息, Order 31 art. 11).
    Ports,
    /// Of all that are judged, refused ones too.
    All,
}

impl Knowledge {
    /// What the ids stand for that SMSCs gave to messages.
    pub fn originals(&self) -> MutexGuard<'_, Originals> {
        self.originals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The messages that wait for a receipt.
    pub fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same rules, come into force after `before`: what was remembered under those is remembered on,
    /// by the same ids. Who is who in the consent ledger stays as it stands here. What journal and listeners
    /// were opened for stays as it was: whether content is recorded, and whether receipts are asked for.
    ///
    /// # Errors
    ///
    /// When more providers have come and gone than there are places for.
    pub fn following(mut self, before: &Knowledge) -> Result<Knowledge, PlacesFull> {
        self.registry = self.registry.following(&before.registry)?;
        let places = self.registry.places();
        self.rates = Rates::following(&self.registry, &before.rates);
        self.sweeps = before.sweeps.grown(places);
        self.joinings = self.joinings.following(&before.joinings, places);
        self.originals = before.originals.clone();
        self.originals_max = before.originals_max;
        self.asked = before.asked.clone();
        self.seats = before.seats.clone();
        self.announced = before.announced.clone();
        self.content = before.content;
        self.asks_receipts = before.asks_receipts;
        Ok(self)
    }

    /// What holds where nobody says otherwise: the present law, statuses that every ESME knows, no
    /// consent ledger, and the limits of
    /// [`crate::smpp::frame::PDU_OCTETS_MAX`] and [`WINDOW_REQUESTS_LIMIT`].
    pub fn new(registry: Registry, texts: Texts, modes: Modes) -> Knowledge {
        Knowledge {
            ruling: Ruling::default(),
            rates: Rates::new(&registry),
            seats: Arc::default(),
            sessions_per_provider_max: usize::MAX,
            sweeps: Sweeps::new(registry.providers().len()),
            joinings: Joinings::new(registry.providers().len(), Limits::default()),
            long_messages: LongMessages::Progressive,
            whole_within_us: None,
            registry,
            rule_set: RuleSet::default(),
            content: KeepContent::default(),
            modes,
            statuses: Statuses::new(StatusStyle::Compatible),
            unknown_command: UnknownCommand::Refuse,
            submit_multi: MultiPolicy::Whole,
            texts,
            originals_max: ENTRIES_DEFAULT,
            originals: Arc::new(Mutex::new(Originals::new(ENTRIES_DEFAULT))),
            asked: Arc::new(Mutex::new(Asked::new(0))),
            asks_receipts: false,
            announced: Arc::default(),
            parties: Parties::default(),
            review: ReviewPolicy::Strict,
            horizon: Horizon::default(),
            pdu_octets_max: PDU_OCTETS_MAX,
            window_requests_max: WINDOW_REQUESTS_LIMIT,
        }
    }
}
