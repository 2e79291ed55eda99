//! The file that users write, `consentry.toml`, to plain validated data.
//!
//! | file | subject |
//! |---|---|
//! | `written` | every key as it stands in the file, and its JSON schema |
//! | [`bounds`] | defaults, and how far each number may go |
//! | `upstreams` | what is written of the SMSCs of a listener to what is meant |
//! | `cluster` | several nodes, and the database that they share |
//! | `mirrors` | what is written of a mirror to what is meant |
//! | `streams` | `[[stream]]`, written and meant |
//! | `networks` | networks that a listener names |
//! | `tls` | what is written of TLS, and what is meant |
//! | `reload` | `[reload]`, written and meant |
//! | `traces` | where spans go |
//! | `validate` | what is written to what is meant |
//! | [`fault`] | a mistake's line and key, in one sentence |
//! | [`nearest`] | the name that was probably meant |
//! | [`duration`], [`size`], [`address`] | small readers of values |
//! | `warnings` | what is allowed and rarely wanted |

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::postgres::Url;
use crate::smpp::CommandStatus;

pub mod address;
pub mod bounds;
mod cluster;
pub mod duration;
pub mod fault;
mod mirrors;
pub mod nearest;
mod networks;
mod reload;
pub mod size;
mod streams;
mod tls;
mod traces;
mod upstreams;
mod validate;
mod warnings;
mod written;

pub use cluster::{Cluster, Shared};
pub use fault::Fault;
pub use reload::Reload;
pub use streams::{Stream, Way};
pub use tls::{SmscTls, Tls};
pub use traces::Traces;
pub use validate::{NEVER_LOOSENED, RETRIED};

const REGISTRY_FILE: &str = "registry.toml";
const CONSENT_PATH: &str = "state/consent";
const AUDIT_PATH: &str = "state/audit";
/// The zone whose days and months count, unless the file says otherwise.
pub const AUDIT_ZONE: &str = "Asia/Shanghai";
const STREAM_GROUP: &str = "consentry";
/// The table of a mirror of kind `postgres`, unless the file says otherwise.
pub const MIRROR_TABLE: &str = "consentry_records";
const CAPTURE_PATH: &str = "state/capture";

/// Where keys are unless the file says otherwise: `keys`, beside the journal's folder and not in it,
/// so that a copy of the journal is no copy of its keys.
pub fn keys_beside(journal: &Path) -> PathBuf {
    journal.with_file_name("keys")
}

/// All settings, validated, defaults filled in, paths resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where ESMEs connect; there is at least one of these or of `outbind`.
    pub listen: Vec<Listen>,
    /// Where SMSCs connect to send outbind.
    pub outbind: Vec<Outbind>,
    /// What may be used at most.
    pub limits: Limits,
    /// How long is waited.
    pub timeouts: Timeouts,
    /// What is judged and what happens then.
    pub rules: Rules,
    /// The registry's file.
    pub registry_file: PathBuf,
    /// Which node this is, of how many.
    pub cluster: Cluster,
    /// Where consent is kept, and what it takes to count.
    pub consent: Consent,
    /// What texts are read with.
    pub content: Content,
    /// What becomes of the parts of long messages.
    pub long_messages: LongMessages,
    /// Where decisions are recorded.
    pub audit: Audit,
    /// Where records go on to, at most [`bounds::MIRRORS_MAX`].
    pub mirrors: Vec<Mirror>,
    /// Consent events in and out, at most [`bounds::STREAMS_MAX`].
    pub streams: Vec<Stream>,
    /// The proxy's own traces.
    pub capture: Capture,
    /// When changed files are put in force by themselves.
    pub reload: Reload,
    /// Where spans of sessions and messages go; `None` = nowhere.
    pub traces: Option<Traces>,
    /// What the metrics tell apart.
    pub metrics: Metrics,
    /// The HTTP listener; `None` without one.
    pub admin: Option<Admin>,
    /// The log.
    pub log: Log,
    /// SHA-256 of the file's text.
    pub digest: [u8; 32],
}

