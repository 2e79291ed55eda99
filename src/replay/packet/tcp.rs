//! TCP's header (RFC 9293 3.1).

use super::ip::Transport;
use super::{End, Flags, Segment, Unread};

#[inline]
pub(super) fn segment<'a>(transport: &Transport<'a>) -> Result<Segment<'a>, Unread> {
    let octets = transport.octets;
    let fixed: &[u8; 20] = octets.first_chunk().ok_or(Unread::Malformed)?;
    let header_octets = usize::from(fixed[12] >> 4) * 4;
    if header_octets < fixed.len() {
        return Err(Unread::Malformed);
    }
    // A snap length that cuts within the options leaves no data, and says how much is missing.
    let data = octets.get(header_octets..).unwrap_or(&[]);
    let cut_options = header_octets.saturating_sub(octets.len()) as u32;
    if cut_options > transport.missing {
        return Err(Unread::Malformed);
    }
    let short = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    let word =
        |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    Ok(Segment {
        from: End { address: transport.from, port: short(0) },
        to: End { address: transport.to, port: short(2) },
        seq: word(4),
        ack: word(8),
        flags: Flags(fixed[13]),
        data,
        missing: transport.missing - cut_options,
        checksum_wrong: transport.checksum_wrong || checksum_wrong(transport),
    })
}

/// Whether the checksum is wrong, as far as can be told: not of what was cut.
#[inline]
fn checksum_wrong(transport: &Transport<'_>) -> bool {
    const PROTOCOL: u64 = 6;
    let octets = transport.octets;
    let length = octets.len() as u64;
    transport.missing == 0 && !transport.sum.and(octets).plus(PROTOCOL + length).is_right()
}
