//! What operators ask and tell the ledger, as texts: the admin API serves it over HTTP, the command
//! line asks it directly when no proxy runs. Both see the same octets.
//!
//! | ask | path below `/api/v1/consents` | body | answer |
//! |---|---|---|---|
//! | `Events` | | events, one [`Line`] a line | `{"taken","refused":[{"line","why"}]}` |
//! | `Import` | `/import` | the same; times are what the file states | the same |
//! | `Standings` | `/standings` | `{"number","entity","scope","at"}` a line | one a line |
//! | `History` | `/history` | `{"number","entity"}` | one event a line |
//! | `Export` | `/export` | `{"entity","number"}` of the last, or nothing | up to [`PAGE_PAIRS`] standings |
//! | `Stats` | `/stats` | nothing | one object |
//! | `Progress` | `/progress` | `{"import"}` | how far that import came, or `null` |
//! | `Note` | `/note` | `{"import","progress"}` | `{}` |
//!
//! Where nodes share a ledger and its engine does not answer, `waiting` says how many revocations are kept
//! here until it does; nothing else is taken. One that names no entity is then for every entity whose name
//! is known here, [`super::UNSURE_EVENTS_MAX`] events of such lines at most.
//!
//! Every answer to something told comes when it is on the disk. Numbers are whole in answers: who
//! asks has shown the token.

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::line::{self, hex};
use super::{
    EVENT_KINDS, EntityId, Event, Gathered, Grant, Happened, ImportKey, Kept, Ledger, Line,
    LineFault, Progress, Question, Refused, Scope, Source, Unavailable,
};
use crate::policy::{Standing, StandingState};
use crate::registry::Msisdn;

/// Pairs of one page of an export.
pub const PAGE_PAIRS: usize = 500;

macro_rules! asks {
    ($($(#[$doc:meta])* $ask:ident $path:literal)*) => {
        /// What is asked or told.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Ask {
            $($(#[$doc])* $ask,)*
        }

        impl Ask {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$ask,)*];

            /// The path below `/api/v1/consents`.
            pub const fn path(self) -> &'static str {
                match self { $(Self::$ask => $path,)* }
            }
        }
    };
}

