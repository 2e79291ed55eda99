//! One direction of a TCP stream: segments in any order to octets in theirs.
//!
//! What was seen first stands. A hole is waited for until it is plain that nothing will fill it: the
//! receiver has acknowledged what lies behind it, or too much has come since.

use crate::replay::skipped::Tally;

/// Most octets behind a hole that are held, a direction. Then the hole is a gap.
pub const HELD_OCTETS_MAX: usize = 1 << 20;
/// Most pieces behind holes that are held, a direction.
pub const HELD_PIECES_MAX: usize = 1024;
/// How long a hole is waited for that the receiver has acknowledged, microseconds: captures of
/// several interfaces or queues write packets down in another order than they came.
pub const ACKED_WAIT_US: u64 = 200_000;
/// Pieces behind an acknowledged hole after which it is not waited for.
pub const ACKED_PIECES_MAX: usize = 32;
/// How long any hole is waited for, microseconds: by then TCP has sent again several times.
pub const HOLE_WAIT_US: u64 = 60_000_000;
/// How far back a sequence number may stray, octets, to be a repetition. Farther back it is a stream
/// of which something was missed.
pub const STRAY_OCTETS_MAX: u32 = 16 << 20;

/// What a piece costs beside its octets.
const PIECE_OCTETS: usize = 64;

/// What comes out, in order.
#[derive(Debug, Clone, Copy)]
pub(super) enum Run<'a> {
    /// Octets; with their place in the segment's data where they lie there.
    Octets(&'a [u8], Option<usize>),
    /// So many octets are missing.
    Gap(u64),
    /// An unknown number of octets is missing.
    Jump,
}

/// Octets behind a hole, or known not to have been captured.
#[derive(Debug)]
struct Piece {
    seq: u32,
    octets: u32,
    /// `None` where they were not captured.
    data: Option<Box<[u8]>>,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// Sequence number of the octet that comes next.
    next: u32,
    begun: bool,
    /// The highest sequence number that the other side has acknowledged.
    acked: Option<u32>,
    /// Sequence number behind the last octet.
    fin: Option<u32>,
    /// Behind `next`, in order, not touching: sorted by distance from `next`.
    ahead: Vec<Piece>,
    held: usize,
    hole_since_us: u64,
    /// What was counted and not yet asked for.
    pub(super) tally: Tally,
}

/// How far `seq` lies behind `from`; before it when negative.
#[inline]
fn distance(seq: u32, from: u32) -> i32 {
    seq.wrapping_sub(from) as i32
}

