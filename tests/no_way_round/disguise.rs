//! A message in any composition of the forms that SMPP lets it take.

use consentry::smpp::message::WireAddress;
use consentry::smpp::multi::Destination;
use consentry::smpp::tlv::Tag;
use consentry::smpp::write::{self, MessageFields};
use consentry::smpp::{Command, Header};
use consentry::text::Options;

use crate::chance::Chance;
use crate::form::{self, Form};
use crate::stage::BINDS;

/// Most parts of a long message that a provider may send.
const PARTS_MAX: usize = 16;
/// Octets of a part, with room for its header.
const PART_OCTETS: usize = 220;

/// A message as its sender means it.
#[derive(Debug, Clone, Copy)]
pub struct Meant {
    /// The code, as allotted.
    pub source: &'static str,
    /// The person, as eleven digits or as whatever is no number.
    pub destination: &'static str,
    pub text: &'static str,
}

/// One PDU of a disguised message.
#[derive(Debug, Clone)]
pub struct Sent {
    pub octets: Vec<u8>,
    /// Which part of the message it is, from 1.
    pub number: usize,
    /// Over which of the provider's binds it goes.
    pub bind: usize,
    /// How long its sender waits before it, seconds.
    pub wait_s: u64,
    /// A submit_multi to others too: the same to its person alone.
    pub alone: Option<Vec<u8>>,
}

impl Sent {
    fn new(number: usize, (octets, alone): (Vec<u8>, Option<Vec<u8>>)) -> Sent {
        Sent { octets, number, bind: 0, wait_s: 0, alone }
    }

    /// Whether it is a submit_multi.
    pub fn is_multi(&self) -> bool {
        Header::of(&self.octets).is_some_and(|header| header.command == Command::SubmitMulti)
    }
}

/// A disguised message.
#[derive(Debug)]
pub struct Disguised {
    pub route: Options,
    pub form: Form,
    pub total: usize,
    pub sent: Vec<Sent>,
}

impl Disguised {
    /// PDUs have numbers by which they are known: each its place.
    fn numbered(mut self) -> Disguised {
        for (sequence, one) in (2_u32..).zip(&mut self.sent) {
            for pdu in [Some(&mut one.octets), one.alone.as_mut()].into_iter().flatten() {
                pdu[12..16].copy_from_slice(&sequence.to_be_bytes());
            }
        }
        self
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Udh8,
    Udh16,
    Sar,
    Both,
}

/// What all parts of one disguise have in common.
struct Common {
    form: Form,
    route: Options,
    scheme: Option<Scheme>,
    reference: u8,
    total: usize,
    data_coding: u8,
    is_honest: bool,
    /// An honest sender sends all parts to the same: by submit_multi or not, to another too or not.
    is_multi: bool,
    has_other: bool,
}

/// Any disguise of a message. An honest one keeps to what programs in the field do: parts in their order,
/// soon after each other, over whichever bind.
pub fn disguise(chance: &mut Chance, meant: Meant, is_honest: bool) -> Disguised {
    let (form, units) = form::any(chance, meant.text, is_honest);
    let route = form.route(chance, meant.text);
    let pieces = if is_honest { cut_full(chance, &units) } else { cut(chance, &units) };
    let total = pieces.len();
    let scheme = chance.one_of(&[Scheme::Udh8, Scheme::Udh16, Scheme::Sar, Scheme::Both]);
    let common = Common {
        form,
        route,
        scheme: (total > 1 || chance.once_in(4)).then_some(scheme),
        reference: chance.below(256) as u8,
        total,
        data_coding: form.data_coding(route, chance, is_honest),
        is_honest,
        is_multi: chance.once_in(4),
        has_other: chance.once_in(2),
    };
    let parts: Vec<Sent> = (1..)
        .zip(&pieces)
        .map(|(number, piece)| {
            let mut one = Sent::new(number, pdu(chance, &common, meant, number, piece));
            (one.bind, one.wait_s) = (chance.below(BINDS), chance.below(5) as u64);
            one
        })
        .collect();
    let sent = if is_honest { parts } else { ordered(chance, &common, meant, &pieces, parts) };
    Disguised { route, form, total, sent }.numbered()
}

/// Units cut as programs do: every part but the last as long as a short message, or as a payload, may be.
fn cut_full<'a>(chance: &mut Chance, units: &'a [Vec<u8>]) -> Vec<&'a [Vec<u8>]> {
    let unit_octets = units.first().map_or(1, Vec::len);
    let part_octets = match unit_octets {
        1 => chance.one_of(&[152, 153, PART_OCTETS]),
        _ => chance.one_of(&[132, 134, PART_OCTETS]),
    };
    units.chunks(part_octets / unit_octets).collect()
}

