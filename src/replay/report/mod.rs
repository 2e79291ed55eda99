//! The report that people look at: one HTML file with charts, without script and without network.
//! Numbers are masked unless they were asked for whole; no text of a message is in it.

mod chart;

use std::fmt::Write;

use chart::Column;

use super::course::{Course, Span};
use super::seen::{LATENCIES_US, Seen};
use super::summary::{Counts, Summary};
use super::verdict::Verdict;
use crate::policy::RuleSet;
use crate::registry::{Registry, masked};
use crate::smpp::CommandStatus;

/// Rows of each table at most; the rest is one row.
pub const ROWS_MAX: usize = 50;

/// Width of a chart over the whole page and over half of it.
const WHOLE: f64 = 1000.0;
const HALF: f64 = 480.0;

/// Senders that are shown with the most refusals.
const SENDERS_SHOWN: usize = 15;

/// All that a report shows.
#[derive(Debug)]
pub struct Report<'a> {
    /// The traces, as they were named.
    pub traces: &'a [String],
    /// The configuration, as it was named.
    pub config: &'a str,
    /// SHA-256 of the rules, hexadecimal.
    pub digest: &'a str,
    /// Which law the verdicts name.
    pub rule_set: RuleSet,
    /// Who is who.
    pub registry: &'a Registry,
    /// Streams of SMPP.
    pub streams: u64,
    /// PDUs in them.
    pub pdus: u64,
    /// The verdicts.
    pub summary: &'a Summary,
    /// The verdicts over time.
    pub course: &'a Course,
    /// What the SMSC did in the capture.
    pub seen: &'a Seen,
    /// What was not read or judged, and how much of it.
    pub skipped: &'a [(String, u64)],
    /// Whether numbers are shown whole.
    pub unmask: bool,
}

/// Text that cannot become markup.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

/// Microseconds since the Unix epoch as date and time of day, UTC.
fn time(time_us: u64, format: &str) -> String {
    i64::try_from(time_us)
        .ok()
        .and_then(|time_us| jiff::Timestamp::from_microsecond(time_us).ok())
        .map_or_else(String::new, |time| time.strftime(format).to_string())
}

/// Microseconds in the unit that people would say them in.
fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        1_000_000..60_000_000 => format!("{} s", us / 1_000_000),
        60_000_000..3_600_000_000 => format!("{} min", us / 60_000_000),
        _ => format!("{} h", us / 3_600_000_000),
    }
}

