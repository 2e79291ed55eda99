//! A number that is looked for, in every spelling.

use std::path::Path;
use std::sync::Arc;

use super::super::Failure;
use crate::archive::Token;
use crate::audit::Address;
use crate::audit::keys::IndexKey;
use crate::registry::{self, Digits, Npi, Sender, Ton};

/// A sender or recipient.
pub(super) struct Wanted {
    written: Vec<u8>,
    canonical: Option<Canonical>,
}

impl Wanted {
    /// The number as somebody wrote it.
    pub(super) fn new(written: &str) -> Wanted {
        let written = written.trim().as_bytes().to_vec();
        Wanted { canonical: canonical(&written), written }
    }

    /// Whether it is a person's and no code: codes are whole in every table.
    pub(super) fn is_person(&self) -> bool {
        matches!(self.canonical, Some(Canonical::Number(_)))
    }

    /// The last `digits` of each of its spellings: more than a few differ only before them.
    pub(super) fn tails(&self, digits: usize) -> Vec<String> {
        let known = match &self.canonical {
            Some(Canonical::Code(code)) => code.as_bytes().to_vec(),
            Some(Canonical::Number(number)) => number.clone(),
            None => self.written.clone(),
        };
        let known = String::from_utf8_lossy(&known).into_owned();
        let national = known.strip_prefix("86").unwrap_or(&known);
        let spellings = [
            String::from_utf8_lossy(&self.written).into_owned(),
            known.clone(),
            national.to_owned(),
            format!("0{national}"),
            format!("86{national}"),
            format!("+86{national}"),
            format!("0086{national}"),
        ];
        let mut tails: Vec<String> = Vec::new();
        for spelling in spellings {
            let from = spelling.chars().count().saturating_sub(digits);
            let tail: String = spelling.chars().skip(from).collect();
            if !tail.is_empty() && !tails.contains(&tail) {
                tails.push(tail);
            }
        }
        tails
    }

    /// As it was written.
    pub(super) fn written(&self) -> &[u8] {
        &self.written
    }

    /// Whether it is one of two raw addresses.
    pub(super) fn is_one_of(&self, source: &[u8], destination: &[u8]) -> bool {
        [source, destination].into_iter().any(|octets| {
            octets == self.written
                || (self.canonical.is_some() && canonical(octets) == self.canonical)
        })
    }
}

/// The same as octets, for the tokens of an index.
pub(in crate::cmd) fn canonical_octets(value: &[u8]) -> Option<Vec<u8>> {
    Some(match canonical(value)? {
        Canonical::Code(digits) => [b"c", digits.as_bytes()].concat(),
        Canonical::Number(digits) => [b"n", &digits[..]].concat(),
    })
}

/// Makes the tokens of masked numbers: those of one person are one, whoever has not the key cannot try
/// numbers.
pub(in crate::cmd) fn tokens(keys: &Path) -> Result<Arc<Token<'static>>, Failure> {
    let key = IndexKey::open_or_create(keys)?;
    Ok(Arc::new(move |address: &Address<'_>| {
        canonical_octets(address.raw).map(|form| key.number(&form))
    }))
}

/// A number in the form in which all its spellings are one: as a recipient, else as a sender.
fn canonical(value: &[u8]) -> Option<Canonical> {
    let one = registry::Address { ton: Ton(0), npi: Npi(0), value };
    let other = registry::Address { ton: Ton(1), ..one };
    [one, other].iter().find_map(|address| match registry::recipient(address) {
        Ok(found) => Some(Canonical::Number(found.msisdn.unmasked().into_bytes())),
        Err(_) => match registry::sender(address).ok()? {
            Sender::Code(digits) => Some(Canonical::Code(digits)),
            Sender::International(digits) => Some(Canonical::Number(digits.as_bytes().to_vec())),
            Sender::Alphanumeric(_) => None,
        },
    })
}

/// A code of the Chinese plan is never the number of the same digits abroad.
#[derive(PartialEq, Eq)]
enum Canonical {
    Code(Digits),
    Number(Vec<u8>),
}
