//! Parts joined: bounded whatever comes, and one text whatever the order.

use consentry::text::joining::{Arrived, Concatenation, Joining, Key, Limits, Part, Scheme};
use consentry::text::{self, Alphabet, Body, data_coding};

use crate::input::Input;
use crate::text::options;

const LIMITS: Limits = Limits { parts_max: 8, messages_max: 6, held_max: 20, wait_us: 50 };

const SCHEMES: [Scheme; 3] = [Scheme::Udh8, Scheme::Udh16, Scheme::Sar];

fn key(which: u8) -> Key {
    Key::new(b"106900001234", b"8613800138000", u16::from(which)).expect("short addresses")
}

/// Parts, refusals, repetitions and time in any order: every bound holds, and what is told is true.
pub fn joining(octets: &[u8]) {
    let mut input = Input(octets);
    let route = options(input.octet());
    let mut joining = Joining::new(LIMITS);
    let mut now_us = 0;
    while !input.0.is_empty() {
        let key = key(input.octet() % 9);
        match input.octet() {
            what @ 0..200 => {
                let total = what % 9 + 1;
                let number = input.octet() % total + 1;
                let scheme = input.choose(&SCHEMES);
                let concatenation = Concatenation { scheme, reference: 0, total, number };
                let (data_coding, has_header) = (input.octet(), what >= 150);
                let arrived = Arrived { octets: input.piece(), has_header, data_coding };
                let before = joining.is_refused(&key);
                put(&mut joining, key, concatenation, arrived, now_us, (route, before));
            }
            200..220 => {
                joining.refuse(&key);
                let known = joining.is_refused(&key);
                assert!(known || !joining.is_empty() || joining.held() == 0);
            }
            220..235 => {
                let (number, message) = (input.octet() % 10, u64::from(input.octet() % 32));
                joining.take_back(&Part { key, number, message });
            }
            _ => {
                now_us += u64::from(input.octet());
                joining.expire(now_us);
            }
        }
        assert!(joining.held() <= LIMITS.held_max);
        assert!(joining.len() <= LIMITS.messages_max as usize);
        assert_eq!(joining.is_empty(), joining.len() == 0);
    }
    // Nothing is held for ever.
    for _ in 0..8 {
        joining.expire(now_us + LIMITS.wait_us);
    }
    assert_eq!((joining.len(), joining.held()), (0, 0));
}

fn put(
    joining: &mut Joining,
    key: Key,
    part: Concatenation,
    arrived: Arrived<'_>,
    now_us: u64,
    (route, was_refused): (text::Options, bool),
) {
    let (mut one, mut other) = (String::new(), String::new());
    let Ok(known) = joining.put(key, part, arrived, now_us) else { return };
    let (complete, refused) = (known.is_complete(), known.is_refused());
    if was_refused && part.number != 1 {
        assert!(refused || known.seen() == 1, "a refusal holds until it is forgotten");
    }
    assert!(refused || known.total() == part.total);
    assert!(refused || (1..=known.total()).contains(&known.seen()));
    assert_eq!(complete, !refused && known.seen() == known.total());
    assert!(known.missing_before() < part.number);
    assert!(!complete || known.missing_before() == 0);
    let read = known.text(route, &mut one);
    assert_eq!(read, known.text(route, &mut other), "reading twice reads the same");
    assert_eq!(one, other);
    if complete && part.number == 1 {
        return;
    }
    if let Ok(again) = joining.put(key, part, arrived, now_us) {
        assert_eq!(again.is_repeated(), !refused, "the same part again is no second part");
    }
}

/// One message, its parts in two orders: complete at the last part, with one text; and where its alphabet
/// has no state of its own, the text of its octets together.
pub fn order(octets: &[u8]) {
    let mut input = Input(octets);
    let route = options(input.octet());
    let coding = input.octet();
    let scheme = input.choose(&SCHEMES);
    let total = input.octet() % 8 + 1;
    let mut ranks: Vec<(u8, u8)> = (1..=total).map(|number| (input.octet(), number)).collect();
    let lengths: Vec<usize> = (0..total).map(|_| usize::from(input.octet())).collect();
    let parts: Vec<&[u8]> = lengths.iter().map(|length| input.octets(*length)).collect();
    let join = |ranks: &[(u8, u8)]| {
        let mut joining = Joining::new(LIMITS);
        let mut whole = None;
        for (at, (_, number)) in ranks.iter().enumerate() {
            let part = Concatenation { scheme, reference: 0, total, number: *number };
            let octets = parts[usize::from(*number) - 1];
            let arrived = Arrived { octets, has_header: false, data_coding: coding };
            let known = joining.put(key(0), part, arrived, 0).expect("within the limits");
            assert_eq!(known.is_complete(), at + 1 == ranks.len());
            let mut out = String::new();
            let read = known.text(route, &mut out);
            whole = known.is_complete().then_some((read, out));
        }
        whole.expect("all parts came")
    };
    let in_order = join(&ranks);
    ranks.sort();
    assert_eq!(join(&ranks), in_order);
    let alphabet = data_coding::alphabet(coding, route.default_alphabet);
    if matches!(alphabet, Alphabet::Ascii | Alphabet::Latin1 | Alphabet::Gbk) {
        let (read, text) = in_order;
        let mut together = String::new();
        let all = parts.concat();
        let one = text::decode(Body::plain(&all), coding, route, &mut together);
        assert_eq!((read.map(|_| ()), text), (one.map(|_| ()), together));
    }
}