/// A `[[listen]]`: one ESME bind becomes one SMSC bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Our address; port 0 takes a free one.
    pub address: SocketAddr,
    /// The SMSCs, 1 to [`bounds::PEERS_MAX`], no address twice; one of rank 0 at least.
    pub smsc: Vec<Smsc>,
    /// How the SMSC reads data_coding 0.
    pub default_alphabet: Alphabet,
    /// How it takes GSM 7 bit text.
    pub packing: Packing,
    /// Whether it is asked for receipts that the ESME did not ask for.
    pub receipts: Receipts,
    /// What becomes of parameters that name another sender.
    pub second_sender: SecondSender,
    /// How long nothing is said on an SMSC's connection before an enquire_link of ours goes there; `None`:
    /// none does.
    pub enquire_link: Option<Duration>,
    /// How TLS is spoken to ESMEs; `None` = plain SMPP.
    pub tls: Option<Tls>,
    /// How TLS is spoken to the SMSC; `None` = plain SMPP.
    pub smsc_tls: Option<SmscTls>,
    /// Balancers that must say whose connection it is, at most [`bounds::NETWORKS_MAX`].
    pub proxy_protocol: Vec<IpNet>,
    /// How the SMSC is told whose connection it is.
    pub smsc_proxy_protocol: Option<ProxyProtocol>,
    /// Who may connect, at most [`bounds::NETWORKS_MAX`]; empty = everybody.
    pub allow: Vec<IpNet>,
}

/// An SMSC of a `[[listen]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smsc {
    /// `host:port`.
    pub address: String,
    /// How many of the new binds it gets, against the others of its rank.
    pub weight: u32,
    /// It gets binds while none of a lower rank is up: 0 for the active ones.
    pub rank: u32,
}

/// An `[[outbind]]`: a connecting SMSC is led to the ESME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbind {
    /// Our address; port 0 takes a free one.
    pub address: SocketAddr,
    /// `host:port` of the ESME, 1 to [`bounds::PEERS_MAX`], tried in order.
    pub esme: Vec<String>,
}

/// `[limits]`: what may be used at most. Defaults and bounds: [`bounds`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Threads that carry traffic; `None` = one for each core.
    pub threads: Option<usize>,
    /// ESME connections at once.
    pub sessions: usize,
    /// ESME connections at once from one IP address; never above `sessions`.
    pub sessions_per_address: usize,
    /// Sessions at once of one provider; `None` = as many as `sessions`.
    pub sessions_per_provider: Option<usize>,
    /// Failed binds from one address before its connections wait; zero = they never do.
    pub bind_failures: usize,
    /// The longest command_length, octets.
    pub pdu_octets: usize,
    /// Octets that may wait in one session, each direction; never below `pdu_octets`.
    pub session_buffer_octets: usize,
    /// Octets that may wait in all sessions together; never below twice `session_buffer_octets`.
    pub buffered_octets: usize,
    /// Requests of one session that wait for their response.
    pub window: usize,
    /// Messages that are known by the SMSC's message_id.
    pub originals: usize,
}

/// `[timeouts]`: how long is waited. Defaults and bounds: [`bounds`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the connection to a bind that succeeded.
    pub bind: Duration,
    /// For one SMSC to take a connection and, where there is another, to answer the bind.
    pub connect: Duration,
    /// For which an SMSC that fails gets no binds the first time.
    pub ejection: Duration,
    /// For a PROXY protocol header to come, and for a TLS handshake, of either leg.
    pub handshake: Duration,
    /// Without a PDU either way.
    pub idle: Duration,
    /// For the response to a request.
    pub response: Duration,
    /// For a peer that takes nothing of what waits for it.
    pub write: Duration,
    /// Silence before TCP probes the peer.
    pub keepalive: Duration,
    /// For octets that the peer's TCP does not acknowledge.
    pub user_timeout: Duration,
    /// For open requests to be answered after SIGTERM; zero waits for none.
    pub drain: Duration,
    /// For a last PDU to be taken before the connection is cut.
    pub close: Duration,
}

