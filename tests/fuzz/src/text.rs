//! Body octets to characters: the header and every alphabet.

use consentry::text::binary;
use consentry::text::udh::Udh;
use consentry::text::{
    self, Alphabet, Body, DefaultAlphabet, Options, Packing, Shifts, Undecodable, data_coding, gbk,
    gsm7, ucs2,
};

use crate::input::{Input, is_within};

pub fn options(choice: u8) -> Options {
    let default_alphabet = match choice & 3 {
        0 => DefaultAlphabet::Gsm7,
        1 => DefaultAlphabet::Gbk,
        2 => DefaultAlphabet::Latin1,
        _ => DefaultAlphabet::Ascii,
    };
    let packing = if choice & 4 == 0 { Packing::Unpacked } else { Packing::Packed };
    Options { default_alphabet, packing }
}

/// A header and the text behind it are the body; its elements fill it exactly.
pub fn udh(octets: &[u8]) {
    let split = Udh::split(octets);
    assert_eq!(split, Udh::split(octets));
    assert_eq!(Body::split(octets, true).is_ok(), split.is_some());
    let Some((header, text)) = split else { return };
    assert_eq!(1 + header.octets() + text.len(), octets.len());
    assert!(is_within(text, octets));
    let elements: usize = header.elements().map(|element| element.data.len() + 2).sum();
    assert_eq!(elements, header.octets());
    assert_eq!(
        header.has_reply_address(),
        header.elements().any(|one| one.identifier == 0x22),
        "no second sender is overlooked"
    );
    if header.beyond_text().is_none() {
        assert!(header.ports().is_none());
    }
    if let Ok(shifts) = Shifts::of(Some(header)) {
        let named = |identifier| header.elements().any(|one| one.identifier == identifier);
        assert!(shifts.single == 0 || named(0x24));
        assert!(shifts.locking == 0 || named(0x25));
    }
}

/// Any body under any data_coding on any route: read or refused, twice alike, behind what was there before.
pub fn decode(octets: &[u8]) {
    let mut input = Input(octets);
    let (route, coding, has_header) =
        (options(input.octet()), input.octet(), input.octet() & 1 == 1);
    let Ok(body) = Body::split(input.0, has_header) else { return };
    let mut out = String::from("前");
    let decoded = text::decode(body, coding, route, &mut out);
    let read = out.strip_prefix('前').expect("only appended").to_owned();
    let mut again = String::new();
    assert_eq!(text::decode(body, coding, route, &mut again), decoded);
    assert_eq!(again, read);
    let alphabet = data_coding::alphabet(coding, route.default_alphabet);
    match decoded {
        Ok(decoded) => {
            assert_eq!(decoded.alphabet, alphabet);
            let is_text = !matches!(
                alphabet,
                Alphabet::Octets | Alphabet::Named(_) | Alphabet::Compressed | Alphabet::Reserved
            );
            assert!(is_text, "{alphabet:?} is never read as text");
            assert!(read.chars().count() <= body.text.len() * 8 / 7 + 1);
        }
        Err(Undecodable::Octet(at, _)) => {
            assert!(at <= body.text.len() * 8 / 7 + 1);
        }
        Err(_) => {}
    }
    data_coding::message_class(coding);
}

/// Septets with any tables, packed and not, behind headers of any length: what is packed unpacks, both
/// forms read alike, and a text that can be written reads as itself.
pub fn gsm7(octets: &[u8]) {
    let mut input = Input(octets);
    let (locking, single) = (input.octet() % 16, input.octet() % 16);
    let header_octets = usize::from(input.octet());
    let goes_on = input.octet() & 1 == 1;
    let septets: Vec<u8> = input.0.iter().map(|octet| octet & 0x7f).collect();
    let packed = gsm7::pack(septets.iter().copied(), header_octets);
    let mut unpacked: Vec<u8> = gsm7::septets(&packed, header_octets).collect();
    if unpacked.len() + 1 == septets.len() {
        assert_eq!(septets.last(), Some(&0), "only an `@` may be taken for filling");
        unpacked.push(0);
    }
    assert_eq!(unpacked, septets);
    let shifts = Shifts { locking, single };
    let mut shown = String::new();
    let read = gsm7::decode(septets.iter().copied(), shifts, goes_on, &mut shown);
    let mut again = String::new();
    assert_eq!(gsm7::decode(unpacked.into_iter(), shifts, goes_on, &mut again), read);
    assert_eq!(again, shown);
    assert!(shown.chars().count() <= septets.len());
    if shifts == Shifts::default() {
        assert_eq!(read, Ok(()), "every septet has a character");
        let written = gsm7::encode(&shown).expect("what was shown can be written");
        let mut reread = String::new();
        let read = gsm7::decode(written.into_iter(), shifts, false, &mut reread);
        assert_eq!((read, reread), (Ok(()), shown));
    }
    let raw = input.0;
    let mut any = String::new();
    if gsm7::decode(raw.iter().copied(), Shifts::default(), goes_on, &mut any).is_ok() {
        assert!(raw.iter().all(|octet| *octet < 0x80), "an octet above a septet has no character");
    }
}

