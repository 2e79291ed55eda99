//! What the threads of this node share: cache, outbox, clock, and how fresh what is known is.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::cache::{Cache, Gap};
use super::claim::Asked;
use super::fetch::Wanted;
use super::names::{Names, NamesFault};
use super::outbox::Outbox;
use super::truth::Truth;
use super::{Counts, Told};
use crate::consent::{
    Cause, Claim, Claiming, Event, Happened, Lookup, PairKey, Question, Refused, Source,
};
use crate::policy::{Consent, Standing};

/// Look-ups that wait for their turn at most; who comes then is late at once.
pub const LOOKUPS_MAX: usize = 1 << 12;

/// Claims that wait for their turn at most; who comes then gets none.
pub const CLAIMS_MAX: usize = 1 << 12;

/// How long what was heard may serve, and how long anybody waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// How often changes are asked for.
    pub poll: Duration,
    /// How old what is known may be.
    pub staleness: Duration,
    /// How long a look-up or a claim is waited for.
    pub deadline: Duration,
    /// How long after a request without an answer silence counts as refusal, us.
    pub silent_after_us: u64,
}

/// Where nothing was ever heard.
const NEVER: u64 = u64::MAX;

pub(super) struct Node {
    pub cache: Cache,
    pub outbox: Outbox,
    pub names: Names,
    pub times: Times,
    /// This node's clock, us since the Unix epoch.
    pub wall_us: Box<dyn Fn() -> u64 + Send + Sync>,
    begun: Instant,
    /// When the last poll began after which everything was known, us after `begun`.
    heard_us: AtomicU64,
    /// The engine's clock minus this node's, us.
    offset_us: AtomicI64,
    /// Moves whenever a standing may have changed.
    changes: AtomicU64,
    /// The ledger's figures, a second old while the engine answers.
    pub counts: Mutex<Option<Counts>>,
    /// Revocations taken since it was opened, in the order of [`Cause::ALL`].
    pub revoked: Mutex<[u64; Cause::ALL.len()]>,
    /// Whether the last poll was answered.
    pub is_up: AtomicBool,
    /// Questions that were answered at once; pairs that were looked up; pairs that came too late.
    pub hits: AtomicU64,
    pub fetched: AtomicU64,
    pub late: AtomicU64,
    lookups: mpsc::Sender<Wanted>,
    claims: mpsc::Sender<Asked>,
}

/// The ends of a node's queues that its tasks hold.
pub(super) struct Queues {
    pub lookups: mpsc::Receiver<Wanted>,
    pub claims: mpsc::Receiver<Asked>,
}

/// The time of day, us since the Unix epoch.
pub(super) fn wall_us() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

impl Node {
    pub fn new(
        cache_octets: usize,
        outbox: Outbox,
        names: Names,
        times: Times,
        offset_us: i64,
        wall_us: Box<dyn Fn() -> u64 + Send + Sync>,
    ) -> (Node, Queues) {
        let (lookups, wanted) = mpsc::channel(LOOKUPS_MAX);
        let (claims, asked) = mpsc::channel(CLAIMS_MAX);
        let node = Node {
            cache: Cache::new(cache_octets, times.silent_after_us),
            outbox,
            names,
            times,
            wall_us,
            begun: Instant::now(),
            heard_us: AtomicU64::new(NEVER),
            offset_us: AtomicI64::new(offset_us),
            changes: AtomicU64::new(0),
            counts: Mutex::default(),
            revoked: Mutex::default(),
            is_up: AtomicBool::new(false),
            hits: AtomicU64::new(0),
            fetched: AtomicU64::new(0),
            late: AtomicU64::new(0),
            lookups,
            claims,
        };
        (node, Queues { lookups: wanted, claims: asked })
    }

