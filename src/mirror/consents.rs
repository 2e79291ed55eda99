//! What goes to a topic of consent events: of the journal's records those of consent alone, one message each,
//! in an order that holds for each pair of entity and recipient.
//!
//! | field | what | where it is left out |
//! |---|---|---|
//! | `id` | `node/journal/record`: the same whenever it is sent | |
//! | `origin` | the id that it came in with, from a stream | it came from elsewhere |
//! | `event` | `granted`, `revoked`, `reviewed`, `asked`, `imported` | |
//! | `time`, `recorded` | when it happened, and when it was recorded: RFC 3339, UTC | |
//! | `number` | the recipient, whole or masked | of `imported` |
//! | `token` | of a masked number: equal for equal numbers | the number is whole |
//! | `entity`, `scope` | the legal entity; its list, product or shop | all of the entity is meant |
//! | `cause` | of `revoked`: `refused`, `recycled`, `complaint`, `operator` | of other events |
//! | `review`, `class`, `until`, `proof_sha256` | as the ledger took them | there is none |
//! | `count` | of `imported`: how many events | of other events |
//! | `source` | `reply`, `message`, `operator`, `api`, `file`, `stream` | |
//! | `ledger_event` | the event's number in the ledger | it had none yet |

use serde_json::{Map, Value};

use crate::archive::{Numbers, time_text};
use crate::audit::ConsentRecord;
use crate::consent::line::hex;
use crate::consent::{Cause, Source};
use crate::policy::{ConsentClass, Review};
use crate::registry::masked;

/// A message: its key, and its JSON object.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsentMessage {
    /// Equal for equal pairs of entity and recipient, so that they meet in one partition.
    pub key: String,
    /// The object.
    pub value: String,
}

// Both may hold a number.
impl std::fmt::Debug for ConsentMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConsentMessage {{ {} octets }}", self.value.len())
    }
}

/// Which record it is.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// The proxy.
    pub node: &'a str,
    /// The word of the journal.
    pub journal: &'a str,
    /// The record's number.
    pub record: u64,
    /// When it was recorded, microseconds since the Unix epoch.
    pub time_us: u64,
}

/// The message of one record.
pub fn consent_message(
    at: At<'_>,
    consent: &ConsentRecord<'_>,
    numbers: Numbers<'_>,
) -> ConsentMessage {
    let At { node, journal, record, time_us } = at;
    let mut object = Map::new();
    let mut set = |name: &str, value: Value| {
        if !value.is_null() && value != "" {
            object.insert(name.to_owned(), value);
        }
    };
    let raw = consent.recipient.raw;
    let (is_whole, token) = match numbers {
        Numbers::Whole => (true, None),
        Numbers::Masked(token) => (false, token.and_then(|token| token(&consent.recipient))),
    };
    let number = if raw.is_empty() { String::new() } else { masked(raw, is_whole) };
    let token = token.map(|token| format!("{token:016x}"));
    set("id", format!("{node}/{journal}/{record}").into());
    set("origin", consent.id.into());
    set("event", consent.happened_name().into());
    set("time", time_text(consent.happened_us).into());
    set("recorded", time_text(time_us).into());
    set("number", number.clone().into());
    set("token", token.clone().into());
    set("entity", consent.entity.into());
    set("scope", consent.scope.into());
    set("cause", Cause::from_code(consent.cause).map(Cause::name).into());
    set("review", nth(&Review::ALL, consent.review).map(|one| one.name()).into());
    set("class", nth(&ConsentClass::ALL, consent.class).map(|one| one.name()).into());
    set("until", (consent.until_us > 0).then(|| time_text(consent.until_us)).into());
    set("proof_sha256", hex(consent.proof).into());
    let is_import = consent.happened == ConsentRecord::IMPORTED;
    set("count", is_import.then_some(consent.count).into());
    set("source", Source::from_code(consent.source).map(Source::name).into());
    set("ledger_event", (consent.event > 0).then_some(consent.event).into());
    let person = token.unwrap_or(number);
    ConsentMessage {
        key: format!("{}/{person}", consent.entity),
        value: Value::Object(object).to_string(),
    }
}

/// What a code from 1 on names.
fn nth<T: Copy>(all: &[T], code: u8) -> Option<T> {
    all.get(usize::from(code).checked_sub(1)?).copied()
}
