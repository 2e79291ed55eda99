//! The thread that reads the topic: gathers a batch, has it taken, commits its offsets, waits, tries again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, Message as _, Offset, TopicPartitionList};

use super::{Figures, Intake, Message, Options, Rejected, keep};

/// Octets of a batch after which no more are gathered.
const BATCH_OCTETS: usize = 4 << 20;
/// Octets that librdkafka reads ahead at most, KiB.
const AHEAD_KIB: u32 = 8 << 10;
/// Messages of a partition that may have been taken without being remembered, after it was assigned: more than
/// any batch has.
const DOUBTFUL: usize = 5_000;
/// How long is waited for the first message of a batch.
const POLL: Duration = Duration::from_millis(200);
/// How often it is looked how far behind the group is.
const LAG: Duration = Duration::from_secs(1);
/// How long a broker may take to say so.
const ASK: Duration = Duration::from_secs(2);
/// How long a rejected message may take to its topic.
const REJECT: Duration = Duration::from_secs(30);
/// After how long without a sign of life the group gives this consumer's partitions to others, and after how
/// long in which no batch could be taken, milliseconds.
const SESSION_MS: u32 = 10_000;
const STUCK_MS: u32 = 60_000;
/// How long is waited after the first failure; twice as long after each that follows, and at most.
const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// How often a wait looks whether it is over.
const LOOK: Duration = Duration::from_millis(50);

/// A stream at work. Dropping it stops it.
#[derive(Debug)]
pub struct Stream {
    name: String,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stream {
    /// Begins to read where the group was last; a new group at the topic's oldest message. No broker need be
    /// there. The error is a sentence.
    pub fn start(options: Options) -> Result<Stream, String> {
        let (counters, stop) = (Arc::new(Counters::default()), Arc::new(AtomicBool::new(false)));
        let name = options.name.clone();
        let consumer = consumer(&options).map_err(|error| error.to_string())?;
        let worker = Worker::new(options, counters.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name(format!("stream {name}"))
            .spawn(move || worker.run(&consumer))
            .map_err(|error| error.to_string())?;
        Ok(Stream { name, counters, stop, thread: Some(thread) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is and what it did.
    pub fn figures(&self) -> Figures {
        self.counters.figures()
    }

    /// Stops it; what is being taken is given again next time. Blocks until its thread ends.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.end();
    }
}

/// [`Figures`] while they grow.
#[derive(Debug, Default)]
struct Counters {
    lag: AtomicU64,
    taken: AtomicU64,
    known: AtomicU64,
    rejected: AtomicU64,
    failures: AtomicU64,
}

impl Counters {
    fn figures(&self) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            lag: read(&self.lag),
            taken: read(&self.taken),
            known: read(&self.known),
            rejected: read(&self.rejected),
            failures: read(&self.failures),
        }
    }
}

/// Counts how often partitions were assigned: what came before says nothing of what comes then.
#[derive(Default)]
struct Assignments(AtomicU64);

impl ClientContext for Assignments {}

impl ConsumerContext for Assignments {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            self.0.fetch_add(1, Ordering::AcqRel);
            tracing::debug!(partitions = partitions.count(), "partitions assigned");
        }
    }
}

