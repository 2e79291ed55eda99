//! Which message an id stands for: what replace_sm, cancel_sm and query_sm are judged by.
//!
//! replace_sm and cancel_sm name a message by the id that the SMSC gave it, and replace_sm carries
//! neither recipient nor data_coding: without the original nobody could say to whom the new text goes or
//! how it reads. This is a bounded memory of the originals, the oldest forgotten first; what is not in it
//! is refused.
//!
//! Ids are octets and nothing else. SMSCs write them in decimal, in hexadecimal, with and without
//! leading zeros, and an id in another form may be another message's: the forms of one number are
//! different ids here.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use foldhash::fast::{FixedState, RandomState};

use crate::policy::Facts;
use crate::registry::{Msisdn, Sender};
use crate::smpp::message::Message;

/// Longest message_id without its NUL, octets (SMPP 3.4 5.2.23).
pub const MESSAGE_ID_OCTETS_MAX: usize = 64;
/// Longest source address without its NUL, octets (SMPP 3.4 5.2.8).
pub const SOURCE_OCTETS_MAX: usize = 20;
/// Entries that are remembered unless configured otherwise.
pub const ENTRIES_DEFAULT: u32 = 100_000;

/// A name's number that is the same in every run of the program (FNV-1a): whose a message is, and
/// which SMSC's number space its id is of.
pub fn mark(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Octets of a bounded length, held in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inline<const MAX: usize> {
    octets: [u8; MAX],
    length: u8,
}

impl<const MAX: usize> Inline<MAX> {
    pub(super) fn new(value: &[u8]) -> Option<Self> {
        let mut octets = [0; MAX];
        octets.get_mut(..value.len())?.copy_from_slice(value);
        Some(Inline { octets, length: u8::try_from(value.len()).ok()? })
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

/// A message_id, held in place.
pub(super) type MessageId = Inline<MESSAGE_ID_OCTETS_MAX>;

/// The message that an id stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Original {
    /// Whose message it is: a number that the caller keeps over restarts.
    pub provider: u64,
    /// To whom it went; `None` where no text may be put in its place: of a message to several, of a part
    /// of a long one, and where it is not certain which message the id is of.
    pub recipient: Option<Msisdn>,
    /// How its text was coded: a replacement is read so.
    pub data_coding: u8,
    /// Its esm_class: whether a replacement begins with a header.
    pub esm_class: u8,
    source: Inline<SOURCE_OCTETS_MAX>,
}

impl Original {
    /// An original from `source`, in canonical form; `None` when that is longer than
    /// [`SOURCE_OCTETS_MAX`].
    pub fn new(provider: u64, source: &[u8], recipient: Option<Msisdn>) -> Option<Original> {
        let source = Inline::new(source)?;
        Some(Original { provider, recipient, data_coding: 0, esm_class: 0, source })
    }

    /// The original that a message becomes when the SMSC gives it an id; `None` without a valid sender.
    pub fn of(provider: u64, facts: &Facts<'_>, message: &Message<'_>) -> Option<Original> {
        let recipient = facts.recipient.ok().map(|recipient| recipient.msisdn);
        let original = match &facts.sender.ok()? {
            Sender::Code(from) | Sender::International(from) => {
                Original::new(provider, from.as_bytes(), recipient)
            }
            Sender::Alphanumeric(from) => Original::new(provider, from, recipient),
        };
        let (data_coding, esm_class) = (message.data_coding, message.esm_class);
        Some(Original { data_coding, esm_class, ..original? })
    }

    /// The same, and no text may be put in its place.
    pub fn without_recipient(self) -> Original {
        Original { recipient: None, ..self }
    }

    /// Its sender in canonical form.
    pub fn source(&self) -> &[u8] {
        self.source.as_slice()
    }
}

impl std::fmt::Debug for Original {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Original")
            .field("provider", &self.provider)
            .field("recipient", &self.recipient)
            .field("data_coding", &self.data_coding)
            .field("esm_class", &self.esm_class)
            .finish_non_exhaustive()
    }
}

/// An id in the number space of one SMSC.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    smsc: u64,
    message_id: Inline<MESSAGE_ID_OCTETS_MAX>,
}

/// An id that an SMSC gave to a message, on its way into the memory.
#[derive(Clone, Copy)]
pub(super) struct Given {
    key: Key,
    original: Original,
}

impl Given {
    /// `None` when the id is empty or longer than [`MESSAGE_ID_OCTETS_MAX`].
    pub(super) fn new(smsc: u64, message_id: &[u8], original: Original) -> Option<Given> {
        Some(Given { key: key(smsc, message_id)?, original })
    }
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("original", &self.original).finish_non_exhaustive()
    }
}

