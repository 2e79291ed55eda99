//! Packets and captures made by hand, in every form that a capture can have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A link layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Ethernet,
    Vlan,
    QinQ,
    Cooked,
    Cooked2,
    /// Loopback of BSD, in the octet order of a little-endian host.
    Null,
    /// The same, of a big-endian host.
    NullBig,
    Loop,
    Raw,
    /// LINKTYPE_IPV4 or LINKTYPE_IPV6.
    RawByVersion,
}

impl Link {
    pub const ALL: [Link; 10] = [
        Link::Ethernet,
        Link::Vlan,
        Link::QinQ,
        Link::Cooked,
        Link::Cooked2,
        Link::Null,
        Link::NullBig,
        Link::Loop,
        Link::Raw,
        Link::RawByVersion,
    ];

    pub fn number(self, is_v6: bool) -> u32 {
        match self {
            Link::Ethernet | Link::Vlan | Link::QinQ => 1,
            Link::Cooked => 113,
            Link::Cooked2 => 276,
            Link::Null | Link::NullBig => 0,
            Link::Loop => 108,
            Link::Raw => 101,
            Link::RawByVersion => 228 + u32::from(is_v6),
        }
    }

    fn header(self, is_v6: bool) -> Vec<u8> {
        let ethertype: [u8; 2] = if is_v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        let family: u32 = if is_v6 { 30 } else { 2 };
        let parts: &[&[u8]] = match self {
            Link::Ethernet => &[&[2; 12], &ethertype],
            Link::Vlan => &[&[2; 12], &[0x81, 0, 0, 7], &ethertype],
            Link::QinQ => &[&[2; 12], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8], &ethertype],
            Link::Cooked => &[&[0, 0, 0, 1, 0, 6], &[2; 8], &ethertype],
            Link::Cooked2 => &[&ethertype, &[0, 0, 0, 0, 0, 1, 0, 1, 0, 6], &[2; 8]],
            Link::Null => &[&family.to_le_bytes()],
            Link::NullBig | Link::Loop => &[&family.to_be_bytes()],
            Link::Raw | Link::RawByVersion => &[],
        };
        parts.concat()
    }
}

/// A TCP segment to be sent. Ports and addresses are of the ESME or the SMSC.
#[derive(Debug, Clone, Default)]
pub struct Tcp {
    pub from_smsc: bool,
    /// Tells streams apart: their ESMEs' ports and addresses.
    pub stream: u32,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub data: Vec<u8>,
}

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

pub const SMSC_PORT: u16 = 7000;

