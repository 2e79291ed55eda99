//! One run of the capture: its filter, its queue, and the thread that writes.

use std::fmt::Write;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::filter::{Filter, Verdict};
use super::pcapng::Said;
use super::queue::{Batch, Entry, Note, Queue};
use super::redact::{Texts, redact};
use super::ring::Ring;
use super::segment::{self, SEGMENT_OCTETS_MAX};

/// What is wanted of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Which frames.
    pub filter: Filter,
    /// What is kept of texts.
    pub texts: Texts,
    /// How long; `None` until it is stopped.
    pub duration: Option<Duration>,
    /// Octets after which it ends; `None` without end, the oldest file is removed for the newest.
    pub octets: Option<u64>,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Somebody stopped it, or the process ended.
    Asked = 0,
    /// Its time was over.
    Duration = 1,
    /// It had written its octets.
    Size = 2,
    /// The file could not be written.
    Storage = 3,
}

impl End {
    /// All of them, in the order of `as usize`.
    pub const ALL: [End; 4] = [End::Asked, End::Duration, End::Size, End::Storage];

    /// The word that metrics and API use.
    pub fn name(self) -> &'static str {
        match self {
            End::Asked => "asked",
            End::Duration => "duration",
            End::Size => "size",
            End::Storage => "storage",
        }
    }
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub end: End,
    /// What the system said, where it was the storage.
    pub error: Option<String>,
    /// When, microseconds since the Unix epoch.
    pub at_us: u64,
}

/// One run. Sessions hold it and put their frames into its queue.
#[derive(Debug)]
pub struct Run {
    /// Its number in this process, from 1.
    pub number: u64,
    /// What is wanted of it.
    pub wanted: Wanted,
    /// When it began, microseconds since the Unix epoch.
    pub since_us: u64,
    /// What waits to be written.
    pub queue: Queue,
    /// Frames written.
    pub written: AtomicU64,
    /// Octets of files.
    pub octets: AtomicU64,
    file: Mutex<String>,
    ended: Mutex<Option<Ended>>,
    ends: Condvar,
}

impl Run {
    pub(super) fn new(number: u64, wanted: Wanted, file: &str) -> Run {
        Run {
            number,
            wanted,
            since_us: now_us(),
            queue: Queue::default(),
            written: AtomicU64::new(0),
            octets: AtomicU64::new(0),
            file: Mutex::new(file.to_owned()),
            ended: Mutex::new(None),
            ends: Condvar::new(),
        }
    }

    /// The file that is written, or was last.
    pub fn file(&self) -> String {
        locked(&self.file).clone()
    }

    /// How it ended, once it has.
    pub fn ended(&self) -> Option<Ended> {
        locked(&self.ended).clone()
    }

