//! The recipient's address: one key for a person however it is written, or the fault that forbids
//! it.

use super::numbering::{HOME, Written, is_fixed, is_foreign, is_machine, is_mobile, written};
use super::{Address, Msisdn, NUMBER_DIGITS_MAX, Ton};

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The one canonical number of all its spellings.
    pub msisdn: Msisdn,
    /// What kind of number it is.
    pub class: RecipientClass,
}

/// The kinds of numbers that can receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipientClass {
    /// A Chinese mobile number: 11 digits, 1[3-9].
    Mobile,
    /// A Chinese machine's number: 13 digits, 1064 or 14.
    MachineToMachine,
    /// A Chinese fixed line.
    Fixed,
    /// A foreign number.
    International,
}

/// Why an address is no recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientFault {
    /// Nothing there, or blanks.
    #[error("destination_addr is empty; send the recipient's number")]
    Missing,
    /// No subscriber's number: foreign octets, a short code, no form of the plan.
    #[error("destination_addr is no subscriber's number; send it as +8613..., or as 13...")]
    Malformed,
    /// dest_addr_ton cannot carry a subscriber's number, or contradicts the digits.
    #[error("dest_addr_ton contradicts destination_addr; use 0, or 1 with the country code")]
    Ton,
    /// dest_addr_npi is no plan of telephone numbers, or contradicts the digits.
    #[error("dest_addr_npi is no plan for destination_addr; use 0 or 1")]
    Npi,
    /// A list of numbers that only the SMSC knows. Nobody reads one as an address: it is said by
    /// whoever found it.
    #[error("a distribution list, whose numbers only the SMSC knows; name each recipient")]
    List,
    /// Everybody in an area: a broadcast. Nobody reads it as an address either.
    #[error("everybody in an area, which only a code for the public interest may address")]
    Everybody,
}

/// Prefixes that were dialled before a number to choose a carrier: the person called is the same.
const CARRIER_PREFIXES: [&[u8]; 5] = [b"17951", b"12593", b"17911", b"17901", b"10193"];

/// Brings a recipient into its canonical form.
///
/// | TON | national | `86`... | `+`/`00`, 86 or foreign | foreign, bare |
/// |---|---|---|---|---|
/// | 0 | taken | taken | taken | `Malformed` |
/// | 1 | `Ton` | taken | taken | taken |
/// | 2 | taken | `Ton` | `Ton` | `Malformed` |
/// | others | `Ton` | `Ton` | `Ton` | `Ton` |
///
/// National is: 11-digit mobile, also behind `0`; 13-digit machine; fixed line with its `0`; each
/// of them, also with `86` or `0086`, behind a carrier prefix such as 17951. What is in no row is
/// refused, never passed on as it is. NPI 0 and 1 go with all of these, 8 and 9 only where no
/// country code is said; others are `Npi`.
///
/// # Errors
///
/// The first of: missing, TON or NPI unknown, malformed or contradictory.
pub fn recipient(address: &Address<'_>) -> Result<Recipient, RecipientFault> {
    if address.is_missing() {
        return Err(RecipientFault::Missing);
    }
    if ![Ton::UNKNOWN, Ton::INTERNATIONAL, Ton::NATIONAL].contains(&address.ton) {
        return Err(RecipientFault::Ton);
    }
    if !address.npi.carries_numbers() {
        return Err(RecipientFault::Npi);
    }
    let (recipient, with_country) = numeric(address)?;
    if with_country && !address.npi.carries_country_codes() {
        return Err(RecipientFault::Npi);
    }
    Ok(recipient)
}

/// The recipient, and whether a country code was said.
fn numeric(address: &Address<'_>) -> Result<(Recipient, bool), RecipientFault> {
    let found = match (address.ton, written(address.value).ok_or(RecipientFault::Malformed)?) {
        (Ton::NATIONAL, Written::Prefixed(_)) => return Err(RecipientFault::Ton),
        (_, Written::Prefixed(digits)) => (with_country(digits), true),
        (Ton::INTERNATIONAL, Written::Bare(digits)) => {
            // A mobile number without 86 could also be read as a North American one.
            if national(digits).is_some() {
                return Err(RecipientFault::Ton);
            }
            (with_country(digits), true)
        }
        (ton, Written::Bare(digits)) => match national(digits) {
            Some(recipient) => (Some(recipient), false),
            None => match digits.strip_prefix(HOME).and_then(home) {
                Some(_) if ton == Ton::NATIONAL => return Err(RecipientFault::Ton),
                recipient => (recipient, true),
            },
        },
    };
    match found {
        (Some(recipient), with_country) => Ok((recipient, with_country)),
        (None, _) => Err(RecipientFault::Malformed),
    }
}

