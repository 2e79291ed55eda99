//! How long the licences of the registry are in force, for the metrics: an operator should know weeks
//! before all messages of a provider are refused (`provider.licence`).

use crate::metrics::Metrics;
use crate::registry::{Licence, Provider, Registry};

/// Shows how the licences stand at `now_us`, microseconds since the Unix epoch.
pub(super) fn show(metrics: &Metrics, registry: &Registry, now_us: u64) {
    let (next_end_us, unlicensed) = standing(registry.providers(), now_us);
    let seconds = next_end_us.map_or(0, |end_us| end_us / 1_000_000);
    metrics.licence_ends.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    metrics.providers_unlicensed.set(i64::try_from(unlicensed).unwrap_or(i64::MAX));
}

/// When the first of the licences in force ends, and how many providers have none in force.
fn standing(providers: &[Provider], now_us: u64) -> (Option<u64>, usize) {
    let in_force = |provider: &Provider| -> Option<u64> {
        let licence: &Licence = provider.licence.as_ref()?;
        licence.is_in_force(now_us).then_some(licence.valid_until_us)
    };
    let ends = providers.iter().map(in_force);
    (ends.clone().flatten().min(), ends.filter(Option::is_none).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::parse;

    const DAY_US: u64 = 86_400_000_000;
    /// The first moment after 2026-01-02 in Asia/Shanghai.
    const FIRST_END_US: u64 = 1_767_369_600_000_000;

    #[test]
    fn the_next_end_and_who_has_no_licence() {
        let provider = |name: &str, licence: &str| {
            format!("[[provider]]\nname = \"{name}\"\nsystem_ids = [\"{name}\"]\n{licence}\n")
        };
        let until = |day: &str| format!("licence = {{ number = \"B2-1\", valid_until = {day} }}");
        let text = [
            provider("first", &until("2026-01-02")),
            provider("second", &until("2026-01-12")),
            provider("none", ""),
        ];
        let registry = parse(&text.concat(), "registry.toml").expect("it is well formed");
        for (now_us, expected) in [
            (FIRST_END_US - DAY_US, (Some(FIRST_END_US), 1)),
            (FIRST_END_US - 1, (Some(FIRST_END_US), 1)),
            (FIRST_END_US, (Some(FIRST_END_US + 10 * DAY_US), 2)),
            (FIRST_END_US + 10 * DAY_US, (None, 3)),
        ] {
            assert_eq!(standing(registry.providers(), now_us), expected, "{now_us}");
            let metrics = Metrics::new(&[]);
            show(&metrics, &registry, now_us);
            let end_s = expected.0.map_or(0, |end_us| (end_us / 1_000_000) as i64);
            assert_eq!(metrics.licence_ends.get(), end_s);
            assert_eq!(metrics.providers_unlicensed.get(), expected.1 as i64);
        }
    }
}
