//! `consentry audit` as an inspector uses it: what is found, what is masked, what the exit status
//! says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::records::{BIND, VERDICT};
use consentry::audit::keys::SigningKey;
use consentry::audit::{
    Address, BindRecord, Durability, EndRecord, Journal, OBSERVE, Options, PASS, Part, REFUSE,
    Records, ResponseRecord, RulesRecord, UnansweredRecord, VerdictRecord,
};
use consentry::policy::{Rule, RuleSet};
use serde_json::Value;

/// 2026-09-21T14:13:20Z.
const NOW_US: u64 = 1_790_000_000_000_000;
const SECOND: u64 = 1_000_000;
const SOURCE: &str = "106900001234";
const FORGED: &str = "106911119999";
const DESTINATION: &str = "8613800138000";

fn consentry(args: &[&str]) -> (Option<i32>, String, String) {
    let binary = env!("CARGO_BIN_EXE_consentry");
    let Output { status, stdout, stderr } = Command::new(binary).args(args).output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn bind(session: u64, provider: &'static str) -> BindRecord<'static> {
    BindRecord { session, provider, ..BIND }
}

fn verdict(session: u64, sequence_number: u32, verdict: u8) -> VerdictRecord<'static> {
    let forged = verdict == REFUSE;
    VerdictRecord {
        session,
        sequence_number,
        verdict,
        rule: match verdict {
            REFUSE => Rule::SourceForged.code(),
            OBSERVE => Rule::SourceSecond.code(),
            _ => 0,
        },
        observed: if verdict == OBSERVE { 1 << Rule::SourceSecond.code() } else { 0 },
        status: if forged { 0x0a } else { 0 },
        source: Address { ton: 0, npi: 1, raw: if forged { FORGED } else { SOURCE }.as_bytes() },
        destination: Address { ton: 1, npi: 1, raw: DESTINATION.as_bytes() },
        part: (verdict == OBSERVE).then_some(Part { number: 2, total: 3, reference: 7 }),
        ..VERDICT
    }
}

fn write(folder: &Path, rule_set: RuleSet, fill: impl FnOnce(&mut Records)) {
    let mut options = Options::new(Durability::Written);
    options.rule_set = rule_set.name().to_owned();
    options.program = "0.1.0".to_owned();
    let (journal, _) = Journal::open(folder, options, NOW_US).unwrap();
    let mut records = Records::new();
    fill(&mut records);
    let ticket = journal.append(&mut records).unwrap();
    journal.wait(ticket).unwrap();
    journal.close(NOW_US + 100 * SECOND).unwrap();
}

/// A journal of three rule sets: answered (2), refused (3), observed and unanswered (4) under the
/// first; refused (5) under the second, refused (6) after the rules changed.
fn journal() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit");
    write(&path, RuleSet::CnOrder31_2015, |records| {
        records.bind(NOW_US, &bind(1, "示例商城有限公司"));
        records.verdict(NOW_US + 2 * SECOND, &verdict(1, 2, PASS));
        records.verdict(NOW_US + 3 * SECOND, &verdict(1, 3, REFUSE));
        records.verdict(NOW_US + 4 * SECOND, &verdict(1, 4, OBSERVE));
        let response = ResponseRecord {
            session: 1,
            command_id: 0x8000_0004,
            sequence_number: 2,
            status: 0,
            latency_us: 1200,
            flags: 0,
            message_id: b"00ff\x01",
        };
        records.response(NOW_US + 5 * SECOND, &response);
        let verdict_us = NOW_US + 4 * SECOND;
        let unanswered =
            UnansweredRecord { session: 1, command_id: 4, sequence_number: 4, verdict_us };
        records.unanswered(NOW_US + 6 * SECOND, &unanswered);
        let end = EndRecord { session: 1, reason: 3, forwarded: 2, refused: 1, unanswered: 1 };
        records.end(NOW_US + 6 * SECOND, &end);
    });
    write(&path, RuleSet::CnOrder74_2026, |records| {
        records.bind(NOW_US + 7 * SECOND, &bind(2, "另一家有限公司"));
        records.verdict(NOW_US + 8 * SECOND, &verdict(2, 5, REFUSE));
        let rule_set = RuleSet::CnDraft2014.name();
        records.rules(NOW_US + 8 * SECOND, &RulesRecord { rules: [9; 32], rule_set });
        records.verdict(NOW_US + 9 * SECOND, &verdict(2, 6, REFUSE));
    });
    (folder, path)
}

