//! The octets of the store, field by field. All integers are big-endian.
//!
//! A pair in a folder (keyspace `pairs`; key: the pair's key, 8 octets). Most have one grant and nothing else,
//! and are 25 octets:
//!
//! ```text
//! u8  version, 2
//! u40 number of the latest event
//! u8  what follows: 1 a bar, 2 a revocation, 4 a request; grants times 16
//! [u64 bar: a grant counts only if it is later, us]
//! [u64 time of the latest revocation, us    u8 its cause]
//! [u64 time of the latest request, us       u32 its digest]
//! then for each grant:
//!   u8 scope   u8 class + review times 2; 16 it has an end, 32 it has a promise or a count
//!   u64 from, us   u64 first octets of the proof's SHA-256
//!   [u32 until, s]
//!   [u16 promised messages, 0 = none   u8 period   u32 period counted   u32 sent in it]
//! ```
//!
//! A pair in the shared engine, and in folders of releases before:
//!
//! ```text
//! u8  version, 1
//! u64 number of the latest event
//! u64 bar: a grant counts only if it is later, us
//! u64 time of the latest revocation, us    u8 its cause, 0 = none
//! u64 time of the latest request, us       u32 its digest, 0 = none
//! u8  grants, then for each:
//!   u8 scope   u8 class   u8 review   u64 from, us   u32 until, s
//!   u16 promised messages, 0 = none   u8 period
//!   u64 first octets of the proof's SHA-256   u32 period counted   u32 sent in it
//! ```
//!
//! An event (keyspace `events`; key: the pair's key and the event's number, 16 octets):
//!
//! ```text
//! u8  version, 1
//! u8  what happened: 1 granted, 2 revoked, 3 reviewed, 4 asked
//! u8  source
//! u64 when it was recorded, us
//! u64 when it happened, us
//! granted:  u8 scope  u8 class  u64 until, us  u16 promised, 0 = none  u8 period  u8 proof kind
//!           u8 review  [32] SHA-256
//! revoked:  u8 cause
//! reviewed: u8 scope  u8 review  u8 whether a digest follows  [32] SHA-256
//! asked:    u32 digest
//! ```

use super::pair::{GrantState, NO_END_S, Pair};
use super::{Cause, Event, Grant, Happened, Kept, PairKey, Proof, ProofKind, Scope, Source};
use crate::policy::{ConsentClass, Period, Promise, Review};

const VERSION: u8 = 1;
/// Of a pair that says only what there is to say.
const SHORT_VERSION: u8 = 2;

const BAR: u8 = 1;
const REVOKED: u8 = 2;
const ASKED: u8 = 4;
const HAS_END: u8 = 16;
const IS_COUNTED: u8 = 32;

/// Reads fields off the front; `None` when the octets end early.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u40(&mut self) -> Option<u64> {
        let [a, b, c, d, e] = self.array()?;
        Some(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}

/// The place of a value in its list, as its octet.
fn code<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|each| each == one).and_then(|at| u8::try_from(at).ok()).unwrap_or(0)
}

fn decode<T: Copy>(all: &[T], code: u8) -> Option<T> {
    all.get(usize::from(code)).copied()
}

fn write_promise(out: &mut Vec<u8>, promise: Option<Promise>) {
    let messages = promise.map_or(0, |promise| promise.messages);
    out.extend(messages.to_be_bytes());
    out.push(promise.map_or(0, |promise| code(&Period::ALL, &promise.period)));
}

/// The outer `None`: octets that nobody wrote so.
fn read_promise(cursor: &mut Cursor<'_>) -> Option<Option<Promise>> {
    let (messages, period) = (cursor.u16()?, cursor.u8()?);
    let period = decode(&Period::ALL, period)?;
    Some((messages > 0).then_some(Promise { messages, period }))
}

