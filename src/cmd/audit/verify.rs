//! `consentry audit verify`: does the whole chain hold, and is it what was signed? Or: does a proof
//! hold, with nothing at hand but the public key?

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::record::{fields, hex};
use super::nodes::{self, Held, Source};
use super::{Answer, Failure, Place};
use crate::archive::bundle::{Wrong, check, check_nodes};
use crate::audit::keys::{self, PublicKey};
use crate::audit::proof::{Proof, Signed};
use crate::audit::{self, Against, ReadFault, Verified};

/// Octets of the longest file of proofs.
const PROOFS_OCTETS_MAX: u64 = 256 << 20;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// A public key that may have signed, in PEM. Without one, those of the folder of keys.
    #[arg(long, value_name = "PUB")]
    key: Vec<PathBuf>,
    /// Holds the journal against what its node mirrored: a journal that was written anew, with its own key too, is
    /// found.
    #[command(flatten)]
    source: Source,
    /// A checkpoint that was kept elsewhere: what it says must be in the journal.
    #[arg(long, value_name = "FILE", conflicts_with = "proof")]
    checkpoint: Vec<PathBuf>,
    /// Checks the proofs in this file instead, one a line as `audit prove` prints them. Needs --key.
    #[arg(long, value_name = "FILE", requires = "key",
        conflicts_with_all = ["config", "path", "url", "mirror"])]
    proof: Option<PathBuf>,
    /// Checks what `audit export` made in this folder instead. Needs --key.
    #[arg(long, value_name = "DIR", requires = "key",
        conflicts_with_all = ["config", "path", "proof", "checkpoint", "url", "mirror"])]
    bundle: Option<PathBuf>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Show the numbers of a proved record whole.
    #[arg(long, requires = "proof")]
    unmask: bool,
}

/// Runs it.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    match (&args.proof, &args.bundle) {
        (Some(file), _) => proofs(args, file),
        (None, Some(folder)) => bundle(args, folder),
        (None, None) => journal(args),
    }
}

fn journal(args: &Args) -> Result<Answer, Failure> {
    let broken = |why: String| {
        match args.json {
            true => println!("{}", json!({ "whole": false, "why": why })),
            false => println!("broken: {why}"),
        }
        Ok(Answer::No)
    };
    let (folder, keys_folder) = args.place.folders()?;
    let keys = match args.key.is_empty() {
        true => keys::signers(&keys_folder)?,
        false => given(&args.key)?,
    };
    let checkpoints = args.checkpoint.iter().map(|file| Signed::read(file));
    let checkpoints = checkpoints.collect::<Result<Vec<_>, _>>()?;
    let held = match args.source.is_given() {
        true => match nodes::verify(
            &args.place,
            &args.source,
            (&folder, &keys),
            &checkpoints,
            args.json,
        )? {
            Ok(held) => Some(held),
            Err(answer) => return Ok(answer),
        },
        false => None,
    };
    let against = Against { keys: &keys, checkpoints: &checkpoints };
    let verified = match &held {
        Some(held) => held.verified.clone(),
        None => match audit::verify_against(&folder, &against) {
            Ok(verified) => verified,
            Err(ReadFault::Broken(fault)) => return broken(fault.to_string()),
            Err(other) => return Err(other.into()),
        },
    };
    if verified.ending == audit::Ending::NextMissing {
        return broken("the last segment is sealed and the one after it is missing".to_owned());
    }
    if !args.key.is_empty() && verified.signed_through == 0 {
        return broken("nothing in it is signed".to_owned());
    }
    match args.json {
        true => {
            let mut object = whole(&verified);
            if let Some(held) = &held {
                object["mirrored"] = held.to_json();
            }
            println!("{object}");
        }
        false => {
            println!("{}", sentence(&verified, keys.is_empty()));
            for said in held.iter().flat_map(Held::sentences) {
                println!("{said}");
            }
            let missing = verified.sidecars.missing;
            if missing > 0 {
                println!(
                    "keys of segments: {missing} destroyed or lost; what they sealed is unreadable"
                );
            }
        }
    }
    Ok(Answer::Yes)
}

fn whole(verified: &Verified) -> Value {
    json!({
        "whole": true,
        "records": verified.records,
        "segments": verified.segments,
        "octets": verified.octets,
        "chain": hex(&verified.chain),
        "sidecars": verified.sidecars.whole,
        "sidecars_missing": verified.sidecars.missing,
        "purged_segments": verified.purged,
        "kept_records": verified.kept,
        "checkpoints": verified.checkpoints,
        "signed_through": (verified.signed_through > 0).then_some(verified.signed_through),
    })
}

