//! Octets that nobody vouches for: they end in a fault with its place, in bounded memory and time.

use std::io::Read as _;

use consentry::replay::FaultKind;
use proptest::prelude::*;

use crate::dialogue::{Read, dialogue, read, read_inputs};
use crate::wire::{Captured, Form, Link, enhanced, interface, section, word};

fn files() -> Vec<(String, Vec<u8>)> {
    let packets = dialogue().captured(Link::Vlan, false);
    Form::ALL.map(|form| (format!("{form:?}"), form.file(1, &packets))).to_vec()
}

/// Whether what was told of a part is the beginning of what is told of the whole. Of the part, the
/// stream ends with the trace.
fn is_front(part: &Read, whole: &Read) -> bool {
    let told = part.told.len().saturating_sub(1);
    part.told.len() <= whole.told.len() && part.told[..told] == whole.told[..told]
}

#[test]
fn a_trace_that_ends_anywhere_is_read_until_there() {
    for (name, file) in files() {
        let whole = read(std::slice::from_ref(&file));
        let mut faults = 0;
        for end in 0..file.len() {
            let part = read(&[file[..end].to_vec()]);
            assert!(is_front(&part, &whole), "{name} until {end}");
            assert!(part.faults.len() <= 1, "{name} until {end}");
            for fault in &part.faults {
                assert_eq!(fault.trace, "trace 0");
                assert!(fault.offset <= end as u64, "{name} until {end}: {fault}");
                let is_short = matches!(fault.what, FaultKind::CutShort(_) | FaultKind::Empty);
                assert!(is_short, "{name} until {end}: {fault}");
                faults += 1;
            }
        }
        // Between packets a trace may end.
        assert!(faults > file.len() * 9 / 10, "{name}: {faults} faults");
    }
}