/// `[rules]`: what is judged, by which law, and what happens then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The law.
    pub set: RuleSet,
    /// For every rule without an override, [`NEVER_LOOSENED`] excepted.
    pub mode: Mode,
    /// Which statuses refusals carry.
    pub status: Statuses,
    /// What happens to a command_id that no specification names.
    pub unknown_command: UnknownCommand,
    /// What happens to a submit_multi of which some recipients may not get it.
    pub submit_multi: SubmitMulti,
    /// Exceptions by the rule's name, each one of the names that [`parse`] was given.
    pub overrides: BTreeMap<String, Override>,
}

/// How one rule differs from the rest; at least one field is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Override {
    /// Its mode.
    pub mode: Option<OverrideMode>,
    /// The status of its refusals: never ESME_ROK; one that ESMEs retry only for a rule of [`RETRIED`].
    pub status: Option<CommandStatus>,
}

/// `[consent]`: where consent is kept, and what it takes to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Where it is kept.
    pub place: Place,
    /// Whether a proof must have been reviewed.
    pub review: Review,
    /// Octets of memory for standings.
    pub cache_octets: usize,
    /// How long a request for consent waits before silence counts as refusal.
    pub silent_after: Duration,
    /// How far ahead a message that needs consent may be scheduled.
    pub schedule_max: Duration,
    /// How long such a message may wait to be delivered.
    pub validity_max: Duration,
}

/// Where consent is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a folder of ours.
    Folder(PathBuf),
    /// In a database that many nodes share.
    Shared(Shared),
}

/// `[content]`: what texts are read with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// The weights file; `None` = the built-in ones.
    pub weights: Option<PathBuf>,
    /// Lists of prohibited words, at most [`bounds::LISTS_MAX`].
    pub prohibited: Vec<PathBuf>,
}

/// `[long_messages]`: what becomes of their parts. Defaults and bounds: [`bounds`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongMessages {
    /// Whether parts wait for each other.
    pub mode: PartsMode,
    /// How long they wait for the others at most.
    pub deadline: Duration,
    /// How long a sender with a part that waits says nothing until it is taken to wait for the answer.
    pub silence: Duration,
    /// Most parts of one message.
    pub parts: usize,
    /// Most long messages of one provider at a time.
    pub messages: usize,
    /// Octets of their parts that are kept for one provider at most.
    pub octets: usize,
}

/// `[audit]`: where decisions are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The journal's folder.
    pub path: PathBuf,
    /// When a message may go on.
    pub durability: Durability,
    /// The folder of the keys that records are signed and sealed with.
    pub keys: PathBuf,
    /// Public keys of those who can read everything, at most [`bounds::AUDITORS_MAX`].
    pub auditors: Vec<PathBuf>,
    /// Of which messages the content is recorded: of any only where there are auditors.
    pub content: RecordedContent,
    /// When what was recorded is signed.
    pub checkpoint: Checkpoint,
    /// Whether sealed segments are rewritten to Parquet.
    pub parquet: bool,
    /// Calendar months that records are kept.
    pub keep_months: u32,
    /// The zone whose days and months these are, by its name in the IANA's list.
    pub zone: String,
    /// Size of one journal file, octets.
    pub segment_octets: usize,
    /// Octets that the journal's folder may take, at least twice `segment_octets`; `None` = what the
    /// disk has.
    pub disk_budget_octets: Option<usize>,
}

