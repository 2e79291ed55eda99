//! Started by systemd on sockets that it has opened: LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command as Process, Output, Stdio};

use crate::running::Proxy;
use crate::{audit, bound, smsc};

/// A command that starts the proxy as systemd does, with these two sockets as descriptors 3 and 4.
fn activated(folder: &Path, variables: &str, [one, other]: [OwnedFd; 2]) -> Process {
    let (binary, file) = (env!("CARGO_BIN_EXE_consentry"), folder.join("consentry.toml"));
    let script = format!(
        "exec 3<&0 4<&1 0</dev/null 1>&2; export {variables}; exec {binary} run -c '{}'",
        file.display()
    );
    let mut process = Process::new("sh");
    process.args(["-c", &script]).stdin(Stdio::from(one)).stdout(Stdio::from(other));
    process
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

fn config(listen: SocketAddr, admin: SocketAddr, smsc: SocketAddr) -> String {
    format!(
        "[[listen]]\naddress = \"{listen}\"\nsmsc = [\"{smsc}\"]\n[admin]\naddress = \"{admin}\"\n\
         [registry]\nfile = \"registry.toml\"\n{}",
        audit("written")
    )
}

#[tokio::test]
async fn sockets_that_systemd_opened_are_served_and_none_is_opened_twice() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Default::default());
    let ((admin, admin_at), (listen, listen_at)) = (listener(), listener());
    // Whoever connected before the proxy ran is served: an ESME binds, and waits.
    let early = tokio::net::TcpStream::connect(listen_at).await.expect("systemd listens");
    let config = config(listen_at, admin_at, smsc.address());
    let variables = "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=admin:smpp";
    let sockets = [admin.into(), listen.into()];
    let proxy =
        Proxy::start_by(folder.path(), &config, activated(folder.path(), variables, sockets));
    assert_eq!((proxy.address(), proxy.admin), (listen_at, Some(admin_at)));
    let accepted = std::fs::read_dir(format!("/proc/{}/fd", proxy.id())).expect("it lives");
    assert!(accepted.count() > 3);
    drop(bound(&proxy).await);
    drop(early);
}

/// What the program says, which does not come to serve.
fn refused(folder: &Path, config: &str, variables: &str, sockets: [OwnedFd; 2]) -> String {
    std::fs::write(folder.join("registry.toml"), "").expect("a folder to write in");
    std::fs::write(folder.join("consentry.toml"), config).expect("a folder to write in");
    let Output { status, stderr, .. } =
        activated(folder, variables, sockets).stderr(Stdio::piped()).output().expect("it starts");
    assert_eq!(status.code(), Some(2));
    String::from_utf8(stderr).expect("text")
}

#[test]
fn what_cannot_be_served_is_told_of_and_nothing_is_begun() {
    let file = || OwnedFd::from(std::fs::File::open("/dev/null").expect("it is there"));
    let connected = || {
        let (listener, address) = listener();
        let one = std::net::TcpStream::connect(address).expect("it listens");
        drop(listener);
        OwnedFd::from(one)
    };
    let unix = || OwnedFd::from(std::os::unix::net::UnixStream::pair().expect("a pair").0);
    let ours = "LISTEN_PID=$$ LISTEN_FDS=2";
    for (variables, sockets, expected) in [
        (ours, [listener().0.into(), file()], "descriptor 4 (unknown) is no socket that listens"),
        (ours, [connected(), file()], "descriptor 3 (unknown) is no socket that listens"),
        (ours, [unix(), file()], "descriptor 3 (unknown) is no socket that listens"),
        (ours, [listener().0.into(), listener().0.into()], "which no [[listen]], [[outbind]]"),
        (
            "LISTEN_PID=$$ LISTEN_FDS=3",
            [listener().0.into(), listener().0.into()],
            "descriptor 5 (unknown) is not open",
        ),
        ("LISTEN_PID=$$ LISTEN_FDS=900", [file(), file()], "LISTEN_FDS is not a number up to 129"),
        ("LISTEN_PID=$$ LISTEN_FDS=-1", [file(), file()], "LISTEN_FDS is not a number up to 129"),
        ("LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=smpp", [file(), file()], "3 (smpp) is no"),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let anywhere = "127.0.0.1:0".parse().expect("an address");
        let smsc = "127.0.0.1:9".parse().expect("an address");
        let said = refused(folder.path(), &config(anywhere, anywhere, smsc), variables, sockets);
        assert!(said.contains(expected), "{variables}: {said}");
        assert!(!folder.path().join("audit").exists(), "{variables}: the journal is not touched");
    }
}

#[tokio::test]
async fn what_was_given_to_another_process_is_left_alone() {
    for variables in ["LISTEN_PID=1 LISTEN_FDS=2", "LISTEN_FDS=2", "LISTEN_PID=$$"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let smsc = smsc(Default::default());
        let anywhere = "127.0.0.1:0".parse().expect("an address");
        let config = config(anywhere, anywhere, smsc.address());
        let sockets = [listener().0.into(), listener().0.into()];
        let proxy =
            Proxy::start_by(folder.path(), &config, activated(folder.path(), variables, sockets));
        drop(bound(&proxy).await);
    }
}
