//! SMPP told from what is not, and the ESME from the SMSC, by what is said alone.

use consentry::session::Side;

use crate::dialogue::{
    Read, Stream, Told, bind, bind_resp, enquire_link, enquire_link_resp, pdu, read_stream, submit,
    submit_resp,
};

/// A message of CMPP or SMGP: length, command_id, sequence_id, body.
fn twelve(command_id: u32, sequence_id: u32, body: &[u8]) -> Vec<u8> {
    let header = [12 + body.len() as u32, command_id, sequence_id];
    [header.map(u32::to_be_bytes).concat(), body.to_vec()].concat()
}

/// A message of SGIP: length, command_id, three words of sequence number, body.
fn twenty(command_id: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let header = [20 + body.len() as u32, command_id, 3_010_099_999, 1_126_120_000, sequence];
    [header.map(u32::to_be_bytes).concat(), body.to_vec()].concat()
}

/// Both sides of a CMPP connection that counts from `first`.
fn cmpp(first: u32) -> Stream {
    let mut stream = Stream::new(0);
    let digest: Vec<u8> = (0..16u8).map(|at| at.wrapping_mul(37) | 128).collect();
    let connect = [b"901234", &digest[..], &[0x20, 0x43, 0x1c, 0x2f, 0x11]].concat();
    stream.esme(&twelve(1, first, &connect));
    stream.smsc(&twelve(0x8000_0001, first, &[&[0][..], &digest, &[0x20]].concat()));
    for number in first + 1..first + 40 {
        let submit = [&[0; 8][..], &[1, 1, 1, 0], b"HELP\0\0\0\0\0\0", &[b'1'; 120]].concat();
        stream.esme(&twelve(4, number, &submit));
        let answer = [&0x5a9b_3d01_0402_0000u64.to_be_bytes()[..], &[0]].concat();
        stream.smsc(&twelve(0x8000_0004, number, &answer));
        stream.smsc(&twelve(8, number, b"")).esme(&twelve(0x8000_0008, number, &[0]));
    }
    stream
}

fn sgip() -> Stream {
    let mut stream = Stream::new(0);
    for number in 0..30 {
        stream.esme(&twenty(if number == 0 { 1 } else { 3 }, number, &[b'6'; 60]));
        stream.smsc(&twenty(if number == 0 { 0x8000_0001 } else { 0x8000_0003 }, number, &[0; 9]));
    }
    stream
}

fn lines(request: &[u8], answer: &[u8]) -> Stream {
    let mut stream = Stream::new(0);
    stream.esme(request).smsc(answer).esme(request).smsc(answer);
    stream
}

/// The same stream without its handshake.
fn middle(stream: &Stream) -> Stream {
    Stream { segments: stream.segments[3..].to_vec(), ..stream.clone() }
}

