//! Whether a handset's reply ends consent, gives it, or says something else (Order 31 art. 18 and
//! 20: who refuses is left alone, and refusing meets no obstacle).
//!
//! A reply is a keyword when, folded ([`Keyword`]), nothing is left but the keyword and courtesy:
//! `ＴＤ`, `td。`, `请退订，谢谢`, `TD退订`, `please stop texting me`. Anything else in it makes it a
//! sentence, or an order: `STOP 12345`, `确认办理 260404`, `T恤有货吗`. Which side to err on:
//!
//! - A lone `N`, `取消` or `拒绝` is an opt-out, even where the last message asked to confirm an
//!   order: that costs an advertisement, a missed refusal breaks the law. The faces `:D` and `T_T`
//!   are `D` and `TT` for the same reason.
//! - A lone `NO` or `不` answers a question, and is an opt-out only when it was announced.
//! - Consent must be explicit: an opt-in is the word alone, and counts only while the caller has a
//!   consent request open to this person.

mod keyword;
mod words;

pub use keyword::{KEYWORD_OCTETS_MAX, Keyword};

use keyword::{Folded, fold};
use words::{COURTESY, OBJECT, OPT_IN, OPT_OUT, each, has};

/// The longest reply that can be a keyword, in octets of its folded UTF-8 with one blank between
/// words. A longer one is a sentence.
pub const REPLY_OCTETS_MAX: usize = 96;

/// The most words of such a reply; letters with blanks between them count one each.
pub const REPLY_WORDS_MAX: usize = 16;

/// What a handset's reply says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It ends consent: to be honoured at once, and always.
    OptOut {
        /// The word that said so.
        keyword: Keyword,
    },
    /// It gives consent, if consent was asked for.
    OptIn {
        /// The word that said so.
        keyword: Keyword,
    },
    /// Neither.
    None,
}

/// Reads a reply. `announced` are the opt-out keywords that messages from the code named
/// (`回TDZD退订`); they come before all else, so an announced `Y` refuses.
///
/// Linear in the text, and without allocation.
pub fn read(text: &str, announced: &[Keyword]) -> Reply {
    let words = Words { announced };
    let whole = Keyword::new(text);
    let refusal = whole.and_then(|keyword| words.known(keyword.as_str()));
    if let Some(keyword) = refusal.or_else(|| words.refusal(&Said::of(text)?)) {
        return Reply::OptOut { keyword };
    }
    match whole {
        Some(keyword) if has(&OPT_IN, keyword.as_str()) => Reply::OptIn { keyword },
        _ => Reply::None,
    }
}

/// The words that end consent at one code.
struct Words<'a> {
    announced: &'a [Keyword],
}

impl Words<'_> {
    /// The keyword of a refusal: what is left when courtesy is taken from both ends.
    fn refusal(&self, said: &Said) -> Option<Keyword> {
        let mut list = [""; REPLY_WORDS_MAX];
        let mut left = said.split(&mut list)?;
        let mut letters_min = 1;
        if let [first, rest @ ..] = left {
            // "TD TD": insistent, and one keyword all the same.
            if rest.iter().all(|word| word == first) && self.known(first).is_some() {
                return self.known(first);
            }
        }
        loop {
            if let Some(keyword) = self.run(Said::joined(left)?.as_str(), letters_min) {
                return Some(keyword);
            }
            let (shorter, is_object) = without_end(left)?;
            letters_min = if is_object { 2 } else { letters_min };
            left = shorter;
        }
    }

    /// A keyword in text without blanks, with Chinese courtesy about it.
    fn run(&self, text: &str, mut letters_min: usize) -> Option<Keyword> {
        let mut left = text;
        loop {
            let found = self.known(left).filter(|_| left.chars().count() >= letters_min);
            if found.is_some() {
                return found;
            }
            let Some((shorter, is_object)) = trimmed(left) else { return self.pair(left) };
            letters_min = if is_object { 2 } else { letters_min };
            left = shorter;
        }
    }

    /// `TD退订`, `退订回T`: a Latin and a Chinese keyword in one. The Latin one is what it is called.
    fn pair(&self, text: &str) -> Option<Keyword> {
        let latin_first = text.chars().next()?.is_ascii();
        let border = text.find(|c: char| c.is_ascii() != latin_first)?;
        let (first, second) = text.split_at_checked(border)?;
        let (latin, mut other) = if latin_first { (first, second) } else { (second, first) };
        let keyword = self.known(latin)?;
        while self.known(other).is_none() {
            other = trimmed(other)?.0;
        }
        Some(keyword)
    }

    fn known(&self, word: &str) -> Option<Keyword> {
        let announced = self.announced.iter().copied().find(|keyword| keyword.as_str() == word);
        announced.or_else(|| has(&OPT_OUT, word).then(|| Keyword::new(word)).flatten())
    }
}

