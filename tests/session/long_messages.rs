//! Long messages through the public face: order, limits, time, borders, and what is refused.

use consentry::text::joining::{
    Arrived, COPIES_MAX, Concatenation, GAP, Joining, Key, Limits, PART_OCTETS_MAX, Part,
    PartsFault, Sar, Scheme,
};
use consentry::text::{Body, DefaultAlphabet, Options, Packing, Undecodable, gsm7};
use proptest::prelude::*;

const GSM: u8 = 0;
const UCS2: u8 = 8;

fn key(reference: u16) -> Key {
    Key::new(b"106900001234", b"8613800138000", reference).expect("short addresses")
}

fn part(number: u8, total: u8) -> Concatenation {
    Concatenation { scheme: Scheme::Udh8, reference: 7, total, number }
}

fn plain(octets: &[u8], data_coding: u8) -> Arrived<'_> {
    Arrived { octets, has_header: false, data_coding }
}

/// What one part led to: `seen/total`, with `!` when complete, `=` when it was a repetition, `x` when
/// refused, and how many before it are missing; or the fault.
fn put(joining: &mut Joining, number: u8, total: u8, octets: &[u8], s: u64) -> String {
    match joining.put(key(7), part(number, total), plain(octets, GSM), s * 1_000_000) {
        Err(fault) => format!("{fault:?}"),
        Ok(known) => {
            let mark = |yes, mark| if yes { mark } else { "" };
            format!(
                "{}/{}{}{}{} -{}",
                known.seen(),
                known.total(),
                mark(known.is_complete(), "!"),
                mark(known.is_repeated(), "="),
                mark(known.is_refused(), "x"),
                known.missing_before()
            )
        }
    }
}

