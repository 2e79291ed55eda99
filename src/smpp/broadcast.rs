//! broadcast_sm (SMPP 5.0 4.4.1.1): a text for everybody in an area.

use super::cursor::{Cursor, Malformed};
use super::header::body;
use super::message::{
    ADDRESS_OCTETS_MAX, SERVICE_TYPE_OCTETS_MAX, SOURCE, TIME_OCTETS_MAX, WireAddress,
};
use super::operation::MESSAGE_ID_OCTETS_MAX;
use super::tlv::Tlvs;

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
