//! A provider's rate over three nodes: however its messages are spread, whatever becomes of the exchange, no
//! more of them go on than one node would let through, and a stated burst.
//!
//! Each run follows from its seed, which is printed where it fails.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use consentry::cluster::{ABSENT_AFTER_US, Ask, Budget, Demands, Members};
use consentry::registry::{self, ProviderId};
use consentry::session::{LEASE_US, Rates};

const NODES: usize = 3;
const SECOND_US: u64 = 1_000_000;
const START_US: u64 = 1_700_000_000 * SECOND_US;
const TURN_US: u64 = 200_000;
/// How far time goes on in one step.
const STEP_US: u64 = 10_000;
const PROVIDER: ProviderId = ProviderId(0);

/// What goes on at most in any span of time, in seconds' worth beyond the span: the burst that one node allows,
/// what was leased before it, and what may go ahead of leases.
const BURST_S: f64 = 1.0 + LEASE_US as f64 / SECOND_US as f64 + 1.0;

struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// A node, and its exchange with the budget.
struct Node {
    rates: Rates,
    demands: Demands,
    /// When it begins its next turn.
    turn_us: u64,
    /// A turn under way: when its answer comes, when it began, and what it asked.
    under_way: Option<(u64, u64, Vec<(ProviderId, Ask)>, Option<Vec<u64>>)>,
    /// Whether it has been cut off from the database.
    is_cut: bool,
    seen_us: u64,
}

/// Three nodes and the budget. Steady clocks are not the database's.
struct Nodes {
    nodes: Vec<Node>,
    budget: Budget,
    now_us: u64,
    latency_us: u64,
    passed: VecDeque<u64>,
}

impl Nodes {
    fn new(rate: u32, latency_us: u64) -> Nodes {
        let text = format!("[[provider]]\nname = \"a\"\nsystem_ids = [\"a\"]\nrate = {rate}\n");
        let registry = registry::parse(&text, "registry.toml").expect("valid");
        let nodes = (0..NODES as u64).map(|at| Node {
            rates: Rates::new(&registry).shared_by(NonZeroU32::new(NODES as u32).expect("some")),
            demands: Demands::default(),
            turn_us: START_US + at * TURN_US / 3,
            under_way: None,
            is_cut: false,
            seen_us: START_US,
        });
        let (budget, passed) = Default::default();
        let nodes = nodes.collect();
        Nodes { nodes, budget, now_us: START_US, latency_us, passed }
    }

    /// Time goes on; turns begin and end.
    fn step(&mut self) {
        self.now_us += STEP_US;
        let now_us = self.now_us;
        let absent = self.nodes.iter().filter(|one| now_us - one.seen_us >= ABSENT_AFTER_US);
        let absent = absent.count() as u32;
        let nodes = NonZeroU32::new(NODES as u32).expect("some");
        let members = Members { nodes, seen: NODES as u32 - absent, absent };
        for (at, node) in self.nodes.iter_mut().enumerate() {
            if let Some((until_us, began_us, asks, granted)) =
                node.under_way.take_if(|one| one.0 <= now_us)
            {
                if let Some(granted) = granted {
                    for ((provider, _), messages) in asks.iter().zip(granted) {
                        node.demands.grant(&node.rates, *provider, messages);
                    }
                    node.rates.keep_leases(began_us);
                }
                node.turn_us = until_us.max(began_us + TURN_US);
            }
            if node.under_way.is_none() && node.turn_us <= now_us {
                let asks = node.demands.asks(&node.rates);
                // The database's clock is minutes away from the node's.
                let database_ns = ((now_us + 180 * SECOND_US) * 1000) as i64 + at as i64;
                let granted = (!node.is_cut).then(|| {
                    node.seen_us = now_us;
                    let settle =
                        |(_, ask): &(_, Ask)| self.budget.settle(*ask, members, database_ns);
                    asks.iter().map(settle).collect()
                });
                let latency_us = if node.is_cut { 700_000 } else { self.latency_us };
                node.under_way = Some((now_us + latency_us, now_us, asks, granted));
            }
        }
    }

    fn send(&mut self, node: usize, messages: u64) -> u64 {
        let now_us = self.now_us;
        let rates = &self.nodes[node].rates;
        let passed = (0..messages).filter(|_| rates.take(PROVIDER, false, now_us)).count() as u64;
        self.passed.extend(std::iter::repeat_n(now_us, passed as usize));
        passed
    }

