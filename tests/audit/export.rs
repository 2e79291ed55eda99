//! What is handed over: the same every time, checked with the public key alone, and no octet of it can
//! change unseen; not even by who has the private key can a row say what its records do not.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::records::{BIND, VERDICT};
use consentry::archive::Column;
use consentry::archive::bundle::{Wrong, check};
use consentry::audit::keys::{AuditorKey, PublicKey, SigningKey};
use consentry::audit::proof::{NotaryOptions, Prover};
use consentry::audit::{
    Address, BindRecord, ConsentRecord, ContentRecord, Durability, Journal, OBSERVE, Options, PASS,
    REFUSE, ReceiptRecord, Records, ReplyRecord, ResponseRecord, RulesRecord, Sealing,
    UnsuccessRecord, VerdictRecord,
};
use consentry::policy::{Rule, RuleSet};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// 2026-09-21T14:13:20Z.
const NOW_US: u64 = 1_790_000_000_000_000;
const SECOND: u64 = 1_000_000;
const CODE: &[u8] = b"106900001234";
const PERSON: &str = "8613800138000";
const OTHER: &str = "8613900139001";

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn journal(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    fn key(&self) -> PublicKey {
        PublicKey::read(&PublicKey::file(&self.keys())).expect("a public key")
    }

    fn open(&self) -> Journal {
        let mut options = Options::new(Durability::Written);
        options.rule_set = RuleSet::CnOrder31_2015.name().to_owned();
        let auditors = vec![*self.auditor("auditor.key").auditor()];
        options.sealing = Some(Sealing { keys: self.keys(), auditors, content: true });
        options.notary = Some(NotaryOptions {
            key: SigningKey::open_or_create(&self.keys()).expect("a key"),
            records: 1000,
            every: Duration::from_millis(5),
            now_us: Box::new(|| NOW_US + 50 * SECOND),
            on_fault: Box::new(|why| panic!("nothing is signed: {why}")),
        });
        Journal::open(&self.journal(), options, NOW_US).expect("the journal opens").0
    }

    fn auditor(&self, name: &str) -> AuditorKey {
        let file = self.folder.path().join(name);
        AuditorKey::read(&file).or_else(|_| AuditorKey::make(&file)).expect("a pair")
    }

    /// `audit` with these arguments on this journal.
    fn audit(&self, args: &[&str]) -> (Option<i32>, String, String) {
        consentry(&[&args[..1], &["--path", self.journal().to_str().unwrap()], &args[1..]].concat())
    }

    /// An export of everything that `more` asks for, in a folder of that name.
    fn export(&self, name: &str, more: &[&str]) -> PathBuf {
        let out = self.folder.path().join(name);
        let args = [&["export", "--out", out.to_str().unwrap()], more].concat();
        let (code, _, err) = self.audit(&args);
        assert_eq!(code, Some(0), "{more:?}: {err}");
        out
    }
}

fn consentry(args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consentry"));
    let Output { status, stdout, stderr } = command.arg("audit").args(args).output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn address(raw: &[u8]) -> Address<'_> {
    Address { ton: 1, npi: 1, raw }
}

fn bind(session: u64, provider: &'static str, system_id: &'static [u8]) -> BindRecord<'static> {
    BindRecord { session, provider, system_id, ..BIND }
}

fn message(
    session: u64,
    sequence_number: u32,
    to: &str,
    rule: (u8, Option<Rule>),
) -> VerdictRecord<'_> {
    let (verdict, rule) = rule;
    let code = rule.map_or(0, Rule::code);
    VerdictRecord {
        session,
        sequence_number,
        verdict,
        rule: code,
        observed: if verdict == OBSERVE { 1 << code } else { 0 },
        status: if verdict == REFUSE { 0x45 } else { 0 },
        source: Address { ton: 0, npi: 1, raw: CODE },
        destination: address(to.as_bytes()),
        class: 1,
        consent: 7,
        ..VERDICT
    }
}

/// What message 2 says.
const SAID: &str = "您好，\r\n退订回T";

fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn content(session: u64, sequence_number: u32, coding: u8, octets: &[u8]) -> ContentRecord<'_> {
    let (command_id, esm_class, data_coding, flags) = (4, 0, coding, 0);
    ContentRecord { session, command_id, sequence_number, esm_class, data_coding, flags, octets }
}

fn response(session: u64, sequence_number: u32, message_id: &[u8]) -> ResponseRecord<'_> {
    ResponseRecord {
        session,
        command_id: 0x8000_0004,
        sequence_number,
        status: 0,
        latency_us: 1200,
        flags: 0,
        message_id,
    }
}

/// Two segments: all that a row can rest on, over their border too.
fn place() -> Place {
    let place = Place { folder: tempfile::tempdir().unwrap() };
    let journal = place.open();
    let mut records = Records::new();
    let mut append = |journal: &Journal, fill: &dyn Fn(&mut Records)| {
        fill(&mut records);
        let ticket = journal.append(&mut records).unwrap();
        journal.wait(ticket).unwrap();
    };
    let session = journal.next_session_id();
    append(&journal, &|records| {
        records.bind(NOW_US, &bind(session, "示例商城有限公司", b"=shop1"));
        records.verdict(NOW_US + 1, &message(session, 2, PERSON, (PASS, None)));
        records.content(NOW_US + 1, &content(session, 2, 8, &ucs2(SAID)));
        records.verdict(
            NOW_US + 2,
            &message(session, 3, PERSON, (REFUSE, Some(Rule::ConsentMissing))),
        );
        records.content(NOW_US + 2, &content(session, 3, 0, b"=SUM(1,2)"));
        let observed = message(session, 4, OTHER, (OBSERVE, Some(Rule::NoticeMissing)));
        records.verdict(NOW_US + 3, &observed);
    });
    journal.rotate();
    append(&journal, &|records| {
        records.response(NOW_US + 4, &response(session, 2, b"0000123456"));
        let receipt = ReceiptRecord {
            session,
            command_id: 5,
            sequence_number: 9,
            esm_class: 4,
            state: 2,
            flags: ReceiptRecord::BY_TEXT,
            network_error: [0; 3],
            submitted: [0; 6],
            done: [26, 9, 21, 22, 13, 0],
            source: address(PERSON.as_bytes()),
            destination: address(CODE),
            message_id: b"1e240",
            text_id: b"",
            stat: b"DELIVRD",
            error: b"000",
        };
        records.receipt(NOW_US + SECOND, &receipt);
        let rule_set = RuleSet::CnOrder74_2026.name();
        records.rules(NOW_US + SECOND, &RulesRecord { rules: [9; 32], rule_set });
        for to in [PERSON, OTHER] {
            let multi = VerdictRecord { command_id: 0x21, ..message(session, 5, to, (PASS, None)) };
            records.verdict(NOW_US + SECOND, &multi);
        }
        records.content(NOW_US + SECOND, &content(session, 5, 0, b"to both"));
        let unsuccess = UnsuccessRecord {
            session,
            sequence_number: 5,
            status: 0x0b,
            destination: address(OTHER.as_bytes()),
        };
        records.unsuccess(NOW_US + SECOND, &unsuccess);
        records.response(NOW_US + SECOND, &response(session, 5, b"77"));
        let reply = ReplyRecord {
            session,
            command_id: 5,
            sequence_number: 10,
            reply: ReplyRecord::OPT_OUT,
            source: address(PERSON.as_bytes()),
            destination: address(CODE),
            data_coding: 8,
            text: b"\0T\0D",
        };
        records.reply(NOW_US + 2 * SECOND, &reply);
        let revoked = ConsentRecord {
            event: 1,
            happened_us: NOW_US,
            until_us: 0,
            count: 1,
            source: 1,
            happened: ConsentRecord::REVOKED,
            cause: ConsentRecord::COMPLAINT,
            review: 0,
            class: 0,
            recipient: address(PERSON.as_bytes()),
            entity: "示例商城有限公司",
            scope: "",
            proof: b"",
            id: "",
        };
        records.consent(NOW_US + 2 * SECOND + 1, &revoked);
    });
    // The notary looks now and then: the first segment is signed in the second one.
    let deadline = Instant::now() + Duration::from_secs(20);
    let signed = || (2..=8).all(|record| Prover::new(&place.journal()).prove(record).is_ok());
    while !signed() {
        assert!(Instant::now() < deadline, "signed within 20 seconds");
        std::thread::sleep(Duration::from_millis(20));
    }
    journal.close(NOW_US + 60 * SECOND).unwrap();
    place
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(&path).unwrap())
        })
        .collect();
    all.sort();
    all
}

