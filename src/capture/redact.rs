//! What of a PDU is overwritten before it is kept. The PDU keeps its length and can still be parsed.
//!
//! | what | kept in `redacted` | kept in `whole` |
//! |---|---|---|
//! | password of a bind or outbind, system_type of a bind, and what stands behind the body's last field | no | no |
//! | the body of a PDU that cannot be parsed | no | no |
//! | short_message, message_payload | only a user data header's concatenation, ports and language | yes |
//! | optional parameters | those of [`kept`] | yes |
//! | the body of a command_id that no specification names, or that has no body | no | yes |
//! | header, addresses, times, numbers of one octet, message_id, system_id | yes | yes |
//!
//! A list of what is kept, and not of what is overwritten: a parameter that nobody here has heard of
//! may carry a text.

use std::ops::Range;

use crate::smpp::bind::{Bind, BindResp, Outbind};
use crate::smpp::broadcast::{BroadcastSm, CancelBroadcastSm, QueryBroadcastSm};
use crate::smpp::cursor::Cursor;
use crate::smpp::message::{ESM_CLASS_UDHI, Message, TIME_OCTETS_MAX};
use crate::smpp::multi::SubmitMulti;
use crate::smpp::operation::{
    AlertNotification, CancelSm, MESSAGE_ID_OCTETS_MAX, QuerySm, ReplaceSm,
};
use crate::smpp::response::SubmitMultiResp;
use crate::smpp::strict::octets;
use crate::smpp::tlv::{Tag, Tlv, Tlvs};
use crate::smpp::{Command, HEADER_OCTETS, Header, Malformed};
use crate::text::udh::{
    IE_CONCATENATION_8, IE_CONCATENATION_16, IE_LOCKING_SHIFT, IE_PORTS_8, IE_PORTS_16,
    IE_SINGLE_SHIFT, Udh,
};

/// What is written over what is not kept.
pub const FILL: u8 = b'*';

/// What is kept of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Texts {
    /// Their lengths.
    #[default]
    Redacted,
    /// All of them.
    Whole,
}

impl Texts {
    /// The word that configuration and API use.
    pub fn name(self) -> &'static str {
        match self {
            Texts::Redacted => "redacted",
            Texts::Whole => "whole",
        }
    }
}

/// Overwrites what is not kept of a whole PDU. `ranges` is room to work in.
pub fn redact(frame: &mut [u8], texts: Texts, ranges: &mut Vec<Range<usize>>) {
    ranges.clear();
    if mark(frame, texts, ranges).is_err() {
        ranges.push(HEADER_OCTETS..frame.len());
    }
    for range in ranges.drain(..) {
        if let Some(octets) = frame.get_mut(range) {
            octets.fill(FILL);
        }
    }
}

/// The ranges of one frame to be overwritten.
struct Marks<'a> {
    frame: &'a [u8],
    texts: Texts,
    ranges: &'a mut Vec<Range<usize>>,
}

fn mark(frame: &[u8], texts: Texts, ranges: &mut Vec<Range<usize>>) -> Result<(), Malformed> {
    let Some(header) = Header::of(frame) else { return Ok(()) };
    let mut marks = Marks { frame, texts, ranges };
    match header.command {
        Command::BindReceiver | Command::BindTransmitter | Command::BindTransceiver => {
            let bind = Bind::parse(frame)?;
            marks.hide(bind.password);
            // With one NUL too many in front of it, the password is read as this.
            marks.hide(bind.system_type);
            marks.hide_behind(bind.address_range);
        }
        Command::Outbind => {
            let outbind = Outbind::parse(frame)?;
            marks.hide(outbind.password);
            marks.hide_behind(outbind.password);
        }
        Command::BindReceiverResp | Command::BindTransmitterResp | Command::BindTransceiverResp => {
            marks.parameters(BindResp::parse(frame)?.tlvs);
        }
        Command::SubmitSm | Command::DeliverSm => {
            let message = Message::parse(frame)?;
            marks.message(&message);
        }
        Command::DataSm => marks.message(&Message::parse_data_sm(frame)?),
        Command::SubmitMulti => marks.message(&SubmitMulti::parse(frame)?.message),
        Command::ReplaceSm => {
            let replace = ReplaceSm::parse(frame)?;
            // It has no esm_class: whether there is a header, only the replaced message knows.
            marks.text(replace.short_message, false);
            marks.parameters(replace.tlvs);
        }
        Command::BroadcastSm => marks.parameters(BroadcastSm::parse(frame)?.tlvs),
        Command::QueryBroadcastSm => marks.parameters(QueryBroadcastSm::parse(frame)?.tlvs),
        Command::CancelBroadcastSm => marks.parameters(CancelBroadcastSm::parse(frame)?.tlvs),
        Command::QuerySm => marks.parameters(QuerySm::parse(frame)?.tlvs),
        Command::CancelSm => marks.parameters(CancelSm::parse(frame)?.tlvs),
        Command::AlertNotification => marks.parameters(AlertNotification::parse(frame)?.tlvs),
        Command::SubmitMultiResp => marks.answered(|| Ok(SubmitMultiResp::parse(frame)?.tlvs))?,
        Command::SubmitSmResp
        | Command::DeliverSmResp
        | Command::DataSmResp
        | Command::BroadcastSmResp
        | Command::QueryBroadcastSmResp => marks.answered(|| behind_message_id(frame))?,
        Command::QuerySmResp => marks.answered(|| behind_query_sm_resp(frame))?,
        Command::GenericNack
        | Command::Unbind
        | Command::UnbindResp
        | Command::EnquireLink
        | Command::EnquireLinkResp
        | Command::ReplaceSmResp
        | Command::CancelSmResp
        | Command::CancelBroadcastSmResp
        | Command::Unknown(_) => marks.whole_body(),
    }
    Ok(())
}

