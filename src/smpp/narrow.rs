//! A submit_multi to fewer destinations, and the response that tells of those left out.
//!
//! One of two places where a PDU of a peer's is rewritten; the other is [`super::strip`]. Everything but the destinations goes on octet
//! for octet, optional parameters and the sequence_number included; the response gets the destinations
//! that were left out added to those that the SMSC did not take (SMPP 3.4 4.5.2.1).

use super::command::Command;
use super::cursor::Malformed;
use super::header::Header;
use super::message::WireAddress;
use super::multi::{Destination, SubmitMulti};
use super::response::{self, SubmitMultiResp, Unsuccess};
use super::status::CommandStatus;
use super::write;

/// Appends the submit_multi `frame` with those of its destinations that `keep` says yes to, called
/// with each one's index from 0. Answers with how many were kept; where that is none, nothing was
/// appended, since a submit_multi must have one.
pub fn submit_multi(
    out: &mut Vec<u8>,
    frame: &[u8],
    keep: impl Fn(usize) -> bool,
) -> Result<u8, Malformed> {
    let multi = SubmitMulti::parse(frame)?;
    let sequence = Header::of(frame).map_or(0, |header| header.sequence_number);
    let start = out.len();
    let mut kept = 0_u8;
    write::pdu(out, Command::SubmitMulti.id(), CommandStatus::ESME_ROK, sequence, |body| {
        body.extend_from_slice(multi.before);
        let count_at = body.len();
        body.push(0);
        for (_, one) in multi.destinations().enumerate().filter(|(index, _)| keep(*index)) {
            write::destination(body, one);
            kept = kept.saturating_add(1);
        }
        if let Some(count) = body.get_mut(count_at) {
            *count = kept;
        }
        body.extend_from_slice(multi.behind);
    });
    if kept == 0 {
        out.truncate(start);
    }
    Ok(kept)
}

/// Appends the SMSC's submit_multi_resp `frame` with `left_out` behind the destinations that the SMSC
/// names itself.
///
/// A response with an error status, with which nothing was taken, is appended as it came: its body is
/// not defined. One without a body, or with an id and nothing behind it, is read as naming no
/// destination: SMSCs write such. Beyond 255 destinations, which
/// one submit_multi cannot have, none is added.
pub fn submit_multi_resp<'a>(
    out: &mut Vec<u8>,
    frame: &[u8],
    left_out: impl Iterator<Item = Unsuccess<'a>>,
) -> Result<(), Malformed> {
    let Some(header) = Header::of(frame) else { return Ok(()) };
    if !header.command_status.is_ok() {
        out.extend_from_slice(frame);
        return Ok(());
    }
    let octets = super::header::body(frame).len();
    let id = response::message_id(frame).unwrap_or(b"");
    let is_bare = octets == 0 || octets == id.len() + 1;
    let (message_id, behind, theirs) = if is_bare {
        (id, &b""[..], None)
    } else {
        let read = SubmitMultiResp::parse(frame)?;
        (read.message_id, read.behind, Some(read))
    };
    let theirs = theirs.iter().flat_map(SubmitMultiResp::unsuccess);
    let all = theirs.map(Left::Theirs).chain(left_out.map(Left::Ours));
    write_resp(out, header.sequence_number, message_id, all, behind);
    Ok(())
}

/// A destination by who did not take it: the two have lifetimes of their own.
enum Left<'s, 'o> {
    Theirs(Unsuccess<'s>),
    Ours(Unsuccess<'o>),
}

fn write_resp<'s, 'o>(
    out: &mut Vec<u8>,
    sequence: u32,
    message_id: &[u8],
    left: impl Iterator<Item = Left<'s, 'o>>,
    behind: &[u8],
) {
    let id = Command::SubmitMulti.response_id();
    write::pdu(out, id, CommandStatus::ESME_ROK, sequence, |body| {
        write::c_octets(body, message_id);
        let count_at = body.len();
        body.push(0);
        let mut count = 0_u8;
        for one in left.take(usize::from(u8::MAX)) {
            match one {
                Left::Theirs(one) => write::unsuccess(body, one),
                Left::Ours(one) => write::unsuccess(body, one),
            }
            count += 1;
        }
        if let Some(field) = body.get_mut(count_at) {
            *field = count;
        }
        body.extend_from_slice(behind);
    });
}

impl<'a> Destination<'a> {
    /// How a response names it: a distribution list by its name, without type and plan.
    pub fn named(self) -> WireAddress<'a> {
        match self {
            Destination::Sme(address) => address,
            Destination::DistributionList(name) => WireAddress { ton: 0, npi: 0, value: name },
        }
    }
}
