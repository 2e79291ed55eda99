//! One dialogue in every form that a capture can have.

use std::io::Write;

use consentry::replay::Ending;
use consentry::session::Side;

use crate::dialogue::{Read, START_US, Told, bind, captured, dialogue, read, read_packets, submit};
use crate::wire::{Captured, Form, Link, Tcp, block, interface, section, word};

/// What the dialogue says, whatever form it is in.
fn check(name: &str, read: &Read) {
    assert!(read.faults.is_empty(), "{name}: {:?}", read.faults);
    let expected = read_packets(&dialogue().captured(Link::Ethernet, false));
    assert_eq!(read.told, expected.told, "{name}");
    assert_eq!(read.skipped, expected.skipped, "{name}");
}

#[test]
fn the_dialogue_is_told_as_it_was_held() {
    let read = read_packets(&dialogue().captured(Link::Ethernet, false));
    let at = |packet: u64| START_US + packet * 1000;
    let first = Told::Opened {
        stream: 0,
        esme_port: 40_000,
        smsc_port: 7000,
        from_start: true,
        time_us: START_US,
    };
    assert_eq!(read.told.first(), Some(&first));
    let bound = Told::Pdu { stream: 0, side: Side::Esme, time_us: at(3), octets: bind(1) };
    assert_eq!(read.told.get(1), Some(&bound));
    let second =
        Told::Pdu { stream: 0, side: Side::Esme, time_us: at(5), octets: submit(3, b"two") };
    assert_eq!(read.told.get(4), Some(&second));
    let last = Told::Closed { stream: 0, ending: Ending::Finished };
    assert_eq!(read.told.last(), Some(&last));
    assert_eq!(read.told.len(), 1 + 10 + 1);
    let skipped = read.skipped;
    assert_eq!((skipped.packets, skipped.streams), (14, 1));
    assert_eq!((skipped.checksums_wrong, skipped.octets_skipped), (0, 0));
}

#[test]
fn every_form_link_and_ip_version_tells_the_same() {
    for form in Form::ALL {
        for link in Link::ALL {
            for is_v6 in [false, true] {
                let packets = dialogue().captured(link, is_v6);
                let file = form.file(link.number(is_v6), &packets);
                check(&format!("{form:?} {link:?} v6 {is_v6}"), &read(&[file]));
            }
        }
    }
}

fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(octets).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(octets: &[u8]) -> Vec<u8> {
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    ruzstd::encoding::compress_to_vec(octets, level)
}

