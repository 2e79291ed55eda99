//! The proxy's own traces: what it read from ESMEs and wrote to them, as pcapng files that Wireshark
//! opens.
//!
//! Of each session the ESME's leg is written, as one TCP connection between the addresses that it had:
//! what a sniffer on that leg would have seen, also where the octets travelled encrypted. The SMSC's leg
//! carries the same octets but for what was refused, which the comments tell.
//!
//! | file | subject |
//! |---|---|
//! | this | starting, stopping, looking |
//! | [`filter`] | which frames are wanted |
//! | [`stream`] | a session as a TCP connection |
//! | [`queue`] | what waits for the writer: bounded, dropped beyond it |
//! | [`run`] | one run, and its thread that redacts and writes |
//! | [`redact`] | what is overwritten of a PDU |
//! | [`segment`] | TCP and IP headers with their checksums |
//! | [`pcapng`] | blocks of the file format |
//! | [`ring`] | the files, and how many there may be |
//!
//! No session ever waits for a file: what the writer does not get done in time is dropped and counted.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub mod filter;
pub mod pcapng;
pub mod queue;
pub mod redact;
pub mod ring;
pub mod run;
pub mod segment;
pub mod stream;

pub use filter::{Chosen, Filter, NAMES_MAX, SOURCE_OCTETS_MAX, Verdict};
pub use pcapng::Way;
pub use queue::Note;
pub use redact::Texts;
pub use ring::Limits;
pub use run::{End, Ended, Run, Wanted};
pub use stream::Stream;

/// How long a stop waits for the writer.
pub const STOP_MAX: Duration = Duration::from_secs(5);

/// What a capture is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the files go.
    pub folder: PathBuf,
    /// How much they may take.
    pub limits: Limits,
    /// What the configuration wants; a run on demand begins from it.
    pub wanted: Wanted,
}

/// What is in force, as far as captures name it.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Names in the registry.
    pub providers: Vec<String>,
    /// Stands in the header of each file: which rules were in force when its run began.
    pub rules: String,
}

/// Why a run cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// One does already.
    #[error("a capture runs already; stop it first")]
    Running,
    /// A name that the registry does not have.
    #[error("no provider of that name is in the registry: {0}")]
    Provider(String),
    /// A sender that no address can begin with, or a list that is too long.
    #[error(
        "a source is 1 to {SOURCE_OCTETS_MAX} visible ASCII characters, and a list has at most {NAMES_MAX} of them"
    )]
    Source,
    /// More is asked for than the configuration allows.
    #[error("texts are kept whole only where [capture] text says so")]
    Whole,
    /// The folder or its first file cannot be made.
    #[error("{folder}: {error}; see [capture] path")]
    Storage {
        /// The folder.
        folder: String,
        /// What the system says.
        error: std::io::Error,
    },
}

/// Figures since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Whether a run is under way.
    pub is_running: bool,
    /// Frames written.
    pub written: u64,
    /// Frames dropped, because the writer was behind.
    pub dropped: u64,
    /// Octets of files.
    pub octets: u64,
    /// Octets that wait.
    pub backlog: usize,
    /// Runs that ended, by [`End`].
    pub ended: [u64; End::ALL.len()],
}

/// The capture of a process: at most one run at a time.
#[derive(Debug)]
pub struct Capture {
    options: Options,
    known: Mutex<Known>,
    /// The number of the run under way; 0 while there is none. All that a session looks at.
    running: Arc<AtomicU64>,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    run: Option<Arc<Run>>,
    number: u64,
    /// Of all runs before that one.
    before: Figures,
}

impl Capture {
    /// A capture that does not run yet.
    pub fn new(options: Options, known: Known) -> Capture {
        Capture {
            options,
            known: Mutex::new(known),
            running: Arc::new(AtomicU64::new(0)),
            last: Mutex::default(),
        }
    }

    /// Something else is in force: for runs that begin from now on.
    pub fn follow(&self, known: Known) {
        *run::locked(&self.known) = known;
    }

