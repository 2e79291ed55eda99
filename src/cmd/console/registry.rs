//! The registry and the rules in force, and what of it expires soon.

use serde_json::{Value, json};

use super::super::record::hex;
use crate::policy::Rule;
use crate::registry::{Code, Identity, Provider};
use crate::session::Knowledge;

/// Providers shown at a time; a query finds the others.
const PROVIDERS_SHOWN_MAX: usize = 200;
/// Codes shown of one provider.
const CODES_SHOWN_MAX: usize = 100;
/// Entries of the list of what expires.
const EXPIRING_MAX: usize = 100;
/// Days before its end from which something is in that list.
const EXPIRING_DAYS: i64 = 60;

const DAY_US: i64 = 86_400_000_000;

/// One object. `query` is a part of a provider's name, of a system_id or of a code; empty for all.
pub(super) fn shown(knowledge: &Knowledge, query: &str, now_us: u64) -> Value {
    let all = knowledge.registry.providers();
    let is_meant = |one: &&Provider| {
        query.is_empty()
            || one.name.contains(query)
            || one.system_ids.iter().any(|id| id.contains(query))
            || one.codes.iter().any(|code| code.number.unmasked().contains(query))
    };
    let found = all.iter().filter(is_meant).count();
    let providers = all.iter().filter(is_meant).take(PROVIDERS_SHOWN_MAX);
    let rules = Rule::ALL.map(|rule| {
        json!({
            "rule": rule.name(),
            "mode": knowledge.modes.of(rule).name(),
            "summary": rule.summary(),
            "article": rule.article(knowledge.rule_set),
        })
    });
    json!({
        "sha256": hex(knowledge.registry.digest()),
        "rule_set": knowledge.rule_set.name(),
        "reading": knowledge.texts.version(),
        "providers": all.len(),
        "codes": all.iter().map(|one| one.codes.len()).sum::<usize>(),
        "found": found,
        "shown": providers.map(|one| provider(one, now_us)).collect::<Vec<_>>(),
        "expiring": expiring(all, now_us),
        "rules": rules.as_slice(),
    })
}

fn provider(one: &Provider, now_us: u64) -> Value {
    let licence = one.licence.as_ref().map(|licence| {
        json!({
            "number": licence.number,
            "valid_until": last_day(licence.valid_until_us),
            "days": days(licence.valid_until_us, now_us),
            "suspended": licence.suspended,
            "in_force": licence.is_in_force(now_us),
        })
    });
    json!({
        "name": one.name,
        "system_ids": one.system_ids,
        "licence": licence,
        "identity": match one.identity {
            Identity::Verified => "verified",
            Identity::Pending => "pending",
            Identity::Refused => "refused",
        },
        "from": one.from.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "rate": one.rate,
        "codes": one.codes.len(),
        "codes_shown": one.codes.iter().take(CODES_SHOWN_MAX).map(code).collect::<Vec<_>>(),
    })
}

fn code(code: &Code) -> Value {
    let regions = code.regions.iter().map(|region| region.unmasked().to_owned());
    json!({
        "number": code.number.unmasked(),
        "digits_max": code.digits_max,
        "purpose": code.purpose.name(),
        "regions": regions.collect::<Vec<_>>(),
        "signatures": code.signatures,
        "templates": code.templates.len(),
        "scope": code.scope,
        "emergency": code.emergency,
    })
}

/// Licences and filings that have ended or end soon, the first to end first.
fn expiring(providers: &[Provider], now_us: u64) -> Vec<Value> {
    let mut found: Vec<(u64, Value)> = Vec::new();
    for one in providers {
        let mut end = |what: &str, number: &str, until_us: u64| {
            let left = days(until_us, now_us);
            if left <= EXPIRING_DAYS {
                let line = json!({
                    "what": what, "provider": one.name, "number": number,
                    "valid_until": last_day(until_us), "days": left,
                });
                found.push((until_us, line));
            }
        };
        if let Some(licence) = &one.licence {
            end("licence", &licence.number, licence.valid_until_us);
        }
        for filing in one.codes.iter().filter_map(|code| code.filing.as_ref()) {
            end("filing", &filing.number, filing.valid_until_us);
        }
    }
    found.sort_by_key(|(until_us, _)| *until_us);
    found.truncate(EXPIRING_MAX);
    found.into_iter().map(|(_, line)| line).collect()
}

/// Whole days left; negative when it has ended.
pub(super) fn days(until_us: u64, now_us: u64) -> i64 {
    let micros = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
    micros(until_us).saturating_sub(micros(now_us)).div_euclid(DAY_US)
}

/// The last day in Asia/Shanghai before a moment.
fn last_day(until_us: u64) -> String {
    let micros = i64::try_from(until_us).unwrap_or(i64::MAX).saturating_sub(1);
    let time = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
    jiff::tz::Offset::constant(8).to_datetime(time).date().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::parse;

    /// 2026-01-01 00:00 in Asia/Shanghai.
    const NOW_US: u64 = 1_767_196_800_000_000;

    #[test]
    fn what_ends_within_the_days_is_listed_the_first_to_end_first() {
        let provider = |name: &str, day: &str| {
            format!(
                "[[provider]]\nname = \"{name}\"\nsystem_ids = [\"{name}\"]\n\
                 licence = {{ number = \"B2-{name}\", valid_until = {day} }}\n"
            )
        };
        let text = [
            provider("late", "2026-03-03"),
            provider("edge", "2026-03-01"),
            provider("ended", "2025-12-30"),
            provider("today", "2026-01-01"),
        ];
        let registry = parse(&text.concat(), "registry.toml").expect("it is well formed");
        let listed: Vec<_> = expiring(registry.providers(), NOW_US)
            .iter()
            .map(|one| {
                (one["provider"].to_string(), one["days"].as_i64(), one["valid_until"].to_string())
            })
            .collect();
        let expected =
            [("ended", -1, "2025-12-30"), ("today", 1, "2026-01-01"), ("edge", 60, "2026-03-01")]
                .map(|(name, days, until)| {
                    (format!("\"{name}\""), Some(days), format!("\"{until}\""))
                });
        assert_eq!(listed, expected);
    }
}
