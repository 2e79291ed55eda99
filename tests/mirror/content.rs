//! What messages say, mirrored for auditors alone.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::file::{NDJSON, lines};
use crate::running::Proxy;
use crate::{caught_up, config, smsc, stop, traffic};

/// What every message of the traffic says.
const TEXT: &str = "你好";
const TEXT_HEX: &str = "4f60597d";

fn audit(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consentry"));
    let output = command.arg("audit").args(args).current_dir(folder).output().expect("it runs");
    let text = |octets| String::from_utf8(octets).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contents_are_mirrored_where_it_is_asked_and_only_auditors_open_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    for name in ["auditor.key", "other.key"] {
        assert_eq!(audit(folder, &["keys", "new-auditor", name]).0, Some(0));
    }
    let smsc = smsc();
    let recorded = "auditors = [\"auditor.pub\"]\ncontent = \"all\"\n[admin]";
    for (content, rows) in [("content = true\n", 60), ("", 0)] {
        let mirrors = format!("{NDJSON}{content}");
        let config = config(&mirrors).replacen("[admin]", recorded, 1);
        let proxy = Proxy::start(folder, smsc.address(), &config, "");
        traffic(&proxy, 60).await;
        caught_up(&proxy, "collector");
        stop(proxy);
        let all = lines(folder);
        let of = |kind: &'static str| all.iter().filter(move |row| row["kind"] == kind);
        assert_eq!(of("content").filter(|row| row["sealed_hex"].is_string()).count(), rows);
        let text: String = all.iter().map(Value::to_string).collect();
        assert!(!text.contains(TEXT) && !text.contains(TEXT_HEX), "nobody reads it in a row");

        // Away from the journal and its keys.
        let elsewhere = tempfile::tempdir().expect("a folder");
        let lines: Vec<String> = all.iter().map(|row| format!("{row}\n")).collect();
        std::fs::write(elsewhere.path().join("rows.ndjson"), lines.concat()).expect("written");
        for name in ["auditor.key", "other.key"] {
            std::fs::copy(folder.join(name), elsewhere.path().join(name)).expect("copied");
        }
        let open = |key: &str, rows: &str| {
            audit(elsewhere.path(), &["open", "--auditor-key", key, "--json", rows])
        };
        let (code, out, err) = open("auditor.key", "rows.ndjson");
        assert_eq!((code, err.as_str()), (Some(i32::from(rows == 0)), ""), "{out}");
        let said: Vec<Value> =
            out.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
        assert_eq!(said.len(), rows);
        assert!(said.iter().all(|one| one["text"] == TEXT && one["content"] == TEXT_HEX));
        let (code, out, err) = open("other.key", "rows.ndjson");
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert_eq!(err.contains("60 contents are not open"), rows > 0, "{err}");
        // One content in the place of another.
        if let [one, other, ..] = &of("content").collect::<Vec<_>>()[..]
            && rows > 0
        {
            let mut moved = (*one).clone();
            moved["sealed_hex"] = other["sealed_hex"].clone();
            let keys: String = of("keys").map(|row| format!("{row}\n")).collect();
            let rows = format!("{keys}{moved}\n");
            std::fs::write(elsewhere.path().join("moved.ndjson"), rows).expect("written");
            let (code, _, err) = open("auditor.key", "moved.ndjson");
            assert!(code == Some(1) && err.contains("1 contents are not open"), "{err}");
        }
        // Begin anew, without contents.
        for name in ["out", "audit"] {
            std::fs::remove_dir_all(folder.join(name)).expect("removed");
        }
    }
}
