//! The journal alone: records a second, octets a record, verify, and how long opening a big one takes.
//!
//! ```text
//! cargo bench --bench journal                                         1 GiB in a temporary folder
//! cargo bench --bench journal -- --octets 10GiB --folder /var/tmp/j   as much as it says, there
//! ```
//!
//! One and two threads append batches of 100 verdicts, each waiting for its ticket as a session does: with all
//! in clear, with numbers encrypted, and with checkpoints signed too (every 100,000 records or 10 s, as configured by
//! default). The CPU time is that of all threads of the process, the making of records with it. Then the journal is filled up to its size, its last segment gets a torn tail as a kill leaves it, and
//! it is opened. Files are in the page cache as far as they fit. Markdown on standard output.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use consentry::audit::keys::SigningKey;
use consentry::audit::proof::NotaryOptions;
use consentry::audit::{
    Durability, Journal, Options, Records, Sealing, Unavailable, VerdictRecord, verify,
};
use consentry::config::size;

#[path = "../tests/fixtures/records.rs"]
mod records;

use records::VERDICT;

const NOW_US: u64 = 1_790_000_000_000_000;
/// Verdicts of one append, about what a turn of a busy session has.
const BATCH: u32 = 100;
/// Batches that each thread appends while records a second are measured.
const BATCHES: u32 = 30_000;

fn verdict(sequence_number: u32) -> VerdictRecord<'static> {
    VerdictRecord { sequence_number, class: 2, ..VERDICT }
}

/// What a journal does beside writing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Write,
    Seal,
    SealAndSign,
}

fn open(folder: &Path, durability: Durability, does: Does) -> Journal {
    let keys = folder.with_file_name("keys");
    let mut options = Options::new(durability);
    if does != Does::Write {
        let keys = keys.clone();
        options.sealing = Some(Sealing { keys, auditors: Vec::new(), content: false });
    }
    if does == Does::SealAndSign {
        options.notary = Some(NotaryOptions {
            key: SigningKey::open_or_create(&keys).expect("a key"),
            records: 100_000,
            every: Duration::from_secs(10),
            now_us: Box::new(|| NOW_US),
            on_fault: Box::new(|why| panic!("{why}")),
        });
    }
    Journal::open(folder, options, NOW_US).expect("the journal opens").0
}

/// CPU time of this process so far, in ticks of 10 ms.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let behind_name = stat.rsplit(')').next().expect("a name");
    let fields = behind_name.split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
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

/// Records a second of so many threads, and CPU time of one, seconds.
fn rate(folder: &Path, durability: Durability, does: Does, threads: u32, batches: u32) -> [f64; 2] {
    let journal = open(folder, durability, does);
    let (begun, ticks) = (Instant::now(), cpu_ticks());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| append(&journal, batches));
        }
    });
    let records = f64::from(BATCH * batches * threads);
    let rate = records / begun.elapsed().as_secs_f64();
    // With it what the notary has left.
    journal.close(NOW_US).expect("closes");
    [rate, (cpu_ticks() - ticks) as f64 / 100.0 / records]
}

fn fill(folder: &Path, octets: u64) {
    let journal = open(folder, Durability::Written, Does::Write);
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
    std::fs::create_dir_all(folder.parent().expect("it has one")).expect("made");
    println!(
        "| journal alone, batches of {BATCH} | M records/s | CPU us a record |\n|---|--:|--:|"
    );
    let few = BATCHES / 30;
    for (name, durability, does, threads, batches) in [
        ("written, 1 thread", Durability::Written, Does::Write, 1, BATCHES),
        ("written, 2 threads", Durability::Written, Does::Write, 2, BATCHES),
        ("written, encrypted, 1 thread", Durability::Written, Does::Seal, 1, BATCHES),
        ("written, encrypted, 2 threads", Durability::Written, Does::Seal, 2, BATCHES),
        (
            "written, encrypted, signed, 1 thread",
            Durability::Written,
            Does::SealAndSign,
            1,
            BATCHES,
        ),
        (
            "written, encrypted, signed, 2 threads",
            Durability::Written,
            Does::SealAndSign,
            2,
            BATCHES,
        ),
        ("queued, 1 thread", Durability::Queued, Does::Write, 1, BATCHES),
        ("synced, 1 thread", Durability::Synced, Does::Write, 1, few),
        ("synced, 2 threads", Durability::Synced, Does::Write, 2, few),
    ] {
        let [rate, cpu] = self::rate(&folder, durability, does, threads, batches);
        println!("| {name} | {:.2} | {:.3} |", rate / 1e6, cpu * 1e6);
        std::fs::remove_dir_all(&folder).expect("removed");
    }
    println!("\n| {octets} octets of it | |\n|---|--:|");
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
