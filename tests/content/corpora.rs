//! The corpora of `proto-fixtures/content` are what their README says: whole, unlike each other, and
//! nobody's real number or link.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use consentry::content::reply::{Reply, read};
use serde::Deserialize;

/// The longest text, in characters: about seven parts of 67.
const TEXT_CHARS_MAX: usize = 480;

/// Sequences of this many characters are compared.
const SEQUENCE_CHARS: usize = 3;

/// How much of the shorter of two texts may stand in the other, in percent.
const SHARED_PERCENT_MAX: usize = 60;

/// The targets, in the order of the README's columns.
const TARGETS: [&str; 6] = ["commercial", "service", "public", "personal", "fraud", "illicit"];

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    text: String,
    target: String,
    kind: String,
    lang: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("proto-fixtures/content")
}

/// The corpora's names, in order.
fn files() -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder()).expect("the corpora are there");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    let names = names.map(|name| name.expect("a name in UTF-8"));
    names.filter(|name| name.ends_with(".ndjson")).collect()
}

fn lines(file: &str) -> Vec<Line> {
    let written = std::fs::read_to_string(folder().join(file)).expect("the corpus is there");
    let read = |(number, line)| {
        serde_json::from_str(line).unwrap_or_else(|fault| panic!("{file}:{number}: {fault}"))
    };
    (1..).zip(written.lines()).map(read).collect()
}

/// Every line with where it stands.
fn all() -> Vec<(String, Line)> {
    let numbered = |file: String| {
        (1..)
            .zip(lines(&file))
            .map(move |(number, line): (u32, _)| (format!("{file}:{number}"), line))
    };
    files().into_iter().flat_map(numbered).collect()
}

/// What is wrong with one line by itself.
fn fault(line: &Line) -> Option<&'static str> {
    let han = |c: char| matches!(c, '\u{3400}'..='\u{9fff}');
    let lang = if line.text.chars().any(han) { "zh" } else { "en" };
    let kind_is_word =
        !line.kind.is_empty() && line.kind.bytes().all(|octet| octet.is_ascii_lowercase());
    if line.text.trim().is_empty() || line.text.trim() != line.text {
        Some("text is empty, or has blanks around it")
    } else if line.text.chars().count() > TEXT_CHARS_MAX {
        Some("text is too long")
    } else if line.lang != lang {
        Some("lang is not that of the text")
    } else if !kind_is_word {
        Some("kind is no lower-case word")
    } else if has_mobile_number(&line.text) {
        Some("text has a number that somebody may own")
    } else if has_foreign_link(&line.text) {
        Some("text links to a name that is not reserved")
    } else {
        None
    }
}

/// Eleven digits, 1[3-9] first: a Chinese mobile number.
fn has_mobile_number(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit()).any(|digits| {
        digits.len() == 11 && digits.starts_with('1') && matches!(digits.as_bytes()[1], b'3'..=b'9')
    })
}

/// A host with a well-known end that is not `example.cn`, `example.com` or below one of them.
fn has_foreign_link(text: &str) -> bool {
    let in_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    text.split(|c: char| !in_host(c)).any(|word| {
        let word = word.trim_matches(['.', '-']).to_ascii_lowercase();
        let known = [".com", ".cn", ".net", ".org", ".me", ".cc", ".top", ".io", ".co", ".uk"];
        let reserved = |name: &str| word == name || word.ends_with(&format!(".{name}"));
        known.iter().any(|end| word.ends_with(end))
            && !reserved("example.com")
            && !reserved("example.cn")
    })
}

#[test]
fn each_line_is_sound() {
    for (at, line) in all() {
        assert!(TARGETS.contains(&line.target.as_str()), "{at}: {}", line.target);
        assert_eq!(fault(&line), None, "{at}");
    }
}

