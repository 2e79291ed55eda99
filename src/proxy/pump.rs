//! One pair: wait in one place, change in another.
//!
//! [`Pair::poll`] looks at every source at once and changes nothing but buffers; [`Pair::turn`]
//! then does, synchronously, all that follows. No socket is ever awaited inside what another
//! socket brought: an SMSC that answers in line cannot lock the pair up. Back-pressure is not
//! reading: the ESME is read only while both directions have room (a refusal answers back).

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::agree::PutOff;
use super::close;
use super::enter::Entered;
use super::header::Ends;
use super::heed::{Heeding, record_taken};
use super::inquiry::Inquiry;
use super::lead::Leading;
use super::listen::{Leads, Way};
use super::live::Live;
use super::out::{ToEsme, ToSmsc};
use super::outward::Outward;
use super::stream::Stream;
use super::tap::Tap;
use super::traced::Traced;
use super::{Shared, Terms, count, dial, scratch};
use crate::audit::{Records, State, Ticket};
use crate::consent::Ledger;
use crate::metrics::{ProviderMetrics, Refused, SessionState, Verdict};
use crate::registry::ProviderId;
use crate::session::{BindState, EndReason, Moment, Session, Side};
use crate::smpp::CommandStatus;

/// How long a session that may not read for the sake of all others waits before it looks again.
const CROWDED_PAUSE_US: u64 = 10_000;

/// Octets of answers' records that a session keeps for a journal that is not available; beyond it
/// they are given up, and said so.
const LATER_RECORDS_OCTETS_MAX: usize = 64 * 1024;

/// The SMSC's answers to a bind that say something of who binds, and not of itself.
const REFUSES_WHO_BINDS: [CommandStatus; 3] =
    [CommandStatus::ESME_RBINDFAIL, CommandStatus::ESME_RINVPASWD, CommandStatus::ESME_RINVSYSID];

/// The leg that was there first.
pub(super) enum FirstLeg {
    /// An ESME connected.
    Esme(Entered),
    /// An SMSC connected, to send outbind.
    Smsc(Stream),
}

/// One connection of the pair.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) stream: Stream,
    /// The peer sends no more, or is gone.
    pub(super) ended: bool,
    /// The peer takes no more.
    pub(super) deaf: bool,
}

impl Leg {
    pub(super) fn new(stream: Stream) -> Leg {
        Leg { stream, ended: false, deaf: false }
    }
}

/// How far the shutdown of a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drain {
    No,
    /// The upstream is drained: both sides are unbound as soon as nothing is open, and at that time (steady
    /// clock) new messages are refused so that it comes to that.
    Leaving(u64),
    /// Open requests may be answered until then (steady clock).
    Until(u64),
    /// Both sides were sent unbind; their answers may come until then.
    Unbound(u64),
}

/// An ESME and an SMSC.
pub(super) struct Pair {
    pub(super) shared: Arc<Shared>,
    /// By what it judges.
    pub(super) terms: Arc<Terms>,
    pub(super) session: Session,
    pub(super) esme: Leg,
    pub(super) smsc: Option<Leg>,
    pub(super) to_esme: ToEsme,
    pub(super) to_smsc: ToSmsc,
    pub(super) live: Arc<Live>,
    /// Whether the ESME connected to us, and not we to it.
    pub(super) is_esmes: bool,
    /// From where it came, and to where, as the ESME sees it.
    pub(super) ends: Ends,
    /// Its place in a capture, since one ran.
    pub(super) tap: Option<Box<Tap>>,
    /// Its spans.
    pub(super) traced: Traced,
    ticket: Option<(Ticket, bool)>,
    pub(super) smsc_wanted: bool,
    /// Its way to an SMSC; `None` where the SMSC came to us.
    pub(super) leading: Option<Leading>,
    drain: Drain,
    /// Ready when the terms are superseded, or the shutdown begins.
    call: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Whether it was, and what follows from it has not been done.
    is_called: bool,
    /// Who is counted by `counters`, where providers are counted.
    counted: Option<ProviderId>,
    counters: Option<ProviderMetrics>,
    timer: Pin<Box<Sleep>>,
    timer_at_us: u64,
    pub(super) read_us: Option<u64>,
    passing: Option<(u64, u64)>,
    /// How often messages of the provider had been settled when those were woken that wait for it.
    pub(super) told_changes: u64,
    /// How often the ledger had changed when the batch under way asked it.
    pub(super) asked_at_change: u64,
    /// What is asked of a ledger that many nodes share.
    pub(super) inquiry: Inquiry,
    /// Whether the ledger has counted the messages of the batch that goes on.
    pub(super) is_counted: bool,
    pub(super) heeding: Heeding,
    /// Records of what the ledger took of answers, until it is known that the journal keeps them.
    pub(super) taken: Records,
    /// Answers that may count later.
    pub(super) agreeing: PutOff,
    stuck_since_us: Option<u64>,
    shown_state: BindState,
    shown_open: usize,
    shown_full: bool,
    shown_octets: usize,
}

