//! A submit_sm or data_sm without the parameters that name another sender than source_addr.
//!
//! Done only where it is configured: else such a message is refused. All that is left goes on octet for
//! octet, in its order; command_length says what there is.

use super::command::Command;
use super::cursor::Malformed;
use super::header::{HEADER_OCTETS, Header};
use super::message::Message;
use super::tlv::Tag;
use super::write;

/// Whether a parameter names another sender, or says how one is to be shown (SMPP 3.4 5.3.2.15,
/// 5.3.2.36 to 5.3.2.38).
pub fn names_sender(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::CALLBACK_NUM
            | Tag::CALLBACK_NUM_PRES_IND
            | Tag::CALLBACK_NUM_ATAG
            | Tag::SOURCE_SUBADDRESS
    )
}

/// Appends `frame` without the parameters that [`names_sender`] says yes to. Of another command than
/// submit_sm and data_sm nothing is appended.
pub fn second_senders(out: &mut Vec<u8>, frame: &[u8]) -> Result<(), Malformed> {
    let Some(header) = Header::of(frame) else { return Ok(()) };
    let message = match header.command {
        Command::SubmitSm => Message::parse(frame)?,
        Command::DataSm => Message::parse_data_sm(frame)?,
        _ => return Ok(()),
    };
    let fields = HEADER_OCTETS..frame.len() - message.tlvs.octets().len();
    let (id, status) = (header.command.id(), header.command_status);
    write::pdu(out, id, status, header.sequence_number, |body| {
        body.extend_from_slice(frame.get(fields).unwrap_or(&[]));
        for one in message.tlvs.iter().filter(|one| !names_sender(one.tag)) {
            write::tlv(body, one.tag, one.value);
        }
    });
    Ok(())
}