fn objects(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_search_finds_what_is_asked_for() {
    let (_folder, path) = journal();
    let path = path.to_str().unwrap();
    // Sequence numbers of the messages found; 0 stands for a bind.
    let cases: &[(&[&str], &[u64])] = &[
        (&[], &[0, 2, 3, 4, 0, 5, 6]),
        (&["--verdict", "refuse"], &[3, 5, 6]),
        (&["--verdict", "pass"], &[0, 2, 0]),
        (&["--verdict", "observe"], &[4]),
        (&["--rule", "source.second"], &[4]),
        (&["--rule", "source.forged"], &[3, 5, 6]),
        (&["--rule", "code.length"], &[]),
        (&["--session", "2"], &[0, 5, 6]),
        (&["--provider", "示例商城有限公司"], &[0, 2, 3, 4]),
        (&["--provider", "示例"], &[]),
        (&["--number", SOURCE], &[2, 4]),
        (&["--number", "+86106900001234"], &[2, 4]),
        (&["--number", "0086106900001234"], &[2, 4]),
        (&["--number", "106900001235"], &[]),
        (&["--number", "+106900001234"], &[]),
        (&["--number", "13800138000"], &[2, 3, 4, 5, 6]),
        (&["--number", DESTINATION], &[2, 3, 4, 5, 6]),
        (&["--number", "+8613800138000"], &[2, 3, 4, 5, 6]),
        (&["--number", "008613800138000"], &[2, 3, 4, 5, 6]),
        (&["--number", "13800138001"], &[]),
        (&["--message-id", "00ff\u{1}"], &[2]),
        (&["--message-id", "00ff"], &[]),
        (&["--from", "2026-09-21T22:13:28+08:00"], &[5, 6]),
        (&["--to", "2026-09-21T14:13:23Z"], &[0, 2]),
        (&["--from", "2026-09-21T14:13:23Z", "--to", "2026-09-21T14:13:24Z"], &[3]),
        (&["--verdict", "refuse", "--session", "1"], &[3]),
        (&["--limit", "2"], &[0, 2]),
    ];
    for (args, expected) in cases {
        let all = [&["audit", "search", "--path", path, "--json"], *args].concat();
        let (code, out, err) = consentry(&all);
        let number = |line: &Value| line["sequence_number"].as_u64().unwrap_or(0);
        let found: Vec<u64> = objects(&out).iter().map(number).collect();
        assert_eq!(&found, expected, "{args:?}: {err}");
        assert_eq!(code, Some(i32::from(expected.is_empty())), "{args:?}");
        assert_eq!(err.contains("--limit"), args.contains(&"--limit"), "{args:?}: {err}");
        let plain = consentry(&[&["audit", "search", "--path", path], *args].concat());
        assert_eq!((plain.0, plain.1.lines().count()), (code, expected.len()), "{args:?}");
    }
}

/// The keys of every message that was found, and those that some have beside them.
const MESSAGE_KEYS: [&str; 19] = [
    "article",
    "became",
    "class",
    "command",
    "consent_event",
    "destination",
    "kind",
    "octets",
    "provider",
    "reading",
    "record",
    "rule",
    "rule_set",
    "sequence_number",
    "session",
    "source",
    "status",
    "system_id",
    "time",
];

#[test]
fn the_keys_are_stable_and_say_what_became_of_a_message() {
    let (_folder, path) = journal();
    let args = ["audit", "search", "--path", path.to_str().unwrap(), "--json"];
    let lines = objects(&consentry(&args).1);
    let bind: BTreeSet<&str> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = "article command kind listener peer provider reading record rule rule_set session status \
         system_id time verdict";
    assert_eq!(bind, expected.split_whitespace().collect());
    for (at, became, more) in [
        (1, "answered", &["latency_us", "message_id", "response_status"][..]),
        (2, "refused", &[]),
        (3, "unanswered", &["parts"]),
        (5, "refused", &[]),
    ] {
        let keys: BTreeSet<&str> =
            lines[at].as_object().unwrap().keys().map(String::as_str).collect();
        let expected = MESSAGE_KEYS.iter().chain(more).chain(&["verdict"]).copied().collect();
        assert_eq!(keys, expected, "{at}");
        assert_eq!(lines[at]["became"], became);
    }
    assert_eq!(lines[1]["message_id"], "00ff\\x01");
    assert_eq!(lines[1]["response_status"], "ESME_ROK");
    assert_eq!(lines[1]["rule"], Value::Null);
    assert_eq!(lines[2]["status"], "ESME_RINVSRCADR");
    assert_eq!(lines[3]["parts"], serde_json::json!([2, 3]));
    assert_eq!(lines[3]["system_id"], "shop1");
}

#[test]
fn the_article_is_that_of_the_rules_in_force_at_the_time() {
    let (_folder, path) = journal();
    let path = path.to_str().unwrap();
    let (_, out, _) =
        consentry(&["audit", "search", "--path", path, "--verdict", "refuse", "--json"]);
    let sets = [RuleSet::CnOrder31_2015, RuleSet::CnOrder74_2026, RuleSet::CnDraft2014];
    let lines = objects(&out);
    assert_eq!(lines.len(), sets.len());
    for (line, set) in lines.iter().zip(sets) {
        assert_eq!(line["rule_set"], set.name());
        assert_eq!(line["article"], Rule::SourceForged.article(set));
        let number = line["record"].to_string();
        let (code, out, _) = consentry(&["audit", "show", "--path", path, "--json", &number]);
        let shown: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &shown["article"]), (Some(0), &line["article"]));
    }
}

