//! Figures of now, for the console's first page.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::blind::blind_ports;
use super::super::mirrors;
use super::super::record::hex;
use super::super::shown::time;
use super::glance::{self, Seen};
use super::history::{History, Span, micros};
use super::registry::days;
use crate::audit::State;
use crate::config::Config;
use crate::consent::Ledger;
use crate::metrics::{MirrorMetrics, Verdict};
use crate::policy::Rule;
use crate::proxy::Shared;

/// What "now" is of rates and latencies.
const NOW: Duration = Duration::from_secs(10);
/// What "lately" is of refusals.
const LATELY: Duration = Duration::from_secs(300);

const DAY_S: i64 = 86_400;

/// Where the figures come from.
pub(super) struct Figures {
    shared: Arc<Shared>,
    ledger: Ledger,
    history: Arc<History>,
    mirrors: Vec<(String, MirrorMetrics)>,
    since_us: u64,
    has_token: bool,
}

impl Figures {
    /// Of this proxy, whose life begins now.
    pub fn new(
        config: &Config,
        shared: &Arc<Shared>,
        ledger: &Ledger,
        history: Arc<History>,
    ) -> Figures {
        let mirror = |name: &String| (name.clone(), shared.metrics.mirror(name));
        let admin = config.admin.as_ref();
        Figures {
            shared: shared.clone(),
            ledger: ledger.clone(),
            history,
            mirrors: mirrors::names(config).iter().map(mirror).collect(),
            since_us: shared.clock.now().wall_us,
            has_token: admin.is_some_and(|admin| admin.token_file.is_some()),
        }
    }

    /// One object.
    pub fn now(&self) -> Value {
        let shared = &self.shared;
        let (metrics, now) = (&shared.metrics, shared.clock.now());
        let terms = shared.in_force.now();
        let knowledge = &terms.knowledge;
        let span = self.history.last(NOW, metrics, now.steady_us);
        let lately = self.history.last(LATELY, metrics, now.steady_us);
        let seen = self.seen(&span, &lately, now.wall_us);
        let stats = shared.journal.stats();
        let quantiles = |counts| json!({ "p50": micros(counts, 0.5), "p99": micros(counts, 0.99) });
        let of_all = |verdict| -> u64 {
            let rules = 0..Rule::ALL.len();
            let by_rules: u64 = rules.map(|rule| metrics.verdicts(verdict, Some(rule)).get()).sum();
            by_rules + metrics.verdicts(verdict, None).get()
        };
        json!({
            "time": time(now.wall_us),
            "since": time(self.since_us),
            "version": env!("CARGO_PKG_VERSION"),
            "config": hex(&knowledge.ruling.config),
            "rule_set": knowledge.rule_set.name(),
            "token": self.has_token,
            "glance": glance::glance(&seen),
            "a_second": {
                "pass": span.a_second(span.passed),
                "refuse": span.a_second(span.all_refused()),
                "observe": span.a_second(span.observed),
            },
            "added_us": quantiles(&span.added),
            "smsc_us": quantiles(&span.smsc),
            "total": {
                "pass": of_all(Verdict::Pass),
                "refuse": of_all(Verdict::Refuse),
                "observe": of_all(Verdict::Observe),
            },
            "minutes": minutes(&lately),
            "rules": rules(shared, &lately),
            "sessions": {
                "all": shared.live.len(),
                "bound": seen.bound,
                "open_requests": metrics.window_messages.get(),
                "windows_full": seen.windows_full,
                "window": knowledge.window_requests_max,
            },
            "journal": {
                "available": seen.journal.is_none(),
                "why": seen.journal,
                "records": stats.records,
                "backlog_records": stats.backlog_records,
                "disk_octets": metrics.audit_disk.get(),
                "disk_budget_octets": seen.disk.map(|(_, budget)| budget),
            },
            "consent": {
                "available": seen.ledger.is_none(),
                "why": seen.ledger,
                "pairs": self.ledger.stats().pairs,
            },
            "mirrors": self.mirrors.iter().map(mirror).collect::<Vec<_>>(),
            "certificates": metrics.certificates().into_iter().map(|(name, seconds)| {
                json!({ "name": name, "days": seconds.div_euclid(DAY_S) })
            }).collect::<Vec<_>>(),
            "capture_running": metrics.capture_running.get() == 1,
            "blind_ports": seen.blind_ports,
        })
    }

