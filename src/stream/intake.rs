//! A batch of messages into the ledger and onto record.

use std::collections::HashMap;
use std::sync::Arc;

use super::Record;
use crate::consent::desk::{self, Told};
use crate::consent::{
    Event, EventFault, Gathered, IdKey, Ledger, Line, LineFault, NameFault, Source, Unavailable,
};

/// A message as it came.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// The partition that it came from.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// The time that the producer or the broker gave it, microseconds since the Unix epoch.
    pub time_us: Option<u64>,
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
    /// What it says.
    pub payload: Vec<u8>,
    /// Whether it may have been taken before without anybody remembering its id.
    pub is_doubtful: bool,
}

// It holds somebody's number.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Message { partition, offset, payload, .. } = self;
        write!(f, "Message {{ {partition}/{offset}, {} octets }}", payload.len())
    }
}

/// Why a batch could not be taken: it has to be tried again, whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeFault {
    /// The ledger can neither tell nor write.
    #[error(transparent)]
    Ledger(#[from] Unavailable),
    /// No record could be kept.
    #[error("{0}")]
    Record(String),
}

/// What became of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Messages that changed the ledger, now or when they came before.
    pub taken: u64,
    /// Messages that changed nothing: the ledger has them from before.
    pub known: u64,
    /// The others: place in the batch, from 0, and why, without values.
    pub rejected: Vec<(usize, String)>,
    /// What is to be remembered of the batch.
    ids: Vec<IdKey>,
}

/// Takes batches of one stream.
pub struct Intake {
    name: String,
    entity: Option<String>,
    ledger: Ledger,
    record: Arc<Record>,
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How far a message came.
enum Read {
    /// Its events stand in the list of events, from the first to before the second.
    Events { id: String, key: IdKey, from: usize, to: usize },
    /// The ledger remembers its id.
    Remembered,
    /// Another message of the batch has its id: the one at that place.
    Again(usize),
    /// Nobody can read it.
    Malformed(String),
}

impl Intake {
    /// For the stream of that name. With `entity` every message is about this one.
    pub fn new(name: &str, entity: Option<String>, ledger: Ledger, record: Arc<Record>) -> Intake {
        Intake { name: name.to_owned(), entity, ledger, record }
    }

    /// Tells the ledger what is new in a batch, and keeps it on record. Blocks. When this returns the events
    /// are durable, their ids are not remembered yet: see [`Intake::remember`].
    pub fn take(&self, messages: &[Message], now_us: u64) -> Result<Done, IntakeFault> {
        let now_us = self.ledger.now_us(now_us);
        let mut gathered = Gathered::default();
        let read = self.read(messages, now_us, &mut gathered)?;
        let events = gathered.events;
        let mut told = Vec::new();
        let mut becomes: Vec<Became> = vec![Became::Known; events.len()];
        // What was told before without being remembered is in the history of its pair.
        let mut fresh: Vec<usize> = Vec::new();
        for (message, read) in messages.iter().zip(&read) {
            let Read::Events { id, from, to, .. } = read else { continue };
            for at in *from..*to {
                let Some(event) = events.get(at) else { continue };
                let before = if message.is_doubtful { self.told_before(event)? } else { None };
                match before {
                    None => fresh.push(at),
                    Some(number) => {
                        set(&mut becomes, at, Became::Taken);
                        told.push(Told::of(&self.ledger, event, number, id));
                    }
                }
            }
        }
        let new: Vec<Event> = fresh.iter().filter_map(|at| events.get(*at).copied()).collect();
        let mut numbered = Vec::new();
        let (refused, _) =
            desk::tell(&self.ledger, &new, now_us, |at, one| numbered.push((at, one)))?;
        for (at, mut one) in numbered {
            let Some(at) = fresh.get(at).copied() else { continue };
            if let Told::Event { id, .. } = &mut one {
                *id = id_of(&read, at).to_owned();
            }
            set(&mut becomes, at, Became::Taken);
            told.push(one);
        }
        for one in &refused {
            if let Some(at) = fresh.get(one.at) {
                set(&mut becomes, *at, Became::Refused(one.fault.to_string()));
            }
        }
        if !told.is_empty() {
            (self.record)(&told, now_us).map_err(IntakeFault::Record)?;
        }
        // Refusals of recipients are kept and in force; the batch comes again when the engine is there.
        if let Some(one) = refused.iter().find(|one| one.fault == EventFault::EngineDown) {
            return Err(IntakeFault::Ledger(Unavailable::Engine(one.fault.to_string().into())));
        }
        Ok(done(&read, &becomes))
    }

    /// Remembers what a batch brought. Blocks until it is durable. Only then may its offsets be committed.
    pub fn remember(&self, done: &Done) -> Result<(), IntakeFault> {
        if done.ids.is_empty() {
            return Ok(());
        }
        Ok(self.ledger.remember(&done.ids)?)
    }

