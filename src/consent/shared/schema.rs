//! The tables of everything that nodes share, their version, and how they get there.
//!
//! ```text
//! consentry_schema            id 1 | version, parts: of the partitioned tables, 0 = they are whole
//! consentry_consent_head      id 1 | event, change, names, keywords: the last number given of each
//!                             pairs, granted, revoked, reviewed, asked, sent: how many there are
//! consentry_consent_names     kind e|s, number | name
//! consentry_consent_pairs     key | value              key: PairKey with its sign bit flipped
//! consentry_consent_events    key, number | value      values: the octets of consent::format
//! consentry_consent_changes   number | stamp, key, value, at (us): each pair that a transaction changed
//! consentry_consent_nodes     node, outbox | position, seen
//! consentry_consent_imports   key | progress (JSON)
//! consentry_consent_keywords  number | code, keyword
//! consentry_consent_ids       id (16 octets) | told: of events that streams told
//! consentry_members, consentry_rates, consentry_sweeps: of the room `cluster`
//! ```
//!
//! A version N works with the tables of version N and N + 1: so the tables are migrated first, while
//! nodes of the old version run, then one node after the other. Hence what a step may do: add tables, add
//! columns that have a default, widen; take away only what version N no longer touches.
//!
//! A step is a row of statements, each of which may be run again: no transaction holds them together, as
//! not every engine has one for them. A migration that was cut off, or that runs twice at once, ends as
//! one that ran once. Where an engine does not know `PARTITION BY HASH`, or a table of that name is there
//! without it (an operator made it, distributed in the engine's own way), it stays one table.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::engine::EngineFault;
use crate::postgres::Lent;

/// The version of the tables that this program is made for. It works with the next one too.
pub const VERSION: i32 = 1;

/// Parts of a table that is partitioned.
const PARTS: u32 = 16;

/// How often a statement is run, where others are in its way: half a minute, about.
const TRIES_MAX: u32 = 40;

/// How long until it is run again.
const AGAIN: Duration = Duration::from_millis(150);

/// What leads to a version.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The version that the tables have after it.
    pub version: i32,
    /// What it brings, for whoever runs it.
    pub brings: &'static str,
    /// What is to be done, in this order.
    pub make: &'static [Make],
}

