//! The engine is killed, silent, cut off, forgets, or goes back.

use std::time::Duration;

use consentry::consent::desk::{self, Ask};
use consentry::consent::{
    Claim, Claimed, EventFault, Happened, Ledger, Scope, Source, UNSURE_EVENTS_MAX,
};
use consentry::policy::StandingState;

use super::forward::Forwarder;
use super::servers::{self, Server};
use super::stage::{
    PATIENCE, REVOKED, Stage, event, granted, history, now_us, reply, standing, tell, until, wait,
};

#[test]
fn while_the_engine_is_down_revocations_are_kept_and_grants_wait() {
    let Some(mut server) = Server::start() else { return };
    let stage = Stage::on(&server);
    let node = stage.node("node");
    let shop = node.entity("shop").expect("a name");
    let grants: Vec<_> =
        (0..4).map(|number| event(shop, number, Source::Api, granted(None))).collect();
    assert_eq!(tell(&node, &grants), Ok((0, Vec::new())));
    assert_eq!(standing(&node, shop, 0), Some(StandingState::Granted));
    server.down();
    until("it is seen", || !node.figures().expect("it is shared").is_up);
    // A handset, and an operator who tells more than can be taken.
    reply(&node, shop, 0, REVOKED);
    assert_eq!(standing(&node, shop, 0), Some(StandingState::Revoked));
    let both =
        [event(shop, 1, Source::Api, granted(None)), event(shop, 1, Source::Operator, REVOKED)];
    let (waiting, refused) = tell(&node, &both).expect("the revocation is taken");
    assert_eq!((waiting, refused[0].at, refused[0].fault), (1, 0, EventFault::EngineDown));
    let why = tell(&node, &both[..1]).expect_err("grants wait");
    assert!(why.contains("grants wait"), "{why}");
    let Claim::Asked(claim) = node.claim(&[sent(shop)], now_us()) else { panic!("claimed") };
    assert_eq!(wait(claim), [Claimed::Unavailable]);
    // Beyond the bound nothing is known but that.
    until("what is known is too old", || standing(&node, shop, 2).is_none());
    assert_eq!(standing(&node, shop, 1), Some(StandingState::Revoked));
    assert!(node.unavailable().is_none(), "it takes what it is told");
    // The process ends without the engine, and starts without it.
    drop(node);
    let node = stage.node_of("node", "renamed", stage.address);
    assert_eq!(node.find_entity("shop"), Some(shop));
    assert_eq!(standing(&node, shop, 0), Some(StandingState::Revoked));
    assert_eq!(standing(&node, shop, 2), None);
    assert_eq!(node.figures().expect("it is shared").outbox_events, 2);
    server.up();
    let other = stage.node("other");
    for number in [0, 1] {
        until("it is delivered", || standing(&other, shop, number) == Some(StandingState::Revoked));
        assert_eq!(history(&other, shop, number), ["granted", "revoked"], "once");
    }
    until("all is as before", || standing(&node, shop, 2) == Some(StandingState::Granted));
    assert_eq!(node.figures().expect("it is shared").outbox_events, 0);
    assert_eq!(tell(&node, &both[..1]).map(|(waiting, _)| waiting), Ok(0));
}

fn sent(shop: consentry::consent::EntityId) -> consentry::consent::Event {
    event(shop, 9, Source::Message, Happened::Sent { scope: Scope::ALL })
}

