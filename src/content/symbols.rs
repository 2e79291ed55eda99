//! A normal form as the classifier looks at it: characters as numbers, with what the marks ask of each.
//! Numbers are closed.
//!
//! Most texts are plain: nothing in them is undone but separators, width and traditional forms. Their
//! normal form is taken from the raw text in one pass, by one look into a table a character. All others
//! are taken from a [`Normal`]; what is said of a plain text is the same either way.

use std::collections::BTreeMap;
use std::ops::Range;

use super::fold::{self, Cell, Sort};
use super::normal::NUMERALS_MIN;
use super::{Distance, Normal, TEXT_OCTETS_MAX, radical};

/// A character: what it is in normal form, and what it does to the text behind it.
///
/// Bits 0 to 15: its number in the [`Alphabet`], 0 where no word has it. 16 to 23: its octet. Then flags;
/// 28 to 31: its step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Symbol(u32);

const NUMBER: u32 = 0xffff;
const OCTET_SHIFT: u32 = 16;
/// One of `a` to `z`.
const LATIN: u32 = 1 << 24;
/// Was a traditional form.
const TRADITIONAL: u32 = 1 << 25;
/// A form that only simplified text has.
const SIMPLIFIED: u32 = 1 << 26;
/// From U+3000 on, where ideographs are.
const WIDE: u32 = 1 << 27;
const STEP_SHIFT: u32 = 28;

/// What a character does in a plain text. The last is not plain.
mod step {
    pub(super) const HAN: u32 = 0;
    pub(super) const NUMERAL: u32 = 1;
    pub(super) const LETTER: u32 = 2;
    /// `x`, which may mask a number.
    pub(super) const X: u32 = 3;
    pub(super) const DIGIT: u32 = 4;
    pub(super) const SPACE: u32 = 5;
    pub(super) const STOP: u32 = 6;
    /// Goes where it parts ideographs.
    pub(super) const SEPARATOR: u32 = 7;
    /// `*`, which may mask a number or part ideographs.
    pub(super) const STAR: u32 = 8;
    pub(super) const ODD: u32 = 15;
}

/// The octets of `。`, `【` and `】`, which begin no character of UTF-8.
pub(super) const FULL_STOP: u8 = 0xff;
const OPEN: u8 = 0xfe;
const CLOSE: u8 = 0xfd;

/// The first octet of ideographs in UTF-8, from U+3000 on.
const FIRST_OF_HAN: u8 = 0xe3;

impl Symbol {
    /// A character of a normal form.
    fn of(c: char, number: u16) -> Symbol {
        let octet = match c {
            '。' => FULL_STOP,
            '【' => OPEN,
            '】' => CLOSE,
            _ => c.encode_utf8(&mut [0; 4]).as_bytes().first().copied().unwrap_or_default(),
        };
        let latin = if c.is_ascii_lowercase() { LATIN } else { 0 };
        let wide = if octet >= FIRST_OF_HAN { WIDE } else { 0 };
        Symbol(u32::from(number) | u32::from(octet) << OCTET_SHIFT | latin | wide)
    }

    /// Its number in the alphabet.
    #[inline]
    pub(super) fn number(self) -> u32 {
        self.0 & NUMBER
    }

    /// The character where it is of ASCII, else the first octet of UTF-8 or one of [`FULL_STOP`].
    #[inline]
    pub(super) fn octet(self) -> u8 {
        (self.0 >> OCTET_SHIFT & 0xff) as u8
    }

    /// Octets of its UTF-8.
    fn octets(self) -> usize {
        match self.octet() {
            0..=0x7f => 1,
            0x80..=0xdf => 2,
            0xf0..=0xf7 => 4,
            _ => 3,
        }
    }

    /// Whether it is one of `a` to `z`.
    #[inline]
    pub(super) fn is_latin(self) -> bool {
        self.0 & LATIN != 0
    }

    /// Whether any is one of `a` to `z`.
    pub(super) fn any_latin(text: &[Symbol]) -> bool {
        text.iter().fold(0, |flags, symbol| flags | symbol.0) & LATIN != 0
    }

