//! The whole proof of a journal, or the first place where it fails.

use std::path::Path;

use super::format::{Chain, HEADER_OCTETS, u64_at};
use super::read::{Ending, ReadFault, Walk, decode, split_record};
use super::record::Record;
use super::sealed::Sidecars;

/// What was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Segments walked.
    pub segments: u64,
    /// Records in them, links counted.
    pub records: u64,
    /// Octets of headers, records and links; a torn tail is not counted.
    pub octets: u64,
    /// Records by the number of their kind.
    pub by_kind: [u64; 256],
    /// The earliest time of a record, microseconds since the Unix epoch.
    pub first_us: u64,
    /// The latest time of a record.
    pub last_us: u64,
    /// How the files with the wrapped keys of the segments were found.
    pub sidecars: Sidecars,
    /// The chain value at the end: two journals with the same value are the same.
    pub chain: Chain,
    /// How it ends. Cutting whole groups off the end leaves [`Ending::Open`], which is also what
    /// a running or a killed proxy leaves: only a copy of a later chain value tells them apart.
    pub ending: Ending,
}

/// Checks every header, sum, link and seam of the journal; also of one that is being written.
pub fn verify(directory: &Path) -> Result<Verified, ReadFault> {
    let mut walk = Walk::open(directory)?;
    let mut verified = Verified {
        segments: 0,
        records: 0,
        octets: 0,
        by_kind: [0; 256],
        first_us: u64::MAX,
        last_us: 0,
        sidecars: Sidecars::default(),
        chain: [0; 32],
        ending: Ending::Open,
    };
    let ending = loop {
        let mut exchanged = None;
        let ending = walk.next(&mut |walked| {
            if let Some((record, _)) = split_record(walked.records)
                && let Record::Keys(keys) = decode(record)
                && walked.first == keys.first
            {
                exchanged = verified.sidecars.look(directory, &walked, &keys);
            }
            verified.octets += (walked.records.len() + walked.link.len()) as u64;
            verified.count(walked.records);
            verified.count(walked.link);
        })?;
        if let Some(fault) = exchanged {
            return Err(fault);
        }
        if let Some(ending) = ending {
            break ending;
        }
    };
    verified.segments = walk.segments;
    verified.octets += walk.segments * HEADER_OCTETS as u64;
    verified.first_us = verified.first_us.min(verified.last_us);
    verified.chain = walk.chain();
    verified.ending = ending;
    Ok(verified)
}

impl Verified {
    fn count(&mut self, mut records: &[u8]) {
        while let Some((record, rest)) = split_record(records) {
            let kind = record.get(2).copied().unwrap_or_default();
            if let Some(count) = self.by_kind.get_mut(usize::from(kind)) {
                *count += 1;
            }
            let time_us = u64_at(record, 8);
            self.first_us = self.first_us.min(time_us);
            self.last_us = self.last_us.max(time_us);
            self.records += 1;
            records = rest;
        }
    }
}
