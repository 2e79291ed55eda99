//! TCP segments to PDUs of streams in which SMPP is spoken.

mod framer;
mod half;
mod table;
mod talk;

pub use half::{
    ACKED_PIECES_MAX, ACKED_WAIT_US, HELD_OCTETS_MAX, HELD_PIECES_MAX, HOLE_WAIT_US,
    STRAY_OCTETS_MAX,
};

use super::happening::{Ending, Out};
use super::packet::Segment;
use table::{Ends, Entry, State, Table};
use talk::{Known, Said, Talk};

/// Most TCP streams that are remembered. Past it, the one silent for longest is forgotten.
pub const STREAMS_MAX: usize = 1 << 20;
/// Most streams at once that are SMPP or may be. Past it, the one silent for longest is forgotten.
pub const TALKING_MAX: usize = 1 << 16;
/// Most octets held for all streams: behind holes, of PDUs not yet whole, of streams not yet known
/// to be SMPP. Past it, the stream silent for longest is forgotten.
pub const ALL_HELD_OCTETS_MAX: usize = 64 << 20;

/// The streams of a trace.
pub(super) struct Streams {
    table: Table,
    pdu_octets_max: usize,
    /// Octets held for all streams.
    held: usize,
    pub(super) out: Out,
}

impl Streams {
    pub(super) fn new(pdu_octets_max: usize) -> Streams {
        Streams { table: Table::new(), pdu_octets_max, held: 0, out: Out::default() }
    }

    /// Takes a segment.
    pub(super) fn take(&mut self, segment: &Segment<'_>, time_us: u64) {
        let (ends, from) = Ends::of(segment.from, segment.to);
        let found =
            self.table.find(&ends).filter(|&number| !self.is_another(number, segment, from));
        let number = match found {
            Some(number) => number,
            None => self.begin(ends, time_us),
        };
        self.table.touch(number);
        if let Some(entry) = self.table.entry(number) {
            entry.last_us = time_us;
            entry.note(segment, from);
        }
        self.speak(number, segment, from, time_us);
        self.bound(number);
    }

    /// Whether the segment begins another stream between the ends of one. Ends the old one then.
    #[inline]
    fn is_another(&mut self, number: u32, segment: &Segment<'_>, from: usize) -> bool {
        let Some(entry) = self.table.entry(number) else { return false };
        let another = if segment.flags.syn() {
            entry.is_begun_elsewhere(segment.seq, from)
        } else if let State::Ended(last) = &entry.state {
            let end = segment.seq.wrapping_add(segment.data.len() as u32);
            let is_old = |last: u32| (end.wrapping_sub(last) as i32) <= 0;
            !segment.data.is_empty() && !last[from].is_some_and(is_old)
        } else {
            false
        };
        if another {
            self.remove(number, Ending::Reused);
        }
        another
    }

    fn begin(&mut self, ends: Ends, time_us: u64) -> u32 {
        let stream = u32::try_from(self.out.skipped.streams).unwrap_or(u32::MAX);
        self.out.skipped.streams += 1;
        self.table.insert(ends, stream, time_us)
    }

    /// Hands a segment's data to its stream.
    #[inline]
    fn speak(&mut self, number: u32, segment: &Segment<'_>, from: usize, time_us: u64) {
        let Some(entry) = self.table.entry(number) else { return };
        if matches!(entry.state, State::Silent) && entry.holds_data(segment, from) {
            let talk = entry.talk();
            self.table.change(number, State::Talking(Box::new(talk)));
        }
        let Some(entry) = self.table.entry(number) else { return };
        let known = entry.known();
        match &mut entry.state {
            State::Foreign | State::Ended(_) => {}
            State::Silent => {
                entry.silent_fin[from] |= segment.flags.fin();
                if segment.flags.rst() || entry.silent_fin == [true; 2] {
                    self.end(number, Ending::Finished);
                }
            }
            State::Talking(talk) => {
                let held = talk.held();
                let going =
                    talk.hear(segment, from, time_us, &known, self.pdu_octets_max, &mut self.out);
                self.held = self.held + talk.held() - held;
                match going {
                    Going::On => {}
                    Going::Foreign => {
                        self.held -= talk.held();
                        self.out.skipped.streams_not_smpp += 1;
                        self.table.change(number, State::Foreign);
                    }
                    Going::Ended(ending) => self.end(number, ending),
                }
            }
        }
    }

    /// Ends a stream; its entry stays for what comes again.
    fn end(&mut self, number: u32, ending: Ending) {
        let last = self.table.entry(number).map_or([None; 2], |entry| entry.last());
        if let Some(before) = self.table.change(number, State::Ended(last))
            && let Some(entry) = self.table.entry(number)
        {
            let (known, last_us) = (entry.known(), entry.last_us);
            self.close(before, &known, last_us, ending);
        }
    }

    /// Ends a stream and forgets it.
    fn remove(&mut self, number: u32, ending: Ending) {
        if let Some(entry) = self.table.remove(number) {
            let (known, last_us) = (entry.known(), entry.last_us);
            self.close(entry.state, &known, last_us, ending);
        }
    }

    /// Tells and counts what a stream was.
    fn close(&mut self, state: State, known: &Known, last_us: u64, ending: Ending) {
        match state {
            State::Talking(mut talk) => {
                self.held -= talk.held();
                let is_smpp = talk.end(last_us, ending, known, &mut self.out);
                self.out.skipped.streams_not_smpp += u64::from(!is_smpp);
            }
            State::Silent => self.out.skipped.streams_without_data += 1,
            State::Foreign | State::Ended(_) => {}
        }
    }

