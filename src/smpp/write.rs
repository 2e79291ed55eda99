//! The few PDUs that we write ourselves: refusals and shutdown in the proxy, everything in `peer`.
//!
//! Nothing here is ever used on what a peer sent, that goes on as the octets it came in, but by
//! [`super::narrow`] and [`super::strip`].

use super::command::Command;
use super::header::HEADER_OCTETS;
use super::message::WireAddress;
use super::multi::Destination;
use super::response::Unsuccess;
use super::status::CommandStatus;
use super::tlv::Tag;

/// Appends a PDU whose body `fill` writes. A body that would not fit a command_length is cut off
/// by the type: no caller writes 4 GiB.
pub fn pdu(
    out: &mut Vec<u8>,
    command_id: u32,
    status: CommandStatus,
    sequence_number: u32,
    fill: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&command_id.to_be_bytes());
    out.extend_from_slice(&status.0.to_be_bytes());
    out.extend_from_slice(&sequence_number.to_be_bytes());
    fill(out);
    let length = (out.len() - start) as u32;
    if let Some(field) = out.get_mut(start..start + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends a PDU that is a header and nothing else.
pub fn header_only(out: &mut Vec<u8>, command_id: u32, status: CommandStatus, sequence: u32) {
    pdu(out, command_id, status, sequence, |_| {});
}

/// Appends the sixteen-octet response that refuses the request `command_id` (SMPP 3.4 3.2).
pub fn refusal(out: &mut Vec<u8>, command: Command, status: CommandStatus, sequence: u32) {
    header_only(out, command.response_id(), status, sequence);
}

/// Appends a generic_nack (SMPP 3.4 4.3.1).
pub fn generic_nack(out: &mut Vec<u8>, status: CommandStatus, sequence: u32) {
    header_only(out, Command::GenericNack.id(), status, sequence);
}

/// Size of what [`refusal`] writes, octets.
pub const REFUSAL_OCTETS: usize = HEADER_OCTETS;

/// Appends `text` and a NUL.
pub fn c_octets(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(text);
    out.push(0);
}

/// Appends TON, NPI, digits and a NUL.
pub fn address(out: &mut Vec<u8>, address: WireAddress<'_>) {
    out.push(address.ton);
    out.push(address.npi);
    c_octets(out, address.value);
}

/// Appends a destination that was not taken, as a submit_multi_resp has it (SMPP 3.4 4.5.2.1).
pub fn unsuccess(out: &mut Vec<u8>, one: Unsuccess<'_>) {
    address(out, one.destination);
    out.extend_from_slice(&one.status.0.to_be_bytes());
}

/// Appends one optional parameter; a value above 65,535 octets is cut to that.
pub fn tlv(out: &mut Vec<u8>, tag: Tag, value: &[u8]) {
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    out.extend_from_slice(&tag.0.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
}

/// What a bind request of ours says.
#[derive(Clone, Copy)]
pub struct BindFields<'a> {
    /// Who binds.
    pub system_id: &'a [u8],
    /// The secret.
    pub password: &'a [u8],
    /// The kind of ESME.
    pub system_type: &'a [u8],
    /// 0x33, 0x34 or 0x50.
    pub interface_version: u8,
}

/// Appends a bind request: `command` is one of the three.
pub fn bind(out: &mut Vec<u8>, command: Command, sequence: u32, fields: BindFields<'_>) {
    pdu(out, command.id(), CommandStatus::ESME_ROK, sequence, |body| {
        c_octets(body, fields.system_id);
        c_octets(body, fields.password);
        c_octets(body, fields.system_type);
        body.extend_from_slice(&[fields.interface_version, 0, 0, 0]);
    });
}

/// What a submit_sm, deliver_sm or data_sm of ours says; the rest is zero.
#[derive(Clone, Copy)]
pub struct MessageFields<'a> {
    /// The sender.
    pub source: WireAddress<'a>,
    /// The recipient.
    pub destination: WireAddress<'a>,
    /// Mode, type, UDH indicator.
    pub esm_class: u8,
    /// Which receipts are asked for.
    pub registered_delivery: u8,
    /// How the text is coded.
    pub data_coding: u8,
    /// At most 254 octets; cut to that.
    pub short_message: &'a [u8],
}

