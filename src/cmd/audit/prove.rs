//! `consentry audit prove`: what proves a record to whoever has the public key.

use std::path::PathBuf;

use super::{Answer, Failure, Place};
use crate::audit::proof::{ProveFault, Prover};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// The numbers of the records, at most 10000.
    #[arg(required = true, num_args = 1..=10_000)]
    records: Vec<u64>,
    /// Gives the key of each record with it, and of no other record: its numbers can be read then.
    #[arg(long)]
    disclose: bool,
    /// An auditor's private key: to disclose what only auditors can read.
    #[arg(long, value_name = "FILE", requires = "disclose")]
    auditor_key: Option<PathBuf>,
}

/// Prints one JSON object a record, for `audit verify --proof`; no, where there is no such record or
/// nothing signed covers it yet.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let folder = args.place.folder()?;
    let keys = match args.disclose {
        true => Some(args.place.keys_and(args.auditor_key.as_deref())?),
        false => None,
    };
    let mut prover = Prover::new(&folder);
    let mut answer = Answer::Yes;
    for record in &args.records {
        match prover.prove(*record) {
            Ok(proof) => match &keys {
                Some(keys) => println!("{}", proof.disclose(&folder, keys)?.to_json()),
                None => println!("{}", proof.to_json()),
            },
            Err(why @ (ProveFault::NotThere(_) | ProveFault::NotSigned(_))) => {
                eprintln!("{why}");
                answer = Answer::No;
            }
            Err(why) => return Err(why.into()),
        }
    }
    Ok(answer)
}
