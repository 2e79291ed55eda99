//! Numbers that nobody gave: made up by counting, or whole blocks of them (Order 31 art. 16: no
//! sending to numbers from 任意数字组合, an arbitrary combination of digits).
//!
//! Of each provider, over all its binds and codes, it is remembered which numbers its commercial
//! messages and its requests for consent went to. A message belongs to a sweep
//!
//! - when its recipient stands in an arithmetic sequence of [`SEQUENCE_RECIPIENTS`] remembered
//!   ones with any step up to [`STEP_MAX`], and one of them is among the last
//!   [`LATEST_RECIPIENTS`] ([`Sweep::Sequence`]); or
//! - when [`BLOCK_RECIPIENTS`] of the [`BLOCK_NUMBERS`] numbers of its block are remembered
//!   ([`Sweep::Block`]).
//!
//! Neither depends on the order within what is remembered: sequences may be sent backwards, shuffled,
//! interleaved with each other and with other traffic. A number that comes again counts once. What
//! is remembered are the latest 4,096 neighbourhoods of 256 numbers: a million numbers side by side, or
//! the last 4,096 that have nothing to do with each other.
//!
//! # Who is not hit
//!
//! Customers are a sample of the numbers that exist. Where a share p of a city's numbers is on a list, a
//! message stands in sequence by chance with p^31 times the ways to do so, 32 candidates and 32
//! places: once in 10^13 messages at p = 0.3, once in 10^9 at p = 0.4. Half of a block's numbers are
//! reached once in 10^10 blocks at p = 0.3, once in 1,300 at p = 0.4 (the binomial sum). No list of
//! customers holds a third of all numbers of a city, in use or not, but for those of who writes to
//! neighbours rightly: an operator to its own customers, a company to its own staff on a block of
//! numbers. They are set `sweep = "off"` in the registry.
//!
//! Measured (`tests/session/sweeps.rs`): no hit in a million messages each to uniform numbers, to popular
//! prefixes, to a list of a quarter of a city's numbers in the order of numbers and again, and in the
//! order of names. Of denser lists the same file states what is hit.
//!
//! # Who is not seen
//!
//! Numbers made up at random over all prefixes: they have no neighbours, and consent is what they
//! lack. Blocks of which less than two fifths are sent to, without order. Sequences of which fewer than
//! one message in [`LATEST_RECIPIENTS`] is part.
//!
//! Service messages are no part of it: a verification code goes to whoever asked for it.

//! # Several nodes
//!
//! Where several nodes serve a provider, each tells the others turn by turn which numbers are new
//! ([`Sweeps::news`]) and puts theirs beside its own ([`Sweeps::hear`]): a block, or a sequence, that is
//! spread over them is found as on one, some turns later.

mod cells;
mod found;
mod told;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use cells::{CELL_NUMBERS, Cells};
use told::Others;
pub use told::{NEWS_MAX, Neighbourhood, Told};

use crate::policy::Sweep;
use crate::registry::{Msisdn, PLACES_MAX, ProviderId};

/// Recipients in arithmetic sequence that are a sweep.
pub const SEQUENCE_RECIPIENTS: u32 = 32;

/// The widest step of a sequence that is looked for.
pub const STEP_MAX: u64 = 1_000_000;

/// Recipients among whom the next of a sequence is looked for.
pub const LATEST_RECIPIENTS: usize = 32;

/// Numbers of a block.
pub const BLOCK_NUMBERS: u64 = CELL_NUMBERS;

/// Recipients in one block that are a sweep.
pub const BLOCK_RECIPIENTS: u32 = 128;

/// Providers with room of their own, 200 KB each once they advertise. Where there are more, some share
/// a room: each of them is remembered for less long.
pub const ROOMS_MAX: usize = 1024;

/// Bits of a number with its provider that are the number's: an E.164 number has 15 digits.
const NUMBER_BITS: u32 = 50;
const _: () = assert!(PLACES_MAX <= 1 << (u64::BITS - NUMBER_BITS));

/// Where providers' messages went to lately: of each over all its binds.
#[derive(Default)]
pub struct Sweeps {
    rooms: Vec<Arc<Mutex<Option<Room>>>>,
    /// Whether other nodes are told, and tell.
    is_shared: bool,
}

impl fmt::Debug for Sweeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sweeps({} rooms)", self.rooms.len())
    }
}

impl Sweeps {
    /// For that many providers. A room takes memory when the first message comes.
    pub fn new(providers: usize) -> Sweeps {
        let rooms = (0..providers.min(ROOMS_MAX)).map(|_| Arc::default()).collect();
        Sweeps { rooms, is_shared: false }
    }

    /// The same, where other nodes are told of it, and tell: 130 KB more for each who advertises.
    pub fn shared(mut self) -> Sweeps {
        self.is_shared = true;
        self
    }

    /// The same rooms, and more of them where there are more providers by now. Who had a room keeps it.
    pub fn grown(&self, providers: usize) -> Sweeps {
        let mut rooms = self.rooms.clone();
        rooms.resize_with(providers.min(ROOMS_MAX).max(rooms.len()), Arc::default);
        Sweeps { rooms, is_shared: self.is_shared }
    }

    fn room(&self, provider: ProviderId) -> Option<&Mutex<Option<Room>>> {
        Some(self.rooms.get(provider.0 as usize % self.rooms.len().max(1))?)
    }

    /// Remembers a recipient of a provider; whether it belongs to a sweep.
    pub fn see(&self, provider: ProviderId, recipient: Msisdn) -> Sweep {
        let Some(room) = self.room(provider) else { return Sweep::None };
        let mut room = room.lock().unwrap_or_else(PoisonError::into_inner);
        room.get_or_insert_with(|| Room::new(self.is_shared))
            .see(name(provider, recipient.number()))
    }

