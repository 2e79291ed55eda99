//! Durations as people write them: a whole number and its unit, `"250ms"`, `"30s"`, `"10m"`, `"2h"`.

use std::time::Duration;

/// The units, with the milliseconds that each stands for; longest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is not a duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationFault {
    /// Digits alone.
    #[error("has no unit: write {0}ms, {0}s, {0}m or {0}h")]
    NoUnit(u64),
    /// Anything else.
    #[error("is not a duration: write a whole number and ms, s, m or h, such as \"30s\"")]
    Unreadable,
}

/// Reads a duration.
pub fn parse(text: &str) -> Result<Duration, DurationFault> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let number: u64 = digits.parse().map_err(|_| DurationFault::Unreadable)?;
    if unit.is_empty() {
        return Err(DurationFault::NoUnit(number));
    }
    UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .and_then(|(_, millis)| number.checked_mul(*millis))
        .map(Duration::from_millis)
        .ok_or(DurationFault::Unreadable)
}

/// Writes a duration of whole milliseconds in the longest unit that divides it, as [`parse`] reads it.
pub fn text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let (unit, each) = UNITS.into_iter().find(|(_, each)| millis % each == 0).unwrap_or(("ms", 1));
    format!("{}{unit}", millis / each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_back() {
        for (written, millis) in
            [("250ms", 250), ("30s", 30_000), ("10m", 600_000), ("2h", 7_200_000), ("0s", 0)]
        {
            assert_eq!(parse(written), Ok(Duration::from_millis(millis)), "{written}");
            assert_eq!(text(Duration::from_millis(millis)), written);
        }
        assert_eq!(text(Duration::from_millis(90_000)), "90s");
        assert_eq!(parse("30"), Err(DurationFault::NoUnit(30)));
        for unreadable in [
            "",
            "s",
            "-1s",
            "+1s",
            "1.5s",
            "1h30m",
            "30 s",
            " 30s",
            "30sec",
            "30S",
            "٣s",
            "1µs",
            "18446744073709551615h",
            "99999999999999999999s",
        ] {
            assert_eq!(parse(unreadable), Err(DurationFault::Unreadable), "{unreadable}");
        }
    }
}