#[test]
fn a_node_that_hears_nothing_says_so_and_hears_again() {
    let Some(server) = servers::shared() else { return };
    let stage = Stage::on(server);
    let way = Forwarder::start(stage.address);
    let (far, near) = (stage.node_at("far", way.address), stage.node("near"));
    let shop = near.entity("shop").expect("a name");
    until("it is heard", || standing(&far, shop, 1) == Some(StandingState::None));
    for cut in 0..3 {
        let grant = event(shop, cut, Source::Api, granted(None));
        assert_eq!(tell(&near, &[grant]), Ok((0, Vec::new())));
        until("it is known", || standing(&far, shop, cut) == Some(StandingState::Granted));
        match cut {
            // Connections end and none is made.
            0 => way.refuse(true),
            // Nothing ends, and nothing comes.
            1 => way.slow(Duration::from_secs(5)),
            _ => way.reset_after(1),
        }
        reply(&near, shop, cut, REVOKED);
        reply(&far, shop, cut + 100, REVOKED);
        until("what is known is too old", || standing(&far, shop, cut).is_none());
        assert_eq!(standing(&far, shop, cut + 100), Some(StandingState::Revoked), "its own");
        // In the last round the engine has forgotten, meanwhile, what the node would go on from.
        if cut == 2 {
            let forget = |engine: consentry::consent::shared::Engine| async move {
                while engine.prune_older(Duration::ZERO).await? {}
                Ok::<_, consentry::consent::shared::EngineFault>(())
            };
            stage.run(forget);
        }
        way.refuse(false);
        way.slow(Duration::ZERO);
        way.reset_after(0);
        until("it is heard again", || standing(&far, shop, cut) == Some(StandingState::Revoked));
        until("and hears", || standing(&near, shop, cut + 100) == Some(StandingState::Revoked));
        assert_eq!(history(&near, shop, cut + 100), ["revoked"], "once");
    }
}

const TABLES: [&str; 5] = ["head", "pairs", "events", "changes", "nodes"];

#[test]
fn an_engine_that_went_back_is_told_again_and_answers_nothing_old_meanwhile() {
    let Some(server) = servers::shared() else { return };
    let stage = Stage::on(server);
    let run = |sql: String| server.query_in(&stage.database, &sql);
    let (node, other) = (stage.node("node"), stage.node("other"));
    let shop = node.entity("shop").expect("a name");
    let grants: Vec<_> =
        (0..2).map(|number| event(shop, number, Source::Api, granted(None))).collect();
    assert_eq!(tell(&node, &grants), Ok((0, Vec::new())));
    // What a standby had that is behind.
    for table in TABLES {
        run(format!("CREATE TABLE kept_{table} AS SELECT * FROM consentry_consent_{table}"));
    }
    reply(&node, shop, 0, REVOKED);
    until("the other node knows", || standing(&other, shop, 0) == Some(StandingState::Revoked));
    until("it is delivered", || node.figures().expect("it is shared").outbox_events == 0);
    let mut back = String::from("BEGIN; ");
    for table in TABLES {
        back.push_str(&format!(
            "DELETE FROM consentry_consent_{table}; \
             INSERT INTO consentry_consent_{table} SELECT * FROM kept_{table}; "
        ));
    }
    run(format!("{back} COMMIT"));
    // On the node that heard it, it is in force all the while.
    let until_then = std::time::Instant::now() + Duration::from_millis(600);
    while std::time::Instant::now() < until_then {
        let stands = standing(&node, shop, 0);
        assert!(stands.is_none_or(|state| state == StandingState::Revoked), "{stands:?}");
    }
    until("the other node knows again", || {
        standing(&other, shop, 0) == Some(StandingState::Revoked)
    });
    until("it is delivered again", || history(&other, shop, 0) == ["granted", "revoked"]);
    assert_eq!(standing(&other, shop, 1), Some(StandingState::Granted));
}

/// What an operator tells by the API.
fn told(ledger: &Ledger, body: &str) -> serde_json::Value {
    let body = body.as_bytes();
    let answer = desk::answer(ledger, Ask::Events, body, Source::Api, now_us(), &mut Vec::new());
    serde_json::from_str(&answer.expect("it is taken")).expect("an object")
}

