//! Numbers as values: inline, comparable, and masked whenever they are printed.

use std::fmt;

/// The longest number or code, in digits: an SMPP address field of 21 octets less its NUL
/// (SMPP 3.4 5.2.8), which is also the longest code of the Chinese plan.
pub const NUMBER_DIGITS_MAX: usize = 20;

/// The longest subscriber number, in digits (E.164 clause 6).
pub const MSISDN_DIGITS_MAX: usize = 15;

/// 1 to [`NUMBER_DIGITS_MAX`] ASCII digits, held inline. Ordered as text.
///
/// `Debug` and `Display` mask it; [`Digits::unmasked`] is the one way to its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digits {
    // Unused octets are zero, so that the derived order is that of the text.
    octets: [u8; NUMBER_DIGITS_MAX],
    len: u8,
}

impl Digits {
    /// Takes 1 to [`NUMBER_DIGITS_MAX`] ASCII digits; `None` for anything else.
    pub fn new(text: &[u8]) -> Option<Self> {
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut octets = [0; NUMBER_DIGITS_MAX];
        octets.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { octets, len: u8::try_from(text.len()).ok()? })
    }

    /// How many digits: 1 to [`NUMBER_DIGITS_MAX`].
    #[allow(clippy::len_without_is_empty)] // It never is.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// The ASCII digits. Not for logs.
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.len()).unwrap_or_default()
    }

    /// The whole number as text: only where the user asked for it.
    pub fn unmasked(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// A number shorter than this keeps its last digits only.
        const HEAD_FROM_DIGITS: usize = 8;
        let (text, len) = (self.unmasked(), self.len());
        let head = if len < HEAD_FROM_DIGITS { 0 } else { 3 };
        let tail = len.saturating_sub(2);
        f.write_str(text.get(..head).unwrap_or_default())?;
        for _ in head..tail {
            f.write_str("*")?;
        }
        f.write_str(text.get(tail..).unwrap_or_default())
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A subscriber's number in its one canonical form: E.164 digits without `+`, as a number.
///
/// This is the key of a person in the consent ledger. `Debug` and `Display` mask it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Msisdn(u64);

impl Msisdn {
    /// Takes the E.164 digits as a number; `None` for zero and beyond [`MSISDN_DIGITS_MAX`] digits.
    pub fn new(number: u64) -> Option<Self> {
        const END: u64 = 10_u64.pow(MSISDN_DIGITS_MAX as u32);
        (1..END).contains(&number).then_some(Self(number))
    }

    /// Takes 1 to [`MSISDN_DIGITS_MAX`] ASCII digits, of which the first is not zero.
    pub fn from_digits(digits: &[u8]) -> Option<Self> {
        if digits.len() > MSISDN_DIGITS_MAX || digits.first() == Some(&b'0') {
            return None;
        }
        let digits = Digits::new(digits)?;
        Self::new(digits.as_bytes().iter().fold(0, |sum, d| sum * 10 + u64::from(d - b'0')))
    }

    /// The E.164 digits as a number: for keys and records. Not for logs.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The E.164 digits (masked when printed, too).
    pub fn digits(self) -> Digits {
        let mut octets = [0; NUMBER_DIGITS_MAX];
        let len = self.0.checked_ilog10().unwrap_or(0) + 1;
        let mut rest = self.0;
        for octet in octets.iter_mut().take(len as usize).rev() {
            *octet = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        Digits { octets, len: len as u8 }
    }

    /// The whole number as text, without `+`: only where the user asked for it.
    pub fn unmasked(self) -> String {
        self.digits().unmasked().to_owned()
    }
}

impl fmt::Display for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.digits(), f)
    }
}

impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_masks() {
        for (digits, masked) in [
            ("1", "1"),
            ("12", "12"),
            ("12321", "***21"),
            ("9558801", "*****01"),
            ("95588012", "955***12"),
            ("8613800138000", "861********00"),
            ("10690000123412345678", "106***************78"),
        ] {
            let value = Digits::new(digits.as_bytes()).unwrap();
            assert_eq!(value.to_string(), masked);
            assert_eq!(format!("{value:?}"), masked);
            assert_eq!(value.unmasked(), digits);
        }
        let person = Msisdn::new(8_613_800_138_000).unwrap();
        assert_eq!(format!("{person} {person:?}"), "861********00 861********00");
        assert_eq!(person.unmasked(), "8613800138000");
    }

    #[test]
    fn limits_hold_at_the_edge_and_one_past_it() {
        assert!(Digits::new(b"").is_none());
        assert!(Digits::new(&[b'1'; 20]).is_some());
        assert!(Digits::new(&[b'1'; 21]).is_none());
        assert!(Digits::new(b"12 3").is_none());
        assert!(Msisdn::from_digits(&[b'9'; 15]).is_some());
        assert!(Msisdn::from_digits(&[b'9'; 16]).is_none());
        assert!(Msisdn::from_digits(b"0138").is_none());
        assert!(Msisdn::new(0).is_none());
        assert!(Msisdn::new(999_999_999_999_999).is_some());
        assert!(Msisdn::new(1_000_000_000_000_000).is_none());
    }

    #[test]
    fn digits_are_ordered_as_text() {
        let mut texts =
            ["2", "10", "106", "1060", "12", "1"].map(|t| Digits::new(t.as_bytes()).unwrap());
        texts.sort();
        assert_eq!(texts.map(|d| d.unmasked().to_owned()), ["1", "10", "106", "1060", "12", "2"]);
    }

    proptest::proptest! {
        #[test]
        fn a_number_is_its_digits(number in 1_u64..1_000_000_000_000_000) {
            let msisdn = Msisdn::new(number).unwrap();
            proptest::prop_assert_eq!(msisdn.unmasked(), number.to_string());
            proptest::prop_assert_eq!(Msisdn::from_digits(msisdn.digits().as_bytes()), Some(msisdn));
        }
    }
}
