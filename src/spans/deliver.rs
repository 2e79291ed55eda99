//! The thread that delivers: spans are put together, posted, and tried again a few times.
//!
//! OTLP over HTTP (OTLP 1.x, "OTLP/HTTP"): one POST of protobuf a delivery; 200 is taken, 429, 502, 503 and 504 are
//! tried again, all other answers refuse for ever. Without TLS: a collector stands beside the proxy, or on a network of the
//! operator's own.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::span::Span;
use super::{BATCH_SPANS_MAX, Counters, Options, PATIENCE, TRIES_MAX, WAIT, wire};

/// The longest answer that is read, octets.
const ANSWER_OCTETS_MAX: u64 = 64 * 1024;
/// Between two tries; it doubles.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a pause looks whether the proxy stops.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Delivery {
    options: Options,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
    /// Whether the last delivery failed: the log tells of changes only.
    failing: bool,
}

/// What became of one POST.
#[derive(Debug, PartialEq, Eq)]
enum Posted {
    /// Taken, but for so many spans.
    Taken(u64),
    /// Refused for ever, with this status.
    Refused(u16),
    /// Not now.
    Later(String),
}

impl Delivery {
    pub fn new(options: Options, counters: Arc<Counters>, stop: Arc<AtomicBool>) -> Delivery {
        Delivery { options, counters, stop, failing: false }
    }

    /// Until it is stopped, and nothing waits any more or cannot be delivered.
    pub fn run(mut self, waiting: &Receiver<Vec<Span>>) {
        let mut batch: Vec<Span> = Vec::new();
        loop {
            let stops = self.stop.load(Ordering::Relaxed);
            let ended = collect(waiting, &mut batch, stops);
            if !batch.is_empty() {
                self.deliver(&batch);
                batch.clear();
            } else if stops || ended {
                return;
            }
        }
    }

    fn deliver(&mut self, batch: &[Span]) {
        let body = wire::request(batch, &self.options.instance);
        let count = batch.len() as u64;
        let mut pause = PAUSE;
        let mut posted = self.post(&body);
        for _ in 1..TRIES_MAX {
            if !matches!(posted, Posted::Later(_)) || !self.pauses(pause) {
                break;
            }
            pause *= 2;
            posted = self.post(&body);
        }
        let Counters { sent, failed, .. } = &*self.counters;
        match &posted {
            Posted::Taken(rejected) => {
                let rejected = (*rejected).min(count);
                sent.fetch_add(count - rejected, Ordering::Relaxed);
                failed.fetch_add(rejected, Ordering::Relaxed);
            }
            Posted::Refused(_) | Posted::Later(_) => {
                failed.fetch_add(count, Ordering::Relaxed);
            }
        }
        self.tell(&posted);
    }

    fn tell(&mut self, posted: &Posted) {
        let collector = format_args!("{}:{}", self.options.host, self.options.port);
        let was_failing = self.failing;
        self.failing = !matches!(posted, Posted::Taken(_));
        match posted {
            _ if was_failing == self.failing => {}
            Posted::Taken(_) => tracing::info!(%collector, "spans are delivered again"),
            Posted::Refused(status) => {
                tracing::warn!(%collector, status, "the collector refuses spans");
            }
            Posted::Later(why) => tracing::warn!(%collector, why, "spans cannot be delivered"),
        }
    }

    /// Waits; whether to try again: not once the proxy stops.
    fn pauses(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        while Instant::now() < until {
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
    }

    fn post(&self, body: &[u8]) -> Posted {
        match self.exchange(body) {
            Ok(answer) => read(&answer),
            Err(error) => Posted::Later(error.to_string()),
        }
    }

    /// The whole answer, as far as it is read.
    fn exchange(&self, body: &[u8]) -> io::Result<Vec<u8>> {
        let Options { host, port, path, .. } = &self.options;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        let mut stream = None;
        for address in (bare, *port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(connected) => {
                    stream = Some(connected);
                    break;
                }
                Err(error) => last = error,
            }
        }
        let Some(mut stream) = stream else { return Err(last) };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: consentry/{}\r\n\
             Content-Type: application/x-protobuf\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            env!("CARGO_PKG_VERSION"),
            body.len(),
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let (mut answer, until) = (Vec::new(), Instant::now() + PATIENCE);
        let mut limited = stream.take(ANSWER_OCTETS_MAX);
        let mut octets = [0; 4096];
        // One that trickles is cut off too.
        while !is_whole(&answer) && Instant::now() < until {
            match limited.read(&mut octets)? {
                0 => break,
                count => answer.extend_from_slice(octets.get(..count).unwrap_or(&[])),
            }
        }
        Ok(answer)
    }
}

/// Takes what waits, as much as one delivery holds; with nothing at hand waits for it, and then for more. Whether nobody is
/// there to send any more.
fn collect(waiting: &Receiver<Vec<Span>>, batch: &mut Vec<Span>, stops: bool) -> bool {
    let until = Instant::now() + WAIT;
    while batch.len() < BATCH_SPANS_MAX {
        let left = if stops { Duration::ZERO } else { until - Instant::now().min(until) };
        match waiting.recv_timeout(left) {
            // What wakes a thread that is to stop.
            Ok(trace) if trace.is_empty() => return false,
            Ok(trace) => batch.extend(trace),
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => return true,
        }
    }
    false
}

/// The head of an answer and what stands behind it.
fn parted(answer: &[u8]) -> Option<(&str, &[u8])> {
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = answer.split_at_checked(at + 4)?;
    Some((std::str::from_utf8(head).ok()?, body))
}

fn length(head: &str) -> Option<usize> {
    let lower = head.to_ascii_lowercase();
    let line = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length:").map(str::trim).map(str::to_owned))?;
    line.parse().ok()
}

/// Whether nothing more has to be read.
fn is_whole(answer: &[u8]) -> bool {
    parted(answer)
        .is_some_and(|(head, body)| length(head).is_some_and(|length| body.len() >= length))
}

fn read(answer: &[u8]) -> Posted {
    let Some((head, body)) = parted(answer) else {
        return Posted::Later("what answers is no collector".to_owned());
    };
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse::<u16>().ok());
    match status {
        // Only a body of a known length is read for refused spans; one in chunks is taken at its status.
        Some(200..=299) => Posted::Taken(length(head).map_or(0, |_| wire::rejected(body))),
        Some(status @ (429 | 502 | 503 | 504)) => Posted::Later(format!("status {status}")),
        Some(status) => Posted::Refused(status),
        None => Posted::Later("what answers is no collector".to_owned()),
    }
}
