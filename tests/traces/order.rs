//! Segments in any order, twice, overlapping, split: the same octets come out. Segments lost: what
//! comes out was said, in that order, and nothing else.

use consentry::session::Side;
use proptest::prelude::*;

use crate::dialogue::{
    Stream, bind, bind_resp, captured, enquire_link, read_packets, submit, submit_resp,
};
use crate::wire::{ACK, FIN, Link, SYN, Tcp};

/// What each side says: PDUs.
fn said(messages: u32) -> [Vec<Vec<u8>>; 2] {
    let mut esme = vec![bind(1)];
    let mut smsc = vec![bind_resp(1)];
    for number in 2..2 + messages {
        esme.push(submit(number, &vec![b'a'; (number as usize * 37) % 160]));
        smsc.push(submit_resp(number));
    }
    esme.push(enquire_link(900));
    [esme, smsc]
}

/// Both sides' octets in segments that end at `cuts`, which may be anywhere.
fn segments(said: &[Vec<Vec<u8>>; 2], cuts: &[(usize, usize)]) -> Vec<Tcp> {
    let mut stream = Stream::new(0);
    let octets = [said[0].concat(), said[1].concat()];
    let mut at = [0, 0];
    for (side, length) in cuts {
        let side = side % 2;
        let end = octets[side].len().min(at[side] + length);
        let direction = if side == 0 { Side::Esme } else { Side::Smsc };
        stream.push(direction, ACK, &octets[side][at[side]..end]);
        at[side] = end;
    }
    for (side, direction) in [(0, Side::Esme), (1, Side::Smsc)] {
        stream.push(direction, ACK, &octets[side][at[side]..]);
    }
    stream.segments
}

/// One thing that networks do to segments.
#[derive(Debug, Clone)]
enum Fate {
    /// Sent again, later.
    Twice { which: usize, later: usize },
    /// Overtaken by so many.
    Late { which: usize, by: usize },
    /// Sent again together with the one behind it, later.
    Joined { which: usize, later: usize },
    /// Sent again in part, from here, later.
    Part { which: usize, from: usize, later: usize },
}

fn fate() -> impl Strategy<Value = Fate> {
    let (which, near) = (0..64usize, 0..6usize);
    prop_oneof![
        (which.clone(), near.clone()).prop_map(|(which, later)| Fate::Twice { which, later }),
        (which.clone(), near.clone()).prop_map(|(which, by)| Fate::Late { which, by }),
        (which.clone(), near.clone()).prop_map(|(which, later)| Fate::Joined { which, later }),
        (which, 0..200usize, near).prop_map(|(which, from, later)| Fate::Part {
            which,
            from,
            later
        }),
    ]
}

/// Carries it out; the handshake stays in front.
fn suffer(segments: &mut Vec<Tcp>, fate: &Fate) {
    const FIRST: usize = 3;
    let count = segments.len() - FIRST;
    let place = |which: usize| FIRST + which % count;
    let insert = |segments: &mut Vec<Tcp>, at: usize, segment| {
        let at = at.min(segments.len());
        segments.insert(at, segment);
    };
    match *fate {
        Fate::Twice { which, later } => {
            let again = segments[place(which)].clone();
            insert(segments, place(which) + 1 + later, again);
        }
        Fate::Late { which, by } => {
            let late = segments.remove(place(which));
            insert(segments, place(which) + by, late);
        }
        Fate::Joined { which, later } => {
            let mut both = segments[place(which)].clone();
            let end = both.seq.wrapping_add(both.data.len() as u32);
            let behind = segments.iter().find(|segment| {
                segment.from_smsc == both.from_smsc && segment.seq == end && segment.flags == ACK
            });
            let data = behind.map_or_else(Vec::new, |behind| behind.data.clone());
            both.data.extend(data);
            insert(segments, place(which) + 1 + later, both);
        }
        Fate::Part { which, from, later } => {
            let mut part = segments[place(which)].clone();
            let from = from.min(part.data.len());
            part.data.drain(..from);
            part.seq = part.seq.wrapping_add(from as u32);
            insert(segments, place(which) + 1 + later, part);
        }
    }
}

