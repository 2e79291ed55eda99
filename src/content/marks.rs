//! Features that are no words: links, numbers, signature, length, and what was undone to read the text.

use super::{Distance, Normal, Place, Signed, signatures};

/// A feature that is no word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A web address.
    Link,
    /// A number of 7 to 12 digits, as telephones have.
    Phone,
    /// A number of 4 to 6 digits, as codes have.
    Code,
    /// A number of 13 and more digits, as parcels and orders have.
    Serial,
    /// A time of day or a date in digits.
    Clock,
    /// Two or more exclamation marks.
    Exclaimed,
    /// 【signature】 at the start.
    SignedAtStart,
    /// 【signature】 at the end.
    SignedAtEnd,
    /// More than one signature, or one in the middle.
    SignedElsewhere,
    /// No signature.
    Unsigned,
    /// At most 15 characters.
    Short,
    /// 60 characters and more.
    Long,
    /// No number at all.
    Numberless,
    /// No ideograph.
    Latin,
    /// Invisible characters.
    Invisible,
    /// Two or more symbols between ideographs.
    Gaps,
    /// Three or more ideographs alone between spaces.
    Spaced,
    /// Traditional and simplified forms in one text.
    Mixed,
    /// Letters or digits of other alphabets or styles.
    Styled,
    /// Split characters.
    Split,
    /// Private-use characters.
    Private,
    /// Numbers in Chinese digits.
    Numerals,
    /// Four or more undone tricks of any kind.
    Distance,
}

impl Mark {
    /// Every mark.
    pub(super) const ALL: [Mark; 23] = [
        Mark::Link,
        Mark::Phone,
        Mark::Code,
        Mark::Serial,
        Mark::Clock,
        Mark::Exclaimed,
        Mark::SignedAtStart,
        Mark::SignedAtEnd,
        Mark::SignedElsewhere,
        Mark::Unsigned,
        Mark::Short,
        Mark::Long,
        Mark::Numberless,
        Mark::Latin,
        Mark::Invisible,
        Mark::Gaps,
        Mark::Spaced,
        Mark::Mixed,
        Mark::Styled,
        Mark::Split,
        Mark::Private,
        Mark::Numerals,
        Mark::Distance,
    ];

    /// Its stable name in the weights file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Mark::Link => "link",
            Mark::Phone => "phone",
            Mark::Code => "code",
            Mark::Serial => "serial",
            Mark::Clock => "clock",
            Mark::Exclaimed => "exclaimed",
            Mark::SignedAtStart => "signed-at-start",
            Mark::SignedAtEnd => "signed-at-end",
            Mark::SignedElsewhere => "signed-elsewhere",
            Mark::Unsigned => "unsigned",
            Mark::Short => "short",
            Mark::Long => "long",
            Mark::Numberless => "numberless",
            Mark::Latin => "latin",
            Mark::Invisible => "evasion-invisible",
            Mark::Gaps => "evasion-gaps",
            Mark::Spaced => "evasion-spaced",
            Mark::Mixed => "evasion-mixed",
            Mark::Styled => "evasion-styled",
            Mark::Split => "evasion-split",
            Mark::Private => "evasion-private",
            Mark::Numerals => "evasion-numerals",
            Mark::Distance => "evasion-distance",
        }
    }

    /// Its place in [`Mark::ALL`], which is also its feature's number.
    pub(super) fn index(self) -> usize {
        self as usize
    }
}

const SHORT_CHARS_MAX: usize = 15;
const LONG_CHARS_MIN: usize = 60;
const GAPS_MIN: u32 = 2;
const SPACED_MIN: u32 = 3;
const DISTANCE_MIN: u32 = 4;

/// Tells every mark of a text, with octets of its normal form (numbers closed).
pub(super) fn each(raw: &str, normal: &Normal, mut found: impl FnMut(Mark, usize, usize)) {
    let end = normal.text().len();
    scan(normal, &mut found);
    let place = match signatures(raw).signed() {
        Signed::One(one) if one.place == Place::Start => Mark::SignedAtStart,
        Signed::One(_) => Mark::SignedAtEnd,
        Signed::None => Mark::Unsigned,
        Signed::Several | Signed::Elsewhere(_) => Mark::SignedElsewhere,
    };
    found(place, 0, 0);
    for mark in undone(normal.distance()).into_iter().flatten() {
        found(mark, 0, end);
    }
}

