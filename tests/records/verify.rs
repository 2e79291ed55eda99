//! A node that writes its own journal anew is found by what it mirrored before. The attacker has the node: its
//! journal and the key that signs it; not the mirror.

use std::path::Path;

use consentry::audit::keys::SigningKey;
use consentry::audit::{Reader, Record};
use serde_json::Value;

use crate::forger::{Segment, put_together, segments, take_apart};
use crate::nodes::{Node, finish, traffic};
use crate::search::{lines, nodes};
use crate::servers;

/// The octet of a verdict's record that says what the verdict is: behind head, session, command and
/// sequence_number.
const VERDICT_OCTET: usize = 32;

/// A copy of a node's files.
fn copy(node: &Node) -> Node {
    let copy = Node::at(&node.name, &node.database);
    for folder in ["audit", "keys"] {
        copy_folder(&node.folder.path().join(folder), &copy.folder.path().join(folder));
    }
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        match entry.path().is_dir() {
            true => copy_folder(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied")),
        }
    }
    let mode = std::fs::metadata(from).expect("it").permissions();
    std::fs::set_permissions(to, mode).expect("chmod");
}

/// The first refused message behind record 1000: where it stands, and its number.
fn refused(segments: &[Segment]) -> ((usize, usize, usize), u64) {
    let mut number = 1;
    for (s, segment) in segments.iter().enumerate() {
        for (g, (group, _)) in segment.groups.iter().enumerate() {
            for (r, record) in group.iter().enumerate() {
                if number > 1000 && record[2] == 6 && record[VERDICT_OCTET] == 2 && r > 0 {
                    return ((s, g, r), number);
                }
                number += 1;
            }
            number += 1;
        }
    }
    panic!("nothing is refused");
}

fn verify(node: &Node, more: &[&str]) -> (Option<i32>, Value) {
    let args = ["audit", "verify", "-c", "consentry.toml", "--json"];
    let (code, out, err) = node.run(&[&args[..], more].concat());
    let said = lines(&out).into_iter().next().unwrap_or_else(|| panic!("{err}"));
    (code, said)
}

const OVER: [&str; 2] = ["--mirror", "all"];

/// What somebody does to the parts of a journal.
type Forgery = fn(&mut Vec<Segment>, (usize, usize, usize));

#[test]
fn whatever_a_node_writes_anew_and_signs_is_found_with_the_first_record_and_checkpoint() {
    let Some(nodes) = nodes() else { return };
    let node = &nodes[0];
    let (code, said) = verify(node, &OVER);
    assert_eq!((code, &said["whole"]), (Some(0), &true.into()), "{said}");
    let whole = &said["mirrored"][0];
    assert_eq!((&whole["node"], &whole["not_mirrored"]), (&"north".into(), &1.into()), "{said}");
    assert!(whole["same"].as_u64() > Some(2_000), "{said}");

    // What is done, and how far behind the first refused message the first record is that is another.
    let attacks: [(&str, Forgery, i64); 7] = [
        (
            "a refusal becomes a pass",
            |all, (s, g, r)| {
                all[s].groups[g].0[r][VERDICT_OCTET] = 1;
            },
            0,
        ),
        ("a message has another time", |all, (s, g, r)| all[s].groups[g].0[r][9] ^= 1, 0),
        ("a record is dropped", |all, (s, g, r)| drop(all[s].groups[g].0.remove(r)), 0),
        (
            "a record is put in",
            |all, (s, g, r)| {
                let record = all[s].groups[g].0[r].clone();
                all[s].groups[g].0.insert(r, record);
            },
            1,
        ),
        ("two records change places", |all, (s, g, r)| all[s].groups[g].0.swap(r - 1, r), -1),
        ("a group is dropped", |all, (s, g, _)| drop(all[s].groups.remove(g)), i64::MIN),
        (
            "a segment and all behind it are cut off",
            |all, (s, ..)| {
                // The link that seals goes too: the journal looks as if its writer was killed.
                all.truncate(s);
                all.last_mut().and_then(|last| last.groups.pop());
            },
            i64::MIN,
        ),
    ];
    for (name, forge, behind) in &attacks {
        let forged = copy(node);
        let mut parts = take_apart(&forged.audit());
        let (place, record) = refused(&parts);
        forge(&mut parts, place);
        let key = SigningKey::open(&forged.keys()).expect("readable").expect("a key");
        put_together(&parts, &forged.audit(), &key);
        let (code, said) = verify(&forged, &[]);
        assert_eq!(code, Some(0), "{name}: by itself it is whole: {said}");
        let (code, said) = verify(&forged, &OVER);
        assert_eq!((code, &said["whole"]), (Some(1), &false.into()), "{name}: {said}");
        assert_eq!(said["node"], "north", "{name}: {said}");
        if *behind != i64::MIN {
            let first = record.checked_add_signed(*behind).expect("a record");
            assert_eq!(said["record"], first, "{name}: {said}");
            let covers = |checkpoint: &Value| {
                checkpoint["first"].as_u64() <= Some(first)
                    && Some(first) <= checkpoint["last"].as_u64()
            };
            assert!(covers(&said["checkpoint"]), "{name}: {said}");
        }
        let why = said["why"].as_str().expect("it");
        let is_named = why.contains("written anew") || why.contains("cut off");
        assert!(is_named && why.contains("whole by itself"), "{name}: {said}");
        if *name != attacks[0].0 {
            continue;
        }
        // Another name of the node does not hide it: the key signed what was mirrored.
        let config = forged.folder.path().join("consentry.toml");
        let text = std::fs::read_to_string(&config).expect("it").replace("north", "another");
        std::fs::write(&config, text).expect("written");
        assert_eq!(verify(&forged, &OVER).0, Some(1), "{name}");
    }
}

