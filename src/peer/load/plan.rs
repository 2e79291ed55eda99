//! When each message is due, and whose it is.

use std::time::Duration;

use super::{Length, Options};

const SECOND_NS: f64 = 1e9;

/// The plan of a whole run. Times are nanoseconds since its start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) rate: Option<u64>,
    /// Messages in all; `None` when only the time ends the run.
    pub(super) messages: Option<u64>,
    pub(super) stop_ns: u64,
    pub(super) warmup_ns: u64,
}

impl Plan {
    pub(super) fn of(options: &Options) -> Plan {
        let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        match options.length {
            Length::Count(count) => {
                Plan { rate: options.rate, messages: Some(count), stop_ns: u64::MAX, warmup_ns: 0 }
            }
            Length::For(duration) => {
                let whole = options.warmup.saturating_add(duration);
                Plan {
                    rate: options.rate,
                    messages: options.rate.map(|r| (whole.as_secs_f64() * r as f64) as u64),
                    stop_ns: ns(whole),
                    warmup_ns: ns(options.warmup),
                }
            }
        }
    }

    /// How many messages are due after that long: the first at once.
    pub(super) fn due(self, rate: u64, elapsed: Duration) -> u64 {
        (elapsed.as_nanos() as f64 * rate as f64 / SECOND_NS) as u64 + 1
    }

    /// When the message behind `index` others is due, after the start.
    pub(super) fn due_at(self, rate: u64, index: u64) -> Duration {
        Duration::from_nanos(due_ns(rate, index))
    }
}

fn due_ns(rate: u64, index: u64) -> u64 {
    (index as f64 * SECOND_NS / rate as f64) as u64
}

/// One session's share of the plan: every n-th message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    plan: Plan,
    number: u64,
    sessions: u64,
    /// Messages of this session; `None` when only the time ends the run.
    pub(super) messages: Option<u64>,
}

impl Share {
    pub(super) fn of(plan: Plan, number: usize, sessions: usize) -> Share {
        let (number, sessions) = (number as u64, sessions as u64);
        let messages = plan.messages.map(|all| (all + sessions - 1 - number) / sessions);
        Share { plan, number, sessions, messages }
    }

    /// Whether nothing is left to send after `sent` messages.
    pub(super) fn is_sent(&self, sent: u64, now_ns: u64) -> bool {
        match self.messages {
            Some(messages) => sent >= messages,
            None => now_ns >= self.plan.stop_ns,
        }
    }

    /// When the message behind `sent` others is meant to go; `None` while it is not due.
    pub(super) fn intended_ns(&self, sent: u64, now_ns: u64) -> Option<u64> {
        let Some(rate) = self.plan.rate else { return Some(now_ns) };
        let due = due_ns(rate, sent * self.sessions + self.number);
        (due <= now_ns).then_some(due)
    }

    /// Whether a message meant for that time belongs to what is measured.
    pub(super) fn is_measured(&self, intended_ns: u64) -> bool {
        intended_ns >= self.plan.warmup_ns
    }

    pub(super) fn warmup_ns(&self) -> u64 {
        self.plan.warmup_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_make_up_the_plan_and_fall_due_in_turn() {
        let cases = [(1000, 4, 10), (1000, 3, 10), (7, 7, 1), (20_000, 4, 1), (3, 5, 2)];
        for (rate, sessions, seconds) in cases {
            let options = Options {
                rate: Some(rate),
                length: Length::For(Duration::from_secs(seconds)),
                ..Options::default()
            };
            let plan = Plan::of(&options);
            assert_eq!(plan.messages, Some(rate * seconds));
            let shares: Vec<_> = (0..sessions).map(|n| Share::of(plan, n, sessions)).collect();
            let sum: u64 = shares.iter().filter_map(|s| s.messages).sum();
            assert_eq!(sum, rate * seconds);
            for index in 0..rate * seconds {
                let share = shares[(index % sessions as u64) as usize];
                let (sent, due) = (index / sessions as u64, due_ns(rate, index));
                assert_eq!(share.intended_ns(sent, due), Some(due));
                assert!(due == 0 || share.intended_ns(sent, due - 1).is_none());
            }
        }
    }
}
