//! Octets of one direction to whole PDUs, also behind what is missing.
//!
//! Where PDUs stand one behind the other, command_length alone says where each ends, as on the link.
//! Behind a gap that is longer than the PDU it began in, or in the middle of a stream, nothing does:
//! then PDUs are looked for by [`spot::begins`], and the first headers behind have to be plausible.

use std::mem;

use super::half::Run;
use crate::replay::happening::GapCause;
use crate::replay::skipped::Tally;
use crate::replay::spot::{self, Found};
use crate::smpp::frame::cut;
use crate::smpp::{HEADER_OCTETS, Header};

/// PDUs in a row behind which command_length alone is believed.
const TRUSTED_PDUS: u8 = 16;

/// What comes out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece<'a> {
    /// Whole PDUs; with their place in the segment's data where they lie there.
    Pdus(&'a [u8], Option<usize>),
    /// A PDU of which only the front was captured.
    Cut(Header),
    /// Something is missing between the PDUs before and those behind.
    Gap(GapCause, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A PDU begins at the next octet, or with the octets that are held.
    Aligned,
    /// So many octets belong to a PDU whose middle is missing.
    Rest(usize),
    /// Nobody knows where a PDU begins. What is held may be one's first octets.
    Lost,
}

/// Cuts one direction into PDUs.
#[derive(Debug)]
pub(super) struct Framer {
    state: State,
    pdus_in_row: u8,
    /// Whether every PDU stood where it should, from the first octet on.
    in_line: bool,
    strayed: bool,
    held: Vec<u8>,
    /// Octets at the front of `held` that are done with; none but in [`State::Lost`].
    used: usize,
    pdu_octets_max: usize,
}

impl Framer {
    /// A stream whose first octet is known, or one that is met in its middle.
    pub(super) fn new(pdu_octets_max: usize, from_start: bool) -> Framer {
        let state = if from_start { State::Aligned } else { State::Lost };
        Framer {
            state,
            pdus_in_row: 0,
            in_line: from_start,
            strayed: false,
            held: Vec::new(),
            used: 0,
            pdu_octets_max,
        }
    }

    /// Octets that wait for more, with what holding them costs.
    pub(super) fn held(&self) -> usize {
        self.held.capacity()
    }

    /// The stream is known to be SMPP: from its first octet on, lengths are believed.
    #[inline]
    pub(super) fn trust(&mut self) {
        if self.in_line {
            self.pdus_in_row = TRUSTED_PDUS;
        }
    }

    /// Whether something else stood where PDUs had stood in line, or the first one should have.
    pub(super) fn has_strayed(&self) -> bool {
        self.strayed
    }

    #[inline]
    pub(super) fn take(
        &mut self,
        run: Run<'_>,
        tally: &mut Tally,
        sink: &mut impl FnMut(Piece<'_>),
    ) {
        match run {
            Run::Octets(octets, at) if self.held.is_empty() => {
                let used = self.cut(octets, at, false, tally, sink);
                self.held.extend_from_slice(octets.get(used..).unwrap_or(&[]));
            }
            Run::Octets(octets, at) => self.take_behind_held(octets, at, tally, sink),
            Run::Gap(missing) => self.gap(missing, Some(missing), tally, sink),
            Run::Jump => self.gap(0, None, tally, sink),
        }
    }

    /// Adds to what is held as much as makes it whole; the rest is cut where it lies.
    fn take_behind_held(
        &mut self,
        octets: &[u8],
        at: Option<usize>,
        tally: &mut Tally,
        sink: &mut impl FnMut(Piece<'_>),
    ) {
        let mut rest = octets;
        if self.state == State::Aligned {
            let for_header = HEADER_OCTETS.saturating_sub(self.held.len()).min(rest.len());
            rest = self.hold(rest, for_header);
            let Some(length) = self.length(&self.held) else {
                if self.held.len() >= HEADER_OCTETS {
                    self.held.extend_from_slice(rest);
                    self.recut(false, tally, sink);
                }
                return;
            };
            let for_frame = length.saturating_sub(self.held.len()).min(rest.len());
            rest = self.hold(rest, for_frame);
            if self.held.len() < length {
                return;
            }
            self.pdus_in_row = self.pdus_in_row.saturating_add(1);
            sink(Piece::Pdus(&self.held, None));
            self.held.clear();
            let at = at.map(|at| at + octets.len() - rest.len());
            let used = self.cut(rest, at, false, tally, sink);
            self.held.extend_from_slice(rest.get(used..).unwrap_or(&[]));
            self.give_room_back();
        } else {
            self.held.extend_from_slice(rest);
            self.recut(false, tally, sink);
        }
    }

    fn hold<'a>(&mut self, octets: &'a [u8], count: usize) -> &'a [u8] {
        let (taken, rest) = octets.split_at_checked(count).unwrap_or((octets, &[]));
        self.held.extend_from_slice(taken);
        rest
    }

    /// Cuts what is held. What is done with is dropped once it is the greater part: hostile octets
    /// could have a long rest moved for every few that come.
    fn recut(&mut self, last: bool, tally: &mut Tally, sink: &mut impl FnMut(Piece<'_>)) {
        let held = mem::take(&mut self.held);
        self.used += self.cut(held.get(self.used..).unwrap_or(&[]), None, last, tally, sink);
        self.held = held;
        if self.state != State::Lost || self.used > self.held.len() / 2 {
            self.held.drain(..self.used);
            self.used = 0;
        }
        self.give_room_back();
    }

    /// An idle stream holds no room worth the name.
    fn give_room_back(&mut self) {
        const KEPT_OCTETS: usize = 512;
        if self.held.capacity() > KEPT_OCTETS && self.held.is_empty() {
            self.held = Vec::new();
        }
    }

    /// Cuts whole PDUs off the front and answers how many octets are done with. `last` says that
    /// no more octets come behind these.
    #[inline]
    fn cut(
        &mut self,
        octets: &[u8],
        at: Option<usize>,
        last: bool,
        tally: &mut Tally,
        sink: &mut impl FnMut(Piece<'_>),
    ) -> usize {
        let mut start = 0;
        loop {
            let rest = octets.get(start..).unwrap_or(&[]);
            match self.state {
                State::Aligned => {
                    let run = self.run(rest);
                    let (whole, behind) = rest.split_at_checked(run).unwrap_or((rest, &[]));
                    if run > 0 {
                        sink(Piece::Pdus(whole, at.map(|at| at + start)));
                    }
                    start += run;
                    if behind.len() < HEADER_OCTETS || self.length(behind).is_some() {
                        return start;
                    }
                    self.state = State::Lost;
                    self.strayed |= self.in_line;
                    self.in_line = false;
                    sink(Piece::Gap(GapCause::Framing, 0));
                }
                State::Rest(left) => {
                    let dropped = left.min(rest.len());
                    tally.octets_skipped += dropped as u64;
                    start += dropped;
                    if dropped < left {
                        self.state = State::Rest(left - dropped);
                        return start;
                    }
                    self.state = State::Aligned;
                }
                State::Lost => {
                    let (dropped, found) = self.search(rest, last);
                    tally.octets_skipped += dropped as u64;
                    start += dropped;
                    if !found {
                        return start;
                    }
                    self.state = State::Aligned;
                    self.pdus_in_row = 0;
                }
            }
        }
    }

    /// Octets of whole PDUs at the front.
    #[inline]
    fn run(&mut self, octets: &[u8]) -> usize {
        let mut end = 0;
        while let Some(length) = octets.get(end..).and_then(|rest| self.length(rest))
            && length <= octets.len() - end
        {
            end += length;
            self.pdus_in_row = self.pdus_in_row.saturating_add(1);
        }
        end
    }

    /// Length of the PDU whose header stands at the front; `None` where there is none.
    #[inline]
    fn length(&self, octets: &[u8]) -> Option<usize> {
        let header = octets.first_chunk::<HEADER_OCTETS>()?;
        if self.pdus_in_row < TRUSTED_PDUS && !spot::is_header(header, self.pdu_octets_max) {
            return None;
        }
        cut(header, self.pdu_octets_max).ok()?;
        Some(u32::from_be_bytes(*octets.first_chunk()?) as usize)
    }

    /// Octets before the next PDU, and whether there is one.
    fn search(&self, octets: &[u8], last: bool) -> (usize, bool) {
        let is_length = |four: &[u8]| {
            let length = four.first_chunk().map_or(0, |four| u32::from_be_bytes(*four) as usize);
            (HEADER_OCTETS..=self.pdu_octets_max).contains(&length)
        };
        let mut at = 0;
        loop {
            let rest = octets.get(at..).unwrap_or(&[]);
            let Some(next) = rest.windows(4).position(is_length) else {
                // The first octets of a length may be the last that came.
                let kept = if last { 0 } else { rest.len().min(3) };
                return (octets.len() - kept, false);
            };
            at += next;
            let rest = octets.get(at..).unwrap_or(&[]);
            match spot::begins(rest, self.pdu_octets_max, last) {
                Found::Yes => return (at, true),
                Found::Perhaps => return (at, false),
                Found::No => at += 1,
            }
        }
    }

    /// `missing` octets are not there; an unknown number where `told` is `None`.
    fn gap(
        &mut self,
        missing: u64,
        told: Option<u64>,
        tally: &mut Tally,
        sink: &mut impl FnMut(Piece<'_>),
    ) {
        if self.state == State::Lost && !self.is_cut_by(missing) {
            self.recut(true, tally, sink);
        }
        let left = match self.state {
            State::Rest(left) => Some(left),
            State::Aligned => self.length(&self.held).map(|length| length - self.held.len()),
            State::Lost => None,
        };
        self.drop_held(tally, sink);
        self.state = match left.map(|left| left as u64) {
            Some(left) if told == Some(left) => State::Aligned,
            Some(left) if told.is_some_and(|missing| missing < left) => {
                State::Rest((left - missing) as usize)
            }
            _ => State::Lost,
        };
        self.in_line &= self.state != State::Lost;
        tally.octets_in_gaps += missing;
        sink(Piece::Gap(GapCause::Missing, missing));
    }

    /// Whether what is held is a PDU that ends exactly where so many missing octets do: then it is
    /// one, though its body cannot be looked at.
    fn is_cut_by(&mut self, missing: u64) -> bool {
        let held = self.held.get(self.used..).unwrap_or(&[]);
        let header = spot::header(held, self.pdu_octets_max);
        let is_cut = header
            .is_some_and(|header| u64::from(header.command_length) == held.len() as u64 + missing);
        if is_cut {
            self.held.drain(..self.used);
            self.used = 0;
            self.state = State::Aligned;
            self.pdus_in_row = 0;
        }
        is_cut
    }

    /// What is held will not become whole.
    fn drop_held(&mut self, tally: &mut Tally, sink: &mut impl FnMut(Piece<'_>)) {
        if !self.held.is_empty() {
            if self.state == State::Aligned {
                tally.pdus_cut += 1;
                if self.length(&self.held).is_some()
                    && let Some(header) = Header::of(&self.held)
                {
                    sink(Piece::Cut(header));
                }
            }
            tally.octets_skipped += (self.held.len() - self.used) as u64;
            self.held = Vec::new();
            self.used = 0;
        }
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self, tally: &mut Tally, sink: &mut impl FnMut(Piece<'_>)) {
        if self.state == State::Lost {
            self.recut(true, tally, sink);
        }
        self.drop_held(tally, sink);
    }
}
