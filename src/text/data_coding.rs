//! data_coding to an alphabet (SMPP 3.4 5.2.19, 3GPP TS 23.038 4).
//!
//! Group bits first: 0x00-0x0F are SMPP's own values, everything above is TS 23.038's. A decoder
//! that masks with 0x0F reads 0xF5 (eight-bit data) as JIS; this one has a place for all 256.

/// What data_coding 0 stands for on a route. The specification leaves it to the SMSC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DefaultAlphabet {
    /// GSM 7 bit, one septet an octet.
    #[default]
    Gsm7,
    /// US-ASCII.
    Ascii,
    /// ISO 8859-1.
    Latin1,
    /// GBK.
    Gbk,
}

/// How the octets of a text stand for characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// GSM 7 bit default alphabet, one septet an octet.
    Gsm7,
    /// US-ASCII: octets from 0x80 on are no text.
    Ascii,
    /// ISO 8859-1.
    Latin1,
    /// UTF-16, big endian.
    Ucs2,
    /// GBK, where a route says so.
    Gbk,
    /// Eight-bit data: not text by its own word.
    Octets,
    /// A character set that has a name and that we do not decode.
    Named(&'static str),
    /// Compressed text: unreadable to anybody on the way.
    Compressed,
    /// A value that the specifications reserve.
    Reserved,
}

/// The alphabet of a data_coding on a route whose value 0 stands for `default`.
pub fn alphabet(data_coding: u8, default: DefaultAlphabet) -> Alphabet {
    match data_coding {
        0x00 => match default {
            DefaultAlphabet::Gsm7 => Alphabet::Gsm7,
            DefaultAlphabet::Ascii => Alphabet::Ascii,
            DefaultAlphabet::Latin1 => Alphabet::Latin1,
            DefaultAlphabet::Gbk => Alphabet::Gbk,
        },
        0x01 => Alphabet::Ascii,
        0x02 | 0x04 => Alphabet::Octets,
        0x03 => Alphabet::Latin1,
        0x05 => Alphabet::Named("JIS X 0208"),
        0x06 => Alphabet::Named("ISO 8859-5"),
        0x07 => Alphabet::Named("ISO 8859-8"),
        0x08 => Alphabet::Ucs2,
        0x09 => Alphabet::Named("pictograms"),
        0x0a => Alphabet::Named("ISO 2022-JP"),
        0x0d => Alphabet::Named("JIS X 0212"),
        0x0e => Alphabet::Named("KS C 5601"),
        0x0f if default == DefaultAlphabet::Gbk => Alphabet::Gbk,
        0x0b | 0x0c | 0x0f => Alphabet::Reserved,
        0x10..=0x1f | 0x40..=0x5f => general(data_coding),
        0x20..=0x3f | 0x60..=0x7f => Alphabet::Compressed,
        0x80..=0xbf => Alphabet::Reserved,
        0xc0..=0xdf => Alphabet::Gsm7,
        0xe0..=0xef => Alphabet::Ucs2,
        0xf0..=0xf3 => Alphabet::Gsm7,
        0xf4..=0xf7 => Alphabet::Octets,
        // Bit 3 "is reserved, set to 0".
        0xf8..=0xff => Alphabet::Reserved,
    }
}

/// Where a handset puts a message, by the class bits of its data_coding (TS 23.038 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageClass {
    /// Class 0: shown at once and not kept ("flash").
    Flash,
    /// Class 1: kept in the handset.
    Handset,
    /// Class 2: kept in the SIM, or an instruction to it.
    Sim,
    /// Class 3: for equipment that is connected to the handset.
    Terminal,
}

/// The class that a data_coding names; `None` where its group has none.
pub fn message_class(data_coding: u8) -> Option<MessageClass> {
    match data_coding {
        0x10..=0x1f | 0x30..=0x3f | 0x50..=0x5f | 0x70..=0x7f | 0xf0..=0xff => {
            Some(match data_coding & 0b11 {
                0 => MessageClass::Flash,
                1 => MessageClass::Handset,
                2 => MessageClass::Sim,
                _ => MessageClass::Terminal,
            })
        }
        _ => None,
    }
}

