//! `consentry audit`: the records. One file a sub-command.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Answer, Failure, knowledge};
use crate::audit::KeyRing;
use crate::audit::keys::{AuditorKey, IndexKey};
use crate::config;

mod access;
mod archive;
mod export;
mod filters;
mod keys;
mod listing;
mod nodes;
mod number;
mod open;
mod prove;
mod receipts;
mod report;
mod retention;
mod search;
mod show;
mod verify;

pub(super) use access::note_api;
pub(super) use number::{canonical_octets, tokens};

/// The records: search them, show one, verify them all.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Finds binds and messages, each with what became of it.
    Search(search::Args),
    /// Lists delivery receipts, each with its message.
    Receipts(receipts::Args),
    /// Lists who looked at records.
    Access(access::Args),
    /// Shows one record.
    Show(show::Args),
    /// Hands records over: a table with whole numbers, what proves each, a cover, a signature.
    Export(export::Args),
    /// Counts by article, provider and day: refusals, opt-outs, complaints, blind ports, sweeps.
    Report(report::Args),
    /// Shows what messages say, from rows that a mirror delivered with their contents.
    Open(open::Args),
    /// Prints what proves records to whoever has the public key.
    Prove(prove::Args),
    /// Rewrites sealed segments to Parquet, as the running proxy does by itself.
    Archive(archive::Args),
    /// Shows how long each part of the journal is kept, and what keeps it longer.
    Retention(retention::ShowArgs),
    /// Legal holds: what must not be purged.
    Hold(retention::HoldArgs),
    /// Purges what is due, as the running proxy does by itself.
    Purge(retention::PurgeArgs),
    /// The keys that numbers and contents are encrypted with.
    Keys(keys::Args),
    /// Walks every segment, record and link of the chain, and checks what was signed, or a proof alone:
    /// 0 whole, 1 broken, 2 cannot tell.
    Verify(verify::Args),
}

/// Runs one of them.
pub fn run(args: Args) -> Result<Answer, Failure> {
    match args.what {
        What::Search(args) => search::run(&args),
        What::Receipts(args) => receipts::run(&args),
        What::Access(args) => access::run(&args),
        What::Show(args) => show::run(&args),
        What::Export(args) => export::run(&args),
        What::Report(args) => report::run(&args),
        What::Open(args) => open::run(&args),
        What::Prove(args) => prove::run(&args),
        What::Archive(args) => archive::run(&args),
        What::Retention(args) => retention::show(&args),
        What::Hold(args) => retention::hold(&args),
        What::Purge(args) => retention::purge(&args),
        What::Keys(args) => keys::run(&args),
        What::Verify(args) => verify::run(&args),
    }
}

/// Where the journal is.
#[derive(clap::Args)]
struct Place {
    /// The consentry.toml whose [audit] path is meant.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The journal's folder itself.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    path: Option<PathBuf>,
    /// Look at records that nobody can write beside, such as a copy on a read-only medium, without leaving
    /// a record of it.
    #[arg(long)]
    unrecorded: bool,
}

impl Place {
    /// The journal's folder.
    fn folder(&self) -> Result<PathBuf, Failure> {
        Ok(self.folders()?.0)
    }

    /// The keys to read with.
    fn keys(&self) -> Result<Arc<KeyRing>, Failure> {
        Ok(Arc::new(KeyRing::open(&self.folders()?.1)?))
    }

    /// The key of the indexes; none where there are no keys, and none can be made.
    fn index_key(&self) -> Result<Option<IndexKey>, Failure> {
        let (_, keys) = self.folders()?;
        Ok(match IndexKey::open(&keys)? {
            None if keys.is_dir() => IndexKey::open_or_create(&keys).ok(),
            found => found,
        })
    }

    /// The keys to read with, and an auditor's where one is given.
    fn keys_and(&self, auditor: Option<&Path>) -> Result<Arc<KeyRing>, Failure> {
        let ring = KeyRing::open(&self.folders()?.1)?;
        Ok(Arc::new(match auditor {
            Some(file) => ring.with_auditor(AuditorKey::read(file)?),
            None => ring,
        }))
    }

    /// The zone whose days and months count: the configuration's, with `--path` that of the law.
    fn zone(&self) -> Result<jiff::tz::TimeZone, Failure> {
        let name = match &self.config {
            Some(config) => knowledge::load_config(config)?.audit.zone,
            None => config::AUDIT_ZONE.to_owned(),
        };
        Ok(jiff::tz::TimeZone::get(&name)?)
    }

    /// The journal's folder and that of the keys: with `--path`, the one that is the default.
    fn folders(&self) -> Result<(PathBuf, PathBuf), Failure> {
        match (&self.path, &self.config) {
            (Some(path), _) => Ok((path.clone(), config::keys_beside(path))),
            (None, Some(config)) => {
                let audit = knowledge::load_config(config)?.audit;
                Ok((audit.path, audit.keys))
            }
            (None, None) => Err(Failure("name the journal: -c FILE or --path DIR".to_owned())),
        }
    }
}

/// Microseconds since the Unix epoch.
fn micros(time: jiff::Timestamp) -> u64 {
    u64::try_from(time.as_microsecond()).unwrap_or(0)
}
