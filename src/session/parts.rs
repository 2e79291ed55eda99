//! Long messages: each part is judged with all that is known of its message by then, and the last
//! one completes the text.
//!
//! Parts are not held back unless they are to be ([`super::hold`]): an answer to each is a verdict, and an ESME whose window is small is not
//! locked up. What a part alone does not show, a later one does, and is refused: the handset then
//! never puts the message together. So that no text is shown that was not read whole, a part that
//! comes before its predecessors is refused ([`Parts::Early`]): a handset waits longer for the first
//! part than is remembered here that the message was refused.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::desk::Desk;
use super::heard::Heard;
use super::hold::{Due, HoldTimes, waits};
use super::texts::{Texts, unread};
use crate::policy::{Facts, Parts};
use crate::registry::{ProviderId, Recipient, Sender};
use crate::smpp::message::Message;
use crate::smpp::tlv::Tag;
use crate::text::joining::{
    Arrived, Concatenation, Joining, Key, Known, Limits, Part, PartsFault, Progress, Sar,
};
use crate::text::{self, Body};

/// Long messages under way: of each provider over all its binds, and those of handsets.
pub struct Joinings {
    limits: Limits,
    by_provider: Vec<Arc<Own>>,
    replies: Arc<Mutex<Joining>>,
}

/// The long messages of one provider.
struct Own {
    joining: Mutex<Joining>,
    /// How often one was settled, that is, completed or refused.
    changes: AtomicU64,
}

impl Own {
    fn new(limits: Limits) -> Arc<Own> {
        Arc::new(Own { joining: Mutex::new(Joining::new(limits)), changes: AtomicU64::new(0) })
    }
}

impl fmt::Debug for Joinings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Joinings({} providers)", self.by_provider.len())
    }
}

impl Joinings {
    /// For that many providers, each with these limits; nothing is allocated before a part comes.
    pub fn new(providers: usize, limits: Limits) -> Joinings {
        Joinings {
            limits,
            by_provider: (0..providers).map(|_| Own::new(limits)).collect(),
            replies: Arc::new(Mutex::new(Joining::new(Limits::default()))),
        }
    }

    /// The same limits, the long messages of `before`, and room for more providers where there are more by
    /// now.
    pub fn following(&self, before: &Joinings, providers: usize) -> Joinings {
        let limits = self.limits;
        let mut by_provider = before.by_provider.clone();
        if limits != before.limits {
            for own in &by_provider {
                own.joining.lock().unwrap_or_else(PoisonError::into_inner).limit(limits);
            }
        }
        by_provider.resize_with(providers.max(by_provider.len()), || Own::new(limits));
        Joinings { limits, by_provider, replies: before.replies.clone() }
    }

    /// How often messages of a provider were settled: when it is the same, so is what is known of all
    /// of them that wait.
    pub fn changes(&self, provider: Option<ProviderId>) -> u64 {
        let own = provider.and_then(|provider| self.by_provider.get(provider.0 as usize));
        own.map_or(0, |own| own.changes.load(Ordering::Acquire))
    }

    fn changed(&self, provider: Option<ProviderId>) {
        if let Some(own) = provider.and_then(|one| self.by_provider.get(one.0 as usize)) {
            own.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// How far a message has come, if it is remembered.
    pub(super) fn progress(&self, provider: Option<ProviderId>, key: &Key) -> Option<Progress> {
        provider.and_then(|provider| self.of(provider))?.progress(key)
    }

    fn of(&self, provider: ProviderId) -> Option<MutexGuard<'_, Joining>> {
        let own = self.by_provider.get(provider.0 as usize)?;
        Some(own.joining.lock().unwrap_or_else(PoisonError::into_inner))
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
        self.changed(provider);
    }

    /// A part does not go on, or did not arrive.
    pub(super) fn take_back(&self, provider: Option<ProviderId>, part: &Part) {
        if let Some(mut joining) = provider.and_then(|provider| self.of(provider)) {
            joining.take_back(part);
        }
    }

    /// What has become of a message since a part of it was looked at, when so many parts had been taken back:
    /// another part refused, or taken back.
    pub(super) fn since(
        &self,
        provider: Option<ProviderId>,
        key: &Key,
        taken_back: u64,
    ) -> Option<Parts> {
        let joining = provider.and_then(|provider| self.of(provider))?;
        if joining.is_refused(key) {
            return Some(Parts::Refused);
        }
        joining.is_taken_back_since(taken_back, key).then_some(Parts::TakenBack)
    }
}

/// Which part of a long message this is, by its header or its parameters.
pub(super) fn concatenation(message: &Message<'_>) -> Result<Option<Concatenation>, PartsFault> {
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

/// What a message was found to be: a part of a longer one, or one of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joined {
    pub(super) parts: Parts,
    pub(super) heard: Heard,
    pub(super) key: Option<Key>,
    /// The part itself, where it was added to its message.
    pub(super) part: Option<Part>,
    /// How many parts had been taken back when it was looked at.
    pub(super) taken_back: u64,
    /// How long it waits for the others, where it does.
    pub(super) waits: Option<HoldTimes>,
}

impl Joined {
    /// A message of its own.
    pub(super) fn alone(heard: Heard) -> Joined {
        Joined { heard, ..Joined::at_fault(Parts::Sound, None) }
    }

