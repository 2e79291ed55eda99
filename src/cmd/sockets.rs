//! The sockets that are listened on: taken anew, given by systemd (socket activation, sd_listen_fds(3)), or
//! given by the process that hands over.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{FdFlags, fcntl_setfd};
use socket2::{Socket, Type};

use super::Failure;
use crate::config::Config;
use crate::config::bounds::LISTEN_MAX;
use crate::proxy::take;

/// The first descriptor that systemd gives.
const FIRST_GIVEN: RawFd = 3;
/// Most sockets that are given: as many as a configuration can name.
pub(super) const GIVEN_MAX: usize = 2 * LISTEN_MAX + 1;

/// An address that was taken.
#[derive(Debug)]
struct Listener {
    /// As it stands in the configuration: with port 0 where any would do.
    configured: SocketAddr,
    socket: TcpListener,
}

/// The addresses of a configuration, every one taken.
#[derive(Debug)]
pub(super) struct Addresses {
    /// Of each `[[listen]]`, then of each `[[outbind]]`.
    sessions: Vec<Listener>,
    admin: Option<Listener>,
}

/// Sockets that somebody has opened for this process.
#[derive(Debug, Default)]
pub(super) struct Given {
    listeners: Vec<Listener>,
    /// Given by systemd, which goes on listening on what nobody serves.
    by_systemd: bool,
}

impl Given {
    /// What systemd has opened, if this process was started so. To be called once, and before any file is
    /// opened.
    pub(super) fn by_systemd() -> Result<Given, Failure> {
        let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u32>());
        let (Some(Ok(id)), Some(count)) = (number("LISTEN_PID"), number("LISTEN_FDS")) else {
            return Ok(Given::default());
        };
        if id != std::process::id() {
            return Ok(Given::default());
        }
        let count = count.ok().and_then(|count| usize::try_from(count).ok());
        let Some(count) = count.filter(|count| *count <= GIVEN_MAX) else {
            let why = format!("LISTEN_FDS is not a number up to {GIVEN_MAX}; see sd_listen_fds(3)");
            return Err(Failure(why));
        };
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut listeners = Vec::new();
        for number in (FIRST_GIVEN..).take(count) {
            let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unknown");
            let socket = descriptor(number).and_then(listening).map_err(|why| {
                Failure(format!(
                    "LISTEN_FDS: descriptor {number} ({name}) {why}; see the .socket unit"
                ))
            })?;
            let configured = socket.local_addr()?;
            listeners.push(Listener { configured, socket });
        }
        Ok(Given { listeners, by_systemd: true })
    }

    /// What the process before listened on, by the addresses in its configuration.
    pub(super) fn by_predecessor(
        sockets: impl IntoIterator<Item = (SocketAddr, OwnedFd)>,
    ) -> Result<Given, Failure> {
        let mut listeners = Vec::new();
        for (configured, socket) in sockets {
            let socket = listening(socket)
                .map_err(|why| Failure(format!("what was handed over for {configured} {why}")))?;
            listeners.push(Listener { configured, socket });
        }
        Ok(Given { listeners, by_systemd: false })
    }

    /// The socket of an address, once.
    fn find(&mut self, configured: SocketAddr) -> Option<Listener> {
        let at = self.listeners.iter().position(|one| one.configured == configured)?;
        Some(self.listeners.swap_remove(at))
    }
}

/// The descriptor of that number, not to be inherited by any other program.
#[allow(unsafe_code)]
fn descriptor(number: RawFd) -> Result<OwnedFd, &'static str> {
    // SAFETY: it is only asked about; one that is not open is told of as an error.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_setfd(borrowed, FdFlags::CLOEXEC).map_err(|_| "is not open")?;
    // SAFETY: it is open, and nobody else's: systemd gave it to this process, as LISTEN_PID says, and
    // `Given::by_systemd` runs once, before anything is opened that could have this number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A descriptor as a listening TCP socket that does not block.
fn listening(descriptor: OwnedFd) -> Result<TcpListener, &'static str> {
    let socket = Socket::from(descriptor);
    if socket.r#type().ok() != Some(Type::STREAM) || !socket.is_listener().unwrap_or(false) {
        return Err("is no socket that listens");
    }
    if socket.local_addr().ok().and_then(|address| address.as_socket()).is_none() {
        return Err("is no TCP socket");
    }
    socket.set_nonblocking(true).map_err(|_| "cannot be made not to block")?;
    Ok(socket.into())
}

impl Addresses {
    /// Takes every address of a configuration that is not among the given ones. What systemd listens on and
    /// no address names is a failure: whoever connects there would wait for ever. What the process before
    /// listened on and no address names any more is closed.
    pub(super) fn take(config: &Config, mut given: Given) -> Result<Addresses, Failure> {
        let listen = config.listen.iter().map(|one| one.address);
        let outbind = config.outbind.iter().map(|one| one.address);
        let mut sessions = Vec::new();
        for configured in listen.chain(outbind) {
            sessions.push(match given.find(configured) {
                Some(listener) => listener,
                None => Listener { configured, socket: take(configured)? },
            });
        }
        let admin = match config.admin.as_ref().map(|admin| admin.address) {
            Some(configured) => Some(match given.find(configured) {
                Some(listener) => listener,
                None => Listener { configured, socket: take_admin(configured)? },
            }),
            None => None,
        };
        for Listener { configured, .. } in given.listeners {
            if given.by_systemd {
                return Err(Failure(format!(
                    "systemd listens on {configured}, which no [[listen]], [[outbind]] or [admin] names: \
                     write the address there as it is here, or take it out of the .socket unit"
                )));
            }
            tracing::info!(address = %configured, "no longer listened on");
        }
        Ok(Addresses { sessions, admin })
    }

    /// The same sockets once more.
    pub(super) fn again(&self) -> std::io::Result<Addresses> {
        let again = |one: &Listener| {
            let socket = one.socket.try_clone()?;
            Ok(Listener { configured: one.configured, socket })
        };
        let sessions = self.sessions.iter().map(again).collect::<std::io::Result<_>>()?;
        Ok(Addresses { sessions, admin: self.admin.as_ref().map(again).transpose()? })
    }

    /// The same as what another configuration may name.
    pub(super) fn given(self) -> Given {
        let listeners = self.sessions.into_iter().chain(self.admin).collect();
        Given { listeners, by_systemd: false }
    }

    /// The sockets of `[[listen]]` and `[[outbind]]` in the configuration's order, and that of `[admin]`.
    pub(super) fn sockets(self) -> (Vec<TcpListener>, Option<TcpListener>) {
        let sessions = self.sessions.into_iter().map(|one| one.socket).collect();
        (sessions, self.admin.map(|one| one.socket))
    }

    /// All of them, by the addresses in the configuration.
    pub(super) fn all(&self) -> impl Iterator<Item = (SocketAddr, BorrowedFd<'_>)> {
        self.sessions.iter().chain(&self.admin).map(|one| (one.configured, one.socket.as_fd()))
    }
}

fn take_admin(address: SocketAddr) -> Result<TcpListener, Failure> {
    let taken = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    taken.map_err(|error| {
        Failure(format!(
            "cannot listen on {address}: {error}; free the port or choose another in [admin] address"
        ))
    })
}
