//! The reader: a text in, its class and what spoke for it out.
//!
//! A sum of weights over named features (softmax regression): every feature that fires adds what the
//! weights file says, once, however often it fires.

use std::collections::{BTreeMap, HashMap};

use daachorse::CharwiseDoubleArrayAhoCorasick;
use sha2::{Digest, Sha256};

use super::marks::{self, Mark, Sentences};
use super::normal::Numbers;
use super::reading::{FIRED_MAX, FeatureId, Fired, Reading, Span};
use super::weights::{Row, Sort, Weights, WeightsFault};
use super::{Class, Normal, lexicon};

const WEIGHTS: &str = include_str!("weights.tsv");

/// What says less than this is not named.
const NAMED_MIN: f32 = 0.25;

/// Reads texts. Holds weights, word lists and the automaton; shared by all sessions.
pub struct Reader {
    digest: String,
    names: Vec<String>,
    /// Rows of eight, so that they add up in one instruction.
    weights: Vec<[f32; 8]>,
    start: Row,
    margin: f32,
    automaton: Option<CharwiseDoubleArrayAhoCorasick<u32>>,
    patterns: Vec<Pattern>,
    /// What all patterns say, one pattern's behind the other's.
    of_patterns: Vec<Told>,
    pairs: Pairs,
    /// For each list, its features in the first and in the last sentence; 0, which is a mark's, for none.
    edges: Vec<[u16; 2]>,
}

/// Pairs of marks and lists, which are the first features: which two make which feature.
struct Pairs {
    /// For each feature, a bit for each greater one that it makes a pair with.
    partners: Vec<u128>,
    /// The pairs' features: a row of [`BASES_MAX`] for each lesser one.
    of_two: Vec<u16>,
}

/// Marks and lists at most.
const BASES_MAX: usize = 128;

/// A word of the automaton: where what it says stands in [`Reader::of_patterns`], and how much that is. A
/// word says what it says itself and what the words say that it ends with, so that at each end of a word
/// only the longest is looked for.
#[derive(Clone, Copy, Debug)]
struct Pattern {
    first: u32,
    count: u16,
}

/// A feature that a word says.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// The word's own, or a list that it is a word of.
    feature: u16,
    /// How long the word is.
    octets: u16,
    /// Of letters: it counts as a whole word only.
    is_latin: bool,
}

/// What a reader needs beside the text, kept from text to text so that nothing is allocated.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) normal: Normal,
    seen: Seen,
    /// The features that fired, with octets of the normal form. [`Reader::class`] does without.
    fired: Vec<(u16, u32, u32)>,
}

/// A bit for each feature that fired.
#[derive(Debug, Default)]
struct Seen(Vec<u64>);

impl Seen {
    fn begin(&mut self, features: usize) {
        self.0.clear();
        self.0.resize(features / 64 + 2, 0);
    }

