//! The consent ledger of a running proxy: opened by its settings, watched.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Failure, mirrors};
use crate::config::{Config, Place, Shared};
use crate::consent::shared::{Engine, NodeOptions};
use crate::consent::{CACHE_OCTETS_MIN, Cause, Ledger, OpenFault, Options};
use crate::metrics::{ConsentEvent, LedgerMetrics, Lookup, Metrics, Revocation};
use crate::postgres::Server;
use crate::registry::Registry;
use crate::session::Parties;

/// How often the ledger's figures are looked at.
const WATCH: Duration = Duration::from_secs(1);

/// Connections to the engine of a shared ledger at most: for changes, deliveries, claims, what operators ask,
/// and look-ups.
const CONNECTIONS: usize = 12;

/// How long who finds none of them free waits.
const CONNECTION_WAIT: Duration = Duration::from_secs(2);

/// How long a start or a command waits for the engine.
pub(super) const SETTLE: Duration = Duration::from_secs(3);

/// How often it is looked whether who has the ledger let go of it.
const LOOK: Duration = Duration::from_millis(20);

/// Whether the files that lead to a shared ledger can be used. Nothing is connected to.
pub(super) fn check(config: &Config) -> Result<(), Failure> {
    match &config.consent.place {
        Place::Folder(_) => Ok(()),
        Place::Shared(shared) => database(shared).map(drop),
    }
}

/// The database of a shared ledger.
pub(super) fn database(shared: &Shared) -> Result<Server, Failure> {
    Server::new(shared.url.clone(), shared.password.clone())
        .map(|server| server.named("consentry consent"))
        .map_err(|fault| Failure(format!("[consent] url: {fault}")))
}

/// Opens the ledger that `[consent]` names. Who has it open is given `patience` to let go of it. Blocks.
pub(super) fn open(config: &Config, patience: Duration) -> Result<Ledger, Failure> {
    let until = Instant::now() + patience;
    let ledger = loop {
        match try_open(config, config.consent.cache_octets, true)? {
            Err(OpenFault::Locked(_)) if Instant::now() < until => std::thread::sleep(LOOK),
            opened => break opened?,
        }
    };
    let is_known = ledger.settle(SETTLE);
    let pairs = ledger.stats().pairs;
    match &config.consent.place {
        Place::Folder(path) => {
            tracing::info!(path = %path.display(), pairs, "consent ledger opened");
        }
        Place::Shared(shared) if is_known => {
            tracing::info!(url = %shared.url, pairs, "shared consent ledger opened");
        }
        Place::Shared(shared) => {
            let url = &shared.url;
            tracing::error!(%url, "the consent engine does not answer: advertising waits until it does");
        }
    }
    Ok(ledger)
}

/// Opens it, once: the fault says whether another process has it.
pub(super) fn try_open(
    config: &Config,
    cache_octets: usize,
    warm: bool,
) -> Result<Result<Ledger, OpenFault>, Failure> {
    let options = options(config, cache_octets, warm);
    let shared = match &config.consent.place {
        Place::Folder(path) => return Ok(Ledger::open(path, options)),
        Place::Shared(shared) => shared,
    };
    let pool = database(shared)?.pool(CONNECTIONS, CONNECTION_WAIT);
    let pool = pool.map_err(|fault| Failure(format!("[consent] url: {fault}")))?;
    let Options { cache_octets, silent_after_us, on_sync, .. } = options;
    Ok(Ledger::share(NodeOptions {
        engine: Engine::new(pool),
        node: mirrors::node(config),
        outbox: shared.outbox.clone(),
        staleness: shared.staleness,
        deadline: shared.deadline,
        cache_octets,
        silent_after_us,
        on_sync,
    }))
}

/// Opens it for a look, where it is there and no process has it; else why not. Blocks.
pub(super) fn look(config: &Config) -> Result<Ledger, Failure> {
    if let Place::Folder(path) = &config.consent.place
        && !path.is_dir()
    {
        return Err(Failure(format!("{} is not there", path.display())));
    }
    let ledger = try_open(config, CACHE_OCTETS_MIN, false)??;
    if !ledger.settle(SETTLE) {
        return Err(Failure("the consent engine does not answer".to_owned()));
    }
    Ok(ledger)
}

