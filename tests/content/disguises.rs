//! One text in every form: whichever alphabet, scheme, cut, order and repetition it comes in, the text
//! that is read is the text that was written.

use consentry::text::joining::{Arrived, Concatenation, GAP, Joining, Key, Limits, Sar, Scheme};
use consentry::text::{self, Body, DefaultAlphabet, Options, Packing, Undecodable, gsm7};
use proptest::prelude::*;

/// How a text stands in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Gsm7,
    Gsm7Packed,
    Ucs2,
    Gbk,
}

impl Form {
    fn options(self) -> Options {
        Options {
            default_alphabet: match self {
                Form::Gbk => DefaultAlphabet::Gbk,
                _ => DefaultAlphabet::Gsm7,
            },
            packing: match self {
                Form::Gsm7Packed => Packing::Packed,
                _ => Packing::Unpacked,
            },
        }
    }

    /// Any of the values that mean this form.
    fn data_coding(self, which: usize) -> u8 {
        let values: &[u8] = match self {
            Form::Gsm7 | Form::Gsm7Packed => &[0x00, 0x10, 0x11, 0xc0, 0xd0, 0xf1],
            Form::Ucs2 => &[0x08, 0x18, 0x19, 0x48, 0xe0],
            Form::Gbk => &[0x00, 0x0f],
        };
        values[which % values.len()]
    }

    /// The units that a part may be cut between, though characters are cut so: septets, octets, or
    /// the two octets of UCS2.
    fn units(self, text: &str) -> Vec<Vec<u8>> {
        let one = |octets: Vec<u8>| octets.into_iter().map(|octet| vec![octet]).collect();
        match self {
            Form::Gsm7 | Form::Gsm7Packed => one(gsm7::encode(text).expect("in the alphabet")),
            Form::Gbk => one(encoding_rs::GB18030.encode(text).0.into_owned()),
            Form::Ucs2 => text.encode_utf16().map(|unit| unit.to_be_bytes().to_vec()).collect(),
        }
    }

    /// The octets of a piece behind a header of so many octets.
    fn octets(self, units: &[Vec<u8>], header_octets: usize) -> Vec<u8> {
        match self {
            Form::Gsm7Packed => gsm7::pack(units.concat().into_iter(), header_octets),
            _ => units.concat(),
        }
    }
}

/// A part as it goes over the wire: its octets, whether they begin with a header, SAR values.
struct Wire {
    octets: Vec<u8>,
    has_header: bool,
    sar: Option<[u8; 4]>,
}

fn wire(
    form: Form,
    scheme: Scheme,
    [number, total]: [u8; 2],
    units: &[Vec<u8>],
    odd: bool,
) -> Wire {
    let mut header = match scheme {
        Scheme::Udh8 => vec![0x00, 3, 7, total, number],
        Scheme::Udh16 => vec![0x08, 4, 0, 7, total, number],
        Scheme::Sar => Vec::new(),
    };
    if odd && scheme != Scheme::Sar {
        // An element that nobody needs, in front: the concatenation is not where naive readers look.
        header.splice(0..0, [0x70, 0]);
    }
    let has_header = !header.is_empty();
    let mut octets = Vec::new();
    if has_header {
        octets.push(header.len() as u8);
        octets.extend(header);
    }
    octets.extend(form.octets(units, octets.len()));
    Wire { octets, has_header, sar: (scheme == Scheme::Sar).then_some([0, 7, total, number]) }
}

/// Puts a part; the text that is known then, and whether it is all.
fn put(joining: &mut Joining, wire: &Wire, data_coding: u8, options: Options) -> (String, bool) {
    let body = Body::split(&wire.octets, wire.has_header).expect("a header");
    let sar = wire.sar.as_ref().map_or(Sar::default(), |sar| Sar {
        reference: sar.get(..2),
        total: sar.get(2..3),
        number: sar.get(3..),
    });
    let part = Concatenation::of(body.header, sar).expect("well-formed").expect("a part");
    let key = Key::new(b"106900001234", b"8613800138000", part.reference).expect("short");
    let Wire { octets, has_header, .. } = wire;
    let arrived = Arrived { octets, has_header: *has_header, data_coding };
    let known = joining.put(key, part, arrived, 0).expect("within the limits");
    let mut text = String::new();
    let read = known.text(options, &mut text);
    // GBK behind a gap may begin in the middle of a character: nobody can read that yet.
    let is_cut = options.default_alphabet == DefaultAlphabet::Gbk && !known.is_complete();
    assert!(read.is_ok() || is_cut, "{read:?}");
    (text, known.is_complete())
}

