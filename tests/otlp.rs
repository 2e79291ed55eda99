//! Spans as a collector gets them: protobuf read by its specification, HTTP answers of every kind, and a collector that
//! is slow, wrong or not there. What spans a proxy makes is seen by `tests/deploy/spans.py`, with OpenTelemetry's own
//! classes.
#![cfg(feature = "otlp")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use consentry::spans::chance::Chance;
use consentry::spans::span::Kind;
use consentry::spans::{Figures, Options, QUEUE_MAX, Span, Spans, Value, wire};

/// Generous: the machine may be loaded.
const SOON: Duration = Duration::from_secs(30);

fn span(name: &'static str) -> Span {
    Span {
        trace: *b"0123456789abcdef",
        id: *b"spanspan",
        parent: Some(*b"parentid"),
        link: Some((*b"fedcba9876543210", *b"sessions")),
        name,
        kind: Kind::Client,
        start_us: 1_700_000_000_000_001,
        end_us: 1_700_000_000_000_004,
        attributes: vec![
            ("consentry.rule", Value::Name("source.forged")),
            ("consentry.provider", Value::Text("示例".to_owned())),
            ("smpp.sequence_number", Value::Number(-7)),
        ],
        failed: Some("not answered"),
    }
}

/// A field of a protobuf message.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Varint(u64),
    Fixed(u64),
    Octets(Vec<u8>),
}

fn varint(octets: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (first, rest) = octets.split_first().expect("a varint ends");
        *octets = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return value;
        }
        shift += 7;
    }
}

/// The fields of a message with their numbers, in their order (protobuf encoding, wire types 0, 1 and 2).
fn fields(mut octets: &[u8]) -> Vec<(u64, Field)> {
    let mut found = Vec::new();
    while !octets.is_empty() {
        let tag = varint(&mut octets);
        let field = match tag & 7 {
            0 => Field::Varint(varint(&mut octets)),
            1 => {
                let (eight, rest) = octets.split_at(8);
                octets = rest;
                Field::Fixed(u64::from_le_bytes(eight.try_into().unwrap()))
            }
            2 => {
                let length = varint(&mut octets) as usize;
                let (value, rest) = octets.split_at(length);
                octets = rest;
                Field::Octets(value.to_vec())
            }
            other => panic!("wire type {other}"),
        };
        found.push((tag >> 3, field));
    }
    found
}

/// The messages under these numbers, each in the one before.
fn within(octets: &[u8], path: &[u64]) -> Vec<Vec<u8>> {
    let Some((number, rest)) = path.split_first() else { return vec![octets.to_vec()] };
    fields(octets)
        .into_iter()
        .filter(|(found, _)| found == number)
        .flat_map(|(_, field)| match field {
            Field::Octets(inner) => within(&inner, rest),
            other => panic!("{other:?} is no message"),
        })
        .collect()
}

#[test]
fn a_span_is_written_as_the_specification_numbers_its_fields() {
    let body = wire::request(&[span("submit_sm"), span("judge")], "proxy-1");
    let text = |text: &str| Field::Octets(text.as_bytes().to_vec());
    // resource_spans 1, resource 1, attributes 1: key 1, value 2, string_value 1.
    let names: Vec<Vec<u8>> = within(&body, &[1, 1, 1, 1]);
    assert_eq!(names, [&b"service.name"[..], b"service.version", b"service.instance.id"]);
    assert_eq!(within(&body, &[1, 1, 1, 2, 1])[2], b"proxy-1");
    // scope_spans 2, scope 1, name 1; spans 2.
    assert_eq!(within(&body, &[1, 2, 1, 1]), [b"consentry"]);
    let spans = within(&body, &[1, 2, 2]);
    assert_eq!(spans.len(), 2);
    let found = fields(&spans[0]);
    let field = |number| found.iter().find(|(found, _)| *found == number).map(|(_, field)| field);
    for (number, expected) in [
        (1, text("0123456789abcdef")),
        (2, text("spanspan")),
        (4, text("parentid")),
        (5, text("submit_sm")),
        (6, Field::Varint(3)),
        (7, Field::Fixed(1_700_000_000_000_001_000)),
        (8, Field::Fixed(1_700_000_000_000_004_000)),
    ] {
        assert_eq!(field(number), Some(&expected), "field {number}");
    }
    let keys = within(&spans[0], &[9, 1]);
    assert_eq!(keys, [&b"consentry.rule"[..], b"consentry.provider", b"smpp.sequence_number"]);
    let values: Vec<_> =
        within(&spans[0], &[9, 2]).iter().flat_map(|value| fields(value)).collect();
    let number = Field::Varint((-7_i64).cast_unsigned());
    assert_eq!(values, [(1, text("source.forged")), (1, text("示例")), (3, number)]);
    let linked = [(1, text("fedcba9876543210")), (2, text("sessions"))];
    assert_eq!(fields(&within(&spans[0], &[13])[0]), linked);
    assert_eq!(
        fields(&within(&spans[0], &[15])[0]),
        [(2, text("not answered")), (3, Field::Varint(2))]
    );
}

