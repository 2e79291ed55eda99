//! The ledger as captured traffic meets it: what was known at the trace's time, and on top of it what
//! the trace itself brings. Nothing of it is ever written.

use std::collections::HashMap;

use super::pair::Pair;
use super::{
    ENTITIES_MAX, EntityId, Event, Happened, Ledger, PairKey, Question, SCOPES_MAX, Scope,
};
use crate::policy::{Consent, Standing, StandingState};
use crate::registry::Msisdn;

/// Pairs that a trace may change: who refused, was asked, or is sent what was promised. Events of
/// pairs beyond it have no effect and are counted.
pub const CHANGED_PAIRS_MAX: usize = 1_000_000;

/// Asks how an entity, by its name, stood with a recipient in a scope, by its name, at a time; `None` when
/// that cannot be known.
pub type AskElsewhere = Box<dyn Fn(&str, Msisdn, &str, u64) -> Option<Standing>>;

/// What a rehearsal begins with.
pub enum Before {
    /// Nobody has consented.
    Nothing,
    /// What this ledger knew.
    Ledger(Ledger),
    /// What somebody else knows: a running proxy.
    Elsewhere(AskElsewhere),
}

impl std::fmt::Debug for Before {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Before::Nothing => "Nothing",
            Before::Ledger(_) => "Ledger",
            Before::Elsewhere(_) => "Elsewhere",
        })
    }
}

/// A ledger for one rehearsal.
#[derive(Debug)]
pub struct Rehearsal {
    before: Before,
    silent_after_us: u64,
    /// Names that the ledger does not know have numbers from the top down.
    entities: Vec<String>,
    scopes: Vec<String>,
    changed: HashMap<u64, Pair>,
    events: u64,
    left_out: u64,
}

impl Rehearsal {
    /// On top of what was known before. `silent_after_us`: how long a request for consent waits.
    pub fn new(before: Before, silent_after_us: u64) -> Rehearsal {
        Rehearsal {
            before,
            silent_after_us,
            entities: Vec::new(),
            scopes: Vec::new(),
            changed: HashMap::new(),
            events: 0,
            left_out: 0,
        }
    }

    /// The entity of that name; `None` when there are more names than a ledger can have.
    pub fn entity(&mut self, name: &str) -> Option<EntityId> {
        let known = self.ledger().and_then(|ledger| ledger.find_entity(name));
        known.or_else(|| {
            let at = place(&mut self.entities, name);
            let number = ENTITIES_MAX.checked_sub(at + 1)?;
            u16::try_from(number).ok().map(EntityId)
        })
    }

    /// The scope of that name; `None` when there are more names than a ledger can have.
    pub fn scope(&mut self, name: &str) -> Option<Scope> {
        if name.is_empty() {
            return Some(Scope::ALL);
        }
        let known = self.ledger().and_then(|ledger| ledger.find_scope(name));
        known.or_else(|| {
            let at = place(&mut self.scopes, name);
            let number = SCOPES_MAX.checked_sub(at).filter(|number| *number > 0)?;
            u8::try_from(number).ok().map(Scope)
        })
    }

    fn ledger(&self) -> Option<&Ledger> {
        match &self.before {
            Before::Ledger(ledger) => Some(ledger),
            Before::Nothing | Before::Elsewhere(_) => None,
        }
    }

    /// Asks elsewhere, by the names that the numbers stand for.
    fn elsewhere(&self, ask: &AskElsewhere, question: &Question, at_us: u64) -> Option<Standing> {
        let entity = ENTITIES_MAX.checked_sub(usize::from(question.entity.0) + 1)?;
        let entity = self.entities.get(entity)?;
        let scope = match question.scope {
            Scope::ALL => "",
            Scope(number) => self.scopes.get(SCOPES_MAX.checked_sub(usize::from(number))?)?,
        };
        ask(entity, question.recipient, scope, at_us)
    }

    /// Appends one answer a question to `out`, in their order, as they stood at `now_us`.
    pub fn standings(&self, questions: &[Question], now_us: u64, out: &mut Vec<Consent>) {
        for question in questions {
            let key = PairKey::new(question.entity, question.recipient);
            out.push(match self.changed.get(&key.0) {
                Some(pair) => {
                    Consent::Known(pair.standing(question.scope, now_us, self.silent_after_us))
                }
                None => self.before(question, now_us),
            });
        }
    }

