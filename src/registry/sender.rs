//! The sender's address: one canonical form, or the fault that forbids it.

use super::numbering::{
    CODE_DIGITS_MIN, HOME, Written, follows_home, is_code, is_foreign, is_machine, is_mobile,
    is_reserved, written,
};
use super::{Address, Digits, Ton};

/// The longest alphanumeric sender, in octets (11 septets, GSM 03.40 9.1.2.5).
pub const ALPHANUMERIC_OCTETS_MAX: usize = 11;

/// A sender in canonical form. Whether it is the provider's own, the registry knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender<'a> {
    /// A code of the Chinese plan, national form: 3 to 20 digits without 86.
    Code(Digits),
    /// A foreign number: E.164 digits without `+`.
    International(Digits),
    /// Letters: 1 to [`ALPHANUMERIC_OCTETS_MAX`] octets as they stood on the wire.
    Alphanumeric(&'a [u8]),
}

/// Why an address is no sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SenderFault {
    /// Nothing there, or blanks: an SMSC would put in a sender of its own.
    #[error("source_addr is empty; send the code that was allotted to you")]
    Missing,
    /// Neither code nor number: foreign octets, a reserved range, a person's number, no plan form.
    #[error("source_addr is no code and no number of the plan; send 3 to 20 ASCII digits")]
    Malformed,
    /// source_addr_ton is unknown, or contradicts the digits.
    #[error("source_addr_ton contradicts source_addr; use 0, or 1 with the country code")]
    Ton,
    /// source_addr_npi is no plan of telephone numbers, or contradicts the digits.
    #[error("source_addr_npi is no plan for source_addr; use 0 or 1")]
    Npi,
}

/// Brings a sender into its canonical form.
///
/// | TON | bare national | `86`... | `+`/`00`, 86 | `+`/`00`, foreign | foreign, bare |
/// |---|---|---|---|---|---|
/// | 0 | code | code | code | international | code (of nobody) |
/// | 1 | `Ton` | code | code | international | international |
/// | 2, 3, 6 | code | `Ton` | `Ton` | `Ton` | code (of nobody) |
/// | 5 | `Malformed` | `Malformed` | `Malformed` | `Malformed` | `Malformed` |
/// | 4, 7.. | `Ton` | `Ton` | `Ton` | `Ton` | `Ton` |
///
/// NPI 0 and 1 go with all of these, 8 and 9 only where no country code is said; others are
/// `Npi`. Reserved ranges and people's numbers are `Malformed` however they are written; eleven
/// digits that are a Chinese mobile number and a North American one at once are `Ton` under TON 1
/// unless `+` or `00` settles it.
///
/// # Errors
///
/// The first of: missing, TON or NPI unknown, malformed or contradictory.
pub fn sender<'a>(address: &Address<'a>) -> Result<Sender<'a>, SenderFault> {
    if address.is_missing() {
        return Err(SenderFault::Missing);
    }
    let known = [
        Ton::UNKNOWN,
        Ton::INTERNATIONAL,
        Ton::NATIONAL,
        Ton::NETWORK_SPECIFIC,
        Ton::ALPHANUMERIC,
        Ton::ABBREVIATED,
    ];
    if !known.contains(&address.ton) {
        return Err(SenderFault::Ton);
    }
    if !address.npi.carries_numbers() {
        return Err(SenderFault::Npi);
    }
    if address.ton == Ton::ALPHANUMERIC {
        return alphanumeric(address.value);
    }
    let (sender, with_country) = numeric(address)?;
    if with_country && !address.npi.carries_country_codes() {
        return Err(SenderFault::Npi);
    }
    Ok(sender)
}

/// The sender in digits, and whether a country code was said.
fn numeric<'a>(address: &Address<'a>) -> Result<(Sender<'a>, bool), SenderFault> {
    match (address.ton, written(address.value).ok_or(SenderFault::Malformed)?) {
        (Ton::UNKNOWN | Ton::INTERNATIONAL, Written::Prefixed(digits)) => {
            Ok((with_country(digits)?, true))
        }
        (Ton::UNKNOWN, Written::Bare(digits)) => match digits.strip_prefix(HOME) {
            Some(rest) if follows_home(rest) => Ok((with_country(digits)?, true)),
            _ => Ok((code(digits)?, false)),
        },
        (Ton::INTERNATIONAL, Written::Bare(digits)) => {
            // A mobile number without 86 could also be read as a North American one.
            if is_mobile(digits) || (!is_foreign(digits) && is_code(digits) && !home(digits)) {
                return Err(SenderFault::Ton);
            }
            if digits.first() == Some(&b'0') {
                return Err(SenderFault::Ton);
            }
            Ok((with_country(digits)?, true))
        }
        (_, Written::Prefixed(_)) => Err(SenderFault::Ton),
        (_, Written::Bare(digits)) if home(digits) => Err(SenderFault::Ton),
        (_, Written::Bare(digits)) => Ok((code(digits)?, false)),
    }
}

/// Whether bare digits begin with our own country code.
fn home(digits: &[u8]) -> bool {
    digits.strip_prefix(HOME).is_some_and(follows_home)
}