#[test]
fn compressed_captures_tell_the_same_also_in_several_frames() {
    let form = Form::Pcapng { big: false, resolution: 9, offset_seconds: 0 };
    let file = form.file(1, &dialogue().captured(Link::Ethernet, false));
    let (front, back) = file.split_at(file.len() / 3);
    let skippable = [&[0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    check("gzip", &read(&[gzip(&file)]));
    check("gzip, two members", &read(&[[gzip(front), gzip(back)].concat()]));
    check("zstd", &read(&[zstd(&file)]));
    let frames = [skippable.clone(), zstd(front), skippable, zstd(back)].concat();
    check("zstd, two frames and two to be skipped", &read(&[frames]));
}

#[test]
fn a_trace_in_several_files_is_one_trace() {
    let packets = dialogue().captured(Link::Ethernet, false);
    for at in 0..=packets.len() {
        let (front, back) = packets.split_at(at);
        let pcap = Form::Pcap { big: true, nanoseconds: false }.file(1, front);
        let pcapng = Form::PcapngMixed.file(1, back);
        // A pcapng file of no packets has no section either: it is empty.
        let files = if back.is_empty() { vec![pcap] } else { vec![pcap, pcapng] };
        check(&format!("cut before packet {at}"), &read(&files));
    }
}

#[test]
fn a_read_may_give_as_little_as_an_octet() {
    struct Drops(std::io::Cursor<Vec<u8>>);
    impl std::io::Read for Drops {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let one = buffer.len().min(1);
            self.0.read(&mut buffer[..one])
        }
    }
    let file = Form::PcapngMixed.file(1, &dialogue().captured(Link::Ethernet, false));
    for file in [file.clone(), gzip(&file), zstd(&file)] {
        let drops = Drops(std::io::Cursor::new(file));
        check("octet by octet", &crate::dialogue::read_inputs(vec![Box::new(drops)]));
    }
}

#[test]
fn simple_packets_have_the_time_of_the_packet_before() {
    let packets = dialogue().captured(Link::Ethernet, false);
    let mut file = [section(false), interface(false, 1, 6, 0)].concat();
    for packet in &packets {
        let body = [word(false, packet.wire_octets as u32), packet.octets.clone()].concat();
        file.extend(block(false, 3, &body));
    }
    let simple = read(&[file]);
    assert!(simple.faults.is_empty(), "{:?}", simple.faults);
    let expected = read_packets(&packets);
    assert_eq!(simple.pdus(0, Side::Esme), expected.pdus(0, Side::Esme));
    assert_eq!(simple.pdus(0, Side::Smsc), expected.pdus(0, Side::Smsc));
}

#[test]
fn several_interfaces_each_have_their_own_link_and_clock() {
    let segments = dialogue().segments;
    let resolutions = [6, 9, 0x80 | 20];
    let links = [Link::Cooked2, Link::Vlan, Link::Raw];
    let mut file = section(true);
    for (link, resolution) in links.into_iter().zip(resolutions) {
        file.extend(interface(true, link.number(false), resolution, 0));
    }
    let forms = links.map(|link| captured(&segments, link, false));
    for (at, _) in segments.iter().enumerate() {
        let interface = at % links.len();
        let (packet, resolution) = (&forms[interface][at], resolutions[interface]);
        file.extend(crate::wire::enhanced(true, interface as u32, resolution, 0, packet));
    }
    check("three interfaces", &read(&[file]));
}

/// Ethernet pads short frames, and some cards append their checksum.
#[test]
fn padding_behind_the_packet_is_not_data() {
    let mut packets = dialogue().captured(Link::Ethernet, false);
    for packet in &mut packets {
        packet.octets.extend([0xee; 9]);
        packet.wire_octets += 9;
    }
    check("padding", &read_packets(&packets));
}

/// A card that cuts segments itself is given packets without a total length.
#[test]
fn a_total_length_of_zero_is_as_long_as_the_packet() {
    for is_v6 in [false, true] {
        let mut packets = dialogue().captured(Link::Raw, is_v6);
        for packet in &mut packets {
            let at = if is_v6 { 4 } else { 2 };
            packet.octets[at..at + 2].fill(0);
        }
        let form = Form::Pcap { big: true, nanoseconds: true };
        let mut read = read(&[form.file(Link::Raw.number(is_v6), &packets)]);
        // The checksum of an IPv4 header is over its length, too.
        let wrong = if is_v6 { 0 } else { packets.len() as u64 };
        assert_eq!(read.skipped.checksums_wrong, wrong);
        read.skipped.checksums_wrong = 0;
        check("segmented by the card", &read);
    }
}

#[test]
fn a_wrong_checksum_is_counted_and_read() {
    let mut packets = dialogue().captured(Link::Ethernet, false);
    for packet in &mut packets {
        // TCP's: behind Ethernet, an IPv4 header with an option, and sixteen octets.
        packet.octets[14 + 24 + 16] ^= 0x55;
    }
    let mut read = read_packets(&packets);
    assert_eq!(read.skipped.checksums_wrong, packets.len() as u64);
    read.skipped.checksums_wrong = 0;
    check("checksums", &read);
}

#[test]
fn what_is_not_tcp_is_counted_by_its_reason() {
    let plain = Tcp::default().packet(Link::Ethernet, false);
    let with = |at: usize, value: u8| {
        let mut octets = plain.clone();
        octets[at] = value;
        octets
    };
    let rows = [
        ("ARP", with(13, 0x06), [0, 1, 0, 0]),
        ("UDP", with(14 + 9, 17), [0, 1, 0, 0]),
        ("IP version 5", with(14, 0x56), [0, 1, 0, 0]),
        ("more fragments", with(14 + 6, 0x20), [0, 0, 1, 0]),
        ("a later fragment", with(14 + 7, 1), [0, 0, 1, 0]),
        ("an IP header of 16 octets", with(14, 0x44), [0, 0, 0, 1]),
        ("a TCP header of 16 octets", with(14 + 24 + 12, 4 << 4), [0, 0, 0, 1]),
        ("a TCP header longer than the packet", with(14 + 24 + 12, 15 << 4), [0, 0, 0, 1]),
        ("an IP packet shorter than its header", with(14 + 3, 9), [0, 0, 0, 1]),
        ("nothing", Vec::new(), [0, 0, 0, 1]),
    ];
    for (name, octets, expected) in rows {
        let skipped = read_packets(&[Captured::whole(START_US, octets)]).skipped;
        let counts = [
            skipped.packets_of_other_links,
            skipped.packets_not_tcp,
            skipped.fragments,
            skipped.packets_malformed,
        ];
        assert_eq!(counts, expected, "{name}");
    }
    let form = Form::Pcap { big: false, nanoseconds: false };
    let other = read(&[form.file(147, &[Captured::whole(START_US, plain)])]);
    assert_eq!(other.skipped.packets_of_other_links, 1);
}
