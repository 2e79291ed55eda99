//! What became of messages: their answers, which stand in the same journal, and their receipts, which may have
//! come through any node.

use std::collections::{BTreeMap, BTreeSet};

use super::super::table::{ID_FORM, RECEIPT_TEXT, text_id_form};
use super::query::forms;
use super::row::{MirroredRow, read, selected};
use super::{Mirrored, MirroredFault};
use crate::archive::{Column, time_text};
use crate::audit::message_id::{Tail, is_same};

/// Receipts told of one message: the first ones.
pub const RECEIPTS_A_MESSAGE_MAX: usize = 16;
/// Requests under one sequence_number that wait at the same time: those of more are told by their order.
const WAITING_MAX: usize = 16;
/// How far the clocks of two nodes may be apart, and a receipt be recorded before its message.
const SKEW_US: u64 = 3_600_000_000;
/// Destinations that an SMSC did not take, of one page of messages.
const UNSUCCESS_MAX: usize = 1 << 16;

/// A record and what became of it.
#[derive(Debug, Clone)]
pub struct Told {
    /// The record.
    pub record: MirroredRow,
    /// Of a message that went on: its response or unanswered record.
    pub answer: Option<MirroredRow>,
    /// That the SMSC did not take this destination of a submit_multi.
    pub unsuccess: Option<MirroredRow>,
    /// What the SMSC told of it later, oldest first.
    pub receipts: Vec<MirroredRow>,
    /// Receipts with its id whose numbers are in another form: nobody can tell whether they are its own.
    pub undecided: u64,
}

impl Told {
    fn of(record: MirroredRow) -> Told {
        Told { record, answer: None, unsuccess: None, receipts: Vec::new(), undecided: 0 }
    }

    fn went_on(&self) -> bool {
        self.record.is("verdict") && self.record.text(Column::Verdict) != Some("refuse")
    }

    fn id(&self) -> Option<&str> {
        self.answer.as_ref()?.text(Column::MessageId)
    }
}

impl Mirrored {
    /// Tells what became of a page of records.
    pub(super) fn became(&self, page: Vec<MirroredRow>) -> Result<Vec<Told>, MirroredFault> {
        let mut page: Vec<Told> = page.into_iter().map(Told::of).collect();
        let since = page.iter().filter(|told| told.went_on()).map(|told| told.record.time_us());
        let Some(since) = since.min() else { return Ok(page) };
        let since = format!("'{}'", time_text(since.saturating_sub(SKEW_US)));
        self.answers(&mut page, &since)?;
        self.unsuccess(&mut page, &since)?;
        self.receipts(&mut page, &since)?;
        Ok(page)
    }

    /// Of two requests with one sequence_number the older is answered first: so what stood before a message
    /// says which of the answers behind it is its own.
    fn answers(&self, page: &mut [Told], since: &str) -> Result<(), MirroredFault> {
        let waiting: Vec<usize> = indexes(page, Told::went_on);
        let (rows, columns) = (self.table.rows(), selected(&self.columns, "a."));
        let of_request = format!(
            "FROM {rows} a WHERE a.journal = w.journal AND a.session = w.session \
             AND a.session IS NOT NULL AND a.sequence_number = w.sequence_number AND a.time >= {since}"
        );
        let sql = format!(
            "SELECT w.at, a.* FROM \
             unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY \
             AS w (journal, session, sequence_number, record, at) CROSS JOIN LATERAL (\
             (SELECT {columns} {of_request} AND a.record > w.record \
              AND a.kind IN ('response', 'unanswered') ORDER BY a.record LIMIT {}) UNION ALL \
             (SELECT {columns} {of_request} AND a.record < w.record \
              AND a.kind IN ('verdict', 'response', 'unanswered') \
              AND a.verdict IS DISTINCT FROM 'refuse' ORDER BY a.record DESC LIMIT {WAITING_MAX})) a \
             ORDER BY w.at, a.record",
            WAITING_MAX + 1
        );
        let found = self.of_requests(&sql, page, &waiting)?;
        for (at, rows) in found {
            let Some(told) = waiting.get(at).and_then(|at| page.get_mut(*at)) else { continue };
            told.answer = own_answer(&told.record, rows);
        }
        Ok(())
    }