/// Digits that begin with a country code.
fn with_country<'a>(digits: &[u8]) -> Result<Sender<'a>, SenderFault> {
    match digits.strip_prefix(HOME) {
        Some(rest) if follows_home(rest) => code(rest),
        Some(_) => Err(SenderFault::Malformed),
        None if is_foreign(digits) => {
            Digits::new(digits).map(Sender::International).ok_or(SenderFault::Malformed)
        }
        None => Err(SenderFault::Malformed),
    }
}

/// Digits of the national plan.
fn code<'a>(digits: &[u8]) -> Result<Sender<'a>, SenderFault> {
    if !is_code(digits) {
        return Err(SenderFault::Malformed);
    }
    Digits::new(digits).map(Sender::Code).ok_or(SenderFault::Malformed)
}

/// Letters; but what only looks like a number is none of them.
fn alphanumeric(value: &[u8]) -> Result<Sender<'_>, SenderFault> {
    let control = |octet: &u8| *octet < b' ' || *octet == 0x7F;
    if value.len() > ALPHANUMERIC_OCTETS_MAX || value.iter().any(control) || looks_numeric(value) {
        return Err(SenderFault::Malformed);
    }
    Ok(Sender::Alphanumeric(value))
}

/// Whether a handset's user would read the octets as a number: digits, ASCII or full-width (UTF-8
/// and GBK), with nothing between them but separators; or as many digits and letters shaped like
/// digits as the shortest code has. `O2` is a name, `lO69` is none.
fn looks_numeric(value: &[u8]) -> bool {
    let (mut rest, mut digits, mut lookalikes) = (value, 0, 0);
    loop {
        rest = match rest {
            [] => break,
            [b'0'..=b'9', rest @ ..]
            | [0xEF, 0xBC, 0x90..=0x99, rest @ ..]
            | [0xA3, 0xB0..=0xB9, rest @ ..] => {
                digits += 1;
                rest
            }
            // O, o, l, I; Cyrillic and Greek O; the full-width ones, in UTF-8 and GBK.
            [b'O' | b'o' | b'l' | b'I' | b'|', rest @ ..]
            | [0xD0, 0x9E | 0xBE, rest @ ..]
            | [0xCE, 0x9F | 0xBF, rest @ ..]
            | [0xEF, 0xBC, 0xAF | 0xA9, rest @ ..]
            | [0xEF, 0xBD, 0x8F | 0x8C, rest @ ..]
            | [0xA3, 0xCF | 0xEF | 0xEC | 0xC9, rest @ ..] => {
                lookalikes += 1;
                rest
            }
            // Separators; the full-width plus.
            [
                b' ' | b'+' | b'-' | b'.' | b',' | b'(' | b')' | b'/' | b'_' | b'#' | b'*',
                rest @ ..,
            ]
            | [0xEF, 0xBC, 0x8B, rest @ ..]
            | [0xA3, 0xAB, rest @ ..] => rest,
            _ => return false,
        }
    }
    digits > 0 && (lookalikes == 0 || digits + lookalikes >= CODE_DIGITS_MIN)
}

