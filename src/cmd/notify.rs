//! Telling systemd how the service stands: sd_notify(3), one datagram to the socket that NOTIFY_SOCKET names.
//! Without it, nobody is told.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// It serves; or serves by what it has read anew.
pub(super) fn ready() {
    tell("READY=1");
}

/// It begins to read its files anew; [`ready`] says when it has.
pub(super) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
}

/// It begins to end.
pub(super) fn stopping() {
    tell("STOPPING=1");
}

/// Another process, which it has started, is the service now.
pub(super) fn main_pid(id: u32) {
    tell(&format!("MAINPID={id}"));
}

/// It makes progress.
pub(super) fn alive() {
    tell("WATCHDOG=1");
}

fn tell(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&socket, state) {
        let socket = socket.display();
        tracing::warn!(%socket, %error, state, "systemd could not be told");
    }
}

/// Sends to a socket in the file system, or in the abstract name space where its name begins with `@`.
fn send(socket: &OsStr, state: &str) -> std::io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    let from = UnixDatagram::unbound()?;
    // A service manager that does not read is no reason to stand still.
    from.set_nonblocking(true)?;
    from.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn states_reach_sockets_in_files_and_in_the_abstract_name_space() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let hidden = format!("@consentry-notify-{}", std::process::id());
        let sockets = [
            (path.clone().into_os_string(), UnixDatagram::bind(&path).unwrap()),
            (hidden.clone().into(), {
                let name = SocketAddr::from_abstract_name(&hidden.as_bytes()[1..]).unwrap();
                UnixDatagram::bind_addr(&name).unwrap()
            }),
        ];
        for (name, socket) in sockets {
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            for state in ["READY=1", "RELOADING=1\nMONOTONIC_USEC=17"] {
                send(&name, state).unwrap();
                let mut octets = [0; 64];
                let count = socket.recv(&mut octets).unwrap();
                assert_eq!(&octets[..count], state.as_bytes(), "{name:?}");
            }
        }
        for nowhere in ["/nowhere/notify", "@nobody-is-here", "", "vsock:2:1234"] {
            assert!(send(nowhere.as_ref(), "READY=1").is_err(), "{nowhere}");
        }
    }
}
