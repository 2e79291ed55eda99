//! What reading costs: a trace of 1 GiB, and one of more streams than are remembered. By hand, in
//! release and one at a time, since each says how much memory the process took:
//!
//! ```text
//! cargo test --release --test traces -- --ignored --nocapture --exact figures::a_trace_of_1_gib
//! ```
//!
//! The trace stays in `target/trace-1g.pcap`, for `consentry replay` to be tried on.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use consentry::replay::stream::STREAMS_MAX;
use consentry::replay::{Happening, Skipped, Trace, Traces};
use consentry::smpp::Header;
use consentry::smpp::frame::PDU_OCTETS_MAX;

use crate::dialogue::{START_US, Stream, bind, bind_resp, submit, submit_resp};
use crate::wire::{Captured, Form, Link, Tcp};

const SUBMITS_A_TURN: u32 = 8;
const STREAMS: u32 = 200;
const SEGMENT_OCTETS: usize = 1448;

/// What was counted of a trace.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    streams: u64,
    pdus: [u64; 2],
    gaps: u64,
}

/// Reads a trace to its end.
fn count(input: Box<dyn std::io::Read + Send>) -> (Counted, Skipped) {
    let trace = Trace { name: "trace".to_owned(), input: Ok(input) };
    let mut traces = Traces::new(std::iter::once(trace), PDU_OCTETS_MAX);
    let mut counted = Counted::default();
    while let Some(happening) = traces.next().expect("a whole trace") {
        match happening {
            Happening::Opened(_) => counted.streams += 1,
            Happening::Pdus { side, mut octets, .. } => {
                while let Some(header) = Header::of(octets) {
                    counted.pdus[side as usize] += 1;
                    octets = octets.get(header.command_length as usize..).unwrap_or(&[]);
                }
            }
            Happening::Cut { .. } | Happening::Gap { .. } => counted.gaps += 1,
            Happening::Closed { .. } => {}
        }
    }
    (counted, *traces.skipped())
}

/// The most memory that this process ever held, MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    let kib = line.split_whitespace().nth(1).expect("a number");
    kib.parse::<u64>().expect("a number") / 1024
}

/// What this process used of processors, seconds: user and system, in ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let behind_name = stat.rsplit(')').next().expect("a name in parentheses");
    let ticks = behind_name.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(name)
}

/// One turn of one stream: messages and their answers. Two in five streams send as fast as they can,
/// so that PDUs lie across segments; the others a segment a PDU.
fn turn(stream: &mut Stream, first: u32) {
    let texts =
        ["您的验证码是482913，5分钟内有效。", "Your parcel arrives today between 14 and 16 h."];
    let submits: Vec<Vec<u8>> = (first..first + SUBMITS_A_TURN)
        .map(|number| submit(number, texts[number as usize % 2].as_bytes()))
        .collect();
    if stream.number % 5 < 2 {
        for segment in submits.concat().chunks(SEGMENT_OCTETS / 2 + stream.number as usize) {
            stream.esme(segment);
        }
        let answers: Vec<_> = (first..first + SUBMITS_A_TURN).map(submit_resp).collect();
        stream.smsc(&answers.concat());
    } else {
        for (number, submit) in (first..).zip(submits) {
            stream.esme(&submit).smsc(&submit_resp(number));
        }
    }
}

