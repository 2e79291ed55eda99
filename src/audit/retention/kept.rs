//! Records that outlive their segment: each with its proof, in `journal-<first>.kept`, one a line as
//! `audit prove` prints them, so that `audit verify --proof` reads the file as it is.

use std::io;
use std::path::{Path, PathBuf};

use super::super::proof::{Proof, replace};

/// The file of the segment that began with record `first`.
pub(in crate::audit) fn file(journal: &Path, first: u64) -> PathBuf {
    journal.join(format!("journal-{first:020}.kept"))
}

/// The proofs kept of a segment; none where there is no such file.
pub(in crate::audit) fn read(journal: &Path, first: u64) -> io::Result<Vec<Proof>> {
    let text = match std::fs::read_to_string(file(journal, first)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let proofs = text.lines().map(|line| {
        let proof = serde_json::from_str(line).ok().map(|value| Proof::from_json(&value));
        proof.and_then(Result::ok).ok_or_else(|| {
            let name = file(journal, first).display().to_string();
            io::Error::new(io::ErrorKind::InvalidData, format!("{name} is not as it was written"))
        })
    });
    proofs.collect()
}

/// Writes what is kept of a segment; removes the file where nothing is left.
pub(in crate::audit) fn write(journal: &Path, first: u64, proofs: &[Proof]) -> io::Result<()> {
    let file = file(journal, first);
    if proofs.is_empty() {
        return match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let lines: String = proofs.iter().map(|proof| format!("{}\n", proof.to_json())).collect();
    replace(&file, lines.as_bytes())
}
