//! Captured packets to TCP segments: link layer, IP, TCP. Nothing is copied.
//!
//! Checksums are looked at and wrong ones counted, never acted on: a capture taken where the packet
//! was sent has them before the network card fills them in, and cards that join received segments
//! leave wrong ones too. Wireshark does the same.

mod checksum;
mod ip;
mod link;
mod tcp;

use std::net::IpAddr;

use super::capture::Packet;

/// One end of a TCP stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct End {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
}

/// A TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Who sent it.
    pub from: End,
    /// To whom.
    pub to: End,
    /// Sequence number of its first octet, or of its SYN.
    pub seq: u32,
    /// The next sequence number that its sender expects, where `flags` say so.
    pub ack: u32,
    /// SYN, ACK and the others.
    pub flags: Flags,
    /// What of its data was captured.
    pub data: &'a [u8],
    /// Octets of data behind these that the snap length cut off.
    pub missing: u32,
    /// Whether a checksum was wrong.
    pub checksum_wrong: bool,
}

/// The control bits of a segment (RFC 9293 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// The sender has no more to send.
    #[inline]
    pub fn fin(self) -> bool {
        self.0 & 0x01 != 0
    }

    /// The first segment of a side.
    #[inline]
    pub fn syn(self) -> bool {
        self.0 & 0x02 != 0
    }

    /// The connection is broken off.
    #[inline]
    pub fn rst(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// `ack` means something.
    #[inline]
    pub fn ack(self) -> bool {
        self.0 & 0x10 != 0
    }
}

/// Why a packet holds no segment that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// Its link layer is not one of ours.
    LinkType,
    /// It is something else than TCP over IP.
    NotTcp,
    /// A fragment of an IP packet.
    Fragment,
    /// It ends within a header, or a header contradicts itself.
    Malformed,
}

/// Reads the segment in a packet.
#[inline]
pub fn segment<'a>(packet: &Packet, octets: &'a [u8]) -> Result<Segment<'a>, Unread> {
    let cut = packet.wire_octets.saturating_sub(packet.captured_octets);
    let network = link::network(packet.link_type, octets)?;
    let transport = ip::transport(network, cut)?;
    tcp::segment(&transport)
}