/// A thing to be made, unless it is there.
#[derive(Clone, Copy, Debug)]
pub enum Make {
    /// A statement that may be run again.
    Run(&'static str),
    /// A table in parts.
    Partitioned {
        /// Its name.
        table: &'static str,
        /// Its columns and primary key, without parentheses.
        columns: &'static str,
        /// The column by which it is partitioned.
        by: &'static str,
    },
}

use Make::{Partitioned, Run};

/// Every version's step.
pub const STEPS: &[Step] = &[Step {
    version: 1,
    brings: "the consent ledger",
    make: &[
        Run("CREATE TABLE IF NOT EXISTS consentry_consent_head (id smallint PRIMARY KEY, \
             event bigint NOT NULL, change bigint NOT NULL, names bigint NOT NULL, \
             keywords bigint NOT NULL, pairs bigint NOT NULL, granted bigint NOT NULL, \
             revoked bigint NOT NULL, reviewed bigint NOT NULL, asked bigint NOT NULL, \
             sent bigint NOT NULL)"),
        Run("CREATE TABLE IF NOT EXISTS consentry_consent_names (kind text NOT NULL, \
             number integer NOT NULL, name text NOT NULL, PRIMARY KEY (kind, number), \
             UNIQUE (kind, name))"),
        Partitioned {
            table: "consentry_consent_pairs",
            columns: "key bigint NOT NULL, value bytea NOT NULL, PRIMARY KEY (key)",
            by: "key",
        },
        Partitioned {
            table: "consentry_consent_events",
            columns: "key bigint NOT NULL, number bigint NOT NULL, value bytea NOT NULL, \
                      PRIMARY KEY (key, number)",
            by: "key",
        },
        Run("CREATE TABLE IF NOT EXISTS consentry_consent_changes (number bigint PRIMARY KEY, \
             stamp bigint NOT NULL, key bigint NOT NULL, value bytea NOT NULL, \
             at bigint NOT NULL)"),
        Run("CREATE TABLE IF NOT EXISTS consentry_consent_nodes (node text NOT NULL, \
             outbox bigint NOT NULL, position bigint NOT NULL, seen timestamptz NOT NULL, \
             PRIMARY KEY (node, outbox))"),
        Run("CREATE TABLE IF NOT EXISTS consentry_consent_imports (key bytea PRIMARY KEY, \
             progress text NOT NULL)"),
        Run("CREATE TABLE IF NOT EXISTS consentry_consent_keywords (number bigint PRIMARY KEY, \
             code text NOT NULL, keyword text NOT NULL, UNIQUE (code, keyword))"),
        Run("CREATE TABLE IF NOT EXISTS consentry_consent_ids (id bytea PRIMARY KEY, \
             told timestamptz NOT NULL)"),
        Run("CREATE INDEX IF NOT EXISTS consentry_consent_ids_told \
             ON consentry_consent_ids (told)"),
        Run("CREATE TABLE IF NOT EXISTS consentry_members (node text PRIMARY KEY, \
             seen bigint NOT NULL, has_left boolean NOT NULL)"),
        Run("CREATE TABLE IF NOT EXISTS consentry_rates (provider text PRIMARY KEY, \
             empty_at bigint NOT NULL)"),
        Run("CREATE TABLE IF NOT EXISTS consentry_sweeps (node text NOT NULL, \
             turn bigint NOT NULL, told bytea NOT NULL, PRIMARY KEY (node, turn))"),
        // A change before all others, under a stamp of this ledger: what the first poll goes on from.
        Run("INSERT INTO consentry_consent_changes (number, stamp, key, value, at) \
             SELECT 0, (random() * 9007199254740992)::bigint, 0, ''::bytea, 0 \
             WHERE NOT EXISTS (SELECT 1 FROM consentry_consent_changes) \
             ON CONFLICT (number) DO NOTHING"),
        Run("INSERT INTO consentry_consent_head VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) \
             ON CONFLICT (id) DO NOTHING"),
    ],
}];

/// What a migration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Did {
    /// Nothing: the tables had this version already.
    Nothing(i32),
    /// It went up to this version, which brings this.
    Reached(i32, &'static str),
    /// A table is not partitioned: the engine does not do it, or the table was there without.
    Whole(&'static str),
    /// The tables are of a later version than this program makes; it works with them.
    Later(i32),
}

impl std::fmt::Display for Did {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Did::Nothing(version) => write!(f, "nothing to do: the tables have version {version}"),
            Did::Reached(version, brings) => write!(f, "version {version}: {brings}"),
            Did::Whole(table) => write!(f, "{table} is one table, without hash partitions"),
            Did::Later(version) => write!(
                f,
                "nothing to do: the tables have version {version}, later than this program's {VERSION}"
            ),
        }
    }
}

/// Whether this program works with tables of a version.
pub(super) fn suits(version: Option<i32>) -> Result<(), EngineFault> {
    let says = match version {
        None => return Err(EngineFault::no_tables()),
        Some(version) if version == VERSION || version == VERSION + 1 => return Ok(()),
        Some(version) if version < VERSION => format!(
            "has version {version} and this program needs {VERSION}: run `consentry consent migrate -c FILE`"
        ),
        Some(version) => format!(
            "has version {version} and this program knows {VERSION} and {}: install a later release",
            VERSION + 1
        ),
    };
    Err(EngineFault::Schema(says))
}

