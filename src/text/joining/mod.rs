//! Long messages: their parts joined, in any order, whichever bind each came over.
//!
//! Pure and bounded: time is an argument, and parts, messages and octets have their limits. One
//! [`Joining`] serves all binds of one provider, so that parts cannot be hidden from each other by
//! sending them over several.
//!
//! A part is judged with all parts of its message that are known by then ([`Known::text`]); the last
//! one completes the text. [`Known::missing_before`] says how many earlier ones have not been seen:
//! a judge who refuses where it is not zero has seen every part together with all before it, however
//! late it comes. A refusal holds for all parts that follow ([`Joining::refuse`]).
//!
//! | what comes | what becomes of it |
//! |---|---|
//! | a part again, same octets | known as before; it is no second part. It is not there when it was taken back as often as it came |
//! | a part again, other octets, message incomplete | [`PartsFault::Conflict`], and the message is refused |
//! | another total or scheme, message incomplete | [`PartsFault::Changed`], and the message is refused |
//! | part 1, message complete | the reference is used again: a new message begins |
//! | another part, other octets, message complete | [`PartsFault::Conflict`], and the message is refused |
//! | a part that was taken back ([`Joining::take_back`]) | as if it had never come |
//! | any part of a refused message | [`Known::is_refused`] |
//! | any part after [`Limits::wait_us`] | a new message begins |

mod concatenation;
mod fault;
mod key;
mod known;
mod parts;
mod queue;
mod taken_back;

pub use concatenation::{Concatenation, Sar, Scheme};
pub use fault::PartsFault;
pub use key::{ADDRESS_OCTETS_MAX, Key};
pub use known::{GAP, Known};
pub use parts::{Arrived, COPIES_MAX, PART_OCTETS_MAX};
pub use taken_back::TAKEN_BACK_MAX;

use std::collections::HashMap;

use parts::{NONE, Places};
use queue::{Queue, Queues};
use taken_back::TakenBack;

/// How much a [`Joining`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most parts of one message, 1 to 255.
    pub parts_max: u8,
    /// Most messages at a time. Complete ones give way to new ones; incomplete and refused ones do not.
    pub messages_max: u32,
    /// Most parts held at a time, of [`PART_OCTETS_MAX`] octets each.
    pub held_max: u32,
    /// How long a message is remembered after its first part, or its last if it was completed,
    /// microseconds.
    pub wait_us: u64,
}

impl Default for Limits {
    /// 16 parts, 20,000 messages, 40,000 parts (10.6 MB), five minutes.
    fn default() -> Self {
        Limits { parts_max: 16, messages_max: 20_000, held_max: 40_000, wait_us: 300_000_000 }
    }
}

/// Most messages that one call forgets, so that no call takes long.
const FORGOTTEN_A_CALL: usize = 64;

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Parts are missing.
    Incomplete,
    /// All parts are there.
    Complete,
    /// A part was refused, and so are all that follow.
    Refused,
}

/// A part that was added to its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its message's.
    pub key: Key,
    /// Which one it is, from 1.
    pub number: u8,
    /// Which of the messages that there ever were: a reference is used again.
    pub message: u64,
}

struct Message {
    key: Key,
    /// How many messages had begun before it.
    begun: u64,
    scheme: Scheme,
    total: u8,
    seen: u8,
    state: Progress,
    /// The chain of its parts.
    first: u32,
    /// When it began or was completed.
    since_us: u64,
}

impl Message {
    fn queue(&self) -> Queue {
        match self.state {
            Progress::Incomplete | Progress::Refused => Queue::Waiting,
            Progress::Complete => Queue::Complete,
        }
    }
}

/// The long messages of one provider.
pub struct Joining {
    limits: Limits,
    by_key: HashMap<Key, u32, foldhash::fast::RandomState>,
    messages: Vec<Message>,
    free: Vec<u32>,
    queues: Queues,
    places: Places,
    /// How many messages ever began.
    begun: u64,
    taken_back: TakenBack,
}

impl Joining {
    /// Holds nothing yet.
    pub fn new(limits: Limits) -> Joining {
        Joining {
            limits,
            by_key: HashMap::default(),
            messages: Vec::new(),
            free: Vec::new(),
            queues: Queues::new(),
            places: Places::new(limits.held_max),
            begun: 0,
            taken_back: TakenBack::default(),
        }
    }

