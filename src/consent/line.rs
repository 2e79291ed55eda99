//! One event as people write it: a line of CSV or NDJSON, with the same names in both.
//!
//! | name | what | when it is missing |
//! |---|---|---|
//! | `number` | the recipient, in any spelling that `registry::recipient` takes | a fault |
//! | `entity` | the legal entity's name | the default; for `revoked`, every entity that knows the number |
//! | `event` | `granted`, `revoked`, `reviewed`, `asked` | `granted` |
//! | `time` | when it happened | now; a grant of a file is [`Source::Undated`] then |
//! | `until` | when a grant ends: a moment, or the last day | it has no end |
//! | `class` | `commercial`, `service` | `commercial` |
//! | `scope` | a list, product or shop of the entity | the whole entity |
//! | `promise` | how often at most, such as `4/month` | nothing was promised |
//! | `proof` | its kind: `commitment`, `paper`, `web`, `message`, `call`, `other` | the default |
//! | `proof_sha256` | 64 hexadecimal digits | the default; without one, a fault |
//! | `review` | `submitted`, `reviewed`, `rejected` | `submitted` |
//! | `cause` | `refused`, `recycled`, `complaint`, `operator` | `refused` |
//! | `content` | of `asked`: a digest of the request, 1 to 4294967295 | 1 |
//!
//! Times are RFC 3339, or without an offset China Standard Time, or days.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use super::{
    Cause, EntityId, Event, Gathered, Grant, Happened, Ledger, NameFault, Proof, ProofKind, Scope,
    Source,
};
use crate::policy::{ConsentClass, Period, Promise, Review};
use crate::registry::{Address, Msisdn, Npi, Ton, recipient};

/// The longest line, octets.
pub const LINE_OCTETS_MAX: usize = 8 * 1024;

/// The longest id of an event, octets.
pub const ID_OCTETS_MAX: usize = 128;

/// The names of a line's fields.
pub const FIELDS: [&str; 13] = [
    "number",
    "entity",
    "event",
    "time",
    "until",
    "class",
    "scope",
    "promise",
    "proof",
    "proof_sha256",
    "review",
    "cause",
    "content",
];

/// An event as it is written. Empty and missing are the same.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Line<'a> {
    /// See the table of this file, as for all fields.
    #[serde(borrow, deserialize_with = "text", skip_serializing_if = "str::is_empty")]
    pub number: Cow<'a, str>,
    #[allow(missing_docs)]
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    pub entity: Cow<'a, str>,
    #[allow(missing_docs)]
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    pub event: Cow<'a, str>,
    #[allow(missing_docs)]
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    pub time: Cow<'a, str>,
    #[allow(missing_docs)]
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    pub until: Cow<'a, str>,
    #[allow(missing_docs)]
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    pub class: Cow<'a, str>,
    #[allow(missing_docs)]
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    pub scope: Cow<'a, str>,
    #[allow(missing_docs)]
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    pub promise: Cow<'a, str>,
    #[allow(missing_docs)]
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    pub proof: Cow<'a, str>,
    #[allow(missing_docs)]
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    pub proof_sha256: Cow<'a, str>,
    #[allow(missing_docs)]
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    pub review: Cow<'a, str>,
    #[allow(missing_docs)]
    #[serde(borrow, skip_serializing_if = "str::is_empty")]
    pub cause: Cow<'a, str>,
    #[allow(missing_docs)]
    #[serde(borrow, deserialize_with = "text", skip_serializing_if = "str::is_empty")]
    pub content: Cow<'a, str>,
    /// Of a message of a stream: the event's id, 1 to [`ID_OCTETS_MAX`] octets.
    #[serde(borrow, deserialize_with = "text", skip_serializing_if = "str::is_empty")]
    pub id: Cow<'a, str>,
}

/// What is wrong with a line: its field and why. Never holds what stood there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// A field cannot be read.
    #[error("{0}: {1}")]
    Field(&'static str, String),
    /// The line as a whole cannot be read.
    #[error("{0}")]
    Whole(String),
    /// The entity's or scope's name gets no number.
    #[error("{0}: {1}")]
    Name(&'static str, NameFault),
}

fn field(name: &'static str, why: impl fmt::Display) -> LineFault {
    LineFault::Field(name, why.to_string())
}

/// Takes a text, or the digits of a number that was written as one.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    struct Text;
    impl<'de> Visitor<'de> for Text {
        type Value = Cow<'de, str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a whole number")
        }

        fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(value))
        }

        fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
            Ok(Cow::Owned(value.to_owned()))
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
            Ok(Cow::Owned(value.to_string()))
        }
    }
    deserializer.deserialize_any(Text)
}

/// What lines that do not say it themselves mean.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// The entity's name.
    pub entity: Option<String>,
    /// The proof: its kind, and its SHA-256 in hexadecimal.
    pub proof: Option<(ProofKind, String)>,
}

