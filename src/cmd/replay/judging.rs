//! One trace under one set of rules: lines, tables, a page.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::super::{Answer, Failure};
use super::rules::{self, Consents, Rules};
use super::telling::{Telling, Told, Totals};
use super::{Args, has_seen_enough, input, line, table};
use crate::replay::{
    Counts, Course, Decided, Judged, Report, Seen, Skipped, Summary, Traces, Verdict,
};
use crate::smpp::Header;

/// The verdicts on one trace, for who shows something else of them.
pub(in crate::cmd) fn verdicts(config: &Path, trace: &Path) -> Result<Counts, Failure> {
    let mut rules = rules::load(config, &Consents::Configured, None, None)?;
    let (files, at, bar) = input::open(vec![trace.to_owned()])?;
    let reader = Traces::new(files, rules.judge.knowledge().pdu_octets_max);
    let mut trace = Telling { reader, at, bar, totals: Totals::default() };
    let mut summary = Summary::default();
    let end = trace.tell(&mut |told| {
        match told {
            Told::Opened(opened) => rules.open(&opened),
            Told::Closed(stream) => rules.judge.closed(stream),
            Told::Frame { stream, side, octets, time_us, .. } => {
                rules.judge.frame(stream, side, octets, time_us, &mut |one| summary.add(one));
            }
        }
        Ok(())
    })?;
    trace.close(end, Answer::Yes)?;
    Ok(summary.verdicts)
}

/// Judges all of it and shows what was asked for.
pub(super) fn run(
    args: &Args,
    trace: &mut Telling,
    names: &[String],
    mut rules: Rules,
) -> Result<Answer, Failure> {
    let rule_set = rules.judge.knowledge().rule_set;
    let (mut summary, mut course, mut seen) =
        (Summary::default(), Course::default(), Seen::default());
    let mut out = BufWriter::new(io::stdout().lock());
    let has_page = args.html.is_some();
    let end = trace.tell(&mut |told| match told {
        Told::Opened(opened) => {
            rules.open(&opened);
            Ok(())
        }
        Told::Closed(stream) => {
            rules.judge.closed(stream);
            seen.closed(stream);
            Ok(())
        }
        Told::Frame { stream, side, octets, time_us, trace } => {
            if has_page && let Some(header) = Header::of(octets) {
                let open = seen.frame(stream, side, header, time_us);
                course.note_open(time_us, open as u64);
            }
            let mut written = Ok(());
            rules.judge.frame(stream, side, octets, time_us, &mut |judged: &Judged<'_>| {
                let Some(decided) = Decided::of(&judged.record) else { return };
                summary.add(judged);
                course.add(time_us, decided.verdict);
                if args.json && written.is_ok() {
                    let name = names.get(trace).map_or("", String::as_str);
                    let line = line::line(name, judged, decided, rule_set, args.unmask);
                    written = writeln!(out, "{line}");
                }
            });
            written
        }
    })?;
    let skipped = skipped(trace.reader.skipped(), &rules);
    let closing = if args.json {
        format!("{}\n", summary_line(&trace.totals, &summary, &skipped))
    } else if trace.totals.streams > 0 {
        table::tables(&trace.totals, &rules.judge, &summary, args.unmask)
            + &table::skipped(&skipped)
    } else {
        String::new()
    };
    out.write_all(closing.as_bytes()).and_then(|()| out.flush()).or_else(has_seen_enough)?;
    drop(out);
    if let Some(path) = &args.html {
        let page = Report {
            traces: names,
            config: &rules.file.display().to_string(),
            digest: &rules.digest,
            rule_set,
            registry: &rules.judge.knowledge().registry,
            streams: trace.totals.streams,
            pdus: trace.totals.pdus,
            summary: &summary,
            course: &course,
            seen: &seen,
            skipped: &skipped,
            unmask: args.unmask,
        };
        std::fs::write(path, page.html())
            .map_err(|error| Failure(format!("{} cannot be written: {error}", path.display())))?;
        eprintln!("{}", path.display());
    }
    trace.close(end, Answer::Yes)
}

/// What was not read and what was not judged, by stable names.
fn skipped(read: &Skipped, rules: &Rules) -> Vec<(String, u64)> {
    let noticed = rules.judge.noticed();
    let mut all: Vec<(String, u64)> = vec![
        ("packets_of_other_links".to_owned(), read.packets_of_other_links),
        ("packets_not_tcp".to_owned(), read.packets_not_tcp),
        ("fragments".to_owned(), read.fragments),
        ("packets_malformed".to_owned(), read.packets_malformed),
        ("checksums_wrong".to_owned(), read.checksums_wrong),
        ("streams_without_data".to_owned(), read.streams_without_data),
        ("streams_not_smpp".to_owned(), read.streams_not_smpp),
        ("streams_without_start".to_owned(), read.streams_without_start),
        ("streams_of_supposed_sides".to_owned(), read.streams_of_supposed_sides),
        ("streams_forgotten".to_owned(), read.streams_forgotten),
        ("octets_repeated".to_owned(), read.octets_repeated),
        ("octets_in_conflict".to_owned(), read.octets_in_conflict),
        ("octets_in_gaps".to_owned(), read.octets_in_gaps),
        ("octets_skipped".to_owned(), read.octets_skipped),
        ("pdus_cut".to_owned(), read.pdus_cut),
        ("pdus_behind_refused_bind".to_owned(), noticed.behind_refused_bind),
        ("pdus_without_provider".to_owned(), noticed.without_provider),
        ("consent_events_left_out".to_owned(), rules.judge.events_left_out()),
    ];
    let ended = noticed.ended.iter();
    all.extend(ended.map(|(reason, count)| (format!("sessions_ended_{reason}"), *count)));
    all
}

fn summary_line(totals: &Totals, summary: &Summary, skipped: &[(String, u64)]) -> Value {
    let by_rule = |verdict| -> Value {
        let rules = summary.rules.iter().filter(|(_, counts)| counts.of(verdict) > 0);
        rules
            .map(|(rule, counts)| (rule.0.name().to_owned(), Value::from(counts.of(verdict))))
            .collect()
    };
    let skipped: Value =
        skipped.iter().map(|(what, count)| (what.clone(), Value::from(*count))).collect();
    json!({ "summary": {
        "streams": totals.streams,
        "pdus": totals.pdus,
        "judged": summary.verdicts.all(),
        "passed": summary.verdicts.of(Verdict::Pass),
        "observed": summary.verdicts.of(Verdict::Observe),
        "refused": summary.verdicts.of(Verdict::Refuse),
        "by_rule": by_rule(Verdict::Refuse),
        "observed_by_rule": by_rule(Verdict::Observe),
        "skipped": skipped,
    } })
}
