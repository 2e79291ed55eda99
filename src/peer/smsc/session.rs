//! One connection of the SMSC: reads, lets [`Answering`] answer, writes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::answer::{Answering, Then};
use super::{Counts, Fault, QUEUE_PDUS_MAX, Receiver, Shared, lock};
use crate::peer::inbox::Inbox;
use crate::smpp::frame::{self, FrameFault, PDU_OCTETS_MAX};
use crate::smpp::{CommandStatus, write};

/// Octets of answers, held back or not taken by the ESME, above which nothing more is read.
const OUT_OCTETS_MAX: usize = 1 << 20;

/// Serves one connection until it ends or the SMSC does.
pub(super) async fn run(stream: TcpStream, number: u64, shared: Arc<Shared>) {
    shared.counters.add(Counts { connections: 1, ..Counts::default() });
    let (queue_in, queue) = mpsc::channel(QUEUE_PDUS_MAX);
    let fault = shared.fault.clone();
    let mut session = Session {
        answering: Answering::new(shared.clone()),
        shared: shared.clone(),
        number,
        queue_in,
        inbox: Inbox::default(),
        recorded: Vec::new(),
        out: Vec::new(),
        held: VecDeque::new(),
        held_octets: 0,
        random: number,
        closing: false,
    };
    let _ = stream.set_nodelay(true);
    session.serve(stream, queue, fault).await;
    lock(&shared.receivers).retain(|r| r.session != number);
    shared.counters.add(Counts { closed: 1, ..session.answering.counts });
}

struct Session {
    answering: Answering,
    shared: Arc<Shared>,
    number: u64,
    queue_in: mpsc::Sender<Vec<u8>>,
    inbox: Inbox,
    /// What of the present read goes into the record.
    recorded: Vec<u8>,
    /// Octets to write now.
    out: Vec<u8>,
    /// Octets to write later, in the order of their times.
    held: VecDeque<(Instant, Vec<u8>)>,
    held_octets: usize,
    random: u64,
    /// Nothing more is read; when everything is written the connection closes.
    closing: bool,
}

impl Session {
    async fn serve(
        &mut self,
        mut stream: TcpStream,
        mut queue: mpsc::Receiver<Vec<u8>>,
        mut faults: watch::Receiver<Fault>,
    ) {
        let (mut reader, mut writer) = stream.split();
        loop {
            if self.closing && self.out.is_empty() && self.held.is_empty() {
                return;
            }
            let fault = *faults.borrow_and_update();
            let reads = !self.closing
                && fault != Fault::StopReading
                && self.out.len() + self.held_octets < OUT_OCTETS_MAX;
            let next_held = self.held.front().map(|(due, _)| *due);
            tokio::select! {
                biased;
                written = writer.write(&self.out), if !self.out.is_empty() => match written {
                    Ok(count) => drop(self.out.drain(..count)),
                    Err(_) => return,
                },
                Some(pdu) = queue.recv(), if !self.closing => self.out.extend_from_slice(&pdu),
                changed = faults.changed() => if changed.is_err() { return },
                () = wait(next_held), if next_held.is_some() => self.release(),
                read = reader.read(self.inbox.space()), if reads => match read {
                    Ok(count) if count > 0 => {
                        self.inbox.filled(count);
                        self.take(count, fault);
                    }
                    _ => return,
                },
            }
            if !self.out.is_empty()
                && let Ok(count) = writer.try_write(&self.out)
            {
                self.out.drain(..count);
            }
        }
    }

    /// Answers what one read brought.
    fn take(&mut self, octets: usize, fault: Fault) {
        self.answering.counts.octets += octets as u64;
        let before = self.out.len();
        if let Err(found) = self.answer_all(fault) {
            self.closing = true;
            if !matches!(found, FrameFault::Foreign(_)) {
                write::generic_nack(&mut self.out, CommandStatus::ESME_RINVCMDLEN, 0);
            }
        }
        if !self.recorded.is_empty() {
            self.shared.record(&self.recorded);
            self.recorded.clear();
        }
        match fault {
            Fault::Silent => self.out.truncate(before),
            Fault::Reverse => reverse(&mut self.out, before),
            Fault::CutMidPdu => self.cut_mid_pdu(before),
            _ => {}
        }
        let options = &self.shared.options;
        if !(options.delay + options.delay_jitter).is_zero() {
            self.hold(before);
        }
        self.shared.counters.add(std::mem::take(&mut self.answering.counts));
    }

    fn answer_all(&mut self, fault: Fault) -> Result<(), FrameFault> {
        let keeps = self.shared.options.received_max > 0;
        let records = self.shared.record.is_some();
        while let Some(frame) = self.inbox.cut()? {
            if records {
                self.recorded.extend_from_slice(frame);
            }
            if keeps {
                self.shared.keep(self.number, &self.answering.system_id, frame);
            }
            match self.answering.answer(frame, &mut self.out) {
                Then::Go => {}
                Then::Receive => {
                    let system_id = self.answering.system_id.clone();
                    let queue = self.queue_in.clone();
                    let receiver = Receiver { session: self.number, system_id, queue };
                    lock(&self.shared.receivers).push(receiver);
                }
                Then::Close => self.closing = true,
            }
            if matches!(fault, Fault::CloseAfter(n) if self.answering.messages >= n) {
                self.closing = true;
            }
            if self.closing {
                break;
            }
        }
        Ok(())
    }

    /// Cuts the last answer in its middle.
    fn cut_mid_pdu(&mut self, from: usize) {
        let mut last = from;
        for (at, _) in cuts(&self.out, from) {
            last = at;
        }
        if last < self.out.len() {
            self.out.truncate(last + (self.out.len() - last) / 2);
            self.closing = true;
        }
    }

    /// Holds back what stands behind `from`, behind what is held already.
    fn hold(&mut self, from: usize) {
        let batch = self.out.split_off(from);
        let options = &self.shared.options;
        let jitter = options.delay_jitter.as_micros() as u64;
        let extra = Duration::from_micros(if jitter == 0 { 0 } else { self.random() % jitter });
        let due = Instant::now() + self.shared.options.delay + extra;
        let due = self.held.back().map_or(due, |(last, _)| due.max(*last));
        if !batch.is_empty() {
            self.held_octets += batch.len();
            self.held.push_back((due, batch));
        }
    }

    /// Lets go what is due.
    fn release(&mut self) {
        let now = Instant::now();
        while let Some((_, batch)) = self.held.pop_front_if(|(due, _)| *due <= now) {
            self.held_octets -= batch.len();
            self.out.extend_from_slice(&batch);
        }
    }

    /// splitmix64: good enough to spread delays, the same for the same session.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// Where each PDU of `octets` begins and how long it is, from `from` on.
fn cuts(octets: &[u8], from: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut at = from;
    std::iter::from_fn(move || {
        let rest = octets.get(at..)?;
        let length = frame::cut(rest, PDU_OCTETS_MAX).ok().flatten()?;
        at += length;
        Some((at - length, length))
    })
}

fn reverse(out: &mut Vec<u8>, from: usize) {
    let batch = out.split_off(from);
    let places: Vec<_> = cuts(&batch, 0).collect();
    for (at, length) in places.into_iter().rev() {
        out.extend_from_slice(batch.get(at..at + length).unwrap_or_default());
    }
}
