//! The journal's disk budget while the proxy runs: counted, shown, and warned of in time.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::{DiskUse, Journal, State};
use crate::metrics::Metrics;

/// How often the journal's folder is listed.
const COUNT: Duration = Duration::from_secs(5);
/// The same while messages are refused: a purge should be felt soon.
const COUNT_WHEN_FULL: Duration = Duration::from_secs(1);
/// Share of the budget from which the operator is warned, percent.
pub(super) const HIGH_WATER_PERCENT: u64 = 90;

/// Shows what the journal takes: in the metrics always, in the log when it crosses the high-water mark.
pub(super) async fn watch(journal: Journal, metrics: Arc<Metrics>) {
    let mut was_high = false;
    let mut could_count = true;
    loop {
        let counting = journal.clone();
        let counted = tokio::task::spawn_blocking(move || counting.count_disk()).await;
        let used = journal.disk_use();
        match (counted, could_count) {
            (Ok(Ok(_)), _) => could_count = true,
            (Ok(Err(error)), true) => {
                tracing::error!(%error, "the journal's folder cannot be listed: its size is guessed");
                could_count = false;
            }
            (Ok(Err(_)) | Err(_), _) => {}
        }
        show(&metrics, used);
        let is_high = used.is_above(HIGH_WATER_PERCENT);
        if is_high != was_high {
            tell(is_high, used);
            was_high = is_high;
        }
        let wait = match journal.state() {
            State::Closed => return,
            State::Available => COUNT,
            State::Unavailable(_) => COUNT_WHEN_FULL,
        };
        tokio::time::sleep(wait).await;
    }
}

fn show(metrics: &Metrics, used: DiskUse) {
    let gauge = |octets: u64| i64::try_from(octets).unwrap_or(i64::MAX);
    metrics.audit_disk.set(gauge(used.octets));
    metrics.audit_disk_budget.set(used.octets_max.map_or(0, gauge));
}

fn tell(is_high: bool, used: DiskUse) {
    let (octets, budget) = (used.octets, used.octets_max.unwrap_or(u64::MAX));
    if is_high {
        tracing::warn!(
            octets,
            budget,
            "the journal takes more than {HIGH_WATER_PERCENT} % of [audit] disk_budget; at the \
             budget every message is refused: see consentry audit retention"
        );
    } else {
        tracing::info!(octets, budget, "the journal is well below [audit] disk_budget again");
    }
}
