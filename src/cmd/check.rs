//! `consentry check`: is this configuration good, and what is in force with it?

use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{Answer, Failure};
use crate::admin::Token;
use crate::config::{self, Config, Consent, duration, size};

/// The rules' names, in the order in which they are listed.
const RULE_NAMES: &[&str] = &[
    "provider.unknown",
    "provider.licence",
    "provider.location",
    "provider.identity",
    "source.missing",
    "source.malformed",
    "source.forged",
    "source.second",
    "code.length",
    "code.region",
    "code.purpose",
    "destination.malformed",
    "consent.missing",
    "consent.revoked",
    "consent.expired",
    "consent.repeat",
    "notice.missing",
    "signature.missing",
    "signature.unregistered",
    "content.prohibited",
    "content.undecodable",
    "body.ambiguous",
    "body.empty",
    "body.stored",
    "parts.malformed",
    "parts.limit",
    "recipients.swept",
    "public.unfiled",
    "command.refused",
    "pdu.malformed",
    "rate.exceeded",
    "audit.unavailable",
    "ledger.unavailable",
    "session.draining",
];

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
    let config = config::load(&file, RULE_NAMES)?;
    if let Some(path) = config.admin.as_ref().and_then(|admin| admin.token_file.as_deref()) {
        Token::read(path)?;
    }
    // Each room that reads a file of its own adds its facts here: the registry with its providers,
    // codes and templates, and policy with each rule's article and default status.
    let facts = facts(&config, RULE_NAMES);
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

fn fact(kind: &'static str, name: impl ToString, fields: Vec<(&'static str, Value)>) -> Fact {
    Fact { kind, name: name.to_string(), fields }
}

fn facts(config: &Config, rule_names: &[&str]) -> Vec<Fact> {
    let mut facts = vec![fact("config", "sha256", vec![("value", config.digest_hex().into())])];
    for listen in &config.listen {
        let alphabet = listen.default_alphabet.name();
        let fields =
            vec![("smsc", listen.smsc.clone().into()), ("default_alphabet", alphabet.into())];
        facts.push(fact("listen", listen.address, fields));
    }
    for outbind in &config.outbind {
        facts.push(fact("outbind", outbind.address, vec![("esme", outbind.esme.clone().into())]));
    }
    facts.extend(values("limits", limits(config)));
    facts.extend(values("timeouts", timeouts(config)));
    facts.extend(values("settings", settings(config)));
    for name in rule_names {
        let mut fields = vec![("mode", Value::from(config.rules.mode_of(name).name()))];
        let status = config.rules.overrides.get(*name).and_then(|one| one.status);
        fields.extend(status.map(|status| ("status", status.to_string().into())));
        facts.push(fact("rules", name, fields));
    }
    facts.extend(config.warnings().into_iter().map(|text| fact("warnings", text, Vec::new())));
    facts
}

fn values(kind: &'static str, named: Vec<(&'static str, Value)>) -> impl Iterator<Item = Fact> {
    named.into_iter().map(move |(name, value)| fact(kind, name, vec![("value", value)]))
}

fn limits(config: &Config) -> Vec<(&'static str, Value)> {
    let limits = &config.limits;
    vec![
        ("sessions", limits.sessions.into()),
        ("sessions_per_address", limits.sessions_per_address.into()),
        ("pdu", size::text(limits.pdu_octets).into()),
        ("session_buffer", size::text(limits.session_buffer_octets).into()),
        ("buffered", size::text(limits.buffered_octets).into()),
        ("window", limits.window.into()),
    ]
}

fn timeouts(config: &Config) -> Vec<(&'static str, Value)> {
    let timeouts = &config.timeouts;
    [
        ("bind", timeouts.bind),
        ("connect", timeouts.connect),
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

fn settings(config: &Config) -> Vec<(&'static str, Value)> {
    let path = |path: &std::path::Path| Value::from(path.display().to_string());
    let admin = config.admin.as_ref();
    vec![
        ("rules.set", config.rules.set.name().into()),
        ("rules.mode", config.rules.mode.name().into()),
        ("rules.status", config.rules.status.name().into()),
        ("rules.unknown_command", config.rules.unknown_command.name().into()),
        ("registry.file", path(&config.registry_file)),
        match &config.consent {
            Consent::Folder(folder) => ("consent.path", path(folder)),
            Consent::Shared(_) => ("consent.url", "postgres".into()),
        },
        ("audit.path", path(&config.audit.path)),
        ("audit.durability", config.audit.durability.name().into()),
        ("audit.keep_months", config.audit.keep_months.into()),
        ("audit.segment", size::text(config.audit.segment_octets).into()),
        ("admin.address", admin.map_or("none".into(), |admin| admin.address.to_string().into())),
        (
            "admin.token_file",
            admin.and_then(|admin| admin.token_file.as_deref()).map_or("none".into(), path),
        ),
        ("log.format", config.log.format.name().into()),
        ("log.level", config.log.level.name().into()),
    ]
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
