//! Rows as a Parquet file, column by column, by the crate `parquet` without arrow.
//!
//! Numbers and times are INT64 (times TIMESTAMP in microseconds, UTC), texts BYTE_ARRAY with the
//! logical type STRING, each optional but the first two. Compressed with gzip: any reader has it.
//! Given the same rows it writes the same octets.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{
    Compression, Encoding, GzipLevel, LogicalType, Repetition, TimeUnit, Type as Physical,
};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use super::columns::{Column, Holds};
use super::row::{Row, Value};

/// Rows of a row group: about 10 MB while it is gathered.
pub const ROW_GROUP_ROWS: usize = 1 << 16;
/// Gzip's own default: level 9 takes three times as long for a hundredth less.
const GZIP_LEVEL: u32 = 6;

/// A Parquet file that is being written.
pub struct Table<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    gathered: Vec<Gathered>,
    rows: usize,
    /// Rows in all.
    total: u64,
}

/// The values of one column that wait for their row group.
#[derive(Default)]
struct Gathered {
    /// 1 where there is a value.
    levels: Vec<i16>,
    numbers: Vec<i64>,
    /// Texts one behind the other.
    texts: Vec<u8>,
    /// Where each text ends.
    ends: Vec<usize>,
}

impl<W: Write + Send> Table<W> {
    /// Begins a file; `notes` are its key-value metadata.
    pub fn begin(out: W, notes: &[(&str, String)]) -> io::Result<Table<W>> {
        let writer = SerializedFileWriter::new(out, schema()?, properties(notes)?);
        Ok(Table {
            writer: writer.map_err(fault)?,
            gathered: Column::ALL.iter().map(|_| Gathered::default()).collect(),
            rows: 0,
            total: 0,
        })
    }

    /// Adds a row.
    pub fn push(&mut self, row: &Row<'_>) -> io::Result<()> {
        for (gathered, (_, value)) in self.gathered.iter_mut().zip(row.values()) {
            gathered.push(value);
        }
        self.rows += 1;
        self.total += 1;
        if self.rows >= ROW_GROUP_ROWS {
            self.write_group()?;
        }
        Ok(())
    }

    /// Writes the rest and the footer; gives back what it was written to, and how many rows.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        if self.rows > 0 {
            self.write_group()?;
        }
        Ok((self.writer.into_inner().map_err(fault)?, self.total))
    }

    fn write_group(&mut self) -> io::Result<()> {
        let mut group = self.writer.next_row_group().map_err(fault)?;
        for (column, gathered) in Column::ALL.iter().zip(&mut self.gathered) {
            let Some(mut chunk) = group.next_column().map_err(fault)? else { break };
            let texts = gathered.take_texts();
            let levels = (!is_required(*column)).then_some(gathered.levels.as_slice());
            match column.holds() {
                Holds::Number | Holds::Time => {
                    let typed = chunk.typed::<Int64Type>();
                    typed.write_batch(&gathered.numbers, levels, None).map_err(fault)?;
                }
                Holds::Text => {
                    let typed = chunk.typed::<ByteArrayType>();
                    typed.write_batch(&texts, levels, None).map_err(fault)?;
                }
            }
            chunk.close().map_err(fault)?;
            gathered.clear();
        }
        group.close().map_err(fault)?;
        self.rows = 0;
        Ok(())
    }
}

impl Gathered {
    fn push(&mut self, value: &Value<'_>) {
        self.levels.push(i16::from(*value != Value::None));
        match value {
            Value::None => {}
            Value::Number(number) | Value::Time(number) => self.numbers.push(number.cast_signed()),
            Value::Text(text) => {
                self.texts.extend_from_slice(text.as_bytes());
                self.ends.push(self.texts.len());
            }
        }
    }

    fn take_texts(&mut self) -> Vec<ByteArray> {
        let octets = Bytes::from(std::mem::take(&mut self.texts));
        let mut begin = 0;
        let text = |end: &usize| {
            let text = octets.slice(begin..*end);
            begin = *end;
            ByteArray::from(text)
        };
        self.ends.iter().map(text).collect()
    }

    fn clear(&mut self) {
        self.levels.clear();
        self.numbers.clear();
        self.texts.clear();
        self.ends.clear();
    }
}

/// Every row has a number, a time and a kind.
fn is_required(column: Column) -> bool {
    matches!(column, Column::Record | Column::Time | Column::Kind)
}

fn schema() -> io::Result<TypePtr> {
    let field = |column: &Column| {
        let (physical, logical) = match column.holds() {
            Holds::Number => (Physical::INT64, None),
            Holds::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
            Holds::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let repetition = match is_required(*column) {
            true => Repetition::REQUIRED,
            false => Repetition::OPTIONAL,
        };
        Type::primitive_type_builder(column.name(), physical)
            .with_logical_type(logical)
            .with_repetition(repetition)
            .build()
            .map(Arc::new)
    };
    let fields: Result<Vec<_>, _> = Column::ALL.iter().map(field).collect();
    let root = Type::group_type_builder("records").with_fields(fields.map_err(fault)?).build();
    Ok(Arc::new(root.map_err(fault)?))
}

/// What grows goes as differences, what never repeats without a dictionary, the rest with one.
fn properties(notes: &[(&str, String)]) -> io::Result<WriterPropertiesPtr> {
    let level = GzipLevel::try_new(GZIP_LEVEL).map_err(fault)?;
    let note = |(key, value): &(&str, String)| KeyValue::new((*key).to_owned(), value.clone());
    let mut builder = WriterProperties::builder()
        .set_created_by("consentry".to_owned())
        .set_compression(Compression::GZIP(level))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(notes.iter().map(note).collect()));
    for column in Column::ALL {
        let encoding = match column {
            Column::Record
            | Column::Time
            | Column::SequenceNumber
            | Column::ConsentEvent
            | Column::AnswerRecord
            | Column::LatencyUs
            | Column::ReceiptRecord
            | Column::ReceiptTime => Encoding::DELTA_BINARY_PACKED,
            Column::SourceToken | Column::DestinationToken => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            Column::MessageId => Encoding::DELTA_BYTE_ARRAY,
            _ => continue,
        };
        let path = ColumnPath::new(vec![column.name().to_owned()]);
        builder = builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, encoding);
    }
    Ok(Arc::new(builder.build()))
}

fn fault(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        other => io::Error::other(other),
    }
}
