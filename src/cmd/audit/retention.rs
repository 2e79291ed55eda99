//! `consentry audit retention`, `hold` and `purge`: what is kept how long, and what goes.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::super::consent::{Api, reachable};
use super::super::retention::{Desk, planned, shown_due, shown_hold};
use super::super::{knowledge, ledger, serve};
use super::number::Wanted;
use super::{Answer, Failure, micros};
use crate::audit::retention::{NO_END_US, purged_firsts};
use crate::audit::{self, Found, Journal, KeyRing, Query, segment_firsts};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::policy::Rule;
use crate::proxy::Clock;

/// Looks at what is due, and at what the notary still has to sign, before a command gives up.
const TRIES: u32 = 20;
/// Between them.
const WAIT: Duration = Duration::from_millis(100);

/// Which journal: its term is in the configuration.
#[derive(clap::Args)]
pub(super) struct Place {
    /// The consentry.toml whose [audit] is meant; a proxy that runs on it is asked through its [admin]
    /// address.
    #[arg(short, long, value_name = "FILE", default_value = "consentry.toml")]
    config: PathBuf,
}

#[derive(clap::Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    place: Place,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct PurgeArgs {
    #[command(flatten)]
    place: Place,
    /// Only shows what would go.
    #[arg(long)]
    dry_run: bool,
    /// Says that the clock is right although nothing was recorded for a month, or it was set back before.
    #[arg(long)]
    trust_clock: bool,
    /// Who purges; stands in the record.
    #[arg(long, default_value = "operator")]
    by: String,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct HoldArgs {
    #[command(subcommand)]
    what: HoldWhat,
}

#[derive(clap::Subcommand)]
enum HoldWhat {
    /// Keeps what a time, a number or a provider touches, until the hold is lifted.
    Set(SetArgs),
    /// Lifts a hold.
    Lift(LiftArgs),
    /// Lists the holds in force.
    List(ShowArgs),
}

#[derive(clap::Args)]
struct SetArgs {
    #[command(flatten)]
    place: Place,
    /// Records not before this time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Records before this time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    until: Option<jiff::Timestamp>,
    /// Records with this sender or recipient as they are now; the number itself is not kept.
    #[arg(long)]
    number: Option<String>,
    /// Records of this provider as they are now.
    #[arg(long)]
    provider: Option<String>,
    /// Why: a case, an order.
    #[arg(long)]
    reason: String,
    /// Who sets it.
    #[arg(long)]
    by: String,
}

#[derive(clap::Args)]
struct LiftArgs {
    #[command(flatten)]
    place: Place,
    /// The hold's number.
    hold: u64,
    /// Who lifts it.
    #[arg(long)]
    by: String,
}

/// `audit retention`: every segment and when it is due. No, where the clock is in doubt.
pub(super) fn show(args: &ShowArgs) -> Result<Answer, Failure> {
    let config = knowledge::load_config(&args.place.config)?;
    let now_us = now_us();
    let plan = planned(&config, now_us)?;
    for due in &plan.segments {
        let line = shown_due(due, now_us);
        match args.json {
            true => println!("{line}"),
            false => println!("{}", plain(&line)),
        }
    }
    if !args.json {
        let due = plan.segments.iter().filter(|due| due.may_go(now_us)).count();
        println!(
            "{} months in {}; {due} of {} finished segments are due, {} were purged, {} holds",
            config.audit.keep_months,
            config.audit.zone,
            plan.segments.len(),
            plan.purged,
            plan.holds.len()
        );
    }
    match plan.doubt {
        Some(doubt) => {
            eprintln!("nothing is purged: {doubt}");
            Ok(Answer::No)
        }
        None => Ok(Answer::Yes),
    }
}

/// `audit purge`.
pub(super) fn purge(args: &PurgeArgs) -> Result<Answer, Failure> {
    if args.dry_run {
        return dry_run(args);
    }
    let (opened, config) = open(&args.place.config)?;
    let body = json!({ "by": args.by, "trust_clock": args.trust_clock }).to_string();
    let mut purged = 0;
    for _ in 0..TRIES {
        let done = opened.ask("purge", &body)?;
        for gone in done["purged"].as_array().into_iter().flatten() {
            purged += 1;
            match args.json {
                true => println!("{gone}"),
                false => println!("purged {}", plain(gone)),
            }
        }
        let now_us = now_us();
        let left = planned(&config, now_us)?.segments.iter().any(|due| due.may_go(now_us));
        if !left {
            break;
        }
        // What is kept of a segment needs a checkpoint over it: the notary is at it.
        std::thread::sleep(WAIT);
    }
    let now_us = now_us();
    let left = planned(&config, now_us)?.segments.iter().filter(|due| due.may_go(now_us)).count();
    if left > 0 {
        eprintln!("{left} segments that are due wait to be signed: records of them are to be kept");
    }
    if !args.json {
        println!("{purged} segments purged");
    }
    opened.close()?;
    Ok(Answer::Yes)
}

