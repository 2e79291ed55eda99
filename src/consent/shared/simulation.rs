//! Three nodes and one engine by virtual time: everything that a node does but its files and its network,
//! in schedules drawn from a seed, with crashes, silence, late commits, and an engine that goes back.
//!
//! Held to all the while: who said stop at a node is silenced there at once, and stays so until somebody
//! says otherwise after him; no answer is older than the staleness bound; a promise is not exceeded. And
//! when all is quiet again: nothing that was acknowledged is lost, everything is applied once, and all
//! nodes say what the fold of the history says.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::disk::{Disk, Note};
use super::names::Names;
use super::node::{Node, Times};
use super::outbox::{Outbox, Parcel};
use super::truth::Truth;
use super::{Changes, Counts, EngineFault, NameKind, Told, claim, deliver, feed, fetch, locked};
use crate::consent::pair::Pair;
use crate::consent::{
    CACHE_OCTETS_MIN, Cause, Claim, Claimed, EntityId, Event, EventFault, Grant, Happened, PairKey,
    Proof, ProofKind, Question, Scope, Source,
};
use crate::policy::{Consent, ConsentClass, Period, Promise, Review, Standing, StandingState};
use crate::registry::Msisdn;

const NODES: usize = 3;
const RECIPIENTS: u64 = 4;
const BOUND: Duration = Duration::from_millis(800);
const DEADLINE: Duration = Duration::from_millis(100);
const SILENT_US: u64 = 3_600_000_000;
const PROMISED: u16 = 5;
/// When the world begins, us since the Unix epoch.
const EPOCH_US: u64 = 1_700_000_000_000_000;

/// The files of a node: they outlive it.
#[derive(Default)]
pub(in crate::consent) struct Memory {
    pub events: BTreeMap<u64, Told>,
    pub notes: BTreeMap<Note, u64>,
}

impl Memory {
    pub fn last(&self) -> u64 {
        self.events.last_key_value().map_or(0, |(at, _)| *at)
    }

    pub fn after(&self, after: u64, most: usize) -> Vec<(u64, Told)> {
        self.events.range(after + 1..).take(most).map(|(at, told)| (*at, *told)).collect()
    }
}

/// Numbers from a seed.
#[derive(Clone)]
struct Chance(Arc<Mutex<u64>>);

impl Chance {
    fn below(&self, most: u64) -> u64 {
        let mut state = locked(&self.0);
        // SplitMix64.
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }

    fn one_in(&self, most: u64) -> bool {
        self.below(most) == 0
    }

    fn millis(&self, most: u64) -> Duration {
        Duration::from_micros(self.below(most * 1000))
    }
}

/// What the engine has.
#[derive(Clone, Default)]
struct State {
    pairs: BTreeMap<PairKey, Pair>,
    /// What was applied: of which node's outbox, at which position.
    events: Vec<(usize, u64, Told)>,
    changes: Vec<(u64, u64, PairKey, Pair)>,
    number: u64,
    change: u64,
    /// By node and outbox.
    positions: HashMap<(usize, u64), u64>,
}

/// How a pair stood from a moment on.
struct Stood {
    from: Instant,
    pair: Pair,
    /// How often the engine had gone back by then.
    turn: u64,
}

struct World {
    state: State,
    /// What it goes back to: as it was a little earlier.
    standby: State,
    history: HashMap<PairKey, Vec<Stood>>,
    is_down: bool,
    is_silent: bool,
    turn: u64,
    went_back: Option<Instant>,
    /// When each revocation was first applied, by its time, which no other has.
    applied: HashMap<u64, Instant>,
    chance: Chance,
}

impl World {
    fn note(&mut self, key: PairKey) {
        let pair = self.state.pairs.get(&key).cloned().unwrap_or_default();
        let stood = Stood { from: Instant::now(), pair, turn: self.turn };
        self.history.entry(key).or_default().push(stood);
    }

