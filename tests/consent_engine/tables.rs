//! The tables: made, migrated, refused; and that what is asked of large ones goes by their indexes.

use std::time::Duration;

use consentry::consent::shared::engine::KEPT;
use consentry::consent::shared::schema::{Did, Make, STEPS, Step, VERSION};
use consentry::consent::shared::{Engine, EngineFault, NameKind};
use consentry::consent::{PairKey, Scope};
use consentry::policy::StandingState;

use super::stage::{NOW_US, REVOKED, Stage, batch, block_on, entity, grant, person, staged, told};

/// The next version, as it may be: a column with a default, and a table.
const NEXT: Step = Step {
    version: VERSION + 1,
    brings: "what comes next",
    make: &[
        Make::Run(
            "ALTER TABLE consentry_consent_head ADD COLUMN IF NOT EXISTS more bigint NOT NULL DEFAULT 0",
        ),
        Make::Run(
            "ALTER TABLE consentry_consent_pairs ADD COLUMN IF NOT EXISTS more bigint NOT NULL DEFAULT 0",
        ),
        Make::Partitioned { table: "consentry_more", columns: "key bigint PRIMARY KEY", by: "key" },
    ],
};
const AFTER_NEXT: Step = Step { version: VERSION + 2, brings: "what comes after that", make: &[] };

fn steps(more: &[Step]) -> Vec<Step> {
    STEPS.iter().chain(more).copied().collect()
}

async fn works(engine: &Engine) {
    engine.check().await.unwrap();
    engine.apply(&batch(&[told(1, 0, grant(None))])).await.unwrap();
    engine.apply(&batch(&[told(1, 1, REVOKED), told(2, 0, REVOKED)])).await.unwrap();
    let keys: Vec<_> = (1..9).map(|number| PairKey::new(entity(0), person(number))).collect();
    let pairs = engine.pairs(&keys).await.unwrap();
    assert_eq!(pairs.len(), 2);
    for (_, pair) in pairs {
        let standing = pair.standing(Scope::ALL, NOW_US, 1);
        assert_eq!(standing.state, StandingState::Revoked);
    }
}

/// What the engine says against tables of a version, wherever it meets them.
async fn says(engine: &Engine) -> [String; 3] {
    let events = [told(1, 0, REVOKED)];
    let said = [
        engine.check().await.unwrap_err(),
        engine.changes(0, 0, 1).await.unwrap_err(),
        engine.apply(&batch(&events)).await.unwrap_err(),
    ];
    said.map(|fault| {
        assert!(matches!(fault, EngineFault::Schema(_)), "{fault}");
        fault.to_string()
    })
}

#[test]
fn a_database_without_tables_says_what_to_do_and_two_may_do_it_at_once() {
    let Some(stage) = Stage::new() else { return };
    block_on(async {
        let engine = stage.engine(2);
        for said in says(&engine).await {
            assert!(said.contains("consentry consent migrate -c FILE"), "{said}");
        }
        let migrating: Vec<_> = (0..4)
            .map(|_| {
                let engine = stage.engine(1);
                tokio::spawn(async move { engine.migrate().await })
            })
            .collect();
        for migrating in migrating {
            let did = migrating.await.unwrap().unwrap();
            assert!(matches!(did[..], [Did::Reached(1, _) | Did::Nothing(1)]), "{did:?}");
        }
        assert_eq!(engine.migrate().await, Ok(vec![Did::Nothing(VERSION)]));
        let parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'consentry_consent_pairs'::regclass";
        assert_eq!(stage.query(parts)[0][0].as_deref(), Some("16"));
        let ones = "SELECT (SELECT count(*) FROM consentry_schema), \
                    (SELECT count(*) FROM consentry_consent_head), \
                    (SELECT count(*) FROM consentry_consent_changes)";
        assert_eq!(stage.query(ones)[0], ["1"; 3].map(|one| Some(one.to_owned())));
        works(&engine).await;
    });
}

