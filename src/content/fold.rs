//! One character to its folded form, by the table `fold.tsv`: width and compatibility forms (NFKC),
//! accents, small letters, traditional to simplified, look-alikes of other alphabets, punctuation.

use std::sync::LazyLock;

const TABLE: &str = include_str!("fold.tsv");

/// Characters below this have a cell of their own; the few above are searched for.
const PLANE: usize = 0x1_0000;

/// What a folded character is, as far as joining and matching go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// An ideograph.
    Han,
    /// A letter of another script.
    Letter,
    /// A decimal digit.
    Digit,
    /// White space.
    Space,
    /// Punctuation of sentences: parts words even between ideographs.
    Stop,
    /// Everything else that shows: between ideographs it is a separator.
    Symbol,
    /// Shows nothing: default-ignorable, control, combining mark on its own.
    Dropped,
}

/// What a character does to the text behind it, as far as that is simple: for most characters, and for
/// nearly all of most texts, this is all there is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// An ideograph that stays.
    Han,
    /// One that only simplified text has.
    Simplified,
    /// One that is a Chinese digit.
    Numeral,
    /// A letter that stays, but for capitals of ASCII.
    Letter,
    /// `x`, which may mask a number.
    X,
    /// A digit of ASCII.
    Digit,
    /// Punctuation that stays, and signs that part no ideographs.
    Stop,
    /// The full stop of ASCII, which may part ideographs.
    Dot,
    /// A space of ASCII.
    Space,
    /// A symbol that stays, or goes where it parts ideographs.
    Symbol,
    /// Punctuation that becomes one of ASCII.
    Narrow,
    /// Everything else: only the [`Cell`] says what becomes of it.
    Other,
}

/// A folded character with what folding it says.
///
/// Bits 0 to 20: the character, or the number of a longer form. 21 to 23: its [`Sort`]. Then flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell(u32);

const CODE: u32 = (1 << 21) - 1;
const SORT_SHIFT: u32 = 21;
/// The code is an index of [`Fold::long`].
const LONG: u32 = 1 << 24;
/// A traditional form.
const TRADITIONAL: u32 = 1 << 25;
/// A form that only simplified text has.
const SIMPLIFIED: u32 = 1 << 26;
/// A letter or digit of another alphabet or in a circle, bracket or other style.
const STYLED: u32 = 1 << 27;
/// A digit or word of a Chinese number.
const NUMERAL: u32 = 1 << 28;
/// Came from another character in some other way.
const WIDTH: u32 = 1 << 31;
/// Stands for a part of an ideograph.
const PART: u32 = 1 << 30;
/// For private use: whatever the sender's font says.
const PRIVATE: u32 = 1 << 29;

impl Cell {
    fn of(c: char) -> Cell {
        Cell(u32::from(c) | (sort(c) as u32) << SORT_SHIFT)
    }

    /// The folded character; `None` where it has a longer form.
    pub(super) fn character(self) -> Option<char> {
        if self.0 & LONG == 0 { char::from_u32(self.0 & CODE) } else { None }
    }

    pub(super) fn sort(self) -> Sort {
        const SORTS: [Sort; 8] = [
            Sort::Han,
            Sort::Letter,
            Sort::Digit,
            Sort::Space,
            Sort::Stop,
            Sort::Symbol,
            Sort::Dropped,
            Sort::Dropped,
        ];
        SORTS.get((self.0 >> SORT_SHIFT & 7) as usize).copied().unwrap_or(Sort::Dropped)
    }

    /// Whether it says anything of how far the raw text is from its normal form.
    pub(super) fn is_evidence(self) -> bool {
        self.0 & (TRADITIONAL | SIMPLIFIED | STYLED | PRIVATE) != 0 || self.sort() == Sort::Dropped
    }

    pub(super) fn is_traditional(self) -> bool {
        self.0 & TRADITIONAL != 0
    }

    pub(super) fn is_simplified(self) -> bool {
        self.0 & SIMPLIFIED != 0
    }

    pub(super) fn is_styled(self) -> bool {
        self.0 & STYLED != 0
    }

    pub(super) fn is_numeral(self) -> bool {
        self.0 & NUMERAL != 0
    }

    pub(super) fn is_private(self) -> bool {
        self.0 & PRIVATE != 0
    }

    /// Whether the folded character and its sort say all that joining needs, forms aside.
    pub(super) fn is_plain(self) -> bool {
        self.0 & (LONG | STYLED | PRIVATE) == 0 && self.sort() != Sort::Dropped
    }

