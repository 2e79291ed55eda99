//! What wakes a pair: sockets that have something or take something, records that are kept, timers. Nothing
//! is changed here but buffers.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::drain::Drain;
use super::heed::Heeding;
use super::out::{ToEsme, ToSmsc};
use super::pump::{Leg, Pair};
use super::scratch;
use crate::metrics::Verdict;
use crate::session::{EndReason, Side};

/// How long a session that may not read for the sake of all others waits before it looks again.
const CROWDED_PAUSE_US: u64 = 10_000;

impl Pair {
    /// Waits until any source has something.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut any = self.poll_leaving(cx);
        any |= self.poll_call(cx);
        any |= self.poll_ticket(cx);
        any |= self.poll_inquiry(cx);
        any |= self.poll_heeding(cx);
        any |= self.poll_hold(cx);
        any |= self.poll_writes(cx);
        any |= self.poll_reads(cx);
        any |= self.poll_timer(cx);
        if any { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_ticket(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((ticket, registered)) = &mut self.ticket else {
            return false;
        };
        if !*registered {
            *registered = true;
            self.shared.journal.on_complete(*ticket, cx.waker().clone());
        }
        !matches!(self.shared.journal.is_complete(*ticket), Ok(false))
    }

    pub(super) fn poll_writes(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        if self.to_esme.len() > 0 || self.esme.stream.is_unflushed() {
            any |= took(self.to_esme.poll_flush(&mut self.esme.stream, cx), &mut self.esme);
            if self.esme.deaf {
                self.to_esme = ToEsme::default();
                self.esme.ended = true;
            }
        }
        // What an SMSC answered before it went may still be there to be read: it has not ended.
        if let Some(smsc) = &mut self.smsc {
            if !smsc.deaf && (self.to_smsc.len() > 0 || smsc.stream.is_unflushed()) {
                any |= took(self.to_smsc.poll_flush(&mut smsc.stream, cx), smsc);
            }
            if smsc.deaf {
                self.to_smsc = ToSmsc::default();
            }
        }
        if any {
            self.stuck_since_us = None;
        }
        if self.to_smsc.len() == 0
            && let Some((since_us, count)) = self.passing.take()
        {
            let waited = self.shared.clock.now().steady_us.saturating_sub(since_us);
            let passes = self.shared.metrics.added_latency(Verdict::Pass);
            passes.observe_n(Duration::from_micros(waited), count);
            self.traced.written(&self.shared.clock);
        }
        any
    }

    fn poll_reads(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = self.poll_read_smsc(cx);
        let most = self.terms.settings.session_buffer_octets;
        let may_read_esme = !self.esme.ended
            && !self.is_waiting()
            && self.has_room()
            && self.session.waiting_from(Side::Esme) < most
            && !self.is_window_full()
            && !self.is_crowded();
        if may_read_esme {
            let (session, clock) = (&mut self.session, self.shared.clock);
            let read_us = &mut self.read_us;
            let read = scratch::poll_read(&mut self.esme.stream, cx, |octets| {
                let now = clock.now();
                read_us.get_or_insert(now.steady_us);
                session.receive(Side::Esme, octets, now);
            });
            any |= came(read, &mut self.esme);
        }
        any
    }

    /// Whether as many requests as may be are open or held: the ESME waits, by TCP.
    pub(super) fn is_window_full(&self) -> bool {
        self.session.open_requests() + self.session.held_parts()
            >= self.terms.knowledge.window_requests_max
    }

    pub(super) fn poll_read_smsc(&mut self, cx: &mut Context<'_>) -> bool {
        let room = self.may_read_smsc();
        match &mut self.smsc {
            Some(smsc) if !smsc.ended && room => {
                let (session, clock) = (&mut self.session, self.shared.clock);
                let read = scratch::poll_read(&mut smsc.stream, cx, |octets| {
                    session.receive(Side::Smsc, octets, clock.now());
                });
                came(read, smsc)
            }
            Some(_) | None => false,
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline_us = self.next_deadline_us();
        if deadline_us < self.timer_at_us {
            self.arm(deadline_us);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        let now = self.shared.clock.now();
        self.session.tick(now);
        let write_us = self.terms.settings.write.as_micros() as u64;
        if self.stuck_since_us.is_some_and(|since| now.steady_us >= since + write_us) {
            self.session.end(EndReason::PeerStuck);
        }
        let deadline_us = self.next_deadline_us();
        self.arm(deadline_us);
        // Registers the new deadline; what it fires for is seen next time.
        let _ = self.timer.as_mut().poll(cx);
        true
    }

    fn arm(&mut self, deadline_us: u64) {
        self.timer_at_us = deadline_us;
        let at = Instant::from_std(self.shared.clock.instant(deadline_us));
        self.timer.as_mut().reset(at);
    }

    fn next_deadline_us(&self) -> u64 {
        // The end of a session, of itself or by drain, waits for the record or claim under way, which wakes it.
        let is_held_up = self.is_held_up();
        if is_held_up && self.session.ending().is_some() {
            return u64::MAX;
        }
        let mut deadline_us = self.session.next_deadline_us().min(self.hold_deadline_us());
        if let Some(since) = self.stuck_since_us {
            deadline_us = deadline_us.min(since + self.terms.settings.write.as_micros() as u64);
        }
        match self.drain {
            Drain::Until(at) if !is_held_up => deadline_us = deadline_us.min(at),
            Drain::Leaving(at) if !is_held_up && !self.is_binding() => {
                deadline_us = deadline_us.min(at);
            }
            Drain::Unbound(at) => deadline_us = deadline_us.min(at),
            Drain::No | Drain::Leaving(_) | Drain::Until(_) => {}
        }
        if let Some(leading) = &self.leading {
            deadline_us = deadline_us.min(leading.deadline_us());
        }
        if let Heeding::Failed { again_us, .. } = self.heeding {
            deadline_us = deadline_us.min(again_us);
        }
        deadline_us = deadline_us.min(self.agreeing.deadline_us());
        if self.is_crowded() {
            deadline_us = deadline_us.min(self.shared.clock.now().steady_us + CROWDED_PAUSE_US);
        }
        deadline_us
    }

    fn is_crowded(&self) -> bool {
        let most = self.terms.settings.buffered_octets_max;
        self.shared.buffered_octets.load(Ordering::Relaxed) >= most
    }
}

/// Whether a flush moved anything; a peer that cannot be written to is deaf.
fn took(flushed: Poll<std::io::Result<bool>>, leg: &mut Leg) -> bool {
    match flushed {
        Poll::Ready(Ok(moved)) => moved,
        Poll::Ready(Err(_)) => {
            leg.deaf = true;
            true
        }
        Poll::Pending => false,
    }
}

/// Whether a read brought anything: octets, or the end.
fn came(read: Poll<std::io::Result<usize>>, leg: &mut Leg) -> bool {
    match read {
        Poll::Ready(Ok(0)) => leg.ended = true,
        Poll::Ready(Ok(_)) => {}
        Poll::Ready(Err(_)) => {
            leg.ended = true;
            leg.deaf = true;
        }
        Poll::Pending => return false,
    }
    true
}