    fn unsuccess(&self, page: &mut [Told], since: &str) -> Result<(), MirroredFault> {
        let several = |told: &Told| {
            told.answer.is_some() && told.record.text(Column::Command) == Some("submit_multi")
        };
        let several: Vec<usize> = indexes(page, several);
        if several.is_empty() {
            return Ok(());
        }
        let (rows, columns) = (self.table.rows(), selected(&self.columns, "a."));
        let sql = format!(
            "SELECT w.at, {columns} FROM \
             unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY \
             AS w (journal, session, sequence_number, record, at) JOIN {rows} a \
             ON a.journal = w.journal AND a.session = w.session AND a.session IS NOT NULL \
             AND a.sequence_number = w.sequence_number AND a.record > w.record \
             WHERE a.kind = 'unsuccess' AND a.time >= {since} ORDER BY w.at, a.record \
             LIMIT {UNSUCCESS_MAX}"
        );
        let found = self.of_requests(&sql, page, &several)?;
        let mut taken = BTreeSet::new();
        for (at, rows) in found {
            let Some(told) = several.get(at).and_then(|at| page.get_mut(*at)) else { continue };
            let end = told.answer.as_ref().map_or(0, MirroredRow::record);
            let is_its = |row: &MirroredRow| {
                row.record() < end && to(row) == to(&told.record) && !taken.contains(&row.key())
            };
            // The first of that destination: a submit_multi may name one twice.
            told.unsuccess = rows.into_iter().find(is_its);
            taken.extend(told.unsuccess.as_ref().map(MirroredRow::key));
        }
        Ok(())
    }

    /// Rows by the request that they belong to, whose index in `wanted` they begin with, from 1.
    fn of_requests(
        &self,
        sql: &str,
        page: &[Told],
        wanted: &[usize],
    ) -> Result<BTreeMap<usize, Vec<MirroredRow>>, MirroredFault> {
        let records: Vec<&MirroredRow> =
            wanted.iter().filter_map(|at| page.get(*at)).map(|told| &told.record).collect();
        let number = |column: Column| -> Vec<i64> {
            records.iter().map(|row| row.number(column).unwrap_or(0).cast_signed()).collect()
        };
        let journals: Vec<&str> = records.iter().map(|row| &*row.journal).collect();
        let (sessions, sequence_numbers, numbers) =
            (number(Column::Session), number(Column::SequenceNumber), number(Column::Record));
        let mut found: BTreeMap<usize, Vec<MirroredRow>> = BTreeMap::new();
        for row in self.ask(sql, &[&journals, &sessions, &sequence_numbers, &numbers])? {
            let at = usize::try_from(row.try_get::<_, i64>(0)? - 1).unwrap_or(usize::MAX);
            found.entry(at).or_default().push(read(&row, 1)?);
        }
        Ok(found)
    }