    /// The most that went on beyond the rate in any span of time, in seconds' worth.
    fn burst_s(&self, rate: u32) -> f64 {
        // The greatest sum of a run of steps, each of which brings messages and takes its share of the rate.
        let (mut most, mut level, mut last_us) = (0.0_f64, 0.0_f64, START_US);
        for at_us in &self.passed {
            level = (level - (at_us - last_us) as f64 / SECOND_US as f64 * f64::from(rate))
                .max(0.0)
                + 1.0;
            last_us = *at_us;
            most = most.max(level);
        }
        most / f64::from(rate)
    }
}

#[test]
fn a_rate_is_one_rate_over_three_nodes_however_it_is_spread() {
    for seed in 0..40 {
        let chance = &mut Chance(seed);
        let rate = [3, 30, 100, 1000][chance.below(4) as usize];
        let latency_us = [0, 20_000, 300_000][chance.below(3) as usize];
        let mut nodes = Nodes::new(rate, latency_us);
        let seconds = 20;
        for step in 0..seconds * SECOND_US / STEP_US {
            if step % 50 == 0 {
                // Somebody is cut off, or comes back.
                let node = chance.below(NODES as u64 * 4) as usize;
                if let Some(node) = nodes.nodes.get_mut(node) {
                    node.is_cut = !node.is_cut;
                }
            }
            nodes.step();
            // Now here, now there, now everywhere at once, now nothing for a while.
            let pause = step / 100 % 5 == 4;
            for node in 0..NODES {
                let most = u64::from(rate).div_ceil(10) * u64::from(!pause);
                if most > 0 && chance.below(3) > 0 {
                    let messages = chance.below(most + 1);
                    nodes.send(node, messages);
                }
            }
        }
        let found = nodes.burst_s(rate);
        // A node that is cut off has its part before the others know it, and a message of its own at least.
        let cut_s = (ABSENT_AFTER_US as f64 / SECOND_US as f64).max(1.0);
        let most = BURST_S + cut_s + 2.0 * NODES as f64 / f64::from(rate);
        assert!(found <= most, "seed {seed}: rate {rate}, {found} s at once, at most {most}");
        let total = nodes.passed.len() as f64 / f64::from(rate) / seconds as f64;
        assert!(total > 0.2, "seed {seed}: rate {rate}, only {total} of it");
    }
}

#[test]
fn while_the_database_answers_the_stated_burst_holds_and_the_rate_is_used() {
    // To which node a message goes, and how much of the rate is used at least.
    let ways: [(&str, fn(u64) -> usize); 4] = [
        ("all to one", |_| 0),
        ("in turn", |step| step as usize % NODES),
        ("a second to each", |step| (step / 100) as usize % NODES),
        ("three to one and one to another", |step| usize::from(step % 4 == 3)),
    ];
    for rate in [30, 100, 1000] {
        for (way, node_of) in ways {
            let mut nodes = Nodes::new(rate, 5_000);
            let (seconds, mut passed) = (20, 0);
            for step in 0..seconds * SECOND_US / STEP_US {
                nodes.step();
                // Twice as many as may go on.
                passed += nodes.send(node_of(step), u64::from(rate).div_ceil(50));
            }
            let at = format!("rate {rate}, {way}");
            let most = BURST_S + 2.0 * NODES as f64 / f64::from(rate);
            let found = nodes.burst_s(rate);
            assert!(found <= most, "{at}: {found} s at once");
            let used = passed as f64 / f64::from(rate) / seconds as f64;
            assert!(used > 0.9, "{at}: {used} of the rate is used");
        }
    }
}

#[test]
fn a_sender_within_its_rate_is_refused_nothing() {
    for rate in [30, 100, 1000] {
        let mut nodes = Nodes::new(rate, 5_000);
        let mut refused = 0;
        for step in 0..20 * SECOND_US / STEP_US {
            nodes.step();
            // Four fifths of the rate, over two nodes unevenly, by steps.
            let due = |step: u64| step * STEP_US * u64::from(rate) * 4 / 5 / SECOND_US;
            let messages = due(step + 1) - due(step);
            let node = usize::from(step / 7 % 3 == 0);
            refused += messages - nodes.send(node, messages);
        }
        assert_eq!(refused, 0, "rate {rate}");
    }
}

#[test]
fn what_a_node_leased_and_did_not_use_is_the_others_again() {
    let rate = 100;
    let mut nodes = Nodes::new(rate, 5_000);
    let mut used = [0; 2];
    for step in 0..20 * SECOND_US / STEP_US {
        nodes.step();
        // Ten seconds here, then there.
        let node = usize::from(step >= 1_000);
        if !(1_000..1_100).contains(&step) {
            used[node] += nodes.send(node, 2);
        } else {
            nodes.send(node, 2);
        }
    }
    assert!(used[0] >= 950 && used[1] >= 850, "{used:?}");
}