/// One pass over the octets: links, numbers, exclamations, length. Only ASCII is looked at.
fn scan(normal: &Normal, found: &mut impl FnMut(Mark, usize, usize)) {
    let (mut exclaimed, mut has_number, mut has_han) = (0, false, false);
    let (mut word, mut before) = (0, b' ');
    let octets = normal.text().as_bytes();
    for (at, octet) in octets.iter().copied().enumerate() {
        match octet {
            0x80.. => has_han |= octet >= FIRST_OF_HAN,
            b'0' => {
                has_number = true;
                if let Some(mark) = number(normal, octets, at, before) {
                    found(mark, at, at + 1);
                }
            }
            b'!' => {
                exclaimed += 1;
                if exclaimed == 2 {
                    found(Mark::Exclaimed, at, at + 1);
                }
            }
            b'.' if before.is_ascii_alphanumeric() => {
                if let Some(letters) = domain(octets, at) {
                    found(Mark::Link, word, at + 1 + letters);
                }
            }
            _ => {}
        }
        if !octet.is_ascii_graphic() {
            word = at + 1;
        }
        before = octet;
    }
    let (count, end) = (normal.characters(), octets.len());
    let length = [
        (count <= SHORT_CHARS_MAX, Mark::Short),
        (count >= LONG_CHARS_MIN, Mark::Long),
        (!has_number, Mark::Numberless),
        (!has_han, Mark::Latin),
    ];
    for (_, mark) in length.into_iter().filter(|(is_so, _)| *is_so) {
        found(mark, 0, end);
    }
}

/// The first octet of ideographs in UTF-8, from U+3000 on.
const FIRST_OF_HAN: u8 = 0xe3;

/// What sort of number stands at octet `at`.
fn number(normal: &Normal, octets: &[u8], at: usize, before: u8) -> Option<Mark> {
    if before == b':' || octets.get(at + 1) == Some(&b':') {
        return Some(Mark::Clock);
    }
    match normal.digits(at) {
        4..=6 => Some(Mark::Code),
        7..=12 => Some(Mark::Phone),
        13.. => Some(Mark::Serial),
        0..=3 => None,
    }
}

/// The letters behind the dot at octet `at`, where it is one of a web address.
fn domain(octets: &[u8], at: usize) -> Option<usize> {
    let rest = octets.get(at + 1..).unwrap_or_default();
    let letters = rest.iter().take_while(|octet| octet.is_ascii_alphabetic()).count();
    (letters >= 2 && rest.get(letters) != Some(&b' ')).then_some(letters)
}

/// What the distance between raw and normal text says.
fn undone(distance: Distance) -> [Option<Mark>; 9] {
    let Distance {
        invisible,
        gaps,
        spaced,
        styled,
        traditional,
        simplified,
        split,
        private,
        numerals,
    } = distance;
    let tricks = [invisible, gaps, spaced, styled, split, private, numerals];
    let all = tricks.into_iter().fold(0_u32, u32::saturating_add);
    let if_any = |is_there: bool, mark: Mark| is_there.then_some(mark);
    [
        if_any(invisible > 0, Mark::Invisible),
        if_any(gaps >= GAPS_MIN, Mark::Gaps),
        if_any(spaced >= SPACED_MIN, Mark::Spaced),
        if_any(traditional > 0 && simplified > 0, Mark::Mixed),
        if_any(styled > 0, Mark::Styled),
        if_any(split > 0, Mark::Split),
        if_any(private > 0, Mark::Private),
        if_any(numerals > 0, Mark::Numerals),
        if_any(all >= DISTANCE_MIN, Mark::Distance),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::normal::Numbers;
    use super::*;

    fn marks(text: &str) -> Vec<&'static str> {
        let mut normal = Normal::default();
        normal.fill(text, Numbers::Closed);
        let mut all = Vec::new();
        each(text, &normal, |mark, _, _| all.push(mark.name()));
        all.sort_unstable();
        all.dedup();
        all
    }

    #[test]
    fn names_and_numbers_agree() {
        for (index, mark) in Mark::ALL.into_iter().enumerate() {
            assert_eq!(mark.index(), index);
        }
    }

    #[test]
    fn texts_have_their_marks() {
        let rows: [(&str, &[&str]); 9] = [
            ("【示例】验证码1234", &["code", "short", "signed-at-start"]),
            ("电话13800138000", &["phone", "short", "unsigned"]),
            ("电话一三八零零一三八零零零", &["evasion-numerals", "phone", "short", "unsigned"]),
            ("看a.cn/x1吧", &["link", "short", "unsigned"]),
            ("see www.example.com now", &["latin", "link", "numberless", "unsigned"]),
            ("兼-职-刷@单", &["evasion-gaps", "numberless", "short", "unsigned"]),
            ("办證件和发票", &["evasion-mixed", "numberless", "short", "unsigned"]),
            ("好!好!【甲】【乙】", &["exclaimed", "numberless", "short", "signed-elsewhere"]),
            ("单号1234567890123,15:30到", &["clock", "serial", "short", "unsigned"]),
        ];
        for (text, wanted) in rows {
            assert_eq!(marks(text), wanted, "{text}");
        }
    }
}