fn read(folder: &Path, name: &str) -> String {
    String::from_utf8(std::fs::read(folder.join(name)).unwrap()).unwrap()
}

fn rows(folder: &Path) -> Vec<Value> {
    let text = read(folder, "records.ndjson");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const FORMATS: [&str; 3] = ["csv", "ndjson", "parquet"];

#[test]
fn an_export_is_the_same_each_time_and_the_public_key_alone_verifies_it() {
    let place = place();
    let elsewhere = tempfile::tempdir().unwrap();
    let key = elsewhere.path().join("authority.pub");
    std::fs::copy(PublicKey::file(&place.keys()), &key).unwrap();
    let key = key.to_str().unwrap();
    for format in FORMATS {
        let one = place.export(&format!("one-{format}"), &["--format", format]);
        let other = place.export(&format!("other-{format}"), &["--format", format]);
        let found = files(&one);
        assert!(found == files(&other), "{format}: two exports differ");
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        let table = format!("records.{format}");
        let expected =
            ["cover.txt", "manifest.json", "manifest.sig", "proofs.ndjson", &table, "signing.pub"];
        assert_eq!(names, expected);
        // Where there is neither journal nor private key.
        let moved = elsewhere.path().join(format);
        std::fs::rename(&one, &moved).unwrap();
        let bundle = moved.to_str().unwrap();
        let (code, out, err) = consentry(&["verify", "--bundle", bundle, "--key", key]);
        assert_eq!(code, Some(0), "{format}: {out}{err}");
        assert!(out.starts_with("whole: 8 rows on 14 records"), "{out}");
        let proofs = moved.join("proofs.ndjson");
        let (code, out, _) =
            consentry(&["verify", "--proof", proofs.to_str().unwrap(), "--key", key, "--json"]);
        assert_eq!((code, out.lines().count()), (Some(0), 14), "each proof stands alone");
    }
    let (code, out, err) = consentry(&["verify", "--bundle", "/nowhere", "--key", key]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
}

#[test]
fn a_row_is_a_message_with_what_became_of_it() {
    let place = place();
    let folder = place.export("rows", &["--format", "ndjson"]);
    let keys = [
        "kind",
        "sequence_number",
        "verdict",
        "became",
        "response_status",
        "message_id",
        "receipt_state",
        "says",
        "source",
        "destination",
        "rule_set",
        "provider",
    ];
    let shown: Vec<Vec<String>> = rows(&folder)
        .iter()
        .map(|row| {
            let word = |key: &&str| match &row[*key] {
                Value::Null => "-".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            keys.iter().map(word).collect()
        })
        .collect();
    let shop = "示例商城有限公司";
    let (old, new) = ("cn-order31-2015", "cn-order74-2026");
    let code = "106900001234";
    let expected = [
        ["bind", "1", "pass", "-", "-", "-", "-", "-", "-", "-", old, shop],
        [
            "verdict",
            "2",
            "pass",
            "answered",
            "ESME_ROK",
            "0000123456",
            "delivered",
            "-",
            code,
            PERSON,
            old,
            shop,
        ],
        ["verdict", "3", "refuse", "refused", "-", "-", "-", "-", code, PERSON, old, shop],
        ["verdict", "4", "observe", "unknown", "-", "-", "-", "-", code, OTHER, old, shop],
        ["verdict", "5", "pass", "answered", "ESME_ROK", "77", "-", "-", code, PERSON, new, shop],
        [
            "verdict",
            "5",
            "pass",
            "answered",
            "ESME_RINVDSTADR",
            "-",
            "-",
            "-",
            code,
            OTHER,
            new,
            shop,
        ],
        ["reply", "10", "-", "-", "-", "-", "-", "opt-out", PERSON, code, "-", shop],
        ["consent", "-", "-", "-", "-", "-", "-", "-", "-", PERSON, "-", "-"],
    ];
    assert_eq!(shown, expected);
    let cover = read(&folder, "cover.txt");
    for said in [
        "导出条件",
        "全部记录",
        "完整内容",
        "are whole",
        "8 行",
        "8 rows",
        "示例商城有限公司",
        "verdict 5",
        "refuse 1",
        "2026-09-21T22:13:20",
        "consent.missing",
    ] {
        assert!(cover.contains(said), "{said}: {cover}");
    }
}

#[test]
fn what_is_asked_for_is_handed_over_and_nothing_else() {
    let place = place();
    let cases: &[(&[&str], usize)] = &[
        (&["--number", "13800138000"], 5),
        (&["--number", "+8613900139001"], 2),
        (&["--provider", "示例商城有限公司"], 8),
        (&["--verdict", "refuse"], 1),
        (&["--rule", "notice.missing"], 1),
        (&["--message-id", "1E240"], 1),
        (&["--from", "2026-09-21T22:13:21+08:00"], 4),
        (&["--to", "2026-09-21T14:13:20.000002Z"], 2),
    ];
    for (at, (asked, count)) in cases.iter().enumerate() {
        let args = [*asked, &["--format", "ndjson"]].concat();
        let folder = place.export(&format!("case-{at}"), &args);
        let found = rows(&folder);
        assert_eq!(found.len(), *count, "{asked:?}");
        check(&folder, &[place.key()]).unwrap();
        let manifest: Value = serde_json::from_str(&read(&folder, "manifest.json")).unwrap();
        let name = asked[0].trim_start_matches("--").replace('-', "_");
        assert!(manifest["asked"].as_object().unwrap().contains_key(&name));
        // Nothing of anybody else: neither in clear nor with the key to read it.
        let others = asked == &["--number", "+8613900139001"];
        let text = read(&folder, "records.ndjson") + &read(&folder, "proofs.ndjson");
        let in_hex: String = PERSON.bytes().map(|octet| format!("{octet:02x}")).collect();
        assert!(!others || !(text.contains(PERSON) || text.contains(&in_hex)));
    }
    let out = place.folder.path().join("nothing");
    let args = ["export", "--number", "13700137000", "--out", out.to_str().unwrap()];
    assert_eq!(place.audit(&args).0, Some(1), "an export of nothing says no");
    let (code, _, err) = place.audit(&args);
    assert!(
        code == Some(2) && err.contains("nothing cannot be written"),
        "a folder that exists: {err}"
    );
}

#[test]
fn an_auditor_hands_over_what_messages_say() {
    let place = place();
    let file = |name: &str| place.folder.path().join(name).to_str().unwrap().to_owned();
    let in_hex = |octets: &[u8]| octets.iter().map(|one| format!("{one:02x}")).collect::<String>();
    let (key, public) = (file("auditor.key"), file("keys/signing.pub"));
    for format in FORMATS {
        let more = ["--format", format, "--auditor-key", &key];
        let one = place.export(&format!("texts-{format}"), &more);
        let other = place.export(&format!("again-{format}"), &more);
        assert!(files(&one) == files(&other), "{format}: two exports differ");
        let args = ["verify", "--bundle", one.to_str().unwrap(), "--key", &public];
        let (code, out, err) = consentry(&args);
        assert_eq!(code, Some(0), "{format}: {out}{err}");
        assert!(out.starts_with("whole: 8 rows on 17 records"), "{out}");
    }
    let folder = place.folder.path().join("texts-ndjson");
    let said = |folder: &Path| -> Vec<(u64, Option<String>, Option<String>)> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let messages = rows(folder).into_iter().filter(|row| row["kind"] == "verdict");
        messages
            .map(|row| {
                let number = row["sequence_number"].as_u64().unwrap();
                (number, text(&row["text"]), text(&row["text_hex"]))
            })
            .collect()
    };
    let row =
        |number, text: &str, octets: &[u8]| (number, Some(text.to_owned()), Some(in_hex(octets)));
    let expected = [
        row(2, SAID, &ucs2(SAID)),
        row(3, "=SUM(1,2)", b"=SUM(1,2)"),
        (4, None, None),
        row(5, "to both", b"to both"),
        row(5, "to both", b"to both"),
    ];
    assert_eq!(said(&folder), expected);
    let manifest: Value = serde_json::from_str(&read(&folder, "manifest.json")).unwrap();
    assert_eq!(manifest["texts"], true);
    let cover = read(&folder, "cover.txt");
    for told in ["含短信内容", "what messages say is in it", "含内容的短信: 4"] {
        assert!(cover.contains(told), "{told}: {cover}");
    }
    let table = read(&place.folder.path().join("texts-csv"), "records.csv");
    assert!(table.contains(",\"'=SUM(1,2)\","), "no formula: {table}");

    // Nobody else reads them: not without the key, not with another auditor's.
    place.auditor("other.key");
    let without = place.export("without", &["--format", "ndjson"]);
    let args = ["--format", "ndjson", "--auditor-key", &file("other.key")];
    let stranger = place.export("stranger", &args);
    for folder in [&without, &stranger] {
        assert!(said(folder).iter().all(|(_, text, octets)| (text, octets) == (&None, &None)));
        assert!(!read(folder, "proofs.ndjson").contains("content_key"));
        check(folder, &[place.key()]).unwrap();
    }
    assert!(!read(&without, "cover.txt").contains("what messages say"));
    let (_, out, err) = place.audit(&[
        "export",
        "--out",
        &file("told"),
        "--json",
        "--auditor-key",
        &file("other.key"),
    ]);
    assert!(out.contains("\"unreadable_texts\":4") && err.contains("does not open"), "{out}{err}");
}

#[test]
fn a_spreadsheet_reads_text_and_no_formula() {
    let place = place();
    let folder = place.export("csv", &[]);
    let text = read(&folder, "records.csv");
    let text = text.strip_prefix('\u{feff}').expect("a byte order mark");
    let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    assert_eq!(header, Column::ALL.iter().map(|column| column.name()).collect::<Vec<_>>());
    assert!(text.contains(",\"'=shop1\","), "{text}");
    assert!(!text.contains(",=") && text.ends_with("\r\n"));
}

/// Every octet of every file; of proofs and table, one in so many.
#[test]
fn no_octet_changes_unseen() {
    let place = place();
    let key = [place.key()];
    for format in FORMATS {
        let folder = place.export(&format!("octets-{format}"), &["--format", format]);
        check(&folder, &key).unwrap();
        for (name, good) in files(&folder) {
            let path = folder.join(&name);
            let step = if good.len() > 2_000 { 97 } else { 1 };
            for at in (0..good.len()).step_by(step).chain([good.len() - 1]) {
                let mut bad = good.clone();
                bad[at] ^= 1;
                std::fs::write(&path, &bad).unwrap();
                let why = check(&folder, &key).expect_err("changed").to_string();
                assert!(why.contains(&name), "{name} octet {at}: {why}");
            }
            for bad in [&good[..good.len() - 1], &[&good[..], b"\n"].concat(), b""] {
                std::fs::write(&path, bad).unwrap();
                let why = check(&folder, &key).expect_err("cut or longer").to_string();
                assert!(why.contains(&name), "{name}: {why}");
            }
            std::fs::remove_file(&path).unwrap();
            let why = check(&folder, &key).expect_err("missing").to_string();
            assert_eq!(why, format!("{name} is missing"));
            std::fs::write(&path, &good).unwrap();
        }
        std::fs::write(folder.join("more.txt"), "more").unwrap();
        let why = check(&folder, &key).expect_err("one file more").to_string();
        assert!(why.starts_with("more.txt is no file of the export"), "{why}");
    }
    let other = SigningKey::open_or_create(&place.folder.path().join("other")).unwrap();
    let folder = place.export("key", &[]);
    assert!(matches!(check(&folder, &[other.public()]), Err(Wrong::Broken(_))));
    check(&folder, &[other.public(), key[0]]).unwrap();
}

/// Whoever has the private key can sign anything, but not make records that are not in the journal.
fn sign_again(place: &Place, folder: &Path) {
    let mut manifest: Value = serde_json::from_str(&read(folder, "manifest.json")).unwrap();
    for (name, octets) in files(folder) {
        if manifest["files"].get(&name).is_some() {
            let sha256 = Sha256::digest(&octets);
            let hex: String = sha256.iter().map(|octet| format!("{octet:02x}")).collect();
            manifest["files"][&name] = json!({ "octets": octets.len(), "sha256": hex });
        }
    }
    let text = format!("{manifest:#}\n");
    let signing = SigningKey::open(&place.keys()).unwrap().unwrap();
    std::fs::write(folder.join("manifest.json"), &text).unwrap();
    std::fs::write(folder.join("manifest.sig"), signing.sign(text.as_bytes())).unwrap();
}

type Change<'a> = Box<dyn Fn(&str) -> String + 'a>;

/// A change of the objects of the proofs.
fn proofs<'a>(change: impl Fn(&mut Vec<Value>) + 'a) -> Change<'a> {
    Box::new(move |text| {
        let object = |line: &str| serde_json::from_str(line).unwrap();
        let mut all: Vec<Value> = text.lines().map(object).collect();
        change(&mut all);
        all.iter().map(|one| format!("{one}\n")).collect()
    })
}

