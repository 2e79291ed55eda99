//! What records are looked for: the options of every command that looks, and the query that they make.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::shown::masked;
use super::number::{Wanted, canonical_octets};
use super::{Failure, Place, access, micros};
use crate::audit::index::Indexed;
use crate::audit::keys::IndexKey;
use crate::audit::{self, IsMeant, KeyRing, Query};
use crate::mirror::read::{MirrorQuery, Number, TAIL_DIGITS};
use crate::policy::Rule;

/// Whose records, and of what time.
#[derive(clap::Args)]
pub(super) struct Span {
    /// A sender or recipient, in any spelling.
    #[arg(long)]
    number: Option<String>,
    /// Not before this time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Before this time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    to: Option<jiff::Timestamp>,
}

/// Everything that messages and binds are found by.
#[derive(clap::Args)]
pub(super) struct Filters {
    #[command(flatten)]
    span: Span,
    /// The provider's name.
    #[arg(long)]
    provider: Option<String>,
    /// A rule's name: what it refused or observed.
    #[arg(long, value_parser = rule)]
    rule: Option<Rule>,
    /// pass, refuse or observe.
    #[arg(long, value_parser = verdict)]
    verdict: Option<u8>,
    /// A session's number.
    #[arg(long)]
    session: Option<u64>,
    /// The SMSC's message_id, as its response or a receipt wrote it: in any case, with leading zeros or
    /// without, decimal or hexadecimal.
    #[arg(long)]
    message_id: Option<String>,
    /// An id that a message named in its vendor's parameters: entity, template or consent.
    #[arg(long, value_name = "ID")]
    reference: Option<String>,
}

const VERDICTS: [(&str, u8); 3] =
    [("pass", audit::PASS), ("refuse", audit::REFUSE), ("observe", audit::OBSERVE)];

fn rule(name: &str) -> Result<Rule, String> {
    Rule::from_name(name).ok_or_else(|| "not a rule; `consentry check` lists them".to_owned())
}

fn verdict(name: &str) -> Result<u8, String> {
    let found = VERDICTS.iter().find(|(known, _)| *known == name);
    found.map(|(_, code)| *code).ok_or_else(|| "pass, refuse or observe".to_owned())
}

/// What is asked for by name, in words that are the same whenever it is asked for; a number is whole.
pub(super) type Asked = BTreeMap<String, String>;

fn named<const N: usize>(all: [(&str, Option<String>); N]) -> Asked {
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The same in one line, as the record of who looked says it: the number is masked.
pub(super) fn said(asked: &Asked) -> String {
    access::said(asked.iter().map(|(name, value)| match name.as_str() {
        "number" => ("number", Some(masked(value.as_bytes(), false))),
        name => (name, Some(value.clone())),
    }))
}

impl Span {
    pub(super) fn asked(&self) -> Asked {
        named([
            ("number", self.number.clone()),
            ("from", self.from.map(|time| time.to_string())),
            ("to", self.to.map(|time| time.to_string())),
        ])
    }

    /// The number, if one is asked for.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        self.number.as_deref().map(Wanted::new)
    }

    /// Earliest and latest time, microseconds since the Unix epoch.
    pub(super) fn times(&self) -> (Option<u64>, Option<u64>) {
        (self.from.map(micros), self.to.map(micros))
    }
}

impl Filters {
    pub(super) fn asked(&self) -> Asked {
        let verdict = |code: u8| VERDICTS.iter().find(|(_, known)| *known == code);
        let mut asked = self.span.asked();
        asked.extend(named([
            ("provider", self.provider.clone()),
            ("rule", self.rule.map(|rule| rule.name().to_owned())),
            ("verdict", self.verdict.and_then(verdict).map(|(name, _)| (*name).to_owned())),
            ("session", self.session.map(|session| session.to_string())),
            ("message_id", self.message_id.clone()),
            ("reference", self.reference.clone()),
        ]));
        asked
    }

    /// Whether a person's number is asked for.
    pub(super) fn asks_for_a_person(&self) -> bool {
        self.span.wanted().is_some_and(|wanted| wanted.is_person())
    }

    /// Gives the query over all nodes, whose numbers have tokens under these keys.
    pub(super) fn mirrored<T>(
        &self,
        keys: &[IndexKey],
        look: impl FnOnce(MirrorQuery<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let wanted = self.span.wanted();
        let written = wanted.as_ref().map(Wanted::written).unwrap_or_default();
        let form = canonical_octets(written);
        let tokens: Vec<String> = keys
            .iter()
            .filter_map(|key| Some(format!("{:016x}", key.number(form.as_ref()?))))
            .collect();
        let tails = wanted.as_ref().map_or(Vec::new(), |wanted| wanted.tails(TAIL_DIGITS));
        let is_meant = |source: &[u8], destination: &[u8]| {
            wanted.as_ref().is_some_and(|wanted| wanted.is_one_of(source, destination))
        };
        let (since_us, until_us) = self.span.times();
        let verdict = |code: u8| VERDICTS.iter().find(|(_, known)| *known == code);
        look(MirrorQuery {
            since_us,
            until_us,
            number: wanted.is_some().then_some(Number {
                tokens: &tokens,
                tails: &tails,
                is_meant: &is_meant,
            }),
            provider: self.provider.as_deref(),
            rule: self.rule.map(Rule::name),
            verdict: self.verdict.and_then(verdict).map(|(name, _)| *name),
            session: self.session,
            message_id: self.message_id.as_deref(),
            reference: self.reference.as_deref(),
            ..MirrorQuery::default()
        })
    }

    /// Gives the query, which reads with these keys and passes over segments by their indexes.
    pub(super) fn query<T>(
        &self,
        place: &Place,
        keys: &Arc<KeyRing>,
        look: impl FnOnce(Query<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let wanted = self.span.wanted();
        let is_meant = wanted.as_ref().map(|wanted| {
            move |source: &[u8], destination: &[u8]| wanted.is_one_of(source, destination)
        });
        let index_key = place.index_key()?;
        let indexed = index_key.as_ref().map(|key| Indexed {
            key,
            canonical: &canonical_octets,
            number: wanted.as_ref().map(Wanted::written),
        });
        let (since_us, until_us) = self.span.times();
        look(Query {
            keys: Some(keys),
            index: indexed.as_ref(),
            since_us,
            until_us,
            number: is_meant.as_ref().map(|is_meant| is_meant as &IsMeant<'_>),
            provider: self.provider.as_deref(),
            rule: self.rule.map(Rule::code),
            verdict: self.verdict,
            session: self.session,
            message_id: self.message_id.as_deref().map(str::as_bytes),
            reference: self.reference.as_deref().map(str::as_bytes),
            ..Query::default()
        })
    }
}
