//! The thread of a mirror: read, deliver, move on, wait, try again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::place::{FOLDER, Place, make};
use super::sink::{Delivered, Seam, Sink, SinkFault};
use super::{Counters, Options, rejected};
use crate::archive::{Column, Numbers, Row, Value};
use crate::audit::proof::tree;
use crate::audit::sealed::Purpose;
use crate::audit::{Entry, Journal, Reader, Record};

/// How long is waited after the first failure; twice as long after each that follows.
const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// How long is waited at most.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

pub(super) struct Worker {
    journal: Journal,
    /// The journal's folder.
    records: PathBuf,
    /// The folder of places.
    places: PathBuf,
    options: Options,
    counters: Arc<Counters>,
    stop: CancellationToken,
    sink: Sink,
    /// Behind what the sink has taken.
    ahead: Place,
    /// Rows that the sink has taken since the place was written.
    taken: u64,
    /// Number of the next record as it is written in the place.
    written: u64,
    /// None: to be opened at the place that is written.
    reader: Option<Reader>,
    backoff: Duration,
    /// The last failure, while it lasts.
    failing: Option<SinkFault>,
}

impl Worker {
    pub fn new(
        journal: Journal,
        records: &Path,
        options: Options,
        (counters, stop): (Arc<Counters>, CancellationToken),
    ) -> Result<Worker, SinkFault> {
        let places = records.join(FOLDER);
        make(&places)?;
        let ahead = Place::read(&places, &options.name)
            .map_err(|error| SinkFault::Setting(error.to_string()))?;
        let sink = Sink::new(&options, &ahead.journal)?;
        counters.next.store(ahead.record, Ordering::Relaxed);
        Ok(Worker {
            journal,
            records: records.to_owned(),
            places,
            options,
            counters,
            stop,
            sink,
            written: ahead.record,
            ahead,
            taken: 0,
            reader: None,
            backoff: BACKOFF_MIN,
            failing: None,
        })
    }

