//! The reader: a text in, its class and what spoke for it out.
//!
//! A sum of weights over named features (softmax regression): every feature that fires adds what the
//! weights file says, once, however often it fires.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use super::marks::{Mark, Marks, Sentences};
use super::normal::Numbers;
use super::reading::{FIRED_MAX, FeatureId, Fired, Reading, Span};
use super::symbols::{Alphabet, Symbols};
use super::weights::{Row, Sort, Weights, WeightsFault};
use super::words::{self, Match, Matches, Saying, Words};
use super::{Class, Normal, lexicon};

const WEIGHTS: &str = include_str!("weights.tsv");

/// What says less than this is not named.
const NAMED_MIN: f32 = 0.25;

/// Weights are added up in thousandths, so that their order changes nothing.
const THOUSAND: f32 = 1000.0;

/// What all that fired says for each class, in thousandths.
type Sums = [i32; 8];

/// Reads texts. Holds weights and words; shared by all sessions.
pub struct Reader {
    digest: String,
    names: Vec<String>,
    weights: Vec<words::Row>,
    start: Sums,
    margin: i32,
    alphabet: Alphabet,
    words: Words,
    pairs: Pairs,
    /// For each list, its features in the first and in the last sentence; 0, which is a mark's, for none.
    edges: Vec<[u16; 2]>,
}

/// Pairs of marks and lists, which are the first features: which two make which feature.
struct Pairs {
    /// By [`base`], a bit for each greater one that a feature makes a pair with.
    partners: Vec<[u64; 2]>,
    /// By [`base`], the pairs' features by the greater one's.
    of_two: Vec<[u16; BASES_MAX]>,
}

/// Marks and lists at most: so many of either, that the bits of each are one word.
const BASES_MAX: usize = 2 * 64;

/// The number of a mark or list among those that make pairs: lists begin a word of their own.
fn base(feature: usize) -> usize {
    feature.checked_sub(Mark::ALL.len()).map_or(feature, |list| 64 + list)
}

/// What a reader needs beside the text, kept from text to text so that nothing is allocated.
#[derive(Debug, Default)]
pub struct Scratch {
    normal: Normal,
    symbols: Symbols,
    marks: Marks,
    matches: Matches,
    seen: Seen,
    /// The features that fired, with symbols. [`Reader::class`] does without.
    fired: Vec<(u16, u32, u32)>,
}

/// Which features fired in the text at hand.
#[derive(Debug, Default)]
struct Seen {
    /// For each feature, the number of the text in which it fired last.
    texts: Vec<u8>,
    /// The number of the text at hand, from 1. Every 255 texts it begins anew.
    text: u8,
    /// A bit for each mark and each list, by [`base`].
    bases: [u64; 2],
}

impl Seen {
    fn begin(&mut self, features: usize) {
        self.text = self.text.wrapping_add(1);
        if self.text == 0 || self.texts.len() < features {
            self.texts.clear();
            self.texts.resize(features, 0);
            self.text = 1;
        }
        // The first is a mark's, and no word's own: it stands for none.
        self.texts.iter_mut().take(1).for_each(|none| *none = self.text);
        self.bases = [0; 2];
    }

    /// Whether a feature fires for the first time.
    #[inline]
    fn is_new(&mut self, feature: u16) -> bool {
        let Some(text) = self.texts.get_mut(usize::from(feature)) else { return false };
        std::mem::replace(text, self.text) != self.text
    }

    /// The same for a list.
    fn is_new_list(&mut self, list: u16) -> bool {
        self.bases[1] |= 1 << (base(usize::from(list)) % 64);
        self.is_new(list)
    }
}

/// What identifies a reader with these weights.
fn digest(weights: &str) -> String {
    let hash = Sha256::new().chain_update(weights).chain_update(lexicon::written()).finalize();
    hash.iter().take(6).map(|octet| format!("{octet:02x}")).collect()
}

