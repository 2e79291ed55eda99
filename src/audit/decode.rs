//! The reading of records' bodies. Whatever stands in them, a record comes of it: one of no known form is
//! [`Record::Unknown`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::content::{self, ContentRecord};
use super::events::{self, ConsentRecord};
use super::format::{LINK_OCTETS, Link, RECORD_HEAD_OCTETS};
use super::kind::Kind;
use super::proof::{Checkpoint, Signed};
use super::receipt::{self, ReceiptRecord, UnsuccessRecord};
use super::record::{
    Address, BindRecord, EndRecord, KeysRecord, LinkRecord, Part, Record, References, ReplyRecord,
    ResponseRecord, RulesRecord, StartRecord, UnansweredRecord, VerdictRecord,
};
use super::retention::{decode_hold, decode_purge};
use super::sealed::FORM_SEALED;

impl<'a> Record<'a> {
    /// Reads the body of a record whose sum was found right.
    ///
    /// Of one whose numbers are covered (form 1) they are empty here, and so are a reply's words:
    /// what stands there says nothing to who has no key.
    pub fn decode(kind: u8, form: u8, body: &'a [u8]) -> Record<'a> {
        let known = || Record::decode_known(Kind::from_code(kind)?, body);
        let decoded = match form {
            0 => known(),
            FORM_SEALED => known().and_then(Record::without_numbers),
            _ => None,
        };
        decoded.unwrap_or(Record::Unknown { kind, form, body })
    }

    /// A record whose numbers cannot be read; none if its kind has none.
    fn without_numbers(self) -> Option<Record<'a>> {
        let none = |address: Address<'a>| Address { raw: &[], ..address };
        Some(match self {
            Record::Verdict(record) => Record::Verdict(VerdictRecord {
                source: none(record.source),
                destination: none(record.destination),
                ..record
            }),
            Record::Reply(record) => Record::Reply(ReplyRecord {
                source: none(record.source),
                destination: none(record.destination),
                text: &[],
                ..record
            }),
            Record::Receipt(record) => Record::Receipt(ReceiptRecord {
                source: none(record.source),
                destination: none(record.destination),
                ..record
            }),
            Record::Content(record) => Record::Content(ContentRecord { octets: &[], ..record }),
            Record::Unsuccess(record) => Record::Unsuccess(UnsuccessRecord {
                destination: none(record.destination),
                ..record
            }),
            Record::Consent(record) => {
                Record::Consent(ConsentRecord { recipient: none(record.recipient), ..record })
            }
            _ => return None,
        })
    }

    fn decode_known(kind: Kind, body: &'a [u8]) -> Option<Record<'a>> {
        let mut rest = Rest(body);
        let record = match kind {
            Kind::Link => {
                let mut octets = [0; LINK_OCTETS];
                octets[RECORD_HEAD_OCTETS..]
                    .copy_from_slice(rest.take(LINK_OCTETS - RECORD_HEAD_OCTETS)?);
                let Link { first, count, sealed, chain, .. } = Link::decode(&octets);
                Record::Link(LinkRecord { first, count, sealed, chain })
            }
            Kind::Start => Record::Start(StartRecord {
                config: rest.array()?,
                rules: rest.array()?,
                program: rest.text()?,
                rule_set: rest.text()?,
                reading: if rest.0.is_empty() { "" } else { rest.text()? },
            }),
            Kind::Stop => Record::Stop,
            Kind::Rules => {
                Record::Rules(RulesRecord { rules: rest.array()?, rule_set: rest.text()? })
            }
            Kind::Bind => Record::Bind(decode_bind(&mut rest)?),
            Kind::Verdict => Record::Verdict(decode_verdict(&mut rest)?),
            Kind::Response => Record::Response(ResponseRecord {
                session: rest.u64()?,
                command_id: rest.u32()?,
                sequence_number: rest.u32()?,
                status: rest.u32()?,
                latency_us: rest.u32()?,
                flags: rest.u8()?,
                message_id: rest.counted()?,
            }),
            Kind::Unanswered => Record::Unanswered(UnansweredRecord {
                session: rest.u64()?,
                command_id: rest.u32()?,
                sequence_number: rest.u32()?,
                verdict_us: rest.u64()?,
            }),
            Kind::Reply => Record::Reply(ReplyRecord {
                session: rest.u64()?,
                command_id: rest.u32()?,
                sequence_number: rest.u32()?,
                reply: rest.u8()?,
                source: rest.address()?,
                destination: rest.address()?,
                data_coding: rest.u8()?,
                text: rest.counted()?,
            }),
            Kind::Purge => Record::Purge(decode_purge(&mut rest)?),
            Kind::Hold => Record::Hold(decode_hold(&mut rest)?),
            Kind::Content => Record::Content(content::decode(&mut rest)?),
            Kind::Checkpoint => Record::Checkpoint(Signed {
                checkpoint: Checkpoint {
                    segment: rest.u64()?,
                    first: rest.u64()?,
                    size: rest.u64()?,
                    root: rest.array()?,
                    chain: rest.array()?,
                    time_us: rest.u64()?,
                    key: rest.array()?,
                },
                signature: rest.array()?,
            }),
            Kind::Keys => Record::Keys(KeysRecord {
                what: rest.u8()?,
                key: rest.text()?,
                numbers: rest.array()?,
                content: rest.array()?,
                first: rest.u64()?,
                through: rest.u64()?,
                reason: rest.text()?,
            }),
            Kind::Receipt => Record::Receipt(receipt::decode_receipt(&mut rest)?),
            Kind::Unsuccess => Record::Unsuccess(receipt::decode_unsuccess(&mut rest)?),
            Kind::Consent => Record::Consent(events::decode_consent(&mut rest)?),
            Kind::Registry => Record::Registry(events::decode_registry(&mut rest)?),
            Kind::Access => Record::Access(events::decode_access(&mut rest)?),
            Kind::End => Record::End(EndRecord {
                session: rest.u64()?,
                reason: rest.u8()?,
                forwarded: rest.u64()?,
                refused: rest.u64()?,
                unanswered: rest.u64()?,
            }),
        };
        rest.0.is_empty().then_some(record)
    }
}

fn decode_bind<'a>(rest: &mut Rest<'a>) -> Option<BindRecord<'a>> {
    Some(BindRecord {
        session: rest.u64()?,
        command_id: rest.u32()?,
        sequence_number: rest.u32()?,
        verdict: rest.u8()?,
        rule: rest.u8()?,
        observed: rest.u64()?,
        status: rest.u32()?,
        interface_version: rest.u8()?,
        peer: rest.socket()??,
        smsc: rest.socket()?,
        listener: rest.text()?,
        provider: rest.text()?,
        system_id: rest.counted()?,
    })
}

