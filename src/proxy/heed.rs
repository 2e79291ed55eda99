//! A handset said stop: ledger and journal keep it before its message goes on to the ESME.
//!
//! Meanwhile nothing from the SMSC goes on; the other direction runs. What cannot be kept is tried
//! again every second: an answer that is not kept is not passed on either, and the SMSC, which gets
//! no response, sends it again.
//!
//! A yes counts only while its handset is asked ([`super::agree`]), which may have to be looked up. A refusal
//! waits for no look-up: it is told, and in force, at once.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use super::Shared;
use super::agree::{questions, weigh};
use super::pump::Pair;
use crate::consent::{Event, Happened, Lookup};
use crate::session::{Moment, TakenEvent};
use crate::{audit, consent};

/// How long after a failure keeping is tried again.
const AGAIN_US: u64 = 1_000_000;

/// How far the keeping of answers has come.
#[derive(Debug)]
pub(super) enum Heeding {
    /// There is none.
    Nothing,
    /// Of a yes it is looked up whether its handset is asked.
    Asking {
        lookup: Lookup,
        /// Whether that is over.
        is_over: bool,
        told: Told,
    },
    /// Both have it and say when it is kept.
    Waiting {
        ledger: consent::Ticket,
        journal: audit::Ticket,
        /// Whether both know whom to wake.
        registered: bool,
    },
    /// It could not be kept: again at that time (steady clock).
    Failed { again_us: u64, told: Told },
}

/// Who has been told of the answers, and is not told twice.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    /// The ledger, of those that are refusals.
    refusals: Option<consent::Ticket>,
    /// The ledger, of all that count.
    all: Option<consent::Ticket>,
    journal: Option<audit::Ticket>,
}

impl Pair {
    /// Goes on with what handsets answered; whether their frames may now go on.
    pub(super) fn heed(&mut self, shared: &Shared, now: Moment) -> bool {
        match self.heeding {
            Heeding::Nothing => self.keep(shared, Told::default(), true, now),
            Heeding::Asking { is_over, told, .. } => is_over && self.keep(shared, told, false, now),
            Heeding::Failed { again_us, told } => {
                now.steady_us >= again_us && self.keep(shared, told, true, now)
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
                        self.heeding_failed(None, kept, recorded, now);
                    }
                }
                false
            }
        }
    }

    /// Hands answers to ledger and journal, but for the one that has a ticket for them; whether they
    /// are kept at once. With `may_wait` it is looked up what the ledger does not know of a yes.
    fn keep(&mut self, shared: &Shared, mut told: Told, may_wait: bool, now: Moment) -> bool {
        let (heard, records) = self.session.heard();
        let Some(ledger) = shared.ledger.as_ref().filter(|_| !heard.is_empty()) else {
            return false;
        };
        if told.all.is_none() && told.refusals.is_none() {
            self.taken.clear();
        }
        // The journal empties what it takes, and may fail to write it later.
        let recorded = told.journal.map_or_else(|| shared.journal.append(&mut records.clone()), Ok);
        told.journal = recorded.as_ref().ok().copied();
        // A clock that was put back since they were heard does not make them events of the future.
        let now_us = heard.iter().map(|event| event.time_us).fold(now.wall_us, u64::max);
        let mut late = Vec::new();
        let kept = match told.all {
            Some(ticket) => Ok(ticket),
            None => {
                let mut weighed = weigh(ledger, heard, false, now_us);
                let lookup = (may_wait && !weighed.unknown.is_empty())
                    .then(|| ledger.lacks(&questions(&weighed.unknown), now_us));
                if let Some(lookup) = lookup.flatten() {
                    // What is not kept now is tried again with the others.
                    let taken = &mut self.taken;
                    let refused = heard.iter().filter(is_refusal);
                    let refusals = || tell(ledger, refused, now_us, taken).ok();
                    told.refusals = told.refusals.or_else(refusals);
                    self.heeding = Heeding::Asking { lookup, is_over: false, told };
                    return false;
                }
                late.append(&mut weighed.unknown);
                let is_told = |event: &&Event| told.refusals.is_some() && is_refusal(event);
                let events = weighed.counting.iter().filter(|event| !is_told(event));
                tell(ledger, events, now_us, &mut self.taken)
                    .map(|ticket| Some(ticket).max(told.refusals).unwrap_or(ticket))
            }
        };
        // What the ledger took is on record behind what was heard.
        let recorded = recorded.and_then(|ticket| match &kept {
            Ok(_) if !self.taken.is_empty() => shared.journal.append(&mut self.taken.clone()),
            _ => Ok(ticket),
        });
        match (kept, recorded) {
            (Ok(ledger), Ok(journal)) => {
                self.heeding = Heeding::Waiting { ledger, journal, registered: false };
                self.put_off(late, now);
                self.heed(shared, now)
            }
            (kept, recorded) => {
                if kept.is_ok() {
                    self.put_off(late, now);
                }
                self.heeding_failed(told.refusals, kept, recorded, now);
                false
            }
        }
    }

    fn heeding_failed(
        &mut self,
        refusals: Option<consent::Ticket>,
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
        let told = Told { refusals, all: kept.ok(), journal: recorded.ok() };
        self.heeding = Heeding::Failed { again_us, told };
    }

    /// Whether what was waited for has come.
    pub(super) fn poll_heeding(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.heeding {
            Heeding::Asking { lookup, is_over, .. } => {
                *is_over = *is_over || Pin::new(lookup).poll(cx).is_ready();
                *is_over
            }
            Heeding::Waiting { ledger, journal, registered } => {
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
            Heeding::Nothing | Heeding::Failed { .. } => false,
        }
    }

    /// Whether frames from the SMSC are held back, and it is known who lets them go.
    pub(super) fn is_heeding(&self) -> bool {
        matches!(self.heeding, Heeding::Asking { .. } | Heeding::Waiting { .. })
    }
}

fn is_refusal(event: &&Event) -> bool {
    !matches!(event.happened, Happened::Granted(_))
}

/// Tells the ledger, and puts what it took on record.
pub(super) fn tell<'e>(
    ledger: &consent::Ledger,
    events: impl Iterator<Item = &'e Event>,
    now_us: u64,
    taken: &mut audit::Records,
) -> Result<consent::Ticket, consent::Unavailable> {
    let events: Vec<Event> = events.copied().collect();
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
