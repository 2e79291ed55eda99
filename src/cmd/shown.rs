//! Numbers and times as listings show them.

/// An address as it came: its first three and last two octets when it is long enough, the last two
/// otherwise; whole with `unmask`.
pub(super) fn masked(raw: &[u8], unmask: bool) -> String {
    let text = raw.escape_ascii().to_string();
    if unmask {
        return text;
    }
    let shown_first = if raw.len() < 8 { 0 } else { 3 };
    text.chars()
        .enumerate()
        .map(
            |(at, character)| {
                if at < shown_first || at + 2 >= text.len() { character } else { '*' }
            },
        )
        .collect()
}

/// Microseconds since the Unix epoch as RFC 3339, UTC.
pub(super) fn time(micros: u64) -> String {
    i64::try_from(micros)
        .ok()
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .map_or_else(|| micros.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_shown_in_part() {
        let cases: &[(&[u8], &str)] =
            &[(b"8613800138000", "861********00"), (b"12321", "***21"), (b"", "")];
        for (raw, expected) in cases {
            assert_eq!(&masked(raw, false), expected);
            assert_eq!(masked(raw, true).as_bytes(), *raw);
        }
    }
}
