//! Features that are no words: links, numbers, signature, length, and what was undone to read the text.

use super::symbols::{FULL_STOP, Number, Symbol, Symbols};
use super::{Distance, Place, Signed, signatures};

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

const GAPS_MIN: u32 = 2;
const SPACED_MIN: u32 = 3;
const DISTANCE_MIN: u32 = 4;
const NUMBERS_MIN: usize = 4;
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

impl Sentences {
    /// Before anything of the body is read.
    fn before(body: &std::ops::Range<usize>) -> Sentences {
        Sentences { count: 0, first_end: body.end, last_start: body.start }
    }

    fn take(&mut self, symbols: &Symbols, start: usize, end: usize) {
        if symbols.has_octets(start..end, SENTENCE_OCTETS_MIN) {
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

/// The marks of a text, each once, as they were found; kept from text to text so that nothing is allocated.
#[derive(Debug, Default)]
pub(super) struct Marks {
    found: Vec<(Mark, u32, u32)>,
    bits: u64,
}

impl Marks {
    /// Looks for those of a text with these symbols, of which `body` is what no signature takes. Gives the
    /// body's sentences.
    pub(super) fn find(
        &mut self,
        raw: &str,
        symbols: &Symbols,
        body: std::ops::Range<usize>,
    ) -> Sentences {
        self.found.clear();
        self.bits = 0;
        let end = symbols.all().len();
        let (numbers, sentences) = self.scan(symbols, body);
        self.measure(symbols, numbers);
        self.put(sentences.mark(), 0, end);
        let place = match signatures(raw).signed() {
            Signed::One(one) if one.place == Place::Start => Mark::SignedAtStart,
            Signed::One(_) => Mark::SignedAtEnd,
            Signed::None => Mark::Unsigned,
            Signed::Several | Signed::Elsewhere(_) => Mark::SignedElsewhere,
        };
        self.put(place, 0, 0);
        if symbols.distance() != Distance::default() {
            let undone = undone(symbols.distance()).into_iter().flatten();
            undone.for_each(|mark| self.put(mark, 0, end));
        }
        sentences
    }

    /// Each with the symbols where it was found first.
    pub(super) fn all(&self) -> &[(Mark, u32, u32)] {
        &self.found
    }

    /// A bit for each, by [`Mark::index`].
    pub(super) fn bits(&self) -> u64 {
        self.bits
    }

    fn put(&mut self, mark: Mark, start: usize, end: usize) {
        let bit = 1 << mark.index();
        if self.bits & bit == 0 {
            // Normal forms are bounded by TEXT_OCTETS_MAX and what folding makes longer: below 4 G.
            self.found.push((mark, start as u32, end as u32));
            self.bits |= bit;
        }
    }

    /// One pass over what marks depend on: links, numbers, exclamations, ends of sentences. Says how many
    /// numbers there are, and the sentences of the body; what stands behind its last stop is one too.
    fn scan(&mut self, symbols: &Symbols, body: std::ops::Range<usize>) -> (usize, Sentences) {
        let mut sentences = Sentences::before(&body);
        let mut begun = body.start;
        let mut stop = |at: usize| {
            if body.contains(&at) {
                sentences.take(symbols, begun, at + 1);
                begun = at + 1;
            }
        };
        let (mut exclaimed, mut numbers, mut leet, mut alone) = (0, 0, 0, 0);
        let all = symbols.all();
        for at in symbols.specials() {
            let around = Around { all, at };
            match around.here() {
                // The other letters of a word are not alone.
                b'a'..=b'z' => {
                    alone = if around.is_alone() { alone + 1 } else { 0 };
                    if alone == SPELLED_MIN {
                        self.put(Mark::Spelled, at, at + 1);
                    }
                }
                b'0' => {
                    leet += u32::from(around.is_inside_word());
                    if leet == LEET_MIN {
                        self.put(Mark::Leet, at, at + 1);
                    }
                    let number = symbols.numbers().get(numbers).copied();
                    numbers += 1;
                    if numbers == NUMBERS_MIN {
                        self.put(Mark::Numbers, at, at + 1);
                    }
                    if let Some(number) = number {
                        self.number(number, around);
                    }
                }
                b'@' => {
                    leet += u32::from(around.is_inside_word());
                    if leet == LEET_MIN {
                        self.put(Mark::Leet, at, at + 1);
                    }
                }
                b'!' => {
                    stop(at);
                    exclaimed += 1;
                    if exclaimed == 2 {
                        self.put(Mark::Exclaimed, at, at + 1);
                    }
                }
                b'?' => {
                    stop(at);
                    self.put(Mark::Asked, at, at + 1);
                }
                b';' | b'~' | FULL_STOP => stop(at),
                b'%' if around.before() == b'0' => self.put(Mark::Percent, at - 1, at + 1),
                b'.' if around.after() == b' ' => stop(at),
                b'.' if around.before().is_ascii_alphanumeric() => {
                    if let Some(letters) = domain(all, at) {
                        let head = all.get(..at).unwrap_or_default();
                        let word = head.iter().rposition(|one| !one.octet().is_ascii_graphic());
                        let start = word.map_or(0, |before| before + 1);
                        self.put(Mark::Link, start, at + 1 + letters);
                    }
                }
                _ => {}
            }
        }
        sentences.take(symbols, begun, body.end);
        sentences.count = sentences.count.max(1);
        (numbers, sentences)
    }

    /// What a number is: by its length and where it stands, by what it hides, by its last digits.
    fn number(&mut self, number: Number, around: Around<'_>) {
        let (before, after, at) = (around.before(), around.after(), around.at);
        self.put(sort(number, before, after), at, at + 1);
        if number.is_masked {
            self.put(Mark::Masked, at, at + 1);
        } else if before == b'.' && number.digits == 2 && after != b'.' {
            self.put(Mark::Cents, at, at + 1);
        }
        if is_price(number, before, after) {
            self.put(Mark::ShopPrice, at, at + 1);
        }
    }

    /// How long a text is, and what it does without.
    fn measure(&mut self, symbols: &Symbols, numbers: usize) {
        let characters = symbols.all().len();
        let length = match characters {
            ..16 => Mark::Short,
            16..24 => Mark::Chars16,
            24..36 => Mark::Chars24,
            36..48 => Mark::Chars36,
            48..60 => Mark::Chars48,
            _ => Mark::Long,
        };
        self.put(length, 0, characters);
        if characters >= 90 {
            self.put(Mark::Chars90, 0, characters);
        }
        if numbers == 0 {
            self.put(Mark::Numberless, 0, characters);
        }
        if !symbols.has_han() {
            self.put(Mark::Latin, 0, characters);
        }
    }
}

/// A symbol with its neighbours, as octets; beyond the ends of a text stands none.
#[derive(Clone, Copy)]
struct Around<'s> {
    all: &'s [Symbol],
    at: usize,
}

impl Around<'_> {
    fn here(self) -> u8 {
        self.all.get(self.at).map_or(0, |symbol| symbol.octet())
    }

    fn before(self) -> u8 {
        let before = self.at.checked_sub(1).and_then(|at| self.all.get(at));
        before.map_or(0, |symbol| symbol.octet())
    }

    fn after(self) -> u8 {
        self.all.get(self.at + 1).map_or(0, |symbol| symbol.octet())
    }

    /// Whether a letter stands on either side.
    fn is_inside_word(self) -> bool {
        self.before().is_ascii_lowercase() && self.after().is_ascii_lowercase()
    }

    /// Whether no letter or digit stands on either side.
    fn is_alone(self) -> bool {
        let is_word = |octet: u8| octet.is_ascii_alphanumeric() || !octet.is_ascii();
        !is_word(self.before()) && !is_word(self.after())
    }
}

/// What sort of number its length makes it.
fn sort(number: Number, before: u8, after: u8) -> Mark {
    if before == b':' || after == b':' {
        return Mark::Clock;
    }
    match number.digits {
        4..=6 => Mark::Code,
        7..=12 => Mark::Phone,
        13.. => Mark::Serial,
        3 => Mark::Digits3,
        2 => Mark::Digits2,
        1 if before == b'.' => Mark::Tenth,
        0 | 1 => Mark::Digits1,
    }
}

/// Whether it is a price as shops make them.
fn is_price(number: Number, before: u8, after: u8) -> bool {
    let is_joined = |octet: u8| matches!(octet, b'-' | b':' | b'/' | b'*');
    let is_whole = !is_joined(before) && !is_joined(after) && after != b'.';
    let is_short =
        is_whole && PRICE_DIGITS.contains(&number.digits) || before == b'.' && number.digits <= 2;
    number.is_of_shops && is_short && !number.is_masked
}

/// The letters behind the dot at `at`, where it is one of a web address.
fn domain(all: &[Symbol], at: usize) -> Option<usize> {
    let rest = all.get(at + 1..).unwrap_or_default();
    let letters = rest.iter().take_while(|symbol| symbol.is_latin()).count();
    let is_end = rest.get(letters).is_some_and(|symbol| symbol.octet() == b' ');
    (letters >= 2 && !is_end).then_some(letters)
}

/// What the distance between raw and normal text says.
pub(super) fn undone(distance: Distance) -> [Option<Mark>; 9] {
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
    use super::super::Normal;
    use super::super::normal::Numbers;
    use super::super::symbols::Alphabet;
    use super::*;

    fn symbols(text: &str) -> Symbols {
        let (mut normal, mut symbols) = (Normal::default(), Symbols::default());
        normal.fill(text, Numbers::Closed);
        symbols.take(&Alphabet::of([].into_iter()), &normal, text);
        symbols
    }

    fn marks(text: &str) -> Vec<&'static str> {
        let symbols = symbols(text);
        let mut marks = Marks::default();
        marks.find(text, &symbols, symbols.body());
        let mut all: Vec<&str> = marks.all().iter().map(|(mark, _, _)| mark.name()).collect();
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
            let symbols = symbols(text);
            let all = Marks::default().find(text, &symbols, 0..symbols.all().len());
            assert_eq!(text.chars().take(all.first_end).collect::<String>(), first, "{text}");
            assert_eq!(text.chars().skip(all.last_start).collect::<String>(), last, "{text}");
        }
    }
}
