//! What breaks on the way: connections cut before and after COMMIT, clients that stop in the middle.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use consentry::consent::shared::{Batch, Engine, EngineFault, Origin, Outcome, Told, engine};
use consentry::consent::{ImportKey, PairKey, Progress, Scope};
use consentry::policy::StandingState;

use super::forward::Forwarder;
use super::stage::{
    Chance, NOW_US, REVOKED, batch, engine_of, entity, grant, person, staged, told,
};

fn delivery(outbox: u64, first: u64, events: &[Told]) -> Batch<'_> {
    Batch { origin: Some(Origin { node: "node-1", outbox, first }), events, claims: false }
}

/// Revocations, each of a pair of its own.
fn revocations(from: u64, count: u64) -> Vec<Told> {
    (from..from + count).map(|number| told(number, number, REVOKED)).collect()
}

async fn revoked_of(engine: &Engine) -> Vec<u64> {
    let counts = engine.counts().await.unwrap();
    assert_eq!((counts.event, counts.events[1]), (counts.pairs, counts.pairs));
    let pairs = engine.pairs_after(None, 10_000).await.unwrap();
    let mut numbers = Vec::new();
    for (_, pair) in &pairs {
        let standing = pair.standing(Scope::ALL, NOW_US, 1);
        assert_eq!(standing.state, StandingState::Revoked);
        numbers.push(standing.event);
    }
    numbers.sort_unstable();
    numbers
}

#[test]
fn what_is_delivered_again_is_applied_once() {
    staged(async |_, engine| {
        let all = revocations(0, 9);
        assert_eq!(engine.position("node-1", 7).await, Ok(0));
        for (first, events, expected) in [
            (1, &all[..3], Ok((0, 3))),
            (1, &all[..3], Ok((3, 0))),
            (2, &all[1..5], Ok((2, 2))),
            (7, &all[6..], Err(EngineFault::Behind { position: 5 })),
            (6, &all[5..6], Ok((0, 1))),
            (1, &all[..2], Ok((2, 0))),
        ] {
            let applied = engine.apply(&delivery(7, first, events)).await;
            let count = |applied: engine::Applied| {
                let is_earlier = |one: &&Result<Outcome, _>| **one == Ok(Outcome::Earlier);
                let earlier = applied.outcomes.iter().filter(is_earlier).count();
                (earlier, applied.outcomes.len() - earlier)
            };
            assert_eq!(applied.map(count), expected, "from {first}");
        }
        assert_eq!(engine.position("node-1", 7).await, Ok(6));
        // Another outbox under the same name begins at its beginning.
        assert_eq!(engine.position("node-1", 8).await, Ok(0));
        let other = revocations(100, 1);
        let applied = engine.apply(&delivery(8, 1, &other)).await.unwrap();
        assert_eq!(applied.outcomes, [Ok(Outcome::Taken(7))]);
        // What it can no longer deliver is given up only when it says so, and never back.
        engine.pass_over("node-1", 7, 7).await.unwrap();
        engine.pass_over("node-1", 7, 3).await.unwrap();
        assert_eq!(engine.position("node-1", 7).await, Ok(7));
        engine.apply(&delivery(7, 8, &all[7..])).await.unwrap();
        assert_eq!(revoked_of(&engine).await, (1..=9).collect::<Vec<_>>());
        // Position and counters are written where nothing else is.
        let known = [told(0, 0, consentry::consent::Happened::Sent { scope: Scope::ALL })];
        let applied = engine.apply(&delivery(7, 10, &known)).await.unwrap();
        assert!(applied.outcomes[0].is_err());
        assert_eq!(engine.position("node-1", 7).await, Ok(10));
    });
}

