//! All streams of a trace by their two ends: a bounded number, those silent for longest let go first.
//!
//! One entry is 112 octets and sixteen in the index, so that a million streams that never speak SMPP
//! fit in 128 MiB. Nothing here depends on the order of hashes.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};

use super::talk::Talk;
use crate::replay::packet::End;

const NONE: u32 = u32::MAX;

/// The two ends of a stream, the lower one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Ends {
    addresses: [[u8; 16]; 2],
    ports: [u16; 2],
    is_v6: bool,
}

impl Ends {
    /// The ends, and which of them is `from`.
    #[inline]
    pub(super) fn of(from: End, to: End) -> (Ends, usize) {
        let octets = |end: End| match end.address {
            IpAddr::V4(address) => {
                let mut octets = [0; 16];
                octets[..4].copy_from_slice(&address.octets());
                octets
            }
            IpAddr::V6(address) => address.octets(),
        };
        let (one, other) = ((octets(from), from.port), (octets(to), to.port));
        let index = usize::from(one > other);
        let (low, high) = if index == 0 { (one, other) } else { (other, one) };
        let is_v6 = from.address.is_ipv6();
        (Ends { addresses: [low.0, high.0], ports: [low.1, high.1], is_v6 }, index)
    }

    /// The end of this index.
    pub(super) fn address(&self, index: usize) -> SocketAddr {
        let octets = self.addresses[index];
        let address = if self.is_v6 {
            IpAddr::from(octets)
        } else {
            IpAddr::from([octets[0], octets[1], octets[2], octets[3]])
        };
        SocketAddr::new(address, self.ports[index])
    }
}

/// How far a stream has come.
#[derive(Debug)]
pub(super) enum State {
    /// No data yet.
    Silent,
    /// SMPP, or perhaps.
    Talking(Box<Talk>),
    /// Not SMPP: nothing of it is looked at.
    Foreign,
    /// Over. Where each end stood, so that what comes again is known for what it is.
    Ended([Option<u32>; 2]),
}

/// A stream.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) ends: Ends,
    pub(super) state: State,
    pub(super) stream: u32,
    pub(super) since_us: u64,
    pub(super) last_us: u64,
    /// Sequence number before the first octet of each end, where known.
    pub(super) initial: [Option<u32>; 2],
    /// Which end sent a SYN without ACK.
    pub(super) client: Option<u8>,
    /// Which ends sent a FIN before any data.
    pub(super) silent_fin: [bool; 2],
    newer: u32,
    older: u32,
}

/// Entries by age: those that hold much and those that hold nothing.
#[derive(Debug, Clone, Copy)]
struct Line {
    newest: u32,
    oldest: u32,
    count: usize,
}

/// The table.
pub(super) struct Table {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// Hash and entry number of each stream, open addressed; a power of two.
    index: Vec<(u32, u32)>,
    lines: [Line; 2],
    hasher: RandomState,
}

/// The line that an entry stands in.
fn line_of(state: &State) -> usize {
    usize::from(matches!(state, State::Talking(_)))
}

impl Table {
    pub(super) fn new() -> Table {
        let line = Line { newest: NONE, oldest: NONE, count: 0 };
        Table {
            entries: Vec::new(),
            free: Vec::new(),
            index: vec![(0, NONE); 1024],
            lines: [line; 2],
            hasher: RandomState::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lines.iter().map(|line| line.count).sum()
    }

    /// How many hold data.
    pub(super) fn talking(&self) -> usize {
        self.lines[1].count
    }

    /// The entry silent for longest: of those that talk, or of the others.
    pub(super) fn oldest(&self, talking: bool) -> Option<u32> {
        let oldest = self.lines[usize::from(talking)].oldest;
        (oldest != NONE).then_some(oldest)
    }

    pub(super) fn entry(&mut self, number: u32) -> Option<&mut Entry> {
        self.entries.get_mut(number as usize)?.as_mut()
    }

    #[inline]
    pub(super) fn find(&self, ends: &Ends) -> Option<u32> {
        let hash = self.hash(ends);
        let mask = self.index.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let (found, number) = *self.index.get(at)?;
            if number == NONE {
                return None;
            }
            if found == hash
                && let Some(Some(entry)) = self.entries.get(number as usize)
                && entry.ends == *ends
            {
                return Some(number);
            }
            at = (at + 1) & mask;
        }
    }

