//! The summary for reading: by rule, provider, code and hour.

use std::fmt::Write;

use super::super::shown::{masked, time};
use super::Totals;
use crate::replay::{Counts, Judge, Summary, Verdict};

/// Rows that a table shows at most; the rest is one row.
const ROWS_MAX: usize = 24;

/// All tables.
pub(super) fn tables(totals: &Totals, judge: &Judge, summary: &Summary, unmask: bool) -> String {
    let mut out = String::new();
    let (registry, rule_set) = (&judge.knowledge().registry, judge.knowledge().rule_set);
    let _ = writeln!(
        out,
        "{} streams of SMPP, {} PDUs; {} judged: {} pass, {} observed, {} refused\n",
        totals.streams,
        totals.pdus,
        summary.verdicts.all(),
        summary.verdicts.of(Verdict::Pass),
        summary.verdicts.of(Verdict::Observe),
        summary.verdicts.of(Verdict::Refuse),
    );
    let rules = summary.rules.iter();
    let rules = rules.map(|(rule, counts)| {
        (format!("{:<22} {}", rule.0.name(), rule.0.article(rule_set)), *counts)
    });
    table(&mut out, "rule", rules.collect());
    let providers = summary.providers.iter().map(|(id, counts)| {
        (id.map_or("none bound", |id| registry.provider(id).name.as_str()).to_owned(), *counts)
    });
    table(&mut out, "provider", providers.collect());
    let codes = summary.codes(registry).into_iter().map(|(code, counts)| {
        (code.map_or("nobody's".to_owned(), |code| masked(code.as_bytes(), unmask)), counts)
    });
    table(&mut out, "code", codes.collect());
    let refused = summary.sources().into_iter().filter(|(_, c)| c.of(Verdict::Refuse) > 0);
    let refused = refused.map(|(source, counts)| (masked(&source.raw, unmask), counts));
    table(&mut out, "refused sender", refused.take(ROWS_MAX).collect());
    let hours = summary.hours.iter();
    table(
        &mut out,
        "hour",
        hours.map(|(hour, counts)| (time(Summary::hour_us(*hour)), *counts)).collect(),
    );
    out
}

/// What was not read and not judged, where there is any of it.
pub(super) fn skipped(skipped: &[(String, u64)]) -> String {
    let mut out = String::new();
    let some: Vec<_> = skipped.iter().filter(|(_, count)| *count > 0).collect();
    if !some.is_empty() {
        out.push_str("not read, or not judged:\n");
    }
    for (what, count) in some {
        let _ = writeln!(out, "{count:>10}  {}", what.replace('_', " "));
    }
    out
}

fn table(out: &mut String, title: &str, rows: Vec<(String, Counts)>) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "{:>10} {:>10} {:>10}  {title}", "pass", "observe", "refuse");
    let (shown, rest) = rows.split_at(rows.len().min(ROWS_MAX));
    for (name, counts) in shown {
        row(out, name, *counts);
    }
    if !rest.is_empty() {
        let mut sum = Counts::default();
        rest.iter().for_each(|(_, counts)| sum.join(*counts));
        row(out, &format!("{} more", rest.len()), sum);
    }
    out.push('\n');
}

fn row(out: &mut String, name: &str, counts: Counts) {
    let of = |verdict| counts.of(verdict);
    let _ = writeln!(
        out,
        "{:>10} {:>10} {:>10}  {name}",
        of(Verdict::Pass),
        of(Verdict::Observe),
        of(Verdict::Refuse)
    );
}