#[test]
fn other_protocols_are_not_smpp_also_met_in_their_middle() {
    let others = [
        ("CMPP from 0", cmpp(0)),
        ("CMPP from 1", cmpp(1)),
        ("CMPP from 64", cmpp(64)),
        ("SGIP", sgip()),
        ("HTTP", lines(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")),
        ("TLS", lines(&[0x16, 3, 1, 0, 16, 1, 0, 0, 12, 3, 3], &[0x16, 3, 3, 0, 0x7a, 2, 0, 0])),
        ("zeros", lines(&[0; 3000], &[0; 3000])),
        ("sixteens", lines(&[0, 0, 0, 16].repeat(400), &[0, 0, 0, 16].repeat(400))),
        ("nothing much", lines(b"\0", b"\0\0\0")),
    ];
    for (name, stream) in others {
        for (how, stream) in [("whole", stream.clone()), ("in its middle", middle(&stream))] {
            let read = read_stream(&stream);
            assert!(read.told.is_empty(), "{name} {how}: {:?}", read.told.first());
            assert_eq!(read.skipped.streams_not_smpp, 1, "{name} {how}");
            assert_eq!(read.skipped.octets_skipped, 0, "{name} {how}");
        }
    }
}

#[test]
fn streams_without_data_are_counted_apart() {
    let read = read_stream(Stream::new(0).finish());
    assert_eq!((read.skipped.streams, read.skipped.streams_without_data), (1, 1));
    assert_eq!(read.skipped.streams_not_smpp, 0);
}

/// Ports of the ESME and the SMSC as they were told.
fn ports(read: &Read) -> (u16, u16) {
    match read.told.first() {
        Some(Told::Opened { esme_port, smsc_port, .. }) => (*esme_port, *smsc_port),
        other => panic!("{other:?}"),
    }
}

const CLIENT: u16 = 40_000;
const SERVER: u16 = crate::wire::SMSC_PORT;

#[test]
fn who_is_the_esme_is_told_by_what_is_said() {
    let deliver = pdu(5, 0, 9, &submit(1, b"MO")[16..]);
    let outbind = pdu(0xb, 0, 1, b"SMSC\0secret\0");
    let rows: [(&str, Vec<(Side, Vec<u8>)>, u16, u64); 9] = [
        ("bind", vec![(Side::Esme, bind(1))], CLIENT, 0),
        ("bind, backwards", vec![(Side::Smsc, bind(1))], SERVER, 0),
        ("outbind", vec![(Side::Esme, outbind)], SERVER, 0),
        ("deliver_sm", vec![(Side::Smsc, deliver.clone())], CLIENT, 0),
        ("deliver_sm, backwards", vec![(Side::Esme, deliver)], SERVER, 0),
        (
            "answers only",
            vec![(Side::Esme, submit_resp(1)), (Side::Esme, submit_resp(2))],
            SERVER,
            0,
        ),
        (
            "enquire_link, then a message",
            vec![(Side::Smsc, enquire_link(1)), (Side::Smsc, submit(2, b"text"))],
            SERVER,
            0,
        ),
        (
            "enquire_link only",
            vec![(Side::Smsc, enquire_link(1)), (Side::Esme, enquire_link_resp(1))],
            CLIENT,
            1,
        ),
        (
            "much of enquire_link",
            (1..2000).map(|number| (Side::Smsc, enquire_link(number))).collect(),
            CLIENT,
            1,
        ),
    ];
    for (name, said, esme, supposed) in rows {
        for from_start in [true, false] {
            let mut stream = if from_start { Stream::new(0) } else { Stream::in_the_middle(0) };
            for (side, octets) in &said {
                stream.push(*side, crate::wire::ACK, octets);
            }
            let read = read_stream(&stream);
            assert_eq!(ports(&read).0, esme, "{name}, from start {from_start}");
            assert_eq!(read.skipped.streams_of_supposed_sides, supposed, "{name}");
            let client = if esme == CLIENT { Side::Esme } else { Side::Smsc };
            for (port, side) in [(CLIENT, client), (SERVER, other(client))] {
                let own = |(by, _): &&(Side, Vec<u8>)| (*by == Side::Esme) == (port == CLIENT);
                let said: Vec<_> = said.iter().filter(own).map(|(_, pdu)| pdu.clone()).collect();
                assert_eq!(read.pdus(0, side), said, "{name}");
            }
        }
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Esme => Side::Smsc,
        Side::Smsc => Side::Esme,
    }
}

/// One broken PDU does not hide a stream that goes on to speak.
#[test]
fn a_bind_that_cannot_be_read_is_told_once_the_stream_is_known() {
    let broken = pdu(9, 0, 1, b"no end");
    let mut stream = Stream::new(0);
    stream.esme(&broken).smsc(&pdu(0x8000_0009, 13, 1, b"")).esme(&bind(2)).smsc(&bind_resp(2));
    let read = read_stream(&stream);
    assert_eq!(read.pdus(0, Side::Esme), [broken, bind(2)]);
    assert_eq!(read.pdus(0, Side::Smsc).len(), 2);
    assert_eq!(read.skipped.streams_without_start, 0);
}

/// A text may hold what looks like a PDU; behind a hole, only what stands in line is one.
#[test]
fn a_pdu_in_a_text_is_a_text() {
    let inner = submit(99, b"made up");
    let outer = submit(3, &inner);
    let mut stream = Stream::new(0);
    stream.esme(&bind(1)).smsc(&bind_resp(1)).miss(Side::Esme, 70);
    stream.esme(&[outer.clone(), submit(4, b"four")].concat()).smsc(&submit_resp(3));
    let read = read_stream(&stream);
    assert_eq!(read.pdus(0, Side::Esme), [bind(1), outer.clone(), submit(4, b"four")]);
    // Its own header lost: what follows the inner one is not a header.
    let mut stream = Stream::new(0);
    stream.esme(&bind(1)).smsc(&bind_resp(1)).miss(Side::Esme, 70);
    let tail = [&outer[20..], &[5, 5, 0, 0]].concat();
    stream.esme(&[&tail, &submit(4, b"four")[..]].concat()).smsc(&submit_resp(3));
    let read = read_stream(&stream);
    assert_eq!(read.pdus(0, Side::Esme), [bind(1), submit(4, b"four")]);
}