#[test]
fn another_journal_in_the_place_of_the_first_is_found() {
    let Some(nodes) = nodes() else { return };
    for with_its_key in [true, false] {
        let forged = copy(&nodes[1]);
        std::fs::remove_dir_all(forged.audit()).expect("removed");
        if !with_its_key {
            for file in ["signing.key", "signing.pub"] {
                std::fs::remove_file(forged.keys().join(file)).expect("removed");
            }
        }
        let journal = forged.open();
        traffic(&journal, 2);
        journal.close(crate::nodes::NOW_US).expect("closed");
        drop(journal);
        assert_eq!(verify(&forged, &[]).0, Some(0));
        let (code, said) = verify(&forged, &OVER);
        assert_eq!((code, &said["node"]), (Some(1), &"south".into()), "{said}");
        assert!(said["record"].as_u64() < Some(10), "{said}");
        let why = said["why"].as_str().expect("it");
        assert_eq!(why.contains("is not signed by this key"), !with_its_key, "{said}");
    }
}

#[test]
fn what_was_mirrored_stands_against_what_is_mirrored_later_and_what_was_not_is_said() {
    let Some(server) = servers::shared() else { return };
    let database = server.database("later");
    let node = Node::new("north", &database, None);
    let journal = node.open();
    traffic(&journal, 0);
    finish(&node, &journal);
    drop(journal);
    // Recorded since, and not mirrored: it can be written anew unseen, and that is what is said.
    let journal = node.open();
    traffic(&journal, 0);
    journal.close(crate::nodes::NOW_US).expect("closed");
    drop(journal);
    let mirrored = server.query_in("later", "SELECT max(record) FROM consentry_records");
    let mirrored: u64 = mirrored[0][0].as_deref().and_then(|n| n.parse().ok()).expect("a number");
    let last = last(&node);
    let key = SigningKey::open(&node.keys()).expect("readable").expect("a key");
    let mut parts = take_apart(&node.audit());
    let (group, _) = parts.last_mut().expect("one").groups.first_mut().expect("one");
    let at = group.iter().position(|record| record[2] == 6).expect("a message");
    group[at][VERDICT_OCTET] = 3;
    put_together(&parts, &node.audit(), &key);
    let (code, said) = verify(&node, &OVER);
    assert_eq!(
        (code, &said["mirrored"][0]["not_mirrored"]),
        (Some(0), &(last - mirrored).into()),
        "{said}"
    );
    let (_, out, _) = node.run(&["audit", "verify", "-c", "consentry.toml", "--mirror", "all"]);
    let says = format!("not covered: records {} to {last} are not mirrored yet", mirrored + 1);
    assert!(out.contains(&says), "{out}");

    // What was mirrored is written anew, and mirrored anew under another word: the first stays.
    let mut parts = take_apart(&node.audit());
    let ((s, g, r), record) = refused(&parts);
    parts[s].groups[g].0[r][VERDICT_OCTET] = 1;
    put_together(&parts, &node.audit(), &key);
    std::fs::remove_file(node.audit().join("mirrors/all.json")).expect("the place");
    let journal = node.open();
    finish(&node, &journal);
    drop(journal);
    let words = server.query_in("later", "SELECT DISTINCT journal FROM consentry_records");
    assert_eq!(words.len(), 2);
    let (code, said) = verify(&node, &OVER);
    assert_eq!((code, &said["record"]), (Some(1), &record.into()), "{said}");
    // Whoever knows why there are two takes one of them.
    let mut codes: Vec<Option<i32>> = words
        .iter()
        .filter_map(|word| word[0].as_deref())
        .map(|word| verify(&node, &[&OVER[..], &["--journal", word]].concat()).0)
        .collect();
    codes.sort();
    assert_eq!(codes, [Some(0), Some(1)]);
}

