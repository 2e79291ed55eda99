//! Kind `postgres`, with a real server.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use consentry::audit::{Durability, Journal, Options as JournalOptions, Records, RulesRecord};
use consentry::mirror::{Mirror, Options, To};
use serde_json::{Value, json};

use crate::forward::Forwarder;
use crate::running::Proxy;
use crate::servers::certificates::{authority, certificate};
use crate::servers::{Server, Tls, shared};
use crate::{caught_up, config, metric, records, same, smsc, stop, traffic, within};

fn mirror(to: SocketAddr, more: &str) -> String {
    config(&format!(
        "[[mirror]]\nname = \"warehouse\"\nkind = \"postgres\"\nnode = \"here\"\nwait = \"20ms\"\n\
         url = \"postgres://consentry@{to}/postgres\"\n{more}"
    ))
}

/// All rows of the table, as objects with record and kind.
fn rows(server: &Server) -> Vec<Value> {
    let rows = server.query("SELECT record, kind FROM consentry_records");
    let object = |row: &Vec<Option<String>>| {
        let record: u64 = row[0].as_deref().and_then(|text| text.parse().ok()).expect("a number");
        json!({"record": record, "kind": row[1]})
    };
    rows.iter().map(object).collect()
}

fn last(folder: &Path) -> u64 {
    *records(folder).last_key_value().expect("records").0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_makes_itself_and_has_what_the_journal_has() {
    let Some(server) = Server::start() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc();
    let proxy = Proxy::start(folder.path(), smsc.address(), &mirror(server.address(), ""), "");
    traffic(&proxy, 1000).await;
    caught_up(&proxy, "warehouse");
    let through = last(folder.path());
    same(&rows(&server), &records(folder.path()), through);

    let one = server.query(
        "SELECT node, provider, system_id, source, destination, verdict, rule, octets, \
         to_char(time, 'YYYY') FROM consentry_records WHERE kind = 'verdict' AND sequence_number = 3",
    );
    let expected = ["here", "测试有限公司", "test", "106911119999", "861********03", "refuse"];
    let found: Vec<_> = one[0].iter().take(6).flatten().map(String::as_str).collect();
    assert_eq!(found, expected);
    assert_eq!(one[0][6].as_deref(), Some("source.forged"));
    assert!(one[0][8].as_deref() > Some("2025"), "{:?}", one[0]);
    // A message and its answer, joined as docs/mirrors.md does.
    let joined = server.query(
        "SELECT count(*) FROM consentry_records v JOIN consentry_records a \
         ON (a.node, a.journal, a.session, a.sequence_number) = \
            (v.node, v.journal, v.session, v.sequence_number) \
         AND a.kind = 'response' AND a.record > v.record \
         WHERE v.kind = 'verdict' AND a.became = 'answered' AND a.response_status = 'ESME_ROK'",
    );
    // Every third sequence_number of 2 to 1001 is refused.
    assert_eq!(joined[0][0].as_deref(), Some("667"));
    let partitions = server
        .query("SELECT count(*) FROM pg_inherits WHERE inhparent = 'consentry_records'::regclass");
    let partitions: u32 =
        partitions[0][0].as_deref().and_then(|n| n.parse().ok()).expect("a count");
    assert!((1..=2).contains(&partitions), "one a month");
    stop(proxy);

    // A table of an earlier version gets the columns that it lacks; what is there twice is there once.
    server.query("ALTER TABLE consentry_records DROP COLUMN detail");
    let place = folder.path().join("audit/mirrors/warehouse.json");
    let text = std::fs::read_to_string(&place).expect("the place");
    let mut object: Value = serde_json::from_str(&text).expect("an object");
    object["record"] = 1.into();
    std::fs::write(&place, object.to_string()).expect("written");
    let proxy = Proxy::start(folder.path(), smsc.address(), &mirror(server.address(), ""), "");
    caught_up(&proxy, "warehouse");
    let through = last(folder.path());
    same(&rows(&server), &records(folder.path()), through);
    server.query("SELECT detail FROM consentry_records LIMIT 1");
    drop(proxy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_slow_or_resets_loses_nothing_and_holds_up_no_message() {
    let Some(mut server) = Server::start() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc();
    let way = Forwarder::start(server.address());
    way.refuse(true);
    let mirror = mirror(way.address, "batch = 200\n");
    let mut proxy = Proxy::start(folder.path(), smsc.address(), &mirror, "");
    // Not there from the beginning.
    traffic(&proxy, 500).await;
    within("it says so", Duration::from_secs(10), || {
        !proxy.logged("the mirror takes nothing").is_empty()
    });
    way.refuse(false);
    caught_up(&proxy, "warehouse");
    // Slow: a message is as quick as ever.
    way.slow(Duration::from_millis(30));
    let began = std::time::Instant::now();
    traffic(&proxy, 500).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    caught_up(&proxy, "warehouse");
    way.slow(Duration::ZERO);
    // Resetting in the middle of whatever is said.
    for octets in [100, 3_000, 9_000, 20_000] {
        way.cut();
        way.reset_after(octets);
        traffic(&proxy, 200).await;
        std::thread::sleep(Duration::from_millis(700));
    }
    way.reset_after(0);
    caught_up(&proxy, "warehouse");
    // The server goes without a word, the proxy is killed in the middle, and both come back.
    server.down();
    traffic(&proxy, 200).await;
    server.up();
    for _ in 0..5 {
        traffic(&proxy, 200).await;
        proxy.signal("-KILL");
        proxy.wait();
        proxy = Proxy::start(folder.path(), smsc.address(), &mirror, "");
    }
    caught_up(&proxy, "warehouse");
    let through = last(folder.path());
    same(&rows(&server), &records(folder.path()), through);
    let words = server.query("SELECT DISTINCT journal FROM consentry_records");
    assert_eq!(words.len(), 1);
    drop(proxy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_the_server_refuses_is_put_aside_and_the_others_go_on() {
    let Some(server) = Server::start() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc();
    let mirror = mirror(server.address(), "");
    let proxy = Proxy::start(folder.path(), smsc.address(), &mirror, "");
    within("the table is there", Duration::from_secs(20), || {
        let there = server.query("SELECT to_regclass('consentry_records')");
        there[0][0].is_some()
    });
    server.query(
        "ALTER TABLE consentry_records ADD CONSTRAINT no_seven \
         CHECK (kind <> 'verdict' OR sequence_number NOT IN (7, 300))",
    );
    traffic(&proxy, 500).await;
    caught_up(&proxy, "warehouse");
    let rejected = "consentry_mirror_rejected_rows_total{mirror=\"warehouse\"}";
    within("the metric shows it", Duration::from_secs(5), || metric(&proxy, rejected) == Some(2.0));
    let file = folder.path().join("audit/mirrors/warehouse.rejected.ndjson");
    let said = proxy.logged("a row is refused for ever");
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().all(|line| {
        line.contains("constraint no_seven") && line.contains(&file.display().to_string())
    }));
    assert!(said.iter().all(|line| !line.contains("861")), "no number in the log: {said:?}");
    let text = std::fs::read_to_string(&file).expect("the rejected rows");
    let aside: BTreeSet<u64> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("an object"))
        .map(|row| row["record"].as_u64().expect("a number"))
        .collect();
    assert_eq!(aside.len(), 2);
    let mut all = rows(&server);
    all.extend(aside.iter().map(|record| json!({"record": record, "kind": "verdict"})));
    same(&all, &records(folder.path()), last(folder.path()));
}

/// Mirrors that begin at once.
const AT_ONCE: usize = 8;

#[test]
fn mirrors_that_begin_at_once_make_one_table_together() {
    const NOW_US: u64 = 1_790_000_000_000_000;
    let Some(server) = shared() else { return };
    let url = server.database("at_once");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let open = |path: &Path| {
        let options = JournalOptions::new(Durability::Synced);
        Journal::open(path, options, NOW_US).expect("the journal opens").0
    };
    let folders: Vec<_> = (0..AT_ONCE).map(|one| folder.path().join(one.to_string())).collect();
    for folder in &folders {
        let journal = open(folder);
        let mut one = Records::new();
        one.rules(NOW_US, &RulesRecord { rules: [7; 32], rule_set: "cn-order74-2026" });
        journal.append(&mut one).expect("taken");
        journal.close(NOW_US).expect("closes");
    }
    let journals: Vec<_> = folders.iter().map(|folder| open(folder)).collect();
    let options = |node: usize| Options {
        name: format!("m{node}"),
        to: To::Postgres {
            url: url.parse().expect("a URL"),
            password: None,
            table: "records".to_owned(),
        },
        node: node.to_string(),
        whole_numbers: false,
        content: false,
        keys: Default::default(),
        token: None,
        token_key: None,
        batch: 100,
        wait: Duration::from_millis(10),
    };
    let begin = |(node, journal): (usize, &Journal)| {
        Mirror::start(journal.clone(), &folders[node], options(node)).expect("it begins")
    };
    let mirrors: Vec<_> = journals.iter().enumerate().map(begin).collect();
    within("all are delivered", Duration::from_secs(60), || {
        mirrors.iter().all(|mirror| mirror.figures().lag == 0)
    });
    let failures: Vec<_> = mirrors.iter().map(|mirror| mirror.figures().failures).collect();
    assert_eq!(failures, [0; AT_ONCE], "whoever comes second finds what is there");
    mirrors.into_iter().for_each(Mirror::stop);
    let nodes = server.query_in("at_once", "SELECT count(DISTINCT node) FROM records");
    assert_eq!(nodes[0][0].as_deref(), Some("8"));
    for journal in journals {
        journal.close(NOW_US).expect("closes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_believes_whom_its_url_says_and_has_its_password_from_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = tempfile::tempdir().expect("a temporary folder");
    authority(files.path(), "ca");
    authority(files.path(), "other");
    certificate(files.path(), "ca", "server", "DNS:localhost");
    let hba = "hostssl all writer 127.0.0.1/32 scram-sha-256";
    let tls = Tls { folder: files.path(), certificate: "server", authority: "ca", hba };
    let Some(server) = Server::start_tls(&tls) else { return };
    server.query(
        "CREATE ROLE writer LOGIN PASSWORD 'hunter2'; GRANT CREATE ON SCHEMA public TO writer",
    );
    let smsc = smsc();
    let port = server.address().port();
    let mirror = config(&format!(
        "[[mirror]]\nname = \"warehouse\"\nkind = \"postgres\"\nwait = \"20ms\"\n\
         password = \"password\"\n\
         url = \"postgres://writer@localhost:{port}/postgres?sslmode=verify-full&sslrootcert=ca.pem\"\n"
    ));
    let password = folder.path().join("password");
    std::fs::write(&password, "hunter2\n").expect("written");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&password, private).expect("chmod");
    let trusted = folder.path().join("ca.pem");
    std::fs::copy(files.path().join("other.pem"), &trusted).expect("copied");
    let proxy = Proxy::start(folder.path(), smsc.address(), &mirror, "");
    traffic(&proxy, 100).await;
    within("it believes nobody", Duration::from_secs(20), || {
        let said = proxy.logged("the mirror takes nothing");
        said.iter().any(|line| line.contains("signed by no authority in sslrootcert"))
    });
    // What is put in the place of a file is in force for the next connection.
    std::fs::copy(files.path().join("ca.pem"), &trusted).expect("copied");
    caught_up(&proxy, "warehouse");
    same(&rows(&server), &records(folder.path()), last(folder.path()));
    assert!(proxy.logged("hunter2").is_empty(), "no password");
    drop(proxy);
}