    /// Reads messages, those aside whose ids are known.
    fn read(
        &self,
        messages: &[Message],
        now_us: u64,
        gathered: &mut Gathered,
    ) -> Result<Vec<Read>, IntakeFault> {
        let lines: Vec<_> = messages.iter().map(|one| Line::from_message(&one.payload)).collect();
        let keys: Vec<Option<IdKey>> = lines
            .iter()
            .map(|line| line.as_ref().ok().map(|line| IdKey::of(&self.name, &line.id)))
            .collect();
        let asked: Vec<IdKey> = keys.iter().flatten().copied().collect();
        let mut remembered = self.ledger.remembers(&asked)?.into_iter();
        let mut first: HashMap<IdKey, usize> = HashMap::new();
        let mut read = Vec::new();
        for (at, (message, (line, key))) in
            messages.iter().zip(lines.into_iter().zip(keys)).enumerate()
        {
            let (line, key) = match (line, key) {
                (Ok(line), Some(key)) => (line, key),
                (Ok(_), None) => continue,
                (Err(fault), _) => {
                    read.push(Read::Malformed(fault.to_string()));
                    continue;
                }
            };
            if remembered.next() == Some(true) {
                read.push(Read::Remembered);
                continue;
            }
            if let Some(before) = first.get(&key) {
                read.push(Read::Again(*before));
                continue;
            }
            let from = gathered.events.len();
            match self.events(line, message, now_us, gathered) {
                Ok(id) => {
                    first.insert(key, at);
                    read.push(Read::Events { id, key, from, to: gathered.events.len() });
                }
                Err(LineFault::Name(_, NameFault::Unavailable(why))) => return Err(why.into()),
                Err(fault) => read.push(Read::Malformed(fault.to_string())),
            }
        }
        Ok(read)
    }

    /// The events of a message, appended; its id.
    fn events<'a>(
        &'a self,
        mut line: Line<'a>,
        message: &Message,
        now_us: u64,
        gathered: &mut Gathered,
    ) -> Result<String, LineFault> {
        if let Some(entity) = &self.entity {
            if line.entity.is_empty() {
                line.entity = entity.as_str().into();
            } else if *entity != line.entity {
                let why = "is not the one that this stream speaks for";
                return Err(LineFault::Field("entity", why.to_owned()));
            }
        }
        // The same time whenever it is given again.
        let time_us = match message.time_us {
            Some(time_us) => time_us,
            None if line.time.is_empty() => {
                let why = "is missing, and the message has no timestamp";
                return Err(LineFault::Field("time", why.to_owned()));
            }
            None => now_us,
        };
        line.events(&self.ledger, Source::Stream, time_us, gathered)?;
        Ok(line.id.into_owned())
    }

    /// The number of this very event, if the ledger has it from this stream or another one.
    fn told_before(&self, event: &Event) -> Result<Option<u64>, Unavailable> {
        let history = self.ledger.history(event.entity, event.recipient)?;
        Ok(history.iter().find(|kept| kept.event == *event).map(|kept| kept.sequence))
    }
}

/// What became of one event.
#[derive(Clone)]
enum Became {
    Known,
    Taken,
    Refused(String),
}

fn set(becomes: &mut [Became], at: usize, became: Became) {
    if let Some(place) = becomes.get_mut(at) {
        *place = became;
    }
}

/// The id of the message that an event came with.
fn id_of(read: &[Read], at: usize) -> &str {
    let has =
        |read: &&Read| matches!(read, Read::Events { from, to, .. } if (*from..*to).contains(&at));
    match read.iter().find(has) {
        Some(Read::Events { id, .. }) => id,
        _ => "",
    }
}

/// What became of the messages, by what became of their events.
fn done(read: &[Read], becomes: &[Became]) -> Done {
    let mut done = Done::default();
    let refused = |read: &Read| match read {
        Read::Events { from, to, .. } => {
            becomes.get(*from..*to).unwrap_or_default().iter().find_map(|became| match became {
                Became::Refused(why) => Some(why.clone()),
                Became::Known | Became::Taken => None,
            })
        }
        Read::Malformed(why) => Some(why.clone()),
        Read::Remembered | Read::Again(_) => None,
    };
    for (at, one) in read.iter().enumerate() {
        let same = match one {
            Read::Again(before) => read.get(*before).unwrap_or(one),
            _ => one,
        };
        if let Some(why) = refused(same) {
            done.rejected.push((at, why));
            continue;
        }
        match one {
            Read::Events { key, from, to, .. } => {
                let all = becomes.get(*from..*to).unwrap_or_default();
                let is_new = all.iter().any(|became| matches!(became, Became::Taken));
                done.taken += u64::from(is_new);
                done.known += u64::from(!is_new);
                done.ids.push(*key);
            }
            Read::Remembered | Read::Again(_) => done.known += 1,
            Read::Malformed(_) => {}
        }
    }
    done
}