fn last(node: &Node) -> u64 {
    let mut reader = Reader::open(&node.audit()).expect("a journal");
    let mut last = 0;
    while let Some(entry) = reader.next().expect("whole") {
        let _ = matches!(entry.record(), Record::Link(_));
        last = entry.number;
    }
    last
}

#[test]
fn a_mirror_that_was_changed_is_told_from_a_journal_that_was() {
    let Some(server) = servers::shared() else { return };
    let database = server.database("changed");
    let node = Node::new("north", &database, None);
    let journal = node.open();
    traffic(&journal, 0);
    finish(&node, &journal);
    drop(journal);
    assert!(segments(&node.audit()).len() > 5);
    let row = server.query_in(
        "changed",
        "SELECT record FROM consentry_records WHERE kind = 'verdict' ORDER BY record OFFSET 99 LIMIT 1",
    );
    let record: u64 = row[0][0].as_deref().and_then(|n| n.parse().ok()).expect("a number");
    let mend = "UPDATE consentry_records SET leaf = old.leaf FROM old WHERE old.record = consentry_records.record; \
                DELETE FROM consentry_records WHERE time > '2100-01-01'";
    server.query_in("changed", "CREATE TABLE old AS SELECT record, leaf, time FROM consentry_records; \
        CREATE TABLE consentry_records_later PARTITION OF consentry_records FOR VALUES FROM ('2100-01-01') TO ('2200-01-01')");
    for (name, change) in [
        (
            "a row is another",
            format!("UPDATE consentry_records SET leaf = sha256('x') WHERE record = {record}"),
        ),
        (
            "a second row of the record",
            format!(
                "INSERT INTO consentry_records (node, journal, record, previous, leaf, time, kind) \
                 SELECT node, journal, record, previous, sha256('x'), time + interval '100 years', kind \
                 FROM consentry_records WHERE record = {record}"
            ),
        ),
    ] {
        server.query_in("changed", &change);
        let (code, said) = verify(&node, &OVER);
        assert_eq!((code, &said["record"]), (Some(1), &record.into()), "{name}: {said}");
        let why = said["why"].as_str().expect("it");
        assert!(why.contains("the mirror was changed, not the journal"), "{name}: {said}");
        server.query_in("changed", mend);
    }
    server.query_in("changed", &format!("DELETE FROM consentry_records WHERE record = {record}"));
    let (code, said) = verify(&node, &OVER);
    let gaps = said["mirrored"][0]["gaps"].as_array().expect("gaps");
    assert_eq!((code, gaps.len()), (Some(0), 1), "{said}");
    assert!(gaps[0]["behind"].as_u64() < Some(record) && gaps[0]["before"].as_u64() > Some(record));
    // What an earlier version mirrored has no leaves: nobody can tell, and that is said.
    server.query_in(
        "changed",
        "UPDATE consentry_records SET leaf = NULL, previous = NULL WHERE record <= 500",
    );
    let (code, said) = verify(&node, &OVER);
    let unknown = said["mirrored"][0]["unknown"].as_u64();
    assert!(code == Some(0) && unknown > Some(400) && unknown <= Some(500), "{said}");
    // A mirror that knows nothing of a node tells nothing of it.
    let stranger = Node::new("south", &database, None);
    let journal = stranger.open();
    traffic(&journal, 1);
    journal.close(crate::nodes::NOW_US).expect("closed");
    drop(journal);
    let (code, out, err) =
        stranger.run(&["audit", "verify", "-c", "consentry.toml", "--mirror", "all"]);
    assert!(
        code == Some(2) && out.is_empty() && err.contains("nothing of node south"),
        "{out}{err}"
    );
}
