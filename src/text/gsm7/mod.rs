//! GSM 7 bit text: the default alphabet with its extension, and the national language tables that
//! replace either (3GPP TS 23.038 6.2.1, annex A).

mod locking;
mod packing;
mod single;

pub use packing::{pack, septets};

use super::udh::{IE_LOCKING_SHIFT, IE_SINGLE_SHIFT, Udh};
use super::undecodable::Undecodable;

/// Switches to the extension table for one character.
pub const ESCAPE: u8 = 0x1b;

const BASIC: &str = concat!(
    "@£$¥èéùìòÇ\nØø\rÅå",
    "Δ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ",
    " !\"#¤%&'()*+,-./",
    "0123456789:;<=>?",
    "¡ABCDEFGHIJKLMNO",
    "PQRSTUVWXYZÄÖÑÜ§",
    "¿abcdefghijklmno",
    "pqrstuvwxyzäöñüà",
);

const BASIC_TABLE: [char; 128] = {
    let octets = BASIC.as_bytes();
    let mut table = [' '; 128];
    let (mut at, mut septet) = (0, 0);
    while septet < 128 {
        let first = octets[at] as u32;
        if first < 0x80 {
            table[septet] = first as u8 as char;
            at += 1;
        } else {
            let second = octets[at + 1] as u32 & 0x3f;
            match char::from_u32(((first & 0x1f) << 6) | second) {
                Some(character) => table[septet] = character,
                None => panic!("BASIC is valid UTF-8 below U+0800"),
            }
            at += 2;
        }
        septet += 1;
    }
    table
};

/// The character of a septet; `None` above 0x7F and for [`ESCAPE`] itself.
pub fn basic(septet: u8) -> Option<char> {
    if septet == ESCAPE { None } else { BASIC_TABLE.get(usize::from(septet)).copied() }
}

/// The character of a septet behind [`ESCAPE`]; `None` where the table has none, and a receiver then
/// shows the basic character (TS 23.038 6.2.1.1).
pub fn extension(septet: u8) -> Option<char> {
    Some(match septet {
        0x0a => '\u{c}',
        0x14 => '^',
        0x28 => '{',
        0x29 => '}',
        0x2f => '\\',
        0x3c => '[',
        0x3d => '~',
        0x3e => ']',
        0x40 => '|',
        0x65 => '€',
        _ => return None,
    })
}

/// Which tables a text is written in, by national language identifier (TS 23.038 6.2.1.2.4); zero for
/// the default alphabet and its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shifts {
    /// In place of the default alphabet.
    pub locking: u8,
    /// In place of its extension.
    pub single: u8,
}

type Table = fn(u8) -> Option<&'static [u16; 128]>;

impl Shifts {
    /// The tables that a header's elements 0x24 and 0x25 name (TS 23.040 9.2.3.24.15, 9.2.3.24.16).
    ///
    /// A receiver ignores an identifier that it does not know, and receivers know different ones: so
    /// an unpublished one is [`Undecodable::Language`]. One table named twice, or by an element of
    /// another length than one octet, is [`Undecodable::ShiftTables`].
    pub fn of(header: Option<Udh<'_>>) -> Result<Shifts, Undecodable> {
        let mut shifts = Shifts::default();
        for element in header.into_iter().flat_map(Udh::elements) {
            let (slot, published): (&mut u8, Table) = match element.identifier {
                IE_LOCKING_SHIFT => (&mut shifts.locking, locking::table),
                IE_SINGLE_SHIFT => (&mut shifts.single, single::table),
                _ => continue,
            };
            let (&[language], 0) = (element.data, *slot) else {
                return Err(Undecodable::ShiftTables);
            };
            if published(language).is_none() {
                return Err(Undecodable::Language(language));
            }
            *slot = language;
        }
        Ok(shifts)
    }
}

fn of_unit(table: &[u16; 128], septet: u8) -> Option<char> {
    let unit = table.get(usize::from(septet)).copied().filter(|&unit| unit != 0)?;
    char::from_u32(u32::from(unit))
}

/// Both tables of a text, looked up once.
#[derive(Clone, Copy)]
struct Tables {
    locking: Option<&'static [u16; 128]>,
    single: Option<&'static [u16; 128]>,
}

impl Tables {
    fn of(shifts: Shifts) -> Tables {
        Tables { locking: locking::table(shifts.locking), single: single::table(shifts.single) }
    }

    fn character(self, septet: u8) -> Option<char> {
        match self.locking {
            None => basic(septet),
            Some(table) => of_unit(table, septet),
        }
    }

    /// The character behind an escape. One that the single shift table leaves empty is the locking
    /// table's, and that of a second escape a space (TS 23.038 6.2.1.1): as handsets show it.
    fn escaped(self, septet: u8) -> Option<char> {
        if septet == ESCAPE {
            return Some(' ');
        }
        let shifted = match self.single {
            None => extension(septet),
            Some(table) => of_unit(table, septet),
        };
        shifted.or_else(|| self.character(septet))
    }
}

/// Appends the text of septets. An escape at the end shows a space, unless the text goes on unseen:
/// then it shows nothing yet.
pub fn decode(
    septets: impl Iterator<Item = u8>,
    shifts: Shifts,
    goes_on: bool,
    out: &mut String,
) -> Result<(), Undecodable> {
    let tables = Tables::of(shifts);
    let mut is_escaped = false;
    septets.enumerate().try_for_each(|(at, septet)| {
        let shown = match std::mem::take(&mut is_escaped) {
            true => tables.escaped(septet),
            false if septet == ESCAPE => {
                is_escaped = true;
                return Ok(());
            }
            false => tables.character(septet),
        };
        out.push(shown.ok_or(Undecodable::Octet(at, "GSM 7 bit"))?);
        Ok(())
    })?;
    if is_escaped && !goes_on {
        out.push(' ');
    }
    Ok(())
}

