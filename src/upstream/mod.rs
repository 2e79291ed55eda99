//! Which of several SMSCs a bind goes to: decided here, without clock and socket.
//!
//! | file | subject |
//! |---|---|
//! | this | the upstreams of one listener: who is next, who stands how |
//! | [`share`] | the weighted choice |
//! | [`health`] | one upstream: ejected, on trial, up |
//!
//! A bind is led to
//!
//! 1. one that was ejected and whose time is over, on trial: one bind at a time;
//! 2. else those that are up, of the lowest rank of which any is: by their weights. Ranks are how standby is
//!    written here: actives have 0, and a higher rank is asked only while no lower one is up;
//! 3. else any that is not drained, whatever speaks against it: the last one is never given up.
//!
//! What fails is not tried twice for one bind: [`Tried`] goes along with it.

use health::Health;
pub use health::{Change, DOUBLINGS_MAX, FAILURES_MAX, Failure, Times};
use share::Share;

pub mod health;
pub mod share;

/// Most upstreams of one listener.
pub const UPSTREAMS_MAX: usize = 32;

/// An SMSC as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// `host:port`.
    pub address: String,
    /// How many binds it gets against the others of its rank; above 0.
    pub weight: u32,
    /// The lowest rank of which one is up gets the binds; 0 is the active ones'.
    pub rank: u32,
}

/// How an upstream stands, in the words of listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It gets its part of new binds.
    Up,
    /// It would, but one of a lower rank is up.
    Standby,
    /// One bind goes there to see whether it is well again: it has, or the next will.
    Trial,
    /// It gets no binds for a time.
    Ejected,
    /// It gets no binds because somebody said so.
    Draining,
}

impl State {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Standby => "standby",
            State::Trial => "trial",
            State::Ejected => "ejected",
            State::Draining => "draining",
        }
    }
}

/// The upstreams that one bind has been led to already, by their places.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tried(u32);

impl Tried {
    fn has(self, at: usize) -> bool {
        u32::try_from(at).is_ok_and(|at| self.0.checked_shr(at).is_some_and(|bits| bits & 1 == 1))
    }

    fn add(&mut self, at: usize) {
        self.0 |= u32::try_from(at).ok().and_then(|at| 1_u32.checked_shl(at)).unwrap_or(0);
    }
}

/// One of a [`Set`].
#[derive(Debug)]
struct Member {
    upstream: Upstream,
    share: Share,
    health: Health,
    is_draining: bool,
}

impl Member {
    fn is_free(&self, at: usize, tried: Tried) -> bool {
        !self.is_draining && !tried.has(at)
    }
}

/// The upstreams of one listener. Times are of the steady clock, microseconds.
#[derive(Debug)]
pub struct Set {
    members: Vec<Member>,
    times: Times,
}

impl Set {
    /// All of them up, at most [`UPSTREAMS_MAX`]; more are left out.
    pub fn new(upstreams: impl IntoIterator<Item = Upstream>, times: Times, now_us: u64) -> Set {
        let member = |upstream: Upstream| Member {
            share: Share::new(upstream.weight),
            upstream,
            health: Health::new(now_us),
            is_draining: false,
        };
        Set { members: upstreams.into_iter().take(UPSTREAMS_MAX).map(member).collect(), times }
    }

    /// Other times are in force. An ejection under way lasts as long as it was to last.
    pub fn judge_by(&mut self, times: Times) {
        self.times = times;
    }

    /// Where the next bind goes, and notes that it was tried. `sends`: whether who binds may send messages.
    /// `None` where nobody is left.
    pub fn choose(&mut self, tried: &mut Tried, sends: bool, now_us: u64) -> Option<usize> {
        let chosen = self
            .due(*tried, sends, now_us)
            .or_else(|| self.weighed(*tried))
            .or_else(|| self.at_all(*tried))?;
        tried.add(chosen);
        if let Some(member) = self.members.get_mut(chosen) {
            member.health.try_once(now_us);
        }
        Some(chosen)
    }

    /// The lowest rank of which any is up, among those that a bind may still be led to.
    fn rank(&self, tried: Tried) -> Option<u32> {
        let members = self.members.iter().enumerate();
        let up = members.filter(|(at, one)| one.is_free(*at, tried) && one.health.is_up());
        up.map(|(_, one)| one.upstream.rank).min()
    }

    fn due(&self, tried: Tried, sends: bool, now_us: u64) -> Option<usize> {
        let rank = self.rank(tried).unwrap_or(u32::MAX);
        let members = self.members.iter().enumerate();
        let due = members.filter(|(at, one)| {
            one.is_free(*at, tried) && one.upstream.rank <= rank && one.health.is_due(sends, now_us)
        });
        due.min_by_key(|(_, one)| one.upstream.rank).map(|(at, _)| at)
    }

