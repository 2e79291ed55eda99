//! Capture files: pcap and pcapng, plain or compressed, to packets.
//!
//! What a file is, its first octets say; its name says nothing. Memory is bounded by one buffer,
//! whatever lengths a file claims.

mod decompress;
mod input;
mod pcap;
mod pcapng;

use std::io::Read;

use super::fault::FaultKind;
use super::octets::be32;
use input::Input;

/// The longest packet that a capture may hold, octets: as Wireshark and libpcap have it. A longer
/// one is a damaged file.
pub const PACKET_OCTETS_MAX: usize = 256 * 1024;

/// What a capture says of a packet; its octets are asked for with [`Capture::octets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// When it was captured: microseconds since the Unix epoch. May go back from one to the next.
    pub time_us: u64,
    /// How its first octets are to be read: a LINKTYPE_ value.
    pub link_type: u32,
    /// Its length on the wire, octets; more than were captured where the snap length cut it.
    pub wire_octets: u32,
    /// Octets that were captured.
    pub captured_octets: u32,
}

/// A capture file that is being read.
pub struct Capture {
    input: Input,
    format: Format,
    octets: usize,
}

enum Format {
    Pcap(pcap::Pcap),
    Pcapng(pcapng::Pcapng),
}

impl Capture {
    /// Finds out what `input` is.
    pub fn open(input: Box<dyn Read + Send>) -> Result<Capture, FaultKind> {
        let mut input = Input::new(decompress::open(input)?);
        let first = input.peek(4)?;
        if first.is_empty() {
            return Err(FaultKind::Empty);
        }
        let magic = be32(first, 0).ok_or(FaultKind::CutShort("the file's first number"))?;
        let format = if magic == pcapng::SECTION_HEADER {
            Format::Pcapng(pcapng::Pcapng::new())
        } else {
            Format::Pcap(pcap::Pcap::open(magic, &mut input)?)
        };
        Ok(Capture { input, format, octets: 0 })
    }

    /// The next packet; `None` at the end.
    #[inline]
    pub fn next_packet(&mut self) -> Result<Option<Packet>, FaultKind> {
        let packet = match &mut self.format {
            Format::Pcap(pcap) => pcap.next_packet(&mut self.input)?,
            Format::Pcapng(pcapng) => pcapng.next_packet(&mut self.input)?,
        };
        self.octets = packet.map_or(0, |packet| packet.captured_octets as usize);
        Ok(packet)
    }

    /// The octets of the packet that [`Capture::next_packet`] answered last.
    #[inline]
    pub fn octets(&self) -> &[u8] {
        self.input.consumed(self.octets, self.octets)
    }

    /// Where the part that is being read begins: octets from the start, decompressed.
    pub fn offset(&self) -> u64 {
        self.input.marked()
    }
}
