//! `consentry audit show`: one record.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::record::{fields, hex};
use super::{Answer, Failure, Place, access};
use crate::audit::{self, Kept, KeyRing, Reader, Record};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// The record's number.
    record: u64,
    /// An auditor's private key: to read what only auditors can.
    #[arg(long, value_name = "FILE")]
    auditor_key: Option<PathBuf>,
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
    access::note(&args.place, "show", &format!("record {}", args.record), args.unmask)?;
    let keys = args.place.keys_and(args.auditor_key.as_deref())?;
    match audit::show(&folder, args.record, &keys)? {
        Some(kept) => {
            let mut line = fields(&kept, args.unmask);
            if matches!(kept.record(), Record::Verdict(_) | Record::Bind(_)) {
                // By what it was judged: the record of these rules has the same digest.
                line["rules"] = (kept.rules != [0; 32]).then(|| hex(&kept.rules)).into();
            }
            if let Some(content) = content_of(&folder, &kept, &keys)? {
                line["content"] = fields(&content, args.unmask || args.auditor_key.is_some());
            }
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

/// What the message of a verdict says, where that is recorded.
fn content_of(folder: &Path, kept: &Kept, keys: &Arc<KeyRing>) -> Result<Option<Kept>, Failure> {
    let Record::Verdict(verdict) = kept.record() else { return Ok(None) };
    let mut reader = Reader::open_at(folder, kept.number + 1, "")?.with_keys(keys.clone());
    while let Some(entry) = reader.next()? {
        if entry.number > kept.number + audit::CONTENT_BEHIND_MAX {
            break;
        }
        if let Record::Content(content) = entry.record()
            && (content.session, content.sequence_number)
                == (verdict.session, verdict.sequence_number)
        {
            return Ok(Some(entry.keep()));
        }
    }
    Ok(None)
}