    /// Whether both are.
    #[inline]
    pub(super) fn are_latin(self, other: Symbol) -> bool {
        self.0 & other.0 & LATIN != 0
    }

    #[inline]
    fn step(self) -> u32 {
        self.0 >> STEP_SHIFT
    }

    /// Whether a mark may depend on it, standing behind that one.
    fn is_special(self, before: Symbol) -> bool {
        let is_sign = self.octet() < 0x80 && !self.is_latin() || self.step() == step::STOP;
        is_sign || self.is_latin() && !before.is_latin()
    }
}

/// What a raw character becomes, with numbers for those that words are made of.
pub(super) struct Alphabet {
    /// By the raw character.
    plane: Box<[Symbol; 0x1_0000]>,
    /// By the folded one.
    numbers: BTreeMap<char, u16>,
}

impl Alphabet {
    /// That of these words. The most frequent characters have the least numbers, and so lie together; none has
    /// the greatest.
    pub(super) fn of<'w>(words: impl Iterator<Item = &'w str>) -> Alphabet {
        let mut counts: BTreeMap<char, u32> = BTreeMap::new();
        words.flat_map(str::chars).for_each(|c| *counts.entry(c).or_default() += 1);
        let mut characters: Vec<(char, u32)> = counts.into_iter().collect();
        characters.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let numbered = characters.into_iter().map(|(c, _)| c).zip(1..u16::MAX);
        let mut alphabet =
            Alphabet { plane: Box::new([Symbol(0); 0x1_0000]), numbers: numbered.collect() };
        let mut numbers = vec![0; 0x1_0000];
        for (c, number) in &alphabet.numbers {
            numbers.iter_mut().skip(*c as usize).take(1).for_each(|slot| *slot = *number);
        }
        for (slot, code) in alphabet.plane.iter_mut().zip(0..) {
            let number = |c: char| numbers.get(c as usize).copied().unwrap_or_default();
            *slot = match char::from_u32(code) {
                Some(c) => symbol(c, fold::table().cell(c), number),
                None => Symbol(step::ODD << STEP_SHIFT),
            };
        }
        alphabet
    }

    /// The number of a character in normal form; 0 where no word has it.
    pub(super) fn number(&self, c: char) -> u16 {
        self.numbers.get(&c).copied().unwrap_or_default()
    }

    /// How many characters have numbers.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    fn symbol(&self, c: char) -> Symbol {
        match self.plane.get(c as usize) {
            Some(symbol) => *symbol,
            None => symbol(c, fold::table().cell(c), |c| self.number(c)),
        }
    }

    /// The first character of UTF-8 text, and what stands behind it.
    #[inline]
    fn first<'t>(&self, octets: &'t [u8]) -> Option<(Symbol, &'t [u8])> {
        match octets {
            [first @ 0..=0x7f, behind @ ..] => Some((self.plane[usize::from(*first)], behind)),
            [first @ 0xe0..=0xef, second, third, behind @ ..] => {
                Some((self.of_three(*first, *second, *third), behind))
            }
            _ => self.first_of_others(octets),
        }
    }

    /// The character of three octets of UTF-8.
    #[inline]
    fn of_three(&self, first: u8, second: u8, third: u8) -> Symbol {
        let low = |octet: u8| u16::from(octet & 0x3f);
        let code = u16::from(first) << 12 | low(second) << 6 | low(third);
        self.plane[usize::from(code)]
    }

    /// Likewise where it is of two or four octets.
    #[cold]
    fn first_of_others<'t>(&self, octets: &'t [u8]) -> Option<(Symbol, &'t [u8])> {
        let length = if *octets.first()? < 0xe0 { 2 } else { 4 };
        let (one, behind) = octets.split_at_checked(length)?;
        let c = std::str::from_utf8(one).ok()?.chars().next()?;
        Some((self.symbol(c), behind))
    }
}

