//! A yes counts only while its handset is asked, which the ledger knows.
//!
//! Where many nodes share the ledger and this one cannot find out in time, or may not have heard yet of a question
//! that went over another, the yes goes on to the ESME and is put off: it counts when the ledger says that the
//! handset was asked before it answered. With its session it is forgotten: who said yes is then as if he had not
//! answered.

use super::pump::Pair;
use super::{Shared, heed};
use crate::audit::Records;
use crate::consent::{Event, Happened, Ledger, Question, Scope};
use crate::policy::{Consent, StandingState};
use crate::session::Moment;

/// Most answers that one session puts off.
const PUT_OFF_MAX: usize = 256;

/// How long after it was looked up in vain an answer is looked up again: several polls of the engine.
const AGAIN_US: u64 = 1_000_000;

/// How far two nodes' readings of the engine's clock may be apart.
const CLOCKS_APART_US: u64 = 1_000_000;

/// Answers of which it is not known yet whether they were asked for, each with the time when it is looked up
/// again (steady clock), the earliest first.
#[derive(Debug, Default)]
pub(super) struct PutOff(Vec<(u64, Event)>);

impl PutOff {
    /// When there is something to do.
    pub(super) fn deadline_us(&self) -> u64 {
        self.0.first().map_or(u64::MAX, |(again_us, _)| *again_us)
    }

    /// The next look at these is one wait away.
    fn again(&mut self, events: impl IntoIterator<Item = Event>, now: Moment) {
        self.0.extend(events.into_iter().map(|event| (now.steady_us + AGAIN_US, event)));
    }
}

/// Answers by what the ledger knows of them.
pub(super) struct Weighed {
    /// A refusal always counts, a yes while the recipient is asked.
    pub(super) counting: Vec<Event>,
    /// Of these nobody can tell yet.
    pub(super) unknown: Vec<Event>,
}

/// What has to be known of answers that say yes.
pub(super) fn questions(answers: &[Event]) -> Vec<Question> {
    let question = |event: &Event| {
        let Event { entity, recipient, .. } = *event;
        let says_yes = matches!(event.happened, Happened::Granted(_));
        says_yes.then_some(Question { entity, recipient, scope: Scope::ALL })
    };
    answers.iter().filter_map(question).collect()
}

/// Sorts answers by what the ledger knows. One that `was_put_off` answers no request that came after it.
pub(super) fn weigh(ledger: &Ledger, answers: &[Event], was_put_off: bool, now_us: u64) -> Weighed {
    let mut standings = Vec::new();
    ledger.standings(&questions(answers), now_us, &mut standings);
    let mut standings = standings.into_iter();
    let mut weighed = Weighed { counting: Vec::new(), unknown: Vec::new() };
    for event in answers {
        let is_asked = match event.happened {
            Happened::Granted(_) => match standings.next() {
                Some(Consent::Known(one)) if one.state == StandingState::Asked => {
                    Some(!was_put_off || one.from_us <= event.time_us + CLOCKS_APART_US)
                }
                // Over another node he may have been asked a moment ago.
                Some(Consent::Known(_)) if ledger.is_shared() && !was_put_off => None,
                Some(Consent::Known(_)) => Some(false),
                Some(Consent::Unavailable) | None => None,
            },
            _ => Some(true),
        };
        match is_asked {
            Some(true) => weighed.counting.push(*event),
            Some(false) => {}
            None => weighed.unknown.push(*event),
        }
    }
    weighed
}

impl Pair {
    /// Puts answers off of which nobody could tell in time whether they count.
    pub(super) fn put_off(&mut self, mut late: Vec<Event>, now: Moment) {
        if late.is_empty() {
            return;
        }
        let (session, answers) = (self.session.id(), late.len());
        late.truncate(PUT_OFF_MAX.saturating_sub(self.agreeing.0.len()));
        let lost = answers - late.len();
        if lost > 0 {
            tracing::warn!(session, answers, lost, "too many a yes wait for the ledger's word");
        }
        self.agreeing.again(late, now);
    }

    /// Looks again at answers that were put off.
    pub(super) fn answer_late(&mut self, shared: &Shared, now: Moment) {
        let is_due = |(again_us, _): &(u64, Event)| *again_us <= now.steady_us;
        let due = self.agreeing.0.partition_point(is_due);
        let Some(ledger) = shared.ledger.as_ref().filter(|_| due > 0) else { return };
        let events: Vec<Event> = self.agreeing.0.drain(..due).map(|(_, event)| event).collect();
        let now_us = events.iter().map(|one| one.time_us).fold(now.wall_us, u64::max);
        let weighed = weigh(ledger, &events, true, now_us);
        if !weighed.unknown.is_empty() {
            // Nobody waits for it: it is there the next time.
            drop(ledger.lacks(&questions(&weighed.unknown), now_us));
        }
        let mut taken = Records::new();
        let is_told = weighed.counting.is_empty()
            || heed::tell(ledger, weighed.counting.iter(), now_us, &mut taken).is_ok();
        self.agreeing.again(if is_told { weighed.unknown } else { events }, now);
        if !taken.is_empty()
            && let Err(error) = shared.journal.append(&mut taken)
        {
            let session = self.session.id();
            tracing::error!(session, %error, "no record says that a yes counted later");
        }
    }

    /// The session ends: what is still put off is not counted.
    pub(super) fn give_up_late(&self) {
        let (session, lost) = (self.session.id(), self.agreeing.0.len());
        if lost > 0 {
            tracing::error!(session, lost, "a yes was not counted: the ledger had not told yet");
        }
    }
}