/// Digits that begin with a country code.
fn with_country(digits: &[u8]) -> Option<Recipient> {
    match digits.strip_prefix(HOME) {
        Some(rest) => home(rest),
        None if is_foreign(digits) => Some(Recipient {
            msisdn: Msisdn::from_digits(digits)?,
            class: RecipientClass::International,
        }),
        None => None,
    }
}

/// Digits as dialled within the country.
fn national(digits: &[u8]) -> Option<Recipient> {
    if let Some(recipient) = dialled(digits) {
        return Some(recipient);
    }
    let behind = CARRIER_PREFIXES.iter().find_map(|prefix| digits.strip_prefix(*prefix))?;
    let behind_country = behind.strip_prefix(b"00").unwrap_or(behind).strip_prefix(HOME);
    dialled(behind).or_else(|| home(behind_country?))
}

/// A mobile or machine number, or a mobile number or fixed line behind the trunk prefix 0.
fn dialled(digits: &[u8]) -> Option<Recipient> {
    match digits.strip_prefix(b"0") {
        None if is_mobile(digits) || is_machine(digits) => home(digits),
        Some(rest) if is_mobile(rest) || is_fixed(rest) => home(rest),
        _ => None,
    }
}

/// Digits as they stand behind 86.
fn home(digits: &[u8]) -> Option<Recipient> {
    let class = if is_mobile(digits) {
        RecipientClass::Mobile
    } else if is_machine(digits) {
        RecipientClass::MachineToMachine
    } else if is_fixed(digits) {
        RecipientClass::Fixed
    } else {
        return None;
    };
    let mut whole = [0; NUMBER_DIGITS_MAX];
    let len = HOME.len() + digits.len();
    whole.get_mut(..HOME.len())?.copy_from_slice(HOME);
    whole.get_mut(HOME.len()..len)?.copy_from_slice(digits);
    Some(Recipient { msisdn: Msisdn::from_digits(whole.get(..len)?)?, class })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Npi;

    fn judged(ton: u8, npi: u8, value: &[u8]) -> String {
        match recipient(&Address { ton: Ton(ton), npi: Npi(npi), value }) {
            Ok(Recipient { msisdn, class }) => {
                let letter = match class {
                    RecipientClass::Mobile => "m",
                    RecipientClass::MachineToMachine => "t",
                    RecipientClass::Fixed => "f",
                    RecipientClass::International => "i",
                };
                format!("{letter}{}", msisdn.unmasked())
            }
            Err(fault) => format!("{fault:?}"),
        }
    }

    #[test]
    fn every_ton_with_every_form() {
        // Columns: TON 0, 1, 2; all others are `Ton`, or `Missing`.
        const M: &str = "Malformed";
        const T: &str = "Ton";
        const X: &str = "Missing";
        let (p, t, f, b) =
            ("m8613800138000", "t861064123456789", "f8657182345678", "f861082345678");
        let rows: &[(&str, [&str; 3])] = &[
            ("", [X, X, X]),
            (" ", [X, X, X]),
            ("13800138000", [p, T, p]),
            ("013800138000", [p, T, p]),
            ("8613800138000", [p, p, T]),
            ("+8613800138000", [p, p, T]),
            ("008613800138000", [p, p, T]),
            ("1795113800138000", [p, T, p]),
            ("17951013800138000", [p, T, p]),
            ("179518613800138000", [p, T, p]),
            ("17951008613800138000", [p, T, p]),
            ("1259313800138000", [p, T, p]),
            ("1791113800138000", [p, T, p]),
            ("1790113800138000", [p, T, p]),
            ("1019313800138000", [p, T, p]),
            // A mobile number that begins like a carrier prefix is a mobile number.
            ("17951138001", ["m8617951138001", T, "m8617951138001"]),
            ("+17951138001", [M, M, T]),
            ("1064123456789", [t, T, t]),
            ("861064123456789", [t, t, T]),
            ("1440123456789", ["t861440123456789", T, "t861440123456789"]),
            ("057182345678", [f, T, f]),
            ("8657182345678", [f, f, T]),
            ("01082345678", [b, T, b]),
            ("+861082345678", [b, b, T]),
            ("02182345678", ["f862182345678", T, "f862182345678"]),
            ("04717654321", ["f864717654321", T, "f864717654321"]),
            ("0108234567", [M, M, M]),
            ("01012345678", [M, M, M]),
            ("57182345678", [M, "i57182345678", M]),
            ("447700900123", [M, "i447700900123", M]),
            ("+447700900123", ["i447700900123", "i447700900123", T]),
            ("00447700900123", ["i447700900123", "i447700900123", T]),
            // Either a Chinese mobile number or one in Chicago, unless the + settles it.
            ("13125551234", ["m8613125551234", T, "m8613125551234"]),
            ("+13125551234", ["i13125551234", "i13125551234", T]),
            ("+13800138000", [M, M, T]),
            ("+85291234567", ["i85291234567", "i85291234567", T]),
            ("+123456", [M, M, T]),
            ("+4412345", ["i4412345", "i4412345", T]),
            ("+441234567890123", ["i441234567890123", "i441234567890123", T]),
            ("+4412345678901234", [M, M, T]),
            ("12321", [M, M, M]),
            ("95588", [M, M, M]),
            ("106900001234", [M, M, M]),
            ("+86106900001234", [M, M, T]),
            ("1380013800", [M, M, M]),
            ("138001380000", [M, M, M]),
            ("8613800138000 ", [M, M, M]),
            ("138-0013-8000", [M, M, M]),
            ("１３８００１３８０００", [M, M, M]),
            ("17951+8613800138000", [M, M, M]),
            ("1795112593138001380", [M, M, M]),
        ];
        for (value, expected) in rows {
            for ton in 0..=255 {
                let others = if expected[0] == X { X } else { T };
                let expected = expected.get(usize::from(ton)).unwrap_or(&others);
                for npi in [0, 1] {
                    let got = judged(ton, npi, value.as_bytes());
                    assert_eq!(&got, expected, "TON {ton} NPI {npi} {value:?}");
                }
            }
        }
    }

    #[test]
    fn npi_must_go_with_the_number() {
        for npi in 0..=255 {
            let national = if [0, 1, 8, 9].contains(&npi) { "m8613800138000" } else { "Npi" };
            assert_eq!(judged(0, npi, b"13800138000"), national, "NPI {npi}");
            let country = if npi < 2 { "m8613800138000" } else { "Npi" };
            for (ton, value) in [(1, "8613800138000"), (0, "+8613800138000")] {
                assert_eq!(judged(ton, npi, value.as_bytes()), country, "NPI {npi} {value}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn all_spellings_of_one_person_are_one_person(
            number in "1[3-9][0-9]{9}", carrier in 0_usize..6
        ) {
            let carrier = ["", "17951", "12593", "17911", "17901", "10193"][carrier];
            let one = judged(0, 1, number.as_bytes());
            for prefix in ["", "0", "86", "0086"] {
                let value = format!("{carrier}{prefix}{number}");
                proptest::prop_assert_eq!(&one, &judged(0, 1, value.as_bytes()));
            }
            proptest::prop_assert_eq!(&one, &judged(1, 1, format!("86{number}").as_bytes()));
            proptest::prop_assert_eq!(&one, &judged(1, 1, format!("+86{number}").as_bytes()));
            proptest::prop_assert_eq!(&one, &judged(2, 8, number.as_bytes()));
        }

        #[test]
        fn no_octets_panic(ton in 0_u8..8, npi in 0_u8..12, value in "[0-9+]{0,24}|.{0,8}") {
            judged(ton, npi, value.as_bytes());
        }
    }
}
