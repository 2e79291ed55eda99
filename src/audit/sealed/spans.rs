//! Which octets of a record are a person's: numbers, and the words of a reply.
//!
//! They alone are covered; lengths, TON and NPI stay legible, so that the layout of the body does.

use std::ops::Range;

use super::super::decode::VERDICT_FIXED_OCTETS;
use super::super::events::CONSENT_FIXED_OCTETS;
use super::super::format::RECORD_HEAD_OCTETS;
use super::super::kind::Kind;
use super::super::receipt::RECEIPT_FIXED_OCTETS;

/// Spans of a record at most.
pub(in crate::audit) const SPANS_MAX: usize = 3;

/// The octets of a record, head and body, that its keystream covers, in this order; none for kinds
/// that name nobody, and for a body that is not laid out as its kind is.
pub(in crate::audit) fn spans(record: &[u8]) -> Option<[Range<usize>; SPANS_MAX]> {
    let kind = Kind::from_code(*record.get(2)?)?;
    let first = match kind {
        Kind::Verdict => RECORD_HEAD_OCTETS + VERDICT_FIXED_OCTETS,
        Kind::Reply => RECORD_HEAD_OCTETS + REPLY_FIXED_OCTETS,
        Kind::Receipt => RECORD_HEAD_OCTETS + RECEIPT_FIXED_OCTETS,
        Kind::Consent => {
            let recipient = counted(record, RECORD_HEAD_OCTETS + CONSENT_FIXED_OCTETS + 2)?;
            return Some([recipient, 0..0, 0..0]);
        }
        Kind::Unsuccess => {
            let destination = counted(record, RECORD_HEAD_OCTETS + UNSUCCESS_FIXED_OCTETS + 2)?;
            return Some([destination, 0..0, 0..0]);
        }
        Kind::Link
        | Kind::Start
        | Kind::Stop
        | Kind::Rules
        | Kind::Bind
        | Kind::Response
        | Kind::Unanswered
        | Kind::End
        | Kind::Keys
        | Kind::Registry
        | Kind::Access
        | Kind::Checkpoint
        | Kind::Purge
        | Kind::Hold
        | Kind::Content => return None,
    };
    // Each address is TON, NPI, a length octet and the number.
    let source = counted(record, first + 2)?;
    let destination = counted(record, source.end + 2)?;
    let words = match kind {
        Kind::Reply => counted(record, destination.end + 1)?,
        _ => 0..0,
    };
    Some([source, destination, words])
}

/// Octets of the body of an unsuccess record before its address.
const UNSUCCESS_FIXED_OCTETS: usize = 16;
/// Octets of a reply's body before its addresses.
const REPLY_FIXED_OCTETS: usize = 17;

/// The octets that the length octet at `at` counts.
fn counted(record: &[u8], at: usize) -> Option<Range<usize>> {
    let start = at + 1;
    let end = start + usize::from(*record.get(at)?);
    (end <= record.len()).then_some(start..end)
}
