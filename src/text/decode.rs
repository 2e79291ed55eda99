//! A body to text, strictly.

use super::body::Body;
use super::data_coding::{self, Alphabet};
use super::gsm7;
use super::options::Options;
use super::undecodable::Undecodable;

/// What a text was decoded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// How its octets stood for characters.
    pub alphabet: Alphabet,
}

/// Appends the text of a body under `data_coding` (SMPP 3.4 5.2.19) on a route with `options`.
///
/// No character is ever replaced: what cannot be read as the handset will is an error. What was
/// appended before a fault stays there: it is what a reader could make out. Nothing is allocated
/// once `out` has grown to the longest text.
pub fn decode(
    body: Body<'_>,
    data_coding: u8,
    options: Options,
    out: &mut String,
) -> Result<Decoded, Undecodable> {
    let alphabet = data_coding::alphabet(data_coding, options.default_alphabet);
    octets(alphabet, body.text, out)?;
    Ok(Decoded { alphabet })
}

fn octets(alphabet: Alphabet, octets: &[u8], out: &mut String) -> Result<(), Undecodable> {
    match alphabet {
        Alphabet::Gsm7 => decode_gsm7(octets, out),
        Alphabet::Ascii => {
            for (at, &octet) in octets.iter().enumerate() {
                if octet >= 0x80 {
                    return Err(Undecodable::Octet(at, "ASCII"));
                }
                out.push(char::from(octet));
            }
            Ok(())
        }
        Alphabet::Latin1 => {
            out.extend(octets.iter().copied().map(char::from));
            Ok(())
        }
        Alphabet::Ucs2 => decode_ucs2(octets, out),
        Alphabet::Gbk => {
            match encoding_rs::GBK.decode_without_bom_handling_and_without_replacement(octets) {
                Some(text) => out.push_str(&text),
                None => return Err(Undecodable::Octet(0, "GBK")),
            }
            Ok(())
        }
        Alphabet::Octets => Err(Undecodable::Binary),
        Alphabet::Named(name) => Err(Undecodable::CharacterSet(name)),
        Alphabet::Compressed => Err(Undecodable::Compressed),
        Alphabet::Reserved => Err(Undecodable::Reserved),
    }
}

/// An escape before a septet without an extension character shows the basic one, and an escape
/// at the end or before another escape a space (TS 23.038 6.2.1.1): as handsets do.
fn decode_gsm7(octets: &[u8], out: &mut String) -> Result<(), Undecodable> {
    let mut rest = octets.iter().copied().enumerate();
    while let Some((at, septet)) = rest.next() {
        if septet != gsm7::ESCAPE {
            out.push(gsm7::basic(septet).ok_or(Undecodable::Octet(at, "GSM 7 bit"))?);
            continue;
        }
        match rest.next() {
            None => out.push(' '),
            Some((_, gsm7::ESCAPE)) => out.push(' '),
            Some((at, next)) => out.push(
                gsm7::extension(next)
                    .or_else(|| gsm7::basic(next))
                    .ok_or(Undecodable::Octet(at, "GSM 7 bit"))?,
            ),
        }
    }
    Ok(())
}

fn decode_ucs2(octets: &[u8], out: &mut String) -> Result<(), Undecodable> {
    let (pairs, odd) = octets.as_chunks::<2>();
    let mut at = 0;
    for unit in char::decode_utf16(pairs.iter().map(|&pair| u16::from_be_bytes(pair))) {
        let character = unit.map_err(|_| Undecodable::LoneSurrogate(at))?;
        at += character.len_utf16() * 2;
        out.push(character);
    }
    if odd.is_empty() { Ok(()) } else { Err(Undecodable::OddLength) }
}

#[cfg(test)]
mod tests {
    use super::super::options::Options;
    use super::*;

    #[test]
    fn octets_are_text_only_by_the_rules_of_their_alphabet() {
        let cases: &[(u8, &[u8], Result<Alphabet, Undecodable>, &str)] = &[
            (0, b"\x00\x48i\x1b\x65\x1b\x41\x1b", Ok(Alphabet::Gsm7), "@Hi€A "),
            (0, b"a\x80", Err(Undecodable::Octet(1, "GSM 7 bit")), "a"),
            (1, b"ok\xe9", Err(Undecodable::Octet(2, "ASCII")), "ok"),
            (3, b"caf\xe9", Ok(Alphabet::Latin1), "café"),
            (8, b"\x4f\x60\xd8\x3d\xde\x00", Ok(Alphabet::Ucs2), "你😀"),
            (8, b"\x4f\x60\xd8\x3d", Err(Undecodable::LoneSurrogate(2)), "你"),
            (8, b"\x4f\x60\x00", Err(Undecodable::OddLength), "你"),
            (4, b"\xff\xfe\xfd", Err(Undecodable::Binary), ""),
        ];
        for (data_coding, octets, expected, text) in cases {
            let mut out = String::new();
            let read = decode(Body::plain(octets), *data_coding, Options::default(), &mut out);
            let read = read.map(|decoded| decoded.alphabet);
            assert_eq!((&read, out.as_str()), (expected, *text), "{data_coding} {octets:02x?}");
        }
    }
}