    fn receipts(&self, page: &mut [Told], since: &str) -> Result<(), MirroredFault> {
        let mut wanted: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, told) in page.iter().enumerate().filter(|(_, told)| told.unsuccess.is_none()) {
            for form in told.id().map_or(Vec::new(), |id| forms(id.as_bytes())) {
                wanted.entry(form).or_default().push(at);
            }
        }
        let named: Vec<&str> = wanted.keys().map(String::as_str).collect();
        let of_texts: Vec<&str> = named.iter().copied().filter(|form| !form.is_empty()).collect();
        if named.is_empty() {
            return Ok(());
        }
        let (rows, columns) = (self.table.rows(), selected(&self.columns, ""));
        let text_id = text_id_form();
        let sql = format!(
            "(SELECT {columns} FROM {rows} r WHERE {ID_FORM} = ANY($1) AND message_id IS NOT NULL \
              AND kind = 'receipt' AND time >= {since}) UNION ALL \
             (SELECT {columns} FROM {rows} r WHERE {text_id} = ANY($2) AND {RECEIPT_TEXT} \
              AND time >= {since}) ORDER BY time_us, journal, record"
        );
        let mut seen = BTreeSet::new();
        for receipt in self.rows(&sql, &[&named, &of_texts], 0)? {
            if !seen.insert(receipt.key()) {
                continue;
            }
            let ids = ids(&receipt);
            let mut of: BTreeSet<usize> = BTreeSet::new();
            for form in ids.iter().flat_map(|id| forms(id.as_bytes())) {
                of.extend(wanted.get(&form).into_iter().flatten());
            }
            for at in of {
                let Some(told) = page.get_mut(at) else { continue };
                let id = told.id().unwrap_or_default();
                if !ids.iter().any(|one| is_same(one.as_bytes(), id.as_bytes())) {
                    continue;
                }
                match self.is_same_person(&told.record, &receipt) {
                    None => told.undecided += 1,
                    Some(true) if told.receipts.len() < RECEIPTS_A_MESSAGE_MAX => {
                        told.receipts.push(receipt.clone());
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }

    /// Whether a receipt is of the person that received the message; none where nobody can tell.
    fn is_same_person(&self, message: &MirroredRow, receipt: &MirroredRow) -> Option<bool> {
        let handsets = [
            (Column::SourceToken, Column::Source),
            (Column::DestinationToken, Column::Destination),
        ];
        let tokens = |row: &MirroredRow| {
            self.form(&row.journal, row.record()).and_then(|form| form.tokens.clone())
        };
        match message.text(Column::DestinationToken) {
            Some(token) => {
                let is_it = |(column, _): &(Column, Column)| receipt.text(*column) == Some(token);
                let is_it = handsets.iter().any(is_it);
                (is_it || tokens(message) == tokens(receipt)).then_some(is_it)
            }
            None => {
                if handsets.iter().all(|(column, _)| receipt.text(*column).is_some()) {
                    return None;
                }
                let tail = |row: &MirroredRow, column| {
                    row.text(column).and_then(|text| Tail::of(text.as_bytes()))
                };
                let recipient = tail(message, Column::Destination);
                // The tail of a masked number is no number.
                let is_it = |(_, column): &(Column, Column)| {
                    receipt.text(*column).is_some_and(|text| !text.contains('*'))
                        && tail(receipt, *column) == recipient
                };
                Some(recipient.is_some() && handsets.iter().any(is_it))
            }
        }
    }
}

fn indexes(page: &[Told], is_wanted: impl Fn(&Told) -> bool) -> Vec<usize> {
    page.iter().enumerate().filter(|(_, told)| is_wanted(told)).map(|(at, _)| at).collect()
}

/// A destination as two rows of one mirror have it.
fn to(row: &MirroredRow) -> (Option<&str>, Option<&str>) {
    (row.text(Column::DestinationToken), row.text(Column::Destination))
}

/// The ids that a receipt names the message by.
fn ids(receipt: &MirroredRow) -> Vec<String> {
    let detail = receipt.text(Column::Detail).unwrap_or_default();
    let detail: serde_json::Value = serde_json::from_str(detail).unwrap_or_default();
    let of_text = detail.get("message_id_of_text").and_then(|id| id.as_str());
    let named = [receipt.text(Column::MessageId), of_text];
    named.into_iter().flatten().filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

/// Of the rows of a request, in the order of their records, the answer to the message in `record`.
fn own_answer(record: &MirroredRow, rows: Vec<MirroredRow>) -> Option<MirroredRow> {
    let is_several = |row: &MirroredRow| row.text(Column::Command) == Some("submit_multi");
    let (mut waiting, mut behind_several) = (0_usize, false);
    for row in rows.iter().take_while(|row| row.record() < record.record()) {
        match row.is("verdict") {
            // The destinations of a submit_multi stand one behind the other and wait for one answer.
            true if is_several(row) && behind_several => {}
            true => waiting += 1,
            false => waiting = waiting.saturating_sub(1),
        }
        behind_several = row.is("verdict") && is_several(row);
    }
    if behind_several && is_several(record) {
        waiting = waiting.saturating_sub(1);
    }
    rows.into_iter().filter(|row| row.record() > record.record()).nth(waiting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{Row, Value};

    #[test]
    fn an_answer_is_that_of_the_oldest_request_that_waits() {
        let row = |record: u64, kind: &'static str, command: &'static str| MirroredRow {
            node: String::new(),
            journal: String::new(),
            leaf: None,
            row: Row::made([
                (Column::Record, Value::Number(record)),
                (Column::Kind, Value::Text(kind.into())),
                (Column::Command, Value::Text(command.into())),
            ]),
        };
        let one = |record, kind| row(record, kind, "submit_sm");
        let many = |record, kind| row(record, kind, "submit_multi");
        let cases: &[(&str, MirroredRow, Vec<MirroredRow>, Option<u64>)] = &[
            ("one", one(2, "verdict"), vec![one(3, "response")], Some(3)),
            ("none", one(2, "verdict"), vec![], None),
            (
                "the first waits still",
                one(3, "verdict"),
                vec![one(2, "verdict"), one(4, "response"), one(5, "response")],
                Some(5),
            ),
            (
                "the first is answered",
                one(4, "verdict"),
                vec![one(2, "verdict"), one(3, "unanswered"), one(5, "response")],
                Some(5),
            ),
            (
                "of several destinations",
                many(3, "verdict"),
                vec![many(2, "verdict"), many(4, "response")],
                Some(4),
            ),
            (
                "behind several destinations",
                one(4, "verdict"),
                vec![
                    many(2, "verdict"),
                    many(3, "verdict"),
                    one(5, "response"),
                    one(6, "response"),
                ],
                Some(6),
            ),
        ];
        for (name, record, rows, expected) in cases {
            let own = own_answer(record, rows.clone()).map(|row| row.record());
            assert_eq!(own, *expected, "{name}");
        }
    }
}
