//! Link layers, down to the IP packet. Values are LINKTYPE_ values of pcap.

use super::Unread;
use crate::replay::octets::be16;

const NULL: u32 = 0;
const ETHERNET: u32 = 1;
/// DLT_RAW as some systems write it into files.
const RAW_BSD: u32 = 12;
const RAW_OPENBSD: u32 = 14;
const RAW: u32 = 101;
const LOOP: u32 = 108;
const LINUX_COOKED: u32 = 113;
const IPV4: u32 = 228;
const IPV6: u32 = 229;
const LINUX_COOKED_2: u32 = 276;

const TYPE_IPV4: u16 = 0x0800;
const TYPE_IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad (QinQ), and QinQ as it was before its standard.
const TYPE_VLAN: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];

/// Most VLAN tags of one packet.
const VLAN_TAGS_MAX: usize = 4;

/// The IP packet behind the link layer's header. Its own first octet says which version it is.
#[inline]
pub(super) fn network(link_type: u32, octets: &[u8]) -> Result<&[u8], Unread> {
    match link_type {
        ETHERNET => ethertype(octets, 12),
        LINUX_COOKED => ethertype(octets, 14),
        LINUX_COOKED_2 => {
            let protocol = be16(octets, 0).ok_or(Unread::Malformed)?;
            tagged(protocol, octets, 20)
        }
        // The family's number differs by system and its octet order by host: the IP version tells.
        NULL | LOOP => behind(octets, 4),
        RAW | RAW_BSD | RAW_OPENBSD | IPV4 | IPV6 => Ok(octets),
        _ => Err(Unread::LinkType),
    }
}

/// What stands behind an EtherType at `at`.
fn ethertype(octets: &[u8], at: usize) -> Result<&[u8], Unread> {
    tagged(be16(octets, at).ok_or(Unread::Malformed)?, octets, at + 2)
}

/// What stands at `at`, an EtherType and perhaps VLAN tags before it.
#[inline]
fn tagged(mut protocol: u16, octets: &[u8], mut at: usize) -> Result<&[u8], Unread> {
    for _ in 0..VLAN_TAGS_MAX {
        if !TYPE_VLAN.contains(&protocol) {
            break;
        }
        protocol = be16(octets, at + 2).ok_or(Unread::Malformed)?;
        at += 4;
    }
    match protocol {
        TYPE_IPV4 | TYPE_IPV6 => behind(octets, at),
        _ => Err(Unread::NotTcp),
    }
}

fn behind(octets: &[u8], at: usize) -> Result<&[u8], Unread> {
    octets.get(at..).ok_or(Unread::Malformed)
}
