//! PDUs, streams of them, and what is read of a capture in a form that can be compared.

use std::collections::HashMap;

use consentry::replay::{Ending, Fault, GapCause, Happening, Skipped, Trace, Traces};
use consentry::session::Side;
use consentry::smpp::Header;
use consentry::smpp::frame::PDU_OCTETS_MAX;

use crate::wire::{ACK, Captured, FIN, Form, Link, SYN, Tcp};

/// A PDU.
pub fn pdu(command_id: u32, status: u32, sequence_number: u32, body: &[u8]) -> Vec<u8> {
    let header = [16 + body.len() as u32, command_id, status, sequence_number];
    [header.map(u32::to_be_bytes).concat(), body.to_vec()].concat()
}

pub fn bind(sequence_number: u32) -> Vec<u8> {
    pdu(9, 0, sequence_number, b"shop1\0secret\0\0\x34\0\0\0")
}

pub fn bind_resp(sequence_number: u32) -> Vec<u8> {
    pdu(0x8000_0009, 0, sequence_number, b"SMSC\0")
}

pub fn submit(sequence_number: u32, text: &[u8]) -> Vec<u8> {
    let mut body = b"\0\0\x01106900001234\0\0\x018613800138000\0\0\0\0\0\0\0\0\0\0".to_vec();
    body.push(text.len() as u8);
    body.extend(text);
    pdu(4, 0, sequence_number, &body)
}

pub fn submit_resp(sequence_number: u32) -> Vec<u8> {
    pdu(0x8000_0004, 0, sequence_number, format!("{sequence_number:x}\0").as_bytes())
}

pub fn enquire_link(sequence_number: u32) -> Vec<u8> {
    pdu(0x15, 0, sequence_number, b"")
}

pub fn enquire_link_resp(sequence_number: u32) -> Vec<u8> {
    pdu(0x8000_0015, 0, sequence_number, b"")
}

pub fn unbind(sequence_number: u32) -> Vec<u8> {
    pdu(6, 0, sequence_number, b"")
}

/// When the first packet of every dialogue was captured.
pub const START_US: u64 = 1_777_777_777_000_000;

/// A TCP stream under way: what each side says becomes segments.
#[derive(Debug, Clone)]
pub struct Stream {
    pub number: u32,
    pub seq: [u32; 2],
    pub segments: Vec<Tcp>,
}

impl Stream {
    /// A stream behind its handshake. Sequence numbers wrap within the first octets.
    pub fn new(number: u32) -> Stream {
        let mut stream = Stream::in_the_middle(number);
        stream.push(Side::Esme, SYN, b"");
        stream.push(Side::Smsc, SYN | ACK, b"");
        stream.push(Side::Esme, ACK, b"");
        stream
    }

    /// A stream whose beginning was not captured.
    pub fn in_the_middle(number: u32) -> Stream {
        Stream { number, seq: [u32::MAX - 20, u32::MAX - 40], segments: Vec::new() }
    }

    pub fn push(&mut self, side: Side, flags: u8, data: &[u8]) -> &mut Stream {
        let from = side as usize;
        let (seq, ack) = (self.seq[from], self.seq[1 - from]);
        let (from_smsc, data) = (side == Side::Smsc, data.to_vec());
        let length = data.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.seq[from] = seq.wrapping_add(length);
        self.segments.push(Tcp { from_smsc, stream: self.number, seq, ack, flags, data });
        self
    }

    pub fn esme(&mut self, data: &[u8]) -> &mut Stream {
        self.push(Side::Esme, ACK, data)
    }

    pub fn smsc(&mut self, data: &[u8]) -> &mut Stream {
        self.push(Side::Smsc, ACK, data)
    }

    /// Both sides end it.
    pub fn finish(&mut self) -> &mut Stream {
        self.push(Side::Esme, FIN | ACK, b"").push(Side::Smsc, FIN | ACK, b"")
    }

    /// Octets that are sent and not captured.
    pub fn miss(&mut self, side: Side, octets: u32) -> &mut Stream {
        self.seq[side as usize] = self.seq[side as usize].wrapping_add(octets);
        self
    }

    pub fn captured(&self, link: Link, is_v6: bool) -> Vec<Captured> {
        captured(&self.segments, link, is_v6)
    }
}

/// Segments a millisecond apart.
pub fn captured(segments: &[Tcp], link: Link, is_v6: bool) -> Vec<Captured> {
    let times = (0..).map(|at| START_US + at * 1000);
    let packets = segments.iter().map(|segment| segment.packet(link, is_v6));
    times.zip(packets).map(|(time_us, octets)| Captured::whole(time_us, octets)).collect()
}