    /// All of a batch, under the lock.
    fn apply(
        &mut self,
        origin: Option<(usize, u64, u64)>,
        events: &[Told],
        claims: bool,
    ) -> Result<Vec<Result<(), EventFault>>, EngineFault> {
        let (mut left, mut at) = (events, (NODES, 0));
        if let Some((node, outbox, first)) = origin {
            let position = self.state.positions.entry((node, outbox)).or_default();
            if first > *position + 1 {
                return Err(EngineFault::Behind { position: *position });
            }
            left = events.get((*position + 1 - first) as usize..).unwrap_or_default();
            at = (node, first + (events.len() - left.len()) as u64);
            *position = (*position).max(first + events.len() as u64 - 1);
        }
        let mut outcomes = vec![Ok(()); events.len() - left.len()];
        for told in left {
            let key = PairKey::new(told.event.entity, told.event.recipient);
            let mut pair = self.state.pairs.get(&key).cloned().unwrap_or_default();
            let taken = told.event.check(told.recorded_us);
            let taken = taken.and_then(|()| if claims { pair.claim(&told.event) } else { Ok(()) });
            let taken = taken.and_then(|()| pair.apply(&told.event, self.state.number + 1));
            outcomes.push(taken.map(|_| ()));
            self.state.events.push((at.0, at.1, *told));
            at.1 += 1;
            if matches!(told.event.happened, Happened::Revoked(_)) {
                self.applied.entry(told.event.time_us).or_insert_with(Instant::now);
            }
            if taken.is_err() {
                continue;
            }
            self.state.number += u64::from(!matches!(told.event.happened, Happened::Sent { .. }));
            self.state.change += 1;
            let stamp = self.chance.below(u64::MAX);
            self.state.changes.push((self.state.change, stamp, key, pair.clone()));
            self.state.pairs.insert(key, pair);
            self.note(key);
        }
        Ok(outcomes)
    }

    /// The primary is lost, and with it what its standby had not got.
    fn go_back(&mut self) {
        self.turn += 1;
        self.went_back = Some(Instant::now());
        self.state = self.standby.clone();
        let keys: Vec<PairKey> = self.history.keys().copied().collect();
        keys.into_iter().for_each(|key| self.note(key));
    }
}

/// The engine, as one node reaches it.
#[derive(Clone)]
struct Way {
    world: Arc<Mutex<World>>,
    node: usize,
    /// This node's clock against the engine's, us.
    chance: Chance,
}

fn engine_us(begun: Instant) -> u64 {
    EPOCH_US + begun.elapsed().as_micros() as u64
}

impl Way {
    /// There and back, with what is done there in between. Done there, it stays done, whether who asked
    /// still waits or not.
    async fn ask<R: Send + 'static>(
        &self,
        act: impl FnOnce(&mut World) -> Result<R, EngineFault> + Send + 'static,
    ) -> Result<R, EngineFault> {
        let (there, back) = (self.chance.millis(4), self.chance.millis(4));
        let (is_slow, is_lost) = (self.chance.one_in(60), self.chance.one_in(40));
        let (world, turn) = (self.world.clone(), locked(&self.world).turn);
        let (answer, answered) = oneshot::channel();
        let slow = self.chance.millis(2500);
        tokio::spawn(async move {
            sleep(there).await;
            if is_slow {
                sleep(slow).await;
            }
            while locked(&world).is_silent {
                sleep(Duration::from_millis(7)).await;
            }
            let done = {
                let mut world = locked(&world);
                // A connection to the engine that was is not one to the engine that is.
                if world.is_down || world.turn != turn {
                    Err(EngineFault::Down("it is down".to_owned()))
                } else {
                    act(&mut world)
                }
            };
            sleep(back).await;
            if !is_lost {
                let _ = answer.send(done);
            }
        });
        let lost = || EngineFault::Unknown("the connection was lost".to_owned());
        answered.await.unwrap_or_else(|_| Err(lost()))
    }
}

impl Truth for (Way, Instant) {
    async fn changes(
        &self,
        (after, stamp): (u64, u64),
        outbox: u64,
    ) -> Result<(Changes, u64), EngineFault> {
        let (node, begun) = (self.0.node, self.1);
        let ask = self.0.ask(move |world| {
            let position = world.state.positions.get(&(node, outbox)).copied().unwrap_or(0);
            let all = &world.state.changes;
            let known = all.iter().position(|(at, of, ..)| (*at, *of) == (after, stamp));
            let mut changes = Changes {
                back: known.is_none(),
                through: after,
                stamp,
                pairs: Vec::new(),
                is_all: true,
                engine_now_us: engine_us(begun),
                names: 0,
                keywords: 0,
            };
            match known {
                Some(known) => {
                    for (number, stamp, key, pair) in all.iter().skip(known + 1).take(3) {
                        (changes.through, changes.stamp) = (*number, *stamp);
                        changes.pairs.push((*key, pair.clone()));
                    }
                    changes.is_all = all.len() - known - 1 <= 3;
                }
                None => {
                    let last = all.last().map_or((0, 0), |(at, of, ..)| (*at, *of));
                    (changes.through, changes.stamp) = last;
                }
            }
            Ok((changes, position))
        });
        ask.await
    }

