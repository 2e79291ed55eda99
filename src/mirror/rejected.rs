//! Rows that the other side will never take: kept in a file, so that the mirror goes on behind them.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::sink::{Rejected, SinkFault};

/// Octets of the file. Beyond it the mirror stands still: so many rows are no exception.
pub const REJECTED_OCTETS_MAX: u64 = 16 << 20;

/// The file of a mirror.
pub(super) fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.rejected.ndjson"))
}

/// Appends rows, synchronised: one object a line with `record`, `why` and `row`, which is the row as
/// it was sent. After a crash one may stand there twice.
pub(super) fn keep(folder: &Path, name: &str, rows: &[Rejected]) -> Result<(), SinkFault> {
    let path = file(folder, name);
    let mut out = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
    let mut lines = String::new();
    for row in rows {
        let object = json!({"record": row.record, "why": row.why, "row": row.line.trim_end()});
        lines.push_str(&format!("{object}\n"));
    }
    if out.metadata()?.len() + lines.len() as u64 > REJECTED_OCTETS_MAX {
        return Err(SinkFault::Down(format!(
            "more rows are refused than {} may hold: settle why, and move the file away",
            path.display()
        )));
    }
    out.write_all(lines.as_bytes())?;
    out.sync_data()?;
    Ok(())
}