/// A `[[mirror]]`: records delivered to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Its name, unlike any other's: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// Where it goes.
    pub kind: MirrorKind,
    /// What is shown of persons' numbers.
    pub numbers: MirrorNumbers,
    /// Whether what messages say goes along, for auditors to open.
    pub content: bool,
    /// What rows say that they come from; `None` = the node's name.
    pub node: Option<String>,
    /// Rows of one delivery at most.
    pub batch: usize,
    /// How long records wait for more of them.
    pub wait: Duration,
}

/// Where a mirror goes.
#[derive(Clone, PartialEq, Eq)]
pub enum MirrorKind {
    /// Files in a folder.
    File {
        /// The folder.
        folder: PathBuf,
        /// What they hold.
        format: MirrorFormat,
        /// Octets of one file, about.
        octets: usize,
        /// How long one is written at most.
        age: Duration,
    },
    /// A PostgreSQL table.
    Postgres {
        /// Where it is; it may hold a password, and shows none.
        url: Url,
        /// A file with the password; there is none where the URL holds one.
        password: Option<PathBuf>,
        /// The table, with or without a schema.
        table: String,
    },
    /// A Kafka topic.
    Kafka {
        /// `host:port`, 1 to [`bounds::PEERS_MAX`].
        brokers: Vec<String>,
        /// The topic.
        topic: String,
    },
}

impl fmt::Debug for MirrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl MirrorKind {
    /// As `kind` writes it.
    pub const fn name(&self) -> &'static str {
        match self {
            MirrorKind::File { .. } => "file",
            MirrorKind::Postgres { .. } => "postgres",
            MirrorKind::Kafka { .. } => "kafka",
        }
    }
}

/// `[audit] checkpoint`: when what was recorded is signed, whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// After so many records.
    pub records: usize,
    /// After so long.
    pub every: Duration,
}

/// `[capture]`: the proxy's own traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Whether it runs from the start.
    pub enabled: bool,
    /// The folder of its files.
    pub path: PathBuf,
    /// Octets of one file.
    pub file_octets: usize,
    /// Files in the folder.
    pub files: usize,
    /// Providers by name, at most [`bounds::CAPTURE_NAMES_MAX`]; empty for all.
    pub providers: Vec<String>,
    /// Sender codes, at most [`bounds::CAPTURE_NAMES_MAX`]; empty for all.
    pub sources: Vec<String>,
    /// Verdicts; empty for all.
    pub verdicts: Vec<CaptureVerdict>,
    /// What is kept of texts.
    pub text: CaptureText,
}

/// `[metrics]`: what they tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// Whether verdicts are also counted by provider, named as in the registry.
    pub providers: bool,
}

/// `[admin]`: the HTTP listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Our address; port 0 takes a free one.
    pub address: SocketAddr,
    /// A file with the token that `/api/v1` asks for.
    pub token_file: Option<PathBuf>,
}

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// The least that is logged.
    pub level: LogLevel,
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$choice_doc:meta])* $choice:ident $written:literal)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
        pub enum $name {
            $($(#[$choice_doc])* #[serde(rename = $written)] $choice,)*
        }

        impl $name {
            /// The choice as it is written in the file.
            pub const fn name(self) -> &'static str {
                match self { $($name::$choice => $written,)* }
            }
        }
    )*};
}

