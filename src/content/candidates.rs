//! What may become a feature: the words and pairs of labelled texts, and which of them say most.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::fit::{Labelled, Settings};
use super::marks::Mark;
use super::normal::Numbers;
use super::reader::{self, Reader, Scratch};
use super::weights::{Row, WORD_CHARS_MAX};
use super::{FeatureId, Normal};

/// Characters of a learned word of ideographs at most.
const GRAM_CHARS_MAX: usize = 4;

/// English words that stand in texts of every class: what they would learn is the source.
const SMALL_WORDS: [&str; 64] = [
    "the", "and", "for", "with", "from", "that", "this", "these", "those", "are", "was", "were",
    "is", "it", "its", "be", "been", "has", "have", "had", "will", "would", "can", "could", "may",
    "to", "of", "in", "on", "at", "by", "as", "or", "so", "if", "but", "not", "no", "an", "do",
    "does", "did", "we", "our", "us", "you", "your", "they", "their", "he", "she", "him", "her",
    "my", "me", "all", "any", "out", "up", "next", "only", "more", "show", "good",
];

/// What is counted of a word.
#[derive(Default)]
struct Count {
    texts: u32,
    /// The text that had it last, from 1.
    last: usize,
    /// See [`bit`].
    sources: u128,
    sums: Row,
}

/// A bit for each source. Two that are 128 apart are taken for one.
fn bit(source: usize) -> u128 {
    1 << (source % 128)
}

/// How many sources a feature needs: what is asked for, as far as there are so many.
fn sources_min(rows: &[Labelled], settings: &Settings) -> u32 {
    let sources = rows.iter().fold(0, |all, row| all | bit(row.source)).count_ones();
    settings.sources_min.min(sources)
}

/// The words that say most about a class: each word's texts a class against what chance would give.
pub(super) fn words(rows: &[Labelled], importance: &[f32], settings: &Settings) -> Vec<String> {
    let mut counts: HashMap<String, Count, FixedState> = HashMap::default();
    let mut totals = Row::default();
    let mut normal = Normal::default();
    for (number, (row, weight)) in (1..).zip(rows.iter().zip(importance)) {
        normal.fill(&row.text, Numbers::Closed);
        let share = weight / row.classes.len().max(1) as f32;
        let add = |sums: &mut Row| {
            for class in &row.classes {
                sums.iter_mut().skip(class.index()).take(1).for_each(|sum| *sum += share);
            }
        };
        add(&mut totals);
        let body = reader::body(normal.text());
        let body = normal.text().get(body).unwrap_or_default();
        let mut count = |word: &str| {
            if !counts.contains_key(word) {
                counts.insert(word.to_owned(), Count::default());
            }
            if let Some(count) = counts.get_mut(word)
                && count.last != number
            {
                count.last = number;
                count.texts += 1;
                count.sources |= bit(row.source);
                add(&mut count.sums);
            }
        };
        grams(body, &mut count);
        signed(body, &mut count);
    }
    let sources_min = sources_min(rows, settings);
    let is_common = |count: &Count| {
        count.texts >= settings.texts_min && count.sources.count_ones() >= sources_min
    };
    let frequent = counts.into_iter().filter(|(_, count)| is_common(count));
    let mut told: Vec<(f32, String)> =
        frequent.map(|(word, count)| (telling(&count.sums, &totals), word)).collect();
    told.sort_by(|(one, word), (other, second)| {
        other.total_cmp(one).then_with(|| word.cmp(second))
    });
    told.truncate(settings.words_max);
    told.into_iter().map(|(_, word)| word).collect()
}

/// How far the greatest of the sums is from what chance would give.
fn telling(sums: &Row, totals: &Row) -> f32 {
    let (mass, all): (f32, f32) = (sums.iter().sum(), totals.iter().sum());
    let over = |(sum, total): (&f32, &f32)| {
        let expected = mass * total / all;
        (sum - expected).abs() / (expected + 1.0).sqrt()
    };
    sums.iter().zip(totals).map(over).fold(0.0_f32, f32::max)
}

