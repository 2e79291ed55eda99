//! What the engine takes, and what it says of it.

use consentry::consent::shared::{Applied, EngineFault, NameKind, Outcome};
use consentry::consent::{
    CACHE_OCTETS_MIN, Embedded, EventFault, NAME_OCTETS_MAX, NameFault, Options, Pair, PairKey,
    Question, SCOPES_MAX, Scope,
};
use consentry::policy::{Period, Promise, StandingState};

use super::stage::{
    ASKED, Chance, NOW_US, REVOKED, SECOND_US, SENT, batch, entity, grant, person, staged, told,
};

fn key(number: u64) -> PairKey {
    PairKey::new(entity(0), person(number))
}

#[test]
fn a_batch_is_in_the_pairs_the_histories_the_figures_and_the_changes() {
    staged(async |_, engine| {
        let begun = engine.changes(0, 0, 10).await.unwrap();
        assert!(begun.back && begun.is_all && begun.pairs.is_empty() && begun.through == 0);
        let events = [
            told(1, 0, grant(None)),
            told(2, 0, ASKED),
            told(1, 1, REVOKED),
            told(1, 1, grant(None)),
            told(3, 0, SENT),
        ];
        let Applied { outcomes, change, .. } = engine.apply(&batch(&events)).await.unwrap();
        let expected = [
            Ok(Outcome::Taken(1)),
            Ok(Outcome::Taken(2)),
            Ok(Outcome::Taken(3)),
            Err(EventFault::NotLater),
            Err(EventFault::NoGrant),
        ];
        assert_eq!((outcomes.as_slice(), change), (&expected[..], 2));
        let mut pairs = engine.pairs(&[key(1), key(2), key(3)]).await.unwrap();
        pairs.sort_by_key(|(key, _)| *key);
        let state = |pair: &Pair| pair.standing(Scope::ALL, NOW_US, u64::MAX).state;
        let states: Vec<_> = pairs.iter().map(|(key, pair)| (*key, state(pair))).collect();
        assert_eq!(states, [(key(1), StandingState::Revoked), (key(2), StandingState::Asked)]);
        let history = engine.history(key(1)).await.unwrap();
        let kept: Vec<_> = history.iter().map(|kept| (kept.sequence, kept.event)).collect();
        assert_eq!(kept, [(1, events[0].event), (3, events[2].event)]);
        let at = engine.pair_at(key(1), NOW_US).await.unwrap();
        assert_eq!(state(&at), StandingState::Granted);
        let counts = engine.counts().await.unwrap();
        assert_eq!((counts.pairs, counts.events, counts.event), (2, [1, 1, 0, 1, 0], 3));
        let changes = engine.changes(0, begun.stamp, 10).await.unwrap();
        assert_eq!((changes.back, changes.through, changes.is_all), (false, 2, true));
        assert_eq!(changes.pairs, pairs);
        assert_eq!(engine.pairs_after(None, 1).await.unwrap(), pairs[..1]);
        assert_eq!(engine.pairs_after(Some(key(1)), 9).await.unwrap(), pairs[1..]);
        assert_eq!(engine.entities_of(person(2)).await.unwrap(), [entity(0)]);
        assert_eq!(engine.entities_of(person(9)).await.unwrap(), []);
    });
}

#[test]
fn names_keep_their_numbers_up_to_the_last() {
    staged(async |stage, engine| {
        let long = "x".repeat(NAME_OCTETS_MAX);
        for (kind, name, expected) in [
            (NameKind::Entity, "甲", Ok(0)),
            (NameKind::Entity, "乙", Ok(1)),
            (NameKind::Entity, "甲", Ok(0)),
            (NameKind::Scope, "甲", Ok(1)),
            (NameKind::Scope, &long, Ok(2)),
            (NameKind::Entity, " ", Err(NameFault::Malformed)),
            (NameKind::Entity, "a\0b", Err(NameFault::Malformed)),
            (NameKind::Entity, &format!("{long}x"), Err(NameFault::Malformed)),
        ] {
            assert_eq!(engine.give(kind, name).await, Ok(expected), "{kind:?} {name}");
        }
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let all = (names(&["甲", "乙"]), names(&["甲", &long]));
        assert_eq!(engine.names().await, Ok(all.clone()));
        assert_eq!(engine.names_from(1, 2).await, Ok((names(&["乙"]), names(&[]))));
        assert_eq!(engine.changes(0, 0, 1).await.unwrap().names, 4);
        stage.query(
            "INSERT INTO consentry_consent_names SELECT 's', n, n::text \
             FROM generate_series(3, 254) AS n",
        );
        assert_eq!(engine.give(NameKind::Scope, "last").await, Ok(Ok(255)));
        let full = Ok(Err(NameFault::Max(SCOPES_MAX)));
        assert_eq!(engine.give(NameKind::Scope, "one more").await, full);
        // A hole: somebody else wrote there.
        stage.query("DELETE FROM consentry_consent_names WHERE kind = 's' AND number = 2");
        let damaged = Err(EngineFault::Malformed("consentry_consent_names"));
        assert_eq!(engine.names().await, damaged);
    });
}

