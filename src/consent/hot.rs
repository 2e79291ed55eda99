//! The hot layer: standings in memory, within a number of octets.
//!
//! 24 octets an entry, 25 with the table's own. Most pairs fit into an entry; what does not (several
//! grants, a request beside a grant) is marked so and answered from the store.
//!
//! ```text
//! head: event number 40 | kind 3 | review 2 | class 1 | scope 8 | promised 1 | 9 unused
//! tail: granted: from, s 32 | until, s 32     asked: from, s 32 | digest 32     revoked: from, s 32
//! promised grants have a second entry, in a table of its own:
//! head: event number 40 | messages 16 | period 8     tail: period counted 32 | sent 32
//! ```

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use foldhash::quality::RandomState;

use super::pair::{self, NO_END_S, Pair};
use super::{PairKey, Scope};
use crate::policy::{ConsentClass, Period, Promise, Review, Standing, StandingState};

/// The greatest event number: 40 bits.
pub(super) const SEQUENCE_MAX: u64 = (1 << 40) - 1;

/// Octets of an entry with its share of the table.
const ENTRY_OCTETS: usize = 25;
/// Slots of a shard's table at its largest; seven of eight may be taken.
const SHARD_SLOTS: usize = 1 << 12;
/// The least that a table may be given, octets: one shard.
pub(super) const OCTETS_MIN: usize = SHARD_SLOTS * ENTRY_OCTETS;

const SECOND_US: u64 = 1_000_000;

/// A head and a tail.
pub(super) type Entry = [u64; 2];

/// What an entry says.
pub(super) enum Answer {
    /// The standing.
    Standing(Standing),
    /// The standing, but for the promise in the other table.
    Promised(Standing),
    /// Ask the store.
    Elsewhere,
}

/// What a table holds of a pair, which has the number of the pair's latest event.
pub(super) trait Numbered: Clone {
    /// The number.
    fn number(&self) -> u64;
}

impl Numbered for Entry {
    fn number(&self) -> u64 {
        sequence(*self)
    }
}

struct Shard<V> {
    entries: HashMap<u64, V, RandomState>,
    /// How often entries were dropped: who read the store before must not put its finding here.
    evictions: u64,
}

/// A bounded map from pairs to entries. When a shard is full, a quarter of it is dropped.
pub(super) struct Table<V = Entry> {
    shards: Vec<RwLock<Shard<V>>>,
    /// Entries of one shard at most.
    entries_max: usize,
    hasher: RandomState,
    /// Entries dropped since the start.
    evicted: AtomicU64,
}

impl Table {
    /// A table within `octets`; [`OCTETS_MIN`] when that is less.
    pub fn new(octets: usize) -> Self {
        Self::of(octets, SHARD_SLOTS, ENTRY_OCTETS)
    }
}

impl<V: Numbered> Table<V> {
    /// A table within `octets` in shards of so many slots, each of which takes so many octets; one shard
    /// when there is not room for that.
    pub fn of(octets: usize, slots: usize, entry_octets: usize) -> Self {
        let hasher = RandomState::default();
        let shard = || Shard { entries: HashMap::with_hasher(hasher.clone()), evictions: 0 };
        let count = (octets / (slots * entry_octets)).max(1);
        let shards = (0..count).map(|_| RwLock::new(shard())).collect();
        Self { shards, entries_max: slots / 8 * 7, hasher, evicted: AtomicU64::new(0) }
    }

    fn shard(&self, key: PairKey) -> Option<&RwLock<Shard<V>>> {
        // The low half of the hash: the table in the shard takes the high bits.
        let hash = self.hasher.hash_one(key.0) & u64::from(u32::MAX);
        let at = (hash * self.shards.len() as u64) >> 32;
        self.shards.get(at as usize)
    }

