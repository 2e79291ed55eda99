//! A row as one JSON object on a line; a column without a value is left out.

use super::row::{Row, Value, time_text};

/// Appends one row, with its end of line.
pub fn line(row: &Row<'_>, out: &mut String) {
    let mut before = '{';
    for (column, value) in row.values() {
        let shown = match value {
            Value::None => continue,
            Value::Number(number) => number.to_string(),
            Value::Time(micros) => quoted(&time_text(*micros)),
            Value::Text(text) => quoted(text),
        };
        out.push(before);
        before = ',';
        out.push('"');
        out.push_str(column.name());
        out.push_str("\":");
        out.push_str(&shown);
    }
    out.push_str("}\n");
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
