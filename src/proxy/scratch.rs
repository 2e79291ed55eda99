//! One read buffer and one desk a thread, so that an idle session holds none.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use super::stream::Stream;
use crate::session::Desk;

/// Octets that one read takes at most.
pub const READ_OCTETS: usize = 64 * 1024;

thread_local! {
    static DESK: RefCell<Desk> = RefCell::default();
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_OCTETS].into_boxed_slice());
}

/// Works with this thread's desk. Not to be called from within itself.
pub fn with_desk<T>(work: impl FnOnce(&mut Desk) -> T) -> T {
    DESK.with_borrow_mut(work)
}

/// Reads once and hands what came to `take`; zero octets mean that the peer has closed.
pub(super) fn poll_read(
    stream: &mut Stream,
    cx: &mut Context<'_>,
    take: impl FnOnce(&[u8]),
) -> Poll<io::Result<usize>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buf = ReadBuf::new(scratch);
        match stream.poll_read(cx, &mut buf) {
            Poll::Ready(Ok(())) => {
                take(buf.filled());
                Poll::Ready(Ok(buf.filled().len()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    })
}