    /// Whether a feature fires for the first time.
    fn is_new(&mut self, feature: u16) -> bool {
        let Some(word) = self.0.get_mut(usize::from(feature / 64)) else { return false };
        let bit = 1 << (feature % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// The bits of the first [`BASES_MAX`] features.
    fn bases(&self) -> u128 {
        let word = |place: usize| u128::from(self.0.get(place).copied().unwrap_or_default());
        word(0) | word(1) << 64
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
        let mut words: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        for (name, list) in lexicon::lists() {
            let id = names.len() as u16;
            names.push(format!("list:{name}"));
            for word in lexicon::words(list) {
                words.entry(word).or_default().push(id);
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
                Sort::Word => words.entry(feature.name.clone()).or_default().push(at as u16),
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
        let (mut patterns, mut of_patterns) = (Vec::new(), Vec::new());
        for word in words.keys() {
            let first = of_patterns.len();
            of_patterns.extend(told(word, &words));
            let count = (of_patterns.len() - first) as u16;
            patterns.push(Pattern { first: first as u32, count });
        }
        let numbered = words.keys().map(String::as_str).zip(0u32..);
        let automaton = CharwiseDoubleArrayAhoCorasick::with_values(numbered).ok();
        Reader {
            digest: String::new(),
            names,
            weights: rows.into_iter().map(padded).collect(),
            start: weights.start,
            margin: weights.margin,
            automaton,
            patterns,
            of_patterns,
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
        let mut sums = [0.0; 8];
        scratch.fired.iter().for_each(|(feature, _, _)| self.add(*feature, &mut sums));
        let sums = self.with_start(sums);
        let (class, rival, lead) = self.judge(&sums);
        let score = probability(&sums, class.index());
        let top = self.top(class, rival, scratch);
        Reading::new(class, score, lead, top.1.get(..top.0).unwrap_or_default())
    }

    /// The class that [`Reader::read`] gives a text, without reasons, in less time.
    pub fn class(&self, text: &str, scratch: &mut Scratch) -> Class {
        let Scratch { normal, seen, .. } = scratch;
        let mut sums = [0.0; 8];
        self.extract(text, normal, seen, |feature, _, _| self.add(feature, &mut sums));
        self.pairs.each(seen.bases(), |pair, _, _| self.add(pair, &mut sums));
        self.judge(&self.with_start(sums)).0
    }

    /// Adds what a feature says for each class.
    #[inline]
    fn add(&self, feature: u16, sums: &mut [f32; 8]) {
        if let Some(row) = self.weights.get(usize::from(feature)) {
            sums.iter_mut().zip(row).for_each(|(sum, weight)| *sum += weight);
        }
    }

    /// What all features said, with what counts before any.
    fn with_start(&self, sums: [f32; 8]) -> Row {
        let mut all = self.start;
        all.iter_mut().zip(sums).for_each(|(sum, more)| *sum += more);
        all
    }

    /// The class of sums; the class that it was weighed against: commercial, or where the text is
    /// commercial the next best; and by how much commercial leads.
    fn judge(&self, sums: &Row) -> (Class, Class, f32) {
        let [commercial, others @ ..] = sums;
        let mut best = Class::Personal;
        let mut most = f32::NEG_INFINITY;
        for (class, sum) in Class::ALL.into_iter().skip(1).zip(others) {
            if *sum > most {
                (best, most) = (class, *sum);
            }
        }
        let lead = *commercial - most;
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
            let at = |class: Class| row.get(class.index()).copied().unwrap_or_default();
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
        for one in top.iter_mut().take(count) {
            one.span = scratch.normal.raw(one.span.start as usize, one.span.end as usize);
        }
        (count, top)
    }

    /// Tells each mark, list and word that fires, once, with octets of the normal form.
    fn extract(
        &self,
        text: &str,
        normal: &mut Normal,
        seen: &mut Seen,
        mut found: impl FnMut(u16, usize, usize),
    ) {
        normal.fill(text, Numbers::Closed);
        seen.begin(self.names.len());
        // Who signs is no word: it would be learned by heart.
        let body = body(normal.text());
        let sentences = marks::each(text, normal, body.clone(), |mark, start, end| {
            let feature = mark.index() as u16;
            if seen.is_new(feature) {
                found(feature, start, end);
            }
        });
        let Some(automaton) = &self.automaton else { return };
        let unsigned = normal.text().get(body.clone()).unwrap_or_default();
        for longest in automaton.find_overlapping_no_suffix_iter(unsigned) {
            let Some(pattern) = self.patterns.get(longest.value() as usize) else { continue };
            let (first, end) = (pattern.first as usize, longest.end());
            let told = self.of_patterns.get(first..first + usize::from(pattern.count));
            for Told { feature, octets, is_latin } in told.unwrap_or_default() {
                let start = end - usize::from(*octets);
                if *is_latin && !is_whole(unsigned.as_bytes(), start, end) {
                    continue;
                }
                let (start, end) = (body.start + start, body.start + end);
                if seen.is_new(*feature) {
                    found(*feature, start, end);
                }
                for edge in self.edges_of(*feature, start, end, sentences).into_iter().flatten() {
                    if seen.is_new(edge) {
                        found(edge, start, end);
                    }
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
        let Scratch { normal, seen, fired } = scratch;
        fired.clear();
        // Normal forms are bounded by TEXT_OCTETS_MAX and what folding makes longer: below 4 GiB.
        self.extract(text, normal, seen, |feature, start, end| {
            fired.push((feature, start as u32, end as u32));
        });
        let mut spans = [(0, 0); BASES_MAX];
        for (feature, start, end) in fired.iter() {
            if let Some(span) = spans.get_mut(usize::from(*feature)) {
                *span = (*start, *end);
            }
        }
        self.pairs.each(seen.bases(), |pair, low, high| {
            let span = |of: u16| spans.get(usize::from(of)).copied().unwrap_or_default();
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
        Pairs { partners: vec![0; BASES_MAX], of_two: vec![0; BASES_MAX * BASES_MAX] }
    }

    fn put(&mut self, one: usize, other: usize, feature: u16) {
        let (low, high) = (one.min(other), one.max(other));
        if let Some(partners) = self.partners.get_mut(low)
            && let Some(slot) = self.of_two.get_mut(low * BASES_MAX + high)
            && high < BASES_MAX
        {
            *partners |= 1 << high;
            *slot = feature;
        }
    }

    /// Tells every pair of which both fired, with the two.
    fn each(&self, bases: u128, mut found: impl FnMut(u16, u16, u16)) {
        for low in ones(bases) {
            let partners = self.partners.get(usize::from(low)).copied().unwrap_or_default();
            for high in ones(partners & bases) {
                let place = usize::from(low) * BASES_MAX + usize::from(high);
                if let Some(pair) = self.of_two.get(place) {
                    found(*pair, low, high);
                }
            }
        }
    }
}

/// What a word says, and then what the words say that it ends with, the longest first.
fn told(word: &str, words: &BTreeMap<String, Vec<u16>>) -> impl Iterator<Item = Told> {
    let ends = word.char_indices().filter_map(|(at, _)| word.get(at..));
    ends.flat_map(|end| {
        let is_latin = end.starts_with(|c: char| c.is_ascii_alphabetic());
        let octets = end.len() as u16;
        let features = words.get(end).into_iter().flatten();
        features.map(move |feature| Told { feature: *feature, octets, is_latin })
    })
}

/// The places of the bits that are set.
fn ones(mut bits: u128) -> impl Iterator<Item = u16> {
    std::iter::from_fn(move || {
        let place = (bits != 0).then(|| bits.trailing_zeros() as u16);
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

fn padded(row: Row) -> [f32; 8] {
    let mut eight = [0.0; 8];
    eight.iter_mut().zip(row).for_each(|(slot, weight)| *slot = weight);
    eight
}

/// The softmax of one sum.
fn probability(sums: &Row, index: usize) -> f32 {
    let most = sums.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f32 = sums.iter().map(|sum| (sum - most).exp()).sum();
    sums.get(index).map_or(0.0, |sum| (sum - most).exp() / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_lists_fit_the_bits_of_pairs() {
        assert!(Mark::ALL.len() + lexicon::lists().count() <= BASES_MAX);
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
