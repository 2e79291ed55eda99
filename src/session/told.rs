//! What the consent ledger took, as the journal has it.

use crate::audit::{Address, ConsentRecord, Records};
use crate::consent::{Cause, Event, Grant, Happened};
use crate::policy::{ConsentClass, Review};

/// An event that the ledger took.
#[derive(Debug, Clone, Copy)]
pub struct TakenEvent<'a> {
    /// It.
    pub event: &'a Event,
    /// Its number in the ledger; 0 where it has none yet.
    pub number: u64,
    /// The name of its legal entity.
    pub entity: &'a str,
    /// The name of the scope that it is about; empty for all of the entity.
    pub scope: &'a str,
    /// The id that it came with from a stream; else empty.
    pub id: &'a str,
}

impl TakenEvent<'_> {
    /// Puts it on record.
    pub fn record(&self, records: &mut Records, now_us: u64) {
        let Event { recipient, time_us, source, happened, .. } = self.event;
        let digits = recipient.unmasked();
        let all = ConsentRecord {
            event: self.number,
            happened_us: *time_us,
            until_us: 0,
            count: 1,
            source: source.code(),
            happened: 0,
            cause: 0,
            review: 0,
            class: 0,
            recipient: Address { ton: 1, npi: 1, raw: digits.as_bytes() },
            entity: self.entity,
            scope: self.scope,
            proof: &[],
            id: self.id,
        };
        records.consent(now_us, &happening(all, happened));
    }
}

fn happening<'a>(all: ConsentRecord<'a>, happened: &'a Happened) -> ConsentRecord<'a> {
    match happened {
        Happened::Granted(Grant { until_us, class, proof, .. }) => ConsentRecord {
            happened: ConsentRecord::GRANTED,
            until_us: until_us.unwrap_or(0),
            review: review(proof.review),
            class: match class {
                ConsentClass::Commercial => 1,
                ConsentClass::Service => 2,
            },
            proof: &proof.sha256,
            ..all
        },
        Happened::Revoked(cause) => {
            ConsentRecord { happened: ConsentRecord::REVOKED, cause: cause.code(), ..all }
        }
        Happened::Reviewed { sha256, review: found, .. } => ConsentRecord {
            happened: ConsentRecord::REVIEWED,
            review: review(*found),
            proof: sha256.as_ref().map_or(&[], |sha256| sha256.as_slice()),
            ..all
        },
        Happened::Asked { .. } => ConsentRecord { happened: ConsentRecord::ASKED, ..all },
        // Counted, not told.
        Happened::Sent { .. } => all,
    }
}

fn review(review: Review) -> u8 {
    match review {
        Review::Submitted => 1,
        Review::Reviewed => 2,
        Review::Rejected => 3,
    }
}

const _: () = assert!(Cause::Complaint.code() == ConsentRecord::COMPLAINT);
