//! One event as people write it: a line of CSV or NDJSON, with the same names in both.
//!
//! | name | what | when it is missing |
//! |---|---|---|
//! | `number` | the recipient, in any spelling that `registry::recipient` takes | a fault |
//! | `entity` | the legal entity's name | the default; for `revoked`, every entity that knows the number |
//! | `event` | `granted`, `revoked`, `reviewed`, `asked` | `granted` |
//! | `time` | when it happened | now |
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
    Cause, EntityId, Event, Grant, Happened, Ledger, NameFault, Proof, ProofKind, Scope, Source,
};
use crate::policy::{ConsentClass, Period, Promise, Review};
use crate::registry::{Address, Msisdn, Npi, Ton, recipient};

/// The longest line, octets.
pub const LINE_OCTETS_MAX: usize = 8 * 1024;

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
    /// The proof.
    pub proof: Option<(ProofKind, [u8; 32])>,
}

impl<'a> Line<'a> {
    /// Reads a line of NDJSON.
    ///
    /// # Errors
    ///
    /// A fault of the whole line: no JSON object, an unknown key, a value that is no text.
    pub fn from_json(octets: &'a [u8]) -> Result<Self, LineFault> {
        serde_json::from_slice(octets).map_err(|error| LineFault::Whole(unquoted(&error)))
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
            self.proof_sha256 = Cow::Owned(hex(sha256));
        }
    }

    /// The recipient.
    pub fn recipient(&self) -> Result<Msisdn, LineFault> {
        number(&self.number)
    }

    /// The events that the line stands for, appended to `out`: one, or for a revocation that names
    /// no entity one for each that knows the number.
    pub fn events(
        &self,
        ledger: &Ledger,
        source: Source,
        now_us: u64,
        out: &mut Vec<Event>,
    ) -> Result<(), LineFault> {
        let recipient = self.recipient()?;
        let time_us =
            if self.time.is_empty() { now_us } else { moment("time", &self.time, false)? };
        let happened = self.happened(ledger)?;
        let is_for_all = self.entity.is_empty() && matches!(happened, Happened::Revoked(_));
        let event = |entity| Event { entity, recipient, time_us, source, happened };
        if is_for_all {
            let known = ledger.entities_of(recipient).map_err(|why| field("number", why))?;
            out.extend(known.into_iter().map(event));
            return Ok(());
        }
        out.push(event(self.entity(ledger)?));
        Ok(())
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

/// A moment: RFC 3339; or a date and time, or a day, in China. Of a day its midnight, or with
/// `is_end` the midnight that ends it.
pub fn moment(name: &'static str, written: &str, is_end: bool) -> Result<u64, LineFault> {
    let why = "is no time; write 2026-11-24T08:00:00Z, 2026-11-24 16:00:00 (China) or 2026-11-24";
    let fault = || field(name, why);
    let china = jiff::tz::Offset::constant(8);
    let time = if let Ok(time) = written.parse::<jiff::Timestamp>() {
        time
    } else if written.len() <= 10 {
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