impl<'a> Line<'a> {
    /// Reads a line of NDJSON.
    ///
    /// # Errors
    ///
    /// A fault of the whole line: no JSON object, an unknown key, a value that is no text.
    pub fn from_json(octets: &'a [u8]) -> Result<Self, LineFault> {
        let line: Self =
            serde_json::from_slice(octets).map_err(|error| LineFault::Whole(unquoted(&error)))?;
        if line.id.is_empty() {
            return Ok(line);
        }
        Err(field("id", "is for messages of a stream; what is told here has none"))
    }

    /// Reads a message of a stream: the same, with an `id`.
    ///
    /// # Errors
    ///
    /// The same; no id, one that is too long or holds control characters; more than [`LINE_OCTETS_MAX`].
    pub fn from_message(octets: &'a [u8]) -> Result<Self, LineFault> {
        if octets.len() > LINE_OCTETS_MAX {
            let most = LINE_OCTETS_MAX;
            return Err(LineFault::Whole(format!("the message has more than {most} octets")));
        }
        let line: Self =
            serde_json::from_slice(octets).map_err(|error| LineFault::Whole(unquoted(&error)))?;
        if !(1..=ID_OCTETS_MAX).contains(&line.id.len()) || line.id.chars().any(char::is_control) {
            let most = ID_OCTETS_MAX;
            return Err(field("id", format!("must have 1 to {most} octets: it names the event")));
        }
        Ok(line)
    }

