//! A keyword in its one form, and the folding that brings all its spellings there.

use std::fmt;

/// The longest keyword, in octets of its folded UTF-8: 24 letters and digits, or 8 ideographs.
pub const KEYWORD_OCTETS_MAX: usize = 24;

/// A word to reply with, folded: `ＴＤ`, `td`, `T D` and `“TD”。` are all `TD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyword {
    // Unused octets are zero, so that the derived order is that of the text.
    octets: [u8; KEYWORD_OCTETS_MAX],
    len: u8,
}

impl Keyword {
    /// Folds a written keyword. `None` when nothing of it is a letter or digit, or when more than
    /// [`KEYWORD_OCTETS_MAX`] octets are.
    pub fn new(written: &str) -> Option<Self> {
        let mut word = Self { octets: [0; KEYWORD_OCTETS_MAX], len: 0 };
        for folded in fold(written) {
            if let Folded::Said(c) = folded {
                word.push(c)?;
            }
        }
        (word.len > 0).then_some(word)
    }

    fn push(&mut self, c: char) -> Option<()> {
        let start = usize::from(self.len);
        let end = start.checked_add(c.len_utf8())?;
        c.encode_utf8(self.octets.get_mut(start..end)?);
        self.len = u8::try_from(end).ok()?;
        Some(())
    }

    /// The folded text: never empty.
    pub fn as_str(&self) -> &str {
        let octets = self.octets.get(..usize::from(self.len)).unwrap_or_default();
        str::from_utf8(octets).unwrap_or_default()
    }
}

impl fmt::Debug for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// What one character becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folded {
    /// A letter or digit: capital, half width, without accent, simplified.
    Said(char),
    /// Blank, punctuation mark, emoji, control: it stands between words.
    Between,
}

/// Folds a text one character at a time. What a handset does not show is dropped.
pub(super) fn fold(text: &str) -> impl Iterator<Item = Folded> {
    text.chars().flat_map(|c| narrow(c).to_uppercase()).filter(|c| !is_unseen(*c)).map(|c| {
        if c.is_alphanumeric() && !is_enclosed(c) {
            Folded::Said(simplified(unaccented(c)))
        } else {
            Folded::Between
        }
    })
}

/// Full-width forms (U+FF01 to U+FF5E) to ASCII.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => {
            u32::from(c).checked_sub(0xfee0).and_then(char::from_u32).unwrap_or(c)
        }
        _ => c,
    }
}

/// Soft hyphen, zero-width and bidirectional marks, joiners, variation selectors, tags, and the
/// accents that combine (domain of Unicode's Default_Ignorable_Code_Point, and U+0300 to U+036F).
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}'
        | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// Letters in squares and circles, flags among them: emoji, though Unicode calls them alphabetic.
fn is_enclosed(c: char) -> bool {
    matches!(c, '\u{1f100}'..='\u{1f1ff}')
}

/// The Latin capitals with accents that keyboards offer, to ASCII.
fn unaccented(c: char) -> char {
    match c {
        'À'..='Å' => 'A',
        'Ç' => 'C',
        'È'..='Ë' => 'E',
        'Ì'..='Ï' | 'İ' => 'I',
        'Ñ' => 'N',
        'Ò'..='Ö' => 'O',
        'Ù'..='Ü' => 'U',
        _ => c,
    }
}

/// The traditional characters that occur in the words of this module, to simplified ones.
fn simplified(c: char) -> char {
    match c {
        '訂' => '订',
        '閱' | '閲' => '阅',
        '發' => '发',
        '絕' | '絶' => '绝',
        '擾' => '扰',
        '別' => '别',
        '給' => '给',
        '復' | '複' | '覆' => '复',
        '願' => '愿',
        '請' => '请',
        '謝' => '谢',
        '幫' => '帮',
        '煩' => '烦',
        '馬' => '马',
        '廣' => '广',
        '訊' => '讯',
        '簡' => '简',
        '認' => '认',
        '確' => '确',
        '這' => '这',
        '條' => '条',
        '們' => '们',
        '囉' => '啰',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_spellings_of_a_keyword_are_one() {
        let rows = [
            ("TD", "TD"),
            ("ｔｄ", "TD"),
            (" “T\u{200b}D”。", "TD"),
            ("T-D", "TD"),
            ("退\u{3000}訂", "退订"),
            ("arrêt", "ARRET"),
            ("arre\u{302}t", "ARRET"),
            ("００００", "0000"),
            ("🇹🇩TD🅰", "TD"),
            ("XFDXTD92", "XFDXTD92"),
        ];
        for (written, folded) in rows {
            assert_eq!(Keyword::new(written).expect(written).as_str(), folded);
        }
    }

    #[test]
    fn a_keyword_has_its_length() {
        assert_eq!(Keyword::new(""), None);
        assert_eq!(Keyword::new("。 🙂\u{200b}"), None);
        assert!(Keyword::new(&"T".repeat(KEYWORD_OCTETS_MAX)).is_some());
        assert_eq!(Keyword::new(&"T".repeat(KEYWORD_OCTETS_MAX + 1)), None);
        assert!(Keyword::new(&"退".repeat(KEYWORD_OCTETS_MAX / 3)).is_some());
        assert_eq!(Keyword::new(&"退".repeat(KEYWORD_OCTETS_MAX / 3 + 1)), None);
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(written in any::<String>()) {
            if let Some(word) = Keyword::new(&written) {
                prop_assert_eq!(Keyword::new(word.as_str()), Some(word));
            }
        }

        #[test]
        fn every_character_folds_to_itself_the_second_time(c in any::<char>()) {
            let once: Vec<Folded> = fold(&c.to_string()).collect();
            for folded in once {
                if let Folded::Said(said) = folded {
                    let again: Vec<Folded> = fold(&said.to_string()).collect();
                    prop_assert_eq!(again, vec![folded]);
                }
            }
        }
    }
}
