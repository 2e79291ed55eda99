//! `[[stream]]`: what is written of a stream of consent events, and what is meant.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::fault::Source;
use super::mirrors::{brokers, name, text, topic};
use super::validate::{count, time};
use super::written::Time;
use super::{Direction, Fault, Mirror, MirrorNumbers, bounds, duration};

/// Consent events on a Kafka topic, in or out: at least once, known by their ids. Only in a program built with
/// the feature kafka.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Stream")]
pub(super) struct Written {
    /// Its name in metrics, logs and files: a to z, digits, - and _. No mirror has the same. Of a stream out,
    /// under a new name everything is delivered from the oldest record on.
    #[schemars(with = "String", length(max = bounds::MIRROR_NAME_MAX))]
    pub name: Spanned<String>,
    /// In: the topic's events are taken into the ledger. Out: what the ledger took is told to the topic.
    #[schemars(with = "Direction")]
    pub direction: Spanned<Direction>,
    /// `host:port` of brokers.
    #[schemars(with = "Vec<String>", length(min = 1, max = bounds::PEERS_MAX))]
    pub brokers: Spanned<Vec<Spanned<String>>>,
    /// The topic.
    #[schemars(with = "String")]
    pub topic: Spanned<String>,
    /// In: the consumer group. Proxies that share a ledger share it; one with a ledger of its own has its own.
    #[schemars(with = "Option<String>", extend("default" = super::STREAM_GROUP))]
    pub group: Option<Spanned<String>>,
    /// In: the topic that messages go to which nobody can read, or the ledger refuses. Without it, a file
    /// beside the journal.
    #[schemars(with = "Option<String>")]
    pub rejected: Option<Spanned<String>>,
    /// In: the legal entity, as the registry names it, that the events are about: messages need not name it,
    /// and those that name another are refused. Without it, each message names one.
    #[schemars(with = "Option<String>")]
    pub entity: Option<Spanned<String>>,
    /// Out: what is shown of persons' numbers.
    #[schemars(with = "Option<MirrorNumbers>", extend("default" = "masked"))]
    pub numbers: Option<Spanned<MirrorNumbers>>,
    /// Out: what events say that they come from; without it, `[cluster] node`.
    #[schemars(with = "Option<String>")]
    pub node: Option<Spanned<String>>,
    /// Messages that are taken or delivered at once, at most.
    #[schemars(with = "Option<u32>", extend(
        "default" = bounds::STREAM_BATCH.default,
        "minimum" = bounds::STREAM_BATCH.min,
        "maximum" = bounds::STREAM_BATCH.max,
    ))]
    pub batch: Option<Spanned<u32>>,
    /// How long messages wait for more of them.
    #[schemars(with = "Option<Time>", extend("default" = duration::text(bounds::STREAM_WAIT.default)))]
    pub wait: Option<Spanned<Time>>,
}

/// A `[[stream]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Its name, unlike any other's and any mirror's: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// `host:port`, 1 to [`bounds::PEERS_MAX`].
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// Which way.
    pub way: Way,
    /// Messages at once, at most.
    pub batch: usize,
    /// How long messages wait for more of them.
    pub wait: Duration,
}

/// Which way a stream goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Into the ledger.
    In {
        /// The consumer group.
        group: String,
        /// Where rejected messages go; `None` = a file.
        rejected: Option<String>,
        /// Whom all events are about; `None` = each says so.
        entity: Option<String>,
    },
    /// To the topic.
    Out {
        /// What is shown of persons' numbers.
        numbers: MirrorNumbers,
        /// What events say that they come from; `None` = as `[cluster]` has it.
        node: Option<String>,
    },
}

impl Way {
    /// As `direction` writes it.
    pub const fn name(&self) -> &'static str {
        match self {
            Way::In { .. } => Direction::In.name(),
            Way::Out { .. } => Direction::Out.name(),
        }
    }
}

pub(super) fn streams(
    source: &Source<'_>,
    written: Vec<Spanned<Written>>,
    mirrors: &[Mirror],
) -> Result<Vec<Stream>, Fault> {
    if let Some(one) = written.get(bounds::STREAMS_MAX) {
        let says = format!("there are more than {} [[stream]]", bounds::STREAMS_MAX);
        return Err(source.fault(one.span(), says));
    }
    let mut streams: Vec<Stream> = Vec::new();
    for one in written.into_iter().map(Spanned::into_inner) {
        let (named, topic) = (one.name.span(), one.topic.span());
        let stream = stream(source, one)?;
        if mirrors.iter().any(|mirror| mirror.name == stream.name) {
            return Err(source.fault(named, "is the name of a mirror"));
        }
        if streams.iter().any(|other| other.name == stream.name) {
            return Err(source.fault(named, "is the name of another stream"));
        }
        // Events would go round for ever, or at once into the rejected ones.
        let is_round = |other: &Stream| {
            other.topic == stream.topic
                && other.way.name() != stream.way.name()
                && other.brokers.iter().any(|broker| stream.brokers.contains(broker))
        };
        if streams.iter().any(is_round) {
            return Err(source.fault(topic, "is the topic of a stream the other way: write two"));
        }
        streams.push(stream);
    }
    Ok(streams)
}

fn stream(source: &Source<'_>, one: Written) -> Result<Stream, Fault> {
    let name = name(source, one.name, "a stream")?;
    let keys = [
        (Direction::In, one.group.as_ref().map(Spanned::span)),
        (Direction::In, one.rejected.as_ref().map(Spanned::span)),
        (Direction::In, one.entity.as_ref().map(Spanned::span)),
        (Direction::Out, one.numbers.as_ref().map(Spanned::span)),
        (Direction::Out, one.node.as_ref().map(Spanned::span)),
    ];
    let written = *one.direction.get_ref();
    let of_other = |(of, at): (Direction, Option<_>)| Some((of, at?)).filter(|_| of != written);
    if let Some((of, at)) = keys.into_iter().find_map(of_other) {
        let (of, written) = (of.name(), written.name());
        return Err(source.fault(at, format!("belongs to direction {of}, not {written}")));
    }
    let topic = topic(source, one.topic)?;
    let way = if written == Direction::In {
        let group = match one.group {
            Some(group) => text(source, group)?,
            None => super::STREAM_GROUP.to_owned(),
        };
        let rejected = match one.rejected {
            Some(other) if *other.get_ref() == topic => {
                return Err(source.fault(other.span(), "is the topic itself: write another"));
            }
            Some(other) => Some(super::mirrors::topic(source, other)?),
            None => None,
        };
        let entity = one.entity.map(|entity| text(source, entity)).transpose()?;
        Way::In { group, rejected, entity }
    } else {
        let node = one.node.map(|node| super::cluster::node(source, node)).transpose()?;
        let numbers = one.numbers.map_or(MirrorNumbers::Masked, Spanned::into_inner);
        Way::Out { numbers, node }
    };
    Ok(Stream {
        name,
        brokers: brokers(source, one.brokers)?,
        topic,
        way,
        batch: count(source, one.batch, bounds::STREAM_BATCH)?,
        wait: time(source, one.wait, bounds::STREAM_WAIT)?,
    })
}