/// Bit of a verdict's last fixed octet: a part follows the addresses.
pub(super) const HAS_PART: u8 = 1;
/// The same: then a class.
pub(super) const HAS_CLASS: u8 = 2;
/// The same: then an event of the consent ledger.
pub(super) const HAS_CONSENT: u8 = 4;
/// The same: then three ids, each as a text: entity, template, consent.
pub(super) const HAS_REFERENCES: u8 = 8;
/// The same, and nothing follows: the proxy asked for a receipt.
pub(super) const ASKS_RECEIPT: u8 = 16;

/// Octets of a verdict's body before its addresses.
pub(super) const VERDICT_FIXED_OCTETS: usize = 37;

fn decode_verdict<'a>(rest: &mut Rest<'a>) -> Option<VerdictRecord<'a>> {
    let session = rest.u64()?;
    let command_id = rest.u32()?;
    let sequence_number = rest.u32()?;
    let verdict = rest.u8()?;
    let rule = rest.u8()?;
    let observed = rest.u64()?;
    let status = rest.u32()?;
    let command_length = rest.u32()?;
    let esm_class = rest.u8()?;
    let data_coding = rest.u8()?;
    let has = rest.u8()?;
    if has > HAS_PART | HAS_CLASS | HAS_CONSENT | HAS_REFERENCES | ASKS_RECEIPT {
        return None;
    }
    let source = rest.address()?;
    let destination = rest.address()?;
    let part = match has & HAS_PART {
        0 => None,
        _ => Some(Part { number: rest.u8()?, total: rest.u8()?, reference: rest.u16()? }),
    };
    let class = if has & HAS_CLASS != 0 { rest.u8()? } else { 0 };
    let consent = if has & HAS_CONSENT != 0 { rest.u64()? } else { 0 };
    let references = match has & HAS_REFERENCES {
        0 => References::default(),
        _ => References {
            entity: rest.counted()?,
            template: rest.counted()?,
            consent: rest.counted()?,
        },
    };
    Some(VerdictRecord {
        session,
        command_id,
        sequence_number,
        verdict,
        rule,
        observed,
        status,
        command_length,
        source,
        destination,
        esm_class,
        data_coding,
        part,
        class,
        consent,
        asks_receipt: has & ASKS_RECEIPT != 0,
        references,
    })
}

/// What is left of a body.
pub(super) struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(super) fn all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn take(&mut self, octets: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(octets)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.first_chunk().copied()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn counted(&mut self) -> Option<&'a [u8]> {
        let octets = self.u8()?;
        self.take(usize::from(octets))
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.counted()?).ok()
    }

    pub(super) fn address(&mut self) -> Option<Address<'a>> {
        Some(Address { ton: self.u8()?, npi: self.u8()?, raw: self.counted()? })
    }

    /// The outer `None`: malformed; the inner: no address.
    #[allow(clippy::option_option)]
    pub(super) fn socket(&mut self) -> Option<Option<SocketAddr>> {
        let family = self.u8()?;
        if family == 0 {
            return Some(None);
        }
        let port = self.u16()?;
        let ip = match family {
            4 => IpAddr::V4(Ipv4Addr::from(self.array::<4>()?)),
            6 => IpAddr::V6(Ipv6Addr::from(self.array::<16>()?)),
            _ => return None,
        };
        Some(Some(SocketAddr::new(ip, port)))
    }
}
