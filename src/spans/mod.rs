//! What became of single sessions and messages, as spans for a collector of traces (feature `otlp`).
//!
//! A [`Span`] says when something began and ended, and what it was. The proxy makes one for each session and some
//! for sampled messages, and hands them over without waiting: [`Spans`] has a queue of [`QUEUE_MAX`] traces, and what
//! does not fit is dropped and counted. A thread of its own delivers them by OTLP over HTTP. A collector that is slow
//! or gone costs spans, never a message.
//!
//! | file | subject |
//! |---|---|
//! | this | the queue, and what is counted |
//! | [`span`] | one span |
//! | [`chance`] | which messages are sampled, and names of traces and spans |
//! | [`wire`] | OTLP's protobuf |
//! | `deliver` | the thread, and HTTP |

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub mod chance;
mod deliver;
pub mod span;
pub mod wire;

pub use span::{Span, SpanId, TraceId, Value};

/// Traces that may wait to be delivered; each is a message's or a session's, of 6 spans at most.
pub const QUEUE_MAX: usize = 1024;
/// Spans of one delivery at most.
pub const BATCH_SPANS_MAX: usize = 512;
/// How long spans wait for more of them.
pub const WAIT: Duration = Duration::from_secs(1);
/// Tries of one delivery.
pub const TRIES_MAX: u32 = 3;
/// For connecting, and for each read and write.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// For the last delivery when the proxy stops.
pub const STOP_MAX: Duration = Duration::from_secs(3);

/// Where spans go, and how many.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The collector's host, a name or an address, IPv6 in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The path, usually `/v1/traces`.
    pub path: String,
    /// The share of messages that is sampled, 0 to 1.
    pub sample: f64,
    /// What tells this proxy from others: the name of the machine.
    pub instance: String,
}

/// What became of spans since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// The collector took them.
    pub sent: u64,
    /// The queue was full.
    pub dropped: u64,
    /// The collector was not there, or refused them.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// Takes spans and has them delivered. Dropping it stops it.
pub struct Spans {
    queue: SyncSender<Vec<Span>>,
    sample: f64,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").field("figures", &self.figures()).finish()
    }
}

impl Spans {
    /// Begins. The collector need not be there.
    pub fn start(options: Options) -> std::io::Result<Spans> {
        let (queue, waiting): (_, Receiver<Vec<Span>>) = sync_channel(QUEUE_MAX);
        let (counters, stop) = (Arc::new(Counters::default()), Arc::new(AtomicBool::new(false)));
        let sample = options.sample;
        let delivery = deliver::Delivery::new(options, counters.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("spans".to_owned())
            .spawn(move || delivery.run(&waiting))?;
        Ok(Spans { queue, sample, counters, stop, thread: Some(thread).into() })
    }

    /// The share of messages that is sampled.
    pub fn sample(&self) -> f64 {
        self.sample
    }

    /// Hands the spans of one trace over. Never waits: where there is no room they are dropped, and counted.
    pub fn send(&self, trace: Vec<Span>) {
        let count = trace.len() as u64;
        if self.queue.try_send(trace).is_err() {
            self.counters.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Counts spans that were not made for want of room elsewhere.
    pub fn dropped(&self, count: u64) {
        self.counters.dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// What became of them.
    pub fn figures(&self) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { sent, dropped, failed } = &*self.counters;
        Figures { sent: read(sent), dropped: read(dropped), failed: read(failed) }
    }

    /// Delivers what waits, within [`STOP_MAX`], and ends. Blocks.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        let Some(thread) = thread else { return };
        // Wakes the thread; it may be in the middle of a delivery.
        let _ = self.queue.try_send(Vec::new());
        let until = Instant::now() + STOP_MAX;
        while !thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        // One that hangs on a name server is left behind: the process ends, and it with it.
        if thread.is_finished() {
            let _ = thread.join();
        }
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        self.stop();
    }
}
