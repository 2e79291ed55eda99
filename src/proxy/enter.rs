//! What a connection passes before it is a session: whose it is, whether that address may come at all and
//! now, and the TLS handshake of its listener.
//!
//! What needs the peer's octets happens on the thread that will carry the pair, so that no listener ever
//! waits for a peer, and within the handshake time each: a peer that sends an octet a minute is let go.
//! Meanwhile the connection counts among the sessions.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Shared;
use super::header::{self, Carried, Ends, HeaderFault, Step};
use super::stream::Stream;
use super::tls::ServerTls;
use crate::metrics::Refused;
use crate::registry::Presented;

/// How connections come in at a listener. The default lets everybody come, as they are.
#[derive(Debug, Default, Clone)]
pub struct Entrance {
    /// TLS with who connects; `None` = plain.
    pub tls: Option<Arc<ServerTls>>,
    /// The balancers that must say whose connection it is (PROXY protocol).
    pub balancers: Vec<IpNet>,
    /// From where connections may come; empty = from everywhere.
    pub allow: Vec<IpNet>,
}

impl Entrance {
    /// Whether a connection from there begins with a PROXY protocol header.
    pub(super) fn is_balancer(&self, peer: IpAddr) -> bool {
        is_in(&self.balancers, peer)
    }

    fn may_come(&self, peer: IpAddr) -> bool {
        self.allow.is_empty() || is_in(&self.allow, peer)
    }
}

/// An IPv4 address inside IPv6 counts as IPv4.
fn is_in(nets: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    nets.iter().any(|net| net.contains(&address))
}

/// One of the connections that an address may have; dropped, another may come.
pub(super) struct Place {
    shared: Arc<Shared>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.dismiss(self.address);
    }
}

/// A connection that SMPP begins on.
pub(super) struct Entered {
    pub(super) stream: Stream,
    pub(super) about: About,
}

/// What was seen of an ESME as it came in.
pub(super) struct About {
    /// What it showed of itself.
    pub(super) presented: Presented,
    /// From where it came, as the header says where there is one.
    pub(super) source: SocketAddr,
    /// To where.
    pub(super) destination: SocketAddr,
    _place: Place,
}

/// Why a connection is let go: for the metrics, and for the log.
pub(super) type Turned = (Refused, String);

/// Whether a connection from there may come: a place for it.
pub(super) fn place(
    shared: &Arc<Shared>,
    entrance: &Entrance,
    from: IpAddr,
) -> Result<Place, Turned> {
    if !entrance.may_come(from) {
        return Err((Refused::NotAllowed, String::new()));
    }
    shared.admit(from).map_err(|reason| (reason, String::new()))?;
    Ok(Place { shared: shared.clone(), address: from })
}

/// Takes a connection as far as SMPP; why it is let go else. The shutdown ends it. `place` is there unless
/// a balancer has still to say for whom it is.
pub(super) async fn enter(
    shared: &Arc<Shared>,
    entrance: &Entrance,
    socket: TcpStream,
    peer: SocketAddr,
    place: Option<Place>,
) -> Result<Entered, Turned> {
    tokio::select! {
        entered = pass(shared, entrance, socket, peer, place) => entered,
        () = shared.drain.cancelled() => Err((Refused::Draining, String::new())),
    }
}

async fn pass(
    shared: &Arc<Shared>,
    entrance: &Entrance,
    mut socket: TcpStream,
    peer: SocketAddr,
    place: Option<Place>,
) -> Result<Entered, Turned> {
    let lost = |error: std::io::Error| (Refused::System, error.to_string());
    let own = Ends { source: peer, destination: socket.local_addr().map_err(lost)? };
    let (ends, place) = match place {
        Some(place) => (own, place),
        None => match carried(shared, &mut socket).await? {
            Carried::Ends(ends) => (ends, self::place(shared, entrance, ends.source.ip())?),
            // A balancer that looks whether somebody is there: it may, wherever others come from.
            Carried::Own => (own, self::place(shared, &Entrance::default(), peer.ip())?),
        },
    };
    wait(shared, ends.source.ip()).await?;
    let (stream, presented) = match &entrance.tls {
        None => (Stream::Plain(socket), Presented::Nothing),
        Some(tls) => match timeout(handshake(shared), tls.accept(socket)).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => return Err((Refused::TlsHandshake, error.to_string())),
            Err(_) => {
                let why = "it took longer than [timeouts] handshake".to_owned();
                return Err((Refused::TlsHandshake, why));
            }
        },
    };
    let Ends { source, destination } = ends;
    Ok(Entered { stream, about: About { presented, source, destination, _place: place } })
}

/// How long a handshake may take by what is in force.
fn handshake(shared: &Shared) -> Duration {
    shared.in_force.now().settings.handshake
}

/// Reads the header that a balancer begins with, and nothing behind it.
async fn carried(shared: &Shared, socket: &mut TcpStream) -> Result<Carried, Turned> {
    let refused = |why: String| (Refused::ProxyProtocol, why);
    let reading = async {
        let mut octets = Vec::new();
        loop {
            match header::read(&octets) {
                Ok(Step::Done(carried, _)) => return Ok(carried),
                Ok(Step::More(count)) => {
                    let have = octets.len();
                    octets.resize(have + count, 0);
                    let room = octets.get_mut(have..).unwrap_or_default();
                    let read = socket.read_exact(room).await;
                    read.map_err(|_| refused(HeaderFault::None.to_string()))?;
                }
                Err(fault) => return Err(refused(fault.to_string())),
            }
        }
    };
    match timeout(handshake(shared), reading).await {
        Ok(read) => read,
        Err(_) => Err(refused("no PROXY protocol header within [timeouts] handshake".to_owned())),
    }
}

/// Lets a connection wait whose address failed to bind again and again.
async fn wait(shared: &Shared, from: IpAddr) -> Result<(), Turned> {
    match shared.failures.wait(from, shared.clock.now().steady_us) {
        Ok(None) => Ok(()),
        Ok(Some(waits)) => {
            tokio::time::sleep(waits.time).await;
            Ok(())
        }
        Err(()) => Err((Refused::BindFailures, String::new())),
    }
}
