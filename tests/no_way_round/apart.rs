//! One text in parts, and other words in the same parts through other nodes: no handset may put together what
//! no node has read.

use std::collections::BTreeMap;

use consentry::smpp::Command;
use consentry::smpp::message::WireAddress;
use consentry::smpp::write::{self, MessageFields};
use consentry::text::Options;

use crate::chance::Chance;
use crate::stage::{self, BINDS, Configured, Stage};
use crate::{AD, COMMERCIAL, GRANTED, Holds, MIXED, OTP, REFUSED, any_configured, each_seed};

/// PDUs that one sender sends of a message.
const PDUS_MAX: usize = 14;

/// What a handset shows of parts with one sender and reference. Of a part that comes twice some keep the first
/// and some the last; a message that is shown is forgotten.
struct Handset {
    keeps_first: bool,
    parts: BTreeMap<usize, Vec<u16>>,
}

impl Handset {
    fn take(&mut self, number: usize, total: usize, text: Vec<u16>) -> Option<Vec<u16>> {
        match self.parts.entry(number) {
            std::collections::btree_map::Entry::Occupied(_) if self.keeps_first => {}
            entry => drop(entry.insert_entry(text)),
        }
        let whole = (self.parts.len() == total).then(|| self.parts.values().flatten().copied());
        let whole = whole.map(Iterator::collect);
        if whole.is_some() {
            self.parts.clear();
        }
        whole
    }
}

/// A text cut into that many pieces of nearly one length.
fn pieces(text: &str, total: usize) -> Vec<Vec<u16>> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut pieces: Vec<Vec<u16>> =
        units.chunks(units.len().div_ceil(total)).map(<[u16]>::to_vec).collect();
    pieces.resize(total, vec![u16::from(b' ')]);
    pieces
}

fn part(code: &str, person: &str, total: usize, number: usize, text: &[u16]) -> Vec<u8> {
    let mut body = vec![5, 0, 3, 7, total as u8, number as u8];
    body.extend(text.iter().flat_map(|unit| unit.to_be_bytes()));
    let plain = |value| WireAddress { ton: 0, npi: 1, value };
    let fields = MessageFields {
        source: plain(str::as_bytes(code)),
        destination: plain(person.as_bytes()),
        esm_class: 0x40,
        registered_delivery: 0,
        data_coding: 8,
        short_message: &body,
    };
    let mut out = Vec::new();
    write::message(&mut out, Command::SubmitSm, 0, fields, |_| {});
    out
}

#[test]
fn no_handset_puts_together_what_no_node_has_read() {
    each_seed(|seed, stage| {
        let mut chance = Chance(seed);
        let rows: Vec<_> = REFUSED.iter().filter(|row| row.4 == Holds::NotWhole).collect();
        let (rule, code, person, text, _) = *chance.one_of(&rows);
        let configured = Configured { nodes: 3, ..any_configured(&mut chance) };
        stage.begin(Options::default(), configured);
        let total = 2 + chance.below(5);
        let decoy = if code == COMMERCIAL { AD } else { OTP };
        let texts = [pieces(text, total), pieces(decoy, total)];
        let mut handsets =
            [true, false].map(|keeps_first| Handset { keeps_first, parts: BTreeMap::new() });
        let mut sent = Vec::new();
        for sequence in 2..2 + PDUS_MAX as u32 {
            // By and large in order: a part ahead of its turn is refused anyway.
            let number = 1 + (sent.len() + chance.below(2)) % total;
            let words = &texts[chance.below(2)][number - 1];
            let mut pdu = part(code, person, total, number, words);
            pdu[12..16].copy_from_slice(&sequence.to_be_bytes());
            sent.push((number, words));
            let mut outcomes = stage.wait(u64::from(chance.once_in(8)) * stage::DEADLINE_S);
            outcomes.extend(stage.give(chance.below(BINDS), &pdu));
            for outcome in outcomes.iter().filter(|one| !one.cleared.is_empty()) {
                let (number, words) = sent[outcome.sequence as usize - 2];
                for handset in &mut handsets {
                    let shown = handset.take(number, total, words.clone());
                    let shown = shown.map(|units| String::from_utf16_lossy(&units));
                    let is_it = shown.is_some_and(|shown| shown.trim_end() == text);
                    let rule = rule.name();
                    let at =
                        || format!("DISGUISE_SEED={seed}: {rule}, {total} parts, {configured:?}");
                    assert!(!is_it, "{}: a handset shows it", at());
                }
            }
        }
    });
}

/// A message whose parts another node has other words for is waited for and refused; by itself it goes on.
#[test]
fn what_another_node_has_the_rest_of_is_refused_at_the_deadline() {
    let mut stage = Stage::new();
    let configured = Configured { nodes: 3, ..any_configured(&mut Chance(1)) };
    for (code, person, text) in [(MIXED, GRANTED, AD), (COMMERCIAL, GRANTED, AD)] {
        stage.begin(Options::default(), configured);
        let words = pieces(text, 2);
        let pdu = |sequence: u8, number: usize| {
            let mut pdu = part(code, person, 2, number, &words[number - 1]);
            pdu[15] = sequence;
            pdu
        };
        let give = |stage: &mut Stage, bind, pdu: &[u8]| {
            let outcomes = stage.give(bind, pdu);
            let told = outcomes.iter().map(|one| (one.sequence, one.refused.is_none()));
            told.collect::<Vec<_>>()
        };
        assert_eq!(give(&mut stage, 0, &pdu(2, 1)), [], "{code}: it waits");
        assert_eq!(give(&mut stage, 1, &pdu(3, 2)), [], "{code}: so does the rest");
        let late = stage.wait(stage::DEADLINE_S);
        assert_eq!(late.len(), 2, "{code}");
        assert!(late.iter().all(|one| one.refused.is_some()), "{code}: none passes unseen");
        stage.begin(Options::default(), configured);
        assert_eq!(give(&mut stage, 2, &pdu(2, 1)), [], "{code}");
        let both = [(2, true), (3, true)];
        assert_eq!(give(&mut stage, 2, &pdu(3, 2)), both, "{code}: whole over one node");
    }
}
