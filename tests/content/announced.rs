//! What an advertisement announces as the way to refuse is heard when a handset answers with it
//! (Order 31 art. 20): the reader of notices and the reader of replies agree.

use consentry::content::reply::{Keyword, Reply, read};
use consentry::content::{Normal, notice};
use serde_json::Value;

/// Ways in which the advertisements say how to refuse, blanks taken out, and the keyword that a
/// person reads in them. The first that a text holds is its way, so the longer ones come first.
const WAYS: [(&str, &str); 16] = [
    ("退订回复TD", "TD"),
    ("退订请回复TD", "TD"),
    ("退订回TD", "TD"),
    ("回复TD退订", "TD"),
    ("回TD退订", "TD"),
    ("拒收请回复R", "R"),
    ("拒收請回N", "N"),
    ("回复T退订", "T"),
    ("退订回T", "T"),
    ("退訂回T", "T"),
    ("回T退订", "T"),
    ("回复N退订", "N"),
    ("回N退订", "N"),
    ("退订回N", "N"),
    ("TD退订", "TD"),
    ("退订回QX", "QX"),
];

/// The ways that no text of the set may be missing for: else this file checks less than it says.
const SEEN: [&str; 5] = ["拒收请回复R", "退订回T", "退订回TD", "回T退订", "回N退订"];

fn texts() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/proto-fixtures/content/advertisements.ndjson");
    let lines = std::fs::read_to_string(path).expect("the advertisements");
    let text = |line: &str| {
        let value: Value = serde_json::from_str(line).expect("a JSON object");
        value["text"].as_str().expect("a text").to_owned()
    };
    lines.lines().map(text).collect()
}

/// The keyword that is learned from a text, as sessions learn it.
fn learned(text: &str) -> Option<Keyword> {
    let keyword = notice(text, &mut Normal::default())?.keyword?;
    let learned = Keyword::new(keyword.as_str());
    assert!(learned.is_some(), "{keyword:?} is announced and cannot be learned: {text}");
    learned
}

/// The text without blanks, seen and unseen.
fn close(text: &str) -> String {
    let is_blank = |c: &char| c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}');
    text.chars().filter(|c| !is_blank(c)).collect()
}

fn widened(text: &str) -> String {
    let wide = |c: char| match c {
        '!'..='~' => char::from_u32(u32::from(c) + 0xfee0).expect("a full-width form"),
        _ => c,
    };
    text.chars().map(wide).collect()
}

#[test]
fn each_announced_keyword_is_learned_as_a_person_reads_it() {
    let mut seen = Vec::new();
    let mut wrong = Vec::new();
    for text in texts() {
        let closed = close(&text);
        let Some((way, keyword)) = WAYS.iter().find(|(way, _)| closed.contains(way)) else {
            continue;
        };
        seen.push(*way);
        let learned = learned(&text);
        if learned.as_ref().map(Keyword::as_str) != Some(keyword) {
            wrong.push(format!("{learned:?}, not {keyword}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(SEEN.iter().all(|way| seen.contains(way)), "the set lacks a way: {seen:?}");
}

#[test]
fn each_announced_keyword_ends_consent_however_it_is_typed() {
    let mut count = 0;
    for text in texts() {
        let Some(keyword) = learned(&text) else { continue };
        count += 1;
        let word = keyword.as_str();
        let typed = [
            word.to_owned(),
            word.to_lowercase(),
            widened(word),
            format!(" {word}。"),
            format!("“{word}”"),
            format!("回{word}"),
            format!("回复{word}，谢谢"),
        ];
        for reply in typed {
            let said = read(&reply, &[keyword]);
            assert_eq!(said, Reply::OptOut { keyword }, "{reply:?} answers: {text}");
        }
    }
    assert!(count >= 90, "only {count} advertisements announce a keyword");
}