    /// Changes how much it holds from now on; what it holds already stays.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
        self.places.limit(limits.held_max);
    }

    /// Messages that are remembered.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Parts that are held.
    pub fn held(&self) -> u32 {
        self.places.held()
    }

    /// Adds a part and answers with what is known of its message. `now_us` is of a clock that does
    /// not go back, microseconds.
    pub fn put(
        &mut self,
        key: Key,
        concatenation: Concatenation,
        arrived: Arrived<'_>,
        now_us: u64,
    ) -> Result<Known<'_>, PartsFault> {
        self.expire(now_us);
        if concatenation.total > self.limits.parts_max {
            return Err(PartsFault::Parts);
        }
        if arrived.octets.len() > PART_OCTETS_MAX {
            return Err(PartsFault::Octets);
        }
        let slot = match self.by_key.get(&key).copied() {
            Some(slot) if self.begins_anew(slot, concatenation, now_us) => {
                self.forget(slot);
                self.begin(key, concatenation, now_us)?
            }
            Some(slot) => slot,
            None => self.begin(key, concatenation, now_us)?,
        };
        let repeated = self.join(slot, concatenation, arrived, now_us)?;
        Ok(self.known_at(slot, (key, concatenation.number), repeated))
    }

    /// What is known of the message of a part that came before, without adding it; `None` when the message
    /// is forgotten, or holds other octets by now.
    pub fn recall(&self, key: &Key, number: u8, arrived: Arrived<'_>) -> Option<Known<'_>> {
        let slot = *self.by_key.get(key)?;
        let message = self.messages.get(slot as usize)?;
        let is_there = message.state == Progress::Refused
            || self
                .places
                .chain(message.first)
                .any(|held| held.number == number && held.arrived == arrived);
        is_there.then(|| self.known_at(slot, (*key, number), true))
    }

    /// How far a message has come, if it is remembered.
    pub fn progress(&self, key: &Key) -> Option<Progress> {
        let message = self.by_key.get(key).and_then(|&slot| self.messages.get(slot as usize));
        message.map(|message| message.state)
    }

    /// Refuses a message: all its parts that follow are told so. Its octets are given back.
    pub fn refuse(&mut self, key: &Key) {
        if let Some(&slot) = self.by_key.get(key) {
            self.refuse_at(slot);
        }
    }

    /// How many parts were taken back ever: what is looked at now is looked at without them.
    pub fn taken_back(&self) -> u64 {
        self.taken_back.count
    }

    /// Whether a part of this message was taken back after the first `count` of all, or may have been.
    pub fn is_taken_back_since(&self, count: u64, key: &Key) -> bool {
        self.taken_back.since(count, key)
    }

    /// Takes back a part that did not go on, or did not arrive: it counts as not seen, unless it came more than
    /// once.
    pub fn take_back(&mut self, part: &Part) {
        let Part { key, number, message } = part;
        let slot = self.by_key.get(key).copied().filter(|&slot| {
            self.messages.get(slot as usize).is_some_and(|one| one.begun == *message)
        });
        if !slot.is_some_and(|slot| self.is_left(slot, *number)) {
            self.taken_back.note(*key);
            slot.into_iter().for_each(|slot| self.remove(slot, *number));
        }
    }

    /// Counts a part once less; whether it is there still.
    fn is_left(&mut self, slot: u32, number: u8) -> bool {
        let first = self.messages.get(slot as usize).map_or(NONE, |message| message.first);
        self.places.once_less(first, number).is_some_and(|copies| copies > 0)
    }

    fn remove(&mut self, slot: u32, number: u8) {
        let Some(message) = self.messages.get_mut(slot as usize) else { return };
        let Some(first) = self.places.remove(message.first, number) else { return };
        let queue = message.queue();
        message.first = first;
        message.seen = message.seen.saturating_sub(1);
        message.state = Progress::Incomplete;
        if queue == Queue::Complete {
            self.queues.remove(Queue::Complete, slot);
            self.queues.push(Queue::Waiting, slot);
        }
        if first == NONE {
            self.forget(slot);
        }
    }

    /// Whether a message was refused and is remembered.
    pub fn is_refused(&self, key: &Key) -> bool {
        let message = self.by_key.get(key).and_then(|&slot| self.messages.get(slot as usize));
        message.is_some_and(|message| message.state == Progress::Refused)
    }

    /// Forgets messages that have been waited for long enough, at most 64 a call.
    pub fn expire(&mut self, now_us: u64) {
        for _ in 0..FORGOTTEN_A_CALL {
            let due = |queue| self.queues.oldest(queue).filter(|&slot| self.is_due(slot, now_us));
            match due(Queue::Waiting).or_else(|| due(Queue::Complete)) {
                Some(slot) => self.forget(slot),
                None => return,
            }
        }
    }

    fn is_due(&self, slot: u32, now_us: u64) -> bool {
        let message = self.messages.get(slot as usize);
        message.is_some_and(|m| now_us.saturating_sub(m.since_us) >= self.limits.wait_us)
    }

    /// Whether a part belongs to a new message under an old one's reference.
    fn begins_anew(&self, slot: u32, part: Concatenation, now_us: u64) -> bool {
        let message = self.messages.get(slot as usize);
        let complete = message.is_some_and(|message| message.state == Progress::Complete);
        self.is_due(slot, now_us) || (complete && part.number == 1)
    }

    fn begin(&mut self, key: Key, part: Concatenation, now_us: u64) -> Result<u32, PartsFault> {
        if self.by_key.len() >= self.limits.messages_max as usize {
            let oldest = self.queues.oldest(Queue::Complete).ok_or(PartsFault::Messages)?;
            self.forget(oldest);
        }
        let Concatenation { scheme, total, .. } = part;
        let state = Progress::Incomplete;
        self.begun += 1;
        let (begun, first, since_us) = (self.begun, NONE, now_us);
        let message = Message { key, begun, scheme, total, seen: 0, state, first, since_us };
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(old) = self.messages.get_mut(slot as usize) {
                    *old = message;
                }
                slot
            }
            None => {
                self.messages.push(message);
                self.messages.len() as u32 - 1
            }
        };
        self.by_key.insert(key, slot);
        self.queues.push(Queue::Waiting, slot);
        Ok(slot)
    }

    /// Joins a part to its message; whether it was there already.
    fn join(
        &mut self,
        slot: u32,
        part: Concatenation,
        arrived: Arrived<'_>,
        now_us: u64,
    ) -> Result<bool, PartsFault> {
        let Some(message) = self.messages.get(slot as usize) else { return Ok(false) };
        if message.state == Progress::Refused {
            return Ok(false);
        }
        if (message.scheme, message.total) != (part.scheme, part.total) {
            self.refuse_at(slot);
            return Err(PartsFault::Changed);
        }
        let first = message.first;
        let before = self.places.chain(first).find(|held| held.number == part.number);
        if let Some(before) = before {
            if before.arrived == arrived {
                let may_come = self.places.again(first, part.number);
                return may_come.then_some(true).ok_or(PartsFault::Held);
            }
            self.refuse_at(slot);
            return Err(PartsFault::Conflict);
        }
        let first = match self.insert(first, part.number, arrived) {
            Ok(first) => first,
            Err(fault) => {
                if first == NONE {
                    self.forget(slot);
                }
                return Err(fault);
            }
        };
        let Some(message) = self.messages.get_mut(slot as usize) else { return Ok(false) };
        message.first = first;
        message.seen = message.seen.saturating_add(1);
        if message.seen == message.total {
            message.state = Progress::Complete;
            message.since_us = now_us;
            self.queues.remove(Queue::Waiting, slot);
            self.queues.push(Queue::Complete, slot);
        }
        Ok(false)
    }

    /// Complete messages give way when all places are held.
    fn insert(&mut self, first: u32, number: u8, arrived: Arrived<'_>) -> Result<u32, PartsFault> {
        match self.places.insert(first, number, arrived) {
            Err(PartsFault::Held) => {
                let oldest = self.queues.oldest(Queue::Complete).ok_or(PartsFault::Held)?;
                self.forget(oldest);
                self.places.insert(first, number, arrived)
            }
            other => other,
        }
    }

    fn refuse_at(&mut self, slot: u32) {
        let Some(message) = self.messages.get_mut(slot as usize) else { return };
        let (queue, first) = (message.queue(), message.first);
        message.state = Progress::Refused;
        message.first = NONE;
        self.places.release(first);
        if queue == Queue::Complete {
            self.queues.remove(Queue::Complete, slot);
            self.queues.push(Queue::Waiting, slot);
        }
    }

    fn forget(&mut self, slot: u32) {
        let Some(message) = self.messages.get_mut(slot as usize) else { return };
        let (key, queue, first) = (message.key, message.queue(), message.first);
        message.first = NONE;
        self.by_key.remove(&key);
        self.queues.remove(queue, slot);
        self.places.release(first);
        self.free.push(slot);
    }
}
