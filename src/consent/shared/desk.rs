//! What operators ask and tell: straight to the engine, answered when it has answered. The calls block.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::names::NamesFault;
use super::node::Node;
use super::remote::Remote;
use super::{Batch, Engine, EngineFault, Imported, NameKind, Outcome, Shared, Told, engine};
use crate::consent::pair::Pair;
use crate::consent::{
    EntityId, Event, EventFault, Happened, IdKey, ImportKey, Kept, NameFault, PairKey, Progress,
    Question, Refused, Scope, Unavailable,
};
use crate::policy::Standing;
use crate::registry::Msisdn;

/// What is asked at once at most: further questions wait, this many more, and then none is taken.
const AT_ONCE: usize = 3;
pub const JOBS_MAX: usize = 64;

/// How long the engine may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// How long is waited until what the engine has taken is in force here.
const IN_FORCE: Duration = Duration::from_secs(1);

/// How often an import's chunk is tried while others write at once.
const TRIES_MAX: u32 = 10;

/// A question, and whom to answer.
pub(super) type Job =
    Box<dyn FnOnce(Arc<Remote>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Serves questions until nobody can ask any more.
pub(super) async fn run(remote: Arc<Remote>, mut jobs: mpsc::Receiver<Job>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(job) = jobs.recv().await {
        // It is never closed.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let asked = job(remote.clone());
        tokio::spawn(async move {
            asked.await;
            drop(place);
        });
    }
}

/// Nobody is asked or told anything by numbers of which it is not known that they mean the same to both.
async fn agree(node: &Node, remote: &Remote) -> Result<(), EngineFault> {
    match node.names.agree() {
        true => Ok(()),
        false => node.follow(remote, 0, true).await.map_err(of_names),
    }
}

fn of_names(fault: NamesFault) -> EngineFault {
    match fault {
        NamesFault::Engine(fault) => fault,
        NamesFault::Disk(_) | NamesFault::Others => EngineFault::Down(fault.to_string()),
    }
}

impl Shared {
    /// Asks the engine, and waits for the answer.
    fn ask<R, F>(
        &self,
        job: impl FnOnce(Arc<Remote>) -> F + Send + 'static,
    ) -> Result<R, EngineFault>
    where
        R: Send + 'static,
        F: Future<Output = Result<R, EngineFault>> + Send,
    {
        let (answer, answered) = sync_channel(1);
        let node = self.handle.node.clone();
        let job: Job = Box::new(move |remote| {
            Box::pin(async move {
                let late = || EngineFault::Unknown("it does not answer in time".to_owned());
                let asked = async {
                    agree(&node, &remote).await?;
                    job(remote).await
                };
                let done = timeout(ANSWER, asked).await.unwrap_or_else(|_| Err(late()));
                // Who asked waits for it.
                let _ = answer.send(done);
            })
        });
        let down = |why: &str| EngineFault::Down(why.to_owned());
        self.handle.desk.try_send(job).map_err(|_| down("too much is asked of it at once"))?;
        // Longer than the answer takes, and than those before it in the queue may.
        let patience = ANSWER * (JOBS_MAX / AT_ONCE + 2) as u32;
        answered.recv_timeout(patience).unwrap_or_else(|_| Err(down("the ledger is closed")))
    }

    fn name(&self, kind: NameKind, name: &str) -> Result<u16, NameFault> {
        let (given, node) = (name.to_owned(), self.handle.node.clone());
        let unavailable = |fault: EngineFault| NameFault::Unavailable(fault.into());
        let number = self.ask(move |remote| async move {
            let number = remote.engine.give(kind, &given).await?;
            if number.is_ok() {
                node.follow(&*remote, 0, true).await.map_err(of_names)?;
            }
            Ok(number)
        });
        number.map_err(unavailable)?
    }

    /// See [`crate::consent::Ledger::entity`].
    pub fn entity(&self, name: &str) -> Result<EntityId, NameFault> {
        match self.find_entity(name) {
            Some(entity) => Ok(entity),
            None => self.name(NameKind::Entity, name).map(EntityId),
        }
    }

    /// See [`crate::consent::Ledger::scope`].
    pub fn scope(&self, name: &str) -> Result<Scope, NameFault> {
        match self.find_scope(name) {
            Some(scope) => Ok(scope),
            None => self.name(NameKind::Scope, name).map(|number| Scope(number as u8)),
        }
    }

    /// See [`crate::consent::Ledger::tell`].
    pub fn tell(
        &self,
        events: &[Event],
        now_us: u64,
        refused: &mut Vec<Refused>,
        taken: &mut dyn FnMut(usize, u64),
    ) -> Result<u64, Unavailable> {
        let (mut waiting, mut is_changed, mut done) = (0, false, Ok(()));
        for (nth, run) in events.chunks(engine::CHUNK_EVENTS_MAX).enumerate() {
            let from = nth * engine::CHUNK_EVENTS_MAX;
            let mut left_out = Vec::new();
            let mut keep = |at, number| taken(from + at, number);
            match self.tell_run(run, now_us, &mut left_out, &mut keep) {
                Ok(0) => is_changed = true,
                Ok(more) => waiting += more,
                Err(why) => done = Err(why),
            }
            refused.extend(left_out.into_iter().map(|one| Refused { at: from + one.at, ..one }));
            if done.is_err() {
                break;
            }
        }
        let now = Instant::now();
        if is_changed && !self.settle_after(now, now + IN_FORCE) {
            // They are in force; here that must not be later than somebody is told so.
            self.node().unhear();
        }
        done.map(|()| waiting)
    }

    /// Tells as many as one transaction takes.
    fn tell_run(
        &self,
        events: &[Event],
        now_us: u64,
        refused: &mut Vec<Refused>,
        taken: &mut dyn FnMut(usize, u64),
    ) -> Result<u64, Unavailable> {
        let told: Vec<Told> =
            events.iter().map(|event| Told { event: *event, recorded_us: now_us }).collect();
        let applied = self.ask(move |remote| async move {
            remote.engine.apply(&Batch { origin: None, events: &told, claims: false }).await
        });
        let applied = match applied {
            Ok(applied) => applied,
            Err(fault) => return self.tell_later(fault, events, now_us, refused, taken),
        };
        for (at, outcome) in applied.outcomes.into_iter().enumerate() {
            match outcome {
                Ok(Outcome::Taken(number)) => taken(at, number),
                Ok(Outcome::Counted | Outcome::Known | Outcome::Earlier) => {}
                Err(fault) => refused.push(Refused { at, fault }),
            }
        }
        self.node().took(events, refused);
        Ok(0)
    }

    /// The engine does not answer: revocations are kept and in force here, and delivered when it does.
    fn tell_later(
        &self,
        fault: EngineFault,
        events: &[Event],
        now_us: u64,
        refused: &mut Vec<Refused>,
        taken: &mut dyn FnMut(usize, u64),
    ) -> Result<u64, Unavailable> {
        let is_revoked = |event: &Event| matches!(event.happened, Happened::Revoked(_));
        let revoked: Vec<usize> =
            (0..events.len()).filter(|at| events.get(*at).is_some_and(is_revoked)).collect();
        if revoked.is_empty() {
            return Err(fault.into());
        }
        let kept: Vec<Event> = events.iter().copied().filter(is_revoked).collect();
        let mut left_out = Vec::new();
        let node = self.node();
        let ticket = node.outbox.take(&kept, now_us, &mut left_out)?;
        node.took(&kept, &left_out);
        self.wait(ticket)?;
        for (nth, at) in revoked.iter().enumerate() {
            match left_out.iter().find(|one| one.at == nth) {
                Some(one) => refused.push(Refused { at: *at, fault: one.fault }),
                // Its number is not known yet.
                None => taken(*at, 0),
            }
        }
        let others = (0..events.len()).filter(|at| !revoked.contains(at));
        refused.extend(others.map(|at| Refused { at, fault: EventFault::EngineDown }));
        Ok((kept.len() - left_out.len()) as u64)
    }

    /// See [`crate::consent::Ledger::remembers`].
    pub fn remembers(&self, ids: &[IdKey]) -> Result<Vec<bool>, Unavailable> {
        let asked = ids.to_vec();
        let known = self.ask(move |remote| async move { remote.engine.ids(&asked).await })?;
        let known: HashSet<IdKey> = known.into_iter().collect();
        Ok(ids.iter().map(|id| known.contains(id)).collect())
    }

    /// See [`crate::consent::Ledger::remember`].
    pub fn remember(&self, ids: &[IdKey]) -> Result<(), Unavailable> {
        let told = ids.to_vec();
        Ok(self.ask(move |remote| async move { remote.engine.add_ids(&told).await })?)
    }

    /// See [`crate::consent::Ledger::history`].
    pub fn history(&self, entity: EntityId, recipient: Msisdn) -> Result<Vec<Kept>, Unavailable> {
        let key = PairKey::new(entity, recipient);
        Ok(self.ask(move |remote| async move { remote.engine.history(key).await })?)
    }

    /// See [`crate::consent::Ledger::standing_at`].
    pub fn standing_at(&self, question: &Question, time_us: u64) -> Result<Standing, Unavailable> {
        let history = self.history(question.entity, question.recipient)?;
        let silent_after_us = self.node().times.silent_after_us;
        Ok(Pair::at(&history, time_us).standing(question.scope, time_us, silent_after_us))
    }

    /// See [`crate::consent::Ledger::standing`].
    pub fn standing(&self, question: &Question, now_us: u64) -> Result<Standing, Unavailable> {
        let key = PairKey::new(question.entity, question.recipient);
        let node = self.node();
        if let Some(standing) = node.outbox.overlay.standing(key) {
            return Ok(standing);
        }
        let pair = self.pair(key)?;
        Ok(pair.standing(question.scope, node.engine_us(now_us), node.times.silent_after_us))
    }

    fn pair(&self, key: PairKey) -> Result<Pair, Unavailable> {
        let found = self.ask(move |remote| async move { remote.engine.pairs(&[key]).await })?;
        Ok(found.into_iter().next().map(|(_, pair)| pair).unwrap_or_default())
    }

    /// See [`crate::consent::Ledger::pairs_after`].
    pub fn pairs_after(
        &self,
        after: Option<(EntityId, Msisdn)>,
        most: usize,
    ) -> Result<Vec<(EntityId, Msisdn)>, Unavailable> {
        let after = after.map(|(entity, recipient)| PairKey::new(entity, recipient));
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let found =
            self.ask(move |remote| async move { remote.engine.pairs_after(after, most).await })?;
        let pair = |(key, _): (PairKey, Pair)| Some((key.entity(), key.recipient()?));
        Ok(found.into_iter().filter_map(pair).collect())
    }

    /// See [`crate::consent::Ledger::pair_standings`].
    pub fn pair_standings(
        &self,
        entity: EntityId,
        recipient: Msisdn,
        now_us: u64,
    ) -> Result<Vec<(Scope, Standing)>, Unavailable> {
        let (pair, node) = (self.pair(PairKey::new(entity, recipient))?, self.node());
        let (now_us, silent_after_us) = (node.engine_us(now_us), node.times.silent_after_us);
        let own = pair.grants.iter().map(|grant| grant.scope).filter(|scope| *scope != Scope::ALL);
        let standing = |scope| (scope, pair.standing(scope, now_us, silent_after_us));
        Ok(std::iter::once(Scope::ALL).chain(own).map(standing).collect())
    }

    /// See [`crate::consent::Ledger::entities_of`].
    pub fn entities_of(&self, recipient: Msisdn) -> Result<Vec<EntityId>, Unavailable> {
        Ok(self.ask(move |remote| async move { remote.engine.entities_of(recipient).await })?)
    }

    /// See [`crate::consent::Ledger::import_progress`].
    pub fn import_progress(&self, key: ImportKey) -> Result<Option<Progress>, Unavailable> {
        Ok(self.ask(move |remote| async move { remote.engine.import_progress(key).await })?)
    }

    /// See [`crate::consent::Ledger::note_progress`].
    pub fn note_progress(&self, key: ImportKey, done: &Progress) -> Result<(), Unavailable> {
        let done = done.clone();
        Ok(self.ask(move |remote| async move { remote.engine.note_progress(key, &done).await })?)
    }

    /// See [`crate::consent::Ledger::import`]: in chunks as the engine takes them, each with its progress in
    /// one transaction. Where one is, `done` of the last of them stands for all.
    pub fn import(
        &self,
        key: ImportKey,
        events: &[Event],
        now_us: u64,
        done: &mut Progress,
        report: &mut dyn FnMut(&[Refused]),
    ) -> Result<(), Unavailable> {
        let mut before = self.import_progress(key)?;
        let start = before.clone().unwrap_or_default();
        let runs: Vec<&[Event]> = match events.is_empty() {
            true => vec![&[]],
            false => events.chunks(engine::CHUNK_EVENTS_MAX).collect(),
        };
        let count = runs.len();
        for (nth, run) in runs.into_iter().enumerate() {
            let (taken, known, refused) = (done.taken, done.known, done.refused);
            // Only the last has come as far as all of them.
            let partial = Progress { taken, known, refused, ..start.clone() };
            let chunk = if nth + 1 == count { done.clone() } else { partial };
            let told: Vec<Told> =
                run.iter().map(|event| Told { event: *event, recorded_us: now_us }).collect();
            let (imported, mut faults) = self.import_run(key, before.take(), told, chunk)?;
            let from = nth * engine::CHUNK_EVENTS_MAX;
            faults.iter_mut().for_each(|one| one.at += from);
            report(&faults);
            let Progress { taken, known, refused, .. } = imported.done;
            (done.taken, done.known, done.refused) = (taken, known, refused);
            before = Some(imported.done);
        }
        Ok(())
    }

    fn import_run(
        &self,
        key: ImportKey,
        before: Option<Progress>,
        told: Vec<Told>,
        done: Progress,
    ) -> Result<(Imported, Vec<Refused>), Unavailable> {
        Ok(self.ask(move |remote| async move {
            import_run(&remote.engine, key, before, &told, &done).await
        })?)
    }

    /// Waits until a poll that began after a moment has shown everything, at most until another.
    fn settle_after(&self, moment: Instant, until: Instant) -> bool {
        loop {
            let age = self.node().staleness();
            if age.is_some_and(|age| age < moment.elapsed()) {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(super::LOOK);
        }
    }
}

async fn import_run(
    engine: &Engine,
    key: ImportKey,
    before: Option<Progress>,
    told: &[Told],
    done: &Progress,
) -> Result<(Imported, Vec<Refused>), EngineFault> {
    let mut tries = 1;
    loop {
        let mut faults = Vec::new();
        let mut report = |refused: &[Refused]| faults = refused.to_vec();
        match engine.import(key, before.as_ref(), told, done, &mut report).await {
            Ok(imported) => return Ok((imported, faults)),
            Err(EngineFault::Busy) if tries < TRIES_MAX => tries += 1,
            Err(fault) => return Err(fault),
        }
    }
}
