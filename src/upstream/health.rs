//! One upstream: whether new binds go to it, and what speaks for and against it.
//!
//! What it does is looked at, and not what it says of itself: an SMSC may answer every enquire_link and
//! deliver nothing for days. Two things are kept apart:
//!
//! - **Binds.** [`FAILURES_MAX`] failures in a row eject it. One bind that is answered, with whatever
//!   status but ESME_RSYSERR, ends the row: a wrong password says nothing about the SMSC.
//! - **Progress.** The time in which it owed the answer to a request and gave none, in all sessions
//!   together, is added up until it answers one. When that is as long as a session waits for a response,
//!   it is ejected. So ESMEs that give up and connect anew before their session's time is over count too.
//!
//! An ejection lasts for a time that doubles with each in a row, up to a bound. Then one bind is let
//! through on trial. Where binds had failed, its answer ends the trial; where requests were not answered,
//! only the answer to a request does, or time in which nothing speaks against it.

/// Failures of binds in a row that eject an upstream.
pub const FAILURES_MAX: usize = 3;

/// How often the time of an ejection is doubled at most: 32 times the first.
pub const DOUBLINGS_MAX: u32 = 5;

/// What speaks against an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It took no connection, on none of its addresses.
    Connect,
    /// It answered a bind with ESME_RSYSERR, the one status that speaks of itself and not of who binds.
    SystemError,
    /// It closed the connection where the answer to a bind was due.
    Closed,
    /// It took the connection and did not answer the bind.
    BindUnanswered,
    /// It owed answers to requests, and gave none.
    Silent,
}

impl Failure {
    /// All of them.
    pub const ALL: [Failure; 5] = [
        Failure::Connect,
        Failure::SystemError,
        Failure::Closed,
        Failure::BindUnanswered,
        Failure::Silent,
    ];

    /// The word that logs and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Failure::Connect => "connect",
            Failure::SystemError => "system_error",
            Failure::Closed => "closed",
            Failure::BindUnanswered => "bind_unanswered",
            Failure::Silent => "silent",
        }
    }

    /// Whether it may be the fault of who binds: there are SMSCs that close where the password is wrong.
    /// Such failures count once for each system_id.
    fn may_be_the_esmes(self) -> bool {
        match self {
            Failure::SystemError | Failure::Closed => true,
            Failure::Connect | Failure::BindUnanswered | Failure::Silent => false,
        }
    }
}

/// The times that upstreams are judged by, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// For how long an answer may be owed.
    pub response_us: u64,
    /// For how long the first ejection lasts.
    pub ejection_us: u64,
}

impl Times {
    /// The longest ejection.
    pub fn ejection_max_us(self) -> u64 {
        self.ejection_us << DOUBLINGS_MAX
    }
}

/// What an event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It gets no binds until then.
    Ejected {
        /// Steady clock, microseconds.
        until_us: u64,
        /// The last of what speaks against it.
        why: Failure,
    },
    /// It gets binds again.
    Back,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Up,
    Ejected {
        until_us: u64,
        why: Failure,
    },
    /// One bind was let through; `bound_us`: since when it is bound.
    Trial {
        why: Failure,
        bound_us: Option<u64>,
    },
}

/// How one upstream stands. Times are of the steady clock, microseconds.
#[derive(Debug)]
pub(super) struct Health {
    standing: Standing,
    since_us: u64,
    failures: usize,
    /// Marks of the system_ids whose failures are among them and may be their own fault.
    blamed: Vec<u64>,
    /// Ejections in a row.
    ejections: u32,
    answered_us: u64,
    owed_us: u64,
    /// Until when what is owed has been added up.
    owed_until_us: u64,
}