impl Reader {
    /// The reader with the weights of this build.
    pub fn built_in() -> Result<Reader, WeightsFault> {
        Reader::parse(WEIGHTS)
    }

    /// The reader with the weights of a file's text.
    pub fn parse(weights: &str) -> Result<Reader, WeightsFault> {
        Ok(Reader { digest: digest(weights), ..Reader::new(&Weights::parse(weights)?) })
    }

    /// Whether it is what these weights make, or without them those of this build: then they need not be
    /// parsed again.
    pub fn is_of(&self, weights: Option<&str>) -> bool {
        self.digest == digest(weights.unwrap_or(WEIGHTS))
    }

    /// The reader of weights that stand in no file.
    pub(super) fn new(weights: &Weights) -> Reader {
        let mut names: Vec<String> =
            Mark::ALL.iter().map(|mark| format!("mark:{}", mark.name())).collect();
        let mut words: BTreeMap<String, Saying> = BTreeMap::new();
        for (name, list) in lexicon::lists() {
            let id = names.len() as u16;
            names.push(format!("list:{name}"));
            for word in lexicon::words(list) {
                words.entry(word).or_default().lists.push(id);
            }
        }
        let mut places: HashMap<String, usize> = names.iter().cloned().zip(0..).collect();
        let mut rows = vec![Row::default(); names.len()];
        let mut pairs = Pairs::none();
        let mut edges = vec![[0; 2]; names.len() - Mark::ALL.len()];
        for feature in &weights.features {
            let name = feature.full_name();
            let at = *places.entry(name.clone()).or_insert_with(|| {
                names.push(name);
                rows.push(Row::default());
                names.len() - 1
            });
            if let Some(row) = rows.get_mut(at) {
                *row = feature.weights;
            }
            match feature.sort {
                Sort::Mark | Sort::List => {}
                Sort::First | Sort::Last => {
                    let list = places.get(&format!("list:{}", feature.name)).copied();
                    let place = list.and_then(|place| place.checked_sub(Mark::ALL.len()));
                    let slots = place.and_then(|place| edges.get_mut(place));
                    if let Some([first, last]) = slots {
                        let slot = if feature.sort == Sort::First { first } else { last };
                        *slot = at as u16;
                    }
                }
                Sort::Word => {
                    let saying = words.entry(feature.name.clone()).or_default();
                    saying.own = at as u16;
                }
                Sort::Pair => {
                    let place = |of: &str| places.get(of).copied();
                    let two = feature.name.split_once('+');
                    if let Some((one, other)) =
                        two.and_then(|(one, other)| Some((place(one)?, place(other)?)))
                    {
                        pairs.put(one, other, at as u16);
                    }
                }
            }
        }
        let alphabet = Alphabet::of(words.keys().map(String::as_str));
        Reader {
            digest: String::new(),
            names,
            weights: rows.iter().map(thousandths).collect(),
            start: thousandths(&weights.start).map(i32::from),
            margin: (weights.margin * THOUSAND).round() as i32,
            words: Words::new(&words, &alphabet),
            alphabet,
            pairs,
            edges,
        }
    }

    /// The first 12 hexadecimal digits of the SHA-256 of weights and lexicon, for records.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// How many features there are.
    pub fn features(&self) -> usize {
        self.names.len()
    }

    /// The name of a feature of one of this reader's readings: `mark:`, `list:` or `word:` and what
    /// the weights file calls it.
    pub fn feature(&self, id: FeatureId) -> &str {
        self.names.get(usize::from(id.0)).map_or("", String::as_str)
    }

    /// Reads a text: its first [`super::TEXT_OCTETS_MAX`] octets.
    pub fn read(&self, text: &str, scratch: &mut Scratch) -> Reading {
        self.fire(text, scratch);
        let mut sums = self.start;
        scratch.fired.iter().for_each(|(feature, _, _)| self.add(*feature, &mut sums));
        let (class, rival, lead) = self.judge(&sums);
        let score = probability(&sums, class.index());
        let top = self.top(class, rival, scratch);
        Reading::new(class, score, lead as f32 / THOUSAND, top.1.get(..top.0).unwrap_or_default())
    }

