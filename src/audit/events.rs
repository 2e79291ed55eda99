//! The bodies of what happens beside messages: consent by a command or the admin API, another registry,
//! somebody who looks at records.

use super::decode::Rest;
use super::kind::Kind;
use super::record::Address;
use super::records::Records;

/// Octets of a consent record's body before its address.
pub(super) const CONSENT_FIXED_OCTETS: usize = 33;
/// Octets of the digest of a proof.
const DIGEST_OCTETS: usize = 32;

/// The consent ledger was told of an event (Order 31 art. 11: subscription and cancellation are on record) by
/// an operator, the admin API, a stream, a handset's reply or a request that went on; or a file of them was
/// imported.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsentRecord<'a> {
    /// The event's number in the ledger; 0 of an import, and where the ledger had not given it one yet.
    pub event: u64,
    /// When it happened, as was said: microseconds since the Unix epoch.
    pub happened_us: u64,
    /// When a grant ends, the same; 0 when it does not.
    pub until_us: u64,
    /// Events that were taken: 1, or those of an import.
    pub count: u32,
    /// Where the ledger knows it from: the ledger's code of the source.
    pub source: u8,
    /// [`ConsentRecord::GRANTED`] and its siblings.
    pub happened: u8,
    /// Of a revocation the ledger's code of the cause; else 0.
    pub cause: u8,
    /// Of a grant or a review, how far the proof was looked at: 1 submitted, 2 reviewed, 3 rejected; else 0.
    pub review: u8,
    /// Of a grant: 1 for commercial messages, 2 for service alone; else 0.
    pub class: u8,
    /// The recipient, in canonical form; empty of an import.
    pub recipient: Address<'a>,
    /// The legal entity; empty of an import.
    pub entity: &'a str,
    /// The list, product or shop of the entity; empty where all of it is meant.
    pub scope: &'a str,
    /// SHA-256 of a grant's proof, or of what was imported; else empty.
    pub proof: &'a [u8],
    /// The id that it came with, from a stream; else empty. At most 255 octets.
    pub id: &'a str,
}

impl ConsentRecord<'_> {
    /// The recipient consented.
    pub const GRANTED: u8 = 1;
    /// The recipient refused, complained, or is another person.
    pub const REVOKED: u8 = 2;
    /// A proof was looked at.
    pub const REVIEWED: u8 = 3;
    /// The recipient was asked for consent.
    pub const ASKED: u8 = 4;
    /// A file of events was imported.
    pub const IMPORTED: u8 = 5;
    /// The cause of a revocation: somebody complained.
    pub const COMPLAINT: u8 = 3;

    /// What happened, in the ledger's words.
    pub fn happened_name(&self) -> &'static str {
        match self.happened {
            Self::GRANTED => "granted",
            Self::REVOKED => "revoked",
            Self::REVIEWED => "reviewed",
            Self::ASKED => "asked",
            Self::IMPORTED => "imported",
            _ => "unknown",
        }
    }
}

impl std::fmt::Debug for ConsentRecord<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsentRecord")
            .field("event", &self.event)
            .field("happened", &self.happened_name())
            .finish_non_exhaustive()
    }
}

/// Rules, registry, templates or lists are other ones than when the journal was open last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryRecord<'a> {
    /// SHA-256 of all of them then.
    pub before: [u8; 32],
    /// The same now.
    pub rules: [u8; 32],
    /// SHA-256 of the registry alone.
    pub registry: [u8; 32],
    /// Providers in it.
    pub providers: u32,
    /// Their codes.
    pub codes: u32,
    /// What texts are read with: digest of the weights, versions of the lists.
    pub reading: &'a str,
}

/// Somebody looked at records: in the journal of accesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRecord<'a> {
    /// User id of the process, as the operating system knows it.
    pub user: u32,
    /// Whether numbers were to be shown whole.
    pub is_unmasked: bool,
    /// The account's name, or who became it by sudo.
    pub name: &'a str,
    /// The sub-command, as `search`.
    pub command: &'a str,
    /// What was asked for; numbers are masked.
    pub asked: &'a str,
}

impl Records {
    /// The consent ledger was told something.
    pub fn consent(&mut self, time_us: u64, record: &ConsentRecord<'_>) {
        let mut fixed = [0; CONSENT_FIXED_OCTETS];
        fixed[0..8].copy_from_slice(&record.event.to_le_bytes());
        fixed[8..16].copy_from_slice(&record.happened_us.to_le_bytes());
        fixed[16..24].copy_from_slice(&record.until_us.to_le_bytes());
        fixed[24..28].copy_from_slice(&record.count.to_le_bytes());
        let codes = [record.source, record.happened, record.cause, record.review, record.class];
        fixed[28..33].copy_from_slice(&codes);
        let start = self.begin(Kind::Consent, time_us);
        self.raw(&fixed);
        self.address(record.recipient);
        self.text(record.entity);
        self.text(record.scope);
        self.counted(record.proof, DIGEST_OCTETS);
        // Behind the rest, and only where there is one: what was written before there were ids reads so.
        if !record.id.is_empty() {
            self.text(record.id);
        }
        self.finish(start);
    }

    /// Another registry, or other rules, than before.
    pub fn registry(&mut self, time_us: u64, record: &RegistryRecord<'_>) {
        let start = self.begin(Kind::Registry, time_us);
        self.raw(&record.before);
        self.raw(&record.rules);
        self.raw(&record.registry);
        self.raw(&record.providers.to_le_bytes());
        self.raw(&record.codes.to_le_bytes());
        self.text(record.reading);
        self.finish(start);
    }

    /// Somebody looks at records.
    pub fn access(&mut self, time_us: u64, record: &AccessRecord<'_>) {
        let start = self.begin(Kind::Access, time_us);
        self.raw(&record.user.to_le_bytes());
        self.raw(&[u8::from(record.is_unmasked)]);
        self.text(record.name);
        self.text(record.command);
        self.text(record.asked);
        self.finish(start);
    }
}

pub(super) fn decode_consent<'a>(rest: &mut Rest<'a>) -> Option<ConsentRecord<'a>> {
    Some(ConsentRecord {
        event: rest.u64()?,
        happened_us: rest.u64()?,
        until_us: rest.u64()?,
        count: rest.u32()?,
        source: rest.u8()?,
        happened: rest.u8()?,
        cause: rest.u8()?,
        review: rest.u8()?,
        class: rest.u8()?,
        recipient: rest.address()?,
        entity: rest.text()?,
        scope: rest.text()?,
        proof: rest.counted()?,
        id: if rest.is_empty() { "" } else { rest.text()? },
    })
}

pub(super) fn decode_registry<'a>(rest: &mut Rest<'a>) -> Option<RegistryRecord<'a>> {
    Some(RegistryRecord {
        before: rest.array()?,
        rules: rest.array()?,
        registry: rest.array()?,
        providers: rest.u32()?,
        codes: rest.u32()?,
        reading: rest.text()?,
    })
}

pub(super) fn decode_access<'a>(rest: &mut Rest<'a>) -> Option<AccessRecord<'a>> {
    Some(AccessRecord {
        user: rest.u32()?,
        is_unmasked: rest.u8()? != 0,
        name: rest.text()?,
        command: rest.text()?,
        asked: rest.text()?,
    })
}
