//! What is looked for, as SQL that reads what may match and nothing else.
//!
//! One of the conditions leads: the one that fewest rows satisfy. Each of the ways in which it can be
//! satisfied is a branch, a question of its own that one index answers in the order of the times; the other
//! conditions sift what it gives. So a page costs what it shows, however much the table holds.

use std::fmt::Write;
use std::ops::ControlFlow;

use tokio_postgres::types::ToSql;

use super::super::table::{
    CODE_FROM, CODE_TO, CONSENT, ENTITY, FOUND, ID_FORM, PERSON_FROM, PERSON_TO, PROVIDER,
    TAIL_DIGITS,
};
use super::row::{MirroredRow, selected};
use super::{Mirrored, MirroredFault, Told};
use crate::archive::{Column, time_text};
use crate::audit::IsMeant;
use crate::audit::message_id::{is_same, tokens};

/// Rows of one page.
const PAGE: usize = 500;
/// Verdicts that stand before one answer under its sequence_number: a submit_multi has as many destinations.
const VERDICTS_MAX: usize = 256;

/// A number in the forms that mirrors have.
#[derive(Clone, Copy)]
pub struct Number<'a> {
    /// Its tokens under each index key at hand.
    pub tokens: &'a [String],
    /// The ends of its spellings, [`super::super::table::TAIL_DIGITS`] digits at most.
    pub tails: &'a [String],
    /// Whether whole addresses are meant.
    pub is_meant: &'a IsMeant<'a>,
}

/// What is looked for: the filters of a search in a journal, and nodes.
#[derive(Clone, Copy, Default)]
pub struct MirrorQuery<'a> {
    /// Earliest time, inclusive, microseconds since the Unix epoch.
    pub since_us: Option<u64>,
    /// Latest time, exclusive.
    pub until_us: Option<u64>,
    /// Only of these nodes; of all, where it is empty.
    pub nodes: &'a [String],
    /// Only of these journals, alike.
    pub journals: &'a [String],
    /// A sender or recipient.
    pub number: Option<Number<'a>>,
    /// The provider's name, whole.
    pub provider: Option<&'a str>,
    /// A rule's name: decided, or observed.
    pub rule: Option<&'a str>,
    /// `pass`, `refuse` or `observe`.
    pub verdict: Option<&'a str>,
    /// A session, of whichever journal.
    pub session: Option<u64>,
    /// The SMSC's message_id, in any form.
    pub message_id: Option<&'a str>,
    /// An id that the message named in its vendor's parameters.
    pub reference: Option<&'a str>,
    /// How many results are wanted.
    pub most: Option<usize>,
}

impl std::fmt::Debug for MirrorQuery<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MirrorQuery").field("rule", &self.rule).finish_non_exhaustive()
    }
}

impl MirrorQuery<'_> {
    /// Kinds of records that can be meant, as in a search of a journal.
    fn kinds(&self) -> Vec<&'static str> {
        let asks_no_message = self.message_id.is_none()
            && self.reference.is_none()
            && self.verdict.is_none()
            && self.rule.is_none();
        let is_bind =
            self.number.is_none() && self.message_id.is_none() && self.reference.is_none();
        [
            ("verdict", true),
            ("bind", is_bind),
            ("reply", asks_no_message),
            ("consent", asks_no_message && self.session.is_none()),
        ]
        .into_iter()
        .filter_map(|(kind, is_meant)| is_meant.then_some(kind))
        .collect()
    }

    /// Whether a row that its form led to is meant: a code or a whole number is compared as it is.
    fn means(&self, row: &MirroredRow) -> bool {
        let Some(number) = &self.number else { return true };
        let tokens = [Column::SourceToken, Column::DestinationToken];
        let is_token = |column: &Column| {
            row.text(*column).is_some_and(|token| number.tokens.iter().any(|one| one == token))
        };
        let octets = |column| row.text(column).unwrap_or_default().as_bytes();
        tokens.iter().any(is_token)
            || (number.is_meant)(octets(Column::Source), octets(Column::Destination))
    }
}

/// What the parameters of a statement are.
#[derive(Default)]
pub(super) struct Values(Vec<Box<dyn ToSql + Sync>>);

impl Values {
    /// Takes a value; how it is named.
    pub(super) fn put(&mut self, value: impl ToSql + Sync + 'static) -> String {
        self.0.push(Box::new(value));
        format!("${}", self.0.len())
    }

    pub(super) fn all(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.0.iter().map(|value| &**value).collect()
    }
}

/// A statement with its parameters.
pub(super) struct Asked {
    pub(super) sql: String,
    pub(super) values: Values,
}

/// Behind which row a page begins.
struct Behind {
    time_us: u64,
    journal: String,
    record: u64,
}

