//! How one pair stands: events folded one after the other. Pure.
//!
//! The rules of the fold:
//!
//! - A revocation ends every grant before it *in the ledger's order*, whatever the clocks said. Only
//!   one that a file states (a history that is imported) goes by its time instead: it ends the
//!   grants that are not later than it.
//! - After a revocation a grant counts only if it is later than the revocation and than every grant
//!   that it ended: an old list that is imported again brings nothing back. One of which nobody knows
//!   when it was given, as in a list without times, lifts nothing.
//! - A grant replaces an older one of its scope. One whose proof was rejected is replaced by a later
//!   one only.
//! - A revocation binds the entity: all scopes. A grant lifts it for its own scope.

use super::{Cause, Event, EventFault, Grant, Happened, Kept, Scope, Source};
use crate::policy::{ConsentClass, Promise, Review, Standing, StandingState};

/// Grants of different scopes that one pair may have at once.
pub const GRANTS_MAX: usize = 8;

/// How far an event's time may be ahead of the ledger's clock, microseconds: five minutes.
pub const AHEAD_US: u64 = 5 * 60 * SECOND_US;

/// The last second that a grant may end at: 2106.
pub(super) const END_S_MAX: u32 = u32::MAX - 1;

/// `GrantState::until_s` of a grant without an end.
pub(super) const NO_END_S: u32 = u32::MAX;

const SECOND_US: u64 = 1_000_000;

/// All that is known of a pair beside its history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// The number of its latest event; 0 = none.
    pub(super) sequence: u64,
    /// A grant counts only if it is later, microseconds.
    pub(super) bar_us: u64,
    /// The latest revocation: when and why.
    pub(super) revoked: Option<(u64, Cause)>,
    /// The latest request: when, and its digest.
    pub(super) asked: Option<(u64, u32)>,
    /// At most one a scope, at most [`GRANTS_MAX`].
    pub(super) grants: Vec<GrantState>,
}

/// What an event changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It has a place in the history.
    History,
    /// A count; no place in the history.
    Count,
    /// Nothing: the pair knows the very same already, as when a file is imported again.
    None,
}

/// A grant that was not ended by a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GrantState {
    pub scope: Scope,
    pub class: ConsentClass,
    pub review: Review,
    pub from_us: u64,
    /// The first second at which it no longer holds; [`NO_END_S`] = it has no end.
    pub until_s: u32,
    pub promise: Option<Promise>,
    /// The first eight octets of its proof's SHA-256.
    pub proof: u64,
    /// The promise's period in which `sent` was counted.
    pub period: u32,
    pub sent: u32,
}

impl GrantState {
    fn new(grant: &Grant, from_us: u64) -> Self {
        let until_s = grant.until_us.map_or(NO_END_S, |until_us| {
            u32::try_from(until_us / SECOND_US).unwrap_or(END_S_MAX).min(END_S_MAX)
        });
        Self {
            scope: grant.scope,
            class: grant.class,
            review: grant.proof.review,
            from_us,
            until_s,
            promise: grant.promise,
            proof: fingerprint(&grant.proof.sha256),
            period: 0,
            sent: 0,
        }
    }

    /// The first moment at which it no longer holds.
    pub fn until_us(&self) -> u64 {
        match self.until_s {
            NO_END_S => Standing::NO_END,
            until_s => u64::from(until_s) * SECOND_US,
        }
    }

    /// Messages sent under its promise in the period that runs at `now_us`.
    fn sent_at(&self, now_us: u64) -> u32 {
        // A clock that jumped back is still in the period that was counted last.
        let runs = self.promise.is_some_and(|one| one.period.number(now_us) <= self.period);
        if runs { self.sent } else { 0 }
    }
}

/// The first eight octets of a digest: what a pair keeps of its proof.
pub(super) fn fingerprint(sha256: &[u8; 32]) -> u64 {
    sha256.iter().take(8).fold(0, |sum, octet| sum << 8 | u64::from(*octet))
}