/// Appends a pair's value for a folder to `out`. Event numbers are at most
/// [`SEQUENCE_MAX`](super::hot::SEQUENCE_MAX).
pub(super) fn write_short_pair(pair: &Pair, out: &mut Vec<u8>) {
    let [.., a, b, c, d, e] = pair.sequence.to_be_bytes();
    out.extend([SHORT_VERSION, a, b, c, d, e]);
    let follows = |is: bool, flag: u8| if is { flag } else { 0 };
    // GRANTS_MAX of them at most.
    let grants = u8::try_from(pair.grants.len()).unwrap_or(u8::MAX) << 4;
    let (revoked, asked) = (pair.revoked.is_some(), pair.asked.is_some());
    let bar = follows(pair.bar_us != 0, BAR);
    out.push(bar | follows(revoked, REVOKED) | follows(asked, ASKED) | grants);
    if pair.bar_us != 0 {
        out.extend(pair.bar_us.to_be_bytes());
    }
    if let Some((revoked_us, cause)) = pair.revoked {
        out.extend(revoked_us.to_be_bytes());
        out.push(cause.code());
    }
    if let Some((asked_us, content)) = pair.asked {
        out.extend(asked_us.to_be_bytes());
        out.extend(content.to_be_bytes());
    }
    for grant in &pair.grants {
        let has_end = grant.until_s != NO_END_S;
        let is_counted = grant.promise.is_some() || grant.period != 0 || grant.sent != 0;
        let kinds = code(&ConsentClass::ALL, &grant.class) | code(&Review::ALL, &grant.review) << 1;
        out.push(grant.scope.0);
        out.push(kinds | follows(has_end, HAS_END) | follows(is_counted, IS_COUNTED));
        out.extend(grant.from_us.to_be_bytes());
        out.extend(grant.proof.to_be_bytes());
        if has_end {
            out.extend(grant.until_s.to_be_bytes());
        }
        if is_counted {
            write_promise(out, grant.promise);
            out.extend(grant.period.to_be_bytes());
            out.extend(grant.sent.to_be_bytes());
        }
    }
}

fn read_short_pair(cursor: &mut Cursor<'_>) -> Option<Pair> {
    let (sequence, follows) = (cursor.u40()?, cursor.u8()?);
    let bar_us = if follows & BAR != 0 { cursor.u64()? } else { 0 };
    let revoked = match follows & REVOKED != 0 {
        true => Some((cursor.u64()?, Cause::from_code(cursor.u8()?)?)),
        false => None,
    };
    let asked = match follows & ASKED != 0 {
        true => Some((cursor.u64()?, cursor.u32()?)),
        false => None,
    };
    let mut grants = Vec::with_capacity(usize::from(follows >> 4));
    for _ in 0..follows >> 4 {
        grants.push(read_short_grant(cursor)?);
    }
    Some(Pair { sequence, bar_us, revoked, asked, grants })
}

fn read_short_grant(cursor: &mut Cursor<'_>) -> Option<GrantState> {
    let (scope, kinds) = (Scope(cursor.u8()?), cursor.u8()?);
    let class = decode(&ConsentClass::ALL, kinds & 1)?;
    let review = decode(&Review::ALL, kinds >> 1 & 7)?;
    let (from_us, proof) = (cursor.u64()?, cursor.u64()?);
    let until_s = if kinds & HAS_END != 0 { cursor.u32()? } else { NO_END_S };
    let (promise, period, sent) = match kinds & IS_COUNTED != 0 {
        true => (read_promise(cursor)?, cursor.u32()?, cursor.u32()?),
        false => (None, 0, 0),
    };
    Some(GrantState { scope, class, review, from_us, until_s, promise, proof, period, sent })
}

/// Writes a pair's value for the shared engine over `out`: releases before this one read it.
pub(super) fn write_pair(pair: &Pair, out: &mut Vec<u8>) {
    out.clear();
    out.push(VERSION);
    out.extend(pair.sequence.to_be_bytes());
    out.extend(pair.bar_us.to_be_bytes());
    let (revoked_us, cause) = pair.revoked.map_or((0, 0), |(at, cause)| (at, cause.code()));
    out.extend(revoked_us.to_be_bytes());
    out.push(cause);
    let (asked_us, content) = pair.asked.unwrap_or((0, 0));
    out.extend(asked_us.to_be_bytes());
    out.extend(content.to_be_bytes());
    out.push(u8::try_from(pair.grants.len()).unwrap_or(u8::MAX));
    for grant in &pair.grants {
        out.push(grant.scope.0);
        out.push(code(&ConsentClass::ALL, &grant.class));
        out.push(code(&Review::ALL, &grant.review));
        out.extend(grant.from_us.to_be_bytes());
        out.extend(grant.until_s.to_be_bytes());
        write_promise(out, grant.promise);
        out.extend(grant.proof.to_be_bytes());
        out.extend(grant.period.to_be_bytes());
        out.extend(grant.sent.to_be_bytes());
    }
}

