//! `consentry audit export`: records for who inspects, with all that proves them.

use std::path::PathBuf;

use serde_json::json;

use super::filters::{Filters, said};
use super::nodes::{self, Over};
use super::{Answer, Failure, Place, access};
use crate::archive::bundle::{Export, Exported, Format, export};
use crate::audit::Query;
use crate::audit::keys::SigningKey;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) over: Over,
    #[command(flatten)]
    pub(super) filters: Filters,
    /// An auditor's private key: what messages say is in the export then.
    #[arg(long, value_name = "FILE")]
    pub(super) auditor_key: Option<PathBuf>,
    /// csv, ndjson or parquet.
    #[arg(long, value_name = "FORMAT", default_value = "csv", value_parser = format)]
    pub(super) format: Format,
    /// The folder to make: it must not exist.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// One JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

fn format(name: &str) -> Result<Format, String> {
    Format::from_name(name).ok_or_else(|| "csv, ndjson or parquet".to_owned())
}

/// Runs it: no, when nothing was found and so nothing is handed over.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    if args.over.is_given() {
        return nodes::export(args);
    }
    let (journal, keys_folder) = args.place.folders()?;
    let asked = args.filters.asked();
    let contents = args.auditor_key.is_some();
    let noted = said(&asked) + if contents { ", with texts" } else { "" };
    access::note(&args.place, "export", noted.trim_start_matches(", "), true)?;
    let signing = SigningKey::open(&keys_folder)?.ok_or_else(|| {
        Failure(format!(
            "{} has no signing.key, so nothing can be signed: the proxy makes it at its start",
            keys_folder.display()
        ))
    })?;
    let keys = args.place.keys_and(args.auditor_key.as_deref())?;
    let exported = args.filters.query(&args.place, &keys, |query| {
        Ok(export(&Export {
            journal: &journal,
            keys: &keys,
            signing: &signing,
            query: &Query { contents, ..query },
            asked: &asked,
            format: args.format,
            out: &args.out,
        })?)
    })?;
    tell(args, &exported);
    Ok(if exported.rows > 0 { Answer::Yes } else { Answer::No })
}

fn tell(args: &Args, exported: &Exported) {
    let Exported { rows, records, unreadable, texts, unreadable_texts } = exported;
    let out = args.out.display();
    let with_texts = args.auditor_key.is_some().then(|| format!(", {texts} with their text"));
    match args.json {
        true => println!(
            "{}",
            json!({ "rows": rows, "records": records, "unreadable": unreadable, "texts": texts,
                "unreadable_texts": unreadable_texts, "out": out.to_string() })
        ),
        false => println!(
            "{rows} rows{} on {records} records, proved and signed: {out}",
            with_texts.unwrap_or_default()
        ),
    }
    if *unreadable > 0 {
        eprintln!(
            "{unreadable} records have numbers whose keys are not there: their rows have none"
        );
    }
    if *unreadable_texts > 0 {
        eprintln!(
            "{unreadable_texts} messages have a text that this auditor's key does not open: their \
             rows have none"
        );
    }
}