#[test]
fn every_look_is_on_record_before_anything_is_shown() {
    let (_folder, path) = journal();
    let name = path.to_str().unwrap();
    let access = || {
        let (code, out, _) = consentry(&["audit", "access", "--path", name, "--json"]);
        (code, objects(&out))
    };
    assert_eq!(access(), (Some(1), Vec::new()), "nobody has looked");
    let looks: &[(&[&str], &str, &str, bool)] = &[
        (
            &["search", "--number", DESTINATION, "--verdict", "refuse"],
            "search",
            "number 861********00, verdict refuse",
            false,
        ),
        (&["search", "--message-id", "255", "--unmask"], "search", "message_id 255", true),
        (&["show", "2", "--unmask"], "show", "record 2", true),
        (&["receipts", "--unmatched"], "receipts", "unmatched", false),
        (&["report"], "report", "", false),
        (&["prove", "2"], "prove", "records [2]", false),
    ];
    for (args, ..) in looks {
        consentry(&[&["audit", args[0], "--path", name], &args[1..]].concat());
    }
    let (code, lines) = access();
    assert_eq!((code, lines.len()), (Some(0), looks.len()));
    for (line, (_, command, asked, unmasked)) in lines.iter().zip(looks) {
        assert_eq!(
            (line["command"].as_str(), line["asked"].as_str()),
            (Some(*command), Some(*asked))
        );
        assert_eq!(line["unmasked"], *unmasked);
        assert!(line["user"].is_u64() && line["time"].is_string(), "{line}");
    }
    let folder = path.join("access");
    let verified = consentry(&["audit", "verify", "--path", folder.to_str().unwrap()]);
    assert_eq!(verified.0, Some(0), "{}", verified.2);

    // Where the proxy's key is there, each look is signed, those of before with it.
    SigningKey::open_or_create(&path.with_file_name("keys")).unwrap();
    let public = path.with_file_name("keys").join("signing.pub");
    let verify = || {
        let args =
            ["--path", folder.to_str().unwrap(), "--key", public.to_str().unwrap(), "--json"];
        let (code, out, _) = consentry(&[&["audit", "verify"][..], &args].concat());
        (code, serde_json::from_str::<Value>(out.lines().next().unwrap_or("null")).unwrap())
    };
    assert_eq!(verify().0, Some(1), "nothing is signed yet");
    for more in 1..3 {
        assert_eq!(consentry(&["audit", "show", "2", "--path", name]).0, Some(0));
        let (code, whole) = verify();
        assert_eq!((code, &whole["signed_through"]), (Some(0), &whole["records"]), "{whole}");
        assert_eq!(access().1.len(), looks.len() + more);
    }
    let mut segments: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|file| file.extension().is_some_and(|extension| extension == "seg"));
    std::fs::remove_file(segments.iter().max().unwrap()).unwrap();
    assert_eq!(verify().0, Some(1), "the last look was taken away");
    let (code, out, err) = consentry(&["audit", "show", "2", "--path", name]);
    assert!((code, out.as_str()) == (Some(2), "") && err.contains("cannot be recorded"), "{err}");

    // Where no record can be kept, nothing is shown.
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    for args in [&["search"][..], &["show", "2"], &["receipts"]] {
        let all = [&["audit", args[0], "--path", name], &args[1..]].concat();
        let (code, out, err) = consentry(&all);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(err.contains("--unrecorded"), "{err}");
        let (code, ..) = consentry(&[&all[..], &["--unrecorded"]].concat());
        assert_ne!(code, Some(2), "{args:?}");
    }
}

