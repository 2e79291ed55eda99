//! A connection of either leg: plain, or TLS.
//!
//! The plain one costs what the socket costs. TLS keeps octets of its own: what was written may still
//! have to be flushed ([`Stream::is_unflushed`]), and one look reads all records that are there.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// Octets that TLS takes of what is written before the socket has taken them; beyond it the session's
/// own buffer holds them, which has its limit and its clock.
pub(super) const TLS_BUFFER_OCTETS: usize = 16 * 1024;

/// A connection that is ready for SMPP.
#[derive(Debug)]
pub(super) enum Stream {
    /// The socket itself.
    Plain(TcpStream),
    /// TLS over it, its handshake done.
    Tls(Box<Encrypted>),
}

/// A TLS connection.
#[derive(Debug)]
pub(super) struct Encrypted {
    stream: TlsStream<TcpStream>,
    unflushed: bool,
}

impl Stream {
    /// TLS whose handshake is done.
    pub(super) fn encrypted(stream: TlsStream<TcpStream>) -> Stream {
        Stream::Tls(Box::new(Encrypted { stream, unflushed: false }))
    }

    /// Our end of the connection.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Stream::Plain(socket) => socket.local_addr(),
            Stream::Tls(tls) => tls.stream.get_ref().0.local_addr(),
        }
    }

    /// Whether octets that count as written have not been taken by the socket.
    pub(super) fn is_unflushed(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            Stream::Tls(tls) => tls.unflushed,
        }
    }

    /// Reads what is there; nothing read means that the peer sends no more.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Stream::Tls(tls) => tls.poll_read(cx, buf),
        }
    }

    /// Writes what is taken at once; how many octets.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(socket) => Pin::new(socket).poll_write(cx, octets),
            Stream::Tls(tls) => {
                let wrote = Pin::new(&mut tls.stream).poll_write(cx, octets);
                tls.unflushed = matches!(wrote, Poll::Ready(Ok(_)) | Poll::Pending);
                wrote
            }
        }
    }

    /// Hands the socket what counts as written.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(_) => Poll::Ready(Ok(())),
            Stream::Tls(tls) => {
                let flushed = Pin::new(&mut tls.stream).poll_flush(cx);
                tls.unflushed = flushed.is_pending();
                flushed
            }
        }
    }

    /// Says that nothing more comes, behind what counts as written.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Stream::Tls(tls) => {
                let shut = Pin::new(&mut tls.stream).poll_shutdown(cx);
                tls.unflushed = shut.is_pending();
                shut
            }
        }
    }
}

impl Encrypted {
    /// TLS gives one record (16 KiB) at a time: those that are there are read together, so that what
    /// came together is judged together.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        while buf.remaining() > 0 {
            let filled = buf.filled().len();
            match Pin::new(&mut self.stream).poll_read(cx, buf) {
                Poll::Ready(Ok(())) if buf.filled().len() > filled => {}
                Poll::Ready(Ok(())) => break,
                // Many close without close_notify. PDUs have their lengths: one that is cut shows.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                // What came before is read first; the error comes again, or the end instead.
                Poll::Ready(Err(error)) if filled == before => return Poll::Ready(Err(error)),
                Poll::Ready(Err(_)) => break,
                Poll::Pending if filled == before => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
