//! The rights that docs/postgres.md gives the nodes' user: enough, and no more.

use std::collections::BTreeSet;
use std::time::Duration;

use consentry::consent::shared::{Batch, Engine, NameKind, Origin, Told};
use consentry::consent::{Cause, EntityId, Event, Happened, IdKey, PairKey, Source};
use consentry::registry::Msisdn;

use crate::servers::shared;
use crate::{PATIENCE, database};

const DOCUMENT: &str = include_str!("../../docs/postgres.md");

/// The statements of each block of SQL, in order.
fn blocks() -> Vec<Vec<&'static str>> {
    let blocks = DOCUMENT.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(|block| block.lines().collect()).collect()
}

/// The table that a GRANT is for.
fn granted(statement: &str) -> &str {
    let (_, behind) = statement.split_once(" ON ").expect("a GRANT");
    behind.split(' ').next().expect("a table")
}

async fn everything_that_a_node_does(engine: &Engine) {
    engine.check().await.expect("the tables are known");
    assert_eq!(engine.give(NameKind::Entity, "甲").await, Ok(Ok(0)));
    engine.give(NameKind::Scope, "乙").await.expect("asked").expect("given");
    engine.names().await.expect("names");
    engine.add_keywords(&[("106900001234", "退订")]).await.expect("a keyword");
    engine.keywords(0, 10).await.expect("keywords");
    engine.add_ids(&[IdKey([7; 16])]).await.expect("an id");
    assert_eq!(engine.ids(&[IdKey([7; 16])]).await, Ok(vec![IdKey([7; 16])]));
    let (entity, recipient) =
        (EntityId::new(0).expect("one"), Msisdn::new(8613800138000).expect("one"));
    for position in 1..=2 {
        let event = Event {
            entity,
            recipient,
            time_us: 1_795_478_400_000_000 + position,
            source: Source::Api,
            happened: Happened::Revoked(Cause::Refused),
        };
        let told = [Told { event, recorded_us: event.time_us }];
        let origin = Some(Origin { node: "proxy-1", outbox: 7, first: position });
        let batch = Batch { origin, events: &told, claims: false };
        engine.apply(&batch).await.expect("applied");
    }
    let key = PairKey::new(entity, recipient);
    assert_eq!(engine.position("proxy-1", 7).await, Ok(2));
    assert_eq!(engine.pairs(&[key]).await.expect("pairs").len(), 1);
    engine.history(key).await.expect("a history");
    engine.changes(0, 0, 10).await.expect("changes");
    engine.counts().await.expect("figures");
    while engine.prune_older(Duration::ZERO).await.expect("pruned") {}
}

#[tokio::test]
async fn the_rights_of_the_document_are_enough_and_no_more() {
    let Some(server) = shared() else { return };
    // What follows them is for engines of another kind.
    let [made, grants, ..] = &blocks()[..] else { panic!("two blocks of SQL") };
    for statement in made {
        server.query(statement);
    }
    let url_of = |user: &str| server.url_of("consent").replace("consentry@", &format!("{user}@"));
    let owner = database(&url_of("consentry_owner"));
    let engine = Engine::new(owner.pool(2, PATIENCE).expect("a pool"));
    engine.migrate().await.expect("the owner makes the tables");

    let tables = "SELECT relname FROM pg_class WHERE relname LIKE 'consentry\\_%' \
                  AND relkind IN ('r', 'p') AND NOT relispartition";
    let tables = server.query_in("consent", tables);
    let tables: BTreeSet<&str> = tables.iter().filter_map(|row| row[0].as_deref()).collect();
    let named: BTreeSet<&str> = grants.iter().map(|statement| granted(statement)).collect();
    assert_eq!(tables, named, "what migrate makes, and what docs/postgres.md gives rights to");
    let connection = owner.connect().await.expect("the owner");
    for statement in grants {
        connection.batch_execute(statement).await.expect(statement);
    }

    let node = database(&url_of("consentry_node"));
    let engine = Engine::new(node.pool(2, PATIENCE).expect("a pool"));
    everything_that_a_node_does(&engine).await;
    let connection = node.connect().await.expect("the node");
    // What nodes tell each other, as src/cluster/tables.rs does.
    for sql in [
        "INSERT INTO consentry_members (node, seen, has_left) VALUES ('a', 1, false) \
         ON CONFLICT (node) DO UPDATE SET seen = excluded.seen",
        "INSERT INTO consentry_rates (provider, empty_at) VALUES ('a', 0) \
         ON CONFLICT (provider) DO NOTHING",
        "SELECT empty_at FROM consentry_rates FOR UPDATE",
        "UPDATE consentry_rates SET empty_at = 1",
        "INSERT INTO consentry_sweeps (node, turn, told) VALUES ('a', 1, '') \
         ON CONFLICT (node, turn) DO NOTHING",
        "SELECT told FROM consentry_sweeps",
        "DELETE FROM consentry_sweeps",
    ] {
        connection.batch_execute(sql).await.expect(sql);
    }
    for sql in [
        "DELETE FROM consentry_consent_events",
        "UPDATE consentry_consent_events SET number = 0",
        "UPDATE consentry_consent_events_p00 SET number = 0",
        "UPDATE consentry_consent_names SET name = 'x'",
        "DELETE FROM consentry_consent_pairs",
        "UPDATE consentry_schema SET version = 2",
        "DROP TABLE consentry_consent_head",
        "CREATE TABLE x (n int)",
    ] {
        let error = connection.batch_execute(sql).await.expect_err(sql);
        let code = error.code().map(|code| code.code());
        assert_eq!(code, Some("42501"), "{sql}: {error:?}");
    }
}
