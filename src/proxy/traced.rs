//! Spans of a pair (feature `otlp`): its session, its binds, and sampled messages, each from read to answered.
//!
//! A pair looks at the batch whose fate is decided: one subtraction tells whether a message of it is sampled. A
//! sampled one is remembered until the SMSC's answer to it goes by. Spans say what was done and by which rule, never
//! to whom: no number, no text, no system_id.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Clock;
use super::pump::Pair;
use crate::session::{BindState, Fate, Moment};
use crate::smpp::command::RESPONSE_BIT;
use crate::smpp::{Command, CommandStatus, Header, frame};
use crate::spans::chance::Chance;
use crate::spans::span::Kind;
use crate::spans::{Span, SpanId, Spans, TraceId, Value};

/// Where spans go, if anywhere.
pub type SpansTo = Option<Arc<Spans>>;

/// Sampled messages of one session that wait for their answer at most; more are counted as dropped.
const OPEN_MAX: usize = 256;
/// Spans of one message at most: itself, and what was done with it.
const SPANS_MAX: usize = 6;

/// A pair's spans; nothing where none are wanted.
#[derive(Debug, Default)]
pub(super) struct Traced(Option<Box<On>>);

#[derive(Debug)]
struct On {
    spans: Arc<Spans>,
    chance: Chance,
    /// The session's own span.
    trace: TraceId,
    span: SpanId,
    /// When its first bind was read (steady clock).
    since_us: Option<u64>,
    /// The time of day when the steady clock was at 0.
    epoch_us: u64,
    /// Messages until the next sampled one.
    until_next: u64,
    /// The batch under way.
    times: Times,
    /// Waits for the answer to a bind.
    bind: Option<Open>,
    open: VecDeque<Open>,
}

/// When something was done with a batch (steady clock); 0 for what was not.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    read_us: u64,
    judging_us: u64,
    judged_us: u64,
    recorded_us: u64,
    written_us: u64,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Open {
    trace: TraceId,
    span: SpanId,
    request: Header,
    verdict: &'static str,
    rule: &'static str,
    times: Times,
}

impl Traced {
    /// Of a pair that begins now.
    pub fn begin(spans: &SpansTo, now: Moment) -> Traced {
        let on = spans.as_ref().map(|spans| {
            let mut chance = Chance::new();
            Box::new(On {
                spans: spans.clone(),
                trace: chance.trace_id(),
                span: chance.span_id(),
                since_us: None,
                epoch_us: now.wall_us.saturating_sub(now.steady_us),
                until_next: chance.gap(spans.sample()),
                times: Times::default(),
                bind: None,
                open: VecDeque::new(),
                chance,
            })
        });
        Traced(on)
    }

    /// A batch is about to be judged, if there is one.
    pub fn judging(&mut self, clock: &Clock) {
        if let Some(on) = &mut self.0 {
            on.times = Times { judging_us: clock.now().steady_us, ..Times::default() };
        }
    }

    /// There was one.
    pub fn judged(&mut self, clock: &Clock) {
        if let Some(on) = &mut self.0 {
            on.times.judged_us = clock.now().steady_us;
        }
    }

    /// Its records are accepted.
    pub fn recorded(&mut self, clock: &Clock) {
        if let Some(on) = &mut self.0 {
            on.times.recorded_us = clock.now().steady_us;
        }
    }

    /// All that was before the SMSC is written.
    pub fn written(&mut self, clock: &Clock) {
        let Some(on) = &mut self.0 else { return };
        if on.open.iter().chain(&on.bind).any(|open| open.times.written_us == 0) {
            let now_us = clock.now().steady_us;
            for open in on.open.iter_mut().chain(&mut on.bind) {
                if open.times.written_us == 0 {
                    open.times.written_us = now_us;
                }
            }
        }
    }
}

impl Pair {
    /// Looks at the batch whose fate is decided. Call before it is released.
    pub(super) fn trace_batch(&mut self) {
        let Some(on) = &mut self.traced.0 else { return };
        let is_bound = matches!(self.session.state(), BindState::Bound(_));
        let (passed, refused) = self.session.batch_counts();
        if is_bound && on.until_next >= passed + refused {
            on.until_next -= passed + refused;
            return;
        }
        let now_us = self.shared.clock.now().steady_us;
        on.times.read_us = self.read_us.unwrap_or(on.times.judging_us);
        for (frame, fate) in self.session.decided() {
            let Some(request) = Header::of(frame) else { continue };
            let (verdict, rule) = match fate {
                // A bind that was let through crosses without a verdict.
                Fate::Unjudged if is_bind(request.command) => ("pass", ""),
                Fate::Unjudged => continue,
                Fate::Passed(None) => ("pass", ""),
                Fate::Passed(Some(rule)) => ("observe", rule.name()),
                Fate::Refused(rule) => ("refuse", rule.map_or("", |rule| rule.name())),
            };
            on.decided(request, verdict, rule, now_us);
        }
    }

    /// Looks for answers in what was put before the ESME since `mark`.
    pub(super) fn trace_to_esme(&mut self, mark: usize) {
        let Some(on) = &mut self.traced.0 else { return };
        if on.open.is_empty() && on.bind.is_none() {
            return;
        }
        let now_us = self.shared.clock.now().steady_us;
        let mut rest = self.to_esme.since(mark);
        while let Ok(Some(length)) = frame::cut(rest, usize::MAX)
            && let Some((frame, behind)) = rest.split_at_checked(length)
        {
            rest = behind;
            if let Some(answer) = Header::of(frame) {
                on.answered(answer, now_us);
            }
        }
    }