#[test]
fn not_even_the_signer_can_let_a_row_say_what_its_records_do_not() {
    let place = place();
    let key = [place.key()];
    let line = |text: &str, at: usize| text.lines().nth(at).unwrap().to_owned();
    let drop_line =
        move |text: &str, at: usize| text.replacen(&format!("{}\r\n", line(text, at)), "", 1);
    let rows_of = |all: &[Value]| -> Vec<usize> {
        (0..all.len()).filter(|at| all[*at].get("row").is_some()).collect()
    };
    let cases: Vec<(&str, Change<'_>, &str)> = vec![
        (
            "records.csv",
            Box::new(|text: &str| text.replacen(PERSON, "8613800138001", 1)),
            "is not what its records say",
        ),
        (
            "records.csv",
            Box::new(|text: &str| text.replacen("delivered", "expired", 1)),
            "is not what its records say",
        ),
        (
            "records.csv",
            Box::new(move |text: &str| drop_line(text, 3)),
            "is not what its records say",
        ),
        (
            "records.csv",
            Box::new(|text: &str| format!("{text}{text}")),
            "rows that no record proves",
        ),
        (
            "records.csv",
            Box::new(|text: &str| text.replacen("record", "Record", 1)),
            "does not begin",
        ),
        (
            "cover.txt",
            Box::new(|text: &str| text.replacen("refuse 1", "refuse 0", 1)),
            "cover.txt is not what",
        ),
        ("proofs.ndjson", proofs(|all| drop(all.remove(0))), "is missing, on which"),
        (
            "proofs.ndjson",
            proofs(|all| {
                let at = rows_of(all)[1];
                all[at].as_object_mut().unwrap().remove("row");
            }),
            "is not what its records say",
        ),
        (
            "proofs.ndjson",
            proofs(|all| {
                let at = rows_of(all)[4];
                all[at]["row"].as_object_mut().unwrap().remove("answer");
            }),
            "is not what its records say",
        ),
        (
            "proofs.ndjson",
            proofs(|all| {
                // The answer of another message.
                let rows = rows_of(all);
                let answer = all[rows[4]]["row"]["answer"].clone();
                all[rows[1]]["row"]["answer"] = answer;
            }),
            "the answer is not that of the message",
        ),
        (
            "proofs.ndjson",
            proofs(|all| {
                let rows = rows_of(all);
                let receipt = all[rows[1]]["row"]["receipt"].clone();
                all[rows[4]]["row"]["receipt"] = receipt;
            }),
            "the receipt is not that of the message",
        ),
        (
            "proofs.ndjson",
            proofs(|all| {
                let (one, other) = (rows_of(all)[2], rows_of(all)[3]);
                all[one]["number_key"] = all[other]["number_key"].clone();
            }),
            "is not what its records say",
        ),
        (
            "proofs.ndjson",
            proofs(|all| {
                let octets = all[0]["octets"].as_str().unwrap().replacen('0', "1", 1);
                all[0]["octets"] = octets.into();
            }),
            "line 1: the record is not the one that was signed",
        ),
        ("proofs.ndjson", proofs(|all| all.swap(2, 3)), "is not behind the one before"),
        (
            "signing.pub",
            Box::new(|_: &str| {
                let other = SigningKey::open_or_create(&place.folder.path().join("k2")).unwrap();
                other.public().to_pem()
            }),
            "signing.pub is not the key",
        ),
    ];
    for (at, (name, change, expected)) in cases.iter().enumerate() {
        let folder = place.export(&format!("forged-{at}"), &[]);
        let before = read(&folder, name);
        let after = change(&before);
        assert_ne!(before, after, "case {at}");
        std::fs::write(folder.join(name), after).unwrap();
        sign_again(&place, &folder);
        match check(&folder, &key) {
            Err(Wrong::Broken(why)) => assert!(why.contains(expected), "case {at}: {why}"),
            other => panic!("case {at}: {other:?}"),
        }
    }
    // The same of what messages say.
    let auditor = place.folder.path().join("auditor.key");
    let texts: Vec<(Change<'_>, &str)> = vec![
        (
            proofs(|all| {
                let (one, other) = (rows_of(all)[1], rows_of(all)[2]);
                all[one]["row"]["content"] = all[other]["row"]["content"].clone();
            }),
            "the content is not that of the message",
        ),
        (
            proofs(|all| {
                let at = rows_of(all)[1];
                all[at]["row"].as_object_mut().unwrap().remove("content");
            }),
            "is not what its records say",
        ),
        (
            proofs(|all| {
                let keyed = |one: &&Value| one.get("content_key").is_some();
                let key = all.iter().filter(keyed).nth(1).unwrap()["content_key"].clone();
                let one = all.iter_mut().find(|one| one.get("content_key").is_some());
                one.unwrap()["content_key"] = key;
            }),
            "its content_key does not open it",
        ),
    ];
    for (at, (change, expected)) in texts.iter().enumerate() {
        let more = ["--auditor-key", auditor.to_str().unwrap()];
        let folder = place.export(&format!("text-{at}"), &more);
        let after = change(&read(&folder, "proofs.ndjson"));
        std::fs::write(folder.join("proofs.ndjson"), after).unwrap();
        sign_again(&place, &folder);
        let why = check(&folder, &key).expect_err("forged").to_string();
        assert!(why.contains(expected), "text {at}: {why}");
    }
    // Signed again as it was, it is whole.
    let folder = place.export("again", &[]);
    sign_again(&place, &folder);
    assert_eq!(check(&folder, &key).unwrap().rows, 8);
}

