//! The rules of a configuration as a judge of traces: read, and nothing of the proxy's state changed.

use std::path::{Path, PathBuf};

use super::super::knowledge::{self, Loaded};
use super::super::record::hex;
use super::super::{Failure, consent, keywords, ledger};
use crate::config::{self, Config};
use crate::consent::{Before, CACHE_OCTETS_MIN, Ledger, OpenFault, Rehearsal};
use crate::registry::Registry;
use crate::replay::{Judge, Opened, Way};
use crate::session::Parties;

/// Octets of the ledger's hot layer while a trace is judged.
const CACHE_OCTETS: usize = 64 << 20;

/// A judge and where its rules are from.
pub(super) struct Rules {
    pub(super) judge: Judge,
    config: Config,
    /// The consent ledger and its folder.
    ledger: Option<(PathBuf, Ledger)>,
    /// The configuration's file, as it was named.
    pub(super) file: PathBuf,
    /// SHA-256 of the rules, hexadecimal.
    pub(super) digest: String,
}

/// Which ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Consents {
    /// The one that the configuration names, where there is one.
    Configured,
    /// Another folder.
    Folder(PathBuf),
    /// None: nobody has consented.
    None,
}

impl std::str::FromStr for Consents {
    type Err = std::convert::Infallible;

    fn from_str(written: &str) -> Result<Consents, Self::Err> {
        Ok(if written == "none" { Consents::None } else { Consents::Folder(written.into()) })
    }
}

/// Reads the rules. `beside`: rules that are read already; a ledger that both name is opened once.
pub(super) fn load(
    file: &Path,
    consents: &Consents,
    resumed_as: Option<&str>,
    beside: Option<&Rules>,
) -> Result<Rules, Failure> {
    let Loaded { config, mut knowledge, digest, .. } = knowledge::load(file)?;
    if let Some(system_id) = resumed_as
        && knowledge.registry.provider_of(system_id.as_bytes()).is_none()
    {
        let registry = config.registry_file.display();
        return Err(Failure(format!(
            "--system-id {system_id} is no provider's in {registry}; add it to its system_ids"
        )));
    }
    let place = place(&config, consents)?;
    let known = beside.and_then(|beside| beside.ledger.as_ref());
    let (ledger, before) = match (place, known) {
        (None, _) => (None, Before::Nothing),
        (Some(place), Some((known, ledger))) if same(&place, known) => {
            (Some((place, ledger.clone())), Before::Ledger(ledger.clone()))
        }
        (Some(place), _) => match open(&config, &place) {
            Ok(ledger) => (Some((place, ledger.clone())), Before::Ledger(ledger)),
            Err(OpenFault::Locked(_)) if *consents == Consents::Configured => {
                (None, Before::Elsewhere(consent::ask_proxy(&config)?))
            }
            Err(fault) => return Err(fault.into()),
        },
    };
    let silent_after_us = ledger::options(&config, CACHE_OCTETS, false).silent_after_us;
    let mut consent = Rehearsal::new(before, silent_after_us);
    knowledge.parties = parties(&mut consent, &knowledge.registry)?;
    if let (Consents::Configured, config::Place::Folder(path)) = (consents, &config.consent.place) {
        keywords::recall(&keywords::file(path), &knowledge.announced)?;
    }
    let response_us = u64::try_from(config.timeouts.response.as_micros()).unwrap_or(u64::MAX);
    let resumed_as = resumed_as.map(|system_id| system_id.as_bytes().to_vec());
    let judge = Judge::new(knowledge, consent, resumed_as, response_us);
    Ok(Rules { judge, config, ledger, file: file.to_owned(), digest: hex(&digest) })
}

/// The ledger's folder, if there is one; a folder that is not there is not made.
fn place(config: &Config, consents: &Consents) -> Result<Option<PathBuf>, Failure> {
    match (consents, &config.consent.place) {
        (Consents::None, _) => Ok(None),
        (Consents::Folder(path), _) if !path.exists() => {
            Err(Failure(format!("--consent: there is no {}", path.display())))
        }
        (Consents::Folder(path), _) => Ok(Some(path.clone())),
        (Consents::Configured, config::Place::Folder(path)) => {
            Ok(path.exists().then(|| path.clone()))
        }
        (Consents::Configured, config::Place::Shared(_)) => {
            let why = "replay asks no ledger that nodes share; give --consent DIR or none";
            Err(Failure(why.to_owned()))
        }
    }
}

fn same(one: &Path, other: &Path) -> bool {
    one == other
        || one.canonicalize().ok().zip(other.canonicalize().ok()).is_some_and(|(a, b)| a == b)
}

fn open(config: &Config, path: &Path) -> Result<Ledger, OpenFault> {
    Ledger::open(path, ledger::options(config, CACHE_OCTETS.max(CACHE_OCTETS_MIN), false))
}

fn parties(consent: &mut Rehearsal, registry: &Registry) -> Result<Parties, Failure> {
    let too_many = || Failure("the registry has more names than a ledger can hold".to_owned());
    let mut parties = Parties::default();
    for provider in registry.providers() {
        parties.entities.push(consent.entity(&provider.name).ok_or_else(too_many)?);
        for code in &provider.codes {
            parties.scopes.push(consent.scope(&code.scope).ok_or_else(too_many)?);
        }
    }
    Ok(parties)
}

impl Rules {
    /// A stream begins: it would have come in by the listener with the SMSC's port, else by the first.
    pub(super) fn open(&mut self, opened: &Opened) {
        let listen = &self.config.listen;
        let same = listen.iter().find(|one| one.address.port() == opened.smsc.port());
        let one = same.or(listen.first());
        let way = Way {
            esme: opened.esme,
            listener: one.map_or_else(String::new, |one| one.address.to_string()),
            text_options: one.map(knowledge::text_options).unwrap_or_default(),
            strips_second_sender: one
                .is_some_and(|one| one.second_sender == config::SecondSender::Strip),
        };
        self.judge.opened(opened.stream, way, opened.from_start, opened.time_us);
    }
}
