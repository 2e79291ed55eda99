//! What one HTTP connection may cost: octets, time, and a place among [`CONNECTIONS_MAX`].
//!
//! The bounds stand below the HTTP library, at the socket: whatever a peer does with HTTP, it has
//! [`LIFE_MAX`] to do it in and [`READ_OCTETS_MAX`] to do it with.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// Connections at once. One more is answered 503 and closed.
pub const CONNECTIONS_MAX: usize = 64;
/// The life of a connection, from its acceptance to the last octet of the answer.
pub const LIFE_MAX: Duration = Duration::from_secs(10);
/// Octets read from a connection: a head and a body at their limits, and HTTP's own words.
pub const READ_OCTETS_MAX: usize = 64 * 1024;

/// Pause after accept failed, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n\
    Connection: close\r\n\r\n";

/// A listener whose connections are bounded.
pub(super) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    life: Duration,
}

impl Bounded {
    pub fn new(listener: TcpListener, life: Duration) -> Bounded {
        Bounded { listener, places: Arc::new(Semaphore::new(CONNECTIONS_MAX)), life }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => match Arc::clone(&self.places).try_acquire_owned() {
                    Ok(place) => return (Connection::new(stream, place, self.life), peer),
                    // As much of it as the socket takes at once; a full house waits for nobody.
                    Err(_) => drop(stream.try_write(FULL)),
                },
                Err(error) => {
                    tracing::warn!(%error, "admin connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, Bounded>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Peer {
        Peer(*stream.remote_addr())
    }
}

/// A socket that gives up when its time or its octets are used up.
pub(super) struct Connection {
    stream: TcpStream,
    octets_left: usize,
    end: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit, life: Duration) -> Connection {
        let end = Box::pin(sleep(life));
        Connection { stream, octets_left: READ_OCTETS_MAX, end, _place: place }
    }

    /// An error once the connection's time is up; the task is woken then.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.poll_end(cx)?;
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        match this.octets_left.checked_sub(read) {
            Some(left) => this.octets_left = left,
            None => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.poll_end(cx)?;
        Pin::new(&mut this.stream).poll_write(cx, octets)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.poll_end(cx)?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    /// A client that never finishes its request, and one that never takes its answer, are cut off.
    #[test]
    fn slow_clients_are_cut_off_at_the_end_of_their_life() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let scene = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let bounded = Bounded::new(listener, Duration::from_millis(50));
            let places = Arc::clone(&bounded.places);
            let long = || async { vec![b'x'; 64 << 20] };
            let served = axum::serve(bounded, Router::new().route("/", get(long)));
            let server = tokio::spawn(served.into_future());
            for request in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
                let mut client = TcpStream::connect(address).await.unwrap();
                client.write_all(request.as_bytes()).await.unwrap();
                // Every place free again: the server gave the connection up by itself.
                let all = CONNECTIONS_MAX as u32;
                let mut answer = [0; 16];
                if request.ends_with("\r\n\r\n") {
                    client.read_exact(&mut answer).await.unwrap();
                    drop(Arc::clone(&places).acquire_many_owned(all).await.unwrap());
                } else {
                    assert!(!matches!(client.read(&mut answer).await, Ok(1..)), "{request}");
                }
            }
            server.abort();
        };
        let ended = runtime.block_on(async { timeout(Duration::from_secs(10), scene).await });
        assert!(ended.is_ok(), "a slow client was not cut off");
    }
}
