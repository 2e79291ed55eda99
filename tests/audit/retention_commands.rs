//! `consentry audit retention`, `hold` and `purge`: on a journal that nobody writes, and through a proxy.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::records::VERDICT;
use consentry::audit::{
    Address, Durability, Journal, Options, Records, VerdictRecord, segment_firsts,
};
use serde_json::Value;

const REGISTRY: &str = r#"
[[provider]]
name       = "测试有限公司"
system_ids = ["test"]
licence    = { number = "B2-1", valid_until = 2099-12-31 }
identity   = "verified"
"#;

/// A journal of three segments of January, March and May 2024, a message to another number in each.
struct Place(tempfile::TempDir);

impl Place {
    fn new(admin: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let config =
            format!("[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"127.0.0.1:9\"]\n{admin}");
        std::fs::write(folder.path().join("consentry.toml"), config).unwrap();
        std::fs::write(folder.path().join("registry.toml"), REGISTRY).unwrap();
        let journal = folder.path().join("state/audit");
        for (time, number) in [
            ("2024-01-20T00:00:00Z", "8613800000001"),
            ("2024-02-10T00:00:00Z", "8613800000002"),
            ("2024-03-05T00:00:00Z", "8613800000003"),
        ] {
            let now_us = time.parse::<jiff::Timestamp>().unwrap().as_microsecond() as u64;
            let options = Options::new(Durability::Written);
            let (journal, _) = Journal::open(&journal, options, now_us).unwrap();
            let mut records = Records::new();
            records.verdict(now_us + 1, &verdict(number.as_bytes()));
            journal.append_synced(&mut records).unwrap();
            journal.close(now_us + 2).unwrap();
        }
        Place(folder)
    }

    fn audit(&self, args: &[&str]) -> (Option<i32>, String, String) {
        self.run(&[&["audit"], args].concat())
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let out = Command::new(env!("CARGO_BIN_EXE_consentry"))
            .args(args)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let text = |octets| String::from_utf8(octets).unwrap();
        (out.status.code(), text(out.stdout), text(out.stderr))
    }

    fn lines(&self, args: &[&str]) -> Vec<Value> {
        let (_, out, _) = self.audit(&[args, &["--json"]].concat());
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn verdict(destination: &[u8]) -> VerdictRecord<'_> {
    VerdictRecord {
        session: 1,
        sequence_number: 7,
        destination: Address { ton: 1, npi: 1, raw: destination },
        ..VERDICT
    }
}

#[test]
fn what_is_due_goes_when_the_clock_is_trusted_and_no_hold_keeps_it() {
    let place = Place::new("");
    let (code, out, err) = place.audit(&["retention"]);
    assert_eq!(code, Some(1), "a silence of years: {out}{err}");
    assert!(
        err.contains("--trust-clock") && out.contains("6 months in Asia/Shanghai"),
        "{out}{err}"
    );
    let due = place.lines(&["retention"]);
    assert_eq!(due.len(), 2, "the last segment is not finished");
    assert_eq!(due[0]["due"], "2024-07-20T16:00:00Z");
    assert_eq!((&due[0]["may_go"], &due[0]["first"]), (&true.into(), &1.into()));

    let (code, _, err) = place.audit(&["purge"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("nothing is purged: nothing was recorded between"), "{err}");
    assert_eq!(place.audit(&["purge", "--dry-run"]).0, Some(1));

    let set = ["hold", "set", "--number", "13800000002", "--reason", "案件 7", "--by", "法务"];
    let (code, out, err) = place.audit(&set);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("hold=1") && !out.contains("13800000002"), "{out}");
    let held = place.lines(&["hold", "list"]);
    assert_eq!((held.len(), &held[0]["by"]), (1, &"法务".into()));
    assert_eq!(held[0]["segments"], serde_json::json!([due[1]["first"]]));
    let nobody = ["hold", "set", "--number", "13900000000", "--reason", "r", "--by", "b"];
    assert_eq!(place.audit(&nobody).0, Some(1), "no record is like that");
    assert_eq!(place.audit(&["hold", "set", "--reason", "r", "--by", "b"]).0, Some(2));

    // What the commands open begins a segment of its own: the third one of 2024 is finished now.
    let would = place.lines(&["purge", "--dry-run", "--trust-clock"]);
    let firsts: Vec<&Value> = would.iter().map(|line| &line["first"]).collect();
    assert_eq!(firsts.len(), 2);
    assert!(!firsts.contains(&&due[1]["first"]), "{firsts:?}");
    let (code, out, err) = place.audit(&["purge", "--trust-clock", "--by", "管理员"]);
    assert_eq!((code, out.contains("2 segments purged")), (Some(0), true), "{out}{err}");
    let (code, out, _) = place.audit(&["verify", "-c", "consentry.toml", "--json"]);
    let whole: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &whole["purged_segments"]), (Some(0), &2.into()));

    let (code, out, _) = place.audit(&["hold", "lift", "1", "--by", "法务"]);
    assert_eq!((code, out.contains("lifted")), (Some(0), true), "{out}");
    assert_eq!(place.audit(&["hold", "lift", "1", "--by", "法务"]).0, Some(2), "it is gone");
    assert_eq!(place.lines(&["purge"]).len(), 1);
    assert_eq!(place.audit(&["verify", "-c", "consentry.toml"]).0, Some(0));
}

