//! Several clients at once: the engine's order decides, and everybody reads the same.

use std::collections::HashMap;
use std::time::Duration;

use consentry::consent::shared::engine::PRUNE_ROWS;
use consentry::consent::shared::{Batch, Engine, Outcome};
use consentry::consent::{EventFault, Pair, PairKey, Scope};
use consentry::policy::{Period, Promise, StandingState};

use super::stage::{Chance, NOW_US, REVOKED, SENT, batch, entity, grant, person, staged, told};

fn key(number: u64) -> PairKey {
    PairKey::new(entity(0), person(number))
}

async fn pair(engine: &Engine, number: u64) -> Pair {
    let mut found = engine.pairs(&[key(number)]).await.unwrap();
    found.pop().map(|(_, pair)| pair).unwrap_or_default()
}

#[test]
fn of_all_who_claim_the_last_messages_exactly_so_many_have_one() {
    staged(async |stage, engine| {
        let five = Promise { messages: 5, period: Period::Day };
        engine.apply(&batch(&[told(1, 0, grant(Some(five)))])).await.unwrap();
        let claiming = (0..4).map(|_| {
            let engine = stage.engine(2);
            tokio::spawn(async move {
                let mut said = Vec::new();
                for _ in 0..3 {
                    let events = [told(1, 1, SENT)];
                    let claim = Batch { claims: true, ..batch(&events) };
                    said.extend(engine.apply(&claim).await.unwrap().outcomes);
                }
                said
            })
        });
        let mut said = Vec::new();
        for claiming in claiming.collect::<Vec<_>>() {
            said.extend(claiming.await.unwrap());
        }
        let counted = said.iter().filter(|said| **said == Ok(Outcome::Counted)).count();
        let refused = said.iter().filter(|said| **said == Err(EventFault::UsedUp)).count();
        assert_eq!((counted, refused), (5, 7));
        assert!(pair(&engine, 1).await.standing(Scope::ALL, NOW_US * 2, 1).promised.is_some());
    });
}

#[test]
fn revoked_and_granted_at_once_the_order_of_the_engine_decides() {
    staged(async |stage, one| {
        let other = stage.engine(1);
        for number in 0..20 {
            let (revoking, granting) = ([told(number, 5, REVOKED)], [told(number, 6, grant(None))]);
            let (revoking, granting) = (batch(&revoking), batch(&granting));
            let (revoked, granted) = tokio::join!(one.apply(&revoking), other.apply(&granting));
            let number_of = |outcomes: &[Result<Outcome, EventFault>]| match outcomes {
                [Ok(Outcome::Taken(number))] => *number,
                other => panic!("{other:?}"),
            };
            let revoked = number_of(&revoked.unwrap().outcomes);
            let granted = number_of(&granted.unwrap().outcomes);
            let history = one.history(key(number)).await.unwrap();
            let numbers: Vec<_> = history.iter().map(|kept| kept.sequence).collect();
            assert_eq!(numbers, [revoked.min(granted), revoked.max(granted)]);
            // Whatever the clocks said, a revocation ends what came before it.
            let expected = match revoked > granted {
                true => StandingState::Revoked,
                false => StandingState::Granted,
            };
            for engine in [&one, &other] {
                let standing = pair(engine, number).await.standing(Scope::ALL, NOW_US * 2, 1);
                assert_eq!(standing.state, expected);
            }
        }
    });
}

#[test]
fn a_poll_sees_every_change_while_eight_write() {
    const WRITERS: u64 = 8;
    const BATCHES: u64 = 25;
    staged(async |stage, engine| {
        let begun = engine.changes(0, 0, 1).await.unwrap();
        let seed = u64::from(std::process::id());
        println!("seed {seed}");
        let writing: Vec<_> = (1..=WRITERS)
            .map(|writer| {
                let engine = stage.engine(1);
                let mut chance = Chance(seed + writer);
                tokio::spawn(async move {
                    for _ in 0..BATCHES {
                        let count = 1 + chance.below(6);
                        let told: Vec<_> =
                            (0..count).map(|_| chance.event(&[Scope::ALL])).collect();
                        engine.apply(&batch(&told)).await.unwrap();
                    }
                })
            })
            .collect();
        let (mut through, mut stamp) = (begun.through, begun.stamp);
        let mut cache: HashMap<PairKey, Pair> = HashMap::new();
        let mut is_over = false;
        loop {
            let is_last = is_over;
            let changes = engine.changes(through, stamp, 7).await.unwrap();
            assert!(!changes.back, "seed {seed}");
            assert_eq!(changes.through - through, changes.pairs.len() as u64, "seed {seed}");
            for (key, pair) in changes.pairs {
                let event = |pair: &Pair| pair.standing(Scope::ALL, NOW_US, 1).event;
                let before = cache.get(&key).map_or(0, event);
                assert!(before <= event(&pair), "seed {seed}: older after newer");
                cache.insert(key, pair);
            }
            (through, stamp) = (changes.through, changes.stamp);
            if changes.is_all && is_last {
                break;
            }
            is_over = writing.iter().all(|writing| writing.is_finished());
        }
        for writing in writing {
            writing.await.unwrap();
        }
        assert_eq!(engine.counts().await.unwrap().change, through, "seed {seed}");
        let mut found: HashMap<_, _> =
            engine.pairs_after(None, 99).await.unwrap().into_iter().collect();
        assert!(found.len() > 5, "seed {seed}");
        for (key, pair) in cache {
            assert_eq!(found.remove(&key), Some(pair), "seed {seed}");
        }
        assert!(found.is_empty(), "seed {seed}");
    });
}

