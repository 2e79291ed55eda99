//! `consentry audit verify`: does the whole chain hold?

use serde_json::json;

use super::super::record::hex;
use super::{Answer, Failure, Place};
use crate::audit::{self, ReadFault};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// One JSON object on one line.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let broken = |why: String| {
        match args.json {
            true => println!("{}", json!({ "whole": false, "why": why })),
            false => println!("broken: {why}"),
        }
        Ok(Answer::No)
    };
    let verified = match audit::verify(&args.place.folder()?) {
        Ok(verified) => verified,
        Err(ReadFault::Broken(fault)) => return broken(fault.to_string()),
        Err(other) => return Err(other.into()),
    };
    if verified.ending == audit::Ending::NextMissing {
        return broken("the last segment is sealed and the one after it is missing".to_owned());
    }
    let (segments, records, octets) = (verified.segments, verified.records, verified.octets);
    if args.json {
        let chain = hex(&verified.chain);
        let line = json!({ "whole": true, "records": records, "segments": segments,
            "octets": octets, "chain": chain, "sidecars": verified.sidecars.whole,
            "sidecars_missing": verified.sidecars.missing });
        println!("{line}");
    } else {
        println!("whole: {records} records in {segments} segments, {octets} octets");
        if verified.sidecars.missing > 0 {
            let missing = verified.sidecars.missing;
            println!(
                "keys of segments: {missing} destroyed or lost; what they sealed is unreadable"
            );
        }
    }
    Ok(Answer::Yes)
}
