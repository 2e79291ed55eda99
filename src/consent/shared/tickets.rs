//! How far the outbox is on the disk, and who waits for it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use super::locked;
use crate::consent::{Ticket, Unavailable};

/// Wakers that wait at once; when one more comes all are woken, and register anew.
const WAITERS_MAX: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Tickets {
    completed: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    wakers: Vec<(u64, Waker)>,
    /// Why nothing more will be complete.
    ended: Option<Unavailable>,
}

impl Tickets {
    pub fn is_complete(&self, ticket: Ticket) -> Result<bool, Unavailable> {
        if ticket.position <= self.completed.load(Ordering::Acquire) {
            return Ok(true);
        }
        let waiting = locked(&self.waiting);
        // It moves under the lock only, so it can be asked again here.
        match &waiting.ended {
            _ if ticket.position <= self.completed.load(Ordering::Acquire) => Ok(true),
            Some(why) => Err(why.clone()),
            None => Ok(false),
        }
    }

    pub fn on_complete(&self, ticket: Ticket, waker: Waker) {
        let mut waiting = locked(&self.waiting);
        let is_settled = ticket.position <= self.completed.load(Ordering::Acquire);
        if is_settled || waiting.ended.is_some() {
            drop(waiting);
            return waker.wake();
        }
        let crowd = match waiting.wakers.len() >= WAITERS_MAX {
            true => std::mem::take(&mut waiting.wakers),
            false => Vec::new(),
        };
        waiting.wakers.push((ticket.position, waker));
        drop(waiting);
        crowd.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Everything up to `position` is on the disk.
    pub fn complete(&self, position: u64) {
        let mut waiting = locked(&self.waiting);
        self.completed.fetch_max(position, Ordering::AcqRel);
        let is_due = |(at, _): &mut (u64, Waker)| *at <= position;
        let due: Vec<_> = waiting.wakers.extract_if(.., is_due).collect();
        drop(waiting);
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Nothing more will be complete.
    pub fn end(&self, why: Unavailable) {
        let mut waiting = locked(&self.waiting);
        waiting.ended.get_or_insert(why);
        let all = std::mem::take(&mut waiting.wakers);
        drop(waiting);
        all.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Why nothing more will be complete; `None` while it may.
    pub fn ended(&self) -> Option<Unavailable> {
        locked(&self.waiting).ended.clone()
    }
}
