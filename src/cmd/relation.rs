//! When the relation ended that a record of consent is about: from then on its term runs.

use crate::audit::{ConsentRecord, Record, ReplyRecord};
use crate::consent::{EntityId, Ledger, Unavailable};
use crate::registry::{Address, Msisdn, Npi, Ton, recipient};

/// Of a record and its time, as the ledger knows it at `now_us`. None while the relation lasts, and where
/// nobody can tell: a number that cannot be read, an import of many, a ledger that does not answer, is
/// not there or is empty, as a new one in the place of one that was lost.
pub(super) fn ended(
    record: &Record<'_>,
    time_us: u64,
    ledger: Option<&Ledger>,
    now_us: u64,
) -> Option<u64> {
    match record {
        Record::Reply(reply) if reply.reply == ReplyRecord::OPT_OUT => Some(time_us),
        Record::Consent(consent) if consent.happened == ConsentRecord::REVOKED => Some(time_us),
        Record::Consent(consent) if consent.happened != ConsentRecord::IMPORTED => {
            let (ledger, person) = (known(ledger)?, person(consent.recipient.raw)?);
            match ledger.find_entity(consent.entity) {
                Some(entity) => of(ledger, entity, person, consent.happened_us, now_us),
                None => None,
            }
        }
        Record::Reply(reply) => {
            let (ledger, person) = (known(ledger)?, person(reply.source.raw)?);
            match told(ledger.entity_of_reply(person, time_us))? {
                Some(entity) => of(ledger, entity, person, time_us, now_us),
                // A yes that nobody had asked for: nothing began.
                None => Some(time_us),
            }
        }
        _ => None,
    }
}

fn of(
    ledger: &Ledger,
    entity: EntityId,
    person: Msisdn,
    since_us: u64,
    now_us: u64,
) -> Option<u64> {
    told(ledger.relation_ended(entity, person, since_us, now_us))?
}

fn known(ledger: Option<&Ledger>) -> Option<&Ledger> {
    ledger.filter(|ledger| ledger.stats().pairs > 0)
}

fn told<T>(answer: Result<T, Unavailable>) -> Option<T> {
    answer
        .inspect_err(|why| tracing::warn!(%why, "how long a record of consent is kept is unknown"))
        .ok()
}

/// A handset's number in any spelling.
fn person(value: &[u8]) -> Option<Msisdn> {
    let tons = [Ton(0), Ton(1)].into_iter();
    let mut found = tons.filter_map(|ton| recipient(&Address { ton, npi: Npi(1), value }).ok());
    found.next().map(|found| found.msisdn)
}

#[cfg(test)]
mod tests;
