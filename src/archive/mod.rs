//! Records as tables: one row a record or a message, with the same columns in every format.
//!
//! | file | subject |
//! |---|---|
//! | `columns` | the columns, once: name, what they hold, what they say |
//! | `row` | one row of values, filled from a record and what became of it |
//! | `sessions` | whose session it was: what a row knows that its record does not say |
//! | `join` | messages with their answers, all other records by themselves, in their order |
//! | `csv`, `ndjson` | a row as a line |
//! | `parquet` | rows as a Parquet file |
//! | [`bundle`] | what is handed over: table, proofs, cover, signature; and checking it |
//! | `report` | counts by article, provider and day |
//! | `rewrite` | a journal's sealed segments as Parquet files, each once, bit by bit |
//!
//! What is shown of persons' numbers is decided by [`Numbers`] when a row is made, never later.

pub mod bundle;
mod columns;
mod csv;
mod join;
mod ndjson;
mod parquet;
mod report;
mod rewrite;
mod row;
mod sessions;

pub use columns::{Column, Holds};
pub use csv::{header as csv_header, line as csv_line};
pub use join::{Join, Settled, Waiting};
pub use ndjson::line as ndjson_line;
pub use parquet::{ROW_GROUP_ROWS, Table};
pub use report::{Counts, Place, ROWS_MAX, Report};
pub use rewrite::{FOLDER, RewriteFault, Rewriter, Step, file};
pub use row::{Numbers, Row, Token, Value, text_of, time_text, unhex};
pub use sessions::{Named, SESSIONS_MAX, Sessions};
