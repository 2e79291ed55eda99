//! `consentry audit show`: one record.

use super::super::record::fields;
use super::{Answer, Failure, Place};
use crate::audit;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// The record's number.
    record: u64,
    /// One JSON object on one line.
    #[arg(long)]
    json: bool,
    /// Show numbers whole.
    #[arg(long)]
    unmask: bool,
}

/// Runs it.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let folder = args.place.folder()?;
    match audit::show(&folder, args.record, &args.place.keys()?)? {
        Some(kept) => {
            let line = fields(&kept, args.unmask);
            match args.json {
                true => println!("{line}"),
                false => println!("{line:#}"),
            }
            Ok(Answer::Yes)
        }
        None => {
            println!("there is no record {} in {}", args.record, folder.display());
            Ok(Answer::No)
        }
    }
}
