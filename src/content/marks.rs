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
    /// An amount to the cent, as accounts have.
    Cents,
    /// A price as shops make them: 99, 9.9, 88, 1980.
    ShopPrice,
    /// Four or more numbers.
    Numbers,
    /// A part of something in percent.
    Percent,
    /// A question mark.
    Asked,
    /// A number with a hidden part.
    Masked,
    /// Two or more digits or signs for letters inside words: `ch3cks`, `c@se`.
    Leet,
    /// Four or more letters alone in a row: `L.o.a.n`.
    Spelled,
    /// 16 to 23 characters.
    Chars16,
    /// 24 to 35 characters.
    Chars24,
    /// 36 to 47 characters.
    Chars36,
    /// 48 to 59 characters.
    Chars48,
    /// 90 characters and more.
    Chars90,
    /// One sentence.
    Sentences1,
    /// Two sentences.
    Sentences2,
    /// Three sentences.
    Sentences3,
    /// Four sentences and more.
    Sentences4,
    /// A number of one digit.
    Digits1,
    /// A number of two digits.
    Digits2,
    /// A number of three digits.
    Digits3,
    /// A number with one digit behind its point: 9.9, 3.5.
    Tenth,
}

impl Mark {
    /// Every mark.
    pub(super) const ALL: [Mark; 44] = [
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
        Mark::Cents,
        Mark::ShopPrice,
        Mark::Numbers,
        Mark::Percent,
        Mark::Asked,
        Mark::Masked,
        Mark::Leet,
        Mark::Spelled,
        Mark::Chars16,
        Mark::Chars24,
        Mark::Chars36,
        Mark::Chars48,
        Mark::Chars90,
        Mark::Sentences1,
        Mark::Sentences2,
        Mark::Sentences3,
        Mark::Sentences4,
        Mark::Digits1,
        Mark::Digits2,
        Mark::Digits3,
        Mark::Tenth,
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
            Mark::Cents => "cents",
            Mark::ShopPrice => "shop-price",
            Mark::Numbers => "numbers",
            Mark::Percent => "percent",
            Mark::Asked => "asked",
            Mark::Masked => "masked",
            Mark::Leet => "evasion-leet",
            Mark::Spelled => "evasion-spelled",
            Mark::Chars16 => "chars-16",
            Mark::Chars24 => "chars-24",
            Mark::Chars36 => "chars-36",
            Mark::Chars48 => "chars-48",
            Mark::Chars90 => "chars-90",
            Mark::Sentences1 => "sentences-1",
            Mark::Sentences2 => "sentences-2",
            Mark::Sentences3 => "sentences-3",
            Mark::Sentences4 => "sentences-4",
            Mark::Digits1 => "digits-1",
            Mark::Digits2 => "digits-2",
            Mark::Digits3 => "digits-3",
            Mark::Tenth => "tenth",
        }
    }

    /// Its place in [`Mark::ALL`], which is also its feature's number.
    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// Whether it makes pairs with lists. How long a text is says little together with one word of it.
    pub(super) fn is_paired(index: usize) -> bool {
        index < Mark::Chars16.index()
    }
}

const SHORT_CHARS_MAX: usize = 15;
const LONG_CHARS_MIN: usize = 60;
const GAPS_MIN: u32 = 2;
const SPACED_MIN: u32 = 3;
const DISTANCE_MIN: u32 = 4;
const NUMBERS_MIN: u32 = 4;
const LEET_MIN: u32 = 2;
const SPELLED_MIN: u32 = 4;
/// Digits of a price, point and what stands behind it aside.
const PRICE_DIGITS: std::ops::RangeInclusive<u32> = 2..=5;

/// Octets that a sentence has at least, with its stop: `!!` ends one, and `OK!` is none.
const SENTENCE_OCTETS_MIN: usize = 6;

/// The sentences of a text, as far as it is asked for: how many, where the first ends and the last begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sentences {
    pub(super) count: usize,
    pub(super) first_end: usize,
    pub(super) last_start: usize,
}

/// The last octet of an ideographic full stop.
const LAST_OF_STOP: u8 = 0x82;

/// Whether a sentence may end with this octet: a glance at each of a text's octets.
fn may_stop(octet: u8) -> bool {
    matches!(octet, b'!' | b'?' | b';' | b'~' | b'.' | LAST_OF_STOP)
}

impl Sentences {
    /// Those of a part of a normal form. What stands behind the last stop is a sentence too.
    fn of(octets: &[u8], part: std::ops::Range<usize>) -> Sentences {
        let (mut start, end) = (part.start, part.end);
        let mut all = Sentences { count: 0, first_end: end, last_start: start };
        let within = octets.get(start..end).unwrap_or_default();
        let stops = within.iter().enumerate().filter(|(_, octet)| may_stop(**octet));
        for (at, octet) in stops.map(|(offset, octet)| (part.start + offset, octet)) {
            let is_stop = match *octet {
                b'.' => is_after(octets, at, |after| after == b' '),
                LAST_OF_STOP => {
                    octets.get(..=at).is_some_and(|head| head.ends_with("。".as_bytes()))
                }
                _ => true,
            };
            if is_stop {
                all.take(start, at + 1);
                start = at + 1;
            }
        }
        all.take(start, end);
        all.count = all.count.max(1);
        all
    }