    fn seen(&self, span: &Span, lately: &Span, now_us: u64) -> Seen {
        let (shared, metrics) = (&self.shared, &self.shared.metrics);
        let most = Rule::ALL.iter().zip(&lately.refused).max_by_key(|(_, refused)| **refused);
        let bound = shared.live.iter().filter(|one| one.value().named().bind_mode.is_some());
        let budget = positive(metrics.audit_disk_budget.get());
        let terms = shared.in_force.now();
        let licensed = terms.knowledge.registry.providers().iter().filter_map(|one| {
            let licence = one.licence.as_ref().filter(|licence| licence.is_in_force(now_us))?;
            Some((licence.valid_until_us, &one.name))
        });
        let next = licensed.min_by_key(|(until_us, _)| *until_us);
        let certificate = metrics.certificates().into_iter().min_by_key(|(_, seconds)| *seconds);
        Seen {
            certificate: certificate.map(|(name, seconds)| (name, seconds.div_euclid(DAY_S))),
            draining: shared.drain.is_cancelled(),
            journal: match shared.journal.state() {
                State::Unavailable(why) => Some(why.to_string()),
                State::Closed => Some("it is closed".to_owned()),
                State::Available => None,
            },
            ledger: self.ledger.unavailable().map(|why| why.to_string()),
            bound: bound.count(),
            pass_a_second: span.a_second(span.passed),
            minutes: minutes(lately),
            passed: lately.passed + lately.observed,
            refused: lately.all_refused(),
            most_by: most.map(|(rule, refused)| (rule.name(), *refused)),
            unanswered: lately.unanswered,
            windows_full: positive(metrics.windows_full.get()).unwrap_or(0),
            backlog_records: shared.journal.stats().backlog_records,
            disk: budget.map(|budget| (positive(metrics.audit_disk.get()).unwrap_or(0), budget)),
            mirrors: self.mirrors.iter().map(behind).collect(),
            blind_ports: blind_ports(shared) as u64,
            unlicensed: positive(metrics.providers_unlicensed.get()).unwrap_or(0),
            licence: next.map(|(until_us, name)| (name.clone(), days(until_us, now_us))),
        }
    }
}

fn positive(value: i64) -> Option<u64> {
    u64::try_from(value).ok().filter(|value| *value > 0)
}

/// How many minutes were looked back, at least one.
fn minutes(span: &Span) -> u64 {
    (span.seconds / 60.0).round().max(1.0) as u64
}

/// The rules that refused or observed anything, those that did so lately first.
fn rules(shared: &Shared, lately: &Span) -> Vec<Value> {
    let mut rules: Vec<(u64, u64, Value)> = Vec::new();
    let terms = shared.in_force.now();
    let knowledge = &terms.knowledge;
    let count = |verdict, at| shared.metrics.verdicts(verdict, Some(at)).get();
    for (at, rule) in Rule::ALL.into_iter().enumerate() {
        let (refused, observed) = (count(Verdict::Refuse, at), count(Verdict::Observe, at));
        if refused + observed == 0 {
            continue;
        }
        let newly = lately.refused.get(at).copied().unwrap_or(0);
        rules.push((
            newly,
            refused + observed,
            json!({
                "rule": rule.name(),
                "summary": rule.summary(),
                "article": rule.article(knowledge.rule_set),
                "mode": knowledge.modes.of(rule).name(),
                "refused": refused,
                "observed": observed,
                "lately": newly,
            }),
        ));
    }
    rules.sort_by_key(|(newly, all, _)| std::cmp::Reverse((*newly, *all)));
    rules.into_iter().map(|(_, _, rule)| rule).collect()
}

fn behind((name, mirror): &(String, MirrorMetrics)) -> (String, u64) {
    (name.clone(), positive(mirror.lag.get()).unwrap_or(0))
}

fn mirror((name, mirror): &(String, MirrorMetrics)) -> Value {
    json!({
        "name": name,
        "lag_records": mirror.lag.get(),
        "delivered": mirror.delivered.get(),
        "failures": mirror.failures.get(),
        "rejected": mirror.rejected.get(),
        "skipped": mirror.skipped.get(),
    })
}
