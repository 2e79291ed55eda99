//! `consentry replay`: captured traffic under the rules of today, or of tomorrow.

mod against;
mod input;
mod line;
mod play;
mod rules;
mod table;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Answer, Failure};
use crate::content::Reader as TextReader;
use crate::replay::{
    Course, Decided, Fault, Happening, Judged, Learned, Report, Seen, Skipped, Summary, Traces,
    Verdict,
};
use crate::session::Side;
use crate::smpp::Header;
use crate::smpp::frame::{PDU_OCTETS_LIMIT, PDU_OCTETS_MAX, cut};
use rules::{Consents, Rules};

/// Judges captured traffic exactly as the proxy would have, by the trace's own clock.
///
/// Exit status 0: judged; with --against, nothing changes. 1: with --against, verdicts change.
/// 2: a trace cannot be read to its end, or has no SMPP in it. With --to nothing is judged: the ESMEs'
/// side is played against a live address.
#[derive(clap::Args)]
pub struct Args {
    /// The consentry.toml to judge by.
    #[arg(short, long, value_name = "FILE", required_unless_present_any = ["suggest_registry", "to"])]
    config: Option<PathBuf>,
    /// Captures, pcap or pcapng, plain or compressed by gzip or zstd, in the order of their time; - is
    /// standard input.
    #[arg(value_name = "TRACE", required = true)]
    traces: Vec<PathBuf>,
    /// One object a judged PDU, and a summary at the end; with --to, one object.
    #[arg(long, conflicts_with = "suggest_registry")]
    json: bool,
    /// Show only verdicts that change under this other consentry.toml.
    #[arg(long, value_name = "OTHER", conflicts_with_all = ["html", "suggest_registry"])]
    against: Option<PathBuf>,
    /// Write a page with charts to look at: one file, without script and network.
    #[arg(long, value_name = "FILE", conflicts_with = "suggest_registry")]
    html: Option<PathBuf>,
    /// Print a registry.toml written from what was seen.
    #[arg(long)]
    suggest_registry: bool,
    /// Whose the streams are that begin behind their bind; without it, the only provider that may
    /// connect from their address. With --to, who binds.
    #[arg(long, value_name = "SYSTEM_ID")]
    system_id: Option<String>,
    /// Another consent ledger's folder, or none: nobody has consented.
    #[arg(long, value_name = "DIR|none")]
    consent: Option<Consents>,
    /// Show numbers whole.
    #[arg(long)]
    unmask: bool,
    #[command(flatten)]
    play: play::Playing,
}

/// Sums that no rule has a part in.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Streams of SMPP.
    pub(super) streams: u64,
    /// PDUs in them, both directions.
    pub(super) pdus: u64,
}

/// Replays.
pub fn run(mut args: Args) -> Result<Answer, Failure> {
    let names = args.traces.iter().map(|trace| trace.display().to_string()).collect::<Vec<_>>();
    let (files, at, bar) = input::open(std::mem::take(&mut args.traces))?;
    let totals = Totals::default();
    if args.suggest_registry {
        let reader = Traces::new(files, PDU_OCTETS_MAX);
        return suggest(&args, &mut Telling { reader, at, bar, totals });
    }
    if let (Some(to), Some(system_id)) = (args.play.to, args.system_id.as_deref()) {
        let reader = Traces::new(files, PDU_OCTETS_LIMIT);
        let mut trace = Telling { reader, at, bar, totals };
        return play::run(&args.play, (to, system_id), &mut trace, args.json);
    }
    let file = args.config.as_deref().unwrap_or(Path::new("consentry.toml"));
    let consents = args.consent.as_ref().unwrap_or(&Consents::Configured);
    let rules = rules::load(file, consents, args.system_id.as_deref(), None)?;
    let reader = Traces::new(files, rules.judge.knowledge().pdu_octets_max);
    let mut trace = Telling { reader, at, bar, totals };
    match &args.against {
        Some(other) => {
            let other = rules::load(other, consents, args.system_id.as_deref(), Some(&rules))?;
            against::run(&args, &mut trace, &names, rules, other)
        }
        None => judge(&args, &mut trace, &names, rules),
    }
}

