//! `consentry replay` as a user runs it, over the traces of proto-fixtures.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The traces and the rules that they are judged by, copied so that nothing beside them is touched.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(fixtures()).expect("traces") {
        let path = entry.expect("a trace").path();
        if path.is_file() {
            let name = path.file_name().expect("a name");
            std::fs::copy(&path, folder.path().join(name)).expect("copied");
        }
    }
    folder
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("proto-fixtures/traces")
}

fn consentry(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_consentry"))
        .args(args)
        .current_dir(folder)
        .output()
        .expect("consentry runs")
}

/// Standard output of a run that ends with `status`.
fn output(folder: &Path, status: i32, args: &[&str]) -> String {
    let output = consentry(folder, args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{args:?}: {said}");
    String::from_utf8(output.stdout).expect("text")
}

fn lines(json: &str) -> Vec<Value> {
    json.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

/// Half of the people of the day have agreed to advertising.
fn import(folder: &Path) {
    let args = [
        "consent",
        "import",
        "-c",
        "consentry.toml",
        "day.csv",
        "--entity",
        "示例商城有限公司",
        "--proof-file",
        "registry.toml",
    ];
    output(folder, 0, &args);
}

const DAY: [&str; 4] = ["replay", "-c", "consentry.toml", "day.pcap.gz"];

#[test]
fn a_day_is_summed_up_as_its_file_says() {
    let folder = folder();
    import(folder.path());
    let shown = output(folder.path(), 0, &DAY);
    let expected = fixtures().join("day.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&expected, &shown).expect("written");
    }
    assert_eq!(shown, std::fs::read_to_string(expected).expect("day.txt"));
}

/// Ends the proxy however the test ends.
struct Proxy(std::process::Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A free port below those that the system gives to who connects: none of them can take it before the
/// proxy does, nor can who knocks at it meet itself.
fn free_address() -> std::net::SocketAddr {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).expect("small");
    let free = (first..first + 1_000).find_map(|port| {
        std::net::TcpListener::bind(("127.0.0.1", port)).and_then(|one| one.local_addr()).ok()
    });
    free.expect("a free port")
}

/// A proxy on the folder's files, which answers at its admin address.
fn running(folder: &Path) -> Proxy {
    let admin = free_address();
    let path = folder.join("consentry.toml");
    let rules =
        std::fs::read_to_string(&path).expect("rules").replace("127.0.0.1:2775", "127.0.0.1:0");
    let token = folder.join("token");
    std::fs::write(&token, "a-token-for-a-test-0123\n").expect("written");
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(token, owner_only).expect("permitted");
    let rules = format!("{rules}\n[admin]\naddress = \"{admin}\"\ntoken_file = \"token\"\n");
    std::fs::write(path, rules).expect("written");
    let mut proxy = Command::new(env!("CARGO_BIN_EXE_consentry"))
        .args(["run", "-c", "consentry.toml"])
        .current_dir(folder)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .map(Proxy)
        .expect("consentry runs");
    for _ in 0..600 {
        if std::net::TcpStream::connect(admin).is_ok() {
            return proxy;
        }
        assert!(proxy.0.try_wait().expect("a child").is_none(), "the proxy ended");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("the proxy does not answer");
}

#[test]
fn beside_a_running_proxy_it_is_asked_how_people_stood() {
    let folder = folder();
    let mut proxy = running(folder.path());
    import(folder.path());
    let shown = output(folder.path(), 0, &DAY);
    assert_eq!(shown, std::fs::read_to_string(fixtures().join("day.txt")).expect("day.txt"));
    let stats = output(folder.path(), 0, &["consent", "stats", "-c", "consentry.toml", "--json"]);
    let stats: Value = serde_json::from_str(&stats).expect("an object");
    assert_eq!(stats["events"]["revoked"], 0, "a replay writes nothing: {stats}");
    assert!(proxy.0.try_wait().expect("a child").is_none(), "it was the proxy that answered");
}

#[test]
fn the_same_trace_gives_the_same_lines_and_they_add_up() {
    let folder = folder();
    import(folder.path());
    let args = [&DAY[..], &["--json"]].concat();
    let first = output(folder.path(), 0, &args);
    assert_eq!(output(folder.path(), 0, &args), first);
    let lines = lines(&first);
    let (summary, verdicts) = lines.split_last().expect("a summary");
    let summary = &summary["summary"];
    let count = |verdict| verdicts.iter().filter(|line| line["verdict"] == verdict).count();
    for (key, expected) in [
        ("judged", verdicts.len()),
        ("passed", count("pass")),
        ("refused", count("refuse")),
        ("observed", count("observe")),
        ("streams", 3),
    ] {
        assert_eq!(summary[key], expected, "{key}");
    }
    let keys = [
        "article",
        "class",
        "command",
        "destination",
        "index",
        "octets",
        "parts",
        "rule",
        "sequence_number",
        "sha256",
        "source",
        "status",
        "stream",
        "system_id",
        "time",
        "trace",
        "verdict",
    ];
    for line in verdicts {
        let found: Vec<&String> = line.as_object().expect("an object").keys().collect();
        assert_eq!(found, keys);
        let refused = line["verdict"] == "refuse";
        assert_eq!(line["rule"].is_string(), refused, "{line}");
        assert_eq!(line["status"] == "ESME_ROK", !refused, "{line}");
    }
    // A person's number shows whole only where it is asked for.
    assert!(!first.contains("\"86138"), "masked");
    let whole = output(folder.path(), 0, &[&args[..], &["--unmask"]].concat());
    assert!(whole.contains("\"86138"), "whole");
}

#[test]
fn only_what_changes_is_shown_against_other_rules() {
    let folder = folder();
    import(folder.path());
    let path = folder.path().join("other.toml");
    let rules = std::fs::read_to_string(folder.path().join("consentry.toml")).expect("rules");
    let same = [&DAY[..], &["--against", "consentry.toml"]].concat();
    assert_eq!(output(folder.path(), 0, &same), "0 of 398 verdicts change\n");
    let observed = "\n[rules.override]\n\"consent.revoked\" = { mode = \"observe\" }\n";
    std::fs::write(&path, rules + observed).expect("written");
    let args = [&DAY[..], &["--against", "other.toml", "--json"]].concat();
    let lines = lines(&output(folder.path(), 1, &args));
    let (summary, changed) = lines.split_last().expect("a summary");
    assert_eq!(summary["summary"]["changed"], changed.len());
    assert!(!changed.is_empty());
    for line in changed {
        assert_eq!(line["rule"], "consent.revoked");
        assert_eq!(line["against"]["verdict"], "observe", "{line}");
    }
    let args = [&DAY[..], &["--against", "other.toml"]].concat();
    let told = output(folder.path(), 1, &args);
    let counted = format!("{} of 398 verdicts change", changed.len());
    assert!(told.contains(&counted), "{told}");
}

#[test]
fn a_suggested_registry_is_accepted_and_leaves_nothing_forged_but_what_is_marked() {
    let folder = folder();
    let suggested = output(folder.path(), 0, &["replay", "--suggest-registry", "day.pcap.gz"]);
    std::fs::write(folder.path().join("registry.toml"), &suggested).expect("written");
    output(folder.path(), 0, &["check", "-c", "consentry.toml"]);
    let args = [&DAY[..], &["--json", "--consent", "none", "--unmask"]].concat();
    let mut forged = 0;
    for line in lines(&output(folder.path(), 0, &args)) {
        if line["rule"] != "source.forged" {
            continue;
        }
        forged += 1;
        let source = line["source"].as_str().expect("a number");
        let code = suggested
            .split("[[provider.code]]")
            .find(|code| code.lines().any(|line| line == format!("number = \"{source}\"")));
        let marked = "FOR A HUMAN: wild sent";
        assert!(code.is_some_and(|code| code.contains(marked)), "{source}: {suggested}");
    }
    assert!(forged > 0, "wild sends from numbers of others");
}

#[test]
fn a_page_is_one_file_with_everything_in_it() {
    let folder = folder();
    let args = [&DAY[..], &["--consent", "none", "--html", "day.html"]].concat();
    output(folder.path(), 0, &args);
    let page = std::fs::read_to_string(folder.path().join("day.html")).expect("a page");
    for shown in
        ["Verdicts over time", "source.forged", "示例商城有限公司", "106*******78", "</html>"]
    {
        assert!(page.contains(shown), "{shown}");
    }
    for kept_out in ["<script", "http://", "https://", "src=", "url(", "86138", "退订"] {
        assert!(!page.contains(kept_out), "{kept_out}");
    }
}

#[test]
fn what_cannot_be_read_is_one_sentence_and_no_yes() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let day = std::fs::read(at("day.pcap.gz")).expect("a trace");
    std::fs::write(at("empty.pcap"), b"").expect("written");
    std::fs::write(at("text.pcap"), b"not a capture at all").expect("written");
    std::fs::write(at("cut.pcap.gz"), &day[..day.len() / 2]).expect("written");
    let header =
        [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    std::fs::write(at("nothing.pcap"), header).expect("written");
    let rows: [(&[&str], &[&str]); 8] = [
        (&["replay", "-c", "consentry.toml", "absent.pcap"], &["absent.pcap", "cannot be read"]),
        (&["replay", "-c", "consentry.toml", "."], &["folder"]),
        (&["replay", "-c", "consentry.toml", "empty.pcap"], &["empty.pcap", "empty"]),
        (&["replay", "-c", "consentry.toml", "text.pcap"], &["text.pcap", "octet 0", "neither"]),
        (
            &["replay", "-c", "consentry.toml", "cut.pcap.gz"],
            &["cut.pcap.gz", "all else was judged"],
        ),
        (&["replay", "-c", "consentry.toml", "nothing.pcap"], &["no SMPP"]),
        (&["replay", "-c", "absent.toml", "day.pcap.gz"], &["absent.toml"]),
        (
            &["replay", "-c", "consentry.toml", "--system-id", "who", "day.pcap.gz"],
            &["--system-id who", "registry.toml"],
        ),
    ];
    for (args, words) in rows {
        let output = consentry(folder.path(), args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{args:?}: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn several_traces_are_one_and_standard_input_is_a_trace() {
    let folder = folder();
    let whole = output(folder.path(), 0, &[&DAY[..], &["--json", "--consent", "none"]].concat());
    let mut pcap = Vec::new();
    let file = std::fs::File::open(folder.path().join("day.pcap.gz")).expect("a trace");
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(file), &mut pcap).expect("gzip");
    let mut at = 24;
    while at < pcap.len() / 2 {
        let captured = pcap[at + 8..].first_chunk().map(|four| u32::from_le_bytes(*four));
        at += 16 + captured.expect("a record") as usize;
    }
    std::fs::write(folder.path().join("first.pcap"), &pcap[..at]).expect("written");
    let second = [&pcap[..24], &pcap[at..]].concat();
    std::fs::write(folder.path().join("second.pcap"), second).expect("written");
    let args = ["replay", "-c", "consentry.toml", "--json", "--consent", "none"];
    let halves = output(folder.path(), 0, &[&args[..], &["first.pcap", "second.pcap"]].concat());
    assert!(halves.contains("second.pcap"));
    let named = halves.replace("first.pcap", "day.pcap.gz").replace("second.pcap", "day.pcap.gz");
    assert_eq!(named, whole);
    let mut child = Command::new(env!("CARGO_BIN_EXE_consentry"))
        .args(["replay", "-c", "consentry.toml", "--json", "--consent", "none", "-"])
        .current_dir(folder.path())
        .stdin(std::fs::File::open(folder.path().join("day.pcap.gz")).expect("a trace"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("consentry runs");
    let mut piped = String::new();
    let mut out = child.stdout.take().expect("a pipe");
    std::io::Read::read_to_string(&mut out, &mut piped).expect("text");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(piped.replace("\"trace\":\"-\"", "\"trace\":\"day.pcap.gz\""), whole);
}
