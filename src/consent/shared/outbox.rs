//! What this node took, on its way to the engine: durable here, in force here at once where it is a
//! revocation, delivered in order, applied once.
//!
//! Every event has a position; the engine keeps, in the transaction that applies a batch, up to which
//! position of which outbox it has come. What it says of that is the truth: if it says less than it
//! confirmed before, it lost its tail, and the events after it are in force here again and delivered
//! again. For that they are kept for an hour. An outbox is known by a number given by chance, so that
//! neither a new folder nor a copied one is taken for what it is not.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::disk::{Disk, Note};
use super::overlay::Overlay;
use super::tickets::Tickets;
use super::{Told, locked};
use crate::consent::files::FileFault;
use crate::consent::{Event, QUEUE_EVENTS_MAX, Refused, Ticket, Unavailable};

/// Events that wait to be delivered at most: then nothing is taken until the engine answers again. Some
/// 100 MiB on the disk, and as much in memory if all are revocations.
pub const WAITING_EVENTS_MAX: u64 = 1 << 20;

/// How long an event is kept after the engine confirmed it.
const KEPT: Duration = Duration::from_secs(3600);

/// Events that are kept at most; the oldest that are delivered go first.
const KEPT_EVENTS_MAX: u64 = 1 << 22;

/// Events that are read or removed at once where there may be many.
const RUN_EVENTS: u64 = 1 << 12;

/// Where the outbox stood when the engine was asked something: what it answers is held against this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which outbox.
    pub outbox: u64,
    /// The position up to which the engine had confirmed, as the engine counts.
    pub delivered: u64,
    /// How often the engine was found to have gone back.
    turn: u64,
}

/// A batch to deliver.
pub(super) struct Parcel {
    pub mark: Mark,
    /// The position of the first event, as the engine counts.
    pub first: u64,
    /// Not empty.
    pub events: Vec<Told>,
}

struct State {
    /// Taken, and not on the disk yet.
    queue: Vec<(u64, Told)>,
    /// The position of the last event taken.
    accepted: u64,
    /// The position up to which the engine has confirmed.
    delivered: u64,
    /// The position of the first event that is kept.
    kept_from: u64,
    /// When what was delivered, oldest first.
    delivered_at: VecDeque<(Instant, u64)>,
    outbox: u64,
    /// The position before the first that the engine counts.
    base: u64,
    turn: u64,
    is_closing: bool,
}

pub(super) struct Outbox {
    disk: Disk,
    pub overlay: Overlay,
    state: Mutex<State>,
    bell: Condvar,
    pub tickets: Tickets,
    /// Told when there may be something to deliver.
    pub posted: Notify,
    /// Events that wait to be delivered.
    waiting: AtomicU64,
    on_sync: Option<Box<dyn Fn(Duration) + Send + Sync>>,
}

/// A number given by chance.
pub(super) fn chance() -> u64 {
    let mut octets = [0; 8];
    match aws_lc_rs::rand::fill(&mut octets) {
        Ok(()) => u64::from_be_bytes(octets),
        // The system has no randomness: then the moment must do.
        Err(_) => std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64),
    }
}

impl From<FileFault> for Unavailable {
    fn from(fault: FileFault) -> Self {
        Self::Failed(format!("the outbox: {fault}").into())
    }
}

impl Outbox {
    /// The outbox on this disk. What was not delivered is in force.
    pub fn open(
        disk: Disk,
        on_sync: Option<Box<dyn Fn(Duration) + Send + Sync>>,
    ) -> Result<Outbox, FileFault> {
        let outbox = match disk.note(Note::Outbox)? {
            Some(outbox) => outbox,
            None => {
                let outbox = chance();
                disk.keep(&[(Note::Outbox, outbox)], true)?;
                outbox
            }
        };
        let delivered = disk.note(Note::Delivered)?.unwrap_or(0);
        let accepted = disk.last()?.max(delivered);
        let kept_from = disk.after(0, 1)?.first().map_or(accepted + 1, |(at, _)| *at);
        let one = Outbox {
            overlay: Overlay::default(),
            state: Mutex::new(State {
                queue: Vec::new(),
                accepted,
                delivered,
                kept_from,
                delivered_at: VecDeque::from([(Instant::now(), delivered)]),
                outbox,
                base: disk.note(Note::Base)?.unwrap_or(0),
                turn: 0,
                is_closing: false,
            }),
            bell: Condvar::new(),
            tickets: Tickets::default(),
            posted: Notify::new(),
            waiting: AtomicU64::new(accepted - delivered),
            on_sync,
            disk,
        };
        one.tickets.complete(accepted);
        one.put_in_force(delivered)?;
        one.posted.notify_one();
        Ok(one)
    }

    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Revocations after `after` are in force here.
    fn put_in_force(&self, mut after: u64) -> Result<(), FileFault> {
        loop {
            let run = self.disk.after(after, RUN_EVENTS as usize)?;
            let Some((last, _)) = run.last() else { return Ok(()) };
            after = *last;
            self.overlay.add(&run);
        }
    }