    /// The end of the session: what was not answered, and the session itself.
    pub(super) fn trace_end(&mut self, why: &'static str) {
        let Some(mut on) = self.traced.0.take() else { return };
        let now_us = self.shared.clock.now().steady_us;
        let open = std::mem::take(&mut on.open);
        for open in open.into_iter().chain(on.bind.take()) {
            on.finish(open, None, now_us);
        }
        let Some(since_us) = on.since_us else { return };
        let (forwarded, refused) = self.session.counts();
        let named = self.live.named();
        let count = |count: u64| Value::Number(i64::try_from(count).unwrap_or(i64::MAX));
        let mut attributes = vec![
            ("consentry.session", count(self.session.id())),
            ("network.peer.address", Value::Text(self.live.peer.ip().to_string())),
            ("consentry.end", Value::Name(why)),
            ("consentry.forwarded", count(forwarded)),
            ("consentry.refused", count(refused)),
        ];
        attributes.extend(named.bind_mode.map(|mode| ("consentry.bind", Value::Name(mode))));
        let smsc = named.smsc.map(|smsc| ("server.address", Value::Text(smsc.to_string())));
        attributes.extend(smsc);
        let provider = self.provider_name();
        if !provider.is_empty() {
            attributes.push(("consentry.provider", Value::Text(provider.to_owned())));
        }
        on.spans.send(vec![Span {
            trace: on.trace,
            id: on.span,
            parent: None,
            link: None,
            name: "session",
            kind: Kind::Server,
            start_us: on.epoch_us + since_us,
            end_us: on.epoch_us + now_us,
            attributes,
            failed: None,
        }]);
    }
}

fn is_bind(command: Command) -> bool {
    let binds = [Command::BindTransmitter, Command::BindReceiver, Command::BindTransceiver];
    binds.contains(&command)
}

impl On {
    /// A request of the batch was judged.
    fn decided(&mut self, request: Header, verdict: &'static str, rule: &'static str, now_us: u64) {
        let is_bind = is_bind(request.command);
        if is_bind {
            self.since_us.get_or_insert(self.times.read_us);
        } else if self.until_next > 0 {
            self.until_next -= 1;
            return;
        } else {
            self.until_next = self.chance.gap(self.spans.sample());
        }
        let trace = if is_bind { self.trace } else { self.chance.trace_id() };
        let span = self.chance.span_id();
        let open = Open { trace, span, request, verdict, rule, times: self.times };
        if verdict == "refuse" {
            // Its answer is ours, and stands before the ESME as soon as this batch is released.
            self.finish(open, None, now_us);
        } else if is_bind {
            self.bind = Some(open);
        } else if self.open.len() < OPEN_MAX {
            self.open.push_back(open);
        } else {
            self.spans.dropped(SPANS_MAX as u64);
        }
    }

    fn answered(&mut self, answer: Header, now_us: u64) {
        let is_answer = |open: &Open| {
            let wanted = open.request.command.id() | RESPONSE_BIT;
            open.request.sequence_number == answer.sequence_number
                && (answer.command.id() == wanted || answer.command == Command::GenericNack)
        };
        let found = match self.bind.take_if(|open| is_answer(open)) {
            Some(open) => Some(open),
            None => {
                let at = self.open.iter().position(is_answer);
                at.and_then(|at| self.open.remove(at))
            }
        };
        if let Some(open) = found {
            self.finish(open, Some(answer.command_status), now_us);
        }
    }

    /// Sends the spans of a request that was answered, or is not any more.
    fn finish(&mut self, open: Open, status: Option<CommandStatus>, now_us: u64) {
        let Open { trace, span, request, verdict, rule, times } = open;
        let is_bind = trace == self.trace;
        let mut attributes = vec![
            ("consentry.verdict", Value::Name(verdict)),
            ("smpp.sequence_number", Value::Number(request.sequence_number.into())),
            ("smpp.command_length", Value::Number(request.command_length.into())),
        ];
        if !rule.is_empty() {
            attributes.push(("consentry.rule", Value::Name(rule)));
        }
        attributes.extend(status.map(|status| {
            let name = status.name().map_or_else(|| Value::Text(status.to_string()), Value::Name);
            ("smpp.command_status", name)
        }));
        let is_unanswered = status.is_none() && verdict != "refuse";
        let root = Span {
            trace,
            id: span,
            parent: is_bind.then_some(self.span),
            link: (!is_bind).then_some((self.trace, self.span)),
            name: request.command.name(),
            kind: Kind::Server,
            start_us: self.epoch_us + times.read_us,
            end_us: self.epoch_us + now_us.max(times.read_us),
            attributes,
            failed: is_unanswered.then_some("not answered"),
        };
        let mut spans = Vec::with_capacity(SPANS_MAX);
        spans.push(root);
        let answered_us = if status.is_some() { now_us } else { 0 };
        let mut from_us = times.read_us;
        for (name, kind, until_us) in [
            ("read", Kind::Internal, times.judging_us),
            ("judge", Kind::Internal, times.judged_us),
            ("record", Kind::Internal, times.recorded_us),
            ("forward", Kind::Internal, times.written_us),
            ("answer", Kind::Client, answered_us),
        ] {
            // What was not done has no time.
            if until_us < from_us || until_us == 0 {
                continue;
            }
            spans.push(Span {
                trace,
                id: self.chance.span_id(),
                parent: Some(span),
                link: None,
                name,
                kind,
                start_us: self.epoch_us + from_us,
                end_us: self.epoch_us + until_us,
                attributes: Vec::new(),
                failed: None,
            });
            from_us = until_us;
        }
        self.spans.send(spans);
    }
}
