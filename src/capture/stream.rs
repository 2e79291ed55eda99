//! A session as a TCP connection: which octet of which direction a PDU begins with.
//!
//! Only what is kept counts: a PDU that is not wanted or was dropped leaves no gap, so that readers
//! never wait for it. What was dropped is told beside the packet that follows.

use std::net::SocketAddr;

use super::pcapng::Way;
use super::queue::{Entry, Note, Queue};
use super::segment::{ACK, FIN, PSH, SYN, Segment};

/// One session in one run of the capture.
#[derive(Debug)]
pub struct Stream {
    esme: SocketAddr,
    ours: SocketAddr,
    is_esmes: bool,
    session: u64,
    state: State,
    esme_next: u32,
    ours_next: u32,
    last_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Closed,
}

impl Stream {
    /// A session that nothing was kept of yet. `is_esmes` says that the ESME opened the connection.
    pub fn new(esme: SocketAddr, ours: SocketAddr, is_esmes: bool, session: u64) -> Stream {
        Stream {
            esme,
            ours,
            is_esmes,
            session,
            state: State::New,
            esme_next: 0,
            ours_next: 0,
            last_us: 0,
        }
    }

    /// Whether something was kept, and the end was not.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Writes the opening of the connection, by which readers know who is who. `about` is its comment.
    pub fn open(&mut self, queue: &Queue, time_us: u64, about: String) {
        if self.state != State::New {
            return;
        }
        self.last_us = time_us;
        // Driven by the clock, as RFC 9293 3.4.1 asks: a port that is used again begins elsewhere.
        self.esme_next = (time_us / 4) as u32;
        self.ours_next = self.esme_next ^ 0x5a5a_5a5a;
        let opener = if self.is_esmes { Way::In } else { Way::Out };
        let answerer = if self.is_esmes { Way::Out } else { Way::In };
        let opened = self.bare(queue, opener, SYN, Note::Says(about.into()))
            && self.bare(queue, answerer, SYN | ACK, Note::None)
            && self.bare(queue, opener, ACK, Note::None);
        if opened {
            self.state = State::Open;
        }
    }

    /// Writes one PDU, once the connection is open.
    pub fn pdu(&mut self, queue: &Queue, way: Way, time_us: u64, note: Note, octets: &[u8]) {
        self.last_us = self.last_us.max(time_us);
        if self.state != State::Open {
            queue.lose();
        } else if queue.put(self.entry(way, ACK | PSH, note), octets) {
            let next = self.next(way);
            *next = next.wrapping_add(octets.len() as u32);
        }
    }

    /// Writes the end of the connection.
    pub fn close(&mut self, queue: &Queue, time_us: u64, why: &'static str) {
        if self.state != State::Open {
            return;
        }
        self.state = State::Closed;
        self.last_us = self.last_us.max(time_us);
        let _ = self.bare(queue, Way::In, FIN | ACK, Note::Ends(why))
            && self.bare(queue, Way::Out, FIN | ACK, Note::None)
            && self.bare(queue, Way::In, ACK, Note::None);
    }

    fn bare(&mut self, queue: &Queue, way: Way, flags: u8, note: Note) -> bool {
        let is_put = queue.put(self.entry(way, flags, note), b"");
        if is_put && flags & (SYN | FIN) != 0 {
            let next = self.next(way);
            *next = next.wrapping_add(1);
        }
        is_put
    }

    fn next(&mut self, way: Way) -> &mut u32 {
        match way {
            Way::In => &mut self.esme_next,
            Way::Out => &mut self.ours_next,
        }
    }

    fn entry(&self, way: Way, flags: u8, note: Note) -> Entry {
        let (from, to, sequence, acknowledgement) = match way {
            Way::In => (self.esme, self.ours, self.esme_next, self.ours_next),
            Way::Out => (self.ours, self.esme, self.ours_next, self.esme_next),
        };
        // The very first segment has nothing to acknowledge.
        let acknowledgement = if flags & ACK == 0 { 0 } else { acknowledgement };
        Entry {
            time_us: self.last_us,
            way,
            segment: Segment { from, to, sequence, acknowledgement, flags },
            session: self.session,
            note,
            octets: 0,
            dropped: 0,
        }
    }
}
