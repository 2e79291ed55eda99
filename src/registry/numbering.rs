//! TON, NPI, an address as it stood on the wire, and the grammar of the Chinese numbering plan
//! (电信网编号计划, table 3).

use std::fmt;

/// Type of number (SMPP 3.4 5.2.5). Codes nobody named are values too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ton(pub u8);

impl Ton {
    /// Unknown.
    pub const UNKNOWN: Self = Self(0);
    /// International: E.164 with its country code.
    pub const INTERNATIONAL: Self = Self(1);
    /// National: without a country code.
    pub const NATIONAL: Self = Self(2);
    /// Network specific.
    pub const NETWORK_SPECIFIC: Self = Self(3);
    /// Subscriber number.
    pub const SUBSCRIBER_NUMBER: Self = Self(4);
    /// Alphanumeric.
    pub const ALPHANUMERIC: Self = Self(5);
    /// Abbreviated.
    pub const ABBREVIATED: Self = Self(6);

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::UNKNOWN => "Unknown",
            Self::INTERNATIONAL => "International",
            Self::NATIONAL => "National",
            Self::NETWORK_SPECIFIC => "Network Specific",
            Self::SUBSCRIBER_NUMBER => "Subscriber Number",
            Self::ALPHANUMERIC => "Alphanumeric",
            Self::ABBREVIATED => "Abbreviated",
            _ => return None,
        })
    }
}

/// Numbering plan indicator (SMPP 3.4 5.2.6). Codes nobody named are values too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Npi(pub u8);

impl Npi {
    /// Unknown.
    pub const UNKNOWN: Self = Self(0);
    /// ISDN (E.163/E.164).
    pub const ISDN: Self = Self(1);
    /// Data (X.121).
    pub const DATA: Self = Self(3);
    /// Telex (F.69).
    pub const TELEX: Self = Self(4);
    /// Land Mobile (E.212).
    pub const LAND_MOBILE: Self = Self(6);
    /// National.
    pub const NATIONAL: Self = Self(8);
    /// Private.
    pub const PRIVATE: Self = Self(9);
    /// ERMES.
    pub const ERMES: Self = Self(10);
    /// Internet (IP).
    pub const INTERNET: Self = Self(14);
    /// WAP Client Id.
    pub const WAP_CLIENT_ID: Self = Self(18);

    /// Whether telephone numbers and codes are written in this plan.
    pub(super) fn carries_numbers(self) -> bool {
        matches!(self, Self::UNKNOWN | Self::ISDN | Self::NATIONAL | Self::PRIVATE)
    }

    /// Whether a number with a country code can be written in this plan: a national or private
    /// plan has none, so that combination contradicts itself.
    pub(super) fn carries_country_codes(self) -> bool {
        matches!(self, Self::UNKNOWN | Self::ISDN)
    }

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::UNKNOWN => "Unknown",
            Self::ISDN => "ISDN",
            Self::DATA => "Data",
            Self::TELEX => "Telex",
            Self::LAND_MOBILE => "Land Mobile",
            Self::NATIONAL => "National",
            Self::PRIVATE => "Private",
            Self::ERMES => "ERMES",
            Self::INTERNET => "Internet",
            Self::WAP_CLIENT_ID => "WAP Client Id",
            _ => return None,
        })
    }
}

impl fmt::Debug for Ton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#04x}", self.0),
        }
    }
}

impl fmt::Debug for Npi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#04x}", self.0),
        }
    }
}

/// An address as it stood on the wire: nothing cut, nothing converted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    /// addr_ton.
    pub ton: Ton,
    /// addr_npi.
    pub npi: Npi,
    /// The octets of the address, without their closing NUL.
    pub value: &'a [u8],
}

impl Address<'_> {
    /// Whether no address stands there: no octet, or blanks only.
    pub(super) fn is_missing(&self) -> bool {
        self.value.iter().all(|octet| matches!(octet, b' ' | b'\t'))
    }
}

impl fmt::Debug for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({:?}, {:?}, {} octets)", self.ton, self.npi, self.value.len())
    }
}

