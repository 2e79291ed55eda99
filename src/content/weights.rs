//! The weights file: what each feature says for each class. Text that a person can read, compare and
//! sign; `weights.tsv` is the one of this build.
//!
//! Weights count to the thousandth, and none is further from zero than 32.
//!
//! Lines of fields parted by TAB; `#` begins a comment line. First `consentry-content-weights 1`,
//! then in any order:
//!
//! ```text
//! class   commercial  service.code  ...      the columns: every class once
//! start   -0.12       0.31          ...      what counts before any feature
//! margin  0.5                                by how much commercial must lead
//! mark    link        0.42          ...      a feature that is no word
//! list    offer.gift  1.10          ...      any word of a list of lexicon.txt
//! pair    list:offer.gift+mark:code  0.31 ...  two marks or lists in one text
//! first   offer.gift  0.20          ...      a word of a list in the first of several sentences
//! last    offer.gift  0.90          ...      the same in the last
//! word    0元起       0.73          ...      a word or phrase in normal form, numbers closed to 0
//! ```

use std::collections::HashSet;

use super::marks::Mark;
use super::{Class, lexicon};

/// Features of one file at most.
pub const FEATURES_MAX: usize = 60_000;

/// Characters of one word at most.
pub const WORD_CHARS_MAX: usize = 40;

/// A weight further from zero than this is a mistake: fitted ones stay below 3.
const WEIGHT_MAX: f32 = 32.0;

/// What a line that is none of the file's is told.
const BEGIN: &str = "begin with class, start, margin, mark, list, pair, first, last or word";

const FIRST_LINE: &str = "consentry-content-weights\t1";

/// A weight for every class, in the order of [`Class::ALL`].
pub type Row = [f32; Class::COUNT];

/// What a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sort {
    /// Links, numbers, signature, length, tricks.
    Mark,
    /// A list of the lexicon.
    List,
    /// A word of its own.
    Word,
    /// Two marks or lists in one text.
    Pair,
    /// A list in the first of several sentences.
    First,
    /// A list in the last of several sentences, where what is appended stands.
    Last,
}

impl Sort {
    fn name(self) -> &'static str {
        match self {
            Sort::Mark => "mark",
            Sort::List => "list",
            Sort::Word => "word",
            Sort::Pair => "pair",
            Sort::First => "first",
            Sort::Last => "last",
        }
    }
}

/// A feature with its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// What it is.
    pub sort: Sort,
    /// The mark's, the list's, or the word itself.
    pub name: String,
    /// What it says for each class.
    pub weights: Row,
}

impl Feature {
    /// Its name with its sort before it, as readings show it.
    pub(super) fn full_name(&self) -> String {
        format!("{}:{}", self.sort.name(), self.name)
    }
}

/// A whole file.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// What counts before any feature.
    pub start: Row,
    /// By how much commercial must lead the next class, in logits, before a text is called so.
    pub margin: f32,
    /// Each once.
    pub features: Vec<Feature>,
}

/// Why a file has no weights: its line, from 1, and what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct WeightsFault {
    /// Counted from 1.
    pub line: usize,
    /// What to change.
    pub why: String,
}