fn consumer(options: &Options) -> KafkaResult<BaseConsumer<Assignments>> {
    let consumer: BaseConsumer<Assignments> = ClientConfig::new()
        .set("bootstrap.servers", options.brokers.join(","))
        .set("client.id", "consentry")
        .set("group.id", &options.group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("session.timeout.ms", SESSION_MS.to_string())
        .set("max.poll.interval.ms", STUCK_MS.to_string())
        .set("queued.max.messages.kbytes", AHEAD_KIB.to_string())
        .create_with_context(Assignments::default())?;
    consumer.subscribe(&[&options.topic])?;
    Ok(consumer)
}

/// What is known of a partition since it was assigned.
struct Partition {
    /// The offset that comes next.
    next: i64,
    /// How many messages may still be doubtful.
    doubtful: usize,
}

struct Worker {
    options: Options,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
    intake: Intake,
    partitions: HashMap<i32, Partition>,
    /// [`Assignments`] as they were counted when the partitions were.
    assigned: u64,
    rejects: Option<BaseProducer<Failed>>,
    looked: Option<Instant>,
    backoff: Duration,
    /// The last failure, while it lasts.
    failing: Option<String>,
}

impl Worker {
    fn new(options: Options, counters: Arc<Counters>, stop: Arc<AtomicBool>) -> Worker {
        let intake = Intake::new(
            &options.name,
            options.entity.clone(),
            options.ledger.clone(),
            options.record.clone(),
        );
        Worker {
            options,
            counters,
            stop,
            intake,
            partitions: HashMap::new(),
            assigned: 0,
            rejects: None,
            looked: None,
            backoff: BACKOFF_MIN,
            failing: None,
        }
    }

    /// Reads until it is told to stop.
    fn run(mut self, consumer: &BaseConsumer<Assignments>) {
        while !self.is_stopped() {
            let batch = self.gather(consumer);
            if !batch.is_empty() && self.settle(consumer, batch) {
                self.commit(consumer);
            }
            self.look(consumer);
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Messages that come within the wait, as many as make a batch.
    fn gather(&mut self, consumer: &BaseConsumer<Assignments>) -> Vec<Message> {
        let (mut batch, mut octets) = (Vec::new(), 0);
        let mut until = Instant::now() + POLL;
        while batch.len() < self.options.batch && octets < BATCH_OCTETS {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match consumer.poll(left) {
                None => {}
                Some(Ok(message)) => {
                    if batch.is_empty() {
                        until = Instant::now() + self.options.wait;
                    }
                    let message = self.owned(consumer, &message);
                    octets += message.payload.len();
                    batch.push(message);
                }
                Some(Err(error)) => {
                    self.fail(&error.to_string());
                    break;
                }
            }
        }
        batch
    }

    fn owned(
        &mut self,
        consumer: &BaseConsumer<Assignments>,
        message: &BorrowedMessage<'_>,
    ) -> Message {
        let assigned = consumer.context().0.load(Ordering::Acquire);
        if assigned != self.assigned {
            self.assigned = assigned;
            self.partitions.clear();
        }
        let (number, offset) = (message.partition(), message.offset());
        let anew = Partition { next: offset, doubtful: DOUBTFUL };
        let partition = self.partitions.entry(number).or_insert(anew);
        if partition.next != offset {
            partition.doubtful = DOUBTFUL;
        }
        let is_doubtful = partition.doubtful > 0;
        partition.doubtful = partition.doubtful.saturating_sub(1);
        partition.next = offset + 1;
        let millis = message.timestamp().to_millis().and_then(|millis| u64::try_from(millis).ok());
        Message {
            partition: number,
            offset,
            time_us: millis.map(|millis| millis.saturating_mul(1_000)),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().unwrap_or_default().to_vec(),
            is_doubtful,
        }
    }

    /// Has a batch taken, as often as it takes; whether it was, before the stream was stopped.
    fn settle(&mut self, consumer: &BaseConsumer<Assignments>, mut batch: Vec<Message>) -> bool {
        loop {
            match self.take(&batch) {
                Ok(()) => {
                    self.heal();
                    return true;
                }
                Err(why) => self.fail(&why),
            }
            // How far it came nobody knows.
            batch.iter_mut().for_each(|message| message.is_doubtful = true);
            self.look(consumer);
            if !self.rest() {
                return false;
            }
        }
    }

    fn take(&mut self, batch: &[Message]) -> Result<(), String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        let done = self.intake.take(batch, now_us).map_err(|fault| fault.to_string())?;
        self.reject(batch, &done.rejected)?;
        self.intake.remember(&done).map_err(|fault| fault.to_string())?;
        let add = |counter: &AtomicU64, more: u64| counter.fetch_add(more, Ordering::Relaxed);
        add(&self.counters.taken, done.taken);
        add(&self.counters.known, done.known);
        add(&self.counters.rejected, done.rejected.len() as u64);
        Ok(())
    }

    /// Keeps what was rejected.
    fn reject(&mut self, batch: &[Message], rejected: &[(usize, String)]) -> Result<(), String> {
        let found = rejected.iter().filter_map(|(at, why)| Some((batch.get(*at)?, why.as_str())));
        let all: Vec<Rejected<'_>> =
            found.map(|(message, why)| Rejected { message, why }).collect();
        let Some(first) = all.first() else { return Ok(()) };
        let (stream, count) = (&self.options.name, all.len());
        let (partition, offset, why) = (first.message.partition, first.message.offset, first.why);
        tracing::warn!(stream, count, partition, offset, why, "messages are rejected");
        match self.options.rejected.clone() {
            None => keep(&self.options.file, &all).map_err(|error| error.to_string()),
            Some(topic) => self.send(&topic, &all).inspect_err(|_| self.rejects = None),
        }
    }

    /// Sends what was rejected to its topic, as it came, and why in headers; returns when it is there.
    fn send(&mut self, topic: &str, all: &[Rejected<'_>]) -> Result<(), String> {
        let producer = match self.rejects.take() {
            Some(producer) => producer,
            None => ClientConfig::new()
                .set("bootstrap.servers", self.options.brokers.join(","))
                .set("client.id", "consentry")
                .set("enable.idempotence", "true")
                .set("message.timeout.ms", REJECT.as_millis().to_string())
                .create_with_context(Failed::default())
                .map_err(|error: KafkaError| error.to_string())?,
        };
        for Rejected { message, why } in all {
            let offset = format!("{}/{}", message.partition, message.offset);
            let from = self.options.topic.as_str();
            let headers = OwnedHeaders::new()
                .insert(Header { key: "consentry-why", value: Some(*why) })
                .insert(Header { key: "consentry-topic", value: Some(from) })
                .insert(Header { key: "consentry-offset", value: Some(offset.as_str()) });
            let mut record: BaseRecord<'_, [u8], [u8]> =
                BaseRecord::to(topic).payload(message.payload.as_slice()).headers(headers);
            if let Some(key) = &message.key {
                record = record.key(key);
            }
            while let Err((error, back)) = producer.send(record) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err(error.to_string());
                }
                record = back;
                producer.poll(LOOK);
            }
        }
        producer.flush(REJECT).map_err(|error| error.to_string())?;
        match producer.context().0.swap(0, Ordering::AcqRel) {
            0 => {
                self.rejects = Some(producer);
                Ok(())
            }
            failed => Err(format!("{failed} rejected messages could not be sent to their topic")),
        }
    }

    /// Everything read is taken. What is not committed comes again, and is known then.
    fn commit(&mut self, consumer: &BaseConsumer<Assignments>) {
        let mut offsets = TopicPartitionList::new();
        for (number, partition) in &self.partitions {
            let offset = Offset::Offset(partition.next);
            if let Err(error) = offsets.add_partition_offset(&self.options.topic, *number, offset) {
                self.counters.failures.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, "an offset is not committed");
            }
        }
        if let Err(error) = consumer.commit(&offsets, CommitMode::Async) {
            self.fail(&error.to_string());
        }
    }

    /// Looks how far behind the group is, now and then.
    fn look(&mut self, consumer: &BaseConsumer<Assignments>) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LAG) {
            return;
        }
        match lag(consumer, &self.options.topic) {
            Ok(None) => {}
            Ok(Some(lag)) => self.counters.lag.store(lag, Ordering::Relaxed),
            Err(error) => self.fail(&error.to_string()),
        }
        self.looked = Some(Instant::now());
    }

    fn fail(&mut self, why: &str) {
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        if self.failing.as_deref() != Some(why) {
            let stream = &self.options.name;
            tracing::warn!(stream, why, "the stream stands still; it is tried again");
            self.failing = Some(why.to_owned());
        }
    }

    fn heal(&mut self) {
        self.backoff = BACKOFF_MIN;
        if self.failing.take().is_some() {
            tracing::info!(stream = self.options.name, "the stream goes on");
        }
    }

    /// Waits before the next try; whether there is to be one.
    fn rest(&mut self) -> bool {
        let until = Instant::now() + self.backoff;
        self.backoff = (2 * self.backoff).min(BACKOFF_MAX);
        while Instant::now() < until {
            if self.is_stopped() {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        !self.is_stopped()
    }
}

/// Messages behind what the group has committed, in the partitions that this consumer has; none where it has
/// none, and somebody else may.
fn lag(consumer: &BaseConsumer<Assignments>, topic: &str) -> KafkaResult<Option<u64>> {
    let assigned = consumer.assignment()?;
    if assigned.count() == 0 {
        return Ok(None);
    }
    let mut behind = 0;
    for one in consumer.committed_offsets(assigned, ASK)?.elements() {
        let (low, high) = consumer.fetch_watermarks(topic, one.partition(), ASK)?;
        let next = match one.offset() {
            Offset::Offset(offset) => offset.max(low),
            _ => low,
        };
        behind += u64::try_from(high - next).unwrap_or(0);
    }
    Ok(Some(behind))
}

/// Counts what could not be delivered.
#[derive(Default)]
struct Failed(AtomicU64);

impl ClientContext for Failed {}

impl ProducerContext for Failed {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }
}