/// Which plan a code's digits are of; the same digits may stand in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plan {
    /// The Chinese plan: a code without a country code.
    National,
    /// E.164: a foreign number with its country code. `registry.toml` writes it with `+`.
    International,
}

/// The country code of the home network.
pub(super) const HOME: &[u8] = b"86";

/// The shortest code, in digits.
pub(super) const CODE_DIGITS_MIN: usize = 3;

/// The longest code, in digits.
const CODE_DIGITS_MAX: usize = super::NUMBER_DIGITS_MAX;

/// Foreign E.164 numbers shorter than this, in digits, are not taken for numbers.
const FOREIGN_DIGITS_MIN: usize = 7;

/// How a number was written: with the international prefix spelled out, or without.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Written<'a> {
    /// After `+` or `00`: what follows begins with a country code.
    Prefixed(&'a [u8]),
    /// Digits alone.
    Bare(&'a [u8]),
}

/// Splits the international prefix off. `None` when any octet is no ASCII digit (a `+` may lead):
/// full-width digits, blanks and separators are refused, never cleaned away.
pub(super) fn written(value: &[u8]) -> Option<Written<'_>> {
    let (prefixed, digits) = match value {
        [b'+', rest @ ..] => (true, rest),
        [b'0', b'0', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(if prefixed { Written::Prefixed(digits) } else { Written::Bare(digits) })
}

/// A person's mobile number, national form: 1[3-9] and nine digits.
pub(super) fn is_mobile(digits: &[u8]) -> bool {
    matches!(digits, [b'1', b'3'..=b'9', rest @ ..] if rest.len() == 9)
}

/// A machine's number (M2M SIM), national form: 13 digits beginning with 1064 or 14.
pub(super) fn is_machine(digits: &[u8]) -> bool {
    digits.len() == 13 && (digits.starts_with(b"1064") || digits.starts_with(b"14"))
}

/// A fixed line, national significant form: area code without its 0, and 7 or 8 digits.
pub(super) fn is_fixed(digits: &[u8]) -> bool {
    let (local, long) = match digits {
        [b'1', b'0', local @ ..] | [b'2', b'0'..=b'9', local @ ..] => (local, true),
        [b'3'..=b'9', _, _, local @ ..] => (local, false),
        _ => return false,
    };
    // The two-digit areas are the big cities, whose local numbers all have 8 digits.
    let length = local.len() == 8 || (!long && local.len() == 7);
    length && matches!(local.first(), Some(b'2'..=b'8'))
}

/// A range that the plan holds in reserve (1060, 1061, 1067, 1068) or gives to machines (1064).
pub(super) fn is_reserved(digits: &[u8]) -> bool {
    matches!(digits, [b'1', b'0', b'6', b'0' | b'1' | b'4' | b'7' | b'8', ..])
}

/// A code that may stand as a sender, national form. Whose it is, the registry knows.
pub(super) fn is_code(digits: &[u8]) -> bool {
    (CODE_DIGITS_MIN..=CODE_DIGITS_MAX).contains(&digits.len())
        && digits.first() != Some(&b'0')
        && !is_reserved(digits)
        && !is_mobile(digits)
        && !is_machine(digits)
}

/// Whether digits behind 86 are in the part of the plan where codes and mobile numbers live (1 and
/// 9). Only then does a leading 86 say "China" when nothing else does.
pub(super) fn follows_home(digits: &[u8]) -> bool {
    digits.len() >= CODE_DIGITS_MIN && matches!(digits.first(), Some(b'1' | b'9'))
}

/// A foreign number: E.164 with a country code that is not ours. Numbers under country code 1 must
/// be of the North American form, or every Chinese mobile number and code would pass for one.
pub(super) fn is_foreign(digits: &[u8]) -> bool {
    let length = (FOREIGN_DIGITS_MIN..=super::MSISDN_DIGITS_MAX).contains(&digits.len());
    length
        && match digits {
            [b'0', ..] => false,
            [b'1', area, _, _, exchange, ..] => {
                digits.len() == 11 && *area >= b'2' && *exchange >= b'2'
            }
            _ => !digits.starts_with(HOME),
        }
}
