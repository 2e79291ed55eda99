//! What one node tells the others of where a provider's messages went, so that numbers counted through over
//! several nodes are found as one node would find them: new numbers by neighbourhood, and the latest.

use super::cells::{CELL_NUMBERS, Cells};
use super::found::Found;
use super::{LATEST_RECIPIENTS, NUMBER_BITS};
use crate::registry::ProviderId;

/// Numbers of one room that wait to be told, and of eight octets each. More in one turn are not told: the
/// others know them not.
pub const NEWS_MAX: usize = 16_384;

/// Latest recipients of other nodes that are remembered in a room, over several turns: sequences are looked
/// for among them.
const OTHERS_LATEST: usize = 4 * LATEST_RECIPIENTS;

/// New numbers of one neighbourhood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbourhood {
    /// Its first number, a multiple of 256.
    pub first: u64,
    /// A bit for each number from there: those that were sent to.
    pub seen: [u64; CELL_NUMBERS as usize / 64],
}

/// Where a provider's messages went since the turn before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whose they were.
    pub provider: ProviderId,
    /// All numbers that are new, by rising neighbourhood.
    pub cells: Vec<Neighbourhood>,
    /// The latest of them, the newest last; at most [`LATEST_RECIPIENTS`].
    pub latest: Vec<u64>,
}

/// What a room has for other nodes, and from them. All its octets are taken when its first message comes.
pub(super) struct Others {
    news: Vec<u64>,
    /// Numbers that found no room.
    untold: u64,
    latest: [u64; OTHERS_LATEST],
    next: usize,
    /// What came of what they told.
    pub(super) found: Found,
}

impl Others {
    pub(super) fn new() -> Others {
        let news = Vec::with_capacity(NEWS_MAX);
        let latest = [0; OTHERS_LATEST];
        Others { news, untold: 0, latest, next: 0, found: Found::default() }
    }

    /// Puts a number of another node's latest in the place of the oldest of those.
    pub(super) fn hear_latest(&mut self, number: u64) {
        if let Some(slot) = self.latest.get_mut(self.next) {
            *slot = number;
        }
        self.next = (self.next + 1) % OTHERS_LATEST;
    }

    /// Looks for sequences, when all that the others told has been put into `cells`.
    pub(super) fn look(&mut self, own_latest: &[u64], cells: &Cells) {
        let latest = self.latest.iter().chain(own_latest).filter(|number| **number > 0);
        let latest: Vec<u64> = latest.copied().collect();
        self.found.look(&latest, cells);
    }

    /// A number that the room did not have.
    pub(super) fn note(&mut self, number: u64) {
        if self.news.len() < NEWS_MAX {
            self.news.push(number);
        } else {
            self.untold += 1;
        }
    }

    /// Takes what is to be told, at most that many neighbourhoods; the rest waits for the next turn. With it,
    /// how many numbers found no room since the last time.
    pub(super) fn tell(&mut self, cells_max: usize, out: &mut Vec<Told>) -> u64 {
        let mut cells = 0;
        let mut taken = 0;
        let mut tellings: Vec<Told> = Vec::new();
        // In the order in which they came: whoever is cut off goes on behind.
        for &number in &self.news {
            let provider = ProviderId((number >> NUMBER_BITS) as u32);
            let number = number & ((1 << NUMBER_BITS) - 1);
            let at = tellings.iter().position(|told| told.provider == provider);
            let at = at.unwrap_or_else(|| {
                tellings.push(Told { provider, cells: Vec::new(), latest: Vec::new() });
                tellings.len() - 1
            });
            let Some(told) = tellings.get_mut(at) else { break };
            let (first, place) = (number - number % CELL_NUMBERS, number % CELL_NUMBERS);
            let cell = told.cells.binary_search_by_key(&first, |cell| cell.first);
            let cell = match cell {
                Ok(cell) => cell,
                Err(_) if cells >= cells_max => break,
                Err(between) => {
                    cells += 1;
                    told.cells.insert(between, Neighbourhood { first, seen: Default::default() });
                    between
                }
            };
            let word =
                told.cells.get_mut(cell).and_then(|cell| cell.seen.get_mut(place as usize / 64));
            if let Some(word) = word {
                *word |= 1 << (place % 64);
            }
            told.latest.push(number);
            taken += 1;
        }
        self.news.drain(..taken);
        for told in &mut tellings {
            let older = told.latest.len().saturating_sub(LATEST_RECIPIENTS);
            told.latest.drain(..older);
        }
        out.extend(tellings.into_iter().filter(|told| !told.cells.is_empty()));
        std::mem::take(&mut self.untold)
    }
}
