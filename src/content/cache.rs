//! Readings of texts that were read before: one campaign sends the same body a million times.
//!
//! Direct-mapped: each text has one place by its hash, and the next text of that place takes it over.
//! Only the hash is kept, 128 bits of it under a random seed, so that nobody can make two texts meet.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;

use super::Reading;

/// Readings, as many as fit into a number of octets.
#[derive(Debug)]
pub struct Cache {
    places: Vec<Option<(u64, Reading)>>,
    place: RandomState,
    check: RandomState,
}

impl Cache {
    /// A cache that takes up at most so many octets; with fewer than one place takes it remembers nothing.
    pub fn new(octets_max: usize) -> Cache {
        let places = octets_max / std::mem::size_of::<Option<(u64, Reading)>>();
        Cache {
            places: vec![None; places],
            place: RandomState::default(),
            check: RandomState::default(),
        }
    }

    /// Octets that its readings take up.
    pub fn octets(&self) -> usize {
        std::mem::size_of_val(self.places.as_slice())
    }

    /// The reading of a text, as it was read before or as `read` reads it now.
    pub fn reading(&mut self, text: &str, read: impl FnOnce() -> Reading) -> Reading {
        let check = self.check.hash_one(text);
        let count = self.places.len() as u64;
        let place = self.place.hash_one(text).checked_rem(count).unwrap_or(0);
        let Some(place) = self.places.get_mut(place as usize) else { return read() };
        match place {
            Some((known, reading)) if *known == check => *reading,
            other => {
                let reading = read();
                *other = Some((check, reading));
                reading
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Class, Reading};
    use super::*;

    fn reading(score: f32) -> Reading {
        Reading::new(Class::Personal, score, 0.0, &[])
    }

    #[test]
    fn a_text_is_read_once() {
        let mut cache = Cache::new(64 * 1024);
        assert_eq!(cache.reading("one", || reading(0.5)).score, 0.5);
        assert_eq!(cache.reading("one", || unreachable!("it is known")).score, 0.5);
    }

    #[test]
    fn it_stays_within_its_octets() {
        let one = std::mem::size_of::<Option<(u64, Reading)>>();
        for (octets, places) in [(0, 0), (one - 1, 0), (one, 1), (2 * one - 1, 1), (2 * one, 2)] {
            let mut cache = Cache::new(octets);
            assert_eq!(cache.octets(), places * one);
            for number in 0..100_u8 {
                let score = f32::from(number);
                assert_eq!(cache.reading(&number.to_string(), || reading(score)).score, score);
            }
        }
    }
}
