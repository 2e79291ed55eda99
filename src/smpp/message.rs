//! submit_sm, deliver_sm and data_sm (SMPP 3.4 4.4.1, 4.6.1, 4.7.1).

use super::cursor::{Cursor, Malformed};
use super::header::body;
use super::tlv::{Tag, Tlvs};

/// Longest service_type with its NUL, octets (SMPP 3.4 5.2.11).
pub const SERVICE_TYPE_OCTETS_MAX: usize = 6;
/// Longest address of a submit_sm or deliver_sm with its NUL, octets (SMPP 3.4 5.2.8).
pub const ADDRESS_OCTETS_MAX: usize = 21;
/// Longest address of a data_sm with its NUL, octets (SMPP 3.4 4.7.1).
pub const DATA_SM_ADDRESS_OCTETS_MAX: usize = 65;
/// Longest time with its NUL, octets (SMPP 3.4 5.2.15).
pub const TIME_OCTETS_MAX: usize = 17;

/// UDH indicator in esm_class (SMPP 3.4 5.2.12).
pub const ESM_CLASS_UDHI: u8 = 0x40;
/// Reply path in esm_class (SMPP 3.4 5.2.12).
pub const ESM_CLASS_REPLY_PATH: u8 = 0x80;

/// TON, NPI and digits as they stand in a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireAddress<'a> {
    /// Type of number (SMPP 3.4 5.2.5).
    pub ton: u8,
    /// Numbering plan indicator (SMPP 3.4 5.2.6).
    pub npi: u8,
    /// The address without its NUL.
    pub value: &'a [u8],
}

impl<'a> WireAddress<'a> {
    /// Reads TON, NPI and an address of at most `max` octets with its NUL.
    #[inline]
    pub fn read(
        cursor: &mut Cursor<'a>,
        [ton, npi, value]: [&'static str; 3],
        max: usize,
    ) -> Result<WireAddress<'a>, Malformed> {
        Ok(WireAddress {
            ton: cursor.u8(ton)?,
            npi: cursor.u8(npi)?,
            value: cursor.c_octets(value, max)?,
        })
    }
}

pub(super) const SOURCE: [&str; 3] = ["source_addr_ton", "source_addr_npi", "source_addr"];
pub(super) const DESTINATION: [&str; 3] = ["dest_addr_ton", "dest_addr_npi", "destination_addr"];