    /// The entry, or the shard's number of evictions for [`Table::keep`].
    pub fn find(&self, key: PairKey) -> Result<V, u64> {
        let Some(shard) = self.shard(key) else { return Err(0) };
        let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        shard.entries.get(&key.0).cloned().ok_or(shard.evictions)
    }

    /// The shard's number of evictions, for [`Table::renew`].
    pub fn evictions(&self, key: PairKey) -> u64 {
        self.shard(key)
            .map_or(0, |shard| shard.read().unwrap_or_else(PoisonError::into_inner).evictions)
    }

    /// Puts an entry over whatever stands there: a new event.
    pub fn put(&self, key: PairKey, entry: V) {
        let Some(shard) = self.shard(key) else { return };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        self.make_room(&mut shard, key);
        shard.entries.insert(key.0, entry);
    }

    /// Keeps what was found in the store, unless something newer is or was here since
    /// [`Table::find`].
    pub fn keep(&self, key: PairKey, entry: V, evictions: u64) {
        let Some(shard) = self.shard(key) else { return };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if shard.evictions != evictions {
            return;
        }
        self.make_room(&mut shard, key);
        if let Place::Vacant(place) = shard.entries.entry(key.0) {
            place.insert(entry);
        }
    }

    /// Puts an entry, unless what stands there is of a later event. With `evictions`, not either where
    /// anything was dropped since that was the number of [`Table::evictions`]: it may have been later too.
    pub fn renew(&self, key: PairKey, entry: V, evictions: Option<u64>) {
        let Some(shard) = self.shard(key) else { return };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if evictions.is_some_and(|before| before != shard.evictions) {
            return;
        }
        if shard.entries.get(&key.0).is_some_and(|one| one.number() > entry.number()) {
            return;
        }
        self.make_room(&mut shard, key);
        shard.entries.insert(key.0, entry);
    }

    /// Forgets every entry.
    pub fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            self.evicted.fetch_add(shard.entries.len() as u64, Ordering::Relaxed);
            shard.entries.clear();
            shard.evictions += 1;
        }
    }

    /// Drops a quarter of a full shard, by hash and turn, which is as good as by chance.
    fn make_room(&self, shard: &mut Shard<V>, key: PairKey) {
        if shard.entries.len() < self.entries_max || shard.entries.contains_key(&key.0) {
            return;
        }
        shard.evictions += 1;
        let (turn, hasher) = (shard.evictions, &self.hasher);
        let before = shard.entries.len();
        // In a table of its own: one in which entries were dropped in place doubles when the next ones come.
        let mut kept = HashMap::with_capacity_and_hasher(self.entries_max, hasher.clone());
        let stays = |(key, _): &(u64, V)| !hasher.hash_one(*key ^ turn).is_multiple_of(4);
        kept.extend(shard.entries.drain().filter(stays));
        shard.entries = kept;
        let dropped = before - shard.entries.len();
        self.evicted.fetch_add(dropped as u64, Ordering::Relaxed);
    }

    /// Whether nothing was ever dropped.
    pub fn is_whole(&self) -> bool {
        self.evicted.load(Ordering::Acquire) == 0
    }

    /// Whether there is room for more without dropping anything, as far as one shard tells.
    pub fn has_room(&self, key: PairKey) -> bool {
        self.shard(key).is_some_and(|shard| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            shard.entries.len() < self.entries_max
        })
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        let len = |shard: &RwLock<Shard<V>>| {
            shard.read().unwrap_or_else(PoisonError::into_inner).entries.len()
        };
        self.shards.iter().map(len).sum()
    }
}

/// The event number of an entry of either table.
fn sequence(entry: Entry) -> u64 {
    entry[0] >> 24
}

const ABSENT: u64 = 0;
const REJECTED: u64 = 1;
const ASKED: u64 = 2;
const GRANTED: u64 = 3;
const REVOKED: u64 = 4;
const ELSEWHERE: u64 = 5;

fn seconds(time_us: u64) -> u64 {
    (time_us / SECOND_US).min(u64::from(u32::MAX))
}

