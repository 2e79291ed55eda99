//! The sixteen octets that every PDU begins with (SMPP 3.4 5.1).

use super::command::Command;
use super::status::CommandStatus;

/// Size of the header, octets.
pub const HEADER_OCTETS: usize = 16;

/// A PDU's header. Every value is possible on the wire and none is an error here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Size of the whole PDU with this header, octets.
    pub command_length: u32,
    /// What the PDU asks or answers.
    pub command: Command,
    /// Zero in requests; the outcome in responses.
    pub command_status: CommandStatus,
    /// Pairs a response with its request.
    pub sequence_number: u32,
}

impl Header {
    /// Reads the header of a frame; `None` when there are fewer than sixteen octets.
    #[inline]
    pub fn of(frame: &[u8]) -> Option<Header> {
        let octets = frame.first_chunk::<HEADER_OCTETS>()?;
        let word = |at: usize| {
            u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
        };
        Some(Header {
            command_length: word(0),
            command: Command::of(word(4)),
            command_status: CommandStatus(word(8)),
            sequence_number: word(12),
        })
    }
}

/// What stands behind the header.
#[inline]
pub fn body(frame: &[u8]) -> &[u8] {
    frame.get(HEADER_OCTETS..).unwrap_or(&[])
}