#[test]
fn numbers_at_their_extremes_end_in_a_fault_or_are_read() {
    let extremes = [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX - 3, u32::MAX];
    for (name, file) in files() {
        for at in (0..file.len() - 3).step_by(4) {
            for extreme in extremes {
                for octets in [extreme.to_be_bytes(), extreme.to_le_bytes()] {
                    let mut file = file.clone();
                    file[at..at + 4].copy_from_slice(&octets);
                    let faults = read(&[file]).faults.len();
                    assert!(faults <= 1, "{name} {at} {extreme:#x}");
                }
            }
            if at > 400 {
                break;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn octets_changed_anywhere_never_panic(
        form in 0..Form::ALL.len(),
        link in 0..Link::ALL.len(),
        is_v6 in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
    ) {
        let link = Link::ALL[link];
        let packets = dialogue().captured(link, is_v6);
        let mut file = Form::ALL[form].file(link.number(is_v6), &packets);
        for (at, octet) in changes {
            let at = at.index(file.len());
            file[at] = octet;
        }
        read(&[file]);
    }

    #[test]
    fn any_octets_never_panic(
        kind in 0..4usize,
        octets in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let front: &[u8] = match kind {
            0 => &[],
            1 => &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0],
            2 => &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
            _ => &[0x28, 0xb5, 0x2f, 0xfd, 0, 0x58],
        };
        read(&[[front, &octets].concat()]);
    }
}

/// What a file is said to be wrong with, and where.
#[test]
fn a_fault_names_its_trace_its_place_and_what_is_wrong() {
    let one = Captured::whole(1, dialogue().segments[0].packet(Link::Raw, false));
    let pcap = Form::Pcap { big: true, nanoseconds: false };
    let mut too_long = pcap.file(101, std::slice::from_ref(&one));
    too_long[24 + 8..24 + 12].copy_from_slice(&(256 * 1024 + 1u32).to_be_bytes());
    let start = [section(false), interface(false, 101, 6, 0)].concat();
    let with = |block: Vec<u8>| [start.clone(), block].concat();
    let mut lengths = enhanced(false, 0, 6, 0, &one);
    let end = lengths.len();
    lengths[end - 4] ^= 4;
    let mut short = enhanced(false, 0, 6, 0, &one);
    short[4..8].copy_from_slice(&word(false, 28));
    let mut order = section(false);
    order[8] = 9;
    let at = start.len();
    let rows = [
        ("empty", Vec::new(), "octet 0: the trace is empty"),
        ("text", b"hello world".to_vec(), "octet 0: begins with 68656c6c, which is neither pcap"),
        ("packet", too_long, "octet 24: a packet of 262145 octets is announced"),
        ("interface", with(enhanced(false, 1, 6, 0, &one)), "names interface 1,"),
        ("lengths", with(lengths), "a block says at its start"),
        ("short", with(short), "28 octets cannot hold what it has to"),
        ("tiny", with([word(false, 77), word(false, 8), word(false, 8)].concat()), "a block of 8"),
        ("order", order, "octet 0: a section begins with byte-order magic"),
    ];
    for (name, file, expected) in rows {
        let faults = read(&[file]).faults;
        assert_eq!(faults.len(), 1, "{name}");
        let text = faults[0].to_string();
        assert!(text.starts_with("trace 0: octet "), "{name}: {text}");
        assert!(text.contains(expected), "{name}: {text}");
        let offset = if expected.starts_with("octet") { None } else { Some(at as u64) };
        assert!(offset.is_none_or(|offset| faults[0].offset == offset), "{name}: {text}");
    }
}

#[test]
fn after_a_fault_the_next_trace_is_read() {
    let good = Form::PcapngMixed.file(1, &dialogue().captured(Link::Ethernet, false));
    let read = read(&[b"nonsense".to_vec(), good]);
    assert_eq!(read.faults.len(), 1);
    assert_eq!(read.opened(), 1);
}

/// Endless zeros, a few octets of them looked at.
fn zeros(octets: u64) -> Box<dyn std::io::Read + Send> {
    Box::new(std::io::repeat(0).take(octets))
}

/// The largest block there can be costs the buffer and no more.
#[test]
fn a_block_of_4_gib_is_skipped_where_it_lies() {
    let length = u32::MAX - 3;
    let head = [section(true), word(true, 0x0bad_0bad), word(true, length)].concat();
    let form = Form::PcapngMixed;
    let behind = form.file(1, &dialogue().captured(Link::Ethernet, false));
    let behind = [word(true, length), behind].concat();
    let body = zeros(u64::from(length) - 12);
    let input = std::io::Cursor::new(head).chain(body).chain(std::io::Cursor::new(behind));
    let read = read_inputs(vec![Box::new(input)]);
    assert!(read.faults.is_empty(), "{:?}", read.faults);
    assert_eq!(read.opened(), 1);
}

/// A zstd frame whose blocks are one octet, repeated 128 KiB: a ratio of thirty thousand.
fn zstd_bomb(front: &[u8], blocks: usize, window: u8) -> Vec<u8> {
    let block = |kind: u32, size: u32| (size << 3 | kind << 1).to_le_bytes()[..3].to_vec();
    let mut file = vec![0x28, 0xb5, 0x2f, 0xfd, 0, window];
    file.extend(block(0, front.len() as u32));
    file.extend(front);
    for _ in 0..blocks {
        file.extend(block(1, 128 * 1024));
        file.push(0);
    }
    file.extend([1, 0, 0]);
    file
}

#[test]
fn a_decompression_bomb_is_refused() {
    // An empty section, then one block that goes on for ever.
    let front = [section(true), word(true, 0x0bad_0bad), word(true, u32::MAX - 3)].concat();
    let megabyte = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::copy(&mut zeros(1 << 20), &mut encoder).expect("memory");
        encoder.finish().expect("memory")
    };
    let gzip_front = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::copy(&mut &front[..], &mut encoder).expect("memory");
        encoder.finish().expect("memory")
    };
    let bomb = read(&[zstd_bomb(&front, 4096, 0x38)]);
    let text = bomb.faults[0].to_string();
    assert!(text.contains("decompression bomb"), "{text}");
    let ratio = (1 << 20) / megabyte.len();
    let gzip = read(&[[gzip_front, megabyte.repeat(80)].concat()]);
    let text = gzip.faults[0].to_string();
    // How far gzip compresses is up to its writer; below the limit this is a block cut short.
    let expected = if ratio > 500 { "decompression bomb" } else { "cut short" };
    assert!(text.contains(expected), "{text}");
    // Below the size at which the ratio counts, it is a block cut short.
    let small = read(&[zstd_bomb(&front, 8, 0x38)]);
    assert!(matches!(small.faults[0].what, FaultKind::CutShort(_)), "{}", small.faults[0]);
}

#[test]
fn a_zstd_window_above_the_limit_is_refused() {
    // Window descriptors: exponent and mantissa. 64 MiB, and an eighth more.
    let file = |window| zstd_bomb(&section(true), 0, window);
    assert!(read(&[file(16 << 3)]).faults.is_empty());
    let fault = &read(&[file(16 << 3 | 1)]).faults[0];
    assert!(matches!(fault.what, FaultKind::Io(_)), "{fault}");
}

#[test]
fn a_damaged_compressed_trace_is_a_fault() {
    let file = Form::PcapngMixed.file(1, &dialogue().captured(Link::Ethernet, false));
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let zstd = ruzstd::encoding::compress_to_vec(file.as_slice(), level);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::copy(&mut file.as_slice(), &mut encoder).expect("memory");
    let gzip = encoder.finish().expect("memory");
    for (name, whole) in [("zstd", zstd), ("gzip", gzip)] {
        for end in (1..whole.len()).step_by(7) {
            assert_eq!(read(&[whole[..end].to_vec()]).faults.len(), 1, "{name} until {end}");
        }
        let mut changed = whole.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        assert_eq!(read(&[changed]).faults.len(), 1, "{name}: its checksum");
    }
}