/// Reads a pair's value; `None` when it is damaged.
pub(super) fn read_pair(octets: &[u8]) -> Option<Pair> {
    let mut cursor = Cursor(octets);
    let pair = match cursor.u8()? {
        VERSION => read_whole_pair(&mut cursor)?,
        SHORT_VERSION => read_short_pair(&mut cursor)?,
        _ => return None,
    };
    cursor.0.is_empty().then_some(pair)
}

fn read_whole_pair(cursor: &mut Cursor<'_>) -> Option<Pair> {
    let (sequence, bar_us) = (cursor.u64()?, cursor.u64()?);
    let revoked = match (cursor.u64()?, cursor.u8()?) {
        (_, 0) => None,
        (revoked_us, cause) => Some((revoked_us, Cause::from_code(cause)?)),
    };
    let (asked_us, content) = (cursor.u64()?, cursor.u32()?);
    let asked = (content != 0).then_some((asked_us, content));
    let count = usize::from(cursor.u8()?);
    let mut grants = Vec::with_capacity(count);
    for _ in 0..count {
        grants.push(read_grant(cursor)?);
    }
    Some(Pair { sequence, bar_us, revoked, asked, grants })
}

fn read_grant(cursor: &mut Cursor<'_>) -> Option<GrantState> {
    Some(GrantState {
        scope: Scope(cursor.u8()?),
        class: decode(&ConsentClass::ALL, cursor.u8()?)?,
        review: decode(&Review::ALL, cursor.u8()?)?,
        from_us: cursor.u64()?,
        until_s: cursor.u32()?,
        promise: read_promise(cursor)?,
        proof: cursor.u64()?,
        period: cursor.u32()?,
        sent: cursor.u32()?,
    })
}

/// Writes an event's value over `out`. [`Happened::Sent`] has none: `out` stays empty.
pub(super) fn write_event(event: &Event, recorded_us: u64, out: &mut Vec<u8>) {
    out.clear();
    let kind = match event.happened {
        Happened::Granted(_) => 1,
        Happened::Revoked(_) => 2,
        Happened::Reviewed { .. } => 3,
        Happened::Asked { .. } => 4,
        Happened::Sent { .. } => return,
    };
    out.extend([VERSION, kind, event.source.code()]);
    out.extend(recorded_us.to_be_bytes());
    out.extend(event.time_us.to_be_bytes());
    match &event.happened {
        Happened::Granted(grant) => {
            out.extend([grant.scope.0, code(&ConsentClass::ALL, &grant.class)]);
            out.extend(grant.until_us.unwrap_or(u64::MAX).to_be_bytes());
            write_promise(out, grant.promise);
            out.extend([grant.proof.kind.code(), code(&Review::ALL, &grant.proof.review)]);
            out.extend(grant.proof.sha256);
        }
        Happened::Revoked(cause) => out.push(cause.code()),
        Happened::Reviewed { scope, sha256, review } => {
            out.extend([scope.0, code(&Review::ALL, review), u8::from(sha256.is_some())]);
            out.extend(sha256.unwrap_or_default());
        }
        Happened::Asked { content } => out.extend(content.to_be_bytes()),
        Happened::Sent { .. } => {}
    }
}

/// Reads an event by its key and value; `None` when either is damaged.
pub(super) fn read_event(key: &[u8], octets: &[u8]) -> Option<Kept> {
    let mut key = Cursor(key);
    let (pair, sequence) = (PairKey(key.u64()?), key.u64()?);
    let mut cursor = Cursor(octets);
    if cursor.u8()? != VERSION {
        return None;
    }
    let kind = cursor.u8()?;
    let source = Source::from_code(cursor.u8()?)?;
    let (recorded_us, time_us) = (cursor.u64()?, cursor.u64()?);
    let happened = match kind {
        1 => Happened::Granted(read_granted(&mut cursor)?),
        2 => Happened::Revoked(Cause::from_code(cursor.u8()?)?),
        3 => {
            let scope = Scope(cursor.u8()?);
            let review = decode(&Review::ALL, cursor.u8()?)?;
            let has_digest = cursor.u8()? != 0;
            let sha256 = cursor.array()?;
            Happened::Reviewed { scope, sha256: has_digest.then_some(sha256), review }
        }
        4 => Happened::Asked { content: cursor.u32()? },
        _ => return None,
    };
    let (entity, recipient) = (pair.entity(), pair.recipient()?);
    let event = Event { entity, recipient, time_us, source, happened };
    cursor.0.is_empty().then_some(Kept { sequence, recorded_us, event })
}

