//! `consentry audit report`: counts by article, provider and day.

use std::io::{self, BufWriter, Write};

use jiff::civil::Date;
use serde_json::{Value, json};

use super::{Answer, Failure, Place, access};
use crate::archive::{Counts, Report};
use crate::audit::Reader;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// First day, as 2026-05-01.
    #[arg(long, value_name = "DAY")]
    from: Option<Date>,
    /// Last day, included.
    #[arg(long, value_name = "DAY")]
    to: Option<Date>,
    /// A whole month, as 2026-05.
    #[arg(long, value_name = "MONTH", value_parser = month, conflicts_with_all = ["from", "to"])]
    month: Option<(Date, Date)>,
    /// One provider alone, by its name.
    #[arg(long)]
    provider: Option<String>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

fn month(text: &str) -> Result<(Date, Date), String> {
    let first: Date = format!("{text}-01").parse().map_err(|_| "write a month as 2026-05")?;
    Ok((first, first.last_of_month()))
}

/// Runs it: no, when nothing happened on those days.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let days = args.month.unwrap_or((args.from.unwrap_or(Date::MIN), args.to.unwrap_or(Date::MAX)));
    if days.1 < days.0 {
        return Err(Failure("the last day is before the first".to_owned()));
    }
    access::note(&args.place, "report", args.provider.as_deref().unwrap_or_default(), false)?;
    let mut report = Report::new(args.place.zone()?, days);
    let mut reader = Reader::open(&args.place.folder()?)?.with_keys(args.place.keys()?);
    while let Some(entry) = reader.next()? {
        report.look(&entry);
    }
    if let Some(provider) = &args.provider {
        report.places.retain(|place, _| place.provider == *provider);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    match args.json {
        true => objects(&report, &mut out)?,
        false => table(&report, &mut out)?,
    }
    out.flush()?;
    if report.uncounted > 0 {
        let uncounted = report.uncounted;
        eprintln!("{uncounted} records are in no row: ask for fewer days at a time");
    }
    Ok(if report.places.is_empty() { Answer::No } else { Answer::Yes })
}

fn objects(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let mut total = Counts::default();
    for (place, counts) in &report.places {
        let mut line = fields(counts);
        line["what"] = "day".into();
        line["day"] = place.day.to_string().into();
        line["provider"] = place.provider.as_str().into();
        writeln!(out, "{line}")?;
        for ((article, rule), [refused, observed]) in &counts.rules {
            let line = json!({
                "what": "article", "day": place.day.to_string(), "provider": place.provider,
                "article": article, "rule": rule, "refused": refused, "observed": observed,
            });
            writeln!(out, "{line}")?;
        }
        total.add(counts);
    }
    let mut line = fields(&total);
    line["what"] = "total".into();
    writeln!(out, "{line}")
}

fn fields(counts: &Counts) -> Value {
    json!({
        "passed": counts.passed, "refused": counts.refused, "observed": counts.observed,
        "commercial": counts.commercial, "opt_outs": counts.opt_outs, "opt_ins": counts.opt_ins,
        "opt_outs_per_thousand": counts.opt_out_rate(), "complaints": counts.complaints,
        "complaints_per_million": counts.complaint_rate(), "sweeps": counts.sweeps,
        "unfiled_public": counts.unfiled, "binds_refused": counts.binds_refused,
        "blind_codes": counts.blind_codes(), "blind_messages": counts.blind_messages,
    })
}

/// Names stand last: they are as wide as they like.
fn table(report: &Report, out: &mut impl Write) -> io::Result<()> {
    const HEAD: [&str; 11] = [
        "day",
        "passed",
        "refused",
        "observed",
        "commerc.",
        "opt-outs",
        "o/1000",
        "compl.",
        "c/million",
        "swept",
        "unfiled",
    ];
    for (at, head) in HEAD.iter().enumerate() {
        write!(out, "{head:>width$} ", width = if at == 0 { 10 } else { 9 })?;
    }
    writeln!(out, "{:>9}  provider", "blind")?;
    let mut total = Counts::default();
    for (place, counts) in &report.places {
        row(out, &place.day.to_string(), counts, &place.provider)?;
        total.add(counts);
    }
    row(out, "total", &total, "")?;
    if !total.rules.is_empty() {
        writeln!(out, "\n{:>9} {:>9}  {:<22}  article", "refused", "observed", "rule")?;
    }
    for ((article, rule), [refused, observed]) in &total.rules {
        writeln!(out, "{refused:>9} {observed:>9}  {rule:<22}  {article}")?;
    }
    Ok(())
}

fn row(out: &mut impl Write, day: &str, counts: &Counts, provider: &str) -> io::Result<()> {
    write!(out, "{day:>10} ")?;
    let rate = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{rate:.2}"));
    let cells = [
        counts.passed.to_string(),
        counts.refused.to_string(),
        counts.observed.to_string(),
        counts.commercial.to_string(),
        counts.opt_outs.to_string(),
        rate(counts.opt_out_rate()),
        counts.complaints.to_string(),
        rate(counts.complaint_rate()),
        counts.sweeps.to_string(),
        counts.unfiled.to_string(),
        counts.blind_codes().to_string(),
    ];
    for cell in cells {
        write!(out, "{cell:>9} ")?;
    }
    writeln!(out, " {provider}")
}
