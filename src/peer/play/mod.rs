//! Plays the ESMEs' side of captured streams against a live address, and compares what it is answered
//! with what was captured.
//!
//! Requests go as they were captured, octet for octet, with their own sequence_numbers; a stream binds
//! once, with the credentials given here. At the trace's speed or a multiple of it, a request goes when
//! it is due and the window has room; at full speed, when the window has. A stream lasts as long as it
//! did, so that one that only receives is there to receive; at full speed, until all is answered.

mod plan;
mod report;
mod session;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::time::{Instant as Deadline, sleep_until};

pub use plan::{AWAITED_MAX, PLAN_OCTETS_MAX, Plan, TooLarge};
pub use report::{DIFFERENCES_LISTED_MAX, Difference, Kind, Report};
use session::{Session, scaled};

/// Streams played at once; more wait for the end of one.
pub const STREAMS_MAX: usize = 1_000;

/// Largest window, requests of one stream.
pub const WINDOW_MAX: usize = 65_536;

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// So many times as fast as the trace; above zero.
    Times(f64),
    /// As fast as the windows allow.
    Max,
}

/// Where to play, as whom and how fast.
#[derive(Clone)]
pub struct Options {
    /// Where every stream connects.
    pub to: SocketAddr,
    /// Who binds, at most 15 octets.
    pub system_id: String,
    /// Its password, at most 8 octets.
    pub password: String,
    /// How fast.
    pub speed: Speed,
    /// Requests of one stream that may wait for their answers, 1 to [`WINDOW_MAX`].
    pub window: usize,
    /// A connection, a bind or a request that gets no answer this long is given up.
    pub response_timeout: Duration,
}

/// Plays all of a plan on this thread.
pub fn play(plan: Plan, options: &Options) -> std::io::Result<Report> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let start = Instant::now();
    let streams = plan.streams.into_iter().map(Arc::new).collect::<Vec<_>>();
    let tallies = runtime.block_on(async {
        let places = Arc::new(Semaphore::new(STREAMS_MAX));
        let tasks = streams.into_iter().map(|stream| {
            let (places, options) = (places.clone(), options.clone());
            tokio::spawn(async move {
                if let Speed::Times(times) = options.speed {
                    let begins = start + scaled(stream.begins_us, times);
                    sleep_until(Deadline::from_std(begins)).await;
                }
                let place = places.acquire_owned().await;
                let tally = Session::new(&stream, &options, start).run().await;
                drop(place);
                tally
            })
        });
        let mut tallies = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            tallies.push(task.await.unwrap_or_default());
        }
        tallies
    });
    Ok(Report::of(tallies, start.elapsed().as_secs_f64()))
}
