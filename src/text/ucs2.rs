//! UCS2 text: UTF-16, big endian, and nothing else (3GPP TS 23.038 6.2.3).

use super::likeness::{Share, is_common_unit};
use super::undecodable::Undecodable;

const BYTE_ORDER_MARK: [u8; 2] = [0xfe, 0xff];
const BYTE_ORDER_MARK_SWAPPED: [u8; 2] = [0xff, 0xfe];

/// Fewest code units of which the zero octets are taken for evidence of the byte order.
const ZEROS_UNITS_MIN: usize = 4;
/// Fewest code units of which the characters are: of eight chance ones, seven are common ones in
/// another order twice in a thousand texts.
const CHARACTERS_UNITS_MIN: usize = 8;

/// Whether a text is whole and big endian.
pub fn check(octets: &[u8]) -> Result<(), Undecodable> {
    let (pairs, odd) = octets.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(Undecodable::OddLength);
    }
    match pairs.first() {
        Some(&BYTE_ORDER_MARK_SWAPPED) => Err(Undecodable::LittleEndian),
        _ if reads_swapped(pairs) => Err(Undecodable::LittleEndian),
        _ => Ok(()),
    }
}

/// The code units of a text. A byte order mark in front, which handsets do not show, is left out.
pub fn units(octets: &[u8]) -> impl Iterator<Item = u16> {
    let (pairs, _) = octets.as_chunks::<2>();
    let marked = usize::from(pairs.first() == Some(&BYTE_ORDER_MARK));
    pairs.iter().skip(marked).map(|&pair| u16::from_be_bytes(pair))
}

/// Whether a text is no text in its own order and one in the other; or has zero octets where only
/// swapped Latin text has them. Texts that read both ways are left to the specification.
fn reads_swapped(pairs: &[[u8; 2]]) -> bool {
    let all = pairs.len();
    if all < ZEROS_UNITS_MIN {
        return false;
    }
    let (mut common, mut nonzero) = (0, 0);
    for &pair in pairs {
        let unit = u16::from_be_bytes(pair);
        common += usize::from(is_common_unit(unit));
        // U+3000, the ideographic space, and U+4E00, the numeral one, end in a zero octet as well.
        nonzero += usize::from(pair[1] != 0 || matches!(unit, 0x3000 | 0x4e00));
        if common * 4 >= all * 3 && nonzero * 10 > all * 4 {
            return false;
        }
    }
    if nonzero * 10 <= all * 4 {
        return true;
    }
    let mut swapped = Share::default();
    for &pair in pairs {
        swapped.count(is_common_unit(u16::from_le_bytes(pair)));
    }
    let needed = if common * 2 >= all { 90 } else { 80 };
    all >= CHARACTERS_UNITS_MIN && swapped.is_at_least(needed)
}

/// Appends the text of code units. Halves of pairs are forgiven only at a border behind which the
/// text goes on unseen.
pub fn decode(
    units: impl Iterator<Item = u16>,
    [begins_unseen, goes_on]: [bool; 2],
    out: &mut String,
) -> Result<(), Undecodable> {
    let (mut high, mut count) = (None, 0);
    units.enumerate().try_for_each(|(at, unit)| {
        count = at + 1;
        let character = match (high.take(), unit) {
            (Some(high), 0xdc00..=0xdfff) => pair(high, unit),
            (Some(_), _) => return Err(Undecodable::LoneSurrogate(at * 2 - 2)),
            (None, 0xd800..=0xdbff) => {
                high = Some(unit);
                return Ok(());
            }
            (None, 0xdc00..=0xdfff) if begins_unseen && at == 0 => return Ok(()),
            (None, _) => char::from_u32(u32::from(unit)),
        };
        out.push(character.ok_or(Undecodable::LoneSurrogate(at * 2))?);
        Ok(())
    })?;
    match high {
        Some(_) if !goes_on => Err(Undecodable::LoneSurrogate(count * 2 - 2)),
        _ => Ok(()),
    }
}

