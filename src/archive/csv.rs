//! A row as a line of CSV (RFC 4180): UTF-8, every table with a header, ends of lines CR LF.
//!
//! A cell that a spreadsheet would take for a formula begins with an apostrophe: what begins with
//! `=`, `+`, `-`, `@`, a tab or a carriage return. A column without a value is an empty cell.

use super::columns::Column;
use super::row::{Row, Value, time_text};

/// The header, with its end of line.
pub fn header() -> String {
    let names: Vec<&str> = Column::ALL.iter().map(|column| column.name()).collect();
    names.join(",") + "\r\n"
}

/// Appends one row, with its end of line.
pub fn line(row: &Row<'_>, out: &mut String) {
    for (column, value) in row.values() {
        if column != Column::Record {
            out.push(',');
        }
        match value {
            Value::None => {}
            Value::Number(number) => out.push_str(&number.to_string()),
            Value::Time(micros) => out.push_str(&time_text(*micros)),
            Value::Text(text) => cell(text, out),
        }
    }
    out.push_str("\r\n");
}

/// Appends a cell.
pub(super) fn cell(text: &str, out: &mut String) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let quoted = formula || text.contains(['"', ',', '\r', '\n']);
    if quoted {
        out.push('"');
    }
    if formula {
        out.push('\'');
    }
    match quoted {
        true => out.push_str(&text.replace('"', "\"\"")),
        false => out.push_str(text),
    }
    if quoted {
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_no_formula() {
        let cases = [
            ("", ""),
            ("示例商城", "示例商城"),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("=1+1", "\"'=1+1\""),
            ("+8613800138000", "\"'+8613800138000\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            ("=\"x\"", "\"'=\"\"x\"\"\""),
        ];
        for (text, expected) in cases {
            let mut out = String::new();
            cell(text, &mut out);
            assert_eq!(out, expected);
        }
    }
}