    fn take(&mut self, start: usize, end: usize) {
        if end - start >= SENTENCE_OCTETS_MIN {
            self.first_end = if self.count == 0 { end } else { self.first_end };
            self.last_start = start;
            self.count += 1;
        }
    }

    fn mark(self) -> Mark {
        match self.count {
            0 | 1 => Mark::Sentences1,
            2 => Mark::Sentences2,
            3 => Mark::Sentences3,
            _ => Mark::Sentences4,
        }
    }
}

/// Tells every mark of a text, with octets of its normal form (numbers closed), of which `body` is what no
/// signature takes. Gives the body's sentences.
pub(super) fn each(
    raw: &str,
    normal: &Normal,
    body: std::ops::Range<usize>,
    mut found: impl FnMut(Mark, usize, usize),
) -> Sentences {
    let end = normal.text().len();
    scan(raw, normal, &mut found);
    let sentences = Sentences::of(normal.text().as_bytes(), body);
    found(sentences.mark(), 0, end);
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
    sentences
}

/// One pass over the characters: links, numbers, exclamations, length.
fn scan(raw: &str, normal: &Normal, found: &mut impl FnMut(Mark, usize, usize)) {
    let (mut exclaimed, mut numbers, mut leet, mut alone) = (0, 0, 0, 0);
    let octets = normal.text().as_bytes();
    let (mut next, mut characters, mut has_han) = (0, 0, false);
    while let Some(octet) = octets.get(next).copied() {
        let at = next;
        characters += 1;
        if !octet.is_ascii() {
            has_han |= octet >= FIRST_OF_HAN;
            next += 2 + usize::from(octet >= 0xe0) + usize::from(octet >= 0xf0);
            continue;
        }
        next += 1;
        if matches!(octet, b'0' | b'@') && is_inside_word(octets, at) {
            leet += 1;
            if leet == LEET_MIN {
                found(Mark::Leet, at, at + 1);
            }
        }
        match octet {
            b'a'..=b'z' => {
                alone = if is_alone(octets, at) { alone + 1 } else { 0 };
                if alone == SPELLED_MIN {
                    found(Mark::Spelled, at, at + 1);
                }
            }
            b'0' => {
                numbers += 1;
                if numbers == NUMBERS_MIN {
                    found(Mark::Numbers, at, at + 1);
                }
                let (span, digits) = normal.number(at);
                let number = Number { octets, at, digits, raw: span.of(raw).as_bytes() };
                for mark in number.marks().into_iter().flatten() {
                    found(mark, at, at + 1);
                }
            }
            b'!' => {
                exclaimed += 1;
                if exclaimed == 2 {
                    found(Mark::Exclaimed, at, at + 1);
                }
            }
            b'?' => found(Mark::Asked, at, at + 1),
            b'%' if is_before(octets, at, |before| before == b'0') => {
                found(Mark::Percent, at - 1, at + 1);
            }
            b'.' if is_before(octets, at, |before| before.is_ascii_alphanumeric()) => {
                if let Some(letters) = domain(octets, at) {
                    let head = octets.get(..at).unwrap_or_default();
                    let word = head.iter().rposition(|octet| !octet.is_ascii_graphic());
                    found(Mark::Link, word.map_or(0, |before| before + 1), at + 1 + letters);
                }
            }
            _ => {}
        }
    }
    let (has_number, end) = (numbers > 0, octets.len());
    let length = [
        (characters <= SHORT_CHARS_MAX, Mark::Short),
        ((16..24).contains(&characters), Mark::Chars16),
        ((24..36).contains(&characters), Mark::Chars24),
        ((36..48).contains(&characters), Mark::Chars36),
        ((48..LONG_CHARS_MIN).contains(&characters), Mark::Chars48),
        (characters >= LONG_CHARS_MIN, Mark::Long),
        (characters >= 90, Mark::Chars90),
        (!has_number, Mark::Numberless),
        (!has_han, Mark::Latin),
    ];
    for (_, mark) in length.into_iter().filter(|(is_so, _)| *is_so) {
        found(mark, 0, end);
    }
}

/// The first octet of ideographs in UTF-8, from U+3000 on.
const FIRST_OF_HAN: u8 = 0xe3;

fn is_before(octets: &[u8], at: usize, is_so: impl Fn(u8) -> bool) -> bool {
    at.checked_sub(1).and_then(|before| octets.get(before)).is_some_and(|octet| is_so(*octet))
}

fn is_after(octets: &[u8], at: usize, is_so: impl Fn(u8) -> bool) -> bool {
    octets.get(at + 1).is_some_and(|octet| is_so(*octet))
}

/// Whether a letter stands on either side.
fn is_inside_word(octets: &[u8], at: usize) -> bool {
    let is_letter = |octet: u8| octet.is_ascii_alphabetic();
    is_before(octets, at, is_letter) && is_after(octets, at, is_letter)
}

