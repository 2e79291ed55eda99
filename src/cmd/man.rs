//! `consentry man`: the manual pages.

use std::path::PathBuf;

use super::{Answer, Failure};

/// Writes the manual pages of this version, one a command: consentry.1, consentry-run.1 and so on.
#[derive(clap::Args)]
pub struct Args {
    /// The folder they are written to; made when it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes them in place of what is there.
pub fn run(args: Args, command: clap::Command) -> Result<Answer, Failure> {
    let failed = |error: std::io::Error| {
        Failure(format!("the pages cannot be written to {}: {error}", args.dir.display()))
    };
    std::fs::create_dir_all(&args.dir).map_err(failed)?;
    // The pages are there instead of `consentry help COMMAND`.
    clap_mangen::generate_to(command.disable_help_subcommand(true), &args.dir).map_err(failed)?;
    Ok(Answer::Yes)
}