fn pair(high: u16, low: u16) -> Option<char> {
    let (high, low) = (u32::from(high) & 0x3ff, u32::from(low) & 0x3ff);
    char::from_u32(0x1_0000 + (high << 10 | low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8]) -> Result<String, Undecodable> {
        let mut out = String::new();
        check(octets)?;
        decode(units(octets), [false, false], &mut out).map(|()| out)
    }

    fn octets(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    }

    #[test]
    fn only_whole_big_endian_text_is_read() {
        let cases: &[(&[u8], Result<&str, Undecodable>)] = &[
            (b"", Ok("")),
            (b"\x4f\x60\xd8\x3d\xde\x00", Ok("你😀")),
            (b"\x4f", Err(Undecodable::OddLength)),
            (b"\x4f\x60\x00", Err(Undecodable::OddLength)),
            (b"\xfe\xff\x4f\x60", Ok("你")),
            (b"\xff\xfe\x60\x4f", Err(Undecodable::LittleEndian)),
            (b"\x4f\x60\xd8\x3d", Err(Undecodable::LoneSurrogate(2))),
            (b"\xde\x00\x4f\x60", Err(Undecodable::LoneSurrogate(0))),
            (b"\xd8\x3d\xd8\x3d\xde\x00", Err(Undecodable::LoneSurrogate(0))),
        ];
        for (octets, expected) in cases {
            assert_eq!(read(octets).as_deref(), expected.as_ref().copied(), "{octets:02x?}");
        }
    }

    #[test]
    fn byte_order_is_told_by_evidence() {
        let texts = [
            "尊敬的用户，您的验证码是123456，请勿泄露。【示例商城】",
            "全场五折优惠，回复TD退订",
            "Your code is 123456",
            "Ваш код подтверждения 123456",
            "رمز التحقق الخاص بك هو 123456",
            "認証コードは123456です",
            "인증번호는 123456 입니다",
            "　　　　你好",
            "一一一一",
            "😀😀😀😀",
        ];
        for text in texts {
            assert_eq!(read(&octets(text, u16::to_be_bytes)).as_deref(), Ok(text));
        }
        for text in &texts[..6] {
            let swapped = octets(text, u16::to_le_bytes);
            assert_eq!(read(&swapped), Err(Undecodable::LittleEndian), "{text}");
        }
    }

    #[test]
    fn short_texts_are_no_evidence() {
        assert!(read(&octets("abc", u16::to_le_bytes)).is_ok());
        assert_eq!(read(&octets("abcd", u16::to_le_bytes)), Err(Undecodable::LittleEndian));
        assert!(read(&octets("全场五折优惠", u16::to_le_bytes)).is_ok());
        let eight = octets("全场五折优惠今日", u16::to_le_bytes);
        assert_eq!(read(&eight), Err(Undecodable::LittleEndian));
    }

    #[test]
    fn halves_are_forgiven_only_at_an_open_border() {
        let cases: &[(&[u16], [bool; 2], Result<&str, Undecodable>)] = &[
            (&[0x61, 0xd83d], [false, true], Ok("a")),
            (&[0xde00, 0x61], [true, false], Ok("a")),
            (&[0x61, 0xd83d], [true, false], Err(Undecodable::LoneSurrogate(2))),
            (&[0xde00, 0x61], [false, true], Err(Undecodable::LoneSurrogate(0))),
            (&[0x61, 0xde00], [true, true], Err(Undecodable::LoneSurrogate(2))),
            (&[0xd83d, 0x61], [true, true], Err(Undecodable::LoneSurrogate(0))),
        ];
        for (units, open, expected) in cases {
            let mut out = String::new();
            let read = decode(units.iter().copied(), *open, &mut out).map(|()| out.as_str());
            assert_eq!(&read, expected, "{units:04x?} {open:?}");
        }
    }
}
