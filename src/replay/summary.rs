//! What a replay came to: verdicts counted by rule, provider, code and hour. Bounded whatever is in
//! the trace.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;

use super::judge::Judged;
use super::verdict::{Decided, Verdict};
use crate::audit::{Address as Recorded, Record};
use crate::policy::Rule;
use crate::registry::{Address, Allotment, Npi, ProviderId, Registry, Ton, sender};

/// Different source addresses that are counted each on its own; all others together.
pub const SOURCES_MAX: usize = 100_000;

/// Hours that are counted each on its own, eleven years; all others together with the last.
pub const HOURS_MAX: usize = 100_000;

const HOUR_US: u64 = 3_600_000_000;

/// How many of each verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; Verdict::ALL.len()]);

impl Counts {
    /// One more.
    pub fn add(&mut self, verdict: Verdict) {
        self.0[verdict as usize] += 1;
    }

    /// How many of one.
    pub fn of(&self, verdict: Verdict) -> u64 {
        self.0[verdict as usize]
    }

    /// How many in all.
    pub fn all(&self) -> u64 {
        self.0.iter().sum()
    }

    /// These and those.
    pub fn join(&mut self, others: Counts) {
        self.0.iter_mut().zip(others.0).for_each(|(own, other)| *own += other);
    }
}

/// A source address as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// Its octets, without NUL.
    pub raw: Box<[u8]>,
    /// Type of number.
    pub ton: u8,
    /// Numbering plan indicator.
    pub npi: u8,
}

/// Sums over a trace.
#[derive(Debug, Default)]
pub struct Summary {
    /// All verdicts: binds, messages and operations.
    pub verdicts: Counts,
    /// Refused and observed, by the rule that it was.
    pub rules: BTreeMap<RuleKey, Counts>,
    /// By provider; `None` where none was bound.
    pub providers: BTreeMap<Option<ProviderId>, Counts>,
    /// By hour since the Unix epoch.
    pub hours: BTreeMap<u64, Counts>,
    /// By TON, NPI, and source: looked for by the octets alone, so that nothing is allocated for one
    /// that is known.
    sources: HashMap<Box<[u8]>, Vec<(u8, u8, Counts)>, FixedState>,
    different_sources: usize,
    /// Of sources beyond [`SOURCES_MAX`].
    pub other_sources: Counts,
}

/// A rule, ordered as the rules are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleKey(pub Rule);

impl RuleKey {
    fn place(self) -> usize {
        Rule::ALL.iter().position(|rule| *rule == self.0).unwrap_or(usize::MAX)
    }
}

impl PartialOrd for RuleKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RuleKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place().cmp(&other.place())
    }
}

impl Summary {
    /// Counts one verdict.
    pub fn add(&mut self, judged: &Judged<'_>) {
        let Some(decided) = Decided::of(&judged.record) else { return };
        let verdict = decided.verdict;
        self.verdicts.add(verdict);
        if let Some(rule) = decided.rule {
            self.rules.entry(RuleKey(rule)).or_default().add(verdict);
        }
        self.providers.entry(judged.provider).or_default().add(verdict);
        let hour = judged.time_us / HOUR_US;
        let is_full = self.hours.len() >= HOURS_MAX && !self.hours.contains_key(&hour);
        let last = self.hours.last_key_value().map_or(hour, |(last, _)| *last);
        self.hours.entry(if is_full { last } else { hour }).or_default().add(verdict);
        if let Record::Verdict(message) = &judged.record {
            self.add_source(message.source, verdict);
        }
    }

    fn add_source(&mut self, source: Recorded<'_>, verdict: Verdict) {
        let is_full = self.different_sources >= SOURCES_MAX;
        let kinds = match self.sources.get_mut(source.raw) {
            Some(kinds) => kinds,
            None if is_full => return self.other_sources.add(verdict),
            None => self.sources.entry(source.raw.into()).or_default(),
        };
        match kinds.iter_mut().find(|(ton, npi, _)| (*ton, *npi) == (source.ton, source.npi)) {
            Some((_, _, counts)) => counts.add(verdict),
            None if is_full => self.other_sources.add(verdict),
            None => {
                self.different_sources += 1;
                let mut counts = Counts::default();
                counts.add(verdict);
                kinds.push((source.ton, source.npi, counts));
            }
        }
    }

    /// Source addresses, the most often refused first.
    pub fn sources(&self) -> Vec<(Source, Counts)> {
        let all = self.sources.iter().flat_map(|(raw, kinds)| {
            kinds.iter().map(|(ton, npi, counts)| {
                (Source { raw: raw.clone(), ton: *ton, npi: *npi }, *counts)
            })
        });
        let mut all: Vec<_> = all.collect();
        let refused = |counts: &Counts| (counts.of(Verdict::Refuse), counts.all());
        all.sort_by(|(a, a_counts), (b, b_counts)| {
            refused(b_counts).cmp(&refused(a_counts)).then_with(|| a.cmp(b))
        });
        all
    }

    /// By code of the registry, in its order; `None` for sources that are nobody's.
    pub fn codes(&self, registry: &Registry) -> BTreeMap<Option<String>, Counts> {
        let mut codes: BTreeMap<Option<String>, Counts> = BTreeMap::new();
        for (source, counts) in self.sources() {
            let address =
                Address { ton: Ton(source.ton), npi: Npi(source.npi), value: &source.raw };
            let code = sender(&address).ok().and_then(|one| match registry.allotment(&one) {
                Allotment::Code(_, code) => Some(code.number.unmasked().to_owned()),
                Allotment::Alphanumeric(_) => {
                    Some(String::from_utf8_lossy(&source.raw).into_owned())
                }
                Allotment::None => None,
            });
            codes.entry(code).or_default().join(counts);
        }
        if self.other_sources.all() > 0 {
            codes.entry(None).or_default().join(self.other_sources);
        }
        codes
    }

    /// The first microsecond of an hour of [`Summary::hours`].
    pub fn hour_us(hour: u64) -> u64 {
        hour.saturating_mul(HOUR_US)
    }
}
