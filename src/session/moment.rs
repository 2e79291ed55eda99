//! The time as a session is told it.

/// One moment on two clocks. The law and the records want the time of day, which an operator or NTP
/// may set; waiting wants a clock that never jumps, or a correction would end every session.
/// In replay both are the trace's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Time of day: microseconds since the Unix epoch, UTC.
    pub wall_us: u64,
    /// A clock that only goes forward at its own pace: microseconds since any fixed moment.
    pub steady_us: u64,
}
