//! One TCP segment in one IP packet, as the wire would have had it: addresses, ports, sequence numbers
//! and checksums that hold (RFC 791, 8200, 9293, 1071).

use std::net::{IpAddr, SocketAddr};

/// Octets of a PDU that one packet takes; a longer PDU goes into several.
pub const SEGMENT_OCTETS_MAX: usize = 65_000;

/// Opens a direction of a connection.
pub const SYN: u8 = 0x02;
/// `acknowledgement` counts.
pub const ACK: u8 = 0x10;
/// Whole PDUs: to be handed to the program.
pub const PSH: u8 = 0x08;
/// Closes a direction.
pub const FIN: u8 = 0x01;

const PROTOCOL_TCP: u8 = 6;
const HOPS: u8 = 64;
/// With [`WINDOW_SCALE`] a gibibyte: no reader takes what is not acknowledged at once for trouble.
const WINDOW: u16 = 0xffff;
/// MSS is left out; window scale 14, its most (RFC 7323 2.2); one octet of filling.
const WINDOW_SCALE: [u8; 4] = [3, 3, 14, 0];

/// One segment without its octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Who sends it.
    pub from: SocketAddr,
    /// Who gets it.
    pub to: SocketAddr,
    /// Number of its first octet.
    pub sequence: u32,
    /// The octet that the sender waits for.
    pub acknowledgement: u32,
    /// [`SYN`], [`ACK`], [`PSH`], [`FIN`].
    pub flags: u8,
}

/// Appends the packet. Addresses of which one is IPv6 are both written as IPv6.
pub fn write(out: &mut Vec<u8>, segment: &Segment, octets: &[u8]) {
    let options: &[u8] = if segment.flags & SYN != 0 { &WINDOW_SCALE } else { &[] };
    let tcp_octets = 20 + options.len() + octets.len();
    // Never more than the sixteen bits hold: SEGMENT_OCTETS_MAX sees to it.
    let length = tcp_octets as u16;
    let pseudo = match (segment.from.ip().to_canonical(), segment.to.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let start = out.len();
            out.extend_from_slice(&[0x45, 0]);
            out.extend_from_slice(&length.saturating_add(20).to_be_bytes());
            out.extend_from_slice(&[0, 0, 0x40, 0, HOPS, PROTOCOL_TCP, 0, 0]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
            let checksum = !folded(sum(out.get(start..).unwrap_or_default()));
            if let Some(field) = out.get_mut(start + 10..start + 12) {
                field.copy_from_slice(&checksum.to_be_bytes());
            }
            sum(&from.octets()) + sum(&to.octets())
        }
        (from, to) => {
            let wide = |address| match address {
                IpAddr::V4(narrow) => narrow.to_ipv6_mapped().octets(),
                IpAddr::V6(wide) => wide.octets(),
            };
            out.extend_from_slice(&[0x60, 0, 0, 0]);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&[PROTOCOL_TCP, HOPS]);
            out.extend_from_slice(&wide(from));
            out.extend_from_slice(&wide(to));
            sum(&wide(from)) + sum(&wide(to))
        }
    };
    let start = out.len();
    out.extend_from_slice(&segment.from.port().to_be_bytes());
    out.extend_from_slice(&segment.to.port().to_be_bytes());
    out.extend_from_slice(&segment.sequence.to_be_bytes());
    out.extend_from_slice(&segment.acknowledgement.to_be_bytes());
    out.extend_from_slice(&[(5 + options.len() as u8 / 4) << 4, segment.flags]);
    out.extend_from_slice(&WINDOW.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 0]);
    out.extend_from_slice(options);
    out.extend_from_slice(octets);
    let tcp = sum(out.get(start..).unwrap_or_default());
    let checksum = !folded(pseudo + u64::from(PROTOCOL_TCP) + u64::from(length) + tcp);
    if let Some(field) = out.get_mut(start + 16..start + 18) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}

/// The sum of sixteen-bit words, an odd last octet filled with zero.
fn sum(octets: &[u8]) -> u64 {
    let pairs = octets.chunks(2);
    pairs.map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low))).sum()
}

fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_hold_for_both_versions_and_every_length() {
        let addresses = [
            ("192.0.2.1:1", "198.51.100.2:2775", 20),
            ("[::ffff:192.0.2.1]:65535", "198.51.100.2:2775", 20),
            ("[2001:db8::1]:1", "[2001:db8::2]:2775", 40),
            ("[2001:db8::1]:1", "198.51.100.2:2775", 40),
        ];
        for (from, to, ip_octets) in addresses {
            for (flags, length) in
                [(SYN, 0), (ACK, 0), (ACK | PSH, 1), (ACK | PSH, 64), (ACK, SEGMENT_OCTETS_MAX)]
            {
                let segment = Segment {
                    from: from.parse().unwrap(),
                    to: to.parse().unwrap(),
                    sequence: u32::MAX,
                    acknowledgement: 7,
                    flags,
                };
                let mut out = Vec::new();
                write(&mut out, &segment, &vec![0xab; length]);
                let (ip, tcp) = out.split_at(ip_octets);
                let options = if flags == SYN { 4 } else { 0 };
                assert_eq!(tcp.len(), 20 + options + length, "{from} {flags} {length}");
                let (total, ends) = if ip_octets == 20 {
                    assert_eq!(folded(sum(ip)), 0xffff, "the header's checksum");
                    (u16::from_be_bytes([ip[2], ip[3]]) as usize - 20, &ip[12..20])
                } else {
                    (u16::from_be_bytes([ip[4], ip[5]]) as usize, &ip[8..40])
                };
                assert_eq!(total, tcp.len());
                let pseudo = sum(ends) + 6 + tcp.len() as u64;
                assert_eq!(folded(pseudo + sum(tcp)), 0xffff, "{from} {flags} {length}");
            }
        }
    }
}