/// Writes a trace of at least so many octets and answers what is in it.
fn write_trace(path: &Path, octets: u64) -> Counted {
    let mut file = BufWriter::new(std::fs::File::create(path).expect("room"));
    let form = Form::Pcap { big: false, nanoseconds: false };
    let header = form.file(Link::Ethernet.number(false), &[]);
    file.write_all(&header).expect("room");
    let mut streams: Vec<Stream> = (0..STREAMS).map(Stream::new).collect();
    for stream in &mut streams {
        stream.esme(&bind(1)).smsc(&bind_resp(1));
    }
    let (mut written, mut packets, mut turns) = (0, 0, 0);
    while written < octets {
        for stream in &mut streams {
            turn(stream, 2 + turns as u32 * SUBMITS_A_TURN);
            for segment in stream.segments.drain(..) {
                let time_us = START_US + packets * 50;
                let packet = Captured::whole(time_us, segment.packet(Link::Ethernet, false));
                let record = form.file(1, &[packet]).split_off(header.len());
                file.write_all(&record).expect("room");
                written += record.len() as u64;
                packets += 1;
            }
        }
        turns += 1;
    }
    file.flush().expect("room");
    let pdus = u64::from(STREAMS) * (1 + turns * u64::from(SUBMITS_A_TURN));
    Counted { streams: STREAMS.into(), pdus: [pdus; 2], gaps: 0 }
}

#[test]
#[ignore = "writes 1 GiB; by hand, in release"]
fn a_trace_of_1_gib() {
    let path = path("trace-1g.pcap");
    let expected = write_trace(&path, 1 << 30);
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let file = std::fs::File::open(&path).expect("the trace");
    let (counted, skipped) = count(Box::new(file));
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    assert_eq!(counted, expected);
    assert_eq!(skipped.octets_skipped + skipped.checksums_wrong, 0);
    let pdus: u64 = counted.pdus.iter().sum();
    let packets = skipped.packets;
    println!(
        "{packets} packets, {pdus} PDUs: {seconds:.2} s, {cpu:.2} s of CPU, {} MiB",
        peak_mib()
    );
}

/// Packets made while they are read: a million streams are more than a file of them need be.
struct Made<I> {
    packets: I,
    left: std::io::Cursor<Vec<u8>>,
}

impl<I: Iterator<Item = Vec<u8>>> std::io::Read for Made<I> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let count = self.left.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let mut records = Vec::new();
            records.extend(self.packets.by_ref().take(64).flatten());
            if records.is_empty() {
                return Ok(0);
            }
            self.left = std::io::Cursor::new(records);
        }
    }
}

/// Streams one after another, none of which ends: of every hundred, 98 speak something else, one
/// never speaks and one is SMPP.
fn many_streams(streams: u32) -> Box<dyn std::io::Read + Send> {
    let form = Form::Pcap { big: false, nanoseconds: false };
    let header = form.file(Link::Raw.number(false), &[]);
    let start = header.len();
    let segments = (0..streams).flat_map(|number| -> Vec<Tcp> {
        let mut stream = Stream::new(number);
        match number % 100 {
            0 => stream.esme(&bind(1)).smsc(&bind_resp(1)),
            1 => &mut stream,
            _ => stream
                .esme(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
                .smsc(b"HTTP/1.1 204 \r\n"),
        };
        stream.segments
    });
    let packets = (START_US..).zip(segments).map(move |(time_us, segment)| {
        let packet = Captured::whole(time_us, segment.packet(Link::Raw, false));
        form.file(Link::Raw.number(false), &[packet]).split_off(start)
    });
    Box::new(Made { packets, left: std::io::Cursor::new(header) })
}

#[test]
fn every_smpp_stream_among_many_is_found() {
    let (counted, skipped) = count(many_streams(20_000));
    assert_eq!(counted, Counted { streams: 200, pdus: [200; 2], gaps: 0 });
    assert_eq!((skipped.streams_not_smpp, skipped.streams_without_data), (19_600, 200));
    assert_eq!(skipped.streams_forgotten, 0);
}

#[test]
#[ignore = "a million streams; by hand, in release"]
fn more_streams_than_are_remembered() {
    let streams = STREAMS_MAX as u32 + 1000;
    let began = Instant::now();
    let (counted, skipped) = count(many_streams(streams));
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(counted.streams, u64::from(streams.div_ceil(100)));
    assert_eq!(counted.pdus, [counted.streams; 2]);
    assert_eq!(skipped.streams, u64::from(streams));
    assert_eq!(skipped.streams_forgotten, 1000);
    println!("{streams} streams: {seconds:.2} s, {} MiB", peak_mib());
}
