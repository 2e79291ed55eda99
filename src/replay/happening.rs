//! What a trace says happened, in the order of its packets.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::skipped::Skipped;
use crate::session::Side;
use crate::smpp::Header;

/// One thing that happened in a stream in which SMPP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening<'a> {
    /// A stream was found to be SMPP. Comes before everything else of it.
    Opened(Opened),
    /// One or more whole PDUs, one behind the other; never a part of one.
    Pdus {
        /// Which stream.
        stream: u32,
        /// Who sent them.
        side: Side,
        /// When the packet came that made them whole: microseconds since the Unix epoch. Times are
        /// the capture's and may go back from one to the next.
        time_us: u64,
        /// The PDUs.
        octets: &'a [u8],
    },
    /// A PDU of which only the front was captured, as a snap length leaves it. The gap that cuts it
    /// follows.
    Cut {
        /// Which stream.
        stream: u32,
        /// Who sent it.
        side: Side,
        /// When that was noticed.
        time_us: u64,
        /// Its header: all that can be relied on.
        header: Header,
    },
    /// Something of this side is not there. What follows begins at a PDU again.
    Gap {
        /// Which stream.
        stream: u32,
        /// Whose octets.
        side: Side,
        /// When it was noticed.
        time_us: u64,
        /// Why.
        cause: GapCause,
        /// How many octets, where that is known.
        octets: u64,
    },
    /// Nothing more comes of this stream.
    Closed {
        /// Which stream.
        stream: u32,
        /// When it ended; for [`Ending::Trace`] when it last spoke.
        time_us: u64,
        /// How.
        ending: Ending,
    },
}

/// A stream that was found to be SMPP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Its number among all TCP streams of the trace, from 0: Wireshark's tcp.stream.
    pub stream: u32,
    /// When its first packet was captured: microseconds since the Unix epoch.
    pub time_us: u64,
    /// The ESME's end.
    pub esme: SocketAddr,
    /// The SMSC's end.
    pub smsc: SocketAddr,
    /// Whether the ESME's first octet was captured. If not, its bind may have been missed.
    pub from_start: bool,
}

/// Why octets are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapCause {
    /// They were not captured, whole packets or behind the snap length.
    Missing,
    /// A command_length below 16 or above the limit: nobody can tell where the PDU ends.
    Framing,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Both sides said that they have no more to send.
    Finished,
    /// A side broke it off.
    Reset,
    /// The same two ends began a new one.
    Reused,
    /// The trace ends.
    Trace,
    /// It was silent for longest when the limit of streams or of held octets was reached.
    Forgotten,
}

/// Where the octets of an event lie.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// In the data of the packet that was read last, from here.
    Packet(usize),
    /// In [`Out::arena`], from here.
    Arena(usize),
}

/// A happening whose octets are still where they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    Opened(Opened),
    Pdus { stream: u32, side: Side, time_us: u64, place: Place, octets: usize },
    Cut { stream: u32, side: Side, time_us: u64, header: Header },
    Gap { stream: u32, side: Side, time_us: u64, cause: GapCause, octets: u64 },
    Closed { stream: u32, time_us: u64, ending: Ending },
}

/// What one packet led to, until it is asked for.
#[derive(Debug, Default)]
pub(super) struct Out {
    events: VecDeque<Event>,
    arena: Vec<u8>,
    pub(super) skipped: Skipped,
}

/// Room that the arena keeps between packets, octets.
const ARENA_OCTETS_KEPT: usize = 1 << 20;

impl Out {
    pub(super) fn push(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Forgets the octets of events that were handed out.
    pub(super) fn clear(&mut self) {
        self.arena.clear();
        self.arena.shrink_to(ARENA_OCTETS_KEPT);
    }

    /// Adds whole PDUs, which lie at `at` in the packet or are copied.
    #[inline]
    pub(super) fn pdus(
        &mut self,
        stream: u32,
        side: Side,
        time_us: u64,
        octets: &[u8],
        at: Option<usize>,
    ) {
        let place = match at {
            Some(at) => Place::Packet(at),
            None => {
                let at = self.arena.len();
                self.arena.extend_from_slice(octets);
                Place::Arena(at)
            }
        };
        self.push(Event::Pdus { stream, side, time_us, place, octets: octets.len() });
    }

    /// The event as it is told, `data` being the packet's.
    pub(super) fn told<'a>(&'a self, event: Event, data: &'a [u8]) -> Happening<'a> {
        match event {
            Event::Opened(opened) => Happening::Opened(opened),
            Event::Pdus { stream, side, time_us, place, octets } => {
                let (from, at) = match place {
                    Place::Packet(at) => (data, at),
                    Place::Arena(at) => (self.arena.as_slice(), at),
                };
                let octets = from.get(at..at + octets).unwrap_or(&[]);
                Happening::Pdus { stream, side, time_us, octets }
            }
            Event::Cut { stream, side, time_us, header } => {
                Happening::Cut { stream, side, time_us, header }
            }
            Event::Gap { stream, side, time_us, cause, octets } => {
                Happening::Gap { stream, side, time_us, cause, octets }
            }
            Event::Closed { stream, time_us, ending } => {
                Happening::Closed { stream, time_us, ending }
            }
        }
    }
}
