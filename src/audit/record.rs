//! The bodies of records: one structure a kind, the same for writing and for reading.
//!
//! Texts are a length octet and then the octets; an address is TON, NPI, a length octet and the
//! raw octets of the PDU; a socket address is 0 (none), 4 or 6, then the port (u16) and the IP.
//! The fields stand in the order of the structures unless the encoder says otherwise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::content::{self, ContentRecord};
use super::events::{self, AccessRecord, ConsentRecord, RegistryRecord};
use super::format::{Chain, KIND_LINK, KIND_RULES, LINK_OCTETS, Link, RECORD_HEAD_OCTETS};
use super::proof::{Checkpoint, Signed};
use super::receipt::{self, ReceiptRecord, UnsuccessRecord};
use super::retention::{HoldRecord, PurgeRecord, decode_hold, decode_purge};
use super::sealed::FORM_SEALED;

/// Octets of a text: provider, system_id, listener, versions. Longer texts are cut.
pub const NAME_OCTETS_MAX: usize = 255;
/// Octets of an address without its NUL: data_sm has room for 65 (SMPP 3.4 4.7.1). Longer are cut.
pub const ADDRESS_OCTETS_MAX: usize = 64;
/// Octets of a message_id without its NUL (SMPP 3.4 5.2.23 has 65 with it). Longer are cut.
pub const MESSAGE_ID_OCTETS_MAX: usize = 65;

/// Verdict: the message goes on.
pub const PASS: u8 = 1;
/// Verdict: the message is answered with a status and goes no further.
pub const REFUSE: u8 = 2;
/// Verdict: the message goes on although a rule in observe mode would have refused it.
pub const OBSERVE: u8 = 3;

/// What a record is. The numbers are stable for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Covers the group before it.
    Link = KIND_LINK,
    /// The journal was opened.
    Start = 2,
    /// The journal was closed in good order.
    Stop = 3,
    /// Other rules or another registry are in force.
    Rules = KIND_RULES,
    /// A bind was judged.
    Bind = 5,
    /// A message was judged.
    Verdict = 6,
    /// The SMSC answered a message that went on.
    Response = 7,
    /// The SMSC did not answer a message that went on.
    Unanswered = 8,
    /// A session ended.
    End = 9,
    /// A handset answered a code with a word that ends or gives consent.
    Reply = 10,
    /// The SMSC told what became of a message.
    Receipt = 11,
    /// The consent ledger was told something by an operator.
    Consent = 12,
    /// The notary signed what a segment was.
    Checkpoint = 13,
    /// A segment is purged.
    Purge = 14,
    /// A legal hold was set or lifted.
    Hold = 15,
    /// The keys of a segment, or that keys were destroyed.
    Keys = 16,
    /// Somebody looked at records.
    Access = 18,
    /// Rules or registry are others than when the journal was open last.
    Registry = 19,
    /// What a message says.
    Content = 17,
    /// The SMSC did not take a destination of a submit_multi.
    Unsuccess = 20,
}

impl Kind {
    /// The kind with this number, if this program knows it.
    pub fn from_code(code: u8) -> Option<Kind> {
        Some(match code {
            1 => Kind::Link,
            2 => Kind::Start,
            3 => Kind::Stop,
            4 => Kind::Rules,
            5 => Kind::Bind,
            6 => Kind::Verdict,
            7 => Kind::Response,
            8 => Kind::Unanswered,
            9 => Kind::End,
            10 => Kind::Reply,
            11 => Kind::Receipt,
            12 => Kind::Consent,
            13 => Kind::Checkpoint,
            14 => Kind::Purge,
            15 => Kind::Hold,
            16 => Kind::Keys,
            18 => Kind::Access,
            19 => Kind::Registry,
            17 => Kind::Content,
            20 => Kind::Unsuccess,
            _ => return None,
        })
    }