    async fn pairs(
        &self,
        keys: &[PairKey],
        outbox: u64,
    ) -> Result<(Vec<(PairKey, Pair)>, u64), EngineFault> {
        let (node, keys) = (self.0.node, keys.to_vec());
        let ask = self.0.ask(move |world| {
            let pair = |key: &PairKey| Some((*key, world.state.pairs.get(key)?.clone()));
            let position = world.state.positions.get(&(node, outbox)).copied().unwrap_or(0);
            Ok((keys.iter().filter_map(pair).collect(), position))
        });
        ask.await
    }

    async fn position(&self, outbox: u64) -> Result<u64, EngineFault> {
        let node = self.0.node;
        let ask = self
            .0
            .ask(move |world| Ok(world.state.positions.get(&(node, outbox)).copied().unwrap_or(0)));
        ask.await
    }

    async fn deliver(&self, parcel: &Parcel) -> Result<Vec<EventFault>, EngineFault> {
        let (origin, events) =
            ((self.0.node, parcel.mark.outbox, parcel.first), parcel.events.clone());
        let outcomes = self.0.ask(move |world| world.apply(Some(origin), &events, false)).await?;
        Ok(outcomes.into_iter().filter_map(Result::err).collect())
    }

    async fn claim(&self, events: &[Told]) -> Result<Vec<Claimed>, EngineFault> {
        let events = events.to_vec();
        let outcomes = self.0.ask(move |world| world.apply(None, &events, true)).await?;
        let claimed = |one: Result<(), _>| one.map_or(Claimed::Refused, |()| Claimed::Taken);
        Ok(outcomes.into_iter().map(claimed).collect())
    }

    async fn names(&self) -> Result<(Vec<String>, Vec<String>), EngineFault> {
        Ok((Vec::new(), Vec::new()))
    }

    async fn give(&self, _: NameKind, _: &str) -> Result<Option<u16>, EngineFault> {
        Ok(None)
    }

    async fn counts(&self) -> Result<Counts, EngineFault> {
        Ok(Counts::default())
    }

    async fn prune(&self) -> Result<bool, EngineFault> {
        Ok(false)
    }
}

/// A node that runs.
struct Running {
    node: Arc<Node>,
    tasks: Vec<JoinHandle<()>>,
    memory: Arc<Mutex<Memory>>,
    /// Its clock against the engine's, us.
    skew_us: i64,
    /// Revocations that it took: pair, time, position; and whether that is on its disk.
    revoked: Vec<(PairKey, u64, u64)>,
}

struct Simulation {
    begun: Instant,
    world: Arc<Mutex<World>>,
    nodes: Vec<Running>,
    chance: Chance,
    /// How often nodes that are started from now on ask for changes.
    poll: Duration,
    /// Everything that was acknowledged: by node and position.
    acknowledged: BTreeMap<(usize, u64), Told>,
    /// Messages that went on under the promise.
    sent: u32,
    /// The last moment that an event happened at: each has its own.
    moment_us: u64,
}

fn recipient(at: u64) -> Msisdn {
    Msisdn::new(8_613_800_138_000 + at).unwrap()
}

fn key(at: u64) -> PairKey {
    PairKey::new(EntityId(0), recipient(at))
}

fn question(at: u64) -> Question {
    Question { entity: EntityId(0), recipient: recipient(at), scope: Scope::ALL }
}

fn granted(promise: Option<Promise>) -> Happened {
    let proof = Proof { kind: ProofKind::Web, sha256: [7; 32], review: Review::Reviewed };
    let class = ConsentClass::Commercial;
    Happened::Granted(Grant { scope: Scope::ALL, class, until_us: None, promise, proof })
}

/// The pair under a promise, which nobody revokes.
const UNDER_PROMISE: u64 = RECIPIENTS;

