//! SMPP told by what it says: headers and bodies as the specification has them, not ports.
//!
//! CMPP, SGIP and SMGP begin with a length and command_ids of the same numbers: a header alone proves
//! little. What is asked for, beside known codes, is a body that can be read as that command's, or
//! several headers each standing where the one before says it ends.

use crate::session::Side;
use crate::smpp::bind::{Bind, BindResp, Outbind};
use crate::smpp::broadcast::{BroadcastSm, CancelBroadcastSm, QueryBroadcastSm};
use crate::smpp::header::body;
use crate::smpp::message::Message;
use crate::smpp::multi::SubmitMulti;
use crate::smpp::operation::{AlertNotification, CancelSm, QuerySm, ReplaceSm};
use crate::smpp::response::{QuerySmResp, SubmitMultiResp, message_id};
use crate::smpp::status::{VENDOR_FIRST, VENDOR_LAST};
use crate::smpp::{Command, HEADER_OCTETS, Header};

/// Points at which a stream is SMPP: see [`Evidence::points`].
pub(super) const POINTS_ENOUGH: u32 = 4;

/// Largest PDU whose body is looked at to find the frames of a stream again, octets: a bound on the
/// work that hostile octets can cause. Of larger ones the headers have to do.
const BODY_OCTETS_MAX: usize = 4096;

/// What one PDU says for its stream being SMPP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Nothing: an answer with an error and octets behind it, which anything may be.
    None,
    /// Its header only.
    Header,
    /// Its header and what little body it has.
    Body,
    /// A body of many fields, each as it has to be.
    Fields,
}

impl Evidence {
    pub(super) fn points(self) -> u32 {
        match self {
            Evidence::None => 0,
            Evidence::Header => 1,
            Evidence::Body => 2,
            Evidence::Fields => 4,
        }
    }
}

/// Whether the first sixteen octets are a header that SMPP's own peers write.
pub(super) fn is_header(octets: &[u8], pdu_octets_max: usize) -> bool {
    let Some(header) = Header::of(octets) else {
        return false;
    };
    // First what most octets that are no header fail: lost streams are looked through by the octet.
    let length = header.command_length as usize;
    if !(HEADER_OCTETS..=pdu_octets_max).contains(&length) {
        return false;
    }
    let known = !matches!(header.command, Command::Unknown(_));
    let status = header.command_status;
    let vendor = (VENDOR_FIRST..=VENDOR_LAST).contains(&status.0);
    let status_fits =
        status.is_ok() || header.command.is_response() && (status.name().is_some() || vendor);
    known && status_fits
}

/// What a whole PDU says for its stream, whose header passed [`is_header`].
pub(super) fn evidence(frame: &[u8]) -> Evidence {
    let Some(header) = Header::of(frame) else {
        return Evidence::None;
    };
    let empty = body(frame).is_empty();
    if !header.command_status.is_ok() && !empty {
        return Evidence::None;
    }
    let fields = |read: bool| if read { Evidence::Fields } else { Evidence::Header };
    let little = |read: bool| if read || empty { Evidence::Body } else { Evidence::Header };
    match header.command {
        Command::BindReceiver | Command::BindTransmitter | Command::BindTransceiver => {
            fields(Bind::parse(frame).is_ok_and(|bind| is_printed(bind.system_id)))
        }
        Command::BindReceiverResp | Command::BindTransmitterResp | Command::BindTransceiverResp => {
            little(BindResp::parse(frame).is_ok_and(|answer| is_printed(answer.system_id)))
        }
        Command::Outbind => fields(Outbind::parse(frame).is_ok_and(|o| is_printed(o.system_id))),
        Command::SubmitSm | Command::DeliverSm => fields(is_message(Message::parse(frame).ok())),
        Command::DataSm => fields(is_message(Message::parse_data_sm(frame).ok())),
        Command::SubmitMulti => fields(SubmitMulti::parse(frame).is_ok()),
        Command::BroadcastSm => fields(BroadcastSm::parse(frame).is_ok()),
        Command::QuerySm => fields(QuerySm::parse(frame).is_ok_and(|q| is_printed(q.message_id))),
        Command::CancelSm => fields(CancelSm::parse(frame).is_ok_and(|c| is_printed(c.message_id))),
        Command::ReplaceSm => {
            fields(ReplaceSm::parse(frame).is_ok_and(|replace| is_printed(replace.message_id)))
        }
        Command::QueryBroadcastSm => fields(QueryBroadcastSm::parse(frame).is_ok()),
        Command::CancelBroadcastSm => fields(CancelBroadcastSm::parse(frame).is_ok()),
        Command::AlertNotification => fields(AlertNotification::parse(frame).is_ok()),
        Command::QuerySmResp => {
            little(QuerySmResp::parse(frame).is_ok_and(|answer| is_printed(answer.message_id)))
        }
        Command::SubmitMultiResp => little(SubmitMultiResp::parse(frame).is_ok()),
        Command::SubmitSmResp
        | Command::DataSmResp
        | Command::DeliverSmResp
        | Command::BroadcastSmResp
        | Command::QueryBroadcastSmResp => little(message_id(frame).is_some_and(is_printed)),
        Command::EnquireLink
        | Command::EnquireLinkResp
        | Command::Unbind
        | Command::UnbindResp
        | Command::GenericNack
        | Command::CancelSmResp
        | Command::ReplaceSmResp
        | Command::CancelBroadcastSmResp => little(false),
        Command::Unknown(_) => Evidence::None,
    }
}

