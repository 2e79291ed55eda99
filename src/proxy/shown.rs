//! What is seen of a pair from outside: metrics, listings, log lines.

use std::sync::atomic::Ordering;

use super::out::{ToEsme, ToSmsc};
use super::pump::Pair;
use super::{Shared, count};
use crate::audit::State;
use crate::metrics::{Refused, SessionState};
use crate::session::{BindKind, BindState, EndReason, Moment};
use crate::smpp::CommandStatus;

/// The SMSC's answers to a bind that say something of who binds, and not of itself.
const REFUSES_WHO_BINDS: [CommandStatus; 3] =
    [CommandStatus::ESME_RBINDFAIL, CommandStatus::ESME_RINVPASWD, CommandStatus::ESME_RINVSYSID];

impl Pair {
    /// Renews metrics, listings, log and the sum of what waits.
    pub(super) fn show(&mut self, shared: &Shared, now: Moment) {
        self.count_bind(shared, now);
        if self.session.provider() != self.counted {
            self.counted = self.session.provider();
            self.counters = shared.metrics.provider(self.provider_name());
        }
        count::add(&shared.metrics, self.session.tally(), self.counters.as_ref());
        self.live.renew(&self.session);
        let open = self.session.open_requests();
        shared.metrics.window_messages.add(open as i64 - self.shown_open as i64);
        self.shown_open = open;
        let is_full = self.is_window_full();
        if is_full != self.shown_full {
            shared.metrics.windows_full.add(if is_full { 1 } else { -1 });
            self.shown_full = is_full;
        }
        let octets = self.session.waiting_octets() + self.to_esme.len() + self.to_smsc.len();
        if octets != self.shown_octets {
            let sum = &shared.buffered_octets;
            sum.fetch_add(octets, Ordering::Relaxed);
            sum.fetch_sub(self.shown_octets, Ordering::Relaxed);
            shared.metrics.buffered_octets.add(octets as i64 - self.shown_octets as i64);
            self.shown_octets = octets;
        }
        let waits = self.to_esme.len() + self.to_smsc.len() > 0
            || self.esme.stream.is_unflushed()
            || self.smsc.as_ref().is_some_and(|leg| leg.stream.is_unflushed());
        self.stuck_since_us = waits.then(|| self.stuck_since_us.unwrap_or(now.steady_us));
        let state = self.session.state();
        if state != self.shown_state {
            shared.metrics.sessions(shown(self.shown_state)).dec();
            shared.metrics.sessions(shown(state)).inc();
            self.shown_state = state;
            self.tell(state);
        }
    }

    /// What a bind that was answered says of its address: one that fails again and again waits.
    fn count_bind(&mut self, shared: &Shared, now: Moment) {
        let tally = self.session.tally();
        let (Some((_, status)), true) = (tally.bind, self.is_esmes) else { return };
        if std::mem::take(&mut tally.no_seat) {
            shared.metrics.connections_refused(Refused::SessionsPerProvider).inc();
        }
        let from = self.live.peer.ip();
        let is_ours = self.session.ending() == Some(EndReason::BindRefused);
        let is_failure = match self.session.ending() {
            None => REFUSES_WHO_BINDS.contains(&status),
            // Where nothing can be recorded nobody can bind.
            Some(_) => {
                let is_recorded = shared.journal.state() == State::Available;
                is_ours && is_recorded && !status.is_retried()
            }
        };
        if status.is_ok() {
            shared.failures.succeeded(from);
        } else if is_failure && shared.failures.failed(from, now.steady_us) {
            self.session.end(EndReason::NeverBound);
        }
    }

    pub(super) fn tell(&self, state: BindState) {
        let provider = self.provider_name();
        self.live.name(|named| {
            named.state = state.name();
            if let BindState::Bound(kind) = state {
                named.bind_mode = Some(kind.name());
            }
            named.provider = provider.to_owned();
            named.system_id = self.system_id();
        });
        if let BindState::Bound(kind) = state {
            let (session, bind) = (self.session.id(), kind.name());
            let system_id = self.system_id();
            let peer = self.live.peer;
            tracing::info!(session, %peer, system_id, provider, bind, "bound");
        }
    }

    /// system_id as text that cannot break a log line.
    pub(super) fn system_id(&self) -> String {
        self.session.system_id().escape_ascii().to_string()
    }

    pub(super) fn provider_name(&self) -> &str {
        let registry = &self.terms.knowledge.registry;
        let provider = self.session.provider().and_then(|id| registry.provider_by_id(id));
        provider.map_or("", |one| one.name.as_str())
    }

    /// The last records, the last log line, and out of every sum.
    pub(super) fn leave(&mut self) {
        let shared = self.shared.clone();
        let now = shared.clock.now();
        self.let_go();
        self.give_up_late();
        self.leave_upstream(now);
        self.session.close(now);
        self.hand_on_later_records(&shared);
        self.to_esme = ToEsme::default();
        self.to_smsc = ToSmsc::default();
        self.show(&shared, now);
        shared.buffered_octets.fetch_sub(self.shown_octets, Ordering::Relaxed);
        shared.metrics.buffered_octets.sub(self.shown_octets as i64);
        shared.metrics.window_messages.sub(self.shown_open as i64);
        shared.metrics.windows_full.sub(i64::from(self.shown_full));
        shared.metrics.sessions(shown(self.shown_state)).dec();
        shared.live.remove(&self.session.id());
        let reason = self.session.ending().unwrap_or(EndReason::EsmeClosed);
        self.show_end(reason.name());
        shared.metrics.sessions_ended(reason).inc();
        let (forwarded, refused) = self.session.counts();
        let (session, peer, why) = (self.session.id(), self.live.peer, reason.name());
        if self.session.system_id().is_empty() {
            tracing::debug!(session, %peer, why, "ended without a bind");
        } else {
            let system_id = self.system_id();
            tracing::info!(session, %peer, system_id, why, forwarded, refused, "ended");
        }
    }
}

fn shown(state: BindState) -> SessionState {
    match state {
        BindState::Open => SessionState::Open,
        BindState::Binding(_) => SessionState::Binding,
        BindState::Bound(BindKind::Transmitter) => SessionState::BoundTx,
        BindState::Bound(BindKind::Receiver) => SessionState::BoundRx,
        BindState::Bound(BindKind::Transceiver) => SessionState::BoundTrx,
        BindState::Unbinding => SessionState::Unbinding,
    }
}
