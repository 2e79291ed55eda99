//! Ids of events by which those are known that were told before.

use sha2::{Digest, Sha256};

/// Ids that a ledger of one node remembers: the newest ones.
pub const IDS_MAX: u64 = 1 << 20;

/// What is kept of an id: the first half of SHA-256 of its stream's name and the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdKey(pub [u8; 16]);

impl IdKey {
    /// Of an id in the stream of that name.
    pub fn of(stream: &str, id: &str) -> Self {
        let digest = Sha256::new().chain_update(stream).chain_update([0]).chain_update(id);
        Self(digest.finalize().first_chunk().copied().unwrap_or_default())
    }
}
