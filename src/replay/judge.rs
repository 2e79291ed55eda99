//! The rules over captured traffic: the same [`Session`] and the same knowledge as on the link, one
//! frame at a time, by the trace's clock.

use std::collections::HashMap;
use std::net::SocketAddr;

use foldhash::fast::FixedState;

use crate::audit::Record;
use crate::consent::{Event, Happened, Question, Rehearsal};
use crate::content::reply::Keyword;
use crate::policy::Consent;
use crate::registry::{Digits, Presented, ProviderId};
use crate::session::{
    BindKind, BindState, Desk, EndReason, Knowledge, LongMessages, Moment, Session, Side, Timeouts,
};
use crate::smpp::{Command, Header};
use crate::text;

/// How a stream of the trace is told apart: its number in the order of appearance, from 0.
pub type Stream = u32;

/// What a stream is judged with.
#[derive(Debug, Clone)]
pub struct Way {
    /// The ESME's address.
    pub esme: SocketAddr,
    /// The listener that it would have connected to, as the configuration writes its address.
    pub listener: String,
    /// How the SMSC behind that reads texts.
    pub text_options: text::Options,
    /// Whether parameters that name another sender are taken away.
    pub strips_second_sender: bool,
}

/// One verdict, with the PDU that it is about.
#[derive(Debug)]
pub struct Judged<'a> {
    /// Which stream.
    pub stream: Stream,
    /// The PDU's place in its stream, both directions, from 0.
    pub index: u64,
    /// When it was captured: microseconds since the Unix epoch.
    pub time_us: u64,
    /// The PDU.
    pub octets: &'a [u8],
    /// system_id of the session.
    pub system_id: &'a [u8],
    /// The provider that it is bound for.
    pub provider: Option<ProviderId>,
    /// Requests that the SMSC has not answered, this one among them.
    pub open_requests: usize,
    /// The record that the proxy would have made: a bind's or a message's.
    pub record: Record<'a>,
}

/// What the judge did not judge, and what it noticed, beside verdicts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Noticed {
    /// PDUs of an ESME behind the refusal of its bind: the proxy would have closed.
    pub behind_refused_bind: u64,
    /// PDUs of streams that began behind their bind and whose provider nobody knows.
    pub without_provider: u64,
    /// Sessions that the proxy would have ended before the trace did, by reason. They are judged on.
    pub ended: std::collections::BTreeMap<&'static str, u64>,
    /// Answers of handsets that end consent.
    pub opt_outs: u64,
    /// Answers of handsets that may give consent.
    pub opt_ins: u64,
}

/// How a stream is judged.
#[derive(Debug)]
enum Talk {
    /// By its session.
    Judged(Box<Session>),
    /// Its bind was refused.
    Refused,
    /// It is not known whose it is.
    Nobodys,
}

#[derive(Debug)]
struct Followed {
    way: Way,
    talk: Talk,
    frames: u64,
    /// The steady clock: never back, whatever the capture says.
    steady_us: u64,
}

/// Judges the streams of a trace under one set of rules.
#[derive(Debug)]
pub struct Judge {
    streams: HashMap<Stream, Followed, FixedState>,
    bench: Bench,
}

/// What all streams are judged with.
#[derive(Debug)]
struct Bench {
    knowledge: Knowledge,
    consent: Rehearsal,
    timeouts: Timeouts,
    /// For streams that begin behind their bind.
    resumed_as: Option<Vec<u8>>,
    desk: Desk,
    sessions: u64,
    noticed: Noticed,
    out: Vec<u8>,
    events: Vec<Event>,
    keywords: Vec<(Digits, Keyword)>,
}

impl Judge {
    /// A judge that begins with this knowledge. `resumed_as`: the system_id of streams that begin behind
    /// their bind. `response_us`: how long an SMSC's answer is waited for.
    pub fn new(
        knowledge: Knowledge,
        consent: Rehearsal,
        resumed_as: Option<Vec<u8>>,
        response_us: u64,
    ) -> Judge {
        let bench = Bench {
            // In a trace the parts of long messages did not wait: each is judged where it stands.
            knowledge: Knowledge {
                long_messages: LongMessages::Progressive,
                whole_within_us: None,
                ..knowledge
            },
            consent,
            timeouts: Timeouts { bind_us: u64::MAX, idle_us: u64::MAX, response_us },
            resumed_as,
            desk: Desk::default(),
            sessions: 0,
            noticed: Noticed::default(),
            out: Vec::new(),
            events: Vec::new(),
            keywords: Vec::new(),
        };
        Judge { streams: HashMap::default(), bench }
    }