/// A submit_sm, deliver_sm or data_sm. Fields that a data_sm does not have are empty or zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Service that the message belongs to.
    pub service_type: &'a [u8],
    /// The sender.
    pub source: WireAddress<'a>,
    /// The recipient.
    pub destination: WireAddress<'a>,
    /// Mode, type and features, [`ESM_CLASS_UDHI`] among them.
    pub esm_class: u8,
    /// GSM 03.40 TP-PID.
    pub protocol_id: u8,
    /// Priority.
    pub priority_flag: u8,
    /// When the SMSC shall begin to deliver; empty for at once.
    pub schedule_delivery_time: &'a [u8],
    /// How long it is worth delivering; empty for the SMSC's default.
    pub validity_period: &'a [u8],
    /// Which receipts are asked for.
    pub registered_delivery: u8,
    /// Whether it replaces an earlier message.
    pub replace_if_present_flag: u8,
    /// How the text is coded.
    pub data_coding: u8,
    /// A text stored in the SMSC to send instead; zero for none.
    pub sm_default_msg_id: u8,
    /// The text in the body proper, of at most 255 octets.
    pub short_message: &'a [u8],
    /// The optional parameters.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Message<'a> {
    /// Reads a submit_sm or deliver_sm frame.
    #[inline]
    pub fn parse(frame: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let mut c = Cursor::new(body(frame));
        let service_type = c.c_octets("service_type", SERVICE_TYPE_OCTETS_MAX)?;
        let source = WireAddress::read(&mut c, SOURCE, ADDRESS_OCTETS_MAX)?;
        let destination = WireAddress::read(&mut c, DESTINATION, ADDRESS_OCTETS_MAX)?;
        let esm_class = c.u8("esm_class")?;
        let protocol_id = c.u8("protocol_id")?;
        let priority_flag = c.u8("priority_flag")?;
        let schedule_delivery_time = c.c_octets("schedule_delivery_time", TIME_OCTETS_MAX)?;
        let validity_period = c.c_octets("validity_period", TIME_OCTETS_MAX)?;
        let registered_delivery = c.u8("registered_delivery")?;
        let replace_if_present_flag = c.u8("replace_if_present_flag")?;
        let data_coding = c.u8("data_coding")?;
        let sm_default_msg_id = c.u8("sm_default_msg_id")?;
        let sm_length = c.u8("sm_length")?;
        let short_message = c.octets("short_message", usize::from(sm_length))?;
        let tlvs = Tlvs::parse(c.rest())?;
        Ok(Message {
            service_type,
            source,
            destination,
            esm_class,
            protocol_id,
            priority_flag,
            schedule_delivery_time,
            validity_period,
            registered_delivery,
            replace_if_present_flag,
            data_coding,
            sm_default_msg_id,
            short_message,
            tlvs,
        })
    }

    /// Reads a data_sm frame.
    pub fn parse_data_sm(frame: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let mut c = Cursor::new(body(frame));
        Ok(Message {
            service_type: c.c_octets("service_type", SERVICE_TYPE_OCTETS_MAX)?,
            source: WireAddress::read(&mut c, SOURCE, DATA_SM_ADDRESS_OCTETS_MAX)?,
            destination: WireAddress::read(&mut c, DESTINATION, DATA_SM_ADDRESS_OCTETS_MAX)?,
            esm_class: c.u8("esm_class")?,
            protocol_id: 0,
            priority_flag: 0,
            schedule_delivery_time: b"",
            validity_period: b"",
            registered_delivery: c.u8("registered_delivery")?,
            replace_if_present_flag: 0,
            data_coding: c.u8("data_coding")?,
            sm_default_msg_id: 0,
            short_message: b"",
            tlvs: Tlvs::parse(c.rest())?,
        })
    }

    /// Where registered_delivery stands in a submit_sm or deliver_sm frame; `None` where it cannot be
    /// read so far.
    pub fn registered_delivery_at(frame: &[u8]) -> Option<usize> {
        let mut c = Cursor::new(body(frame));
        c.c_octets("service_type", SERVICE_TYPE_OCTETS_MAX).ok()?;
        WireAddress::read(&mut c, SOURCE, ADDRESS_OCTETS_MAX).ok()?;
        WireAddress::read(&mut c, DESTINATION, ADDRESS_OCTETS_MAX).ok()?;
        c.octets("esm_class", 3).ok()?;
        c.c_octets("schedule_delivery_time", TIME_OCTETS_MAX).ok()?;
        c.c_octets("validity_period", TIME_OCTETS_MAX).ok()?;
        frame.len().checked_sub(c.rest().len())
    }

    /// The same of a data_sm frame.
    pub fn registered_delivery_of_data_sm_at(frame: &[u8]) -> Option<usize> {
        let mut c = Cursor::new(body(frame));
        c.c_octets("service_type", SERVICE_TYPE_OCTETS_MAX).ok()?;
        WireAddress::read(&mut c, SOURCE, DATA_SM_ADDRESS_OCTETS_MAX).ok()?;
        WireAddress::read(&mut c, DESTINATION, DATA_SM_ADDRESS_OCTETS_MAX).ok()?;
        c.u8("esm_class").ok()?;
        frame.len().checked_sub(c.rest().len())
    }

    /// Whether the text begins with a user data header.
    pub fn has_udh(&self) -> bool {
        self.esm_class & ESM_CLASS_UDHI != 0
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
