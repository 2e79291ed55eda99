//! The turns: what is asked and told, how often, and for how long.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::budget::Members;
use super::demand::Demands;
use super::keywords::Keywords;
use super::summary::{self, CELLS_A_TURN_MAX};
use super::tables::{BUDGETS_MAX, Tables};
use crate::consent::shared::Engine;
use crate::content::reply::Keyword;
use crate::metrics::{ClusterMetrics, Exchanged};
use crate::postgres::{Fault, Pool};
use crate::registry::{Digits, ProviderId, Registry};
use crate::session::Knowledge;
use crate::session::originals::mark;

/// How often leases are settled and granted.
const RATES_EVERY: Duration = Duration::from_millis(200);
/// How long that may take: a lease is good for a second.
const RATES_WITHIN: Duration = Duration::from_millis(700);
/// How often sweeps are told and heard, and keywords.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// How long that may take.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// How long a node that stops tries to say so.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// Looks at what is in force, and keeps nothing of it.
type Look = dyn Fn(&mut dyn FnMut(&Knowledge)) + Send + Sync;

/// Who is served here.
pub struct Serving {
    /// What is in force.
    pub look: Box<Look>,
    /// The steady clock by which rates are judged, microseconds.
    pub now_us: Box<dyn Fn() -> u64 + Send + Sync>,
    /// What is shown of it.
    pub metrics: ClusterMetrics,
}

/// Keywords as they are announced here, and the file that has them.
pub struct KeywordsFrom {
    /// Those that are announced from now on.
    pub announced: mpsc::Receiver<(Digits, Keyword)>,
    /// All that are known to the file.
    pub known: Arc<dyn Fn() -> Vec<(Digits, Keyword)> + Send + Sync>,
    /// Keeps one that another node's messages announced.
    pub keep: Box<dyn Fn(Digits, Keyword) + Send + Sync>,
}

/// The exchange of a node with the others.
pub struct Exchange {
    tasks: Vec<JoinHandle<()>>,
    tables: Tables,
}

/// Begins it. Call inside a tokio runtime.
pub fn start(
    pool: &Pool,
    (node, nodes): (&str, NonZeroU32),
    serving: &Arc<Serving>,
    keywords: KeywordsFrom,
) -> Exchange {
    let tables = || Tables::new(pool.clone(), node.to_owned(), nodes);
    let engine = Engine::new(pool.clone());
    let tasks = vec![
        tokio::spawn(rates(tables(), serving.clone())),
        tokio::spawn(sweeps(tables(), serving.clone())),
        tokio::spawn(share_keywords(Keywords::new(engine), keywords, serving.clone())),
    ];
    Exchange { tasks, tables: tables() }
}

impl Exchange {
    /// Ends it, and says that the node leaves: what it leased is the others' within a second.
    pub async fn stop(self) {
        for task in self.tasks {
            task.abort();
            // Its end, not how it ended, is waited for.
            let _ = task.await;
        }
        if !matches!(timeout(LEAVE_WITHIN, self.tables.meet(true)).await, Ok(Ok(_))) {
            tracing::warn!(
                "the other nodes do not know that this one leaves: its part of the rates stays"
            );
        }
    }
}

/// Shows what came of a kind of exchange; in the log when it changes.
struct Log {
    what: Exchanged,
    metrics: ClusterMetrics,
    last: Instant,
    has_failed: bool,
}

impl Log {
    fn new(what: Exchanged, serving: &Arc<Serving>) -> Log {
        Log { what, metrics: serving.metrics.clone(), last: Instant::now(), has_failed: false }
    }

    fn note(&mut self, why_not: Option<String>) {
        let what = self.what.name();
        match &why_not {
            None => {
                self.last = Instant::now();
                if self.has_failed {
                    tracing::info!(what, "nodes exchange again");
                }
            }
            Some(why) if !self.has_failed => {
                tracing::warn!(what, %why, "nothing is exchanged with the other nodes");
            }
            Some(_) => {}
        }
        self.has_failed = why_not.is_some();
        let age = i64::try_from(self.last.elapsed().as_secs()).unwrap_or(i64::MAX);
        self.metrics.age(self.what).set(age);
    }
}

/// What a turn came to, within its time.
async fn within<T, E: std::fmt::Display>(
    time: Duration,
    turn: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match timeout(time, turn).await {
        Ok(done) => done.map_err(|fault| fault.to_string()),
        Err(_) => Err(format!("the database did not answer within {time:?}")),
    }
}

