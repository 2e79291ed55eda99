//! Lists of prohibited words (Order 31 art. 17, Telecom Regulations art. 56), matched on the normal
//! form of a text, so that disguise does not help.
//!
//! # File
//!
//! UTF-8, one word or phrase a line; empty lines and lines that begin with `#` say nothing. A line
//! `# version: NAME` gives the list's version, which records name; without it the version is the
//! digest. Words are folded when they are read: traditional or full-width forms match the plain ones
//! and the other way round. A word of letters matches whole words only.

use daachorse::CharwiseDoubleArrayAhoCorasick;
use sha2::{Digest, Sha256};

use super::{Normal, Span};

/// Words of all lists at most.
pub const PROHIBITED_WORDS_MAX: usize = 200_000;

/// Characters of one word at most.
pub const PROHIBITED_CHARS_MAX: usize = 100;

/// Why a file makes no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {why}")]
pub struct ProhibitedFault {
    /// The file as it was named.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// What to change.
    pub why: String,
}

/// A prohibited word in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProhibitedMatch<'l> {
    /// The list's file as it was named.
    pub file: &'l str,
    /// The list's version.
    pub version: &'l str,
    /// The word's line, from 1.
    pub line: usize,
    /// Where it stands in the raw text.
    pub span: Span,
}

/// Lists of prohibited words.
#[derive(Default)]
pub struct Prohibited {
    lists: Vec<List>,
    words: Vec<Word>,
    automaton: Option<CharwiseDoubleArrayAhoCorasick<u32>>,
}

struct List {
    file: String,
    version: String,
}

struct Word {
    list: usize,
    line: usize,
    is_latin: bool,
}

impl std::fmt::Debug for Prohibited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prohibited({} words of {} lists)", self.words.len(), self.lists.len())
    }
}

impl Prohibited {
    /// Reads lists, name and text each. A word that stands in several counts for the first.
    pub fn parse_all(files: &[(&str, &str)]) -> Result<Prohibited, ProhibitedFault> {
        let mut all = Prohibited::default();
        let mut folded: Vec<(String, u32)> = Vec::new();
        let mut normal = Normal::default();
        for (list, (file, text)) in files.iter().enumerate() {
            let mut version = None;
            for (line, written) in (1..).zip(text.lines()) {
                let written = written.trim_start_matches('\u{feff}').trim();
                if let Some(comment) = written.strip_prefix('#') {
                    let named = comment.trim().strip_prefix("version:");
                    version = version.or_else(|| named.map(|name| name.trim().to_owned()));
                    continue;
                }
                if written.is_empty() {
                    continue;
                }
                let fault = |why: String| ProhibitedFault { file: (*file).to_owned(), line, why };
                if written.chars().count() > PROHIBITED_CHARS_MAX {
                    let why = format!("more than {PROHIBITED_CHARS_MAX} characters; shorten it");
                    return Err(fault(why));
                }
                if all.words.len() == PROHIBITED_WORDS_MAX {
                    return Err(fault(format!("more than {PROHIBITED_WORDS_MAX} words in all")));
                }
                normal.fold(written);
                if normal.text().is_empty() {
                    return Err(fault("nothing of the word shows; take it out".to_owned()));
                }
                let is_latin = normal.text().starts_with(|c: char| c.is_ascii_alphanumeric());
                folded.push((normal.text().to_owned(), folded.len() as u32));
                all.words.push(Word { list, line, is_latin });
            }
            let version = version.unwrap_or_else(|| digest(text));
            all.lists.push(List { file: (*file).to_owned(), version });
        }
        folded.sort();
        folded.dedup_by(|(later, _), (first, _)| later == first);
        if !folded.is_empty() {
            all.automaton = CharwiseDoubleArrayAhoCorasick::with_values(folded).ok();
        }
        Ok(all)
    }

    /// Name and version of each list, in the order in which they were given.
    pub fn lists(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lists.iter().map(|list| (list.file.as_str(), list.version.as_str()))
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The first prohibited word of a text, by where it ends. `normal` is filled anew.
    pub fn find(&self, text: &str, normal: &mut Normal) -> Option<ProhibitedMatch<'_>> {
        let automaton = self.automaton.as_ref()?;
        normal.fold(text);
        let folded = normal.text();
        automaton.find_overlapping_iter(folded).find_map(|found| {
            let (start, end) = (found.start(), found.end());
            let word = self.words.get(found.value() as usize)?;
            if word.is_latin && !super::reader::is_whole(folded.as_bytes(), start, end) {
                return None;
            }
            let list = self.lists.get(word.list)?;
            let span = normal.raw(start, end);
            Some(ProhibitedMatch {
                file: &list.file,
                version: &list.version,
                line: word.line,
                span,
            })
        })
    }
}

/// The first 12 hexadecimal digits of the SHA-256.
fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(6).map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# version: 2026-11\n# gambling\n賭場\n六合彩\n\nＶＩＰ casino\n";

    #[test]
    fn words_are_found_through_disguise() {
        let lists = Prohibited::parse_all(&[("list", LIST)]).expect("a list");
        let rows = [
            ("澳门赌场开业", 3),
            ("澳门賭場", 3),
            ("赌-场", 3),
            ("赌 场", 3),
            ("赌\u{200b}场", 3),
            ("六★合★彩", 4),
            ("vip casino now", 6),
            ("V I P casino", 0),
            ("the vip casinos", 0),
            ("赌气上场", 0),
            ("", 0),
        ];
        for (text, line) in rows {
            let found = lists.find(text, &mut Normal::default());
            assert_eq!(found.map_or(0, |found| found.line), line, "{text}");
            if let Some(found) = found {
                assert_eq!((found.file, found.version), ("list", "2026-11"));
                assert!(!found.span.of(text).is_empty());
            }
        }
    }

    #[test]
    fn lists_have_versions_and_limits() {
        let two = Prohibited::parse_all(&[("a", "甲乙"), ("b", LIST)]).expect("lists");
        let versions: Vec<&str> = two.lists().map(|(_, version)| version).collect();
        assert_eq!(versions, [digest("甲乙").as_str(), "2026-11"]);
        assert!(Prohibited::parse_all(&[("a", &"长".repeat(PROHIBITED_CHARS_MAX))]).is_ok());
        let fault = Prohibited::parse_all(&[("a", &"长".repeat(PROHIBITED_CHARS_MAX + 1))]);
        assert_eq!(
            fault.expect_err("too long").to_string(),
            "a:1: more than 100 characters; shorten it"
        );
        let fault = Prohibited::parse_all(&[("a", "\n\u{200b}")]).expect_err("nothing");
        assert_eq!(fault.to_string(), "a:2: nothing of the word shows; take it out");
        assert_eq!(Prohibited::default().find("甲", &mut Normal::default()), None);
    }
}