/// Nodes of this version work on while the tables go up by one, and stop when they go up by two.
#[test]
fn this_version_works_with_the_next_ones_tables_and_no_further() {
    staged(async |_, engine| {
        works(&engine).await;
        let reached = vec![Did::Reached(NEXT.version, NEXT.brings)];
        assert_eq!(engine.migrate_by(&steps(&[NEXT])).await, Ok(reached));
        let nothing = vec![Did::Nothing(NEXT.version)];
        assert_eq!(engine.migrate_by(&steps(&[NEXT])).await, Ok(nothing));
        let events = [told(3, 0, REVOKED)];
        engine.apply(&batch(&events)).await.unwrap();
        engine.check().await.unwrap();
        assert_eq!(engine.give(NameKind::Entity, "乙").await, Ok(Ok(1)));
        assert_eq!(engine.pairs_after(None, 9).await.unwrap().len(), 3);
        assert_eq!(engine.migrate().await, Ok(vec![Did::Later(NEXT.version)]));
        engine.migrate_by(&steps(&[NEXT, AFTER_NEXT])).await.unwrap();
        for said in says(&engine).await {
            assert!(said.contains("version 3") && said.contains("install a later"), "{said}");
        }
    });
}

/// A statement that waits for a table must not keep those waiting who come after it.
#[test]
fn a_migration_stands_in_nobodys_way() {
    staged(async |stage, engine| {
        works(&engine).await;
        let url = format!("postgres://consentry@{}/{}", stage.server.address(), stage.database);
        let server = consentry::postgres::Server::new(url.parse().unwrap(), None).unwrap();
        let reader = server.connect().await.unwrap();
        reader.batch_execute("BEGIN; SELECT * FROM consentry_consent_head").await.unwrap();
        let migrating = stage.engine(1);
        let migrating =
            tokio::spawn(async move { migrating.migrate_by(&steps(&[NEXT])).await.unwrap() });
        let waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'";
        while stage.query(waits).is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for number in 10..13 {
            engine.apply(&batch(&[told(number, 0, REVOKED)])).await.unwrap();
        }
        assert!(!migrating.is_finished());
        reader.batch_execute("COMMIT").await.unwrap();
        let reached = [Did::Reached(NEXT.version, NEXT.brings)];
        assert_eq!(migrating.await.unwrap(), reached);
        assert_eq!(engine.counts().await.unwrap().pairs, 5);
    });
}

/// The command, twice at once.
#[test]
fn the_command_says_what_it_did() {
    let Some(stage) = Stage::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("consentry.toml");
    let migrate = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_consentry"));
        command.args(["consent", "migrate", "-c"]).arg(&config);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let said = |child: std::process::Child| {
        let output = child.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    };
    let write = |consent: &str| {
        let listen = "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"127.0.0.1:1\"]\n";
        std::fs::write(&config, format!("{listen}\n[consent]\n{consent}\n")).unwrap();
    };
    write("path = \"consent\"");
    let (status, text) = said(migrate());
    assert!(status == 2 && text.contains("needs no migration"), "{status} {text}");
    let url = format!("postgres://consentry@{}/{}", stage.server.address(), stage.database);
    write(&format!("url = \"{url}\""));
    let both = [migrate(), migrate()].map(said);
    let reached = format!("version {VERSION}: the consent ledger\n");
    let nothing = format!("nothing to do: the tables have version {VERSION}\n");
    for (status, text) in &both {
        assert!(*status == 0 && (*text == reached || *text == nothing), "{status} {text}");
    }
    assert!(both.iter().any(|(_, text)| *text == reached));
    assert_eq!(said(migrate()), (0, nothing));
    write("url = \"postgres://consentry@127.0.0.1:1/none\"");
    let (status, text) = said(migrate());
    assert!(status == 2 && text.contains("127.0.0.1:1"), "{status} {text}");
}

#[test]
fn tables_of_an_earlier_version_are_to_be_migrated() {
    staged(async |stage, engine| {
        stage.query("UPDATE consentry_schema SET version = 0");
        for said in says(&engine).await {
            assert!(said.contains("version 0") && said.contains("consent migrate"), "{said}");
        }
        let did = engine.migrate().await.unwrap();
        assert!(matches!(did[..], [Did::Reached(1, _)]), "{did:?}");
        works(&engine).await;
    });
}

