//! submit_sm_resp, data_sm_resp, deliver_sm_resp, query_sm_resp, submit_multi_resp (SMPP 3.4 4.4.2,
//! 4.7.2, 4.6.2, 4.8.2, 4.5.2).

use super::cursor::{Cursor, Malformed};
use super::header::body;
use super::message::{ADDRESS_OCTETS_MAX, DESTINATION, TIME_OCTETS_MAX, WireAddress};
use super::operation::MESSAGE_ID_OCTETS_MAX;
use super::status::CommandStatus;
use super::tlv::Tlvs;

/// The message_id of a submit_sm_resp, data_sm_resp or submit_multi_resp.
///
/// Peers leave the body out, whole or in part, and on an error nobody can tell a message_id from a
/// TLV (SMPP 3.4 omits the body then, 5.0 allows parameters): so this never fails, answers `None`
/// where no terminated id of legal length stands first, and is to be asked of successes only.
#[inline]
pub fn message_id(frame: &[u8]) -> Option<&[u8]> {
    Cursor::new(body(frame)).c_octets("message_id", MESSAGE_ID_OCTETS_MAX).ok()
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuerySmResp<'a> {
    /// The message asked for.
    pub message_id: &'a [u8],
    /// When it reached its final state; empty while it has not.
    pub final_date: &'a [u8],
    /// Its state (SMPP 3.4 5.2.28).
    pub message_state: u8,
    /// A network error, zero for none.
    pub error_code: u8,
}

impl<'a> QuerySmResp<'a> {
    /// Reads a query_sm_resp frame with a body.
    pub fn parse(frame: &'a [u8]) -> Result<QuerySmResp<'a>, Malformed> {
        let mut c = Cursor::new(body(frame));
        Ok(QuerySmResp {
            message_id: c.c_octets("message_id", MESSAGE_ID_OCTETS_MAX)?,
            final_date: c.c_octets("final_date", TIME_OCTETS_MAX)?,
            message_state: c.u8("message_state")?,
            error_code: c.u8("error_code")?,
        })
    }
}

/// A destination of a submit_multi that was not taken (SMPP 3.4 4.5.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsuccess<'a> {
    /// The destination.
    pub destination: WireAddress<'a>,
    /// Why.
    pub status: CommandStatus,
}

/// What an SMSC made of a submit_multi.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmitMultiResp<'a> {
    /// The SMSC's id of the message to all destinations.
    pub message_id: &'a [u8],
    /// How many destinations were not taken.
    pub no_unsuccess: u8,
    unsuccess: &'a [u8],
    /// Optional parameters (SMPP 5.0 4.2.3.2).
    pub tlvs: Tlvs<'a>,
    /// The optional parameters' octets.
    pub(super) behind: &'a [u8],
}

impl<'a> SubmitMultiResp<'a> {
    /// Reads a submit_multi_resp frame with a body.
    pub fn parse(frame: &'a [u8]) -> Result<SubmitMultiResp<'a>, Malformed> {
        let mut c = Cursor::new(body(frame));
        let message_id = c.c_octets("message_id", MESSAGE_ID_OCTETS_MAX)?;
        let no_unsuccess = c.u8("no_unsuccess")?;
        let unsuccess = c.rest();
        for _ in 0..no_unsuccess {
            read_unsuccess(&mut c)?;
        }
        let behind = c.rest();
        let tlvs = Tlvs::parse(behind)?;
        Ok(SubmitMultiResp { message_id, no_unsuccess, unsuccess, tlvs, behind })
    }

    /// The destinations that were not taken, in their order.
    pub fn unsuccess(&self) -> impl Iterator<Item = Unsuccess<'a>> + use<'a> {
        unsuccess(self.unsuccess).take(usize::from(self.no_unsuccess))
    }
}

/// The destinations in octets that are nothing but such, as a response has them.
pub fn unsuccess(octets: &[u8]) -> impl Iterator<Item = Unsuccess<'_>> {
    let mut cursor = Cursor::new(octets);
    std::iter::from_fn(move || read_unsuccess(&mut cursor).ok())
}

fn read_unsuccess<'a>(c: &mut Cursor<'a>) -> Result<Unsuccess<'a>, Malformed> {
    let destination = WireAddress::read(c, DESTINATION, ADDRESS_OCTETS_MAX)?;
    let status = c.u32("error_status_code")?;
    Ok(Unsuccess { destination, status: CommandStatus(status) })
}
