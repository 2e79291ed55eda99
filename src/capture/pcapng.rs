//! Blocks of a pcapng file (draft-ietf-opsawg-pcapng), appended to octets. One section, one interface
//! of raw IP packets with times in microseconds, little-endian.
//!
//! ```text
//! block    type u32, total length u32, body, options, total length u32; all filled up to 4 octets
//! option   code u16, length u16, value filled up to 4 octets; the last is code 0, length 0
//! ```

/// LINKTYPE_RAW: the packet begins with an IPv4 or IPv6 header.
pub const LINKTYPE_RAW: u16 = 101;

/// Longest comment, octets. A longer one is cut.
pub const COMMENT_OCTETS_MAX: usize = 1024;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// The section's length is not known when it begins.
const LENGTH_UNKNOWN: u64 = u64::MAX;

const OPT_END: u16 = 0;
const OPT_COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TSRESOL: u16 = 9;
const EPB_FLAGS: u16 = 2;
const EPB_DROPCOUNT: u16 = 4;
const ISB_STARTTIME: u16 = 2;
const ISB_ENDTIME: u16 = 3;
const ISB_IFRECV: u16 = 4;
const ISB_IFDROP: u16 = 5;

/// Times are in 10^-6 s.
const MICROSECONDS: u8 = 6;

/// Which way a packet went, as the interface sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the ESME to us.
    In = 1,
    /// From us to the ESME.
    Out = 2,
}

/// What is said of a packet beside its octets.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// Microseconds since the Unix epoch.
    pub time_us: u64,
    /// Which way it went.
    pub way: Way,
    /// Packets lost between this one and the one before.
    pub dropped: u64,
    /// For whoever reads it; empty for nothing.
    pub comment: &'a str,
}

/// Figures of a file at its end.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// When the file was begun, microseconds since the Unix epoch.
    pub from_us: u64,
    /// When it was ended.
    pub to_us: u64,
    /// Packets that were meant for it.
    pub packets: u64,
    /// Those of them that were lost.
    pub dropped: u64,
}

/// Appends the section header and the description of its one interface.
pub fn begin(out: &mut Vec<u8>, program: &str, comment: &str) {
    block(out, SECTION_HEADER, |out| {
        out.extend_from_slice(&BYTE_ORDER_MAGIC.to_le_bytes());
        out.extend_from_slice(&[1, 0, 0, 0]);
        out.extend_from_slice(&LENGTH_UNKNOWN.to_le_bytes());
        option(out, OPT_COMMENT, comment.as_bytes());
        option(out, SHB_USERAPPL, program.as_bytes());
        option(out, OPT_END, b"");
    });
    block(out, INTERFACE_DESCRIPTION, |out| {
        out.extend_from_slice(&LINKTYPE_RAW.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&0u32.to_le_bytes());
        option(out, IF_NAME, b"esme");
        option(out, IF_DESCRIPTION, b"what the proxy read from ESMEs and wrote to them");
        option(out, IF_TSRESOL, &[MICROSECONDS]);
        option(out, OPT_END, b"");
    });
}

/// Appends a packet.
pub fn packet(out: &mut Vec<u8>, octets: &[u8], said: Said<'_>) {
    block(out, ENHANCED_PACKET, |out| {
        out.extend_from_slice(&0u32.to_le_bytes());
        time(out, said.time_us);
        let length = (octets.len() as u32).to_le_bytes();
        out.extend_from_slice(&length);
        out.extend_from_slice(&length);
        padded(out, octets);
        option(out, EPB_FLAGS, &(said.way as u32).to_le_bytes());
        if said.dropped > 0 {
            option(out, EPB_DROPCOUNT, &said.dropped.to_le_bytes());
        }
        if !said.comment.is_empty() {
            option(out, OPT_COMMENT, said.comment.as_bytes());
        }
        option(out, OPT_END, b"");
    });
}