impl Tcp {
    fn ends(&self, is_v6: bool) -> [(IpAddr, u16); 2] {
        let port = 40_000 + (self.stream % 20_000) as u16;
        let [_, a, b, c] = (1 + self.stream / 20_000).to_be_bytes();
        let (esme, smsc): (IpAddr, IpAddr) = if is_v6 {
            let esme = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, a.into(), b.into(), c.into());
            (esme.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 1, 0, 0, 1).into())
        } else {
            (Ipv4Addr::new(10, a, b, c).into(), Ipv4Addr::new(192, 0, 2, 10).into())
        };
        let ends = [(esme, port), (smsc, SMSC_PORT)];
        if self.from_smsc { [ends[1], ends[0]] } else { ends }
    }

    /// The segment with its header and a right checksum.
    fn octets(&self, is_v6: bool) -> Vec<u8> {
        let [(from, from_port), (to, to_port)] = self.ends(is_v6);
        let mut tcp = [from_port.to_be_bytes(), to_port.to_be_bytes()].concat();
        tcp.extend([self.seq.to_be_bytes(), self.ack.to_be_bytes()].concat());
        // One option of four octets: maximum segment size.
        tcp.extend([6 << 4, self.flags, 0x20, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4]);
        tcp.extend(&self.data);
        let mut pseudo = [octets(from), octets(to)].concat();
        pseudo.extend([0, 0, 0, 6]);
        pseudo.extend((tcp.len() as u32).to_be_bytes());
        pseudo.extend(&tcp);
        let sum = checksum(&pseudo);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        tcp
    }

    /// The packet, down to the link layer.
    pub fn packet(&self, link: Link, is_v6: bool) -> Vec<u8> {
        let [(from, _), (to, _)] = self.ends(is_v6);
        [link.header(is_v6), ip(from, to, &self.octets(is_v6))].concat()
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn checksum(octets: &[u8]) -> u16 {
    let words =
        octets.chunks(2).map(|two| u64::from(two[0]) << 8 | u64::from(*two.get(1).unwrap_or(&0)));
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// An IP packet: IPv4 with an option, IPv6 with an extension header.
fn ip(from: IpAddr, to: IpAddr, payload: &[u8]) -> Vec<u8> {
    let (from_octets, to_octets) = (octets(from), octets(to));
    if from.is_ipv6() {
        let length = (payload.len() + 8) as u16;
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([0, 64]);
        packet.extend(from_octets);
        packet.extend(to_octets);
        packet.extend([6, 0, 1, 4, 0, 0, 0, 0]);
        packet.extend(payload);
        return packet;
    }
    let mut header = vec![0x46, 0];
    header.extend(((payload.len() + 24) as u16).to_be_bytes());
    header.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    header.extend(from_octets);
    header.extend(to_octets);
    header.extend([1, 1, 1, 0]);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header.extend(payload);
    header
}

/// A captured packet.
#[derive(Debug, Clone)]
pub struct Captured {
    pub time_us: u64,
    pub octets: Vec<u8>,
    /// Its length on the wire; more than its octets where it was cut.
    pub wire_octets: usize,
}

impl Captured {
    pub fn whole(time_us: u64, octets: Vec<u8>) -> Captured {
        Captured { time_us, wire_octets: octets.len(), octets }
    }

    /// What a snap length leaves of it.
    pub fn snapped(mut self, octets: usize) -> Captured {
        self.octets.truncate(octets);
        self
    }
}

/// The form of a capture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Pcap {
        big: bool,
        nanoseconds: bool,
    },
    /// Enhanced packet blocks, with unknown blocks and options between them.
    Pcapng {
        big: bool,
        resolution: u8,
        offset_seconds: i64,
    },
    /// Obsolete packet blocks.
    PcapngObsolete {
        big: bool,
    },
    /// Enhanced packet blocks, a section of the other octet order for every packet.
    PcapngMixed,
}

impl Form {
    pub const ALL: [Form; 12] = [
        Form::Pcap { big: false, nanoseconds: false },
        Form::Pcap { big: true, nanoseconds: false },
        Form::Pcap { big: false, nanoseconds: true },
        Form::Pcap { big: true, nanoseconds: true },
        Form::Pcapng { big: false, resolution: 6, offset_seconds: 0 },
        Form::Pcapng { big: true, resolution: 6, offset_seconds: 0 },
        Form::Pcapng { big: false, resolution: 9, offset_seconds: 0 },
        Form::Pcapng { big: true, resolution: 9, offset_seconds: 1_000_000 },
        Form::Pcapng { big: true, resolution: 0x80 | 20, offset_seconds: 0 },
        Form::Pcapng { big: false, resolution: 12, offset_seconds: 1_770_000_000 },
        Form::PcapngObsolete { big: true },
        Form::PcapngMixed,
    ];

    pub fn file(self, link_type: u32, packets: &[Captured]) -> Vec<u8> {
        match self {
            Form::Pcap { big, nanoseconds } => pcap(big, nanoseconds, link_type, packets),
            Form::Pcapng { big, resolution, offset_seconds } => {
                let mut file = section(big);
                // An interface that nothing was captured on stands first.
                file.extend(interface(big, 147, 6, 0));
                file.extend(interface(big, link_type, resolution, offset_seconds));
                for packet in packets {
                    file.extend(block(big, 0x0000_0bad, &[7; 20]));
                    file.extend(enhanced(big, 1, resolution, offset_seconds, packet));
                }
                file
            }
            Form::PcapngObsolete { big } => {
                let mut file = [section(big), interface(big, link_type, 6, 0)].concat();
                for packet in packets {
                    let mut body = [short(big, 0), short(big, 9)].concat();
                    body.extend(packet_body(big, 6, 0, packet));
                    file.extend(block(big, 2, &body));
                }
                file
            }
            Form::PcapngMixed => {
                let mut file = Vec::new();
                for (at, packet) in packets.iter().enumerate() {
                    let big = at % 2 == 1;
                    file.extend(section(big));
                    file.extend(interface(big, link_type, 6, 0));
                    file.extend(enhanced(big, 0, 6, 0, packet));
                }
                file
            }
        }
    }
}

