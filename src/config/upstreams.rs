//! `[[listen]] smsc`: addresses that are tried in order, or tables with weights and standbys.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use toml::Spanned;

use super::fault::Source;
use super::validate::{count, quoted};
use super::{Fault, Smsc, address, bounds};

/// One SMSC as it is written.
pub(super) enum Written {
    /// `"host:port"`.
    Address(String),
    /// With what more is said of it.
    Table(Table),
}

/// An SMSC with its part of the binds.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Smsc")]
pub(super) struct Table {
    /// `host:port`.
    #[schemars(with = "String")]
    pub address: Spanned<String>,
    /// How many of the new binds it gets, against the weights of the others.
    #[schemars(with = "Option<u32>", extend(
        "default" = bounds::WEIGHT.default,
        "minimum" = bounds::WEIGHT.min,
        "maximum" = bounds::WEIGHT.max,
    ))]
    pub weight: Option<Spanned<u32>>,
    /// Whether it gets binds only while none of the others is up.
    #[schemars(extend("default" = false))]
    pub standby: Option<bool>,
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Written, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"host:port\" or { address = \"host:port\", weight = 1 }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Written, E> {
                Ok(Written::Address(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Written, A::Error> {
                let table = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Written::Table(table))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Written {
    fn schema_name() -> Cow<'static, str> {
        "SmscOrAddress".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<Table>();
        schemars::json_schema!({ "anyOf": [{ "type": "string" }, table] })
    }
}

/// The SMSCs of a listener at `own`. Addresses alone are tried in order: each is the standby of those
/// before it.
pub(super) fn upstreams(
    source: &Source<'_>,
    written: Spanned<Vec<Spanned<Written>>>,
    own: &str,
) -> Result<Vec<Smsc>, Fault> {
    let at = written.span();
    let written = written.into_inner();
    if !(1..=bounds::PEERS_MAX).contains(&written.len()) {
        let says =
            format_args!("has {} addresses; write 1 to {}", written.len(), bounds::PEERS_MAX);
        return Err(source.fault(at, says));
    }
    let tables = written.iter().filter(|one| matches!(one.get_ref(), Written::Table(_))).count();
    if ![0, written.len()].contains(&tables) {
        let says = "mixes addresses with tables; write all as addresses, which are tried in order, \
                    or all as tables, such as { address = \"192.0.2.10:2775\", weight = 1 }";
        return Err(source.fault(at, says));
    }
    let mut upstreams: Vec<Smsc> = Vec::new();
    for (order, one) in (0..).zip(written) {
        let span = one.span();
        let (address, smsc) = match one.into_inner() {
            Written::Address(address) => {
                let smsc = Smsc { address: address.clone(), weight: 1, rank: order };
                (Spanned::new(span, address), smsc)
            }
            Written::Table(Table { address, weight, standby }) => {
                let weight = count(source, weight, bounds::WEIGHT)?;
                let smsc = Smsc {
                    address: address.get_ref().clone(),
                    weight: u32::try_from(weight).unwrap_or(u32::MAX),
                    rank: u32::from(standby.unwrap_or(false)),
                };
                (address, smsc)
            }
        };
        let fault = |says: &dyn fmt::Display| source.fault(address.span(), quoted(&address, says));
        address::peer(address.get_ref()).map_err(|why| fault(&why))?;
        if address.get_ref() == own {
            return Err(fault(&"is this listener itself"));
        }
        if upstreams.iter().any(|other| other.address == smsc.address) {
            return Err(fault(&"is there twice"));
        }
        upstreams.push(smsc);
    }
    if upstreams.iter().all(|one| one.rank > 0) {
        return Err(source.fault(at, "has only standbys; leave standby out of one"));
    }
    Ok(upstreams)
}