/// A pair's entry, and the one of its promise if it has one.
pub(super) fn entry(pair: &Pair) -> (Entry, Option<Entry>) {
    let number = pair.sequence << 24;
    let plain = |kind: u64, tail: u64| ([number | kind << 21, tail], None);
    match (pair.grants.as_slice(), pair.revoked, pair.asked) {
        ([], Some((revoked_us, _)), _) => plain(REVOKED, seconds(revoked_us) << 32),
        ([], None, Some((asked_us, content))) => {
            plain(ASKED, seconds(asked_us) << 32 | u64::from(content))
        }
        ([], None, None) => plain(ABSENT, 0),
        ([grant], revoked, None) if revoked.is_none() || grant.scope == Scope::ALL => {
            if grant.review == Review::Rejected {
                return match revoked {
                    Some((revoked_us, _)) => plain(REVOKED, seconds(revoked_us) << 32),
                    None => {
                        let head = number | REJECTED << 21 | u64::from(grant.scope.0) << 10;
                        ([head, 0], None)
                    }
                };
            }
            let head = number
                | GRANTED << 21
                | u64::from(grant.review == Review::Reviewed) << 19
                | u64::from(grant.class == ConsentClass::Service) << 18
                | u64::from(grant.scope.0) << 10
                | u64::from(grant.promise.is_some()) << 9;
            let tail = seconds(grant.from_us) << 32 | u64::from(grant.until_s);
            let promised = grant.promise.map(|promise| {
                let period = Period::ALL.iter().position(|one| *one == promise.period).unwrap_or(0);
                let head = number | u64::from(promise.messages) << 8 | period as u64;
                [head, u64::from(grant.period) << 32 | u64::from(grant.sent)]
            });
            ([head, tail], promised)
        }
        _ => plain(ELSEWHERE, 0),
    }
}

/// What an entry says to a question.
pub(super) fn answer(entry: Entry, scope: Scope, now_us: u64, silent_after_us: u64) -> Answer {
    let [head, tail] = entry;
    let own = Scope((head >> 10) as u8);
    let covers = own == Scope::ALL || own == scope;
    let from_us = (tail >> 32) * SECOND_US;
    let none = Standing { event: sequence(entry), ..Standing::NONE };
    let standing = match head >> 21 & 7 {
        ABSENT => none,
        REJECTED if covers => Standing { review: Review::Rejected, ..none },
        REVOKED => Standing { state: StandingState::Revoked, from_us, ..none },
        ASKED => pair::asked(none, from_us, tail as u32, now_us, silent_after_us),
        // Within the second in which it begins, the store knows more.
        GRANTED if from_us.saturating_add(SECOND_US) > now_us => return Answer::Elsewhere,
        GRANTED if covers => {
            let until_us = match tail as u32 {
                NO_END_S => Standing::NO_END,
                until_s => u64::from(until_s) * SECOND_US,
            };
            let is_reviewed = head >> 19 & 1 == 1;
            let is_service = head >> 18 & 1 == 1;
            let granted = Standing {
                state: StandingState::Granted,
                review: if is_reviewed { Review::Reviewed } else { Review::Submitted },
                class: if is_service { ConsentClass::Service } else { ConsentClass::Commercial },
                from_us,
                until_us,
                ..none
            };
            if head >> 9 & 1 == 1 {
                return Answer::Promised(granted);
            }
            granted
        }
        REJECTED | GRANTED => none,
        _ => return Answer::Elsewhere,
    };
    Answer::Standing(standing)
}

/// Whether an entry does not say all that may be asked of its pair from `now_us` on.
pub(super) fn is_whole_needed([head, tail]: Entry, now_us: u64) -> bool {
    match head >> 21 & 7 {
        ELSEWHERE => true,
        // Who asks may be a little behind.
        GRANTED => head >> 9 & 1 == 1 || (tail >> 32) * SECOND_US + 2 * SECOND_US > now_us,
        _ => false,
    }
}

