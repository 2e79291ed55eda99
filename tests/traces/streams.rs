//! Holes, cuts, conflicts, streams met in their middle, ends, and the limits of what is held.

use consentry::replay::stream::{
    ACKED_PIECES_MAX, ACKED_WAIT_US, HELD_PIECES_MAX, HOLE_WAIT_US, STRAY_OCTETS_MAX, TALKING_MAX,
};
use consentry::replay::{Ending, GapCause};
use consentry::session::Side;

use crate::dialogue::{
    Read, START_US, Stream, Told, bind, bind_resp, captured, enquire_link, enquire_link_resp, read,
    read_packets, read_stream, submit, submit_resp,
};
use crate::wire::{ACK, Captured, Form, Link, RST, SYN, Tcp};

fn bound() -> Stream {
    let mut stream = Stream::new(0);
    stream.esme(&bind(1)).smsc(&bind_resp(1));
    stream
}

fn esme(read: &Read) -> Vec<Vec<u8>> {
    read.pdus(0, Side::Esme)
}

#[test]
fn what_was_not_captured_is_a_gap_behind_which_pdus_are_found_again() {
    let lost = submit(2, b"lost").len() as u32;
    // Octets lost; what of the next PDU is there; PDUs cut; octets skipped.
    let rows = [
        ("a PDU", lost, 0, 0, 0),
        ("a PDU and the header of the next", lost + 16, 16, 0, lost as u64 - 16),
        ("a PDU and an octet of the next", lost + 1, 1, 0, lost as u64 - 1),
    ];
    for (name, missing, front, cut, skipped) in rows {
        let mut stream = bound();
        stream.miss(Side::Esme, missing);
        stream.esme(&submit(3, b"torn")[front..]).smsc(&submit_resp(2));
        stream.esme(&submit(4, b"four")).esme(&submit(5, b"five"));
        let read = read_stream(&stream);
        let mut expected = vec![bind(1)];
        if front == 0 {
            expected.push(submit(3, b"torn"));
        }
        expected.extend([submit(4, b"four"), submit(5, b"five")]);
        assert_eq!(esme(&read), expected, "{name}");
        assert_eq!(read.gaps(), [(Side::Esme, GapCause::Missing, missing.into())], "{name}");
        assert_eq!(read.skipped.octets_in_gaps, u64::from(missing), "{name}");
        assert_eq!(read.skipped.pdus_cut, cut, "{name}");
        assert_eq!(read.skipped.octets_skipped, skipped, "{name}");
    }
}

/// A header says where its PDU ends, also when the middle is missing.
#[test]
fn behind_a_hole_within_a_pdu_the_next_is_where_the_header_says() {
    let torn = submit(2, b"torn in the middle");
    let length = torn.len();
    for (seen, missing) in [(16, 3), (16, length - 16), (30, 5), (20, length - 21)] {
        let mut stream = bound();
        stream.esme(&torn[..seen]).miss(Side::Esme, missing as u32);
        // The rest, and PDUs of vendors, which nobody could look for.
        let vendor = crate::dialogue::pdu(0x0001_0001, 77, 0, b"opaque");
        stream.esme(&[&torn[seen + missing..], &vendor, &submit(3, b"three")].concat());
        let read = read_stream(&stream);
        assert_eq!(read.skipped.pdus_cut, 1, "{seen} {missing}");
        assert_eq!(read.skipped.octets_skipped, (length - missing) as u64, "{seen} {missing}");
        let cut = Told::Cut { stream: 0, side: Side::Esme, command_length: length as u32 };
        assert!(read.told.contains(&cut), "{seen} {missing}");
        assert_eq!(esme(&read).last(), Some(&submit(3, b"three")), "{seen} {missing}");
    }
}

#[test]
fn a_snap_length_cuts_pdus_and_the_small_ones_stay_whole() {
    let mut stream = bound();
    for number in 2..6 {
        stream.esme(&submit(number, &[b'x'; 100])).smsc(&submit_resp(number));
    }
    // Ethernet, an IPv4 header with an option, a TCP header with one, and 34 octets.
    let packets = stream.captured(Link::Ethernet, false);
    let packets: Vec<_> =
        packets.into_iter().map(|packet| packet.snapped(14 + 24 + 24 + 34)).collect();
    let read = read_packets(&packets);
    assert_eq!(esme(&read), [bind(1)]);
    let answers: Vec<_> = (2..6).map(submit_resp).collect();
    assert_eq!(read.pdus(0, Side::Smsc)[1..], answers);
    assert_eq!(read.skipped.pdus_cut, 4);
    assert_eq!(read.skipped.octets_skipped, 4 * 34);
    let missing = (submit(2, &[b'x'; 100]).len() - 34) as u64;
    assert_eq!(read.gaps(), [(Side::Esme, GapCause::Missing, missing); 4]);
    // Met in the middle, each cut PDU ends where its packet does: it is known for one.
    let middle = read_packets(&packets[5..]);
    assert_eq!(middle.skipped.pdus_cut, 4);
    assert_eq!(middle.pdus(0, Side::Smsc), answers);
}