/// UTF-16 is read as the standard library reads it, or refused where that refuses.
pub fn ucs2(octets: &[u8]) {
    let checked = ucs2::check(octets);
    assert_eq!(checked, ucs2::check(octets));
    let units: Vec<u16> = ucs2::units(octets).collect();
    let mut out = String::new();
    let read = ucs2::decode(units.iter().copied(), [false, false], &mut out);
    if ucs2::is_plain(octets) {
        let mut plain = String::new();
        ucs2::decode_plain(octets, &mut plain);
        assert_eq!((&read, &plain), (&Ok(()), &out));
    }
    match String::from_utf16(&units) {
        Ok(text) => assert_eq!((read, &out), (Ok(()), &text)),
        Err(_) => assert!(matches!(read, Err(Undecodable::LoneSurrogate(at)) if at < octets.len())),
    }
    if octets.len() % 2 == 1 {
        assert!(checked.is_err());
    }
    // Cut anywhere, with the other half unseen: nothing is shown that the whole does not show.
    let at = octets.first().map_or(0, |octet| usize::from(*octet) % (units.len() + 1));
    let (front, back) = units.split_at(at);
    if read.is_ok() {
        let (mut one, mut other) = (String::new(), String::new());
        assert_eq!(ucs2::decode(front.iter().copied(), [false, true], &mut one), Ok(()));
        assert_eq!(ucs2::decode(back.iter().copied(), [true, false], &mut other), Ok(()));
        assert!(out.starts_with(&one) && out.ends_with(&other));
        assert!(one.chars().count() + other.chars().count() + 1 >= out.chars().count());
    }
}

/// GB18030 in one piece or in several reads alike, as an independent decoder reads it, or is refused.
pub fn gbk(octets: &[u8]) {
    let mut input = Input(octets);
    let sizes = input.piece();
    let all = input.0;
    let mut whole = String::new();
    let read = gbk::decode(std::iter::once(all), false, &mut whole);
    let (independent, is_broken) = encoding_rs::GB18030.decode_without_bom_handling(all);
    if read.is_ok() {
        assert!(!is_broken);
        assert_eq!(whole, independent);
        let (encoded, _, is_unwritable) = encoding_rs::GB18030.encode(&whole);
        if !is_unwritable {
            let mut again = String::new();
            assert_eq!(gbk::decode(std::iter::once(&*encoded), false, &mut again), Ok(()));
            assert_eq!(again, whole);
        }
    }
    let mut pieces = Vec::new();
    let mut rest = all;
    for size in sizes {
        let (piece, behind) = rest.split_at((usize::from(*size) % 9).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces.push(rest);
    let mut joined = String::new();
    assert_eq!(gbk::decode(pieces.iter().copied(), false, &mut joined), read);
    assert_eq!(joined, whole);
}

/// Latin-1 and ASCII stand for their octets; eight-bit data is never decoded, and says so twice alike.
pub fn octets(octets: &[u8]) {
    let latin1 = |coding| {
        let mut out = String::new();
        let read = text::decode(Body::plain(octets), coding, Options::default(), &mut out);
        (read.is_ok(), out)
    };
    let (is_read, shown) = latin1(0x03);
    assert!(is_read && shown.chars().map(u32::from).eq(octets.iter().copied().map(u32::from)));
    let (is_read, shown) = latin1(0x01);
    assert_eq!(is_read, octets.is_ascii());
    assert!(shown.is_ascii() && (!is_read || shown.as_bytes() == octets));
    let mut found = String::new();
    let fault = binary::fault(octets, &mut found);
    let mut again = String::new();
    assert_eq!(binary::fault(octets, &mut again), fault);
    assert_eq!(again, found);
    match fault {
        Undecodable::Binary => assert!(found.is_empty()),
        Undecodable::BinaryText(_) => {}
        other => panic!("{other:?} says nothing of eight-bit data"),
    }
}
