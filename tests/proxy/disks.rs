//! Real file systems that fail under traffic: full, read-only, slow; and a journal that is somebody
//! else's, or not whole.
//!
//! Full is a tmpfs, read-only an ext4 image that is aborted under way, which is what the kernel does to a
//! disk whose journal it cannot write; both are mounted in a mount namespace of the test's own. Slow is
//! not a real disk: `tests/shim` makes each call that changes the journal's files wait.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command as Process, Output};
use std::time::{Duration, Instant};

use consentry::audit::{Durability, Journal, Options as JournalOptions, verify};
use consentry::peer::esme::Esme;
use consentry::peer::smsc::{Options, Smsc};
use consentry::smpp::{Command, CommandStatus, Header, write};

use crate::budget::within;
use crate::metrics::series;
use crate::running::Proxy;
use crate::{OURS, answer, audit, bound, recorded, shim, smsc, submit, submits};

/// Messages of a session that wait for their answer.
const WINDOW: usize = 20;
/// How long any number of answers is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// One ESME that keeps its window full, and what its messages were answered.
pub struct Traffic {
    esme: Esme,
    sequence: u32,
    open: usize,
    /// sequence_numbers answered ESME_ROK.
    pub passed: BTreeSet<u32>,
    /// The statuses of the others.
    pub full: Vec<CommandStatus>,
}

impl Traffic {
    pub fn new(esme: Esme) -> Traffic {
        Traffic { esme, sequence: 2, open: 0, passed: BTreeSet::new(), full: Vec::new() }
    }

    /// Sends until `is_enough`, at most [`PATIENCE`].
    pub async fn until(&mut self, is_enough: impl Fn(&Traffic) -> bool) {
        let began = Instant::now();
        while !is_enough(self) {
            let (passed, full) = (self.passed.len(), self.full.len());
            assert!(began.elapsed() < PATIENCE, "{passed} passed, {full} not");
            let mut batch = Vec::new();
            while self.open < WINDOW {
                batch.extend(submit(self.sequence, OURS, |_| {}));
                self.sequence += 1;
                self.open += 1;
            }
            self.esme.send(&batch).await.expect("the proxy reads");
            self.hear().await;
        }
    }

    /// Hears the answers that are due still.
    pub async fn settle(&mut self) {
        while self.open > 0 {
            self.hear().await;
        }
    }

    async fn hear(&mut self) {
        let (command, status, sequence, _) = answer(&mut self.esme).await.expect("an answer");
        assert_eq!(command, Command::SubmitSmResp);
        self.open -= 1;
        if status.is_ok() {
            assert!(self.passed.insert(sequence), "answered once");
        } else {
            self.full.push(status);
        }
    }
}

/// Whether exactly what was answered ESME_ROK arrived.
pub fn same(smsc: &Smsc, traffic: &Traffic) {
    let arrived: BTreeSet<u32> = arrived(smsc);
    assert_eq!(arrived, traffic.passed);
}

fn arrived(smsc: &Smsc) -> BTreeSet<u32> {
    let sequence = |pdu: &Vec<u8>| Header::of(pdu).map(|header| header.sequence_number);
    submits(smsc).iter().filter_map(sequence).collect()
}

/// Runs an ignored test of this file in a mount namespace of its own, whose mounts end with it. Where
/// that is not permitted, says so and shows nothing.
fn in_own_mounts(test: &str) {
    let own_mounts = |program: &str| {
        let mut process = Process::new("unshare");
        process.args(["--mount", "--propagation", "private", program]);
        process
    };
    if !own_mounts("true").status().is_ok_and(|status| status.success()) {
        eprintln!("not shown: no mount namespace is permitted here; run as root");
        return;
    }
    let program = std::env::current_exe().expect("this program");
    let inside = own_mounts(&program.to_string_lossy())
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env("CONSENTRY_TEST_OWN_MOUNTS", "1")
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&inside.stdout) + String::from_utf8_lossy(&inside.stderr);
    assert!(inside.status.success() && said.contains("1 passed"), "{said}");
}

fn assert_inside() {
    assert!(std::env::var_os("CONSENTRY_TEST_OWN_MOUNTS").is_some(), "not for running by itself");
}

