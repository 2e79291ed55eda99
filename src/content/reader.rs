//! The reader: a text in, its class and what spoke for it out.
//!
//! A sum of weights over named features (softmax regression): every feature that fires adds what the
//! weights file says, once, however often it fires.

use daachorse::CharwiseDoubleArrayAhoCorasick;
use sha2::{Digest, Sha256};

use super::marks::{self, Mark};
use super::normal::Numbers;
use super::reading::{FIRED_MAX, FeatureId, Fired, Reading, Span};
use super::weights::{Row, Sort, Weights, WeightsFault};
use super::{Class, Normal, lexicon};

const WEIGHTS: &str = include_str!("weights.tsv");

/// What says less than this is not named.
const NAMED_MIN: f32 = 0.25;

/// No feature.
const NONE: u16 = u16::MAX;

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
}

/// What a word of the automaton stands for.
#[derive(Clone, Copy, Debug)]
struct Pattern {
    list: u16,
    word: u16,
    /// Of letters: it counts as a whole word only.
    is_latin: bool,
}

/// What a reader needs beside the text, kept from text to text so that nothing is allocated.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) normal: Normal,
    hits: Hits,
}

/// The features that fired, with octets of the normal form.
#[derive(Debug, Default)]
struct Hits {
    fired: Vec<(u16, u32, u32)>,
    /// For each feature, the round in which it fired last.
    last: Vec<u32>,
    round: u32,
}

impl Hits {
    fn begin(&mut self, features: usize) {
        self.fired.clear();
        self.round = self.round.wrapping_add(1);
        if self.round == 0 || self.last.len() != features {
            self.last.clear();
            self.last.resize(features, 0);
            self.round = 1;
        }
    }

    fn add(&mut self, feature: u16, start: usize, end: usize) {
        if let Some(last) = self.last.get_mut(usize::from(feature))
            && *last != self.round
        {
            *last = self.round;
            // Normal forms are bounded by TEXT_OCTETS_MAX and what folding makes longer: below 4 GiB.
            self.fired.push((feature, start as u32, end as u32));
        }
    }
}

impl Reader {
    /// The reader with the weights of this build.
    pub fn built_in() -> Result<Reader, WeightsFault> {
        Reader::parse(WEIGHTS)
    }

    /// The reader with the weights of a file's text.
    pub fn parse(weights: &str) -> Result<Reader, WeightsFault> {
        let hash = Sha256::new().chain_update(weights).chain_update(lexicon::written()).finalize();
        let digest = hash.iter().take(6).map(|octet| format!("{octet:02x}")).collect();
        Ok(Reader { digest, ..Reader::new(&Weights::parse(weights)?) })
    }

    /// The reader of weights that stand in no file.
    pub(super) fn new(weights: &Weights) -> Reader {
        let mut names: Vec<String> =
            Mark::ALL.iter().map(|mark| format!("mark:{}", mark.name())).collect();
        let mut words: Vec<(String, Pattern)> = Vec::new();
        for (name, list) in lexicon::lists() {
            let id = names.len() as u16;
            names.push(format!("list:{name}"));
            for word in lexicon::words(list) {
                put(&mut words, word, |pattern| pattern.list = id);
            }
        }
        words.sort_by(|(one, _), (other, _)| one.cmp(other));
        words.dedup_by(|(later, _), (first, _)| later == first);
        let mut rows = vec![Row::default(); names.len()];
        let lists = words.len();
        for feature in &weights.features {
            let at = match feature.sort {
                Sort::Mark => {
                    names.iter().position(|name| name.strip_prefix("mark:") == Some(&feature.name))
                }
                Sort::List => {
                    names.iter().position(|name| name.strip_prefix("list:") == Some(&feature.name))
                }
                Sort::Word => {
                    let id = names.len() as u16;
                    names.push(format!("word:{}", feature.name));
                    rows.push(Row::default());
                    let known = words.get_mut(..lists).unwrap_or_default();
                    match known.binary_search_by(|(word, _)| word.as_str().cmp(&feature.name)) {
                        Ok(at) => known
                            .iter_mut()
                            .skip(at)
                            .take(1)
                            .for_each(|(_, pattern)| pattern.word = id),
                        Err(_) => {
                            put(&mut words, feature.name.clone(), |pattern| pattern.word = id)
                        }
                    }
                    Some(usize::from(id))
                }
            };
            if let Some(row) = at.and_then(|at| rows.get_mut(at)) {
                *row = feature.weights;
            }
        }
        let rows = rows.into_iter().map(padded).collect();
        let patterns = words.iter().map(|(_, pattern)| *pattern).collect();
        let numbered = words.iter().map(|(word, _)| word.as_str()).zip(0u32..);
        let automaton = CharwiseDoubleArrayAhoCorasick::with_values(numbered).ok();
        let (start, margin) = (weights.start, weights.margin);
        Reader { digest: String::new(), names, weights: rows, start, margin, automaton, patterns }
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
        self.extract(text, scratch);
        let mut sums = [0.0; 8];
        for (feature, _, _) in &scratch.hits.fired {
            if let Some(row) = self.weights.get(usize::from(*feature)) {
                sums.iter_mut().zip(row).for_each(|(sum, weight)| *sum += weight);
            }
        }
        let mut all = self.start;
        all.iter_mut().zip(sums).for_each(|(sum, more)| *sum += more);
        let sums = all;
        let (class, rival, lead) = self.judge(&sums);
        let score = probability(&sums, class.index());
        let top = self.top(class, rival, scratch);
        Reading::new(class, score, lead, top.1.get(..top.0).unwrap_or_default())
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
        for (feature, start, end) in &scratch.hits.fired {
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

    fn extract(&self, text: &str, scratch: &mut Scratch) {
        let Scratch { normal, hits } = scratch;
        normal.fill(text, Numbers::Closed);
        hits.begin(self.names.len());
        marks::each(text, normal, |mark, start, end| hits.add(mark.index() as u16, start, end));
        let Some(automaton) = &self.automaton else { return };
        let folded = normal.text();
        for found in automaton.find_overlapping_iter(folded) {
            let Some(pattern) = self.patterns.get(found.value() as usize) else { continue };
            let (start, end) = (found.start(), found.end());
            if pattern.is_latin && !is_whole(folded.as_bytes(), start, end) {
                continue;
            }
            hits.add(pattern.list, start, end);
            hits.add(pattern.word, start, end);
        }
    }

    /// The numbers of the features that fire.
    pub(super) fn fired<'s>(
        &self,
        text: &str,
        scratch: &'s mut Scratch,
    ) -> impl Iterator<Item = u16> + 's {
        self.extract(text, scratch);
        scratch.hits.fired.iter().map(|(feature, _, _)| *feature)
    }
}

fn put(words: &mut Vec<(String, Pattern)>, word: String, set: impl Fn(&mut Pattern)) {
    let is_latin = word.starts_with(|c: char| c.is_ascii_alphabetic());
    let mut pattern = Pattern { list: NONE, word: NONE, is_latin };
    set(&mut pattern);
    words.push((word, pattern));
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
