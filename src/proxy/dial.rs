//! A connection to a peer: to whichever of its addresses takes one.
//!
//! A name may stand for several addresses, and one of them may take no connection and not say so. Each is
//! given a head start before the next is tried beside it (RFC 8305, 5): a dead one costs that, and not
//! the whole time that connecting may take.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

use super::header::Ends;
use super::outward::Outward;
use super::stream::Stream;
use super::{Settings, socket};

/// How long an address is tried alone.
const HEAD_START: Duration = Duration::from_millis(250);

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;

/// A connection to a peer.
pub(super) struct Dialled {
    /// The connection.
    pub(super) stream: Stream,
    /// Where it leads.
    pub(super) address: SocketAddr,
}

/// Connects to a `host:port` for an ESME with these ends: its name and all of its addresses for at most the
/// connect time, what comes before SMPP for at most the handshake time, and all of it for at most `left`. The
/// error is the last one met.
pub(super) async fn dial(
    target: &str,
    outward: &Outward,
    ends: Ends,
    left: Duration,
    settings: &Settings,
) -> io::Result<Dialled> {
    let began = Instant::now();
    let connected = timeout(left.min(settings.connect), async {
        let addresses: Vec<_> = lookup_host(target).await?.take(ADDRESSES_MAX).collect();
        first(&addresses).await
    });
    let late = |_| Err(io::ErrorKind::TimedOut.into());
    let (socket, address) = connected.await.unwrap_or_else(late)?;
    socket::prepare(&socket, settings)?;
    let left = left.saturating_sub(began.elapsed());
    let begun = timeout(left, outward.begin(socket, target, ends, settings));
    let stream = begun.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    Ok(Dialled { stream, address })
}

/// Tries each `host:port` in order, each for at most the connect time.
pub(super) async fn dial_one_of(
    targets: &[String],
    outward: &Outward,
    ends: Ends,
    settings: &Settings,
) -> io::Result<Dialled> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for target in targets {
        let left = settings.connect + settings.handshake;
        match dial(target, outward, ends, left, settings).await {
            Ok(dialled) => return Ok(dialled),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// One address being tried.
type Trying = Pin<Box<dyn Future<Output = (SocketAddr, io::Result<TcpStream>)> + Send>>;

/// The first of the addresses that takes a connection. One that fails has the next begin at once.
async fn first(addresses: &[SocketAddr]) -> io::Result<(TcpStream, SocketAddr)> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    let mut waiting = addresses.iter().copied();
    let mut trying: Vec<Trying> = Vec::new();
    loop {
        match waiting.next() {
            Some(address) => {
                trying.push(Box::pin(async move { (address, TcpStream::connect(address).await) }));
            }
            None if trying.is_empty() => return Err(last),
            None => {}
        }
        let ended = poll_fn(|cx| poll_any(&mut trying, cx));
        let ended = match waiting.len() {
            0 => ended.await,
            _ => match timeout(HEAD_START, ended).await {
                Ok(ended) => ended,
                Err(_) => continue,
            },
        };
        match ended {
            (address, Ok(socket)) => return Ok((socket, address)),
            (_, Err(error)) => last = error,
        }
    }
}

/// Takes out the first that has ended.
fn poll_any(
    trying: &mut Vec<Trying>,
    cx: &mut Context<'_>,
) -> Poll<(SocketAddr, io::Result<TcpStream>)> {
    for (at, one) in trying.iter_mut().enumerate() {
        if let Poll::Ready(ended) = one.as_mut().poll(cx) {
            drop(trying.swap_remove(at));
            return Poll::Ready(ended);
        }
    }
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address that answers nothing: its backlog is full, and what comes more is not looked at.
    fn mute() -> (socket2::Socket, Vec<socket2::Socket>, SocketAddr) {
        use socket2::{Domain, Socket, Type};
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let waiting = (0..4).map(|_| {
            let one = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            one.set_nonblocking(true).unwrap();
            let _ = one.connect(&address);
            one
        });
        let waiting = waiting.collect();
        (listener, waiting, address.as_socket().unwrap())
    }

    #[tokio::test]
    async fn whichever_address_answers_is_taken() {
        let (_good, good) = listener();
        let (closed, refused) = listener();
        drop(closed);
        let (_mute, _waiting, silent) = mute();
        for (addresses, expected) in [
            (vec![good], Some(good)),
            (vec![refused, good], Some(good)),
            (vec![silent, good], Some(good)),
            (vec![silent, refused, silent, good], Some(good)),
            (vec![refused, refused], None),
            (vec![], None),
        ] {
            let within = Duration::from_secs(20);
            let found = timeout(within, first(&addresses))
                .await
                .expect("well before the silent one gives up");
            assert_eq!(found.ok().map(|(_, address)| address), expected, "{addresses:?}");
        }
    }
}
