//! What one node hears, all know.

use std::time::{Duration, Instant};

use consentry::consent::{CHUNK_EVENTS_MAX, ImportKey, Progress, Source};
use consentry::policy::StandingState;

use super::servers;
use super::stage::{
    REVOKED, Stage, event, granted, history, now_us, question, reply, standing, tell, until, wait,
};

#[test]
fn a_revocation_on_one_node_silences_the_other() {
    let Some(server) = servers::shared() else { return };
    let stage = Stage::on(server);
    let (here, there) = (stage.node("here"), stage.node("there"));
    let shop = here.entity("shop").expect("a name");
    until("names are known everywhere", || there.find_entity("shop") == Some(shop));
    let count = std::env::var("CONSENTRY_REVOCATIONS").ok().and_then(|text| text.parse().ok());
    let count: u64 = count.unwrap_or(40);
    let grants: Vec<_> =
        (0..count).map(|number| event(shop, number, Source::Api, granted(None))).collect();
    assert_eq!(tell(&here, &grants), Ok((0, Vec::new())));
    let mut took = Vec::new();
    for number in 0..count {
        until("the grant is known", || {
            standing(&there, shop, number) == Some(StandingState::Granted)
        });
        let began = Instant::now();
        reply(&here, shop, number, REVOKED);
        assert_eq!(standing(&here, shop, number), Some(StandingState::Revoked), "at once");
        until("it is silenced", || standing(&there, shop, number) == Some(StandingState::Revoked));
        took.push(began.elapsed());
    }
    took.sort();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    println!(
        "in force on the other node after {:?} (median of {count}), {:?} (95 of 100), {:?} (last)",
        at(50),
        at(95),
        at(100)
    );
    // Not a figure: what a machine with much else to do still does.
    assert!(at(50) < Duration::from_secs(2));
    assert_eq!(history(&there, shop, 0), ["granted", "revoked"]);
}

#[test]
fn what_an_operator_tells_is_in_force_when_he_is_answered() {
    let Some(server) = servers::shared() else { return };
    let stage = Stage::on(server);
    let node = stage.node("node");
    let shop = node.entity("shop").expect("a name");
    assert_eq!(standing(&node, shop, 1), Some(StandingState::None));
    for (happened, state) in [
        (granted(None), StandingState::Granted),
        (REVOKED, StandingState::Revoked),
        (granted(None), StandingState::Granted),
    ] {
        let told = tell(&node, &[event(shop, 1, Source::Operator, happened)]);
        assert_eq!(told, Ok((0, Vec::new())));
        assert_eq!(standing(&node, shop, 1), Some(state));
        assert_eq!(node.standing(&question(shop, 1), now_us()).map(|one| one.state), Ok(state));
    }
    let folder = stage.outbox("node");
    let locked = consentry::consent::Ledger::open(&folder, options());
    assert!(locked.is_err(), "the outbox is one process's");
    node.close();
    assert!(tell(&node, &[event(shop, 1, Source::Operator, REVOKED)]).is_err());
    assert_eq!(standing(&node, shop, 1), None, "closed");
}

fn options() -> consentry::consent::Options {
    let cache_octets = consentry::consent::CACHE_OCTETS_MIN;
    consentry::consent::Options { cache_octets, warm: false, silent_after_us: 1, on_sync: None }
}

#[test]
fn an_import_of_more_pairs_than_fit_into_the_cache_is_known_pair_by_pair() {
    let Some(server) = servers::shared() else { return };
    let stage = Stage::on(server);
    let (one, other) = (stage.node("one"), stage.node("other"));
    let shop = one.entity("shop").expect("a name");
    let count = 33_000;
    let events: Vec<_> = (0..count)
        .map(|number| {
            let happened = if number % 3 == 0 { REVOKED } else { granted(None) };
            event(shop, number, Source::File, happened)
        })
        .collect();
    assert!(events.len() < CHUNK_EVENTS_MAX);
    let key = ImportKey::of(b"a file");
    let mut done = Progress { offset: 9, lines: count, ..Progress::default() };
    let mut report = |refused: &[_]| assert!(refused.is_empty());
    one.import(key, &events, now_us(), &mut done, &mut report).expect("taken");
    assert_eq!((done.taken, done.known, done.refused), (count, 0, 0));
    assert_eq!(other.import_progress(key), Ok(Some(done.clone())));
    // Once more, as after a kill: the ledger knows it.
    let mut again = Progress { offset: 10, ..done };
    let few = &events[..100];
    one.import(key, few, now_us(), &mut again, &mut report).expect("taken");
    assert_eq!((again.taken, again.known), (count, 100));
    until("the other node has heard the end", || {
        standing(&other, shop, count - 1) == Some(StandingState::Granted)
    });
    for numbers in (0..count).collect::<Vec<_>>().chunks(500) {
        let questions: Vec<_> = numbers.iter().map(|number| question(shop, *number)).collect();
        // What comes in may put out what came in just before.
        for _ in 0..20 {
            let Some(lookup) = other.lacks(&questions, now_us()) else { break };
            wait(lookup);
        }
        let mut out = Vec::new();
        other.standings(&questions, now_us(), &mut out);
        for (number, answer) in numbers.iter().zip(&out) {
            let consentry::policy::Consent::Known(found) = answer else {
                panic!("{number}: not known in time")
            };
            let state = match number % 3 {
                0 => StandingState::Revoked,
                _ => StandingState::Granted,
            };
            assert_eq!(found.state, state, "{number}");
        }
    }
    assert!(other.stats().hot_pairs < 30_000, "{}", other.stats().hot_pairs);
    assert!(other.figures().is_some_and(|figures| figures.lookups[1] > 4_000));
}
