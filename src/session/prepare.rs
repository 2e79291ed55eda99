//! Before a batch is judged: each message parsed, its facts fetched, its text heard, and what has
//! to be asked of the consent ledger gathered, so that it can be asked once for all of them.

use super::desk::Desk;
use super::facts::{Gathered, address, gather};
use super::heard::Heard;
use super::knowledge::Knowledge;
use super::moment::Moment;
use super::parts;
use super::session::Session;
use super::table::{self, Place};
use super::texts::Form;
use crate::consent::{Question, Scope};
use crate::content::reply::Keyword;
use crate::policy::{Consent, Facts, Nature, nature};
use crate::registry::{Allotment, ProviderId, RecipientFault};
use crate::smpp::message::Message;
use crate::smpp::multi::{Destination, SubmitMulti};
use crate::smpp::{Command, Header, Malformed};
use crate::text::joining::Key;

/// A frame of a batch.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) octets: &'a [u8],
    /// What was found in it, where it is a message that may be judged.
    pub(super) message: Option<Prepared<'a>>,
    /// A submit_multi has a frame for each destination: how many are left, with this one. Otherwise 0.
    pub(super) destinations: u8,
}

impl Frame<'_> {
    /// Whether it may become an open request.
    pub(super) fn may_open(&self) -> bool {
        let command = Header::of(self.octets).map(|header| header.command);
        self.message.is_some() || matches!(command, Some(Command::QuerySm | Command::CancelSm))
    }
}

/// A message that was read.
struct Found<'a> {
    message: Message<'a>,
    gathered: Gathered,
    /// Whether its destination is a list of the SMSC's.
    is_list: bool,
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
    /// Which part of it, unless that had come before.
    pub(super) new_part: Option<u8>,
}

impl Session {
    /// Looks at a frame that waits; what is no message of a bound session is left as it is.
    pub(super) fn look<'a>(
        &self,
        knowledge: &'a Knowledge,
        octets: &'a [u8],
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
        let message = header
            .and_then(|header| self.prepare(knowledge, header.command, octets, desk, now).ok());
        frames.push(Frame { octets, message, destinations: 0 });
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
            let is_list = matches!(destination, Destination::DistributionList(_));
            let found = Found { message, gathered, is_list };
            let prepared = self.prepare_one(knowledge, found, &mut heard, desk, now);
            frames.push(Frame { octets, message: Some(prepared), destinations });
        }
        Ok(())
    }

    pub(super) fn prepare<'a>(
        &self,
        knowledge: &'a Knowledge,
        command: Command,
        octets: &'a [u8],
        desk: &mut Desk,
        now: Moment,
    ) -> Result<Prepared<'a>, Malformed> {
        let message = parse(command, octets)?;
        let gathered = gather(&message)?;
        let found = Found { message, gathered, is_list: false };
        Ok(self.prepare_one(knowledge, found, &mut None, desk, now))
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
        let Found { message, gathered, is_list } = found;
        let mut facts = Facts::fetch(
            &knowledge.registry,
            now.wall_us,
            self.provider,
            &address(&message.source),
            &address(&message.destination),
        );
        if is_list {
            facts.recipient = Err(RecipientFault::List);
        }
        gathered.put(&mut facts, &message);
        facts.review = knowledge.review;
        facts.horizon = knowledge.horizon;
        let body = message.text_octets();
        let joinings = (&knowledge.joinings, &knowledge.texts);
        let joined =
            parts::join(joinings, &facts, &message, self.text_options, desk, now.steady_us);
        let (heard, key, new_part) = match joined {
            Some(joined) => {
                facts.parts = joined.parts;
                (joined.heard, joined.key, joined.new_part)
            }
            None => {
                let has_header = message.has_udh();
                let form = Form { data_coding: message.data_coding, has_header };
                let hear = || knowledge.texts.hear(&facts, body, form, self.text_options, desk);
                (*before.get_or_insert_with(hear), None, None)
            }
        };
        facts.text = heard.text;
        let question = self.question(knowledge, &mut facts);
        let keyword = heard.keyword;
        Prepared { message, gathered, facts, question, keyword, key, new_part }
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