impl Weights {
    /// Reads a file.
    pub fn parse(text: &str) -> Result<Weights, WeightsFault> {
        let mut reading = Parsing {
            columns: None,
            start: None,
            margin: None,
            features: Vec::new(),
            seen: HashSet::new(),
        };
        let mut lines =
            (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        match lines.next() {
            Some((_, FIRST_LINE)) => {}
            Some((line, _)) => {
                return Err(WeightsFault { line, why: format!("begin with `{FIRST_LINE}`") });
            }
            None => return Err(WeightsFault { line: 1, why: "the file is empty".to_owned() }),
        }
        for (line, written) in lines {
            reading.take(written).map_err(|why| WeightsFault { line, why })?;
        }
        let missing =
            |what: &str| WeightsFault { line: 1, why: format!("no line `{what}`; add it") };
        Ok(Weights {
            start: reading.start.ok_or_else(|| missing("start"))?,
            margin: reading.margin.ok_or_else(|| missing("margin"))?,
            features: reading.features,
        })
    }

    /// Writes a file that [`Weights::parse`] reads back, weights rounded to thousandths. `notes` become comments.
    pub fn write(&self, notes: &[String]) -> String {
        let mut out = format!("{FIRST_LINE}\n");
        for note in notes {
            out.push_str(&format!("# {}\n", note.replace('\n', " ")));
        }
        let columns: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
        out.push_str(&format!("class\t{}\n", columns.join("\t")));
        out.push_str(&format!("start\t{}\nmargin\t{}\n", shown(&self.start), self.margin));
        for feature in &self.features {
            let weights = shown(&feature.weights);
            out.push_str(&format!("{}\t{}\t{weights}\n", feature.sort.name(), feature.name));
        }
        out
    }
}

fn shown(row: &Row) -> String {
    let shown: Vec<String> =
        row.iter().map(|weight| format!("{weight:.3}").replace("-0.000", "0.000")).collect();
    shown.join("\t")
}

struct Parsing {
    /// Which class each column is.
    columns: Option<[Class; Class::COUNT]>,
    start: Option<Row>,
    margin: Option<f32>,
    features: Vec<Feature>,
    seen: HashSet<(Sort, String)>,
}

impl Parsing {
    fn take(&mut self, written: &str) -> Result<(), String> {
        let mut fields = written.split('\t');
        match fields.next() {
            Some("class") => self.columns = Some(columns(fields)?),
            Some("start") => self.start = Some(self.row(fields)?),
            Some("margin") => self.margin = Some(number(fields.next().unwrap_or(""))?),
            Some("mark") => self.feature(Sort::Mark, fields)?,
            Some("list") => self.feature(Sort::List, fields)?,
            Some("word") => self.feature(Sort::Word, fields)?,
            Some("pair") => self.feature(Sort::Pair, fields)?,
            Some("first") => self.feature(Sort::First, fields)?,
            Some("last") => self.feature(Sort::Last, fields)?,
            Some(_) | None => {
                return Err(BEGIN.to_owned());
            }
        }
        Ok(())
    }

    fn feature<'t>(
        &mut self,
        sort: Sort,
        mut fields: impl Iterator<Item = &'t str>,
    ) -> Result<(), String> {
        let name = fields.next().unwrap_or_default().to_owned();
        let is_mark = |name: &str| Mark::ALL.iter().any(|mark| mark.name() == name);
        let is_list = |name: &str| lexicon::lists().any(|(list, _)| list == name);
        let is_base = |full: &str| match full.split_once(':') {
            Some(("mark", name)) => is_mark(name),
            Some(("list", name)) => is_list(name),
            Some(_) | None => false,
        };
        let is_known = match sort {
            Sort::Mark => is_mark(&name),
            Sort::List | Sort::First | Sort::Last => is_list(&name),
            Sort::Word => (1..=WORD_CHARS_MAX).contains(&name.chars().count()),
            Sort::Pair => name
                .split_once('+')
                .is_some_and(|(one, other)| is_base(one) && is_base(other) && one != other),
        };
        if !is_known {
            return Err(format!("this build knows no {} `{name}`; take the line out", sort.name()));
        }
        if self.features.len() == FEATURES_MAX {
            return Err(format!("more than {FEATURES_MAX} features; fit with fewer words"));
        }
        if !self.seen.insert((sort, name.clone())) {
            return Err(format!("{} `{name}` a second time; leave one", sort.name()));
        }
        let weights = self.row(fields)?;
        self.features.push(Feature { sort, name, weights });
        Ok(())
    }

