//! Eight-bit data that is text after all: some handsets show it, so a filter must not pass it by.

use super::gbk;
use super::gsm7::{self, Shifts};
use super::likeness::{Share, is_common_septet, is_common_unit};
use super::undecodable::Undecodable;

/// Fewest octets of which packed septets are told from chance.
const PACKED_OCTETS_MIN: usize = 7;

/// Fewest characters of which text is told from chance.
const CHARACTERS_MIN: usize = 4;

/// Why eight-bit data is not decoded: [`Undecodable::BinaryText`] where it reads as text in some
/// alphabet, and then the text is appended to `out`; else [`Undecodable::Binary`].
///
/// At least 85 of 100 octets must be printable ASCII, or 90 of 100 characters common ones in UTF-16
/// of either order, UTF-8 or GBK, or 90 of 100 septets letters, digits or spaces when unpacked.
pub fn fault(octets: &[u8], out: &mut String) -> Undecodable {
    let start = out.len();
    for (name, read) in READERS {
        if read(octets, out) {
            return Undecodable::BinaryText(name);
        }
        out.truncate(start);
    }
    Undecodable::Binary
}

type Reader = fn(&[u8], &mut String) -> bool;

const READERS: [(&str, Reader); 6] = [
    ("ASCII", ascii),
    ("UTF-8", utf8),
    ("GBK", gbk),
    ("UTF-16", utf16_be),
    ("little-endian UTF-16", utf16_le),
    ("packed GSM 7 bit", packed),
];

fn ascii(octets: &[u8], out: &mut String) -> bool {
    let mut share = Share::default();
    for &octet in octets {
        let printable = matches!(octet, b'\n' | b'\r' | b'\t' | 0x20..=0x7e);
        share.count(printable);
        if printable {
            out.push(char::from(octet));
        }
    }
    is_text(share, 85)
}

fn utf16_be(octets: &[u8], out: &mut String) -> bool {
    utf16(octets, u16::from_be_bytes, out)
}

fn utf16_le(octets: &[u8], out: &mut String) -> bool {
    utf16(octets, u16::from_le_bytes, out)
}

fn utf16(octets: &[u8], order: fn([u8; 2]) -> u16, out: &mut String) -> bool {
    let (pairs, odd) = octets.as_chunks::<2>();
    let mut share = Share::default();
    for character in char::decode_utf16(pairs.iter().map(|&pair| order(pair))) {
        let Ok(character) = character else { return false };
        out.push(character);
        share.count(is_common(character));
    }
    odd.is_empty() && is_text(share, 90)
}

fn utf8(octets: &[u8], out: &mut String) -> bool {
    let Ok(text) = str::from_utf8(octets) else { return false };
    out.push_str(text);
    all_common(text)
}

fn gbk(octets: &[u8], out: &mut String) -> bool {
    let start = out.len();
    gbk::decode(std::iter::once(octets), false, out).is_ok()
        && all_common(out.get(start..).unwrap_or(""))
}

fn packed(octets: &[u8], out: &mut String) -> bool {
    let septets = gsm7::septets(octets, 0);
    let mut share = Share::default();
    septets.clone().for_each(|septet| share.count(is_common_septet(septet)));
    octets.len() >= PACKED_OCTETS_MIN
        && share.is_at_least(90)
        && gsm7::decode(septets, Shifts::default(), false, out).is_ok()
}

fn is_common(character: char) -> bool {
    u16::try_from(u32::from(character)).map_or(character >= '\u{1f300}', is_common_unit)
}

fn all_common(text: &str) -> bool {
    let mut share = Share::default();
    text.chars().for_each(|character| share.count(is_common(character)));
    is_text(share, 90)
}

fn is_text(share: Share, percent: usize) -> bool {
    share.all >= CHARACTERS_MIN && share.is_at_least(percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_found_in_binary_and_binary_is_not_taken_for_text() {
        let octets =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
        let swapped =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let chinese = "全场五折优惠，回复TD退订";
        let packed = gsm7::pack(b"big sale today only".iter().copied(), 0);
        // A WAP service indication in its binary form, a Nokia picture header, and noise.
        let wap = b"\x01\x06\x04\x03\xae\x81\xea\x02\x05\x6a\x00\x45\xc6\x0c\x03\x61\x2e\x62\x00\x01\x03\x68\x69\x00\x01\x01";
        let cases: &[(&[u8], &str, &str)] = &[
            (b"BUY NOW a.cn/x", "ASCII", "BUY NOW a.cn/x"),
            (b"\x01BUY NOW a.cn/x", "ASCII", "BUY NOW a.cn/x"),
            (&octets(chinese), "UTF-16", chinese),
            (&swapped(chinese), "little-endian UTF-16", chinese),
            (chinese.as_bytes(), "UTF-8", chinese),
            (b"\xc8\xab\xb3\xa1\xce\xe5\xd5\xdb\xd3\xc5\xbb\xdd", "GBK", "全场五折优惠"),
            (&packed, "packed GSM 7 bit", "big sale today only"),
            (wap, "", ""),
            (b"\x30\x00\x00\x48\x1c\x01\xff\xff\xff\xff\xff\xfe\x00\x01\x80\x00", "", ""),
            (b"\x4f\x60\x59\x7d\xff\x01\xff\x01", "UTF-16", "你好！！"),
            (b"\x4f\x60\x59\x7d\xff\x01", "", ""),
            (b"SALE", "ASCII", "SALE"),
            (b"OFF", "", ""),
            (b"\xff\x01\xff\x01", "", ""),
            (b"\xff\x01\xff\x01\xff", "", ""),
            (b"", "", ""),
        ];
        for (octets, expected, text) in cases {
            let mut out = String::new();
            let found = match fault(octets, &mut out) {
                Undecodable::BinaryText(name) => name,
                _ => "",
            };
            assert_eq!((found, out.as_str()), (*expected, *text), "{octets:02x?}");
        }
    }
}
