//! A trace's octets through one buffer: packets are looked at where they lie.

use std::io::{self, ErrorKind, Read};

use super::PACKET_OCTETS_MAX;

/// Size of the buffer, octets: several of the largest packets, and reads that are worth their call.
const BUFFER_OCTETS: usize = 4 * PACKET_OCTETS_MAX;

/// Octets of a trace, in order, each looked at before it is consumed.
pub(super) struct Input {
    inner: Box<dyn Read + Send>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    ended: bool,
    /// Octets consumed so far.
    offset: u64,
    marked: u64,
}

impl Input {
    pub(super) fn new(inner: Box<dyn Read + Send>) -> Input {
        let buffer = vec![0; BUFFER_OCTETS].into_boxed_slice();
        Input { inner, buffer, start: 0, end: 0, ended: false, offset: 0, marked: 0 }
    }

    /// Notes that a part begins here: what is wrong with it is reported at this place.
    #[inline]
    pub(super) fn mark(&mut self) {
        self.marked = self.offset;
    }

    /// Where the part begins that was noted last.
    pub(super) fn marked(&self) -> u64 {
        self.marked
    }

    /// The next `want` octets, not consumed; fewer where the trace ends before. `want` is at most
    /// the buffer's size.
    #[inline]
    pub(super) fn peek(&mut self, want: usize) -> io::Result<&[u8]> {
        if self.end - self.start < want {
            self.fill(want)?;
        }
        let available = want.min(self.end - self.start);
        Ok(&self.buffer[self.start..self.start + available])
    }

    /// Consumes `count` octets that were looked at.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.offset += count as u64;
    }

    /// Octets consumed last, `back` before the next one and `count` of them. They stay until the
    /// next [`Input::peek`] or [`Input::skip`].
    #[inline]
    pub(super) fn consumed(&self, back: usize, count: usize) -> &[u8] {
        let from = self.start.saturating_sub(back);
        self.buffer.get(from..from + count).unwrap_or(&[])
    }

    /// Consumes `count` octets unseen. Answers whether there were as many.
    pub(super) fn skip(&mut self, mut count: u64) -> io::Result<bool> {
        loop {
            let step = count.min((self.end - self.start) as u64);
            self.consume(step as usize);
            count -= step;
            if count == 0 {
                return Ok(true);
            }
            if self.peek(1)?.is_empty() {
                return Ok(false);
            }
        }
    }

    #[cold]
    fn fill(&mut self, want: usize) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < want && !self.ended {
            match self.inner.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
