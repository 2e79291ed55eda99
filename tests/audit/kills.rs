//! kill -9 at every call that changes a file of the journal: before it, and in the middle of a write;
//! and again at every call of the recovery from each of these.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use consentry::audit::{
    Durability, Ending, Journal, Options, Reader, Record, Records, VerdictRecord, verify,
};

use crate::records::VERDICT;
use crate::shim;

const NOW_US: u64 = 1_790_000_000_000_000;
/// A child that takes longer hangs.
const CHILD_SECONDS: &str = "20";

fn one(sequence_number: u32) -> Records {
    let verdict = VerdictRecord { session: 1, sequence_number, ..VERDICT };
    let mut records = Records::new();
    records.verdict(NOW_US, &verdict);
    records
}

/// What the tests below start as a process of its own; does nothing when run as a test.
#[test]
fn child() {
    let Ok(task) = std::env::var("CONSENTRY_KILLS_CHILD") else { return };
    let words: Vec<_> = task.splitn(3, ' ').collect();
    let durability = match words[0] {
        "written" => Durability::Written,
        _ => Durability::Synced,
    };
    let mut options = Options::new(durability);
    options.retry = Duration::from_millis(10);
    options.segment_octets = 1 << 10;
    let (journal, _) = Journal::open(Path::new(words[2]), options, NOW_US).expect("opens");
    let first: u32 = words[1].parse().expect("a number");
    for sequence in first..first + 4 {
        if sequence == first + 2 {
            journal.rotate();
        }
        let ticket = journal.append(&mut one(sequence)).expect("taken");
        journal.wait(ticket).expect("kept");
        println!("\nA {sequence}");
    }
    journal.close(NOW_US).expect("closes");
}

/// Runs the child on `folder`, killed at call `at` (0: not at all). The sequence numbers that it was
/// told are kept, and whether it came to its end.
fn run(folder: &Path, durability: &str, first: u32, (at, how): (u32, &str)) -> (Vec<u32>, bool) {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new("timeout")
        .args(["-s", "KILL", CHILD_SECONDS, "env"])
        // Not in the environment of `timeout`, which would count its own calls.
        .arg(format!("LD_PRELOAD={}", shim::library().display()))
        .arg(program)
        .args(["kills::child", "--exact", "--nocapture", "--test-threads=1"])
        .env("CONSENTRY_KILLS_CHILD", format!("{durability} {first} {}", folder.display()))
        .env("CONSENTRY_FAULT_FOLDER", folder)
        .env("CONSENTRY_FAULT_KILL", at.to_string())
        .env("CONSENTRY_FAULT_HOW", how)
        .env("CONSENTRY_FAULT_COUNT", folder.with_extension("count"))
        .stderr(Stdio::inherit())
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let kept = said.lines().filter_map(|line| line.strip_prefix("A ")?.parse().ok()).collect();
    (kept, output.status.success())
}

/// How many calls a run makes that is not killed.
fn calls(folder: &Path, durability: &str, first: u32) -> u32 {
    let (kept, ended) = run(folder, durability, first, (0, "b"));
    assert!(ended && kept.len() == 4, "{kept:?}");
    let counted = std::fs::read_to_string(folder.with_extension("count")).expect("counted");
    counted.trim().parse().expect("a number")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// Opens what was left, and finds everything in it that somebody was told is kept, once.
fn check(folder: &Path, kept: &[u32], what: &str) {
    let options = Options::new(Durability::Written);
    let (journal, _) =
        Journal::open(folder, options, NOW_US).unwrap_or_else(|fault| panic!("{what}: {fault}"));
    journal.close(NOW_US).expect("closes");
    let verified = verify(folder).unwrap_or_else(|fault| panic!("{what}: {fault}"));
    assert_eq!(verified.ending, Ending::Stopped, "{what}");
    let mut found = BTreeSet::new();
    let mut reader = Reader::open(folder).expect("it is there");
    while let Some(entry) = reader.next().expect("it is whole") {
        if let Record::Verdict(record) = entry.record() {
            assert!(found.insert(record.sequence_number), "{what}: a record is there twice");
        }
    }
    let lost: Vec<_> = kept.iter().filter(|one| !found.contains(one)).collect();
    assert!(lost.is_empty(), "{what}: acknowledged and lost: {lost:?}");
}

fn check_kills(durability: &str) {
    let place = tempfile::tempdir().expect("a folder");
    let whole = place.path().join("whole");
    let all = calls(&whole, durability, 1);
    assert!(all > 10, "the shim is in front of {all} calls");
    for at in 1..=all {
        // After a call is before the next one.
        for how in ["b", "h"] {
            let what = format!("{durability}, killed at {at} of {all} ({how})");
            let folder = place.path().join(format!("{at}{how}"));
            let (kept, ended) = run(&folder, durability, 1, (at, how));
            assert!(!ended, "{what}: it was killed");
            if !folder.exists() {
                continue;
            }
            check_recovery(&folder, durability, &kept, &what, how);
            check(&folder, &kept, &what);
            std::fs::remove_dir_all(&folder).expect("removed");
        }
    }
}

/// The next start is killed too, wherever it may be.
fn check_recovery(folder: &Path, durability: &str, kept: &[u32], what: &str, how: &str) {
    for at in 1.. {
        let again = folder.with_extension("again");
        copy(folder, &again);
        let (more, ended) = run(&again, durability, 10, (at, how));
        let kept: Vec<_> = kept.iter().chain(&more).copied().collect();
        check(&again, &kept, &format!("{what}, then at {at} of the next start"));
        std::fs::remove_dir_all(&again).expect("removed");
        // Past the first message the next start is like the first.
        if ended || !more.is_empty() {
            return;
        }
    }
}

#[test]
fn killed_at_every_write_what_was_acknowledged_stays() {
    check_kills("written");
}

#[test]
fn killed_at_every_write_and_sync_what_was_acknowledged_stays() {
    check_kills("synced");
}