#[test]
fn a_snap_length_within_the_headers_is_a_gap_too() {
    let mut stream = bound();
    stream.esme(&submit(2, b"cut")).smsc(&submit_resp(2)).esme(&submit(3, b"whole"));
    let mut packets = stream.captured(Link::Ethernet, false);
    let cut = packets[5].clone();
    for octets in 14 + 24 + 20..=14 + 24 + 24 {
        packets[5] = cut.clone().snapped(octets);
        let read = read_packets(&packets);
        assert_eq!(esme(&read), [bind(1), submit(3, b"whole")], "{octets}");
        assert_eq!(read.skipped.octets_in_gaps, submit(2, b"cut").len() as u64, "{octets}");
    }
}

#[test]
fn what_was_seen_first_stands_and_conflicts_are_counted() {
    let mut stream = bound();
    let (first, other) = (submit(3, b"first"), submit(3, b"other"));
    let before = submit(2, b"before");
    stream.esme(&before).esme(&first);
    let last = stream.segments.len() - 1;
    let conflicting = Tcp { data: other, ..stream.segments[last].clone() };
    // Ahead of its turn, again with other octets, then what was waited for.
    stream.segments.insert(last + 1, conflicting);
    let awaited = stream.segments.remove(last - 1);
    stream.segments.push(awaited);
    let read = read_stream(&stream);
    assert_eq!(esme(&read), [bind(1), before, first]);
    assert_eq!(read.skipped.octets_in_conflict, 5);
    assert!(read.gaps().is_empty());
}

/// A hole before pieces of which the receiver says that it has them is given up soon; any other late.
#[test]
fn a_hole_is_waited_for_no_longer_than_it_can_be_filled() {
    let hole_and_pieces = |acked: bool, pieces: usize| {
        let mut stream = bound();
        stream.miss(Side::Esme, 50);
        for number in 0..pieces as u32 {
            stream.esme(&enquire_link(number + 10));
        }
        if !acked {
            let seen = stream.segments[4].ack;
            stream.seq[0] = seen;
        }
        stream.smsc(&enquire_link(1)).smsc(&enquire_link(2));
        stream
    };
    // The SMSC speaks so many microseconds later: is the hole given up when it has?
    let rows = [
        (true, 1, 1_000, false),
        (true, 1, ACKED_WAIT_US - 1, false),
        (true, 1, ACKED_WAIT_US, true),
        (true, ACKED_PIECES_MAX - 1, 1_000, false),
        (true, ACKED_PIECES_MAX, 1_000, true),
        (false, 1, ACKED_WAIT_US, false),
        (false, 1, HOLE_WAIT_US - 1, false),
        (false, 1, HOLE_WAIT_US, true),
        (false, HELD_PIECES_MAX, 1_000, false),
        (false, HELD_PIECES_MAX + 1, 1_000, true),
    ];
    for (acked, pieces, late_us, given_up) in rows {
        let mut packets = hole_and_pieces(acked, pieces).captured(Link::Ethernet, false);
        let spoke = packets.len() - 2;
        for (at, packet) in packets.iter_mut().enumerate() {
            packet.time_us = START_US + if at < spoke { 0 } else { late_us };
        }
        let read = read_packets(&packets);
        let place = |wanted: &dyn Fn(&Told) -> bool| read.told.iter().position(wanted);
        let gap = place(&|told| matches!(told, Told::Gap { octets: 50, .. }));
        let last = place(
            &|told| matches!(told, Told::Pdu { side: Side::Smsc, octets, .. } if *octets == enquire_link(2)),
        );
        assert!(gap.is_some() && last.is_some());
        assert_eq!(gap < last, given_up, "acked {acked}, {pieces} pieces, {late_us} us");
        assert_eq!(esme(&read).len(), 1 + pieces);
    }
}