choices! {
    /// The law whose rules apply.
    RuleSet {
        /// The draft of 2014 that Order 31 grew from.
        CnDraft2014 "cn-draft-2014"
        /// MIIT Order 31, in force 2015-06-30 to 2026-04-30.
        CnOrder31 "cn-order31-2015"
        /// MIIT Order 74, in force since 2026-05-01.
        CnOrder74 "cn-order74-2026"
    }
    /// Whether what a rule refuses is refused.
    Mode {
        /// It is refused.
        Enforce "enforce"
        /// It is recorded as refused, and forwarded.
        Observe "observe"
    }
    /// The mode of one rule.
    OverrideMode {
        /// What it refuses is refused.
        Enforce "enforce"
        /// What it refuses is recorded as refused, and forwarded.
        Observe "observe"
        /// It is not asked.
        Off "off"
    }
    /// Which command_status a refusal carries.
    Statuses {
        /// One of SMPP 3.4's, which every ESME knows.
        Compatible "compatible"
        /// One a rule, of the vendors' range (0x0401-0x0430).
        Precise "precise"
    }
    /// What happens to a command_id that no specification names.
    UnknownCommand {
        /// It is answered with a generic_nack, because it may carry text.
        Refuse "refuse"
        /// It goes on unjudged.
        Forward "forward"
    }
    /// What happens to a submit_multi of which some recipients may not get it.
    SubmitMulti {
        /// It is refused to all.
        Whole "whole"
        /// It goes on to the others, rewritten; its response names those left out.
        Narrow "narrow"
    }
    /// How an SMSC reads data_coding 0 (SMPP 3.4 5.2.19: the SMSC's default alphabet).
    Alphabet {
        /// GSM 03.38's 7-bit alphabet, an octet a septet.
        Gsm7 "gsm7"
        /// ISO 8859-1.
        Latin1 "latin1"
        /// IA5.
        Ascii "ascii"
        /// GBK.
        Gbk "gbk"
    }
    /// Which receipts the SMSC is asked for.
    Receipts {
        /// Those that the ESME asks for.
        AsAsked "as-asked"
        /// Those of all messages; what the ESME did not ask for is kept back from it.
        Ask "ask"
    }
    /// What becomes of a message whose parameters name another sender.
    SecondSender {
        /// It is refused.
        Refuse "refuse"
        /// It goes on without them.
        Strip "strip"
    }
    /// Whether ESMEs are asked for a TLS certificate.
    ClientCertificates {
        /// They are not.
        None "none"
        /// They are, and who has none is served all the same.
        Optional "optional"
        /// They are, and who has none is not served.
        Required "required"
    }
    /// How the SMSC is told whose connection it is.
    ProxyProtocol {
        /// By a line of text.
        V1 "v1"
        /// By octets.
        V2 "v2"
    }
    /// The oldest version of TLS that is spoken.
    TlsVersion {
        /// TLS 1.2, and 1.3.
        Tls12 "1.2"
        /// TLS 1.3 alone.
        Tls13 "1.3"
    }
    /// How septets of GSM 7 bit text stand in octets (TS 23.038 6.1.2.1).
    Packing {
        /// One septet an octet.
        Unpacked "unpacked"
        /// Eight septets in seven octets, as on the air.
        Packed "packed"
    }
    /// Whether the parts of a long message wait for each other.
    PartsMode {
        /// Each is judged at once, with all that came before; a refusal refuses all that follow.
        Progressive "progressive"
        /// They wait until all are there, and are judged and let go together.
        Hold "hold"
    }
    /// Of which messages the text is recorded, for auditors alone.
    RecordedContent {
        /// Of none.
        None "none"
        /// Of those that go on from a code of the plan.
        Ports "ports"
        /// Of all, refused ones too.
        All "all"
    }
    /// When a message may go on.
    Durability {
        /// Its record is on the disk.
        Synced "synced"
        /// Its record is with the operating system: lost with the machine, not with the process.
        Written "written"
        /// Its record is in memory: lost with the process.
        Queued "queued"
    }
    /// What the files of a mirror hold.
    MirrorFormat {
        /// One JSON object a line.
        Ndjson "ndjson"
        /// Parquet.
        Parquet "parquet"
    }
    /// What a mirror shows of persons' numbers.
    MirrorNumbers {
        /// The first three and last two digits, with a keyed token where there is a key.
        Masked "masked"
        /// All of them, and the words of replies.
        Whole "whole"
    }
    /// Which way a stream goes.
    Direction {
        /// From its topic into the ledger.
        In "in"
        /// From the ledger to its topic.
        Out "out"
    }
    /// Whether a proof of consent must have been reviewed before it counts.
    Review {
        /// It must.
        Strict "strict"
        /// One that was handed in counts until it is rejected.
        Lenient "lenient"
    }
    /// What became of a request that a capture is to show.
    CaptureVerdict {
        /// It went on.
        Pass "pass"
        /// It was refused.
        Refuse "refuse"
        /// It went on although a rule refuses it.
        Observe "observe"
    }
    /// What a capture keeps of texts.
    CaptureText {
        /// Their lengths.
        Redacted "redacted"
        /// All of them.
        Whole "whole"
    }
    /// How log lines look.
    LogFormat {
        /// For people.
        Text "text"
        /// One JSON object a line.
        Json "json"
    }
    /// The least that is logged.
    LogLevel {
        /// Data lost, or an operator needed.
        Error "error"
        /// Something was done otherwise than asked.
        Warn "warn"
        /// Beginnings, endings, sessions.
        Info "info"
        /// Steps within these.
        Debug "debug"
        /// Every PDU, without its text.
        Trace "trace"
    }
}

