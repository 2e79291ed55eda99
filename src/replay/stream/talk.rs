//! A TCP stream with data in it that is SMPP, or may be.

use std::net::SocketAddr;

use super::framer::{Framer, Piece};
use super::half::Half;
use crate::replay::happening::{Ending, Event, GapCause, Opened, Out};
use crate::replay::skipped::Tally;
use crate::replay::spot;
use crate::session::Side;
use crate::smpp::Header;

/// Octets that are held of a stream before it is known who is the ESME.
const UNDECIDED_OCTETS_MAX: usize = 8 * 1024;
/// PDUs and gaps that are held of such a stream.
const UNDECIDED_PIECES_MAX: usize = 1024;
/// Octets of a stream met in its middle that may be looked through, a direction, before it is not
/// SMPP: more than the longest PDU.
const SEARCHED_OCTETS_MAX: u64 = 256 * 1024;

/// What is known of the stream as such.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// Its number.
    pub(super) stream: u32,
    /// When its first packet was captured.
    pub(super) since_us: u64,
    /// Its two ends.
    pub(super) ends: [SocketAddr; 2],
    /// Which end sent the first SYN, where that was captured.
    pub(super) client: Option<usize>,
}

/// Something that waits until the stream is known to be SMPP and whose side is whose.
#[derive(Debug)]
struct Waiting {
    from: usize,
    time_us: u64,
    what: Held,
}

#[derive(Debug)]
enum Held {
    /// So many of the octets that wait.
    Pdus(usize),
    Cut(Header),
    Gap(GapCause, u64),
}

/// What has been heard of an undecided stream.
#[derive(Debug, Default)]
struct Doubt {
    points: u32,
    /// Which end is the ESME, once a PDU told.
    esme: Option<usize>,
    /// Whose first octets are missing.
    missed: [bool; 2],
    heard: [bool; 2],
    waiting: Vec<Waiting>,
    octets: Vec<u8>,
}

#[derive(Debug)]
enum Verdict {
    Open(Doubt),
    /// SMPP, and which end is the ESME.
    Smpp(usize),
}

/// One stream.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) halves: [Half; 2],
    framers: [Option<Framer>; 2],
    from_start: [bool; 2],
    tally: Tally,
    verdict: Verdict,
}

/// A segment of the stream.
pub(super) struct Said<'a> {
    pub(super) from: usize,
    pub(super) seq: u32,
    pub(super) data: &'a [u8],
    pub(super) missing: u32,
    pub(super) time_us: u64,
}

impl Talk {
    pub(super) fn new() -> Talk {
        Talk {
            halves: Default::default(),
            framers: [None, None],
            from_start: [false; 2],
            tally: Tally::default(),
            verdict: Verdict::Open(Doubt::default()),
        }
    }

    /// The first octet of an end has this sequence number.
    pub(super) fn begin(&mut self, from: usize, seq: u32) {
        if !self.halves[from].has_begun() {
            self.halves[from].begin(seq);
            self.from_start[from] = true;
        }
    }

    pub(super) fn is_smpp(&self) -> bool {
        matches!(self.verdict, Verdict::Smpp(_))
    }

    /// Octets that are held for the stream.
    pub(super) fn held(&self) -> usize {
        let halves: usize = self.halves.iter().map(Half::held).sum();
        let framers: usize = self.framers.iter().flatten().map(Framer::held).sum();
        let doubt = match &self.verdict {
            Verdict::Open(doubt) => doubt.held(),
            Verdict::Smpp(_) => 0,
        };
        halves + framers + doubt
    }

    /// Takes a segment. Answers whether the stream is SMPP or may still be.
    pub(super) fn take(
        &mut self,
        said: &Said<'_>,
        known: &Known,
        pdu_octets_max: usize,
        out: &mut Out,
    ) -> bool {
        let Said { from, seq, data, missing, time_us } = *said;
        let Talk { halves, framers, from_start, tally, verdict } = self;
        let from_start = *from_start;
        let framer =
            framers[from].get_or_insert_with(|| Framer::new(pdu_octets_max, from_start[from]));
        halves[from].take(seq, data, missing, time_us, &mut |run| {
            framer.take(run, tally, &mut |piece| {
                verdict.hear(piece, from, time_us, known, from_start, out);
            });
        });
        self.settle(from, out)
    }

