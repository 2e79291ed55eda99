//! An ESME that sends the octets it is given and hands back the octets that come.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;

use super::inbox::Inbox;
use crate::smpp::frame::FrameFault;
use crate::smpp::write::{self, BindFields};
use crate::smpp::{Command, CommandStatus, Header};

/// How long an ESME waits for the next octets unless told otherwise.
pub const READ_DEADLINE: Duration = Duration::from_secs(5);

/// Why an ESME cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum EsmeFault {
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// Nothing came in time.
    #[error("the peer said nothing within {0:?}")]
    Silent(Duration),
    /// The peer closed where a PDU was due.
    #[error("the peer closed the connection")]
    Closed,
    /// What came cannot be cut into PDUs.
    #[error("what the peer sent is not SMPP: {0}")]
    Frame(#[from] FrameFault),
    /// The bind was answered, but not with its response.
    #[error("the peer answered the bind with {0}")]
    NotABindResp(Command),
}

/// One connection from the ESME's side. It answers nothing by itself.
#[derive(Debug)]
pub struct Esme {
    pub(super) stream: TcpStream,
    pub(super) inbox: Inbox,
    /// How long [`Esme::next`] waits.
    pub read_deadline: Duration,
}

impl Esme {
    /// Opens a connection, unbound.
    pub async fn connect(to: impl ToSocketAddrs) -> Result<Esme, EsmeFault> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Esme { stream, inbox: Inbox::default(), read_deadline: READ_DEADLINE })
    }

    /// Binds as `kind`, one of the three bind requests, with sequence_number 1, and gives the
    /// command_status of the answer.
    pub async fn bind(
        &mut self,
        kind: Command,
        system_id: &str,
        password: &str,
    ) -> Result<CommandStatus, EsmeFault> {
        let mut out = Vec::new();
        let fields = BindFields {
            system_id: system_id.as_bytes(),
            password: password.as_bytes(),
            system_type: b"",
            interface_version: 0x34,
        };
        write::bind(&mut out, kind, 1, fields);
        self.send(&out).await?;
        let answer = self.next().await?.ok_or(EsmeFault::Closed)?;
        match Header::of(&answer) {
            Some(h)
                if h.command.id() == kind.response_id() || h.command == Command::GenericNack =>
            {
                Ok(h.command_status)
            }
            Some(h) => Err(EsmeFault::NotABindResp(h.command)),
            None => Err(EsmeFault::Closed),
        }
    }

    /// Sends octets as they are: a PDU, many, half of one, nonsense.
    pub async fn send(&mut self, octets: &[u8]) -> Result<(), EsmeFault> {
        Ok(self.stream.write_all(octets).await?)
    }

    /// The next PDU with its header; `None` when the peer has closed in good order.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, EsmeFault> {
        loop {
            if let Some(frame) = self.inbox.cut()? {
                return Ok(Some(frame.to_vec()));
            }
            let read = timeout(self.read_deadline, self.stream.read(self.inbox.space())).await;
            match read.map_err(|_| EsmeFault::Silent(self.read_deadline))?? {
                0 => return Ok(None),
                count => self.inbox.filled(count),
            }
        }
    }
}