impl Report<'_> {
    /// The page.
    pub fn html(&self) -> String {
        let mut out = String::from(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <title>Consentry replay</title><style>",
        );
        out.push_str(include_str!("style.css"));
        out.push_str("</style></head><body><main>");
        self.head(&mut out);
        self.tiles(&mut out);
        self.over_time(&mut out);
        out.push_str("<div class=\"two\">");
        self.rules(&mut out);
        self.senders(&mut out);
        out.push_str("</div><div class=\"two\">");
        self.latency(&mut out);
        self.window(&mut out);
        out.push_str("</div>");
        self.tables(&mut out);
        self.skipped(&mut out);
        out.push_str("</main></body></html>\n");
        out
    }

    fn head(&self, out: &mut String) {
        let spans = self.course.spans().len() as u64;
        let (begin, end) =
            (self.course.begin_us(), self.course.begin_us() + spans * self.course.span_us());
        let _ = write!(
            out,
            "<header><h1>What these rules would have done</h1><p>{}</p>\
             <p>{} to {} UTC, judged by {} under {} (rules {})</p></header>",
            escape(&self.traces.join(", ")),
            time(begin, "%Y-%m-%d %H:%M:%S"),
            time(end, "%Y-%m-%d %H:%M:%S"),
            escape(self.config),
            self.rule_set.name(),
            escape(self.digest.get(..12).unwrap_or(self.digest)),
        );
    }

    fn tiles(&self, out: &mut String) {
        let verdicts = &self.summary.verdicts;
        let judged = verdicts.all();
        out.push_str("<div class=\"tiles\">");
        let mut tile = |class: &str, count: u64, what: &str| {
            let _ = write!(
                out,
                "<div class=\"tile\"><b class=\"{class}\">{count}</b><span>{}</span></div>",
                escape(what)
            );
        };
        let share = |count: u64| format!("{:.2} %", count as f64 * 100.0 / judged.max(1) as f64);
        tile("", self.pdus, &format!("PDUs in {} streams", self.streams));
        tile("", judged, "judged");
        for (verdict, word) in
            [(Verdict::Pass, "pass"), (Verdict::Observe, "observed"), (Verdict::Refuse, "refused")]
        {
            let count = verdicts.of(verdict);
            tile(verdict.name(), count, &format!("{word}, {}", share(count)));
        }
        out.push_str("</div>");
    }

    fn over_time(&self, out: &mut String) {
        let says = |at: usize, span: &Span| {
            let from = self.course.begin_us() + at as u64 * self.course.span_us();
            let of = |verdict| span.verdicts.of(verdict);
            format!(
                "{}: {} pass, {} observed, {} refused",
                time(from, "%Y-%m-%d %H:%M:%S"),
                of(Verdict::Pass),
                of(Verdict::Observe),
                of(Verdict::Refuse)
            )
        };
        let columns = self.course.spans().iter().enumerate().map(|(at, span)| Column {
            // What was refused stands on the ground: its height can be compared.
            parts: [Verdict::Refuse, Verdict::Observe, Verdict::Pass]
                .map(|verdict| (verdict.name(), span.verdicts.of(verdict)))
                .to_vec(),
            says: says(at, span),
        });
        let columns: Vec<Column> = columns.collect();
        let _ = write!(
            out,
            "<section><h2>Verdicts over time</h2><p class=\"key\">{} a column\
             <i class=\"pass\"></i>pass<i class=\"observe\"></i>observed<i class=\"refuse\"></i>refused</p>",
            duration(self.course.span_us())
        );
        chart::columns(out, WHOLE, "verdicts over time", &columns, &self.marks());
        out.push_str("</section>");
    }

    /// Times below a chart of the course: the first column and every quarter.
    fn marks(&self) -> Vec<(usize, String)> {
        let count = self.course.spans().len();
        let days = self.course.span_us() * count as u64 >= 2 * 86_400_000_000;
        let format = if days { "%m-%d %H:%M" } else { "%H:%M:%S" };
        let at = [0, count / 4, count / 2, count * 3 / 4];
        let mut marks: Vec<(usize, String)> = Vec::new();
        for at in at {
            if marks.last().is_none_or(|(last, _)| *last != at) {
                let from = self.course.begin_us() + at as u64 * self.course.span_us();
                marks.push((at, time(from, format)));
            }
        }
        marks
    }

    fn rules(&self, out: &mut String) {
        out.push_str(
            "<section><h2>Refusals by rule</h2><p>and what a rule in observe mode would refuse</p>",
        );
        let rows = self.summary.rules.iter().flat_map(|(rule, counts)| {
            [Verdict::Refuse, Verdict::Observe].map(|verdict| {
                let article = rule.0.article(self.rule_set);
                (rule.0.name().to_owned(), article.to_owned(), verdict, counts.of(verdict))
            })
        });
        let mut rows: Vec<_> = rows.filter(|(.., count)| *count > 0).collect();
        rows.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
        bars(out, &rows);
        out.push_str("</section>");
    }

    fn senders(&self, out: &mut String) {
        out.push_str(
            "<section><h2>Senders most often refused</h2><p>source addresses as they came</p>",
        );
        let rows = self.summary.sources().into_iter().map(|(source, counts)| {
            let name = if source.raw.is_empty() {
                "(none)".to_owned()
            } else {
                masked(&source.raw, self.unmask)
            };
            let kind = format!("TON {} NPI {}, {} sent", source.ton, source.npi, counts.all());
            (name, kind, Verdict::Refuse, counts.of(Verdict::Refuse))
        });
        let rows: Vec<_> = rows.filter(|(.., count)| *count > 0).take(SENDERS_SHOWN).collect();
        bars(out, &rows);
        out.push_str("</section>");
    }

    fn latency(&self, out: &mut String) {
        let share =
            |thousandths| self.seen.latency_us(thousandths).map_or("more".to_owned(), duration);
        let _ = write!(
            out,
            "<section><h2>Answers of the SMSC in the capture</h2><p>{} answers; half within {}, 95 % within {}, 99 % within {}</p>",
            self.seen.answers(),
            share(500),
            share(950),
            share(990)
        );
        let first = self.seen.latencies.iter().position(|count| *count > 0).unwrap_or(0);
        let last = self.seen.latencies.iter().rposition(|count| *count > 0).unwrap_or(0);
        let shown = self.seen.latencies.iter().enumerate();
        let shown = shown.filter(|(at, _)| (first..=last).contains(at));
        let named = |at: usize| match LATENCIES_US.get(at) {
            Some(end) => format!("≤ {}", duration(*end)),
            None => "longer".to_owned(),
        };
        let columns: Vec<Column> = shown
            .clone()
            .map(|(at, count)| Column {
                parts: vec![("pass", *count)],
                says: format!("{}: {count}", named(at)),
            })
            .collect();
        let every = columns.len().div_ceil(6).max(1);
        let marks = shown.enumerate().filter(|(column, _)| column % every == 0);
        let marks: Vec<_> = marks.map(|(column, (at, _))| (column, named(at))).collect();
        chart::columns(out, HALF, "answers by latency", &columns, &marks);
        let errors = self.seen.statuses.iter().filter(|(status, _)| **status != 0);
        let errors: Vec<_> =
            errors.map(|(s, count)| format!("{} {count}", CommandStatus(*s))).take(8).collect();
        if !errors.is_empty() {
            let _ = write!(out, "<p>errors: {}</p>", escape(&errors.join(", ")));
        }
        out.push_str("</section>");
    }

    fn window(&self, out: &mut String) {
        let _ = write!(
            out,
            "<section><h2>Window use in the capture</h2><p>most open requests of one stream; {} at the peak</p>",
            self.seen.open_requests_max
        );
        let columns = self.course.spans().iter().enumerate().map(|(at, span)| {
            let from = self.course.begin_us() + at as u64 * self.course.span_us();
            let open = span.open_requests_max;
            Column {
                parts: vec![("pass", open)],
                says: format!("{}: {open}", time(from, "%Y-%m-%d %H:%M:%S")),
            }
        });
        let columns: Vec<Column> = columns.collect();
        chart::columns(out, HALF, "open requests over time", &columns, &self.marks());
        out.push_str("</section>");
    }

    fn tables(&self, out: &mut String) {
        let providers = self.summary.providers.iter().map(|(id, counts)| {
            let name = id.map_or("none bound", |id| self.registry.provider(id).name.as_str());
            (name.to_owned(), *counts)
        });
        table(out, "By provider", providers.collect());
        let codes = self.summary.codes(self.registry).into_iter().map(|(code, counts)| {
            (code.map_or("nobody's".to_owned(), |c| masked(c.as_bytes(), self.unmask)), counts)
        });
        table(out, "By code", codes.collect());
        let hours = self.summary.hours.iter();
        let hours = hours
            .map(|(hour, counts)| (time(Summary::hour_us(*hour), "%Y-%m-%d %H:%M UTC"), *counts));
        table(out, "By hour", hours.collect());
    }

    fn skipped(&self, out: &mut String) {
        out.push_str("<section><h2>Not read, not judged</h2>");
        if self.skipped.iter().all(|(_, count)| *count == 0) {
            out.push_str("<p class=\"none\">nothing</p>");
        } else {
            out.push_str("<table>");
            for (what, count) in self.skipped.iter().filter(|(_, count)| *count > 0) {
                let _ = write!(out, "<tr><td>{}</td><td>{count}</td></tr>", escape(what));
            }
            out.push_str("</table>");
        }
        out.push_str("</section>");
    }
}

