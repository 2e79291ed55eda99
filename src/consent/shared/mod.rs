//! The ledger that many nodes share: an engine that speaks PostgreSQL holds the truth, and each node has
//! what it needs of it at hand.
//!
//! Three things make it safe, and each is one file's subject. What is cached is answered only while a
//! poll that began within the staleness bound has shown everything new (`feed`, `node`). What this node
//! took is durable here before anybody is told, in force here at once where it is a revocation, and
//! applied once, however often the engine fails (`outbox`). What only one node may do is decided under the
//! engine's lock (`claim`).
//!
//! | file | subject |
//! |---|---|
//! | [`schema`] | the tables, their version, and how they get there |
//! | [`engine`] | all that is asked of them |
//! | `node` | what the threads of this node share |
//! | `cache` | pairs in memory, bounded |
//! | `feed` | what any node wrote, polled |
//! | `fetch` | look-ups of what the cache lacks |
//! | `claim` | what must be counted for all nodes before it goes on |
//! | `outbox`, `disk`, `tickets` | what this node took, until the engine has it |
//! | `overlay` | its revocations, in force at once |
//! | `deliver` | the outbox's way to the engine |
//! | `names` | entities and scopes by number |
//! | `truth`, `remote` | the engine as the tasks ask it |
//! | `desk` | what operators ask and tell |
//! | `simulation` | all of it on three nodes, under faults, by virtual time |

mod cache;
mod claim;
mod deliver;
mod desk;
mod disk;
pub mod engine;
mod feed;
mod fetch;
mod names;
mod node;
mod outbox;
mod overlay;
mod remote;
pub mod schema;
#[cfg(test)]
mod simulation;
mod tickets;
mod truth;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use engine::{
    Applied, Batch, Changes, Counts, Engine, EngineFault, Imported, Keyword, NameKind, Origin,
    Outcome, Told,
};
pub use outbox::WAITING_EVENTS_MAX;

use desk::Job;
use disk::{Disk, NODE, Note};
use names::Names;
use node::{Node, Queues, Times};
use outbox::Outbox;
use remote::Remote;

use super::files::FileFault;
use super::ledger::wait;
use super::{
    Claim, EntityId, Event, Lookup, OpenFault, Question, Refused, Scope, Stats, Ticket, Unavailable,
};
use crate::policy::Consent;

/// How often each node asks for changes.
pub const POLL: Duration = Duration::from_millis(50);

/// How long closing waits for what is not delivered yet, while the engine answers.
const LAST_DELIVERIES: Duration = Duration::from_secs(2);

/// How often it is looked whether something has come about that is waited for.
const LOOK: Duration = Duration::from_millis(5);

/// What the node of a shared ledger is opened with.
pub struct NodeOptions {
    /// The engine. No connection to it need be there yet.
    pub engine: Engine,
    /// This node's name.
    pub node: String,
    /// The folder of its outbox.
    pub outbox: PathBuf,
    /// How old what is known may be to serve.
    pub staleness: Duration,
    /// How long a session waits for a look-up or a claim.
    pub deadline: Duration,
    /// Octets that the cache may use.
    pub cache_octets: usize,
    /// How long after a request without an answer silence counts as refusal, microseconds.
    pub silent_after_us: u64,
    /// Called after each write to the outbox with the time it took, from the outbox's own thread.
    pub on_sync: Option<Box<dyn Fn(Duration) + Send + Sync>>,
}

impl fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeOptions").field("node", &self.node).finish_non_exhaustive()
    }
}

/// How a node of a shared ledger is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How old what is known may be at most; `None` = nothing is known.
    pub staleness: Option<Duration>,
    /// Whether that serves.
    pub serves: bool,
    /// Whether the last poll was answered.
    pub is_up: bool,
    /// Whether [`Shared::stats`] is of the engine, which has not answered before.
    pub is_counted: bool,
    /// Events that wait in the outbox to be delivered.
    pub outbox_events: u64,
    /// The engine's clock minus this node's, microseconds.
    pub clock_offset_us: i64,
    /// Questions that were answered at once, pairs that were looked up, pairs that came too late.
    pub lookups: [u64; 3],
}

/// The ledger of one of many nodes. Clones are the same; the last one dropped closes it.
#[derive(Clone)]
pub struct Shared {
    handle: Arc<Handle>,
}

struct Handle {
    node: Arc<Node>,
    desk: mpsc::Sender<Job>,
    /// The thread that writes the outbox, and the one that talks to the engine.
    threads: Mutex<Vec<JoinHandle<()>>>,
    ends: CancellationToken,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// The data of a poisoned mutex is sound here: no code between lock and unlock leaves it halfway.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<EngineFault> for Unavailable {
    fn from(fault: EngineFault) -> Self {
        Self::Engine(fault.to_string().into())
    }
}