/// Serves a pair from its first connection to its last octet.
pub(super) async fn run(shared: &Arc<Shared>, way: &Way, first: FirstLeg, peer: SocketAddr) {
    let now = shared.clock.now();
    let terms = shared.in_force.now();
    let is_esmes = matches!(first, FirstLeg::Esme(_));
    let (leading, esmes) = match &way.leads {
        Leads::ToSmsc(upstreams) => (Some(Leading::new(upstreams.clone())), &[][..]),
        Leads::ToEsme(esmes) => (None, &esmes[..]),
    };
    let (esme, about, smsc, peer) = match first {
        FirstLeg::Esme(Entered { stream, about }) => (stream, Some(about), None, peer),
        FirstLeg::Smsc(smsc) => {
            let (outward, ends) = (Outward::default(), Ends { source: peer, destination: peer });
            match dial::dial_one_of(esmes, &outward, ends, &terms.settings).await {
                Ok(dialled) => (dialled.stream, None, Some(smsc), dialled.address),
                Err(error) => {
                    tracing::warn!(listener = way.name, smsc = %peer, %error, "no ESME takes the outbind");
                    return;
                }
            }
        }
    };
    let id = shared.journal.next_session_id();
    let timeouts = terms.settings.timeouts;
    let mut session = Session::new(id, peer, &way.name, timeouts, way.text_options, now);
    let destination = about.as_ref().map_or(peer, |about| about.destination);
    if let Some(about) = &about {
        session = session.presenting(about.presented.clone());
    }
    if way.asks_receipts {
        session = session.asking_for_receipts();
    }
    if way.strips_second_sender {
        session = session.stripping_second_senders();
    }
    if let Some(idle) = way.enquire_link {
        session = session.enquiring_after(idle.as_micros() as u64);
    }
    if matches!(&way.leads, Leads::ToSmsc(upstreams) if upstreams.are_several()) {
        session = session.keeping_its_bind();
    }
    let live = Arc::new(Live::new(&session, peer));
    shared.live.insert(id, live.clone());
    shared.metrics.sessions(SessionState::Open).inc();
    let mut pair = Pair {
        session,
        esme: Leg::new(esme),
        smsc: smsc.map(Leg::new),
        to_esme: ToEsme::default(),
        to_smsc: ToSmsc::default(),
        live,
        is_esmes,
        ends: Ends { source: peer, destination },
        tap: None,
        traced: Traced::begin(&shared.spans, now),
        ticket: None,
        smsc_wanted: false,
        leading,
        drain: Drain::No,
        call: Box::pin(terms.superseded.clone().cancelled_owned()),
        is_called: false,
        counted: None,
        counters: None,
        terms,
        timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        timer_at_us: u64::MAX,
        read_us: None,
        passing: None,
        told_changes: 0,
        asked_at_change: 0,
        inquiry: Inquiry::None,
        is_counted: false,
        heeding: Heeding::Nothing,
        taken: Records::new(),
        agreeing: PutOff::default(),
        stuck_since_us: None,
        shown_state: BindState::Open,
        shown_open: 0,
        shown_full: false,
        shown_octets: 0,
        shared: shared.clone(),
    };
    pair.serve(way).await;
    close::close(&mut pair).await;
    pair.leave();
    // Its place is free only now.
    drop(about);
}

