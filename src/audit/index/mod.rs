//! What stands in a sealed segment, in a file beside it: `journal-<first>.idx`.
//!
//! It says which segments a search need not read. It proves nothing, holds no number and no id in
//! clear, and is made anew from its segment wherever it is missing, damaged or of another key. All
//! integers are little-endian, times microseconds since the Unix epoch.
//!
//! | octets | field | |
//! |---|---|---|
//! | 0..8 | magic | `CNSTINDX` |
//! | 8..10 | version | 2 |
//! | 10 | flags | [`NUMBERS_UNREADABLE`], [`HAS_START`], [`HAS_REFERENCES`], [`MANY_SESSIONS`], [`HAS_CONSENT`] |
//! | 11 | verdicts | bit n: a verdict n |
//! | 12..16 | head octets | of all before the filters, with its sum |
//! | 16..24 | first | number of the segment's first record |
//! | 24..32 | segment octets | its length |
//! | 32..40 | earliest time | of a record |
//! | 40..48 | latest time | |
//! | 48..56 | answers since | earliest time at which a message was forwarded that is answered here |
//! | 56..64 | rules | bit n: rule n decided or was observed |
//! | 64..96 | chain | value at the segment's end, as the header of the next one has it |
//! | 96..104 | key | name of the index key |
//! | 104..108 | blocks of numbers | a filter of the tokens of senders and recipients |
//! | 108..112 | blocks of ids | of message_ids that were answered here |
//! | 112..116 | blocks of receipts | of the messages that receipts here are of |
//! | 116.. | rule set | in force at its end, if that was said here: a length octet, text |
//! | then | binds | a count (u32); each a session (u64) and a provider's name (length octet, text) |
//! | then | asking | a count (u32); sessions (u64) that messages or replies are of |
//! | then | answering | a count (u32); sessions that answers are of, or that ended |
//! | then | sum | CRC-32C of all before |
//! | then | filters | numbers, ids, receipts |
//!
//! A token is 64 bits of an HMAC-SHA-256 under the index key. Of a number it is made in the form in
//! which all spellings are one, which the caller knows.

mod build;
mod filter;
mod plan;
mod segment;

pub use build::{Canonical, index_sealed};
pub(super) use plan::{Plan, Planned};
pub use segment::index_name;

/// Flag: not all numbers could be read when it was made.
pub const NUMBERS_UNREADABLE: u8 = 1;
/// Flag: the journal was opened in this segment.
pub const HAS_START: u8 = 2;
/// Flag: messages named ids in their vendor's parameters.
pub const HAS_REFERENCES: u8 = 4;
/// Flag: sessions or binds were too many to list; any may be here.
pub const MANY_SESSIONS: u8 = 8;
/// Flag: the ledger was told of events here, whose entities are not listed.
pub const HAS_CONSENT: u8 = 16;

/// What a search by index goes by.
#[derive(Clone, Copy)]
pub struct Indexed<'a> {
    /// The key of the tokens.
    pub key: &'a super::keys::IndexKey,
    /// The form in which all spellings of a number are one.
    pub canonical: &'a Canonical<'a>,
    /// The number that is looked for, as it was asked for.
    pub number: Option<&'a [u8]>,
}