/// What a raw character becomes and does.
fn symbol(c: char, cell: Cell, number: impl Fn(char) -> u16) -> Symbol {
    let Some(folded) = cell.character() else { return Symbol(step::ODD << STEP_SHIFT) };
    let step = match (cell.sort(), folded) {
        _ if !cell.is_plain() || radical::is_part(folded) => step::ODD,
        (Sort::Han, _) if cell.is_numeral() => step::NUMERAL,
        (Sort::Han, _) => step::HAN,
        (Sort::Letter, 'x') => step::X,
        (Sort::Letter, _) => step::LETTER,
        (Sort::Digit, _) if c == folded => step::DIGIT,
        (Sort::Symbol, '*') if c == folded => step::STAR,
        (Sort::Digit, _) | (Sort::Symbol, '*') | (Sort::Dropped, _) => step::ODD,
        (Sort::Space, _) => step::SPACE,
        (Sort::Symbol, _) if !fold::is_kept(folded) => step::SEPARATOR,
        (Sort::Stop, '.') => step::SEPARATOR,
        (Sort::Stop | Sort::Symbol, _) => step::STOP,
    };
    // Whatever shows as white space is one space, and every digit a closed number.
    let shown = match cell.sort() {
        Sort::Space => ' ',
        Sort::Digit => '0',
        _ => folded,
    };
    let traditional = if cell.is_traditional() { TRADITIONAL } else { 0 };
    let simplified = if cell.is_simplified() { SIMPLIFIED } else { 0 };
    let flags = traditional | simplified | step << STEP_SHIFT;
    Symbol(Symbol::of(shown, number(shown)).0 | flags)
}

/// A closed number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// Digits that it was written with.
    pub(super) digits: u32,
    /// Whether they end as prices of shops do.
    pub(super) is_of_shops: bool,
    /// Whether a part of it is hidden.
    pub(super) is_masked: bool,
}

impl Number {
    fn of(raw: &[u8], digits: u32) -> Number {
        let is_of_shops = matches!(raw, [.., b'9'] | [.., b'8', b'8'] | [.., b'8' | b'9', b'0']);
        Number { digits, is_of_shops, is_masked: raw.contains(&b'*') }
    }
}

/// A normal form as symbols, kept from text to text so that nothing is allocated for the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Symbols {
    /// Room for the longest text until now, of which `count` are in use.
    room: Vec<Symbol>,
    count: usize,
    /// Where those stand that marks depend on.
    specials: Vec<u32>,
    /// Every number, in order.
    numbers: Vec<Number>,
    distance: Distance,
}

/// How a plain text ends up to here: what follows decides about separators.
#[derive(Default)]
struct End {
    last: Last,
    gap: Option<Gap>,
    /// Ideographs since the last separator.
    han_run: u32,
    /// Chinese digits up to here.
    numerals: usize,
}

/// What was kept last, gaps aside.
#[derive(Clone, Copy, Default, PartialEq)]
enum Last {
    #[default]
    Other,
    Han,
    Digit,
    Letter,
}

/// Separators that may go.
struct Gap {
    at: usize,
    has_symbols: bool,
    after: Last,
}

impl Symbols {
    /// The symbols.
    pub(super) fn all(&self) -> &[Symbol] {
        self.room.get(..self.count).unwrap_or_default()
    }

    /// Some of them.
    pub(super) fn of(&self, part: Range<usize>) -> &[Symbol] {
        self.all().get(part).unwrap_or_default()
    }

    /// Where those stand that marks may depend on: signs, stops, numbers, first letters of words.
    pub(super) fn specials(&self) -> impl Iterator<Item = usize> {
        self.specials.iter().map(|at| *at as usize)
    }

    /// Every number, in order.
    pub(super) fn numbers(&self) -> &[Number] {
        &self.numbers
    }

    /// How far the raw text was from it. For plain texts forms are not counted, only told.
    pub(super) fn distance(&self) -> Distance {
        self.distance
    }

    /// Whether any of them is an ideograph.
    pub(super) fn has_han(&self) -> bool {
        self.has(WIDE)
    }

    /// Whether any of them has a flag.
    fn has(&self, flag: u32) -> bool {
        self.all().iter().fold(0, |flags, symbol| flags | symbol.0) & flag != 0
    }