/// The README's row of a file, up to the words on its writer: of each target the Chinese and the English lines.
fn row(file: &str) -> String {
    let lines = lines(file);
    let count = |target: &str, lang: &str| {
        lines.iter().filter(|line| line.target == target && line.lang == lang).count()
    };
    let cell = |target| match [count(target, "zh"), count(target, "en")] {
        [0, 0] => " |".to_owned(),
        [zh, en] => format!(" {zh} + {en} |"),
    };
    format!("| `{file}` |{}", TARGETS.map(cell).concat())
}

#[test]
fn the_readme_has_each_file_and_counts_right() {
    let readme = include_str!("../../proto-fixtures/content/README.md");
    let listed = readme.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(listed, files().len(), "rows of the README");
    for file in files() {
        let row = row(&file);
        assert!(readme.lines().any(|line| line.starts_with(&row)), "the README has no row {row}");
    }
}

#[test]
fn the_hard_kinds_are_there_in_number() {
    let all = all();
    let of = |kind: &str| all.iter().filter(|(_, line)| line.kind == kind).count();
    for (kind, min) in [("appended", 1_000), ("obfuscated", 1_000), ("optout", 20), ("code", 60)] {
        assert!(of(kind) >= min, "{kind}: {}", of(kind));
    }
}

#[test]
fn no_two_texts_are_nearly_the_same() {
    let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut before: Vec<(String, usize)> = Vec::new();
    // How many sequences each one shares with this one, and which share any: most share none.
    let mut shared: Vec<usize> = Vec::new();
    let mut touched: Vec<usize> = Vec::new();
    for (at, line) in all() {
        let sequences = sequences(&line.text);
        for sequence in &sequences {
            let have = places.entry(*sequence).or_default();
            for place in have.iter() {
                if shared[*place] == 0 {
                    touched.push(*place);
                }
                shared[*place] += 1;
            }
            have.push(before.len());
        }
        for place in touched.drain(..) {
            let (count, (other, length)) = (std::mem::take(&mut shared[place]), &before[place]);
            let shorter = sequences.len().min(*length);
            let near = count * 100 > shorter * SHARED_PERCENT_MAX;
            assert!(!near, "{at} and {other} share {count} of {shorter}");
        }
        before.push((at, sequences.len()));
        shared.push(0);
    }
    assert!(before.len() > 20_000, "{} texts compared", before.len());
}

/// The different sequences of a text, case and blanks aside, each in one number; a shorter text is one of its own.
fn sequences(text: &str) -> BTreeSet<u64> {
    let plain: Vec<char> = text.to_lowercase().split_whitespace().flat_map(str::chars).collect();
    // A character takes 21 bits.
    let packed = |some: &[char]| some.iter().fold(0, |all, c| all << 21 | u64::from(*c));
    match plain.len() {
        ..=SEQUENCE_CHARS => BTreeSet::from([packed(&plain)]),
        _ => plain.windows(SEQUENCE_CHARS).map(packed).collect(),
    }
}

#[test]
fn no_message_is_taken_for_a_keyword() {
    for (at, line) in all() {
        assert_eq!(read(&line.text, &[]), Reply::None, "{at}");
    }
}

#[test]
fn faults_are_found() {
    let sound = Line {
        text: "请于今日来取".to_owned(),
        target: "service".to_owned(),
        kind: "parcel".to_owned(),
        lang: "zh".to_owned(),
    };
    assert_eq!(fault(&sound), None);
    let with = |text: &str| fault(&Line { text: text.to_owned(), ..sound.clone() });
    assert!(with("").is_some());
    assert!(with("no Han here").is_some());
    assert!(with("请 ").is_some());
    assert_eq!(with(&"长".repeat(TEXT_CHARS_MAX)), None);
    assert!(with(&"长".repeat(TEXT_CHARS_MAX + 1)).is_some());
    assert!(with("电13800000000话").is_some());
    assert_eq!(with("电138000000000话"), None);
    assert!(with("看 https://shop.com/1").is_some());
    assert!(with("看 http://notexample.com").is_some());
    assert_eq!(with("看 https://a.example.com/1"), None);
    assert!(fault(&Line { kind: "Two words".to_owned(), ..sound.clone() }).is_some());
}