/// Units cut anywhere, into parts that fit.
fn cut<'a>(chance: &mut Chance, units: &'a [Vec<u8>]) -> Vec<&'a [Vec<u8>]> {
    let octets: usize = units.iter().map(Vec::len).sum();
    let least = octets.div_ceil(PART_OCTETS);
    if least <= 1 && chance.once_in(3) {
        return vec![units];
    }
    let most = PARTS_MAX.min(units.len()).max(least);
    let count = least.max(1) + chance.below(most - least.max(1) + 1);
    let mut borders: Vec<usize> = (1..units.len()).collect();
    loop {
        chance.shuffle(&mut borders);
        let mut at: Vec<usize> = borders.iter().take(count - 1).copied().collect();
        at.extend([0, units.len()]);
        at.sort();
        let pieces: Vec<_> = at.windows(2).map(|ends| &units[ends[0]..ends[1]]).collect();
        let fits = |piece: &&[Vec<u8>]| piece.iter().map(Vec::len).sum::<usize>() <= PART_OCTETS;
        if pieces.iter().all(fits) {
            return pieces;
        }
        // Chance borders hardly ever fit a text of nearly as many octets as parts may have.
        if chance.once_in(4) {
            return units.chunks(units.len().div_ceil(least.max(count))).collect();
        }
    }
}

/// Another order; parts sent again as they were, or written anew; waiting in between, also for longer than
/// anything is remembered.
fn ordered(
    chance: &mut Chance,
    common: &Common,
    meant: Meant,
    pieces: &[&[Vec<u8>]],
    parts: Vec<Sent>,
) -> Vec<Sent> {
    let mut all = Vec::new();
    for _ in 0..1 + chance.below(3) {
        let mut round = parts.clone();
        if chance.once_in(2) {
            chance.shuffle(&mut round);
        }
        for mut one in round {
            if chance.once_in(4) {
                one = Sent::new(
                    one.number,
                    pdu(chance, common, meant, one.number, pieces[one.number - 1]),
                );
            }
            one.bind = chance.below(BINDS);
            one.wait_s = if chance.once_in(6) { chance.below(700) as u64 } else { 1 };
            all.push(one);
        }
    }
    all
}

fn pdu(
    chance: &mut Chance,
    common: &Common,
    meant: Meant,
    number: usize,
    piece: &[Vec<u8>],
) -> (Vec<u8>, Option<Vec<u8>>) {
    let header = header(chance, common, number);
    let mut body = header.clone();
    body.extend(common.form.octets(common.route, piece, header.len()));
    let udhi = if header.is_empty() { 0 } else { 0x40 };
    let (source, to) = (code(chance, meant.source), person(chance, meant.destination));
    let mut tlvs = parameters(chance, common, number);
    let commands: &[Command] = match (common.is_honest, common.is_multi) {
        (true, true) => &[Command::SubmitMulti],
        (true, false) => &[Command::SubmitSm, Command::SubmitSm, Command::DataSm],
        (false, _) => &[Command::SubmitSm, Command::DataSm, Command::SubmitMulti],
    };
    let has_other = if common.is_honest { common.has_other } else { chance.once_in(2) };
    let command = chance.one_of(commands);
    let is_payload = command == Command::DataSm || body.len() > 254 || chance.once_in(3);
    if is_payload {
        tlvs.push((Tag::MESSAGE_PAYLOAD, body.clone()));
    }
    chance.shuffle(&mut tlvs);
    let fields = MessageFields {
        source: source.wire(),
        destination: to.wire(),
        esm_class: udhi | chance.one_of(&[0, 3]),
        registered_delivery: chance.below(2) as u8,
        data_coding: common.data_coding,
        short_message: if is_payload { b"" } else { &body },
    };
    let mut out = Vec::new();
    let write_tlvs = |out: &mut Vec<u8>| tlvs.iter().for_each(|(tag, v)| write::tlv(out, *tag, v));
    let mut alone = None;
    match command {
        Command::DataSm => write::data_sm(&mut out, 0, fields, write_tlvs),
        Command::SubmitMulti => {
            // Beside others: who may get it where this one may not, and the reverse.
            let other = if common.is_honest { crate::REVOKED } else { crate::FRIEND };
            let (it, other) = (Destination::Sme(to.wire()), person(chance, other));
            let mut destinations = vec![it, Destination::Sme(other.wire())];
            if !has_other {
                destinations.pop();
            } else {
                let mut to_it = Vec::new();
                write::submit_multi(&mut to_it, 0, fields, &[it], write_tlvs);
                alone = Some(to_it);
            }
            chance.shuffle(&mut destinations);
            write::submit_multi(&mut out, 0, fields, &destinations, write_tlvs);
        }
        _ => write::message(&mut out, Command::SubmitSm, 0, fields, write_tlvs),
    }
    (out, alone)
}

