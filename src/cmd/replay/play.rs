//! `consentry replay --to`: plays a capture against a live address.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::{Answer, Failure, duration};
use super::{End, Telling, Told};
use crate::peer::play::{Options, Plan, Report, Speed, WINDOW_MAX, play};
use crate::session::Side;
use crate::smpp::bind::{PASSWORD_OCTETS_MAX, SYSTEM_ID_OCTETS_MAX};

/// Differences that the table shows one by one; `--json` has more.
const SHOWN_MAX: usize = 20;

/// Where to play, and how.
#[derive(clap::Args)]
pub struct Playing {
    /// Play the ESMEs' side against this address instead of judging it: bind as --system-id for each
    /// stream, send its requests, compare their statuses with those captured. Exit status 1 where one
    /// differs, 2 where a stream cannot connect or bind
    #[arg(long, value_name = "ADDR", value_parser = address, requires = "system_id",
        conflicts_with_all = ["config", "against", "html", "suggest_registry", "consent"])]
    pub to: Option<SocketAddr>,
    /// A file with the password to bind with, one line; without it, none is sent
    #[arg(long, value_name = "FILE", requires = "to")]
    password_file: Option<PathBuf>,
    /// How many times as fast as the trace, or max
    #[arg(long, value_name = "N|max", default_value = "1", value_parser = speed, requires = "to")]
    speed: Speed,
    /// Requests of one stream that may wait for their answers
    #[arg(long, value_name = "N", default_value_t = 1_000, requires = "to",
        value_parser = clap::value_parser!(u32).range(1..=WINDOW_MAX as i64))]
    window: u32,
    /// Give up a connection, a bind or a request that gets no answer that long
    #[arg(long, value_name = "DURATION", default_value = "10s", requires = "to",
        value_parser = duration::parse)]
    response_timeout: Duration,
}

/// Reads the traces whole, plays them, reports.
pub(super) fn run(
    args: &Playing,
    (to, system_id): (SocketAddr, &str),
    trace: &mut Telling,
    json: bool,
) -> Result<Answer, Failure> {
    if system_id.len() >= SYSTEM_ID_OCTETS_MAX {
        let most = SYSTEM_ID_OCTETS_MAX - 1;
        return Err(Failure(format!("--system-id may have {most} octets to bind with")));
    }
    let options = Options {
        to,
        system_id: system_id.to_owned(),
        password: args.password_file.as_deref().map_or(Ok(String::new()), password)?,
        speed: args.speed,
        window: args.window as usize,
        response_timeout: args.response_timeout,
    };
    let report = play(plan(trace)?, &options)?;
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::json!(report))?;
    } else {
        table(&mut out, &report)?;
    }
    let skipped = trace.reader.skipped();
    let (cut, gaps) = (skipped.pdus_cut, skipped.octets_in_gaps + skipped.octets_skipped);
    if cut + gaps > 0 {
        eprintln!(
            "consentry: not in the capture and not played: {cut} PDUs that are cut, {gaps} octets"
        );
    }
    match report.faults.first().filter(|_| report.never_bound) {
        Some(fault) => Err(Failure(fault.clone())),
        None if report.is_as_captured() => Ok(Answer::Yes),
        None => Ok(Answer::No),
    }
}

/// What the traces say, all of it: half a capture is not played.
fn plan(trace: &mut Telling) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    let mut too_large = None;
    let end = trace.tell(&mut |told| {
        match told {
            Told::Opened(opened) => plan.opened(opened.stream, opened.time_us),
            Told::Frame { stream, side: Side::Esme, octets, time_us, .. } => {
                if let Err(fault) = plan.sent(stream, time_us, octets) {
                    too_large.get_or_insert(fault);
                }
            }
            Told::Frame { stream, side: Side::Smsc, octets, time_us, .. } => {
                plan.received(stream, time_us, octets);
            }
            Told::Closed(_) => {}
        }
        Ok(())
    })?;
    match (end, too_large) {
        (End::Fault(fault), _) => Err(Failure(format!("{fault}; nothing was played"))),
        (_, Some(fault)) => Err(fault.into()),
        (end, None) => trace.close(end, Answer::Yes).map(|_| plan),
    }
}

fn table(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    writeln!(out, "streams     {}", report.streams)?;
    writeln!(out, "requests    {} sent in {:.3} s", report.sent, report.seconds)?;
    writeln!(out, "answered    {}", report.answered)?;
    for (name, count) in [
        ("unanswered", report.unanswered),
        ("never sent", report.unsent),
        ("uncompared", report.uncompared),
        ("unexpected", report.unexpected),
        ("delivered", report.delivered),
    ] {
        if count > 0 {
            writeln!(out, "{name:<11} {count}")?;
        }
    }
    let latency = &report.latency_ns;
    for (name, ns) in [
        ("p50", latency.p50),
        ("p90", latency.p90),
        ("p99", latency.p99),
        ("p99.9", latency.p999),
        ("max", latency.max),
    ] {
        writeln!(out, "latency     {name:<6}{:>10.3} ms", ns as f64 / 1e6)?;
    }
    if report.late_ns_max > 0 {
        writeln!(out, "behind      {:.3} ms at most", report.late_ns_max as f64 / 1e6)?;
    }
    writeln!(out, "differing   {}", report.differing)?;
    for kind in &report.kinds {
        writeln!(out, "  {:>9}  {} -> {}", kind.count, kind.captured, kind.now)?;
    }
    for one in report.differences.iter().take(SHOWN_MAX) {
        let (stream, number, command) = (one.stream, one.sequence_number, &one.command);
        let (captured, now) = (&one.captured, &one.now);
        writeln!(out, "  stream {stream} {command} {number}: {captured} -> {now}")?;
    }
    let more = report.differing.saturating_sub(SHOWN_MAX as u64);
    if more > 0 {
        writeln!(out, "  and {more} more; --json lists up to 1000")?;
    }
    for fault in &report.faults {
        writeln!(out, "fault       {fault}")?;
    }
    Ok(())
}

/// The one line of a file, without its end.
fn password(path: &Path) -> Result<String, Failure> {
    let name = path.display();
    let most = PASSWORD_OCTETS_MAX - 1;
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(PASSWORD_OCTETS_MAX as u64 + 2).read_to_string(&mut text))
        .map_err(|error| Failure(format!("--password-file {name}: {error}")))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.len() > most || line.contains(['\n', '\0']) {
        let says = format!("--password-file {name} must hold one line of {most} octets at most");
        return Err(Failure(says));
    }
    Ok(line.to_owned())
}

fn speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    let times: f64 = text.parse().map_err(|_| "write a number such as 1, 10 or 0.5, or max")?;
    if times.is_finite() && times > 0.0 {
        Ok(Speed::Times(times))
    } else {
        Err("a speed is above zero; write max for as fast as possible".to_owned())
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|error| format!("{error}; write HOST:PORT"))?;
    found.next().ok_or_else(|| "that name has no address".to_owned())
}