    /// The name in listings, lower case.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Link => "link",
            Kind::Start => "start",
            Kind::Stop => "stop",
            Kind::Rules => "rules",
            Kind::Bind => "bind",
            Kind::Verdict => "verdict",
            Kind::Response => "response",
            Kind::Unanswered => "unanswered",
            Kind::End => "end",
            Kind::Reply => "reply",
            Kind::Checkpoint => "checkpoint",
            Kind::Purge => "purge",
            Kind::Hold => "hold",
            Kind::Keys => "keys",
            Kind::Content => "content",
            Kind::Receipt => "receipt",
            Kind::Consent => "consent",
            Kind::Access => "access",
            Kind::Registry => "registry",
            Kind::Unsuccess => "unsuccess",
        }
    }
}

/// A record as it was read, borrowing from the octets of the journal.
#[derive(Clone, PartialEq, Eq)]
pub enum Record<'a> {
    /// See [`LinkRecord`].
    Link(LinkRecord),
    /// See [`StartRecord`].
    Start(StartRecord<'a>),
    /// The journal was closed in good order.
    Stop,
    /// See [`RulesRecord`].
    Rules(RulesRecord<'a>),
    /// See [`BindRecord`].
    Bind(BindRecord<'a>),
    /// See [`VerdictRecord`].
    Verdict(VerdictRecord<'a>),
    /// See [`ResponseRecord`].
    Response(ResponseRecord<'a>),
    /// See [`UnansweredRecord`].
    Unanswered(UnansweredRecord),
    /// See [`EndRecord`].
    End(EndRecord),
    /// See [`ReplyRecord`].
    Reply(ReplyRecord<'a>),
    /// See [`Signed`]: the fields in the order of its note, then the signature.
    Checkpoint(Signed),
    /// See [`PurgeRecord`].
    Purge(PurgeRecord<'a>),
    /// See [`HoldRecord`].
    Hold(HoldRecord<'a>),
    /// See [`KeysRecord`].
    Keys(KeysRecord<'a>),
    /// See [`ContentRecord`].
    Content(ContentRecord<'a>),
    /// See [`ReceiptRecord`].
    Receipt(ReceiptRecord<'a>),
    /// See [`UnsuccessRecord`].
    Unsuccess(UnsuccessRecord<'a>),
    /// See [`ConsentRecord`].
    Consent(ConsentRecord<'a>),
    /// See [`RegistryRecord`].
    Registry(RegistryRecord<'a>),
    /// See [`AccessRecord`].
    Access(AccessRecord<'a>),
    /// A kind, a form or a layout that a later program wrote: shown as `unknown`.
    Unknown {
        /// The kind's number.
        kind: u8,
        /// The form's number.
        form: u8,
        /// The body as it is.
        body: &'a [u8],
    },
}

/// Covers the group before it with the hash chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRecord {
    /// Number of the first record covered.
    pub first: u64,
    /// Records covered.
    pub count: u32,
    /// Whether the segment ends here and another follows.
    pub sealed: bool,
    /// The chain value from here on.
    pub chain: Chain,
}

/// The journal was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartRecord<'a> {
    /// SHA-256 of the configuration.
    pub config: [u8; 32],
    /// SHA-256 of rules and registry in force.
    pub rules: [u8; 32],
    /// Version of the program, as `--version` prints it.
    pub program: &'a str,
    /// Name of the rule set, as `cn-order74-2026`.
    pub rule_set: &'a str,
    /// What texts were read with: digest of the weights, versions of the lists. Empty in journals of
    /// before it was recorded.
    pub reading: &'a str,
}

/// Other rules or another registry came into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesRecord<'a> {
    /// SHA-256 of rules and registry now in force.
    pub rules: [u8; 32],
    /// Name of the rule set.
    pub rule_set: &'a str,
}

/// A bind was judged.
#[derive(Clone, PartialEq, Eq)]
pub struct BindRecord<'a> {
    /// The session, from `Journal::next_session_id`.
    pub session: u64,
    /// bind_receiver, bind_transmitter or bind_transceiver (SMPP 3.4 5.1.2.1).
    pub command_id: u32,
    /// sequence_number of the bind.
    pub sequence_number: u32,
    /// [`PASS`], [`REFUSE`] or [`OBSERVE`].
    pub verdict: u8,
    /// Code of the rule that decided; 0 when none did.
    pub rule: u8,
    /// Bit n: rule code n in observe mode would have refused.
    pub observed: u64,
    /// command_status returned to the ESME.
    pub status: u32,
    /// interface_version of the bind.
    pub interface_version: u8,
    /// Address and port that the ESME came from.
    pub peer: SocketAddr,
    /// Address and port of the SMSC; none when the bind was refused before one was tried.
    pub smsc: Option<SocketAddr>,
    /// The listener, as the configuration writes its address.
    pub listener: &'a str,
    /// The provider's name from the registry; empty when unknown.
    pub provider: &'a str,
    /// system_id as it came, without its NUL (at most 15 octets when well formed).
    pub system_id: &'a [u8],
}

/// An address as it came in the PDU.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Address<'a> {
    /// Type of number (SMPP 3.4 5.2.5).
    pub ton: u8,
    /// Numbering plan indicator (SMPP 3.4 5.2.6).
    pub npi: u8,
    /// The octets without NUL; more than [`ADDRESS_OCTETS_MAX`] are cut.
    pub raw: &'a [u8],
}

/// Which part of a concatenated message a PDU is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: u8,
    /// Parts in all.
    pub total: u8,
    /// Reference number, 8 or 16 bits.
    pub reference: u16,
}

/// Octets of an id in a vendor's parameter; longer ones are cut.
pub const REFERENCE_OCTETS_MAX: usize = 64;

/// The ids that a message names in parameters of its vendor's, as they came but for a NUL at the end;
/// empty where it names none. They are proof of nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct References<'a> {
    /// Of the legal entity.
    pub entity: &'a [u8],
    /// Of the template.
    pub template: &'a [u8],
    /// Of the recipient's consent.
    pub consent: &'a [u8],
}

impl References<'_> {
    /// Whether it names none.
    pub fn is_empty(&self) -> bool {
        self.entity.is_empty() && self.template.is_empty() && self.consent.is_empty()
    }

    /// Whether one of them is this, octet for octet.
    pub fn contains(&self, id: &[u8]) -> bool {
        [self.entity, self.template, self.consent].contains(&id)
    }
}

impl std::fmt::Debug for References<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [entity, template, consent] =
            [self.entity, self.template, self.consent].map(<[u8]>::len);
        write!(f, "entity {entity} template {template} consent {consent} octets")
    }
}

/// A message was judged.
#[derive(Clone, PartialEq, Eq)]
pub struct VerdictRecord<'a> {
    /// The session.
    pub session: u64,
    /// command_id of the request.
    pub command_id: u32,
    /// sequence_number of the request.
    pub sequence_number: u32,
    /// [`PASS`], [`REFUSE`] or [`OBSERVE`].
    pub verdict: u8,
    /// Code of the rule that decided, or that was observed; 0 when none did.
    pub rule: u8,
    /// Bit n: rule code n in observe mode would have refused.
    pub observed: u64,
    /// command_status returned; 0 when the message goes on.
    pub status: u32,
    /// command_length of the request, octets.
    pub command_length: u32,
    /// Its source address.
    pub source: Address<'a>,
    /// Its destination address; the first, or the one this record is about, of a submit_multi.
    pub destination: Address<'a>,
    /// esm_class (SMPP 3.4 5.2.12).
    pub esm_class: u8,
    /// data_coding (SMPP 3.4 5.2.19).
    pub data_coding: u8,
    /// The part it is of a longer message.
    pub part: Option<Part>,
    /// What its text was called, by the registry or the classifier: 1 commercial, 2 verification code, 3 notification, 4
    /// public, 5 personal, 6 fraud, 7 illicit; 0 when no text was read.
    pub class: u8,
    /// The event of the consent ledger that decided; 0 when none did.
    pub consent: u64,
    /// It went on asking for a receipt, which the ESME had not asked for.
    pub asks_receipt: bool,
    /// The ids that it names in its vendor's parameters. They stand last, and only where there are any: the
    /// records of before have none.
    pub references: References<'a>,
}

/// The SMSC answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseRecord<'a> {
    /// The session.
    pub session: u64,
    /// command_id of the response.
    pub command_id: u32,
    /// sequence_number of request and response.
    pub sequence_number: u32,
    /// command_status of the response.
    pub status: u32,
    /// From forwarding the request to reading the response, microseconds.
    pub latency_us: u32,
    /// [`ResponseRecord::DUPLICATE_SEQUENCE`] and bits yet to come.
    pub flags: u8,
    /// message_id without its NUL; empty when the response had none.
    pub message_id: &'a [u8],
}

impl ResponseRecord<'_> {
    /// Flag: the ESME used the sequence_number again while a request with it was open.
    pub const DUPLICATE_SEQUENCE: u8 = 1;
}

/// A message went on and was not answered before its session ended or its time ran out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnansweredRecord {
    /// The session.
    pub session: u64,
    /// command_id of the request.
    pub command_id: u32,
    /// sequence_number of the request.
    pub sequence_number: u32,
    /// Time of its verdict record, microseconds since the Unix epoch.
    pub verdict_us: u64,
}