    /// Whether some of these are so many octets of UTF-8.
    pub(super) fn has_octets(&self, part: Range<usize>, octets: usize) -> bool {
        let part = self.of(part);
        part.len() >= octets || part.iter().map(|symbol| symbol.octets()).sum::<usize>() >= octets
    }

    /// What no 【signature】 at the start or the end takes.
    pub(super) fn body(&self) -> Range<usize> {
        let all = self.all();
        let is = |octet: u8| move |symbol: &Symbol| symbol.octet() == octet;
        let mut body = 0..all.len();
        if all.first().is_some_and(is(OPEN))
            && let Some(end) = all.iter().position(is(CLOSE))
        {
            body.start = end + 1;
        }
        if all.last().is_some_and(is(CLOSE))
            && let Some(start) = all.iter().rposition(is(OPEN))
            && start >= body.start
        {
            body.end = start;
        }
        body
    }

    fn clear(&mut self, characters: usize) {
        if self.room.len() < characters {
            self.room.resize(characters, Symbol(0));
        }
        self.count = 0;
        self.specials.clear();
        self.numbers.clear();
        self.distance = Distance::default();
    }

    /// Takes a normal form, numbers closed, and the raw text behind it.
    pub(super) fn take(&mut self, alphabet: &Alphabet, normal: &Normal, raw: &str) {
        self.clear(normal.text().len());
        for (at, c) in normal.text().char_indices() {
            self.push(alphabet.symbol(c));
            if c == '0' {
                let (span, digits) = normal.number(at);
                self.numbers.push(Number::of(span.of(raw).as_bytes(), digits));
            }
        }
        self.distance = normal.distance();
    }

    /// Takes the normal form of a raw text where it is plain, and says whether it is.
    pub(super) fn take_plain(&mut self, alphabet: &Alphabet, raw: &str) -> bool {
        if raw.len() > TEXT_OCTETS_MAX {
            return false;
        }
        self.clear(raw.len());
        let (mut left, mut end) = (raw.as_bytes(), End::default());
        while let Some((symbol, behind)) = alphabet.first(left) {
            let here = std::mem::replace(&mut left, behind);
            match symbol.step() {
                step::HAN => {
                    self.begin_han(&mut end);
                    self.push_plain(symbol);
                    left = self.put_ideographs(alphabet, left, &mut end);
                }
                step::NUMERAL => {
                    end.numerals += 1;
                    if end.numerals == NUMERALS_MIN {
                        return false;
                    }
                    self.begin_han(&mut end);
                    end.han_run += 1;
                    self.push_plain(symbol);
                }
                step::LETTER => {
                    self.put_letter(symbol, &mut end);
                    left = self.put_word(alphabet, left);
                }
                step::X if end.last == Last::Letter => self.put_letter(symbol, &mut end),
                step::DIGIT => left = self.put_number(symbol, here, &mut end),
                step::SPACE => self.put_space(symbol, &mut end),
                step::STOP => {
                    self.push(symbol);
                    end = End { han_run: end.han_run, ..End::default() };
                }
                step::STAR if self.is_behind_number() => self.put_mask(alphabet, &mut end),
                step::SEPARATOR | step::STAR => {
                    self.open_gap(true, &mut end);
                    self.push(symbol);
                }
                _ => return false,
            }
        }
        if self.before().octet() == b' ' {
            self.cut(self.count - 1);
        }
        self.distance.traditional = u32::from(self.has(TRADITIONAL));
        self.distance.simplified = u32::from(self.has(SIMPLIFIED));
        left.is_empty()
    }

    /// The last one.
    #[inline]
    fn before(&self) -> Symbol {
        let last = self.count.checked_sub(1).and_then(|at| self.room.get(at));
        last.copied().unwrap_or_default()
    }

    #[inline]
    fn push(&mut self, symbol: Symbol) {
        if symbol.is_special(self.before()) {
            self.specials.push(self.count as u32);
        }
        self.push_plain(symbol);
    }

    #[inline]
    fn push_plain(&mut self, symbol: Symbol) {
        if let Some(slot) = self.room.get_mut(self.count) {
            *slot = symbol;
            self.count += 1;
        }
    }

