//! Numbers and times as listings show them.

pub(super) use crate::registry::masked;

/// Microseconds since the Unix epoch as RFC 3339, UTC.
pub(super) fn time(micros: u64) -> String {
    i64::try_from(micros)
        .ok()
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .map_or_else(|| micros.to_string(), |time| time.to_string())
}
