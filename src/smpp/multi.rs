//! submit_multi (SMPP 3.4 4.5.1): one text, up to 254 destinations.

use super::cursor::{Cursor, FieldFault, Malformed};
use super::header::body;
use super::message::{
    ADDRESS_OCTETS_MAX, DESTINATION, Message, SERVICE_TYPE_OCTETS_MAX, SOURCE, TIME_OCTETS_MAX,
    WireAddress,
};
use super::tlv::Tlvs;

/// Longest distribution list name with its NUL, octets (SMPP 3.4 4.5.1.2).
pub const DL_NAME_OCTETS_MAX: usize = 21;

/// One destination of a submit_multi.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'a> {
    /// A number.
    Sme(WireAddress<'a>),
    /// A list of numbers that only the SMSC knows.
    DistributionList(&'a [u8]),
}

/// A submit_multi.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmitMulti<'a> {
    /// Everything but the destinations; `destination` is empty here.
    pub message: Message<'a>,
    /// How many destinations it names.
    pub number_of_dests: u8,
    destinations: &'a [u8],
}

impl<'a> SubmitMulti<'a> {
    /// Reads a submit_multi frame.
    pub fn parse(frame: &'a [u8]) -> Result<SubmitMulti<'a>, Malformed> {
        let mut c = Cursor::new(body(frame));
        let service_type = c.c_octets("service_type", SERVICE_TYPE_OCTETS_MAX)?;
        let source = WireAddress::read(&mut c, SOURCE, ADDRESS_OCTETS_MAX)?;
        let number_of_dests = c.u8("number_of_dests")?;
        let destinations = c.rest();
        for _ in 0..number_of_dests {
            read_destination(&mut c)?;
        }
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
        let message = Message {
            service_type,
            source,
            destination: WireAddress { ton: 0, npi: 0, value: b"" },
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
            tlvs: Tlvs::parse(c.rest())?,
        };
        Ok(SubmitMulti { message, number_of_dests, destinations })
    }

    /// The destinations in their order.
    pub fn destinations(&self) -> impl Iterator<Item = Destination<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.destinations);
        (0..self.number_of_dests).map_while(move |_| read_destination(&mut cursor).ok())
    }
}

fn read_destination<'a>(c: &mut Cursor<'a>) -> Result<Destination<'a>, Malformed> {
    match c.u8("dest_flag")? {
        1 => Ok(Destination::Sme(WireAddress::read(c, DESTINATION, ADDRESS_OCTETS_MAX)?)),
        2 => Ok(Destination::DistributionList(c.c_octets("dl_name", DL_NAME_OCTETS_MAX)?)),
        other => Err(Malformed { field: "dest_flag", fault: FieldFault::Value(other) }),
    }
}
