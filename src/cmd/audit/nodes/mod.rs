//! Records of all nodes: `audit search`, `export` and `verify` over what mirrors of kind `postgres` delivered.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::super::record::hex;
use super::super::{knowledge, mirrors};
use super::filters::Filters;
use super::{Failure, Place};
use crate::audit::keys::IndexKey;
use crate::config::{self, MirrorKind};
use crate::mirror::read::{MirrorQuery, Mirrored};
use crate::postgres::{Server, Url};

mod export;
mod line;
mod search;
mod verify;

pub(super) use export::run as export;
pub(super) use search::run as search;
pub(super) use verify::{Held, run as verify};

/// Index keys of other nodes that are given, at most.
const KEYS_MAX: usize = 16;

/// Where the records of all nodes are.
#[derive(clap::Args)]
pub(super) struct Source {
    /// The PostgreSQL that the mirrors of all nodes write into: postgres://user@host/database.
    #[arg(long, value_name = "URL", conflicts_with = "mirror")]
    url: Option<String>,
    /// The same by the name of a [[mirror]] in the configuration.
    #[arg(long, value_name = "NAME", requires = "config")]
    mirror: Option<String>,
    /// The mirrors' table. Default: the one that the [[mirror]] names, else consentry_records.
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Only this node, by the name that its rows have; may be given several times.
    #[arg(long, value_name = "NAME")]
    node: Vec<String>,
    /// Only this journal, by the word that its rows have; may be given several times.
    #[arg(long, value_name = "WORD")]
    journal: Vec<String>,
}

/// The same for who looks for numbers.
#[derive(clap::Args)]
pub(super) struct Over {
    #[command(flatten)]
    source: Source,
    /// Another node's index.key, under which its rows have tokens of numbers. The one in the folder of keys is
    /// taken by itself.
    #[arg(long, value_name = "FILE")]
    index_key: Vec<PathBuf>,
}

impl Source {
    /// Whether a mirror is meant and not a journal.
    pub(super) fn is_given(&self) -> bool {
        self.url.is_some() || self.mirror.is_some()
    }

    fn open(&self, place: &Place) -> Result<Mirrored, Failure> {
        let (server, table) = self.server(place)?;
        Ok(Mirrored::open(&server, &table)?)
    }

    fn server(&self, place: &Place) -> Result<(Server, String), Failure> {
        let table = |default: String| self.table.clone().unwrap_or(default);
        if let Some(url) = &self.url {
            let url: Url = url.parse().map_err(|fault| Failure(format!("--url: {fault}")))?;
            return Ok((Server::new(url, None)?, table(config::MIRROR_TABLE.to_owned())));
        }
        let (Some(name), Some(file)) = (&self.mirror, &place.config) else {
            return Err(Failure("name a mirror: --url URL, or -c FILE --mirror NAME".to_owned()));
        };
        let config = knowledge::load_config(file)?;
        let found = config.mirrors.iter().find(|mirror| mirror.name == *name);
        match found.map(|mirror| &mirror.kind) {
            Some(MirrorKind::Postgres { url, password, table: named }) => {
                let server = Server::new(url.clone(), password.clone())
                    .map_err(|fault| Failure(format!("[[mirror]] {name}: {fault}")))?;
                Ok((server, table(named.clone())))
            }
            Some(other) => Err(Failure(format!(
                "[[mirror]] {name} is of kind {}: records are read of kind postgres alone",
                other.name()
            ))),
            None => Err(Failure(format!("{} has no [[mirror]] {name}", file.display()))),
        }
    }

    /// The names by which this node's rows are known.
    fn own_names(&self, place: &Place) -> Result<Vec<String>, Failure> {
        if !self.node.is_empty() {
            return Ok(self.node.clone());
        }
        let Some(file) = &place.config else { return Ok(vec![mirrors::host()]) };
        let config = knowledge::load_config(file)?;
        let is_meant =
            |mirror: &&config::Mirror| self.mirror.as_ref().is_none_or(|name| *name == mirror.name);
        let named = config.mirrors.iter().filter(is_meant).filter_map(|mirror| mirror.node.clone());
        let mut names: Vec<String> = named.collect();
        if names.is_empty() {
            names.push(mirrors::node(&config));
        }
        Ok(names)
    }

