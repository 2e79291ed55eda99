//! Sealed segments as Parquet: every record once, whatever breaks off between; small; whole files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::records::{BIND, VERDICT};
use consentry::archive::{
    Column, FOLDER, Join, Numbers, ROW_GROUP_ROWS, RewriteFault, Rewriter, Step, ndjson_line,
};
use consentry::audit::{
    Address, BindRecord, Durability, EndRecord, Journal, Options, PASS, REFUSE, Reader, Records,
    ResponseRecord, UnansweredRecord, UnsuccessRecord, VerdictRecord, segment_firsts,
};
use consentry::policy::Rule;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value as Json, json};

/// 2026-09-21T14:13:20Z.
const NOW_US: u64 = 1_790_000_000_000_000;
const SECOND: u64 = 1_000_000;
/// What the rewritten form of a record may take, octets.
const OCTETS_MAX: f64 = 40.0;

fn open(path: &Path) -> Journal {
    let mut options = Options::new(Durability::Written);
    options.rule_set = "cn-order74-2026".to_owned();
    Journal::open(path, options, NOW_US).expect("the journal opens").0
}

fn append(journal: &Journal, records: &mut Records) {
    let ticket = journal.append(records).expect("taken");
    journal.wait(ticket).expect("kept");
}

fn bind(session: u64, provider: &'static str, system_id: &'static [u8]) -> BindRecord<'static> {
    BindRecord { session, provider, system_id, ..BIND }
}

fn message<'a>(session: u64, sequence_number: u32, destination: &'a [u8]) -> VerdictRecord<'a> {
    VerdictRecord {
        session,
        sequence_number,
        destination: Address { ton: 1, npi: 1, raw: destination },
        class: 3,
        ..VERDICT
    }
}

fn response<'a>(session: u64, sequence_number: u32, id: &'a [u8]) -> ResponseRecord<'a> {
    ResponseRecord {
        session,
        command_id: 0x8000_0004,
        sequence_number,
        status: 0,
        latency_us: 30_000,
        flags: 0,
        message_id: id,
    }
}

/// A key that everybody may know: only its shape is tested here.
fn token(address: &Address<'_>) -> Option<u64> {
    let mix = |hash: u64, octet: &u8| (hash ^ u64::from(*octet)).wrapping_mul(0x100_0000_01b3);
    address.raw.starts_with(b"86").then(|| address.raw.iter().fold(0xcbf2_9ce4_8422_2325, mix))
}

fn rewriter(journal: &Path) -> Rewriter {
    Rewriter::open(journal, Some(Arc::new(token))).expect("the folder is free")
}

/// Steps until there is nothing to do; the files written.
fn run(rewriter: &mut Rewriter) -> Vec<PathBuf> {
    let mut written = Vec::new();
    loop {
        match rewriter.step().expect("a step") {
            Step::Wrote { path, .. } => written.push(path),
            Step::More => {}
            Step::Rest => return written,
        }
    }
}

