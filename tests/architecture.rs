//! The rooms hold to what `lib.rs` says of them: read as text, so that a mistake names its line.

use std::path::{Path, PathBuf};

/// Which rooms each room may name. `main.rs` names only `cmd`.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("smpp", &[]),
    ("text", &[]),
    ("registry", &[]),
    ("content", &["text"]),
    ("policy", &["registry", "content"]),
    ("upstream", &[]),
    ("consent", &["registry", "policy", "postgres"]),
    ("audit", &["policy"]),
    ("pem", &[]),
    ("postgres", &["pem"]),
    ("mirror", &["audit", "archive", "consent", "registry", "policy", "postgres"]),
    ("stream", &["consent"]),
    ("session", &["smpp", "text", "registry", "content", "consent", "policy", "audit"]),
    ("archive", &["smpp", "text", "registry", "content", "policy", "audit", "session"]),
    ("metrics", &["smpp", "session"]),
    ("capture", &["smpp", "text"]),
    ("spans", &[]),
    ("cluster", &["registry", "content", "consent", "session", "metrics", "postgres"]),
    (
        "proxy",
        &[
            "smpp", "text", "registry", "content", "consent", "policy", "audit", "session",
            "metrics", "capture", "upstream", "spans", "pem",
        ],
    ),
    ("admin", &["registry", "policy", "consent", "metrics", "capture"]),
    ("peer", &["smpp"]),
    ("replay", &["smpp", "text", "registry", "content", "consent", "policy", "audit", "session"]),
    ("config", &["smpp", "text", "registry", "policy", "postgres"]),
    (
        "cmd",
        &[
            "smpp", "text", "registry", "content", "consent", "policy", "audit", "session",
            "metrics", "capture", "proxy", "admin", "peer", "config", "replay", "mirror",
            "archive", "upstream", "spans", "postgres", "cluster", "stream",
        ],
    ),
];

/// The rooms without clock, socket, file, task or log.
const PURE: [&str; 8] =
    ["smpp", "text", "registry", "content", "policy", "upstream", "session", "replay"];

/// Files of other rooms that are as pure: what is captured, and how it is written down; what a balancer says.
const PURE_FILES: [&str; 6] = [
    "src/capture/filter.rs",
    "src/capture/pcapng.rs",
    "src/capture/redact.rs",
    "src/capture/segment.rs",
    "src/capture/stream.rs",
    "src/proxy/header.rs",
];

const IMPURE: [&str; 9] = [
    "std::time",
    "Instant",
    "SystemTime",
    "std::fs",
    "TcpStream",
    "TcpListener",
    "tokio",
    "tracing",
    "std::thread",
];

const EMPTY_NAMES: [&str; 8] =
    ["utils", "common", "types", "error", "traits", "manager", "handler", "helpers"];

struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

impl Source {
    /// Numbered lines before the file's own tests, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let product = self.text.split("#[cfg(test)]").next().unwrap_or("");
        (1..).zip(product.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("src can be listed") {
            let path = entry.expect("src can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(&root).expect("below src");
                let first = below.components().next().expect("a name").as_os_str();
                let room = first.to_string_lossy().trim_end_matches(".rs").to_owned();
                let text = std::fs::read_to_string(&path).expect("source is text");
                found.push(Source { path, room, text });
            }
        }
    }
    assert!(found.len() > 50, "the walk found the sources");
    found
}

/// Fails with every line that `wrong` finds fault with.
fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn rooms_name_only_the_rooms_below_them() {
    let mut faults = Vec::new();
    for source in sources() {
        let Some((_, may)) = MAY_IMPORT.iter().find(|(room, _)| *room == source.room) else {
            assert!(matches!(source.room.as_str(), "lib" | "main"), "{:?}", source.path);
            continue;
        };
        for (number, line) in source.code() {
            for (at, _) in line.match_indices("crate::") {
                let rest = &line[at + "crate::".len()..];
                let end =
                    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                let named = &rest[..end];
                let is_room = MAY_IMPORT.iter().any(|(room, _)| *room == named);
                if is_room && named != source.room && !may.contains(&named) {
                    let (path, room) = (source.path.display(), &source.room);
                    faults.push(format!("{path}:{number}: {room} may not name {named}"));
                }
            }
        }
    }
    none(faults);
}

#[test]
fn pure_rooms_know_no_clock_socket_file_task_or_log() {
    let mut faults = Vec::new();
    let all = sources();
    let named = |source: &Source| PURE_FILES.iter().any(|file| source.path.ends_with(file));
    assert_eq!(all.iter().filter(|source| named(source)).count(), PURE_FILES.len());
    let is_pure = |source: &&Source| PURE.contains(&source.room.as_str()) || named(source);
    for source in all.iter().filter(is_pure) {
        for (number, line) in source.code() {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                let path = source.path.display();
                faults.push(format!("{path}:{number}: {word} has no place in {}", source.room));
            }
        }
    }
    none(faults);
}

#[test]
fn every_file_says_what_it_is_and_none_is_unfinished() {
    let mut faults = Vec::new();
    for source in sources() {
        let path = source.path.display();
        if !source.text.starts_with("//!") {
            faults.push(format!("{path}: begin with `//!` and say what the file is for"));
        }
        let name = source.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if EMPTY_NAMES.contains(&name.as_str()) {
            faults.push(format!("{path}: name the file after its subject"));
        }
        for (number, line) in source.code() {
            for word in ["todo!", "unimplemented!", "dbg!("] {
                if line.contains(word) {
                    faults.push(format!("{path}:{number}: {word} is not finished"));
                }
            }
        }
    }
    none(faults);
}

#[test]
fn no_arm_takes_all_other_commands() {
    let all = sources();
    let table = all.iter().find(|source| source.path.ends_with("session/table.rs"));
    let table = table.expect("session/table.rs is there");
    let functions = table.text.split("pub fn from_").skip(1);
    let mut checked = 0;
    for function in functions {
        let body = function.split("\n}").next().unwrap_or("");
        assert!(!body.contains("_ =>"), "session/table.rs: from_{body}");
        checked += 1;
    }
    assert_eq!(checked, 2, "both directions have their table");
}

#[test]
fn every_room_stands_in_the_map() {
    let all = sources();
    let lib = all.iter().find(|source| source.room == "lib").expect("lib.rs is there");
    let rooms =
        lib.text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for room in rooms {
        // A room of an optional feature is no link: without the feature it would lead nowhere.
        let has_row = ["[`", "`"]
            .iter()
            .zip(["`]", "`"])
            .any(|(open, close)| lib.text.contains(&format!("//! | {open}{room}{close} |")));
        assert!(has_row, "lib.rs: {room} has no row");
    }
}