/// A running proxy; killed by its own id when dropped.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(folder: &Path) -> Proxy {
    let mut child = Command::new(env!("CARGO_BIN_EXE_consentry"))
        .args(["run", "-c", "consentry.toml"])
        .current_dir(folder)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let proxy = Proxy(child);
    let mut said = Vec::new();
    while !said.iter().any(|line: &String| line.contains("admin address=")) {
        said.push(lines.next().unwrap_or_else(|| panic!("it does not serve: {said:?}")).unwrap());
    }
    std::thread::spawn(move || lines.for_each(drop));
    proxy
}

#[test]
fn a_running_proxy_does_it_through_its_admin_api() {
    // An address of the loopback network that no other test listens on.
    let id = std::process::id();
    let address = format!("127.{}.{}.1:9464", 1 + id % 250, id / 250 % 250);
    let place = Place::new(&format!("[admin]\naddress = \"{address}\"\n"));
    let proxy = run(place.0.path());
    let held = place.audit(&[
        "hold",
        "set",
        "--until",
        "2024-02-01T00:00:00Z",
        "--reason",
        "案件 7",
        "--by",
        "法务",
    ]);
    assert!(held.0 == Some(0) && held.2.contains("on the running proxy"), "{held:?}");
    let (code, _, err) = place.audit(&["purge"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("the proxy answered 409: nothing is purged"), "{err}");
    let (code, out, err) = place.audit(&["purge", "--trust-clock"]);
    assert_eq!((code, out.contains("2 segments purged")), (Some(0), true), "{out}{err}");
    let refused = place.audit(&["hold", "lift", "2", "--by", "法务"]);
    assert!(refused.0 == Some(2) && refused.2.contains("400: there is no hold 2"), "{refused:?}");
    assert_eq!(place.audit(&["hold", "lift", "1", "--by", "法务"]).0, Some(0));
    assert_eq!(place.lines(&["purge"]).len(), 1);
    let (code, out, err) = place.audit(&["verify", "-c", "consentry.toml", "--json"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let whole: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(whole["purged_segments"], 3);
    // Only the open segment is left, and a hold of what is in it names it.
    let open = segment_firsts(&place.0.path().join("state/audit")).unwrap();
    assert!(open.len() == 1 && open[0] > 1, "{open:?}");
    let grant = ["consent", "grant", "-c", "consentry.toml", "13800000009", "测试有限公司"];
    let granted = place.run(&[&grant[..], &["--proof-file", "registry.toml"]].concat());
    assert_eq!(granted.0, Some(0), "{granted:?}");
    let set = ["hold", "set", "--number", "13800000009", "--reason", "案件 9", "--by", "法务"];
    assert_eq!(place.audit(&set).0, Some(0));
    assert_eq!(place.lines(&["hold", "list"])[0]["segments"], serde_json::json!(open));
    drop(proxy);
    assert_eq!(place.audit(&["verify", "-c", "consentry.toml"]).0, Some(0));
}
