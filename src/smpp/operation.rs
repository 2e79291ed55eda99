//! query_sm, cancel_sm, replace_sm and alert_notification (SMPP 3.4 4.8, 4.9, 4.10, 4.12).

use super::cursor::{Cursor, Malformed};
use super::header::body;
use super::message::{
    ADDRESS_OCTETS_MAX, DATA_SM_ADDRESS_OCTETS_MAX, DESTINATION, Message, SERVICE_TYPE_OCTETS_MAX,
    SOURCE, TIME_OCTETS_MAX, WireAddress,
};
use super::tlv::{Tag, Tlvs};

/// Longest message_id with its NUL, octets (SMPP 3.4 5.2.23).
pub const MESSAGE_ID_OCTETS_MAX: usize = 65;

/// Asks what became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuerySm<'a> {
    /// The SMSC's id of the message.
    pub message_id: &'a [u8],
    /// Its sender.
    pub source: WireAddress<'a>,
    /// None in SMPP 3.4; SMPP 5.0 4.8.3 lets any PDU have some.
    pub tlvs: Tlvs<'a>,
}

impl<'a> QuerySm<'a> {
    /// Reads a query_sm frame.
    pub fn parse(frame: &'a [u8]) -> Result<QuerySm<'a>, Malformed> {
        let mut c = Cursor::new(body(frame));
        Ok(QuerySm {
            message_id: c.c_octets("message_id", MESSAGE_ID_OCTETS_MAX)?,
            source: WireAddress::read(&mut c, SOURCE, ADDRESS_OCTETS_MAX)?,
            tlvs: Tlvs::parse(c.rest())?,
        })
    }
}

/// Takes a message back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CancelSm<'a> {
    /// Service that the message belongs to.
    pub service_type: &'a [u8],
    /// The SMSC's id of the message; empty to cancel by addresses.
    pub message_id: &'a [u8],
    /// Its sender.
    pub source: WireAddress<'a>,
    /// Its recipient.
    pub destination: WireAddress<'a>,
    /// None in SMPP 3.4; SMPP 5.0 4.8.3 lets any PDU have some.
    pub tlvs: Tlvs<'a>,
}

impl<'a> CancelSm<'a> {
    /// Reads a cancel_sm frame.
    pub fn parse(frame: &'a [u8]) -> Result<CancelSm<'a>, Malformed> {
        let mut c = Cursor::new(body(frame));
        Ok(CancelSm {
            service_type: c.c_octets("service_type", SERVICE_TYPE_OCTETS_MAX)?,
            message_id: c.c_octets("message_id", MESSAGE_ID_OCTETS_MAX)?,
            source: WireAddress::read(&mut c, SOURCE, ADDRESS_OCTETS_MAX)?,
            destination: WireAddress::read(&mut c, DESTINATION, ADDRESS_OCTETS_MAX)?,
            tlvs: Tlvs::parse(c.rest())?,
        })
    }
}

/// Puts another text in place of a message's.
///
/// It has no data_coding and no esm_class: the new text is read by those of the message that it
/// replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplaceSm<'a> {
    /// The SMSC's id of the message.
    pub message_id: &'a [u8],
    /// Its sender.
    pub source: WireAddress<'a>,
    /// New time to begin to deliver; empty for unchanged.
    pub schedule_delivery_time: &'a [u8],
    /// New validity; empty for unchanged.
    pub validity_period: &'a [u8],
    /// Which receipts are asked for.
    pub registered_delivery: u8,
    /// A text stored in the SMSC to send instead; zero for none.
    pub sm_default_msg_id: u8,
    /// The new text.
    pub short_message: &'a [u8],
    /// Optional parameters (SMPP 5.0 4.5.3.1 allows message_payload).
    pub tlvs: Tlvs<'a>,
}

impl<'a> ReplaceSm<'a> {
    /// Reads a replace_sm frame.
    pub fn parse(frame: &'a [u8]) -> Result<ReplaceSm<'a>, Malformed> {
        let mut c = Cursor::new(body(frame));
        let message_id = c.c_octets("message_id", MESSAGE_ID_OCTETS_MAX)?;
        let source = WireAddress::read(&mut c, SOURCE, ADDRESS_OCTETS_MAX)?;
        let schedule_delivery_time = c.c_octets("schedule_delivery_time", TIME_OCTETS_MAX)?;
        let validity_period = c.c_octets("validity_period", TIME_OCTETS_MAX)?;
        let registered_delivery = c.u8("registered_delivery")?;
        let sm_default_msg_id = c.u8("sm_default_msg_id")?;
        let sm_length = c.u8("sm_length")?;
        Ok(ReplaceSm {
            message_id,
            source,
            schedule_delivery_time,
            validity_period,
            registered_delivery,
            sm_default_msg_id,
            short_message: c.octets("short_message", usize::from(sm_length))?,
            tlvs: Tlvs::parse(c.rest())?,
        })
    }
}

impl<'a> ReplaceSm<'a> {
    /// The message that it becomes: read as the one that it replaces, by that one's data_coding and
    /// esm_class. Its destination is that one's, which it does not name.
    pub fn message(&self, data_coding: u8, esm_class: u8) -> Message<'a> {
        Message {
            service_type: b"",
            source: self.source,
            destination: WireAddress { ton: 0, npi: 0, value: b"" },
            esm_class,
            protocol_id: 0,
            priority_flag: 0,
            schedule_delivery_time: self.schedule_delivery_time,
            validity_period: self.validity_period,
            registered_delivery: self.registered_delivery,
            replace_if_present_flag: 0,
            data_coding,
            sm_default_msg_id: self.sm_default_msg_id,
            short_message: self.short_message,
            tlvs: self.tlvs,
        }
    }

    /// The text as a handset gets it: short_message, or message_payload where that is empty.
    pub fn text_octets(&self) -> &'a [u8] {
        if self.short_message.is_empty() {
            self.tlvs.find(Tag::MESSAGE_PAYLOAD).unwrap_or(&[])
        } else {
            self.short_message
        }
    }
}

/// Tells an ESME that a subscriber can be reached again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertNotification<'a> {
    /// The subscriber.
    pub source: WireAddress<'a>,
    /// The ESME that asked.
    pub esme: WireAddress<'a>,
    /// Usually ms_availability_status.
    pub tlvs: Tlvs<'a>,
}

impl<'a> AlertNotification<'a> {
    /// Reads an alert_notification frame.
    pub fn parse(frame: &'a [u8]) -> Result<AlertNotification<'a>, Malformed> {
        const ESME: [&str; 3] = ["esme_addr_ton", "esme_addr_npi", "esme_addr"];
        let mut c = Cursor::new(body(frame));
        Ok(AlertNotification {
            source: WireAddress::read(&mut c, SOURCE, DATA_SM_ADDRESS_OCTETS_MAX)?,
            esme: WireAddress::read(&mut c, ESME, DATA_SM_ADDRESS_OCTETS_MAX)?,
            tlvs: Tlvs::parse(c.rest())?,
        })
    }
}