pub fn short(big: bool, value: u16) -> Vec<u8> {
    if big { value.to_be_bytes().to_vec() } else { value.to_le_bytes().to_vec() }
}

pub fn word(big: bool, value: u32) -> Vec<u8> {
    if big { value.to_be_bytes().to_vec() } else { value.to_le_bytes().to_vec() }
}

fn pcap(big: bool, nanoseconds: bool, link_type: u32, packets: &[Captured]) -> Vec<u8> {
    let magic = if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let mut file = word(big, magic);
    file.extend([short(big, 2), short(big, 4)].concat());
    for value in [0, 0, 262_144, link_type] {
        file.extend(word(big, value));
    }
    for packet in packets {
        let fraction = packet.time_us % 1_000_000;
        let fraction = if nanoseconds { fraction * 1000 + 999 } else { fraction };
        file.extend(word(big, (packet.time_us / 1_000_000) as u32));
        file.extend(word(big, fraction as u32));
        file.extend(word(big, packet.octets.len() as u32));
        file.extend(word(big, packet.wire_octets as u32));
        file.extend(&packet.octets);
    }
    file
}

pub fn block(big: bool, kind: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let length = word(big, body.len() as u32 + 12);
    [word(big, kind), length.clone(), body, length].concat()
}

pub fn section(big: bool) -> Vec<u8> {
    let body = [word(big, 0x1a2b_3c4d), short(big, 1), short(big, 0), vec![0xff; 8]].concat();
    block(big, 0x0a0d_0d0a, &body)
}

pub fn interface(big: bool, link_type: u32, resolution: u8, offset_seconds: i64) -> Vec<u8> {
    let mut body = [short(big, link_type as u16), short(big, 0), word(big, 0)].concat();
    body.extend([short(big, 2), short(big, 3), b"lo0\0".to_vec()].concat());
    body.extend([short(big, 9), short(big, 1), vec![resolution, 0, 0, 0]].concat());
    let offset = if big { offset_seconds.to_be_bytes() } else { offset_seconds.to_le_bytes() };
    body.extend([short(big, 14), short(big, 8), offset.to_vec()].concat());
    body.extend([0; 4]);
    block(big, 1, &body)
}

/// Time, lengths, octets and an option: what enhanced and obsolete packet blocks share.
fn packet_body(big: bool, resolution: u8, offset_seconds: i64, packet: &Captured) -> Vec<u8> {
    let micros = u128::from(packet.time_us - offset_seconds as u64 * 1_000_000);
    let ticks = match resolution {
        0x80.. => {
            let unit = 1u128 << (resolution & 0x7f);
            (micros * unit).div_ceil(1_000_000)
        }
        6 => micros,
        digits => micros * 10u128.pow(u32::from(digits) - 6) + 1,
    };
    let ticks = u64::try_from(ticks).expect("a time that fits");
    let mut body = [word(big, (ticks >> 32) as u32), word(big, ticks as u32)].concat();
    body.extend(word(big, packet.octets.len() as u32));
    body.extend(word(big, packet.wire_octets as u32));
    body.extend(&packet.octets);
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend([short(big, 2), short(big, 4), vec![0; 4], vec![0; 4]].concat());
    body
}

pub fn enhanced(
    big: bool,
    interface: u32,
    resolution: u8,
    offset_seconds: i64,
    packet: &Captured,
) -> Vec<u8> {
    let body = packet_body(big, resolution, offset_seconds, packet);
    block(big, 6, &[word(big, interface), body].concat())
}
