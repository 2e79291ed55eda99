//! Which segments were purged: a file beside them, so that who reads the journal knows where it goes on.
//!
//! The file says nothing that a Purge record in the journal does not say too, and `verify` believes
//! only those: whoever removes a segment and writes this file is found.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::super::format::Chain;
use super::super::proof::{hex, replace, unhex_array};

/// The file in the journal's folder.
const FILE: &str = "purged.json";

/// A segment that was purged, as far as the chain needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purged {
    /// Its sequence number.
    pub sequence: u64,
    /// Number of its first record.
    pub first: u64,
    /// Number of the first record behind it.
    pub next: u64,
    /// Chain value before it: at the end of the segment before.
    pub previous: Chain,
    /// Chain value at its end.
    pub chain: Chain,
}

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::audit) struct PurgedFile {
    /// By sequence number, growing.
    pub segments: Vec<Purged>,
    /// A silence before this time, or a clock that was set back before it, was looked at by an operator, who
    /// said that the clock was right then.
    pub trusted_us: u64,
}

impl PurgedFile {
    /// Empty where there is no such file.
    pub fn read(journal: &Path) -> io::Result<PurgedFile> {
        let octets = match std::fs::read(journal.join(FILE)) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(PurgedFile::default());
            }
            Err(error) => return Err(error),
        };
        let read = || {
            let value: Value = serde_json::from_slice(&octets).ok()?;
            let segments = value.get("segments")?.as_array()?.iter().map(purged);
            let mut segments = segments.collect::<Option<Vec<Purged>>>()?;
            segments.sort_by_key(|one| one.sequence);
            Some(PurgedFile { segments, trusted_us: value.get("trusted_us")?.as_u64()? })
        };
        read().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "purged.json is not as it was written")
        })
    }

    /// Takes the place of the file before: whole and on the disk when this returns.
    pub fn write(&self, journal: &Path) -> io::Result<()> {
        let segments = self.segments.iter().map(|one| {
            json!({
                "sequence": one.sequence, "first": one.first, "next": one.next,
                "previous": hex(&one.previous), "chain": hex(&one.chain),
            })
        });
        let segments: Vec<Value> = segments.collect();
        let value = json!({ "segments": segments, "trusted_us": self.trusted_us });
        replace(&journal.join(FILE), format!("{value}\n").as_bytes())
    }

    /// Whether the segment that begins with record `first` was purged.
    pub fn has(&self, first: u64) -> bool {
        self.segments.iter().any(|one| one.first == first)
    }

    /// The segments that were purged between what ends as `at` says and the segment `sequence`, if
    /// they are all known; `at` then says where the last of them ends.
    pub fn bridge(&self, at: &mut (u64, u64, Chain), sequence: u64) -> Option<&[Purged]> {
        let from = self.segments.partition_point(|one| one.sequence < at.0);
        let until = self.segments.partition_point(|one| one.sequence < sequence);
        let run = self.segments.get(from..until)?;
        let mut end = *at;
        for one in run {
            if (one.sequence, one.first, one.previous) != end {
                return None;
            }
            end = (one.sequence + 1, one.next, one.chain);
        }
        if end.0 != sequence {
            return None;
        }
        *at = end;
        Some(run)
    }
}

fn purged(value: &Value) -> Option<Purged> {
    let number = |key: &str| value.get(key)?.as_u64();
    let chain = |key: &str| unhex_array(value.get(key)?.as_str()?);
    Some(Purged {
        sequence: number("sequence")?,
        first: number("first")?,
        next: number("next")?,
        previous: chain("previous")?,
        chain: chain("chain")?,
    })
}