/// The originals of all providers, by SMSC and id. The oldest is forgotten first.
///
/// Every message that goes on is remembered, and most networks never ask after one: until the first
/// question, what is remembered is only written down, one behind the other. The first question sorts in all
/// that there is; from then on each is sorted in as it comes.
pub struct Originals {
    /// A ring: the next place written holds the oldest.
    places: Vec<Option<(Key, Original)>>,
    next: u32,
    entries_max: u32,
    changes: u64,
    /// How many of the newest places are not sorted in yet.
    unsorted: u32,
    /// The place of each key that is sorted in, by its hash alone. Of two keys with one hash the older is
    /// forgotten.
    by_hash: HashMap<u64, u32, FixedState>,
    /// By place: under which hash it is sorted in. Empty until the first question.
    sorted: Vec<Option<u64>>,
    hasher: RandomState,
}

impl std::fmt::Debug for Originals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Originals({} of {})", self.places.len(), self.entries_max)
    }
}

impl Originals {
    /// Remembers nothing yet, and at most `entries_max` later; of zero it remembers nothing ever.
    pub fn new(entries_max: u32) -> Originals {
        Originals {
            places: Vec::new(),
            next: 0,
            entries_max,
            changes: 0,
            unsorted: 0,
            by_hash: HashMap::default(),
            sorted: Vec::new(),
            hasher: RandomState::default(),
        }
    }

    /// How often something was remembered.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Some of the entries, also of those that a later one under the same id has replaced, from the place that many behind the oldest's: so that all can be copied a few
    /// at a time. `None` behind the newest.
    pub fn page(&self, from: usize, places: usize) -> Option<Vec<(u64, Vec<u8>, Original)>> {
        let (newer, older) = self.places.split_at_checked(self.next as usize).unwrap_or_default();
        let (older, newer) = (older.get(from..), newer.get(from.saturating_sub(older.len())..)?);
        if older.is_none_or(<[_]>::is_empty) && newer.is_empty() {
            return None;
        }
        let page = older.unwrap_or_default().iter().chain(newer).take(places).flatten();
        Some(page.map(|(key, one)| (key.smsc, key.message_id.as_slice().to_vec(), *one)).collect())
    }

    /// Remembers what an id of an SMSC stands for, in place of what it stood for before. Whether it
    /// does: not when the id is empty or longer than [`MESSAGE_ID_OCTETS_MAX`].
    pub fn remember(&mut self, smsc: u64, message_id: &[u8], original: Original) -> bool {
        Given::new(smsc, message_id, original).is_some_and(|given| self.take(given))
    }

    /// The same for an id that waited: many under one lock.
    pub(super) fn take(&mut self, Given { key, original }: Given) -> bool {
        if self.entries_max == 0 {
            return false;
        }
        self.changes += 1;
        let at = self.next as usize;
        match self.places.get_mut(at) {
            Some(place) => *place = Some((key, original)),
            None => self.places.push(Some((key, original))),
        }
        if let Some(hash) = self.sorted.get_mut(at).and_then(Option::take) {
            self.by_hash.remove(&hash);
        }
        self.unsorted = (self.unsorted + 1).min(self.entries_max);
        self.next = if self.next + 1 < self.entries_max { self.next + 1 } else { 0 };
        if !self.sorted.is_empty() {
            self.sort_in();
        }
        true
    }

    /// Sorts in what is not yet, the oldest of it first.
    fn sort_in(&mut self) {
        self.sorted.resize(self.places.len(), None);
        let unsorted = std::mem::take(&mut self.unsorted);
        let begin = if self.next >= unsorted {
            self.next - unsorted
        } else {
            self.entries_max - (unsorted - self.next)
        };
        for at in (begin..self.entries_max).chain(0..begin).take(unsorted as usize) {
            let Some(Some((key, _))) = self.places.get(at as usize) else { continue };
            let hash = self.hash(key);
            if let Some(before) = self.by_hash.insert(hash, at) {
                self.clear(before);
            }
            if let Some(sorted) = self.sorted.get_mut(at as usize) {
                *sorted = Some(hash);
            }
        }
    }

    /// Empties a place.
    fn clear(&mut self, at: u32) {
        if let Some(place) = self.places.get_mut(at as usize) {
            *place = None;
        }
        if let Some(sorted) = self.sorted.get_mut(at as usize) {
            *sorted = None;
        }
    }

    fn hash(&self, key: &Key) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64(key.smsc);
        hasher.write(key.message_id.as_slice());
        hasher.finish()
    }

    /// What an id of an SMSC stands for.
    pub fn find(&mut self, smsc: u64, message_id: &[u8]) -> Option<&Original> {
        let at = self.place(smsc, message_id)?;
        self.places.get(at as usize)?.as_ref().map(|(_, original)| original)
    }

    fn place(&mut self, smsc: u64, message_id: &[u8]) -> Option<u32> {
        let key = key(smsc, message_id)?;
        self.sort_in();
        let &at = self.by_hash.get(&self.hash(&key))?;
        let (found, _) = self.places.get(at as usize)?.as_ref()?;
        (*found == key).then_some(at)
    }

    /// Forgets an id: its message was taken back.
    pub fn forget(&mut self, smsc: u64, message_id: &[u8]) {
        let Some(at) = self.place(smsc, message_id) else { return };
        if let Some(hash) = self.sorted.get(at as usize).copied().flatten() {
            self.by_hash.remove(&hash);
        }
        self.clear(at);
    }

    /// All entries, the oldest first: SMSC, id, original. Remembered in this order by another
    /// memory, they are the same there.
    pub fn entries(&mut self) -> impl Iterator<Item = (u64, &[u8], &Original)> {
        self.sort_in();
        let (newer, older) = self.places.split_at_checked(self.next as usize).unwrap_or_default();
        older
            .iter()
            .chain(newer)
            .flatten()
            .map(|(key, original)| (key.smsc, key.message_id.as_slice(), original))
    }
}