impl Pair {
    async fn serve(&mut self, way: &Way) {
        loop {
            self.turn();
            if self.smsc_wanted {
                self.connect(way).await;
                continue;
            }
            if self.session.ending().is_some() && !self.is_held_up() {
                return;
            }
            poll_fn(|cx| self.poll(cx)).await;
        }
    }

    /// All that follows from what has come: relays, judges, records, releases, counts.
    pub(super) fn turn(&mut self) {
        let shared = self.shared.clone();
        let now = shared.clock.now();
        if self.is_called {
            self.answer_call(&shared, now);
        }
        loop {
            let mark = self.to_esme.mark();
            scratch::with_desk(|desk| {
                self.session.relay(&self.terms.knowledge, desk, self.to_esme.room(), now);
            });
            self.show_to_esme(mark, false);
            if !self.heed(&shared, now) {
                break;
            }
        }
        self.answer_late(&shared, now);
        while self.advance(&shared, now) {}
        self.look_at_lead(now);
        self.drain_on(now);
        self.enquire(now);
        self.notice_ends();
        self.hand_on_later_records(&shared);
        self.show(&shared, now);
    }

    /// One step of the batch under way, or the next batch; whether there may be more to do.
    fn advance(&mut self, shared: &Shared, now: Moment) -> bool {
        if self.smsc_wanted {
            return false;
        }
        if let Some((ticket, _)) = self.ticket {
            match shared.journal.is_complete(ticket) {
                Ok(false) => return false,
                Ok(true) => self.recorded(shared, now),
                Err(_) => self.session.unrecorded(&self.terms.knowledge),
            }
            self.ticket = None;
            return !self.claim(shared, now) && self.let_go_on(shared, now);
        }
        if let Inquiry::Claimed(claimed) = &mut self.inquiry {
            let claimed = std::mem::take(claimed);
            self.inquiry = Inquiry::None;
            self.settle_claims(shared, &claimed, now);
            return self.let_go_on(shared, now);
        }
        if self.inquiry.holds_batch() || self.waits_for_standings() {
            return false;
        }
        if !self.has_room() || !self.judge(shared, now) {
            // Answers without a verdict (a nack for lost framing) go back all the same.
            self.take_replies();
            return false;
        }
        if self.session.batch_records().is_empty() {
            self.session.recorded();
            return self.release();
        }
        let ruling = &self.terms.knowledge.ruling;
        match shared.journal.append_judged(self.session.batch_records(), ruling) {
            Ok(ticket) => {
                self.ticket = Some((ticket, false));
                true
            }
            Err(_) => {
                self.session.unrecorded(&self.terms.knowledge);
                self.release()
            }
        }
    }

    /// Carries out a batch that was waited for, and then what waited for it.
    fn let_go_on(&mut self, shared: &Shared, now: Moment) -> bool {
        let is_released = self.release();
        if is_released && self.is_called {
            self.answer_call(shared, now);
        }
        is_released
    }

    /// The batch is on record.
    fn recorded(&mut self, shared: &Shared, now: Moment) {
        self.session.recorded();
        self.traced.recorded(&shared.clock);
        self.ask_again(shared, now);
    }

    /// Where the ledger has changed since the batch asked it, it is asked again: a reply may have ended a
    /// consent.
    pub(super) fn ask_again(&mut self, shared: &Shared, now: Moment) {
        let change = shared.ledger.as_ref().map_or(0, Ledger::changes);
        if change != self.asked_at_change && self.session.is_vouched() {
            self.asked_at_change = change;
            scratch::with_desk(|desk| {
                let mut ask = shared.ask(now);
                self.session.ask_again(&self.terms.knowledge, desk, &mut ask, now);
            });
        }
    }

