//! Numbers as they may be shown.

/// An address as it came: its first three and last two octets when it is long enough, the last two
/// otherwise; whole with `unmask`. What is not printable ASCII is escaped.
pub fn masked(raw: &[u8], unmask: bool) -> String {
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