    fn row<'t>(&self, fields: impl Iterator<Item = &'t str>) -> Result<Row, String> {
        let columns = self.columns.ok_or("the line `class` comes before any weights")?;
        let mut row = [0.0; Class::COUNT];
        let mut count = 0;
        for field in fields {
            let weight = number(field)?;
            let class = columns.get(count).ok_or("more weights than classes")?;
            if let Some(slot) = row.get_mut(class.index()) {
                *slot = weight;
            }
            count += 1;
        }
        if count == Class::COUNT { Ok(row) } else { Err("fewer weights than classes".to_owned()) }
    }
}

fn columns<'t>(fields: impl Iterator<Item = &'t str>) -> Result<[Class; Class::COUNT], String> {
    let named: Option<Vec<Class>> = fields.map(Class::named).collect();
    let columns = named.and_then(|named| <[Class; Class::COUNT]>::try_from(named).ok());
    let is_each_once =
        |columns: &[Class; Class::COUNT]| Class::ALL.iter().all(|class| columns.contains(class));
    columns.filter(is_each_once).ok_or_else(|| {
        let names: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
        format!("name every class once: {}", names.join(", "))
    })
}

fn number(field: &str) -> Result<f32, String> {
    let number: f32 = field.parse().map_err(|_| format!("`{field}` is no number"))?;
    if number.abs() <= WEIGHT_MAX {
        Ok(number)
    } else {
        Err(format!("`{field}` is out of range; fit again"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "consentry-content-weights\t1\nclass\tcommercial\tservice.code\tservice.notification\tpublic\tpersonal\tfraud\tillicit\n";

    #[test]
    fn what_is_written_is_read_back() {
        let row = [0.125, -1.0, 0.0, 2.0, 0.0, 3.5, -4.0];
        let feature = |sort, name: &str| Feature { sort, name: name.to_owned(), weights: row };
        let features = vec![
            feature(Sort::Mark, "link"),
            feature(Sort::List, "refuse"),
            feature(Sort::Word, "call now"),
        ];
        let weights = Weights { start: row, margin: 0.5, features };
        assert_eq!(Weights::parse(&weights.write(&["a note".to_owned()])), Ok(weights));
    }

    #[test]
    fn faults_name_the_line_and_the_way_out() {
        let zeros = "0\t0\t0\t0\t0\t0\t0";
        let rows = [
            (String::new(), "line 1: the file is empty"),
            ("weights".to_owned(), "line 1: begin with `consentry-content-weights\t1`"),
            (format!("{HEAD}start\t0\t0"), "line 3: fewer weights than classes"),
            (format!("{HEAD}start\t{zeros}\t0"), "line 3: more weights than classes"),
            (format!("{HEAD}margin\tnan"), "line 3: `nan` is out of range; fit again"),
            (format!("{HEAD}margin\t-32.1"), "line 3: `-32.1` is out of range; fit again"),
            (format!("{HEAD}margin\tten"), "line 3: `ten` is no number"),
            (format!("{HEAD}start\t{zeros}"), "line 1: no line `margin`; add it"),
            (
                format!("{HEAD}mark\tlinks\t{zeros}"),
                "line 3: this build knows no mark `links`; take the line out",
            ),
            (
                format!("{HEAD}pair\tlist:refuse+word:a\t{zeros}"),
                "line 3: this build knows no pair `list:refuse+word:a`; take the line out",
            ),
            (
                format!("{HEAD}word\ta\t{zeros}\nword\ta\t{zeros}"),
                "line 4: word `a` a second time; leave one",
            ),
            (
                format!("{HEAD}words\ta"),
                "line 3: begin with class, start, margin, mark, list, pair, first, last or word",
            ),
            (
                format!("{HEAD}word\t{}\t{zeros}", "a".repeat(WORD_CHARS_MAX + 1))
                    .replace(&"a".repeat(WORD_CHARS_MAX + 1), ""),
                "line 3: this build knows no word ``; take the line out",
            ),
        ];
        for (text, wanted) in rows {
            assert_eq!(Weights::parse(&text).expect_err(wanted).to_string(), wanted);
        }
    }
}
