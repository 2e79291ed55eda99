//! `consentry consent`: the ledger, on a running proxy or on the store when none runs.
//!
//! | file | subject |
//! |---|---|
//! | this | the sub-commands that tell or ask about one pair, `export` and `stats` |
//! | `import` | events from a file, streamed and resumable |
//! | `migrate` | the tables of a database that nodes share |
//! | `place` | the store, or the proxy that holds it |
//! | `http` | just enough of a client for the admin API |

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::shown::masked;
use super::{Answer, Failure};
use crate::consent::desk::{Ask, PAGE_PAIRS};
use crate::consent::line::{self, Line};
use crate::policy::{Review, ReviewPolicy};

mod http;
mod import;
mod migrate;
mod place;
mod standing;

pub(super) use http::Api;
pub(super) use place::reachable;
use place::{Opened, print};
pub(super) use standing::{ask_proxy, standing};

/// The consent ledger: who said yes, who said no, and the history behind it.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Takes events from a CSV or NDJSON file: exit status 1 when lines were refused.
    Import(import::Args),
    /// Records that a recipient consented.
    Grant(Grant),
    /// Records that a recipient refused, or that a number has a new owner.
    Revoke(Revoke),
    /// Records that the proof of a grant was looked at.
    Review(ReviewArgs),
    /// How a pair stands: exit status 0 when consent counts, 1 when not.
    Show(Show),
    /// All that happened with a pair.
    History(History),
    /// How every pair stands, one JSON object a line.
    Export(Export),
    /// Figures.
    Stats(Stats),
    /// Makes or upgrades the tables of the database that `[consent] url` names, and says what it did.
    /// Nodes may run meanwhile: run it once with the new release, before the first node has it.
    Migrate(migrate::Args),
}

/// Imports a CSV file into the ledger of a configuration, as `consentry consent import` does.
pub(super) fn import(config: &Path, file: &Path) -> Result<Answer, Failure> {
    import::run(&import::Args::of(config, file))
}

/// A recipient and a legal entity.
#[derive(clap::Args)]
struct Pair {
    #[command(flatten)]
    place: place::Where,
    /// The recipient, in any spelling.
    number: String,
    /// The legal entity's name, as in registry.toml.
    entity: String,
}

#[derive(clap::Args)]
struct Grant {
    #[command(flatten)]
    pair: Pair,
    /// The document that proves it; its SHA-256 is kept.
    #[arg(long, value_name = "FILE", required_unless_present = "proof_sha256")]
    proof_file: Option<PathBuf>,
    /// The document's SHA-256; with --proof-file both must agree.
    #[arg(long, value_name = "HEX")]
    proof_sha256: Option<String>,
    /// commitment, paper, web, message, call or other.
    #[arg(long, value_name = "KIND", default_value = "other")]
    proof: String,
    /// submitted or reviewed.
    #[arg(long, default_value = "submitted")]
    review: String,
    /// When consent was given; now when not said.
    #[arg(long, default_value = "", hide_default_value = true)]
    time: String,
    /// When it ends: a moment, or its last day.
    #[arg(long, default_value = "", hide_default_value = true)]
    until: String,
    /// commercial or service.
    #[arg(long, default_value = "commercial")]
    class: String,
    /// A list, product or shop of the entity; the whole entity when not said.
    #[arg(long, default_value = "", hide_default_value = true)]
    scope: String,
    /// How often was promised at most, such as 4/month.
    #[arg(long, default_value = "", hide_default_value = true)]
    promise: String,
}

#[derive(clap::Args)]
struct Revoke {
    #[command(flatten)]
    place: place::Where,
    /// The recipient, in any spelling.
    number: String,
    /// The legal entity's name; without it, every entity that knows the number.
    entity: Option<String>,
    /// refused, recycled, complaint or operator.
    #[arg(long, default_value = "operator")]
    cause: String,
}

#[derive(clap::Args)]
struct ReviewArgs {
    #[command(flatten)]
    pair: Pair,
    /// reviewed or rejected; rejected ends the grant.
    review: String,
    /// The document that was looked at: it must be the grant's proof.
    #[arg(long, value_name = "FILE")]
    proof_file: Option<PathBuf>,
    /// Which grant of the pair.
    #[arg(long, default_value = "", hide_default_value = true)]
    scope: String,
}

#[derive(clap::Args)]
struct Show {
    #[command(flatten)]
    pair: Pair,
    /// How it stood then: RFC 3339, or a date and time in China.
    #[arg(long, value_name = "TIME", default_value = "", hide_default_value = true)]
    at: String,
    /// A list, product or shop of the entity.
    #[arg(long, default_value = "", hide_default_value = true)]
    scope: String,
    #[command(flatten)]
    look: Look,
}