/// Who everybody in the registry is in the ledger. Who is gone since `before` is who he was: handsets may
/// still answer him.
pub(super) fn parties(
    ledger: &Ledger,
    registry: &Registry,
    before: &Parties,
) -> Result<Parties, Failure> {
    let mut parties = Parties { entities: before.entities.clone(), scopes: Vec::new() };
    for (id, provider) in registry.ids() {
        let entity = ledger.entity(&provider.name)?;
        match parties.entities.get_mut(id.0 as usize) {
            Some(known) => *known = entity,
            // Ids rise, and there is none that nobody has or had.
            None => parties.entities.push(entity),
        }
    }
    for code in registry.providers().iter().flat_map(|provider| &provider.codes) {
        parties.scopes.push(ledger.scope(&code.scope)?);
    }
    Ok(parties)
}

/// What a ledger is opened with under these settings.
pub(super) fn options(config: &Config, cache_octets: usize, warm: bool) -> Options {
    let silent_after_us = u64::try_from(config.consent.silent_after.as_micros());
    Options {
        cache_octets,
        warm,
        silent_after_us: silent_after_us.unwrap_or(u64::MAX),
        on_sync: None,
    }
}

fn label(cause: Cause) -> Revocation {
    match cause {
        Cause::Refused => Revocation::Refused,
        Cause::Recycled => Revocation::Recycled,
        Cause::Complaint => Revocation::Complaint,
        Cause::Operator => Revocation::Operator,
    }
}

/// Shows how a node of a shared ledger is.
fn show(ledger: &Ledger, metrics: &LedgerMetrics, looked_up: &mut [u64; Lookup::ALL.len()]) {
    let Some(figures) = ledger.figures() else { return };
    metrics.staleness(figures.staleness);
    metrics.outbox_events(figures.outbox_events);
    metrics.engine_up(figures.is_up);
    metrics.clock_offset(figures.clock_offset_us);
    for ((result, now), before) in Lookup::ALL.iter().zip(figures.lookups).zip(looked_up) {
        metrics.lookups(*result).inc_by(now.saturating_sub(*before));
        *before = now;
    }
}

/// Counts events and pairs in the metrics, and logs once when the ledger fails.
pub(super) async fn watch(ledger: Ledger, metrics: Arc<Metrics>) {
    let shared = ledger.figures().is_some().then(|| metrics.ledger());
    let mut looked_up = [0; Lookup::ALL.len()];
    // Of a shared ledger that has not answered yet, nothing is counted until it has.
    let mut counted = None;
    let mut revoked = [0; Cause::ALL.len()];
    let mut was_available = true;
    loop {
        let stats = ledger.stats();
        metrics.consent_pairs.set(i64::try_from(stats.pairs).unwrap_or(i64::MAX));
        if let Some(shared) = &shared {
            show(&ledger, shared, &mut looked_up);
        }
        if ledger.figures().is_none_or(|figures| figures.is_counted) {
            counted.get_or_insert(stats.events);
        }
        let events = ConsentEvent::ALL.iter().zip(stats.events);
        for ((event, now), before) in events.zip(counted.iter_mut().flatten()) {
            metrics.consent_events(*event).inc_by(now.saturating_sub(*before));
            *before = now;
        }
        for ((cause, now), before) in Cause::ALL.iter().zip(stats.revoked).zip(&mut revoked) {
            metrics.revocations(label(*cause)).inc_by(now.saturating_sub(*before));
            *before = now;
        }
        let unavailable = ledger.unavailable();
        metrics.consent_available.set(i64::from(unavailable.is_none()));
        match unavailable {
            Some(crate::consent::Unavailable::Closed) => return,
            Some(why) if was_available => {
                tracing::error!(%why, "the consent ledger neither answers nor records");
                was_available = false;
            }
            _ => {}
        }
        tokio::time::sleep(WATCH).await;
    }
}
