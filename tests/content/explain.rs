//! `consentry explain`: what is said of one message, and with which exit status.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use consentry::policy::{Rule, RuleSet};
use serde_json::Value;
use sha2::{Digest, Sha256};

const REGISTRY: &str = r#"
[[provider]]
name       = "测试有限公司"
system_ids = ["shop1"]
licence    = { number = "B2-1", valid_until = 2099-12-31 }
identity   = "verified"
[[provider.code]]
number     = "106900001234"
digits_max = 16
"#;

const SOURCE: &str = "106900001234";
const FORGED: &str = "106911119999";
const DESTINATION: &str = "8613800138000";
/// 你好 as UCS2 from [`SOURCE`] to [`DESTINATION`]: header, addresses, flags, text.
const SUBMIT: &str = "0000003e 00000004 00000000 00000007 00 0001 313036393030303031323334 00 \
    0001 38363133383030313338303030 00 00 00 00 00 00 00 00 08 00 04 4f60597d";

struct Place(tempfile::TempDir);

impl Place {
    fn new(rules: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let config = format!("[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"a:1\"]\n{rules}");
        std::fs::write(folder.path().join("c.toml"), config).unwrap();
        std::fs::write(folder.path().join("registry.toml"), REGISTRY).unwrap();
        Place(folder)
    }

    fn explain(&self, args: &[&str]) -> (Option<i32>, String, String) {
        explain(self.0.path(), args)
    }
}

