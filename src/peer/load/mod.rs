//! A load generator that does not flatter what it measures.
//!
//! With a rate it is an open loop: message i is due at i / rate, whoever may be slow, and its
//! latency counts from that moment, not from when a window or a socket let it out. So a peer that
//! stops for 50 ms shows with all messages that were due in them, not with the few that were under
//! way (no coordinated omission). Without a rate it is a closed loop: each session keeps its window
//! full, and the latency counts from the write.
//!
//! How exact it is: answers wake the reading task through epoll; due messages are sent by a pacing
//! thread that sleeps until the next is due, with the kernel's timer slack set to its least, but
//! never less than [`PACE_TICK`]. What the generator and the machine add is part of every latency
//! that it reports, and is not known in advance: where timers fire late or a hypervisor takes the
//! core away, the same delay meets every message due in it. Measure an SMSC directly first, and
//! read a proxy's latency only as the difference to that.

mod pace;
mod plan;
mod report;
mod self_check;
mod session;
mod template;
mod window;

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

pub use pace::PACE_TICK;
use pace::{Timer, pace};
use plan::{Plan, Share};
pub use report::{Cpu, Latency, Report};
pub use self_check::{SelfCheck, SelfCheckFault, self_check};
use session::{Session, Tally};
use template::Template;
pub use template::TemplateFault;
pub use window::WINDOW_MAX;

use super::cpu;
use super::esme::{Esme, EsmeFault};
use crate::smpp::{Command, CommandStatus};

/// What to send, where, and how fast.
#[derive(Clone)]
pub struct Options {
    /// Where sessions connect, in turn. At least one.
    pub to: Vec<SocketAddr>,
    /// Number of sessions, all bound as transceivers.
    pub sessions: usize,
    /// Requests of one session that may wait for their answers, 1 to [`WINDOW_MAX`].
    pub window: usize,
    /// Messages a second over all sessions; `None` sends as fast as the windows allow.
    pub rate: Option<u64>,
    /// How much is sent.
    pub length: Length,
    /// Messages of the first part of the time are sent, and not measured. Zero with a count.
    pub warmup: Duration,
    /// Who binds.
    pub system_id: String,
    /// Its password.
    pub password: String,
    /// What is sent.
    pub message: Message,
    /// Stops sending and reading for the second of these at the first of these, counted from the
    /// start of what is measured.
    pub pause: Option<(Duration, Duration)>,
    /// A session gives up when it waits this long without one answer, to its bind too.
    pub response_timeout: Duration,
    /// Threads that send and read.
    pub threads: usize,
    /// Processes whose CPU time is reported.
    pub cpu_of: Vec<u32>,
}

/// How much is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// For that long, after the warm-up.
    For(Duration),
    /// That many messages, over all sessions.
    Count(u64),
}

/// What every submit_sm says.
#[derive(Clone)]
pub struct Message {
    /// source_addr, at most 20 octets.
    pub source: String,
    /// The first destination_addr, digits.
    pub dest_base: u64,
    /// How many destinations follow one another from `dest_base` on, then again.
    pub dest_count: u64,
    /// How the text is coded.
    pub data_coding: u8,
    /// The text, already so coded; above 254 octets it goes into message_payload.
    pub text: Vec<u8>,
    /// Whether a receipt is asked for.
    pub receipt: bool,
}

impl Default for Message {
    fn default() -> Message {
        Message {
            source: "106900001234".to_owned(),
            dest_base: 13_800_000_000,
            dest_count: 1_000_000,
            data_coding: 8,
            text: [0x4e, 0x2d].repeat(30),
            receipt: false,
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            to: Vec::new(),
            sessions: 4,
            window: 100,
            rate: None,
            length: Length::For(Duration::from_secs(10)),
            warmup: Duration::ZERO,
            system_id: "load".to_owned(),
            password: "secret".to_owned(),
            message: Message::default(),
            pause: None,
            response_timeout: Duration::from_secs(5),
            threads: 1,
            cpu_of: Vec::new(),
        }
    }
}

