//! The bodies of what the SMSC says of messages later: receipts, and the destinations of a submit_multi
//! that it did not take.

use super::decode::Rest;
use super::kind::Kind;
use super::message_id::{self, Tail};
use super::record::{Address, MESSAGE_ID_OCTETS_MAX};
use super::records::Records;

/// Octets of a receipt's `stat:` or `err:`; longer ones are cut.
pub const RECEIPT_WORD_OCTETS_MAX: usize = 16;
/// Octets of a receipt's body before its addresses.
pub(super) const RECEIPT_FIXED_OCTETS: usize = 34;

/// The SMSC told what became of a message (SMPP 3.4 5.2.12, appendix B). Order 31 art. 11 asks for the
/// time of receipt.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceiptRecord<'a> {
    /// The session that it came to, which need not be the message's.
    pub session: u64,
    /// deliver_sm or data_sm.
    pub command_id: u32,
    /// sequence_number of the SMSC's request.
    pub sequence_number: u32,
    /// esm_class: a receipt, or a notice before the final state.
    pub esm_class: u8,
    /// message_state (SMPP 3.4 5.2.28), by its parameter or else by `stat:`; [`ReceiptRecord::NO_STATE`]
    /// where neither names one.
    pub state: u8,
    /// [`ReceiptRecord::BY_PARAMETER`], [`ReceiptRecord::BY_TEXT`], [`ReceiptRecord::KEPT_BACK`].
    pub flags: u8,
    /// network_error_code: network, then the error (SMPP 3.4 5.3.2.31); zeros where it has none.
    pub network_error: [u8; 3],
    /// `submit date:` in the SMSC's own zone: years since 2000, month, day, hour, minute, second; zeros
    /// where it has none.
    pub submitted: [u8; 6],
    /// `done date:`, alike.
    pub done: [u8; 6],
    /// The handset.
    pub source: Address<'a>,
    /// Who sent the message.
    pub destination: Address<'a>,
    /// The id, by receipted_message_id or else by `id:`.
    pub message_id: &'a [u8],
    /// The id by `id:` where the parameter has another form; else empty.
    pub text_id: &'a [u8],
    /// `stat:` as it stands.
    pub stat: &'a [u8],
    /// `err:` as it stands.
    pub error: &'a [u8],
}

impl ReceiptRecord<'_> {
    /// No state is named.
    pub const NO_STATE: u8 = u8::MAX;
    /// Flag: receipted_message_id names the message.
    pub const BY_PARAMETER: u8 = 1;
    /// Flag: the text names it.
    pub const BY_TEXT: u8 = 2;
    /// Flag: the proxy had asked for it and not the ESME, answered it, and kept it back.
    pub const KEPT_BACK: u8 = 4;

    /// The state in words (SMPP 3.4 5.2.28).
    pub fn state_name(&self) -> Option<&'static str> {
        const NAMES: [&str; 10] = [
            "scheduled",
            "enroute",
            "delivered",
            "expired",
            "deleted",
            "undeliverable",
            "accepted",
            "unknown",
            "rejected",
            "skipped",
        ];
        NAMES.get(usize::from(self.state)).copied()
    }

    /// Whether more of the message is to come: a notice before its final state (SMPP 3.4 5.2.12).
    pub fn is_intermediate(&self) -> bool {
        self.esm_class & 0x3c == 0x20
    }

    /// Whether no other receipt of the message comes after it: the message waits no more (SMPP 3.4 5.2.28,
    /// SMPP 5.0 4.7.15).
    pub fn is_final(&self) -> bool {
        const SCHEDULED: u8 = 0;
        const ENROUTE: u8 = 1;
        !self.is_intermediate() && self.state != SCHEDULED && self.state != ENROUTE
    }

    /// A date of a receipt as ISO 8601 without a zone, since it names none.
    pub fn date([year, month, day, hour, minute, second]: [u8; 6]) -> Option<String> {
        (month != 0).then(|| {
            let year = 2000 + u16::from(year);
            format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
        })
    }

    /// Its [`message_id::keys`]: for every form of its ids, with either address as the handset. It is the
    /// source; some SMSCs leave the addresses as they were in the message.
    pub fn keys(&self) -> impl Iterator<Item = u64> {
        let handsets = [self.source.raw, self.destination.raw].map(Tail::of);
        handsets
            .into_iter()
            .flat_map(|handset| self.ids().flat_map(move |id| message_id::keys(id, handset)))
    }

    /// The ids that it names the message by.
    pub fn ids(&self) -> impl Iterator<Item = &[u8]> {
        [self.message_id, self.text_id].into_iter().filter(|id| !id.is_empty())
    }
}

