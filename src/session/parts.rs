//! Long messages: each part is judged with all that is known of its message by then, and the last
//! one completes the text.
//!
//! Parts are not held back: an answer to each is a verdict, and an ESME whose window is small is not
//! locked up. What a part alone does not show, a later one does, and is refused: the handset then
//! never puts the message together. So that no text is shown that was not read whole, a part that
//! comes before its predecessors is refused ([`Parts::Early`]): a handset waits longer for the first
//! part than is remembered here that the message was refused.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::desk::Desk;
use super::heard::Heard;
use super::texts::{Texts, unread};
use crate::policy::{Facts, Parts};
use crate::registry::{ProviderId, Recipient, Sender};
use crate::smpp::message::Message;
use crate::smpp::tlv::Tag;
use crate::text::joining::{Arrived, Concatenation, Joining, Key, Known, Limits, PartsFault, Sar};
use crate::text::{self, Body};

/// Long messages under way: of each provider over all its binds, and those of handsets.
pub struct Joinings {
    by_provider: Vec<Mutex<Joining>>,
    replies: Mutex<Joining>,
}

impl fmt::Debug for Joinings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Joinings({} providers)", self.by_provider.len())
    }
}

impl Joinings {
    /// For that many providers; nothing is allocated before a part comes.
    pub fn new(providers: usize) -> Joinings {
        let joining = || Mutex::new(Joining::new(Limits::default()));
        Joinings { by_provider: (0..providers).map(|_| joining()).collect(), replies: joining() }
    }

    fn of(&self, provider: ProviderId) -> Option<MutexGuard<'_, Joining>> {
        let joining = self.by_provider.get(provider.0 as usize)?;
        Some(joining.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The parts of handsets' messages.
    pub(super) fn replies(&self) -> MutexGuard<'_, Joining> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A part of this message was refused: so are those that follow.
    pub(super) fn refuse(&self, provider: Option<ProviderId>, key: &Key) {
        if let Some(mut joining) = provider.and_then(|provider| self.of(provider)) {
            joining.refuse(key);
        }
    }

    /// A part was answered so that it is sent again.
    pub(super) fn take_back(&self, provider: Option<ProviderId>, key: &Key, number: u8) {
        if let Some(mut joining) = provider.and_then(|provider| self.of(provider)) {
            joining.take_back(key, number);
        }
    }

    /// Whether a part of this message was refused.
    pub(super) fn is_refused(&self, provider: Option<ProviderId>, key: &Key) -> bool {
        let joining = provider.and_then(|provider| self.of(provider));
        joining.is_some_and(|joining| joining.is_refused(key))
    }
}

/// Which part of a long message this is, by its header or its parameters.
pub fn concatenation(message: &Message<'_>) -> Result<Option<Concatenation>, PartsFault> {
    let header = match Body::split(message.text_octets(), message.has_udh()) {
        Ok(body) => body.header,
        // Where the text begins is not known: the text is undecodable, and says so.
        Err(_) => None,
    };
    let sar = Sar {
        reference: message.tlvs.find(Tag::SAR_MSG_REF_NUM),
        total: message.tlvs.find(Tag::SAR_TOTAL_SEGMENTS),
        number: message.tlvs.find(Tag::SAR_SEGMENT_SEQNUM),
    };
    Concatenation::of(header, sar)
}

/// Where a part belongs: one key for all spellings of sender and recipient.
fn key(facts: &Facts<'_>, concatenation: Concatenation) -> Option<Key> {
    let Recipient { msisdn, .. } = facts.recipient.ok()?;
    let to = msisdn.digits();
    let reference = concatenation.reference;
    match facts.sender.ok()? {
        Sender::Code(from) | Sender::International(from) => {
            Key::new(from.as_bytes(), to.as_bytes(), reference).ok()
        }
        Sender::Alphanumeric(from) => Key::new(from, to.as_bytes(), reference).ok(),
    }
}

/// What a part was found to be.
pub(super) struct Joined {
    pub(super) parts: Parts,
    pub(super) heard: Heard,
    pub(super) key: Option<Key>,
    /// The part's number, unless it had come before.
    pub(super) new_part: Option<u8>,
}

impl Joined {
    fn at_fault(parts: Parts, key: Option<Key>) -> Joined {
        Joined { parts, heard: Heard::default(), key, new_part: None }
    }
}

fn fault(fault: PartsFault) -> Parts {
    if fault.is_limit() { Parts::Limit } else { Parts::Malformed }
}

/// Adds a part to its message and hears what is known of it. `now_us`: the steady clock.
pub(super) fn join(
    (joinings, texts): (&Joinings, &Texts),
    facts: &Facts<'_>,
    message: &Message<'_>,
    options: text::Options,
    desk: &mut Desk,
    now_us: u64,
) -> Option<Joined> {
    let concatenation = match concatenation(message) {
        Ok(concatenation) => concatenation?,
        Err(why) => return Some(Joined::at_fault(fault(why), None)),
    };
    // Without a valid sender, recipient or provider another rule refuses.
    let (provider, _) = facts.provider?;
    let key = key(facts, concatenation)?;
    let mut joining = joinings.of(provider)?;
    let arrived = Arrived {
        octets: message.text_octets(),
        has_header: message.has_udh(),
        data_coding: message.data_coding,
    };
    let known = match joining.put(key, concatenation, arrived, now_us) {
        Ok(known) => known,
        Err(why) => return Some(Joined::at_fault(fault(why), Some(key))),
    };
    if known.is_refused() {
        return Some(Joined::at_fault(Parts::Refused, Some(key)));
    }
    let parts = if known.missing_before() > 0 { Parts::Early } else { Parts::Sound };
    let heard = hear(texts, facts, &known, options, desk);
    let new_part = (!known.is_repeated()).then_some(concatenation.number);
    Some(Joined { parts, heard, key: Some(key), new_part })
}

fn hear(
    texts: &Texts,
    facts: &Facts<'_>,
    known: &Known<'_>,
    options: text::Options,
    desk: &mut Desk,
) -> Heard {
    if !texts.is_asked() {
        return Heard::default();
    }
    let mut text = std::mem::take(&mut desk.text);
    text.clear();
    let heard = match known.text(options, &mut text) {
        Ok(_) => texts.said(facts, &text, known.is_complete(), desk),
        Err(why) => Heard { text: unread(why), keyword: None },
    };
    desk.text = text;
    heard
}
