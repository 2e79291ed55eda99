//! The forms of a message_id: the one place that says when two of them name the same message.
//!
//! An SMSC may answer with an id in decimal and send the receipt with the same number in hexadecimal,
//! in the other case, or with leading zeros. Two ids are the same where they have a [`Token`] in
//! common. `255` and `597` have one (0x255 is 597), so an id alone decides nothing: a receipt belongs to
//! a message where the recipient is the same too. Joining, looking for an id and the index of a
//! segment all go by these tokens.

/// Octets of the longest token: its kind, and an id as it stands.
const TOKEN_OCTETS_MAX: usize = 1 + super::MESSAGE_ID_OCTETS_MAX;
/// Digits of a hexadecimal number that a u128 holds.
const HEX_DIGITS_MAX: usize = 32;
/// Last digits of a recipient that are compared: what stands before them is written or left out.
const TAIL_DIGITS: usize = 8;

/// A form of an id in which its spellings are one: `n` and sixteen octets of a number, or `t` and
/// the id in lower case where it is none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    octets: [u8; TOKEN_OCTETS_MAX],
    length: u8,
}

impl Token {
    /// The octets: the same in every version of the program, so that an index may keep them.
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or(&[])
    }

    fn of(kind: u8, value: &[u8]) -> Option<Token> {
        let mut octets = [0; TOKEN_OCTETS_MAX];
        let (first, rest) = octets.split_first_mut()?;
        *first = kind;
        rest.get_mut(..value.len())?.copy_from_slice(value);
        Some(Token { octets, length: u8::try_from(1 + value.len()).ok()? })
    }

    fn number(value: u128) -> Option<Token> {
        Token::of(b'n', &value.to_be_bytes())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({})", self.octets().escape_ascii())
    }
}

/// The tokens of an id: none of an empty one, two of one that may be decimal or hexadecimal, else
/// one. Octets beyond [`super::MESSAGE_ID_OCTETS_MAX`] do not count.
pub fn tokens(id: &[u8]) -> impl Iterator<Item = Token> {
    let id = id.get(..super::MESSAGE_ID_OCTETS_MAX).unwrap_or(id);
    let id = trimmed(id);
    let (decimal, hex) = numbers(id);
    let numbers = [decimal, hex.filter(|_| hex != decimal)].map(|one| one.and_then(Token::number));
    let text = (decimal.is_none() && hex.is_none() && !id.is_empty()).then(|| {
        let mut lower = [0; super::MESSAGE_ID_OCTETS_MAX];
        let lower = lower.get_mut(..id.len())?;
        lower.copy_from_slice(id);
        lower.make_ascii_lowercase();
        Token::of(b't', lower)
    });
    numbers.into_iter().flatten().chain(text.flatten())
}

/// Whether two ids may be the same, in any of their forms.
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    tokens(one).any(|token| tokens(other).any(|also| also == token))
}

/// The number that an id is in decimal, and the one in hexadecimal.
fn numbers(id: &[u8]) -> (Option<u128>, Option<u128>) {
    let prefixed = id.strip_prefix(b"0x").or_else(|| id.strip_prefix(b"0X"));
    let digits = prefixed.unwrap_or(id);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return (None, None);
    }
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let significant = digits.get(zeros..).unwrap_or(&[]);
    let is_decimal = prefixed.is_none() && digits.iter().all(u8::is_ascii_digit);
    let decimal = is_decimal.then(|| value(significant, 10)).flatten();
    let hex = (significant.len() <= HEX_DIGITS_MAX).then(|| value(significant, 16)).flatten();
    (decimal, hex)
}

fn value(digits: &[u8], radix: u32) -> Option<u128> {
    digits.iter().try_fold(0_u128, |sum, digit| {
        let digit = char::from(*digit).to_digit(radix)?;
        sum.checked_mul(u128::from(radix))?.checked_add(u128::from(digit))
    })
}

fn trimmed(id: &[u8]) -> &[u8] {
    let is_blank = |octet: &u8| octet.is_ascii_whitespace() || *octet == 0;
    let Some(first) = id.iter().position(|octet| !is_blank(octet)) else { return &[] };
    let last = id.iter().rposition(|octet| !is_blank(octet)).unwrap_or(first);
    id.get(first..=last).unwrap_or(&[])
}

/// A recipient's last digits: the same with a country's prefix and without.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tail(u32);

impl Tail {
    /// Of an address as it came; `None` without a digit.
    pub fn of(number: &[u8]) -> Option<Tail> {
        let digits = number.iter().rev().filter(|octet| octet.is_ascii_digit());
        let mut sum = None;
        let mut worth = 1_u32;
        for digit in digits.take(TAIL_DIGITS) {
            sum = Some(sum.unwrap_or(0) + u32::from(digit - b'0') * worth);
            worth = worth.saturating_mul(10);
        }
        sum.map(Tail)
    }
}

// Digits of a person's number.
impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tail")
    }
}

