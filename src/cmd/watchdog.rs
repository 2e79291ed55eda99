//! systemd's watchdog (sd_watchdog_enabled(3)): it is told that the service lives while it makes progress,
//! and only then.
//!
//! Progress is: every thread that carries traffic turned to a task that it was given, and what the journal
//! had accepted at the last look is kept by now. A journal that says itself that it cannot be written is no
//! reason to be restarted: it tries again by itself, and the ESMEs are answered meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::notify;
use crate::audit::{State, Stats};
use crate::proxy::Shared;

/// Looks within the time after which systemd takes the service for dead: it takes several in a row that find
/// no progress.
const LOOKS: u32 = 4;
/// The shortest time between two looks.
const LOOK_MIN: Duration = Duration::from_millis(10);

/// Tells systemd, where it wants to be told, until the task is dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    let variable = |name: &str| std::env::var(name).ok();
    let within = wanted(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"), std::process::id());
    let Some(within) = within else { return };
    let every = (within / LOOKS).max(LOOK_MIN);
    let mut before = shared.journal.stats();
    loop {
        tokio::time::sleep(every).await;
        let now = shared.journal.stats();
        let failed = shared.journal.state() != State::Available;
        if timeout(every, shared.shards.answer()).await.is_err() {
            tracing::error!("a thread that carries traffic does not answer");
        } else if !failed && !moves(&before, &now) {
            tracing::error!(
                accepted = before.accepted,
                settled = now.settled,
                "the journal stands"
            );
        } else {
            notify::alive();
        }
        before = now;
    }
}

/// Within which time systemd wants to hear from the process `own`, if it does.
fn wanted(usec: Option<String>, pid: Option<String>, own: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(own)) {
        return None;
    }
    let micros = usec?.parse().ok().filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(micros))
}

/// Whether all that was accepted by the first look is kept, or given up, by the second.
fn moves(before: &Stats, now: &Stats) -> bool {
    now.settled >= before.accepted && now.records + now.discarded_records >= before.accepted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_told_only_where_it_asked_this_process() {
        for (usec, pid, expected) in [
            (None, None, None),
            (Some("30000000"), None, Some(30_000_000)),
            (Some("30000000"), Some("7"), Some(30_000_000)),
            (Some("30000000"), Some("8"), None),
            (Some("30000000"), Some(""), None),
            (Some("0"), Some("7"), None),
            (Some("-1"), None, None),
            (Some("soon"), None, None),
            (None, Some("7"), None),
        ] {
            let wanted = wanted(usec.map(str::to_owned), pid.map(str::to_owned), 7);
            assert_eq!(wanted, expected.map(Duration::from_micros), "{usec:?} {pid:?}");
        }
    }

    #[test]
    fn a_journal_moves_when_what_it_had_is_kept() {
        let stats = |accepted, settled, records, discarded_records| Stats {
            accepted,
            settled,
            records,
            discarded_records,
            ..Stats::default()
        };
        for (before, now, expected) in [
            // Idle, and busy but keeping up.
            (stats(0, 0, 0, 0), stats(0, 0, 0, 0), true),
            (stats(9, 9, 9, 0), stats(9, 9, 9, 0), true),
            (stats(9, 7, 7, 0), stats(20, 9, 9, 0), true),
            // Given up is not standing still.
            (stats(9, 7, 7, 0), stats(9, 9, 7, 2), true),
            // Written to nobody's knowledge, and accepted without being written (`queued`).
            (stats(9, 7, 7, 0), stats(20, 8, 8, 0), false),
            (stats(9, 9, 7, 0), stats(20, 20, 8, 0), false),
        ] {
            assert_eq!(moves(&before, &now), expected, "{before:?} {now:?}");
        }
    }
}