impl Mirrored {
    /// Calls `each` with everything that the query means, in the order of the times, and with what became of
    /// it.
    pub fn search(
        &self,
        query: &MirrorQuery<'_>,
        each: &mut dyn FnMut(Told) -> Result<ControlFlow<()>, MirroredFault>,
    ) -> Result<(), MirroredFault> {
        let most = query.most.unwrap_or(usize::MAX);
        let (mut behind, mut given) = (None, 0);
        loop {
            let limit = PAGE.min(most.saturating_sub(given).max(1));
            let asked = self.page(query, behind.as_ref(), limit);
            let page = self.rows(&asked.sql, &asked.values.all(), 0)?;
            let is_last = page.len() < limit;
            behind = page.last().map(|row| Behind {
                time_us: row.time_us(),
                journal: row.journal.clone(),
                record: row.record(),
            });
            let mut page: Vec<MirroredRow> =
                page.into_iter().filter(|row| query.means(row)).collect();
            // A row is found by its sender and by its recipient.
            page.dedup_by(|one, other| one.key() == other.key());
            for told in self.became(page)? {
                let id = told.answer.as_ref().and_then(|answer| answer.text(Column::MessageId));
                if let Some(wanted) = query.message_id
                    && !id.is_some_and(|id| is_same(id.as_bytes(), wanted.as_bytes()))
                {
                    continue;
                }
                given += 1;
                if each(told)?.is_break() || given >= most {
                    return Ok(());
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// The plan by which the server would read the first page, as it explains it.
    #[doc(hidden)]
    pub fn explain(&self, query: &MirrorQuery<'_>) -> Result<String, MirroredFault> {
        let asked = self.page(query, None, PAGE);
        let sql = format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) {}", asked.sql);
        let lines = self.ask(&sql, &asked.values.all())?;
        let lines: Result<Vec<String>, _> = lines.iter().map(|row| row.try_get(0)).collect();
        Ok(lines?.join("\n"))
    }

    fn page(&self, query: &MirrorQuery<'_>, behind: Option<&Behind>, limit: usize) -> Asked {
        let mut values = Values::default();
        let (branches, leads) = self.branches(query, &mut values);
        let sieve = sieve(query, leads, behind, &mut values);
        let (rows, columns) = (self.table.rows(), selected(&self.columns, ""));
        let sql = branches
            .iter()
            .map(|branch| {
                format!(
                    "(SELECT {columns} FROM {rows} r WHERE {branch}{sieve} \
                     ORDER BY time, journal, record LIMIT {limit})"
                )
            })
            .collect::<Vec<_>>()
            .join(" UNION ALL ");
        let sql =
            format!("SELECT * FROM ({sql}) found ORDER BY time_us, journal, record LIMIT {limit}");
        Asked { sql, values }
    }

    /// The ways in which the leading condition is satisfied, and which that is.
    fn branches(&self, query: &MirrorQuery<'_>, values: &mut Values) -> (Vec<String>, Leads) {
        if let Some(id) = query.message_id {
            let forms = values.put(forms(id.as_bytes()));
            let rows = self.table.rows();
            // A session is of one journal: what stands under its number before the answer.
            let of_answer = format!(
                "(journal, record) IN (SELECT v.journal, v.record FROM {rows} a CROSS JOIN LATERAL (\
                 SELECT b.journal, b.record FROM {rows} b WHERE b.journal = a.journal \
                 AND b.session = a.session AND b.sequence_number = a.sequence_number \
                 AND b.record < a.record AND b.kind = 'verdict' ORDER BY b.record DESC \
                 LIMIT {VERDICTS_MAX}) v \
                 WHERE {ID_FORM} = ANY({forms}) AND message_id IS NOT NULL AND kind = 'response')"
            );
            return (vec![of_answer], Leads::MessageId);
        }
        if let Some(number) = &query.number {
            let mut branches = Vec::new();
            for token in number.tokens {
                let token = values.put(token.clone());
                branches.push(format!("destination_token = {token} AND {PERSON_TO}"));
                branches.push(format!("source_token = {token} AND {PERSON_FROM}"));
            }
            for tail in number.tails {
                let tail = values.put(tail.clone());
                branches.push(format!("right(destination, {TAIL_DIGITS}) = {tail} AND {CODE_TO}"));
                branches.push(format!("right(source, {TAIL_DIGITS}) = {tail} AND {CODE_FROM}"));
            }
            return (branches, Leads::Number);
        }
        if let Some(id) = query.reference {
            let id = values.put(id.to_owned());
            let columns = ["entity_id", "template_id", "consent_id"];
            return (columns.map(|one| format!("{one} = {id}")).to_vec(), Leads::Reference);
        }
        if let Some(session) = query.session {
            let session = values.put(session.cast_signed());
            let journals = values.put(self.journals.keys().cloned().collect::<Vec<_>>());
            let branch = format!("journal = ANY({journals}) AND session = {session}");
            return (vec![branch], Leads::Session);
        }
        if let Some(rule) = query.rule {
            let rule = values.put(rule.to_owned());
            let observed =
                format!("string_to_array(observed, ' ') @> ARRAY[{rule}] AND observed IS NOT NULL");
            let decided = format!("rule = {rule}");
            return (
                vec![decided, format!("{observed} AND rule IS DISTINCT FROM {rule}")],
                Leads::Rule,
            );
        }
        if let Some(provider) = query.provider {
            let provider = values.put(provider.to_owned());
            let sessions = format!("provider = {provider} AND {PROVIDER}");
            let events = format!("{ENTITY} = {provider} AND {CONSENT}");
            return (vec![sessions, events], Leads::Provider);
        }
        (vec![FOUND.to_owned()], Leads::Time)
    }
}

/// Which condition leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leads {
    MessageId,
    Number,
    Reference,
    Session,
    Rule,
    Provider,
    Time,
}

/// All conditions but the leading one, each with an AND before it.
fn sieve(
    query: &MirrorQuery<'_>,
    leads: Leads,
    behind: Option<&Behind>,
    values: &mut Values,
) -> String {
    let mut sieve = times(query);
    let mut and = |condition: String| {
        // Text takes all that is written.
        let _ = write!(sieve, " AND {condition}");
    };
    and(format!("kind = ANY({})", values.put(query.kinds())));
    if !query.nodes.is_empty() {
        and(format!("node = ANY({})", values.put(query.nodes.to_vec())));
    }
    if !query.journals.is_empty() {
        and(format!("journal = ANY({})", values.put(query.journals.to_vec())));
    }
    if let Some(verdict) = query.verdict {
        and(format!("verdict = {}", values.put(verdict.to_owned())));
    }
    if let Some(number) = query.number.filter(|_| leads != Leads::Number) {
        let tokens = values.put(number.tokens.to_vec());
        let tails = values.put(number.tails.to_vec());
        and(format!(
            "(destination_token = ANY({tokens}) OR source_token = ANY({tokens}) \
             OR right(destination, {TAIL_DIGITS}) = ANY({tails}) \
             OR right(source, {TAIL_DIGITS}) = ANY({tails}))"
        ));
    }
    if let Some(id) = query.reference.filter(|_| leads != Leads::Reference) {
        and(format!("{} IN (entity_id, template_id, consent_id)", values.put(id.to_owned())));
    }
    if let Some(session) = query.session.filter(|_| leads != Leads::Session) {
        and(format!("session = {}", values.put(session.cast_signed())));
    }
    if let Some(rule) = query.rule.filter(|_| leads != Leads::Rule) {
        let rule = values.put(rule.to_owned());
        and(format!("(rule = {rule} OR {rule} = ANY(string_to_array(observed, ' ')))"));
    }
    if let Some(provider) = query.provider.filter(|_| leads != Leads::Provider) {
        let provider = values.put(provider.to_owned());
        and(format!("(provider = {provider} OR ({CONSENT} AND {ENTITY} = {provider}))"));
    }
    if let Some(Behind { time_us, journal, record }) = behind {
        let time = time_text(*time_us);
        let (journal, record) = (values.put(journal.clone()), values.put(record.cast_signed()));
        and(format!("time >= '{time}'"));
        and(format!("(time, journal, record) > ('{time}'::timestamptz, {journal}, {record})"));
    }
    sieve
}

/// The bounds of time, by which partitions are passed over when the plan is made.
fn times(query: &MirrorQuery<'_>) -> String {
    let bound = |sign: &str, time: Option<u64>| {
        time.map_or(String::new(), |time| format!(" AND r.time {sign} '{}'", time_text(time)))
    };
    bound(">=", query.since_us) + &bound("<", query.until_us)
}

/// What [`ID_FORM`] makes of every spelling of an id.
pub(super) fn forms(id: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for token in tokens(id) {
        let octets = token.octets();
        let spellings = match octets.split_first() {
            Some((b'n', number)) => {
                let number = number.first_chunk().map_or(0, |raw| u128::from_be_bytes(*raw));
                vec![number.to_string(), format!("{number:x}")]
            }
            Some((_, text)) => vec![text.escape_ascii().to_string()],
            None => Vec::new(),
        };
        for spelling in spellings {
            let form = spelling.trim_start_matches([' ', '0', 'x']).trim_end_matches(' ');
            if !forms.iter().any(|one| one == form) {
                forms.push(form.to_owned());
            }
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_id_has_a_form_of_it() {
        // What the server's expression makes.
        let made = |id: &str| {
            let lower = id.to_lowercase();
            let cut = lower.trim_start_matches([' ', '0', 'x']).trim_end_matches(' ');
            cut.to_owned()
        };
        for (asked, written, is_found) in [
            ("255", "0000255", true),
            ("255", "ff", true),
            ("0xFF", "255", true),
            ("ff", "00FF", true),
            ("597", "255", true),
            ("255", "254", false),
            ("AbC-1", "abc-1", true),
            ("x9-1", "X9-1", true),
            ("0", "000", true),
            (" 12 ", "12", true),
        ] {
            let found = forms(asked.as_bytes()).contains(&made(written));
            assert_eq!(found, is_found, "{asked} {written}");
        }
    }
}
