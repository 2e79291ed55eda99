//! `consentry init` and `consentry check` as a user runs them.

use std::path::Path;
use std::process::{Command, Output};

fn consentry(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_consentry"))
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn what_init_writes_is_good_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, _) = consentry(folder.path(), &["init", "a/b"]);
    assert_eq!((code, out.as_str()), (Some(0), "a/b/consentry.toml\na/b/registry.toml\n"));

    let (code, out, err) = consentry(folder.path(), &["check", "-c", "a/b/consentry.toml"]);
    assert_eq!(code, Some(0), "{err}");
    for line in [
        "  0.0.0.0:2775           smsc 192.0.2.10:2775  default_alphabet gsm7  packing unpacked  receipts as-asked  second_sender refuse  enquire_link none\n",
        "  window                 4096\n",
        "  idle                   10m\n",
        "  registry.file          a/b/registry.toml\n",
        "  source.forged          mode enforce  article ",
    ] {
        assert!(out.contains(line), "{line}{out}");
    }

    std::fs::remove_file(folder.path().join("a/b/consentry.toml")).unwrap();
    std::fs::write(folder.path().join("a/b/registry.toml"), "mine").unwrap();
    let (code, out, err) = consentry(folder.path(), &["init", "a/b"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("a/b/registry.toml is there already"), "{err}");
    assert!(!folder.path().join("a/b/consentry.toml").exists(), "half of it was written");
    assert_eq!(std::fs::read_to_string(folder.path().join("a/b/registry.toml")).unwrap(), "mine");
}

#[test]
fn check_tells_the_rules_in_force_one_object_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"a.example:2775\"]\n\
        [rules]\nmode = \"observe\"\n[rules.override]\n\
        \"source.forged\" = { mode = \"enforce\", status = \"ESME_RSUBMITFAIL\" }\n\
        \"code.region\" = { mode = \"off\" }\n\
        [consent]\nurl = \"postgres://u:hunter2@db/c\"\n";
    std::fs::write(folder.path().join("c.toml"), text).unwrap();
    std::fs::write(folder.path().join("registry.toml"), "").unwrap();
    let (code, out, err) = consentry(folder.path(), &["check", "-c", "c.toml", "--json"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(!out.contains("hunter2"), "a password: {out}");
    let facts: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for fact in [
        serde_json::json!({"kind": "rules", "name": "source.forged", "mode": "enforce", "status": "ESME_RSUBMITFAIL"}),
        serde_json::json!({"kind": "rules", "name": "code.region", "mode": "off"}),
        serde_json::json!({"kind": "rules", "name": "code.length", "mode": "observe"}),
        serde_json::json!({"kind": "rules", "name": "audit.unavailable", "mode": "enforce"}),
        serde_json::json!({"kind": "limits", "name": "pdu", "value": "70000B"}),
        serde_json::json!({"kind": "warnings", "name": "rule code.region is off"}),
    ] {
        let told = |all: &serde_json::Value| {
            fact.as_object().is_some_and(|some| some.iter().all(|(k, v)| all.get(k) == Some(v)))
        };
        assert!(facts.iter().any(told), "{fact} is not in {out}");
    }
}

#[test]
fn a_mistake_is_one_line_and_exit_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(&file, "[limits]\nwindwo = 1\n").unwrap();
    let told =
        "consentry: c.toml line 2: [limits] windwo is not a key here; did you mean window?\n";
    let (code, out, err) = consentry(folder.path(), &["check", "-c", "c.toml"]);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(2), "", told));

    let text = "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"a:1\"]\n\
        [admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"none\"\n";
    std::fs::write(&file, text).unwrap();
    std::fs::write(folder.path().join("registry.toml"), "").unwrap();
    let (code, _, err) = consentry(folder.path(), &["check", "-c", "c.toml"]);
    assert_eq!(code, Some(2));
    assert!(err.starts_with("consentry: token_file none cannot be read: "), "{err}");

    let text = "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"a:1\"]\n\
        [registry]\nfile = \"more/registry.toml\"\n";
    std::fs::write(&file, text).unwrap();
    std::fs::create_dir_all(folder.path().join("more/templates/folder")).unwrap();
    std::fs::write(folder.path().join("more/templates/here.txt"), "").unwrap();
    for (name, found, told) in [
        ("templates/here.txt", Some(0), ""),
        (
            "templates/gone.txt",
            Some(2),
            "consentry: more/registry.toml:7: templates: the template more/templates/gone.txt cannot \
             be read: No such file or directory (os error 2); put it there or leave it out\n",
        ),
        (
            "templates/folder",
            Some(2),
            "consentry: more/registry.toml:7: templates: the template more/templates/folder cannot \
             be read: Is a directory (os error 21); put it there or leave it out\n",
        ),
    ] {
        let registry = format!(
            "[[provider]]\nname = \"一\"\nsystem_ids = [\"a\"]\n[[provider.code]]\n\
             number = \"106900001234\"\ntemplates = [\"templates/here.txt\",\n\"{name}\"]\n"
        );
        std::fs::write(folder.path().join("more/registry.toml"), registry).unwrap();
        let (code, _, err) = consentry(folder.path(), &["check", "-c", "c.toml"]);
        assert_eq!((code, err.as_str()), (found, told));
    }

    for args in [&["check"][..], &["check", "-c", "missing.toml"], &["check", "--schema", "--json"]]
    {
        assert_eq!(consentry(folder.path(), args).0, Some(2), "{args:?}");
    }
    let (code, out, _) = consentry(folder.path(), &["check", "--schema"]);
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &schema["title"]), (Some(0), &"consentry.toml".into()));
}

