//! What a connection passes before it is a session: the TLS handshake of its listener.
//!
//! It happens on the thread that will carry the pair, so that no listener ever waits for a peer, and in
//! the handshake time: a peer that sends an octet a minute is let go. Meanwhile the connection counts
//! among the sessions.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Shared;
use super::listen::Way;
use super::stream::Stream;
use crate::metrics::Refused;
use crate::registry::Presented;

/// A connection that SMPP begins on.
pub(super) struct Entered {
    pub(super) stream: Stream,
    /// What the ESME showed of itself.
    pub(super) presented: Presented,
}

/// Takes a connection as far as SMPP; why it is let go else. The shutdown ends it.
pub(super) async fn enter(
    shared: &Arc<Shared>,
    way: &Way,
    socket: TcpStream,
) -> Result<Entered, (Refused, String)> {
    let Some(tls) = &way.tls else {
        return Ok(Entered { stream: Stream::Plain(socket), presented: Presented::Nothing });
    };
    let within: Duration = shared.settings.handshake;
    let handshake = timeout(within, tls.accept(socket));
    let done = tokio::select! {
        done = handshake => done,
        () = shared.drain.cancelled() => return Err((Refused::Draining, String::new())),
    };
    match done {
        Ok(Ok((stream, presented))) => Ok(Entered { stream, presented }),
        Ok(Err(error)) => Err((Refused::TlsHandshake, error.to_string())),
        Err(_) => Err((Refused::TlsHandshake, "it took longer than [timeouts] handshake".into())),
    }
}
