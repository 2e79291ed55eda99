//! Kind `postgres`: COPY into a temporary table, then INSERT ... ON CONFLICT DO NOTHING into the table,
//! in one transaction: a row that is there already is passed over. The table and its partitions, one a
//! month of UTC, are made where they are not there; columns that later versions have are added.
//!
//! Several proxies may make the same table at once: whoever comes second finds it. No lock is taken that other
//! engines lack.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio::time::timeout;

use super::Options;
use super::sink::{Delivered, Rejected, Seam, SinkFault, hex};
use super::table::{Table, columns, indexes};
use crate::archive::{Row, Value, time_text};
use crate::postgres::{Connection, Fault, Server};

/// How long it may take for a batch, and for what is made before it.
const DELIVERY: Duration = Duration::from_secs(60);
/// Rows of one batch that are refused for ever; more, and the mirror stands still: the table is wrong.
const REJECTED_MAX: usize = 100;
/// How often a table is made that others make at the same time: each time one of them is through.
const MAKE_TRIES: usize = 8;
/// Where rows wait for the end of their COPY.
const INCOMING: &str = "pg_temp.consentry_incoming";

/// The other side.
pub(super) struct Postgres {
    server: Server,
    table: Table,
    form: Form,
    /// Node and journal, as every row begins.
    head: String,
    columns: String,
    client: Option<Connection>,
    /// Months that have their partition.
    months: BTreeSet<Month>,
    rows: Vec<CopyRow>,
}

/// Whose rows they are, and in what form numbers stand in them.
struct Form {
    node: String,
    journal: String,
    /// `whole` or `masked`.
    numbers: &'static str,
    /// Which key tokens are made with.
    tokens: Option<String>,
    /// Whether the table of journals says so, as far as this connection knows.
    is_told: bool,
}

/// A row as a line of COPY's text format.
struct CopyRow {
    record: u64,
    month: Month,
    line: String,
}

/// Year and month, UTC.
type Month = (i16, i8);

impl Postgres {
    /// Nothing is connected to.
    pub fn new(server: &Server, table: &str, options: &Options, journal: &str) -> Postgres {
        let mut head = String::new();
        cell(&options.node, &mut head);
        head.push('\t');
        cell(journal, &mut head);
        let names: Vec<_> = columns().map(|(name, _)| format!("\"{name}\"")).collect();
        let form = Form {
            node: options.node.clone(),
            journal: journal.to_owned(),
            numbers: if options.whole_numbers { "whole" } else { "masked" },
            tokens: options.token_key.clone().filter(|_| !options.whole_numbers),
            is_told: false,
        };
        Postgres {
            server: server.named(&format!("consentry mirror {}", options.name)),
            table: Table::new(table),
            form,
            head,
            columns: names.join(", "),
            client: None,
            months: BTreeSet::new(),
            rows: Vec::new(),
        }
    }

    pub fn take(&mut self, (record, time_us): (u64, u64), seam: &Seam, row: &Row<'_>) {
        let mut line = self.head.clone();
        match seam.previous {
            Some(previous) => line.push_str(&format!("\t{previous}")),
            None => line.push_str("\t\\N"),
        }
        line.push_str(&format!("\t\\\\x{}", hex(&seam.leaf)));
        for (_, value) in row.values() {
            line.push('\t');
            match value {
                Value::None => line.push_str("\\N"),
                Value::Number(number) => line.push_str(&number.to_string()),
                Value::Time(micros) => line.push_str(&time_text(*micros)),
                Value::Text(text) => cell(text, &mut line),
            }
        }
        line.push('\n');
        self.rows.push(CopyRow { record, month: month(time_us), line });
    }

    pub fn clear(&mut self) {
        self.rows.clear();
    }

    pub async fn deliver(&mut self) -> Result<Delivered, SinkFault> {
        if self.rows.is_empty() {
            return Ok(Delivered { durable: true, ..Delivered::default() });
        }
        let silent = || SinkFault::Down(format!("the server did not answer within {DELIVERY:?}"));
        let done = match timeout(DELIVERY, self.copy()).await {
            Ok(done) => done.map_err(|fault| SinkFault::Down(fault.to_string())),
            Err(_) => Err(silent()),
        };
        if done.is_err() {
            // The next delivery begins with a new connection, which knows nothing of this one.
            self.client = None;
            self.months.clear();
        }
        self.rows.clear();
        let rejected = done?;
        Ok(Delivered { durable: true, rejected })
    }

