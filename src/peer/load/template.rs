//! A submit_sm made once, of which a sequence_number and the digits of a destination change.

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

pub(super) struct Template {
    octets: Vec<u8>,
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
        Ok(Template {
            octets,
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
