//! The user data header at the front of a text (3GPP TS 23.040 9.2.3.24).

/// Information element: concatenation with an 8-bit reference.
pub const IE_CONCATENATION_8: u8 = 0x00;
/// Information element: concatenation with a 16-bit reference.
pub const IE_CONCATENATION_16: u8 = 0x08;
/// Information element: ports of eight bits (TS 23.040 9.2.3.24.3).
pub const IE_PORTS_8: u8 = 0x04;
/// Information element: ports of sixteen bits (TS 23.040 9.2.3.24.4).
pub const IE_PORTS_16: u8 = 0x05;
/// Information element: national language single shift (TS 23.040 9.2.3.24.15).
pub const IE_SINGLE_SHIFT: u8 = 0x24;
/// Information element: national language locking shift (TS 23.040 9.2.3.24.16).
pub const IE_LOCKING_SHIFT: u8 = 0x25;
/// Information element: reply address, a second sender (TS 23.040 9.2.3.24.17).
pub const IE_REPLY_ADDRESS: u8 = 0x22;

/// A user data header, split from the text behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Udh<'a> {
    elements: &'a [u8],
}

/// One information element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// What it is.
    pub identifier: u8,
    /// Its data.
    pub data: &'a [u8],
}

impl<'a> Udh<'a> {
    /// Splits a text that begins with a header into the header and the rest; `None` when the
    /// header's length goes past the end or its elements do not fill it exactly.
    pub fn split(octets: &'a [u8]) -> Option<(Udh<'a>, &'a [u8])> {
        let (&length, behind) = octets.split_first()?;
        let (elements, text) = behind.split_at_checked(usize::from(length))?;
        let mut rest = elements;
        while !rest.is_empty() {
            let (&[_, length], behind) = rest.split_first_chunk::<2>()?;
            rest = behind.get(usize::from(length)..)?;
        }
        Some((Udh { elements }, text))
    }

    /// Octets of all elements, without the length octet in front of them.
    pub fn octets(self) -> usize {
        self.elements.len()
    }

    /// The elements in the order in which they stand.
    pub fn elements(self) -> impl Iterator<Item = Element<'a>> {
        let mut rest = self.elements;
        std::iter::from_fn(move || {
            let (&[identifier, length], behind) = rest.split_first_chunk::<2>()?;
            let (data, behind) = behind.split_at_checked(usize::from(length))?;
            rest = behind;
            Some(Element { identifier, data })
        })
    }

    /// Destination and source port, by the first element that names them: the text goes to a program
    /// and not to a person (WAP push 2948 and 2949, smart messages 5505 to 5514). A malformed one is
    /// `(0, 0)`.
    pub fn ports(self) -> Option<(u16, u16)> {
        self.elements().find_map(|element| match (element.identifier, element.data) {
            (IE_PORTS_8, &[to, from]) => Some((u16::from(to), u16::from(from))),
            (IE_PORTS_16, &[t1, t0, f1, f0]) => {
                Some((u16::from_be_bytes([t1, t0]), u16::from_be_bytes([f1, f0])))
            }
            (IE_PORTS_8 | IE_PORTS_16, _) => Some((0, 0)),
            _ => None,
        })
    }

    /// The first element that does more than join parts and choose tables: ports, pictures, waiting
    /// lamps, links, instructions to the SIM. A plain text has none. A reply address, which is
    /// another sender, is not counted: see [`Udh::has_reply_address`].
    pub fn beyond_text(self) -> Option<u8> {
        let mut identifiers = self.elements().map(|element| element.identifier);
        identifiers.find(|identifier| {
            !matches!(
                *identifier,
                IE_CONCATENATION_8
                    | IE_CONCATENATION_16
                    | IE_SINGLE_SHIFT
                    | IE_LOCKING_SHIFT
                    | IE_REPLY_ADDRESS
            )
        })
    }

    /// Whether an element names another address to reply to.
    pub fn has_reply_address(self) -> bool {
        self.elements().any(|element| element.identifier == IE_REPLY_ADDRESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_in_any_order_and_never_past_the_end() {
        let cases: &[(&[u8], Option<(&[u8], bool, &[u8])>)] = &[
            (b"\x05\x00\x03\xaa\x02\x01hi", Some((&[0x00], false, b"hi"))),
            (b"\x06\x08\x04\xbe\xef\x03\x02x", Some((&[0x08], false, b"x"))),
            (b"\x09\x24\x01\x03\x08\x04\x00\x07\x02\x02!", Some((&[0x24, 0x08], false, b"!"))),
            (b"\x04\x22\x02\x91\x19t", Some((&[0x22], true, b"t"))),
            (b"\x00text", Some((&[], false, b"text"))),
            (b"", None),
            (b"\x05\x00\x03\xaa\x02", None),
            (b"\x05\x00\x04\xaa\x02\x01", None),
            (b"\x01\x00", None),
        ];
        for (octets, expected) in cases {
            let read = Udh::split(octets).map(|(udh, text)| {
                let identifiers: Vec<u8> = udh.elements().map(|one| one.identifier).collect();
                (identifiers, udh.has_reply_address(), text)
            });
            let expected = expected.map(|(elements, reply, text)| (elements.to_vec(), reply, text));
            assert_eq!(read, expected, "{octets:02x?}");
        }
    }

    #[test]
    fn what_is_more_than_text_is_found() {
        type Found = (Option<(u16, u16)>, Option<u8>);
        let cases: &[(&[u8], Found)] = &[
            (b"\x00", (None, None)),
            (b"\x08\x00\x03\x01\x02\x01\x24\x01\x01", (None, None)),
            (b"\x06\x05\x04\x0b\x84\x23\xf0", (Some((2948, 9200)), Some(0x05))),
            (b"\x04\x04\x02\xf0\x01", (Some((240, 1)), Some(0x04))),
            (b"\x03\x05\x01\x0b", (Some((0, 0)), Some(0x05))),
            (b"\x09\x00\x03\x01\x02\x01\x22\x02\x91\x19", (None, None)),
            (b"\x07\x22\x02\x91\x19\x21\x01\x00", (None, Some(0x21))),
            (b"\x04\x01\x02\x80\x01", (None, Some(0x01))),
            (b"\x02\x70\x00", (None, Some(0x70))),
        ];
        for (octets, expected) in cases {
            let found = Udh::split(octets).map(|(u, _)| (u.ports(), u.beyond_text()));
            assert_eq!(found, Some(*expected), "{octets:02x?}");
        }
    }
}
