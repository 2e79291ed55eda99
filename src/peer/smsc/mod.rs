//! A small SMSC: it answers every request of SMPP 3.4, sends receipts and messages of its own, and
//! misbehaves where a test asks it to. It keeps no message.
//!
//! It is made to cost little beside what is measured: each read is cut into PDUs, all answers go
//! into one buffer and out in one write, and a submit_sm is answered from its header alone unless
//! something that was switched on needs its body.

mod answer;
mod deliver;
mod session;

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};

pub use answer::MESSAGE_ID_DIGITS;

use crate::smpp::CommandStatus;

/// PDUs that may wait for one session to take them; more are not delivered.
pub const QUEUE_PDUS_MAX: usize = 1024;

/// How long [`Smsc::end`] waits for what goes on there.
const END: Duration = Duration::from_secs(5);

/// How the SMSC behaves. [`Options::default`] is a friendly one on a free port of 127.0.0.1.
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Its system_id, at most 15 octets.
    pub system_id: String,
    /// The password that binds must carry; `None` accepts all.
    pub password: Option<String>,
    /// Threads of its runtime.
    pub threads: usize,
    /// How long each batch of answers is held back; a millisecond is the finest it can do.
    pub delay: Duration,
    /// At most this much more delay, drawn anew for each batch. Answers keep their order.
    pub delay_jitter: Duration,
    /// Answers every n-th message with this status instead of a message_id.
    pub status: Option<(CommandStatus, u64)>,
    /// Sends a receipt for each message that asks for one.
    pub receipts: bool,
    /// Sends this to every session that can receive, again and again.
    pub deliver: Option<Deliver>,
    /// Writes all octets of all PDUs that come to this file, as they came: a bind's password too.
    pub record: Option<PathBuf>,
    /// How many PDUs [`Smsc::received`] keeps; later ones are only counted.
    pub received_max: usize,
    /// What it does wrong from the start.
    pub fault: Fault,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            system_id: "SMSC".to_owned(),
            password: None,
            threads: 1,
            delay: Duration::ZERO,
            delay_jitter: Duration::ZERO,
            status: None,
            receipts: false,
            deliver: None,
            record: None,
            received_max: 0,
            fault: Fault::None,
        }
    }
}

/// A message that the SMSC sends by itself.
#[derive(Clone)]
pub struct Deliver {
    /// The subscriber.
    pub source: String,
    /// The ESME's address.
    pub destination: String,
    /// How the text is coded.
    pub data_coding: u8,
    /// The text.
    pub text: Vec<u8>,
    /// Time between two of them; at least a millisecond.
    pub every: Duration,
}

/// What the SMSC does wrong, in every session, from the next read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It reads and counts, and never answers.
    Silent,
    /// It stops reading.
    StopReading,
    /// It stops in the middle of the next answer and closes.
    CutMidPdu,
    /// The answers to what one read brought go out last first.
    Reverse,
    /// It closes without unbind when a session has had this many messages answered.
    CloseAfter(u64),
}

/// A PDU that came.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// Which connection, counted from 1 in the order in which they were accepted.
    pub session: u64,
    /// Who was bound on it; empty before a bind.
    pub system_id: String,
    /// The PDU with its header.
    pub octets: Vec<u8>,
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let header = crate::smpp::Header::of(&self.octets);
        f.debug_struct("Received")
            .field("session", &self.session)
            .field("system_id", &self.system_id)
            .field("header", &header)
            .finish_non_exhaustive()
    }
}

