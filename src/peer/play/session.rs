//! One stream under way: binds, sends what is due, reads the answers, unbinds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant as Deadline, sleep_until, timeout};

use super::plan::Stream;
use super::report::Tally;
use super::{Options, Speed};
use crate::peer::esme::Esme;
use crate::peer::inbox::Inbox;
use crate::smpp::frame::FrameFault;
use crate::smpp::{Command, CommandStatus, Header, write};

/// Octets in the out buffer above which no request is added.
const OUT_OCTETS_MAX: usize = 256 * 1024;
/// How long a session waits for its unbind_resp.
const UNBIND_TIMEOUT: Duration = Duration::from_secs(1);
/// sequence_number of our unbind: the last one there is (SMPP 3.4 5.1.4), where no ESME counts to.
const UNBIND_SEQUENCE: u32 = 0x7fff_ffff;

/// A request without its answer.
#[derive(Clone, Copy)]
struct Open {
    command: Command,
    sequence_number: u32,
    index: usize,
    sent: Instant,
}

/// One stream while it is played.
pub(super) struct Session<'a> {
    stream: &'a Stream,
    options: &'a Options,
    start: Instant,
    inbox: Inbox,
    out: Vec<u8>,
    next: usize,
    open: VecDeque<Open>,
    tally: Tally,
}