/// As an operator makes them who distributes them in the engine's own way, and as an engine makes them
/// that has no hash partitions.
#[test]
fn whole_tables_do_as_well() {
    let Some(stage) = Stage::new() else { return };
    block_on(async {
        stage.query(
            "CREATE TABLE consentry_consent_pairs (key bigint PRIMARY KEY, value bytea NOT NULL)",
        );
        stage.query(
            "CREATE TABLE consentry_consent_events (key bigint, number bigint, value bytea NOT NULL, \
             PRIMARY KEY (key, number))",
        );
        let engine = stage.engine(2);
        let did = engine.migrate().await.unwrap();
        let whole = [Did::Whole("consentry_consent_pairs"), Did::Whole("consentry_consent_events")];
        assert_eq!(did[..2], whole);
        assert!(did[0].to_string().contains("without hash partitions"));
        works(&engine).await;
        assert_eq!(engine.history(PairKey::new(entity(0), person(1))).await.unwrap().len(), 2);
    });
}

/// Scans of all tables whose name begins so: whole ones, by index.
fn scans(stage: &Stage, table: &str) -> (u64, u64) {
    let rows = stage.query(&format!(
        "SELECT coalesce(sum(seq_scan), 0), coalesce(sum(idx_scan), 0) FROM pg_stat_user_tables \
         WHERE relname LIKE '{table}%'"
    ));
    let number = |at: usize| rows[0][at].as_deref().unwrap_or("0").parse().unwrap();
    (number(0), number(1))
}

#[test]
fn large_tables_are_asked_by_their_indexes() {
    const ROWS: u64 = 150_000;
    /// More often than the server plans with the values at hand.
    const TIMES: u64 = 8;
    let Some(stage) = Stage::new() else { return };
    block_on(async {
        let engine = stage.engine(1);
        engine.migrate().await.unwrap();
        engine.apply(&batch(&[told(0, 0, REVOKED)])).await.unwrap();
        drop(engine);
        stage.query(&format!(
            "INSERT INTO consentry_consent_pairs SELECT key + n, value \
             FROM consentry_consent_pairs, generate_series(1, {ROWS}) AS n; \
             INSERT INTO consentry_consent_events SELECT key + n, number + n, value \
             FROM consentry_consent_events, generate_series(1, {ROWS}) AS n; \
             INSERT INTO consentry_consent_changes SELECT 1 + n, stamp, key + n, value, at \
             FROM consentry_consent_changes, generate_series(1, {ROWS}) AS n WHERE number = 1; \
             UPDATE consentry_consent_head SET change = 1 + {ROWS}, event = 1 + {ROWS}",
        ));
        let tables =
            ["consentry_consent_pairs", "consentry_consent_events", "consentry_consent_changes"];
        for analyzed in [false, true] {
            if analyzed {
                stage.query("ANALYZE");
            }
            let before = tables.map(|table| scans(&stage, table));
            let engine = stage.engine(1);
            for time in 0..TIMES {
                let key = |number: u64| PairKey::new(entity(0), person(time * 1_000 + number * 7));
                let keys: Vec<_> = (0..500).map(key).collect();
                assert_eq!(engine.pairs(&keys).await.unwrap().len(), 500);
                assert_eq!(engine.history(keys[9]).await.unwrap().len(), 1);
                assert_eq!(engine.pairs_after(Some(keys[0]), 100).await.unwrap().len(), 100);
                let head = engine.changes(0, 0, 10).await.unwrap();
                let rows = stage
                    .query("SELECT stamp FROM consentry_consent_changes ORDER BY number LIMIT 1");
                let stamp: i64 = rows[0][0].as_deref().unwrap().parse().unwrap();
                assert!(head.back && head.through > ROWS);
                let first = stage
                    .query("SELECT number FROM consentry_consent_changes ORDER BY number LIMIT 1");
                let first: u64 = first[0][0].as_deref().unwrap().parse().unwrap();
                let page = engine.changes(first, stamp as u64, 100).await.unwrap();
                assert_eq!((page.back, page.pairs.len(), page.is_all), (false, 100, false));
                engine.apply(&batch(&[told(time, 9, REVOKED)])).await.unwrap();
                // Nothing is old but at the first time.
                let age = if time == 0 { Duration::ZERO } else { KEPT };
                assert_eq!(engine.prune_older(age).await, Ok(time == 0));
            }
            drop(engine);
            for (table, (whole, by_index)) in tables.into_iter().zip(before) {
                // Counted when the engine's connection has ended.
                while scans(&stage, table).1 < by_index + TIMES {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                assert_eq!(scans(&stage, table).0, whole, "{table}, analyzed: {analyzed}");
            }
        }
    });
}
