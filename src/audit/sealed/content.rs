//! A Content record encrypted in place, and read again.

use super::super::content::{CONTENT_FIXED_OCTETS, CONTENT_SEAL_OCTETS};
use super::super::format::RECORD_HEAD_OCTETS;
use super::FORM_SEALED;
use super::record_key::RecordKey;

/// Octets of a commitment.
const COMMITMENT: usize = 32;

/// The parts of a Content record: octets before the commitment, commitment and tag, content.
fn parts(record: &mut [u8]) -> Option<(&mut [u8], &mut [u8; CONTENT_SEAL_OCTETS], &mut [u8])> {
    let (clear, rest) = record.split_at_mut_checked(RECORD_HEAD_OCTETS + CONTENT_FIXED_OCTETS)?;
    let (seal, content) = rest.split_first_chunk_mut()?;
    Some((clear, seal, content))
}

/// What is bound to the content: the record's number, and its body as far as it is in clear.
fn additional(number: u64, clear: &[u8]) -> Vec<u8> {
    let body = clear.get(RECORD_HEAD_OCTETS..).unwrap_or_default();
    [&number.to_le_bytes(), body].concat()
}

/// Encrypts the content of a record; none if it is not laid out as one.
pub(super) fn seal(record: &mut [u8], number: u64, key: &RecordKey) -> Option<()> {
    let (clear, seal, content) = parts(record)?;
    let tag = key.seal(&additional(number, clear), content).ok()?;
    let (commitment, tag_at) = seal.split_at_mut_checked(COMMITMENT)?;
    commitment.copy_from_slice(&key.commitment());
    tag_at.copy_from_slice(&tag);
    *clear.get_mut(3)? = FORM_SEALED;
    Some(())
}

/// Decrypts the content of a record; none if the key is another, or the octets are.
pub(super) fn open(record: &mut [u8], number: u64, key: &RecordKey) -> Option<()> {
    let (clear, seal, content) = parts(record)?;
    let (commitment, tag) = seal.split_at_checked(COMMITMENT)?;
    if commitment != key.commitment() {
        return None;
    }
    key.open(&additional(number, clear), content, tag).ok()?;
    *clear.get_mut(3)? = 0;
    Some(())
}
