//! The normal form of a text: what it says once the tricks against filters are undone. For matching
//! only; records keep the raw text. A map leads back to it, and what was undone is counted.
//!
//! Undone are: width, style, accents and case; traditional forms; look-alike letters; invisible
//! characters; separators between ideographs (`兼-职`, `兼 职`); numbers in Chinese digits; split
//! characters (`讠正`). Folding the folded form changes nothing.

use super::Span;
use super::fold::{self, Cell, Fold, Sort, Step};
use super::radical;

/// Longest text that is looked at, in octets of UTF-8; the rest is not. A message of 255 parts stays
/// below it, and so does a message_payload of 64 KiB in any alphabet.
pub const TEXT_OCTETS_MAX: usize = 256 * 1024;

/// Chinese digits in a row from which on they are a number, as in 一三八零零.
pub(super) const NUMERALS_MIN: usize = 5;

/// Chinese digits in a row that are one number at most.
const NUMERALS_MAX: usize = 40;

/// What becomes of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// They stay.
    Kept,
    /// Each run of digits becomes one `0`, and so does a run of `x` or `*` that masks one.
    Closed,
}

/// How far the raw text is from its normal form: what was undone, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distance {
    /// Invisible characters.
    pub invisible: u32,
    /// Symbols that stood between two ideographs.
    pub gaps: u32,
    /// Ideographs that stood alone between spaces.
    pub spaced: u32,
    /// Letters and digits of other alphabets or styles.
    pub styled: u32,
    /// Traditional forms.
    pub traditional: u32,
    /// Forms that only simplified text has: not undone, but with the former they tell mixing.
    pub simplified: u32,
    /// Split characters.
    pub split: u32,
    /// Private-use characters.
    pub private: u32,
    /// Numbers in Chinese digits.
    pub numerals: u32,
}

/// A normal form, kept from text to text so that nothing is allocated for the next.
#[derive(Clone, Debug, Default)]
pub struct Normal {
    text: String,
    /// Which raw octets `text` came from, from its start to its end.
    from: Vec<Origin>,
    distance: Distance,
    /// The last character was kept and is this; what follows decides about separators.
    last: Option<Sort>,
    /// Since the last ideograph: where separators began, in `text`.
    gap: Option<Gap>,
    /// Ideographs since the last separator.
    han_run: u32,
    /// Chinese digits up to here: how many, and where they began in `text`.
    numerals: (usize, usize),
    /// A word of `x` alone up to here: where it began in `text`.
    mask: Option<usize>,
    /// The last ideograph was a part of one.
    is_part: bool,
    /// What was folded last by [`Normal::fold`], where it still is what stands here.
    raw: String,
    holds: bool,
}

/// What stands in the normal form from octet `at` on, and the raw octets behind it.
#[derive(Clone, Copy, Debug)]
struct Origin {
    at: u32,
    raw: Span,
    /// A stretch of characters, each as long as it was in the raw text. Otherwise one character.
    is_stretch: bool,
    /// Of a closed number: its digits. Otherwise 1.
    digits: u32,
}

impl Origin {
    /// The stretch cut in two at octet `at` of the normal form.
    fn split(self, at: usize) -> (Origin, Origin) {
        let border = self.raw.start + (at as u32).saturating_sub(self.at);
        let left = Origin { raw: Span { end: border, ..self.raw }, ..self };
        let right = Origin { at: at as u32, raw: Span { start: border, ..self.raw }, ..self };
        (left, right)
    }
}

#[derive(Clone, Copy, Debug)]
struct Gap {
    at: usize,
    symbols: u32,
    after: Option<Sort>,
}

impl Normal {
    /// The normal form.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How far the raw text was from it.
    pub fn distance(&self) -> Distance {
        self.distance
    }

    /// The raw octets behind octets `start..end` of the normal form.
    pub fn raw(&self, start: usize, end: usize) -> Span {
        let raw = |at: usize| self.raw_of(at).unwrap_or_default();
        let first = raw(start);
        let last = end.checked_sub(1).map_or(first, raw);
        Span { start: first.start, end: last.end.max(first.start) }
    }

