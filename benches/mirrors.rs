//! Rows a second of each kind of mirror, from a journal that is there already to the other side.
//!
//! ```text
//! cargo bench --bench mirrors                                                  files, in a temporary folder
//! cargo bench --bench mirrors -- --records 2000000 --postgres postgres://me@127.0.0.1/db
//! cargo bench --bench mirrors --features kafka -- --kafka 127.0.0.1:9092       topic consentry.bench
//! ```
//!
//! Verdicts of one session, which is what most records are. The table `consentry_bench` is left behind.
//! BENCHMARKS.md says how a broker is started for this. Markdown on standard output.

use std::path::Path;
use std::time::{Duration, Instant};

use consentry::audit::{Durability, Journal, Options as JournalOptions, Records, VerdictRecord};
use consentry::mirror::{Format, Mirror, Options, To};

#[path = "../tests/fixtures/records.rs"]
mod records;

use records::VERDICT;

const NOW_US: u64 = 1_790_000_000_000_000;

fn verdict(sequence_number: u32) -> VerdictRecord<'static> {
    VerdictRecord { session: 1, sequence_number, class: 2, ..VERDICT }
}

fn fill(folder: &Path, count: u32) -> Journal {
    let (journal, _) =
        Journal::open(folder, JournalOptions::new(Durability::Synced), NOW_US).expect("opens");
    let mut records = Records::new();
    for sequence in 0..count {
        records.verdict(NOW_US + u64::from(sequence), &verdict(sequence));
        if records.len() == 10_000 || sequence + 1 == count {
            let ticket = journal.append(&mut records).expect("taken");
            journal.wait(ticket).expect("kept");
        }
    }
    journal
}

/// Mirrors everything; rows a second.
fn rate(journal: &Journal, folder: &Path, name: &str, to: To) -> f64 {
    let options = Options {
        name: name.to_owned(),
        to,
        node: "bench".to_owned(),
        whole_numbers: false,
        content: false,
        keys: Default::default(),
        token: None,
        token_key: None,
        batch: 5_000,
        wait: Duration::from_millis(10),
    };
    let begun = Instant::now();
    let mirror = Mirror::start(journal.clone(), folder, options).expect("it begins");
    while mirror.figures().lag > 0 {
        let figures = mirror.figures();
        assert_eq!((figures.rejected, figures.skipped), (0, 0), "{name}");
        assert!(figures.failures < 20, "{name} takes nothing: {figures:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = begun.elapsed().as_secs_f64();
    let delivered = mirror.figures().delivered;
    mirror.stop();
    delivered as f64 / took
}

fn main() {
    let (mut records, mut postgres, mut kafka) = (1_000_000, None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value behind the option");
        match argument.as_str() {
            "--records" => records = value().parse().expect("a number"),
            "--postgres" => postgres = Some(value()),
            "--kafka" => kafka = Some(value()),
            "--bench" => {} // cargo's own
            other => panic!("{other}: there are --records, --postgres and --kafka"),
        }
    }
    let place = tempfile::tempdir().expect("a temporary folder");
    let folder = place.path().join("audit");
    let journal = fill(&folder, records);
    let files = |format| To::Files {
        folder: place.path().join("out"),
        format,
        octets: 64 << 20,
        // Short, so that the last file of Parquet is finished at once.
        age: Duration::from_secs(1),
    };
    let mut kinds = vec![("ndjson", files(Format::Ndjson)), ("parquet", files(Format::Parquet))];
    if let Some(url) = postgres {
        let url = url.parse().expect("a URL");
        let table = "consentry_bench".to_owned();
        kinds.push(("postgres", To::Postgres { url, password: None, table }));
    }
    if let Some(broker) = kafka {
        kinds.push((
            "kafka",
            To::Kafka { brokers: vec![broker], topic: "consentry.bench".to_owned() },
        ));
    }
    println!("| mirror, {records} records | k rows/s |\n|---|--:|");
    for (name, to) in kinds {
        println!("| {name} | {:.0} |", rate(&journal, &folder, name, to) / 1e3);
    }
    journal.close(NOW_US).expect("closes");
}