#[test]
fn numbers_are_masked_unless_asked_for() {
    let (_folder, path) = journal();
    let path = path.to_str().unwrap();
    let (_, listed, _) = consentry(&["audit", "search", "--path", path, "--json"]);
    let number = objects(&listed)[1]["record"].to_string();
    let listings: [&[&str]; 4] = [
        &["search", "--path", path],
        &["search", "--path", path, "--json"],
        &["show", "--path", path, &number],
        &["show", "--path", path, "--json", &number],
    ];
    for listing in listings {
        let (code, out, _) = consentry(&[&["audit"], listing].concat());
        assert_eq!(code, Some(0), "{listing:?}");
        assert!(out.contains("861********00"), "{listing:?}: {out}");
        let whole = |out: &str| [SOURCE, FORGED, DESTINATION].map(|number| out.contains(number));
        assert_eq!(whole(&out), [false; 3], "{listing:?}");
        let (_, out, _) = consentry(&[&["audit"], listing, &["--unmask"]].concat());
        assert_eq!(whole(&out), [true, listing[0] == "search", true], "{listing:?}");
    }
}

#[test]
fn every_kind_of_record_can_be_shown() {
    let (_folder, path) = journal();
    let path = path.to_str().unwrap();
    let mut kinds = BTreeSet::new();
    for number in 1.. {
        let number = number.to_string();
        let (code, out, _) = consentry(&["audit", "show", "--path", path, "--json", &number]);
        if code != Some(0) {
            assert_eq!(code, Some(1), "what is not there is a no");
            assert!(out.contains(&format!("there is no record {number}")), "{out}");
            break;
        }
        let shown: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(shown["record"].to_string(), number);
        kinds.insert(shown["kind"].as_str().unwrap().to_owned());
    }
    let expected = "bind end link response rules start stop unanswered verdict";
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>().join(" "), expected);
}

