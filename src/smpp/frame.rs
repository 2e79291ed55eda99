//! Where one PDU ends and the next begins (SMPP 3.4 3.2, 5.1.1).
//!
//! [`cut`] is the only place that reads a command_length. It bounds the length before anything is
//! reserved for it, so a peer that announces 4 GiB costs sixteen octets.

use super::header::HEADER_OCTETS;

/// command_length above which a PDU is refused unless configured otherwise, octets: a submit_sm with
/// a full message_payload (65,535 octets) and room for its other fields.
pub const PDU_OCTETS_MAX: usize = 70_000;

/// The most that `pdu_octets_max` may be configured to, octets.
pub const PDU_OCTETS_LIMIT: usize = 1 << 20;

/// Why octets cannot be cut into PDUs. The stream is lost: nothing after this can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// command_length below the header's own size.
    #[error("command_length {0} is below 16, the size of the header")]
    TooShort(u32),
    /// command_length above the limit in force.
    #[error("command_length {0} is above the limit")]
    TooLong(u32),
    /// The first octets are another protocol's. Named so that it can be counted without noise.
    #[error("the peer speaks {0}, not SMPP")]
    Foreign(&'static str),
}

/// Length of the PDU at the front of `octets`; `None` when more octets are needed.
pub fn cut(octets: &[u8], pdu_octets_max: usize) -> Result<Option<usize>, FrameFault> {
    let Some(&first) = octets.first_chunk::<4>() else {
        return Ok(None);
    };
    let command_length = u32::from_be_bytes(first);
    if (command_length as usize) < HEADER_OCTETS {
        return Err(FrameFault::TooShort(command_length));
    }
    if command_length as usize > pdu_octets_max {
        return Err(foreign(first).unwrap_or(FrameFault::TooLong(command_length)));
    }
    Ok((octets.len() >= command_length as usize).then_some(command_length as usize))
}

/// Other protocols whose clients are met on SMPP ports, by their first four octets. As a
/// command_length each of these is far above any limit.
fn foreign(first: [u8; 4]) -> Option<FrameFault> {
    let protocol = match &first {
        b"GET " | b"POST" | b"HEAD" | b"PUT " | b"DELE" | b"OPTI" | b"CONN" | b"PATC" | b"HTTP"
        | b"PRI " => "HTTP",
        b"AMQP" => "AMQP",
        b"SSH-" => "SSH",
        b"PROX" | b"\r\n\r\n" => "PROXY protocol",
        [0x16, 0x03, _, _] => "TLS",
        _ => return None,
    };
    Some(FrameFault::Foreign(protocol))
}

/// A growing run of octets from one socket: what was read and not yet passed on.
///
/// Its allocation is given back whenever it is empty, so an idle session holds none.
#[derive(Debug, Default)]
pub struct FrameBuf {
    octets: Vec<u8>,
    start: usize,
}

impl FrameBuf {
    /// The octets that wait, oldest first.
    pub fn octets(&self) -> &[u8] {
        self.octets.get(self.start..).unwrap_or(&[])
    }

    /// The octet in that place of those that wait.
    pub fn octet_mut(&mut self, at: usize) -> Option<&mut u8> {
        self.octets.get_mut(self.start.checked_add(at)?)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.octets().is_empty()
    }

    /// Adds octets behind those that wait.
    pub fn extend(&mut self, octets: &[u8]) {
        if self.start > 0 && self.start == self.octets.len() {
            self.octets.clear();
            self.start = 0;
        }
        self.octets.extend_from_slice(octets);
    }

    /// Puts whole frames in front of those that wait.
    pub fn put_in_front(&mut self, octets: &[u8]) {
        match self.start.checked_sub(octets.len()) {
            Some(start) if !octets.is_empty() => {
                if let Some(room) = self.octets.get_mut(start..self.start) {
                    room.copy_from_slice(octets);
                    self.start = start;
                }
            }
            _ => {
                self.octets.splice(..self.start, octets.iter().copied());
                self.start = 0;
            }
        }
    }

    /// Drops `count` octets from the front; all of them when there are fewer.
    pub fn consume(&mut self, count: usize) {
        self.start = self.octets.len().min(self.start + count);
        if self.start == self.octets.len() {
            *self = FrameBuf::default();
        } else if self.start > 64 * 1024 {
            self.octets.drain(..self.start);
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_bounded_before_it_is_believed() {
        let cases: &[(&[u8], Result<Option<usize>, FrameFault>)] = &[
            (b"", Ok(None)),
            (b"\0\0\0", Ok(None)),
            (b"\0\0\0\x10", Ok(None)),
            (b"\0\0\0\0", Err(FrameFault::TooShort(0))),
            (b"\0\0\0\x0f", Err(FrameFault::TooShort(15))),
            (&[0, 0, 0, 16, 0, 0, 0, 21, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9], Ok(Some(16))),
            (&70_000u32.to_be_bytes(), Ok(None)),
            (&70_001u32.to_be_bytes(), Err(FrameFault::TooLong(70_001))),
            (b"\xff\xff\xff\xff", Err(FrameFault::TooLong(u32::MAX))),
            (b"GET / HTTP/1.1", Err(FrameFault::Foreign("HTTP"))),
            (b"AMQP\0\0\x09\x01", Err(FrameFault::Foreign("AMQP"))),
            (b"\x16\x03\x01\x02", Err(FrameFault::Foreign("TLS"))),
        ];
        for (octets, expected) in cases {
            assert_eq!(&cut(octets, PDU_OCTETS_MAX), expected, "{octets:02x?}");
        }
    }

    #[test]
    fn what_is_consumed_is_gone_and_what_is_left_is_whole() {
        let mut buf = FrameBuf::default();
        buf.extend(b"abcdef");
        buf.consume(2);
        buf.extend(b"gh");
        assert_eq!(buf.octets(), b"cdefgh");
        buf.consume(99);
        assert!(buf.is_empty());
        assert_eq!(buf.octets.capacity(), 0);
    }
}
