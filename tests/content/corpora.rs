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

/// File, a target that it has, and the fewest Chinese and English lines of it.
const FILES: [(&str, &str, usize, usize); 117] = [
    ("service.ndjson", "service", 520, 130),
    ("advertisements.ndjson", "commercial", 270, 80),
    ("service_second.ndjson", "service", 700, 0),
    ("personal.ndjson", "personal", 175, 75),
    ("public.ndjson", "public", 50, 10),
    ("public_second.ndjson", "public", 80, 0),
    ("advertisements_second.ndjson", "commercial", 550, 0),
    ("personal_second.ndjson", "personal", 120, 0),
    ("service_english.ndjson", "service", 0, 250),
    ("advertisements_english.ndjson", "commercial", 0, 200),
    ("public_english.ndjson", "public", 0, 60),
    ("personal_english.ndjson", "personal", 0, 80),
    ("fraud_second.ndjson", "fraud", 60, 0),
    ("service_fifth.ndjson", "service", 390, 110),
    ("service_kept.ndjson", "service", 75, 20),
    ("advertisements_fifth.ndjson", "commercial", 225, 95),
    ("advertisements_kept.ndjson", "commercial", 50, 25),
    ("public_fifth.ndjson", "public", 80, 20),
    ("personal_fifth.ndjson", "personal", 60, 40),
    ("fraud.ndjson", "fraud", 50, 10),
    ("illicit.ndjson", "illicit", 50, 8),
    ("sixth.ndjson", "commercial", 195, 80),
    ("sixth.ndjson", "service", 260, 90),
    ("sixth.ndjson", "public", 35, 15),
    ("sixth.ndjson", "personal", 65, 20),
    ("sixth.ndjson", "fraud", 20, 10),
    ("sixth.ndjson", "illicit", 20, 0),
    ("seventh.ndjson", "commercial", 195, 75),
    ("seventh.ndjson", "service", 255, 95),
    ("seventh.ndjson", "public", 35, 15),
    ("seventh.ndjson", "personal", 60, 30),
    ("seventh.ndjson", "fraud", 15, 10),
    ("seventh.ndjson", "illicit", 15, 5),
    ("eighth.ndjson", "commercial", 180, 85),
    ("eighth.ndjson", "service", 265, 85),
    ("eighth.ndjson", "public", 40, 15),
    ("eighth.ndjson", "personal", 65, 25),
    ("eighth.ndjson", "fraud", 20, 15),
    ("eighth.ndjson", "illicit", 15, 5),
    ("ninth.ndjson", "commercial", 190, 80),
    ("ninth.ndjson", "service", 270, 85),
    ("ninth.ndjson", "public", 40, 15),
    ("ninth.ndjson", "personal", 55, 35),
    ("ninth.ndjson", "fraud", 15, 5),
    ("ninth.ndjson", "illicit", 15, 5),
    ("kept.ndjson", "commercial", 165, 60),
    ("kept.ndjson", "service", 220, 75),
    ("kept.ndjson", "public", 25, 20),
    ("kept.ndjson", "personal", 45, 20),
    ("kept.ndjson", "fraud", 15, 10),
    ("kept.ndjson", "illicit", 10, 5),
    ("eleventh.ndjson", "commercial", 325, 120),
    ("eleventh.ndjson", "service", 330, 110),
    ("eleventh.ndjson", "public", 35, 15),
    ("eleventh.ndjson", "personal", 85, 30),
    ("eleventh.ndjson", "fraud", 20, 10),
    ("eleventh.ndjson", "illicit", 20, 5),
    ("tenth.ndjson", "commercial", 330, 120),
    ("tenth.ndjson", "service", 325, 115),
    ("tenth.ndjson", "public", 35, 20),
    ("tenth.ndjson", "personal", 65, 50),
    ("tenth.ndjson", "fraud", 20, 15),
    ("tenth.ndjson", "illicit", 20, 10),
    ("twelfth.ndjson", "commercial", 325, 115),
    ("twelfth.ndjson", "service", 325, 110),
    ("twelfth.ndjson", "public", 35, 15),
    ("twelfth.ndjson", "personal", 70, 30),
    ("twelfth.ndjson", "fraud", 20, 10),
    ("twelfth.ndjson", "illicit", 20, 5),
    ("thirteenth.ndjson", "commercial", 225, 95),
    ("thirteenth.ndjson", "service", 305, 105),
    ("thirteenth.ndjson", "public", 35, 25),
    ("thirteenth.ndjson", "personal", 60, 45),
    ("thirteenth.ndjson", "fraud", 20, 15),
    ("thirteenth.ndjson", "illicit", 15, 5),
    ("fourteenth.ndjson", "commercial", 230, 95),
    ("fourteenth.ndjson", "service", 305, 105),
    ("fourteenth.ndjson", "public", 45, 15),
    ("fourteenth.ndjson", "personal", 65, 35),
    ("fourteenth.ndjson", "fraud", 20, 5),
    ("fourteenth.ndjson", "illicit", 20, 5),
    ("fifteenth.ndjson", "commercial", 225, 95),
    ("fifteenth.ndjson", "service", 305, 105),
    ("fifteenth.ndjson", "public", 35, 30),
    ("fifteenth.ndjson", "personal", 70, 35),
    ("fifteenth.ndjson", "fraud", 20, 10),
    ("fifteenth.ndjson", "illicit", 20, 5),
    ("sixteenth.ndjson", "commercial", 225, 95),
    ("sixteenth.ndjson", "service", 305, 100),
    ("sixteenth.ndjson", "public", 45, 10),
    ("sixteenth.ndjson", "personal", 70, 30),
    ("sixteenth.ndjson", "fraud", 20, 5),
    ("sixteenth.ndjson", "illicit", 20, 0),
    ("seventeenth.ndjson", "commercial", 225, 100),
    ("seventeenth.ndjson", "service", 305, 100),
    ("seventeenth.ndjson", "public", 45, 15),
    ("seventeenth.ndjson", "personal", 65, 35),
    ("seventeenth.ndjson", "fraud", 20, 10),
    ("seventeenth.ndjson", "illicit", 20, 0),
    ("eighteenth.ndjson", "commercial", 225, 95),
    ("eighteenth.ndjson", "service", 305, 105),
    ("eighteenth.ndjson", "public", 40, 20),
    ("eighteenth.ndjson", "personal", 70, 30),
    ("eighteenth.ndjson", "fraud", 20, 10),
    ("eighteenth.ndjson", "illicit", 15, 5),
    ("nineteenth.ndjson", "commercial", 225, 95),
    ("nineteenth.ndjson", "service", 315, 105),
    ("nineteenth.ndjson", "public", 35, 25),
    ("nineteenth.ndjson", "personal", 65, 35),
    ("nineteenth.ndjson", "fraud", 20, 10),
    ("nineteenth.ndjson", "illicit", 20, 0),
    ("twentieth.ndjson", "commercial", 230, 90),
    ("twentieth.ndjson", "service", 305, 90),
    ("twentieth.ndjson", "public", 35, 20),
    ("twentieth.ndjson", "personal", 70, 25),
    ("twentieth.ndjson", "fraud", 15, 10),
    ("twentieth.ndjson", "illicit", 15, 5),
];

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    text: String,
    target: String,
    kind: String,
    lang: String,
}

