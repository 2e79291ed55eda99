//! Fits weights from labelled texts: softmax regression by stochastic gradient (AdaGrad), pulled
//! towards zero (L1 and L2), on features of which a part is left out each time, so that no single
//! word carries a class. The same rows in the same order with the same settings give the same weights.

use std::collections::HashMap;

use super::marks::Mark;
use super::normal::Numbers;
use super::reader::{Reader, Scratch};
use super::weights::{Feature, Row, Sort, WORD_CHARS_MAX, Weights};
use super::{Class, Normal, lexicon};

/// A labelled text.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// The text.
    pub text: String,
    /// The classes that it may be: more than one where the label does not tell them apart.
    pub classes: Vec<Class>,
    /// Where it comes from; texts of one source and label share their weight.
    pub source: usize,
}

/// How to fit.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Words at most, beside marks and lists.
    pub words_max: usize,
    /// Texts that a word must occur in to be looked at.
    pub texts_min: u32,
    /// Sources that a word must occur in, as far as there are so many: what only one source says is
    /// its own way of speaking.
    pub sources_min: u32,
    /// Passes over all rows.
    pub passes: u32,
    /// How far a weight is pulled towards zero after each pass.
    pub l1: f32,
    /// The part of a weight that is taken off after each pass.
    pub l2: f32,
    /// The part of the features that is left out, 0 to 1.
    pub dropout: f32,
    /// What a mistake about service and public texts costs, against 1 for one about advertisements.
    pub alarm_cost: f32,
    /// See [`Weights::margin`].
    pub margin: f32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            words_max: 12_000,
            texts_min: 5,
            sources_min: 3,
            passes: 12,
            l1: 0.005,
            l2: 0.05,
            dropout: 0.3,
            alarm_cost: 5.0,
            margin: 0.3,
        }
    }
}

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

/// How fast it learns.
const STEP: f32 = 0.15;

/// A word whose weights all lie nearer to each other than this says nothing and is left out.
const SPREAD_MIN: f32 = 0.15;

/// Fits weights.
pub fn fit(rows: &[Labelled], settings: &Settings) -> Weights {
    let words = candidates(rows, settings);
    let mut weights =
        Weights { start: Row::default(), margin: settings.margin, features: Vec::new() };
    let feature =
        |sort, name: &str| Feature { sort, name: name.to_owned(), weights: Row::default() };
    weights.features.extend(Mark::ALL.iter().map(|mark| feature(Sort::Mark, mark.name())));
    weights.features.extend(lexicon::lists().map(|(name, _)| feature(Sort::List, name)));
    weights.features.extend(words.iter().map(|word| feature(Sort::Word, word)));
    // Marks, then lists, then words: the numbers of the reader's features are those of this vector.
    let reader = Reader::new(&weights);
    let mut scratch = Scratch::default();
    let fired: Vec<Vec<u16>> =
        rows.iter().map(|row| reader.fired(&row.text, &mut scratch).collect()).collect();
    let mut model = Model::new(weights.features.len());
    let importance = importance(rows, settings);
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    for pass in 0..settings.passes {
        chance.shuffle(&mut order);
        for &at in &order {
            if let (Some(row), Some(fired), Some(weight)) =
                (rows.get(at), fired.get(at), importance.get(at))
            {
                model.learn(row, fired, *weight, settings.dropout, &mut chance);
            }
        }
        if pass + 1 < settings.passes {
            model.shrink(settings);
        }
    }
    weights.start = model.start.weights;
    for (feature, slot) in weights.features.iter_mut().zip(&model.slots) {
        feature.weights = slot.weights.map(|weight| (weight * 1000.0).round() / 1000.0);
    }
    weights
        .features
        .retain(|feature| feature.sort != Sort::Word || spread(&feature.weights) >= SPREAD_MIN);
    weights
}

fn spread(row: &Row) -> f32 {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let least = row.iter().copied().fold(f32::INFINITY, f32::min);
    most - least
}