    /// Looks whether holes are to be given up.
    #[inline]
    pub(super) fn look(&mut self, time_us: u64, known: &Known, out: &mut Out) {
        let Talk { halves, framers, from_start, tally, verdict } = self;
        for (from, (half, framer)) in halves.iter_mut().zip(framers).enumerate() {
            let Some(framer) = framer else { continue };
            half.look(time_us, &mut |run| {
                framer.take(run, tally, &mut |piece| {
                    verdict.hear(piece, from, time_us, known, *from_start, out);
                });
            });
        }
    }

    /// Whether the stream is SMPP or may still be.
    fn settle(&mut self, from: usize, out: &mut Out) -> bool {
        if self.is_smpp() {
            self.count(out);
            if let Some(framer) = &mut self.framers[from] {
                framer.trust();
            }
            return true;
        }
        let strayed =
            self.from_start[from] && self.framers[from].as_ref().is_some_and(Framer::has_strayed);
        let full = matches!(&self.verdict, Verdict::Open(doubt) if doubt.is_full());
        !strayed && !full && self.tally.octets_skipped <= SEARCHED_OCTETS_MAX
    }

    /// Moves what was counted of an SMPP stream to the whole trace's counts.
    #[inline]
    fn count(&mut self, out: &mut Out) {
        out.skipped.add(&mut self.tally);
        for half in &mut self.halves {
            out.skipped.add(&mut half.tally);
        }
    }

    /// Nothing more comes. Answers whether the stream was SMPP.
    pub(super) fn end(
        &mut self,
        time_us: u64,
        ending: Ending,
        known: &Known,
        out: &mut Out,
    ) -> bool {
        let Talk { halves, framers, from_start, tally, verdict } = self;
        for (from, (half, framer)) in halves.iter_mut().zip(framers).enumerate() {
            let Some(framer) = framer else { continue };
            let mut hear = |piece: Piece<'_>| {
                verdict.hear(piece, from, time_us, known, *from_start, out);
            };
            half.end(time_us, &mut |run| framer.take(run, tally, &mut hear));
            framer.end(tally, &mut hear);
        }
        if let Verdict::Open(doubt) = &self.verdict
            && doubt.points >= spot::POINTS_ENOUGH
        {
            match doubt.esme {
                Some(esme) => self.verdict.decide(esme, known, self.from_start, out),
                None => self.verdict.suppose(known, self.from_start, out),
            }
        }
        if !self.is_smpp() {
            return false;
        }
        self.count(out);
        // What was held back at the end of the trace may have been all that was missing.
        let finished = self.halves.iter().all(Half::is_finished);
        let ending = if finished && ending == Ending::Trace { Ending::Finished } else { ending };
        out.push(Event::Closed { stream: known.stream, time_us, ending });
        true
    }
}

impl Verdict {
    /// Takes what a framer cut.
    #[inline]
    fn hear(
        &mut self,
        piece: Piece<'_>,
        from: usize,
        time_us: u64,
        known: &Known,
        from_start: [bool; 2],
        out: &mut Out,
    ) {
        let stream = known.stream;
        match self {
            Verdict::Smpp(esme) => {
                let side = if from == *esme { Side::Esme } else { Side::Smsc };
                match piece {
                    Piece::Pdus(octets, at) => out.pdus(stream, side, time_us, octets, at),
                    Piece::Cut(header) => {
                        out.push(Event::Cut { stream, side, time_us, header });
                    }
                    Piece::Gap(cause, octets) => {
                        out.push(Event::Gap { stream, side, time_us, cause, octets });
                    }
                }
            }
            Verdict::Open(doubt) => {
                doubt.hear(piece, from, time_us);
                if doubt.points < spot::POINTS_ENOUGH {
                    return;
                }
                // Whether the ESME was heard from its first octet on is known once it was heard.
                let full = doubt.is_full();
                let heard = |esme: &usize| full || doubt.heard[*esme] || doubt.missed[*esme];
                match doubt.esme.filter(heard) {
                    Some(esme) => self.decide(esme, known, from_start, out),
                    None if full => self.suppose(known, from_start, out),
                    None => {}
                }
            }
        }
    }

