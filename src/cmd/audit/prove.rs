//! `consentry audit prove`: what proves a record to whoever has the public key.

use super::{Answer, Failure, Place};
use crate::audit::proof::{ProveFault, Prover};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// The numbers of the records, at most 10000.
    #[arg(required = true, num_args = 1..=10_000)]
    records: Vec<u64>,
}

/// Prints one JSON object a record, for `audit verify --proof`; no, where there is no such record or
/// nothing signed covers it yet.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let mut prover = Prover::new(&args.place.folder()?);
    let mut answer = Answer::Yes;
    for record in &args.records {
        match prover.prove(*record) {
            Ok(proof) => println!("{}", proof.to_json()),
            Err(why @ (ProveFault::NotThere(_) | ProveFault::NotSigned(_))) => {
                eprintln!("{why}");
                answer = Answer::No;
            }
            Err(why) => return Err(why.into()),
        }
    }
    Ok(answer)
}