/// Whether two spellings may be of one recipient.
pub(super) fn is_same_recipient(one: &[u8], other: &[u8]) -> bool {
    Tail::of(one).is_some() && Tail::of(one) == Tail::of(other)
}

/// A number for each form of an id together with its recipient, the same in every version of the
/// program (FNV-1a, 64 bits): a message and its receipt have one in common.
pub fn keys(message_id: &[u8], recipient: Option<Tail>) -> impl Iterator<Item = u64> {
    tokens(message_id).filter_map(move |token| {
        let tail = recipient?.0.to_be_bytes();
        let octets = token.octets().iter().chain(&tail);
        Some(octets.fold(0xcbf2_9ce4_8422_2325, |hash: u64, octet| {
            (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
        }))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_of_one_id_are_one() {
        let cases: &[(&str, &str, bool)] = &[
            ("255", "255", true),
            ("255", "FF", true),
            ("255", "ff", true),
            ("255", "000000FF", true),
            ("0000000255", "255", true),
            ("255", "0xff", true),
            ("255", " 255\0", true),
            ("00ff", "FF", true),
            ("255", "256", false),
            ("ff", "fe", false),
            // What only another reading would make one: the recipient decides.
            ("255", "597", true),
            ("0", "000", true),
            ("abc-1", "ABC-1", true),
            ("abc-1", "abc-01", false),
            ("0xyz", "xyz", false),
            ("id", "", false),
            ("", "", false),
            ("  ", "", false),
            ("0x", "0", false),
            ("018f6a2e-7c3d-7000-8000-000000000001", "018F6A2E-7C3D-7000-8000-000000000001", true),
            ("ffffffffffffffffffffffffffffffff", "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", true),
            ("1ffffffffffffffffffffffffffffffff", "1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", true),
            ("340282366920938463463374607431768211455", "ffffffffffffffffffffffffffffffff", true),
        ];
        for (one, other, expected) in cases {
            assert_eq!(is_same(one.as_bytes(), other.as_bytes()), *expected, "{one:?} {other:?}");
            assert_eq!(is_same(other.as_bytes(), one.as_bytes()), *expected, "{other:?} {one:?}");
        }
    }

    #[test]
    fn recipients_are_one_in_every_spelling() {
        let cases: &[(&str, &str, bool)] = &[
            ("8613800138000", "13800138000", true),
            ("+8613800138000", "008613800138000", true),
            ("13800138000", "13800138001", false),
            ("8613800138000", "", false),
            ("", "", false),
            ("shop", "shop", false),
            ("10086", "10086", true),
            ("10086", "8610086", false),
        ];
        for (one, other, expected) in cases {
            let same = is_same_recipient(one.as_bytes(), other.as_bytes());
            assert_eq!(same, *expected, "{one:?} {other:?}");
        }
    }

    #[test]
    fn tokens_stay_what_they_are() {
        let shown = |id: &str| {
            tokens(id.as_bytes())
                .map(|one| one.octets().escape_ascii().to_string())
                .collect::<Vec<_>>()
        };
        let zeros = "\\x00".repeat(14);
        assert_eq!(shown("597"), [format!("n{zeros}\\x02U"), format!("n{zeros}\\x05\\x97")]);
        assert_eq!(shown("G-1"), ["tg-1"]);
        assert_eq!(
            keys(b"G-1", Tail::of(b"8613800138000")).collect::<Vec<_>>(),
            [0x30b5_9e3f_6827_1bd3]
        );
        assert_eq!(keys(b"G-1", Tail::of(b"shop")).count(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn however_a_number_is_written_it_is_found(value: u64, width in 0_usize..24, other: u64) {
            let forms = [
                format!("{value}"), format!("{value:0width$}"), format!("{value:x}"),
                format!("{value:0width$X}"), format!("{value:#x}"),
            ];
            let decimal = value.to_string();
            for form in &forms {
                // A form of decimal digits alone is read as decimal first: it is the same only by its
                // other reading, which the decimal form shares where it is that number.
                prop_assert!(is_same(decimal.as_bytes(), form.as_bytes()), "{form}");
            }
            let hex = u64::from_str_radix(&decimal, 16).ok();
            if other != value && hex != Some(other) && u64::from_str_radix(&other.to_string(), 16) != Ok(value)
                && hex != u64::from_str_radix(&other.to_string(), 16).ok() {
                prop_assert!(!is_same(decimal.as_bytes(), other.to_string().as_bytes()));
            }
        }

        #[test]
        fn any_octets_have_tokens_or_are_blank(id in prop::collection::vec(any::<u8>(), 0..80)) {
            let count = tokens(&id).count();
            let blank = id.iter().take(65).all(|octet| octet.is_ascii_whitespace() || *octet == 0);
            prop_assert_eq!(count == 0, blank);
            prop_assert!(count <= 2);
            prop_assert_eq!(is_same(&id, &id), !blank);
        }
    }
}
