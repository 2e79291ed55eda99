//! Durations as users write them: a number and its unit.

use std::time::Duration;

/// Reads `10s`, `50ms`, `100us`, `2m`, `1.5s`, `0`; a number without a unit is refused, but zero.
pub fn parse(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit_seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "" if number == "0" => 1.0,
        _ => return Err("write a number and a unit: 100us, 50ms, 10s, 2m or 1h".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| format!("{number:?} is not a number"))?;
    Duration::try_from_secs_f64(number * unit_seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        let rows = [
            ("10s", Some(Duration::from_secs(10))),
            ("50ms", Some(Duration::from_millis(50))),
            ("100us", Some(Duration::from_micros(100))),
            ("1.5m", Some(Duration::from_secs(90))),
            ("2h", Some(Duration::from_secs(7200))),
            ("0", Some(Duration::ZERO)),
            ("10", None),
            ("s", None),
            ("", None),
            ("1.2.3s", None),
            ("-1s", None),
            ("1 s", None),
            ("99999999999999999999999h", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text).ok(), expected, "{text:?}");
        }
    }
}