impl<'a> Session<'a> {
    /// `start` is when the first stream of the plan begins.
    pub(super) fn new(stream: &'a Stream, options: &'a Options, start: Instant) -> Session<'a> {
        let (out, open) = (Vec::new(), VecDeque::new());
        let tally = Tally::default();
        Session { stream, options, start, inbox: Inbox::default(), out, next: 0, open, tally }
    }

    /// Plays the stream to its end.
    pub(super) async fn run(mut self) -> Tally {
        let number = self.stream.number;
        match self.bind().await {
            Ok(mut connection) => match self.play(&mut connection).await {
                Ok(()) => self.unbind(&mut connection).await,
                Err(why) => self.tally.fault = Some(format!("stream {number}: {why}")),
            },
            Err(why) => {
                self.tally.never_bound = true;
                self.tally.fault = Some(format!("stream {number}: {why}"));
            }
        }
        while let Some(open) = self.open.pop_front() {
            self.give_up(open);
        }
        self.tally.unsent = (self.stream.requests.len() - self.next) as u64;
        self.tally
    }

    async fn bind(&mut self) -> Result<TcpStream, String> {
        let Options { to, response_timeout, system_id, password, .. } = self.options;
        let connected = timeout(*response_timeout, Esme::connect(*to)).await;
        let mut esme = match connected {
            Ok(Ok(esme)) => esme,
            Ok(Err(fault)) => return Err(format!("cannot connect to {to}: {fault}")),
            Err(_) => return Err(format!("cannot connect to {to} within {response_timeout:?}")),
        };
        esme.read_deadline = *response_timeout;
        let kind = self.stream.bind.unwrap_or(Command::BindTransceiver);
        let status = esme.bind(kind, system_id, password).await;
        match status.map_err(|fault| format!("{kind}: {fault}"))? {
            status if status.is_ok() => {
                self.inbox = esme.inbox;
                Ok(esme.stream)
            }
            status => Err(format!("{kind} was answered {status}")),
        }
    }

    async fn play(&mut self, connection: &mut TcpStream) -> Result<(), String> {
        let (mut reader, mut writer) = connection.split();
        let mut moved = Instant::now();
        loop {
            let now = Instant::now();
            if self.out.is_empty() {
                moved = now;
            } else if now.saturating_duration_since(moved) >= self.options.response_timeout {
                return Err(format!(
                    "the peer took nothing for {:?}",
                    self.options.response_timeout
                ));
            }
            self.give_up_the_late(now);
            self.fill(now);
            if self.is_done(now) {
                return Ok(());
            }
            let wake = Deadline::from_std(self.wakes_at(now));
            tokio::select! {
                biased;
                written = writer.write(&self.out), if !self.out.is_empty() => match written {
                    Ok(count) => {
                        self.out.drain(..count);
                        moved = Instant::now();
                    }
                    Err(error) => return Err(format!("the connection failed: {error}")),
                },
                read = reader.read(self.inbox.space()) => match read {
                    Ok(0) => return Err("the peer closed the connection".to_owned()),
                    Ok(count) => {
                        self.inbox.filled(count);
                        self.take(Instant::now())?;
                    }
                    Err(error) => return Err(format!("the connection failed: {error}")),
                },
                () = sleep_until(wake) => {}
            }
        }
    }

    /// When a request is due; `None` for at once.
    fn due(&self, us: u64) -> Option<Instant> {
        match self.options.speed {
            Speed::Max => None,
            Speed::Times(times) => Some(self.start + scaled(us, times)),
        }
    }

    /// All is sent and answered, and the stream is as old as it was.
    fn is_done(&self, now: Instant) -> bool {
        let is_sent = self.next == self.stream.requests.len() && self.out.is_empty();
        let is_over = self.due(self.stream.ends_us).is_none_or(|end| end <= now);
        is_sent && self.open.is_empty() && is_over
    }

    /// When there is something to do without anything coming: the next request, the end, an answer
    /// that is too late, a peer that takes nothing.
    fn wakes_at(&self, now: Instant) -> Instant {
        let next = match self.stream.requests.get(self.next) {
            Some(request) if self.has_room() => self.due(request.due_us),
            Some(_) => None,
            None => self.due(self.stream.ends_us),
        };
        let late = self.open.front().map(|open| open.sent + self.options.response_timeout);
        let idle = now + self.options.response_timeout;
        [next, late].into_iter().flatten().min().unwrap_or(idle).min(idle)
    }

    fn has_room(&self) -> bool {
        self.open.len() < self.options.window && self.out.len() < OUT_OCTETS_MAX
    }

    /// Appends every request that is due and has room in the window.
    fn fill(&mut self, now: Instant) {
        while let Some(request) = self.stream.requests.get(self.next).filter(|_| self.has_room()) {
            let due = self.due(request.due_us);
            if due.is_some_and(|due| due > now) {
                return;
            }
            let late = due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
            self.tally.late_ns_max = self.tally.late_ns_max.max(nanoseconds(late));
            let octets = self.stream.octets(self.next);
            self.out.extend_from_slice(octets);
            if let Some(Header { command, sequence_number, .. }) = Header::of(octets) {
                let index = self.next;
                self.open.push_back(Open { command, sequence_number, index, sent: now });
            }
            self.next += 1;
            self.tally.sent += 1;
        }
    }

    /// Takes in what one read brought.
    fn take(&mut self, now: Instant) -> Result<(), String> {
        loop {
            let frame = self.inbox.cut().map_err(|f: FrameFault| format!("no SMPP came: {f}"))?;
            let Some(header) = frame.and_then(Header::of) else { return Ok(()) };
            if header.command.is_response() {
                self.answered(header, now);
            } else {
                self.asked(header)?;
            }
        }
    }

    /// The oldest request of that number is answered; answers come mostly in order.
    fn answered(&mut self, header: Header, now: Instant) {
        let number = header.sequence_number;
        let found = self.open.iter().position(|open| open.sequence_number == number);
        let Some(open) = found.and_then(|at| self.open.remove(at)) else {
            self.tally.unexpected += 1;
            return;
        };
        self.tally.latency.record(nanoseconds(now.saturating_duration_since(open.sent)));
        self.compare(open, Some(header.command_status));
    }

    /// What a peer may ask of an ESME by itself.
    fn asked(&mut self, header: Header) -> Result<(), String> {
        let (id, sequence) = (header.command.response_id(), header.sequence_number);
        let ok = CommandStatus::ESME_ROK;
        match header.command {
            Command::EnquireLink => write::header_only(&mut self.out, id, ok, sequence),
            Command::DeliverSm | Command::DataSm => {
                self.tally.delivered += 1;
                write::pdu(&mut self.out, id, ok, sequence, |out| out.push(0));
            }
            Command::Unbind => return Err("the peer unbound".to_owned()),
            _ => self.tally.unexpected += 1,
        }
        Ok(())
    }

    fn give_up_the_late(&mut self, now: Instant) {
        while let Some(open) = self.open.front().copied()
            && now.saturating_duration_since(open.sent) >= self.options.response_timeout
        {
            self.open.pop_front();
            self.give_up(open);
        }
    }

    fn give_up(&mut self, open: Open) {
        self.tally.unanswered += 1;
        self.compare(open, None);
    }

    fn compare(&mut self, open: Open, now: Option<CommandStatus>) {
        let captured = self.stream.requests.get(open.index).and_then(|request| request.answered);
        let at = (self.stream.number, open.index);
        self.tally.compare(at, (open.command, open.sequence_number), captured, now);
    }

    async fn unbind(&mut self, connection: &mut TcpStream) {
        let id = Command::Unbind.id();
        write::header_only(&mut self.out, id, CommandStatus::ESME_ROK, UNBIND_SEQUENCE);
        let farewell = async {
            connection.write_all(&self.out).await?;
            while connection.read(self.inbox.space()).await? > 0 {
                // Room for what still comes.
                while let Ok(Some(_)) = self.inbox.cut() {}
            }
            std::io::Result::Ok(())
        };
        // All answers are in: whether the peer says good-bye changes nothing that is reported.
        let _ = timeout(UNBIND_TIMEOUT, farewell).await;
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// A time of the trace as a time from the start.
pub(super) fn scaled(us: u64, times: f64) -> Duration {
    /// A stream that begins later than this is not waited for: a century.
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);
    Duration::try_from_secs_f64(us as f64 / 1e6 / times).unwrap_or(LONGEST).min(LONGEST)
}