    fn hash(&self, ends: &Ends) -> u32 {
        self.hasher.hash_one(ends) as u32
    }

    /// Adds a stream that is not there yet.
    pub(super) fn insert(&mut self, ends: Ends, stream: u32, time_us: u64) -> u32 {
        if (self.len() + 1) * 4 > self.index.len() * 3 {
            self.grow();
        }
        let entry = Entry {
            ends,
            state: State::Silent,
            stream,
            since_us: time_us,
            last_us: time_us,
            initial: [None; 2],
            client: None,
            silent_fin: [false; 2],
            newer: NONE,
            older: NONE,
        };
        let number = self.free.pop().unwrap_or(self.entries.len() as u32);
        match self.entries.get_mut(number as usize) {
            Some(slot) => *slot = Some(entry),
            None => self.entries.push(Some(entry)),
        }
        let hash = self.hash(&ends);
        place(&mut self.index, hash, number);
        self.link(number);
        number
    }

    fn grow(&mut self) {
        let mut index = vec![(0, NONE); self.index.len() * 2];
        for &(hash, number) in self.index.iter().filter(|(_, number)| *number != NONE) {
            place(&mut index, hash, number);
        }
        self.index = index;
    }

    /// Takes a stream out.
    pub(super) fn remove(&mut self, number: u32) -> Option<Entry> {
        self.unlink(number);
        let entry = self.entries.get_mut(number as usize)?.take()?;
        self.free.push(number);
        let hash = self.hash(&entry.ends);
        let mask = self.index.len() - 1;
        let mut hole = hash as usize & mask;
        while self.index[hole].1 != number {
            if self.index[hole].1 == NONE {
                return Some(entry);
            }
            hole = (hole + 1) & mask;
        }
        // Those behind that would not be found past the hole move up.
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let (found, other) = self.index[at];
            if other == NONE {
                break;
            }
            let home = found as usize & mask;
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.index[hole] = (found, other);
                hole = at;
            }
        }
        self.index[hole] = (0, NONE);
        Some(entry)
    }

    /// The stream spoke: it is the newest.
    #[inline]
    pub(super) fn touch(&mut self, number: u32) {
        let Some(Some(entry)) = self.entries.get(number as usize) else { return };
        if self.lines[line_of(&entry.state)].newest != number {
            self.unlink(number);
            self.link(number);
        }
    }

    /// Changes how far a stream has come, and what it holds with it.
    pub(super) fn change(&mut self, number: u32, state: State) -> Option<State> {
        self.unlink(number);
        let before = std::mem::replace(&mut self.entry(number)?.state, state);
        self.link(number);
        Some(before)
    }

    fn link(&mut self, number: u32) {
        let Some(entry) = self.entries.get_mut(number as usize).and_then(Option::as_mut) else {
            return;
        };
        let line = &mut self.lines[line_of(&entry.state)];
        let newest = std::mem::replace(&mut line.newest, number);
        line.count += 1;
        entry.older = newest;
        entry.newer = NONE;
        if newest == NONE {
            line.oldest = number;
        } else if let Some(entry) = self.entry(newest) {
            entry.newer = number;
        }
    }

    fn unlink(&mut self, number: u32) {
        let Some(entry) = self.entry(number) else { return };
        let (newer, older, line) = (entry.newer, entry.older, line_of(&entry.state));
        match self.entry(newer) {
            Some(entry) => entry.older = older,
            None => self.lines[line].newest = older,
        }
        match self.entry(older) {
            Some(entry) => entry.newer = newer,
            None => self.lines[line].oldest = newer,
        }
        self.lines[line].count -= 1;
    }
}

fn place(index: &mut [(u32, u32)], hash: u32, number: u32) {
    let mask = index.len() - 1;
    let mut at = hash as usize & mask;
    while index[at].1 != NONE {
        at = (at + 1) & mask;
    }
    index[at] = (hash, number);
}