#[test]
fn a_stream_met_in_its_middle_is_found_and_said_to_be_without_a_start() {
    let torn = submit(1, b"torn by the beginning of the capture");
    for front in [0, 1, 3, 16, 40, torn.len() - 1] {
        let mut stream = Stream::in_the_middle(0);
        stream.esme(&torn[front..]).smsc(&submit_resp(1));
        stream.esme(&submit(2, b"two")).smsc(&submit_resp(2));
        let read = read_stream(&stream);
        let mut expected = vec![submit(2, b"two")];
        if front == 0 {
            expected.insert(0, torn.clone());
        }
        assert_eq!(esme(&read), expected, "{front}");
        assert_eq!(read.skipped.streams_without_start, 1, "{front}");
        let skipped = if front == 0 { 0 } else { torn.len() - front };
        assert_eq!(read.skipped.octets_skipped, skipped as u64, "{front}");
    }
}

/// The handshake is there and the bind is not: the first that is read is not the first that was said.
#[test]
fn a_stream_whose_bind_was_not_captured_is_without_a_start() {
    for front in [0, 20] {
        let mut stream = Stream::new(0);
        stream.esme(&bind(1)).smsc(&bind_resp(1));
        stream.esme(&submit(2, b"two")).smsc(&submit_resp(2)).esme(&submit(3, b"three"));
        stream.segments.remove(3);
        stream.segments[4].data.drain(..front);
        stream.segments[4].seq = stream.segments[4].seq.wrapping_add(front as u32);
        let read = read_stream(&stream);
        assert_eq!(esme(&read).last(), Some(&submit(3, b"three")), "{front}");
        assert_eq!(read.pdus(0, Side::Smsc), [bind_resp(1), submit_resp(2)], "{front}");
        assert_eq!(read.skipped.streams_without_start, 1, "{front}");
    }
}

/// Where one SYN is not captured, what its receiver acknowledges tells.
#[test]
fn one_side_of_the_handshake_is_enough() {
    for missing in [0, 1] {
        let mut stream = bound();
        stream.segments.remove(missing);
        let read = read_stream(&stream);
        assert_eq!(read.opened(), 1, "{missing}");
        assert_eq!(read.skipped.streams_without_start, 0, "{missing}");
        assert_eq!(read.pdus(0, Side::Smsc), [bind_resp(1)], "{missing}");
    }
}

#[test]
fn the_same_ports_again_are_another_stream() {
    let mut segments = bound().segments;
    let mut again = Stream { seq: [5000, 9000], ..Stream::in_the_middle(0) };
    again.push(Side::Esme, SYN, b"").push(Side::Smsc, SYN | ACK, b"");
    again.esme(&bind(7)).smsc(&bind_resp(7)).finish();
    segments.extend(again.segments.clone());
    // The last of the first stream comes again, and so does the SYN of the second.
    segments.push(again.segments[0].clone());
    let read = read_packets(&captured(&segments, Link::Ethernet, false));
    assert_eq!(read.endings(), [Ending::Reused, Ending::Finished]);
    assert_eq!(esme(&read), [bind(1)]);
    assert_eq!(read.pdus(1, Side::Esme), [bind(7)]);
    assert_eq!(read.skipped.streams, 2);
}

#[test]
fn what_comes_again_behind_the_end_is_no_stream() {
    let mut stream = bound();
    stream.push(Side::Esme, RST | ACK, b"");
    let again = stream.segments[3].clone();
    stream.segments.push(again);
    let read = read_stream(&stream);
    assert_eq!(read.endings(), [Ending::Reset]);
    assert_eq!(read.skipped.streams, 1);
    assert_eq!(esme(&read), [bind(1)]);
}

#[test]
fn the_same_ports_again_behind_a_stream_met_in_its_middle_are_another() {
    let mut stream = Stream::in_the_middle(0);
    stream.esme(&submit(1, b"one")).smsc(&submit_resp(1));
    let mut again = Stream { seq: [5000, 9000], ..Stream::in_the_middle(0) };
    again.push(Side::Esme, SYN, b"").push(Side::Smsc, SYN | ACK, b"");
    again.esme(&bind(7)).smsc(&bind_resp(7)).finish();
    let segments = [stream.segments, again.segments].concat();
    let read = read_packets(&captured(&segments, Link::Ethernet, false));
    assert_eq!(read.endings(), [Ending::Reused, Ending::Finished]);
    assert_eq!(read.pdus(1, Side::Esme), [bind(7)]);
    // A SYN that the capture wrote down behind the first data is the same stream's.
    let mut late = bound();
    late.segments.swap(0, 3);
    let read = read_stream(&late);
    assert_eq!((read.skipped.streams, esme(&read).len()), (1, 1));
}