/// The octets, one septet each, that stand for `text`; `None` where a character has none.
pub fn encode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    for character in text.chars() {
        if let Some(septet) = (0..0x80).find(|&s| basic(s) == Some(character)) {
            out.push(septet);
        } else {
            let septet = (0..0x80).find(|&s| extension(s) == Some(character))?;
            out.extend_from_slice(&[ESCAPE, septet]);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_character_in_its_place() {
        let cases = [
            (0x00, '@'),
            (0x02, '$'),
            (0x10, 'Δ'),
            (0x1a, 'Ξ'),
            (0x1f, 'É'),
            (0x20, ' '),
            (0x24, '¤'),
            (0x40, '¡'),
            (0x41, 'A'),
            (0x5f, '§'),
            (0x60, '¿'),
            (0x7a, 'z'),
            (0x7f, 'à'),
        ];
        for (septet, character) in cases {
            assert_eq!(basic(septet), Some(character), "{septet:#04x}");
        }
        assert_eq!((basic(ESCAPE), basic(0x80)), (None, None));
        assert_eq!(encode("a€[").as_deref(), Some(&b"a\x1b\x65\x1b\x3c"[..]));
        assert_eq!(encode("中"), None);
    }

    fn text(septets: &[u8], locking: u8, single: u8) -> Result<String, Undecodable> {
        let mut out = String::new();
        let shifts = Shifts { locking, single };
        decode(septets.iter().copied(), shifts, false, &mut out).map(|()| out)
    }

    #[test]
    fn every_published_table_is_in_its_place() {
        let cases: &[(&[u8], u8, u8, &str)] = &[
            (b"\x00\x1b\x65\x1b\x1b\x1b", 0, 0, "@€  "),
            (b"\x04\x07\x0b\x1d\x40\x60", 1, 0, "€ıĞşİç"),
            (b"\x1b\x53\x1b\x73\x1b\x41", 0, 1, "ŞşA"),
            (b"\x1b\x09\x1b\x75\x1b\x65", 0, 2, "çú€"),
            (b"\x12\x15\x18\x5b\x7d", 3, 3, "ª∞€Ã`"),
            (b"\x1b\x05\x1b\x12\x1b\x7f", 0, 3, "êΦâ"),
            (b"\x00\x7f\x2c", 4, 0, "\u{981}\u{9f1},"),
            (b"\x15\x2c\x1b\x19", 5, 5, "\u{a95},\u{964}"),
            (b"\x15\x1b\x26\x1b\x27", 6, 6, "\u{915}\u{951}\u{952}"),
            (b"\x24\x2d\x1b\x2a", 7, 7, "\u{ca1}\u{ca7}\u{cf2}"),
            (b"\x7f\x1b\x34", 8, 8, "\u{d79}\u{d7f}"),
            (b"\x60\x1b\x2a", 9, 9, "\u{b56}\u{b5f}"),
            (b"\x60\x1b\x2d", 10, 10, "\u{a51}\u{a75}"),
            (b"\x60\x1b\x24", 11, 11, "\u{bd0}\u{bee}"),
            (b"\x60\x1b\x22\x1b\x65", 12, 12, "\u{c55}\u{c6c}€"),
            (b"\x5d\x7b\x7f\x1b\x3f", 13, 13, "\u{650}\u{655}\u{670}\u{6d4}"),
        ];
        for (septets, locking, single, expected) in cases {
            let read = text(septets, *locking, *single);
            assert_eq!(read.as_deref(), Ok(*expected), "tables {locking} and {single}");
        }
        assert_eq!(text(b"a\x00", 7, 0), Err(Undecodable::Octet(1, "GSM 7 bit")), "an empty place");
        for language in 0..=u8::MAX {
            assert_eq!(single::table(language).is_some(), (1..=13).contains(&language));
            let locks = (1..=13).contains(&language) && language != 2;
            assert_eq!(locking::table(language).is_some(), locks, "Spanish has no locking table");
        }
    }

    #[test]
    fn digits_and_latin_letters_stand_in_their_places_in_all_locking_tables() {
        for language in (1..=13).filter(|&language| language != 2) {
            for septet in (b'0'..=b'9').chain(b'a'..=b'z').chain(*b",.!?)(") {
                let expected = match (language, septet) {
                    (4.., b'(') => ')',
                    (4.., b')') => '(',
                    _ => char::from(septet),
                };
                let shown = Tables::of(Shifts { locking: language, single: 0 }).character(septet);
                assert_eq!(shown, Some(expected), "{language} {septet:#04x}");
            }
        }
    }

    #[test]
    fn a_header_names_each_table_once() {
        let cases: &[(&[u8], Result<(u8, u8), Undecodable>)] = &[
            (b"\x00", Ok((0, 0))),
            (b"\x03\x24\x01\x03", Ok((0, 3))),
            (b"\x06\x25\x01\x0d\x24\x01\x02", Ok((13, 2))),
            (b"\x03\x25\x01\x02", Err(Undecodable::Language(2))),
            (b"\x03\x24\x01\x0e", Err(Undecodable::Language(14))),
            (b"\x03\x24\x01\x00", Err(Undecodable::Language(0))),
            (b"\x04\x24\x02\x01\x01", Err(Undecodable::ShiftTables)),
            (b"\x06\x24\x01\x01\x24\x01\x01", Err(Undecodable::ShiftTables)),
        ];
        for (octets, expected) in cases {
            let header = Udh::split(octets).map(|(header, _)| header);
            let read = Shifts::of(header).map(|shifts| (shifts.locking, shifts.single));
            assert_eq!(&read, expected, "{octets:02x?}");
        }
    }
}