#[test]
fn claims_are_refused_where_nothing_is_left() {
    staged(async |_, engine| {
        let twice = Promise { messages: 2, period: Period::Day };
        let events = [
            told(1, 0, grant(Some(twice))),
            told(2, 0, REVOKED),
            told(3, 0, ASKED),
            told(4, 0, grant(None)),
        ];
        engine.apply(&batch(&events)).await.unwrap();
        let taken = |number| Ok(Outcome::Taken(number));
        for (number, happened, expected) in [
            (1, SENT, Ok(Outcome::Counted)),
            (1, SENT, Ok(Outcome::Counted)),
            (1, SENT, Err(EventFault::UsedUp)),
            (2, ASKED, Err(EventFault::AskedAgain)),
            (3, ASKED, Err(EventFault::AskedAgain)),
            (4, ASKED, taken(5)),
            (5, ASKED, taken(6)),
            (5, ASKED, Err(EventFault::AskedAgain)),
            (4, SENT, Err(EventFault::NoGrant)),
        ] {
            let events = [told(number, 1, happened)];
            let claims = consentry::consent::shared::Batch { claims: true, ..batch(&events) };
            let applied = engine.apply(&claims).await.unwrap();
            assert_eq!(applied.outcomes, [expected], "{number} {happened:?}");
        }
        // Without a claim it is counted, as where it has happened already.
        let applied = engine.apply(&batch(&[told(1, 1, SENT)])).await.unwrap();
        assert_eq!(applied.outcomes, [Ok(Outcome::Counted)]);
    });
}

/// The same events, cut at the same places, in a ledger of one node: the same outcomes, histories,
/// standings and figures.
#[test]
fn an_engine_and_a_ledger_of_one_node_agree() {
    staged(async |_, engine| {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            cache_octets: CACHE_OCTETS_MIN,
            warm: false,
            silent_after_us: 20 * SECOND_US,
            on_sync: None,
        };
        let ledger = Embedded::open(folder.path(), options).unwrap();
        let mut scopes = vec![Scope::ALL];
        for name in ["甲", "乙"] {
            let number = engine.give(NameKind::Entity, name).await.unwrap().unwrap();
            assert_eq!(ledger.entity(name).unwrap(), entity(number));
            engine.give(NameKind::Scope, name).await.unwrap().unwrap();
            scopes.push(ledger.scope(name).unwrap());
        }
        let seed = u64::from(std::process::id());
        println!("seed {seed}");
        let mut chance = Chance(seed);
        for _ in 0..60 {
            let count = 1 + chance.below(40);
            let told: Vec<_> = (0..count).map(|_| chance.event(&scopes)).collect();
            let events: Vec<_> = told.iter().map(|told| told.event).collect();
            let (mut refused, mut numbered) = (Vec::new(), Vec::new());
            let mut taken = |at, number| numbered.push((at, number));
            let ticket = ledger.append_numbered(&events, NOW_US, &mut refused, &mut taken);
            ledger.wait(ticket.unwrap()).unwrap();
            let applied = engine.apply(&batch(&told)).await.unwrap();
            let mut outcomes = applied.outcomes.into_iter().enumerate();
            for (at, outcome) in outcomes.by_ref() {
                let fault = refused.iter().find(|refused| refused.at == at).map(|one| one.fault);
                let number = numbered.iter().find(|(place, _)| *place == at).map(|one| one.1);
                assert_eq!(outcome.err(), fault, "seed {seed}: {:?}", events[at]);
                let taken = match outcome {
                    Ok(Outcome::Taken(number)) => Some(number),
                    _ => None,
                };
                assert_eq!(taken, number, "seed {seed}: {:?}", events[at]);
            }
        }
        let (counts, stats) = (engine.counts().await.unwrap(), ledger.stats());
        assert_eq!((counts.pairs, counts.events), (stats.pairs, stats.events), "seed {seed}");
        for (of, number) in (0..2).flat_map(|of| (0..6).map(move |number| (of, number))) {
            let key = PairKey::new(entity(of), person(number));
            let history = engine.history(key).await.unwrap();
            assert_eq!(history, ledger.history(entity(of), person(number)).unwrap(), "seed {seed}");
            let found = engine.pairs(&[key]).await.unwrap().pop().map(|(_, pair)| pair);
            let pair = found.unwrap_or_default();
            for scope in &scopes {
                for at_us in [NOW_US - 10 * SECOND_US, NOW_US, NOW_US + 30 * SECOND_US] {
                    let question =
                        Question { entity: entity(of), recipient: person(number), scope: *scope };
                    let mut answers = Vec::new();
                    ledger.standings(&[question], at_us, &mut answers);
                    let standing = pair.standing(*scope, at_us, 20 * SECOND_US);
                    let expected = [consentry::policy::Consent::Known(standing)];
                    assert_eq!(answers, expected, "seed {seed}");
                    let at = engine.pair_at(key, at_us).await.unwrap();
                    let standing = at.standing(*scope, at_us, 20 * SECOND_US);
                    assert_eq!(
                        ledger.standing_at(&question, at_us).unwrap(),
                        standing,
                        "seed {seed}"
                    );
                }
            }
        }
    });
}
