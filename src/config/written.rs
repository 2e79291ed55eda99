//! The file as it is written: every key, optional or not, with its place. serde reads it and
//! schemars describes it; what the values mean is decided by the other files of this room.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use toml::Spanned;

use super::upstreams::Written as Smscs;
use super::{
    Alphabet, CaptureText, CaptureVerdict, Durability, LogFormat, LogLevel, Mode, OverrideMode,
    PartsMode, Review, RuleSet, Statuses,
};
use super::{MirrorFormat, MirrorNumbers, Packing, Receipts, SecondSender, bounds, duration, size};

/// A duration with its unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub Duration);

/// A size with its unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size(pub usize);

/// Settings of the proxy. Relative paths are relative to the folder of this file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "consentry.toml")]
pub(super) struct File {
    /// Addresses where ESMEs connect, with the SMSC behind each.
    #[schemars(with = "Option<Vec<Listen>>")]
    pub listen: Option<Vec<Spanned<Listen>>>,
    /// Addresses where an SMSC connects to send outbind, with the ESME behind each.
    #[schemars(with = "Option<Vec<Outbind>>")]
    pub outbind: Option<Vec<Spanned<Outbind>>>,
    /// What may be used at most.
    pub limits: Option<Limits>,
    /// How long is waited.
    pub timeouts: Option<Timeouts>,
    /// What is judged, by which law, and what happens then.
    pub rules: Option<Rules>,
    /// Who is admitted.
    pub registry: Option<Registry>,
    /// Which node this is, of how many.
    pub cluster: Option<super::cluster::Written>,
    /// Where consent is kept.
    pub consent: Option<Consent>,
    /// What texts are read with.
    pub content: Option<Content>,
    /// What becomes of the parts of long messages.
    pub long_messages: Option<LongMessages>,
    /// Where decisions are recorded.
    pub audit: Option<Audit>,
    /// Where records go on to.
    #[schemars(with = "Option<Vec<Mirror>>", length(max = bounds::MIRRORS_MAX))]
    pub mirror: Option<Vec<Spanned<Mirror>>>,
    /// Consent events on Kafka topics, in or out.
    #[schemars(with = "Option<Vec<super::streams::Written>>", length(max = bounds::STREAMS_MAX))]
    pub stream: Option<Vec<Spanned<super::streams::Written>>>,
    /// The proxy's own traces.
    pub capture: Option<Capture>,
    /// When changed files are put in force by themselves; else at SIGHUP and when the API is asked.
    pub reload: Option<super::reload::Written>,
    /// Where spans of sessions and messages go. Without this section there are none.
    pub traces: Option<super::traces::Written>,
    /// What the metrics tell apart.
    pub metrics: Option<Metrics>,
    /// Metrics, health and the API over HTTP. Without this section there is none.
    pub admin: Option<Admin>,
    /// The log on standard error.
    pub log: Option<Log>,
}

/// One ESME bind becomes one SMSC bind.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Listen {
    /// IP address and port; port 0 takes a free one and the log names it.
    #[schemars(with = "String")]
    pub address: Spanned<String>,
    /// `host:port` of the SMSC; several are tried in order, each the standby of those before it. Or tables
    /// with a weight each, and standby for those that get binds only while no other is up.
    #[schemars(with = "Vec<Smscs>", length(min = 1, max = bounds::PEERS_MAX))]
    pub smsc: Spanned<Vec<Spanned<Smscs>>>,
    /// How the SMSC reads data_coding 0.
    #[schemars(extend("default" = "gsm7"))]
    pub default_alphabet: Option<Alphabet>,
    /// How the SMSC takes GSM 7 bit text: unpacked, or packed.
    #[schemars(extend("default" = "unpacked"))]
    pub packing: Option<Packing>,
    /// Which receipts the SMSC is asked for: those that the ESME asks for, or all.
    #[schemars(extend("default" = "as-asked"))]
    pub receipts: Option<Receipts>,
    /// What becomes of a submit_sm or data_sm whose parameters name another sender (callback_num,
    /// callback_num_pres_ind, callback_num_atag, source_subaddress): refused, or stripped of them.
    #[schemars(extend("default" = "refuse"))]
    pub second_sender: Option<SecondSender>,
    /// After how long without a word on an SMSC's connection an enquire_link of the proxy's own goes there;
    /// without it, none does.
    #[schemars(with = "Option<Time>")]
    pub enquire_link: Option<Spanned<Time>>,
    /// TLS towards ESMEs. Without it, plain SMPP.
    #[schemars(with = "Option<super::tls::WrittenTls>")]
    pub tls: Option<super::tls::WrittenTls>,
    /// TLS towards the SMSC. Without it, plain SMPP.
    #[schemars(with = "Option<super::tls::WrittenSmscTls>")]
    pub smsc_tls: Option<super::tls::WrittenSmscTls>,
    /// Networks of balancers whose connections must begin with a PROXY protocol header, version 1 or 2: the
    /// address in it counts as where the ESME connects from. From elsewhere no header is taken.
    #[schemars(with = "Option<Vec<String>>", length(min = 1, max = bounds::NETWORKS_MAX))]
    pub proxy_protocol: Option<Spanned<Vec<Spanned<String>>>>,
    /// Whether the SMSC is told the ESME's address by a PROXY protocol header, and in which version.
    pub smsc_proxy_protocol: Option<super::ProxyProtocol>,
    /// Networks from which ESMEs may connect; without it, from everywhere.
    #[schemars(with = "Option<Vec<String>>", length(min = 1, max = bounds::NETWORKS_MAX))]
    pub allow: Option<Spanned<Vec<Spanned<String>>>>,
}

