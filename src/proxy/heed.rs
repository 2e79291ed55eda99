//! A handset said stop: ledger and journal keep it before its message goes on to the ESME.
//!
//! Meanwhile nothing from the SMSC goes on; the other direction runs. What cannot be kept is tried
//! again every second: an answer that is not kept is not passed on either, and the SMSC, which gets
//! no response, sends it again.

use std::task::Context;

use super::Shared;
use super::pump::Pair;
use crate::consent::{Event, Happened, Question, Scope};
use crate::policy::{Consent, StandingState};
use crate::session::{Moment, TakenEvent};
use crate::{audit, consent};

/// How long after a failure keeping is tried again.
const AGAIN_US: u64 = 1_000_000;

/// How far the keeping of answers has come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Heeding {
    /// There is none.
    Nothing,
    /// Both have it and say when it is kept.
    Waiting {
        ledger: consent::Ticket,
        journal: audit::Ticket,
        /// Whether both know whom to wake.
        registered: bool,
    },
    /// It could not be kept: again at that time (steady clock). Who has it is not told twice.
    Failed { again_us: u64, ledger: Option<consent::Ticket>, journal: Option<audit::Ticket> },
}

impl Pair {
    /// Goes on with what handsets answered; whether their frames may now go on.
    pub(super) fn heed(&mut self, shared: &Shared, now: Moment) -> bool {
        match self.heeding {
            Heeding::Nothing => self.keep(shared, None, None, now),
            Heeding::Failed { again_us, ledger, journal } => {
                now.steady_us >= again_us && self.keep(shared, ledger, journal, now)
            }
            Heeding::Waiting { ledger, journal, .. } => {
                let kept = is_kept(shared, ledger);
                let recorded = shared.journal.is_complete(journal);
                match (kept, recorded) {
                    (Ok(true), Ok(true)) => {
                        self.heeding = Heeding::Nothing;
                        self.taken.clear();
                        self.session.heeded();
                        return true;
                    }
                    (Ok(_), Ok(_)) => {}
                    (kept, recorded) => {
                        let (kept, recorded) = (kept.map(|_| ledger), recorded.map(|_| journal));
                        self.heeding_failed(kept, recorded, now);
                    }
                }
                false
            }
        }
    }

    /// Hands answers to ledger and journal, but for the one that has a ticket for them; whether they
    /// are kept at once.
    fn keep(
        &mut self,
        shared: &Shared,
        kept: Option<consent::Ticket>,
        recorded: Option<audit::Ticket>,
        now: Moment,
    ) -> bool {
        let (heard, records) = self.session.heard();
        let Some(ledger) = shared.ledger.as_ref().filter(|_| !heard.is_empty()) else {
            return false;
        };
        let was_told = kept.is_some();
        let kept = kept.map_or_else(|| tell(ledger, heard, now.wall_us, &mut self.taken), Ok);
        // The journal empties what it takes, and may fail to write it later.
        let recorded = match recorded {
            Some(ticket) if was_told || self.taken.is_empty() => Ok(ticket),
            Some(_) => shared.journal.append(&mut self.taken.clone()),
            None => {
                let mut all = records.clone();
                all.take_from(&mut self.taken.clone());
                shared.journal.append(&mut all)
            }
        };
        match (kept, recorded) {
            (Ok(ledger), Ok(journal)) => {
                self.heeding = Heeding::Waiting { ledger, journal, registered: false };
                self.heed(shared, now)
            }
            (kept, recorded) => {
                self.heeding_failed(kept, recorded, now);
                false
            }
        }
    }

