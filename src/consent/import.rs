//! Which import, and how far it came: by this a killed one goes on where it was.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Events of one chunk at most: some 300 MiB while it is read and folded. Each chunk is a run of tables
/// of its own until it is merged with the others, so fewer and larger ones make less to merge, and fewer
/// tables to look for its pairs in.
pub const CHUNK_EVENTS_MAX: usize = 1_500_000;

/// Octets at the start of a file by which an import is known again.
pub const HEAD_OCTETS: usize = 4096;

/// Which import: SHA-256 of the first [`HEAD_OCTETS`] of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportKey(pub [u8; 32]);

impl ImportKey {
    /// The key of a file that begins so: its first [`HEAD_OCTETS`], or all of it.
    pub fn of(head: &[u8]) -> Self {
        Self(Sha256::digest(head.get(..HEAD_OCTETS).unwrap_or(head)).into())
    }

    /// How it is kept: `i`, then the digest.
    pub(super) fn octets(self) -> [u8; 33] {
        let mut octets = [b'i'; 33];
        octets.iter_mut().skip(1).zip(self.0).for_each(|(place, octet)| *place = octet);
        octets
    }
}

/// How far an import came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Octets of the file that are done.
    pub offset: u64,
    /// SHA-256 of them, hexadecimal.
    pub sha256: String,
    /// Lines that are done, the header among them.
    pub lines: u64,
    /// Events that were taken.
    pub taken: u64,
    /// Events that the ledger knew already.
    pub known: u64,
    /// Lines that were refused.
    pub refused: u64,
}