fn dry_run(args: &PurgeArgs) -> Result<Answer, Failure> {
    let config = knowledge::load_config(&args.place.config)?;
    let now_us = now_us();
    let plan = planned(&config, now_us)?;
    if let Some(doubt) = plan.doubt.filter(|_| !args.trust_clock) {
        eprintln!("nothing would be purged: {doubt}");
        return Ok(Answer::No);
    }
    for due in plan.segments.iter().filter(|due| due.may_go(now_us)) {
        let line = shown_due(due, now_us);
        match args.json {
            true => println!("{line}"),
            false => println!("would purge {}", plain(&line)),
        }
    }
    Ok(Answer::Yes)
}

/// `audit hold`.
pub(super) fn hold(args: &HoldArgs) -> Result<Answer, Failure> {
    match &args.what {
        HoldWhat::Set(args) => set(args),
        HoldWhat::Lift(args) => {
            let (opened, _) = open(&args.place.config)?;
            let body = json!({ "id": args.hold, "by": args.by }).to_string();
            println!("lifted {}", plain(&opened.ask("lift", &body)?));
            opened.close()?;
            Ok(Answer::Yes)
        }
        HoldWhat::List(args) => {
            let config = knowledge::load_config(&args.place.config)?;
            for hold in planned(&config, now_us())?.holds {
                let line = shown_hold(&hold);
                match args.json {
                    true => println!("{line}"),
                    false => println!("{}", plain(&line)),
                }
            }
            Ok(Answer::Yes)
        }
    }
}

fn set(args: &SetArgs) -> Result<Answer, Failure> {
    let by_records = args.number.is_some() || args.provider.is_some();
    if !by_records && args.from.is_none() && args.until.is_none() {
        return Err(Failure(
            "say what to hold: --from, --until, --number or --provider".to_owned(),
        ));
    }
    let config = knowledge::load_config(&args.place.config)?;
    let (from_us, until_us) = (args.from.map_or(0, micros), args.until.map_or(NO_END_US, micros));
    let (segments, until_us) = match by_records {
        true => (touched(&config, args, (from_us, until_us))?, from_us),
        false => (Vec::new(), until_us),
    };
    if by_records && segments.is_empty() {
        println!("no record is like that: nothing to hold");
        return Ok(Answer::No);
    }
    let (opened, _) = open(&args.place.config)?;
    let body = json!({
        "from_us": from_us, "until_us": until_us, "segments": segments,
        "reason": args.reason, "by": args.by,
    });
    println!("{}", plain(&opened.ask("hold", &body.to_string())?));
    opened.close()?;
    Ok(Answer::Yes)
}

/// First records of the segments that hold what a number or a provider sent or was sent, and what
/// became of it.
fn touched(config: &Config, args: &SetArgs, time: (u64, u64)) -> Result<Vec<u64>, Failure> {
    let folder = &config.audit.path;
    let mut firsts = segment_firsts(folder)
        .map_err(|error| Failure(format!("{}: {error}", folder.display())))?;
    // What outlived its segment is held by the segment's name.
    firsts.extend(purged_firsts(folder)?);
    firsts.sort_unstable();
    firsts.dedup();
    let wanted = args.number.as_deref().map(Wanted::new);
    let is_meant = |source: &[u8], destination: &[u8]| {
        wanted.as_ref().is_some_and(|wanted| wanted.is_one_of(source, destination))
    };
    let keys = Arc::new(KeyRing::open(&config.audit.keys)?);
    let query = Query {
        keys: Some(&keys),
        since_us: Some(time.0),
        until_us: Some(time.1),
        number: wanted.is_some().then_some(&is_meant),
        provider: args.provider.as_deref(),
        ..Query::default()
    };
    let mut touched = std::collections::BTreeSet::new();
    let mut touch = |number: u64| {
        let at = firsts.partition_point(|first| *first <= number);
        touched.extend(at.checked_sub(1).and_then(|at| firsts.get(at)).copied());
    };
    let searched = audit::search(folder, &query, &mut |found| {
        match found {
            Found::Bind { bind } => touch(bind.number),
            Found::Reply { reply, .. } => touch(reply.number),
            Found::Consent { consent } => touch(consent.number),
            Found::Message { verdict, answer, bind, receipts, content } => {
                content.into_iter().for_each(|content| touch(content.number));
                touch(verdict.number);
                bind.into_iter().for_each(|bind| touch(bind.number));
                receipts.iter().for_each(|receipt| touch(receipt.number));
                match answer {
                    audit::Answer::Response(kept) | audit::Answer::Unanswered(kept) => {
                        touch(kept.number);
                    }
                    audit::Answer::Unsuccess { response, unsuccess } => {
                        touch(response.number);
                        touch(unsuccess.number);
                    }
                    audit::Answer::Refused | audit::Answer::Unknown => {}
                }
            }
        }
        ControlFlow::Continue(())
    })?;
    if searched.unreadable > 0 {
        let unreadable = searched.unreadable;
        return Err(Failure(format!(
            "the numbers of {unreadable} messages cannot be read, their keys are not there: hold a time instead"
        )));
    }
    Ok(touched.into_iter().collect())
}