/// Traces that are being read, as one.
struct Telling {
    reader: Traces<input::Files>,
    at: input::At,
    bar: input::Bar,
    totals: Totals,
}

/// How the telling of a trace ended.
enum End {
    /// Everything was told.
    Whole,
    /// One of them cannot be read to its end: the first fault.
    Fault(Fault),
    /// Who read our standard output closed it: has seen enough.
    Unheard,
}

/// What a trace tells, one PDU at a time.
enum Told<'a> {
    Opened(crate::replay::Opened),
    Frame { stream: u32, side: Side, octets: &'a [u8], time_us: u64, trace: usize },
    Closed(u32),
}

impl Telling {
    /// Tells everything to `each`, until that can write no more.
    fn tell(&mut self, each: &mut dyn FnMut(Told<'_>) -> io::Result<()>) -> Result<End, Failure> {
        let end = self.tell_all(each);
        self.bar.clear();
        match end {
            Ok(None) => Ok(End::Whole),
            Ok(Some(fault)) => Ok(End::Fault(fault)),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(End::Unheard),
            Err(error) => Err(error.into()),
        }
    }

    /// The first fault. The other traces are told all the same, and what stood before it.
    fn tell_all(
        &mut self,
        each: &mut dyn FnMut(Told<'_>) -> io::Result<()>,
    ) -> io::Result<Option<Fault>> {
        let mut first = None;
        loop {
            self.bar.draw();
            let happening = match self.reader.next() {
                Ok(Some(happening)) => happening,
                Ok(None) => return Ok(first),
                Err(fault) => {
                    first.get_or_insert(fault);
                    continue;
                }
            };
            let trace = self.at.place();
            match happening {
                Happening::Opened(opened) => {
                    self.totals.streams += 1;
                    each(Told::Opened(opened))?;
                }
                Happening::Pdus { stream, side, time_us, octets } => {
                    let mut rest = octets;
                    while let Ok(Some(length)) = cut(rest, PDU_OCTETS_LIMIT)
                        && let Some((octets, behind)) = rest.split_at_checked(length)
                    {
                        self.totals.pdus += 1;
                        each(Told::Frame { stream, side, octets, time_us, trace })?;
                        rest = behind;
                    }
                }
                Happening::Gap { .. } | Happening::Cut { .. } => {}
                Happening::Closed { stream, .. } => each(Told::Closed(stream))?,
            }
        }
    }

    /// The end of a replay: what could not be read is said, and is no yes.
    fn close(&self, end: End, answer: Answer) -> Result<Answer, Failure> {
        match end {
            End::Fault(fault) => Err(Failure(format!("{fault}; all else was judged"))),
            End::Unheard => Ok(answer),
            End::Whole if self.totals.streams == 0 => {
                let skipped = self.reader.skipped();
                Err(Failure(format!(
                    "there is no SMPP in it: {} packets, {} TCP streams; was the right port captured, \
                     and is it not TLS?",
                    skipped.packets, skipped.streams
                )))
            }
            End::Whole => Ok(answer),
        }
    }
}

fn suggest(args: &Args, trace: &mut Telling) -> Result<Answer, Failure> {
    let resumed_as = args.system_id.as_ref().map(|system_id| system_id.as_bytes().to_vec());
    let mut learned = Learned::new(TextReader::built_in()?, Default::default(), resumed_as);
    let end = trace.tell(&mut |told| {
        match told {
            Told::Opened(opened) => learned.opened(opened.stream, opened.esme),
            Told::Frame { stream, side, octets, time_us, .. } => {
                learned.frame(stream, side, octets, time_us);
            }
            Told::Closed(stream) => learned.closed(stream),
        }
        Ok(())
    })?;
    if trace.totals.streams > 0 {
        let registry = learned.registry()?;
        io::stdout().write_all(registry.as_bytes()).or_else(has_seen_enough)?;
    }
    trace.close(end, Answer::Yes)
}

fn judge(
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

/// Who closed our standard output early has seen enough.
fn has_seen_enough(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
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
