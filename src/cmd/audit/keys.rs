//! `consentry audit keys`: who can read what is encrypted, from when on, and for how long.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::{Answer, Failure, Place};
use crate::audit::keys::{AuditorKey, NumbersKey};
use crate::audit::sealed::{Destroyed, Order, Purpose, written_under};
use crate::audit::{Durability, Journal, OpenFault, Options, Sealing};

/// How long a running proxy is waited for to carry out an order.
const PROXY_WAIT: Duration = Duration::from_secs(15);
/// How often it is looked at whether it has.
const LOOK: Duration = Duration::from_millis(100);

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Makes an auditor's pair of keys: FILE, and FILE with the ending .pub for [audit] auditors.
    NewAuditor {
        /// Where the private key goes. It is the auditor's alone: move it off this machine.
        file: PathBuf,
    },
    /// Lists the keys of numbers and how many segments were written under each.
    List {
        #[command(flatten)]
        place: Place,
        /// One JSON object a key.
        #[arg(long)]
        json: bool,
    },
    /// Makes the next key of numbers before the month is over.
    Rotate {
        #[command(flatten)]
        place: Place,
    },
    /// Destroys a key, and with it for ever what was written under it: numbers and contents, for
    /// auditors too. The chain goes on verifying.
    Destroy {
        #[command(flatten)]
        place: Place,
        /// The key's name, as `list` shows it.
        key: String,
        /// Only contents: numbers stay legible.
        #[arg(long)]
        content_only: bool,
        /// Why: it is recorded.
        #[arg(long)]
        reason: String,
    },
}

/// Runs one of them.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    match &args.what {
        What::NewAuditor { file } => new_auditor(file),
        What::List { place, json } => list(place, *json),
        What::Rotate { place } => rotate(place),
        What::Destroy { place, key, content_only, reason } => {
            let (key, reason) = (key.clone(), reason.clone());
            destroy(place, &Order { key, content_only: *content_only, reason })
        }
    }
}

fn new_auditor(file: &std::path::Path) -> Result<Answer, Failure> {
    let key = AuditorKey::make(file)?;
    let public = file.with_extension("pub");
    println!("{}: the private key; keep it where the proxy is not", file.display());
    println!("{}: the public one, for [audit] auditors", public.display());
    println!("{}: its name", key.auditor().name());
    Ok(Answer::Yes)
}

fn list(place: &Place, as_json: bool) -> Result<Answer, Failure> {
    let (journal, keys) = place.folders()?;
    let names = NumbersKey::list(&keys)?;
    for name in &names {
        let segments = match journal.is_dir() {
            true => written_under(&journal, name)?,
            false => Vec::new(),
        };
        let has_content = |first: &&u64| journal.join(Purpose::Content.name(**first)).is_file();
        let with_content = segments.iter().filter(has_content).count();
        let is_used = Some(name) == names.last();
        if as_json {
            println!(
                "{}",
                json!({ "key": name, "segments": segments.len(), "with_content": with_content,
                    "first": segments.first(), "is_in_use": is_used })
            );
        } else {
            let used = if is_used { ", in use" } else { "" };
            println!("{name}  {} segments, {with_content} with content{used}", segments.len());
        }
    }
    Ok(if names.is_empty() { Answer::No } else { Answer::Yes })
}

fn rotate(place: &Place) -> Result<Answer, Failure> {
    let (_, keys) = place.folders()?;
    let made = NumbersKey::make(&keys, now_us())?;
    println!(
        "{}: in use from the next segment on, which a running proxy begins within a minute",
        made.name
    );
    Ok(Answer::Yes)
}

fn destroy(place: &Place, order: &Order) -> Result<Answer, Failure> {
    let (journal, keys) = place.folders()?;
    let is_known = NumbersKey::list(&keys)?.contains(&order.key)
        || !written_under(&journal, &order.key)?.is_empty();
    if !is_known {
        println!("there is no key {}; `consentry audit keys list` shows them", order.key);
        return Ok(Answer::No);
    }
    let mut options = Options::new(Durability::Synced);
    options.program = env!("CARGO_PKG_VERSION").to_owned();
    let sealing = Sealing { keys: keys.clone(), auditors: Vec::new(), content: false };
    options.sealing = Some(sealing);
    match Journal::open(&journal, options, now_us()) {
        Ok((open, _)) => {
            let done = order.carry_out(&open, &journal, &keys, now_us());
            open.close(now_us())?;
            told(order, &done?);
            Ok(Answer::Yes)
        }
        Err(OpenFault::Locked { .. }) => by_the_proxy(order, &keys),
        Err(other) => Err(other.into()),
    }
}

/// The running proxy finds the order and carries it out.
fn by_the_proxy(order: &Order, keys: &std::path::Path) -> Result<Answer, Failure> {
    if NumbersKey::list(keys)?.last() == Some(&order.key) {
        return Err(Failure(format!(
            "the key {} is in use; `consentry audit keys rotate` makes the next one, then try again",
            order.key
        )));
    }
    order.put(keys)?;
    let begun = SystemTime::now();
    while order.file(keys).exists() {
        if begun.elapsed().unwrap_or_default() > PROXY_WAIT {
            println!(
                "ordered; the running proxy carries it out once its open segment is under another key"
            );
            return Ok(Answer::Yes);
        }
        std::thread::sleep(LOOK);
    }
    println!("{}: destroyed by the running proxy, and recorded", order.key);
    Ok(Answer::Yes)
}

fn told(order: &Order, destroyed: &Destroyed) {
    let what = if order.content_only { "contents" } else { "numbers and contents" };
    let Destroyed { segments, first, through } = destroyed;
    println!(
        "{}: destroyed, and recorded; {what} of {segments} segments, records {first} to {through}, are unreadable",
        order.key
    );
}

fn now_us() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    since.as_micros() as u64
}
