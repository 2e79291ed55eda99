//! What a handset answers, read before it goes on to the ESME: who says stop is left alone.

use sha2::{Digest, Sha256};

use super::desk::Desk;
use super::facts::address;
use super::knowledge::Knowledge;
use super::moment::Moment;
use super::parts::concatenation;
use super::session::Session;
use crate::audit::{self, ReplyRecord};
use crate::consent::{Cause, EntityId, Event, Grant, Happened, Proof, ProofKind, Scope, Source};
use crate::content::reply::{self, Reply};
use crate::policy::{ConsentClass, Review};
use crate::registry::{
    Address, Allotment, Digits, Msisdn, Npi, ProviderId, Ton, recipient, sender,
};
use crate::smpp::message::{Message, WireAddress};
use crate::smpp::{Command, Header};
use crate::text::joining::{Arrived, Key};
use crate::text::{self, Body};

/// Replies of one read that are looked at ahead of the first that is held: more wait their turn.
pub const REPLIES_AHEAD_MAX: usize = 256;

/// Message type in esm_class: all of its values but these two bring a text of the handset
/// (SMPP 3.4 5.2.12).
const MESSAGE_TYPE: u8 = 0x3c;
const DELIVERY_RECEIPT: u8 = 0x04;
const INTERMEDIATE_NOTIFICATION: u8 = 0x20;

impl Session {
    /// Reads a frame from the SMSC, where it is a handset's message; whether it says something that
    /// the ledger has to know before the frame goes on.
    pub(super) fn hear_reply(
        &mut self,
        knowledge: &Knowledge,
        desk: &mut Desk,
        octets: &[u8],
        now: Moment,
    ) -> bool {
        let Some(header) = Header::of(octets) else { return false };
        let parsed = match header.command {
            Command::DeliverSm => Message::parse(octets),
            Command::DataSm => Message::parse_data_sm(octets),
            _ => return false,
        };
        // What does not parse is the ESME's to refuse; no reply can be read in it.
        let Ok(message) = parsed else { return false };
        let kind = message.esm_class & MESSAGE_TYPE;
        if kind == DELIVERY_RECEIPT || kind == INTERMEDIATE_NOTIFICATION {
            return false;
        }
        let Some(said) = said(knowledge, desk, &message, self.text_options, now.steady_us) else {
            return false;
        };
        let reply = match said {
            Reply::None => return false,
            Reply::OptOut { .. } => ReplyRecord::OPT_OUT,
            Reply::OptIn { .. } => ReplyRecord::OPT_IN,
        };
        let (Some(entity), Some(handset)) = (
            self.addressee(knowledge, &message.destination),
            handset(&address(&message.source), reply == ReplyRecord::OPT_OUT),
        ) else {
            return false;
        };
        self.record_reply(header, &message, reply, now);
        self.heard.push(event(said, entity, handset, &message, now));
        true
    }

    /// The legal entity that a handset answers: the owner of the code, or else whose session it is, or was
    /// before he left the registry.
    fn addressee(&self, knowledge: &Knowledge, to: &WireAddress<'_>) -> Option<EntityId> {
        let owner = match code_of(knowledge, to) {
            Some((owner, _)) => Some(owner),
            None => self.provider.or(self.last_provider),
        };
        knowledge.parties.entities.get(owner?.0 as usize).copied()
    }

    fn record_reply(&mut self, header: Header, message: &Message<'_>, reply: u8, now: Moment) {
        let wire = |a: WireAddress<'_>| (a.ton, a.npi);
        let ((source_ton, source_npi), (dest_ton, dest_npi)) =
            (wire(message.source), wire(message.destination));
        let record = ReplyRecord {
            session: self.id,
            command_id: header.command.id(),
            sequence_number: header.sequence_number,
            reply,
            source: audit::Address { ton: source_ton, npi: source_npi, raw: message.source.value },
            destination: audit::Address {
                ton: dest_ton,
                npi: dest_npi,
                raw: message.destination.value,
            },
            data_coding: message.data_coding,
            text: message.text_octets(),
        };
        self.reply_records.reply(now.wall_us, &record);
    }
}

/// Whose number it is. SMSCs are careless with type and plan of the numbers of handsets: who refuses is
/// meant however his number is labelled, who agrees must be certain.
fn handset(from: &Address<'_>, refuses: bool) -> Option<Msisdn> {
    let labelled = recipient(from).ok();
    let unlabelled = || recipient(&Address { ton: Ton::UNKNOWN, npi: Npi::ISDN, ..*from }).ok();
    let found = if refuses { labelled.or_else(unlabelled) } else { labelled };
    found.map(|found| found.msisdn)
}