/// bind, two messages, enquire_link, unbind, with their answers.
pub fn dialogue() -> Stream {
    let mut stream = Stream::new(0);
    stream.esme(&bind(1)).smsc(&bind_resp(1));
    stream.esme(&[submit(2, b"one"), submit(3, b"two")].concat());
    stream.smsc(&submit_resp(2)).smsc(&submit_resp(3));
    stream.smsc(&enquire_link(1)).esme(&enquire_link_resp(1));
    stream.esme(&unbind(4)).smsc(&pdu(0x8000_0006, 0, 4, b"")).finish();
    stream
}

/// What was told, to be compared: a PDU each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Opened { stream: u32, esme_port: u16, smsc_port: u16, from_start: bool, time_us: u64 },
    Pdu { stream: u32, side: Side, time_us: u64, octets: Vec<u8> },
    Cut { stream: u32, side: Side, command_length: u32 },
    Gap { stream: u32, side: Side, cause: GapCause, octets: u64 },
    Closed { stream: u32, ending: Ending },
}

/// All that is read.
#[derive(Debug, Default)]
pub struct Read {
    pub told: Vec<Told>,
    pub faults: Vec<Fault>,
    pub skipped: Skipped,
}

impl Read {
    /// The PDUs of one side of a stream.
    pub fn pdus(&self, of: u32, by: Side) -> Vec<Vec<u8>> {
        let pdus = self.told.iter().filter_map(|told| match told {
            Told::Pdu { stream, side, octets, .. } if (*stream, *side) == (of, by) => {
                Some(octets.clone())
            }
            _ => None,
        });
        pdus.collect()
    }

    pub fn endings(&self) -> Vec<Ending> {
        let endings = self.told.iter().filter_map(|told| match told {
            Told::Closed { ending, .. } => Some(*ending),
            _ => None,
        });
        endings.collect()
    }

    pub fn gaps(&self) -> Vec<(Side, GapCause, u64)> {
        let gaps = self.told.iter().filter_map(|told| match told {
            Told::Gap { side, cause, octets, .. } => Some((*side, *cause, *octets)),
            _ => None,
        });
        gaps.collect()
    }

    pub fn opened(&self) -> usize {
        self.told.iter().filter(|told| matches!(told, Told::Opened { .. })).count()
    }
}

/// Reads captures as one trace. Whatever they hold, what is told keeps its own rules.
pub fn read(files: &[Vec<u8>]) -> Read {
    let inputs = files.iter().map(|file| Box::new(std::io::Cursor::new(file.clone())) as _);
    read_inputs(inputs.collect())
}

pub fn read_inputs(inputs: Vec<Box<dyn std::io::Read + Send>>) -> Read {
    let traces = inputs.into_iter().enumerate();
    let traces = traces.map(|(at, input)| Trace { name: format!("trace {at}"), input: Ok(input) });
    let mut traces = Traces::new(traces, PDU_OCTETS_MAX);
    let mut read = Read::default();
    let mut open: HashMap<u32, bool> = HashMap::new();
    loop {
        match traces.next() {
            Ok(Some(happening)) => note(happening, &mut open, &mut read.told),
            Ok(None) => break,
            Err(fault) => read.faults.push(fault),
        }
    }
    assert!(open.values().all(|open| !open), "every stream that was opened was closed");
    read.skipped = *traces.skipped();
    read
}

fn note(happening: Happening<'_>, open: &mut HashMap<u32, bool>, told: &mut Vec<Told>) {
    match happening {
        Happening::Opened(opened) => {
            assert_eq!(open.insert(opened.stream, true), None, "opened once");
            told.push(Told::Opened {
                stream: opened.stream,
                esme_port: opened.esme.port(),
                smsc_port: opened.smsc.port(),
                from_start: opened.from_start,
                time_us: opened.time_us,
            });
        }
        Happening::Pdus { stream, side, time_us, mut octets } => {
            assert_eq!(
                open.get(&stream),
                Some(&true),
                "nothing before it opened or after it closed"
            );
            assert!(!octets.is_empty());
            while let Some(header) = Header::of(octets) {
                let (frame, rest) = octets.split_at(header.command_length as usize);
                octets = rest;
                told.push(Told::Pdu { stream, side, time_us, octets: frame.to_vec() });
            }
            assert!(octets.is_empty(), "whole PDUs only");
        }
        Happening::Cut { stream, side, header, .. } => {
            told.push(Told::Cut { stream, side, command_length: header.command_length });
        }
        Happening::Gap { stream, side, cause, octets, .. } => {
            told.push(Told::Gap { stream, side, cause, octets });
        }
        Happening::Closed { stream, ending, .. } => {
            assert_eq!(open.insert(stream, false), Some(true), "closed once");
            told.push(Told::Closed { stream, ending });
        }
    }
}

/// Reads one stream as Ethernet over IPv4 in a plain pcap file.
pub fn read_stream(stream: &Stream) -> Read {
    read_packets(&stream.captured(Link::Ethernet, false))
}

pub fn read_packets(packets: &[Captured]) -> Read {
    let form = Form::Pcap { big: false, nanoseconds: false };
    read(&[form.file(Link::Ethernet.number(false), packets)])
}
