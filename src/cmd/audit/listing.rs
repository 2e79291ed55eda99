//! A list of records on standard output, up to a limit.

use std::io::{self, BufWriter, StdoutLock, Write};
use std::ops::ControlFlow;

use serde_json::Value;

use super::super::record::plain;
use super::{Answer, Failure};

/// How a list is shown.
#[derive(clap::Args)]
pub(super) struct Shown {
    /// Stop after so many results.
    #[arg(long, default_value_t = 1000)]
    pub(super) limit: usize,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Show numbers whole.
    #[arg(long)]
    pub(super) unmask: bool,
}

/// A list that is being shown.
pub(super) struct Listing {
    out: BufWriter<StdoutLock<'static>>,
    is_json: bool,
    limit: usize,
    count: usize,
    failed: Option<io::Error>,
}

impl Listing {
    /// One without a limit.
    pub(super) fn endless(is_json: bool) -> Listing {
        let out = BufWriter::new(io::stdout().lock());
        Listing { out, is_json, limit: usize::MAX, count: 0, failed: None }
    }

    pub(super) fn new(shown: &Shown) -> Listing {
        Listing { limit: shown.limit, ..Listing::endless(shown.json) }
    }

    /// Shows one more; a break says that no more are wanted.
    pub(super) fn push(&mut self, line: &Value) -> ControlFlow<()> {
        let written = match self.is_json {
            true => writeln!(self.out, "{line}"),
            false => writeln!(self.out, "{}", plain(line)),
        };
        self.failed = written.err();
        self.count += 1;
        match self.failed.is_some() || self.count >= self.limit {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Whether there was anything.
    pub(super) fn finish(mut self) -> Result<Answer, Failure> {
        if let Some(error) = self.failed {
            return Err(error.into());
        }
        self.out.flush()?;
        if self.count >= self.limit {
            eprintln!("stopped after {} results; --limit shows more", self.count);
        }
        Ok(if self.count > 0 { Answer::Yes } else { Answer::No })
    }
}
