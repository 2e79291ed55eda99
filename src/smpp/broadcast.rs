//! broadcast_sm, query_broadcast_sm and cancel_broadcast_sm (SMPP 5.0 4.4.1, 4.6.1, 4.6.3): a text for
//! everybody in an area.

use super::cursor::{Cursor, Malformed};
use super::header::body;
use super::message::{
    ADDRESS_OCTETS_MAX, Message, SERVICE_TYPE_OCTETS_MAX, SOURCE, TIME_OCTETS_MAX, WireAddress,
};
use super::operation::MESSAGE_ID_OCTETS_MAX;
use super::tlv::{Tag, Tlvs};

/// A broadcast_sm. The text stands in message_payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BroadcastSm<'a> {
    /// Service that the message belongs to.
    pub service_type: &'a [u8],
    /// The sender.
    pub source: WireAddress<'a>,
    /// The message that it replaces; empty for a new one.
    pub message_id: &'a [u8],
    /// Priority.
    pub priority_flag: u8,
    /// When to begin; empty for at once.
    pub schedule_delivery_time: &'a [u8],
    /// How long to repeat; empty for the SMSC's default.
    pub validity_period: &'a [u8],
    /// Whether it replaces an earlier message.
    pub replace_if_present_flag: u8,
    /// How the text is coded.
    pub data_coding: u8,
    /// A text stored in the SMSC; zero for none.
    pub sm_default_msg_id: u8,
    /// Area, content type, repetition, text.
    pub tlvs: Tlvs<'a>,
}

impl<'a> BroadcastSm<'a> {
    /// Reads a broadcast_sm frame.
    pub fn parse(frame: &'a [u8]) -> Result<BroadcastSm<'a>, Malformed> {
        let mut c = Cursor::new(body(frame));
        Ok(BroadcastSm {
            service_type: c.c_octets("service_type", SERVICE_TYPE_OCTETS_MAX)?,
            source: WireAddress::read(&mut c, SOURCE, ADDRESS_OCTETS_MAX)?,
            message_id: c.c_octets("message_id", MESSAGE_ID_OCTETS_MAX)?,
            priority_flag: c.u8("priority_flag")?,
            schedule_delivery_time: c.c_octets("schedule_delivery_time", TIME_OCTETS_MAX)?,
            validity_period: c.c_octets("validity_period", TIME_OCTETS_MAX)?,
            replace_if_present_flag: c.u8("replace_if_present_flag")?,
            data_coding: c.u8("data_coding")?,
            sm_default_msg_id: c.u8("sm_default_msg_id")?,
            tlvs: Tlvs::parse(c.rest())?,
        })
    }
}

impl<'a> BroadcastSm<'a> {
    /// The text; empty where there is none.
    pub fn text_octets(&self) -> &'a [u8] {
        self.tlvs.find(Tag::MESSAGE_PAYLOAD).unwrap_or(&[])
    }

    /// What it has in common with a message: all but its destination, which it has none of.
    pub fn message(&self) -> Message<'a> {
        Message {
            service_type: self.service_type,
            source: self.source,
            destination: WireAddress { ton: 0, npi: 0, value: b"" },
            esm_class: 0,
            protocol_id: 0,
            priority_flag: self.priority_flag,
            schedule_delivery_time: self.schedule_delivery_time,
            validity_period: self.validity_period,
            registered_delivery: 0,
            replace_if_present_flag: self.replace_if_present_flag,
            data_coding: self.data_coding,
            sm_default_msg_id: self.sm_default_msg_id,
            short_message: b"",
            tlvs: self.tlvs,
        }
    }

    /// The areas, in their order: a format octet and what it asks for (SMPP 5.0 4.8.4.4).
    pub fn areas(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let tlvs = self.tlvs.iter();
        tlvs.filter(|tlv| tlv.tag == Tag::BROADCAST_AREA_IDENTIFIER).map(|tlv| tlv.value)
    }

    /// Network type and content type: what kind of text it says it is (SMPP 5.0 4.8.4.7); `None` where
    /// the parameter is missing or not of three octets.
    pub fn content_type(&self) -> Option<(u8, u16)> {
        match self.tlvs.find(Tag::BROADCAST_CONTENT_TYPE) {
            Some(&[network, high, low]) => Some((network, u16::from_be_bytes([high, low]))),
            _ => None,
        }
    }
}

/// Asks what became of a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryBroadcastSm<'a> {
    /// The SMSC's id of the broadcast.
    pub message_id: &'a [u8],
    /// Its sender.
    pub source: WireAddress<'a>,
    /// Usually user_message_reference.
    pub tlvs: Tlvs<'a>,
}

impl<'a> QueryBroadcastSm<'a> {
    /// Reads a query_broadcast_sm frame.
    pub fn parse(frame: &'a [u8]) -> Result<QueryBroadcastSm<'a>, Malformed> {
        let mut c = Cursor::new(body(frame));
        Ok(QueryBroadcastSm {
            message_id: c.c_octets("message_id", MESSAGE_ID_OCTETS_MAX)?,
            source: WireAddress::read(&mut c, SOURCE, ADDRESS_OCTETS_MAX)?,
            tlvs: Tlvs::parse(c.rest())?,
        })
    }
}

/// Takes a broadcast back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CancelBroadcastSm<'a> {
    /// Service that the broadcast belongs to.
    pub service_type: &'a [u8],
    /// The SMSC's id of the broadcast; empty to cancel by sender and content type.
    pub message_id: &'a [u8],
    /// Its sender.
    pub source: WireAddress<'a>,
    /// broadcast_content_type, user_message_reference.
    pub tlvs: Tlvs<'a>,
}

impl<'a> CancelBroadcastSm<'a> {
    /// Reads a cancel_broadcast_sm frame.
    pub fn parse(frame: &'a [u8]) -> Result<CancelBroadcastSm<'a>, Malformed> {
        let mut c = Cursor::new(body(frame));
        Ok(CancelBroadcastSm {
            service_type: c.c_octets("service_type", SERVICE_TYPE_OCTETS_MAX)?,
            message_id: c.c_octets("message_id", MESSAGE_ID_OCTETS_MAX)?,
            source: WireAddress::read(&mut c, SOURCE, ADDRESS_OCTETS_MAX)?,
            tlvs: Tlvs::parse(c.rest())?,
        })
    }
}
