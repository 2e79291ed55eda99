//! What can go wrong with the engine. What a server says of a row may hold its values: only codes and
//! names of constraints and columns go into words.

use std::error::Error;

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

/// Why the engine did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineFault {
    /// It does not answer, or refuses. Nothing was written.
    #[error("the engine of the consent ledger: {0}")]
    Down(String),
    /// The connection ended while it committed: all was written, or nothing. Ask
    /// [`super::Engine::position`] or [`super::Engine::import_progress`], which say which.
    #[error("the engine of the consent ledger: {0}; whether the last batch was taken is not known")]
    Unknown(String),
    /// Others kept it from being written, again and again. Nothing was.
    #[error("the engine of the consent ledger: too many others write at once; try again")]
    Busy,
    /// The tables are not those of this version.
    #[error("the consent ledger in the database {0}")]
    Schema(String),
    /// A row is not as it was written.
    #[error("a row of {0} is damaged: restore the database from its backup")]
    Malformed(&'static str),
    /// The engine has less of an outbox than the batch goes on from: it went back, as at the loss of a
    /// primary whose last transactions no standby had. Deliver from the position after this one.
    #[error("the engine has this node's events up to position {position} only")]
    Behind {
        /// The last position that it has.
        position: u64,
    },
    /// Another import of the same file has gone on meanwhile, or this one was taken already.
    #[error("this import is not where it was: does another one of the same file run?")]
    Elsewhere,
    /// Event numbers are used up.
    #[error("the consent ledger is full: it has 2^40 events")]
    Full,
}

/// How a connection may look at an error.
pub(super) trait Said {
    /// The engine undid the transaction because of others, not because of what was in it.
    fn is_conflict(&self) -> bool;
}

impl Said for tokio_postgres::Error {
    fn is_conflict(&self) -> bool {
        let conflicts = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
        ];
        self.code().is_some_and(|code| conflicts.contains(code))
    }
}

impl EngineFault {
    /// What an error means that came while COMMIT was on its way.
    pub(super) fn of_commit(error: &tokio_postgres::Error) -> EngineFault {
        // Class 57 is the engine going down, 40003 says itself that it does not know; whatever else it
        // answers to a statement undid the transaction.
        let is_told = error.code().is_some_and(|code| {
            !code.code().starts_with("57")
                && !code.code().starts_with("08")
                && *code != SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
        });
        match is_told {
            true => EngineFault::of(error),
            false => EngineFault::Unknown(shown(error)),
        }
    }

    fn of(error: &tokio_postgres::Error) -> EngineFault {
        if error.is_conflict() {
            return EngineFault::Busy;
        }
        let missing = [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN];
        match error.code() {
            Some(code) if missing.contains(code) => EngineFault::no_tables(),
            _ => EngineFault::Down(shown(error)),
        }
    }

    /// The database has no ledger.
    pub(crate) fn no_tables() -> EngineFault {
        let says = "is not there, or not whole: run `consentry consent migrate -c FILE`";
        EngineFault::Schema(says.to_owned())
    }
}

impl From<tokio_postgres::Error> for EngineFault {
    fn from(error: tokio_postgres::Error) -> EngineFault {
        EngineFault::of(&error)
    }
}

impl From<PoolError> for EngineFault {
    fn from(error: PoolError) -> EngineFault {
        match error {
            PoolError::Backend(error) => EngineFault::of(&error),
            PoolError::Timeout(_) => {
                EngineFault::Down("no connection became free in time".to_owned())
            }
            PoolError::Closed => EngineFault::Down("its connections are closed".to_owned()),
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                EngineFault::Down("a connection could not be set up".to_owned())
            }
        }
    }
}

/// An error without the values that a server may put into its words.
pub(crate) fn shown(error: &tokio_postgres::Error) -> String {
    let Some(said) = error.as_db_error() else {
        return match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
    };
    let code = said.code().code();
    match (said.constraint(), said.column()) {
        (Some(constraint), _) => {
            format!("the server says SQLSTATE {code}, constraint {constraint}")
        }
        (None, Some(column)) => format!("the server says SQLSTATE {code}, column {column}"),
        (None, None) => format!("the server says SQLSTATE {code}"),
    }
}