fn must(program: &str, arguments: &[&str]) {
    let status = Process::new(program).args(arguments).status();
    assert!(status.is_ok_and(|status| status.success()), "{program} {arguments:?}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

#[test]
fn a_full_disk_lets_nothing_through_unrecorded_and_heals() {
    in_own_mounts("disks::inside_on_a_disk_of_2_mib");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by a_full_disk_lets_nothing_through_unrecorded_and_heals"]
async fn inside_on_a_disk_of_2_mib() {
    assert_inside();
    for durability in ["written", "synced"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let journal = folder.path().join("audit");
        std::fs::create_dir(&journal).expect("a folder");
        must("mount", &["-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", text(&journal)]);
        std::fs::write(journal.join("ballast"), vec![0; 3 << 19]).expect("there is room");
        let smsc = smsc(Options::default());
        let mut proxy = Proxy::start(folder.path(), smsc.address(), &audit(durability), "");
        let mut traffic = Traffic::new(bound(&proxy).await);
        traffic.until(|traffic| traffic.full.len() >= 100).await;
        assert!(traffic.passed.len() > 1000, "{} passed before", traffic.passed.len());
        std::fs::remove_file(journal.join("ballast")).expect("it was there");
        let passed = traffic.passed.len();
        traffic.until(|traffic| traffic.passed.len() >= passed + 1000).await;
        traffic.settle().await;
        same(&smsc, &traffic);
        proxy.signal("-TERM");
        assert_eq!(proxy.wait(), Some(0));
        let (recorded, _) = recorded(folder.path());
        assert_eq!(BTreeSet::from_iter(recorded), traffic.passed, "{durability}");
        must("umount", &[text(&journal)]);
    }
}

#[test]
fn a_disk_that_turns_read_only_lets_nothing_through_unrecorded() {
    in_own_mounts("disks::inside_on_a_disk_that_turns_read_only");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by a_disk_that_turns_read_only_lets_nothing_through_unrecorded"]
async fn inside_on_a_disk_that_turns_read_only() {
    assert_inside();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (image, journal) = (folder.path().join("image"), folder.path().join("audit"));
    std::fs::create_dir(&journal).expect("a folder");
    must("truncate", &["-s", "16M", text(&image)]);
    must("mkfs.ext4", &["-q", "-F", text(&image)]);
    let loops = Process::new("mount").args(["-o", "loop", text(&image), text(&journal)]).status();
    if !loops.is_ok_and(|status| status.success()) {
        eprintln!("not shown: no loop device is permitted here");
        return;
    }
    let smsc = smsc(Options::default());
    let mut proxy = Proxy::start(folder.path(), smsc.address(), &audit("synced"), "");
    let mut traffic = Traffic::new(bound(&proxy).await);
    traffic.until(|traffic| traffic.passed.len() >= 300).await;
    must("mount", &["-o", "remount,abort", text(&journal)]);
    traffic.until(|traffic| traffic.full.len() >= 100).await;
    let before = arrived(&smsc).len();
    traffic.until(|traffic| traffic.full.len() >= 200).await;
    assert_eq!(arrived(&smsc).len(), before, "nothing goes on any more");
    within("the log says so", Duration::from_secs(10), || {
        proxy.logged("nothing is forwarded").len() == 1
    });
    proxy.signal("-KILL");
    proxy.wait();
    must("umount", &[text(&journal)]);

    // As after a reboot: read first, without writing, then used again.
    must("mount", &["-o", "loop", text(&image), text(&journal)]);
    must("mount", &["-o", "remount,ro", text(&journal)]);
    verify(&journal).expect("what is on the disk is whole");
    let refused = run(folder.path());
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains(text(&journal)) && said.contains("Read-only file system"), "{said}");
    must("mount", &["-o", "remount,rw", text(&journal)]);
    let proxy = Proxy::start(folder.path(), smsc.address(), &audit("synced"), "");
    let mut more = Traffic::new(bound(&proxy).await);
    more.until(|traffic| traffic.passed.len() >= 100).await;
    drop(proxy);
    let (recorded, _) = recorded(folder.path());
    let recorded = BTreeSet::from_iter(recorded);
    let lost: Vec<_> = traffic.passed.difference(&recorded).collect();
    assert!(lost.is_empty(), "forwarded and not on record: {lost:?}");
    must("umount", &[text(&journal)]);
}

/// The command on the configuration of `folder`, which does not come to serve.
fn run(folder: &Path) -> Output {
    Process::new("timeout")
        .args(["20", env!("CARGO_BIN_EXE_consentry"), "run", "-c"])
        .arg(folder.join("consentry.toml"))
        .output()
        .expect("it starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_disk_slows_messages_down_and_nothing_else() {
    const EACH: Duration = Duration::from_millis(50);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let shell = format!(
        "export LD_PRELOAD={} CONSENTRY_FAULT_FOLDER={} CONSENTRY_FAULT_SLOW={};",
        shim::library().display(),
        folder.path().join("audit").display(),
        EACH.as_micros(),
    );
    let more = audit("synced") + "[admin]\naddress = \"127.0.0.1:0\"\n";
    let mut proxy = Proxy::start(folder.path(), smsc.address(), &more, &shell);
    let mut traffic = Traffic::new(bound(&proxy).await);
    let mut other = bound(&proxy).await;
    let began = Instant::now();
    let alive = async {
        let mut slowest = Duration::ZERO;
        for sequence in 2..60 {
            let asked = Instant::now();
            let mut enquire = Vec::new();
            let id = Command::EnquireLink.id();
            write::header_only(&mut enquire, id, CommandStatus::ESME_ROK, sequence);
            other.send(&enquire).await.expect("sent");
            answer(&mut other).await.expect("an answer");
            slowest = slowest.max(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        slowest
    };
    let ((), slowest) = tokio::join!(traffic.until(|traffic| traffic.passed.len() >= 200), alive);
    traffic.settle().await;
    // A write and a synchronisation each turn of the window: 10 turns at least.
    assert!(began.elapsed() > 10 * 2 * EACH, "the disk is slow: {:?}", began.elapsed());
    assert!(slowest < 10 * EACH, "who does not write does not wait for the disk: {slowest:?}");
    assert!(traffic.full.is_empty());
    let series = series(proxy.admin.expect("an admin address"));
    let (count, sum) =
        (series["consentry_audit_sync_seconds_count"], series["consentry_audit_sync_seconds_sum"]);
    assert!(sum >= count * EACH.as_secs_f64(), "the metric shows it: {sum} s in {count}");
    same(&smsc, &traffic);
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
    assert_eq!(recorded(folder.path()).0.len(), traffic.passed.len());
}

#[tokio::test]
async fn a_second_proxy_on_the_journal_is_refused_and_the_first_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let proxy = Proxy::start(folder.path(), smsc.address(), &audit("written"), "");
    let mut traffic = Traffic::new(bound(&proxy).await);
    traffic.until(|traffic| traffic.passed.len() >= 20).await;
    let refused = run(folder.path());
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    let clear = "is being written by another process: stop that one or set audit.path elsewhere";
    assert!(said.contains(clear) && said.contains(text(&folder.path().join("audit"))), "{said}");
    traffic.until(|traffic| traffic.passed.len() >= 40).await;
    traffic.settle().await;
    same(&smsc, &traffic);
    drop(proxy);
    assert_eq!(recorded(folder.path()).0.len(), traffic.passed.len());
}

/// The segments of a journal with three, without traffic.
fn three_segments(journal: &Path, begun_us: u64) -> Vec<std::path::PathBuf> {
    for opening in 0..3 {
        let options = JournalOptions::new(Durability::Written);
        let now_us = begun_us + opening;
        let (journal, _) = Journal::open(journal, options, now_us).expect("opens");
        journal.close(now_us).expect("closes");
    }
    let entries = std::fs::read_dir(journal).expect("listed").map(|entry| entry.expect("one"));
    let is_segment = |path: &std::path::PathBuf| path.extension().is_some_and(|ext| ext == "seg");
    let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(is_segment).collect();
    files.sort();
    assert_eq!(files.len(), 3);
    files
}

#[test]
fn a_journal_that_lacks_a_segment_or_has_another_is_not_served_and_verify_names_it() {
    let smsc = smsc(Options::default());
    for is_missing in [true, false] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        drop(Proxy::start(folder.path(), smsc.address(), &audit("written"), ""));
        let journal = folder.path().join("audit");
        std::fs::remove_dir_all(&journal).expect("removed");
        let files = three_segments(&journal, 1_790_000_000_000_000);
        if is_missing {
            std::fs::remove_file(&files[1]).expect("removed");
        } else {
            let other = tempfile::tempdir().expect("a temporary folder");
            let others = three_segments(&other.path().join("audit"), 1_790_000_000_000_777);
            // Of the same numbers, from another journal: whole by itself.
            std::fs::copy(&others[1], &files[1]).expect("replaced");
        }
        let named = |output: &Output, code: i32| {
            let said =
                String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            let named = files[1..].iter().any(|file| {
                said.contains(file.file_name().and_then(|name| name.to_str()).expect("a name"))
            });
            assert_eq!(output.status.code(), Some(code), "{said}");
            assert!(named, "missing {is_missing}: {said}");
        };
        named(&run(folder.path()), 2);
        let verify = Process::new(env!("CARGO_BIN_EXE_consentry"))
            .args(["audit", "verify", "-c"])
            .arg(folder.path().join("consentry.toml"))
            .output()
            .expect("it starts");
        named(&verify, 1);
    }
}