    /// How a pair stood that the trace has not changed.
    fn before(&self, question: &Question, now_us: u64) -> Consent {
        let ledger = match &self.before {
            Before::Nothing => return Consent::Known(Standing::NONE),
            Before::Elsewhere(ask) => {
                let found = self.elsewhere(ask, question, now_us);
                return found.map_or(Consent::Unavailable, Consent::Known);
            }
            Before::Ledger(ledger) => ledger,
        };
        let mut today = Vec::with_capacity(1);
        ledger.standings(std::slice::from_ref(question), now_us, &mut today);
        match today.pop() {
            Some(Consent::Known(standing)) if may_hide_history(&standing, now_us) => {
                ledger.standing_at(question, now_us).map_or(Consent::Unavailable, Consent::Known)
            }
            Some(known) => known,
            None => Consent::Unavailable,
        }
    }

    /// Takes events of the trace; what a ledger would not take has no effect here either.
    pub fn append(&mut self, events: &[Event]) {
        for event in events {
            let key = PairKey::new(event.entity, event.recipient);
            if !self.changed.contains_key(&key.0) {
                if self.changed.len() >= CHANGED_PAIRS_MAX {
                    self.left_out += 1;
                    continue;
                }
                let before = self.history(event);
                self.changed.insert(key.0, before);
            }
            self.events += 1;
            if let Some(pair) = self.changed.get_mut(&key.0) {
                let _ = pair.apply(event, self.events);
            }
        }
    }

    /// The pair as its history before the event makes it.
    fn history(&self, event: &Event) -> Pair {
        let scope = match event.happened {
            Happened::Sent { scope } => scope,
            _ => Scope::ALL,
        };
        let mut pair = Pair::default();
        match &self.before {
            Before::Nothing => {}
            Before::Elsewhere(ask) => {
                let question = Question { entity: event.entity, recipient: event.recipient, scope };
                let standing = self.elsewhere(ask, &question, event.time_us);
                return standing.map_or(pair, |standing| Pair::of(scope, &standing));
            }
            Before::Ledger(ledger) => {
                let history = ledger.history(event.entity, event.recipient).unwrap_or_default();
                for kept in history.iter().filter(|kept| kept.event.time_us < event.time_us) {
                    let _ = pair.apply(&kept.event, kept.sequence);
                }
            }
        }
        pair
    }