/// Texts of one source and label weigh together what those of another do, times what their class costs.
fn importance(rows: &[Labelled], settings: &Settings) -> Vec<f32> {
    let mut sizes: HashMap<(usize, &[Class]), usize> = HashMap::new();
    for row in rows {
        *sizes.entry((row.source, row.classes.as_slice())).or_default() += 1;
    }
    let mean = rows.len() as f32 / sizes.len().max(1) as f32;
    let of = |row: &Labelled| {
        let size = sizes.get(&(row.source, row.classes.as_slice())).copied().unwrap_or(1);
        mean / size as f32 * cost(&row.classes, settings)
    };
    rows.iter().map(of).collect()
}

/// What a mistake about a text of these classes costs, against 1 for an advertisement or a personal text.
fn cost(classes: &[Class], settings: &Settings) -> f32 {
    match classes {
        [Class::Service(_) | Class::Public, ..] if !classes.contains(&Class::Personal) => {
            settings.alarm_cost
        }
        [Class::Fraud | Class::Illicit, ..] => FOUL_COST,
        [Class::Commercial | Class::Personal, ..] => 1.0,
        _ => VAGUE_COST,
    }
}

/// Fraud and illicit trade are refused for what they are; which of the two names is given matters less.
const FOUL_COST: f32 = 0.5;

/// Texts whose label says only what they are not are often no messages at all.
const VAGUE_COST: f32 = 0.2;

#[derive(Clone, Default)]
struct Slot {
    weights: Row,
    squares: Row,
}

struct Model {
    start: Slot,
    slots: Vec<Slot>,
}

impl Model {
    fn new(features: usize) -> Model {
        Model { start: Slot::default(), slots: vec![Slot::default(); features] }
    }

    fn learn(
        &mut self,
        row: &Labelled,
        fired: &[u16],
        weight: f32,
        dropout: f32,
        chance: &mut Chance,
    ) {
        // What is left weighs more, so that sums stay what they are without dropout.
        let scale = 1.0 / (1.0 - dropout);
        let kept = chance.next();
        let is_kept = |feature: u16| dropped(kept, feature) >= dropout;
        let mut sums = self.start.weights;
        for feature in fired.iter().filter(|feature| is_kept(**feature)) {
            if let Some(slot) = self.slots.get(usize::from(*feature)) {
                sums.iter_mut().zip(slot.weights).for_each(|(sum, weight)| *sum += weight * scale);
            }
        }
        let slope = slope(&sums, &row.classes, weight);
        self.start.step(&slope);
        let slope = slope.map(|slope| slope * scale);
        for feature in fired.iter().filter(|feature| is_kept(**feature)) {
            if let Some(slot) = self.slots.get_mut(usize::from(*feature)) {
                slot.step(&slope);
            }
        }
    }

    fn shrink(&mut self, settings: &Settings) {
        for weight in self.slots.iter_mut().flat_map(|slot| &mut slot.weights) {
            let pulled = *weight * (1.0 - settings.l2);
            *weight = pulled.signum() * (pulled.abs() - settings.l1).max(0.0);
        }
    }
}

impl Slot {
    fn step(&mut self, slope: &Row) {
        for ((weight, square), slope) in self.weights.iter_mut().zip(&mut self.squares).zip(slope) {
            *square += slope * slope;
            *weight -= STEP * slope / (square.sqrt() + 1e-3);
        }
    }
}

/// The slope of the loss: what the model believes less what it may believe.
fn slope(sums: &Row, classes: &[Class], weight: f32) -> Row {
    let most = sums.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let raised = sums.map(|sum| (sum - most).exp());
    let all: f32 = raised.iter().sum();
    let allowed: f32 = classes.iter().filter_map(|class| raised.get(class.index())).sum();
    let mut slope = raised.map(|one| weight * one / all);
    for class in classes {
        if let (Some(slot), Some(one)) = (slope.get_mut(class.index()), raised.get(class.index())) {
            *slot -= weight * one / allowed.max(f32::MIN_POSITIVE);
        }
    }
    slope
}

/// A sequence of numbers that looks random and is always the same (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    fn shuffle(&mut self, order: &mut [usize]) {
        for at in (1..order.len()).rev() {
            let other = self.next() % (at as u64 + 1);
            order.swap(at, other as usize);
        }
    }
}

