//! pcap: one header of 24 octets, then packets of one interface.
//!
//! ```text
//! magic a1b2c3d4 (microseconds) or a1b23c4d (nanoseconds), in the writer's octet order
//! version major, minor: 2 octets each        not looked at
//! reserved, reserved, snap length: 4 each    not looked at
//! link type: 4; the upper 16 bits say how many octets of frame check sequence there are
//! then, a packet: seconds, fraction, captured length, length on the wire: 4 octets each; the octets
//! ```

use super::input::Input;
use super::{PACKET_OCTETS_MAX, Packet};
use crate::replay::fault::FaultKind;
use crate::replay::octets::Endian;

const FILE_HEADER_OCTETS: usize = 24;
const PACKET_HEADER_OCTETS: usize = 16;

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;

/// What the file header says.
pub(super) struct Pcap {
    endian: Endian,
    nanoseconds: bool,
    link_type: u32,
}

impl Pcap {
    pub(super) fn open(magic: u32, input: &mut Input) -> Result<Pcap, FaultKind> {
        let endian = match magic {
            MICROSECONDS | NANOSECONDS => Endian::Big,
            _ if matches!(magic.swap_bytes(), MICROSECONDS | NANOSECONDS) => Endian::Little,
            _ => return Err(FaultKind::Format(magic)),
        };
        let header = input.peek(FILE_HEADER_OCTETS)?;
        if header.len() < FILE_HEADER_OCTETS {
            return Err(FaultKind::CutShort("the file header"));
        }
        let nanoseconds = endian.u32(header, 0) == NANOSECONDS;
        let link_type = endian.u32(header, 20) & 0xffff;
        input.consume(FILE_HEADER_OCTETS);
        Ok(Pcap { endian, nanoseconds, link_type })
    }

    #[inline]
    pub(super) fn next_packet(&mut self, input: &mut Input) -> Result<Option<Packet>, FaultKind> {
        input.mark();
        let header = input.peek(PACKET_HEADER_OCTETS)?;
        if header.is_empty() {
            return Ok(None);
        }
        if header.len() < PACKET_HEADER_OCTETS {
            return Err(FaultKind::CutShort("a packet header"));
        }
        let word = |at| self.endian.u32(header, at);
        let (seconds, fraction, captured_octets, wire_octets) =
            (word(0), word(4), word(8), word(12));
        if captured_octets as usize > PACKET_OCTETS_MAX {
            return Err(FaultKind::PacketTooLong(captured_octets));
        }
        let whole = PACKET_HEADER_OCTETS + captured_octets as usize;
        if input.peek(whole)?.len() < whole {
            return Err(FaultKind::CutShort("a packet"));
        }
        input.consume(whole);
        let micros = if self.nanoseconds { fraction / 1000 } else { fraction };
        let time_us = u64::from(seconds) * 1_000_000 + u64::from(micros);
        Ok(Some(Packet { time_us, link_type: self.link_type, wire_octets, captured_octets }))
    }
}
