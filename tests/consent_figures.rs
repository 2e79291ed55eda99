//! Measures the consent ledger; not a test of right or wrong, so it is ignored. Prints what stands
//! under "Consent ledger" in BENCHMARKS.md:
//!
//! ```sh
//! cargo test --release --test consent_figures -- --ignored --nocapture
//! CONSENTRY_PAIRS=100000000 CONSENTRY_DIR=/big/disk cargo test --release --test consent_figures -- --ignored --nocapture
//! ```

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use consentry::consent::{
    Cause, EntityId, Event, Happened, Ledger, Options, Question, Scope, Source,
};
use consentry::policy::{Consent, StandingState};
use consentry::registry::Msisdn;

/// Questions of one batch: what a turn of the pump gathers.
const BATCH: usize = 64;
/// Batches of one run of look-ups.
const BATCHES: usize = 20_000;
/// Durable revocations, one after the other.
const REVOCATIONS: usize = 5_000;
/// Runs of each kind of look-up.
const RUNS: usize = 5;
/// The cache of [consent] cache as it is when nobody writes it, octets.
const CACHE_OCTETS: usize = 384 << 20;

const NOW_US: u64 = 1_795_478_400_000_000;

/// A sequence without order that is the same each time (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The number of the pair: 11 digits, as many as there are pairs, in no order.
fn number(at: u64, pairs: u64) -> u64 {
    // A step without a common divisor visits each once.
    13_000_000_000 + (at.wrapping_mul(618_033_989) % pairs) * (6_999_999_999 / pairs).max(1)
}

fn mib(octets: u64) -> u64 {
    octets >> 20
}

/// A figure of a process, MiB, such as VmRSS or VmHWM.
fn memory(process: &str, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) >> 10
}

fn median(mut all: Vec<f64>) -> (f64, f64, f64) {
    all.sort_by(f64::total_cmp);
    (all[all.len() / 2], all[0], all[all.len() - 1])
}

fn write_csv(path: &Path, pairs: u64) {
    let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(path).unwrap());
    writeln!(file, "number,time").unwrap();
    for at in 0..pairs {
        writeln!(file, "{},2026-01-01", number(at, pairs)).unwrap();
    }
    file.flush().unwrap();
}

/// Imports with the program itself; the time, and the most memory that it had.
fn import(state: &Path, csv: &Path, proof: &Path) -> (Duration, u64) {
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_consentry"))
        .args(["consent", "import", "--entity", "示例商城有限公司", "--json", "--path"])
        .arg(state)
        .arg(csv)
        .arg("--proof-file")
        .arg(proof)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(memory(&child.id().to_string(), "VmHWM"));
        std::thread::sleep(Duration::from_millis(50));
    }
    (begun.elapsed(), peak)
}

fn open(state: &Path) -> Ledger {
    let silent_after_us = 7 * 24 * 3_600_000_000;
    let options =
        Options { cache_octets: CACHE_OCTETS, warm: true, silent_after_us, on_sync: None };
    Ledger::open(state, options).unwrap()
}

/// Nanoseconds a question: the median over the batches of a run, for several runs.
fn look_up(
    ledger: &Ledger,
    entity: EntityId,
    among: u64,
    pairs: u64,
    offset: u64,
) -> (f64, f64, f64) {
    let mut random = Random(7);
    let mut out = Vec::with_capacity(BATCH);
    let runs = (0..RUNS).map(|_| {
        let mut batches = Vec::with_capacity(BATCHES);
        for _ in 0..BATCHES {
            let questions: Vec<Question> = (0..BATCH)
                .map(|_| {
                    let national = number(random.next() % among, pairs) + offset;
                    let recipient = Msisdn::new(8_600_000_000_000 + national).unwrap();
                    Question { entity, recipient, scope: Scope::ALL }
                })
                .collect();
            out.clear();
            let begun = Instant::now();
            ledger.standings(&questions, NOW_US, &mut out);
            batches.push(begun.elapsed().as_nanos() as f64 / BATCH as f64);
            let expected = if offset == 0 { StandingState::Granted } else { StandingState::None };
            let is_right =
                |one: &Consent| matches!(one, Consent::Known(standing) if standing.state == expected);
            assert!(out.iter().all(is_right), "a wrong answer");
        }
        median(batches).0
    });
    median(runs.collect())
}