    /// Copies all rows; those that the server refuses for what is in them are found by halving.
    async fn copy(&mut self) -> Result<Vec<Rejected>, Fault> {
        self.connect().await?;
        self.make_partitions().await?;
        self.tell_form().await?;
        let (mut rejected, mut remade) = (Vec::new(), false);
        let mut ranges: Vec<Range<usize>> = vec![Range { start: 0, end: self.rows.len() }];
        while let Some(range) = ranges.pop() {
            let Err(refusal) = self.copy_rows(range.clone()).await else { continue };
            if !is_of_a_row(&refusal) {
                return Err(refusal);
            }
            if !remade {
                // A partition may have been dropped since.
                remade = true;
                self.months.clear();
                self.make_partitions().await?;
                ranges.push(range);
            } else if range.len() > 1 {
                let middle = range.start + range.len() / 2;
                ranges.extend([middle..range.end, range.start..middle]);
            } else if rejected.len() == REJECTED_MAX {
                return Err(refusal);
            } else if let Some(row) = self.rows.get(range.start) {
                let (record, line) = (row.record, row.line.clone());
                rejected.push(Rejected { record, why: refusal.to_string(), line });
            }
        }
        Ok(rejected)
    }

    async fn copy_rows(&mut self, range: Range<usize>) -> Result<(), Fault> {
        let rows = self.rows.get(range).unwrap_or_default();
        let text: String = rows.iter().map(|row| row.line.as_str()).collect();
        let Postgres { table, columns, client, .. } = self;
        let table = table.rows();
        let Some(client) = client else { return Err(lost()) };
        let transaction = client.transaction().await?;
        let copy = format!("COPY {INCOMING} ({columns}) FROM STDIN");
        let mut incoming = Box::pin(transaction.copy_in::<_, Bytes>(&copy).await?);
        incoming.send(Bytes::from(text)).await?;
        incoming.as_mut().finish().await?;
        let insert = format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM {INCOMING} ON CONFLICT DO NOTHING"
        );
        transaction.batch_execute(&insert).await?;
        Ok(transaction.commit().await?)
    }

    async fn connect(&mut self) -> Result<(), Fault> {
        if self.client.as_ref().is_some_and(|client| !client.is_closed()) {
            return Ok(());
        }
        self.months.clear();
        let mut client = self.server.connect().await?;
        let (table, journals) = (self.table.rows(), self.table.journals());
        let kinds: Vec<_> = columns().map(|(name, kind)| format!("\"{name}\" {kind}")).collect();
        let kinds = kinds.join(", ");
        let create = format!(
            "CREATE TABLE {table} ({kinds}, PRIMARY KEY (journal, record, time)) \
             PARTITION BY RANGE (time)"
        );
        make(&mut client, &table, &create).await?;
        let create = format!(
            "CREATE TABLE {journals} (node text NOT NULL, journal text NOT NULL, \
             record bigint NOT NULL, numbers text NOT NULL, tokens text, program text NOT NULL, \
             PRIMARY KEY (journal, record))"
        );
        make(&mut client, &journals, &create).await?;
        let known = "SELECT attname::text FROM pg_attribute \
                     WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped";
        let known = client.query(known, &[&table]).await?;
        let known: BTreeSet<String> = known.iter().filter_map(|row| row.try_get(0).ok()).collect();
        for (name, kind) in columns().filter(|(name, _)| !known.contains(*name)) {
            let add = format!("ALTER TABLE {table} ADD COLUMN IF NOT EXISTS \"{name}\" {kind}");
            client.batch_execute(&add).await?;
        }
        // Not LIKE the table: that would take the right to read it.
        let incoming =
            format!("CREATE TEMP TABLE consentry_incoming ({kinds}) ON COMMIT DELETE ROWS");
        client.batch_execute(&incoming).await?;
        self.client = Some(client);
        self.form.is_told = false;
        Ok(())
    }

    /// Says from which record on the rows are as they are now, unless that is said already.
    async fn tell_form(&mut self) -> Result<(), Fault> {
        let Postgres { client, form, table, rows, .. } = self;
        let (Some(client), Some(row)) = (client, rows.first()) else { return Ok(()) };
        if form.is_told {
            return Ok(());
        }
        let record = i64::try_from(row.record).unwrap_or(i64::MAX);
        let (journals, program) = (table.journals(), env!("CARGO_PKG_VERSION"));
        let Form { node, journal, numbers, tokens, .. } = &form;
        let before = format!(
            "SELECT node, numbers, tokens FROM {journals} WHERE journal = $1 AND record <= $2 \
             ORDER BY record DESC LIMIT 1"
        );
        let before = client.query_opt(&before, &[journal, &record]).await?;
        let is_same = before.is_some_and(|row| {
            row.try_get::<_, String>(0).ok().as_ref() == Some(node)
                && row.try_get::<_, String>(1).ok().as_deref() == Some(*numbers)
                && row.try_get::<_, Option<String>>(2).ok().as_ref() == Some(tokens)
        });
        if !is_same {
            let insert = format!(
                "INSERT INTO {journals} (node, journal, record, numbers, tokens, program) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING"
            );
            client.execute(&insert, &[node, journal, &record, numbers, tokens, &program]).await?;
        }
        form.is_told = true;
        Ok(())
    }

    /// Makes a partition for each month of the rows at hand that has none.
    async fn make_partitions(&mut self) -> Result<(), Fault> {
        let Postgres { client, months, rows, table, .. } = self;
        let Some(client) = client else { return Err(lost()) };
        let wanted: BTreeSet<Month> = rows.iter().map(|row| row.month).collect();
        for (year, month) in wanted.difference(months).copied().collect::<Vec<_>>() {
            let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            let (whole, partition) = (table.rows(), table.partition((year, month)));
            let create = format!(
                "CREATE TABLE {partition} PARTITION OF {whole} FOR VALUES \
                 FROM ('{year:04}-{month:02}-01 00:00:00+00') \
                 TO ('{next_year:04}-{next:02}-01 00:00:00+00');\n{}",
                indexes(&partition)
            );
            make(client, &partition, &create).await?;
            months.insert((year, month));
        }
        Ok(())
    }
}

