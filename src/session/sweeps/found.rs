//! Sequences that were found after the fact. What other nodes sent within the last turns is not known, so the
//! next number of a sequence that is spread over them has gaps before it, and would never stand at the end of
//! enough known ones. Once what all of them sent is known, the sequence is found, and what would continue it
//! beyond the gaps belongs to it.

use super::cells::Cells;
use super::{SEQUENCE_RECIPIENTS, STEP_MAX};

/// Sequences of one room that are remembered; the one found longest ago goes first.
const FOUND_MAX: usize = 16;

/// Turns in which a sequence neither grew nor was hit until it is forgotten.
const IDLE_TURNS_MAX: u8 = 60;

/// Terms by which a sequence may grow in one turn in each direction.
const GROWTH_MAX: u32 = 4096;

/// Neighbours of a number, on each side, by whose distance a sequence is looked for.
const NEIGHBOURS: usize = 16;

/// How far beyond its ends a number belongs to it: as many terms as are known of it, within this.
const REACH_TERMS: std::ops::RangeInclusive<u64> = 256..=10_000;

/// A sequence: every number from `low` to `high` by this step was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sequence {
    low: u64,
    high: u64,
    step: u64,
    idle_turns: u8,
}

impl Sequence {
    /// The sequence by that step through a number, where it is long enough.
    fn through(number: u64, step: u64, cells: &Cells) -> Option<Sequence> {
        let mut sequence = Sequence { low: number, high: number, step, idle_turns: 0 };
        sequence.grow(cells, SEQUENCE_RECIPIENTS);
        let terms = (sequence.high - sequence.low) / step + 1;
        (terms >= u64::from(SEQUENCE_RECIPIENTS)).then_some(sequence)
    }

    /// Takes in what is known beyond its ends; whether there was anything.
    fn grow(&mut self, cells: &Cells, terms_max: u32) -> bool {
        let before = (self.low, self.high);
        for _ in 0..terms_max {
            match self.low.checked_sub(self.step).filter(|next| cells.contains(*next)) {
                Some(next) => self.low = next,
                None => break,
            }
        }
        for _ in 0..terms_max {
            match self.high.checked_add(self.step).filter(|next| cells.contains(*next)) {
                Some(next) => self.high = next,
                None => break,
            }
        }
        before != (self.low, self.high)
    }

    fn has(&self, number: u64) -> bool {
        let known = (self.high - self.low) / self.step;
        let reach = self.step * known.clamp(*REACH_TERMS.start(), *REACH_TERMS.end());
        number >= self.low.saturating_sub(reach)
            && number <= self.high.saturating_add(reach)
            && number.abs_diff(self.low).is_multiple_of(self.step)
    }
}

/// Those of one room.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// At most [`FOUND_MAX`], the latest last.
    sequences: Vec<Sequence>,
}

impl Found {
    /// Whether a number belongs to one of them.
    pub(super) fn has(&mut self, number: u64) -> bool {
        let hit = self.sequences.iter_mut().find(|one| one.has(number));
        hit.map(|one| one.idle_turns = 0).is_some()
    }

    /// Looks for sequences through numbers that were sent to lately, by the steps between them. Once a turn.
    pub(super) fn look(&mut self, latest: &[u64], cells: &Cells) {
        self.sequences.retain_mut(|one| {
            let has_grown = one.grow(cells, GROWTH_MAX);
            one.idle_turns = if has_grown { 0 } else { one.idle_turns + 1 };
            one.idle_turns < IDLE_TURNS_MAX
        });
        let mut latest = latest.to_vec();
        latest.sort_unstable();
        latest.dedup();
        for (at, &number) in latest.iter().enumerate() {
            if self.sequences.iter().any(|one| one.has(number)) {
                continue;
            }
            let found = steps(&latest, at).find_map(|step| Sequence::through(number, step, cells));
            if let Some(found) = found {
                if self.sequences.len() >= FOUND_MAX {
                    self.sequences.remove(0);
                }
                self.sequences.push(found);
            }
        }
    }
}

/// How far the number in that place is from its neighbours in a rising list, the nearest first.
fn steps(latest: &[u64], at: usize) -> impl Iterator<Item = u64> {
    let from = at.saturating_sub(NEIGHBOURS);
    let around = latest.get(from..latest.len().min(at + NEIGHBOURS + 1)).unwrap_or_default();
    let number = latest.get(at).copied().unwrap_or_default();
    let mut steps: Vec<u64> = around.iter().map(|other| number.abs_diff(*other)).collect();
    steps.sort_unstable();
    steps.dedup();
    steps.into_iter().filter(|step| (1..=STEP_MAX).contains(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_reaches_as_far_beyond_its_ends_as_it_is_long_and_is_forgotten() {
        let mut cells = Cells::new();
        let base = 8_613_800_130_000;
        let all: Vec<u64> = (0..300).map(|term| base + term * 7).collect();
        for number in &all {
            cells.put(*number);
        }
        let mut found = Found::default();
        found.look(&all[90..122], &cells);
        // As long as is looked at first, then all that is known.
        assert_eq!(found.sequences.len(), 1);
        found.look(&[], &cells);
        let end = all[299];
        let cases =
            [(end + 7, true), (end + 7 * 299, true), (end + 7 * 300, false), (end + 8, false)];
        for (number, expected) in cases {
            assert_eq!(found.has(number), expected, "{}", number - base);
        }
        assert!(found.has(base - 7) && !found.has(base - 7 * 300));
        for _ in 0..IDLE_TURNS_MAX {
            found.look(&[], &cells);
        }
        assert!(!found.has(end + 7), "nothing came for long");
    }

    #[test]
    fn a_list_of_some_neighbours_is_no_sequence() {
        let mut cells = Cells::new();
        let numbers: Vec<u64> = (0..31).map(|term| 8_613_800_130_000 + term).collect();
        for number in &numbers {
            cells.put(*number);
        }
        let mut found = Found::default();
        found.look(&numbers, &cells);
        assert!(found.sequences.is_empty());
    }
}