impl Half {
    /// Says where the first octet stands, once.
    pub(super) fn begin(&mut self, seq: u32) {
        if !self.begun {
            self.begun = true;
            self.next = seq;
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Sequence number of the octet that comes next.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// Whether a segment with this sequence number may be this side's: a forged or stray RST is told
    /// by its number.
    pub(super) fn is_near(&self, seq: u32) -> bool {
        !self.begun || distance(seq, self.next).unsigned_abs() as usize <= HELD_OCTETS_MAX
    }

    /// What is held, with what holding it costs: octets.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Whether everything up to the FIN came.
    pub(super) fn is_finished(&self) -> bool {
        self.fin.is_some_and(|fin| self.begun && distance(self.next, fin) >= 0)
    }

    /// The side says that its last octet stands before `seq`.
    pub(super) fn finish(&mut self, seq: u32) {
        self.begin(seq);
        self.fin.get_or_insert(seq);
    }

    /// The other side has everything before `ack`.
    #[inline]
    pub(super) fn acknowledge(&mut self, ack: u32) {
        if self.acked.is_none_or(|acked| distance(ack, acked) > 0) {
            self.acked = Some(ack);
        }
    }

    /// Takes a segment's data that begins at `seq` and behind which `missing` octets were cut.
    #[inline]
    pub(super) fn take(
        &mut self,
        seq: u32,
        data: &[u8],
        missing: u32,
        now_us: u64,
        sink: &mut impl FnMut(Run<'_>),
    ) {
        self.begin(seq);
        if seq == self.next && self.ahead.is_empty() {
            self.pass(data, Some(0), missing, sink);
            return;
        }
        self.take_out_of_order(seq, data, missing, now_us, sink);
    }

    #[inline]
    fn pass(
        &mut self,
        data: &[u8],
        at: Option<usize>,
        missing: u32,
        sink: &mut impl FnMut(Run<'_>),
    ) {
        self.next = self.next.wrapping_add(data.len() as u32).wrapping_add(missing);
        if !data.is_empty() {
            sink(Run::Octets(data, at));
        }
        if missing > 0 {
            sink(Run::Gap(missing.into()));
        }
    }

    #[cold]
    fn take_out_of_order(
        &mut self,
        seq: u32,
        data: &[u8],
        missing: u32,
        now_us: u64,
        sink: &mut impl FnMut(Run<'_>),
    ) {
        let behind = distance(seq, self.next);
        if behind < 0 && behind.unsigned_abs() > STRAY_OCTETS_MAX {
            self.forget();
            self.next = seq;
            sink(Run::Jump);
            return self.pass(data, Some(0), missing, sink);
        }
        // What came before is cut off the front, of the data first and then of what is missing.
        let old = if behind < 0 { behind.unsigned_abs() } else { 0 };
        let old_data = (old as usize).min(data.len());
        let old_missing = (old - old_data as u32).min(missing);
        self.tally.octets_repeated += old_data as u64;
        let rest = data.get(old_data..).unwrap_or(&[]);
        let missing = missing - old_missing;
        if rest.is_empty() && missing == 0 {
            return;
        }
        let seq = seq.wrapping_add(old_data as u32 + old_missing);
        if self.ahead.is_empty() {
            if seq == self.next {
                return self.pass(rest, Some(old_data), missing, sink);
            }
            self.hole_since_us = now_us;
        }
        self.keep(seq, rest.len() as u32, Some(rest));
        self.keep(seq.wrapping_add(rest.len() as u32), missing, None);
        self.drain(now_us, sink);
        while self.held > HELD_OCTETS_MAX || self.ahead.len() > HELD_PIECES_MAX {
            self.skip_hole(now_us, sink);
        }
    }

    /// Keeps what no piece covers yet of `octets` from `seq` on.
    fn keep(&mut self, seq: u32, octets: u32, data: Option<&[u8]>) {
        let next = self.next;
        let place = |seq: u32| seq.wrapping_sub(next);
        let (start, end) = (u64::from(place(seq)), u64::from(place(seq)) + u64::from(octets));
        let mut at = start;
        let reaches =
            |piece: &Piece| u64::from(place(piece.seq)) + u64::from(piece.octets) <= start;
        let mut index = self.ahead.partition_point(reaches);
        while at < end {
            let piece = self.ahead.get(index);
            let piece_start = piece.map_or(u64::MAX, |piece| place(piece.seq).into());
            if let Some(piece) = piece
                && piece_start <= at
            {
                let until = end.min(piece_start + u64::from(piece.octets));
                if let Some(data) = data {
                    let again = data.get((at - start) as usize..(until - start) as usize);
                    piece.compare(
                        (at - piece_start) as usize,
                        again.unwrap_or(&[]),
                        &mut self.tally,
                    );
                }
                at = until;
            } else {
                let until = end.min(piece_start);
                let own = data.map(|data| {
                    let own = data.get((at - start) as usize..(until - start) as usize);
                    Box::from(own.unwrap_or(&[]))
                });
                let seq = next.wrapping_add(at as u32);
                let piece = Piece { seq, octets: (until - at) as u32, data: own };
                self.held += piece.held();
                self.ahead.insert(index, piece);
                at = until;
            }
            index += 1;
        }
    }

    /// Lets go of what follows `next` without a hole.
    fn drain(&mut self, now_us: u64, sink: &mut impl FnMut(Run<'_>)) {
        let run = self.ahead.iter().scan(self.next, |next, piece| {
            let touches = piece.seq == *next;
            *next = next.wrapping_add(piece.octets);
            touches.then_some(())
        });
        let count = run.count();
        if count == 0 {
            return;
        }
        for piece in self.ahead.drain(..count) {
            self.next = self.next.wrapping_add(piece.octets);
            self.held -= piece.held();
            match &piece.data {
                Some(data) => sink(Run::Octets(data, None)),
                None => sink(Run::Gap(piece.octets.into())),
            }
        }
        self.hole_since_us = now_us;
        if self.ahead.is_empty() {
            self.forget();
        }
    }

    /// Gives the first hole up.
    fn skip_hole(&mut self, now_us: u64, sink: &mut impl FnMut(Run<'_>)) {
        if let Some(first) = self.ahead.first() {
            let octets = first.seq.wrapping_sub(self.next);
            self.next = first.seq;
            sink(Run::Gap(octets.into()));
            self.drain(now_us, sink);
        }
    }

    fn forget(&mut self) {
        self.ahead = Vec::new();
        self.held = 0;
    }

    /// Gives up holes that nothing will fill any more.
    #[inline]
    pub(super) fn look(&mut self, now_us: u64, sink: &mut impl FnMut(Run<'_>)) {
        while let Some(first) = self.ahead.first() {
            let waited_us = now_us.saturating_sub(self.hole_since_us);
            let acked = self.acked.is_some_and(|acked| distance(acked, first.seq) >= 0);
            let long = waited_us >= ACKED_WAIT_US || self.ahead.len() >= ACKED_PIECES_MAX;
            if !(acked && long || waited_us >= HOLE_WAIT_US) {
                break;
            }
            self.skip_hole(now_us, sink);
        }
    }

    /// Lets go of everything: nothing more comes.
    pub(super) fn end(&mut self, now_us: u64, sink: &mut impl FnMut(Run<'_>)) {
        while let Some(first) = self.ahead.first() {
            // What lies far ahead and was never acknowledged was never received.
            let acked = self.acked.is_some_and(|acked| distance(acked, first.seq) >= 0);
            if !acked && first.seq.wrapping_sub(self.next) as usize > HELD_OCTETS_MAX {
                let stray = self.ahead.iter().filter_map(|piece| piece.data.as_ref());
                self.tally.octets_skipped += stray.map(|data| data.len() as u64).sum::<u64>();
                break;
            }
            self.skip_hole(now_us, sink);
        }
        self.forget();
        let last = self.fin.or(self.acked);
        let missing = last.map_or(0, |last| last.wrapping_sub(self.next));
        // One octet that was acknowledged and not seen may be a FIN.
        let is_octets = missing > 1 || missing == 1 && self.fin.is_some();
        if self.begun && is_octets && missing <= STRAY_OCTETS_MAX {
            self.next = self.next.wrapping_add(missing);
            sink(Run::Gap(missing.into()));
        }
    }
}

impl Piece {
    /// What holding it costs, octets.
    fn held(&self) -> usize {
        PIECE_OCTETS + self.data.as_ref().map_or(0, |data| data.len())
    }

    /// Counts octets that came again, and those that were others the first time.
    fn compare(&self, at: usize, again: &[u8], tally: &mut Tally) {
        tally.octets_repeated += again.len() as u64;
        let first = self.data.as_ref().and_then(|data| data.get(at..)).unwrap_or(&[]);
        let differ = first.iter().zip(again).filter(|(first, again)| first != again).count();
        tally.octets_in_conflict += differ as u64;
    }
}
