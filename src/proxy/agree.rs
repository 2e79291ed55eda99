//! A yes counts only while its handset is asked, which the ledger knows.
//!
//! Where many nodes share the ledger and this one cannot find out in time, the yes goes on to the ESME and is
//! put off: it counts when the ledger says that the handset was asked before it answered. With its session it is
//! forgotten: who said yes is then as if he had not answered.

use super::pump::Pair;
use super::{Shared, heed};
use crate::audit::Records;
use crate::consent::{Event, Happened, Ledger, Question, Scope};
use crate::policy::{Consent, StandingState};
use crate::session::Moment;

/// Most answers that one session puts off.
const PUT_OFF_MAX: usize = 256;

/// How long after it was looked up in vain an answer is looked up again.
const AGAIN_US: u64 = 1_000_000;

/// Answers whose requests could not be looked up in time.
#[derive(Debug, Default)]
pub(super) struct PutOff {
    events: Vec<Event>,
    /// When they are looked up again (steady clock).
    again_us: u64,
}

impl PutOff {
    /// When there is something to do.
    pub(super) fn deadline_us(&self) -> u64 {
        if self.events.is_empty() { u64::MAX } else { self.again_us }
    }
}

/// Answers by what the ledger knows of them.
pub(super) struct Weighed {
    /// A refusal always counts, a yes while the recipient is asked.
    pub(super) counting: Vec<Event>,
    /// Of these nobody can tell now.
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
                Some(Consent::Known(one)) => Some(
                    one.state == StandingState::Asked
                        && !(was_put_off && one.from_us > event.time_us),
                ),
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
        let room = PUT_OFF_MAX.saturating_sub(self.agreeing.events.len());
        late.truncate(room);
        let lost = answers - late.len();
        tracing::warn!(session, answers, lost, "a yes counts later: the ledger cannot tell now");
        self.agreeing.events.append(&mut late);
        self.agreeing.again_us = now.steady_us + AGAIN_US;
    }

    /// Looks again at answers that were put off.
    pub(super) fn answer_late(&mut self, shared: &Shared, now: Moment) {
        if now.steady_us < self.agreeing.deadline_us() {
            return;
        }
        let Some(ledger) = &shared.ledger else { return };
        self.agreeing.again_us = now.steady_us + AGAIN_US;
        let now_us = self.agreeing.events.iter().map(|one| one.time_us).fold(now.wall_us, u64::max);
        let weighed = weigh(ledger, &self.agreeing.events, true, now_us);
        if !weighed.unknown.is_empty() {
            // Nobody waits for it: it is there the next time.
            drop(ledger.lacks(&questions(&weighed.unknown), now_us));
        }
        let mut taken = Records::new();
        if weighed.counting.is_empty()
            || heed::tell(ledger, weighed.counting.iter(), now_us, &mut taken).is_ok()
        {
            self.agreeing.events = weighed.unknown;
        }
        if !taken.is_empty()
            && let Err(error) = shared.journal.append(&mut taken)
        {
            let session = self.session.id();
            tracing::error!(session, %error, "no record says that a yes counted later");
        }
    }

    /// The session ends: what is still put off is not counted.
    pub(super) fn give_up_late(&self) {
        let (session, lost) = (self.session.id(), self.agreeing.events.len());
        if lost > 0 {
            tracing::error!(session, lost, "a yes was not counted: the ledger could not tell");
        }
    }
}
