//! What can go wrong with the engine, without values.

use crate::postgres::Fault;

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
    /// More events than one chunk may have.
    #[error("an import's chunk has more than {0} events")]
    TooMany(usize),
    /// Event numbers are used up.
    #[error("the consent ledger is full: it has 2^40 events")]
    Full,
}

impl EngineFault {
    /// What an error means that came while COMMIT was on its way.
    pub(super) fn of_commit(error: tokio_postgres::Error) -> EngineFault {
        let fault = Fault::from(error);
        // Class 57 is the engine going down, 08 the connection, 40003 says itself that it does not know;
        // whatever else is answered to a statement undid the transaction.
        let is_undone = fault.code().is_some_and(|code| {
            !code.starts_with("57") && !code.starts_with("08") && code != "40003"
        });
        match is_undone {
            true => EngineFault::from(fault),
            false => EngineFault::Unknown(fault.to_string()),
        }
    }

    /// The database has no ledger.
    pub(in super::super) fn no_tables() -> EngineFault {
        let says = "is not there, or not whole: run `consentry consent migrate -c FILE`";
        EngineFault::Schema(says.to_owned())
    }
}

impl From<Fault> for EngineFault {
    fn from(fault: Fault) -> EngineFault {
        match fault.code() {
            // An undefined table or column.
            Some("42P01" | "42703") => EngineFault::no_tables(),
            // A lock that was not given in time.
            Some("55P03") => EngineFault::Busy,
            _ if fault.is_conflict() => EngineFault::Busy,
            _ => EngineFault::Down(fault.to_string()),
        }
    }
}

impl From<tokio_postgres::Error> for EngineFault {
    fn from(error: tokio_postgres::Error) -> EngineFault {
        Fault::from(error).into()
    }
}
