//! Registered templates with typed variables, and which of them a text is.
//!
//! # File
//!
//! UTF-8, one template a line; empty lines and lines that begin with `#` say nothing. Everything
//! stands for itself but variables in braces (`{{` and `}}` are braces themselves):
//!
//! ```text
//! 您的验证码是{digits:4-8},{digits:1-2}分钟内有效
//! ```
//!
//! | variable | stands for | characters unless given |
//! |---|---|---|
//! | `{digits}` | ASCII digits | 1-20 |
//! | `{amount}` | digits with `,` and `.`, a sign or currency sign before | 1-16 |
//! | `{link}` | a link: ASCII without spaces, with a dot | 4-200 |
//! | `{name}` | letters, ideographs, digits, spaces and `*·-.()` | 1-20 |
//! | `{date}` | digits, `-/:.`, spaces and the words of dates and times | 1-30 |
//! | `{free}` | any characters on one line | 1-20 |
//!
//! `:n` means exactly n characters, `:m-n` m to n, at most [`VARIABLE_CHARS_MAX`]. Two variables do not
//! touch. A `name` or `free` that holds a link, a telephone number or words of promotion matches
//! nothing: the variable must not carry an advertisement. A 【signature】 around the text is left out
//! of the comparison where the template has none.

use std::collections::HashMap;

use super::variable::Variable;
use super::{Normal, Place, Signed, signatures};

/// Templates of one set at most.
pub const TEMPLATES_MAX: usize = 100_000;

/// Characters of one template at most.
pub const TEMPLATE_CHARS_MAX: usize = 1000;

/// Variables of one template at most.
pub const VARIABLES_MAX: usize = 24;

/// Characters of one variable at most.
pub const VARIABLE_CHARS_MAX: usize = 500;

/// Ways to lay the variables of one template over a text that are tried before the text counts as
/// no match.
const TRIES_MAX: u32 = 4096;

/// Characters of fixed text that every template has in a row: it is found by them.
const ANCHOR_CHARS_MIN: usize = 2;

/// Why a file makes no templates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {why}")]
pub struct TemplateFault {
    /// The file as it was named.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// What to change.
    pub why: String,
}

/// Which template a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateMatch {
    /// Its number in the set, from 0: [`Templates::origin`] has its place.
    pub template: usize,
}

#[derive(Debug)]
enum Piece {
    Fixed(String),
    Variable(Variable),
}

#[derive(Debug)]
struct Template {
    pieces: Vec<Piece>,
    is_signed: bool,
    file: usize,
    line: usize,
}

/// A set of templates.
#[derive(Debug, Default)]
pub struct Templates {
    files: Vec<String>,
    templates: Vec<Template>,
    index: Option<Index>,
}

/// The templates of each anchor, found in one pass over the text.
struct Index {
    anchors: daachorse::CharwiseDoubleArrayAhoCorasick<u32>,
    of_anchor: Vec<Vec<u32>>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Index({} anchors)", self.of_anchor.len())
    }
}

impl Templates {
    /// Reads one file's text. `file` is its name for faults and [`Templates::origin`].
    pub fn parse(file: &str, text: &str) -> Result<Templates, TemplateFault> {
        Templates::parse_all(&[(file, text)])
    }

    /// Reads several files, name and text each, into one set.
    pub fn parse_all(files: &[(&str, &str)]) -> Result<Templates, TemplateFault> {
        let mut set = Templates::default();
        for (index, (file, text)) in files.iter().enumerate() {
            set.files.push((*file).to_owned());
            for (line, written) in (1..).zip(text.lines()) {
                let written = written.trim_start_matches('\u{feff}').trim();
                if written.is_empty() || written.starts_with('#') {
                    continue;
                }
                let fault = |why: String| TemplateFault { file: (*file).to_owned(), line, why };
                if set.templates.len() == TEMPLATES_MAX {
                    return Err(fault(format!(
                        "more than {TEMPLATES_MAX} templates; split the set"
                    )));
                }
                let pieces = pieces(written).map_err(fault)?;
                let is_signed = written.starts_with('【') || written.ends_with('】');
                set.templates.push(Template { pieces, is_signed, file: index, line });
            }
        }
        set.index = index(&set.templates);
        Ok(set)
    }

    /// How many templates there are.
    pub fn len(&self) -> usize {
        self.templates.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }

    /// File and line of a template.
    pub fn origin(&self, found: TemplateMatch) -> Option<(&str, usize)> {
        let template = self.templates.get(found.template)?;
        Some((self.files.get(template.file)?, template.line))
    }

