//! Two queues over the same slots, so that the oldest of either is known and any can be taken out.

use super::parts::NONE;

/// Which queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    /// Messages that lack a part, or were refused.
    Waiting,
    /// Messages that are complete: the first to give way.
    Complete,
}

#[derive(Clone, Copy)]
struct Neighbours {
    older: u32,
    newer: u32,
}

const ALONE: Neighbours = Neighbours { older: NONE, newer: NONE };

/// Both queues. A slot is in at most one of them.
pub(super) struct Queues {
    slots: Vec<Neighbours>,
    /// Of each queue: `older` is its newest end, `newer` its oldest.
    ends: [Neighbours; 2],
}

impl Queues {
    pub(super) fn new() -> Queues {
        Queues { slots: Vec::new(), ends: [ALONE; 2] }
    }

    pub(super) fn oldest(&self, queue: Queue) -> Option<u32> {
        Some(self.ends[queue as usize].newer).filter(|&slot| slot != NONE)
    }

    /// Adds a slot as the newest.
    pub(super) fn push(&mut self, queue: Queue, slot: u32) {
        while self.slots.len() <= slot as usize {
            self.slots.push(ALONE);
        }
        let newest = self.ends[queue as usize].older;
        if let Some(own) = self.slots.get_mut(slot as usize) {
            *own = Neighbours { older: newest, newer: NONE };
        }
        self.at(queue, newest).newer = slot;
        self.ends[queue as usize].older = slot;
    }

    /// Takes a slot out of the queue that it is in.
    pub(super) fn remove(&mut self, queue: Queue, slot: u32) {
        let own = self.slots.get(slot as usize).copied().unwrap_or(ALONE);
        self.at(queue, own.older).newer = own.newer;
        self.at(queue, own.newer).older = own.older;
    }

    /// A slot's neighbours; the queue's ends where there is no slot.
    fn at(&mut self, queue: Queue, slot: u32) -> &mut Neighbours {
        match self.slots.get_mut(slot as usize) {
            Some(neighbours) => neighbours,
            None => &mut self.ends[queue as usize],
        }
    }
}
