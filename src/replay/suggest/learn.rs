//! What a trace shows of its providers. Bounded whatever is in it: what is beyond the bounds is counted.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use super::super::judge::Stream;
use crate::content::{Class, Reader, Scratch, signatures};
use crate::registry::{Address, Digits, Npi, Sender, SenderFault, Ton, sender};
use crate::session::Side;
use crate::smpp::bind::Bind;
use crate::smpp::message::Message;
use crate::smpp::{Command, Header};
use crate::text::{self, Body};

/// Different system_ids of one trace.
pub const SYSTEM_IDS_MAX: usize = 10_000;

/// Different source addresses of one system_id.
pub const SOURCES_A_SYSTEM_ID_MAX: usize = 10_000;

/// Signatures of one code that are written down: those seen most often.
pub const SIGNATURES_SHOWN: usize = 20;

/// Different signatures of one source that are told apart.
const SIGNATURES_MAX: usize = 200;

/// Different addresses that one system_id bound from.
const PEERS_MAX: usize = 1_000;

/// A number that messages came from, in its one form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum From {
    /// A code of the Chinese plan.
    Code(String),
    /// A foreign number, without `+`.
    International(String),
    /// Letters.
    Alphanumeric(Vec<u8>),
}

/// What was sent from one number.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    pub(super) messages: u64,
    /// Texts that were read, by [`Class::index`].
    pub(super) classes: [u64; Class::COUNT],
    pub(super) signatures: BTreeMap<String, u64>,
}

/// What one system_id did.
#[derive(Clone, Debug, Default)]
pub(super) struct Bound {
    pub(super) peers: BTreeMap<IpAddr, u64>,
    pub(super) from: BTreeMap<From, Sent>,
    /// Messages without a sender, and with one that is no number or code.
    pub(super) missing: u64,
    pub(super) malformed: u64,
    /// Messages of numbers beyond [`SOURCES_A_SYSTEM_ID_MAX`].
    pub(super) beyond: u64,
}

/// Who did what in a trace.
pub struct Learned {
    reader: Reader,
    options: text::Options,
    /// For streams that begin behind their bind.
    resumed_as: Option<Vec<u8>>,
    streams: HashMap<Stream, (IpAddr, Option<Vec<u8>>)>,
    pub(super) system_ids: BTreeMap<Vec<u8>, Bound>,
    /// Messages of streams whose bind is not in the trace.
    pub(super) nobodys: u64,
    /// Messages of system_ids beyond [`SYSTEM_IDS_MAX`].
    pub(super) beyond: u64,
    /// The latest moment of the trace.
    pub(super) last_us: u64,
    text: String,
    scratch: Scratch,
}

impl std::fmt::Debug for Learned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Learned of {} system_ids", self.system_ids.len())
    }
}

impl Learned {
    /// Nothing yet. Texts are read with `reader`; streams that begin behind their bind are `resumed_as`'s.
    pub fn new(reader: Reader, options: text::Options, resumed_as: Option<Vec<u8>>) -> Learned {
        Learned {
            reader,
            options,
            resumed_as,
            streams: HashMap::new(),
            system_ids: BTreeMap::new(),
            nobodys: 0,
            beyond: 0,
            last_us: 0,
            text: String::new(),
            scratch: Scratch::default(),
        }
    }

    /// A stream begins.
    pub fn opened(&mut self, stream: Stream, esme: SocketAddr) {
        self.streams.insert(stream, (esme.ip().to_canonical(), self.resumed_as.clone()));
    }

    /// A stream has ended.
    pub fn closed(&mut self, stream: Stream) {
        self.streams.remove(&stream);
    }

    /// One whole PDU of a stream.
    pub fn frame(&mut self, stream: Stream, side: Side, octets: &[u8], time_us: u64) {
        let (Side::Esme, Some(header)) = (side, Header::of(octets)) else { return };
        self.last_us = self.last_us.max(time_us);
        match header.command {
            Command::BindTransmitter | Command::BindReceiver | Command::BindTransceiver => {
                self.bind(stream, octets);
            }
            Command::SubmitSm => self.message(stream, Message::parse(octets).ok()),
            Command::DataSm => self.message(stream, Message::parse_data_sm(octets).ok()),
            _ => {}
        }
    }

    fn bind(&mut self, stream: Stream, octets: &[u8]) {
        let (Ok(bind), Some((peer, system_id))) =
            (Bind::parse(octets), self.streams.get_mut(&stream))
        else {
            return;
        };
        *system_id = Some(bind.system_id.to_vec());
        let peer = *peer;
        if let Some(bound) = bound(&mut self.system_ids, bind.system_id)
            && (bound.peers.len() < PEERS_MAX || bound.peers.contains_key(&peer))
        {
            *bound.peers.entry(peer).or_default() += 1;
        }
    }

    fn message(&mut self, stream: Stream, message: Option<Message<'_>>) {
        let Some(message) = message else { return };
        let Some((peer, Some(system_id))) = self.streams.get(&stream) else {
            self.nobodys += 1;
            return;
        };
        let Some(bound) = bound(&mut self.system_ids, system_id) else {
            self.beyond += 1;
            return;
        };
        if bound.peers.is_empty() {
            bound.peers.insert(*peer, 0);
        }
        let wire = message.source;
        let address = Address { ton: Ton(wire.ton), npi: Npi(wire.npi), value: wire.value };
        let from = match sender(&address) {
            Ok(Sender::Code(digits)) => From::Code(owned(&digits)),
            Ok(Sender::International(digits)) => From::International(owned(&digits)),
            Ok(Sender::Alphanumeric(letters)) => From::Alphanumeric(letters.to_vec()),
            Err(SenderFault::Missing) => return bound.missing += 1,
            Err(_) => return bound.malformed += 1,
        };
        let is_full = bound.from.len() >= SOURCES_A_SYSTEM_ID_MAX;
        if is_full && !bound.from.contains_key(&from) {
            return bound.beyond += 1;
        }
        let sent = bound.from.entry(from).or_default();
        sent.messages += 1;
        self.text.clear();
        let read = Body::split(message.text_octets(), message.has_udh())
            .and_then(|body| text::decode(body, message.data_coding, self.options, &mut self.text));
        if read.is_err() || self.text.is_empty() {
            return;
        }
        let reading = self.reader.read(&self.text, &mut self.scratch);
        sent.classes[reading.class.index()] += 1;
        for one in signatures(&self.text).iter().filter(|one| !one.name.trim().is_empty()) {
            if let Some(count) = sent.signatures.get_mut(one.name) {
                *count += 1;
            } else if sent.signatures.len() < SIGNATURES_MAX {
                sent.signatures.insert(one.name.to_owned(), 1);
            }
        }
    }
}

fn bound<'a>(
    system_ids: &'a mut BTreeMap<Vec<u8>, Bound>,
    system_id: &[u8],
) -> Option<&'a mut Bound> {
    if !system_ids.contains_key(system_id) {
        if system_ids.len() >= SYSTEM_IDS_MAX {
            return None;
        }
        system_ids.insert(system_id.to_vec(), Bound::default());
    }
    system_ids.get_mut(system_id)
}

fn owned(digits: &Digits) -> String {
    digits.unmasked().to_owned()
}

impl Sent {
    /// These and those.
    pub(super) fn join(&mut self, other: &Sent) {
        self.messages += other.messages;
        self.classes.iter_mut().zip(other.classes).for_each(|(own, other)| *own += other);
        for (name, count) in &other.signatures {
            *self.signatures.entry(name.clone()).or_default() += count;
        }
    }
}
