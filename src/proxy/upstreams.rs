//! The upstreams of one listener as its pairs share them: what [`crate::upstream`] decides, under a lock
//! that is taken when a bind begins, is answered or ends, and never for a message.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::session::Moment;
use crate::upstream::{Change, Failure, Set, State, Times, Tried, Upstream};

/// The upstreams of a listener.
#[derive(Debug)]
pub struct Upstreams {
    /// The listener's address, as logs and metrics name it.
    listener: String,
    set: Mutex<Set>,
    members: Vec<Member>,
}

/// What is counted of one without the lock.
#[derive(Debug)]
struct Member {
    upstream: Upstream,
    /// When it last answered a request, on any session; steady clock, 0 for never.
    answered_us: AtomicU64,
    /// Whether news of an answer change anything: it is not up.
    is_doubted: AtomicBool,
    sessions: AtomicUsize,
    binds: AtomicU64,
    failures: [AtomicU64; Failure::ALL.len()],
    /// Cancelled when its sessions are to leave it.
    leave: Mutex<CancellationToken>,
}

/// An upstream as listings and metrics show it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// As it is configured.
    pub upstream: Upstream,
    /// How it stands.
    pub state: State,
    /// Whether it is ejected: its time is not over.
    pub is_ejected: bool,
    /// Sessions connected to it.
    pub sessions: usize,
    /// Binds that it answered ESME_ROK.
    pub binds: u64,
    /// What spoke against it so far, in the order of [`Failure::ALL`].
    pub failures: [u64; Failure::ALL.len()],
    /// Since when it stands so, microseconds since the Unix epoch.
    pub since_us: u64,
    /// Until when it is ejected, the same; `None` where it is not.
    pub until_us: Option<u64>,
    /// How long ago it last answered a request, microseconds; `None` before the first.
    pub answered_ago_us: Option<u64>,
}

impl Upstreams {
    /// Those of the listener with that address, all up.
    pub(super) fn new(listener: &str, upstreams: &[Upstream], times: Times) -> Upstreams {
        let member = |upstream: &Upstream| Member {
            upstream: upstream.clone(),
            answered_us: AtomicU64::new(0),
            is_doubted: AtomicBool::new(false),
            sessions: AtomicUsize::new(0),
            binds: AtomicU64::new(0),
            failures: Default::default(),
            leave: Mutex::default(),
        };
        Upstreams {
            listener: listener.to_owned(),
            members: upstreams.iter().map(member).collect(),
            // The steady clock begins with the process.
            set: Mutex::new(Set::new(upstreams.iter().cloned(), times, 0)),
        }
    }

    /// The listener's address.
    pub fn listener(&self) -> &str {
        &self.listener
    }

    /// They are judged by these times from now on.
    pub fn judge_by(&self, times: Times) {
        self.lock().judge_by(times);
    }

    /// Whether there is more than one.
    pub(super) fn are_several(&self) -> bool {
        self.members.len() > 1
    }

    /// Where a bind goes next; `None` where nobody is left that it was not led to before.
    pub(super) fn choose(
        self: &Arc<Upstreams>,
        tried: &mut Tried,
        sends: bool,
        now: Moment,
    ) -> Option<Lead> {
        let at = self.with(now, |set| set.choose(tried, sends, now.steady_us))?;
        let upstreams = self.clone();
        Some(Lead { upstreams, at, is_learned: false, is_connected: false, seen: now })
    }

    /// Whether the same bind could be led to another.
    pub(super) fn has_another(&self, tried: Tried) -> bool {
        self.lock().has_another(tried)
    }

    /// Says of the upstreams with that address whether they get binds. Those that do not any more have
    /// their sessions leave. Whether there is one with that address.
    pub fn drain(&self, address: &str, is_draining: bool, now: Moment) -> bool {
        let mut any = false;
        for (at, member) in self.members.iter().enumerate() {
            if member.upstream.address != address {
                continue;
            }
            any = true;
            if !self.with(now, |set| set.drain(at, is_draining)) {
                continue;
            }
            let listener = &self.listener;
            let mut leave = member.leave.lock().unwrap_or_else(PoisonError::into_inner);
            if is_draining {
                leave.cancel();
                tracing::info!(listener, upstream = address, "draining");
            } else {
                *leave = CancellationToken::new();
                tracing::info!(listener, upstream = address, "gets binds again");
            }
        }
        if any && self.is_closed() {
            tracing::warn!(
                listener = self.listener,
                "all upstreams are drained: binds are refused"
            );
        }
        any
    }