fn explain(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_consentry"))
        .args([&["explain", "-c", "c.toml", "--system-id", "shop1"], args].concat())
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn object(out: &str) -> Value {
    assert_eq!(out.lines().count(), 1, "one object: {out}");
    serde_json::from_str(out).unwrap()
}

#[test]
fn the_exit_status_is_the_verdict() {
    let place = Place::new("");
    let cut = SUBMIT.replacen("0000003e", "0000003d", 1);
    let (malformed, too_long) =
        (cut.strip_suffix("7d").unwrap(), SUBMIT.replacen("0000003e", "00ffffff", 1));
    let message = |source| ["--source", source, "--dest", DESTINATION, "--text", "你好"];
    let cases: &[(&[&str], i32, &str)] = &[
        (&message(SOURCE), 0, "\npass    ESME_ROK\n"),
        (&message(FORGED), 1, "\nrefuse  source.forged  ESME_RINVSRCADR\n"),
        (&message(""), 1, "\nrefuse  source.missing  ESME_RINVSRCADR\n"),
        (&["--source", SOURCE, "--dest", "12"], 1, "destination.malformed  ESME_RINVDSTADR\n"),
        (&["--hex", SUBMIT], 0, "text         你好\n"),
        (&["--hex", malformed], 1, "refuse  pdu.malformed  ESME_RINVMSGLEN  short_message: "),
        (&["--hex", SUBMIT, "--system-id", "shop1"], 2, ""),
        (&["--hex", "0"], 2, ""),
        (&["--hex", "0g"], 2, ""),
        (&["--hex", ""], 2, ""),
        (&["--hex", &SUBMIT[..40]], 2, ""),
        (&["--hex", &format!("{SUBMIT}00")], 2, ""),
        (&["--hex", &too_long], 2, ""),
        (&["--hex", "00000010000000150000000000000001"], 2, ""),
        (&["--source", SOURCE], 2, ""),
        (&["--dest", DESTINATION], 2, ""),
        (&["--hex", SUBMIT, "--source", SOURCE, "--dest", DESTINATION], 2, ""),
        (&[], 2, ""),
    ];
    for (args, status, said) in cases {
        let (code, out, err) = place.explain(args);
        assert_eq!(code, Some(*status), "{args:?}: {out}{err}");
        assert!(out.contains(said), "{args:?}: {out}");
        assert_eq!((out.is_empty(), err.is_empty()), (*status == 2, *status != 2), "{args:?}");
    }
    assert_eq!(explain(Path::new("/"), &["--hex", SUBMIT]).0, Some(2), "no configuration");
}

#[test]
fn the_object_has_the_keys_of_replay_and_the_article_of_the_rule_set() {
    let place = Place::new("[rules]\nset = \"cn-order31-2015\"\n");
    let keys = "trace stream index time system_id command sequence_number source destination class \
        parts verdict rule article status octets sha256";
    let malformed = SUBMIT.replacen("0000003e", "0000003d", 1);
    let malformed = malformed.strip_suffix("7d").unwrap();
    let cases: &[(&[&str], &str, Option<Rule>, &str)] = &[
        (&["--hex", SUBMIT], "pass", None, "ESME_ROK"),
        (
            &["--source", FORGED, "--dest", DESTINATION],
            "refuse",
            Some(Rule::SourceForged),
            "ESME_RINVSRCADR",
        ),
        (&["--hex", malformed], "refuse", Some(Rule::PduMalformed), "ESME_RINVMSGLEN"),
    ];
    for (args, verdict, rule, status) in cases {
        let (_, out, err) = place.explain(&[*args, &["--json"]].concat());
        let line = object(&out);
        let found: BTreeSet<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(found, keys.split_whitespace().collect(), "{args:?}: {err}");
        assert_eq!(line["verdict"], *verdict);
        assert_eq!(line["rule"], Value::from(rule.map(Rule::name)));
        let article = rule.map(|rule| rule.article(RuleSet::CnOrder31_2015));
        assert_eq!(line["article"], Value::from(article));
        assert_eq!(line["status"], *status);
        assert_eq!((&line["system_id"], &line["command"]), (&"shop1".into(), &"submit_sm".into()));
    }
    let line = object(&place.explain(&["--hex", SUBMIT, "--json"]).1);
    let digits: String = SUBMIT.split_whitespace().collect();
    let octets: Vec<u8> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let sha256: String =
        Sha256::digest(&octets).iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!((&line["sha256"], &line["octets"]), (&sha256.into(), &octets.len().into()));
    assert_eq!(line["sequence_number"], 7);
}

#[test]
fn numbers_are_masked_unless_asked_for() {
    let place = Place::new("");
    for more in [&[][..], &["--json"]] {
        for source in [SOURCE, FORGED] {
            let args = [&["--source", source, "--dest", DESTINATION], more].concat();
            let (_, out, _) = place.explain(&args);
            assert!(out.contains("861********00"), "{out}");
            assert!(!out.contains(source) && !out.contains(DESTINATION), "{out}");
            let (_, out, _) = place.explain(&[&args[..], &["--unmask"]].concat());
            assert!(out.contains(source) && out.contains(DESTINATION), "{out}");
        }
    }
}

#[test]
fn a_rule_that_only_observes_lets_the_message_pass_and_says_so() {
    let place = Place::new("[rules.override]\n\"source.forged\" = { mode = \"observe\" }\n");
    let args = ["--source", FORGED, "--dest", DESTINATION];
    let (code, out, _) = place.explain(&args);
    assert_eq!(code, Some(0));
    assert!(out.contains("source.forged            would refuse (observed): "), "{out}");
    let (code, out, _) = place.explain(&[&args[..], &["--json"]].concat());
    let line = object(&out);
    assert_eq!((code, &line["verdict"]), (Some(0), &"observe".into()));
    assert_eq!((&line["rule"], &line["status"]), (&"source.forged".into(), &"ESME_ROK".into()));
}

#[test]
fn every_rule_is_listed_in_its_order_with_what_it_found() {
    let place = Place::new("[rules.override]\n\"source.missing\" = { mode = \"off\" }\n");
    let (_, out, _) = place.explain(&["--source", FORGED, "--dest", DESTINATION]);
    let (_, list) = out.split_once("rules, in the order in which they look:\n").unwrap();
    let rules: Vec<(&str, &str)> = list
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| line.trim().split_once(char::is_whitespace).unwrap())
        .map(|(rule, found)| (rule, found.trim()))
        .collect();
    let found = |name: &str| rules.iter().find(|(rule, _)| *rule == name).map(|(_, found)| *found);
    assert_eq!(found("provider.licence"), Some("nothing against it"));
    assert!(found("source.forged").is_some_and(|found| found.starts_with("refuses: ")));
    assert_eq!(found("destination.malformed"), Some("not asked any more"));
    assert_eq!(found("source.missing"), Some("off"));
    assert!(rules.iter().all(|(rule, _)| Rule::from_name(rule).is_some()), "{rules:?}");
}
