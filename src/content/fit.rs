//! Fits weights from labelled texts: softmax regression by stochastic gradient (AdaGrad), pulled
//! towards zero (L1 and L2), on features of which a part is left out each time, so that no single
//! word carries a class. The same rows in the same order with the same settings give the same weights.

use std::collections::HashMap;

use super::marks::Mark;
use super::reader::{Reader, Scratch};
use super::weights::{Feature, Row, Sort, Weights};
use super::{Class, candidates, lexicon};

/// A labelled text.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// The text.
    pub text: String,
    /// The classes that it may be: more than one where the label does not tell them apart.
    pub classes: Vec<Class>,
    /// Where it comes from; texts of one source and label share their weight.
    pub source: usize,
    /// What it weighs against others of its source's size, 1 for most.
    pub share: f32,
}

/// How to fit.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Words at most, beside marks, lists and pairs.
    pub words_max: usize,
    /// Texts that a word must occur in to be looked at; a pair in twice as many.
    pub texts_min: u32,
    /// Sources that a word or pair must occur in, as far as there are so many: what only few sources say is
    /// their own way of speaking.
    pub sources_min: u32,
    /// Passes over all rows.
    pub passes: u32,
    /// How far a weight is pulled towards zero after each pass.
    pub l1: f32,
    /// The part of a weight that is taken off after each pass.
    pub l2: f32,
    /// How many times as hard marks, lists and pairs are pulled as words: they fire in most texts.
    pub common_pull: f32,
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
            words_max: 57_000,
            texts_min: 4,
            sources_min: 6,
            passes: 30,
            l1: 0.002,
            l2: 0.02,
            common_pull: 3.0,
            dropout: 0.3,
            alarm_cost: 5.0,
            margin: -0.5,
        }
    }
}

/// How fast it learns.
const STEP: f32 = 0.15;

/// What speaks for these classes before anything is read, beside what was learned: of personal texts half as many may be
/// called commercial as of service messages, and both kinds are hardly ever sent in number. Over three fits, each without a
/// quarter of the hands, this cost fewer advertisements than a higher cost of mistakes about them.
const LEADS: [(Class, f32); 2] = [(Class::Public, 1.0), (Class::Personal, 2.6)];

/// Texts from which leads count whole, and before that in proportion: of few texts too little is learned to weigh against them.
const LED_TEXTS_MIN: usize = 10_000;

/// A word or pair whose weights all lie nearer to each other than this says nothing and is left out.
const SPREAD_MIN: f32 = 0.15;

/// Fits weights.
pub fn fit(rows: &[Labelled], settings: &Settings) -> Weights {
    let importance = importance(rows, settings);
    let words = candidates::words(rows, &importance, settings);
    let mut weights =
        Weights { start: Row::default(), margin: settings.margin, features: Vec::new() };
    let feature =
        |sort, name: &str| Feature { sort, name: name.to_owned(), weights: Row::default() };
    weights.features.extend(Mark::ALL.iter().map(|mark| feature(Sort::Mark, mark.name())));
    weights.features.extend(lexicon::lists().map(|(name, _)| feature(Sort::List, name)));
    let pairs = candidates::pairs(&Reader::new(&weights), rows, settings);
    weights.features.extend(pairs.iter().map(|pair| feature(Sort::Pair, pair)));
    for sort in [Sort::First, Sort::Last] {
        weights.features.extend(lexicon::lists().map(|(name, _)| feature(sort, name)));
    }
    let common = weights.features.len();
    weights.features.extend(words.iter().map(|word| feature(Sort::Word, word)));
    // Marks, lists, pairs, lists in first and last sentences, then words: the numbers of the reader's features are those of this vector.
    let reader = Reader::new(&weights);
    let mut scratch = Scratch::default();
    let fired: Vec<Vec<u16>> =
        rows.iter().map(|row| reader.fired(&row.text, &mut scratch).collect()).collect();
    let mut model = Model::new(weights.features.len());
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
        if pass >= settings.passes / 2 {
            model.sum_up();
        }
        model.shrink(settings, common);
    }
    let summed = (settings.passes - settings.passes / 2).max(1) as f32;
    weights.start = model.start.sum.map(|sum| sum / summed);
    for (feature, slot) in weights.features.iter_mut().zip(&model.slots) {
        feature.weights = slot.sum.map(|sum| (sum / summed * 1000.0).round() / 1000.0);
    }
    let led = (rows.len() as f32 / LED_TEXTS_MIN as f32).min(1.0);
    for (class, lead) in LEADS {
        if let Some(start) = weights.start.get_mut(class.index()) {
            *start += lead * led;
        }
    }
    weights.features.retain(|feature| {
        matches!(feature.sort, Sort::Mark | Sort::List) || spread(&feature.weights) >= SPREAD_MIN
    });
    weights
}

fn spread(row: &Row) -> f32 {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let least = row.iter().copied().fold(f32::INFINITY, f32::min);
    most - least
}

/// Texts of one source and label weigh together as the square root of how many they are, times what their class
/// costs and what share they are given: a large source says more than a small one, and does not drown it.
fn importance(rows: &[Labelled], settings: &Settings) -> Vec<f32> {
    let mut sizes: HashMap<(usize, &[Class]), usize> = HashMap::new();
    for row in rows {
        *sizes.entry((row.source, row.classes.as_slice())).or_default() += 1;
    }
    let mean = rows.len() as f32 / sizes.len().max(1) as f32;
    let of = |row: &Labelled| {
        let size = sizes.get(&(row.source, row.classes.as_slice())).copied().unwrap_or(1);
        (mean / size as f32).sqrt() * cost(&row.classes, settings) * row.share
    };
    rows.iter().map(of).collect()
}

/// What a mistake about a text of these classes costs, against 1 for an advertisement.
fn cost(classes: &[Class], settings: &Settings) -> f32 {
    match classes {
        [Class::Service(_) | Class::Public, ..] if !classes.contains(&Class::Personal) => {
            settings.alarm_cost
        }
        [Class::Fraud | Class::Illicit, ..] => FOUL_COST,
        [Class::Personal, ..] => PERSONAL_COST,
        [Class::Commercial, ..] => 1.0,
        _ => VAGUE_COST,
    }
}

/// Personal texts that look like offers are few beside all others of theirs.
const PERSONAL_COST: f32 = 2.0;

/// Fraud and illicit trade are refused for what they are; which of the two names is given matters less.
const FOUL_COST: f32 = 0.5;

/// Texts whose label says only what they are not are often no messages at all.
const VAGUE_COST: f32 = 0.2;

#[derive(Clone, Default)]
struct Slot {
    weights: Row,
    squares: Row,
    /// What the weights were after each of the later passes: their mean is taken, since the last texts of a pass say too much.
    sum: Row,
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

    fn sum_up(&mut self) {
        for slot in self.slots.iter_mut().chain([&mut self.start]) {
            slot.sum.iter_mut().zip(slot.weights).for_each(|(sum, weight)| *sum += weight);
        }
    }

    /// Pulls weights towards zero; the first `common` harder.
    fn shrink(&mut self, settings: &Settings, common: usize) {
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let part = if at < common { settings.common_pull } else { 1.0 };
            for weight in &mut slot.weights {
                let pulled = *weight * (1.0 - settings.l2 * part).max(0.0);
                *weight = pulled.signum() * (pulled.abs() - settings.l1 * part).max(0.0);
            }
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
