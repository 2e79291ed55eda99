//! `consentry audit archive`: what the running proxy does by itself, for a journal that none writes.

use serde_json::json;

use super::{Answer, Failure, Place};
use crate::archive::{Rewriter, Step};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// One JSON object a file.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let mut rewriter = Rewriter::open(&args.place.folder()?, None)?.with_keys(args.place.keys()?);
    let mut files = 0;
    loop {
        match rewriter.step()? {
            Step::Wrote { path, rows } => {
                files += 1;
                let path = path.display().to_string();
                match args.json {
                    true => println!("{}", json!({ "file": path, "rows": rows })),
                    false => println!("{path}  {rows} rows"),
                }
            }
            Step::More => {}
            Step::Rest => break,
        }
    }
    if !args.json {
        println!("{files} files written; every sealed segment whose messages are answered has one");
    }
    Ok(Answer::Yes)
}