impl Marks<'_> {
    /// Where a part of the frame stands in it.
    fn range(&self, part: &[u8]) -> Range<usize> {
        let start = part.as_ptr().addr().wrapping_sub(self.frame.as_ptr().addr());
        start..start.saturating_add(part.len())
    }

    /// In every mode.
    fn hide(&mut self, part: &[u8]) {
        let range = self.range(part);
        self.ranges.push(range);
    }

    /// What stands behind a field and its NUL, in every mode.
    fn hide_behind(&mut self, field: &[u8]) {
        let end = self.range(field).end.saturating_add(1);
        self.ranges.push(end..self.frame.len().max(end));
    }

    fn hide_text(&mut self, part: &[u8]) {
        if self.texts == Texts::Redacted {
            self.hide(part);
        }
    }

    fn whole_body(&mut self) {
        if self.texts == Texts::Redacted && self.frame.len() > HEADER_OCTETS {
            self.ranges.push(HEADER_OCTETS..self.frame.len());
        }
    }

    fn message(&mut self, message: &Message<'_>) {
        let has_header = message.esm_class & ESM_CLASS_UDHI != 0;
        self.text(message.short_message, has_header);
        for tlv in message.tlvs {
            if tlv.tag == Tag::MESSAGE_PAYLOAD {
                self.text(tlv.value, has_header && message.short_message.is_empty());
            } else if !kept(tlv) {
                self.hide_text(tlv.value);
            }
        }
    }

    /// A text, with or without a user data header in front of it.
    fn text(&mut self, text: &[u8], has_header: bool) {
        let Some((header, behind)) = Udh::split(text).filter(|_| has_header) else {
            return self.hide_text(text);
        };
        for element in header.elements() {
            let is_kept = match element.identifier {
                IE_CONCATENATION_8 => element.data.len() == 3,
                IE_CONCATENATION_16 | IE_PORTS_16 => element.data.len() == 4,
                IE_PORTS_8 => element.data.len() == 2,
                IE_SINGLE_SHIFT | IE_LOCKING_SHIFT => element.data.len() == 1,
                _ => false,
            };
            if !is_kept {
                self.hide_text(element.data);
            }
        }
        self.hide_text(behind);
    }

    fn parameters(&mut self, tlvs: Tlvs<'_>) {
        for tlv in tlvs.into_iter().filter(|tlv| !kept(*tlv)) {
            self.hide_text(tlv.value);
        }
    }

    /// A response, whose body peers leave out.
    fn answered<'a>(
        &mut self,
        tlvs: impl FnOnce() -> Result<Tlvs<'a>, Malformed>,
    ) -> Result<(), Malformed> {
        if self.frame.len() > HEADER_OCTETS {
            self.parameters(tlvs()?);
        }
        Ok(())
    }
}

fn body(frame: &[u8]) -> Cursor<'_> {
    Cursor::new(frame.get(HEADER_OCTETS..).unwrap_or_default())
}

fn behind_message_id(frame: &[u8]) -> Result<Tlvs<'_>, Malformed> {
    let mut cursor = body(frame);
    cursor.c_octets("message_id", MESSAGE_ID_OCTETS_MAX)?;
    Tlvs::parse(cursor.rest())
}

fn behind_query_sm_resp(frame: &[u8]) -> Result<Tlvs<'_>, Malformed> {
    let mut cursor = body(frame);
    cursor.c_octets("message_id", MESSAGE_ID_OCTETS_MAX)?;
    cursor.c_octets("final_date", TIME_OCTETS_MAX)?;
    cursor.u8("message_state")?;
    cursor.u8("error_code")?;
    Tlvs::parse(cursor.rest())
}

/// Optional parameters that are kept: numbers of a few octets, ids and addresses, none longer than the
/// specification lets it be (SMPP 3.4 5.3.2, SMPP 5.0 4.8.4).
pub fn kept(tlv: Tlv<'_>) -> bool {
    let octets_max = match tlv.tag {
        // Texts, and addresses of any kind.
        Tag::CALLBACK_NUM_ATAG
        | Tag::ADDITIONAL_STATUS_INFO_TEXT
        | Tag::SOURCE_SUBADDRESS
        | Tag::DEST_SUBADDRESS => 0,
        Tag::BROADCAST_CHANNEL_INDICATOR
        | Tag::BROADCAST_MESSAGE_CLASS
        | Tag::BROADCAST_AREA_SUCCESS
        | Tag::DEST_ADDR_NP_RESOLUTION => 1,
        Tag::BROADCAST_REP_NUM => 2,
        Tag::BROADCAST_CONTENT_TYPE
        | Tag::BROADCAST_FREQUENCY_INTERVAL
        | Tag::BROADCAST_ERROR_STATUS => 4,
        Tag::SOURCE_NODE_ID | Tag::DEST_NODE_ID => 6,
        Tag::DEST_ADDR_NP_INFORMATION => 10,
        Tag::BROADCAST_END_TIME => 17,
        other => octets(other).map_or(0, |(_, most)| most),
    };
    tlv.value.len() <= octets_max
}
