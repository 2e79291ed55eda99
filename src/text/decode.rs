//! Octets of one alphabet to text, strictly.

use super::data_coding::Alphabet;
use super::gsm7;

/// Why octets are not text in their alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// An octet that has no character.
    #[error("octet {0} has no character in {1}")]
    Octet(usize, &'static str),
    /// UCS2 text of an odd number of octets.
    #[error("UCS2 text of an odd number of octets")]
    OddLength,
    /// Half of a surrogate pair without the other.
    #[error("a lone surrogate at octet {0}")]
    LoneSurrogate(usize),
    /// The alphabet is not text, or not one that is decoded here.
    #[error("{0} is not decoded")]
    Alphabet(&'static str),
}

/// Appends the text of `octets` to `out`. What was appended before a fault stays there: it is
/// what a reader could make out.
pub fn decode(alphabet: Alphabet, octets: &[u8], out: &mut String) -> Result<(), Undecodable> {
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
        Alphabet::Octets => Err(Undecodable::Alphabet("eight-bit data")),
        Alphabet::Named(name) => Err(Undecodable::Alphabet(name)),
        Alphabet::Compressed => Err(Undecodable::Alphabet("compressed text")),
        Alphabet::Reserved => Err(Undecodable::Alphabet("a reserved data_coding")),
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
    use super::*;

    #[test]
    fn octets_are_text_only_by_the_rules_of_their_alphabet() {
        let cases: &[(Alphabet, &[u8], Result<(), Undecodable>, &str)] = &[
            (Alphabet::Gsm7, b"\x00\x48i\x1b\x65\x1b\x41\x1b", Ok(()), "@Hi€A "),
            (Alphabet::Gsm7, b"a\x80", Err(Undecodable::Octet(1, "GSM 7 bit")), "a"),
            (Alphabet::Ascii, b"ok\xe9", Err(Undecodable::Octet(2, "ASCII")), "ok"),
            (Alphabet::Latin1, b"caf\xe9", Ok(()), "café"),
            (Alphabet::Ucs2, b"\x4f\x60\xd8\x3d\xde\x00", Ok(()), "你😀"),
            (Alphabet::Ucs2, b"\x4f\x60\xd8\x3d", Err(Undecodable::LoneSurrogate(2)), "你"),
            (Alphabet::Ucs2, b"\x4f\x60\x00", Err(Undecodable::OddLength), "你"),
            (Alphabet::Gbk, b"\xc4\xe3\xba\xc3", Ok(()), "你好"),
            (Alphabet::Octets, b"x", Err(Undecodable::Alphabet("eight-bit data")), ""),
        ];
        for (alphabet, octets, expected, text) in cases {
            let mut out = String::new();
            let read = decode(*alphabet, octets, &mut out);
            assert_eq!((&read, out.as_str()), (expected, *text), "{alphabet:?} {octets:02x?}");
        }
    }
}