    /// The class that [`Reader::read`] gives a text, without reasons, in less time.
    pub fn class(&self, text: &str, scratch: &mut Scratch) -> Class {
        let Scratch { normal, symbols, marks, matches, seen, .. } = scratch;
        if !symbols.take_plain(&self.alphabet, text) {
            normal.fill(text, Numbers::Closed);
            symbols.take(&self.alphabet, normal, text);
        }
        seen.begin(self.names.len());
        let mut sums = self.start;
        let body = symbols.body();
        let sentences = marks.find(text, symbols, body.clone());
        seen.bases[0] = marks.bits();
        marks.all().iter().for_each(|(mark, _, _)| self.add(mark.index() as u16, &mut sums));
        let unsigned = symbols.of(body.clone());
        self.words.find(unsigned, matches);
        // Kept apart, what words say stays in registers.
        let mut of_words = [0; 8];
        self.words.each(unsigned, matches, |word| {
            if word.is_listed() {
                let add = |list, _, _| self.add(list, &mut sums);
                self.tell_lists(word, body.start, sentences, seen, add);
            }
            if seen.is_new(word.own()) {
                self.add(word.own(), &mut of_words);
            }
        });
        let mut of_pairs = [0; 8];
        self.pairs.each(seen.bases, |pair, _, _| self.add(pair, &mut of_pairs));
        let more = of_words.into_iter().zip(of_pairs);
        sums.iter_mut().zip(more).for_each(|(sum, (one, other))| *sum += one + other);
        self.judge(&sums).0
    }

    /// Adds what a feature says for each class.
    #[inline]
    fn add(&self, feature: u16, sums: &mut Sums) {
        if let Some(row) = self.weights.get(usize::from(feature)) {
            add(row, sums);
        }
    }

    /// The class of sums; the class that it was weighed against: commercial, or where the text is
    /// commercial the next best; and by how much commercial leads.
    fn judge(&self, sums: &Sums) -> (Class, Class, i32) {
        let [commercial, others @ ..] = sums;
        let mut best = Class::Personal;
        let mut most = i32::MIN;
        for (class, sum) in Class::ALL.into_iter().skip(1).zip(others) {
            if *sum > most {
                (best, most) = (class, *sum);
            }
        }
        let lead = commercial.saturating_sub(most);
        if lead > self.margin {
            (Class::Commercial, best, lead)
        } else {
            (best, Class::Commercial, lead)
        }
    }

    /// How many, and the features of the greatest weight.
    fn top(&self, class: Class, rival: Class, scratch: &Scratch) -> (usize, [Fired; FIRED_MAX]) {
        let mut top = [Fired::default(); FIRED_MAX];
        let mut count = 0;
        for (feature, start, end) in &scratch.fired {
            let Some(row) = self.weights.get(usize::from(*feature)) else { continue };
            let at = |class: Class| {
                row.get(class.index()).map_or(0.0, |weight| f32::from(*weight) / THOUSAND)
            };
            let weight = at(class) - at(rival);
            let is_over = |other: &Fired| weight.abs() > other.weight.abs();
            if weight.abs() < NAMED_MIN || count == FIRED_MAX && !top.last().is_some_and(is_over) {
                continue;
            }
            let place = top.iter().take(count).position(is_over).unwrap_or(count);
            count = FIRED_MAX.min(count + 1);
            if let Some(tail) = top.get_mut(place..count) {
                tail.rotate_right(1);
                if let Some(slot) = tail.first_mut() {
                    let span = Span { start: *start, end: *end };
                    *slot = Fired { feature: FeatureId(*feature), span, weight };
                }
            }
        }
        let normal = &scratch.normal;
        let octet = |symbol: u32| {
            let mut octets = normal.text().char_indices().map(|(at, _)| at);
            octets.nth(symbol as usize).unwrap_or(normal.text().len())
        };
        for one in top.iter_mut().take(count) {
            one.span = normal.raw(octet(one.span.start), octet(one.span.end));
        }
        (count, top)
    }

