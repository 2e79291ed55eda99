//! What the consent ledger was told by operators, on record in the journal.

use crate::audit::{Address, ConsentRecord, Journal, Records};
use crate::consent::desk::Told;
use crate::consent::{Cause, Event, Happened, Source};
use crate::policy::{ConsentClass, Review};

/// Records it; returns when that is kept. Blocks. The error is a sentence for who told it.
pub(super) fn keep(journal: &Journal, told: &[Told], now_us: u64) -> Result<(), String> {
    let mut records = Records::new();
    for one in told {
        record(&mut records, one, now_us);
    }
    journal.append(&mut records).and_then(|ticket| journal.wait(ticket)).map_err(|error| {
        format!("the ledger has taken it and the journal no record of it: {error}; tell it again")
    })
}

fn record(records: &mut Records, told: &Told, now_us: u64) {
    let nobody = ConsentRecord {
        event: 0,
        happened_us: 0,
        until_us: 0,
        count: 1,
        source: Source::File.code(),
        happened: 0,
        cause: 0,
        review: 0,
        class: 0,
        recipient: Address::default(),
        entity: "",
        scope: "",
        proof: &[],
    };
    match told {
        Told::Imported { taken, sha256, time_us } => {
            let count = u32::try_from(*taken).unwrap_or(u32::MAX);
            let happened = ConsentRecord::IMPORTED;
            let imported =
                ConsentRecord { happened_us: *time_us, count, happened, proof: sha256, ..nobody };
            records.consent(now_us, &imported);
        }
        Told::Event { event, number, entity, scope } => {
            let Event { recipient, time_us, source, happened, .. } = event;
            let digits = recipient.unmasked();
            let recipient = Address { ton: 1, npi: 1, raw: digits.as_bytes() };
            let all = ConsentRecord {
                event: *number,
                happened_us: *time_us,
                source: source.code(),
                recipient,
                entity,
                scope,
                ..nobody
            };
            records.consent(now_us, &happening(all, happened));
        }
    }
}

fn happening<'a>(all: ConsentRecord<'a>, happened: &'a Happened) -> ConsentRecord<'a> {
    match happened {
        Happened::Granted(grant) => ConsentRecord {
            happened: ConsentRecord::GRANTED,
            until_us: grant.until_us.unwrap_or(0),
            review: review(grant.proof.review),
            class: match grant.class {
                ConsentClass::Commercial => 1,
                ConsentClass::Service => 2,
            },
            proof: &grant.proof.sha256,
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
        // No operator tells of it.
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
