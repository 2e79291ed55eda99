//! What every other side does: take rows, deliver them, be cleared when that failed.

use super::lines::Lines;
use super::place::Growing;
use super::postgres::Postgres;
use super::tables::Tables;
use super::{Format, Options, To};
use crate::archive::{Numbers, Row};
use crate::audit::ConsentRecord;
use crate::postgres::Server;

/// Why a delivery failed, or a mirror cannot be begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkFault {
    /// It is tried again.
    #[error("{0}")]
    Down(String),
    /// The configuration is wrong: trying again changes nothing.
    #[error("{0}")]
    Setting(String),
}

impl From<std::io::Error> for SinkFault {
    fn from(error: std::io::Error) -> SinkFault {
        SinkFault::Down(error.to_string())
    }
}

/// A row that the other side will never take.
pub(super) struct Rejected {
    /// The record.
    pub record: u64,
    /// What the other side says, without values.
    pub why: String,
    /// The row as it was sent.
    pub line: String,
}

/// What a delivery did.
#[derive(Default)]
pub(super) struct Delivered {
    /// Whether everything taken so far is where it stays; else the place must not move on.
    pub durable: bool,
    pub rejected: Vec<Rejected>,
}

/// How a row hangs together with the journal, whatever becomes of either.
pub(super) struct Seam {
    /// The record of the row before it; 0 for the first, none where nobody knows.
    pub previous: Option<u64>,
    /// What the record is in the Merkle tree of its group.
    pub leaf: [u8; 32],
}

/// The other side of one mirror.
pub(super) enum Sink {
    Lines(Lines),
    Tables(Box<Tables>),
    Postgres(Box<Postgres>),
    #[cfg(feature = "kafka")]
    Kafka(super::kafka::Kafka),
    /// A topic of consent events, with the node and the word of the journal that name them.
    #[cfg(feature = "kafka")]
    Consents(super::kafka::Kafka, String, String),
}

impl Sink {
    /// Makes it; nothing is connected to yet.
    pub fn new(options: &Options, journal: &str) -> Result<Sink, SinkFault> {
        let head = head(&options.node, journal);
        Ok(match &options.to {
            To::Files { folder, format: Format::Ndjson, octets, age } => {
                Sink::Lines(Lines::new(folder.clone(), head, *octets, *age))
            }
            To::Files { folder, format: Format::Parquet, octets, age } => Sink::Tables(Box::new(
                Tables::new(folder.clone(), *octets, *age, &options.node, journal),
            )),
            To::Postgres { url, password, table } => {
                let server = Server::new(url.clone(), password.clone())
                    .map_err(|fault| SinkFault::Setting(fault.to_string()))?;
                Sink::Postgres(Box::new(Postgres::new(&server, table, options, journal)))
            }
            #[cfg(feature = "kafka")]
            To::Kafka { brokers, topic } => {
                Sink::Kafka(super::kafka::Kafka::new(brokers, topic, head))
            }
            #[cfg(feature = "kafka")]
            To::Consents { brokers, topic } => Sink::Consents(
                super::kafka::Kafka::new(brokers, topic, head),
                options.node.clone(),
                journal.to_owned(),
            ),
            #[cfg(not(feature = "kafka"))]
            To::Kafka { .. } | To::Consents { .. } => {
                let says = "Kafka: this program was built without it; build with --features kafka";
                return Err(SinkFault::Setting(says.to_owned()));
            }
        })
    }

    /// Goes on with the file that was being written.
    pub fn resume(&mut self, file: Option<Growing>) -> Result<(), SinkFault> {
        match self {
            Sink::Lines(lines) => lines.resume(file),
            Sink::Tables(tables) => tables.resume(),
            Sink::Postgres(_) => Ok(()),
            #[cfg(feature = "kafka")]
            Sink::Kafka(_) | Sink::Consents(..) => Ok(()),
        }
    }