/// An SMSC that connects here and sends outbind is led to the ESME.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Outbind {
    /// IP address and port; port 0 takes a free one and the log names it.
    #[schemars(with = "String")]
    pub address: Spanned<String>,
    /// `host:port` of the ESME; several are tried in order.
    #[schemars(with = "Vec<String>", length(min = 1, max = bounds::PEERS_MAX))]
    pub esme: Spanned<Vec<Spanned<String>>>,
}

/// What may be used at most.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    /// Threads that carry traffic; without it, one for each core.
    #[schemars(with = "Option<u32>", extend(
        "minimum" = bounds::THREADS.min,
        "maximum" = bounds::THREADS.max,
    ))]
    pub threads: Option<Spanned<u32>>,
    /// ESME connections at once.
    #[schemars(with = "Option<u32>", extend(
        "default" = bounds::SESSIONS.default,
        "minimum" = bounds::SESSIONS.min,
        "maximum" = bounds::SESSIONS.max,
    ))]
    pub sessions: Option<Spanned<u32>>,
    /// ESME connections at once from one IP address.
    #[schemars(with = "Option<u32>", extend(
        "default" = bounds::SESSIONS_PER_ADDRESS.default,
        "minimum" = bounds::SESSIONS_PER_ADDRESS.min,
        "maximum" = bounds::SESSIONS_PER_ADDRESS.max,
    ))]
    pub sessions_per_address: Option<Spanned<u32>>,
    /// Sessions at once of one provider; without it, as many as sessions allows. A bind beyond is refused by
    /// rule rate.exceeded.
    #[schemars(with = "Option<u32>", extend(
        "minimum" = bounds::SESSIONS_PER_PROVIDER.min,
        "maximum" = bounds::SESSIONS_PER_PROVIDER.max,
    ))]
    pub sessions_per_provider: Option<Spanned<u32>>,
    /// Failed binds from one IP address that cost it nothing. Beyond them each makes its next connections
    /// wait before they are served, 1 s and then twice as long each time up to 30 s, until a bind succeeds or
    /// none failed for 10 minutes. 0: they never wait.
    #[schemars(with = "Option<u32>", extend(
        "default" = bounds::BIND_FAILURES.default,
        "minimum" = bounds::BIND_FAILURES.min,
        "maximum" = bounds::BIND_FAILURES.max,
    ))]
    pub bind_failures: Option<Spanned<u32>>,
    /// The longest PDU (command_length).
    #[schemars(with = "Option<Size>", extend("default" = size::text(bounds::PDU_OCTETS.default)))]
    pub pdu: Option<Spanned<Size>>,
    /// What may wait in one session, each direction.
    #[schemars(
        with = "Option<Size>",
        extend("default" = size::text(bounds::SESSION_BUFFER_OCTETS.default))
    )]
    pub session_buffer: Option<Spanned<Size>>,
    /// What may wait in all sessions together.
    #[schemars(
        with = "Option<Size>",
        extend("default" = size::text(bounds::BUFFERED_OCTETS.default))
    )]
    pub buffered: Option<Spanned<Size>>,
    /// Requests of one session that wait for their response.
    #[schemars(with = "Option<u32>", extend(
        "default" = bounds::WINDOW.default,
        "minimum" = bounds::WINDOW.min,
        "maximum" = bounds::WINDOW.max,
    ))]
    pub window: Option<Spanned<u32>>,
    /// Messages that are known by the SMSC's message_id, for replace_sm, cancel_sm and query_sm.
    #[schemars(with = "Option<u32>", extend(
        "default" = bounds::ORIGINALS.default,
        "minimum" = bounds::ORIGINALS.min,
        "maximum" = bounds::ORIGINALS.max,
    ))]
    pub originals: Option<Spanned<u32>>,
}