#[test]
fn a_reset_from_afar_ends_nothing() {
    for far in [2 << 20, 1 << 31] {
        let mut stream = bound();
        let reset = Tcp { flags: RST, data: Vec::new(), ..stream.segments[3].clone() };
        stream.segments.push(Tcp { seq: reset.seq.wrapping_add(far), ..reset });
        stream.esme(&submit(2, b"two")).finish();
        let read = read_stream(&stream);
        assert_eq!(read.endings(), [Ending::Finished], "{far}");
        assert_eq!(esme(&read), [bind(1), submit(2, b"two")], "{far}");
    }
}

/// Gaps without end do not make a stream one that waits without end.
#[test]
fn a_stream_of_gaps_is_given_up() {
    let mut stream = Stream::in_the_middle(0);
    stream.esme(&enquire_link(1));
    for _ in 0..2000 {
        stream.miss(Side::Esme, 100).esme(b"\x01").smsc(b"");
    }
    stream.esme(&submit(2, b"too late")).smsc(&submit_resp(2));
    let mut packets = stream.captured(Link::Ethernet, false);
    for (at, packet) in packets.iter_mut().enumerate() {
        packet.time_us += at as u64 * 1_000_000;
    }
    let read = read_packets(&packets);
    assert_eq!((read.told.len(), read.skipped.streams_not_smpp), (0, 1));
}

/// A capture that stopped and went on while the session did.
#[test]
fn a_stream_goes_on_behind_a_pause_of_the_capture() {
    for jump in [100, 1 << 20, STRAY_OCTETS_MAX + 1, 1 << 30, 3 << 30] {
        let mut stream = bound();
        stream.miss(Side::Esme, jump).miss(Side::Smsc, jump);
        for number in 50..54 {
            stream.esme(&enquire_link(number)).smsc(&enquire_link_resp(number));
        }
        let mut packets = stream.captured(Link::Ethernet, false);
        for packet in &mut packets[5..] {
            packet.time_us += 3_600_000_000;
        }
        packets.last_mut().expect("packets").time_us += 1_000_000;
        let read = read_packets(&packets);
        assert_eq!(read.skipped.streams, 1, "{jump}");
        let said: Vec<_> = [bind(1)].into_iter().chain((50..54).map(enquire_link)).collect();
        assert_eq!(esme(&read), said, "{jump}");
    }
}

/// A stray segment, as a damaged or forged packet is one, does not take the stream with it.
#[test]
fn a_stray_sequence_number_does_not_lead_the_stream_away() {
    for far in [STRAY_OCTETS_MAX + 1, 1 << 28, 1 << 30] {
        let mut stream = bound();
        let mut stray = stream.clone();
        stray.miss(Side::Esme, far).esme(&submit(66, b"stray"));
        let stray = stray.segments.last().expect("a segment").clone();
        stream.segments.push(stray);
        stream.esme(&submit(2, b"two")).smsc(&submit_resp(2)).esme(&submit(3, b"three")).finish();
        let read = read_stream(&stream);
        assert_eq!(esme(&read), [bind(1), submit(2, b"two"), submit(3, b"three")], "{far}");
        assert!(read.gaps().is_empty(), "{far}");
    }
}

#[test]
fn a_length_that_cannot_be_is_a_gap_in_framing() {
    for length in [0u32, 15, 70_001, u32::MAX] {
        let mut stream = bound();
        for number in 2..20 {
            stream.esme(&submit(number, b"trusted by now"));
        }
        let mut wrong = submit(20, b"wrong");
        wrong[..4].copy_from_slice(&length.to_be_bytes());
        stream.esme(&wrong).esme(&submit(21, b"found again"));
        let read = read_stream(&stream);
        assert_eq!(read.gaps(), [(Side::Esme, GapCause::Framing, 0)], "{length}");
        assert_eq!(esme(&read).last(), Some(&submit(21, b"found again")), "{length}");
        assert_eq!(read.skipped.octets_skipped, wrong.len() as u64, "{length}");
    }
}

#[test]
fn streams_that_are_open_at_once_are_bounded() {
    let front = submit(1, b"a PDU that is never whole")[..30].to_vec();
    for (count, forgotten) in [(TALKING_MAX as u32, 0), (TALKING_MAX as u32 + 1, 1)] {
        let packets = (0..count).map(|number| {
            let mut stream = Stream::in_the_middle(number);
            stream.esme(&front);
            Captured::whole(START_US, stream.segments[0].packet(Link::Raw, false))
        });
        let packets: Vec<_> = packets.collect();
        let form = Form::Pcap { big: false, nanoseconds: false };
        let read = read(&[form.file(Link::Raw.number(false), &packets)]);
        assert_eq!(read.skipped.streams_forgotten, forgotten, "{count}");
        assert_eq!(read.skipped.streams_not_smpp, u64::from(count), "{count}");
    }
}
