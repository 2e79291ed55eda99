//! What waits to be written. Each side has its own type, so that nothing but [`Cleared`] octets can
//! be put before the SMSC.

use std::io;
use std::task::{Context, Poll};

use super::stream::Stream;
use crate::session::Cleared;

/// Octets for one socket, oldest first. Gives its room back when it is empty.
#[derive(Debug, Default)]
struct Out {
    octets: Vec<u8>,
    sent: usize,
}

impl Out {
    fn len(&self) -> usize {
        self.octets.len() - self.sent
    }

    /// Writes until nothing is left or the socket takes no more; whether it took any.
    fn poll_flush(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let before = self.len();
        while let Some(rest) = self.octets.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match stream.poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.sent += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if self.len() < before => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        let moved = self.len() < before;
        if self.len() > 0 {
            return Poll::Ready(Ok(moved));
        }
        *self = Out::default();
        match stream.poll_flush(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(true)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending if moved => Poll::Ready(Ok(true)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// What waits for the ESME: the SMSC's octets and our own refusals.
#[derive(Debug, Default)]
pub(super) struct ToEsme(Out);

impl ToEsme {
    /// Octets that wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The end of what waits, for [`ToEsme::since`]. Holds until the next flush.
    pub fn mark(&self) -> usize {
        self.0.octets.len()
    }

    /// What was appended since.
    pub fn since(&self, mark: usize) -> &[u8] {
        self.0.octets.get(mark..).unwrap_or_default()
    }

    /// Where to append whole PDUs.
    pub fn room(&mut self) -> &mut Vec<u8> {
        &mut self.0.octets
    }

    /// Writes what the socket takes.
    pub fn poll_flush(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        self.0.poll_flush(stream, cx)
    }
}

/// What waits for the SMSC: cleared octets and nothing else.
#[derive(Debug, Default)]
pub(super) struct ToSmsc(Out);

impl ToSmsc {
    /// Octets that wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Appends cleared octets.
    pub fn push(&mut self, cleared: Cleared<'_>) {
        self.0.octets.extend_from_slice(cleared.octets());
    }

    /// Writes what the socket takes.
    pub fn poll_flush(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        self.0.poll_flush(stream, cx)
    }
}
