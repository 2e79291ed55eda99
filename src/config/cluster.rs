//! Several nodes: `[cluster]`, and what `[consent]` says of the database that they share.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::fault::Source;
use super::validate::{count, path, time};
use super::{Fault, Place, bounds, written};
use crate::postgres::Url;

pub(super) const OUTBOX_PATH: &str = "state/outbox";

/// `[cluster]`: which node this is, of how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name, unlike any other's; `None` = the name of the machine.
    pub node: Option<String>,
    /// How many there are.
    pub nodes: usize,
}

/// What `[consent]` says of a database that many nodes share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Where it is. It may hold a password, and shows none.
    pub url: Url,
    /// A file with the password; there is none where the URL holds one.
    pub password: Option<PathBuf>,
    /// The folder of what this node took and the database has not yet.
    pub outbox: PathBuf,
    /// How long standings count after the database was heard of last.
    pub staleness: Duration,
    /// How long a message waits for what only the database knows.
    pub deadline: Duration,
}

/// Which node this is, of how many.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Cluster")]
pub(super) struct Written {
    /// The name of this node, unlike that of any other on the same database: in mirrors' rows, and in the
    /// database, which knows by it what this node has delivered. Keep it for the node's life. Without it, the
    /// name of the machine.
    #[schemars(with = "Option<String>", length(max = bounds::NODE_NAME_MAX))]
    node: Option<Spanned<String>>,
    /// How many nodes there are: each alone may use that part of what all share while the database is down.
    #[schemars(with = "Option<u32>", extend(
        "default" = bounds::NODES.default,
        "minimum" = bounds::NODES.min,
        "maximum" = bounds::NODES.max,
    ))]
    nodes: Option<Spanned<u32>>,
}

/// What stands in `[consent]` of where it is kept.
pub(super) struct WrittenPlace {
    pub path: Option<Spanned<String>>,
    pub url: Option<Spanned<String>>,
    pub password: Option<Spanned<String>>,
    pub outbox: Option<Spanned<String>>,
    pub staleness: Option<Spanned<written::Time>>,
    pub deadline: Option<Spanned<written::Time>>,
}

pub(super) fn cluster(source: &Source<'_>, written: Written) -> Result<Cluster, Fault> {
    let nodes = count(source, written.nodes, bounds::NODES)?;
    let node = written.node.map(|node| self::node(source, node)).transpose()?;
    Ok(Cluster { node, nodes })
}

/// The name of a node.
pub(super) fn node(source: &Source<'_>, written: Spanned<String>) -> Result<String, Fault> {
    let name = written.get_ref();
    if name.trim().is_empty()
        || name.len() > bounds::NODE_NAME_MAX
        || name.chars().any(char::is_control)
    {
        let says = format!("must have 1 to {} octets", bounds::NODE_NAME_MAX);
        return Err(source.fault(written.span(), says));
    }
    Ok(written.into_inner())
}

pub(super) fn place(
    source: &Source<'_>,
    folder: &Path,
    written: WrittenPlace,
) -> Result<Place, Fault> {
    let Some(url) = written.url else {
        let alone: [Option<Range<usize>>; 4] = [
            written.password.as_ref().map(Spanned::span),
            written.outbox.as_ref().map(Spanned::span),
            written.staleness.as_ref().map(Spanned::span),
            written.deadline.as_ref().map(Spanned::span),
        ];
        return match alone.into_iter().flatten().next() {
            Some(at) => Err(source.fault(at, "belongs to url, which is not written")),
            None => path(source, folder, written.path, super::CONSENT_PATH).map(Place::Folder),
        };
    };
    if written.path.is_some() {
        return Err(source.fault(url.span(), "stands beside path; write one of the two"));
    }
    let (url, password) = self::url(source, folder, url, written.password)?;
    Ok(Place::Shared(Shared {
        url,
        password,
        outbox: path(source, folder, written.outbox, OUTBOX_PATH)?,
        staleness: time(source, written.staleness, bounds::STALENESS)?,
        deadline: time(source, written.deadline, bounds::DEADLINE)?,
    }))
}

/// A URL that is written to, and the file of its password. The value is not repeated: it may hold a password.
pub(super) fn url(
    source: &Source<'_>,
    folder: &Path,
    written: Spanned<String>,
    password: Option<Spanned<String>>,
) -> Result<(Url, Option<PathBuf>), Fault> {
    let at = written.span();
    let url: Url = written.get_ref().parse().map_err(|fault| source.fault(at.clone(), fault))?;
    if !url.is_of_one_writer() {
        let says = "has several hosts, and does not say which is written to: add \
                    target_session_attrs=read-write";
        return Err(source.fault(at, says));
    }
    let password = match password {
        Some(file) if url.has_password() => {
            let says = "stands beside a password in url; write one of the two";
            return Err(source.fault(file.span(), says));
        }
        Some(file) => Some(path(source, folder, Some(file), "")?),
        None => None,
    };
    Ok((url.below(folder), password))
}