    fn cut(&mut self, count: usize) {
        self.count = count;
        while self.specials.last().is_some_and(|at| *at as usize >= count) {
            self.specials.pop();
        }
    }

    /// Takes the ideographs and stops that follow an ideograph, and gives what stands behind them.
    fn put_ideographs<'t>(
        &mut self,
        alphabet: &Alphabet,
        here: &'t [u8],
        end: &mut End,
    ) -> &'t [u8] {
        let mut left = here;
        let Symbols { room, count, specials, .. } = self;
        let (mut han_run, mut last) = (end.han_run + 1, Last::Han);
        for slot in room.get_mut(*count..).unwrap_or_default() {
            let [first @ 0xe0..=0xef, second, third, behind @ ..] = left else { break };
            let symbol = alphabet.of_three(*first, *second, *third);
            match symbol.step() {
                step::HAN => (han_run, last) = (han_run + 1, Last::Han),
                step::STOP => {
                    specials.push(*count as u32);
                    (han_run, last) = (0, Last::Other);
                }
                _ => break,
            }
            *slot = symbol;
            *count += 1;
            left = behind;
        }
        (end.han_run, end.last, end.numerals) = (han_run, last, 0);
        left
    }

    /// An ideograph follows.
    fn begin_han(&mut self, end: &mut End) {
        if let Some(gap) = end.gap.take() {
            self.close_gap(&gap, end.han_run);
            let is_inside = gap.has_symbols && gap.after == Last::Han;
            self.distance.gaps += u32::from(is_inside);
            end.han_run = 0;
        } else if end.last != Last::Han {
            end.han_run = 0;
        }
        end.last = Last::Han;
    }

    /// Separators go.
    fn close_gap(&mut self, gap: &Gap, han_run: u32) {
        self.cut(gap.at);
        self.distance.spaced += u32::from(!gap.has_symbols && han_run == 1);
    }

    fn put_letter(&mut self, symbol: Symbol, end: &mut End) {
        self.push(symbol);
        end.gap = None;
        end.numerals = 0;
        end.last = Last::Letter;
    }

    /// Takes the letters of ASCII that follow one, and gives what stands behind them.
    fn put_word<'t>(&mut self, alphabet: &Alphabet, here: &'t [u8]) -> &'t [u8] {
        if !self.before().is_latin() {
            return here;
        }
        let mut taken = 0;
        for (slot, octet) in
            self.room.get_mut(self.count..).unwrap_or_default().iter_mut().zip(here)
        {
            let symbol = alphabet.plane[usize::from(*octet)];
            if *octet >= 0x80 || !symbol.is_latin() {
                break;
            }
            *slot = symbol;
            taken += 1;
        }
        self.count += taken;
        here.get(taken..).unwrap_or_default()
    }

    /// Takes the digits at the start of `here`, and gives what stands behind them.
    fn put_number<'t>(&mut self, zero: Symbol, here: &'t [u8], end: &mut End) -> &'t [u8] {
        let digits = here.iter().take_while(|octet| octet.is_ascii_digit()).count();
        match end.gap.take() {
            Some(gap) if gap.after == Last::Han => {
                self.close_gap(&gap, end.han_run);
                end.han_run = 0;
            }
            Some(_) | None if end.last != Last::Han || digits > 1 => end.han_run = 0,
            Some(_) | None => {}
        }
        let (written, behind) = here.split_at_checked(digits).unwrap_or((here, &[]));
        self.push_number(zero, Number::of(written, digits as u32));
        end.numerals = 0;
        end.last = Last::Digit;
        behind
    }

    fn push_number(&mut self, zero: Symbol, number: Number) {
        let goes_on = self.before().octet() == b'0';
        match self.numbers.last_mut() {
            Some(last) if goes_on => {
                last.digits = last.digits.saturating_add(number.digits);
                last.is_of_shops = number.is_of_shops;
                last.is_masked |= number.is_masked;
            }
            Some(_) | None => {
                self.push(zero);
                self.numbers.push(number);
            }
        }
    }

    /// Whether a star masks what stands before it.
    fn is_behind_number(&self) -> bool {
        matches!(self.before().octet(), b'0' | b'*')
    }

    /// A star behind a number or a star: together they are one number.
    fn put_mask(&mut self, alphabet: &Alphabet, end: &mut End) {
        if self.before().octet() == b'0' {
            self.numbers.pop();
        }
        self.cut(self.count - 1);
        self.push_number(
            alphabet.symbol('0'),
            Number { digits: 1, is_of_shops: false, is_masked: true },
        );
        *end = End { last: Last::Digit, han_run: end.han_run, ..End::default() };
    }

    /// One space for many, none at the start.
    fn put_space(&mut self, space: Symbol, end: &mut End) {
        if self.count > 0 && self.before().octet() != b' ' {
            self.open_gap(false, end);
            self.push(space);
        }
    }

    /// A separator after an ideograph, or a space after a number: whether it stays is known at the next
    /// character.
    fn open_gap(&mut self, is_symbol: bool, end: &mut End) {
        match &mut end.gap {
            // After a digit only spaces go: 5.8, 10-20 and 3*4 say something.
            Some(gap) if gap.after == Last::Digit && is_symbol => end.gap = None,
            Some(gap) => gap.has_symbols |= is_symbol,
            None if end.last == Last::Han || end.last == Last::Digit && !is_symbol => {
                end.gap = Some(Gap { at: self.count, has_symbols: is_symbol, after: end.last });
            }
            None => {}
        }
        if end.gap.is_none() {
            end.last = Last::Other;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::super::marks;
    use super::super::normal::Numbers;
    use super::super::normal::tests::text;
    use super::super::reader;
    use super::*;

    /// All that symbols say, and the octets of their body in the normal form.
    fn said(symbols: &Symbols) -> impl PartialEq + std::fmt::Debug + use<> {
        let all: Vec<u32> =
            symbols.all().iter().map(|symbol| symbol.0 & !(TRADITIONAL | SIMPLIFIED)).collect();
        let undone = marks::undone(symbols.distance());
        (all, symbols.specials.clone(), symbols.numbers.clone(), undone)
    }

    static ALPHABET: LazyLock<Alphabet> =
        LazyLock::new(|| Alphabet::of(["兼职开发", "a0零,。", "【 】"].into_iter()));

    fn taken(raw: &str) -> (Symbols, Normal) {
        let (mut symbols, mut normal) = (Symbols::default(), Normal::default());
        normal.fill(raw, Numbers::Closed);
        symbols.take(&ALPHABET, &normal, raw);
        (symbols, normal)
    }

    proptest! {
        #[test]
        fn a_plain_text_says_what_its_normal_form_says(raw in text()) {
            let (all, normal) = taken(&raw);
            let octets: usize = all.all().iter().map(|symbol| symbol.octets()).sum();
            prop_assert_eq!(octets, normal.text().len());
            prop_assert_eq!(all.all().len(), normal.text().chars().count());
            let before = all.all().get(..all.body().start).unwrap_or_default();
            let start: usize = before.iter().map(|symbol| symbol.octets()).sum();
            prop_assert_eq!(start, reader::body(normal.text()).start);
            let mut plain = Symbols::default();
            if plain.take_plain(&ALPHABET, &raw) {
                prop_assert_eq!(said(&plain), said(&all));
            }
        }
    }

    #[test]
    fn most_texts_are_plain() {
        let rows = [
            ("【示例】会员4711，周末全场五折！点击 a.cn 选购。回T退订", true),
            ("尾号6****12的卡 2 笔支出9.90元 \n余额-3", true),
            ("Ｙour code is 1234. Don't share it ☺ 开發😀", true),
            ("一三八零 零", false),
            ("联系xx先生", false),
            ("讠正", false),
            ("①", false),
            ("兼\u{200b}职", false),
        ];
        for (text, wanted) in rows {
            assert_eq!(Symbols::default().take_plain(&ALPHABET, text), wanted, "{text}");
        }
    }
}