/// A session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndRecord {
    /// The session.
    pub session: u64,
    /// Why, a code of the session's.
    pub reason: u8,
    /// Messages that went on; a submit_multi counts for each destination that it went on to.
    pub forwarded: u64,
    /// Messages refused, counted alike.
    pub refused: u64,
    /// Messages that went on and were never answered.
    pub unanswered: u64,
}

/// Octets of a reply's text; longer ones are cut. A keyword is far shorter.
pub const REPLY_OCTETS_MAX: usize = 255;

/// A handset answered a code with a word that ends or gives consent (Order 31 art. 11: subscription
/// and cancellation are on record).
#[derive(Clone, PartialEq, Eq)]
pub struct ReplyRecord<'a> {
    /// The session that the answer came to.
    pub session: u64,
    /// deliver_sm or data_sm.
    pub command_id: u32,
    /// sequence_number of the SMSC's request.
    pub sequence_number: u32,
    /// [`ReplyRecord::OPT_OUT`] or [`ReplyRecord::OPT_IN`].
    pub reply: u8,
    /// The handset.
    pub source: Address<'a>,
    /// The code that it answered.
    pub destination: Address<'a>,
    /// data_coding of the text.
    pub data_coding: u8,
    /// The text verbatim, as octets of the PDU; more than [`REPLY_OCTETS_MAX`] are cut.
    pub text: &'a [u8],
}