    /// Mirrors until it is told to stop.
    pub fn run(mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else {
            tracing::error!(mirror = self.options.name, "no thread to mirror with");
            return;
        };
        let stop = self.stop.clone();
        runtime.block_on(async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.mirror() => {}
            }
        });
    }

    async fn mirror(&mut self) {
        loop {
            let rest = match self.turn().await {
                Ok(more) => {
                    self.heal();
                    if more { Duration::ZERO } else { self.options.wait }
                }
                Err(fault) => self.fail(fault),
            };
            tokio::time::sleep(rest).await;
        }
    }

    /// Reads a batch and delivers it; whether there is more to read now.
    async fn turn(&mut self) -> Result<bool, SinkFault> {
        if self.reader.is_none() {
            self.begin()?;
        }
        let more = self.read()?;
        if self.ahead.record > self.written || self.sink.is_due() {
            let done = self.sink.deliver().await?;
            self.settle(&done)?;
        }
        self.sink.moved_on()?;
        Ok(more)
    }

    /// Opens the journal at the place that is written.
    fn begin(&mut self) -> Result<(), SinkFault> {
        let mut place = Place::read(&self.places, &self.options.name)?;
        let end = self.journal.synced_next();
        if place.record > end {
            let (name, record) = (&self.options.name, place.record);
            tracing::error!(
                mirror = name,
                record,
                end,
                "the mirror has more than the journal, which lost its end or is another: rows get a new journal word"
            );
            place.begin_anew(end)?;
            place.write(&self.places, name)?;
            self.sink = Sink::new(&self.options, &place.journal)?;
        }
        self.sink.resume(place.file)?;
        let reader = Reader::open_at(&self.records, place.record, &place.rule_set)
            .map_err(|fault| SinkFault::Down(fault.to_string()))?
            .with_keys(self.options.keys.clone());
        self.counters.next.store(place.record, Ordering::Relaxed);
        self.written = place.record;
        self.taken = 0;
        self.ahead = place;
        self.reader = Some(reader);
        Ok(())
    }

    /// Gives a batch of records to the sink: only such as are on the disk. Whether there are more.
    fn read(&mut self) -> Result<bool, SinkFault> {
        let Worker { reader, ahead, sink, options, counters, taken, records, .. } = self;
        let Some(reader) = reader else { return Ok(false) };
        let numbers = match options.whole_numbers {
            true => Numbers::Whole,
            false => Numbers::Masked(options.token.as_deref()),
        };
        let end = self.journal.synced_next();
        reader.forget_ahead().map_err(|fault| SinkFault::Down(fault.to_string()))?;
        for _ in 0..options.batch {
            if ahead.record >= end {
                return Ok(false);
            }
            let entry = reader.next().map_err(|fault| SinkFault::Down(fault.to_string()))?;
            let Some(entry) = entry else { return Ok(false) };
            if entry.number > ahead.record {
                let skipped = entry.number - ahead.record;
                counters.skipped.fetch_add(skipped, Ordering::Relaxed);
                tracing::error!(
                    mirror = options.name,
                    from = ahead.record,
                    to = entry.number,
                    "records were purged before they were mirrored"
                );
                // Nobody has it: whoever reads the rows sees that some are missing.
                ahead.last = Some(entry.number - 1);
            }
            let record = entry.record();
            ahead.sessions.look(&record);
            if sink.is_of_consent() {
                if let Record::Consent(consent) = &record {
                    sink.take_consent((entry.number, entry.time_us), consent, numbers);
                    *taken += 1;
                }
            } else if !matches!(record, Record::Link(_)) {
                let rule_set = entry.rule_set();
                let mut row = Row::of(entry.number, entry.time_us, rule_set, &record, numbers);
                if let Some(named) = session(&row).and_then(|session| ahead.sessions.named(session))
                {
                    row.name(named);
                }
                if options.content
                    && let Some(sealed) = sealed(records, &entry)?
                {
                    row.sealed(&sealed);
                }
                let seam = Seam { previous: ahead.last, leaf: tree::leaf(entry.octets) };
                sink.take((entry.number, entry.time_us), &seam, &row)?;
                ahead.last = Some(entry.number);
                *taken += 1;
            }
            ahead.record = entry.number + 1;
        }
        Ok(true)
    }

    /// Keeps what was rejected, and moves on when everything taken is where it stays.
    fn settle(&mut self, done: &Delivered) -> Result<(), SinkFault> {
        let name = &self.options.name;
        if !done.rejected.is_empty() {
            rejected::keep(&self.places, name, &done.rejected)?;
            self.counters.rejected.fetch_add(done.rejected.len() as u64, Ordering::Relaxed);
            let file = rejected::file(&self.places, name);
            for row in &done.rejected {
                let (record, why, file) = (row.record, &row.why, file.display());
                tracing::error!(mirror = name, record, why, %file, "a row is refused for ever");
            }
        }
        if !done.durable {
            return Ok(());
        }
        self.ahead.file = self.sink.file();
        if let Some(reader) = &self.reader {
            self.ahead.rule_set = reader.rule_set().to_string();
        }
        self.ahead.write(&self.places, name)?;
        self.written = self.ahead.record;
        self.counters.next.store(self.written, Ordering::Relaxed);
        self.counters.delivered.fetch_add(self.taken, Ordering::Relaxed);
        self.taken = 0;
        Ok(())
    }

    /// Everything since the place is read again; how long to wait until then.
    fn fail(&mut self, fault: SinkFault) -> Duration {
        self.sink.clear();
        self.reader = None;
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        if self.failing.as_ref() != Some(&fault) {
            let mirror = &self.options.name;
            tracing::warn!(mirror, %fault, "the mirror takes nothing; it is tried again");
            self.failing = Some(fault);
        }
        let rest = self.backoff;
        self.backoff = (2 * rest).min(BACKOFF_MAX);
        rest
    }

    fn heal(&mut self) {
        self.backoff = BACKOFF_MIN;
        if self.failing.take().is_some() {
            tracing::info!(mirror = self.options.name, "the mirror takes records again");
        }
    }
}

/// The session of a row.
fn session(row: &Row<'_>) -> Option<u64> {
    match row.value(Column::Session) {
        Value::Number(session) => Some(*session),
        Value::None | Value::Time(_) | Value::Text(_) => None,
    }
}

/// What of a record only auditors can open: its content, or, where a segment begins, the wrapped key of its
/// contents. None where that was destroyed.
fn sealed(journal: &Path, entry: &Entry<'_>) -> Result<Option<Vec<u8>>, SinkFault> {
    match entry.record() {
        Record::Content(_) => Ok(Some(entry.octets.to_vec())),
        Record::Keys(keys) if keys.first == entry.number => {
            let path = journal.join(Purpose::Content.name(entry.segment_first));
            match std::fs::read(&path) {
                Ok(octets) => Ok(Some(octets)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(SinkFault::Down(format!("{}: {error}", path.display()))),
            }
        }
        _ => Ok(None),
    }
}
