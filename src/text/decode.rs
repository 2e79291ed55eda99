//! A body, or the bodies of a long message's parts, to text, strictly.

use super::binary;
use super::body::Body;
use super::data_coding::{self, Alphabet};
use super::direction::is_turned;
use super::gbk;
use super::gsm7::{self, Shifts};
use super::likeness::{Share, is_common_septet};
use super::options::{Options, Packing};
use super::ucs2;
use super::undecodable::Undecodable;

/// What a text was decoded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// How its octets stood for characters.
    pub alphabet: Alphabet,
    /// The national language tables of a GSM 7 bit text; default for any other.
    pub shifts: Shifts,
}

/// Appends the text of a body under `data_coding` (SMPP 3.4 5.2.19) on a route with `options`.
///
/// No character is ever replaced: what cannot be read as the handset will is an error. What was
/// appended before a fault stays there: it is what a reader could make out. Nothing is allocated
/// once `out` has grown to the longest text.
pub fn decode(
    body: Body<'_>,
    data_coding: u8,
    options: Options,
    out: &mut String,
) -> Result<Decoded, Undecodable> {
    let decoded = reading(body, data_coding, options)?;
    run(decoded, options.packing, std::iter::once(body), [false, false], out)?;
    Ok(decoded)
}

/// How a body is to be read. Bodies with the same reading join to one text.
pub fn reading(body: Body<'_>, data_coding: u8, options: Options) -> Result<Decoded, Undecodable> {
    let alphabet = data_coding::alphabet(data_coding, options.default_alphabet);
    let shifts = match alphabet {
        Alphabet::Gsm7 => Shifts::of(body.header)?,
        _ => Shifts::default(),
    };
    Ok(Decoded { alphabet, shifts })
}

/// Appends the text of bodies that have one reading and follow each other. `unseen` says whether
/// the text goes on before the first and behind the last in parts that are not there: a character
/// that such a border cuts is forgiven, and not shown.
pub(super) fn run<'a>(
    decoded: Decoded,
    packing: Packing,
    bodies: impl Iterator<Item = Body<'a>> + Clone,
    unseen: [bool; 2],
    out: &mut String,
) -> Result<(), Undecodable> {
    match decoded.alphabet {
        Alphabet::Gsm7 => {
            for body in bodies.clone() {
                check_packing(body, decoded.shifts, packing)?;
            }
            let goes_on = unseen[1];
            match packing {
                Packing::Unpacked => {
                    let octets = bodies.flat_map(|body| body.text.iter().copied());
                    gsm7::decode(octets, decoded.shifts, goes_on, out)
                }
                Packing::Packed => {
                    let unpacked =
                        bodies.flat_map(|body| gsm7::septets(body.text, body.header_octets()));
                    gsm7::decode(unpacked, decoded.shifts, goes_on, out)
                }
            }
        }
        Alphabet::Ascii => ascii(bodies.flat_map(|body| body.text.iter().copied()), out),
        Alphabet::Latin1 => {
            out.extend(bodies.flat_map(|body| body.text.iter().copied()).map(char::from));
            Ok(())
        }
        Alphabet::Ucs2 => {
            for body in bodies.clone() {
                ucs2::check(body.text)?;
            }
            if bodies.clone().all(|body| ucs2::is_plain(body.text)) {
                bodies.for_each(|body| ucs2::decode_plain(body.text, out));
                return Ok(());
            }
            let units = bodies.flat_map(|body| ucs2::units(body.text));
            let start = out.len();
            ucs2::decode(units, unseen, out)?;
            as_written(out.get(start..).unwrap_or(""))
        }
        Alphabet::Gbk => {
            let start = out.len();
            gbk::decode(bodies.map(|body| body.text), unseen[1], out)?;
            as_written(out.get(start..).unwrap_or(""))
        }
        Alphabet::Octets => {
            let mut found = bodies.map(|body| binary::fault(body.text, out));
            let text = found.find(|fault| *fault != Undecodable::Binary);
            Err(text.unwrap_or(Undecodable::Binary))
        }
        Alphabet::Named(name) => Err(Undecodable::CharacterSet(name)),
        Alphabet::Compressed => Err(Undecodable::Compressed),
        Alphabet::Reserved => Err(Undecodable::Reserved),
    }
}