    /// The line as NDJSON, with the defaults filled in, so that it says everything itself.
    pub fn to_json(&self) -> String {
        // Texts only: this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Fills in what the line does not say.
    pub fn fill(&mut self, defaults: &'a Defaults) {
        if let (Some(entity), true) = (&defaults.entity, self.entity.is_empty()) {
            self.entity = Cow::Borrowed(entity);
        }
        if let (Some((kind, sha256)), true) = (&defaults.proof, self.proof_sha256.is_empty())
            && matches!(&*self.event, "" | "granted")
        {
            self.proof = Cow::Borrowed(kind.name());
            self.proof_sha256 = Cow::Borrowed(sha256);
        }
    }

    /// The recipient.
    pub fn recipient(&self) -> Result<Msisdn, LineFault> {
        number(&self.number)
    }

    /// The events that the line stands for, appended to what was gathered: one, or for a revocation that
    /// names no entity one for each that knows the number, or is to know it by an event gathered before.
    pub fn events(
        &self,
        ledger: &Ledger,
        source: Source,
        now_us: u64,
        gathered: &mut Gathered,
    ) -> Result<(), LineFault> {
        let recipient = self.recipient()?;
        let time_us =
            if self.time.is_empty() { now_us } else { moment("time", &self.time, false)? };
        let happened = self.happened(ledger)?;
        let source = match source {
            Source::File if self.is_undated_grant() => Source::Undated,
            source => source,
        };
        let is_for_all = self.entity.is_empty() && matches!(happened, Happened::Revoked(_));
        let event = |entity| Event { entity, recipient, time_us, source, happened };
        if is_for_all {
            let known = gathered.entities_of(ledger, recipient)?;
            gathered.events.extend(known.into_iter().map(event));
            return Ok(());
        }
        gathered.events.push(event(self.entity(ledger)?));
        Ok(())
    }

    /// Whether it states consent and not when that was given.
    pub fn is_undated_grant(&self) -> bool {
        self.time.is_empty() && matches!(&*self.event, "" | "granted")
    }

    fn entity(&self, ledger: &Ledger) -> Result<EntityId, LineFault> {
        if self.entity.is_empty() {
            return Err(field("entity", "is missing; name the provider as in the registry"));
        }
        ledger.entity(&self.entity).map_err(|fault| LineFault::Name("entity", fault))
    }

    fn scope(&self, ledger: &Ledger) -> Result<Scope, LineFault> {
        ledger.scope(&self.scope).map_err(|fault| LineFault::Name("scope", fault))
    }

    fn happened(&self, ledger: &Ledger) -> Result<Happened, LineFault> {
        match &*self.event {
            "" | "granted" => self.grant(ledger).map(Happened::Granted),
            "revoked" => {
                let cause = named("cause", &self.cause, Cause::Refused, Cause::from_name)?;
                Ok(Happened::Revoked(cause))
            }
            "reviewed" => {
                let review = named("review", &self.review, Review::Submitted, Review::from_name)?;
                if review == Review::Submitted {
                    return Err(field("review", "must be reviewed or rejected"));
                }
                let sha256 = &self.proof_sha256;
                let sha256 = (!sha256.is_empty()).then(|| digest(sha256)).transpose()?;
                Ok(Happened::Reviewed { scope: self.scope(ledger)?, sha256, review })
            }
            "asked" => {
                let content = if self.content.is_empty() { "1" } else { &*self.content };
                let content = content.parse().ok().filter(|digest: &u32| *digest != 0);
                let why = "must be a whole number from 1 to 4294967295";
                Ok(Happened::Asked { content: content.ok_or_else(|| field("content", why))? })
            }
            _ => Err(field("event", "must be granted, revoked, reviewed or asked")),
        }
    }

    fn grant(&self, ledger: &Ledger) -> Result<Grant, LineFault> {
        let until = (!self.until.is_empty()).then(|| moment("until", &self.until, true));
        if self.proof_sha256.is_empty() {
            let why = "is missing: consent needs a proof, by its SHA-256";
            return Err(field("proof_sha256", why));
        }
        Ok(Grant {
            scope: self.scope(ledger)?,
            class: named("class", &self.class, ConsentClass::Commercial, ConsentClass::from_name)?,
            until_us: until.transpose()?,
            promise: (!self.promise.is_empty()).then(|| promise(&self.promise)).transpose()?,
            proof: Proof {
                kind: named("proof", &self.proof, ProofKind::Other, ProofKind::from_name)?,
                sha256: digest(&self.proof_sha256)?,
                review: named("review", &self.review, Review::Submitted, Review::from_name)?,
            },
        })
    }
}

/// serde_json's words without the values that it quotes: they may be somebody's number.
fn unquoted(error: &serde_json::Error) -> String {
    let said = error.to_string();
    match said.split_once("unknown field `") {
        Some((_, rest)) => {
            let name: String = rest.chars().take_while(|c| *c != '`').take(32).collect();
            let is_name = name.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
            if is_name { format!("{name} is no field of an event") } else { "unknown field".into() }
        }
        None if error.is_data() => "a value has the wrong type".to_owned(),
        None => "this is not a JSON object".to_owned(),
    }
}

fn named<T>(
    name: &'static str,
    written: &str,
    default: T,
    from_name: impl Fn(&str) -> Option<T>,
) -> Result<T, LineFault> {
    if written.is_empty() {
        return Ok(default);
    }
    from_name(written).ok_or_else(|| field(name, "is none of the names that it may have"))
}

/// The person behind a number in any spelling: as dialled or sent here, with or without `+`, or
/// foreign with its country code.
pub fn number(written: &str) -> Result<Msisdn, LineFault> {
    let value = written.trim_ascii().as_bytes();
    let as_unknown = Address { ton: Ton::UNKNOWN, npi: Npi::ISDN, value };
    let as_international = Address { ton: Ton::INTERNATIONAL, ..as_unknown };
    recipient(&as_unknown)
        .or_else(|fault| recipient(&as_international).map_err(|_| fault))
        .map(|recipient| recipient.msisdn)
        .map_err(|_| field("number", "is no subscriber's number; write it as +8613... or 13..."))
}

/// Octets of a day, `2026-11-24`.
const DAY_OCTETS: usize = 10;

/// A moment: RFC 3339; or a date and time, or a day, in China. Of a day its midnight, or with
/// `is_end` the midnight that ends it.
pub fn moment(name: &'static str, written: &str, is_end: bool) -> Result<u64, LineFault> {
    let why = "is no time; write 2026-11-24T08:00:00Z, 2026-11-24 16:00:00 (China) or 2026-11-24";
    let fault = || field(name, why);
    let china = jiff::tz::Offset::constant(8);
    let time = if written.len() > DAY_OCTETS
        && let Ok(time) = written.parse::<jiff::Timestamp>()
    {
        time
    } else if written.len() <= DAY_OCTETS {
        let day = written.parse::<jiff::civil::Date>().map_err(|_| fault())?;
        let day = if is_end { day.tomorrow().map_err(|_| fault())? } else { day };
        china.to_timestamp(day.at(0, 0, 0, 0)).map_err(|_| fault())?
    } else {
        let time = written.parse::<jiff::civil::DateTime>().map_err(|_| fault())?;
        china.to_timestamp(time).map_err(|_| fault())?
    };
    u64::try_from(time.as_microsecond()).map_err(|_| fault())
}

/// How often at most: `4/month`.
pub fn promise(written: &str) -> Result<Promise, LineFault> {
    let parsed = written.split_once('/').and_then(|(messages, period)| {
        let messages = messages.trim().parse().ok().filter(|messages: &u16| *messages > 0)?;
        Some(Promise { messages, period: Period::from_name(period.trim())? })
    });
    let why =
        "is no frequency; write such as 4/month: a number to 65535, and day, week, month or year";
    parsed.ok_or_else(|| field("promise", why))
}

/// A SHA-256 in hexadecimal.
pub fn digest(written: &str) -> Result<[u8; 32], LineFault> {
    let nibble = |digit: u8| (digit as char).to_digit(16);
    let (pairs, rest) = written.as_bytes().as_chunks::<2>();
    let mut sha256 = [0; 32];
    let is_whole = rest.is_empty() && pairs.len() == sha256.len();
    for (octet, [high, low]) in sha256.iter_mut().zip(pairs) {
        match (nibble(*high), nibble(*low)) {
            (Some(high), Some(low)) if is_whole => *octet = (high << 4 | low) as u8,
            _ => return Err(field("proof_sha256", "is not 64 hexadecimal digits")),
        }
    }
    if is_whole { Ok(sha256) } else { Err(field("proof_sha256", "is not 64 hexadecimal digits")) }
}

/// Octets in hexadecimal.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_moments_or_days_in_china() {
        let us = |time: &str| time.parse::<jiff::Timestamp>().unwrap().as_microsecond() as u64;
        for (written, is_end, expected) in [
            ("2026-11-24T08:00:00Z", false, Some("2026-11-24T08:00:00Z")),
            ("2026-11-24T08:00:00.000001+08:00", true, Some("2026-11-24T00:00:00.000001Z")),
            ("2026-11-24 16:00:00", false, Some("2026-11-24T08:00:00Z")),
            ("2026-11-24T16:00:00", false, Some("2026-11-24T08:00:00Z")),
            ("2026-11-24", false, Some("2026-11-23T16:00:00Z")),
            ("2026-11-24", true, Some("2026-11-24T16:00:00Z")),
            ("9999-12-31", true, None),
            ("1960-01-01", false, None),
            ("2026-02-30", false, None),
            ("24.11.2026", false, None),
            ("20261124", false, Some("2026-11-23T16:00:00Z")),
            ("yesterday", false, None),
            ("", false, None),
            ("1795478400", false, None),
        ] {
            let read = moment("time", written, is_end).ok();
            assert_eq!(read, expected.map(us), "{written}");
        }
    }

    #[test]
    fn small_values_are_read_whole_or_not_at_all() {
        for (written, expected) in [
            ("4/month", Some((4, Period::Month))),
            ("65535 / day", Some((65_535, Period::Day))),
            ("65536/day", None),
            ("0/day", None),
            ("4", None),
            ("4/hour", None),
            ("/day", None),
        ] {
            let read = promise(written).ok().map(|one| (one.messages, one.period));
            assert_eq!(read, expected, "{written}");
        }
        let digits = "00ff".repeat(16);
        assert_eq!(hex(&digest(&digits.to_uppercase()).unwrap()), digits);
        for bad in [&digits[1..], &format!("{digits}0"), &digits.replace("ff", "fg"), ""] {
            assert!(digest(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_fault_repeats_what_stood_there() {
        for text in [
            r#"{"number":"13800138000x"}"#,
            r#"{"number":13800138000.5}"#,
            r#"{"number":["13800138000"]}"#,
            r#"{"13800138000":1}"#,
            r#"{"numbr":"13800138000"}"#,
            r#"{"number":"13800138000""#,
            "13800138000",
            "",
        ] {
            let fault = match Line::from_json(text.as_bytes()) {
                Ok(line) => line.recipient().unwrap_err(),
                Err(fault) => fault,
            };
            assert!(!fault.to_string().contains("138001"), "{text}: {fault}");
        }
        let unknown = Line::from_json(br#"{"numbr":1}"#).unwrap_err().to_string();
        assert_eq!(unknown, "numbr is no field of an event");
    }

    #[test]
    fn all_spellings_are_one_person() {
        let one = number("13800138000").unwrap();
        for spelling in [" +8613800138000 ", "008613800138000", "013800138000", "1795113800138000"]
        {
            assert_eq!(number(spelling), Ok(one), "{spelling}");
        }
        assert_eq!(number("447700900123").unwrap().number(), 447_700_900_123);
        assert!(number("12321").is_err() && number("").is_err());
    }

    #[test]
    fn defaults_fill_what_a_line_does_not_say() {
        let defaults = Defaults {
            entity: Some("甲".to_owned()),
            proof: Some((ProofKind::Commitment, "00".repeat(32))),
        };
        for (text, expected) in [
            ("{}", ("甲", "commitment", 64)),
            (r#"{"entity":"乙","proof":"web","proof_sha256":"ff"}"#, ("乙", "web", 2)),
            (r#"{"event":"revoked"}"#, ("甲", "", 0)),
        ] {
            let mut line = Line::from_json(text.as_bytes()).unwrap();
            line.fill(&defaults);
            assert_eq!((&*line.entity, &*line.proof, line.proof_sha256.len()), expected, "{text}");
            let written = line.to_json();
            let again = Line::from_json(written.as_bytes()).unwrap();
            assert_eq!((again.entity, again.proof), (line.entity, line.proof));
        }
    }
}