async fn rates(mut tables: Tables, serving: Arc<Serving>) {
    let mut log = Log::new(Exchanged::Rates, &serving);
    let mut demands = Demands::default();
    let mut members: Option<(Instant, Members)> = None;
    loop {
        let began = Instant::now();
        let turn = async {
            let known = match members {
                Some((since, known)) if since.elapsed() < TOLD_EVERY => known,
                Some(_) | None => {
                    let heard = tables.meet(false).await?.members;
                    members = Some((Instant::now(), heard));
                    log.metrics.members(heard.seen.into(), heard.absent.into());
                    heard
                }
            };
            lease(&mut tables, known, &mut demands, &serving, &log.metrics).await
        };
        let came_to = within(RATES_WITHIN, turn).await;
        log.note(came_to.err());
        tokio::time::sleep(RATES_EVERY.saturating_sub(began.elapsed())).await;
    }
}

/// One turn of all leases.
async fn lease(
    tables: &mut Tables,
    members: Members,
    demands: &mut Demands,
    serving: &Arc<Serving>,
    metrics: &ClusterMetrics,
) -> Result<(), Fault> {
    let began_us = (serving.now_us)();
    let mut asks = Vec::new();
    (serving.look)(&mut |knowledge| {
        let of = |provider| knowledge.registry.provider_by_id(provider);
        let all = demands.asks(&knowledge.rates);
        asks =
            all.into_iter().filter_map(|(id, ask)| Some((id, of(id)?.name.clone(), ask))).collect();
    });
    for chunk in asks.chunks(BUDGETS_MAX) {
        let named: Vec<_> = chunk.iter().map(|(_, name, ask)| (name.as_str(), *ask)).collect();
        let granted = tables.settle(&named, members).await?;
        (serving.look)(&mut |knowledge| {
            for ((provider, _, ask), granted) in chunk.iter().zip(&granted) {
                let Some(messages) = granted else { continue };
                demands.grant(&knowledge.rates, *provider, *messages);
                metrics.leased(*messages, ask.unused, ask.owed);
            }
        });
    }
    (serving.look)(&mut |knowledge| knowledge.rates.keep_leases(began_us));
    Ok(())
}

async fn sweeps(mut tables: Tables, serving: Arc<Serving>) {
    let mut log = Log::new(Exchanged::Sweeps, &serving);
    for turn in 0.. {
        let began = Instant::now();
        let came_to =
            within(TOLD_WITHIN, exchange_sweeps(&mut tables, turn, &serving, &log.metrics));
        log.note(came_to.await.err());
        tokio::time::sleep(TOLD_EVERY.saturating_sub(began.elapsed())).await;
    }
}

/// Providers by their names as every node writes them.
fn names(registry: &Registry) -> HashMap<u64, ProviderId> {
    registry.ids().map(|(id, provider)| (mark(provider.name.as_bytes()), id)).collect()
}

async fn exchange_sweeps(
    tables: &mut Tables,
    turn: u64,
    serving: &Arc<Serving>,
    metrics: &ClusterMetrics,
) -> Result<(), Fault> {
    let now_us = tables.meet(false).await?.now_us;
    let mut written = Vec::new();
    (serving.look)(&mut |knowledge| {
        let (told, untold) = knowledge.sweeps.news(turn, CELLS_A_TURN_MAX);
        metrics.told(told.iter().map(|one| one.cells.len() as u64).sum(), untold);
        let of = |provider| knowledge.registry.provider_by_id(provider);
        if !told.is_empty() {
            written = summary::write(&told, |one| Some(mark(of(one.provider)?.name.as_bytes())));
        }
    });
    if !written.is_empty() {
        tables.tell(&written, now_us).await?;
    }
    let rows = tables.hear(now_us).await?;
    (serving.look)(&mut |knowledge| {
        let names = names(&knowledge.registry);
        let told =
            rows.iter().filter_map(|row| summary::read(row, |name| names.get(&name).copied()));
        let told: Vec<_> = told.flatten().collect();
        metrics.heard(told.iter().map(|one| one.cells.len() as u64).sum());
        knowledge.sweeps.hear(&told);
    });
    Ok(())
}

async fn share_keywords(mut keywords: Keywords, mut from: KeywordsFrom, serving: Arc<Serving>) {
    let mut log = Log::new(Exchanged::Keywords, &serving);
    let mut is_lost = true;
    loop {
        if std::mem::take(&mut is_lost) {
            // A file is read.
            let known = from.known.clone();
            keywords.lack(tokio::task::spawn_blocking(move || known()).await.unwrap_or_default());
        }
        let began = Instant::now();
        while let Ok(announced) = from.announced.try_recv() {
            keywords.lack([announced]);
        }
        let came_to = within(TOLD_WITHIN, keywords.exchange()).await;
        let mut is_more = false;
        if let Ok(learnt) = &came_to {
            (is_more, is_lost) = (learnt.is_more, learnt.is_lost);
            (serving.look)(&mut |knowledge| {
                for (code, keyword) in &learnt.new {
                    if knowledge.announced.learn(*code, *keyword) {
                        (from.keep)(*code, *keyword);
                    }
                }
            });
        }
        log.note(came_to.err());
        if !is_more {
            tokio::time::sleep(TOLD_EVERY.saturating_sub(began.elapsed())).await;
        }
    }
}
