//! Before a batch is judged: each message parsed, its facts fetched, its text heard, and what has
//! to be asked of the consent ledger gathered, so that it can be asked once for all of them.

use super::desk::Desk;
use super::facts::{Gathered, address, gather};
use super::heard::Heard;
use super::hold::{Due, HoldTimes};
use super::knowledge::Knowledge;
use super::moment::Moment;
use super::originals::Original;
use super::parts::{self, Arrival, Joined};
use super::session::Session;
use super::table::{self, Place};
use super::texts::Form;
use crate::consent::{Question, Scope};
use crate::content::reply::Keyword;
use crate::policy::{Consent, Earlier, Facts, Nature, SecondSender, Stated, nature};
use crate::registry::{Address, Allotment, Npi, ProviderId, RecipientFault, Ton, recipient};
use crate::smpp::broadcast::BroadcastSm;
use crate::smpp::message::Message;
use crate::smpp::multi::{Destination, SubmitMulti};
use crate::smpp::operation::ReplaceSm;
use crate::smpp::{Command, Header, Malformed};
use crate::text::joining::{Key, Part};

/// A frame of a batch.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) octets: &'a [u8],
    /// What was found in it, where it is a message that may be judged.
    pub(super) message: Option<Prepared<'a>>,
    /// Why it comes again, if it is a part that waited.
    pub(super) due: Option<Due>,
    /// A submit_multi has a frame for each destination: how many are left, with this one. Otherwise 0.
    pub(super) destinations: u8,
}

impl Frame<'_> {
    /// Whether it may become an open request.
    pub(super) fn may_open(&self) -> bool {
        let command = Header::of(self.octets).map(|header| header.command);
        self.message.is_some()
            || matches!(
                command,
                Some(
                    Command::QuerySm
                        | Command::CancelSm
                        | Command::QueryBroadcastSm
                        | Command::CancelBroadcastSm
                )
            )
    }
}

/// A message that was read.
struct Found<'a> {
    message: Message<'a>,
    gathered: Gathered,
    to: To,
    /// Why it comes again, if it is a part that waited.
    due: Option<Due>,
    /// Whether it can wait for other parts.
    can_wait: bool,
    /// Whether it goes on without parameters that name another sender.
    is_stripped: bool,
}

/// Where a message says whom it is for.
enum To {
    /// In its destination address.
    Written,
    /// In a list of the SMSC's.
    List,
    /// It is for everybody in an area.
    Everybody,
    /// For whom the message was that it replaces, where that is known.
    OfOriginal(Option<Original>),
}

impl To {
    fn put(self, facts: &mut Facts<'_>, message: &Message<'_>) {
        match self {
            To::Written => {}
            To::List => facts.recipient = Err(RecipientFault::List),
            To::Everybody => facts.recipient = Err(RecipientFault::Everybody),
            To::OfOriginal(original) => replace(facts, message, original),
        }
    }
}

/// A replacement goes to the recipient of the message whose place it takes, under the same sender.
/// What it does not say of its validity stays as it was, which is not known here.
fn replace(facts: &mut Facts<'_>, message: &Message<'_>, original: Option<Original>) {
    let own = Original::of(0, facts, message);
    let original = original.filter(|one| own.is_some_and(|own| own.source() == one.source()));
    facts.earlier = Earlier::Unknown;
    if let Some(to) = original.and_then(|original| original.recipient) {
        let digits = to.digits();
        let (ton, npi) = (Ton(1), Npi(1));
        facts.recipient = recipient(&Address { ton, npi, value: digits.as_bytes() });
        facts.earlier = Earlier::Own;
    }
    if message.validity_period.is_empty() {
        facts.ends = Stated::In(u64::MAX);
    }
}

/// A message with all that its decision needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prepared<'a> {
    pub(super) message: Message<'a>,
    pub(super) gathered: Gathered,
    pub(super) facts: Facts<'a>,
    /// What is asked of the ledger; its answer goes into the facts.
    pub(super) question: Option<Question>,
    /// The keyword by which the text says that one can refuse.
    pub(super) keyword: Option<Keyword>,
    /// The long message that it is a part of.
    pub(super) key: Option<Key>,
    /// The part itself, where it was added to that.
    pub(super) part: Option<Part>,
    /// How many parts had been taken back when it was looked at.
    pub(super) taken_back: u64,
    /// How long it waits for the other parts, where it does.
    pub(super) waits: Option<HoldTimes>,
    /// Whether it goes on without parameters that name another sender.
    pub(super) is_stripped: bool,
}

