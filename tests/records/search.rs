//! `audit search` over all nodes finds what searches of each node's journal find, and reads nothing else.

use std::sync::OnceLock;

use consentry::mirror::read::{MirrorQuery, Mirrored, Number};
use consentry::postgres::Server;
use serde_json::Value;

use crate::nodes::{
    NOW_US, Node, PROVIDERS, SECOND_US, finish, message_id, recipient, three, traffic,
};
use crate::servers;

/// Three nodes with their traffic in one table.
pub fn nodes() -> Option<&'static Vec<Node>> {
    static NODES: OnceLock<Option<Vec<Node>>> = OnceLock::new();
    NODES.get_or_init(|| Some(three(&servers::shared()?.database("three")))).as_ref()
}

pub fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

fn time(seconds: u32) -> String {
    let micros = i64::try_from(NOW_US + u64::from(seconds) * SECOND_US).expect("a time");
    jiff::Timestamp::from_microsecond(micros).expect("a time").to_string()
}

/// What a search of a journal says that a mirror does not have, or says of another place.
const NOT_MIRRORED: [&str; 7] =
    ["reading", "node", "journal", "receipts", "state", "network_error", "asks_receipt"];

fn plain(mut line: Value) -> Value {
    let object = line.as_object_mut().expect("an object");
    object.retain(|key, value| !NOT_MIRRORED.contains(&key.as_str()) && !value.is_null());
    line
}

#[test]
fn all_nodes_together_are_what_each_journal_has() {
    let Some(nodes) = nodes() else { return };
    let (to, code, id) = (recipient(123), "106900001234", message_id(1, 77));
    let hex = format!("0x{:X}", 3_001_000_077_u64);
    let (from, until) = (time(100), time(130));
    // What is asked for, and how many there are of it.
    let rows: &[(&[&str], usize)] = &[
        (&["--from", &from, "--to", &until], 3 * 30),
        // Two messages to each person on each node; one of them opted out there.
        (&["--number", &to], 3 * 2),
        (&["--number", "+86 13800000123"], 0),
        (&["--number", "13800000123"], 3 * 2),
        (&["--number", &recipient(500)], 3 * 3),
        (&["--number", code, "--to", &until, "--from", &from], 3 * 30),
        (&["--number", "8613800000123", "--provider", PROVIDERS[0]], 3 * 2),
        (&["--number", "8613800000123", "--provider", PROVIDERS[1]], 0),
        (&["--provider", PROVIDERS[1], "--from", &from, "--to", &until], 3 * 10),
        (&["--provider", "nobody"], 0),
        (&["--rule", "consent.missing", "--from", &from, "--to", &until], 3 * 6),
        // Only observed beside another rule.
        (&["--rule", "signature.missing", "--from", &from, "--to", &until], 3 * 3),
        (&["--verdict", "observe", "--to", &until], 3 * 15),
        (&["--message-id", &id], 1),
        (&["--message-id", &hex], 1),
        (&["--message-id", "3001000077", "--verdict", "observe"], 1),
        (&["--message-id", "999999999"], 0),
        (&["--reference", "entity-300"], 3),
        (&["--reference", "entity-301"], 0),
    ];
    for (asked, count) in rows {
        let all = ["audit", "search", "-c", "consentry.toml", "--json", "--limit", "100000"];
        let mut of_each: Vec<Value> = Vec::new();
        for node in nodes.iter().filter(|_| *count > 0) {
            let (code, out, err) = node.run(&[&all[..], asked].concat());
            assert!(code == Some(i32::from(out.is_empty())) && err.is_empty(), "{asked:?} {err}");
            of_each.extend(lines(&out).into_iter().map(plain));
        }
        let over = [&all[..], &["--mirror", "all"], asked].concat();
        let (code, out, err) = nodes[0].run(&over);
        assert!(err.is_empty(), "{asked:?}: {err}");
        assert_eq!(code, Some(i32::from(*count == 0)), "{asked:?}");
        let found = lines(&out);
        assert_eq!(found.len(), *count, "{asked:?}");
        assert!(found.iter().all(|line| line["journal"].as_str().is_some_and(|j| j.len() == 16)));
        let time = |line: &Value| line["time"].as_str().and_then(|time| time.parse().ok());
        let times: Vec<jiff::Timestamp> = found.iter().filter_map(time).collect();
        assert!(times.is_sorted() && times.len() == *count, "{asked:?}");
        let mut found: Vec<Value> = found.into_iter().map(plain).collect();
        let key = |line: &Value| (line["time"].to_string(), line["record"].as_u64());
        found.sort_by_key(key);
        of_each.sort_by_key(key);
        assert_eq!(found, of_each, "{asked:?}");
    }
}