/// Words without the courteous one at an end, the first before the last, and whether that was an
/// object.
fn without_end<'w, 's>(words: &'w [&'s str]) -> Option<(&'w [&'s str], bool)> {
    if let ["THANK", "YOU", rest @ ..] | [rest @ .., "THANK", "YOU"] = words {
        return Some((rest, false));
    }
    let [first, after @ ..] = words else { return None };
    if let Some(is_object) = courtesy(first) {
        return Some((after, is_object));
    }
    let [before @ .., last] = words else { return None };
    Some((before, courtesy(last)?))
}

/// Whether a word is courtesy (`Some(false)`), an object (`Some(true)`) or neither.
fn courtesy(word: &str) -> Option<bool> {
    if has(&COURTESY, word) {
        return Some(false);
    }
    has(&OBJECT, word).then_some(true)
}

/// Text without the Chinese courtesy at an end, and whether that was an object.
fn trimmed(text: &str) -> Option<(&str, bool)> {
    let polite = each(&COURTESY).map(|word| (word, false));
    let objects = each(&OBJECT).map(|word| (word, true));
    let mut all = polite.chain(objects).filter(|(word, _)| !word.is_ascii());
    all.find_map(|(word, is_object)| {
        let rest = text.strip_prefix(word).or_else(|| text.strip_suffix(word))?;
        Some((rest, is_object))
    })
}

/// A reply, folded, on the stack.
struct Said {
    octets: [u8; REPLY_OCTETS_MAX],
    len: usize,
}

impl Said {
    const NOTHING: Said = Said { octets: [0; REPLY_OCTETS_MAX], len: 0 };

    /// Words with one blank between them; `None` when they take more than [`REPLY_OCTETS_MAX`].
    fn of(text: &str) -> Option<Said> {
        let mut said = Said::NOTHING;
        let mut is_between = false;
        for folded in fold(text) {
            let Folded::Said(c) = folded else {
                is_between = said.len > 0;
                continue;
            };
            if std::mem::take(&mut is_between) {
                said.push(" ")?;
            }
            said.push(c.encode_utf8(&mut [0; 4]))?;
        }
        Some(said)
    }

    /// Words without anything between them.
    fn joined(words: &[&str]) -> Option<Said> {
        let mut said = Said::NOTHING;
        words.iter().try_for_each(|word| said.push(word))?;
        Some(said)
    }

    fn push(&mut self, text: &str) -> Option<()> {
        let end = self.len.checked_add(text.len())?;
        self.octets.get_mut(self.len..end)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Some(())
    }

    fn as_str(&self) -> &str {
        str::from_utf8(self.octets.get(..self.len).unwrap_or_default()).unwrap_or_default()
    }

    /// Its words in `list`; `None` when there are more than [`REPLY_WORDS_MAX`].
    fn split<'s, 'l>(&'s self, list: &'l mut [&'s str; REPLY_WORDS_MAX]) -> Option<&'l [&'s str]> {
        let mut count: usize = 0;
        for word in self.as_str().split(' ') {
            *list.get_mut(count)? = word;
            count = count.checked_add(1)?;
        }
        list.get(..count)
    }
}