/// Why nothing could be sent.
#[derive(Debug, thiserror::Error)]
pub enum LoadFault {
    /// The options do not fit together.
    #[error("{0}")]
    Options(&'static str),
    /// The message cannot be made.
    #[error(transparent)]
    Template(#[from] TemplateFault),
    /// No connection, or no answer to the bind.
    #[error("cannot bind at {0}: {1}")]
    Connect(SocketAddr, EsmeFault),
    /// The bind was refused.
    #[error("{0} refused the bind of {1}: {2}")]
    Bind(SocketAddr, String, CommandStatus),
    /// No threads.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Connects, binds, sends, waits for the answers, unbinds. Blocks: not to be called from a task.
pub fn run(options: &Options) -> Result<Report, LoadFault> {
    check(options)?;
    let threads = options.threads.clamp(1, options.sessions);
    let plan = Plan::of(options);
    let mut crews = Vec::new();
    for thread in 0..threads {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut sessions = Vec::new();
        let mut wakes: Vec<Option<Arc<Notify>>> = vec![None; options.sessions];
        for (number, wake) in wakes.iter_mut().enumerate().skip(thread).step_by(threads) {
            let wake = wake.insert(Arc::default());
            let esme = runtime.block_on(bind(options, number))?;
            let template = Template::of(&options.message, number, options.sessions)?;
            let share = Share::of(plan, number, options.sessions);
            sessions.push(Session::new(esme, template, share, options, wake.clone()));
        }
        let timer = runtime.block_on(async { Timer::new() })?;
        crews.push(Crew { runtime, timer, sessions, wakes });
    }
    Ok(measure(options, plan, crews))
}

fn check(options: &Options) -> Result<(), LoadFault> {
    let fault = if options.to.is_empty() || options.sessions == 0 {
        "there is nowhere to send to: give --to and at least one session"
    } else if options.window == 0 || options.window > WINDOW_MAX {
        "the window must be 1 to 1000000 requests"
    } else if options.rate == Some(0) {
        "the rate must be at least one message a second; leave it out to send as fast as possible"
    } else if options.length == Length::For(Duration::ZERO) {
        "the duration must be longer than zero"
    } else {
        return Ok(());
    };
    Err(LoadFault::Options(fault))
}

async fn bind(options: &Options, number: usize) -> Result<Esme, LoadFault> {
    let to = options.to[number % options.to.len()];
    let mut esme = Esme::connect(to).await.map_err(|e| LoadFault::Connect(to, e))?;
    esme.read_deadline = options.response_timeout;
    let kind = Command::BindTransceiver;
    let bound = esme.bind(kind, &options.system_id, &options.password).await;
    match bound.map_err(|e| LoadFault::Connect(to, e))? {
        status if status.is_ok() => Ok(esme),
        status => Err(LoadFault::Bind(to, options.system_id.clone(), status)),
    }
}

/// Lets the sessions go, all from one moment on, and gathers what they counted.
///
/// Every thread stays until the CPU time is read: the kernel forgets a thread's when it ends.
fn measure(options: &Options, plan: Plan, crews: Vec<Crew>) -> Report {
    let start = Instant::now();
    let mut pids = options.cpu_of.clone();
    pids.push(std::process::id());
    let (tallies, before, after) = thread::scope(|scope| {
        let (counted, tallies) = mpsc::channel();
        let mut held = Vec::new();
        for crew in crews {
            let counted = counted.clone();
            let (hold, released) = mpsc::channel::<()>();
            held.push(hold);
            scope.spawn(move || {
                let sent = counted.send(crew.work(plan, start));
                drop(counted);
                // Ends, with an error, when the other side lets go.
                sent.is_ok() && released.recv().is_ok()
            });
        }
        drop(counted);
        thread::sleep(Duration::from_nanos(plan.warmup_ns).saturating_sub(start.elapsed()));
        let before: Vec<_> = pids.iter().map(|&pid| cpu::used(pid)).collect();
        let tallies: Vec<Tally> = tallies.iter().flatten().collect();
        let after: Vec<_> = pids.iter().map(|&pid| cpu::used(pid)).collect();
        drop(held);
        (tallies, before, after)
    });
    let mut report = Report::of(&tallies, plan.warmup_ns);
    for ((pid, before), after) in pids.into_iter().zip(before).zip(after) {
        report.add_cpu(pid, before.zip(after).map(|(b, a)| a.saturating_sub(b)));
    }
    report
}

/// One thread: its reactor, its sessions, and what wakes them.
struct Crew {
    runtime: Runtime,
    timer: Timer,
    sessions: Vec<Session>,
    wakes: Vec<Option<Arc<Notify>>>,
}

impl Crew {
    /// Runs the sessions to their end.
    fn work(self, plan: Plan, start: Instant) -> Vec<Tally> {
        self.runtime.block_on(async {
            let pacing = tokio::spawn(pace(plan, start, self.timer, self.wakes));
            let sessions = self.sessions.into_iter().map(|one| tokio::spawn(one.run(start)));
            let mut tallies = Vec::new();
            for session in sessions.collect::<Vec<_>>() {
                tallies.push(session.await.unwrap_or_default());
            }
            pacing.abort();
            tallies
        })
    }
}