impl Shared {
    /// Opens the outbox, takes its lock, and begins to ask the engine. Does not wait for it.
    pub fn open(options: NodeOptions) -> Result<Shared, OpenFault> {
        let path = options.outbox.display().to_string();
        let failed =
            |why: &dyn fmt::Display| OpenFault::Failed { path: path.clone(), why: why.to_string() };
        let disk = Disk::open(&options.outbox)?;
        let node_name = named(&disk, options.node).map_err(|fault| failed(&fault))?;
        let names = Names::open(&disk).map_err(|fault| failed(&fault))?;
        let offset = disk.note(Note::Offset).map_err(|fault| failed(&fault))?;
        let outbox = Outbox::open(disk, options.on_sync).map_err(|fault| failed(&fault))?;
        let times = Times {
            poll: POLL,
            staleness: options.staleness,
            deadline: options.deadline,
            silent_after_us: options.silent_after_us,
        };
        let offset_us = offset.map_or(0, u64::cast_signed);
        let clock = Box::new(node::wall_us);
        let (node, queues) =
            Node::new(options.cache_octets, outbox, names, times, offset_us, clock);
        let (node, ends) = (Arc::new(node), CancellationToken::new());
        let (desk, jobs) = mpsc::channel(desk::JOBS_MAX);
        let remote = Arc::new(Remote { engine: options.engine, node: node_name });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(&error))?;
        let (talking, end) = (node.clone(), ends.clone());
        let talk = move || {
            runtime.block_on(async {
                let tasks = talk(talking.clone(), remote, queues, jobs);
                end.run_until_cancelled(tasks).await;
            });
            talking.unhear();
            runtime.shutdown_background();
        };
        let writing = node.clone();
        let mut threads = Vec::new();
        for (name, run) in [
            ("consent-outbox", Box::new(move || writing.outbox.run()) as Box<dyn FnOnce() + Send>),
            ("consent-engine", Box::new(talk)),
        ] {
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
            threads.push(thread.map_err(|error| failed(&error))?);
        }
        let threads = Mutex::new(threads);
        Ok(Shared { handle: Arc::new(Handle { node, desk, threads, ends }) })
    }

    fn node(&self) -> &Node {
        &self.handle.node
    }

    /// Waits until what the engine has is known here, at most so long; whether it is.
    pub fn settle(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while !self.figures().is_counted || !self.node().serves() {
            if Instant::now() >= until || self.unavailable().is_some() {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
    }

    /// The identifier of a legal entity's name, if it is known here.
    pub fn find_entity(&self, name: &str) -> Option<EntityId> {
        self.node().names.entities.number(name).map(EntityId)
    }

    /// The name of a legal entity; "?" for an identifier that is not known here.
    pub fn entity_name(&self, entity: EntityId) -> String {
        self.node().names.entities.name(entity.0).unwrap_or_else(|| "?".to_owned())
    }

    /// All legal entities that are known here.
    pub fn entities(&self) -> Vec<EntityId> {
        let count = self.node().names.entities.len();
        (0..count).filter_map(|at| u16::try_from(at).ok().map(EntityId)).collect()
    }

    /// The identifier of a scope's name, if it is known here; "" is [`Scope::ALL`].
    pub fn find_scope(&self, name: &str) -> Option<Scope> {
        match name {
            "" => Some(Scope::ALL),
            name => self.node().names.scopes.number(name).map(|number| Scope(number as u8)),
        }
    }

    /// The name of a scope; "" for [`Scope::ALL`].
    pub fn scope_name(&self, scope: Scope) -> String {
        self.node().names.scopes.name(u16::from(scope.0)).unwrap_or_default()
    }

    /// See [`crate::consent::Ledger::standings`]: from memory alone.
    pub fn standings(&self, questions: &[Question], now_us: u64, out: &mut Vec<Consent>) {
        self.node().standings(questions, now_us, out);
    }

    /// See [`crate::consent::Ledger::lacks`].
    pub fn lacks(&self, questions: &[Question], now_us: u64) -> Option<Lookup> {
        self.node().lacks(questions, now_us)
    }

    /// See [`crate::consent::Ledger::answered`].
    pub fn answered(&self, questions: u64) {
        self.node().hits.fetch_add(questions, Ordering::Relaxed);
    }

    /// See [`crate::consent::Ledger::claim`].
    pub fn claim(&self, events: &[Event], now_us: u64) -> Claim {
        self.node().claim(events, now_us)
    }

    /// See [`crate::consent::Ledger::append`]: they go into the outbox. Only revocations are in force
    /// when this returns; the others as soon as the engine has them.
    pub fn append(
        &self,
        events: &[Event],
        now_us: u64,
        refused: &mut Vec<Refused>,
    ) -> Result<Ticket, Unavailable> {
        let node = self.node();
        let told: Vec<Event> = events.iter().map(|event| node.told(event)).collect();
        let (before, now_us) = (refused.len(), node.engine_us(now_us));
        let ticket = node.outbox.take(&told, now_us, refused)?;
        node.took(events, refused.get(before..).unwrap_or_default());
        Ok(ticket)
    }

    /// See [`crate::consent::Ledger::now_us`].
    pub fn now_us(&self, now_us: u64) -> u64 {
        self.node().engine_us(now_us)
    }

    /// See [`crate::consent::Ledger::changes`].
    pub fn changes(&self) -> u64 {
        self.node().changes()
    }

    /// See [`crate::consent::Ledger::is_complete`].
    pub fn is_complete(&self, ticket: Ticket) -> Result<bool, Unavailable> {
        self.node().outbox.tickets.is_complete(ticket)
    }

    /// See [`crate::consent::Ledger::on_complete`].
    pub fn on_complete(&self, ticket: Ticket, waker: Waker) {
        self.node().outbox.tickets.on_complete(ticket, waker);
    }

    /// See [`crate::consent::Ledger::wait`].
    pub fn wait(&self, ticket: Ticket) -> Result<(), Unavailable> {
        wait(|| self.is_complete(ticket), |waker| self.on_complete(ticket, waker))
    }

    /// Why nothing is taken here any more; `None` while it is, whether the engine answers or not.
    pub fn unavailable(&self) -> Option<Unavailable> {
        self.node().outbox.tickets.ended()
    }

    /// Figures of the ledger, as the engine told them last.
    pub fn stats(&self) -> Stats {
        let node = self.node();
        let counts = locked(&node.counts).unwrap_or_default();
        Stats {
            pairs: counts.pairs,
            events: counts.events,
            revoked: *locked(&node.revoked),
            entities: node.names.entities.len(),
            backlog_events: node.outbox.waiting(),
            hot_pairs: node.cache.len(),
            is_hot_whole: false,
            octets: node.outbox.disk().octets(),
        }
    }

    /// Figures of this node.
    pub fn figures(&self) -> Figures {
        let node = self.node();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            is_counted: locked(&node.counts).is_some(),
            staleness: node.staleness(),
            serves: node.serves(),
            is_up: node.is_up.load(Ordering::Acquire),
            outbox_events: node.outbox.waiting(),
            clock_offset_us: node.offset_us(),
            lookups: [count(&node.hits), count(&node.fetched), count(&node.late)],
        }
    }

    /// Takes no more, writes what was taken and delivers it where the engine answers. Blocks. Questions are
    /// answered [`Consent::Unavailable`] then.
    pub fn close(&self) {
        self.handle.close();
    }
}

