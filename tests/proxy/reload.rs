//! Files that change while sessions are up: what is put in force, what is refused, and what each record says
//! of the rules that it was judged by.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use consentry::audit::{Reader, Record};
use consentry::peer::esme::Esme;
use consentry::peer::smsc::{Options, Smsc};
use consentry::smpp::message::WireAddress;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, CommandStatus};

use crate::metrics::{series, wait_for};
use crate::running::{Proxy, ask};
use crate::{OURS, answer, audit, bound, smsc, submit, submits};

const ADMIN: &str = "[admin]\naddress = \"127.0.0.1:0\"\n";

/// Asks for a reload; status and body.
fn reload(admin: SocketAddr, headers: &str) -> (u16, String) {
    ask(admin, "POST /api/v1/reload", headers, "")
}

/// The same where it has to succeed.
fn reloaded(proxy: &Proxy) -> serde_json::Value {
    let (status, body) = reload(proxy.admin.expect("an admin address"), "");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("one JSON object")
}

/// A provider; `more` stands in its table, before its codes.
fn provider(name: &str, system_id: &str, more: &str, codes: &[&str]) -> String {
    let mut text = format!(
        "[[provider]]\nname = \"{name}\"\nsystem_ids = [\"{system_id}\"]\nidentity = \"verified\"\n"
    );
    if !more.contains("licence") {
        text += "licence = { number = \"B2-1\", valid_until = 2099-12-31 }\n";
    }
    text += more;
    for code in codes {
        write!(text, "\n[[provider.code]]\nnumber = \"{code}\"\ndigits_max = 16\n").expect("room");
    }
    text
}

const CODE: &str = "106900001234";

/// What the proxy starts with.
fn start(folder: &Path, smsc: &Smsc, more: &str) -> Proxy {
    Proxy::start(folder, smsc.address(), &(audit("written") + ADMIN + more), "")
}

fn put(folder: &Path, name: &str, text: &str) {
    // As editors do: a file of its own, renamed over the old one.
    let new = folder.join(format!("{name}.new"));
    std::fs::write(&new, text).expect("a folder to write in");
    std::fs::rename(new, folder.join(name)).expect("it can be renamed");
}

async fn judged(esme: &mut Esme, pdu: &[u8], sequence: u32) -> CommandStatus {
    esme.send(pdu).await.expect("the session is up");
    let (command, status, number, _) = answer(esme).await.expect("the session is up");
    assert_eq!((command, number), (Command::SubmitSmResp, sequence));
    status
}

/// A submit_sm of a text that advertises.
fn advertisement(sequence: u32) -> Vec<u8> {
    let mut pdu = Vec::new();
    let text: Vec<u8> =
        "全场五折优惠，立即抢购".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let fields = MessageFields {
        source: WireAddress { ton: 0, npi: 1, value: OURS },
        destination: WireAddress { ton: 0, npi: 1, value: b"8613800138000" },
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: &text,
    };
    write::message(&mut pdu, Command::SubmitSm, sequence, fields, |_| {});
    pdu
}