/// How long is waited.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Timeouts {
    /// From the connection to a bind that succeeded.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::BIND.default)))]
    pub bind: Option<Spanned<Time>>,
    /// For one SMSC to take a connection and, where there is another, to answer the bind.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::CONNECT.default)))]
    pub connect: Option<Spanned<Time>>,
    /// For which an SMSC that fails gets no binds where there is another; each time in a row twice as
    /// long, 32 times at most.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::EJECTION.default)))]
    pub ejection: Option<Spanned<Time>>,
    /// For a PROXY protocol header to come, and for a TLS handshake, of either leg.
    #[schemars(
        with = "Option<Time>",
        extend("default" = duration::text(bounds::HANDSHAKE.default))
    )]
    pub handshake: Option<Spanned<Time>>,
    /// Without a PDU either way.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::IDLE.default)))]
    pub idle: Option<Spanned<Time>>,
    /// For the response to a request.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::RESPONSE.default)))]
    pub response: Option<Spanned<Time>>,
    /// For a peer that takes nothing of what waits for it.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::WRITE.default)))]
    pub write: Option<Spanned<Time>>,
    /// Silence before TCP probes the peer.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::KEEPALIVE.default)))]
    pub keepalive: Option<Spanned<Time>>,
    /// For octets that the peer's TCP does not acknowledge.
    #[schemars(
        with = "Option<Time>",
        extend("default" = duration::text(bounds::USER_TIMEOUT.default))
    )]
    pub user_timeout: Option<Spanned<Time>>,
    /// For open requests to be answered after SIGTERM.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::DRAIN.default)))]
    pub drain: Option<Spanned<Time>>,
    /// For a last PDU to be taken before the connection is cut.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::CLOSE.default)))]
    pub close: Option<Spanned<Time>>,
}

/// What is judged, by which law, and what happens then.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    /// The law.
    #[schemars(extend("default" = "cn-order74-2026"))]
    pub set: Option<RuleSet>,
    /// Whether what a rule refuses is refused, or only recorded and forwarded.
    #[schemars(extend("default" = "enforce"))]
    pub mode: Option<Mode>,
    /// Which statuses refusals carry: those that every ESME knows, or one a rule (0x0401-0x0430).
    #[schemars(extend("default" = "compatible"))]
    pub status: Option<Statuses>,
    /// What happens to a command_id that no specification names.
    #[schemars(extend("default" = "refuse"))]
    pub unknown_command: Option<super::UnknownCommand>,
    /// What happens to a submit_multi of which some recipients may not get it: refused whole, or narrowed
    /// to the others, which rewrites it and its response.
    #[schemars(extend("default" = "whole"))]
    pub submit_multi: Option<super::SubmitMulti>,
    /// Exceptions, by the rule's name.
    #[schemars(rename = "override", with = "Option<BTreeMap<String, Override>>")]
    #[serde(rename = "override")]
    pub overrides: Option<BTreeMap<Spanned<String>, Spanned<Override>>>,
}

/// How one rule differs from the rest.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Override {
    /// Its mode.
    #[schemars(with = "Option<OverrideMode>")]
    pub mode: Option<Spanned<OverrideMode>>,
    /// The command_status of its refusals, by the specification's name.
    #[schemars(with = "Option<String>")]
    pub status: Option<Spanned<String>>,
}

/// Who is admitted.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Registry {
    /// The registry's file.
    #[schemars(with = "Option<String>", extend("default" = super::REGISTRY_FILE))]
    pub file: Option<Spanned<String>>,
}