    /// What a character of this cell does.
    fn step(self, c: char) -> Step {
        let Some(folded) = self.character() else { return Step::Other };
        let flags = self.0 & (TRADITIONAL | SIMPLIFIED | STYLED | NUMERAL | PRIVATE | PART | WIDTH);
        match (flags, self.sort()) {
            (0, Sort::Han) => Step::Han,
            (SIMPLIFIED, Sort::Han) => Step::Simplified,
            (NUMERAL, Sort::Han) => Step::Numeral,
            (0, Sort::Letter) if folded == 'x' => Step::X,
            (0, Sort::Letter) => Step::Letter,
            (0, Sort::Digit) => Step::Digit,
            (0, Sort::Stop) if folded == '.' => Step::Dot,
            (0, Sort::Stop) => Step::Stop,
            (0, Sort::Space) if c == ' ' => Step::Space,
            (0, Sort::Symbol) if is_kept(folded) => Step::Stop,
            (0, Sort::Symbol) if folded != '*' => Step::Symbol,
            (WIDTH, Sort::Stop) if folded.is_ascii() && folded != '.' => Step::Narrow,
            _ => Step::Other,
        }
    }
}

/// Whether a symbol stays between ideographs: it says something.
pub(super) fn is_kept(symbol: char) -> bool {
    matches!(symbol, '¥' | '%' | '$')
}

/// The table.
pub(super) struct Fold {
    plane: Box<[Cell; PLANE]>,
    /// An octet for each of them, so that the characters of many texts stay in the nearest cache.
    steps: Box<[Step; PLANE]>,
    /// Above the first plane, ascending.
    astral: Vec<(char, Cell)>,
    long: Vec<&'static str>,
}

/// The table of this build, made at the first use.
pub(super) fn table() -> &'static Fold {
    static FOLD: LazyLock<Fold> = LazyLock::new(|| Fold::parse(TABLE));
    &FOLD
}

impl Fold {
    /// How a character folds.
    pub(super) fn cell(&self, c: char) -> Cell {
        if let Some(cell) = self.plane.get(c as usize) {
            return *cell;
        }
        match self.astral.binary_search_by_key(&c, |(source, _)| *source) {
            Ok(at) => self.astral.get(at).map_or_else(|| Cell::of(c), |(_, cell)| *cell),
            Err(_) => Cell::of(c),
        }
    }

    /// What a character of the first plane does.
    #[inline]
    pub(super) fn step(&self, code: u16) -> Step {
        self.steps[usize::from(code)]
    }

    /// The longer form of a cell without a character.
    pub(super) fn long(&self, cell: Cell) -> &'static str {
        self.long.get((cell.0 & CODE) as usize).copied().unwrap_or_default()
    }

    fn parse(table: &'static str) -> Fold {
        let plane = (0..PLANE as u32).map(|code| match char::from_u32(code) {
            Some(c) => Cell::of(c.to_ascii_lowercase()),
            None => Cell((Sort::Dropped as u32) << SORT_SHIFT),
        });
        let mut whole = Box::new([Cell(0); PLANE]);
        whole.iter_mut().zip(plane).for_each(|(slot, cell)| *slot = cell);
        let steps = Box::new([Step::Other; PLANE]);
        let mut fold = Fold { plane: whole, steps, astral: Vec::new(), long: Vec::new() };
        let mut section = "";
        for line in table.lines().filter(|line| !line.starts_with("# ")) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name;
            } else if let Some((target, sources)) = line.split_once('\t') {
                fold.put(section, target, sources);
            }
        }
        fold.astral.sort_by_key(|(source, _)| *source);
        for c in "〇零一二三四五六七八九壹贰叁肆伍陆柒捌玖幺".chars() {
            fold.flag(c, NUMERAL);
        }
        for part in super::radical::PARTS {
            fold.flag(part, PART);
        }
        for private in '\u{e000}'..='\u{f8ff}' {
            fold.flag(private, PRIVATE);
        }
        for ((slot, cell), code) in fold.steps.iter_mut().zip(fold.plane.iter()).zip(0..) {
            *slot = char::from_u32(code).map_or(Step::Other, |c| cell.step(c));
        }
        fold
    }

    fn put(&mut self, section: &str, target: &'static str, sources: &str) {
        let mut characters = target.chars();
        let mut cell = match (characters.next(), characters.next()) {
            (Some(only), None) => Cell::of(only),
            _ => {
                self.long.push(target);
                let index = self.long.len() as u32 - 1;
                Cell(index | (Sort::Symbol as u32) << SORT_SHIFT | LONG)
            }
        };
        if section == "traditional" {
            cell.0 |= TRADITIONAL;
            target.chars().for_each(|c| self.flag(c, SIMPLIFIED));
        }
        for source in sources.chars() {
            let is_full_width = ('\u{ff01}'..='\u{ff5e}').contains(&source);
            let is_word = matches!(cell.sort(), Sort::Letter | Sort::Digit) || cell.0 & LONG != 0;
            let is_accented = ('\u{c0}'..='\u{24f}').contains(&source)
                || source > '\u{1e00}' && source < '\u{1eff}';
            let is_styled = is_word && !is_full_width && !is_accented && section != "traditional";
            // Whatever another character becomes has a flag; WIDTH where nothing else says so.
            let flags = if is_styled { STYLED } else { WIDTH };
            let cell = Cell(cell.0 | flags);
            match self.plane.get_mut(source as usize) {
                Some(slot) => *slot = cell,
                None => self.astral.push((source, cell)),
            }
        }
    }

    fn flag(&mut self, c: char, flag: u32) {
        if let Some(cell) = self.plane.get_mut(c as usize) {
            cell.0 |= flag;
        }
    }
}