    /// The first template that the text is, in the order of the files. `normal` is filled anew.
    pub fn matches(&self, text: &str, normal: &mut Normal) -> Option<TemplateMatch> {
        let index = self.index.as_ref()?;
        let text = text.trim();
        let bare = unsigned(text);
        let mut first: Option<usize> = None;
        let mut seen = u32::MAX;
        for found in index.anchors.find_overlapping_iter(text) {
            let group = found.value();
            if std::mem::replace(&mut seen, group) == group {
                continue;
            }
            for template in index.of_anchor.get(group as usize).into_iter().flatten() {
                let number = *template as usize;
                let Some(template) = self.templates.get(number) else { continue };
                let is_earlier = first.is_none_or(|first| number < first);
                let text = if template.is_signed { text } else { bare };
                if is_earlier && lays(&template.pieces, text, normal, &mut TRIES_MAX.clone()) {
                    first = Some(number);
                }
            }
        }
        first.map(|template| TemplateMatch { template })
    }
}

/// The text without the one signature that it begins or ends with.
fn unsigned(text: &str) -> &str {
    let rest = match signatures(text).signed() {
        Signed::One(one) if one.place == Place::Start => text.get(one.span.end as usize..),
        Signed::One(one) if one.place == Place::End => text.get(..one.span.start as usize),
        Signed::One(_) | Signed::None | Signed::Several | Signed::Elsewhere(_) => Some(text),
    };
    rest.unwrap_or(text).trim()
}

/// Whether the pieces cover the text from end to end.
fn lays(pieces: &[Piece], text: &str, normal: &mut Normal, tries: &mut u32) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return text.is_empty() };
    match first {
        Piece::Fixed(fixed) => {
            text.strip_prefix(fixed.as_str()).is_some_and(|text| lays(rest, text, normal, tries))
        }
        Piece::Variable(variable) => {
            let next = match rest.first() {
                Some(Piece::Fixed(fixed)) => Some(fixed.as_str()),
                Some(Piece::Variable(_)) | None => None,
            };
            lays_variable(*variable, next, rest, text, normal, tries)
        }
    }
}

/// Tries every length of the variable at which the next fixed text, or the end, stands.
fn lays_variable(
    variable: Variable,
    next: Option<&str>,
    rest: &[Piece],
    text: &str,
    normal: &mut Normal,
    tries: &mut u32,
) -> bool {
    let ends = text.char_indices().map(|(at, c)| (at, Some(c))).chain([(text.len(), None)]);
    for (count, (at, c)) in ends.enumerate().take(variable.max + 1) {
        let tail = text.get(at..).unwrap_or_default();
        let is_end = next.map_or(tail.is_empty(), |next| tail.starts_with(next));
        if count >= variable.min && is_end {
            let Some(left) = tries.checked_sub(1) else { return false };
            *tries = left;
            let value = text.get(..at).unwrap_or_default();
            if variable.kind.takes(value, normal) && lays(rest, tail, normal, tries) {
                return true;
            }
        }
        if !c.is_some_and(|c| variable.kind.has(c)) {
            return false;
        }
    }
    false
}

fn pieces(written: &str) -> Result<Vec<Piece>, String> {
    if written.chars().count() > TEMPLATE_CHARS_MAX {
        return Err(format!("more than {TEMPLATE_CHARS_MAX} characters; shorten the template"));
    }
    let mut pieces: Vec<Piece> = Vec::new();
    let mut fixed = String::new();
    let mut rest = written;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            fixed.push(c);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (inner, after) =
                after.split_once('}').ok_or("a `{` without `}`; write `{{` for a brace")?;
            if !fixed.is_empty() {
                pieces.push(Piece::Fixed(std::mem::take(&mut fixed)));
            } else if !pieces.is_empty() {
                return Err(format!("`{{{inner}}}` touches another variable; put text between"));
            }
            pieces.push(Piece::Variable(Variable::parse(inner)?));
            rest = after;
        } else if c == '}' {
            return Err("a `}` without `{`; write `}}` for a brace".to_owned());
        } else {
            fixed.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    if !fixed.is_empty() {
        pieces.push(Piece::Fixed(fixed));
    }
    if pieces.iter().filter(|piece| matches!(piece, Piece::Variable(_))).count() > VARIABLES_MAX {
        return Err(format!("more than {VARIABLES_MAX} variables; split the template"));
    }
    if anchors(&pieces).next().is_none() {
        return Err(format!("no {ANCHOR_CHARS_MIN} fixed characters in a row; say what is fixed"));
    }
    Ok(pieces)
}

fn anchors(pieces: &[Piece]) -> impl Iterator<Item = &str> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Fixed(fixed) if fixed.chars().count() >= ANCHOR_CHARS_MIN => Some(fixed.as_str()),
        Piece::Fixed(_) | Piece::Variable(_) => None,
    })
}

