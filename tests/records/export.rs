//! `audit export` over all nodes: what it holds, what it says of what is missing, and that it can be checked.

use std::path::Path;

use serde_json::Value;

use crate::nodes::{NOW_US, Node, SECOND_US, finish, recipient, traffic};
use crate::search::nodes;
use crate::servers;

fn time(seconds: u64) -> String {
    let micros = i64::try_from(NOW_US + seconds * SECOND_US).expect("a time");
    jiff::Timestamp::from_microsecond(micros).expect("a time").to_string()
}

fn export(node: &Node, more: &[&str]) -> (Option<i32>, String, String) {
    let args = ["audit", "export", "-c", "consentry.toml", "--mirror", "all"];
    node.run(&[&args[..], more].concat())
}

fn check(node: &Node, folder: &str) -> (Option<i32>, String) {
    let (code, out, _) =
        node.run(&["audit", "verify", "--bundle", folder, "--key", "keys/signing.pub"]);
    (code, out)
}

fn read(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).expect("a file of the bundle")
}

#[test]
fn an_export_says_of_which_nodes_it_is_and_is_the_same_each_time() {
    let Some(nodes) = nodes() else { return };
    let node = &nodes[0];
    let (from, to) = (time(200), time(260));
    for format in ["csv", "ndjson"] {
        let out = format!("handed-over-{format}");
        let ask =
            ["--from", &from, "--to", &to, "--verdict", "observe", "--format", format, "--out"];
        let (code, said, err) = export(node, &[&ask[..], &[&out]].concat());
        // Every seventh message of sixty seconds that is no fifth one, on three nodes.
        assert_eq!((code, err.as_str()), (Some(0), ""), "{said}");
        assert!(said.starts_with("21 rows of 3 journals, 0 gaps, signed, not proved: "), "{said}");
        let again = format!("again-{format}");
        export(node, &[&ask[..], &[&again]].concat());
        let (folder, other) = (node.folder.path().join(&out), node.folder.path().join(&again));
        let table = format!("records.{format}");
        for file in ["cover.txt", &table, "manifest.json", "manifest.sig", "signing.pub"] {
            let same =
                std::fs::read(folder.join(file)).ok() == std::fs::read(other.join(file)).ok();
            assert!(same && folder.join(file).exists(), "{file}");
        }
        let manifest: Value = serde_json::from_str(&read(&folder, "manifest.json")).expect("JSON");
        assert_eq!((&manifest["from"], &manifest["complete"]), (&"mirror".into(), &true.into()));
        let names: Vec<&str> = manifest["nodes"]
            .as_array()
            .expect("nodes")
            .iter()
            .filter_map(|node| node["node"].as_str())
            .collect();
        assert_eq!(names, ["north", "south", "west"]);
        assert!(manifest["nodes"][0]["records"].as_u64() > Some(100), "all of that time");
        let cover = read(&folder, "cover.txt");
        assert!(
            cover.contains("no row is proved by it") && cover.contains("Nodes: complete"),
            "{cover}"
        );
        let rows = read(&folder, &table);
        assert!(
            !rows.contains(&recipient(210)) && rows.contains("861********"),
            "masked as they are there"
        );
        match format {
            "csv" => {
                assert!(rows.starts_with(
                    "\u{feff}node,journal,leaf,receipt_node,receipt_journal,record,time"
                ))
            }
            _ => {
                let row: Value =
                    serde_json::from_str(rows.lines().next().expect("a row")).expect("JSON");
                assert_eq!(
                    (&row["node"], row["leaf"].as_str().map(str::len)),
                    (&"north".into(), Some(64))
                );
                assert_eq!(row["became"], "answered");
                let told =
                    rows.lines().find(|row| row.contains("receipt_node")).expect("a receipt");
                assert!(told.contains("\"receipt_state\":\"delivered\""), "{told}");
            }
        }
        assert_eq!(check(node, &out).0, Some(0), "{}", check(node, &out).1);
        assert!(check(node, &out).1.contains("21 rows of a mirror, complete, signed by"));
        // Whatever is changed of it shows.
        for file in ["cover.txt", &table, "manifest.json", "manifest.sig"] {
            let path = folder.join(file);
            let whole = std::fs::read(&path).expect("read");
            let mut changed = whole.clone();
            let at = changed.len() / 2;
            changed[at] ^= 1;
            std::fs::write(&path, changed).expect("written");
            let (code, said) = check(node, &out);
            assert!(code == Some(1) && said.starts_with("broken"), "{file}: {said}");
            std::fs::write(&path, whole).expect("written");
        }
        std::fs::write(folder.join("more.txt"), "x").expect("written");
        assert_eq!(check(node, &out).0, Some(1));
    }
    let (code, _, err) = export(node, &["--format", "parquet", "--out", "parquet"]);
    assert!(code == Some(2) && err.contains("csv or ndjson"), "{err}");
    let (code, _, _) = export(node, &["--provider", "nobody", "--out", "nothing"]);
    assert_eq!(code, Some(1));
}

#[test]
fn what_is_missing_in_a_mirror_is_named() {
    let Some(server) = servers::shared() else { return };
    let database = server.database("gaps");
    let node = Node::new("north", &database, None);
    let journal = node.open();
    traffic(&journal, 0);
    finish(&node, &journal);
    drop(journal);
    let around = server.query_in(
        "gaps",
        "DELETE FROM consentry_records WHERE record IN (1000, 1001, 1003); \
         SELECT max(record) FILTER (WHERE record < 1000), min(record) FILTER (WHERE record > 1003), \
         count(*) FILTER (WHERE record = 1002) FROM consentry_records",
    );
    let [behind, before, between] = &around[0][..] else { panic!("{around:?}") };
    let (code, said, err) = export(&node, &["--verdict", "observe", "--out", "holes"]);
    assert_eq!(code, Some(0), "{err}");
    let gaps = if between.as_deref() == Some("1") { 2 } else { 1 };
    assert!(said.contains(&format!("{gaps} gaps")), "{said}");
    assert!(err.contains("more may come"), "an open end: {err}");
    let folder = node.folder.path().join("holes");
    let manifest: Value = serde_json::from_str(&read(&folder, "manifest.json")).expect("JSON");
    assert_eq!(manifest["complete"], false);
    let told = &manifest["nodes"][0]["gaps"];
    assert_eq!(told[0]["behind"].to_string(), behind.clone().expect("it"));
    assert_eq!(told[gaps - 1]["before"].to_string(), before.clone().expect("it"));
    let cover = read(&folder, "cover.txt");
    assert!(cover.contains("not complete") && cover.contains("missing: "), "{cover}");
    assert!(check(&node, "holes").1.contains("with gaps or an open end"));
}
