//! The body of a Content record: what a message says, for auditors alone.
//!
//! | octets | field | |
//! |---|---|---|
//! | 0..8 | session | |
//! | 8..12 | command_id | |
//! | 12..16 | sequence_number | |
//! | 16 | esm_class | its UDH indicator says whether a header precedes the text |
//! | 17 | data_coding | |
//! | 18 | flags | [`ContentRecord::CUT`] |
//! | 19 | reserved | zero |
//! | 20..52 | commitment | SHA-256 of `consentry record key` and the record's key: one key alone is it |
//! | 52..68 | tag | of AES-256-GCM |
//! | 68.. | content | the octets of short_message or message_payload, encrypted |
//!
//! In form 1, which is all that a journal holds, the record's key is made of the segment's content
//! key; nonce zeros; additional data the record's number (u64) and octets 0..20 of the body.

use super::decode::Rest;
use super::kind::Kind;
use super::records::Records;

/// Octets of the body before the commitment.
pub(super) const CONTENT_FIXED_OCTETS: usize = 20;
/// Octets of commitment and tag.
pub(super) const CONTENT_SEAL_OCTETS: usize = 48;
/// Octets of content at most; longer ones are cut, and say so. A short_message has 255, a
/// message_payload of the longest message that a handset puts together some 40 000.
pub const CONTENT_OCTETS_MAX: usize = 60_000;

/// Records behind a verdict among which its content stands: a submit_multi has a verdict for each of its 254
/// destinations at most, then the content.
pub const CONTENT_BEHIND_MAX: u64 = 512;

/// What a message says.
#[derive(Clone, PartialEq, Eq)]
pub struct ContentRecord<'a> {
    /// The session.
    pub session: u64,
    /// command_id of the request.
    pub command_id: u32,
    /// sequence_number of the request: with the session it names the verdict, which stands before it.
    pub sequence_number: u32,
    /// esm_class (SMPP 3.4 5.2.12).
    pub esm_class: u8,
    /// data_coding (SMPP 3.4 5.2.19).
    pub data_coding: u8,
    /// [`ContentRecord::CUT`] and bits yet to come.
    pub flags: u8,
    /// The octets of the body, with its user data header; empty where they cannot be read.
    pub octets: &'a [u8],
}

impl ContentRecord<'_> {
    /// Flag: there were more than [`CONTENT_OCTETS_MAX`] octets.
    pub const CUT: u8 = 1;
}

impl std::fmt::Debug for ContentRecord<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentRecord")
            .field("session", &self.session)
            .field("sequence_number", &self.sequence_number)
            .field("octets", &self.octets.len())
            .finish_non_exhaustive()
    }
}

impl Records {
    /// What a message says. The journal encrypts it when it writes.
    pub fn content(&mut self, time_us: u64, record: &ContentRecord<'_>) {
        let cut = record.octets.get(..CONTENT_OCTETS_MAX);
        let flags = record.flags
            | if cut.is_some_and(|cut| cut.len() < record.octets.len()) {
                ContentRecord::CUT
            } else {
                0
            };
        let start = self.begin(Kind::Content, time_us);
        self.raw(&record.session.to_le_bytes());
        self.raw(&record.command_id.to_le_bytes());
        self.raw(&record.sequence_number.to_le_bytes());
        self.raw(&[record.esm_class, record.data_coding, flags, 0]);
        self.raw(&[0; CONTENT_SEAL_OCTETS]);
        self.raw(cut.unwrap_or(record.octets));
        self.finish(start);
    }
}

pub(super) fn decode<'a>(rest: &mut Rest<'a>) -> Option<ContentRecord<'a>> {
    let (session, command_id, sequence_number) = (rest.u64()?, rest.u32()?, rest.u32()?);
    let [esm_class, data_coding, flags, _] = rest.array()?;
    rest.array::<CONTENT_SEAL_OCTETS>()?;
    let octets = rest.all();
    Some(ContentRecord {
        session,
        command_id,
        sequence_number,
        esm_class,
        data_coding,
        flags,
        octets,
    })
}