/// Runs `create`, as one, unless there is a table of this name. Who may only write is not asked whether it could
/// make what is there. Another that makes it at the same time is in the way until it is through.
async fn make(client: &mut Connection, table: &str, create: &str) -> Result<(), Fault> {
    let mut tries = 0;
    loop {
        let found = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await?;
        if found.try_get(0)? {
            return Ok(());
        }
        let transaction = client.transaction().await?;
        let made = match transaction.batch_execute(create).await {
            Ok(()) => transaction.commit().await,
            Err(error) => transaction.rollback().await.and(Err(error)),
        };
        tries += 1;
        match made.map_err(Fault::from) {
            Err(fault) if tries < MAKE_TRIES && is_of_another(&fault) => {}
            made => return made,
        }
    }
}

/// Whether another makes the same table: it is there now (42P07), a name of it is (42710), its place among the
/// partitions is taken (42P17), it stands in the server's catalogue (23505), or it was in the way (40).
fn is_of_another(fault: &Fault) -> bool {
    let code = fault.code().unwrap_or_default();
    ["42P07", "42710", "42P17", "23505"].contains(&code) || fault.is_conflict()
}

/// Whether it is for what is in a row: classes 21, 22 and 23 of SQLSTATE, 54 (too large), and what a
/// trigger raises.
fn is_of_a_row(fault: &Fault) -> bool {
    let code = fault.code().unwrap_or_default();
    ["21", "22", "23", "54", "P0"].iter().any(|class| code.starts_with(class))
}

fn lost() -> Fault {
    Fault::Down("not connected".to_owned())
}

/// Appends a text as COPY's text format has it.
fn cell(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
}

fn month(time_us: u64) -> Month {
    let time =
        i64::try_from(time_us).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    let date = jiff::tz::Offset::UTC.to_datetime(time.unwrap_or(jiff::Timestamp::MAX)).date();
    (date.year(), date.month())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_and_months_are_as_the_server_reads_them() {
        for (text, expected) in [
            ("示例商城", "示例商城"),
            ("a\tb\nc\rd", "a\\tb\\nc\\rd"),
            ("\\N", "\\\\N"),
            ("\\.", "\\\\."),
        ] {
            let mut out = String::new();
            cell(text, &mut out);
            assert_eq!(out, expected);
        }
        for (time_us, expected) in [
            (0, (1970, 1)),
            (1_796_083_199_999_999, (2026, 11)),
            (1_796_083_200_000_000, (2026, 12)),
            (u64::MAX, (9999, 12)),
        ] {
            assert_eq!(month(time_us), expected, "{time_us}");
        }
    }
}