    /// Events that had no effect because [`CHANGED_PAIRS_MAX`] pairs had changed.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// Whether what stands today may cover what stood then: something happened since.
fn may_hide_history(standing: &Standing, now_us: u64) -> bool {
    match standing.state {
        StandingState::Granted => false,
        StandingState::None => standing.event > 0,
        StandingState::Revoked | StandingState::Asked | StandingState::Silent => {
            standing.from_us > now_us
        }
    }
}

/// Where a name stands in the list, added when it is new.
fn place(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::super::{CACHE_OCTETS_MIN, Cause, Grant, Options, Proof, ProofKind, Source};
    use super::*;
    use crate::policy::{ConsentClass, Review};

    const SECOND: u64 = 1_000_000;

    fn event(entity: EntityId, second: u64, source: Source, happened: Happened) -> Event {
        let recipient = Msisdn::new(8_613_800_138_000).expect("a number");
        Event { entity, recipient, time_us: second * SECOND, source, happened }
    }

    fn granted() -> Happened {
        let proof = Proof { kind: ProofKind::Web, sha256: [7; 32], review: Review::Reviewed };
        let class = ConsentClass::Commercial;
        Happened::Granted(Grant { scope: Scope::ALL, class, until_us: None, promise: None, proof })
    }

    fn state(rehearsal: &Rehearsal, entity: EntityId, second: u64) -> StandingState {
        let recipient = Msisdn::new(8_613_800_138_000).expect("a number");
        let question = Question { entity, recipient, scope: Scope::ALL };
        let mut out = Vec::new();
        rehearsal.standings(&[question], second * SECOND, &mut out);
        match out.as_slice() {
            [Consent::Known(standing)] => standing.state,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_trace_meets_what_stood_at_its_time_and_changes_it_for_itself_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options {
            cache_octets: CACHE_OCTETS_MIN,
            silent_after_us: SECOND,
            warm: false,
            on_sync: None,
        };
        let ledger = Ledger::open(folder.path(), options).expect("a ledger");
        let shop = ledger.entity("shop").expect("a name");
        let revoked = || Happened::Revoked(Cause::Refused);
        let history = [(100, granted()), (200, revoked()), (300, granted()), (400, revoked())];
        for (second, happened) in history {
            let event = event(shop, second, Source::Operator, happened);
            let ticket = ledger.append(&[event], second * SECOND, &mut Vec::new());
            ledger.wait(ticket.expect("taken")).expect("kept");
        }
        let mut rehearsal = Rehearsal::new(Before::Ledger(ledger.clone()), SECOND);
        let entity = rehearsal.entity("shop").expect("known");
        assert_eq!(entity, shop);
        let rows = [
            (50, StandingState::None),
            (150, StandingState::Granted),
            (250, StandingState::Revoked),
            (350, StandingState::Granted),
            (450, StandingState::Revoked),
        ];
        for (second, expected) in rows {
            assert_eq!(state(&rehearsal, entity, second), expected, "second {second}");
        }
        // In the trace the handset refuses at 120; what the ledger heard at 300 is not known then.
        rehearsal.append(&[event(entity, 120, Source::Reply, revoked())]);
        assert_eq!(state(&rehearsal, entity, 150), StandingState::Revoked);
        assert_eq!(rehearsal.left_out(), 0);
        let untouched = Rehearsal::new(Before::Ledger(ledger), SECOND);
        assert_eq!(state(&untouched, entity, 150), StandingState::Granted);
    }

    #[test]
    fn without_a_ledger_everybody_has_a_number_and_nobody_consented() {
        let mut rehearsal = Rehearsal::new(Before::Nothing, SECOND);
        let (a, b) = (rehearsal.entity("a"), rehearsal.entity("b"));
        assert_ne!(a, b);
        assert_eq!(rehearsal.entity("a"), a);
        assert_eq!(rehearsal.scope(""), Some(Scope::ALL));
        assert_ne!(rehearsal.scope("x"), rehearsal.scope("y"));
        let entity = a.expect("a number");
        assert_eq!(state(&rehearsal, entity, 10), StandingState::None);
        rehearsal.append(&[event(entity, 20, Source::Message, granted())]);
        assert_eq!(state(&rehearsal, entity, 30), StandingState::Granted);
        for at in 0..SCOPES_MAX - 2 {
            assert!(rehearsal.scope(&format!("s{at}")).is_some());
        }
        assert_eq!(rehearsal.scope("one too many"), None);
    }

    #[test]
    fn who_is_asked_elsewhere_is_asked_by_name_and_only_until_the_trace_knows_better() {
        let ask = |entity: &str, _: Msisdn, scope: &str, at_us: u64| {
            let granted = Standing {
                state: StandingState::Granted,
                from_us: 100 * SECOND,
                until_us: Standing::NO_END,
                ..Standing::NONE
            };
            (entity == "shop" && scope.is_empty()).then_some(if at_us < 100 * SECOND {
                Standing::NONE
            } else {
                granted
            })
        };
        let mut rehearsal = Rehearsal::new(Before::Elsewhere(Box::new(ask)), SECOND);
        let (shop, other) = (rehearsal.entity("shop"), rehearsal.entity("other"));
        let (shop, other) = (shop.expect("a number"), other.expect("a number"));
        assert_eq!(state(&rehearsal, shop, 50), StandingState::None);
        assert_eq!(state(&rehearsal, shop, 150), StandingState::Granted);
        let recipient = Msisdn::new(8_613_800_138_000).expect("a number");
        let question = Question { entity: other, recipient, scope: Scope::ALL };
        let mut out = Vec::new();
        rehearsal.standings(&[question], SECOND, &mut out);
        assert_eq!(out, [Consent::Unavailable]);
        let asked = Happened::Asked { content: 1 };
        rehearsal.append(&[event(shop, 160, Source::Message, asked)]);
        assert_eq!(state(&rehearsal, shop, 170), StandingState::Granted, "it is still known");
        rehearsal.append(&[event(shop, 180, Source::Reply, Happened::Revoked(Cause::Refused))]);
        assert_eq!(state(&rehearsal, shop, 190), StandingState::Revoked);
    }
}
