//! What waits for the writer. Sessions put, one thread takes; neither waits for the other's disk.

use std::mem::size_of;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::pcapng::Way;
use super::segment::Segment;

/// Octets that wait at most, with what is known of each frame. What comes on top is dropped.
pub const QUEUE_OCTETS_MAX: usize = 8 << 20;

/// How long the writer sleeps when nobody wakes it: only a queue that is half full and a stop do, so
/// that no session has to.
const SLEEP_MAX: Duration = Duration::from_millis(20);

/// What is said of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Nothing.
    None,
    /// A request that passed.
    Passed,
    /// A request that passed although that rule refuses it.
    Observed(&'static str),
    /// A request that was answered here, because of that rule.
    Refused(&'static str),
    /// Written by the proxy itself.
    Ours,
    /// Anything, in words.
    Says(Box<str>),
    /// The session ended, for that reason.
    Ends(&'static str),
}

/// A frame, or a segment without octets.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Microseconds since the Unix epoch.
    pub time_us: u64,
    /// Which way it went.
    pub way: Way,
    /// Where it stands in its connection.
    pub segment: Segment,
    /// The journal's number of the session.
    pub session: u64,
    /// What is said of it.
    pub note: Note,
    /// How many octets it has. Set by the queue.
    pub octets: usize,
    /// How many were dropped between the one before and this one. Set by the queue.
    pub dropped: u64,
}

/// Entries and their octets, in the order in which they came.
#[derive(Debug, Default)]
pub struct Batch {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Their octets, one behind the other.
    pub octets: Vec<u8>,
}

impl Batch {
    fn cost(&self) -> usize {
        self.octets.len() + self.entries.len() * size_of::<Entry>()
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.octets.clear();
    }
}

#[derive(Debug, Default)]
struct Waiting {
    batch: Batch,
    dropped: u64,
    dropped_in_all: u64,
    stopped: bool,
}

/// The queue of one run.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

impl Queue {
    /// Adds a frame; whether there was room for it.
    pub fn put(&self, mut entry: Entry, octets: &[u8]) -> bool {
        let mut waiting = self.lock();
        let before = waiting.batch.cost();
        let after = before + octets.len() + size_of::<Entry>();
        if after > QUEUE_OCTETS_MAX || waiting.stopped {
            let is_lost = u64::from(!waiting.stopped);
            waiting.dropped += is_lost;
            waiting.dropped_in_all += is_lost;
            return false;
        }
        entry.octets = octets.len();
        entry.dropped = std::mem::take(&mut waiting.dropped);
        waiting.batch.entries.push(entry);
        waiting.batch.octets.extend_from_slice(octets);
        if before < QUEUE_OCTETS_MAX / 2 && after >= QUEUE_OCTETS_MAX / 2 {
            self.wake.notify_one();
        }
        true
    }

    /// Counts a frame that never came as far as the queue.
    pub fn lose(&self) {
        let mut waiting = self.lock();
        waiting.dropped += 1;
        waiting.dropped_in_all += 1;
    }

    /// Takes nothing more. What waits can still be taken out.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.wake.notify_one();
    }

    /// Waits a little and swaps what came into `batch`; whether more may come.
    pub fn take(&self, batch: &mut Batch) -> bool {
        batch.clear();
        let mut waiting = self.lock();
        if !waiting.stopped && waiting.batch.cost() < QUEUE_OCTETS_MAX / 2 {
            let woken = self.wake.wait_timeout(waiting, SLEEP_MAX);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::swap(&mut waiting.batch, batch);
        !waiting.stopped
    }

    /// Octets that wait, and how many frames were dropped.
    pub fn figures(&self) -> (usize, u64) {
        let waiting = self.lock();
        (waiting.batch.cost(), waiting.dropped_in_all)
    }

    /// Gives the room back.
    pub fn end(&self) {
        let mut waiting = self.lock();
        waiting.stopped = true;
        waiting.batch = Batch::default();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::segment::ACK;

    fn entry() -> Entry {
        let anywhere = "127.0.0.1:1".parse().unwrap();
        let segment =
            Segment { from: anywhere, to: anywhere, sequence: 0, acknowledgement: 0, flags: ACK };
        let (time_us, session, octets, dropped) = (0, 0, 0, 0);
        Entry { time_us, way: Way::In, segment, session, note: Note::None, octets, dropped }
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_told_with_the_next() {
        let (queue, mut batch) = (Queue::default(), Batch::default());
        let room = QUEUE_OCTETS_MAX - size_of::<Entry>();
        assert!(queue.put(entry(), &vec![1; room]), "filled to the limit");
        assert_eq!(queue.figures(), (QUEUE_OCTETS_MAX, 0));
        assert!(!queue.put(entry(), b"") && !queue.put(entry(), b"a"), "one past it");
        assert_eq!(queue.figures(), (QUEUE_OCTETS_MAX, 2));
        assert!(queue.take(&mut batch));
        assert_eq!((batch.entries.len(), batch.octets.len()), (1, room));
        assert!(!queue.put(entry(), &vec![1; room + 1]), "longer than all of it");
        assert!(queue.put(entry(), b"ab") && queue.put(entry(), b"c"));
        queue.stop();
        assert!(!queue.put(entry(), b"d"));
        assert!(!queue.take(&mut batch), "nothing more comes");
        let told: Vec<_> = batch.entries.iter().map(|one| (one.octets, one.dropped)).collect();
        assert_eq!((told, &batch.octets[..]), (vec![(2, 3), (1, 0)], &b"abc"[..]));
        assert_eq!(queue.figures(), (0, 3), "what comes behind the stop is not lost");
    }
}
