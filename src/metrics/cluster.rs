//! The families of a node that exchanges with others. They are there where it does.

use std::sync::Arc;

use prometheus::{IntCounter, IntGauge};

use super::{Exchanged, Maker};

/// The families. Clones count in the same.
#[derive(Clone)]
pub struct ClusterMetrics(Arc<Families>);

struct Families {
    ages: Vec<IntGauge>,
    members: Vec<IntGauge>,
    leased: Vec<IntCounter>,
    told: IntCounter,
    untold: IntCounter,
    heard: IntCounter,
}

impl super::Metrics {
    /// Adds the families of a node among others. Once.
    pub fn cluster(&self) -> ClusterMetrics {
        let make = Maker { registry: self.registry.clone() };
        let made = Families::made(&make);
        ClusterMetrics(Arc::new(made.expect("the families are well formed and added once")))
    }
}

impl Families {
    fn made(make: &Maker) -> prometheus::Result<Families> {
        let ages = make.gauges(
            "consentry_cluster_exchange_age_seconds",
            "Since nodes last exchanged, by what.",
            &["what"],
        )?;
        let members = make.gauges(
            "consentry_cluster_nodes",
            "Nodes by whether they serve, or were not seen lately and did not say that they leave.",
            &["state"],
        )?;
        Ok(Families {
            ages: Exchanged::ALL.iter().map(|one| ages.with_label_values(&[one.name()])).collect(),
            members: ["seen", "absent"].map(|one| members.with_label_values(&[one])).to_vec(),
            leased: make.counters(
                "consentry_cluster_leased_messages_total",
                "Messages of providers' rates: granted ahead, given back unused, gone ahead of a lease.",
                ("what", &["granted", "unused", "owed"]),
            )?,
            told: make.counter(
                "consentry_cluster_sweep_cells_told_total",
                "Neighbourhoods of numbers that other nodes were told of.",
            )?,
            untold: make.counter(
                "consentry_cluster_sweep_numbers_untold_total",
                "Numbers that were too many to be told.",
            )?,
            heard: make.counter(
                "consentry_cluster_sweep_cells_heard_total",
                "Neighbourhoods of numbers that other nodes told of.",
            )?,
        })
    }
}

impl ClusterMetrics {
    /// `consentry_cluster_exchange_age_seconds{what}`.
    pub fn age(&self, of: Exchanged) -> &IntGauge {
        &self.0.ages[of as usize]
    }

    /// `consentry_cluster_nodes{state}`.
    pub fn members(&self, seen: i64, absent: i64) {
        self.0.members.iter().zip([seen, absent]).for_each(|(gauge, count)| gauge.set(count));
    }

    /// `consentry_cluster_leased_messages_total{what}`.
    pub fn leased(&self, granted: u64, unused: u64, owed: u64) {
        let counts = self.0.leased.iter().zip([granted, unused, owed]);
        counts.for_each(|(counter, count)| counter.inc_by(count));
    }

    /// Neighbourhoods told, and numbers that were too many.
    pub fn told(&self, cells: u64, untold: u64) {
        self.0.told.inc_by(cells);
        self.0.untold.inc_by(untold);
    }

    /// Neighbourhoods heard.
    pub fn heard(&self, cells: u64) {
        self.0.heard.inc_by(cells);
    }
}
