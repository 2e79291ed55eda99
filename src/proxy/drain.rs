//! A pair that comes to its end in good order: at the shutdown, when its upstream is drained, or under other
//! terms.

use std::future::Future;
use std::task::Context;

use super::Shared;
use super::pump::Pair;
use crate::session::{EndReason, Moment};

/// How far the shutdown of a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drain {
    No,
    /// The upstream is drained: both sides are unbound as soon as nothing is open, and at that time (steady
    /// clock) new messages are refused so that it comes to that.
    Leaving(u64),
    /// Open requests may be answered until then (steady clock).
    Until(u64),
    /// Both sides were sent unbind; their answers may come until then.
    Unbound(u64),
}

impl Pair {
    pub(super) fn poll_leaving(&mut self, cx: &mut Context<'_>) -> bool {
        let leaving = self.leading.as_mut().is_some_and(|leading| leading.poll_leaves(cx));
        if leaving && self.drain == Drain::No {
            let drain_us = self.terms.settings.drain.as_micros() as u64;
            self.drain = Drain::Leaving(self.shared.clock.now().steady_us + drain_us);
        }
        leaving
    }

    pub(super) fn poll_call(&mut self, cx: &mut Context<'_>) -> bool {
        if self.is_called || self.call.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.is_called = true;
        true
    }

    /// The shutdown begins, or other terms are in force.
    pub(super) fn answer_call(&mut self, shared: &Shared, now: Moment) {
        if !shared.drain.is_cancelled() {
            self.adopt(shared);
        } else if matches!(self.drain, Drain::No | Drain::Leaving(_)) {
            self.session.drain();
            self.drain = Drain::Until(now.steady_us + self.terms.settings.drain.as_micros() as u64);
        }
    }

    /// Goes over to the terms in force, unless a batch was judged by the old ones and is not carried out, or
    /// records of refusals by them wait for the journal.
    fn adopt(&mut self, shared: &Shared) {
        self.hand_on_later_records(shared);
        let is_held_up = self.is_waiting() || self.smsc_wanted || self.session.is_under_way();
        if is_held_up || self.session.later_records().holds_judged() {
            return;
        }
        let terms = shared.in_force.now();
        let before = self.session.provider();
        self.session.adopt(&terms.knowledge, terms.settings.timeouts);
        self.call = Box::pin(terms.superseded.clone().cancelled_owned());
        self.is_called = false;
        self.terms = terms;
        if self.session.provider() != before {
            self.moved(before);
            let provider = self.provider_name().to_owned();
            tracing::info!(session = self.session.id(), provider, "is another provider's");
            self.live.name(|named| named.provider = provider);
        }
    }

    pub(super) fn drain_on(&mut self, now: Moment) {
        if let Drain::Leaving(deadline) = self.drain {
            let is_idle = self.is_idle();
            if !is_idle && (now.steady_us < deadline || self.is_binding()) {
                return;
            }
            let longer_us = self.terms.settings.drain.as_micros() as u64;
            self.session.drain();
            self.drain = Drain::Until(now.steady_us + if is_idle { 0 } else { longer_us });
        }
        match self.drain {
            Drain::Until(deadline) if self.session.is_drained() || now.steady_us >= deadline => {
                if self.is_held_up() || self.session.ending().is_some() {
                    return;
                }
                let mark = self.to_esme.mark();
                self.session.unbind(self.to_esme.room());
                self.show_to_esme(mark, true);
                for cleared in self.session.cleared() {
                    self.to_smsc.push(cleared);
                }
                self.session.release();
                let close_us = self.terms.settings.close.as_micros() as u64;
                self.drain = Drain::Unbound(now.steady_us + close_us);
            }
            Drain::Unbound(deadline) if now.steady_us >= deadline => {
                self.session.end(EndReason::Drained);
            }
            Drain::No | Drain::Leaving(_) | Drain::Until(_) | Drain::Unbound(_) => {}
        }
    }

    /// The pair has left the upstream that was drained before it was bound there.
    pub(super) fn stays(&mut self) {
        if let Drain::Leaving(_) = self.drain {
            self.drain = Drain::No;
        }
    }

    /// Whether nothing is open or under way in either direction.
    fn is_idle(&self) -> bool {
        let waits = self.to_esme.len() + self.to_smsc.len();
        !self.is_waiting() && waits == 0 && self.session.is_idle()
    }
}