#[test]
fn connections_cut_before_and_after_commit_lose_and_double_nothing() {
    staged(async |stage, straight| {
        let forwarder = Forwarder::start(stage.server.address());
        let all = revocations(0, 400);
        let (mut position, mut cuts) = (0, [0; 2]);
        let cut = (600..9_000).step_by(140).flat_map(|octets| [(octets, 0), (0, octets / 3)]);
        for (octets, answers) in cut {
            forwarder.reset_after(octets);
            forwarder.reset_answers_after(answers);
            let engine = stage.engine_at(forwarder.address, 1);
            let next = all.get(position as usize..).unwrap();
            let count = 1 + position as usize % 5;
            let sent = next.get(..count).unwrap();
            let applied = engine.apply(&delivery(1, position + 1, sent)).await;
            let found = straight.position("node-1", 1).await.unwrap();
            match applied {
                Ok(_) => assert_eq!(found, position + sent.len() as u64, "{octets} {answers}"),
                Err(EngineFault::Down(_)) => assert_eq!(found, position, "{octets} {answers}"),
                Err(EngineFault::Unknown(_)) => {
                    let was_taken = found > position;
                    assert!(
                        !was_taken || found == position + sent.len() as u64,
                        "{octets} {answers}"
                    );
                    cuts[usize::from(was_taken)] += 1;
                }
                Err(fault) => panic!("{octets} {answers}: {fault}"),
            }
            position = found;
        }
        assert!(cuts[0] > 0 && cuts[1] > 0, "before and after COMMIT: {cuts:?}");
        assert!(position > 20, "some got through: {position}");
        assert_eq!(revoked_of(&straight).await, (1..=position).collect::<Vec<_>>());
    });
}

#[test]
fn a_client_that_stops_under_the_lock_is_put_out_and_what_it_had_undone() {
    staged(async |stage, other| {
        let (address, database) = (stage.server.address(), &stage.database);
        let url = format!("postgres://consentry@{address}/{database}?application_name=stopping");
        let stopping = engine_of(&url, 1);
        stopping.apply(&batch(&revocations(0, 1))).await.unwrap();
        let events = revocations(1, 2);
        let lost = batch(&events);
        let mut applying = pin!(stopping.apply(&lost));
        // Polled once: it has sent for the lock. What the answer was it is never told.
        let polled = applying.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        // Until it stands idle under the lock. On a slow machine it is put out before it was seen there.
        let on_its_way = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'stopping' AND NOT \
            (state = 'idle in transaction' AND state_change < clock_timestamp() - interval '20 ms')";
        while !stage.query(on_its_way).is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let applied = other.apply(&batch(&revocations(3, 1))).await.unwrap();
        assert_eq!(applied.outcomes, [Ok(Outcome::Taken(2))]);
        let fault = applying.await.unwrap_err();
        assert!(matches!(fault, EngineFault::Down(_) | EngineFault::Unknown(_)), "{fault}");
        assert_eq!(revoked_of(&other).await, [1, 2]);
        // With the next connection it goes on.
        stopping.apply(&lost).await.unwrap();
        assert_eq!(revoked_of(&other).await, [1, 2, 3, 4]);
    });
}

#[test]
fn a_call_that_is_given_up_holds_nobody_up() {
    staged(async |stage, other| {
        let giving_up = stage.engine(1);
        giving_up.apply(&batch(&revocations(0, 1))).await.unwrap();
        for number in 1..10 {
            let events = revocations(number, 1);
            let lost = batch(&events);
            {
                let mut applying = pin!(giving_up.apply(&lost));
                let polled = applying.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(matches!(polled, Poll::Pending));
            }
            let applied = other.apply(&batch(&revocations(100 + number, 1))).await.unwrap();
            assert_eq!(applied.outcomes, [Ok(Outcome::Taken(1 + number))]);
            giving_up.counts().await.unwrap();
        }
        assert_eq!(revoked_of(&other).await.len(), 10);
    });
}

/// An import as its command does it: chunk by chunk, from where the engine says that it was.
async fn import(engine: &Engine, told: &[Told], chunk: usize) -> Result<Progress, EngineFault> {
    let key = ImportKey([9; 32]);
    let mut before = engine.import_progress(key).await?;
    loop {
        let from = before.as_ref().map_or(0, |done| done.offset as usize);
        let Some(left) = told.get(from..).filter(|left| !left.is_empty()) else {
            return Ok(before.unwrap_or_default());
        };
        let events = left.get(..chunk).unwrap_or(left);
        let mut done = before.clone().unwrap_or_default();
        (done.offset, done.lines) = ((from + events.len()) as u64, (from + events.len()) as u64);
        let mut reported = 0;
        let imported = engine
            .import(key, before.as_ref(), events, &done, &mut |refused| reported += refused.len())
            .await?;
        assert_eq!(imported.done.refused - done.refused, reported as u64);
        before = Some(imported.done);
    }
}