/// Every verdict of the journal with the digest of the rules that it was judged by, and what was said of
/// these rules before it.
fn verdicts(folder: &Path) -> Vec<([u8; 32], u8, u32)> {
    let mut reader = Reader::open(&folder.join("audit")).expect("a journal");
    let mut found = Vec::new();
    let mut said = [0; 32];
    while let Some(entry) = reader.next().expect("it is whole") {
        match entry.record() {
            Record::Start(start) => said = start.rules,
            Record::Registry(registry) => {
                // A new journal had none before.
                if registry.before != [0; 32] || said != registry.rules {
                    assert_eq!(registry.before, said, "in force before record {}", entry.number);
                }
                said = registry.rules;
            }
            Record::Verdict(verdict) => {
                assert_eq!(entry.rules(), &said, "record {}", entry.number);
                found.push((said, verdict.verdict, verdict.sequence_number));
            }
            _ => {}
        }
    }
    found
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Sends messages and reads their answers until told to stop; how many were let through and how many refused.
async fn send_on(mut esme: Esme, first: u32, stop: Arc<AtomicBool>) -> (usize, usize) {
    const BATCH: u32 = 16;
    let (mut passed, mut refused) = (0, 0);
    let mut sequence = first;
    while !stop.load(Ordering::Relaxed) {
        let pdus: Vec<u8> =
            (sequence..sequence + BATCH).flat_map(|n| submit(n, OURS, |_| {})).collect();
        esme.send(&pdus).await.expect("the session is up");
        let mut open: Vec<u32> = (sequence..sequence + BATCH).collect();
        while !open.is_empty() {
            let (_, status, number, _) = answer(&mut esme).await.expect("the session is up");
            let at = open.iter().position(|one| *one == number).expect("each is answered once");
            open.swap_remove(at);
            match status {
                CommandStatus::ESME_ROK => passed += 1,
                CommandStatus::ESME_RINVSRCADR => refused += 1,
                other => panic!("{number} was answered {other:?}"),
            }
        }
        sequence += BATCH;
    }
    (passed, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_traffic_each_message_is_judged_by_one_and_its_record_says_which() {
    const RELOADS: usize = 24;
    const ESMES: u32 = 4;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let mut proxy = start(folder.path(), &smsc, "");
    let with = provider("测试有限公司", "test", "", &[CODE]);
    let without = provider("测试有限公司", "test", "", &["106900009999"]);
    let mut esmes = Vec::new();
    for _ in 0..ESMES {
        esmes.push(bound(&proxy).await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let sending: Vec<_> = (1..)
        .zip(esmes)
        .map(|(at, esme)| tokio::spawn(send_on(esme, at * 1_000_000, stop.clone())))
        .collect();
    // Which verdict goes with which digest.
    let mut meant = HashMap::new();
    let admin = proxy.admin.expect("an admin address");
    let reloading = tokio::task::spawn_blocking({
        let folder = folder.path().to_owned();
        move || {
            let mut digests = Vec::new();
            for at in 0..RELOADS {
                let (text, verdict) =
                    if at % 2 == 0 { (&without, audit::REFUSE) } else { (&with, audit::PASS) };
                put(&folder, "registry.toml", text);
                let (status, body) = reload(admin, "");
                assert_eq!(status, 200, "{body}");
                let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
                assert_eq!(answer["changed"], true, "{body}");
                digests.push((answer["digest"].as_str().expect("a digest").to_owned(), verdict));
                std::thread::sleep(Duration::from_millis(20));
            }
            digests
        }
    });
    for (digest, verdict) in reloading.await.expect("every reload was answered") {
        assert_eq!(*meant.entry(digest).or_insert(verdict), verdict);
    }
    stop.store(true, Ordering::Relaxed);
    let (mut passed, mut refused) = (0, 0);
    for one in sending {
        let (on, back) = one.await.expect("no session was dropped");
        (passed, refused) = (passed + on, refused + back);
    }
    assert!(passed > 0 && refused > 0, "{passed} and {refused}: both were in force for a while");
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
    assert_eq!(submits(&smsc).len(), passed, "no message was lost, and none got by");
    audit::verify(&folder.path().join("audit")).expect("the journal is whole");
    let verdicts = verdicts(folder.path());
    assert_eq!(verdicts.len(), passed + refused, "each message is recorded once");
    for (rules, verdict, sequence) in verdicts {
        // The registry of the start is the one with the code, in other words.
        let expected = meant.get(&hex(&rules)).copied().unwrap_or(audit::PASS);
        assert_eq!(verdict, expected, "{sequence} under {}", hex(&rules));
    }
}

#[tokio::test]
async fn a_live_session_is_judged_by_what_is_in_force_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let mut proxy = start(folder.path(), &smsc, "");
    let config = std::fs::read_to_string(folder.path().join("consentry.toml")).expect("written");
    let mut esme = bound(&proxy).await;
    std::fs::write(folder.path().join("words.txt"), "你好\n").expect("a word list");
    std::fs::write(folder.path().join("offer.txt"), "全场五折优惠，立即抢购\n")
        .expect("a template");
    let ours = |more: &str| provider("测试有限公司", "test", more, &[CODE]);
    let other = |codes: &[&str]| provider("另一有限公司", "other", "", codes);
    let suspended = "licence = { number = \"B2-1\", valid_until = 2099-12-31, suspended = true }\n";
    let templates = ours("") + "templates = [\"offer.txt\"]\n";
    let (ok, invalid, failed) =
        (CommandStatus::ESME_ROK, CommandStatus::ESME_RINVSRCADR, CommandStatus::ESME_RSUBMITFAIL);
    // What, registry, behind the configuration, what a greeting and an advertisement are answered.
    let rows: [(&str, String, &str, CommandStatus, CommandStatus); 14] = [
        ("as at the start", ours(""), "", ok, failed),
        ("licence withdrawn", ours(suspended), "", failed, failed),
        ("licence given back", ours(""), "", ok, failed),
        ("code taken", provider("测试有限公司", "test", "", &[]), "", invalid, invalid),
        ("a provider added", other(&["106900005678"]) + &ours(""), "", ok, failed),
        (
            "code moved to another",
            other(&[CODE]) + &provider("测试有限公司", "test", "", &["106900005678"]),
            "",
            invalid,
            invalid,
        ),
        ("and back", ours("") + &other(&["106900005678"]), "", ok, failed),
        ("provider removed", other(&[]), "", failed, failed),
        ("and observed only", other(&[]), "[rules]\nmode = \"observe\"\n", ok, ok),
        ("provider added again", ours(""), "", ok, failed),
        ("renamed", provider("更名有限公司", "test", "", &[CODE]), "", ok, failed),
        ("a template registered", templates, "", ok, ok),
        ("a word listed", ours(""), "[content]\nprohibited = [\"words.txt\"]\n", failed, failed),
        ("as at the end", ours("rate = 1000\n"), "", ok, failed),
    ];
    let mut sequence = 1;
    for (what, registry, more, greeting, advert) in &rows {
        put(folder.path(), "registry.toml", registry);
        put(folder.path(), "consentry.toml", &format!("{config}{more}"));
        let answer = reloaded(&proxy);
        assert_eq!(answer["restart_needed"], serde_json::json!([]), "{what}");
        let providers = registry.matches("[[provider]]").count();
        assert_eq!(answer["providers"], providers, "{what}");
        sequence += 2;
        let pdu = submit(sequence, OURS, |_| {});
        assert_eq!(judged(&mut esme, &pdu, sequence).await, *greeting, "{what}: greeting");
        let pdu = advertisement(sequence + 1);
        assert_eq!(judged(&mut esme, &pdu, sequence + 1).await, *advert, "{what}: advertisement");
        let again = reloaded(&proxy);
        assert_eq!(again["changed"], false, "{what}");
        assert_eq!(again["digest"], answer["digest"], "{what}");
    }
    let admin = proxy.admin.expect("an admin address");
    let all = series(admin);
    assert_eq!(all["consentry_sessions{state=\"bound_trx\"}"], 1.0, "the same session all along");
    assert!(all["consentry_reload_last_success_seconds"] > 1.7e9);
    let hashes = all.keys().filter(|name| name.starts_with("consentry_config_info")).count();
    assert_eq!(hashes, 1);
    // A list of the same name with other words is another list: its records say so.
    std::fs::write(folder.path().join("words.txt"), "# version: 1\n甲\n").expect("a word list");
    put(
        folder.path(),
        "consentry.toml",
        &format!("{config}[content]\nprohibited = [\"words.txt\"]\n"),
    );
    let first = reloaded(&proxy);
    std::fs::write(folder.path().join("words.txt"), "# version: 1\n乙\n").expect("a word list");
    let second = reloaded(&proxy);
    assert_eq!(second["changed"], true);
    assert_ne!(second["digest"], first["digest"]);
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
    let recorded: Vec<u8> =
        verdicts(folder.path()).into_iter().map(|(_, verdict, _)| verdict).collect();
    let said = |status: &CommandStatus, is_observed: bool| match status.is_ok() {
        true if is_observed => audit::OBSERVE,
        true => audit::PASS,
        false => audit::REFUSE,
    };
    let expected: Vec<u8> = rows
        .iter()
        .flat_map(|(_, _, more, greeting, advert)| {
            let is_observed = more.contains("observe");
            [said(greeting, is_observed), said(advert, is_observed)]
        })
        .collect();
    assert_eq!(recorded, expected);
    // `audit show` names the rules of a verdict.
    let mut reader = Reader::open(&folder.path().join("audit")).expect("a journal");
    let mut last = (0, String::new());
    while let Some(entry) = reader.next().expect("it is whole") {
        if matches!(entry.record(), Record::Verdict(_)) {
            last = (entry.number, hex(entry.rules()));
        }
    }
    let shown = Process::new(env!("CARGO_BIN_EXE_consentry"))
        .args(["audit", "show", "--json", "-c"])
        .arg(folder.path().join("consentry.toml"))
        .arg(last.0.to_string())
        .output()
        .expect("the binary runs");
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("one JSON object");
    assert_eq!(shown["rules"], last.1.as_str());
}

#[tokio::test]
async fn an_invalid_file_changes_nothing_and_says_why() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let proxy = start(folder.path(), &smsc, "");
    let admin = proxy.admin.expect("an admin address");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("written");
    let (config, registry) = (read("consentry.toml"), read("registry.toml"));
    let mut esme = bound(&proxy).await;
    let before = reloaded(&proxy);
    assert_eq!(before["changed"], false);
    put(folder.path(), "empty.txt", "\n\u{200b}\n");
    put(folder.path(), "weights.txt", "no weights\n");
    let content = |key: &str| format!("{config}[content]\n{key}\n");
    // Configuration, registry, what the answer says.
    let rows = [
        (
            config.replace("[[listen]]", "[[listen"),
            registry.clone(),
            "consentry.toml line 1: this is not TOML",
        ),
        (
            format!("{config}[limits]\nsesions = 5\n"),
            registry.clone(),
            "line 12: [limits] sesions is not a key here; did you mean sessions?",
        ),
        (
            format!("{config}[rules.override]\n\"source.forgd\" = {{ mode = \"off\" }}\n"),
            registry.clone(),
            "did you mean source.forged?",
        ),
        (
            config.clone(),
            registry.replace("name ", "nmae "),
            "registry.toml:3: `nmae` is not known",
        ),
        (config.clone(), registry[..registry.len() - 4].to_owned(), "registry.toml:9: "),
        (config.clone(), String::from("[[provider]]\nname = \"半"), "registry.toml:2: "),
        (
            config.clone(),
            registry.clone() + "templates = [\"missing.txt\"]\n",
            "registry.toml:10: templates: the template ",
        ),
        (
            content("prohibited = [\"empty.txt\"]"),
            registry.clone(),
            "empty.txt:2: nothing of the word shows",
        ),
        (content("prohibited = [\"missing.txt\"]"), registry.clone(), "see [content] prohibited"),
        (content("weights = \"weights.txt\""), registry.clone(), "weights.txt: "),
        (
            format!("{config}[capture]\nproviders = [\"nobody\"]\n"),
            registry.clone(),
            "[capture] providers",
        ),
        (
            config.replace("registry.toml", "elsewhere.toml"),
            registry.clone(),
            "elsewhere.toml cannot be read",
        ),
    ];
    let mut sequence = 2;
    for (config, registry, expected) in &rows {
        put(folder.path(), "consentry.toml", config);
        put(folder.path(), "registry.toml", registry);
        let (status, body) = reload(admin, "");
        assert_eq!(status, 422, "{expected}: {body}");
        assert!(body.contains(expected), "{expected}: {body}");
        assert!(!body.trim_end().contains('\n'), "one line: {body}");
        sequence += 1;
        let pdu = submit(sequence, OURS, |_| {});
        assert_eq!(judged(&mut esme, &pdu, sequence).await, CommandStatus::ESME_ROK, "{expected}");
    }
    put(folder.path(), "consentry.toml", &config);
    put(folder.path(), "registry.toml", &registry);
    let after = reloaded(&proxy);
    assert_eq!((&after["changed"], &after["digest"]), (&false.into(), &before["digest"]));
    wait_for(
        admin,
        &[
            ("consentry_reloads_total{result=\"failed\"}", rows.len() as f64),
            ("consentry_reloads_total{result=\"unchanged\"}", 2.0),
            ("consentry_reloads_total{result=\"changed\"}", 0.0),
        ],
    );
    assert_eq!(proxy.logged("not reloaded: everything stays as it is").len(), rows.len());
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_the_rest_is_in_force() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let proxy = start(folder.path(), &smsc, "");
    let config = std::fs::read_to_string(folder.path().join("consentry.toml")).expect("written");
    let mut esme = bound(&proxy).await;
    let smsc = smsc.address();
    let changed = config
        .replace("path = \"audit\"", "path = \"elsewhere\"\nkeep_months = 7")
        .replace("\"written\"", "\"synced\"")
        + "[limits]\nthreads = 2\nwindow = 7\n[log]\nlevel = \"debug\"\n[metrics]\nproviders = true\n"
        + "[rules.override]\n\"source.forged\" = { mode = \"observe\" }\n"
        + &format!("[[listen]]\naddress = \"127.0.0.1:1\"\nsmsc = [\"{smsc}\"]\n");
    put(folder.path(), "consentry.toml", &changed);
    let answer = reloaded(&proxy);
    let expected = [
        "[[listen]] 127.0.0.1:1",
        "[limits] threads",
        "[audit] path",
        "[audit] durability",
        "[audit] keep_months",
        "[metrics] providers",
        "[log]",
    ];
    assert_eq!(answer["restart_needed"], serde_json::json!(expected));
    assert_eq!(answer["changed"], true);
    let forged = submit(5, b"106911119999", |_| {});
    assert_eq!(judged(&mut esme, &forged, 5).await, CommandStatus::ESME_ROK, "it is observed now");
    assert!(folder.path().join("audit").exists() && !folder.path().join("elsewhere").exists());
}

#[tokio::test]
async fn signals_in_plenty_end_with_what_was_written_last() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let mut proxy = start(folder.path(), &smsc, "");
    let mut esme = bound(&proxy).await;
    for at in 0..50 {
        let codes = [format!("1069000{at:05}")];
        let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
        put(folder.path(), "registry.toml", &provider("测试有限公司", "test", "", &codes));
        proxy.signal("-HUP");
    }
    let admin = proxy.admin.expect("an admin address");
    let until = Instant::now() + Duration::from_secs(20);
    let mut sequence = 1;
    loop {
        sequence += 1;
        let pdu = submit(sequence, b"106900000049", |_| {});
        if judged(&mut esme, &pdu, sequence).await.is_ok() {
            break;
        }
        assert!(Instant::now() < until, "{:?}", series(admin));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let all: BTreeMap<String, f64> = series(admin);
    let total = |result: &str| all[&format!("consentry_reloads_total{{result=\"{result}\"}}")];
    assert_eq!(total("failed"), 0.0, "{:?}", proxy.logged("not reloaded"));
    assert!((1.0..=50.0).contains(&(total("changed") + total("unchanged"))));
    assert!(!proxy.logged("asked_by=\"SIGHUP\"").is_empty());
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
    audit::verify(&folder.path().join("audit")).expect("the journal is whole");
}

#[tokio::test]
async fn only_who_has_the_token_reloads() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let token = folder.path().join("token");
    std::fs::write(&token, "sixteen-octets-at-least\n").expect("a token");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("ours");
    let proxy = start(folder.path(), &smsc, "token_file = \"token\"\n");
    let admin = proxy.admin.expect("an admin address");
    put(folder.path(), "registry.toml", &provider("新有限公司", "new", "", &[]));
    for (headers, expected) in [
        ("", 401),
        ("Authorization: Bearer sixteen-octets-at-last\r\n", 401),
        ("Authorization: Bearer sixteen-octets-at-least\r\n", 200),
    ] {
        let (status, body) = reload(admin, headers);
        assert_eq!(status, expected, "{headers}{body}");
        assert_eq!(body.contains("\"changed\":true"), expected == 200, "{body}");
    }
    // The command goes by the same token; where the port is not written it says so.
    let command = |config: &Path| {
        let done = Process::new(env!("CARGO_BIN_EXE_consentry"))
            .args(["reload", "-c"])
            .arg(config)
            .output()
            .expect("the binary runs");
        let said = |octets: Vec<u8>| String::from_utf8(octets).expect("text");
        (done.status.code(), said(done.stdout), said(done.stderr))
    };
    let config = folder.path().join("consentry.toml");
    let (status, _, why) = command(&config);
    assert_eq!(status, Some(2), "{why}");
    assert!(why.contains("[admin] address has port 0"), "{why}");
    let text = std::fs::read_to_string(&config).expect("written");
    let admin_port = text
        .replace("[admin]\naddress = \"127.0.0.1:0\"", &format!("[admin]\naddress = \"{admin}\""));
    put(folder.path(), "consentry.toml", &admin_port);
    let (status, said, why) = command(&config);
    assert_eq!(status, Some(0), "{why}");
    assert!(said.starts_with("in force: "), "{said}");
    assert!(said.ends_with("1 providers\nrestart needed: [admin] address\n"), "{said}");
    put(folder.path(), "registry.toml", "[[provider]]\n");
    let (status, _, why) = command(&config);
    assert_eq!(status, Some(2), "{why}");
    assert!(why.contains("registry.toml:1: name: is missing"), "{why}");
}

#[tokio::test]
async fn changed_files_are_found_however_they_are_changed() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let proxy = start(folder.path(), &smsc, "[reload]\nwatch = \"100ms\"\n");
    let admin = proxy.admin.expect("an admin address");
    let mut esme = bound(&proxy).await;
    let with = provider("测试有限公司", "test", "", &[CODE]);
    let without = provider("测试有限公司", "test", "", &["106900009999"]);
    let at = |name: &str| folder.path().join(name);
    // As Kubernetes mounts a config map: the file leads through a link to the version of the day.
    for (version, text) in [("..v1", &with), ("..v2", &without)] {
        std::fs::create_dir(at(version)).expect("a folder");
        std::fs::write(at(version).join("registry.toml"), text).expect("a file");
    }
    let point_to = |version: &str| {
        symlink(version, at("..new")).expect("a link");
        std::fs::rename(at("..new"), at("..data")).expect("it can be renamed");
    };
    let failed = "consentry_reloads_total{result=\"failed\"}";
    let steps: [(&str, &dyn Fn(), CommandStatus, f64); 6] = [
        (
            "renamed",
            &|| put(folder.path(), "registry.toml", &without),
            CommandStatus::ESME_RINVSRCADR,
            0.0,
        ),
        (
            "a link in its place",
            &|| {
                point_to("..v1");
                symlink("..data/registry.toml", at("link")).expect("a link");
                std::fs::rename(at("link"), at("registry.toml")).expect("it can be renamed");
            },
            CommandStatus::ESME_ROK,
            0.0,
        ),
        ("the folder exchanged", &|| point_to("..v2"), CommandStatus::ESME_RINVSRCADR, 0.0),
        ("and back", &|| point_to("..v1"), CommandStatus::ESME_ROK, 0.0),
        (
            "half of it written",
            &|| {
                let half = &without[..without.len() / 2];
                std::fs::write(at("..v1/registry.toml"), half).expect("a file");
            },
            CommandStatus::ESME_ROK,
            1.0,
        ),
        (
            "and the rest",
            &|| std::fs::write(at("..v1/registry.toml"), &without).expect("a file"),
            CommandStatus::ESME_RINVSRCADR,
            1.0,
        ),
    ];
    let mut sequence = 1;
    for (what, change, expected, failures) in steps {
        change();
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            sequence += 1;
            let status = judged(&mut esme, &submit(sequence, OURS, |_| {}), sequence).await;
            let counted = series(admin)[failed];
            assert!(counted <= failures, "{what}: {:?}", proxy.logged("not reloaded"));
            if (status, counted) == (expected, failures) {
                break;
            }
            assert!(Instant::now() < until, "{what}: {status:?}, {counted} failed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(proxy.logged("not reloaded").len(), 1, "tried again in silence");
    assert!(!proxy.logged("asked_by=\"file watch\"").is_empty());
}