#[test]
fn who_polls_hears_that_the_engine_went_back() {
    staged(async |stage, engine| {
        let tell = async |number, second| {
            engine.apply(&batch(&[told(number, second, REVOKED)])).await.unwrap();
        };
        tell(1, 0).await;
        let early = engine.changes(0, 0, 9).await.unwrap();
        tell(2, 0).await;
        let late = engine.changes(early.through, early.stamp, 9).await.unwrap();
        assert_eq!((late.back, late.through, late.pairs.len()), (false, 2, 1));
        // As a standby has it that was promoted without the last transaction.
        stage.query(
            "DELETE FROM consentry_consent_changes WHERE number > 1; \
             DELETE FROM consentry_consent_pairs WHERE key = (SELECT max(key) FROM consentry_consent_pairs); \
             DELETE FROM consentry_consent_events WHERE number > 1; \
             UPDATE consentry_consent_head SET event = 1, change = 1, pairs = 1, revoked = 1",
        );
        let back = engine.changes(late.through, late.stamp, 9).await.unwrap();
        assert_eq!((back.back, back.through, back.stamp), (true, 1, early.stamp));
        assert!(back.pairs.is_empty());
        // And on again, under the same number.
        tell(3, 0).await;
        let back = engine.changes(late.through, late.stamp, 9).await.unwrap();
        assert!(back.back && back.through == 2 && back.stamp != late.stamp);
        // Who had not seen what was lost goes on.
        let on = engine.changes(early.through, early.stamp, 9).await.unwrap();
        assert_eq!((on.back, on.through, on.pairs.len()), (false, 2, 1));
    });
}

#[test]
fn old_changes_are_forgotten_but_for_the_last() {
    staged(async |stage, engine| {
        let begun = engine.changes(0, 0, 9).await.unwrap();
        for number in 0..3 {
            engine.apply(&batch(&[told(number, 0, REVOKED)])).await.unwrap();
        }
        let last = engine.changes(0, begun.stamp, 9).await.unwrap();
        assert!(!engine.prune().await.unwrap(), "none is an hour old but the one before all");
        let count = || stage.query("SELECT count(*) FROM consentry_consent_changes")[0][0].clone();
        assert_eq!(count().as_deref(), Some("3"));
        // By the engine's clock, which may be read in the same microsecond.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let (one, other) = (stage.engine(1), stage.engine(1));
        let (one, other) =
            tokio::join!(one.prune_older(Duration::ZERO), other.prune_older(Duration::ZERO));
        assert_eq!((one, other), (Ok(false), Ok(false)));
        assert_eq!(count().as_deref(), Some("1"));
        assert!(engine.changes(0, begun.stamp, 9).await.unwrap().back);
        let on = engine.changes(last.through, last.stamp, 9).await.unwrap();
        assert!(!on.back && on.is_all && on.pairs.is_empty());
        // So many at once and no more.
        let rows = PRUNE_ROWS + 10;
        stage.query(&format!(
            "INSERT INTO consentry_consent_changes SELECT n, 0, 0, '', 0 \
             FROM generate_series(-{rows}, -1) AS n"
        ));
        assert_eq!(engine.prune().await, Ok(true));
        assert_eq!(count().as_deref(), Some("11"));
        assert_eq!(engine.prune().await, Ok(false));
        assert_eq!(count().as_deref(), Some("1"));
    });
}

#[test]
fn keywords_are_numbered_and_kept_once() {
    staged(async |stage, engine| {
        let (code, other) = ("106900001234", "106900009999");
        engine.add_keywords(&[(code, "TD"), (code, "退订"), (code, "TD")]).await.unwrap();
        let (one, two) = (stage.engine(1), stage.engine(1));
        let (first, second) = ([(code, "TD"), (other, "TD")], [(other, "TD"), (other, "a\0")]);
        let (one, two) = tokio::join!(one.add_keywords(&first), two.add_keywords(&second));
        assert_eq!((one, two), (Ok(()), Ok(())));
        let said = |all: Vec<consentry::consent::shared::Keyword>| {
            all.into_iter().map(|one| (one.number, one.code, one.keyword)).collect::<Vec<_>>()
        };
        let row = |number, code: &str, keyword: &str| (number, code.to_owned(), keyword.to_owned());
        let all = [row(1, code, "TD"), row(2, code, "退订"), row(3, other, "TD")];
        assert_eq!(said(engine.keywords(0, 9).await.unwrap()), all);
        assert_eq!(said(engine.keywords(1, 1).await.unwrap()), all[1..2]);
        assert_eq!(engine.changes(0, 0, 1).await.unwrap().keywords, 3);
    });
}