/// Where consent is kept: a folder of ours, or a database that many nodes share.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Consent {
    /// The folder.
    #[schemars(with = "Option<String>", extend("default" = super::CONSENT_PATH))]
    pub path: Option<Spanned<String>>,
    /// `postgres://...` as libpq spells it, instead of a folder: the database that many nodes share.
    #[schemars(with = "Option<String>")]
    pub url: Option<Spanned<String>>,
    /// A file with the password of the database's user, instead of one in url. Nobody but its owner and group may
    /// read it; it is read for each connection.
    #[schemars(with = "Option<String>")]
    pub password: Option<Spanned<String>>,
    /// The folder of what this node took and the database has not yet. With url alone.
    #[schemars(with = "Option<String>", extend("default" = super::cluster::OUTBOX_PATH))]
    pub outbox: Option<Spanned<String>>,
    /// How long standings count after the database was heard of last; then messages that need consent are
    /// answered ESME_RMSGQFUL until it is heard of again. With url alone.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::STALENESS.default)))]
    pub staleness: Option<Spanned<Time>>,
    /// How long a message waits for what only the database knows; then it is answered ESME_RMSGQFUL. With url
    /// alone.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::DEADLINE.default)))]
    pub deadline: Option<Spanned<Time>>,
    /// Whether a proof must have been reviewed before it counts: strict, or lenient.
    #[schemars(extend("default" = "strict"))]
    pub review: Option<Review>,
    /// Memory for standings: 25 octets a pair, in tables that grow by doubling. What does not fit is
    /// read from the folder.
    #[schemars(with = "Option<Size>", extend("default" = size::text(bounds::CACHE_OCTETS.default)))]
    pub cache: Option<Spanned<Size>>,
    /// How long a request for consent waits before silence counts as refusal.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::SILENT_AFTER.default)))]
    pub silent_after: Option<Spanned<Time>>,
    /// How far ahead a message that needs consent may be scheduled: later, consent may have ended.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::SCHEDULE_MAX.default)))]
    pub schedule_max: Option<Spanned<Time>>,
    /// How long such a message may wait to be delivered, where it says how long.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::VALIDITY_MAX.default)))]
    pub validity_max: Option<Spanned<Time>>,
}

/// What texts are read with.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    /// The classifier's weights, as `consentry content fit` writes them; without it, the built-in ones.
    #[schemars(with = "Option<String>")]
    pub weights: Option<Spanned<String>>,
    /// Lists of prohibited words and phrases, one a line.
    #[schemars(with = "Option<Vec<String>>", length(max = bounds::LISTS_MAX))]
    pub prohibited: Option<Spanned<Vec<Spanned<String>>>>,
}

/// What becomes of the parts of long messages.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct LongMessages {
    /// Whether each part is judged at once, with all that came before, or waits until all are there.
    #[schemars(extend("default" = "progressive"))]
    pub mode: Option<PartsMode>,
    /// In mode hold: how long parts wait for the others; then they are refused.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::PARTS_DEADLINE.default)))]
    pub deadline: Option<Spanned<Time>>,
    /// In mode hold: how long a sender says nothing until it is taken to wait for the answer to its part,
    /// which is then judged as in mode progressive. From deadline on that never happens.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::PARTS_SILENCE.default)))]
    pub silence: Option<Spanned<Time>>,
    /// Most parts of one message.
    #[schemars(with = "Option<u32>", extend(
        "default" = bounds::PARTS.default,
        "minimum" = bounds::PARTS.min,
        "maximum" = bounds::PARTS.max,
    ))]
    pub parts: Option<Spanned<u32>>,
    /// Most long messages of one provider that are remembered at a time.
    #[schemars(with = "Option<u32>", extend(
        "default" = bounds::PARTS_MESSAGES.default,
        "minimum" = bounds::PARTS_MESSAGES.min,
        "maximum" = bounds::PARTS_MESSAGES.max,
    ))]
    pub messages: Option<Spanned<u32>>,
    /// What the parts of one provider take at most, 255 octets each.
    #[schemars(with = "Option<Size>", extend("default" = size::text(bounds::PARTS_OCTETS.default)))]
    pub octets: Option<Spanned<Size>>,
}

