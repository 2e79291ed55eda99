//! Half-open connections: a peer that is gone without a word is noticed, on either leg.

use std::net::SocketAddr;
use std::process::Command as Process;
use std::time::{Duration, Instant};

use consentry::peer::esme::Esme;
use consentry::smpp::{Command, CommandStatus};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket};

use crate::running::Proxy;
use crate::wire::{Wire, listener};
use crate::{audit, bound, smsc};

/// The keepalive timers of connections from or to `port`, seconds until they fire, as the kernel
/// lists them in /proc/net/tcp: `tr` 02 is the keepalive timer, its time counts in 1/100 s.
fn keepalive_timers(id: u32, port: u16) -> Vec<f64> {
    let table = std::fs::read_to_string(format!("/proc/{id}/net/tcp")).expect("/proc");
    let wanted = format!(":{port:04X}");
    let timer = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (local, remote, state) = (columns.get(1)?, columns.get(2)?, columns.get(3)?);
        let is_meant = *state == "01" && (local.ends_with(&wanted) || remote.ends_with(&wanted));
        let ticks = columns.get(5)?.strip_prefix("02:").filter(|_| is_meant)?;
        Some(u32::from_str_radix(ticks, 16).ok()? as f64 / 100.0)
    };
    table.lines().filter_map(timer).collect()
}

#[tokio::test]
async fn both_legs_are_probed_after_the_configured_silence() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Default::default());
    let more = audit("written") + "[timeouts]\nkeepalive = \"500s\"\n";
    let proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
    let _esme = bound(&proxy).await;
    // The peers of the test set no keepalive: each timer is the proxy's.
    for port in [proxy.address().port(), smsc.address().port()] {
        let timers = keepalive_timers(proxy.id(), port);
        assert!(matches!(timers[..], [one] if (480.0..=500.0).contains(&one)), "{timers:?}");
    }
}

/// Addresses of loopback that can be taken off the network without touching the others.
const ESME_HOST: &str = "127.0.0.9";
const SMSC_HOST: &str = "127.0.0.8";

/// The network namespace of this process.
const OWN_NETWORK: &str = "/proc/self/ns/net";

/// Names the namespace that the part inside must not be in: it cuts addresses off.
const OUTSIDE: &str = "CONSENTRY_TEST_OUTSIDE";

/// The same test program once more, in a network namespace where addresses may be cut off. Where
/// that is not permitted, says so and shows nothing.
#[test]
fn a_peer_that_vanishes_is_noticed_on_either_leg() {
    let network = std::fs::read_link(OWN_NETWORK).expect("/proc");
    let own_network = |program: &str| {
        let mut process = Process::new("unshare");
        process.args(["--map-root-user", "--net", program]);
        process
    };
    let permitted = own_network("ip").args(["link", "set", "lo", "up"]).output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        eprintln!("not shown: no network namespace is permitted here, or there is no `ip`");
        return;
    }
    let program = std::env::current_exe().expect("this program");
    let inside = own_network(&program.to_string_lossy())
        .args(["--ignored", "--exact", "sockets::inside_a_network_of_its_own", "--nocapture"])
        .env(OUTSIDE, network)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&inside.stdout) + String::from_utf8_lossy(&inside.stderr);
    assert!(inside.status.success() && said.contains("1 passed"), "{said}");
}

fn ip(arguments: &str) {
    let status = Process::new("ip").args(arguments.split(' ')).status();
    assert!(status.is_ok_and(|status| status.success()), "ip {arguments}");
}

async fn listener_at(host: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((host, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// A bound session whose ESME comes from that host.
async fn pair(proxy: &Proxy, smsc: &TcpListener, esme_host: &str) -> (Wire, Wire) {
    let socket = TcpSocket::new_v4().expect("a socket");
    let host: SocketAddr = format!("{esme_host}:0").parse().expect("an address");
    socket.bind(host).expect("an address of loopback");
    let mut esme = Wire::over(socket.connect(proxy.address()).await.expect("accepted"));
    let mut bind = Vec::new();
    let fields = consentry::smpp::write::BindFields {
        system_id: b"test",
        password: b"",
        system_type: b"",
        interface_version: 0x34,
    };
    consentry::smpp::write::bind(&mut bind, Command::BindTransceiver, 1, fields);
    esme.send(&bind).await;
    let mut smsc = Wire::accept(smsc).await;
    let bind = smsc.expect(Command::BindTransceiver).await;
    smsc.answer(&bind, CommandStatus::ESME_ROK).await;
    esme.expect(Command::BindTransceiverResp).await;
    (esme, smsc)
}

#[tokio::test]
#[ignore = "started by a_peer_that_vanishes_is_noticed_on_either_leg"]
async fn inside_a_network_of_its_own() {
    const SECOND: Duration = Duration::from_secs(1);
    let outside = std::env::var_os(OUTSIDE).expect("not for running by itself");
    assert_ne!(std::fs::read_link(OWN_NETWORK).expect("/proc").as_os_str(), outside);
    ip("link set lo up");
    let (near, near_address) = listener().await;
    let (far, far_address) = listener_at(SMSC_HOST).await;
    let start = |smsc: SocketAddr, timeouts: &str| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let more = audit("written") + "[timeouts]\nwrite = \"10m\"\n" + timeouts;
        let proxy = Proxy::start(folder.path(), smsc, &more, "");
        (proxy, folder)
    };
    let quick = "keepalive = \"1s\"\nuser_timeout = \"2s\"\n";
    let (to_near, _folder) = start(near_address, quick);
    let (to_far, _folder) = start(far_address, quick);
    let (patient, _folder) = start(near_address, "keepalive = \"1h\"\nuser_timeout = \"1h\"\n");
    let (unacknowledged, _folder) =
        start(near_address, "keepalive = \"1h\"\nuser_timeout = \"2s\"\n");

    let (_esme, mut without_esme) = pair(&to_near, &near, ESME_HOST).await;
    let (mut without_smsc, _smsc) = pair(&to_far, &far, "127.0.0.1").await;
    let (_esme, mut never_told) = pair(&patient, &near, ESME_HOST).await;
    let (_esme, mut sending) = pair(&unacknowledged, &near, ESME_HOST).await;
    // From here on nothing reaches either host: no FIN, no RST, no acknowledgement.
    ip(&format!("route add blackhole {ESME_HOST} table local"));
    ip(&format!("route add blackhole {SMSC_HOST} table local"));
    let began = Instant::now();
    let mut deliver = Vec::new();
    let id = Command::DeliverSm.id();
    consentry::smpp::write::header_only(&mut deliver, id, CommandStatus::ESME_ROK, 5);
    sending.send(&deliver).await;

    let within = |what: &'static str, elapsed: Duration| {
        assert!((SECOND..8 * SECOND).contains(&elapsed), "{what}: closed after {elapsed:?}");
    };
    let (a, b, c) = tokio::join!(without_esme.next(), without_smsc.next(), sending.next());
    assert_eq!((a, b, c), (None, None, None));
    within("keepalive and user timeout, on both legs", began.elapsed());
    let unread = tokio::time::timeout(SECOND, never_told.stream.read_u8()).await;
    assert!(unread.is_err(), "without the timers a peer that vanished is not noticed at all");
    drop(Esme::connect(patient.address()).await.expect("the proxies live"));
}