#[derive(clap::Args)]
struct History {
    #[command(flatten)]
    pair: Pair,
    #[command(flatten)]
    look: Look,
}

#[derive(clap::Args)]
struct Export {
    #[command(flatten)]
    place: place::Where,
    /// Only this legal entity.
    #[arg(long)]
    entity: Option<String>,
    /// Show numbers whole.
    #[arg(long)]
    unmask: bool,
    /// One JSON object a line, as always.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Stats {
    #[command(flatten)]
    place: place::Where,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// How a result is printed.
#[derive(clap::Args)]
struct Look {
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Show numbers whole.
    #[arg(long)]
    unmask: bool,
}

/// Runs one of the nine.
pub fn run(args: Args) -> Result<Answer, Failure> {
    match args.what {
        What::Import(args) => import::run(&args),
        What::Grant(args) => grant(&args),
        What::Revoke(args) => revoke(&args),
        What::Review(args) => review(&args),
        What::Show(args) => show(&args),
        What::History(args) => history(&args),
        What::Export(args) => export(&args),
        What::Stats(args) => stats(&args),
        What::Migrate(args) => migrate::run(&args),
    }
}

/// The digest of a document, which must be the one that was named beside it.
fn proof_digest(file: Option<&Path>, named: Option<&str>) -> Result<String, Failure> {
    let named = named.map(line::digest).transpose()?;
    let Some(file) = file else {
        return Ok(named.map(|sha256| line::hex(&sha256)).unwrap_or_default());
    };
    let shown = file.display();
    let mut hasher = Sha256::new();
    std::fs::File::open(file)
        .and_then(|mut file| import::digest_into(&mut file, &mut hasher))
        .map_err(|error| Failure(format!("the proof {shown} cannot be read: {error}")))?;
    let found: [u8; 32] = hasher.finalize().into();
    if named.is_some_and(|named| named != found) {
        return Err(Failure(format!("the proof {shown} does not have the SHA-256 that was named")));
    }
    Ok(line::hex(&found))
}

fn grant(args: &Grant) -> Result<Answer, Failure> {
    let sha256 = proof_digest(args.proof_file.as_deref(), args.proof_sha256.as_deref())?;
    let line = Line {
        number: args.pair.number.as_str().into(),
        entity: args.pair.entity.as_str().into(),
        event: "granted".into(),
        time: args.time.as_str().into(),
        until: args.until.as_str().into(),
        class: args.class.as_str().into(),
        scope: args.scope.as_str().into(),
        promise: args.promise.as_str().into(),
        proof: args.proof.as_str().into(),
        proof_sha256: sha256.into(),
        review: args.review.as_str().into(),
        ..Line::default()
    };
    tell(&args.pair.place.open()?, &line, "granted")
}

fn revoke(args: &Revoke) -> Result<Answer, Failure> {
    let line = Line {
        number: args.number.as_str().into(),
        entity: args.entity.as_deref().unwrap_or_default().into(),
        event: "revoked".into(),
        cause: args.cause.as_str().into(),
        ..Line::default()
    };
    tell(&args.place.open()?, &line, "revoked")
}

fn review(args: &ReviewArgs) -> Result<Answer, Failure> {
    let line = Line {
        number: args.pair.number.as_str().into(),
        entity: args.pair.entity.as_str().into(),
        event: "reviewed".into(),
        scope: args.scope.as_str().into(),
        review: args.review.as_str().into(),
        proof_sha256: proof_digest(args.proof_file.as_deref(), None)?.into(),
        ..Line::default()
    };
    tell(&args.pair.place.open()?, &line, "reviewed")
}

/// Tells one event. A line that cannot be read is the caller's mistake; one that the ledger does not
/// take is a no.
fn tell(opened: &Opened, line: &Line<'_>, done: &str) -> Result<Answer, Failure> {
    line.recipient()?;
    warn_of_stranger(opened, &line.entity);
    let answer: Value = serde_json::from_str(&opened.place.ask(Ask::Events, &line.to_json())?)?;
    if let Some(why) = answer.pointer("/refused/0/why").and_then(Value::as_str) {
        println!("refused: {why}");
        return Ok(Answer::No);
    }
    if let Some(waiting) = answer["waiting"].as_u64() {
        let says = "in force on this node, and delivered when the engine answers";
        println!("{done}: {waiting} event kept here: {says}");
        return Ok(Answer::Yes);
    }
    match answer["taken"].as_u64() {
        Some(0) => println!("nothing to do: no entity knows this number"),
        taken => println!("{done}: {} event on the disk", taken.unwrap_or(1)),
    }
    Ok(Answer::Yes)
}

fn warn_of_stranger(opened: &Opened, entity: &str) {
    if let Some(providers) = &opened.providers
        && !entity.is_empty()
        && !providers.iter().any(|name| name == entity)
    {
        eprintln!(
            "note: no provider of the registry is named {entity}: this consent binds nobody yet"
        );
    }
}

fn show(args: &Show) -> Result<Answer, Failure> {
    let opened = args.pair.place.open()?;
    line::number(&args.pair.number)?;
    let asked = json!({
        "number": args.pair.number, "entity": args.pair.entity,
        "scope": args.scope, "at": args.at,
    });
    let answer = opened.place.ask(Ask::Standings, &asked.to_string())?;
    let mut standing: Value = serde_json::from_str(&answer)?;
    let counts = counts(&standing, opened.review);
    standing["counts"] = counts.into();
    print_all([standing], &args.look)?;
    Ok(if counts { Answer::Yes } else { Answer::No })
}

/// Whether a standing is consent to commercial messages now.
fn counts(standing: &Value, policy: ReviewPolicy) -> bool {
    let review = standing["review"].as_str().and_then(Review::from_name);
    standing["state"] == "granted"
        && standing["class"] == "commercial"
        && review.is_some_and(|review| policy.suffices(review))
}

fn history(args: &History) -> Result<Answer, Failure> {
    let opened = args.pair.place.open()?;
    let asked = json!({ "number": args.pair.number, "entity": args.pair.entity });
    let answer = opened.place.ask(Ask::History, &asked.to_string())?;
    let events: Result<Vec<Value>, _> = answer.lines().map(serde_json::from_str).collect();
    let events = events?;
    let is_empty = events.is_empty();
    print_all(events, &args.look)?;
    Ok(if is_empty { Answer::No } else { Answer::Yes })
}

fn export(args: &Export) -> Result<Answer, Failure> {
    let opened = args.place.open()?;
    let mut after = String::new();
    loop {
        let answer = opened.place.ask(Ask::Export, &after)?;
        let page: Result<Vec<Value>, _> = answer.lines().map(serde_json::from_str).collect();
        let page = page?;
        let Some(last) = page.last() else { return Ok(Answer::Yes) };
        after = json!({ "number": last["number"], "entity": last["entity"] }).to_string();
        // A pair may have several lines, so a full page is known by its pairs.
        let mut pairs: Vec<(&Value, &Value)> =
            page.iter().map(|line| (&line["entity"], &line["number"])).collect();
        pairs.dedup();
        let is_last = pairs.len() < PAGE_PAIRS;
        let is_meant =
            |line: &Value| args.entity.as_deref().is_none_or(|name| line["entity"] == name);
        let look = Look { json: true, unmask: args.unmask };
        print_all(page.into_iter().filter(is_meant), &look)?;
        if is_last {
            return Ok(Answer::Yes);
        }
    }
}

fn stats(args: &Stats) -> Result<Answer, Failure> {
    let opened = args.place.open()?;
    let stats: Value = serde_json::from_str(&opened.place.ask(Ask::Stats, "")?)?;
    if args.json {
        print(&format!("{stats}\n"))?;
        return Ok(Answer::Yes);
    }
    for (name, value) in stats.as_object().into_iter().flatten() {
        match value.as_object() {
            Some(events) => {
                for (event, count) in events {
                    print(&format!("{:<18} {count}\n", format!("events.{event}")))?;
                }
            }
            None => print(&format!("{name:<18} {value}\n"))?,
        }
    }
    Ok(Answer::Yes)
}

/// Prints results: as JSON, or the values that are there in a fixed order.
fn print_all(lines: impl IntoIterator<Item = Value>, look: &Look) -> Result<(), Failure> {
    const KEYS: [&str; 21] = [
        "number",
        "entity",
        "scope",
        "happened",
        "state",
        "counts",
        "class",
        "review",
        "cause",
        "from",
        "until",
        "promise",
        "sent",
        "content",
        "proof",
        "proof_sha256",
        "source",
        "event",
        "time",
        "recorded",
        "at",
    ];
    let mut out = String::new();
    for mut line in lines {
        if let (Some(number), false) = (line["number"].as_str(), look.unmask) {
            line["number"] = masked(number.as_bytes(), false).into();
        }
        if look.json {
            out.push_str(&line.to_string());
        } else {
            let shown = KEYS.iter().filter_map(|key| match line.get(key)? {
                Value::Null => None,
                Value::String(text) if text.is_empty() => None,
                Value::String(text) => Some(format!("{key}={text}")),
                other => Some(format!("{key}={other}")),
            });
            out.push_str(&shown.collect::<Vec<_>>().join("  "));
        }
        out.push('\n');
    }
    print(&out)
}