/// Every run of 1 to [`GRAM_CHARS_MAX`] ideographs and closed numbers (one ideograph at least), and
/// every word and pair of words of letters, but small words only in pairs.
fn grams(text: &str, mut each: impl FnMut(&str)) {
    let is_han = |c: char| c >= '\u{3400}' && c.is_alphabetic();
    for run in text.split(|c: char| !is_han(c) && c != '0') {
        for (start, _) in run.char_indices() {
            let rest = run.get(start..).unwrap_or_default();
            for (at, c) in rest.char_indices().take(GRAM_CHARS_MAX) {
                let word = rest.get(..at + c.len_utf8()).unwrap_or_default();
                if word.contains(is_han) {
                    each(word);
                }
            }
        }
    }
    let mut two = String::new();
    let is_word = |word: &str| {
        word.len() <= WORD_CHARS_MAX && word.starts_with(|c: char| c.is_ascii_alphabetic())
    };
    for run in text.split(|c: char| !c.is_ascii_alphabetic() && c != ' ' && c != '\'') {
        two.clear();
        for word in run.split(' ').filter(|word| word.len() > 1) {
            if !two.is_empty() {
                two.push(' ');
                two.push_str(word);
                if is_word(&two) {
                    each(&two);
                }
            }
            if !SMALL_WORDS.contains(&word) && is_word(word) {
                each(word);
            }
            two.clear();
            two.push_str(word);
        }
    }
}

/// Characters of a sequence with signs at most.
const SIGNED_CHARS_MAX: usize = 4;

/// Every sequence of two to [`SIGNED_CHARS_MAX`] characters with a sign among them: how clauses begin and end, and
/// how prices, rates and numbers are written. None begins with a letter, because there a word is whole.
fn signed(text: &str, mut each: impl FnMut(&str)) {
    let is_letter = |c: char| c.is_ascii_alphabetic();
    let is_han = |c: char| c >= '\u{3400}' && c.is_alphabetic();
    let is_sign = |c: char| !is_letter(c) && !is_han(c) && c != '0' && c != ' ';
    for (start, _) in text.char_indices().filter(|(_, c)| !is_letter(*c) && *c != ' ') {
        let rest = text.get(start..).unwrap_or_default();
        let mut has_sign = false;
        let within = rest.char_indices().take(SIGNED_CHARS_MAX);
        for (count, (at, c)) in (1..).zip(within.take_while(|(_, c)| !c.is_control())) {
            has_sign |= is_sign(c);
            if count > 1 && has_sign && c != ' ' {
                each(rest.get(..at + c.len_utf8()).unwrap_or_default());
            }
        }
    }
}

/// The pairs of marks and lists, a list at least, that are common enough: `list:…+mark:…`. `reader`
/// knows marks and lists alone.
pub(super) fn pairs(reader: &Reader, rows: &[Labelled], settings: &Settings) -> Vec<String> {
    let mut scratch = Scratch::default();
    let mut counts: HashMap<(u16, u16), (u32, u128), FixedState> = HashMap::default();
    for row in rows {
        let mut fired: Vec<u16> = reader.fired(&row.text, &mut scratch).collect();
        fired.sort_unstable();
        for (at, high) in fired.iter().enumerate() {
            if usize::from(*high) < Mark::ALL.len() {
                continue;
            }
            let is_paired = |low: &&u16| {
                usize::from(**low) >= Mark::ALL.len() || Mark::is_paired(usize::from(**low))
            };
            for low in fired.iter().take(at).filter(is_paired) {
                let count = counts.entry((*low, *high)).or_default();
                *count = (count.0 + 1, count.1 | bit(row.source));
            }
        }
    }
    let sources_min = sources_min(rows, settings);
    let is_common = |(_, (texts, sources)): &((u16, u16), (u32, u128))| {
        *texts >= settings.texts_min * 2 && sources.count_ones() >= sources_min
    };
    let mut common: Vec<(u16, u16)> =
        counts.into_iter().filter(is_common).map(|(two, _)| two).collect();
    common.sort_unstable();
    let name = |feature: u16| reader.feature(FeatureId(feature));
    common.into_iter().map(|(low, high)| format!("{}+{}", name(low), name(high))).collect()
}
