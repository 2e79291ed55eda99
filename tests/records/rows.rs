//! How rows hang together with the journal.

use consentry::audit::proof::{Checkpoint, Signed, tree};
use consentry::audit::{Reader, Record};
use serde_json::Value;

use crate::nodes::{Node, finish, traffic};
use crate::servers;

fn octets<const N: usize>(value: &Value) -> [u8; N] {
    let octets = consentry::archive::unhex(value.as_str().expect("digits")).expect("hexadecimal");
    octets.try_into().expect("so many")
}

#[test]
fn a_row_names_the_row_before_it_and_is_a_leaf_and_a_checkpoint_can_be_checked() {
    let Some(server) = servers::shared() else { return };
    let database = server.database("rows");
    let node = Node::new("north", &database, None);
    let journal = node.open();
    traffic(&journal, 0);
    finish(&node, &journal);
    let rows = server.query_in(
        "rows",
        "SELECT record, previous, encode(leaf, 'hex'), kind, detail FROM consentry_records \
         ORDER BY record",
    );
    let mut rows = rows.into_iter();
    let mut reader = Reader::open(&node.audit()).expect("the journal is there");
    let (mut before, mut checkpoints) = (0_u64, 0);
    while let Some(entry) = reader.next().expect("whole") {
        if matches!(entry.record(), Record::Link(_)) {
            continue;
        }
        let row = rows.next().expect("a row a record");
        let leaf = tree::leaf(entry.octets).iter().map(|octet| format!("{octet:02x}")).collect();
        let expected = [entry.number.to_string(), before.to_string(), leaf];
        assert_eq!(row[..3], expected.map(Some));
        before = entry.number;
        if let Record::Checkpoint(expected) = entry.record() {
            let detail: Value = serde_json::from_str(row[4].as_deref().expect("it")).expect("JSON");
            let number = |name: &str| detail[name].as_u64().expect("a number");
            let signed = Signed {
                checkpoint: Checkpoint {
                    segment: number("segment"),
                    first: number("first"),
                    size: number("size"),
                    root: octets(&detail["root"]),
                    chain: octets(&detail["chain"]),
                    time_us: number("time_us"),
                    key: octets(&detail["key"]),
                },
                signature: octets(&detail["signature"]),
            };
            assert!(signed == expected && signed.is_by(node.public()));
            checkpoints += 1;
        }
    }
    assert!(rows.next().is_none() && checkpoints > 1, "{checkpoints}");
    let forms = server
        .query_in("rows", "SELECT node, numbers, length(tokens) FROM consentry_records_journals");
    assert_eq!(forms, [["north", "masked", "16"].map(|text| Some(text.to_owned()))]);
}

#[test]
fn a_mirror_that_may_only_insert_delivers_where_somebody_made_the_tables() {
    let Some(server) = servers::shared() else { return };
    let database = server.database("inserts");
    let first = Node::new("north", &database, None);
    let journal = first.open();
    traffic(&journal, 0);
    finish(&first, &journal);
    server.query_in(
        "inserts",
        "CREATE ROLE writer LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
         GRANT INSERT ON consentry_records TO writer; \
         GRANT SELECT, INSERT ON consentry_records_journals TO writer",
    );
    let writer = database.replace("consentry@", "writer@");
    let node = Node::new("south", &writer, Some(&first));
    let journal = node.open();
    traffic(&journal, 1);
    finish(&node, &journal);
    let count = "SELECT node, count(*) FROM consentry_records WHERE kind = 'verdict' GROUP BY node";
    let counts = server.query_in("inserts", count);
    assert_eq!((counts.len(), &counts[0][1]), (2, &counts[1][1]));
    for forbidden in ["DELETE FROM consentry_records", "UPDATE consentry_records SET leaf = NULL"] {
        let sql = format!("SET ROLE writer; {forbidden}");
        assert!(server.try_query("inserts", &sql).is_err(), "{forbidden}");
    }
}