/// A journal whose lock is ours, or the proxy that has it.
enum Opened {
    Here { desk: Box<Desk>, journal: Journal },
    Proxy(Api),
}

impl Opened {
    fn ask(&self, ask: &str, body: &str) -> Result<Value, Failure> {
        match self {
            Opened::Here { desk, .. } => Ok(desk.answer(ask, body.as_bytes())?),
            Opened::Proxy(api) => {
                let answer = api.post(&format!("/api/v1/retention/{ask}"), body)?;
                Ok(serde_json::from_str(&answer)?)
            }
        }
    }

    fn close(self) -> Result<(), Failure> {
        match self {
            Opened::Here { journal, .. } => Ok(journal.close(now_us())?),
            Opened::Proxy(_) => Ok(()),
        }
    }
}

/// Opens the journal of a configuration; if a proxy has it, turns to that proxy.
fn open(file: &Path) -> Result<(Opened, Config), Failure> {
    let config = knowledge::load_config(file)?;
    if is_locked(&config.audit.path)? {
        let none =
            "the journal is in use, and its proxy has no [admin] address to be asked through";
        let admin = config.admin.as_ref().ok_or_else(|| Failure(none.to_owned()))?;
        if admin.address.port() == 0 {
            let why = "the journal is in use, and the [admin] address of its proxy has port 0; write the port";
            return Err(Failure(why.to_owned()));
        }
        let address = reachable(admin.address);
        eprintln!("on the running proxy, through its admin API at {address}");
        let api = Api::new(address, admin.token_file.as_deref())?;
        return Ok((Opened::Proxy(api), config));
    }
    if !config.audit.path.exists() {
        return Err(Failure(format!("{} holds no journal", config.audit.path.display())));
    }
    let loaded = knowledge::load(file)?;
    let names: Vec<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    let (metrics, clock) = (Arc::new(Metrics::new(&names)), Clock::start());
    let reading = loaded.knowledge.texts.version();
    let made_with = (loaded.knowledge.rule_set.name(), reading.as_str());
    let journal = serve::open_journal(
        &loaded.config,
        &loaded.knowledge.registry,
        loaded.digest,
        made_with,
        &metrics,
        clock,
    )?;
    eprintln!("on the journal {}: no proxy runs on it", config.audit.path.display());
    let ledger = ledger::look(&config);
    if let Err(Failure(why)) = &ledger {
        eprintln!("the consent ledger cannot be opened, so all records of consent stay: {why}");
    }
    let desk = Box::new(Desk::new(&config, journal.clone(), ledger.ok(), clock)?);
    Ok((Opened::Here { desk, journal }, config))
}

/// Whether a process has the journal open.
fn is_locked(folder: &Path) -> Result<bool, Failure> {
    let opened = match std::fs::File::open(folder) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Failure(format!("{}: {error}", folder.display()))),
    };
    match opened.try_lock() {
        Ok(()) => Ok(false),
        Err(std::fs::TryLockError::WouldBlock) => Ok(true),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(Failure(format!("{}: {error}", folder.display())))
        }
    }
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

/// An object for reading: what is there, in the order of the keys.
fn plain(line: &Value) -> String {
    let shown = line.as_object().into_iter().flatten().filter_map(|(key, value)| match value {
        Value::Null => None,
        Value::Array(list) if list.is_empty() => None,
        Value::String(text) => Some(format!("{key}={text}")),
        other => Some(format!("{key}={other}")),
    });
    shown.collect::<Vec<_>>().join("  ")
}