/// Whether a data_coding lights or puts out a message-waiting lamp: groups 1100 (the text may be
/// discarded), 1101 and 1110 (it is stored).
pub fn is_message_waiting(data_coding: u8) -> bool {
    matches!(data_coding, 0xc0..=0xef)
}

/// Whether a data_coding asks for deletion once read (groups 01xx, TS 23.038 4).
pub fn is_deleted_once_read(data_coding: u8) -> bool {
    matches!(data_coding, 0x40..=0x7f)
}

/// Bits 3 and 2 of the uncompressed general groups (TS 23.038 4, groups 00xx and 01xx).
fn general(data_coding: u8) -> Alphabet {
    match (data_coding >> 2) & 0b11 {
        0 => Alphabet::Gsm7,
        1 => Alphabet::Octets,
        2 => Alphabet::Ucs2,
        _ => Alphabet::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_bits_come_first() {
        let cases = [
            (0x00, Alphabet::Gsm7),
            (0x08, Alphabet::Ucs2),
            (0x0f, Alphabet::Reserved),
            (0x11, Alphabet::Gsm7),
            (0x15, Alphabet::Octets),
            (0x18, Alphabet::Ucs2),
            (0x1c, Alphabet::Reserved),
            (0x25, Alphabet::Compressed),
            (0x48, Alphabet::Ucs2),
            (0x7f, Alphabet::Compressed),
            (0x88, Alphabet::Reserved),
            (0xc8, Alphabet::Gsm7),
            (0xe0, Alphabet::Ucs2),
            (0xf1, Alphabet::Gsm7),
            (0xf5, Alphabet::Octets),
            (0xf8, Alphabet::Reserved),
        ];
        for (data_coding, expected) in cases {
            let read = alphabet(data_coding, DefaultAlphabet::Gsm7);
            assert_eq!(read, expected, "data_coding {data_coding:#04x}");
        }
        assert_eq!(alphabet(0x0f, DefaultAlphabet::Gbk), Alphabet::Gbk);
    }

    #[test]
    fn every_value_has_its_alphabet_class_and_lamp() {
        use MessageClass::{Flash, Handset, Sim, Terminal};
        const CLASSES: [Option<MessageClass>; 4] =
            [Some(Flash), Some(Handset), Some(Sim), Some(Terminal)];
        // Group by its four high bits: has a class, waits, is deleted once read, and its alphabets by
        // bits 3 and 2: g GSM 7 bit, o octets, u UCS2, c compressed, r reserved, s SMPP's own values.
        let groups = [
            (false, false, false, "ssss"),
            (true, false, false, "gour"),
            (false, false, false, "cccc"),
            (true, false, false, "cccc"),
            (false, false, true, "gour"),
            (true, false, true, "gour"),
            (false, false, true, "cccc"),
            (true, false, true, "cccc"),
            (false, false, false, "rrrr"),
            (false, false, false, "rrrr"),
            (false, false, false, "rrrr"),
            (false, false, false, "rrrr"),
            (false, true, false, "gggg"),
            (false, true, false, "gggg"),
            (false, true, false, "uuuu"),
            (true, false, false, "gorr"),
        ];
        for value in 0..=u8::MAX {
            let (has_class, waits, deleted, alphabets) = groups[usize::from(value >> 4)];
            let expected = match alphabets.as_bytes()[usize::from(value >> 2 & 3)] {
                b'g' => Some(Alphabet::Gsm7),
                b'o' => Some(Alphabet::Octets),
                b'u' => Some(Alphabet::Ucs2),
                b'c' => Some(Alphabet::Compressed),
                b'r' => Some(Alphabet::Reserved),
                _ => None,
            };
            if let Some(expected) = expected {
                assert_eq!(alphabet(value, DefaultAlphabet::Gsm7), expected, "{value:#04x}");
            }
            let class = CLASSES[usize::from(value & 3)].filter(|_| has_class);
            assert_eq!(message_class(value), class, "{value:#04x}");
            assert_eq!(is_message_waiting(value), waits, "{value:#04x}");
            assert_eq!(is_deleted_once_read(value), deleted, "{value:#04x}");
        }
    }
}