impl Simulation {
    fn new(seed: u64) -> Simulation {
        let chance = Chance(Arc::new(Mutex::new(seed)));
        let begun = Instant::now();
        let mut world = World {
            state: State::default(),
            standby: State::default(),
            history: HashMap::new(),
            is_down: false,
            is_silent: false,
            turn: 0,
            went_back: None,
            applied: HashMap::new(),
            chance: chance.clone(),
        };
        let promise = Some(Promise { messages: PROMISED, period: Period::Year });
        let event = Event {
            entity: EntityId(0),
            recipient: recipient(UNDER_PROMISE),
            time_us: EPOCH_US - 10_000_000,
            source: Source::Api,
            happened: granted(promise),
        };
        (0..=RECIPIENTS).for_each(|at| world.note(key(at)));
        world.apply(None, &[Told { event, recorded_us: EPOCH_US }], false).unwrap();
        world.standby = world.state.clone();
        let mut simulation = Simulation {
            begun,
            world: Arc::new(Mutex::new(world)),
            nodes: Vec::new(),
            chance,
            poll: super::POLL,
            acknowledged: BTreeMap::new(),
            sent: 0,
            moment_us: EPOCH_US,
        };
        for at in 0..NODES {
            let skew_us = simulation.chance.below(360_000_000).cast_signed() - 180_000_000;
            let running = simulation.start(at, Arc::default(), skew_us);
            simulation.nodes.push(running);
        }
        simulation
    }

    /// Starts a node on its files.
    fn start(&self, at: usize, memory: Arc<Mutex<Memory>>, skew_us: i64) -> Running {
        let disk = Disk::Memory(memory.clone());
        let names = Names::open(&disk).unwrap();
        let offset = disk.note(Note::Offset).unwrap().map_or(0, u64::cast_signed);
        let outbox = Outbox::open(disk, None).unwrap();
        let times = Times {
            poll: self.poll,
            staleness: BOUND,
            deadline: DEADLINE,
            silent_after_us: SILENT_US,
        };
        let begun = self.begun;
        let wall = Box::new(move || engine_us(begun).saturating_add_signed(skew_us));
        let (node, queues) = Node::new(CACHE_OCTETS_MIN, outbox, names, times, offset, wall);
        let node = Arc::new(node);
        let way = Way { world: self.world.clone(), node: at, chance: self.chance.clone() };
        let truth = Arc::new((way, begun));
        let (writer, chance) = (node.clone(), self.chance.clone());
        let tasks = vec![
            tokio::spawn(feed::run(node.clone(), truth.clone())),
            tokio::spawn(deliver::run(node.clone(), truth.clone())),
            tokio::spawn(fetch::run(node.clone(), truth.clone(), queues.lookups)),
            tokio::spawn(claim::run(node.clone(), truth.clone(), queues.claims)),
            tokio::spawn(async move {
                loop {
                    sleep(chance.millis(20)).await;
                    writer.outbox.write().unwrap();
                }
            }),
        ];
        let mut revoked = Vec::new();
        for (position, told) in locked(&memory).after(0, usize::MAX) {
            let Told { event: Event { entity, recipient, time_us, happened, .. }, .. } = told;
            if matches!(happened, Happened::Revoked(_)) {
                revoked.push((PairKey::new(entity, recipient), time_us, position));
            }
        }
        Running { node, tasks, memory, skew_us, revoked }
    }

    /// The node's time of day; every event has a moment of its own.
    fn moment(&mut self, at: usize) -> u64 {
        self.moment_us = (self.moment_us + 1).max(engine_us(self.begun));
        self.moment_us.saturating_add_signed(self.nodes[at].skew_us)
    }

    fn wall_us(&self, at: usize) -> u64 {
        (self.nodes[at].node.wall_us)()
    }

    /// A handset's answer at a node.
    fn reply(&mut self, at: usize, pair: u64, happened: Happened) {
        let (time_us, now_us) = (self.moment(at), self.wall_us(at).max(1));
        let (entity, recipient, source) = (EntityId(0), recipient(pair), Source::Reply);
        let node = self.nodes[at].node.clone();
        let event = node.told(&Event { entity, recipient, time_us, source, happened });
        let recorded_us = node.engine_us(now_us).max(event.time_us);
        let mut refused = Vec::new();
        let ticket = node.outbox.take(&[event], recorded_us, &mut refused).unwrap();
        assert!(refused.is_empty(), "{refused:?}");
        node.change();
        if matches!(happened, Happened::Revoked(_)) {
            self.nodes[at].revoked.push((key(pair), event.time_us, ticket.position));
            let mut out = Vec::new();
            node.standings(&[question(pair)], now_us, &mut out);
            let is_in_force =
                matches!(out[..], [Consent::Known(Standing { state: StandingState::Revoked, .. })]);
            assert!(is_in_force, "in force at once: {out:?}");
        }
    }

