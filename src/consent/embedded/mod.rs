//! The ledger of one node: a database in a folder under a hot layer in memory.
//!
//! One lock, `pending`, orders the events; it is held for a fold and a look into the store, never
//! for a write. Questions take it only when the hot layer cannot answer and events are on their way
//! to the store.
//!
//! | file | subject |
//! |---|---|
//! | `store` | the database |
//! | `names` | entities and scopes by number |
//! | `warm` | how standings get into memory after opening |
//! | `pending`, `committer` | what is not on the disk yet, and how it gets there |
//! | `ids` | ids of events that were told before |
//! | `intake` | imports: many events at once, resumable |

mod committer;
mod ids;
mod intake;
mod names;
mod newcomers;
mod pending;
mod store;
mod warm;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::Waker;
use std::thread::JoinHandle;
use std::time::Duration;

pub use pending::QUEUE_EVENTS_MAX;

use names::Names;
use pending::{Pending, WAITERS_MAX};
use store::{Counts, Store};

use super::files::FileFault;
use super::hot::{self, Answer, Table};
use super::ledger::wait;
use super::pair::Pair;
use super::{
    EntityId, Event, Kept, NameFault, OpenFault, Options, PairKey, Question, Refused, Scope, Stats,
    Ticket, Unavailable,
};
use crate::policy::{Consent, Standing};
use crate::registry::Msisdn;

impl Unavailable {
    fn failed(fault: &FileFault) -> Self {
        Self::Failed(fault.to_string().into())
    }
}

/// The ledger. Clones are the same ledger; the last one dropped closes it.
#[derive(Clone)]
pub struct Embedded {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    pub store: Store,
    pub hot: Table,
    pub promises: Table,
    /// Whether the hot layer was filled with every pair of the store.
    pub is_warm: AtomicBool,
    pub pending: Mutex<Pending>,
    pub bell: Condvar,
    /// Pairs of which the store does not have the last.
    pub unstored: AtomicUsize,
    /// Calls of `append` that have changed something: see [`Embedded::changes`].
    pub changes: AtomicU64,
    /// Position up to which events are on the disk.
    pub completed: AtomicU64,
    pub is_ended: AtomicBool,
    /// Held while ids are written: two writers would give one number twice.
    pub remembering: Mutex<()>,
    pub entities: RwLock<Names>,
    pub scopes: RwLock<Names>,
    pub silent_after_us: u64,
    pub on_sync: Option<Box<dyn Fn(Duration) + Send + Sync>>,
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Embedded")
    }
}

