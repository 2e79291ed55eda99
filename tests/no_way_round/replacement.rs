//! A text that takes an earlier message's place, in any form that this can have.

use consentry::smpp::multi::Destination;
use consentry::smpp::tlv::Tag;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus};
use consentry::text::Options;

use crate::chance::Chance;
use crate::disguise::{Meant, code, person};
use crate::form::{self, Form};

/// What the earlier message was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    /// A message to this person alone.
    Single,
    /// Beside another of the same sequence_number, to somebody else, before either is answered.
    Twin,
    /// A submit_multi to this person, or to others too.
    Multi,
    /// A part of a long message, by header or by parameters.
    Part,
}

/// An earlier message, and the text that takes its place.
#[derive(Debug)]
pub struct Replacement {
    pub route: Options,
    pub form: Form,
    pub earlier: Earlier,
    /// What is sent first, in one write.
    pub first: Vec<u8>,
    header: Vec<u8>,
}

/// Any earlier message that may be sent by this sender in a form in which the text can be written too. An honest
/// one is a message of its own.
pub fn earlier(chance: &mut Chance, meant: Meant, harmless: &str, is_honest: bool) -> Replacement {
    let (form, units) = loop {
        let (form, _) = form::any(chance, meant.text, is_honest);
        if let Some(units) = form.units(harmless) {
            break (form, units);
        }
    };
    let route = form.route(chance, &format!("{}{harmless}", meant.text));
    let data_coding = form.data_coding(route, chance, is_honest);
    let all = [Earlier::Single, Earlier::Twin, Earlier::Multi, Earlier::Part];
    let earlier = if is_honest { Earlier::Single } else { chance.one_of(&all) };
    let mut elements = form.elements().concat();
    let (is_udh, sar) = (chance.once_in(2), earlier == Earlier::Part);
    if sar && is_udh {
        elements.extend([0x00, 3, 7, 2, 1]);
    }
    let header = match elements.len() {
        0 => elements,
        octets => [vec![octets as u8], elements].concat(),
    };
    let body = [header.clone(), form.octets(route, &units, header.len())].concat();
    let mut pdu = |out: &mut Vec<u8>, to: &str, command: Command| {
        let (source, to) = (code(chance, meant.source), person(chance, to));
        let fields = MessageFields {
            source: source.wire(),
            destination: to.wire(),
            esm_class: if header.is_empty() { 0 } else { 0x40 },
            registered_delivery: 0,
            data_coding,
            short_message: &body,
        };
        let tlvs = |out: &mut Vec<u8>| {
            if sar && !is_udh {
                write::tlv(out, Tag::SAR_MSG_REF_NUM, &[0, 7]);
                write::tlv(out, Tag::SAR_TOTAL_SEGMENTS, &[2]);
                write::tlv(out, Tag::SAR_SEGMENT_SEQNUM, &[1]);
            }
        };
        if command == Command::SubmitMulti {
            let friend = person(chance, crate::FRIEND);
            let both = [Destination::Sme(to.wire()), Destination::Sme(friend.wire())];
            let count = 1 + chance.below(2);
            write::submit_multi(out, 2, fields, &both[..count], tlvs);
        } else {
            write::message(out, Command::SubmitSm, 2, fields, tlvs);
        }
    };
    let mut first = Vec::new();
    match earlier {
        Earlier::Single | Earlier::Part => pdu(&mut first, meant.destination, Command::SubmitSm),
        Earlier::Multi => pdu(&mut first, meant.destination, Command::SubmitMulti),
        // The friend's comes first: the first answer seems to be of it, whichever the SMSC answers first.
        Earlier::Twin => {
            pdu(&mut first, crate::FRIEND, Command::SubmitSm);
            pdu(&mut first, meant.destination, Command::SubmitSm);
        }
    }
    Replacement { route, form, earlier, first, header }
}

impl Replacement {
    /// The replace_sm that puts the text in the place of the message of that id.
    pub fn pdu(&self, chance: &mut Chance, meant: Meant, id: &str, is_honest: bool) -> Vec<u8> {
        let units = self.form.units(meant.text).expect("it was written in this form");
        let header =
            if self.earlier == Earlier::Part && chance.once_in(2) { &[][..] } else { &self.header };
        let body = [header, &self.form.octets(self.route, &units, header.len())].concat();
        let source = code(chance, meant.source);
        let is_payload = body.len() > 254 || !is_honest && chance.once_in(3);
        let validity: &[u8] = match is_honest {
            false => chance.one_of(&[b"", b"000000010000000R", b"000001000000000R"]),
            true => b"000000010000000R",
        };
        let says_part = !is_honest && chance.once_in(4);
        let mut out = Vec::new();
        write::pdu(&mut out, Command::ReplaceSm.id(), CommandStatus::ESME_ROK, 3, |out| {
            write::c_octets(out, id.as_bytes());
            write::address(out, source.wire());
            write::c_octets(out, b"");
            write::c_octets(out, validity);
            let short_message = if is_payload { &[][..] } else { &body };
            out.extend_from_slice(&[0, 0, short_message.len() as u8]);
            out.extend_from_slice(short_message);
            if is_payload {
                write::tlv(out, Tag::MESSAGE_PAYLOAD, &body);
            }
            if says_part {
                write::tlv(out, Tag::SAR_MSG_REF_NUM, &[0, 8]);
                write::tlv(out, Tag::SAR_TOTAL_SEGMENTS, &[2]);
                write::tlv(out, Tag::SAR_SEGMENT_SEQNUM, &[1]);
            }
        });
        out
    }
}