#[test]
fn a_receipt_is_told_beside_its_message_whichever_node_it_came_through() {
    let Some(nodes) = nodes() else { return };
    for (at, name) in (0..).zip(["north", "south", "west"]) {
        let through = ["north", "south", "west"][(at as usize + 1) % 3];
        let id = message_id(at, 444);
        let (_, out, _) = nodes[0].run(&[
            "audit",
            "search",
            "-c",
            "consentry.toml",
            "--json",
            "--mirror",
            "all",
            "--message-id",
            &id,
        ]);
        let [line] = &lines(&out)[..] else { panic!("{out}") };
        assert_eq!((&line["node"], &line["state"]), (&name.into(), &"delivered".into()), "{line}");
        let receipts = line["receipts"].as_array().expect("receipts");
        assert_eq!((receipts.len(), &receipts[0]["node"]), (1, &through.into()), "{line}");
    }
    // The journal of the node itself does not know.
    let (_, out, _) = nodes[0].run(&[
        "audit",
        "search",
        "-c",
        "consentry.toml",
        "--json",
        "--message-id",
        &message_id(0, 444),
    ]);
    assert!(lines(&out)[0].get("receipts").is_none(), "{out}");
}

#[test]
fn nodes_are_chosen_numbers_are_masked_and_the_look_is_recorded() {
    let Some(nodes) = nodes() else { return };
    let node = &nodes[2];
    let to = recipient(321);
    let search = ["audit", "search", "-c", "consentry.toml", "--mirror", "all", "--number", &to];
    let (code, out, err) =
        node.run(&[&search[..], &["--json", "--node", "south", "--unmask"]].concat());
    let found = lines(&out);
    assert_eq!((code, found.len()), (Some(0), 2), "{out}{err}");
    assert!(found.iter().all(|line| line["node"] == "south"));
    assert!(found.iter().all(|line| line["destination"] == "861********21"), "{out}");
    assert!(err.contains("2 results have masked numbers"), "{err}");
    let (_, out, _) = node.run(&search);
    assert!(out.starts_with("north  ") && !out.contains(&to), "{out}");
    let (_, out, _) = node.run(&["audit", "access", "-c", "consentry.toml", "--json"]);
    let looks = lines(&out);
    let mine: Vec<&Value> = looks
        .iter()
        .filter(|look| look["asked"].as_str().is_some_and(|a| a.contains("**21")))
        .collect();
    assert_eq!(mine[0]["asked"], "number 861********21, over nodes south");
    assert_eq!(
        (&mine[0]["unmasked"], &mine[1]["asked"]),
        (&true.into(), &"number 861********21, over all nodes".into())
    );
    assert!(!out.contains(&to) && !out.contains("postgres"), "{out}");

    // Nowhere to record it: nothing is shown.
    let elsewhere = tempfile::tempdir().expect("a folder");
    let url = servers::shared().expect("a server").url_of("three");
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_consentry"));
        let output = command.args(args).current_dir(elsewhere.path()).output().expect("it runs");
        (
            output.status.code(),
            String::from_utf8(output.stdout).expect("text"),
            String::from_utf8(output.stderr).expect("text"),
        )
    };
    let (code, out, err) = run(&["audit", "search", "--url", &url, "--verdict", "refuse"]);
    assert!(code == Some(2) && out.is_empty() && err.contains("--unrecorded"), "{out}{err}");
    let (code, out, _) = run(&[
        "audit",
        "search",
        "--url",
        &url,
        "--rule",
        "consent.missing",
        "--unrecorded",
        "--limit",
        "3",
    ]);
    assert_eq!((code, out.lines().count()), (Some(0), 3));
}