#[test]
fn a_refusal_without_an_entity_is_for_all_known_here_while_the_engine_is_out_of_reach() {
    let Some(server) = servers::shared() else { return };
    let stage = Stage::on(server);
    let way = Forwarder::start(stage.address);
    let node = stage.node_at("node", way.address);
    assert!(node.settle(PATIENCE), "the engine is heard");
    let shop = node.entity("shop").expect("a name");
    let bank = node.entity("bank").expect("a name");
    assert_eq!(tell(&node, &[event(shop, 1, Source::Api, granted(None))]), Ok((0, Vec::new())));
    way.refuse(true);
    until("it is seen", || !node.figures().expect("it is shared").is_up);
    let recycled = |number: usize| {
        let number = 8_613_000_000_000 + number;
        format!("{{\"number\":{number},\"event\":\"revoked\",\"cause\":\"recycled\"}}\n")
    };
    let answer = told(&node, &recycled(1));
    assert_eq!((&answer["taken"], &answer["waiting"]), (&2.into(), &2.into()), "{answer}");
    for entity in [shop, bank] {
        assert_eq!(standing(&node, entity, 1), Some(StandingState::Revoked), "at once");
    }
    // At the limit, and one past it.
    let most = UNSURE_EVENTS_MAX / 2;
    let body: String = (0..=most).map(|at| recycled(100 + at)).collect();
    let answer = told(&node, &body);
    assert_eq!(answer["taken"], UNSURE_EVENTS_MAX, "{answer}");
    assert_eq!(answer["refused"].as_array().map(Vec::len), Some(1), "{answer}");
    assert_eq!(answer["refused"][0]["line"], most + 1);
    let why = answer["refused"][0]["why"].as_str().unwrap_or_default();
    assert!(why.starts_with("entity: is missing") && why.ends_with("name the entity"), "{why}");
    way.refuse(false);
    until("all is delivered", || node.figures().expect("it is shared").outbox_events == 0);
    let other = stage.node("other");
    assert_eq!(history(&other, shop, 1), ["granted", "revoked"]);
    assert_eq!(history(&other, bank, 1), ["revoked"]);
    assert_eq!(history(&other, bank, 100), ["revoked"]);
    // With the engine it is for those who know the number.
    assert_eq!(told(&node, &recycled(2))["taken"], 0);
}

#[test]
fn nothing_is_told_to_a_ledger_that_means_others_by_the_same_numbers() {
    let Some(server) = servers::shared() else { return };
    let (mut stage, mut elsewhere) = (Stage::on(server), Stage::on(server));
    let node = stage.node("node");
    let shop = node.entity("shop").expect("a name");
    reply(&node, shop, 1, REVOKED);
    until("it is delivered", || node.figures().expect("it is shared").outbox_events == 0);
    drop(node);
    let there = elsewhere.node("there");
    assert_eq!(there.entity("another"), Ok(shop), "the same number");
    let grants: Vec<_> =
        (1..4).map(|number| event(shop, number, Source::Api, granted(None))).collect();
    assert_eq!(tell(&there, &grants), Ok((0, Vec::new())));
    // The node's outbox is kept, and its configuration leads to the other ledger.
    std::mem::swap(&mut stage.folder, &mut elsewhere.folder);
    let node = elsewhere.node_at("node", elsewhere.address);
    let revoked = [event(shop, 2, Source::Operator, REVOKED)];
    assert_eq!(tell(&node, &revoked), Ok((1, Vec::new())), "it waits");
    let why = tell(&node, &grants[..1]).expect_err("grants wait");
    assert!(why.contains("gives numbers to other legal entities"), "{why}");
    assert!(node.entity("new").is_err() && node.entities_of(revoked[0].recipient).is_err());
    reply(&node, shop, 3, REVOKED);
    let until_then = std::time::Instant::now() + Duration::from_millis(800);
    while std::time::Instant::now() < until_then {
        for number in 1..4 {
            assert_eq!(history(&there, shop, number), ["granted"], "{number}");
        }
        assert_eq!(node.figures().expect("it is shared").outbox_events, 2);
    }
    assert_eq!(there.find_entity("new"), None);
    drop(node);
    std::mem::swap(&mut stage.folder, &mut elsewhere.folder);
    let node = stage.node("node");
    until("it is delivered", || node.figures().expect("it is shared").outbox_events == 0);
    for number in 1..4 {
        assert_eq!(history(&node, shop, number), ["revoked"], "{number}");
    }
}
