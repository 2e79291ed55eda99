//! The octets of parts, each in a place of fixed size, chained by number.

use super::super::body::Body;
use super::super::undecodable::Undecodable;
use super::PartsFault;

/// Longest part, octets: what sm_length can count (SMPP 5.0 4.7.27).
pub const PART_OCTETS_MAX: usize = 255;

/// A part as it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived<'a> {
    /// Header and text.
    pub octets: &'a [u8],
    /// Whether there is a header, by the UDH indicator.
    pub has_header: bool,
    /// How the text is coded.
    pub data_coding: u8,
}

/// How often a part may come with the same octets.
pub const COPIES_MAX: u8 = u8::MAX;

/// No place.
pub(super) const NONE: u32 = u32::MAX;

struct Place {
    octets: [u8; PART_OCTETS_MAX],
    length: u8,
    number: u8,
    has_header: bool,
    data_coding: u8,
    /// How often it came and was not taken back.
    copies: u8,
    next: u32,
}

/// A part that is held.
#[derive(Clone, Copy)]
pub(super) struct Held<'a> {
    pub(super) number: u8,
    pub(super) arrived: Arrived<'a>,
}

impl<'a> Held<'a> {
    pub(super) fn body(self) -> Result<Body<'a>, Undecodable> {
        Body::split(self.arrived.octets, self.arrived.has_header)
    }
}

/// All places. Those that are given back are used again; memory grows to the most that were ever
/// held, and never beyond the limit.
pub(super) struct Places {
    places: Vec<Place>,
    free: u32,
    held: u32,
    max: u32,
}

impl Places {
    pub(super) fn new(max: u32) -> Places {
        Places { places: Vec::new(), free: NONE, held: 0, max: max.min(NONE - 1) }
    }

    /// Changes how many may be held.
    pub(super) fn limit(&mut self, max: u32) {
        self.max = max.min(NONE - 1);
    }

    pub(super) fn held(&self) -> u32 {
        self.held
    }

    /// The parts of a chain by rising number.
    pub(super) fn chain(&self, first: u32) -> impl Iterator<Item = Held<'_>> + Clone {
        let place = |at: u32| self.places.get(at as usize);
        std::iter::successors(place(first), move |held| place(held.next)).map(|place| Held {
            number: place.number,
            arrived: Arrived {
                octets: place.octets.get(..usize::from(place.length)).unwrap_or(&[]),
                has_header: place.has_header,
                data_coding: place.data_coding,
            },
        })
    }

    /// Puts a part into the chain that begins at `first`; the chain's new beginning. The number must
    /// not be in it.
    pub(super) fn insert(
        &mut self,
        first: u32,
        number: u8,
        arrived: Arrived<'_>,
    ) -> Result<u32, PartsFault> {
        let mut octets = [0; PART_OCTETS_MAX];
        let filled = octets.get_mut(..arrived.octets.len()).ok_or(PartsFault::Octets)?;
        filled.copy_from_slice(arrived.octets);
        let (mut before, mut behind) = (NONE, first);
        while let Some(place) = self.places.get(behind as usize).filter(|p| p.number < number) {
            (before, behind) = (behind, place.next);
        }
        let at = self.put(Place {
            octets,
            length: arrived.octets.len() as u8,
            number,
            has_header: arrived.has_header,
            data_coding: arrived.data_coding,
            copies: 1,
            next: behind,
        })?;
        match self.places.get_mut(before as usize) {
            Some(place) => {
                place.next = at;
                Ok(first)
            }
            None => Ok(at),
        }
    }

    fn put(&mut self, place: Place) -> Result<u32, PartsFault> {
        if self.held >= self.max {
            return Err(PartsFault::Held);
        }
        self.held += 1;
        match self.places.get_mut(self.free as usize) {
            Some(free) => {
                let at = self.free;
                self.free = free.next;
                *free = place;
                Ok(at)
            }
            None => {
                self.places.push(place);
                Ok(self.places.len() as u32 - 1)
            }
        }
    }

    /// Counts a part of the chain that begins at `first` once more; whether it may come so often.
    pub(super) fn again(&mut self, first: u32, number: u8) -> bool {
        let place = self.find(first, number);
        let counted = place.and_then(|place| Some((place.copies.checked_add(1)?, place)));
        counted.map(|(copies, place)| place.copies = copies).is_some()
    }

    /// Counts it once less; how often it still counts. `None` when it is not in the chain.
    pub(super) fn once_less(&mut self, first: u32, number: u8) -> Option<u8> {
        let place = self.find(first, number)?;
        place.copies = place.copies.saturating_sub(1);
        Some(place.copies)
    }

    fn find(&mut self, first: u32, number: u8) -> Option<&mut Place> {
        let mut at = first;
        while let Some(place) = self.places.get(at as usize).filter(|p| p.number != number) {
            at = place.next;
        }
        self.places.get_mut(at as usize)
    }

    /// Takes a part out of the chain that begins at `first`; the chain's new beginning. `None` when
    /// it is not in it.
    pub(super) fn remove(&mut self, first: u32, number: u8) -> Option<u32> {
        let (mut before, mut at) = (NONE, first);
        while let Some(place) = self.places.get(at as usize).filter(|p| p.number != number) {
            (before, at) = (at, place.next);
        }
        let place = self.places.get_mut(at as usize)?;
        let next = std::mem::replace(&mut place.next, self.free);
        self.free = at;
        self.held -= 1;
        match self.places.get_mut(before as usize) {
            Some(place) => {
                place.next = next;
                Some(first)
            }
            None => Some(next),
        }
    }

    /// Gives all places of a chain back.
    pub(super) fn release(&mut self, first: u32) {
        let mut at = first;
        while let Some(place) = self.places.get_mut(at as usize) {
            let next = place.next;
            place.next = self.free;
            self.free = at;
            self.held -= 1;
            at = next;
        }
    }
}