fn mixed(seed: u64) -> u64 {
    let mut z = seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number from 0 to 1 for each feature, other for each row and pass.
fn dropped(kept: u64, feature: u16) -> f32 {
    let bits = mixed(kept ^ u64::from(feature).wrapping_mul(0xd6e8_feb8_6659_fd93));
    (bits >> 40) as f32 / (1u64 << 24) as f32
}

/// What is counted of a word.
#[derive(Default)]
struct Count {
    texts: u32,
    /// A bit for each source, modulo 64.
    sources: u64,
    sums: Row,
}

/// The words that say most about a class: each word's texts a class against what chance would give.
fn candidates(rows: &[Labelled], settings: &Settings) -> Vec<String> {
    let importance = importance(rows, settings);
    let mut counts: HashMap<String, Count> = HashMap::new();
    let mut totals = Row::default();
    let mut normal = Normal::default();
    let mut words: Vec<String> = Vec::new();
    for (row, weight) in rows.iter().zip(&importance) {
        normal.fill(&row.text, Numbers::Closed);
        words.clear();
        grams(normal.text(), &mut words);
        words.sort_unstable();
        words.dedup();
        let share = weight / row.classes.len().max(1) as f32;
        let add = |sums: &mut Row| {
            for class in &row.classes {
                sums.iter_mut().skip(class.index()).take(1).for_each(|sum| *sum += share);
            }
        };
        add(&mut totals);
        for word in words.drain(..) {
            let count = counts.entry(word).or_default();
            count.texts += 1;
            count.sources |= 1 << (row.source % 64);
            add(&mut count.sums);
        }
    }
    let all: f32 = totals.iter().sum();
    let telling = |sums: &Row| {
        let mass: f32 = sums.iter().sum();
        let over = |(sum, total): (&f32, &f32)| {
            let expected = mass * total / all;
            (sum - expected).abs() / (expected + 1.0).sqrt()
        };
        sums.iter().zip(&totals).map(over).fold(0.0_f32, f32::max)
    };
    let sources = rows.iter().fold(0_u64, |all, row| all | 1 << (row.source % 64)).count_ones();
    let sources_min = settings.sources_min.min(sources);
    let is_common = |count: &Count| {
        count.texts >= settings.texts_min && count.sources.count_ones() >= sources_min
    };
    let frequent = counts.into_iter().filter(|(_, count)| is_common(count));
    let mut told: Vec<(f32, String)> =
        frequent.map(|(word, count)| (telling(&count.sums), word)).collect();
    told.sort_by(|(one, word), (other, second)| {
        other.total_cmp(one).then_with(|| word.cmp(second))
    });
    told.truncate(settings.words_max);
    told.into_iter().map(|(_, word)| word).collect()
}

/// Every run of 1 to [`GRAM_CHARS_MAX`] ideographs and closed numbers (one ideograph at least), and
/// every word and pair of words of letters, but small words only in pairs.
fn grams(text: &str, words: &mut Vec<String>) {
    let is_han = |c: char| c >= '\u{3400}' && c.is_alphabetic();
    for run in text.split(|c: char| !is_han(c) && c != '0') {
        for (start, _) in run.char_indices() {
            let rest = run.get(start..).unwrap_or_default();
            for (at, c) in rest.char_indices().take(GRAM_CHARS_MAX) {
                let word = rest.get(..at + c.len_utf8()).unwrap_or_default();
                if word.contains(is_han) {
                    words.push(word.to_owned());
                }
            }
        }
    }
    for run in text.split(|c: char| !c.is_ascii_alphabetic() && c != ' ' && c != '\'') {
        let mut before: Option<&str> = None;
        for word in run.split(' ').filter(|word| word.len() > 1) {
            let pair = before.map(|before| format!("{before} {word}"));
            let single = (!SMALL_WORDS.contains(&word)).then(|| word.to_owned());
            let all = pair.into_iter().chain(single);
            words.extend(all.filter(|word| {
                word.len() <= WORD_CHARS_MAX && word.starts_with(|c: char| c.is_ascii_alphabetic())
            }));
            before = Some(word);
        }
    }
}