    /// The raw octets behind the digit at octet `at`, and how many digits it stands for.
    pub(super) fn number(&self, at: usize) -> (Span, u32) {
        match self.origin(at) {
            Some(origin) if origin.is_stretch => {
                let start = origin.raw.start + (at as u32).saturating_sub(origin.at);
                (Span { start, end: start + 1 }, origin.digits)
            }
            Some(origin) => (origin.raw, origin.digits),
            None => (Span::default(), 1),
        }
    }

    fn origin(&self, at: usize) -> Option<&Origin> {
        let after = self.from.partition_point(|origin| origin.at as usize <= at);
        after.checked_sub(1).and_then(|place| self.from.get(place))
    }

    /// The raw octets behind the character that octet `at` belongs to.
    fn raw_of(&self, at: usize) -> Option<Span> {
        let origin = self.origin(at)?;
        if !origin.is_stretch {
            return Some(origin.raw);
        }
        let start = self.text.floor_char_boundary(at);
        let end = self.text.ceil_char_boundary(at + 1);
        let raw = |at: usize| origin.raw.start + (at as u32).saturating_sub(origin.at);
        Some(Span { start: raw(start), end: raw(end) })
    }

    /// Folds a text into this, numbers kept. The same text again costs a comparison: lists and ways to
    /// refuse are looked for one after the other.
    pub fn fold(&mut self, raw: &str) {
        if self.holds && self.raw == raw {
            return;
        }
        self.fill(raw, Numbers::Kept);
        self.raw.clear();
        self.raw.push_str(raw);
        self.holds = true;
    }

    pub(super) fn fill(&mut self, raw: &str, numbers: Numbers) {
        self.clear();
        let fold = fold::table();
        let mut rest = raw.get(..raw.ceil_char_boundary(TEXT_OCTETS_MAX)).unwrap_or(raw);
        let mut at = 0;
        while let Some(c) = rest.chars().next() {
            let (octets, next) = match self.waits(fold, c) {
                true => (0, Step::Other),
                false => self.take_stretch(fold, numbers, rest, at),
            };
            at += octets;
            rest = rest.get(octets..).unwrap_or_default();
            let Some(c) = rest.chars().next() else { break };
            let octets = match next {
                Step::Digit => self.take_number(rest, at),
                Step::Narrow => self.take_narrow(fold, c, at),
                _ => {
                    self.take(fold, numbers, c, Span::new(at, at + c.len_utf8()));
                    c.len_utf8()
                }
            };
            at += octets;
            rest = rest.get(octets..).unwrap_or_default();
        }
        self.end_numerals(numbers);
        self.end_mask(numbers, None);
        let kept = self.text.trim_end_matches(' ').len();
        if kept < self.text.len() {
            self.cut(kept);
        }
    }

    /// Whether what stands at the end may still change with the character that follows.
    fn waits(&mut self, fold: &Fold, next: char) -> bool {
        if self.numerals.0 > 0 || self.mask.is_some() || self.is_part {
            return true;
        }
        if self.gap.is_some() {
            let step = u16::try_from(u32::from(next)).map_or(Step::Other, |code| fold.step(code));
            if matches!(step, Step::Letter | Step::Stop | Step::Narrow) {
                self.gap = None;
            }
        }
        self.gap.is_some()
    }

