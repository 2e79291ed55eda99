//! Which receipts are waited for, kept beside the journal over restarts.
//!
//! The file is written anew while the proxy runs and when it stops: a first line that says from which
//! record of the journal on it may lack something, then one line a key, oldest first. After the proxy was
//! killed, what the file lacks is read out of the journal.

use std::fs::OpenOptions;
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Failure;
use crate::audit::message_id::Tail;
use crate::audit::{KeyRing, Reader, Record, segment_firsts};
use crate::proxy::Shared;
use crate::session::{Asked, Awaited, Knowledge};

/// How often the file is written anew, where anything changed.
const EVERY: Duration = Duration::from_secs(30);
/// The longest file that is read, octets: at 36 a line, seven million.
const FILE_OCTETS_MAX: u64 = 1 << 28;
/// Segments at the end of the journal that are read where nothing says more.
const SEGMENTS_READ: usize = 2;
/// Requests held that wait for their answer, while the journal is read.
const OPEN_MAX: usize = 1 << 20;
/// What the first line says of a file that lacks nothing.
const WHOLE: &str = "whole";

/// Where they are kept, beside the journal in `audit`.
pub(super) fn file(audit: &Path) -> PathBuf {
    audit.with_extension("receipts")
}

/// Fills the memory from the file, and from the journal where the file lacks something. Blocks.
pub(super) fn load(audit: &Path, keys: &Path, asked: &mut Asked) -> Result<(), Failure> {
    let path = file(audit);
    let mut text = String::new();
    match std::fs::File::open(&path) {
        Ok(file) => {
            file.take(FILE_OCTETS_MAX).read_to_string(&mut text).map_err(|error| {
                let shown = path.display();
                Failure(format!("{shown} cannot be read: {error}; make it readable or remove it"))
            })?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            let shown = path.display();
            return Err(Failure(format!("{shown} cannot be read: {error}; make it readable")));
        }
    }
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    for (number, line) in (2..).zip(lines) {
        match key(line) {
            Some((one, other, is_ours)) => asked.put(one, other, is_ours),
            None => {
                let path = path.display();
                tracing::warn!(%path, line = number, "is no receipt that is waited for; passed over");
            }
        }
    }
    if first != WHOLE {
        let from = first.parse().ok().unwrap_or_else(|| last_segments(audit));
        catch_up(audit, from, KeyRing::open(keys)?, asked)?;
    }
    // From now on the file lacks something.
    write(audit, asked.entries().collect(), &last_segments(audit).to_string())
        .map_err(|error| Failure(format!("{} cannot be written: {error}", path.display())))
}

fn key(line: &str) -> Option<(u64, u64, bool)> {
    let mut fields = line.split(' ');
    let mut number = || u64::from_str_radix(fields.next()?, 16).ok();
    let (one, other, is_ours) = (number()?, number()?, number()?);
    fields.next().is_none().then_some((one, other, is_ours == 1))
}

/// The first record of the last segments.
fn last_segments(audit: &Path) -> u64 {
    let firsts = segment_firsts(audit).unwrap_or_default();
    firsts.iter().rev().nth(SEGMENTS_READ - 1).or(firsts.first()).copied().unwrap_or(1)
}

/// Reads what was asked for, and what came, out of the records from `from` on.
fn catch_up(audit: &Path, from: u64, keys: KeyRing, asked: &mut Asked) -> Result<(), Failure> {
    let mut open = std::collections::HashMap::new();
    let mut reader = match Reader::open_at(audit, from, "") {
        Ok(reader) => reader.with_keys(Arc::new(keys)),
        Err(crate::audit::ReadFault::Empty { .. }) => return Ok(()),
        Err(fault) => return Err(fault.into()),
    };
    while let Some(entry) = reader.next()? {
        match entry.record() {
            Record::Verdict(verdict) if verdict.asks_receipt => {
                let tail = Tail::of(verdict.destination.raw);
                if open.len() >= OPEN_MAX {
                    open.clear();
                }
                open.insert((verdict.session, verdict.sequence_number), tail);
            }
            Record::Response(response) => {
                let key = (response.session, response.sequence_number);
                if let Some(tail) = open.remove(&key).flatten() {
                    asked.remember(response.message_id, Awaited { tail, is_ours: true });
                }
            }
            Record::Receipt(receipt) => _ = asked.take(receipt.keys(), receipt.is_final()),
            _ => {}
        }
    }
    Ok(())
}

/// Writes all of them, in place of what the file held. `first`: what its first line says.
fn write(audit: &Path, entries: Vec<(u64, u64, bool)>, first: &str) -> std::io::Result<()> {
    let path = file(audit);
    let new = path.with_extension("receipts.new");
    let out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    let mut out = BufWriter::new(out);
    writeln!(out, "{first}")?;
    for (one, other, is_ours) in entries {
        writeln!(out, "{one:x} {other:x} {}", u8::from(is_ours))?;
    }
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::rename(new, path)
}

/// Writes the file when the proxy stops: nothing changes any more.
pub(super) fn save(audit: &Path, knowledge: &Knowledge) -> std::io::Result<()> {
    if !knowledge.asks_receipts {
        return Ok(());
    }
    let entries = knowledge.asked().entries().collect();
    write(audit, entries, WHOLE)
}

/// Writes the file from time to time, until the proxy drains.
pub(super) async fn watch(shared: Arc<Shared>, audit: PathBuf) {
    if !shared.in_force.now().knowledge.asks_receipts {
        return;
    }
    let mut written_at = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shared.drain.cancelled() => return,
        }
        let changes = shared.in_force.now().knowledge.asked().changes();
        if written_at != Some(changes) {
            written_at = Some(changes);
            let (shared, audit) = (shared.clone(), audit.clone());
            let saved = tokio::task::spawn_blocking(move || {
                // Before the memory is looked at: what comes meanwhile is in both.
                let from = last_segments(&audit);
                let entries = shared.in_force.now().knowledge.asked().entries().collect();
                write(&audit, entries, &from.to_string())
            });
            if let Ok(Err(error)) = saved.await {
                tracing::error!(%error, "after a restart receipts may cross that no ESME asked for");
            }
        }
    }
}
