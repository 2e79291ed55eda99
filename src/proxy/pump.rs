//! One pair: wait in one place, change in another.
//!
//! [`Pair::poll`] (`wake`) looks at every source at once and changes nothing but buffers; [`Pair::turn`]
//! then does, synchronously, all that follows. No socket is ever awaited inside what another
//! socket brought: an SMSC that answers in line cannot lock the pair up. Back-pressure is not
//! reading: the ESME is read only while both directions have room (a refusal answers back).

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::agree::PutOff;
use super::close;
use super::drain::Drain;
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
use super::{Shared, Terms, dial, scratch};
use crate::audit::{Records, Ticket};
use crate::consent::Ledger;
use crate::metrics::{ProviderMetrics, SessionState, Verdict};
use crate::registry::ProviderId;
use crate::session::{BindState, EndReason, Moment, Session, Side};

/// Octets of answers' records that a session keeps for a journal that is not available; beyond it
/// they are given up, and said so.
const LATER_RECORDS_OCTETS_MAX: usize = 64 * 1024;

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

    /// Whether nothing more is to be had of it, but for what it sent before it went.
    pub(super) fn is_gone(&self) -> bool {
        self.ended || self.deaf
    }
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
    pub(super) ticket: Option<(Ticket, bool)>,
    pub(super) smsc_wanted: bool,
    /// Its way to an SMSC; `None` where the SMSC came to us.
    pub(super) leading: Option<Leading>,
    pub(super) drain: Drain,
    /// Ready when the terms are superseded, or the shutdown begins.
    pub(super) call: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Whether it was, and what follows from it has not been done.
    pub(super) is_called: bool,
    /// Who is counted by `counters`, where providers are counted.
    pub(super) counted: Option<ProviderId>,
    pub(super) counters: Option<ProviderMetrics>,
    pub(super) timer: Pin<Box<Sleep>>,
    pub(super) timer_at_us: u64,
    pub(super) read_us: Option<u64>,
    pub(super) passing: Option<(u64, u64)>,
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
    pub(super) stuck_since_us: Option<u64>,
    pub(super) shown_state: BindState,
    pub(super) shown_open: usize,
    pub(super) shown_full: bool,
    pub(super) shown_octets: usize,
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
        self.session.hold_smsc(self.holds_smsc(), now);
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

    /// Whether its bind is with the SMSC.
    pub(super) fn is_binding(&self) -> bool {
        matches!(self.session.state(), BindState::Binding(_))
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
        if self.smsc.as_ref().is_some_and(Leg::is_gone) {
            self.session.end(why(EndReason::SmscClosed));
        } else if self.esme.ended && !self.is_waiting() && !self.smsc_wanted {
            self.session.end(why(EndReason::EsmeClosed));
        }
    }

    pub(super) fn hand_on_later_records(&mut self, shared: &Shared) {
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

    /// Whether nothing is in the way of judging what waits.
    pub(super) fn may_judge(&self) -> bool {
        !self.is_waiting()
            && !self.smsc_wanted
            && self.session.ending().is_none()
            && self.has_room()
    }

    /// Whether a batch that was judged is not carried out: it waits for journal or ledger, and what comes
    /// after it waits for it, the end of the session too.
    pub(super) fn is_held_up(&self) -> bool {
        self.ticket.is_some() || self.inquiry.holds_batch()
    }

    /// Whether what came from the ESME waits for journal or ledger: no more of it is read.
    pub(super) fn is_waiting(&self) -> bool {
        self.ticket.is_some() || self.inquiry.is_any()
    }

    /// Whether the SMSC is not heard because of us: what it said waits for journal and ledger, or for an ESME
    /// that does not take it.
    fn holds_smsc(&self) -> bool {
        self.session.holds_answers() || !self.may_read_smsc()
    }

    /// Whether there is room for what the SMSC sends. What is held back for a handset's answer waits in the
    /// session.
    pub(super) fn may_read_smsc(&self) -> bool {
        let most = self.terms.settings.session_buffer_octets;
        self.to_esme.len() < most && self.session.waiting_from(Side::Smsc) < most
    }

    pub(super) fn has_room(&self) -> bool {
        let most = self.terms.settings.session_buffer_octets;
        self.to_esme.len() < most && self.to_smsc.len() < most
    }
}