/// The data of a poisoned mutex is sound here: no code between lock and unlock leaves it halfway.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Embedded {
    /// Opens the ledger in `path`, which is created (mode 0700) if it does not exist, and takes its
    /// lock. Blocks: replays the database's journals, and with `warm` does not wait for the hot
    /// layer.
    pub fn open(path: &Path, options: Options) -> Result<Embedded, OpenFault> {
        let store = Store::open(path)?;
        let failed = |fault: &dyn fmt::Display| OpenFault::Failed {
            path: path.display().to_string(),
            why: fault.to_string(),
        };
        let counts = store.counts().map_err(|fault| failed(&fault))?;
        let entities = Names::entities(&store).map_err(|fault| failed(&fault))?;
        let scopes = Names::scopes(&store).map_err(|fault| failed(&fault))?;
        // Not by the counts: an import that was killed wrote its pairs before it counted them.
        let is_empty = store.pairs_from(PairKey(0)).next().is_none();
        let promises_octets = options.cache_octets / 8;
        let shared = Arc::new(Shared {
            store,
            hot: Table::new(options.cache_octets.saturating_sub(promises_octets)),
            promises: Table::new(promises_octets),
            is_warm: AtomicBool::new(is_empty),
            pending: Mutex::new(Pending::new(counts)),
            bell: Condvar::new(),
            unstored: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            is_ended: AtomicBool::new(false),
            remembering: Mutex::new(()),
            entities: RwLock::new(entities),
            scopes: RwLock::new(scopes),
            silent_after_us: options.silent_after_us,
            on_sync: options.on_sync,
        });
        let ledger = Embedded {
            handle: Arc::new(Handle { shared: shared.clone(), threads: Mutex::default() }),
        };
        ledger.spawn("consent", committer::run).map_err(|error| failed(&error))?;
        if options.warm && !is_empty {
            ledger.spawn("consent-warm", warm::run).map_err(|error| failed(&error))?;
        }
        Ok(ledger)
    }

    fn spawn(&self, name: &str, run: fn(&Shared)) -> std::io::Result<()> {
        let shared = self.handle.shared.clone();
        let thread = std::thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || run(&shared))?;
        locked(&self.handle.threads).push(thread);
        Ok(())
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// The identifier of a legal entity's name, given now if it never was. Durable when it returns:
    /// blocks for one write at a new name.
    pub fn entity(&self, name: &str) -> Result<EntityId, NameFault> {
        let shared = self.shared();
        if let Some(entity) = self.find_entity(name) {
            return Ok(entity);
        }
        let mut names = shared.entities.write().unwrap_or_else(PoisonError::into_inner);
        names.give(&shared.store, name).map(EntityId)
    }

    /// The identifier of a legal entity's name, if it has one.
    pub fn find_entity(&self, name: &str) -> Option<EntityId> {
        let names = self.shared().entities.read().unwrap_or_else(PoisonError::into_inner);
        names.number(name).map(EntityId)
    }

    /// The name of a legal entity; "?" for an identifier of another ledger.
    pub fn entity_name(&self, entity: EntityId) -> String {
        let names = self.shared().entities.read().unwrap_or_else(PoisonError::into_inner);
        names.name(entity.0).unwrap_or("?").to_owned()
    }

    /// All legal entities.
    pub fn entities(&self) -> Vec<EntityId> {
        let names = self.shared().entities.read().unwrap_or_else(PoisonError::into_inner);
        (0..names.len()).filter_map(|at| u16::try_from(at).ok().map(EntityId)).collect()
    }

    /// The identifier of a scope's name, given now if it never was; "" is [`Scope::ALL`].
    pub fn scope(&self, name: &str) -> Result<Scope, NameFault> {
        if let Some(scope) = self.find_scope(name) {
            return Ok(scope);
        }
        let shared = self.shared();
        let mut names = shared.scopes.write().unwrap_or_else(PoisonError::into_inner);
        names.give(&shared.store, name).map(|number| Scope(number as u8))
    }

    /// The identifier of a scope's name, if it has one; "" is [`Scope::ALL`].
    pub fn find_scope(&self, name: &str) -> Option<Scope> {
        if name.is_empty() {
            return Some(Scope::ALL);
        }
        let names = self.shared().scopes.read().unwrap_or_else(PoisonError::into_inner);
        names.number(name).map(|number| Scope(number as u8))
    }

    /// The name of a scope; "" for [`Scope::ALL`].
    pub fn scope_name(&self, scope: Scope) -> String {
        let names = self.shared().scopes.read().unwrap_or_else(PoisonError::into_inner);
        names.name(u16::from(scope.0)).unwrap_or("").to_owned()
    }

    /// Appends one answer a question to `out`, in their order. Synchronous; where the hot layer
    /// answers it allocates nothing beyond `out`, elsewhere it reads the store, which may mean the
    /// disk. `now_us`: microseconds since the Unix epoch.
    pub fn standings(&self, questions: &[Question], now_us: u64, out: &mut Vec<Consent>) {
        let shared = self.shared();
        if shared.is_ended.load(Ordering::Acquire) {
            out.extend(questions.iter().map(|_| Consent::Unavailable));
            return;
        }
        out.extend(questions.iter().map(|question| shared.standing(question, now_us)));
    }

    /// Takes events. Each is in force when this returns, and on the disk when the ticket is
    /// complete. Events that cannot be taken are left out and appended to `refused`; the others of
    /// the batch are taken. On an error none is. `now_us`: the ledger's time, for the record.
    pub fn append(
        &self,
        events: &[Event],
        now_us: u64,
        refused: &mut Vec<Refused>,
    ) -> Result<Ticket, Unavailable> {
        self.append_numbered(events, now_us, refused, &mut |_, _| {})
    }

    /// The same. `taken` is told of each event that the history has now: its place in the batch, from 0,
    /// and its number.
    pub fn append_numbered(
        &self,
        events: &[Event],
        now_us: u64,
        refused: &mut Vec<Refused>,
        taken: &mut dyn FnMut(usize, u64),
    ) -> Result<Ticket, Unavailable> {
        let shared = self.shared();
        let mut pending = locked(&shared.pending);
        if let Some(why) = &pending.ended {
            return Err(why.clone());
        }
        if pending.queue.len().saturating_add(events.len()) > QUEUE_EVENTS_MAX
            || pending.counts.next.saturating_add(events.len() as u64) > hot::SEQUENCE_MAX
        {
            return Err(Unavailable::Backlog);
        }
        for (at, event) in events.iter().enumerate() {
            let key = PairKey::new(event.entity, event.recipient);
            let number = pending.counts.next;
            match pending.take(&shared.store, event, now_us) {
                Ok(Ok(Some(pair))) => {
                    shared.put(key, pair);
                    if pending.counts.next > number {
                        taken(at, number);
                    }
                }
                Ok(Ok(None)) => {}
                Ok(Err(fault)) => refused.push(Refused { at, fault }),
                Err(fault) => return Err(shared.fail(&mut pending, &fault)),
            }
        }
        shared.unstored.store(pending.pairs.len(), Ordering::Release);
        shared.changes.fetch_add(1, Ordering::Release);
        shared.bell.notify_all();
        Ok(Ticket { position: pending.accepted })
    }

    /// A number that is another one whenever [`Embedded::append`] has returned with events taken: who
    /// asked for standings after reading it need not ask again while it is the same.
    pub fn changes(&self) -> u64 {
        self.shared().changes.load(Ordering::Acquire)
    }

    /// Whether everything up to the ticket is on the disk. An error means that it never will be.
    pub fn is_complete(&self, ticket: Ticket) -> Result<bool, Unavailable> {
        let shared = self.shared();
        if ticket.position <= shared.completed.load(Ordering::Acquire) {
            return Ok(true);
        }
        match &locked(&shared.pending).ended {
            // Completed only moves under the lock, so it can be asked again here.
            _ if ticket.position <= shared.completed.load(Ordering::Acquire) => Ok(true),
            Some(why) => Err(why.clone()),
            None => Ok(false),
        }
    }

    /// Wakes `waker` once the ticket is settled: complete or failed. At once if it is already.
    ///
    /// Register, then ask [`Embedded::is_complete`] again, or rely on the waking: none is lost. It may
    /// also come early, so ask again when woken.
    pub fn on_complete(&self, ticket: Ticket, waker: Waker) {
        let shared = self.shared();
        let mut pending = locked(&shared.pending);
        let is_settled = ticket.position <= shared.completed.load(Ordering::Acquire);
        if is_settled || pending.ended.is_some() {
            drop(pending);
            return waker.wake();
        }
        let crowd = if pending.waiters.len() >= WAITERS_MAX {
            std::mem::take(&mut pending.waiters)
        } else {
            Vec::new()
        };
        pending.waiters.push((ticket.position, waker));
        drop(pending);
        crowd.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Blocks the thread until the ticket is settled. Not for a task of an async runtime.
    pub fn wait(&self, ticket: Ticket) -> Result<(), Unavailable> {
        wait(|| self.is_complete(ticket), |waker| self.on_complete(ticket, waker))
    }

    /// The pair's history in the ledger's order, as far as it is on the disk. Reads the disk.
    pub fn history(&self, entity: EntityId, recipient: Msisdn) -> Result<Vec<Kept>, Unavailable> {
        let key = PairKey::new(entity, recipient);
        self.shared().store.history(key).map_err(|fault| Unavailable::failed(&fault))
    }

    /// How a pair stood at `time_us`: what had happened by then, in the ledger's order. Counts of
    /// messages sent are not part of the history, so [`Standing::sent`] is 0. Reads the disk.
    pub fn standing_at(&self, question: &Question, time_us: u64) -> Result<Standing, Unavailable> {
        let pair = Pair::at(&self.history(question.entity, question.recipient)?, time_us);
        Ok(pair.standing(question.scope, time_us, self.shared().silent_after_us))
    }

    /// Up to `most` pairs after `after`, by entity and number, as far as they are on the disk. Reads
    /// the disk.
    pub fn pairs_after(
        &self,
        after: Option<(EntityId, Msisdn)>,
        most: usize,
    ) -> Result<Vec<(EntityId, Msisdn)>, Unavailable> {
        let from = after.map_or(0, |(entity, recipient)| PairKey::new(entity, recipient).0 + 1);
        let mut found = Vec::new();
        for pair in self.shared().store.pairs_from(PairKey(from)).take(most) {
            let (key, _) = pair.map_err(|fault| Unavailable::failed(&fault))?;
            found.extend(key.recipient().map(|recipient| (key.entity(), recipient)));
        }
        Ok(found)
    }

    /// How a pair stands at `now_us`, for the whole entity and for each scope that has a grant of its
    /// own. Reads the disk.
    pub fn pair_standings(
        &self,
        entity: EntityId,
        recipient: Msisdn,
        now_us: u64,
    ) -> Result<Vec<(Scope, Standing)>, Unavailable> {
        let shared = self.shared();
        let pair = locked(&shared.pending).pair(&shared.store, PairKey::new(entity, recipient));
        let pair = pair.map_err(|fault| Unavailable::failed(&fault))?.unwrap_or_default();
        let own = pair.grants.iter().map(|grant| grant.scope).filter(|scope| *scope != Scope::ALL);
        let standing = |scope| (scope, pair.standing(scope, now_us, shared.silent_after_us));
        Ok(std::iter::once(Scope::ALL).chain(own).map(standing).collect())
    }

    /// The entities that have a history with a number. Asks the store once for each entity.
    pub fn entities_of(&self, recipient: Msisdn) -> Result<Vec<EntityId>, Unavailable> {
        let shared = self.shared();
        let pending = locked(&shared.pending);
        let mut found = Vec::new();
        for entity in self.entities() {
            let pair = pending.pair(&shared.store, PairKey::new(entity, recipient));
            if pair.map_err(|fault| Unavailable::failed(&fault))?.is_some() {
                found.push(entity);
            }
        }
        Ok(found)
    }

    /// Why the ledger takes nothing and answers nothing; `None` when it does.
    pub fn unavailable(&self) -> Option<Unavailable> {
        locked(&self.shared().pending).ended.clone()
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        let shared = self.shared();
        let (Counts { pairs, events, .. }, revoked, accepted) = {
            let pending = locked(&shared.pending);
            (pending.counts, pending.revoked, pending.accepted)
        };
        let is_warm = shared.is_warm.load(Ordering::Acquire);
        Stats {
            pairs,
            events,
            revoked,
            entities: self.entities().len(),
            backlog_events: accepted.saturating_sub(shared.completed.load(Ordering::Acquire)),
            hot_pairs: shared.hot.len(),
            is_hot_whole: is_warm && shared.hot.is_whole(),
            octets: shared.store.octets(),
        }
    }

    /// Writes what waits and lets the lock go. Blocks. Later appends are refused, and questions are
    /// answered [`Consent::Unavailable`].
    pub fn close(&self) {
        self.handle.close();
    }
}

