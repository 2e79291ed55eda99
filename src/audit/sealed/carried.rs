//! Contents that left the journal as they stand in it, with the wrapped key of their segment.

use super::super::keys::AuditorKey;
use super::super::kind::Kind;
use super::super::read::Kept;
use super::record_key::DataKey;
use super::ring::disclosed;
use super::sidecar::{Purpose, Sidecar};

/// The key of the contents of one segment, as an auditor opened it.
pub struct ContentKey(DataKey);

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentKey")
    }
}

impl ContentKey {
    /// From the octets of the sidecar of the segment that begins with record `first`; none where they are
    /// not that, or were not written for this auditor.
    pub fn open(sidecar: &[u8], first: u64, auditor: &AuditorKey) -> Option<ContentKey> {
        let key = Sidecar::decode(sidecar, Purpose::Content, first)?.open_as(auditor)?;
        Some(ContentKey(DataKey::new(&key)))
    }

    /// A content record of that segment, from its octets as they stand in the journal under this number;
    /// none where the key does not open them.
    pub fn read(&self, number: u64, record: &[u8]) -> Option<Kept> {
        let is_content = record.get(2) == Some(&(Kind::Content as u8));
        let legible = disclosed(record, number, &self.0.record_key(number));
        legible.filter(|_| is_content).map(|legible| Kept::of(number, &legible, None))
    }
}