    /// Waits for its end; whether that came in time.
    pub(super) fn wait(&self, most: Duration) -> bool {
        let ended = locked(&self.ended);
        let waited = self.ends.wait_timeout_while(ended, most, |ended| ended.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_some()
    }

    /// Writes until the run ends, and says why it did. Belongs to one thread.
    pub(super) fn write(&self, mut ring: Ring) -> Ended {
        let until = self.wanted.duration.map(|duration| Instant::now() + duration);
        let mut writer = Writer::default();
        let written = loop {
            let more = self.queue.take(&mut writer.batch);
            if let Err(error) = writer.write(self, &mut ring) {
                break Err(error);
            }
            if !more {
                break Ok(End::Asked);
            }
            if self.wanted.octets.is_some_and(|most| ring.written() >= most) {
                break Ok(End::Size);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                break Ok(End::Duration);
            }
        };
        self.queue.stop();
        let written = written.and_then(|end| {
            // What came between the last look and the stop.
            self.queue.take(&mut writer.batch);
            writer.write(self, &mut ring)?;
            let (_, dropped) = self.queue.figures();
            ring.end(now_us(), dropped.saturating_sub(writer.told_dropped))?;
            Ok(end)
        });
        self.queue.end();
        self.octets.store(ring.written(), Ordering::Relaxed);
        match written {
            Ok(end) => Ended { end, error: None, at_us: now_us() },
            Err(error) => {
                let error = Some(format!("{}: {error}", ring.file_name()));
                Ended { end: End::Storage, error, at_us: now_us() }
            }
        }
    }

    pub(super) fn end(&self, ended: Ended) {
        *locked(&self.ended) = Some(ended);
        self.ends.notify_all();
    }
}

/// What the writing thread works with.
#[derive(Default)]
struct Writer {
    batch: Batch,
    packet: Vec<u8>,
    ranges: Vec<Range<usize>>,
    comment: String,
    /// Dropped frames that stand beside a packet.
    told_dropped: u64,
}

impl Writer {
    fn write(&mut self, run: &Run, ring: &mut Ring) -> io::Result<()> {
        if self.batch.entries.is_empty() {
            return Ok(());
        }
        let mut rest = self.batch.octets.as_mut_slice();
        for entry in &self.batch.entries {
            let Some((frame, behind)) = rest.split_at_mut_checked(entry.octets) else { break };
            rest = behind;
            redact(frame, run.wanted.texts, &mut self.ranges);
            self.comment.clear();
            comment(&mut self.comment, entry);
            write_frame(ring, entry, frame, &self.comment, &mut self.packet)?;
            self.told_dropped += entry.dropped;
        }
        ring.flush()?;
        let frames = self.batch.entries.iter().filter(|entry| entry.octets > 0).count();
        run.written.fetch_add(frames as u64, Ordering::Relaxed);
        run.octets.store(ring.written(), Ordering::Relaxed);
        let mut file = locked(&run.file);
        if *file != ring.file_name() {
            ring.file_name().clone_into(&mut file);
        }
        Ok(())
    }
}

/// One packet for most frames; several for one longer than a packet.
fn write_frame(
    ring: &mut Ring,
    entry: &Entry,
    frame: &[u8],
    comment: &str,
    packet: &mut Vec<u8>,
) -> io::Result<()> {
    let mut segment = entry.segment;
    let mut said = Said { time_us: entry.time_us, way: entry.way, dropped: entry.dropped, comment };
    let mut rest = frame;
    loop {
        let (octets, behind) = rest.split_at(rest.len().min(SEGMENT_OCTETS_MAX));
        packet.clear();
        segment::write(packet, &segment, octets);
        ring.packet(packet, said)?;
        segment.sequence = segment.sequence.wrapping_add(octets.len() as u32);
        said = Said { dropped: 0, comment: "", ..said };
        rest = behind;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

/// What a reader is told of a frame. Names of rules and sessions, nothing of the message.
fn comment(out: &mut String, entry: &Entry) {
    let session = entry.session;
    // Writing to a String cannot fail.
    let _ = match &entry.note {
        Note::None => Ok(()),
        Note::Passed => write!(out, "session {session}: {}", Verdict::Pass.name()),
        Note::Observed(rule) => {
            write!(out, "session {session}: {} {rule}", Verdict::Observe.name())
        }
        Note::Refused(rule) => write!(out, "session {session}: {} {rule}", Verdict::Refuse.name()),
        Note::Ours => write!(out, "session {session}: answered by the proxy"),
        Note::Says(text) => write!(out, "session {session}: {text}"),
        Note::Ends(why) => write!(out, "session {session}: ended, {why}"),
    };
}

pub(super) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a run's thread and what it tells at its end together.
pub(super) fn spawn(
    run: Arc<Run>,
    ring: Ring,
    then: impl FnOnce(&Run, &Ended) + Send + 'static,
) -> io::Result<()> {
    std::thread::Builder::new().name("capture".to_owned()).spawn(move || {
        let ended = run.write(ring);
        then(&run, &ended);
        run.end(ended);
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::ring::Limits;
    use crate::capture::{Stream, Way};
    use crate::smpp::{Command, CommandStatus, write};

    /// A writer that does not get on, here because it waits for a lock, stops no session.
    #[test]
    fn behind_a_writer_that_stands_still_frames_are_dropped_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { file_octets: 64 << 20, files: 2 };
        let ring = Ring::open(folder.path(), limits, String::new()).unwrap();
        let run = Arc::new(Run::new(1, Wanted::default(), ring.file_name()));
        let standing_still = locked(&run.file);
        spawn(run.clone(), ring, |_, _| {}).unwrap();
        let esme = "[2001:db8::1]:1".parse().unwrap();
        let mut stream = Stream::new(esme, "[2001:db8::2]:2775".parse().unwrap(), true, 1);
        stream.open(&run.queue, 1, String::new());
        let mut frame = Vec::new();
        let id = Command::EnquireLink.id();
        write::pdu(&mut frame, id, CommandStatus::ESME_ROK, 1, |out| out.resize(60_016, 0));
        // Once it has taken the first frame it stands still: what is dropped from then on is told as one.
        stream.pdu(&run.queue, Way::In, 1, Note::None, &frame);
        while run.queue.figures().0 > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let began = Instant::now();
        let mut put = 1;
        while run.queue.figures().1 < 100 {
            stream.pdu(&run.queue, Way::In, 1, Note::None, &frame);
            put += 1;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "nobody waited");
        drop(standing_still);
        while run.queue.figures().0 > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        stream.pdu(&run.queue, Way::In, 2, Note::None, &frame);
        run.queue.stop();
        assert!(run.wait(Duration::from_secs(20)));
        assert_eq!(run.ended().map(|ended| ended.end), Some(End::Asked));
        let (_, dropped) = run.queue.figures();
        assert_eq!(run.written.load(Ordering::Relaxed) + dropped, put + 1);
        let octets = std::fs::read(folder.path().join(run.file())).unwrap();
        // Code 4, length 8: epb_dropcount; code 5, length 8: isb_ifdrop.
        let count = dropped.to_le_bytes();
        for option in [[4, 0, 8, 0], [5, 0, 8, 0]] {
            let told = [&option[..], &count].concat();
            assert!(octets.windows(12).any(|window| window == told), "{dropped} in {option:?}");
        }
    }
}