    /// Takes events: revocations among them are in force when this returns. `now_us`: the ledger's time.
    pub fn take(
        &self,
        events: &[Event],
        now_us: u64,
        refused: &mut Vec<Refused>,
    ) -> Result<Ticket, Unavailable> {
        let mut state = locked(&self.state);
        if let Some(why) = self.tickets.ended() {
            return Err(why);
        }
        if state.is_closing {
            return Err(Unavailable::Closed);
        }
        let count = events.len() as u64;
        if state.queue.len() + events.len() > QUEUE_EVENTS_MAX
            || state.accepted + count - state.delivered > WAITING_EVENTS_MAX
        {
            return Err(Unavailable::Backlog);
        }
        let before = state.queue.len();
        for (at, event) in events.iter().enumerate() {
            // By the same rule and the same times as the engine will: it takes what is taken here.
            if let Err(fault) = event.check(now_us) {
                refused.push(Refused { at, fault });
                continue;
            }
            state.accepted += 1;
            let position = state.accepted;
            state.queue.push((position, Told { event: *event, recorded_us: now_us }));
        }
        self.overlay.add(state.queue.get(before..).unwrap_or_default());
        self.waiting.store(state.accepted - state.delivered, Ordering::Relaxed);
        self.bell.notify_all();
        Ok(Ticket { position: state.accepted })
    }