fn lines(file: &str) -> Vec<Line> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("proto-fixtures/content");
    let written = std::fs::read_to_string(folder.join(file)).expect("the corpus is there");
    let read = |(number, line)| {
        serde_json::from_str(line).unwrap_or_else(|fault| panic!("{file}:{number}: {fault}"))
    };
    (1..).zip(written.lines()).map(read).collect()
}

/// Every line with where it stands.
fn all() -> Vec<(String, Line)> {
    let numbered = |file: &'static str| {
        (1..)
            .zip(lines(file))
            .map(move |(number, line): (u32, _)| (format!("{file}:{number}"), line))
    };
    let files: BTreeSet<&str> = FILES.iter().map(|(file, ..)| *file).collect();
    files.into_iter().flat_map(numbered).collect()
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
fn each_line_is_sound_and_of_a_target_of_its_file() {
    for (at, line) in all() {
        let file = at.split(':').next();
        let is_listed =
            |row: &(&str, &str, usize, usize)| Some(row.0) == file && row.1 == line.target;
        assert!(FILES.iter().any(is_listed), "{at}: {}", line.target);
        assert_eq!(fault(&line), None, "{at}");
    }
    for (file, target, zh_min, en_min) in FILES {
        let (zh, en) = counts(file, target);
        assert!(zh >= zh_min, "{file}, {target}: {zh} Chinese lines");
        assert!(en >= en_min, "{file}, {target}: {en} English lines");
    }
}

/// Chinese and English lines of a target.
fn counts(file: &str, target: &str) -> (usize, usize) {
    let lines = lines(file);
    let of =
        |lang: &str| lines.iter().filter(|line| line.target == target && line.lang == lang).count();
    (of("zh"), of("en"))
}

#[test]
fn the_readme_counts_right() {
    let readme = include_str!("../../proto-fixtures/content/README.md");
    for (file, target, ..) in FILES {
        let (zh, en) = counts(file, target);
        let row = format!("| `{file}` | `{target}` | {} | {zh} Chinese, {en} English", zh + en);
        assert!(readme.contains(&row), "the README has no row {row}");
    }
}

#[test]
fn the_hard_kinds_are_there_in_number() {
    let all = all();
    let of = |kind: &str| all.iter().filter(|(_, line)| line.kind == kind).count();
    for (kind, min) in [("appended", 400), ("obfuscated", 400), ("optout", 20), ("code", 60)] {
        assert!(of(kind) >= min, "{kind}: {}", of(kind));
    }
}

#[test]
fn no_two_texts_are_nearly_the_same() {
    let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut before: Vec<(String, usize)> = Vec::new();
    let mut shared: Vec<usize> = Vec::new();
    for (at, line) in all() {
        let sequences = sequences(&line.text);
        shared.clear();
        shared.resize(before.len(), 0);
        for sequence in &sequences {
            let have = places.entry(*sequence).or_default();
            for place in have.iter() {
                shared[*place] += 1;
            }
            have.push(before.len());
        }
        for ((other, length), count) in before.iter().zip(&shared) {
            let shorter = sequences.len().min(*length);
            let near = count * 100 > shorter * SHARED_PERCENT_MAX;
            assert!(!near, "{at} and {other} share {count} of {shorter}");
        }
        before.push((at, sequences.len()));
    }
    assert!(before.len() > 8_000, "{} texts compared", before.len());
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