    /// Tells each list that a word fires, once, with its symbols. The text begins where its body does: who signs
    /// is no word, it would be learned by heart.
    #[inline(never)]
    fn tell_lists(
        &self,
        word: Match,
        body: usize,
        sentences: Sentences,
        seen: &mut Seen,
        mut found: impl FnMut(u16, usize, usize),
    ) {
        let (start, end) = (body + word.start, body + word.end);
        for list in self.words.lists(word) {
            if seen.is_new_list(*list) {
                found(*list, start, end);
            }
            for edge in self.edges_of(*list, start, end, sentences).into_iter().flatten() {
                if seen.is_new(edge) {
                    found(edge, start, end);
                }
            }
        }
    }

    /// What a list says in the first and in the last of several sentences.
    fn edges_of(&self, list: u16, start: usize, end: usize, all: Sentences) -> [Option<u16>; 2] {
        let place = usize::from(list).checked_sub(Mark::ALL.len());
        let Some([first, last]) = place.and_then(|place| self.edges.get(place)) else {
            return [None; 2];
        };
        let is_several = all.count > 1;
        [
            (*first != 0 && is_several && end <= all.first_end).then_some(*first),
            (*last != 0 && is_several && start >= all.last_start).then_some(*last),
        ]
    }

    /// Gathers all that fires: marks, lists and words, then pairs, where the later of the two stands.
    fn fire(&self, text: &str, scratch: &mut Scratch) {
        let Scratch { normal, symbols, marks, matches, seen, fired } = scratch;
        normal.fill(text, Numbers::Closed);
        symbols.take(&self.alphabet, normal, text);
        seen.begin(self.names.len());
        fired.clear();
        // Normal forms are bounded by TEXT_OCTETS_MAX and what folding makes longer: below 4 G.
        let mut fire = |feature, start: usize, end: usize| {
            fired.push((feature, start as u32, end as u32));
        };
        let body = symbols.body();
        let sentences = marks.find(text, symbols, body.clone());
        seen.bases[0] = marks.bits();
        for (mark, start, end) in marks.all() {
            fire(mark.index() as u16, *start as usize, *end as usize);
        }
        let unsigned = symbols.of(body.clone());
        self.words.find(unsigned, matches);
        let mut words = Vec::new();
        self.words.each(unsigned, matches, |word| words.push(word));
        // What is named is what ends first, and the longest of it.
        words.sort_by_key(|word| (word.end, word.start));
        for word in words {
            self.tell_lists(word, body.start, sentences, seen, &mut fire);
            if seen.is_new(word.own()) {
                fire(word.own(), body.start + word.start, body.start + word.end);
            }
        }
        let mut spans = [(0, 0); BASES_MAX];
        for (feature, start, end) in fired.iter() {
            if let Some(span) = spans.get_mut(base(usize::from(*feature))) {
                *span = (*start, *end);
            }
        }
        self.pairs.each(seen.bases, |pair, low, high| {
            let span = |of: usize| spans.get(of).copied().unwrap_or_default();
            let (start, end) = span(low).max(span(high));
            fired.push((pair, start, end));
        });
    }

    /// The numbers of the features that fire.
    pub(super) fn fired<'s>(
        &self,
        text: &str,
        scratch: &'s mut Scratch,
    ) -> impl Iterator<Item = u16> + 's {
        self.fire(text, scratch);
        scratch.fired.iter().map(|(feature, _, _)| *feature)
    }
}

impl Pairs {
    fn none() -> Pairs {
        Pairs { partners: vec![[0; 2]; BASES_MAX], of_two: vec![[0; BASES_MAX]; BASES_MAX] }
    }

