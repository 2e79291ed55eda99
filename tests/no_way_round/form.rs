//! One text in every alphabet that a handset reads.

use consentry::text::{Body, DefaultAlphabet, Options, Packing, Shifts, gsm7};

use crate::chance::Chance;

/// How a text stands in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// By the tables that a header names, or by the default ones.
    Gsm7(Shifts),
    Ucs2,
    Gbk,
    Latin1,
    Ascii,
    /// Eight-bit data that is text after all: UTF-8, GBK or UTF-16.
    Data(Data),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    Utf8,
    Gbk,
    Utf16,
}

/// A text's octets in units that a part may end behind, though characters are cut so.
pub type Units = Vec<Vec<u8>>;

/// Any form in which all of the text can be written, with its units. UCS2 always is one.
pub fn any(chance: &mut Chance, text: &str, is_honest: bool) -> (Form, Units) {
    loop {
        let shifts = Shifts {
            locking: [0, 1 + chance.below(13) as u8][usize::from(chance.once_in(3))],
            single: [0, 1 + chance.below(13) as u8][usize::from(chance.once_in(3))],
        };
        let data = chance.one_of(&[Data::Utf8, Data::Gbk, Data::Utf16]);
        let form = match chance.below(if is_honest { 11 } else { 12 }) {
            0..4 => Form::Ucs2,
            4..6 => Form::Gbk,
            6..9 => Form::Gsm7(shifts),
            9 => Form::Latin1,
            10 => Form::Ascii,
            _ => Form::Data(data),
        };
        if let Some(units) = form.units(text)
            && (!is_honest || form.is_published())
        {
            return (form, units);
        }
    }
}

fn units(form: Form, text: &str) -> Option<Units> {
    let one = |octets: Vec<u8>| octets.into_iter().map(|octet| vec![octet]).collect();
    match form {
        Form::Gsm7(shifts) => septets(text, shifts).map(one),
        Form::Ucs2 | Form::Data(Data::Utf16) => {
            Some(text.encode_utf16().map(|unit| unit.to_be_bytes().to_vec()).collect())
        }
        Form::Gbk | Form::Data(Data::Gbk) => {
            let (octets, _, is_unwritable) = encoding_rs::GB18030.encode(text);
            (!is_unwritable).then(|| one(octets.into_owned()))
        }
        Form::Latin1 => {
            let octets = text.chars().map(|c| u8::try_from(u32::from(c)).ok());
            octets.collect::<Option<Vec<u8>>>().map(one)
        }
        Form::Ascii => text.is_ascii().then(|| one(text.as_bytes().to_vec())),
        Form::Data(Data::Utf8) => Some(one(text.as_bytes().to_vec())),
    }
}

/// The septets that show a text by the tables of a header, found by showing every septet.
fn septets(text: &str, shifts: Shifts) -> Option<Vec<u8>> {
    let shown = |octets: &[u8]| {
        let mut out = String::new();
        gsm7::decode(octets.iter().copied(), shifts, false, &mut out).ok().map(|()| out)
    };
    let plain: Vec<_> = (0..0x80).map(|septet| vec![septet]).collect();
    let escaped = (0..0x80).map(|septet| vec![gsm7::ESCAPE, septet]);
    let all: Vec<_> = plain.into_iter().chain(escaped).collect();
    let table: Vec<_> = all.iter().map(|octets| (octets, shown(octets))).collect();
    let of = |c: char| {
        let is = |shown: &Option<String>| shown.as_deref().is_some_and(|s| s.chars().eq([c]));
        table.iter().find(|(octets, shown)| *octets != &[gsm7::ESCAPE] && is(shown))
    };
    let found: Option<Vec<_>> = text.chars().map(of).collect();
    Some(found?.into_iter().flat_map(|(octets, _)| octets.iter().copied()).collect())
}

impl Form {
    /// A text in this form, where all of it can be written so.
    pub fn units(self, text: &str) -> Option<Units> {
        units(self, text)
    }

    /// Whether the tables that it names are published: handsets know no others.
    fn is_published(self) -> bool {
        let elements = self.elements().concat();
        let header = [vec![elements.len() as u8], elements].concat();
        Body::split(&header, true).is_ok_and(|body| Shifts::of(body.header).is_ok())
    }

    /// A route that reads this form as it was written.
    pub fn route(self, chance: &mut Chance, text: &str) -> Options {
        let default_alphabet = match self {
            Form::Gbk => DefaultAlphabet::Gbk,
            _ => chance.one_of(&[
                DefaultAlphabet::Gsm7,
                DefaultAlphabet::Gbk,
                DefaultAlphabet::Latin1,
                DefaultAlphabet::Ascii,
            ]),
        };
        // Octets do not say whether seven zero bits at their end are an `@` or filling.
        let packed = matches!(self, Form::Gsm7(_)) && !text.contains('@') && chance.once_in(2);
        let packing = if packed { Packing::Packed } else { Packing::Unpacked };
        Options { default_alphabet, packing }
    }

    /// A data_coding that means this form on a route; a plain one where messages are honest.
    pub fn data_coding(self, route: Options, chance: &mut Chance, is_honest: bool) -> u8 {
        let is_default = match self {
            Form::Gsm7(_) => route.default_alphabet == DefaultAlphabet::Gsm7,
            Form::Gbk => true,
            Form::Latin1 => route.default_alphabet == DefaultAlphabet::Latin1,
            Form::Ascii => route.default_alphabet == DefaultAlphabet::Ascii,
            Form::Ucs2 | Form::Data(_) => false,
        };
        let plain = match self {
            Form::Gsm7(_) | Form::Gbk => 0x00,
            Form::Latin1 => 0x03,
            Form::Ascii => 0x01,
            Form::Ucs2 => 0x08,
            Form::Data(_) => 0x04,
        };
        let groups: &[u8] = match self {
            Form::Gsm7(_) => &[0x10, 0x11, 0x13, 0x50, 0xc0, 0xc8, 0xd0, 0xf0, 0xf1, 0xf3],
            Form::Ucs2 => &[0x18, 0x19, 0x1a, 0x1b, 0x48, 0xe0, 0xe8],
            Form::Gbk => &[0x0f],
            Form::Data(_) => &[0x02, 0x14, 0x15, 0xf4, 0xf5, 0xf7],
            Form::Latin1 | Form::Ascii => &[],
        };
        let mut values = Vec::new();
        if plain != 0 || is_default {
            values.push(plain);
        }
        if is_default {
            values.push(0);
        }
        // Those that flash, store or wait are refused for what they are: not all of the time.
        if !is_honest && chance.once_in(3) || values.is_empty() {
            values.extend(groups);
        }
        chance.one_of(&values)
    }

    /// The elements of a header that name the tables.
    pub fn elements(self) -> Vec<Vec<u8>> {
        let Form::Gsm7(Shifts { locking, single }) = self else { return Vec::new() };
        let named = |identifier: u8, table: u8| (table != 0).then(|| vec![identifier, 1, table]);
        [named(0x24, single), named(0x25, locking)].into_iter().flatten().collect()
    }

    /// The octets of a piece behind a header of so many octets.
    pub fn octets(self, route: Options, units: &[Vec<u8>], header_octets: usize) -> Vec<u8> {
        match (self, route.packing) {
            (Form::Gsm7(_), Packing::Packed) => {
                gsm7::pack(units.concat().into_iter(), header_octets)
            }
            _ => units.concat(),
        }
    }
}