/// Each template stands under that fixed text of its own which the fewest others have.
fn index(templates: &[Template]) -> Option<Index> {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for anchor in templates.iter().flat_map(|template| anchors(&template.pieces)) {
        *uses.entry(anchor).or_default() += 1;
    }
    let mut place: HashMap<&str, usize> = HashMap::new();
    let mut written: Vec<&str> = Vec::new();
    let mut of_anchor: Vec<Vec<u32>> = Vec::new();
    for (number, template) in templates.iter().enumerate() {
        let rarity = |anchor: &&str| (uses.get(anchor).copied(), usize::MAX - anchor.len());
        let anchor = anchors(&template.pieces).min_by_key(rarity)?;
        let at = *place.entry(anchor).or_insert_with(|| {
            written.push(anchor);
            of_anchor.push(Vec::new());
            of_anchor.len() - 1
        });
        if let Some(group) = of_anchor.get_mut(at) {
            group.push(u32::try_from(number).ok()?);
        }
    }
    let anchors = written.iter().zip(0u32..).map(|(anchor, group)| (*anchor, group));
    let anchors = daachorse::CharwiseDoubleArrayAhoCorasick::with_values(anchors).ok()?;
    Some(Index { anchors, of_anchor })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# codes
您的验证码是{digits:4-8},{digits:1-2}分钟内有效
{name}您好,您的快递已到{free:1-12},请凭{digits}领取

【示例】账单{amount}元,详见{link},截止{date}。
大括号{{}}在此{digits:2}";

    fn line(text: &str) -> usize {
        let set = Templates::parse("file", FILE).expect("templates");
        let found = set.matches(text, &mut Normal::default());
        found.map_or(0, |found| set.origin(found).expect("of this set").1)
    }

    #[test]
    fn texts_are_their_templates() {
        let rows = [
            ("您的验证码是1234,5分钟内有效", 2),
            ("【示例】您的验证码是12345678,10分钟内有效", 2),
            ("您的验证码是1234,5分钟内有效【示例】", 2),
            ("您的验证码是123,5分钟内有效", 0),
            ("您的验证码是123456789,5分钟内有效", 0),
            ("您的验证码是1234,500分钟内有效", 0),
            ("您的验证码是１２３４,5分钟内有效", 0),
            ("您的验证码是1234,5分钟内有效。全场5折", 0),
            ("张三您好,您的快递已到南门驿站,请凭8812领取", 3),
            ("张三您好,您的快递已到南门驿站全场五折,请凭8812领取", 0),
            ("张三您好,您的快递已到a.cn/x,请凭8812领取", 0),
            ("张三您好,您的快递已到13800138000,请凭8812领取", 0),
            ("张三您好,您的快递已到全 场 優 惠,请凭8812领取", 0),
            ("【示例】账单1,234.50元,详见https://a.cn/b,截止2026年5月1日 12:00。", 5),
            ("账单1,234.50元,详见https://a.cn/b,截止2026年5月1日。", 0),
            ("大括号{}在此12", 6),
            ("大括号{}在此1", 0),
            ("", 0),
        ];
        for (text, wanted) in rows {
            assert_eq!(line(text), wanted, "{text}");
        }
    }

    #[test]
    fn faults_name_file_line_and_way_out() {
        let rows = [
            ("好的\n{digits", "f:2: a `{` without `}`; write `{{` for a brace"),
            ("好的}", "f:1: a `}` without `{`; write `}}` for a brace"),
            ("好的{digits}{name}", "f:1: `{name}` touches another variable; put text between"),
            ("好{digits}", "f:1: no 2 fixed characters in a row; say what is fixed"),
            (
                "好的{digit}",
                "f:1: `{digit}` is no variable; write digits, amount, link, name, date or free",
            ),
            ("好的{digits:8-4}", "f:1: `{digits:8-4}`: write the characters as n or m-n, 1 to 500"),
            ("好的{free:501}", "f:1: `{free:501}`: write the characters as n or m-n, 1 to 500"),
        ];
        for (text, wanted) in rows {
            let fault = Templates::parse("f", text).expect_err(text);
            assert_eq!(fault.to_string(), wanted);
        }
        assert!(Templates::parse("f", &"好".repeat(TEMPLATE_CHARS_MAX)).is_ok());
        assert!(Templates::parse("f", &"好".repeat(TEMPLATE_CHARS_MAX + 1)).is_err());
        assert!(Templates::parse("f", &"好的{digits}".repeat(VARIABLES_MAX)).is_ok());
        assert!(Templates::parse("f", &"好的{digits}".repeat(VARIABLES_MAX + 1)).is_err());
    }

    #[test]
    fn a_text_made_to_backtrack_ends() {
        let template = "aa{free:1-500}".repeat(20);
        let set = Templates::parse("f", &format!("{template}z")).expect("templates");
        assert_eq!(set.matches(&"aa".repeat(400), &mut Normal::default()), None);
    }
}
