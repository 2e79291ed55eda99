//! `consentry audit export`: records for who inspects, with all that proves them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use super::super::shown::masked;
use super::number::Wanted;
use super::search::{rule, verdict};
use super::{Answer, Failure, Place, access, micros};
use crate::archive::bundle::{Export, Format, export};
use crate::audit::Query;
use crate::audit::keys::SigningKey;
use crate::policy::Rule;

#[derive(clap::Args)]
pub(super) struct Args {
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
    /// The SMSC's message_id.
    #[arg(long)]
    message_id: Option<String>,
    /// csv, ndjson or parquet.
    #[arg(long, value_name = "FORMAT", default_value = "csv", value_parser = format)]
    format: Format,
    /// The folder to make: it must not exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

fn format(name: &str) -> Result<Format, String> {
    Format::from_name(name).ok_or_else(|| "csv, ndjson or parquet".to_owned())
}

/// Runs it: no, when nothing was found and so nothing is handed over.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let (journal, keys_folder) = args.place.folders()?;
    let asked = asked(args);
    let said = asked.iter().map(|(name, value)| match name.as_str() {
        "number" => ("number", Some(masked(value.as_bytes(), false))),
        name => (name, Some(value.clone())),
    });
    access::note(&args.place, "export", &access::said(said), true)?;
    let signing = SigningKey::open(&keys_folder)?.ok_or_else(|| {
        Failure(format!(
            "{} has no signing.key, so nothing can be signed: the proxy makes it at its start",
            keys_folder.display()
        ))
    })?;
    let keys = args.place.keys()?;
    let wanted = args.number.as_deref().map(Wanted::new);
    let is_meant = |source: &[u8], destination: &[u8]| {
        wanted.as_ref().is_some_and(|wanted| wanted.is_one_of(source, destination))
    };
    let query = Query {
        keys: Some(&keys),
        since_us: args.from.map(micros),
        until_us: args.to.map(micros),
        number: wanted.is_some().then_some(&is_meant),
        provider: args.provider.as_deref(),
        rule: args.rule.map(Rule::code),
        verdict: args.verdict,
        message_id: args.message_id.as_deref().map(str::as_bytes),
        ..Query::default()
    };
    let exported = export(&Export {
        journal: &journal,
        keys: &keys,
        signing: &signing,
        query: &query,
        asked: &asked,
        format: args.format,
        out: &args.out,
    })?;
    let (rows, records, unreadable) = (exported.rows, exported.records, exported.unreadable);
    match args.json {
        true => println!(
            "{}",
            json!({ "rows": rows, "records": records, "unreadable": unreadable,
                "out": args.out.display().to_string() })
        ),
        false => {
            println!("{rows} rows on {records} records, proved and signed: {}", args.out.display())
        }
    }
    if unreadable > 0 {
        eprintln!(
            "{unreadable} records have numbers whose keys are not there: their rows have none"
        );
    }
    Ok(if rows > 0 { Answer::Yes } else { Answer::No })
}

/// What was asked for, in words that are the same whenever it is asked for.
fn asked(args: &Args) -> BTreeMap<String, String> {
    let verdict = args.verdict.map(|code| match code {
        crate::audit::PASS => "pass".to_owned(),
        crate::audit::REFUSE => "refuse".to_owned(),
        _ => "observe".to_owned(),
    });
    let all = [
        ("number", args.number.clone()),
        ("provider", args.provider.clone()),
        ("from", args.from.map(|time| time.to_string())),
        ("to", args.to.map(|time| time.to_string())),
        ("rule", args.rule.map(|rule| rule.name().to_owned())),
        ("verdict", verdict),
        ("message_id", args.message_id.clone()),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
