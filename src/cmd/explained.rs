//! One message judged as a session would, and all that was found on the way: what `consentry explain` and the
//! console show.

use std::fmt;

use super::knowledge;
use crate::config;
use crate::content::{Reading, Scratch};
use crate::policy::{
    self, Consent, Decision, Facts, Nature, Parts, Reason, Rule, SecondSender, Standing,
};
use crate::registry::{Address, Allotment, Msisdn, Npi, Ton};
use crate::session::{Desk, Gathered, Knowledge, gather, unread};
use crate::smpp::frame::FrameFault;
use crate::smpp::message::{Message, WireAddress};
use crate::smpp::tlv::Tag;
use crate::smpp::write::{self, MessageFields};
use crate::smpp::{Command, CommandStatus, Header, Malformed, frame};
use crate::text;

/// The longest short_message, octets (SMPP 3.4 4.4.1).
const SHORT_MESSAGE_OCTETS_MAX: usize = 254;

/// How an entity stands with a recipient in a scope, or why that cannot be told.
pub(super) type Ask<'a> = dyn Fn(&str, Msisdn, &str) -> Result<Standing, String> + 'a;

/// What messages are judged with.
pub(super) struct Bench<'a> {
    /// Rules and registry.
    pub(super) knowledge: &'a Knowledge,
    /// Over which listener they come.
    pub(super) listen: Option<&'a config::Listen>,
    /// Who consented.
    pub(super) ask: &'a Ask<'a>,
}

/// Octets from hexadecimal digits, blanks between them or not.
pub(super) fn octets(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = hex
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16))
        .collect::<Option<_>>()?;
    let (pairs, odd) = digits.as_chunks::<2>();
    odd.is_empty().then(|| pairs.iter().map(|[high, low]| (high * 16 + low) as u8).collect())
}

/// A submit_sm of these addresses and this text, which goes as UCS2: as short_message, or as
/// message_payload where that is too short for it.
pub(super) fn submit(source: &str, destination: &str, text: Option<&str>) -> Vec<u8> {
    let text: Vec<u8> =
        text.iter().flat_map(|text| text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    let is_short = text.len() <= SHORT_MESSAGE_OCTETS_MAX;
    let fields = MessageFields {
        source: WireAddress { ton: 0, npi: 1, value: source.as_bytes() },
        destination: WireAddress { ton: 0, npi: 1, value: destination.as_bytes() },
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: if is_short { &text } else { &[] },
    };
    let mut pdu = Vec::new();
    write::message(&mut pdu, Command::SubmitSm, 1, fields, |body| {
        if !is_short {
            write::tlv(body, Tag::MESSAGE_PAYLOAD, &text);
        }
    });
    pdu
}

/// Why a PDU is not judged by all rules.
pub(super) enum Unread {
    /// It cannot be cut out of a stream.
    Frame(FrameFault),
    /// These are not the octets of one PDU.
    NotWhole(usize),
    /// A command that is judged by its place alone.
    Place(Command),
    /// It cannot be parsed, and is refused.
    Malformed(Header, Malformed),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::Frame(fault) => fault.fmt(f),
            Unread::NotWhole(octets) => {
                write!(f, "{octets} octets are not one whole PDU: see its command_length")
            }
            Unread::Place(command) => {
                write!(f, "{command} is judged by its place alone; give a submit_sm or a data_sm")
            }
            Unread::Malformed(_, malformed) => malformed.fmt(f),
        }
    }
}

/// Reads one PDU.
pub(super) fn parse(
    pdu: &[u8],
    octets_max: usize,
) -> Result<(Header, Message<'_>, Gathered), Unread> {
    let header = match frame::cut(pdu, octets_max).map_err(Unread::Frame)? {
        Some(length) if length == pdu.len() => Header::of(pdu),
        Some(_) | None => None,
    };
    let header = header.ok_or(Unread::NotWhole(pdu.len()))?;
    let message = match header.command {
        Command::SubmitSm | Command::DeliverSm => Message::parse(pdu),
        Command::DataSm => Message::parse_data_sm(pdu),
        other => return Err(Unread::Place(other)),
    };
    let read: Result<_, Malformed> = message.and_then(|message| {
        let gathered = gather(&message)?;
        Ok((message, gathered))
    });
    let (message, gathered) = read.map_err(|malformed| Unread::Malformed(header, malformed))?;
    Ok((header, message, gathered))
}

/// All that was found out about the message.
pub(super) struct Found<'a> {
    /// The message.
    pub(super) message: &'a Message<'a>,
    /// What its fields and parameters carry.
    pub(super) gathered: Gathered,
    /// What it was judged by.
    pub(super) facts: Facts<'a>,
    /// Its text, as far as it could be read.
    pub(super) text: String,
    /// Why no further.
    pub(super) undecodable: Option<text::Undecodable>,
    /// What the text is.
    pub(super) reading: Option<Reading>,
    /// The keyword that it announces for refusing.
    pub(super) keyword: Option<String>,
    /// What was asked of the ledger.
    pub(super) consent: Asked,
    /// What came of it.
    pub(super) decision: Decision,
}