/// The other alphabets have no character that turns a text.
fn as_written(text: &str) -> Result<(), Undecodable> {
    if is_turned(text) { Err(Undecodable::Turned) } else { Ok(()) }
}

fn ascii(octets: impl Iterator<Item = u8>, out: &mut String) -> Result<(), Undecodable> {
    for (at, octet) in octets.enumerate() {
        if octet >= 0x80 {
            return Err(Undecodable::Octet(at, "ASCII"));
        }
        out.push(char::from(octet));
    }
    Ok(())
}

/// Fewest octets of which one packing is told from the other.
const PACKING_OCTETS_MIN: usize = 16;

/// Refuses a text that is unlike one in the route's packing and like one in the other. Real texts
/// have above 85 letters, digits and spaces in a hundred; chance has 50, and 90 of 18 septets once in
/// ten thousand.
fn check_packing(body: Body<'_>, shifts: Shifts, packing: Packing) -> Result<(), Undecodable> {
    let Body { text, .. } = body;
    if text.len() < PACKING_OCTETS_MIN || shifts != Shifts::default() {
        return Ok(());
    }
    let unpacked = || share(text.iter().copied());
    let packed = || share(gsm7::septets(text, body.header_octets()));
    let is_septets = text.iter().all(|&octet| octet < 0x80);
    let (wrong, name) = match packing {
        // Where no octet has its highest bit set the text is legal; only a text of symbols is doubted.
        Packing::Unpacked if is_septets => {
            (!unpacked().is_at_least(40) && packed().is_at_least(90), "packed")
        }
        Packing::Unpacked => (packed().is_at_least(90), "packed"),
        Packing::Packed => {
            (is_septets && !packed().is_at_least(75) && unpacked().is_at_least(90), "unpacked")
        }
    };
    if wrong { Err(Undecodable::Packing(name)) } else { Ok(()) }
}