    /// What it judges by.
    pub fn knowledge(&self) -> &Knowledge {
        &self.bench.knowledge
    }

    /// What it noticed so far.
    pub fn noticed(&self) -> &Noticed {
        &self.bench.noticed
    }

    /// Consent events without effect: see [`Rehearsal::left_out`].
    pub fn events_left_out(&self) -> u64 {
        self.bench.consent.left_out()
    }

    /// A stream begins. `has_start`: from its first octet; else a bind may have gone before.
    pub fn opened(&mut self, stream: Stream, way: Way, has_start: bool, time_us: u64) {
        let now = Moment { wall_us: time_us, steady_us: time_us };
        let session = self.bench.session(&way, now);
        let talk = if has_start { Talk::Judged(Box::new(session)) } else { Talk::Nobodys };
        self.streams.insert(stream, Followed { way, talk, frames: 0, steady_us: time_us });
    }

    /// A stream has ended.
    pub fn closed(&mut self, stream: Stream) {
        self.streams.remove(&stream);
    }

    /// One whole PDU of a stream. `each` is given every verdict on it: more than one where it has more
    /// recipients.
    pub fn frame(
        &mut self,
        stream: Stream,
        side: Side,
        octets: &[u8],
        time_us: u64,
        each: &mut dyn FnMut(&Judged<'_>),
    ) {
        let Some(followed) = self.streams.get_mut(&stream) else { return };
        let bench = &mut self.bench;
        followed.steady_us = followed.steady_us.max(time_us);
        let now = Moment { wall_us: time_us, steady_us: followed.steady_us };
        let index = followed.frames;
        followed.frames += 1;
        if matches!(followed.talk, Talk::Nobodys) {
            bench.recognise(followed, side, octets, now);
        }
        match (&mut followed.talk, side) {
            (Talk::Judged(session), Side::Esme) => {
                let at = Judged {
                    stream,
                    index,
                    time_us,
                    octets,
                    system_id: &[],
                    provider: None,
                    open_requests: 0,
                    record: Record::Stop,
                };
                bench.judge(session, at, now, each);
                bench.go_on(followed, now);
            }
            (Talk::Judged(session), Side::Smsc) => {
                bench.relay(session, octets, now);
                bench.go_on(followed, now);
            }
            (Talk::Refused, Side::Esme) => bench.noticed.behind_refused_bind += 1,
            (Talk::Nobodys, Side::Esme) => bench.noticed.without_provider += 1,
            (Talk::Refused | Talk::Nobodys, Side::Smsc) => {}
        }
    }
}

impl Bench {
    fn session(&mut self, way: &Way, now: Moment) -> Session {
        self.sessions += 1;
        let (id, timeouts) = (self.sessions, self.timeouts);
        let session = Session::new(id, way.esme, &way.listener, timeouts, way.text_options, now)
            .presenting(Presented::Unseen);
        if way.strips_second_sender { session.stripping_second_senders() } else { session }
    }

    /// A stream whose beginning is missing: a bind in it says whose it is, else the system_id that
    /// was given, else the only provider that may connect from its address.
    fn recognise(&mut self, followed: &mut Followed, side: Side, octets: &[u8], now: Moment) {
        let command = Header::of(octets).map(|header| header.command);
        let is_bind = command.is_some_and(|command| BindKind::of(command).is_some());
        let is_outbind = command == Some(Command::Outbind);
        if (is_bind && side == Side::Esme) || is_outbind {
            followed.talk = Talk::Judged(Box::new(self.session(&followed.way, now)));
            return;
        }
        let registry = &self.knowledge.registry;
        let known = match &self.resumed_as {
            Some(system_id) => registry.provider_of(system_id).map(|id| (id, system_id.clone())),
            None => the_only_one_from(registry, followed.way.esme).map(|id| {
                let system_id = registry.provider(id).system_ids.first();
                (id, system_id.cloned().unwrap_or_default().into_bytes())
            }),
        };
        if let Some((provider, system_id)) = known {
            let session = self.session(&followed.way, now);
            let session = session.resumed(provider, &system_id, BindKind::Transceiver);
            followed.talk = Talk::Judged(Box::new(session));
        }
    }

