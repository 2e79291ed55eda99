//! What the record of a verdict says, and its writing.

use super::asked::Awaited;
use super::facts::{Gathered, references};
use super::knowledge::KeepContent;
use super::moment::Moment;
use super::originals::Original;
use super::session::Session;
use crate::audit::{self, ContentRecord, References, VerdictRecord};
use crate::policy::{Consent, Decision, Facts, Text};
use crate::registry::Sender;
use crate::smpp::message::{Message, WireAddress};
use crate::smpp::{CommandStatus, Header};
use crate::text::joining::Part;

/// What the record of a verdict says beside the decision.
#[derive(Clone, Copy)]
pub(super) struct Judged<'a> {
    pub(super) header: Header,
    pub(super) source: WireAddress<'a>,
    pub(super) destination: WireAddress<'a>,
    pub(super) esm_class: u8,
    pub(super) data_coding: u8,
    pub(super) part: Option<audit::Part>,
    pub(super) class: u8,
    pub(super) consent: u64,
    pub(super) references: References<'a>,
    /// The octets of its body where they are to be recorded if it goes on.
    pub(super) content: Option<&'a [u8]>,
    /// Whether they are also recorded when it is refused.
    pub(super) content_if_refused: bool,
    /// What its id will stand for.
    pub(super) original: Option<Original>,
    /// Who waits for its receipt, where the listener asks for receipts.
    pub(super) awaited: Option<Awaited>,
    /// Whether it goes on without parameters that name another sender.
    pub(super) is_stripped: bool,
    /// Which part of which long message it is.
    pub(super) joined: Option<Part>,
}

impl<'a> Judged<'a> {
    pub(super) fn bare(header: Header) -> Judged<'a> {
        Judged {
            header,
            source: NO_ADDRESS,
            destination: NO_ADDRESS,
            esm_class: 0,
            data_coding: 0,
            part: None,
            class: 0,
            consent: 0,
            references: References::default(),
            content: None,
            content_if_refused: false,
            original: None,
            awaited: None,
            is_stripped: false,
            joined: None,
        }
    }

    /// What the record of a request about an earlier message says.
    pub(super) fn about(
        header: Header,
        source: WireAddress<'a>,
        destination: WireAddress<'a>,
    ) -> Judged<'a> {
        Judged { source, destination, ..Judged::bare(header) }
    }

    pub(super) fn message(
        header: Header,
        message: &Message<'a>,
        gathered: &Gathered,
        facts: &Facts<'_>,
        keep: KeepContent,
    ) -> Judged<'a> {
        let is_kept = match keep {
            KeepContent::None => false,
            KeepContent::Ports => matches!(facts.sender, Ok(Sender::Code(_))),
            KeepContent::All => true,
        };
        Judged {
            header,
            source: message.source,
            destination: message.destination,
            esm_class: message.esm_class,
            data_coding: message.data_coding,
            part: gathered.part().map(|part| audit::Part {
                number: part.number,
                total: part.total,
                reference: part.reference,
            }),
            class: match facts.text {
                Text::Said(said) => said.class.index() as u8 + 1,
                Text::Unread | Text::Undecodable | Text::Binary => 0,
            },
            consent: match facts.consent {
                Some(Consent::Known(standing)) => standing.event,
                Some(Consent::Unavailable) | None => 0,
            },
            references: facts
                .provider
                .map_or(References::default(), |(_, provider)| references(message, provider)),
            content: is_kept.then(|| message.text_octets()).filter(|octets| !octets.is_empty()),
            content_if_refused: keep == KeepContent::All,
            original: None,
            awaited: None,
            is_stripped: false,
            joined: None,
        }
    }

    /// Whether it is to go on asking for a receipt that its ESME did not ask for.
    pub(super) fn asks_receipt(&self) -> bool {
        self.awaited.is_some_and(|awaited| awaited.is_ours)
    }
}

pub(super) const NO_ADDRESS: WireAddress<'static> = WireAddress { ton: 0, npi: 0, value: b"" };

/// The verdict's code in records, and the rule that it names: the one that refused, or the first
/// that would have.
pub(super) fn verdict_and_rule(decision: &Decision) -> (u8, u8) {
    match (decision.refused, decision.observed.first()) {
        (Some(reason), _) => (audit::REFUSE, reason.rule().code()),
        (None, Some(reason)) => (audit::OBSERVE, reason.rule().code()),
        (None, None) => (audit::PASS, 0),
    }
}

impl Session {
    pub(super) fn record_verdict(
        &mut self,
        judged: &Judged<'_>,
        decision: &Decision,
        status: CommandStatus,
        now: Moment,
    ) {
        let (verdict, rule) = verdict_and_rule(decision);
        let wire = |a: WireAddress<'_>| (a.ton, a.npi);
        let ((source_ton, source_npi), (dest_ton, dest_npi)) =
            (wire(judged.source), wire(judged.destination));
        let record = VerdictRecord {
            session: self.id,
            command_id: judged.header.command.id(),
            sequence_number: judged.header.sequence_number,
            verdict,
            rule,
            observed: decision.observed.bits(),
            status: status.0,
            command_length: judged.header.command_length,
            source: audit::Address { ton: source_ton, npi: source_npi, raw: judged.source.value },
            destination: audit::Address {
                ton: dest_ton,
                npi: dest_npi,
                raw: judged.destination.value,
            },
            esm_class: judged.esm_class,
            data_coding: judged.data_coding,
            part: judged.part,
            class: judged.class,
            consent: judged.consent,
            asks_receipt: decision.refused.is_none() && judged.asks_receipt(),
            references: judged.references,
        };
        self.batch_records.verdict(now.wall_us, &record);
    }

    /// Records what the message says, where that is to be kept. It follows the verdict.
    pub(super) fn record_content(&mut self, judged: &Judged<'_>, is_refused: bool, now: Moment) {
        let Some(octets) = judged.content else { return };
        if is_refused && !judged.content_if_refused {
            return;
        }
        let record = ContentRecord {
            session: self.id,
            command_id: judged.header.command.id(),
            sequence_number: judged.header.sequence_number,
            esm_class: judged.esm_class,
            data_coding: judged.data_coding,
            flags: 0,
            octets,
        };
        self.batch_records.content(now.wall_us, &record);
    }
}
