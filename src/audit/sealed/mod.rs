//! What is a person's in the journal is encrypted: numbers, the words of replies, content.
//!
//! # Keys
//!
//! Each segment has data keys of its own, 32 random octets: one for numbers, one for content where
//! content is recorded. They stand wrapped in files beside it, its sidecars ([`sidecar`]): the one of
//! numbers under a key of this node (`numbers-<month>.key` in the folder of keys) and, like that of
//! content, for each auditor's public key. What was wrapped is on record: the Keys record, the first
//! of the segment, holds the SHA-256 of the sidecars. A sidecar is on the disk before the segment's
//! header is written.
//!
//! # Numbers
//!
//! A record of form 1 has the octets of its numbers (and, of a reply, its words) covered by the
//! keystream of the record's own key ([`record_key`]), in place: no octet more, and the layout as in
//! form 0. That they were not changed since is what the hash chain says, which is made over the
//! covered octets: who has no key verifies as well as who has.
//!
//! # Content
//!
//! A Content record (form 1) is encrypted with AES-256-GCM under the record's own key, made from the
//! data key of content, which only auditors can unwrap: what wrote it cannot read it back. It carries
//! a commitment to its key, so that a key that is shown for it is the one.
//!
//! | file | subject |
//! |---|---|
//! | `hpke` | RFC 9180, as much of it as wraps a key |
//! | `record_key` | a record's key, its keystream, content under it |
//! | `content` | a Content record, encrypted and decrypted |
//! | `sidecar` | wrapped data keys, octet by octet |
//! | `spans` | which octets of a record are covered |
//! | `destroy` | keys destroyed, and that recorded |
//! | `sealer` | the writing side |
//! | `ring` | the reading side |
//! | `carried` | contents that left the journal |

mod carried;
mod content;
mod destroy;
pub mod hpke;
pub mod record_key;
mod ring;
mod sealer;
pub mod sidecar;
mod spans;

pub use carried::ContentKey;
pub use destroy::{DestroyFault, Destroyed, Order, written_under};
pub use record_key::RecordKey;
pub(super) use ring::Unsealer;
pub use ring::{Gone, KeyRing, disclosed};
pub(super) use sealer::Sealer;
pub use sealer::Sealing;
pub use sidecar::{Purpose, Sidecars};

/// The form of a record whose numbers are covered.
pub const FORM_SEALED: u8 = 1;