    /// In words, for who reads who looked.
    fn said(&self) -> String {
        let nodes = match self.node.is_empty() {
            true => "over all nodes".to_owned(),
            false => format!("over nodes {}", self.node.join(" ")),
        };
        match self.journal.is_empty() {
            true => nodes,
            false => format!("{nodes}, journals {}", self.journal.join(" ")),
        }
    }
}

impl Over {
    /// Whether a mirror is meant and not a journal.
    pub(super) fn is_given(&self) -> bool {
        self.source.is_given()
    }

    fn keys(&self, place: &Place) -> Result<Vec<IndexKey>, Failure> {
        if self.index_key.len() > KEYS_MAX {
            return Err(Failure(format!("more than {KEYS_MAX} --index-key")));
        }
        let own = match place.folders() {
            Ok((_, keys)) => IndexKey::open(&keys)?,
            Err(_) => None,
        };
        let mut keys: Vec<IndexKey> = own.into_iter().collect();
        for file in &self.index_key {
            let key = IndexKey::read(file)?;
            if keys.iter().all(|known| known.name() != key.name()) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// Gives the query. What of the mirror cannot be searched for a number is said on standard error; where
    /// that is all of it, nothing is looked for.
    fn query<T>(
        &self,
        place: &Place,
        filters: &Filters,
        mirrored: &Mirrored,
        look: impl FnOnce(MirrorQuery<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let keys = self.keys(place)?;
        if filters.asks_for_a_person() {
            let names: BTreeSet<String> = keys.iter().map(|key| hex(&key.name())).collect();
            let closed = self.closed(mirrored, &names);
            closed.0.iter().for_each(|says| eprintln!("{says}"));
            if closed.1 {
                return Err(Failure(
                    "no row of the mirror can be searched for a number with the index keys at hand: give \
                     those of its nodes with --index-key"
                        .to_owned(),
                ));
            }
        }
        let Source { node, journal, .. } = &self.source;
        filters
            .mirrored(&keys, |query| look(MirrorQuery { nodes: node, journals: journal, ..query }))
    }

    /// What has tokens under a key that is not at hand, in words; whether that is everything.
    fn closed(&self, mirrored: &Mirrored, names: &BTreeSet<String>) -> (Vec<String>, bool) {
        let Source { node, journal: only, .. } = &self.source;
        let is_wanted = |name: &String| node.is_empty() || node.contains(name);
        let (mut closed, mut open) = (Vec::new(), 0);
        for (word, journal) in &mirrored.journals {
            let nodes: Vec<&str> =
                journal.nodes.iter().filter(|node| is_wanted(node)).map(String::as_str).collect();
            if nodes.is_empty() || !(only.is_empty() || only.contains(word)) {
                continue;
            }
            let nodes = nodes.join(", ");
            if journal.forms.is_empty() {
                closed.push(format!(
                    "node {nodes}, journal {word}: an earlier version mirrored it, and nobody says under \
                     which index key; it is searched with those at hand"
                ));
                open += 1;
            }
            for form in &journal.forms {
                match &form.tokens {
                    Some(name) if !names.contains(name) => closed.push(format!(
                        "node {nodes}, journal {word}, from record {}: numbers are masked under index key \
                         {name}, which is not at hand: it is not searched for the number",
                        form.record
                    )),
                    None if !form.is_whole => closed.push(format!(
                        "node {nodes}, journal {word}, from record {}: numbers are masked without tokens: it \
                         cannot be searched for a number",
                        form.record
                    )),
                    _ => open += 1,
                }
            }
        }
        let is_all = open == 0 && !closed.is_empty();
        (closed, is_all)
    }
}