/// Reads the text of a `consentry.toml`. `file_name` is named in faults, relative paths are relative
/// to `folder`, and `rule_names` are the rules that `[rules.override]` may name.
pub fn parse(
    text: &str,
    file_name: &str,
    folder: &Path,
    rule_names: &[&str],
) -> Result<Config, Fault> {
    validate::config(text, file_name, folder, rule_names)
}

/// Reads a `consentry.toml` of at most [`bounds::CONFIG_OCTETS_MAX`] octets.
pub fn load(file: &Path, rule_names: &[&str]) -> Result<Config, Fault> {
    let name = file.display().to_string();
    let fault = |says: String| Fault { file: name.clone(), line: None, says };
    let mut octets = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(bounds::CONFIG_OCTETS_MAX as u64 + 1).read_to_end(&mut octets))
        .map_err(|error| fault(format!("cannot be read: {error}")))?;
    if octets.len() > bounds::CONFIG_OCTETS_MAX {
        return Err(fault(format!("is longer than {}", size::text(bounds::CONFIG_OCTETS_MAX))));
    }
    let text = String::from_utf8(octets).map_err(|_| fault("is not UTF-8 text".to_owned()))?;
    parse(&text, &name, file.parent().unwrap_or(Path::new("")), rule_names)
}

/// The JSON schema of `consentry.toml` (draft 2020-12).
pub fn schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft2020_12()
        .with_transform(schemars::transform::RecursiveTransform(written_or_not))
        .into_generator();
    generator.into_root_schema_for::<written::File>().to_value()
}

/// An unwritten key is absent; TOML has no null that it could be instead.
fn written_or_not(schema: &mut schemars::Schema) {
    if let Some(types) = schema.get_mut("type").and_then(|types| types.as_array_mut()) {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".to_owned(), one);
        }
    }
    if let Some(choices) = schema.get_mut("anyOf").and_then(|choices| choices.as_array_mut()) {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if let [serde_json::Value::Object(one)] = choices.as_slice() {
            let one = one.clone();
            schema.remove("anyOf");
            for (key, value) in one {
                schema.insert(key, value);
            }
        }
    }
}

impl Rules {
    /// The mode of a rule: its override's, or the one for all.
    pub fn mode_of(&self, rule: &str) -> OverrideMode {
        match (self.overrides.get(rule).and_then(|one| one.mode), self.mode) {
            (Some(mode), _) => mode,
            (None, Mode::Observe) if !NEVER_LOOSENED.contains(&rule) => OverrideMode::Observe,
            (None, _) => OverrideMode::Enforce,
        }
    }
}

impl Config {
    /// The digest in hexadecimal, for `consentry_config_info{hash}`.
    pub fn digest_hex(&self) -> String {
        self.digest.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// What is allowed and rarely wanted in production, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        warnings::warnings(self)
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
