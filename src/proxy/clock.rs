//! The two clocks, read together once a turn.

use std::time::{Instant, SystemTime};

use crate::session::Moment;

/// Reads the time of day and the steady clock. The only place of the proxy that does.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose steady side begins now.
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    /// Now, on both clocks. A time of day before 1970 counts as 1970.
    pub fn now(&self) -> Moment {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Moment { wall_us: wall.as_micros() as u64, steady_us: self.steady_us(Instant::now()) }
    }

    /// An instant on the steady clock.
    pub fn steady_us(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.start).as_micros() as u64
    }

    /// The instant at which the steady clock shows that time; an hour ahead at most.
    pub fn instant(&self, steady_us: u64) -> Instant {
        const FAR_US: u64 = 3_600_000_000;
        let now = Instant::now();
        let ahead = steady_us.saturating_sub(self.steady_us(now)).min(FAR_US);
        now + std::time::Duration::from_micros(ahead)
    }
}
