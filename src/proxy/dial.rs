//! A connection to the first address of a list that takes one.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::header::Ends;
use super::outward::Outward;
use super::stream::Stream;
use super::{Settings, socket};

/// A connection to one of several peers.
pub struct Dialled<'a> {
    /// The connection.
    pub(super) stream: Stream,
    /// Where it leads.
    pub address: SocketAddr,
    /// The same as it was configured.
    pub target: &'a str,
}

/// Tries each `host:port` in order for an ESME with these ends, each of its addresses for at most the
/// connect time and, where there is more to say than SMPP, the handshake time. The error is the last one met.
pub(super) async fn dial<'a>(
    targets: &'a [String],
    outward: &Outward,
    ends: Ends,
    settings: &Settings,
) -> io::Result<Dialled<'a>> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for target in targets {
        let found = match timeout(settings.connect, lookup_host(target.as_str())).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                last = error;
                continue;
            }
            Err(_) => {
                last = io::ErrorKind::TimedOut.into();
                continue;
            }
        };
        for address in found {
            match timeout(settings.connect, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    socket::prepare(&stream, settings)?;
                    match outward.begin(stream, target, ends, settings).await {
                        Ok(stream) => return Ok(Dialled { stream, address, target }),
                        Err(error) => last = error,
                    }
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
    }
    Err(last)
}