    /// Takes the characters at the start of `rest` that change nothing but by standing there, which most
    /// do. Says how many octets these are and what comes next. What it does, [`Normal::take`] would do as
    /// well, one by one.
    fn take_stretch(
        &mut self,
        fold: &Fold,
        numbers: Numbers,
        rest: &str,
        at: usize,
    ) -> (usize, Step) {
        let (mut last, mut han_run, mut numerals) = (self.last, self.han_run, 0);
        let (mut simplified, mut has_capitals) = (0, false);
        let (mut left, mut next) = (rest.as_bytes(), Step::Other);
        while let Some((code, behind)) = first_code(left) {
            let step = fold.step(code);
            last = match step {
                Step::Han | Step::Simplified => {
                    simplified += u32::from(step == Step::Simplified);
                    han_run = if last == Some(Sort::Han) { han_run + 1 } else { 1 };
                    numerals = 0;
                    Some(Sort::Han)
                }
                Step::Numeral => {
                    if last != Some(Sort::Han) {
                        (numerals, han_run) = (0, 0);
                    } else if numerals == NUMERALS_MIN - 1 {
                        next = step;
                        break;
                    }
                    (numerals, han_run) = (numerals + 1, han_run + 1);
                    Some(Sort::Han)
                }
                Step::Letter => {
                    has_capitals |= (0x41..=0x5a).contains(&code);
                    Some(Sort::Letter)
                }
                Step::X if last == Some(Sort::Letter) => {
                    has_capitals |= code == 0x58;
                    last
                }
                Step::Digit if numbers == Numbers::Kept => {
                    han_run = if last == Some(Sort::Han) { han_run } else { 0 };
                    Some(Sort::Digit)
                }
                Step::Stop => Some(Sort::Stop),
                // Behind an ideograph it may be a separator.
                Step::Dot | Step::Symbol if last != Some(Sort::Han) => Some(Sort::Stop),
                Step::Space if matches!(last, Some(Sort::Letter | Sort::Stop | Sort::Symbol)) => {
                    Some(Sort::Space)
                }
                _ => {
                    next = step;
                    break;
                }
            };
            left = behind;
        }
        let length = rest.len() - left.len();
        if length > 0 {
            (self.last, self.han_run) = (last, han_run);
            self.distance.simplified += simplified;
            self.push_stretch(rest.get(..length).unwrap_or_default(), at, has_capitals);
            if last == Some(Sort::Han) {
                self.numerals = (numerals, self.text.len() - numerals * NUMERAL_OCTETS);
            }
        }
        (length, next)
    }

    /// Punctuation that becomes one of ASCII.
    fn take_narrow(&mut self, fold: &Fold, c: char, at: usize) -> usize {
        if let Some(folded) = fold.cell(c).character() {
            self.push(folded, Span::new(at, at + c.len_utf8()));
        }
        self.numerals = (0, 0);
        self.last = Some(Sort::Stop);
        c.len_utf8()
    }

    /// The digits at the start of `rest`, closed.
    fn take_number(&mut self, rest: &str, at: usize) -> usize {
        let count = rest.bytes().take_while(u8::is_ascii_digit).count();
        if self.last != Some(Sort::Han) || count > 1 {
            self.han_run = 0;
        }
        let end = at + count;
        if self.last == Some(Sort::Digit) {
            self.stretch(end as u32, count as u32);
        } else {
            let (text_at, raw) = (self.text.len() as u32, Span::new(at, end));
            let digits = count as u32;
            self.from.push(Origin { at: text_at, raw, is_stretch: false, digits });
            self.text.push('0');
        }
        self.numerals = (0, 0);
        self.last = Some(Sort::Digit);
        count
    }

    /// Characters as they are, but for capital letters.
    fn push_stretch(&mut self, stretch: &str, at: usize, has_capitals: bool) {
        let begin = self.text.len();
        self.text.push_str(stretch);
        if has_capitals && let Some(taken) = self.text.get_mut(begin..) {
            taken.make_ascii_lowercase();
        }
        self.push_same(begin, Span::new(at, at + stretch.len()));
    }