    /// Whether every bind is refused, because all are drained.
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed()
    }

    /// All of them, in the order of the configuration.
    pub fn listed(&self, now: Moment) -> Vec<Listed> {
        // Who has passed a trial by time has to be looked at for that.
        self.with(now, |_| {});
        let set = self.lock();
        let ago_us = |then_us: u64| now.steady_us.saturating_sub(then_us);
        let listed = self.members.iter().enumerate().filter_map(|(at, member)| {
            let (state, since_us, until_us) = set.state(at, now.steady_us)?;
            let answered_us = member.answered_us.load(Ordering::Relaxed);
            let left_us = until_us.map(|until_us| until_us.saturating_sub(now.steady_us));
            Some(Listed {
                upstream: member.upstream.clone(),
                state,
                is_ejected: until_us.is_some(),
                sessions: member.sessions.load(Ordering::Relaxed),
                binds: member.binds.load(Ordering::Relaxed),
                failures: std::array::from_fn(|one| {
                    member.failures.get(one).map_or(0, |count| count.load(Ordering::Relaxed))
                }),
                since_us: now.wall_us.saturating_sub(ago_us(since_us)),
                until_us: left_us.map(|left_us| now.wall_us + left_us),
                answered_ago_us: (answered_us > 0).then(|| ago_us(answered_us)),
            })
        });
        listed.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks or tells, after the set knows of the newest answers; logs what changed by itself.
    fn with<T>(&self, now: Moment, ask: impl FnOnce(&mut Set) -> T) -> T {
        let mut changes = Vec::new();
        let mut set = self.lock();
        for (at, member) in self.members.iter().enumerate() {
            let answered = set.answered(at, member.answered_us.load(Ordering::Relaxed));
            changes.extend(answered.map(|change| (at, change)));
        }
        changes.extend(set.settle(now.steady_us));
        let told = ask(&mut set);
        for (at, member) in self.members.iter().enumerate() {
            member.is_doubted.store(!set.is_up(at), Ordering::Relaxed);
        }
        drop(set);
        for (at, change) in changes {
            self.log(at, change, now);
        }
        told
    }

    fn log(&self, at: usize, change: Change, now: Moment) {
        let Some(member) = self.members.get(at) else { return };
        let (listener, upstream) = (&self.listener, &member.upstream.address);
        match change {
            Change::Ejected { until_us, why } => {
                let seconds = until_us.saturating_sub(now.steady_us) / 1_000_000;
                let why = why.name();
                tracing::warn!(listener, upstream, why, seconds, "ejected: it gets no binds");
            }
            Change::Back => tracing::info!(listener, upstream, "up: it gets binds again"),
        }
    }
}

/// A bind's or a session's hold on the upstream that it was led to. What it learns goes to the others;
/// dropped, it says that nothing was learned, and is no session of it any more.
#[derive(Debug)]
pub(super) struct Lead {
    upstreams: Arc<Upstreams>,
    at: usize,
    /// Whether the bind came to anything that was told.
    is_learned: bool,
    is_connected: bool,
    /// The newest moment that it knows of.
    seen: Moment,
}

impl Lead {
    fn member(&self) -> Option<&Member> {
        self.upstreams.members.get(self.at)
    }

    /// `host:port`, as it is configured.
    pub(super) fn address(&self) -> &str {
        self.member().map_or("", |member| member.upstream.address.as_str())
    }

    /// It took the connection. Ready when its sessions are to leave it.
    pub(super) fn connected(&mut self) -> Option<CancellationToken> {
        self.is_connected = true;
        let member = self.member()?;
        member.sessions.fetch_add(1, Ordering::Relaxed);
        Some(member.leave.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// The bind failed there; `who` is a mark of its system_id.
    pub(super) fn failed(&mut self, failure: Failure, who: u64, now: Moment) {
        self.tell(now, |set, at| set.failed(at, failure, who, now.steady_us));
        self.count(failure);
    }

    /// It answered the bind, and not with ESME_RSYSERR.
    pub(super) fn bind_answered(&mut self, is_bound: bool, now: Moment) {
        if let Some(member) = self.member().filter(|_| is_bound) {
            member.binds.fetch_add(1, Ordering::Relaxed);
        }
        self.tell(now, |set, at| set.bind_answered(at, is_bound, now.steady_us));
    }

    /// It answered a request at that time: told once a turn.
    pub(super) fn answered(&self, at_us: u64, now: Moment) {
        let Some(member) = self.member() else { return };
        member.answered_us.fetch_max(at_us, Ordering::Relaxed);
        if member.is_doubted.load(Ordering::Relaxed) {
            self.upstreams.with(now, |_| {});
        }
    }

    /// The session ends and was owed an answer since then.
    pub(super) fn owed(&mut self, asked_us: u64, now: Moment) {
        if self.tell(now, |set, at| set.owed(at, asked_us, now.steady_us)) {
            self.count(Failure::Silent);
        }
    }

    /// Whether anything changed by it.
    fn tell(&mut self, now: Moment, event: impl FnOnce(&mut Set, usize) -> Option<Change>) -> bool {
        self.is_learned = true;
        self.seen = now;
        let change = self.upstreams.with(now, |set| event(set, self.at));
        if let Some(change) = change {
            self.upstreams.log(self.at, change, now);
        }
        change.is_some()
    }

    fn count(&self, failure: Failure) {
        let count = self.member().and_then(|member| member.failures.get(failure as usize));
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if let Some(member) = self.member().filter(|_| self.is_connected) {
            member.sessions.fetch_sub(1, Ordering::Relaxed);
        }
        if !self.is_learned {
            let (at, now_us) = (self.at, self.seen.steady_us);
            self.upstreams.lock().untried(at, now_us);
        }
    }
}