/// The version of the tables; `None` when there are none.
pub(super) async fn version(lent: &Lent) -> Result<Option<i32>, EngineFault> {
    let asked = "SELECT version FROM consentry_schema WHERE id = 1";
    match lent.query_opt(asked, &[]).await {
        Ok(None) => Ok(None),
        Ok(Some(row)) => Ok(Some(row.try_get(0)?)),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the partitioned tables are so.
pub(super) async fn in_parts(lent: &Lent) -> Result<bool, EngineFault> {
    let row = lent.query_opt("SELECT parts FROM consentry_schema WHERE id = 1", &[]).await?;
    let parts: i32 = row.ok_or_else(EngineFault::no_tables)?.try_get(0)?;
    Ok(parts > 0)
}

/// Brings the tables to the last of the steps' versions. The connection is no good for anything else
/// afterwards.
pub(super) async fn migrate(lent: &Lent, steps: &[Step]) -> Result<Vec<Did>, EngineFault> {
    // A statement that waits for a table keeps everybody waiting who comes after it: rather it comes again.
    run(lent, "SET lock_timeout = '500ms'").await?;
    run(
        lent,
        "CREATE TABLE IF NOT EXISTS consentry_schema (id smallint PRIMARY KEY, \
         version integer NOT NULL, parts integer NOT NULL)",
    )
    .await?;
    run(lent, "INSERT INTO consentry_schema VALUES (1, 0, 0) ON CONFLICT (id) DO NOTHING").await?;
    let found = version(lent).await?.ok_or_else(EngineFault::no_tables)?;
    let mut did = Vec::new();
    for step in steps.iter().filter(|step| step.version > found) {
        for make in step.make {
            match make {
                Run(sql) => run(lent, sql).await?,
                Partitioned { table, columns, by } => {
                    if partitioned(lent, table, columns, by).await? {
                        run(
                            lent,
                            &format!("UPDATE consentry_schema SET parts = {PARTS} WHERE id = 1"),
                        )
                        .await?;
                    } else {
                        did.push(Did::Whole(table));
                    }
                }
            }
        }
        let reached = format!(
            "UPDATE consentry_schema SET version = {0} WHERE id = 1 AND version < {0}",
            step.version
        );
        run(lent, &reached).await?;
        did.push(Did::Reached(step.version, step.brings));
    }
    if did.is_empty() {
        let last = steps.iter().map(|step| step.version).max().unwrap_or(0);
        did.push(if found > last { Did::Later(found) } else { Did::Nothing(found) });
    }
    Ok(did)
}

/// Runs a statement, again while another migration is in its way.
async fn run(lent: &Lent, sql: &str) -> Result<(), EngineFault> {
    try_run(lent, sql).await?.map_err(EngineFault::from)
}

/// The same; what the engine says against the statement itself is left to the caller.
async fn try_run(lent: &Lent, sql: &str) -> Result<Result<(), tokio_postgres::Error>, EngineFault> {
    let mut tries = 1;
    loop {
        let error = match lent.batch_execute(sql).await {
            Ok(()) => return Ok(Ok(())),
            Err(error) => error,
        };
        // IF NOT EXISTS looks before it makes: two at once may both find nothing. Then the one that
        // comes second hears that the name, or its row in a catalogue, is there.
        let in_the_way = [
            SqlState::UNIQUE_VIOLATION,
            SqlState::DUPLICATE_TABLE,
            SqlState::DUPLICATE_OBJECT,
            SqlState::DUPLICATE_COLUMN,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            // "tuple concurrently updated" has no code of its own.
            SqlState::INTERNAL_ERROR,
        ];
        if tries >= TRIES_MAX || !error.code().is_some_and(|code| in_the_way.contains(code)) {
            return Ok(Err(error));
        }
        tries += 1;
        tokio::time::sleep(AGAIN).await;
    }
}

/// Makes a table in parts; whether it has parts.
async fn partitioned(
    lent: &Lent,
    table: &str,
    columns: &str,
    by: &str,
) -> Result<bool, EngineFault> {
    let create = format!("CREATE TABLE IF NOT EXISTS {table} ({columns})");
    if let Err(error) = try_run(lent, &format!("{create} PARTITION BY HASH ({by})")).await? {
        if !is_unknown(&error) {
            return Err(error.into());
        }
        run(lent, &create).await?;
        return Ok(false);
    }
    for part in 0..PARTS {
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {table}_p{part:02} PARTITION OF {table} \
             FOR VALUES WITH (MODULUS {PARTS}, REMAINDER {part})"
        );
        match try_run(lent, &create).await? {
            Ok(()) => {}
            // The table was there, and is one.
            Err(error) if part == 0 && is_unknown(&error) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Whether an engine says that it does not do such a thing, or not with this table.
fn is_unknown(error: &tokio_postgres::Error) -> bool {
    let unknown = [
        SqlState::FEATURE_NOT_SUPPORTED,
        SqlState::SYNTAX_ERROR,
        SqlState::INVALID_OBJECT_DEFINITION,
        SqlState::WRONG_OBJECT_TYPE,
    ];
    error.code().is_some_and(|code| unknown.contains(code))
}
