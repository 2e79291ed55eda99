//! The bodies of what retention records: a segment that was purged, a hold that was set or lifted.

use super::super::decode::Rest;
use super::super::format::Chain;
use super::super::kind::Kind;
use super::super::records::Records;
use super::hold::{HOLD_SEGMENTS_MAX, Hold};
use super::purged::Purged;

/// A segment was purged: its records are gone but for those that are kept on their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeRecord<'a> {
    /// Sequence number of the segment.
    pub sequence: u64,
    /// Number of its first record.
    pub first: u64,
    /// Number of the first record behind it.
    pub next: u64,
    /// Chain value before it.
    pub previous: Chain,
    /// Chain value at its end.
    pub chain: Chain,
    /// Root of the Merkle tree over all its records.
    pub root: [u8; 32],
    /// Time of its newest record, microseconds since the Unix epoch.
    pub newest_us: u64,
    /// Verdicts on messages that went with it.
    pub messages: u64,
    /// Records that are kept on their own.
    pub kept: u64,
    /// Who purged: `timer`, `api` or whoever ran the command.
    pub by: &'a str,
}

impl PurgeRecord<'_> {
    /// What the chain needs of it.
    pub fn purged(&self) -> Purged {
        let PurgeRecord { sequence, first, next, previous, chain, .. } = *self;
        Purged { sequence, first, next, previous, chain }
    }
}

/// A hold was set, or lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRecord<'a> {
    /// Its number.
    pub id: u64,
    /// [`HoldRecord::SET`] or [`HoldRecord::LIFTED`].
    pub what: u8,
    /// As [`Hold::from_us`].
    pub from_us: u64,
    /// As [`Hold::until_us`].
    pub until_us: u64,
    /// First records of segments, 8 octets each.
    pub segments: &'a [u8],
    /// Why.
    pub reason: &'a str,
    /// Who.
    pub by: &'a str,
}

impl HoldRecord<'_> {
    /// It was set.
    pub const SET: u8 = 1;
    /// It was lifted.
    pub const LIFTED: u8 = 2;

    /// What happened, in a word.
    pub fn event(&self) -> &'static str {
        match self.what {
            HoldRecord::SET => "set",
            HoldRecord::LIFTED => "lifted",
            _ => "unknown",
        }
    }

    /// First records of the segments that it keeps whatever their time.
    pub fn firsts(&self) -> impl Iterator<Item = u64> {
        self.segments.as_chunks::<8>().0.iter().map(|octets| u64::from_le_bytes(*octets))
    }
}

impl Records {
    /// A segment is about to be purged.
    pub(in crate::audit) fn purge(&mut self, time_us: u64, record: &PurgeRecord<'_>) {
        let start = self.begin(Kind::Purge, time_us);
        for number in [record.sequence, record.first, record.next] {
            self.raw(&number.to_le_bytes());
        }
        for hash in [record.previous, record.chain, record.root] {
            self.raw(&hash);
        }
        for number in [record.newest_us, record.messages, record.kept] {
            self.raw(&number.to_le_bytes());
        }
        self.text(record.by);
        self.finish(start);
    }

    /// A hold was set or lifted, by whom.
    pub(in crate::audit) fn hold(&mut self, time_us: u64, what: u8, hold: &Hold, by: &str) {
        let start = self.begin(Kind::Hold, time_us);
        self.raw(&hold.id.to_le_bytes());
        self.raw(&[what]);
        self.raw(&hold.from_us.to_le_bytes());
        self.raw(&hold.until_us.to_le_bytes());
        let segments = hold.segments.get(..HOLD_SEGMENTS_MAX).unwrap_or(&hold.segments);
        self.raw(&(segments.len() as u16).to_le_bytes());
        for first in segments {
            self.raw(&first.to_le_bytes());
        }
        self.text(&hold.reason);
        self.text(by);
        self.finish(start);
    }
}

pub(in crate::audit) fn decode_purge<'a>(rest: &mut Rest<'a>) -> Option<PurgeRecord<'a>> {
    Some(PurgeRecord {
        sequence: rest.u64()?,
        first: rest.u64()?,
        next: rest.u64()?,
        previous: rest.array()?,
        chain: rest.array()?,
        root: rest.array()?,
        newest_us: rest.u64()?,
        messages: rest.u64()?,
        kept: rest.u64()?,
        by: rest.text()?,
    })
}

pub(in crate::audit) fn decode_hold<'a>(rest: &mut Rest<'a>) -> Option<HoldRecord<'a>> {
    let (id, what) = (rest.u64()?, rest.u8()?);
    let (from_us, until_us) = (rest.u64()?, rest.u64()?);
    let count = usize::from(rest.u16()?);
    let segments = rest.take(count * 8)?;
    Some(HoldRecord {
        id,
        what,
        from_us,
        until_us,
        segments,
        reason: rest.text()?,
        by: rest.text()?,
    })
}
