//! UCS2 text: UTF-16, big endian, and nothing else (3GPP TS 23.038 6.2.3).

use super::direction::TURNING;
use super::likeness::{Share, common_units};
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
    pairs.iter().skip(marks(pairs)).map(|&pair| u16::from_be_bytes(pair))
}

/// How many byte order marks stand in front.
fn marks(pairs: &[[u8; 2]]) -> usize {
    usize::from(pairs.first() == Some(&BYTE_ORDER_MARK))
}

/// Whether a text is no text in its own order and one in the other; or has zero octets where only
/// swapped Latin text has them. Texts that read both ways are left to the specification.
fn reads_swapped(pairs: &[[u8; 2]]) -> bool {
    let all = pairs.len();
    if all < ZEROS_UNITS_MIN {
        return false;
    }
    let is_common = common_units();
    let (mut nonzero, mut common) = (0, 0);
    for &pair in pairs {
        nonzero += usize::from(pair[1] != 0);
        common += is_common.one(u16::from_be_bytes(pair));
    }
    // U+3000, the ideographic space, and U+4E00, the numeral one, end in a zero octet as well.
    let is_by_right = |pair: &&[u8; 2]| matches!(pair, [0x30 | 0x4e, 0]);
    let is_sparse = |nonzero: usize| nonzero * 10 <= all * 4;
    if is_sparse(nonzero) && is_sparse(nonzero + pairs.iter().filter(is_by_right).count()) {
        return true;
    }
    if common * 4 >= all * 3 || all < CHARACTERS_UNITS_MIN {
        return false;
    }
    let swapped = pairs.iter().map(|&pair| is_common.one(u16::from_le_bytes(pair))).sum();
    let needed = if common * 2 >= all { 90 } else { 80 };
    Share { common: swapped, all }.is_at_least(needed)
}

/// Code units that are converted at a time.
const RUN_UNITS: usize = 64;

/// Whether every code unit is a character by itself, and none turns the direction of what follows:
/// most texts are so, and are read much faster.
pub fn is_plain(octets: &[u8]) -> bool {
    let (pairs, _) = octets.as_chunks::<2>();
    let is_special = |unit: u16| {
        unit & 0xf800 == 0xd800 || TURNING.iter().any(|&turning| unit == turning as u16)
    };
    // Without an early end, so that many are compared at once.
    !pairs.iter().fold(false, |found, &pair| found | is_special(u16::from_be_bytes(pair)))
}

/// Appends a text that [`is_plain`], as [`decode`] would.
pub fn decode_plain(octets: &[u8], out: &mut String) {
    let (pairs, _) = octets.as_chunks::<2>();
    let (mut units, mut room) = ([0; RUN_UNITS], [0; 3 * RUN_UNITS]);
    let Ok(room) = std::str::from_utf8_mut(&mut room) else { return };
    for run in pairs.get(marks(pairs)..).unwrap_or_default().chunks(RUN_UNITS) {
        units.iter_mut().zip(run).for_each(|(unit, &pair)| *unit = u16::from_be_bytes(pair));
        let units = units.get(..run.len()).unwrap_or_default();
        let octets = encoding_rs::mem::convert_utf16_to_str(units, room);
        out.push_str(room.get(..octets).unwrap_or_default());
    }
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
    use proptest::prelude::*;

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

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn plain_texts_are_read_as_all_are(
            units in prop::collection::vec(prop_oneof![
                8 => any::<u16>(), 4 => 0x4e00_u16..0x9fff, 4 => 0x20_u16..0x7f,
                1 => prop::sample::select(vec![0xfeff, 0xfffe, 0, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff]),
            ], 0..200),
        ) {
            let special = |unit: &u16| {
                char::from_u32(u32::from(*unit)).is_none_or(|c| TURNING.contains(&c))
            };
            let octets: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            prop_assert_eq!(is_plain(&octets), !units.iter().any(special));
            let plain: Vec<u16> = units.into_iter().filter(|unit| !special(unit)).collect();
            let octets: Vec<u8> = plain.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            let (mut one, mut other) = ("a".to_owned(), "a".to_owned());
            decode(super::units(&octets), [false, false], &mut one).unwrap();
            decode_plain(&octets, &mut other);
            prop_assert_eq!(one, other);
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