fn read_granted(cursor: &mut Cursor<'_>) -> Option<Grant> {
    let (scope, class) = (Scope(cursor.u8()?), decode(&ConsentClass::ALL, cursor.u8()?)?);
    let until_us = cursor.u64()?;
    let promise = read_promise(cursor)?;
    let (kind, review) = (ProofKind::from_code(cursor.u8()?)?, decode(&Review::ALL, cursor.u8()?)?);
    let proof = Proof { kind, sha256: cursor.array()?, review };
    let until_us = (until_us != u64::MAX).then_some(until_us);
    Some(Grant { scope, class, until_us, promise, proof })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::hot::SEQUENCE_MAX;
    use crate::consent::{EntityId, GRANTS_MAX};
    use crate::registry::Msisdn;

    fn grant() -> Grant {
        let proof = Proof { kind: ProofKind::Web, sha256: [7; 32], review: Review::Reviewed };
        let promise = Some(Promise { messages: u16::MAX, period: Period::Year });
        let class = ConsentClass::Service;
        Grant { scope: Scope(255), class, until_us: Some(9_000_000), promise, proof }
    }

    #[test]
    fn every_kind_of_event_comes_back_and_none_that_is_cut() {
        let bare = Grant { until_us: None, promise: None, scope: Scope::ALL, ..grant() };
        let digest = Some([9; 32]);
        let (scope, review) = (Scope(3), Review::Rejected);
        for happened in [
            Happened::Granted(grant()),
            Happened::Granted(bare),
            Happened::Revoked(Cause::Recycled),
            Happened::Reviewed { scope, sha256: digest, review },
            Happened::Reviewed { scope, sha256: None, review },
            Happened::Asked { content: u32::MAX },
        ] {
            let recipient = Msisdn::new(8_613_800_138_000).unwrap();
            let (entity, source) = (EntityId(9), Source::Reply);
            let event = Event { entity, recipient, time_us: 5, source, happened };
            let key = PairKey::new(event.entity, recipient).event_octets(77);
            let mut octets = Vec::new();
            write_event(&event, 6, &mut octets);
            let kept = Kept { sequence: 77, recorded_us: 6, event };
            assert_eq!(read_event(&key, &octets), Some(kept), "{happened:?}");
            for end in 0..octets.len() {
                assert_eq!(read_event(&key, &octets[..end]), None, "{happened:?} cut at {end}");
            }
            octets.push(0);
            assert_eq!(read_event(&key, &octets), None);
        }
    }

    #[test]
    fn pairs_come_back_and_none_that_is_cut() {
        let state = GrantState {
            scope: Scope(1),
            class: ConsentClass::Service,
            review: Review::Rejected,
            from_us: 1,
            until_s: NO_END_S,
            promise: Some(Promise { messages: 1, period: Period::Week }),
            proof: u64::MAX,
            period: 7,
            sent: 8,
        };
        let plain = GrantState { promise: None, period: 0, sent: 0, ..state };
        let ended = GrantState { class: ConsentClass::Commercial, until_s: 3, ..plain };
        for (pair, short_octets) in [
            (Pair::default(), 7),
            (Pair { sequence: SEQUENCE_MAX, grants: vec![plain], ..Pair::default() }, 25),
            (Pair { bar_us: 1, grants: vec![ended], ..Pair::default() }, 37),
            (Pair { revoked: Some((0, Cause::Refused)), ..Pair::default() }, 16),
            (
                Pair {
                    sequence: 1,
                    bar_us: 2,
                    revoked: Some((3, Cause::Complaint)),
                    asked: Some((4, 5)),
                    grants: vec![GrantState { promise: None, ..state }; GRANTS_MAX],
                },
                7 + 8 + 9 + 12 + 8 * 29,
            ),
            (Pair { grants: vec![state, plain], ..Pair::default() }, 7 + 29 + 18),
        ] {
            let (mut whole, mut short) = (Vec::new(), Vec::new());
            write_pair(&pair, &mut whole);
            write_short_pair(&pair, &mut short);
            assert_eq!(short.len(), short_octets, "{pair:?}");
            for octets in [whole, short] {
                assert_eq!(read_pair(&octets).as_ref(), Some(&pair));
                for end in 0..octets.len() {
                    assert_eq!(read_pair(&octets[..end]), None, "cut at {end}");
                }
                assert_eq!(read_pair(&[octets.as_slice(), &[0]].concat()), None);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(0_u8..=255, 0..90)) {
            let _ = (read_pair(&octets), read_event(&octets, &octets));
        }
    }
}