    /// From octet `at` on each character is as long as it was in the raw text.
    fn push_same(&mut self, at: usize, raw: Span) {
        match self.from.last_mut() {
            Some(last) if last.is_stretch && last.raw.end == raw.start => last.raw.end = raw.end,
            Some(_) | None => {
                self.from.push(Origin { at: at as u32, raw, is_stretch: true, digits: 1 });
            }
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.from.clear();
        self.distance = Distance::default();
        self.last = None;
        self.gap = None;
        self.han_run = 0;
        self.numerals = (0, 0);
        self.mask = None;
        self.is_part = false;
        self.holds = false;
    }

    #[inline]
    fn take(&mut self, fold: &Fold, numbers: Numbers, c: char, span: Span) {
        let cell = fold.cell(c);
        if cell.is_evidence() {
            self.count(cell);
        }
        match cell.character() {
            Some(folded) => self.put(numbers, cell, folded, cell.sort(), span),
            None => {
                for folded in fold.long(cell).chars() {
                    let sort = fold.cell(folded).sort();
                    self.put(numbers, cell, folded, sort, span);
                }
            }
        }
    }

    fn count(&mut self, cell: Cell) {
        let distance = &mut self.distance;
        distance.styled += u32::from(cell.is_styled());
        distance.traditional += u32::from(cell.is_traditional());
        distance.simplified += u32::from(cell.is_simplified());
        distance.private += u32::from(cell.is_private());
        distance.invisible += u32::from(cell.sort() == Sort::Dropped);
    }

    #[inline]
    fn put(&mut self, numbers: Numbers, cell: Cell, c: char, sort: Sort, span: Span) {
        if sort == Sort::Dropped || cell.is_private() {
            return;
        }
        let is_open = cell.is_numeral() || sort == Sort::Space || is_separator(c, sort);
        if self.numerals.0 > 0 && (!is_open || self.numerals.0 == NUMERALS_MAX) {
            self.end_numerals(numbers);
        }
        if self.mask.is_some() && sort != Sort::Letter {
            self.end_mask(numbers, Some(sort));
        }
        match sort {
            Sort::Han => self.put_han(cell, c, span),
            Sort::Digit => self.put_digit(numbers, c, span),
            Sort::Letter => self.put_letter(c, span),
            Sort::Space => self.put_space(span),
            Sort::Stop | Sort::Symbol => self.put_mark(numbers, c, sort, span),
            Sort::Dropped => {}
        }
    }

    fn put_han(&mut self, cell: Cell, c: char, span: Span) {
        self.close_gap(Sort::Han);
        if self.is_part
            && let Some(left) = self.text.chars().next_back()
            && let Some(whole) = radical::whole(left, c)
        {
            let at = self.text.len() - left.len_utf8();
            let start = self.raw(at, self.text.len()).start;
            self.cut(at);
            self.push(whole, Span { start, end: span.end });
            self.distance.split += 1;
        } else {
            if cell.is_numeral() {
                let began = if self.numerals.0 == 0 { self.text.len() } else { self.numerals.1 };
                self.numerals = (self.numerals.0 + 1, began);
            }
            self.push(c, span);
        }
        self.is_part = radical::is_part(c);
        self.han_run += 1;
        self.last = Some(Sort::Han);
    }

    fn put_digit(&mut self, numbers: Numbers, c: char, span: Span) {
        self.close_gap(Sort::Digit);
        match numbers {
            Numbers::Kept => self.push(c, span),
            Numbers::Closed => self.push_zero(span),
        }
        self.last = Some(Sort::Digit);
    }

    fn put_letter(&mut self, c: char, span: Span) {
        self.gap = None;
        match (c, self.last, self.mask) {
            ('x', Some(Sort::Letter), None) => {}
            ('x', _, None) => self.mask = Some(self.text.len()),
            ('x', _, Some(_)) => {}
            _ => self.mask = None,
        }
        self.push(c, span);
        self.last = Some(Sort::Letter);
    }

    /// One space for many, none at the start; between ideographs and digits none at all.
    fn put_space(&mut self, span: Span) {
        if self.text.is_empty() || self.text.ends_with(' ') {
            return;
        }
        self.open_gap(0);
        self.push(' ', span);
        if self.gap.is_none() {
            self.last = Some(Sort::Space);
        }
    }

    fn put_mark(&mut self, numbers: Numbers, c: char, sort: Sort, span: Span) {
        let is_mask = c == '*' && numbers == Numbers::Closed && self.text.ends_with(['*', '0']);
        if is_mask {
            self.end_numerals(numbers);
            let at = self.text.len() - 1;
            let start = self.raw(at, self.text.len()).start;
            self.cut(at);
            self.push_zero(Span { start, end: span.end });
            self.gap = None;
            self.last = Some(Sort::Digit);
            return;
        }
        if is_separator(c, sort) {
            self.open_gap(1);
        } else {
            self.gap = None;
        }
        self.push(c, span);
        if self.gap.is_none() {
            self.last = Some(sort);
        }
    }

    /// A separator after an ideograph: whether it stays is known at the next character.
    fn open_gap(&mut self, symbols: u32) {
        match &mut self.gap {
            // After a digit only spaces go: 5.8, 10-20 and 3*4 say something.
            Some(gap) if gap.after == Some(Sort::Digit) && symbols > 0 => self.gap = None,
            Some(gap) => gap.symbols += symbols,
            None if self.last == Some(Sort::Han)
                || self.last == Some(Sort::Digit) && symbols == 0 =>
            {
                self.gap = Some(Gap { at: self.text.len(), symbols, after: self.last });
            }
            None => {}
        }
    }

    /// An ideograph or digit follows: separators after an ideograph go.
    fn close_gap(&mut self, next: Sort) {
        let is_between_digits = |gap: &Gap| (gap.after, next) == (Some(Sort::Digit), Sort::Digit);
        if let Some(gap) = self.gap.take_if(|gap| !is_between_digits(gap)) {
            self.cut(gap.at);
            let is_inside = (gap.after, next) == (Some(Sort::Han), Sort::Han);
            self.distance.gaps += u32::from(gap.symbols > 0 && is_inside);
            self.distance.spaced += u32::from(gap.symbols == 0 && self.han_run == 1);
            self.han_run = 0;
        } else if self.last != Some(Sort::Han) {
            self.han_run = 0;
        }
        self.gap = None;
    }

    /// Chinese digits end here, or with separators behind them: enough of them are a number.
    fn end_numerals(&mut self, numbers: Numbers) {
        let (count, began) = std::mem::take(&mut self.numerals);
        if count < NUMERALS_MIN {
            return;
        }
        self.distance.numerals += 1;
        (0..=count).for_each(|step| self.part(began + step * NUMERAL_OCTETS));
        let first = self.from.partition_point(|origin| (origin.at as usize) < began);
        let mut saved = 0;
        for step in 0..count {
            let at = began + step * NUMERAL_OCTETS - saved;
            let Some(digit) = self.text.get(at..at + NUMERAL_OCTETS).and_then(value) else { break };
            let is_kept = step == 0 || numbers == Numbers::Kept;
            let shown = if step == 0 && numbers == Numbers::Closed { "0" } else { digit };
            self.text.replace_range(at..at + NUMERAL_OCTETS, if is_kept { shown } else { "" });
            saved += NUMERAL_OCTETS - usize::from(is_kept);
            if is_kept && let Some(origin) = self.from.get_mut(first + step) {
                origin.at = at as u32;
                origin.is_stretch = false;
            }
        }
        if numbers == Numbers::Closed && first + count <= self.from.len() {
            let end = self.from.get(first + count - 1).map_or(0, |last| last.raw.end);
            self.from.drain(first + 1..first + count);
            if let Some(number) = self.from.get_mut(first) {
                number.raw.end = end;
                number.digits = count as u32;
            }
        }
        let behind = if numbers == Numbers::Kept { first + count } else { first + 1 };
        self.from.iter_mut().skip(behind).for_each(|origin| origin.at -= saved as u32);
        if let Some(gap) = &mut self.gap {
            gap.at -= saved;
            gap.after = Some(Sort::Digit);
        } else {
            self.last = Some(Sort::Digit);
        }
    }

    /// A word of `x` alone ends here: beside ideographs and digits it masks a number.
    fn end_mask(&mut self, numbers: Numbers, next: Option<Sort>) {
        let Some(at) = self.mask.take() else { return };
        let before = self.text.get(..at).and_then(|head| head.chars().next_back());
        let is_beside = |c: char| matches!(fold::table().cell(c).sort(), Sort::Han | Sort::Digit);
        let is_number =
            before.is_some_and(is_beside) || matches!(next, Some(Sort::Han | Sort::Digit));
        if numbers == Numbers::Closed && is_number {
            let span = self.raw(at, self.text.len());
            let masked = (self.text.len() - at) as u32;
            self.cut(at);
            self.push_zero(span);
            self.stretch(span.end, masked.saturating_sub(1));
            self.last = Some(Sort::Digit);
        }
    }

    #[inline]
    fn push(&mut self, c: char, span: Span) {
        // TEXT_OCTETS_MAX and the longest folded form keep the normal form far below 4 GiB.
        let at = self.text.len();
        self.text.push(c);
        if (span.end - span.start) as usize == c.len_utf8() {
            self.push_same(at, span);
        } else {
            self.from.push(Origin { at: at as u32, raw: span, is_stretch: false, digits: 1 });
        }
    }

    /// A digit of a closed number.
    fn push_zero(&mut self, span: Span) {
        if self.text.ends_with('0') {
            self.stretch(span.end, 1);
        } else {
            self.push('0', span);
        }
    }

    /// The number that ends the text, one octet of it, has so many more digits.
    fn stretch(&mut self, end: u32, digits: u32) {
        self.part(self.text.len().saturating_sub(1));
        if let Some(last) = self.from.last_mut() {
            last.is_stretch = false;
            last.raw.end = end;
            last.digits = last.digits.saturating_add(digits);
        }
    }

    /// Sees to it that what an origin says begins at octet `at`, where a character does.
    fn part(&mut self, at: usize) {
        let after = self.from.partition_point(|origin| (origin.at as usize) < at);
        let Some(place) = after.checked_sub(1) else { return };
        let Some(origin) = self.from.get_mut(place).filter(|origin| origin.is_stretch) else {
            return;
        };
        let end = origin.at + (origin.raw.end - origin.raw.start);
        if (origin.at as usize) < at && at < end as usize {
            let (left, right) = origin.split(at);
            *origin = left;
            self.from.insert(after, right);
        }
    }

    fn cut(&mut self, octets: usize) {
        self.part(octets);
        while self.from.last().is_some_and(|last| last.at as usize >= octets) {
            self.from.pop();
        }
        self.text.truncate(octets);
    }
}

/// The first character of UTF-8 text, where it is of one octet or of three, and what stands behind it.
#[inline]
fn first_code(octets: &[u8]) -> Option<(u16, &[u8])> {
    match octets {
        [first @ 0..=0x7f, behind @ ..] => Some((u16::from(*first), behind)),
        [first @ 0xe0..=0xef, second, third, behind @ ..] => {
            let low = |octet: &u8| u16::from(octet & 0x3f);
            Some((u16::from(*first) << 12 | low(second) << 6 | low(third), behind))
        }
        _ => None,
    }
}

/// Octets of an ideograph of the first plane in UTF-8.
const IDEOGRAPH_OCTETS: usize = 3;

/// Octets of a Chinese digit in UTF-8.
const NUMERAL_OCTETS: usize = IDEOGRAPH_OCTETS;

/// Whether a mark between two ideographs only parts them.
fn is_separator(c: char, sort: Sort) -> bool {
    (sort == Sort::Symbol || c == '.') && !fold::is_kept(c)
}

/// The digit that a Chinese one means.
fn value(numeral: &str) -> Option<&'static str> {
    const FORMS: [&str; 10] =
        ["〇零", "一壹幺", "二贰", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖"];
    const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let place = FORMS.iter().position(|forms| forms.contains(numeral))?;
    DIGITS.get(place).copied()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As [`Normal::fill`], with nothing taken many at a time.
    fn fill_one_by_one(normal: &mut Normal, raw: &str, numbers: Numbers) {
        normal.clear();
        for (at, c) in raw.char_indices() {
            normal.take(fold::table(), numbers, c, Span::new(at, at + c.len_utf8()));
        }
        normal.end_numerals(numbers);
        normal.end_mask(numbers, None);
        let kept = normal.text.trim_end_matches(' ').len();
        normal.cut(kept);
    }

    /// All that a normal form says.
    fn said(normal: &Normal) -> impl PartialEq + std::fmt::Debug + use<> {
        let spans = normal.text.char_indices().map(|(at, c)| normal.raw(at, at + c.len_utf8()));
        let spans: Vec<Span> = spans.collect();
        let digits = normal.text.match_indices(|c: char| c.is_ascii_digit());
        let numbers: Vec<(Span, u32)> = digits.map(|(at, _)| normal.number(at)).collect();
        (normal.text.clone(), normal.distance, spans, numbers)
    }

    /// Characters of every sort, those that change what stands around them more often.
    pub(in super::super) fn text() -> impl Strategy<Value = String> {
        let common = "兼职開发讠正言口一二三四五六七八九零〇.。,，、 \u{200b}xX**0123aZé①㎡ａ【】-·5%¥あ\u{e000}😀";
        let common: Vec<char> = common.chars().collect();
        let one = prop_oneof![6 => prop::sample::select(common), 1 => any::<char>()];
        prop::collection::vec(one, 0..40).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn many_at_a_time_say_what_one_by_one_says(raw in text(), closed in any::<bool>()) {
            let numbers = if closed { Numbers::Closed } else { Numbers::Kept };
            let (mut many, mut single) = (Normal::default(), Normal::default());
            many.fill(&raw, numbers);
            fill_one_by_one(&mut single, &raw, numbers);
            prop_assert_eq!(said(&many), said(&single));
            for (at, c) in many.text.char_indices() {
                let span = many.raw(at, at + c.len_utf8());
                prop_assert!(!span.of(&raw).is_empty(), "{at}");
            }
        }
    }
}
