//! What goes before SMPP on a connection to the SMSC: a PROXY protocol header, and TLS.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Settings;
use super::header::{self, Ends, Version};
use super::stream::Stream;
use super::tls::ClientTls;

/// How the SMSC behind a listener is spoken to. The default is SMPP and nothing else.
#[derive(Debug, Default, Clone)]
pub struct Outward {
    /// TLS with it; `None` = plain.
    pub tls: Option<Arc<ClientTls>>,
    /// In which form it is told whose connection this is; `None` = not.
    pub header: Option<Version>,
}

impl Outward {
    /// Begins on a connection that was taken at `target`, `host:port` as it was configured, for an ESME
    /// with these ends. Within the handshake time.
    pub(super) async fn begin(
        &self,
        mut socket: TcpStream,
        target: &str,
        ends: Ends,
        settings: &Settings,
    ) -> io::Result<Stream> {
        if self.tls.is_none() && self.header.is_none() {
            return Ok(Stream::Plain(socket));
        }
        let beginning = async {
            if let Some(version) = self.header {
                socket.write_all(&header::write(version, ends)).await?;
            }
            match &self.tls {
                Some(tls) => tls.connect(socket, target).await,
                None => Ok(Stream::Plain(socket)),
            }
        };
        match timeout(settings.handshake, beginning).await {
            Ok(begun) => begun,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no TLS handshake in time")),
        }
    }
}
