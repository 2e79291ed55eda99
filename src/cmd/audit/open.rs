//! `consentry audit open`: what messages say, from rows that a mirror delivered with their contents.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::record::fields;
use super::listing::Listing;
use super::{Answer, Failure};
use crate::archive::unhex;
use crate::audit::keys::AuditorKey;
use crate::audit::sealed::ContentKey;

/// Octets of the longest row: a content of 60 000 octets in hexadecimal, and the rest.
const ROW_OCTETS_MAX: u64 = 1 << 18;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The auditor's private key.
    #[arg(long, value_name = "FILE")]
    auditor_key: PathBuf,
    /// Rows as JSON objects, one a line, the keys of a segment before its contents; without any, standard
    /// input.
    rows: Vec<PathBuf>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Shows every content that this auditor can read; no, where there is none.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let auditor = AuditorKey::read(&args.auditor_key)?;
    let mut opening =
        Opening { auditor, keys: BTreeMap::new(), listing: Listing::endless(args.json), closed: 0 };
    if args.rows.is_empty() {
        opening.read(Path::new("standard input"), io::stdin().lock())?;
    }
    for path in &args.rows {
        let file = File::open(path);
        let file = file.map_err(|error| Failure(format!("{}: {error}", path.display())))?;
        opening.read(path, BufReader::new(file))?;
    }
    let Opening { listing, closed, .. } = opening;
    let answer = listing.finish()?;
    if closed > 0 {
        eprintln!(
            "{closed} contents are not open to this auditor, or the keys of their segments were not among the rows"
        );
    }
    Ok(answer)
}

struct Opening {
    auditor: AuditorKey,
    /// Keys of contents by journal and first record of their segment; none: not for this auditor.
    keys: BTreeMap<(String, u64), Option<ContentKey>>,
    listing: Listing,
    closed: u64,
}

impl Opening {
    fn read(&mut self, path: &Path, mut from: impl BufRead) -> Result<(), Failure> {
        let name = path.display();
        let mut line = String::new();
        for at in 1.. {
            line.clear();
            let read = from.by_ref().take(ROW_OCTETS_MAX).read_line(&mut line);
            if read.map_err(|error| Failure(format!("{name}: {error}")))? == 0 {
                break;
            }
            let row: Value = serde_json::from_str(&line)
                .map_err(|error| Failure(format!("{name} line {at} is no row: {error}")))?;
            if self.take(&row).is_none() {
                return Err(Failure(format!("{name} line {at} is no row of a mirror")));
            }
        }
        Ok(())
    }

    /// Looks at a row; none if it is none.
    fn take(&mut self, row: &Value) -> Option<()> {
        let record = row.get("record")?.as_u64()?;
        let journal = row.get("journal")?.as_str()?.to_owned();
        let Some(sealed) = row.get("sealed_hex").filter(|sealed| !sealed.is_null()) else {
            return Some(());
        };
        let sealed = unhex(sealed.as_str()?)?;
        match row.get("kind")?.as_str()? {
            "keys" => {
                let key = ContentKey::open(&sealed, record, &self.auditor);
                self.keys.insert((journal, record), key);
            }
            "content" => {
                let before = self.keys.range((journal.clone(), 0)..=(journal, record)).next_back();
                let key = before.and_then(|(_, key)| key.as_ref());
                match key.and_then(|key| key.read(record, &sealed)) {
                    Some(kept) => _ = self.listing.push(&fields(&kept, true)),
                    None => self.closed += 1,
                }
            }
            _ => {}
        }
        Some(())
    }
}