    fn weighed(&mut self, tried: Tried) -> Option<usize> {
        let rank = self.rank(tried)?;
        let members = self.members.iter_mut().enumerate();
        let up = members.filter(|(at, one)| {
            one.is_free(*at, tried) && one.upstream.rank == rank && one.health.is_up()
        });
        share::choose(up.map(|(at, one)| (at, &mut one.share)))
    }

    /// None is up: those on trial before those that are ejected, and of these the one whose time is over first.
    fn at_all(&self, tried: Tried) -> Option<usize> {
        let members = self.members.iter().enumerate();
        let free = members.filter(|(at, one)| one.is_free(*at, tried));
        free.min_by_key(|(_, one)| (one.health.ejected_until_us().unwrap_or(0), one.upstream.rank))
            .map(|(at, _)| at)
    }

    /// Whether there is another that the same bind could be led to.
    pub fn has_another(&self, tried: Tried) -> bool {
        self.members.iter().enumerate().any(|(at, one)| one.is_free(at, tried))
    }

    /// Lets those come back that have passed their trial by time, and standbys whose time is over and that
    /// nobody needs: no bind would ever try them. Who did.
    pub fn settle(&mut self, now_us: u64) -> impl Iterator<Item = (usize, Change)> {
        let times = self.times;
        let rank = self.rank(Tried::default()).unwrap_or(u32::MAX);
        let members = self.members.iter_mut().enumerate();
        members.filter_map(move |(at, one)| {
            let is_needed = one.upstream.rank <= rank;
            Some((at, one.health.settle(is_needed, times, now_us)?))
        })
    }

    /// A bind failed there; `who` is a mark of its system_id.
    pub fn failed(&mut self, at: usize, failure: Failure, who: u64, now_us: u64) -> Option<Change> {
        let times = self.times;
        self.members.get_mut(at)?.health.failed(failure, who, times, now_us)
    }

    /// A bind was answered there, and not with ESME_RSYSERR: whether it is bound now.
    pub fn bind_answered(&mut self, at: usize, is_bound: bool, now_us: u64) -> Option<Change> {
        self.members.get_mut(at)?.health.bind_answered(is_bound, now_us)
    }

    /// A bind that was let through came to nothing that says anything.
    pub fn untried(&mut self, at: usize, now_us: u64) {
        if let Some(member) = self.members.get_mut(at) {
            member.health.untried(now_us);
        }
    }

    /// It answered a request at that time.
    pub fn answered(&mut self, at: usize, at_us: u64) -> Option<Change> {
        self.members.get_mut(at)?.health.answered(at_us)
    }

    /// A session ended there to which an answer was owed since `asked_us`.
    pub fn owed(&mut self, at: usize, asked_us: u64, now_us: u64) -> Option<Change> {
        let times = self.times;
        self.members.get_mut(at)?.health.owed(asked_us, times, now_us)
    }

    /// Whether it gets binds at all. Whether that is another than before.
    pub fn drain(&mut self, at: usize, is_draining: bool) -> bool {
        let Some(member) = self.members.get_mut(at) else { return false };
        std::mem::replace(&mut member.is_draining, is_draining) != is_draining
    }

    /// Whether nothing speaks against it: it is neither ejected nor on trial, nor waits for one.
    pub fn is_up(&self, at: usize) -> bool {
        self.members.get(at).is_some_and(|one| one.health.is_up())
    }

    /// Whether every bind is refused, because all are drained.
    pub fn is_closed(&self) -> bool {
        self.members.iter().all(|one| one.is_draining)
    }

    /// How it stands, since when, and until when it is ejected.
    pub fn state(&self, at: usize, now_us: u64) -> Option<(State, u64, Option<u64>)> {
        let one = self.members.get(at)?;
        let until_us = one.health.ejected_until_us().filter(|until_us| *until_us > now_us);
        let state = if one.is_draining {
            State::Draining
        } else if until_us.is_some() {
            State::Ejected
        } else if !one.health.is_up() {
            State::Trial
        } else if self.rank(Tried::default()).is_some_and(|rank| one.upstream.rank > rank) {
            State::Standby
        } else {
            State::Up
        };
        Some((state, one.health.since_us(), until_us))
    }

    /// As they are configured.
    pub fn upstreams(&self) -> impl ExactSizeIterator<Item = &Upstream> {
        self.members.iter().map(|member| &member.upstream)
    }
}