    /// What is new since the last turn, for other nodes: at most that many neighbourhoods. `turn` says with
    /// whom to begin, so that nobody always comes last. With it, how many numbers were more than
    /// [`NEWS_MAX`], and will not be told.
    pub fn news(&self, turn: u64, cells_max: usize) -> (Vec<Told>, u64) {
        let (mut news, mut untold) = (Vec::new(), 0);
        let first = (turn % self.rooms.len().max(1) as u64) as usize;
        let (behind, before) = self.rooms.split_at_checked(first).unwrap_or_default();
        for room in before.iter().chain(behind) {
            let told: usize = news.iter().map(|told: &Told| told.cells.len()).sum();
            if told >= cells_max {
                break;
            }
            let mut room = room.lock().unwrap_or_else(PoisonError::into_inner);
            let others = room.as_mut().and_then(|room| room.others.as_mut());
            untold += others.map_or(0, |others| others.tell(cells_max - told, &mut news));
        }
        (news, untold)
    }

    /// Puts what other nodes tell beside what is known here, once a turn.
    pub fn hear(&self, told: &[Told]) {
        let room = |told: &Told| self.room(told.provider).filter(|_| self.is_shared);
        for told in told {
            let Some(room) = room(told) else { continue };
            let mut room = room.lock().unwrap_or_else(PoisonError::into_inner);
            room.get_or_insert_with(|| Room::new(true)).hear(told);
        }
        for told in told {
            let Some(room) = room(told) else { continue };
            let mut room = room.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(room) = room.as_mut().filter(|room| room.has_heard) {
                room.look();
            }
        }
    }
}

/// A number with whose recipient it is: numbers of different providers are further apart than any step.
fn name(provider: ProviderId, number: u64) -> u64 {
    u64::from(provider.0) << NUMBER_BITS | number
}

/// Regions that are told apart among the latest: enough that most of the latest of a whole country
/// are in regions of their own.
const REGIONS: usize = 4096;

/// What is remembered of those who share it.
struct Room {
    latest: [u64; LATEST_RECIPIENTS],
    next: usize,
    /// How many of the latest are in each region of [`STEP_MAX`] numbers: where none is near, none
    /// has to be looked at.
    regions: Vec<u8>,
    cells: Cells,
    /// Where other nodes are told.
    others: Option<Others>,
    /// Whether they told something that was not looked at yet.
    has_heard: bool,
}

impl Room {
    fn new(is_shared: bool) -> Room {
        let latest = [0; LATEST_RECIPIENTS];
        let mut regions = vec![0; REGIONS];
        let others = is_shared.then(Others::new);
        regions[0] = LATEST_RECIPIENTS as u8;
        Room { latest, next: 0, regions, cells: Cells::new(), others, has_heard: false }
    }

    fn region(&mut self, number: u64) -> Option<&mut u8> {
        self.regions.get_mut((number / STEP_MAX) as usize % REGIONS)
    }

    fn is_near_latest(&mut self, number: u64) -> bool {
        let around = [number.saturating_sub(STEP_MAX), number, number.saturating_add(STEP_MAX)];
        around.into_iter().any(|at| self.region(at).is_some_and(|count| *count > 0))
    }

    fn see(&mut self, number: u64) -> Sweep {
        if let Some(others) = &mut self.others
            && !self.cells.contains(number)
        {
            others.note(number);
        }
        let around = self.cells.put(number);
        let sweep = if around >= BLOCK_RECIPIENTS {
            Sweep::Block
        } else if (self.is_near_latest(number) && self.is_in_sequence(number))
            || self.others.as_mut().is_some_and(|others| others.found.has(number))
        {
            Sweep::Sequence
        } else {
            Sweep::None
        };
        self.push(number);
        sweep
    }

    /// Remembers what another node tells.
    fn hear(&mut self, told: &Told) {
        for cell in &told.cells {
            self.cells.put_all(name(told.provider, cell.first), cell.seen);
        }
        if let Some(others) = &mut self.others {
            told.latest.iter().for_each(|one| others.hear_latest(name(told.provider, *one)));
        }
        self.has_heard = true;
    }

    /// Looks for sequences in what is known of all nodes.
    fn look(&mut self) {
        self.has_heard = false;
        if let Some(others) = &mut self.others {
            others.look(&self.latest, &self.cells);
        }
    }

    /// Puts a number in the place of the oldest of the latest.
    fn push(&mut self, number: u64) {
        let Some(slot) = self.latest.get_mut(self.next) else { return };
        let oldest = std::mem::replace(slot, number);
        self.next = (self.next + 1) % LATEST_RECIPIENTS;
        if let Some(count) = self.region(oldest) {
            *count -= 1;
        }
        if let Some(count) = self.region(number) {
            *count += 1;
        }
    }

    fn is_in_sequence(&self, number: u64) -> bool {
        for other in self.latest {
            let step = number.abs_diff(other);
            if step != 0 && step <= STEP_MAX && self.has_sequence(number, step) {
                return true;
            }
        }
        false
    }

    /// Whether enough terms of the sequence through `number` are remembered without a gap.
    fn has_sequence(&self, number: u64, step: u64) -> bool {
        let mut terms = 1;
        for towards in [u64::checked_sub, u64::checked_add] {
            let mut at = number;
            while let Some(next) = towards(at, step).filter(|next| self.cells.contains(*next)) {
                terms += 1;
                if terms >= SEQUENCE_RECIPIENTS {
                    return true;
                }
                at = next;
            }
        }
        false
    }
}