    /// Forgets the streams silent for longest while there are too many.
    #[inline]
    fn bound(&mut self, newest: u32) {
        while self.table.talking() > TALKING_MAX || self.held > ALL_HELD_OCTETS_MAX {
            let Some(oldest) = self.table.oldest(true).filter(|&oldest| oldest != newest) else {
                break;
            };
            self.out.skipped.streams_forgotten += 1;
            self.end(oldest, Ending::Forgotten);
        }
        while self.table.len() > STREAMS_MAX {
            let silent = self.table.oldest(false);
            let Some(oldest) = silent.or_else(|| self.table.oldest(true)) else { break };
            let ended = |entry: &mut Entry| matches!(entry.state, State::Ended(_));
            let over = self.table.entry(oldest).is_some_and(ended);
            self.out.skipped.streams_forgotten += u64::from(!over);
            self.remove(oldest, Ending::Forgotten);
        }
    }

    /// Ends the stream that was silent for longest, at the end of the trace. Answers whether there
    /// was one.
    pub(super) fn finish_one(&mut self) -> bool {
        match self.table.oldest(true).or_else(|| self.table.oldest(false)) {
            Some(oldest) => {
                self.remove(oldest, Ending::Trace);
                true
            }
            None => false,
        }
    }
}

/// Whether a stream goes on.
enum Going {
    On,
    Foreign,
    Ended(Ending),
}

impl Talk {
    /// Takes a segment with all that it says.
    #[inline]
    fn hear(
        &mut self,
        segment: &Segment<'_>,
        from: usize,
        time_us: u64,
        known: &Known,
        pdu_octets_max: usize,
        out: &mut Out,
    ) -> Going {
        let flags = segment.flags;
        if flags.ack() {
            self.halves[1 - from].acknowledge(segment.ack);
        }
        let seq = segment.seq.wrapping_add(flags.syn().into());
        let (data, missing) = (segment.data, segment.missing);
        if !data.is_empty() || missing > 0 {
            let said = Said { from, seq, data, missing, time_us };
            if !self.take(&said, known, pdu_octets_max, out) {
                return Going::Foreign;
            }
        }
        self.look(time_us, known, out);
        if flags.rst() && self.halves[from].is_near(seq) {
            return Going::Ended(Ending::Reset);
        }
        if flags.fin() {
            self.halves[from].finish(seq.wrapping_add(data.len() as u32).wrapping_add(missing));
        }
        if self.halves.iter().all(|half| half.is_finished()) {
            return Going::Ended(Ending::Finished);
        }
        Going::On
    }
}

impl Entry {
    /// Notes what the segment says of where each end began.
    #[inline]
    fn note(&mut self, segment: &Segment<'_>, from: usize) {
        let flags = segment.flags;
        if flags.syn() {
            self.initial[from] = Some(segment.seq);
            if !flags.ack() {
                self.client.get_or_insert(from as u8);
            } else if self.client.is_none() {
                self.client = Some(1 - from as u8);
            }
        }
        // The segment behind a SYN acknowledges the other side's, also where that was not captured.
        let to = 1 - from;
        let follows_syn = self.initial[from] == Some(segment.seq.wrapping_sub(1));
        if flags.ack() && self.initial[to].is_none() && (flags.syn() || follows_syn) {
            self.initial[to] = Some(segment.ack.wrapping_sub(1));
        }
        if let State::Talking(talk) = &mut self.state {
            begin(talk, self.initial);
        }
    }

    /// Whether this end cannot have begun with a SYN of this sequence number: it began with another,
    /// or was met far from it.
    fn is_begun_elsewhere(&self, seq: u32, from: usize) -> bool {
        let is_far = |next: u32| next.wrapping_sub(seq.wrapping_add(1)) > STRAY_OCTETS_MAX;
        match (&self.state, self.initial[from]) {
            (_, Some(initial)) => initial != seq,
            (State::Talking(talk), None) => {
                let half = &talk.halves[from];
                half.has_begun() && is_far(half.next())
            }
            (State::Ended(last), None) => last[from].is_none_or(is_far),
            (State::Foreign, None) => true,
            (State::Silent, None) => false,
        }
    }

    /// Whether the segment holds data, or says that there was some before it.
    fn holds_data(&self, segment: &Segment<'_>, from: usize) -> bool {
        let ends_later = || {
            segment.flags.fin()
                && self.initial[from].is_some_and(|seq| segment.seq.wrapping_sub(seq) > 1)
        };
        !segment.data.is_empty() || ends_later()
    }

    fn talk(&self) -> Talk {
        let mut talk = Talk::new();
        begin(&mut talk, self.initial);
        talk
    }

    fn known(&self) -> Known {
        Known {
            stream: self.stream,
            since_us: self.since_us,
            ends: [self.ends.address(0), self.ends.address(1)],
            client: self.client.map(usize::from),
        }
    }

    /// Where each end stands.
    fn last(&self) -> [Option<u32>; 2] {
        match &self.state {
            State::Talking(talk) => {
                [0, 1].map(|at| talk.halves[at].has_begun().then(|| talk.halves[at].next()))
            }
            State::Ended(last) => *last,
            State::Silent | State::Foreign => {
                self.initial.map(|seq| seq.map(|seq| seq.wrapping_add(1)))
            }
        }
    }
}

fn begin(talk: &mut Talk, initial: [Option<u32>; 2]) {
    for (from, seq) in initial.into_iter().enumerate() {
        if let Some(seq) = seq {
            talk.begin(from, seq.wrapping_add(1));
        }
    }
}