/// Whether no letter or digit stands on either side.
fn is_alone(octets: &[u8], at: usize) -> bool {
    let is_word = |octet: u8| octet.is_ascii_alphanumeric() || !octet.is_ascii();
    !is_before(octets, at, is_word) && !is_after(octets, at, is_word)
}

/// A closed number: where it stands and what was written there.
struct Number<'t> {
    octets: &'t [u8],
    at: usize,
    digits: u32,
    raw: &'t [u8],
}

impl Number<'_> {
    fn marks(&self) -> [Option<Mark>; 3] {
        let before = self.at.checked_sub(1).and_then(|at| self.octets.get(at)).copied();
        let (before, after) = (before.unwrap_or(b' '), self.octets.get(self.at + 1).copied());
        [self.sort(before, after), self.amount(before, after), self.price(before, after)]
    }

    /// What sort of number its length makes it.
    fn sort(&self, before: u8, after: Option<u8>) -> Option<Mark> {
        if before == b':' || after == Some(b':') {
            return Some(Mark::Clock);
        }
        match self.digits {
            4..=6 => Some(Mark::Code),
            7..=12 => Some(Mark::Phone),
            13.. => Some(Mark::Serial),
            3 => Some(Mark::Digits3),
            2 => Some(Mark::Digits2),
            1 if before == b'.' => Some(Mark::Tenth),
            0 | 1 => Some(Mark::Digits1),
        }
    }

    /// Whether it hides a part, or is what stands behind the point of an amount.
    fn amount(&self, before: u8, after: Option<u8>) -> Option<Mark> {
        if self.raw.contains(&b'*') {
            return Some(Mark::Masked);
        }
        (before == b'.' && self.digits == 2 && after != Some(b'.')).then_some(Mark::Cents)
    }

    /// Whether it is a price as shops make them.
    fn price(&self, before: u8, after: Option<u8>) -> Option<Mark> {
        let is_of_shops =
            matches!(self.raw, [.., b'9'] | [.., b'8', b'8'] | [.., b'8' | b'9', b'0']);
        let is_joined = |octet: u8| matches!(octet, b'-' | b':' | b'/' | b'*');
        let is_whole =
            !is_joined(before) && after.is_none_or(|octet| !is_joined(octet) && octet != b'.');
        let is_price =
            is_whole && PRICE_DIGITS.contains(&self.digits) || before == b'.' && self.digits <= 2;
        (is_of_shops && is_price && !self.raw.contains(&b'*')).then_some(Mark::ShopPrice)
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
        let body = super::super::reader::body(normal.text());
        each(text, &normal, body, |mark, _, _| all.push(mark.name()));
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
        let rows: [(&str, &[&str]); 13] = [
            ("余额1,268.00元,已到账", &["cents", "short", "unsigned"]),
            ("两条99,三条1980,半价9.9", &["code", "numbers", "shop-price", "short", "unsigned"]),
            ("尾号6****12省50%?", &["asked", "masked", "percent", "short", "unsigned"]),
            (
                "L.o.a.n.s, n0 ch3cks t0day",
                &["evasion-leet", "evasion-spelled", "latin", "unsigned"],
            ),
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
            let mut marks = marks(text);
            marks.retain(|mark| !is_measure(mark));
            assert_eq!(marks, wanted, "{text}");
        }
    }

    /// Whether it only says how long a text or number is.
    fn is_measure(mark: &str) -> bool {
        ["chars-", "sentences-", "digits-", "tenth"].iter().any(|start| mark.starts_with(start))
    }

    #[test]
    fn texts_and_numbers_have_their_lengths() {
        let rows: [(&str, &[&str]); 6] = [
            ("三天", &["sentences-1"]),
            (
                "第1批共23件,重123克,合9.9元",
                &["chars-16", "digits-1", "digits-2", "digits-3", "sentences-1", "tenth"],
            ),
            ("已到站。请来取", &["sentences-2"]),
            ("已到站!!!请来取!", &["sentences-2"]),
            ("The lift is out. Sorry! It is back by noon", &["chars-36", "sentences-3"]),
            ("一二三;四五六;七八九;十一二?", &["chars-16", "sentences-4"]),
        ];
        for (text, wanted) in rows {
            let mut marks = marks(text);
            marks.retain(|mark| is_measure(mark));
            assert_eq!(marks, wanted, "{text}");
        }
    }

    #[test]
    fn the_first_and_the_last_sentence_are_found() {
        let rows = [
            ("甲乙丙", "甲乙丙", "甲乙丙"),
            ("甲乙丙。丁戊己!庚辛壬", "甲乙丙。", "庚辛壬"),
            ("甲乙丙。丁戊己。", "甲乙丙。", "丁戊己。"),
            ("a.cn is up. See it", "a.cn is up.", " See it"),
            ("", "", ""),
        ];
        for (text, first, last) in rows {
            let all = Sentences::of(text.as_bytes(), 0..text.len());
            assert_eq!(text.get(..all.first_end), Some(first), "{text}");
            assert_eq!(text.get(all.last_start..), Some(last), "{text}");
        }
    }
}