impl ReplyRecord<'_> {
    /// It ends consent.
    pub const OPT_OUT: u8 = 1;
    /// It gives consent, if consent was asked for.
    pub const OPT_IN: u8 = 2;
}

/// The keys of a segment, or that keys were destroyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysRecord<'a> {
    /// [`KeysRecord::BEGUN`], [`KeysRecord::DESTROYED_ALL`] or [`KeysRecord::DESTROYED_CONTENT`].
    pub what: u8,
    /// Name of the node's numbers key.
    pub key: &'a str,
    /// SHA-256 of the sidecar with the data key of numbers; zeros where there is none.
    pub numbers: [u8; 32],
    /// SHA-256 of the sidecar with the data key of content; zeros where there is none.
    pub content: [u8; 32],
    /// Number of the first record that this is about.
    pub first: u64,
    /// Number of the last one; 0 where that is not known yet.
    pub through: u64,
    /// Why, in the words of who did it.
    pub reason: &'a str,
}

impl KeysRecord<'_> {
    /// A segment begins, and these are its keys.
    pub const BEGUN: u8 = 1;
    /// The keys of numbers and of content were destroyed.
    pub const DESTROYED_ALL: u8 = 2;
    /// The keys of content were destroyed, those of numbers not.
    pub const DESTROYED_CONTENT: u8 = 3;

    /// What happened, in words that stay.
    pub fn event(&self) -> &'static str {
        match self.what {
            KeysRecord::BEGUN => "begun",
            KeysRecord::DESTROYED_ALL => "destroyed",
            KeysRecord::DESTROYED_CONTENT => "content destroyed",
            _ => "unknown",
        }
    }
}