    fn judge(
        &mut self,
        session: &mut Session,
        at: Judged<'_>,
        now: Moment,
        each: &mut dyn FnMut(&Judged<'_>),
    ) {
        if session.open_requests() >= self.knowledge.window_requests_max {
            // The proxy would have stopped reading; a trace goes on. What waits is given up.
            session.end(EndReason::SmscSilent);
            return;
        }
        session.receive(Side::Esme, at.octets, now);
        let consent = &self.consent;
        let mut ask = |questions: &[Question], answers: &mut Vec<Consent>| {
            consent.standings(questions, now.wall_us, answers);
        };
        if !session.judge(&self.knowledge, &mut self.desk, &mut ask, now) {
            return;
        }
        let records = std::mem::take(session.batch_records());
        for (_, record) in records.iter() {
            if !matches!(record, Record::Bind(_) | Record::Verdict(_)) {
                continue;
            }
            each(&Judged {
                system_id: session.system_id(),
                provider: session.provider(),
                open_requests: session.open_requests(),
                record,
                ..at
            });
        }
        *session.batch_records() = records;
        session.recorded();
        if session.is_vouched() {
            session.tell(now, &mut self.events, &mut self.keywords);
            self.consent.append(&self.events);
            self.events.clear();
        }
        for (code, keyword) in self.keywords.drain(..) {
            self.knowledge.announced.learn(code, keyword);
        }
        session.take_replies(&mut self.out);
        self.out.clear();
        session.release();
        session.later_records().clear();
        session.tally().clear();
        session.tick(now);
    }

    fn relay(&mut self, session: &mut Session, octets: &[u8], now: Moment) {
        session.receive(Side::Smsc, octets, now);
        loop {
            session.relay(&self.knowledge, &mut self.desk, &mut self.out, now);
            let (heard, _) = session.heard();
            if heard.is_empty() {
                break;
            }
            for event in heard.iter() {
                match event.happened {
                    Happened::Revoked(_) => self.noticed.opt_outs += 1,
                    _ => self.noticed.opt_ins += 1,
                }
            }
            self.consent.append(heard);
            session.heeded();
        }
        self.out.clear();
        session.later_records().clear();
        session.tally().clear();
        session.tick(now);
    }

    /// What becomes of a session that the proxy would have ended: a refused bind is the end of its
    /// stream, all others are judged on as if the ESME had bound again.
    fn go_on(&mut self, followed: &mut Followed, now: Moment) {
        let Talk::Judged(session) = &followed.talk else { return };
        let Some(reason) = session.ending() else { return };
        let before = session.provider().zip(match session.state() {
            BindState::Bound(kind) => Some(kind),
            BindState::Open | BindState::Binding(_) | BindState::Unbinding => None,
        });
        let system_id = session.system_id().to_vec();
        if reason == EndReason::BindRefused {
            followed.talk = Talk::Refused;
            return;
        }
        if reason != EndReason::Unbound {
            *self.noticed.ended.entry(reason.name()).or_default() += 1;
        }
        let next = self.session(&followed.way, now);
        followed.talk = Talk::Judged(Box::new(match before {
            Some((provider, kind)) => next.resumed(provider, &system_id, kind),
            None => next,
        }));
    }
}

/// The provider that alone may connect from there by name of its networks.
fn the_only_one_from(registry: &crate::registry::Registry, esme: SocketAddr) -> Option<ProviderId> {
    let mut named =
        registry.ids().filter(|(_, one)| !one.from.is_empty() && one.may_connect_from(esme.ip()));
    let (only, _) = named.next()?;
    named.next().is_none().then_some(only)
}
