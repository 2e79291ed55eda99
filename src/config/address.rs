//! Addresses: our own as sockets, other people's as `host:port` to be looked up when they are dialled.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Longest name of a host, octets (RFC 1035 2.3.4).
const HOST_OCTETS_MAX: usize = 253;
/// Longest part of a name between dots, octets (RFC 1035 2.3.4).
const LABEL_OCTETS_MAX: usize = 63;

/// Why a text is not an address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// An address of ours is numeric, because a name may stand for several.
    #[error(
        "is not an address to listen on: write an IP address and a port, such as \"0.0.0.0:2775\""
    )]
    Own,
    /// Not `host:port`.
    #[error(
        "is not host:port, such as \"192.0.2.10:2775\", \"[2001:db8::1]:2775\" or \"smsc.example:2775\""
    )]
    Peer,
    /// Port 0 cannot be dialled.
    #[error("has port 0, which cannot be dialled: write the port that the peer listens on")]
    PortZero,
}

/// Reads an address to listen on. Port 0 stands for any free port.
pub fn own(text: &str) -> Result<SocketAddr, AddressFault> {
    text.parse().map_err(|_| AddressFault::Own)
}

/// Checks that a text is `host:port` of a peer: an IPv4 address, an IPv6 address in brackets or a
/// name, and a port that is not 0. The name is not looked up.
pub fn peer(text: &str) -> Result<(), AddressFault> {
    let (host, port) = text.rsplit_once(':').ok_or(AddressFault::Peer)?;
    let host_is_good = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok()),
        None => is_name(host) || matches!(host.parse(), Ok(IpAddr::V4(_))),
    };
    if !host_is_good || !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AddressFault::Peer);
    }
    match port.parse::<u16>() {
        Ok(0) => Err(AddressFault::PortZero),
        Ok(_) => Ok(()),
        Err(_) => Err(AddressFault::Peer),
    }
}

/// Whether a text is a host's name (RFC 1123 2.1, with the underscore that container networks use).
/// A last label of digits alone makes it a mistyped IPv4 address, not a name.
fn is_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let label_is_good = |label: &str| {
        (1..=LABEL_OCTETS_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= HOST_OCTETS_MAX
        && name.split('.').all(label_is_good)
        && !name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_host_and_port() {
        for good in [
            "192.0.2.10:2775",
            "[2001:db8::1]:2775",
            "smsc.example:2775",
            "smsc.example.:1",
            "localhost:65535",
            "smsc_1:2775",
            "a-b:2775",
        ] {
            assert_eq!(peer(good), Ok(()), "{good}");
        }
        let long_label = format!("{}.example:2775", "a".repeat(64));
        let long_name = format!("{}example:2775", "a.".repeat(130));
        for bad in [
            "",
            ":",
            "2775",
            ":2775",
            "192.0.2.10",
            "192.0.2.10:",
            "192.0.2.10:65536",
            "192.0.2.10:+1",
            "192.0.2.300:2775",
            "2001:db8::1:2775",
            "[2001:db8::1]",
            "[x]:1",
            "a..b:1",
            "-a:1",
            "a b:1",
            "smpp://a:1",
            "a:１",
            &long_label,
            &long_name,
        ] {
            assert_eq!(peer(bad), Err(AddressFault::Peer), "{bad}");
        }
        assert_eq!(peer("192.0.2.10:0"), Err(AddressFault::PortZero));
    }

    #[test]
    fn our_own_addresses_are_numeric() {
        for good in ["0.0.0.0:2775", "[::]:2775", "127.0.0.1:0"] {
            assert!(own(good).is_ok(), "{good}");
        }
        for bad in ["", "localhost:2775", "0.0.0.0", ":2775", "*:2775"] {
            assert_eq!(own(bad), Err(AddressFault::Own), "{bad}");
        }
    }
}