macro_rules! counts {
    ($($name:ident $doc:literal)*) => {
        /// What has happened so far.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
        pub struct Counts { $(#[doc = $doc] pub $name: u64,)* }

        #[derive(Default)]
        struct Counters { $($name: AtomicU64,)* }

        impl Counters {
            fn add(&self, more: Counts) {
                $(if more.$name > 0 { self.$name.fetch_add(more.$name, Relaxed); })*
            }

            fn read(&self) -> Counts {
                Counts { $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

counts! {
    connections "Connections accepted."
    closed "Connections that ended."
    binds "Binds accepted."
    messages "submit_sm, data_sm and submit_multi answered or, when silent, read."
    requests "Other requests."
    refused "Requests answered with another status than ESME_ROK."
    responses "Responses to what the SMSC sent."
    delivered "deliver_sm handed to a session."
    undelivered "deliver_sm for which no session was bound, or none had room."
    octets "Octets read."
}

/// A session that can receive.
struct Receiver {
    session: u64,
    system_id: Vec<u8>,
    queue: mpsc::Sender<Vec<u8>>,
}

/// What the sessions share.
struct Shared {
    options: Options,
    counters: Counters,
    /// The first message_id that no session has taken.
    message_ids: AtomicU64,
    /// sequence_number of the SMSC's own requests.
    sequence: AtomicU32,
    receivers: Mutex<Vec<Receiver>>,
    received: Mutex<VecDeque<Received>>,
    record: Option<Mutex<File>>,
    fault: watch::Receiver<Fault>,
}

/// A mutex whose holder panicked guards nothing that could be half changed here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Shared {
    /// A sequence_number for a request of the SMSC's own: 1 to 0x7fffffff, then again.
    fn next_sequence(&self) -> u32 {
        (self.sequence.fetch_add(1, Relaxed) % 0x7fff_ffff) + 1
    }

    /// Hands octets to one session of `system_id` that can receive; false when none can take them.
    fn hand(&self, system_id: &[u8], octets: &[u8]) -> bool {
        let handed = lock(&self.receivers)
            .iter()
            .filter(|r| r.system_id == system_id)
            .any(|r| r.queue.try_send(octets.to_vec()).is_ok());
        let count =
            Counts { delivered: handed.into(), undelivered: (!handed).into(), ..Counts::default() };
        self.counters.add(count);
        handed
    }

    /// Keeps what came, for tests and the demo.
    fn keep(&self, session: u64, system_id: &[u8], frame: &[u8]) {
        let mut received = lock(&self.received);
        if received.len() < self.options.received_max {
            let system_id = String::from_utf8_lossy(system_id).into_owned();
            received.push_back(Received { session, system_id, octets: frame.to_vec() });
        }
    }

    /// Appends what came to the record. A disk that is full must not pass for a faithful record.
    fn record(&self, octets: &[u8]) {
        let Some(record) = &self.record else { return };
        if let Err(error) = lock(record).write_all(octets) {
            eprintln!("consentry smsc: the record is incomplete: {error}");
        }
    }
}

/// A running SMSC on threads of its own. It ends when dropped.
pub struct Smsc {
    address: SocketAddr,
    shared: Arc<Shared>,
    fault: watch::Sender<Fault>,
    runtime: Option<Runtime>,
}

/// Why an SMSC cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}; choose another address or port 0")]
    Listen(SocketAddr, std::io::Error),
    /// The record cannot be created.
    #[error("cannot create the record {0}: {1}")]
    Record(PathBuf, std::io::Error),
    /// No threads.
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
}

impl Smsc {
    /// Listens and serves. May be called inside another runtime.
    pub fn start(options: Options) -> Result<Smsc, StartFault> {
        let listen = options.listen;
        let listener = StdListener::bind(listen)
            .and_then(|l| l.set_nonblocking(true).map(|()| l))
            .map_err(|e| StartFault::Listen(listen, e))?;
        let address = listener.local_addr().map_err(|e| StartFault::Listen(listen, e))?;
        let record = match &options.record {
            Some(path) => {
                let created = File::create(path);
                Some(Mutex::new(created.map_err(|e| StartFault::Record(path.clone(), e))?))
            }
            None => None,
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .thread_name("smsc")
            .enable_all()
            .build()
            .map_err(StartFault::Runtime)?;
        let (fault, fault_seen) = watch::channel(options.fault);
        let shared = Arc::new(Shared {
            options,
            counters: Counters::default(),
            message_ids: AtomicU64::new(1),
            sequence: AtomicU32::new(0),
            receivers: Mutex::default(),
            received: Mutex::default(),
            record,
            fault: fault_seen,
        });
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener).map_err(|e| StartFault::Listen(listen, e))?
        };
        runtime.spawn(accept(listener, shared.clone()));
        if shared.options.deliver.is_some() {
            runtime.spawn(deliver::again_and_again(shared.clone()));
        }
        Ok(Smsc { address, shared, fault, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has happened so far. Sessions add to it after each read.
    pub fn counts(&self) -> Counts {
        self.shared.counters.read()
    }

    /// The first [`Options::received_max`] PDUs that came, oldest first within a session.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).iter().cloned().collect()
    }

    /// Ends at once, in the middle of its sessions, and says what it had received: all that it had answered is among it.
    pub fn end(mut self) -> Vec<Received> {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for threads is not allowed inside another runtime.
            std::thread::scope(|scope| {
                scope.spawn(|| runtime.shutdown_timeout(END));
            });
        }
        self.received()
    }

    /// Changes what every session does wrong, from its next read on.
    pub fn fault(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Sends a deliver_sm to one session of `system_id` that can receive: the text in short_message,
    /// or in message_payload when it is longer than 254 octets. False when no session can take it.
    pub fn deliver(
        &self,
        system_id: &str,
        source: &str,
        destination: &str,
        data_coding: u8,
        text: &[u8],
    ) -> bool {
        let sequence = self.shared.next_sequence();
        let pdu = deliver::message(sequence, source, destination, data_coding, text);
        self.shared.hand(system_id.as_bytes(), &pdu)
    }

    /// Sends octets as they are to one session of `system_id` that can receive.
    pub fn send(&self, system_id: &str, octets: &[u8]) -> bool {
        self.shared.hand(system_id.as_bytes(), octets)
    }
}

impl Drop for Smsc {
    fn drop(&mut self) {
        // Waiting for threads is not allowed inside another runtime, where tests drop us.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut session = 0;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                session += 1;
                tokio::spawn(session::run(stream, session, shared.clone()));
            }
            // Out of file descriptors, most likely: wait for a session to end.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
