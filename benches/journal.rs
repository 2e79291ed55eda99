//! The journal alone: records a second, octets a record, verify, and how long opening a big one takes.
//!
//! ```text
//! cargo bench --bench journal                                         1 GiB in a temporary folder
//! cargo bench --bench journal -- --octets 10GiB --folder /var/tmp/j   as much as it says, there
//! ```
//!
//! One and two threads append batches of 100 verdicts, each waiting for its ticket as a session does;
//! then the journal is filled up to its size, its last segment gets a torn tail as a kill leaves it, and
//! it is opened. Files are in the page cache as far as they fit. Markdown on standard output.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use consentry::audit::{
    Address, Durability, Journal, Options, PASS, Records, References, Unavailable, VerdictRecord,
    verify,
};
use consentry::config::size;

const NOW_US: u64 = 1_790_000_000_000_000;
/// Verdicts of one append, about what a turn of a busy session has.
const BATCH: u32 = 100;
/// Batches that each thread appends while records a second are measured.
const BATCHES: u32 = 30_000;

fn verdict(sequence_number: u32) -> VerdictRecord<'static> {
    VerdictRecord {
        session: 1,
        command_id: 4,
        sequence_number,
        verdict: PASS,
        rule: 0,
        observed: 0,
        status: 0,
        command_length: 120,
        source: Address { ton: 0, npi: 1, raw: b"106900001234" },
        destination: Address { ton: 1, npi: 1, raw: b"8613800000000" },
        esm_class: 0,
        data_coding: 8,
        part: None,
        class: 2,
        consent: 0,
        asks_receipt: false,
        references: References::default(),
    }
}

fn open(folder: &Path, durability: Durability) -> Journal {
    Journal::open(folder, Options::new(durability), NOW_US).expect("the journal opens").0
}

fn append(journal: &Journal, batches: u32) {
    let mut records = Records::new();
    for batch in 0..batches {
        for at in 0..BATCH {
            records.verdict(NOW_US, &verdict(batch.wrapping_mul(BATCH) + at));
        }
        let ticket = loop {
            match journal.append(&mut records) {
                Ok(ticket) => break ticket,
                // `queued` takes more than the file does: then the file is what is measured.
                Err(Unavailable::Backlog) => std::thread::sleep(Duration::from_millis(1)),
                Err(why) => panic!("{why}"),
            }
        };
        journal.wait(ticket).expect("kept");
    }
}

/// Records a second of so many threads.
fn rate(folder: &Path, durability: Durability, threads: u32, batches: u32) -> f64 {
    let journal = open(folder, durability);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| append(&journal, batches));
        }
    });
    let rate = f64::from(BATCH * batches * threads) / begun.elapsed().as_secs_f64();
    journal.close(NOW_US).expect("closes");
    rate
}

fn fill(folder: &Path, octets: u64) {
    let journal = open(folder, Durability::Written);
    while journal.disk_use().octets < octets {
        append(&journal, 1_000);
    }
    journal.close(NOW_US).expect("closes");
}

/// Puts the beginning of a record behind the last segment, as a kill in the middle of a write does.
fn tear(folder: &Path) {
    let entries =
        std::fs::read_dir(folder).expect("listed").map(|entry| entry.expect("one").path());
    let segments = entries.filter(|path| path.extension().is_some_and(|name| name == "seg"));
    let last = segments.max().expect("a segment");
    let mut file = std::fs::OpenOptions::new().append(true).open(last).expect("opens");
    file.write_all(&[98, 0, 6, 0, 1, 2, 3, 4]).expect("written");
}

fn main() {
    let mut octets = 1 << 30;
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let mut folder = temporary.path().join("journal");
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value behind the option");
        match argument.as_str() {
            "--octets" => octets = size::parse(&value()).expect("a size such as 10GiB"),
            "--folder" => folder = PathBuf::from(value()).join("journal"),
            "--bench" => {} // cargo's own
            other => panic!("{other}: there are --octets and --folder"),
        }
    }
    assert!(!folder.exists(), "{} is there already", folder.display());
    println!("| journal alone | |\n|---|--:|");
    for (name, durability, threads, batches) in [
        ("written, 1 thread", Durability::Written, 1, BATCHES),
        ("written, 2 threads", Durability::Written, 2, BATCHES),
        ("queued, 1 thread", Durability::Queued, 1, BATCHES),
        ("synced, 1 thread", Durability::Synced, 1, BATCHES / 30),
        ("synced, 2 threads", Durability::Synced, 2, BATCHES / 30),
    ] {
        let millions = rate(&folder, durability, threads, batches) / 1e6;
        println!("| {name}, batches of {BATCH}: M records/s | {millions:.2} |");
        std::fs::remove_dir_all(&folder).expect("removed");
    }
    fill(&folder, octets as u64);
    let begun = Instant::now();
    let verified = verify(&folder).expect("whole");
    let took = begun.elapsed().as_secs_f64();
    println!("| octets | {} |", verified.octets);
    println!("| octets a record | {:.1} |", verified.octets as f64 / verified.records as f64);
    println!("| verify: M records/s | {:.2} |", verified.records as f64 / took / 1e6);
    tear(&folder);
    let begun = Instant::now();
    let (journal, found) =
        Journal::open(&folder, Options::new(Durability::Synced), NOW_US).expect("opens");
    let took = begun.elapsed();
    assert!(found.torn_octets > 0, "it was torn");
    println!("| segments | {} |", found.segments);
    println!("| opening it with a torn end: ms | {:.1} |", took.as_secs_f64() * 1e3);
    journal.close(NOW_US).expect("closes");
    std::fs::remove_dir_all(&folder).expect("removed");
}
