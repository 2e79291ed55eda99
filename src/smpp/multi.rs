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

/// Most destinations of one submit_multi (SMPP 3.4 5.2.24). SMPP 5.0 has one more: it is refused.
pub const DESTINATIONS_MAX: u8 = 254;

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
    /// The body from its first octet to the one before number_of_dests.
    pub(super) before: &'a [u8],
    /// The body behind the last destination.
    pub(super) behind: &'a [u8],
}

impl<'a> SubmitMulti<'a> {
    /// Reads a submit_multi frame.
    pub fn parse(frame: &'a [u8]) -> Result<SubmitMulti<'a>, Malformed> {
        let mut c = Cursor::new(body(frame));
        let service_type = c.c_octets("service_type", SERVICE_TYPE_OCTETS_MAX)?;
        let source = WireAddress::read(&mut c, SOURCE, ADDRESS_OCTETS_MAX)?;
        let before = front(body(frame), c.rest());
        let number_of_dests = c.u8("number_of_dests")?;
        if number_of_dests == 0 || number_of_dests > DESTINATIONS_MAX {
            let fault = FieldFault::Value(number_of_dests);
            return Err(Malformed { field: "number_of_dests", fault });
        }
        let destinations = c.rest();
        for _ in 0..number_of_dests {
            read_destination(&mut c)?;
        }
        let behind = c.rest();
        let destinations = front(destinations, behind);
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
        Ok(SubmitMulti { message, number_of_dests, destinations, before, behind })
    }

    /// The destinations in their order.
    pub fn destinations(&self) -> impl Iterator<Item = Destination<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.destinations);
        (0..self.number_of_dests).map_while(move |_| read_destination(&mut cursor).ok())
    }
}

/// What stands before `rest`, which is the end of `octets`.
fn front<'a>(octets: &'a [u8], rest: &[u8]) -> &'a [u8] {
    octets.get(..octets.len().saturating_sub(rest.len())).unwrap_or(octets)
}

fn read_destination<'a>(c: &mut Cursor<'a>) -> Result<Destination<'a>, Malformed> {
    match c.u8("dest_flag")? {
        1 => Ok(Destination::Sme(WireAddress::read(c, DESTINATION, ADDRESS_OCTETS_MAX)?)),
        2 => Ok(Destination::DistributionList(c.c_octets("dl_name", DL_NAME_OCTETS_MAX)?)),
        other => Err(Malformed { field: "dest_flag", fault: FieldFault::Value(other) }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::write::{self, MessageFields};
    use super::*;

    fn multi(destinations: &[Destination<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        let fields = MessageFields {
            source: WireAddress { ton: 0, npi: 1, value: b"106900001234" },
            destination: WireAddress { ton: 0, npi: 0, value: b"" },
            esm_class: 0,
            registered_delivery: 1,
            data_coding: 8,
            short_message: b"\x4f\x60",
        };
        write::submit_multi(&mut out, 9, fields, destinations, |_| {});
        out
    }

    #[test]
    fn destinations_of_both_forms_are_read_up_to_the_most() {
        let sme = Destination::Sme(WireAddress { ton: 1, npi: 1, value: b"8613800138000" });
        let list = Destination::DistributionList(b"everybody");
        for count in [1, 2, 253, 254] {
            let mut destinations = vec![sme; count];
            destinations[count / 2] = list;
            let frame = multi(&destinations);
            let read = SubmitMulti::parse(&frame).expect("well-formed");
            assert_eq!(usize::from(read.number_of_dests), count);
            assert_eq!(read.destinations().collect::<Vec<_>>(), destinations);
            assert_eq!(read.message.short_message, b"\x4f\x60");
        }
        for count in [0, 255] {
            let fault = SubmitMulti::parse(&multi(&vec![sme; count])).map(|_| ());
            let value = FieldFault::Value(count as u8);
            assert_eq!(fault, Err(Malformed { field: "number_of_dests", fault: value }), "{count}");
        }
    }

    #[test]
    fn a_count_or_form_that_is_not_there_is_malformed() {
        let sme = Destination::Sme(WireAddress { ton: 1, npi: 1, value: b"8613800138000" });
        let frame = multi(&[sme, sme]);
        let count_at = 16 + 1 + 2 + 13;
        for (value, field) in [(3, "dest_flag"), (1, "")] {
            let mut changed = frame.clone();
            changed[count_at] = value;
            let read = SubmitMulti::parse(&changed).map(|_| ()).map_err(|m| m.field);
            assert!(read.is_err(), "{value} {field}");
        }
        let mut changed = frame.clone();
        changed[count_at + 1] = 3;
        let read = SubmitMulti::parse(&changed).map(|_| ());
        let fault = FieldFault::Value(3);
        assert_eq!(read, Err(Malformed { field: "dest_flag", fault }));
    }
}