    /// Notes what nodes have on their disks by now: they have said so.
    fn acknowledge(&mut self) {
        for (at, running) in self.nodes.iter().enumerate() {
            let kept = locked(&running.memory);
            let kept = kept.events.iter().map(|(position, told)| ((at, *position), *told));
            self.acknowledged.extend(kept);
        }
    }

    /// Asks a node, and holds its answer to what it may be.
    async fn ask(&self, at: usize, pair: u64) {
        let node = self.nodes[at].node.clone();
        if let Some(lookup) = node.lacks(&[question(pair)], self.wall_us(at)) {
            let asked = Instant::now();
            lookup.await;
            assert!(
                asked.elapsed() <= DEADLINE + Duration::from_millis(2),
                "a look-up is over in time"
            );
        }
        let mut out = Vec::new();
        node.standings(&[question(pair)], self.wall_us(at), &mut out);
        let [Consent::Known(standing)] = out[..] else { return };
        self.hold(at, pair, standing);
    }

    fn hold(&self, at: usize, pair: u64, said: Standing) {
        let (world, now) = (locked(&self.world), Instant::now());
        let own = self.nodes[at].revoked.iter().rfind(|(one, ..)| *one == key(pair));
        let outbox = self.nodes[at].node.outbox.mark().outbox;
        let position = world.state.positions.get(&(at, outbox)).copied().unwrap_or(0);
        // Since when states count, and before when where the engine has lost the revocation.
        let (mut from, mut before, mut only) = (now.checked_sub(BOUND), None, false);
        if let Some((_, time_us, own_position)) = own {
            match world.applied.get(time_us) {
                Some(applied) => {
                    from = from.max(Some(*applied));
                    before = (*own_position > position).then_some(world.went_back).flatten();
                }
                None => only = true,
            }
            if said.state == StandingState::Revoked {
                return;
            }
        }
        assert!(!only, "revoked here, and yet {said:?}");
        let history = &world.history[&key(pair)];
        let us = engine_us(self.begun);
        let allowed = |(nth, stood): (usize, &Stood)| {
            let until = history.get(nth + 1).map(|next| next.from);
            let is_in = until.is_none_or(|until| from.is_none_or(|from| until >= from))
                && before.is_none_or(|before| stood.from < before);
            let stands = stood.pair.standing(Scope::ALL, us, SILENT_US);
            is_in && stands.state == said.state && stands.event == said.event
        };
        let turns: Vec<_> = history.iter().map(|s| (s.turn, s.pair.sequence)).collect();
        assert!(
            history.iter().enumerate().any(allowed),
            "node {at} says {said:?} of pair {pair}; it stood so: {turns:?}; own: {own:?}"
        );
    }

    async fn claim(&mut self, at: usize) {
        let time_us = self.moment(at);
        let event = Event {
            entity: EntityId(0),
            recipient: recipient(UNDER_PROMISE),
            time_us,
            source: Source::Message,
            happened: Happened::Sent { scope: Scope::ALL },
        };
        let Claim::Asked(claiming) = self.nodes[at].node.claim(&[event], time_us) else {
            panic!("it is claimed")
        };
        let asked = Instant::now();
        let claimed = claiming.await;
        assert!(asked.elapsed() <= DEADLINE + Duration::from_millis(2), "a claim is over in time");
        self.sent += u32::from(claimed == [Claimed::Taken]);
    }

    fn crash(&mut self, at: usize) {
        let running = &self.nodes[at];
        running.tasks.iter().for_each(JoinHandle::abort);
        self.nodes[at] = self.start(at, running.memory.clone(), running.skew_us);
    }

