//! Where a node's messages went, as octets in a row that the others read.
//!
//! ```text
//! summary   = version (1) | provider*
//! provider  = name (8: session::originals::mark) | latest: count (2), number (8)* | cells: count (2), cell*
//! cell      = first (8) | which (1: a bit for each word that follows) | word (8)*
//! ```
//!
//! All numbers big-endian. What a later version writes is passed over.

use crate::session::sweeps::{Neighbourhood, Told};

/// Neighbourhoods that are told in one turn. What is more waits for the next.
pub const CELLS_A_TURN_MAX: usize = 8_192;

/// The longest row, octets: [`CELLS_A_TURN_MAX`] cells, each with all its words and of a provider of its own
/// with as many latest numbers as it has.
pub const TOLD_OCTETS_MAX: usize = 1 << 20;

const VERSION: u8 = 1;

/// Writes what is told. `name_of` gives a provider's name as a number that is the same on every node; of whom
/// there is none, nothing is written.
pub fn write(told: &[Told], name_of: impl Fn(&Told) -> Option<u64>) -> Vec<u8> {
    let mut out = vec![VERSION];
    for one in told {
        let Some(name) = name_of(one) else { continue };
        let count = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        let (latest, cells) = (count(one.latest.len()), count(one.cells.len()));
        out.extend(name.to_be_bytes());
        out.extend(latest.to_be_bytes());
        out.extend(one.latest.iter().take(latest.into()).flat_map(|number| number.to_be_bytes()));
        out.extend(cells.to_be_bytes());
        for cell in one.cells.iter().take(cells.into()) {
            out.extend(cell.first.to_be_bytes());
            let which = (0..).zip(&cell.seen).filter(|(_, word)| **word != 0);
            out.push(which.clone().fold(0, |bits, (at, _)| bits | 1 << at));
            out.extend(which.flat_map(|(_, word)| word.to_be_bytes()));
        }
    }
    out
}

/// Reads what another node told, of those who have a name here. `None`: it is no summary, or cut.
pub fn read(
    octets: &[u8],
    provider_of: impl Fn(u64) -> Option<crate::registry::ProviderId>,
) -> Option<Vec<Told>> {
    let (&version, rest) = octets.split_first()?;
    if version != VERSION {
        return Some(Vec::new());
    }
    let mut rest = Rest(rest);
    let mut all = Vec::new();
    while !rest.0.is_empty() {
        let name = rest.number()?;
        let latest = (0..rest.count()?).map(|_| rest.number()).collect::<Option<Vec<u64>>>()?;
        let cells = (0..rest.count()?).map(|_| rest.cell()).collect::<Option<Vec<_>>>()?;
        if let Some(provider) = provider_of(name) {
            all.push(Told { provider, cells, latest });
        }
    }
    Some(all)
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn count(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn cell(&mut self) -> Option<Neighbourhood> {
        let first = self.number()?;
        let [which] = self.take()?;
        let mut cell = Neighbourhood { first, seen: Default::default() };
        for (at, word) in cell.seen.iter_mut().enumerate() {
            if which & 1 << at != 0 {
                *word = self.number()?;
            }
        }
        Some(cell)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::registry::ProviderId;

    fn told() -> impl Strategy<Value = Vec<Told>> {
        let cell =
            (0_u64..1 << 42, any::<[u64; 4]>(), any::<u8>()).prop_map(|(first, seen, which)| {
                let seen = [0, 1, 2, 3].map(|at| if which & 1 << at == 0 { 0 } else { seen[at] });
                Neighbourhood { first: first * 256, seen }
            });
        let one = (
            0_u32..9,
            prop::collection::vec(cell, 0..5),
            prop::collection::vec(any::<u64>(), 0..4),
        );
        let one = one.prop_map(|(provider, cells, latest)| Told {
            provider: ProviderId(provider),
            cells,
            latest,
        });
        prop::collection::vec(one, 0..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn what_is_told_is_read_as_it_was_and_a_cut_is_seen(told in told(), cut in any::<prop::sample::Index>()) {
            let octets = write(&told, |one| Some(u64::from(one.provider.0) + 100));
            let provider = |name: u64| Some(ProviderId(name as u32 - 100));
            prop_assert_eq!(read(&octets, provider), Some(told.clone()));
            prop_assert_eq!(read(&octets, |_| None), Some(Vec::new()));
            // A cut shows, or falls between two.
            let cut = cut.index(octets.len());
            if let Some(found) = read(&octets[..cut], provider) {
                prop_assert!(told.starts_with(&found));
            }
        }
    }

    #[test]
    fn another_version_says_nothing() {
        assert_eq!(read(&[2, 1, 2, 3], |_| None), Some(Vec::new()));
        assert_eq!(read(&[], |_| None), None);
    }
}
