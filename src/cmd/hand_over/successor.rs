//! The process that is to take over, seen from the one that starts it.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::super::Failure;
use super::super::sockets::Addresses;
use super::channel::{Channel, Word};
use super::predecessor::VARIABLE;

/// For it to read configuration, registry and lists, until it is ready.
const READY_WAIT: Duration = Duration::from_secs(60);
/// For it to open journal and ledger, until it serves.
const SERVING_WAIT: Duration = Duration::from_secs(60);
/// How often systemd is told meanwhile that this process lives.
const ALIVE: Duration = Duration::from_secs(1);
/// What systemd tells one process and not another.
const OUR_OWN: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// A process that has the sockets, accepts the configuration and waits to be told to serve; ended when this
/// is dropped.
#[derive(Debug)]
pub(in crate::cmd) struct Successor {
    child: Child,
    channel: Channel,
    serves: bool,
}

impl Successor {
    /// Starts `program` on the configuration and waits until it is ready. Blocks.
    pub(in crate::cmd) fn begin(
        program: &Path,
        config: &Path,
        addresses: &Addresses,
    ) -> Result<Successor, Failure> {
        let (channel, theirs): (Channel, OwnedFd) = Channel::pair()?;
        let mut command = Command::new(program);
        command.args(["run", "-c"]).arg(config).stdin(Stdio::from(theirs)).env(VARIABLE, "1");
        OUR_OWN.into_iter().for_each(|name| _ = command.env_remove(name));
        let child = command.spawn();
        // Our copy of its side, without which its end would not be heard.
        drop(command);
        let child = child.map_err(|error| {
            Failure(format!("{} cannot be started: {error}", program.display()))
        })?;
        let mut successor = Successor { child, channel, serves: false };
        // One that has ended already does not hear it, which is found next.
        let handed = successor.channel.hand(addresses.all());
        match successor.hear(READY_WAIT, || {})? {
            Word::Ready => {}
            other => return Err(strange(&other)),
        }
        handed?;
        Ok(successor)
    }

    /// The id of the process.
    pub(in crate::cmd) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to serve, and waits until it does: journal and ledger are closed. `alive` is called now and
    /// then meanwhile. When it fails, the process is ended before this returns. Blocks.
    pub(in crate::cmd) fn take_over(&mut self, alive: impl Fn()) -> Result<(), Failure> {
        self.channel.tell(&Word::Go)?;
        match self.hear(SERVING_WAIT, alive)? {
            Word::Serving => self.serves = true,
            other => return Err(strange(&other)),
        }
        Ok(())
    }

    /// Lets it be the service. It has to know, or it would not tell systemd; where it does not hear it, it
    /// has seen that this process ends.
    pub(in crate::cmd) fn yours(self) {
        let _ = self.channel.tell(&Word::Yours);
    }

    /// What it says next; why not, where it refuses or ends.
    fn hear(&mut self, within: Duration, alive: impl Fn()) -> Result<Word, Failure> {
        let until = Instant::now() + within;
        loop {
            match self.channel.hear(ALIVE) {
                Ok(Some(Word::Refused(why))) => return Err(Failure(why)),
                Ok(Some(word)) => return Ok(word),
                Ok(None) => return Err(self.ended()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Err(self.ended());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < until => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let seconds = within.as_secs();
                    return Err(Failure(format!("it was not ready within {seconds} s")));
                }
                Err(error) => return Err(error.into()),
            }
            alive();
        }
    }

    /// It has closed its side without a word.
    fn ended(&mut self) -> Failure {
        self.end();
        match self.child.wait() {
            Ok(status) => Failure(format!("it ended without a word: {status}")),
            Err(error) => error.into(),
        }
    }

    fn end(&mut self) {
        // It may have ended by itself; and who has killed it waits for it, so that its locks are free.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.serves {
            self.end();
        }
    }
}

fn strange(word: &Word) -> Failure {
    Failure(format!("it said {word:?}, which has no place there"))
}