    fn since_begun_us(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.begun).as_micros()).unwrap_or(NEVER - 1)
    }

    /// Learns the engine's names: [`Names::follow`]. From the moment on at which they agree, what waits is
    /// delivered.
    pub async fn follow<T: Truth>(
        &self,
        truth: &T,
        count: u64,
        is_doubted: bool,
    ) -> Result<(), NamesFault> {
        if self.names.follow(truth, self.outbox.disk(), count, is_doubted).await? {
            self.outbox.posted.notify_one();
        }
        Ok(())
    }

    /// Everything that the engine had when a poll began is known.
    pub fn hear(&self, poll_began: Instant) {
        self.heard_us.store(self.since_begun_us(poll_began), Ordering::Release);
    }

    /// Nothing that is known counts until the next poll.
    pub fn unhear(&self) {
        self.heard_us.store(NEVER, Ordering::Release);
    }

    /// How old what is known may be, at most; `None` = nothing counts.
    pub fn staleness(&self) -> Option<Duration> {
        match self.heard_us.load(Ordering::Acquire) {
            NEVER => None,
            heard_us => {
                let now_us = self.since_begun_us(Instant::now());
                Some(Duration::from_micros(now_us.saturating_sub(heard_us)))
            }
        }
    }

    /// Whether what is known serves.
    pub fn serves(&self) -> bool {
        self.staleness().is_some_and(|age| age <= self.times.staleness)
    }

    pub fn offset_us(&self) -> i64 {
        self.offset_us.load(Ordering::Relaxed)
    }

    pub fn set_offset_us(&self, offset_us: i64) {
        self.offset_us.store(offset_us, Ordering::Relaxed);
    }

    /// The engine's time when this node's clock shows `wall_us`.
    pub fn engine_us(&self, wall_us: u64) -> u64 {
        wall_us.saturating_add_signed(self.offset_us())
    }

    /// See [`crate::consent::Ledger::changes`]. That nothing known serves any more is a change too.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire) << 1 | u64::from(!self.serves())
    }

    /// A standing may have changed.
    pub fn change(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Events were taken here, but for those that were refused.
    pub fn took(&self, events: &[Event], refused: &[Refused]) {
        let mut revoked = super::locked(&self.revoked);
        for (at, event) in events.iter().enumerate() {
            let is_refused = refused.iter().any(|one| one.at == at);
            for (cause, count) in Cause::ALL.iter().zip(revoked.iter_mut()) {
                let is_it = event.happened == Happened::Revoked(*cause) && !is_refused;
                *count += u64::from(is_it);
            }
        }
        drop(revoked);
        self.change();
    }

    /// How a pair stands, by the engine's time: what this node took itself before what it was told.
    fn standing(&self, question: &Question, engine_us: u64) -> Result<Standing, Gap> {
        let key = PairKey::new(question.entity, question.recipient);
        match self.outbox.overlay.standing(key) {
            Some(standing) => Ok(standing),
            None => self.cache.standing(question, engine_us),
        }
    }

    /// See [`crate::consent::Ledger::standings`]. The times in the answers are those of this node's clock.
    pub fn standings(&self, questions: &[Question], now_us: u64, out: &mut Vec<Consent>) {
        let (engine_us, offset_us) = (self.engine_us(now_us), self.offset_us());
        let serves = self.serves();
        out.extend(questions.iter().map(|question| {
            let key = PairKey::new(question.entity, question.recipient);
            let known = match self.outbox.overlay.standing(key) {
                // That holds however old everything else is.
                Some(standing) => Some(standing),
                None if serves => self.cache.standing(question, engine_us).ok(),
                None => None,
            };
            known.map_or(Consent::Unavailable, |known| Consent::Known(here(known, offset_us)))
        }));
    }

    /// See [`crate::consent::Ledger::lacks`].
    pub fn lacks(&self, questions: &[Question], now_us: u64) -> Option<Lookup> {
        if !self.serves() {
            return None;
        }
        let engine_us = self.engine_us(now_us);
        let mut gaps: Vec<Gap> = Vec::new();
        for question in questions {
            gaps.extend(self.standing(question, engine_us).err());
        }
        if gaps.is_empty() {
            return None;
        }
        gaps.sort_unstable_by_key(|gap| gap.key);
        gaps.dedup_by_key(|gap| gap.key);
        let count = gaps.len() as u64;
        let (end, lookup) = Lookup::new();
        let wanted = Wanted { gaps, until: Instant::now() + self.times.deadline, end };
        if self.lookups.try_send(wanted).is_err() {
            self.late.fetch_add(count, Ordering::Relaxed);
            return None;
        }
        Some(lookup)
    }

    /// See [`crate::consent::Ledger::claim`].
    pub fn claim(&self, events: &[Event], now_us: u64) -> Claim {
        let told =
            |event: &Event| Told { event: self.told(event), recorded_us: self.engine_us(now_us) };
        let (answer, claiming) = Claiming::new(events.len());
        let until = Instant::now() + self.times.deadline;
        // Who finds no place in the queue is answered by being dropped.
        let _ = self.claims.try_send(Asked {
            events: events.iter().map(told).collect(),
            until,
            answer,
        });
        Claim::Asked(claiming)
    }

    /// An event of this node by the engine's clock.
    pub fn told(&self, event: &Event) -> Event {
        match event.source {
            Source::Reply | Source::Message => {
                Event { time_us: self.engine_us(event.time_us), ..*event }
            }
            // Their times are what somebody states.
            Source::Operator | Source::Api | Source::File | Source::Stream | Source::Undated => {
                *event
            }
        }
    }
}

/// A standing by this node's clock.
fn here(standing: Standing, offset_us: i64) -> Standing {
    let by_clock = |time_us: u64| match time_us {
        0 | Standing::NO_END => time_us,
        time_us => time_us.saturating_sub_signed(offset_us),
    };
    Standing {
        from_us: by_clock(standing.from_us),
        until_us: by_clock(standing.until_us),
        ..standing
    }
}