impl Prepared<'_> {
    /// What was found in its octets, and need not be looked for again.
    pub(super) fn joined(&self) -> Joined {
        let Prepared { key, part, taken_back, waits, .. } = *self;
        let heard = Heard { text: self.facts.text, keyword: self.keyword };
        Joined { parts: self.facts.parts, heard, key, part, taken_back, waits }
    }
}

impl Session {
    /// Looks at a frame that waits; what is no message of a bound session is left as it is.
    pub(super) fn look<'a>(
        &self,
        knowledge: &'a Knowledge,
        (octets, due): (&'a [u8], Option<Due>),
        frames: &mut Vec<Frame<'a>>,
        desk: &mut Desk,
        now: Moment,
    ) {
        let header = Header::of(octets).filter(|header| {
            let place = table::from_esme(header.command, self.state, knowledge.unknown_command);
            place == Place::JudgeMessage && !self.draining
        });
        if header.is_some_and(|header| header.command == Command::SubmitMulti)
            && self.look_at_destinations(knowledge, octets, frames, desk, now).is_ok()
        {
            return;
        }
        let message = header.and_then(|header| {
            self.prepare(knowledge, (header.command, octets, due), desk, now).ok()
        });
        frames.push(Frame { octets, message, due, destinations: 0 });
    }

    /// A frame for each destination of a submit_multi. Its text is heard once.
    fn look_at_destinations<'a>(
        &self,
        knowledge: &'a Knowledge,
        octets: &'a [u8],
        frames: &mut Vec<Frame<'a>>,
        desk: &mut Desk,
        now: Moment,
    ) -> Result<(), Malformed> {
        let multi = SubmitMulti::parse(octets)?;
        let gathered = gather(&multi.message)?;
        let mut heard = None;
        let left = (0..=multi.number_of_dests).rev();
        for (destination, destinations) in multi.destinations().zip(left) {
            let message = Message { destination: destination.named(), ..multi.message };
            let to = match destination {
                Destination::Sme(_) => To::Written,
                Destination::DistributionList(_) => To::List,
            };
            // Its parts do not wait: they go to many.
            let (can_wait, is_stripped) = (false, false);
            let found = Found { message, gathered, to, due: None, can_wait, is_stripped };
            let prepared = self.prepare_one(knowledge, found, &mut heard, desk, now);
            frames.push(Frame { octets, message: Some(prepared), due: None, destinations });
        }
        Ok(())
    }

    pub(super) fn prepare<'a>(
        &self,
        knowledge: &'a Knowledge,
        (command, octets, due): (Command, &'a [u8], Option<Due>),
        desk: &mut Desk,
        now: Moment,
    ) -> Result<Prepared<'a>, Malformed> {
        let (message, to) = match command {
            Command::ReplaceSm => self.replacement(knowledge, octets)?,
            Command::BroadcastSm => (parse(command, octets)?, To::Everybody),
            _ => (parse(command, octets)?, To::Written),
        };
        let gathered = gather(&message)?;
        // Only what says itself to whom it goes may wait.
        let can_wait = matches!(to, To::Written) && due.is_none() && !self.draining;
        let is_stripped = self.strips_second_sender
            && matches!(command, Command::SubmitSm | Command::DataSm)
            && gathered.can_be_stripped();
        let found = Found { message, gathered, to, due, can_wait, is_stripped };
        Ok(self.prepare_one(knowledge, found, &mut None, desk, now))
    }

    /// A replace_sm as the message that it becomes, where that it replaces is the provider's own.
    fn replacement<'a>(
        &self,
        knowledge: &Knowledge,
        octets: &'a [u8],
    ) -> Result<(Message<'a>, To), Malformed> {
        let read = ReplaceSm::parse(octets)?;
        let original = self.original(knowledge, read.message_id);
        let (data_coding, esm_class) =
            original.map_or((0, 0), |original| (original.data_coding, original.esm_class));
        Ok((read.message(data_coding, esm_class), To::OfOriginal(original)))
    }

    /// The provider's own message that an id stands for.
    pub(super) fn original(&self, knowledge: &Knowledge, message_id: &[u8]) -> Option<Original> {
        let mut originals = knowledge.originals();
        let found = originals.find(self.smsc_mark, message_id).copied();
        found.filter(|original| original.provider == self.owner)
    }

    /// Fetches the facts of a message to one recipient. `heard` is what was heard in the same text on its
    /// way to others, where that was no part of a longer one.
    fn prepare_one<'a>(
        &self,
        knowledge: &'a Knowledge,
        found: Found<'a>,
        before: &mut Option<Heard>,
        desk: &mut Desk,
        now: Moment,
    ) -> Prepared<'a> {
        let Found { message, gathered, to, due, can_wait, is_stripped } = found;
        let mut facts = Facts::fetch(
            &knowledge.registry,
            now.wall_us,
            self.provider,
            &address(&message.source),
            &address(&message.destination),
        );
        gathered.put(&mut facts, &message);
        if is_stripped {
            facts.second_sender = Some(SecondSender::Stripped);
        }
        let takes_a_place = matches!(to, To::OfOriginal(_));
        to.put(&mut facts, &message);
        facts.review = knowledge.review;
        facts.horizon = knowledge.horizon;
        // Of what message it takes the place may be known by now, and with that what its octets say.
        let recalled = desk.recalled.next().filter(|_| !takes_a_place);
        let joined = recalled.unwrap_or_else(|| {
            let joinings = (&knowledge.joinings, &knowledge.texts);
            let wished = knowledge.long_messages.times().filter(|_| !self.hold.is_lockstep);
            let apart = knowledge.whole_within_us.map(HoldTimes::whole_within);
            let now_us = now.steady_us;
            let arrival = Arrival { can_wait, wished, apart, takes_a_place, due, now_us };
            let part = (&message, gathered.concatenation);
            let options = self.text_options;
            parts::join(joinings, &facts, part, options, desk, arrival).unwrap_or_else(|| {
                let has_header = message.has_udh();
                let form = Form { data_coding: message.data_coding, has_header };
                let body = message.text_octets();
                let hear = || knowledge.texts.hear(&facts, body, form, options, desk);
                Joined::alone(*before.get_or_insert_with(hear))
            })
        });
        let Joined { parts, heard: Heard { text, keyword }, key, part, taken_back, waits } = joined;
        (facts.parts, facts.text) = (parts, text);
        let question = if waits.is_some() { None } else { self.question(knowledge, &mut facts) };
        Prepared {
            message,
            gathered,
            facts,
            question,
            keyword,
            key,
            part,
            taken_back,
            waits,
            is_stripped,
        }
    }

    /// What has to be asked of the ledger. Where that cannot even be asked, nobody knows.
    fn question(&self, knowledge: &Knowledge, facts: &mut Facts<'_>) -> Option<Question> {
        if !knowledge.texts.is_asked() || nature(facts) == Nature::Other {
            return None;
        }
        facts.consent = Some(Consent::Unavailable);
        let (provider, _) = facts.provider?;
        let recipient = facts.recipient.ok()?.msisdn;
        let (entity, scope) = knowledge.parties.of(provider, facts.allotment)?;
        Some(Question { entity, recipient, scope })
    }
}