    /// Carries out the batch whose records are accepted, once there is an SMSC to carry it to.
    pub(super) fn release(&mut self) -> bool {
        if self.smsc.is_none() && matches!(self.session.state(), BindState::Binding(_)) {
            self.smsc_wanted = true;
            return false;
        }
        if self.session.is_vouched() {
            self.tell_ledger();
        }
        self.show_batch();
        let (passed, refused) = self.session.batch_counts();
        for cleared in self.session.cleared() {
            self.to_smsc.push(cleared);
        }
        self.take_replies();
        self.session.release();
        if let Some(read_us) = self.read_us.take() {
            let (since_us, before) = self.passing.unwrap_or((read_us, 0));
            self.passing = Some((since_us, before + passed));
            let waited = self.shared.clock.now().steady_us.saturating_sub(read_us);
            let refusals = self.shared.metrics.added_latency(Verdict::Refuse);
            refusals.observe_n(Duration::from_micros(waited), refused);
        }
        true
    }

    fn take_replies(&mut self) {
        let mark = self.to_esme.mark();
        self.session.take_replies(self.to_esme.room());
        self.show_to_esme(mark, true);
    }

    /// Tells the ledger what goes on, and remembers the announced keywords.
    fn tell_ledger(&mut self) {
        let now = self.shared.clock.now();
        let (mut events, mut keywords) = (Vec::new(), Vec::new());
        self.session.tell(now, &mut events, &mut keywords);
        // What was claimed the ledger has counted, under numbers that nobody told.
        let is_counted = std::mem::take(&mut self.is_counted);
        if let Some(ledger) = self.shared.ledger.as_ref().filter(|_| !events.is_empty()) {
            let mut took = Vec::new();
            let mut number = |at: usize, number: u64| took.push((at, number));
            if is_counted {
                took.extend((0..events.len()).map(|at| (at, 0)));
            } else if let Err(error) =
                ledger.append_numbered(&events, now.wall_us, &mut Vec::new(), &mut number)
            {
                let (session, lost) = (self.session.id(), events.len());
                tracing::error!(session, lost, %error, "the ledger does not know what was sent");
            }
            let took = took.iter().filter_map(|(at, number)| Some((events.get(*at)?, *number)));
            let mut records = Records::new();
            record_taken(ledger, took, &mut records, now.wall_us);
            if !records.is_empty()
                && let Err(error) = self.shared.journal.append(&mut records)
            {
                let session = self.session.id();
                tracing::error!(session, %error, "no record says whom the ledger has as asked");
            }
        }
        for (code, keyword) in keywords {
            self.shared.learn(&self.terms.knowledge.announced, code, keyword);
        }
    }

