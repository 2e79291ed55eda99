//! Numbers at a place in octets that nobody vouches for: every read is checked.

/// Two octets at `at`, the highest first.
#[inline]
pub(super) fn be16(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*octets.get(at..)?.first_chunk()?))
}

/// Four octets at `at`, the highest first.
#[inline]
pub(super) fn be32(octets: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*octets.get(at..)?.first_chunk()?))
}

/// The order of octets in which a capture's own numbers stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endian {
    Big,
    Little,
}

impl Endian {
    /// Two octets at `at`; zero where they are not.
    #[inline]
    pub(super) fn u16(self, octets: &[u8], at: usize) -> u16 {
        let two = octets.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
        match self {
            Endian::Big => u16::from_be_bytes(two),
            Endian::Little => u16::from_le_bytes(two),
        }
    }

    /// Four octets at `at`; zero where they are not.
    #[inline]
    pub(super) fn u32(self, octets: &[u8], at: usize) -> u32 {
        let four =
            octets.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
        match self {
            Endian::Big => u32::from_be_bytes(four),
            Endian::Little => u32::from_le_bytes(four),
        }
    }
}
