//! `consentry consent migrate`: the tables of the database that `[consent] url` names.

use std::path::PathBuf;
use std::time::Duration;

use super::super::{Answer, Failure, knowledge, ledger};
use super::place::print;
use crate::config;
use crate::consent::shared::Engine;

/// How long a connection may be waited for; there is one.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub(super) struct Args {
    /// The consentry.toml whose [consent] url is meant.
    #[arg(short, long, value_name = "FILE", default_value = "consentry.toml")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let config = knowledge::load_config(&args.config)?;
    let config::Place::Shared(shared) = &config.consent.place else {
        let says = "[consent] names a folder, which needs no migration: write url for a database";
        return Err(Failure(says.to_owned()));
    };
    let engine = Engine::new(ledger::database(shared)?.pool(1, PATIENCE)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let did = runtime.block_on(engine.migrate())?;
    let said: String = did.iter().map(|did| format!("{did}\n")).collect();
    print(&said)?;
    Ok(Answer::Yes)
}
