//! `consentry check`: is this configuration good, and what is in force with it?

use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::knowledge::{self, Loaded};
use super::{
    Answer, Failure, blind, capture, ledger, mirrors, retention, serve, streams, tls, traces,
};
use crate::admin::Token;
use crate::config::{self, Config, MirrorKind, Place, Way, duration, size};
use crate::policy::Rule;
use crate::proxy::tls::End;
use crate::registry::{Code, Provider, Purpose};

/// Validates a configuration and prints what is in force.
#[derive(clap::Args)]
pub struct Args {
    /// The consentry.toml.
    #[arg(short, long, value_name = "FILE", required_unless_present = "schema")]
    config: Option<PathBuf>,
    /// Print the JSON schema of consentry.toml instead.
    #[arg(long, conflicts_with_all = ["config", "json"])]
    schema: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// One thing in force: what kind of thing, which one, and how it is.
struct Fact {
    kind: &'static str,
    name: String,
    fields: Vec<(&'static str, Value)>,
}

/// Prints the schema, or what is in force; a mistake in any file is a [`Failure`].
pub fn run(args: Args) -> Result<Answer, Failure> {
    let mut out = io::stdout().lock();
    let Some(file) = args.config else {
        writeln!(out, "{:#}", config::schema())?;
        return Ok(Answer::Yes);
    };
    let loaded = knowledge::load(&file)?;
    let ends = tls::together(&could_start(&loaded)?).ends();
    let facts = facts(&loaded, &ends);
    let mut kind = "";
    for fact in &facts {
        if args.json {
            writeln!(out, "{}", fact.json())?;
            continue;
        }
        if fact.kind != kind {
            kind = fact.kind;
            writeln!(out, "{kind}")?;
        }
        writeln!(out, "  {}", fact.text())?;
    }
    Ok(Answer::Yes)
}

/// What would keep a proxy from starting on these files, as far as reading finds it: nothing is made, and
/// nothing opened that a running proxy holds. The certificates that it would show and trust.
pub(super) fn could_start(loaded: &Loaded) -> Result<Vec<tls::Legs>, Failure> {
    let config = &loaded.config;
    if let Some(path) = config.admin.as_ref().and_then(|admin| admin.token_file.as_deref()) {
        Token::read(path)?;
    }
    capture::capture(loaded)?;
    mirrors::check(config)?;
    ledger::check(config)?;
    streams::check(config)?;
    traces::check(config)?;
    retention::term(config)?;
    serve::sealing(config)?;
    tls::read(config)
}

fn fact(kind: &'static str, name: impl ToString, fields: Vec<(&'static str, Value)>) -> Fact {
    Fact { kind, name: name.to_string(), fields }
}

fn facts(loaded: &Loaded, ends: &[End]) -> Vec<Fact> {
    let config = &loaded.config;
    let mut facts = vec![fact("config", "sha256", vec![("value", config.digest_hex().into())])];
    for listen in &config.listen {
        let alphabet = listen.default_alphabet.name();
        let fields = vec![
            ("smsc", listen.smsc.iter().map(shown_smsc).collect::<Vec<_>>().into()),
            ("default_alphabet", alphabet.into()),
            ("packing", listen.packing.name().into()),
            ("receipts", listen.receipts.name().into()),
            ("second_sender", listen.second_sender.name().into()),
            (
                "enquire_link",
                listen.enquire_link.map_or("none".into(), |idle| duration::text(idle).into()),
            ),
        ];
        facts.push(fact("listen", listen.address, fields));
        facts.extend(entrance(listen));
        facts.extend(encryption(listen));
    }
    facts.extend(ends.iter().map(|end| {
        let until = jiff::Timestamp::from_second(end.unix_s).unwrap_or_default().to_string();
        fact("certificates", &end.certificate, vec![("valid_until", until.into())])
    }));
    for outbind in &config.outbind {
        facts.push(fact("outbind", outbind.address, vec![("esme", outbind.esme.clone().into())]));
    }
    facts.extend(values("limits", limits(config)));
    facts.extend(values("timeouts", timeouts(config)));
    facts.extend(values("settings", kept(config)));
    facts.extend(values("settings", settings(config)));
    facts.extend(config.mirrors.iter().map(mirror));
    facts.extend(config.streams.iter().map(stream));
    facts.extend(providers(loaded));
    facts.extend(filings(loaded));
    for rule in Rule::ALL {
        let own = config.rules.overrides.get(rule.name()).and_then(|one| one.status);
        let mut fields = vec![
            ("mode", Value::from(loaded.knowledge.modes.of(rule).name())),
            ("article", rule.article(loaded.knowledge.rule_set).into()),
        ];
        fields.extend(own.map(|status| ("status", status.to_string().into())));
        facts.push(fact("rules", rule.name(), fields));
    }
    let now_s = jiff::Timestamp::now().as_second();
    let ending = ends.iter().filter_map(|end| tls::ending(end, now_s));
    let warnings = config.warnings().into_iter().chain(lapsing(loaded)).chain(ending);
    facts.extend(warnings.map(|text| fact("warnings", text, Vec::new())));
    facts
}

/// An SMSC's address, and what is said of it beside.
fn shown_smsc(smsc: &config::Smsc) -> String {
    let config::Smsc { address, weight, rank } = smsc;
    let weight = if *weight == 1 { String::new() } else { format!(" weight {weight}") };
    let standby = if *rank == 0 { "" } else { " standby" };
    format!("{address}{weight}{standby}")
}

/// Who may connect and who speaks for others, where that is written.
fn entrance(listen: &config::Listen) -> Option<Fact> {
    let header = listen.smsc_proxy_protocol;
    let is_written =
        header.is_some() || !listen.allow.is_empty() || !listen.proxy_protocol.is_empty();
    let fields = vec![
        ("allow", networks(&listen.allow, "everybody")),
        ("proxy_protocol", networks(&listen.proxy_protocol, "none")),
        ("smsc_proxy_protocol", header.map_or("none", |version| version.name()).into()),
    ];
    is_written.then(|| fact("entrance", listen.address, fields))
}

fn networks(networks: &[ipnet::IpNet], none: &str) -> Value {
    match networks {
        [] => none.into(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().into(),
    }
}

/// What is encrypted of a listener, a line each leg.
fn encryption(listen: &config::Listen) -> impl Iterator<Item = Fact> {
    let shown = |path: &std::path::Path| Value::from(path.display().to_string());
    let esme = listen.tls.as_ref().map(|tls| {
        let fields = vec![
            ("certificate", shown(&tls.certificate)),
            ("client", tls.client.name().into()),
            ("client_ca", tls.client_ca.as_deref().map_or("none".into(), shown)),
            ("min", tls.min.name().into()),
        ];
        fact("tls", format!("{} esme", listen.address), fields)
    });
    let smsc = listen.smsc_tls.as_ref().map(|tls| {
        let fields = vec![
            ("ca", shown(&tls.ca)),
            ("name", tls.name.clone().unwrap_or_else(|| "the host in smsc".to_owned()).into()),
            ("certificate", tls.identity.as_ref().map_or("none".into(), |(one, _)| shown(one))),
            ("min", tls.min.name().into()),
        ];
        fact("tls", format!("{} smsc", listen.address), fields)
    });
    esme.into_iter().chain(smsc)
}

/// Days before a licence ends from which `check` says so.
const LAPSING_DAYS: u64 = 30;

fn providers(loaded: &Loaded) -> impl Iterator<Item = Fact> {
    loaded.knowledge.registry.providers().iter().map(|provider| {
        let codes: Vec<&str> = provider.codes.iter().map(|code| code.number.unmasked()).collect();
        let licence = provider.licence.as_ref().map(|licence| licence.number.clone());
        let fields = vec![
            ("system_ids", provider.system_ids.clone().into()),
            ("codes", codes.into()),
            ("licence", licence.into()),
            ("rate", provider.rate.map(|rate| rate.get()).into()),
        ];
        fact("providers", &provider.name, fields)
    })
}

/// The codes for public-interest messages: whether they are filed, and which are for emergencies.
fn filings(loaded: &Loaded) -> impl Iterator<Item = Fact> {
    let providers = loaded.knowledge.registry.providers().iter();
    let codes = providers.flat_map(|one| one.codes.iter().map(move |code| (one, code)));
    codes.filter(|(_, code)| code.purpose == Purpose::Public).map(|(provider, code)| {
        let filing = code.filing.as_ref();
        let fields = vec![
            ("provider", provider.name.clone().into()),
            ("filing", filing.map(|filing| filing.number.clone()).into()),
            ("valid_until", filing.map(|filing| last_day(filing.valid_until_us)).into()),
            ("emergency", code.emergency.into()),
        ];
        fact("public codes", code.number.unmasked(), fields)
    })
}

/// The last day in Asia/Shanghai before a moment.
fn last_day(until_us: u64) -> String {
    let micros = i64::try_from(until_us).unwrap_or(i64::MAX).saturating_sub(1);
    let time = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
    jiff::tz::Offset::constant(8).to_datetime(time).date().to_string()
}

fn unfiled(provider: &Provider, now_us: u64, soon_us: u64) -> Vec<String> {
    let public = provider.codes.iter().filter(|code| code.purpose == Purpose::Public);
    let says = |code: &Code| match &code.filing {
        Some(filing) if filing.is_in_force(soon_us) => None,
        Some(filing) if filing.is_in_force(now_us) => Some("a filing that ends within 30 days"),
        Some(_) | None if code.emergency => None,
        Some(_) => Some("a filing that has run out: its messages are refused"),
        None => Some("no filing: its messages are refused"),
    };
    let said = public.filter_map(|code| {
        let (name, number) = (&provider.name, code.number.unmasked());
        says(code).map(|says| format!("provider {name} has a public code {number} with {says}"))
    });
    said.collect()
}

fn lapsing(loaded: &Loaded) -> Vec<String> {
    let now_us = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(0);
    let soon_us = now_us + LAPSING_DAYS * 24 * 3_600_000_000;
    let says = |provider: &Provider| match &provider.licence {
        None => Some("has no licence: its binds are refused"),
        Some(licence) if !licence.is_in_force(now_us) => {
            Some("has a licence that is not in force: its binds are refused")
        }
        Some(licence) if !licence.is_in_force(soon_us) => {
            Some("has a licence that ends within 30 days")
        }
        Some(_) => None,
    };
    let deaf = |one: &Provider| {
        let codes = blind::commercial_codes(one);
        (codes > 0).then(|| {
            format!(
                "provider {} has {codes} commercial codes: answers to them are heard only \
                 while it is bound as receiver or transceiver",
                one.name
            )
        })
    };
    let providers = loaded.knowledge.registry.providers().iter();
    providers
        .flat_map(|one| {
            let licence = says(one).map(|says| format!("provider {} {says}", one.name));
            let unfiled = unfiled(one, now_us, soon_us);
            licence.into_iter().chain(deaf(one)).chain(unfiled)
        })
        .collect()
}

fn values(kind: &'static str, named: Vec<(&'static str, Value)>) -> impl Iterator<Item = Fact> {
    named.into_iter().map(move |(name, value)| fact(kind, name, vec![("value", value)]))
}

fn limits(config: &Config) -> Vec<(&'static str, Value)> {
    let limits = &config.limits;
    vec![
        ("threads", limits.threads.map_or_else(|| "one for each core".into(), Value::from)),
        ("sessions", limits.sessions.into()),
        ("sessions_per_address", limits.sessions_per_address.into()),
        (
            "sessions_per_provider",
            limits.sessions_per_provider.map_or_else(|| "sessions".into(), Value::from),
        ),
        ("bind_failures", limits.bind_failures.into()),
        ("pdu", size::text(limits.pdu_octets).into()),
        ("session_buffer", size::text(limits.session_buffer_octets).into()),
        ("buffered", size::text(limits.buffered_octets).into()),
        ("window", limits.window.into()),
        ("originals", limits.originals.into()),
    ]
}

fn timeouts(config: &Config) -> Vec<(&'static str, Value)> {
    let timeouts = &config.timeouts;
    [
        ("bind", timeouts.bind),
        ("connect", timeouts.connect),
        ("ejection", timeouts.ejection),
        ("handshake", timeouts.handshake),
        ("idle", timeouts.idle),
        ("response", timeouts.response),
        ("write", timeouts.write),
        ("keepalive", timeouts.keepalive),
        ("user_timeout", timeouts.user_timeout),
        ("drain", timeouts.drain),
        ("close", timeouts.close),
    ]
    .map(|(name, time)| (name, duration::text(time).into()))
    .to_vec()
}

/// Where consent is kept, and which node this is.
fn kept(config: &Config) -> Vec<(&'static str, Value)> {
    let path = |path: &std::path::Path| Value::from(path.display().to_string());
    let mut kept = vec![
        ("cluster.node", mirrors::node(config).into()),
        ("cluster.nodes", config.cluster.nodes.into()),
    ];
    match &config.consent.place {
        Place::Folder(folder) => kept.push(("consent.path", path(folder))),
        Place::Shared(shared) => kept.extend([
            ("consent.url", shared.url.to_string().into()),
            ("consent.sslmode", shared.url.encryption().name().into()),
            ("consent.password", shared.password.as_deref().map_or("none".into(), path)),
            ("consent.outbox", path(&shared.outbox)),
            ("consent.staleness", duration::text(shared.staleness).into()),
            ("consent.deadline", duration::text(shared.deadline).into()),
        ]),
    }
    kept
}

fn settings(config: &Config) -> Vec<(&'static str, Value)> {
    let path = |path: &std::path::Path| Value::from(path.display().to_string());
    let admin = config.admin.as_ref();
    vec![
        ("rules.set", config.rules.set.name().into()),
        ("rules.mode", config.rules.mode.name().into()),
        ("rules.status", config.rules.status.name().into()),
        ("rules.submit_multi", config.rules.submit_multi.name().into()),
        ("rules.unknown_command", config.rules.unknown_command.name().into()),
        ("registry.file", path(&config.registry_file)),
        ("consent.review", config.consent.review.name().into()),
        ("consent.cache", size::text(config.consent.cache_octets).into()),
        ("consent.silent_after", duration::text(config.consent.silent_after).into()),
        ("consent.schedule_max", duration::text(config.consent.schedule_max).into()),
        ("consent.validity_max", duration::text(config.consent.validity_max).into()),
        ("content.weights", config.content.weights.as_deref().map_or("built in".into(), path)),
        (
            "content.prohibited",
            config.content.prohibited.iter().map(|list| path(list)).collect::<Vec<_>>().into(),
        ),
        ("long_messages.mode", config.long_messages.mode.name().into()),
        ("long_messages.deadline", duration::text(config.long_messages.deadline).into()),
        ("long_messages.silence", duration::text(config.long_messages.silence).into()),
        ("long_messages.parts", config.long_messages.parts.into()),
        ("long_messages.messages", config.long_messages.messages.into()),
        ("long_messages.octets", size::text(config.long_messages.octets).into()),
        ("reload.watch", config.reload.watch.map(duration::text).into()),
        ("audit.path", path(&config.audit.path)),
        ("audit.durability", config.audit.durability.name().into()),
        ("audit.keys", path(&config.audit.keys)),
        ("audit.auditors", config.audit.auditors.iter().map(|file| path(file)).collect()),
        ("audit.content", config.audit.content.name().into()),
        ("audit.checkpoint.records", config.audit.checkpoint.records.into()),
        ("audit.checkpoint.every", duration::text(config.audit.checkpoint.every).into()),
        ("audit.parquet", config.audit.parquet.to_string().into()),
        ("audit.keep_months", config.audit.keep_months.into()),
        ("audit.zone", config.audit.zone.clone().into()),
        ("audit.segment", size::text(config.audit.segment_octets).into()),
        (
            "audit.disk_budget",
            config
                .audit
                .disk_budget_octets
                .map_or("none".into(), |octets| size::text(octets).into()),
        ),
        ("capture.enabled", config.capture.enabled.to_string().into()),
        ("capture.path", path(&config.capture.path)),
        ("capture.file_size", size::text(config.capture.file_octets).into()),
        ("capture.files", config.capture.files.into()),
        ("capture.providers", config.capture.providers.clone().into()),
        ("capture.sources", config.capture.sources.clone().into()),
        (
            "capture.verdicts",
            config.capture.verdicts.iter().map(|one| one.name()).collect::<Vec<_>>().into(),
        ),
        ("capture.text", config.capture.text.name().into()),
        ("traces.otlp", config.traces.as_ref().map_or("none".into(), |traces| traces.url().into())),
        (
            "traces.sample",
            config.traces.as_ref().map_or("none".into(), |traces| traces.sample.into()),
        ),
        ("admin.address", admin.map_or("none".into(), |admin| admin.address.to_string().into())),
        (
            "admin.token_file",
            admin.and_then(|admin| admin.token_file.as_deref()).map_or("none".into(), path),
        ),
        ("log.format", config.log.format.name().into()),
        ("log.level", config.log.level.name().into()),
    ]
}

fn mirror(mirror: &config::Mirror) -> Fact {
    let mut fields = vec![("type", mirror.kind.name().into())];
    match &mirror.kind {
        MirrorKind::File { folder, format, octets, age } => fields.extend([
            ("path", folder.display().to_string().into()),
            ("format", format.name().into()),
            ("file_size", size::text(*octets).into()),
            ("file_age", duration::text(*age).into()),
        ]),
        MirrorKind::Postgres { url, password, table } => {
            let password = password.as_deref().map(|file| file.display().to_string());
            fields.extend([
                ("table", table.clone().into()),
                ("url", url.to_string().into()),
                ("sslmode", url.encryption().name().into()),
                ("password", password.unwrap_or_else(|| "none".to_owned()).into()),
            ]);
        }
        MirrorKind::Kafka { brokers, topic } => {
            fields.extend([("brokers", brokers.clone().into()), ("topic", topic.clone().into())]);
        }
    }
    fields.extend([
        ("numbers", mirror.numbers.name().into()),
        ("content", mirror.content.into()),
        ("batch", mirror.batch.into()),
        ("wait", duration::text(mirror.wait).into()),
    ]);
    fact("mirrors", &mirror.name, fields)
}

fn stream(stream: &config::Stream) -> Fact {
    let mut fields = vec![
        ("direction", stream.way.name().into()),
        ("brokers", stream.brokers.clone().into()),
        ("topic", stream.topic.clone().into()),
    ];
    let said = |text: &Option<String>, or: &str| text.as_deref().unwrap_or(or).into();
    match &stream.way {
        Way::In { group, rejected, entity } => fields.extend([
            ("group", group.clone().into()),
            ("rejected", said(rejected, "file")),
            ("entity", said(entity, "any")),
        ]),
        Way::Out { numbers, .. } => fields.push(("numbers", numbers.name().into())),
    }
    fields.push(("batch", stream.batch.into()));
    fields.push(("wait", duration::text(stream.wait).into()));
    fact("streams", &stream.name, fields)
}

impl Fact {
    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("kind".to_owned(), self.kind.into());
        object.insert("name".to_owned(), self.name.clone().into());
        for (key, value) in &self.fields {
            object.insert((*key).to_owned(), value.clone());
        }
        Value::Object(object)
    }

    fn text(&self) -> String {
        let shown = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Array(list) => {
                list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        };
        let fields = self.fields.iter().map(|(key, value)| match *key {
            "value" => shown(value),
            key => format!("{key} {}", shown(value)),
        });
        let fields = fields.collect::<Vec<_>>().join("  ");
        format!("{:<22} {fields}", self.name).trim_end().to_owned()
    }
}