#[test]
fn check_lists_public_codes_with_their_filings() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"a.example:2775\"]\n";
    std::fs::write(folder.path().join("c.toml"), text).unwrap();
    let registry = "[[provider]]\nname = \"a\"\nsystem_ids = [\"a\"]\n\
        licence = { number = \"1\", valid_until = 2099-12-31 }\n\
        [[provider.code]]\nnumber = \"106990001\"\npurpose = \"public\"\n\
        filing = { number = \"F-1\", valid_until = 2099-06-30 }\n\
        [[provider.code]]\nnumber = \"106990002\"\npurpose = \"public\"\n\
        [[provider.code]]\nnumber = \"106990003\"\npurpose = \"public\"\nemergency = true\n\
        [[provider.code]]\nnumber = \"106990004\"\npurpose = \"public\"\n\
        filing = { number = \"F-0\", valid_until = 2020-06-30 }\n";
    std::fs::write(folder.path().join("registry.toml"), registry).unwrap();
    let (code, out, err) = consentry(folder.path(), &["check", "-c", "c.toml"]);
    assert_eq!(code, Some(0), "{err}");
    for line in [
        "  106990001              provider a  filing F-1  valid_until 2099-06-30  emergency false\n",
        "  106990003              provider a  filing null  valid_until null  emergency true\n",
        "provider a has a public code 106990002 with no filing: its messages are refused\n",
        "provider a has a public code 106990004 with a filing that has run out",
    ] {
        assert!(out.contains(line), "{line}{out}");
    }
    for silent in ["code 106990001 with", "code 106990003 with"] {
        assert!(!out.contains(silent), "{silent}: {out}");
    }
}

/// Answers each connection with `answer` until the test ends; where.
fn answering(answer: &'static str) -> std::net::SocketAddr {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn health_says_yes_no_or_why_it_cannot_tell() {
    let folder = tempfile::tempdir().unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ready = answering("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready\n");
    let full =
        answering("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 12\r\n\r\nbudget used\n");
    let other = answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let ssh = answering("SSH-2.0-OpenSSH_9.2\r\n");
    let silent = answering("");
    for (admin, code, says) in [
        (Some(ready), 0, "ready\n"),
        (Some(full), 1, "budget used\n"),
        (Some(other), 2, "is not the admin API"),
        (Some(ssh), 2, "is not the admin API"),
        (Some(silent), 2, "is not the admin API"),
        (Some(gone), 2, "was lost"),
        (None, 2, "has no [admin] address"),
    ] {
        let section = admin.map(|at| format!("[admin]\naddress = \"{at}\"\n")).unwrap_or_default();
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"192.0.2.10:2775\"]\n{section}"
        );
        std::fs::write(folder.path().join("c.toml"), text).unwrap();
        let (status, out, err) = consentry(folder.path(), &["health", "-c", "c.toml"]);
        assert_eq!(status, Some(code), "{says}: {out}{err}");
        assert!(out.contains(says) || err.contains(says), "{says}: {out}{err}");
    }
}

#[test]
fn an_auditors_keys_are_made_in_the_folder_one_is_in() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, err) = consentry(folder.path(), &["audit", "keys", "new-auditor", "auditor.key"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(folder.path().join("auditor.pub").exists());
}
