//! Word lists with names: what people who refuse advertisements look for. Each list is one feature,
//! so that a word which no labelled text had counts like its neighbours in the list.
//!
//! `lexicon.txt`: `[name]` opens a list, words follow, parted by white space; `_` stands for a space.
//! Words are in normal form with numbers closed: each run of digits is one `0`.

const LISTS: &str = include_str!("lexicon.txt");

/// Every list's name and its words as written.
pub(super) fn lists() -> impl Iterator<Item = (&'static str, &'static str)> {
    let parts = LISTS.split("\n[").skip(1);
    parts.filter_map(|part| part.split_once(']'))
}

/// The words of a list.
pub(super) fn words(list: &'static str) -> impl Iterator<Item = String> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_ascii_whitespace).map(|word| word.replace('_', " "))
}

/// The lists as they are written, for the digest.
pub(super) fn written() -> &'static str {
    LISTS
}

#[cfg(test)]
mod tests {
    use super::super::Normal;
    use super::super::normal::Numbers;
    use super::*;

    #[test]
    fn every_word_is_in_normal_form_and_stands_once() {
        let mut normal = Normal::default();
        let mut names = Vec::new();
        for (name, list) in lists() {
            assert!(!names.contains(&name), "{name} twice");
            names.push(name);
            let mut all: Vec<String> = words(list).collect();
            assert!(all.len() > 3, "{name}");
            for word in &all {
                normal.fill(word, Numbers::Closed);
                assert_eq!(normal.text(), word.trim(), "{name}");
            }
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{name} has a word twice");
        }
        assert!(names.len() > 20);
    }
}
