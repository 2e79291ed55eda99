//! How long a record is kept: calendar months, in the zone of those who ask for it.
//!
//! A term of months begins with the day of the record and ends with the end of the day that has its
//! number so many months later, or of the last day of that month where it has no such day (民法典
//! articles 201 to 203). So a record of 31 August, kept for six months, may go on 1 March.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// How long records are kept, and where days begin.
#[derive(Debug, Clone)]
pub struct Term {
    months: u32,
    zone: TimeZone,
}

impl Term {
    /// So many calendar months in this zone.
    pub fn new(months: u32, zone: TimeZone) -> Term {
        Term { months, zone }
    }

    /// The first moment at which a record of this time may go, microseconds since the Unix epoch;
    /// `u64::MAX` where the calendar ends before.
    pub fn due_us(&self, time_us: u64) -> u64 {
        let due = || {
            let time = Timestamp::from_microsecond(i64::try_from(time_us).ok()?).ok()?;
            let day = self.zone.to_datetime(time).date();
            let last = day.checked_add(Span::new().try_months(self.months).ok()?).ok()?;
            let midnight = last.tomorrow().ok()?.at(0, 0, 0, 0);
            let next = self.zone.to_timestamp(midnight).ok()?;
            u64::try_from(next.as_microsecond()).ok()
        };
        due().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_ends_with_the_day_of_the_month_or_the_month() {
        let rows = [
            ("Asia/Shanghai", 6, "2026-05-01T00:00:00+08:00", "2026-11-02T00:00:00+08:00"),
            ("Asia/Shanghai", 6, "2026-05-01T23:59:59+08:00", "2026-11-02T00:00:00+08:00"),
            // The day is that of the zone, not of UTC.
            ("Asia/Shanghai", 6, "2026-05-01T15:59:59Z", "2026-11-02T00:00:00+08:00"),
            ("Asia/Shanghai", 6, "2026-05-01T16:00:00Z", "2026-11-03T00:00:00+08:00"),
            ("UTC", 6, "2026-05-01T16:00:00Z", "2026-11-02T00:00:00Z"),
            // Months without that day.
            ("Asia/Shanghai", 6, "2026-05-31T12:00:00+08:00", "2026-12-01T00:00:00+08:00"),
            ("Asia/Shanghai", 6, "2026-08-31T12:00:00+08:00", "2027-03-01T00:00:00+08:00"),
            ("Asia/Shanghai", 6, "2027-08-31T12:00:00+08:00", "2028-03-01T00:00:00+08:00"),
            ("Asia/Shanghai", 6, "2027-08-29T12:00:00+08:00", "2028-03-01T00:00:00+08:00"),
            ("Asia/Shanghai", 6, "2027-08-28T12:00:00+08:00", "2028-02-29T00:00:00+08:00"),
            ("Asia/Shanghai", 12, "2028-02-29T12:00:00+08:00", "2029-03-01T00:00:00+08:00"),
            ("Asia/Shanghai", 1, "2026-12-31T12:00:00+08:00", "2027-02-01T00:00:00+08:00"),
            ("Asia/Shanghai", 120, "2026-01-15T12:00:00+08:00", "2036-01-16T00:00:00+08:00"),
            // Where clocks are put back and forward.
            ("Europe/Berlin", 6, "2026-04-25T12:00:00+02:00", "2026-10-26T00:00:00+01:00"),
            ("Europe/Berlin", 6, "2026-09-28T12:00:00+02:00", "2027-03-29T00:00:00+02:00"),
        ];
        for (zone, months, time, due) in rows {
            let micros =
                |time: &str| time.parse::<Timestamp>().expect("a time").as_microsecond() as u64;
            let term = Term::new(months, TimeZone::get(zone).expect("a zone"));
            assert_eq!(term.due_us(micros(time)), micros(due), "{zone} {months} {time}");
            assert!(term.due_us(micros(time)) > micros(time));
        }
        assert_eq!(Term::new(6, TimeZone::UTC).due_us(u64::MAX), u64::MAX);
    }
}
