//! One session under load: fills its window, reads the answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::Options;
use super::plan::Share;
use super::template::Template;
use super::window::Window;
use crate::peer::esme::Esme;
use crate::peer::histogram::Histogram;
use crate::peer::inbox::Inbox;
use crate::smpp::frame::FrameFault;
use crate::smpp::{Command, CommandStatus, HEADER_OCTETS, Header, write};

/// Octets in the out buffer above which no message is added.
const OUT_OCTETS_MAX: usize = 256 * 1024;
/// Different command_status values that are counted apart; all others count as one.
const STATUSES_MAX: usize = 64;
/// How long a session waits for its unbind_resp.
const UNBIND_TIMEOUT: Duration = Duration::from_secs(1);
const SUBMIT_SM_RESP: u32 = Command::SubmitSm.response_id();
const GENERIC_NACK: u32 = Command::GenericNack.id();

/// What one session counted. Messages of the warm-up are in `sent`, `missing` and `unsent` only.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) latency: Histogram,
    pub(super) statuses: BTreeMap<u32, u64>,
    pub(super) sent: u64,
    pub(super) missing: u64,
    pub(super) unsent: u64,
    pub(super) unexpected: u64,
    pub(super) delivered: u64,
    pub(super) last_answer_ns: u64,
    pub(super) fault: Option<String>,
}

pub(super) struct Session {
    /// Taken out while the session runs.
    stream: Option<TcpStream>,
    inbox: Inbox,
    out: Vec<u8>,
    template: Template,
    window: Window,
    share: Share,
    wake: Arc<Notify>,
    pause_ns: (u64, u64),
    response_timeout: Duration,
    /// Answers with ESME_ROK, which need no look-up.
    accepted: u64,
    tally: Tally,
}

impl Session {
    pub(super) fn new(
        esme: Esme,
        template: Template,
        share: Share,
        options: &Options,
        wake: Arc<Notify>,
    ) -> Session {
        let pause_ns = options.pause.map_or((u64::MAX, u64::MAX), |(at, span)| {
            let at = (at.as_nanos() as u64).saturating_add(share.warmup_ns());
            (at, at.saturating_add(span.as_nanos() as u64))
        });
        Session {
            stream: Some(esme.stream),
            inbox: esme.inbox,
            out: Vec::with_capacity(OUT_OCTETS_MAX + template.octets()),
            template,
            window: Window::new(options.window, 1),
            share,
            wake,
            pause_ns,
            response_timeout: options.response_timeout,
            accepted: 0,
            tally: Tally::default(),
        }
    }

    pub(super) async fn run(mut self, start: Instant) -> Tally {
        if let Some(mut stream) = self.stream.take() {
            self.tally.fault = self.send_all(&mut stream, start).await.err();
            if self.tally.fault.is_none() {
                self.unbind(&mut stream).await;
            }
        }
        self.tally.missing = self.window.open() as u64;
        self.tally.unsent =
            self.share.messages.map_or(0, |messages| messages.saturating_sub(self.tally.sent));
        if self.accepted > 0 {
            self.tally.statuses.insert(0, self.accepted);
        }
        self.tally
    }

