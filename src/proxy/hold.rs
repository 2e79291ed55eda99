//! Parts that wait, on several sessions of one provider: the one whose part makes a message complete
//! wakes the others.

use std::task::{Context, Waker};

use dashmap::DashMap;

use super::pump::Pair;
use crate::registry::ProviderId;

/// Who waits, of each provider: at most one waker a session.
#[derive(Default)]
pub struct Waiting {
    by_provider: DashMap<ProviderId, Vec<(u64, Waker)>>,
}

impl Waiting {
    fn add(&self, provider: Option<ProviderId>, session: u64, waker: &Waker) {
        let Some(provider) = provider else { return };
        let mut waiting = self.by_provider.entry(provider).or_default();
        match waiting.iter_mut().find(|(id, _)| *id == session) {
            Some((_, known)) => known.clone_from(waker),
            None => waiting.push((session, waker.clone())),
        }
    }

    fn wake(&self, provider: Option<ProviderId>) {
        let Some((_, waiting)) = provider.and_then(|one| self.by_provider.remove(&one)) else {
            return;
        };
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    fn remove(&self, provider: Option<ProviderId>, session: u64) {
        let Some(provider) = provider else { return };
        self.by_provider.remove_if_mut(&provider, |_, waiting| {
            waiting.retain(|(id, _)| *id != session);
            waiting.is_empty()
        });
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
        self.session.hold_has_news(&self.terms.knowledge)
    }

    /// Wakes those whose parts wait for what was judged here.
    pub(super) fn wake_holders(&mut self) {
        let provider = self.session.provider();
        let changes = self.terms.knowledge.joinings.changes(provider);
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
        self.session.hold_deadline_us()
    }

    /// Lets go what still waits when the session ends.
    pub(super) fn let_go(&mut self) {
        self.session.let_go(&self.terms.knowledge);
        self.shared.waiting.remove(self.session.provider(), self.session.id());
    }

    /// Whose parts wait here is not whose session it was.
    pub(super) fn moved(&mut self, before: Option<ProviderId>) {
        self.shared.waiting.remove(before, self.session.id());
        self.told_changes = self.terms.knowledge.joinings.changes(self.session.provider());
    }
}