    fn heeding_failed(
        &mut self,
        kept: Result<consent::Ticket, consent::Unavailable>,
        recorded: Result<audit::Ticket, audit::Unavailable>,
        now: Moment,
    ) {
        let error: &dyn std::fmt::Display = match (&kept, &recorded) {
            (Err(error), _) => error,
            (_, Err(error)) => error,
            (Ok(_), Ok(_)) => return,
        };
        let session = self.session.id();
        tracing::error!(session, %error, "a handset's answer is held back until it can be kept");
        let again_us = now.steady_us + AGAIN_US;
        self.heeding = Heeding::Failed { again_us, ledger: kept.ok(), journal: recorded.ok() };
    }

    /// Whether what was waited for has come.
    pub(super) fn poll_heeding(&mut self, cx: &mut Context<'_>) -> bool {
        let Heeding::Waiting { ledger, journal, registered } = &mut self.heeding else {
            return false;
        };
        if !*registered {
            *registered = true;
            if let Some(one) = &self.shared.ledger {
                one.on_complete(*ledger, cx.waker().clone());
            }
            self.shared.journal.on_complete(*journal, cx.waker().clone());
        }
        !matches!(is_kept(&self.shared, *ledger), Ok(false))
            && !matches!(self.shared.journal.is_complete(*journal), Ok(false))
    }
}

/// Tells the ledger what counts of the answers, and puts what it took on record.
fn tell(
    ledger: &consent::Ledger,
    heard: &[Event],
    now_us: u64,
    taken: &mut audit::Records,
) -> Result<consent::Ticket, consent::Unavailable> {
    // A clock that was put back since they were heard does not make them events of the future.
    let now_us = heard.iter().map(|event| event.time_us).fold(now_us, u64::max);
    let events = counting(ledger, heard, now_us);
    let mut refused = Vec::new();
    let mut numbers = vec![0; events.len()];
    let mut number = |at: usize, number: u64| {
        if let Some(place) = numbers.get_mut(at) {
            *place = number;
        }
    };
    let kept = ledger.append_numbered(&events, now_us, &mut refused, &mut number)?;
    let is_taken = |at: usize| refused.iter().all(|one| one.at != at);
    let took = events.iter().zip(numbers).enumerate().filter(|(at, _)| is_taken(*at));
    record_taken(ledger, took.map(|(_, one)| one), taken, now_us);
    for one in refused {
        // Such as consent that is not later than a refusal: the ledger's state stands.
        tracing::warn!(why = %one.fault, "an answer changes nothing in the ledger");
    }
    Ok(kept)
}

/// Puts events on record that the ledger was told of together, with their numbers; not those that it only
/// counts.
pub(super) fn record_taken<'a>(
    ledger: &consent::Ledger,
    events: impl Iterator<Item = (&'a Event, u64)>,
    records: &mut audit::Records,
    now_us: u64,
) {
    for (event, number) in events {
        if matches!(event.happened, Happened::Sent { .. }) {
            continue;
        }
        let entity = ledger.entity_name(event.entity);
        let scope = ledger.scope_name(event.happened.scope());
        let (entity, scope, id) = (entity.as_str(), scope.as_str(), "");
        TakenEvent { event, number, entity, scope, id }.record(records, now_us);
    }
}

fn is_kept(shared: &Shared, ticket: consent::Ticket) -> Result<bool, consent::Unavailable> {
    shared.ledger.as_ref().map_or(Ok(true), |ledger| ledger.is_complete(ticket))
}

/// The answers that count: a refusal always, a yes only while the recipient is asked.
fn counting(ledger: &consent::Ledger, heard: &[Event], now_us: u64) -> Vec<Event> {
    let is_asked = |event: &Event| {
        let Event { entity, recipient, .. } = *event;
        let mut answers = Vec::new();
        ledger.standings(
            &[Question { entity, recipient, scope: Scope::ALL }],
            now_us,
            &mut answers,
        );
        matches!(answers[..], [Consent::Known(one)] if one.state == StandingState::Asked)
    };
    let counts = |event: &&Event| match event.happened {
        Happened::Granted(_) => is_asked(event),
        _ => true,
    };
    heard.iter().filter(counts).copied().collect()
}
