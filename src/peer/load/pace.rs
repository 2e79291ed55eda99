//! When a rate is given: each thread that sends wakes its own sessions when their messages fall due.
//!
//! The timer is a file descriptor in the thread's own reactor. The runtime's timers are a
//! millisecond coarse, and a thread of its own that keeps the pace would spend more CPU time on
//! waking the senders than they spend on sending.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use super::plan::Plan;

/// A thread wakes for its sessions no more often than this: with messages due more often, a few go
/// at once, the last of them late by less than this.
pub const PACE_TICK: Duration = Duration::from_micros(50);

/// A timer that a task can wait for.
pub(super) struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    /// Call inside the runtime that will wait for it.
    pub(super) fn new() -> io::Result<Timer> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an OwnedFd is what it is sound for"
        )]
        AsyncFd::new(timer).map(Timer)
    }

    async fn wait(&self, span: Duration) -> io::Result<()> {
        let it_value = Timespec {
            tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: span.subsec_nanos().into(),
        };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let once = Itimerspec { it_interval, it_value };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut ready = self.0.readable().await?;
            let mut expirations = [0; 8];
            match ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut expirations)?)) {
                Ok(read) => return read.map(drop),
                Err(_would_block) => {}
            }
        }
    }
}

/// Wakes the sessions of this thread, one after the other, as their messages fall due; ends with
/// the last message. `wakes` has an entry for every session of the run, empty for other threads'.
pub(super) async fn pace(
    plan: Plan,
    start: Instant,
    timer: Timer,
    wakes: Vec<Option<Arc<Notify>>>,
) {
    let (Some(rate), Some(messages)) = (plan.rate, plan.messages) else { return };
    let sessions = wakes.len().max(1) as u64;
    let mut woken = 0;
    while woken < messages {
        let due = plan.due(rate, start.elapsed()).min(messages);
        for index in woken..due.min(woken + sessions) {
            if let Some(Some(wake)) = wakes.get((index % sessions) as usize) {
                wake.notify_one();
            }
        }
        woken = due.max(woken);
        let next = plan.due_at(rate, woken).saturating_sub(start.elapsed());
        if timer.wait(next.max(PACE_TICK)).await.is_err() {
            // A millisecond coarse: messages go late by as much, and the latencies say so.
            tokio::time::sleep(next).await;
        }
    }
}
