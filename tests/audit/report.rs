//! `consentry audit report`: each count is what the records say, each day the zone's.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::records::{BIND, VERDICT};
use consentry::audit::{
    Address, BindRecord, ConsentRecord, Durability, EndRecord, Journal, OBSERVE, Options, PASS,
    REFUSE, Records, ReplyRecord, VerdictRecord,
};
use consentry::policy::{Rule, RuleSet};
use serde_json::{Value, json};

/// 2026-09-21T15:59:59.999999Z: the last microsecond of that day in China.
const LAST_US: u64 = 1_790_006_399_999_999;
const SHOP: &str = "示例商城有限公司";
const OTHER: &str = "另一家有限公司";

fn bind(session: u64, command_id: u32, provider: &'static str) -> BindRecord<'static> {
    BindRecord { session, command_id, provider, ..BIND }
}

fn message(session: u64, verdict: u8, rule: Option<Rule>) -> VerdictRecord<'static> {
    let code = rule.map_or(0, Rule::code);
    VerdictRecord {
        session,
        sequence_number: 2,
        verdict,
        rule: code,
        observed: if verdict == OBSERVE { 1 << code } else { 0 },
        status: if verdict == REFUSE { 0x45 } else { 0 },
        destination: Address { ton: 1, npi: 1, raw: b"8613800138000" },
        class: 1,
        ..VERDICT
    }
}

fn reply(session: u64, reply: u8) -> ReplyRecord<'static> {
    ReplyRecord {
        session,
        command_id: 5,
        sequence_number: 7,
        reply,
        source: Address { ton: 1, npi: 1, raw: b"8613800138000" },
        destination: Address { ton: 0, npi: 1, raw: b"106900001234" },
        data_coding: 8,
        text: b"\0T",
    }
}

fn fill(records: &mut Records) {
    let transmitter = 2;
    let receiver = 1;
    records.bind(LAST_US, &bind(1, transmitter, SHOP));
    let refused = BindRecord {
        verdict: REFUSE,
        rule: Rule::ProviderLocation.code(),
        ..bind(2, transmitter, OTHER)
    };
    records.bind(LAST_US, &refused);
    // The last of the day: nobody hears for the shop.
    records.verdict(LAST_US, &message(1, PASS, None));
    let extension = Address { ton: 0, npi: 1, raw: b"10690000123499" };
    records.verdict(LAST_US, &VerdictRecord { source: extension, ..message(1, PASS, None) });
    records.verdict(LAST_US, &message(1, REFUSE, Some(Rule::ConsentMissing)));
    // The next day begins: now it hears, then no longer.
    records.bind(LAST_US + 1, &bind(3, receiver, SHOP));
    records.verdict(LAST_US + 1, &message(1, PASS, None));
    records.verdict(LAST_US + 1, &message(1, OBSERVE, Some(Rule::RecipientsSwept)));
    records.verdict(LAST_US + 1, &message(1, REFUSE, Some(Rule::RecipientsSwept)));
    let service = VerdictRecord { class: 3, ..message(1, PASS, None) };
    records.verdict(LAST_US + 1, &service);
    records.reply(LAST_US + 2, &reply(3, ReplyRecord::OPT_OUT));
    records.reply(LAST_US + 2, &reply(3, ReplyRecord::OPT_IN));
    let end = EndRecord { session: 3, reason: 1, forwarded: 0, refused: 0, unanswered: 0 };
    records.end(LAST_US + 3, &end);
    records.verdict(LAST_US + 4, &message(1, PASS, None));
    records.bind(LAST_US + 5, &bind(4, 9, OTHER));
    let public = VerdictRecord { class: 4, ..message(4, OBSERVE, Some(Rule::PublicUnfiled)) };
    records.verdict(LAST_US + 5, &public);
    // A refusal that another rule would have joined in observe mode.
    let both = VerdictRecord {
        observed: 1 << Rule::SignatureMissing.code(),
        ..message(4, REFUSE, Some(Rule::ConsentMissing))
    };
    records.verdict(LAST_US + 5, &both);
    for (cause, entity) in
        [(ConsentRecord::COMPLAINT, SHOP), (ConsentRecord::COMPLAINT, SHOP), (1, OTHER)]
    {
        records.consent(LAST_US + 5, &revoked(cause, entity));
    }
}