/// What a character is that folds to itself.
fn sort(c: char) -> Sort {
    match c {
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => Sort::Han,
        '\u{2e80}'..='\u{2fdf}' | '\u{20000}'..='\u{3ffff}' | '〇' => Sort::Han,
        '0'..='9' => Sort::Digit,
        ',' | '.' | '!' | '?' | ':' | ';' | '。' | '、' => Sort::Stop,
        '(' | ')' | '[' | ']' | '【' | '】' | '《' | '》' | '<' | '>' | '"' | '\'' => {
            Sort::Stop
        }
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => {
            Sort::Dropped
        }
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => {
            Sort::Dropped
        }
        '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => {
            Sort::Dropped
        }
        '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => Sort::Dropped,
        '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20ff}' | '\u{1ab0}'..='\u{1aff}' => Sort::Dropped,
        '\u{fe20}'..='\u{fe2f}' | '\u{302a}'..='\u{302f}' | '\u{3099}' | '\u{309a}' => {
            Sort::Dropped
        }
        _ if c.is_whitespace() => Sort::Space,
        _ if c.is_control() => Sort::Dropped,
        // Letters that no text between ideographs has a use for part them like any symbol.
        '\u{530}'..='\u{1dff}' | '\u{2c00}'..='\u{3040}' | '\u{3100}'..='\u{312f}' => Sort::Symbol,
        _ if c.is_alphabetic() => Sort::Letter,
        _ => Sort::Symbol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(c: char) -> String {
        let cell = table().cell(c);
        cell.character().map_or_else(|| table().long(cell).to_owned(), String::from)
    }

    #[test]
    fn characters_fold_by_the_table() {
        let rows = [
            ('Ａ', "a"),
            ('ｚ', "z"),
            ('É', "e"),
            ('開', "开"),
            ('①', "1"),
            ('⑩', "10"),
            ('❸', "3"),
            ('㎡', "m2"),
            ('А', "a"),
            ('ο', "o"),
            ('，', ","),
            ('。', "。"),
            ('｡', "。"),
            ('𝟏', "1"),
            ('龍', "龙"),
            ('后', "后"),
            ('Σ', "o"),
            ('乾', "乾"),
        ];
        for (source, target) in rows {
            assert_eq!(folded(source), target, "{source}");
        }
    }

    #[test]
    fn folding_twice_is_folding_once() {
        for source in (0..0x11_0000).filter_map(char::from_u32) {
            let once = folded(source);
            let twice: String = once.chars().map(folded).collect();
            assert_eq!(once, twice, "U+{:04X}", u32::from(source));
        }
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = TABLE.lines().filter(|line| !line.starts_with("# ") && line.len() > 2);
        let rows = lines.filter(|line| !(line.starts_with('[') && line.ends_with(']')));
        assert!(rows.clone().count() > 5000);
        for row in rows {
            let (target, sources) = row.split_once('\t').expect("target, TAB, sources");
            assert!(!target.is_empty() && !sources.is_empty(), "{row}");
        }
    }
}
