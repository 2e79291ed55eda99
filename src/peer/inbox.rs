//! Octets as they come from a socket, cut into PDUs without copying them.

use crate::smpp::frame::{self, FrameFault, PDU_OCTETS_MAX};

/// Size of the buffer, octets. It holds the longest PDU and a full read beside it; pages of it that
/// no read has touched cost nothing.
pub const INBOX_OCTETS: usize = 128 * 1024;

/// What one socket has given and nobody has looked at yet.
#[derive(Debug)]
pub struct Inbox {
    octets: Vec<u8>,
    start: usize,
    end: usize,
}

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox { octets: vec![0; INBOX_OCTETS], start: 0, end: 0 }
    }
}

impl Inbox {
    /// Where the next read goes. Never empty once [`Inbox::cut`] has answered `Ok(None)`.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.octets.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        self.octets.get_mut(self.end..).unwrap_or_default()
    }

    /// Says that a read put `count` octets into [`Inbox::space`].
    pub fn filled(&mut self, count: usize) {
        self.end = INBOX_OCTETS.min(self.end + count);
    }

    /// The next whole PDU, at most [`PDU_OCTETS_MAX`] octets; `None` when it has not come whole.
    #[inline]
    pub fn cut(&mut self) -> Result<Option<&[u8]>, FrameFault> {
        let waiting = self.octets.get(self.start..self.end).unwrap_or_default();
        let Some(length) = frame::cut(waiting, PDU_OCTETS_MAX)? else {
            return Ok(None);
        };
        self.start += length;
        Ok(waiting.get(..length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smpp::write;
    use crate::smpp::{Command, CommandStatus};

    #[test]
    fn pdus_come_out_whole_wherever_reads_split_them() {
        let mut stream = Vec::new();
        for sequence in 0..5000 {
            let body = vec![7; (sequence % 97) as usize];
            write::pdu(&mut stream, 4, CommandStatus::ESME_ROK, sequence, |o| o.extend(&body));
        }
        write::pdu(&mut stream, 4, CommandStatus::ESME_ROK, 5000, |o| {
            o.resize(o.len() + PDU_OCTETS_MAX - 16, 1);
        });
        for chunk in [1, 15, 16, 17, 100, 4096, usize::MAX] {
            let (mut inbox, mut given, mut taken) = (Inbox::default(), 0, Vec::new());
            while given < stream.len() {
                let space = inbox.space();
                let count = space.len().min(chunk).min(stream.len() - given);
                assert!(count > 0);
                space[..count].copy_from_slice(&stream[given..given + count]);
                inbox.filled(count);
                given += count;
                while let Some(frame) = inbox.cut().unwrap_or_default() {
                    taken.extend_from_slice(frame);
                }
            }
            assert!(taken == stream, "reads of {chunk} octets");
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_a_fault() {
        let mut inbox = Inbox::default();
        let mut out = Vec::new();
        write::header_only(&mut out, Command::EnquireLink.id(), CommandStatus::ESME_ROK, 1);
        out[3] = 15;
        inbox.space()[..16].copy_from_slice(&out);
        inbox.filled(16);
        assert_eq!(inbox.cut(), Err(FrameFault::TooShort(15)));
    }
}
