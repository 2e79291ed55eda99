//! This node among others: what it exchanges with them, where `[consent]` names a database that they share.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Failure, keywords, ledger, mirrors};
use crate::cluster::{self, Exchange, KeywordsFrom, Serving};
use crate::config::{Config, Place};
use crate::content::reply::Keyword;
use crate::proxy::{KeepKeyword, Shared};
use crate::registry::Digits;
use crate::session::{Announced, Knowledge};

/// Connections to the database for what is exchanged: one for each kind, and one more for who leaves.
const CONNECTIONS: usize = 4;

/// For one of them to be free.
const PATIENCE: Duration = Duration::from_secs(1);

/// Newly announced keywords that wait for the next turn; those beyond are told after a restart.
const ANNOUNCED_MAX: usize = 10_000;

/// How many nodes there are, where they share a ledger.
fn nodes(config: &Config) -> Option<NonZeroU32> {
    match config.consent.place {
        Place::Folder(_) => None,
        Place::Shared(_) => Some(
            u32::try_from(config.cluster.nodes)
                .ok()
                .and_then(NonZeroU32::new)
                .unwrap_or(NonZeroU32::MIN),
        ),
    }
}

/// Has what is remembered of senders told to other nodes, where there are any.
pub(super) fn share(config: &Config, knowledge: &mut Knowledge) {
    let Some(nodes) = nodes(config) else { return };
    knowledge.rates = std::mem::take(&mut knowledge.rates).shared_by(nodes);
    knowledge.sweeps = std::mem::take(&mut knowledge.sweeps).shared();
}

/// The keywords that messages announce: in a file beside ledger or outbox, and, where there are other nodes,
/// on their way to them.
pub(super) struct Kept {
    /// Keeps one that is new.
    pub(super) keep: Option<KeepKeyword>,
    exchanged: Option<KeywordsFrom>,
}

/// Opens the file of announced keywords.
pub(super) fn keywords(config: &Config, announced: &Arc<Announced>) -> Result<Kept, Failure> {
    let shared = match &config.consent.place {
        Place::Folder(path) => {
            let keep = keywords::open(&keywords::file(path), announced)?;
            return Ok(Kept { keep: Some(keep), exchanged: None });
        }
        Place::Shared(shared) => shared,
    };
    let path: PathBuf = keywords::file(&shared.outbox);
    let keep: Arc<KeepKeyword> = Arc::new(keywords::open(&path, announced)?);
    let (tell, told) = mpsc::channel::<(Digits, Keyword)>(ANNOUNCED_MAX);
    let keep_here = keep.clone();
    let exchanged = KeywordsFrom {
        announced: told,
        known: Arc::new(move || keywords::known(&path)),
        keep: Box::new(move |code, keyword| keep(code, keyword)),
    };
    let keep: KeepKeyword = Box::new(move |code, keyword| {
        keep_here(code, keyword);
        if tell.try_send((code, keyword)).is_err() {
            tracing::warn!(
                "a keyword is announced that other nodes will not know before a restart"
            );
        }
    });
    Ok(Kept { keep: Some(keep), exchanged: Some(exchanged) })
}

/// Begins the exchange with other nodes, where there are any.
pub(super) fn start(
    config: &Config,
    shared: &Arc<Shared>,
    kept: Option<KeywordsFrom>,
) -> Result<Option<Exchange>, Failure> {
    let (Place::Shared(place), Some(nodes), Some(kept)) =
        (&config.consent.place, nodes(config), kept)
    else {
        return Ok(None);
    };
    let database = ledger::database(place)?.named("consentry cluster");
    let pool = database
        .pool(CONNECTIONS, PATIENCE)
        .map_err(|fault| Failure(format!("[consent] url: {fault}")))?;
    let (in_force, clock) = (shared.clone(), shared.clock);
    let serving = Serving {
        look: Box::new(move |look| look(&in_force.in_force.now().knowledge)),
        now_us: Box::new(move || clock.now().steady_us),
        metrics: shared.metrics.cluster(),
    };
    let node = mirrors::node(config);
    Ok(Some(cluster::start(&pool, (&node, nodes), &Arc::new(serving), kept)))
}

impl Kept {
    /// What keeps a new keyword, and what is exchanged.
    pub(super) fn apart(self) -> (Option<KeepKeyword>, Option<KeywordsFrom>) {
        (self.keep, self.exchanged)
    }
}