fn is_message(message: Option<Message<'_>>) -> bool {
    message.is_some_and(|message| {
        is_printed(message.source.value)
            && is_printed(message.destination.value)
            && is_printed(message.service_type)
    })
}

/// Whether a field holds what its writers put there: visible characters of ASCII.
fn is_printed(field: &[u8]) -> bool {
    field.iter().all(|octet| matches!(octet, b' '..=b'~'))
}

/// Who sends this command: `None` for those that either side may.
pub(super) fn sender(command: Command) -> Option<Side> {
    match command {
        Command::BindReceiver
        | Command::BindTransmitter
        | Command::BindTransceiver
        | Command::SubmitSm
        | Command::SubmitMulti
        | Command::BroadcastSm
        | Command::QuerySm
        | Command::CancelSm
        | Command::ReplaceSm
        | Command::QueryBroadcastSm
        | Command::CancelBroadcastSm
        | Command::DeliverSmResp => Some(Side::Esme),
        Command::BindReceiverResp
        | Command::BindTransmitterResp
        | Command::BindTransceiverResp
        | Command::SubmitSmResp
        | Command::SubmitMultiResp
        | Command::BroadcastSmResp
        | Command::QuerySmResp
        | Command::CancelSmResp
        | Command::ReplaceSmResp
        | Command::QueryBroadcastSmResp
        | Command::CancelBroadcastSmResp
        | Command::DeliverSm
        | Command::AlertNotification
        | Command::Outbind => Some(Side::Smsc),
        Command::DataSm
        | Command::DataSmResp
        | Command::EnquireLink
        | Command::EnquireLinkResp
        | Command::Unbind
        | Command::UnbindResp
        | Command::GenericNack
        | Command::Unknown(_) => None,
    }
}

/// Whether a PDU begins at the front of octets that follow something unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Yes,
    No,
    /// It takes more octets to tell.
    Perhaps,
}

/// The header at the front of octets that follow something unread, with a sequence_number that
/// peers count to.
pub(super) fn header(octets: &[u8], pdu_octets_max: usize) -> Option<Header> {
    let header = Header::of(octets)?;
    let nack = header.command == Command::GenericNack;
    let counted = (1..0x8000_0000).contains(&header.sequence_number);
    (is_header(octets, pdu_octets_max) && (counted || nack)).then_some(header)
}

/// Looks for a PDU at the front: a header, a body to it, and behind it another header, or nothing in what
/// came. `last` says that no more octets come.
pub(super) fn begins(octets: &[u8], pdu_octets_max: usize, last: bool) -> Found {
    let short = if last { Found::No } else { Found::Perhaps };
    if octets.len() < HEADER_OCTETS {
        return short;
    }
    let Some(header) = header(octets, pdu_octets_max) else {
        return Found::No;
    };
    let Some((frame, behind)) = octets.split_at_checked(header.command_length as usize) else {
        return short;
    };
    let is_small = frame.len() <= BODY_OCTETS_MAX;
    if is_small && matches!(evidence(frame), Evidence::None | Evidence::Header) {
        return Found::No;
    }
    match behind.len() {
        0 => Found::Yes,
        HEADER_OCTETS.. if is_header(behind, pdu_octets_max) => Found::Yes,
        HEADER_OCTETS.. => Found::No,
        _ if last => Found::Yes,
        _ => Found::Perhaps,
    }
}
