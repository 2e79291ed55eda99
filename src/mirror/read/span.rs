//! Which records of each journal there are between two times, and which are missing.

use super::query::{MirrorQuery, Values};
use super::{Mirrored, MirroredFault};
use crate::archive::time_text;

/// Gaps of one journal that are told one by one.
pub const GAPS_SHOWN_MAX: usize = 100;

/// A place where records are missing: between two that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The record before it.
    pub behind: u64,
    /// The record behind it.
    pub before: u64,
    /// Whether something is missing for certain: an earlier version did not say what precedes a row.
    pub is_certain: bool,
}

/// The records of one journal of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The node.
    pub node: String,
    /// The word of its journal.
    pub journal: String,
    /// The first record of that time.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// How many rows there are of that time.
    pub rows: u64,
    /// Where records are missing between them; one more than [`GAPS_SHOWN_MAX`] stands for all others.
    pub gaps: Vec<Gap>,
    /// Whether the mirror has records of the journal from behind that time: else more may come.
    pub goes_on: bool,
}

impl Mirrored {
    /// What the table has of the query's nodes and times, by node and journal.
    pub fn spans(&self, query: &MirrorQuery<'_>) -> Result<Vec<Span>, MirroredFault> {
        let mut values = Values::default();
        let mut conditions = "true".to_owned();
        if !query.nodes.is_empty() {
            conditions += &format!(" AND node = ANY({})", values.put(query.nodes.to_vec()));
        }
        if !query.journals.is_empty() {
            conditions += &format!(" AND journal = ANY({})", values.put(query.journals.to_vec()));
        }
        for (sign, time) in [(">=", query.since_us), ("<", query.until_us)] {
            conditions += &time
                .map_or(String::new(), |time| format!(" AND time {sign} '{}'", time_text(time)));
        }
        // What is counted is all that there is.
        self.ask("SET LOCAL enable_seqscan = on", &[])?;
        let rows = self.table.rows();
        let sql = format!(
            "SELECT node, journal, min(record), max(record), count(*), \
             (extract(epoch FROM max(time)) * 1000000)::bigint FROM {rows} \
             WHERE {conditions} GROUP BY node, journal ORDER BY node, journal"
        );
        let mut spans = Vec::new();
        for row in self.ask(&sql, &values.all())? {
            let journal: String = row.try_get(1)?;
            let number = |at| row.try_get::<_, i64>(at).map(i64::cast_unsigned);
            let (first, last) = (number(2)?, number(3)?);
            spans.push(Span {
                node: row.try_get(0)?,
                gaps: self.gaps(&journal, first, last)?,
                goes_on: self.goes_on(&journal, query.until_us)?,
                journal,
                first,
                last,
                rows: number(4)?,
            });
        }
        Ok(spans)
    }

    fn gaps(&self, journal: &str, first: u64, last: u64) -> Result<Vec<Gap>, MirroredFault> {
        let previous = match self.columns.contains("previous") {
            true => "previous",
            false => "NULL::bigint",
        };
        let sql = format!(
            "SELECT behind, record, previous IS NOT NULL FROM (\
             SELECT record, {previous} AS previous, lag(record) OVER (ORDER BY record) AS behind \
             FROM {} WHERE journal = $1 AND record BETWEEN $2 AND $3) r \
             WHERE behind IS NOT NULL AND previous IS DISTINCT FROM behind ORDER BY record LIMIT {}",
            self.table.rows(),
            GAPS_SHOWN_MAX + 1
        );
        let found = self.ask(&sql, &[&journal, &first.cast_signed(), &last.cast_signed()])?;
        let gap = |row: &tokio_postgres::Row| {
            Ok(Gap {
                behind: row.try_get::<_, i64>(0)?.cast_unsigned(),
                before: row.try_get::<_, i64>(1)?.cast_unsigned(),
                is_certain: row.try_get(2)?,
            })
        };
        found.iter().map(gap).collect()
    }

    fn goes_on(&self, journal: &str, until_us: Option<u64>) -> Result<bool, MirroredFault> {
        let Some(until) = until_us else { return Ok(false) };
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {} WHERE journal = $1 AND time >= '{}')",
            self.table.rows(),
            time_text(until)
        );
        let found = self.ask(&sql, &[&journal])?;
        Ok(found.first().is_some_and(|row| row.try_get(0).unwrap_or(false)))
    }
}
