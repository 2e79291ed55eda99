//! Kind `kafka`: one message a row, an NDJSON object, keyed by the provider's name, so that the rows of a
//! provider stay in their order. Acknowledged by all replicas in step, by an idempotent producer; after
//! a failure a batch is sent again, so consumers go by `journal` and `record`.
//!
//! Without TLS and SASL.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::consents::{At, consent_message};
use super::sink::{Delivered, Rejected, Seam, SinkFault, object};
use crate::archive::{Column, Numbers, Row, Value};
use crate::audit::ConsentRecord;

/// How long a broker may take for a message, all tries counted.
const MESSAGE: Duration = Duration::from_secs(30);
/// How long is waited for room in the producer's queue before it is tried again.
const QUEUE: Duration = Duration::from_millis(20);

/// The other side.
pub(super) struct Kafka {
    brokers: String,
    topic: String,
    head: String,
    producer: Option<FutureProducer>,
    rows: Vec<KafkaRow>,
}

struct KafkaRow {
    record: u64,
    /// The provider, or the pair that an event is of.
    key: String,
    line: String,
}

impl Kafka {
    pub fn new(brokers: &[String], topic: &str, head: String) -> Kafka {
        let brokers = brokers.join(",");
        Kafka { brokers, topic: topic.to_owned(), head, producer: None, rows: Vec::new() }
    }

    pub fn take(&mut self, record: u64, seam: &Seam, row: &Row<'_>) {
        let provider = match row.value(Column::Provider) {
            Value::Text(name) => name.to_string(),
            Value::None | Value::Number(_) | Value::Time(_) => String::new(),
        };
        let mut line = String::new();
        object(&self.head, seam, row, &mut line);
        line.pop();
        self.rows.push(KafkaRow { record, key: provider, line });
    }

    /// Takes an event of consent, as a stream tells it.
    pub fn take_consent(&mut self, at: At<'_>, consent: &ConsentRecord<'_>, numbers: Numbers<'_>) {
        let message = consent_message(at, consent, numbers);
        self.rows.push(KafkaRow { record: at.record, key: message.key, line: message.value });
    }

    /// A producer that failed may be out of step for good: the next delivery makes another.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.producer = None;
    }

    pub async fn deliver(&mut self) -> Result<Delivered, SinkFault> {
        let producer = match &self.producer {
            Some(producer) => producer.clone(),
            None => self.producer.insert(producer(&self.brokers)?).clone(),
        };
        let mut sent = Vec::new();
        for row in &self.rows {
            loop {
                let message = FutureRecord::to(&self.topic).key(&row.key).payload(&row.line);
                match producer.send_result(message) {
                    Ok(delivery) => sent.push((row, Ok(delivery))),
                    Err((error, _))
                        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) =>
                    {
                        tokio::time::sleep(QUEUE).await;
                        continue;
                    }
                    Err((error, _)) => sent.push((row, Err(error))),
                }
                break;
            }
        }
        let mut rejected = Vec::new();
        for (row, delivery) in sent {
            let delivered = match delivery {
                Ok(delivery) => match delivery.await {
                    Ok(delivered) => delivered.map(drop).map_err(|(error, _)| error),
                    Err(_) => return Err(SinkFault::Down("the producer was closed".to_owned())),
                },
                Err(error) => Err(error),
            };
            match delivered {
                Ok(()) => {}
                Err(error) if is_of_a_row(&error) => rejected.push(Rejected {
                    record: row.record,
                    why: error.to_string(),
                    line: row.line.clone(),
                }),
                Err(error) => return Err(SinkFault::Down(error.to_string())),
            }
        }
        self.rows.clear();
        Ok(Delivered { durable: true, rejected })
    }
}

fn producer(brokers: &str) -> Result<FutureProducer, SinkFault> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("client.id", "consentry")
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", MESSAGE.as_millis().to_string())
        .create()
        .map_err(|error| SinkFault::Down(error.to_string()))
}

/// Whether no other try will be taken: the message itself is what is wrong.
fn is_of_a_row(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidRecord)
    )
}