    /// One step of the schedule.
    async fn step(&mut self) {
        let at = self.chance.below(NODES as u64) as usize;
        let pair = self.chance.below(RECIPIENTS);
        match self.chance.below(40) {
            0..6 => self.reply(at, pair, Happened::Revoked(Cause::Refused)),
            6..9 => self.reply(at, pair, granted(None)),
            9..13 => {
                // An operator at another node, told that the engine has it.
                let time_us = self.moment(at).saturating_add_signed(-self.nodes[at].skew_us);
                let (entity, source) = (EntityId(0), Source::Api);
                let (recipient, happened) = (recipient(pair), granted(None));
                let event = Event { entity, recipient, time_us, source, happened };
                let mut world = locked(&self.world);
                if !world.is_down && !world.is_silent {
                    let told = Told { event, recorded_us: time_us };
                    let _ = world.apply(None, &[told], false);
                }
            }
            13 => self.crash(at),
            14 => locked(&self.world).is_down ^= true,
            15 => locked(&self.world).is_silent ^= true,
            16 => {
                let mut world = locked(&self.world);
                world.standby = world.state.clone();
            }
            17 if self.chance.one_in(3) => locked(&self.world).go_back(),
            18 => locked(&self.world).state.changes.clear(),
            19 => self.nodes[at].node.cache.clear(),
            20 => self.claim(at).await,
            21..31 => self.ask(at, pair).await,
            _ => sleep(self.chance.millis(120)).await,
        }
        self.acknowledge();
    }

    /// All is well again.
    async fn end(&mut self) {
        {
            let mut world = locked(&self.world);
            (world.is_down, world.is_silent) = (false, false);
        }
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            sleep(Duration::from_millis(500)).await;
            self.acknowledge();
            let is_done =
                self.nodes.iter().all(|one| one.node.outbox.waiting() == 0 && one.node.serves());
            if is_done {
                break;
            }
            assert!(Instant::now() < until, "everything is delivered");
        }
        // A poll and a look-up may fail, but not for ever.
        let us = engine_us(self.begun);
        for at in 0..NODES {
            for pair in 0..=RECIPIENTS {
                let mut said = None;
                for _ in 0..40 {
                    let node = &self.nodes[at].node;
                    if let Some(lookup) = node.lacks(&[question(pair)], self.wall_us(at)) {
                        lookup.await;
                    }
                    let mut out = Vec::new();
                    node.standings(&[question(pair)], self.wall_us(at), &mut out);
                    let stands = locked(&self.world).state.pairs.get(&key(pair)).cloned();
                    let stands = stands.unwrap_or_default().standing(Scope::ALL, us, SILENT_US);
                    said = Some((out.clone(), stands));
                    if matches!(out[..], [Consent::Known(one)]
                        if (one.state, one.event, one.sent) == (stands.state, stands.event, stands.sent))
                    {
                        said = None;
                        break;
                    }
                    sleep(super::POLL * 3).await;
                }
                assert_eq!(said, None, "node {at}, pair {pair}");
            }
        }
        let world = locked(&self.world);
        let mut applied: HashMap<(usize, u64), Vec<Told>> = HashMap::new();
        for (node, position, told) in &world.state.events {
            applied.entry((*node, *position)).or_default().push(*told);
        }
        for (at, told) in &self.acknowledged {
            assert_eq!(applied.get(at), Some(&vec![*told]), "applied once: {at:?}");
        }
        if world.went_back.is_none() {
            assert!(self.sent <= u32::from(PROMISED), "{} went on", self.sent);
        }
    }
}

/// Virtual time.
fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap()
}

#[test]
fn the_first_poll_that_is_answered_says_that_the_engine_is_up() {
    runtime().block_on(async {
        let mut simulation = Simulation::new(1);
        locked(&simulation.world).is_down = true;
        // So long that there is one answered poll only.
        simulation.poll = Duration::from_secs(3600);
        simulation.crash(0);
        let node = simulation.nodes[0].node.clone();
        let is_up = || node.is_up.load(std::sync::atomic::Ordering::Acquire);
        sleep(Duration::from_secs(2)).await;
        assert!(!is_up());
        locked(&simulation.world).is_down = false;
        sleep(Duration::from_secs(120)).await;
        assert!(node.staleness().is_some(), "it was answered");
        assert!(is_up());
    });
}

/// One schedule by virtual time.
fn run(seed: u64) {
    runtime().block_on(async {
        let mut simulation = Simulation::new(seed);
        sleep(Duration::from_millis(200)).await;
        for _ in 0..120 {
            simulation.step().await;
        }
        simulation.end().await;
    });
}

#[test]
fn three_nodes_and_one_truth_whatever_happens() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (first, count) = (number("CONSENTRY_SEED"), number("CONSENTRY_SEEDS").unwrap_or(150));
    let seeds: Vec<u64> = match first {
        Some(seed) => vec![seed],
        None => (1..=count).collect(),
    };
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("seed {seed}: run it alone with CONSENTRY_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
