//! kill -9 at every call that changes a file of a mirror: its place, and the files it writes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use consentry::audit::{Durability, Journal, Options, Records, RulesRecord};
use consentry::mirror::{Format, Mirror, Options as MirrorOptions, To};

use crate::file::lines;
use crate::{records, same, shim};

const NOW_US: u64 = 1_790_000_000_000_000;
/// A child that takes longer hangs.
const CHILD_SECONDS: &str = "30";

fn open(folder: &Path, durability: Durability) -> Journal {
    let mut options = Options::new(durability);
    options.segment_octets = 2 << 10;
    Journal::open(&folder.join("audit"), options, NOW_US).expect("the journal opens").0
}

/// A journal of a few segments.
fn fill(folder: &Path) {
    let journal = open(folder, Durability::Queued);
    for number in 0..60 {
        let mut one = Records::new();
        one.rules(NOW_US + number, &RulesRecord { rules: [7; 32], rule_set: "cn-order74-2026" });
        journal.append(&mut one).expect("taken");
        if number % 10 == 9 {
            journal.rotate();
            std::thread::sleep(Duration::from_millis(150));
        }
    }
    journal.close(NOW_US).expect("closes");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// What the test below starts as a process of its own: mirrors everything there is.
#[test]
fn child() {
    let Ok(folder) = std::env::var("CONSENTRY_MIRROR_CHILD") else { return };
    let folder = Path::new(&folder);
    let journal = open(folder, Durability::Synced);
    let options = MirrorOptions {
        name: "m".to_owned(),
        to: To::Files {
            // Below the places, so that the shim stands before both.
            folder: folder.join("audit/mirrors/out"),
            format: Format::Ndjson,
            octets: 2 << 10,
            age: Duration::from_secs(3600),
        },
        node: "here".to_owned(),
        content: false,
        whole_numbers: false,
        keys: Arc::default(),
        token: None,
        token_key: None,
        batch: 25,
        wait: Duration::from_millis(10),
    };
    let mirror = Mirror::start(journal.clone(), &folder.join("audit"), options).expect("it begins");
    while mirror.figures().lag > 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    mirror.stop();
    journal.close(NOW_US).expect("closes");
}

/// Whether the child came to its end; killed at call `at`, 0: not at all.
fn run(folder: &Path, (at, how): (u32, &str)) -> bool {
    let program = std::env::current_exe().expect("this program");
    let status = Command::new("timeout")
        .args(["-s", "KILL", CHILD_SECONDS, "env"])
        .arg(format!("LD_PRELOAD={}", shim::library().display()))
        .arg(program)
        .args(["kills::child", "--exact", "--test-threads=1"])
        .env("CONSENTRY_MIRROR_CHILD", folder)
        .env("CONSENTRY_FAULT_FOLDER", folder.join("audit/mirrors"))
        .env("CONSENTRY_FAULT_KILL", at.to_string())
        .env("CONSENTRY_FAULT_HOW", how)
        .stdout(Stdio::null())
        .status()
        .expect("it starts");
    status.success()
}

#[test]
fn killed_at_every_call_that_changes_a_file_of_a_mirror_each_line_is_there_once() {
    let ready = tempfile::tempdir().expect("a temporary folder");
    fill(ready.path());
    for at in 1.. {
        for how in ["b", "h"] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            copy(&ready.path().join("audit"), &folder.path().join("audit"));
            let was_through = run(folder.path(), (at, how));
            assert!(run(folder.path(), (0, how)), "the next start mirrors the rest");
            let all = records(folder.path());
            // The stop record came after the mirror had ended.
            let through = *all.keys().rev().nth(1).expect("records");
            same(&lines(&folder.path().join("audit/mirrors")), &all, through);
            if was_through {
                assert!(at > 40, "the shim was in front of {at} calls");
                return;
            }
        }
    }
}