    /// Sends this session's share and waits for the answers.
    async fn send_all(&mut self, stream: &mut TcpStream, start: Instant) -> Result<(), String> {
        let (mut reader, mut writer) = stream.split();
        let mut last_read = Instant::now();
        let mut watchdog = std::pin::pin!(sleep(self.response_timeout));
        loop {
            let now_ns = start.elapsed().as_nanos() as u64;
            if (self.pause_ns.0..self.pause_ns.1).contains(&now_ns) {
                sleep(Duration::from_nanos(self.pause_ns.1 - now_ns)).await;
                continue;
            }
            self.fill(now_ns);
            if self.share.is_sent(self.tally.sent, now_ns) && self.window.open() == 0 {
                return Ok(());
            }
            if !self.out.is_empty()
                && let Ok(count) = writer.try_write(&self.out)
            {
                self.out.drain(..count);
            }
            tokio::select! {
                biased;
                written = writer.write(&self.out), if !self.out.is_empty() => match written {
                    Ok(count) => drop(self.out.drain(..count)),
                    Err(error) => return Err(format!("the connection failed: {error}")),
                },
                read = reader.read(self.inbox.space()) => match read {
                    Ok(0) => return Err("the peer closed the connection".to_owned()),
                    Ok(count) => {
                        self.inbox.filled(count);
                        last_read = Instant::now();
                        let now_ns = last_read.duration_since(start).as_nanos() as u64;
                        self.take(now_ns).map_err(|f| format!("the peer sent no SMPP: {f}"))?;
                    }
                    Err(error) => return Err(format!("the connection failed: {error}")),
                },
                () = self.wake.notified() => {}
                () = &mut watchdog => {
                    let silence = last_read.elapsed();
                    if silence >= self.response_timeout && self.window.open() > 0 {
                        return Err(format!("no answer within {:?}", self.response_timeout));
                    }
                    let left = self.response_timeout.saturating_sub(silence);
                    let left = left.max(Duration::from_millis(100));
                    watchdog.as_mut().reset(tokio::time::Instant::now() + left);
                }
            }
        }
    }

    /// Appends every message that is due and has room in the window.
    fn fill(&mut self, now_ns: u64) {
        while self.window.has_room()
            && self.out.len() < OUT_OCTETS_MAX
            && !self.share.is_sent(self.tally.sent, now_ns)
            && let Some(intended_ns) = self.share.intended_ns(self.tally.sent, now_ns)
        {
            let sequence = self.window.enter(intended_ns);
            self.template.append(sequence, &mut self.out);
            self.tally.sent += 1;
        }
    }

    /// Takes in what one read brought.
    fn take(&mut self, now_ns: u64) -> Result<(), FrameFault> {
        while let Some(frame) = self.inbox.cut()? {
            let Some(octets) = frame.first_chunk::<HEADER_OCTETS>() else { continue };
            let word = |at: usize| {
                u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
            };
            if !matches!(word(4), SUBMIT_SM_RESP | GENERIC_NACK) {
                other(frame, &mut self.out, &mut self.tally);
                continue;
            }
            let Some(intended_ns) = self.window.leave(word(12)) else {
                self.tally.unexpected += 1;
                continue;
            };
            if !self.share.is_measured(intended_ns) {
                continue;
            }
            self.tally.latency.record(now_ns.saturating_sub(intended_ns));
            self.tally.last_answer_ns = now_ns;
            match word(8) {
                0 => self.accepted += 1,
                status => count(&mut self.tally.statuses, status),
            }
        }
        Ok(())
    }

    async fn unbind(&mut self, stream: &mut TcpStream) {
        let sequence = self.window.enter(0);
        self.window.leave(sequence);
        write::header_only(&mut self.out, Command::Unbind.id(), CommandStatus::ESME_ROK, sequence);
        let farewell = async {
            stream.write_all(&self.out).await?;
            while stream.read(self.inbox.space()).await? > 0 {}
            std::io::Result::Ok(())
        };
        // All answers are in: whether the peer says good-bye changes nothing that is reported.
        let _ = timeout(UNBIND_TIMEOUT, farewell).await;
    }
}

/// Answers what a peer may ask of a session by itself.
fn other(frame: &[u8], out: &mut Vec<u8>, tally: &mut Tally) {
    let Some(header) = Header::of(frame) else { return };
    let (command, sequence) = (header.command, header.sequence_number);
    match command {
        Command::EnquireLink => {
            write::header_only(out, command.response_id(), CommandStatus::ESME_ROK, sequence);
        }
        Command::DeliverSm => {
            tally.delivered += 1;
            let id = command.response_id();
            write::pdu(out, id, CommandStatus::ESME_ROK, sequence, |o| o.push(0));
        }
        _ => tally.unexpected += 1,
    }
}

fn count(statuses: &mut BTreeMap<u32, u64>, status: u32) {
    let full = statuses.len() >= STATUSES_MAX && !statuses.contains_key(&status);
    *statuses.entry(if full { u32::MAX } else { status }).or_default() += 1;
}