fn forms() -> impl Strategy<Value = (Form, String)> {
    let latin = "([a-zA-Z0-9 ]{3,6}[€\\[\\]@Δé^]?){1,8}";
    let hanzi = "([的一是在不了有和人这中大为上个国我以要他]{3,5}[，。😀]?){1,8}";
    let gbk = "([的一是在不了有和人这中大为上个国我以要他]{3,5}[，。€龥]?[a-z]?){1,8}";
    prop_oneof![
        latin.prop_map(|text| (Form::Gsm7, text)),
        // Octets do not say whether seven zero bits at their end are an `@` or filling.
        latin.prop_map(|text| (Form::Gsm7Packed, text.replace('@', "a"))),
        latin.prop_map(|text| (Form::Ucs2, text)),
        hanzi.prop_map(|text| (Form::Ucs2, text)),
        gbk.prop_map(|text| (Form::Gbk, text)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..Default::default() })]

    #[test]
    fn a_text_is_the_same_in_every_form(
        (form, text) in forms(),
        scheme in prop_oneof![Just(Scheme::Udh8), Just(Scheme::Udh16), Just(Scheme::Sar)],
        cut in 1_usize..60,
        order in prop::collection::vec(any::<u32>(), 16),
        which: usize,
        odd: bool,
    ) {
        let (options, data_coding) = (form.options(), form.data_coding(which));
        let units = form.units(&text);
        let cut = cut.max(units.len().div_ceil(16));
        let pieces: Vec<_> = units.chunks(cut).collect();
        let total = pieces.len() as u8;
        let mut parts: Vec<_> = pieces
            .iter()
            .zip(1..)
            .map(|(piece, number)| (number, wire(form, scheme, [number, total], piece, odd)))
            .collect();
        parts.sort_by_key(|(number, _)| order[usize::from(*number) - 1]);
        let mut joining = Joining::new(Limits::default());
        for (at, (_, part)) in parts.iter().enumerate() {
            let (known, complete) = put(&mut joining, part, data_coding, options);
            prop_assert_eq!(complete, at + 1 == parts.len());
            if complete {
                prop_assert_eq!(&known, &text);
            } else if form != Form::Gbk {
                // What is known is the text's own, piece by piece.
                let own = known.split(GAP).all(|piece| text.contains(piece) || cuts_an_escape(form));
                prop_assert!(own, "{} of {}", known, text);
            }
        }
        let (alone, plain) = (form.octets(&units, 0), Body::plain);
        let mut whole = String::new();
        text::decode(plain(&alone), data_coding, options, &mut whole).expect("decodable");
        prop_assert_eq!(whole, text);
    }
}

/// Behind a gap an escaped character shows its basic one.
fn cuts_an_escape(form: Form) -> bool {
    matches!(form, Form::Gsm7 | Form::Gsm7Packed)
}

/// The texts of the corpora.
fn corpora() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/proto-fixtures/content");
    let files = std::fs::read_dir(folder).expect("the corpora are there");
    let paths = files.map(|file| file.expect("can be listed").path());
    let ndjson = paths.filter(|path| path.extension().is_some_and(|e| e == "ndjson"));
    let mut texts = Vec::new();
    for path in ndjson {
        for line in std::fs::read_to_string(&path).expect("text").lines() {
            let object: serde_json::Value = serde_json::from_str(line).expect("an object a line");
            texts.push(object["text"].as_str().expect("has a text").to_owned());
        }
    }
    texts
}

#[test]
fn no_text_of_the_corpora_is_doubted_in_any_form_nor_in_any_part() {
    let texts = corpora();
    assert!(texts.len() > 500, "the corpora were read");
    let (mut refused, mut little_endian) = (0, 0);
    for text in &texts {
        let is_gsm7 = gsm7::encode(text).is_some();
        let is_gbk = !encoding_rs::GB18030.encode(text).2;
        let forms = [
            (Form::Ucs2, true),
            (Form::Gbk, is_gbk),
            (Form::Gsm7, is_gsm7),
            (Form::Gsm7Packed, is_gsm7 && !text.ends_with('@')),
        ];
        for (form, _) in forms.iter().filter(|(_, is_possible)| *is_possible) {
            let (units, options) = (form.units(text), form.options());
            let mut read = String::new();
            let whole = form.octets(&units, 0);
            let decoded =
                text::decode(Body::plain(&whole), form.data_coding(0), options, &mut read);
            assert!(decoded.is_ok(), "{form:?} {decoded:?}: {text}");
            assert_eq!(&read, text, "{form:?}");
        }
        let units = Form::Ucs2.units(text);
        let mut joining = Joining::new(Limits::default());
        let total = units.len().div_ceil(67) as u8;
        for (number, piece) in (1..).zip(units.chunks(67)) {
            let wire = wire(Form::Ucs2, Scheme::Udh8, [number, total], piece, false);
            put(&mut joining, &wire, 8, Options::default());
        }
        let swapped: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let read = text::decode(Body::plain(&swapped), 8, Options::default(), &mut String::new());
        refused += usize::from(read.is_err());
        little_endian += usize::from(read == Err(Undecodable::LittleEndian));
    }
    let percent = |count: usize| count * 100 / texts.len();
    let found = (percent(little_endian), percent(refused));
    assert!(found.0 >= 95 && found.1 >= 97, "known as little endian, refused: {found:?} of 100");
}