/// A collector that gives these answers, one a connection, the last one again and again. What it was sent: head and body.
fn collector(answers: &'static [&'static [u8]]) -> (SocketAddr, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (told, heard) = channel();
    std::thread::spawn(move || {
        for (at, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let (mut octets, mut buffer) = (Vec::new(), [0; 65536]);
            let request = loop {
                let at = octets.windows(4).position(|four: &[u8]| four == b"\r\n\r\n");
                if let Some(at) = at {
                    let head = String::from_utf8(octets[..at].to_vec()).unwrap();
                    let length =
                        head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                    let length: usize = length.unwrap().parse().unwrap();
                    if octets.len() >= at + 4 + length {
                        break (head, octets[at + 4..].to_vec());
                    }
                }
                match stream.read(&mut buffer).unwrap() {
                    0 => return,
                    count => octets.extend_from_slice(&buffer[..count]),
                }
            };
            if told.send(request).is_err() {
                return;
            }
            let answer = answers.get(at).or(answers.last()).unwrap();
            let _ = stream.write_all(answer);
        }
    });
    (address, heard)
}

fn sending(to: SocketAddr) -> Spans {
    Spans::start(Options {
        host: to.ip().to_string(),
        port: to.port(),
        path: "/v1/traces".to_owned(),
        sample: 1.0,
        instance: "proxy-1".to_owned(),
    })
    .unwrap()
}

fn wait_for(spans: &Spans, is_so: impl Fn(Figures) -> bool) -> Figures {
    let until = Instant::now() + SOON;
    loop {
        let figures = spans.figures();
        if is_so(figures) {
            return figures;
        }
        assert!(Instant::now() < until, "{figures:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const LATER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

#[test]
fn spans_are_counted_by_what_the_collector_answers() {
    let counts = |sent, failed| Figures { sent, dropped: 0, failed };
    for (answers, expected, posts) in [
        (&[TAKEN][..], counts(2, 0), 1),
        (
            &[b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\n\0\r\n0\r\n\r\n"],
            counts(2, 0),
            1,
        ),
        // partial_success 1: rejected_spans 1 is 1; then more than there were.
        (&[b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\x0a\x02\x08\x01"], counts(1, 1), 1),
        (&[b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\x0a\x02\x08\x09"], counts(0, 2), 1),
        (&[b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\xff\xff\xff"], counts(2, 0), 1),
        (&[b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"], counts(0, 2), 1),
        (&[b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"], counts(0, 2), 1),
        (&[LATER, TAKEN], counts(2, 0), 2),
        (&[b"", TAKEN], counts(2, 0), 2),
        (&[b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"\r\n", TAKEN], counts(2, 0), 3),
        (&[LATER], counts(0, 2), 3),
    ] {
        let (address, heard) = collector(answers);
        let spans = sending(address);
        spans.send(vec![span("submit_sm"), span("judge")]);
        let found = wait_for(&spans, |figures| figures.sent + figures.failed == 2);
        let answer = String::from_utf8_lossy(answers[0]);
        assert_eq!(found, expected, "{answer}");
        let requests: Vec<_> = heard.try_iter().collect();
        assert_eq!(requests.len(), posts, "{answer}");
        let (head, body) = &requests[posts - 1];
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:"), "{head}");
        assert!(head.contains("\r\nContent-Type: application/x-protobuf\r\n"), "{head}");
        assert_eq!(within(body, &[1, 2, 2, 5]), [&b"submit_sm"[..], b"judge"]);
    }
}

#[test]
fn spans_that_a_silent_collector_does_not_take_are_dropped_and_nobody_waits() {
    // It accepts, by its backlog, and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let spans = sending(listener.local_addr().unwrap());
    // Enough to fill a delivery, the queue, and then some.
    let began = Instant::now();
    let traces = 3 * QUEUE_MAX;
    for _ in 0..traces {
        spans.send(vec![span("submit_sm")]);
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(4), "send waited: {took:?}");
    let figures = spans.figures();
    assert!(figures.dropped >= QUEUE_MAX as u64 / 2, "{figures:?}");
    assert_eq!(figures.sent, 0);
    let began = Instant::now();
    spans.stop();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "stop waited: {took:?}");
}

#[test]
fn spans_that_wait_are_delivered_at_the_end() {
    let (address, heard) = collector(&[TAKEN]);
    let spans = sending(address);
    for _ in 0..10 {
        spans.send(vec![span("session")]);
    }
    spans.stop();
    assert_eq!(spans.figures(), Figures { sent: 10, dropped: 0, failed: 0 });
    let delivered: usize = heard.try_iter().map(|(_, body)| within(&body, &[1, 2, 2]).len()).sum();
    assert_eq!(delivered, 10);
    spans.send(vec![span("session")]);
    assert_eq!(spans.figures().dropped, 1, "nobody takes spans any more");
}

#[test]
fn no_collector_costs_spans_and_nothing_else() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let spans = sending(nobody);
    spans.send(vec![span("session")]);
    let figures = wait_for(&spans, |figures| figures.failed == 1);
    assert_eq!(figures, Figures { sent: 0, dropped: 0, failed: 1 });
}

#[test]
fn spans_are_made_of_the_share_of_messages_that_is_asked_for() {
    let mut chance = Chance::seeded(7);
    for (sample, messages) in
        [(1.0, 10_000), (0.5, 100_000), (0.01, 1_000_000), (0.001, 10_000_000)]
    {
        let (mut at, mut sampled) = (chance.gap(sample), 0_u64);
        while at < messages {
            sampled += 1;
            at += 1 + chance.gap(sample);
        }
        let expected = sample * messages as f64;
        let off = (sampled as f64 - expected).abs() / expected;
        assert!(off < 0.05, "{sample}: {sampled} of {messages}");
    }
    assert_eq!(chance.gap(0.0), u64::MAX);
    assert_eq!(chance.gap(1.0), 0);
    let names: std::collections::HashSet<_> = (0..10_000).map(|_| chance.trace_id()).collect();
    assert_eq!(names.len(), 10_000);
    assert!(!names.contains(&[0; 16]));
}
