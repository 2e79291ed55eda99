//! IPv4 and IPv6, down to what TCP has to say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Unread;
use super::checksum::Sum;
use crate::replay::octets::be16;

const TCP: u8 = 6;

/// Most extension headers of one IPv6 packet.
const EXTENSIONS_MAX: usize = 8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;

/// A TCP segment as IP brought it.
pub(super) struct Transport<'a> {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    /// TCP's header and data, as far as captured.
    pub(super) octets: &'a [u8],
    /// Octets behind these that were not captured.
    pub(super) missing: u32,
    /// Of the pseudo-header (RFC 9293 3.1), without the length.
    pub(super) sum: Sum,
    pub(super) checksum_wrong: bool,
}

/// Reads an IP packet of which `cut` octets at the end were not captured.
#[inline]
pub(super) fn transport(packet: &[u8], cut: u32) -> Result<Transport<'_>, Unread> {
    match packet.first().map(|first| first >> 4) {
        Some(4) => v4(packet, cut),
        Some(6) => v6(packet, cut),
        Some(_) => Err(Unread::NotTcp),
        None => Err(Unread::Malformed),
    }
}

#[inline]
fn v4(packet: &[u8], cut: u32) -> Result<Transport<'_>, Unread> {
    let fixed: &[u8; 20] = packet.first_chunk().ok_or(Unread::Malformed)?;
    let header_octets = usize::from(fixed[0] & 0x0f) * 4;
    let header = packet.get(..header_octets).ok_or(Unread::Malformed)?;
    if header_octets < 20 {
        return Err(Unread::Malformed);
    }
    if fixed[9] != TCP {
        return Err(Unread::NotTcp);
    }
    // More fragments, or an offset.
    if u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff != 0 {
        return Err(Unread::Fragment);
    }
    let total = u16::from_be_bytes([fixed[2], fixed[3]]);
    let (octets, missing) = extent(packet, header_octets, total.into(), cut)?;
    let address = |at| {
        let four = packet.get(at..).and_then(|rest| rest.first_chunk::<4>());
        IpAddr::V4(Ipv4Addr::from(four.copied().unwrap_or_default()))
    };
    Ok(Transport {
        from: address(12),
        to: address(16),
        octets,
        missing,
        sum: Sum::of(&fixed[12..20]),
        checksum_wrong: !Sum::of(header).is_right(),
    })
}

fn v6(packet: &[u8], cut: u32) -> Result<Transport<'_>, Unread> {
    let fixed: &[u8; 40] = packet.first_chunk().ok_or(Unread::Malformed)?;
    let mut next = fixed[6];
    let mut at = fixed.len();
    for _ in 0..EXTENSIONS_MAX {
        let head = packet.get(at..).unwrap_or(&[]);
        let length = || head.get(1).copied().map(usize::from).ok_or(Unread::Malformed);
        at += match next {
            HOP_BY_HOP | ROUTING | DESTINATION => (length()? + 1) * 8,
            AUTHENTICATION => (length()? + 2) * 4,
            // A fragment that is the whole packet (RFC 6946) is none.
            FRAGMENT if be16(head, 2).ok_or(Unread::Malformed)? & 0xfff9 != 0 => {
                return Err(Unread::Fragment);
            }
            FRAGMENT => 8,
            _ => break,
        };
        next = head.first().copied().ok_or(Unread::Malformed)?;
    }
    if next != TCP {
        return Err(Unread::NotTcp);
    }
    let payload = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    let total = if payload == 0 { 0 } else { payload + fixed.len() };
    let (octets, missing) = extent(packet, at, total, cut)?;
    let address = |at| {
        let sixteen = packet.get(at..).and_then(|rest| rest.first_chunk::<16>());
        IpAddr::V6(Ipv6Addr::from(sixteen.copied().unwrap_or_default()))
    };
    Ok(Transport {
        from: address(8),
        to: address(24),
        octets,
        missing,
        sum: Sum::of(&fixed[8..40]),
        checksum_wrong: false,
    })
}

/// What of the packet stands behind its headers: not the link layer's padding, and how much of it
/// was not captured. A total length of zero is what a card that cuts segments itself is given.
#[inline]
fn extent(packet: &[u8], at: usize, total: usize, cut: u32) -> Result<(&[u8], u32), Unread> {
    if total == 0 {
        return Ok((packet.get(at..).ok_or(Unread::Malformed)?, cut));
    }
    if total < at {
        return Err(Unread::Malformed);
    }
    let missing = total.saturating_sub(packet.len()) as u32;
    let octets = packet.get(at..total.min(packet.len())).ok_or(Unread::Malformed)?;
    Ok((octets, missing))
}
