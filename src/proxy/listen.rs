//! Accepting connections and giving each its pair.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::enter::{Entrance, Place};
use super::outward::Outward;
use super::pump::{self, FirstLeg};
use super::stream::Stream;
use super::upstreams::Upstreams;
use super::{Shared, enter, socket};
use crate::metrics::Refused;
use crate::text;
use crate::upstream::{Times, Upstream};

/// Connections that the system may hold ready to be accepted.
const BACKLOG: i32 = 1024;

/// Pause after the system refused to accept (no file descriptor left), before trying again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who connects to an address, and where the other leg goes.
#[derive(Debug, Clone)]
pub enum Route {
    /// ESMEs connect; the SMSCs are these, judged by these times.
    ToSmsc(Vec<Upstream>, Times),
    /// An SMSC connects to send outbind (SMPP 3.4 2.2.1); the ESME is at one of these, tried in order.
    ToEsme(Vec<String>),
}

/// The same for its pairs.
#[derive(Debug, Clone)]
pub(super) enum Leads {
    /// To one of these.
    ToSmsc(Arc<Upstreams>),
    /// To the first of these that takes a connection.
    ToEsme(Vec<String>),
}

/// What the pairs of one listening address have in common.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) leads: Leads,
    /// The address as records and logs name it.
    pub(super) name: String,
    pub(super) text_options: text::Options,
    pub(super) asks_receipts: bool,
    pub(super) strips_second_sender: bool,
    /// After how long without a word on the SMSC's leg an enquire_link of our own goes there.
    pub(super) enquire_link: Option<Duration>,
    /// How connections come in.
    pub(super) entrance: Entrance,
    /// How the SMSC is spoken to.
    pub(super) outward: Outward,
}

/// An address that is listened on.
#[derive(Debug)]
pub struct Listening {
    /// The address that was taken: with its port, where the configuration said 0.
    pub address: SocketAddr,
    listener: TcpListener,
    way: Way,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; free the port or choose another in [[listen]]")]
pub struct ListenFault {
    address: SocketAddr,
    source: std::io::Error,
}

/// Takes an address. What connects waits in the system's queue until [`Listening::serve`] accepts it.
pub fn take(address: SocketAddr) -> Result<std::net::TcpListener, ListenFault> {
    let take = || -> std::io::Result<std::net::TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    take().map_err(|source| ListenFault { address, source })
}

/// What is to be done with an address that was taken, as a socket that does not block. `text_options` say
/// how the SMSC behind it reads texts. Nothing is accepted before [`Listening::serve`]. Call inside a tokio
/// runtime.
pub fn listen(
    listener: std::net::TcpListener,
    route: Route,
    text_options: text::Options,
) -> std::io::Result<Listening> {
    let address = listener.local_addr()?;
    let listener = TcpListener::from_std(listener)?;
    let name = address.to_string();
    let leads = match route {
        Route::ToSmsc(upstreams, times) => {
            Leads::ToSmsc(Arc::new(Upstreams::new(&name, &upstreams, times)))
        }
        Route::ToEsme(esmes) => Leads::ToEsme(esmes),
    };
    let way = Way {
        leads,
        name,
        text_options,
        asks_receipts: false,
        strips_second_sender: false,
        enquire_link: None,
        entrance: Entrance::default(),
        outward: Outward::default(),
    };
    Ok(Listening { address, listener, way })
}

impl Listening {
    /// The address with an SMSC behind it that is asked for receipts that ESMEs do not ask for.
    pub fn asking_for_receipts(mut self) -> Listening {
        self.way.asks_receipts = true;
        self
    }

    /// The address where parameters that name another sender are taken away, and not refused.
    pub fn stripping_second_senders(mut self) -> Listening {
        self.way.strips_second_sender = true;
        self
    }

    /// The address whose SMSCs get an enquire_link of ours when nothing was said for so long.
    pub fn enquiring_after(mut self, idle: Duration) -> Listening {
        self.way.enquire_link = Some(idle);
        self
    }

    /// The SMSCs that it leads to; `None` where it leads to an ESME.
    pub fn upstreams(&self) -> Option<Arc<Upstreams>> {
        match &self.way.leads {
            Leads::ToSmsc(upstreams) => Some(upstreams.clone()),
            Leads::ToEsme(_) => None,
        }
    }

    /// The address where connections come in like this, and go on like that.
    pub fn leading(mut self, entrance: Entrance, outward: Outward) -> Listening {
        self.way.entrance = entrance;
        self.way.outward = outward;
        self
    }

    /// Accepts until the shutdown begins.
    pub async fn serve(self, shared: Arc<Shared>) {
        let Listening { listener, way, .. } = self;
        let way = Arc::new(way);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shared.drain.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => admit(&shared, &way, stream, peer),
                Err(error) => {
                    shared.metrics.connections_refused(Refused::System).inc();
                    tracing::warn!(listener = %way.name, %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn admit(shared: &Arc<Shared>, way: &Arc<Way>, stream: TcpStream, peer: SocketAddr) {
    // Of a balancer's connections it is the header that says whose they are.
    let is_balancers = way.entrance.is_balancer(peer.ip());
    let room = shared.has_room().map_err(|reason| (reason, String::new()));
    let place = room.and_then(|()| match is_balancers {
        true => Ok(None),
        false => enter::place(shared, &way.entrance, peer.ip()).map(Some),
    });
    let place = match place {
        Ok(place) => place,
        Err((reason, _)) => {
            shared.metrics.connections_refused(reason).inc();
            tracing::debug!(%peer, reason = reason.name(), "connection refused");
            return;
        }
    };
    if let Err(error) = socket::prepare(&stream, &shared.in_force.now().settings) {
        shared.metrics.connections_refused(Refused::System).inc();
        tracing::debug!(%peer, %error, "connection lost before it began");
        return;
    }
    // The socket leaves the reactor that accepted it for the one that will carry the pair.
    let stream = match stream.into_std() {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%peer, %error, "connection lost before it began");
            return;
        }
    };
    let (shared, way) = (shared.clone(), way.clone());
    let sharing = shared.clone();
    sharing.shards.spawn(&sharing.tasks, async move {
        match TcpStream::from_std(stream) {
            Ok(stream) => serve(&shared, &way, stream, peer, place).await,
            Err(error) => {
                shared.metrics.connections_refused(Refused::System).inc();
                tracing::warn!(%peer, %error, "a connection could not be taken over");
            }
        }
    });
}

async fn serve(
    shared: &Arc<Shared>,
    way: &Way,
    stream: TcpStream,
    peer: SocketAddr,
    place: Option<Place>,
) {
    if let Leads::ToEsme(_) = way.leads {
        pump::run(shared, way, FirstLeg::Smsc(Stream::Plain(stream)), peer).await;
        drop(place);
        return;
    }
    match enter::enter(shared, &way.entrance, stream, peer, place).await {
        Ok(entered) => {
            let from = entered.about.source;
            pump::run(shared, way, FirstLeg::Esme(entered), from).await;
        }
        Err((reason, why)) => {
            shared.metrics.connections_refused(reason).inc();
            let listener = &way.name;
            tracing::info!(%peer, listener, reason = reason.name(), why, "connection refused");
        }
    }
}