fn key(smsc: u64, message_id: &[u8]) -> Option<Key> {
    let message_id = Inline::new(message_id).filter(|id| id.length > 0)?;
    Some(Key { smsc, message_id })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn original(provider: u64) -> Original {
        Original::new(provider, b"106900001234", Msisdn::new(8_613_800_138_000)).expect("short")
    }

    #[test]
    fn ids_are_octets_of_one_smsc() {
        let mut originals = Originals::new(10);
        for (provider, id) in [(1, &b"255"[..]), (2, b"FF"), (3, b"ff"), (4, b"0255"), (5, b"0xff")]
        {
            assert!(originals.remember(0, id, original(provider)));
        }
        assert!(originals.remember(1, b"255", original(6)));
        let cases: &[(u64, &[u8], Option<u64>)] = &[
            (0, b"255", Some(1)),
            (0, b"FF", Some(2)),
            (0, b"ff", Some(3)),
            (0, b"0255", Some(4)),
            (0, b"0xff", Some(5)),
            (1, b"255", Some(6)),
            (1, b"FF", None),
            (0, b"255 ", None),
            (0, b"255\0", None),
            (0, b"", None),
        ];
        for (smsc, id, expected) in cases {
            let found = originals.find(*smsc, id).map(|original| original.provider);
            assert_eq!(found, *expected, "{smsc} {id:02x?}");
        }
    }

    #[test]
    fn lengths_hold_at_the_edge() {
        let mut originals = Originals::new(10);
        assert!(originals.remember(0, &[b'a'; 64], original(1)));
        assert!(!originals.remember(0, &[b'a'; 65], original(1)));
        assert!(!originals.remember(0, b"", original(1)));
        assert!(originals.find(0, &[b'a'; 65]).is_none());
        assert!(Original::new(1, &[b'1'; 20], None).is_some());
        assert!(Original::new(1, &[b'1'; 21], None).is_none());
        assert_eq!(original(1).source(), b"106900001234");
        assert!(!Originals::new(0).remember(0, b"a", original(1)), "nothing fits into nothing");
    }

    #[test]
    fn the_oldest_is_forgotten_first_and_one_sent_again_is_the_newest() {
        let mut originals = Originals::new(2);
        originals.remember(0, b"a", original(1));
        originals.remember(0, b"b", original(2));
        assert_eq!(originals.entries().count(), 2);
        originals.remember(0, b"c", original(3));
        assert_eq!(originals.find(0, b"a"), None);
        assert_eq!(originals.entries().count(), 2);
        originals.remember(0, b"b", original(4));
        assert_eq!(originals.find(0, b"b").map(|o| o.provider), Some(4));
        originals.forget(0, b"b");
        assert_eq!(originals.find(0, b"b"), None);
        originals.forget(0, b"b");
        assert_eq!(originals.entries().count(), 1);
    }

    #[test]
    fn numbers_are_not_shown() {
        let shown = format!("{:?}", original(1));
        assert!(!shown.contains("13800138000") && !shown.contains("106900001234"), "{shown}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        /// Beside a plain list of what was remembered, newest last.
        #[test]
        fn what_is_remembered_is_the_newest_and_survives_export(
            steps in prop::collection::vec((any::<[bool; 2]>(), 0_u8..12, any::<u64>()), 0..80),
            entries_max in 1_u32..8,
        ) {
            let mut originals = Originals::new(entries_max);
            let mut list: Vec<(u8, u64)> = Vec::new();
            for ([forget, look_now], id, provider) in steps {
                list.retain(|(other, _)| *other != id);
                if forget && id < 4 {
                    originals.forget(0, &[id + 1]);
                } else {
                    originals.remember(0, &[id + 1], original(provider));
                    list.push((id, provider));
                }
                if !look_now {
                    continue;
                }
                // What is remembered is the end of the list: forgetting may leave places empty early.
                let found: Vec<_> = originals.entries().map(|(_, id, o)| (id[0] - 1, o.provider)).collect();
                prop_assert!(found.len() <= entries_max as usize);
                let newest = &list[list.len() - found.len()..];
                prop_assert_eq!(&found[..], newest);
            }
            let mut other = Originals::new(entries_max);
            for (smsc, id, original) in originals.entries() {
                other.remember(smsc, id, *original);
            }
            let all = |o: &mut Originals| o.entries().map(|(s, i, o)| (s, i.to_vec(), *o)).collect::<Vec<_>>();
            prop_assert_eq!(all(&mut other), all(&mut originals));
        }
    }
}