fn sentence(verified: &Verified, keyless: bool) -> String {
    let Verified { segments, records, octets, checkpoints, signed_through, .. } = verified;
    let signed = match (signed_through, checkpoints) {
        (0, 0) => String::new(),
        (0, _) if keyless => format!("; {checkpoints} checkpoints, no key to check them with"),
        (0, _) => String::new(),
        _ => format!("; signed up to record {signed_through} by {checkpoints} checkpoints"),
    };
    let purged = match (verified.purged, verified.kept) {
        (0, _) => String::new(),
        (purged, kept) => format!("; {purged} segments purged, {kept} records of them kept"),
    };
    format!("whole: {records} records in {segments} segments, {octets} octets{purged}{signed}")
}

fn given(files: &[PathBuf]) -> Result<Vec<PublicKey>, Failure> {
    let keys = files.iter().map(|file| PublicKey::read(file));
    Ok(keys.collect::<Result<_, _>>()?)
}

/// Checks an export with nothing but the keys.
fn bundle(args: &Args, folder: &Path) -> Result<Answer, Failure> {
    let keys = given(&args.key)?;
    match check_nodes(folder, &keys) {
        Ok(None) => {}
        Ok(Some(checked)) => {
            let (rows, key, complete) = (checked.rows, hex(&checked.key), checked.is_complete);
            match args.json {
                true => println!(
                    "{}",
                    json!({ "whole": true, "rows": rows, "key": key, "from": "mirror", "complete": complete })
                ),
                false => println!(
                    "whole: {rows} rows of a mirror, {}, signed by {key}; no row is proved by a journal",
                    if complete { "complete" } else { "with gaps or an open end" }
                ),
            }
            return Ok(Answer::Yes);
        }
        Err(Wrong::Broken(why)) => {
            match args.json {
                true => println!("{}", json!({ "whole": false, "why": why })),
                false => println!("broken: {why}"),
            }
            return Ok(Answer::No);
        }
        Err(other) => return Err(other.into()),
    }
    match check(folder, &keys) {
        Ok(checked) => {
            let (rows, records, key) = (checked.rows, checked.records, hex(&checked.key));
            match args.json {
                true => println!(
                    "{}",
                    json!({ "whole": true, "rows": rows, "records": records, "key": key,
                        "asked": checked.asked })
                ),
                false => println!("whole: {rows} rows on {records} records, signed by {key}"),
            }
            Ok(Answer::Yes)
        }
        Err(Wrong::Broken(why)) => {
            match args.json {
                true => println!("{}", json!({ "whole": false, "why": why })),
                false => println!("broken: {why}"),
            }
            Ok(Answer::No)
        }
        Err(other) => Err(other.into()),
    }
}

/// Checks every proof of a file and tells what each proves.
fn proofs(args: &Args, file: &Path) -> Result<Answer, Failure> {
    let keys = given(&args.key)?;
    let text = read(file)?;
    let mut answer = Answer::Yes;
    let mut checked = 0;
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let name = file.display();
        let value = serde_json::from_str::<Value>(text)
            .map_err(|error| Failure(format!("{name} line {line} is not JSON: {error}")))?;
        checked += 1;
        let proof = Proof::from_json(&value);
        let proved = proof.and_then(|proof| proof.check(&keys).map(|()| proof));
        match (proved, args.json) {
            (Ok(proof), true) => println!("{}", holds(&proof, args.unmask)),
            (Ok(proof), false) => println!("holds: {:#}", holds(&proof, args.unmask)),
            (Err(why), json) => {
                answer = Answer::No;
                match json {
                    true => println!(
                        "{}",
                        json!({ "holds": false, "line": line, "why": why.to_string() })
                    ),
                    false => println!("broken: {name} line {line}: {why}"),
                }
            }
        }
    }
    if checked == 0 {
        return Err(Failure(format!("{} holds no proof", file.display())));
    }
    Ok(answer)
}

/// What a proof proves: the record, and when and by whom it was signed at the latest.
fn holds(proof: &Proof, unmask: bool) -> Value {
    let checkpoint = &proof.checkpoint.checkpoint;
    let mut record = fields(&proof.kept(), unmask);
    // Which rules were in force is in another record: what names the article is not proved here.
    if let Some(record) = record.as_object_mut() {
        record.retain(|key, _| !["rule_set", "article"].contains(&key.as_str()));
    }
    json!({
        "holds": true,
        "record": record,
        "signed": super::super::shown::time(checkpoint.time_us),
        "key": hex(&checkpoint.key),
    })
}

fn read(file: &Path) -> Result<String, Failure> {
    use std::io::Read;
    let mut text = String::new();
    let read = std::fs::File::open(file)
        .and_then(|open| open.take(PROOFS_OCTETS_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(Failure(format!("{} cannot be read: {error}", file.display()))),
    }
}
