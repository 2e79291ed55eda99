//! What was decided: the journal, its format, its proof and its search.
//!
//! A verdict that is not recorded has not been given: a message leaves for the SMSC only after
//! [`Journal`] has taken its record, as firmly as [`Durability`] says. The octets on disk are
//! described field by field in [`mod@format`]; everything else here writes, checks or reads them.
//!
//! # Layout
//!
//! | file | subject |
//! |---|---|
//! | `format` | the octets: segment header, record head, link, hash chain |
//! | `kind` | what a record is: its number and its name |
//! | `record` | the bodies: one structure a kind |
//! | `decode` | their reading |
//! | `ruling` | by what batches are judged, as the journal says it |
//! | `events` | the bodies of what happens beside messages: consent, registry, accesses |
//! | `receipt` | the bodies of what the SMSC says later: receipts, destinations not taken |
//! | [`message_id`] | when two message_ids are the same: the forms of one number |
//! | `content` | the body of what a message says |
//! | `records` | a reusable batch that a session fills without allocating |
//! | `segment` | one segment file, walked group by group |
//! | `recover` | what opening finds, what it cuts off and what it refuses |
//! | `writer` | the file side: numbers, sums, links, rotation, rolling back |
//! | `journal` | the shared side: pending records, tickets, wakers, states; and the thread that writes them |
//! | `disk` | what the folder takes on the disk, and may take |
//! | `read` | all records of a directory in order, also while it is written |
//! | `verify` | the whole proof, or the first place where it fails |
//! | `search` | messages and binds by what an inspector asks for |
//! | [`proof`] | Merkle trees, signed checkpoints, and the proof of one record |
//! | [`index`] | which segments a search need not read |
//! | [`sealed`] | what is encrypted in the journal, and how it is read |
//! | `receipts` | receipts with the messages that they belong to |
//! | `recent` | a map that forgets its oldest half |
//! | `latest` | the newest refusals, read behind the writer |
//! | [`retention`] | how long records are kept, holds, and the purge |
//! | [`keys`] | the files of the keys that records are signed and sealed with |
//!
//! This room knows no SMPP and no policy: commands and statuses are the `u32` of the wire, rules
//! and verdicts the `u8` codes that their owners keep stable for ever.

mod content;
mod decode;
mod disk;
mod events;
pub mod format;
pub mod index;
mod journal;
pub mod keys;
mod kind;
mod latest;
pub mod message_id;
pub mod proof;
mod read;
mod receipt;
mod receipts;
mod recent;
mod record;
mod records;
mod recover;
pub mod retention;
mod ruling;
pub mod sealed;
mod search;
mod segment;
mod verify;
mod writer;

pub use content::{CONTENT_BEHIND_MAX, CONTENT_OCTETS_MAX, ContentRecord};
pub use disk::DiskUse;
pub use events::{AccessRecord, ConsentRecord, RegistryRecord};
pub use journal::{
    Durability, Journal, Options, PENDING_OCTETS_MAX, RETRY, State, Stats, Ticket, Unavailable,
};
pub use kind::Kind;
pub use latest::{LATEST_OF_A_RULE_MAX, LATEST_RECORDS_MAX, Latest, Refused};
pub use read::{Ending, Entry, Kept, ReadFault, Reader, look_up, segment_firsts, show};
pub use receipt::{RECEIPT_WORD_OCTETS_MAX, ReceiptRecord, UnsuccessRecord};
pub use receipts::{Matched, ReceiptQuery, receipts};
pub use record::{
    ADDRESS_OCTETS_MAX, Address, BindRecord, EndRecord, KeysRecord, LinkRecord,
    MESSAGE_ID_OCTETS_MAX, NAME_OCTETS_MAX, OBSERVE, PASS, Part, REFERENCE_OCTETS_MAX, REFUSE,
    REPLY_OCTETS_MAX, Record, References, ReplyRecord, ResponseRecord, RulesRecord, StartRecord,
    UnansweredRecord, VerdictRecord,
};
pub use records::Records;
pub use recover::{OpenFault, Recovered};
pub use ruling::Ruling;
pub use sealed::{Gone, KeyRing, Sealing};
pub use search::{Answer, Found, IsMeant, Query, Searched, belongs, search};
pub use segment::Fault;
pub use verify::{Against, Verified, verify, verify_against, verify_each};
