//! Where in the file a mistake is, and one sentence about it.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::nearest::nearest;

/// A mistake in the file: one sentence that names file, line and key, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {says}", line.map(|line| format!(" line {line}")).unwrap_or_default())]
pub struct Fault {
    /// The file's name as the caller gave it.
    pub file: String,
    /// The line, from 1; `None` when the mistake is the whole file's.
    pub line: Option<usize>,
    /// What is wrong.
    pub says: String,
}

/// A file's text and what it was read from, to say where things stand.
pub(super) struct Source<'a> {
    pub file: &'a str,
    pub text: &'a str,
    pub tree: &'a DeTable<'a>,
}

impl Source<'_> {
    /// A fault about the key or value at `span`. `says` follows the key's name.
    pub fn fault(&self, span: Range<usize>, says: impl std::fmt::Display) -> Fault {
        let place = place(self.tree, span.start).unwrap_or_else(|| "the file".to_owned());
        at(self.file, self.text, Some(span.start), format!("{place} {says}"))
    }

    /// A fault between settings, at the first of those that is written.
    pub fn fault_at_one_of(
        &self,
        spans: impl IntoIterator<Item = Option<Range<usize>>>,
        says: &str,
    ) -> Fault {
        match spans.into_iter().flatten().next() {
            Some(span) => self.fault(span, says),
            None => self.whole(says),
        }
    }

    /// A fault of the whole file.
    pub fn whole(&self, says: impl std::fmt::Display) -> Fault {
        at(self.file, self.text, None, says.to_string())
    }

    /// What serde found, in our words.
    pub fn unreadable(&self, error: &toml::de::Error) -> Fault {
        let says = reworded(error.message());
        match error.span() {
            Some(span) => self.fault(span, says),
            None => self.whole(format!("the file {says}")),
        }
    }
}

/// What the TOML parser found: the text has no tree yet, so no key is named.
pub(super) fn not_toml(file: &str, text: &str, error: &toml::de::Error) -> Fault {
    let says = format!("this is not TOML: {}", one_line(error.message()));
    at(file, text, error.span().map(|span| span.start), says)
}

fn at(file: &str, text: &str, offset: Option<usize>, says: String) -> Fault {
    let line = offset.map(|offset| {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        before.iter().filter(|octet| **octet == b'\n').count() + 1
    });
    Fault { file: file.to_owned(), line, says }
}

/// Makes serde's message follow a key's name. The messages are part of serde's stable behaviour for
/// derived types; one that is not known here is given as it is.
fn reworded(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let written = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.collect();
    let advice = || match nearest(written, known.iter().copied()) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("known here: {}", known.join(", ")),
    };
    if message.starts_with("unknown field ") {
        format!("is not a key here; {}", advice())
    } else if message.starts_with("unknown variant ") {
        format!("cannot be \"{written}\"; {}", advice())
    } else if message.starts_with("missing field ") {
        format!("has no {written}")
    } else if message.starts_with("invalid ") {
        format!("cannot be read: {}", one_line(message))
    } else {
        one_line(message)
    }
}

fn one_line(message: &str) -> String {
    message.split(['\n', '\r']).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// The table and key that stand at an offset, as in `[limits] window`.
fn place(tree: &DeTable<'_>, offset: usize) -> Option<String> {
    place_in(tree, offset, "", "")
}

/// The same within a table that stands at the dotted `path` and is written as `header`.
fn place_in(table: &DeTable<'_>, offset: usize, path: &str, header: &str) -> Option<String> {
    for (key, value) in table {
        let key_at = key.span();
        let key = bare_or_quoted(key.get_ref());
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{key}");
        let (header, deeper) = match value.get_ref() {
            DeValue::Table(table) => {
                let header = format!("[{path}]");
                let deeper = place_in(table, offset, &path, &header);
                (header, deeper)
            }
            DeValue::Array(array) if is_tables(value.get_ref()) => {
                let header = format!("[[{path}]]");
                let deeper = array.iter().find_map(|item| match item.get_ref() {
                    DeValue::Table(table) => place_in(table, offset, &path, &header)
                        .or_else(|| item.span().contains(&offset).then(|| header.clone())),
                    _ => None,
                });
                (header, deeper)
            }
            _ => (format!("{header} {key}").trim_start().to_owned(), None),
        };
        if deeper.is_some() {
            return deeper;
        }
        if key_at.contains(&offset) || value.span().contains(&offset) {
            return Some(header);
        }
    }
    None
}

fn is_tables(value: &DeValue<'_>) -> bool {
    let DeValue::Array(array) = value else { return false };
    array.iter().next().is_some_and(|item| matches!(item.get_ref(), DeValue::Table(_)))
}

fn bare_or_quoted(key: &str) -> String {
    let is_bare =
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if is_bare { key.to_owned() } else { format!("{key:?}") }
}