/// Appends the figures of the interface: the last block of a file.
pub fn end(out: &mut Vec<u8>, figures: Figures) {
    block(out, INTERFACE_STATISTICS, |out| {
        out.extend_from_slice(&0u32.to_le_bytes());
        time(out, figures.to_us);
        for (code, at_us) in [(ISB_STARTTIME, figures.from_us), (ISB_ENDTIME, figures.to_us)] {
            let mut value = Vec::with_capacity(8);
            time(&mut value, at_us);
            option(out, code, &value);
        }
        option(out, ISB_IFRECV, &figures.packets.to_le_bytes());
        option(out, ISB_IFDROP, &figures.dropped.to_le_bytes());
        option(out, OPT_END, b"");
    });
}

/// The upper and the lower half, each little-endian: that is how pcapng writes times.
fn time(out: &mut Vec<u8>, time_us: u64) {
    out.extend_from_slice(&((time_us >> 32) as u32).to_le_bytes());
    out.extend_from_slice(&(time_us as u32).to_le_bytes());
}

fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = ((out.len() - start + 4) as u32).to_le_bytes();
    out.extend_from_slice(&length);
    if let Some(field) = out.get_mut(start + 4..start + 8) {
        field.copy_from_slice(&length);
    }
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..COMMENT_OCTETS_MAX).unwrap_or(value);
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    padded(out, value);
}

fn padded(out: &mut Vec<u8>, octets: &[u8]) {
    out.extend_from_slice(octets);
    let zeros = octets.len().next_multiple_of(4) - octets.len();
    out.extend_from_slice([0; 3].get(..zeros).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks of a file by their types; panics where one is not well formed.
    fn kinds(mut octets: &[u8]) -> Vec<u32> {
        let word = |at: &[u8]| u32::from_le_bytes(at[..4].try_into().unwrap());
        let mut kinds = Vec::new();
        while !octets.is_empty() {
            let length = word(&octets[4..]) as usize;
            assert_eq!((length % 4, word(&octets[length - 4..])), (0, length as u32));
            kinds.push(word(octets));
            octets = &octets[length..];
        }
        kinds
    }

    #[test]
    fn every_block_is_as_long_as_it_says_twice() {
        let mut out = Vec::new();
        begin(&mut out, "p", "c");
        for length in 0..9 {
            for comment in ["", "a", "ab", "abcd"] {
                let said = Said { time_us: 1, way: Way::In, dropped: length, comment };
                packet(&mut out, &vec![7; length as usize], said);
            }
        }
        end(&mut out, Figures { from_us: 1, to_us: 2, packets: 3, dropped: 0 });
        let mut expected = vec![SECTION_HEADER, INTERFACE_DESCRIPTION];
        expected.extend([ENHANCED_PACKET; 36]);
        expected.push(INTERFACE_STATISTICS);
        assert_eq!(kinds(&out), expected);
    }

    /// Written out octet by octet from the draft's figures 10 and 12.
    #[test]
    fn a_packet_is_the_one_of_the_draft() {
        let mut out = Vec::new();
        let said =
            Said { time_us: 0x0001_0002_0003_0004, way: Way::Out, dropped: 5, comment: "no" };
        packet(&mut out, b"abcde", said);
        let expected: &[&[u8]] = &[
            &[6, 0, 0, 0, 72, 0, 0, 0, 0, 0, 0, 0],
            &[2, 0, 1, 0, 4, 0, 3, 0, 5, 0, 0, 0, 5, 0, 0, 0],
            b"abcde\0\0\0",
            &[2, 0, 4, 0, 2, 0, 0, 0],
            &[4, 0, 8, 0, 5, 0, 0, 0, 0, 0, 0, 0],
            b"\x01\0\x02\0no\0\0",
            &[0, 0, 0, 0, 72, 0, 0, 0],
        ];
        assert_eq!(out, expected.concat());
    }

    #[test]
    fn a_long_comment_is_cut() {
        let mut out = Vec::new();
        begin(&mut out, "p", &"c".repeat(70_000));
        assert_eq!(kinds(&out).len(), 2);
        assert_eq!(out.iter().filter(|octet| **octet == b'c').count(), COMMENT_OCTETS_MAX);
    }
}
