//! A TCP forwarder on loopback whose ways can be cut, reset and slowed down.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What it does.
#[derive(Default)]
struct Doing {
    /// Connections are closed as soon as they are taken.
    refusing: AtomicBool,
    /// Octets after which a connection is reset; 0: never.
    reset_after: AtomicU64,
    /// The same, of what comes back only.
    reset_answers_after: AtomicU64,
    /// Milliseconds that each piece of octets waits.
    slow_ms: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

/// The forwarder; it ends with the test.
pub struct Forwarder {
    pub address: SocketAddr,
    doing: Arc<Doing>,
}

impl Forwarder {
    pub fn start(to: SocketAddr) -> Forwarder {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let doing = Arc::new(Doing::default());
        let accepting = doing.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if accepting.refusing.load(Ordering::Relaxed) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(to) else { continue };
                for (from, to, is_answer) in [(&near, &far, false), (&far, &near, true)] {
                    let ends =
                        (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                    let doing = accepting.clone();
                    std::thread::spawn(move || carry(ends, is_answer, &doing));
                }
                let mut open = accepting.open.lock().unwrap_or_else(PoisonError::into_inner);
                open.extend([near, far]);
            }
        });
        Forwarder { address, doing }
    }

    /// Takes no more connections and cuts those there are; or takes them again.
    pub fn refuse(&self, is_refusing: bool) {
        self.doing.refusing.store(is_refusing, Ordering::Relaxed);
        if is_refusing {
            self.cut();
        }
    }

    /// Resets every connection after so many octets.
    pub fn reset_after(&self, octets: u64) {
        self.doing.reset_after.store(octets, Ordering::Relaxed);
    }

    /// Resets every connection after so many octets of what comes back: what was asked has arrived.
    pub fn reset_answers_after(&self, octets: u64) {
        self.doing.reset_answers_after.store(octets, Ordering::Relaxed);
    }

    pub fn slow(&self, each: Duration) {
        self.doing.slow_ms.store(each.as_millis() as u64, Ordering::Relaxed);
    }

    pub fn cut(&self) {
        let mut open = self.doing.open.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn carry((mut from, mut to): (TcpStream, TcpStream), is_answer: bool, doing: &Doing) {
    let (mut octets, mut carried) = ([0; 4096], 0);
    while let Ok(count) = from.read(&mut octets) {
        carried += count as u64;
        let answers_most = doing.reset_answers_after.load(Ordering::Relaxed);
        let mosts = [doing.reset_after.load(Ordering::Relaxed), answers_most];
        let considered = if is_answer { &mosts[..] } else { &mosts[..1] };
        if count == 0 || considered.iter().any(|most| *most > 0 && carried > *most) {
            break;
        }
        std::thread::sleep(Duration::from_millis(doing.slow_ms.load(Ordering::Relaxed)));
        if to.write_all(&octets[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
