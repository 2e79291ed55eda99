//! What all nodes together may let through of a provider's rate, and what one of them is granted of it: the
//! same algorithm as on one node, a second's worth at once, in the database's time.

use std::num::NonZeroU32;

/// How far the budget may run ahead, nanoseconds: one second's worth, as on one node.
const BURST_NS: i64 = 1_000_000_000;

/// Nodes by whether they can be told of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Members {
    /// How many there are, as configured.
    pub nodes: NonZeroU32,
    /// How many of them serve.
    pub seen: u32,
    /// How many of them were not seen lately, and did not say that they leave: they may be serving, each with
    /// its part of the rate.
    pub absent: u32,
}

impl Members {
    /// The parts of the rate that may be leased: what those that are absent may be using is theirs.
    fn parts(self) -> i64 {
        i64::from(self.nodes.get().saturating_sub(self.absent).max(1))
    }
}

/// What a node gives back and asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Messages a second.
    pub rate: NonZeroU32,
    /// Messages that it had leased and did not use.
    pub unused: u64,
    /// Messages that went ahead of what it had leased.
    pub owed: u64,
    /// Messages that it would have now.
    pub wanted: u64,
}

/// The budget of one provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// When it will be empty again, nanoseconds since the Unix epoch by the database's clock.
    pub empty_at_ns: i64,
}

impl Budget {
    /// Settles what a node did and grants it what there is: what it owes, which no message goes on for; what it
    /// had goes on being its own; and of the rest half, so that the first who asks does not have it all.
    pub fn settle(&mut self, ask: Ask, members: Members, now_ns: i64) -> u64 {
        let parts = members.parts();
        let rate = i64::from(ask.rate.get());
        let message_ns = BURST_NS * i64::from(members.nodes.get()) / (rate * parts);
        let message_ns = message_ns.max(1);
        let time_of =
            |messages: u64| i64::try_from(messages).unwrap_or(i64::MAX).saturating_mul(message_ns);
        // A rate below the number of nodes takes more than a second for one message.
        let full_at = now_ns.saturating_add(BURST_NS.max(message_ns));
        // The clock of another database may have been ahead.
        let empty_at =
            self.empty_at_ns.min(full_at).saturating_sub(time_of(ask.unused)).max(now_ns);
        let free = u64::try_from((full_at - empty_at) / message_ns).unwrap_or(0);
        let paid = ask.owed.min(free);
        let kept = ask.unused.min(ask.wanted).min(free - paid);
        let more = (ask.wanted - kept).min((free - paid - kept).div_ceil(2));
        let granted = paid + kept + more;
        self.empty_at_ns = empty_at.saturating_add(time_of(granted));
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000_000_000_000;
    const SECOND: i64 = 1_000_000_000;

    fn members(nodes: u32, absent: u32) -> Members {
        let nodes = NonZeroU32::new(nodes).expect("nodes");
        Members { nodes, seen: nodes.get() - absent, absent }
    }

    #[test]
    fn a_budget_is_settled_and_granted() {
        // Rate, nodes, absent; when the budget will be empty, from now; unused, owed, wanted; granted, and
        // when it will be empty then.
        #[rustfmt::skip] // A table.
        let rows = [
            ("half of a full one",        30, 3, 0, -9.0,  0,  0, 30, 15, 0.5),
            ("what is wanted",            30, 3, 0, -9.0,  0,  0,  6,  6, 0.2),
            ("an odd one",                30, 3, 0,  0.9,  0,  0,  9,  2, 0.9 + 2.0 / 30.0),
            ("nothing",                   30, 3, 0,  1.0,  0,  0,  9,  0, 1.0),
            ("given back",                30, 3, 0,  0.5, 15,  0,  0,  0, 0.0),
            ("had before, and half",      30, 3, 0,  0.5, 15,  0, 30, 23, 23.0 / 30.0),
            ("given back after its time", 30, 3, 0, -2.0, 30,  0,  0,  0, 0.0),
            ("owed",                      30, 3, 0,  0.5,  0, 15,  9, 15, 1.0),
            ("owed, and half",            30, 3, 0, -9.0,  0, 15, 30, 23, 23.0 / 30.0),
            ("owed more than there is",   30, 3, 0,  0.5,  0, 99,  9, 15, 1.0),
            ("one of three is absent",    30, 3, 1, -9.0,  0,  0, 30, 10, 0.5),
            ("all but the one who asks",  30, 3, 3, -9.0,  0,  0, 30,  5, 0.5),
            ("one in three seconds",       1, 3, 2, -9.0,  0,  0,  1,  1, 3.0),
        ];
        for (what, rate, nodes, absent, empty_at, unused, owed, wanted, granted, then) in rows {
            let at = |seconds: f64| NOW + (seconds * SECOND as f64).round() as i64;
            let mut budget = Budget { empty_at_ns: at(empty_at) };
            let rate = NonZeroU32::new(rate).expect("a rate");
            let ask = Ask { rate, unused, owed, wanted };
            let found = budget.settle(ask, members(nodes, absent), NOW);
            assert_eq!(found, granted, "{what}");
            let off_ns = (budget.empty_at_ns - at(then)).abs();
            assert!(off_ns < 1_000, "{what}: {off_ns} ns off");
        }
    }

    #[test]
    fn a_clock_that_was_far_ahead_locks_nobody_out() {
        let mut budget = Budget { empty_at_ns: i64::MAX };
        let rate = NonZeroU32::new(10).expect("a rate");
        let ask = Ask { rate, unused: 0, owed: 0, wanted: 10 };
        assert_eq!(budget.settle(ask, members(3, 0), NOW), 0);
        assert!(budget.settle(ask, members(3, 0), NOW + SECOND) > 0);
    }
}