    /// No PDU told who is the ESME: most often whoever connects is, and servers have lower ports.
    fn suppose(&mut self, known: &Known, from_start: [bool; 2], out: &mut Out) {
        let [first, second] = known.ends;
        let by_port = usize::from(second.port() > first.port());
        out.skipped.streams_of_supposed_sides += 1;
        self.decide(known.client.unwrap_or(by_port), known, from_start, out);
    }

    /// The stream is SMPP: tells what waited.
    fn decide(&mut self, esme: usize, known: &Known, from_start: [bool; 2], out: &mut Out) {
        let Verdict::Open(doubt) = std::mem::replace(self, Verdict::Smpp(esme)) else { return };
        let from_start = from_start[esme] && doubt.heard[esme] && !doubt.missed[esme];
        out.skipped.streams_without_start += u64::from(!from_start);
        out.push(Event::Opened(Opened {
            stream: known.stream,
            time_us: known.since_us,
            esme: known.ends[esme],
            smsc: known.ends[1 - esme],
            from_start,
        }));
        let mut octets = doubt.octets.as_slice();
        for Waiting { from, time_us, what } in doubt.waiting {
            let piece = match what {
                Held::Pdus(count) => {
                    let (pdus, rest) = octets.split_at_checked(count).unwrap_or((octets, &[]));
                    octets = rest;
                    Piece::Pdus(pdus, None)
                }
                Held::Cut(header) => Piece::Cut(header),
                Held::Gap(cause, missing) => Piece::Gap(cause, missing),
            };
            self.hear(piece, from, time_us, known, [from_start; 2], out);
        }
    }
}

impl Doubt {
    /// Whether it has to be decided now.
    fn is_full(&self) -> bool {
        self.octets.len() > UNDECIDED_OCTETS_MAX || self.waiting.len() > UNDECIDED_PIECES_MAX
    }

    /// What holding it costs, octets.
    fn held(&self) -> usize {
        self.octets.capacity() + self.waiting.capacity() * size_of::<Waiting>()
    }

    fn hear(&mut self, piece: Piece<'_>, from: usize, time_us: u64) {
        let is_gap = matches!(piece, Piece::Gap(..));
        self.missed[from] |= is_gap && !self.heard[from];
        self.heard[from] |= !is_gap;
        let what = match piece {
            Piece::Pdus(octets, _) => {
                self.weigh(octets, from);
                self.octets.extend_from_slice(octets);
                Held::Pdus(octets.len())
            }
            Piece::Cut(header) => {
                self.points += spot::Evidence::Header.points();
                self.tell(header, from);
                Held::Cut(header)
            }
            // Before the first PDU, nobody has anything to miss.
            Piece::Gap(..) if self.waiting.is_empty() => return,
            Piece::Gap(cause, missing) => Held::Gap(cause, missing),
        };
        self.waiting.push(Waiting { from, time_us, what });
    }

    fn weigh(&mut self, mut octets: &[u8], from: usize) {
        while let Some(header) = Header::of(octets) {
            let length = header.command_length as usize;
            let Some((frame, rest)) = octets.split_at_checked(length) else { return };
            self.points += spot::evidence(frame).points();
            self.tell(header, from);
            octets = rest;
        }
    }

    /// Who is the ESME, if this header says so.
    fn tell(&mut self, header: Header, from: usize) {
        let sender = spot::sender(header.command);
        self.esme = self.esme.or(sender.map(|side| match side {
            Side::Esme => from,
            Side::Smsc => 1 - from,
        }));
    }
}