impl Health {
    pub(super) fn new(now_us: u64) -> Health {
        Health {
            standing: Standing::Up,
            since_us: now_us,
            failures: 0,
            blamed: Vec::new(),
            ejections: 0,
            answered_us: 0,
            owed_us: 0,
            owed_until_us: 0,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.standing == Standing::Up
    }

    /// Until when it gets no binds, or got none: then it waits for its trial. `None` where it is not ejected.
    pub(super) fn ejected_until_us(&self) -> Option<u64> {
        match self.standing {
            Standing::Ejected { until_us, .. } => Some(until_us),
            Standing::Up | Standing::Trial { .. } => None,
        }
    }

    /// Since when it stands as it does.
    pub(super) fn since_us(&self) -> u64 {
        self.since_us
    }

    /// Whether its time is over and a bind may be let through on trial. Where it did not answer requests, only
    /// one that will send some tells anything.
    pub(super) fn is_due(&self, sends: bool, now_us: u64) -> bool {
        match self.standing {
            Standing::Ejected { until_us, why } => {
                until_us <= now_us && (sends || why != Failure::Silent)
            }
            Standing::Up | Standing::Trial { .. } => false,
        }
    }

    /// A bind goes to it while it is ejected: that is its trial.
    pub(super) fn try_once(&mut self, now_us: u64) {
        if let Standing::Ejected { why, .. } = self.standing {
            self.stand(Standing::Trial { why, bound_us: None }, now_us);
        }
    }

    /// The bind on trial came to nothing that says anything: the next may be one.
    pub(super) fn untried(&mut self, now_us: u64) {
        if let Standing::Trial { why, bound_us: None } = self.standing {
            self.stand(Standing::Ejected { until_us: now_us, why }, now_us);
        }
    }

    /// A trial against which nothing was said for as long as a session waits for a response is passed. So
    /// is an ejection whose time is over where no bind is needed to go there.
    pub(super) fn settle(&mut self, is_needed: bool, times: Times, now_us: u64) -> Option<Change> {
        match self.standing {
            Standing::Ejected { until_us, .. } if !is_needed && until_us <= now_us => {
                self.back(now_us)
            }
            Standing::Trial { bound_us: Some(bound_us), .. }
                if now_us.saturating_sub(bound_us) >= times.response_us =>
            {
                self.back(now_us)
            }
            Standing::Trial { .. } | Standing::Up | Standing::Ejected { .. } => None,
        }
    }

    /// A bind failed; `who` is a mark of its system_id.
    pub(super) fn failed(
        &mut self,
        failure: Failure,
        who: u64,
        times: Times,
        now_us: u64,
    ) -> Option<Change> {
        if failure.may_be_the_esmes() {
            if self.blamed.contains(&who) {
                self.untried(now_us);
                return None;
            }
            self.blamed.truncate(FAILURES_MAX - 1);
            self.blamed.insert(0, who);
        }
        self.failures += 1;
        match self.standing {
            Standing::Up if self.failures < FAILURES_MAX => None,
            Standing::Up | Standing::Trial { .. } => self.eject(failure, times, now_us),
            // It was tried because there was nobody else.
            Standing::Ejected { .. } => None,
        }
    }

    /// A bind was answered, and not with ESME_RSYSERR: whether it is bound now.
    pub(super) fn bind_answered(&mut self, is_bound: bool, now_us: u64) -> Option<Change> {
        self.failures = 0;
        self.blamed.clear();
        match self.standing {
            Standing::Up => None,
            Standing::Ejected { why: Failure::Silent, .. } => None,
            Standing::Trial { why: Failure::Silent, .. } => {
                if is_bound {
                    self.standing =
                        Standing::Trial { why: Failure::Silent, bound_us: Some(now_us) };
                } else {
                    self.untried(now_us);
                }
                None
            }
            Standing::Ejected { .. } | Standing::Trial { .. } => self.back(now_us),
        }
    }

    /// It answered a request at that time. An ejection because of binds stands: sessions from before may
    /// do well where no new one gets in.
    pub(super) fn answered(&mut self, at_us: u64) -> Option<Change> {
        if at_us <= self.answered_us {
            return None;
        }
        self.answered_us = at_us;
        self.owed_us = 0;
        match self.standing {
            Standing::Ejected { why: Failure::Silent, .. }
            | Standing::Trial { why: Failure::Silent, .. }
                if at_us > self.since_us =>
            {
                self.back(at_us)
            }
            Standing::Up | Standing::Ejected { .. } | Standing::Trial { .. } => None,
        }
    }

    /// A session ended to which it owed an answer since `asked_us`.
    pub(super) fn owed(&mut self, asked_us: u64, times: Times, now_us: u64) -> Option<Change> {
        let from_us = asked_us.max(self.answered_us).max(self.owed_until_us);
        self.owed_us += now_us.saturating_sub(from_us);
        self.owed_until_us = self.owed_until_us.max(now_us);
        if self.owed_us < times.response_us {
            return None;
        }
        match self.standing {
            Standing::Up | Standing::Trial { .. } => self.eject(Failure::Silent, times, now_us),
            Standing::Ejected { .. } => None,
        }
    }

    fn eject(&mut self, why: Failure, times: Times, now_us: u64) -> Option<Change> {
        let was_up_us = now_us.saturating_sub(self.since_us);
        if self.standing == Standing::Up && was_up_us >= times.ejection_max_us() {
            self.ejections = 0;
        }
        let until_us = now_us + (times.ejection_us << self.ejections);
        self.ejections = (self.ejections + 1).min(DOUBLINGS_MAX);
        self.failures = 0;
        self.blamed.clear();
        self.owed_us = 0;
        self.stand(Standing::Ejected { until_us, why }, now_us);
        Some(Change::Ejected { until_us, why })
    }

    fn back(&mut self, now_us: u64) -> Option<Change> {
        self.stand(Standing::Up, now_us);
        Some(Change::Back)
    }

    fn stand(&mut self, standing: Standing, now_us: u64) {
        self.standing = standing;
        self.since_us = now_us;
    }
}
