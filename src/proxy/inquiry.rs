//! What a session waits for of a ledger that many nodes share: standings before a batch is judged, and claims
//! before it goes on. Meanwhile the ESME is not read, and nothing else waits: the SMSC's octets go on, timers
//! run, and both waits are over at their deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::pump::Pair;
use super::{Shared, scratch};
use crate::consent::{Claim, Claimed, Claiming, Ledger, Lookup};
use crate::session::{Batch, Moment};

/// How far it has come.
#[derive(Debug, Default)]
pub(super) enum Inquiry {
    /// Nothing is asked.
    #[default]
    None,
    /// Standings, since then (steady clock), for a batch of which nothing is judged.
    Standings(Lookup, u64),
    /// What the ledger knows by now is what it knows.
    Known,
    /// Whether the messages of a batch that is on record are this node's to send.
    Claims(Claiming),
    /// They are answered.
    Claimed(Vec<Claimed>),
}

impl Inquiry {
    /// Whether a batch that is on record waits for it.
    pub(super) fn holds_batch(&self) -> bool {
        matches!(self, Inquiry::Claims(_) | Inquiry::Claimed(_))
    }

    /// Whether there is any.
    pub(super) fn is_any(&self) -> bool {
        !matches!(self, Inquiry::None)
    }
}

impl Pair {
    /// Judges the next batch; whether one is under way.
    pub(super) fn judge(&mut self, shared: &Shared, now: Moment) -> bool {
        self.asked_at_change = shared.ledger.as_ref().map_or(0, Ledger::changes);
        self.traced.judging(&shared.clock);
        let (mut lookup, mut asked, mut lacking) = (None, 0, 0);
        let ledger = shared.ledger.as_ref();
        let batch = scratch::with_desk(|desk| {
            let mut ask = |questions: &[_], answers: &mut _| {
                asked = questions.len();
                shared.ask(now)(questions, answers);
            };
            let mut look_up = |questions: &[_]| {
                lacking = questions.len();
                lookup = ledger.and_then(|ledger| ledger.lacks(questions, now.wall_us));
                lookup.is_some()
            };
            let knowledge = &self.terms.knowledge;
            self.session.judge_or_wait(knowledge, desk, &mut ask, &mut look_up, now)
        });
        if batch == Batch::UnderWay {
            self.traced.judged(&shared.clock);
        }
        if let (Some(ledger), false) = (ledger, self.inquiry.is_any()) {
            ledger.answered(asked.saturating_sub(lacking) as u64);
        }
        let waits = lookup.filter(|_| batch == Batch::Waits);
        self.inquiry =
            waits.map_or(Inquiry::None, |lookup| Inquiry::Standings(lookup, now.steady_us));
        self.wake_holders();
        batch == Batch::UnderWay
    }

    /// Whether the next batch waits for standings. One that will be refused anyway does not.
    pub(super) fn waits_for_standings(&self) -> bool {
        matches!(self.inquiry, Inquiry::Standings(..))
            && self.session.ending().is_none()
            && !self.session.is_draining()
    }

    /// Claims what of the recorded batch other nodes may be sending too; whether that has to be waited for.
    pub(super) fn claim(&mut self, shared: &Shared, now: Moment) -> bool {
        let Some(ledger) = shared.ledger.as_ref().filter(|_| self.session.is_vouched()) else {
            return false;
        };
        let mut events = Vec::new();
        self.session.claims(now, &mut events);
        if events.is_empty() {
            return false;
        }
        match ledger.claim(&events, now.wall_us) {
            Claim::Free => false,
            Claim::Asked(claiming) => {
                self.inquiry = Inquiry::Claims(claiming);
                true
            }
        }
    }

    /// Takes back what is not this node's to send. The ledger has counted the rest; who refused meanwhile is
    /// left alone all the same.
    pub(super) fn settle_claims(&mut self, shared: &Shared, claimed: &[Claimed], now: Moment) {
        self.session.claimed(&self.terms.knowledge, claimed, now);
        self.is_counted = true;
        self.ask_again(shared, now);
    }

    /// Whether what was asked is answered, or late.
    pub(super) fn poll_inquiry(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.inquiry {
            Inquiry::Standings(lookup, since_us) => {
                if Pin::new(lookup).poll(cx).is_pending() {
                    return false;
                }
                let waited_us = self.shared.clock.now().steady_us.saturating_sub(*since_us);
                let waits = &self.shared.metrics.consent_lookup_wait;
                waits.observe(Duration::from_micros(waited_us));
                self.inquiry = Inquiry::Known;
                true
            }
            Inquiry::Claims(claiming) => match Pin::new(claiming).poll(cx) {
                Poll::Pending => false,
                Poll::Ready(claimed) => {
                    self.inquiry = Inquiry::Claimed(claimed);
                    true
                }
            },
            Inquiry::None | Inquiry::Known | Inquiry::Claimed(_) => false,
        }
    }
}
