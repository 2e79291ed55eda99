//! The families of a node that shares its consent ledger with others. They are there where it does.

use std::sync::Arc;

use prometheus::{Gauge, IntCounter, IntGauge};

use super::{Lookup, Maker};

/// The families. Clones count in the same.
#[derive(Clone)]
pub struct LedgerMetrics(Arc<Families>);

struct Families {
    staleness: Gauge,
    lookups: Vec<IntCounter>,
    outbox_events: IntGauge,
    engine_up: IntGauge,
    clock_offset: Gauge,
}

impl super::Metrics {
    /// Adds the families of a shared ledger. Once.
    pub fn ledger(&self) -> LedgerMetrics {
        let make = Maker { registry: self.registry.clone() };
        let made = Families::made(&make);
        LedgerMetrics(Arc::new(made.expect("the families are well formed and added once")))
    }
}

impl Families {
    fn made(make: &Maker) -> prometheus::Result<Families> {
        Ok(Families {
            staleness: make.register(Gauge::new(
                "consentry_consent_staleness_seconds",
                "How old what this node knows of the shared ledger may be; +Inf while it knows nothing.",
            )?)?,
            lookups: make.counters(
                "consentry_consent_lookups_total",
                "Questions to the shared ledger, by how they were answered.",
                ("result", &Lookup::ALL.map(Lookup::name)),
            )?,
            outbox_events: make.gauge(
                "consentry_consent_outbox_events",
                "Events of this node that the engine of the shared ledger does not have yet.",
            )?,
            engine_up: make.gauge(
                "consentry_consent_engine_up",
                "1 while the engine of the shared ledger answers, else 0.",
            )?,
            clock_offset: make.register(Gauge::new(
                "consentry_consent_clock_offset_seconds",
                "The clock of the shared ledger's engine minus this node's.",
            )?)?,
        })
    }
}

impl LedgerMetrics {
    /// `consentry_consent_staleness_seconds`; `None` = nothing is known.
    pub fn staleness(&self, age: Option<std::time::Duration>) {
        self.0.staleness.set(age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
    }

    /// `consentry_consent_lookups_total{result}`.
    pub fn lookups(&self, result: Lookup) -> &IntCounter {
        &self.0.lookups[result as usize]
    }

    /// `consentry_consent_outbox_events`.
    pub fn outbox_events(&self, count: u64) {
        self.0.outbox_events.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// `consentry_consent_engine_up`.
    pub fn engine_up(&self, is_up: bool) {
        self.0.engine_up.set(i64::from(is_up));
    }

    /// `consentry_consent_clock_offset_seconds`, from microseconds.
    pub fn clock_offset(&self, offset_us: i64) {
        self.0.clock_offset.set(offset_us as f64 / 1e6);
    }
}
