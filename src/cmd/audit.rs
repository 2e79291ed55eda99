//! `consentry audit`: the records.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::shown::{masked, time};
use super::{Answer, Failure, knowledge};
use crate::audit::{self, Found, Kept, Query, ReadFault, Record};
use crate::policy::{Rule, RuleSet};
use crate::registry::{self, Npi, Ton};
use crate::smpp::{Command, CommandStatus};

/// Results after which a search stops unless told otherwise.
const LIMIT: usize = 1000;

/// The records: search them, show one, verify them all.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Finds binds and messages, each with what became of it.
    Search(Search),
    /// Shows one record.
    Show(Show),
    /// Walks every segment, record and link of the chain: 0 whole, 1 broken, 2 cannot tell.
    Verify(Place),
}

/// Where the journal is.
#[derive(clap::Args)]
struct Place {
    /// The consentry.toml whose [audit] path is meant.
    #[arg(short, long, value_name = "FILE", required_unless_present = "path")]
    config: Option<PathBuf>,
    /// The journal's folder itself.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    path: Option<PathBuf>,
}

#[derive(clap::Args)]
struct Search {
    #[command(flatten)]
    place: Place,
    /// A sender or recipient, in any spelling.
    #[arg(long)]
    number: Option<String>,
    /// The provider's name.
    #[arg(long)]
    provider: Option<String>,
    /// Not before this time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Before this time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    to: Option<jiff::Timestamp>,
    /// A rule's name: what it refused or observed.
    #[arg(long, value_parser = rule)]
    rule: Option<Rule>,
    /// pass, refuse or observe.
    #[arg(long, value_parser = verdict)]
    verdict: Option<u8>,
    /// A session's number.
    #[arg(long)]
    session: Option<u64>,
    /// The SMSC's message_id.
    #[arg(long)]
    message_id: Option<String>,
    /// Stop after so many results.
    #[arg(long, default_value_t = LIMIT)]
    limit: usize,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Show numbers whole.
    #[arg(long)]
    unmask: bool,
}

#[derive(clap::Args)]
struct Show {
    #[command(flatten)]
    place: Place,
    /// The record's number.
    record: u64,
    /// Show numbers whole.
    #[arg(long)]
    unmask: bool,
}

fn rule(name: &str) -> Result<Rule, String> {
    Rule::from_name(name).ok_or_else(|| "not a rule; `consentry check` lists them".to_owned())
}

fn verdict(name: &str) -> Result<u8, String> {
    match name {
        "pass" => Ok(audit::PASS),
        "refuse" => Ok(audit::REFUSE),
        "observe" => Ok(audit::OBSERVE),
        _ => Err("pass, refuse or observe".to_owned()),
    }
}

/// Runs one of the three.
pub fn run(args: Args) -> Result<Answer, Failure> {
    match args.what {
        What::Search(args) => search(&args),
        What::Show(args) => show(&args),
        What::Verify(place) => verify(&place.folder()?),
    }
}

impl Place {
    fn folder(&self) -> Result<PathBuf, Failure> {
        match (&self.path, &self.config) {
            (Some(path), _) => Ok(path.clone()),
            (None, Some(config)) => Ok(knowledge::load_config(config)?.audit.path),
            (None, None) => Err(Failure("name the journal: -c FILE or --path DIR".to_owned())),
        }
    }
}

fn verify(folder: &Path) -> Result<Answer, Failure> {
    match audit::verify(folder) {
        Ok(verified) if verified.ending == audit::Ending::NextMissing => {
            println!("broken: the last segment is sealed and the one after it is missing");
            Ok(Answer::No)
        }
        Ok(verified) => {
            let (segments, records) = (verified.segments, verified.records);
            println!("whole: {records} records in {segments} segments, {} octets", verified.octets);
            Ok(Answer::Yes)
        }
        Err(ReadFault::Broken(fault)) => {
            println!("broken: {fault}");
            Ok(Answer::No)
        }
        Err(other) => Err(other.into()),
    }
}

/// A number in the form in which all its spellings are one: as a recipient, else as a sender.
fn canonical(value: &[u8]) -> Option<Vec<u8>> {
    let one = registry::Address { ton: Ton(0), npi: Npi(0), value };
    let other = registry::Address { ton: Ton(1), ..one };
    [one, other].iter().find_map(|address| {
        registry::recipient(address).ok().map(|found| found.msisdn.unmasked().into_bytes())
    })
}