    fn put(&mut self, one: usize, other: usize, feature: u16) {
        let (low, high) = (base(one.min(other)), base(one.max(other)));
        if let Some(partners) = self.partners.get_mut(low)
            && let Some(bits) = partners.get_mut(high / 64)
            && let Some(slot) = self.of_two.get_mut(low).and_then(|row| row.get_mut(high))
        {
            *bits |= 1 << (high % 64);
            *slot = feature;
        }
    }

    /// Tells every pair of which both fired, with the two.
    #[inline]
    fn each(&self, bases: [u64; 2], mut found: impl FnMut(u16, usize, usize)) {
        for low in ones(bases[0]).chain(ones(bases[1]).map(|place| place + 64)) {
            let (Some(partners), Some(pairs)) = (self.partners.get(low), self.of_two.get(low))
            else {
                continue;
            };
            for high in ones(partners[0] & bases[0]) {
                found(pairs[high % BASES_MAX], low, high);
            }
            for high in ones(partners[1] & bases[1]) {
                found(pairs[(high + 64) % BASES_MAX], low, high + 64);
            }
        }
    }
}

/// The places of the bits that are set.
fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        place
    })
}

/// The octets of a normal form that no 【signature】 at its start or end takes.
pub(super) fn body(folded: &str) -> std::ops::Range<usize> {
    const OPEN: char = '【';
    const CLOSE: char = '】';
    let mut body = 0..folded.len();
    if folded.starts_with(OPEN)
        && let Some(end) = folded.find(CLOSE)
    {
        body.start = end + CLOSE.len_utf8();
    }
    if folded.ends_with(CLOSE)
        && let Some(start) = folded.rfind(OPEN)
        && start >= body.start
    {
        body.end = start;
    }
    body
}

/// Whether no letter touches octets `start..end` on either side. Beside an ideograph a word is whole.
pub(super) fn is_whole(text: &[u8], start: usize, end: usize) -> bool {
    let is_letter = |at: Option<usize>| {
        at.and_then(|at| text.get(at)).is_some_and(|octet| octet.is_ascii_alphabetic())
    };
    let last_is_letter = is_letter(end.checked_sub(1));
    !(is_letter(start.checked_sub(1)) || last_is_letter && is_letter(Some(end)))
}

/// No weight is further from zero than [`super::weights`] allows, which is less than what has room here.
fn thousandths(row: &Row) -> words::Row {
    let mut eight = [0; 8];
    eight.iter_mut().zip(row).for_each(|(slot, weight)| *slot = (weight * THOUSAND).round() as i16);
    eight
}

#[inline]
fn add(row: &words::Row, sums: &mut Sums) {
    let weights = row.map(i32::from);
    sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum = sum.wrapping_add(weight));
}

/// The softmax of one sum.
fn probability(sums: &Sums, index: usize) -> f32 {
    let sums = sums.iter().take(Class::COUNT);
    let most = sums.clone().copied().max().unwrap_or_default();
    let power = |sum: &i32| (sum.wrapping_sub(most) as f32 / THOUSAND).exp();
    let total: f32 = sums.clone().map(power).sum();
    sums.clone().nth(index).map_or(0.0, |sum| power(sum) / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_lists_fit_the_bits_of_pairs() {
        assert!(Mark::ALL.len() <= 64 && lexicon::lists().count() <= 64);
    }

    #[test]
    fn the_signature_at_either_end_is_no_body() {
        let rows = [
            ("【甲】乙", "乙"),
            ("乙【甲】", "乙"),
            ("【甲】", ""),
            ("【甲】乙【丙】", "乙"),
            ("乙【甲】丙", "乙【甲】丙"),
            ("【甲乙", "【甲乙"),
            ("甲】乙】", "甲】乙】"),
            ("", ""),
        ];
        for (text, wanted) in rows {
            assert_eq!(text.get(body(text)), Some(wanted), "{text}");
        }
    }
}
