//! `consentry load`.

use super::{Answer, Failure};

/// to be written
#[derive(clap::Args)]
pub struct Args {}

/// to be written
pub fn run(_args: Args) -> Result<Answer, Failure> {
    Ok(Answer::Yes)
}
