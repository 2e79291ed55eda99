//! Whether this generator, on this machine, now, shows a pause of its peer.

use std::thread;
use std::time::Duration;

use super::{Length, LoadFault, Options, run};
use crate::peer::smsc::{self, Fault, Smsc, StartFault};

/// How long the SMSC stops reading.
const PAUSE: Duration = Duration::from_millis(50);
/// When it stops, from the start.
const PAUSE_AT: Duration = Duration::from_millis(700);
/// How long each of the two runs takes.
const RUN: Duration = Duration::from_millis(1500);
/// Messages a second: 250 of 7,500 fall into the pause, and 50 of them wait longer than the limit.
const RATE: u64 = 5000;
/// p99.9 must reach this with the pause and stay below it without.
const LIMIT_NS: u64 = 40_000_000;

/// What the check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfCheck {
    /// p99.9 with an SMSC that never pauses, nanoseconds.
    pub steady_p999_ns: u64,
    /// p99.9 with an SMSC that stops reading for 50 ms, nanoseconds.
    pub paused_p999_ns: u64,
}

impl SelfCheck {
    /// Whether latencies measured here can be believed: the pause shows, and nothing else does.
    pub fn holds(self) -> bool {
        self.steady_p999_ns < LIMIT_NS && self.paused_p999_ns >= LIMIT_NS
    }
}

/// Why the check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SelfCheckFault {
    /// No SMSC.
    #[error(transparent)]
    Start(#[from] StartFault),
    /// No load.
    #[error(transparent)]
    Load(#[from] LoadFault),
}

/// Measures an SMSC in this process twice, once with a pause of 50 ms. Takes about four seconds.
/// Blocks: not to be called from a task.
pub fn self_check() -> Result<SelfCheck, SelfCheckFault> {
    let smsc = Smsc::start(smsc::Options::default())?;
    let options = Options {
        to: vec![smsc.address()],
        rate: Some(RATE),
        length: Length::For(RUN),
        ..Options::default()
    };
    let steady = run(&options)?;
    let paused = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(PAUSE_AT);
            smsc.fault(Fault::StopReading);
            thread::sleep(PAUSE);
            smsc.fault(Fault::None);
        });
        run(&options)
    })?;
    Ok(SelfCheck { steady_p999_ns: steady.latency_ns.p999, paused_p999_ns: paused.latency_ns.p999 })
}