    fn at_fault(parts: Parts, key: Option<Key>) -> Joined {
        let (heard, taken_back) = (Heard::default(), u64::MAX);
        Joined { parts, heard, key, part: None, taken_back, waits: None }
    }
}

fn fault(fault: PartsFault) -> Parts {
    if fault.is_limit() { Parts::Limit } else { Parts::Malformed }
}

/// How a part comes to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Whether it can wait for others.
    pub(super) can_wait: bool,
    /// How long it waits for them, where it is the operator's wish that it does.
    pub(super) wished: Option<HoldTimes>,
    /// How long it waits where its text decides and other nodes may have the others.
    pub(super) apart: Option<HoldTimes>,
    /// Whether it takes an earlier message's place. Then it is no part of a long one: nobody could say
    /// whether its SMSC reads it as that.
    pub(super) takes_a_place: bool,
    /// Why it is looked at again, if it waited.
    pub(super) due: Option<Due>,
    /// Of the steady clock.
    pub(super) now_us: u64,
}

/// Adds a part to its message, unless it was added when it came, and hears what is known of it.
pub(super) fn join(
    (joinings, texts): (&Joinings, &Texts),
    facts: &Facts<'_>,
    (message, concatenation): (&Message<'_>, Result<Option<Concatenation>, PartsFault>),
    options: text::Options,
    desk: &mut Desk,
    arrival: Arrival,
) -> Option<Joined> {
    let concatenation = match concatenation {
        Ok(concatenation) => concatenation?,
        Err(why) => return Some(Joined::at_fault(fault(why), None)),
    };
    if arrival.takes_a_place {
        return Some(Joined::at_fault(Parts::Malformed, None));
    }
    // Without a valid sender, recipient or provider another rule refuses.
    let (provider, _) = facts.provider?;
    let key = key(facts, concatenation)?;
    let mut joining = joinings.of(provider)?;
    let arrived = Arrived {
        octets: message.text_octets(),
        has_header: message.has_udh(),
        data_coding: message.data_coding,
    };
    let number = concatenation.number;
    let taken_back = joining.taken_back();
    let known = match arrival.due {
        None => joining.put(key, concatenation, arrived, arrival.now_us),
        Some(due) => match joining.recall(&key, number, arrived) {
            Some(known) if due != Due::Late => Ok(known),
            Some(_) | None => return Some(Joined::at_fault(Parts::Late, Some(key))),
        },
    };
    let known = match known {
        Ok(known) => known,
        Err(why) => {
            // A contradiction refuses the message, and with it the parts that wait.
            joinings.changed(Some(provider));
            return Some(Joined::at_fault(fault(why), Some(key)));
        }
    };
    if known.is_refused() {
        return Some(Joined::at_fault(Parts::Refused, Some(key)));
    }
    if known.is_complete() && !known.is_repeated() {
        joinings.changed(Some(provider));
    }
    let parts = if known.missing_before() > 0 { Parts::Early } else { Parts::Sound };
    let (key, part) = (Some(key), Some(known.part()));
    let apart = arrival.apart.filter(|_| texts.decides(facts));
    let times = apart.or(arrival.wished).filter(|_| {
        arrival.can_wait && waits(concatenation.total, known.progress(), known.is_repeated())
    });
    if times.is_some() {
        // What it says is heard when it is judged.
        let heard = Heard::default();
        return Some(Joined { parts, heard, key, part, taken_back, waits: times });
    }
    if apart.is_some() && !known.is_complete() {
        // It cannot wait, and nobody knows with what another node would complete it.
        return Some(Joined::at_fault(Parts::Late, key));
    }
    let heard = hear(texts, facts, &known, options, desk);
    Some(Joined { parts, heard, key, part, taken_back, waits: None })
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