impl Handle {
    fn close(&self) {
        locked(&self.shared.pending).is_closing = true;
        self.shared.bell.notify_all();
        for thread in locked(&self.threads).drain(..) {
            // A thread that panicked has nothing more to write.
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn standing(&self, question: &Question, now_us: u64) -> Consent {
        let key = PairKey::new(question.entity, question.recipient);
        // Before the look-up: what is not found while the layer is being filled may be there a moment later,
        // and all of it be.
        let is_warm = self.is_warm.load(Ordering::Acquire);
        let evictions = match self.hot.find(key) {
            Ok(entry) => match hot::answer(entry, question.scope, now_us, self.silent_after_us) {
                Answer::Standing(standing) => return Consent::Known(standing),
                Answer::Promised(granted) => match self.promises.find(key) {
                    Ok(entry) => return Consent::Known(hot::promised(granted, entry, now_us)),
                    Err(_) => None,
                },
                Answer::Elsewhere => None,
            },
            Err(_) if is_warm && self.hot.is_whole() => {
                return Consent::Known(Standing::NONE);
            }
            Err(evictions) => Some(evictions),
        };
        self.stored_standing(key, question.scope, now_us, evictions)
    }

    /// The standing from the pair as a whole, which then goes to the hot layer.
    fn stored_standing(
        &self,
        key: PairKey,
        scope: Scope,
        now_us: u64,
        evictions: Option<u64>,
    ) -> Consent {
        let promise_evictions = self.promises.find(key).err();
        // First what waits, then the store: an event leaves the one after it is in the other.
        let found = if self.unstored.load(Ordering::Acquire) > 0 {
            locked(&self.pending).pair(&self.store, key)
        } else {
            self.store.pair(key)
        };
        match found {
            Ok(None) => Consent::Known(Standing::NONE),
            Ok(Some(pair)) => {
                let (entry, promise) = hot::entry(&pair);
                if let (Some(promise), Some(evictions)) = (promise, promise_evictions) {
                    self.promises.keep(key, promise, evictions);
                }
                if let Some(evictions) = evictions {
                    self.hot.keep(key, entry, evictions);
                }
                Consent::Known(pair.standing(scope, now_us, self.silent_after_us))
            }
            Err(_) => Consent::Unavailable,
        }
    }

    /// Puts a pair as it stands into the hot layer.
    fn put(&self, key: PairKey, pair: &Pair) {
        let (entry, promise) = hot::entry(pair);
        if let Some(promise) = promise {
            self.promises.put(key, promise);
        }
        self.hot.put(key, entry);
    }

    /// Nothing is taken or answered any more; every open ticket fails.
    fn fail(&self, pending: &mut Pending, fault: &FileFault) -> Unavailable {
        let why = Unavailable::failed(fault);
        self.end(pending, why.clone());
        why
    }

    fn end(&self, pending: &mut Pending, why: Unavailable) {
        self.is_ended.store(true, Ordering::Release);
        pending.ended.get_or_insert(why);
        pending.queue.clear();
        std::mem::take(&mut pending.waiters).into_iter().for_each(|(_, waker)| waker.wake());
        self.bell.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::{CACHE_OCTETS_MIN, Cause, Happened, Source, format::write_short_pair};
    use crate::policy::StandingState;

    #[test]
    fn pairs_that_a_killed_import_did_not_count_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let (entity, recipient) = (EntityId(0), Msisdn::new(8_613_800_138_000).unwrap());
        let (time_us, source) = (1, Source::File);
        let happened = Happened::Revoked(Cause::Refused);
        let event = Event { entity, recipient, time_us, source, happened };
        let (mut pair, mut octets) = (Pair::default(), Vec::new());
        pair.apply(&event, 1).unwrap();
        write_short_pair(&pair, &mut octets);
        let store = Store::open(folder.path()).unwrap();
        let key = PairKey::new(entity, recipient).octets();
        store.ingest_pairs(|put| put(&key, &octets)).unwrap();
        drop(store);
        for warm in [false, true] {
            let (cache_octets, silent_after_us, on_sync) = (CACHE_OCTETS_MIN, 1, None);
            let options = Options { cache_octets, warm, silent_after_us, on_sync };
            let ledger = Embedded::open(folder.path(), options).unwrap();
            let question = Question { entity, recipient, scope: Scope::ALL };
            let mut answers = Vec::new();
            ledger.standings(&[question], 2, &mut answers);
            let Some(Consent::Known(standing)) = answers.first() else { panic!("{answers:?}") };
            assert_eq!(standing.state, StandingState::Revoked, "warm: {warm}");
        }
    }
}