/// A user data header with its length octet; empty where the disguise has none.
fn header(chance: &mut Chance, common: &Common, number: usize) -> Vec<u8> {
    let mut elements = common.form.elements();
    let (total, number) = (common.total as u8, number as u8);
    match common.scheme {
        Some(Scheme::Udh8 | Scheme::Both) => {
            elements.push(vec![0x00, 3, common.reference, total, number]);
        }
        Some(Scheme::Udh16) => {
            elements.push(vec![0x08, 4, 0, common.reference, total, number]);
        }
        Some(Scheme::Sar) | None => {}
    }
    if elements.is_empty() {
        return elements.concat();
    }
    if !common.is_honest && chance.once_in(3) {
        // An element that nobody needs: the others are not where naive readers look.
        let is_gsm7 = matches!(common.form, Form::Gsm7(_));
        elements.push(if is_gsm7 { vec![0x70, 0] } else { vec![0x24, 1, 1] });
    }
    chance.shuffle(&mut elements);
    let elements = elements.concat();
    [vec![elements.len() as u8], elements].concat()
}

/// SAR parameters where the scheme has them, and some that change nothing.
fn parameters(chance: &mut Chance, common: &Common, number: usize) -> Vec<(Tag, Vec<u8>)> {
    let mut tlvs = Vec::new();
    if matches!(common.scheme, Some(Scheme::Sar | Scheme::Both)) {
        tlvs.push((Tag::SAR_MSG_REF_NUM, vec![0, common.reference]));
        tlvs.push((Tag::SAR_TOTAL_SEGMENTS, vec![common.total as u8]));
        tlvs.push((Tag::SAR_SEGMENT_SEQNUM, vec![number as u8]));
    }
    let harmless: [(Tag, &[u8]); 5] = [
        (Tag::USER_MESSAGE_REFERENCE, &[0, 7]),
        (Tag::LANGUAGE_INDICATOR, &[1]),
        (Tag::USER_RESPONSE_CODE, &[1]),
        (Tag::MORE_MESSAGES_TO_SEND, &[1]),
        (Tag(0x1400), b"1701158000000000001"),
    ];
    for (tag, value) in harmless {
        if chance.once_in(4) {
            tlvs.push((tag, value.to_vec()));
        }
    }
    tlvs
}

pub struct Spelled {
    ton: u8,
    npi: u8,
    value: String,
}

impl Spelled {
    pub fn wire(&self) -> WireAddress<'_> {
        WireAddress { ton: self.ton, npi: self.npi, value: self.value.as_bytes() }
    }
}

fn spelled(chance: &mut Chance, number: &str, ways: &[(u8, &str)]) -> Spelled {
    let (ton, prefix) = chance.one_of(ways);
    Spelled { ton, npi: chance.one_of(&[0, 1]), value: format!("{prefix}{number}") }
}

/// A code in any of its spellings; as it is where it is no code.
pub fn code(chance: &mut Chance, number: &str) -> Spelled {
    let ways: &[(u8, &str)] = match number.bytes().all(|octet| octet.is_ascii_digit()) {
        true if !number.is_empty() => &[
            (0, ""),
            (0, "86"),
            (0, "+86"),
            (0, "0086"),
            (1, "86"),
            (1, "+86"),
            (2, ""),
            (3, ""),
            (6, ""),
        ],
        _ => &[(0, "")],
    };
    spelled(chance, number, ways)
}

/// A person in any spelling.
pub fn person(chance: &mut Chance, number: &str) -> Spelled {
    let ways: &[(u8, &str)] = match number.len() {
        11 => &[
            (0, ""),
            (0, "86"),
            (0, "+86"),
            (0, "0086"),
            (0, "0"),
            (0, "17951"),
            (0, "1259386"),
            (1, "86"),
            (1, "+86"),
            (2, ""),
            (2, "0"),
        ],
        _ => &[(0, "")],
    };
    spelled(chance, number, ways)
}
