//! Smooth weighted choice: of upstreams with weights 3 and 1 every fourth bind goes to the second, and
//! not three in a row to the one and then one to the other.
//!
//! Each choice adds its weight to what every one that may be chosen has saved up; who has most is chosen
//! and pays the sum of all weights. There is no chance in it: the same history makes the same choice.

/// What one upstream has of the choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many of the choices it is to have, against the others' weights; above 0.
    pub weight: u32,
    /// Saved up: between the negative and the positive sum of all weights.
    saved: i64,
}

impl Share {
    /// One that has saved nothing yet.
    pub fn new(weight: u32) -> Share {
        Share { weight, saved: 0 }
    }
}

/// Chooses among those that may be chosen now, each with whatever the caller knows it by. Of equals the
/// first; `None` where there is none.
pub fn choose<'a, K>(among: impl Iterator<Item = (K, &'a mut Share)>) -> Option<K> {
    let mut sum = 0;
    let mut chosen: Option<(K, &'a mut Share)> = None;
    for (key, share) in among {
        sum += i64::from(share.weight);
        share.saved += i64::from(share.weight);
        if chosen.as_ref().is_none_or(|(_, most)| share.saved > most.saved) {
            chosen = Some((key, share));
        }
    }
    let (key, share) = chosen?;
    share.saved -= sum;
    Some(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chosen(weights: &[u32], times: usize) -> Vec<usize> {
        let mut shares: Vec<Share> = weights.iter().map(|weight| Share::new(*weight)).collect();
        (0..times).filter_map(|_| choose(shares.iter_mut().enumerate())).collect()
    }

    #[test]
    fn heavier_ones_are_chosen_more_often_and_never_in_lumps() {
        let cases: &[(&[u32], &[usize])] = &[
            (&[1], &[0, 0, 0]),
            (&[1, 1], &[0, 1, 0, 1]),
            (&[3, 1], &[0, 0, 1, 0, 0, 0, 1, 0]),
            (&[5, 1, 1], &[0, 0, 1, 0, 2, 0, 0]),
            (&[1, 2, 3], &[2, 1, 0, 2, 1, 2]),
            (&[], &[]),
        ];
        for (weights, expected) in cases {
            assert_eq!(&chosen(weights, expected.len().max(1)), expected, "{weights:?}");
        }
    }

    proptest! {
        /// After as many choices as all weights together, each was chosen as often as it weighs; on the
        /// way there none is ever a whole choice away from its part for each of the others.
        #[test]
        fn each_gets_what_it_weighs(weights in prop::collection::vec(1_u32..20, 1..8)) {
            let sum: u32 = weights.iter().sum();
            let mut counts = vec![0_u32; weights.len()];
            for (at, one) in chosen(&weights, sum as usize).into_iter().enumerate() {
                counts[one] += 1;
                for (count, weight) in counts.iter().zip(&weights) {
                    let due = f64::from(*weight) * (at + 1) as f64 / f64::from(sum);
                    prop_assert!((f64::from(*count) - due).abs() <= weights.len() as f64);
                }
            }
            prop_assert_eq!(counts, weights);
        }

        /// One that could not be chosen for a while does not make up for it at the others' cost.
        #[test]
        fn who_was_away_gets_its_part_and_no_more(weights in prop::collection::vec(1_u32..20, 2..6), away in 1_usize..200) {
            let mut shares: Vec<Share> = weights.iter().map(|weight| Share::new(*weight)).collect();
            for _ in 0..away {
                choose(shares.iter_mut().enumerate().skip(1));
            }
            let sum: u32 = weights.iter().sum();
            let turns = (0..sum * 2).filter_map(|_| choose(shares.iter_mut().enumerate()));
            let first = turns.filter(|one| *one == 0).count() as u32;
            prop_assert!(first.abs_diff(2 * weights[0]) <= 1, "{first} for a weight of {}", weights[0]);
        }
    }
}