fn revoked(cause: u8, entity: &'static str) -> ConsentRecord<'static> {
    ConsentRecord {
        event: 1,
        happened_us: LAST_US,
        until_us: 0,
        count: 1,
        source: 1,
        happened: ConsentRecord::REVOKED,
        cause,
        review: 0,
        class: 0,
        recipient: Address { ton: 1, npi: 1, raw: b"8613800138000" },
        entity,
        scope: "",
        proof: b"",
        id: "",
    }
}

fn journal(path: &Path) {
    let mut options = Options::new(Durability::Written);
    options.rule_set = RuleSet::CnOrder31_2015.name().to_owned();
    let (journal, _) = Journal::open(path, options, LAST_US).unwrap();
    let mut records = Records::new();
    fill(&mut records);
    let ticket = journal.append(&mut records).unwrap();
    journal.wait(ticket).unwrap();
    journal.close(LAST_US + 6).unwrap();
}

fn report(path: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consentry"));
    let Output { status, stdout, stderr } =
        command.args(["audit", "report", "--path"]).arg(path).args(more).output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn kept() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit");
    journal(&path);
    (folder, path)
}

/// What a line says that is not zero or nothing.
fn counts(line: &Value) -> Value {
    let mut line = line.clone();
    line.as_object_mut().unwrap().retain(|_, value| *value != 0 && !value.is_null());
    line
}

#[test]
fn every_count_is_what_the_records_say() {
    let (_folder, path) = kept();
    let (code, out, err) = report(&path, &["--json"]);
    assert_eq!(code, Some(0), "{err}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let days: Vec<Value> = lines.iter().filter(|one| one["what"] == "day").map(counts).collect();
    let expected = [
        json!({ "what": "day", "day": "2026-09-21", "provider": OTHER, "binds_refused": 1 }),
        json!({
            "what": "day", "day": "2026-09-21", "provider": SHOP, "passed": 2, "refused": 1,
            "commercial": 2, "blind_codes": 2, "blind_messages": 2, "opt_outs_per_thousand": 0.0,
            "complaints_per_million": 0.0,
        }),
        json!({
            "what": "day", "day": "2026-09-22", "provider": OTHER, "refused": 1, "observed": 1,
            "unfiled_public": 1, "complaints_per_million": 0.0,
        }),
        json!({
            "what": "day", "day": "2026-09-22", "provider": SHOP, "passed": 3, "refused": 1,
            "observed": 1, "commercial": 3, "opt_outs": 1, "opt_ins": 1, "sweeps": 2,
            "opt_outs_per_thousand": 1000.0 / 3.0, "complaints": 2,
            "complaints_per_million": 500_000.0,
            "blind_codes": 1, "blind_messages": 1,
        }),
    ];
    // 0.0 is a rate, 0 a count of nothing.
    let expected: Vec<Value> = expected.iter().map(counts).collect();
    assert_eq!(days, expected);
    let articles: Vec<(String, String, u64, u64)> = lines
        .iter()
        .filter(|one| one["what"] == "article")
        .map(|one| {
            let rule = Rule::from_name(one["rule"].as_str().unwrap()).unwrap();
            assert_eq!(one["article"], rule.article(RuleSet::CnOrder31_2015));
            let word = |key: &str| one[key].as_str().unwrap().to_owned();
            let place = format!("{} {}", word("day"), word("provider"));
            let count = |key: &str| one[key].as_u64().unwrap();
            (place, word("rule"), count("refused"), count("observed"))
        })
        .collect();
    let row = |day: &str, provider: &str, rule: &str, refused, observed| {
        (format!("{day} {provider}"), rule.to_owned(), refused, observed)
    };
    let mut expected = vec![
        row("2026-09-21", OTHER, "provider.location", 1, 0),
        row("2026-09-21", SHOP, "consent.missing", 1, 0),
        row("2026-09-22", OTHER, "consent.missing", 1, 0),
        row("2026-09-22", OTHER, "public.unfiled", 0, 1),
        row("2026-09-22", OTHER, "signature.missing", 0, 1),
        row("2026-09-22", SHOP, "recipients.swept", 1, 1),
    ];
    let mut found = articles;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let total = lines.last().unwrap();
    assert_eq!(
        (&total["what"], &total["passed"], &total["refused"]),
        (&json!("total"), &json!(5), &json!(3))
    );
    assert_eq!((&total["blind_codes"], &total["blind_messages"]), (&json!(2), &json!(3)));
}

#[test]
fn days_and_months_are_those_of_china() {
    let (_folder, path) = kept();
    let cases: &[(&[&str], usize, i32)] = &[
        (&["--from", "2026-09-22"], 2, 0),
        (&["--to", "2026-09-21"], 2, 0),
        (&["--from", "2026-09-21", "--to", "2026-09-22"], 4, 0),
        (&["--month", "2026-09"], 4, 0),
        (&["--month", "2026-08"], 0, 1),
        (&["--provider", SHOP], 2, 0),
        (&["--month", "2026-9"], 0, 2),
        (&["--month", "2026-09", "--from", "2026-09-01"], 0, 2),
        (&["--from", "2026-09-22", "--to", "2026-09-21"], 0, 2),
    ];
    for (args, rows, expected) in cases {
        let (code, out, err) = report(&path, &[*args, &["--json"]].concat());
        let days = out.lines().filter(|line| line.contains("\"what\":\"day\"")).count();
        assert_eq!((code, days), (Some(*expected), *rows), "{args:?}: {err}");
    }
}

#[test]
fn the_table_is_as_wide_as_its_head() {
    let (_folder, path) = kept();
    let (_, out, _) = report(&path, &[]);
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].trim_start().starts_with("day") && lines[0].ends_with("provider"));
    assert!(lines[1].ends_with(OTHER) && lines[2].ends_with(SHOP), "{out}");
    let ends = |line: &str| line.split_inclusive(char::is_whitespace).count();
    assert!(ends(lines[1]) > 12, "{out}");
    assert!(lines[5].trim_start().starts_with("total"), "{out}");
    let last = lines.last().unwrap();
    assert!(last.contains("Order 31 art."), "{out}");
}