fn revoke(ledger: &Ledger, entity: EntityId, pairs: u64) -> (f64, f64, f64) {
    let mut times = Vec::with_capacity(REVOCATIONS);
    for at in 0..REVOCATIONS as u64 {
        // Behind the pairs that are looked up.
        let national = number(pairs - 1 - at, pairs);
        let recipient = Msisdn::new(8_600_000_000_000 + national).unwrap();
        let (time_us, source) = (NOW_US, Source::Reply);
        let happened = Happened::Revoked(Cause::Refused);
        let event = Event { entity, recipient, time_us, source, happened };
        let begun = Instant::now();
        let ticket = ledger.append(&[event], NOW_US, &mut Vec::new()).unwrap();
        ledger.wait(ticket).unwrap();
        times.push(begun.elapsed().as_micros() as f64);
    }
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100], times[times.len() - 1])
}

/// What an append of 100 octets and fdatasync take here: p50 and p99, microseconds.
fn disk(folder: &Path) -> (f64, f64) {
    let mut file = std::fs::File::create(folder.join("floor")).unwrap();
    let mut times: Vec<f64> = (0..2_000)
        .map(|_| {
            let begun = Instant::now();
            file.write_all(&[7; 100]).unwrap();
            file.sync_data().unwrap();
            begun.elapsed().as_micros() as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

#[test]
#[ignore = "measures for minutes; see the head of the file"]
fn figures() {
    let pairs: u64 =
        std::env::var("CONSENTRY_PAIRS").map_or(10_000_000, |pairs| pairs.parse().unwrap());
    let folder = match std::env::var("CONSENTRY_DIR") {
        Ok(folder) => tempfile::tempdir_in(folder).unwrap(),
        Err(_) => tempfile::tempdir().unwrap(),
    };
    let (state, csv) = (folder.path().join("state"), folder.path().join("pairs.csv"));
    let proof = folder.path().join("proof.txt");
    std::fs::write(&proof, "承诺").unwrap();
    write_csv(&csv, pairs);
    println!("load average before: {}", std::fs::read_to_string("/proc/loadavg").unwrap().trim());
    let (p50, p99) = disk(folder.path());
    println!("| fdatasync of 100 octets on this disk, p50 / p99 | {p50} / {p99} us |");
    println!("| pairs | {pairs} |");
    let (took, peak) = import(&state, &csv, &proof);
    println!(
        "| import from CSV ({} MiB) | {:.1} s, peak {peak} MiB |",
        mib(csv.metadata().unwrap().len()),
        took.as_secs_f64()
    );
    std::fs::remove_file(&csv).unwrap();
    let begun = Instant::now();
    let ledger = open(&state);
    println!("| open | {:.3} s |", begun.elapsed().as_secs_f64());
    let entity = ledger.find_entity("示例商城有限公司").unwrap();
    let (p50, p99, most) = revoke(&ledger, entity, pairs);
    println!(
        "| durable revoke while the hot layer fills, p50 / p99 / most | {p50} / {p99} / {most} us |"
    );
    let mut before = 0;
    while !ledger.stats().is_hot_whole && ledger.stats().hot_pairs > before {
        before = ledger.stats().hot_pairs;
        std::thread::sleep(Duration::from_secs(1));
    }
    let stats = ledger.stats();
    println!(
        "| hot layer filled after | {:.1} s, {} pairs, whole: {} |",
        begun.elapsed().as_secs_f64(),
        stats.hot_pairs,
        stats.is_hot_whole
    );
    println!("| memory (VmRSS) | {} MiB |", memory("self", "VmRSS"));
    println!("| on the disk | {} MiB |", mib(stats.octets));
    let among = pairs - REVOCATIONS as u64;
    // The numbers of pairs are at least 69 apart: the one after each is nobody's.
    for (what, offset) in [("look-up, pair known", 0), ("look-up, pair unknown", 1)] {
        let (median, least, most) = look_up(&ledger, entity, among, pairs, offset);
        println!("| {what}, median a question | {median:.0} ns ({least:.0} - {most:.0}) |");
    }
    // The same pairs once more: as much to write.
    let (p50, p99, most) = revoke(&ledger, entity, pairs);
    println!("| durable revoke, p50 / p99 / most | {p50} / {p99} / {most} us |");
    println!(
        "| memory at the end (VmRSS, VmHWM) | {} MiB, {} MiB |",
        memory("self", "VmRSS"),
        memory("self", "VmHWM")
    );
    drop(ledger);
    let begun = Instant::now();
    let ledger = open(&state);
    println!(
        "| open again, after {} revocations | {:.3} s |",
        2 * REVOCATIONS,
        begun.elapsed().as_secs_f64()
    );
    drop(ledger);
}