#[test]
fn verify_says_yes_no_or_that_it_cannot_tell() {
    let (folder, path) = journal();
    let name = path.to_str().unwrap();
    let verify = |more: &[&str]| consentry(&[&["audit", "verify"], more].concat());
    let (code, out, _) = verify(&["--path", name]);
    assert!(code == Some(0) && out.starts_with("whole: ") && out.lines().count() == 1, "{out}");
    let (code, out, _) = verify(&["--path", name, "--json"]);
    assert_eq!((code, &objects(&out)[0]["whole"]), (Some(0), &Value::Bool(true)));

    let config = folder.path().join("consentry.toml");
    let text =
        "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"a:1\"]\n[audit]\npath = \"audit\"\n";
    std::fs::write(&config, text).unwrap();
    assert_eq!(verify(&["-c", config.to_str().unwrap()]).0, Some(0), "the folder of the file");

    let segment = std::fs::read_dir(&path).unwrap().next().unwrap().unwrap().path();
    let good = std::fs::read(&segment).unwrap();
    for at in [good.len() / 3, good.len() / 2, good.len() - 20] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        std::fs::write(&segment, &changed).unwrap();
        let (code, out, _) = verify(&["--path", name]);
        assert!(code == Some(1) && out.starts_with("broken: "), "octet {at}: {out}");
        let (code, out, _) = verify(&["--path", name, "--json"]);
        assert_eq!((code, &objects(&out)[0]["whole"]), (Some(1), &Value::Bool(false)));
    }
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let gone = folder.path().join("gone");
    for folder in [empty.to_str().unwrap(), gone.to_str().unwrap()] {
        let (code, out, err) = verify(&["--path", folder]);
        assert_eq!((code, out.as_str(), err.lines().count()), (Some(2), "", 1), "{err}");
    }
}

#[test]
fn what_cannot_be_told_is_exit_status_2_and_nothing_on_standard_output() {
    let (folder, path) = journal();
    let path = path.to_str().unwrap();
    let gone = folder.path().join("gone");
    let gone = gone.to_str().unwrap();
    let cases: &[&[&str]] = &[
        &["search"],
        &["search", "--path", gone],
        &["search", "-c", gone],
        &["search", "--path", path, "--rule", "source.Forged"],
        &["search", "--path", path, "--verdict", "maybe"],
        &["search", "--path", path, "--from", "yesterday"],
        &["search", "--path", path, "-c", gone],
        &["show", "--path", path, "one"],
        &["show", "--path", gone, "1"],
        &["verify"],
    ];
    for args in cases {
        let (code, out, err) = consentry(&[&["audit"], *args].concat());
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(!err.is_empty(), "{args:?}");
    }
}

#[test]
fn the_segments_of_a_stopped_journal_are_rewritten_once() {
    let (_folder, path) = journal();
    let name = path.to_str().unwrap();
    let (code, out, err) = consentry(&["audit", "archive", "--path", name, "--json"]);
    let written = objects(&out);
    assert_eq!((code, written.len()), (Some(0), 1), "{err}");
    let file = written[0]["file"].as_str().unwrap();
    assert!(file.ends_with("parquet/records-00000000000000000001.parquet"), "{file}");
    // Start, bind, three messages, end, stop: answers stand with their messages.
    assert_eq!(written[0]["rows"], 7);
    let octets = std::fs::read(file).unwrap();
    assert!(octets.starts_with(b"PAR1") && octets.ends_with(b"PAR1"));
    let (code, out, _) = consentry(&["audit", "archive", "--path", name]);
    assert_eq!((code, out.lines().count()), (Some(0), 1), "{out}");
    assert!(out.starts_with("0 files written"), "{out}");
    let (code, out, err) = consentry(&["audit", "archive", "--path", "/nowhere/audit"]);
    assert_eq!((code, out.as_str(), err.lines().count()), (Some(2), "", 1), "{err}");
}
