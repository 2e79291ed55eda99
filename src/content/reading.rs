//! What a reader made of a text: the class and what spoke for it.

use super::Class;

/// Octets `start..end` of the raw UTF-8 text; both lie on character boundaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first octet.
    pub start: u32,
    /// One past the last octet.
    pub end: u32,
}

impl Span {
    /// The span of octets `start..end`. A text has at most [`super::TEXT_OCTETS_MAX`] octets, so
    /// nothing is lost.
    pub fn new(start: usize, end: usize) -> Span {
        let octet = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { start: octet(start), end: octet(end) }
    }

    /// Octets under it.
    #[allow(clippy::len_without_is_empty)] // Nobody asks.
    pub fn len(self) -> u32 {
        self.end.saturating_sub(self.start)
    }

    /// What lies under it; nothing where the text is another one.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// A feature's number in one [`super::Reader`]: [`super::Reader::feature`] has its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FeatureId(pub u16);

/// A feature that fired.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fired {
    /// Which.
    pub feature: FeatureId,
    /// Where it fired first.
    pub span: Span,
    /// What it added: above zero for the class that was given, below zero against it.
    pub weight: f32,
}

/// Features that a reading names: those of the greatest weight, either way.
pub const FIRED_MAX: usize = 8;

/// The class of a text, how sure, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The class.
    pub class: Class,
    /// The probability of the class by the model, 0 to 1.
    pub score: f32,
    /// By how much commercial leads the best other class, in logits; below zero it trails.
    pub lead: f32,
    fired: [Fired; FIRED_MAX],
    count: u8,
}

impl Reading {
    /// A reading with the first [`FIRED_MAX`] of what fired.
    pub fn new(class: Class, score: f32, lead: f32, all: &[Fired]) -> Reading {
        let mut fired = [Fired::default(); FIRED_MAX];
        let mut count = 0;
        for (slot, one) in fired.iter_mut().zip(all) {
            *slot = *one;
            count += 1;
        }
        Reading { class, score, lead, fired, count }
    }

    /// What fired, greatest weight first. At most [`FIRED_MAX`].
    pub fn fired(&self) -> &[Fired] {
        self.fired.get(..usize::from(self.count)).unwrap_or_default()
    }

    /// Whether the text needs consent.
    pub fn is_commercial(&self) -> bool {
        self.class == Class::Commercial
    }
}
