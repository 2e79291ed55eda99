//! Records of all nodes, as their mirrors of kind `postgres` delivered them: found, told what became of them,
//! counted, and held against a journal.
//!
//! Everything is asked in one transaction that reads only, so that what is asked later fits what was asked
//! before, whatever mirrors deliver meanwhile.
//!
//! | file | subject |
//! |---|---|
//! | `row` | a row as the server gives it |
//! | `query` | what is looked for, as SQL that reads what may match and nothing else |
//! | `became` | answers and receipts of messages, whichever node they came through |
//! | `span` | which records there are between two, and which are missing |
//! | `leaves` | what a journal is held against |

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;

pub use super::table::TAIL_DIGITS;
use super::table::Table;
use crate::postgres::{Connection, Fault, Server};

mod became;
mod leaves;
mod query;
mod row;
mod span;

pub use became::{RECEIPTS_A_MESSAGE_MAX, Told};
pub use leaves::{Leaf, LeafPage};
pub use query::{MirrorQuery, Number};
pub use row::MirroredRow;
pub use span::{GAPS_SHOWN_MAX, Gap, Span};

/// How long it may take for one answer.
const STATEMENT: Duration = Duration::from_secs(600);
/// Journals of a table; more are refused.
pub const JOURNALS_MAX: usize = 4096;

/// Why nothing can be read there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MirroredFault(pub String);

impl From<tokio_postgres::Error> for MirroredFault {
    fn from(error: tokio_postgres::Error) -> MirroredFault {
        Fault::from(error).into()
    }
}

impl From<Fault> for MirroredFault {
    fn from(fault: Fault) -> MirroredFault {
        MirroredFault(fault.to_string())
    }
}

/// From which record on the rows of a journal are in which form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// The record.
    pub record: u64,
    /// Whether persons' numbers are whole.
    pub is_whole: bool,
    /// Which index key their tokens are made with.
    pub tokens: Option<String>,
}

/// A journal as it was mirrored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MirroredJournal {
    /// The nodes that its rows say: one, unless it was renamed.
    pub nodes: BTreeSet<String>,
    /// Forms by their records; none where a mirror of before forms were told wrote it.
    pub forms: Vec<Form>,
}

/// The table that mirrors write.
pub struct Mirrored {
    runtime: Runtime,
    connection: Connection,
    table: Table,
    /// Columns that the table has.
    columns: BTreeSet<String>,
    /// By their words.
    pub journals: BTreeMap<String, MirroredJournal>,
}

impl std::fmt::Debug for Mirrored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mirrored").field("table", &self.table).finish_non_exhaustive()
    }
}

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Mirrored {
    /// Connects to the server and looks what its table has.
    pub fn open(server: &Server, table: &str) -> Result<Mirrored, MirroredFault> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| MirroredFault(error.to_string()))?;
        let connection = runtime.block_on(server.named("consentry audit").connect())?;
        let mut mirrored = Mirrored {
            runtime,
            connection,
            table: Table::new(table),
            columns: BTreeSet::new(),
            journals: BTreeMap::new(),
        };
        mirrored.look()?;
        Ok(mirrored)
    }

    /// Every question has an index of its own, which is taken also where the server has no statistics yet, or
    /// would rather read a small partition whole.
    fn look(&mut self) -> Result<(), MirroredFault> {
        let (rows, journals) = (self.table.rows(), self.table.journals());
        let begin = format!(
            "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = 0; \
             SET enable_seqscan = off; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            STATEMENT.as_millis()
        );
        self.runtime.block_on(self.connection.batch_execute(&begin))?;
        let columns = "SELECT attname::text FROM pg_attribute \
                       WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";
        let columns = self.ask(columns, &[&rows])?;
        self.columns = columns.iter().filter_map(|row| row.try_get(0).ok()).collect();
        if self.columns.is_empty() {
            return Err(MirroredFault(format!("the database has no table {rows} of a mirror")));
        }
        // From one word to the next by the key: no row between is read.
        let words = format!(
            "WITH RECURSIVE words AS (\
               (SELECT journal FROM {rows} ORDER BY journal LIMIT 1) UNION ALL \
               SELECT (SELECT r.journal FROM {rows} r WHERE r.journal > words.journal \
                       ORDER BY r.journal LIMIT 1) FROM words WHERE words.journal IS NOT NULL) \
             SELECT journal, (SELECT r.node FROM {rows} r WHERE r.journal = words.journal \
                              ORDER BY r.record LIMIT 1) \
             FROM words WHERE journal IS NOT NULL LIMIT {}",
            JOURNALS_MAX + 1
        );
        for row in self.ask(&words, &[])? {
            let journal = self.journals.entry(row.try_get(0)?).or_default();
            journal.nodes.insert(row.try_get(1)?);
        }
        if self.journals.len() > JOURNALS_MAX {
            return Err(MirroredFault(format!("the table has more than {JOURNALS_MAX} journals")));
        }
        let is_there = self.ask("SELECT to_regclass($1) IS NOT NULL", &[&journals])?;
        if !is_there.first().is_some_and(|row| row.try_get(0).unwrap_or(false)) {
            return Ok(());
        }
        let forms = format!(
            "SELECT journal, node, record, numbers = 'whole', tokens FROM {journals} ORDER BY record"
        );
        for row in self.ask(&forms, &[])? {
            let journal = self.journals.entry(row.try_get(0)?).or_default();
            journal.nodes.insert(row.try_get(1)?);
            journal.forms.push(Form {
                record: row.try_get::<_, i64>(2)?.cast_unsigned(),
                is_whole: row.try_get(3)?,
                tokens: row.try_get(4)?,
            });
        }
        Ok(())
    }

    /// In what form the row of a record is; none where nobody says.
    fn form(&self, journal: &str, record: u64) -> Option<&Form> {
        let forms = &self.journals.get(journal)?.forms;
        forms.iter().rev().find(|form| form.record <= record)
    }

    fn ask(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<tokio_postgres::Row>, MirroredFault> {
        Ok(self.runtime.block_on(self.connection.query(sql, parameters))?)
    }
}
