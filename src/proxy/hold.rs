//! Parts that wait, on several sessions of one provider: the one whose part makes a message complete
//! wakes the others.

use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

use super::pump::Pair;
use crate::registry::ProviderId;

/// Who waits, of each provider: at most one waker a session.
pub struct Waiting {
    by_provider: Vec<Mutex<Vec<(u64, Waker)>>>,
}

impl Waiting {
    /// For that many providers; nobody waits yet.
    pub fn new(providers: usize) -> Waiting {
        Waiting { by_provider: (0..providers).map(|_| Mutex::default()).collect() }
    }

    fn with(&self, provider: Option<ProviderId>, work: impl FnOnce(&mut Vec<(u64, Waker)>)) {
        let waiting = provider.and_then(|one| self.by_provider.get(one.0 as usize));
        if let Some(waiting) = waiting {
            work(&mut waiting.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn add(&self, provider: Option<ProviderId>, session: u64, waker: &Waker) {
        self.with(provider, |waiting| match waiting.iter_mut().find(|(id, _)| *id == session) {
            Some((_, known)) => known.clone_from(waker),
            None => waiting.push((session, waker.clone())),
        });
    }

    fn wake(&self, provider: Option<ProviderId>) {
        self.with(provider, |waiting| waiting.drain(..).for_each(|(_, waker)| waker.wake()));
    }

    fn remove(&self, provider: Option<ProviderId>, session: u64) {
        self.with(provider, |waiting| waiting.retain(|(id, _)| *id != session));
    }
}

impl Pair {
    /// Whether parts that wait here can go on.
    pub(super) fn poll_hold(&mut self, cx: &mut Context<'_>) -> bool {
        if self.session.held_parts() == 0 || !self.may_judge() {
            return false;
        }
        // Known before it is looked: no news is missed in between.
        self.shared.waiting.add(self.session.provider(), self.session.id(), cx.waker());
        self.session.hold_has_news(&self.shared.knowledge)
    }

    /// Wakes those whose parts wait for what was judged here.
    pub(super) fn wake_holders(&mut self) {
        let provider = self.session.provider();
        let changes = self.shared.knowledge.joinings.changes(provider);
        if changes != self.told_changes {
            self.told_changes = changes;
            self.shared.waiting.wake(provider);
        }
    }

    /// When parts that wait here have to be looked at, on the steady clock.
    pub(super) fn hold_deadline_us(&self) -> u64 {
        if self.session.held_parts() == 0 || !self.may_judge() {
            return u64::MAX;
        }
        self.session.hold_deadline_us(&self.shared.knowledge)
    }

    /// Lets go what still waits when the session ends.
    pub(super) fn let_go(&mut self) {
        self.session.let_go(&self.shared.knowledge);
        self.shared.waiting.remove(self.session.provider(), self.session.id());
    }
}
