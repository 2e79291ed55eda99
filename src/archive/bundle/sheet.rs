//! The table of a bundle in one of its formats: written row by row, compared row by row.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use parquet::file::reader::SerializedFileReader;
use parquet::record::Field;
use parquet::record::reader::RowIter;

use super::super::columns::Column;
use super::super::parquet::Table;
use super::super::row::{Row, Value};
use super::super::{csv, ndjson};

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, UTF-8 with a byte order mark: what spreadsheets need to know that it is UTF-8.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

/// EF BB BF, as UTF-8 has it.
pub(super) const BYTE_ORDER_MARK: &str = "\u{feff}";

impl Format {
    /// All of them.
    pub const ALL: [Format; 3] = [Format::Csv, Format::Ndjson, Format::Parquet];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Ndjson => "ndjson",
            Format::Parquet => "parquet",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The file of the table.
    pub(super) fn file(self) -> String {
        format!("records.{}", self.name())
    }

    /// What stands before the first row.
    fn head(self) -> String {
        match self {
            Format::Csv => format!("{BYTE_ORDER_MARK}{}", csv::header()),
            Format::Ndjson | Format::Parquet => String::new(),
        }
    }

    fn line(self, row: &Row<'_>, out: &mut String) {
        out.clear();
        match self {
            Format::Csv => csv::line(row, out),
            Format::Ndjson | Format::Parquet => ndjson::line(row, out),
        }
    }
}

/// A table that is being written.
pub(super) enum Sheet {
    Lines { format: Format, out: BufWriter<File>, line: String },
    Parquet(Box<Table<BufWriter<File>>>),
}

impl Sheet {
    pub fn begin(format: Format, file: File) -> io::Result<Sheet> {
        let mut out = BufWriter::new(file);
        if format == Format::Parquet {
            return Ok(Sheet::Parquet(Box::new(Table::begin(out, &[])?)));
        }
        out.write_all(format.head().as_bytes())?;
        Ok(Sheet::Lines { format, out, line: String::new() })
    }

    pub fn push(&mut self, row: &Row<'_>) -> io::Result<()> {
        match self {
            Sheet::Parquet(table) => table.push(row),
            Sheet::Lines { format, out, line } => {
                format.line(row, line);
                out.write_all(line.as_bytes())
            }
        }
    }

    pub fn finish(self) -> io::Result<()> {
        let out = match self {
            Sheet::Parquet(table) => table.finish()?.0,
            Sheet::Lines { out, .. } => out,
        };
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

/// A table that is compared with the rows that it must have.
pub(super) enum Compared {
    Lines { format: Format, from: BufReader<File>, line: String },
    Parquet(Box<RowIter<'static>>),
}

impl Compared {
    /// Opens it; none where its beginning is not what it must be.
    pub fn open(format: Format, path: &Path) -> io::Result<Option<Compared>> {
        let file = File::open(path)?;
        if format == Format::Parquet {
            let Ok(reader) = SerializedFileReader::new(file) else { return Ok(None) };
            return Ok(Some(Compared::Parquet(Box::new(RowIter::from_file_into(Box::new(
                reader,
            ))))));
        }
        let mut compared =
            Compared::Lines { format, from: BufReader::new(file), line: String::new() };
        let head = format.head();
        Ok(compared.next_is(&head)?.then_some(compared))
    }

    /// Whether the next row is this one.
    pub fn is_next(&mut self, row: &Row<'_>) -> io::Result<bool> {
        match self {
            Compared::Lines { format, line, .. } => {
                let mut expected = std::mem::take(line);
                format.line(row, &mut expected);
                let same = self.next_is(&expected);
                if let Compared::Lines { line, .. } = self {
                    *line = expected;
                }
                same
            }
            Compared::Parquet(rows) => {
                Ok(matches!(rows.next(), Some(Ok(found)) if same(&found, row)))
            }
        }
    }

    /// Whether nothing follows.
    pub fn is_at_end(&mut self) -> io::Result<bool> {
        match self {
            Compared::Lines { from, .. } => Ok(from.fill_buf()?.is_empty()),
            Compared::Parquet(rows) => Ok(rows.next().is_none()),
        }
    }

    fn next_is(&mut self, expected: &str) -> io::Result<bool> {
        let Compared::Lines { from, .. } = self else { return Ok(false) };
        let mut found = Vec::with_capacity(expected.len());
        from.take(expected.len() as u64).read_to_end(&mut found)?;
        Ok(found == expected.as_bytes())
    }
}

fn same(found: &parquet::record::Row, row: &Row<'_>) -> bool {
    found.len() == Column::COUNT
        && found.get_column_iter().zip(row.values()).all(|((name, field), (column, value))| {
            name == column.name()
                && match (field, value) {
                    (Field::Null, Value::None) => true,
                    (Field::Long(found), Value::Number(value))
                    | (Field::TimestampMicros(found), Value::Time(value)) => {
                        found.cast_unsigned() == *value
                    }
                    (Field::Str(found), Value::Text(value)) => found == value,
                    _ => false,
                }
        })
}