impl std::fmt::Debug for ReceiptRecord<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiptRecord")
            .field("session", &self.session)
            .field("sequence_number", &self.sequence_number)
            .field("state", &self.state)
            .field("flags", &self.flags)
            .finish_non_exhaustive()
    }
}

/// The SMSC did not take a destination of a submit_multi (SMPP 3.4 4.5.2.1). It stands before the
/// record of the response.
#[derive(Clone, PartialEq, Eq)]
pub struct UnsuccessRecord<'a> {
    /// The session.
    pub session: u64,
    /// sequence_number of request and response.
    pub sequence_number: u32,
    /// error_status_code.
    pub status: u32,
    /// The destination.
    pub destination: Address<'a>,
}

impl std::fmt::Debug for UnsuccessRecord<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnsuccessRecord")
            .field("session", &self.session)
            .field("sequence_number", &self.sequence_number)
            .field("status", &format_args!("{:#010x}", self.status))
            .finish_non_exhaustive()
    }
}

impl Records {
    /// The SMSC told what became of a message.
    pub fn receipt(&mut self, time_us: u64, record: &ReceiptRecord<'_>) {
        let mut fixed = [0; RECEIPT_FIXED_OCTETS];
        fixed[0..8].copy_from_slice(&record.session.to_le_bytes());
        fixed[8..12].copy_from_slice(&record.command_id.to_le_bytes());
        fixed[12..16].copy_from_slice(&record.sequence_number.to_le_bytes());
        fixed[16..19].copy_from_slice(&[record.esm_class, record.state, record.flags]);
        fixed[19..22].copy_from_slice(&record.network_error);
        fixed[22..28].copy_from_slice(&record.submitted);
        fixed[28..34].copy_from_slice(&record.done);
        let start = self.begin(Kind::Receipt, time_us);
        self.raw(&fixed);
        self.address(record.source);
        self.address(record.destination);
        self.counted(record.message_id, MESSAGE_ID_OCTETS_MAX);
        self.counted(record.text_id, MESSAGE_ID_OCTETS_MAX);
        self.counted(record.stat, RECEIPT_WORD_OCTETS_MAX);
        self.counted(record.error, RECEIPT_WORD_OCTETS_MAX);
        self.finish(start);
    }

    /// The SMSC did not take a destination.
    pub fn unsuccess(&mut self, time_us: u64, record: &UnsuccessRecord<'_>) {
        let start = self.begin(Kind::Unsuccess, time_us);
        self.raw(&record.session.to_le_bytes());
        self.raw(&record.sequence_number.to_le_bytes());
        self.raw(&record.status.to_le_bytes());
        self.address(record.destination);
        self.finish(start);
    }
}

pub(super) fn decode_receipt<'a>(rest: &mut Rest<'a>) -> Option<ReceiptRecord<'a>> {
    Some(ReceiptRecord {
        session: rest.u64()?,
        command_id: rest.u32()?,
        sequence_number: rest.u32()?,
        esm_class: rest.u8()?,
        state: rest.u8()?,
        flags: rest.u8()?,
        network_error: rest.array()?,
        submitted: rest.array()?,
        done: rest.array()?,
        source: rest.address()?,
        destination: rest.address()?,
        message_id: rest.counted()?,
        text_id: rest.counted()?,
        stat: rest.counted()?,
        error: rest.counted()?,
    })
}

pub(super) fn decode_unsuccess<'a>(rest: &mut Rest<'a>) -> Option<UnsuccessRecord<'a>> {
    Some(UnsuccessRecord {
        session: rest.u64()?,
        sequence_number: rest.u32()?,
        status: rest.u32()?,
        destination: rest.address()?,
    })
}
