//! From an SMPP message to what the rules look at. The only place that knows both.

use super::parts::concatenation;
use crate::audit::References;
use crate::policy::{Facts, Form, SecondSender, Stated};
use crate::registry::{Address, Npi, Provider, Ton, VendorTlv};
use crate::smpp::message::{ESM_CLASS_REPLY_PATH, Message, WireAddress};
use crate::smpp::oddity::{Oddities, Oddity};
use crate::smpp::strict::{ParameterFault, Strict};
use crate::smpp::time::Time;
use crate::smpp::tlv::{Tag, Tlvs};
use crate::text::data_coding::{
    MessageClass, is_deleted_once_read, is_message_waiting, message_class,
};
use crate::text::joining::{Concatenation, PartsFault};
use crate::text::udh::Udh;

/// What one walk over a message finds besides its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gathered {
    /// Another sender than source_addr in the header or the text, the first found.
    pub second_sender: Option<SecondSender>,
    /// Another one in the parameters, the first found.
    pub second_sender_in_parameters: Option<SecondSender>,
    /// Whether there is more than one text.
    pub two_bodies: bool,
    /// What its fields and parameters carry beside a plain text.
    pub oddities: Oddities,
    /// Whether its header does more than join parts and choose alphabets.
    pub beyond_text: bool,
    /// qos_time_to_live: how long the SMSC keeps a data_sm, seconds. In other commands, which say it in a field
    /// of their own, some SMSCs go by it and some do not.
    pub time_to_live_s: Option<u32>,
    /// Which part of a long message it is, by its user data header or its SAR parameters.
    pub concatenation: Result<Option<Concatenation>, PartsFault>,
}

impl Gathered {
    /// Which part of a long message it is; none where it contradicts itself.
    pub fn part(&self) -> Option<Concatenation> {
        self.concatenation.unwrap_or(None)
    }

    /// Whether it names another sender in parameters and nowhere else.
    pub fn can_be_stripped(&self) -> bool {
        self.second_sender.is_none() && self.second_sender_in_parameters.is_some()
    }

    /// Puts what was found into the facts of the message, and what its fields say of its form.
    pub fn put(&self, facts: &mut Facts<'_>, message: &Message<'_>) {
        facts.second_sender = self.second_sender.or(self.second_sender_in_parameters);
        facts.two_bodies = self.two_bodies;
        facts.no_body = message.text_octets().is_empty();
        if !self.oddities.is_empty() {
            facts.stored_body = self.oddities.contains(Oddity::StoredText);
            let provider = facts.provider.map(|(_, provider)| provider);
            let forms = self.oddities.iter().filter_map(|one| form(one, message, provider));
            forms.for_each(|form| facts.forms.add(form));
        }
        facts.begins = stated(message.schedule_delivery_time, facts.now_us);
        let ends = stated(message.validity_period, facts.now_us);
        facts.ends = match (ends, self.time_to_live_s.map(|s| u64::from(s) * 1_000_000)) {
            // Which of them the SMSC goes by is not known: the longer counts.
            (Stated::In(field_us), Some(us)) => Stated::In(field_us.max(us)),
            (Stated::Not, Some(us)) => Stated::In(us),
            (Stated::Unreadable, _) | (_, None) => ends,
        };
        if self.beyond_text {
            facts.forms.add(Form::Header);
        }
        // Below, data_coding names an alphabet and nothing else (SMPP 3.4 5.2.19).
        if message.data_coding >= 0x10 {
            put_class(facts, message.data_coding);
        }
    }
}

/// A time field in the rules' words; empty it says nothing.
pub(super) fn stated(octets: &[u8], now_us: u64) -> Stated {
    if octets.is_empty() {
        return Stated::Not;
    }
    Time::read(octets).map_or(Stated::Unreadable, |time| Stated::In(time.from_now_us(now_us)))
}