/// Adds what the second table says of the promise.
pub(super) fn promised(granted: Standing, entry: Entry, now_us: u64) -> Standing {
    let [head, tail] = entry;
    let Some(period) = Period::ALL.get((head & 0xff) as usize).copied() else { return granted };
    let promise = Promise { messages: (head >> 8) as u16, period };
    let runs = u64::from(period.number(now_us)) <= tail >> 32;
    let sent = if runs { tail as u32 } else { 0 };
    Standing { promised: Some(promise), sent, ..granted }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARD_ENTRIES_MAX: usize = SHARD_SLOTS / 8 * 7;

    #[test]
    fn what_is_renewed_never_gets_older() {
        let table = Table::new(0);
        let (key, at) = (PairKey(1), |number: u64| [number << 24, number]);
        table.renew(key, at(5), None);
        table.renew(key, at(4), None);
        assert_eq!(table.find(key), Ok(at(5)));
        let before = table.evictions(key);
        table.renew(key, at(6), Some(before));
        assert_eq!(table.find(key), Ok(at(6)));
        table.clear();
        assert!(!table.is_whole() && table.len() == 0);
        // Who asked before everything was forgotten may have an older answer.
        table.renew(key, at(7), Some(before));
        assert!(table.find(key).is_err());
        table.renew(key, at(3), Some(table.evictions(key)));
        assert_eq!(table.find(key), Ok(at(3)));
    }

    #[test]
    fn a_table_is_whole_at_its_limit_and_drops_a_part_at_one_more() {
        let table = Table::new(0);
        for key in 0..SHARD_ENTRIES_MAX as u64 {
            assert!(table.has_room(PairKey(key)));
            table.put(PairKey(key), [key, 0]);
        }
        assert!(table.is_whole() && !table.has_room(PairKey(0)));
        // One that is there already needs no room.
        table.put(PairKey(3), [33, 0]);
        assert!(table.is_whole() && table.len() == SHARD_ENTRIES_MAX);
        assert_eq!(table.find(PairKey(3)), Ok([33, 0]));
        let before = table.find(PairKey(u64::MAX)).unwrap_err();
        table.put(PairKey(u64::MAX - 1), [1, 1]);
        let len = table.len();
        assert!(!table.is_whole());
        assert!((SHARD_ENTRIES_MAX / 2..SHARD_ENTRIES_MAX * 9 / 10).contains(&len), "{len}");
        assert_eq!(table.find(PairKey(u64::MAX - 1)), Ok([1, 1]));
        // What was read before something was dropped may be older than that was.
        table.keep(PairKey(u64::MAX), [2, 2], before);
        let now = table.find(PairKey(u64::MAX)).unwrap_err();
        table.keep(PairKey(u64::MAX), [2, 2], now);
        table.keep(PairKey(u64::MAX), [3, 3], now);
        assert_eq!(table.find(PairKey(u64::MAX)), Ok([2, 2]));
    }

    #[test]
    fn a_table_that_drops_entries_again_and_again_does_not_grow() {
        let table = Table::new(0);
        for key in 0..20 * SHARD_SLOTS as u64 {
            table.put(PairKey(key), [key, 0]);
            let shard = table.shards[0].read().unwrap();
            assert!(shard.entries.capacity() <= SHARD_ENTRIES_MAX, "after {key}");
        }
        assert!(!table.is_whole());
    }

    #[test]
    fn a_table_has_as_many_shards_as_fit() {
        for (octets, shards) in
            [(0, 1), (OCTETS_MIN, 1), (2 * OCTETS_MIN - 1, 1), (2 * OCTETS_MIN, 2)]
        {
            assert_eq!(Table::new(octets).shards.len(), shards);
        }
        assert_eq!(size_of::<(u64, Entry)>() + 1, ENTRY_OCTETS);
    }
}