/// What was asked of the ledger.
pub(super) enum Asked {
    /// Nothing: the message needs no consent.
    Nothing,
    /// How they stand.
    Known(Standing),
    /// It could not be asked.
    Unavailable(String),
}

/// What came of it, in the words of records.
pub(super) struct Verdict {
    /// `pass`, `refuse` or `observe`.
    pub(super) verdict: &'static str,
    /// The reason, if there is one.
    pub(super) fired: Option<Reason>,
    /// The status of the answer.
    pub(super) status: CommandStatus,
}

impl Verdict {
    /// The rule that refused or would have.
    pub(super) fn rule(&self) -> Option<Rule> {
        self.fired.map(Reason::rule)
    }
}

impl Found<'_> {
    /// What came of it.
    pub(super) fn verdict(&self, knowledge: &Knowledge) -> Verdict {
        let fired = self.decision.refused.or(self.decision.observed.first());
        let verdict = match (self.decision.refused, fired) {
            (Some(_), _) => "refuse",
            (None, Some(_)) => "observe",
            (None, None) => "pass",
        };
        let refused = self.decision.refused;
        let status =
            refused.map_or(CommandStatus::ESME_ROK, |reason| knowledge.statuses.of(reason));
        Verdict { verdict, fired, status }
    }
}

/// Finds out what a session would, on the first listener's route. A part of a long message is read
/// by itself: what came before it is not known here.
/// `is_said` is false where no text was given: then the rules on texts see none.
pub(super) fn find<'a>(
    bench: &Bench<'a>,
    system_id: &str,
    message: &'a Message<'a>,
    gathered: Gathered,
    is_said: bool,
) -> Found<'a> {
    let Bench { knowledge, listen, .. } = *bench;
    let provider = knowledge.registry.provider_of(system_id.as_bytes());
    let of = |a: &WireAddress<'a>| Address { ton: Ton(a.ton), npi: Npi(a.npi), value: a.value };
    let (source, destination) = (of(&message.source), of(&message.destination));
    let now_us = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(0);
    let mut facts = Facts::fetch(&knowledge.registry, now_us, provider, &source, &destination);
    gathered.put(&mut facts, message);
    let strips = listen.is_some_and(|one| one.second_sender == config::SecondSender::Strip);
    if strips && gathered.can_be_stripped() {
        facts.second_sender = Some(SecondSender::Stripped);
    }
    facts.no_body &= is_said;
    facts.review = knowledge.review;
    facts.horizon = knowledge.horizon;
    if let Err(fault) = gathered.concatenation {
        facts.parts = if fault.is_limit() { Parts::Limit } else { Parts::Malformed };
    }
    let mut text = String::new();
    let options = listen.map(knowledge::text_options).unwrap_or_default();
    let read = text::Body::split(message.text_octets(), message.has_udh())
        .and_then(|body| text::decode(body, message.data_coding, options, &mut text));
    let (mut reading, mut keyword) = (None, None);
    let asked = knowledge.texts.is_asked() && !facts.no_body && is_said;
    if asked && read.is_ok() {
        let is_whole = gathered.part().is_none_or(|part| part.total == 1);
        let heard = knowledge.texts.said(&facts, &text, is_whole, &mut Desk::default());
        facts.text = heard.text;
        keyword = heard.keyword.map(|keyword| keyword.as_str().to_owned());
        reading = Some(knowledge.texts.reader().read(&text, &mut Scratch::default()));
    } else if asked {
        facts.text = read.err().map_or(policy::Text::Unread, unread);
    }
    let consent = ask(bench, &mut facts);
    let decision = policy::decide(&facts, &knowledge.modes);
    let undecodable = read.err();
    Found { message, gathered, facts, text, undecodable, reading, keyword, consent, decision }
}

/// Asks the ledger as a session would.
fn ask(bench: &Bench<'_>, facts: &mut Facts<'_>) -> Asked {
    if policy::nature(facts) == Nature::Other || !bench.knowledge.texts.is_asked() {
        return Asked::Nothing;
    }
    facts.consent = Some(Consent::Unavailable);
    let (Some((_, provider)), Ok(recipient)) = (facts.provider, facts.recipient) else {
        return Asked::Nothing;
    };
    let scope = match facts.allotment {
        Allotment::Code(_, code) => code.scope.as_str(),
        Allotment::None | Allotment::Alphanumeric(_) => "",
    };
    match (bench.ask)(&provider.name, recipient.msisdn, scope) {
        Ok(standing) => {
            facts.consent = Some(Consent::Known(standing));
            Asked::Known(standing)
        }
        Err(why) => Asked::Unavailable(why),
    }
}