#[test]
fn a_number_is_not_looked_for_where_its_tokens_are_of_another_key_and_that_is_said() {
    let Some(server) = servers::shared() else { return };
    let database = server.database("two_keys");
    let first = Node::new("north", &database, None);
    let second = Node::new("south", &database, None);
    for (at, node) in (0..).zip([&first, &second]) {
        let journal = node.open();
        traffic(&journal, at);
        finish(node, &journal);
    }
    let to = recipient(9);
    let search =
        ["audit", "search", "-c", "consentry.toml", "--mirror", "all", "--json", "--number", &to];
    let (code, out, err) = first.run(&search);
    assert_eq!((code, lines(&out).len()), (Some(0), 2), "{out}");
    assert!(
        err.contains("node south") && err.contains("it is not searched for the number"),
        "{err}"
    );
    // With the other key too.
    let other = second.keys().join("index.key").display().to_string();
    let (code, out, err) = first.run(&[&search[..], &["--index-key", &other]].concat());
    assert_eq!((code, lines(&out).len(), err.as_str()), (Some(0), 4, ""), "{out}");
    // Only what nobody here can search: it cannot be told.
    let (code, out, err) = first.run(&[&search[..], &["--node", "south"]].concat());
    assert!(code == Some(2) && out.is_empty() && err.contains("--index-key"), "{out}{err}");
    // A code is whole everywhere.
    let code = [
        "audit",
        "search",
        "-c",
        "consentry.toml",
        "--mirror",
        "all",
        "--json",
        "--number",
        "106900001234",
        "--limit",
        "5",
    ];
    let (status, out, err) = first.run(&code);
    assert_eq!((status, lines(&out).len()), (Some(0), 5), "{err}");
    // A receipt whose number nobody can compare is not taken for the message's.
    let id = message_id(0, 444);
    let (_, out, err) = first.run(&[
        "audit",
        "search",
        "-c",
        "consentry.toml",
        "--mirror",
        "all",
        "--json",
        "--message-id",
        &id,
    ]);
    assert!(lines(&out)[0].get("receipts").is_none(), "{out}");
    assert!(err.contains("1 receipts have the id of a message here"), "{err}");
}

#[test]
fn whole_numbers_are_found_as_they_are_and_shown_where_that_is_asked() {
    let Some(server) = servers::shared() else { return };
    let database = server.database("whole");
    let mut node = Node::new("north", &database, None);
    node.whole_numbers = true;
    let journal = node.open();
    traffic(&journal, 0);
    finish(&node, &journal);
    let to = recipient(123);
    for written in [&to, "13800000123", "+8613800000123", "008613800000123"] {
        let search =
            ["audit", "search", "-c", "consentry.toml", "--mirror", "all", "--json", "--number"];
        let (code, out, err) = node.run(&[&search[..], &[written]].concat());
        assert_eq!((code, lines(&out).len(), err.as_str()), (Some(0), 2, ""), "{out}");
        assert!(!out.contains(&to) && out.contains("861********23"), "{out}");
        let (_, out, err) = node.run(&[&search[..], &[written, "--unmask"]].concat());
        assert!(
            lines(&out).iter().all(|line| line["destination"] == to) && err.is_empty(),
            "{out}"
        );
    }
}

#[test]
fn each_question_is_answered_by_an_index_of_its_own() {
    let Some(nodes) = nodes() else { return };
    let server: Server = Server::new(
        servers::shared().expect("a server").url_of("three").parse().expect("a URL"),
        None,
    )
    .expect("a server");
    let mirrored = Mirrored::open(&server, "consentry_records").expect("a table");
    let token =
        consentry::audit::keys::IndexKey::open(&nodes[0].keys()).expect("keys").expect("a key");
    let tokens = [format!("{:016x}", token.number(b"n8613800000123"))];
    let is_meant = |_: &[u8], _: &[u8]| true;
    let number = |tails| Number { tokens: &tokens, tails, is_meant: &is_meant };
    let nobody = ["99999999".to_owned()];
    let asked: [(&str, MirrorQuery<'_>); 8] = [
        ("number", MirrorQuery { number: Some(number(&[])), ..MirrorQuery::default() }),
        ("code", MirrorQuery { number: Some(number(&nobody)), ..MirrorQuery::default() }),
        ("provider", MirrorQuery { provider: Some("nobody"), ..MirrorQuery::default() }),
        ("rule", MirrorQuery { rule: Some("content.prohibited"), ..MirrorQuery::default() }),
        ("message_id", MirrorQuery { message_id: Some("1000077"), ..MirrorQuery::default() }),
        ("reference", MirrorQuery { reference: Some("entity-300"), ..MirrorQuery::default() }),
        ("session", MirrorQuery { session: Some(1), ..MirrorQuery::default() }),
        (
            "time",
            MirrorQuery {
                since_us: Some(NOW_US + 100 * SECOND_US),
                until_us: Some(NOW_US + 101 * SECOND_US),
                ..MirrorQuery::default()
            },
        ),
    ];
    // Without statistics, and with them.
    for analyzed in [false, true] {
        if analyzed {
            servers::shared().expect("a server").query_in("three", "ANALYZE consentry_records");
        }
        for (name, query) in &asked {
            let plan = mirrored.explain(query).expect("explained");
            assert!(!plan.contains("Seq Scan on"), "{name}, analyzed {analyzed}:\n{plan}");
            let passed_over: u64 = plan
                .lines()
                .filter_map(|line| line.trim().strip_prefix("Rows Removed by Filter: "))
                .filter_map(|rows| rows.parse::<u64>().ok())
                .sum();
            assert!(passed_over < 10, "{name}, analyzed {analyzed}:\n{plan}");
        }
    }
}