/// Where decisions are recorded.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Audit {
    /// The journal's folder.
    #[schemars(with = "Option<String>", extend("default" = super::AUDIT_PATH))]
    pub path: Option<Spanned<String>>,
    /// When a message may go on: its record is synced to disk, written, or queued.
    #[schemars(extend("default" = "synced"))]
    pub durability: Option<Durability>,
    /// The folder of the keys that records are signed and sealed with; without it, `keys` beside the
    /// journal's folder.
    #[schemars(with = "Option<String>")]
    pub keys: Option<Spanned<String>>,
    /// Files with the public keys of auditors, who can read everything that is encrypted.
    #[schemars(with = "Option<Vec<String>>", length(max = bounds::AUDITORS_MAX))]
    pub auditors: Option<Spanned<Vec<Spanned<String>>>>,
    /// Of which messages the text is recorded, encrypted for the auditors: none, ports (what goes on
    /// from a code) or all (also what is refused).
    #[schemars(with = "Option<super::RecordedContent>", extend("default" = "none"))]
    pub content: Option<Spanned<super::RecordedContent>>,
    /// When what was recorded is signed.
    pub checkpoint: Option<Checkpoint>,
    /// Whether journal files that are complete are rewritten to Parquet beside them, numbers masked.
    #[schemars(extend("default" = true))]
    pub parquet: Option<bool>,
    /// Calendar months that records are kept.
    #[schemars(with = "Option<u32>", extend(
        "default" = bounds::KEEP_MONTHS.default,
        "minimum" = bounds::KEEP_MONTHS.min,
        "maximum" = bounds::KEEP_MONTHS.max,
    ))]
    pub keep_months: Option<Spanned<u32>>,
    /// The zone whose days and months these are.
    #[schemars(with = "Option<String>", extend("default" = super::AUDIT_ZONE))]
    pub zone: Option<Spanned<String>>,
    /// Size of one journal file.
    #[schemars(with = "Option<Size>", extend("default" = size::text(bounds::SEGMENT_OCTETS.default)))]
    pub segment: Option<Spanned<Size>>,
    /// What the folder may take with all files in it. The log warns from nine tenths on; at the budget
    /// every message is refused until something is purged. Without it, the disk is the limit.
    #[schemars(with = "Option<Size>")]
    pub disk_budget: Option<Spanned<Size>>,
}

/// Records delivered to somebody else as the journal grows: at least once, without delaying a message.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Mirror {
    /// Its name in metrics, logs and files: a to z, digits, - and _. Under a new name everything is
    /// delivered from the oldest record on.
    #[schemars(with = "String", length(max = bounds::MIRROR_NAME_MAX))]
    pub name: Spanned<String>,
    /// file, postgres or kafka.
    #[schemars(with = "String", extend("enum" = ["file", "postgres", "kafka"]))]
    pub kind: Spanned<String>,
    /// Kind file: the folder.
    #[schemars(with = "Option<String>")]
    pub path: Option<Spanned<String>>,
    /// Kind file: what is in the files.
    #[schemars(with = "Option<MirrorFormat>", extend("default" = "ndjson"))]
    pub format: Option<Spanned<MirrorFormat>>,
    /// Kind file: size of one file, about.
    #[schemars(with = "Option<Size>", extend("default" = size::text(bounds::MIRROR_FILE_OCTETS.default)))]
    pub file_size: Option<Spanned<Size>>,
    /// Kind file: how long one file is written at most.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::MIRROR_FILE_AGE.default)))]
    pub file_age: Option<Spanned<Time>>,
    /// Kind postgres: `postgres://user@host/database`, as libpq spells it.
    #[schemars(with = "Option<String>")]
    pub url: Option<Spanned<String>>,
    /// Kind postgres: a file with the password of the database's user, instead of one in url. Nobody but its
    /// owner and group may read it; it is read for each connection.
    #[schemars(with = "Option<String>")]
    pub password: Option<Spanned<String>>,
    /// Kind postgres: the table, with or without a schema; made if it is not there.
    #[schemars(with = "Option<String>", extend("default" = super::MIRROR_TABLE))]
    pub table: Option<Spanned<String>>,
    /// Kind kafka: `host:port` of brokers.
    #[schemars(with = "Option<Vec<String>>", length(min = 1, max = bounds::PEERS_MAX))]
    pub brokers: Option<Spanned<Vec<Spanned<String>>>>,
    /// Kind kafka: the topic.
    #[schemars(with = "Option<String>")]
    pub topic: Option<Spanned<String>>,
    /// What is shown of persons' numbers.
    #[schemars(extend("default" = "masked"))]
    pub numbers: Option<MirrorNumbers>,
    /// Whether what messages say goes along, where `[audit] content` has it recorded: encrypted as the
    /// journal has it, with the wrapped keys that auditors open.
    #[schemars(extend("default" = false))]
    pub content: Option<bool>,
    /// What rows say that they come from; without it, `[cluster] node`.
    #[schemars(with = "Option<String>")]
    pub node: Option<Spanned<String>>,
    /// Rows of one delivery at most.
    #[schemars(with = "Option<u32>", extend(
        "default" = bounds::MIRROR_BATCH.default,
        "minimum" = bounds::MIRROR_BATCH.min,
        "maximum" = bounds::MIRROR_BATCH.max,
    ))]
    pub batch: Option<Spanned<u32>>,
    /// How long records wait for more of them.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::MIRROR_WAIT.default)))]
    pub wait: Option<Spanned<Time>>,
}