impl Handle {
    fn close(&self) {
        let node = &self.node;
        node.outbox.close();
        let until = Instant::now() + LAST_DELIVERIES;
        while node.outbox.waiting() > 0
            && node.is_up.load(Ordering::Acquire)
            && !self.ends.is_cancelled()
            && Instant::now() < until
        {
            std::thread::sleep(LOOK);
        }
        self.ends.cancel();
        for thread in locked(&self.threads).drain(..) {
            // A thread that panicked has nothing more to do.
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

/// The name under which an outbox is delivered: that of the node when it was made. Under another name the
/// engine would take for new what it has.
fn named(disk: &Disk, node: String) -> Result<String, FileFault> {
    if let Some((_, first)) = disk.names(NODE)?.into_iter().next() {
        if first != node {
            tracing::warn!(
                now = node,
                first,
                "the consent outbox goes by the name it was made under"
            );
        }
        return Ok(first);
    }
    disk.add_names(NODE, &[(0, &node)])?;
    Ok(node)
}

/// Everything that is said to the engine, by one thread.
async fn talk(node: Arc<Node>, remote: Arc<Remote>, queues: Queues, jobs: mpsc::Receiver<Job>) {
    let tasks = [
        tokio::spawn(feed::run(node.clone(), remote.clone())),
        tokio::spawn(deliver::run(node.clone(), remote.clone())),
        tokio::spawn(fetch::run(node.clone(), remote.clone(), queues.lookups)),
        tokio::spawn(claim::run(node, remote.clone(), queues.claims)),
        tokio::spawn(desk::run(remote, jobs)),
    ];
    for task in tasks {
        // One that panicked must not leave the others to look as if all were well.
        if task.await.is_err() {
            tracing::error!("the consent engine is asked no more: restart the proxy");
            return;
        }
    }
}