/// Rows with a name, what it means, and a bar as long as its share of the longest.
fn bars(out: &mut String, rows: &[(String, String, Verdict, u64)]) {
    let most = rows.iter().map(|(.., count)| *count).max().unwrap_or(0);
    if most == 0 {
        out.push_str("<p class=\"none\">none</p>");
        return;
    }
    out.push_str("<table class=\"bar\">");
    for (name, means, verdict, count) in rows {
        let width = *count as f64 * 100.0 / most as f64;
        let _ = write!(
            out,
            "<tr><td>{}<small>{}</small></td><td><i class=\"{}\" style=\"width:{width:.1}%\"></i></td><td>{count}</td></tr>",
            escape(name),
            escape(means),
            verdict.name(),
        );
    }
    out.push_str("</table>");
}

fn table(out: &mut String, title: &str, rows: Vec<(String, Counts)>) {
    if rows.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<section><details open><summary>{title}</summary><table>\
         <tr><th></th><th>pass</th><th>observed</th><th>refused</th></tr>"
    );
    let (shown, rest) = rows.split_at(rows.len().min(ROWS_MAX));
    for (name, counts) in shown {
        row(out, name, *counts);
    }
    if !rest.is_empty() {
        let mut sum = Counts::default();
        rest.iter().for_each(|(_, counts)| sum.join(*counts));
        row(out, &format!("{} more", rest.len()), sum);
    }
    out.push_str("</table></details></section>");
}

fn row(out: &mut String, name: &str, counts: Counts) {
    let _ = write!(out, "<tr><td>{}</td>", escape(name));
    for verdict in Verdict::ALL {
        let _ = write!(out, "<td>{}</td>", counts.of(verdict));
    }
    out.push_str("</tr>");
}