    /// Takes one row, to be delivered with the others.
    pub fn take(
        &mut self,
        (record, time_us): (u64, u64),
        seam: &Seam,
        row: &Row<'_>,
    ) -> Result<(), SinkFault> {
        match self {
            Sink::Lines(lines) => lines.take(record, seam, row),
            Sink::Tables(tables) => return tables.take(record, row),
            Sink::Postgres(postgres) => postgres.take((record, time_us), seam, row),
            #[cfg(feature = "kafka")]
            Sink::Kafka(kafka) => kafka.take(record, seam, row),
            // It is told of records: see `take_consent`.
            #[cfg(feature = "kafka")]
            Sink::Consents(..) => {}
        }
        Ok(())
    }

    /// Whether it is told of consent alone, record by record, not row by row.
    pub fn is_of_consent(&self) -> bool {
        #[cfg(feature = "kafka")]
        return matches!(self, Sink::Consents(..));
        #[cfg(not(feature = "kafka"))]
        false
    }

    /// Takes one event of consent, where that is all that it is told of.
    pub fn take_consent(
        &mut self,
        (record, time_us): (u64, u64),
        consent: &ConsentRecord<'_>,
        numbers: Numbers<'_>,
    ) {
        #[cfg(feature = "kafka")]
        if let Sink::Consents(kafka, node, journal) = self {
            let at = super::consents::At { node, journal, record, time_us };
            kafka.take_consent(at, consent, numbers);
        }
        #[cfg(not(feature = "kafka"))]
        let _ = (record, time_us, consent, numbers);
    }

    /// Delivers what was taken. Returns when the other side has it, or has not.
    pub async fn deliver(&mut self) -> Result<Delivered, SinkFault> {
        match self {
            Sink::Lines(lines) => lines.deliver(),
            Sink::Tables(tables) => tables.deliver(),
            Sink::Postgres(postgres) => postgres.deliver().await,
            #[cfg(feature = "kafka")]
            Sink::Kafka(kafka) | Sink::Consents(kafka, ..) => kafka.deliver().await,
        }
    }

    /// The place has moved on behind what was delivered: a file that is big or old enough is finished.
    pub fn moved_on(&mut self) -> Result<(), SinkFault> {
        match self {
            Sink::Lines(lines) => lines.rotate_if_due(),
            Sink::Tables(_) | Sink::Postgres(_) => Ok(()),
            #[cfg(feature = "kafka")]
            Sink::Kafka(_) | Sink::Consents(..) => Ok(()),
        }
    }

    /// Whether something is to be delivered although no row came.
    pub fn is_due(&self) -> bool {
        matches!(self, Sink::Tables(tables) if tables.is_due())
    }

    /// The file that is being written, for the place.
    pub fn file(&self) -> Option<Growing> {
        match self {
            Sink::Lines(lines) => lines.growing(),
            Sink::Tables(_) | Sink::Postgres(_) => None,
            #[cfg(feature = "kafka")]
            Sink::Kafka(_) | Sink::Consents(..) => None,
        }
    }

    /// Forgets what was taken and not delivered: it will be taken again.
    pub fn clear(&mut self) {
        match self {
            Sink::Lines(lines) => lines.clear(),
            Sink::Tables(tables) => tables.clear(),
            Sink::Postgres(postgres) => postgres.clear(),
            #[cfg(feature = "kafka")]
            Sink::Kafka(kafka) | Sink::Consents(kafka, ..) => kafka.clear(),
        }
    }
}

/// How the JSON object of a row begins: `{"node":"...","journal":"...",`.
fn head(node: &str, journal: &str) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    format!("{{\"node\":{},\"journal\":{},", quoted(node), quoted(journal))
}

/// Appends the JSON object of a row, with its end of line.
pub(super) fn object(head: &str, seam: &Seam, row: &Row<'_>, out: &mut String) {
    let begin = out.len();
    crate::archive::ndjson_line(row, out);
    let previous = seam.previous.map_or(String::new(), |last| format!("\"previous\":{last},"));
    let leaf = hex(&seam.leaf);
    out.replace_range(begin..=begin, &format!("{head}{previous}\"leaf\":\"{leaf}\","));
}

/// Octets as lower case hexadecimal digits.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