/// Appends a submit_sm or deliver_sm; `tlvs` writes the optional parameters behind it.
pub fn message(
    out: &mut Vec<u8>,
    command: Command,
    sequence: u32,
    fields: MessageFields<'_>,
    tlvs: impl FnOnce(&mut Vec<u8>),
) {
    let text = fields.short_message.get(..254).unwrap_or(fields.short_message);
    pdu(out, command.id(), CommandStatus::ESME_ROK, sequence, |body| {
        body.push(0);
        address(body, fields.source);
        address(body, fields.destination);
        body.extend_from_slice(&[fields.esm_class, 0, 0, 0, 0, fields.registered_delivery, 0]);
        body.extend_from_slice(&[fields.data_coding, 0, text.len() as u8]);
        body.extend_from_slice(text);
        tlvs(body);
    });
}

/// Appends a data_sm; its text goes into `tlvs` as message_payload.
pub fn data_sm(
    out: &mut Vec<u8>,
    sequence: u32,
    fields: MessageFields<'_>,
    tlvs: impl FnOnce(&mut Vec<u8>),
) {
    pdu(out, Command::DataSm.id(), CommandStatus::ESME_ROK, sequence, |body| {
        body.push(0);
        address(body, fields.source);
        address(body, fields.destination);
        body.extend_from_slice(&[fields.esm_class, fields.registered_delivery, fields.data_coding]);
        tlvs(body);
    });
}

/// Appends a submit_multi to `destinations`, of which at most 255 are written; the destination in
/// `fields` is not.
pub fn submit_multi(
    out: &mut Vec<u8>,
    sequence: u32,
    fields: MessageFields<'_>,
    destinations: &[Destination<'_>],
    tlvs: impl FnOnce(&mut Vec<u8>),
) {
    let text = fields.short_message.get(..254).unwrap_or(fields.short_message);
    let destinations = destinations.get(..255).unwrap_or(destinations);
    pdu(out, Command::SubmitMulti.id(), CommandStatus::ESME_ROK, sequence, |body| {
        body.push(0);
        address(body, fields.source);
        body.push(destinations.len() as u8);
        for one in destinations {
            destination(body, *one);
        }
        body.extend_from_slice(&[fields.esm_class, 0, 0, 0, 0, fields.registered_delivery, 0]);
        body.extend_from_slice(&[fields.data_coding, 0, text.len() as u8]);
        body.extend_from_slice(text);
        tlvs(body);
    });
}

/// Appends one destination of a submit_multi (SMPP 3.4 4.5.1.1).
pub fn destination(out: &mut Vec<u8>, destination: Destination<'_>) {
    match destination {
        Destination::Sme(sme) => {
            out.push(1);
            address(out, sme);
        }
        Destination::DistributionList(name) => {
            out.push(2);
            c_octets(out, name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::Header;
    use super::super::message::Message;
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut out = Vec::new();
        let address = |value| WireAddress { ton: 1, npi: 1, value };
        let fields = MessageFields {
            source: address(b"106900001234"),
            destination: address(b"8613800138000"),
            esm_class: 0,
            registered_delivery: 1,
            data_coding: 8,
            short_message: b"\x4f\x60",
        };
        message(&mut out, Command::SubmitSm, 7, fields, |o| {
            tlv(o, Tag(0x1401), b"x");
        });
        let header = Header::of(&out);
        assert_eq!(header.map(|h| h.command_length as usize), Some(out.len()));
        let read = Message::parse(&out);
        assert_eq!(
            read.map(|m| (m.source, m.short_message)),
            Ok((fields.source, &b"\x4f\x60"[..]))
        );
        let mut out = Vec::new();
        refusal(&mut out, Command::SubmitSm, CommandStatus::ESME_RINVSRCADR, 7);
        assert_eq!(out, [0, 0, 0, 16, 0x80, 0, 0, 4, 0, 0, 0, 0x0a, 0, 0, 0, 7]);
    }
}
