//! A submit_sm made once, of which a sequence_number, the digits of a destination and a number in the
//! text change.

use std::ops::Range;

use super::Message;
use crate::smpp::message::{ADDRESS_OCTETS_MAX, WireAddress};
use crate::smpp::tlv::Tag;
use crate::smpp::write::{self, MessageFields};
use crate::smpp::{Command, HEADER_OCTETS};

/// Longest text, octets: that of a message_payload which fits every peer.
const TEXT_OCTETS_MAX: usize = 64_000;

/// Why a message cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TemplateFault {
    /// source_addr too long for its field.
    #[error("the source may have at most 20 octets")]
    Source,
    /// Destinations that cannot be counted up in place.
    #[error("the last destination has more digits than the first, or more than 20; give fewer")]
    Destinations,
    /// Text too long.
    #[error("the text may have at most 64000 octets")]
    Text,
}

/// Where this stands in the text, the last digits of the sequence_number go: no two texts in a row
/// are alike.
pub const VARYING: &str = "####";

pub(super) struct Template {
    octets: Vec<u8>,
    /// Where the last octet of each digit of [`VARYING`] stands, the last digit first.
    varying: Vec<usize>,
    digits: Range<usize>,
    first: Vec<u8>,
    /// Destinations until the first one comes again.
    left: u64,
    dest_count: u64,
}

impl Template {
    /// The template of one session of many; each begins at another part of the destinations.
    pub(super) fn of(
        message: &Message,
        number: usize,
        sessions: usize,
    ) -> Result<Template, TemplateFault> {
        let dest_count = message.dest_count.max(1);
        let first = message.dest_base.to_string();
        let last = message.dest_base.checked_add(dest_count - 1);
        if last.is_none_or(|last| last.to_string().len() != first.len()) {
            return Err(TemplateFault::Destinations);
        }
        if message.source.len() >= ADDRESS_OCTETS_MAX {
            return Err(TemplateFault::Source);
        }
        if message.text.len() > TEXT_OCTETS_MAX {
            return Err(TemplateFault::Text);
        }
        let skipped = dest_count / sessions.max(1) as u64 * number as u64;
        let begin = (message.dest_base + skipped).to_string();
        let octets = submit_sm(message, begin.as_bytes());
        let at = HEADER_OCTETS + 1 + 2 + message.source.len() + 1 + 2;
        let varying = varying(&octets, message.data_coding);
        Ok(Template {
            octets,
            varying,
            digits: at..at + first.len(),
            first: first.into_bytes(),
            left: dest_count - skipped,
            dest_count,
        })
    }

    /// Appends the next message.
    #[inline]
    pub(super) fn append(&mut self, sequence: u32, out: &mut Vec<u8>) {
        if let Some(field) = self.octets.get_mut(12..HEADER_OCTETS) {
            field.copy_from_slice(&sequence.to_be_bytes());
        }
        let mut number = sequence;
        for at in &self.varying {
            if let Some(octet) = self.octets.get_mut(*at) {
                *octet = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        out.extend_from_slice(&self.octets);
        self.left -= 1;
        let digits = self.octets.get_mut(self.digits.clone()).unwrap_or_default();
        if self.left == 0 {
            self.left = self.dest_count;
            digits.copy_from_slice(&self.first);
            return;
        }
        for digit in digits.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
    }

    /// Size of one message, octets.
    pub(super) fn octets(&self) -> usize {
        self.octets.len()
    }
}

/// Where the digits of [`VARYING`] stand in a PDU, from the last to the first.
fn varying(octets: &[u8], data_coding: u8) -> Vec<usize> {
    let written: Vec<u8> = if data_coding == 8 {
        VARYING.encode_utf16().flat_map(u16::to_be_bytes).collect()
    } else {
        VARYING.bytes().collect()
    };
    let width = written.len() / VARYING.len();
    let Some(start) = octets.windows(written.len()).position(|window| window == written) else {
        return Vec::new();
    };
    (1..=VARYING.len()).rev().map(|digit| start + digit * width - 1).collect()
}

fn submit_sm(message: &Message, destination: &[u8]) -> Vec<u8> {
    let long = message.text.len() > 254;
    let fields = MessageFields {
        source: WireAddress { ton: 0, npi: 1, value: message.source.as_bytes() },
        destination: WireAddress { ton: 1, npi: 1, value: destination },
        esm_class: 0,
        registered_delivery: message.receipt.into(),
        data_coding: message.data_coding,
        short_message: if long { b"" } else { &message.text },
    };
    let mut octets = Vec::new();
    write::message(&mut octets, Command::SubmitSm, 0, fields, |o| {
        if long {
            write::tlv(o, Tag::MESSAGE_PAYLOAD, &message.text);
        }
    });
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smpp::Header;

    #[test]
    fn a_number_in_the_text_varies_in_every_coding() {
        for (data_coding, text, expected) in [
            (8, "码####。".encode_utf16().flat_map(u16::to_be_bytes).collect(), "码0317。"),
            (0, b"no ####.".to_vec(), "no 0317."),
            (0, b"no ###.".to_vec(), "no ###."),
        ] {
            let message = Message { data_coding, text, ..Message::default() };
            let mut template = Template::of(&message, 0, 1).expect("a template");
            let mut out = Vec::new();
            template.append(40_317, &mut out);
            let text = crate::smpp::message::Message::parse(&out).expect("a message").short_message;
            let units = text.chunks(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
            let shown = match data_coding {
                8 => char::decode_utf16(units).map(|c| c.expect("a character")).collect(),
                _ => String::from_utf8_lossy(text).into_owned(),
            };
            assert_eq!(shown, expected);
        }
    }
    use crate::smpp::message::Message as Read;

    #[test]
    fn messages_count_through_their_destinations_and_begin_again() {
        let message = Message { dest_base: 13_899_999_998, dest_count: 1, ..Message::default() };
        assert!(
            Template::of(&Message { dest_base: 99, dest_count: 2, ..message.clone() }, 0, 1)
                .is_err()
        );
        let rows: &[(u64, u64, usize, usize, &[&str])] = &[
            (98, 2, 0, 1, &["98", "99", "98", "99", "98"]),
            (198, 4, 0, 1, &["198", "199", "200", "201", "198"]),
            (198, 4, 1, 2, &["200", "201", "198", "199"]),
            (5, 1, 3, 4, &["5", "5"]),
        ];
        for &(dest_base, dest_count, number, sessions, expected) in rows {
            let message = Message { dest_base, dest_count, ..message.clone() };
            let mut template =
                Template::of(&message, number, sessions).unwrap_or_else(|e| panic!("{e}"));
            for (sequence, expected) in (0x0102_0304..).zip(expected) {
                let mut out = Vec::new();
                template.append(sequence, &mut out);
                assert_eq!(out.len(), template.octets());
                let read = Read::parse(&out).map(|m| (m.destination.value, m.text_octets()));
                assert_eq!(read, Ok((expected.as_bytes(), &message.text[..])));
                assert_eq!(Header::of(&out).map(|h| h.sequence_number), Some(sequence));
            }
        }
    }
}