/// What a handset's text says; none where it cannot be read.
fn said(
    knowledge: &Knowledge,
    desk: &mut Desk,
    message: &Message<'_>,
    options: text::Options,
    now_us: u64,
) -> Option<Reply> {
    desk.text.clear();
    read(knowledge, desk, message, options, now_us)?;
    desk.keywords.clear();
    if let Some((_, code)) = code_of(knowledge, &message.destination) {
        knowledge.announced.of(&code, &mut desk.keywords);
    }
    Some(reply::read(&desk.text, &desk.keywords))
}

/// The text of a handset's message into the desk: of a long one, when all of it has come.
fn read(
    knowledge: &Knowledge,
    desk: &mut Desk,
    message: &Message<'_>,
    options: text::Options,
    now_us: u64,
) -> Option<()> {
    let (octets, has_header) = (message.text_octets(), message.has_udh());
    let data_coding = message.data_coding;
    let part = match concatenation(message) {
        Ok(Some(part)) if part.total > 1 => part,
        // No part of anything, or one that nobody can place: it says what it says by itself.
        Ok(_) | Err(_) => {
            let body = Body::split(octets, has_header).ok()?;
            return text::decode(body, data_coding, options, &mut desk.text).ok().map(drop);
        }
    };
    let (from, to) = (message.source.value, message.destination.value);
    let key = Key::new(from, to, part.reference).ok()?;
    let mut joining = knowledge.joinings.replies();
    let arrived = Arrived { octets, has_header, data_coding };
    let known = joining.put(key, part, arrived, now_us).ok()?;
    // A beginning may still become a sentence: T, and then 恤有货吗.
    if !known.is_complete() {
        return None;
    }
    known.text(options, &mut desk.text).ok()?.map(drop)
}

/// The code that an address belongs to, without its extension, and whose it is. SMSCs give codes any
/// TON and NPI: what they contradict is read as if they said nothing.
fn code_of(knowledge: &Knowledge, to: &WireAddress<'_>) -> Option<(ProviderId, Digits)> {
    let plain = Address { ton: Ton::UNKNOWN, npi: Npi::UNKNOWN, value: to.value };
    [address(to), plain].into_iter().find_map(|to| {
        match knowledge.registry.allotment(&sender(&to).ok()?) {
            Allotment::Code(found, code) => Some((found.owner, code.number)),
            Allotment::None | Allotment::Alphanumeric(_) => None,
        }
    })
}

/// A refusal ends every consent of the entity; an opt-in counts where a request is open, which the
/// ledger knows.
fn event(
    said: Reply,
    entity: EntityId,
    recipient: Msisdn,
    message: &Message<'_>,
    now: Moment,
) -> Event {
    let happened = match said {
        Reply::OptOut { .. } | Reply::None => Happened::Revoked(Cause::Refused),
        Reply::OptIn { .. } => Happened::Granted(Grant {
            scope: Scope::ALL,
            class: ConsentClass::Commercial,
            until_us: None,
            promise: None,
            proof: Proof {
                kind: ProofKind::Message,
                sha256: Sha256::digest(message.text_octets()).into(),
                review: Review::Reviewed,
            },
        }),
    };
    Event { entity, recipient, time_us: now.wall_us, source: Source::Reply, happened }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_refuses_is_meant_however_the_number_is_labelled() {
        let rows: &[(u8, u8, &str, [bool; 2])] = &[
            (1, 1, "8613800138000", [true, true]),
            (2, 1, "13800138000", [true, true]),
            (0, 0, "13800138000", [true, true]),
            (1, 1, "13800138000", [true, false]),
            (2, 8, "8613800138000", [true, false]),
            (3, 1, "13800138000", [true, false]),
            (6, 9, "+8613800138000", [true, false]),
            (5, 0, "SHOP", [false, false]),
            (1, 1, "", [false, false]),
        ];
        for &(ton, npi, digits, expected) in rows {
            let from = Address { ton: Ton(ton), npi: Npi(npi), value: digits.as_bytes() };
            let found = [true, false].map(|refuses| handset(&from, refuses));
            assert_eq!(found.map(|one| one.is_some()), expected, "{ton} {npi} {digits}");
            assert!(found.iter().flatten().all(|one| one.unmasked().ends_with("13800138000")));
        }
    }
}
