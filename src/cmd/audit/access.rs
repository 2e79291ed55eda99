//! `consentry audit access`: who looked at records. Every command that shows some leaves a record of it,
//! before it shows anything, in a small journal of its own beside them: `access` in the journal's folder.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::record::fields;
use super::listing::Listing;
use super::{Answer, Failure, Place};
use crate::audit::keys::SigningKey;
use crate::audit::proof::NotaryOptions;
use crate::audit::{
    AccessRecord, Durability, Journal, OpenFault, Options, ReadFault, Reader, Record, Records,
};

/// The folder within the journal's.
const FOLDER: &str = "access";
/// How long another command may hold the journal of accesses.
const LOCKED_MAX: Duration = Duration::from_secs(5);
/// How often it is tried again meanwhile.
const AGAIN: Duration = Duration::from_millis(20);

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Lists all of them, oldest first.
pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let folder = args.place.folder()?.join(FOLDER);
    let mut reader = match Reader::open(&folder) {
        Ok(reader) => reader,
        Err(ReadFault::Empty { .. }) => return Ok(Answer::No),
        Err(ReadFault::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(Answer::No);
        }
        Err(fault) => return Err(fault.into()),
    };
    let mut listing = Listing::endless(args.json);
    while let Some(entry) = reader.next()? {
        if !matches!(entry.record(), Record::Access(_)) {
            continue;
        }
        if listing.push(&fields(&entry.keep(), false)).is_break() {
            break;
        }
    }
    listing.finish()
}

/// What is asked for, in one line: the filters that have a value.
pub(super) fn said<'n>(filters: impl IntoIterator<Item = (&'n str, Option<String>)>) -> String {
    let said = filters.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?)));
    said.collect::<Vec<_>>().join(", ")
}

/// Records that somebody is about to look; `asked` holds no whole number of a person. Where that is
/// impossible, nothing is to be shown, unless `--unrecorded` says so.
pub(super) fn note(
    place: &Place,
    command: &str,
    asked: &str,
    is_unmasked: bool,
) -> Result<(), Failure> {
    let (folder, keys) = place.folders()?;
    // What is not there is the command's own to say.
    if place.unrecorded || !folder.is_dir() {
        return Ok(());
    }
    let folder = folder.join(FOLDER);
    keep(&folder, &keys, command, asked, is_unmasked).map_err(|why| {
        let shown = folder.display();
        Failure(format!(
            "this look at the records cannot be recorded in {shown}: {why}; make it writable, or add \
             --unrecorded"
        ))
    })
}

/// The same of who looks at records of all nodes, wherever those are: on record is it here.
pub(super) fn note_over(
    place: &Place,
    command: &str,
    asked: &str,
    is_unmasked: bool,
) -> Result<(), Failure> {
    if place.unrecorded {
        return Ok(());
    }
    let (folder, keys) = place.folders().map_err(|Failure(why)| {
        Failure(format!("{why}: there this look is recorded; or add --unrecorded"))
    })?;
    let folder = folder.join(FOLDER);
    keep(&folder, &keys, command, asked, is_unmasked).map_err(|why| {
        let shown = folder.display();
        Failure(format!(
            "this look at the records cannot be recorded in {shown}: {why}; make it writable, or add \
             --unrecorded"
        ))
    })
}

/// The same of who looks through the admin API of this process from `peer`, masked; `folders` are the
/// journal's and that of the keys.
pub(in crate::cmd) fn note_api(
    (journal, keys): (&Path, &Path),
    peer: IpAddr,
    command: &str,
    asked: &str,
) -> Result<(), String> {
    keep_of(&journal.join(FOLDER), keys, &format!("admin API from {peer}"), command, asked, false)
}

fn keep(
    folder: &Path,
    keys: &Path,
    command: &str,
    asked: &str,
    is_unmasked: bool,
) -> Result<(), String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let name = ["SUDO_USER", "LOGNAME", "USER"].into_iter().find_map(variable);
    keep_of(folder, keys, name.as_deref().unwrap_or_default(), command, asked, is_unmasked)
}

fn keep_of(
    folder: &Path,
    keys: &Path,
    name: &str,
    command: &str,
    asked: &str,
    is_unmasked: bool,
) -> Result<(), String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    let journal = open(folder, keys, now_us)?;
    let user = rustix::process::getuid().as_raw();
    let record = AccessRecord { user, is_unmasked, name, command, asked };
    let mut records = Records::new();
    records.access(now_us, &record);
    journal
        .append(&mut records)
        .and_then(|ticket| journal.wait(ticket))
        .and_then(|()| journal.close(now_us))
        .map_err(|error| error.to_string())
}

/// Opens the journal of accesses; waits while another command holds it.
fn open(folder: &Path, keys: &Path, now_us: u64) -> Result<Journal, String> {
    let mut waited = Duration::ZERO;
    loop {
        let mut options = Options::new(Durability::Synced);
        options.program = env!("CARGO_PKG_VERSION").to_owned();
        options.notary = notary(keys, now_us)?;
        match Journal::open(folder, options, now_us) {
            Ok((journal, _)) => return Ok(journal),
            Err(OpenFault::Locked { .. }) if waited < LOCKED_MAX => {
                sleep(AGAIN);
                waited += AGAIN;
            }
            Err(fault) => return Err(fault.to_string()),
        }
    }
}

/// Signs every look, where the proxy's key is there: who has none leaves that to the next who has.
fn notary(keys: &Path, now_us: u64) -> Result<Option<NotaryOptions>, String> {
    let key = SigningKey::open(keys).map_err(|fault| fault.to_string())?;
    Ok(key.map(|key| NotaryOptions {
        key,
        records: u64::MAX,
        every: Duration::MAX,
        now_us: Box::new(move || now_us),
        on_fault: Box::new(|why| eprintln!("this look is recorded and not signed: {why}")),
    }))
}
