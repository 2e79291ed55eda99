//! What the consent ledger was told by operators, the API and streams, on record in the journal.

use crate::audit::{Address, ConsentRecord, Journal, Records};
use crate::consent::Source;
use crate::consent::desk::Told;
use crate::session::TakenEvent;

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
    match told {
        Told::Imported { taken, sha256, time_us } => {
            let imported = ConsentRecord {
                event: 0,
                happened_us: *time_us,
                until_us: 0,
                count: u32::try_from(*taken).unwrap_or(u32::MAX),
                source: Source::File.code(),
                happened: ConsentRecord::IMPORTED,
                cause: 0,
                review: 0,
                class: 0,
                recipient: Address::default(),
                entity: "",
                scope: "",
                proof: sha256,
                id: "",
            };
            records.consent(now_us, &imported);
        }
        Told::Event { event, number, entity, scope, id } => {
            TakenEvent { event, number: *number, entity, scope, id }.record(records, now_us);
        }
    }
}