#[test]
fn what_is_not_signed_yet_is_not_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit");
    let (journal, _) = Journal::open(&path, Options::new(Durability::Written), NOW_US).unwrap();
    let mut records = Records::new();
    records.bind(NOW_US, &bind(1, "示例商城有限公司", b"shop1"));
    let ticket = journal.append(&mut records).unwrap();
    journal.wait(ticket).unwrap();
    journal.close(NOW_US).unwrap();
    let out = folder.path().join("out");
    let args = ["export", "--path", path.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let (code, _, err) = consentry(&args);
    assert!(code == Some(2) && err.contains("no signing.key"), "{err}");
    SigningKey::open_or_create(&folder.path().join("keys")).unwrap();
    let (code, _, err) = consentry(&args);
    assert!(code == Some(2) && err.contains("no checkpoint covers record"), "{err}");
    assert!(!out.exists(), "what was half written is removed");
}

/// openssl checks the signature without anything of ours.
#[test]
fn openssl_checks_the_signature() {
    if Command::new("openssl").arg("version").output().is_err() {
        return;
    }
    let place = place();
    let folder = place.export("openssl", &[]);
    let verify = || {
        let args = [
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            "signing.pub",
            "-rawin",
            "-in",
            "manifest.json",
            "-sigfile",
            "manifest.sig",
        ];
        let mut command = Command::new("openssl");
        command.args(args).current_dir(&folder).output().unwrap().status.success()
    };
    assert!(verify());
    let mut text = std::fs::read(folder.join("manifest.json")).unwrap();
    text[20] ^= 1;
    std::fs::write(folder.join("manifest.json"), text).unwrap();
    assert!(!verify());
}
