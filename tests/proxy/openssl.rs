//! OpenSSL as the other side: it makes certificates, connects as an ESME, listens as an SMSC. It carries
//! octets and knows no SMPP; the tests write those.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use consentry::smpp::frame::{PDU_OCTETS_MAX, cut};
use consentry::smpp::write::{self, BindFields};
use consentry::smpp::{Command, CommandStatus, Header};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

fn openssl(folder: &Path, arguments: &str) {
    let output = Process::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("openssl is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {said}");
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/// An authority `NAME.pem` with its key `NAME.key`.
pub fn authority(folder: &Path, name: &str) {
    openssl(
        folder,
        &format!("req -x509 {KEY} -keyout {name}.key -out {name}.pem -subj /CN={name} -days 90"),
    );
}

/// A certificate `NAME.pem` of that authority, for that DNS name, with its key `NAME.key`. It ends in so
/// many days from now.
pub fn certificate(folder: &Path, authority: &str, name: &str, dns: &str, days: i32) {
    std::fs::write(folder.join("extensions"), format!("subjectAltName=DNS:{dns},IP:127.0.0.1\n"))
        .expect("a folder to write in");
    openssl(folder, &format!("req -new {KEY} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial \
             -days {days} -extfile extensions -out {name}.pem"
        ),
    );
}

/// SHA-256 of a certificate, as the registry names it.
pub fn fingerprint(folder: &Path, name: &str) -> String {
    let output = Process::new("openssl")
        .args(["x509", "-in", &format!("{name}.pem"), "-noout", "-fingerprint", "-sha256"])
        .current_dir(folder)
        .output()
        .expect("openssl is there");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, digits) = said.trim().split_once('=').expect("name and digits");
    format!("sha256:{digits}")
}

/// `openssl s_client` or `s_server`: what is written to it goes through TLS. Killed by its own id when
/// dropped.
pub struct Peer {
    child: Child,
    octets: Receiver<Vec<u8>>,
    inbox: Vec<u8>,
    log: PathBuf,
}

impl Peer {
    /// An ESME that connects there.
    pub fn connect(folder: &Path, to: SocketAddr, more: &str) -> Peer {
        Peer::start(folder, &format!("s_client -quiet -connect {to} {more}"))
    }

    /// An SMSC on a free port. It serves one connection after another.
    pub fn listen(folder: &Path, more: &str) -> (Peer, SocketAddr) {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let peer = Peer::start(folder, &format!("s_server -quiet -accept {address} {more}"));
        let began = Instant::now();
        while !listens(address.port()) {
            assert!(began.elapsed() < PATIENCE, "s_server does not listen: {}", peer.said());
            std::thread::sleep(Duration::from_millis(5));
        }
        (peer, address)
    }

    fn start(folder: &Path, arguments: &str) -> Peer {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = folder.join(format!("openssl.{number}.log"));
        let mut child = Process::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).expect("a folder to write in"))
            .spawn()
            .expect("openssl is there");
        let mut out = child.stdout.take().expect("it is piped");
        let (sender, octets) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = out.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Peer { child, octets, inbox: Vec::new(), log }
    }

    /// What it said of TLS.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Writes; that the peer has gone shows in what is read.
    pub fn send(&mut self, octets: &[u8]) {
        let Some(pipe) = &mut self.child.stdin else { return };
        let _ = pipe.write_all(octets).and_then(|()| pipe.flush());
    }

    /// The next PDU; `None` when the connection ended instead.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(length) = cut(&self.inbox, PDU_OCTETS_MAX).expect("SMPP") {
                return Some(self.inbox.drain(..length).collect());
            }
            match self.octets.recv_timeout(PATIENCE) {
                Ok(octets) => self.inbox.extend(octets),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("neither a PDU nor the end: {}", self.said())
                }
            }
        }
    }

    /// The next PDU is that command, with that status.
    pub fn expect(&mut self, command: Command, status: CommandStatus) -> Header {
        let pdu = self.next().unwrap_or_else(|| panic!("no {command:?}: {}", self.said()));
        let header = Header::of(&pdu).expect("a header");
        assert_eq!((header.command, header.command_status), (command, status), "{}", self.said());
        header
    }

    /// Answers a request with a bare header.
    pub fn answer(&mut self, request: Header) {
        let mut out = Vec::new();
        let id = request.command.response_id();
        write::header_only(&mut out, id, CommandStatus::ESME_ROK, request.sequence_number);
        self.send(&out);
    }

    /// Binds; the status, or `None` when the connection ended instead.
    pub fn bind(&mut self, system_id: &str) -> Option<CommandStatus> {
        self.send(&bind(system_id));
        let header = self.next().as_deref().and_then(Header::of)?;
        assert_eq!(header.command, Command::BindTransceiverResp);
        Some(header.command_status)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A bind_transceiver.
pub fn bind(system_id: &str) -> Vec<u8> {
    let fields = BindFields {
        system_id: system_id.as_bytes(),
        password: b"secret",
        system_type: b"",
        interface_version: 0x34,
    };
    let mut out = Vec::new();
    write::bind(&mut out, Command::BindTransceiver, 1, fields);
    out
}

/// Whether a socket listens on that port of 127.0.0.1, as the kernel has it: looking is no connection.
fn listens(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("/proc");
    let wanted = format!("0100007F:{port:04X} 00000000:0000 0A");
    table.lines().any(|line| line.contains(&wanted))
}