impl Event {
    /// What can be said against it before it meets its pair. `now_us` is the ledger's time.
    pub(super) fn check(&self, now_us: u64) -> Result<(), EventFault> {
        if self.time_us > now_us.saturating_add(AHEAD_US) {
            return Err(EventFault::Future);
        }
        if self.time_us / SECOND_US > u64::from(END_S_MAX) {
            return Err(EventFault::Time);
        }
        match self.happened {
            Happened::Granted(Grant { until_us: Some(until_us), .. }) => {
                if until_us <= self.time_us {
                    return Err(EventFault::EndsBefore);
                }
                if until_us / SECOND_US > u64::from(END_S_MAX) {
                    return Err(EventFault::Time);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Pair {
    /// A pair that stands so in that scope, and of which nothing else is known.
    pub(super) fn of(scope: Scope, standing: &Standing) -> Pair {
        let mut pair = Pair { sequence: standing.event, ..Pair::default() };
        match standing.state {
            StandingState::None => {}
            StandingState::Granted => pair.grants.push(GrantState {
                scope,
                class: standing.class,
                review: standing.review,
                from_us: standing.from_us,
                until_s: match standing.until_us {
                    Standing::NO_END => NO_END_S,
                    until_us => u32::try_from(until_us / SECOND_US).unwrap_or(END_S_MAX),
                },
                promise: standing.promised,
                proof: 0,
                period: 0,
                sent: standing.sent,
            }),
            StandingState::Revoked => {
                pair.revoked = Some((standing.from_us, Cause::Refused));
                pair.bar_us = standing.from_us;
            }
            StandingState::Asked | StandingState::Silent => {
                pair.asked = Some((standing.from_us, standing.asked));
            }
        }
        pair
    }

    /// Folds an event in. On a fault nothing has changed, and the event has no place in the history.
    pub(super) fn apply(&mut self, event: &Event, sequence: u64) -> Result<Change, EventFault> {
        if self.knows(event) {
            return Ok(Change::None);
        }
        match &event.happened {
            Happened::Granted(grant) => self.grant(grant, event.time_us, event.source)?,
            Happened::Revoked(cause) => self.revoke(*cause, event.time_us, event.source),
            Happened::Reviewed { scope, sha256, review } => {
                self.review(*scope, sha256.as_ref(), *review)?;
            }
            Happened::Asked { content } => {
                if self.asked.is_none_or(|(asked_us, _)| event.time_us >= asked_us) {
                    self.asked = Some((event.time_us, *content));
                }
            }
            // No row in the history, so no number of its own.
            Happened::Sent { scope } => {
                return self.count(*scope, event.time_us).map(|()| Change::Count);
            }
        }
        self.sequence = self.sequence.max(sequence);
        Ok(Change::History)
    }

    /// How a pair with this history stood at `time_us`: what had happened by then, in the ledger's
    /// order. Counts of messages sent are not part of a history.
    pub(super) fn at(history: &[Kept], time_us: u64) -> Pair {
        let mut pair = Pair::default();
        for kept in history.iter().filter(|kept| kept.event.time_us <= time_us) {
            // What was taken once is taken again, but for what came before it in time and later in
            // the ledger's order: then it had no effect either.
            let _ = pair.apply(&kept.event, kept.sequence);
        }
        pair
    }

    /// What can be said against an event that claims the last of something that nodes share: a second
    /// request for consent, a message more than was promised. Other events claim nothing.
    pub(super) fn claim(&self, event: &Event) -> Result<(), EventFault> {
        match event.happened {
            // How long a request waits makes no difference: asked and silent refuse alike.
            Happened::Asked { .. } => match self.standing(Scope::ALL, event.time_us, 0).state {
                StandingState::Asked | StandingState::Silent => Err(EventFault::AskedAgain),
                StandingState::Revoked => Err(EventFault::AskedAgain),
                StandingState::None | StandingState::Granted => Ok(()),
            },
            Happened::Sent { scope } => match self.standing(scope, event.time_us, 0).is_used_up() {
                true => Err(EventFault::UsedUp),
                false => Ok(()),
            },
            Happened::Granted(_) | Happened::Revoked(_) | Happened::Reviewed { .. } => Ok(()),
        }
    }

    /// Whether a file or a stream states what is known already.
    fn knows(&self, event: &Event) -> bool {
        match &event.happened {
            _ if !matches!(event.source, Source::File | Source::Stream | Source::Undated) => false,
            Happened::Granted(grant) => {
                let is_undated = event.source == Source::Undated;
                let state = GrantState::new(grant, event.time_us);
                self.grants.iter().any(|old| {
                    let from_us = if is_undated { old.from_us } else { state.from_us };
                    let same = GrantState { from_us, period: old.period, sent: old.sent, ..state };
                    let is_submitted =
                        state.review == Review::Submitted && old.review != Review::Rejected;
                    *old == same
                        || (is_submitted && *old == GrantState { review: old.review, ..same })
                })
            }
            Happened::Revoked(cause) => self.revoked == Some((event.time_us, *cause)),
            Happened::Asked { content } => self.asked == Some((event.time_us, *content)),
            Happened::Reviewed { .. } | Happened::Sent { .. } => false,
        }
    }

    fn grant(&mut self, grant: &Grant, time_us: u64, source: Source) -> Result<(), EventFault> {
        let is_undated = source == Source::Undated;
        let not_later = if is_undated { EventFault::Undated } else { EventFault::NotLater };
        if self.bar_us > 0 && (is_undated || time_us <= self.bar_us) {
            return Err(not_later);
        }
        let mut state = GrantState::new(grant, time_us);
        let is_full = self.grants.len() >= GRANTS_MAX;
        match self.grants.iter_mut().find(|one| one.scope == grant.scope) {
            Some(old)
                if old.review == Review::Rejected && (is_undated || time_us <= old.from_us) =>
            {
                return Err(not_later);
            }
            // An older list, imported later: history, and nothing more.
            Some(old) if time_us < old.from_us => return Ok(()),
            Some(old) => {
                if old.promise == state.promise {
                    (state.period, state.sent) = (old.period, old.sent);
                }
                if old.proof == state.proof && old.review != Review::Submitted {
                    state.review = old.review;
                }
                *old = state;
            }
            None if is_full => return Err(EventFault::GrantsMax),
            None => self.grants.push(state),
        }
        if self.asked.is_some_and(|(asked_us, _)| time_us >= asked_us) {
            self.asked = None;
        }
        Ok(())
    }

    fn revoke(&mut self, cause: Cause, time_us: u64, source: Source) {
        let is_stated = source == Source::File;
        let mut bar_us = self.bar_us.max(time_us);
        self.grants.retain(|grant| {
            let is_kept = is_stated && grant.from_us > time_us;
            if !is_kept {
                bar_us = bar_us.max(grant.from_us);
            }
            is_kept
        });
        self.bar_us = bar_us;
        if !is_stated || self.revoked.is_none_or(|(revoked_us, _)| time_us >= revoked_us) {
            self.revoked = Some((time_us, cause));
        }
        if self.asked.is_some_and(|(asked_us, _)| !is_stated || asked_us <= time_us) {
            self.asked = None;
        }
    }

    fn review(
        &mut self,
        scope: Scope,
        sha256: Option<&[u8; 32]>,
        review: Review,
    ) -> Result<(), EventFault> {
        let grant = self
            .grants
            .iter_mut()
            .find(|grant| grant.scope == scope && grant.review != Review::Rejected)
            .ok_or(EventFault::NoGrant)?;
        if sha256.is_some_and(|sha256| fingerprint(sha256) != grant.proof) {
            return Err(EventFault::OtherProof);
        }
        grant.review = review;
        Ok(())
    }

    fn count(&mut self, scope: Scope, time_us: u64) -> Result<(), EventFault> {
        let at = self.deciding(scope, time_us).ok_or(EventFault::NoGrant)?;
        let grant = self.grants.get_mut(at).ok_or(EventFault::NoGrant)?;
        let promise = grant.promise.ok_or(EventFault::NoGrant)?;
        let period = promise.period.number(time_us);
        // A clock that jumps back does not open a period again.
        if period > grant.period {
            (grant.period, grant.sent) = (period, 0);
        }
        grant.sent = grant.sent.saturating_add(1);
        Ok(())
    }

    /// Which grant answers for a scope: one that has not run out before one that has, its own before
    /// the whole entity's.
    fn deciding(&self, scope: Scope, now_us: u64) -> Option<usize> {
        let answers = |grant: &GrantState| {
            (grant.scope == Scope::ALL || grant.scope == scope)
                && grant.review != Review::Rejected
                && grant.from_us <= now_us
        };
        let matching = self.grants.iter().enumerate().filter(|(_, grant)| answers(grant));
        matching.max_by_key(|(_, g)| (now_us < g.until_us(), g.scope == scope)).map(|(at, _)| at)
    }

    /// How the pair stands for a scope at `now_us`. `silent_after_us`: how long a request waits.
    pub fn standing(&self, scope: Scope, now_us: u64, silent_after_us: u64) -> Standing {
        let grant = self.deciding(scope, now_us).and_then(|at| self.grants.get(at));
        let none = Standing { event: self.sequence, ..Standing::NONE };
        match (grant, self.revoked, self.asked) {
            (Some(grant), _, None) => granted(none, grant, now_us),
            (Some(grant), _, Some(_)) if now_us < grant.until_us() => granted(none, grant, now_us),
            (None, Some((revoked_us, _)), _) => Standing {
                state: StandingState::Revoked,
                from_us: whole_seconds(revoked_us),
                ..none
            },
            (_, _, Some((asked_us, content))) => {
                asked(none, whole_seconds(asked_us), content, now_us, silent_after_us)
            }
            (None, None, None) => {
                let is_rejected = |grant: &GrantState| {
                    (grant.scope == Scope::ALL || grant.scope == scope)
                        && grant.review == Review::Rejected
                };
                let rejected = self.grants.iter().any(is_rejected);
                let review = if rejected { Review::Rejected } else { Review::Submitted };
                Standing { review, ..none }
            }
        }
    }
}

fn granted(none: Standing, grant: &GrantState, now_us: u64) -> Standing {
    Standing {
        state: StandingState::Granted,
        review: grant.review,
        class: grant.class,
        from_us: whole_seconds(grant.from_us),
        until_us: grant.until_us(),
        promised: grant.promise,
        sent: grant.sent_at(now_us),
        ..none
    }
}

/// The standing of who was asked at `asked_us` and has not answered.
pub(super) fn asked(
    none: Standing,
    asked_us: u64,
    content: u32,
    now_us: u64,
    silent_after_us: u64,
) -> Standing {
    let is_silent = now_us >= asked_us.saturating_add(silent_after_us);
    let state = if is_silent { StandingState::Silent } else { StandingState::Asked };
    Standing { state, from_us: asked_us, asked: content, ..none }
}

/// A moment as the hot layer keeps it.
pub(super) fn whole_seconds(time_us: u64) -> u64 {
    time_us - time_us % SECOND_US
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::hot::{self, Answer};
    use crate::consent::{EntityId, Proof, ProofKind};
    use crate::policy::Period;
    use crate::registry::Msisdn;
    use proptest::prelude::*;

    const SILENT_US: u64 = 100 * SECOND_US;

    fn event(second: u64, source: Source, happened: Happened) -> Event {
        let (entity, recipient) = (EntityId(0), Msisdn::new(8_613_800_138_000).unwrap());
        Event { entity, recipient, time_us: second * SECOND_US, source, happened }
    }

    fn grant(scope: u8, until: Option<u64>, review: Review) -> Happened {
        let proof = Proof { kind: ProofKind::Web, sha256: [scope + 1; 32], review };
        let until_us = until.map(|second| second * SECOND_US);
        let class = ConsentClass::Commercial;
        Happened::Granted(Grant { scope: Scope(scope), class, until_us, promise: None, proof })
    }

    /// Steps as words: `g10` a grant at second 10, `g10/1` of scope 1, `g10-50` until second 50, `u10` one
    /// that a file states without a time, imported at second 10, `r20` a revocation now, `s20` one that a file states, `a20` a request, `ok`/`no` a review.
    fn happen(step: &str) -> Event {
        let number = |text: &str| text.parse::<u64>().unwrap();
        let revoked = Happened::Revoked(Cause::Refused);
        let review = |review| Happened::Reviewed { scope: Scope::ALL, sha256: None, review };
        match (step, step.split_at(1)) {
            ("ok", _) => event(1, Source::Operator, review(Review::Reviewed)),
            ("no", _) => event(1, Source::Operator, review(Review::Rejected)),
            (_, ("g", rest)) => {
                let (rest, until) = rest
                    .split_once('-')
                    .map_or((rest, None), |(at, until)| (at, Some(number(until))));
                let (at, scope) = rest.split_once('/').map_or((rest, 0), |(at, s)| (at, number(s)));
                event(number(at), Source::File, grant(scope as u8, until, Review::Submitted))
            }
            (_, ("u", at)) => event(number(at), Source::Undated, grant(0, None, Review::Submitted)),
            // Another proof than all others'.
            (_, ("h", at)) => {
                let Happened::Granted(grant) = grant(0, None, Review::Submitted) else { panic!() };
                let proof = Proof { sha256: [99; 32], ..grant.proof };
                event(number(at), Source::File, Happened::Granted(Grant { proof, ..grant }))
            }
            (_, ("r", at)) => event(number(at), Source::Reply, revoked),
            (_, ("s", at)) => event(number(at), Source::File, revoked),
            (_, ("a", at)) => event(number(at), Source::Message, Happened::Asked { content: 7 }),
            _ => panic!("{step}"),
        }
    }

    /// The standing for scope 0 and scope 1 at second 90, as words.
    fn stands(pair: &Pair, now: u64) -> String {
        let word = |scope: u8| {
            let now_us = now * SECOND_US;
            let standing = pair.standing(Scope(scope), now_us, SILENT_US);
            // Whatever the hot layer answers itself is the same.
            if let Answer::Standing(hot) =
                hot::answer(hot::entry(pair).0, Scope(scope), now_us, SILENT_US)
            {
                assert_eq!(hot, standing, "{pair:?}");
            }
            match standing.state {
                StandingState::Granted if standing.is_expired(now_us) => "expired".to_owned(),
                StandingState::None if standing.review == Review::Rejected => "rejected".to_owned(),
                state => state.name().to_owned(),
            }
        };
        format!("{} {}", word(0), word(1))
    }

    #[test]
    fn the_matrix_of_standings() {
        for (steps, expected, refused) in [
            ("", "none none", 0),
            ("g10", "granted granted", 0),
            ("g10/1", "none granted", 0),
            ("g10/2", "none none", 0),
            ("g10-50", "expired expired", 0),
            ("g10-91", "granted granted", 0),
            ("g10-90", "expired expired", 0),
            // Its own scope's grant has run out, the whole entity's has not.
            ("g10 g10/1-50", "granted granted", 0),
            ("r20", "revoked revoked", 0),
            ("g10 r20", "revoked revoked", 0),
            ("g10/1 r20", "revoked revoked", 0),
            ("g10 r20 g30", "granted granted", 0),
            ("g10 r20 g20", "revoked revoked", 1),
            ("g10 r20 g10", "revoked revoked", 1),
            ("r20 g30/1", "revoked granted", 0),
            ("g10 r20 g30 r40", "revoked revoked", 0),
            // The clock jumped back before the revocation: it wins, and the old grant stays ended.
            ("g30 r20", "revoked revoked", 0),
            ("g30 r20 g30", "revoked revoked", 1),
            ("g30 r20 g25", "revoked revoked", 1),
            ("g30 r20 g31", "granted granted", 0),
            // A history that is imported in any order goes by its times.
            ("g30 s20", "granted granted", 0),
            ("s20 g30", "granted granted", 0),
            ("g20 s20", "revoked revoked", 0),
            ("g30 s40 s20", "revoked revoked", 0),
            ("g10 g30/1 s20", "revoked granted", 0),
            ("g30 s20 r5", "revoked revoked", 0),
            ("g10 no", "rejected rejected", 0),
            ("g10 no g10", "rejected rejected", 1),
            // The proof that was rejected, handed in once more, stays so; another may be better.
            ("g10 no g11", "rejected rejected", 0),
            ("g10 no h11", "granted granted", 0),
            ("g10 no h10", "rejected rejected", 1),
            ("g10 no ok", "rejected rejected", 1),
            ("r5 g10 no", "revoked revoked", 0),
            // A list without times brings nobody back, however late it is imported.
            ("u10", "granted granted", 0),
            ("u10 u20", "granted granted", 0),
            ("u10 r20 u30", "revoked revoked", 1),
            ("s20 u30", "revoked revoked", 1),
            ("g10 r20 g30 u40", "granted granted", 0),
            ("u10 no u20", "rejected rejected", 1),
            ("u10 r20 g30", "granted granted", 0),
            ("ok", "none none", 1),
            ("g10 r20 ok", "revoked revoked", 1),
            ("a80", "asked asked", 0),
            ("a80 g85", "granted granted", 0),
            ("a80 r85", "revoked revoked", 0),
            ("g10-50 a80", "asked asked", 0),
            ("g10-95 a80", "granted granted", 0),
            ("r20 a80", "revoked revoked", 0),
        ] {
            let mut pair = Pair::default();
            let faults = (1..).zip(steps.split_whitespace()).filter(|(sequence, step)| {
                let before = pair.clone();
                let fault = pair.apply(&happen(step), *sequence).is_err();
                assert!(!fault || pair == before, "{steps}: {step} was refused and changed it");
                fault
            });
            assert_eq!(faults.count(), refused, "{steps}");
            assert_eq!(stands(&pair, 90), expected, "{steps}");
        }
    }

    #[test]
    fn silence_is_refusal_from_its_moment_on() {
        let mut pair = Pair::default();
        pair.apply(&happen("a80"), 1).unwrap();
        for (now, expected) in
            [(179, "asked asked"), (180, "silent silent"), (999, "silent silent")]
        {
            assert_eq!(stands(&pair, now), expected, "{now}");
        }
        assert_eq!(pair.standing(Scope::ALL, 0, SILENT_US).asked, 7);
    }

    #[test]
    fn the_same_again_is_known_and_a_review_outlives_it() {
        let mut pair = Pair::default();
        let listed = happen("g10");
        assert_eq!(pair.apply(&listed, 1), Ok(Change::History));
        assert_eq!(pair.apply(&happen("ok"), 2), Ok(Change::History));
        assert_eq!(pair.apply(&listed, 3), Ok(Change::None));
        // Nor does a list say more that states no time.
        assert_eq!(pair.apply(&happen("u50"), 3), Ok(Change::None));
        assert_eq!((pair.sequence, pair.grants[0].review), (2, Review::Reviewed));
        assert_eq!(pair.grants[0].from_us, 10 * SECOND_US);
        let other = Happened::Reviewed {
            scope: Scope::ALL,
            sha256: Some([9; 32]),
            review: Review::Rejected,
        };
        assert_eq!(pair.apply(&event(1, Source::Api, other), 4), Err(EventFault::OtherProof));
        let same = Happened::Reviewed {
            scope: Scope::ALL,
            sha256: Some([1; 32]),
            review: Review::Rejected,
        };
        assert_eq!(pair.apply(&event(1, Source::Api, same), 4), Ok(Change::History));
    }

    #[test]
    fn a_promise_is_counted_within_its_period() {
        let us = |time: &str| time.parse::<jiff::Timestamp>().unwrap().as_microsecond() as u64;
        let mut pair = Pair::default();
        let Happened::Granted(plain) = grant(0, None, Review::Submitted) else { unreachable!() };
        let promise = Some(Promise { messages: 2, period: Period::Day });
        let promised = Happened::Granted(Grant { promise, ..plain });
        let sent = |time_us| Event {
            time_us,
            ..event(0, Source::Message, Happened::Sent { scope: Scope(3) })
        };
        assert_eq!(pair.apply(&sent(10), 1), Err(EventFault::NoGrant));
        pair.apply(&event(1, Source::Api, promised), 1).unwrap();
        let (evening, midnight) = (us("2026-11-24T15:59:59Z"), us("2026-11-24T16:00:00Z"));
        for (time_us, before, used_up) in
            [(evening, 0, false), (evening, 1, true), (midnight, 0, false), (evening, 1, true)]
        {
            let standing = pair.standing(Scope(3), time_us, SILENT_US);
            assert_eq!(standing.sent, before);
            let (entry, promise) = hot::entry(&pair);
            let Answer::Promised(granted) = hot::answer(entry, Scope(3), time_us, SILENT_US) else {
                panic!()
            };
            assert_eq!(hot::promised(granted, promise.unwrap(), time_us), standing);
            assert_eq!(pair.apply(&sent(time_us), 2), Ok(Change::Count));
            assert_eq!(pair.standing(Scope(3), time_us, SILENT_US).is_used_up(), used_up);
        }
        assert_eq!(pair.sequence, 1);
    }

    #[test]
    fn limits_hold_at_the_edge_and_one_past_it() {
        let mut pair = Pair::default();
        for scope in 0..GRANTS_MAX as u8 {
            assert!(
                pair.apply(&event(10, Source::Api, grant(scope, None, Review::Submitted)), 1)
                    .is_ok()
            );
        }
        let one_more = event(10, Source::Api, grant(200, None, Review::Submitted));
        assert_eq!(pair.apply(&one_more, 2), Err(EventFault::GrantsMax));
        let now_us = 1_000 * SECOND_US;
        let end = u64::from(END_S_MAX);
        for (happened, time_us, expected) in [
            (Happened::Revoked(Cause::Refused), now_us + AHEAD_US, Ok(())),
            (Happened::Revoked(Cause::Refused), now_us + AHEAD_US + 1, Err(EventFault::Future)),
            (grant(0, Some(11), Review::Submitted), 10 * SECOND_US, Ok(())),
            (grant(0, Some(10), Review::Submitted), 10 * SECOND_US, Err(EventFault::EndsBefore)),
            (grant(0, Some(end), Review::Submitted), 0, Ok(())),
            (grant(0, Some(end + 1), Review::Submitted), 0, Err(EventFault::Time)),
        ] {
            let event = Event { time_us, ..event(0, Source::Api, happened) };
            assert_eq!(event.check(now_us), expected, "{happened:?} {time_us}");
        }
    }

    /// The rules once more, from the whole history at once: which grants hold.
    fn naive(taken: &[Event], scope: Scope, now_us: u64) -> StandingState {
        let mut revoked = false;
        let mut holding = false;
        for (at, event) in taken.iter().enumerate() {
            match event.happened {
                Happened::Revoked(_) => revoked = true,
                Happened::Granted(grant) => {
                    let ended = taken.iter().enumerate().any(|(when, other)| {
                        let is_revocation = matches!(other.happened, Happened::Revoked(_));
                        is_revocation
                            && (other.time_us >= event.time_us
                                || (when > at && other.source != Source::File))
                    });
                    let covers = grant.scope == scope || grant.scope == Scope::ALL;
                    holding |= covers && !ended && event.time_us <= now_us;
                }
                _ => {}
            }
        }
        match (holding, revoked) {
            (true, _) => StandingState::Granted,
            (false, true) => StandingState::Revoked,
            (false, false) => StandingState::None,
        }
    }

    proptest! {
        #[test]
        fn the_fold_agrees_with_a_naive_model(
            steps in prop::collection::vec((0_u8..4, 1_u64..30, 0_u8..3), 0..24), now in 0_u64..40
        ) {
            let mut pair = Pair::default();
            let mut taken: Vec<Event> = Vec::new();
            for (sequence, (kind, second, scope)) in (1..).zip(steps) {
                let happened = match kind {
                    0 | 1 => grant(scope, None, Review::Submitted),
                    _ => Happened::Revoked(Cause::Refused),
                };
                let source = if kind == 2 { Source::Reply } else { Source::File };
                let one = event(second, source, happened);
                if pair.apply(&one, sequence).is_ok() {
                    taken.push(one);
                }
            }
            for scope in 0..4 {
                let standing = pair.standing(Scope(scope), now * SECOND_US, SILENT_US);
                // A later grant replaces an older one of its scope: before it began, nothing holds.
                let is_begun = pair.grants.iter().all(|grant| grant.from_us <= now * SECOND_US);
                if is_begun {
                    prop_assert_eq!(standing.state, naive(&taken, Scope(scope), now * SECOND_US), "{:?}", taken);
                }
            }
            stands(&pair, now);
        }
    }
}
