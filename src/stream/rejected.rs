//! The file of what was rejected: kept, so that the stream goes on behind it.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use serde_json::json;

use super::Message;
use crate::consent::line::LINE_OCTETS_MAX;

/// Octets of the file. Beyond it the stream stands still: so much is no exception.
pub const REJECTED_OCTETS_MAX: u64 = 16 << 20;

/// A message, and why it is rejected.
#[derive(Debug, Clone, Copy)]
pub struct Rejected<'a> {
    /// It.
    pub message: &'a Message,
    /// Why, without values.
    pub why: &'a str,
}

/// Appends messages, synchronised: one object a line with `partition`, `offset`, `why`, `octets`, and
/// `message`, which is what it says, cut where it is longer than any event may be. After a crash one may stand
/// there twice. The file is for its owner alone, and so is its folder where it is made.
pub fn keep(file: &Path, rejected: &[Rejected<'_>]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut out = OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
    let mut lines = String::new();
    for Rejected { message, why } in rejected {
        let octets = message.payload.len();
        let shown = message.payload.get(..LINE_OCTETS_MAX).unwrap_or(&message.payload);
        let object = json!({
            "partition": message.partition,
            "offset": message.offset,
            "why": why,
            "octets": octets,
            "message": String::from_utf8_lossy(shown),
        });
        lines.push_str(&format!("{object}\n"));
    }
    if out.metadata()?.len() + lines.len() as u64 > REJECTED_OCTETS_MAX {
        let file = file.display();
        let says = format!("more is rejected than {file} may hold: settle why, and move it away");
        return Err(io::Error::other(says));
    }
    out.write_all(lines.as_bytes())?;
    out.sync_data()
}
