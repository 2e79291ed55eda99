//! Legal holds: what must not be purged while somebody still needs it.
//!
//! A hold is set and lifted by a record in the journal; the file beside it holds those in force. A hold
//! names no number: one for a person's records lists the segments that had them when it was set.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::super::proof::replace;

/// The file in the journal's folder.
const FILE: &str = "holds.json";
/// Holds in force at once.
pub const HOLDS_MAX: usize = 256;
/// Segments that one hold may list.
pub const HOLD_SEGMENTS_MAX: usize = 4096;
/// The end of a hold that has none, microseconds since the Unix epoch.
pub const NO_END_US: u64 = u64::MAX;
/// Octets of a reason, and of who set it.
pub const HOLD_TEXT_OCTETS_MAX: usize = 255;

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its number, from 1, never given again in a journal.
    pub id: u64,
    /// Segments with a record not before this time are kept, microseconds since the Unix epoch...
    pub from_us: u64,
    /// ...and before this one. Equal to `from_us` where only `segments` count.
    pub until_us: u64,
    /// First records of segments that are kept whatever their time.
    pub segments: Vec<u64>,
    /// Why.
    pub reason: String,
    /// Who set it.
    pub by: String,
    /// When it was set.
    pub set_us: u64,
}

impl Hold {
    /// Whether a segment is kept by it: its first record, its earliest and its latest time.
    pub fn keeps(&self, first: u64, oldest_us: u64, newest_us: u64) -> bool {
        let in_time =
            self.from_us < self.until_us && newest_us >= self.from_us && oldest_us < self.until_us;
        in_time || self.segments.contains(&first)
    }

    /// The object of listings and of the file.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id, "from_us": self.from_us, "until_us": self.until_us,
            "segments": self.segments, "reason": self.reason, "by": self.by, "set_us": self.set_us,
        })
    }
}

/// The holds in force, and the number that the next one gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::audit) struct Holds {
    pub holds: Vec<Hold>,
    pub next: u64,
}

impl Holds {
    /// None where there is no such file.
    pub fn read(journal: &Path) -> io::Result<Holds> {
        let octets = match std::fs::read(journal.join(FILE)) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Holds { holds: Vec::new(), next: 1 });
            }
            Err(error) => return Err(error),
        };
        let read = || {
            let value: Value = serde_json::from_slice(&octets).ok()?;
            let holds = value.get("holds")?.as_array()?.iter().map(hold).collect::<Option<_>>()?;
            Some(Holds { holds, next: value.get("next")?.as_u64()? })
        };
        // A hold that cannot be read might forbid anything: nothing is purged then.
        read().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "holds.json is not as it was written")
        })
    }

    /// Takes the place of the file before: whole and on the disk when this returns.
    pub fn write(&self, journal: &Path) -> io::Result<()> {
        let holds: Vec<Value> = self.holds.iter().map(Hold::to_json).collect();
        let value = json!({ "holds": holds, "next": self.next });
        replace(&journal.join(FILE), format!("{value}\n").as_bytes())
    }
}

fn hold(value: &Value) -> Option<Hold> {
    let number = |key: &str| value.get(key)?.as_u64();
    let text = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
    Some(Hold {
        id: number("id")?,
        from_us: number("from_us")?,
        until_us: number("until_us")?,
        segments: value
            .get("segments")?
            .as_array()?
            .iter()
            .map(Value::as_u64)
            .collect::<Option<_>>()?,
        reason: text("reason")?,
        by: text("by")?,
        set_us: number("set_us")?,
    })
}