fn share(septets: impl Iterator<Item = u8>) -> Share {
    let mut share = Share::default();
    septets.for_each(|septet| share.count(is_common_septet(septet)));
    share
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::data_coding::DefaultAlphabet;
    use super::*;

    fn text(octets: &[u8], data_coding: u8, options: Options) -> Result<String, Undecodable> {
        let mut out = String::new();
        decode(Body::plain(octets), data_coding, options, &mut out).map(|_| out)
    }

    fn default_is(default_alphabet: DefaultAlphabet) -> Options {
        Options { default_alphabet, ..Options::default() }
    }

    #[test]
    fn octets_are_text_only_by_the_rules_of_their_alphabet() {
        let gsm7 = Options::default();
        let latin1 = default_is(DefaultAlphabet::Latin1);
        let ascii = default_is(DefaultAlphabet::Ascii);
        let gbk = default_is(DefaultAlphabet::Gbk);
        let octet = |at, alphabet| Err(Undecodable::Octet(at, alphabet));
        let cases: &[(u8, &[u8], Options, Result<&str, Undecodable>)] = &[
            (0, b"\x00\x48i\x1b\x65\x1b\x41\x1b", gsm7, Ok("@Hi€A ")),
            (0, b"a\x80", gsm7, octet(1, "GSM 7 bit")),
            (0, b"\xe9", latin1, Ok("é")),
            (0, b"\xe9", ascii, octet(0, "ASCII")),
            (0, b"\xc4\xe3", gbk, Ok("你")),
            (0x0f, b"\xc4\xe3", gbk, Ok("你")),
            (0x0f, b"\xc4\xe3", gsm7, Err(Undecodable::Reserved)),
            (1, b"ok\x7f", gsm7, Ok("ok\x7f")),
            (1, b"ok\x80", gsm7, octet(2, "ASCII")),
            (3, b"caf\xe9", gsm7, Ok("café")),
            (4, b"\xff\xfe\xfd", gsm7, Err(Undecodable::Binary)),
            (4, b"hello", gsm7, Err(Undecodable::BinaryText("ASCII"))),
            (2, b"\x51\x68\x57\x3a\x4e\x94\x62\x98", gsm7, Err(Undecodable::BinaryText("UTF-16"))),
            (5, b"\x24\x22", gsm7, Err(Undecodable::CharacterSet("JIS X 0208"))),
            (8, b"\x4f\x60\xd8\x3d\xde\x00", gsm7, Ok("你😀")),
            (0x10, b"\x00", gsm7, Ok("@")),
            (0x18, b"\x4f\x60", gsm7, Ok("你")),
            (0x20, b"a", gsm7, Err(Undecodable::Compressed)),
            (0x80, b"a", gsm7, Err(Undecodable::Reserved)),
            (0xc8, b"a", gsm7, Ok("a")),
            (0xe0, b"\x4f\x60", gsm7, Ok("你")),
            (0xf5, b"\xff\x01", gsm7, Err(Undecodable::Binary)),
            (0xf8, b"a", gsm7, Err(Undecodable::Reserved)),
        ];
        for (data_coding, octets, options, expected) in cases {
            let read = text(octets, *data_coding, *options);
            assert_eq!(
                read.as_deref(),
                expected.as_ref().copied(),
                "{data_coding:#04x} {octets:02x?}"
            );
        }
    }

    #[test]
    fn the_wrong_packing_is_noticed() {
        let packed = Options { packing: Packing::Packed, ..Options::default() };
        let unpacked = Options::default();
        let long: &[u8] = b"Your code is 123456, do not tell";
        let pack = |text: &[u8]| gsm7::pack(text.iter().copied(), 0);
        let spell = |text: &[u8]| text.iter().copied().map(char::from).collect::<String>();
        let cases: &[(&[u8], Options, Result<String, Undecodable>)] = &[
            (long, unpacked, Ok(spell(long))),
            (&pack(long), packed, Ok(spell(long))),
            (long, packed, Err(Undecodable::Packing("unpacked"))),
            (&pack(long), unpacked, Err(Undecodable::Packing("packed"))),
            (&pack(b"hello"), packed, Ok("hello".to_owned())),
            (b"???!!!...***???!!!...***", unpacked, Ok(spell(b"???!!!...***???!!!...***"))),
            (&pack(&long[..18]), unpacked, Err(Undecodable::Packing("packed"))),
            (&pack(&long[..17]), unpacked, Err(Undecodable::Octet(0, "GSM 7 bit"))),
        ];
        for (octets, options, expected) in cases {
            assert_eq!(&text(octets, 0, *options), expected, "{octets:02x?} {options:?}");
        }
    }

    #[test]
    fn a_header_says_where_packed_septets_begin_and_which_tables_they_use() {
        let packed = Options { packing: Packing::Packed, ..Options::default() };
        let mut octets = b"\x06\x25\x01\x01\x24\x01\x01".to_vec();
        octets.extend(gsm7::pack(b"\x40\x1b\x53abc".iter().copied(), 7));
        let body = Body::split(&octets, true).expect("a header");
        let mut out = String::new();
        let decoded = decode(body, 0, packed, &mut out);
        assert_eq!(out, "İŞabc");
        let shifts = Shifts { locking: 1, single: 1 };
        assert_eq!(decoded, Ok(Decoded { alphabet: Alphabet::Gsm7, shifts }));
        assert_eq!(Body::split(b"\x06\x25", true), Err(Undecodable::Header));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_octets_are_read_or_refused_and_read_twice_alike(
            octets in prop::collection::vec(any::<u8>(), 0..200),
            data_coding: u8,
            has_header: bool,
            is_packed: bool,
        ) {
            let packing = if is_packed { Packing::Packed } else { Packing::Unpacked };
            let options = Options { packing, ..default_is(DefaultAlphabet::Gbk) };
            let read = || {
                let mut out = String::new();
                let decoded = Body::split(&octets, has_header)
                    .and_then(|body| decode(body, data_coding, options, &mut out));
                (decoded, out)
            };
            prop_assert_eq!(read(), read());
        }

        #[test]
        fn ucs2_shows_what_was_written(text in "[一-龥]{4,40}") {
            let octets: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            // Text of rare hanzi alone may read as little endian: it is refused, never misread.
            match self::text(&octets, 8, Options::default()) {
                Ok(read) => prop_assert_eq!(read, text),
                Err(fault) => prop_assert_eq!(fault, Undecodable::LittleEndian),
            }
        }

        #[test]
        fn gsm7_shows_what_was_written(text in "([A-Za-z0-9 ]{2,3}[€\\[\\]Δé@]?){0,20}") {
            let septets = gsm7::encode(&text).expect("all in the alphabet");
            prop_assert_eq!(self::text(&septets, 0, Options::default()), Ok(text));
        }
    }
}
