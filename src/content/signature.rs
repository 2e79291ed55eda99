//! 【signatures】: who says that the text is theirs (domain of GB platforms; Order 31 art. 21).

use super::Span;

/// Signatures of one text that are told apart; further ones are only counted.
pub const SIGNATURES_MAX: usize = 4;

/// One 【name】.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<'t> {
    /// What stands between the brackets, as sent.
    pub name: &'t str,
    /// Brackets and name.
    pub span: Span,
    /// Where it stands.
    pub place: Place,
}

/// Where a signature stands. White space before or behind does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The text begins with it.
    Start,
    /// The text ends with it.
    End,
    /// Neither.
    Elsewhere,
}

/// What a text has by way of signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed<'t> {
    /// No 【name】.
    None,
    /// Exactly one, at the start or the end.
    One(Signature<'t>),
    /// More than one.
    Several,
    /// One, in the middle.
    Elsewhere(Signature<'t>),
}

/// All signatures of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signatures<'t> {
    found: [Option<Signature<'t>>; SIGNATURES_MAX],
    count: usize,
}

impl<'t> Signatures<'t> {
    /// The first [`SIGNATURES_MAX`], in order.
    pub fn iter(&self) -> impl Iterator<Item = Signature<'t>> {
        self.found.into_iter().flatten()
    }

    /// How many there are in all.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Adds the signature with its brackets at octets `start..end`.
    fn add(&mut self, text: &'t str, start: usize, end: usize) {
        if let Some(slot) = self.found.get_mut(self.count) {
            let name = start + '【'.len_utf8()..end - '】'.len_utf8();
            let name = text.get(name).unwrap_or_default();
            let (span, place) = (Span::new(start, end), place(text, start, end));
            *slot = Some(Signature { name, span, place });
        }
        self.count += 1;
    }

    /// None, one, several, or one elsewhere.
    pub fn signed(&self) -> Signed<'t> {
        match (self.count, self.found[0]) {
            (1, Some(one)) if one.place == Place::Elsewhere => Signed::Elsewhere(one),
            (1, Some(one)) => Signed::One(one),
            (0, _) | (_, None) => Signed::None,
            (_, Some(_)) => Signed::Several,
        }
    }
}

/// Octets of a text that are looked at together.
const CHUNK_OCTETS: usize = 16;

/// The first octet of both brackets, and of few other characters.
const FIRST: u8 = 0xe3;

/// Every 【name】 of a text. A bracket that opens again or never closes opens nothing; an empty 【】
/// is a signature of nobody. Other brackets (`[ ]`, 「」, ［］) make no signature: operators refuse them.
pub fn signatures(text: &str) -> Signatures<'_> {
    let mut signatures = Signatures { found: [None; SIGNATURES_MAX], count: 0 };
    let mut open = None;
    let mut look_at = |at: usize| match text.as_bytes().get(at..) {
        // 【, and then 】.
        Some([FIRST, 0x80, 0x90, ..]) => open = Some(at),
        Some([FIRST, 0x80, 0x91, ..]) => {
            if let Some(start) = open.take() {
                signatures.add(text, start, at + '】'.len_utf8());
            }
        }
        _ => {}
    };
    let (chunks, rest) = text.as_bytes().as_chunks::<CHUNK_OCTETS>();
    for (begin, chunk) in (0..).step_by(CHUNK_OCTETS).zip(chunks) {
        let mut likely = likely(*chunk);
        while likely != 0 {
            look_at(begin + likely.trailing_zeros() as usize / 8);
            likely &= likely - 1;
        }
    }
    (text.len() - rest.len()..text.len()).for_each(look_at);
    signatures
}

/// The highest bit of each octet that is [`FIRST`], and of some that stand behind one.
fn likely(chunk: [u8; CHUNK_OCTETS]) -> u128 {
    const ONES: u128 = u128::from_le_bytes([1; CHUNK_OCTETS]);
    let zero_where_first = u128::from_le_bytes(chunk) ^ (ONES * FIRST as u128);
    zero_where_first.wrapping_sub(ONES) & !zero_where_first & ONES << 7
}

fn place(text: &str, start: usize, end: usize) -> Place {
    let is_blank = |part: Option<&str>| part.is_some_and(|part| part.trim().is_empty());
    if is_blank(text.get(..start)) {
        Place::Start
    } else if is_blank(text.get(end..)) {
        Place::End
    } else {
        Place::Elsewhere
    }
}

/// Whether two names are the same signature: full-width letters, digits and signs count as their
/// ASCII forms; case counts, and so does every invisible character.
pub fn same_name(one: &str, other: &str) -> bool {
    one.chars().map(half_width).eq(other.chars().map(half_width))
}

/// The ASCII form of a full-width character (U+FF01 to U+FF5E); any other as it is.
fn half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        other => other,
    }
}