fn search(args: &Search) -> Result<Answer, Failure> {
    let folder = args.place.folder()?;
    let wanted = args.number.as_ref().map(|number| number.trim().as_bytes().to_vec());
    let wanted_canonical = wanted.as_deref().and_then(canonical);
    let is_meant = |source: &[u8], destination: &[u8]| {
        [source, destination].into_iter().any(|octets| {
            Some(octets) == wanted.as_deref()
                || (wanted_canonical.is_some() && canonical(octets) == wanted_canonical)
        })
    };
    let micros = |time: jiff::Timestamp| u64::try_from(time.as_microsecond()).unwrap_or(0);
    let query = Query {
        since_us: args.from.map(micros),
        until_us: args.to.map(micros),
        number: wanted.is_some().then_some(&is_meant),
        provider: args.provider.as_deref(),
        rule: args.rule.map(Rule::code),
        verdict: args.verdict,
        session: args.session,
        message_id: args.message_id.as_deref().map(str::as_bytes),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut count = 0;
    let mut failed = None;
    audit::search(&folder, &query, &mut |found| {
        let line = line(&found, args.unmask);
        let written =
            if args.json { writeln!(out, "{line}") } else { writeln!(out, "{}", plain(&line)) };
        failed = written.err();
        count += 1;
        if failed.is_some() || count >= args.limit {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    out.flush()?;
    if count >= args.limit {
        eprintln!("stopped after {count} results; --limit shows more");
    }
    Ok(if count > 0 { Answer::Yes } else { Answer::No })
}

/// A result as one JSON object: the keys are stable.
fn line(found: &Found, unmask: bool) -> Value {
    match found {
        Found::Bind { bind } => fields(bind, unmask),
        Found::Message { verdict, answer, bind } => {
            let mut line = fields(verdict, unmask);
            if let Some(bind) = bind
                && let Record::Bind(record) = bind.record()
            {
                line["provider"] = record.provider.into();
                line["system_id"] = record.system_id.escape_ascii().to_string().into();
            }
            let became = match answer {
                audit::Answer::Refused => json!("refused"),
                audit::Answer::Unknown => json!("unknown"),
                audit::Answer::Unanswered(_) => json!("unanswered"),
                audit::Answer::Response(kept) => {
                    if let Record::Response(response) = kept.record() {
                        line["message_id"] = response.message_id.escape_ascii().to_string().into();
                        line["response_status"] = CommandStatus(response.status).to_string().into();
                        line["latency_us"] = response.latency_us.into();
                    }
                    json!("answered")
                }
            };
            line["became"] = became;
            line
        }
    }
}

fn fields(kept: &Kept, unmask: bool) -> Value {
    let mut line = json!({ "record": kept.number, "time": time(kept.time_us) });
    match kept.record() {
        Record::Verdict(v) => {
            line["kind"] = "verdict".into();
            line["session"] = v.session.into();
            line["command"] = Command::of(v.command_id).to_string().into();
            line["sequence_number"] = v.sequence_number.into();
            line["source"] = masked(v.source.raw, unmask).into();
            line["destination"] = masked(v.destination.raw, unmask).into();
            line["octets"] = v.command_length.into();
            if let Some(part) = v.part {
                line["parts"] = json!([part.number, part.total]);
            }
            decision(&mut line, kept, (v.verdict, v.rule, v.status));
        }
        Record::Bind(b) => {
            line["kind"] = "bind".into();
            line["session"] = b.session.into();
            line["command"] = Command::of(b.command_id).to_string().into();
            line["provider"] = b.provider.into();
            line["system_id"] = b.system_id.escape_ascii().to_string().into();
            line["peer"] = b.peer.to_string().into();
            line["listener"] = b.listener.into();
            decision(&mut line, kept, (b.verdict, b.rule, b.status));
        }
        other => line["kind"] = format!("{other:?}").into(),
    }
    line
}

/// The article is that of the rule set under which the record was made.
fn decision(line: &mut Value, kept: &Kept, (verdict, rule, status): (u8, u8, u32)) {
    line["verdict"] = match verdict {
        audit::PASS => "pass",
        audit::REFUSE => "refuse",
        audit::OBSERVE => "observe",
        _ => "unknown",
    }
    .into();
    let rule = Rule::from_code(rule);
    line["rule"] = rule.map(Rule::name).into();
    let rule_set = RuleSet::from_name(&kept.rule_set);
    line["rule_set"] = (*kept.rule_set).into();
    line["article"] = rule.zip(rule_set).map(|(rule, set)| rule.article(set)).into();
    line["status"] = CommandStatus(status).to_string().into();
}

/// A result for reading: the values that are there, in a fixed order.
fn plain(line: &Value) -> String {
    const KEYS: [&str; 13] = [
        "record",
        "time",
        "session",
        "system_id",
        "command",
        "source",
        "destination",
        "verdict",
        "rule",
        "status",
        "became",
        "message_id",
        "kind",
    ];
    let shown = KEYS.iter().filter_map(|key| match line.get(key)? {
        Value::Null => None,
        Value::String(text) if text.is_empty() => Some("-".to_owned()),
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    });
    shown.collect::<Vec<_>>().join("  ")
}

fn show(args: &Show) -> Result<Answer, Failure> {
    let folder = args.place.folder()?;
    match audit::show(&folder, args.record)? {
        Some(kept) => {
            println!("{:#}", fields(&kept, args.unmask));
            Ok(Answer::Yes)
        }
        None => {
            println!("there is no record {} in {}", args.record, folder.display());
            Ok(Answer::No)
        }
    }
}
