//! The files of a trace, and how far they have been read.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::super::Failure;
use crate::replay::Trace;

/// How standard input is named.
const STANDARD_INPUT: &str = "-";

/// How often the progress bar is drawn.
const DRAW: Duration = Duration::from_millis(200);

/// Calls between two looks at the clock.
const CALLS_A_LOOK: u32 = 4096;

/// A file whose octets are counted as they are read.
struct Counted {
    from: Box<dyn Read + Send>,
    octets: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let octets = self.from.read(into)?;
        self.octets.fetch_add(octets as u64, Ordering::Relaxed);
        Ok(octets)
    }
}

/// The traces, each opened when its turn comes.
pub(super) struct Files {
    paths: std::vec::IntoIter<PathBuf>,
    octets: Arc<AtomicU64>,
    at: At,
}

/// Which trace is being read, by its place on the command line; shared with who reads.
#[derive(Clone, Default)]
pub(super) struct At(Rc<Cell<usize>>);

impl At {
    /// Its place, from 0.
    pub(super) fn place(&self) -> usize {
        self.0.get().saturating_sub(1)
    }
}

impl Iterator for Files {
    type Item = Trace;

    fn next(&mut self) -> Option<Trace> {
        let path = self.paths.next()?;
        self.at.0.set(self.at.0.get() + 1);
        let name = path.display().to_string();
        let from: io::Result<Box<dyn Read + Send>> = if name == STANDARD_INPUT {
            Ok(Box::new(io::stdin()))
        } else {
            File::open(path).map(|file| Box::new(file) as Box<dyn Read + Send>)
        };
        let octets = self.octets.clone();
        let input = from.map(|from| Box::new(Counted { from, octets }) as Box<dyn Read + Send>);
        Some(Trace { name, input })
    }
}

/// Looks at all of them, so that a missing one is said before an hour of work.
pub(super) fn open(paths: Vec<PathBuf>) -> Result<(Files, At, Bar), Failure> {
    // Octets of all files together; unknown where one is no file.
    let mut length = Some(0_u64);
    for path in &paths {
        if path.as_os_str() == STANDARD_INPUT {
            length = None;
            continue;
        }
        let name = path.display();
        let about =
            path.metadata().map_err(|error| Failure(format!("{name}: cannot be read: {error}")))?;
        if about.is_dir() {
            return Err(Failure(format!("{name}: is a folder; name the captures in it")));
        }
        length = length.filter(|_| about.is_file()).map(|sum| sum + about.len());
    }
    let (octets, at) = (Arc::new(AtomicU64::new(0)), At::default());
    let bar = Bar::new(length, octets.clone());
    let files = Files { paths: paths.into_iter(), octets, at: at.clone() };
    Ok((files, at, bar))
}

/// The progress bar: on a terminal only.
pub(super) struct Bar {
    length: Option<u64>,
    octets: Arc<AtomicU64>,
    begun: Instant,
    drawn: Option<Instant>,
    calls: u32,
    is_terminal: bool,
}

impl Bar {
    fn new(length: Option<u64>, octets: Arc<AtomicU64>) -> Bar {
        let is_terminal = io::stderr().is_terminal();
        Bar { length, octets, begun: Instant::now(), drawn: None, calls: 0, is_terminal }
    }

    /// Draws how far the files have been read, if it is time to.
    pub(super) fn draw(&mut self) {
        self.calls = self.calls.wrapping_add(1);
        if !self.is_terminal || !self.calls.is_multiple_of(CALLS_A_LOOK) {
            return;
        }
        if self.drawn.is_some_and(|drawn| drawn.elapsed() < DRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        eprint!(
            "\r{}\x1b[K",
            shown(self.octets.load(Ordering::Relaxed), self.length, self.begun.elapsed())
        );
    }

    /// Takes the bar off the terminal, so that something else can be said.
    pub(super) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

/// So many octets of so many, after that time.
fn shown(octets: u64, length: Option<u64>, elapsed: Duration) -> String {
    let mebi = |octets: u64| octets >> 20;
    let Some(length) = length.filter(|length| *length > 0) else {
        return format!("{} MiB read", mebi(octets));
    };
    let share = octets.saturating_mul(100) / length;
    let filled = usize::try_from(share / 4).unwrap_or(25).min(25);
    let left = length.saturating_sub(octets);
    let left = elapsed.as_secs_f64() * left as f64 / octets.max(1) as f64;
    format!(
        "[{:<25}] {share:>3} %  {} of {} MiB  {} s left",
        "#".repeat(filled),
        mebi(octets),
        mebi(length),
        left.ceil()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_says_how_much_and_how_long() {
        let second = Duration::from_secs(10);
        for (octets, length, expected) in [
            (3 << 20, None, "3 MiB read"),
            (0, Some(0), "0 MiB read"),
            (
                50 << 20,
                Some(100 << 20),
                "[############             ]  50 %  50 of 100 MiB  10 s left",
            ),
            (
                100 << 20,
                Some(100 << 20),
                "[#########################] 100 %  100 of 100 MiB  0 s left",
            ),
        ] {
            assert_eq!(shown(octets, length, second), expected);
        }
    }
}
