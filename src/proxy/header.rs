//! The PROXY protocol header: what a balancer puts before a connection's octets to say whose they are
//! (HAProxy's proxy-protocol.txt, 2.1 the line of version 1, 2.2 the octets of version 2).
//!
//! Octets in, data out. [`read`] says how many octets may be read next so that none behind the header is
//! touched: what follows it belongs to TLS or SMPP.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest line of version 1, octets, its CR LF counted (2.1).
pub const LINE_OCTETS_MAX: usize = 107;
/// The longest header of version 2 that is read, octets: addresses, and parameters that are passed over.
pub const HEADER_OCTETS_MAX: usize = 16 + 1024;

const LINE_BEGIN: &[u8] = b"PROXY ";
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const HEAD_OCTETS: usize = 16;
const OF_IPV4: usize = 12;
const OF_IPV6: usize = 36;

/// In which form it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Octets.
    V2,
}

/// Both ends of a connection as whoever began it sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Who connected.
    pub source: SocketAddr,
    /// Where to.
    pub destination: SocketAddr,
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// The connection is led for somebody else.
    Ends(Ends),
    /// It is the balancer's own (LOCAL, UNKNOWN): a look whether somebody is there.
    Own,
}

/// How far a header has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// At least so many more octets belong to it.
    More(usize),
    /// It is whole, and so many octets long.
    Done(Carried, usize),
}

/// What is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// The connection begins with something else.
    #[error("there is no PROXY protocol header")]
    None,
    /// Longer than [`LINE_OCTETS_MAX`] or [`HEADER_OCTETS_MAX`].
    #[error("the PROXY protocol header is too long")]
    TooLong,
    /// It begins like one.
    #[error("the PROXY protocol header is malformed: {0}")]
    Malformed(&'static str),
}

/// Looks at what has come so far.
///
/// # Errors
///
/// As soon as it can be no header.
pub fn read(octets: &[u8]) -> Result<Step, HeaderFault> {
    let begins = |with: &[u8]| octets.iter().zip(with).all(|(one, other)| one == other);
    if !begins(LINE_BEGIN) && !begins(SIGNATURE) {
        return Err(HeaderFault::None);
    }
    // The shortest of either form is longer than this.
    if octets.len() < SIGNATURE.len() {
        return Ok(Step::More(SIGNATURE.len() - octets.len()));
    }
    if begins(SIGNATURE) { read_octets(octets) } else { read_line(octets) }
}

