//! `consentry replay`: captured traffic under the rules of today, or of tomorrow.

mod against;
mod input;
mod judging;
mod line;
mod play;
mod rules;
mod table;
mod telling;

pub(super) use judging::verdicts;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Answer, Failure};
use crate::content::Reader as TextReader;
use crate::replay::{Learned, Traces};
use crate::smpp::frame::{PDU_OCTETS_LIMIT, PDU_OCTETS_MAX};
use rules::Consents;
use telling::{Telling, Told, Totals};

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
        None => judging::run(&args, &mut trace, &names, rules),
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

/// Who closed our standard output early has seen enough.
fn has_seen_enough(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}
