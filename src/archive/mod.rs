//! Records as tables: one row a record or a message, with the same columns in every format.
//!
//! | file | subject |
//! |---|---|
//! | `columns` | the columns, once: name, what they hold, what they say |
//! | `row` | one row of values, filled from a record and what became of it |
//! | `sessions` | whose session it was: what a row knows that its record does not say |
//! | `csv`, `ndjson` | a row as a line |
//!
//! What is shown of persons' numbers is decided by [`Numbers`] when a row is made, never later.

mod columns;
mod csv;
mod ndjson;
mod row;
mod sessions;

pub use columns::{Column, Holds};
pub use csv::{header as csv_header, line as csv_line};
pub use ndjson::line as ndjson_line;
pub use row::{Numbers, Row, Value, time_text};
pub use sessions::{Named, SESSIONS_MAX, Sessions};