    /// The thread that writes: everything that waits at once, until the outbox is closed or fails.
    pub fn run(&self) {
        loop {
            let mut state = locked(&self.state);
            while state.queue.is_empty() && !state.is_closing {
                state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let is_last = state.queue.is_empty();
            drop(state);
            if is_last || self.write().is_err() {
                self.tickets.end(Unavailable::Closed);
                return;
            }
        }
    }

    /// Writes what waits; its tickets are complete then, or never.
    pub fn write(&self) -> Result<(), Unavailable> {
        let queue = std::mem::take(&mut locked(&self.state).queue);
        let Some((last, _)) = queue.last() else { return Ok(()) };
        let begun = std::time::Instant::now();
        let added = self.disk.add(&queue);
        if let Some(on_sync) = &self.on_sync {
            on_sync(begun.elapsed());
        }
        if let Err(fault) = added {
            let why = Unavailable::from(fault);
            self.tickets.end(why.clone());
            return Err(why);
        }
        self.tickets.complete(*last);
        self.posted.notify_one();
        Ok(())
    }

    /// Nothing more is taken; what was is written.
    pub fn close(&self) {
        locked(&self.state).is_closing = true;
        self.bell.notify_all();
    }

    /// Where it stands, before the engine is asked.
    pub fn mark(&self) -> Mark {
        mark(&locked(&self.state))
    }

    /// Whether the engine was not found to have gone back since.
    pub fn is_current(&self, mark: Mark) -> bool {
        locked(&self.state).turn == mark.turn
    }

    /// What to deliver next, up to `most` events; `None` when nothing waits.
    pub fn next(&self, most: usize) -> Result<Option<Parcel>, FileFault> {
        let state = locked(&self.state);
        let (mark, delivered, base) = (mark(&state), state.delivered, state.base);
        drop(state);
        let run = self.disk.after(delivered, most)?;
        let Some((first, _)) = run.first() else { return Ok(None) };
        let first = first - base;
        Ok(Some(Parcel { mark, first, events: run.into_iter().map(|(_, told)| told).collect() }))
    }

    /// The engine has confirmed a parcel.
    pub fn delivered(&self, parcel: &Parcel) -> Result<(), FileFault> {
        let mut state = locked(&self.state);
        if state.turn != parcel.mark.turn {
            return Ok(());
        }
        let through = state.base + parcel.first + parcel.events.len() as u64 - 1;
        self.confirm(&mut state, through)
    }

    fn confirm(&self, state: &mut State, through: u64) -> Result<(), FileFault> {
        if through <= state.delivered {
            return Ok(());
        }
        state.delivered = through;
        state.delivered_at.push_back((Instant::now(), through));
        self.waiting.store(state.accepted - state.delivered, Ordering::Relaxed);
        self.disk.keep(&[(Note::Delivered, through)], false)
    }

    /// What the engine said of its position, asked at `mark`: it may have more than it confirmed, or
    /// less. Whether what it said together with that still counts.
    pub fn hear(&self, mark: Mark, position: u64) -> Result<bool, FileFault> {
        let mut state = locked(&self.state);
        if state.turn != mark.turn {
            return Ok(false);
        }
        let through = state.base.saturating_add(position);
        if through > state.accepted {
            // The folder is older than what was delivered from it: positions mean something else now.
            let delivered = state.delivered;
            self.begin_anew(&mut state, delivered)?;
            return Ok(false);
        }
        if position < mark.delivered {
            self.go_back(&mut state, through)?;
            return Ok(true);
        }
        self.confirm(&mut state, through)?;
        Ok(true)
    }

    /// The engine lost what came after `through`: it is in force here again, and delivered again.
    fn go_back(&self, state: &mut State, through: u64) -> Result<(), FileFault> {
        let lost = state.kept_from.saturating_sub(through.saturating_add(1));
        tracing::error!(
            delivered_again = state.accepted - through - lost,
            lost,
            "the consent engine has gone back: it lost what it had confirmed to this node"
        );
        if lost > 0 {
            return self.begin_anew(state, through + lost);
        }
        state.turn += 1;
        state.delivered = through;
        state.delivered_at.retain(|(_, at)| *at <= through);
        self.waiting.store(state.accepted - state.delivered, Ordering::Relaxed);
        self.disk.keep(&[(Note::Delivered, through)], true)?;
        self.put_in_force(through)?;
        self.overlay.add(&state.queue);
        self.posted.notify_one();
        Ok(())
    }

    /// Under another number, from the event after `base` on.
    fn begin_anew(&self, state: &mut State, base: u64) -> Result<(), FileFault> {
        tracing::warn!("the consent outbox goes on under another number");
        state.turn += 1;
        (state.outbox, state.base, state.delivered) = (chance(), base, base);
        state.delivered_at.retain(|(_, at)| *at <= base);
        self.waiting.store(state.accepted - state.delivered, Ordering::Relaxed);
        let notes = [(Note::Outbox, state.outbox), (Note::Base, base), (Note::Delivered, base)];
        self.disk.keep(&notes, true)?;
        self.put_in_force(base)?;
        self.overlay.add(&state.queue);
        self.posted.notify_one();
        Ok(())
    }

    /// The cache shows what the engine has made of everything up to `position`, asked at `mark`.
    pub fn shown(&self, mark: Mark, position: u64) {
        let state = locked(&self.state);
        if state.turn == mark.turn {
            self.overlay.pass(state.base.saturating_add(position));
        }
    }

    /// Removes what was delivered an hour ago, or is too much.
    pub fn tidy(&self) -> Result<(), FileFault> {
        let mut state = locked(&self.state);
        let now = Instant::now();
        let mut through = state.accepted.saturating_sub(KEPT_EVENTS_MAX).min(state.delivered);
        while let Some((at, position)) = state.delivered_at.front().copied() {
            if now.duration_since(at) < KEPT && position > through {
                break;
            }
            through = through.max(position);
            state.delivered_at.pop_front();
        }
        let first = state.kept_from;
        state.kept_from = first.max(through + 1);
        drop(state);
        for from in (first..=through).step_by(RUN_EVENTS as usize) {
            self.disk.remove(from, through.min(from + RUN_EVENTS - 1))?;
        }
        Ok(())
    }

    /// Events that wait to be delivered.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}

fn mark(state: &State) -> Mark {
    // What was delivered under another number the engine does not count.
    let delivered = state.delivered.saturating_sub(state.base);
    Mark { outbox: state.outbox, delivered, turn: state.turn }
}
