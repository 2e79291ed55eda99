//! Capture files, and the streams in them.

use std::io::Cursor;

use consentry::replay::{Happening, Trace, Traces};
use consentry::session::Side;
use consentry::smpp::Command;
use consentry::smpp::frame::{PDU_OCTETS_MAX, cut};

use crate::input::Input;

/// What a trace tells: a line each, and the octets of both sides.
#[derive(Debug, Default, PartialEq)]
struct Told {
    lines: Vec<String>,
    esme: Vec<u8>,
    smsc: Vec<u8>,
}

fn tell(files: &[Vec<u8>]) -> Told {
    let traces = files.iter().map(|file| Trace {
        name: "fuzz".to_owned(),
        input: Ok(Box::new(Cursor::new(file.clone())) as Box<_>),
    });
    let mut traces = Traces::new(traces, PDU_OCTETS_MAX);
    let (mut told, mut open) = (Told::default(), Vec::new());
    loop {
        match traces.next() {
            Ok(None) => break,
            Err(fault) => told.lines.push(fault.to_string()),
            Ok(Some(happening)) => {
                check(&happening, &mut open);
                if let Happening::Pdus { side, octets, .. } = happening {
                    match side {
                        Side::Esme => told.esme.extend(octets),
                        Side::Smsc => told.smsc.extend(octets),
                    }
                }
                told.lines.push(format!("{happening:?}"));
            }
        }
    }
    assert!(open.is_empty(), "every stream ends");
    let skipped = traces.skipped();
    let unread = skipped.packets_of_other_links
        + skipped.packets_not_tcp
        + skipped.fragments
        + skipped.packets_malformed;
    assert!(unread <= skipped.packets);
    assert!(skipped.streams_not_smpp + skipped.streams_without_data <= skipped.streams);
    told.lines.push(format!("{skipped:?}"));
    told
}

/// A stream is opened before anything else of it, only whole PDUs are told, and nothing comes behind its end.
fn check(happening: &Happening<'_>, open: &mut Vec<u32>) {
    let stream = match happening {
        Happening::Opened(opened) => {
            assert!(!open.contains(&opened.stream));
            return open.push(opened.stream);
        }
        Happening::Pdus { stream, octets, .. } => {
            let mut rest = *octets;
            assert!(!rest.is_empty());
            while let Ok(Some(length)) = cut(rest, PDU_OCTETS_MAX) {
                rest = &rest[length..];
            }
            assert!(rest.is_empty(), "only whole PDUs are told");
            stream
        }
        Happening::Cut { stream, .. } | Happening::Gap { stream, .. } => stream,
        Happening::Closed { stream, .. } => stream,
    };
    assert!(open.contains(stream), "a stream is opened before anything else of it");
    if matches!(happening, Happening::Closed { .. }) {
        open.retain(|one| one != stream);
    }
}

/// Any file, plain or compressed: it is read or refused, twice alike.
pub fn captures(octets: &[u8]) {
    let file = [octets.to_vec()];
    let told = tell(&file);
    assert_eq!(told, tell(&file));
}

/// PDUs in segments that come in another order, twice, over two files: what comes out is what was said.
pub fn streams(octets: &[u8]) {
    let mut input = Input(octets);
    let (first_seq, split_at) = (u32::from(input.octet()) << 24, usize::from(input.octet()));
    let mut said = bind();
    let sizes = input.piece();
    let swaps = input.piece();
    while !input.0.is_empty() && said.len() < 3000 {
        let body = input.piece();
        let command = [0x04, 0x15, 0x103, 0x8000_0005][usize::from(input.octet()) % 4];
        said.extend((16 + body.len() as u32).to_be_bytes());
        said.extend(u32::to_be_bytes(command));
        said.extend([0; 4]);
        said.extend([0, 0, 0, input.octet()]);
        said.extend(body);
    }
    let mut segments = segments(&said, sizes);
    let mut order: Vec<usize> = (0..segments.len()).collect();
    for (at, swap) in swaps.iter().enumerate().take(segments.len().saturating_sub(1)) {
        match swap % 4 {
            0 => order.swap(at, at + 1),
            1 => order.push(order[at]),
            _ => {}
        }
    }
    let behind_syn = first_seq.wrapping_add(1);
    let mut packets = vec![packet(true, first_seq, SYN, &[]), packet(false, 700, SYN | ACK, &[])];
    for index in order {
        let (at, data) = segments[index];
        packets.push(packet(true, behind_syn.wrapping_add(at as u32), ACK, data));
    }
    segments.clear();
    let end = behind_syn.wrapping_add(said.len() as u32);
    packets.push(packet(true, end, FIN | ACK, &[]));
    packets.push(packet(false, 701, FIN | ACK, &[]));
    let (one, other) = packets.split_at(split_at % packets.len());
    let told = tell(&[file(one), file(other)]);
    let told = if one.is_empty() { tell(&[file(&packets)]) } else { told };
    assert_eq!(told.esme, said);
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

fn bind() -> Vec<u8> {
    let mut out = Vec::new();
    let fields = consentry::smpp::write::BindFields {
        system_id: b"shop1",
        password: b"",
        system_type: b"",
        interface_version: 0x34,
    };
    consentry::smpp::write::bind(&mut out, Command::BindTransceiver, 1, fields);
    out
}

/// Pieces of a stream, each with its place.
fn segments<'a>(said: &'a [u8], sizes: &[u8]) -> Vec<(usize, &'a [u8])> {
    let (mut found, mut at) = (Vec::new(), 0);
    for size in sizes.iter().map(|size| usize::from(*size) + 1).chain(std::iter::repeat(1400)) {
        let data = &said[at..(at + size).min(said.len())];
        found.push((at, data));
        at += data.len();
        if at == said.len() {
            return found;
        }
    }
    found
}

/// An IPv4 packet without checksums.
fn packet(from_esme: bool, seq: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let (esme, smsc) = (([10, 0, 0, 1], 40_000_u16), ([10, 0, 0, 2], 2775_u16));
    let (from, to) = if from_esme { (esme, smsc) } else { (smsc, esme) };
    let mut out = vec![0x45, 0];
    out.extend((40 + data.len() as u16).to_be_bytes());
    out.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    out.extend(from.0);
    out.extend(to.0);
    out.extend(from.1.to_be_bytes());
    out.extend(to.1.to_be_bytes());
    out.extend(seq.to_be_bytes());
    out.extend([0, 0, 2, 0xbd]);
    out.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    out.extend(data);
    out
}

/// A pcap file of IP packets, a millisecond between them.
fn file(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        out.extend(word.to_le_bytes());
    }
    for (at, packet) in packets.iter().enumerate() {
        let length = packet.len() as u32;
        for word in [1_790_000_000, at as u32 * 1000, length, length] {
            out.extend(word.to_le_bytes());
        }
        out.extend(packet);
    }
    out
}