fn files(journal: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(journal.join(FOLDER)).expect("the folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let parquet = paths.filter(|path| path.extension().is_some_and(|end| end == "parquet"));
    let name = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    parquet.map(|path| (name(&path), std::fs::read(&path).expect("octets"))).collect()
}

/// The rows of a file as objects, like lines of NDJSON.
fn rows(octets: &[u8]) -> Vec<Json> {
    let reader = SerializedFileReader::new(bytes::Bytes::copy_from_slice(octets)).expect("parquet");
    let object = |row: parquet::record::Row| {
        let field = |(name, field): (&String, &Field)| {
            let value = match field {
                Field::Null => return None,
                Field::Long(number) => json!(number),
                Field::Str(text) => json!(text),
                Field::TimestampMicros(micros) => json!(micros),
                other => panic!("{name} holds {other}"),
            };
            Some((name.clone(), value))
        };
        Json::Object(row.get_column_iter().filter_map(field).collect())
    };
    reader.get_row_iter(None).expect("rows").map(|row| object(row.expect("a row"))).collect()
}

/// What the rows of all files must be: everything joined in one walk, of the sealed segments.
fn expected(journal: &Path) -> Vec<Json> {
    let mut reader = Reader::open(journal).expect("the journal");
    let mut join = Join::default();
    while let Some(entry) = reader.next().expect("whole") {
        join.look(&entry);
    }
    join.settle_all();
    let end = *segment_firsts(journal).expect("listed").last().expect("a segment");
    let mut expected = Vec::new();
    while let Some(settled) = join.give(end) {
        let mut line = String::new();
        ndjson_line(&settled.row(Numbers::Masked(Some(&token))), &mut line);
        let mut object: Json = serde_json::from_str(&line).expect("an object");
        object["time"] = settled.record.time_us.into();
        expected.push(object);
    }
    expected
}

/// Three sealed segments and an open one: answered in its own segment (2), in the next (3), in the one after, to
/// the older of two with one sequence_number (4), never (5); refused (6), in part (8). The proxy was killed in between.
fn small(path: &Path) {
    let journal = open(path);
    let session = journal.next_session_id();
    let mut records = Records::new();
    records.bind(NOW_US, &bind(session, "示例商城有限公司", b"shop1"));
    for sequence_number in 2..=5 {
        records.verdict(NOW_US + 1, &message(session, sequence_number, b"8613800138000"));
    }
    let refused = VerdictRecord {
        verdict: REFUSE,
        rule: Rule::SourceForged.code(),
        status: 10,
        ..message(session, 6, b"8613800138001")
    };
    records.verdict(NOW_US + 1, &refused);
    records.response(NOW_US + 2, &response(session, 2, b"1a"));
    append(&journal, &mut records);
    journal.rotate();
    records.response(NOW_US + 3, &response(session, 3, b"1b"));
    records.verdict(NOW_US + 4, &message(session, 4, b"8613800138002"));
    append(&journal, &mut records);
    journal.rotate();
    records.response(NOW_US + 5, &response(session, 4, b"1c"));
    let verdict_us = NOW_US + 1;
    records.unanswered(
        NOW_US + 6,
        &UnansweredRecord { session, command_id: 4, sequence_number: 5, verdict_us },
    );
    records.verdict(NOW_US + 7, &message(session, 7, b"8613800138003"));
    for destination in [b"8613800138004", b"8613800138005"] {
        let multi = VerdictRecord { command_id: 0x21, ..message(session, 8, destination) };
        records.verdict(NOW_US + 7, &multi);
    }
    let destination = Address { ton: 1, npi: 1, raw: b"8613800138005" };
    let unsuccess = UnsuccessRecord { session, sequence_number: 8, status: 0x0b, destination };
    records.unsuccess(NOW_US + 7, &unsuccess);
    records.response(NOW_US + 7, &response(session, 8, b"1d"));
    append(&journal, &mut records);
    // As if killed: no end, no stop.
    journal.close(NOW_US + 7).expect("closes");
    let journal = open(path);
    let session = journal.next_session_id();
    records.bind(NOW_US + 8, &bind(session, "另一家有限公司", b"other1"));
    records.end(
        NOW_US + 9,
        &EndRecord { session, reason: 1, forwarded: 0, refused: 0, unanswered: 0 },
    );
    append(&journal, &mut records);
    journal.close(NOW_US + 9).expect("closes");
    assert_eq!(segment_firsts(path).expect("listed").len(), 4);
}

#[test]
fn each_message_stands_once_with_what_became_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit");
    small(&path);
    let written = run(&mut rewriter(&path));
    assert_eq!(written.len(), 3);
    let files = files(&path);
    let found: Vec<Json> = files.values().flat_map(|octets| rows(octets)).collect();
    assert_eq!(found, expected(&path));
    let messages: Vec<(u64, &str, Option<&str>)> = found
        .iter()
        .filter(|row| row["kind"] == "verdict")
        .map(|row| {
            assert_eq!(row["provider"], "示例商城有限公司");
            assert!(row["destination"].as_str().is_some_and(|number| number.contains('*')));
            let number = row["sequence_number"].as_u64().expect("a number");
            (number, row["became"].as_str().expect("a word"), row["message_id"].as_str())
        })
        .collect();
    let expected = [
        (2, "answered", Some("1a")),
        (3, "answered", Some("1b")),
        (4, "answered", Some("1c")),
        (5, "unanswered", None),
        (6, "refused", None),
        (4, "unknown", None),
        (7, "unknown", None),
        (8, "answered", Some("1d")),
        (8, "answered", None),
    ];
    assert_eq!(messages, expected);
    let not_taken = found.iter().rfind(|row| row["kind"] == "verdict").expect("a message");
    assert_eq!(not_taken["response_status"], "ESME_RINVDSTADR");
    let schema = SerializedFileReader::new(bytes::Bytes::from(files.into_values().next().unwrap()));
    let schema = schema.expect("parquet").metadata().file_metadata().schema_descr_ptr();
    let names: Vec<String> = schema.columns().iter().map(|one| one.name().to_owned()).collect();
    assert_eq!(names, Column::ALL.iter().map(|column| column.name()).collect::<Vec<_>>());
}

