//! Sizes as people write them: a whole number and its unit, `"70000B"`, `"64KiB"`, `"512MiB"`.

/// The units, with the octets that each stands for; largest first.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Why a text is not a size.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeFault {
    /// Digits alone.
    #[error("has no unit: write {0}B, {0}KiB, {0}MiB or {0}GiB")]
    NoUnit(u64),
    /// Anything else, `KB` and `MB` included: they mean 1000 to some and 1024 to others.
    #[error("is not a size: write a whole number and B, KiB, MiB or GiB, such as \"64KiB\"")]
    Unreadable,
}

/// Reads a size: octets.
pub fn parse(text: &str) -> Result<usize, SizeFault> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let number: u64 = digits.parse().map_err(|_| SizeFault::Unreadable)?;
    if unit.is_empty() {
        return Err(SizeFault::NoUnit(number));
    }
    UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .and_then(|(_, octets)| number.checked_mul(*octets))
        .and_then(|octets| usize::try_from(octets).ok())
        .ok_or(SizeFault::Unreadable)
}

/// Writes octets in the largest unit that divides them, as [`parse`] reads it.
pub fn text(octets: usize) -> String {
    let octets = octets as u64;
    let (unit, each) = UNITS
        .into_iter()
        .find(|(_, each)| octets > 0 && octets.is_multiple_of(*each))
        .unwrap_or(("B", 1));
    format!("{}{unit}", octets / each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_back() {
        for (written, octets) in [
            ("70000B", 70_000),
            ("64KiB", 65_536),
            ("512MiB", 1 << 29),
            ("2GiB", 1 << 31),
            ("0B", 0),
        ] {
            assert_eq!(parse(written), Ok(octets), "{written}");
            assert_eq!(text(octets), written);
        }
        assert_eq!(parse("65536"), Err(SizeFault::NoUnit(65_536)));
        for unreadable in
            ["", "B", "-1B", "1.5MiB", "64KB", "64kib", "64 KiB", "64K", "18446744073709551615GiB"]
        {
            assert_eq!(parse(unreadable), Err(SizeFault::Unreadable), "{unreadable}");
        }
    }
}
