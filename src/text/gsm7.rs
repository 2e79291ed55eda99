//! The GSM 7 bit default alphabet and its extension table (3GPP TS 23.038 6.2.1).

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
}
