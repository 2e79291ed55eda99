//! What makes parts belong together.

use super::PartsFault;

/// Longest canonical address, octets (SMPP 3.4 5.2.8 without its NUL).
pub const ADDRESS_OCTETS_MAX: usize = 20;

/// The message that a part belongs to: sender, recipient and reference.
///
/// Neither the width of the reference nor the total is part of it: handsets forget the one and some
/// the other, and would join what a finer key keeps apart. A part that differs in either is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    source: Address,
    destination: Address,
    reference: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Address {
    octets: [u8; ADDRESS_OCTETS_MAX],
    length: u8,
}

impl Address {
    fn new(address: &[u8]) -> Result<Address, PartsFault> {
        let mut octets = [0; ADDRESS_OCTETS_MAX];
        let filled = octets.get_mut(..address.len()).ok_or(PartsFault::Address)?;
        filled.copy_from_slice(address);
        Ok(Address { octets, length: address.len() as u8 })
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({} octets)", self.length)
    }
}

impl Key {
    /// The key of a part; addresses in canonical form, at most [`ADDRESS_OCTETS_MAX`] octets each, so
    /// that all spellings of one number are one key.
    pub fn new(source: &[u8], destination: &[u8], reference: u16) -> Result<Key, PartsFault> {
        let (source, destination) = (Address::new(source)?, Address::new(destination)?);
        Ok(Key { source, destination, reference })
    }

    /// Whether it is of a message to this recipient, in canonical form.
    pub fn is_to(&self, destination: &[u8]) -> bool {
        Address::new(destination) == Ok(self.destination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_twenty_octets_and_no_more_and_is_never_shown() {
        assert!(Key::new(&[b'1'; 20], b"2", 0).is_ok());
        assert_eq!(Key::new(&[b'1'; 21], b"2", 0), Err(PartsFault::Address));
        assert_eq!(Key::new(b"1", &[b'1'; 21], 0), Err(PartsFault::Address));
        assert_ne!(Key::new(b"12", b"3", 0), Key::new(b"1", b"23", 0));
        assert_ne!(Key::new(b"1", b"2", 0), Key::new(b"1", b"2\0", 0));
        let shown = format!("{:?}", Key::new(b"13800138000", b"2", 0));
        assert!(!shown.contains("138"), "{shown}");
    }
}