/// The form that an oddity is in the rules' words; none where the provider may use it.
fn form(oddity: Oddity, message: &Message<'_>, provider: Option<&Provider>) -> Option<Form> {
    Some(match oddity {
        // A body, and told as that.
        Oddity::StoredText => return None,
        Oddity::ReplacesWaiting => Form::ReplacesWaiting,
        Oddity::ReplacesShown => Form::ReplacesShown,
        Oddity::Silent => Form::Silent,
        Oddity::SimDownload => Form::Card,
        Oddity::Telematic => Form::Telematic,
        Oddity::Service => {
            let is_own = |own: &String| own.as_bytes() == message.service_type;
            let is_allowed = provider.is_some_and(|one| one.service_types.iter().any(is_own));
            return (!is_allowed).then_some(Form::Service);
        }
        Oddity::Ussd => Form::Ussd,
        Oddity::Subunit => Form::Subunit,
        Oddity::Port => Form::Port,
        Oddity::Payload => Form::Payload,
        Oddity::Mode => Form::Mode,
        Oddity::Type => Form::Type,
        Oddity::Display => Form::Display,
    })
}

fn put_class(facts: &mut Facts<'_>, data_coding: u8) {
    match message_class(data_coding) {
        Some(MessageClass::Flash) => facts.forms.add(Form::Flash),
        Some(MessageClass::Sim | MessageClass::Terminal) => facts.forms.add(Form::Stored),
        Some(MessageClass::Handset) | None => {}
    }
    if is_message_waiting(data_coding) {
        facts.forms.add(Form::Lamp);
    }
    if is_deleted_once_read(data_coding) {
        facts.forms.add(Form::Display);
    }
}

/// Walks a message's header octets and parameters once. Parameters that may not be as they are
/// make it malformed.
pub fn gather(message: &Message<'_>) -> Result<Gathered, ParameterFault> {
    let mut found = Gathered {
        second_sender: None,
        second_sender_in_parameters: None,
        two_bodies: false,
        oddities: Oddities::of_fields(message),
        beyond_text: false,
        time_to_live_s: None,
        concatenation: concatenation(message),
    };
    if message.esm_class & ESM_CLASS_REPLY_PATH != 0 {
        found.second_sender = Some(SecondSender::ReplyPath);
    }
    if message.tlvs != Tlvs::NONE {
        walk_parameters(message, &mut found)?;
    }
    if message.has_udh()
        && let Some((udh, _)) = Udh::split(message.text_octets())
    {
        if udh.has_reply_address() {
            found.second_sender = found.second_sender.or(Some(SecondSender::ReplyAddress));
        }
        found.beyond_text = udh.beyond_text().is_some();
    }
    Ok(found)
}

fn walk_parameters(message: &Message<'_>, found: &mut Gathered) -> Result<(), ParameterFault> {
    let mut strict = Strict::default();
    for tlv in message.tlvs {
        strict.look(tlv)?;
        found.oddities.note(tlv);
        match (tlv.tag, tlv.value) {
            (Tag::MESSAGE_PAYLOAD, _) => found.two_bodies = !message.short_message.is_empty(),
            (Tag::CALLBACK_NUM | Tag::CALLBACK_NUM_PRES_IND | Tag::CALLBACK_NUM_ATAG, _) => {
                let second = &mut found.second_sender_in_parameters;
                *second = second.or(Some(SecondSender::CallbackNum));
            }
            (Tag::SOURCE_SUBADDRESS, _) => {
                let second = &mut found.second_sender_in_parameters;
                *second = second.or(Some(SecondSender::SourceSubaddress));
            }
            (Tag::QOS_TIME_TO_LIVE, &[a, b, c, d]) => {
                found.time_to_live_s = Some(u32::from_be_bytes([a, b, c, d]));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The ids that a message names under its provider's tags, for the record: nothing is decided by them.
pub(super) fn references<'a>(message: &Message<'a>, provider: &Provider) -> References<'a> {
    let VendorTlv { entity, template, consent } = provider.vendor_tlv;
    let id = |tag: Option<u16>| {
        let value = tag.and_then(|tag| message.tlvs.find(Tag(tag))).unwrap_or(b"");
        value.strip_suffix(b"\0").unwrap_or(value)
    };
    match (entity, template, consent) {
        (None, None, None) => References::default(),
        _ => References { entity: id(entity), template: id(template), consent: id(consent) },
    }
}

/// An address of the wire in the registry's words.
pub(super) fn address<'a>(wire: &WireAddress<'a>) -> Address<'a> {
    Address { ton: Ton(wire.ton), npi: Npi(wire.npi), value: wire.value }
}