    fn drain_on(&mut self, now: Moment) {
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

    /// Whether its bind is with the SMSC.
    pub(super) fn is_binding(&self) -> bool {
        matches!(self.session.state(), BindState::Binding(_))
    }

    /// Whether nothing is open or under way in either direction.
    fn is_idle(&self) -> bool {
        let waits = self.to_esme.len() + self.to_smsc.len();
        !self.is_waiting() && waits == 0 && self.session.is_idle()
    }

    /// Sends an enquire_link of our own where the SMSC's leg has been idle.
    fn enquire(&mut self, now: Moment) {
        if !self.is_held_up() && !self.smsc_wanted && self.session.enquires(now) {
            for cleared in self.session.cleared() {
                self.to_smsc.push(cleared);
            }
            self.session.release();
        }
    }

    /// A side that has gone ends the session, once what it sent before is under way no more.
    fn notice_ends(&mut self) {
        let unbinding = self.session.state() == BindState::Unbinding;
        let why = |gone| if unbinding { EndReason::Unbound } else { gone };
        if self.smsc.as_ref().is_some_and(|leg| leg.ended) {
            self.session.end(why(EndReason::SmscClosed));
        } else if self.esme.ended && !self.is_waiting() && !self.smsc_wanted {
            self.session.end(why(EndReason::EsmeClosed));
        }
    }

    fn hand_on_later_records(&mut self, shared: &Shared) {
        let records = self.session.later_records();
        let ruling = &self.terms.knowledge.ruling;
        if records.is_empty() || shared.journal.append_unwaited_judged(records, ruling).is_ok() {
            return;
        }
        if records.octets().len() > LATER_RECORDS_OCTETS_MAX {
            let lost = records.len();
            records.clear();
            tracing::error!(lost, "answers are not on record: the journal is not available");
        }
    }

    /// Renews metrics, listings, log and the sum of what waits.
    fn show(&mut self, shared: &Shared, now: Moment) {
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

    fn tell(&self, state: BindState) {
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
    fn system_id(&self) -> String {
        self.session.system_id().escape_ascii().to_string()
    }

    pub(super) fn provider_name(&self) -> &str {
        let registry = &self.terms.knowledge.registry;
        let provider = self.session.provider().and_then(|id| registry.provider_by_id(id));
        provider.map_or("", |one| one.name.as_str())
    }

    /// Whether nothing is in the way of judging what waits.
    pub(super) fn may_judge(&self) -> bool {
        !self.is_waiting()
            && !self.smsc_wanted
            && self.session.ending().is_none()
            && self.has_room()
    }

    /// Whether a batch that was judged is not carried out: it waits for journal or ledger, and what comes
    /// after it waits for it, the end of the session too.
    fn is_held_up(&self) -> bool {
        self.ticket.is_some() || self.inquiry.holds_batch()
    }

    /// Whether what came from the ESME waits for journal or ledger: no more of it is read.
    fn is_waiting(&self) -> bool {
        self.ticket.is_some() || self.inquiry.is_any()
    }

    fn has_room(&self) -> bool {
        let most = self.terms.settings.session_buffer_octets;
        self.to_esme.len() < most && self.to_smsc.len() < most
    }

    fn is_crowded(&self) -> bool {
        let most = self.terms.settings.buffered_octets_max;
        self.shared.buffered_octets.load(Ordering::Relaxed) >= most
    }

    /// Waits until any source has something.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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

    fn poll_leaving(&mut self, cx: &mut Context<'_>) -> bool {
        let leaving = self.leading.as_mut().is_some_and(|leading| leading.poll_leaves(cx));
        if leaving && self.drain == Drain::No {
            let drain_us = self.terms.settings.drain.as_micros() as u64;
            self.drain = Drain::Leaving(self.shared.clock.now().steady_us + drain_us);
        }
        leaving
    }

    fn poll_call(&mut self, cx: &mut Context<'_>) -> bool {
        if self.is_called || self.call.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.is_called = true;
        true
    }

    /// The shutdown begins, or other terms are in force.
    fn answer_call(&mut self, shared: &Shared, now: Moment) {
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
            }
        }
        if let Some(smsc) = &mut self.smsc
            && (self.to_smsc.len() > 0 || smsc.stream.is_unflushed())
        {
            any |= took(self.to_smsc.poll_flush(&mut smsc.stream, cx), smsc);
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
    fn is_window_full(&self) -> bool {
        self.session.open_requests() + self.session.held_parts()
            >= self.terms.knowledge.window_requests_max
    }

    pub(super) fn poll_read_smsc(&mut self, cx: &mut Context<'_>) -> bool {
        let most = self.terms.settings.session_buffer_octets;
        // What is held back for a handset's answer waits in the session.
        let room = self.to_esme.len() < most && self.session.waiting_from(Side::Smsc) < most;
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

    /// The last records, the last log line, and out of every sum.
    fn leave(&mut self) {
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

/// Whether a flush moved anything; a peer that cannot be written to is deaf and gone.
fn took(flushed: Poll<std::io::Result<bool>>, leg: &mut Leg) -> bool {
    match flushed {
        Poll::Ready(Ok(moved)) => moved,
        Poll::Ready(Err(_)) => {
            leg.deaf = true;
            leg.ended = true;
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

fn shown(state: BindState) -> SessionState {
    use crate::session::BindKind;
    match state {
        BindState::Open => SessionState::Open,
        BindState::Binding(_) => SessionState::Binding,
        BindState::Bound(BindKind::Transmitter) => SessionState::BoundTx,
        BindState::Bound(BindKind::Receiver) => SessionState::BoundRx,
        BindState::Bound(BindKind::Transceiver) => SessionState::BoundTrx,
        BindState::Unbinding => SessionState::Unbinding,
    }
}