#[test]
fn each_part_leads_to_what_the_table_says() {
    type Step<'a> = (u8, u8, &'a [u8], u64, &'a str);
    let cases: &[(&str, &[Step<'_>])] = &[
        ("in order", &[(1, 2, b"a", 0, "1/2 -0"), (2, 2, b"b", 0, "2/2! -0")]),
        (
            "in any order",
            &[(3, 3, b"c", 0, "1/3 -2"), (1, 3, b"a", 0, "2/3 -0"), (2, 3, b"b", 0, "3/3! -0")],
        ),
        ("one part alone", &[(1, 1, b"a", 0, "1/1! -0"), (1, 1, b"b", 0, "1/1! -0")]),
        (
            "a repetition is no second part",
            &[(1, 2, b"a", 0, "1/2 -0"), (1, 2, b"a", 0, "1/2= -0"), (2, 2, b"b", 0, "2/2! -0")],
        ),
        (
            "the last part repeated after the end",
            &[(1, 2, b"a", 0, "1/2 -0"), (2, 2, b"b", 0, "2/2! -0"), (2, 2, b"b", 1, "2/2!= -0")],
        ),
        (
            "other octets refuse all that follow",
            &[
                (1, 3, b"a", 0, "1/3 -0"),
                (1, 3, b"A", 0, "Conflict"),
                (1, 3, b"a", 0, "1/3x -0"),
                (2, 3, b"b", 0, "1/3x -1"),
            ],
        ),
        (
            "another total refuses all that follow",
            &[(1, 2, b"a", 0, "1/2 -0"), (2, 3, b"b", 0, "Changed"), (2, 2, b"b", 0, "1/2x -1")],
        ),
        (
            "a reference used again begins with part 1",
            &[
                (1, 2, b"a", 0, "1/2 -0"),
                (2, 2, b"b", 0, "2/2! -0"),
                (1, 3, b"c", 1, "1/3 -0"),
                (2, 3, b"d", 1, "2/3 -0"),
                (3, 3, b"e", 1, "3/3! -0"),
            ],
        ),
        (
            "a part put in place of one of a complete message",
            &[(1, 2, b"a", 0, "1/2 -0"), (2, 2, b"b", 0, "2/2! -0"), (2, 2, b"X", 1, "Conflict")],
        ),
        (
            "a part that comes too late lacks those before it",
            &[(1, 2, b"a", 0, "1/2 -0"), (2, 2, b"b", 300, "1/2 -1")],
        ),
        (
            "a part that comes at the last moment",
            &[(1, 2, b"a", 0, "1/2 -0"), (2, 2, b"b", 299, "2/2! -0")],
        ),
        (
            "a refusal is forgotten with its message",
            &[(1, 2, b"a", 0, "1/2 -0"), (1, 2, b"A", 0, "Conflict"), (1, 2, b"A", 300, "1/2 -0")],
        ),
        ("as many parts as may be", &[(16, 16, b"a", 0, "1/16 -15")]),
        ("one part more", &[(1, 17, b"a", 0, "Parts")]),
        ("a part of the greatest length", &[(1, 2, &[b'a'; PART_OCTETS_MAX], 0, "1/2 -0")]),
        ("a part one octet longer", &[(1, 2, &[b'a'; PART_OCTETS_MAX + 1], 0, "Octets")]),
    ];
    for (name, steps) in cases {
        let mut joining = Joining::new(Limits::default());
        for (at, (number, total, octets, s, expected)) in steps.iter().enumerate() {
            assert_eq!(put(&mut joining, *number, *total, octets, *s), *expected, "{name}, {at}");
        }
    }
}

#[test]
fn another_scheme_under_the_same_reference_is_a_change() {
    for other in [Scheme::Udh16, Scheme::Sar] {
        let mut joining = Joining::new(Limits::default());
        joining.put(key(7), part(1, 2), plain(b"a", GSM), 0).expect("a part");
        let second = Concatenation { scheme: other, ..part(2, 2) };
        let put = joining.put(key(7), second, plain(b"b", GSM), 0).map(|_| ());
        assert_eq!(put, Err(PartsFault::Changed), "{other:?}");
        assert!(joining.is_refused(&key(7)));
    }
}

#[test]
fn a_refusal_holds_for_the_parts_that_follow_and_frees_what_was_held() {
    let mut joining = Joining::new(Limits::default());
    joining.put(key(7), part(1, 3), plain(b"a", GSM), 0).expect("a part");
    assert_eq!((joining.is_refused(&key(7)), joining.held()), (false, 1));
    joining.refuse(&key(7));
    assert_eq!((joining.is_refused(&key(7)), joining.held()), (true, 0));
    let known = joining.put(key(7), part(2, 3), plain(b"b", GSM), 1).expect("known");
    assert!(known.is_refused());
    let mut text = String::new();
    known.text(Options::default(), &mut text).expect("no text");
    assert!(!text.contains('b'), "{text}");
    joining.refuse(&key(8));
    assert!(!joining.is_refused(&key(8)), "unknown messages are not remembered as refused");
}

#[test]
fn a_part_that_was_taken_back_counts_as_never_come() {
    for taken in 1..=3 {
        let mut joining = Joining::new(Limits::default());
        for (number, octets) in [(1, b"a"), (2, b"b"), (3, b"c")] {
            put(&mut joining, number, 3, octets, 0);
        }
        let [one, two, three] = [1, 2, 3].map(|number| Part { key: key(7), number, message: 1 });
        let part = [one, two, three][usize::from(taken) - 1];
        let before = joining.taken_back();
        put(&mut joining, 2, 3, b"b", 0);
        joining.take_back(&Part { message: 0, ..part });
        joining.take_back(&Part { message: 2, ..part });
        assert_eq!(joining.held(), 3, "an earlier message's, and a later one's");
        joining.take_back(&two);
        assert_eq!(joining.held(), 3, "it came twice");
        joining.take_back(&part);
        joining.take_back(&part);
        assert_eq!(joining.held(), 2, "part {taken}");
        let again = put(&mut joining, taken, 3, b"x", 1);
        assert_eq!(again, "3/3! -0", "other octets than before, part {taken}");
        let since = |joining: &Joining, count, of| joining.is_taken_back_since(count, &key(of));
        assert!(since(&joining, before, 7) && !since(&joining, before, 8));
        assert!(!since(&joining, joining.taken_back(), 7));
        [one, two, three].iter().for_each(|part| joining.take_back(part));
        assert_eq!((joining.len(), joining.held()), (0, 0));
        assert_eq!(put(&mut joining, 2, 2, b"b", 2), "1/2 -1");
    }
}

#[test]
fn a_part_comes_again_so_often_and_no_more() {
    let mut joining = Joining::new(Limits::default());
    put(&mut joining, 1, 2, b"a", 0);
    for _ in 1..COPIES_MAX {
        assert_eq!(put(&mut joining, 1, 2, b"a", 0), "1/2= -0");
    }
    assert_eq!(put(&mut joining, 1, 2, b"a", 0), "Held");
    let part = Part { key: key(7), number: 1, message: 1 };
    (1..COPIES_MAX).for_each(|_| joining.take_back(&part));
    assert_eq!(joining.held(), 1, "one of them is left");
    joining.take_back(&part);
    assert!(joining.is_empty());
}

#[test]
fn limits_hold_at_the_edge_and_complete_messages_give_way() {
    let limits = Limits { messages_max: 2, held_max: 3, ..Limits::default() };
    let mut joining = Joining::new(limits);
    let mut put = |reference, number, total, s: u64| {
        let arrived = plain(b"a", GSM);
        joining
            .put(key(reference), part(number, total), arrived, s * 1_000_000)
            .map(|known| known.is_complete())
    };
    assert_eq!(put(1, 1, 3, 0), Ok(false));
    assert_eq!(put(2, 1, 2, 0), Ok(false));
    assert_eq!(put(3, 1, 2, 0), Err(PartsFault::Messages), "one message too many");
    assert_eq!(put(2, 2, 2, 0), Ok(true));
    assert_eq!(put(3, 1, 4, 0), Ok(false), "the complete one gave way");
    assert_eq!(put(3, 2, 4, 0), Ok(false));
    assert_eq!(put(3, 3, 4, 0), Err(PartsFault::Held), "one part too many");
    assert_eq!(put(3, 3, 4, 300), Ok(false), "time gave their places back");
    assert_eq!((joining.len(), joining.held()), (1, 1));
    joining.expire(600_000_000);
    assert!(joining.is_empty());
    assert_eq!(joining.held(), 0);
}

/// The text after each part, in the order of arrival.
fn texts(total: u8, parts: &[(u8, Arrived<'_>)], options: Options) -> Vec<String> {
    let mut joining = Joining::new(Limits::default());
    let mut texts = Vec::new();
    for (number, arrived) in parts {
        let known = joining.put(key(7), part(*number, total), *arrived, 0).expect("known");
        let mut text = String::new();
        match known.text(options, &mut text) {
            Ok(_) => texts.push(text),
            Err(fault) => texts.push(fault.name().to_owned()),
        }
    }
    texts
}

#[test]
fn characters_cut_by_a_border_are_read_whole() {
    let packed = Options { packing: Packing::Packed, ..Options::default() };
    let gbk = Options { default_alphabet: DefaultAlphabet::Gbk, ..Options::default() };
    let [first, second] =
        [b"\x05\x00\x03\x07\x02\x01", b"\x05\x00\x03\x07\x02\x02"].map(|header| {
            let mut octets = header.to_vec();
            let septets: &[u8] = if header[5] == 1 { b"ab\x1b" } else { b"\x65cd" };
            octets.extend(gsm7::pack(septets.iter().copied(), header.len()));
            octets
        });
    let with_header = |octets| Arrived { octets, has_header: true, data_coding: GSM };
    let rows: &[(&str, u8, Vec<(u8, Arrived<'_>)>, Options, &[&str])] = &[
        (
            "an escape",
            2,
            vec![(1, plain(b"ab\x1b", GSM)), (2, plain(b"\x65cd", GSM))],
            Options::default(),
            &["ab\u{fffd}", "ab€cd"],
        ),
        (
            "an escape, packed, behind headers",
            2,
            vec![(2, with_header(&second)), (1, with_header(&first))],
            packed,
            &["\u{fffd}ecd", "ab€cd"],
        ),
        (
            "a surrogate pair",
            2,
            vec![(1, plain(b"\x4f\x60\xd8\x3d", UCS2)), (2, plain(b"\xde\x00\x59\x7d", UCS2))],
            Options::default(),
            &["你\u{fffd}", "你😀好"],
        ),
        (
            "a surrogate pair, last part first",
            2,
            vec![(2, plain(b"\xde\x00\x59\x7d", UCS2)), (1, plain(b"\x4f\x60\xd8\x3d", UCS2))],
            Options::default(),
            &["\u{fffd}好", "你😀好"],
        ),
        (
            "half a pair at the end of all",
            2,
            vec![(1, plain(b"\x4f\x60", UCS2)), (2, plain(b"\x59\x7d\xd8\x3d", UCS2))],
            Options::default(),
            &["你\u{fffd}", "lone_surrogate"],
        ),
        (
            "half a pair before another alphabet",
            2,
            vec![(1, plain(b"\x4f\x60\xd8\x3d", UCS2)), (2, plain(b"ok", GSM))],
            Options::default(),
            &["你\u{fffd}", "lone_surrogate"],
        ),
        (
            "a GBK character",
            2,
            vec![(1, plain(b"\xc4\xe3\xba", GSM)), (2, plain(b"\xc3!", GSM))],
            gbk,
            &["你\u{fffd}", "你好!"],
        ),
        (
            "half a UCS2 unit",
            2,
            vec![(1, plain(b"\x4f\x60\x59", UCS2)), (2, plain(b"\x7d", UCS2))],
            Options::default(),
            &["odd_length", "odd_length"],
        ),
        (
            "each part in its own alphabet",
            3,
            vec![
                (3, plain(b"end", GSM)),
                (1, plain(b"\x4f\x60", UCS2)),
                (2, plain(b"\x59\x7d", UCS2)),
            ],
            Options::default(),
            &["\u{fffd}end", "你\u{fffd}end", "你好end"],
        ),
    ];
    for (name, total, parts, options, expected) in rows {
        assert_eq!(&texts(*total, parts, *options), expected, "{name}");
    }
}

#[test]
fn a_word_split_over_parts_is_whole_in_the_known_text() {
    let parts = [(1, plain(b"win a free lot", GSM)), (2, plain(b"tery now", GSM))];
    assert_eq!(texts(2, &parts, Options::default())[1], "win a free lottery now");
    let apart = [(1, plain(b"lot", GSM)), (3, plain(b"tery", GSM))];
    assert_eq!(texts(3, &apart, Options::default())[1], format!("lot{GAP}tery"));
}

#[test]
fn binary_in_any_part_is_found() {
    let binary = |octets| plain(octets, 4);
    let parts = [(1, binary(b"\xff\x01\xff\x80")), (2, binary(b"buy now"))];
    assert_eq!(texts(2, &parts, Options::default()), ["binary", "binary_text"]);
}

#[test]
fn parts_come_from_headers_and_parameters_alike() {
    let octets = b"\x0a\x24\x01\x01\x08\x04\x12\x34\x02\x01\x70\x00abc";
    let body = Body::split(octets.get(..).expect("all"), true);
    assert_eq!(body.map(|_| ()), Err(Undecodable::Header), "lengths that disagree");
    let octets = b"\x09\x24\x01\x01\x08\x04\x12\x34\x02\x01abc";
    let body = Body::split(octets, true).expect("a header");
    let read = Concatenation::of(body.header, Sar::default()).expect("well-formed");
    let scheme = Scheme::Udh16;
    assert_eq!(read, Some(Concatenation { scheme, reference: 0x1234, total: 2, number: 1 }));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..Default::default() })]

    /// Many messages, each cut at random, all parts shuffled together, some sent twice: every one is
    /// complete exactly once and reads as it was written, and nothing is held beyond the limits.
    #[test]
    fn any_order_and_any_interleaving_give_the_texts(
        messages in prop::collection::vec("[ -Z]{1,120}", 1..12),
        cut in 5_usize..40,
        order in prop::collection::vec(any::<u32>(), 400),
        repeats in prop::collection::vec(any::<bool>(), 400),
    ) {
        let mut joining = Joining::new(Limits { parts_max: 255, ..Limits::default() });
        let mut parts = Vec::new();
        for (reference, message) in messages.iter().enumerate() {
            let pieces: Vec<&[u8]> = message.as_bytes().chunks(cut).collect();
            for (at, piece) in pieces.iter().enumerate() {
                parts.push((reference, at as u8 + 1, pieces.len() as u8, piece.to_vec()));
            }
        }
        let mut shuffled: Vec<_> = parts.into_iter().zip(&order).collect();
        shuffled.sort_by_key(|(_, order)| **order);
        let mut done = vec![None; messages.len()];
        for (at, ((reference, number, total, octets), _)) in shuffled.iter().enumerate() {
            let part = Concatenation {
                scheme: Scheme::Sar, reference: *reference as u16, total: *total, number: *number,
            };
            for again in 0..=u8::from(repeats[at] && *total > 1) {
                let arrived = plain(octets, 1);
                let known = joining.put(key(*reference as u16), part, arrived, at as u64);
                let known = known.expect("within the limits");
                // Part 1 of a complete message begins a new one: not the repetition that is meant.
                if again == 1 && (known.is_complete() || *number == 1) {
                    break;
                }
                prop_assert_eq!(known.is_repeated(), again == 1);
                if known.is_complete() && !known.is_repeated() {
                    let mut text = String::new();
                    known.text(Options::default(), &mut text).expect("ASCII");
                    prop_assert!(done[*reference].replace(text).is_none());
                    break;
                }
            }
        }
        for (message, done) in messages.iter().zip(done) {
            prop_assert_eq!(done.as_deref(), Some(message.as_str()));
        }
    }

    /// Whatever comes, the limits hold and nothing that was refused comes back within its time.
    #[test]
    fn bounds_hold_whatever_comes(
        steps in prop::collection::vec(
            (0_u16..6, 0_u8..4, 0_u8..4, prop::collection::vec(any::<u8>(), 0..4), 0_u64..100, any::<bool>()),
            0..300,
        ),
        messages_max in 1_u32..5,
        held_max in 1_u32..6,
    ) {
        let limits = Limits { parts_max: 3, messages_max, held_max, wait_us: 1_000 };
        let mut joining = Joining::new(limits);
        let mut now = 0;
        for (reference, total, number, octets, passes, refuse) in steps {
            now += passes;
            let sar = [&[0, reference as u8][..], &[total], &[number]];
            let sar = Sar { reference: Some(sar[0]), total: Some(sar[1]), number: Some(sar[2]) };
            let Ok(Some(part)) = Concatenation::of(None, sar) else { continue };
            let key = key(reference);
            if let Ok(known) = joining.put(key, part, plain(&octets, UCS2), now) {
                prop_assert!(known.seen() <= known.total());
                prop_assert_eq!(known.is_complete(), known.seen() == known.total() && !known.is_refused());
                let mut text = String::new();
                let _ = known.text(Options::default(), &mut text);
            }
            if refuse {
                joining.refuse(&key);
            }
            prop_assert!(joining.len() <= messages_max as usize);
            prop_assert!(joining.held() <= held_max);
        }
        joining.expire(now + 1_000);
        prop_assert!(joining.is_empty());
        prop_assert_eq!(joining.held(), 0);
    }
}
