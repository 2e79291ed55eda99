//! A row as the server gives it.

use std::collections::BTreeSet;

use super::{Mirrored, MirroredFault, Parameters};
use crate::archive::{Column, Holds, Row, Value};

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirroredRow {
    /// The node that recorded it.
    pub node: String,
    /// The word of its journal.
    pub journal: String,
    /// What its record is in the Merkle tree of its group; none where an earlier version mirrored it.
    pub leaf: Option<[u8; 32]>,
    /// The row itself.
    pub row: Row<'static>,
}

impl MirroredRow {
    /// Number of its record in its journal.
    pub fn record(&self) -> u64 {
        self.number(Column::Record).unwrap_or_default()
    }

    /// Its time, microseconds since the Unix epoch.
    pub fn time_us(&self) -> u64 {
        match self.row.value(Column::Time) {
            Value::Time(micros) => *micros,
            Value::None | Value::Number(_) | Value::Text(_) => 0,
        }
    }

    /// The number in a column.
    pub fn number(&self, column: Column) -> Option<u64> {
        match self.row.value(column) {
            Value::Number(number) => Some(*number),
            Value::None | Value::Time(_) | Value::Text(_) => None,
        }
    }

    /// The text in a column.
    pub fn text(&self, column: Column) -> Option<&str> {
        match self.row.value(column) {
            Value::Text(text) => Some(text),
            Value::None | Value::Time(_) | Value::Number(_) => None,
        }
    }

    /// Whether it is of this kind.
    pub fn is(&self, kind: &str) -> bool {
        self.text(Column::Kind) == Some(kind)
    }

    /// What tells it from every other row.
    pub(super) fn key(&self) -> (String, u64) {
        (self.journal.clone(), self.record())
    }
}

/// What is selected of a table with these columns, each under a name or as NULL.
pub(super) fn selected(known: &BTreeSet<String>, of: &str) -> String {
    let mut list = format!("{of}node, {of}journal");
    list.push_str(&match known.contains("leaf") {
        true => format!(", {of}leaf"),
        false => ", NULL::bytea AS leaf".to_owned(),
    });
    for column in Column::ALL {
        let name = column.name();
        let shown = match (column.holds(), known.contains(name)) {
            (Holds::Time, true) => {
                format!("(extract(epoch FROM {of}{name}) * 1000000)::bigint AS {name}_us")
            }
            (Holds::Time, false) => format!("NULL::bigint AS {name}_us"),
            (Holds::Number | Holds::Text, true) => format!("{of}{name}"),
            (Holds::Number, false) => format!("NULL::bigint AS {name}"),
            (Holds::Text, false) => format!("NULL::text AS {name}"),
        };
        list.push_str(", ");
        list.push_str(&shown);
    }
    list
}

impl Mirrored {
    /// Asks for rows, whose columns begin as [`selected`] has them at `at`.
    pub(super) fn rows(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        at: usize,
    ) -> Result<Vec<MirroredRow>, MirroredFault> {
        let rows = self.ask(sql, parameters)?;
        rows.iter().map(|row| read(row, at)).collect()
    }
}

/// Reads a row whose columns begin as [`selected`] has them at `at`.
pub(super) fn read(row: &tokio_postgres::Row, at: usize) -> Result<MirroredRow, MirroredFault> {
    let mut values = Vec::with_capacity(Column::COUNT);
    for (column, at) in Column::ALL.iter().zip(at + 3..) {
        let value = match column.holds() {
            Holds::Text => {
                row.try_get::<_, Option<String>>(at)?.map(|text| Value::Text(text.into()))
            }
            Holds::Number => row
                .try_get::<_, Option<i64>>(at)?
                .map(|number| Value::Number(number.cast_unsigned())),
            Holds::Time => row
                .try_get::<_, Option<i64>>(at)?
                .map(|micros| Value::Time(u64::try_from(micros).unwrap_or(0))),
        };
        values.extend(value.map(|value| (*column, value)));
    }
    let leaf = row.try_get::<_, Option<Vec<u8>>>(at + 2)?;
    Ok(MirroredRow {
        node: row.try_get(at)?,
        journal: row.try_get(at + 1)?,
        leaf: leaf.and_then(|leaf| leaf.try_into().ok()),
        row: Row::made(values),
    })
}