asks! {
    /// Events happened.
    Events ""
    /// A file states events.
    Import "/import"
    /// How do these pairs stand?
    Standings "/standings"
    /// What happened with this pair?
    History "/history"
    /// The next pairs.
    Export "/export"
    /// Figures.
    Stats "/stats"
    /// How far did this import come?
    Progress "/progress"
    /// So far it came.
    Note "/note"
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeskFault {
    /// The body cannot be read.
    #[error("line {line}: {why}")]
    Malformed {
        /// Which line of the body, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The ledger cannot tell or write.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What the ledger took, for whoever keeps a record of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// One event.
    Event {
        /// It.
        event: Event,
        /// Its number in the ledger.
        number: u64,
        /// The name of its legal entity.
        entity: String,
        /// The name of the scope that it is about; empty for all of the entity.
        scope: String,
        /// The id that it came with from a stream; else empty.
        id: String,
    },
    /// Events of a file.
    Imported {
        /// How many.
        taken: u64,
        /// SHA-256 of what was imported.
        sha256: [u8; 32],
        /// When, microseconds since the Unix epoch.
        time_us: u64,
    },
}

/// Answers. Blocks: reads and writes the disk. `source` is noted with events that are told, and what of
/// them was taken is added to `told`, when it is on the disk.
pub fn answer(
    ledger: &Ledger,
    ask: Ask,
    body: &[u8],
    source: Source,
    now_us: u64,
    told: &mut Vec<Told>,
) -> Result<String, DeskFault> {
    match ask {
        Ask::Events => events(ledger, body, source, now_us, told),
        Ask::Import => {
            let mut each = Vec::new();
            let answer = events(ledger, body, Source::File, now_us, &mut each)?;
            let (taken, sha256) = (each.len() as u64, Sha256::digest(body).into());
            told.extend((taken > 0).then_some(Told::Imported { taken, sha256, time_us: now_us }));
            Ok(answer)
        }
        Ask::Standings => standings(ledger, body, now_us),
        Ask::History => history(ledger, body),
        Ask::Export => export(ledger, body, now_us),
        Ask::Stats => Ok(stats(ledger).to_string()),
        Ask::Progress => {
            let asked: AskedImport = object(body)?;
            let progress = ledger.import_progress(asked.key()?)?;
            Ok(json!(progress).to_string())
        }
        Ask::Note => {
            let told: AskedImport = object(body)?;
            ledger.note_progress(told.key()?, &told.progress)?;
            Ok("{}".to_owned())
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedImport {
    import: String,
    #[serde(default)]
    progress: Progress,
}

impl AskedImport {
    fn key(&self) -> Result<ImportKey, DeskFault> {
        line::digest(&self.import).map(ImportKey).map_err(|_| DeskFault::Malformed {
            line: 1,
            why: "import: is not 64 hexadecimal digits".to_owned(),
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AskedPair {
    number: String,
    entity: String,
    scope: String,
    at: String,
}

fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, DeskFault> {
    let why = "is not the JSON object that is asked for here";
    serde_json::from_slice(body).map_err(|_| DeskFault::Malformed { line: 1, why: why.to_owned() })
}

/// The lines that are not blank, numbered from 1.
fn lines(body: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    (1..).zip(body.split(|octet| *octet == b'\n')).filter(|(_, line)| !line.trim_ascii().is_empty())
}

fn events(
    ledger: &Ledger,
    body: &[u8],
    source: Source,
    now_us: u64,
    told: &mut Vec<Told>,
) -> Result<String, DeskFault> {
    let now_us = ledger.now_us(now_us);
    let mut gathered = Gathered::of_operator();
    // The line of each event.
    let mut numbers: Vec<usize> = Vec::new();
    let mut refused: Vec<(usize, String)> = Vec::new();
    for (number, text) in lines(body) {
        let read = Line::from_json(text)
            .and_then(|line| line.events(ledger, source, now_us, &mut gathered));
        match read {
            Ok(()) => numbers.resize(gathered.events.len(), number),
            Err(LineFault::Name(_, super::NameFault::Unavailable(why))) => return Err(why.into()),
            Err(fault) => refused.push((number, fault.to_string())),
        }
    }
    let events = gathered.events;
    let (left_out, waiting) = tell(ledger, &events, now_us, |_, one| told.push(one))?;
    let taken = events.len() - left_out.len();
    for one in left_out {
        refused.push((numbers.get(one.at).copied().unwrap_or(0), one.fault.to_string()));
    }
    refused.sort();
    let refused: Vec<Value> =
        refused.into_iter().map(|(line, why)| json!({ "line": line, "why": why })).collect();
    let mut answer = json!({ "taken": taken, "refused": refused });
    if waiting > 0 {
        answer["waiting"] = waiting.into();
    }
    Ok(answer.to_string())
}

/// Tells the ledger of events: [`Ledger::tell`], with what it refused, and how many events wait. `each` is told
/// of every event that it took, with its place among `events`. Blocks.
pub fn tell(
    ledger: &Ledger,
    events: &[Event],
    now_us: u64,
    mut each: impl FnMut(usize, Told),
) -> Result<(Vec<Refused>, u64), Unavailable> {
    let (mut refused, mut kept) = (Vec::new(), Vec::new());
    let mut keep = |at: usize, number: u64| kept.push((at, number));
    let waiting = ledger.tell(events, now_us, &mut refused, &mut keep)?;
    for (at, number) in kept {
        if let Some(event) = events.get(at) {
            each(at, Told::of(ledger, event, number, ""));
        }
    }
    Ok((refused, waiting))
}

impl Told {
    /// One event, which came with this id, or none.
    pub fn of(ledger: &Ledger, event: &Event, number: u64, id: &str) -> Told {
        let entity = ledger.entity_name(event.entity);
        let scope = ledger.scope_name(event.happened.scope());
        Told::Event { event: *event, number, entity, scope, id: id.to_owned() }
    }
}

fn standings(ledger: &Ledger, body: &[u8], now_us: u64) -> Result<String, DeskFault> {
    let mut out = String::new();
    for (number, text) in lines(body) {
        let malformed = |why: String| DeskFault::Malformed { line: number, why };
        let asked: AskedPair = serde_json::from_slice(text)
            .map_err(|_| malformed("is not {\"number\",\"entity\",\"scope\",\"at\"}".to_owned()))?;
        let recipient =
            line::number(&asked.number).map_err(|fault| malformed(fault.to_string()))?;
        let at_us = match asked.at.as_str() {
            "" => None,
            at => {
                Some(line::moment("at", at, false).map_err(|fault| malformed(fault.to_string()))?)
            }
        };
        let known = ledger.find_entity(&asked.entity).zip(ledger.find_scope(&asked.scope));
        let standing = match known {
            None => Standing::NONE,
            Some((entity, scope)) => {
                let question = Question { entity, recipient, scope };
                one_standing(ledger, &question, at_us, now_us)?
            }
        };
        let shown = Shown { entity: &asked.entity, recipient, scope: &asked.scope };
        out.push_str(&shown.standing(&standing, at_us.unwrap_or(now_us)).to_string());
        out.push('\n');
    }
    Ok(out)
}

fn one_standing(
    ledger: &Ledger,
    question: &Question,
    at_us: Option<u64>,
    now_us: u64,
) -> Result<Standing, Unavailable> {
    match at_us {
        Some(at_us) => ledger.standing_at(question, at_us),
        None => ledger.standing(question, now_us),
    }
}

fn history(ledger: &Ledger, body: &[u8]) -> Result<String, DeskFault> {
    let asked: AskedPair = object(body)?;
    let recipient = line::number(&asked.number)
        .map_err(|fault| DeskFault::Malformed { line: 1, why: fault.to_string() })?;
    let Some(entity) = ledger.find_entity(&asked.entity) else { return Ok(String::new()) };
    let mut out = String::new();
    for kept in ledger.history(entity, recipient)? {
        out.push_str(&event(ledger, &asked.entity, &kept).to_string());
        out.push('\n');
    }
    Ok(out)
}

fn export(ledger: &Ledger, body: &[u8], now_us: u64) -> Result<String, DeskFault> {
    let after = if body.trim_ascii().is_empty() { None } else { Some(object::<AskedPair>(body)?) };
    let malformed = |why: &str| DeskFault::Malformed { line: 1, why: why.to_owned() };
    let after: Option<(EntityId, Msisdn)> = match after {
        None => None,
        Some(asked) => {
            let entity = ledger.find_entity(&asked.entity);
            let number = asked.number.parse().ok().and_then(Msisdn::new);
            Some(entity.zip(number).ok_or_else(|| malformed("is not a pair of this ledger"))?)
        }
    };
    let mut out = String::new();
    for (entity, recipient) in ledger.pairs_after(after, PAGE_PAIRS)? {
        let name = ledger.entity_name(entity);
        for (scope, standing) in ledger.pair_standings(entity, recipient, now_us)? {
            let scope = ledger.scope_name(scope);
            let shown = Shown { entity: &name, recipient, scope: &scope };
            out.push_str(&shown.standing(&standing, now_us).to_string());
            out.push('\n');
        }
    }
    Ok(out)
}

fn stats(ledger: &Ledger) -> Value {
    let stats = ledger.stats();
    let events: serde_json::Map<String, Value> =
        EVENT_KINDS.iter().zip(stats.events).map(|(k, n)| ((*k).to_owned(), n.into())).collect();
    json!({
        "pairs": stats.pairs,
        "events": events,
        "entities": stats.entities,
        "backlog_events": stats.backlog_events,
        "hot_pairs": stats.hot_pairs,
        "hot_whole": stats.is_hot_whole,
        "octets": stats.octets,
    })
}

/// Of whom a standing is shown.
struct Shown<'a> {
    entity: &'a str,
    recipient: Msisdn,
    scope: &'a str,
}

impl Shown<'_> {
    fn standing(&self, standing: &Standing, now_us: u64) -> Value {
        let is_granted = standing.state == StandingState::Granted;
        let state = match standing.state {
            _ if standing.is_expired(now_us) => "expired",
            state => state.name(),
        };
        let until =
            (is_granted && standing.until_us != Standing::NO_END).then_some(standing.until_us);
        let promise =
            standing.promised.map(|one| format!("{}/{}", one.messages, one.period.name()));
        json!({
            "number": self.recipient.unmasked(),
            "entity": self.entity,
            "scope": self.scope,
            "state": state,
            "review": (is_granted || standing.review != Default::default())
                .then(|| standing.review.name()),
            "class": is_granted.then(|| standing.class.name()),
            "from": (standing.from_us > 0).then(|| time(standing.from_us)),
            "until": until.map(time),
            "promise": promise,
            "sent": standing.promised.map(|_| standing.sent),
            "event": (standing.event > 0).then_some(standing.event),
        })
    }
}

fn event(ledger: &Ledger, entity: &str, kept: &Kept) -> Value {
    let mut line = json!({
        "event": kept.sequence,
        "recorded": time(kept.recorded_us),
        "time": time(kept.event.time_us),
        "number": kept.event.recipient.unmasked(),
        "entity": entity,
        "source": kept.event.source.name(),
    });
    let scoped = |scope: Scope| Value::from(ledger.scope_name(scope));
    let fields: Vec<(&str, Value)> = match &kept.event.happened {
        Happened::Granted(grant) => granted(grant, scoped(grant.scope)),
        Happened::Revoked(cause) => {
            vec![("happened", "revoked".into()), ("cause", cause.name().into())]
        }
        Happened::Reviewed { scope, sha256, review } => vec![
            ("happened", "reviewed".into()),
            ("scope", scoped(*scope)),
            ("review", review.name().into()),
            ("proof_sha256", sha256.map(|sha256| hex(&sha256)).into()),
        ],
        Happened::Asked { content } => {
            vec![("happened", "asked".into()), ("content", (*content).into())]
        }
        Happened::Sent { scope } => vec![("happened", "sent".into()), ("scope", scoped(*scope))],
    };
    if let Some(line) = line.as_object_mut() {
        line.extend(fields.into_iter().map(|(key, value)| (key.to_owned(), value)));
    }
    line
}

fn granted(grant: &Grant, scope: Value) -> Vec<(&'static str, Value)> {
    let promise = grant.promise.map(|one| format!("{}/{}", one.messages, one.period.name()));
    vec![
        ("happened", "granted".into()),
        ("scope", scope),
        ("class", grant.class.name().into()),
        ("until", grant.until_us.map(time).into()),
        ("promise", promise.into()),
        ("proof", grant.proof.kind.name().into()),
        ("proof_sha256", hex(&grant.proof.sha256).into()),
        ("review", grant.proof.review.name().into()),
    ]
}

/// Microseconds since the Unix epoch as RFC 3339, UTC.
fn time(time_us: u64) -> String {
    let time = i64::try_from(time_us).ok().map(jiff::Timestamp::from_microsecond);
    time.and_then(Result::ok).map_or_else(|| time_us.to_string(), |time| time.to_string())
}
