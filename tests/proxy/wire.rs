//! One end of a connection whose every octet the test decides: an SMSC that dials, an ESME that
//! listens, either that says nothing.

use std::net::SocketAddr;
use std::time::Duration;

use consentry::smpp::frame::{PDU_OCTETS_MAX, cut};
use consentry::smpp::write;
use consentry::smpp::{Command, CommandStatus, Header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// One end of a connection.
pub struct Wire {
    pub stream: TcpStream,
    inbox: Vec<u8>,
}

impl Wire {
    pub async fn connect(to: SocketAddr) -> Wire {
        Wire::over(TcpStream::connect(to).await.expect("somebody listens"))
    }

    pub async fn accept(listener: &TcpListener) -> Wire {
        let accepted = timeout(PATIENCE, listener.accept()).await.expect("somebody connects");
        Wire::over(accepted.expect("a connection").0)
    }

    pub fn over(stream: TcpStream) -> Wire {
        Wire { stream, inbox: Vec::new() }
    }

    pub async fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.expect("the peer reads");
    }

    /// Answers a request with a bare header.
    pub async fn answer(&mut self, request: &[u8], status: CommandStatus) {
        let header = Header::of(request).expect("a header");
        let mut out = Vec::new();
        let id = header.command.response_id();
        write::header_only(&mut out, id, status, header.sequence_number);
        self.send(&out).await;
    }

    /// The next PDU; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        timeout(PATIENCE, self.next_ever()).await.expect("a PDU or the end within 20 s")
    }

    /// The same, however long it takes.
    pub async fn next_ever(&mut self) -> Option<Vec<u8>> {
        loop {
            let length = cut(&self.inbox, PDU_OCTETS_MAX).expect("SMPP");
            if let Some(length) = length {
                return Some(self.inbox.drain(..length).collect());
            }
            match self.stream.read_buf(&mut self.inbox).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next PDU, which is that command.
    pub async fn expect(&mut self, command: Command) -> Vec<u8> {
        let pdu = self.next().await;
        let found = pdu.as_deref().and_then(Header::of).map(|header| header.command);
        assert_eq!(found, Some(command));
        pdu.unwrap_or_default()
    }
}

/// A listener on a free port of loopback.
pub async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}
