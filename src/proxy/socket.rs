//! Socket options of both legs.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::Settings;

/// Times that a silent peer is probed before TCP gives it up.
const KEEPALIVE_PROBES: u32 = 3;

/// No delay, keepalive, user timeout: a peer that is gone is noticed even when nothing is sent
/// to it, and octets that nobody acknowledges do not wait for TCP's quarter of an hour.
pub fn prepare(stream: &TcpStream, settings: &Settings) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let probe = (settings.keepalive / KEEPALIVE_PROBES).max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new()
        .with_time(settings.keepalive)
        .with_interval(probe)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(settings.user_timeout))
}
