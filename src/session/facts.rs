//! From an SMPP message to what the rules look at. The only place that knows both.

use crate::policy::SecondSender;
use crate::registry::{Address, Npi, Ton};
use crate::smpp::message::{ESM_CLASS_REPLY_PATH, Message, WireAddress};
use crate::smpp::strict::{ParameterFault, Strict};
use crate::smpp::tlv::{Tag, Tlvs};
use crate::text::udh::{Part, Udh};

/// What one walk over a message finds besides its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gathered {
    /// Another sender than source_addr, the first found.
    pub second_sender: Option<SecondSender>,
    /// Whether there is more than one text.
    pub two_bodies: bool,
    /// Which part of a long message it is, by its user data header or its SAR parameters.
    pub part: Option<Part>,
}

/// Walks a message's header octets and parameters once. Parameters that may not be as they are
/// make it malformed.
pub fn gather(message: &Message<'_>) -> Result<Gathered, ParameterFault> {
    let mut found = Gathered::default();
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
        found.part = udh.part().or(found.part);
    }
    Ok(found)
}

fn walk_parameters(message: &Message<'_>, found: &mut Gathered) -> Result<(), ParameterFault> {
    let mut strict = Strict::default();
    let (mut reference, mut total, mut number) = (None, None, None);
    for tlv in message.tlvs {
        strict.look(tlv)?;
        match (tlv.tag, tlv.value) {
            (Tag::MESSAGE_PAYLOAD, _) => found.two_bodies = !message.short_message.is_empty(),
            (Tag::CALLBACK_NUM, _) => {
                found.second_sender = found.second_sender.or(Some(SecondSender::CallbackNum));
            }
            (Tag::SOURCE_SUBADDRESS, _) => {
                found.second_sender = found.second_sender.or(Some(SecondSender::SourceSubaddress));
            }
            (Tag::SAR_MSG_REF_NUM, &[high, low]) => {
                reference = Some(u16::from_be_bytes([high, low]));
            }
            (Tag::SAR_TOTAL_SEGMENTS, &[value]) => total = Some(value),
            (Tag::SAR_SEGMENT_SEQNUM, &[value]) => number = Some(value),
            _ => {}
        }
    }
    if let (Some(reference), Some(total), Some(number)) = (reference, total, number) {
        found.part = Some(Part { reference, total, number });
    }
    Ok(())
}

/// An address of the wire in the registry's words.
pub(super) fn address<'a>(wire: &WireAddress<'a>) -> Address<'a> {
    Address { ton: Ton(wire.ton), npi: Npi(wire.npi), value: wire.value }
}