/// When what was recorded is signed: whichever comes first.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkpoint {
    /// After so many records.
    #[schemars(with = "Option<u32>", extend(
        "default" = bounds::CHECKPOINT_RECORDS.default,
        "minimum" = bounds::CHECKPOINT_RECORDS.min,
        "maximum" = bounds::CHECKPOINT_RECORDS.max,
    ))]
    pub records: Option<Spanned<u32>>,
    /// After so long, if anything was recorded.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::CHECKPOINT_EVERY.default)))]
    pub every: Option<Spanned<Time>>,
}

/// The proxy's own traces: pcapng files, of the ESMEs' side, passwords overwritten.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Capture {
    /// Whether to write from the start; else when the API is asked to.
    #[schemars(extend("default" = false))]
    pub enabled: Option<bool>,
    /// The folder of the files.
    #[schemars(with = "Option<String>", extend("default" = super::CAPTURE_PATH))]
    pub path: Option<Spanned<String>>,
    /// Size of one file.
    #[schemars(
        with = "Option<Size>",
        extend("default" = size::text(bounds::CAPTURE_FILE_OCTETS.default))
    )]
    pub file_size: Option<Spanned<Size>>,
    /// Files in the folder; the oldest is removed for a new one.
    #[schemars(with = "Option<u32>", extend(
        "default" = bounds::CAPTURE_FILES.default,
        "minimum" = bounds::CAPTURE_FILES.min,
        "maximum" = bounds::CAPTURE_FILES.max,
    ))]
    pub files: Option<Spanned<u32>>,
    /// Sessions of these providers, by their names in the registry; without it, of all.
    #[schemars(with = "Option<Vec<String>>", length(max = bounds::CAPTURE_NAMES_MAX))]
    pub providers: Option<Spanned<Vec<String>>>,
    /// Messages from these codes and their extensions, and what handsets answer them; without it, all.
    #[schemars(with = "Option<Vec<String>>", length(max = bounds::CAPTURE_NAMES_MAX))]
    pub sources: Option<Spanned<Vec<String>>>,
    /// Requests with these verdicts, and their answers; without it, all.
    pub verdicts: Option<Vec<CaptureVerdict>>,
    /// Whether texts are overwritten. Passwords always are.
    #[schemars(extend("default" = "redacted"))]
    pub text: Option<CaptureText>,
}

/// What the metrics tell apart.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Metrics {
    /// Whether verdicts are also counted by provider, named as in the registry: three series each.
    #[schemars(extend("default" = false))]
    pub providers: Option<bool>,
}

/// Metrics, health and the API over HTTP.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    /// IP address and port; port 0 takes a free one and the log names it.
    #[schemars(with = "String")]
    pub address: Spanned<String>,
    /// A file with the token that /api/v1 asks for. Without it, /api/v1 is served to this machine only.
    #[schemars(with = "Option<String>")]
    pub token_file: Option<Spanned<String>>,
}

/// The log on standard error.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    /// Lines for people, or one JSON object a line.
    #[schemars(extend("default" = "text"))]
    pub format: Option<LogFormat>,
    /// The least that is logged.
    #[schemars(extend("default" = "info"))]
    pub level: Option<LogLevel>,
}

struct Reader<T> {
    expecting: &'static str,
    read: fn(&str) -> Result<T, String>,
}

impl<T> Visitor<'_> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).map_err(E::custom)
    }

    /// A number that stands without quotes and unit gets the same advice as one in quotes.
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        deserializer.deserialize_str(Reader {
            expecting: "a duration such as \"30s\"",
            read: |text| duration::parse(text).map(Time).map_err(|fault| fault.to_string()),
        })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        deserializer.deserialize_str(Reader {
            expecting: "a size such as \"64KiB\"",
            read: |text| size::parse(text).map(Size).map_err(|fault| fault.to_string()),
        })
    }
}

impl JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h)$" })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$" })
    }
}