// Numbers and system_ids stay out of logs: Debug shows what is no person's and lengths.
impl std::fmt::Debug for Address<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ton {} npi {} {} octets", self.ton, self.npi, self.raw.len())
    }
}

impl std::fmt::Debug for VerdictRecord<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerdictRecord")
            .field("session", &self.session)
            .field("command_id", &format_args!("{:#010x}", self.command_id))
            .field("sequence_number", &self.sequence_number)
            .field("verdict", &self.verdict)
            .field("rule", &self.rule)
            .field("status", &format_args!("{:#010x}", self.status))
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for BindRecord<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BindRecord")
            .field("session", &self.session)
            .field("provider", &self.provider)
            .field("verdict", &self.verdict)
            .field("rule", &self.rule)
            .field("status", &format_args!("{:#010x}", self.status))
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Record::Link(record) => record.fmt(f),
            Record::Start(record) => record.fmt(f),
            Record::Stop => f.write_str("Stop"),
            Record::Rules(record) => record.fmt(f),
            Record::Bind(record) => record.fmt(f),
            Record::Verdict(record) => record.fmt(f),
            Record::Response(record) => record.fmt(f),
            Record::Unanswered(record) => record.fmt(f),
            Record::End(record) => record.fmt(f),
            Record::Reply(record) => {
                write!(f, "Reply {{ session {}, reply {} }}", record.session, record.reply)
            }
            Record::Checkpoint(signed) => signed.checkpoint.fmt(f),
            Record::Purge(record) => record.fmt(f),
            Record::Hold(record) => record.fmt(f),
            Record::Keys(record) => record.fmt(f),
            Record::Content(record) => record.fmt(f),
            Record::Receipt(record) => record.fmt(f),
            Record::Unsuccess(record) => record.fmt(f),
            Record::Consent(record) => record.fmt(f),
            Record::Registry(record) => record.fmt(f),
            Record::Access(record) => record.fmt(f),
            Record::Unknown { kind, form, body } => {
                write!(f, "Unknown {{ kind {kind}, form {form}, {} octets }}", body.len())
            }
        }
    }
}

impl<'a> Record<'a> {
    /// The name of its kind in listings; `unknown` where this program does not know it.
    pub fn name(&self) -> &'static str {
        match self {
            Record::Link(_) => Kind::Link.name(),
            Record::Start(_) => Kind::Start.name(),
            Record::Stop => Kind::Stop.name(),
            Record::Rules(_) => Kind::Rules.name(),
            Record::Bind(_) => Kind::Bind.name(),
            Record::Verdict(_) => Kind::Verdict.name(),
            Record::Response(_) => Kind::Response.name(),
            Record::Unanswered(_) => Kind::Unanswered.name(),
            Record::End(_) => Kind::End.name(),
            Record::Reply(_) => Kind::Reply.name(),
            Record::Checkpoint(_) => Kind::Checkpoint.name(),
            Record::Purge(_) => Kind::Purge.name(),
            Record::Hold(_) => Kind::Hold.name(),
            Record::Keys(_) => Kind::Keys.name(),
            Record::Content(_) => Kind::Content.name(),
            Record::Receipt(_) => Kind::Receipt.name(),
            Record::Unsuccess(_) => Kind::Unsuccess.name(),
            Record::Consent(_) => Kind::Consent.name(),
            Record::Registry(_) => Kind::Registry.name(),
            Record::Access(_) => Kind::Access.name(),
            Record::Unknown { .. } => "unknown",
        }
    }

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