#[test]
fn an_import_is_taken_once_wherever_it_is_cut() {
    staged(async |stage, straight| {
        let seed = u64::from(std::process::id());
        println!("seed {seed}");
        let mut chance = Chance(seed);
        let told: Vec<Told> = (0..600).map(|_| chance.event(&[Scope::ALL])).collect();
        let forwarder = Forwarder::start(stage.server.address());
        let (mut cuts, mut octets) = (0, 1_500);
        let done = loop {
            forwarder.reset_after(octets);
            octets += 700;
            let engine = stage.engine_at(forwarder.address, 1);
            match import(&engine, &told, 23).await {
                Ok(done) => break done,
                Err(EngineFault::Down(_) | EngineFault::Unknown(_)) => cuts += 1,
                Err(fault) => panic!("seed {seed}: {fault}"),
            }
        };
        assert!(cuts > 3, "{cuts}");
        assert_eq!(done.taken + done.known + done.refused, 600, "seed {seed}");
        // The same in one go, in another database.
        let other = super::stage::Stage::new().unwrap();
        let engine = other.engine(1);
        engine.migrate().await.unwrap();
        let expected = import(&engine, &told, 600).await.unwrap();
        assert_eq!(
            (done.taken, done.known, done.refused),
            (expected.taken, expected.known, expected.refused)
        );
        let (left, right) = (straight.counts().await.unwrap(), engine.counts().await.unwrap());
        assert_eq!((left.event, left.events, left.pairs), (right.event, right.events, right.pairs));
        let all = straight.pairs_after(None, 99).await.unwrap();
        assert_eq!(all, engine.pairs_after(None, 99).await.unwrap(), "seed {seed}");
        for (key, _) in all {
            assert_eq!(
                straight.history(key).await.unwrap(),
                engine.history(key).await.unwrap(),
                "seed {seed}"
            );
        }
    });
}

#[test]
fn of_two_imports_of_one_file_one_goes_on() {
    staged(async |stage, one| {
        let other = stage.engine(1);
        let key = ImportKey([1; 32]);
        let events = [told(1, 0, grant(None))];
        let done = |offset| Progress { offset, ..Progress::default() };
        let nothing = &mut |_: &[consentry::consent::Refused]| {};
        let first = one.import(key, None, &events, &done(10), nothing).await.unwrap();
        assert_eq!((first.done.offset, first.done.taken, first.change), (10, 1, 1));
        let late = other.import(key, None, &events, &done(15), nothing).await;
        assert_eq!(late, Err(EngineFault::Elsewhere));
        assert_eq!(other.import_progress(key).await, Ok(Some(first.done.clone())));
        let on = other.import(key, Some(&first.done), &events, &first.done, nothing).await.unwrap();
        assert_eq!(
            (on.done.taken, on.change),
            (2, 2),
            "an event of the API is no line that is known"
        );
        one.note_progress(key, &done(99)).await.unwrap();
        assert_eq!(other.import_progress(key).await, Ok(Some(done(99))));
        let many = vec![events[0]; engine::CHUNK_EVENTS_MAX + 1];
        let most = &many[..engine::CHUNK_EVENTS_MAX];
        let before = Some(done(99));
        let too_many = one.import(key, before.as_ref(), &many, &done(100), nothing).await;
        assert_eq!(too_many, Err(EngineFault::TooMany(engine::CHUNK_EVENTS_MAX)));
        let taken = one.import(key, before.as_ref(), most, &done(100), nothing).await.unwrap();
        assert_eq!(taken.done.taken as usize, engine::CHUNK_EVENTS_MAX);
        let history = one.history(PairKey::new(entity(0), person(1))).await.unwrap();
        assert_eq!(history.len(), engine::CHUNK_EVENTS_MAX + 2);
    });
}
