//! What is written of a mirror to what is meant: which keys belong to which kind, names that others
//! read.

use std::path::Path;

use toml::Spanned;

use super::fault::Source;
use super::nearest::nearest;
use super::validate::{count, octets, path, quoted, time};
use super::{
    Fault, MIRROR_TABLE, Mirror, MirrorFormat, MirrorKind, MirrorNumbers, address, bounds, written,
};

const KINDS: [&str; 3] = ["file", "postgres", "kafka"];

pub(super) fn mirrors(
    source: &Source<'_>,
    folder: &Path,
    written: Vec<Spanned<written::Mirror>>,
) -> Result<Vec<Mirror>, Fault> {
    if let Some(one) = written.get(bounds::MIRRORS_MAX) {
        let says = format!("there are more than {} [[mirror]]", bounds::MIRRORS_MAX);
        return Err(source.fault(one.span(), says));
    }
    let mut mirrors: Vec<Mirror> = Vec::new();
    for one in written.into_iter().map(Spanned::into_inner) {
        let at = one.name.span();
        let mirror = mirror(source, folder, one)?;
        let same = |other: &Mirror| match (&other.kind, &mirror.kind) {
            (MirrorKind::File { folder, .. }, MirrorKind::File { folder: other, .. }) => {
                folder == other
            }
            _ => false,
        };
        if mirrors.iter().any(|other| other.name == mirror.name) {
            return Err(source.fault(at, "is the name of another mirror"));
        }
        if mirrors.iter().any(same) {
            return Err(source.fault(at, "writes into the folder of another mirror"));
        }
        mirrors.push(mirror);
    }
    Ok(mirrors)
}

fn mirror(source: &Source<'_>, folder: &Path, one: written::Mirror) -> Result<Mirror, Fault> {
    let name = name(source, one.name.clone(), "a mirror")?;
    belongs(source, &one)?;
    let missing = |key: &str| {
        let says = format!("of kind {} says no {key}", one.kind.get_ref());
        source.fault(one.name.span(), quoted(&one.name, says))
    };
    let kind = match one.kind.get_ref().as_str() {
        "file" => MirrorKind::File {
            folder: path(source, folder, Some(one.path.ok_or_else(|| missing("path"))?), "")?,
            format: one.format.map_or(MirrorFormat::Ndjson, Spanned::into_inner),
            octets: octets(source, one.file_size, bounds::MIRROR_FILE_OCTETS)?,
            age: time(source, one.file_age, bounds::MIRROR_FILE_AGE)?,
        },
        "postgres" => {
            let url = one.url.ok_or_else(|| missing("url"))?;
            let (url, password) = super::cluster::url(source, folder, url, one.password)?;
            let table = one.table.map(|table| self::table(source, table));
            let table = table.unwrap_or_else(|| Ok(MIRROR_TABLE.to_owned()))?;
            MirrorKind::Postgres { url, password, table }
        }
        _ => MirrorKind::Kafka {
            brokers: brokers(source, one.brokers.ok_or_else(|| missing("brokers"))?)?,
            topic: topic(source, one.topic.ok_or_else(|| missing("topic"))?)?,
        },
    };
    Ok(Mirror {
        name,
        kind,
        numbers: one.numbers.unwrap_or(MirrorNumbers::Masked),
        content: one.content.unwrap_or(false),
        node: one.node.map(|node| super::cluster::node(source, node)).transpose()?,
        batch: count(source, one.batch, bounds::MIRROR_BATCH)?,
        wait: time(source, one.wait, bounds::MIRROR_WAIT)?,
    })
}

/// A name in metrics, logs and files.
pub(super) fn name(
    source: &Source<'_>,
    written: Spanned<String>,
    of: &str,
) -> Result<String, Fault> {
    let name = written.get_ref();
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    if name.is_empty() || name.len() > bounds::MIRROR_NAME_MAX || !name.chars().all(is_letter) {
        let most = bounds::MIRROR_NAME_MAX;
        let says = format!("is no name of {of}: write 1 to {most} of a to z, 0 to 9, - and _");
        return Err(source.fault(written.span(), quoted(&written, says)));
    }
    Ok(written.into_inner())
}

