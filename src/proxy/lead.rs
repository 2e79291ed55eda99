//! A pair and the SMSC that it is led to: connected to one after the other until one answers the bind,
//! within the bind's deadline; and told off when its upstream is drained.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tokio_util::sync::WaitForCancellationFutureOwned;

use super::dial;
use super::listen::Way;
use super::out::ToSmsc;
use super::pump::{Leg, Pair};
use super::upstreams::{Lead, Upstreams};
use crate::session::originals::mark;
use crate::session::{BindState, EndReason, Moment};
use crate::smpp::CommandStatus;
use crate::upstream::{Failure, Tried};

/// How far a pair's way to an SMSC has come.
pub(super) struct Leading {
    upstreams: Arc<Upstreams>,
    /// The upstream that it is led to; `None` before the first, and between two.
    lead: Option<Lead>,
    /// Where the bind has been.
    tried: Tried,
    /// Whether the bind's octets have been handed to an SMSC before.
    is_handed: bool,
    /// Whether it is known what became of the bind.
    is_answered: bool,
    /// When the bind goes on to another SMSC unless it is answered, on the steady clock.
    answer_by_us: u64,
    /// The newest answer that the upstream was told of.
    told_us: u64,
    /// Ready when the upstream is drained.
    leaves: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Leading {
    pub(super) fn new(upstreams: Arc<Upstreams>) -> Leading {
        Leading {
            upstreams,
            lead: None,
            tried: Tried::default(),
            is_handed: false,
            is_answered: false,
            answer_by_us: u64::MAX,
            told_us: 0,
            leaves: None,
        }
    }

    /// When something has to be done about the bind, on the steady clock.
    pub(super) fn deadline_us(&self) -> u64 {
        self.answer_by_us
    }

    /// Whether the upstream was drained: ready once.
    pub(super) fn poll_leaves(&mut self, cx: &mut Context<'_>) -> bool {
        self.leaves.take_if(|leaves| leaves.as_mut().poll(cx).is_ready()).is_some()
    }
}

impl Pair {
    /// Connects to the SMSC that is next, and to those behind it while they take no connection.
    pub(super) async fn connect(&mut self, way: &Way) {
        self.smsc_wanted = false;
        let (shared, terms) = (self.shared.clone(), self.terms.clone());
        let who = mark(self.session.system_id());
        let mut last = None;
        while let Some(leading) = &mut self.leading {
            let now = shared.clock.now();
            let left_us = self.session.bind_deadline_us().saturating_sub(now.steady_us);
            let left = Duration::from_micros(left_us);
            let sends = self.session.binds_to_send();
            if left.is_zero() {
                break;
            }
            let Some(mut lead) = leading.upstreams.choose(&mut leading.tried, sends, now) else {
                break;
            };
            let (outward, ends) = (&way.outward, self.ends);
            match dial::dial(lead.address(), outward, ends, left, &terms.settings).await {
                Ok(dialled) => return self.connected(lead, dialled, shared.clock.now()),
                Err(error) => {
                    let session = self.session.id();
                    tracing::debug!(session, upstream = lead.address(), %error, "no connection");
                    lead.failed(Failure::Connect, who, shared.clock.now());
                    last = Some(error);
                }
            }
        }
        let error = last.map_or("no time or none is left".to_owned(), |error| error.to_string());
        tracing::warn!(session = self.session.id(), error, "no SMSC can be reached");
        self.show_batch();
        self.session.unreachable();
    }

    fn connected(&mut self, mut lead: Lead, dialled: dial::Dialled, now: Moment) {
        self.live.name(|named| named.smsc = Some(dialled.address));
        self.session.connected(lead.address());
        self.smsc = Some(Leg::new(dialled.stream));
        let Some(leading) = &mut self.leading else { return };
        leading.leaves = lead.connected().map(|token| Box::pin(token.cancelled_owned()));
        leading.lead = Some(lead);
        let has_another = leading.upstreams.has_another(leading.tried);
        self.session.may_bind_elsewhere(has_another);
        leading.answer_by_us = match has_another {
            true => now.steady_us + self.terms.settings.connect.as_micros() as u64,
            false => u64::MAX,
        };
        if leading.is_handed {
            self.to_smsc.push(self.session.bind_again());
        } else {
            leading.is_handed = true;
            self.release();
        }
    }

    /// Looks at what became of the bind, and at the SMSC's progress since.
    pub(super) fn look_at_lead(&mut self, now: Moment) {
        let who = mark(self.session.system_id());
        let Some(leading) = &mut self.leading else { return };
        let Some(lead) = &mut leading.lead else { return };
        if self.session.answered_us() > leading.told_us {
            leading.told_us = self.session.answered_us();
            lead.answered(leading.told_us, now);
        }
        let is_binding = matches!(self.session.state(), BindState::Binding(_));
        let is_ending = self.session.ending().is_some();
        let failure = match self.session.take_bind_answer() {
            Some(CommandStatus::ESME_RSYSERR) => Failure::SystemError,
            Some(status) => {
                lead.bind_answered(status.is_ok(), now);
                leading.is_answered = true;
                leading.answer_by_us = u64::MAX;
                return;
            }
            None if leading.is_answered || !is_binding || is_ending => {
                // Nobody waits for the answer any more: who binds has unbound, or gone.
                leading.answer_by_us = u64::MAX;
                return;
            }
            None if self.smsc.as_ref().is_some_and(Leg::is_gone) => Failure::Closed,
            None if now.steady_us >= leading.answer_by_us => Failure::BindUnanswered,
            None => return,
        };
        leading.answer_by_us = u64::MAX;
        let goes_on = self.session.can_bind_elsewhere();
        if failure == Failure::BindUnanswered && !goes_on {
            // It has the whole of the bind's deadline.
            return;
        }
        lead.failed(failure, who, now);
        leading.is_answered = !goes_on;
        if goes_on {
            let (session, why) = (self.session.id(), failure.name());
            tracing::debug!(session, upstream = lead.address(), why, "the bind goes on to another");
            leading.lead = None;
            leading.leaves = None;
            self.smsc = None;
            self.to_smsc = ToSmsc::default();
            self.session.disconnected();
            self.stays();
            self.smsc_wanted = true;
        }
    }

    /// The session ends: what the SMSC owes it.
    pub(super) fn leave_upstream(&mut self, now: Moment) {
        let who = mark(self.session.system_id());
        let Some(leading) = &mut self.leading else { return };
        let Some(mut lead) = leading.lead.take() else { return };
        if let Some(asked_us) = self.session.owed_since_us() {
            lead.owed(asked_us, now);
        } else if !leading.is_answered && self.session.ending() == Some(EndReason::SmscSilent) {
            lead.failed(Failure::BindUnanswered, who, now);
        }
    }
}
