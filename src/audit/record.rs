//! The bodies of records: one structure a kind, the same for writing and for reading.
//!
//! Texts are a length octet and then the octets; an address is TON, NPI, a length octet and the
//! raw octets of the PDU; a socket address is 0 (none), 4 or 6, then the port (u16) and the IP.
//! The fields stand in the order of the structures unless the encoder says otherwise.

use std::net::SocketAddr;

use super::content::ContentRecord;
use super::events::{AccessRecord, ConsentRecord, RegistryRecord};
use super::format::Chain;
use super::kind::Kind;
use super::proof::Signed;
use super::receipt::{ReceiptRecord, UnsuccessRecord};
use super::retention::{HoldRecord, PurgeRecord};

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

impl Record<'_> {
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
}