/// What others read as it is written.
pub(super) fn text(source: &Source<'_>, written: Spanned<String>) -> Result<String, Fault> {
    let text = written.get_ref();
    let octets = 1..=bounds::MIRROR_TEXT_MAX;
    if !octets.contains(&text.len()) || text.chars().any(char::is_control) {
        let says = format!("must have 1 to {} octets", bounds::MIRROR_TEXT_MAX);
        return Err(source.fault(written.span(), says));
    }
    Ok(written.into_inner())
}

/// Refuses a kind that there is not, and keys that belong to another kind.
fn belongs(source: &Source<'_>, one: &written::Mirror) -> Result<(), Fault> {
    let kind = one.kind.get_ref().as_str();
    if !KINDS.contains(&kind) {
        let advice = match nearest(kind, KINDS) {
            Some(known) => format!("is no kind of mirror; did you mean {known}?"),
            None => "is no kind of mirror: write file, postgres or kafka".to_owned(),
        };
        return Err(source.fault(one.kind.span(), quoted(&one.kind, advice)));
    }
    let keys = [
        ("file", one.path.as_ref().map(Spanned::span)),
        ("file", one.format.as_ref().map(Spanned::span)),
        ("file", one.file_size.as_ref().map(Spanned::span)),
        ("file", one.file_age.as_ref().map(Spanned::span)),
        ("postgres", one.url.as_ref().map(Spanned::span)),
        ("postgres", one.password.as_ref().map(Spanned::span)),
        ("postgres", one.table.as_ref().map(Spanned::span)),
        ("kafka", one.brokers.as_ref().map(Spanned::span)),
        ("kafka", one.topic.as_ref().map(Spanned::span)),
    ];
    match keys.into_iter().find_map(|(of, at)| at.filter(|_| of != kind).map(|at| (of, at))) {
        Some((of, at)) => Err(source.fault(at, format!("belongs to kind {of}, not {kind}"))),
        None => Ok(()),
    }
}

fn table(source: &Source<'_>, written: Spanned<String>) -> Result<String, Fault> {
    let is_name = |part: &str| {
        part.len() <= bounds::MIRROR_NAME_MAX
            && part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let parts: Vec<_> = written.get_ref().split('.').collect();
    if parts.len() > 2 || !parts.iter().all(|part| is_name(part)) {
        let says =
            "is no table: write a name of a to z, 0 to 9 and _, with a schema before it or not";
        return Err(source.fault(written.span(), quoted(&written, says)));
    }
    Ok(written.into_inner())
}

pub(super) fn topic(source: &Source<'_>, written: Spanned<String>) -> Result<String, Fault> {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let topic = written.get_ref();
    if topic.is_empty() || topic.len() > bounds::MIRROR_TEXT_MAX || !topic.chars().all(is_letter) {
        let says = "is no topic: write letters, digits, ., _ and -";
        return Err(source.fault(written.span(), quoted(&written, says)));
    }
    Ok(written.into_inner())
}

pub(super) fn brokers(
    source: &Source<'_>,
    written: Spanned<Vec<Spanned<String>>>,
) -> Result<Vec<String>, Fault> {
    let count = written.get_ref().len();
    if !(1..=bounds::PEERS_MAX).contains(&count) {
        let says = format!("has {count} addresses; write 1 to {}", bounds::PEERS_MAX);
        return Err(source.fault(written.span(), says));
    }
    let mut brokers = Vec::new();
    for broker in written.into_inner() {
        if address::peer(broker.get_ref()).is_err() {
            let says = "is not host:port, such as \"192.0.2.20:9092\"";
            return Err(source.fault(broker.span(), quoted(&broker, says)));
        }
        brokers.push(broker.into_inner());
    }
    Ok(brokers)
}
