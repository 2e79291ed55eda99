//! schedule_delivery_time and validity_period (SMPP 3.4 7.1.1).

/// Octets of a time without its NUL.
pub const TIME_OCTETS: usize = 16;

const SECOND_US: u64 = 1_000_000;
const DAY_S: u64 = 86_400;
/// Greatest difference from UTC, quarters of an hour.
const QUARTERS_MAX: u64 = 48;

/// A time as a PDU says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// A moment: microseconds since the Unix epoch, UTC.
    Absolute(u64),
    /// So many microseconds from when the SMSC takes the message. A year counts 366 days and a month 31,
    /// which no calendar exceeds.
    Relative(u64),
}

impl Time {
    /// Reads `YYMMDDhhmmsstnnp`: `p` is `+` or `-` for a moment `nn` quarters of an hour ahead of UTC
    /// or behind it, `R` for a span. `None` for anything else, an empty field among it, which means
    /// "at once" or "the SMSC's default" and is for the caller to know.
    pub fn read(octets: &[u8]) -> Option<Time> {
        let octets: &[u8; TIME_OCTETS] = octets.try_into().ok()?;
        let [digits @ .., p] = octets;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let two = |at: usize| {
            let digit = |at: usize| Some(u64::from(digits.get(at)?.checked_sub(b'0')?));
            Some(digit(at)? * 10 + digit(at + 1)?)
        };
        let (year, month, day) = (two(0)?, two(2)?, two(4)?);
        let (hour, minute, second) = (two(6)?, two(8)?, two(10)?);
        let quarters = two(13)?;
        let clock_s = hour * 3600 + minute * 60 + second;
        if *p == b'R' {
            return Some(Time::Relative(
                ((year * 366 + month * 31 + day) * DAY_S + clock_s) * SECOND_US,
            ));
        }
        let valid = (1..=12).contains(&month)
            && (1..=days_of(month, year)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60
            && quarters <= QUARTERS_MAX;
        if !valid {
            return None;
        }
        let local_s = days_since_epoch(year, month, day) * DAY_S + clock_s;
        let utc_s = match p {
            b'+' => local_s.checked_sub(quarters * 900)?,
            b'-' => local_s + quarters * 900,
            _ => return None,
        };
        let tenths = u64::from(digits.get(12)?.checked_sub(b'0')?);
        Some(Time::Absolute(utc_s * SECOND_US + tenths * (SECOND_US / 10)))
    }

    /// How long it is from `now_us` (since the Unix epoch, UTC) until then, microseconds; zero when
    /// it has passed.
    pub fn from_now_us(self, now_us: u64) -> u64 {
        match self {
            Time::Absolute(moment_us) => moment_us.saturating_sub(now_us),
            Time::Relative(span_us) => span_us,
        }
    }
}

/// Days of a month; `year` from 2000.
fn days_of(month: u64, year: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        // 2000 was a leap year, and a century's other years follow the rule of four.
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date; `year` from 2000.
fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    const DAYS_TO_2000: u64 = 10_957;
    let leap_days = year.div_ceil(4);
    let before: u64 = (1..month).map(|month| days_of(month, year)).sum();
    DAYS_TO_2000 + year * 365 + leap_days + before + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW_YEAR_2026_S: u64 = 1_767_225_600;

    #[test]
    fn times_are_read_in_both_formats() {
        let absolute = |seconds: u64| Some(Time::Absolute(seconds * SECOND_US));
        let relative = |seconds: u64| Some(Time::Relative(seconds * SECOND_US));
        let cases: &[(&[u8], Option<Time>)] = &[
            (b"260101000000000+", absolute(NEW_YEAR_2026_S)),
            (b"260101080000032+", absolute(NEW_YEAR_2026_S)),
            (b"251231160000032-", absolute(NEW_YEAR_2026_S)),
            (
                b"260101000001500+",
                Some(Time::Absolute((NEW_YEAR_2026_S + 1) * SECOND_US + 500_000)),
            ),
            (b"000101000000000+", absolute(946_684_800)),
            (b"000229000000000+", absolute(951_782_400)),
            (b"000301000000000+", absolute(951_868_800)),
            (b"240229235959000+", absolute(1_709_251_199)),
            (b"991231235959000+", absolute(4_102_444_799)),
            (b"000001000000000R", relative(DAY_S)),
            (b"000000010203000R", relative(3723)),
            (b"010100000000000R", relative((366 + 31) * DAY_S)),
            (b"999999999999999R", relative((99 * 366 + 99 * 31 + 99) * DAY_S + 99 * 3661)),
            (b"250229000000000+", None),
            (b"261301000000000+", None),
            (b"260001000000000+", None),
            (b"260100000000000+", None),
            (b"260101240000000+", None),
            (b"260101006000000+", None),
            (b"260101000060000+", None),
            (b"260101000000049+", None),
            (b"260101000000000Z", None),
            (b"26010100000000+", None),
            (b"2601010000000000+", None),
            (b"2601010000000x0+", None),
            (b"", None),
        ];
        for (octets, expected) in cases {
            let text = String::from_utf8_lossy(octets);
            assert_eq!(Time::read(octets), *expected, "{text}");
        }
    }

    #[test]
    fn a_moment_that_has_passed_is_now() {
        let noon = Time::Absolute(NEW_YEAR_2026_S * SECOND_US);
        assert_eq!(noon.from_now_us((NEW_YEAR_2026_S - 60) * SECOND_US), 60 * SECOND_US);
        assert_eq!(noon.from_now_us((NEW_YEAR_2026_S + 60) * SECOND_US), 0);
        assert_eq!(Time::Relative(7).from_now_us(u64::MAX), 7);
    }
}
