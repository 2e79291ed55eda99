//! Lines of CSV (RFC 4180) by the names in their header. A field does not go over lines.

use std::borrow::Cow;

use super::line::{FIELDS, Line, LineFault};

/// The header: which field stands in which column.
#[derive(Clone, Debug)]
pub struct Header(Vec<&'static str>);

impl Header {
    /// Reads the header line, without its line end.
    ///
    /// # Errors
    ///
    /// A name that is no field, one that stands there twice, no `number`.
    pub fn read(line: &str) -> Result<Self, LineFault> {
        let mut columns: Vec<&'static str> = Vec::new();
        for name in split(line.trim_start_matches('\u{feff}')).ok_or_else(unclosed)? {
            let known = FIELDS.iter().find(|field| name.trim().eq_ignore_ascii_case(field));
            let Some(field) = known else {
                let list = FIELDS.join(", ");
                let says = format!("the header names a column that is none of: {list}");
                return Err(LineFault::Whole(says));
            };
            if columns.contains(field) {
                return Err(LineFault::Whole(format!("the header names {field} twice")));
            }
            columns.push(field);
        }
        if !columns.contains(&"number") {
            return Err(LineFault::Whole("the header has no column number".to_owned()));
        }
        Ok(Self(columns))
    }

    /// Reads a line, without its line end.
    ///
    /// # Errors
    ///
    /// Another number of columns than the header's; a quote that is not closed.
    pub fn line<'a>(&self, line: &'a str) -> Result<Line<'a>, LineFault> {
        let mut read = Line::default();
        let mut columns = self.0.iter();
        if line.contains('"') {
            for value in split(line).ok_or_else(unclosed)? {
                set(&mut read, columns.next().ok_or_else(|| self.count())?, value);
            }
        } else {
            for value in line.split(',') {
                let value = Cow::Borrowed(value);
                set(&mut read, columns.next().ok_or_else(|| self.count())?, value);
            }
        }
        if columns.next().is_some() {
            return Err(self.count());
        }
        Ok(read)
    }

    fn count(&self) -> LineFault {
        LineFault::Whole(format!("the line does not have {} columns like the header", self.0.len()))
    }
}

fn unclosed() -> LineFault {
    LineFault::Whole("a quote is not closed, or stands within a field".to_owned())
}

fn set<'a>(line: &mut Line<'a>, field: &str, value: Cow<'a, str>) {
    let place = match field {
        "number" => &mut line.number,
        "entity" => &mut line.entity,
        "event" => &mut line.event,
        "time" => &mut line.time,
        "until" => &mut line.until,
        "class" => &mut line.class,
        "scope" => &mut line.scope,
        "promise" => &mut line.promise,
        "proof" => &mut line.proof,
        "proof_sha256" => &mut line.proof_sha256,
        "review" => &mut line.review,
        "cause" => &mut line.cause,
        _ => &mut line.content,
    };
    *place = value;
}

/// The fields of a line; `None` when a quote is not closed, or text stands beside a quoted field.
fn split(line: &str) -> Option<Vec<Cow<'_, str>>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (value, after) = rest.split_at(end);
                if value.contains('"') {
                    return None;
                }
                (Cow::Borrowed(value), after)
            }
        };
        fields.push(value);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(fields),
            None => return None,
        }
    }
}

/// A field behind its opening quote, and what follows the closing one.
fn unquote(quoted: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut value = Cow::Borrowed("");
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('"')?;
        if value.is_empty() {
            value = Cow::Borrowed(part);
        } else {
            value.to_mut().push_str(part);
        }
        match after.strip_prefix('"') {
            Some(next) => {
                value.to_mut().push('"');
                rest = next;
            }
            None => return Some((value, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_rfc_4180_says() {
        for (line, expected) in [
            ("a,b", Some(vec!["a", "b"])),
            ("", Some(vec![""])),
            (",", Some(vec!["", ""])),
            ("\"a,b\",c", Some(vec!["a,b", "c"])),
            ("\"a\"\"b\",\"\"", Some(vec!["a\"b", ""])),
            ("\"\"\"\"", Some(vec!["\""])),
            ("\"a", None),
            ("a\"b\"", None),
            ("\"a\"b", None),
            ("\"a\"\"", None),
        ] {
            let split = split(line);
            let split =
                split.as_ref().map(|fields| fields.iter().map(|f| &**f).collect::<Vec<_>>());
            assert_eq!(split, expected, "{line}");
        }
    }

    #[test]
    fn headers_name_known_columns_once() {
        for (header, good) in [
            ("number", true),
            ("\u{feff}Number,\"entity\", TIME ", true),
            ("entity", false),
            ("number,number", false),
            ("number,phone", false),
            ("number,", false),
        ] {
            assert_eq!(Header::read(header).is_ok(), good, "{header}");
        }
        let header = Header::read("entity,number").unwrap();
        let line = header.line("\"甲,乙\",13800138000").unwrap();
        assert_eq!((&*line.entity, &*line.number), ("甲,乙", "13800138000"));
        assert!(header.line("甲").is_err() && header.line("甲,1,2").is_err());
        assert!(header.line("\"甲\"").is_err() && header.line("\"甲\",1,2").is_err());
    }

    proptest::proptest! {
        #[test]
        fn what_is_quoted_comes_back(fields in proptest::collection::vec("[a\",甲]{0,6}", 1..5)) {
            let quote = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
            let line = fields.iter().map(quote).collect::<Vec<_>>().join(",");
            proptest::prop_assert_eq!(split(&line).unwrap(), fields);
        }
    }
}