fn read_line(octets: &[u8]) -> Result<Step, HeaderFault> {
    let end = octets.iter().take(LINE_OCTETS_MAX).position(|octet| *octet == b'\n');
    let Some(end) = end else {
        return match octets.len() < LINE_OCTETS_MAX {
            true => Ok(Step::More(1)),
            false => Err(HeaderFault::TooLong),
        };
    };
    let line = octets.get(LINE_BEGIN.len()..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.and_then(|line| std::str::from_utf8(line).ok());
    let line = line.ok_or(HeaderFault::Malformed("the line does not end in CR LF"))?;
    let carried = match line.split_once(' ').unwrap_or((line, "")) {
        ("UNKNOWN", _) => Carried::Own,
        ("TCP4", rest) => Carried::Ends(ends_of_line::<Ipv4Addr>(rest)?),
        ("TCP6", rest) => Carried::Ends(ends_of_line::<Ipv6Addr>(rest)?),
        _ => return Err(HeaderFault::Malformed("neither TCP4, TCP6 nor UNKNOWN")),
    };
    Ok(Step::Done(carried, end + 1))
}

fn ends_of_line<A: std::str::FromStr + Into<IpAddr>>(text: &str) -> Result<Ends, HeaderFault> {
    let mut words = text.split(' ');
    let mut word = || words.next().ok_or(HeaderFault::Malformed("an address or port is missing"));
    let (source, destination) = (word()?, word()?);
    let (source_port, destination_port) = (word()?, word()?);
    if words.next().is_some() {
        return Err(HeaderFault::Malformed("there is something behind the ports"));
    }
    let address = |text: &str| {
        text.parse::<A>().map(Into::into).map_err(|_| HeaderFault::Malformed("an address is none"))
    };
    let port = |text: &str| {
        // parse alone would let +1 and 007 through.
        let number = text.parse::<u16>().ok().filter(|number| number.to_string() == text);
        number.ok_or(HeaderFault::Malformed("a port is none"))
    };
    Ok(Ends {
        source: SocketAddr::new(address(source)?, port(source_port)?),
        destination: SocketAddr::new(address(destination)?, port(destination_port)?),
    })
}

fn read_octets(octets: &[u8]) -> Result<Step, HeaderFault> {
    let Some((head, rest)) = octets.split_at_checked(HEAD_OCTETS) else {
        return Ok(Step::More(HEAD_OCTETS - octets.len()));
    };
    let [.., command, family, high, low] = *head else {
        return Err(HeaderFault::Malformed("it has no length"));
    };
    if command >> 4 != 2 {
        return Err(HeaderFault::Malformed("its version is not 2"));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if HEAD_OCTETS + length > HEADER_OCTETS_MAX {
        return Err(HeaderFault::TooLong);
    }
    let Some(block) = rest.get(..length) else {
        return Ok(Step::More(length - rest.len()));
    };
    let carried = match (command & 0x0f, family) {
        // Whatever stands in it is to be passed over (2.2).
        (0, _) | (1, 0x00) => Carried::Own,
        (1, 0x11) => Carried::Ends(ends_of_octets::<4>(block, OF_IPV4)?),
        (1, 0x21) => Carried::Ends(ends_of_octets::<16>(block, OF_IPV6)?),
        (1, _) => return Err(HeaderFault::Malformed("it carries no TCP connection")),
        _ => return Err(HeaderFault::Malformed("neither LOCAL nor PROXY")),
    };
    Ok(Step::Done(carried, HEAD_OCTETS + length))
}

fn ends_of_octets<const N: usize>(block: &[u8], length: usize) -> Result<Ends, HeaderFault>
where
    IpAddr: From<[u8; N]>,
{
    let missing = HeaderFault::Malformed("its addresses are cut");
    let mut rest = block.get(..length).ok_or(missing)?;
    let mut address = || -> Option<IpAddr> {
        let (first, behind) = rest.split_first_chunk::<N>()?;
        rest = behind;
        Some(IpAddr::from(*first))
    };
    let (source, destination) = (address().ok_or(missing)?, address().ok_or(missing)?);
    let [a, b, c, d] = *rest else { return Err(missing) };
    Ok(Ends {
        source: SocketAddr::new(source, u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([c, d])),
    })
}

/// Writes the header. Addresses of two families are written as IPv6, the IPv4 one mapped into it.
pub fn write(version: Version, ends: Ends) -> Vec<u8> {
    let (source, destination) = (ends.source, ends.destination);
    let addresses = (source.ip().to_canonical(), destination.ip().to_canonical());
    let (from, to) = match addresses {
        (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => addresses,
        (from, to) => (IpAddr::V6(mapped(from)), IpAddr::V6(mapped(to))),
    };
    let is_ipv4 = from.is_ipv4();
    match version {
        Version::V1 => {
            let mut line = String::from(if is_ipv4 { "PROXY TCP4 " } else { "PROXY TCP6 " });
            let _ = write!(line, "{from} {to} {} {}\r\n", source.port(), destination.port());
            line.into_bytes()
        }
        Version::V2 => {
            let mut out = SIGNATURE.to_vec();
            let (family, length) = if is_ipv4 { (0x11, OF_IPV4) } else { (0x21, OF_IPV6) };
            out.extend([0x21, family]);
            out.extend((length as u16).to_be_bytes());
            for address in [from, to] {
                match address {
                    IpAddr::V4(address) => out.extend(address.octets()),
                    IpAddr::V6(address) => out.extend(address.octets()),
                }
            }
            out.extend(source.port().to_be_bytes());
            out.extend(destination.port().to_be_bytes());
            out
        }
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ends(source: &str, destination: &str) -> Ends {
        Ends { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = (block.len() as u16).to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &length, block].concat()
    }

    #[test]
    fn headers_are_read_to_their_end_and_no_further() {
        use HeaderFault::Malformed;
        let four = Carried::Ends(ends("203.0.113.7:51000", "192.0.2.1:2775"));
        let six = Carried::Ends(ends("[2001:db8::7]:51000", "[2001:db8::1]:2775"));
        let block4 = b"\xcb\0\x71\x07\xc0\0\x02\x01\xc7\x38\x0a\xd7";
        let with_tlv = [block4.as_slice(), b"\x04\0\x02ab"].concat();
        let line = |rest: &str| format!("PROXY {rest}").into_bytes();
        let (missing, port) = ("an address or port is missing", "a port is none");
        for (octets, expected) in [
            (line("TCP4 203.0.113.7 192.0.2.1 51000 2775\r\n"), Ok(four)),
            (line("TCP6 2001:db8::7 2001:db8::1 51000 2775\r\n"), Ok(six)),
            (line("UNKNOWN\r\n"), Ok(Carried::Own)),
            (line("UNKNOWN ffff:f::ffff ffff:f::ffff 65535 65535\r\n"), Ok(Carried::Own)),
            (line("TCP4 203.0.113.7 192.0.2.1 51000\r\n"), Err(Malformed(missing))),
            (
                line("TCP4 203.0.113.7 192.0.2.1 51000 2775 \r\n"),
                Err(Malformed("there is something behind the ports")),
            ),
            (
                line("TCP4  203.0.113.7 192.0.2.1 51000 2775\r\n"),
                Err(Malformed("there is something behind the ports")),
            ),
            (
                line("TCP4 2001:db8::7 192.0.2.1 51000 2775\r\n"),
                Err(Malformed("an address is none")),
            ),
            (
                line("TCP4 203.0.113.007 192.0.2.1 51000 2775\r\n"),
                Err(Malformed("an address is none")),
            ),
            (line("TCP4 203.0.113.7 192.0.2.1 051000 2775\r\n"), Err(Malformed(port))),
            (line("TCP4 203.0.113.7 192.0.2.1 +51 2775\r\n"), Err(Malformed(port))),
            (line("TCP4 203.0.113.7 192.0.2.1 65536 2775\r\n"), Err(Malformed(port))),
            (
                line("UDP4 203.0.113.7 192.0.2.1 51000 2775\r\n"),
                Err(Malformed("neither TCP4, TCP6 nor UNKNOWN")),
            ),
            (
                line("TCP4 203.0.113.7 192.0.2.1 51000 2775\n"),
                Err(Malformed("the line does not end in CR LF")),
            ),
            (line(&format!("UNKNOWN {}\r\n", "x".repeat(LINE_OCTETS_MAX - 16))), Ok(Carried::Own)),
            (
                line(&format!("UNKNOWN {}\r\n", "x".repeat(LINE_OCTETS_MAX - 15))),
                Err(HeaderFault::TooLong),
            ),
            (v2(0x21, 0x11, block4), Ok(four)),
            (v2(0x21, 0x11, &with_tlv), Ok(four)),
            (v2(0x20, 0x11, block4), Ok(Carried::Own)),
            (v2(0x20, 0x00, b""), Ok(Carried::Own)),
            (v2(0x21, 0x00, b"abc"), Ok(Carried::Own)),
            (v2(0x21, 0x11, &block4[..11]), Err(Malformed("its addresses are cut"))),
            (v2(0x21, 0x12, block4), Err(Malformed("it carries no TCP connection"))),
            (v2(0x21, 0x31, &[0; 216]), Err(Malformed("it carries no TCP connection"))),
            (v2(0x22, 0x11, block4), Err(Malformed("neither LOCAL nor PROXY"))),
            (v2(0x11, 0x11, block4), Err(Malformed("its version is not 2"))),
            (v2(0x20, 0x00, &[0; HEADER_OCTETS_MAX - HEAD_OCTETS]), Ok(Carried::Own)),
            (v2(0x20, 0x00, &[0; HEADER_OCTETS_MAX - HEAD_OCTETS + 1]), Err(HeaderFault::TooLong)),
            (b"\0\0\0\x10\0\0\0\x15\0\0\0\0\0\0\0\x01".to_vec(), Err(HeaderFault::None)),
            (b"\x16\x03\x01".to_vec(), Err(HeaderFault::None)),
            (b"PROXX".to_vec(), Err(HeaderFault::None)),
        ] {
            let shown = octets.escape_ascii();
            // As the socket gives them: what is asked for at a time, and more behind it.
            let stream = [octets.as_slice(), b"behind it"].concat();
            let (mut have, mut reads) = (0, 0);
            let got = loop {
                match read(&stream[..have]) {
                    Ok(Step::More(count)) => have = (have + count).min(stream.len()),
                    Ok(Step::Done(carried, length)) => {
                        assert_eq!((have, length), (octets.len(), octets.len()), "{shown}");
                        break Ok(carried);
                    }
                    Err(fault) => break Err(fault),
                }
                reads += 1;
                assert!(reads <= LINE_OCTETS_MAX, "{shown}: it asks without end");
            };
            assert_eq!(got, expected, "{shown}");
        }
    }

    #[test]
    fn addresses_of_two_families_are_written_as_one() {
        let both = ends("203.0.113.7:1", "[2001:db8::1]:2");
        let mapped = ends("[::ffff:203.0.113.7]:1", "[2001:db8::1]:2");
        for version in [Version::V1, Version::V2] {
            let octets = write(version, both);
            assert_eq!(read(&octets), Ok(Step::Done(Carried::Ends(mapped), octets.len())));
        }
        let unmapped = write(Version::V1, ends("[::ffff:203.0.113.7]:1", "192.0.2.1:2"));
        assert_eq!(unmapped, b"PROXY TCP4 203.0.113.7 192.0.2.1 1 2\r\n");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            source: [u8; 16], destination: [u8; 16], is_ipv4: bool, ports: (u16, u16), is_v1: bool,
        ) {
            let address = |octets: [u8; 16]| match is_ipv4 {
                true => IpAddr::from([octets[0], octets[1], octets[2], octets[3]]),
                false => IpAddr::from(octets).to_canonical(),
            };
            let (source, destination) = (address(source), address(destination));
            prop_assume!(source.is_ipv4() == destination.is_ipv4());
            let ends = Ends {
                source: SocketAddr::new(source, ports.0),
                destination: SocketAddr::new(destination, ports.1),
            };
            let octets = write(if is_v1 { Version::V1 } else { Version::V2 }, ends);
            prop_assert!(octets.len() <= LINE_OCTETS_MAX);
            prop_assert_eq!(read(&octets), Ok(Step::Done(Carried::Ends(ends), octets.len())));
            for cut in 0..octets.len() {
                let wanted = read(&octets[..cut]);
                prop_assert!(matches!(wanted, Ok(Step::More(1..))), "{} of {:?}", cut, octets);
            }
        }

        #[test]
        fn no_octets_panic(mut octets: Vec<u8>, begin in 0_usize..3, at in 0_usize..60, other: u8) {
            let begins: [&[u8]; 3] = [b"", LINE_BEGIN, SIGNATURE];
            octets.splice(0..0, begins[begin].iter().copied());
            if let Some(one) = octets.get_mut(at) {
                *one = other;
            }
            match read(&octets) {
                Ok(Step::More(count)) => prop_assert!(count > 0 && octets.len() + count <= HEADER_OCTETS_MAX),
                Ok(Step::Done(_, length)) => prop_assert!(length <= octets.len()),
                Err(_) => {}
            }
        }
    }
}