/// Whether `part` is `whole` with some left out.
fn is_left_of(part: &[Vec<u8>], whole: &[Vec<u8>]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|pdu| whole.any(|other| other == pdu))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_order_segments_come_in_the_same_pdus_come_out(
        messages in 1..12u32,
        cuts in prop::collection::vec((0..2usize, 0..400usize), 0..20),
        fates in prop::collection::vec(fate(), 0..10),
    ) {
        let said = said(messages);
        let mut segments = segments(&said, &cuts);
        for fate in &fates {
            suffer(&mut segments, fate);
        }
        let read = read_packets(&captured(&segments, Link::Ethernet, false));
        prop_assert_eq!(&read.pdus(0, Side::Esme), &said[0]);
        prop_assert_eq!(&read.pdus(0, Side::Smsc), &said[1]);
        prop_assert_eq!(read.gaps(), vec![]);
        prop_assert_eq!(read.skipped.octets_in_conflict, 0);
        prop_assert_eq!(read.skipped.octets_skipped, 0);
        prop_assert_eq!(read.skipped.pdus_cut, 0);
    }

    #[test]
    fn of_what_is_lost_nothing_is_made_up(
        messages in 1..20u32,
        cuts in prop::collection::vec((0..2usize, 0..400usize), 0..30),
        fates in prop::collection::vec(fate(), 0..4),
        lost in prop::collection::vec(0..64usize, 1..6),
        from_start in any::<bool>(),
        snap in 40..2000usize,
    ) {
        let said = said(messages);
        let mut segments = segments(&said, &cuts);
        for fate in &fates {
            suffer(&mut segments, fate);
        }
        for which in lost {
            segments.remove(which % segments.len());
        }
        if !from_start {
            segments.retain(|segment| segment.flags & SYN == 0);
        }
        let packets = captured(&segments, Link::Raw, false);
        let packets: Vec<_> = packets.into_iter().map(|packet| packet.snapped(snap)).collect();
        let form = crate::wire::Form::Pcap { big: false, nanoseconds: false };
        let read = crate::dialogue::read(&[form.file(Link::Raw.number(false), &packets)]);
        for (side, said) in [(Side::Esme, &said[0]), (Side::Smsc, &said[1])] {
            let streams = read.skipped.streams as u32;
            let pdus: Vec<_> = (0..streams).flat_map(|stream| read.pdus(stream, side)).collect();
            prop_assert!(is_left_of(&pdus, said), "{:?}", side);
        }
    }
}

/// Every kind of end: the FIN with data, before its data, twice.
#[test]
fn a_stream_ends_where_its_last_octets_are() {
    let mut stream = Stream::new(0);
    stream.esme(&bind(1)).smsc(&bind_resp(1)).esme(&submit(2, b"text"));
    stream.push(Side::Esme, FIN | ACK, b"").push(Side::Smsc, FIN | ACK, &[]);
    let last = stream.segments.len();
    let orders: [&[usize]; 4] =
        [&[3, 4, 5, 6, 7], &[3, 4, 6, 7, 5], &[3, 4, 6, 5, 6, 7, 7], &[6, 7, 5, 4, 3]];
    for order in orders {
        let mut segments = stream.segments[..3].to_vec();
        segments.extend(order.iter().map(|&at| stream.segments[at.min(last - 1)].clone()));
        let read = read_packets(&captured(&segments, Link::Ethernet, false));
        assert_eq!(read.pdus(0, Side::Esme), [bind(1), submit(2, b"text")], "{order:?}");
        assert_eq!(read.endings(), [consentry::replay::Ending::Finished], "{order:?}");
        assert_eq!(read.skipped.streams, 1, "{order:?}");
    }
}