    /// The number of the run under way; 0 while there is none.
    #[inline]
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    /// What it was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The last run, under way or not.
    pub fn run(&self) -> Option<Arc<Run>> {
        run::locked(&self.last).run.clone()
    }

    /// Whether a run like that may be asked for.
    pub fn check(&self, wanted: &Wanted) -> Result<(), StartFault> {
        let filter = &wanted.filter;
        let unknown = {
            let known = &run::locked(&self.known).providers;
            filter.providers.iter().find(|name| !known.contains(name)).cloned()
        };
        if let Some(name) = unknown {
            return Err(StartFault::Provider(name));
        }
        let is_source = |text: &String| {
            (1..=SOURCE_OCTETS_MAX).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_graphic())
        };
        let is_short = filter.sources.len() <= NAMES_MAX && filter.providers.len() <= NAMES_MAX;
        if !is_short || !filter.sources.iter().all(is_source) {
            return Err(StartFault::Source);
        }
        if wanted.texts == Texts::Whole && self.options.wanted.texts != Texts::Whole {
            return Err(StartFault::Whole);
        }
        Ok(())
    }

    /// Begins a run: makes its first file and its thread. Touches the disk.
    pub fn start(&self, wanted: Wanted) -> Result<Arc<Run>, StartFault> {
        self.check(&wanted)?;
        let mut last = run::locked(&self.last);
        if last.run.as_ref().is_some_and(|run| run.ended().is_none()) {
            return Err(StartFault::Running);
        }
        let Options { folder, limits, .. } = &self.options;
        let rules = run::locked(&self.known).rules.clone();
        let storage = |error| StartFault::Storage { folder: folder.display().to_string(), error };
        let comment = format!(
            "text {}, passwords overwritten, numbers whole; rules {rules}",
            wanted.texts.name()
        );
        let ring = ring::Ring::open(folder, *limits, comment).map_err(storage)?;
        last.before = figures(&last);
        last.number += 1;
        let run = Arc::new(Run::new(last.number, wanted, ring.file_name()));
        last.run = Some(run.clone());
        let running = self.running.clone();
        running.store(run.number, Ordering::Relaxed);
        let spawned = run::spawn(run.clone(), ring, move |run, ended| {
            running.store(0, Ordering::Relaxed);
            tell(run, ended);
        });
        if let Err(error) = spawned {
            self.running.store(0, Ordering::Relaxed);
            run.end(Ended {
                end: End::Storage,
                error: Some(error.to_string()),
                at_us: run::now_us(),
            });
            return Err(storage(error));
        }
        Ok(run)
    }

    /// Ends the run under way and waits for its file, [`STOP_MAX`] at most; whether nothing runs now.
    pub fn stop(&self) -> bool {
        self.running.store(0, Ordering::Relaxed);
        let Some(run) = self.run() else { return true };
        run.queue.stop();
        run.wait(STOP_MAX)
    }

    /// Figures since the process began.
    pub fn figures(&self) -> Figures {
        figures(&run::locked(&self.last))
    }
}

fn figures(last: &Last) -> Figures {
    let Some(run) = &last.run else { return last.before };
    let (backlog, dropped) = run.queue.figures();
    let ended = run.ended();
    let mut all = Figures {
        is_running: ended.is_none(),
        written: last.before.written + run.written.load(Ordering::Relaxed),
        dropped: last.before.dropped + dropped,
        octets: last.before.octets + run.octets.load(Ordering::Relaxed),
        backlog,
        ..last.before
    };
    if let Some(count) = ended.and_then(|ended| all.ended.get_mut(ended.end as usize)) {
        *count += 1;
    }
    all
}

fn tell(run: &Run, ended: &Ended) {
    let (frames, octets) =
        (run.written.load(Ordering::Relaxed), run.octets.load(Ordering::Relaxed));
    let (_, dropped) = run.queue.figures();
    let why = ended.end.name();
    match &ended.error {
        Some(error) => {
            tracing::error!(%error, frames, dropped, "the capture ended, traffic goes on: its file cannot be written");
        }
        None => tracing::info!(why, frames, dropped, octets, "the capture ended"),
    }
}
