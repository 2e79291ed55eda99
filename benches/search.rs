//! Searching a long journal by its indexes: what a number, an id, an hour cost, and what each further
//! segment adds.
//!
//! ```text
//! cargo bench --bench search                                           2 M messages in a temporary folder
//! cargo bench --bench search -- --messages 25000000 --folder /var/tmp/s
//! ```
//!
//! A message is a verdict and its response, numbers encrypted, in segments of 64 MiB (or `--segment OCTETS`). The same search
//! is done by the indexes and by reading everything. Files are in the page cache as far as they fit.
//! Markdown on standard output.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use consentry::audit::index::{Indexed, index_name, index_sealed};
use consentry::audit::keys::IndexKey;
use consentry::audit::{
    Address, Durability, IsMeant, Journal, KeyRing, Options, Query, Records, ResponseRecord,
    Sealing, Searched, VerdictRecord, search, segment_firsts,
};

#[path = "../tests/fixtures/records.rs"]
mod records;

use records::VERDICT;

const NOW_US: u64 = 1_790_000_000_000_000;
/// Messages of one append.
const BATCH: u64 = 100;
/// From one message to the next.
const GAP_US: u64 = 1_000;

fn recipient(n: u64) -> String {
    // Every recipient once: the most that a filter has to hold.
    format!("86138{:08}", n % 100_000_000)
}

fn canonical(raw: &[u8]) -> Option<Vec<u8>> {
    Some(raw.strip_prefix(b"86").unwrap_or(raw).to_vec())
}

fn write(folder: &Path, keys: &Path, messages: u64, segment_octets: Option<u64>) {
    let mut options = Options::new(Durability::Written);
    options.segment_octets = segment_octets.unwrap_or(options.segment_octets);
    options.sealing = Some(Sealing { keys: keys.to_owned(), auditors: Vec::new(), content: false });
    let (journal, _) = Journal::open(folder, options, NOW_US).expect("the journal opens");
    let mut records = Records::new();
    for n in 0..messages {
        let (to, id) = (recipient(n), format!("{n:x}"));
        let (now_us, sequence_number) = (NOW_US + n * GAP_US, n as u32);
        let session = 1 + n / 100_000;
        records.verdict(now_us, &verdict(session, sequence_number, to.as_bytes()));
        records.response(now_us + GAP_US / 2, &response(session, sequence_number, id.as_bytes()));
        if (n + 1) % BATCH == 0 {
            let ticket = journal.append(&mut records).expect("taken");
            journal.wait(ticket).expect("kept");
        }
    }
    journal.append_unwaited(&mut records).expect("taken");
    journal.close(NOW_US + messages * GAP_US).expect("closes");
}

fn verdict(session: u64, sequence_number: u32, to: &[u8]) -> VerdictRecord<'_> {
    VerdictRecord {
        session,
        sequence_number,
        destination: Address { ton: 1, npi: 1, raw: to },
        class: 3,
        ..VERDICT
    }
}

fn response(session: u64, sequence_number: u32, message_id: &[u8]) -> ResponseRecord<'_> {
    ResponseRecord {
        session,
        command_id: 0x8000_0004,
        sequence_number,
        status: 0,
        latency_us: 500,
        flags: 0,
        message_id,
    }
}

/// Searches; says how long it took and what it read.
fn timed(folder: &Path, query: &Query<'_>) -> (f64, Searched) {
    let begun = Instant::now();
    let searched = search(folder, query, &mut |_| ControlFlow::Continue(())).expect("searched");
    (begun.elapsed().as_secs_f64() * 1e3, searched)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|one| one == name)?;
        arguments.get(at + 1).cloned()
    };
    let messages = after("--messages").map_or(2_000_000, |n| n.parse().expect("--messages NUMBER"));
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let base = after("--folder").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let (folder, keys) = (base.join("audit"), base.join("keys"));
    let segment = after("--segment").map(|octets| octets.parse().expect("--segment OCTETS"));
    write(&folder, &keys, messages, segment);
    let ring = Arc::new(KeyRing::open(&keys).expect("keys"));
    let key = IndexKey::open_or_create(&keys).expect("a key");

    let begun = Instant::now();
    while index_sealed(&folder, &ring, &key, &canonical).expect("indexed").is_some() {}
    let took = begun.elapsed().as_secs_f64();
    let firsts = segment_firsts(&folder).expect("segments");
    let octets: u64 = firsts
        .iter()
        .filter_map(|first| std::fs::metadata(folder.join(index_name(*first))).ok())
        .map(|found| found.len())
        .sum();
    println!("{messages} messages, {} segments", firsts.len());
    println!(
        "indexes: {:.0} ns a message, {:.2} octets a message\n",
        took * 1e9 / messages as f64,
        octets as f64 / messages as f64
    );
    println!("| search | found | segments read | by index, ms | reading everything, ms |");
    println!("|---|---|---|---|---|");
    let any = Query { keys: Some(&ring), ..Query::default() };
    let middle = messages / 2;
    let hour = NOW_US + middle * GAP_US;
    let id = format!("{middle:X}");
    let numbers =
        [("a number", recipient(middle)), ("nobody's number", "8613900000000".to_owned())];
    for (what, number) in &numbers {
        let wanted = canonical(number.as_bytes());
        let is = |_: &[u8], to: &[u8]| canonical(to) == wanted;
        let is_meant: &IsMeant<'_> = &is;
        let query = Query { number: Some(is_meant), ..any };
        row(&folder, what, &query, &key, Some(number.as_bytes()));
    }
    row(&folder, "an id", &Query { message_id: Some(id.as_bytes()), ..any }, &key, None);
    let second = Query { since_us: Some(hour), until_us: Some(hour + 1_000_000), ..any };
    row(&folder, "a second", &second, &key, None);
    row(&folder, "a rule that never fired", &Query { rule: Some(9), ..any }, &key, None);
}

fn row(folder: &Path, what: &str, query: &Query<'_>, key: &IndexKey, number: Option<&[u8]>) {
    let indexed = Indexed { key, canonical: &canonical, number };
    let by_index = Query { index: Some(&indexed), ..*query };
    let (ms, read) = timed(folder, &by_index);
    let (all_ms, all) = timed(folder, query);
    assert_eq!(read.found, all.found, "{what}");
    let (found, segments_read) = (read.found, read.segments_read);
    println!("| {what} | {found} | {segments_read} of {} | {ms:.1} | {all_ms:.0} |", read.segments);
}
