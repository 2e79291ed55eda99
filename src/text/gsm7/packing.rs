//! Eight septets in seven octets, and back (3GPP TS 23.038 6.1.2.1).

/// The septets packed in `octets`, behind the fill bits that bring a header of `header_octets`, its
/// length octet included, up to a septet's border (TS 23.040 9.2.3.24); zero without a header.
///
/// Octets do not say how many septets they hold: where seven bits are left over at the end and all of
/// them zero, they are taken for filling and not for an `@`.
pub fn septets(octets: &[u8], header_octets: usize) -> impl Iterator<Item = u8> + Clone {
    let fill = (7 - header_octets * 8 % 7) % 7;
    let bits = (octets.len() * 8).saturating_sub(fill);
    let unpacked = move |index: usize| {
        let bit = fill + index * 7;
        let low = octets.get(bit / 8).copied().unwrap_or(0);
        let high = octets.get(bit / 8 + 1).copied().unwrap_or(0);
        (u16::from_le_bytes([low, high]) >> (bit % 8)) as u8 & 0x7f
    };
    let whole = bits / 7;
    let filled = bits.is_multiple_of(7) && whole > 0 && unpacked(whole - 1) == 0;
    (0..whole - usize::from(filled)).map(unpacked)
}

/// Packs septets behind the fill bits that a header of `header_octets` asks for: the reverse of
/// [`septets`].
pub fn pack(septets: impl Iterator<Item = u8>, header_octets: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut held, mut bits) = (0_u16, (7 - header_octets * 8 % 7) % 7);
    for septet in septets {
        held |= u16::from(septet & 0x7f) << bits;
        bits += 7;
        if bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(held as u8);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_texts_unpack() {
        // "hellohello" of many textbooks, and a part behind `05 00 03 rr tt nn` with one fill bit.
        let cases: &[(&[u8], usize, &[u8])] = &[
            (b"\xe8\x32\x9b\xfd\x46\x97\xd9\xec\x37", 0, b"hellohello"),
            (b"\xd0\x65\x36\xfb\x0d", 6, b"hello"),
            (b"\x31\xd9\x8c\x56\xb3\xdd\x1a", 0, b"1234567\r"),
            (b"\x31\xd9\x8c\x56\xb3\xdd\x00", 0, b"1234567"),
            (b"", 0, b""),
            (b"", 6, b""),
            (b"\x00", 0, b"\x00"),
        ];
        for (octets, header, expected) in cases {
            let read: Vec<u8> = septets(octets, *header).collect();
            assert_eq!(&read, expected, "{octets:02x?} behind {header}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn what_is_packed_unpacks(
            text in prop::collection::vec(1_u8..0x80, 0..200),
            header in 0_usize..20,
        ) {
            let packed = pack(text.iter().copied(), header);
            let read: Vec<u8> = septets(&packed, header).collect();
            prop_assert_eq!(read, text);
        }
    }
}
