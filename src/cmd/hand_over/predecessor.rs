//! The process before, seen from the one that takes over from it.

use std::time::Duration;

use super::super::Failure;
use super::super::sockets::Given;
use super::channel::{Channel, Word};

/// For the sockets, which are sent right after the start.
const SOCKETS_WAIT: Duration = Duration::from_secs(60);
/// For the process before to let its sessions end: longer than `[timeouts]` drain and close may be.
const GO_WAIT: Duration = Duration::from_secs(2 * 3600);
/// For its last word, until it is the service in any case.
const YOURS_WAIT: Duration = Duration::from_secs(5);

/// Set for a process that is to take over.
pub(super) const VARIABLE: &str = "CONSENTRY_TAKE_OVER";

/// The process that has started this one to take over from it.
#[derive(Debug)]
pub(in crate::cmd) struct Predecessor {
    channel: Channel,
}

impl Predecessor {
    /// Takes the sockets that it hands over, if this process was started so: the channel is on standard
    /// input then, as [`VARIABLE`] says.
    pub(in crate::cmd) fn meet() -> Result<Option<(Predecessor, Given)>, Failure> {
        if std::env::var_os(VARIABLE).is_none() {
            return Ok(None);
        }
        let channel = Channel::on_stdin()?;
        let Ok(Some(Word::Sockets(sockets))) = channel.hear(SOCKETS_WAIT) else {
            let why =
                format!("{VARIABLE} is set by a running proxy alone; see consentry hand-over");
            return Err(Failure(why));
        };
        let before = Predecessor { channel };
        match Given::by_predecessor(sockets) {
            Ok(given) => Ok(Some((before, given))),
            Err(why) => Err(before.refuse(why)),
        }
    }

    /// Tells it that it has to go on, and why.
    pub(in crate::cmd) fn refuse(&self, why: Failure) -> Failure {
        // If it does not hear it, it hears this process end.
        let _ = self.channel.tell(&Word::Refused(why.0.clone()));
        why
    }

    /// Waits until it has closed journal and ledger. Blocks.
    pub(in crate::cmd) fn await_go(&self) -> Result<(), Failure> {
        self.channel.tell(&Word::Ready)?;
        match self.channel.hear(GO_WAIT)? {
            Some(Word::Go) => Ok(()),
            _ => Err(Failure("the process before has ended, or goes on by itself".to_owned())),
        }
    }

    /// Tells it that this process serves, and waits for it to say that it is the service now. Blocks.
    pub(in crate::cmd) fn serving(self) {
        // Whether it still hears or says anything: this process serves.
        let told = self.channel.tell(&Word::Serving);
        if told.is_ok() {
            let _ = self.channel.hear(YOURS_WAIT);
        }
    }
}