/// Whether a code stands in a range that can be nobody's, for the loader's message.
pub(super) fn is_nobodys(digits: &[u8]) -> bool {
    is_reserved(digits) || is_mobile(digits) || is_machine(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Npi;

    fn judged(ton: u8, npi: u8, value: &[u8]) -> String {
        match sender(&Address { ton: Ton(ton), npi: Npi(npi), value }) {
            Ok(Sender::Code(digits)) => digits.unmasked().to_owned(),
            Ok(Sender::International(digits)) => format!("+{}", digits.unmasked()),
            Ok(Sender::Alphanumeric(octets)) => format!("'{}'", octets.escape_ascii()),
            Err(fault) => format!("{fault:?}"),
        }
    }

    #[test]
    fn every_ton_with_every_form() {
        // Columns: TON 0, 1, 2, 3, 4, 5, 6, 7.
        const M: &str = "Malformed";
        const T: &str = "Ton";
        const X: &str = "Missing";
        let port = "106900001234";
        let rows: &[(&str, [&str; 8])] = &[
            ("", [X, X, X, X, X, X, X, X]),
            ("   ", [X, X, X, X, X, X, X, X]),
            ("106900001234", [port, T, port, port, T, M, port, T]),
            ("86106900001234", [port, port, T, T, T, M, T, T]),
            ("+86106900001234", [port, port, T, T, T, M, T, T]),
            ("0086106900001234", [port, port, T, T, T, M, T, T]),
            ("0106900001234", [M, T, M, M, T, M, M, T]),
            ("+106900001234", [M, M, T, T, T, M, T, T]),
            ("95588", ["95588", T, "95588", "95588", T, M, "95588", T]),
            ("8695588", ["95588", "95588", T, T, T, M, T, T]),
            ("12", [M, M, M, M, T, M, M, T]),
            ("123", ["123", T, "123", "123", T, M, "123", T]),
            // A foreign number without its prefix is a code, which nobody has.
            (
                "447700900123",
                [
                    "447700900123",
                    "+447700900123",
                    "447700900123",
                    "447700900123",
                    T,
                    M,
                    "447700900123",
                    T,
                ],
            ),
            ("+447700900123", ["+447700900123", "+447700900123", T, T, T, M, T, T]),
            ("00447700900123", ["+447700900123", "+447700900123", T, T, T, M, T, T]),
            // People's numbers, however written.
            ("13800138000", [M, T, M, M, T, M, M, T]),
            ("8613800138000", [M, M, T, T, T, M, T, T]),
            ("+8613800138000", [M, M, T, T, T, M, T, T]),
            ("+13125551234", ["+13125551234", "+13125551234", T, T, T, M, T, T]),
            ("13125551234", [M, T, M, M, T, M, M, T]),
            // Reserved ranges and machines.
            ("1060123", [M, M, M, M, T, M, M, T]),
            ("1061123", [M, M, M, M, T, M, M, T]),
            ("1064123456789", [M, M, M, M, T, M, M, T]),
            ("1067123", [M, M, M, M, T, M, M, T]),
            ("1068123", [M, M, M, M, T, M, M, T]),
            ("861068123", [M, M, T, T, T, M, T, T]),
            ("1440123456789", [M, M, M, M, T, M, M, T]),
            // What is not ASCII digits is not cleaned.
            ("1069 0000", [M, M, M, M, T, M, M, T]),
            ("1069-0000", [M, M, M, M, T, M, M, T]),
            ("１０６９", [M, M, M, M, T, "Malformed", M, T]),
            ("1069+", [M, M, M, M, T, M, M, T]),
            ("++86106900001234", [M, M, M, M, T, M, M, T]),
            ("+", [M, M, M, M, T, "'+'", M, T]),
            ("SHOP", [M, M, M, M, T, "'SHOP'", M, T]),
        ];
        for (value, expected) in rows {
            for (ton, expected) in expected.iter().enumerate() {
                for npi in [0, 1] {
                    let got = judged(ton as u8, npi, value.as_bytes());
                    assert_eq!(&got, expected, "TON {ton} NPI {npi} {value:?}");
                }
            }
        }
    }

    #[test]
    fn npi_must_go_with_the_number() {
        for npi in 0..=255 {
            let national = if [0, 1, 8, 9].contains(&npi) { "95588" } else { "Npi" };
            assert_eq!(judged(0, npi, b"95588"), national, "NPI {npi}");
            assert_eq!(judged(2, npi, b"95588"), national, "NPI {npi}");
            let country = if npi < 2 { "95588" } else { "Npi" };
            for (ton, value) in [(1, "8695588"), (0, "+8695588"), (0, "8695588")] {
                assert_eq!(judged(ton, npi, value.as_bytes()), country, "NPI {npi} {value}");
            }
        }
        for ton in 7..=255 {
            assert_eq!(judged(ton, 1, b"95588"), "Ton", "TON {ton}");
        }
    }

    #[test]
    fn codes_have_3_to_20_digits() {
        let twenty = "10690000123456789012";
        for (value, expected) in [
            (twenty.to_owned(), twenty),
            (format!("{twenty}3"), "Malformed"),
            (format!("+86{twenty}"), twenty),
            (format!("+86{twenty}3"), "Malformed"),
            ("+8612".to_owned(), "Malformed"),
            ("+8657182345678".to_owned(), "Malformed"),
            // 86 is stripped only in front of a plan number.
            ("862222".to_owned(), "862222"),
        ] {
            assert_eq!(judged(0, 1, value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn letters_are_not_digits_in_disguise() {
        for (value, expected) in [
            (&b"10690000"[..], "Malformed"),
            (b"lO69OOOO", "Malformed"),
            (b"1069 0000", "Malformed"),
            ("１０６".as_bytes(), "Malformed"),
            (b"\xA3\xB1\xA3\xB0", "Malformed"),
            ("1О69".as_bytes(), "Malformed"),
            (b"A\x07B", "Malformed"),
            (b"12345678901A", "Malformed"),
            (b"12", "Malformed"),
            (b"OO7", "Malformed"),
            (b"O2", "'O2'"),
            (b"B2B", "'B2B'"),
            (b"OIL", "'OIL'"),
            (b"4PAWS", "'4PAWS'"),
            (b"ABCDEFGHIJK", "'ABCDEFGHIJK'"),
            (b"ABCDEFGHIJKL", "Malformed"),
        ] {
            assert_eq!(judged(5, 0, value), expected, "{}", value.escape_ascii());
        }
    }

    proptest::proptest! {
        #[test]
        fn no_octets_panic_and_codes_are_canonical(
            ton in 0_u8..9, npi in 0_u8..20, value in "[0-9+]{0,24}|.{0,8}"
        ) {
            let address = Address { ton: Ton(ton), npi: Npi(npi), value: value.as_bytes() };
            if let Ok(Sender::Code(code)) = sender(&address) {
                let again = Address { ton: Ton(2), npi: Npi(1), value: code.as_bytes() };
                proptest::prop_assert_eq!(sender(&again), Ok(Sender::Code(code)));
            }
        }
    }
}