pub(super) fn parse(command: Command, octets: &[u8]) -> Result<Message<'_>, Malformed> {
    match command {
        Command::DataSm => Message::parse_data_sm(octets),
        Command::SubmitMulti => SubmitMulti::parse(octets).map(|multi| multi.message),
        Command::ReplaceSm => ReplaceSm::parse(octets).map(|replace| replace.message(0, 0)),
        Command::BroadcastSm => BroadcastSm::parse(octets).map(|broadcast| broadcast.message()),
        _ => Message::parse(octets),
    }
}

/// Who the providers and the scopes of the registry are in the consent ledger. Empty where there
/// is no ledger: then nothing is known of anybody's consent.
#[derive(Clone, Debug, Default)]
pub struct Parties {
    /// By [`ProviderId`].
    pub entities: Vec<crate::consent::EntityId>,
    /// By [`crate::registry::CodeId`]; codes beyond it have [`Scope::ALL`].
    pub scopes: Vec<Scope>,
}

impl Parties {
    fn of(
        &self,
        provider: ProviderId,
        allotment: Allotment<'_>,
    ) -> Option<(crate::consent::EntityId, Scope)> {
        let entity = *self.entities.get(provider.0 as usize)?;
        let scope = match allotment {
            Allotment::Code(found, _) => self.scopes.get(found.code.0 as usize).copied(),
            Allotment::None | Allotment::Alphanumeric(_) => None,
        };
        Some((entity, scope.unwrap_or(Scope::ALL)))
    }
}
