//! What systemd is told: READY, WATCHDOG while there is progress, MAINPID, STOPPING.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use consentry::peer::esme::Esme;
use consentry::smpp::{Command, CommandStatus};

use crate::running::Proxy;
use crate::{OURS, answer, audit, shim, smsc, submit};

/// How long any one message is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Systemd(UnixDatagram);

impl Systemd {
    /// Listens in `folder`; what the shell has to say before the program.
    pub fn listen(folder: &Path) -> (Systemd, String) {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a folder to write in");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        (Systemd(socket), format!("export NOTIFY_SOCKET='{}';", path.display()))
    }

    /// The next message.
    pub fn next(&self) -> String {
        let mut octets = [0; 256];
        let count = self.0.recv(&mut octets).expect("systemd is told something");
        String::from_utf8_lossy(&octets[..count]).into_owned()
    }

    /// The next message that is not `WATCHDOG=1`.
    pub fn next_state(&self) -> String {
        loop {
            let state = self.next();
            if state != "WATCHDOG=1" {
                return state;
            }
        }
    }

    /// Forgets what was told until now.
    fn forget(&self) {
        self.0.set_nonblocking(true).expect("set");
        while self.0.recv(&mut [0; 256]).is_ok() {}
        self.0.set_nonblocking(false).expect("set");
    }
}

#[test]
fn systemd_is_told_of_start_progress_and_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Default::default());
    let (systemd, shell) = Systemd::listen(folder.path());
    let shell = format!("{shell} export WATCHDOG_USEC=200000 WATCHDOG_PID=$$;");
    let mut proxy = Proxy::start(folder.path(), smsc.address(), &audit("written"), &shell);
    assert_eq!(systemd.next(), "READY=1");
    for _ in 0..3 {
        assert_eq!(systemd.next(), "WATCHDOG=1");
    }
    proxy.signal("-HUP");
    let state = systemd.next_state();
    let micros = state.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").map(str::parse::<u64>);
    assert!(micros.is_some_and(|micros| micros.is_ok()), "{state}");
    assert_eq!(systemd.next_state(), "READY=1");
    proxy.signal("-TERM");
    assert_eq!(systemd.next_state(), "STOPPING=1");
    assert_eq!(proxy.wait(), Some(0));
}

#[test]
fn a_watchdog_that_was_set_for_another_process_is_not_fed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Default::default());
    let (systemd, shell) = Systemd::listen(folder.path());
    let shell = format!("{shell} export WATCHDOG_USEC=40000 WATCHDOG_PID=1;");
    let mut proxy = Proxy::start(folder.path(), smsc.address(), &audit("written"), &shell);
    assert_eq!(systemd.next(), "READY=1");
    std::thread::sleep(Duration::from_millis(300));
    proxy.signal("-TERM");
    assert_eq!(systemd.next(), "STOPPING=1");
    assert_eq!(proxy.wait(), Some(0));
}

/// The disk takes longer for each call than systemd is to wait: records are accepted and not kept.
#[tokio::test]
async fn a_journal_that_stands_still_is_no_progress() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Default::default());
    let (systemd, shell) = Systemd::listen(folder.path());
    let (library, journal) = (shim::library(), folder.path().join("audit"));
    let shell = format!(
        "{shell} export WATCHDOG_USEC=400000 LD_PRELOAD='{}' CONSENTRY_FAULT_SLOW=600000 \
         CONSENTRY_FAULT_FOLDER='{}';",
        library.display(),
        journal.display()
    );
    let proxy = Proxy::start(folder.path(), smsc.address(), &audit("synced"), &shell);
    assert_eq!(systemd.next(), "READY=1");
    let mut esme = Esme::connect(proxy.address()).await.expect("the proxy accepts");
    esme.read_deadline = PATIENCE;
    let bound = esme.bind(Command::BindTransceiver, "test", "secret").await.expect("an answer");
    assert_eq!(bound, CommandStatus::ESME_ROK);
    let began = Instant::now();
    while proxy.logged("the journal stands").is_empty() {
        assert!(began.elapsed() < PATIENCE, "it is seen that the journal does not move");
        esme.send(&submit(2, OURS, |_| {})).await.expect("the proxy reads");
        assert!(answer(&mut esme).await.is_some());
    }
    // And once nothing is asked of the disk any more, there is progress again.
    systemd.forget();
    assert_eq!(systemd.next(), "WATCHDOG=1");
}