/// Broken off after any step, also between a file and the place that says so, and begun anew: the
/// same files, octet for octet, and nothing half done under a name that is read.
#[test]
fn whoever_goes_on_writes_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit");
    small(&path);
    run(&mut rewriter(&path));
    let whole = files(&path);
    assert!(run(&mut rewriter(&path)).is_empty(), "nothing is written twice");
    for steps in 0..4 {
        for place in [true, false] {
            std::fs::remove_dir_all(path.join(FOLDER)).expect("removed");
            let mut first = rewriter(&path);
            let before: Vec<Step> = (0..steps).map(|_| first.step().expect("a step")).collect();
            assert_eq!(files(&path).len(), before.iter().filter(|s| **s != Step::Rest).count());
            drop(first);
            let half = path.join(FOLDER).join("records-00000000000000000001.parquet.part");
            std::fs::write(&half, b"half").expect("written");
            if !place {
                let _ = std::fs::remove_file(path.join(FOLDER).join("place.json"));
            }
            run(&mut rewriter(&path));
            assert!(files(&path) == whole, "after {steps} steps, place {place}");
            assert!(!half.exists());
        }
    }
}

#[test]
fn a_segment_waits_for_its_answers_and_one_that_is_purged_takes_its_file_along() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit");
    let journal = open(&path);
    let mut records = Records::new();
    records.bind(NOW_US, &bind(9, "示例商城有限公司", b"shop1"));
    records.verdict(NOW_US, &message(9, 2, b"8613800138000"));
    append(&journal, &mut records);
    let mut rewriter = rewriter(&path);
    assert_eq!(run(&mut rewriter), Vec::<PathBuf>::new(), "nothing is sealed");
    journal.rotate();
    records.verdict(NOW_US, &message(9, 3, b"8613800138000"));
    append(&journal, &mut records);
    assert_eq!(run(&mut rewriter), Vec::<PathBuf>::new(), "2 may still be answered");
    records.response(NOW_US, &response(9, 2, b"7"));
    append(&journal, &mut records);
    assert_eq!(run(&mut rewriter).len(), 1);
    assert!(matches!(Rewriter::open(&path, None), Err(RewriteFault::Busy { .. })));
    records.response(NOW_US, &response(9, 3, b"8"));
    append(&journal, &mut records);
    let first = path.join("journal-00000000000000000001.seg");
    std::fs::remove_file(first).expect("as a purge does");
    journal.rotate();
    records.verdict(NOW_US, &message(9, 4, b"8613800138000"));
    append(&journal, &mut records);
    let written = run(&mut rewriter);
    assert_eq!(written.len(), 1);
    let found = files(&path);
    assert_eq!(found.len(), 1, "the file of the purged segment is gone");
    let octets = found.values().next().expect("a file");
    assert_eq!(rows(octets)[0]["provider"], "示例商城有限公司");
    journal.close(NOW_US).expect("closes");
}

fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// A day's traffic in small: 20 binds of 8 providers, 1,000 messages a second, codes with extensions,
/// two million people, one in 40 refused, campaigns and parts, ids as SMSCs give them, answers in
/// 5 to 200 ms; answers and messages mixed as they come.
fn traffic(path: &Path, messages: u32) -> u64 {
    let providers = ["示例商城", "另一家科技", "快递", "银行", "出行", "外卖", "政务", "游戏"];
    let journal = open(path);
    let mut records = Records::new();
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let sessions: Vec<u64> = (0..20).map(|_| journal.next_session_id()).collect();
    for (at, session) in sessions.iter().enumerate() {
        records.bind(NOW_US, &bind(*session, providers[at % providers.len()], b"shop1"));
    }
    let mut waiting = BTreeMap::new();
    let mut sequence = [1_u32; 20];
    let mut now_us = NOW_US;
    let mut count = 0;
    for at in 0..messages {
        now_us += random(&mut seed) % 2_000;
        while let Some(due) = waiting.first_entry().filter(|due| *due.key() <= (now_us, u32::MAX)) {
            let ((answered_us, number), (session, sequence_number, latency_us)) =
                due.remove_entry();
            let id = match session % 2 {
                0 => format!("{:08X}", 0x5a00_0000 + number),
                _ => format!("{:010}", random(&mut seed) % 10_000_000_000),
            };
            let answer =
                ResponseRecord { latency_us, ..response(session, sequence_number, id.as_bytes()) };
            records.response(answered_us, &answer);
            count += 1;
        }
        let bind = (random(&mut seed) % 20) as usize;
        sequence[bind] += 1;
        let person = format!("861{:010}", 3_800_000_000 + random(&mut seed) % 2_000_000 * 997);
        let code = format!("10690000{:04}{:02}", bind * 7, random(&mut seed) % 4);
        let refused = random(&mut seed).is_multiple_of(40);
        let verdict = VerdictRecord {
            source: Address { ton: 0, npi: 1, raw: code.as_bytes() },
            command_length: 100 + (random(&mut seed) % 90) as u32,
            class: if bind < 5 { 1 } else { 3 },
            consent: if bind < 5 { random(&mut seed) % 5_000_000 } else { 0 },
            verdict: if refused { REFUSE } else { PASS },
            rule: if refused { Rule::ConsentMissing.code() } else { 0 },
            status: if refused { 0x45 } else { 0 },
            ..message(sessions[bind], sequence[bind], person.as_bytes())
        };
        records.verdict(now_us, &verdict);
        count += 1;
        if !refused {
            let latency_us = 5_000 + (random(&mut seed) % 195_000) as u32;
            let key = (now_us + u64::from(latency_us), at);
            waiting.insert(key, (sessions[bind], sequence[bind], latency_us));
        }
        if at % 100 == 99 {
            append(&journal, &mut records);
        }
    }
    for session in &sessions {
        let end =
            EndRecord { session: *session, reason: 1, forwarded: 0, refused: 0, unanswered: 0 };
        records.end(now_us + SECOND, &end);
    }
    append(&journal, &mut records);
    journal.close(now_us + SECOND).expect("closes");
    open(path).close(now_us + SECOND).expect("closes");
    count
}

/// More than one row group, so that what is between two is there too.
#[test]
fn realistic_records_take_at_most_40_octets() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit");
    let messages = ROW_GROUP_ROWS as u32 + 5_000;
    let records = traffic(&path, messages);
    let written = run(&mut rewriter(&path));
    assert_eq!(written.len(), 1);
    let octets = std::fs::metadata(&written[0]).expect("the file").len() as f64;
    let a_row = octets / f64::from(messages);
    println!("{a_row:.1} octets a message, {:.1} a record", octets / records as f64);
    assert!(a_row <= OCTETS_MAX, "{a_row:.1} octets a message");
    let found = files(&path);
    let octets = found.values().next().expect("a file");
    let reader = SerializedFileReader::new(bytes::Bytes::from(octets.clone())).expect("parquet");
    assert_eq!(reader.metadata().num_row_groups(), 2);
    if std::env::var_os("CONSENTRY_COLUMNS").is_some() {
        let group = reader.metadata().row_group(0);
        for column in group.columns() {
            let octets = column.compressed_size() as f64 / group.num_rows() as f64;
            println!("{:<20} {octets:.2}", column.column_path().string());
        }
    }
}
